package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// pendingText renders what a machine waits for, and checks that one that comes back from a snapshot waits for the same.
func pendingText(t *testing.T, s *core.Supervisor) string {
	t.Helper()
	text := func(s *core.Supervisor) string {
		var words []string
		for _, e := range s.Pending() {
			switch e := e.(type) {
			case core.Spawn:
				words = append(words, fmt.Sprintf("spawn %d/%d %s:%s %ds", e.ID, e.Incarnation, e.Group, e.Spec.Name, e.Spec.StopWaitSecs))
			case core.Signal:
				words = append(words, fmt.Sprintf("%v to %d %v", e.Signal, e.PID, e.ToGroup))
			case core.WriteStdin:
				words = append(words, fmt.Sprintf("write %s %v", e.Data, e.Idle))
			case core.Halt:
				words = append(words, fmt.Sprintf("halt %v", e.Restart))
			}
		}
		return strings.Join(words, ", ")
	}
	got := text(s)
	if back := text(core.Restore(core.Options{}, written(t, s.Snapshot()))); back != got {
		t.Errorf("pending %q, after the snapshot %q", got, back)
	}
	return got
}

// TestPending checks what is given again: everything without an outcome, as it was asked for and in that order.
func TestPending(t *testing.T) {
	spec := func(name string) process.Spec {
		return process.Spec{Name: name, Program: name, StartSecs: 1, StopWaitSecs: 7, StopSignal: 15, StopAsGroup: true, ExitCodes: []int{0}}
	}
	s := core.New(core.Options{Strict: true})
	step := func(in core.Input) []core.Effect { return s.Step(core.Now{Mono: time.Second}, in) }
	do := func(v core.Verb) []core.Effect { return step(core.Command{Req: 1, Do: v}) }
	expect := func(what, want string) {
		t.Helper()
		if got := pendingText(t, s); got != want {
			t.Errorf("%s: pending %q, want %q", what, got, want)
		}
	}
	group := process.GroupSpec{Name: "g", Processes: []process.Spec{spec("a"), spec("b")}}
	do(core.AddGroups{Groups: []process.GroupSpec{group}})
	expect("nothing asked", "")
	do(core.Start{Target: core.Target{All: true}})
	expect("two spawns", "spawn 1/1 g:a 7s, spawn 2/1 g:b 7s")

	// What is changed meanwhile does not change what was asked for; logs are as they shall be now.
	desired := process.GroupSpec{Name: "g", Processes: []process.Spec{spec("a"), spec("b")}}
	desired.Processes[0].StopWaitSecs, desired.Processes[0].Stdout.MaxBytes = 9, 5
	do(core.Update{Plan: plan.Minimal(s.Manifest(), []process.GroupSpec{desired}, nil)})
	expect("an update", "spawn 1/1 g:a 7s, spawn 2/1 g:b 7s")
	if l := s.Logs(); len(l) != 2 || l[0].ID != 1 || l[0].Group != "g" || l[0].Listener || l[0].Spec.Stdout.MaxBytes != 5 || l[1].ID != 2 {
		t.Errorf("logs %+v", l)
	}

	step(core.SpawnFailed{ID: 2, Incarnation: 1, Text: "cannot"})
	step(core.Spawned{ID: 1, Incarnation: 1, PID: 50})
	expect("both known", "")
	a := core.Target{Group: "g", Process: "a"}
	do(core.SendSignal{Target: a, Signal: 10})
	do(core.WriteInput{Target: a, Data: []byte("x")})
	stop := do(core.Stop{Target: a})
	expect("three in a row", "SIGUSR1 to 50 false, write x false, SIGTERM to 50 true")
	step(core.Exited{ID: 1, Incarnation: 1})
	i := slices.IndexFunc(stop, func(e core.Effect) bool { _, ok := e.(core.Signal); return ok })
	step(core.Signalled{ID: 1, Incarnation: 1, Token: stop[i].(core.Signal).Token})
	do(core.Start{Target: a})
	expect("of two lives", "SIGUSR1 to 50 false, write x false, spawn 1/2 g:a 9s")
	do(core.Quit{Restart: true})
	step(core.SpawnFailed{ID: 1, Incarnation: 2, Text: "cannot"})
	expect("all has stopped", "SIGUSR1 to 50 false, write x false, halt true")
}

// TestUnanswered checks that the commands that wait are named.
func TestUnanswered(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.Start{Target: target, Wait: true})
	b.do(core.Start{Target: target, Wait: true}) // refused
	b.do(core.Stop{Target: target, Wait: true})
	if got := b.Unanswered(); !slices.Equal(got, []core.Req{4}) {
		t.Errorf("commands %v wait", got)
	}
	b.step(core.Cancel{Req: 4})
	if got := b.Unanswered(); len(got) != 0 {
		t.Errorf("commands %v wait", got)
	}
}

// TestDue checks when a Tick has to be kept: a deadline is due, or the wall clock was set.
func TestDue(t *testing.T) {
	s := core.New(core.Options{Strict: true})
	at := func(mono, wall time.Duration) core.Now {
		return core.Now{Mono: mono, Wall: time.Unix(1_000_000_003, 0).Add(wall)}
	}
	if s.Due(at(time.Hour, time.Hour)) {
		t.Error("due without anything")
	}
	g := listeners("l", 10, process.ResultHandlerDefault, 1, "TICK_60")
	g.Processes[0].Autostart = false
	s.Step(at(0, 0), core.Command{Do: core.AddGroups{Groups: []process.GroupSpec{g}}})
	for _, c := range []struct {
		mono, wall time.Duration
		want       bool
	}{
		{time.Second, time.Second, false}, {17 * time.Second, time.Second, true}, {time.Second, time.Minute, true}, {time.Second, -time.Hour, true},
		{16 * time.Second, 16 * time.Second, false}, {17 * time.Second, 17 * time.Second, true},
	} {
		if got := s.Due(at(c.mono, c.wall)); got != c.want {
			t.Errorf("after %v, by the wall clock %v: due is %v", c.mono, c.wall, got)
		}
	}
	s.Step(at(0, 0), core.Command{Do: core.Quit{}})
	if s.Due(at(time.Hour, time.Hour)) {
		t.Error("due after the halt")
	}
}

// TestNow checks that the moment of a step is told as it counted.
func TestNow(t *testing.T) {
	s := core.New(core.Options{})
	late := core.Now{Mono: time.Hour, Wall: time.Unix(7, 0)}
	s.Step(late, core.Tick{})
	s.Step(core.Now{}, core.Tick{})
	if s.Now() != late {
		t.Errorf("now %v", s.Now())
	}
}

// TestIdentify checks that the name in the header of events can be changed, also while everything is being stopped.
func TestIdentify(t *testing.T) {
	s := core.New(core.Options{Strict: true, Identifier: "before"})
	g := listeners("l", 10, process.ResultHandlerDefault, 1, "REMOTE_COMMUNICATION")
	s.Step(core.Now{}, core.Command{Do: core.AddGroups{Groups: []process.GroupSpec{g}}})
	s.Step(core.Now{}, core.Spawned{ID: 1, Incarnation: 1, PID: 9})
	s.Step(core.Now{Mono: time.Minute}, core.ListenerOutput{ID: 1, Incarnation: 1, Data: []byte("READY\n")})
	s.Step(core.Now{}, core.Command{Do: core.SendRemote{}})
	for i, name := range []string{"after", "last"} {
		s.Step(core.Now{}, core.Command{Do: core.Identify{Name: name}})
		s.Step(core.Now{}, core.Command{Do: core.SendRemote{}})
		if i == 0 {
			s.Step(core.Now{}, core.ListenerOutput{ID: 1, Incarnation: 1, Data: []byte(accept)})
			if p := s.Pending(); len(p) != 2 || !strings.Contains(string(p[1].(core.WriteStdin).Data), "server:after") {
				t.Errorf("pending %s", p)
			}
			s.Step(core.Now{}, core.Command{Do: core.Quit{}})
		}
	}
	if got := s.Snapshot().Identifier; got != "last" {
		t.Errorf("identifier %q", got)
	}
}
