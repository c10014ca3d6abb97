package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
)

func TestZZ2(t *testing.T) {
	kinds := map[string]int{}
	for i := range 10000 {
		seed := *simSeed + uint64(i)
		st := GenerateDependent(seed)
		opts := core.Options{Strict: true, Identifier: "first"}
		w := NewWorld(opts, nil)
		n := 0
		c := Watch(w, opts.Quirks, func(text string) {
			if n++; n < 2 {
				kinds[fmt.Sprint(seed, " ", text)]++
			}
		})
		c.Patience = time.Hour
		w.lives, w.Want = st.Lives, st.Want
		for _, c := range st.Commands {
			w.at(microseconds(c.At), func() { w.Command(c) })
		}
		w.Input(core.Command{Do: core.AddGroups{Groups: st.Boot, Boot: true}})
		w.Until(st.End)
		w.Input(core.Command{Do: core.Quit{}})
		w.Until(w.now + 5*time.Minute)
	}
	for k := range kinds {
		fmt.Println(k)
	}
}
