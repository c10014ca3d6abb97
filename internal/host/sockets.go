package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// resolvePatience bounds the search for the address of a host's name: other spawns wait behind it.
const resolvePatience = 5 * time.Second

// sockets holds the listening sockets that processes share. One of a FastCGI program (contract: process, "FastCGI sockets") is opened for the first
// process that needs it and closed with the last one, so it outlives the restarts of single processes while others run: connections that
// wait in it are not lost. A named one is there for as long as the configuration names it: see Local.Listen.
type sockets struct {
	emit   func(Event)
	parent parent          // holds them for the daemons to come
	life   context.Context // ends when the host is closed
	end    context.CancelFunc

	mu   sync.Mutex // held while events are emitted, so that these come in the order of what happened
	open map[string]*sharedSocket
}

// sharedSocket is an open socket.
type sharedSocket struct {
	url   string
	owner string // the section that says so; its processes share it
	fd    int
	users int                // processes, prepared or running
	named bool               // it is there whether there are any or not
	how   process.SocketSpec // of a named one: what holds for it
}

// SocketKey is the key under which a keeper holds such a socket.
func SocketKey(url string) string { return "socket " + url }

func newSockets(emit func(Event)) *sockets {
	k := &sockets{emit: emit, parent: (*ownChildren)(nil), open: map[string]*sharedSocket{}}
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// want is a socket that is asked for.
type want struct {
	process.SocketSpec
	owner string // see sharedSocket
	named bool
	there *record // of a process that may have it already; nil = none
}

// acquire returns the socket for one more process, which must release it unless it is a named one.
func (k *sockets) acquire(spec want) (*sharedSocket, error) {
	if s, err := k.join(spec); s != nil || err != nil {
		return s, err
	}
	address, err := k.address(spec.URL) // may ask a name server, so not under the lock
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, err := k.joinLocked(spec); s != nil || err != nil {
		return s, err
	}
	fd := k.parent.inherit(SocketKey(spec.URL))
	if fd < 0 && err == nil {
		if fd = socketOf(spec.there, address); fd >= 0 {
			k.parent.keep(SocketKey(spec.URL), fd)
		}
	}
	if fd >= 0 && spec.named && err == nil && adjust(fd, address, spec.SocketSpec) != nil {
		unix.Close(fd) // its file is gone, perhaps: nobody could find it
		k.parent.drop(SocketKey(spec.URL))
		fd = -1
	}
	if fd < 0 {
		k.emit(SocketOpening{URL: spec.URL})
		if err == nil {
			fd, err = listen(address, spec)
		}
		if err != nil {
			return nil, err
		}
		k.parent.keep(SocketKey(spec.URL), fd)
	}
	s := &sharedSocket{url: spec.URL, owner: spec.owner, fd: fd, users: 1, named: spec.named, how: spec.SocketSpec}
	k.open[spec.URL] = s
	return s, nil
}

// join returns the socket if it is open.
func (k *sockets) join(spec want) (*sharedSocket, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.joinLocked(spec)
}

func (k *sockets) joinLocked(spec want) (*sharedSocket, error) {
	s := k.open[spec.URL]
	if s == nil {
		return nil, nil
	}
	if s.named != spec.named || !s.named && s.owner != spec.owner {
		return nil, fmt.Errorf("it is in use by [%s]", s.owner)
	}
	if s.named && s.how != spec.SocketSpec {
		address, err := unix.Getsockname(s.fd)
		if err == nil {
			err = adjust(s.fd, address, spec.SocketSpec)
		}
		if err != nil {
			return nil, err
		}
		s.how = spec.SocketSpec
	}
	s.users++
	return s, nil
}

// release takes leave of the socket for one process and tells so: closed is the socket's URL if this was its last process. A socket of nil is
// none.
func (k *sockets) release(s *sharedSocket, tell func(closed string)) {
	if s == nil {
		tell("")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	closed := ""
	if s.users--; s.users == 0 {
		// Before it is told: a process that starts because of it gets a new socket, always.
		unix.Close(s.fd)
		k.parent.drop(SocketKey(s.url))
		delete(k.open, s.url)
		closed = s.url
	}
	tell(closed)
}

// close closes everything. Nobody acquires or releases any more.
func (k *sockets) close() {
	k.end()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.open {
		if s.named {
			k.parent.leave(SocketKey(s.url), s.fd)
			continue
		}
		unix.Close(s.fd)
	}
	clear(k.open)
}

// Probe opens the socket and closes it again, unless it is open.
func (h *Local) Probe(program string, spec process.SocketSpec) {
	s, err := h.sockets.acquire(fcgiSocket(program, spec, nil))
	if err != nil {
		h.emit(SocketFailed{URL: spec.URL, Text: socketText(spec, err)})
		return
	}
	h.sockets.release(s, func(closed string) {
		if closed != "" {
			h.emit(SocketClosed{URL: closed})
		}
	})
}

// fcgiSocket is the socket of a FastCGI program: its processes share it wherever they are, while two programs do not.
func fcgiSocket(program string, spec process.SocketSpec, there *record) want {
	return want{SocketSpec: spec, owner: "fcgi-program:" + program, there: there}
}

// socketText is Supervisor's text about a socket that cannot be opened.
func socketText(spec process.SocketSpec, err error) string {
	return "Could not create FastCGI socket " + spec.URL + ": " + err.Error()
}

// duplicate returns a descriptor of the socket for a child.
func (s *sharedSocket) duplicate() (int, error) {
	return unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 3)
}

// address returns where the socket listens.
func (k *sockets) address(url string) (unix.Sockaddr, error) {
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		if len(path) >= len(unix.RawSockaddrUnix{}.Path) {
			return nil, errors.New("the path is too long for a socket")
		}
		return &unix.SockaddrUnix{Name: path}, nil
	}
	host, digits, err := net.SplitHostPort(strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		ctx, cancel := context.WithTimeout(k.life, resolvePatience)
		defer cancel()
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		if err != nil {
			return nil, err
		}
		ip = found[0]
	}
	if ip = ip.Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: ip.As4()}, nil
	}
	if ip.Zone() != "" {
		return nil, fmt.Errorf("%s has a zone", ip)
	}
	return &unix.SockaddrInet6{Port: port, Addr: ip.As16()}, nil
}

// socketOf returns the socket of a process that listens at the address, -1 if it has none. Whatever number it had at first, the process may have given it
// another.
func socketOf(r *record, address unix.Sockaddr) int {
	if r == nil || r.pidfd < 0 {
		return -1
	}
	dir := fmt.Sprintf("/proc/%d/fd", r.pid)
	entries, _ := os.ReadDir(dir) // if it is another user's, the process goes on with a socket of its own
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if to, _ := os.Readlink(filepath.Join(dir, e.Name())); err != nil || !strings.HasPrefix(to, "socket:") {
			continue
		}
		fd, err := TakeFD(r.pidfd, number)
		if err != nil {
			continue // it has closed it, or the kernel is too old
		}
		listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err == nil && listens == 1 {
			if at, err := unix.Getsockname(fd); err == nil && sameAddress(at, address) {
				return fd
			}
		}
		unix.Close(fd)
	}
	return -1
}

func sameAddress(a, b unix.Sockaddr) bool {
	switch a := a.(type) {
	case *unix.SockaddrUnix:
		b, ok := b.(*unix.SockaddrUnix)
		return ok && a.Name == b.Name
	case *unix.SockaddrInet4:
		b, ok := b.(*unix.SockaddrInet4)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	case *unix.SockaddrInet6:
		b, ok := b.(*unix.SockaddrInet6)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	}
	return false
}

// listen makes the socket. It is a blocking one, as children expect.
func listen(address unix.Sockaddr, spec want) (fd int, err error) {
	file, isFile := address.(*unix.SockaddrUnix)
	domain := unix.AF_INET
	if _, six := address.(*unix.SockaddrInet6); six {
		domain = unix.AF_INET6
	}
	if isFile {
		domain = unix.AF_UNIX
		room := makeRoom
		if spec.named {
			room = sweepSocket
		}
		if err := room(file.Name); err != nil {
			return -1, err
		}
	}
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	bound := false
	defer func() {
		if err == nil {
			return
		}
		unix.Close(fd)
		if bound && isFile {
			_ = unix.Unlink(file.Name)
		}
	}()
	if !isFile {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return -1, err
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return -1, err
	}
	bound = true
	if err := adjust(fd, address, spec.SocketSpec); err != nil {
		return -1, err
	}
	return fd, nil
}

// adjust gives a socket that is bound its owner, mode and backlog, and has it listen if it does not yet: nobody can connect before.
func adjust(fd int, address unix.Sockaddr, spec process.SocketSpec) error {
	if file, isFile := address.(*unix.SockaddrUnix); isFile {
		if err := give(file.Name, spec); err != nil {
			return err
		}
	}
	backlog := spec.Backlog
	if backlog == 0 {
		backlog = maxBacklog
	}
	return unix.Listen(fd, backlog)
}

// maxBacklog is more than any system takes: the kernel lowers it to net.core.somaxconn.
const maxBacklog = 65535

// makeRoom removes what is left of an earlier socket. As under Supervisor a file or somebody else's socket goes, too; a directory or a device
// never does.
func makeRoom(path string) error {
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK, unix.S_IFREG, unix.S_IFLNK:
		return unix.Unlink(path)
	}
	return errors.New("something else than a socket is there")
}

// give sets owner and mode of the socket's file. It looks at the file once: a link that somebody puts there meanwhile is not followed.
func give(path string, spec process.SocketSpec) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if spec.UID != process.UnsetID {
		if err := unix.Fchownat(fd, "", spec.UID, spec.GID, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("Could not change ownership of socket file: %w", err)
		}
	}
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), uint32(spec.Mode)&0o7777); err != nil {
		return fmt.Errorf("Could not change permissions of socket file: %w", err)
	}
	return nil
}
