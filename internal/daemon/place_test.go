package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestPlaces: where a process lives, and what it lacks, is told by why, doctor, standing and the main log, as long as it lives.
func TestPlaces(t *testing.T) {
	const lacks = "memory_max is not in force: no controller"
	inWorld(t, program("own", 1, "kill_tree=true\nmemory_max=64MB\nautorestart=false")+program("plain", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		tell := func(name string) control.Why {
			t.Helper()
			why, err := w.d.Why(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			return why
		}
		told := func(cgroup string, grouped int) {
			t.Helper()
			if why := tell("own:own_0"); why.Cgroup != cgroup || why.Lacks != "" {
				t.Errorf("%+v", why)
			}
			doctor, err := w.d.Doctor(ctx)
			if err != nil || doctor.Grouped != grouped || len(doctor.Lacking) != 0 {
				t.Errorf("%+v, %v", doctor, err)
			}
		}
		told("/c/own.own_0", 1)
		if why := tell("plain:plain_0"); why.Cgroup != "" {
			t.Errorf("%+v", why)
		}
		v, err := w.d.current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		m, err := v.find("own:own_0")
		if err != nil {
			t.Fatal(err)
		}
		w.host.end(m.ID, process.ExitStatus{Signal: process.SIGKILL, OutOfMemory: true})
		pass(time.Second)
		told("", 0)
		why := tell("own:own_0")
		last := why.Timeline[len(why.Timeline)-1]
		if !last.OutOfMemory || last.Text != "unexpected: exitcodes=0; out of memory" || !strings.Contains(strings.Join(why.LooksLike, "|"), "memory_max=67108864") {
			t.Errorf("%+v", why)
		}

		w.host.mu.Lock()
		w.host.lacks = lacks
		w.host.mu.Unlock()
		for range 2 {
			if _, err := w.d.Start(ctx, control.Target{Name: "own:own_0"}, true); err != nil {
				t.Fatal(err)
			}
			standing, err := w.d.Standing(ctx)
			if err != nil || len(standing.Lacking) != 1 || standing.Lacking[0] != (control.Lacking{Name: "own:own_0", Text: lacks}) {
				t.Errorf("%+v, %v", standing, err)
			}
			if _, err := w.d.Stop(ctx, control.Target{Name: "own:own_0"}, true); err != nil {
				t.Fatal(err)
			}
		}
		if log := w.log.String(); strings.Count(log, "own:own_0: "+lacks) != 1 {
			t.Errorf("the main log tells what is lacking, once:\n%s", log)
		}
	})
}
