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

// Resume is Listen for a daemon that goes on where another was: take hands out the descriptor of a socket that is open already, by its Key. What
// it does not have is opened.
func Resume(configs []Config, take func(key string) (fd int, ok bool)) (*Listeners, error) {
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

func (l *Listeners) resume(c Config, take func(key string) (fd int, ok bool)) (listener, error) {
	fd, ok := take(c.Key())
	if !ok {
		return l.listen(c)
	}
	file := os.NewFile(uintptr(fd), c.Key())
	defer func() { _ = file.Close() }() // the listener has a copy
	open, err := net.FileListener(file)
	if err != nil {
		return listener{}, fmt.Errorf("cannot go on with %s: %w", c.Key(), err)
	}
	one := listener{Config: c, Listener: open}
	if socket, isUnix := open.(*net.UnixListener); isUnix {
		socket.SetUnlinkOnClose(false)
		if info, err := os.Lstat(c.File); err == nil {
			one.created = info
		}
	}
	return one, nil
}

// Each calls do with the descriptor of each socket, which stays the listeners' own.
func (l *Listeners) Each(do func(key string, fd int)) error {
	for _, one := range l.open {
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
