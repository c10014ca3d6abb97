package store

import (
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// Action says what is different about a group, a process or an option.
type Action int

// The actions.
const (
	Changed Action = iota // an option, a name included
	Added
	Removed
)

// Change is one difference between two generations.
type Change struct {
	Group   string
	Process string // the later name of a renamed process; "" = the group itself
	Action  Action
	// With Changed:
	Option   string // its name in a configuration file
	Variable string // with environment: the variable
	Class    process.Class
	Old, New string // as text, masked; with environment "" also for a variable that is not set
}

// Diff lists what makes b of a, with a process paired with its namesake, or with the one that it was renamed from as an update would: group by group in
// the order of b, then the groups that only a has; in each the group's own options first. mask returns the text to show in place of one of an
// option, with environment of the named variable; nil shows everything. A change whose masked texts are the same is still listed.
func Diff(a, b Generation, mask func(option, variable, text string) string) []Change {
	active := plan.Manifest{}
	for _, g := range a.Groups {
		active.Groups = append(active.Groups, plan.Group{GroupSpec: g})
	}
	var out []Change
	for _, p := range plan.Minimal(active, b.Groups, nil).Plans {
		add := func(name string, list []plan.Difference) {
			for _, d := range list {
				c := Change{Group: p.Group, Process: name, Option: d.Option, Variable: d.Variable, Class: d.Class, Old: d.Old, New: d.New}
				if mask != nil {
					c.Old, c.New = mask(d.Option, d.Variable, d.Old), mask(d.Option, d.Variable, d.New)
				}
				out = append(out, c)
			}
		}
		switch p.Scope {
		case plan.AddGroup:
			out = append(out, Change{Group: p.Group, Action: Added})
		case plan.RemoveGroup:
			out = append(out, Change{Group: p.Group, Action: Removed})
		}
		add("", p.Fields)
		before, _ := active.Group(p.Group)
		for _, c := range p.Changes {
			switch c.Action {
			case plan.AddProcess:
				was, ok := before.Process(c.Name)
				if !ok {
					out = append(out, Change{Group: p.Group, Process: c.Name, Action: Added})
					continue
				}
				// The whole group is replaced for an option of its own, which is listed with the group.
				for _, d := range plan.SpecDifferences(was, c.Spec) {
					if d.Class != process.GroupWide {
						add(c.Name, []plan.Difference{d})
					}
				}
			case plan.RemoveProcess:
				if _, stays := p.Desired.Process(c.Name); !stays {
					out = append(out, Change{Group: p.Group, Process: c.Name, Action: Removed})
				}
			default:
				add(c.Name, c.Fields)
			}
		}
	}
	return out
}
