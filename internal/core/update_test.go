package core_test

import (
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// update plans the update of group g to one whose process p has that spec.
func (b *bench) update(spec process.Spec) core.Update {
	return core.Update{Op: 7, Plan: plan.Minimal(b.Manifest(), []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}}, nil)}
}

// changed is the spec of p with another command.
func changed() process.Spec {
	spec := matrixSpec
	spec.Command = "new"
	return spec
}

// answer returns the only Reply among effects.
func answer(t *testing.T, out []core.Effect) (r core.Reply) {
	t.Helper()
	for _, e := range out {
		if e, ok := e.(core.Reply); ok {
			if r.Req != 0 {
				t.Fatalf("two answers: %+v and %+v", r, e)
			}
			r = e
		}
	}
	if r.Req == 0 {
		t.Fatal("no answer")
	}
	return r
}

// TestUpdateStale checks that a plan is refused as a whole when anything that it stands on has changed.
func TestUpdateStale(t *testing.T) {
	other := process.GroupSpec{Name: "h"}
	for _, c := range []struct {
		name    string
		happens func(*bench)
		stale   string // group; "" = the plan is good
	}{
		{"nothing", func(*bench) {}, ""},
		{"a process was started", func(b *bench) { b.do(core.Start{Target: target}) }, "g"},
		{"a process was added", func(b *bench) { b.do(core.AddProcesses{Group: "g", Specs: []process.Spec{{Name: "q"}}}) }, "g"},
		{"a process was removed", func(b *bench) { b.do(core.RemoveProcess{Group: "g", Name: "p"}) }, "g"},
		{"a process leaves", func(b *bench) { b.do(core.Leave{Plan: b.plan(false)}) }, "g"},
		{"the group was removed", func(b *bench) { b.do(core.RemoveGroup{Name: "g"}) }, "g"},
		{"the group to be added is there", func(b *bench) { b.do(core.AddGroups{Groups: []process.GroupSpec{other}}) }, "h"},
		{"another group was added", func(b *bench) { b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "i"}}}) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(core.Options{Strict: true}, matrixSpec)
			desired := []process.GroupSpec{{Name: "g", Processes: []process.Spec{changed()}}, other}
			do := core.Update{Op: 7, Plan: plan.Minimal(b.Manifest(), desired, nil)}
			c.happens(b)
			r := answer(t, b.do(do))
			if c.stale == "" {
				if r.Fault != nil || len(r.Updated) != 1 {
					t.Errorf("%+v %+v", r, r.Fault)
				}
				return
			}
			if r.Fault == nil || r.Fault.Kind != core.Stale || r.Fault.Text != c.stale+" has changed since the plan was made" || r.Updated != nil {
				t.Errorf("%+v %+v", r, r.Fault)
			}
			if _, there := b.Manifest().Group("h"); there != (c.stale == "h") {
				t.Error("half of the plan was carried out")
			}
		})
	}
}

// TestBlocked asks for every command while the only process is being replaced, and when that is over.
func TestBlocked(t *testing.T) {
	elsewhere := core.Target{Group: "h"}
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "h"}}})
	b.do(core.Start{Target: target})
	b.spawned()
	grace := b.plan(false)
	update := b.update(changed())
	none := plan.Update{Plans: []plan.Plan{{Group: "h"}}}
	verbs := []struct {
		do   core.Verb
		held bool
	}{
		{core.Start{Target: target}, true},
		{core.Start{Target: core.Target{Group: "g"}}, true},
		{core.Start{Target: core.Target{All: true}}, true},
		{core.Start{Target: elsewhere}, false},
		{core.Start{Target: core.Target{Group: "nope"}}, false},
		{core.Stop{Target: target}, true},
		{core.Stop{Target: core.Target{All: true}}, true},
		{core.Stop{Target: elsewhere}, false},
		{core.RemoveGroup{Name: "g"}, true},
		{core.RemoveGroup{Name: "h"}, false},
		{core.AddGroups{Groups: []process.GroupSpec{{Name: "i"}, {Name: "g"}}}, true},
		{core.AddGroups{Groups: []process.GroupSpec{{Name: "i"}}}, false},
		{core.AddProcesses{Group: "g"}, true},
		{core.AddProcesses{Group: "h"}, false},
		{core.RemoveProcess{Group: "g", Name: "q"}, true},
		{core.RemoveProcess{Group: "h", Name: "p"}, false},
		{core.Apply{Plan: grace}, true},
		{core.Apply{Plan: plan.Plan{Group: "h"}}, false},
		{core.Leave{Plan: grace}, true},
		{core.Leave{Plan: plan.Plan{Group: "h"}}, false},
		{update, true},
		{core.Update{Plan: none}, false},
		{core.CancelUpdate{Op: 7}, false},
		{core.SendSignal{Target: target}, false},
		{core.WriteInput{Target: target}, false},
		{core.SendRemote{}, false},
		{core.Quit{}, false},
	}
	check := func(when string, busy bool) {
		t.Helper()
		for _, v := range verbs {
			if by, held := b.Blocked(v.do); held != (busy && v.held) || held && by != (core.Block{Op: 7}) {
				t.Errorf("%s, %T %+v: blocked %v by %+v", when, v.do, v.do, held, by)
			}
		}
	}
	check("before", false)
	b.do(update)
	check("stopping", true)
	if g, _ := b.Manifest().Group("g"); g.Down["p"] != plan.Up {
		t.Error("a process that is being replaced counts as down")
	}
	b.exited(0)
	check("starting", true)
	b.spawned()
	b.pass()
	check("after", false)
}

// TestBlockedByAct: a restart that takes its time keeps an update of its group waiting, and none that changes nothing there.
func TestBlockedByAct(t *testing.T) {
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.Start{Target: target})
	b.spawned()
	b.pass()
	b.do(core.Act{Op: 7, Targets: []core.Target{target}, Stop: true, Start: true})
	same := plan.Minimal(b.Manifest(), []process.GroupSpec{{Name: "g", Processes: []process.Spec{matrixSpec}}}, nil)
	for _, c := range []struct {
		plan plan.Update
		want bool
	}{{same, false}, {b.update(changed()).Plan, true}} {
		if by, held := b.Blocked(core.Update{Plan: c.plan}); held != c.want || held && by != (core.Block{Op: 7}) {
			t.Errorf("empty %v: blocked %v by %+v", c.plan.Empty(), held, by)
		}
	}
}

// TestBlockedByPaused asks for every command about the second of two processes, of which the first is being replaced: while the update goes on, and
// while it is paused.
func TestBlockedByPaused(t *testing.T) {
	second := matrixSpec
	second.Name, second.Num = "q", 1
	next := second
	next.Command = "new"
	b := newBench(core.Options{Strict: true}, matrixSpec)
	b.do(core.AddProcesses{Group: "g", Specs: []process.Spec{second}})
	spawned := func(name string, pid int) {
		st, _ := b.Find("g", name)
		b.step(core.Spawned{ID: st.ID, Incarnation: st.Incarnation, PID: pid})
	}
	ended := func(name string) {
		st, _ := b.Find("g", name)
		b.step(core.Exited{ID: st.ID, Incarnation: st.Incarnation})
	}
	b.do(core.Start{Target: core.Target{Group: "g"}})
	spawned("p", 11)
	spawned("q", 12)
	b.pass()
	q := core.Target{Group: "g", Process: "q", Text: "g:q"}
	update := core.Update{Op: 7, Plan: plan.Minimal(b.Manifest(), []process.GroupSpec{{Name: "g", Processes: []process.Spec{changed(), next}}}, nil)}
	const passes, waits, refused = "passes", "waits", "refused"
	check := func(when string, want map[string][]core.Verb) {
		t.Helper()
		for want, verbs := range want {
			for _, v := range verbs {
				got := passes
				switch by, held := b.Blocked(v); {
				case held && by.Paused && by.Op == 7:
					got = refused
				case held && by.Op == 7:
					got = waits
				}
				if got != want {
					t.Errorf("%s: %T %s, want %s", when, v, got, want)
				}
			}
		}
	}
	about := func(t core.Target) []core.Verb {
		list := []core.Target{t}
		return []core.Verb{core.Start{Target: t}, core.Stop{Target: t}, core.Act{Targets: list, Stop: true}, core.Act{Targets: list, Start: true}, core.Act{Targets: list, Stop: true, Now: true}}
	}
	remove := core.RemoveGroup{Name: "g"}
	changes := []core.Verb{core.AddProcesses{Group: "g"}, core.RemoveProcess{Group: "g", Name: "q"}, core.Apply{Plan: plan.Plan{Group: "g"}}, core.Leave{Plan: plan.Plan{Group: "g"}}, update}
	check("before", map[string][]core.Verb{passes: append(about(q), changes...)})
	b.do(update)
	check("it goes on", map[string][]core.Verb{waits: append(append(about(q), changes...), remove)})
	b.do(core.PauseUpdate{Op: 7})
	there := core.AddGroups{Groups: []process.GroupSpec{{Name: "g"}}} // which is what the answer says
	check("paused", map[string][]core.Verb{passes: append(about(q), there), waits: append(about(target), remove), refused: changes})
	ended("p")
	spawned("p", 13)
	check("the first starts", map[string][]core.Verb{passes: append(about(q), core.Stop{Target: target}, core.Act{Targets: []core.Target{target}, Stop: true}), waits: {core.Start{Target: target}, remove}, refused: changes})
	b.pass()
	check("the first is RUNNING", map[string][]core.Verb{passes: append(append(about(q), about(target)...), remove), refused: changes})
	b.do(core.Stop{Target: q})
	ended("q")
	b.do(core.PauseUpdate{Op: 7, Resume: true})
	check("over", map[string][]core.Verb{passes: append(append(about(q), about(target)...), changes...)})
	if st, _ := b.Find("g", "q"); st.State != process.Stopped || st.Spec.Command != "new" {
		t.Errorf("the second, which was stopped meanwhile, is %v with %q", st.State, st.Spec.Command)
	}
}

// TestLastFailure has a process fail in a roll that pauses then: with another one waiting there is something to decide, with none left there is not.
func TestLastFailure(t *testing.T) {
	for name, last := range map[string]bool{"another waits": false, "none is left": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(core.Options{Strict: true}, matrixSpec)
			b.do(core.Start{Target: target})
			b.spawned()
			next := changed()
			next.StartRetries = 0
			specs := []process.Spec{next}
			if !last {
				second := matrixSpec
				second.Name, second.Num = "q", 1
				first := b.id
				b.do(core.AddProcesses{Group: "g", Specs: []process.Spec{second}})
				b.do(core.Start{Target: core.Target{Group: "g", Process: "q"}})
				b.spawned()
				b.id = first
				second.Command = "new"
				specs = append(specs, second)
			}
			b.pass()
			update := core.Update{Op: 7, Plan: plan.Minimal(b.Manifest(), []process.GroupSpec{{Name: "g", Processes: specs}}, nil)}
			update.Roll = &process.Roll{OnFailure: process.RollPause}
			b.do(update)
			b.exited(0)
			b.spawned()
			paused, over := false, false
			for _, e := range b.exited(1) {
				switch e := e.(type) {
				case core.Publish:
					_, is := e.Event.(core.UpdatePaused)
					paused = paused || is
				case core.Reply:
					over = true
				}
			}
			if paused == last || over != last {
				t.Errorf("paused %v, over %v", paused, over)
			}
		})
	}
}

// TestUpdateUnknown checks that a replacement ends when nobody knows any more what its process does (quirk C14).
func TestUpdateUnknown(t *testing.T) {
	b := newBench(core.Options{Strict: true, Quirks: core.Quirks{UnknownOnSignalError: true}}, matrixSpec)
	b.do(core.Start{Target: target})
	b.spawned()
	b.do(b.update(changed()))
	b.signalled("")
	b.pass() // stopwaitsecs
	r := answer(t, b.signalled("EPERM"))
	if len(r.Updated) != 1 || r.Updated[0].Fault == nil || r.Updated[0].Fault.Text != "g:p is in an unknown process state" {
		t.Errorf("%+v", r)
	}
	if st, _ := b.Find("g", "p"); st.Spec.Command != "" || st.State != process.Unknown {
		t.Errorf("%v, %q", st.State, st.Spec.Command)
	}
}

// TestUpdateListeners checks that a listener group takes other options while its processes run on.
func TestUpdateListeners(t *testing.T) {
	r := newRoom(t, core.Options{})
	listener := func(size int, events ...string) process.GroupSpec {
		return listeners("l", size, process.ResultHandlerDefault, 1, events...)
	}
	r.do(core.AddGroups{Groups: []process.GroupSpec{listener(10, "REMOTE_COMMUNICATION")}})
	r.pass(time.Second)
	r.say("l", "l", "READY\n")
	for _, data := range []string{"a", "b", "c", "d"} {
		r.do(core.SendRemote{Kind: "k", Data: data})
	}
	r.expect("first", "l < REMOTE_COMMUNICATION 0/0 type:k|a")
	pid := 0
	if st, ok := r.Find("l", "l"); ok {
		pid = st.PID
	}
	r.facts = nil
	r.do(core.Update{Plan: plan.Minimal(r.Manifest(), []process.GroupSpec{listener(2, "PROCESS_GROUP", "REMOTE_COMMUNICATION")}, nil)})
	discarded := 0
	for _, f := range r.facts {
		if _, ok := f.(core.EventDiscarded); ok {
			discarded++
		}
	}
	if st, ok := r.Find("l", "l"); !ok || st.PID != pid || discarded != 1 {
		t.Errorf("pid %d, was %d; %d events discarded, want 1", st.PID, pid, discarded)
	}
	r.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "w"}}}) // pushes out another
	for _, want := range []string{"REMOTE_COMMUNICATION 3/3 type:k|d", "PROCESS_GROUP_ADDED 4/4 groupname:w|"} {
		r.say("l", "l", accept)
		r.expect("later", "l < "+want)
	}
	r.say("l", "l", accept)
	r.do(core.Update{Plan: plan.Minimal(r.Manifest(), []process.GroupSpec{listener(2, "PROCESS_GROUP"), {Name: "w"}}, nil)})
	r.do(core.SendRemote{Kind: "k", Data: "e"})
	r.expect("no longer wanted")
	if again := plan.Minimal(r.Manifest(), []process.GroupSpec{listener(2, "PROCESS_GROUP"), {Name: "w"}}, nil); !again.Empty() {
		t.Errorf("left is %+v", again)
	}
	r.do(core.Update{Plan: plan.Minimal(r.Manifest(), []process.GroupSpec{listener(2, "PROCESS_GROUP"), {Name: "w"}, {Name: "x"}}, nil)})
	r.expect("a new group", "l < PROCESS_GROUP_ADDED 5/5 groupname:x|")
}
