package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/graced/graced/internal/core"
)

var crashN = flag.Int("crash.n", 60, "number of random stories in which the daemon dies")

// TestCrash tells random stories, once with a daemon that lives and once with one that dies again and again, and comes back from what it has written:
// nobody can tell one from the other. With -seed=N -crash.n=1 it tells one.
func TestCrash(t *testing.T) {
	saw, deaths, facts := map[string]int{}, 0, 0
	for i := range *crashN {
		seed := *simSeed + uint64(i)
		opts := core.Options{Strict: true, Identifier: "first"}
		if seed%5 == 0 {
			opts = core.ReferenceQuirks()
			opts.Strict = true
		}
		st := GenerateStory(seed)
		lives, _ := tellStory(st, opts, 0)
		dies, n := tellStory(st, opts, []int{3, 10, 40, 1000}[seed/2%4])
		deaths += n
		facts += len(lives)
		for _, f := range lives {
			saw[f.Kind]++
			for _, what := range crashWords {
				if strings.Contains(f.Text, what) {
					saw[what]++
				}
			}
		}
		if d := apart(lives, dies); d != "" {
			t.Fatalf("seed %d (-seed=%[1]d -crash.n=1), after %d deaths:\n%s", seed, n, d)
		}
	}
	t.Logf("%d stories from seed %d: %d facts, %d deaths; %v", *crashN, *simSeed, facts, deaths, saw)
	for _, what := range append(crashWords, "state", "signal", "spawn", "stdin", "hook", "reply", "halt") {
		if *crashN >= 60 && saw[what] == 0 {
			t.Errorf("no %q in any story: the generator does not reach it", what)
		}
	}
}

// TestCrashRolls does the same with rolls of groups, of which many bring extra processes. With -seed=N -crash.n=1 it tells one.
func TestCrashRolls(t *testing.T) {
	extras, deaths := 0, 0
	for i := range *crashN {
		seed := *simSeed + uint64(i)
		opts := core.Options{Strict: true, Identifier: "first"}
		st := GenerateRollStory(seed)
		lives, _ := tellStory(st, opts, 0)
		dies, n := tellStory(st, opts, []int{3, 10, 40}[seed%3])
		deaths += n
		for _, f := range lives {
			if strings.Contains(f.Text, "Extra:true") {
				extras++
			}
		}
		if d := apart(lives, dies); d != "" {
			t.Fatalf("seed %d (-seed=%[1]d -crash.n=1), after %d deaths:\n%s", seed, n, d)
		}
		if last := lives[len(lives)-1]; last.Kind == "panic" {
			t.Fatalf("seed %d: %s", seed, last.Text)
		}
	}
	t.Logf("%d stories from seed %d: %d deaths, extra processes seen %d times", *crashN, *simSeed, deaths, extras)
	if *crashN >= 60 && (extras == 0 || deaths == 0) {
		t.Error("no death while there is an extra process: the generator does not reach it")
	}
}

// crashWords are in what the stories have to tell.
var crashWords = []string{
	"eventname:TICK_5", "eventname:PROCESS_LOG_STDERR", "eventname:PROCESS_COMMUNICATION_STDOUT", "eventname:REMOTE_COMMUNICATION", "EventDiscarded", "EventRebuffered",
	"EventNotSent", "BadResultLine", "ListenerChanged", "StepBegan", "StepEnded", "MemberRenamed", "ChangeLogs", "WaitingToStop", "WaitingToDie", "mark 1", "waits for update",
	"WornOut", "BreakerOpened", "BreakerClosed", "ProbeFailed", "Waits {", "DrainBegan", "HookProblem", "did not end within", "scale-down of pid", "update of pid",
	"Option:pre_start", "Option:post_ready", "Option:pre_stop", "Option:post_stop", "Text:pre_start: ",
}

// tellStory returns the trace of a story, in which the daemon dies at one in so many places, and how often it died. A panic is a fact.
func tellStory(st Story, opts core.Options, odds int) (trace []Fact, deaths int) {
	w, l := NewMortal(opts, st.Seed)
	l.Odds = odds
	defer func() {
		if p := recover(); p != nil {
			w.note("panic", "", fmt.Sprint(p))
		}
		trace, deaths = w.Trace, l.Deaths
	}()
	w.Tell(st)
	return
}

// apart returns where two traces part, "" when nothing and nobody sees anything else in one than in the other: each subject has its own order, and
// signals and spawns have one over all.
func apart(lives, dies []Fact) string {
	for _, in := range []struct {
		name string
		key  func(Fact) string
	}{
		{"order of deeds", func(f Fact) string {
			if f.Kind == "signal" || f.Kind == "spawn" || f.Kind == "stdin" {
				return "deeds"
			}
			return ""
		}},
		{"facts", func(f Fact) string { return f.Kind + " " + f.Subject }},
	} {
		a, b := map[string][]Fact{}, map[string][]Fact{}
		var order []string
		for i, trace := range [][]Fact{lives, dies} {
			into := []map[string][]Fact{a, b}[i]
			for _, f := range trace {
				k := in.key(f)
				if len(a[k])+len(b[k]) == 0 {
					order = append(order, k)
				}
				into[k] = append(into[k], f)
			}
		}
		first, at := "", int64(1<<62)
		for _, k := range order {
			i, same := firstApart(a[k], b[k])
			if k == "" || same {
				continue
			}
			d := difference(in.name+" of "+k, a[k], b[k], i)
			if d.At < at {
				first, at = d.String(), d.At
			}
		}
		if first != "" {
			return strings.NewReplacer("reference:", "lives:", "core:", "dies:").Replace(first)
		}
	}
	return ""
}

func firstApart(a, b []Fact) (int, bool) {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i, false
		}
	}
	return 0, true
}
