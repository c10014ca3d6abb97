package core

import (
	"slices"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// A line may have extra processes: members of the group that are there only while it lasts, with the new settings and names of their own. They come
// before anything that works is touched, prove themselves as replacements do, and then stand in for so many others of their program. What becomes of
// the line, they go with it.

// surging brings the extra processes of a line, and reports whether it has to wait for them.
func (s *Supervisor) surging(l *line) bool {
	g := s.named[l.group]
	for len(l.spares) > 0 {
		spec := l.spares[0]
		if g.byName[spec.Name] != nil { // the one before it, which has failed, is on its way out
			return true
		}
		l.spares = l.spares[1:]
		p := s.addMember(g, *spec)
		p.extra = true
		s.publish(MemberAdded{Group: l.group, Name: p.name})
		st := l.op.newStep(g, p, plan.Change{Action: plan.AddProcess, Group: l.group, Name: p.name, Spec: *spec})
		st.line = l
		l.extras = append(l.extras, st)
		s.begun(st)
		s.launchFor(p, ReasonUpdate)
		s.awaitStart(st)
	}
	return slices.ContainsFunc(l.extras, func(st *step) bool { return !st.ended })
}

// stands reports whether an extra process has proven itself and works.
func (st *step) stands() bool { return st.ended && st.proc.ready() }

// standIns is how many processes of a line that do not work have an extra one in their place: each one of its own program.
func (l *line) standIns(out []*proc) (n int) {
	free := map[string]int{}
	for _, st := range l.extras {
		if st.stands() {
			free[st.proc.spec.Program]++
		}
	}
	for _, p := range out {
		if program := p.spec.Program; free[program] > 0 {
			free[program]--
			n++
		}
	}
	return n
}

// most is how many of a line may be out of work at a time, if these are. Nothing is lost with one that does not work anyway, and on the way back one may
// always be: what works has to be replaced by what did, also when the new release has no process left that stands in.
func (l *line) most(next *step, out []*proc) int {
	of := func(program string) bool {
		return program == next.proc.spec.Program
	}
	surges := slices.ContainsFunc(l.extras, func(st *step) bool { return of(st.proc.spec.Program) }) ||
		slices.ContainsFunc(l.spares, func(spec *process.Spec) bool { return of(spec.Program) })
	most := l.roll.Most(l.size()) + l.standIns(out)
	if !surges || l.undoing || !next.proc.ready() {
		return max(1, most)
	}
	return most
}

// faint returns the steps of extra processes that were good and do not work any more, but may again.
func (l *line) faint() (list []*step) {
	for _, st := range l.extras {
		if st.ended && st.proc.missing() {
			list = append(list, st)
		}
	}
	return list
}

// idle returns the step of an extra process because of which a line cannot go on: somebody has stopped it, or it has ended and is not started again.
func (l *line) idle(next *step) *step {
	if l.undoing || len(l.busy) > 0 || len(l.lapsed())+len(l.faint()) > 0 {
		return nil
	}
	for _, st := range l.extras {
		if st.ended && !st.proc.ready() && st.proc.spec.Program == next.proc.spec.Program {
			return st
		}
	}
	return nil
}

// shed takes those extra processes out of their group that have failed. When the line goes on others are to take their place.
func (s *Supervisor) shed(l *line) {
	for _, st := range l.failed {
		s.dismiss(l, st)
		spec := st.change.Spec
		l.spares = append(l.spares, &spec)
	}
	l.failed = nil
}

// disband ends what a line has extra processes for.
func (s *Supervisor) disband(l *line) {
	s.due.disarm(&l.due)
	list := slices.Concat(l.failed, l.extras)
	l.failed, l.extras, l.spares = nil, nil, nil
	for _, st := range list {
		s.dismiss(l, st)
	}
	if l.surges {
		l.surges = false
		s.lessOne(l.op.request)
	}
}

// dismiss stops an extra process and removes it. While everything is being stopped it is stopped in its turn, as all are.
func (s *Supervisor) dismiss(l *line, st *step) {
	p := st.proc
	st.line = nil
	if !st.ended {
		s.due.disarm(&st.due)
		p.forget(st)
		f := &Fault{Kind: Cancelled, Text: "not needed any more"}
		if s.quitting() {
			f = &Fault{Kind: ShutdownState}
		}
		s.over(st, f)
	}
	if s.quitting() || s.procs[p.id] != p || p.fate == goes {
		return
	}
	remove := l.op.newStep(p.group, p, plan.Change{Action: plan.RemoveProcess, Group: p.group.name(), Name: p.name, Spec: *p.spec})
	s.removePlanned(remove)
}

// surgeOf returns the line of a group that has or may get extra processes, nil when there is none: their names are not free.
func (s *Supervisor) surgeOf(group string) *line {
	for _, l := range s.lines {
		if l.surges && l.group == group {
			return l
		}
	}
	return nil
}
