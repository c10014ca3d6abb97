package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
)

// reasonsOf renders a plan's reasons, a line for each.
func (w *world) reasonsOf(ctx context.Context, req control.PlanRequest) string {
	w.t.Helper()
	p, err := w.d.Plan(ctx, req)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, g := range p.Groups {
		for _, r := range g.Reasons {
			lines = append(lines, r.Process+" "+r.Reason)
		}
	}
	return strings.Join(lines, "\n")
}

// TestReasons: each process to which something happens has its reason, with the place that is behind it.
func TestReasons(t *testing.T) {
	before := program("web", 2, "") + program("low", 3, "") + program("live", 1, "") + program("later", 1, "") + program("old", 1, "") + program("idle", 1, "autostart=false") +
		program("held", 1, "") + program("gone", 1, "startretries=0") + "[program:one]\ncommand=/bin/one\n[eventlistener:ears]\ncommand=/bin/ears\nevents=TICK_5\n" +
		"[group:two]\nprograms=left,right\n" + program("left", 1, "") + program("right", 1, "")
	inWorld(t, before, func(ctx context.Context, w *world) {
		pass(time.Millisecond * 100)
		w.d.do(ctx, func(core.Now) {
			gone, _ := w.d.loop.core.Find("gone", "gone_0")
			w.host.die(gone.ID, 1)
		})
		pass(2 * time.Second)
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"held:held_0"}, Mark: control.MarkHold}); err != nil {
			t.Fatal(err)
		}
		if got := w.reasonsOf(ctx, control.PlanRequest{}); got != "" {
			t.Errorf("nothing to do:\n%s", got)
		}
		w.write("[program:web]\ncommand=/bin/new\nprocess_name=%(program_name)s_%(process_num)s\nnumprocs=3\nstopwaitsecs=3\nenvironment=A=1\nstdout_logfile=NONE\nstderr_logfile=NONE\n" +
			program("low", 2, "") + program("live", 1, "stopwaitsecs=20") + program("later", 1, "stopwaitsecs=20\nstartsecs=2") + program("idle", 1, "autostart=false\ndirectory=/tmp") +
			program("held", 1, "directory=/tmp") + program("gone", 1, "startretries=0\ndirectory=/tmp") + program("one", 2, "") + program("new", 1, "") +
			"[eventlistener:ears]\ncommand=/bin/ears\nevents=TICK_5\nresult_handler=supervisor_twiddler.resulthandler:stdin_write_handler\n" +
			"[group:two]\nprograms=left,other\n" + program("left", 1, "") + program("other", 1, ""))
		want := strings.Join([]string{
			"ears:ears result_handler changed (/etc/s.conf:73): the whole group is replaced",
			"gone:gone_0 directory changed (/etc/s.conf:55): tried again, since it had been given up",
			"held:held_0 would change, and is held back",
			"idle:idle_0 directory changed (/etc/s.conf:40): taken over, and it does not run",
			"later:later_0 startsecs, stopwaitsecs changed (/etc/s.conf:32): takes effect at once, or at its next start",
			"live:live_0 stopwaitsecs changed (/etc/s.conf:24): takes effect at once",
			"low:low_2 surplus: numprocs 3 -> 2 (/etc/s.conf:14)",
			"new:new_0 new (/etc/s.conf:66)",
			"one:one_0 renamed from one (/etc/s.conf:59): goes on running",
			"one:one_1 new: numprocs 1 -> 2 (/etc/s.conf:59)",
			"two:other_0 new: program other has joined the group (/etc/s.conf:86)",
			"two:right_0 surplus: program right has left the group",
			"web:web_0 command, environment A changed (/etc/s.conf:4): needs a restart",
			"web:web_1 command, environment A changed (/etc/s.conf:4): needs a restart",
			"web:web_2 new: numprocs 2 -> 3 (/etc/s.conf:6)",
			"old:old_0 surplus: not in the files any more",
		}, "\n")
		if got := w.reasonsOf(ctx, control.PlanRequest{}); got != want {
			t.Errorf("reasons:\n%s\nwant\n%s", got, want)
		}
	})
}

// TestSince compares a generation with the files.
func TestSince(t *testing.T) {
	inWorld(t, program("web", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("web", 2, ""))
		w.update(ctx, control.UpdateRequest{})
		pass(time.Second)
		w.write(program("web", 2, "stopwaitsecs=3"))
		for since, want := range map[int]string{
			0: "web:web_0 stopwaitsecs changed (/etc/s.conf:9): takes effect at once\nweb:web_1 stopwaitsecs changed (/etc/s.conf:9): takes effect at once",
			1: "web:web_0 stopwaitsecs changed (/etc/s.conf:9): takes effect at once\nweb:web_1 new: numprocs 1 -> 2 (/etc/s.conf:6)",
			2: "web:web_0 stopwaitsecs changed (/etc/s.conf:9): takes effect at once\nweb:web_1 stopwaitsecs changed (/etc/s.conf:9): takes effect at once",
			9: "BAD_NAME: r9",
		} {
			if got := w.reasonsOf(ctx, control.PlanRequest{Since: since}); got != want {
				t.Errorf("since %d:\n%s\nwant\n%s", since, got, want)
			}
		}
		p, err := w.d.Plan(ctx, control.PlanRequest{Since: 1})
		if err != nil || p.Since != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		_, err = w.d.Update(ctx, control.UpdateRequest{Plan: p.ID})
		wantFault(t, err, control.StalePlan, "plan "+p.ID+" is not known")
	})
}
