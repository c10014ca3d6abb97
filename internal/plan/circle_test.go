package plan

import (
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestCircle updates one of two groups, each of which is to depend on the other one no longer, or from now on.
func TestCircle(t *testing.T) {
	group := func(name, on string) process.GroupSpec {
		p := process.Spec{Name: name, Program: name, Command: name}
		if on != "" {
			p.DependsOn = []process.Dependency{{Name: process.Namespec{Group: on}}}
		}
		return process.GroupSpec{Name: name, Processes: []process.Spec{p}}
	}
	active := Manifest{Groups: []Group{{GroupSpec: group("a", "b")}, {GroupSpec: group("b", "")}}}
	desired := []process.GroupSpec{group("a", ""), group("b", "a")}
	for _, c := range []struct {
		only   []string
		circle string
	}{{nil, ""}, {[]string{"a"}, ""}, {[]string{"b"}, "b -> a -> b"}} {
		got := Minimal(active, desired, c.only).Circle(active)
		if c.circle == "" && got != nil || c.circle != "" && (got == nil || process.CycleText(got) != c.circle) {
			t.Errorf("%v: %v", c.only, got)
		}
	}
	if c := (Update{Plans: []Plan{{Group: "b", Scope: RemoveGroup}}}).Circle(active); c != nil {
		t.Error(c)
	}
}
