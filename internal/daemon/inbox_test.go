package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
)

// TestAnswersPassAFlood: what a listener says is taken in the next turn, whatever waits, and a turn takes a bounded share of that. Once each answer
// waited behind all output, and a flood left a listener fewer events than Supervisor gives it.
func TestAnswersPassAFlood(t *testing.T) {
	b := newInbox()
	const piece = 64 << 10
	for range outputMost / piece {
		b.putOutput(heard{Input: core.Output{}}, piece, core.Now{})
	}
	b.putAnswer(heard{Input: core.ListenerOutput{Data: []byte("READY\n")}})
	answers, events, _ := b.take(true)
	more := b.leave()
	if len(answers) != 1 {
		t.Errorf("%d answers are taken in the first turn, want 1", len(answers))
	}
	if n := len(events) * piece; n == 0 || n > outputPerTurn || !more {
		t.Errorf("%d bytes of output are taken in one turn, more: %v; want up to %d and more", n, more, outputPerTurn)
	}
	for taken := len(events); taken < outputMost/piece; {
		answers, events, _ := b.take(true)
		if len(answers) != 0 || len(events) == 0 {
			t.Fatalf("%d answers and %d pieces in a later turn", len(answers), len(events))
		}
		taken += len(events)
	}
}

// TestFloodWaits: a giver of output waits when too much of it is there, until some was taken, or nobody takes any more.
func TestFloodWaits(t *testing.T) {
	for _, free := range []func(*inbox){func(b *inbox) { b.take(true) }, (*inbox).close} {
		synctest.Test(t, func(t *testing.T) {
			b := newInbox()
			b.putOutput(heard{Input: core.Output{}}, outputMost+1, core.Now{})
			done := false
			go func() {
				b.putOutput(heard{Input: core.Output{}}, 1, core.Now{})
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

// TestTurnNow: who brings an answer takes the turn, but leaves wishes to Run, which may need what the bringer holds, and everything when Run is
// at it already; Run hears of what is left.
func TestTurnNow(t *testing.T) {
	d := &Daemon{opts: Options{Wall: time.Now}, origin: time.Now(), inbox: newInbox(), loop: loop{core: core.New(core.Options{})}}
	woken := func() bool {
		select {
		case <-d.inbox.wake:
			return true
		default:
			return false
		}
	}
	d.inbox.putAnswer(heard{Input: core.ListenerOutput{}})
	if d.turnNow(); len(d.inbox.answers) != 0 || woken() {
		t.Errorf("a lone answer: %d left, or Run was woken", len(d.inbox.answers))
	}

	ran := false
	d.inbox.putWish(wish{do: func(core.Now) { ran = true }})
	woken()
	d.inbox.putAnswer(heard{Input: core.ListenerOutput{}})
	if d.turnNow(); len(d.inbox.answers) != 0 || ran || !woken() {
		t.Errorf("with a wish: %d answers left, wish carried out: %v; or Run was not woken for it", len(d.inbox.answers), ran)
	}

	d.turning.Lock()
	d.inbox.putAnswer(heard{Input: core.ListenerOutput{}})
	if d.turnNow(); len(d.inbox.answers) != 1 || !woken() {
		t.Errorf("while Run is at a turn: %d answers left, want 1; or Run was not woken for it", len(d.inbox.answers))
	}
	d.turning.Unlock()

	d.loop.halted = true
	if d.turnNow(); len(d.inbox.answers) != 1 {
		t.Error("a turn after the end")
	}
}

// TestIdleNews: news that nobody waits for wakes nobody, and comes with what does. A failure is not such news.
func TestIdleNews(t *testing.T) {
	b := newInbox()
	b.putEvent(host.StdinWritten{Token: 1, Idle: true}, core.Now{})
	if b.take(false); len(b.wake) != 0 || b.leave() {
		t.Error("idle news wakes somebody, or is left")
	}
	b.putEvent(host.StdinWritten{Token: 2, Idle: true}, core.Now{})
	b.take(true)
	b.putEvent(host.StdinWritten{Token: 3, Idle: true}, core.Now{})
	if b.leave() {
		t.Error("idle news that came in a turn asks for another")
	}
	b.putEvent(host.StdinWritten{Token: 4, Idle: true, Err: host.ErrStdinClosed}, core.Now{})
	if len(b.wake) != 1 {
		t.Error("a failure wakes nobody")
	}
	if _, events, _ := b.take(true); len(events) != 2 || b.idle != 0 {
		t.Errorf("%d events in the turn that a failure asked for, want 2; %d idle ones counted", len(events), b.idle)
	}
}

// TestNoWakeInATurn: what comes while somebody is at a turn wakes nobody, and is found when the turn ends.
func TestNoWakeInATurn(t *testing.T) {
	b := newInbox()
	b.take(true)
	b.putWish(wish{})
	if len(b.wake) != 0 {
		t.Error("somebody is woken during a turn")
	}
	if !b.leave() {
		t.Error("what came during a turn is not seen at its end")
	}
	b.putWish(wish{})
	if len(b.wake) != 1 {
		t.Error("nobody is woken after a turn")
	}
}

// TestWrittenIsNoted: what was written to a process is taken within a moment, also when nothing else happens; a turn that comes by itself spares the wake.
func TestWrittenIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox()
		defer b.close()
		woken := func() bool {
			select {
			case <-b.wake:
				return true
			case <-time.After(2 * idleMost):
				return false
			}
		}
		began := time.Now()
		b.putEvent(host.StdinWritten{Token: 1, Idle: true}, core.Now{})
		b.putEvent(host.StdinWritten{Token: 2, Idle: true}, core.Now{})
		if !woken() || time.Since(began) != idleMost {
			t.Errorf("woken after %v", time.Since(began))
		}
		if _, events, _ := b.take(true); len(events) != 2 || b.leave() {
			t.Errorf("%d events are taken", len(events))
		}
		b.putEvent(host.StdinWritten{Token: 3, Idle: true}, core.Now{})
		if list := b.takeIdle(); len(list) != 1 || woken() {
			t.Errorf("%d events are taken, and a turn follows all the same", len(list))
		}
		b.putEvent(host.StdinWritten{Token: 4, Idle: true, Err: host.ErrStdinClosed}, core.Now{})
		if !woken() {
			t.Error("a failed write wakes nobody")
		}
	})
}
