package childlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// followHead is how many bytes before the end a follower starts, as Supervisor's logtail.
const followHead = 1024

// truncatedText is what a follower says when its file was truncated in place.
const truncatedText = "==> File truncated <==\n"

// followPoll is how often a file is looked at that nobody in this daemon writes.
const followPoll = 100 * time.Millisecond

// followBacklog bounds the rotated files that a follower too slow for its log keeps open. The oldest are skipped then.
const followBacklog = 64

// Follower reads a log as it grows, across rotations, without loss or repetition. It holds its place in the files themselves: a slow
// reader neither delays the writer nor costs memory. When a log is truncated in place the text "==> File truncated <==" marks the cut.
//
// One goroutine calls Next; Close may be called by any.
type Follower struct {
	path   string
	target *target       // nil: nobody in this daemon writes the file
	woken  chan struct{} // the log has grown, was rotated or the follower was closed
	stop   func() bool

	// Owned by the goroutine that calls Next.
	fd   int
	off  int64
	text string // of truncatedText, still to be returned

	atEnd func() // tests: called when a look into the file found nothing more

	mu       sync.Mutex
	next     []int // files to read after the present one; truncated stands for a truncation of the file before it
	dev, ino uint64
	closed   bool
	reading  bool // Next is at work and closes fd itself
}

// truncated marks a truncation in Follower.next.
const truncated = -1

// FollowPath follows a file that nobody in this daemon writes; it looks for news every 0.1 s. It ends with ctx or Close.
func FollowPath(ctx context.Context, path string) (*Follower, error) {
	return follow(ctx, &Follower{path: absolute(path), woken: make(chan struct{}, 1)})
}

// followTarget follows a target; it takes over the caller's claim on it.
func followTarget(ctx context.Context, t *target) (*Follower, error) {
	f := &Follower{path: t.path, target: t, woken: make(chan struct{}, 1)}
	t.mu.Lock()
	_, err := follow(ctx, f)
	if err == nil {
		if t.followers == nil {
			t.followers = map[*Follower]struct{}{}
		}
		t.followers[f] = struct{}{}
	}
	t.mu.Unlock()
	if err != nil {
		shared.put(t)
		return nil, err
	}
	// Only now: a context that is done already closes the follower, which needs the target's lock.
	f.mu.Lock()
	f.stop = context.AfterFunc(ctx, f.Close)
	f.mu.Unlock()
	return f, nil
}

func follow(ctx context.Context, f *Follower) (*Follower, error) {
	fd, st, err := openRead(f.path)
	if err != nil {
		return nil, fmt.Errorf("cannot follow log: %w", err)
	}
	f.fd, f.dev, f.ino = fd, st.Dev, st.Ino
	f.off = max(0, st.Size-followHead)
	if f.target == nil {
		f.stop = context.AfterFunc(ctx, f.Close)
	}
	return f, nil
}

func openRead(path string) (int, unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, st, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return fd, st, nil
}

// Close ends the follower; a waiting Next returns.
func (f *Follower) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed = true
	for _, fd := range f.next {
		if fd != truncated {
			unix.Close(fd)
		}
	}
	f.next = nil
	stop := f.stop
	if !f.reading {
		f.closeFile()
	}
	f.mu.Unlock()
	if stop != nil {
		stop()
	}
	if t := f.target; t != nil {
		t.mu.Lock()
		delete(t.followers, f)
		t.mu.Unlock()
		shared.put(t)
	}
	f.signal()
}

// Next waits for news and reads them into buf, which should hold a few KiB. It returns 0 bytes only with an error: that of ctx, or
// os.ErrClosed.
func (f *Follower) Next(ctx context.Context, buf []byte) (int, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return 0, os.ErrClosed
	}
	f.reading = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.reading = false
		if f.closed {
			f.closeFile()
		}
		f.mu.Unlock()
	}()

	var poll <-chan time.Time
	if f.target == nil {
		ticker := time.NewTicker(followPoll)
		defer ticker.Stop()
		poll = ticker.C
	}
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := f.read(buf)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-f.woken:
		case <-poll:
			f.look()
		case <-ctx.Done():
		}
	}
}

// read returns what is there now; (0, nil) = nothing.
func (f *Follower) read(buf []byte) (int, error) {
	for {
		if f.text != "" {
			n := copy(buf, f.text)
			f.text = f.text[n:]
			return n, nil
		}
		// What comes next must be looked up before the read: a file is complete only if its successor was known before the last look into
		// it.
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return 0, os.ErrClosed
		}
		more := len(f.next) > 0
		if more && f.next[0] == truncated {
			f.next = f.next[1:]
			f.mu.Unlock()
			f.restart()
			continue
		}
		f.mu.Unlock()

		n, err := unix.Pread(f.fd, buf, f.off)
		if n == 0 && f.atEnd != nil {
			f.atEnd()
		}
		switch {
		case err == unix.EINTR:
			continue
		case err != nil && !errors.Is(err, unix.EAGAIN):
			return 0, fmt.Errorf("cannot read log %s: %w", f.path, err)
		case n > 0:
			f.off += int64(n)
			return n, nil
		case !more:
			var st unix.Stat_t
			if unix.Fstat(f.fd, &st) == nil && st.Size < f.off {
				f.restart() // truncated by somebody else
				continue
			}
			return 0, nil
		}
		f.mu.Lock()
		if len(f.next) > 0 && f.next[0] != truncated {
			f.closeFile()
			f.fd, f.off = f.next[0], 0
			f.next = f.next[1:]
		}
		f.mu.Unlock()
	}
}

// restart goes to the beginning of a truncated file.
func (f *Follower) restart() {
	f.off = 0
	f.text = truncatedText // quirk D14: Supervisor means to say this and drops the connection instead
}

func (f *Follower) closeFile() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// look checks whether another file has taken the path (a rotation by somebody else).
func (f *Follower) look() {
	var st unix.Stat_t
	f.mu.Lock()
	same := unix.Stat(f.path, &st) != nil || st.Dev == f.dev && st.Ino == f.ino
	f.mu.Unlock()
	if !same {
		f.add()
	}
}

// add puts the file that is at the path now behind those to be read.
func (f *Follower) add() {
	fd, st, err := openRead(f.path)
	if err != nil {
		return // removed again; the next one will do
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || st.Dev == f.dev && st.Ino == f.ino {
		unix.Close(fd)
		return
	}
	f.dev, f.ino = st.Dev, st.Ino
	f.next = append(f.next, fd)
	if len(f.next) > followBacklog {
		if f.next[0] != truncated {
			unix.Close(f.next[0])
		}
		f.next = f.next[1:]
	}
}

func (f *Follower) signal() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// wake tells the followers that the target has grown; the caller holds t.mu, as for the two below.
func (t *target) wake() {
	for f := range t.followers {
		f.signal()
	}
}

// announceFile tells the followers that another file has taken the path.
func (t *target) announceFile() {
	for f := range t.followers {
		f.add()
		f.signal()
	}
}

// announceTruncation tells the followers that the file is about to be truncated in place.
func (t *target) announceTruncation() {
	for f := range t.followers {
		f.mu.Lock()
		f.next = append(f.next, truncated)
		f.mu.Unlock()
		f.signal()
	}
}
