package plan

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// group builds a group spec with members named like "foo_1" or "foo_1!" (the mark changes an option that needs a respawn).
func group(priority int, members ...string) process.GroupSpec {
	g := process.GroupSpec{Name: "foo", Priority: priority}
	for _, m := range members {
		name, changed := strings.CutSuffix(m, "!")
		s := process.Spec{Name: name, Command: "sleep", Priority: 999}
		if changed {
			s.Command = "sleep 2"
			s.StartSecs = 9
		}
		g.Processes = append(g.Processes, s)
	}
	return g
}

func show(p Plan) string {
	if p.Refusal != nil {
		return "refused: " + p.Refusal.Text + " " + strings.Join(p.Refusal.Fields, ",")
	}
	var words []string
	for _, c := range p.Changes {
		words = append(words, [...]string{"+", "=", "-"}[c.Action]+c.Name)
	}
	return strings.Join(words, " ")
}

func TestGrace(t *testing.T) {
	for _, c := range []struct {
		name    string
		active  process.GroupSpec
		leaving string
		desired process.GroupSpec
		want    string
	}{
		{"equal", group(1, "foo_0", "foo_1"), "", group(1, "foo_0", "foo_1"), ""},
		{"order means nothing (G4)", group(1, "foo_0", "foo_1"), "", group(1, "foo_1", "foo_0"), ""},
		{"grow", group(1, "foo_0"), "", group(1, "foo_0", "foo_10", "foo_2", "foo_9"), "+foo_2 +foo_9 +foo_10"},
		{"shrink", group(1, "foo_0", "foo_10", "foo_2"), "", group(1, "foo_0"), "-foo_2 -foo_10"},
		{"shift by numprocs_start (G1)", group(1, "foo_0", "foo_1"), "", group(1, "foo_1", "foo_2"), "+foo_2 -foo_0"},
		{"surplus on its way out is still surplus", group(1, "foo_0", "foo_1"), "foo_1", group(1, "foo_0"), "-foo_1"},
		{"surplus on its way out returns", group(1, "foo_0", "foo_1"), "foo_1", group(1, "foo_0", "foo_1"), "=foo_1"},
		{"priority of the group", group(1, "foo_0"), "", group(5, "foo_0"), "refused: Not only numprocs has changed: priority is difference priority"},
		{"priority and count", group(1, "foo_0"), "", group(5, "foo_0", "foo_1"), "refused: Not only numprocs has changed: priority is difference priority"},
		{"count and another option", group(1, "foo_0"), "", group(1, "foo_0!", "foo_1"), "refused: Not only numprocs has changed command,startsecs"},
		{"another option", group(1, "foo_0"), "", group(1, "foo_0!"), "refused: Other settings has changed, please use update command,startsecs"},
		{"everything goes", group(1, "foo_0"), "", group(1), "-foo_0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			active := Group{GroupSpec: c.active, Leaving: map[string]bool{}}
			if c.leaving != "" {
				active.Leaving[c.leaving] = true
			}
			p := Grace(active, c.desired)
			if got := show(p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if p.Empty() != (c.want == "") {
				t.Errorf("Empty() = %v", p.Empty())
			}
			if p.Base != active.Hash() {
				t.Error("the plan is not based on the active group")
			}
		})
	}
}

// TestGraceProperty checks over random groups: what a plan does not name is equal on both sides, applying it gives the desired set, and a
// refusal names at least one option that really differs.
func TestGraceProperty(t *testing.T) {
	seed := rand.Int63()
	t.Log("seed", seed)
	r := rand.New(rand.NewSource(seed))
	members := func() []string {
		var out []string
		for i := range 12 {
			if r.Intn(2) == 0 {
				m := fmt.Sprintf("foo_%d", i)
				if r.Intn(20) == 0 {
					m += "!"
				}
				out = append(out, m)
			}
		}
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out
	}
	refused := 0
	for range 3000 {
		active, desired := Group{GroupSpec: group(1, members()...)}, group(1+r.Intn(8)/7, members()...)
		p := Grace(active, desired)
		if p.Refusal != nil {
			refused++
			if len(p.Refusal.Fields) == 0 || len(p.Changes) != 0 {
				t.Fatalf("refusal %+v with changes %v", p.Refusal, p.Changes)
			}
			continue
		}
		var after []string
		removed := p.Names(RemoveProcess)
		for _, m := range active.Processes {
			if !slices.Contains(removed, m.Name) {
				after = append(after, m.Name)
				d, ok := desired.Process(m.Name)
				if !ok || len(process.Diff(m, d)) != 0 {
					t.Fatalf("%s is kept but not the same in %v", m.Name, desired)
				}
			}
		}
		after = append(after, p.Names(AddProcess)...)
		var want []string
		for _, d := range desired.Processes {
			want = append(want, d.Name)
		}
		slices.Sort(after)
		slices.Sort(want)
		if !slices.Equal(after, want) {
			t.Fatalf("after the plan %v, want %v", after, want)
		}
		if (len(p.Changes) == 0) != SameGroup(active, desired) {
			t.Fatalf("Grace and SameGroup disagree about %v and %v", active, desired)
		}
	}
	if refused == 0 || refused == 3000 {
		t.Fatalf("%d of 3000 refused: the generator is blind", refused)
	}
}

func TestDifferences(t *testing.T) {
	named := func(name string, g process.GroupSpec) process.GroupSpec { g.Name = name; return g }
	active := Manifest{Groups: []Group{
		{GroupSpec: named("same", group(1, "a", "b"))}, {GroupSpec: named("gone", group(1, "a"))}, {GroupSpec: named("changed", group(1, "a"))},
		{GroupSpec: named("shrinking", group(1, "a", "b")), Leaving: map[string]bool{"b": true}}, {GroupSpec: named("also", group(1))},
	}}
	added, changed, removed := Differences(active, []process.GroupSpec{
		named("changed", group(1, "a!")), named("new", group(1, "a")), named("same", group(1, "b", "a")), named("new", group(2)), named("shrinking", group(1, "a", "b")),
	})
	got := fmt.Sprint(added, changed, removed)
	if want := "[new] [changed shrinking] [gone also]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if added, changed, removed := Differences(Manifest{}, nil); added == nil || changed == nil || removed == nil {
		t.Error("no difference must be empty lists, not nil: codecs publish them")
	}
}

func TestSameGroupKinds(t *testing.T) {
	a := Group{GroupSpec: group(1, "a")}
	d := group(1, "a")
	d.Kind = process.KindHeterogeneous
	if !SameGroup(a, d) || Grace(a, d).Refusal != nil {
		t.Error("a [group:x] with the same members differs from the [program:x]")
	}
	d.Kind = process.KindEventListener
	if p := Grace(a, d); SameGroup(a, d) || p.Refusal == nil || p.Refusal.Fields[0] != "kind" {
		t.Error("an event listener passes for a program")
	}
}

func TestHashSeesEveryOption(t *testing.T) {
	base := Group{GroupSpec: group(1, "a")}
	seen := map[string]string{base.Hash(): "base"}
	for _, c := range []struct {
		name string
		g    Group
	}{
		{"priority", Group{GroupSpec: group(2, "a")}}, {"member option", Group{GroupSpec: group(1, "a!")}}, {"member", Group{GroupSpec: group(1, "a", "b")}},
		{"leaving", Group{GroupSpec: group(1, "a"), Leaving: map[string]bool{"a": true}}},
	} {
		h := c.g.Hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%s hashes like %s", c.name, other)
		}
		seen[h] = c.name
	}
}
