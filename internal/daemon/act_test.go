package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
)

// act asks for a start, stop or restart and sees it through.
func (w *world) act(ctx context.Context, verb string, names ...string) string {
	w.t.Helper()
	op, err := w.d.Act(ctx, control.ActRequest{Verb: verb, Names: names, Who: "anna"})
	if err != nil {
		return err.Error()
	}
	return w.settle(ctx, op)
}

// begins returns the lines of settle that tell of a beginning, in their order.
func begins(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if line[0] == '+' {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// TestAct starts, stops and restarts, in the order of priority, as operations with their results.
func TestAct(t *testing.T) {
	inWorld(t, program("web", 2, "priority=2")+program("db", 1, "priority=1")+program("idle", 1, "autostart=false\npriority=3"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.host.set(w.host.missing, "/bin/idle")
		for _, c := range []struct{ verb, names, want string }{
			{"start", "web:web_0", ".start web:web_0\nnothing "},
			{"stop", "idle:idle_0", ".stop idle:idle_0\nnothing "},
			{"start", "web:*", "nothing "},
			{"restart", "web:* db:db_0", "+stop web:web_0\n+stop web:web_1\n+stop db:db_0\n=stop web:web_0\n=stop web:web_1\n=stop db:db_0\n" +
				"+start db:db_0\n+start web:web_0\n+start web:web_1\n=start db:db_0\n=start web:web_0\n=start web:web_1\ndone "},
			{"start", "all", "!start idle:idle_0\nfailed 1 of 1 processes failed"},
			{"restart", "idle:idle_0", ".stop idle:idle_0\n!start idle:idle_0\nfailed 1 of 2 steps failed"},
			{"stop", "all", "+stop web:web_0\n+stop web:web_1\n+stop db:db_0\n=stop web:web_0\n=stop web:web_1\n=stop db:db_0\ndone "},
			{"stop", "nope", "BAD_NAME: nope"},
			{"kill", "web:web_0", `INCORRECT_PARAMETERS: verb "kill" is none of start, stop, restart`},
			{"stop", "", "INCORRECT_PARAMETERS: no names"},
		} {
			if got := w.act(ctx, c.verb, strings.Fields(c.names)...); sorted(got) != sorted(c.want) || begins(got) != begins(c.want) {
				t.Errorf("%s %s:\n%s\nwant\n%s", c.verb, c.names, got, c.want)
			}
		}
		for range 20 { // also when it is over before anybody can look
			if op, err := w.d.Act(ctx, control.ActRequest{Verb: "stop", Names: []string{"db:db_0"}}); err != nil || op.State != control.OperationNothing || len(op.Events) != 1 || op.ID != "" {
				t.Fatalf("nothing to do: %+v, %v", op, err)
			}
		}
		list, err := w.d.Operations(ctx)
		if err != nil || len(list) != 4 { // what has done nothing has left no trace
			t.Fatalf("operations %+v, %v", list, err)
		}
		if op := list[0]; op.ID != "op-1" || op.Kind != "restart" || op.Who != "anna" || op.Steps != 6 || op.Done != 6 || op.Ended == nil {
			t.Errorf("the restart: %+v", op)
		}
		if op, _ := w.d.Operation(ctx, list[1].ID, -1); op.Events[0].FaultCode != control.NoFile || op.Events[0].Error != "can't find command '/bin/idle'" {
			t.Errorf("a fault: %+v", op.Events)
		}
		if history, err := w.d.History(ctx); err != nil || len(history) > 1 {
			t.Errorf("they are no change of the configuration: %+v, %v", history, err)
		}
		why, err := w.d.Why(ctx, "db:db_0")
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		for _, m := range why.Timeline {
			if m.Type == "asked" {
				asked = append(asked, m.Text+" by "+m.By)
			}
		}
		if got := strings.Join(asked, ", "); got != "restart op-1: stop by anna, restart op-1: start by anna, stop op-4 by anna" {
			t.Errorf("why: %s", got)
		}
	})
}

// TestActQueues lets a restart wait for another one of the same process, and go on as soon as that has done with it; a stop takes a process on its
// way to RUNNING; what is no operation waits for none of them.
func TestActQueues(t *testing.T) {
	inWorld(t, program("web", 2, "startsecs=5\nstopwaitsecs=3"), func(ctx context.Context, w *world) {
		pass(6 * time.Second)
		w.host.set(w.host.deaf, "web_1") // and its end comes with SIGKILL
		first, err := w.d.Act(ctx, control.ActRequest{Verb: "stop", Names: []string{"web:*"}})
		if err != nil || first.State != control.OperationRunning || first.Steps != 2 {
			t.Fatalf("%+v, %v", first, err)
		}
		second, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:web_0"}})
		if err != nil || second.State != control.OperationWaiting || second.Behind != first.ID {
			t.Fatalf("%+v, %v", second, err)
		}
		third, err := w.d.Act(ctx, control.ActRequest{Verb: "start", Names: []string{"web:web_1"}})
		if err != nil || w.d.CancelOperation(ctx, third.ID) != nil || w.settle(ctx, third) != "cancelled " {
			t.Fatalf("%+v, %v", third, err)
		}
		_, err = w.d.Stop(ctx, control.Target{Name: "web:web_1"}, true)
		wantFault(t, err, control.NotRunning, "web:web_1")
		pass(time.Second)
		if got := w.states(ctx); got != "web:web_0 STARTING\nweb:web_1 STOPPING\n" {
			t.Errorf("the second has begun once it could:\n%s", got)
		}
		began := time.Now()
		if got := w.act(ctx, "stop", "web:web_0"); got != "+stop web:web_0\n=stop web:web_0\ndone " || time.Since(began) > time.Second {
			t.Errorf("a stop took %v: %s", time.Since(began), got)
		}
		if got := w.settle(ctx, second); !strings.HasSuffix(got, "!start web:web_0\nfailed 1 of 2 steps failed") {
			t.Errorf("the second: %s", got)
		}
		if got := w.settle(ctx, first); !strings.HasSuffix(got, "=stop web:web_1\ndone ") {
			t.Errorf("the first: %s", got)
		}
		w.write(program("web", 2, "startsecs=5\nstopwaitsecs=4"))
		slow, err := w.d.Act(ctx, control.ActRequest{Verb: "start", Names: []string{"web:web_0"}})
		if err != nil {
			t.Fatal(err)
		}
		update, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil || update.State != control.OperationWaiting || update.Behind != slow.ID {
			t.Errorf("an update: %+v, %v", update, err)
		}
		if got := w.settle(ctx, update); !strings.HasSuffix(got, "done ") {
			t.Errorf("the update: %s", got)
		}
	})
}

// TestActCancelled ends a restart before its starts, and the daemon's own end a stop before the rest of it.
func TestActCancelled(t *testing.T) {
	inWorld(t, program("web", 2, "stopwaitsecs=3"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.host.set(w.host.deaf, "web_1")
		op, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:*"}})
		if err != nil || w.d.CancelOperation(ctx, op.ID) != nil {
			t.Fatal(op, err)
		}
		want := "+stop web:web_0\n+stop web:web_1\n.start web:web_0\n.start web:web_1\n=stop web:web_0\n=stop web:web_1\ncancelled 2 of 4 steps were left as they were"
		if got := w.settle(ctx, op); sorted(got) != sorted(want) {
			t.Errorf("%s", got)
		}
		if got := w.act(ctx, "start", "all"); !strings.HasSuffix(got, "done ") {
			t.Errorf("start: %s", got)
		}
		if _, err := w.d.Act(ctx, control.ActRequest{Verb: "stop", Names: []string{"web:*"}, AtOnce: 1}); err != nil {
			t.Fatal(err)
		}
		if err := w.d.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		_, err = w.d.Act(ctx, control.ActRequest{Verb: "start", Names: []string{"all"}})
		wantFault(t, err, control.ShutdownState, "")
	})
}
