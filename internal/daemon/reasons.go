package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// reasoner tells of the processes of one plan why something happens to them.
type reasoner struct {
	plan.Plan
	active        plan.Group
	files         *config.Config
	before, after map[string]int // processes by program
}

// reasons lists them in the order of the plan's changes, then what is held.
func reasons(p plan.Plan, active plan.Group, c *config.Config) []control.PlanReason {
	r := reasoner{p, active, c, programCounts(active.GroupSpec), programCounts(p.Desired)}
	out := []control.PlanReason{}
	add := func(name, what string, at process.Origin, then string) {
		text := what
		if at.File != "" {
			text += fmt.Sprintf(" (%s:%d)", at.File, at.Line)
		}
		if then != "" {
			text += ": " + then
		}
		out = append(out, control.PlanReason{Process: p.Group + ":" + name, Reason: text, File: at.File, Line: at.Line})
	}
	for _, change := range p.Changes {
		_, was := active.Process(change.Name)
		_, stays := p.Desired.Process(change.Name)
		if p.Scope == plan.ReplaceGroup && was && stays {
			if change.Action == plan.AddProcess {
				what, at := r.wide()
				add(change.Name, what, at, "the whole group is replaced")
			}
			continue
		}
		what, at, then := r.why(change)
		add(change.Name, what, at, then)
	}
	for _, name := range p.Held {
		add(name, "would change, and is held back", process.Origin{}, "")
	}
	return out
}

// why returns what has changed, where, and what follows.
func (r reasoner) why(c plan.Change) (what string, at process.Origin, then string) {
	switch c.Action {
	case plan.AddProcess:
		return r.came(c)
	case plan.RemoveProcess:
		return r.went(c)
	case plan.ReturnProcess:
		return "wanted again", r.files.Place(c.Spec.Program, "numprocs"), "it was about to leave"
	case plan.RenameProcess:
		option := "process_name"
		if r.before[c.Spec.Program] != r.after[c.Spec.Program] {
			option = "numprocs"
		}
		return "renamed from " + c.From, r.files.Place(c.Spec.Program, option), "goes on running"
	}
	if len(c.Fields) == 0 && c.Action == plan.ReplaceProcess {
		return "restarted as it is", process.Origin{}, ""
	}
	least, class := process.Live, process.Live
	for _, f := range c.Fields {
		class = max(class, f.Class)
	}
	if class >= process.Respawn {
		least = process.Respawn // what costs less is not why
	}
	what, at = r.changed(c.Spec.Program, c.Fields, least)
	switch {
	case c.Retry:
		return what, at, "tried again, since it had been given up"
	case c.Down:
		return what, at, "taken over, and it does not run"
	case c.Action == plan.ReplaceProcess:
		return what, at, "needs a restart"
	case class > process.Live && slices.ContainsFunc(c.Fields, func(f plan.Difference) bool { return f.Class == process.Live }):
		return what, at, "takes effect at once, or at its next start"
	case class > process.Live:
		return what, at, "takes effect at its next start"
	}
	return what, at, "takes effect at once"
}

// came is why there is a new member.
func (r reasoner) came(c plan.Change) (what string, at process.Origin, then string) {
	program := c.Spec.Program
	at = r.files.Place(program, "numprocs")
	switch n, m := r.before[program], r.after[program]; {
	case r.Scope == plan.AddGroup:
		return "new", at, ""
	case n == 0:
		return "new: program " + program + " has joined the group", at, ""
	case n == m:
		return "new: the names of " + program + " have changed", r.files.Place(program, "process_name"), ""
	default:
		return fmt.Sprintf("new: numprocs %d -> %d", n, m), at, ""
	}
}

// went is why a member goes.
func (r reasoner) went(c plan.Change) (what string, at process.Origin, then string) {
	program := c.Spec.Program
	switch n, m := r.before[program], r.after[program]; {
	case r.Scope == plan.RemoveGroup:
		return "surplus: not in the files any more", at, ""
	case m == 0:
		return "surplus: program " + program + " has left the group", at, ""
	case n == m:
		return "surplus: the names of " + program + " have changed", r.files.Place(program, "process_name"), ""
	default:
		return fmt.Sprintf("surplus: numprocs %d -> %d", n, m), r.files.Place(program, "numprocs"), ""
	}
}

// changed names the options of at least a class that differ, and the place of the first.
func (r reasoner) changed(program string, fields []plan.Difference, least process.Class) (what string, at process.Origin) {
	var names []string
	for _, f := range fields {
		if f.Class < least {
			continue
		}
		if names == nil {
			at = r.files.Place(program, f.Option)
		}
		name := f.Option
		if f.Variable != "" {
			name += " " + f.Variable
		}
		names = append(names, name)
	}
	const most = 3
	if n := len(names) - most; n > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, ", ") + " changed", at
}

// wide names what replaces the group as a whole.
func (r reasoner) wide() (what string, at process.Origin) {
	i := slices.IndexFunc(r.Fields, func(f plan.Difference) bool { return f.Class == process.GroupWide })
	return r.Fields[i].Option + " changed", r.files.GroupPlace(r.Group, r.Fields[i].Option)
}
