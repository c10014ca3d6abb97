package childlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// File is a rotated file that the daemon itself writes: its activity log. It is safe for concurrent use.
type File struct {
	target *target
	lim    limits
	report func(text string)
}

// OpenFile opens the file at path for appending, creating it if missing. maxBytes and backups rotate it as a child's log;
// path may be a device such as /dev/stdout, which never rotates. report may be nil; it must not write to this File.
func OpenFile(path string, maxBytes int64, backups int, report func(text string)) (*File, error) {
	f := &File{target: shared.get(absolute(path), openMode), lim: limits{maxBytes, backups}, report: report}
	if err := f.target.begin(); err != nil {
		shared.put(f.target)
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	return f, nil
}

// writePatience bounds how long one write waits for a slow reader of a pipe or terminal.
const writePatience = time.Second

// Write appends p, which should be whole lines: a rotation happens only between writes. What cannot be written is dropped and counted;
// the error says why.
func (f *File) Write(p []byte) (int, error) {
	f.target.mu.Lock()
	n, err := f.target.write(p, f.lim, nil)
	for deadline := time.Now().Add(writePatience); errors.Is(err, unix.EAGAIN) && time.Now().Before(deadline); {
		fds := []unix.PollFd{{Fd: int32(f.target.fd), Events: unix.POLLOUT}}
		if _, perr := unix.Poll(fds, int(writePatience/time.Millisecond)); perr != nil && perr != unix.EINTR {
			break
		}
		var m int
		m, err = f.target.write(p[n:], f.lim, nil)
		n += m
	}
	var failed *rotationError
	text := ""
	switch {
	case err == nil:
		text = f.target.recovered()
	case errors.As(err, &failed):
		text, err = failed.Error(), nil
	default:
		text = f.target.lose(len(p)-n, err)
		err = fmt.Errorf("cannot write log %s: %w", f.target.path, err)
	}
	f.target.mu.Unlock()
	if text != "" && f.report != nil {
		f.report(text)
	}
	return n, err
}

// Path returns the absolute path.
func (f *File) Path() string { return f.target.path }

// Reopen closes and opens the path anew; descriptors 0-2 stay.
func (f *File) Reopen() error {
	if err := f.target.reopen(); err != nil {
		return fmt.Errorf("cannot reopen log: %w", err)
	}
	return nil
}

// Clear removes the file and creates it anew; devices are left alone.
func (f *File) Clear() error { return f.target.clear() }

// Follow returns a follower of the file, starting with its last bytes.
func (f *File) Follow(ctx context.Context) (*Follower, error) {
	return followTarget(ctx, shared.get(f.target.path, f.target.mode))
}

// Close closes the file.
func (f *File) Close() error {
	f.target.end()
	shared.put(f.target)
	return nil
}
