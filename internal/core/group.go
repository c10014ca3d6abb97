package core

import (
	"cmp"
	"maps"
	"slices"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// group is an active group. The order of its members is that of its configuration, surplus members last.
type group struct {
	spec      process.GroupSpec // Processes is unused: the members hold their specs
	rank      uint64            // order of insertion
	members   []*proc
	byName    map[string]*proc
	pool      *pool           // of an event listener; nil for others
	departed  map[string]bool // members that were removed by way of a plan and not added again since
	unstopped int             // members that a quit has to wait for

	breaker breaker

	ending    bool               // it is removed with its last member
	endOp     *operation         // that waits for it
	successor *process.GroupSpec // what comes after it; nil = nothing
}

func (g *group) name() string { return g.spec.Name }

// addGroups carries out an AddGroups.
func (s *Supervisor) addGroups(do AddGroups) *Fault {
	if f := s.addFault(do); f != nil {
		return f
	}
	var fresh, ended []*proc
	for _, spec := range do.Groups {
		g, known := s.addGroup(spec), false
		for _, p := range g.members {
			f, found := do.Found[p.namespec()]
			if found {
				s.takeUp(p, f)
				known = true
			}
			switch {
			case !found || f.Undecided && f.State == process.Stopped:
				fresh = append(fresh, p)
			case f.Undecided && f.State == process.Exited:
				ended = append(ended, p)
			}
		}
		if !known {
			s.notifyGroup(event.ProcessGroupAdded, spec.Name)
		}
	}
	if do.Boot {
		s.notifyDaemon(event.SupervisorStateChangeRunning)
	}
	s.autostart(fresh)
	for _, p := range ended {
		if s.revives(p) {
			s.restart(p)
		}
	}
	return nil
}

// addFault says why an AddGroups is refused.
func (s *Supervisor) addFault(do AddGroups) *Fault {
	groups, members := map[string]bool{}, map[process.Namespec]bool{}
	for _, spec := range do.Groups {
		if s.named[spec.Name] != nil || groups[spec.Name] {
			return &Fault{Kind: AlreadyAdded, Text: spec.Name}
		}
		groups[spec.Name] = true
		for _, p := range spec.Processes {
			members[process.Namespec{Group: spec.Name, Process: p.Name}] = true
		}
	}
	if f := s.circle(additions(do.Groups)); f != nil {
		return f
	}
	for _, name := range slices.SortedFunc(maps.Keys(do.Found), compareNames) {
		if !members[name] {
			return &Fault{Kind: BadName, Text: name.String()}
		}
		if f := do.Found[name].fault(name); f != nil {
			return f
		}
	}
	return nil
}

func compareNames(a, b process.Namespec) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Process, b.Process))
}

// addGroup adds a group; its members are STOPPED. Listeners are not told.
func (s *Supervisor) addGroup(spec process.GroupSpec) *group {
	g := &group{spec: spec, byName: map[string]*proc{}}
	g.spec.Processes = nil
	g.breaker.due = deadline{fire: actBreaker, group: g}
	if n := len(s.groups); n > 0 {
		g.rank = s.groups[n-1].rank + 1
	}
	s.groups = append(s.groups, g)
	s.named[spec.Name] = g
	s.shift()
	for _, member := range spec.Processes {
		if g.byName[member.Name] == nil {
			s.addMember(g, member)
		}
	}
	if spec.Listener != nil {
		s.newPool(g, spec.Listener)
	}
	s.revision++
	s.publish(GroupAdded{Name: spec.Name})
	return g
}

// addMember adds a process to a group, STOPPED.
func (s *Supervisor) addMember(g *group, spec process.Spec) *proc {
	s.lastID++
	p := &proc{id: s.lastID, group: g, name: spec.Name, spec: &spec}
	p.due = deadline{fire: actState, proc: p}
	p.report = deadline{fire: actReport, proc: p}
	g.members = append(g.members, p)
	g.byName[p.name] = p
	delete(g.departed, p.name)
	s.procs[p.id] = p
	s.dependers = nil
	s.revision++
	s.emit(s.logs(p))
	return p
}

// autostart starts new members in order of priority: groups first, then members, unless these keep their configuration's order (quirk C7).
func (s *Supervisor) autostart(list []*proc) {
	if s.quitting() {
		return
	}
	if s.opts.Quirks.BootConfigOrder { // compat: quirk C7
		slices.SortStableFunc(list, func(a, b *proc) int { return cmp.Compare(a.group.spec.Priority, b.group.spec.Priority) })
	} else {
		sortAscending(list)
	}
	for _, p := range s.dependenciesFirst(list) {
		if p.spec.Autostart && s.mark(p) == Free {
			s.launch(p)
		}
	}
}

// removeGroup carries out a RemoveGroup.
func (s *Supervisor) removeGroup(name string) *Fault {
	g := s.named[name]
	if g == nil {
		return &Fault{Kind: BadName, Text: name}
	}
	if slices.ContainsFunc(g.members, func(p *proc) bool { return !p.state.IsStopped() }) {
		return &Fault{Kind: StillRunning, Text: name}
	}
	s.giveUpLine(g)
	for len(g.members) > 0 {
		s.drop(g.members[len(g.members)-1])
	}
	s.dropGroup(g)
	return nil
}

// dropGroup takes a group without members out of the machine.
func (s *Supervisor) dropGroup(g *group) {
	name := g.name()
	s.groups = slices.DeleteFunc(s.groups, func(o *group) bool { return o == g })
	delete(s.named, name)
	s.shift()
	s.due.disarm(&g.breaker.due)
	if g.pool != nil {
		s.dropPool(g.pool)
	}
	s.revision++
	s.publish(GroupRemoved{Name: name})
	s.notifyGroup(event.ProcessGroupRemoved, name)
}

// drop takes a stopped process out of the machine and tells who waited for that.
func (s *Supervisor) drop(p *proc) {
	g := p.group
	s.unpend(p)
	g.members = slices.DeleteFunc(g.members, func(o *proc) bool { return o == p })
	delete(g.byName, p.name)
	delete(s.procs, p.id)
	s.due.disarm(&p.due)
	s.due.disarm(&p.report)
	s.checkBreaker(g)
	s.revision++
	s.emit(CloseLogs{ID: p.id})
	s.release(p, nil, forGone)
}

// remove drops a member from a group that stays.
func (s *Supervisor) remove(p *proc) {
	if p.fate != stays && !p.extra {
		if p.group.departed == nil {
			p.group.departed = map[string]bool{}
		}
		p.group.departed[p.name] = true
	}
	s.publish(MemberRemoved{Group: p.group.name(), Name: p.name})
	s.drop(p)
}

// addProcesses carries out an AddProcesses.
func (s *Supervisor) addProcesses(name string, specs []process.Spec) *Fault {
	g := s.named[name]
	if g == nil {
		return &Fault{Kind: BadName, Text: "group: " + name}
	}
	names := map[string]bool{}
	for _, spec := range specs {
		if g.byName[spec.Name] != nil || names[spec.Name] {
			return &Fault{Kind: BadName, Text: spec.Name}
		}
		names[spec.Name] = true
	}
	grown := s.manifestGroup(g).GroupSpec
	grown.Processes = append(grown.Processes, specs...)
	if f := s.circle(additions([]process.GroupSpec{grown})); f != nil {
		return f
	}
	var added []*proc
	for _, spec := range specs {
		added = append(added, s.addMember(g, spec))
		s.publish(MemberAdded{Group: name, Name: spec.Name})
	}
	s.autostart(added)
	return nil
}

// removeProcess carries out a RemoveProcess.
func (s *Supervisor) removeProcess(do RemoveProcess) *Fault {
	g := s.named[do.Group]
	if g == nil {
		return &Fault{Kind: BadName, Text: "group: " + do.Group}
	}
	p := g.byName[do.Name]
	switch {
	case p == nil && do.Departed && g.departed[do.Name]:
		return nil
	case p == nil:
		return &Fault{Kind: BadName, Text: do.Name}
	case !p.state.IsStopped():
		return &Fault{Kind: StillRunning, Text: do.Name}
	}
	s.remove(p)
	return nil
}
