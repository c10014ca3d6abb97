package host

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// socketOn returns a named socket.
func socketOn(name, url string) process.NamedSocket {
	return process.NamedSocket{Name: name, SocketSpec: process.SocketSpec{URL: url, Mode: 0o700, UID: process.UnsetID, GID: process.UnsetID}}
}

// user returns a spec of a program that names sockets.
func user(program, script string, sockets ...process.NamedSocket) *process.Spec {
	sp := spec(script)
	sp.Program, sp.Sockets = program, sockets
	return sp
}

// opened has the host open sockets, and returns when it has: an event tells only that it is about to.
func (r *rig) opened(sockets ...process.NamedSocket) {
	r.t.Helper()
	r.Listen(sockets, nil)
	r.spawn(user("after", "exit 0")).spawned().exited()
}

// TestPassed: processes of two programs get the same sockets as descriptors from 3 on, and are told so as systemd does it.
func TestPassed(t *testing.T) {
	bothTables(t, func(t *testing.T) {
		r := newRig(t, Options{})
		tcp, _, _ := freeTCP(t)
		path, _, _ := freeUnix(t)
		first, second := socketOn("web", tcp), socketOn("admin", path)
		var seen [][]string
		for _, program := range []string{"a", "b"} {
			sp := user(program, "facts", first, second)
			sp.Environment = append(sp.Environment, process.Env{Key: "LISTEN_PID", Value: "1"}, process.Env{Key: "LISTEN_FDS", Value: "7"})
			x := r.spawn(sp)
			f := x.facts()
			if len(f.Files) != 5 || !strings.HasPrefix(f.Files[3], "3 socket:[") || !strings.HasPrefix(f.Files[4], "4 socket:[") {
				t.Fatalf("descriptors %q", f.Files)
			}
			told := slices.DeleteFunc(slices.Clone(f.Env), func(line string) bool { return !strings.HasPrefix(line, "LISTEN_") })
			if want := []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=web:admin", fmt.Sprint("LISTEN_PID=", x.pid)}; !slices.Equal(told, want) || f.PID != x.pid {
				t.Errorf("pid %d is told %q, want %q", f.PID, told, want)
			}
			if f.Args[1] != "arg" || f.PGID != f.PID {
				t.Errorf("%+v", f)
			}
			seen = append(seen, f.Files[3:])
		}
		if !slices.Equal(seen[0], seen[1]) {
			t.Errorf("different sockets: %q", seen)
		}
		third := r.spawn(user("c", "facts", second)).facts()
		if len(third.Files) != 4 || strings.TrimPrefix(third.Files[3], "3 ") != strings.TrimPrefix(seen[0][1], "4 ") {
			t.Errorf("descriptors %q", third.Files)
		}
		plain := r.spawn(user("d", "facts")).facts()
		if len(plain.Files) != 3 || slices.ContainsFunc(plain.Env, func(line string) bool { return strings.HasPrefix(line, "LISTEN_") }) {
			t.Errorf("without sockets: %q %q", plain.Files, plain.Env)
		}
		r.socketEvents("opening "+tcp, "opening "+path)
	})
}

// TestPassedAsItWas: signals and limits come through the program on the way as they were.
func TestPassedAsItWas(t *testing.T) {
	r := newRig(t, Options{})
	url, _, _ := freeTCP(t)
	sp := user("a", "", socketOn("s", url))
	sp.Command = "/bin/sh -c 'grep -E \"SigIgn|SigBlk\" /proc/self/status; ulimit -Sn; umask'"
	x := r.spawn(sp).spawned()
	x.exited()
	plain := user("a", "")
	plain.Command = sp.Command
	y := r.spawn(plain).spawned()
	y.exited()
	if x.out.String() != y.out.String() || !strings.Contains(x.out.String(), "SigIgn:") {
		t.Errorf("with sockets %q, without %q", x.out, y.out)
	}
}

// TestPassedNotExecutable: a file that the kernel refuses only when it is executed is told as without sockets.
func TestPassedNotExecutable(t *testing.T) {
	r := newRig(t, Options{})
	file := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(file, []byte("\x7fELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	url, _, _ := freeTCP(t)
	var told [2]string
	for i, sp := range []*process.Spec{user("a", ""), user("a", "", socketOn("s", url))} {
		sp.Command = file
		x := r.spawn(sp).spawned()
		if e := x.exited(); e.Status.Code != 127 {
			t.Errorf("status %v", e.Status)
		}
		told[i] = x.err.String()
	}
	if told[0] != told[1] || !strings.Contains(told[0], "couldn't exec "+file+": ENOEXEC") {
		t.Errorf("told %q", told)
	}
}

// TestListen: a named socket is there without processes and across their ends; what comes meanwhile waits; it closes when nobody names it any more.
func TestListen(t *testing.T) {
	bothSockets(t, func(t *testing.T, url, network, address string) {
		r := newRig(t, Options{})
		s := socketOn("s", url)
		r.opened(s)
		r.socketEvents("opening " + url)
		for range 2 {
			waiting := say(t, network, address, "exit")
			x := r.spawn(user("a", "serve it", s)).spawned()
			if got := hear(t, waiting); got != "it exit" {
				t.Errorf("answer %q", got)
			}
			if e := x.exited(); e.Closed != "" {
				t.Errorf("the exit closed %q", e.Closed)
			}
		}
		r.Listen(nil, []string{url})
		waiting := say(t, network, address, "exit")
		x := r.spawn(user("a", "serve it", s)).spawned()
		if got := hear(t, waiting); got != "it exit" {
			t.Errorf("answer %q", got)
		}
		x.exited()
		r.Listen(nil, nil)
		r.socketEvents("closed " + url)
		if !refused(t, network, address) {
			t.Error("still listening")
		}
	})
}

// TestListenBusy: an address that somebody has fails those that need it alone, until it is free.
func TestListenBusy(t *testing.T) {
	for kind, free := range map[string]func(*testing.T) (string, string, string){"unix": freeUnix, "tcp": freeTCP} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, Options{})
			url, network, address := free(t)
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			s := socketOn("s", url)
			text := "cannot open socket s: address already in use"
			r.Listen([]process.NamedSocket{s}, nil)
			r.socketEvents("opening "+url, text)
			if got := r.spawn(user("a", "serve it", s)).failed(); got != text {
				t.Errorf("failure %q, want %q", got, text)
			}
			r.spawn(user("b", "facts")).facts()
			l.Close()
			x := r.spawn(user("a", "serve it", s)).spawned()
			hear(t, say(t, network, address, "exit"))
			x.exited()
			if got := r.spawn(fcgi(url, "hang")).failed(); !strings.HasSuffix(got, "it is in use by [socket:s]") {
				t.Errorf("a FastCGI program: %q", got)
			}
		})
	}
}

// TestListenUnix: what is left of a socket goes, anything else stays; owner and mode follow the configuration while the socket stays.
func TestListenUnix(t *testing.T) {
	r := newRig(t, Options{})
	url, network, path := freeUnix(t)
	s := socketOn("s", url)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Listen([]process.NamedSocket{s}, nil)
	r.socketEvents("opening "+url, "cannot open socket s: something else than a socket is there")
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file says %q, %v", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	r.opened(s)
	r.socketEvents("opening " + url)
	waiting := say(t, network, path, "exit")
	s.Mode = 0o666
	x := r.spawn(user("a", "serve it", s)).spawned()
	if got := hear(t, waiting); got != "it exit" {
		t.Errorf("answer %q", got)
	}
	x.exited()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o7777 != 0o666 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
	r.socketEvents()
}

// TestListenIPv6 serves at an IPv6 address.
func TestListenIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("hidden: a named socket with an IPv6 address, because there is no ::1")
	}
	address := l.Addr().String()
	l.Close()
	r := newRig(t, Options{})
	x := r.spawn(user("a", "serve it", socketOn("s", "tcp://"+address))).spawned()
	if got := hear(t, say(t, "tcp", address, "exit")); got != "it exit" {
		t.Errorf("answer %q", got)
	}
	x.exited()
}

// TestPassedByOldKeeper: a keeper of an older version would start the process without its sockets, so it is not asked before it has become another.
func TestPassedByOldKeeper(t *testing.T) {
	l := &Link{version: passingVersion - 1}
	c := &keptChildren{l: l}
	if err := c.hand(&forkJob{}); err != nil {
		t.Errorf("without sockets: %v", err)
	}
	passes := func() bool { return c.hand(&forkJob{passed: []int{-1}}) == nil }
	if passes() {
		t.Error("an old keeper is asked")
	}
	l.hear(&became{program: "/old", failed: "it could not"}, nil, nil)
	if passes() {
		t.Error("an old keeper is asked that did not become another")
	}
	if l.hear(&became{program: "/new"}, nil, nil); !passes() {
		t.Error("a new keeper is not asked")
	}
}
