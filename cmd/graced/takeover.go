package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/machine"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/report"
	"github.com/graced/graced/internal/takeover"
)

// takeoverEnv tells the daemon that graced takeover starts to take over what a supervisord has, and how.
const (
	takeoverEnv   = "GRACED_TAKEOVER"
	takeoverYes   = "yes"
	takeoverForce = "force"
)

// takeoverMode reads the variable, which nobody else shall see.
func takeoverMode() (string, error) {
	mode := os.Getenv(takeoverEnv)
	return mode, os.Unsetenv(takeoverEnv)
}

// takeoverArgs is the command line of graced takeover.
type takeoverArgs struct {
	path                       string // "" = a default place
	dryRun, force, stay, asDoc bool
}

const takeoverUsage = "usage: graced takeover [-c FILE] [--dry-run [-o json]] [--force] [-n]"

func parseTakeover(args []string) (a takeoverArgs, err error) {
	for i := 0; i < len(args); i++ {
		value := func(what string) string {
			if i++; i == len(args) {
				err = &usageError{args[i-1] + " needs " + what + "\n" + takeoverUsage}
				return ""
			}
			return args[i]
		}
		switch args[i] {
		case "--dry-run":
			a.dryRun = true
		case "--force":
			a.force = true
		case "-n", "--nodaemon":
			a.stay = true
		case "-c", "--configuration":
			a.path = value("a file")
		case "-o":
			a.asDoc = value("a form") == "json"
			if err == nil && !a.asDoc {
				err = &usageError{"the only form is json\n" + takeoverUsage}
			}
		default:
			err = &usageError{args[i] + " is no option\n" + takeoverUsage}
		}
		if err != nil {
			return a, err
		}
	}
	if a.asDoc && !a.dryRun {
		return a, &usageError{"-o json goes with --dry-run\n" + takeoverUsage}
	}
	return a, nil
}

// takeOver is graced takeover: it shows what would be taken over and, without --dry-run, starts a daemon that does it.
func takeOver(argv0 string, args []string) int {
	a, err := parseTakeover(args)
	if err == nil {
		err = a.run(argv0, os.Stdout)
	}
	if err != nil {
		form := ""
		if a.asDoc {
			form = "json"
		}
		report.Fail(os.Stderr, form, "takeover", err.Error())
		return 2
	}
	return 0
}

func (a takeoverArgs) run(argv0 string, out io.Writer) error {
	m, err := machine.New()
	if err != nil {
		return err
	}
	if a.path == "" {
		if a.path, err = findConfig(argv0, m); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if a.path, err = filepath.Abs(a.path); err != nil {
		return err
	}
	c, err := config.Load(m, a.path, nil)
	if err != nil {
		return err
	}
	o, c, line, err := a.meet(c)
	if err != nil {
		return err
	}
	if a.asDoc {
		return o.document(out, a.path)
	}
	refusal := o.plan.Refusal()
	if a.dryRun || refusal != nil {
		o.show(out, a.path)
	}
	if refusal != nil {
		return refused(refusal)
	}
	if a.dryRun {
		fmt.Fprintf(out, "\nnothing stands in the way, and nothing was changed: `graced takeover -c %s` does it\n", a.path)
		return nil
	}
	return a.start(self, c, o, line, out)
}

// meet finds the supervisord of a configuration. It returns it, what its files say with the options and the environment that it was started with, and the
// words of a daemon that is started likewise. The working directory is its own then.
func (a takeoverArgs) meet(c *config.Config) (*other, *config.Config, []string, error) {
	o, err := settled(c)
	if err != nil || len(o.plan.Started.Environ) == 0 {
		if err == nil {
			err = refused(&takeover.Refused{Problems: o.plan.Problems})
		}
		return nil, nil, nil, err
	}
	was := o.plan.Started
	if err := os.Chdir(was.Dir); err != nil {
		return nil, nil, nil, fmt.Errorf("cannot read the files from where supervisord is: %w; nothing was changed", err)
	}
	m, err := machine.New() // of that directory
	if err != nil {
		return nil, nil, nil, err
	}
	m.Environ = childEnviron(was.Environ)
	args, err := config.ParseDaemonArgs(m, was.Args)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("supervisord was started with %q: %w", was.Args, err)
	}
	line, ok := a.line(was.Args, args)
	if !ok {
		return nil, nil, nil, fmt.Errorf("the running supervisord (pid %d) has the file %s, not %s: name that one with -c", o.pid, args.Path, a.path)
	}
	args.Path = a.path
	if c, err = config.Load(m, args.Path, args.Overrides); err != nil {
		return nil, nil, nil, err
	}
	switch {
	case c.Supervisord.Nodaemon && !a.stay:
		o.problem(foreground, false, process.Namespec{}, "it runs in the foreground (nodaemon), and so would graced, as a program of this terminal")
	case !c.Supervisord.Nodaemon && a.stay:
		line = append(line, "-n")
	}
	o.weigh(c, a.force)
	return o, c, line, nil
}

// line returns the words of a daemon that is started as supervisord was, with the absolute path of its file. It reports false if that is another file. A relative
// path is from where supervisord was, before it went to the directory that its files say.
func (a takeoverArgs) line(words []string, args config.DaemonArgs) (line []string, ok bool) {
	if !args.HasPath {
		return append(slices.Clone(words), "-c", a.path), true
	}
	if !sameFile(args.Path, a.path) && (filepath.IsAbs(args.Path) || filepath.Base(args.Path) != filepath.Base(a.path)) {
		return nil, false
	}
	for _, word := range words {
		if option, ok := strings.CutSuffix(word, args.Path); ok && (option == "" || strings.HasPrefix(option, "-")) {
			word = option + a.path
		}
		line = append(line, word)
	}
	return line, true
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	two, other := os.Stat(b)
	return err == nil && other == nil && os.SameFile(one, two)
}

// start starts the daemon that takes over, and waits until it answers.
func (a takeoverArgs) start(self string, c *config.Config, o *other, line []string, out io.Writer) error {
	mode := takeoverYes
	if a.force {
		mode = takeoverForce
	}
	cmd := exec.Command(self, line...)
	cmd.Args[0] = "graced"
	if filepath.Base(self) != "graced" {
		cmd.Args[0] = self
	}
	cmd.Env = append(childEnviron(o.plan.Started.Environ), takeoverEnv+"="+mode)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if a.stay {
		return replaceSelf(self, cmd)
	}
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return a.failed(o.plan.Supervisord)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeoverPatience)
	defer cancel()
	now, err := ask(ctx, c)
	if err != nil {
		return err
	}
	alive := 0
	for _, p := range now.told.Processes {
		if p.PID != 0 {
			alive++
		}
	}
	fmt.Fprintf(out, "taken over: supervisord %d -> graced %d, %d processes go on with their pids\n", o.pid, now.pid, alive)
	return nil
}

// failed tells what a daemon that did not come up, as it has told itself, has left.
func (a takeoverArgs) failed(was host.Identity) error {
	if now, err := host.Identify(was.PID); err == nil && now == was {
		return errors.New("nothing was taken over: supervisord goes on")
	}
	return fmt.Errorf("supervisord has ended, and graced does not run: its processes go on with nobody who supervises them\n  -> end them, and start graced: graced -c %s", a.path)
}

// settled looks at the supervisord until it has noticed that we have hung up, for a second at most.
func settled(c *config.Config) (*other, error) {
	ctx, cancel := context.WithTimeout(context.Background(), takeoverPatience)
	defer cancel()
	o, err := ask(ctx, c)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(time.Second); ; {
		if err := o.inspect(); err != nil {
			return nil, err
		}
		busy := slices.ContainsFunc(o.plan.Problems, func(p takeover.Problem) bool { return p.Kind == takeover.Request })
		if !busy || time.Now().After(end) || !rest(ctx) {
			return o, nil
		}
	}
}

// rest lets some time pass before another look; it reports false when there is none left.
func rest(ctx context.Context) bool {
	const pause = 20 * time.Millisecond
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// show prints the map of what would be taken over.
func (o *other) show(out io.Writer, path string) {
	alive := 0
	for _, p := range o.told.Processes {
		if p.PID != 0 {
			alive++
		}
	}
	fmt.Fprintf(out, "supervisord %d, %s: %d processes, of which %d run\n\n", o.pid, path, len(o.told.Processes), alive)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROCESS\tSTATE\tPID\tSTDOUT\tSTDERR")
	for _, p := range o.told.Processes {
		pid := "-"
		if p.PID != 0 {
			pid = strconv.Itoa(p.PID)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", process.Namespec{Group: p.Group, Process: p.Name}, p.State, pid, orDash(p.StdoutLog), orDash(p.StderrLog))
	}
	fmt.Fprintln(w, "\nSOCKET\tFOR") // an empty line begins another table
	for _, s := range o.plan.Sockets {
		fmt.Fprintf(w, "%s %s\t%s\n", s.Network, s.Address, usersOf(s))
	}
	_ = w.Flush() // out is what the user looks at
	if len(o.plan.Problems) > 0 && o.plan.Refusal() == nil {
		fmt.Fprintln(out, "\nin spite of this it is taken over:")
		for _, p := range o.plan.Problems {
			fmt.Fprintln(out, "  "+p.String())
		}
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func usersOf(s takeover.Socket) string {
	if len(s.Users) == 0 {
		return "clients"
	}
	words := make([]string, len(s.Users))
	for i, u := range s.Users {
		words[i] = u.String()
	}
	return strings.Join(words, ", ")
}

// takeoverDocument is the JSON form of the map.
type takeoverDocument struct {
	Schema    string          `json:"schema"`
	PID       int             `json:"pid"`
	File      string          `json:"file"`
	Possible  bool            `json:"possible"`
	Processes []mappedProcess `json:"processes"`
	Sockets   []mappedSocket  `json:"sockets"`
	Problems  []mappedProblem `json:"problems"`
}

type mappedProcess struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	PID    int    `json:"pid,omitempty"`
	Stdout string `json:"stdout_logfile,omitempty"`
	Stderr string `json:"stderr_logfile,omitempty"`
}

type mappedSocket struct {
	Network string   `json:"network"`
	Address string   `json:"address"`
	Users   []string `json:"users"`
}

type mappedProblem struct {
	Kind    string `json:"kind"`
	Process string `json:"process,omitempty"`
	Text    string `json:"text"`
	Forced  bool   `json:"forced"`
	WayOut  string `json:"way_out"`
}

func (o *other) document(out io.Writer, path string) error {
	d := takeoverDocument{
		Schema: "graced.takeover/v1", PID: o.pid, File: path, Possible: o.plan.Refusal() == nil,
		Processes: []mappedProcess{}, Sockets: []mappedSocket{}, Problems: []mappedProblem{},
	}
	for _, p := range o.told.Processes {
		name := process.Namespec{Group: p.Group, Process: p.Name}
		d.Processes = append(d.Processes, mappedProcess{name.String(), p.State.String(), p.PID, p.StdoutLog, p.StderrLog})
	}
	for _, s := range o.plan.Sockets {
		one := mappedSocket{s.Network, s.Address, []string{}}
		for _, u := range s.Users {
			one.Users = append(one.Users, u.String())
		}
		d.Sockets = append(d.Sockets, one)
	}
	for _, p := range o.plan.Problems {
		one := mappedProblem{Kind: string(p.Kind), Text: p.Text, Forced: p.Forced, WayOut: waysOut[p.Kind]}
		if p.Process != (process.Namespec{}) {
			one.Process = p.Process.String()
		}
		d.Problems = append(d.Problems, one)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// Kinds of problems that only the files and the command line know of.
const (
	surplus    takeover.Kind = "new"        // supervisord does not have a process
	unserved   takeover.Kind = "socket"     // the files do not have a socket
	foreground takeover.Kind = "foreground" // it does not run in the background
	listening  takeover.Kind = "listener"   // whether an event listener is READY is not seen
	mood       takeover.Kind = "mood"       // it is about to end
)

// waysOut says what to do about each kind.
var waysOut = map[takeover.Kind]string{
	takeover.NoRight:       "do it as root, or as the user of supervisord, where nothing forbids ptrace",
	takeover.OldKernel:     "stop supervisord and start graced: the processes are restarted then",
	takeover.NotSupervisor: "the program of a graced that runs is replaced with `gracectl upgrade`",
	takeover.OtherUser:     "do it as that user; with --force, programs without user= start as this one",
	takeover.OtherSpace:    "do it inside the container that supervisord is in",
	takeover.Init:          "start the container anew, with graced",
	takeover.Unit:          "make the service leave its processes alone (KillMode=process, Restart=no, daemon-reload) and use --force, or stop it and start graced",
	takeover.Halted:        "let it go on (kill -CONT), or detach the debugger",
	takeover.Threads:       "remove the plugin, or --force",
	takeover.UnknownChild:  "wait until it has ended, or end it",
	takeover.Changed:       "try it again, and stop what is started again and again",
	takeover.Busy:          "try it again when its processes write less",
	takeover.Transition:    "wait until that is over, or stop it with `supervisorctl stop`; with --force graced goes on as it thinks best",
	takeover.Suspended:     "let it go on (kill -CONT), or --force",
	takeover.Pipes:         "`supervisorctl restart` the process, or stop it for the take-over",
	takeover.Request:       "end `supervisorctl tail -f`, `fg` and the like, or --force",
	takeover.Settings:      "make them agree (`supervisorctl update`, or correct the files), or --force: what was found goes on, and is then updated to the files",
	surplus:                "`supervisorctl update`, or take it out of the files, or --force: it is started",
	takeover.NoProgram:     "put it into the files, or stop and remove it with `supervisorctl stop` and `supervisorctl remove`",
	unserved:               "put the server back into the files; with --force it is closed",
	foreground:             "`graced takeover -n` stays in the foreground, where you are; `setsid graced takeover -n` in the background",
	listening:              "stop it with `supervisorctl stop`, and start it afterwards; with --force it gets no event before it says READY once more",
	mood:                   "wait for its end, and start graced",
}

// refused shows the problems of a refusal with the ways out.
func refused(err error) error {
	var r *takeover.Refused
	if !errors.As(err, &r) {
		return err
	}
	lines := []string{"supervisord cannot be taken over:"}
	for i, p := range r.Problems {
		lines = append(lines, "  "+p.String())
		if way := waysOut[p.Kind]; way != "" && (i+1 == len(r.Problems) || r.Problems[i+1].Kind != p.Kind) {
			lines = append(lines, "    -> "+way)
		}
	}
	return &usageError{strings.Join(append(lines, "nothing was changed"), "\n")}
}

// socketKeys tells under which key each of the sockets is looked for, "" = nobody will.
func socketKeys(c *config.Config, sockets []takeover.Socket) []string {
	wanted := map[string][2]string{} // key → network and address
	for _, s := range serverConfigs(c.Servers) {
		if s.Unix {
			wanted[s.Key()] = [2]string{"unix", s.File}
		} else {
			wanted[s.Key()] = [2]string{"tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))}
		}
	}
	for _, g := range c.Groups {
		for _, p := range g.Processes {
			network, address, ok := strings.Cut(p.Socket.URL, "://")
			if ok {
				wanted[host.SocketKey(p.Socket.URL)] = [2]string{network, address}
			}
		}
	}
	keys := make([]string, len(sockets))
	for i, s := range sockets {
		best := 0
		for key, w := range wanted {
			if fit := fits(s, w[0], w[1]); fit > best {
				keys[i], best = key, fit
			}
		}
	}
	return keys
}

// fits tells how well a socket is one that the files name: 0 = it is another one. A name of a host may stand for any address.
func fits(s takeover.Socket, network, address string) int {
	if s.Address == address && strings.HasPrefix(s.Network, network) {
		return 3
	}
	name, port, err := net.SplitHostPort(address)
	ip, itsPort, other := net.SplitHostPort(s.Address)
	switch {
	case network != "tcp" || s.Network == "unix" || err != nil || other != nil || port != itsPort:
		return 0
	case name == "" && net.ParseIP(ip).IsUnspecified():
		return 2
	case name != "" && net.ParseIP(name) == nil:
		return 1
	}
	return 0
}
