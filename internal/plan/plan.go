// Package plan computes what has to happen for the active set of processes to become the desired one.
//
// A Plan is data: it can be shown, refused, applied later or thrown away. Computing one changes nothing. The package is pure; core
// carries plans out, daemon and the codecs show them.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/graced/graced/internal/process"
)

// Manifest is the active state: the specs in force, group by group, in insertion order.
type Manifest struct {
	Groups []Group
}

// Group is one active group. Leaving names its members that are on their way out: still there, to be removed once stopped.
type Group struct {
	process.GroupSpec
	Leaving map[string]bool
	Lazy    map[string]bool // leaving members that go when they end by themselves
	Held    map[string]bool // members that are to be left as they are
	Down    map[string]Rest // members that do not run and will not by themselves
}

// Rest says why a member does not run.
type Rest int

// The reasons.
const (
	Up     Rest = iota // it runs, or is about to
	AtRest             // it was stopped, has ended or was never started
	GaveUp             // it could not be started
)

// Group returns the group called name.
func (m Manifest) Group(name string) (Group, bool) {
	for _, g := range m.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return Group{}, false
}

// Specs returns the settings of the groups.
func (m Manifest) Specs() []process.GroupSpec {
	var specs []process.GroupSpec
	for _, g := range m.Groups {
		specs = append(specs, g.GroupSpec)
	}
	return specs
}

// Action is what a Change does.
type Action int

// The actions.
const (
	AddProcess     Action = iota // a new member
	ReturnProcess                // a leaving member stays after all; it starts again once stopped
	RemoveProcess                // a surplus member: stopped, then removed
	TuneProcess                  // takes new settings while it runs
	RenameProcess                // the same with another name
	ReplaceProcess               // stopped, then started with new settings; one that is down only takes them
	StartProcess                 // starts as it is; in no plan: somebody asked for it
	StopProcess                  // the same for a stop
)

// Change is one step of a plan. Steps of one plan do not depend on each other.
type Change struct {
	Action Action
	Group  string
	Name   string
	From   string       // with RenameProcess: its name so far
	Spec   process.Spec // the spec to add or to take; with ReturnProcess under Grace and with RemoveProcess the one in force
	Fields []Difference // what is new about it
	Down   bool         // it does not run
	Lazy   bool         // with RemoveProcess: it is not stopped, but goes when it ends by itself
	Retry  bool         // with ReplaceProcess: it had been given up, and is started with its new settings
}

// Plan says what to do with one group.
type Plan struct {
	Group   string
	Base    string // Hash of the active group that the plan was computed against; a plan for another base is stale
	Scope   Scope
	Desired process.GroupSpec // the group as it shall be
	Fields  []Difference      // options of the group itself that are new
	Changes []Change          // under Grace additions first, each kind in natural order of names
	Kept    []string          // under Minimal: members that nothing happens to
	Held    []string          // under Minimal: those of them that would change if they were not held
	Refusal *Refusal          // set: the plan does nothing
	Surge   []process.Spec    // processes that are there as well while those of their program are replaced: see Surging
	Asked   *process.Roll     // how processes are replaced, where somebody has said so; nil = as their options say
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool {
	return p.Refusal == nil && len(p.Changes) == 0 && len(p.Fields) == 0 && p.Scope == ChangeGroup
}

// Roll says how the processes of the plan are replaced: as somebody has asked, or as the most careful of those says that are.
func (p Plan) Roll() process.Roll {
	if p.Asked != nil {
		return *p.Asked
	}
	var roll process.Roll
	n, surges := 0, false
	for _, c := range p.Changes {
		if c.Action == ReplaceProcess {
			n++
			surges = surges || c.Spec.Roll.Surge.N > 0
		}
	}
	first, least := true, 0
	for _, c := range p.Changes {
		if c.Action != ReplaceProcess {
			continue
		}
		r := c.Spec.Roll
		if surges && r.Surge.N == 0 && r.Most(n) > r.MaxUnavailable.Of(n) { // the surge of others changes nothing of it
			r.MaxUnavailable = process.Share{N: 1}
		}
		if r.Extra(n) > roll.Extra(n) {
			roll.Surge = r.Surge
		}
		if most := r.Most(n); first || most < least {
			roll.MaxUnavailable, least = r.MaxUnavailable, most
		}
		roll.Canary, roll.Steady = max(roll.Canary, r.Canary), max(roll.Steady, r.Steady)
		if first || r.OnFailure < roll.OnFailure {
			roll.OnFailure = r.OnFailure
		}
		first = false
	}
	return roll
}

// Names returns the names of the processes that the plan treats with one of the actions, in order.
func (p Plan) Names(actions ...Action) []string {
	var names []string
	for _, c := range p.Changes {
		if slices.Contains(actions, c.Action) {
			names = append(names, c.Name)
		}
	}
	return names
}

// Refusal says why the grace strategy does not act.
type Refusal struct {
	Text   string   // as supervisor_grace prints it
	Fields []string // every option that differs, each once, in the order of process.Fields; the group's own first
}

// The texts of supervisor_grace (contract: ctl, "grace_update"; typing errors included).
const (
	NothingToDo     = "No need to update"
	refusedPriority = "Not only numprocs has changed: priority is difference"
	refusedCount    = "Not only numprocs has changed"
	refusedOther    = "Other settings has changed, please use update"
)

// Hash identifies the content of an active group, with which of its members run and which are held. Program and number of a process are part of it, since they
// decide which process is renamed.
func (g Group) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d\n", g.Name, g.Kind, g.Priority)
	if l := g.Listener; l != nil {
		fmt.Fprintf(h, "%q %d %q %v\n", l.Events, l.BufferSize, l.ResultHandler, l.CountBytes)
	}
	var line []byte
	for _, p := range g.Processes {
		line = fmt.Appendf(line[:0], "%q %v %v %v %d %q %d", p.Name, g.Leaving[p.Name], g.Lazy[p.Name], g.Held[p.Name], g.Down[p.Name], p.Program, p.Num)
		for _, f := range process.Fields { // thousands of them: package fmt takes several times as long
			line = strconv.AppendQuote(append(line, ' '), f.Text(p))
		}
		h.Write(append(line, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Grace plans the change of one group under the strategy of grace_update: members may be added and removed, nothing else may differ.
// Members are compared as a set (quirks G1, G4): the order of the list means nothing, and a member that changed in any option refuses
// the whole plan.
func Grace(active Group, desired process.GroupSpec) Plan {
	p := Plan{Group: active.Name, Base: active.Hash(), Desired: desired}
	var fields []string
	note := func(name string) {
		if !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	if !sameKind(active.Kind, desired.Kind) {
		note("kind")
	}
	if active.Priority != desired.Priority {
		note("priority")
	}
	for _, name := range listenerDiff(active.Listener, desired.Listener) {
		note(name)
	}

	for _, next := range desired.Processes {
		now, ok := active.Process(next.Name)
		switch {
		case !ok:
			p.Changes = append(p.Changes, Change{Action: AddProcess, Group: active.Name, Name: next.Name, Spec: next})
		case len(process.Diff(now, next)) > 0:
			for _, f := range process.Diff(now, next) {
				note(f.Name)
			}
		case active.Leaving[next.Name]:
			p.Changes = append(p.Changes, Change{Action: ReturnProcess, Group: active.Name, Name: next.Name, Spec: now})
		}
	}
	for _, now := range active.Processes {
		if _, ok := desired.Process(now.Name); !ok {
			p.Changes = append(p.Changes, Change{Action: RemoveProcess, Group: active.Name, Name: now.Name, Spec: now})
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int {
		if removes := b2i(a.Action == RemoveProcess) - b2i(b.Action == RemoveProcess); removes != 0 {
			return removes
		}
		return process.CompareNatural(a.Name, b.Name)
	})

	if len(fields) > 0 {
		slices.SortStableFunc(fields, func(a, b string) int { return fieldRank(a) - fieldRank(b) })
		p.Changes = nil
		p.Refusal = &Refusal{Text: RefusalText(active, desired), Fields: fields}
	}
	return p
}

// RefusalText chooses among the plugin's three texts as the plugin does: by group priority, then by count. The old wire protocol needs it
// also for a plan that both adds and removes, which its answer cannot express.
func RefusalText(active Group, desired process.GroupSpec) string {
	switch {
	case active.Priority != desired.Priority:
		return refusedPriority
	case len(active.Processes) != len(desired.Processes):
		return refusedCount
	default:
		return refusedOther
	}
}

func fieldRank(name string) int {
	i := slices.IndexFunc(process.Fields, func(f process.Field) bool { return f.Name == name })
	if name == "priority" || name == "kind" || slices.Contains(listenerOptions, name) {
		return -1
	}
	return i
}

// listenerOptions are the options that an event listener's group has besides those of its processes.
var listenerOptions = []string{"events", "buffer_size", "result_handler", "payload_length"}

// listenerDiff names the options of an event listener's group that differ. A group that is none of the two kinds has none.
func listenerDiff(active, desired *process.ListenerSpec) []string {
	var names []string
	for _, d := range listenerDifferences(active, desired) {
		names = append(names, d.Option)
	}
	return names
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Differences names the groups that differ between the active state and the desired one, as reloadConfig reports them: added and
// changed in the order of desired, removed in the order of active. Members are compared as sets (quirk B4).
func Differences(active Manifest, desired []process.GroupSpec) (added, changed, removed []string) {
	added, changed, removed = []string{}, []string{}, []string{}
	seen := map[string]bool{}
	for _, d := range desired {
		if seen[d.Name] {
			continue
		}
		seen[d.Name] = true
		a, ok := active.Group(d.Name)
		switch {
		case !ok:
			added = append(added, d.Name)
		case !SameGroup(a, d):
			changed = append(changed, d.Name)
		}
	}
	for _, a := range active.Groups {
		if !seen[a.Name] {
			removed = append(removed, a.Name)
		}
	}
	return added, changed, removed
}

// SameGroup reports whether nothing differs between an active group and a desired one. A [program:x] and a [group:x] with the same
// members are the same (contract: config, "Comparison used by reread/update").
func SameGroup(active Group, desired process.GroupSpec) bool {
	if !sameKind(active.Kind, desired.Kind) || len(listenerDiff(active.Listener, desired.Listener)) > 0 {
		return false
	}
	if active.Priority != desired.Priority || len(active.Processes) != len(desired.Processes) || len(active.Leaving) > 0 {
		return false
	}
	for _, d := range desired.Processes {
		a, ok := active.Process(d.Name)
		if !ok || len(process.Diff(a, d)) > 0 {
			return false
		}
	}
	return true
}

func sameKind(a, b process.Kind) bool {
	plain := func(k process.Kind) bool { return k == process.KindProgram || k == process.KindHeterogeneous }
	return a == b || plain(a) && plain(b)
}

// QualifiedNames turns the names of members into "group:name".
func QualifiedNames(group string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = group + ":" + n
	}
	return out
}
