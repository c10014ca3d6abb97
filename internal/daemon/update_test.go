package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
)

// settle waits until an operation is over and renders what it did: "+" began, "=" is over, "!" failed, "." was skipped.
func (w *world) settle(ctx context.Context, op control.Operation) string {
	w.t.Helper()
	var b strings.Builder
	for seen := 0; ; seen = op.Count {
		for _, e := range op.Events {
			sign := map[string]string{"begin": "+", "end": "="}[e.Type]
			switch {
			case e.Skipped:
				sign = "."
			case e.Error != "":
				sign = "!"
			}
			if e.From != "" {
				e.Process = e.From + ">" + e.Process
			}
			fmt.Fprintf(&b, "%s%s %s\n", sign, e.Action, e.Process)
		}
		if op.State.Over() {
			break
		}
		var err error
		if op, err = w.d.Operation(ctx, op.ID, max(seen, op.Count)); err != nil {
			w.t.Fatal(err)
		}
	}
	return b.String() + string(op.State) + " " + op.Text
}

func (w *world) update(ctx context.Context, req control.UpdateRequest) string {
	w.t.Helper()
	op, err := w.d.Update(ctx, req)
	if err != nil {
		return err.Error()
	}
	return w.settle(ctx, op)
}

// TestUpdate replaces one at a time, applies what can be applied, renames, adds, removes, and leaves the rest alone.
func TestUpdate(t *testing.T) {
	before := program("web", 3, "environment=A=1") + program("db", 1, "") + program("old", 1, "") + program("idle", 1, "autostart=false") +
		"[program:one]\ncommand=/bin/one\n"
	after := program("web", 3, "environment=A=2") + program("db", 1, "stopwaitsecs=20\npriority=5") + program("new", 1, "") +
		program("idle", 1, "autostart=false\ndirectory=/tmp") + program("one", 2, "")
	inWorld(t, before, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		was := w.pids(ctx)
		w.write(after)
		p, err := w.d.Plan(ctx, control.PlanRequest{})
		if err != nil || p.Totals != (control.PlanTotals{Keep: 2, Replace: 3, Start: 2, Stop: 1, Live: 4}) {
			t.Errorf("plan %+v, %v", p.Totals, err)
		}
		if now := w.pids(ctx); !maps.Equal(now, was) {
			t.Errorf("a plan changed %v to %v", was, now)
		}
		began := time.Now()
		got := w.update(ctx, control.UpdateRequest{Plan: p.ID})
		want := "=live db:db_0\n=rename one:one>one:one_0\n" + // at once
			"+start new:new_0\n+start one:one_1\n=live idle:idle_0\n+replace web:web_0\n+stop old:old_0\n" +
			"=stop old:old_0\n" + // 0.2 s
			"=start new:new_0\n=start one:one_1\n" + // 1 s
			"=replace web:web_0\n+replace web:web_1\n=replace web:web_1\n+replace web:web_2\n=replace web:web_2\ndone "
		if sorted(got) != sorted(want) {
			t.Errorf("update:\n%s\nwant\n%s", got, want)
		}
		if i := strings.Index(got, "=replace web:web_0\n+replace web:web_1\n=replace web:web_1\n+replace web:web_2\n=replace web:web_2"); i < 0 {
			t.Errorf("web was not replaced one at a time:\n%s", got)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("it took %v", took) // three times 0.2 s to stop and 1 s to start
		}
		now := w.pids(ctx)
		if now["db:db_0"] != was["db:db_0"] || now["one:one_0"] != was["one:one"] {
			t.Errorf("pids %v became %v", was, now)
		}
		for _, name := range []string{"web:web_0", "web:web_1", "web:web_2"} {
			if now[name] == was[name] || now[name] == 0 {
				t.Errorf("%s has pid %d, had %d", name, now[name], was[name])
			}
		}
		if got := w.states(ctx); !strings.Contains(got, "idle:idle_0 STOPPED") || strings.Contains(got, "old") {
			t.Errorf("after it:\n%s", got)
		}

		// A second time there is nothing to do, and no trace of it.
		spawns := w.host.spawns
		if got := w.update(ctx, control.UpdateRequest{}); got != "nothing " || w.host.spawns != spawns || !maps.Equal(w.pids(ctx), now) {
			t.Errorf("again: %s, %d spawns", got, w.host.spawns-spawns)
		}
		if op, err := w.d.Update(ctx, control.UpdateRequest{}); err != nil || op.State != control.OperationNothing || op.ID != "" {
			t.Errorf("again: %+v, %v", op, err) // the next operation has that number
		}
		if list, err := w.d.Operations(ctx); err != nil || len(list) != 1 || list[0].State != control.OperationDone || list[0].Done != list[0].Steps {
			t.Errorf("operations %+v, %v", list, err)
		}
		if r, err := w.d.Reread(ctx); err != nil || fmt.Sprint(r) != "{[] [] []}" {
			t.Errorf("reread after it: %v, %v", r, err)
		}
	})
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestUpdateHolds lets commands wait for the process that they are about while it is being replaced, and no others.
func TestUpdateHolds(t *testing.T) {
	inWorld(t, program("web", 3, "")+program("db", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		was := w.pids(ctx)
		w.host.set(w.host.deaf, "web_1") // and its end comes with SIGKILL
		w.write(program("web", 3, "startsecs=0\nstopwaitsecs=3\nenvironment=A=2") + program("db", 1, "environment=A=2"))
		done := make(chan string, 1)
		go func() { done <- w.update(ctx, control.UpdateRequest{}) }()
		pass(2 * time.Second)

		// Whoever has to do with a process that is being replaced waits; others don't.
		if _, err := w.d.Stop(ctx, control.Target{Name: "db:db_0"}, true); err != nil {
			t.Error(err)
		}
		stopped := make(chan error, 1)
		go func() {
			_, err := w.d.Stop(ctx, control.Target{Name: "web:web_1"}, true)
			stopped <- err
		}()
		pass(time.Second)
		select {
		case err := <-stopped:
			t.Errorf("a stop did not wait for the replacement: %v", err)
		default:
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		got := <-done
		if !strings.Contains(got, "=replace web:web_2\n") || !strings.HasSuffix(got, "done ") {
			t.Errorf("update:\n%s", got)
		}
		if now := w.pids(ctx); now["web:web_0"] == was["web:web_0"] || now["web:web_1"] != 0 {
			t.Errorf("pids %v became %v", was, now)
		}
	})
}

// TestHoldDuringUpdate holds a process while others are replaced: one whose turn has not come is left out of an update, also of one that is paused, and not of
// a rolling restart, which gives it no other settings.
func TestHoldDuringUpdate(t *testing.T) {
	inWorld(t, program("web", 3, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		hold := func(op control.Operation, err error, name string) map[string]int {
			t.Helper()
			if err != nil || op.State != control.OperationRunning {
				t.Fatalf("%+v, %v", op, err)
			}
			was := w.pids(ctx)
			pass(100 * time.Millisecond)
			if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{name}, Mark: control.MarkHold}); err != nil {
				t.Fatal(err)
			}
			return was
		}
		w.write(program("web", 3, "environment=A=2"))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		was := hold(op, err, "web:web_2")
		want := "+replace web:web_0\n.replace web:web_2\n=replace web:web_0\n+replace web:web_1\n=replace web:web_1\ndone "
		if got := w.settle(ctx, op); got != want {
			t.Errorf("update:\n%s\nwant:\n%s", got, want)
		}
		if now := w.pids(ctx); now["web:web_1"] == was["web:web_1"] || now["web:web_2"] != was["web:web_2"] {
			t.Errorf("pids %v became %v", was, now)
		}
		if got := w.update(ctx, control.UpdateRequest{}); got != "nothing " {
			t.Errorf("another update: %s", got)
		}

		op, err = w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:*"}, Rolling: true})
		was = hold(op, err, "web:web_1")
		if got := w.settle(ctx, op); !strings.HasSuffix(got, "done ") {
			t.Error(got)
		}
		if now := w.pids(ctx); now["web:web_1"] == was["web:web_1"] || now["web:web_2"] == was["web:web_2"] {
			t.Errorf("pids %v became %v in a restart", was, now)
		}

		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:*"}, Mark: control.MarkEnable}); err != nil {
			t.Fatal(err)
		}
		w.write(program("web", 3, "environment=A=3"))
		op, err = w.d.Update(ctx, control.UpdateRequest{})
		if err := w.d.PauseOperation(ctx, op.ID); err != nil {
			t.Fatal(err)
		}
		op.State = control.OperationRunning
		hold(op, err, "web:*")
		pass(2 * time.Second)
		if op, err := w.d.Operation(ctx, op.ID, -1); err != nil || op.State != control.OperationDone {
			t.Errorf("nothing is left of what was paused: %+v, %v", op, err)
		}
	})
}

// TestUpdateQueues lets a second update wait for the first where both have to do with one group, and refuses a plan whose base has moved.
func TestUpdateQueues(t *testing.T) {
	inWorld(t, program("web", 2, "")+program("db", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 2, "environment=A=2") + program("db", 1, ""))
		p, err := w.d.Plan(ctx, control.PlanRequest{Groups: []string{"web"}})
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.d.Update(ctx, control.UpdateRequest{Who: "anna"})
		if err != nil || first.State != control.OperationRunning || first.Who != "anna" {
			t.Fatalf("%+v, %v", first, err)
		}
		w.write(program("web", 2, "environment=A=3") + program("db", 1, "environment=A=1"))
		second, err := w.d.Update(ctx, control.UpdateRequest{Groups: []string{"web"}})
		if err != nil || second.State != control.OperationWaiting || second.Behind != first.ID {
			t.Fatalf("%+v, %v", second, err)
		}
		third, err := w.d.Update(ctx, control.UpdateRequest{Groups: []string{"web"}})
		if err != nil || w.d.CancelOperation(ctx, third.ID) != nil {
			t.Fatalf("%+v, %v", third, err)
		}
		planned, err := w.d.Update(ctx, control.UpdateRequest{Plan: p.ID})
		if err != nil || planned.State != control.OperationWaiting {
			t.Fatalf("%+v, %v", planned, err)
		}
		other := w.update(ctx, control.UpdateRequest{Groups: []string{"db"}})
		if other != "+replace db:db_0\n=replace db:db_0\ndone " {
			t.Errorf("a group without an operation: %s", other)
		}
		if got := w.settle(ctx, third); got != "cancelled " {
			t.Errorf("cancelled: %s", got)
		}
		if got := w.settle(ctx, second); got != "+replace web:web_0\n=replace web:web_0\n+replace web:web_1\n=replace web:web_1\ndone " {
			t.Errorf("second: %s", got)
		}
		if got, want := w.settle(ctx, planned), "stale what plan "+p.ID+" stands on has changed"; got != want {
			t.Errorf("planned: %s, want %s", got, want)
		}
		about, _ := w.d.Operation(ctx, first.ID, -1)
		if about.State != control.OperationDone || about.Ended == nil {
			t.Errorf("first: %+v", about)
		}
		_, err = w.d.Update(ctx, control.UpdateRequest{Plan: p.ID})
		wantFault(t, err, control.StalePlan, "what plan "+p.ID+" stands on has changed")
		_, err = w.d.Update(ctx, control.UpdateRequest{Plan: "0000"})
		wantFault(t, err, control.StalePlan, "plan 0000 is not known")
		_, err = w.d.Update(ctx, control.UpdateRequest{Groups: []string{"nope"}})
		wantFault(t, err, control.BadName, "nope")
		w.write("[program:web]\n")
		if _, err = w.d.Update(ctx, control.UpdateRequest{}); err == nil || !strings.HasPrefix(err.Error(), "CANT_REREAD: ") {
			t.Errorf("broken: %v", err)
		}
		_, err = w.d.Operation(ctx, "op-99", 0)
		wantFault(t, err, control.BadName, "op-99")
		wantFault(t, w.d.CancelOperation(ctx, second.ID), control.BadName, second.ID+" is over")
	})
}

// TestUpdateCancelled leaves those as they are whose turn has not come.
func TestUpdateCancelled(t *testing.T) {
	inWorld(t, program("web", 3, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		was := w.pids(ctx)
		w.write(program("web", 3, "environment=A=2"))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil || w.d.CancelOperation(ctx, op.ID) != nil {
			t.Fatal(op, err)
		}
		if got := w.settle(ctx, op); got != "+replace web:web_0\n.replace web:web_1\n.replace web:web_2\n=replace web:web_0\ncancelled 2 of 3 processes were left as they were" {
			t.Errorf("%s", got)
		}
		now := w.pids(ctx)
		if now["web:web_0"] == was["web:web_0"] || now["web:web_1"] != was["web:web_1"] || now["web:web_2"] != was["web:web_2"] {
			t.Errorf("pids %v became %v", was, now)
		}
		if p, err := w.d.Plan(ctx, control.PlanRequest{}); err != nil || p.Totals.Replace != 2 || p.Totals.Keep != 1 {
			t.Errorf("what is left: %+v, %v", p.Totals, err)
		}
	})
}

// TestShutdownDuringUpdate ends an update with the daemon.
func TestShutdownDuringUpdate(t *testing.T) {
	inWorld(t, program("web", 3, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 3, "environment=A=2"))
		if _, err := w.d.Update(ctx, control.UpdateRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.d.Update(ctx, control.UpdateRequest{}); err != nil { // waits for the first
			t.Fatal(err)
		}
		pass(500 * time.Millisecond)
		if err := w.d.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// TestChangesRefused: while everything is being stopped no operation begins, whether there is something to do for it or not, and nothing is kept of it.
func TestChangesRefused(t *testing.T) {
	inWorld(t, program("web", 2, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if list, err := w.d.History(ctx); err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		w.host.set(w.host.deaf, "web_0") // and its end takes a while
		if err := w.d.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		for what, f := range map[string]func() error{
			"update": func() error { _, err := w.d.Update(ctx, control.UpdateRequest{}); return err },
			"undo":   func() error { _, err := w.d.Update(ctx, control.UpdateRequest{To: 1}); return err },
			"restart": func() error {
				_, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:*"}, Rolling: true})
				return err
			},
			"scale": func() error {
				_, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: "3"}}})
				return err
			},
		} {
			if err := f(); faultOf(err) != control.ShutdownState {
				t.Errorf("%s: %v", what, err)
			}
		}
		if s, err := w.d.Standing(ctx); err != nil || len(s.Overrides) > 0 || len(w.d.counts.get()) > 0 {
			t.Errorf("%+v of %+v is kept, %v", w.d.counts.get(), s.Overrides, err)
		}
		if list, err := w.d.Operations(ctx); err != nil || len(list) > 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestScale changes numbers, keeps them over an update, and gives them back to the file.
func TestScale(t *testing.T) {
	conf := program("web", 2, "") + program("db", 1, "")
	inWorld(t, conf, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		was := w.pids(ctx)
		scale := func(to string, req control.ScaleRequest) string {
			t.Helper()
			req.Targets = []control.ScaleTarget{{Program: "web", To: to}}
			s, err := w.d.Scale(ctx, req)
			if err != nil {
				return err.Error()
			}
			if s.Operation == nil {
				return fmt.Sprint("dry ", s.Programs[0].Start, s.Programs[0].Stop, s.Programs[0].Leave)
			}
			return w.settle(ctx, *s.Operation)
		}
		members := func() string {
			t.Helper()
			return strings.Join(slices.Sorted(maps.Keys(w.pids(ctx))), " ")
		}
		for _, c := range []struct {
			to      string
			req     control.ScaleRequest
			want    string
			members string
		}{
			{"4", control.ScaleRequest{DryRun: true}, "dry [web:web_2 web:web_3] [] []", "db:db_0 web:web_0 web:web_1"},
			{"4", control.ScaleRequest{}, "+start web:web_2\n+start web:web_3\n=start web:web_2\n=start web:web_3\ndone ", "db:db_0 web:web_0 web:web_1 web:web_2 web:web_3"},
			{"-1", control.ScaleRequest{Victim: "newest"}, "+stop web:web_3\n=stop web:web_3\ndone ", "db:db_0 web:web_0 web:web_1 web:web_2"},
			{"3", control.ScaleRequest{}, "nothing ", "db:db_0 web:web_0 web:web_1 web:web_2"},
			{"-5", control.ScaleRequest{}, "INCORRECT_PARAMETERS: web=-5: write a number of processes up to 10000, +N, -N or file", "db:db_0 web:web_0 web:web_1 web:web_2"},
			{"2", control.ScaleRequest{Victim: "who"}, `INCORRECT_PARAMETERS: victim "who" is none of highest, oldest, newest`, "db:db_0 web:web_0 web:web_1 web:web_2"},
		} {
			if got := scale(c.to, c.req); got != c.want || members() != c.members {
				t.Errorf("%s %+v: %s, want %s\nthere are %s", c.to, c.req, got, c.want, members())
			}
		}
		// The number holds over an update, and a plan shows it; a restart takes it over.
		w.write(conf + program("new", 1, ""))
		if got := w.update(ctx, control.UpdateRequest{}); got != "+start new:new_0\n=start new:new_0\ndone " {
			t.Errorf("update: %s", got)
		}
		p, err := w.d.Plan(ctx, control.PlanRequest{})
		if err != nil || !p.Empty() || len(p.Overrides) != 1 || p.Overrides[0].Count != 3 || p.Overrides[0].InFile != 2 {
			t.Errorf("plan %+v, %v", p, err)
		}
		if got := fmt.Sprint(countsOf(w.d.state.read())); got != "map[web:[0 1 2]]" {
			t.Errorf("counts %s", got)
		}
		if r, err := w.d.GraceUpdate(ctx, "web"); err != nil || r.Message != "No need to update" {
			t.Errorf("grace_update: %+v, %v", r, err)
		}
		// Lazily: web_2 goes when it ends by itself.
		if got := scale("2", control.ScaleRequest{Lazy: true}); got != "+stop web:web_2\n=leave web:web_2\ndone " || !strings.Contains(members(), "web_2") {
			t.Errorf("lazy: %s, there are %s", got, members())
		}
		v, _ := w.d.current(ctx)
		leaving, err := v.find("web:web_2")
		if err != nil {
			t.Fatal(err)
		}
		w.host.die(leaving.ID, 0)
		pass(time.Second)
		if strings.Contains(members(), "web_2") || len(countsOf(w.d.state.read())) != 0 {
			t.Errorf("there are %s, counts %v", members(), countsOf(w.d.state.read()))
		}
		// Back to the file, which has come to say something else.
		if got := scale("1", control.ScaleRequest{}); got != "+stop web:web_1\n=stop web:web_1\ndone " {
			t.Errorf("down: %s", got)
		}
		if got := scale("file", control.ScaleRequest{}); got != "+start web:web_1\n=start web:web_1\ndone " || len(countsOf(w.d.state.read())) != 0 {
			t.Errorf("file: %s, %v", got, countsOf(w.d.state.read()))
		}
		if now := w.pids(ctx); now["web:web_0"] != was["web:web_0"] || now["db:db_0"] != was["db:db_0"] {
			t.Errorf("pids %v became %v", was, now)
		}
		_, err = w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "nope", To: "1"}}})
		wantFault(t, err, control.BadName, "nope")
	})
}

// TestPlanOfFailures tells what does not run and is no change: what was given up, and what is tried again.
func TestPlanOfFailures(t *testing.T) {
	inWorld(t, program("web", 2, "startretries=0")+program("db", 1, "startretries=9\nautostart=false")+program("ok", 1, ""), func(ctx context.Context, w *world) {
		fail := func(name, then string) { // within startsecs, again and again, until it is in that state
			t.Helper()
			v, _ := w.d.current(ctx)
			s, err := v.find(name)
			if err != nil {
				t.Fatal(err)
			}
			for range 50 {
				switch states := w.states(ctx); {
				case strings.Contains(states, name+" "+then):
					return
				case strings.Contains(states, name+" STARTING"):
					w.host.die(s.ID, 1)
				}
				pass(100 * time.Millisecond)
			}
			t.Fatalf("%s is not %s", name, then)
		}
		pass(10 * time.Millisecond)
		fail("web:web_1", "FATAL")
		if _, err := w.d.Start(ctx, control.Target{Name: "db:db_0"}, false); err != nil {
			t.Fatal(err)
		}
		fail("db:db_0", "BACKOFF")
		p, err := w.d.Plan(ctx, control.PlanRequest{})
		const text = "Exited too quickly (process log may have details)"
		want := []control.FailingProcess{{Process: "web:web_1", State: "FATAL", Text: text}, {Process: "db:db_0", State: "BACKOFF", Text: text}}
		if err != nil || !p.Empty() || p.Totals.Replace+p.Totals.Start+p.Totals.Stop != 0 || len(p.Failing) != 2 {
			t.Errorf("plan %+v, %v\n%s", p, err, w.states(ctx))
		}
		for _, f := range want {
			if !slices.Contains(p.Failing, f) {
				t.Errorf("failing %+v, want %+v", p.Failing, f)
			}
		}
		if p, err := w.d.Plan(ctx, control.PlanRequest{Groups: []string{"ok"}}); err != nil || len(p.Failing) != 0 {
			t.Errorf("another group: %+v, %v", p.Failing, err)
		}
		// An update that changes it tries it again: it is part of the plan then.
		w.write(program("web", 2, "startretries=0\nenvironment=A=1") + program("db", 1, "startretries=9\nautostart=false") + program("ok", 1, ""))
		if p, err := w.d.Plan(ctx, control.PlanRequest{}); err != nil || len(p.Failing) != 1 || p.Failing[0].Process != "db:db_0" {
			t.Errorf("with a change: %+v, %v", p.Failing, err)
		}
	})
}

// TestPlanOfWhatRests plans the end of what does not run: nothing is stopped for it, and nothing waited for.
func TestPlanOfWhatRests(t *testing.T) {
	inWorld(t, program("web", 3, "")+program("never", 1, "autostart=false")+program("both", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if _, err := w.d.Act(ctx, control.ActRequest{Verb: "stop", Names: []string{"web:web_2"}}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		w.write(program("web", 1, ""))
		p, err := w.d.Plan(ctx, control.PlanRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range p.Groups {
			got = append(got, fmt.Sprintf("%s %s stop%v remove%v %v", g.Name, g.Action, g.Stop, g.Remove, g.StopMost > 0))
		}
		want := "web change stop[web:web_1] remove[web:web_2] true, both remove stop[both:both_0] remove[] true, never remove stop[] remove[never:never_0] false"
		if text := strings.Join(got, ", "); text != want || p.Totals.Stop != 2 {
			t.Errorf("%s, %d stopped", text, p.Totals.Stop)
		}
	})
}

// TestPlanWarns tells of an option that holds the number of processes: its change is for that reason one of every process.
func TestPlanWarns(t *testing.T) {
	inWorld(t, program("web", 2, "environment=OF=%(numprocs)d"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 3, "environment=OF=%(numprocs)d"))
		p, err := w.d.Plan(ctx, control.PlanRequest{})
		if err != nil || p.Totals.Replace != 2 || len(p.Notes) != 1 || p.Notes[0].Code != "W180" || p.Notes[0].Line == 0 ||
			p.Notes[0].Message != "environment of web holds %(numprocs)d: another number of processes changes it for each of them" {
			t.Errorf("plan %+v, %v", p, err)
		}
	})
}

// TestScaleBase gives new members what the others of their group run with, whatever has been read since, and refuses what makes no sense.
func TestScaleBase(t *testing.T) {
	inWorld(t, program("web", 1, "")+program("db", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		scale := func(targets ...control.ScaleTarget) string {
			t.Helper()
			s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: targets})
			if err != nil {
				return err.Error()
			}
			return w.settle(ctx, *s.Operation)
		}
		left := func() string {
			t.Helper()
			p, err := w.d.Plan(ctx, control.PlanRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(p.Totals.Replace, p.Totals.Start, p.Totals.Stop)
		}
		// The files of one group are taken over, then it is scaled.
		w.write(program("web", 1, "environment=A=2") + program("db", 1, "environment=A=2"))
		w.update(ctx, control.UpdateRequest{Groups: []string{"web"}})
		if got := scale(control.ScaleTarget{Program: "web", To: "2"}); got != "+start web:web_1\n=start web:web_1\ndone " || left() != "1 0 0" {
			t.Errorf("after an update of the group: %s, left %s", got, left())
		}
		// The files are read and not taken over.
		if _, err := w.d.Reread(ctx); err != nil {
			t.Fatal(err)
		}
		if got := scale(control.ScaleTarget{Program: "db", To: "2"}); got != "+start db:db_1\n=start db:db_1\ndone " || left() != "2 0 0" {
			t.Errorf("after a reread: %s, left %s", got, left())
		}
		if got := scale(control.ScaleTarget{Program: "web", To: "3"}, control.ScaleTarget{Program: "web", To: "5"}); got != "INCORRECT_PARAMETERS: web is named twice" {
			t.Errorf("twice: %s", got)
		}
		// What is held stays, or the wish is refused.
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:web_1"}, Mark: control.MarkHold, Note: "a\x1bb"}); err == nil {
			t.Error("a note with an order to a terminal is kept")
		}
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:web_1"}, Mark: control.MarkHold, Note: "a\nb"}); err != nil {
			t.Fatal(err)
		}
		if got := scale(control.ScaleTarget{Program: "web", To: "1"}); got != "+stop web:web_0\n=stop web:web_0\ndone " {
			t.Errorf("held: %s", got)
		}
		if got := scale(control.ScaleTarget{Program: "web", To: "0"}); got != "INCORRECT_PARAMETERS: web=0: 1 process of it is held: gracectl enable it first" {
			t.Errorf("all held: %s", got)
		}
		if s, err := w.d.Standing(ctx); err != nil || s.Marks[0].Note != "a b" {
			t.Errorf("%+v, %v", s.Marks, err)
		}
		// Lazy surplus is left alone by the next update.
		w.write(program("web", 1, "") + program("db", 1, ""))
		if _, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "db", To: "1"}}, Lazy: true}); err != nil {
			t.Fatal(err)
		}
		w.update(ctx, control.UpdateRequest{Groups: []string{"db"}})
		if pids := w.pids(ctx); pids["db:db_1"] == 0 {
			t.Errorf("an update stopped what was to leave by itself: %v", pids)
		}
	})
}

// TestScaleOfOneGroup changes two programs of one group at once.
func TestScaleOfOneGroup(t *testing.T) {
	inWorld(t, program("a", 1, "")+program("b", 1, "")+"[group:x]\nprograms=a,b\n", func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "a", To: "2"}, {Program: "b", To: "3"}}})
		if err != nil {
			t.Fatal(err)
		}
		w.settle(ctx, *s.Operation)
		if got, want := w.states(ctx), "x:a_0 RUNNING\nx:a_1 RUNNING\nx:b_0 RUNNING\nx:b_1 RUNNING\nx:b_2 RUNNING\n"; got != want {
			t.Errorf("after it:\n%s", got)
		}
		if p, err := w.d.Plan(ctx, control.PlanRequest{}); err != nil || !p.Empty() || len(p.Overrides) != 2 {
			t.Errorf("left: %+v, %v", p, err)
		}
	})
}

// TestScaleWaits counts anew when its turn comes: by the processes that there are then, and by what the file says then.
func TestScaleWaits(t *testing.T) {
	inWorld(t, program("web", 2, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 2, "environment=A=1"))
		first, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		scale := func(to string) control.Scaling {
			t.Helper()
			s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: to}}})
			if err != nil || s.Operation.Behind != first.ID {
				t.Fatalf("%+v, %v", s.Operation, err)
			}
			return s
		}
		second, third := scale("+1"), scale("+1")
		if p := third.Programs[0]; p.Before != 2 || p.After != 3 || p.InFile != 2 {
			t.Errorf("while it waits: %+v", p)
		}
		w.write(program("web", 1, "environment=A=1"))
		var ran []string // one of them before the other
		for _, waited := range []control.Scaling{second, third} {
			w.settle(ctx, *waited.Operation)
			op, err := w.d.Operation(ctx, waited.Operation.ID, -1)
			if err != nil || len(op.Scaled) != 1 {
				t.Fatalf("%+v, %v", op, err)
			}
			p := op.Scaled[0]
			ran = append(ran, fmt.Sprintf("%d to %d, %d in file: %v", p.Before, p.After, p.InFile, p.Start))
		}
		slices.Sort(ran)
		if want := []string{"2 to 3, 1 in file: [web:web_2]", "3 to 4, 1 in file: [web:web_3]"}; !slices.Equal(ran, want) || len(w.pids(ctx)) != 4 {
			t.Errorf("when they ran: %q", ran)
		}
	})
}

// TestScaleOfNothing scales a group without processes, one that was removed, and one that the files have no more.
func TestScaleOfNothing(t *testing.T) {
	conf := program("web", 2, "") + program("db", 0, "")
	inWorld(t, conf, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		scale := func(program, to string) string {
			t.Helper()
			s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: program, To: to}}})
			if err != nil {
				return err.Error()
			}
			return w.settle(ctx, *s.Operation)
		}
		const none = "FAILED: the group of web is not active: gracectl update adds it"
		for _, c := range []struct{ program, to, want string }{
			{"db", "2", "+start db:db_0\n+start db:db_1\n=start db:db_0\n=start db:db_1\ndone "},
			{"db", "0", "+stop db:db_0\n+stop db:db_1\n=stop db:db_0\n=stop db:db_1\ndone "},
			{"db", "0", "nothing "},
			{"db", "1", "+start db:db_0\n=start db:db_0\ndone "},
		} {
			if got := scale(c.program, c.to); sorted(got) != sorted(c.want) {
				t.Errorf("%s=%s: %s", c.program, c.to, got)
			}
		}
		if _, err := w.d.Stop(ctx, control.Target{Name: "web", Group: true}, true); err != nil {
			t.Fatal(err)
		}
		if err := w.d.RemoveGroup(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"3", "2", "+1"} {
			if got := scale("web", to); got != none {
				t.Errorf("removed, %s: %s", to, got)
			}
		}
		if got := fmt.Sprint(countsOf(w.d.state.read())); got != "map[db:[0]]" || len(w.d.counts.get()) != 1 {
			t.Errorf("counts %s", got)
		}
		w.write(program("db", 2, "environment=A=1"))
		first, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "db", To: "+2"}}})
		if err != nil || s.Operation.Behind != first.ID {
			t.Fatalf("%+v, %v", s.Operation, err)
		}
		w.settle(ctx, *s.Operation)
		w.write("")
		w.update(ctx, control.UpdateRequest{})
		if got := scale("db", "5"); got != "FAILED: the group of db is not active: gracectl update adds it" {
			t.Errorf("gone from the files: %s", got)
		}
		// What was said about it can be taken back.
		if got := scale("db", "file"); got != "nothing " || len(w.d.counts.get()) != 0 || len(countsOf(w.d.state.read())) != 0 {
			t.Errorf("taken back: %s, %v", got, w.d.counts.get())
		}
		if got := scale("db", "1"); got != "BAD_NAME: db" {
			t.Errorf("after that: %s", got)
		}
	})
}

// TestPlanOfTheDaemon tells of sections that an update does not take over.
func TestPlanOfTheDaemon(t *testing.T) {
	inWorld(t, program("a", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("a", 1, "") + "[inet_http_server]\nport=127.0.0.1:9001\npassword=x\nusername=y\n")
		p, err := w.d.Plan(ctx, control.PlanRequest{})
		if err != nil || !p.Empty() || len(p.Notes) != 1 || p.Notes[0].Code != "W181" || !strings.HasPrefix(p.Notes[0].Message, "[unix_http_server] or [inet_http_server] has changed") {
			t.Errorf("plan %+v, %v", p, err)
		}
	})
}
