package sim

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
)

var dependN = flag.Int("depend.n", 400, "number of random stories in which programs depend on one another")

// TestDependents tells random stories in which programs depend on one another, with a DependChecker and a Checker of all else. In the end everything is
// stopped. With -seed=N -depend.n=1 it tells one.
func TestDependents(t *testing.T) {
	saw := map[string]int{}
	for i := range *dependN {
		seed := *simSeed + uint64(i)
		if broken := tellDependent(seed, saw); broken != "" {
			t.Fatalf("seed %d (-seed=%[1]d -depend.n=1):\n%s", seed, broken)
		}
	}
	t.Logf("%d stories from seed %d: %v", *dependN, *simSeed, saw)
	for _, what := range []string{"starts", "waits", "stops after", "stopped", "summoned", "essential", "left out", "spared"} {
		if *dependN >= 400 && saw[what] == 0 {
			t.Errorf("no %q in any story: the generator does not reach it", what)
		}
	}
}

// oddSeeds are those of stories in which much happens in one step of the machine, or two operations have to do with one process. Each has been
// complained of, by reason or without.
var oddSeeds = []uint64{
	1005482, // a process ends, starts anew and is replaced in one step
	1008937, // an operation is going to stop a process that another one has stopped meanwhile
	1012749, // a plan removes what a start has waited for
	1029099, // the settings of a process that is being stopped lose their post_stop
	1043106, // a process comes back in the step in which the turn of another one has come to stop
	1049890, // everything is stopped while a process that was renamed is waited for
	1099341, // a start waits in vain, and is given up in the same step
	1163450, // a grace update comes while a stop has taken a process from an update
	2031959, // an act finds nothing of a group that an update has replaced meanwhile
	2205532, // a replacement ends, and goes back in the same step
}

// TestDependentsOdd tells those.
func TestDependentsOdd(t *testing.T) {
	for _, seed := range oddSeeds {
		if broken := tellDependent(seed, map[string]int{}); broken != "" {
			t.Errorf("seed %d: %s", seed, broken)
		}
	}
}

// tellDependent tells such a story, and returns the first promise that is broken; "" = none is.
func tellDependent(seed uint64, saw map[string]int) (broken string) {
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Sprint(p)
		}
	}()
	opts := dependOptions(seed)
	st, w := GenerateDependent(seed), NewWorld(opts, nil)
	fail := func(text string) {
		if broken == "" {
			broken = text
		}
	}
	Watch(w, opts.Quirks, fail).Patience = time.Hour // a start may wait for long
	promises := w.Watch
	c := WatchDependents(w, fail)
	dependencies := w.Watch
	w.Watch = func(now time.Duration, in core.Input, out []core.Effect) {
		promises(now, in, out)
		dependencies(now, in, out)
	}
	w.lives, w.Want = st.Lives, st.Want
	for _, c := range st.Commands {
		w.at(microseconds(c.At), func() { w.Command(c) })
	}
	w.Input(core.Command{Do: core.AddGroups{Groups: st.Boot, Boot: true}})
	w.Until(st.End)
	w.Input(core.Command{Do: core.Quit{}})
	w.Until(w.now + 5*time.Minute)
	if !w.Halted {
		fail("everything is stopped, and does not come to its end")
	}
	for what, n := range c.Saw {
		saw[what] += n
	}
	return broken
}

func dependOptions(seed uint64) core.Options {
	return core.Options{Strict: true, Identifier: "first", StopAscending: seed%2 == 0}
}

var dependCrashN = flag.Int("depend.crash.n", 40, "number of such stories in which the daemon dies")

// TestDependentsCrash tells the same stories once with a daemon that lives and once with one that dies again and again: nobody can tell one from the
// other. With -seed=N -depend.crash.n=1 it tells one.
func TestDependentsCrash(t *testing.T) {
	deaths := 0
	for i := range *dependCrashN {
		seed := *simSeed + uint64(i)
		st := GenerateDependent(seed)
		lives, _ := tellStory(st, dependOptions(seed), 0)
		dies, n := tellStory(st, dependOptions(seed), []int{3, 10, 40}[seed%3])
		deaths += n
		if d := apart(lives, dies); d != "" {
			t.Fatalf("seed %d (-seed=%[1]d -depend.crash.n=1), after %d deaths:\n%s", seed, n, d)
		}
	}
	t.Logf("%d stories from seed %d, %d deaths", *dependCrashN, *simSeed, deaths)
}
