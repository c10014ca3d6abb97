package sim

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	events "github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

var (
	poolSeed = flag.Uint64("pool.seed", 0, "the seed of the only pool scenario; 0: random ones")
	poolN    = flag.Int("pool.n", 2000, "how many random pool scenarios")
)

// poolScenario is a story of one listener pool.
type poolScenario struct {
	Listeners, Buffer int
	Ops               []poolOp
}

// poolOp is one thing that happens in it: an event of that text, or a listener that starts, that says the text or that dies; with "up" the one
// that has been STARTING for longest becomes RUNNING.
type poolOp struct {
	Do       string
	Listener int
	Text     string
}

// poolStory makes a random story. Listeners mostly keep to the protocol: a story in which all break it at once tells nothing.
func poolStory(seed uint64) poolScenario {
	r := rand.New(rand.NewPCG(seed, 1))
	sc := poolScenario{Listeners: 1 + r.IntN(3), Buffer: 1 + r.IntN(4)}
	for i := range sc.Listeners {
		if r.IntN(4) > 0 {
			sc.Ops = append(sc.Ops, poolOp{Do: "start", Listener: i})
		}
	}
	said := []string{
		"READY\n", "READY\n", "READY\n", "READ", "Y\n", "RESULT 2\nOK", "RESULT 2\nOK", "RESULT 2\nOKREADY\n", "RESULT 2\nOKREADY\n", "RESULT 2\nOKREADY\n",
		"RESULT 4\nFAILREADY\n", "RESULT 4\nFA", "IL", "RESULT ", "2\nO", "K", "GARBAGE2\nOKREADY\n", "RESULT x\n", "RESULT\n", "RESULT  +1_0 \n0123456789READY\n", "hello",
		"READY\nREADY\n", "RESULT 2\nOKREADY\nx", "RESULT 3\nOK\nREADY\n", "RESULT it's\n",
	}
	sc.Ops = append(sc.Ops, poolOp{Do: "up"})
	// A guess at what each listener is to say next and at the events that are there for it: mostly it says the right thing.
	ready, waiting := map[int]bool{}, 0
	for range 5 + r.IntN(60) {
		op := poolOp{Listener: r.IntN(sc.Listeners)}
		switch n := r.IntN(20); {
		case n < 7:
			op.Do, op.Text = "event", []string{"a", "hé", "two\nlines", ""}[r.IntN(4)]
			waiting++
		case n < 15 && r.IntN(12) == 0:
			op.Do, op.Text = "say", said[r.IntN(len(said))]
		case n < 15 && !ready[op.Listener]:
			op.Do, op.Text = "say", "READY\n"
			ready[op.Listener] = true
		case n < 15 && waiting > 0:
			op.Do, op.Text = "say", []string{"RESULT 2\nOKREADY\n", "RESULT 2\nOKREADY\n", "RESULT 2\nOK", "RESULT 4\nFAILREADY\n", "RESULT 5\nWHAT?READY\n"}[r.IntN(5)]
			ready[op.Listener] = strings.HasSuffix(op.Text, "READY\n")
			waiting--
		case n < 17:
			op.Do = "up"
		case n < 18:
			op.Do = "die"
			ready[op.Listener] = false
		default:
			op.Do = "start"
		}
		sc.Ops = append(sc.Ops, op)
	}
	return sc
}

// playPool plays a story with the core and returns what happened, in the words of the driver of the reference.
func playPool(sc poolScenario) []string {
	s := core.New(core.Options{Quirks: core.ReferenceQuirks().Quirks, Strict: true, Identifier: "super"})
	var now core.Now
	now.Wall = time.Unix(1_000_000, 0)
	var facts []string
	note := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	lives := map[process.ID]core.Spawn{}
	number := map[string]int{}
	var step func(in core.Input)
	step = func(in core.Input) {
		for _, e := range s.Step(now, in) {
			switch e := e.(type) {
			case core.Spawn:
				lives[e.ID] = e
				step(core.Spawned{ID: e.ID, Incarnation: e.Incarnation, PID: 7})
			case core.WriteStdin:
				note("send %d %s", number[lives[e.ID].Spec.Name], e.Data)
				step(core.StdinWritten{Token: e.Token})
			case core.Publish:
				switch e := e.Event.(type) {
				case core.ListenerChanged:
					note("DEBG %s: %v -> %v", e.Name, e.From, e.To)
					if e.To == events.Violated {
						note("WARN %s: has entered the UNKNOWN state and will no longer receive events, this usually indicates the process violated the eventlistener protocol", e.Name)
					}
				case core.EventSent:
					note("DEBG event %d sent to listener %s", e.Serial, e.Name)
				case core.EventJudged:
					note("%s", []string{"DEBG " + e.Name + ": event was processed", "WARN " + e.Name + ": event was rejected", "WARN " + e.Name + ": event caused an error"}[e.Verdict])
				case core.BadResultLine:
					note("WARN %s: bad result line: '%s'", e.Name, e.Line)
				case core.EventDiscarded:
					note("ERRO pool %s event buffer overflowed, discarding event %d", e.Pool, e.Serial)
				case core.EventRebuffered:
					note("DEBG rebuffering event %d for pool %s (buf size=%d, max=%d)", e.Serial, e.Pool, e.Size, e.Max)
				}
			}
		}
	}
	g := process.GroupSpec{Name: "pool", Kind: process.KindEventListener, Listener: &process.ListenerSpec{
		Events: []string{"REMOTE_COMMUNICATION"}, BufferSize: sc.Buffer, ResultHandler: process.ResultHandlerDefault}}
	for i := range sc.Listeners {
		name := fmt.Sprintf("l%d", i)
		number[name] = i
		g.Processes = append(g.Processes, process.Spec{Name: name, Command: "x", StartSecs: 1000, StopSignal: 15, StopWaitSecs: 10, Autorestart: process.RestartNever})
	}
	step(core.Command{Do: core.AddGroups{Groups: []process.GroupSpec{g}}})
	for _, op := range sc.Ops {
		name := fmt.Sprintf("l%d", op.Listener)
		st, _ := s.Find("pool", name)
		target := core.Target{Group: "pool", Process: name, Text: name}
		switch op.Do {
		case "event":
			step(core.Command{Do: core.SendRemote{Kind: "t", Data: op.Text}})
		case "say":
			if st.PID != 0 {
				step(core.ListenerOutput{ID: st.ID, Incarnation: st.Incarnation, Data: []byte(op.Text)})
			}
		case "start":
			now.Mono += time.Second
			step(core.Tick{})
			if st.PID == 0 {
				step(core.Command{Do: core.Start{Target: target}})
			}
		case "up":
			if at, ok := s.NextDeadline(); ok {
				now.Mono = at
				step(core.Tick{})
			}
		case "die":
			if st.PID != 0 {
				// A stop, so that no state but STOPPED follows, as in the driver.
				step(core.Command{Do: core.Stop{Target: target}})
				step(core.Exited{ID: st.ID, Incarnation: st.Incarnation})
			}
		}
	}
	return facts
}

// TestPoolOracle plays random stories with the core and with Supervisor's own classes.
func TestPoolOracle(t *testing.T) {
	if _, err := os.Stat("/usr/bin/supervisord"); err != nil {
		t.Skip("hidden: random stories of pools against Supervisor's own classes, because Supervisor is not installed")
	}
	seeds := []uint64{*poolSeed}
	if *poolSeed == 0 {
		first := rand.Uint64() >> 1
		t.Logf("first seed %d", first)
		seeds = nil
		for i := range *poolN {
			seeds = append(seeds, first+uint64(i))
		}
	}
	cmd := exec.Command(Interpreter, "-B", "oracle/pool.py")
	cmd.Stderr = &tail{}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("driver: %v\n%s", err, cmd.Stderr)
		}
	}()
	answers := bufio.NewReader(out)
	facts, sent := 0, 0
	for _, seed := range seeds {
		sc := poolStory(seed)
		line, err := json.Marshal(sc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(line, '\n')); err != nil {
			t.Fatalf("driver: %v\n%s", err, cmd.Stderr)
		}
		reply, err := answers.ReadBytes('\n')
		if err != nil {
			t.Fatalf("driver: %v\n%s", err, cmd.Stderr)
		}
		var want []string
		if err := json.Unmarshal(reply, &want); err != nil {
			t.Fatal(err)
		}
		got := playPool(sc)
		facts += len(want)
		for _, f := range want {
			if strings.HasPrefix(f, "send") {
				sent++
			}
		}
		if !slices.Equal(got, want) {
			i := 0
			for i < len(got) && i < len(want) && got[i] == want[i] {
				i++
			}
			t.Fatalf("seed %d (-pool.seed repeats it): %s\nfirst difference at fact %d\nwant\n  %s\ngot\n  %s", seed, line, i,
				strings.Join(want, "\n  "), strings.Join(got, "\n  "))
		}
	}
	if sent == 0 && *poolSeed == 0 {
		t.Error("no story ever sent an event")
	}
	t.Logf("%d stories, %d facts, %d events sent", len(seeds), facts, sent)
}
