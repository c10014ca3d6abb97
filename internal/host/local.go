package host

import (
	"errors"
	"fmt"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/graced/graced/internal/process"
)

// Options configures a Local.
type Options struct {
	// Events receives every event. It is called by several goroutines, though in order for each incarnation and each socket. It must queue;
	// it must never block nor call the host.
	Events func(Event)
	// Sigpipe "default" starts children with the default action of SIGPIPE; otherwise they ignore it, as under Supervisor (quirk C9).
	Sigpipe string
	// Link leads to the keeper that forks; nil: this process does.
	Link *Link
	// Shards is the number of goroutines that move output, besides two for output that is waited for; zero means min(4, GOMAXPROCS).
	Shards int
}

// Errors of WriteStdin.
var (
	ErrStdinClosed = errors.New("standard input is closed")
	ErrStdinFull   = errors.New("standard input is full")
)

// Local is a Host whose processes are children of this one. It starts no goroutine and no thread per child:
//
//	preparer  resolves the command, makes the pipes, opens the logs
//	forker    a thread with its own table of descriptors that forks (forker.go)
//	finisher  reports Spawned, in the order of the requests, and hands the pipes to a shard
//	shards    move output and report exits (shard.go)
//	reaper    learns of exits from SIGCHLD (reap.go)
//
// It reaps every child of this process: nothing else in the process may wait for children of its own.
// Children without their own have the umask and directory that the process had when NewLocal was called; where unshare(2) is forbidden, those
// that it has.
type Local struct {
	emit      func(Event)
	users     userDB
	shards    []*shard // the last two are for output that is told of, and for dialogues: these never wait for a flood of the others
	parent    parent
	ready     *prepareQueue
	sockets   *sockets
	runs      runs
	preparing sync.WaitGroup // the preparer
	wg        sync.WaitGroup
	closing   sync.Once
	closed    chan struct{}

	lingering atomic.Int64 // pipes that outlived their process

	mu    sync.Mutex
	procs map[process.ID]*proc // the current incarnation of each process
}

var _ Host = (*Local)(nil)

// NewLocal returns a Local at work. It sets the disposition of SIGPIPE and SIGXFSZ of this process.
func NewLocal(o Options) (*Local, error) {
	if o.Events == nil {
		return nil, errors.New("cannot start host: no receiver of events")
	}
	if o.Link == nil && o.Sigpipe != "default" {
		// compat: CPython ignores both, and its children inherit that (quirk C9).
		signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ)
	}
	n := o.Shards
	if n <= 0 {
		n = Shards() - 2
	}
	h := &Local{
		emit:   o.Events,
		closed: make(chan struct{}),
		procs:  map[process.ID]*proc{},
		ready:  newPrepareQueue(),
	}
	h.sockets = newSockets(h.emit)
	var err error
	for i := range n + 2 {
		s, err := newShard(h)
		if err != nil {
			_ = h.Close()
			return nil, fmt.Errorf("cannot start host: %w", err)
		}
		switch i {
		case n:
			s.prompt = true
		case n + 1:
			s.prompt = true
			s.eager = runtime.GOMAXPROCS(0) > 1 // else the process could not run meanwhile
		}
		h.shards = append(h.shards, s)
		h.wg.Go(s.run)
	}
	if o.Link != nil {
		h.parent = newKeptChildren(h, o.Link)
	} else if h.parent, err = newOwnChildren(h); err != nil {
		h.parent = nil
		_ = h.Close()
		return nil, fmt.Errorf("cannot start host: %w", err)
	}
	h.sockets.parent = h.parent
	if err := h.openRuns(); err != nil {
		_ = h.Close()
		return nil, fmt.Errorf("cannot start host: %w", err)
	}
	h.preparing.Go(h.prepareAll)
	return h, nil
}

// Shards is how many goroutines move output, if Options do not say.
func Shards() int { return min(4, runtime.GOMAXPROCS(0)) + 2 }

// ShardOf says which of so many goroutines moves the output of a process.
func ShardOf(id process.ID, pace Pace, of int) int {
	switch pace {
	case Told:
		return of - 2
	case Dialogue:
		return of - 1
	}
	return int(uint64(id) % uint64(of-2))
}

// Close stops the host's goroutines and closes its descriptors. Children are left alone; no event follows.
func (h *Local) Close() error {
	h.closing.Do(func() {
		close(h.closed)
		h.ready.close()
		h.sockets.end()
		h.preparing.Wait()
		if h.parent != nil {
			h.parent.end()
		}
		for _, s := range h.shards {
			s.post(command{quit: true})
		}
		h.wg.Wait()
		h.sockets.close()
		h.runs.close()
	})
	return nil
}

// Spawn queues the request.
func (h *Local) Spawn(req SpawnRequest) { h.enqueue(req, 0) }

func (h *Local) enqueue(req SpawnRequest, known int) {
	p := &proc{req: req, known: known, pidfd: -1, stdin: stdin{fd: -1}}
	p.shard = h.shards[ShardOf(req.ID, req.Pace, len(h.shards))]
	p.stdin.closed = req.Spec.Socket.URL != "" || req.NoInput // it is something else
	h.mu.Lock()
	h.procs[req.ID] = p
	h.mu.Unlock()
	h.ready.push(p)
}

// Check resolves the command of spec.
func (h *Local) Check(spec *process.Spec) error {
	_, _, err := resolve(spec.Command, specPath(spec))
	if err != nil {
		return err
	}
	return nil
}

// Signal sends the signal at once, or right after the fork when that is still to come.
func (h *Local) Signal(req SignalRequest) {
	p := h.find(req.ID, req.Incarnation)
	if p != nil && p.postpone(req) {
		return
	}
	h.signal(p, req)
}

// signal sends to p, nil = gone, and reports.
func (h *Local) signal(p *proc, req SignalRequest) {
	if p == nil {
		h.signalled(req, nil)
		return
	}
	h.parent.kill(p, req)
}

func (h *Local) signalled(req SignalRequest, err error) {
	h.emit(Signalled{ID: req.ID, Incarnation: req.Incarnation, Token: req.Token, Err: err})
}

// WriteStdin writes what the pipe takes and queues the rest.
func (h *Local) WriteStdin(req StdinRequest) {
	err := ErrStdinClosed
	if p := h.find(req.ID, req.Incarnation); p != nil {
		err = p.writeStdin(req.Data)
	}
	h.emit(StdinWritten{ID: req.ID, Token: req.Token, Err: err, Idle: req.Idle})
}

func (h *Local) find(id process.ID, inc process.Incarnation) *proc {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.procs[id]; p != nil && p.req.Incarnation == inc {
		return p
	}
	return nil
}

// forget drops p, which has ended or never came to be.
func (h *Local) forget(p *proc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.procs[p.req.ID] == p {
		delete(h.procs, p.req.ID)
	}
}

// fail reports that p never came to be.
func (h *Local) fail(p *proc, text string) {
	h.forget(p)
	h.sockets.release(p.socket, func(closed string) {
		h.emit(SpawnFailed{ID: p.req.ID, Incarnation: p.req.Incarnation, Text: text, Closed: closed})
	})
	for _, req := range p.end() {
		h.signal(nil, req)
	}
}

// placed reports where p lives, if there is anything to say about that.
func (h *Local) placed(p *proc) {
	if p.cgroup != "" || p.lacks != "" {
		h.emit(Placed{ID: p.req.ID, Incarnation: p.req.Incarnation, Cgroup: p.cgroup, Lacks: p.lacks})
	}
}

// finish reports what became of one process.
func (h *Local) finish(p *proc, pid int, failure string) {
	p.req.Environ = nil // of no more use, and a few KiB each
	if failure != "" {
		p.closePipes()
		h.fail(p, failure)
		return
	}
	h.placed(p)
	h.emit(Spawned{ID: p.req.ID, Incarnation: p.req.Incarnation, PID: pid, Traits: p.traits()})
	// Only now may the shard report the exit.
	p.shard.post(command{started: p})
	early, status := p.announce()
	for _, req := range early {
		h.signal(p, req)
	}
	if status != nil {
		p.shard.post(command{ended: p, status: *status, at: time.Now()})
	}
}
