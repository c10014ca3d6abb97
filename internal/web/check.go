package web

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// Check looks for what would keep Listen from opening the sockets of configs once l is closed, and returns it as a *ListenError. It opens
// each socket that l does not hold for a moment, under a name of its own where it is a file, and leaves nothing behind.
func (l *Listeners) Check(configs []Config) error {
	for _, c := range configs {
		if slices.ContainsFunc(l.open, func(held listener) bool { return held.passed && held.Key() == c.Key() }) {
			continue
		}
		check := l.checkInet
		if c.Unix {
			check = l.checkUnix
		}
		if err := check(c); err != nil {
			return listenError(c.Section, err)
		}
	}
	return nil
}

func (l *Listeners) checkInet(c Config) error {
	for _, held := range l.open {
		// An address of ours with another host may still be in the way of the new one, and will not be. One that was passed is not ours to give up.
		if !held.Unix && !held.passed && held.Port == c.Port && c.Port != 0 {
			return nil
		}
	}
	socket, err := net.Listen("tcp4", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return err
	}
	return socket.Close()
}

func (l *Listeners) checkUnix(c Config) error {
	temp, err := tempName(c, strconv.Itoa(os.Getpid())+".check")
	if err != nil {
		return err
	}
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	socket, err := bindHidden(temp)
	if err != nil {
		return err
	}
	defer func() {
		_ = socket.Close()
		_ = os.Remove(temp) // a name no one else uses
	}()
	if err := os.Chown(temp, c.UID, c.GID); err != nil {
		return chownError(c, err)
	}
	for _, held := range l.open {
		if now, err := os.Lstat(c.File); held.created != nil && held.File == c.File && err == nil && same(now, held.created) {
			return nil
		}
	}
	_, err = probe(c.File)
	return err
}

// pathMax is the longest path of a socket, which ends with a zero byte in the kernel's structure.
var pathMax = len(syscall.RawSockaddrUnix{}.Path) - 1

// tempName returns the name under which a socket is made before it gets its own. Supervisor refuses the same paths in the same words.
func tempName(c Config, suffix string) (string, error) {
	temp := c.File + "." + suffix
	if len(temp) > pathMax {
		return "", &ListenError{c.Section, listenText + "AF_UNIX path too long", syscall.ENAMETOOLONG}
	}
	return temp, nil
}
