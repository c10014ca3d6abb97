package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

var (
	soakTime = flag.Duration("soak", 60*time.Second, "how long the soak test churns")
	soakDoc  = flag.String("soak.doc", "", "the `document` whose soak table is rewritten")
	soakSeed = flag.Uint64("soak.seed", 0, "seed of the churn; 0: a random one")
)

// soakEnv makes the test's own program a daemon that also tells about itself, on the socket that it names.
const soakEnv = "GRACED_SOAK"

// innards is what a daemon tells about itself, after a collection of garbage.
type innards struct {
	Goroutines int
	Heap       uint64 // bytes in use
}

// soakDaemon is the daemon with a socket beside it.
func soakDaemon(socket string) int {
	if _, ok := os.LookupEnv("GRACED_LINK"); !ok {
		return run(os.Args) // this is the keeper
	}
	_ = os.Unsetenv(soakEnv) // children are none of it
	l, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			debug.FreeOSMemory()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			_ = json.NewEncoder(c).Encode(innards{runtime.NumGoroutine(), m.HeapInuse}) // a caller that has gone asks again
			_ = c.Close()
		}
	}()
	return run(os.Args)
}

// soakConf is what churns: about 200 processes of all kinds. FLIP stands for how many of one program there are.
const soakConf = `[program:steady]
command=sleep 100000
process_name=%(program_name)s_%(process_num)d
numprocs=100
startsecs=0
[program:chatty]
command=/bin/sh -c 'n=0; while :; do n=$((n+1)); echo "line $n of %(process_num)d"; sleep 0.2; done'
process_name=%(program_name)s_%(process_num)d
numprocs=20
startsecs=0
stopasgroup=true
killasgroup=true
stdout_events_enabled=true
stdout_logfile_maxbytes=2KB
stdout_logfile_backups=2
[program:comm]
command=/bin/sh -c 'while :; do printf "a<!--XSUPERVISOR:BEGIN-->b<!--XSUPERVISOR:END-->c"; sleep 0.5; done'
process_name=%(program_name)s_%(process_num)d
numprocs=5
startsecs=0
stopasgroup=true
killasgroup=true
stdout_capture_maxbytes=1KB
[program:crash]
command=/bin/sh -c 'sleep 1.%(process_num)d; exit 1'
process_name=%(program_name)s_%(process_num)d
numprocs=20
startsecs=0
autorestart=true
stopasgroup=true
killasgroup=true
stderr_logfile=NONE
[program:hopeless]
command=/bin/sh -c 'exit 1'
process_name=%(program_name)s_%(process_num)d
numprocs=10
startsecs=1
startretries=1
[program:deaf]
command=/bin/sh -c 'trap "" TERM; while :; do sleep 1; done'
process_name=%(program_name)s_%(process_num)d
numprocs=5
startsecs=0
stopwaitsecs=1
killasgroup=true
[program:forks]
command=/bin/sh -c 'while :; do (sleep 0.7; echo late) & sleep 0.5; done'
process_name=%(program_name)s_%(process_num)d
numprocs=10
startsecs=0
redirect_stderr=true
[program:cat]
command=cat
process_name=%(program_name)s_%(process_num)d
numprocs=10
startsecs=0
[fcgi-program:fcgi]
command=sleep 100000
socket=unix://%(here)s/fcgi.sock
process_name=%(program_name)s_%(process_num)d
numprocs=4
startsecs=0
[program:flip]
command=sleep 100000
process_name=%(program_name)s_%(process_num)d
numprocs=FLIP
startsecs=0
[eventlistener:ears]
command=/bin/sh -c 'while echo READY && read -r head; do dd bs=1 count="${head##*len:}" of=/dev/null 2>/dev/null; printf "RESULT 2\nOK"; done'
process_name=%(program_name)s_%(process_num)d
numprocs=3
startsecs=0
events=PROCESS_STATE,PROCESS_COMMUNICATION,REMOTE_COMMUNICATION,TICK_5
buffer_size=100
[eventlistener:rude]
command=/bin/sh -c 'echo READY; read -r head; echo no; sleep 0.5'
startsecs=0
autorestart=true
events=PROCESS_LOG
`

// soak is a daemon under churn.
type soak struct {
	*rig
	socket string
	pause  sync.RWMutex // held for reading by each act of the churn
	acts   atomic.Int64
	rest   int // descriptors at rest, before any churn
}

func newSoak(t *testing.T) *soak {
	s := &soak{rig: &rig{t: t, dir: t.TempDir(), exited: make(chan error, 1)}}
	s.flip(3)
	s.launchSelf("critical")
	return s
}

// launchSelf starts the test's own program as the daemon, with the race detector if the test has it.
func (s *soak) launchSelf(level string) {
	t := s.t
	s.socket = filepath.Join(s.dir, "innards.sock")
	s.cmd = exec.Command(os.Args[0], "-n", "-s", "-e", level, "-c", filepath.Join(s.dir, "s.conf"))
	s.cmd.Env = append(os.Environ(), soakEnv+"="+s.socket)
	var out bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.exited <- s.cmd.Wait() }()
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Errorf("the daemon's end: %v", err)
		}
		if t.Failed() {
			t.Logf("output: %s", out.String())
		}
	})
	var err error
	if s.Client, err = client.New("unix://"+filepath.Join(s.dir, "s.sock"), "", ""); err != nil {
		t.Fatal(err)
	}
	s.until("the daemon answers", func() bool { _, err := s.Daemon(t.Context()); return err == nil })
}

// innards asks the daemon about itself.
func (s *soak) innards() (in innards) {
	s.t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := json.NewDecoder(c).Decode(&in); err != nil {
		s.t.Fatal(err)
	}
	return in
}

func (s *soak) flip(n int) {
	s.write(strings.Replace(soakConf, "numprocs=FLIP", "numprocs="+strconv.Itoa(n), 1))
}

// figures is what must not grow.
type figures struct {
	at         time.Duration
	acts       int64
	goroutines int
	threads    int
	fds        int
	zombies    int
	heap       uint64 // bytes
	rss        uint64 // bytes
}

func (f figures) String() string {
	return fmt.Sprintf("%6v: %d acts, %d goroutines, %d threads, %d fds, %d zombies, heap %.1f MB, resident %.1f MB", f.at.Round(time.Second), f.acts, f.goroutines, f.threads,
		f.fds, f.zombies, float64(f.heap)/1e6, float64(f.rss)/1e6)
}

// measure stops the churn, lets everything come to rest, and looks.
func (s *soak) measure(since time.Time) figures {
	s.t.Helper()
	s.pause.Lock()
	defer s.pause.Unlock()
	// The churn has stopped and deleted some: all are brought back to life, so that every look finds the same.
	s.flip(3)
	if _, err := s.Reread(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if err := s.AddGroup(s.t.Context(), "flip"); err == nil {
		s.t.Log("the group flip was away")
	}
	if r, err := s.GraceUpdate(s.t.Context(), "flip"); err != nil || r.Refused || len(r.Failed) > 0 {
		s.t.Fatalf("grace_update flip: %+v, %v", r, err)
	}
	// What lives for moments only is stopped: it is never at rest.
	moments := []string{"crash", "rude", "hopeless"}
	for _, g := range moments {
		if _, err := s.Stop(s.t.Context(), control.Target{Name: g, Group: true}, true); err != nil {
			s.t.Fatal(err)
		}
	}
	s.until("everything is at rest", func() bool {
		list, err := s.Processes(s.t.Context())
		if err != nil {
			return false
		}
		rest := true
		for _, p := range list {
			switch {
			case slices.Contains(moments, p.Group):
				rest = rest && (p.State == process.Stopped || p.State == process.Fatal)
			case p.State != process.Running:
				rest = false
				// One that is being stopped can't be started now, but the next time.
				_, _ = s.Start(s.t.Context(), control.Target{Name: p.Group + ":" + p.Name}, true)
			}
		}
		return rest
	})
	f := figures{at: time.Since(since), acts: s.acts.Load()}
	f.fds = s.settled()
	in := s.innards()
	f.goroutines, f.heap = in.Goroutines, in.Heap
	f.threads, f.rss = s.status()
	f.zombies = s.zombies()
	if _, err := s.Start(s.t.Context(), control.Target{All: true}, false); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// settled waits until the daemon has no more descriptors than it had at rest, and returns how many. Connections that were just closed take a
// moment to go, and a grandchild whose parent was killed holds the pipes of its parent for as long as it sleeps: a second, in soakConf, or
// more on a busy machine.
func (s *soak) settled() (fds int) {
	s.t.Helper()
	const few, still = 3, 150 // a connection or two may stay open; looks that have to agree before any churn
	for same, ticks := 0, 0; ; ticks++ {
		names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		if err != nil {
			s.t.Fatal(err)
		}
		if len(names) != fds {
			same = 0
		}
		fds = len(names)
		same++
		switch {
		case s.rest > 0 && fds <= s.rest+few:
			return fds
		case s.rest == 0 && same == still:
			s.rest = fds
			return fds
		case ticks == 3000:
			s.t.Fatalf("a minute after the churn there are %d descriptors, %d before it", fds, s.rest)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// status reads the daemon's threads and resident bytes.
func (s *soak) status() (threads int, rss uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch key {
		case "Threads":
			threads = int(n)
		case "VmRSS":
			rss = n << 10
		}
	}
	return threads, rss
}

// zombies counts children of the daemon that have ended and were not reaped. One that has just ended is given time.
func (s *soak) zombies() (n int) {
	for range 50 {
		n = 0
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, path := range stats {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			_, rest, _ := strings.Cut(string(text), ") ")
			if words := strings.Fields(rest); len(words) > 1 && words[0] == "Z" && words[1] == strconv.Itoa(s.cmd.Process.Pid) {
				n++
			}
		}
		if n == 0 {
			return 0
		}
		<-time.After(20 * time.Millisecond)
	}
	return n
}

// churn does one random thing. What a client may be refused is no failure: names come and go.
func (s *soak) churn(ctx context.Context, r *rand.Rand) {
	s.pause.RLock()
	defer s.pause.RUnlock()
	s.acts.Add(1)
	list, err := s.Processes(ctx)
	if err != nil || len(list) == 0 {
		return
	}
	one := list[r.IntN(len(list))]
	name := one.Group + ":" + one.Name
	target := control.Target{Name: name}
	log := control.Log{Process: name, Channel: control.Stdout}
	switch r.IntN(14) {
	case 0, 1:
		_, _ = s.Stop(ctx, target, r.IntN(4) > 0)
		_, _ = s.Start(ctx, target, r.IntN(4) == 0)
	case 2:
		_, _ = s.Start(ctx, target, false)
	case 3, 4:
		_, _ = s.Signal(ctx, target, []string{"KILL", "TERM", "HUP", "CONT"}[r.IntN(4)])
	case 5:
		s.flip(1 + r.IntN(6))
		if r.IntN(2) == 0 {
			_, _ = s.GraceUpdate(ctx, "flip")
			return
		}
		_, _ = s.Reread(ctx)
		_, _ = s.Stop(ctx, control.Target{Name: "flip", Group: true}, true)
		_ = s.RemoveGroup(ctx, "flip")
		_ = s.AddGroup(ctx, "flip")
	case 6, 7:
		ctx, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(300))*time.Millisecond)
		defer cancel()
		f, err := s.FollowLog(ctx, log)
		if err != nil {
			return
		}
		for {
			if _, err := f.Next(ctx); err != nil {
				break
			}
		}
		_ = f.Close()
	case 8:
		_, _ = s.ReadLog(ctx, log, 0, 100)
		_, _ = s.TailLog(ctx, log, 0, 1000)
		_ = s.ClearLog(ctx, log)
	case 9:
		_ = s.WriteStdin(ctx, "cat:cat_"+strconv.Itoa(r.IntN(10)), bytes.Repeat([]byte("x\n"), r.IntN(2000)))
	case 10:
		_ = s.SendRemote(ctx, "kind", strings.Repeat("d", r.IntN(1000)))
	case 11:
		s.hangUp(r)
	case 12:
		// The kernel's own way to lose a process. The pid is that of a child of the daemon that was alive a moment ago.
		if one.PID > 0 && r.IntN(2) == 0 {
			_ = syscall.Kill(one.PID, syscall.SIGKILL)
		}
	default:
		_ = syscall.Kill(s.cmd.Process.Pid, syscall.SIGUSR2)
	}
}

// hangUp is a client that goes in the middle.
func (s *soak) hangUp(r *rand.Rand) {
	c, err := net.Dial("unix", filepath.Join(s.dir, "s.sock"))
	if err != nil {
		return
	}
	defer c.Close()
	body := `<methodCall><methodName>supervisor.getAllProcessInfo</methodName></methodCall>`
	request := fmt.Sprintf("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_, _ = io.WriteString(c, request[:r.IntN(len(request)+1)]) // the daemon may be faster
}

// TestSoak churns through 200 processes, and looks now and then whether anything grows (make soak does so for an hour).
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("hidden: a minute of churn in which nothing may grow, because -short is given")
	}
	t.Parallel()
	seed := cmp.Or(*soakSeed, rand.Uint64())
	t.Logf("seed %d", seed)
	s := newSoak(t)
	began := time.Now()
	t.Log(s.measure(began))
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for i := range 8 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		workers.Go(func() {
			for ctx.Err() == nil {
				s.churn(ctx, r)
			}
		})
	}
	defer workers.Wait()
	defer cancel()

	// Everything that is made once has been made after the first slices.
	const parts = 6
	slice := *soakTime / parts
	var looks []figures
	for range parts {
		select {
		case <-time.After(slice):
		case err := <-s.exited:
			s.exited <- err
			t.Fatalf("the daemon ended: %v", err)
		}
		looks = append(looks, s.measure(began))
		t.Log(looks[len(looks)-1])
	}
	cancel()
	workers.Wait()
	if err := judge(looks); err != nil {
		t.Error(err)
	}
	if *soakDoc != "" && !t.Failed() {
		if err := writeSoak(*soakDoc, seed, looks); err != nil {
			t.Error(err)
		}
	}
}

// judge compares the last looks with those after the warm-up: the least of each, since a look can catch something on its way.
func judge(looks []figures) error {
	early, late := looks[1:3], looks[len(looks)-2:]
	least := func(list []figures, of func(figures) float64) float64 {
		return of(slices.MinFunc(list, func(a, b figures) int { return cmp.Compare(of(a), of(b)) }))
	}
	var errs []error
	for _, c := range []struct {
		what  string
		of    func(figures) float64
		allow func(float64) float64
	}{
		{"goroutines", func(f figures) float64 { return float64(f.goroutines) }, func(n float64) float64 { return n + 3 }},
		{"threads", func(f figures) float64 { return float64(f.threads) }, func(n float64) float64 { return n + 6 }},
		{"descriptors", func(f figures) float64 { return float64(f.fds) }, func(n float64) float64 { return n + 5 }},
		{"bytes of heap", func(f figures) float64 { return float64(f.heap) }, func(n float64) float64 { return n*1.1 + 2e6 }},
		{"resident bytes", func(f figures) float64 { return float64(f.rss) }, func(n float64) float64 { return n*1.1 + 8e6 }},
		{"zombies", func(f figures) float64 { return float64(f.zombies) }, func(float64) float64 { return 0 }},
	} {
		if was, is := least(early, c.of), least(late, c.of); is > c.allow(was) {
			errs = append(errs, fmt.Errorf("%s grew from %.0f to %.0f", c.what, was, is))
		}
	}
	return errors.Join(errs...)
}

// TestSoakJudges checks that growth is seen.
func TestSoakJudges(t *testing.T) {
	flat := slices.Repeat([]figures{{goroutines: 20, threads: 10, fds: 900, heap: 10e6, rss: 50e6}}, 6)
	if err := judge(flat); err != nil {
		t.Errorf("nothing grew: %v", err)
	}
	for name, grow := range map[string]func(*figures){
		"goroutines": func(f *figures) { f.goroutines += 10 }, "threads": func(f *figures) { f.threads += 10 }, "descriptors": func(f *figures) { f.fds += 10 },
		"heap": func(f *figures) { f.heap += 10e6 }, "resident": func(f *figures) { f.rss += 20e6 }, "zombies": func(f *figures) { f.zombies++ },
	} {
		looks := slices.Clone(flat)
		grow(&looks[4])
		grow(&looks[5])
		if err := judge(looks); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s grow: %v", name, err)
		}
	}
}

// writeTable writes what make NAME has found between the markers of a document, with the day and the seed.
func writeTable(path, name string, seed uint64, table string) error {
	begin, end := fmt.Sprintf("<!-- %s:begin (written by make %s) -->\n", name, name), fmt.Sprintf("<!-- %s:end -->", name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %s table", path, name)
	}
	chance := ""
	if seed != 0 {
		chance = fmt.Sprintf(", seed %d", seed)
	}
	from := fmt.Sprintf("%s, %s%s. Command: `make %s`.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.Version(), chance, name)
	return os.WriteFile(path, []byte(head+begin+from+table+end+tail), 0o644)
}

// writeSoak rewrites the table of the soak.
func writeSoak(path string, seed uint64, looks []figures) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| after | acts | goroutines | threads | descriptors | zombies | heap | resident |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range looks {
		fmt.Fprintf(&b, "| %v | %d | %d | %d | %d | %d | %.1f MB | %.1f MB |\n", f.at.Round(time.Second), f.acts, f.goroutines, f.threads, f.fds, f.zombies,
			float64(f.heap)/1e6, float64(f.rss)/1e6)
	}
	return writeTable(path, "soak", seed, b.String())
}
