package sim

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/graced/graced/internal/core"
)

// Ledger is what the daemon of a world has written down, and decides when it dies. Each step is written before any of its effects is carried out:
// what a daemon that died was about to do is found again in Supervisor.Pending.
type Ledger struct {
	// Odds is one in how many places the daemon dies: before a step is written, and before and after each of its effects. 0: never.
	Odds   int
	Deaths int
	// Restored, when set, sees the machine that died after a step was written, and the one that came back.
	Restored func(died, back *core.Supervisor)

	world    *World
	opts     core.Options
	dice     *dice
	seldom   int           // one in how many inputs is followed by a snapshot
	snapshot core.Snapshot // as encoding/gob has written and read it
	records  []byte        // since the snapshot
}

// newLedger begins the ledger of a world whose machine has not made a step.
func newLedger(w *World, opts core.Options, seed uint64) *Ledger {
	l := &Ledger{world: w, opts: opts, dice: &dice{rand.New(rand.NewPCG(seed, 0xdead))}}
	l.seldom = pick(l.dice, 1, 8, 40)
	l.takeSnapshot()
	return l
}

func (l *Ledger) takeSnapshot() {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(l.world.Core.Snapshot()); err != nil {
		panic(fmt.Sprintf("sim: cannot write a snapshot: %v", err))
	}
	l.snapshot, l.records = core.Snapshot{}, nil
	if err := gob.NewDecoder(&b).Decode(&l.snapshot); err != nil {
		panic(fmt.Sprintf("sim: cannot read a snapshot: %v", err))
	}
}

func (l *Ledger) dies() bool { return l.Odds > 0 && l.dice.one(l.Odds) }

// step makes a step and writes it down. A daemon that dies in between is given its input again.
func (l *Ledger) step(now core.Now, in core.Input) []core.Effect {
	for {
		s := l.world.Core
		_, tick := in.(core.Tick)
		idle := tick && !s.Due(now)
		out := s.Step(now, in)
		if l.dies() {
			l.restart(false)
			continue
		}
		if !idle {
			l.write(s.Now(), in)
		}
		return out
	}
}

func (l *Ledger) write(now core.Now, in core.Input) {
	var err error
	if l.records, err = core.AppendInput(l.records, now, in); err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	if l.Odds > 0 && l.dice.one(l.seldom) {
		l.takeSnapshot()
	}
}

// act carries out the effects of a step that is written, as far as the daemon lives. What it has published counts as told.
func (l *Ledger) act(in core.Input, out []core.Effect) {
	w := l.world
	for _, e := range out {
		w.tell(e)
	}
	died := false
	for i := 0; i <= len(out) && !died && !w.Halted; i++ {
		if died = l.dies(); !died && i < len(out) {
			w.keeper.effect(out[i])
		}
	}
	if !died {
		return
	}
	l.restart(true)
	if again, ok := in.(core.Exited); ok { // the keeper does not know yet that it is written
		w.Input(again)
	}
}

// restart lets the daemon die and come back from what is written.
func (l *Ledger) restart(written bool) {
	l.Deaths++
	died := l.world.Core
	s := core.Restore(l.opts, l.snapshot)
	for d := core.NewInputDecoder(l.records); ; {
		now, in, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			panic(fmt.Sprintf("sim: %v", err))
		}
		s.Step(now, in)
	}
	if written && l.Restored != nil {
		l.Restored(died, s)
	}
	l.world.Core = s
	l.world.keeper.newDaemon(s)
}
