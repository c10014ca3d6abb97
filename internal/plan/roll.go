package plan

import (
	"fmt"
	"time"

	"github.com/graced/graced/internal/process"
)

// Override says what of a Roll is to be otherwise than the options of the processes say. Nil leaves it to them.
type Override struct {
	MaxUnavailable *process.Share
	Canary         *int
	Steady         *time.Duration
	OnFailure      *process.OnFailure
}

// Apply returns a roll with what the override says.
func (o Override) Apply(r process.Roll) process.Roll {
	if o.MaxUnavailable != nil {
		r.MaxUnavailable = *o.MaxUnavailable
	}
	if o.Canary != nil {
		r.Canary = *o.Canary
	}
	if o.Steady != nil {
		r.Steady = *o.Steady
	}
	if o.OnFailure != nil {
		r.OnFailure = *o.OnFailure
	}
	return r
}

// Overridden returns the update with an override of how the processes of each of its plans are replaced. The identifier tells it.
func (u Update) Overridden(o Override) Update {
	if o == (Override{}) {
		return u
	}
	out := Update{Plans: make([]Plan, len(u.Plans))}
	for i, p := range u.Plans {
		if len(p.Names(ReplaceProcess)) > 0 {
			roll := o.Apply(p.Roll())
			p.Asked = &roll
		}
		out.Plans[i] = p
	}
	return out
}

// Stuck returns the first group of an update in which the override lets no process be out of work, while none stands in for those that work and are to be
// replaced; "" = there is none.
func (o Override) Stuck(u Update) string {
	if o.MaxUnavailable == nil || *o.MaxUnavailable != process.None {
		return ""
	}
	for _, p := range u.Plans {
		for _, c := range p.Changes {
			if c.Action == ReplaceProcess && !c.Down && len(p.Surge) == 0 {
				return p.Group
			}
		}
	}
	return ""
}

// rollText is a roll as part of an identifier.
func rollText(r *process.Roll) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf(" %v %v %d %v %v", r.MaxUnavailable, r.Surge, r.Canary, r.Steady, r.OnFailure)
}

// Batches tells how replacements of a plan follow one another when all is well: the changes that are under way together, batch after batch. What
// takes its settings without a stop is in none.
func (p Plan) Batches() (out [][]Change) {
	var list []Change
	for _, c := range p.Changes {
		if c.Action == ReplaceProcess && (!c.Down || c.Retry) {
			list = append(list, c)
		}
	}
	r := p.Roll()
	most := max(1, r.Most(len(p.Names(ReplaceProcess)))+len(p.Surge))
	for done := 0; done < len(list); {
		n := most
		if done < r.Canary {
			n = min(n, r.Canary-done)
		}
		n = min(n, len(list)-done)
		out = append(out, list[done:done+n])
		done += n
	}
	return out
}
