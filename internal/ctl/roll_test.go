package ctl

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// TestStrategyLine says how processes of a group are replaced.
func TestStrategyLine(t *testing.T) {
	three := []string{"web:a", "web:b", "web:c"}
	for _, c := range []struct {
		replace  []string
		strategy *control.PlanStrategy
		line     string
		summary  string
	}{
		{three, nil, "", "3 processes replaced, one at a time"},
		{three, &control.PlanStrategy{MaxUnavailable: 1, OnFailure: "rollback"}, "", "3 processes replaced, one at a time"},
		{three, &control.PlanStrategy{MaxUnavailable: 2, Canary: 1, Steady: 10, OnFailure: "rollback"}, "      2 at a time, 1 first, steady 10s; on failure all go back\n", "3 processes replaced"},
		{three, &control.PlanStrategy{MaxUnavailable: 0, Surge: 1, Extra: []string{"web:web_3"}, OnFailure: "rollback"}, "      one at a time, surge 1: web_3 meanwhile; on failure all go back\n", "3 processes replaced"},
		{three, &control.PlanStrategy{MaxUnavailable: 1, Surge: 1, Extra: []string{"g:g_3"}, Canary: 1, OnFailure: "stop"}, "      2 at a time, surge 1: g:g_3 meanwhile, 1 first; on failure the rest is left\n", "3 processes replaced"},
		{three, &control.PlanStrategy{MaxUnavailable: 9, OnFailure: "pause"}, "      all at once; on failure it pauses\n", "3 processes replaced"},
		{three, &control.PlanStrategy{MaxUnavailable: 9, Canary: 1, OnFailure: "stop"}, "      3 at a time, 1 first; on failure the rest is left\n", "3 processes replaced"},
		{three, &control.PlanStrategy{MaxUnavailable: 1, OnFailure: "rollback", Ready: "tcp://:80"}, "      one at a time, ready by tcp://:80; on failure all go back\n", "3 processes replaced"},
		{three[:1], &control.PlanStrategy{MaxUnavailable: 1, Canary: 1, Steady: 0.5, OnFailure: "rollback"}, "      steady 500ms; on failure all go back\n", "1 process replaced"},
		{three[:1], &control.PlanStrategy{MaxUnavailable: 1, OnFailure: "pause"}, "      on failure it pauses\n", "1 process replaced"},
	} {
		g := control.PlanGroup{Name: "web", Action: "change", Replace: c.replace, Strategy: c.strategy}
		if line := strategyLine(g); line != c.line {
			t.Errorf("%+v: %q, want %q", c.strategy, line, c.line)
		}
		if text := groupSummary(g); text != c.summary {
			t.Errorf("%+v: %q, want %q", c.strategy, text, c.summary)
		}
	}
}

// TestRollTexts tells of operations that were rolled back or are paused, and of what goes back.
func TestRollTexts(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	op := control.Operation{ID: "op-1", Kind: "update", Began: end.Add(-2 * time.Second), Ended: &end, State: control.OperationRolledBack, Text: "web:a failed; 1 went back", Failed: "web:a", Steps: 3, Done: 1}
	paused, rollback := op, op
	paused.State, paused.Ended = control.OperationPaused, nil
	asked := paused
	asked.Failed = ""
	rollback.Kind, rollback.State, rollback.To, rollback.Text = control.KindRollback, control.OperationDone, 3, ""
	for _, c := range []struct {
		op   control.Operation
		want string
		exit int
	}{
		{op, "op-1  rolled back in 2.0 s: web:a failed; 1 went back\n  what the files say: gracectl plan        why: gracectl why web:a\n", 10},
		{paused, "op-1  PAUSED after 1 of 3: web:a failed\n  resume: gracectl resume op-1   stop here: gracectl cancel op-1\n", 10},
		{asked, "op-1  PAUSED after 1 of 3\n  resume: gracectl resume op-1   stop here: gracectl cancel op-1\n", 10},
		{rollback, "op-1  done in 2.0 s\n  what runs is r3, the files may say otherwise: gracectl plan\n", 0},
	} {
		a := &operationAnswer{Operation: c.op}
		if got := a.Text(format.Style{}); got != c.want || a.exit(nil) != c.exit {
			t.Errorf("exit %d\n%s\nwant\n%s", a.exit(nil), got, c.want)
		}
	}
	list := &operationsAnswer{Operations: []*operationAnswer{{Operation: op}, {Operation: paused}}}
	for _, want := range []string{"  rolled back  ", "  PAUSED  ", "web:a failed", "\n  resume: gracectl resume op-1   stop here: gracectl cancel op-1\n"} {
		if text := list.Text(format.Style{}); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	v := progress{kind: "update"}
	at := func(s float64) time.Time { return end.Add(time.Duration(s * float64(time.Second))) }
	for _, e := range []control.ProgressLine{
		{Time: at(0), Type: "begin", Process: "web:a", Action: "replace", PID: 7},
		{Time: at(1), Type: "news", Process: "web:a", Action: "replace", PID: 8, Text: "ready, has to stay so for 10s"},
	} {
		if r := v.record("op-1", e); r.Line() != "" || r.Name() != "" {
			t.Errorf("%+v has the line %q", e, r.Line())
		}
	}
	if len(v.open) != 1 || v.open[0].Text == "" || v.open[0].PID != 8 {
		t.Errorf("under way: %+v", v.open)
	}
	for _, c := range []struct {
		e    control.ProgressLine
		want string
	}{
		{control.ProgressLine{Time: at(2.5), Action: "replace", Error: "it ended with code 3", Output: []string{"panic: no key", "exit"}, Channel: control.Stderr},
			"✗ web:a                     not replaced: it ended with code 3                2.5 s\n      the last lines of its stderr:\n        panic: no key\n        exit"},
		{control.ProgressLine{Action: "replace", OldPID: 8, PID: 9, Undo: true, Text: "ready"}, "↩ web:a                     back, pid 9, ready"},
		{control.ProgressLine{Action: "live", Undo: true}, "↩ web:a                     back, it does not run"},
		{control.ProgressLine{Action: "replace", Undo: true, Error: "no"}, "✗ web:a                     does not go back: no"},
		{control.ProgressLine{Action: "replace", OldPID: 8, PID: 9, Text: "ready, steady 10s"}, "✓ web:a                     replaced, pid 8 -> 9, ready, steady 10s"},
		{control.ProgressLine{Action: "start", PID: 9, Text: "ready"}, "✓ web:a                     started, pid 9, ready"},
	} {
		c.e.Type, c.e.Process = "end", "web:a"
		if got := v.record("op-1", c.e).Line(); got != "  "+c.want {
			t.Errorf("%+v\n%q, want\n%q", c.e, got, "  "+c.want)
		}
	}
}

// TestPausedIsSeen ends the watching of an operation that waits because a process has failed, with 10, in attach and in silence.
func TestPausedIsSeen(t *testing.T) {
	for _, line := range []string{"attach op-1", "wait op-1", "restart --rolling web:*"} {
		f := newFixture(t, Gracectl)
		withRoll(f)
		f.d.acting.State, f.d.acting.Ended, f.d.acting.Events = control.OperationPaused, nil, nil
		f.d.changes.op = *f.d.acting
		exit := f.Run(context.Background(), strings.Fields(line))
		if text := f.out.String(); exit != 10 || strings.Contains(text, "PAUSED after 1 of 2: web:web_0 failed\n  resume: gracectl resume op-1") == strings.HasPrefix(line, "wait") {
			t.Errorf("%s: exit %d\n%s%s", line, exit, text, f.err.String())
		}
	}
}

// TestRollingMisuse refuses what would mean nothing in a rolling restart, and says what does it.
func TestRollingMisuse(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"restart --rolling --now web:*", "restart: --now does not go with --rolling, which stops each process gently and waits for the next to be ready: without --rolling, --now kills all that are named at once"},
		{"restart --now --rolling web:* --dry-run", "restart: --now does not go with --rolling"},
		{"restart --rolling --parallel 2 web:*", "restart: --parallel does not go with --rolling"},
	} {
		f := newFixture(t, Gracectl)
		withRoll(f)
		exit := f.Run(t.Context(), strings.Fields(c.line))
		for _, call := range f.d.calls {
			if strings.HasPrefix(call, "Act") || strings.HasPrefix(call, "Plan") {
				t.Errorf("%s: it asks %s", c.line, call)
			}
		}
		if text := f.err.String(); exit != exitUsage || !strings.HasPrefix(text, "error[E312]: "+c.want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d\n%s%s", c.line, exit, f.out, text)
		}
	}
}

// TestUndo goes back to what was wholly in force, names what it passes over, and leaves alone what a release that has taken itself back has left.
func TestUndo(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	gen := func(rev int, op, result string) control.Generation {
		return control.Generation{Rev: rev, When: at(10 * rev), Op: op, Result: result}
	}
	op := func(id, kind string, state control.OperationState, minute int) control.Operation {
		end := at(minute)
		return control.Operation{ID: id, Kind: kind, State: state, Began: end, Ended: &end, Steps: 3, Events: []control.ProgressLine{}}
	}
	done := op("op-1", "update", control.OperationDone, 20)
	paused := op("op-4", "update", control.OperationPaused, 35)
	paused.Ended = nil
	three := []control.Generation{gen(1, "", "started"), gen(2, "op-1", "done"), gen(3, "op-3", "done")}
	for _, c := range []struct {
		name, line string
		history    []control.Generation
		ops        []control.Operation
		to, text   string // "" = it goes back nowhere
		exit       int
	}{
		{"the one before", "undo", three, []control.Operation{done, op("op-3", "update", control.OperationDone, 30)}, "to r2", "op-9  rollback", 0},
		{"over those that were not wholly in force", "undo", []control.Generation{gen(1, "", "started"), gen(2, "op-1", "done"), gen(3, "op-2", "failed"), gen(4, "op-3", "rolled_back"), gen(5, "op-4", "done")},
			[]control.Operation{op("op-4", "update", control.OperationDone, 50)}, "to r2", "back to r2, the last good one before r5; passed over: r4 (op-3 was rolled back), r3 (op-2 failed)\n", 0},
		{"before one that failed itself", "undo op-2", []control.Generation{gen(1, "", "started"), gen(2, "op-1", "cancelled"), gen(3, "op-2", "failed"), gen(4, "op-3", "done")}, nil, "to r1",
			"back to r1, the last good one before r3; passed over: r2 (op-1 was cancelled)\n", 0},
		{"none is good", "undo", []control.Generation{gen(2, "op-1", "failed"), gen(3, "op-2", "done")}, []control.Operation{}, "",
			"error[E318]: no good generation is kept from before r3: r2 (op-1 failed)\n  to go to one of them all the same: ctl rollback r2\n", 1},
		{"a generation", "undo r2", three, nil, "", "error[E312]: undo: takes an operation, and r2 is a generation: ctl rollback r2 goes back to it\n", 2},
		{"an operation that is not kept", "undo op-9", three, nil, "", "error[E318]: operation 'op-9' has brought no other configuration, or it is not kept\n", 1},
		{"a release that has taken itself back", "undo", three, []control.Operation{op("op-4", "update", control.OperationRolledBack, 35), op("op-5", "restart", control.OperationDone, 36)}, "",
			"nothing to undo: op-4 was rolled back and has brought nothing: what is in force is r3, as before it\n  to take that back as well: ctl undo op-3\n", 0},
		{"one that failed and has left nothing", "undo", three[:1], []control.Operation{op("op-1", "scale", control.OperationFailed, 35)}, "",
			"nothing to undo: op-1 failed and has brought nothing: what is in force is r1, as before it\n", 0},
		{"what is older than a start", "undo", three, []control.Operation{op("op-2", "update", control.OperationRolledBack, 25)}, "to r2", "", 0},
		{"what was rolled back has left something", "undo", []control.Generation{gen(1, "", "started"), gen(2, "op-1", "rolled_back")}, []control.Operation{op("op-1", "update", control.OperationRolledBack, 19)}, "to r1", "", 0},
		{"what is under way is waited for", "undo", three, []control.Operation{paused}, "to r2", "", 0},
		{"all the same", "undo op-3", three, []control.Operation{op("op-4", "update", control.OperationRolledBack, 35)}, "to r2", "", 0},
	} {
		f := newFixture(t, Gracectl)
		withChanges(f)
		f.d.changes.history, f.d.changes.ops = c.history, c.ops
		f.d.changes.op = control.Operation{ID: "op-9", Kind: control.KindRollback, State: control.OperationDone, To: 1, Began: at(0), Events: []control.ProgressLine{}}
		exit := f.Run(t.Context(), strings.Fields(c.line))
		went := ""
		for _, call := range f.d.calls {
			if _, to, ok := strings.Cut(call, "Update "); ok {
				went = strings.TrimSpace(to)
			}
		}
		if text := f.out.String() + f.err.String(); went != c.to || !strings.Contains(text, c.text) || exit != c.exit {
			t.Errorf("%s: %q, exit %d\n%s", c.name, went, exit, text)
		}
	}
}

// TestUndoInDocuments names what undo passes over there as well.
func TestUndoInDocuments(t *testing.T) {
	for _, line := range []string{"undo -o json", "undo --dry-run -o json"} {
		f := newFixture(t, Gracectl)
		withChanges(f)
		f.d.changes.history = []control.Generation{{Rev: 1, Result: "started"}, {Rev: 2, Op: "op-1", Result: "failed"}, {Rev: 3, Op: "op-2", Result: "done"}}
		f.d.changes.ops = []control.Operation{}
		f.Run(t.Context(), strings.Fields(line))
		if want := `"passed_over": [
    {
      "rev": "r2",
      "op": "op-1",
      "result": "failed"
    }
  ]`; !strings.Contains(f.out.String(), want) {
			t.Errorf("%s:\n%s%s", line, f.out, f.err)
		}
	}
}

// TestNothingToUndoInDocuments: what there is not is not there either. Nobody has begun anything, at no time.
func TestNothingToUndoInDocuments(t *testing.T) {
	f := newFixture(t, Gracectl)
	withChanges(f)
	since, ended := time.Unix(1000, 0), time.Unix(2000, 0)
	f.d.changes.history = []control.Generation{{Rev: 1, Result: "started", When: since}}
	f.d.changes.ops = []control.Operation{{ID: "op-1", Kind: "update", State: control.OperationRolledBack, Steps: 1, Began: since, Ended: &ended}}
	if exit := f.Run(t.Context(), []string{"undo", "-o", "json"}); exit != 0 || !strings.Contains(f.out.String(), `"state": "nothing"`) {
		t.Errorf("exit %d\n%s%s", exit, f.out, f.err)
	}
	for _, field := range []string{"began", "who", "plan"} {
		if strings.Contains(f.out.String(), `"`+field+`"`) {
			t.Errorf("it has %s:\n%s", field, f.out)
		}
	}
}

// TestPausedEnds: what was paused goes on when somebody resumes it, and not when somebody cancels it.
func TestPausedEnds(t *testing.T) {
	for _, c := range []struct {
		then []control.OperationState
		want string
	}{
		{[]control.OperationState{control.OperationRunning, control.OperationDone}, "  goes on\nop-1  done\n"},
		{[]control.OperationState{control.OperationCancelled}, "cancel op-1\nop-1  cancelled\n"},
	} {
		f := newFixture(t, Gracectl)
		withChanges(f)
		f.d.changes.op = control.Operation{ID: "op-1", Kind: control.KindRoll, State: control.OperationPaused, Events: []control.ProgressLine{}}
		asked := 0
		f.d.waiting = func(context.Context, string) error {
			if asked++; asked > 1 { // first as it is
				f.d.changes.op.State = c.then[min(asked-2, len(c.then)-1)]
			}
			return nil
		}
		f.Run(t.Context(), []string{"attach", "op-1"})
		if !strings.Contains(f.out.String(), c.want) {
			t.Errorf("%s:\n%s%s", c.then, f.out, f.err)
		}
	}
}

// TestDaemonEnds watches operations of a daemon that ends, and after which another one comes or none. What is not known is not told as a result.
func TestDaemonEnds(t *testing.T) {
	hung := fmt.Errorf("cannot reach it: %w", client.ErrHungUp)
	reset, pipe, none := connectionError(syscall.ECONNRESET), connectionError(syscall.EPIPE), connectionError(syscall.ECONNREFUSED)
	const (
		ended = "error[E301]: the daemon at unix:///s.sock ended before it answered\n  what has become of op-1: ctl attach op-1, as soon as a daemon answers\n"
		gone  = "error[E301]: no daemon answers at unix:///s.sock (connection refused)\n  what has become of op-1: ctl attach op-1, as soon as a daemon answers\n  try: graced -c"
	)
	for _, c := range []struct {
		name  string
		looks []error // of each look after the first answer, the last one from then on
		err   string  // how it begins
		exit  int
	}{
		{"nobody follows", []error{none}, gone, exitNoDaemon},
		{"the connection is reset, and nobody follows", []error{reset, pipe, none}, gone, exitNoDaemon},
		{"nobody answers any more", []error{hung}, ended, exitNoDaemon},
		{"another one follows", []error{hung, reset, nil}, "", exitGate},
		{"it fails", []error{bad(control.Failed, "no")}, "error[E300]: no\n", exitFailed},
	} {
		for _, line := range []string{"update -y", "restart --rolling web:*", "attach op-1", "wait op-1", "undo", "rollback r1", "start solo", "scale web=3 -y", "update -y -o jsonl"} {
			if c.exit == exitGate && !strings.HasPrefix(line, "restart") { // of one that goes back
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, Gracectl)
				withRoll(f)
				if c.exit != exitGate {
					f.d.changes.op.State, f.d.changes.op.Ended = control.OperationRunning, nil
					f.d.acting.State, f.d.acting.Ended = control.OperationRunning, nil
				}
				f.d.changes.ops = []control.Operation{}
				asked, looks := 0, c.looks
				f.d.waiting = func(context.Context, string) error {
					if asked++; asked == 1 && (strings.HasPrefix(line, "attach") || strings.HasPrefix(line, "wait")) {
						return nil
					}
					err := looks[0]
					if len(looks) > 1 {
						looks = looks[1:]
					}
					return err
				}
				exit := f.Run(t.Context(), strings.Fields(line))
				text := f.err.String()
				if strings.HasSuffix(line, "jsonl") {
					if want := fmt.Sprintf(`"exit":%d}`, c.exit); !strings.Contains(f.out.String(), want) {
						t.Errorf("%s, %s: no %s in\n%s", c.name, line, want, f.out)
					}
				} else if !strings.HasPrefix(text, c.err) || (c.err == "") != (text == "") || strings.Contains(f.out.String(), "op-1  running\n") || strings.Contains(f.out.String(), "2 -> 3") {
					t.Errorf("%s, %s:\n%s%s", c.name, line, f.out, text)
				}
				if exit != c.exit {
					t.Errorf("%s, %s: exit %d", c.name, line, exit)
				}
			})
		}
	}
}

// TestSparingUpdateEnds tells under the old name how an update has ended that was not done to its end.
func TestSparingUpdateEnds(t *testing.T) {
	for state, failed := range map[control.OperationState]bool{
		control.OperationDone: false, control.OperationFailed: true, control.OperationRolledBack: true, control.OperationCancelled: true, control.OperationInterrupted: true,
	} {
		f := newFixture(t, Supervisorctl)
		f.Minimal = true
		withChanges(f)
		f.d.changes.op = control.Operation{ID: "op-1", Kind: "update", State: state, Text: "so it ended", Events: []control.ProgressLine{}}
		exit := f.Run(t.Context(), []string{"update"})
		if told := strings.HasPrefix(f.out.String(), "ERROR: so it ended\n"); told != failed || (exit == 0) == failed {
			t.Errorf("%s: exit %d\n%s", state, exit, f.out)
		}
	}
}

// TestSparingUpdateTellsWhatStays names under the old name the groups of which something has stayed, and no others.
func TestSparingUpdateTellsWhatStays(t *testing.T) {
	end := func(name, action string) control.ProgressLine {
		return control.ProgressLine{Type: "end", Process: name, Action: action}
	}
	undo := func(name string) control.ProgressLine {
		return control.ProgressLine{Type: "end", Process: name, Action: "replace", Undo: true}
	}
	fails := func(name, action string, skipped bool) control.ProgressLine {
		return control.ProgressLine{Type: "end", Process: name, Action: action, Error: "it ended", Skipped: skipped}
	}
	two := control.PlanGroup{Name: "q", Action: "change", Replace: []string{"q:q_0", "q:q_1"}}
	const both = "q: stopped\nq: updated process group\n"
	for _, c := range []struct {
		name   string
		group  control.PlanGroup
		state  control.OperationState
		events []control.ProgressLine
		want   string // behind the error
	}{
		{"done", two, control.OperationDone, []control.ProgressLine{end("q:q_0", "replace"), end("q:q_1", "replace")}, both},
		{"the first fails and goes back", two, control.OperationRolledBack, []control.ProgressLine{fails("q:q_0", "replace", false), fails("q:q_1", "replace", true), undo("q:q_0")}, ""},
		{"all go back", two, control.OperationRolledBack, []control.ProgressLine{end("q:q_0", "replace"), fails("q:q_1", "replace", false), undo("q:q_1"), undo("q:q_0")}, ""},
		{"an extra one fails", two, control.OperationRolledBack, []control.ProgressLine{fails("q:q_2", "start", false), fails("q:q_0", "replace", true), end("q:q_2", "stop")}, ""},
		{"one stays", two, control.OperationFailed, []control.ProgressLine{end("q:q_0", "replace"), fails("q:q_1", "replace", false)}, both},
		{"it pauses at the first", two, control.OperationPaused, []control.ProgressLine{fails("q:q_0", "replace", false)}, ""},
		{"it pauses at the second", two, control.OperationPaused, []control.ProgressLine{end("q:q_0", "replace"), fails("q:q_1", "replace", false)}, both},
		{"cancelled before its turn", two, control.OperationCancelled, nil, ""},
		{"a new group whose process fails", control.PlanGroup{Name: "q", Action: "add", Start: []string{"q:q_0"}}, control.OperationFailed, []control.ProgressLine{fails("q:q_0", "start", false)}, "q: added process group\n"},
		{"one that cannot be stopped", control.PlanGroup{Name: "q", Action: "remove", Stop: []string{"q:q_0"}}, control.OperationFailed, []control.ProgressLine{fails("q:q_0", "stop", false)}, ""},
		{"another name", control.PlanGroup{Name: "q", Action: "change", Rename: []control.Renaming{{From: "q:q", To: "q:q_0"}}}, control.OperationFailed, []control.ProgressLine{end("q:q_0", "rename")}, "q: updated process group\n"},
	} {
		f := newFixture(t, Supervisorctl)
		f.Minimal = true
		withChanges(f)
		f.d.changes.plan.Groups = []control.PlanGroup{c.group}
		f.d.changes.op = control.Operation{ID: "op-1", Kind: "update", State: c.state, Text: "so it ended", Failed: "q:q_0", Events: c.events}
		f.Run(t.Context(), []string{"update"})
		if got := f.out.String(); !strings.HasSuffix("\n"+got, "\n"+c.want) || c.want == "" && strings.Count(got, "\n") != 1 {
			t.Errorf("%s:\n%s", c.name, got)
		}
	}
}
