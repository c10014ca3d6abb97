package daemon

import (
	"context"
	"fmt"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
)

// hindrance is an operation that something has to wait for.
type hindrance struct {
	op      *operation      // nil: it has just ended
	further <-chan struct{} // closed when there is news of it: it is worth to try again
}

// hindrance looks at an operation that something has to wait for. It runs in the loop, so that no news is missed.
func (d *Daemon) hindrance(number uint64) hindrance {
	op := d.operations.numbered(number)
	if op == nil {
		now := make(chan struct{})
		close(now)
		return hindrance{further: now}
	}
	_, further := d.operations.show(op, 0)
	return hindrance{op, further}
}

// standsPaused refuses what would have to wait until somebody decides about an operation.
func (d *Daemon) standsPaused(number uint64) *core.Fault {
	return &core.Fault{Kind: core.Failed, Text: fmt.Sprintf("%s is paused: gracectl resume %[1]s lets it go on, gracectl cancel %[1]s ends it", operationName(number))}
}

// free reports whether a command has to wait for nothing. It runs in the loop.
func (d *Daemon) free(verb core.Verb) bool {
	_, blocked := d.loop.core.Blocked(verb)
	return !blocked
}

// refusal is the refusal of a command, nil if it may be given now or after a while. It runs in the loop.
func (d *Daemon) refusal(verb core.Verb) error {
	if by, yes := d.loop.core.Blocked(verb); yes && by.Paused {
		return faultError(d.standsPaused(by.Op))
	}
	return nil
}

// refusalNotes says that a plan would be refused now. It runs in the loop.
func (d *Daemon) refusalNotes(u plan.Update) []control.PlanNote {
	if err := d.refusal(core.Update{Plan: u}); err != nil {
		return []control.PlanNote{{Code: control.NoteRefused, Message: refusalText(err)}}
	}
	return nil
}

// bid is what a command is known by that is no operation, while it has to wait for one: an operation of the list, which can be seen and cancelled. It is
// withdrawn when nobody waits for its answer any more.
type bid struct {
	kind string
	who  func() string
	op   *operation // nil: it has not had to wait
}

// newBid makes the bid of a command.
func newBid(ctx context.Context, verb core.Verb) *bid {
	return &bid{kind: bidKind(verb), who: func() string { return control.Caller(ctx) }}
}

func bidKind(verb core.Verb) string {
	switch verb.(type) {
	case core.Start:
		return control.ActStart
	case core.Stop:
		return control.ActStop
	case core.AddGroups, core.AddProcesses:
		return "add"
	case core.RemoveGroup, core.RemoveProcess:
		return "remove"
	}
	return "update"
}

// awaitBid lets it be seen that a command waits, and for what. The channel is closed when somebody has cancelled it.
func (d *Daemon) awaitBid(t *bid, by hindrance) (cancelled <-chan struct{}) {
	if by.op == nil {
		return nil
	}
	fresh := t.op == nil
	if fresh {
		t.op = d.operations.add(t.kind, t.who(), d.opts.Wall())
		d.operations.mu.Lock()
		t.op.request = true
		d.operations.mu.Unlock()
	}
	d.operations.waitsFor(t.op, by.op)
	if fresh {
		d.keepOperation(t.op, 0)
	}
	return t.op.over
}

// comes notes that a command has come to its turn. It reports false when it was cancelled. It runs in the loop.
func (t *bid) comes(d *Daemon) bool {
	return t == nil || t.op == nil || d.operations.change(t.op, func(about *control.Operation) {
		about.State, about.Behind, about.BehindState = control.OperationRunning, "", ""
	})
}

// endBid notes how a command ended that had to wait. One that has not begun never will.
func (d *Daemon) endBid(ctx context.Context, b *bid, err error) {
	if b.op == nil || d.life.Err() != nil || control.PassedOn(ctx) { // the next daemon says so
		return
	}
	about, _ := d.operations.show(b.op, 0)
	state, text := control.OperationDone, ""
	switch begun := about.State == control.OperationRunning; {
	case ctx.Err() != nil && begun:
		text = "its client had gone before it was over"
	case ctx.Err() != nil:
		state, text = control.OperationCancelled, "its client has gone"
	case err != nil:
		state, text = control.OperationFailed, refusalText(err)
	}
	d.conclude(b.op, state, text)
	d.keepOperation(b.op, 0)
}
