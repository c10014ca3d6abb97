package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

const dependsHint = "write names of programs or groups, or group:process, with commas between; each may be followed by :ready, :started or :completed"

// ParseDepends reads what a program depends on: NAME, GROUP:PROCESS, and either with :CONDITION.
func ParseDepends(text string) (list []process.Dependency, err error) {
	items, err := namesOf("depends_on", "name", text)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		d, ok := parseDepend(item)
		if !ok {
			return nil, &valueError{"invalid 'depends_on' value: " + repr(item), dependsHint}
		}
		if slices.ContainsFunc(list, func(o process.Dependency) bool { return o.Name == d.Name }) {
			return nil, &valueError{"two times " + d.Subject() + " in depends_on", "remove one of the two"}
		}
		list = append(list, d)
	}
	return list, nil
}

func parseDepend(item string) (d process.Dependency, ok bool) {
	words := strings.Split(item, ":")
	for i := range words {
		words[i] = strip(words[i])
	}
	d.Name.Group = words[0]
	last := words[len(words)-1]
	on, condition := process.ParseCondition(last)
	switch {
	case len(words) > 3 || slices.Contains(words, "") || len(words) == 3 && !condition:
		return d, false
	case condition && len(words) > 1:
		d.On = on
		words = words[:len(words)-1]
	}
	if len(words) == 2 && words[1] != "*" {
		d.Name.Process = words[1]
	}
	return d, true
}

// parseEssential reads the option essential.
func parseEssential(text string) (process.Essential, error) {
	for _, e := range []process.Essential{process.EssentialExit, process.EssentialFatal} {
		if lower(strip(text)) == e.String() {
			return e, nil
		}
	}
	switch is, err := ParseBool(text); {
	case err != nil:
		return 0, &valueError{"invalid 'essential' value " + repr(text), "write true (or on_exit), on_fatal or false"}
	case is:
		return process.EssentialExit, nil
	}
	return process.EssentialNot, nil
}

// dependencies looks whether everything is there that programs depend on, and whether they can start in some order.
func (l *loader) dependencies(groups []process.GroupSpec) error {
	seen := map[*section]bool{}
	for _, g := range groups {
		for _, p := range g.Processes {
			sec := l.sectionAt(p.Origin)
			if len(p.DependsOn) == 0 || sec == nil || seen[sec] {
				continue
			}
			seen[sec] = true
			r := l.reader(sec, nil)
			for _, d := range p.DependsOn {
				l.known(r, d, groups)
			}
			if r.err != nil {
				return r.err
			}
		}
	}
	return l.cycle(groups)
}

// sectionAt returns the section that begins at a place; nil if there is none.
func (l *loader) sectionAt(at process.Origin) *section {
	for _, sec := range l.table.sections {
		if sec.file == at.File && sec.line == at.Line {
			return sec
		}
	}
	return nil
}

// known refuses a dependency on something that is not there.
func (l *loader) known(r *reader, d process.Dependency, groups []process.GroupSpec) {
	var names, members []string
	for _, g := range groups {
		names = append(names, g.Name)
		for _, p := range g.Processes {
			if !slices.Contains(names, p.Program) {
				names = append(names, p.Program)
			}
			if g.Name == d.Name.Group {
				members = append(members, p.Name)
			}
		}
	}
	text, hint := "", "define it, or remove the name"
	switch {
	case !slices.Contains(names, d.Name.Group):
		text = fmt.Sprintf("depends_on names unknown program or group %s", d.Name.Group)
		if near := nearest(d.Name.Group, names); near != "" {
			hint = "did you mean " + near + "?"
		}
	case d.Name.WholeGroup() || slices.Contains(members, d.Name.Process):
		return
	default:
		text = fmt.Sprintf("depends_on names %s:%s, which is no process of %s, nor is %s a condition", d.Name.Group, d.Name.Process, d.Name.Group, d.Name.Process)
		hint = "the conditions are ready, started and completed"
		if near := nearest(d.Name.Process, append(members, "ready", "started", "completed")); near != "" {
			hint = "did you mean " + near + "? " + hint
		}
	}
	r.refuse(UnknownDependency, "depends_on", text, hint)
}

// cycle refuses programs that depend on one another in a circle.
func (l *loader) cycle(groups []process.GroupSpec) error {
	cycle := process.Cycle(groups)
	if cycle == nil {
		return nil
	}
	var places []string
	for _, d := range cycle {
		at := d.Origin
		if sec := l.sectionAt(d.Origin); sec != nil {
			at = l.reader(sec, nil).origin("depends_on")
		}
		places = append(places, fmt.Sprintf("%s at %s:%d", d, at.File, at.Line))
	}
	sec := l.sectionAt(cycle[0].Origin)
	if sec == nil {
		return nil
	}
	r := l.reader(sec, nil)
	r.refuse(DependencyCycle, "depends_on", fmt.Sprintf("programs depend on one another in a circle: %s (%s)", process.CycleText(cycle), strings.Join(places, ", ")),
		"none of them could ever start; remove one of these dependencies")
	return r.result()
}

// describeCycle says where the parts of a circle stand.
func (c *checker) describeCycle(f *Finding) {
	cycle := process.Cycle(c.config.Groups)
	f.Title = "programs depend on one another in a circle: " + process.CycleText(cycle)
	for i, d := range cycle {
		sec := c.sectionAt(d.Origin)
		if e, ok := c.table.get(sec, "depends_on"); ok && i > 0 {
			p := c.value(e)
			p.Label = fmt.Sprintf("%s depends on %s", d, cycle[(i+1)%len(cycle)])
			f.Related = append(f.Related, p)
		}
	}
}

// lookDepends looks for dependencies that do not come to hold by themselves.
func (c *checker) lookDepends() {
	seen := map[*section]bool{}
	for _, g := range c.config.Groups {
		for _, p := range g.Processes {
			sec := c.sectionAt(p.Origin)
			e, ok := (*entry)(nil), false
			if sec != nil {
				e, ok = c.table.get(sec, "depends_on")
			}
			if !ok || seen[sec] {
				continue
			}
			seen[sec] = true
			for _, d := range p.DependsOn {
				c.lookDepend(sec, e, p, d)
			}
		}
	}
}

func (c *checker) lookDepend(sec *section, e *entry, p process.Spec, d process.Dependency) {
	is := func(q process.GroupSpec) bool { return q.Name == d.Name.Group }
	grouped, members, starts, ends := slices.ContainsFunc(c.config.Groups, is), 0, false, false
	for _, g := range c.config.Groups {
		for _, q := range g.Processes {
			if d.Means(process.Namespec{Group: g.Name, Process: q.Name}, q.Program, grouped) {
				members++
				starts = starts || q.Autostart
				ends = ends || q.Autorestart != process.RestartAlways
			}
		}
	}
	switch {
	case members == 0: // it has an error already
	case d.On == process.OnCompleted && !ends:
		c.warnAt(WarnNeverDone, sec, e, c.word(e, d.Subject()), d.Subject()+" is started again whenever it ends, and so is never completed",
			"set autorestart=false or unexpected there")
	case p.Autostart && !starts:
		c.warnAt(WarnNotStarted, sec, e, c.word(e, d.Subject()), d.Subject()+" has autostart=false: this program waits until somebody starts it",
			"set autostart=false here as well, or remove it there")
	}
}
