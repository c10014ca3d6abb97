package plan

import (
	"slices"

	"github.com/graced/graced/internal/process"
)

// Circle returns programs that would depend on one another in a circle once an update has been carried out, nil when there are none. The files have no
// such programs, but an update of some groups leaves the others as they are.
func (u Update) Circle(active Manifest) []process.Dependent {
	groups, changed := make([]process.GroupSpec, 0, len(active.Groups)), map[string]bool{}
	for _, p := range u.Plans {
		changed[p.Group] = true
		if p.Scope != RemoveGroup {
			groups = append(groups, p.Desired)
		}
	}
	for _, g := range active.Groups {
		if !changed[g.Name] {
			groups = append(groups, g.GroupSpec)
		}
	}
	if !slices.ContainsFunc(groups, depends) {
		return nil
	}
	return process.Cycle(groups)
}

func depends(g process.GroupSpec) bool {
	return slices.ContainsFunc(g.Processes, func(p process.Spec) bool { return len(p.DependsOn) > 0 })
}
