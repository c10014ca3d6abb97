package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
)

// TestOverrideOf reads what somebody asks of a roll.
func TestOverrideOf(t *testing.T) {
	none, few, short, long := 0, -1, 0.5, 1e9
	for want, req := range map[string]*control.RollRequest{
		"nothing":                      nil,
		"nothing ":                     {},
		"25% 0 500ms pause":            {MaxUnavailable: "25%", Canary: &none, Steady: &short, OnFailure: "pause"},
		"!max_unavailable":             {MaxUnavailable: "some"},
		"!canary":                      {Canary: &few},
		"!steady_s":                    {Steady: &long},
		"!on_failure \"panic\": write": {OnFailure: "panic"},
	} {
		o, err := overrideOf(req)
		switch problem, bad := strings.CutPrefix(want, "!"); {
		case bad:
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: %v", want, err)
			}
		case err != nil:
			t.Errorf("%s: %v", want, err)
		case strings.HasPrefix(want, "nothing"):
			if o != (plan.Override{}) {
				t.Errorf("%+v of nothing", o)
			}
		default:
			if o.MaxUnavailable.String() != "25%" || *o.Canary != 0 || *o.Steady != 500*time.Millisecond || o.OnFailure.String() != "pause" {
				t.Errorf("%+v", o)
			}
		}
	}
}

// TestConclusionOfRolls says how a roll ended.
func TestConclusionOfRolls(t *testing.T) {
	bad, left := &core.Fault{Kind: core.Failed, Text: "no"}, &core.Fault{Kind: core.Cancelled, Text: "left"}
	step := func(name string, f *core.Fault, undo bool) core.StepResult {
		return core.StepResult{Group: "web", Name: name, Action: plan.ReplaceProcess, Fault: f, Undo: undo}
	}
	for _, c := range []struct {
		steps []core.StepResult
		want  string
	}{
		{[]core.StepResult{step("a", nil, false), step("b", nil, false)}, "done "},
		{[]core.StepResult{step("a", nil, false), step("b", bad, false), step("a", nil, true), step("b", nil, true), step("c", left, false)}, "rolled_back web:b failed; 2 went back, 1 were left as they were"},
		{[]core.StepResult{step("a", left, false), step("b", bad, false), step("a", nil, true), step("b", nil, true)}, "rolled_back web:b failed; 2 went back"}, // a was late
		{[]core.StepResult{step("a", nil, false), step("a", nil, true), step("b", left, false)}, "rolled_back one that was good before failed; 1 went back, 1 were left as they were"},
		{[]core.StepResult{step("a", nil, false), step("b", bad, false), step("a", bad, true), step("b", nil, true)}, "failed web:b failed; 1 went back, 1 could not"},
		{[]core.StepResult{step("a", bad, false), step("b", left, false)}, "failed 1 of 2 processes failed, 1 were left as they were"},
	} {
		state, text := conclusion(control.Operation{Kind: "update"}, core.Reply{Updated: c.steps}, nil)
		if got := string(state) + " " + text; got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestRollingRestartRequests refuses what cannot be asked, and has nothing to do where nothing runs.
func TestRollingRestartRequests(t *testing.T) {
	inWorld(t, program("web", 2, "")+program("off", 1, "autostart=false"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		names := []string{"web:*"}
		for want, req := range map[string]control.ActRequest{
			"rolling":               {Verb: "stop", Names: names, Rolling: true},
			"now:":                  {Verb: "restart", Names: names, Rolling: true, Now: true},
			"at_once":               {Verb: "restart", Names: names, Rolling: true, AtOnce: 2},
			"roll: only":            {Verb: "restart", Names: names, Roll: &control.RollRequest{OnFailure: "pause"}},
			"nothing to go back to": {Verb: "restart", Names: names, Rolling: true, Roll: &control.RollRequest{OnFailure: "rollback"}},
			"no names":              {Verb: "restart", Rolling: true},
			"nobody":                {Verb: "restart", Rolling: true, Names: []string{"nobody"}},
		} {
			if _, err := w.d.Act(ctx, req); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
		if op, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"off:*"}, Rolling: true}); err != nil || op.State != control.OperationNothing {
			t.Errorf("%+v, %v", op, err)
		}
		was := w.pids(ctx)
		op, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"all"}, Rolling: true, Who: "anna"})
		if err != nil || op.Kind != control.KindRoll || op.Steps != 2 {
			t.Fatalf("%+v, %v", op, err)
		}
		if got := w.settle(ctx, op); !strings.HasSuffix(got, "done ") {
			t.Error(got)
		}
		if now := w.pids(ctx); now["web:web_0"] == was["web:web_0"] || now["web:web_1"] == was["web:web_1"] {
			t.Errorf("pids %v became %v", was, now)
		}
		wantFault(t, w.d.PauseOperation(ctx, op.ID), control.BadName, op.ID+" is over")
		wantFault(t, w.d.ResumeOperation(ctx, "op-99"), control.BadName, "op-99")
	})
}

// TestPausedOperation keeps what waits behind another operation from being paused, and one that is from going on.
func TestPausedOperation(t *testing.T) {
	inWorld(t, program("web", 3, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		was := w.pids(ctx)
		w.write(program("web", 3, "environment=A=2"))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil || w.d.PauseOperation(ctx, op.ID) != nil {
			t.Fatal(op, err)
		}
		second, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:web_2"}, Rolling: true})
		if err != nil || second.Behind != op.ID {
			t.Fatalf("%+v, %v", second, err)
		}
		wantFault(t, w.d.PauseOperation(ctx, second.ID), control.Failed, second.ID+" waits for "+op.ID+": it has not begun")
		pass(time.Minute)
		about, err := w.d.Operation(ctx, op.ID, -1)
		if now := w.pids(ctx); err != nil || about.State != control.OperationPaused || about.Failed != "" || about.Done != 1 || now["web:web_1"] != was["web:web_1"] {
			t.Errorf("%+v, %v", about, err)
		}
		if err := w.d.ResumeOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		if got := w.settle(ctx, op); !strings.HasSuffix(got, "done ") {
			t.Error(got)
		}
		if got := w.settle(ctx, second); !strings.HasSuffix(got, "done ") {
			t.Error(got)
		}
	})
}

// TestStoppedRoll: what somebody stops while it is being rolled is no failure of the release. The roll ends where it is, says who has ended it, and other groups of the
// same update go on.
func TestStoppedRoll(t *testing.T) {
	roll := "startsecs=0\nroll_steady=5s\n"
	for _, c := range []struct {
		name, options, stop string
		text                string // of the end, without the rest
		extra               string // that was there meanwhile
	}{
		{"the one on trial", roll, "web:web_1", "op-2 (stop by anna) has stopped web:web_1; 1 of 5 were left as they were", ""},
		{"the whole group", roll, "web:*", "op-2 (stop by anna) has stopped web:web_2", ""},
		{"the whole group, with an extra one", roll + "roll_surge=1\nroll_max_unavailable=0\n", "web:*", "op-2 (stop by anna) has stopped web:web_2", "web:web_3"},
		{"the extra one, which works", roll + "roll_surge=1\nroll_max_unavailable=0\n", "web:web_3", "2 of 5 processes were left as they were", "web:web_3"},
	} {
		inWorld(t, program("web", 3, c.options)+program("db", 2, roll), func(ctx context.Context, w *world) {
			pass(2 * time.Second)
			was := w.pids(ctx)
			w.write(program("web", 3, "environment=A=2\n"+c.options) + program("db", 2, "environment=A=2\n"+roll))
			op, err := w.d.Update(ctx, control.UpdateRequest{Who: "bert"})
			if err != nil {
				t.Fatal(err)
			}
			pass(8 * time.Second)
			if c.extra != "" && w.pids(ctx)[c.extra] == 0 {
				t.Errorf("%s: no %s among %v", c.name, c.extra, w.pids(ctx))
			}
			stopped := w.act(ctx, "stop", c.stop)
			if !strings.HasSuffix(stopped, "done ") {
				t.Errorf("%s: the stop:\n%s", c.name, stopped)
			}
			got := w.settle(ctx, op)
			about, err := w.d.Operation(ctx, op.ID, -1)
			if err != nil || about.State != control.OperationCancelled || !strings.HasPrefix(about.Text, c.text) {
				t.Errorf("%s: %s %q, %v\n%s", c.name, about.State, about.Text, err, got)
			}
			now := w.pids(ctx)
			if now["db:db_0"] == was["db:db_0"] || now["db:db_1"] == was["db:db_1"] || now[c.extra] != 0 || strings.Contains(got, "<") {
				t.Errorf("%s: pids %v became %v\n%s", c.name, was, now, got)
			}
			history, err := w.d.History(ctx)
			if err != nil || history[len(history)-1].Result != string(control.OperationCancelled) {
				t.Errorf("%s: %+v, %v", c.name, history, err)
			}
		})
	}
}
