package sim

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// Script runs stories: files of blocks, each some commands, a line "----" and what then happened, ended by an empty line. Lines that start
// with # are comments. The commands:
//
//	quirks [name...]                   choose the reference's behaviour in some points; first of all
//	group NAME [priority=N]            begin a group
//	program NAME [option=value...]     define a member of it; options are those of a [program:x] with , for blanks, and lives=LIFE[,LIFE...]
//	drop NAME                          a group is not defined any more
//	found G:P STATE [option=value...]  it is there already at the next boot: started=TIME, since=TIME, tries=N, code=N, undecided=true
//	boot                               add all groups that were defined since the last boot
//	until TIME, wait TIME              let time pass
//	delay TIME                         from now on outcomes of spawns and signals are known only after so long
//	start NAME [nowait], stop NAME [nowait]     NAME is p, g:p, g:* or all
//	signal NAME SIGNAL                 e.g. signal a USR1
//	write NAME
//	apply GROUP [NAME...], leave GROUP [NAME...]   a grace plan: these shall be the members
//	addprocess G:P, removeprocess G:P [departed]
//	addgroup NAME, removegroup NAME
//	update [GROUP...]                  a minimal update to what is defined now
//	act start|stop|restart NAME... [atonce=N] [now]      the same as an operation
//	refresh NAME                       have it read its own configuration again
//	hurry NAME                         skip what is left of stops
//	cancelupdate N                     the operation of request N begins nothing new
//	pauseupdate N, resumeupdate N      it begins nothing new meanwhile
//	cancel N                           nobody waits for request N any more
//	shutdown, restart; sigterm         the last is a shutdown that nobody waits for
//	status                             print the state of everything
//
// A group that is defined again replaces the definition it had. A command that an update is in the way of waits for that, or is
// refused where the update is paused.
//
// A drain_command, reload_command, pre_start, post_ready, pre_stop or post_stop is how it goes: "TIME" or "TIME/CODE", "never" (it does not end by itself) or "none" (it cannot be started); it has five seconds, or with
// drain_timeout=forever behind it as long as it takes.
//
// A LIFE is "forever", "TIME/CODE" (how long it lasts, and its exit code) or "fork" (there is no process), with "+term=TIME" or "+term=never"
// (how it takes the stop signal; default 10ms), "+kill=TIME", "+denied" (it cannot be signalled) and "+ready=TIME" or "+ready=never" (when a check finds
// it ready, of a program with the option ready) and "+dead=TIME" (when a check finds it dead, of a program with the option alive). In depends_on items have +
// between them. The option alive names what follows then: restart, stop or none. Requests are numbered from 1.
type Script struct {
	world  *World
	opts   core.Options
	groups []Group                         // defined since the last boot
	found  map[process.Namespec]core.Found // at the next boot
	files  []Group                         // all that are defined
	req    uint64
	shown  int // facts of the world that were printed
}

// Run plays a story and returns it with what happened now in place of what was expected.
func (s *Script) Run(story string) (string, error) {
	s.opts.Strict = true
	var out strings.Builder
	var block []string
	lines := strings.Split(strings.TrimRight(story, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line != "----" {
			fmt.Fprintln(&out, line)
			if line != "" && !strings.HasPrefix(line, "#") {
				block = append(block, line)
			}
			continue
		}
		for i+1 < len(lines) && lines[i+1] != "" {
			i++
		}
		text, err := s.block(block)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "----\n%s", text)
		block = nil
	}
	if len(block) > 0 {
		return "", fmt.Errorf("no ---- after %q", block[len(block)-1])
	}
	return out.String(), nil
}

func (s *Script) block(lines []string) (string, error) {
	var extra strings.Builder
	for _, line := range lines {
		if err := s.line(strings.Fields(line), &extra); err != nil {
			return "", fmt.Errorf("cannot run %q: %v", line, err)
		}
	}
	var out strings.Builder
	if s.world != nil {
		for _, f := range s.world.Trace[s.shown:] {
			fmt.Fprintf(&out, "%7.3f %s\n", float64(f.At)/second, factText(f))
		}
		s.shown = len(s.world.Trace)
	}
	if out.Len()+extra.Len() == 0 {
		return "nothing\n", nil
	}
	return out.String() + extra.String(), nil
}

// factText renders a fact for people.
func factText(f Fact) string {
	switch f.Kind {
	case "state":
		return f.Subject + " " + f.Text
	case "signal":
		return f.Subject + " <- signal " + f.Text
	case "log":
		return "  " + f.Text
	case "halt":
		return "halt, restart " + f.Text
	default:
		return f.Kind + " " + f.Subject + " " + f.Text
	}
}

func (s *Script) line(words []string, out *strings.Builder) error {
	args := words[1:]
	switch words[0] {
	case "quirks":
		return s.quirks(args)
	case "group":
		g, err := groupOf(args)
		s.groups = append(s.groups, g)
		s.define(g)
		return err
	case "drop":
		s.files = slices.DeleteFunc(s.files, func(g Group) bool { return g.Name == args[0] })
		return nil
	case "program":
		if len(s.groups) == 0 {
			return fmt.Errorf("no group")
		}
		p, err := programOf(args)
		g := &s.groups[len(s.groups)-1]
		g.Programs = append(g.Programs, p)
		s.define(*g)
		if s.world != nil {
			s.world.Define(*g)
		}
		return err
	case "found":
		name, f, err := foundOf(args)
		if s.found == nil {
			s.found = map[process.Namespec]core.Found{}
		}
		s.found[name] = f
		return err
	case "boot":
		s.boot()
		return nil
	}
	if s.world == nil {
		return fmt.Errorf("not booted")
	}
	switch words[0] {
	case "until", "wait", "delay":
		d, err := time.ParseDuration(args[0])
		switch words[0] {
		case "until":
			s.world.Until(d)
		case "wait":
			s.world.Until(s.world.Now() + d)
		default:
			s.world.Delay = d
		}
		return err
	case "status":
		s.status(out)
		return nil
	case "sigterm":
		s.world.Input(core.Command{Do: core.Quit{}})
	default:
		c, err := commandOf(words[0], args)
		if err != nil {
			return err
		}
		if c.Cancel == 0 {
			s.req++
			c.Req = s.req
		}
		if c.Op == "update" {
			s.groups, s.world.Want = nil, nil
			for _, g := range s.files {
				s.world.Want = append(s.world.Want, g.spec())
			}
		}
		s.world.Command(c)
	}
	s.world.Until(s.world.Now()) // outcomes that are known at once
	return nil
}

// define puts a group in the place of the one of its name.
func (s *Script) define(g Group) {
	i := slices.IndexFunc(s.files, func(o Group) bool { return o.Name == g.Name })
	if i < 0 {
		s.files = append(s.files, g)
		return
	}
	s.files[i] = g
}

func (s *Script) boot() {
	if s.world == nil {
		s.world = NewWorld(s.opts, nil)
		s.world.Verbose = true
	}
	var specs []process.GroupSpec
	for _, g := range s.groups {
		s.world.Define(g)
		specs = append(specs, g.spec())
	}
	s.world.Add(specs, s.found)
	s.groups, s.found = nil, nil
	s.world.Until(s.world.Now())
}

func (s *Script) quirks(names []string) error {
	for _, name := range names {
		if name == "StopAscending" {
			s.opts.StopAscending = true
			continue
		}
		f := reflect.ValueOf(&s.opts.Quirks).Elem().FieldByName(name)
		if !f.IsValid() {
			return fmt.Errorf("no such quirk: %s", name)
		}
		f.SetBool(true)
	}
	return nil
}

func (s *Script) status(out *strings.Builder) {
	for _, st := range s.world.Core.Statuses() {
		fmt.Fprintf(out, "        %v %v", st.Namespec(), st.State)
		if st.PID != 0 {
			fmt.Fprintf(out, " pid %d", st.PID)
		}
		if st.HasExit {
			fmt.Fprintf(out, " (%v)", st.Exit)
		}
		if st.SpawnErr != "" {
			fmt.Fprintf(out, " %q", st.SpawnErr)
		}
		if st.Waits != "" {
			fmt.Fprintf(out, " %s", st.Waits)
		}
		if st.Leaving {
			fmt.Fprint(out, " leaving")
		}
		fmt.Fprintln(out)
	}
}

// commandOf translates a line into a command.
func commandOf(op string, args []string) (Command, error) {
	c := Command{Op: op, Wait: true}
	if len(args) > 0 {
		c.Name = args[0]
	}
	switch op {
	case "start", "stop":
		c.Op += "Process"
		if c.Name == "all" {
			c.Op, c.Name = op+"AllProcesses", ""
		}
		c.Wait = len(args) < 2 || args[1] != "nowait"
	case "signal":
		c.Op = "signalProcess"
		if c.Name == "all" {
			c.Op, c.Name = "signalAllProcesses", ""
		}
		c.Signal = int(signalOf(args[1]))
	case "apply", "leave":
		c.Desired = args[1:]
	case "act":
		for _, a := range args[1:] {
			if n, ok := strings.CutPrefix(a, "atonce="); ok {
				c.AtOnce, _ = strconv.Atoi(n)
				continue
			}
			if a == "now" {
				c.Now = true
				continue
			}
			c.Desired = append(c.Desired, a)
		}
	case "update":
		c.Name = ""
		if len(args) > 0 {
			c.Desired = args
		}
	case "addprocess":
		c.Op = "addProcess"
	case "removeprocess":
		c.Op, c.Wait = "removeProcess", len(args) > 1 && args[1] == "departed"
	case "addgroup":
		c.Op = "addProcessGroup"
	case "removegroup":
		c.Op = "removeProcessGroup"
	case "cancel":
		n, err := strconv.ParseUint(c.Name, 10, 64)
		c.Cancel = n
		return c, err
	case "write", "hurry", "refresh", "shutdown", "restart", "cancelupdate", "pauseupdate", "resumeupdate":
	default:
		return c, fmt.Errorf("no such command")
	}
	return c, nil
}

func groupOf(args []string) (Group, error) {
	g := Group{Name: args[0], Priority: 999}
	for _, a := range args[1:] {
		value, ok := strings.CutPrefix(a, "priority=")
		n, err := strconv.Atoi(value)
		if !ok || err != nil {
			return g, fmt.Errorf("option %s", a)
		}
		g.Priority = n
	}
	return g, nil
}

// foundOf reads how a process is found.
func foundOf(args []string) (name process.Namespec, f core.Found, err error) {
	name = process.ParseNamespec(args[0])
	i := slices.IndexFunc(process.States, func(s process.State) bool { return s.String() == args[1] })
	if i < 0 {
		return name, f, fmt.Errorf("no such state")
	}
	f.State = process.States[i]
	for _, a := range args[2:] {
		option, value, _ := strings.Cut(a, "=")
		switch option {
		case "started":
			f.Started, err = time.ParseDuration(value)
		case "since":
			f.Since, err = time.ParseDuration(value)
		case "tries":
			f.Tries, err = strconv.Atoi(value)
		case "code":
			f.HasExit = true
			f.Exit.Code, err = strconv.Atoi(value)
		case "undecided":
			f.Undecided = true
		default:
			err = fmt.Errorf("no such option")
		}
		if err != nil {
			return name, f, fmt.Errorf("option %s: %v", a, err)
		}
	}
	return name, f, nil
}

// programOf reads a program with Supervisor's defaults.
func programOf(args []string) (Program, error) {
	p := Program{
		Name: args[0], Priority: 999, StartSecs: 1, StartRetries: 3, StopWaitSecs: 10, Autostart: true, ExitCodes: []int{0},
		StopSignal: int(process.SIGTERM), Lives: []Life{{Lasts: -1, Stop: 10_000, Kill: 1000, Stops: -1}},
	}
	for _, a := range args[1:] {
		name, value, _ := strings.Cut(a, "=")
		n, err := strconv.Atoi(value)
		on := value == "true"
		switch name {
		case "priority":
			p.Priority = n
		case "startsecs":
			p.StartSecs = n
		case "startretries":
			p.StartRetries = n
		case "stopwaitsecs":
			p.StopWaitSecs = n
		case "autostart":
			p.Autostart, err = on, nil
		case "stopasgroup":
			p.StopAsGroup, err = on, nil
		case "killasgroup":
			p.KillAsGroup, err = on, nil
		case "backoff":
			p.Backoff, err = config.ParseBackoff(strings.ReplaceAll(value, ",", " "))
		case "restart_limit":
			p.RestartLimit, err = config.ParseRate(value)
		case "breaker":
			p.Breaker, err = config.ParseRate(value)
		case "depends_on": // with + between
			list, bad := config.ParseDepends(strings.ReplaceAll(value, "+", ","))
			p.gently(func(s *process.Spec) { s.DependsOn = list })
			err = bad
		case "essential":
			e := map[string]process.Essential{"on_exit": process.EssentialExit, "on_fatal": process.EssentialFatal}[value]
			p.gently(func(s *process.Spec) { s.Essential = e })
			err = nil
		case "ready": // in the lives, a check finds it so
			p.gently(func(s *process.Spec) { s.Health.Ready.Kind = process.CheckExec })
			err = nil
		case "alive": // in the lives, a check finds it dead
			a, known := map[string]process.AliveAction{"restart": process.AliveRestart, "stop": process.AliveStop, "none": process.AliveNone}[value]
			p.gently(func(s *process.Spec) { s.Health.Alive.Kind, s.Health.AliveAction = process.CheckExec, a })
			if err = nil; !known {
				err = fmt.Errorf("no such action")
			}
		case "stop_tree":
			p.StopTree, err = on, nil
		case "kill_tree":
			p.KillTree, err = on, nil
		case "stop_steps":
			steps, bad := stepsOf(value)
			p.gently(func(s *process.Spec) { s.StopSteps = steps })
			err = bad
		case "drain_signal", "drain_command", "reload_signal", "reload_command":
			d := process.TellSpec{Timeout: 5 * time.Second}
			if d.Signal = signalOf(value); d.Signal == 0 {
				d.Command = value
			}
			p.gently(func(s *process.Spec) {
				if strings.HasPrefix(name, "drain") {
					s.Drain = d
				} else {
					s.Reload = d
				}
			})
			err = nil
		case "drain_timeout":
			p.gently(func(s *process.Spec) { s.Drain.Timeout = process.Forever })
			err = nil
		case "pre_start", "post_ready", "pre_stop", "post_stop":
			p.gently(func(s *process.Spec) {
				*hookOf(&s.Hooks, name) = process.HookSpec{Command: value, Timeout: 5 * time.Second}
			})
			err = nil
		case "pre_start_on_failure":
			p.gently(func(s *process.Spec) { s.Hooks.OnPreStart = process.HookIgnored })
			err = nil
		case "post_ready_on_failure":
			p.gently(func(s *process.Spec) { s.Hooks.OnPostReady = process.PostFails })
			err = nil
		case "exitcodes":
			p.ExitCodes = []int{n}
		case "autorestart":
			p.Autorestart, err = map[string]int{"unexpected": 0, "false": 1, "true": 2}[value], nil
		case "num":
			p.Num = n
		case "section":
			p.Section, err = value, nil
		case "command":
			p.Command, err = value, nil
		case "stdout":
			p.Stdout, err = value, nil
		case "socket":
			p.Socket, err = value, nil
		case "lives":
			p.Lives, err = livesOf(value)
		default:
			err = fmt.Errorf("no such option")
		}
		if err != nil {
			return p, fmt.Errorf("option %s: %v", a, err)
		}
	}
	return p, nil
}

// hookOf returns the command of a moment.
func hookOf(h *process.Hooks, name string) *process.HookSpec {
	return map[string]*process.HookSpec{"pre_start": &h.PreStart, "post_ready": &h.PostReady, "pre_stop": &h.PreStop, "post_stop": &h.PostStop}[name]
}

// stepsOf reads steps such as USR1:5s,TERM:2s,KILL.
func stepsOf(text string) (steps []process.StopStep, err error) {
	for word := range strings.SplitSeq(text, ",") {
		name, wait, timed := strings.Cut(word, ":")
		step := process.StopStep{Signal: signalOf(name), Wait: process.Forever}
		if timed && err == nil {
			step.Wait, err = time.ParseDuration(wait)
		}
		steps = append(steps, step)
	}
	return steps, err
}

func signalOf(name string) process.Signal {
	for n := process.Signal(1); n < 65; n++ {
		if n.String() == "SIG"+name {
			return n
		}
	}
	return 0
}

func livesOf(text string) (lives []Life, err error) {
	for word := range strings.SplitSeq(text, ",") {
		parts := strings.Split(word, "+")
		l := Life{Lasts: -1, Stop: 10_000, Stops: -1, Kill: 1000}
		lasts, code, ends := strings.Cut(parts[0], "/")
		switch {
		case parts[0] == "fork":
			l.Fork = "EAGAIN"
		case ends:
			if l.Code, err = strconv.Atoi(code); err == nil {
				l.Lasts, err = microsecondsOf(lasts)
			}
		case parts[0] != "forever":
			err = fmt.Errorf("no such life: %s", parts[0])
		}
		for _, extra := range parts[1:] {
			name, value, _ := strings.Cut(extra, "=")
			switch {
			case err != nil:
			case name == "term" && value == "never":
				l.Stop = -1
			case name == "term":
				l.Stop, err = microsecondsOf(value)
			case name == "kill":
				l.Kill, err = microsecondsOf(value)
			case name == "ready" && value == "never":
				l.Ready = -1
			case name == "ready":
				l.Ready, err = microsecondsOf(value)
			case name == "dead":
				l.Dead, err = microsecondsOf(value)
			case name == "denied":
				l.Denied = true
			default:
				err = fmt.Errorf("no such detail: %s", name)
			}
		}
		if err != nil {
			return nil, err
		}
		lives = append(lives, l)
	}
	return lives, nil
}

func microsecondsOf(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	return d.Microseconds(), err
}
