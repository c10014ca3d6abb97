package sim

import (
	"fmt"
	"slices"
	"strings"
)

// Facts of two traces count as simultaneous when they are this close, in microseconds. Both sides compute in fractions of a second, so the
// last digit may differ.
const (
	tolerance = 2000 // between the same fact in two traces
	instant   = 2    // between two facts of one moment
)

// subject keys the facts that have one order of their own.
type subject struct{ kind, name string }

// split sorts a trace by subject: the facts of one process (transitions and signals) together, each answer, each group.
func split(trace []Fact) map[subject][]Fact {
	out := map[subject][]Fact{}
	for _, f := range trace {
		k := subject{f.Kind, f.Subject}
		if f.Kind == "signal" {
			k.kind = "state"
		}
		out[k] = append(out[k], f)
	}
	return out
}

// Difference is where two traces part.
type Difference struct {
	What      string
	At        int64 // microseconds: the first fact that differs
	Ref, Ours []Fact
}

func (d Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", d.What)
	for _, side := range []struct {
		name  string
		facts []Fact
	}{{"reference", d.Ref}, {"core", d.Ours}} {
		fmt.Fprintf(&b, "  %s:\n", side.name)
		for _, f := range side.facts {
			fmt.Fprintf(&b, "    %v\n", f)
		}
	}
	return b.String()
}

// Verdict is the outcome of a comparison. Without differences the traces are equal up to the named ties.
type Verdict struct {
	Differences []Difference
	Ties        []string
}

// Compare compares the reference's trace of a scenario with that of a world. For each process, answer and group the facts must be equal in
// order and text and close in time; stop signals must be sent in one order over all processes. What remains open where several things
// happen in one instant is a tie, of one of these kinds:
//
//   - "a and b in one instant": the first difference is at a moment at which two independent causes met (a command, a deadline, the end of
//     a child). The reference takes commands, then deadlines strictly after their moment, then ends; the core takes a deadline first.
//   - "rows of one instant": an answer lists in another order what was completed in the same instant.
//   - "SIGKILLs of one instant": escalations due together are sent in another order.
//   - "unanswered at the halt": the reference leaves without answering commands that were completed by the last exit.
func Compare(sc Scenario, ref []Fact, w *World) Verdict {
	ours := w.Trace
	var v Verdict
	a, b := split(ref), split(ours)
	keys := map[subject]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	commands := map[string]Command{}
	for _, c := range sc.Commands {
		commands[fmt.Sprintf("#%d", c.Req)] = c
	}
	var sorted []subject
	for k := range keys {
		sorted = append(sorted, k)
	}
	slices.SortFunc(sorted, func(x, y subject) int { return strings.Compare(x.kind+" "+x.name, y.kind+" "+y.name) })
	for _, k := range sorted {
		i, same := firstDifference(a[k], b[k])
		switch {
		case same:
		case k.kind == "reply" && len(a[k]) == 1 && len(b[k]) == 1:
			answer := rowCompare{w, commands[k.name], a[k][0], b[k][0], ref}
			if tie := answer.tie(); tie != "" {
				v.Ties = append(v.Ties, tie)
				continue
			}
			v.Differences = append(v.Differences, difference("reply "+k.name, a[k], b[k], i))
		case k.kind == "reply" && len(a[k]) == 0 && w.Halted && b[k][0].At == ours[len(ours)-1].At:
			v.Ties = append(v.Ties, "unanswered at the halt")
		default:
			v.Differences = append(v.Differences, difference(k.kind+" "+k.name, a[k], b[k], i))
		}
	}
	if len(v.Differences) == 0 {
		v.compareSignals(ref, ours)
	}
	if name := w.coincidence(v.Differences); name != "" {
		v.Differences = nil
		v.Ties = append(v.Ties, name)
	}
	return v
}

// compareSignals compares the order of signals over all processes.
func (v *Verdict) compareSignals(ref, ours []Fact) {
	p, q := signals(ref), signals(ours)
	i, same := firstDifference(p, q)
	if same {
		return
	}
	isKill := func(f Fact) bool { return strings.HasPrefix(f.Text, "9 ") }
	if _, same := firstDifference(slices.DeleteFunc(slices.Clone(p), isKill), slices.DeleteFunc(slices.Clone(q), isKill)); same {
		v.Ties = append(v.Ties, "SIGKILLs of one instant")
		return
	}
	v.Differences = append(v.Differences, difference("order of signals", p, q, i))
}

// coincidence names the tie at which all of the differences begin, if that is so.
func (w *World) coincidence(ds []Difference) string {
	if len(ds) == 0 {
		return ""
	}
	return w.meeting(slices.MinFunc(ds, func(a, b Difference) int { return int(a.At - b.At) }).At)
}

// meeting names the causes that met at a moment, if there were several.
func (w *World) meeting(first int64) string {
	for at := first - instant; at <= first+instant; at++ {
		kinds := slices.Clone(w.causes[at])
		slices.Sort(kinds)
		ends := 0
		for _, c := range kinds {
			if c == anEnd {
				ends++
			}
		}
		if kinds = slices.Compact(kinds); len(kinds) > 1 || ends > 1 {
			names := make([]string, len(kinds))
			for i, c := range kinds {
				names[i] = string(c)
			}
			return strings.Join(names, " and ") + " in one instant"
		}
	}
	return ""
}

func signals(trace []Fact) []Fact {
	return slices.DeleteFunc(slices.Clone(trace), func(f Fact) bool { return f.Kind != "signal" })
}

func firstDifference(a, b []Fact) (int, bool) {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			return i, false
		}
		late := a[i].At - b[i].At
		if a[i].Subject != b[i].Subject || a[i].Text != b[i].Text || late > tolerance || late < -tolerance {
			return i, false
		}
	}
	return 0, true
}

func difference(what string, a, b []Fact, i int) Difference {
	d := Difference{What: what, At: 1 << 62, Ref: around(a, i), Ours: around(b, i)}
	for _, side := range [][]Fact{a, b} {
		if i < len(side) {
			d.At = min(d.At, side[i].At)
		}
	}
	return d
}

func around(facts []Fact, i int) []Fact {
	return facts[min(len(facts), max(0, i-4)):min(len(facts), i+3)]
}
