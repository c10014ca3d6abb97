package host

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestEager: a pipe of a dialogue is waited for hotly after the process was spoken to, no longer than a spell, and more and more seldom while no
// answer comes by then.
func TestEager(t *testing.T) {
	pass := func(d time.Duration) { <-time.After(d) } // virtual time: the bubble's clock jumps to the next timer
	synctest.Test(t, func(t *testing.T) {
		out := discard{}
		p := &proc{req: SpawnRequest{Stdout: out}}
		w := &watch{p: p, out: out}
		if w.spokenTo() {
			t.Error("an answer is expected before anything was said")
		}
		speak := func() bool {
			p.spokenTo.Store(true)
			return w.spokenTo() && w.worthIt()
		}
		for want := range 8 { // each spell in vain
			skipped := 0
			for !speak() {
				skipped++
			}
			if most := 1 << min(want, 6); want == 0 && skipped != 0 || want > 0 && skipped != most {
				t.Errorf("after %d spells in vain %d answers are not waited for, want %d", want, skipped, most)
			}
			pass(spell - time.Nanosecond)
			if w.silent(0) {
				t.Error("given up within the spell")
			}
			pass(time.Nanosecond)
			if !w.silent(0) {
				t.Error("not given up after the spell")
			}
		}
		for !speak() {
		}
		p.spokenTo.Store(true)
		pass(spell / 2)
		if w.silent(20) {
			t.Error("given up at an answer that was followed by more to say")
		}
		pass(spell * 3 / 4)
		if w.silent(20) {
			t.Error("the spell did not begin anew")
		}
		pass(spell)
		if !w.silent(20) {
			t.Error("not given up with nothing more said")
		}
		if w.spare != 0 || w.vain != 0 {
			t.Errorf("an answer came in time, yet %d answers are not waited for", w.spare)
		}
	})
}

// TestStderrIsNoAnswer: only standard output answers.
func TestStderrIsNoAnswer(t *testing.T) {
	p := &proc{}
	w := &watch{p: p, out: discard{}}
	p.spokenTo.Store(true)
	if w.spokenTo() || !p.spokenTo.Load() {
		t.Error("standard error took what standard output is to answer")
	}
}
