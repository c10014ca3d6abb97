package host

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// stdinMax bounds the bytes that wait for a process to read its standard input. One piece of data may be larger, if nothing waits before it: its
// bound is that of whoever sends it.
const stdinMax = 1 << 20

// phase is where an incarnation is on its way.
type phase int

const (
	preparing phase = iota // not forked yet; signals wait
	forked                 // it has a pid
	reaped                 // it has ended; its pid may belong to somebody else
)

// proc is one incarnation of one process. The mutex guards what follows it; the rest is set before the fork and belongs to the preparer,
// then the finisher, then the shard.
type proc struct {
	req     SpawnRequest
	shard   *shard
	pipes   [2]outPipe    // stdout, stderr
	socket  *sharedSocket // the standard input of a FastCGI process; nil = a pipe
	opened  [2]bool       // outputs that have been opened
	watches []*watch      // the shard's

	listen   *listening           // it is none: see Local.Listen
	last     bool                 // it is none: no more are to be resumed
	known    int                  // its pid, where a daemon before has told it; 0 = it is new
	sentTo   atomic.Pointer[wire] // of the keeper that was asked for it and has not answered; nil = none
	spokenTo atomic.Bool          // something was written to it

	pidfd     int // -1 = none
	startTime uint64
	place     // as the keeper has told; the mutex guards stopping

	mu        sync.Mutex
	phase     phase
	pid       int
	announced bool                // Spawned has been reported
	status    *process.ExitStatus // ended before it was announced
	early     []SignalRequest
	stdin     stdin
}

// outPipe is the read end of an output pipe.
type outPipe struct {
	fd  int // -1 = none
	out Output
}

// stdin is the write end of the standard input and what waits for it.
type stdin struct {
	fd     int // -1 = closed or not there yet
	queue  []byte
	armed  bool // the shard waits for room
	closed bool
}

// traits returns what the process can be found again by. Without a keeper nobody looks for it.
func (p *proc) traits() Traits {
	if p.startTime == 0 {
		return Traits{}
	}
	return Traits{Start: p.startTime, Pipes: [3]uint64{inode(p.stdin.fd), inode(p.pipes[0].fd), inode(p.pipes[1].fd)}, Cgroup: p.cgroup}
}

// inode returns the inode of a descriptor, 0 if there is none.
func inode(fd int) uint64 {
	var st unix.Stat_t
	if fd < 0 || unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// life names the incarnation.
func (p *proc) life() life { return life{p.req.ID, p.req.Incarnation} }

// postpone keeps the signal until the fork; it reports false when there is nothing to wait for.
func (p *proc) postpone(req SignalRequest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != preparing && p.announced || p.phase == reaped {
		return false
	}
	p.early = append(p.early, req)
	return true
}

// whileAlive calls do with the pid unless the process has been reaped: the lock makes sure that the pid is still the process's own.
func (p *proc) whileAlive(do func(pid int) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != forked {
		return nil
	}
	return do(p.pid)
}

// born records the pid.
func (p *proc) born(pid int) {
	p.mu.Lock()
	p.phase, p.pid = forked, pid
	p.mu.Unlock()
}

// stops records that the tree of the process has got a signal to end.
func (p *proc) stops() {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
}

// gone records that it has ended and that its pid may be another's.
func (p *proc) gone() {
	p.mu.Lock()
	p.phase = reaped
	p.mu.Unlock()
}

// announce records that Spawned has been reported and returns what has waited for that.
func (p *proc) announce() (early []SignalRequest, status *process.ExitStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announced = true
	early, p.early = p.early, nil
	return early, p.status
}

// end marks a process that never came to be and returns the signals that waited for it.
func (p *proc) end() []SignalRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = reaped
	early := p.early
	p.early = nil
	return early
}

// reap waits for the process, which is known to have ended. done is false when it has been reaped already; report is true when its exit
// is to be reported now and not after Spawned.
func (p *proc) reap() (status process.ExitStatus, report, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	status, ok := waitFor(p.pid)
	if !ok {
		return status, false, false
	}
	p.phase = reaped
	if !p.announced {
		p.status = &status
	}
	return status, p.announced, true
}

// writeStdin writes or queues data: all of it, or nothing and an error.
func (p *proc) writeStdin(data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.stdin
	if s.closed || p.phase == reaped {
		return ErrStdinClosed
	}
	if len(s.queue)+len(data) > stdinMax && len(s.queue) > 0 {
		return ErrStdinFull
	}
	n := 0
	if len(s.queue) == 0 && s.fd >= 0 && p.phase == forked {
		var err error
		if n, err = writeSome(s.fd, data); err != nil {
			s.closed = true // the descriptor itself is closed with the process: the shard may still be watching it
			return ErrStdinClosed
		}
		p.spokenTo.Store(true)
	}
	s.queue = append(s.queue, data[n:]...)
	if len(s.queue) > 0 && p.phase == forked && !s.armed {
		s.armed = true
		p.shard.post(command{stdin: p})
	}
	return nil
}

// setStdin sets the write end.
func (p *proc) setStdin(fd int) {
	p.mu.Lock()
	p.stdin.fd = fd
	p.mu.Unlock()
}

// flushStdin writes what waits; the shard calls it when there is room. It returns the descriptor to wait for, or -1 when nothing waits.
func (p *proc) flushStdin() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.stdin
	if s.fd >= 0 && len(s.queue) > 0 {
		n, err := writeSome(s.fd, s.queue)
		if err != nil {
			n = len(s.queue) // nobody reads any more
			s.closed = true
		}
		s.queue = s.queue[n:]
	}
	if s.fd >= 0 && len(s.queue) > 0 {
		s.armed = true
		return s.fd
	}
	s.armed, s.queue = false, nil
	return -1
}

// closeStdin closes the standard input for good. The shard must not be watching it any more.
func (p *proc) closeStdin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stdin.closed = true
	p.stdin.queue = nil
	if p.stdin.fd >= 0 {
		unix.Close(p.stdin.fd)
		p.stdin.fd = -1
	}
}

// closePipes closes everything of a process that did not come to be.
func (p *proc) closePipes() {
	for i := range p.pipes {
		if p.pipes[i].fd >= 0 {
			unix.Close(p.pipes[i].fd)
			p.pipes[i].fd = -1
		}
	}
	p.closeOutputs()
	p.closeStdin()
	p.closePidfd()
}

// closePidfd closes the descriptor that stands for the process.
func (p *proc) closePidfd() {
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
		p.pidfd = -1
	}
}

// closeOutputs ends the incarnation for its outputs.
func (p *proc) closeOutputs() {
	for i, out := range []Output{p.req.Stdout, p.req.Stderr} {
		if p.opened[i] {
			p.opened[i] = false
			out.Close()
		}
	}
}

// writeSome writes what a non-blocking descriptor takes.
func writeSome(fd int, data []byte) (n int, err error) {
	for n < len(data) {
		m, err := unix.Write(fd, data[n:])
		switch {
		case err == nil:
			n += m
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}
