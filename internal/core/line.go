package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// readyWait is how long a process may take to become ready where its settings do not say.
const readyWait = time.Minute

// line holds the replacements of one group: so many at a time that the others go on working, as its roll says.
type line struct {
	op      *operation
	group   string
	roll    process.Roll
	waiting []*step
	busy    []*step // begun and not over: their processes do not work, or are on trial
	done    []*step // over: their processes have to go on working
	after   []*line // that have to be over before it begins
	cause   string  // the process because of which it turned round or came to an end; "" = it did not
	undoing bool    // those that were replaced get back what they had
	due     deadline

	surges bool            // it has, or has had, processes that are there only while it lasts
	spares []*process.Spec // those of them that have not come yet
	extras []*step         // those that have
	failed []*step         // those that have to go
}

// newLine makes the line for a plan's replacements. Somebody may have said how they are to be made.
func newLine(op *operation, p plan.Plan, roll *process.Roll) *line {
	l := &line{op: op, group: p.Group, roll: p.Roll(), surges: len(p.Surge) > 0}
	for _, spec := range p.Surge {
		l.spares = append(l.spares, &spec)
	}
	if l.surges {
		op.request.left++ // until they are gone
	}
	if roll != nil {
		l.roll = *roll
	}
	l.due.fire, l.due.line = actLine, l
	return l
}

// shift lets lines, and processes that wait for others, look at the end of this step of the machine whether they can go on.
func (s *Supervisor) shift() {
	s.shifted = s.shifted || len(s.lines) > 0
	s.stirred = s.stirred || s.pending > 0
}

// advanceLines lets the lines go on for which something has changed. A line that is at its end is forgotten.
func (s *Supervisor) advanceLines() {
	for s.shifted {
		s.shifted = false
		for _, l := range slices.Clone(s.lines) {
			s.advance(l)
		}
		s.lines = slices.DeleteFunc(s.lines, func(l *line) bool {
			over := len(l.waiting)+len(l.busy) == 0
			if over {
				s.disband(l)
			}
			return over
		})
	}
}

// advance begins the replacements that there is room for.
func (s *Supervisor) advance(l *line) {
	if d := l.givenUp(); d != nil {
		s.fail(l, d)
	}
	s.shed(l)
	for len(l.waiting) > 0 {
		next := s.nextOf(l)
		failed, behind := l.behind()
		switch {
		case s.quitting():
			s.skip(l.empty(), &Fault{Kind: ShutdownState})
			return
		case l.op.cancelled && !l.undoing:
			s.skip(l.empty(), &Fault{Kind: Cancelled, Text: "cancelled before its turn"})
			return
		case failed != "":
			s.leaveOut(l, failed)
			return
		case l.op.paused && !l.undoing:
			s.due.disarm(&l.due) // its patience begins anew when it goes on
			return
		case behind, next == nil:
			return
		case !l.undoing && next.proc.ready() && s.surging(l):
			return
		case !s.room(l, next):
			if st := l.idle(next); st != nil && st.proc.taken() {
				s.endLine(l, st)
				return
			} else if st != nil {
				s.fail(l, st)
				s.shed(l)
				continue
			}
			return
		}
		l.waiting = slices.DeleteFunc(l.waiting, func(st *step) bool { return st == next })
		next.waits = false
		l.busy = append(l.busy, next)
		s.replace(next)
	}
}

// nextOf is the replacement of a line that is to begin first: of a process that does not work, if there is one. Nil: none can begin yet.
func (s *Supervisor) nextOf(l *line) *step {
	if i := slices.IndexFunc(l.waiting, func(st *step) bool { return st.missing() && st.hinderedBy() == nil }); i >= 0 {
		return l.waiting[i]
	}
	if i := slices.IndexFunc(l.waiting, func(st *step) bool { return !s.early(st) && st.hinderedBy() == nil }); i >= 0 {
		return l.waiting[i]
	}
	return nil
}

// missing reports whether a process ought to be at work and is not.
func (p *proc) missing() bool { return !p.ready() && p.rest() == plan.Up }

// missing reports the same of a process that waits in a line: also of one that rests, if the step starts it.
func (st *step) missing() bool { return st.proc.missing() || st.starting() }

// starting reports whether a step that has not begun starts a process that rests.
func (st *step) starting() bool {
	s := st.proc.state
	return st.change.Retry && (s == process.Fatal || st.undo && s == process.Exited) || st.revives() && s == process.Stopped
}

// revives reports whether a step gives what was there back to a process that worked then, and that nobody but its alive_action has stopped since.
func (st *step) revives() bool { return st.undo && st.change.Retry && st.proc.hung }

// room reports whether a process of the line may be taken from its work now. The patience with those that have ceased to work is limited.
func (s *Supervisor) room(l *line, next *step) bool {
	p := next.proc
	if p.rest() != plan.Up && p.state != process.Stopping && !p.lastly && !next.starting() {
		return true // it takes its new settings, and nothing else happens
	}
	var out []*proc
	for _, b := range l.busy {
		out = append(out, b.proc)
	}
	if p.ready() {
		for _, d := range l.lapsed() {
			out = append(out, d.proc)
		}
		for _, st := range l.waiting {
			if st.missing() {
				out = append(out, st.proc)
			}
		}
	}
	most := l.most(next, append(slices.Clone(out), p))
	proven := 0
	for _, d := range l.done {
		if d.running {
			proven++
		}
	}
	if c := l.roll.Canary; !l.undoing && proven < c {
		most = min(most, c-proven)
	}
	lapsed := append(l.lapsed(), l.faint()...)
	switch {
	case len(out) < most:
		s.due.disarm(&l.due)
		return true
	case len(l.busy) == 0 && !l.due.armed() && len(lapsed) > 0:
		s.due.arm(&l.due, s.now.Mono+cmp.Or(lapsed[0].proc.spec.Health.ReadyWait, readyWait))
	}
	return false
}

// size is the number of processes that the line is about.
func (l *line) size() int { return len(l.waiting) + len(l.busy) + len(l.done) }

// lapsed returns the steps that were good, and whose processes do not work any more.
func (l *line) lapsed() (list []*step) {
	for _, d := range l.done {
		if d.proc.missing() {
			list = append(list, d)
		}
	}
	return list
}

// givenUp returns a step that was good, and whose process could not be started again, or was stopped for good because it was not alive. Nil: there is none, or nothing follows from it any more.
func (l *line) givenUp() *step {
	if l.undoing || len(l.waiting) == 0 || l.op.paused {
		return nil
	}
	for _, d := range slices.Concat(l.done, l.extras) {
		if d.running && d.ended && (d.proc.state == process.Fatal || d.proc.hung) {
			return d
		}
	}
	return nil
}

// relapsed ends the patience with processes that were replaced and do not work any more.
func (s *Supervisor) relapsed(l *line) {
	if list := append(l.lapsed(), l.faint()...); len(list) > 0 && !l.undoing {
		s.fail(l, list[0])
	}
}

// replace begins a replacement. A process that is down only takes its new settings, unless it had been given up.
func (s *Supervisor) replace(st *step) {
	p, starts := st.proc, st.starting()
	st.oldPID = p.pid
	if f := s.vain(st); f != nil {
		s.over(st, f)
		return
	}
	switch {
	case p.gated && p.state.IsStopped():
		s.waitsOn(st)
	case p.state == process.Stopping || p.lastly:
		s.awaitEnd(st, p.again || st.revives())
	case p.state.IsRunning() || p.restarting():
		s.forgive(p)
		s.awaitEnd(st, true)
		s.halt(p, ReasonUpdate)
		s.reportStop(p)
	default:
		s.renew(st)
		if starts {
			s.begun(st)
			s.launchFor(p, ReasonUpdate)
			s.awaitStart(st)
			return
		}
		s.over(st, nil)
	}
}

// leaveLine takes notice of the end of a replacement.
func (s *Supervisor) leaveLine(st *step, f *Fault) {
	l := st.line
	l.busy = slices.DeleteFunc(l.busy, func(b *step) bool { return b == st })
	s.shift()
	switch {
	case f != nil && f.Kind == ShutdownState:
	case st.undo:
		if f != nil && f.Kind != Cancelled {
			s.keepWorking(l, st)
		}
	case l.undoing:
		s.undo(l, st)
	case f == nil && st.proc.extra:
	case f == nil:
		l.done = append(l.done, st)
	case f.Taken:
		s.endLine(l, st)
	default:
		s.fail(l, st)
	}
}

// endLine leaves all as it is that waits in a line, since somebody has stopped one of its processes: those that were replaced keep what they have.
func (s *Supervisor) endLine(l *line, st *step) {
	l.cause = st.change.Name
	s.due.disarm(&l.due)
	s.skip(l.empty(), &Fault{Kind: Cancelled, Text: "left as it was, since " + l.cause + " was stopped"})
}

// keepWorking leaves those with what they have that work and were to go back, since one that went has failed: what was there before does not work either.
func (s *Supervisor) keepWorking(l *line, st *step) {
	var works []*step
	l.waiting = slices.DeleteFunc(l.waiting, func(w *step) bool {
		if w.proc.ready() {
			works = append(works, w)
			return true
		}
		return false
	})
	s.skip(works, &Fault{Kind: Cancelled, Text: "keeps what it has, since " + st.change.Name + " does not work with what it had before"})
}

// fail ends a line because of one of its steps, lets it wait for somebody's decision, or turns it round, as its roll says.
func (s *Supervisor) fail(l *line, st *step) {
	l.cause = st.change.Name
	left := &Fault{Kind: Cancelled, Text: "left as it was, since " + l.cause + " failed"}
	s.due.disarm(&l.due)
	if st.proc.extra {
		st.proc.fate = leaves // it is not started again
		l.extras = slices.DeleteFunc(l.extras, func(e *step) bool { return e == st })
		l.failed = append(l.failed, st)
	}
	switch {
	case s.quitting():
		return
	case l.roll.OnFailure == process.RollPause:
		l.done = slices.DeleteFunc(l.done, func(d *step) bool { return d == st }) // it is known, and not in the way any more
		if s.pausable(l.op) {
			s.pause(l.op, true, st.proc.namespec().String())
		}
		return
	case l.roll.OnFailure == process.RollStop:
		s.skip(l.empty(), left)
		return
	}
	l.undoing = true
	rest, back := l.empty(), l.done
	l.done = nil
	if !slices.Contains(back, st) {
		back = append(back, st)
	}
	for _, d := range back { // before the others are over: with the last of all the operation is
		s.undo(l, d)
	}
	s.skip(rest, left)
	for _, b := range slices.Clone(l.busy) {
		if b.trial != 0 {
			s.due.disarm(&b.due)
			b.proc.forget(b)
			b.trial = 0
			s.over(b, b.verdict())
		}
	}
}

// pausable reports whether an operation has replacements that wait: with none left there is nothing to decide.
func (s *Supervisor) pausable(op *operation) bool {
	return slices.ContainsFunc(s.lines, func(l *line) bool { return l.op == op && !l.undoing && len(l.waiting) > 0 })
}

// late reports whether the line of a replacement has turned round since it began.
func (st *step) late() bool { return st.line != nil && st.line.undoing && !st.undo }

// verdict is how a replacement of which nothing is wrong is over: one that is late has not been made, or is taken back.
func (st *step) verdict() *Fault {
	if st.late() {
		return &Fault{Kind: Cancelled, Text: "taken back, since " + st.line.cause + " failed"}
	}
	return nil
}

// undo has a process get back what it had before a step, in its turn. One that is not there any more, or is somebody else's by now, keeps what it has.
func (s *Supervisor) undo(l *line, st *step) {
	p := st.proc
	if st.old == nil || s.procs[p.id] != p || p.fate != stays {
		return
	}
	c := plan.Change{Action: plan.ReplaceProcess, Group: st.group, Name: p.name, Spec: *st.old, Retry: st.oldPID != 0 && st.starts}
	if st.running && !c.Retry { // it rested before
		s.unwait(p, AbnormalTermination)
	}
	if p.step != nil {
		r := StepResult{Group: st.group, Name: p.name, Action: c.Action, OldPID: p.pid, PID: p.pid, Undo: true}
		r.Fault = &Fault{Kind: Cancelled, Text: "another operation has it"}
		s.ended(l.op, r)
		return
	}
	back := l.op.newStep(p.group, p, c)
	back.undo, back.line = true, l
	back.waits = true
	l.waiting = append(l.waiting, back)
	s.shift()
}

// empty takes all out of a line that wait in it.
func (l *line) empty() []*step {
	rest := l.waiting
	l.waiting = nil
	return rest
}

// giveUpLine takes out of its line what rests there of a group that is removed.
func (s *Supervisor) giveUpLine(g *group) {
	for _, l := range s.lines {
		if l.group == g.name() && l.op.paused && !l.undoing {
			s.skip(l.empty(), &Fault{Kind: Cancelled, Text: "its group was removed"})
		}
	}
}

// skip leaves those as they are that have waited in a line.
func (s *Supervisor) skip(rest []*step, f *Fault) {
	for _, st := range rest {
		st.line = nil
		s.over(st, f)
	}
}
