package core

import (
	"slices"

	"github.com/graced/graced/internal/process"
)

// Of processes that are stopped together, those go first on which no other one depends; the others get their signals when these have ended.

// alive reports whether there is a process, or may be, that is waited for to end.
func (p *proc) alive() bool { return p.state.IsSignallable() && !p.abandoned }

// ending reports whether a process that is there is to be stopped: already, in its turn, or with everything.
func (s *Supervisor) ending(p *proc) bool {
	return p.alive() && (p.state == process.Stopping || p.lastly || s.quitting())
}

// depending returns the processes that depend on others.
func (s *Supervisor) depending() []*proc {
	if s.dependers == nil {
		s.dependers = []*proc{}
		for _, g := range s.groups {
			for _, p := range g.members {
				if len(p.spec.DependsOn) > 0 {
					s.dependers = append(s.dependers, p)
				}
			}
		}
	}
	return s.dependers
}

// before returns a process that is to be stopped before another one, and has not ended; nil if there is none.
func (s *Supervisor) before(p *proc) *proc {
	for _, q := range s.depending() {
		if q != p && s.ending(q) && s.dependsOn(q, p) {
			return q
		}
	}
	return nil
}

// haltInTurn stops a process once what depends on it, and is to be stopped as well, has ended.
func (s *Supervisor) haltInTurn(p *proc, why Reason) {
	if q := s.before(p); q != nil && (p.state == process.Running || p.state == process.Starting) {
		if !p.lastly || !why.surplus() { // what somebody has asked for counts, also when the process stays after all
			p.reason = why
		}
		if !p.lastly {
			s.pend(&p.lastly, true)
			s.publish(StopsAfter{Group: p.group.name(), Name: p.name, Other: q.namespec()})
		}
		return
	}
	s.halt(p, why)
}

// surplus reports whether a process is stopped only because it goes.
func (r Reason) surplus() bool { return r == ReasonUpdate || r == ReasonScaleDown }

// haltAll stops a process, since everything is stopped, and before it what depends on it, whatever group that is in.
func (s *Supervisor) haltAll(p *proc, seen map[*proc]bool) {
	if seen[p] || p.state != process.Running && p.state != process.Starting {
		return
	}
	seen[p] = true
	for _, q := range s.depending() {
		if s.dependsOn(q, p) {
			s.haltAll(q, seen)
		}
	}
	s.haltInTurn(p, ReasonShutdown)
}

// haltNext stops those whose turn has come. One that has ended meanwhile has done what was wanted of it.
func (s *Supervisor) haltNext() {
	list := s.pended(func(p *proc) bool { return p.lastly })
	if len(list) == 0 {
		return
	}
	slices.Reverse(list)
	needed, living := map[process.Namespec]bool{}, false
	for _, q := range s.depending() {
		if !s.ending(q) {
			continue
		}
		living = living || !q.lastly
		for _, d := range q.spec.DependsOn {
			needed[d.Name] = true
		}
	}
	first := true
	for _, p := range list {
		free := !needed[process.Namespec{Group: p.group.name()}] && !needed[process.Namespec{Group: p.group.name(), Process: p.name}] &&
			(s.named[p.spec.Program] != nil || !needed[process.Namespec{Group: p.spec.Program}])
		if ended := p.state != process.Running && p.state != process.Starting; free || ended {
			first = false
			s.haltNow(p)
		}
	}
	if first && !living { // they wait for one another, which no file can say
		s.haltNow(list[0])
	}
}

// haltNow ends the wait of a process for its turn to be stopped.
func (s *Supervisor) haltNow(p *proc) {
	s.pend(&p.lastly, false)
	switch p.state {
	case process.Fatal, process.Unknown:
		s.release(p, nil, forSignalled|forStopped)
	default:
		s.halt(p, p.reason)
		s.reportStop(p)
	}
}
