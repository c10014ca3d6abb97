package takeover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// TestAbort checks that a take-over that is given up leaves no trace: supervisord answers, its logs go on, and nothing is lost or doubled in them.
func TestAbort(t *testing.T) {
	t.Parallel()
	kinds := kinds(freePort(t))
	s := startAll(t, kinds)
	before := s.info()
	for range 3 {
		plan, taken := s.seize(func(*Plan) {})
		if s.runs() {
			t.Fatal("supervisord is not stopped")
		}
		taken.Abort()
		s.await("supervisord to go on", s.runs)
		if len(plan.Problems) > 0 {
			t.Error(plan.Problems)
		}
	}
	if after := s.info(); !slices.Equal(before, after) {
		t.Errorf("supervisord tells otherwise than before:\n%v\n%v", before, after)
	}
	d, err := s.Daemon(t.Context())
	if err != nil || d.PID != s.cmd.Process.Pid || d.Mood != control.MoodRunning {
		t.Errorf("supervisord: %+v, %v", d, err)
	}
	for name, k := range kinds {
		for _, c := range before {
			if c.Name.Group != name {
				continue
			}
			for _, sig := range k.end[len(k.end)-1:] {
				pid := c.PID
				if k.grouped {
					pid = -pid
				}
				if err := unix.Kill(pid, unix.Signal(sig)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	s.checkExits(kinds)
	s.checkLogs(before, kinds)
}

// checkLogs checks that supervisord has logged each line of processes that have ended, once.
func (s *supervisord) checkLogs(all []Process, kinds map[string]kind) {
	s.Helper()
	for _, c := range all {
		k := kinds[c.Name.Group]
		if k.grouped {
			continue // supervisord hangs up when the process ends that it has started, whoever else still writes
		}
		for channel, labels := range map[string][]string{"out": k.out, "err": k.err} {
			if talks(c.Name.Group, channel) || channel == "err" && c.RedirectStderr {
				continue
			}
			check := newChecker(c.Name.Process, channel)
			check.feed(s.T, s.log(c.Name.Process, channel))
			check.verdict(s.T, labels...)
		}
	}
}

// checkExits waits for all processes to end and checks what supervisord tells of it. Those that are started again are not waited for: their logs
// would go on.
func (s *supervisord) checkExits(kinds map[string]kind) {
	s.Helper()
	s.await("all ends", func() bool {
		infos, err := s.Processes(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		return !slices.ContainsFunc(infos, func(i control.ProcessInfo) bool { return i.State != process.Exited })
	})
	infos, err := s.Processes(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, i := range infos {
		if want := kinds[i.Group].status(i.Name).Wire(); i.ExitStatus != want {
			s.Errorf("%s: exit status %d, want %d", i.Name, i.ExitStatus, want)
		}
	}
}

// found returns the problems of a kind.
func found(plan *Plan, kind Kind) (its []Problem) {
	for _, p := range plan.Problems {
		if p.Kind == kind {
			its = append(its, p)
		}
	}
	return its
}

// wants checks that the plan has exactly these kinds of problems, and that Seize refuses because of them and leaves supervisord alone.
func (s *supervisord) wants(plan *Plan, text string, kinds ...Kind) {
	s.Helper()
	var got []Kind
	for _, p := range plan.Problems {
		if p.Kind != Request {
			got = append(got, p.Kind)
		}
	}
	if !slices.Equal(got, kinds) {
		s.Errorf("problems %v, want %v", plan.Problems, kinds)
	}
	_, err := Seize(s.Context(), plan)
	if refused := (*Refused)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), text) {
		s.Errorf("Seize: %v, want a refusal with %q", err, text)
	}
	if !s.runs() && !slices.Contains(kinds, Halted) {
		s.Error("supervisord does not run any more")
	}
}

// TestRefused checks what is found that speaks against a take-over.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := start(t, program("program", "foo", 2, "BIN foo_%(process_num)d")+
		strings.Replace(program("program", "slow", 1, "BIN slow_0"), "startsecs=0", "startsecs=1000\nautostart=false", 1), syscall.SysProcAttr{})
	info := s.info()
	plan := func(change func([]Process) []Process) *Plan {
		t.Helper()
		p, err := Inspect(s.cmd.Process.Pid, change(slices.Clone(info)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	same := func(list []Process) []Process { return list }

	if p := plan(same); p.Refusal() != nil {
		t.Errorf("nothing speaks against it: %v", p.Problems)
	}
	s.wants(plan(func(list []Process) []Process { return list[1:] }), "its child", UnknownChild)
	s.wants(plan(func(list []Process) []Process { list[0].PID = os.Getpid(); return list }), "foo:foo_0: pid", Changed, UnknownChild)
	s.wants(plan(func(list []Process) []Process { list[0].PID = 0; return list }), "foo:foo_0: it is RUNNING without a pid", Changed, UnknownChild)
	s.wants(plan(func(list []Process) []Process { list[1].State = process.Stopping; return list }), "foo:foo_1: it is STOPPING", Transition)
	s.wants(plan(func(list []Process) []Process { list[2].State = process.Backoff; return list }), "slow:slow_0: it is BACKOFF", Transition)
	s.wants(plan(func(list []Process) []Process { list[0].RedirectStderr = true; return list }), "foo:foo_0: it writes to more pipes", Pipes)

	if _, err := s.Start(t.Context(), control.Target{Name: "slow:slow_0"}, false); err != nil {
		t.Fatal(err)
	}
	info = s.info()
	s.wants(plan(same), "slow:slow_0: it is STARTING", Transition)
	info[2].State = process.Running

	halt := func(pid int) {
		t.Helper()
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		s.await("a halt", func() bool { stat, err := host.ReadStat(pid); return err == nil && stat.State == 'T' })
	}
	halt(info[0].PID)
	p := plan(same)
	s.wants(p, "foo:foo_0: pid", Suspended)
	if p.Force = true; p.Refusal() != nil {
		t.Errorf("forced: %v", p.Refusal())
	}
	if err := unix.Kill(info[0].PID, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_, taken := s.seize(func(p *Plan) { p.Force = true }) // slow is on its way
	s.wants(plan(same), "traces it", Halted)
	taken.Abort()
	s.await("supervisord to go on", s.runs)
	halt(s.cmd.Process.Pid)
	p = plan(same)
	if len(found(p, Halted)) != 1 {
		t.Errorf("a stopped supervisord: %v", p.Problems)
	}
	if _, err := Seize(t.Context(), p); err == nil || s.runs() {
		t.Errorf("a supervisord that somebody else has stopped was let go on: %v", err)
	}
	if err := unix.Kill(s.cmd.Process.Pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedOthers checks what is told of processes that are no supervisord.
func TestRefusedOthers(t *testing.T) {
	p, err := Inspect(os.Getpid(), nil)
	if err != nil || len(p.Problems) != 1 || p.Problems[0].Kind != NotSupervisor {
		t.Errorf("this process: %+v, %v", p, err)
	}
	p, err = Inspect(1, nil)
	if err != nil || len(found(p, Init)) != 1 {
		t.Errorf("pid 1: %+v, %v", p, err)
	}
	if _, err = Inspect(1<<30, nil); !errors.Is(err, host.ErrGone) {
		t.Errorf("no process: %v", err)
	}
}

// TestClient checks that a supervisord is left alone while a client is connected, and taken when it has gone or when this is forced.
func TestClient(t *testing.T) {
	t.Parallel()
	s := start(t, program("program", "foo", 1, "BIN foo_0"), syscall.SysProcAttr{})
	_, taken := s.seize(func(*Plan) {})
	taken.Abort()
	plan := s.inspect()
	if _, err := s.Daemon(t.Context()); err != nil { // and the connection is kept
		t.Fatal(err)
	}
	if p, err := Inspect(s.cmd.Process.Pid, s.infoKept()); err != nil || len(found(p, Request)) != 1 || p.Refusal() != nil {
		t.Errorf("a client is connected: %+v, %v", p, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := Seize(ctx, plan); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "client") {
		t.Errorf("Seize while a client is connected: %v", err)
	}
	s.await("supervisord to go on", s.runs)
	if _, err := s.Daemon(t.Context()); err != nil {
		t.Errorf("the client's connection: %v", err)
	}
	plan.Force = true
	taken, err := Seize(t.Context(), plan)
	if err != nil {
		t.Fatalf("forced: %v", err)
	}
	taken.Abort()
	plan.Force = false
	s.Client.Close()
	if taken, err = Seize(t.Context(), plan); err != nil {
		t.Fatalf("after the client has gone: %v", err)
	}
	// Nobody else lets it go on: what it reads then would be lost.
	if err := unix.Kill(s.cmd.Process.Pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if s.runs() {
		t.Error("somebody else has let supervisord go on")
	}
	taken.Abort()
	s.await("supervisord to go on", s.runs)
	if taken, err = Seize(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	// Who ends it while it is ours does what is to be done.
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := taken.Commit(); err != nil {
		t.Errorf("a supervisord that somebody else has ended: %v", err)
	}
	<-s.ended
	p := taken.Processes[0]
	end(t, kind{end: []process.Signal{usr1}, status: byCode}, p)
	for _, fd := range []int{p.Stdin, p.Stdout, p.Stderr, taken.Sockets[0].FD} {
		unix.Close(fd)
	}
	p.Process.Close()
}

// infoKept is info without hanging up.
func (s *supervisord) infoKept() []Process {
	s.Helper()
	infos, err := s.Processes(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	var list []Process
	for _, i := range infos {
		list = append(list, Process{Name: process.Namespec{Group: i.Group, Process: i.Name}, PID: i.PID, State: i.State})
	}
	return list
}

// TestChanged checks that a plan is not carried out on another supervisord than the one that was inspected.
func TestChanged(t *testing.T) {
	t.Parallel()
	s := start(t, program("program", "foo", 2, "BIN foo_%(process_num)d", "autorestart=true"), syscall.SysProcAttr{})
	plan, taken := s.seize(func(*Plan) {})
	taken.Abort()
	pid := plan.Processes[0].PID
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await("another process", func() bool {
		info := s.info()
		return info[0].PID != pid && info[0].State == process.Running
	})
	if _, err := Seize(t.Context(), plan); !errors.Is(err, ErrChanged) {
		t.Errorf("after a restart: %v", err)
	}
	s.await("supervisord to go on", s.runs)

	plan, taken = s.seize(func(*Plan) {})
	taken.Abort()
	plan.known[plan.Processes[1].Stdout] = "pipe:[1]"
	if _, err := Seize(t.Context(), plan); !errors.Is(err, ErrChanged) {
		t.Errorf("with another pipe: %v", err)
	}
	s.await("supervisord to go on", s.runs)
	s.cmd.Process.Kill()
	<-s.ended
	if _, err := Seize(t.Context(), plan); !errors.Is(err, ErrChanged) {
		t.Errorf("after its end: %v", err)
	}
}

// TestLook checks at what moments supervisord, which is stopped at a good one, is not taken.
func TestLook(t *testing.T) {
	s := start(t, program("program", "foo", 1, "/bin/sh -c 'exec BIN foo_0 >/dev/null 2>&1'"), syscall.SysProcAttr{})
	plan, taken := s.seize(func(*Plan) {})
	defer taken.Abort()
	if err := taken.look(plan); err != nil {
		t.Fatalf("a good moment: %v", err)
	}
	if len(plan.idle) != 2 {
		t.Fatalf("outputs that nobody writes to: %v", plan.idle)
	}
	end, err := os.OpenFile(procPath(s.cmd.Process.Pid, fmt.Sprint("fd/", plan.idle[1])), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := end.WriteString("something"); err != nil {
		t.Fatal(err)
	}
	end.Close()
	if err := taken.look(plan); err != errBusy {
		t.Errorf("something is left in a pipe: %v", err)
	}
	plan.idle = nil
	less := *plan
	less.Processes = nil
	if err := taken.look(&less); err != ErrChanged {
		t.Errorf("a child more: %v", err)
	}
	other := *plan
	other.Processes = slices.Clone(plan.Processes)
	other.Processes[0].StartTime++
	if err := taken.look(&other); err != ErrChanged {
		t.Errorf("another child with the same pid: %v", err)
	}
	more := *plan
	more.known = map[int]string{}
	if err := taken.look(&more); err != ErrChanged {
		t.Errorf("a pipe more: %v", err)
	}
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := taken.look(plan); err != errSignal {
		t.Errorf("a signal waits: %v", err)
	}
	taken.Abort()
	<-s.ended // of the signal
	if err := taken.look(plan); err == nil {
		t.Error("it has ended")
	}
}

// TestAbortCloses checks that nothing stays open of a take-over that was given up or failed.
func TestAbortCloses(t *testing.T) {
	s := start(t, program("program", "foo", 2, "BIN foo_%(process_num)d"), syscall.SysProcAttr{})
	plan := s.inspect()
	before, err := descriptors(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*Plan)
		want   int
	}{
		{func(*Plan) {}, 1 + 2 + 2*3 + 1}, // pidfds of supervisord and of the processes, their pipes, the socket
		{func(p *Plan) { p.Sockets = append(slices.Clone(p.Sockets), Socket{FD: 1 << 20}) }, 0},
		{func(p *Plan) { p.Processes[1].Stderr = 1 << 20 }, 0},
	} {
		p := *plan
		p.Processes = slices.Clone(plan.Processes)
		c.change(&p)
		taken, err := Seize(t.Context(), &p)
		if (err == nil) != (c.want > 0) {
			t.Fatal(err)
		}
		if err == nil {
			during, _ := descriptors(os.Getpid())
			if len(during)-len(before) != c.want {
				t.Errorf("taken: %d descriptors, want %d", len(during)-len(before), c.want)
			}
			taken.Abort()
		}
		s.await("supervisord to go on", s.runs)
		after, err := descriptors(os.Getpid())
		if err != nil || len(after) != len(before) {
			t.Errorf("open before: %v, after: %v, %v", before, after, err)
		}
	}
}

// TestKilled kills the process that has stopped supervisord and taken what it has: supervisord goes on, and no line is lost or doubled.
func TestKilled(t *testing.T) {
	if pid := os.Getenv("TAKEOVER_SEIZE"); pid != "" {
		seizeFor(pid)
		return
	}
	t.Parallel()
	kinds := map[string]kind{"foo": {end: []process.Signal{usr1}, status: byCode, out: []string{"out"}, err: []string{"err"}}}
	s := start(t, program("program", "foo", 3, "BIN foo_%(process_num)d")+
		"[rpcinterface:plugin]\nsupervisor.rpcinterface_factory=plugin:make\n", syscall.SysProcAttr{}) // whose thread is held as well
	info := s.info()
	for range 5 {
		cmd := exec.Command(s.dir+"/child", "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "TAKEOVER_SEIZE="+strconv.Itoa(s.cmd.Process.Pid))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(in).Encode(info); err != nil {
			t.Fatal(err)
		}
		if word, err := bufio.NewReader(out).ReadString('\n'); word != "seized\n" || s.runs() {
			t.Errorf("it says %q (%v), and supervisord runs: %v", word, err, s.runs())
		}
		cmd.Process.Kill()
		cmd.Wait()
		s.await("supervisord to go on", s.runs)
	}
	if after := s.info(); !slices.Equal(info, after) {
		t.Errorf("supervisord tells otherwise than before:\n%v\n%v", info, after)
	}
	for _, c := range info {
		if err := unix.Kill(c.PID, unix.SIGUSR1); err != nil {
			t.Error(err)
		}
	}
	s.checkExits(kinds)
	s.checkLogs(info, kinds)
}

// seizeFor takes over for TestKilled, and waits to be killed.
func seizeFor(pid string) {
	var info []Process
	in := json.NewDecoder(os.Stdin)
	err := in.Decode(&info)
	var plan *Plan
	if err == nil {
		n, _ := strconv.Atoi(pid)
		plan, err = Inspect(n, info)
	}
	if err == nil {
		plan.Force = true // there is a thread
		_, err = Seize(context.Background(), plan)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("seized")
	_ = in.Decode(&info) // whose end is that of the test
}

// TestThreads checks that a plugin with a thread is noticed.
func TestThreads(t *testing.T) {
	t.Parallel()
	s := start(t, program("program", "foo", 1, "BIN foo_0")+"[rpcinterface:plugin]\nsupervisor.rpcinterface_factory=plugin:make\n", syscall.SysProcAttr{})
	s.wants(s.inspect(), "it has 2 threads", Threads)
}

// TestSuspended checks that what is told of a stopped process is so.
func TestSuspended(t *testing.T) {
	t.Parallel()
	s := start(t, program("program", "foo", 1, "BIN foo_0"), syscall.SysProcAttr{})
	pid := s.info()[0].PID
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.await("a halt", func() bool { stat, err := host.ReadStat(pid); return err == nil && stat.State == 'T' })
	_, taken := s.seize(func(p *Plan) { p.Force = true })
	if err := taken.Commit(); err != nil {
		t.Fatal(err)
	}
	p := taken.Processes[0]
	end(t, kind{status: bySignal(unix.SIGHUP)}, p)
	for _, fd := range []int{p.Stdin, p.Stdout, p.Stderr, taken.Sockets[0].FD} {
		unix.Close(fd)
	}
	p.Process.Close()
}

// TestNotRoot checks what is told to somebody who may not look, and of a supervisord of somebody else.
func TestNotRoot(t *testing.T) {
	if pid := os.Getenv("TAKEOVER_INSPECT"); pid != "" {
		inspectFor(pid)
		return
	}
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("hidden: what is told about a supervisord of another user, because only root can start one")
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	s := start(t, program("program", "foo", 1, "BIN foo_0"), syscall.SysProcAttr{})
	cmd := exec.Command(s.dir+"/child", "-test.run=^TestNotRoot$")
	cmd.Env = append(os.Environ(), "TAKEOVER_INSPECT="+strconv.Itoa(s.cmd.Process.Pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	cmd.Dir = "/"
	out, err := cmd.Output()
	var problems []Problem
	line, _, _ := strings.Cut(string(out), "\n")
	if jerr := json.Unmarshal([]byte(line), &problems); jerr != nil || err != nil || len(problems) != 1 || problems[0].Kind != NoRight || problems[0].Forced ||
		!strings.Contains(problems[0].Text, "of uid 65534, may not look") {
		t.Errorf("nobody looks at root's: %s, %v", out, err)
	}

	s = start(t, program("program", "foo", 1, "BIN foo_0"), syscall.SysProcAttr{Credential: nobody})
	plan := s.inspect()
	s.wants(plan, "it runs as uid 65534", OtherUser)
	if plan.Force = true; plan.Refusal() != nil {
		t.Errorf("forced: %v", plan.Refusal())
	}
}

// inspectFor prints what is found as JSON.
func inspectFor(pid string) {
	n, _ := strconv.Atoi(pid)
	plan, err := Inspect(n, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	json.NewEncoder(os.Stdout).Encode(plan.Problems)
}

// TestNamespaces checks what is told of a supervisord in a container.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("hidden: what is told about a supervisord in a container, because only root can start one")
	}
	s := start(t, program("program", "foo", 1, "BIN foo_0"), syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID})
	s.wants(s.inspect(), "another pid namespace", OtherSpace)
	s = start(t, program("program", "foo", 1, "BIN foo_0"), syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWIPC})
	s.wants(s.inspect(), "another ipc namespace", OtherSpace, OtherSpace)
}
