package core_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// newBench makes a bench whose process p has the given spec; it is STOPPED.
func newBench(opts core.Options, spec process.Spec) *bench {
	b := &bench{Supervisor: core.New(opts)}
	b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}}})
	return b
}

func (b *bench) state(t *testing.T) process.State {
	t.Helper()
	st, ok := b.Find("g", "p")
	if !ok {
		t.Fatal("g:p is gone")
	}
	return st.State
}

// TestLateExit checks that a process is judged by the moment of its end, however late the news (quirk C1).
func TestLateExit(t *testing.T) {
	for _, c := range []struct {
		at   time.Duration
		want process.State
	}{
		{900 * time.Millisecond, process.Backoff},
		{time.Second, process.Exited},
		{0, process.Exited},               // not known: now
		{5 * time.Second, process.Exited}, // cannot be
	} {
		b := newBench(core.Options{Strict: true}, matrixSpec)
		b.do(core.Start{Target: target})
		b.spawned()
		b.now = 1200 * time.Millisecond
		b.step(core.Exited{ID: b.id, Incarnation: b.inc, At: c.at})
		if got := b.state(t); got != c.want {
			t.Errorf("exit noticed at %v: %v, want %v", c.at, got, c.want)
		}
	}
}

// TestClockNeverGoesBack checks that a step with an earlier time counts as one at the time of the step before.
func TestClockNeverGoesBack(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.now = 10 * time.Second
	b.do(core.Start{Target: target})
	b.now = 0
	b.spawned()
	if at, ok := b.NextDeadline(); !ok || at != 11*time.Second {
		t.Errorf("deadline %v %v, want 11s", at, ok)
	}
	b.exited(0)
	if at, ok := b.NextDeadline(); !ok || at != 11*time.Second {
		t.Errorf("after the failure: deadline %v %v, want 11s", at, ok)
	}
}

// TestUnforeseen checks that news which cannot be are ignored and reported in production.
func TestUnforeseen(t *testing.T) {
	b := newBench(core.Options{}, matrixSpec)
	before := b.Revision()
	for _, out := range [][]core.Effect{b.spawned(), b.exited(0), b.signalled("EPERM"), b.step(core.StdinWritten{Token: 99})} {
		if len(out) != 1 {
			t.Fatalf("effects %v, want one report", out)
		}
		if _, ok := out[0].(core.Publish).Event.(core.Ignored); !ok {
			t.Errorf("effect %v, want Ignored", out[0])
		}
	}
	if b.state(t) != process.Stopped || b.Revision() != before {
		t.Errorf("state %v, revision %d, want STOPPED and %d", b.state(t), b.Revision(), before)
	}
}

// TestRevision checks that every change of what can be seen raises the revision.
func TestRevision(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	seen := func() string { return fmt.Sprintf("%+v %+v", b.Statuses(), b.Manifest()) }
	last, rev := seen(), b.Revision()
	for i, act := range []func(){
		func() { b.do(core.Start{Target: target}) },
		func() { b.spawned() },
		func() { b.pass() },
		func() { b.do(core.Leave{Plan: b.plan(false)}) },
		func() { b.do(core.Apply{Plan: b.plan(true)}) },
		func() { b.do(core.Stop{Target: target}) },
		func() { b.exited(3) },
		func() { b.do(core.AddProcesses{Group: "g", Specs: []process.Spec{{Name: "q"}}}) },
		func() { b.do(core.RemoveProcess{Group: "g", Name: "q"}) },
		func() { b.do(core.RemoveGroup{Name: "g"}) },
	} {
		act()
		now := seen()
		if now == last {
			t.Errorf("act %d changes nothing that can be seen", i)
		}
		if b.Revision() == rev {
			t.Errorf("act %d does not raise the revision", i)
		}
		last, rev = now, b.Revision()
	}
}

// TestStatus checks the fields of a status over a life.
func TestStatus(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "h", Processes: []process.Spec{{Name: "q"}, {Name: "r"}}}}})
	b.id-- // of h:q; g:p came before
	b.id--
	b.now = 3 * time.Second
	b.do(core.Start{Target: target})
	b.spawned()
	b.now = 5 * time.Second
	b.exited(7)

	st, _ := b.Find("g", "p")
	want := process.Status{
		ID: st.ID, Incarnation: 2, Group: "g", Name: "p", State: process.Starting, Spec: st.Spec,
		Started: time.Unix(5, 0), Ended: time.Unix(5, 0), Restarts: 1,
	}
	if !reflect.DeepEqual(st, want) {
		t.Errorf("after an unexpected end:\n%+v\nwant\n%+v", st, want)
	}
	b.spawned()
	b.exited(7)
	st, _ = b.Status(st.ID)
	want.State, want.SpawnErr = process.Backoff, "Exited too quickly (process log may have details)"
	if !reflect.DeepEqual(st, want) {
		t.Errorf("after a quick end:\n%+v\nwant\n%+v", st, want)
	}
	b.now += 5 * time.Second
	b.do(core.Stop{}) // of nobody: the deadline passes
	if st, _ = b.Status(st.ID); st.Restarts != 2 {
		t.Errorf("after a try again there are %d restarts", st.Restarts)
	}
	b.spawned()
	b.now += 5 * time.Second
	b.do(core.Stop{Target: target})
	b.exited(0)
	b.do(core.Start{Target: target})
	if st, _ = b.Status(st.ID); st.State != process.Starting || st.Restarts != 0 {
		t.Errorf("after a start that was wanted: %v, %d restarts", st.State, st.Restarts)
	}
	var names []string
	for _, s := range b.Statuses() {
		names = append(names, fmt.Sprintf("%v@%d", s.Namespec(), s.GroupIndex))
	}
	if want := []string{"g:p@0", "h:q@1", "h:r@1"}; !slices.Equal(names, want) {
		t.Errorf("statuses %v, want %v", names, want)
	}
	if got := b.Groups(); !slices.Equal(got, []string{"g", "h"}) {
		t.Errorf("groups %v", got)
	}
	if _, ok := b.Status(999); ok {
		t.Error("a status of process 999")
	}
	if _, ok := b.Find("g", "nope"); ok {
		t.Error("a status of g:nope")
	}
}

// TestOutOfMemory: where the cause of an end is known it is what the process is said to have.
func TestOutOfMemory(t *testing.T) {
	spec := matrixSpec
	spec.Autorestart = process.RestartNever
	b := newBench(core.Options{Strict: true}, spec)
	killed := func() process.Status {
		b.step(core.Exited{ID: b.id, Incarnation: b.inc, Status: process.ExitStatus{Signal: process.SIGKILL, OutOfMemory: true}})
		st, _ := b.Find("g", "p")
		return st
	}
	b.do(core.Start{Target: target})
	b.spawned()
	if st := killed(); st.State != process.Backoff || st.SpawnErr != "Out of memory: killed by the kernel" {
		t.Errorf("%+v", st)
	}
	b.now += time.Second
	b.step(core.Tick{})
	b.spawned()
	b.now += time.Minute
	b.step(core.Tick{})
	if st := killed(); st.State != process.Exited || !st.Exit.OutOfMemory || st.SpawnErr != "Out of memory: killed by the kernel" {
		t.Errorf("%+v", st)
	}
}

// TestManifestAfterApply checks that an active group equals the desired one as soon as the surplus is gone, in its order, and that a plan for an
// older state is refused without effect.
func TestManifestAfterApply(t *testing.T) {
	names := func(from []string) (specs []process.Spec) {
		for _, n := range from {
			specs = append(specs, process.Spec{Name: n, StopWaitSecs: 1})
		}
		return specs
	}
	b := &bench{Supervisor: core.New(core.Options{Strict: true})}
	b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Priority: 5, Processes: names([]string{"a", "b", "c"})}}})
	old := b.plan(true)
	active, _ := b.Manifest().Group("g")
	desired := process.GroupSpec{Name: "g", Kind: process.KindHeterogeneous, Priority: 5, Processes: names([]string{"d", "c", "a"})}
	out := b.do(core.Apply{Plan: plan.Grace(active, desired)})
	if len(out) == 0 {
		t.Fatal("no effects")
	}
	active, _ = b.Manifest().Group("g")
	if !plan.SameGroup(active, desired) {
		t.Errorf("active %+v, desired %+v", active, desired)
	}
	var order []string
	for _, p := range active.Processes {
		order = append(order, p.Name)
	}
	if want := []string{"d", "c", "a"}; !slices.Equal(order, want) || active.Kind != desired.Kind {
		t.Errorf("members %v of kind %v, want %v", order, active.Kind, want)
	}
	out = b.do(core.Apply{Plan: old})
	if len(out) != 1 || out[0].(core.Reply).Fault.Kind != core.Stale {
		t.Errorf("a stale plan: %v", out)
	}
	out = b.do(core.Leave{Plan: plan.Grace(active, process.GroupSpec{Name: "g", Priority: 6})})
	if len(out) != 1 || out[0].(core.Reply).Fault.Kind != core.Failed {
		t.Errorf("a refused plan: %v", out)
	}
	out = b.do(core.Apply{Plan: plan.Plan{Group: "nope"}})
	if len(out) != 1 || out[0].(core.Reply).Fault.Kind != core.Stale {
		t.Errorf("a plan for no group: %v", out)
	}
}

// TestAddTogether checks that groups and members are added all or none.
func TestAddTogether(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	for _, c := range []struct {
		verb core.Verb
		want core.Fault
	}{
		{core.AddGroups{Groups: []process.GroupSpec{{Name: "new"}, {Name: "g"}}}, core.Fault{Kind: core.AlreadyAdded, Text: "g"}},
		{core.AddGroups{Groups: []process.GroupSpec{{Name: "new"}, {Name: "new"}}}, core.Fault{Kind: core.AlreadyAdded, Text: "new"}},
		{core.AddProcesses{Group: "g", Specs: []process.Spec{{Name: "q"}, {Name: "p"}}}, core.Fault{Kind: core.BadName, Text: "p"}},
		{core.AddProcesses{Group: "g", Specs: []process.Spec{{Name: "q"}, {Name: "q"}}}, core.Fault{Kind: core.BadName, Text: "q"}},
	} {
		out := b.do(c.verb)
		if len(out) != 1 || *out[0].(core.Reply).Fault != c.want {
			t.Errorf("%T: %v, want the fault %v alone", c.verb, out, c.want)
		}
	}
	if got := len(b.Statuses()); got != 1 {
		t.Errorf("%d processes, want 1", got)
	}
}

// TestAfterHalt checks that nothing follows a Halt.
func TestAfterHalt(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	out := b.do(core.Quit{Restart: true})
	if h, ok := out[len(out)-1].(core.Halt); !ok || !h.Restart {
		t.Fatalf("effects %v, want a halt for a restart at the end", out)
	}
	if out := b.do(core.Start{Target: target}); out != nil {
		t.Errorf("effects %v after the halt", out)
	}
	if restart, yes := b.Quitting(); !restart || !yes {
		t.Errorf("quitting %v %v, want a restart", restart, yes)
	}
	if _, ok := b.NextDeadline(); ok {
		t.Error("a deadline after the halt")
	}
}

// TestStdin checks the way of a write and of its refusal.
func TestStdin(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.Start{Target: target})
	b.spawned()
	for _, fault := range []*core.Fault{nil, {Kind: core.NoFile, Text: "g:p"}} {
		out := b.do(core.WriteInput{Target: target, Data: []byte("hello")})
		w, ok := out[0].(core.WriteStdin)
		if !ok || string(w.Data) != "hello" || w.ID != b.id || w.Incarnation != b.inc {
			t.Fatalf("effects %v, want the write", out)
		}
		out = b.step(core.StdinWritten{Token: w.Token, Fault: fault})
		if len(out) != 1 || out[0].(core.Reply).Fault != fault || out[0].(core.Reply).Req != b.req {
			t.Errorf("answer %v, want fault %v", out, fault)
		}
	}
}

// TestStaleSignal checks that the outcome of a signal to an earlier life is not taken for that of the present one.
func TestStaleSignal(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.Start{Target: target})
	b.spawned()
	b.do(core.Stop{Target: target})
	first := b.token
	b.exited(0)
	b.do(core.Start{Target: target})
	b.spawned()
	b.do(core.Stop{Target: target})
	if out := b.step(core.Signalled{ID: b.id, Incarnation: 1, Token: first, Error: "EPERM"}); len(out) != 0 {
		t.Errorf("a refusal of the first life: %v", out)
	}
	if out := b.signalled(""); len(out) != 1 || out[0].(core.Reply).Fault != nil {
		t.Errorf("the outcome of the second life: %v, want success", out)
	}
}

// TestAnswersBeforeHalt checks that commands whose outcome never came are answered before the end.
func TestAnswersBeforeHalt(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.Start{Target: target})
	b.spawned()
	b.do(core.SendSignal{Target: target, Signal: 10})
	b.do(core.WriteInput{Target: target, Data: []byte("x")})
	b.do(core.Quit{})
	out := b.exited(0)
	out = out[len(out)-3:]
	for i, req := range []core.Req{3, 4} {
		if r, ok := out[i].(core.Reply); !ok || r.Req != req || r.Fault.Kind != core.ShutdownState {
			t.Errorf("effect %+v, want request %d refused", out[i], req)
		}
	}
	if _, ok := out[2].(core.Halt); !ok {
		t.Errorf("effect %+v, want the halt", out[2])
	}
}
