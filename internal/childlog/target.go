package childlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// limits says when a file is rotated and how many rotated files are kept.
type limits struct {
	maxBytes int64 // zero or less: never
	backups  int
}

// Copies makes output be read and written where splice(2) would move it in one step, as on file systems that cannot splice. It is set before any log
// is opened, and not changed.
var Copies bool

// target is one log file or device, shared by everything that writes to its path, so that two channels with one file neither
// overwrite each other nor rotate against each other. Its mutex guards every field; the set has a lock of its own for users and
// for the order of the open descriptors.
type target struct {
	set  *targetSet
	path string // absolute
	mode fs.FileMode

	mu       sync.Mutex
	fd       int // -1 = closed, opened again when needed
	regular  bool
	socket   bool
	noSplice bool // the file system cannot splice
	dev, ino uint64
	opens    int   // writers between open and release
	hold     int64 // no rotation below this size: an earlier attempt failed

	lost    int64 // bytes dropped in the present burst
	lostWhy error

	followers map[*Follower]struct{}

	users      int // guarded by set.mu
	prev, next *target
}

// openMode is the mode of a new log file before the umask, as Python's open uses it; autoMode is that of an AUTO log, as its tempfile does.
const (
	openMode = fs.FileMode(0o666)
	autoMode = fs.FileMode(0o600)
)

// device reports whether path must never be renamed or removed: everything below /dev and /proc, also through a symbolic link.
func device(path string) bool {
	special := func(path string) bool {
		return strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/dev/shm/") || strings.HasPrefix(path, "/proc/")
	}
	if special(path) {
		return true
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return true
	}
	link, err := os.Readlink(path)
	return err == nil && special(link)
}

// standardFD returns the number of the descriptor that path names: /dev/stdout, /dev/stderr, /dev/fd/N, /proc/self/fd/N.
func standardFD(path string) (int, bool) {
	switch path {
	case "/dev/stdin":
		return 0, true
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	for _, prefix := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			var n int
			if _, err := fmt.Sscanf(rest, "%d", &n); err == nil {
				return n, true
			}
		}
	}
	return 0, false
}

// openDescriptor opens path for writing without ever waiting: not for the reader of a FIFO, and not in later writes either.
func openDescriptor(path string, flags int, mode fs.FileMode) (int, error) {
	flags |= unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	open := func(access int) (int, error) {
		for {
			fd, err := unix.Open(path, flags|access, uint32(mode.Perm()))
			if err != unix.EINTR {
				return fd, err
			}
		}
	}
	fd, err := open(unix.O_WRONLY)
	if err == unix.ENXIO { // a FIFO that nobody reads yet, or a socket
		fd, err = open(unix.O_RDWR)
	}
	if n, ok := standardFD(path); ok && err == unix.ENXIO {
		fd, err = unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 3)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// open makes sure that the target has a descriptor. With fresh it opens the path anew. The error wraps a syscall.Errno.
func (t *target) open(fresh bool) error {
	if t.fd >= 0 {
		if !fresh {
			t.set.touch(t)
			return nil
		}
		t.closeDescriptor()
	}
	return t.openWith(0)
}

func (t *target) openWith(flags int) error {
	fd, err := openDescriptor(t.path, flags, t.mode)
	if errors.Is(err, unix.EMFILE) && t.set.closeIdle(t) {
		fd, err = openDescriptor(t.path, flags, t.mode) // a log that is quiet now gives its descriptor
	}
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return &fs.PathError{Op: "stat", Path: t.path, Err: err}
	}
	t.fd = fd
	format := st.Mode & unix.S_IFMT
	// A regular file that is reached through /dev or /proc (the daemon's own redirected output) is not ours to rotate.
	t.regular = format == unix.S_IFREG
	t.socket = format == unix.S_IFSOCK
	moved := t.ino != st.Ino || t.dev != st.Dev
	t.dev, t.ino = st.Dev, st.Ino
	if moved {
		t.announceFile()
	}
	t.set.opened(t)
	return nil
}

func (t *target) closeDescriptor() {
	if t.fd >= 0 {
		t.set.closed(t)
		unix.Close(t.fd)
		t.fd = -1
	}
}

// rotatable reports whether the target's files may be renamed and removed.
func (t *target) rotatable() bool { return t.regular && !device(t.path) }

// size returns the size of the open file.
func (t *target) size() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return 0, err
	}
	return st.Size, nil
}

// splice moves up to max bytes from the pipe fd to the end of the file without copying them through the daemon, so that a killed
// daemon neither loses nor doubles a byte. handled is false when this target needs read and write instead.
//
// The offset is the present size, not a remembered one: after somebody else truncated the file no hole appears in front.
func (t *target) splice(fd, max int, lim limits) (n int, err error, handled bool) {
	if err := t.open(false); err != nil {
		return 0, err, true
	}
	if !t.regular || t.noSplice || Copies {
		return 0, nil, false
	}
	off, err := t.size()
	if err != nil {
		return 0, err, true
	}
	for {
		m, err := unix.Splice(fd, nil, t.fd, &off, max, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, nil, true
		case err == unix.EINVAL:
			t.noSplice = true
			return 0, nil, false
		case err != nil:
			return 0, err, true
		case m == 0:
			return 0, io.EOF, true
		}
		t.wake()
		return int(m), t.rotate(off, lim), true
	}
}

// write appends p. It returns how much was taken; syscall.EAGAIN when the target takes no more now (a slow reader of a pipe).
func (t *target) write(p []byte, lim limits) (n int, err error) {
	if err := t.open(false); err != nil {
		return 0, err
	}
	var off int64
	if t.regular {
		if off, err = t.size(); err != nil {
			return 0, err
		}
	}
	for n < len(p) {
		var m int
		switch {
		case t.regular:
			m, err = unix.Pwrite(t.fd, p[n:], off+int64(n))
		case t.socket:
			m, err = unix.SendmsgN(t.fd, p[n:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		default:
			m, err = unix.Write(t.fd, p[n:])
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			break
		}
		n += m
	}
	if n > 0 {
		t.wake()
	}
	if err != nil || !t.regular {
		return n, err
	}
	return n, t.rotate(off+int64(n), lim)
}

// rotationError is a failed rotation: the bytes were written, nothing is lost.
type rotationError struct{ err error }

func (e *rotationError) Error() string { return e.err.Error() }
func (e *rotationError) Unwrap() error { return e.err }

// rotate renames f.n-1 … f.1 and f upwards and starts f anew once the file has reached its size (contract: logging, "Rotation").
// It is called after each chunk, so a file can exceed maxBytes by one chunk.
func (t *target) rotate(size int64, lim limits) error {
	if lim.maxBytes <= 0 || size < lim.maxBytes || size < t.hold || !t.rotatable() {
		return nil
	}
	for i := lim.backups - 1; i > 0; i-- {
		from, to := fmt.Sprintf("%s.%d", t.path, i), fmt.Sprintf("%s.%d", t.path, i+1)
		if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t.failRotation(size, lim, err)
		}
	}
	if lim.backups > 0 {
		if err := os.Rename(t.path, t.path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// Truncating now would throw the whole file away, so it grows instead.
			return t.failRotation(size, lim, err)
		}
	}
	t.hold = 0
	t.closeDescriptor()
	if lim.backups <= 0 {
		t.announceTruncation()
	}
	if err := t.openWith(unix.O_TRUNC); err != nil {
		return &rotationError{fmt.Errorf("cannot rotate log %s: %w", t.path, err)} // the next write opens it
	}
	return nil
}

func (t *target) failRotation(size int64, lim limits, err error) error {
	t.hold = size + lim.maxBytes
	return &rotationError{fmt.Errorf("cannot rotate log %s: %w", t.path, err)}
}

// clear removes a regular file and creates it anew; devices are left alone (quirk D9). Backups stay.
func (t *target) clear() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if device(t.path) {
		return nil
	}
	t.closeDescriptor()
	switch err := os.Remove(t.path); {
	case errors.Is(err, fs.ErrNotExist) && t.opens == 0:
		return nil // nobody has written it yet: it stays missing, as for whoever asks for it
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot clear log: %w", err)
	}
	t.ino = 0
	if err := t.openWith(0); err != nil {
		return fmt.Errorf("cannot clear log: %w", err)
	}
	t.hold = 0
	if t.opens == 0 {
		t.closeDescriptor()
	}
	return nil
}

// reopen closes and opens the path anew, if anybody is writing.
func (t *target) reopen() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opens == 0 {
		return nil
	}
	if n, ok := standardFD(t.path); ok && n < 3 {
		return nil // as Supervisor, which never closes 0-2
	}
	t.hold = 0
	return t.open(true)
}

// begin counts a writer in; the first one opens the path anew, since end has closed it.
func (t *target) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.open(false); err != nil {
		return err
	}
	t.opens++
	return nil
}

// create opens the path, with a mode of its own if the file is not there yet.
func (t *target) create(mode fs.FileMode) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	usual := t.mode
	t.mode = mode
	defer func() { t.mode = usual }()
	return t.open(false)
}

// rest closes the descriptor that no writer needs.
func (t *target) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opens == 0 {
		t.closeDescriptor()
	}
}

// end counts a writer out; the last one closes the descriptor.
func (t *target) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opens--; t.opens == 0 {
		t.closeDescriptor()
	}
}

// lose counts dropped bytes. The text is what to report: the first loss of a burst has one, the others "".
func (t *target) lose(n int, why error) string {
	first := t.lost == 0
	t.lost += int64(n)
	t.lostWhy = why
	if !first {
		return ""
	}
	return fmt.Sprintf("cannot write log %s: %v; output is dropped until it works again", t.path, errnoOf(why))
}

// recovered ends a burst of losses. The text is what to report, "" when there was no loss.
func (t *target) recovered() string {
	if t.lost == 0 {
		return ""
	}
	n := t.lost
	t.lost = 0
	return fmt.Sprintf("writing log %s works again; %d bytes were lost", t.path, n)
}

// errnoOf strips the operation and path from err, which the text names already.
func errnoOf(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// absolute resolves a path against the present working directory.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
