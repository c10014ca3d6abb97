package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// groups returns the groups of [group:x] sections and of the programs, FastCGI ones too, outside of them, sorted by priority and name. With configOrder
// the members of a [group:x] keep the order of its programs option; else they are sorted by priority, stably (quirk C7).
func (l *loader) groups(configOrder bool) ([]process.GroupSpec, error) {
	var groups []process.GroupSpec
	inGroup := map[string]bool{} // sections that are members, and so make no group of their own
	for _, sec := range l.table.sections {
		if !strings.HasPrefix(sec.name, "group:") {
			continue
		}
		g, err := l.group(sec, inGroup)
		if err != nil {
			return nil, err
		}
		l.sortMembers(&g, configOrder)
		groups = append(groups, g)
	}
	for _, sec := range l.table.sections {
		if !strings.HasPrefix(sec.name, "program:") || inGroup[sec.name] {
			continue
		}
		g, err := l.programGroup(sec)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	for _, sec := range l.table.sections {
		if !strings.HasPrefix(sec.name, "eventlistener:") {
			continue
		}
		g, err := l.listenerGroup(sec)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	for _, sec := range l.table.sections {
		if !strings.HasPrefix(sec.name, "fcgi-program:") || inGroup[sec.name] {
			continue
		}
		g, err := l.fcgiGroup(sec)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	slices.SortStableFunc(groups, func(a, b process.GroupSpec) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Name, b.Name))
	})
	for _, g := range groups {
		if err := l.refuseSurge(g); err != nil {
			return nil, err
		}
	}
	return l.uniqueGroups(groups), nil
}

// groupHead reads what both kinds of groups have: a name and a priority.
func (l *loader) groupHead(r *reader, kind process.Kind) process.GroupSpec {
	_, title, _ := strings.Cut(r.sec.name, ":")
	name, err := parseName(title)
	if err != nil {
		r.refuse(BadName, "", err.Error(), "rename the section")
	}
	return process.GroupSpec{Name: name, Kind: kind, Origin: process.Origin{File: r.sec.file, Line: r.sec.line}}
}

// programGroup returns the group of a program that is a member of none.
func (l *loader) programGroup(sec *section) (process.GroupSpec, error) {
	r := l.reader(sec, l.hereNames)
	g := l.groupHead(r, process.KindProgram)
	g.Priority = r.int("priority", 999)
	if r.err != nil {
		return g, r.err
	}
	var err error
	g.Processes, err = l.processes(sec, g.Name)
	g.Processes = l.uniqueMembers(g)
	return g, err
}

// group returns the group of a [group:x] section and notes its members.
func (l *loader) group(sec *section, inGroup map[string]bool) (process.GroupSpec, error) {
	r := l.reader(sec, l.hereNames)
	g := l.groupHead(r, process.KindHeterogeneous)
	programs := parseList(r.string("programs", ""))
	g.Priority = r.int("priority", 999)
	for _, name := range programs {
		program, isProgram := l.table.index["program:"+name]
		fcgi, isFCGI := l.table.index["fcgi-program:"+name]
		switch {
		case !isProgram && !isFCGI:
			hint := "define [program:" + name + "], or remove the name"
			if name == "" {
				hint = "remove the comma too many"
			} else if near := nearest(name, l.programNames()); near != "" {
				hint = "did you mean " + near + "?"
			}
			r.refuse(UnknownMember, "programs", fmt.Sprintf("[%s] names unknown program or fcgi-program %s", sec.name, name), hint)
		case isProgram && isFCGI:
			r.refuse(UnknownMember, "programs", fmt.Sprintf("[%s] name %s is ambiguous (exists as program and fcgi-program)", sec.name, name),
				"rename one of the two")
		case isFCGI:
			program = fcgi
		}
		if r.err != nil {
			return g, r.err
		}
		if program == nil {
			continue // its error was collected
		}
		inGroup[program.name] = true
		specs, err := l.processes(program, g.Name)
		if err != nil {
			return g, err
		}
		if isFCGI {
			l.giveSocket(program, specs)
		}
		g.Processes = append(g.Processes, specs...)
	}
	g.Processes = l.uniqueMembers(g)
	return g, r.result()
}

// programNames returns the names of all programs, for hints.
func (l *loader) programNames() []string {
	var names []string
	for _, sec := range l.table.sections {
		for _, kind := range []string{"program:", "fcgi-program:"} {
			if name, ok := strings.CutPrefix(sec.name, kind); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// uniqueMembers drops processes whose name a later member of the group has too, with a warning (quirk A11).
func (l *loader) uniqueMembers(g process.GroupSpec) []process.Spec {
	last := map[string]int{}
	for i, p := range g.Processes {
		last[p.Name] = i
	}
	if len(last) == len(g.Processes) {
		return g.Processes
	}
	var kept []process.Spec
	for i, p := range g.Processes {
		if last[p.Name] == i {
			kept = append(kept, p)
			continue
		}
		l.warn(DuplicateProcess, LevelWarn, p.Origin, fmt.Sprintf("two processes of the group %s are called %s: only the last one, "+
			"of the program %s, is kept", g.Name, p.Name, g.Processes[last[p.Name]].Program))
	}
	return kept
}

// sortMembers sorts the members of a [group:x] by priority, and notes if that changes their order.
func (l *loader) sortMembers(g *process.GroupSpec, configOrder bool) {
	byPriority := func(a, b process.Spec) int { return cmp.Compare(a.Priority, b.Priority) }
	if configOrder || slices.IsSortedFunc(g.Processes, byPriority) {
		return
	}
	slices.SortStableFunc(g.Processes, byPriority)
	l.warn(MemberOrder, LevelNote, g.Origin, fmt.Sprintf("the members of the group %s start by priority; Supervisor starts them in the order of the "+
		"programs option ([graced] quirks=boot_config_order does so too)", g.Name))
}

// uniqueGroups drops groups whose name an earlier group has too, with a warning (quirk A12).
func (l *loader) uniqueGroups(groups []process.GroupSpec) []process.GroupSpec {
	first := map[string]process.GroupSpec{}
	return slices.DeleteFunc(groups, func(g process.GroupSpec) bool {
		f, twice := first[g.Name]
		if !twice {
			first[g.Name] = g
			return false
		}
		if g.Name == "" && l.collect != nil {
			return true // both have names that no group can have, which are errors
		}
		l.warn(DuplicateGroup, LevelWarn, g.Origin, fmt.Sprintf("a second group is called %s, besides that at %s:%d, and is ignored",
			g.Name, f.Origin.File, f.Origin.Line))
		return true
	})
}
