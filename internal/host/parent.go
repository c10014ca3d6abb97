package host

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parent is whoever forks, signals and reaps for a Local: this process itself, or a keeper.
type parent interface {
	// outlives reports whether processes and their output outlive this daemon.
	outlives() bool
	// hand takes the child's pipe ends of a prepared job over. An error fails the job.
	hand(j *forkJob) error
	// fork starts the jobs, and hands what becomes of each to Local.finish in the same order. A job with a failure only passes through.
	fork(jobs []*forkJob)
	// kill sends a signal to a process that has been announced, and sees to the Signalled event.
	kill(p *proc, req SignalRequest)
	// settle says that the end of a life needs to be told to nobody any more.
	settle(l life)
	// take returns what is known of a life that a daemon before has begun, nil if there is none; taken says that it is taken up, and how it is now.
	take(l life) *record
	taken(l life) record
	// adopt takes a process into care that this daemon has not started.
	adopt(l life, t *There)
	// dropRest lets go what a daemon before has left and nobody has taken.
	dropRest()
	// inherit returns a descriptor that a daemon before has left under a key, -1 if there is none; keep leaves one to those that come.
	inherit(key string) int
	keep(key string, fd int)
	drop(key string)
	// leave is for one that is kept: whoever inherits next in this process gets the descriptor.
	leave(key string, fd int)
	// end ends it, after the last fork.
	end()
}

// ownChildren is the parent that forks in this process.
type ownChildren struct {
	h      *Local
	forker *forker
	reaper *reaper
	wg     sync.WaitGroup

	forking sync.Mutex // see forker

	mu    sync.Mutex
	byPID map[int]*proc // what has been forked and not reaped
}

func newOwnChildren(h *Local) (*ownChildren, error) {
	c := &ownChildren{h: h, byPID: map[int]*proc{}}
	var err error
	if c.forker, err = startForker(&c.forking, c.born); err != nil {
		return nil, err
	}
	c.reaper = newReaper(c.owner, func(o OrphanReaped) { h.emit(o) }, &c.forking)
	c.wg.Go(c.finishAll)
	c.wg.Go(c.reaper.run)
	return c, nil
}

func (c *ownChildren) outlives() bool { return false }

func (c *ownChildren) hand(j *forkJob) error { return c.forker.send(j) }

func (c *ownChildren) fork(jobs []*forkJob) { c.forker.jobs <- jobs }

// kill sends the signal. A process that is gone is no error: reaping settles it. The lock makes sure that the pid is still the process's
// own.
func (c *ownChildren) kill(p *proc, req SignalRequest) {
	c.h.signalled(req, p.whileAlive(func(pid int) error { return kill(pid, req) }))
}

// kill sends a signal to a process that may have ended and is not reaped.
func kill(pid int, req SignalRequest) error {
	if req.ToTree {
		return signalEach(func() []int { return kinOf(pid) }, req.Signal)
	}
	if req.ToGroup {
		pid = -pid
	}
	if err := unix.Kill(pid, syscall.Signal(req.Signal)); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}

func (c *ownChildren) settle(life) {}

// There is no daemon before or after this one.

func (c *ownChildren) take(life) *record      { return nil }
func (c *ownChildren) taken(life) record      { return record{} }
func (c *ownChildren) adopt(_ life, t *There) { t.Close() }
func (c *ownChildren) dropRest()              {}
func (c *ownChildren) inherit(string) int     { return -1 }
func (c *ownChildren) keep(string, int)       {}
func (c *ownChildren) drop(string)            {}
func (c *ownChildren) leave(_ string, fd int) { unix.Close(fd) }

func (c *ownChildren) end() {
	c.reaper.stop()
	close(c.forker.jobs)
	c.forker.wait()
	c.wg.Wait()
}

// finishAll reports what the forker did, in its order.
func (c *ownChildren) finishAll() {
	for results := range c.forker.results {
		for _, r := range results {
			c.h.finish(r.job.p, r.pid, r.failure)
		}
	}
}

func (c *ownChildren) born(j *forkJob, pid int) {
	j.p.born(pid)
	c.mu.Lock()
	c.byPID[pid] = j.p
	c.mu.Unlock()
}

// owner returns what takes the end of a child of ours.
func (c *ownChildren) owner(pid int) func() {
	c.mu.Lock()
	p := c.byPID[pid]
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	return func() {
		status, report, done := p.reap()
		if !done {
			return
		}
		c.mu.Lock()
		delete(c.byPID, pid)
		c.mu.Unlock()
		if report {
			p.shard.post(command{ended: p, status: status, at: time.Now()})
		}
	}
}
