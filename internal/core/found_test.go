package core_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/sim"
)

// foundAs says how the processes of the matrix's situations are found by a machine that comes later.
var foundAs = map[string]core.Found{
	"STOPPED":  {State: process.Stopped},
	"STARTING": {State: process.Starting, PID: 101},
	"RUNNING":  {State: process.Running, PID: 101, Started: time.Second},
	"BACKOFF":  {State: process.Backoff, Tries: 1, SpawnErr: "Exited too quickly (process log may have details)"},
	"STOPPING": {State: process.Stopping, PID: 101},
	"EXITED":   {State: process.Exited, HasExit: true, Started: time.Second},
	"FATAL":    {State: process.Fatal},
	"UNKNOWN":  {State: process.Unknown, PID: 101},
}

// TestFoundMatrix checks that every input does the same to a process that was found in a state as to one that came into it.
func TestFoundMatrix(t *testing.T) {
	tried := 0
	for _, s := range situations {
		found, ok := foundAs[s.name]
		if !ok {
			continue
		}
		tried++
		reach := s.reach
		if r := restedBy[s.name]; r != nil {
			reach = r
		}
		for _, in := range matrixInputs {
			here, there := foundBench(s.quirks, nil), foundBench(s.quirks, map[process.Namespec]core.Found{{Group: "g", Process: "p"}: found})
			reach(here)
			there.now = here.now
			if want, got := outcome(here, in.give), outcome(there, in.give); got != want {
				t.Errorf("%s, %s: found\n  %s\nand not found\n  %s", s.name, in.name, got, want)
			}
		}
	}
	if tried != len(foundAs) {
		t.Errorf("%d of %d states tried", tried, len(foundAs))
	}
}

// restedBy are other ways into states: with a life that is over, and with a stop that nobody waits for and of which the outcome is known.
var restedBy = map[string]func(*bench){
	"STOPPED": func(b *bench) {
		b.do(core.Start{Target: target})
		b.spawned()
		b.do(core.Stop{Target: target})
		b.signalled("")
		b.exited(0)
	},
	"STOPPING": func(b *bench) {
		b.do(core.Start{Target: target})
		b.spawned()
		b.do(core.Stop{Target: target})
		b.signalled("")
	},
}

// foundBench makes a machine with the group of the matrix.
func foundBench(quirks core.Quirks, found map[process.Namespec]core.Found) *bench {
	b := &bench{Supervisor: core.New(core.Options{Quirks: quirks, Strict: true})}
	b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{matrixSpec}}}, Found: found})
	if s, ok := b.Find("g", "p"); ok {
		b.inc = s.Incarnation
	}
	return b
}

// TestFoundFaults checks what is refused, as a whole.
func TestFoundFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		found core.Found
		want  core.Fault
	}{
		{"p", core.Found{State: process.Running}, core.Fault{Kind: core.Failed, Text: "g:p cannot be RUNNING with pid 0"}},
		{"p", core.Found{State: process.Starting}, core.Fault{Kind: core.Failed, Text: "g:p cannot be STARTING with pid 0"}},
		{"p", core.Found{State: process.Stopping, PID: -1}, core.Fault{Kind: core.Failed, Text: "g:p cannot be STOPPING with pid -1"}},
		{"p", core.Found{State: process.Exited, PID: 7}, core.Fault{Kind: core.Failed, Text: "g:p cannot be EXITED with pid 7"}},
		{"p", core.Found{State: process.Backoff, PID: 7}, core.Fault{Kind: core.Failed, Text: "g:p cannot be BACKOFF with pid 7"}},
		{"x", core.Found{State: process.Running, PID: 7}, core.Fault{Kind: core.BadName, Text: "g:x"}},
	} {
		b := foundBench(core.Quirks{}, nil)
		b.do(core.RemoveGroup{Name: "g"})
		out := b.do(core.AddGroups{
			Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{matrixSpec}}},
			Found:  map[process.Namespec]core.Found{{Group: "g", Process: c.name}: c.found},
		})
		if r, ok := out[0].(core.Reply); !ok || len(out) != 1 || r.Fault == nil || *r.Fault != c.want {
			t.Errorf("%s %+v: %+v, want %+v", c.name, c.found, out, c.want)
		}
		if len(b.Groups()) > 0 {
			t.Errorf("%s %+v: the group was added", c.name, c.found)
		}
	}
}

// TestFoundStatus checks that what can be seen of a process is what was found.
func TestFoundStatus(t *testing.T) {
	began, ended := time.Unix(1000, 0), time.Unix(2000, 0)
	b := foundBench(core.Quirks{}, map[process.Namespec]core.Found{{Group: "g", Process: "p"}: {
		State: process.Running, PID: 7, Began: began, Ended: ended, Exit: process.ExitStatus{Code: 3}, HasExit: true, SpawnErr: "text",
	}})
	got, _ := b.Find("g", "p")
	want := process.Status{
		ID: got.ID, Incarnation: 1, Group: "g", Name: "p", State: process.Running, PID: 7, Started: began, Ended: ended,
		Exit: process.ExitStatus{Code: 3}, HasExit: true, SpawnErr: "text", Ready: true, Spec: got.Spec,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestFoundAgain: what was on its way out, and is to return, does so once it has ended.
func TestFoundAgain(t *testing.T) {
	for again, want := range map[bool]process.State{false: process.Stopped, true: process.Starting} {
		b := foundBench(core.Quirks{}, map[process.Namespec]core.Found{{Group: "g", Process: "p"}: {State: process.Stopping, PID: 101, Again: again}})
		got, _ := b.Find("g", "p")
		if b.Returns(got.ID) != again {
			t.Errorf("again %v: it is said to return: %v", again, !again)
		}
		b.exited(0)
		if got, _ = b.Find("g", "p"); got.State != want {
			t.Errorf("again %v: %v, want %v", again, got.State, want)
		}
	}
}

// TestFoundGreeting: whether a process is ready whose post_ready counts is known of what was found as far as it was known before, and what has not run does.
func TestFoundGreeting(t *testing.T) {
	const ran, failed = "post_ready ran when keeper and daemon were killed", "post_ready: exit status 3"
	checked := func(b *bench) { b.step(core.Checked{ID: b.id, Incarnation: b.inc, OK: true}) }
	ends := func(text string) func(*bench) { return func(b *bench) { b.hookEnds(text) } }
	for _, c := range []struct {
		name    string
		check   bool
		ignores bool
		before  []func(*bench)
		fit     bool
		text    string // of a process that is not ready
		runs    bool   // post_ready, once a check has found it ready
	}{
		{name: "it runs", text: ran},
		{name: "it has failed", before: []func(*bench){ends("exit status 3")}, text: failed},
		{name: "it has succeeded", before: []func(*bench){ends("")}},
		{name: "it runs, and does not count", ignores: true},
		{name: "it has not run", check: true, text: "post_ready has not run yet", runs: true},
		{name: "it runs after a check", check: true, before: []func(*bench){checked}, fit: true, text: ran},
		{name: "it has failed after a check", check: true, before: []func(*bench){checked, ends("exit status 3")}, fit: true, text: failed},
		{name: "it has succeeded after a check", check: true, before: []func(*bench){checked, ends("")}, fit: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := matrixSpec
			spec.Hooks.PostReady = process.HookSpec{Command: "c", Timeout: time.Hour}
			if !c.ignores {
				spec.Hooks.OnPostReady = process.PostFails
			}
			if c.check {
				spec.Health.Ready = process.Check{Kind: process.CheckLog, Target: "x"}
			}
			b := newBench(core.Options{Strict: true}, spec)
			b.do(core.Start{Target: target})
			b.spawned()
			b.pass()
			for _, f := range c.before {
				f(b)
			}
			fit, greeting := b.FoundOf(b.id)
			if fit != c.fit {
				t.Errorf("a check has found it ready: %v", fit)
			}
			b = &bench{Supervisor: core.New(core.Options{Strict: true})}
			b.do(core.AddGroups{
				Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}},
				Found:  map[process.Namespec]core.Found{{Group: "g", Process: "p"}: {State: process.Running, PID: 101, Greeting: greeting}},
			})
			if b.inc = 1; c.fit {
				checked(b)
			}
			if got, _ := b.Find("g", "p"); got.Ready != (c.text == "") || !c.runs && got.Unready != c.text {
				t.Errorf("ready %v: %q, want %q", got.Ready, got.Unready, c.text)
			}
			if greeting.Unmet != c.text {
				t.Errorf("%+v, want %q", greeting, c.text)
			}
			if c.check && !c.fit {
				checked(b)
			}
			if runs := b.hook != 0; runs != c.runs {
				t.Errorf("it runs: %v", runs)
			} else if runs {
				b.hookEnds("")
				if got, _ := b.Find("g", "p"); !got.Ready {
					t.Errorf("not ready: %q", got.Unready)
				}
			}
		})
	}
	// One that was being started has its post_ready before it.
	spec := matrixSpec
	spec.Hooks = process.Hooks{PostReady: process.HookSpec{Command: "c", Timeout: time.Hour}, OnPostReady: process.PostFails}
	b := &bench{Supervisor: core.New(core.Options{Strict: true})}
	out := b.do(core.AddGroups{
		Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}},
		Found:  map[process.Namespec]core.Found{{Group: "g", Process: "p"}: {State: process.Starting, PID: 101}},
	})
	for _, e := range append(out, b.pass()...) {
		if e, ok := e.(core.Publish); ok {
			if e, ok := e.Event.(core.ReadyChanged); ok {
				t.Errorf("%+v before post_ready has ended", e)
			}
		}
	}
}

// TestFoundHeld checks that a mark counts for what is found as for others: nothing undecided starts.
func TestFoundHeld(t *testing.T) {
	for _, state := range []process.State{process.Exited, process.Stopped} {
		for mark, want := range map[core.Mark]process.State{core.Free: process.Starting, core.Held: state} {
			name := process.Namespec{Group: "g", Process: "p"}
			b := &bench{Supervisor: core.New(core.Options{Strict: true, Marks: map[process.Namespec]core.Mark{name: mark}})}
			spec := matrixSpec
			spec.Autostart, spec.Autorestart = true, process.RestartAlways
			b.do(core.AddGroups{
				Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}},
				Found:  map[process.Namespec]core.Found{name: {State: state, Started: time.Hour, Undecided: true}},
			})
			b.pass()
			if got, _ := b.Find("g", "p"); got.State != want {
				t.Errorf("%v with mark %v: %v, want %v", state, mark, got.State, want)
			}
		}
	}
}

// TestFoundListeners follows events to listeners that were found.
func TestFoundListeners(t *testing.T) {
	for _, c := range []struct {
		state event.ListenerState
		says  string // first
		want  []string
	}{
		{event.Ready, "", []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}},
		{event.Ready, accept, nil}, // it speaks out of turn
		{event.Acknowledged, "READY\n", []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}},
		{event.Acknowledged, accept, nil},
		{event.Busy, accept, []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}},
		{event.Busy, "RESULT 4\nFAILREADY\n", []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}}, // nobody knows whose it is
		{event.Busy, "RESULT 7\nSTDIN:xREADY\n", []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}},
		{event.Busy, "READY\n", nil},
		{0, "READY\n", []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}},
		{0, accept, []string{"l < REMOTE_COMMUNICATION 0/0 type:k|one"}},
		{0, "", nil},
		{event.Violated, accept, nil},
	} {
		r := newRoom(t, core.Options{})
		r.names[2] = "l"
		r.do(core.AddGroups{
			Groups: []process.GroupSpec{worker("w"), listeners("l", 10, process.ResultHandlerGraceStdin, 1, "REMOTE_COMMUNICATION", "PROCESS_GROUP", "PROCESS_STATE")},
			Found:  map[process.Namespec]core.Found{{Group: "l", Process: "l"}: {State: process.Running, PID: 7, Listener: c.state}},
		})
		if c.says != "" {
			r.say("l", "l", c.says)
		}
		r.do(core.SendRemote{Kind: "k", Data: "one"})
		r.expect(c.state.String()+" "+c.says, c.want...)
		if s, _ := r.Find("l", "l"); s.State != process.Running {
			t.Errorf("%v %q: %v", c.state, c.says, s.State)
		}
	}
}

// TestFoundTellsNothing checks that listeners hear of groups that are new, and not of those that were there.
func TestFoundTellsNothing(t *testing.T) {
	r := newRoom(t, core.Options{})
	r.names[1] = "l"
	old := worker("old")
	old.Processes[0].Autostart = true
	r.do(core.AddGroups{
		Groups: []process.GroupSpec{listeners("l", 10, process.ResultHandlerDefault, 1, "EVENT"), old, worker("new")}, Boot: true,
		Found: map[process.Namespec]core.Found{
			{Group: "l", Process: "l"}:     {State: process.Running, PID: 7, Listener: event.Ready},
			{Group: "old", Process: "old"}: {State: process.Stopped},
		},
	})
	for range 3 {
		r.say("l", "l", accept)
	}
	r.expect("boot", "l < PROCESS_GROUP_ADDED 0/0 groupname:new|", "l < SUPERVISOR_STATE_CHANGE_RUNNING 1/1 ")
}

// TestReplay checks that a machine that reads what another was told, as records, does the same in every step.
func TestReplay(t *testing.T) {
	opts := core.Options{Strict: true, Identifier: "id"}
	for seed := range uint64(60) {
		w, twin := sim.NewWorld(opts, rand.New(rand.NewPCG(seed, 1))), core.New(opts)
		w.Watch = func(now time.Duration, in core.Input, out []core.Effect) {
			at, again, err := core.NewInputDecoder(appendInput(t, nil, w.Core.Now(), in)).Next()
			if err != nil {
				t.Fatal(err)
			}
			if same := twin.Step(at, again); !reflect.DeepEqual(same, out) {
				t.Fatalf("seed %d at %v after %+v:\n%+v\nand replayed\n%+v", seed, now, in, out, same)
			}
		}
		w.Run(sim.GenerateFound(seed))
	}
}
