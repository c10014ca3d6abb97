package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// GraceUpdate implements control.Reconcile: one transaction, planned and committed in one turn of the loop.
func (d *Daemon) GraceUpdate(ctx context.Context, name string) (control.GraceResult, error) {
	c, err := d.load()
	if err != nil {
		return control.GraceResult{}, err
	}
	var p plan.Plan
	reply, err := d.changed(ctx, func() (core.Verb, error) {
		var err error
		if p, err = d.planGrace(c, name); err != nil {
			return nil, err
		}
		if p.Refusal != nil || p.Empty() {
			return nil, errNothing
		}
		if d.free(core.Apply{Plan: p}) {
			d.loop.desired.set(p.Desired)
			d.loop.source[p.Group] = c
		}
		return core.Apply{Plan: p}, nil
	})
	result := control.GraceResult{Group: p.Group}
	switch {
	case errors.Is(err, errNothing) && p.Refusal != nil:
		result.Refused, result.Message, result.Fields = true, p.Refusal.Text, p.Refusal.Fields
		return result, nil
	case errors.Is(err, errNothing):
		result.Message = plan.NothingToDo
		return result, nil
	case err != nil:
		return control.GraceResult{}, err
	}
	a := reply.Applied
	result.Added = plan.QualifiedNames(p.Group, a.Added)
	result.Stopped = plan.QualifiedNames(p.Group, a.Stopped)
	result.Removed = plan.QualifiedNames(p.Group, a.Removed)
	result.Failed = results(a.Failed)
	return result, nil
}

// UpdateNumprocs implements control.Reconcile for clients that carry out the second half themselves.
func (d *Daemon) UpdateNumprocs(ctx context.Context, group string) (control.Numprocs, error) {
	c, err := d.load()
	if err != nil {
		return control.Numprocs{}, err
	}
	var answer control.Numprocs
	_, err = d.changed(ctx, func() (core.Verb, error) {
		p, err := d.planGrace(c, group)
		if err != nil {
			return nil, err
		}
		surplus, fresh := p.Names(plan.RemoveProcess), p.Names(plan.AddProcess, plan.ReturnProcess)
		switch {
		case p.Refusal != nil:
			answer = control.Numprocs{Type: "error", Message: p.Refusal.Text}
			return nil, errNothing
		case p.Empty():
			answer = control.Numprocs{Type: "error", Message: plan.NothingToDo}
			return nil, errNothing
		case len(surplus) > 0 && len(fresh) > 0:
			// The answer has no form for both, and the old plugin refuses it: a set that shifted is no change of the count alone (quirk G1).
			active, _ := d.loop.core.Manifest().Group(p.Group)
			answer = control.Numprocs{Type: "error", Message: plan.RefusalText(active, p.Desired)}
			return nil, errNothing
		case len(surplus) > 0:
			answer = control.Numprocs{Type: "reduce", Processes: plan.QualifiedNames(p.Group, surplus)}
		default:
			answer = control.Numprocs{Type: "add", Processes: plan.QualifiedNames(p.Group, fresh)}
		}
		if d.free(core.Leave{Plan: p}) {
			d.loop.desired.set(p.Desired)
			d.loop.source[p.Group] = c
		}
		return core.Leave{Plan: p}, nil
	})
	if err != nil && !errors.Is(err, errNothing) {
		return control.Numprocs{}, err
	}
	return answer, nil
}

// planGrace plans the update of one group against freshly read files. name is a group, or a program that runs in exactly one other
// group (quirk G16). It runs in the loop.
func (d *Daemon) planGrace(c *config.Config, name string) (plan.Plan, error) {
	manifest := d.loop.core.Manifest()
	active, ok := manifest.Group(name)
	if !ok {
		var holders []plan.Group
		for _, g := range manifest.Groups {
			if slices.ContainsFunc(g.Processes, func(s process.Spec) bool { return s.Program == name }) {
				holders = append(holders, g)
			}
		}
		switch len(holders) {
		case 1:
		case 0:
			return plan.Plan{}, control.Fault(control.BadName, "group: "+name)
		default:
			names := make([]string, len(holders))
			for i, g := range holders {
				names[i] = g.Name
			}
			return plan.Plan{}, control.Fault(control.BadName, "group: "+name+" (a program of the groups "+strings.Join(names, ", ")+": name one of these)")
		}
		active = holders[0]
	}
	fresh := desire(c)
	want, ok := fresh.group(active.Name)
	if !ok {
		return plan.Plan{}, control.Fault(control.BadName, "group: "+active.Name)
	}
	return plan.Grace(active, want), nil
}
