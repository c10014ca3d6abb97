package web

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPassedServes has sockets of several kinds meet servers: only one that listens at the server's address serves it.
func TestPassedServes(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	passed := func(network, address string) (Passed, int) {
		t.Helper()
		l, err := net.Listen(network, address)
		if err != nil {
			t.Skipf("hidden: sockets at %s, because one cannot be opened: %v", address, err)
		}
		t.Cleanup(func() { _ = l.Close() })
		file, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		port := 0
		if at, isTCP := l.Addr().(*net.TCPAddr); isTCP {
			port = at.Port
		}
		return Passed{FD: int(file.Fd())}, port
	}
	file := filepath.Join(real, "s")
	one, _ := passed("unix", file)
	loop, loopPort := passed("tcp4", "127.0.0.1:0")
	all, allPort := passed("tcp4", ":0")
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Close(ends[0]); unix.Close(ends[1]) }()
	datagrams, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	packets, err := datagrams.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	inet := func(host string, port int) Config { return Config{Host: host, Port: port} }
	for _, c := range []struct {
		what string
		Passed
		Config
		want bool
	}{
		{"its file", one, unixConfig(file), true},
		{"its file by a link", one, unixConfig(filepath.Join(link, "s")), true},
		{"another file", one, unixConfig(filepath.Join(real, "t")), false},
		{"its address", loop, inet("127.0.0.1", loopPort), true},
		{"its address by name", loop, inet("localhost", loopPort), true},
		{"another port", loop, inet("127.0.0.1", loopPort+1), false},
		{"another host", loop, inet("127.0.0.2", loopPort), false},
		{"everywhere, and it is not", loop, inet("", loopPort), false},
		{"everywhere", all, inet("", allPort), true},
		{"everywhere, in numbers", all, inet("0.0.0.0", allPort), true},
		{"everywhere, and one is wanted", all, inet("127.0.0.1", allPort), false},
		{"a host that nobody knows", all, inet("no such host", allPort), false},
		{"a file for an address", one, inet("", loopPort), false},
		{"a socket that does not listen", Passed{FD: ends[0]}, unixConfig(""), false},
		{"datagrams", Passed{FD: int(packets.Fd())}, inet("127.0.0.1", datagrams.LocalAddr().(*net.UDPAddr).Port), false},
	} {
		if got := c.Serves(c.Config); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	t.Run("both families", func(t *testing.T) {
		both, port := passed("tcp", "[::]:0")
		if !both.Serves(inet("", port)) || both.Serves(inet("127.0.0.1", port)) {
			t.Error("a socket for all addresses of both families is for all of IPv4, and for no single one")
		}
		six, port := passed("tcp6", "[::]:0")
		if six.Serves(inet("", port)) {
			t.Error("a socket for IPv6 alone serves IPv4")
		}
	})
}
