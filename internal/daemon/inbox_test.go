package daemon

import (
	"testing"
	"testing/synctest"

	"github.com/graced/graced/internal/core"
)

// TestAnswersPassAFlood: what a listener says is taken in the next turn, whatever waits, and a turn takes a bounded share of that. Once each answer
// waited behind all output, and a flood left a listener fewer events than Supervisor gives it.
func TestAnswersPassAFlood(t *testing.T) {
	b := newInbox()
	const piece = 64 << 10
	for range outputMost / piece {
		b.putOutput(core.Output{}, piece, core.Now{})
	}
	b.putAnswer(core.ListenerOutput{Data: []byte("READY\n")})
	answers, events, _, more := b.take()
	if len(answers) != 1 {
		t.Errorf("%d answers are taken in the first turn, want 1", len(answers))
	}
	if n := len(events) * piece; n == 0 || n > outputPerTurn || !more {
		t.Errorf("%d bytes of output are taken in one turn, more: %v; want up to %d and more", n, more, outputPerTurn)
	}
	for taken := len(events); taken < outputMost/piece; {
		answers, events, _, _ := b.take()
		if len(answers) != 0 || len(events) == 0 {
			t.Fatalf("%d answers and %d pieces in a later turn", len(answers), len(events))
		}
		taken += len(events)
	}
}

// TestFloodWaits: a giver of output waits when too much of it is there, until some was taken, or nobody takes any more.
func TestFloodWaits(t *testing.T) {
	for _, free := range []func(*inbox){func(b *inbox) { b.take() }, (*inbox).close} {
		synctest.Test(t, func(t *testing.T) {
			b := newInbox()
			b.putOutput(core.Output{}, outputMost+1, core.Now{})
			done := false
			go func() {
				b.putOutput(core.Output{}, 1, core.Now{})
				done = true
			}()
			synctest.Wait()
			if done {
				t.Error("the giver does not wait")
			}
			free(b)
			synctest.Wait()
			if !done {
				t.Error("the giver still waits")
			}
		})
	}
}
