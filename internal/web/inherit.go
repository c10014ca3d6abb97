package web

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Key names the socket of a server: two servers with one key are the same socket.
func (c Config) Key() string {
	if c.Unix {
		return "unix " + c.File
	}
	return "tcp " + net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// Open is the descriptor of a socket that is open already. One that was passed belongs to whoever passed it: its file stays.
type Open struct {
	FD     int
	Passed bool
}

// Resume is Listen for a daemon that need not begin with nothing: take hands out the descriptor of a socket that is open already. What it does not
// have is opened.
func Resume(configs []Config, take func(Config) (Open, bool)) (*Listeners, error) {
	l := &Listeners{}
	for _, c := range configs {
		one, err := l.resume(c, take)
		if err != nil {
			l.Close()
			return nil, listenError(c.Section, err)
		}
		l.open = append(l.open, one)
	}
	return l, nil
}

func (l *Listeners) resume(c Config, take func(Config) (Open, bool)) (listener, error) {
	had, ok := take(c)
	if !ok {
		return l.listen(c)
	}
	file := os.NewFile(uintptr(had.FD), c.Key())
	defer func() { _ = file.Close() }() // the listener has a copy
	open, err := net.FileListener(file)
	if err != nil {
		return listener{}, fmt.Errorf("cannot go on with %s: %w", c.Key(), err)
	}
	one := listener{Config: c, Listener: open, passed: had.Passed}
	if socket, isUnix := open.(*net.UnixListener); isUnix {
		socket.SetUnlinkOnClose(false)
		if info, err := os.Lstat(c.File); err == nil && !had.Passed {
			one.created = info
		}
	}
	return one, nil
}

// Each calls do with the descriptor of each socket that was not passed. It stays the listeners' own.
func (l *Listeners) Each(do func(key string, fd int)) error {
	for _, one := range l.open {
		if one.passed {
			continue
		}
		raw, err := one.Listener.(syscall.Conn).SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { do(one.Key(), int(fd)) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}
