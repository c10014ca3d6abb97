package host

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain runs this binary as a stand-in or as a scripted child when it was started as one.
func TestMain(m *testing.M) {
	if os.Args[0] == trialName {
		trialOf(filepath.Base(ownProgram()))
	}
	Init()
	if script := os.Getenv(keeperEnv); script != "" {
		beKeeper(script)
	}
	if script := os.Getenv("HOST_TEST_CHILD"); script != "" {
		helperChild(script)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// helperChild carries out a script of words separated by blanks.
func helperChild(script string) {
	words := strings.Fields(script)
	next := func() string {
		w := words[0]
		words = words[1:]
		return w
	}
	number := func() int {
		n, err := strconv.Atoi(next())
		if err != nil {
			panic(err)
		}
		return n
	}
	for len(words) > 0 {
		switch word := next(); word {
		case "say":
			fmt.Fprintln(os.Stdout, next())
		case "complain":
			fmt.Fprintln(os.Stderr, next())
		case "exit":
			os.Exit(number())
		case "die":
			unix.Kill(os.Getpid(), unix.Signal(number()))
			select {}
		case "pour":
			line := bytes.Repeat([]byte("0123456789abcdef"), 4)
			for n := number(); n > 0; n -= len(line) {
				os.Stdout.Write(line[:min(n, len(line))])
			}
		case "facts":
			json.NewEncoder(os.Stdout).Encode(gatherFacts())
		case "echo":
			for in := bufio.NewScanner(os.Stdin); in.Scan(); {
				fmt.Println(in.Text())
				if in.Text() == "quit" {
					break
				}
			}
		case "swallow": // reads so many bytes and counts them
			n, err := io.CopyN(io.Discard, os.Stdin, int64(number()))
			fmt.Println(n, err)
		case "closeStdin":
			os.Stdin.Close()
		case "reopen": // writes through /dev/stdout
			f, err := os.OpenFile("/dev/stdout", os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				fmt.Println(err)
				break
			}
			fmt.Fprintln(f, "reopened")
		case "orphan": // leaves a process behind that runs the rest
			pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
				Env: []string{"HOST_TEST_CHILD=" + strings.Join(words, " "), "GORACE=atexit_sleep_ms=0"}, Files: []uintptr{0, 1, 2}})
			if err != nil {
				panic(err)
			}
			fmt.Println("left", pid)
			return
		case "await": // until a FIFO is opened for writing
			if _, err := os.ReadFile(next()); err != nil {
				panic(err)
			}
		case "trap":
			c := make(chan os.Signal, 1)
			signal.Notify(c, unix.Signal(number()))
			fmt.Println("trapping")
			fmt.Println("got", <-c)
		case "serve": // answers each connection to its socket with its name and the line that came; "exit" ends it
			name := next()
			fmt.Println("serving")
			for serveOne(name) != "exit" {
			}
		case "socket": // what it can see of standard input as a socket
			flags, err := unix.FcntlInt(0, unix.F_GETFL, 0)
			info, tcpErr := unix.GetsockoptTCPInfo(0, unix.IPPROTO_TCP, unix.TCP_INFO)
			backlog := -1
			if tcpErr == nil {
				backlog = int(info.Sacked)
			}
			fmt.Println("nonblock", flags&unix.O_NONBLOCK != 0, "backlog", backlog, err)
		case "tie": // to the life of whoever has forked it
			if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
				panic(err)
			}
			fmt.Println("tied")
		case "hang":
			select {}
		case "become": // as it is told to: a process of the group g
			if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
				panic(err)
			}
			panic(syscall.Exec("/bin/sleep", []string{"sleep", "1000"}, []string{"SUPERVISOR_GROUP_NAME=g", "SUPERVISOR_PROCESS_NAME=" + next()}))
		default:
			panic("unknown word " + word)
		}
	}
}

// facts is what a child knows about itself.
type facts struct {
	PID, PGID, PPID, UID, GID int
	Groups                    []int
	Umask                     int
	Directory                 string
	Args                      []string
	Env                       []string
	Files                     []string // open descriptors
	Blocked                   string   // SigBlk
	Nofile                    uint64
}

func gatherFacts() facts {
	f := facts{PID: os.Getpid(), PGID: syscall.Getpgrp(), PPID: os.Getppid(), UID: os.Getuid(), GID: os.Getgid(), Args: os.Args, Env: os.Environ()}
	f.Groups, _ = os.Getgroups()
	f.Umask = syscall.Umask(0)
	f.Directory, _ = os.Getwd()
	names, _ := os.ReadDir("/proc/self/fd")
	for _, e := range names {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if strings.HasPrefix(target, "anon_inode:[event") || strings.Contains(target, "/proc/") || strings.Contains(target, "cgroup") || target == "" {
			continue // the Go runtime's, and the directory just read
		}
		f.Files = append(f.Files, e.Name()+" "+target)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if v, ok := strings.CutPrefix(line, "SigBlk:\t"); ok {
			f.Blocked = v
		}
	}
	f.Nofile, _, _ = OriginalNofile()
	return f
}

// patience bounds every wait of the tests. It is reached only by a failure.
const patience = 20 * time.Second

// sink is an Output that keeps everything.
type sink struct {
	openError error

	mu     sync.Mutex
	buf    bytes.Buffer
	opened int
	closed int
	grown  chan struct{}
}

func newSink() *sink { return &sink{grown: make(chan struct{}, 1)} }

func (s *sink) Open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.openError == nil {
		s.opened++
	}
	return s.openError
}

func (s *sink) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

func (s *sink) Drain(fd, max int) (int, error) {
	buf := make([]byte, max)
	n, err := unix.Read(fd, buf)
	switch {
	case err == unix.EAGAIN:
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	s.mu.Lock()
	s.buf.Write(buf[:n])
	s.mu.Unlock()
	select {
	case s.grown <- struct{}{}:
	default:
	}
	return n, nil
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// await waits until the sink holds text.
func (s *sink) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(patience)
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.grown:
		case <-limit:
			t.Fatalf("no %q in the output: %q", text, s.String())
		}
	}
}

// rig is a Local with its events.
type rig struct {
	*Local
	t      *testing.T
	mu     sync.Mutex
	events []Event
	came   chan struct{}
	nextID process.ID
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, came: make(chan struct{}, 1)}
	o.Events = func(e Event) {
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
		select {
		case r.came <- struct{}{}:
		default:
		}
	}
	h, err := NewLocal(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Local = h
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// next waits for the first event that want accepts and takes it out.
func (r *rig) next(what string, want func(Event) bool) Event {
	r.t.Helper()
	limit := time.After(patience)
	for {
		r.mu.Lock()
		for i, e := range r.events {
			if want(e) {
				r.events = append(r.events[:i:i], r.events[i+1:]...)
				r.mu.Unlock()
				return e
			}
		}
		r.mu.Unlock()
		select {
		case <-r.came:
		case <-limit:
			r.t.Fatalf("no %s; events: %+v", what, r.events)
		}
	}
}

// run is one incarnation started by a test.
type run struct {
	r        *rig
	req      SpawnRequest
	out, err *sink
	pid      int
}

// spec returns a spec that runs this binary with a script.
func spec(script string) *process.Spec {
	return &process.Spec{Name: "p", Command: selfExe + " " + "arg", UID: process.UnsetID, Umask: process.UnsetMask,
		Environment: []process.Env{{Key: "HOST_TEST_CHILD", Value: script}, noDelay}}
}

var selfExe, _ = os.Executable()

// noDelay keeps a child built with the race detector from waiting a second before it exits.
var noDelay = process.Env{Key: "GORACE", Value: "atexit_sleep_ms=0"}

// spawn starts the spec.
func (r *rig) spawn(sp *process.Spec) *run {
	r.nextID++
	x := &run{r: r, out: newSink(), err: newSink()}
	x.req = SpawnRequest{ID: r.nextID, Incarnation: 1, Group: "g", Spec: sp, Stdout: x.out, Environ: []string{"PATH=" + os.Getenv("PATH")}}
	for _, e := range sp.Environment {
		x.req.Environ = append(x.req.Environ, e.Key+"="+e.Value)
	}
	if !sp.RedirectStderr {
		x.req.Stderr = x.err
	}
	r.Spawn(x.req)
	return x
}

func (x *run) spawned() *run {
	x.r.t.Helper()
	e := x.r.next("Spawned", func(e Event) bool { s, ok := e.(Spawned); return ok && s.ID == x.req.ID })
	x.pid = e.(Spawned).PID
	return x
}

func (x *run) failed() string {
	x.r.t.Helper()
	e := x.r.next("SpawnFailed", func(e Event) bool {
		if s, ok := e.(Spawned); ok && s.ID == x.req.ID {
			x.r.t.Errorf("spawned, not failed: %+v", s)
		}
		s, ok := e.(SpawnFailed)
		return ok && s.ID == x.req.ID
	})
	return e.(SpawnFailed).Text
}

func (x *run) exited() Exited {
	x.r.t.Helper()
	e := x.r.next("Exited", func(e Event) bool { s, ok := e.(Exited); return ok && s.ID == x.req.ID })
	// A missing moment would make every life look endless.
	if at := e.(Exited).At; time.Since(at) < 0 || time.Since(at) > time.Minute {
		x.r.t.Errorf("the exit was noticed at %v", at)
	}
	return e.(Exited)
}

func (x *run) signal(sig process.Signal, group bool) error {
	x.r.t.Helper()
	x.r.Signal(SignalRequest{ID: x.req.ID, Incarnation: x.req.Incarnation, Signal: sig, ToGroup: group, Token: 7})
	e := x.r.next("Signalled", func(e Event) bool { s, ok := e.(Signalled); return ok && s.ID == x.req.ID })
	if e.(Signalled).Token != 7 {
		x.r.t.Errorf("token %v", e.(Signalled).Token)
	}
	return e.(Signalled).Err
}

func (x *run) write(data string) error {
	x.r.t.Helper()
	x.r.WriteStdin(StdinRequest{ID: x.req.ID, Incarnation: x.req.Incarnation, Data: []byte(data), Token: 9})
	e := x.r.next("StdinWritten", func(e Event) bool { s, ok := e.(StdinWritten); return ok && s.ID == x.req.ID })
	return e.(StdinWritten).Err
}

func (x *run) facts() facts {
	x.r.t.Helper()
	x.spawned()
	x.exited()
	var f facts
	if err := json.Unmarshal([]byte(x.out.String()), &f); err != nil {
		x.r.t.Fatalf("%v in %q, stderr %q", err, x.out, x.err)
	}
	return f
}

// bothTables runs a test with the forker's own table of descriptors and with the common one.
func bothTables(t *testing.T, test func(t *testing.T)) {
	t.Run("own", test)
	t.Run("shared", func(t *testing.T) {
		noUnshare = true
		defer func() { noUnshare = false }()
		test(t)
	})
}

func openFDs(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasSuffix(target, "/fd") {
			out = append(out, e.Name()+" "+target)
		}
	}
	sort.Strings(out)
	return out
}
