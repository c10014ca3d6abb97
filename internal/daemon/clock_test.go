package daemon

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/control"
)

// TestClockStepped sets the time of day back and forth by up to years while processes start, fail, run and stop: what happens, and when,
// is the same as on a clock that nobody touches (contract: process, "Clock going backwards").
func TestClockStepped(t *testing.T) {
	conf := program("slow", 1, "startsecs=10") + program("weak", 1, "startretries=2\nautorestart=true") + program("deaf", 1, "stopwaitsecs=7")
	const day = 24 * time.Hour
	var want []string
	for _, steps := range [][]time.Duration{{0}, {-day}, {day}, {-3 * time.Second, 3 * time.Second}, {1000 * day, -1000 * day, time.Second, 5000 * day}} {
		var got []string
		inWorld(t, conf, func(ctx context.Context, w *world) {
			began := time.Now()
			n := 0
			// Less than every deadline and no part of any: each state is seen, and none is entered at the moment of a look.
			const look = 730 * time.Millisecond
			wait := func(d time.Duration) {
				t.Helper()
				for range d / look {
					w.step.Store(int64(steps[n%len(steps)]))
					n++
					pass(look)
					v, err := w.d.current(ctx)
					if err != nil {
						t.Fatal(err)
					}
					if m, err := v.find("weak:weak_0"); err == nil && m.PID != 0 && m.State.String() == "STARTING" {
						w.host.die(m.ID, 1)
						synctest.Wait()
					}
					got = append(got, time.Since(began).String()+"\n"+w.states(ctx))
				}
			}
			w.host.set(w.host.deaf, "deaf_0")
			wait(15 * time.Second)
			if p, err := w.d.Process(ctx, "slow:slow_0"); err != nil || !strings.HasPrefix(p.Description, "pid ") || strings.Contains(p.Description, "-") {
				t.Errorf("%v: %q, %v", steps, p.Description, err)
			}
			stopped := make(chan error)
			go func() {
				_, err := w.d.Stop(ctx, control.Target{Name: "deaf:deaf_0"}, true)
				stopped <- err
			}()
			wait(10 * time.Second)
			select {
			case err := <-stopped:
				if err != nil {
					t.Errorf("%v: stop: %v", steps, err)
				}
			default:
				t.Errorf("%v: deaf is not stopped 3 s after its time", steps)
				<-stopped
			}
		})
		if want == nil {
			want = got
			last := got[len(got)-1]
			if !strings.Contains(last, "deaf:deaf_0 STOPPED\n") || !strings.Contains(last, "slow:slow_0 RUNNING\n") || !strings.Contains(last, "weak:weak_0 FATAL\n") {
				t.Fatalf("without steps it ends as\n%s", last)
			}
			continue
		}
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Errorf("steps %v: got\n%swant\n%s", steps, got[min(i, len(got)-1)], want[i])
				break
			}
		}
	}
}
