package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// TestBreaker: what a breaker holds back is told by status, why and the main log, and so is what becomes of it.
func TestBreaker(t *testing.T) {
	inWorld(t, program("web", 3, "autorestart=true\nbreaker=2/1m\nstartsecs=2"), func(ctx context.Context, w *world) {
		pass(3 * time.Second)
		kill := func(name string) {
			t.Helper()
			v, _ := w.d.current(ctx)
			m, err := v.find(name)
			if err != nil {
				t.Fatal(err)
			}
			w.host.die(m.ID, 1)
			pass(time.Millisecond)
		}
		kill("web:web_0")
		kill("web:web_1") // which goes first
		kill("web:web_2")
		const waits = "waits for web_1: breaker of group web is open"
		info, err := w.d.Process(ctx, "web:web_2")
		if err != nil || info.State != process.Exited || info.Description != waits {
			t.Errorf("status: %+v, %v", info, err)
		}
		why, err := w.d.Why(ctx, "web:web_2")
		if last := why.Timeline[len(why.Timeline)-1]; err != nil || why.Waits != waits || last.Type != "held" || last.Text != waits {
			t.Errorf("why: %+v, %v", why, err)
		}
		kill("web:web_1")
		if info, _ := w.d.Process(ctx, "web:web_2"); info.Description != "waits for the next try: breaker of group web is open" {
			t.Errorf("status: %+v", info)
		}
		pass(10 * time.Second)
		if info, _ := w.d.Process(ctx, "web:web_2"); info.State != process.Running {
			t.Errorf("status: %+v", info)
		}
		for _, line := range []string{
			"WARN breaker of group web is open: 2 unexpected ends in 1m, restarts wait until one process is RUNNING\n",
			"INFO breaker of group web stays open: web_1 failed, the next try follows in 1s\n",
			"INFO breaker of group web is closed: web_2 is RUNNING\n",
		} {
			if !strings.Contains(w.log.String(), line) {
				t.Errorf("the main log lacks %q:\n%s", line, w.log)
			}
		}
	})
}
