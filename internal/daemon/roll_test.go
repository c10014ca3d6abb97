package daemon

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
		"!max_unavailable ":            {MaxUnavailable: "-1"},
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

// TestNoneUnavailable lets no process be out of work where another one takes its place, whatever the options say, and refuses it elsewhere.
func TestNoneUnavailable(t *testing.T) {
	files := func(environment string) string {
		return program("web", 2, "roll_surge=1\n"+environment) + program("db", 2, environment)
	}
	inWorld(t, files("")+program("off", 1, "autostart=false"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(files("environment=A=2") + program("off", 1, "autostart=false\nenvironment=A=2"))
		none := &control.RollRequest{MaxUnavailable: "0"}
		const help = "nothing of group db could be replaced: write 1 or more, or add roll_surge=1"
		plan := func(req control.PlanRequest) error { _, err := w.d.Plan(ctx, req); return err }
		update := func(req control.UpdateRequest) error { _, err := w.d.Update(ctx, req); return err }
		restart := func(name string) error {
			_, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{name}, Rolling: true, Roll: none})
			return err
		}
		refuse := func(what string, err error, want string) {
			t.Helper()
			if faultOf(err) != control.IncorrectParameters || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		refuse("a plan", plan(control.PlanRequest{Roll: none}), help)
		refuse("a share", plan(control.PlanRequest{Roll: &control.RollRequest{MaxUnavailable: "0%"}}), help)
		refuse("an update", update(control.UpdateRequest{Groups: []string{"db"}, Roll: none}), help)
		refuse("a restart", restart("db:*"), help)
		refuse("the plan of a restart", plan(control.PlanRequest{Restart: []string{"all"}, Roll: none}), help)

		p, err := w.d.Plan(ctx, control.PlanRequest{Groups: []string{"web", "off"}, Roll: none})
		if err != nil || len(p.Groups) != 2 || p.Groups[1].Strategy == nil || p.Groups[1].Strategy.MaxUnavailable != 0 || p.Groups[1].Strategy.Surge != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		want := "+start web:web_2\n=start web:web_2\n+replace web:web_0\n=replace web:web_0\n+replace web:web_1\n=replace web:web_1\n+stop web:web_2\n=stop web:web_2\ndone "
		if got := w.update(ctx, control.UpdateRequest{Groups: []string{"web"}, Roll: none}); got != want {
			t.Errorf("%s", got)
		}
		if err := restart("web:*"); err != nil {
			t.Error(err)
		}
		pass(time.Minute)
		refuse("a way back", update(control.UpdateRequest{To: 1, Roll: none}), "nothing of group web could be replaced: write 1 or more, or leave it out")
	})
}

// TestPausedOperation has others do things to the processes of a paused update, and refuses what would change its group.
func TestPausedOperation(t *testing.T) {
	inWorld(t, program("web", 4, "")+program("db", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		was := w.pids(ctx)
		w.write(program("web", 4, "environment=A=2") + program("db", 1, ""))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil || op.State != control.OperationRunning {
			t.Fatal(op, err)
		}
		second, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:web_2"}, Rolling: true})
		if err != nil || second.Behind != op.ID || second.BehindState != control.OperationRunning {
			t.Fatalf("%+v, %v", second, err)
		}
		third, err := w.d.Act(ctx, control.ActRequest{Verb: "stop", Names: []string{"web:web_1"}})
		if err != nil || third.Behind != op.ID {
			t.Fatalf("%+v, %v", third, err)
		}
		wantFault(t, w.d.PauseOperation(ctx, second.ID), control.Failed, second.ID+" waits for "+op.ID+": it has not begun")
		if err := w.d.PauseOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		// Those who wait learn it: what cannot go on does not wait for it, what can does.
		stands := op.ID + " is paused: gracectl resume " + op.ID + " lets it go on, gracectl cancel " + op.ID + " ends it"
		if got := w.settle(ctx, second); got != "failed "+stands {
			t.Errorf("a rolling restart that has waited: %s", got)
		}
		if got := w.settle(ctx, third); got != "+stop web:web_1\n=stop web:web_1\ndone " {
			t.Errorf("a stop that has waited: %s", got)
		}
		pass(time.Minute)
		about, err := w.d.Operation(ctx, op.ID, -1)
		if now := w.pids(ctx); err != nil || about.State != control.OperationPaused || about.Failed != "" || about.Done != 1 || now["web:web_2"] != was["web:web_2"] {
			t.Errorf("%+v, %v", about, err)
		}

		for what, f := range map[string]func() error{
			"update": func() error { _, err := w.d.Update(ctx, control.UpdateRequest{}); return err },
			"restart": func() error {
				_, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:*"}, Rolling: true})
				return err
			},
			"remove process": func() error { return w.d.RemoveProcess(ctx, "web", "web_1") },
			"scale": func() error {
				_, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: "3"}}})
				return err
			},
			"scale --dry-run": func() error {
				_, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: "3"}}, DryRun: true})
				return err
			},
		} {
			began := time.Now()
			if err := f(); err == nil || err.Error() != "FAILED: "+stands || time.Since(began) > 0 {
				t.Errorf("%s: %v after %v", what, err, time.Since(began))
			}
			w.write(program("web", 4, "environment=A=3") + program("db", 1, "environment=A=3"))
		}
		if p, err := w.d.Plan(ctx, control.PlanRequest{}); err != nil || len(p.Notes) != 1 || p.Notes[0].Message != stands {
			t.Errorf("a plan: %+v, %v", p.Notes, err)
		}
		if p, err := w.d.Plan(ctx, control.PlanRequest{Groups: []string{"db"}}); err != nil || len(p.Notes) != 0 {
			t.Errorf("a plan for another group: %+v, %v", p.Notes, err)
		}
		if got := w.update(ctx, control.UpdateRequest{Groups: []string{"db"}}); !strings.HasSuffix(got, "done ") {
			t.Errorf("an update of another group: %s", got)
		}

		began := time.Now()
		if got := w.act(ctx, "restart", "web:web_2"); !strings.HasSuffix(got, "=start web:web_2\ndone ") {
			t.Errorf("restart: %s", got)
		}
		if _, err := w.d.Stop(ctx, control.Target{Name: "web:web_3"}, true); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		again := w.pids(ctx)
		if err := w.d.ResumeOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		if got := w.settle(ctx, op); !strings.HasSuffix(got, "done ") {
			t.Error(got)
		}
		now := w.pids(ctx)
		if now["web:web_2"] == again["web:web_2"] || now["web:web_1"] != 0 || now["web:web_3"] != 0 {
			t.Errorf("what was restarted is replaced, what was stopped stays so: %v, before %v", now, again)
		}
	})
}

// TestBids has commands that are no operations wait for an update. They can be seen and cancelled, and are withdrawn with their clients.
func TestBids(t *testing.T) {
	inWorld(t, program("web", 4, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 4, "environment=A=2"))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil {
			t.Fatal(op, err)
		}
		anna := control.WithCaller(ctx, func() string { return "anna" })
		stop := func(ctx context.Context, name string) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := w.d.Stop(ctx, control.Target{Name: name}, true)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		list := func() (out []string) {
			ops, err := w.d.Operations(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range ops[1:] {
				out = append(out, strings.TrimRight(strings.Join([]string{o.ID, o.Kind, string(o.State), o.Behind, string(o.BehindState), o.Text}, " "), " "))
			}
			return out
		}
		gone, leave := context.WithCancel(ctx)
		cancelled, withdrawn, second, last := stop(anna, "web:web_3"), stop(gone, "web:web_2"), stop(ctx, "web:web_1"), stop(ctx, "web:*")
		leave()
		if err := <-withdrawn; err == nil {
			t.Error("the one whose client has gone is answered")
		}
		if err := w.d.CancelOperation(ctx, "op-2"); err != nil {
			t.Error(err)
		}
		wantFault(t, <-cancelled, control.Failed, "cancelled before its turn")
		want := []string{"op-2 stop cancelled", "op-3 stop cancelled   its client has gone", "op-4 stop waiting op-1 running", "op-5 stop waiting op-1 running"}
		if got := list(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if ops, _ := w.d.Operations(ctx); ops[1].Who != "anna" {
			t.Errorf("by %q", ops[1].Who)
		}
		if err := w.d.PauseOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		if err := <-second; err != nil {
			t.Errorf("what was waited for is paused, and in the way still: %v", err)
		}
		if got := list(); !slices.Equal(got[2:], []string{"op-4 stop done", "op-5 stop waiting op-1 paused"}) {
			t.Errorf("op-5 waits for what is being replaced: %q", got)
		}
		if err := <-last; err != nil {
			t.Error(err)
		}
		if got := list(); got[3] != "op-5 stop done" {
			t.Errorf("%q", got)
		}
		if err := w.d.ResumeOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		w.settle(ctx, op)
		for name, pid := range w.pids(ctx) {
			if pid != 0 {
				t.Errorf("%s was stopped and runs", name)
			}
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

// TestActOnExtra: to who starts or stops the extra process of a roll it is a process like others: a start that was not needed has not failed.
func TestActOnExtra(t *testing.T) {
	options := "startsecs=0\nroll_steady=5s\nroll_surge=1\nroll_max_unavailable=0\n"
	inWorld(t, program("web", 3, options), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 3, "environment=A=2\n"+options))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		pass(8 * time.Second)
		if err := w.d.PauseOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		for _, c := range []struct{ verb, want string }{
			{"start", ".start web:web_3\nnothing "}, {"stop", "+stop web:web_3\n=stop web:web_3\ndone "}, {"stop", ".stop web:web_3\nnothing "},
			{"restart", ".stop web:web_3\n+start web:web_3\n=start web:web_3\ndone "},
		} {
			if got := w.act(ctx, c.verb, "web:web_3"); got != c.want {
				t.Errorf("%s: %q, want %q", c.verb, got, c.want)
			}
			list, err := w.d.Operations(ctx)
			if last := list[len(list)-1]; err != nil || last.Kind == c.verb && last.Done != last.Steps {
				t.Errorf("%s: %d of %d steps are done: %v", c.verb, last.Done, last.Steps, err)
			}
		}
	})
}
