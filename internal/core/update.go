package core

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// operation is an update or an Act on its way.
type operation struct {
	id        uint64
	request   *request
	cancelled bool
	paused    bool
	acting    *acting // with an Act
}

// step is what an operation does to one process. It holds the process: others' commands have to wait (Blocked).
type step struct {
	op      *operation
	change  plan.Change
	group   string
	proc    *proc
	line    *line // with replacements that wait or have begun
	then    *step // with the stop of a restart: the start, which holds the process after it
	under   *step // of another operation, that held the process before a stop took it, and does again after it
	waits   bool  // it stands in a line, or in that of an Act, and has not begun
	ended   bool
	starts  bool // once it has ended it is started again
	running bool // it has been started, and waits for that to succeed
	oldPID  int
	old     *process.Spec // in force before it took the new one; nil = it has not
	undo    bool          // it takes back what another step has done
	trial   waitFor       // what it waits for now that its process is RUNNING: to be ready, or the end of that; zero = neither
	due     deadline      // of that
}

// update carries out the plans of an Update. Everything begins at once, but for replacements, and for groups that come again.
func (s *Supervisor) update(id Req, do Update) {
	if stale := s.stale(do.Plan); stale != "" {
		s.answer(id, &Fault{Kind: Stale, Text: stale + " has changed since the plan was made"})
		return
	}
	if f := s.circle(do.Plan.Plans); f != nil {
		s.answer(id, f)
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
		switch p.Scope {
		case plan.AddGroup:
			starts = append(starts, s.addPlanned(op, p.Desired)...)
		case plan.ChangeGroup:
			more, l := s.changeGroup(op, p, do.Roll)
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
	s.lineUp(lines)
	s.lines = append(s.lines, lines...)
	for _, l := range lines {
		s.advance(l)
	}
	s.shift()
	slices.SortStableFunc(ends, func(a, b *step) int { return descending(a.proc, b.proc) })
	for _, st := range inSteps(ends, s.dependentsFirst) {
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
	st := &step{op: op, change: c, group: g.name(), proc: p, oldPID: p.pid, under: p.step}
	st.due.fire, st.due.step = actStep, st
	p.step = st
	return st
}

// addPlanned adds a group and returns the steps of its members.
func (s *Supervisor) addPlanned(op *operation, spec process.GroupSpec) (steps []*step) {
	g := s.addGroup(spec)
	s.notifyGroup(event.ProcessGroupAdded, spec.Name)
	for _, p := range g.members {
		steps = append(steps, op.newStep(g, p, plan.Change{Action: plan.AddProcess, Group: g.name(), Name: p.name, Spec: *p.spec}))
	}
	return steps
}

// changeGroup changes what can be changed at once, and returns the steps that start and remove members and the line of those to be replaced.
func (s *Supervisor) changeGroup(op *operation, p plan.Plan, roll *process.Roll) (steps []*step, l *line) {
	g, l := s.named[p.Group], newLine(op, p, roll)
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
		m := g.byName[c.Name]
		st := op.newStep(g, m, c)
		replace, returns := c.Action == plan.ReplaceProcess, m.fate != stays
		switch {
		case c.Action == plan.RemoveProcess:
			steps = append(steps, st)
		case replace && (!returns || m.state.IsRunning()):
			if returns {
				s.comeBack(m)
			}
			st.line = l
			st.waits = true
			l.waiting = append(l.waiting, st)
		case replace && m.state == process.Stopping: // it does not work any more: nobody has to wait for its turn
			s.comeBack(m)
			s.awaitEnd(st, c.Spec.Autostart)
		default:
			s.swap(m, c.Spec)
			switch {
			case returns && s.comeBack(m) || c.Retry && m.state == process.Fatal:
				steps = append(steps, st)
			case m.again:
				s.awaitEnd(st, true)
			default:
				s.over(st, nil)
			}
		}
	}
	for _, spec := range p.Desired.Processes { // what is kept may be defined in another place now
		if m := g.byName[spec.Name]; m != nil && m.step == nil {
			m.spec = &spec
		}
	}
	s.dependers = nil
	g.adopt(p.Desired)
	s.tuneGroup(g)
	s.revision++
	g.byStep(l.waiting)
	l.waiting = inSteps(l.waiting, s.dependenciesFirst)
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
	m, marked := s.marks[p.namespec()]
	delete(s.marks, p.namespec())
	p.name = c.Name
	delete(s.marks, p.namespec())
	if marked {
		s.marks[p.namespec()] = m
	}
	g.byName[p.name] = p
	delete(g.departed, p.name)
	s.publish(MemberRenamed{Group: g.name(), From: c.From, Name: c.Name})
}

// swap gives a process new settings. One that waits for its next start may not be wanted to start again any more.
func (s *Supervisor) swap(p *proc, spec process.Spec) {
	before := p.spec
	p.spec = &spec
	s.dependers = nil
	s.revision++
	s.shift()
	s.rewatch(p, before)
	if p.state == process.Exited && p.restarting() && !(p.gated && !p.anew) && !s.revives(p) {
		s.unplan(p)
		s.shift()
	}
	s.checkBreaker(p.group)
	if before.Stdout != spec.Stdout || before.Stderr != spec.Stderr || before.RedirectStderr != spec.RedirectStderr || before.Name != spec.Name {
		s.emit(ChangeLogs(s.logs(p)))
	}
}

// startPlanned starts new members in order of priority; one that is not to be started by itself stays STOPPED.
func (s *Supervisor) startPlanned(steps []*step) {
	slices.SortStableFunc(steps, func(a, b *step) int { return ascending(a.proc, b.proc) })
	for _, st := range inSteps(steps, s.dependenciesFirst) {
		if st.change.Action == plan.AddProcess && (!st.proc.spec.Autostart || s.mark(st.proc) != Free) {
			s.over(st, nil)
			continue
		}
		s.begun(st)
		s.launch(st.proc)
		s.awaitStart(st)
	}
}

// begun tells of a step that takes time.
func (s *Supervisor) begun(st *step) { s.publish(StepBegan{Op: st.op.id, Step: st.result(nil)}) }

// awaitStart makes a step wait for its process, which starts, to be RUNNING.
func (s *Supervisor) awaitStart(st *step) {
	st.running = true
	s.nudge(st.proc)
	st.proc.waiters = append(st.proc.waiters, waiter{what: forRunning, text: st.proc.namespec().String(), step: st})
}

// awaitEnd makes a step wait for the end of its process, which then starts again or does not.
func (s *Supervisor) awaitEnd(st *step, starts bool) {
	p := st.proc
	s.begun(st)
	s.shift()
	st.starts, p.again = starts, false
	p.waiters = append(p.waiters, waiter{what: forStopped, text: p.namespec().String(), step: st})
}

// removePlanned ends a surplus member.
func (s *Supervisor) removePlanned(st *step) {
	s.begun(st)
	if p := st.proc; st.change.Lazy && (p.state == process.Starting || p.state == process.Running) {
		p.again, p.fate, p.lazy = false, goes, true
		s.over(st, nil)
		return
	}
	s.letGo(st.proc, goes, waiter{step: st})
}

// renew gives the process of a step its new settings.
func (s *Supervisor) renew(st *step) {
	st.old = st.proc.spec
	s.swap(st.proc, st.change.Spec)
}

// stepped takes the news that a step has waited for.
func (s *Supervisor) stepped(st *step, f *Fault) {
	p := st.proc
	switch {
	case st.trial != 0:
		s.due.disarm(&st.due)
		st.trial = 0
		s.tryOn(st, f)
	case st.running:
		s.tryOn(st, f)
	case st.change.Action == plan.RemoveProcess || st.change.Action == plan.StopProcess:
		s.over(st, f)
	case f != nil: // if it ends after all, it goes on as it was
		p.again = st.starts && p.state == process.Stopping
		s.over(st, f)
	case s.quitting():
		s.over(st, &Fault{Kind: ShutdownState})
	case p.state != process.Stopped: // quirk C14: nobody knows
		s.over(st, &Fault{Kind: Failed, Text: p.namespec().String() + " is in an unknown process state"})
	default:
		if !st.late() {
			s.renew(st)
		}
		if !st.starts {
			s.over(st, st.verdict())
			return
		}
		p.again = true // stopped starts it in a moment
		s.awaitStart(st)
	}
}

// tryOn puts a process that is RUNNING on trial, or goes on with that: it has to become ready and, in a line, to stay so for a while. A fault ends it.
func (s *Supervisor) tryOn(st *step, f *Fault) {
	p, l := st.proc, st.line
	switch {
	case f != nil:
		s.over(st, st.taken(f))
	case st.late() && st.old != nil: // it is going to get back what it had
		s.over(st, st.verdict())
	case !p.ready():
		s.trial(st, forReady, cmp.Or(p.spec.Health.ReadyWait, readyWait))
	case l != nil && l.roll.Steady > 0 && !l.undoing:
		s.trial(st, forUnready, l.roll.Steady)
	default:
		s.over(st, st.verdict())
	}
}

// taken turns the fault of a process that does not become what it is to be into that of one that a stop has taken from its operation: that is no failure of
// what it was started with. It is told of updates; an Act fails where another one wants the opposite.
func (st *step) taken(f *Fault) *Fault {
	if f.Kind != AbnormalTermination || st.op.acting != nil || !st.proc.taken() {
		return f
	}
	stopped := &Fault{Kind: Cancelled, Text: "it was stopped", Taken: true}
	if by := st.proc.step; by != nil && by.op.acting != nil {
		stopped.By = by.op.id
	}
	return stopped
}

// trial makes a step wait for something, but not for ever.
func (s *Supervisor) trial(st *step, what waitFor, most time.Duration) {
	st.trial = what
	st.proc.waiters = append(st.proc.waiters, waiter{what: what, text: st.proc.namespec().String(), step: st})
	s.due.arm(&st.due, s.now.Mono+most)
}

// tried ends a trial whose time is over: the process did not become ready, or has stayed so.
func (s *Supervisor) tried(st *step) {
	p, what := st.proc, st.trial
	p.forget(st)
	st.trial = 0
	if what == forUnready {
		s.over(st, st.verdict())
		return
	}
	text := fmt.Sprintf("%v is not ready after %v", p.namespec(), cmp.Or(p.spec.Health.ReadyWait, readyWait))
	if why := p.lacks(); why != "" {
		text += ": " + why
	}
	s.over(st, &Fault{Kind: Failed, Text: text})
}

// over ends a step. A group of which a member does not go does not come again.
func (s *Supervisor) over(st *step, f *Fault) {
	st.ended, st.waits = true, false
	s.shift()
	if st.proc.step == st {
		st.proc.step = st.next()
	}
	s.nudge(st.proc)
	s.ended(st.op, st.result(f))
	if g := st.proc.group; f != nil && g.ending && g.endOp == st.op {
		s.stay(g, &Fault{Kind: Cancelled, Text: "left out, since " + st.change.Name + " failed"})
	}
	if st.line != nil {
		s.leaveLine(st, f)
	}
	if st.op.acting != nil {
		s.acted(st)
	}
	s.lessOne(st.op.request)
}

// next returns the step that holds the process after this one, nil if none does.
func (st *step) next() *step {
	if st.then != nil && !st.then.ended {
		return st.then
	}
	return st.below()
}

// below returns the step of another operation that this one has taken the process from, nil if there is none or it is over.
func (st *step) below() *step {
	under := st.under
	for under != nil && under.ended {
		under = under.under
	}
	return under
}

// ended tells of the end of a step.
func (s *Supervisor) ended(op *operation, r StepResult) {
	op.request.reply.Updated = append(op.request.reply.Updated, r)
	s.publish(StepEnded{Op: op.id, Step: r})
}

func (st *step) result(f *Fault) StepResult {
	c := st.change
	r := StepResult{
		Group: st.group, Name: c.Name, From: c.From, Action: c.Action, OldPID: st.oldPID, PID: st.proc.pid, Started: st.running, Undo: st.undo, Fault: f,
	}
	if st.proc.extra && st.op.acting == nil { // to who acts on it, it is one like others
		r.Extra = st.proc.id
	}
	return r
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
		} else {
			s.forgo(g, &Fault{Kind: ShutdownState})
		}
		s.lessOne(op.request)
	}
}

// stay ends the wait for a group of which a member cannot be stopped: it remains, with this member alone and until this ends.
func (s *Supervisor) stay(g *group, f *Fault) {
	if op := g.endOp; op != nil {
		s.forgo(g, f)
		g.endOp, g.successor = nil, nil
		s.lessOne(op.request)
	}
}

// forgo tells that the members of a group that was to come again do not.
func (s *Supervisor) forgo(g *group, f *Fault) {
	if g.successor == nil {
		return
	}
	for _, spec := range g.successor.Processes {
		s.ended(g.endOp, StepResult{Group: g.name(), Name: spec.Name, Action: plan.AddProcess, Fault: f})
	}
}

// cancelUpdate keeps an operation from beginning anything new. What has begun goes on to its end.
func (s *Supervisor) cancelUpdate(id uint64) *Fault {
	op := s.ops[id]
	if op == nil {
		return &Fault{Kind: BadName, Text: "no such operation is under way"}
	}
	op.cancelled = true
	s.decided(op)
	return nil
}

// pauseUpdate keeps an operation from going on, or lets it.
func (s *Supervisor) pauseUpdate(do PauseUpdate) *Fault {
	op := s.ops[do.Op]
	if op == nil {
		return &Fault{Kind: BadName, Text: "no such operation is under way"}
	}
	s.pause(op, !do.Resume, "")
	s.decided(op)
	return nil
}

// pause changes whether an operation goes on, and tells why.
func (s *Supervisor) pause(op *operation, paused bool, why string) {
	if op.paused != paused {
		op.paused = paused
		s.publish(UpdatePaused{Op: op.id, Paused: paused, Text: why})
	}
}

// decided lets an operation look what it may do now that somebody has decided about it.
func (s *Supervisor) decided(op *operation) {
	if op.acting != nil {
		s.moved = append(s.moved, op)
	}
	s.shift()
}

// Block is what a command has to wait for.
type Block struct {
	Op     uint64
	Paused bool // it is: the command would have to wait for somebody's decision
}

// Blocked reports whether a command has to wait because an operation is busy with a process that it is about. Signals and standard input are let
// through. What an Act is busy with only keeps other operations waiting; and one that does nothing but stop does not wait for a process to be
// RUNNING, nor, if it stops Now, for one that is STOPPING and stays so. An operation that is paused holds nothing that it has not begun with, but
// keeps others from changing what its groups are, other than by removing them.
func (s *Supervisor) Blocked(v Verb) (b Block, yes bool) {
	switch v := v.(type) {
	case Act:
		for _, t := range v.Targets {
			if b, yes := s.heldFrom(t, func(st *step) bool { return !st.rests() && st.hinders(v.Start, v.Now) }); yes {
				return b, true
			}
		}
	case Start:
		return s.heldFrom(v.Target, func(st *step) bool { return st.op.acting == nil && !st.rests() })
	case Stop:
		return s.heldFrom(v.Target, func(st *step) bool { return st.op.acting == nil && !st.rests() && !(st.op.paused && st.running) })
	case RemoveGroup:
		if b, yes := s.heldFrom(Target{Group: v.Name}, func(st *step) bool { return st.op.acting == nil && !st.rests() }); yes {
			return b, true
		}
		if b, yes := s.heldGroup(v.Name); !b.Paused {
			return b, yes
		}
	case AddGroups:
		for _, g := range v.Groups {
			b, yes := s.heldGroup(g.Name)
			if is := s.named[g.Name]; yes && !(b.Paused && is != nil && !is.ending) { // else it is refused for being there, whatever is decided
				return b, true
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
			matters := func(st *step) bool { return !p.Empty() || st.op.acting == nil } // starts and stops change nothing of a group that is right
			if more, held := s.heldAs(p.Group, matters); held && (!yes || more.Paused) {
				if b, yes = more, true; b.Paused {
					break
				}
			}
		}
	}
	return b, yes
}

// rests reports whether a step waits for nothing but somebody's decision. Those who take back what was done go on, paused or not.
func (st *step) rests() bool {
	return st.waits && st.op.paused && !(st.line != nil && st.line.undoing)
}

// hinders reports whether a step of an Act, which starts something or does nothing but stop, has to wait for this one, of another operation.
func (st *step) hinders(starts, now bool) bool {
	return starts || !st.running && !(now && st.stops())
}

// stops reports whether the step has begun the stop of its process, and nothing but that.
func (st *step) stops() bool {
	return st.change.Action == plan.StopProcess && st.then == nil && st.proc.state == process.Stopping
}

// heldFrom reports whether steps are in the way of a command, and of which operation. One that a stop has taken the process from may be in the way still.
func (s *Supervisor) heldFrom(t Target, inTheWay func(*step) bool) (b Block, yes bool) {
	list, _, _ := s.find(t)
	for _, p := range list {
		for st := p.step; st != nil; st = st.below() {
			if inTheWay(st) && (!yes || st.rests()) {
				if b, yes = (Block{st.op.id, st.rests()}), true; b.Paused {
					return b, true
				}
			}
		}
	}
	return b, yes
}

// heldGroup does the same for what changes a group: updates are in its way.
func (s *Supervisor) heldGroup(name string) (b Block, yes bool) {
	return s.heldAs(name, func(st *step) bool { return st.op.acting == nil })
}

// heldAs is that with the steps that are in the way. The names of extra processes are not free.
func (s *Supervisor) heldAs(group string, inTheWay func(*step) bool) (b Block, yes bool) {
	if l := s.surgeOf(group); l != nil {
		return Block{l.op.id, l.op.paused && !l.undoing && len(l.waiting) > 0}, true
	}
	return s.heldFrom(Target{Group: group}, inTheWay)
}

// hinderedBy returns a step that is busy with the process of one that has not begun, and has to be over before that begins, nil when there is none. One
// begins with a process on which another rests; when that goes on, it waits.
func (st *step) hinderedBy() *step {
	for o := st.proc.step; o != nil; o = o.below() {
		if o == st || o.waits {
			continue
		}
		if a := st.op.acting; a == nil || o.hinders(st.change.Action == plan.StartProcess || a.again, a.now) {
			return o
		}
	}
	return nil
}

// nudge lets the Acts look again that may have waited for a step of a process.
func (s *Supervisor) nudge(p *proc) {
	for st := p.step; st != nil; st = st.below() {
		if st.waits && st.op.acting != nil {
			s.moved = append(s.moved, st.op)
		}
	}
}
