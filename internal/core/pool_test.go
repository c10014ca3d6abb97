package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// room is a machine with listeners. What is written to a process is kept as "name < text".
type room struct {
	*core.Supervisor
	t     *testing.T
	now   core.Now
	names map[process.ID]string
	wrote []string
	facts []core.Event
	deny  map[string]bool // processes that cannot be written to
	full  bool            // because they do not read
}

func newRoom(t *testing.T, opts core.Options) *room {
	opts.Strict, opts.Identifier = true, "id"
	r := &room{Supervisor: core.New(opts), t: t, names: map[process.ID]string{}, deny: map[string]bool{}}
	r.now.Wall = time.Unix(1_000_000_003, 0)
	return r
}

func (r *room) step(in core.Input) {
	for _, e := range r.Step(r.now, in) {
		switch e := e.(type) {
		case core.Spawn:
			r.names[e.ID] = e.Spec.Name
			r.step(core.Spawned{ID: e.ID, Incarnation: e.Incarnation, PID: 100 + int(e.ID)})
		case core.Signal:
			r.step(core.Signalled{ID: e.ID, Incarnation: e.Incarnation, Token: e.Token})
		case core.WriteStdin:
			name := r.names[e.ID]
			answer := core.StdinWritten{Token: e.Token}
			if r.deny[name] {
				answer.Fault = &core.Fault{Kind: core.NoFile}
				if r.full {
					answer.Fault.Kind = core.Failed
				}
			} else {
				r.wrote = append(r.wrote, name+" < "+string(e.Data))
			}
			r.step(answer)
		case core.Publish:
			r.facts = append(r.facts, e.Event)
		}
	}
}

func (r *room) do(v core.Verb) { r.step(core.Command{Do: v}) }

// pass lets time pass, on both clocks.
func (r *room) pass(d time.Duration) {
	end := r.now.Mono + d
	for {
		at, ok := r.NextDeadline()
		if !ok || at > end {
			break
		}
		r.now.Wall = r.now.Wall.Add(at - r.now.Mono)
		r.now.Mono = at
		r.step(core.Tick{})
	}
	r.now.Wall = r.now.Wall.Add(end - r.now.Mono)
	r.now.Mono = end
}

// say lets a process write to its standard output.
func (r *room) say(group, name, text string) {
	r.t.Helper()
	s, ok := r.Find(group, name)
	if !ok {
		r.t.Fatalf("no process %s:%s", group, name)
	}
	r.step(core.ListenerOutput{ID: s.ID, Incarnation: s.Incarnation, Data: []byte(text)})
}

// expect compares what was written since the last time. An envelope is shortened to its type, its serials and its payload.
func (r *room) expect(when string, want ...string) {
	r.t.Helper()
	var got []string
	for _, w := range r.wrote {
		name, text, _ := strings.Cut(w, " < ")
		if head, payload, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(head, "ver:3.0 server:id ") {
			h := map[string]string{}
			for _, word := range strings.Fields(head) {
				k, v, _ := strings.Cut(word, ":")
				h[k] = v
			}
			text = fmt.Sprintf("%s %s/%s %s", h["eventname"], h["serial"], h["poolserial"], strings.ReplaceAll(payload, "\n", "|"))
		}
		got = append(got, name+" < "+text)
	}
	r.wrote = nil
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: written\n  %s\nwant\n  %s", when, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func listeners(name string, size int, handler string, n int, events ...string) process.GroupSpec {
	g := process.GroupSpec{Name: name, Kind: process.KindEventListener, Priority: -1, Listener: &process.ListenerSpec{Events: events, BufferSize: size, ResultHandler: handler}}
	for i := range n {
		spec := process.Spec{Name: name, Autostart: true, StopSignal: 15, StopWaitSecs: 10, Priority: 999}
		if n > 1 {
			spec.Name = fmt.Sprintf("%s%d", name, i)
		}
		g.Processes = append(g.Processes, spec)
	}
	return g
}

func worker(name string) process.GroupSpec {
	return process.GroupSpec{Name: name, Processes: []process.Spec{{Name: name, StopSignal: 15, StopWaitSecs: 10, Autorestart: process.RestartNever}}}
}

const accept = "RESULT 2\nOKREADY\n"

// TestStateEvents follows the events of a process, of groups and of the daemon.
func TestStateEvents(t *testing.T) {
	r := newRoom(t, core.Options{})
	r.do(core.AddGroups{Boot: true, Groups: []process.GroupSpec{
		listeners("l", 1, process.ResultHandlerDefault, 1, "PROCESS_STATE_EXITED", "PROCESS_STATE_STARTING", "PROCESS_STATE_RUNNING", "PROCESS_GROUP", "SUPERVISOR_STATE_CHANGE"),
		worker("w"),
	}})
	r.say("l", "l", "READY\n")
	// Events of the boot do not count against the buffer of one (quirk F9), in this order.
	r.expect("boot", "l < PROCESS_GROUP_ADDED 0/0 groupname:l|")
	for _, want := range []string{"PROCESS_GROUP_ADDED 1/1 groupname:w|", "SUPERVISOR_STATE_CHANGE_RUNNING 2/2 ", "PROCESS_STATE_STARTING 3/3 processname:l groupname:l from_state:STOPPED tries:0",
		"PROCESS_STATE_RUNNING 4/4 processname:l groupname:l from_state:STARTING pid:101"} {
		r.say("l", "l", accept)
		r.expect("boot", "l < "+want)
	}
	r.say("l", "l", accept)
	r.expect("no more")

	r.do(core.Start{Target: core.Target{Group: "w", Process: "w"}})
	r.expect("start", "l < PROCESS_STATE_STARTING 5/5 processname:w groupname:w from_state:STOPPED tries:0")
	r.say("l", "l", accept)
	r.expect("start", "l < PROCESS_STATE_RUNNING 6/6 processname:w groupname:w from_state:STARTING pid:102")
	r.say("l", "l", accept)
	w, _ := r.Find("w", "w")
	r.step(core.Exited{ID: w.ID, Incarnation: w.Incarnation, Status: process.ExitStatus{Code: 3}})
	r.expect("exit", "l < PROCESS_STATE_EXITED 7/7 processname:w groupname:w from_state:RUNNING expected:0 pid:102")
	r.say("l", "l", accept)
	r.do(core.RemoveGroup{Name: "w"})
	r.expect("removal", "l < PROCESS_GROUP_REMOVED 8/8 groupname:w|")
	r.say("l", "l", accept)
	r.do(core.Quit{})
	r.expect("quit", "l < SUPERVISOR_STATE_CHANGE_STOPPING 9/9 ")
	if n := r.EventSerial(); n != 10 {
		t.Errorf("the next serial is %d, want 10", n)
	}
}

// TestBufferCounts checks that a buffer of one holds one once the pool works, and that the serials count what was discarded.
func TestBufferCounts(t *testing.T) {
	r := newRoom(t, core.Options{EventSerial: 1<<63 - 1})
	r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("l", 1, process.ResultHandlerDefault, 1, "EVENT")}})
	r.say("l", "l", "READY\n") // three events about itself come first
	for range 3 {
		r.say("l", "l", accept)
	}
	r.wrote = nil
	for _, text := range []string{"a", "b", "c"} {
		r.do(core.SendRemote{Kind: "k", Data: text})
	}
	r.say("l", "l", accept)
	r.expect("after an overflow", "l < REMOTE_COMMUNICATION 2/3 type:k|a", "l < REMOTE_COMMUNICATION 4/5 type:k|c")
	if i := slices.IndexFunc(r.facts, func(e core.Event) bool { d, ok := e.(core.EventDiscarded); return ok && d.Serial == 3 && d.Pool == "l" }); i < 0 {
		t.Error("nothing tells that event 3 was discarded")
	}
}

// TestTicks follows the tick events over the hour, over a clock that is set, and checks that nothing wakes the machine without a subscription.
func TestTicks(t *testing.T) {
	r := newRoom(t, core.Options{})
	r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("n", 1, process.ResultHandlerDefault, 1, "REMOTE_COMMUNICATION")}})
	if at, ok := r.NextDeadline(); ok {
		t.Errorf("without a subscription to ticks the machine wants to be woken at %v", at)
	}
	r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("l", 1000, process.ResultHandlerDefault, 1, "TICK")}})
	r.say("l", "l", "READY\n")
	r.expect("start")
	r.pass(1900 * time.Millisecond)
	r.expect("before the slice ends")
	r.pass(200 * time.Millisecond)
	r.expect("TICK_5", "l < TICK_5 0/0 when:1000000005")
	r.say("l", "l", accept)
	for range 11 {
		r.pass(5 * time.Second)
		r.say("l", "l", accept)
		r.say("l", "l", "")
	}
	if got := strings.Join(r.wrote, "\n"); strings.Count(got, "TICK_5 ") != 11 || strings.Count(got, "TICK_60 ") != 1 || !strings.Contains(got, "TICK_60 len:15\nwhen:1000000020") {
		t.Errorf("a minute's ticks: %s", got)
	}
	r.wrote = nil
	r.say("l", "l", accept)
	r.wrote = nil
	// Set forth by an hour: each slice that began is told once. Set back: that is a new slice too.
	r.now.Wall = time.Unix(1_000_003_601, 0)
	r.step(core.Tick{})
	r.say("l", "l", accept)
	r.say("l", "l", accept)
	r.say("l", "l", accept)
	r.expect("set forth", "l < TICK_5 13/13 when:1000003600", "l < TICK_60 14/14 when:1000003560", "l < TICK_3600 15/15 when:1000000800")
	r.now.Wall = time.Unix(1_000_000_006, 0)
	r.step(core.Tick{})
	r.expect("set back", "l < TICK_5 16/16 when:1000000005")
	r.now.Mono += clockMost
	if at, ok := r.NextDeadline(); !ok || at > r.now.Mono {
		t.Errorf("after a clock that was set the machine sleeps until %v (%v), now is %v", at, ok, r.now.Mono)
	}
	n, _ := r.Find("l", "l")
	r.do(core.Stop{Target: core.Target{Group: "l", Process: "l"}})
	r.step(core.Exited{ID: n.ID, Incarnation: n.Incarnation})
	r.do(core.RemoveGroup{Name: "l"})
	if at, ok := r.NextDeadline(); ok {
		t.Errorf("with the last subscriber gone the machine wants to be woken at %v", at)
	}
}

// clockMost is how long a clock that was set can go unnoticed.
const clockMost = time.Minute

// TestStdinHandler checks the result handler that answers into the standard input of the process that the event was about.
func TestStdinHandler(t *testing.T) {
	for _, handler := range []string{process.ResultHandlerTwiddlerStdin, process.ResultHandlerGraceStdin} {
		r := newRoom(t, core.Options{})
		r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("l", 10, handler, 1, "PROCESS_LOG", "REMOTE_COMMUNICATION"), worker("w")}})
		r.say("l", "l", "READY\n")
		r.do(core.Start{Target: core.Target{Group: "w", Process: "w"}})
		w, _ := r.Find("w", "w")
		spoke := core.Output{ID: w.ID, Incarnation: w.Incarnation, Stderr: true, Data: []byte("question")}
		r.step(spoke)
		r.say("l", "l", "RESULT 12\nSTDIN:answerREADY\n")
		r.expect("answer", "l < PROCESS_LOG_STDERR 0/0 processname:w groupname:w pid:102 channel:stderr|question", "w < answer")
		r.step(spoke)
		r.say("l", "l", "RESULT 2\nOKREADY\n")
		r.wrote = nil
		r.step(spoke)
		r.step(core.Exited{ID: w.ID, Incarnation: w.Incarnation})
		r.say("l", "l", "RESULT 7\nSTDIN:xREADY\n")
		r.expect("a process that is gone", "l < PROCESS_LOG_STDERR 2/2 processname:w groupname:w pid:102 channel:stderr|question")
		// An event about no process cannot be answered so: the listener gets no more, the event waits.
		r.do(core.SendRemote{Kind: "k", Data: "d"})
		r.say("l", "l", "RESULT 7\nSTDIN:xREADY\n")
		r.do(core.SendRemote{Kind: "k", Data: "e"})
		r.expect("an event about no process", "l < REMOTE_COMMUNICATION 3/3 type:k|d")
	}
}

// TestDeafListener checks that an event goes to another listener when one cannot be written to.
func TestDeafListener(t *testing.T) {
	r := newRoom(t, core.Options{})
	r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("l", 10, process.ResultHandlerDefault, 2, "REMOTE_COMMUNICATION")}})
	r.deny["l0"] = true
	r.say("l", "l0", "READY\n")
	r.do(core.SendRemote{Kind: "k", Data: "a"})
	r.expect("nobody can hear")
	r.say("l", "l1", "READY\n")
	r.expect("the other hears", "l1 < REMOTE_COMMUNICATION 0/0 type:k|a")
	r.deny["l0"] = false
	r.do(core.SendRemote{Kind: "k", Data: "b"})
	r.expect("it was given up for this life")
	l, _ := r.Find("l", "l0")
	r.do(core.Stop{Target: core.Target{Group: "l", Process: "l0"}})
	r.step(core.Exited{ID: l.ID, Incarnation: l.Incarnation})
	r.do(core.Start{Target: core.Target{Group: "l", Process: "l0"}})
	r.say("l", "l0", "READY\n")
	r.expect("the next life hears", "l0 < REMOTE_COMMUNICATION 1/1 type:k|b")
	// What a dead life says is not heard.
	r.step(core.ListenerOutput{ID: l.ID, Incarnation: l.Incarnation, Data: []byte(accept)})
	r.do(core.SendRemote{Kind: "k", Data: "c"})
	r.expect("stale output")
}

// TestUnreadListener checks that it is told why a listener was given up: it has closed its standard input, or it does not read it.
func TestUnreadListener(t *testing.T) {
	for _, full := range []bool{false, true} {
		r := newRoom(t, core.Options{})
		r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("l", 10, process.ResultHandlerDefault, 1, "REMOTE_COMMUNICATION")}})
		r.deny["l"], r.full = true, full
		r.say("l", "l", "READY\n")
		r.do(core.SendRemote{Kind: "k", Data: "a"})
		if want := (core.EventNotSent{Name: "l", Serial: 0, Full: full}); !slices.Contains(r.facts, core.Event(want)) {
			t.Errorf("no %+v in %+v", want, r.facts)
		}
	}
}

// TestWanted checks that nothing is composed that nobody wants, and that the set follows the pools.
func TestWanted(t *testing.T) {
	r := newRoom(t, core.Options{})
	if r.Wanted() != 0 {
		t.Errorf("wanted %b without pools", r.Wanted())
	}
	g := listeners("l", 10, process.ResultHandlerDefault, 1, "TICK_60")
	g.Processes[0].Autostart = false
	r.do(core.AddGroups{Groups: []process.GroupSpec{g, worker("w")}})
	r.do(core.SendRemote{Kind: "k", Data: "d"})
	if r.EventSerial() != 0 {
		t.Error("an event that nobody wants has a serial")
	}
	if r.Wanted() == 0 {
		t.Error("TICK_60 is not wanted")
	}
	r.do(core.RemoveGroup{Name: "l"})
	if r.Wanted() != 0 {
		t.Errorf("wanted %b after the removal", r.Wanted())
	}
}

// TestOverlap checks that subscriptions that cover each other bring an event once (quirk F8b).
func TestOverlap(t *testing.T) {
	r := newRoom(t, core.Options{})
	r.do(core.AddGroups{Groups: []process.GroupSpec{listeners("l", 10, process.ResultHandlerDefault, 1, "REMOTE_COMMUNICATION", "TICK", "TICK_5", "TICK_60")}})
	r.say("l", "l", "READY\n")
	r.do(core.SendRemote{Kind: "k", Data: "d"})
	r.expect("an event", "l < REMOTE_COMMUNICATION 0/0 type:k|d")
	r.pass(2 * time.Second)
	r.say("l", "l", accept)
	r.say("l", "l", accept)
	r.expect("a tick", "l < TICK_5 1/1 when:1000000005")
}

// TestRejected checks that a rejected event comes again to its own pool, not to another of the same priority (quirk F7).
func TestRejected(t *testing.T) {
	r := newRoom(t, core.Options{})
	r.do(core.AddGroups{Groups: []process.GroupSpec{
		listeners("l", 10, process.ResultHandlerDefault, 1, "REMOTE_COMMUNICATION"), listeners("m", 10, process.ResultHandlerDefault, 1, "REMOTE_COMMUNICATION"),
		listeners("n", 10, process.ResultHandlerDefault, 1, "TICK_3600"),
	}})
	for _, pool := range []string{"l", "m", "n"} {
		r.say(pool, pool, "READY\n")
	}
	r.do(core.SendRemote{Kind: "k", Data: "d"})
	r.expect("the event", "l < REMOTE_COMMUNICATION 0/0 type:k|d", "m < REMOTE_COMMUNICATION 0/0 type:k|d")
	r.say("m", "m", accept)
	r.say("l", "l", "RESULT 4\nFAILREADY\n")
	r.expect("the event again", "l < REMOTE_COMMUNICATION 0/0 type:k|d")
	r.say("l", "l", accept)
	r.expect("no more")
}
