package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProbesOfMany measures what it costs a daemon and its keeper to ask 1,000 processes every ten seconds: below 2 % of a processor. Two daemons, one for each
// kind of probe, are measured at the same time. Processor time is that of the two processes alone, but machines are shared, so the best of some tries counts.
func TestProbesOfMany(t *testing.T) {
	t.Parallel()
	const many, window, most = 1000, 20 * time.Second, 0.02
	type asked struct {
		*rig
		kind   string
		path   string
		probes atomic.Int64
		before time.Duration
		seen   int64
		best   float64
	}
	all := []*asked{{kind: "tcp", best: 1}, {kind: "http", path: "/", best: 1}}
	for _, a := range all {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				a.probes.Add(1)
				if a.kind == "http" {
					go answerProbe(conn)
				} else {
					conn.Close()
				}
			}
		}()
		a.rig = newRig(t, fmt.Sprintf("[program:p]\ncommand=/bin/sleep 1000\nnumprocs=%d\nprocess_name=p_%%(process_num)d\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\nready=%s%s\nready_period=10s\n",
			many, a.kind+"://"+l.Addr().String(), a.path))
	}
	for _, a := range all {
		a.allReady(many)
	}
	for try := 0; try < 3 && slices.ContainsFunc(all, func(a *asked) bool { return a.best >= most }); try++ {
		for _, a := range all {
			a.before, a.seen = a.processorTime(), a.probes.Load()
		}
		began := time.Now()
		<-time.After(window) // what is measured is what happens meanwhile
		for _, a := range all {
			share := float64(a.processorTime()-a.before) / float64(time.Since(began))
			n := a.probes.Load() - a.seen
			t.Logf("%s: %d probes in %v, %.2f %% of a processor", a.kind, n, time.Since(began).Round(time.Millisecond), 100*share)
			if n >= int64(many*window/(10*time.Second)*9/10) { // else the machine was too busy for them
				a.best = min(a.best, share)
			}
		}
	}
	for _, a := range all {
		if a.best >= most {
			t.Errorf("%s: daemon and keeper take %.2f %% of a processor, or ask too seldom", a.kind, 100*a.best)
		}
	}
}

// answerProbe answers one request.
func answerProbe(conn net.Conn) {
	defer conn.Close()
	if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
		fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	}
}

// processorTime is what daemon and keeper have used so far.
func (r *rig) processorTime() (sum time.Duration) {
	r.t.Helper()
	for _, pid := range []int{r.daemonPID(), r.keeperPID()} {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		r.must(err)
		if len(tasks) == 0 {
			r.t.Fatalf("process %d has no threads", pid)
		}
		for _, path := range tasks {
			var spent time.Duration // in nanoseconds
			text, err := os.ReadFile(path)
			r.must(err)
			_, err = fmt.Sscan(string(text), &spent)
			r.must(err)
			sum += spent
		}
	}
	return sum
}

// times is when somebody was asked.
type times struct {
	mu sync.Mutex
	at map[string][]time.Time
}

func (s *times) of(name string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at[name])
}

// TestHangingProbes: probes of all kinds that hang delay neither others nor commands.
func TestHangingProbes(t *testing.T) {
	t.Parallel()
	asked := &times{at: map[string][]time.Time{}}
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		asked.mu.Lock()
		defer asked.mu.Unlock()
		asked.at[req.URL.Path] = append(asked.at[req.URL.Path], time.Now())
	}))
	defer web.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	var hanging atomic.Int64
	defer silent.Close()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			hanging.Add(1)
			defer conn.Close()
		}
	}()

	const period = 200 * time.Millisecond
	section := func(name string, n int, check string) string {
		return fmt.Sprintf("[program:%s]\ncommand=/bin/sleep 1000\nnumprocs=%d\nprocess_name=%s_%%(process_num)d\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\nready=%s\nready_period=200ms\nready_timeout=10m\n", name, n, name, check)
	}
	r := newRig(t, bystander+section("quick", 20, web.URL+"/%(process_num)d")+section("silent", 50, "http://"+silent.Addr().String()+"/")+section("full", 20, "tcp://"+fullAddress(t))+
		section("slow", 20, "exec:/bin/sleep 1000"))
	r.until("probes hang", func() bool { return hanging.Load() == 50 && len(childrenOf(r.daemonPID())) >= 20 })
	began := map[string]int{}
	for i := range 20 {
		name := fmt.Sprintf("/%d", i)
		began[name] = len(asked.of(name))
	}
	r.answersOthers()
	var gaps []time.Duration
	for name, n := range began {
		r.until(name+" is asked", func() bool { return len(asked.of(name)) >= n+20 })
		at := asked.of(name)[n:]
		for i := range at[1:] {
			gaps = append(gaps, at[i+1].Sub(at[i]))
		}
	}
	slices.Sort(gaps)
	t.Logf("others are asked every %v, at most after %v", gaps[len(gaps)/2], gaps[len(gaps)-1])
	if gaps[len(gaps)/2] > 2*period || gaps[len(gaps)-1] > 10*time.Second {
		t.Errorf("others are asked every %v, at most after %v; %v is right", gaps[len(gaps)/2], gaps[len(gaps)-1], period)
	}
	if n := hanging.Load(); n != 50 {
		t.Errorf("%d probes of 50 processes hang, not one of each", n)
	}
	standing, err := r.Standing(t.Context())
	r.must(err)
	for name, got := range standing.Readiness {
		if got.Ready != strings.HasPrefix(name, "quick:") {
			t.Errorf("%s: ready %v, %s", name, got.Ready, got.Text)
		}
	}
}

// fullAddress is where nobody can connect: the queue of a socket that nobody accepts from is full.
func fullAddress(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
	for range 4 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return address // full
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("its queue does not get full")
	return ""
}
