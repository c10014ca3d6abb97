package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/store"
)

// recall takes over the operations of earlier daemons: numbers go on, and what the end of the last of them cut off is interrupted.
func (o *operations) recall(kept *store.Store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = uint64(kept.NextOperation() - 1)
	for _, was := range kept.Operations() {
		about := control.Operation{
			Schema: control.OperationSchema, ID: operationName(uint64(was.ID)), Kind: was.Kind, Who: was.Who, Plan: was.Plan, State: control.OperationState(was.Result),
			Text: was.Text, Failed: was.Failed, To: was.To, Began: was.Began, Steps: was.Steps, Done: was.Done, Events: []control.ProgressLine{}, Earlier: was.Result != "",
		}
		if !was.Ended.IsZero() {
			about.Ended = &was.Ended
		}
		for _, l := range kept.Lines(was.ID) {
			about.Events = append(about.Events, control.ProgressLine{
				Time: l.Time, Type: l.Type, Process: l.Process, From: l.From, Action: l.Action, OldPID: l.OldPID, PID: l.PID,
				Error: l.Error, Skipped: l.Skipped, Undo: l.Undo, Text: l.Text, Output: lines(l.Output), Channel: control.Channel(l.Channel), FaultCode: control.Code(l.FaultCode),
			})
		}
		op := newOperation(uint64(was.ID))
		op.about = about
		if was.Result == "" {
			op.about.State, op.about.Text = control.OperationInterrupted, cutText(about)
			o.cut = append(o.cut, op)
		}
		close(op.over)
		o.list = append(o.list, op)
	}
}

// lines are what a program wrote, as it is kept.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// goOnWith makes an operation one that is under way again, though an earlier daemon began it. What the disk has not got of it is in what was saved.
func (o *operations) goOnWith(number uint64, saved savedBegun) *operation {
	op := o.known(number)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut = slices.DeleteFunc(o.cut, func(c *operation) bool { return c == op })
	if op.about.Kind == "" {
		op.about.Kind, op.about.Who, op.about.Began = saved.Kind, saved.Who, saved.Began
	}
	if op.about.Steps == 0 {
		op.about.Plan, op.about.To, op.about.Steps = saved.Plan, saved.To, saved.Steps
	}
	op.about.State, op.about.Text, op.about.Ended, op.about.Earlier = control.OperationRunning, "", nil, false
	op.over = make(chan struct{})
	op.acts = actVerbs[op.about.Kind]
	return op
}

// actVerbs are the kinds of operations that start and stop, and change no settings.
var actVerbs = map[string]bool{"start": true, "stop": true, "restart": true}

// goOnWithOperations sees those through that a daemon before has begun.
func (d *Daemon) goOnWithOperations() {
	for number, req := range d.loop.core.Underway() {
		op := d.operations.goOnWith(number, d.loop.begun[number])
		if req == 0 {
			continue
		}
		done := make(chan core.Reply, 1)
		d.loop.replies[req] = done
		known := len(op.about.Events)
		d.changing.Go(func() { d.keepOperation(op, d.follow(op, done, known)) })
	}
}

func operationName(n uint64) string { return fmt.Sprintf("op-%d", n) }

// cutText says how far an operation had come when its daemon ended, as far as that is known.
func cutText(about control.Operation) string {
	if about.Steps == 0 {
		return "the daemon ended before it began"
	}
	open := []string{}
	for _, e := range about.Events {
		at := -1
		for i, name := range open {
			if name == e.Process {
				at = i
			}
		}
		switch {
		case e.Type == "begin":
			open = append(open, e.Process)
		case at >= 0:
			open = append(open[:at], open[at+1:]...)
		}
	}
	text := fmt.Sprintf("the daemon ended after %d of %d processes", about.Done, about.Steps)
	if len(open) > 0 {
		text += ", within " + strings.Join(open, ", ")
	}
	return text
}

// keepOperation writes down how an operation goes, with its events after the first so many. It returns how many it has now, and what tells of
// more. It waits for the disk: who watches the operation does not.
func (d *Daemon) keepOperation(op *operation, after int) (count int, changed <-chan struct{}) {
	d.noteBoot() // what it changes is known from then on, whatever becomes of this daemon
	about, changed := d.operations.show(op, after)
	o := store.Operation{
		ID: int(op.number), Kind: about.Kind, Who: about.Who, Plan: about.Plan, Began: about.Began, Text: about.Text, Steps: about.Steps, Done: about.Done,
		Failed: about.Failed, To: about.To,
	}
	if about.State.Over() {
		o.Result = string(about.State)
	}
	if about.Ended != nil {
		o.Ended = *about.Ended
	}
	lines := make([]store.Line, len(about.Events))
	for i, e := range about.Events {
		lines[i] = store.Line{
			Time: e.Time, Type: e.Type, Process: e.Process, From: e.From, Action: e.Action, OldPID: e.OldPID, PID: e.PID,
			Error: e.Error, Skipped: e.Skipped, Undo: e.Undo, Text: e.Text, Output: strings.Join(e.Output, "\n"), Channel: string(e.Channel), FaultCode: int(e.FaultCode),
		}
	}
	d.state.write(func(s *store.Store) error { return s.SetOperation(o, lines...) })
	return about.Count, changed
}

// noteCut writes down which operations the end of an earlier daemon cut off.
func (d *Daemon) noteCut() {
	for _, op := range d.operations.cut {
		d.keepOperation(op, len(op.about.Events))
	}
}
