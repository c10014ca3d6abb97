package core

import (
	"slices"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// apply carries out a plan. Surplus members meet the given end: with goes they are stopped and removed, and the request waits for that;
// with leaves they are only marked.
func (s *Supervisor) apply(id Req, p plan.Plan, end fate) {
	g := s.named[p.Group]
	switch {
	case g == nil || s.manifestGroup(g).Hash() != p.Base:
		s.answer(id, &Fault{Kind: Stale, Text: p.Group + " has changed since the plan was made"})
		return
	case p.Refusal != nil:
		s.answer(id, &Fault{Kind: Failed, Text: p.Refusal.Text})
		return
	}
	r := s.open(id, false)
	r.reply.Applied = &Applied{}

	var starts, surplus []*proc
	for _, c := range p.Changes {
		switch c.Action {
		case plan.AddProcess:
			starts = append(starts, s.addMember(g, c.Spec))
			s.publish(MemberAdded{Group: p.Group, Name: c.Name})
			r.reply.Applied.Added = append(r.reply.Applied.Added, c.Name)
		case plan.ReturnProcess:
			if m := g.byName[c.Name]; s.comeBack(m) {
				starts = append(starts, m)
			}
			r.reply.Applied.Added = append(r.reply.Applied.Added, c.Name)
		case plan.RemoveProcess:
			surplus = append(surplus, g.byName[c.Name])
		}
	}
	g.adopt(p.Desired)
	s.revision++

	g.byOrder(starts)
	sortAscending(starts)
	for _, m := range s.dependenciesFirst(starts) {
		if m.spec.Autostart && s.mark(m) == Free || m.state == process.Exited {
			s.launch(m)
		}
	}
	g.byOrder(surplus)
	sortDescending(surplus)
	for _, m := range s.dependentsFirst(surplus) {
		s.letGo(m, end, waiter{request: r})
	}
	s.shut(r)
}

// adopt makes the desired spec the group's own: from now on a comparison with it finds nothing but the surplus. A group that was to go, and
// could not, is wanted again.
func (g *group) adopt(desired process.GroupSpec) {
	place := map[string]int{}
	for i, spec := range desired.Processes {
		place[spec.Name] = i - len(desired.Processes) // negative: before all others
	}
	slices.SortStableFunc(g.members, func(a, b *proc) int { return place[a.name] - place[b.name] })
	g.spec = desired
	g.spec.Processes = nil
	g.ending = false
}

// byOrder sorts processes by their place in the group.
func (g *group) byOrder(list []*proc) {
	if len(list) < 2 {
		return
	}
	place := make(map[*proc]int, len(g.members))
	for i, p := range g.members {
		place[p] = i
	}
	slices.SortFunc(list, func(a, b *proc) int { return place[a] - place[b] })
}

// comeBack keeps a leaving member after all and reports whether it is to be started now.
func (s *Supervisor) comeBack(p *proc) bool {
	p.fate, p.lazy = stays, false
	s.shift()
	if p.lastly && p.reason.surplus() { // it has not been told
		s.pend(&p.lastly, false)
	}
	s.releaseWith(p, forGone, func(waiter) *Fault {
		return &Fault{Kind: Failed, Text: p.namespec().String() + " stays, by a later change"}
	})
	if !s.opts.Quirks.KeepBackoff && p.pid == 0 {
		p.tries = 0
	}
	switch p.state {
	case process.Stopped:
		return p.spec.Autostart
	case process.Exited:
		return s.revives(p)
	case process.Stopping:
		p.again = p.spec.Autostart
	}
	return false
}

// letGo begins the end of a surplus member. With goes, w waits until it is gone.
func (s *Supervisor) letGo(p *proc, end fate, w waiter) {
	w.what, w.text, w.stopped = forGone, p.namespec().String(), !p.state.IsStopped()
	p.again = false
	p.short = 0
	s.unwait(p, AbnormalTermination)
	if p.fate != goes {
		p.fate = end
	}
	s.shift()
	if p.state == process.Exited {
		s.unplan(p) // no next life
	}
	if p.state == process.Backoff {
		s.stopped(p, nil)
	}
	if end != goes {
		return
	}
	if w.request != nil {
		w.request.left++
	}
	p.waiters = append(p.waiters, w)
	switch {
	case p.state.IsStopped():
		s.settled = append(s.settled, p)
	case p.abandoned:
		s.release(p, &Fault{Kind: Failed, Text: p.namespec().String() + " cannot be killed"}, forGone)
	case p.state == process.Stopping:
		s.reportStop(p)
	default:
		s.haltInTurn(p, p.surplus())
		s.reportStop(p)
	}
}
