package core

import (
	"fmt"
	"slices"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// summons collects what has to be started for the sake of a process that somebody wants to start.
type summons struct {
	*Supervisor
	seen  map[*proc]bool
	list  []*proc // dependencies first
	fault *Fault
	// coming are those that would be started anyway, when nothing is started yet.
	coming map[*proc]bool
}

// Summon is a process that is started for the sake of another one, or one that depends on another one.
type Summon struct{ Process, For process.Namespec }

// Summons returns which processes an Act would start besides those that it names, and which of these it could not start because of what they depend on, with
// the reason. BadName for a target that names nothing.
func (s *Supervisor) Summons(do Act) (called []Summon, vain map[process.Namespec]string, f *Fault) {
	_, starts, f := s.touched(do)
	if f != nil {
		return nil, nil, f
	}
	coming := map[*proc]bool{}
	for _, p := range starts {
		coming[p] = do.Stop || !p.state.IsRunning()
	}
	vain = map[process.Namespec]string{}
	for _, p := range starts {
		if !coming[p] {
			continue
		}
		c := summons{Supervisor: s, seen: map[*proc]bool{}, coming: coming}
		if c.visit(p); c.fault != nil {
			vain[p.namespec()] = c.fault.Text
			continue
		}
		for _, m := range c.list {
			coming[m] = true
			called = append(called, Summon{m.namespec(), p.namespec()})
		}
	}
	return called, vain, nil
}

// Dependents returns the processes that run, depend on one of those that are named and would not find it or another one that will do when these do not run: what
// they depend on is For. They go on running all the same.
func (s *Supervisor) Dependents(targets []Target) (out []Summon, f *Fault) {
	named := map[*proc]bool{}
	for _, t := range targets {
		list, _, f := s.find(t)
		if f != nil {
			return nil, f
		}
		for _, p := range list {
			named[p] = true
		}
	}
	for _, g := range s.groups {
		for _, p := range g.members {
			if named[p] || p.state != process.Starting && p.state != process.Running {
				continue
			}
			for _, d := range p.spec.DependsOn {
				var lacks *proc
				serves := d.On == process.OnCompleted // it is not asked for again
				s.each(d, func(q *proc) {
					if serves = serves || !named[q] && q.standing(d.On) == holds; named[q] && lacks == nil {
						lacks = q
					}
				})
				if lacks != nil && !serves {
					out = append(out, Summon{p.namespec(), lacks.namespec()})
					break
				}
			}
		}
	}
	return out, nil
}

// summon starts what a process depends on and is not on its way, since somebody wants to start the process. It starts nothing, and says why, when
// something of it is not to be started: somebody else has said so.
func (s *Supervisor) summon(p *proc) *Fault {
	if len(p.spec.DependsOn) == 0 {
		return nil
	}
	c := summons{Supervisor: s, seen: map[*proc]bool{}}
	c.visit(p)
	if c.fault != nil {
		return c.fault
	}
	for _, m := range c.list {
		s.publish(Summoned{Group: m.group.name(), Name: m.name, For: p.namespec()})
		s.forgive(m)
		s.launch(m)
	}
	return nil
}

func (c *summons) visit(p *proc) {
	if c.seen[p] {
		return
	}
	c.seen[p] = true
	for _, d := range p.spec.DependsOn {
		if st, _ := c.stands(d); st == holds {
			continue
		}
		list, why := c.startable(d)
		if why != "" {
			c.fault = &Fault{Kind: SpawnError, Text: fmt.Sprintf("%v depends on %s, which %s", p.namespec(), d.Subject(), why)}
		}
		for _, m := range list {
			if c.fault == nil {
				c.visit(m)
			}
			if c.fault == nil && !m.gated && !slices.Contains(c.list, m) {
				c.list = append(c.list, m)
			}
		}
		if c.fault != nil {
			return
		}
	}
}

// startable returns the processes of a dependency that are to be started, and those that wait themselves; or why it cannot come to hold.
func (c *summons) startable(d process.Dependency) (list []*proc, why string) {
	var members, idle []*proc
	busy := false
	c.each(d, func(p *proc) {
		if p.goesAway() {
			return
		}
		members = append(members, p)
		again := p.state == process.Fatal || d.On == process.OnCompleted && p.state == process.Exited && p.standing(d.On) != holds
		switch {
		case p.gated:
			list = append(list, p)
		case c.coming[p] || p.step.brings() || p.rest() == plan.Up || d.On == process.OnCompleted && p.standing(d.On) == holds:
			busy = true
		case again && c.barred(p) == "":
			list = append(list, p)
		default:
			idle = append(idle, p)
		}
	})
	if busy || len(list) > 0 {
		return list, ""
	}
	if len(members) == 0 {
		return nil, "is not there"
	}
	idle = slices.DeleteFunc(idle, func(p *proc) bool { return c.barred(p) != "" })
	if slices.ContainsFunc(idle, func(p *proc) bool { return p.spec.Autostart }) {
		idle = slices.DeleteFunc(idle, func(p *proc) bool { return !p.spec.Autostart })
	}
	if len(idle) == 0 {
		return nil, c.barred(members[0])
	}
	return idle, ""
}

// barred says why a process that rests is not started for the sake of another one, "" if it is.
func (c *summons) barred(p *proc) string {
	switch mark := c.mark(p); {
	case p.state == process.Stopping || p.lastly:
		return "is being stopped"
	case p.state == process.Unknown:
		return "is in an unknown process state"
	case mark == Held:
		return "is held"
	case mark == Disabled:
		return "is disabled"
	case p.state == process.Stopped && p.reason == ReasonStop:
		return "was stopped on request"
	}
	return ""
}
