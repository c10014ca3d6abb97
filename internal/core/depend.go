package core

import (
	"slices"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// A process that is to start waits, in the state that it is in, until what it depends on is there. Whether that is so is looked at where the start is
// decided, and again at the end of each step of the machine in which a process has changed: nothing is polled, and nothing else is held up.

// standing says how a dependency stands.
type standing int

const (
	holds standing = iota
	comes          // it may come to hold by itself
	stuck          // it does not before somebody does something
)

// each calls f for every process that a dependency is about. Nothing depends on a process that is there only while others are replaced.
func (s *Supervisor) each(d process.Dependency, f func(*proc)) {
	g := s.named[d.Name.Group]
	switch {
	case !d.Name.WholeGroup():
		if g != nil && g.byName[d.Name.Process] != nil {
			f(g.byName[d.Name.Process])
		}
	case g != nil:
		for _, p := range g.members {
			if !p.extra {
				f(p)
			}
		}
	default:
		for _, g := range s.groups {
			for _, p := range g.members {
				if p.spec.Program == d.Name.Group && !p.extra {
					f(p)
				}
			}
		}
	}
}

// dependsOn reports whether one process depends on another.
func (s *Supervisor) dependsOn(q, p *proc) bool {
	return !p.extra && slices.ContainsFunc(q.spec.DependsOn, func(d process.Dependency) bool {
		return d.Means(p.namespec(), p.spec.Program, s.named[d.Name.Group] != nil)
	})
}

// stands says how a dependency stands, and in a few words what of it is in the way. Of a group those count that are wanted up, and there has to be one.
func (s *Supervisor) stands(d process.Dependency) (st standing, text string) {
	var first, worst *proc
	found := false
	s.each(d, func(p *proc) {
		if p.goesAway() {
			return
		}
		if first == nil {
			first = p
		}
		if !p.counts(d) {
			return
		}
		found = true
		if is := p.standing(d.On); is > st {
			st, worst = is, p
		}
	})
	switch {
	case found && worst == nil:
		return holds, ""
	case first == nil:
		if g := s.named[d.Name.Group]; g != nil && g.successor != nil {
			return comes, d.Subject() + ": being replaced"
		}
		return stuck, d.Subject() + ": not there"
	case worst == nil:
		st, worst = stuck, first
	}
	text = d.Subject() + ": "
	if d.Name.WholeGroup() && worst.name != d.Name.Group {
		text += worst.name + " "
	}
	return st, text + worst.condition(d.On)
}

// goesAway reports whether a process is on its way out of its group, or about to be.
func (p *proc) goesAway() bool {
	return p.fate != stays || p.step != nil && p.step.change.Action == plan.RemoveProcess
}

// counts reports whether a process is one of those that a dependency waits for.
func (p *proc) counts(d process.Dependency) bool {
	return !d.Name.WholeGroup() || p.rest() != plan.AtRest || p.step.brings() || d.On == process.OnCompleted && p.state == process.Exited
}

// standing says how a process stands to a condition.
func (p *proc) standing(on process.Condition) standing {
	good := p.state == process.Running && !p.lastly && (on == process.OnStarted || on == process.OnReady && p.ready())
	if on == process.OnCompleted {
		good = p.state == process.Exited && p.hasExit && p.exit.Clean(p.spec.ExitCodes)
	}
	switch {
	case good:
		return holds
	case p.step.brings():
		return comes
	case p.gated && p.forlorn, p.lastly:
		return stuck
	case p.rest() == plan.Up:
		return comes
	}
	return stuck
}

// condition says in a word or two why a process is not what it is waited for to be.
func (p *proc) condition(on process.Condition) string {
	switch {
	case p.gated:
		return "waits, too"
	case p.lastly:
		return "about to stop"
	case p.state == process.Running && on == process.OnCompleted:
		return "not completed"
	case p.state == process.Running:
		return "not ready"
	case p.state == process.Exited && on == process.OnCompleted && p.hasExit:
		return p.exit.String()
	}
	return p.state.String()
}

// brings reports whether a step leads to a start of its process.
func (st *step) brings() bool {
	switch {
	case st == nil || st.change.Action == plan.RemoveProcess || st.rests():
		return false
	case st.change.Action == plan.StopProcess:
		return st.then != nil && !st.then.ended
	}
	return true
}

// unmet says how the worst of what a process depends on stands. One that starts anew, by itself, does not look for what has been completed again.
func (s *Supervisor) unmet(list []process.Dependency, anew bool) (worst standing, text string) {
	return s.unmetAs(nil, list, anew)
}

// verdict is how a dependency stands, in words as well.
type verdict struct {
	standing
	text string
}

// unmetAs does the same with what is known of dependencies already, to which it adds; nil = nothing, and nothing is kept.
func (s *Supervisor) unmetAs(known map[process.Dependency]verdict, list []process.Dependency, anew bool) (worst standing, text string) {
	for _, d := range list {
		if anew && d.On == process.OnCompleted {
			continue
		}
		v, ok := known[d]
		if !ok {
			v.standing, v.text = s.stands(d)
			if known != nil {
				known[d] = v
			}
		}
		if v.standing > worst {
			worst, text = v.standing, "waits for "+v.text
		}
	}
	return worst, text
}

// launch starts a process, or has it wait for what it depends on.
func (s *Supervisor) launch(p *proc) { s.launchFor(p, ReasonStart) }

// launchFor is launch, for a reason.
func (s *Supervisor) launchFor(p *proc, why Reason) {
	if s.holdBack(p, false) {
		p.reason = why
		return
	}
	s.spawnFor(p, why)
}

// holdBack has a process wait for what it depends on, if that is not there. Anew: it starts by itself.
func (s *Supervisor) holdBack(p *proc, anew bool) bool {
	st, text := s.unmet(p.spec.DependsOn, anew)
	if st == holds {
		return false
	}
	p.again, p.held, p.anew = false, false, anew
	if !p.gated {
		p.forlorn = st == stuck
		s.pend(&p.gated, true)
		s.publish(WaitsFor{Group: p.group.name(), Name: p.name, Text: text})
	}
	return true
}

// unwait lets a process wait no longer, which is not started.
func (s *Supervisor) unwait(p *proc, kind FaultKind) {
	if p.gated {
		s.pend(&p.gated, false)
		s.unready(p, kind)
	}
}

// unpend clears the marks of a process that is removed.
func (s *Supervisor) unpend(p *proc) {
	s.unwait(p, AbnormalTermination)
	if p.lastly { // it has ended by itself
		s.pend(&p.lastly, false)
		s.release(p, nil, forSignalled|forStopped)
	}
	s.pend(&p.fallen, false)
	s.dependers = nil
	s.shift()
}

// pend sets or clears one of the marks of processes that are looked at when another one has changed.
func (s *Supervisor) pend(mark *bool, on bool) {
	if *mark == on {
		return
	}
	*mark = on
	if on {
		s.pending++
	} else {
		s.pending--
	}
	s.revision++
	s.stirred = true
}

// pended returns the processes that a filter lets through, in order of priority and dependencies first.
func (s *Supervisor) pended(is func(*proc) bool) (list []*proc) {
	for _, g := range s.groups {
		for _, p := range g.members {
			if is(p) {
				list = append(list, p)
			}
		}
	}
	sortAscending(list)
	return s.dependenciesFirst(list)
}

// passOn goes on with what has waited for other processes, as far as these have come or gone.
func (s *Supervisor) passOn() {
	for s.stirred {
		if s.stirred = false; s.pending == 0 {
			return
		}
		s.haltNext()
		s.openGates()
		s.lookAtFallen()
	}
}

// openGates starts what has waited for nothing but what is there now. Who waits for the start of a process that waits in vain is told so.
func (s *Supervisor) openGates() {
	if !s.gatesMove() {
		return
	}
	for _, p := range s.pended(func(p *proc) bool { return p.gated }) {
		if !p.gated {
			continue
		}
		if s.quitting() {
			s.unwait(p, ShutdownState)
			continue
		}
		st, text := s.unmet(p.spec.DependsOn, p.anew)
		if st == holds {
			s.pend(&p.gated, false)
			if p.anew {
				s.next(p)
			} else {
				s.spawnFor(p, p.reason)
			}
			continue
		}
		if vain := st == stuck; p.forlorn != vain {
			p.forlorn, s.stirred = vain, true
			if vain {
				s.publish(WaitsFor{Group: p.group.name(), Name: p.name, Text: text})
			}
		}
		if p.forlorn {
			s.releaseWith(p, forForked|forRunning|forReady|forUnready, func(w waiter) *Fault { return &Fault{Kind: SpawnError, Text: w.text + " " + text} })
		}
	}
}

// gatesMove reports whether there is anything to do for those that wait. Many may wait for the same.
func (s *Supervisor) gatesMove() bool {
	known := map[process.Dependency]verdict{}
	for _, g := range s.groups {
		for _, p := range g.members {
			if !p.gated {
				continue
			}
			st, _ := s.unmetAs(known, p.spec.DependsOn, p.anew)
			if s.quitting() || st == holds || p.forlorn != (st == stuck) || p.forlorn && len(p.waiters) > 0 {
				return true
			}
		}
	}
	return false
}

// waits says what a process waits for, "" for any that does not.
func (s *Supervisor) waits(p *proc) string {
	switch {
	case p.gated:
		_, text := s.unmet(p.spec.DependsOn, p.anew)
		return text
	case p.lastly:
		if q := s.before(p); q != nil {
			return "stops after " + q.namespec().String()
		}
	}
	return s.heldFor(p)
}

// circle refuses plans after which programs would depend on one another in a circle.
func (s *Supervisor) circle(plans []plan.Plan) *Fault {
	c := plan.Update{Plans: plans}.Circle(s.Manifest())
	if c == nil {
		return nil
	}
	return &Fault{Kind: Failed, Text: "programs would depend on one another in a circle: " + process.CycleText(c)}
}

// additions are the plans that make groups what they are to be, as far as dependencies are concerned.
func additions(groups []process.GroupSpec) (plans []plan.Plan) {
	for _, g := range groups {
		plans = append(plans, plan.Plan{Group: g.Name, Scope: plan.AddGroup, Desired: g})
	}
	return plans
}

// dependenciesFirst brings processes into an order in which each comes after what it depends on, and which is the given one otherwise.
func (s *Supervisor) dependenciesFirst(list []*proc) []*proc {
	if !slices.ContainsFunc(list, func(p *proc) bool { return len(p.spec.DependsOn) > 0 }) {
		return list
	}
	wanted, seen, named := make(map[*proc]bool, len(list)), map[*proc]bool{}, map[process.Namespec]bool{}
	for _, p := range list {
		wanted[p] = true
	}
	out := list[:0:0]
	var visit func(*proc)
	visit = func(p *proc) {
		if seen[p] {
			return
		}
		seen[p] = true
		for _, d := range p.spec.DependsOn {
			if !named[d.Name] {
				named[d.Name] = true
				s.each(d, visit)
			}
		}
		if wanted[p] {
			out = append(out, p)
		}
	}
	for _, p := range list {
		visit(p)
	}
	return out
}

// dependentsFirst is the opposite, for stops.
func (s *Supervisor) dependentsFirst(list []*proc) []*proc {
	if !slices.ContainsFunc(list, func(p *proc) bool { return len(p.spec.DependsOn) > 0 }) {
		return list
	}
	list = slices.Clone(list)
	slices.Reverse(list)
	list = s.dependenciesFirst(list)
	slices.Reverse(list)
	return list
}
