package core

import (
	"slices"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// operation is an update on its way.
type operation struct {
	id        uint64
	request   *request
	cancelled bool
}

// step is what an update does to one process. It holds the process: others' commands have to wait (Blocked).
type step struct {
	op      *operation
	change  plan.Change
	group   string
	proc    *proc
	line    *line // with replacements
	starts  bool  // a replacement that has ended is started again, or has been
	running bool  // it waits for the start, no longer for the end
	oldPID  int
}

// line holds the replacements of one group: one process at a time, so that the others go on working.
type line struct{ waiting []*step }

// update carries out the plans of an Update. Everything begins at once, but for replacements, and for groups that come again.
func (s *Supervisor) update(id Req, do Update) {
	if stale := s.stale(do.Plan); stale != "" {
		s.answer(id, &Fault{Kind: Stale, Text: stale + " has changed since the plan was made"})
		return
	}
	op := &operation{id: do.Op, request: s.open(id, false)}
	op.request.op, op.request.reply.Updated = op, []StepResult{}
	if op.id != 0 {
		s.ops[op.id] = op
	}
	var starts, ends []*step
	var lines []*line
	for _, p := range do.Plan.Plans {
		switch {
		case p.Empty():
		case p.Scope == plan.AddGroup:
			starts = append(starts, s.addPlanned(op, p.Desired)...)
		case p.Scope == plan.ChangeGroup:
			more, l := s.changeGroup(op, p)
			for _, st := range more {
				if st.change.Action == plan.RemoveProcess {
					ends = append(ends, st)
				} else {
					starts = append(starts, st)
				}
			}
			lines = append(lines, l)
		default:
			ends = append(ends, s.endGroup(op, p)...)
		}
	}
	s.startPlanned(starts)
	for _, l := range lines {
		s.advance(l)
	}
	slices.SortStableFunc(ends, func(a, b *step) int { return descending(a.proc, b.proc) })
	for _, st := range ends {
		s.removePlanned(st)
	}
	s.closeGroups()
	s.shut(op.request)
}

// stale returns the name of a group that is no longer what the plan was computed against, "" when there is none.
func (s *Supervisor) stale(u plan.Update) string {
	for _, p := range u.Plans {
		g := s.named[p.Group]
		switch {
		case p.Scope == plan.AddGroup && g != nil, p.Scope != plan.AddGroup && (g == nil || s.manifestGroup(g).Hash() != p.Base):
			return p.Group
		}
	}
	return ""
}

// newStep announces a step: the update is not over before it is.
func (op *operation) newStep(g *group, p *proc, c plan.Change) *step {
	op.request.left++
	st := &step{op: op, change: c, group: g.name(), proc: p, oldPID: p.pid}
	p.step = st
	return st
}

// addPlanned adds a group and returns the steps of its members.
func (s *Supervisor) addPlanned(op *operation, spec process.GroupSpec) (steps []*step) {
	g := s.addGroup(spec)
	for _, p := range g.members {
		steps = append(steps, op.newStep(g, p, plan.Change{Action: plan.AddProcess, Group: g.name(), Name: p.name, Spec: *p.spec}))
	}
	return steps
}

// changeGroup changes what can be changed at once, and returns the steps that start and remove members and the line of those to be replaced.
func (s *Supervisor) changeGroup(op *operation, p plan.Plan) (steps []*step, l *line) {
	g, l := s.named[p.Group], &line{}
	for _, c := range p.Changes {
		if c.Action == plan.RenameProcess {
			s.rename(g, c)
		}
	}
	for _, c := range p.Changes {
		if c.Action == plan.AddProcess {
			m := s.addMember(g, c.Spec)
			s.publish(MemberAdded{Group: p.Group, Name: c.Name})
			steps = append(steps, op.newStep(g, m, c))
			continue
		}
		st := op.newStep(g, g.byName[c.Name], c)
		switch c.Action {
		case plan.RemoveProcess:
			steps = append(steps, st)
		case plan.ReplaceProcess:
			st.line = l
			l.waiting = append(l.waiting, st)
		case plan.ReturnProcess:
			if s.comeBack(st.proc) {
				steps = append(steps, st)
			} else {
				s.over(st, nil)
			}
		default:
			if st.proc.fate != stays && s.comeBack(st.proc) {
				s.spawn(st.proc)
			}
			s.swap(st.proc, c.Spec)
			s.over(st, nil)
		}
	}
	g.adopt(p.Desired)
	s.tuneGroup(g)
	s.revision++
	g.byStep(l.waiting)
	return steps, l
}

// byStep sorts replacements by priority and by the place of their processes in the group.
func (g *group) byStep(list []*step) {
	slices.SortStableFunc(list, func(a, b *step) int { return slices.Index(g.members, a.proc) - slices.Index(g.members, b.proc) })
	slices.SortStableFunc(list, func(a, b *step) int { return ascending(a.proc, b.proc) })
}

// tuneGroup makes the pool of a listener group follow its group's options.
func (s *Supervisor) tuneGroup(g *group) {
	if g.pool == nil || g.pool.spec == g.spec.Listener {
		return
	}
	p := g.pool
	p.spec = g.spec.Listener
	p.wants = subscriptionOf(p.spec)
	for len(p.buffer)-p.exempt > p.spec.BufferSize {
		s.discardOldest(p)
	}
	s.subscriptions()
}

// rename gives a member another name; everything else about it goes on.
func (s *Supervisor) rename(g *group, c plan.Change) {
	p := g.byName[c.From]
	delete(g.byName, c.From)
	p.name = c.Name
	g.byName[p.name] = p
	s.publish(MemberRenamed{Group: g.name(), From: c.From, Name: c.Name})
}

// swap gives a process new settings.
func (s *Supervisor) swap(p *proc, spec process.Spec) {
	before := p.spec
	p.spec = &spec
	s.revision++
	if before.Stdout != spec.Stdout || before.Stderr != spec.Stderr || before.RedirectStderr != spec.RedirectStderr || before.Name != spec.Name {
		s.emit(ChangeLogs{ID: p.id, Group: p.group.name(), Spec: p.spec, Listener: p.group.spec.Listener != nil})
	}
}

// startPlanned starts new members in order of priority; one that is not to be started by itself stays STOPPED.
func (s *Supervisor) startPlanned(steps []*step) {
	slices.SortStableFunc(steps, func(a, b *step) int { return ascending(a.proc, b.proc) })
	for _, st := range steps {
		if st.change.Action == plan.AddProcess && !st.proc.spec.Autostart {
			s.over(st, nil)
			continue
		}
		s.publish(StepBegan{Op: st.op.id, Step: st.result(nil)})
		s.spawn(st.proc)
		s.awaitStart(st)
	}
}

func (s *Supervisor) awaitStart(st *step) {
	st.starts, st.running = true, true
	st.proc.waiters = append(st.proc.waiters, waiter{what: forRunning, text: st.proc.namespec().String(), step: st})
}

// removePlanned ends a surplus member.
func (s *Supervisor) removePlanned(st *step) {
	s.publish(StepBegan{Op: st.op.id, Step: st.result(nil)})
	if p := st.proc; st.change.Lazy && (p.state == process.Starting || p.state == process.Running) {
		p.again, p.fate = false, goes
		s.over(st, nil)
		return
	}
	s.letGo(st.proc, goes, waiter{step: st})
}

// advance begins the next replacement of a line.
func (s *Supervisor) advance(l *line) {
	for len(l.waiting) > 0 {
		st := l.waiting[0]
		l.waiting = l.waiting[1:]
		if st.op.cancelled {
			s.over(st, &Fault{Kind: Cancelled, Text: "cancelled before its turn"})
			continue
		}
		s.replace(st)
		return
	}
}

// replace begins a replacement. A process that is down only takes its new settings, unless it had been given up.
func (s *Supervisor) replace(st *step) {
	p := st.proc
	st.oldPID = p.pid
	s.publish(StepBegan{Op: st.op.id, Step: st.result(nil)})
	back := p.fate != stays && s.comeBack(p)
	wait := waiter{what: forStopped, text: p.namespec().String(), step: st}
	switch {
	case p.state == process.Stopping:
		st.starts, p.again = p.again, false
		p.waiters = append(p.waiters, wait)
	case p.state.IsRunning():
		st.starts = true
		if !s.opts.Quirks.KeepBackoff {
			p.tries = 0
		}
		p.short = 0
		p.waiters = append(p.waiters, wait)
		s.halt(p)
		s.reportStop(p)
	default:
		s.swap(p, st.change.Spec)
		if back || p.state == process.Fatal && st.change.Retry {
			s.spawn(p)
			s.awaitStart(st)
			return
		}
		s.over(st, nil)
	}
}

// stepped takes the news that a step has waited for.
func (s *Supervisor) stepped(st *step, f *Fault) {
	switch {
	case f != nil || st.running || st.change.Action == plan.RemoveProcess:
		s.over(st, f)
	case s.quitting():
		s.over(st, &Fault{Kind: ShutdownState})
	default:
		s.swap(st.proc, st.change.Spec)
		if !st.starts {
			s.over(st, nil)
			return
		}
		st.proc.again = true // stopped starts it in a moment
		s.awaitStart(st)
	}
}

// over ends a step. After a replacement that failed, those behind it in the line keep what they have.
func (s *Supervisor) over(st *step, f *Fault) {
	result := st.result(f)
	if st.proc.step == st {
		st.proc.step = nil
	}
	if g := st.proc.group; f != nil && g.ending {
		s.stay(g)
	}
	r := st.op.request
	r.reply.Updated = append(r.reply.Updated, result)
	s.publish(StepEnded{Op: st.op.id, Step: result})
	if l := st.line; l != nil {
		if f != nil {
			rest := l.waiting
			l.waiting = nil
			for _, w := range rest {
				w.line = nil
				s.over(w, &Fault{Kind: Cancelled, Text: "left as it was, since " + st.change.Name + " failed"})
			}
		} else {
			s.advance(l)
		}
	}
	s.lessOne(r)
}

func (st *step) result(f *Fault) StepResult {
	c := st.change
	return StepResult{
		Group: st.group, Name: c.Name, From: c.From, Action: c.Action, OldPID: st.oldPID, PID: st.proc.pid, Started: st.starts, Fault: f,
	}
}

// endGroup begins the end of a group, which comes again if its plan says so, and returns the steps of its members.
func (s *Supervisor) endGroup(op *operation, p plan.Plan) (steps []*step) {
	g := s.named[p.Group]
	g.ending = true
	op.request.left++ // the group itself
	g.endOp = op
	if p.Scope == plan.ReplaceGroup {
		g.successor = &p.Desired
	}
	for _, c := range p.Changes {
		if c.Action == plan.RemoveProcess {
			steps = append(steps, op.newStep(g, g.byName[c.Name], c))
		}
	}
	return steps
}

// closeGroups removes groups that end and have no members left. A successor comes in the place of its group at once.
func (s *Supervisor) closeGroups() {
	for _, g := range slices.Clone(s.groups) {
		if !g.ending || len(g.members) > 0 {
			continue
		}
		s.dropGroup(g)
		op := g.endOp
		if op == nil {
			continue
		}
		if g.successor != nil && !s.quitting() {
			s.startPlanned(s.addPlanned(op, *g.successor))
		}
		s.lessOne(op.request)
	}
}

// stay ends the wait for a group of which a member cannot be stopped: it remains, with this member alone.
func (s *Supervisor) stay(g *group) {
	if op := g.endOp; op != nil {
		g.endOp, g.successor = nil, nil
		s.lessOne(op.request)
	}
}

// cancelUpdate keeps an update from beginning anything new. What has begun goes on to its end.
func (s *Supervisor) cancelUpdate(id uint64) *Fault {
	op := s.ops[id]
	if op == nil {
		return &Fault{Kind: BadName, Text: "no such operation is under way"}
	}
	op.cancelled = true
	return nil
}

// Blocked reports whether a command has to wait because an update is busy with a process that it is about, and names the update. Signals and
// standard input are let through.
func (s *Supervisor) Blocked(v Verb) (op uint64, yes bool) {
	switch v := v.(type) {
	case Start:
		return s.held(v.Target)
	case Stop:
		return s.held(v.Target)
	case RemoveGroup:
		return s.heldGroup(v.Name)
	case AddGroups:
		for _, g := range v.Groups {
			if op, yes := s.heldGroup(g.Name); yes {
				return op, true
			}
		}
	case AddProcesses:
		return s.heldGroup(v.Group)
	case RemoveProcess:
		return s.heldGroup(v.Group)
	case Apply:
		return s.heldGroup(v.Plan.Group)
	case Leave:
		return s.heldGroup(v.Plan.Group)
	case Update:
		for _, p := range v.Plan.Plans {
			if op, yes := s.heldGroup(p.Group); yes {
				return op, true
			}
		}
	}
	return 0, false
}

func (s *Supervisor) held(t Target) (op uint64, yes bool) {
	list, _, _ := s.find(t)
	for _, p := range list {
		if p.step != nil {
			return p.step.op.id, true
		}
	}
	return 0, false
}

func (s *Supervisor) heldGroup(name string) (op uint64, yes bool) {
	g := s.named[name]
	if g == nil {
		return 0, false
	}
	if g.endOp != nil {
		return g.endOp.id, true
	}
	return s.held(Target{Group: name})
}
