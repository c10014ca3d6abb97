package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
)

var (
	simN    = flag.Int("sim.n", 500, "number of random scenarios")
	simSeed = flag.Uint64("seed", 1, "seed of the first random scenario")
)

// TestRandom plays random scenarios, with everything that graced can do beyond the reference and with outcomes that come late, and checks
// the promises of the machine. After the end of each scenario everything is stopped, which must come to an end.
func TestRandom(t *testing.T) {
	played := tallyRandom{}
	for i := range *simN {
		seed := *simSeed + uint64(i)
		for _, mode := range []struct {
			name string
			make func(uint64) Scenario
			opts core.Options
			late bool
		}{
			{"own verdicts", GenerateMore, core.Options{Strict: true}, false},
			{"own verdicts, late outcomes", GenerateMore, core.Options{Strict: true}, true},
			{"reference quirks, late outcomes", GenerateMore, core.Options{Quirks: core.ReferenceQuirks().Quirks, StopAscending: true, Strict: true}, true},
			{"own verdicts, some are there already", GenerateFound, core.Options{Strict: true}, seed%2 == 1},
		} {
			if broken := playRandom(mode.make(seed), mode.opts, mode.late, &played); broken != "" {
				t.Fatalf("seed %d (-seed=%[1]d -sim.n=1), %s:\n%s", seed, mode.name, broken)
			}
		}
	}
	t.Logf("%d scenarios from seed %d in four modes: %d facts", *simN, *simSeed, played.facts)
	for _, kind := range []string{"removed [p", "added [p", "stopped [p", "denied", "being removed", "state", "hook"} {
		if *simN >= 500 && played.saw[kind] == 0 {
			t.Errorf("no answer or fact with %q in any scenario: the generator does not reach it", kind)
		}
	}
}

// tallyRandom notes what the scenarios reached.
type tallyRandom struct {
	facts int
	saw   map[string]int
}

// playRandom plays one scenario and returns the first broken promise.
func playRandom(sc Scenario, opts core.Options, late bool, played *tallyRandom) (broken string) {
	var r *rand.Rand
	if late {
		r = rand.New(rand.NewPCG(sc.Seed, 1))
	}
	w := NewWorld(opts, r)
	c := Watch(w, opts.Quirks, func(text string) {
		if broken == "" {
			broken = text
		}
	})
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Sprintf("at %v: panic: %v", w.Now(), p)
		}
		if broken != "" {
			broken += "\n" + traceEnd(w.Trace, 60)
		}
		played.facts += len(w.Trace)
		if played.saw == nil {
			played.saw = map[string]int{}
		}
		for _, f := range w.Trace {
			played.saw[f.Kind]++
			if f.Kind == "reply" && f.Text == "30" {
				played.saw["denied"]++
			}
			for _, part := range []string{"removed [p", "added [p", "stopped [p", "being removed"} {
				if f.Kind == "reply" && strings.Contains(f.Text, part) {
					played.saw[part]++
				}
			}
		}
	}()
	w.Run(sc)
	// The end: shutdown, which takes at most what the members of each group may take to die, one group after another.
	limit := 2 * time.Second
	for _, g := range sc.Groups {
		longest := time.Duration(0)
		for _, p := range g.Programs {
			longest = max(longest, time.Duration(p.StopWaitSecs)*time.Second)
		}
		limit += longest + 3*time.Second + 2*longestHook
	}
	w.Input(core.Command{Do: core.Quit{}})
	w.Until(w.Now() + limit)
	if !w.Halted {
		c.broken("no halt after %v", limit)
	}
	if left := c.Unanswered(); len(left) > 0 {
		c.broken("commands %v were never answered", left)
	}
	return broken
}

func traceEnd(trace []Fact, n int) string {
	var b strings.Builder
	for _, f := range trace[max(0, len(trace)-n):] {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}
