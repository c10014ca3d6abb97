// Package health finds out whether processes are ready and alive: it asks them, again and again, and tells what has changed.
//
// It owns the schedule, the tries and the socket of sd_notify. It never decides what follows from an answer: that is package core's. Package daemon
// imports it; it imports package process.
package health

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/graced/graced/internal/process"
)

// Target is a life that is watched.
type Target struct {
	ID          process.ID
	Incarnation process.Incarnation
	PID         int
	Ready       bool           // it has been found ready
	Health      process.Health // what is asked; a check of its output is none of this package's
	// Run runs a command as the process would be run, and returns the end of its output.
	Run func(ctx context.Context, command string) (output []byte, err error)
}

// Result is what a check has found: each change, and the first result.
type Result struct {
	ID          process.ID
	Incarnation process.Incarnation
	Alive       bool // it is about liveness, not readiness
	OK          bool
	Text        string // why not
}

// Options are what a Monitor stands on.
type Options struct {
	// Report takes the results, in order for each check. It must queue: it must neither block nor call the monitor.
	Report func(Result)
	// Trouble takes what is wrong with the monitor itself; likewise.
	Trouble func(text string)
	// Settle waits until what was reported is written down, and reports whether it is; nil: nothing is. It may wait for others that call the monitor.
	Settle func() bool
	// Socket is where processes tell of themselves; nil: nowhere. It stays open when the monitor is closed.
	Socket *Socket
}

const (
	// mostTries is how many tries are under way at a time in each lane: each is a connection or a process, and may hang until its time is over.
	mostTries = 256
	// firstPause is the pause before the first try of readiness; each further one is twice as long, up to the period.
	firstPause = 20 * time.Millisecond
	// slot is what the beginnings of tries are rounded up to where a period is much longer: to wake for each of them costs more than what it does.
	slot = 100 * time.Millisecond
)

// Monitor watches processes. One goroutine has the schedule, one reads the socket, and each try under way has one.
type Monitor struct {
	o   Options
	try func(ctx context.Context, t *Target, c process.Check) (why string) // "" = it is good

	mu       sync.Mutex
	watches  map[process.ID]*watch
	due      schedule
	prompt   lane
	hung     lane
	reports  int            // so far
	speakers map[int]*watch // those that tell of themselves, by pid
	early    []sign

	wake   chan struct{}
	life   context.Context
	end    context.CancelFunc
	closed sync.WaitGroup
}

// lane bounds how many tries are under way. There are two, so that checks that hung when they were tried last are not in the way of others.
type lane struct {
	words    string // of whom
	trying   int
	late     []*task // due, and no try may begin
	strained bool    // it was told that tries are late
}

// watch is a target with its checks.
type watch struct {
	Target
	ready, alive *task // nil: it is not asked
	life         context.Context
	end          context.CancelFunc
}

// task is one check of a target.
type task struct {
	w      *watch
	alive  bool
	check  process.Check
	known  bool // whether it is good is known
	good   bool
	streak int  // good tries in a row, or, below zero, bad ones
	hung   bool // its last try took all of its time

	at    time.Time // of the next try; with notify and alive, when the next sign is overdue
	place int       // in the schedule; -1 = not there
	pause time.Duration
}

// New returns a Monitor at work.
func New(o Options) *Monitor {
	m := &Monitor{o: o, try: try, watches: map[process.ID]*watch{}, speakers: map[int]*watch{}, wake: make(chan struct{}, 1)}
	m.prompt = lane{words: "checks of processes"}
	m.hung = lane{words: "checks that had no answer in their time before"}
	m.life, m.end = context.WithCancel(context.Background())
	m.closed.Go(m.run)
	if o.Socket != nil {
		m.closed.Go(func() {
			if err := o.Socket.read(m.life, m.signed); err != nil {
				o.Trouble("nobody hears what processes tell of themselves: " + err.Error())
			}
		})
	}
	return m
}

// Close ends all checks. Nothing is reported any more when it returns.
func (m *Monitor) Close() {
	m.mu.Lock()
	m.end()
	m.mu.Unlock()
	m.closed.Wait()
}

// Watch has a life watched, in the place of whatever is watched of its process.
func (m *Monitor) Watch(t Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unwatch(t.ID)
	if m.life.Err() != nil {
		return
	}
	w := &watch{Target: t}
	w.life, w.end = context.WithCancel(m.life)
	m.watches[t.ID] = w
	now := time.Now()
	if c := t.Health.Ready; c.Kind != process.CheckNone && c.Kind != process.CheckLog {
		w.ready = &task{w: w, check: c, known: t.Ready, good: t.Ready, place: -1}
		switch {
		case c.Kind == process.CheckNotify: // it says so itself
		case t.Ready:
			m.plan(w.ready, w.ready.slotted(now.Add(w.ready.phase())))
		default:
			w.ready.pause = min(firstPause, c.Period)
			m.plan(w.ready, now.Add(w.ready.pause))
		}
	}
	if c := t.Health.Alive; c.Kind != process.CheckNone {
		w.alive = &task{w: w, alive: true, check: c, place: -1}
		switch {
		case c.Kind != process.CheckNotify:
			m.plan(w.alive, w.alive.slotted(now.Add(c.Period+w.alive.phase())))
		case t.Health.Ready.Kind == process.CheckNotify && !t.Ready: // its time begins when it is ready
		default:
			m.plan(w.alive, now.Add(c.Timeout))
		}
	}
	if w.notified() {
		m.speakers[t.PID] = w
		m.hearEarly(w)
	}
}

// notified reports whether it is asked for what the process says of itself.
func (w *watch) notified() bool {
	return w.Health.Ready.Kind == process.CheckNotify || w.Health.Alive.Kind == process.CheckNotify
}

// Unwatch ends the checks of a process.
func (m *Monitor) Unwatch(id process.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unwatch(id)
}

func (m *Monitor) unwatch(id process.ID) {
	w := m.watches[id]
	if w == nil {
		return
	}
	delete(m.watches, id)
	if m.speakers[w.PID] == w {
		delete(m.speakers, w.PID)
	}
	w.end()
	for _, t := range []*task{w.ready, w.alive} {
		if t != nil && t.place >= 0 {
			heap.Remove(&m.due, t.place)
		}
	}
}

// phase spreads the tries of many processes over a period.
func (t *task) phase() time.Duration {
	id := uint64(t.w.ID) << 1
	if t.alive {
		id++
	}
	const golden = 0x9e3779b97f4a7c15 // its multiples fill the range evenly
	return time.Duration(float64(t.check.Period) * float64(id*golden>>11) / (1 << 53))
}

// plan enters when a task is due. The mutex is held.
func (m *Monitor) plan(t *task, at time.Time) {
	t.at = at
	if t.place < 0 {
		heap.Push(&m.due, t)
	} else {
		heap.Fix(&m.due, t.place)
	}
	if t.place == 0 {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// run begins what is due.
func (m *Monitor) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for m.life.Err() == nil {
		timer.Reset(m.begin())
		select {
		case <-timer.C:
		case <-m.wake:
		case <-m.life.Done():
		}
	}
}

// begin begins what is due, and returns how long nothing is.
func (m *Monitor) begin() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.due) > 0 && !m.due[0].at.After(now) {
		t := m.due[0]
		heap.Pop(&m.due)
		if t.check.Kind == process.CheckNotify {
			m.judge(t, "no WATCHDOG=1 within "+process.Span(t.check.Timeout))
			continue
		}
		switch l := m.laneOf(t); {
		case l.begins(t):
			m.closed.Go(func() { m.work(t) })
		case l.strain():
			m.o.Trouble(fmt.Sprintf("%d %s are under way, as many as may be at a time: others begin late", mostTries, l.words))
		}
	}
	if len(m.due) == 0 {
		return time.Hour
	}
	return m.due[0].at.Sub(now)
}

func (m *Monitor) laneOf(t *task) *lane {
	if t.hung {
		return &m.hung
	}
	return &m.prompt
}

// begins enters a try that may begin, or has it wait.
func (l *lane) begins(t *task) bool {
	if l.trying >= mostTries {
		l.late = append(l.late, t)
		return false
	}
	l.trying++
	return true
}

// strain reports whether it has to be told that tries are late: once.
func (l *lane) strain() bool {
	told := l.strained
	l.strained = true
	return !told
}

// ends takes a try out, and enters and returns the next one that is late.
func (l *lane) ends() *task {
	for len(l.late) > 0 {
		next := l.late[0]
		if l.late = l.late[1:]; next.w.life.Err() == nil {
			return next
		}
	}
	if l.trying--; l.trying < mostTries/2 {
		l.strained = false
	}
	return nil
}

// work makes a try, and those that had to wait for it.
func (m *Monitor) work(t *task) {
	for t != nil {
		ctx, cancel := context.WithTimeout(t.w.life, t.check.Timeout)
		why := m.try(ctx, &t.w.Target, t.check)
		hung := why != "" && ctx.Err() == context.DeadlineExceeded
		if hung {
			why = noAnswer(t.check)
		}
		cancel()
		t = m.tried(t, why, hung)
	}
}

// tried takes the outcome of a try, and returns the next one that is late.
func (m *Monitor) tried(t *task, why string, hung bool) (next *task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next = m.laneOf(t).ends()
	t.hung = hung
	if t.w.life.Err() == nil {
		m.judge(t, why)
		m.plan(t, t.next(time.Now()))
	}
	return next
}

// next returns when the next try is due: soon at first, then in each period.
func (t *task) next(now time.Time) time.Time {
	switch {
	case t.pause > 0 && !t.good: // it was never good
		t.pause = min(2*t.pause, t.check.Period)
		return now.Add(t.pause)
	case t.pause > 0:
		t.pause = 0
		return t.slotted(now.Add(t.phase()))
	}
	if at := t.at.Add(t.check.Period); at.After(now) {
		return t.slotted(at)
	}
	return t.slotted(now.Add(t.check.Period))
}

// slotted returns the beginning of the slot at or after a moment: several tries begin together.
func (t *task) slotted(at time.Time) time.Time {
	if t.check.Period < 10*slot {
		return at
	}
	if late := at.Sub(at.Truncate(slot)); late > 0 {
		return at.Add(slot - late)
	}
	return at
}

// judge counts a try, and reports the first result and each change. The mutex is held.
func (m *Monitor) judge(t *task, why string) {
	ok := why == ""
	if ok != (t.streak > 0) {
		t.streak = 0
	}
	if ok {
		t.streak++
	} else {
		t.streak--
	}
	enough := t.streak >= t.check.Successes || -t.streak >= t.check.Failures || t.check.Kind == process.CheckNotify
	if !enough || t.known && t.good == ok {
		return
	}
	t.known, t.good = true, ok
	if m.life.Err() == nil {
		m.reports++
		m.o.Report(Result{ID: t.w.ID, Incarnation: t.w.Incarnation, Alive: t.alive, OK: ok, Text: why})
	}
}

// schedule is a heap of tasks, that which is due first at its top.
type schedule []*task

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	t := x.(*task)
	t.place = len(*s)
	*s = append(*s, t)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	old := *s
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	t.place = -1
	return t
}
