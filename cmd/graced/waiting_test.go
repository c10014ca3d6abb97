package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestWaitingOperations: operations that wait for their turn go on waiting when the daemon dies, is replaced, or loses its keeper, and each is carried out
// once. One that was cancelled never is.
func TestWaitingOperations(t *testing.T) {
	t.Parallel()
	conf := func(word string, n int) string {
		return "[program:deaf]\ncommand=/bin/sleep 1000\nstartsecs=0\nstop_steps=URG forever\nautorestart=false\nenvironment=WORD=" + word + "\n" +
			fmt.Sprintf("[program:web]\ncommand=/bin/sh -c 'echo up >>%%(here)s/%%(process_num)d.starts; exec sleep 1000'\nstartsecs=0\nnumprocs=%d\nprocess_name=%%(process_num)d\n", n)
	}
	r := newRig(t, conf("one", 2))
	for _, name := range []string{"deaf", "0", "1"} {
		r.runs(name, process.Running)
	}
	starts := func() int { return strings.Count(r.read("0.starts"), "up\n") }
	r.until("0 has begun", func() bool { return starts() == 1 })
	ask := func(verb string, names ...string) string {
		t.Helper()
		op, err := r.Act(t.Context(), control.ActRequest{Verb: verb, Names: names, Who: "anna"})
		r.must(err)
		return op.ID
	}
	state := func(id string) control.OperationState {
		op, err := r.Operation(t.Context(), id, -1)
		if err != nil {
			return "" // a daemon that is killed answers nobody
		}
		return op.State
	}
	first := ask(control.ActRestart, "deaf")
	second := ask(control.ActRestart, "deaf", "web:*")
	never := ask(control.ActStop, "deaf", "web:*")
	r.write(conf("two", 2))
	update, err := r.Update(t.Context(), control.UpdateRequest{})
	r.must(err)
	scaled, err := r.Scale(t.Context(), control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: "+1"}}})
	r.must(err)
	if op := scaled.Operation; op != nil && op.State == control.OperationWaiting {
		t.Errorf("the scaling waits for %s, with which it has nothing to do", op.Behind)
	}
	r.must(r.CancelOperation(t.Context(), never))
	_, out, ended := r.background(nil, "gracectl", "attach", second)
	r.until("somebody watches", func() bool { return strings.Contains(out.String(), "waits for "+first) })

	want := map[string]control.OperationState{first: control.OperationRunning, second: control.OperationWaiting, update.ID: control.OperationWaiting, never: control.OperationCancelled}
	same := func(when string) {
		t.Helper()
		for id, s := range want {
			if now := state(id); now != s && !(id == never && now == control.OperationInterrupted) { // its end may not have reached the disk
				t.Errorf("%s: %s is %q, want %q", when, id, now, s)
			}
		}
	}
	same("at first")
	r.upgrade("")
	same("after an upgrade")
	r.killDaemon()
	same("after the death of the daemon")
	r.killKeeper()
	r.killDaemon()
	same("after those of keeper and daemon")
	r.until("it is known what it waits for", func() bool {
		op, err := r.Operation(t.Context(), second, -1)
		return err == nil && op.Who != "" && op.Kind == control.ActRestart && op.Behind == first
	})

	over := func(id string) func() bool {
		return func() bool {
			if p := r.infos()["deaf"]; p.State == process.Stopping && p.PID != 0 {
				_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may have ended
			}
			return state(id).Over()
		}
	}
	r.must(syscall.Kill(r.pidOf("deaf"), syscall.SIGKILL))
	r.until("another one has begun", func() bool {
		return state(second) == control.OperationRunning || state(update.ID) == control.OperationRunning
	})
	r.killDaemon() // it does not begin once more
	for _, id := range []string{first, second, update.ID} {
		r.until(id+" is over", over(id))
		if got := state(id); got != control.OperationDone {
			t.Errorf("%s is %s", id, got)
		}
	}
	if <-ended; !strings.Contains(out.String(), "waits for "+first) {
		t.Errorf("who watched saw %s", out)
	}
	r.until("0 has begun anew", func() bool { return starts() >= 2 })
	if n := starts(); n != 2 {
		t.Errorf("0 was started %d times, want 2", n)
	}
	r.must(syscall.Kill(r.pidOf("deaf"), syscall.SIGKILL))
}
