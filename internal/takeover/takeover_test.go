package takeover

import (
	"bufio"
	"flag"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// kind is a program of TestTakeOver: how its processes end, and where what they write is found.
type kind struct {
	section  string
	end      []process.Signal // the last one ends it
	status   func(id string) process.ExitStatus
	out, err []string // what is in each stream
	grouped  bool     // the signals are for the whole group
}

func byCode(id string) process.ExitStatus { return process.ExitStatus{Code: code(id)} }

func bySignal(sig unix.Signal) func(string) process.ExitStatus {
	return func(string) process.ExitStatus { return process.ExitStatus{Signal: process.Signal(sig)} }
}

const (
	term = process.Signal(unix.SIGTERM)
	usr1 = process.Signal(unix.SIGUSR1)
)

// kinds are processes of all kinds: 53, or in a slice of the proof two of each.
func kinds(port string) map[string]kind {
	const number = "_%(process_num)d"
	flood := "flood"
	program := program
	if !*all {
		whole := program
		flood, program = "pour", func(section, name string, n int, command string, settings ...string) string {
			return whole(section, name, min(n, 2), command, settings...)
		}
	}
	usual := func(section string) kind {
		return kind{section: section, end: []process.Signal{usr1}, status: byCode, out: []string{"out"}, err: []string{"err"}}
	}
	moved := func(name, redirection string, out, err []string) kind {
		k := usual(program("program", name, 3, "/bin/sh -c 'exec BIN "+name+number+" "+redirection+"'"))
		k.out, k.err = out, err
		return k
	}
	both := []string{"err", "out"}
	m := map[string]kind{
		"chatty":   usual(program("program", "chatty", 10, "BIN chatty"+number)),
		"pieces":   usual(program("program", "pieces", 4, "BIN pieces"+number+" pieces")),
		"flood":    usual(program("program", "flood", 2, "BIN flood"+number+" "+flood)),
		"silent":   usual(program("program", "silent", 3, "BIN silent"+number+" silent")),
		"stubborn": usual(program("program", "stubborn", 3, "BIN stubborn"+number+" stubborn")),
		"nobody":   usual(program("program", "nobody", 3, "BIN nobody"+number, "user=nobody")),
		"stdin":    usual(program("program", "stdin", 2, "BIN stdin"+number+" stdin")),
		"fcgiunix": usual(program("fcgi-program", "fcgiunix", 2, "BIN fcgiunix"+number+" fcgi", "socket=unix://DIR/fcgi")),
		"fcgitcp":  usual(program("fcgi-program", "fcgitcp", 2, "BIN fcgitcp"+number+" fcgi", "socket=tcp://127.0.0.1:"+port)),
		"listener": usual(program("eventlistener", "listener", 2, "BIN listener"+number+" listener", "events=TICK_3600")),
		"merged":   moved("merged", "2>&1", both, nil),
		"toerr":    moved("toerr", "1>&2", nil, both),
		"swapped":  moved("swapped", "3>&1 1>&2 2>&3 3>&-", []string{"err"}, []string{"out"}),
		"nowhere":  moved("nowhere", ">/dev/null 2>&1 </dev/null", nil, nil),
	}
	redirected := usual(program("program", "redirected", 4, "BIN redirected"+number, "redirect_stderr=true"))
	redirected.out, redirected.err = both, nil
	m["redirected"] = redirected
	family := usual(program("program", "family", 2, "/bin/sh -c 'BIN family"+number+" & wait'"))
	family.grouped, family.status = true, bySignal(unix.SIGUSR1) // the shell knows no better
	m["family"] = family
	daemon := usual(program("program", "daemon", 2, "/bin/sh -c 'BIN daemon"+number+" & exec BIN daemon"+number+" silent >/dev/null 2>&1'"))
	daemon.grouped = true
	m["daemon"] = daemon
	stubborn := m["stubborn"]
	stubborn.end = []process.Signal{term, usr1}
	m["stubborn"] = stubborn
	silent := m["silent"]
	silent.end, silent.status = []process.Signal{process.SIGKILL}, bySignal(unix.SIGKILL)
	silent.out, silent.err = nil, nil
	m["silent"] = silent
	for _, name := range []string{"stdin", "listener"} { // one of their streams is a dialogue
		k := m[name]
		if k.out = nil; name == "stdin" {
			k.out, k.err = []string{"out"}, nil
		}
		m[name] = k
	}
	return m
}

// names of the program and the process of a child.
func programOf(c Child) string { return c.Name.Group }

func sections(kinds map[string]kind) string {
	var b strings.Builder
	for _, k := range kinds {
		b.WriteString(k.section)
	}
	return b.String()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// follow reads an output on until its end.
func follow(t *testing.T, fd int, to io.Writer, wg *sync.WaitGroup) {
	t.Helper()
	f := os.NewFile(uintptr(fd), "taken")
	if nonblock, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || nonblock&unix.O_NONBLOCK == 0 {
		t.Errorf("descriptor %d blocks: %v", fd, err)
	}
	wg.Go(func() {
		defer f.Close()
		if _, err := io.Copy(to, f); err != nil {
			t.Errorf("cannot read on: %v", err)
		}
	})
}

var all = flag.Bool("takeover", false, "the whole proof: 53 processes, some of which write as fast as they can, and twenty rounds")

// TestTakeOver takes processes of all kinds from a real supervisord: each goes on under its pid, no line of it is lost or doubled, and how it ends is known.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	rounds := 1
	if *all {
		rounds = 20
	}
	for range rounds {
		for name, change := range map[string]func(*Plan){
			"descriptors taken": func(*Plan) {},
			// As where pidfd_getfd is missing.
			"pipes reopened": func(p *Plan) { p.reopen = true },
		} {
			t.Run(name, func(t *testing.T) { takeOver(t, change) })
		}
	}
}

func takeOver(t *testing.T, change func(*Plan)) {
	kinds := kinds(freePort(t))
	s := startAll(t, kinds)
	plan, taken := s.seize(change)
	if n := len(plan.Processes); len(plan.Problems) > 0 || n != 53 && n != 2*len(kinds) {
		t.Errorf("%d processes, problems: %v", n, plan.Problems)
	}
	s.checkEnds(plan, kinds)
	if err := taken.Commit(); err != nil {
		t.Fatal(err)
	}
	<-s.ended

	var readers sync.WaitGroup
	streams := map[string]*checker{}
	for i, p := range taken.Processes {
		c := plan.Processes[i]
		for _, end := range []struct {
			channel string
			fd      int
		}{{"out", p.Stdout}, {"err", p.Stderr}} {
			check := newChecker(p.Name.Process, end.channel)
			if talks(programOf(c), end.channel) {
				continue // below
			}
			streams[p.Name.Process+end.channel] = check
			if !c.RedirectStderr || end.channel == "out" {
				check.feed(t, s.log(p.Name.Process, end.channel))
			}
			if end.fd >= 0 {
				follow(t, end.fd, check, &readers)
			}
		}
	}
	s.checkSockets(taken, !plan.reopen)
	for i, p := range taken.Processes {
		s.checkDialogue(plan.Processes[i], p)
	}
	s.checkProgress(kinds, plan, streams)
	for i, p := range taken.Processes {
		end(t, kinds[programOf(plan.Processes[i])], p)
	}
	readers.Wait()
	total := 0
	for i, p := range taken.Processes {
		k := kinds[programOf(plan.Processes[i])]
		for channel, labels := range map[string][]string{"out": k.out, "err": k.err} {
			if check := streams[p.Name.Process+channel]; check != nil {
				check.verdict(t, labels...)
				total += check.lines()
			}
		}
		if p.Stdin >= 0 {
			unix.Close(p.Stdin)
		}
		p.Process.Close()
	}
	t.Logf("%d lines", total)
}

// startAll starts a supervisord with processes of these kinds, all of which have written. On a busy machine pipes are made in an order that does not tell whose
// they are, and a supervisord is refused that has other pipes to which nobody writes: then it is another one's turn.
func startAll(t *testing.T, kinds map[string]kind) *supervisord {
	t.Helper()
	const tries = 5
	for range tries {
		s := start(t, sections(kinds), syscall.SysProcAttr{})
		s.awaitOutput(kinds)
		refusal := s.inspect().Refusal()
		if refusal == nil || !strings.Contains(refusal.Error(), "cannot be told") {
			return s
		}
		t.Log(refusal)
		s.kill()
	}
	t.Fatalf("%d supervisords in a row are refused", tries)
	return nil
}

// talks reports whether the output is no stream of numbered lines.
func talks(program, channel string) bool {
	return program == "listener" && channel == "out" || program == "stdin" && channel == "err"
}

// awaitOutput waits until supervisord has logged something of everybody who writes.
func (s *supervisord) awaitOutput(kinds map[string]kind) {
	s.Helper()
	for name, k := range kinds {
		if k.out != nil || k.err != nil {
			s.await("output of "+name, func() bool {
				for _, channel := range []string{"out", "err"} {
					info, err := os.Stat(s.log(name+"_0", channel))
					if err == nil && info.Size() > 100 {
						return true
					}
				}
				return false
			})
		}
	}
}

// checkEnds checks which ends the plan has found. Of an output that nobody writes to it may know whose it is.
func (s *supervisord) checkEnds(plan *Plan, kinds map[string]kind) {
	s.Helper()
	for _, c := range plan.Processes {
		name := programOf(c)
		if !c.Pidfd {
			s.Errorf("%s: no pidfd", c.Name)
		}
		background := name == "family" || name == "daemon" // which a shell gives what it likes
		if reads := !strings.HasPrefix(name, "fcgi") && name != "nowhere"; !background && (c.Stdin >= 0) != reads {
			s.Errorf("%s: standard input %d", c.Name, c.Stdin)
		}
		for channel, end := range map[string]int{"out": c.Stdout, "err": c.Stderr} {
			written := kinds[name].out != nil
			if channel == "err" {
				written = kinds[name].err != nil
			}
			written = written || talks(name, channel) || name == "silent"
			if written && end < 0 || name == "nowhere" && end >= 0 || c.RedirectStderr && channel == "err" && end >= 0 {
				s.Errorf("%s: standard output %d, standard error %d", c.Name, c.Stdout, c.Stderr)
			}
		}
	}
}

// checkSockets checks that connections to the sockets are served: the shared ones by the processes, that of supervisord by whoever has it now.
func (s *supervisord) checkSockets(taken *Taken, have bool) {
	s.Helper()
	if len(taken.Sockets) != 3 {
		s.Fatalf("sockets: %+v", taken.Sockets)
	}
	for _, sock := range taken.Sockets {
		if (sock.FD >= 0) != have {
			s.Errorf("%s: descriptor %d", sock.Socket.Address, sock.FD)
		}
		if !have && len(sock.Socket.Users) == 0 {
			continue
		}
		conn, err := net.Dial(sock.Socket.Network, sock.Socket.Address)
		if err != nil {
			s.Fatal(err)
		}
		defer conn.Close()
		switch users := sock.Socket.Users; {
		case len(users) == 0:
			s.checkAccept(sock.FD)
		case len(users) != 2 || !strings.HasPrefix(users[0].Group, "fcgi") || users[0].Group != users[1].Group:
			s.Errorf("%s is shared by %v", sock.Socket.Address, users)
		default:
			s.checkServed(conn, taken)
		}
		if sock.FD >= 0 {
			unix.Close(sock.FD)
		}
	}
}

func (s *supervisord) checkAccept(fd int) {
	s.Helper()
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		s.Errorf("the socket of supervisord accepts nobody: %v", err)
		return
	}
	unix.Close(conn)
}

// checkServed checks that one of the processes answers.
func (s *supervisord) checkServed(conn net.Conn, taken *Taken) {
	s.Helper()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		s.Error(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	if !slices.ContainsFunc(taken.Processes, func(p TakenProcess) bool { return p.Process.PID == pid && strings.HasPrefix(p.Name.Group, "fcgi") }) {
		s.Errorf("%q answers", line)
	}
}

// checkDialogue talks with a listener, and with a process that reads its standard input.
func (s *supervisord) checkDialogue(c Child, p TakenProcess) {
	s.Helper()
	var say, want string
	fd, channel := p.Stdout, "out"
	switch programOf(c) {
	case "listener":
		say, want = "ver:3.0 server:x serial:1 pool:x poolserial:1 eventname:TICK_3600 len:5\nwhen:", "READY\nRESULT 2\nOKREADY\n"
	case "stdin":
		say, want = "hello\n", c.Name.Process+" got hello\n"
		fd, channel = p.Stderr, "err"
	default:
		return
	}
	f := os.NewFile(uintptr(fd), "dialogue")
	defer f.Close()
	if _, err := unix.Write(p.Stdin, []byte(say)); err != nil {
		s.Fatalf("%s: %v", c.Name, err)
	}
	got, err := os.ReadFile(s.log(c.Name.Process, channel))
	if err != nil {
		s.Fatal(err)
	}
	if err := f.SetReadDeadline(time.Now().Add(limit)); err != nil {
		s.Fatal(err)
	}
	for len(got) < len(want) {
		buf := make([]byte, 100)
		n, err := f.Read(buf)
		if err != nil {
			s.Errorf("%s: %v", c.Name, err)
			break
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != want {
		s.Errorf("%s answers %q, want %q", c.Name, got, want)
	}
}

// checkProgress waits until everybody who writes has written more.
func (s *supervisord) checkProgress(kinds map[string]kind, plan *Plan, streams map[string]*checker) {
	s.Helper()
	from := map[*checker]int{}
	for _, c := range plan.Processes {
		k := kinds[programOf(c)]
		for channel, labels := range map[string][]string{"out": k.out, "err": k.err} {
			if check := streams[c.Name.Process+channel]; check != nil && len(labels) > 0 {
				from[check] = check.lines()
			}
		}
	}
	for check, n := range from {
		s.await("more of "+check.name, func() bool { return check.lines() > n+10 })
	}
}

// end ends a process and checks how it has ended.
func end(t *testing.T, k kind, p TakenProcess) {
	t.Helper()
	if _, e := p.Process.Ended(); e != host.Alive && k.end != nil {
		t.Errorf("%s: pid %d has ended by itself", p.Name, p.Process.PID)
	}
	for _, sig := range k.end {
		if err := p.Process.Signal(sig, k.grouped); err != nil {
			t.Fatal(err)
		}
	}
	fds := []unix.PollFd{{Fd: int32(p.Process.Pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(limit/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("%s does not end: %v", p.Name, err)
		}
		break
	}
	if status, e := p.Process.Ended(); e != host.Ended || status != k.status(p.Name.Process) {
		t.Errorf("%s: %v (%d), want %v", p.Name, status, e, k.status(p.Name.Process))
	}
}
