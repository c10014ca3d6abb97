package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// keptOperations is how many operations are remembered.
const keptOperations = 200

// operations remembers what was changed, and lets many watch it.
type operations struct {
	mu   sync.Mutex
	last uint64
	list []*operation // the latest last
	cut  []*operation // of these: those that the end of an earlier daemon cut off
}

// operation is one of them. Its description is guarded by the mutex of the set.
type operation struct {
	number  uint64
	about   control.Operation       // Events holds them all
	acts    bool                    // a start, stop or restart
	request bool                    // a command that is none, and has had to wait; guarded as well
	noted   atomic.Bool             // the ledger says that it waits; the loop changes it
	asked   *asked                  // what it was asked for; nil: an earlier daemon has begun it
	rolls   map[string]process.Roll // how it replaces, by group; only the loop touches it
	before  func()                  // enters what calls have changed before it began; nil: nothing
	changed chan struct{}           // closed at the next change
	stands  chan struct{}           // closed when it is in another state
	over    chan struct{}           // closed when nothing follows
}

func newOperation(number uint64) *operation {
	return &operation{number: number, changed: make(chan struct{}), stands: make(chan struct{}), over: make(chan struct{})}
}

// add makes a new operation.
func (o *operations) add(kind, who string, now time.Time) *operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	op := newOperation(o.last)
	op.about = control.Operation{
		Schema: control.OperationSchema, ID: operationName(o.last), Kind: kind, Who: who, State: control.OperationWaiting, Began: now,
		Events: []control.ProgressLine{},
	}
	o.list = append(o.list, op)
	for i := 0; len(o.list) > keptOperations && i < len(o.list); i++ {
		if o.list[i].about.State.Over() {
			o.list = slices.Delete(o.list, i, i+1)
			i--
		}
	}
	return op
}

// find returns an operation, nil for an unknown one.
func (o *operations) find(match func(*operation) bool) *operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.IndexFunc(o.list, match); i >= 0 {
		return o.list[i]
	}
	return nil
}

// changing reports whether an operation other than one is under way, or stands in the middle, that may bring another configuration.
func (o *operations) changing(but *operation) bool {
	return o.find(func(op *operation) bool {
		return op != but && !op.acts && !op.request && !op.about.State.Over() && op.about.State != control.OperationWaiting
	}) != nil
}

func (o *operations) named(id string) *operation {
	return o.find(func(op *operation) bool { return op.about.ID == id })
}

func (o *operations) numbered(n uint64) *operation {
	return o.find(func(op *operation) bool { return op.number == n })
}

// change describes an operation anew and wakes who watches it. It reports false, and changes nothing, when the operation is over.
func (o *operations) change(op *operation, f func(*control.Operation)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if op.about.State.Over() {
		return false
	}
	before := op.about.State
	f(&op.about)
	close(op.changed)
	op.changed = make(chan struct{})
	if op.about.State != before {
		close(op.stands)
		op.stands = make(chan struct{})
	}
	if op.about.State.Over() {
		close(op.over)
	}
	return true
}

// waitsFor notes that an operation waits for another one. The channel is closed when that is in another state.
func (o *operations) waitsFor(op, first *operation) (stands <-chan struct{}) {
	o.mu.Lock()
	behind, state, stands := first.about.ID, first.about.State, first.stands
	known := op.about.Behind == behind && op.about.BehindState == state
	o.mu.Unlock()
	if !known {
		o.change(op, func(about *control.Operation) { about.Behind, about.BehindState = behind, state })
	}
	return stands
}

// show describes an operation with its events from one on; the channel is closed when there is more to tell.
func (o *operations) show(op *operation, after int) (control.Operation, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	about := op.about
	about.Count = len(op.about.Events)
	about.Events = slices.Clone(op.about.Events[min(max(after, 0), about.Count):])
	return about, op.changed
}

// Operations implements control.Change.
func (d *Daemon) Operations(context.Context) ([]control.Operation, error) {
	d.operations.mu.Lock()
	list := slices.Clone(d.operations.list)
	d.operations.mu.Unlock()
	out := make([]control.Operation, len(list))
	for i, op := range list {
		out[i], _ = d.operations.show(op, int(^uint(0)>>1))
	}
	return out, nil
}

// Operation implements control.Change.
func (d *Daemon) Operation(ctx context.Context, id string, after int) (control.Operation, error) {
	op := d.operations.named(id)
	if op == nil {
		return control.Operation{}, control.Fault(control.BadName, id)
	}
	first, _ := d.operations.show(op, after)
	for {
		about, changed := d.operations.show(op, after)
		stands := about.State != first.State || about.Behind != first.Behind || about.BehindState != first.BehindState
		if about.State.Over() || len(about.Events) > 0 || after < 0 || stands {
			return about, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return about, nil
		case <-d.life.Done():
			about, _ := d.operations.show(op, after)
			return about, nil
		}
	}
}

// CancelOperation implements control.Change.
func (d *Daemon) CancelOperation(ctx context.Context, id string) error {
	op := d.operations.named(id)
	if op == nil {
		return control.Fault(control.BadName, id)
	}
	d.operations.mu.Lock()
	waiting, begun := op.about.State == control.OperationWaiting, op.request && op.about.State == control.OperationRunning
	d.operations.mu.Unlock()
	if waiting && d.conclude(op, control.OperationCancelled, "") {
		d.do(ctx, func(core.Now) { d.waitsNoMore(op) }) // before anybody hears of it
		return nil
	}
	if begun {
		return control.Fault(control.Failed, id+" has begun, and ends as that does which it asked for")
	}
	_, err := d.ask(ctx, core.CancelUpdate{Op: op.number})
	if err != nil {
		return control.Fault(control.BadName, id+" is over")
	}
	return nil
}

// conclude ends an operation.
func (d *Daemon) conclude(op *operation, state control.OperationState, text string) bool {
	return d.operations.change(op, func(about *control.Operation) {
		now := d.opts.Wall()
		about.State, about.Text, about.Behind, about.BehindState, about.Ended, about.Failed = state, text, "", "", &now, ""
		if state == control.OperationRolledBack {
			for _, e := range about.Events {
				removed := slices.ContainsFunc(about.Events, func(o control.ProgressLine) bool { // nobody can ask about it any more
					return o.Process == e.Process && o.Type == "end" && o.Action == "stop" && o.Error == ""
				})
				if e.Error != "" && !e.Skipped && !e.Undo && about.Failed == "" && !removed {
					about.Failed = e.Process
				}
			}
		}
		if state != control.OperationNothing {
			about.NotKept = d.state.lag()
		}
	})
}

// progress notes what the core tells of an update.
func (d *Daemon) progress(number uint64, kind string, r core.StepResult) {
	op := d.operations.numbered(number)
	if op == nil {
		return
	}
	line := control.ProgressLine{
		Time: d.opts.Wall(), Type: kind, Process: r.Group + ":" + r.Name, Action: stepWord(r, kind == "end"), OldPID: r.OldPID, PID: r.PID, Undo: r.Undo,
	}
	s, there := d.loop.core.Find(r.Group, r.Name)
	id := cmp.Or(r.Extra, s.ID)
	if there && kind == "begin" {
		d.attend(op, s, r)
	}
	if r.From != "" {
		line.From = r.Group + ":" + r.From
	}
	if r.Fault != nil {
		line.Error = faultText(r.Fault)
		line.Skipped = r.Fault.Kind == core.Cancelled || needless(r.Fault)
		line.FaultCode = control.Code(max(r.Fault.Kind, 0))
		if r.Fault.By != 0 {
			line.Error = "stopped by " + d.whose(r.Fault.By)
		}
		switch ended := d.endText(id, d.loop.trials[id]); r.Fault.Kind {
		case core.SpawnError:
			if line.Error == notStarted { // one that goes back has begun another life by now
				line.Error = cmp.Or(s.SpawnErr, ended, line.Error)
			}
		case core.AbnormalTermination:
			line.Error = cmp.Or(ended, line.Error)
		}
	}
	if kind == "end" && (there || r.Extra != 0) {
		t := d.loop.trials[id]
		delete(d.loop.trials, id)
		switch {
		case r.Fault == nil && r.Started && there:
			line.Text = t.proof(s)
		case r.Fault != nil && !line.Skipped && t != nil && t.action != "stop":
			line.Output, line.Channel = d.lastWords(id, t)
		}
	}
	if there && (kind == "begin" || line.Action == "live" || line.Action == "rename") {
		d.timelineOf(s.ID).add(control.Moment{Time: line.Time, Type: "asked", Text: askedText(op.about, line.Action), By: op.about.Who})
	}
	d.operations.change(op, func(about *control.Operation) {
		about.Events = append(about.Events, line)
		if kind == "end" && !r.Undo && r.Extra == 0 {
			about.Done++
		}
	})
}

// needless reports whether a fault says that a process is already as it was wanted, or is to stay as it is.
func needless(f *core.Fault) bool {
	return f.Kind == core.AlreadyStarted || f.Kind == core.NotRunning || f.Kind == core.LeftOut
}

// askedText says what somebody wanted of a process.
func askedText(op control.Operation, action string) string {
	if op.Kind == control.KindRoll {
		return "rolling restart " + op.ID
	}
	if op.Kind == action {
		return op.Kind + " " + op.ID
	}
	return op.Kind + " " + op.ID + ": " + action
}

// stepWord names what a step does, or has done.
func stepWord(r core.StepResult, over bool) string {
	switch r.Action {
	case plan.AddProcess, plan.ReturnProcess:
		if r.Started || !over {
			return "start"
		}
		return "add"
	case plan.StartProcess:
		return "start"
	case plan.StopProcess:
		return "stop"
	case plan.RemoveProcess:
		if over && r.PID != 0 && r.Fault == nil {
			return "leave"
		}
		return "stop"
	case plan.RenameProcess:
		return "rename"
	case plan.ReplaceProcess:
		if r.OldPID != 0 {
			return "replace"
		}
		if r.Started || !over { // what only takes settings has no beginning
			return "start"
		}
	}
	return "live"
}

// notStarted is said of a process that did not start for reasons of its own.
const notStarted = "it did not start"

// faultText says what went wrong, without a number of the wire protocol.
func faultText(f *core.Fault) string {
	switch f.Kind {
	case core.SpawnError:
		if _, why, found := strings.Cut(f.Text, " "); found { // behind its name: because of what it depends on
			return "it " + why
		}
		return notStarted
	case core.AbnormalTermination:
		return "it was stopped while it started"
	case core.ShutdownState:
		return "the daemon shuts down"
	case core.AlreadyStarted:
		return "already started"
	case core.NotRunning:
		return "was not running"
	case core.BadName:
		return "it is not there any more"
	}
	return f.Text
}

// Update implements control.Change.
func (d *Daemon) Update(ctx context.Context, req control.UpdateRequest) (control.Operation, error) {
	groups := req.Groups
	o, err := overrideOf(req.Roll)
	switch {
	case err != nil:
		return control.Operation{}, err
	case req.Plan != "" && req.Roll != nil:
		return control.Operation{}, control.Fault(control.IncorrectParameters, "roll: a plan says itself how processes are replaced")
	}
	if req.Plan != "" {
		known, ok := d.plans.find(req.Plan)
		if !ok || groups != nil && !slices.Equal(groups, known.groups) || known.to != req.To {
			return control.Operation{}, control.Fault(control.StalePlan, "plan "+req.Plan+" is not known")
		}
		groups, o = known.groups, known.override
	}
	kind := "update"
	if req.To != 0 {
		kind = control.KindRollback
	}
	op := d.operations.add(kind, req.Who, d.opts.Wall())
	d.operations.change(op, func(about *control.Operation) { about.To = req.To })
	return d.launch(ctx, op, asked{Update: &req, Groups: groups, Override: o})
}

// beginUpdate reads the files and begins with what they say.
func (d *Daemon) beginUpdate(op *operation, want string, groups []string, o plan.Override) (done <-chan core.Reply, wait <-chan struct{}, err error) {
	c, err := d.load()
	if err != nil {
		return nil, nil, err
	}
	return d.begin(op, func(core.Now) (plan.Update, error) {
		u, err := d.planUpdate(c, groups)
		if err != nil {
			return u, err
		}
		if u, err = overridden(u, o, standIn); err != nil {
			return u, err
		}
		return u, d.staleness(u, want)
	}, func() error {
		d.adoptFiles(c, groups)
		return nil
	})
}

// staleness is the fault of a plan that is not the one that was asked for.
func (d *Daemon) staleness(u plan.Update, want string) error {
	if want == "" || u.ID() == want {
		return nil
	}
	if _, blocked := d.loop.core.Blocked(core.Update{Plan: u}); blocked { // it is refused, or may be the present one again
		return nil
	}
	return control.Fault(control.StalePlan, "what plan "+want+" stands on has changed")
}

// launch sees an operation through in the background, and returns once it is known what it is: running, waiting, nothing or refused.
func (d *Daemon) launch(ctx context.Context, op *operation, a asked) (control.Operation, error) {
	begin, err := d.beginning(op, a)
	if err != nil {
		d.operations.forget(op)
		return control.Operation{}, err
	}
	told := make(chan error, 1)
	d.changing.Go(func() { d.see(op, begin, told) })
	select {
	case err := <-told:
		if err == nil {
			break
		}
		d.operations.forget(op)
		if !errors.Is(err, errNoChange) {
			return control.Operation{}, err
		}
		about, _ := d.operations.show(op, 0)
		about.ID = "" // the next one gets the number
		return about, nil
	case <-ctx.Done(): // the caller has gone; the operation has not
	}
	about, _ := d.operations.show(op, 0)
	return about, nil
}

// errNoChange tells that an operation has nothing to do: nobody has to know of it.
var errNoChange = errors.New("nothing to do")

// forget removes an operation.
func (o *operations) forget(op *operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = slices.DeleteFunc(o.list, func(other *operation) bool { return other == op })
	if o.last == op.number {
		o.last-- // nobody has seen the number
	}
}

// see sees an operation through and writes down how it goes. It tells the caller once whether there is such an operation at all; nil: a daemon before has.
func (d *Daemon) see(op *operation, start beginner, told chan<- error) {
	kept, known := 0, told == nil
	defer func() {
		if op.noted.Load() {
			d.do(d.life, func(core.Now) { d.waitsNoMore(op) }) // if this daemon ends, it waits for the next one
		}
		if known {
			d.keepOperation(op, kept)
		}
	}()
	for {
		done, wait, err := start()
		switch {
		case err != nil && known && d.life.Err() != nil: // it waits for the next daemon
			return
		case err != nil:
			state, fault := control.OperationFailed, (*control.Error)(nil)
			if errors.As(err, &fault) && fault.Code == control.StalePlan {
				state = control.OperationStale
			}
			d.conclude(op, state, refusalText(err))
			inform(told, err)
			return
		case done == nil && wait == nil:
			d.conclude(op, control.OperationNothing, "")
			inform(told, errNoChange)
			return
		case wait != nil:
			inform(told, nil)
			known = true
			d.keepOperation(op, kept)
			select {
			case <-wait:
			case <-op.over: // cancelled
				return
			case <-d.life.Done():
				return
			}
			continue
		}
		if op.acts && len(done) > 0 { // there was nothing to wait for: the caller gets all of it
			d.concludeUpdate(op, <-done)
			if about, _ := d.operations.show(op, 0); about.State == control.OperationNothing && !known {
				inform(told, errNoChange)
				return
			}
			inform(told, nil)
			known = true
			return
		}
		if op.before != nil {
			d.noting.Lock()
			op.before()
			d.noting.Unlock()
		}
		inform(told, nil)
		known = true
		kept = d.follow(op, done, kept)
		return
	}
}

// follow writes down the events of an operation, but for the first so many, until its end. It returns how many are written.
func (d *Daemon) follow(op *operation, done <-chan core.Reply, kept int) int {
	for {
		var changed <-chan struct{}
		kept, changed = d.keepOperation(op, kept)
		select {
		case reply := <-done:
			d.concludeUpdate(op, reply)
			return kept
		case <-d.life.Done():
			select {
			case reply := <-done: // the last turn answered it
				d.concludeUpdate(op, reply)
			default:
			}
			return kept
		case <-changed:
		}
	}
}

// refusalText is an error in words, without the name of a code that says no more than they do.
func refusalText(err error) string {
	var fault *control.Error
	if errors.As(err, &fault) {
		switch fault.Code {
		case control.ShutdownState:
			return faultText(&core.Fault{Kind: core.ShutdownState})
		case control.Failed, control.StalePlan, control.IncorrectParameters:
			return strings.TrimPrefix(err.Error(), fault.Code.String()+": ")
		}
	}
	return err.Error()
}

// inform answers the caller, if that has not been done.
func inform(to chan<- error, err error) {
	select {
	case to <- err:
	default:
	}
}

// waitBehind notes that an operation has to wait for another one. The channel is closed when it is worth to try again: when that is over or paused or, with
// a start, stop or restart, when it has come further. It runs in the loop.
func (d *Daemon) waitBehind(op *operation, number uint64) (wait <-chan struct{}) {
	by := d.hindrance(number)
	if by.op == nil {
		return by.further
	}
	d.noteWaiting(op)
	stands := d.operations.waitsFor(op, by.op)
	if op.acts {
		return by.further
	}
	return stands
}

// begin plans and steps an update in one turn of the loop. done takes its answer, unless it has to wait behind another operation; with neither there
// is nothing to do. adopt is called when it begins, or when there is nothing to do.
func (d *Daemon) begin(op *operation, prepare func(core.Now) (plan.Update, error), adopt func() error) (done <-chan core.Reply, wait <-chan struct{}, err error) {
	ok := d.do(d.life, func(now core.Now) {
		if _, yes := d.loop.core.Quitting(); yes { // nothing of it would come, and what it asks for is not kept either
			err = control.Fault(control.ShutdownState, "")
			return
		}
		var u plan.Update
		if u, err = prepare(now); err != nil {
			return
		}
		if by, blocked := d.loop.core.Blocked(core.Update{Plan: u}); by.Paused {
			err = faultError(d.standsPaused(by.Op))
			return
		} else if blocked {
			wait = d.waitBehind(op, by.Op)
			return
		}
		if err = adopt(); err != nil || u.Empty() {
			return
		}
		steps := 0
		op.rolls = map[string]process.Roll{}
		for _, p := range u.Plans {
			steps += len(p.Changes)
			op.rolls[p.Group] = p.Roll()
		}
		if err = d.beginSteps(op, u.ID(), steps); err != nil {
			return
		}
		op.before = d.beforeOperation(op)
		for _, p := range u.Plans {
			if p.Scope == plan.AddGroup || p.Scope == plan.ReplaceGroup {
				d.probe([]process.GroupSpec{p.Desired})
			}
		}
		reply := make(chan core.Reply, 1)
		d.command(now, wish{command: core.Update{Op: op.number, Plan: u}, reply: reply})
		done = reply
	})
	if !ok {
		return nil, nil, control.Fault(control.ShutdownState, "")
	}
	return done, wait, err
}

// beginSteps notes that an operation begins. An error: it was cancelled while it waited.
func (d *Daemon) beginSteps(op *operation, plan string, steps int) error {
	begun := d.operations.change(op, func(about *control.Operation) {
		about.State, about.Behind, about.BehindState, about.Plan, about.Steps = control.OperationRunning, "", "", plan, steps
	})
	if !begun {
		return control.Fault(control.Failed, "cancelled")
	}
	d.waitsNoMore(op)
	d.noteBegun(op)
	return nil
}

// conclusion says how an operation ended, by the answer of the core.
func conclusion(about control.Operation, reply core.Reply, rolls map[string]process.Roll) (state control.OperationState, text string) {
	failed, cancelled, idles, back, stuck, all, extras := 0, 0, 0, 0, 0, 0, 0
	first, turns := "", true
	for _, r := range reply.Updated {
		if r.Extra != 0 {
			if r.Fault != nil && r.Fault.Kind != core.Cancelled {
				extras++
				turns = turns && rolls[r.Group].OnFailure == process.RollBack
				first = cmp.Or(first, process.Namespec{Group: r.Group, Process: r.Name}.String())
			}
			continue
		}
		all++
		switch {
		case r.Undo && r.Fault == nil:
			back++
		case r.Undo:
			stuck++
		case r.Fault == nil:
		case r.Fault.Kind == core.Cancelled:
			cancelled++
		case needless(r.Fault):
			idles++
		default:
			failed++
			first = cmp.Or(first, process.Namespec{Group: r.Group, Process: r.Name}.String())
		}
	}
	things := "processes"
	if about.Kind == control.ActRestart {
		things = "steps" // two of each process
	}
	switch {
	case reply.Fault != nil && reply.Fault.Kind == core.Stale:
		return control.OperationStale, reply.Fault.Text
	case reply.Fault != nil:
		return control.OperationFailed, faultText(reply.Fault)
	case stuck > 0:
		return control.OperationFailed, fmt.Sprintf("%s failed; %d went back, %d could not", cmp.Or(first, "one"), back, stuck)
	case back > 0:
		text = fmt.Sprintf("%s failed; %d went back", cmp.Or(first, "one that was good before"), back)
		if left := cancelled - lateOnes(reply.Updated); left > 0 {
			text += fmt.Sprintf(", %d were left as they were", left)
		}
		return control.OperationRolledBack, text
	case failed == 0 && extras > 0 && turns: // the one that came first: there was nothing to take back
		return control.OperationRolledBack, fmt.Sprintf("%s failed; %d were left as they were", first, cancelled)
	case failed == 0 && extras > 0 && cancelled > 0:
		return control.OperationFailed, fmt.Sprintf("%s failed, %d were left as they were", first, cancelled)
	case failed > 0:
		text = fmt.Sprintf("%d of %d %s failed", failed, all, things)
		if cancelled > 0 {
			text += fmt.Sprintf(", %d were left as they were", cancelled)
		}
		return control.OperationFailed, text
	case cancelled > 0:
		return control.OperationCancelled, fmt.Sprintf("%d of %d %s were left as they were", cancelled, all, things)
	case idles > 0 && idles == len(reply.Updated):
		return control.OperationNothing, ""
	}
	return control.OperationDone, ""
}

// lateOnes counts the replacements that were under way when their line turned round, and went back.
func lateOnes(list []core.StepResult) (n int) {
	back := map[string]bool{}
	for _, r := range list {
		if r.Undo {
			back[r.Group+":"+r.Name] = true
		}
	}
	for _, r := range list {
		if !r.Undo && r.Fault != nil && r.Fault.Kind == core.Cancelled && back[r.Group+":"+r.Name] {
			n++
		}
	}
	return n
}

// takenText adds to how an operation was cancelled who has stopped what it was busy with, if somebody has.
func (d *Daemon) takenText(reply core.Reply, text string) string {
	var names []string
	who, left, all := "", 0, 0
	for _, r := range reply.Updated {
		if r.Extra == 0 {
			all++
		}
		switch {
		case r.Fault == nil || r.Extra != 0 && !r.Fault.Taken:
		case r.Fault.Taken:
			if who = "somebody"; r.Fault.By != 0 {
				who = d.whose(r.Fault.By)
			}
			names = append(names, process.Namespec{Group: r.Group, Process: r.Name}.String())
		case r.Fault.Kind == core.Cancelled:
			left++
		}
	}
	if who == "" {
		return text
	}
	text = who + " has stopped " + strings.Join(names, " ")
	if left > 0 {
		text += fmt.Sprintf("; %d of %d were left as they were", left, all)
	}
	return text
}

// whose names an operation with its kind and who asked for it.
func (d *Daemon) whose(number uint64) string {
	name := operationName(number)
	op := d.operations.numbered(number)
	if op == nil {
		return name
	}
	about, _ := d.operations.show(op, 0)
	return name + " (" + strings.TrimSuffix(about.Kind+" by "+about.Who, " by ") + ")"
}

// concludeUpdate notes how an operation ended.
func (d *Daemon) concludeUpdate(op *operation, reply core.Reply) {
	about, _ := d.operations.show(op, 0)
	state, text := conclusion(about, reply, op.rolls)
	if state == control.OperationCancelled {
		text = d.takenText(reply, text)
	}
	if op.acts { // it brings no other configuration
		d.conclude(op, state, text)
		return
	}
	// What it has brought is looked at before anybody knows that it is over, and entered after: who watches need not wait for the disk, but the next
	// operation and History do.
	d.noting.Lock()
	defer d.noting.Unlock()
	if state != control.OperationDone && state != control.OperationNothing {
		d.do(d.life, func(core.Now) { d.loop.astray = surelyAstray })
	}
	enter := d.nextGeneration(op, state)
	d.conclude(op, state, text)
	enter()
}
