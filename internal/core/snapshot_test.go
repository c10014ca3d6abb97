package core_test

import (
	"bytes"
	"encoding/gob"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/sim"
)

// written takes a snapshot through encoding/gob.
func written(t testing.TB, s core.Snapshot) (out core.Snapshot) {
	t.Helper()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&b).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRestore checks at every third step of random scenarios that a machine made from a snapshot is the same in every field.
func TestRestore(t *testing.T) {
	opts := core.Options{Strict: true, Identifier: "id"}
	for seed := range uint64(25) {
		w := sim.NewWorld(opts, rand.New(rand.NewPCG(seed, 1)))
		steps := 0
		w.Watch = func(now time.Duration, in core.Input, _ []core.Effect) {
			if steps++; steps%3 > 0 {
				return
			}
			if d := core.Differs(w.Core, core.Restore(opts, w.Core.Snapshot())); d != "" {
				t.Fatalf("seed %d at %v after %T: %s", seed, now, in, d)
			}
			if d := core.Differs(w.Core, core.Restore(opts, written(t, w.Core.Snapshot()))); d != "" {
				t.Fatalf("seed %d at %v after %T, by way of gob: %s", seed, now, in, d)
			}
		}
		w.Run(sim.GenerateFound(seed))
	}
}

// TestRestoreAndReplay checks the same, in stories in which the daemon dies, of machines that come back from a snapshot and the inputs since.
func TestRestoreAndReplay(t *testing.T) {
	opts := core.Options{Strict: true, Identifier: "id"}
	for seed := range uint64(16) {
		w, l := sim.NewMortal(opts, seed)
		l.Odds = 10
		l.Restored = func(died, back *core.Supervisor) {
			if now := died.Now(); !back.Due(now) {
				back.Step(now, core.Tick{}) // one that is not written
			}
			if d := core.Differs(died, back); d != "" {
				t.Fatalf("seed %d at %v: %s", seed, w.Now(), d)
			}
		}
		w.Tell(sim.GenerateStory(seed))
		if l.Deaths == 0 {
			t.Errorf("seed %d: no death", seed)
		}
	}
}

// TestRestoreRolls checks at every third step of rolls, many of which have extra processes, what TestRestore does.
func TestRestoreRolls(t *testing.T) {
	opts := core.Options{Strict: true, Identifier: "id"}
	for seed := range uint64(100) {
		w, _ := sim.NewMortal(opts, seed)
		steps := 0
		w.Watch = func(now time.Duration, in core.Input, _ []core.Effect) {
			if steps++; steps%3 > 0 {
				return
			}
			if d := core.Differs(w.Core, core.Restore(opts, written(t, w.Core.Snapshot()))); d != "" {
				t.Fatalf("seed %d at %v after %T: %s", seed, now, in, d)
			}
		}
		w.Tell(sim.GenerateRollStory(seed))
	}
}

// BenchmarkSnapshot measures the snapshot of 1,000 processes, alone and with all it takes to come back from it.
func BenchmarkSnapshot(b *testing.B) {
	s, _ := many(1000)
	b.Run("take", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			s.Snapshot()
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		var buf bytes.Buffer
		for range b.N {
			buf.Reset()
			if err := gob.NewEncoder(&buf).Encode(s.Snapshot()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(buf.Len()), "bytes")
	})
	b.Run("restore", func(b *testing.B) {
		from := s.Snapshot()
		b.ReportAllocs()
		for range b.N {
			core.Restore(core.Options{}, from)
		}
	})
}

// TestRestoreAct checks that what was found about the commands of an Act comes back with it.
func TestRestoreAct(t *testing.T) {
	opts := core.Options{Strict: true}
	b := newBench(opts, matrixSpec)
	refused := map[process.ID]*core.Fault{b.id: {Kind: core.NoFile, Text: "f"}}
	b.do(core.Start{Target: target})
	b.spawned()
	b.do(core.Act{Op: 1, Targets: []core.Target{{All: true}}, Stop: true, Start: true, AtOnce: 1, Refused: refused})
	back := core.Restore(opts, written(t, b.Snapshot()))
	if d := core.Differs(b.Supervisor, back); d != "" {
		t.Error(d)
	}
	cancelled := core.Restore(opts, b.Snapshot())
	cancelled.Step(core.Now{Mono: time.Second}, core.Command{Do: core.CancelUpdate{Op: 1}}) // the start is over before the stop
	if d := core.Differs(cancelled, core.Restore(opts, written(t, cancelled.Snapshot()))); d != "" {
		t.Errorf("cancelled: %s", d)
	}
	out := back.Step(core.Now{Mono: time.Second}, core.Exited{ID: b.id, Incarnation: b.inc})
	if r, ok := out[len(out)-1].(core.Reply); !ok || len(r.Updated) == 0 || r.Updated[len(r.Updated)-1].Fault == nil || r.Updated[len(r.Updated)-1].Fault.Kind != core.NoFile {
		t.Errorf("the restart ends with %+v", out[len(out)-1])
	}
}
