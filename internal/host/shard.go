package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

const (
	// turnBytes is the most that one stream gets moved before the others have their turn.
	turnBytes = 1 << 20
	// stepBytes is the most that is moved in one go: the writer cannot write meanwhile.
	stepBytes = 64 << 10
	// pipeBytes is what the kernel gives a pipe. More room would let a flood of many processes go on for tens of milliseconds before one of them
	// waits, and the processors are theirs meanwhile: whoever asks the daemon something then waits as long.
	pipeBytes = 64 << 10
	// gatherMost is how long a shard lets small writes gather in the pipes.
	gatherMost = 5 * time.Millisecond
	// gatherLeast is the shortest pause that is worth its timer.
	gatherLeast = 200 * time.Microsecond
	// slowPause is how long a stream whose log takes nothing is left alone.
	slowPause = 20 * time.Millisecond
	// slowPatience is how long the exit of a process waits for such a log.
	slowPatience = 2 * time.Second
	// spell is how long a pipe of a dialogue stays hot after the process was spoken to. One that answers at once does so in less; to sleep
	// until then and to be woken would take longer than that on most machines.
	spell = 50 * time.Microsecond
	// lingerMax bounds the pipes that are kept open for what processes left behind.
	lingerMax = 512
)

// command asks a shard for something; exactly one field but status and at is set.
type command struct {
	started *proc              // watch its pipes
	unseen  *proc              // there is nothing of it; it may have come and gone: empty its pipes, and begin anew
	ended   *proc              // drain its pipes, report its exit
	status  process.ExitStatus // with ended
	at      time.Time          // with ended: when it was noticed
	stdin   *proc              // wait for room in its standard input
	wake    bool               // look at what was paused
	quit    bool
}

// shard moves the output of its processes. One goroutine owns everything but the commands: it waits in Go's own poller for its epoll set,
// so that thousands of silent pipes cost neither goroutines nor threads nor wake-ups.
type shard struct {
	h     *Local
	epoll *os.File
	raw   syscall.RawConn
	ep    int
	event int // eventfd: commands have come
	nudge chan struct{}
	// prompt: output is moved as soon as it is there. Its processes speak with the daemon, or somebody is told of each piece.
	prompt bool
	// eager: a process that was spoken to is expected to answer at once.
	eager bool

	mu       sync.Mutex
	commands []command

	watches   map[uint64]*watch
	lastKey   uint64
	events    [128]unix.EpollEvent
	hot       []*watch // looked at in each round
	paused    []*watch
	finishing []*finish
	timer     *time.Timer // wakes for paused and finishing; nil = not running
	pace      pace
}

// watch is one descriptor in the epoll set.
type watch struct {
	key   uint64
	fd    int
	p     *proc  // nil: the process has ended, somebody else still holds the pipe
	out   Output // nil: standard input
	added bool   // in the epoll set
	hot   bool   // in the shard's list of hot pipes, and not in the epoll set
	quiet int    // looks in a row that found a hot pipe empty

	// Of a dialogue:
	until time.Time // when a hot pipe is no longer expected to have an answer
	vain  int       // how many times in a row none had come until then
	spare int       // how many answers are not waited for hotly, since that was in vain
}

// finish is a process that has ended and whose log is slow.
type finish struct {
	p        *proc
	status   process.ExitStatus
	at       time.Time
	watches  []*watch
	deadline time.Time
}

func newShard(h *Local) (*shard, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make epoll set: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("cannot make event descriptor: %w", err)
	}
	s := &shard{h: h, ep: ep, event: event, nudge: make(chan struct{}, 1), watches: map[uint64]*watch{}}
	// os.NewFile hands a non-blocking descriptor to Go's poller. An epoll set can be polled like any other.
	_ = unix.SetNonblock(ep, true)
	s.epoll = os.NewFile(uintptr(ep), "epoll")
	if s.raw, err = s.epoll.SyscallConn(); err != nil {
		s.close()
		return nil, fmt.Errorf("cannot poll epoll set: %w", err)
	}
	// Key 0 is the event descriptor.
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, event, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		s.close()
		return nil, fmt.Errorf("cannot watch event descriptor: %w", err)
	}
	return s, nil
}

// post hands the shard a command. Commands of one process are carried out in order.
func (s *shard) post(c command) {
	s.mu.Lock()
	first := len(s.commands) == 0
	s.commands = append(s.commands, c)
	s.mu.Unlock()
	if !first {
		return // it has been told already
	}
	select {
	case s.nudge <- struct{}{}:
	default:
	}
	_, _ = unix.Write(s.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (s *shard) run() {
	defer s.close()
	for {
		n, err := s.wait()
		if err != nil {
			s.h.emit(Trouble{Text: fmt.Sprintf("cannot poll output: %v", err)})
			return
		}
		now := time.Now()
		most := -1
		for _, ev := range s.events[:max(n, 0)] {
			most = max(most, s.handle(ev))
		}
		most = max(most, s.lookAtHot())
		if !s.obey() {
			return
		}
		if !s.prompt {
			s.gather(s.pace.next(now, most))
		}
	}
}

// wait waits for the epoll set. With hot pipes it only looks.
func (s *shard) wait() (n int, err error) {
	if len(s.hot) > 0 {
		return s.look()
	}
	return s.sleep()
}

// sleep waits in Go's poller.
func (s *shard) sleep() (n int, err error) {
	rerr := s.raw.Read(func(uintptr) bool {
		n, err = s.look()
		return n != 0 || err != nil
	})
	return n, errors.Join(err, rerr)
}

// look takes what the epoll set has now.
func (s *shard) look() (n int, err error) {
	for {
		n, err = unix.EpollWait(s.ep, s.events[:], 0)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// gather lets writes come together for d, unless a command comes.
func (s *shard) gather(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.nudge:
	}
}

// pace decides how long a shard pauses between two looks at its pipes. A lone line is moved at once. When lines keep coming, each look
// would find only one or two of them, so the looks move apart until they find a good part of a pipe or are gatherMost apart; pipes that get
// full end the pauses, because their writers wait.
type pace struct {
	last time.Time
	wait time.Duration
}

// next returns the pause after a look at now that found the fullest pipe that full, in percent; -1 = it found no output.
func (p *pace) next(now time.Time, most int) time.Duration {
	const little, much = 20, 60
	idle := now.Sub(p.last) > p.wait+2*gatherMost
	p.last = now
	switch {
	case most < 0:
		return 0 // commands only
	case idle:
		p.wait = 0
	case most >= much:
		if p.wait /= 2; p.wait < gatherLeast {
			p.wait = 0
		}
	case most <= little:
		p.wait = min(gatherMost, max(gatherLeast, 2*p.wait))
	}
	return p.wait
}

// handle serves one event and returns how full the pipe was, in percent; -1 = it was nothing about output.
func (s *shard) handle(ev unix.EpollEvent) int {
	key := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
	if key == 0 {
		var buf [8]byte
		_, _ = unix.Read(s.event, buf[:])
		return -1
	}
	w := s.watches[key]
	if w == nil {
		return -1 // closed earlier in this turn
	}
	if w.out == nil {
		if w.p.flushStdin() < 0 {
			s.drop(w, false)
		}
		return -1
	}
	w.spokenTo() // before: this may be the answer to it
	n := s.move(w)
	switch {
	case s.watches[w.key] != w || !w.added:
	case s.eager:
		if w.spokenTo() && w.worthIt() {
			s.heat(w)
		}
	case n >= pipeBytes/4 && !s.prompt:
		s.heat(w)
	}
	return 100 * n / pipeBytes
}

// spokenTo reports whether something was written to the process since the last look at that. The answer is expected soon, on standard output.
func (w *watch) spokenTo() bool {
	if w.p == nil || w.out != w.p.req.Stdout || !w.p.spokenTo.Swap(false) {
		return false
	}
	w.until = time.Now().Add(spell)
	return true
}

// worthIt reports whether the next answer is to be waited for hotly: more and more seldom while that is in vain.
func (w *watch) worthIt() bool {
	if w.spare > 0 {
		w.spare--
		return false
	}
	return true
}

// move moves what can be read from a pipe, and returns how many bytes that were.
func (s *shard) move(w *watch) int {
	n, err := 0, error(nil)
	for n < turnBytes && err == nil {
		var m int
		if m, err = w.out.Drain(w.fd, stepBytes); m == 0 {
			break
		}
		if n += m; m < stepBytes/2 {
			break // that was the rest
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		s.drop(w, true)
	case errors.Is(err, unix.EAGAIN):
		s.pause(w)
	default:
		s.h.emit(Trouble{Text: fmt.Sprintf("cannot move output: %v", err)})
		if _, thrown := w.out.(discard); thrown {
			s.drop(w, true)
		} else {
			w.out = discard{} // the process must not wait for ever
		}
	}
	return n
}

// heat takes a busy pipe out of the epoll set, to be looked at in each round instead: a pipe in an epoll set calls it at each write, which
// costs the writer as much as the write.
func (s *shard) heat(w *watch) {
	s.unwatch(w)
	w.hot, w.quiet = true, 0
	s.hot = append(s.hot, w)
}

// lookAtHot moves the output of the hot pipes and returns how full the fullest was, in percent; -1 = there is none. A pipe that stays empty
// goes back into the epoll set.
func (s *shard) lookAtHot() int {
	const patience = 4
	most := -1
	kept := s.hot[:0]
	for _, w := range s.hot {
		if !w.hot || s.watches[w.key] != w {
			continue // it has ended, or its log is slow
		}
		n := s.move(w)
		most = max(most, 100*n/pipeBytes)
		w.quiet++
		if n > 0 {
			w.quiet = 0
		}
		cold := w.quiet >= patience
		if s.eager {
			cold = w.silent(n)
		}
		switch {
		case !w.hot || s.watches[w.key] != w:
		case cold:
			w.hot = false
			s.watch(w, unix.EPOLLIN)
		default:
			kept = append(kept, w)
		}
	}
	clear(s.hot[len(kept):])
	s.hot = kept
	return most
}

// silent takes a look at the hot pipe of a dialogue that found n bytes, and reports whether no answer is expected any more.
func (w *watch) silent(n int) bool {
	const most = 6
	if n > 0 {
		w.vain = 0
		w.spokenTo()
	}
	if time.Now().Before(w.until) {
		return false
	}
	if n == 0 {
		w.vain = min(w.vain+1, most)
		w.spare = 1 << w.vain
	}
	return true
}

// obey carries out the commands; it reports false when the shard is to end.
func (s *shard) obey() bool {
	s.mu.Lock()
	commands := s.commands
	s.commands = nil
	s.mu.Unlock()
	for _, c := range commands {
		switch {
		case c.quit:
			return false
		case c.started != nil:
			for _, pipe := range c.started.pipes {
				if pipe.fd >= 0 {
					s.watch(&watch{fd: pipe.fd, p: c.started, out: pipe.out}, unix.EPOLLIN)
				}
			}
			s.feed(c.started) // what was written before the fork
		case c.unseen != nil:
			s.again(c.unseen)
		case c.stdin != nil:
			s.feed(c.stdin)
		case c.ended != nil:
			s.finish(c.ended, c.status, c.at)
		case c.wake:
			s.resume()
		}
	}
	return true
}

// feed writes what waits for the standard input of p, and waits for room for the rest. The process may have ended or read everything since.
func (s *shard) feed(p *proc) {
	for _, w := range p.watches {
		if w.out == nil {
			return // it is waiting already
		}
	}
	if fd := p.flushStdin(); fd >= 0 {
		s.watch(&watch{fd: fd, p: p}, unix.EPOLLOUT)
	}
}

// watch adds w to the epoll set.
func (s *shard) watch(w *watch, events uint32) {
	if w.key == 0 {
		s.lastKey++
		w.key = s.lastKey
		s.watches[w.key] = w
		if w.p != nil {
			w.p.watches = append(w.p.watches, w)
		}
	}
	ev := unix.EpollEvent{Events: events, Fd: int32(uint32(w.key)), Pad: int32(uint32(w.key >> 32))}
	if err := unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, w.fd, &ev); err != nil {
		s.h.emit(Trouble{Text: fmt.Sprintf("cannot watch descriptor: %v", err)})
		return
	}
	w.added = true
}

// unwatch takes w out of the epoll set, or out of the hot pipes, for now.
func (s *shard) unwatch(w *watch) {
	w.hot = false
	if w.added {
		_ = unix.EpollCtl(s.ep, unix.EPOLL_CTL_DEL, w.fd, nil)
		w.added = false
	}
}

// drop forgets w; with closing its descriptor too.
func (s *shard) drop(w *watch, closing bool) {
	s.unwatch(w)
	delete(s.watches, w.key)
	if closing && w.p != nil {
		w.p.closePipe(w.fd)
	} else if closing {
		unix.Close(w.fd)
	}
	if w.p == nil {
		s.h.lingering.Add(-1)
		return
	}
	for i, other := range w.p.watches {
		if other == w {
			w.p.watches = append(w.p.watches[:i], w.p.watches[i+1:]...)
			break
		}
	}
}

// pause leaves a stream alone whose log takes nothing now.
func (s *shard) pause(w *watch) {
	s.unwatch(w)
	s.paused = append(s.paused, w)
	s.arm()
}

// arm makes sure that resume is called soon.
func (s *shard) arm() {
	if s.timer == nil {
		s.timer = time.AfterFunc(slowPause, func() { s.post(command{wake: true}) })
	}
}

// resume tries again what was slow.
func (s *shard) resume() {
	s.timer = nil
	paused := s.paused
	s.paused = nil
	for _, w := range paused {
		if s.watches[w.key] == w {
			s.watch(w, unix.EPOLLIN)
		}
	}
	finishing := s.finishing
	s.finishing = nil
	for _, f := range finishing {
		s.drain(f)
	}
}

// finish drains the pipes of a process that has ended, then reports its exit: an exit is never seen before the output that came before it.
func (s *shard) finish(p *proc, status process.ExitStatus, at time.Time) {
	f := &finish{p: p, status: status, at: at, deadline: time.Now().Add(slowPatience)}
	for _, w := range append([]*watch(nil), p.watches...) {
		s.unwatch(w)
		if w.out == nil {
			s.drop(w, false)
			continue
		}
		f.watches = append(f.watches, w)
	}
	p.closeStdin()
	s.drain(f)
}

// drain empties the pipes of a process that has ended and reports its exit, or leaves that for later when a log is slow.
func (s *shard) drain(f *finish) {
	var slow []*watch
	for _, w := range f.watches {
		if s.empty(w) {
			slow = append(slow, w)
		}
	}
	f.watches = slow
	if len(slow) > 0 {
		if time.Now().Before(f.deadline) {
			s.finishing = append(s.finishing, f)
			s.arm()
			return
		}
		for _, w := range slow {
			s.linger(w)
		}
	}
	p := f.p
	p.closeOutputs()
	p.closePidfd()
	s.h.forget(p)
	s.h.sockets.release(p.socket, func(closed string) {
		s.h.emit(Exited{ID: p.req.ID, Incarnation: p.req.Incarnation, PID: p.pid, Status: f.status, At: f.at, Closed: closed})
	})
}

// again begins anew with a process that nobody has seen. What it has written, if it has been there, is kept.
func (s *shard) again(p *proc) {
	for _, pipe := range p.pipes {
		for left := pipeBytes; pipe.fd >= 0 && left > 0; {
			n, err := pipe.out.Drain(pipe.fd, turnBytes)
			if n == 0 || err != nil {
				break
			}
			left -= n
		}
	}
	p.closePipes()
	if p.socket != nil {
		s.h.sockets.release(p.socket, func(string) {})
		p.socket = nil
	}
	s.h.ready.push(p)
}

// empty moves what the process left in a pipe: until the end, or until nothing is there, or as much as fits into a pipe when somebody
// else goes on writing. It reports true when the log is slow and there may be more.
func (s *shard) empty(w *watch) (slow bool) {
	left, err := unix.FcntlInt(uintptr(w.fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		left = pipeBytes
	}
	for left > 0 {
		n, err := w.out.Drain(w.fd, turnBytes)
		left -= n
		switch {
		case errors.Is(err, io.EOF):
			s.drop(w, true)
			return false
		case errors.Is(err, unix.EAGAIN):
			return true
		case err != nil:
			s.h.emit(Trouble{Text: fmt.Sprintf("cannot move output: %v", err)})
			s.drop(w, true)
			return false
		}
		if n == 0 {
			break
		}
	}
	s.linger(w)
	return false
}

// linger keeps a pipe open that other processes still hold, and throws away what they write. Supervisor closes the pipe, which loses the same output
// and ends those that do not expect it.
func (s *shard) linger(w *watch) {
	p := w.p
	if s.h.lingering.Add(1) > lingerMax {
		w.p = nil
		s.drop(w, true)
	} else {
		w.p, w.out = nil, discard{}
		s.watch(w, unix.EPOLLIN)
	}
	for i, other := range p.watches {
		if other == w {
			p.watches = append(p.watches[:i], p.watches[i+1:]...)
			break
		}
	}
}

// close closes the shard's descriptors.
func (s *shard) close() {
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, w := range s.watches {
		if w.out != nil {
			unix.Close(w.fd)
		}
		if w.p != nil {
			w.p.closeStdin()
			w.p.closeOutputs()
			w.p.closePidfd()
		}
	}
	s.epoll.Close()
	unix.Close(s.event)
}

// readAway reads at most max bytes from a non-blocking descriptor and forgets them.
func readAway(fd, max int) (int, error) {
	buf := scratch.Get().(*[16 << 10]byte)
	defer scratch.Put(buf)
	for {
		n, err := unix.Read(fd, buf[:min(max, len(buf))])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

var scratch = sync.Pool{New: func() any { return new([16 << 10]byte) }}
