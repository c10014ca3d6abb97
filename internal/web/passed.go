package web

import (
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Passed is a socket that whoever has started this program had opened for it (sd_listen_fds(3)). Its file, if it has one, is not ours.
type Passed struct {
	Name string
	FD   int
}

// Serves reports whether the socket listens where a server is to. One for all addresses of both families serves one for all of IPv4.
func (p Passed) Serves(c Config) bool {
	if !p.listens() {
		return false
	}
	at, err := unix.Getsockname(p.FD)
	if err != nil {
		return false
	}
	switch at := at.(type) {
	case *unix.SockaddrUnix:
		return c.Unix && sameName(at.Name, c.File)
	case *unix.SockaddrInet4:
		return c.isAt(at.Addr, at.Port)
	case *unix.SockaddrInet6:
		only, err := unix.GetsockoptInt(p.FD, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		return err == nil && only == 0 && at.Addr == [16]byte{} && c.isAt([4]byte{}, at.Port)
	}
	return false
}

// isAt reports whether an inet server is to listen at an address; all zero is everywhere.
func (c Config) isAt(address [4]byte, port int) bool {
	if c.Unix || c.Port != port {
		return false
	}
	at, err := net.ResolveTCPAddr("tcp4", net.JoinHostPort(c.Host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	var want [4]byte
	copy(want[:], at.IP.To4())
	return want == address
}

// listens reports whether it is a stream socket that listens.
func (p Passed) listens() bool {
	kind, err := unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	listens, err := unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listens == 1
}

// sameName reports whether two paths are one file: /var/run is often a link to /run.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// String says where the socket listens.
func (p Passed) String() string {
	at, err := unix.Getsockname(p.FD)
	if err != nil || !p.listens() {
		return "no stream socket that listens"
	}
	switch at := at.(type) {
	case *unix.SockaddrUnix:
		return at.Name
	case *unix.SockaddrInet4:
		return net.JoinHostPort(net.IP(at.Addr[:]).String(), strconv.Itoa(at.Port))
	case *unix.SockaddrInet6:
		return net.JoinHostPort(net.IP(at.Addr[:]).String(), strconv.Itoa(at.Port))
	}
	return "of another kind"
}
