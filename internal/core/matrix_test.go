package core_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// bench is a machine with one group g of one process p, brought into some state by hand.
type bench struct {
	*core.Supervisor
	now   time.Duration
	id    process.ID
	inc   process.Incarnation
	token core.Token // of the last signal
	hook  core.Token // of the last command
	req   core.Req
}

func (b *bench) step(in core.Input) []core.Effect {
	out := b.Step(core.Now{Mono: b.now, Wall: time.Unix(0, 0).Add(b.now)}, in)
	for _, e := range out {
		switch e := e.(type) {
		case core.OpenLogs:
			b.id = e.ID
		case core.Spawn:
			b.inc = e.Incarnation
		case core.Signal:
			b.token = e.Token
		case core.RunHook:
			b.hook = e.Token
		}
	}
	return out
}

func (b *bench) do(verb core.Verb) []core.Effect {
	b.req++
	return b.step(core.Command{Req: b.req, Do: verb})
}

func (b *bench) spawned() []core.Effect {
	return b.step(core.Spawned{ID: b.id, Incarnation: b.inc, PID: 100 + int(b.inc)})
}

func (b *bench) exited(code int) []core.Effect {
	return b.step(core.Exited{ID: b.id, Incarnation: b.inc, Status: process.ExitStatus{Code: code}})
}

func (b *bench) signalled(problem string) []core.Effect {
	return b.step(core.Signalled{ID: b.id, Incarnation: b.inc, Token: b.token, Error: problem})
}

// pass lets the next deadline pass.
func (b *bench) pass() []core.Effect {
	if at, ok := b.NextDeadline(); ok {
		b.now = at
	}
	return b.step(core.Tick{})
}

// plan makes the plan by which p stays in the group or leaves it.
func (b *bench) plan(keep bool) plan.Plan {
	active, _ := b.Manifest().Group("g")
	desired := active.GroupSpec
	if !keep {
		desired.Processes = nil
	}
	return plan.Grace(active, desired)
}

var target = core.Target{Group: "g", Process: "p", Text: "g:p"}

// situation is a state that a machine is brought into.
type situation struct {
	name   string
	quirks core.Quirks
	reach  func(*bench)
}

// matrixInput is something that the machine is told.
type matrixInput struct {
	name string
	give func(*bench) []core.Effect
}

// situations are the states, told apart where the same input means something else.
var situations = []situation{
	{"STOPPED", core.Quirks{}, func(b *bench) {}},
	{"STARTING, not forked", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}) }},
	{"STARTING", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}); b.spawned() }},
	{"RUNNING", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}); b.spawned(); b.pass() }},
	{"BACKOFF", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}); b.spawned(); b.exited(1) }},
	{"STOPPING, not forked", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}); b.do(core.Stop{Target: target}) }},
	{"STOPPING", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.spawned()
		b.do(core.Stop{Target: target, Wait: true})
	}},
	{"EXITED", core.Quirks{}, func(b *bench) { b.do(core.Start{Target: target}); b.spawned(); b.pass(); b.exited(0) }},
	{"EXITED, restart pending", core.Quirks{}, func(b *bench) {
		b.do(core.RemoveGroup{Name: "g"})
		spec := matrixSpec
		spec.StartSecs = 0
		b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{spec}}}})
		b.do(core.Start{Target: target})
		b.spawned()
		b.exited(1)
	}},
	{"FATAL", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		for range matrixSpec.StartRetries + 1 {
			b.spawned()
			b.exited(1)
			b.pass()
		}
	}},
	{"UNKNOWN", core.Quirks{UnknownOnSignalError: true}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.spawned()
		b.do(core.Stop{Target: target})
		b.signalled("EPERM")
	}},
	{"RUNNING, leaving", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.spawned()
		b.pass()
		b.do(core.Leave{Plan: b.plan(false)})
	}},
	{"STOPPED, leaving", core.Quirks{}, func(b *bench) { b.do(core.Leave{Plan: b.plan(false)}) }},
	{"STOPPING, to be removed", core.Quirks{}, func(b *bench) {
		b.do(core.Start{Target: target})
		b.spawned()
		b.pass()
		b.do(core.Apply{Plan: b.plan(false)})
	}},
}

var matrixSpec = process.Spec{Name: "p", StartSecs: 1, StartRetries: 1, StopWaitSecs: 1, StopSignal: process.SIGTERM, ExitCodes: []int{0}}

var matrixInputs = []matrixInput{
	{"Spawned", (*bench).spawned},
	{"SpawnFailed", func(b *bench) []core.Effect {
		return b.step(core.SpawnFailed{ID: b.id, Incarnation: b.inc, Text: "cannot"})
	}},
	{"Exited 0", func(b *bench) []core.Effect { return b.exited(0) }},
	{"Exited 1", func(b *bench) []core.Effect { return b.exited(1) }},
	{"stale Exited", func(b *bench) []core.Effect {
		return b.step(core.Exited{ID: b.id, Incarnation: b.inc + 1})
	}},
	{"Signalled", func(b *bench) []core.Effect { return b.signalled("") }},
	{"signal refused", func(b *bench) []core.Effect { return b.signalled("EPERM") }},
	{"deadline", (*bench).pass},
	{"start", func(b *bench) []core.Effect { return b.do(core.Start{Target: target, Wait: true}) }},
	{"start, no wait", func(b *bench) []core.Effect { return b.do(core.Start{Target: target}) }},
	{"start, refused", func(b *bench) []core.Effect {
		return b.do(core.Start{Target: target, Refused: map[process.ID]*core.Fault{b.id: {Kind: core.NoFile, Text: "no file"}}})
	}},
	{"start all", func(b *bench) []core.Effect { return b.do(core.Start{Target: core.Target{All: true}}) }},
	{"stop", func(b *bench) []core.Effect { return b.do(core.Stop{Target: target, Wait: true}) }},
	{"stop, no wait", func(b *bench) []core.Effect { return b.do(core.Stop{Target: target}) }},
	{"stop all", func(b *bench) []core.Effect { return b.do(core.Stop{Target: core.Target{All: true}}) }},
	{"signal", func(b *bench) []core.Effect { return b.do(core.SendSignal{Target: target, Signal: 10}) }},
	{"signal all", func(b *bench) []core.Effect { return b.do(core.SendSignal{Target: core.Target{All: true}, Signal: 10}) }},
	{"write", func(b *bench) []core.Effect { return b.do(core.WriteInput{Target: target, Data: []byte("x")}) }},
	{"remove", func(b *bench) []core.Effect { return b.do(core.RemoveProcess{Group: "g", Name: "p"}) }},
	{"remove group", func(b *bench) []core.Effect { return b.do(core.RemoveGroup{Name: "g"}) }},
	{"apply: without it", func(b *bench) []core.Effect { return b.do(core.Apply{Plan: b.plan(false)}) }},
	{"leave: without it", func(b *bench) []core.Effect { return b.do(core.Leave{Plan: b.plan(false)}) }},
	{"apply: with it", func(b *bench) []core.Effect { return b.do(core.Apply{Plan: b.plan(true)}) }},
	{"shutdown", func(b *bench) []core.Effect { return b.do(core.Quit{}) }},
}

// TestMatrix prints what every input does in every state. Inputs that the world can never give there show as unforeseen.
func TestMatrix(t *testing.T) { matrix(t, "testdata/matrix.txt", situations, matrixInputs) }

// matrix compares what every input does in every situation with what a file says.
func matrix(t *testing.T, file string, situations []situation, inputs []matrixInput) {
	t.Helper()
	var out strings.Builder
	for _, s := range situations {
		fmt.Fprintf(&out, "%s\n", s.name)
		for _, in := range inputs {
			b := &bench{Supervisor: core.New(core.Options{Quirks: s.quirks, Strict: true})}
			b.do(core.AddGroups{Groups: []process.GroupSpec{{Name: "g", Processes: []process.Spec{matrixSpec}}}})
			s.reach(b)
			want, _, _ := strings.Cut(s.name, ",")
			if st, ok := b.Find("g", "p"); !ok || st.State.String() != want {
				t.Fatalf("%s: reached %v", s.name, st.State)
			}
			fmt.Fprintf(&out, "  %-18s %s\n", in.name, outcome(b, in.give))
		}
		out.WriteByte('\n')
	}
	golden(t, file, readFile(t, file), out.String())
}

// outcome gives an input and renders the effects and the state after them.
func outcome(b *bench, give func(*bench) []core.Effect) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = "unforeseen"
		}
	}()
	var words []string
	for _, e := range give(b) {
		words = append(words, effectText(e))
	}
	if len(words) == 0 {
		words = []string{"nothing"}
	}
	state := "gone"
	if st, ok := b.Find("g", "p"); ok {
		state = st.State.String()
	}
	return state + ": " + strings.Join(words, "; ")
}

func effectText(e core.Effect) string {
	switch e := e.(type) {
	case core.Publish:
		if c, ok := e.Event.(core.StateChanged); ok {
			return fmt.Sprintf("%v>%v", c.From, c.To)
		}
		return strings.TrimPrefix(fmt.Sprintf("%T", e.Event), "core.")
	case core.Spawn:
		return "SPAWN"
	case core.Signal:
		return "SEND " + e.Signal.String()
	case core.RunHook:
		return "RUN " + e.Option
	case core.Reply:
		switch {
		case e.Fault != nil:
			return fmt.Sprintf("reply %d %q", e.Fault.Kind, e.Fault.Text)
		case e.Applied != nil:
			a := e.Applied
			return fmt.Sprintf("reply added %v stopped %v removed %v failed %v", a.Added, a.Stopped, a.Removed, rowTexts(a.Failed))
		case e.Outcomes != nil:
			return fmt.Sprintf("reply rows %v", rowTexts(e.Outcomes))
		}
		return "reply ok"
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T", e), "core.")
	}
}

func rowTexts(rows []core.Outcome) (texts []string) {
	for _, r := range rows {
		text := r.Group + ":" + r.Name
		if r.Fault != nil {
			text += fmt.Sprintf(" %d", r.Fault.Kind)
		}
		texts = append(texts, text)
	}
	return texts
}
