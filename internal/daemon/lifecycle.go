package daemon

import (
	"context"
	"errors"
	"slices"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// Daemon implements control.Info.
func (d *Daemon) Daemon(context.Context) (control.Daemon, error) {
	return control.Daemon{
		Identifier: *d.ident.Load(), Version: d.opts.Version, PID: d.opts.PID(), Mood: control.Mood(d.mood.Load()),
	}, nil
}

// Revision counts the changes of what Processes answers, apart from the passing of time.
func (d *Daemon) Revision() uint64 { return d.revision.Load() }

// Process implements control.Info.
func (d *Daemon) Process(ctx context.Context, name string) (control.ProcessInfo, error) {
	v, err := d.current(ctx)
	if err != nil {
		return control.ProcessInfo{}, err
	}
	m, err := v.find(name)
	if err != nil {
		return control.ProcessInfo{}, err
	}
	return m.info(d.opts.Wall()), nil
}

// Processes implements control.Info.
func (d *Daemon) Processes(ctx context.Context) ([]control.ProcessInfo, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	now := d.opts.Wall()
	infos := make([]control.ProcessInfo, len(v.procs))
	for i, m := range v.procs {
		infos[i] = m.info(now)
	}
	return infos, nil
}

// Groups implements control.Info.
func (d *Daemon) Groups(ctx context.Context) ([]string, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	return v.groups, nil
}

// Start implements control.Lifecycle. Commands are resolved before the core is asked, as Supervisor does, even for a process that runs
// (quirk C11).
func (d *Daemon) Start(ctx context.Context, target control.Target, wait bool) ([]control.Result, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	t := coreTarget(target)
	d.asked(ctx, "start", t)
	return d.rows(ctx, core.Start{Target: t, Wait: wait, Refused: d.refused(v, []core.Target{t})})
}

// refused finds the processes whose command cannot be run.
func (d *Daemon) refused(v *view, targets []core.Target) map[process.ID]*core.Fault {
	refused := map[process.ID]*core.Fault{}
	// Members of one program mostly share their command, so one look-up serves them all.
	type lookup struct{ command, path string }
	seen := map[lookup]*core.Fault{}
	for _, m := range v.procs {
		meant := func(t core.Target) bool {
			return t.All || m.Group == t.Group && (t.Process == "" || m.Name == t.Process)
		}
		if !slices.ContainsFunc(targets, meant) {
			continue
		}
		key := lookup{m.Spec.Command, pathOf(m.Spec)}
		fault, ok := seen[key]
		if !ok {
			fault = commandFault(d.host.Check(m.Spec))
			seen[key] = fault
		}
		if fault != nil {
			refused[m.ID] = fault
		}
	}
	return refused
}

func pathOf(s *process.Spec) string {
	for _, e := range s.Environment {
		if e.Key == "PATH" {
			return e.Value
		}
	}
	return ""
}

func commandFault(err error) *core.Fault {
	var bad *host.CommandError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad) && bad.Reason == host.NotFound:
		return &core.Fault{Kind: core.NoFile, Text: bad.Text}
	default:
		return &core.Fault{Kind: core.NotExecutable, Text: err.Error()}
	}
}

// Stop implements control.Lifecycle.
func (d *Daemon) Stop(ctx context.Context, target control.Target, wait bool) ([]control.Result, error) {
	t := coreTarget(target)
	d.asked(ctx, "stop", t)
	return d.rows(ctx, core.Stop{Target: t, Wait: wait})
}

// Signal implements control.Lifecycle.
func (d *Daemon) Signal(ctx context.Context, target control.Target, signal string) ([]control.Result, error) {
	verb := core.SendSignal{Target: coreTarget(target)}
	number, err := config.ParseSignal(signal)
	if err != nil {
		verb.Refused = &core.Fault{Kind: core.BadSignal, Text: signal}
	}
	verb.Signal = number
	d.asked(ctx, "signal "+signal, verb.Target)
	return d.rows(ctx, verb)
}

// Refresh implements control.Lifecycle.
func (d *Daemon) Refresh(ctx context.Context, target control.Target) ([]control.Result, error) {
	t := coreTarget(target)
	d.asked(ctx, "refresh", t)
	return d.rows(ctx, core.Refresh{Target: t})
}

// WriteStdin implements control.Lifecycle.
func (d *Daemon) WriteStdin(ctx context.Context, name string, data []byte) error {
	_, err := d.ask(ctx, core.WriteInput{Target: coreTarget(control.Target{Name: name}), Data: data})
	return err
}

// stdinFault says why data was not taken. The core adds the name that was asked for.
func stdinFault(err error) *core.Fault {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, host.ErrStdinClosed):
		return &core.Fault{Kind: core.NoFile}
	default:
		return &core.Fault{Kind: core.Failed}
	}
}

// coreTarget translates the name of a command's target.
func coreTarget(t control.Target) core.Target {
	switch {
	case t.All:
		return core.Target{All: true}
	case t.Group:
		return core.Target{Group: t.Name, Text: t.Name}
	}
	n := process.ParseNamespec(t.Name)
	return core.Target{Group: n.Group, Process: n.Process, Text: t.Name}
}

// ask steps one command in the loop and waits for its answer. When ctx ends first the command goes on if it has begun, only the wait is given up.
func (d *Daemon) ask(ctx context.Context, verb core.Verb) (core.Reply, error) {
	t := newBid(ctx, verb)
	for {
		a := newAnswer(t)
		d.inbox.putWish(a.wish(verb))
		reply, again, err := d.await(ctx, a)
		if !again {
			d.endBid(ctx, t, err)
			return reply, err
		}
	}
}

// answer is how the loop answers a command: with a reply, after the number of the command; or with the operation that it has to wait for.
type answer struct {
	reply  chan core.Reply
	number chan core.Req
	held   chan hindrance
	bid    *bid
}

func newAnswer(t *bid) answer {
	return answer{make(chan core.Reply, 1), make(chan core.Req, 1), make(chan hindrance, 1), t}
}

func (a answer) wish(verb core.Verb) wish {
	return wish{command: verb, reply: a.reply, got: func(r core.Req) { a.number <- r }, held: a.held, bid: a.bid}
}

// await waits for an answer that the loop owes. again: the operation has come further that the command had to wait for.
func (d *Daemon) await(ctx context.Context, a answer) (reply core.Reply, again bool, err error) {
	given := func() error { return control.Fault(control.Failed, ctx.Err().Error()) }
	select {
	case r := <-a.reply:
		return r, false, faultError(r.Fault)
	case by := <-a.held:
		select {
		case <-by.further:
			return core.Reply{}, true, nil
		case <-d.awaitBid(a.bid, by):
			return core.Reply{}, false, control.Fault(control.Failed, "cancelled before its turn")
		case <-d.life.Done():
			return core.Reply{}, false, control.Fault(control.ShutdownState, "")
		case <-ctx.Done():
			control.PassOn(ctx)
			return core.Reply{}, false, given()
		}
	case <-d.life.Done():
		// The last turn may have answered while it halted.
		select {
		case r := <-a.reply:
			return r, false, faultError(r.Fault)
		default:
			return core.Reply{}, false, control.Fault(control.ShutdownState, "")
		}
	case <-ctx.Done():
		if control.PassOn(ctx) { // the next daemon goes on with it
			return core.Reply{}, false, given()
		}
		select {
		case r := <-a.number:
			d.inbox.putWish(wish{cancel: r})
		default: // not stepped yet: its answer goes into the buffer and is forgotten with it
		}
		return core.Reply{}, false, given()
	}
}

// rows asks a command whose answer is one process or a list.
func (d *Daemon) rows(ctx context.Context, verb core.Verb) ([]control.Result, error) {
	r, err := d.ask(ctx, verb)
	if err != nil {
		return nil, err
	}
	return results(r.Outcomes), nil
}

func results(outcomes []core.Outcome) []control.Result {
	out := make([]control.Result, len(outcomes))
	for i, o := range outcomes {
		out[i] = control.Result{Group: o.Group, Name: o.Name, Code: control.Success, Text: "OK"}
		if o.Fault != nil {
			e := control.Fault(control.Code(o.Fault.Kind), o.Fault.Text)
			out[i].Code, out[i].Text = e.Code, e.Error()
		}
	}
	return out
}

// faultError turns a refusal of the core into an error of the interface; the numbers are the same by definition.
func faultError(f *core.Fault) error {
	if f == nil {
		return nil
	}
	return control.Fault(control.Code(f.Kind), f.Text)
}
