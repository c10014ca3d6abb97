package daemon

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/store"
)

// waitingIn returns what a daemon that reads those frames knows of operations that wait, and how many of them say so or the contrary.
func waitingIn(t *testing.T, frames []byte) (waiting map[uint64]savedWaiting, told int) {
	t.Helper()
	left := &Left{waiting: map[uint64]savedWaiting{}}
	for _, f := range store.Frames(frames) {
		if f.Kind != frameWaiting {
			continue
		}
		told++
		if err := left.take(f, nil); err != nil {
			t.Error(err)
		}
	}
	return left.waiting, told
}

// TestWaitingIsNoted follows the note that an operation waits from its making to its end: it says all that is needed to begin the operation, it is made
// once, and taken back once.
func TestWaitingIsNoted(t *testing.T) {
	inWorld(t, program("web", 1, "stopwaitsecs=3"), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.host.set(w.host.deaf, "web_0") // and its end comes with SIGKILL
		inLoop := func(f func()) {
			t.Helper()
			if !w.d.do(ctx, func(core.Now) { f() }) {
				t.Fatal("the loop does not run")
			}
		}
		noted := func() (list []string) {
			inLoop(func() {
				for _, s := range w.d.loop.waiting {
					list = append(list, operationName(s.Number))
				}
			})
			slices.Sort(list)
			return list
		}
		restart := func() control.Operation {
			t.Helper()
			op, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:web_0"}, Who: "anna"})
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
		first, second, third := restart(), restart(), restart()
		if got, want := fmt.Sprint(noted()), fmt.Sprint([]string{second.ID, third.ID}); got != want {
			t.Errorf("noted are %s, want %s", got, want)
		}
		op := w.d.operations.numbered(2)
		inLoop(func() {
			l := &w.d.loop.ledger
			defer func() { *l = ledger{} }()
			l.to = &store.Ledger{} // of this turn nothing is written
			w.d.noteWaiting(op)
			if len(l.frames) > 0 {
				t.Error("it is noted a second time")
			}
			all, err := w.d.everything()
			if err != nil {
				t.Error(err)
				return
			}
			saved, told := waitingIn(t, all)
			if told != 2 || len(saved) != 2 {
				t.Errorf("a new ledger says %v", saved)
			}
			s := saved[2]
			want := `{"act":{"verb":"restart","names":["web:web_0"]`
			if s.Number != 2 || s.Kind != "restart" || s.Who != "anna" || s.Began.IsZero() || len(s.Request) < len(want) || string(s.Request[:len(want)]) != want {
				t.Errorf("of the second it says %+v: %s", s, s.Request)
			}
			for range 2 {
				w.d.waitsNoMore(op)
			}
			if saved, told := waitingIn(t, append(all, l.frames...)); told != 3 || len(saved) != 1 || saved[3].Number != 3 {
				t.Errorf("after the second has begun it says %v, in %d frames", saved, told)
			}
			w.d.noteWaiting(op) // it waits again
			if saved, told := waitingIn(t, append(all, l.frames...)); told != 4 || len(saved) != 2 {
				t.Errorf("after it waits again it says %v, in %d frames", saved, told)
			}
		})
		if err := w.d.CancelOperation(ctx, third.ID); err != nil {
			t.Fatal(err)
		}
		w.settle(ctx, third)
		pass(time.Second)
		if got, want := fmt.Sprint(noted()), fmt.Sprint([]string{second.ID}); got != want {
			t.Errorf("after a cancel noted are %s, want %s", got, want)
		}
		w.settle(ctx, first)
		pass(time.Millisecond)
		if got := noted(); len(got) > 0 {
			t.Errorf("the second has begun, and noted are %v", got)
		}
		w.settle(ctx, second)
	})
}
