package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestDiff compares two generations in which everything happens that can.
func TestDiff(t *testing.T) {
	spec := func(name string, change func(*process.Spec)) process.Spec {
		s := process.Spec{Name: name, Program: name, Command: "/bin/x", UID: process.UnsetID, Umask: process.UnsetMask, Stdout: process.LogSpec{File: process.LogTarget{Kind: process.LogPath, Path: "/x"}}}
		if change != nil {
			change(&s)
		}
		return s
	}
	env := func(words ...string) func(*process.Spec) {
		return func(s *process.Spec) {
			for _, w := range words {
				key, value, _ := strings.Cut(w, "=")
				s.Environment = append(s.Environment, process.Env{Key: key, Value: value})
			}
		}
	}
	one := func(name string, g process.GroupSpec) process.GroupSpec {
		g.Name = name
		if g.Processes == nil {
			g.Processes = []process.Spec{spec(name, nil)}
		}
		return g
	}
	a := Generation{Groups: []process.GroupSpec{
		one("same", process.GroupSpec{}),
		one("gone", process.GroupSpec{Processes: []process.Spec{spec("g1", nil), spec("g2", nil)}}),
		one("env", process.GroupSpec{Processes: []process.Spec{spec("env", env("A=1", "PASSWORD=old", "Z=9"))}}),
		one("members", process.GroupSpec{Priority: 1, Processes: []process.Spec{spec("m_0", nil), spec("m_1", nil)}}),
		one("renamed", process.GroupSpec{Processes: []process.Spec{spec("r", nil)}}),
		one("listener", process.GroupSpec{Kind: process.KindEventListener, Listener: &process.ListenerSpec{Events: []string{"TICK_5"}, BufferSize: 1, ResultHandler: "a"}}),
		one("auto", process.GroupSpec{}),
		one("socket", process.GroupSpec{Kind: process.KindFCGI, Processes: []process.Spec{spec("s", func(s *process.Spec) { s.Socket.URL = "unix:///a" })}}),
	}}
	b := Generation{Groups: []process.GroupSpec{
		one("new", process.GroupSpec{Processes: []process.Spec{spec("n1", nil), spec("n2", nil)}}),
		one("env", process.GroupSpec{Processes: []process.Spec{spec("env", env("A=1", "B=2", "PASSWORD=new"))}}),
		one("members", process.GroupSpec{Priority: 2, Processes: []process.Spec{spec("m_1", func(s *process.Spec) { s.StartSecs, s.Command = 5, "/bin/y" }), spec("m_2", nil)}}),
		one("renamed", process.GroupSpec{Processes: []process.Spec{spec("r_0", func(s *process.Spec) { s.Program = "r" })}}),
		one("listener", process.GroupSpec{Kind: process.KindEventListener, Listener: &process.ListenerSpec{Events: []string{"TICK_5", "TICK_60"}, BufferSize: 1, ResultHandler: "b"},
			Processes: []process.Spec{spec("listener", func(s *process.Spec) { s.Priority = 7 }), spec("l2", nil)}}),
		one("same", process.GroupSpec{}),
		// An update keeps the file that is open; the history says what changed.
		one("auto", process.GroupSpec{Processes: []process.Spec{spec("auto", func(s *process.Spec) { s.Stdout.File = process.LogTarget{} })}}),
		one("socket", process.GroupSpec{Kind: process.KindFCGI, Processes: []process.Spec{spec("s", func(s *process.Spec) { s.Socket.URL, s.Priority = "unix:///b", 1 })}}),
	}}
	mask := func(option, variable, text string) string {
		if option == "environment" && variable == "PASSWORD" {
			return "•••"
		}
		return text
	}
	want := `new: added
new:n1 added
new:n2 added
env:env environment B "" -> "2" (respawn)
env:env environment PASSWORD "•••" -> "•••" (respawn)
env:env environment Z "9" -> "" (respawn)
members: priority "1" -> "2" (live)
members:m_1 command "/bin/x" -> "/bin/y" (respawn)
members:m_1 startsecs "0" -> "5" (next start)
members:m_2 added
members:m_0 removed
renamed:r_0 process_name "r" -> "r_0" (identity)
listener: events "TICK_5" -> "TICK_5,TICK_60" (live)
listener: result_handler "a" -> "b" (group)
listener:listener priority "0" -> "7" (live)
listener:l2 added
auto:auto stdout_logfile "/x" -> "AUTO" (live)
socket: socket "unix:///a" -> "unix:///b" (group)
socket:s priority "0" -> "1" (live)
gone: removed
gone:g1 removed
gone:g2 removed
`
	if got := render(Diff(a, b, mask)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := render(Diff(a, b, nil)); !strings.Contains(got, `PASSWORD "old" -> "new"`) {
		t.Errorf("without a mask:\n%s", got)
	}
	if got := render(Diff(a, a, mask)); got != "" {
		t.Errorf("with itself:\n%s", got)
	}
}

func render(list []Change) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s:%s ", c.Group, c.Process)
		switch c.Action {
		case Added:
			b.WriteString("added")
		case Removed:
			b.WriteString("removed")
		default:
			words := strings.Join(strings.Fields(c.Option+" "+c.Variable), " ")
			fmt.Fprintf(&b, "%s %q -> %q (%s)", words, c.Old, c.New, c.Class)
		}
		b.WriteString("\n")
	}
	return b.String()
}
