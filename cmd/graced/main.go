// Command graced is the supervisor's daemon. Called as supervisord it keeps Supervisor's contract; `graced demo` shows the main idea on
// real processes. Called as echo_supervisord_conf or pidproxy it is one of Supervisor's two small programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/demo"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/machine"
	"github.com/graced/graced/internal/pidproxy"
	"github.com/graced/graced/internal/report"
)

// version is the version of Supervisor whose contract is kept; it is what -v and getSupervisorVersion answer.
const version = "4.2.5"

func main() {
	host.Init() // a stand-in for a child that could not be started never returns from here
	if program := helper(os.Args[0]); program != nil {
		os.Exit(program(os.Args))
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "sample":
			os.Exit(echoSample(os.Args))
		case "check":
			if called(os.Args[0]) == "graced" {
				os.Exit(checkFile(os.Args[0], os.Args[2:]))
			}
		case "takeover":
			if called(os.Args[0]) == "graced" {
				os.Exit(takeOver(os.Args[0], os.Args[2:]))
			}
		case "demo":
			os.Exit(runDemo(os.Args[2:]))
		case "demo-worker":
			if len(os.Args) != 3 {
				fmt.Fprintln(os.Stderr, "usage: graced demo-worker SOCKET")
				os.Exit(2)
			}
			if err := demo.Worker(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, "demo-worker:", err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(run(os.Args))
}

// helper returns the program that the called name asks for; nil is the daemon.
func helper(argv0 string) func(argv []string) int {
	switch filepath.Base(argv0) {
	case "echo_supervisord_conf":
		return echoSample
	case "pidproxy":
		return pidproxy.Main
	}
	return nil
}

// checkFile is graced check: the report on the file that the daemon would read, with the environment that it would have. -t, which
// other daemons have for this, is strip_ansi (docs/adr/010).
func checkFile(argv0 string, args []string) int {
	m, err := machine.New()
	if err != nil {
		return usage(argv0, err)
	}
	m.Environ = childEnviron(m.Environ)
	return report.Command{Program: argv0, Machine: m, Dir: programDir(argv0), Out: os.Stdout, Err: os.Stderr}.Check(args)
}

func runDemo(args []string) int {
	o, err := demo.ParseArgs(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "graced:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := demo.Run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "graced demo:", err)
		return 1
	}
	return 0
}

// usageError is an error of the command line, the configuration or the start: exit code 2 (contract: daemon, "Exit codes").
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// run is the daemon: it reads the command line and the files, and supervises until it is told to stop.
func run(argv []string) int {
	defaultActions()
	mode, err := takeoverMode()
	if err != nil {
		return usage(argv[0], err)
	}
	bearName(argv[0])
	if host.IsKeeper() {
		return keep(argv, mode)
	}
	link, err := host.Dial()
	if errors.Is(err, host.ErrNoKeeper) {
		err = beginAnew(argv, err)
	}
	if err != nil {
		return usage(argv[0], err)
	}
	childlog.Copies = host.Disabled("splice")
	m, err := machine.New()
	if err != nil {
		return usage(argv[0], err)
	}
	args, err := config.ParseDaemonArgs(m, argv[1:])
	if err != nil {
		return usage(argv[0], err)
	}
	switch {
	case args.Help:
		fmt.Print(helpText(argv[0]))
		return 0
	case args.Version:
		fmt.Println(version)
		return 0
	case args.Profile:
		fmt.Fprintln(os.Stderr, "warning: --profile_options belongs to Python's profiler and has no effect here")
	}
	if !args.HasPath && (link == nil || link.Generation == 1) {
		if args.Path, err = findConfig(argv[0], m); err != nil {
			return usage(argv[0], err)
		}
	}
	if isBackground() {
		syscall.CloseOnExec(backgroundFD)
	}
	if link == nil {
		return keep(argv, mode)
	}
	m.Environ = childEnviron(m.Environ)
	s := &supervisor{link: link, machine: m, path: args.Path, overrides: args.Overrides, strict: called(argv[0]) == "graced", mode: mode, manager: findManager()}
	code := s.exitCode(argv[0], s.start())
	link.Leave(host.Leave{How: s.after, Code: code})
	return code
}

// beginAnew starts the whole once more, in this process: its keeper has died before it could tell what it held, and there is no other daemon. What runs is
// taken back, as by any start after both were killed. Where a service manager watches, that starts it again: here nothing happens then but the error.
func beginAnew(argv []string, err error) error {
	if findManager() != nil {
		return err
	}
	return errors.Join(err, syscall.Exec("/proc/self/exe", argv, childEnviron(os.Environ())))
}

// bearName gives this process the name that it was called by. The kernel takes that of the file, which is "exe" or a number for one that is executed by its
// descriptor: of a keeper that has become another program, say.
func bearName(argv0 string) {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(argv0)), 0) // it is shown by ps and pgrep, no more
}

// keep is the keeper, the process that was started first: it has this program run once more as the daemon. mode is how that takes over, if it does.
func keep(argv []string, mode string) int {
	o := host.KeeperOptions{
		Argv: argv, Environ: daemonEnviron(os.Environ()), Patience: takeoverPatience,
		Trouble: func(text string) { fmt.Fprintln(os.Stderr, "graced: keeper:", text) },
	}
	if isBackground() && !host.IsKeeper() { // who waits for the start waits for its first daemon alone
		o.First = []string{backgroundEnv + "=1"}
		o.Extra = []*os.File{os.NewFile(backgroundFD, "parent")}
	}
	if mode != "" {
		o.First = append(o.First, takeoverEnv+"="+mode)
	}
	passed := findPassed()
	k, err := host.NewKeeper(o)
	if err != nil {
		return usage(argv[0], err)
	}
	holdPassed(k, passed)
	code, how := k.Run()
	if how != host.Background {
		return code
	}
	if err := daemonize(mode, passed); err != nil {
		return usage(argv[0], err)
	}
	return 0
}

// takeoverPatience is how long a daemon that takes the place of another may take until it is at work.
const takeoverPatience = 10 * time.Second

// exitCode tells how the start, or everything, ended.
func (s *supervisor) exitCode(argv0 string, err error) int {
	switch {
	case err == nil:
		return s.code
	case s.detached:
		// Nobody reads standard error any more; a parent that still waits prints it.
		_ = announce(err.Error()) // the exit code says it too
		return 2
	}
	return usage(argv0, err)
}

// usage prints an error of the start as Supervisor does, and what our own name can add to it.
func usage(argv0 string, err error) int {
	fmt.Fprintf(os.Stderr, "Error: %s\nFor help, use %s -h\n", err, argv0)
	var bad *config.Error
	if called(argv0) == "graced" && errors.As(err, &bad) {
		fmt.Fprintf(os.Stderr, "\n  %s\n", bad.Detail())
	}
	return 2
}

// called is the name that chose the contract.
func called(argv0 string) string {
	if filepath.Base(argv0) == "supervisord" {
		return "supervisord"
	}
	return "graced"
}

// programDir returns the directory of the running program.
func programDir(argv0 string) string {
	if path, err := exec.LookPath(argv0); err == nil {
		return filepath.Dir(path)
	}
	return filepath.Dir(argv0)
}

// findConfig searches the default places.
func findConfig(argv0 string, m config.Machine) (string, error) {
	path, err := config.FindDefault(m, programDir(argv0))
	switch {
	case err != nil && called(argv0) == "graced":
		return "", &usageError{err.Error() + "\n\n  graced demo          see it work, nothing needed\n  graced -n -c FILE    supervise in the foreground what FILE says\n"}
	case err == nil && os.Getuid() == 0 && !isBackground():
		fmt.Fprintf(os.Stderr, "warning: running as root and looking for the configuration file in default places, among them the working directory; "+
			"name it with \"-c %s\" instead\n", path)
	}
	return path, err
}
