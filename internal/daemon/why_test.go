package daemon

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
)

// TestWhy tells a life: who wanted what, how it ended, and what may be behind it.
func TestWhy(t *testing.T) {
	inWorld(t, program("job", 2, "startretries=1\nautorestart=false"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		life := func(name string) string {
			t.Helper()
			why, err := w.d.Why(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, m := range why.Timeline {
				code := ""
				if m.Exit != nil {
					code = fmt.Sprint(*m.Exit)
				}
				fmt.Fprintf(&b, "%s %s %s%s %v %s; ", m.Type, m.Text, code, m.Signal, m.Expected, m.By)
			}
			return b.String() + why.State + fmt.Sprint(why.Starts) + strings.Join(why.LooksLike, "|")
		}
		anna := control.WithCaller(ctx, func() string { return "anna" })
		if _, err := w.d.Stop(anna, control.Target{Name: "job:job_0"}, true); err != nil {
			t.Fatal(err)
		}
		if got, want := life("job:job_0"), "start   false ; running   false ; asked stop  false anna; stopping SIGTERM  false ; exit it was to stop SIGTERM true ; STOPPED1"; got != want {
			t.Errorf("stopped: %s\nwant %s", got, want)
		}
		v, _ := w.d.current(ctx)
		one, _ := v.find("job:job_1")
		w.host.die(one.ID, 127)
		pass(time.Second)
		if got, want := life("job:job_1"), "start   false ; running   false ; exit unexpected: exitcodes=0 127 false ; EXITED1"+
			"exit 127 is what a shell says when it does not find a command: PATH of the program is that of the daemon"; got != want {
			t.Errorf("ended: %s\nwant %s", got, want)
		}
		w.write(program("job", 2, "startretries=1\nautorestart=false\nstopwaitsecs=5"))
		if got := w.update(anna, control.UpdateRequest{Who: "bert"}); !strings.HasSuffix(got, "done ") {
			t.Error(got)
		}
		if got := life("job:job_1"); !strings.Contains(got, "asked update op-1: live  false bert; ") {
			t.Errorf("updated: %s", got)
		}
		// Old moments are forgotten.
		for range keptMoments {
			if _, err := w.d.Signal(ctx, control.Target{Name: "job:*"}, "HUP"); err != nil {
				t.Fatal(err)
			}
		}
		if why, _ := w.d.Why(ctx, "job:job_1"); len(why.Timeline) != keptMoments {
			t.Errorf("%d moments", len(why.Timeline))
		}
		_, err := w.d.Why(ctx, "nope")
		wantFault(t, err, control.BadName, "nope")
	})
}
