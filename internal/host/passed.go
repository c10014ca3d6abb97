package host

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// Named sockets ([socket:x]) are passed to processes as systemd passes its own: descriptors from 3 on, LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID.

// listening is what Listen was told.
type listening struct {
	open []process.NamedSocket
	keep []string
}

// Listen queues it behind the spawns before.
func (h *Local) Listen(open []process.NamedSocket, keep []string) {
	h.ready.push(&proc{listen: &listening{open, keep}})
}

func (h *Local) listen(l *listening) {
	for _, s := range l.open {
		if _, err := h.sockets.acquire(namedSocket(s)); err != nil {
			h.emit(SocketFailed{URL: s.URL, Text: namedText(s, err)})
		}
	}
	h.sockets.closeNamed(func(url string) bool {
		return slices.Contains(l.keep, url) || slices.ContainsFunc(l.open, func(s process.NamedSocket) bool { return s.URL == url })
	})
}

// closeNamed closes the named sockets that nobody wants.
func (k *sockets) closeNamed(wanted func(url string) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for url, s := range k.open {
		if !s.named || wanted(url) {
			continue
		}
		unix.Close(s.fd)
		k.parent.drop(SocketKey(url))
		delete(k.open, url)
		k.emit(SocketClosed{URL: url})
	}
}

func namedSocket(s process.NamedSocket) want {
	return want{SocketSpec: s.SocketSpec, owner: "socket:" + s.Name, named: true}
}

func namedText(s process.NamedSocket, err error) string {
	return "cannot open socket " + s.Name + ": " + err.Error()
}

// named returns the named sockets of a process. Those that it has already, if it is there, may be the only ones that are left.
func (h *Local) named(spec *process.Spec, there *record) (out []*sharedSocket, text string) {
	for _, n := range spec.Sockets {
		w := namedSocket(n)
		w.there = there
		s, err := h.sockets.acquire(w)
		if err != nil {
			return nil, namedText(n, err)
		}
		out = append(out, s)
	}
	return out, ""
}

// sweepSocket removes what is left of an earlier socket at a path. One that somebody listens at stays, and so does all that is no socket.
func sweepSocket(path string) error {
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return errors.New("something else than a socket is there")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); !errors.Is(err, unix.ECONNREFUSED) {
		return unix.EADDRINUSE
	}
	return unix.Unlink(path)
}

// withSockets says in an environment which sockets a process gets. What it says already is about this process.
func withSockets(environ []string, spec *process.Spec) []string {
	if len(spec.Sockets) == 0 {
		return environ
	}
	out := slices.DeleteFunc(slices.Clone(environ), func(line string) bool { return strings.HasPrefix(line, "LISTEN_") })
	names := make([]string, len(spec.Sockets))
	for i, s := range spec.Sockets {
		names[i] = s.Name
	}
	return append(out, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
}

// errOldKeeper is why a process that gets sockets cannot be started yet.
var errOldKeeper = errors.New("the keeper is of an older version and cannot pass sockets on")

// passingName is argv[0] of this program while it is on its way to become one that gets sockets: LISTEN_PID is its pid, which nobody knows before the
// fork. What follows are how SIGPIPE is to be found, the file, and its argv.
const passingName = "graced: process that gets sockets"

func passingArgv(file string, argv []string) []string {
	sigpipe := "default"
	if signal.Ignored(unix.SIGPIPE) {
		sigpipe = "ignore"
	}
	return append([]string{passingName, sigpipe, file}, argv...)
}

// pass executes the program. If it returns, the exit status is that of a stand-in.
func pass(sigpipe, file string, argv []string) int {
	if sigpipe == "ignore" {
		signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	}
	err := syscall.Exec(file, argv, append(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid())))
	return notSpawned(fmt.Sprintf("couldn't exec %s: %s\n", argv[0], errnoName(err)))
}
