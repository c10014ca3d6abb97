package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/daemon"
)

// pidfile is the pid file of one run. While it is open it is locked, so that another daemon with the same file in its configuration finds
// out and leaves it alone (quirk F13); to everything else it is the plain file that Supervisor writes. Only regular files are locked and
// removed: a device belongs to everybody.
type pidfile struct {
	path    string
	pid     int // what it says
	file    *os.File
	regular bool
}

// pidfileTaken says that another daemon holds the pid file.
type pidfileTaken struct {
	path string
	pid  int // 0 = it could not be read
}

func (e *pidfileTaken) Error() string {
	who := "another daemon"
	if e.pid > 0 {
		who = fmt.Sprintf("the daemon with pid %d", e.pid)
	}
	return fmt.Sprintf("%s, which is running, holds the pid file %s", who, e.path)
}

// pidfileHolder returns an error if a running daemon holds the file at path. It changes nothing.
func pidfileHolder(path string) *pidfileTaken {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }() // only read
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return &pidfileTaken{path, pidIn(file)}
	}
	return nil
}

// pidIn reads the pid that a pid file names, 0 for anything else.
func pidIn(file io.ReaderAt) int {
	text := make([]byte, 32)
	n, err := file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// pidfileTaken returns an error if another daemon holds the pid file: our keeper may, for a daemon before this one.
func (s *supervisor) pidfileTaken(c *config.Config) *pidfileTaken {
	if s.link.Holds(heldPidfile) {
		return nil
	}
	return pidfileHolder(c.Supervisord.Pidfile)
}

// createPidfile writes the pid file and keeps it locked. The error is a *pidfileTaken when another daemon holds it.
func createPidfile(path string, pid int) (*pidfile, error) {
	path, _ = filepath.Abs(path) // fails only without a working directory; the path is then as good as before
	for {
		p, stale, err := lockPidfile(path)
		if err != nil {
			return nil, err
		}
		if stale {
			continue // its daemon removed it while it ended
		}
		p.pid = pid
		_, err = io.WriteString(p.file, strconv.Itoa(pid)+"\n")
		if err != nil {
			return nil, errors.Join(err, p.file.Close())
		}
		return p, nil
	}
}

// lockPidfile opens, locks and empties the file. stale says that the path names another file by now.
func lockPidfile(path string) (p *pidfile, stale bool, err error) {
	const flags = os.O_CREATE | unix.O_NONBLOCK // whatever the path names, opening it does not wait
	file, err := os.OpenFile(path, os.O_RDWR|flags, 0o666)
	if errors.Is(err, os.ErrPermission) {
		file, err = os.OpenFile(path, os.O_WRONLY|flags, 0o666)
	}
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil || stale {
			_ = file.Close() // nothing was written
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	p = &pidfile{path: path, file: file, regular: info.Mode().IsRegular()}
	if !p.regular {
		return p, false, nil
	}
	// Where the file system has no locks, one daemon too many goes unnoticed, as under Supervisor.
	if errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return nil, false, &pidfileTaken{path, pidIn(file)}
	}
	if !p.ours() {
		return nil, true, nil
	}
	return p, false, file.Truncate(0)
}

// resumePidfile goes on with the pid file of a daemon before, which is locked and says the same.
func resumePidfile(path string, pid, fd int) *pidfile {
	path, _ = filepath.Abs(path) // as createPidfile did
	p := &pidfile{path: path, pid: pid, file: os.NewFile(uintptr(fd), path)}
	info, err := p.file.Stat()
	p.regular = err == nil && info.Mode().IsRegular()
	return p
}

// rename makes the file say another pid.
func (p *pidfile) rename(pid int) error {
	if p == nil {
		return nil
	}
	p.pid = pid
	text := []byte(strconv.Itoa(pid) + "\n")
	_, err := p.file.WriteAt(text, 0)
	if err == nil && p.regular {
		err = p.file.Truncate(int64(len(text)))
	}
	return err
}

// ours reports whether the path still names our file.
func (p *pidfile) ours() bool {
	now, err := os.Stat(p.path)
	if err != nil {
		return false
	}
	own, err := p.file.Stat()
	return err == nil && os.SameFile(now, own)
}

// remove removes the file, unless somebody else has put theirs or another pid there, and unlocks it. nil is no file at all.
func (p *pidfile) remove() {
	if p == nil {
		return
	}
	if p.regular && p.ours() {
		if pid := pidIn(p.file); pid == p.pid || pid == 0 { // 0: it may not be read, or was emptied
			_ = os.Remove(p.path) // nothing else can be done about it
		}
	}
	_ = p.file.Close() // everything was written long ago
}

// writePidfile writes the pid file of a run. A file that cannot be written is only told, and so is one that a running daemon holds: that
// daemon keeps it.
func writePidfile(path string, pid int, logf logFunc) *pidfile {
	p, err := createPidfile(path, pid)
	var taken *pidfileTaken
	switch {
	case errors.As(err, &taken):
		logf(daemon.LevelCritical, "could not write pidfile %s: %v", path, taken)
	case err != nil:
		logf(daemon.LevelCritical, "could not write pidfile %s", path)
		return nil
	}
	logf(daemon.LevelInfo, "supervisord started with pid %d", pid)
	return p
}
