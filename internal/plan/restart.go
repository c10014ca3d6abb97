package plan

import (
	"slices"

	"github.com/graced/graced/internal/process"
)

// Restart plans that processes are replaced by themselves, each with the settings it has: those of the targets, nil being all, that run or are about
// to. What does not run is left out, and so is what is about to leave. Groups that nothing happens to are not in it.
func Restart(active Manifest, targets []process.Namespec) Update {
	var u Update
	for _, g := range active.Groups {
		meant := func(name string) bool {
			return targets == nil || slices.ContainsFunc(targets, func(t process.Namespec) bool {
				return t.Group == g.Name && (t.WholeGroup() || t.Process == name)
			})
		}
		p := Plan{Group: g.Name, Base: g.Hash(), Desired: g.GroupSpec}
		for _, now := range g.Processes {
			if !meant(now.Name) || g.Down[now.Name] != Up || g.Leaving[now.Name] {
				p.Kept = append(p.Kept, now.Name)
				continue
			}
			p.Changes = append(p.Changes, Change{Action: ReplaceProcess, Group: g.Name, Name: now.Name, Spec: now})
		}
		if len(p.Changes) > 0 {
			u.Plans = append(u.Plans, p)
		}
	}
	return u
}
