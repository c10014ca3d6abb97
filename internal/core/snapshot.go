package core

import (
	"maps"
	"slices"
	"time"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// Snapshot is a Supervisor between two steps, written down: all that it knows and nothing that can be worked out from the rest. What refers
// to each other inside the machine does so here by its place in a list. It can be written by encoding/gob, shares no memory with the machine
// but specs and plans, which never change, and is good for any number of machines.
type Snapshot struct {
	Now        Now
	Identifier string
	Revision   uint64
	LastID     process.ID
	LastToken  Token
	Armed      uint64 // how many deadlines were ever armed
	Serial     uint64
	Marks      map[process.Namespec]Mark
	Clock      SavedClock
	Quit       *SavedQuit
	Halted     bool

	Active   []Ref // groups, in the order of insertion
	Underway []Ref // operations that have a number
	Rolling  []Ref // lines of updates under way
	Sent     []SavedSending

	// What is referred to, also where it is no part of the machine any more.
	Specs      []*process.Spec
	Listeners  []*process.ListenerSpec
	Groups     []SavedGroup
	Processes  []SavedProcess
	Events     []SavedEvent
	Requests   []SavedRequest
	Steps      []SavedStep
	Lines      []SavedLine
	Operations []SavedOperation
}

// Ref is a place in one of the lists of a Snapshot, counted from one. Zero refers to nothing.
type Ref int

// The parts of a Snapshot. Each says what the structure of its name inside the machine says; what is missing is worked out by Restore.
type (
	// SavedDeadline is a moment; Place is that in the heap, zero when it is not armed.
	SavedDeadline struct {
		At    time.Duration
		Seq   uint64
		Place int
	}

	// SavedClock is what tick events need.
	SavedClock struct {
		Running     bool
		Slices      []int64
		From, Until int64
		Due         SavedDeadline
	}

	// SavedQuit is the progress of stopping everything. Queue refers to groups.
	SavedQuit struct {
		Restart, Sent bool
		Code          int
		Queue         []Ref
		Report        SavedDeadline
	}

	// SavedGroup is a group. Spec has neither members nor a listener, to which Listener refers; Members refer to processes.
	SavedGroup struct {
		Spec      process.GroupSpec
		Listener  Ref
		Rank      uint64
		Members   []Ref
		Pool      *SavedPool
		Departed  map[string]bool
		Breaker   SavedBreaker
		Ending    bool
		EndOp     Ref
		Successor *process.GroupSpec
	}

	// SavedBreaker is the breaker of a group. Probe refers to a process.
	SavedBreaker struct {
		Ends           []time.Duration
		Open           bool
		Opened, Closed time.Duration
		Probe          Ref
		Failed         int
		Due            SavedDeadline
	}

	// SavedPool is the pool of a listener group. Spec refers to a listener spec, Buffer to events.
	SavedPool struct {
		Spec   Ref
		Buffer []Ref
		Serial uint64
		Served bool
	}

	// SavedEvent is an event on its way to listeners.
	SavedEvent struct {
		Type               event.Type
		Serial, PoolSerial uint64
		Payload            string
		About              process.ID
		Exempt             bool
	}

	// SavedProcess is a process.
	SavedProcess struct {
		ID                     process.ID
		Incarnation            process.Incarnation
		Group                  Ref
		Name                   string
		Spec                   Ref
		State                  process.State
		PID                    int
		Spawning               Token
		Fate                   int
		Tries, Restarts, Short int
		Starts                 []time.Duration
		Held, Lazy             bool
		Gated, Anew, Forlorn   bool
		Lastly, Extra, Fallen  bool
		Again, Abandoned       bool
		Reason                 Reason
		Draining, Hook         Token
		Fresh                  bool
		StopStep               int
		Killed                 bool
		Started                time.Duration
		StartSecs              int
		Began, Ended           time.Time
		Exit                   process.ExitStatus
		HasExit                bool
		Last                   process.ExitStatus
		HasLast                bool
		SpawnErr               string
		Fit, Watched           bool
		Sick, Hung             bool
		Unfit, Unmet           string
		Listener               *event.SavedListener
		Holds                  Ref
		Deaf                   bool
		Due, Report            SavedDeadline
		Waiters                []SavedWaiter
		Step                   Ref
		Unsent                 []SavedWish
	}

	// SavedWaiter is an interest in what becomes of a process.
	SavedWaiter struct {
		Request Ref
		What    int
		Text    string
		Stopped bool
		Step    Ref
	}

	// SavedWish is a signal that waits for its process to exist.
	SavedWish struct {
		Request Ref
		Signal  process.Signal
		Text    string
	}

	// SavedRequest is a command on its way to its answer.
	SavedRequest struct {
		Reply  Reply
		Single bool
		Left   int
		Op     Ref
	}

	// SavedOperation is an update or an Act on its way.
	SavedOperation struct {
		ID        uint64
		Request   Ref
		Cancelled bool
		Paused    bool
		Acting    *SavedActing
	}

	// SavedActing is the line of an Act. Waiting refers to steps.
	SavedActing struct {
		Waiting           []Ref
		Most, Busy, Stops int
		Now, Again        bool
		Refused           map[process.ID]*Fault
	}

	// SavedStep is what an operation does to a process. Then and Under refer to other steps.
	SavedStep struct {
		Op              Ref
		Change          plan.Change
		Group           string
		Process         Ref
		Line            Ref
		Then, Under     Ref
		Ended           bool
		Starts, Running bool
		OldPID          int
		Old             Ref
		Undo            bool
		Trial           int
		Due             SavedDeadline
	}

	// SavedLine is the replacements of a group. Waiting, Busy, Done, Extras and Failed refer to steps, After to other lines, Spares to specs.
	SavedLine struct {
		Op                  Ref
		Group               string
		Roll                process.Roll
		Waiting, Busy, Done []Ref
		After               []Ref
		Cause               string
		Undoing             bool
		Due                 SavedDeadline
		Surges              bool
		Spares              []Ref
		Extras, Failed      []Ref
	}

	// SavedSending is something asked of the world whose outcome is not known. One of Spawn, Signal, Write and Hook is set. Spec belongs to
	// Spawn and Hook, Due and Late to Hook.
	SavedSending struct {
		Token       Token
		Kind        int
		Spawn       *Spawn
		Spec        Ref
		Signal      *Signal
		Write       *WriteStdin
		Hook        *RunHook
		Due         SavedDeadline
		Late        bool
		Process     Ref
		Incarnation process.Incarnation
		Request     Ref
		Event       Ref
		Text        string
	}
)

// Snapshot writes the machine down. Payloads of events that wait are composed on the way.
func (s *Supervisor) Snapshot() Snapshot {
	w := writer{}
	out := Snapshot{
		Now: s.now, Identifier: s.opts.Identifier, Revision: s.revision, LastID: s.lastID, LastToken: s.lastToken, Armed: s.due.seq,
		Serial: s.serial, Marks: maps.Clone(s.marks), Clock: saveClock(&s.clock), Halted: s.halted,
		Active: refs(&w.groups, s.groups),
	}
	if q := s.quit; q != nil {
		out.Quit = &SavedQuit{Restart: q.restart, Sent: q.sent, Code: q.code, Queue: refs(&w.groups, q.queue), Report: saveDeadline(&q.report)}
	}
	for _, id := range slices.Sorted(maps.Keys(s.ops)) {
		out.Underway = append(out.Underway, w.ops.ref(s.ops[id]))
	}
	out.Rolling = refs(&w.lines, s.lines)
	for _, id := range slices.Sorted(maps.Keys(s.requests)) {
		w.requests.ref(s.requests[id])
	}
	for _, t := range slices.Sorted(maps.Keys(s.sent)) {
		out.Sent = append(out.Sent, w.sending(t, s.sent[t]))
	}
	for more := true; more; { // what is written may refer to more
		more = write(&w.groups, &out.Groups, w.group)
		more = write(&w.procs, &out.Processes, w.proc) || more
		more = write(&w.events, &out.Events, saveEvent) || more
		more = write(&w.requests, &out.Requests, w.request) || more
		more = write(&w.steps, &out.Steps, w.step) || more
		more = write(&w.lines, &out.Lines, w.line) || more
		more = write(&w.ops, &out.Operations, w.op) || more
	}
	out.Specs, out.Listeners = w.specs.list, w.listeners.list
	return out
}

// writer knows what a Snapshot under way refers to.
type writer struct {
	specs     table[process.Spec]
	listeners table[process.ListenerSpec]
	groups    table[group]
	procs     table[proc]
	events    table[queued]
	requests  table[request]
	steps     table[step]
	lines     table[line]
	ops       table[operation]
}

// table is what is referred to, in the order in which it was met.
type table[T any] struct {
	list []*T
	refs map[*T]Ref
}

// ref returns the place of p, which gets one if it has none. Nil has none.
func (t *table[T]) ref(p *T) Ref {
	if p == nil {
		return 0
	}
	if t.refs == nil {
		t.refs = map[*T]Ref{}
	}
	if t.refs[p] == 0 {
		t.list = append(t.list, p)
		t.refs[p] = Ref(len(t.list))
	}
	return t.refs[p]
}

// refs returns the places of all in a list.
func refs[T any](t *table[T], list []*T) []Ref {
	var out []Ref
	for _, p := range list {
		out = append(out, t.ref(p))
	}
	return out
}

// write saves what a table has got since the last time, and reports whether there was anything.
func write[T, Saved any](t *table[T], out *[]Saved, save func(*T) Saved) bool {
	from := len(*out)
	for i := from; i < len(t.list); i++ {
		*out = append(*out, save(t.list[i]))
	}
	return len(*out) > from
}

func saveDeadline(d *deadline) SavedDeadline {
	return SavedDeadline{At: d.at, Seq: d.seq, Place: d.index}
}

func saveClock(c *clock) SavedClock {
	return SavedClock{Running: c.running, Slices: slices.Clone(c.slices), From: c.from, Until: c.until, Due: saveDeadline(&c.due)}
}

func saveEvent(q *queued) SavedEvent {
	q.compose()
	return SavedEvent{Type: q.typ, Serial: q.serial, PoolSerial: q.poolSerial, Payload: q.payload, About: q.about, Exempt: q.exempt}
}

func (w *writer) group(g *group) SavedGroup {
	out := SavedGroup{
		Spec: g.spec, Listener: w.listeners.ref(g.spec.Listener), Rank: g.rank, Members: refs(&w.procs, g.members),
		Departed: maps.Clone(g.departed), Ending: g.ending, EndOp: w.ops.ref(g.endOp), Successor: g.successor,
	}
	out.Spec.Listener = nil
	b := &g.breaker
	out.Breaker = SavedBreaker{
		Ends: slices.Clone(b.ends), Open: b.open, Opened: b.opened, Closed: b.closed, Probe: w.procs.ref(b.probe), Failed: b.failed, Due: saveDeadline(&b.due),
	}
	if p := g.pool; p != nil {
		out.Pool = &SavedPool{Spec: w.listeners.ref(p.spec), Buffer: refs(&w.events, p.buffer), Serial: p.serial, Served: p.served}
	}
	return out
}

func (w *writer) proc(p *proc) SavedProcess {
	out := SavedProcess{
		ID: p.id, Incarnation: p.incarnation, Group: w.groups.ref(p.group), Name: p.name, Spec: w.specs.ref(p.spec),
		State: p.state, PID: p.pid, Spawning: p.spawning, Fate: int(p.fate), Tries: p.tries, Restarts: p.restarts, Short: p.short, Starts: slices.Clone(p.starts),
		Gated: p.gated, Anew: p.anew, Forlorn: p.forlorn, Lastly: p.lastly, Extra: p.extra, Fallen: p.fallen, Last: p.last, HasLast: p.hasLast,
		Held: p.held, Lazy: p.lazy, Again: p.again, Abandoned: p.abandoned, Reason: p.reason, Draining: p.draining, Hook: p.hook, Fresh: p.fresh, StopStep: p.stopStep, Killed: p.killed,
		Started: p.started, StartSecs: p.startSecs, Began: p.began, Ended: p.ended, Exit: p.exit, HasExit: p.hasExit, SpawnErr: p.spawnErr,
		Fit: p.fit, Unfit: p.unfit, Unmet: p.unmet, Watched: p.watched, Sick: p.sick, Hung: p.hung,
		Holds: w.events.ref(p.holds), Deaf: p.deaf, Due: saveDeadline(&p.due), Report: saveDeadline(&p.report), Step: w.steps.ref(p.step),
	}
	if p.listener != nil {
		l := p.listener.Save()
		out.Listener = &l
	}
	for _, o := range p.waiters {
		out.Waiters = append(out.Waiters, SavedWaiter{
			Request: w.requests.ref(o.request), What: int(o.what), Text: o.text, Stopped: o.stopped, Step: w.steps.ref(o.step),
		})
	}
	for _, o := range p.unsent {
		out.Unsent = append(out.Unsent, SavedWish{Request: w.requests.ref(o.request), Signal: o.signal, Text: o.text})
	}
	return out
}

func (w *writer) request(r *request) SavedRequest {
	return SavedRequest{Reply: r.reply.clone(), Single: r.single, Left: r.left, Op: w.ops.ref(r.op)}
}

func (w *writer) op(o *operation) SavedOperation {
	out := SavedOperation{ID: o.id, Request: w.requests.ref(o.request), Cancelled: o.cancelled, Paused: o.paused}
	if a := o.acting; a != nil {
		out.Acting = &SavedActing{Waiting: refs(&w.steps, a.waiting), Most: a.most, Busy: a.busy, Stops: a.stops, Now: a.now, Again: a.again, Refused: maps.Clone(a.refused)}
	}
	return out
}

func (w *writer) step(st *step) SavedStep {
	return SavedStep{
		Op: w.ops.ref(st.op), Change: st.change, Group: st.group, Process: w.procs.ref(st.proc), Line: w.lines.ref(st.line),
		Then: w.steps.ref(st.then), Under: w.steps.ref(st.under), Ended: st.ended, Starts: st.starts, Running: st.running, OldPID: st.oldPID,
		Old: w.specs.ref(st.old), Undo: st.undo, Trial: int(st.trial), Due: saveDeadline(&st.due),
	}
}

func (w *writer) line(l *line) SavedLine {
	return SavedLine{
		Op: w.ops.ref(l.op), Group: l.group, Roll: l.roll, Waiting: refs(&w.steps, l.waiting), Busy: refs(&w.steps, l.busy), Done: refs(&w.steps, l.done),
		After: refs(&w.lines, l.after), Cause: l.cause, Undoing: l.undoing, Due: saveDeadline(&l.due),
		Surges: l.surges, Spares: refs(&w.specs, l.spares), Extras: refs(&w.steps, l.extras), Failed: refs(&w.steps, l.failed),
	}
}

func (w *writer) sending(t Token, o sending) SavedSending {
	out := SavedSending{
		Token: t, Kind: int(o.kind), Process: w.procs.ref(o.proc), Incarnation: o.incarnation,
		Request: w.requests.ref(o.request), Event: w.events.ref(o.event), Text: o.text,
	}
	switch e := o.effect.(type) {
	case Spawn:
		out.Spec = w.specs.ref(e.Spec)
		e.Spec = nil
		out.Spawn = &e
	case Signal:
		out.Signal = &e
	case RunHook:
		out.Spec = w.specs.ref(e.Spec)
		e.Spec = nil
		out.Hook, out.Due, out.Late = &e, saveDeadline(&o.hook.due), o.hook.late
	case WriteStdin:
		out.Write = &e
	}
	return out
}

// clone returns an answer that shares nothing with r which is still to be changed.
func (r Reply) clone() Reply {
	r.Outcomes, r.Updated = slices.Clone(r.Outcomes), slices.Clone(r.Updated)
	if a := r.Applied; a != nil {
		r.Applied = &Applied{
			Added: slices.Clone(a.Added), Stopped: slices.Clone(a.Stopped), Removed: slices.Clone(a.Removed), Failed: slices.Clone(a.Failed),
		}
	}
	return r
}
