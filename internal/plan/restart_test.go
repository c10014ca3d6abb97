package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// restartable is two groups, of which some members do not run, are held or leave.
func restartable() Manifest {
	group := func(name string, members ...string) Group {
		g := Group{GroupSpec: process.GroupSpec{Name: name}, Down: map[string]Rest{}, Leaving: map[string]bool{}, Held: map[string]bool{}}
		for i, m := range members {
			word, state, _ := strings.Cut(m, "=")
			g.Processes = append(g.Processes, process.Spec{Name: word, Program: name, Num: i, Command: "/bin/" + word})
			switch state {
			case "rests":
				g.Down[word] = AtRest
			case "fatal":
				g.Down[word] = GaveUp
			case "leaves":
				g.Leaving[word] = true
			case "held":
				g.Held[word] = true
			}
		}
		return g
	}
	return Manifest{Groups: []Group{group("web", "a", "b=rests", "c", "d=fatal", "e=leaves", "f=held"), group("db", "db"), group("off", "off=rests")}}
}

// TestRestart plans restarts of targets: who is replaced, by group, with the settings in force and against the present state.
func TestRestart(t *testing.T) {
	m := restartable()
	names := func(words ...string) (list []process.Namespec) {
		for _, w := range words {
			list = append(list, process.ParseNamespec(w))
		}
		return list
	}
	for _, c := range []struct {
		targets []process.Namespec
		want    string
	}{
		{nil, "web: a c f, db: db"},
		{names("web:*"), "web: a c f"},
		{names("db"), "db: db"},
		{names("web:c", "db:*"), "web: c, db: db"},
		{names("web:c", "web:c", "web:*"), "web: a c f"},
		{names("web:b"), ""}, // it does not run
		{names("web:d", "web:e", "off:*"), ""},
		{names("nobody:*", "web:x"), ""},
	} {
		u := Restart(m, c.targets)
		var got []string
		for _, p := range u.Plans {
			active, _ := m.Group(p.Group)
			got = append(got, p.Group+": "+strings.Join(p.Names(ReplaceProcess), " "))
			if p.Base != active.Hash() || p.Scope != ChangeGroup || len(p.Desired.Processes) != len(active.Processes) {
				t.Errorf("%v: %s is planned against %s, scope %d, %d members", c.targets, p.Group, p.Base, p.Scope, len(p.Desired.Processes))
			}
			if n := len(p.Changes) + len(p.Kept); n != len(active.Processes) {
				t.Errorf("%v: %s has %d members, the plan knows %d", c.targets, p.Group, len(active.Processes), n)
			}
			for _, change := range p.Changes {
				if now, _ := active.Process(change.Name); len(process.Changes(now, change.Spec)) > 0 || change.Action != ReplaceProcess || change.Group != p.Group || change.Retry || change.Down {
					t.Errorf("%v: %s: %+v", c.targets, p.Group, change)
				}
			}
		}
		if text := strings.Join(got, ", "); text != c.want || u.Empty() != (c.want == "") {
			t.Errorf("%v: %q, want %q", c.targets, text, c.want)
		}
	}
}

// TestOverridden changes how a plan replaces: part by part, with another identifier, and zero values count.
func TestOverridden(t *testing.T) {
	m := restartable()
	options := process.Roll{MaxUnavailable: process.Share{N: 50, Percent: true}, Canary: 1, Steady: 5 * time.Second, OnFailure: process.RollStop}
	for i := range m.Groups[0].Processes {
		m.Groups[0].Processes[i].Roll = options
	}
	plain := Restart(m, []process.Namespec{{Group: "web"}})
	none, long, pause := 0, time.Minute, process.RollPause
	seen := map[string]bool{plain.ID(): true}
	for want, o := range map[string]Override{
		"50% 0 5s stop":   {Canary: &none},
		"2 1 5s stop":     {MaxUnavailable: &process.Share{N: 2}},
		"50% 1 1m0s stop": {Steady: &long},
		"50% 1 5s pause":  {OnFailure: &pause},
		"1 0 1m0s pause":  {&process.Share{N: 1}, &none, &long, &pause},
	} {
		u := plain.Overridden(o)
		r := u.Plans[0].Roll()
		if got := fmt.Sprintf("%v %d %v %v", r.MaxUnavailable, r.Canary, r.Steady, r.OnFailure); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if seen[u.ID()] {
			t.Errorf("%q has the identifier of another plan", want)
		}
		seen[u.ID()] = true
	}
	if u := plain.Overridden(Override{}); u.ID() != plain.ID() || plain.Plans[0].Asked != nil || plain.Plans[0].Roll() != options {
		t.Error("nothing was asked, and the plan is another one")
	}
}

// TestBatches tells who is replaced together.
func TestBatches(t *testing.T) {
	p := Plan{Group: "g"}
	for i := range 7 {
		p.Changes = append(p.Changes, Change{Action: ReplaceProcess, Name: fmt.Sprint(i), Down: i == 3, Retry: false})
	}
	p.Changes = append(p.Changes, Change{Action: TuneProcess, Name: "t"})
	for _, c := range []struct {
		roll process.Roll
		want []string
	}{
		{process.Roll{}, []string{"0", "1", "2", "4", "5", "6"}},
		{process.Roll{MaxUnavailable: process.Share{N: 2}, Canary: 1}, []string{"0", "12", "45", "6"}},
		{process.Roll{MaxUnavailable: process.Share{N: 50, Percent: true}, Canary: 4}, []string{"012", "4", "56"}},
		{process.Roll{MaxUnavailable: process.Share{N: 100, Percent: true}}, []string{"012456"}},
	} {
		p.Asked = &c.roll
		var got []string
		for _, batch := range p.Batches() {
			text := ""
			for _, change := range batch {
				text += change.Name
			}
			got = append(got, text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.roll, got, c.want)
		}
	}
}
