package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func unixConfig(path string) Config {
	return Config{Section: "unix_http_server", Unix: true, File: path, Mode: 0o700, UID: -1, GID: -1}
}

// names lists a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestUnixSocketFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	for _, mode := range []fs.FileMode{0o700, 0o777, 0o666, 0o000} {
		c := unixConfig(path)
		c.Mode = mode
		l, err := Listen([]Config{c})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != fs.ModeSocket|mode {
			t.Errorf("mode %o: %v, %v", mode, info, err)
		}
		if got := names(t, dir); got != "s" || len(l.Notices) > 0 {
			t.Errorf("files %s, notices %v", got, l.Notices)
		}
		l.Close()
		l.Close()
		if got := names(t, dir); got != "" {
			t.Errorf("Close leaves %s", got)
		}
	}
}

// TestBindHidden checks that there is no moment at which a stranger can connect.
func TestBindHidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := bindHidden(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestUnixSocketOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	c := unixConfig(path)
	c.UID, c.GID = 65534, 65534
	l, err := Listen([]Config{c})
	if os.Geteuid() != 0 {
		want := fmt.Sprintf("Not permitted to chown %s to uid/gid (65534, 65534); adjust \"sockchown\" value in config file or on command line to "+
			"values that the current user (", path)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("chown as nobody: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 65534 || stat.Gid != 65534 || info.Mode().Perm() != 0o700 {
		t.Errorf("%d:%d %v", stat.Uid, stat.Gid, info.Mode())
	}
	text := chownError(c, syscall.EPERM).Error()
	if want := "Not permitted to chown " + path + " to uid/gid (65534, 65534); adjust \"sockchown\" value in config file or on command line to values " +
		"that the current user (root) can successfully chown"; text != want {
		t.Errorf("%s", text)
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	first, err := Listen([]Config{unixConfig(path), {Section: "inet_http_server", Host: "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, port, err := net.SplitHostPort(first.Addresses()[1])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(dir, "t")
	for _, c := range []Config{unixConfig(path), {Host: "127.0.0.1", Port: number}, {Port: number}} {
		l, err := Listen([]Config{unixConfig(second), c})
		var typed *ListenError
		if l != nil || !errors.As(err, &typed) || !errors.Is(err, syscall.EADDRINUSE) || err.Error() != "Another program is already listening on a port that one of our "+
			"HTTP servers is configured to use.  Shut this program down first before starting supervisord." {
			t.Errorf("%+v: %v", c, err)
		}
		if got := names(t, dir); got != "s" {
			t.Errorf("after the failure there are %s", got)
		}
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the running instance has lost its socket: %v", err)
	} else {
		_ = conn.Close()
	}
}

// stale leaves a socket file without a listener.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
}

func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale(t, path)
	stale(t, path+"."+strconv.Itoa(os.Getpid())) // a temporary name left behind
	l, err := Listen([]Config{unixConfig(path)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := fmt.Sprint(l.Notices); got != "[Unlinking stale socket "+path+"]" {
		t.Errorf("notices %s", got)
	}
	if got := names(t, dir); got != "s" {
		t.Errorf("there are %s", got)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// TestRemoveStaleSparesOthers checks that a socket which another daemon has bound since the probe is put back.
func TestRemoveStaleSparesOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale(t, path)
	seen, err := probe(path)
	if err != nil || seen == nil {
		t.Fatal(seen, err)
	}
	_ = os.Remove(path)
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := removeStale(path, path+".aside", seen); err != nil {
		t.Fatal(err)
	}
	if _, err := probe(path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the other daemon's socket: %v", err)
	}
	if got := names(t, dir); got != "s" {
		t.Errorf("there are %s", got)
	}
}

// TestOneWins starts many listeners on one stale socket: one gets it, the others are told that it is taken.
func TestOneWins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale(t, path)
	var group sync.WaitGroup
	var mu sync.Mutex
	won, busy := 0, 0
	for i := range 8 {
		group.Go(func() {
			var l Listeners
			one, err := l.listenUnix(unixConfig(path), strconv.Itoa(1000+i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
				l.open = append(l.open, one)
				t.Cleanup(l.Close)
			case errors.Is(err, syscall.EADDRINUSE):
				busy++
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won != 1 || busy != 7 {
		t.Errorf("%d have the socket, %d found it taken", won, busy)
	}
}

func TestOtherListenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    Config
		text string
	}{
		{unixConfig(filepath.Join(dir, "no", "s")), "errno.ENOENT (2)"},
		{Config{Host: "192.0.2.1", Port: 1}, "errno.EADDRNOTAVAIL (99)"},
		{Config{Host: "no.such.host.invalid", Port: 1}, "-2"},
		{unixConfig(filepath.Join(dir, strings.Repeat("x", 200))), "AF_UNIX path too long"},
	} {
		l, err := Listen([]Config{test.c})
		if l != nil || err == nil || err.Error() != "Cannot open an HTTP server: socket.error reported "+test.text {
			t.Errorf("%+v: %v", test.c, err)
		}
	}
	if got := names(t, dir); got != "file" {
		t.Errorf("there are %s", got)
	}
}

// TestNameTaken has something else in the place of the socket. Supervisor deletes whatever file it finds.
func TestNameTaken(t *testing.T) {
	dir := t.TempDir()
	file, sub, empty := filepath.Join(dir, "file"), filepath.Join(dir, "sub"), filepath.Join(dir, "empty")
	err := errors.Join(os.WriteFile(file, []byte("precious"), 0o600), os.Mkdir(sub, 0o700), os.WriteFile(empty, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, sub} {
		want := "Cannot open an HTTP server: " + path + " exists and is not a socket"
		if _, err := Listen([]Config{unixConfig(path)}); err == nil || err.Error() != want || !errors.Is(err, syscall.EEXIST) {
			t.Errorf("Listen: %v", err)
		}
		if err := new(Listeners).Check([]Config{unixConfig(path)}); err == nil || err.Error() != want {
			t.Errorf("Check: %v", err)
		}
	}
	l, err := Listen([]Config{unixConfig(empty)})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Notices) != 1 || l.Notices[0] != "Unlinking stale socket "+empty {
		t.Errorf("notices %q", l.Notices)
	}
	l.Close()
	if got := names(t, dir); got != "file sub" {
		t.Errorf("there are %s", got)
	}
}

// TestCheck looks for what would be in the way of other sockets, while some are open.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	path, foreign := filepath.Join(dir, "s"), filepath.Join(dir, "foreign")
	other, err := Listen([]Config{unixConfig(foreign), {Section: "inet_http_server", Host: "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	port := func(l *Listeners) int {
		for _, one := range l.open {
			if tcp, ok := one.Addr().(*net.TCPAddr); ok {
				return tcp.Port
			}
		}
		return 0
	}
	held, err := Listen([]Config{unixConfig(path), {Section: "inet_http_server", Host: "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	held.open[1].Port = port(held) // as a file would say it
	inet := func(host string, port int) Config { return Config{Section: "inet_http_server", Host: host, Port: port} }
	for _, c := range []struct {
		name  string
		check Config
		want  string
	}{
		{"our socket", unixConfig(path), ""},
		{"our port", inet("127.0.0.1", port(held)), ""},
		{"our port, every address", inet("", port(held)), ""},
		{"a new socket", unixConfig(filepath.Join(dir, "new")), ""},
		{"a new port", inet("127.0.0.1", 0), ""},
		{"a foreign socket", unixConfig(foreign), busyText},
		{"a foreign port", inet("127.0.0.1", port(other)), busyText},
		{"no directory", unixConfig(filepath.Join(dir, "no", "s")), listenText + "errno.ENOENT (2)"},
		{"too long", unixConfig(filepath.Join(dir, strings.Repeat("x", 200))), listenText + "AF_UNIX path too long"},
	} {
		err := held.Check([]Config{c.check})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if got := names(t, dir); got != "foreign s" {
		t.Errorf("there are %s", got)
	}
	// Somebody took the place of our socket.
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := held.Check([]Config{unixConfig(path)}); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("our socket replaced: %v", err)
	}
}

// TestCloseSparesOthers checks that a socket file that has been replaced stays.
func TestCloseSparesOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := Listen([]Config{unixConfig(path)})
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(path)
	stale(t, path)
	l.Close()
	if got := names(t, dir); got != "s" {
		t.Errorf("there are %q", got)
	}
}
