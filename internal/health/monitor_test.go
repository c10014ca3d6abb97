package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/process"
)

// desk is a monitor in virtual time whose tries are answered by the test.
type desk struct {
	*Monitor
	began time.Time

	lock    sync.Mutex
	answers map[process.ID]func(n int) (why string, takes time.Duration) // by process; n counts its tries
	tries   map[process.ID][]time.Duration                               // when they began
	most    int                                                          // under way at a time
	under   int
	told    []string
	trouble []string
}

func newDesk() *desk {
	d := &desk{began: time.Now(), answers: map[process.ID]func(int) (string, time.Duration){}, tries: map[process.ID][]time.Duration{}}
	d.Monitor = New(Options{
		Report: func(r Result) {
			d.lock.Lock()
			defer d.lock.Unlock()
			about := "ready"
			if r.Alive {
				about = "alive"
			}
			d.told = append(d.told, fmt.Sprintf("%v %d.%d %s=%v %s", time.Since(d.began), r.ID, r.Incarnation, about, r.OK, r.Text))
		},
		Trouble: func(text string) { d.trouble = append(d.trouble, text) },
	})
	d.try = func(ctx context.Context, t *Target, c process.Check) string {
		d.lock.Lock()
		d.tries[t.ID] = append(d.tries[t.ID], time.Since(d.began))
		n := len(d.tries[t.ID])
		d.under++
		d.most = max(d.most, d.under)
		answer := d.answers[t.ID]
		d.lock.Unlock()
		defer func() {
			d.lock.Lock()
			d.under--
			d.lock.Unlock()
		}()
		if answer == nil {
			return ""
		}
		why, takes := answer(n)
		// Many timers that are due when they are made or waited for crash the race detector in virtual time (golang/go#78156).
		if takes == 0 {
			return why
		}
		over := make(chan struct{})
		defer time.AfterFunc(takes, func() { close(over) }).Stop()
		select {
		case <-over:
			return why
		case <-ctx.Done():
			return "interrupted"
		}
	}
	return d
}

// pass lets virtual time pass, and returns what was told in it.
func (d *desk) pass(span time.Duration) []string {
	<-time.After(span)
	synctest.Wait()
	d.lock.Lock()
	defer d.lock.Unlock()
	told := d.told
	d.told = nil
	return told
}

// triesOf returns when the tries of a process began.
func (d *desk) triesOf(id process.ID) []time.Duration {
	d.lock.Lock()
	defer d.lock.Unlock()
	return slices.Clone(d.tries[id])
}

func ready(id process.ID, c process.Check) Target {
	return Target{ID: id, Incarnation: 1, Health: process.Health{Ready: c}}
}

func alive(id process.ID, c process.Check) Target {
	return Target{ID: id, Incarnation: 1, Health: process.Health{Alive: c}}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// inSlot is when a try begins that is due so long after the beginning of virtual time, which begins a slot.
func inSlot(due time.Duration) time.Duration { return (due + slot - 1).Truncate(slot) }

var asked = process.Check{Kind: process.CheckTCP, Target: "h:1", Period: time.Second, Timeout: 5 * time.Second, Successes: 2, Failures: 3}

// TestReadiness: tries come quickly at first and then in each period; so many in a row count; only changes and the first result are told.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		script := "---++-++---+--" // after that it is good
		d.answers[1] = func(n int) (string, time.Duration) {
			if n <= len(script) && script[n-1] == '-' {
				return "no", 0
			}
			return "", 0
		}
		d.Watch(ready(1, asked))
		same(t, d.pass(700*time.Millisecond), "140ms 1.1 ready=false no", "620ms 1.1 ready=true ")
		if got, want := fmt.Sprint(d.triesOf(1)), "[20ms 60ms 140ms 300ms 620ms]"; got != want {
			t.Errorf("tries at %s, want %s", got, want)
		}
		phase := (&task{w: d.watches[1], check: asked}).phase()
		first := inSlot(620*time.Millisecond + phase)
		// - + + - - - : the third in a row is told, a good one alone is not.
		same(t, d.pass(10*time.Second), fmt.Sprintf("%v 1.1 ready=false no", first+5*time.Second))
		d.Unwatch(1)
		n := len(d.triesOf(1))
		same(t, d.pass(time.Minute))
		if len(d.triesOf(1)) != n {
			t.Error("it is asked after Unwatch")
		}
	})
}

// TestReadyAlready: who was found ready before this monitor began is not told again, only when it is not any more.
func TestReadyAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		var bad atomic.Bool
		d.answers[1] = func(int) (string, time.Duration) {
			if bad.Load() {
				return "gone", 0
			}
			return "", 0
		}
		target := ready(1, asked)
		target.Ready = true
		d.Watch(target)
		same(t, d.pass(5*time.Second))
		bad.Store(true)
		phase := (&task{w: d.watches[1], check: asked}).phase()
		same(t, d.pass(5*time.Second), fmt.Sprintf("%v 1.1 ready=false gone", inSlot(phase+7*time.Second)))
	})
}

// TestLiveness: the first try comes after a period at least; what is not alive and then is, is told.
func TestLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		d.answers[1] = func(n int) (string, time.Duration) {
			if n > 1 && n < 6 {
				return "hangs", 0
			}
			return "", 0
		}
		c := asked
		c.Period, c.Successes = 10*time.Second, 1
		d.Watch(alive(1, c))
		first := inSlot(10*time.Second + (&task{w: d.watches[1], check: c, alive: true}).phase())
		same(t, d.pass(2*time.Minute), fmt.Sprintf("%v 1.1 alive=true ", first), fmt.Sprintf("%v 1.1 alive=false hangs", first+30*time.Second),
			fmt.Sprintf("%v 1.1 alive=true ", first+50*time.Second))
	})
}

// TestHangingTries: a try that hangs delays no other, its time is bounded, and what comes of it after Unwatch is nothing.
func TestHangingTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		hang := func(int) (string, time.Duration) { return "", time.Hour }
		quick := asked
		quick.Successes, quick.Failures = 1, 1
		for id := process.ID(1); id <= 200; id++ {
			d.answers[id] = hang
			d.Watch(ready(id, quick))
		}
		d.Watch(ready(1000, quick))
		same(t, d.pass(time.Second), "20ms 1000.1 ready=true ")
		told := d.pass(5 * time.Second)
		if len(told) != 200 || !strings.HasSuffix(told[0], "ready=false no answer within 5s") || !strings.HasPrefix(told[0], "5.02s ") {
			t.Errorf("%d told, first %q", len(told), told[:min(1, len(told))])
		}
		if n := len(d.triesOf(1000)); n < 5 {
			t.Errorf("the other was asked %d times in 6 s", n)
		}
		if len(d.trouble) > 0 {
			t.Errorf("trouble: %q", d.trouble)
		}
		d.Unwatch(7)
		if told := d.pass(time.Hour); slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, " 7.1 ") }) {
			t.Errorf("told after Unwatch: %q", told)
		}
	})
}

// TestTooMany: no more than so many tries are under way, which is said once; those that are late follow.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		quick := asked
		quick.Successes, quick.Period = 1, time.Minute
		for id := process.ID(1); id <= mostTries+50; id++ {
			d.answers[id] = func(int) (string, time.Duration) { return "", time.Second }
			d.Watch(ready(id, quick))
		}
		told := d.pass(3 * time.Second)
		if len(told) != mostTries+50 || d.most != mostTries {
			t.Errorf("%d told, %d tries at a time", len(told), d.most)
		}
		if want := "256 checks of processes are under way, as many as may be at a time: others begin late"; !slices.Equal(d.trouble, []string{want}) {
			t.Errorf("trouble: %q", d.trouble)
		}
	})
}

// TestManyHang: checks that hang, more of them than may be under way, are in nobody's way once that is known of them, and are asked on.
func TestManyHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		const many, good = 600, 2000 // good is the one that does not hang
		slow := asked
		slow.Period, slow.Failures = 10*time.Second, 1
		for id := process.ID(1); id <= many; id++ {
			d.answers[id] = func(n int) (string, time.Duration) {
				if n > 3 {
					return "", 0
				}
				return "", time.Hour
			}
			d.Watch(ready(id, slow))
		}
		d.pass(30 * time.Second)
		d.Watch(ready(good, asked))
		told := d.pass(30 * time.Second)
		if !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "30.06s 2000.1 ready=true") }) {
			t.Errorf("told: %q", told)
		}
		at := d.triesOf(good)
		for i, next := range at[3:] {
			if gap := next - at[i+2]; gap != asked.Period {
				t.Errorf("try %d came after %v", i+3, gap)
			}
		}
		d.pass(2 * time.Minute)
		d.Close()
		if d.most > 2*mostTries {
			t.Errorf("%d tries at a time", d.most)
		}
		if want := []string{"256 checks of processes are under way, as many as may be at a time: others begin late",
			"256 checks that had no answer in their time before are under way, as many as may be at a time: others begin late"}; !slices.Equal(slices.Compact(d.trouble), want) {
			t.Errorf("trouble: %q", d.trouble)
		}
		for id := process.ID(1); id <= many; id++ {
			if n := len(d.triesOf(id)); n < 10 {
				t.Fatalf("%d was asked %d times", id, n)
			}
		}
		if len(d.hung.late) > 0 || d.hung.trying > 0 || d.prompt.trying > 0 {
			t.Errorf("in the end: %+v, %+v", d.prompt, d.hung)
		}
	})
}

// TestSpread: the tries of many processes do not come together.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		c := asked
		c.Period, c.Successes = 10*time.Second, 1
		const many = 1000
		for id := process.ID(1); id <= many; id++ {
			target := ready(id, c)
			target.Ready = true
			d.Watch(target)
		}
		d.pass(20*time.Second + slot/2)
		slots := map[time.Duration]int{}
		for id := process.ID(1); id <= many; id++ {
			at := d.triesOf(id)
			if len(at) != 2 {
				t.Fatalf("%d tries in two periods", len(at))
			}
			slots[at[1]/slot]++
		}
		for slot, n := range slots {
			if n > 3*many/100 {
				t.Errorf("%d tries in the tenth of a second %d", n, slot)
			}
		}
	})
}

// TestReplacedWatch: another life, or other settings, take the place of what was watched.
func TestReplacedWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		d.answers[1] = func(n int) (string, time.Duration) { return "old", 30 * time.Millisecond }
		quick := asked
		quick.Successes, quick.Failures = 1, 1
		d.Watch(ready(1, quick))
		same(t, d.pass(40*time.Millisecond))
		d.lock.Lock()
		d.answers[1] = nil
		d.lock.Unlock()
		next := ready(1, quick)
		next.Incarnation = 2
		d.Watch(next)
		same(t, d.pass(time.Second), "60ms 1.2 ready=true ")
	})
}

// TestSigns: readiness and signs of life that a process tells of itself.
func TestSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		defer d.Close()
		settled := 0
		d.o.Settle = func() bool { settled++; return true }
		h := process.Health{Ready: process.DefaultReady, Alive: process.DefaultAlive}
		h.Ready.Kind, h.Alive.Kind = process.CheckNotify, process.CheckNotify
		d.signed(9001, []string{"READY=1", "STATUS=fine"}) // it is not known yet that it has begun
		d.Watch(Target{ID: 1, Incarnation: 1, PID: 9001, Health: h})
		d.Watch(Target{ID: 2, Incarnation: 1, PID: 9002, Health: h})
		same(t, d.pass(time.Minute), "0s 1.1 ready=true ", "0s 1.1 alive=true ", "5s 1.1 alive=false no WATCHDOG=1 within 5s")
		if !d.signed(9002, []string{"READY=1"}) || settled != 1 {
			t.Errorf("settled %d times", settled)
		}
		d.pass(4 * time.Second)
		d.signed(9002, []string{"WATCHDOG=1"})
		d.signed(9001, []string{"WATCHDOG=1"})
		same(t, d.pass(4*time.Second), "1m4s 1.1 alive=true ")
		d.signed(9002, []string{"WATCHDOG=trigger"})
		d.signed(9003, []string{"READY=1"})
		same(t, d.pass(0), "1m8s 2.1 alive=false it has sent WATCHDOG=trigger")
		d.pass(earlyTime + time.Second)
		d.Watch(Target{ID: 3, Incarnation: 1, PID: 9003, Health: h}) // what was said so long ago was not its
		same(t, d.pass(time.Second))
		if len(d.early) != 0 {
			t.Errorf("kept: %v", d.early)
		}
		d.o.Settle = func() bool { return false }
		if d.signed(9003, []string{"READY=1"}) {
			t.Error("what was not written down is over")
		}
	})
}
