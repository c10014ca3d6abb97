package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/health"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// One turn of the loop takes at most this many news from the host and this many wishes of callers, so that neither starves the other.
const (
	eventsPerTurn = 256
	wishesPerTurn = 64
)

// wish is something a caller wants done in the loop: a command, or a function that may read and step the core.
type wish struct {
	command core.Verb
	reply   chan<- core.Reply // takes exactly one value; nil: nobody waits
	cancel  core.Req          // not zero: forget the waiter of this request
	got     func(core.Req)    // told the number of the command, before it is stepped
	held    chan<- hindrance  // takes, instead of an answer, the operation that the command has to wait for; nil: it waits for none
	bid     *bid              // with held: what its wait is known by
	do      func(now core.Now)
	done    chan<- struct{} // closed at the end of the turn: what do changed can be seen from outside
}

// inbox collects news and wishes. It never blocks a giver, except one of output when very much of that waits.
type inbox struct {
	mu      sync.Mutex
	answers []heard // of listeners: they pass the rest, since a flood of output must not hold up the events that are made of it
	events  []news
	wishes  []wish
	wake    chan struct{}
	idle    int // how many of the events nobody needs to be woken for at once
	soon    *time.Timer
	taking  bool // somebody is at a turn, and looks again before it leaves: nobody else needs to be woken

	output int // bytes of output that wait
	room   *sync.Cond
	closed bool
}

// outputMost is how many bytes of output may wait for the loop, and outputPerTurn how many it takes before it looks at anything else. A process
// whose output is told as events writes no faster than that.
const (
	outputMost    = 1 << 20
	outputPerTurn = 256 << 10
)

// news is something that happened, with the moment of its arrival: deadlines that passed before it fire before it, those after it do not,
// however long it waits here. It is an event of the host, or output of a process, which the core takes as it stands.
type news struct {
	host.Event
	output heard
	size   int // bytes, with output
	at     core.Now
}

// heard is what a process wrote, for the core. A channel of it with a stage is told when it has been written down: what it comes from is
// forgotten then.
type heard struct {
	core.Input
	key, position uint64 // in the stage; 0 = in none
	receipt       chan<- struct{}
}

func newInbox() *inbox {
	b := &inbox{wake: make(chan struct{}, 1)}
	b.room = sync.NewCond(&b.mu)
	b.soon = time.AfterFunc(time.Hour, b.wakeForIdle)
	b.soon.Stop()
	return b
}

// idleMost is how long an event may wait for a turn that comes by itself. What was written to a process and is not known to have been is written once
// more by the daemon that comes after a kill.
const idleMost = 2 * time.Millisecond

// wakeForIdle sees to it that events are taken for which no turn has come by itself.
func (b *inbox) wakeForIdle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.idle > 0 && !b.closed {
		b.signal()
	}
}

// takeIdle removes the events nobody needs to be woken for.
func (b *inbox) takeIdle() (list []news) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = slices.DeleteFunc(b.events, func(n news) bool {
		is := idle(n.Event)
		if is {
			list = append(list, n)
		}
		return is
	})
	b.idle = 0
	return list
}

func (b *inbox) putEvent(e host.Event, at core.Now) {
	b.mu.Lock()
	b.events = append(b.events, news{Event: e, at: at})
	if idle(e) {
		if b.idle++; b.idle == 1 && !b.closed {
			b.soon.Reset(idleMost)
		}
		b.mu.Unlock()
		return
	}
	b.wakeAndUnlock()
}

// idle reports whether an event can wait for the next turn, for a moment.
func idle(e host.Event) bool {
	w, ok := e.(host.StdinWritten)
	return ok && w.Idle && w.Err == nil
}

// putOutput queues output behind the news of its process. It waits while too much of it is there. It wakes nobody: the giver sees to a turn.
func (b *inbox) putOutput(in heard, size int, at core.Now) {
	b.mu.Lock()
	for b.output > outputMost && !b.closed {
		b.room.Wait()
	}
	b.output += size
	b.events = append(b.events, news{output: in, size: size, at: at})
	b.mu.Unlock()
}

// putAnswer queues what a listener said, for the beginning of the next turn. It wakes nobody: the giver sees to that turn.
func (b *inbox) putAnswer(in heard) {
	b.mu.Lock()
	b.answers = append(b.answers, in)
	b.mu.Unlock()
}

// close lets nobody wait any more.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.soon.Stop()
	b.room.Broadcast()
	b.mu.Unlock()
}

func (b *inbox) putWish(w wish) {
	b.mu.Lock()
	b.wishes = append(b.wishes, w)
	b.wakeAndUnlock()
}

// wakeAndUnlock sees to it that what was put in is taken.
func (b *inbox) wakeAndUnlock() {
	taking := b.taking
	b.mu.Unlock()
	if !taking {
		b.signal()
	}
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take removes up to one turn's share, in the order of arrival; the wishes only when they are asked for. leave ends the turn.
func (b *inbox) take(wishesToo bool) (answers []heard, events []news, wishes []wish) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taking = true
	answers, b.answers = b.answers, nil
	n, size := 0, 0
	for n < len(b.events) && n < eventsPerTurn && size < outputPerTurn {
		size += b.events[n].size
		if idle(b.events[n].Event) {
			b.idle--
		}
		n++
	}
	b.output -= size
	events, b.events = split(b.events, n)
	if wishesToo {
		wishes, b.wishes = split(b.wishes, wishesPerTurn)
	}
	if size > 0 && b.output <= outputMost {
		b.room.Broadcast()
	}
	return answers, events, wishes
}

// leave ends a turn, and reports whether something is left or has come since take.
func (b *inbox) leave() (more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taking = false
	return len(b.answers)+len(b.events)-b.idle+len(b.wishes) > 0
}

func split[T any](items []T, n int) (head, rest []T) {
	if len(items) <= n {
		return items, nil
	}
	return items[:n:n], items[n:]
}

// loop is the state that one goroutine touches at a time: the one that holds Daemon.turning.
type loop struct {
	core    *core.Supervisor
	replies map[core.Req]chan<- core.Reply
	lastReq core.Req
	asked   map[core.Req]string // what was asked for and has no answer yet: see askedFor
	orphans map[core.Req]orphan // of these: what a daemon before was asked for; nil: it is too late
	// adoptUntil is the moment until which somebody may come for them.
	adoptUntil time.Duration
	logs       map[process.ID]*processLogs
	opened     []process.ID // logs that were opened in this turn
	times      map[process.ID]*timeline
	source     map[string]*config.Config // what the settings of a group come from; nil = from the last-read files
	desired    desired
	lives      map[process.ID]SavedLife // the last one of each process
	places     map[process.ID]host.Placed
	waiting    map[uint64]savedWaiting // operations that have not begun, as the ledger has them
	begun      map[uint64]savedBegun   // those that have; some may be over
	heard      map[uint64]uint64       // up to where the output of each channel is known, by its key in the stage
	ledger     ledger
	sockets    listening
	health     *health.Monitor // nil: no process has had checks so far
	trials     map[process.ID]*trial
	astray     astray        // whether what runs may be something else than the files say
	alarm      time.Duration // what Run's timer is set to, since the origin; 0 = to nothing
	halted     bool
	left       bool // Run has ended before that: what comes is for the next daemon
	restart    bool
	code       int
}

// Run supervises until a Shutdown or Restart is complete, and reports whether a restart is wanted. ctx ends it at once, leaving the children
// alone: it is for tests.
func (d *Daemon) Run(ctx context.Context) (restart bool) {
	defer d.die()
	defer d.inbox.close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	d.turning.Lock()
	defer d.turning.Unlock()
	for !d.loop.halted {
		due := timer.C
		if at, ok := d.loop.core.NextDeadline(); ok {
			d.loop.alarm = at
			timer.Reset(at - d.now().Mono)
		} else {
			d.loop.alarm = 0
			due = nil
		}
		d.turning.Unlock()
		ended := false
		select {
		case <-d.inbox.wake:
		case <-due:
		case <-ctx.Done():
			ended = true
		}
		d.turning.Lock()
		if ended {
			d.loop.left = true
			d.lastWritten()
			return false
		}
		if !d.loop.halted && d.turn(true) {
			d.inbox.signal()
		}
	}
	return d.loop.restart
}

// lastWritten notes what has been written to processes by the end of this daemon, so that the next one does not write it once more. Whatever else follows
// from that is the next one's.
func (d *Daemon) lastWritten() {
	const patience, look = 50, time.Millisecond
	waits := map[core.Token]bool{}
	for _, e := range d.loop.core.Pending() {
		if w, ok := e.(core.WriteStdin); ok && w.Idle {
			waits[w.Token] = true
		}
	}
	for range patience {
		for _, n := range d.inbox.takeIdle() {
			in, _ := d.inputOf(n).(core.StdinWritten)
			delete(waits, in.Token)
			d.step(n.at, in)
		}
		if len(waits) == 0 {
			break
		}
		time.Sleep(look)
	}
	d.commit()
	d.effects = cleared(d.effects)
}

// ExitCode returns the exit code that an essential process has left, once Run is over; 0 = none has.
func (d *Daemon) ExitCode() int { return d.loop.code }

// turnNow makes the caller, who brings the answer of a listener or output to be told, do the turn that takes it: to wake Run for it would cost
// more than the turn. Wishes are left to Run: they may wait for what the caller holds. So is everything when Run is at a turn.
func (d *Daemon) turnNow() {
	if !d.turning.TryLock() {
		d.inbox.signal()
		return
	}
	defer d.turning.Unlock()
	if d.loop.halted || d.loop.left {
		return
	}
	const most = 2 // the second takes what the host told about the first
	more := true
	for i := 0; i < most && more && !d.loop.halted; i++ {
		more = d.turn(false)
	}
	at, ok := d.loop.core.NextDeadline()
	if more || d.loop.halted || ok && (d.loop.alarm == 0 || at < d.loop.alarm) {
		d.inbox.signal()
	}
}

// turn handles one share of the inbox: step the core for each input, publish the new revision, then act. It reports whether something waits.
func (d *Daemon) turn(wishesToo bool) (more bool) {
	answers, events, wishes := d.inbox.take(wishesToo)
	for _, in := range answers {
		d.step(core.Now{}, in.Input) // at no moment of its own: what still waits may be older
		d.noteHeard(in)
	}
	for _, e := range events {
		d.noteHeard(e.output)
		if in := d.inputOf(e); in != nil {
			d.step(e.at, in)
		}
		d.noteLife(e.Event)
		d.noteSocket(e.Event)
	}
	now := d.now()
	d.step(now, core.Tick{})
	for _, w := range wishes {
		switch {
		case w.do != nil:
			w.do(now)
		case w.cancel != 0:
			delete(d.loop.replies, w.cancel)
			delete(d.loop.asked, w.cancel)
			d.step(now, core.Cancel{Req: w.cancel})
		default:
			d.command(now, w)
		}
	}
	d.commit()
	d.revision.Store(d.loop.core.Revision())
	d.wanted.Store(uint32(d.loop.core.Wanted()))
	d.openSockets()
	for i := 0; i < len(d.effects); i++ {
		d.act(d.effects[i])
	}
	d.effects = cleared(d.effects)
	d.createLogs()
	for _, w := range wishes {
		if w.done != nil {
			close(w.done)
		}
	}
	return d.inbox.leave()
}

// command steps one command and files who waits for its answer.
func (d *Daemon) command(now core.Now, w wish) {
	if w.held != nil {
		switch by, yes := d.loop.core.Blocked(w.command); {
		case yes && by.Paused:
			w.reply <- core.Reply{Fault: d.standsPaused(by.Op)}
			return
		case yes:
			w.held <- d.hindrance(by.Op)
			return
		case !w.bid.comes(d):
			w.reply <- core.Reply{Fault: &core.Fault{Kind: core.Failed, Text: "cancelled before its turn"}}
			return
		}
	}
	req := core.Req(0)
	if w.reply != nil {
		if d.takeOrphan(now, w) {
			return
		}
		d.loop.lastReq++
		req = d.loop.lastReq
		d.loop.replies[req] = w.reply
		if what := askedFor(w.command); what != "" {
			d.loop.asked[req] = what
		}
		if w.got != nil {
			w.got(req)
		}
	}
	d.step(now, core.Command{Req: req, Do: w.command})
}

// step runs the core and keeps the effects for the end of the turn. Effects that later steps of the same turn depend on, the logs of a new
// process, take hold here.
func (d *Daemon) step(now core.Now, in core.Input) {
	_, tick := in.(core.Tick)
	idle := tick && !d.loop.core.Due(now)
	for _, e := range d.loop.core.Step(now, in) {
		if open, ok := e.(core.OpenLogs); ok {
			logs := d.newLogs(open)
			d.loop.logs[open.ID] = logs
			d.noteLogs(logs)
		}
		d.effects = append(d.effects, e)
	}
	if !idle {
		d.inscribe(in)
	}
}

// noteLogs writes down which files are the AUTO logs of a process.
func (d *Daemon) noteLogs(logs *processLogs) {
	if logs.auto.stdout != "" || logs.auto.stderr != "" {
		d.frame(frameLogs, savedLogs{logs.id, logs.auto.stdout, logs.auto.stderr})
	}
}

// noteLife writes down what it takes to find a process again, and that its end is known.
func (d *Daemon) noteLife(e host.Event) {
	switch e := e.(type) {
	case host.Placed:
		d.notePlace(e)
	case host.Spawned:
		if e.ID&hookBit != 0 {
			return
		}
		saved := SavedLife{e.ID, e.Incarnation, e.PID, e.Traits}
		d.loop.lives[e.ID] = saved
		d.frame(frameLife, saved)
	case host.Exited:
		d.loop.ledger.settles = append(d.loop.ledger.settles, life{e.ID, e.Incarnation})
	}
}

// inputOf translates news of the host. News that concerns no process of the core is logged and dropped.
func (d *Daemon) inputOf(n news) core.Input {
	if n.output.Input != nil {
		return n.output.Input
	}
	if in, ok := hookNews(n.Event); ok {
		return in
	}
	switch e := n.Event.(type) {
	case host.Spawned:
		return core.Spawned{ID: e.ID, Incarnation: e.Incarnation, PID: e.PID}
	case host.SpawnFailed:
		if logs := d.loop.logs[e.ID]; logs != nil { // it may have failed before it came to its logs
			d.files.put(func() { d.createAutoLogs(logs) })
		}
		return core.SpawnFailed{ID: e.ID, Incarnation: e.Incarnation, Text: e.Text}
	case host.Exited:
		d.logf(LevelDebug, "received SIGCHLD indicating a child quit")
		return core.Exited{ID: e.ID, Incarnation: e.Incarnation, Status: e.Status, At: e.At.Sub(d.origin)}
	case host.Signalled:
		text := ""
		if e.Err != nil {
			text = e.Err.Error()
		}
		return core.Signalled{ID: e.ID, Incarnation: e.Incarnation, Token: core.Token(e.Token), Error: text}
	case host.StdinWritten:
		return core.StdinWritten{Token: core.Token(e.Token), Fault: stdinFault(e.Err)}
	case host.OrphanReaped:
		d.logf(LevelDebug, "received SIGCHLD indicating a child quit")
		d.logf(LevelInfo, "reaped unknown pid %d (%s)", e.PID, e.Status)
	case host.Trouble:
		d.logf(LevelError, "%s", e.Text)
	}
	return nil
}

// act hands one effect to its outlet. Nothing here blocks.
func (d *Daemon) act(e core.Effect) {
	switch e := e.(type) {
	case core.Spawn:
		logs := d.loop.logs[e.ID]
		logs.spawned = true
		d.spawning(e.ID)
		d.lookForLine(e.ID, e.Group, e.Spec)
		req := d.spawnRequest(e, logs)
		d.files.put(func() { d.host.Spawn(req) })
	case core.Signal:
		d.host.Signal(host.SignalRequest{
			ID: e.ID, Incarnation: e.Incarnation, Signal: e.Signal, ToGroup: e.ToGroup, ToTree: e.ToTree, Token: host.Token(e.Token),
		})
	case core.WriteStdin:
		d.host.WriteStdin(host.StdinRequest{ID: e.ID, Incarnation: e.Incarnation, Data: e.Data, Token: host.Token(e.Token), Idle: e.Idle})
	case core.Watch:
		d.watch(e)
	case core.Unwatch:
		d.unwatch(e)
	case core.RunHook:
		d.runHook(e)
	case core.EndHook:
		d.endHook(e)
	case core.OpenLogs:
		d.loop.opened = append(d.loop.opened, e.ID)
	case core.ChangeLogs:
		d.changeLogs(e)
	case core.CloseLogs:
		logs := d.loop.logs[e.ID]
		delete(d.loop.logs, e.ID)
		delete(d.loop.times, e.ID)
		delete(d.loop.trials, e.ID)
		delete(d.loop.lives, e.ID)
		delete(d.loop.places, e.ID)
		delete(d.loop.heard, stageKey(e.ID, false))
		delete(d.loop.heard, stageKey(e.ID, true))
		d.files.put(func() { logs.stdout.Dispose(); logs.stderr.Dispose() })
	case core.Reply:
		delete(d.loop.asked, e.Req)
		if to, ok := d.loop.replies[e.Req]; ok {
			delete(d.loop.replies, e.Req)
			to <- e
		} else if o, ok := d.loop.orphans[e.Req]; ok {
			o.reply = &e
			d.loop.orphans[e.Req] = o
		}
	case resumed:
		d.files.put(d.host.Resumed)
	case note:
		d.logf(e.level, "%s", e.text)
	case core.Publish:
		d.report(e.Event)
	case core.Halt:
		d.loop.halted, d.loop.restart, d.loop.code = true, e.Restart, e.Code
	}
}

// spawnRequest describes the start of a life, which writes to logs from now on.
func (d *Daemon) spawnRequest(e core.Spawn, logs *processLogs) host.SpawnRequest {
	logs.incarnation.Store(uint64(e.Incarnation))
	d.stageLogs(logs)
	req := host.SpawnRequest{
		ID: e.ID, Incarnation: e.Incarnation, Group: e.Group, Spec: e.Spec,
		Environ: d.environ(e.Group, e.Spec), Stdout: logs.stdout.Stream,
		Pace: logs.pace,
	}
	if !e.Spec.RedirectStderr {
		req.Stderr = logs.stderr.Stream
	}
	return req
}

// cleared returns s empty for another turn, and does not keep the room that a large turn took.
func cleared(s []core.Effect) []core.Effect {
	const most = 256
	if cap(s) > most {
		return nil
	}
	clear(s)
	return s[:0]
}

// createLogs sees to the AUTO logs of processes that were added and not started in the same turn: the others' are made on the way.
func (d *Daemon) createLogs() {
	for _, id := range d.loop.opened {
		if logs := d.loop.logs[id]; logs != nil && !logs.spawned {
			d.files.put(func() { d.createAutoLogs(logs) })
		}
	}
	d.loop.opened = nil
}

// do runs f in the loop and waits for it. It reports false when the daemon has stopped or ctx ended first.
func (d *Daemon) do(ctx context.Context, f func(now core.Now)) bool {
	done := make(chan struct{})
	d.inbox.putWish(wish{do: f, done: done})
	select {
	case <-done:
		return true
	case <-d.life.Done():
	case <-ctx.Done():
	}
	// It may have been done all the same, in the turn that halted.
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// Turn waits for a turn of the loop. It reports false when there is none before ctx ends.
func (d *Daemon) Turn(ctx context.Context) bool { return d.do(ctx, func(core.Now) {}) }

// queue runs functions one after another on a goroutine of its own: the outlet for work that touches the disk.
type queue struct {
	mu     sync.Mutex
	jobs   []func()
	wake   chan struct{}
	closed chan struct{}
	done   chan struct{}
}

func newQueue() *queue {
	q := &queue{wake: make(chan struct{}, 1), closed: make(chan struct{}), done: make(chan struct{})}
	go q.run()
	return q
}

func (q *queue) put(job func()) {
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) run() {
	defer close(q.done)
	for {
		q.mu.Lock()
		jobs := q.jobs
		q.jobs = nil
		q.mu.Unlock()
		for _, job := range jobs {
			job()
		}
		if len(jobs) > 0 {
			continue
		}
		select {
		case <-q.wake:
		case <-q.closed:
			return
		}
	}
}

// close ends the goroutine after the job it is in.
func (q *queue) close() {
	close(q.closed)
	<-q.done
}
