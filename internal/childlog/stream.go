package childlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// Config configures the log of one output channel of one process.
type Config struct {
	Name     string // process name, for syslog
	Channel  string // "stdout" or "stderr"
	Path     string // "" = not kept; a relative path resolves against the daemon's directory at each Open
	MaxBytes int64  // bytes; zero or less: never rotated
	Backups  int
	Mode     fs.FileMode // of new files, before the umask; 0 = 0666
	Auto     bool        // the file at Path is new and made by Create or the first Open, readable by the daemon's user alone
	Syslog   bool        // each line also goes to syslog

	// StripANSI removes the escape sequences of terminals from what goes to the file, to Log and to Captured. An unfinished sequence is
	// held back until it is known to be one.
	StripANSI bool
	// CaptureMaxBytes is the size of the buffer for what the process writes between the capture tags, in bytes; zero or less: the tags mean
	// nothing. What is captured goes to Captured and not to the file.
	CaptureMaxBytes int64

	// The functions below are told of the output, in its order, by the goroutine that calls Drain and Close; nil = not wanted. They must
	// neither keep nor change data, not block, and not call the stream. Output that is told of, filtered or sent to syslog goes through the
	// daemon's memory; all other is spliced into its file.

	// Raw gets every chunk as it was read, before any filter.
	Raw func(data []byte)
	// Log gets every chunk behind the filters, captured ones included, also when no file is kept. A tag ends a chunk and is no part of any.
	Log func(data []byte)
	// Captured gets the content of the capture buffer at each END tag; it may be empty.
	Captured func(data []byte)
}

// Stream is the log of one output channel of one process over all its incarnations. It implements the output side of package host
// structurally: Open, Drain and Close belong to the goroutine that reads the pipe; all other methods may be called by anyone.
type Stream struct {
	report func(text string)

	// io is held while bytes move and while the target is exchanged; it is taken before mu.
	io     sync.Mutex
	held   []byte // read from the pipe, not yet taken by a slow target
	syslog syslogWriter
	filter *filter // nil: the output passes as it is
	stage  *Stage  // nil: what is looked at does not outlive the daemon
	key    uint64  // in the stage

	mu     sync.Mutex
	cfg    Config
	target *target // of cfg.Path; nil with Path ""
	opened bool
	fresh  bool // the file of an AUTO log is still to be made
	forget bool // the capture buffer is to be emptied
}

// NewStream returns the stream of one channel. report is called with a text for people when output is lost or a rotation fails; it must not
// block and not call the stream.
func NewStream(cfg Config, report func(text string)) *Stream {
	s := &Stream{report: report, syslog: syslogWriter{path: syslogSocket, report: report}}
	s.configure(cfg)
	s.fresh = cfg.Auto
	return s
}

// configure stores cfg; the caller holds s.mu or is alone. It returns the target that is no longer used.
func (s *Stream) configure(cfg Config) (old *target) {
	if cfg.Mode == 0 {
		cfg.Mode = openMode
	}
	s.cfg = cfg
	return s.resolve()
}

// resolve attaches the target of the configured path as it resolves now.
func (s *Stream) resolve() (old *target) {
	path := ""
	if s.cfg.Path != "" {
		path = absolute(s.cfg.Path)
	}
	if s.target != nil && s.target.path == path {
		return nil
	}
	old, s.target = s.target, nil
	if path != "" {
		s.target = shared.get(path, s.cfg.Mode)
	}
	return old
}

// Open opens the log for a new incarnation: appending, created if missing. The error wraps a syscall.Errno.
func (s *Stream) Open() error {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return nil
	}
	s.attach()
	if s.target != nil {
		if err := s.target.begin(); err != nil {
			return err
		}
	}
	s.opened = true
	return nil
}

// attach finds the file anew, and makes that of an AUTO log. The caller holds both locks.
func (s *Stream) attach() {
	if old := s.resolve(); old != nil {
		shared.put(old)
	}
	if s.target != nil && s.fresh {
		s.fresh = false
		_ = s.target.create() // who opens it would say why not
	}
}

// Continue opens the log for an incarnation that an earlier daemon has begun, whose output goes on: it is appended to, and a rotation that was
// interrupted is brought to its end. An AUTO log is the file at the Path that the earlier stream had. After an error the stream is open all the
// same: its output is dropped until the path can be opened, as with Reconfigure.
func (s *Stream) Continue() error {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return nil
	}
	s.attach()
	s.opened = true
	if s.target == nil {
		return nil
	}
	if err := s.target.join(); err != nil {
		return err
	}
	s.target.resume(limits{s.cfg.MaxBytes, s.cfg.Backups})
	return nil
}

// Create makes the file of an AUTO log that no Open has made: it is to be there before the process starts.
func (s *Stream) Create() error {
	s.mu.Lock()
	t, fresh := s.target, s.fresh
	s.fresh = false
	s.mu.Unlock()
	if t == nil || !fresh {
		return nil
	}
	defer t.rest()
	if err := t.create(); err != nil {
		return fmt.Errorf("cannot create log: %w", err)
	}
	return nil
}

// Close ends an incarnation. What a slow target did not take is lost and reported.
func (s *Stream) Close() {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	r, opened := route{s.cfg, s.target}, s.opened
	s.opened = false
	s.mu.Unlock()
	t := r.target
	s.stage.begin(s.key, stageFinish)
	s.adopt(&r)
	s.finish(&r)
	s.syslog.flush(r.Name)
	opened = opened && t != nil
	if opened && len(s.held) > 0 {
		s.drop(t, len(s.held), unix.EAGAIN)
		s.held = nil
	}
	s.commit()
	if opened {
		t.end()
	}
}

// Dispose releases the log file of a process that is removed. The stream must be closed and is not used again.
func (s *Stream) Dispose() {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	t := s.target
	s.target = nil
	s.mu.Unlock()
	if t != nil {
		shared.put(t)
	}
}

// Path returns the configured path, "" when nothing is kept.
func (s *Stream) Path() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Path
}

// Reconfigure applies a new configuration to the running process. The error is that of opening a new path; the output is then dropped
// until the path can be opened.
func (s *Stream) Reconfigure(cfg Config) error {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	before := s.target
	old := s.configure(cfg)
	t, opened := s.target, s.opened
	s.fresh = cfg.Auto && t != before || s.fresh && t == before
	fresh := s.fresh && opened
	if fresh {
		s.fresh = false
	}
	s.mu.Unlock()
	if old != nil {
		if opened {
			old.end()
		}
		shared.put(old)
	}
	if t == nil || t == before || !opened {
		return nil
	}
	if fresh {
		_ = t.create() // join would say why not
	}
	return t.join()
}

// Reopen closes and opens the log of a running process, after somebody else renamed it (contract: logging, SIGUSR2).
func (s *Stream) Reopen() error {
	s.mu.Lock()
	t := s.target
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	if err := t.reopen(); err != nil {
		return fmt.Errorf("cannot reopen log: %w", err)
	}
	return nil
}

// Clear removes the log and creates it anew, also while the process is not running (quirk D9). Backups and devices are left alone. What
// was captured so far is forgotten.
func (s *Stream) Clear() error {
	s.mu.Lock()
	t := s.target
	s.forget = true
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.clear()
}

// Follow returns a follower of the log, starting with its last bytes (contract: rpc, "Streaming tails"). It ends with ctx or Close.
// The error is fs.ErrNotExist when nothing is kept or the file is missing.
func (s *Stream) Follow(ctx context.Context) (*Follower, error) {
	s.mu.Lock()
	t := s.target
	if t != nil {
		shared.get(t.path, t.mode) // the follower's own claim
	}
	s.mu.Unlock()
	if t == nil {
		return nil, fmt.Errorf("cannot follow log: %w", fs.ErrNotExist)
	}
	return followTarget(ctx, t)
}

// Drain moves up to about max bytes from the pipe fd into the log. It returns (0, nil) when nothing is there now, io.EOF when no writer
// is left, and syscall.EAGAIN when the log's reader is slow (a pipe, a terminal): the caller should ask again later. Bytes that cannot be
// written are dropped and reported once per burst.
func (s *Stream) Drain(fd, max int) (n int, err error) {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	t := s.target
	if len(s.held) == 0 && s.filter == nil && t != nil && !s.cfg.watched() {
		lim := limits{s.cfg.MaxBytes, s.cfg.Backups}
		s.mu.Unlock()
		if n, err, handled := s.splice(t, fd, max, lim); handled {
			return n, err
		}
		s.mu.Lock()
		t = s.target
	}
	r := route{s.cfg, t}
	forget := s.forget
	s.forget = false
	s.mu.Unlock()

	if forget && s.filter != nil {
		s.filter.capture.take()
	}
	max = min(max, bufferSize)
	if s.stage != nil {
		s.stage.begin(s.key, stageChunk)
		n, err = s.pass(&r, func() ([]byte, error) { return s.stage.read(fd, max) })
		s.commit()
		return n, err
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	return s.pass(&r, func() ([]byte, error) {
		n, err := readPipe(fd, buf[:max])
		return buf[:n], err
	})
}

// pass takes one chunk through the filters, or the end of the output, unless a slow target has not even taken what it got before. read returns as
// readPipe does.
func (s *Stream) pass(r *route, read func() ([]byte, error)) (n int, err error) {
	if len(s.held) > 0 {
		if r.target == nil {
			s.held = nil
		} else if !s.put(r.target, s.held, r.limits()) {
			return 0, unix.EAGAIN
		}
	}
	s.adopt(r)
	data, err := read()
	if len(data) > 0 {
		s.chunk(r, data)
	} else if err == io.EOF {
		s.finish(r)
	}
	if len(s.held) > 0 {
		err = unix.EAGAIN
	}
	return len(data), err
}

// bufferSize is the most that one read moves.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// readPipe reads from a non-blocking descriptor: (0, nil) = nothing there, io.EOF = no writer left.
func readPipe(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("cannot read output: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// splice tries the copy-free way. A file that takes nothing (full disk) must not stop the process: the chunk is read and dropped.
func (s *Stream) splice(t *target, fd, max int, lim limits) (n int, err error, handled bool) {
	t.mu.Lock()
	n, err, handled = t.splice(fd, max, lim)
	text := ""
	if n > 0 {
		text = t.recovered()
	}
	t.mu.Unlock()
	if !handled {
		return 0, nil, false
	}
	s.say(text)
	var failed *rotationError
	switch {
	case err == nil || err == io.EOF:
		return n, err, true
	case errors.As(err, &failed):
		s.say(failed.Error())
		return n, nil, true
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	n, rerr := readPipe(fd, buf[:min(max, bufferSize)])
	if n > 0 {
		s.drop(t, n, err)
	}
	return n, rerr, true
}

// put writes data or keeps it for later; false = the target is slow and holds the process back.
func (s *Stream) put(t *target, data []byte, lim limits) bool {
	data = data[s.stage.done(len(data)):]
	if len(data) == 0 {
		s.held = nil
		return true
	}
	t.mu.Lock()
	n, err := t.write(data, lim, s.stage)
	text := ""
	if n == len(data) {
		text = t.recovered()
	}
	t.mu.Unlock()
	s.say(text)
	var failed *rotationError
	switch {
	case err == nil:
	case errors.As(err, &failed):
		s.say(failed.Error())
	case errors.Is(err, unix.EAGAIN):
		s.held = append([]byte(nil), data[n:]...)
		return false
	default:
		s.drop(t, len(data)-n, err)
		s.stage.wrote(len(data) - n)
	}
	s.held = nil
	return true
}

func (s *Stream) drop(t *target, n int, why error) {
	t.mu.Lock()
	text := t.lose(n, why)
	t.mu.Unlock()
	s.say(text)
}

func (s *Stream) say(text string) {
	if text != "" && s.report != nil {
		s.report(text)
	}
}
