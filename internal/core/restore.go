package core

import (
	"maps"
	"slices"
)

// Restore makes the machine that a Snapshot was taken of. It goes on with the options given, but for those that a machine changes by itself:
// Identifier, EventSerial and Marks are those of the snapshot. The caller then gives it, one after the other, the inputs that came after the
// snapshot, drops the effects, and carries out Logs and Pending.
func Restore(opts Options, from Snapshot) *Supervisor {
	s := New(opts)
	s.opts.Identifier = from.Identifier
	s.now, s.revision, s.lastID, s.lastToken, s.halted = from.Now, from.Revision, from.LastID, from.LastToken, from.Halted
	s.serial = from.Serial
	clear(s.marks)
	maps.Copy(s.marks, from.Marks)
	r := newReader(s, &from)
	for i := range from.Groups {
		r.group(i)
	}
	for i := range from.Processes {
		r.proc(i)
	}
	for i, o := range from.Events {
		*r.events[i] = queued{typ: o.Type, serial: o.Serial, poolSerial: o.PoolSerial, payload: o.Payload, about: o.About, exempt: o.Exempt}
	}
	for i := range from.Requests {
		r.request(i)
	}
	for i, o := range from.Steps {
		st := r.steps[i]
		*st = step{
			op: at(r.ops, o.Op), change: o.Change, group: o.Group, proc: at(r.procs, o.Process), line: at(r.lines, o.Line),
			then: at(r.steps, o.Then), under: at(r.steps, o.Under), ended: o.Ended, starts: o.Starts, running: o.Running, oldPID: o.OldPID,
			old: at(from.Specs, o.Old), undo: o.Undo, trial: waitFor(o.Trial),
		}
		r.deadline(&st.due, o.Due, actStep, nil)
		st.due.step = st
	}
	for i, o := range from.Lines {
		l := r.lines[i]
		*l = line{
			op: at(r.ops, o.Op), group: o.Group, roll: o.Roll, waiting: all(r.steps, o.Waiting), busy: all(r.steps, o.Busy), done: all(r.steps, o.Done),
			after: all(r.lines, o.After), cause: o.Cause, undoing: o.Undoing,
			surges: o.Surges, spares: all(from.Specs, o.Spares), extras: all(r.steps, o.Extras), failed: all(r.steps, o.Failed),
		}
		r.deadline(&l.due, o.Due, actLine, nil)
		l.due.line = l
	}
	for i, o := range from.Operations {
		*r.ops[i] = operation{id: o.ID, request: at(r.requests, o.Request), cancelled: o.Cancelled, paused: o.Paused}
		if a := o.Acting; a != nil {
			r.ops[i].acting = &acting{waiting: all(r.steps, a.Waiting), most: a.Most, busy: a.Busy, stops: a.Stops, now: a.Now, again: a.Again, refused: maps.Clone(a.Refused)}
		}
	}
	for _, o := range from.Sent {
		r.sending(o)
	}
	for _, l := range r.lines {
		stand(l.waiting)
	}
	for _, op := range r.ops {
		if op.acting != nil {
			stand(op.acting.waiting)
		}
	}
	r.machine()
	return s
}

// reader makes what a Snapshot refers to. It makes everything empty first, so that references can be followed in any order.
type reader struct {
	*Supervisor
	from     *Snapshot
	groups   []*group
	procs    []*proc
	events   []*queued
	requests []*request
	steps    []*step
	lines    []*line
	ops      []*operation
}

func newReader(s *Supervisor, from *Snapshot) *reader {
	return &reader{
		Supervisor: s, from: from, groups: empty[group](len(from.Groups)), procs: empty[proc](len(from.Processes)), events: empty[queued](len(from.Events)),
		requests: empty[request](len(from.Requests)), steps: empty[step](len(from.Steps)), lines: empty[line](len(from.Lines)),
		ops: empty[operation](len(from.Operations)),
	}
}

func empty[T any](n int) []*T {
	list := make([]*T, n)
	for i := range list {
		list[i] = new(T)
	}
	return list
}

// at follows a reference.
func at[T any](list []*T, r Ref) *T {
	if r == 0 {
		return nil
	}
	return list[r-1]
}

// all follows several.
func all[T any](list []*T, places []Ref) []*T {
	var out []*T
	for _, r := range places {
		out = append(out, at(list, r))
	}
	return out
}

// machine puts the parts, which are whole now, into their places.
func (r *reader) machine() {
	r.Supervisor.groups = all(r.groups, r.from.Active)
	for _, g := range r.Supervisor.groups {
		r.named[g.name()] = g
		for _, p := range g.members {
			r.Supervisor.procs[p.id] = p
			g.byName[p.name] = p
			if p.unstopped() {
				g.unstopped++
			}
			for _, mark := range []bool{p.gated, p.lastly, p.fallen} {
				if mark {
					r.Supervisor.pending++
				}
			}
		}
		if g.pool != nil {
			r.pools = append(r.pools, g.pool)
			r.wanted |= g.pool.wants
		}
	}
	r.Supervisor.lines = all(r.lines, r.from.Rolling)
	for _, o := range all(r.ops, r.from.Underway) {
		r.Supervisor.ops[o.id] = o
	}
	c := r.from.Clock
	r.clock = clock{running: c.Running, slices: slices.Clone(c.Slices), from: c.From, until: c.Until}
	r.deadline(&r.clock.due, c.Due, actTick, nil)
	if q := r.from.Quit; q != nil {
		r.quit = &quit{restart: q.Restart, sent: q.Sent, code: q.Code, queue: all(r.groups, q.Queue)}
		r.deadline(&r.quit.report, q.Report, actQuit, nil)
	}
	r.due.seq = r.from.Armed
}

// stand notes that steps have not begun.
func stand(waiting []*step) {
	for _, st := range waiting {
		st.waits = true
	}
}

// deadline makes a deadline inside its owner, and puts an armed one into its place of the heap.
func (r *reader) deadline(d *deadline, from SavedDeadline, fire action, p *proc) {
	*d = deadline{at: from.At, seq: from.Seq, index: from.Place, fire: fire, proc: p}
	if !d.armed() {
		return
	}
	for len(r.due.heap) < d.index {
		r.due.heap = append(r.due.heap, nil)
	}
	r.due.heap[d.index-1] = d
}

func (r *reader) group(i int) {
	from, g := r.from.Groups[i], r.groups[i]
	*g = group{
		spec: from.Spec, rank: from.Rank, members: all(r.procs, from.Members), byName: map[string]*proc{}, departed: maps.Clone(from.Departed),
		ending: from.Ending, endOp: at(r.ops, from.EndOp), successor: from.Successor,
	}
	b := from.Breaker
	g.breaker = breaker{ends: slices.Clone(b.Ends), open: b.Open, opened: b.Opened, closed: b.Closed, probe: at(r.procs, b.Probe), failed: b.Failed}
	r.deadline(&g.breaker.due, b.Due, actBreaker, nil)
	g.breaker.due.group = g
	g.spec.Listener = at(r.from.Listeners, from.Listener)
	if p := from.Pool; p != nil {
		g.pool = &pool{group: g, spec: at(r.from.Listeners, p.Spec), buffer: all(r.events, p.Buffer), serial: p.Serial, served: p.Served}
		g.pool.wants = subscriptionOf(g.pool.spec)
		for _, e := range p.Buffer {
			if r.from.Events[e-1].Exempt {
				g.pool.exempt++
			}
		}
	}
}

func (r *reader) proc(i int) {
	from, p := r.from.Processes[i], r.procs[i]
	*p = proc{
		id: from.ID, incarnation: from.Incarnation, group: at(r.groups, from.Group), name: from.Name, spec: at(r.from.Specs, from.Spec),
		state: from.State, pid: from.PID, spawning: from.Spawning, fate: fate(from.Fate), tries: from.Tries, restarts: from.Restarts, short: from.Short, starts: slices.Clone(from.Starts),
		gated: from.Gated, anew: from.Anew, forlorn: from.Forlorn, lastly: from.Lastly, extra: from.Extra, fallen: from.Fallen, last: from.Last, hasLast: from.HasLast,
		held: from.Held, lazy: from.Lazy, again: from.Again, abandoned: from.Abandoned, reason: from.Reason, draining: from.Draining, hook: from.Hook, fresh: from.Fresh, stopStep: from.StopStep, killed: from.Killed,
		started: from.Started, startSecs: from.StartSecs, began: from.Began, ended: from.Ended, exit: from.Exit, hasExit: from.HasExit,
		spawnErr: from.SpawnErr, fit: from.Fit, unfit: from.Unfit, unmet: from.Unmet, watched: from.Watched, sick: from.Sick, hung: from.Hung, holds: at(r.events, from.Holds), deaf: from.Deaf, step: at(r.steps, from.Step),
	}
	r.deadline(&p.due, from.Due, actState, p)
	r.deadline(&p.report, from.Report, actReport, p)
	if from.Listener != nil {
		p.listener = from.Listener.Restore()
	}
	for _, o := range from.Waiters {
		p.waiters = append(p.waiters, waiter{
			request: at(r.requests, o.Request), what: waitFor(o.What), text: o.Text, stopped: o.Stopped, step: at(r.steps, o.Step),
		})
	}
	for _, o := range from.Unsent {
		p.unsent = append(p.unsent, signalWish{request: at(r.requests, o.Request), signal: o.Signal, text: o.Text})
	}
}

func (r *reader) request(i int) {
	from, q := r.from.Requests[i], r.requests[i]
	*q = request{reply: from.Reply.clone(), single: from.Single, left: from.Left, op: at(r.ops, from.Op)}
	if q.op != nil && q.reply.Updated == nil {
		q.reply.Updated = []StepResult{} // an encoding may not tell it from nil
	}
	if q.reply.Req != 0 {
		r.Supervisor.requests[q.reply.Req] = q
	}
}

func (r *reader) sending(from SavedSending) {
	o := sending{
		kind: sentKind(from.Kind), proc: at(r.procs, from.Process), incarnation: from.Incarnation,
		request: at(r.requests, from.Request), event: at(r.events, from.Event), text: from.Text,
	}
	switch {
	case from.Spawn != nil:
		e := *from.Spawn
		e.Spec = at(r.from.Specs, from.Spec)
		o.effect = e
	case from.Hook != nil:
		e := *from.Hook
		e.Spec = at(r.from.Specs, from.Spec)
		o.effect, o.hook = e, &hook{late: from.Late}
		r.deadline(&o.hook.due, from.Due, actHook, nil)
		o.hook.due.token = from.Token
	case from.Signal != nil:
		o.effect = *from.Signal
	case from.Write != nil:
		o.effect = *from.Write
	}
	r.sent[from.Token] = o
}

// Pending returns what was asked of the world and has no outcome yet, in the order in which it was asked, for a caller that has restored the
// machine: as far as he knows, none of it was done. Who carries it out must not do again what was done already (a Spawn is known by its ID and
// Incarnation, the others by their Token), but tell its outcome again. A machine that has halted says so again.
//
// Effects without an outcome come back in other ways: Logs gives those of logs. A Reply or Publish that was lost stays lost.
func (s *Supervisor) Pending() []Effect {
	var list []Effect
	for _, t := range slices.Sorted(maps.Keys(s.sent)) {
		list = append(list, s.sent[t].effect)
		if h := s.sent[t].hook; h != nil && h.late {
			list = append(list, EndHook{t})
		}
	}
	if s.halted {
		list = append(list, Halt{Restart: s.quit.restart, Code: s.quit.code})
	}
	return list
}

// Logs returns the logs that are to be open, those of every process as its spec says now. Others are to be closed.
func (s *Supervisor) Logs() []OpenLogs {
	list := make([]OpenLogs, 0, len(s.procs))
	for _, g := range s.groups {
		for _, p := range g.members {
			list = append(list, s.logs(p))
		}
	}
	return list
}

// logs describes the logs of a process.
func (s *Supervisor) logs(p *proc) OpenLogs {
	return OpenLogs{ID: p.id, Group: p.group.name(), Spec: p.spec, Listener: p.group.spec.Listener != nil}
}

// Underway returns the operations that have a number and are not over, and the command of each that is answered at its end; zero: nobody waits.
func (s *Supervisor) Underway() map[uint64]Req {
	out := make(map[uint64]Req, len(s.ops))
	for n, op := range s.ops {
		out[n] = op.request.reply.Req
	}
	return out
}

// Unanswered returns the commands that are not answered yet, in the order of their numbers.
func (s *Supervisor) Unanswered() []Req { return slices.Sorted(maps.Keys(s.requests)) }
