package core

import (
	"time"

	"github.com/graced/graced/internal/process"
)

// The pauses that the machine keeps besides those a Spec names.
const (
	killAgain    = time.Second     // least time between two SIGKILLs to one process
	stopReport   = 2 * time.Second // between two reports that a process is waited for
	quitReport   = 3 * time.Second // the same while everything is being stopped
	restartFloor = time.Second     // least time between two starts of a process that keeps ending by itself
	stormAfter   = 5               // so many short lives in a row are tolerated before the pause grows
	restartMost  = 16 * time.Second
)

// deadline is a moment at which the machine has to act. It lives inside its owner and is in the heap while armed, so there are no stale
// deadlines.
type deadline struct {
	at    time.Duration
	seq   uint64 // order of arming, for equal moments
	index int    // position in the heap plus one; zero = not armed
	fire  action
	proc  *proc
	group *group
	step  *step // with actStep
	line  *line // with actLine
	token Token // with actHook
}

// action says what a deadline is for.
type action int

const (
	actState   action = iota // whatever the process's state waits for
	actReport                // report that a process is waited for
	actQuit                  // report that everything is being stopped
	actHook                  // a command has had its time
	actBreaker               // held processes of a group go on
	actTick                  // a time slice of the tick events ends
	actStep                  // the trial of a new process ends
	actLine                  // the patience with those that have ceased to work ends
)

func (d *deadline) armed() bool { return d.index > 0 }

// deadlines is a binary heap of armed deadlines, the earliest first.
type deadlines struct {
	heap []*deadline
	seq  uint64
}

func (q *deadlines) first() *deadline {
	if len(q.heap) == 0 {
		return nil
	}
	return q.heap[0]
}

// arm sets or moves a deadline.
func (q *deadlines) arm(d *deadline, at time.Duration) {
	q.disarm(d)
	q.seq++
	d.at, d.seq = at, q.seq
	q.heap = append(q.heap, d)
	d.index = len(q.heap)
	q.up(len(q.heap) - 1)
}

// disarm takes a deadline out of the heap, if it is there.
func (q *deadlines) disarm(d *deadline) {
	if !d.armed() {
		return
	}
	i, last := d.index-1, len(q.heap)-1
	d.index = 0
	moved := q.heap[last]
	q.heap[last] = nil
	q.heap = q.heap[:last]
	if i == last {
		return
	}
	q.heap[i] = moved
	moved.index = i + 1
	q.up(i)
	q.down(moved.index - 1)
}

func (q *deadlines) less(i, j int) bool {
	a, b := q.heap[i], q.heap[j]
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}

func (q *deadlines) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.heap[i].index, q.heap[j].index = i+1, j+1
}

func (q *deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *deadlines) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			return
		}
		if child+1 < len(q.heap) && q.less(child+1, child) {
			child++
		}
		if !q.less(child, i) {
			return
		}
		q.swap(i, child)
		i = child
	}
}

// NextDeadline returns the moment (Now.Mono) at which Step has to be called at the latest, and whether there is one.
func (s *Supervisor) NextDeadline() (time.Duration, bool) {
	if d := s.due.first(); d != nil && !s.halted {
		return d.at, true
	}
	return 0, false
}

// Due reports whether a Tick at a moment changes anything but the time: a deadline has passed, or the wall clock was set. One that does not
// need not be kept for those who step the machine through its inputs again.
func (s *Supervisor) Due(now Now) bool {
	at, armed := s.NextDeadline()
	return armed && at <= now.Mono || !s.halted && s.clock.outdated(now.Wall)
}

// passDeadlines fires what is due, in order of time.
func (s *Supervisor) passDeadlines() {
	for !s.halted {
		d := s.due.first()
		if d == nil || d.at > s.now.Mono {
			return
		}
		s.due.disarm(d)
		switch d.fire {
		case actState:
			s.elapsed(d.proc)
		case actReport:
			s.reportStop(d.proc)
		case actBreaker:
			s.letOn(d.group)
		case actHook:
			s.hookLate(d.token)
		case actQuit:
			s.reportQuit()
		case actTick:
			s.tick()
		case actStep:
			s.tried(d.step)
		case actLine:
			s.relapsed(d.line)
		}
		s.settle()
	}
}

// elapsed acts on the end of the time that a process may spend in its state.
func (s *Supervisor) elapsed(p *proc) {
	switch p.state {
	case process.Starting:
		// While the outcome of the spawn is not known, Spawned makes it RUNNING.
		if p.pid != 0 {
			s.stayedUp(p)
		}
	case process.Backoff, process.Exited:
		if !s.quitting() {
			s.next(p)
		}
	case process.Stopping:
		s.escalate(p)
	default:
		s.unforeseen(p, "deadline")
	}
}

// untilWall returns how long it is from a moment to a second of the wall clock, at least a millisecond.
func untilWall(now time.Time, second int64) time.Duration {
	return max(time.Unix(second, 0).Sub(now.Round(0)), time.Millisecond)
}

// seconds turns an option in whole seconds into a duration; a negative one is none.
func seconds(n int) time.Duration { return process.Seconds(n) }
