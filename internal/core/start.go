package core

import (
	"cmp"
	"slices"

	"github.com/graced/graced/internal/process"
)

// find resolves a target. A fault is a name that names nothing.
func (s *Supervisor) find(t Target) (list []*proc, single bool, f *Fault) {
	if t.All {
		for _, g := range s.groups {
			list = append(list, g.members...)
		}
		return list, false, nil
	}
	g := s.named[t.Group]
	if g == nil {
		return nil, false, &Fault{Kind: BadName, Text: t.Text}
	}
	if t.Process == "" {
		return slices.Clone(g.members), false, nil
	}
	p := g.byName[t.Process]
	if p == nil {
		return nil, true, &Fault{Kind: BadName, Text: t.Text}
	}
	return []*proc{p}, true, nil
}

// sortAscending orders by priority of the group, then of the process; what is equal keeps its place (contract: process, Ordering).
func sortAscending(list []*proc) {
	slices.SortStableFunc(list, ascending)
}

func ascending(a, b *proc) int { return inOrder(a, b, 1) }

// inOrder compares by priority of the group, then of the process, up (1) or down (-1). Groups of one priority keep their order either way.
func inOrder(a, b *proc, up int) int {
	if c := cmp.Compare(a.group.spec.Priority, b.group.spec.Priority); c != 0 {
		return c * up
	}
	if a.group != b.group {
		return cmp.Compare(a.group.rank, b.group.rank)
	}
	return cmp.Compare(a.spec.Priority, b.spec.Priority) * up
}

// sortDescending is the order of stopping: the highest priority first; what is equal keeps its place.
func sortDescending(list []*proc) {
	slices.SortStableFunc(list, descending)
}

func descending(a, b *proc) int { return inOrder(a, b, -1) }

// start carries out a Start. Of several processes those that do not count as running are touched.
func (s *Supervisor) start(id Req, do Start) {
	list, r := s.openFor(id, do.Target, sortAscending)
	if r == nil {
		return
	}
	for _, p := range s.dependenciesFirst(list) {
		text := do.Target.Text
		if !r.single {
			if p.state.IsRunning() || p.fate != stays {
				continue
			}
			text = p.namespec().String()
		}
		s.startOne(r, p, text, do)
	}
	s.shut(r)
}

// startOne starts one process by request.
func (s *Supervisor) startOne(r *request, p *proc, text string, do Start) {
	if f := s.startFault(p, text, do.Refused[p.id]); f != nil {
		if s.opts.Quirks.SilentStart && !do.Wait && f.Kind == AbnormalTermination { // compat: quirk C3
			f = nil
		}
		s.done(r, p, f)
		return
	}
	if f := s.summon(p); f != nil {
		s.done(r, p, f)
		return
	}
	s.forgive(p)
	s.launch(p)
	if p.gated && !do.Wait { // which may be long
		s.done(r, p, nil)
		return
	}
	what := forForked
	if do.Wait {
		what = forRunning
	}
	s.await(r, p, waiter{what: what, text: text})
}

// startFault says why a process is not started by request; nil: it is. refused is what was found about its command.
func (s *Supervisor) startFault(p *proc, text string, refused *Fault) *Fault {
	switch {
	case refused != nil: // compat: the command is checked before the state, also of a process that runs (quirk C11).
		return refused
	case p.fate != stays:
		return &Fault{Kind: Failed, Text: p.namespec().String() + " is being removed"}
	}
	switch p.state {
	case process.Starting, process.Running, process.Backoff:
		if p.lastly {
			return &Fault{Kind: AbnormalTermination, Text: text}
		}
		return &Fault{Kind: AlreadyStarted, Text: text} // compat: BACKOFF counts as started (quirk C4).
	case process.Unknown:
		return &Fault{Kind: Failed, Text: text + " is in an unknown process state"}
	case process.Stopping:
		return &Fault{Kind: AbnormalTermination, Text: text}
	}
	return nil
}

// forgive forgets the failures and the short lives of a process, since somebody wants something of it.
func (s *Supervisor) forgive(p *proc) {
	if !s.opts.Quirks.KeepBackoff { // compat: quirk C2
		p.tries = 0
	}
	p.short = 0
}
