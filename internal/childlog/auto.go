package childlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"
)

// autoLetters are the characters that make the name of an AUTO log unique, as Python's tempfile uses them.
const autoLetters = "abcdefghijklmnopqrstuvwxyz0123456789_"

// AutoName returns a fresh name for the AUTO log of a channel: "<process>-<channel>---<identifier>-<8 random characters>.log".
func AutoName(process, channel, identifier string) string {
	var random [8]byte
	for i := range random {
		for {
			var b [1]byte
			rand.Read(b[:])
			if n := int(b[0]); n < len(autoLetters)*(256/len(autoLetters)) { // no letter more likely than another
				random[i] = autoLetters[n%len(autoLetters)]
				break
			}
		}
	}
	return fmt.Sprintf("%s-%s---%s-%s.log", process, channel, identifier, random[:])
}

// CreateAuto creates the empty AUTO log of a channel in dir, readable by the daemon's user alone, and returns its path.
func CreateAuto(dir, process, channel, identifier string) (path string, err error) {
	const tries = 100
	for range tries {
		path = filepath.Join(dir, AutoName(process, channel, identifier))
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("cannot create log: %w", err)
		}
		return path, f.Close()
	}
	return "", fmt.Errorf("cannot create log in %s: no free name", dir)
}

// CleanAuto removes the AUTO logs that earlier runs under this identifier left in dir, backups included (contract: logging, "AUTO
// cleanup"). failed lists the paths that could not be removed; the error says that dir could not be read.
//
// The identifier is taken literally, where Supervisor takes it for a pattern, and a log that somebody writes stays: it belongs to another
// daemon under the same identifier (quirk F2).
func CleanAuto(dir, identifier string) (failed []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot clear childlog dir: %w", err)
	}
	name := autoPattern(identifier)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !name.MatchString(e.Name()) || written(path) {
			continue
		}
		if err := syscall.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // not os.Remove: directories stay
			failed = append(failed, path)
		}
	}
	return failed, nil
}

// written reports whether somebody has the file at path open for writing: only then is a lease for reading refused. Where that cannot be
// asked, on a file of somebody else or on a file system without leases, nobody has.
func written(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd) // which gives the lease back
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	return err == unix.EAGAIN
}

// autoPattern matches the beginning of a name, as Supervisor does: what follows ".log" does not matter.
func autoPattern(identifier string) *regexp.Regexp {
	return regexp.MustCompile(`^.+?---` + regexp.QuoteMeta(identifier) + `-\S+\.log`)
}
