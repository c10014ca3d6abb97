package daemon

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
)

// asked is what an operation is about. It is kept while the operation waits for its turn, so that a daemon that comes after can begin it. One of the
// requests is there.
type asked struct {
	Act    *control.ActRequest    `json:"act,omitempty"`
	Update *control.UpdateRequest `json:"update,omitempty"`
	Scale  *control.ScaleRequest  `json:"scale,omitempty"`
	// Groups and Override are those of an update. A plan says them itself, and is not known to another daemon.
	Groups   []string      `json:"groups"`
	Override plan.Override `json:"override,omitzero"`
}

// savedWaiting is an operation that waits; without a request it does not any more.
type savedWaiting struct {
	Number    uint64
	Kind, Who string
	To        int
	Began     time.Time
	Request   []byte // asked
}

// savedBegun is an operation that has begun. The state directory may get to know of it later than the ledger: what is under way must not be taken for unknown,
// nor its number be given again.
type savedBegun struct {
	Number          uint64
	Kind, Who, Plan string
	To, Steps       int
	Began           time.Time
}

// noteBegun notes in the ledger that an operation begins. It runs in the loop.
func (d *Daemon) noteBegun(op *operation) {
	about, _ := d.operations.show(op, 0)
	saved := savedBegun{op.number, about.Kind, about.Who, about.Plan, about.To, about.Steps, about.Began}
	d.loop.begun[op.number] = saved
	d.frame(frameBegun, saved)
}

// beginner begins an operation, or says what it has to wait for; see Daemon.begin.
type beginner func() (done <-chan core.Reply, wait <-chan struct{}, err error)

// beginning returns what begins an operation.
func (d *Daemon) beginning(op *operation, a asked) (beginner, error) {
	op.asked = &a
	switch {
	case a.Act != nil && a.Act.Rolling:
		return d.beginRolling(op, *a.Act)
	case a.Act != nil:
		do, err := actOf(*a.Act)
		op.acts, do.Op = true, op.number
		return func() (<-chan core.Reply, <-chan struct{}, error) { return d.beginActs(op, do) }, err
	case a.Scale != nil:
		victim := victims[a.Scale.Victim] // it was looked at when the request came
		return func() (<-chan core.Reply, <-chan struct{}, error) { return d.beginScale(op, *a.Scale, victim) }, nil
	case a.Update.To != 0:
		return d.beginRollback(op, *a.Update, a.Groups, a.Override)
	}
	return func() (<-chan core.Reply, <-chan struct{}, error) {
		return d.beginUpdate(op, a.Update.Plan, a.Groups, a.Override)
	}, nil
}

// noteWaiting notes in the ledger that an operation waits. It runs in the loop.
func (d *Daemon) noteWaiting(op *operation) {
	if op.noted.Load() {
		return
	}
	request, err := json.Marshal(op.asked)
	if err != nil {
		d.logf(LevelWarn, "%s is lost if this daemon ends before its turn: %v", op.about.ID, err)
		return
	}
	about, _ := d.operations.show(op, 0)
	saved := savedWaiting{op.number, about.Kind, about.Who, about.To, about.Began, request}
	d.loop.waiting[op.number] = saved
	op.noted.Store(true)
	d.frame(frameWaiting, saved)
}

// waitsNoMore notes in the ledger that an operation has begun, or never will. It runs in the loop.
func (d *Daemon) waitsNoMore(op *operation) {
	if op.noted.Load() {
		delete(d.loop.waiting, op.number)
		op.noted.Store(false)
		d.frame(frameWaiting, savedWaiting{Number: op.number})
	}
}

// goOnWaiting has the operations wait again that were waiting when the daemon before ended, in their order.
func (d *Daemon) goOnWaiting() {
	for _, number := range slices.Sorted(maps.Keys(d.loop.waiting)) {
		saved := d.loop.waiting[number]
		op := d.operations.waitAgain(saved)
		var a asked
		err := json.Unmarshal(saved.Request, &a)
		var begin beginner
		if err == nil {
			a.setWho(saved.Who)
			begin, err = d.beginning(op, a)
		}
		if err != nil {
			begin = func() (<-chan core.Reply, <-chan struct{}, error) { return nil, nil, err }
		}
		d.changing.Go(func() { d.see(op, begin, nil) })
	}
}

// setWho says who has asked, which is no part of a request on its way.
func (a *asked) setWho(who string) {
	switch {
	case a.Act != nil:
		a.Act.Who = who
	case a.Update != nil:
		a.Update.Who = who
	case a.Scale != nil:
		a.Scale.Who = who
	}
}

// waitAgain makes an operation of an earlier daemon one that waits for its turn. What the disk has not got of it is in what was saved.
func (o *operations) waitAgain(saved savedWaiting) *operation {
	op := o.known(saved.Number)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut = slices.DeleteFunc(o.cut, func(c *operation) bool { return c == op })
	op.over = make(chan struct{})
	op.noted.Store(true)
	op.about = control.Operation{
		Schema: control.OperationSchema, ID: operationName(saved.Number), Kind: saved.Kind, Who: saved.Who, To: saved.To, State: control.OperationWaiting, Began: saved.Began,
		Events: []control.ProgressLine{},
	}
	return op
}

// known returns the operation with a number, which gets to be known if it is not.
func (o *operations) known(number uint64) *operation {
	if op := o.numbered(number); op != nil {
		return op
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	op := newOperation(number)
	op.about = control.Operation{Schema: control.OperationSchema, ID: operationName(number), Events: []control.ProgressLine{}}
	o.list = append(o.list, op)
	o.last = max(o.last, number)
	return op
}
