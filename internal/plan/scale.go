package plan

import (
	"slices"

	"github.com/graced/graced/internal/process"
)

// Scale plans that a program has other processes, and nothing else: desired is its group with them, as the configuration in force has it. Members
// of the program that desired does not have go; with lazy those that run go when they end by themselves. Everything else is kept as it is,
// whatever desired says of it.
func Scale(active Group, desired process.GroupSpec, program string, lazy bool) Plan {
	p := Plan{Group: active.Name, Base: active.Hash(), Desired: active.GroupSpec}
	p.Desired.Processes = nil
	for _, now := range active.Processes {
		_, stays := desired.Process(now.Name)
		switch {
		case now.Program == program && !stays:
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
		if _, ok := active.Process(next.Name); !ok && next.Program == program {
			p.Changes = append(p.Changes, Change{Action: AddProcess, Group: active.Name, Name: next.Name, Spec: next})
			p.Desired.Processes = append(p.Desired.Processes, next)
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int { return process.CompareNatural(a.Name, b.Name) })
	return p
}
