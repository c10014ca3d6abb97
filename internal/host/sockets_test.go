package host

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// serveOne answers one connection to standard input, or the first named socket, and returns the line that came.
func serveOne(name string) string {
	fd := 0
	if os.Getenv("LISTEN_FDS") != "" {
		fd = 3
	}
	fd, _, err := unix.Accept(fd)
	if err != nil {
		panic(err)
	}
	conn := os.NewFile(uintptr(fd), "connection")
	defer conn.Close()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Fprintf(conn, "%s %s", name, line)
	return strings.TrimSpace(line)
}

// fcgi returns a spec of a FastCGI program that runs a script.
func fcgi(url, script string) *process.Spec {
	sp := spec(script)
	sp.Program = "prog"
	sp.Socket = process.SocketSpec{URL: url, Mode: 0o700, UID: process.UnsetID, GID: process.UnsetID}
	return sp
}

// freeTCP returns the URL of a port that nobody has, and the network and address to dial.
func freeTCP(t *testing.T) (url, network, address string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String(), "tcp", l.Addr().String()
}

func freeUnix(t *testing.T) (url, network, address string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	return "unix://" + path, "unix", path
}

// bothSockets runs a test with a unix and a TCP socket, each with both tables of descriptors.
func bothSockets(t *testing.T, test func(t *testing.T, url, network, address string)) {
	for kind, free := range map[string]func(*testing.T) (string, string, string){"unix": freeUnix, "tcp": freeTCP} {
		t.Run(kind, func(t *testing.T) {
			bothTables(t, func(t *testing.T) {
				url, network, address := free(t)
				test(t, url, network, address)
			})
		})
	}
}

// say connects and sends a line; hear returns the answer and hangs up.
func say(t *testing.T, network, address, line string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
	return c
}

func hear(t *testing.T, c net.Conn) string {
	t.Helper()
	defer c.Close()
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// refused reports whether nobody listens.
func refused(t *testing.T, network, address string) bool {
	t.Helper()
	c, err := net.Dial(network, address)
	if err == nil {
		c.Close()
	}
	return err != nil
}

// socketEvents waits for want of the events that concern sockets, in order, and for no more.
func (r *rig) socketEvents(want ...string) {
	r.t.Helper()
	got := []string{}
	for range want {
		e := r.next(strings.Join(want, ", "), func(e Event) bool { return socketEvent(e) != "" })
		got = append(got, socketEvent(e))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("events %q, want %q", got, want)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if text := socketEvent(e); text != "" {
			r.t.Errorf("more events than %q: %s", want, text)
		}
	}
}

func socketEvent(e Event) string {
	switch e := e.(type) {
	case SocketOpening:
		return "opening " + e.URL
	case SocketClosed:
		return "closed " + e.URL
	case SocketFailed:
		return e.Text
	}
	return ""
}

// TestSocketShared: the standard input of all processes is one socket, and nothing else of it reaches them.
func TestSocketShared(t *testing.T) {
	bothSockets(t, func(t *testing.T, url, _, _ string) {
		r := newRig(t, Options{})
		holder := r.spawn(fcgi(url, "hang")).spawned()
		var seen []string
		for range 3 {
			x := r.spawn(fcgi(url, "facts"))
			f := x.facts()
			if len(f.Files) != 3 || !strings.HasPrefix(f.Files[0], "0 socket:[") {
				t.Errorf("descriptors %q", f.Files)
			}
			seen = append(seen, f.Files[0])
		}
		if len(slices.Compact(seen)) != 1 {
			t.Errorf("different sockets: %q", seen)
		}
		if err := holder.write("x"); err != ErrStdinClosed {
			t.Errorf("written to: %v", err)
		}
		if err := holder.signal(process.SIGKILL, false); err != nil {
			t.Error(err)
		}
		if x := holder.exited(); x.Closed != url {
			t.Errorf("the last exit closed %q", x.Closed)
		}
		r.socketEvents("opening " + url)
	})
}

// TestSocketOutlivesRestart: a connection waits while one process is replaced, as long as another lives.
func TestSocketOutlivesRestart(t *testing.T) {
	bothSockets(t, func(t *testing.T, url, network, address string) {
		r := newRig(t, Options{})
		first := r.spawn(fcgi(url, "serve first")).spawned()
		if got := hear(t, say(t, network, address, "hello")); got != "first hello" {
			t.Errorf("answer %q", got)
		}
		holder := r.spawn(fcgi(url, "hang")).spawned()
		if got := hear(t, say(t, network, address, "exit")); got != "first exit" {
			t.Errorf("answer %q", got)
		}
		if x := first.exited(); x.Closed != "" {
			t.Errorf("closed %q while another process has it", x.Closed)
		}
		waiting := say(t, network, address, "exit")
		second := r.spawn(fcgi(url, "serve second")).spawned()
		if got := hear(t, waiting); got != "second exit" {
			t.Errorf("answer %q", got)
		}
		second.exited()
		r.socketEvents("opening " + url)
		_ = holder.signal(process.SIGKILL, false)
		holder.exited()
	})
}

// TestSocketCloses: the last process takes the socket along, and the next one gets a new one. The file of a unix socket stays.
func TestSocketCloses(t *testing.T) {
	bothSockets(t, func(t *testing.T, url, network, address string) {
		before := openFDs(t)
		r := newRig(t, Options{})
		for range 2 {
			x := r.spawn(fcgi(url, "serve it")).spawned()
			if got := hear(t, say(t, network, address, "exit")); got != "it exit" {
				t.Errorf("answer %q", got)
			}
			if e := x.exited(); e.Closed != url {
				t.Errorf("the exit closed %q", e.Closed)
			}
			if !refused(t, network, address) {
				t.Error("still listening")
			}
			if _, err := os.Lstat(address); network == "unix" && err != nil {
				t.Error(err)
			}
			r.socketEvents("opening " + url)
		}
		// Closing the host closes a socket that is in use.
		x := r.spawn(fcgi(url, "serve it")).spawned()
		hear(t, say(t, network, address, "hello"))
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		for _, fd := range openFDs(t) {
			if strings.Contains(fd, "socket:[") && !slices.Contains(before, fd) {
				t.Errorf("left open: %s", fd)
			}
		}
		_ = unix.Kill(x.pid, unix.SIGKILL)
		var ws unix.WaitStatus
		if _, err := unix.Wait4(x.pid, &ws, 0, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestSocketProperties: mode and owner of the file whatever the umask, backlog, and that accept waits.
func TestSocketProperties(t *testing.T) {
	bothTables(t, func(t *testing.T) {
		r := newRig(t, Options{})
		before := syscall.Umask(0o077)
		defer syscall.Umask(before)
		url, _, path := freeUnix(t)
		sp := fcgi(url, "socket")
		sp.Socket.Mode = 0o666
		wantUID, wantGID := os.Getuid(), os.Getgid()
		if os.Getuid() == 0 {
			sp.Socket.UID, sp.Socket.GID = 65534, 1
			wantUID, wantGID = 65534, 1
		}
		x := r.spawn(sp).spawned()
		x.exited()
		if want := "nonblock false backlog -1 <nil>\n"; x.out.String() != want {
			t.Errorf("the child sees %q, want %q", x.out, want)
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o7777 != 0o666 || int(st.Uid) != wantUID || int(st.Gid) != wantGID {
			t.Errorf("mode %o owner %d:%d", st.Mode, st.Uid, st.Gid)
		}

		most, err := os.ReadFile("/proc/sys/net/core/somaxconn")
		if err != nil {
			t.Skip("hidden: the default backlog of a socket, because /proc/sys/net is not there")
		}
		for backlog, want := range map[int]string{0: strings.TrimSpace(string(most)), 5: "5"} {
			url, _, _ := freeTCP(t)
			sp := fcgi(url, "socket")
			sp.Socket.Backlog = backlog
			x := r.spawn(sp).spawned()
			x.exited()
			if want := "nonblock false backlog " + want + " <nil>\n"; x.out.String() != want {
				t.Errorf("backlog %d: the child sees %q, want %q", backlog, x.out, want)
			}
		}
	})
}

// TestSocketBusy: a port that somebody has fails the spawn, and is no longer in the way once it is free.
func TestSocketBusy(t *testing.T) {
	r := newRig(t, Options{})
	url, network, address := freeTCP(t)
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	text := "Could not create FastCGI socket " + url + ": address already in use"
	if got := r.spawn(fcgi(url, "serve it")).failed(); got != text {
		t.Errorf("failure %q, want %q", got, text)
	}
	r.socketEvents("opening " + url)
	r.Probe("prog", fcgi(url, "").Socket)
	r.socketEvents("opening "+url, text)
	l.Close()
	x := r.spawn(fcgi(url, "serve it")).spawned()
	hear(t, say(t, network, address, "exit"))
	x.exited()
	r.socketEvents("opening " + url)
}

// TestSocketRoom: what lies in the way of a unix socket goes, unless it is a directory or no file of anybody's making.
func TestSocketRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path string) error
		fail string
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"file", func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }, ""},
		{"dangling link", func(p string) error { return os.Symlink("/nonexistent/x", p) }, ""},
		{"somebody's socket", func(p string) error {
			l, err := net.Listen("unix", p)
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, ""},
		{"directory", func(p string) error { return os.Mkdir(p, 0o700) }, "something else than a socket is there"},
		{"FIFO", func(p string) error { return unix.Mkfifo(p, 0o600) }, "something else than a socket is there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			url, network, path := freeUnix(t)
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			x := r.spawn(fcgi(url, "serve it"))
			if c.fail != "" {
				if got, want := x.failed(), "Could not create FastCGI socket "+url+": "+c.fail; got != want {
					t.Errorf("failure %q, want %q", got, want)
				}
				if _, err := os.Lstat(path); err != nil {
					t.Errorf("it is gone: %v", err)
				}
				return
			}
			x.spawned()
			if got := hear(t, say(t, network, path, "exit")); got != "it exit" {
				t.Errorf("answer %q", got)
			}
			x.exited()
		})
	}
}

// TestSocketErrors: the remaining ways to fail leave nothing open and no file.
func TestSocketErrors(t *testing.T) {
	r := newRig(t, Options{})
	dir := t.TempDir()
	long := "unix://" + dir + "/" + strings.Repeat("x", 108)
	for url, want := range map[string]string{
		"unix://" + dir + "/none/s": "no such file or directory", long: "the path is too long for a socket",
		"tcp://192.0.2.1:9": "cannot assign requested address",
	} {
		if got := r.spawn(fcgi(url, "hang")).failed(); got != "Could not create FastCGI socket "+url+": "+want {
			t.Errorf("failure %q", got)
		}
	}
	if os.Getuid() == 0 {
		return // nothing is forbidden to root
	}
	sp := fcgi("unix://"+dir+"/s", "hang")
	sp.Socket.UID = 0
	if got, want := r.spawn(sp).failed(), "Could not change ownership of socket file: operation not permitted"; !strings.HasSuffix(got, want) {
		t.Errorf("failure %q", got)
	}
	if _, err := os.Lstat(dir + "/s"); err == nil {
		t.Error("the file is left")
	}
}

// TestSocketOfFailedSpawn: a process that cannot be started has had the socket for a moment.
func TestSocketOfFailedSpawn(t *testing.T) {
	bothSockets(t, func(t *testing.T, url, network, address string) {
		r := newRig(t, Options{})
		missing, unopened := fcgi(url, ""), fcgi(url, "")
		missing.Command = "/nonexistent"
		x := r.spawn(missing)
		e := r.next("SpawnFailed", func(e Event) bool { s, ok := e.(SpawnFailed); return ok && s.ID == x.req.ID }).(SpawnFailed)
		if e.Text != "can't find command '/nonexistent'" || e.Closed != url {
			t.Errorf("%+v", e)
		}
		r.nextID++
		out := newSink()
		out.openError = unix.ENOSPC
		r.Spawn(SpawnRequest{ID: r.nextID, Incarnation: 1, Spec: unopened, Stdout: out, Stderr: newSink()})
		e = r.next("SpawnFailed", func(e Event) bool { s, ok := e.(SpawnFailed); return ok && s.ID == r.nextID }).(SpawnFailed)
		if e.Closed != url || !refused(t, network, address) {
			t.Errorf("%+v", e)
		}
		r.socketEvents("opening "+url, "opening "+url)

		// A stand-in, which says why the child cannot be, is a process like others.
		elsewhere := fcgi(url, "")
		elsewhere.Directory = "/nonexistent"
		y := r.spawn(elsewhere).spawned()
		if got := y.exited(); got.Status.Code != 127 || got.Closed != url {
			t.Errorf("%+v", got)
		}
	})
}

// TestSocketProbe: a probe opens and closes, but leaves a socket alone that is open.
func TestSocketProbe(t *testing.T) {
	bothSockets(t, func(t *testing.T, url, network, address string) {
		r := newRig(t, Options{})
		r.Probe("prog", fcgi(url, "").Socket)
		r.socketEvents("opening "+url, "closed "+url)
		if !refused(t, network, address) {
			t.Error("still listening")
		}
		x := r.spawn(fcgi(url, "serve it")).spawned()
		r.socketEvents("opening " + url)
		r.Probe("prog", fcgi(url, "").Socket)
		r.socketEvents()
		hear(t, say(t, network, address, "exit"))
		if e := x.exited(); e.Closed != url {
			t.Errorf("the exit closed %q", e.Closed)
		}
	})
}

// TestSocketOfTwoPrograms: two programs do not get each other's connections.
func TestSocketOfTwoPrograms(t *testing.T) {
	r := newRig(t, Options{})
	url, network, path := freeUnix(t)
	x := r.spawn(fcgi(url, "serve it")).spawned()
	other := fcgi(url, "serve other")
	other.Program = "other"
	if got, want := r.spawn(other).failed(), "Could not create FastCGI socket "+url+": it is in use by [fcgi-program:prog]"; got != want {
		t.Errorf("failure %q, want %q", got, want)
	}
	hear(t, say(t, network, path, "exit"))
	x.exited()
	y := r.spawn(other).spawned()
	if got := hear(t, say(t, network, path, "exit")); got != "other exit" {
		t.Errorf("answer %q", got)
	}
	y.exited()
}

// TestSocketByName: a host's name is looked up.
func TestSocketByName(t *testing.T) {
	r := newRig(t, Options{})
	_, network, address := freeTCP(t)
	_, port, _ := net.SplitHostPort(address)
	x := r.spawn(fcgi("tcp://localhost:"+port, "serve it")).spawned()
	if got := hear(t, say(t, network, address, "exit")); got != "it exit" {
		t.Errorf("answer %q", got)
	}
	x.exited()
}
