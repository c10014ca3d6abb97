package process

import (
	"slices"
	"testing"
)

// program makes the processes of a program, which depends on names.
func program(name string, n int, on ...Namespec) (list []Spec) {
	var needs []Dependency
	for _, o := range on {
		needs = append(needs, Dependency{Name: o})
	}
	for i := range n {
		p := name
		if n > 1 {
			p += "_" + string(rune('0'+i))
		}
		list = append(list, Spec{Name: p, Program: name, DependsOn: needs})
	}
	return list
}

func TestCycle(t *testing.T) {
	group := func(name string, processes ...[]Spec) GroupSpec {
		return GroupSpec{Name: name, Processes: slices.Concat(processes...)}
	}
	on := func(group, process string) Namespec { return Namespec{Group: group, Process: process} }
	for _, c := range []struct {
		name   string
		groups []GroupSpec
		want   string
	}{
		{"none", []GroupSpec{group("a", program("a", 2, on("b", ""))), group("b", program("b", 1))}, ""},
		{"itself", []GroupSpec{group("a", program("a", 2, on("a", "a_1")))}, "a -> a"},
		{"by way of a process", []GroupSpec{group("a", program("a", 1, on("b", "b_1"))), group("b", program("b", 2, on("a", "")))}, "a -> b -> a"},
		{"a process that is not there", []GroupSpec{group("a", program("a", 1, on("b", "b_2"))), group("b", program("b", 2, on("a", "")))}, ""},
		{"groups in a circle, whose programs are not",
			[]GroupSpec{group("g", program("a", 1, on("h", "c")), program("b", 1)), group("h", program("c", 1), program("d", 1, on("g", "b")))}, ""},
		{"a program of a group", []GroupSpec{group("g", program("a", 1, on("b", "")), program("b", 1, on("a", "")))}, "g:a -> g:b -> g:a"},
		{"its own group", []GroupSpec{group("g", program("a", 1), program("b", 1, on("g", "")))}, "g:b -> g:b"},
		{"a group before a program of its name", []GroupSpec{group("g", program("b", 1, on("b", ""))), group("b", program("x", 1))}, ""},
		{"not from the first on", []GroupSpec{group("a", program("a", 1, on("b", ""))), group("b", program("b", 1, on("c", ""))), group("c", program("c", 1, on("b", "")))}, "b -> c -> b"},
	} {
		got := ""
		if cycle := Cycle(c.groups); cycle != nil {
			got = CycleText(cycle)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestShell(t *testing.T) {
	for status, want := range map[ExitStatus]int{{Code: 3}: 3, {Signal: SIGKILL}: 137, {Unknown: true}: 1, {}: 0} {
		if got := status.Shell(); got != want {
			t.Errorf("%v: %d", status, got)
		}
	}
}
