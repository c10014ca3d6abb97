package sim

import (
	"flag"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
)

var dependN = flag.Int("depend.n", 400, "number of random stories in which programs depend on one another")

// TestDependents tells random stories in which programs depend on one another, with a DependChecker. Each is told once more with a daemon that dies
// again and again: nobody can tell one from the other. In the end everything is stopped. With -seed=N -depend.n=1 it tells one.
func TestDependents(t *testing.T) {
	saw, deaths := map[string]int{}, 0
	for i := range *dependN {
		seed := *simSeed + uint64(i)
		opts := core.Options{Strict: true, Identifier: "first", StopAscending: seed%2 == 0}
		st := GenerateDependent(seed)
		w, l := NewMortal(opts, seed)
		l.Odds = 0
		broken := ""
		c := WatchDependents(w, func(text string) {
			if broken == "" {
				broken = text
			}
		})
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("seed %d (-seed=%[1]d -depend.n=1): %v", seed, p)
				}
			}()
			w.Tell(st)
		}()
		if !w.Halted && broken == "" {
			w.Until(w.Now() + time.Hour)
		}
		if !w.Halted && broken == "" {
			broken = "everything is stopped, and does not come to its end"
			for _, s := range w.Core.Statuses() {
				if !s.State.IsStopped() || s.Waits != "" {
					broken += "\n" + s.Namespec().String() + " " + s.State.String() + " " + s.Waits
				}
			}
		}
		if broken != "" {
			t.Fatalf("seed %d (-seed=%[1]d -depend.n=1):\n%s", seed, broken)
		}
		for what, n := range c.Saw {
			saw[what] += n
		}
		lives, _ := tellStory(st, opts, 0)
		dies, n := tellStory(st, opts, []int{3, 10, 40}[seed%3])
		deaths += n
		if d := apart(lives, dies); d != "" {
			t.Fatalf("seed %d (-seed=%[1]d -depend.n=1), after %d deaths:\n%s", seed, n, d)
		}
	}
	t.Logf("%d stories from seed %d: %v, %d deaths", *dependN, *simSeed, saw, deaths)
	for _, what := range []string{"starts", "waits", "stops after", "stopped", "summoned", "essential", "left out", "spared"} {
		if *dependN >= 400 && saw[what] == 0 {
			t.Errorf("no %q in any story: the generator does not reach it", what)
		}
	}
}
