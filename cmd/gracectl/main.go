// The client needs no count of the processors that its control group may use: the runtime reads two files for it at every start.
//go:debug containermaxprocs=0

// Command gracectl drives a running graced or supervisord. Called as supervisorctl it keeps Supervisor's contract to the byte.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/ctl"
	"github.com/graced/graced/internal/machine"
	"github.com/graced/graced/internal/report"
)

func main() { os.Exit(run(programName(os.Args), os.Args[1:])) }

// run parses the command line, reads the configuration and hands over to package ctl. It returns the exit code.
func run(program string, args []string) int {
	face := ctl.FaceOf(program)
	if face == ctl.Gracectl && len(args) > 0 && args[0] == ctl.CompleteVerb {
		complete(program, args[1:])
		return 0
	}
	cl, exit := ctl.ParseCommandLine(face, program, args)
	if exit == nil && ctl.NeedsNoDaemon(face, cl.Action) && !cl.Plain {
		s := &ctl.Session{Settings: ctl.Settings{Program: os.Args[0], Form: cl.Form}, Face: face, Out: os.Stdout, Err: os.Stderr}
		s.Check, s.Explain = fileVerbs(program, cl.Config)
		s.TakeOver = takeOver(program, cl)
		return s.Run(context.Background(), cl.Action)
	}
	if exit == nil {
		var settings ctl.Settings
		if settings, exit = load(program, cl); exit == nil {
			return session(face, settings, cl)
		}
	}
	exit.Print(face, args, os.Stdout, os.Stderr)
	return exit.Code
}

// load makes settings of the configuration file and the options, which win.
func load(program string, cl ctl.CommandLine) (ctl.Settings, *ctl.Exit) {
	m, err := machine.New()
	if err != nil {
		return ctl.Settings{}, &ctl.Exit{Code: 1, Stderr: program + ": " + err.Error() + "\n"}
	}
	path := ""
	if cl.Config != nil {
		path = *cl.Config
	} else if found, err := config.FindDefault(m, dir(program)); err == nil {
		path = found
	}
	c := config.DefaultCtl()
	if path != "" {
		if c, err = config.LoadCtl(m, path); err != nil {
			return ctl.Settings{}, ctl.UsageError(program, err.Error())
		}
	}
	s := ctl.Settings{
		Program: program, ServerURL: c.ServerURL, Username: c.Username, Password: c.Password, Prompt: c.Prompt, HistoryFile: c.HistoryFile,
		Interactive: cl.Interactive, Plain: cl.Plain, Minimal: c.Minimal, EscapeOutput: !showsUnicode(m.Environ),
		Form: cl.Form, Timeout: cl.Timeout, Parallel: cl.Parallel,
	}
	for _, p := range c.Plugins {
		s.Plugins = append(s.Plugins, p.Name)
	}
	override(&s.ServerURL, cl.ServerURL)
	override(&s.Username, cl.Username)
	override(&s.Password, cl.Password)
	override(&s.HistoryFile, cl.HistoryFile)
	return s, nil
}

// override sets what an option was given for.
func override(target, option *string) {
	if option != nil {
		*target = *option
	}
}

// fileVerbs returns the verbs check and explain. path is that of -c, nil without it.
func fileVerbs(program string, path *string) (check, explain ctl.FileVerb) {
	verb := func(run func(report.Command, []string) int) ctl.FileVerb {
		return func(args []string, out, errOut io.Writer) int {
			m, err := machine.New()
			if err != nil {
				fmt.Fprintf(errOut, "%s: %v\n", program, err)
				return 1
			}
			c := report.Command{Program: program, Machine: m, Dir: dir(program), Out: out, Err: errOut}
			override(&c.Path, path)
			return run(c, args)
		}
	}
	return verb(report.Command.Check), verb(report.Command.Explain)
}

// takeOver returns the verb of that name: it is that of graced, which is beside this program or in the path.
func takeOver(program string, cl ctl.CommandLine) ctl.FileVerb {
	return func(args []string, out, errOut io.Writer) int {
		graced, err := exec.LookPath("graced")
		if self, e := os.Executable(); e == nil {
			if beside, e := exec.LookPath(filepath.Join(filepath.Dir(self), "graced")); e == nil {
				graced, err = beside, nil
			}
		}
		if err != nil {
			fmt.Fprintf(errOut, "%s: graced is neither beside this program nor in the path\n", program)
			return 1
		}
		line := []string{"takeover"}
		if cl.Config != nil {
			line = append(line, "-c", *cl.Config)
		}
		cmd := exec.Command(graced, append(line, args...)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, errOut
		err = cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			fmt.Fprintf(errOut, "%s: %v\n", program, err)
			return 1
		}
		return cmd.ProcessState.ExitCode()
	}
}

// session runs the action, or the shell.
func session(face ctl.Face, settings ctl.Settings, cl ctl.CommandLine) int {
	action := cl.Action
	if face == ctl.Gracectl && len(os.Args) > 0 {
		settings.Program = os.Args[0] // hints show commands as they are typed
	}
	s := &ctl.Session{
		Settings: settings, Face: face, Dial: ctl.Dial, Out: os.Stdout, Err: os.Stderr, Sockets: ctl.WellKnownSockets,
		Interruptible: func(ctx context.Context) (context.Context, func()) { return signal.NotifyContext(ctx, os.Interrupt) },
	}
	s.Check, s.Explain = fileVerbs(settings.Program, cl.Config)
	s.TakeOver = takeOver(settings.Program, cl)
	s.In = ctl.NewPlainReader(os.Stdin, os.Stdout)
	in, out := term.IsTerminal(int(os.Stdin.Fd())), term.IsTerminal(int(os.Stdout.Fd()))
	s.Terminal = in && out
	s.Colour = out && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	s.ReadPassword = func(prompt string) (string, error) { return ctl.AskPassword(s.In, prompt) }
	if len(action) > 0 || !s.Terminal {
		return s.Run(context.Background(), action)
	}
	editor, restore, err := ctl.OpenLineEditor(settings.HistoryFile, s.CompleteLine)
	if err != nil { // a terminal that cannot edit still takes plain lines
		return s.Run(context.Background(), nil)
	}
	s.In = editor
	code := s.Run(context.Background(), nil)
	if err := restore(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: cannot save the history: %v\n", settings.Program, err)
	}
	return code
}

// complete prints what the last of the words can become. Words that are no command line yet choose no daemon.
func complete(program string, words []string) {
	cl, exit := ctl.ParseCommandLine(ctl.Gracectl, program, words[:max(0, len(words)-1)])
	if exit != nil {
		cl = ctl.CommandLine{}
	}
	settings, exit := load(program, cl)
	if exit != nil {
		settings = ctl.Settings{Program: program, ServerURL: config.DefaultServerURL}
	}
	s := &ctl.Session{Settings: settings, Face: ctl.Gracectl, Dial: ctl.Dial, Out: os.Stdout, Err: os.Stderr}
	for _, word := range s.CompleteWords(words, func() []control.ProcessInfo { return configured(program, cl) }) {
		fmt.Println(word)
	}
}

// configured names the processes of the configuration file, for when no daemon answers; none when it is broken.
func configured(program string, cl ctl.CommandLine) []control.ProcessInfo {
	m, err := machine.New()
	if err != nil {
		return nil
	}
	path := ""
	if cl.Config != nil {
		path = *cl.Config
	} else if path, err = config.FindDefault(m, dir(program)); err != nil {
		return nil
	}
	c, err := config.Load(m, path, nil)
	if err != nil {
		return nil
	}
	var out []control.ProcessInfo
	for _, g := range c.Groups {
		for _, p := range g.Processes {
			out = append(out, control.ProcessInfo{Group: g.Name, Name: p.Name})
		}
	}
	return out
}

// programName returns the path under which the program was found, as the usage texts show it.
func programName(argv []string) string {
	if len(argv) == 0 {
		return "gracectl"
	}
	if !strings.ContainsRune(argv[0], os.PathSeparator) {
		if path, err := exec.LookPath(argv[0]); err == nil {
			return path
		}
	}
	return argv[0]
}

// dir returns the directory part of a program's path, "" without one.
func dir(program string) string {
	if d, _ := filepath.Split(program); d != "" {
		return filepath.Clean(d)
	}
	return ""
}

// showsUnicode reports whether the locale can show more than ASCII. The plain C locale can: it says nothing about the terminal, and
// Python treats it as UTF-8 as well.
func showsUnicode(environ []string) bool {
	locale := make(map[string]string)
	for _, e := range environ {
		if key, value, ok := strings.Cut(e, "="); ok {
			locale[key] = value
		}
	}
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		value := locale[key]
		if value == "" {
			continue
		}
		_, charset, named := strings.Cut(value, ".")
		charset = strings.ToLower(strings.ReplaceAll(charset, "-", ""))
		return !named || strings.HasPrefix(charset, "utf")
	}
	return true
}
