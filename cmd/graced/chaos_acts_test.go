package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// chaosCommand is something that a client does in a scene.
type chaosCommand struct {
	kind   string // for the tally
	text   string
	delay  time.Duration
	do     func() (result string)
	result string
	check  func() // once all is at rest: what was promised has happened
}

// soon is a random moment of the scene.
func (c *chaos) soon() time.Duration { return time.Duration(c.IntN(300)) * time.Millisecond }

// Of these there is one at a time.
const (
	changeKind = "changes of the files"
	inputKind  = "writes to a standard input"
)

// commands makes up to n commands, no two of which have to do with the same program.
func (c *chaos) commands(n int) []*chaosCommand {
	var out []*chaosCommand
	taken := map[string]bool{}
	for range n {
		make := []func(program string) *chaosCommand{c.restart, c.restart, c.stop, c.input, c.exitOnce, c.change, c.change, c.watch, c.remote, c.reopen, c.upgrade}[c.IntN(11)]
		p := chaosPrograms[c.IntN(len(chaosPrograms))].name
		cmd, touched := make(p), []string{p}
		switch {
		case cmd == nil:
			continue
		case cmd.kind == changeKind:
			touched = []string{"flip", "gate", "base", "app", "lines", "told"} // an update of the old kind starts all of these
		case p == "base" || p == "app": // who starts what depends on another that somebody stops waits without end
			touched = []string{"base", "app"}
		}
		switch {
		case taken[cmd.kind] || slices.ContainsFunc(touched, func(p string) bool { return taken[p] }):
		default:
			taken[cmd.kind] = cmd.kind == changeKind || cmd.kind == inputKind
			for _, p := range touched {
				taken[p] = true
			}
			cmd.delay = c.soon()
			if cmd.check == nil {
				cmd.check = func() {}
			}
			out = append(out, cmd)
		}
	}
	return out
}

// ask is a command line of a client, which is killed now and then. done is called when it said that all is done.
func (c *chaos) ask(kind string, done func(), args ...string) *chaosCommand {
	name := []string{"gracectl", "gracectl", "supervisorctl"}[c.IntN(3)]
	if args[0] == "upgrade" || slices.Contains(args, "-y") {
		name = "gracectl"
	}
	fate, dies := time.Duration(c.IntN(200))*time.Millisecond, c.IntN(5) == 0
	code := -1
	cmd := &chaosCommand{kind: kind, text: name + " " + strings.Join(args, " ")}
	cmd.do = func() string {
		e := exec.Command(filepath.Join(c.bin, name), append([]string{"-c", filepath.Join(c.dir, "s.conf")}, args...)...)
		var out strings.Builder
		e.Stdout, e.Stderr = &out, &out
		if err := e.Start(); err != nil {
			return err.Error()
		}
		if dies {
			defer time.AfterFunc(fate, func() { _ = e.Process.Kill() }).Stop()
		}
		_ = e.Wait() // the code says it
		code = e.ProcessState.ExitCode()
		return fmt.Sprintf("exit %d: %s", code, strings.TrimSpace(out.String()))
	}
	cmd.check = func() {
		switch {
		case dies && code == -1:
			c.count("clients killed")
		case code == 0 && name == "gracectl" && !c.forgetful:
			done()
		case strings.Contains(cmd.result, "panic"):
			c.t.Errorf("%s: %s", cmd.text, cmd.result)
		}
	}
	return cmd
}

// some returns a target within a program: a process or all of them.
func (c *chaos) some(program string) (target, pattern string) {
	if c.IntN(2) == 0 {
		return program + ":*", program
	}
	i := slices.IndexFunc(chaosPrograms, func(p chaosProgram) bool { return p.name == program })
	name := fmt.Sprintf("%s_%d", program, c.IntN(chaosPrograms[i].numprocs))
	return program + ":" + name, name
}

func (c *chaos) restart(program string) *chaosCommand {
	target, pattern := c.some(program)
	c.may(pattern, "restart")
	return c.ask("restarts", func() {
		now := c.lives()
		for name, life := range c.before {
			if (name == pattern || program == pattern && strings.HasPrefix(name, program+"_")) && now[name] == life {
				c.t.Errorf("restart of %s: %s is the same", target, name)
			}
		}
	}, "restart", target)
}

func (c *chaos) stop(program string) *chaosCommand {
	target, pattern := c.some(program)
	c.may(pattern, "stop")
	return c.ask("stops", func() {
		for name, p := range c.infos() {
			if (name == pattern || c.before[name] != "" && p.Group == pattern) && p.State != process.Stopped && p.State != process.Exited {
				c.t.Errorf("stop of %s: %s is %v", target, name, p.State)
			}
		}
	}, "stop", target)
}

// change changes the files and has the daemon follow.
func (c *chaos) change(string) *chaosCommand {
	next := c.files
	switch c.IntN(8) {
	case 0, 1:
		return c.breakGate()
	case 2, 3:
		return c.pauseRoll()
	}
	switch c.IntN(8) {
	case 6, 7:
		next.stack++
		c.may("base", "another release")
		c.may("app", "another release")
		return c.with(next, c.ask(changeKind, func() {}, "update", "-y")) // supervisorctl has no order
	case 0:
		next.generation++
		c.may("flip", "another command")
	case 1, 2:
		next.flips = c.IntN(5) - 2
		c.may("flip", "another number")
	case 3:
		next.patience = c.IntN(3)
	case 4, 5:
		next.release++
		c.may("gate", "another release")
		c.count("releases")
	}
	cmd := c.ask(changeKind, func() {}, "update")
	if strings.HasPrefix(cmd.text, "supervisorctl") { // which restarts whatever has changed
		c.may("flip", "an update of the old kind")
		c.may("gate", "an update of the old kind")
		c.may("lines", "an update of the old kind")
		c.may("told", "an update of the old kind")
	}
	return c.with(next, cmd)
}

// with has the files say something before a command.
func (c *chaos) with(next files, cmd *chaosCommand) *chaosCommand {
	do := cmd.do
	cmd.do = func() string {
		c.rewrite(func(f *files) { *f = next })
		return do()
	}
	return cmd
}

func (c *chaos) rewrite(change func(*files)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.files
	if change(&c.files); c.files == was {
		return
	}
	aside := *c.rig
	aside.dir = c.path("aside") // somebody may be about to read the files
	aside.write(c.conf())
	if err := os.Rename(filepath.Join(aside.dir, "s.conf"), c.path("s.conf")); err != nil {
		c.t.Error(err)
	}
}

// breakGate rolls out a release that ends at once, or never becomes ready: all get back what they had.
func (c *chaos) breakGate() *chaosCommand {
	c.broken++
	next := c.files
	next.broken = c.broken
	c.may("gate", "a broken release")
	cmd := c.ask(changeKind, func() { c.t.Error("a broken release was rolled out") }, "update", "-y")
	check := cmd.check
	cmd.check = func() {
		check()
		if c.forgetful { // nobody knows of the roll any more
			return
		}
		if strings.HasPrefix(cmd.result, "exit 10:") {
			c.count("broken releases taken back")
		}
		for _, s := range c.scan() {
			if s.name != "" && program(s.name) == "gate" && strings.HasPrefix(s.generation, "broken") {
				c.t.Errorf("%s is of a broken release", s.name)
			}
		}
	}
	return c.with(next, cmd)
}

// pauseRoll rolls out a release and pauses it in the middle. Then it goes on or is cancelled; meanwhile somebody may restart a process of it.
func (c *chaos) pauseRoll() *chaosCommand {
	next := c.files
	next.release++
	c.may("gate", "another release")
	cmd := c.ask(changeKind, func() {}, "update", "-y")
	before, meanwhile := c.soon(), c.soon()
	end, restarts := []string{"resume", "resume", "cancel"}[c.IntN(3)], c.IntN(2) == 0
	do := cmd.do
	cmd.do = func() string {
		over, decided := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(decided)
			var rolls []string
			for rolls == nil {
				select {
				case <-over:
					return
				case <-time.After(before): // it may have to wait for others
					rolls = c.inState(control.OperationRunning)
				}
			}
			for _, id := range rolls {
				out, code := c.ctl("gracectl", "pause", id)
				c.tell("pause %s: exit %d: %s", id, code, strings.TrimSpace(out))
				if code != 0 {
					continue
				}
				c.count("rolls paused")
				if restarts {
					out, code = c.ctl("gracectl", "restart", "gate:gate_1")
					c.tell("restart: exit %d: %s", code, strings.TrimSpace(out))
				}
				<-time.After(meanwhile)
				out, code = c.ctl("gracectl", end, id)
				c.tell("%s %s: exit %d: %s", end, id, code, strings.TrimSpace(out))
			}
			c.resumeUntil(over) // the daemon may have been away
		}()
		result := do()
		close(over)
		<-decided
		return result
	}
	return c.with(next, cmd)
}

// inState lists the operations that are in a state, none if nobody answers.
func (c *chaos) inState(state control.OperationState) (ids []string) {
	ctx, cancel := c.patience()
	defer cancel()
	list, _ := c.Operations(ctx) // the daemon may be away
	for _, op := range list {
		if op.State == state {
			ids = append(ids, op.ID)
		}
	}
	return ids
}

// resumeUntil lets go on what is paused, again and again.
func (c *chaos) resumeUntil(over <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			c.resume()
		}
	}
}

// resume lets go on what is paused.
func (c *chaos) resume() {
	for _, id := range c.inState(control.OperationPaused) {
		out, code := c.ctl("gracectl", "resume", id)
		c.tell("resume %s: exit %d: %s", id, code, strings.TrimSpace(out))
	}
}

// mend has the files say what was good.
func (c *chaos) mend() { c.rewrite(func(f *files) { f.broken = 0 }) }

// input writes numbered lines to the standard input of a process.
func (c *chaos) input(string) *chaosCommand {
	name := fmt.Sprintf("reads_%d", c.IntN(2))
	in := c.inputs[name]
	if in == nil {
		in = &chaosInput{accepted: map[int]bool{}}
		c.inputs[name] = in
	}
	n := 1 + c.IntN(20)
	return &chaosCommand{kind: inputKind, text: fmt.Sprintf("%d lines to %s", n, name), do: func() string {
		good := 0
		for range n {
			in.last++
			once, err := client.New("unix://"+c.path("s.sock"), "", "") // one that has been used before asks twice when its connection breaks
			if err != nil {
				return err.Error()
			}
			err = once.WriteStdin(c.t.Context(), "reads:"+name, []byte(strconv.Itoa(in.last)+"\n"))
			once.Close()
			if err == nil {
				in.accepted[in.last] = true
				good++
			}
		}
		return fmt.Sprintf("%d accepted", good)
	}}
}

// exitOnce has a process exit with a code of the test's choice.
func (c *chaos) exitOnce(string) *chaosCommand {
	name := fmt.Sprintf("once_%d", c.IntN(3))
	if c.licences[name] != "" {
		return nil
	}
	code := c.IntN(256)
	c.may(name, "was told to exit")
	return &chaosCommand{kind: "exits with a code", text: fmt.Sprintf("%s is to exit with %d", name, code), do: func() string {
		return fmt.Sprint(c.WriteStdin(c.t.Context(), "once:"+name, fmt.Appendf(nil, "exit %d\n", code)))
	}}
}

// watch is a client that follows a log or asks for this and that, and may be killed.
func (c *chaos) watch(string) *chaosCommand {
	switch c.IntN(3) {
	case 0:
		return c.ask("questions", func() {}, "status")
	case 1:
		return c.ask("questions", func() {}, "tail", "lines:lines_0")
	}
	return &chaosCommand{kind: "followers of a log", text: "follow lines_0", do: func() string {
		ctx, cancel := context.WithTimeout(c.t.Context(), 300*time.Millisecond)
		defer cancel()
		s, err := c.Stream(ctx, "/logtail/lines:lines_0")
		if err != nil {
			return err.Error()
		}
		defer s.Close()
		n := 0
		for buf := make([]byte, 1000); err == nil; {
			var m int
			m, err = s.Read(buf)
			n += m
		}
		return fmt.Sprintf("%d bytes, then %v", n, err)
	}}
}

func (c *chaos) upgrade(string) *chaosCommand {
	c.upgrading = true
	if c.IntN(3) == 0 {
		return c.ask("upgrades", func() {}, "upgrade")
	}
	return c.ask("upgrades to another program, which the keeper becomes, too", func() {}, "upgrade", filepath.Join(c.dir, []string{"one", "two"}[c.IntN(2)]))
}

func (c *chaos) remote(string) *chaosCommand {
	data := strings.Repeat("d", c.IntN(10000)) // more than goes into a pipe in one piece
	return &chaosCommand{kind: "remote events", text: "remote event", do: func() string {
		return fmt.Sprint(c.SendRemote(c.t.Context(), "kind", data))
	}}
}

func (c *chaos) reopen(string) *chaosCommand {
	return &chaosCommand{kind: "SIGUSR2", text: "SIGUSR2", do: func() string {
		return fmt.Sprint(syscall.Kill(c.keeperPID(), syscall.SIGUSR2))
	}}
}

// mishap is something that goes wrong in a scene.
type mishap struct {
	text  string
	delay time.Duration
	do    func()
}

// mishaps makes n mishaps.
func (c *chaos) mishaps(n int) (out []mishap) {
	for range n {
		m := mishap{delay: c.soon()}
		pause := time.Duration(c.IntN(400)) * time.Millisecond
		switch c.IntN(21) {
		case 0, 1, 2, 3, 4:
			m.text, m.do = "daemon killed", func() { c.hit(c.theDaemon(), syscall.SIGKILL) }
		case 5, 6, 7, 8:
			m.text, m.do = "keeper killed", func() { c.hit(c.keeperPID(), syscall.SIGKILL) }
		case 9:
			m.text, m.do = "daemon frozen", func() { c.freeze(c.theDaemon(), pause, func() {}) }
		case 10:
			m.text, m.do = "keeper frozen", func() { c.freeze(c.keeperPID(), pause, func() {}) }
		case 11:
			m.text, m.do = "daemon killed while the keeper was frozen", func() {
				daemon := c.theDaemon()
				c.freeze(c.keeperPID(), pause, func() { c.hit(daemon, syscall.SIGKILL) })
			}
		case 12:
			m.text, m.do = "keeper killed while the daemon was frozen", func() {
				keeper := c.keeperPID()
				c.freeze(c.theDaemon(), pause, func() { c.hit(keeper, syscall.SIGKILL) })
			}
		case 13:
			victim := c.victim()
			m.text, m.do = "child killed while the daemon was frozen, which is killed then", func() {
				daemon := c.theDaemon()
				c.hit(daemon, syscall.SIGSTOP)
				c.hit(victim(), syscall.SIGKILL)
				<-time.After(pause)
				c.hit(daemon, syscall.SIGKILL)
			}
		case 14, 15:
			victim := c.victim()
			m.text, m.do = "child killed", func() { c.hit(victim(), syscall.SIGKILL) }
		case 16:
			who := []func() int{c.theDaemon, c.keeperPID}[c.IntN(2)]
			few, victim := c.IntN(4), c.victim()
			m.text, m.do = "descriptors exhausted", func() { c.starve(who(), few, pause, func() { c.hit(victim(), syscall.SIGKILL) }) }
		case 17, 18:
			c.forgetful = true
			m.text, m.do = "daemon and keeper killed", func() {
				killMates(c.dir)
				<-time.After(pause)
				c.again()
			}
		case 19:
			c.lossy = true
			m.text, m.do = "logs that cannot be written", func() { c.fill(c.theDaemon(), pause) }
		case 20:
			m.text, m.do = "hook killed, if one ran", c.killHook
		}
		out = append(out, m)
	}
	return out
}

// again starts graced as at first.
func (c *chaos) again() {
	select {
	case <-c.exited:
	case <-time.After(time.Minute):
		c.t.Fatalf("who was killed does not end: %v", mates(c.dir))
	}
	c.mend() // what is started does what the files say
	c.startAgain(&c.output)
	c.tell("started again with pid %d", c.cmd.Process.Pid)
}

// hit sends a signal to a process; there is none with pid 0. Whoever is killed is dead afterwards: on a busy machine that takes its time, in which he
// may look as if nothing had happened.
func (c *chaos) hit(pid int, sig syscall.Signal) {
	if pid == 0 {
		return
	}
	c.tell("%v to %d", sig, pid)
	before, err := host.ReadStat(pid)
	_ = syscall.Kill(pid, sig) // it may have ended
	if err != nil || sig != syscall.SIGKILL {
		return
	}
	late := time.After(time.Minute)
	for tick := time.Tick(time.Millisecond); ; {
		if !alive(pid, before.StartTime) {
			return
		}
		select {
		case <-tick:
		case <-late:
			c.t.Fatalf("%d was killed and does not die", pid)
		}
	}
}

// theDaemon is the pid of the daemon that is at work.
func (c *chaos) theDaemon() (pid int) {
	c.until("there is a daemon", func() bool { pid = c.daemonPID(); return pid != 0 })
	return pid
}

// freeze stops a process for a while.
func (c *chaos) freeze(pid int, pause time.Duration, meanwhile func()) {
	c.hit(pid, syscall.SIGSTOP)
	meanwhile()
	<-time.After(pause)
	c.hit(pid, syscall.SIGCONT)
}

// victim chooses a process that may be killed from now on. Whoever it is then is asked for when it is time.
func (c *chaos) victim() func() int {
	p := chaosPrograms[c.IntN(len(chaosPrograms))]
	name := fmt.Sprintf("%s_%d", p.name, c.IntN(p.numprocs))
	c.may(name, "was killed")
	return func() int {
		for _, s := range c.scan() {
			if s.name == name && s.kind != "hook" {
				return s.pid
			}
		}
		return 0
	}
}

// killHook kills a command that runs around a process.
func (c *chaos) killHook() {
	for _, s := range c.scan() {
		if s.kind == "hook" {
			c.hookKilled = true
			c.hit(s.pid, syscall.SIGKILL)
			return
		}
	}
}

// starve leaves a process only a few descriptors more than it has.
func (c *chaos) starve(pid, few int, pause time.Duration, meanwhile func()) {
	fds := descriptors(pid)
	if len(fds) == 0 {
		return // it has just ended
	}
	c.limit(pid, unix.RLIMIT_NOFILE, uint64(slices.Max(fds)+1+few), pause, meanwhile)
}

// fill makes every write of a process to a file fail.
func (c *chaos) fill(pid int, pause time.Duration) {
	c.limit(pid, unix.RLIMIT_FSIZE, 0, pause, func() {})
	_ = c.SendRemote(c.t.Context(), "kind", "") // something to write down: what it could not is made up for
}

// limit lowers a limit of a process for a while.
func (c *chaos) limit(pid, resource int, to uint64, pause time.Duration, meanwhile func()) {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
		return // it has just ended
	}
	less := unix.Rlimit{Cur: to, Max: old.Max}
	if err := unix.Prlimit(pid, resource, &less, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		c.t.Errorf("cannot limit %d: %v", pid, err)
	}
	c.tell("limit %d of %d is %d", resource, pid, to)
	meanwhile()
	<-time.After(pause)
	if err := unix.Prlimit(pid, resource, &old, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		c.t.Errorf("cannot raise the limit of %d: %v", pid, err)
	}
	c.tell("limit %d of %d is %d", resource, pid, old.Cur)
}

// askFCGI connects to the socket of the FastCGI program, which somebody always listens at.
func (c *chaos) askFCGI() {
	conn, err := net.DialTimeout("unix", filepath.Join(c.dir, "fcgi.sock"), 10*time.Second)
	if err != nil {
		c.t.Errorf("the FastCGI program: %v", err)
		return
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // it is a socket
	answer := make([]byte, 100)
	n, err := conn.Read(answer)
	if !regexp.MustCompile(`^fcgi_[01] `).Match(answer[:n]) {
		c.t.Errorf("the FastCGI program says %q: %v", answer[:n], err)
	}
}
