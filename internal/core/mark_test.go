package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// TestMarks checks that what is held neither starts by itself nor is changed by an update, and that what is disabled does not start when it is added.
func TestMarks(t *testing.T) {
	spec := func(name, command string) process.Spec {
		return process.Spec{Name: name, Program: "g", Command: command, Autostart: true, Autorestart: process.RestartAlways, UID: process.UnsetID, Umask: process.UnsetMask}
	}
	group := func(command string, names ...string) process.GroupSpec {
		g := process.GroupSpec{Name: "g"}
		for i, n := range names {
			s := spec(n, command)
			s.Num = i
			g.Processes = append(g.Processes, s)
		}
		return g
	}
	s := New(Options{Strict: true, Marks: map[process.Namespec]Mark{{Group: "g", Process: "b"}: Disabled}})
	now := time.Duration(0)
	step := func(in Input) (spawned []string) {
		now += 10 * time.Second
		for _, e := range s.Step(Now{Mono: now}, in) {
			if e, ok := e.(Spawn); ok {
				spawned = append(spawned, e.Spec.Name)
			}
			if e, ok := e.(Reply); ok && e.Fault != nil {
				spawned = append(spawned, e.Fault.Text)
			}
		}
		return spawned
	}
	check := func(what string, got []string, want string) {
		t.Helper()
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", what, got, want)
		}
	}
	check("boot", step(Command{Do: AddGroups{Groups: []process.GroupSpec{group("x", "a", "b", "c")}}}), "[a c]")
	for id := process.ID(1); id <= 3; id += 2 {
		step(Spawned{ID: id, Incarnation: 1, PID: 100 + int(id)})
	}
	one := func(name string) Target { return Target{Group: "g", Process: name, Text: name} }
	check("hold", step(Command{Req: 1, Do: SetMark{one("a"), Held}}), "[]")
	check("unknown", step(Command{Req: 2, Do: SetMark{one("z"), Held}}), "[z]")
	check("the end of what is held", step(Exited{ID: 1, Incarnation: 1}), "[]")
	check("the end of another", step(Exited{ID: 3, Incarnation: 1}), "[c]")
	step(Spawned{ID: 3, Incarnation: 2, PID: 203})

	// A held process stays what it is, whatever the files say; the others change.
	update := func(desired ...process.GroupSpec) plan.Plan { return plan.Minimal(s.Manifest(), desired, nil).Plans[0] }
	p := update(group("y", "a", "b", "c"))
	if fmt.Sprint(p.Held) != "[a]" || fmt.Sprint(p.Names(plan.ReplaceProcess)) != "[b c]" || p.Scope != plan.ChangeGroup {
		t.Errorf("changed: held %v, replaced %v", p.Held, p.Names(plan.ReplaceProcess))
	}
	p = plan.Minimal(s.Manifest(), nil, nil).Plans[0]
	if fmt.Sprint(p.Held) != "[a]" || fmt.Sprint(p.Names(plan.RemoveProcess)) != "[b c]" || p.Scope != plan.ChangeGroup {
		t.Errorf("gone: held %v, removed %v, %v", p.Held, p.Names(plan.RemoveProcess), p.Scope)
	}
	if p = update(group("x", "a", "b", "c")); !p.Empty() || p.Held != nil {
		t.Errorf("equal: %+v", p)
	}
	check("a start by hand", step(Command{Req: 3, Do: Start{Target: one("a")}}), "[a]")

	// A mark of the group holds for members to come, one of a member beats it.
	check("disable all", step(Command{Req: 4, Do: SetMark{Target{Group: "g", Text: "g"}, Disabled}}), "[]")
	if m := s.Marks(); len(m) != 1 || s.MarkOf(1) != Disabled {
		t.Errorf("marks %v", m)
	}
	check("enable one", step(Command{Req: 5, Do: SetMark{one("b"), Free}}), "[]")
	check("new members", step(Command{Do: AddProcesses{Group: "g", Specs: []process.Spec{spec("d", "x")}}}), "[]")
	check("hold one that goes", step(Command{Req: 9, Do: SetMark{one("d"), Held}}), "[]")
	check("it goes", step(Command{Req: 10, Do: RemoveProcess{Group: "g", Name: "d"}}), "[]")
	check("enable all", step(Command{Req: 6, Do: SetMark{Target{Group: "g", Text: "g"}, Free}}), "[]")
	if len(s.Marks()) != 0 {
		t.Errorf("marks %v", s.Marks())
	}
	check("new members", step(Command{Do: AddProcesses{Group: "g", Specs: []process.Spec{spec("e", "x")}}}), "[e]")
}
