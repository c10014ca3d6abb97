package plan

import "github.com/graced/graced/internal/process"

// Spares makes so many processes of a program that its group does not have: with the settings of the others, and numbers after theirs. Taken reports
// which names are not free.
type Spares func(group, program string, n int, taken func(name string) bool) ([]process.Spec, error)

// Surging returns the update with the processes that are there meanwhile while others are replaced, as the rolls of these say. There are not more of
// them than processes that work and are taken from it. The active groups say which names are taken. An error is that of spares.
func (u Update) Surging(active Manifest, spares Spares) (Update, error) {
	out := Update{Plans: make([]Plan, len(u.Plans))}
	for i, p := range u.Plans {
		now, _ := active.Group(p.Group)
		taken := func(name string) bool {
			_, is := now.Process(name)
			_, comes := p.Desired.Process(name)
			return is || comes
		}
		for _, program := range p.surging() {
			more, err := spares(p.Group, program.name, program.extra, taken)
			if err != nil {
				return u, err
			}
			p.Surge = append(p.Surge, more...)
		}
		out.Plans[i] = p
	}
	return out, nil
}

// surge is how many processes of a program are there meanwhile.
type surge struct {
	name  string
	extra int
}

// surging returns the programs of the plan that have more processes meanwhile, in the order of the changes.
func (p Plan) surging() (list []surge) {
	if p.Scope != ChangeGroup || p.Refusal != nil {
		return nil
	}
	all, work, roll := map[string]int{}, map[string]int{}, map[string]process.Roll{}
	var names []string
	for _, c := range p.Changes {
		if c.Action != ReplaceProcess {
			continue
		}
		name := c.Spec.Program
		if all[name] == 0 {
			names, roll[name] = append(names, name), c.Spec.Roll
		}
		if all[name]++; !c.Down {
			work[name]++
		}
	}
	for _, name := range names {
		if n := min(roll[name].Extra(all[name]), work[name]); n > 0 {
			list = append(list, surge{name, n})
		}
	}
	return list
}
