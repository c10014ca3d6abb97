package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
)

func TestZZ3(t *testing.T) {
	seed := *simSeed
	st := GenerateDependent(seed)
	for _, g := range st.Boot {
		for _, p := range g.Processes {
			fmt.Println("was", g.Name, p.Name, p.Program, p.DependsOn, p.Autostart, p.Essential, p.Priority, p.Roll)
		}
	}
	for _, g := range st.Want {
		for _, p := range g.Processes {
			fmt.Println("is", g.Name, p.Name, p.Program, p.DependsOn, p.Autostart, p.Essential, p.Priority, p.Roll)
		}
	}
	for _, c := range st.Commands {
		fmt.Printf("%+v\n", c)
	}
	w := NewWorld(core.Options{Strict: true, Identifier: "first"}, nil)
	w.Verbose = true
	Watch(w, core.Quirks{}, func(text string) { w.note("BROKEN", "", text) }).Patience = time.Hour
	w.lives, w.Want = st.Lives, st.Want
	for _, c := range st.Commands {
		w.at(microseconds(c.At), func() { w.Command(c) })
	}
	w.Input(core.Command{Do: core.AddGroups{Groups: st.Boot, Boot: true}})
	w.Until(st.End)
	w.Input(core.Command{Do: core.Quit{}})
	w.Until(w.now + 5*time.Minute)
	for _, f := range w.Trace {
		fmt.Printf("%9.6f %s\n", float64(f.At)/1e6, factText(f))
	}
}
