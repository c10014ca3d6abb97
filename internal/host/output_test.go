package host

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// TestOutputBeforeExit starts many processes that end right after their last byte: when an exit is reported, all of it must be there.
func TestOutputBeforeExit(t *testing.T) {
	const processes, size = 300, 50_000
	bothTables(t, func(t *testing.T) {
		before := openFDs(t)
		r := newRig(t, Options{})
		runs := make([]*run, processes)
		for i := range runs {
			sp := spec(fmt.Sprintf("pour %d complain last exit %d", size, i%256))
			if i%10 != 0 { // starts faster
				sp.Command = fmt.Sprintf("head -q -c %d /dev/zero /no/such", size)
			}
			sp.RedirectStderr = i%2 == 0
			runs[i] = r.spawn(sp)
		}
		for i, x := range runs {
			e := x.exited()
			r.next("Spawned", func(e Event) bool { s, ok := e.(Spawned); return ok && s.ID == x.req.ID })
			want := 1
			if i%10 == 0 {
				want = i % 256
			}
			if e.Status.Code != want {
				t.Errorf("process %d: %+v", i, e)
			}
		}
		r.Close()
		for i, x := range runs {
			stdout, stderr := x.out.String(), x.err.String()
			last := "last\n"
			if i%10 != 0 {
				last = "head: cannot open '/no/such' for reading: No such file or directory\n"
			}
			if i%2 == 0 {
				stderr = last
				if !strings.HasSuffix(stdout, last) {
					t.Errorf("process %d: the last line is missing", i)
				}
				stdout = strings.TrimSuffix(stdout, last)
			}
			if len(stdout) != size || stderr != last {
				t.Errorf("process %d: %d bytes, want %d; stderr %q", i, len(stdout), size, stderr)
			}
		}
		if after := openFDs(t); !slices.Equal(before, after) {
			t.Errorf("descriptors before %q, after %q", before, after)
		}
	})
}

// countingSink is an Output that checks at Close how much came.
type countingSink struct {
	sink
	atExit atomic.Int64
}

func (s *countingSink) Close() {
	s.atExit.Store(int64(s.buf.Len()))
	s.sink.Close()
}

// TestOutputClosedBeforeExit checks the same order for the Output itself: it is closed, complete, before the exit is reported.
func TestOutputClosedBeforeExit(t *testing.T) {
	out := &countingSink{}
	out.grown = make(chan struct{}, 1)
	closedAt := make(chan int64, 1)
	h, err := NewLocal(Options{Events: func(e Event) {
		if _, ok := e.(Exited); ok {
			closedAt <- out.atExit.Load()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	sp := spec("pour 60000 exit 0")
	sp.RedirectStderr = true
	h.Spawn(SpawnRequest{ID: 1, Incarnation: 1, Spec: sp, Stdout: out, Environ: []string{"HOST_TEST_CHILD=pour 60000 exit 0"}})
	if n := <-closedAt; n != 60000 {
		t.Errorf("%d bytes when the exit was reported", n)
	}
}

// TestSpawnedInOrder checks that processes are started and reported in the order of the requests, failures included.
func TestSpawnedInOrder(t *testing.T) {
	r := newRig(t, Options{})
	var runs []*run
	for i := range 50 {
		sp := spec("exit 0")
		if i%5 == 3 {
			sp.Command = "/no/such"
		}
		runs = append(runs, r.spawn(sp))
	}
	for _, x := range runs {
		e := r.next("outcome", func(e Event) bool {
			switch e.(type) {
			case Spawned, SpawnFailed:
				return true
			}
			return false
		})
		var id process.ID
		switch e := e.(type) {
		case Spawned:
			id = e.ID
		case SpawnFailed:
			id = e.ID
		}
		if id != x.req.ID {
			t.Fatalf("process %d came before %d", id, x.req.ID)
		}
	}
	for i, x := range runs {
		if i%5 != 3 {
			x.exited()
		}
	}
}

// TestExitBeforeSpawnedIsReported lets a process end and be reaped while its start is still being reported.
func TestExitBeforeSpawnedIsReported(t *testing.T) {
	var h *Local
	ready := make(chan struct{})
	events := make(chan Event, 10)
	h, err := NewLocal(Options{Events: func(e Event) {
		<-ready
		if s, ok := e.(Spawned); ok {
			for known := true; known; {
				children := h.parent.(*ownChildren)
				children.mu.Lock()
				_, known = children.byPID[s.PID]
				children.mu.Unlock()
				runtime.Gosched()
			}
			events <- e
			return
		}
		events <- e
	}})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	defer h.Close()
	for i := range 20 {
		sp := &process.Spec{Command: "/bin/echo hello", UID: process.UnsetID, Umask: process.UnsetMask, RedirectStderr: true}
		out := newSink()
		h.Spawn(SpawnRequest{ID: process.ID(i), Incarnation: 1, Spec: sp, Stdout: out})
		if e, ok := (<-events).(Spawned); !ok {
			t.Fatalf("first event %+v", e)
		}
		if e, ok := (<-events).(Exited); !ok || out.String() != "hello\n" || e.At.IsZero() {
			t.Fatalf("second event %+v, output %q", e, out)
		}
	}
}

// TestOutputPipes checks that a process's own ends are open for writing only, and block.
func TestOutputPipes(t *testing.T) {
	r := newRig(t, Options{})
	sp := spec("")
	sp.Command = "/bin/cat /proc/self/fdinfo/1 /proc/self/fdinfo/2"
	x := r.spawn(sp)
	x.exited()
	n := 0
	for _, line := range strings.Split(x.out.String(), "\n") {
		var flags int
		if _, err := fmt.Sscanf(line, "flags: %o", &flags); err == nil {
			n++
			if flags&unix.O_ACCMODE != unix.O_WRONLY || flags&unix.O_NONBLOCK != 0 {
				t.Errorf("flags %o", flags)
			}
		}
	}
	if n != 2 {
		t.Errorf("output %q", x.out)
	}
}

// TestNothingPerProcess checks that running processes cost neither threads nor goroutines.
func TestNothingPerProcess(t *testing.T) {
	r := newRig(t, Options{})
	warm := r.spawn(spec("say hello hang")).spawned()
	warm.out.await(t, "hello")
	goroutines, threads := runtime.NumGoroutine(), ownThreads(t)
	sp := spec("")
	sp.Command = "/bin/sh -c 'echo hello; exec /bin/sleep 1000'"
	var runs []*run
	for range 300 {
		runs = append(runs, r.spawn(sp))
	}
	for _, x := range runs {
		x.spawned()
		x.out.await(t, "hello")
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
	if now := ownThreads(t); now > threads+4 { // the runtime may add a few of its own
		t.Errorf("%d threads, %d before", now, threads)
	}
	for _, x := range append(runs, warm) {
		x.signal(process.SIGKILL, false)
	}
	for _, x := range append(runs, warm) {
		x.exited()
	}
}

func ownThreads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestStdin(t *testing.T) {
	r := newRig(t, Options{})
	x := r.spawn(spec("echo exit 0"))
	if err := x.write("before the fork\n"); err != nil {
		t.Fatal(err)
	}
	x.spawned()
	x.out.await(t, "before the fork\n")
	if err := x.write("hello\nqu"); err != nil {
		t.Fatal(err)
	}
	x.out.await(t, "hello\n")
	if err := x.write("it\n"); err != nil {
		t.Fatal(err)
	}
	if x.exited(); x.out.String() != "before the fork\nhello\nquit\n" {
		t.Errorf("output %q", x.out)
	}
}

// TestStdinQueue checks that more than a pipe holds waits for the process, up to a bound (quirk D10).
// TestStdinLarge: one piece of any size is taken whole when nothing waits before it; what does not fit behind it is refused whole.
func TestStdinLarge(t *testing.T) {
	r := newRig(t, Options{})
	x := r.spawn(spec("trap 10 swallow 3000003 trap 10 exit 0")).spawned()
	x.out.await(t, "trapping\n")
	if err := x.write(strings.Repeat("x", 3_000_000)); err != nil {
		t.Fatal(err)
	}
	if err := x.write("refused"); err != ErrStdinFull {
		t.Errorf("a write behind three megabytes: %v", err)
	}
	x.signal(10, false)
	for x.write("end") != nil { // until so much was read that it fits
		runtime.Gosched()
	}
	x.out.await(t, "3000003 <nil>\ntrapping\n")
	x.signal(10, false)
	if e := x.exited(); e.Status.Code != 0 {
		t.Errorf("exit %+v", e)
	}
}

func TestStdinQueue(t *testing.T) {
	r := newRig(t, Options{})
	x := r.spawn(spec("trap 10 swallow 1000000 trap 10 exit 0")).spawned()
	x.out.await(t, "trapping\n")
	chunk := strings.Repeat("x", 100_000)
	for range 10 {
		if err := x.write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.write(chunk + chunk); err != ErrStdinFull {
		t.Errorf("write beyond the bound: %v", err)
	}
	x.signal(10, false)
	x.out.await(t, "1000000 <nil>\ntrapping\n")
	if err := x.write(chunk); err != nil { // the queue is empty again, its watch gone
		t.Fatal(err)
	}
	x.signal(10, false)
	if e := x.exited(); e.Status.Code != 0 {
		t.Errorf("exit %+v", e)
	}
}

func TestStdinClosedByProcess(t *testing.T) {
	r := newRig(t, Options{})
	x := r.spawn(spec("closeStdin trap 10")).spawned()
	x.out.await(t, "trapping\n")
	for range 2 {
		if err := x.write("x"); err != ErrStdinClosed {
			t.Errorf("write: %v", err)
		}
	}
	x.signal(10, false)
	x.exited()
}

// slowSink is an Output whose target takes nothing until it is told to.
type slowSink struct {
	sink
	slow atomic.Bool
	late atomic.Int64 // how often it refused
}

func (s *slowSink) Drain(fd, max int) (int, error) {
	if s.slow.Load() {
		s.late.Add(1)
		select {
		case s.grown <- struct{}{}:
		default:
		}
		return 0, unix.EAGAIN
	}
	return s.sink.Drain(fd, max)
}

// TestSlowLog checks that a log which takes nothing holds its own process back and nobody else, and that the exit waits for it.
func TestSlowLog(t *testing.T) {
	r := newRig(t, Options{Shards: 1})
	slow := &slowSink{}
	slow.grown = make(chan struct{}, 1)
	slow.slow.Store(true)
	sp := spec("say one exit 3")
	sp.RedirectStderr = true
	r.nextID++
	x := &run{r: r, req: SpawnRequest{ID: r.nextID, Spec: sp, Stdout: slow, Environ: []string{"HOST_TEST_CHILD=say one exit 3"}}}
	r.Spawn(x.req)
	x.spawned()
	for slow.late.Load() < 3 {
		<-slow.grown
	}
	other := r.spawn(spec("say two exit 0")).spawned()
	other.exited()
	slow.slow.Store(false)
	if e := x.exited(); e.Status.Code != 3 || slow.String() != "one\n" {
		t.Errorf("exit %+v, output %q", e, slow.String())
	}
}

// TestOrphans checks that as subreaper the host reaps what is not its own.
func TestOrphans(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	r := newRig(t, Options{})
	var pids []int
	for i := range 20 {
		x := r.spawn(spec(fmt.Sprintf("orphan exit %d", i)))
		x.exited()
		var pid int
		if _, err := fmt.Sscanf(x.out.String(), "left %d", &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for i, pid := range pids {
		e := r.next("OrphanReaped", func(e Event) bool { o, ok := e.(OrphanReaped); return ok && o.PID == pid })
		if st := e.(OrphanReaped).Status; st.Code != i || st.Signal != 0 {
			t.Errorf("orphan %d: %+v", i, st)
		}
	}
}

// TestForeignChild checks that a child which something else in the process started is reaped and reported, and nothing of the host's is
// lost meanwhile.
func TestForeignChild(t *testing.T) {
	r := newRig(t, Options{})
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := r.spawn(spec("exit 6"))
	r.next("OrphanReaped", func(e Event) bool { o, ok := e.(OrphanReaped); return ok && o.PID == pid })
	if e := x.exited(); e.Status.Code != 6 {
		t.Errorf("exit %+v", e)
	}
}

// TestExitStorm kills many processes at once while others are being started: no exit may be lost or taken for an orphan's.
func TestExitStorm(t *testing.T) {
	r := newRig(t, Options{})
	var runs []*run
	for range 200 {
		sp := spec("")
		sp.Command = "/bin/sleep 1000"
		runs = append(runs, r.spawn(sp))
	}
	for i, x := range runs {
		if i%2 == 0 {
			sp := spec("")
			sp.Command = "/bin/true"
			runs = append(runs, r.spawn(sp))
		}
		x.r.Signal(SignalRequest{ID: x.req.ID, Incarnation: 1, Signal: process.SIGKILL})
	}
	for i, x := range runs {
		e := x.exited()
		if want := i < 200; (e.Status.Signal == process.SIGKILL) != want {
			t.Errorf("process %d: %+v", i, e)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if o, ok := e.(OrphanReaped); ok {
			t.Errorf("orphan %+v", o)
		}
	}
}

// TestOriginalNofile starts this binary with a low soft limit, which its runtime raises, and asks it for the original.
func TestOriginalNofile(t *testing.T) {
	r := newRig(t, Options{})
	sp := spec("facts")
	sp.Command = fmt.Sprintf("/bin/sh -c 'ulimit -Sn 123; exec %s'", selfExe)
	if f := r.spawn(sp).facts(); f.Nofile != 123 {
		t.Errorf("original soft limit %d", f.Nofile)
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := p.last
	step := func(after, most int) int64 {
		now = now.Add(time.Duration(after) * time.Millisecond)
		return p.next(now, most).Microseconds()
	}
	if d := step(1000, 0); d != 0 {
		t.Errorf("a lone line waits %d µs", d)
	}
	var got []int64
	for range 7 {
		got = append(got, step(1, 0))
	}
	got = append(got, step(1, 40))
	for range 5 {
		got = append(got, step(1, 100))
	}
	got = append(got, step(1, -1), step(1, 0), step(1000, 0))
	if want := []int64{200, 400, 800, 1600, 3200, 5000, 5000, 5000, 2500, 1250, 625, 312, 0, 0, 200, 0}; !slices.Equal(got, want) {
		t.Errorf("pauses %v µs, want %v", got, want)
	}
}

// brokenSink is an Output that fails.
type brokenSink struct{ sink }

func (s *brokenSink) Drain(fd, max int) (int, error) { return 0, syscall.EIO }

// TestBrokenOutput checks that a process whose output cannot be moved still runs to its end, and that the trouble is told.
func TestBrokenOutput(t *testing.T) {
	before := openFDs(t)
	r := newRig(t, Options{})
	sp := spec("pour 1000000 exit 2")
	sp.RedirectStderr = true
	r.nextID++
	x := &run{r: r, req: SpawnRequest{ID: r.nextID, Spec: sp, Stdout: &brokenSink{}, Environ: []string{"HOST_TEST_CHILD=pour 1000000 exit 2"}}}
	r.Spawn(x.req)
	trouble := r.next("Trouble", func(e Event) bool { _, ok := e.(Trouble); return ok })
	if want := (Trouble{Text: "cannot move output: input/output error"}); trouble != want {
		t.Errorf("trouble %+v, want %+v", trouble, want)
	}
	if e := x.exited(); e.Status.Code != 2 {
		t.Errorf("exit %+v", e)
	}
	r.Close()
	if after := openFDs(t); !slices.Equal(before, after) {
		t.Errorf("descriptors before %q, after %q", before, after)
	}
}
