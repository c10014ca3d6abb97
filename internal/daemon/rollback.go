package daemon

import (
	"context"
	"fmt"
	"slices"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// astray says whether what runs may be something else than the files said when they were read.
type astray int

// Looking costs something: it is done only where something may have come of it.
const (
	inStep        astray = iota
	perhapsAstray        // a daemon before may have known
	surelyAstray         // an operation has not ended with what the files say
)

// drift names the groups that run something else than the files said. It runs in the loop.
func (d *Daemon) drift() (groups []string) {
	if d.loop.astray == inStep {
		return nil
	}
	for _, p := range plan.Minimal(d.loop.core.Manifest(), d.loop.desired.groups, nil).Plans {
		whole := p.Scope == plan.AddGroup || p.Scope == plan.RemoveGroup
		if !p.Empty() && (!whole || d.loop.astray == surelyAstray) { // a group may also have been read and not added
			groups = append(groups, p.Group)
		}
	}
	if len(groups) == 0 {
		d.loop.astray = inStep
	}
	return groups
}

// planOther plans what is no update to the files: a rolling restart, or the way back to a generation.
func (d *Daemon) planOther(ctx context.Context, req control.PlanRequest) (control.Plan, error) {
	switch {
	case req.Restart != nil && req.To != 0, req.Since != 0, req.File != "", req.Restart != nil && req.Groups != nil:
		return control.Plan{}, control.Fault(control.IncorrectParameters, "a plan is of one thing: files, a generation or a restart")
	}
	read := overrideOf
	if req.Restart != nil {
		read = restartOverride
	}
	o, err := read(req.Roll)
	if err != nil {
		return control.Plan{}, err
	}
	var to plan.Manifest
	if req.To != 0 {
		if to, err = d.manifestOf(req.To); err != nil {
			return control.Plan{}, err
		}
	}
	var out control.Plan
	if !d.do(ctx, func(core.Now) {
		m := d.loop.core.Manifest()
		var u plan.Update
		if req.Restart != nil {
			u, err = d.planRestart(req.Restart, o)
		} else {
			u, err = backAs(m, to, req.Groups, o)
		}
		if err != nil {
			return
		}
		out = showPlan(u, m, &config.Config{})
		out.Notes = append(out.Notes, d.refusalNotes(u)...)
	}) {
		return control.Plan{}, gone(ctx)
	}
	if err != nil {
		return control.Plan{}, err
	}
	out.Files, out.Overrides, out.Failing, out.Of, out.To = []control.PlanFile{}, []control.Override{}, []control.FailingProcess{}, control.PlanOfRestart, req.To
	if req.To != 0 {
		out.Of = control.PlanOfRollback
		d.plans.remember(shownPlan{id: out.ID, groups: req.Groups, override: o, to: req.To})
	}
	return out, nil
}

// planBack plans what makes groups, nil being all, those of a generation.
func planBack(active, to plan.Manifest, groups []string) (plan.Update, error) {
	for _, name := range groups {
		_, is := active.Group(name)
		if _, was := to.Group(name); !is && !was {
			return plan.Update{}, control.Fault(control.BadName, name)
		}
	}
	return plan.Minimal(active, to.Specs(), groups), nil
}

// backAs is planBack with what somebody asks of it. A generation makes no extra processes.
func backAs(active, to plan.Manifest, groups []string, o plan.Override) (plan.Update, error) {
	u, err := planBack(active, to, groups)
	if err != nil {
		return u, err
	}
	return overridden(u, o, "leave it out, since on the way back to a generation no other process takes the place of one")
}

// beginRollback returns what makes what runs what a generation was. The files are not touched.
func (d *Daemon) beginRollback(op *operation, req control.UpdateRequest, groups []string, o plan.Override) (beginner, error) {
	to, err := d.manifestOf(req.To)
	if err != nil {
		return nil, err
	}
	return func() (done <-chan core.Reply, wait <-chan struct{}, err error) {
		var numbers []control.ScaledProgram
		done, wait, err = d.begin(op, func(core.Now) (plan.Update, error) {
			u, err := backAs(d.loop.core.Manifest(), to, groups, o)
			if err != nil {
				return u, err
			}
			return u, d.staleness(u, req.Plan)
		}, func() error {
			d.loop.astray = surelyAstray
			numbers = d.numbersOf(to, groups)
			for _, p := range numbers {
				if p.Override {
					d.counts.set(p.Program, p.Nums)
				} else {
					d.counts.set(p.Program, nil)
				}
			}
			return nil
		})
		if err == nil && wait == nil && len(numbers) > 0 {
			d.state.write(func(s *store.Store) error { return keepCounts(s, numbers, req.Who) })
		}
		return done, wait, err
	}, nil
}

// numbersOf lists the programs whose number of processes somebody has set, with what a generation says of them. It runs in the loop.
func (d *Daemon) numbersOf(to plan.Manifest, groups []string) (out []control.ScaledProgram) {
	nums := map[string][]int{}
	for _, g := range to.Groups {
		if groups != nil && !slices.Contains(groups, g.Name) {
			continue
		}
		for _, s := range g.Processes {
			if !slices.Contains(nums[s.Program], s.Num) {
				nums[s.Program] = append(nums[s.Program], s.Num)
			}
		}
	}
	for program, set := range d.counts.get() {
		then, ok := nums[program]
		slices.Sort(then)
		if !ok || slices.Equal(then, set) {
			continue
		}
		out = append(out, control.ScaledProgram{Program: program, Nums: then, Override: len(then) != d.loop.desired.config.CountInFile(program)})
	}
	return out
}

// strayed is the fault of another number of processes for a program that runs something else than the files say, since they were not taken over or a
// rollback has gone back: new processes would be others than those that are there.
func strayed(active plan.Group, source process.GroupSpec, programs []string) error {
	for _, program := range programs {
		members, same, new := 0, 0, 0
		for _, s := range source.Processes {
			if s.Program != program {
				continue
			}
			now, ok := active.Process(s.Name)
			switch {
			case !ok:
				new++
			case !active.Held[s.Name]:
				members++
				if !slices.ContainsFunc(plan.SpecDifferences(now, s), func(d plan.Difference) bool { return d.Class >= process.Respawn }) {
					same++
				}
			}
		}
		if new > 0 && members > 0 && same == 0 {
			return control.Fault(control.Failed, fmt.Sprintf("%s runs something else than the files say, and so would its new processes: gracectl plan %s", program, active.Name))
		}
	}
	return nil
}
