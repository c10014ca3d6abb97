// Package web serves the daemon over HTTP: it opens the configured sockets, checks credentials, carries XML-RPC documents to their
// handler, streams logs and shows the classic page.
//
// It owns sockets, HTTP and nothing behind it: methods are package xmlrpc's, answers the control.Service's. Opening (Listen) is apart from
// serving (Serve), so that a daemon finds its sockets taken before it touches anything else. The mains import it.
package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config describes one HTTP server: an [inet_http_server] or a [unix_http_server] section.
type Config struct {
	Section string // for messages
	Unix    bool   // File, Mode, UID and GID count; else Host and Port

	Host string // "" = all IPv4 addresses
	Port int

	File     string      // absolute
	Mode     fs.FileMode // permission bits
	UID, GID int         // of the file; -1 = unchanged

	Username string // "" = anybody may use the server
	Password string // or {SHA} and the lower-case hexadecimal SHA-1 of it
}

// ListenError says that a socket cannot be opened, in the words that supervisord prints behind "Error: " (contract: daemon, "Start
// sequence"). It unwraps to the errno; EADDRINUSE means that another daemon is listening.
type ListenError struct {
	Section string
	text    string
	err     error
}

func (e *ListenError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.err }

const busyText = "Another program is already listening on a port that one of our HTTP servers is configured to use.  " +
	"Shut this program down first before starting supervisord."

// listenText is how Supervisor begins to tell of any other failure.
const listenText = "Cannot open an HTTP server: socket.error reported "

func listenError(section string, err error) error {
	var listen *ListenError
	if errors.As(err, &listen) {
		return err
	}
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &ListenError{section, busyText, err}
	case errors.As(err, &errno) && unix.ErrnoName(errno) != "":
		return &ListenError{section, listenText + "errno." + unix.ErrnoName(errno) + " (" + strconv.Itoa(int(errno)) + ")", err}
	case errors.As(err, &dns):
		return &ListenError{section, listenText + "-2", err} // compat: EAI_NONAME, which Python has no name for
	}
	return &ListenError{section, "Cannot open an HTTP server: " + err.Error(), err}
}

// Listeners are the open sockets of a daemon.
type Listeners struct {
	Notices []string // for standard error, e.g. that a stale socket was removed
	open    []listener
}

type listener struct {
	Config
	net.Listener
	created fs.FileInfo // the socket file, to be removed at the end; nil: there is none, or it is not ours
	passed  bool        // see Passed
}

// Listen opens the sockets of all servers, or none: the error is a *ListenError. Clients can connect at once; they are answered when
// Serve is called.
func Listen(configs []Config) (*Listeners, error) {
	l := &Listeners{}
	for _, c := range configs {
		one, err := l.listen(c)
		if err != nil {
			l.Close()
			return nil, listenError(c.Section, err)
		}
		l.open = append(l.open, one)
	}
	return l, nil
}

// Addresses returns where the servers listen: "host:port", or the path of a socket.
func (l *Listeners) Addresses() []string {
	var out []string
	for _, one := range l.open {
		if one.Unix {
			out = append(out, one.File)
		} else {
			out = append(out, one.Addr().String())
		}
	}
	return out
}

// Close closes the sockets and removes the socket files, as far as they are still the ones that Listen made. It may be called again.
func (l *Listeners) Close() {
	for _, one := range l.open {
		_ = one.Listener.Close() // the second time it is closed already
		if one.created == nil {
			continue
		}
		if now, err := os.Lstat(one.File); err == nil && same(now, one.created) {
			_ = os.Remove(one.File) // nothing else can be done about it
		}
	}
}

// same reports whether two looks saw one file: inode numbers alone are given out again.
func same(a, b fs.FileInfo) bool { return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) }

func (l *Listeners) listen(c Config) (listener, error) {
	if c.Unix {
		return l.listenUnix(c, strconv.Itoa(os.Getpid()))
	}
	// SO_REUSEADDR is what Go sets anyway.
	inet, err := net.Listen("tcp4", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	return listener{Config: c, Listener: inet}, err
}

// listenUnix binds a socket under a temporary name, gives it owner and mode there, and links it to its name, which succeeds for one
// daemon alone. Nobody can connect before the mode is right. instance tells the temporary names of daemons apart.
func (l *Listeners) listenUnix(c Config, instance string) (_ listener, err error) {
	temp, err := tempName(c, instance)
	if err != nil {
		return listener{}, err
	}
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return listener{}, err
	}
	socket, err := bindHidden(temp)
	if err != nil {
		return listener{}, err
	}
	defer func() {
		_ = os.Remove(temp) // a name no one else uses
		if err != nil {
			_ = socket.Close()
		}
	}()
	if err := os.Chown(temp, c.UID, c.GID); err != nil {
		return listener{}, chownError(c, err)
	}
	if err := os.Chmod(temp, c.Mode.Perm()); err != nil {
		return listener{}, err
	}
	created, err := os.Lstat(temp)
	if err != nil {
		return listener{}, err
	}
	// Each round finds the name taken by another file. That is a daemon starting at the same time, and not for ever.
	for range 10 {
		err := os.Link(temp, c.File)
		if err == nil {
			return listener{Config: c, Listener: socket, created: created}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return listener{}, err
		}
		stale, err := probe(c.File)
		if err != nil {
			return listener{}, err
		}
		if stale == nil {
			continue
		}
		l.Notices = append(l.Notices, "Unlinking stale socket "+c.File)
		if err := removeStale(c.File, temp+".stale", stale); err != nil {
			return listener{}, err
		}
	}
	return listener{}, syscall.EADDRINUSE
}

// bindHidden listens on a socket whose file lets nobody in until its mode is changed, and stays when it is closed.
func bindHidden(file string) (net.Listener, error) {
	// The mode of the socket before bind, less the umask, is that of its file.
	lc := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var chmodErr error
		err := conn.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0) })
		return errors.Join(err, chmodErr)
	}}
	socket, err := lc.Listen(context.Background(), "unix", file)
	if err != nil {
		return nil, err
	}
	socket.(*net.UnixListener).SetUnlinkOnClose(false)
	return socket, nil
}

func chownError(c Config, err error) error {
	if !errors.Is(err, syscall.EPERM) {
		return err
	}
	name := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return &ListenError{c.Section, fmt.Sprintf("Not permitted to chown %s to uid/gid (%d, %d); adjust \"sockchown\" value in config file or "+
		"on command line to values that the current user (%s) can successfully chown", c.File, c.UID, c.GID, name), err}
}

// probeTimeout is how long a listener may take to accept a probe before it counts as busy.
const probeTimeout = 5 * time.Second

// probe looks at the file that has a socket's name. It returns EADDRINUSE if a daemon listens there, the file if none does, and nothing
// if it has gone. Whoever accepts a connection is alive; Supervisor waits for an answer besides, and with a stopped daemon for ever.
func probe(file string) (stale fs.FileInfo, err error) {
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case info.Mode().IsRegular() && info.Size() == 0:
		return info, nil // as stale as a dead socket, and as little is lost
	case info.Mode()&fs.ModeSocket == 0:
		// Supervisor removes any file here, and tries in vain to remove a directory for ever.
		return nil, &ListenError{text: "Cannot open an HTTP server: " + file + " exists and is not a socket", err: syscall.EEXIST}
	}
	conn, err := net.DialTimeout("unix", file, probeTimeout)
	if err == nil {
		_ = conn.Close()
		return nil, syscall.EADDRINUSE
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return info, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, syscall.EAGAIN), os.IsTimeout(err):
		return nil, syscall.EADDRINUSE // its queue is full
	}
	return nil, err
}

// removeStale removes the socket file that was found stale, and not one that another daemon has put there since. aside is a name that no
// one else uses.
func removeStale(file, aside string, stale fs.FileInfo) error {
	if err := os.Rename(file, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if now, err := os.Lstat(aside); err == nil && !same(now, stale) {
		if err := os.Link(aside, file); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.Remove(aside)
}
