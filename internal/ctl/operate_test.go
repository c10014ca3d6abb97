package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
	"github.com/graced/graced/internal/process"
)

// withAct makes the daemon a graced that carries out a start, stop or restart. Its events are lines: "begin" or "end", what is done, the process and,
// of a failure, the number of the fault and its text.
func withAct(verb string, state control.OperationState, events ...string) func(*fixture) {
	return func(f *fixture) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		op := control.Operation{Schema: control.OperationSchema, ID: "op-7", Kind: verb, Who: "anna", State: state, Began: at, Ended: &at, Events: []control.ProgressLine{}}
		for _, line := range events {
			words := strings.SplitN(line, " ", 5)
			e := control.ProgressLine{Time: at, Type: words[0], Action: words[1], Process: words[2]}
			if len(words) == 5 {
				code, _ := strconv.Atoi(words[3])
				e.FaultCode, e.Error = control.Code(code), words[4]
				e.Skipped = e.FaultCode == control.AlreadyStarted || e.FaultCode == control.NotRunning
			}
			op.Events = append(op.Events, e)
		}
		op.Steps, op.Done = len(events), len(events)
		f.d.acting = &op
	}
}

// TestOperate checks what start, stop and restart ask for and say where the daemon makes them operations: the texts that they have without.
func TestOperate(t *testing.T) {
	tests := []struct {
		name, line string
		setup      func(*fixture)
		out, err   string
		exit       int
		calls      string // "" = not compared
	}{
		{name: "in the order of the words", line: "start web:web_1 solo", setup: withAct("start", control.OperationDone, "begin start solo:solo", "end start solo:solo", "end start web:web_1"),
			out: "web:web_1: started\nsolo: started\n", calls: "Processes, Act start web:web_1 solo:solo, Operation op-7"},
		{name: "a restart", line: "restart web:*", setup: withAct("restart", control.OperationDone, "end stop web:web_0", "end start web:web_1", "end start web:web_0"),
			out: "web:web_0: stopped\nweb:web_0: started\nweb:web_1: started\n", calls: "Processes, Act restart web:*, Operation op-7"},
		{name: "so many at a time", line: "stop all --parallel 2", setup: withAct("stop", control.OperationNothing), calls: "Processes, Act stop all 2"},
		{name: "at once", line: "restart --now solo", setup: withAct("restart", control.OperationNothing), calls: "Processes, Act restart solo:solo now"},
		{name: "at once, and the daemon knows no such thing", line: "stop --now solo", setup: func(*fixture) {}, calls: "Processes", exit: 1,
			err: "error[E306]: the daemon at unix:///s.sock is no graced: it knows no --now\n  ctl signal KILL solo comes near it\n"},
		{name: "a pattern", line: "stop web*", setup: withAct("stop", control.OperationDone, "end stop web:web_1 70 was not running", "end stop web:web_0"),
			out: "web:web_0: stopped\nweb:web_1: was not running\n", calls: "Processes, Act stop web:web_0 web:web_1, Operation op-7, Preview stop"},
		{name: "what others depend on", line: "stop solo", setup: func(f *fixture) {
			withAct("stop", control.OperationDone, "begin stop solo:solo", "end stop solo:solo")(f)
			f.d.previewed.Dependents = []control.Dependent{{Process: "web:web_0", On: "solo:solo"}}
		}, out: "solo: stopped\n", err: "note: web:web_0 depends on solo and goes on running; before its next start it waits for that\n"},
		{name: "what others would depend on", line: "stop solo --dry-run", setup: func(f *fixture) {
			withAct("stop", control.OperationDone)(f)
			withChanges(f)
			f.d.previewed.Dependents = []control.Dependent{{Process: "web:web_0", On: "solo:solo"}, {Process: "web:web_1", On: "solo:solo"}}
		}, out: "solo: would be stopped\n", err: "note: web:web_0 web:web_1 depend on solo and would go on running\n"},
		{name: "what is being stopped", line: "restart solo web:* --dry-run", setup: func(f *fixture) {
			withAct("restart", control.OperationDone)(f)
			withChanges(f)
			f.d.processes = []control.ProcessInfo{{Group: "solo", Name: "solo", State: process.Stopping}, {Group: "web", Name: "web_0", State: process.Stopping}}
			f.d.previewed.Stop = []string{"solo:solo"} // nobody waits for one of a whole group
		}, out: "solo: is being stopped: would wait until it has stopped\nweb:web_0: was not running: nothing to do\nsolo: would be started\nweb:web_0: would be started\n"},
		{name: "what would be started as well", line: "start sad --dry-run", setup: func(f *fixture) {
			withAct("start", control.OperationDone)(f)
			withChanges(f)
			f.d.previewed.Summoned = []control.Summoned{{Process: "solo:solo", For: "sad:sad"}}
		}, out: "solo: would be started, since sad depends on it\nsad: would be started\n"},
		{name: "what could not be started", line: "restart sad --dry-run", exit: 1, setup: func(f *fixture) {
			withAct("restart", control.OperationDone)(f)
			withChanges(f)
			f.d.previewed.Vain = []control.Vain{{Process: "sad:sad", Text: "depends on solo, which is held"}}
		}, out: "sad: was not running: nothing to do\nsad: ERROR (depends on solo, which is held)\n"},
		{name: "one that was not expected", line: "stop web:*", setup: withAct("stop", control.OperationDone, "end stop web:web_1", "end stop web:web_0"),
			out: "web:web_0: stopped\nweb:web_1: stopped\n"},
		{name: "nothing to do", line: "start solo", setup: withAct("start", control.OperationNothing, "end start solo:solo 60 already started"), out: "solo: already started\n"},
		{name: "a failure", line: "start solo sad", setup: withAct("start", control.OperationFailed, "end start solo:solo 50 it did not start", "end start sad:sad 20 no file"), exit: 1,
			out: "solo: ERROR (spawn error)\nsad: ERROR (no such file)\n"},
		{name: "another failure", line: "stop solo", setup: withAct("stop", control.OperationFailed, "end stop solo:solo 30 unknown problem killing solo"), exit: 1,
			out: "solo: ERROR (unknown problem killing solo)\n"},
		{name: "cancelled in the middle", line: "restart solo", setup: withAct("restart", control.OperationCancelled, "end start solo:solo 0 cancelled before its turn", "end stop solo:solo"), exit: 1,
			out: "solo: stopped\nsolo: ERROR (cancelled before its turn)\n"},
		{name: "cancelled before", line: "restart solo", setup: withAct("restart", control.OperationCancelled), exit: 1, err: "error[E300]: op-7 cancelled\n"},
		{name: "behind another one", line: "stop solo", out: "solo: stopped\n", err: "note: waits for op-3 (stop by anna, running)\n", setup: func(f *fixture) {
			withAct("stop", control.OperationDone, "begin stop solo:solo", "end stop solo:solo")(f)
			f.d.acting.Behind, f.d.acting.BehindState = "op-3", control.OperationRunning
		}},
		{name: "behind one that is paused", line: "stop solo", out: "solo: stopped\n", err: "note: waits for op-3 (stop by anna, PAUSED)\n", setup: func(f *fixture) {
			withAct("stop", control.OperationDone, "begin stop solo:solo", "end stop solo:solo")(f)
			f.d.acting.Behind, f.d.acting.BehindState = "op-3", control.OperationPaused
		}},
		{name: "behind another one of an older daemon", line: "stop solo", out: "solo: stopped\n", err: "note: waits for op-3 (stop by anna)\n", setup: func(f *fixture) {
			withAct("stop", control.OperationDone, "begin stop solo:solo", "end stop solo:solo")(f)
			f.d.acting.Behind = "op-3"
		}},
		{name: "refused", line: "stop solo", exit: 1, err: "error[E309]: the daemon at unix:///s.sock is shutting down\n", setup: func(f *fixture) {
			withAct("stop", control.OperationDone)(f)
			f.d.errs["Act"] = bad(control.ShutdownState, "")
		}},
		{name: "at once, while the daemon shuts down", line: "stop --now web:* solo", out: "the daemon is shutting down: SIGKILL to what stops by now of web:* solo\n",
			calls: "Processes, Act stop web:* solo now", setup: func(f *fixture) {
				withAct("stop", control.OperationNothing)(f)
				f.d.errs["Processes"] = bad(control.ShutdownState, "")
			}},
		{name: "at once, while the daemon shuts down, by a name that it does not know", line: "stop --now w*", exit: 1,
			err: "error[E310]: no process 'w*'\n  the daemon is shutting down and knows full names, group:* and all alone\n", setup: func(f *fixture) {
				withAct("stop", control.OperationNothing)(f)
				f.d.errs["Processes"], f.d.errs["Act"] = bad(control.ShutdownState, ""), bad(control.BadName, "w*")
			}},
		{name: "a restart at once, while the daemon shuts down", line: "restart --now solo", exit: 1, err: "error[E309]: the daemon at unix:///s.sock is shutting down\n", calls: "Processes",
			setup: func(f *fixture) { f.d.errs["Processes"] = bad(control.ShutdownState, "") }},
		{name: "nobody is meant", line: "stop --state UNKNOWN", setup: withAct("stop", control.OperationDone), calls: "Processes"},
		{name: "a dry run", line: "stop solo --dry-run", setup: withAct("stop", control.OperationDone), out: "solo: would be stopped\n", calls: "Processes"},
		{name: "the old form", line: "stop solo -o plain", setup: withAct("stop", control.OperationDone), out: "solo: stopped\n"},
	}
	for _, tt := range tests {
		f := newFixture(t, Gracectl)
		tt.setup(f)
		exit := f.Run(context.Background(), strings.Fields(tt.line))
		calls := strings.Join(f.d.calls, ", ")
		if f.out.String() != tt.out || f.err.String() != tt.err || exit != tt.exit || tt.calls != "" && calls != tt.calls {
			t.Errorf("%s: exit %d, stdout %q, stderr %q, calls %s", tt.name, exit, f.out, f.err, calls)
		}
	}
}

// TestOperationLeft checks --timeout and Ctrl-C in the middle: the operation goes on, and is named.
func TestOperationLeft(t *testing.T) {
	for _, tt := range []struct {
		line, out, err, left string
		exit                 int
	}{
		{line: "stop web:web_0 solo", left: "interrupted", out: "web:web_0: stopped\nstill running as op-7: gracectl attach op-7\n"},
		{line: "stop web:web_0 solo --timeout 10ms", left: "timeout", exit: 12, out: "web:web_0: stopped\n",
			err: "error[E307]: stop was not done within 10ms\n  it goes on as op-7: ctl attach op-7\n"},
	} {
		run := func(words ...string) (f *fixture, exit int) {
			f = newFixture(t, Gracectl)
			withAct("stop", control.OperationDone, "end stop web:web_0", "end stop solo:solo")(f)
			interrupt := interruptible(f)
			f.d.waiting = func(ctx context.Context, _ string) error {
				if tt.exit == 0 {
					interrupt()
				}
				<-ctx.Done()
				return errors.New("connection closed")
			}
			return f, f.Run(context.Background(), append(strings.Fields(tt.line), words...))
		}
		if f, exit := run(); f.out.String() != tt.out || f.err.String() != tt.err || exit != tt.exit {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", tt.line, exit, f.out, f.err)
		}
		f, exit := run("-o", "json")
		var doc map[string]any
		if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil || doc["operation"] != "op-7" || doc["left"] != tt.left || exit != tt.exit {
			t.Errorf("%s: exit %d, %s", tt.line, exit, f.out)
		}
		controltest.Validate(t, controltest.Schemas(t), f.out.String())
	}
}

// TestAttachAct watches a start, stop and restart with the words that are theirs.
func TestAttachAct(t *testing.T) {
	f := newFixture(t, Gracectl)
	withAct("restart", control.OperationDone, "end stop web:web_0", "end start web:web_0 60 already started")(f)
	f.d.changes = &changes{op: *f.d.acting}
	exit := f.Run(context.Background(), []string{"attach", "op-7"})
	want := "op-7  restart        Ctrl-C stops watching, not the work\n  ✓ web:web_0                 stopped\n  · web:web_0                 already started\nop-7  done in 0.0 s\n"
	if got := f.out.String(); got != want || exit != 0 {
		t.Errorf("exit %d\n%s", exit, fmt.Sprintf("%q", got))
	}
}
