package core

import (
	"slices"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// Revision returns a number that grows with every change that Statuses, Groups or Manifest would show.
func (s *Supervisor) Revision() uint64 { return s.revision }

// Now returns the moment of the last step, which is later than the one it was given if there was a later one before.
func (s *Supervisor) Now() Now { return s.now }

// Groups names the groups in the order of insertion.
func (s *Supervisor) Groups() []string {
	names := make([]string, len(s.groups))
	for i, g := range s.groups {
		names[i] = g.name()
	}
	return names
}

// Statuses describes every process: groups in the order of insertion, members in the order of their group.
func (s *Supervisor) Statuses() []process.Status {
	list := make([]process.Status, 0, len(s.procs))
	for i, g := range s.groups {
		for _, p := range g.members {
			list = append(list, s.status(p, i))
		}
	}
	return list
}

// Status describes one process.
func (s *Supervisor) Status(id process.ID) (process.Status, bool) {
	p := s.procs[id]
	if p == nil {
		return process.Status{}, false
	}
	return s.status(p, s.index(p.group)), true
}

// Find describes the process of that name.
func (s *Supervisor) Find(group, name string) (process.Status, bool) {
	g := s.named[group]
	if g == nil || g.byName[name] == nil {
		return process.Status{}, false
	}
	return s.status(g.byName[name], s.index(g)), true
}

// Sockets returns the named sockets that processes ask for, each address once.
func (s *Supervisor) Sockets() []process.NamedSocket {
	var out []process.NamedSocket
	for _, g := range s.groups {
		for _, p := range g.members {
			for _, n := range p.spec.Sockets {
				if !slices.ContainsFunc(out, func(o process.NamedSocket) bool { return o.URL == n.URL }) {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

func (s *Supervisor) index(g *group) int {
	for i, o := range s.groups {
		if o == g {
			return i
		}
	}
	return -1
}

func (s *Supervisor) status(p *proc, groupIndex int) process.Status {
	return process.Status{
		ID: p.id, Incarnation: p.incarnation, Group: p.group.name(), Name: p.name, GroupIndex: groupIndex,
		State: p.state, PID: p.pid, Started: p.began, Ended: p.ended, Exit: p.exit, HasExit: p.hasExit,
		SpawnErr: p.spawnErr, Restarts: p.restarts, Waits: s.waits(p), Idle: p.rest() != plan.Up, Extra: p.extra, Leaving: p.fate != stays, Ready: p.ready(), Unready: p.lacks(), Spec: p.spec,
	}
}

// Manifest returns the specs in force. The caller may keep and change it.
func (s *Supervisor) Manifest() plan.Manifest {
	m := plan.Manifest{Groups: make([]plan.Group, len(s.groups))}
	for i, g := range s.groups {
		m.Groups[i] = s.manifestGroup(g)
	}
	return m
}

func (s *Supervisor) manifestGroup(g *group) plan.Group {
	out := plan.Group{GroupSpec: g.spec}
	out.Processes = make([]process.Spec, 0, len(g.members))
	for _, p := range g.members {
		if p.extra && p.fate == stays { // no part of what the group is to be
			continue
		}
		out.Processes = append(out.Processes, *p.spec)
		if p.fate != stays {
			if out.Leaving == nil {
				out.Leaving = map[string]bool{}
			}
			out.Leaving[p.name] = true
		}
		if p.lazy && p.fate == goes {
			if out.Lazy == nil {
				out.Lazy = map[string]bool{}
			}
			out.Lazy[p.name] = true
		}
		if s.mark(p) == Held {
			if out.Held == nil {
				out.Held = map[string]bool{}
			}
			out.Held[p.name] = true
		}
		if rest := p.rest(); rest != plan.Up {
			if out.Down == nil {
				out.Down = map[string]plan.Rest{}
			}
			out.Down[p.name] = rest
		}
	}
	return out
}

// rest says whether the process runs, or will without being asked.
func (p *proc) rest() plan.Rest {
	switch {
	case p.state == process.Fatal && !p.gated:
		return plan.GaveUp
	case p.gated:
		return plan.Up
	case (p.state.IsStopped() || p.state == process.Stopping || p.lastly && !p.reason.surplus()) && !p.restarting() && !p.again && (p.step == nil || !p.step.starts):
		return plan.AtRest
	}
	return plan.Up
}

// Returns reports whether a process that is being stopped, or was and does not run yet, is to start again: its stop is half of a restart or a replacement,
// or everything was to stop, and it begins with its group. Whoever goes on in another machine has to know.
func (s *Supervisor) Returns(id process.ID) bool {
	p := s.procs[id]
	if p == nil || p.fate != stays {
		return false
	}
	switch p.state {
	case process.Stopping:
		return p.again || p.reason == ReasonRestart || p.step != nil && p.step.starts || p.reason == ReasonShutdown && p.spec.Autostart
	case process.Stopped:
		return p.step != nil && p.step.change.Action == plan.StartProcess && p.step.op.acting != nil && p.step.op.acting.again
	case process.Starting:
		return p.reason == ReasonRestart || p.reason == ReasonUpdate
	}
	return false
}
