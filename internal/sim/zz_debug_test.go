package sim

import (
	"fmt"
	"os"
	"testing"

	"github.com/graced/graced/internal/core"
)

func TestZZ(t *testing.T) {
	seed := *simSeed
	st := GenerateDependent(seed)
	for _, gs := range [][]any{{"was", st.Boot}, {"is", st.Want}} {
		fmt.Fprintln(os.Stderr, gs[0])
	}
	for _, g := range st.Boot {
		for _, p := range g.Processes {
			fmt.Fprintln(os.Stderr, "was", g.Name, p.Name, p.Program, p.DependsOn, p.Autostart, p.Essential, p.Priority)
		}
	}
	for _, g := range st.Want {
		for _, p := range g.Processes {
			fmt.Fprintln(os.Stderr, "is", g.Name, p.Name, p.Program, p.DependsOn, p.Autostart, p.Essential, p.Priority)
		}
	}
	for _, c := range st.Commands {
		fmt.Fprintf(os.Stderr, "%+v\n", c)
	}
	w, l := NewMortal(core.Options{Strict: true, Identifier: "first", StopAscending: seed%2 == 0}, seed)
	l.Odds = 0
	WatchDependents(w, func(text string) { w.note("BROKEN", "", text) })
	w.Tell(st)
	for _, f := range w.Trace {
		if f.Kind != "look" && f.Kind != "spawn" {
			fmt.Fprintf(os.Stderr, "%9.6f %s\n", float64(f.At)/1e6, factText(f))
		}
	}
}
