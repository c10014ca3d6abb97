package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

var (
	updateSeed  = flag.Uint64("update.seed", 0, "seed of the random configurations; 0: a random one")
	updatePairs = flag.Int("update.pairs", 50, "how many pairs of random configurations")
)

// world is a random configuration: names, and what may be said of each.
type world struct{ *rand.Rand }

func (w world) pick(words ...string) string { return words[w.IntN(len(words))] }

// program returns the lines of a program. Few values, so that most stay as they are from one configuration to the next.
func (w world) program(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[program:%s]\nstartsecs=0\nautorestart=false\n", name)
	line := func(text string) { b.WriteString(text + "\n") }
	switch w.IntN(8) {
	case 0:
		line("command=/bin/sleep 2000")
	case 1:
		line("command=/no/such/program") // it gives up
		line("startretries=0")
	default:
		line("command=/bin/sleep 1000")
	}
	switch n := w.IntN(4); {
	case n == 1 && w.IntN(2) == 0:
		line("numprocs=1")
	default:
		line(fmt.Sprintf("numprocs=%d\nprocess_name=%s_%%(process_num)d", n, w.pick("%(program_name)s", "%(program_name)s", "%(program_name)s", "other")))
	}
	for _, option := range []string{"stopwaitsecs=5", "exitcodes=0,3", "stopsignal=INT", "priority=5", "environment=A=\"1\"", "stdout_logfile=NONE", "autostart=false", "numprocs_start=1", "umask=077"} {
		if w.IntN(7) == 0 {
			line(option)
		}
	}
	return b.String()
}

// conf returns a whole configuration.
func (w world) conf() string {
	var b strings.Builder
	for _, name := range []string{"a", "b", "c", "d"} {
		if w.IntN(5) > 0 {
			b.WriteString(w.program(name))
		}
	}
	if w.IntN(2) == 0 {
		b.WriteString(w.program("x") + w.program("y") + "[group:g]\nprograms=" + w.pick("x", "x,y", "y,x") + "\n")
	}
	if w.IntN(3) > 0 {
		fmt.Fprintf(&b, "[eventlistener:l]\ncommand=/bin/sh -c 'echo READY; exec sleep 1000'\nstartsecs=0\nevents=%s\nbuffer_size=%s\n", w.pick("TICK_60", "TICK_3600"), w.pick("5", "10"))
	}
	if w.IntN(3) > 0 {
		fmt.Fprintf(&b, "[fcgi-program:f]\ncommand=/bin/sleep 1000\nstartsecs=0\nsocket=unix://%%(here)s/f.sock\nsocket_mode=%s\nprocess_name=f_%%(process_num)d\nnumprocs=%d\n",
			w.pick("0700", "0700", "0750"), w.IntN(4))
	}
	return b.String()
}

// full asks for all processes, by group and name.
func (r *rig) full() map[string]control.ProcessInfo {
	r.t.Helper()
	list, err := r.Processes(r.t.Context())
	r.must(err)
	out := map[string]control.ProcessInfo{}
	for _, p := range list {
		out[p.Group+":"+p.Name] = p
	}
	return out
}

// resting waits until nothing is on its way from one state to another.
func (r *rig) resting() {
	r.t.Helper()
	r.until("everything is at rest", func() bool {
		for _, p := range r.full() {
			switch p.State {
			case process.Starting, process.Backoff, process.Stopping:
				return false
			}
		}
		return true
	})
}

// planned asks gracectl for the plan.
func (r *rig) planned(args ...string) (p control.Plan) {
	r.t.Helper()
	out, code := r.ctl("gracectl", append([]string{"plan", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 {
		r.t.Fatalf("plan: exit %d, %v\n%s", code, err, out)
	}
	return p
}

// compare checks that what has become of before is what the plan said, but for those that were left behind one that failed.
func (p planOf) compare(t *testing.T, before, after map[string]control.ProcessInfo, skipped []string) (failures int) {
	t.Helper()
	known := map[string]bool{}
	kept, replaced, started, stopped := 0, 0, 0, 0
	note := func(list []string) []string {
		for _, name := range list {
			known[name] = true
		}
		return list
	}
	broken := func(name string) bool { return after[name].State == process.Fatal }
	for _, g := range p.Groups {
		for _, name := range note(slices.Concat(g.Live, g.Untouched, g.Down)) {
			if before[name].PID != after[name].PID || before[name].State != after[name].State {
				t.Errorf("%s, which the plan keeps, was %s %d and is %s %d", name, before[name].State, before[name].PID, after[name].State, after[name].PID)
			}
			if after[name].PID != 0 {
				kept++
			}
		}
		for _, change := range g.Rename {
			note([]string{change.To})
			if before[change.From].PID != after[change.To].PID {
				t.Errorf("%s had pid %d, as %s it has %d", change.From, before[change.From].PID, change.To, after[change.To].PID)
			}
			if after[change.To].PID != 0 {
				kept++
			}
		}
		for _, name := range note(g.Replace) {
			replaced++
			if slices.Contains(skipped, name) {
				if before[name].PID != after[name].PID {
					t.Errorf("%s, which was left as it was, had pid %d and has %d", name, before[name].PID, after[name].PID)
				}
				continue
			}
			if broken(name) {
				failures++
				continue
			}
			if b, a := before[name], after[name]; a.PID == 0 || a.PID == b.PID {
				t.Errorf("%s, which the plan replaces, was %s %d and is %s %d", name, b.State, b.PID, a.State, a.PID)
			}
		}
		for _, name := range note(g.Start) {
			started++
			if slices.Contains(skipped, name) {
				continue // it had given up, and is tried again by the next update
			}
			if broken(name) {
				failures++
				continue
			}
			if b, a := before[name], after[name]; b.PID != 0 || a.PID == 0 {
				t.Errorf("%s, which the plan starts, was %s %d and is %s %d", name, b.State, b.PID, a.State, a.PID)
			}
		}
		for _, name := range note(g.Add) {
			if after[name].State != process.Stopped {
				t.Errorf("%s, which the plan adds, is %s", name, after[name].State)
			}
		}
		for _, name := range g.Stop {
			stopped++
			if _, still := after[name]; still {
				t.Errorf("%s, which the plan stops, is still there", name)
			}
		}
	}
	for name := range after {
		if !known[name] {
			t.Errorf("%s is in no plan", name)
		}
	}
	if len(known) != len(after) {
		t.Errorf("the plan leaves %d processes, there are %d", len(known), len(after))
	}
	if want := (control.PlanTotals{Keep: kept, Replace: replaced, Start: started, Stop: stopped, Live: p.Totals.Live}); failures == 0 && p.Totals != want {
		t.Errorf("the totals are %+v, it was %+v", p.Totals, want)
	}
	return failures
}

type planOf struct{ control.Plan }

// TestRandomUpdates updates from one random configuration to the next with real processes: what happens is what the plan said, and then there is
// nothing left to do. Some processes are stopped or killed in between.
func TestRandomUpdates(t *testing.T) {
	t.Parallel()
	seed := *updateSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-update.seed=%d", seed)
	const daemons = 2
	var all sync.WaitGroup
	for n := range uint64(daemons) {
		all.Go(func() {
			t.Run(fmt.Sprint(n), func(t *testing.T) { randomUpdates(t, rand.New(rand.NewPCG(seed, n)), *updatePairs/daemons) })
		})
	}
	all.Wait()
}

func randomUpdates(t *testing.T, random *rand.Rand, pairs int) {
	w := world{random}
	conf := w.conf()
	r := newRig(t, conf)
	operations := 0
	for i := range pairs {
		r.resting()
		// Some were stopped by hand, or have died.
		for name, p := range r.full() {
			if p.PID != 0 && w.IntN(10) == 0 {
				_, err := r.Stop(t.Context(), control.Target{Name: name}, true)
				r.must(err)
			}
		}
		before := r.full()
		last := conf
		conf = w.conf()
		r.write(conf)
		p := r.planned()
		failedSoFar := t.Failed()
		out, code := r.ctl("gracectl", "update", "-o", "json")
		var op control.Operation
		if err := json.Unmarshal([]byte(out), &op); err != nil {
			t.Fatalf("update: exit %d, %v\n%s", code, err, out)
		}
		if (op.State == control.OperationNothing) != p.Empty() {
			t.Errorf("the plan is empty: %v, the update is %s", p.Empty(), op.State)
		}
		if op.State != control.OperationNothing {
			operations++
		}
		r.resting()
		after := r.full()
		var skipped []string
		for _, e := range op.Events {
			if e.Skipped {
				skipped = append(skipped, e.Process)
			}
		}
		failures := planOf{p}.compare(t, before, after, skipped)
		if failed := op.State == control.OperationFailed; failed != (failures > 0) || (code == 1) != failed || failed != slices.ContainsFunc(op.Events, func(e control.ProgressLine) bool { return e.Error != "" }) {
			t.Errorf("%d processes failed, the update is %s, exit %d", failures, op.State, code)
		}
		if len(skipped) > 0 { // the rest of a line whose first failed: that is left, and shown
			if again := r.planned(); again.Empty() {
				t.Error("processes were left as they were, and the plan is empty")
			}
		} else {
			log := r.read("s.log")
			for range 2 {
				if out, code := r.ctl("gracectl", "plan", "--exit-code"); code != 0 {
					t.Errorf("after the update: exit %d\n%s", code, out)
				}
				if out, code := r.ctl("gracectl", "update"); code != 0 || !strings.HasPrefix(out, "nothing to do") {
					t.Errorf("a second update: exit %d\n%s", code, out)
				}
			}
			for name, p := range r.full() {
				if p.PID != after[name].PID {
					t.Errorf("the second update has touched %s", name)
				}
			}
			if now := r.read("s.log"); now != log {
				t.Errorf("the second update is told in the main log: %s", now[len(log):])
			}
		}
		if list, err := r.Operations(t.Context()); err != nil || len(list) != operations {
			t.Errorf("%d operations are remembered, want %d: %v", len(list), operations, err)
		}
		if t.Failed() && !failedSoFar {
			plan, _ := json.MarshalIndent(p, "", " ")
			t.Fatalf("pair %d\n%s\n--- becomes\n%s\n--- plan %s\n--- update %s\n", i, last, conf, plan, out)
		}
	}
}
