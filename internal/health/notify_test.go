package health

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// listener is a monitor that hears of itself by a real socket.
func listener(t *testing.T, s *Socket) (m *Monitor, told chan string) {
	t.Helper()
	told = make(chan string, 16)
	m = New(Options{
		Report: func(r Result) { told <- fmt.Sprintf("%d ready=%v %s", r.ID, r.OK, r.Text) }, Trouble: func(text string) { t.Error(text) }, Socket: s,
		Settle: func() bool { return true },
	})
	t.Cleanup(m.Close)
	return m, told
}

func notified() process.Health {
	h := process.Health{Ready: process.DefaultReady}
	h.Ready.Kind = process.CheckNotify
	return h
}

func say(t *testing.T, s *Socket, text string) {
	t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// TestSocket: the process itself, a descendant, and nobody else.
func TestSocket(t *testing.T) {
	s, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	m, told := listener(t, s)
	stranger := exec.Command("sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	m.Watch(Target{ID: 1, Incarnation: 1, PID: stranger.Process.Pid, Health: notified()})
	say(t, s, "READY=1")
	m.Watch(Target{ID: 2, Incarnation: 1, PID: os.Getpid(), Health: notified()})
	if got := <-told; got != "2 ready=true " { // not 1: it has not said so
		t.Error(got)
	}
	// A child of the one that is watched speaks for it.
	m.Unwatch(2)
	m.Watch(Target{ID: 3, Incarnation: 1, PID: os.Getppid(), Health: notified()})
	say(t, s, "STATUS=x\nREADY=1\n")
	if got := <-told; got != "3 ready=true " {
		t.Error(got)
	}
	if k := kin(os.Getpid()); len(k) < 2 || k[0] != os.Getpid() || k[1] != os.Getppid() {
		t.Errorf("kin %v", k)
	}
}

// TestBarrier: descriptors that come along are closed at once, which is what BARRIER=1 waits for.
func TestBarrier(t *testing.T) {
	s, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	m, _ := listener(t, s)
	m.Watch(Target{ID: 1, Incarnation: 1, PID: os.Getpid(), Health: notified()})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(fd, []byte("BARRIER=1"), unix.UnixRights(int(w.Fd())), &unix.SockaddrUnix{Name: s.name}, 0); err != nil {
		t.Fatal(err)
	}
	_, _ = unix.Close(fd), w.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil { // waits until the last one is closed
		t.Errorf("read %d, %v", n, err)
	}
}

// TestSocketGoesOn: what is sent while nobody reads, or was read and not written down, is heard by the next one.
func TestSocketGoesOn(t *testing.T) {
	s, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	settled := make(chan struct{})
	first := New(Options{Report: func(Result) {}, Trouble: func(string) {}, Socket: s, Settle: func() bool { close(settled); return false }})
	first.Watch(Target{ID: 1, Incarnation: 1, PID: os.Getpid(), Health: notified()})
	say(t, s, "READY=1")
	<-settled
	first.Close()
	fd := -1
	if err := s.Hold(func(held int) (err error) {
		fd, err = unix.FcntlInt(uintptr(held), unix.F_DUPFD_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	name := s.name
	s.Close()
	next, err := Resume(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.Close)
	if next.name != name || !strings.HasPrefix(name, "@graced/") {
		t.Errorf("the socket was called %s and is called %s", name, next.name)
	}
	m, told := listener(t, next)
	m.Watch(Target{ID: 1, Incarnation: 1, PID: os.Getpid(), Health: notified()})
	if got := <-told; got != "1 ready=true " {
		t.Error(got)
	}
	if env := next.Environ(notified()); len(env) != 1 || env[0] != (process.Env{Key: "NOTIFY_SOCKET", Value: name}) {
		t.Errorf("environment %v", env)
	}
	h := process.Health{Alive: process.DefaultAlive}
	if env := next.Environ(h); env != nil {
		t.Errorf("environment without a check %v", env)
	}
	h.Alive.Kind = process.CheckNotify
	if env := next.Environ(h); len(env) != 2 || env[1] != (process.Env{Key: "WATCHDOG_USEC", Value: "5000000"}) {
		t.Errorf("environment with liveness %v", env)
	}
}
