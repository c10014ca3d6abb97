package plan

import (
	"slices"

	"github.com/graced/graced/internal/process"
)

// Scale plans that programs have other processes, and nothing else: desired is their group with them, as the configuration in force has it.
// Members of the programs that desired does not have go; with lazy those that run go when they end by themselves. Everything else is kept as it
// is, whatever desired says of it.
func Scale(active Group, desired process.GroupSpec, programs []string, lazy bool) Plan {
	p := Plan{Group: active.Name, Base: active.Hash(), Desired: active.GroupSpec}
	p.Desired.Processes = nil
	for _, now := range active.Processes {
		_, stays := desired.Process(now.Name)
		switch {
		case slices.Contains(programs, now.Program) && !stays:
			down := active.Down[now.Name] != Up
			p.Changes = append(p.Changes, Change{Action: RemoveProcess, Group: active.Name, Name: now.Name, Spec: now, Down: down, Lazy: lazy && !down})
			continue
		case active.Leaving[now.Name] && stays:
			p.Changes = append(p.Changes, Change{Action: ReturnProcess, Group: active.Name, Name: now.Name, Spec: now})
		default:
			p.Kept = append(p.Kept, now.Name)
		}
		p.Desired.Processes = append(p.Desired.Processes, now)
	}
	for _, next := range desired.Processes {
		if _, ok := active.Process(next.Name); !ok && slices.Contains(programs, next.Program) {
			p.Changes = append(p.Changes, Change{Action: AddProcess, Group: active.Name, Name: next.Name, Spec: next})
			p.Desired.Processes = append(p.Desired.Processes, next)
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int { return process.CompareNatural(a.Name, b.Name) })
	return p
}
