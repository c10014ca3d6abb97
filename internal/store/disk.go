package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// disk is the directory of a store; names are those of files in it. Tests have one that fails and forgets.
type disk interface {
	path(name string) string              // for messages
	prepare() (warning string, err error) // makes the directory where there is none
	lock() (release func(), err error)    // ErrInUse where another store has it
	read(name string) ([]byte, error)
	exists(name string) bool
	create(name string) (file, error)  // new and empty, in place of what there was
	journal(name string) (file, error) // to append to, made where there is none
	rename(from, to string) error
	link(from, to string) error
	remove(name string)
	sync() error // of the directory: which files there are
}

// file is one of its files, open for writing.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// osDisk is a real directory.
type osDisk struct{ dir string }

func (d osDisk) path(name string) string { return filepath.Join(d.dir, name) }

func (d osDisk) prepare() (string, error) {
	info, err := os.Stat(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(d.dir, 0o700); err != nil {
			return "", err
		}
		return "", syncDir(filepath.Dir(d.dir))
	}
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		return fmt.Sprintf("others may write into the directory (mode %04o): what it says can be replaced by them", info.Mode().Perm()), nil
	}
	return "", err
}

// lockName is the file whose lock says that the directory is in use. It has the pid of its user, for people.
const lockName = "lock"

// errNoLock reports that the directory cannot be locked at all, so that nobody is known to use it.
var errNoLock = errors.New("cannot lock the directory")

func (d osDisk) lock() (func(), error) {
	f, err := os.OpenFile(d.path(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errNoLock, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer f.Close()
		pid, _ := io.ReadAll(io.LimitReader(f, 20)) // without a pid the message only says less
		return nil, fmt.Errorf("cannot open %s: %w%s", d.dir, ErrInUse, byPID(string(pid)))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: flock %s: %v", errNoLock, f.Name(), err)
	}
	if f.Truncate(0) == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return func() {
		// A child that is being forked at this moment has the descriptor as well: closing alone would leave the lock to it.
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
		f.Close()
	}, nil
}

// byPID words the content of a lock file.
func byPID(text string) string {
	if pid, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return ""
}

func (d osDisk) read(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

func (d osDisk) exists(name string) bool {
	_, err := os.Lstat(d.path(name))
	return err == nil
}

func (d osDisk) create(name string) (file, error) {
	os.Remove(d.path(name))
	return private(os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600))
}

func (d osDisk) journal(name string) (file, error) {
	return private(os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600))
}

// private makes sure of the mode, which an umask or an administrator's copy may have changed.
func private(f *os.File, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d osDisk) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d osDisk) link(from, to string) error   { return os.Link(d.path(from), d.path(to)) }
func (d osDisk) remove(name string)           { os.Remove(d.path(name)) }

func (d osDisk) sync() error { return syncDir(d.dir) }

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
