package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// onFailures are the values of on_failure.
var onFailures = map[string]process.OnFailure{
	process.RollBack.String(): process.RollBack, process.RollPause.String(): process.RollPause, process.RollStop.String(): process.RollStop,
}

// overrideOf reads what somebody asks of a roll; nil asks nothing.
func overrideOf(req *control.RollRequest) (o plan.Override, err error) {
	if req == nil {
		return o, nil
	}
	bad := func(option, value, want string) error {
		return control.Fault(control.IncorrectParameters, option+" "+value+": write "+want)
	}
	if text := req.MaxUnavailable; text != "" {
		share, ok := process.ParseShare(text)
		if !ok {
			return o, bad("max_unavailable", strconv.Quote(text), "a number of processes, or a share such as 25%")
		}
		if share.N == 0 {
			share = process.None
		}
		o.MaxUnavailable = &share
	}
	if n := req.Canary; n != nil {
		if *n < 0 {
			return o, bad("canary", strconv.Itoa(*n), "a number of processes")
		}
		o.Canary = n
	}
	if s := req.Steady; s != nil {
		const most = 24 * time.Hour // of no process longer is waited for
		if *s < 0 || *s > most.Seconds() {
			return o, bad("steady_s", fmt.Sprint(*s), "seconds, a day at most")
		}
		d := time.Duration(*s * float64(time.Second))
		o.Steady = &d
	}
	if word := req.OnFailure; word != "" {
		f, ok := onFailures[word]
		if !ok {
			return o, bad("on_failure", strconv.Quote(word), "rollback, pause or stop")
		}
		o.OnFailure = &f
	}
	return o, nil
}

// standIn is how another process takes the place of one that is replaced.
const standIn = "add roll_surge=1 to its program, so that another process takes the place of each"

// overridden returns an update with what somebody asks of its rolls. That nothing may be out of work is refused where nothing takes its place; standIn says
// what would help.
func overridden(u plan.Update, o plan.Override, standIn string) (plan.Update, error) {
	if group := o.Stuck(u); group != "" {
		return u, control.Fault(control.IncorrectParameters, "max_unavailable 0: nothing of group "+group+" could be replaced: write 1 or more, or "+standIn)
	}
	return u.Overridden(o), nil
}

// planRestart plans a rolling restart of what is named as in an ActRequest. It runs in the loop.
func (d *Daemon) planRestart(names []string, o plan.Override) (plan.Update, error) {
	do, err := actOf(control.ActRequest{Verb: control.ActStop, Names: names})
	if err != nil {
		return plan.Update{}, err
	}
	if _, fault := d.loop.core.Changes(do); fault != nil {
		return plan.Update{}, faultError(fault)
	}
	targets := []process.Namespec{}
	for _, t := range do.Targets {
		if t.All {
			targets = nil
			break
		}
		targets = append(targets, process.Namespec{Group: t.Group, Process: t.Process})
	}
	manifest := d.loop.core.Manifest()
	u, err := restarting(manifest, targets, o).Surging(manifest, func(group, program string, n int, taken func(string) bool) ([]process.Spec, error) {
		c := d.loop.source[group]
		if c == nil {
			c = d.loop.desired.config
		}
		active, _ := manifest.Group(group)
		i := slices.IndexFunc(c.Groups, func(g process.GroupSpec) bool { return g.Name == group })
		if i < 0 {
			return nil, nil
		}
		for _, s := range c.Groups[i].Processes { // what the extra process would be is what the others are
			now, ok := active.Process(s.Name)
			if ok && s.Program == program && slices.ContainsFunc(plan.SpecDifferences(now, s), func(d plan.Difference) bool { return d.Class >= process.Respawn }) {
				return nil, control.Fault(control.Failed, fmt.Sprintf("%s runs something else than the files say, and so would its extra process: gracectl plan %s", program, group))
			}
		}
		return c.Spares(group, program, n, taken)
	})
	if err != nil {
		return u, err
	}
	return overridden(u, o, standIn)
}

// restarting plans a rolling restart. There is nothing to go back to: where the options of the processes want that, it pauses.
func restarting(m plan.Manifest, targets []process.Namespec, o plan.Override) plan.Update {
	u := plan.Restart(m, targets)
	for i, p := range u.Plans {
		roll := o.Apply(p.Roll())
		if roll.OnFailure == process.RollBack {
			roll.OnFailure = process.RollPause
		}
		u.Plans[i].Asked = &roll
	}
	return u
}

// restartOverride reads what somebody asks of a rolling restart.
func restartOverride(req *control.RollRequest) (plan.Override, error) {
	o, err := overrideOf(req)
	if err == nil && o.OnFailure != nil && *o.OnFailure == process.RollBack {
		err = control.Fault(control.IncorrectParameters, "on_failure rollback: a restart brings nothing new, so there is nothing to go back to: write pause or stop")
	}
	return o, err
}

// rollingRestart replaces processes by themselves, one after the other.
func (d *Daemon) rollingRestart(ctx context.Context, req control.ActRequest) (control.Operation, error) {
	switch {
	case req.Verb != control.ActRestart:
		return control.Operation{}, control.Fault(control.IncorrectParameters, "rolling: only a restart can be")
	case req.Now:
		return control.Operation{}, control.Fault(control.IncorrectParameters, "now: a rolling restart takes its time")
	case req.AtOnce != 0:
		return control.Operation{}, control.Fault(control.IncorrectParameters, "at_once: with rolling max_unavailable says it")
	}
	op := d.operations.add(control.KindRoll, req.Who, d.opts.Wall())
	return d.launch(ctx, op, asked{Act: &req})
}

// beginRolling returns what begins a rolling restart.
func (d *Daemon) beginRolling(op *operation, req control.ActRequest) (beginner, error) {
	o, err := restartOverride(req.Roll)
	if err != nil {
		return nil, err
	}
	if _, err := actOf(req); err != nil {
		return nil, err
	}
	return func() (<-chan core.Reply, <-chan struct{}, error) {
		return d.begin(op, func(core.Now) (plan.Update, error) {
			return d.planRestart(req.Names, o)
		}, func() error { return nil })
	}, nil
}

// PauseOperation implements control.Change.
func (d *Daemon) PauseOperation(ctx context.Context, id string) error {
	_, err := d.decide(ctx, id, control.OperationRunning, false)
	return err
}

// ResumeOperation implements control.Change.
func (d *Daemon) ResumeOperation(ctx context.Context, id string) error {
	state, err := d.decide(ctx, id, control.OperationPaused, true)
	if err == nil && state != control.OperationPaused {
		return control.Fault(control.Failed, id+" is not paused")
	}
	return err
}

// decide pauses or resumes an operation that is in a state, and returns the state that it was in.
func (d *Daemon) decide(ctx context.Context, id string, in control.OperationState, resume bool) (control.OperationState, error) {
	op := d.operations.named(id)
	if op == nil {
		return "", control.Fault(control.BadName, id)
	}
	about, _ := d.operations.show(op, 0)
	switch {
	case about.State == control.OperationWaiting:
		return about.State, control.Fault(control.Failed, id+" waits for "+about.Behind+": it has not begun")
	case about.State.Over():
		return about.State, control.Fault(control.BadName, id+" is over")
	case about.State != in:
		return about.State, nil
	}
	if _, err := d.ask(ctx, core.PauseUpdate{Op: op.number, Resume: resume}); err != nil {
		return about.State, control.Fault(control.BadName, id+" is over")
	}
	return about.State, nil
}

// paused notes that an operation waits for somebody's decision, or goes on.
func (d *Daemon) paused(e core.UpdatePaused) {
	op := d.operations.numbered(e.Op)
	if op == nil {
		return
	}
	d.operations.change(op, func(about *control.Operation) {
		about.State, about.Failed = control.OperationRunning, ""
		if e.Paused {
			about.State = control.OperationPaused
			if e.Text != "" {
				about.Failed = fullName(e.Text)
			}
		}
	})
}

// fullName is the long form of a name: "db:db" for "db".
func fullName(name string) string {
	n := process.ParseNamespec(name)
	return n.Group + ":" + n.Process
}

// resumeRolls makes a daemon that goes on know what it has to tell of the operations under way: which are paused, and what those processes are to prove
// that they have begun with.
func (d *Daemon) resumeRolls() {
	saved := d.loop.core.Snapshot()
	for _, o := range saved.Operations {
		op := d.operations.numbered(o.ID)
		if o.ID == 0 || op == nil {
			continue
		}
		about, _ := d.operations.show(op, 0)
		if o.Paused {
			failed := ""
			for _, e := range about.Events {
				if e.Error != "" && !e.Skipped && !e.Undo {
					failed = e.Process
				}
			}
			d.operations.change(op, func(about *control.Operation) { about.State, about.Failed = control.OperationPaused, failed })
		}
	}
	for _, l := range saved.Lines { // processes on trial
		op := d.operations.numbered(saved.Operations[l.Op-1].ID)
		if op == nil {
			continue
		}
		for _, ref := range slices.Concat(l.Busy, l.Extras) {
			st := saved.Steps[ref-1]
			if st.Ended {
				continue
			}
			id := saved.Processes[st.Process-1].ID
			action := "replace"
			if st.Change.Action == plan.AddProcess {
				action = "start"
			}
			t := &trial{op: op.number, action: action, undo: st.Undo, roll: &l.Roll, began: d.opts.Wall(), stdout: notKnown, stderr: notKnown}
			if s, ok := d.loop.core.Status(id); ok && s.Extra {
				t.extra = &s
			}
			d.loop.trials[id] = t
		}
		for _, ref := range slices.Concat(l.Waiting, l.Busy) {
			if op.rolls == nil {
				op.rolls = map[string]process.Roll{}
			}
			op.rolls[saved.Steps[ref-1].Group] = l.Roll
		}
	}
}

// notKnown stands for the length of a log when a process was started under a daemon before: what it wrote then cannot be told from what it writes.
const notKnown = -1

// trial is a process that an operation has begun with, until its step is over. Only the loop touches it.
type trial struct {
	op             uint64
	action         string
	undo           bool
	roll           *process.Roll // of its group, with a replacement; nil = not known
	began          time.Time
	extra          *process.Status // with one that is there only while others are replaced: what it was when its step began
	stdout, stderr int64           // how long the logs were when it was started
}

// attend begins to look at a process that an operation has begun with.
func (d *Daemon) attend(op *operation, s process.Status, r core.StepResult) {
	t := &trial{op: op.number, action: stepWord(r, false), undo: r.Undo, began: d.opts.Wall()}
	if roll, ok := op.rolls[r.Group]; ok && (r.Action == plan.ReplaceProcess || r.Extra != 0 && r.Action == plan.AddProcess) {
		t.roll = &roll
	}
	if s.Extra {
		t.extra = &s
	}
	t.stdout, t.stderr = d.logSizes(s.ID)
	d.loop.trials[s.ID] = t
}

// steady is how long a process has to stay ready, as far as that is known.
func (t *trial) steady() time.Duration {
	if t == nil || t.roll == nil || t.undo {
		return 0
	}
	return t.roll.Steady
}

// proof says in words what a process has proven whose step went well.
func (t *trial) proof(s process.Status) string {
	var parts []string
	if s.Spec.AsksReady() {
		parts = append(parts, "ready")
	}
	if steady := t.steady(); steady > 0 {
		parts = append(parts, "steady "+process.Span(steady))
	}
	return strings.Join(parts, ", ")
}

// attended tells of a process that an operation has begun with what it waits for.
func (d *Daemon) attended(e core.Event) {
	if len(d.loop.trials) == 0 {
		return
	}
	tell := func(group, name string, ready bool) {
		s, ok := d.loop.core.Find(group, name)
		t := d.loop.trials[s.ID]
		if !ok || t == nil {
			return
		}
		text := ""
		switch check := s.Spec.Health.Ready; {
		case !ready && check.Kind != process.CheckNone:
			text = "waits for " + process.HideSecrets(check.String())
		case !ready:
			text = "waits for post_ready"
		case t.steady() > 0:
			text = "has to stay up for " + process.Span(t.steady())
			if s.Spec.AsksReady() {
				text = "ready, has to stay so for " + process.Span(t.steady())
			}
		default:
			return
		}
		line := control.ProgressLine{Time: d.opts.Wall(), Type: "news", Process: group + ":" + name, Action: t.action, PID: s.PID, Undo: t.undo, Text: text}
		if op := d.operations.numbered(t.op); op != nil {
			d.operations.change(op, func(about *control.Operation) { about.Events = append(about.Events, line) })
		}
	}
	switch e := e.(type) {
	case core.StateChanged:
		if e.To == process.Running {
			s, _ := d.loop.core.Find(e.Group, e.Name)
			tell(e.Group, e.Name, s.Ready)
		}
	case core.ReadyChanged:
		if e.Ready {
			tell(e.Group, e.Name, true)
		}
	}
}

// spawning notes where the words of the life that is about to begin will stand in the logs.
func (d *Daemon) spawning(id process.ID) {
	if t := d.loop.trials[id]; t != nil {
		t.stdout, t.stderr = d.logSizes(id)
	}
}

// logSizes tells how long the logs of a process are.
func (d *Daemon) logSizes(id process.ID) (stdout, stderr int64) {
	logs := d.loop.logs[id]
	if logs == nil {
		return 0, 0
	}
	size := func(path string) int64 {
		if info, err := os.Stat(path); path != "" && err == nil {
			return info.Size()
		}
		return 0
	}
	return size(logs.stdout.Path()), size(logs.stderr.Path())
}

// lastWords returns the last lines that a process has written since its start, and where: standard error first.
func (d *Daemon) lastWords(id process.ID, t *trial) ([]string, control.Channel) {
	logs := d.loop.logs[id]
	if logs == nil || t == nil {
		return nil, ""
	}
	const lines, bytes = 5, 4096
	for _, from := range []struct {
		path    string
		before  int64
		channel control.Channel
	}{{logs.stderr.Path(), t.stderr, control.Stderr}, {logs.stdout.Path(), t.stdout, control.Stdout}} {
		if from.path == "" {
			continue
		}
		data, end, _, err := childlog.Tail(from.path, 0, bytes)
		if fresh := end - from.before; err == nil && from.before != notKnown && fresh >= 0 && fresh < int64(len(data)) {
			data = data[int64(len(data))-fresh:] // else it was rotated meanwhile
		}
		text := strings.TrimRight(strings.ToValidUTF8(string(data), "?"), "\n")
		if err != nil || text == "" {
			continue
		}
		all := strings.Split(text, "\n")
		all = all[max(0, len(all)-lines):]
		for i := range all {
			all[i] = control.Printable(strings.ReplaceAll(all[i], "\t", "  "))
		}
		return all, from.channel
	}
	return nil, ""
}

// endText says how a process has ended by itself since its step began, or why no process came of its start; "" where it has not.
func (d *Daemon) endText(id process.ID, t *trial) string {
	times := d.loop.times[id]
	if times == nil || t == nil {
		return ""
	}
	for i := len(times.moments) - 1; i >= 0 && !times.moments[i].Time.Before(t.began); i-- {
		switch m := times.moments[i]; {
		case m.Type == "failed":
			return m.Text
		case m.Type != "exit" || m.Text == wasToStop:
		case m.Signal != "":
			return fmt.Sprintf("it ended by %s after %.1f s", m.Signal, m.Seconds)
		default:
			return fmt.Sprintf("it ended with code %d after %.1f s", *m.Exit, m.Seconds)
		}
	}
	return ""
}

// showStrategy tells how the processes of a plan are replaced; nil: none is.
func showStrategy(p plan.Plan) *control.PlanStrategy {
	batches := p.Batches()
	if p.Scope != plan.ChangeGroup || len(batches) == 0 {
		return nil
	}
	roll := p.Roll()
	out := &control.PlanStrategy{
		MaxUnavailable: roll.Most(len(p.Names(plan.ReplaceProcess))), Surge: len(p.Surge), Canary: roll.Canary, Steady: roll.Steady.Seconds(),
		OnFailure: roll.OnFailure.String(), Batches: len(batches),
	}
	if out.Surge == 0 {
		out.MaxUnavailable = max(1, out.MaxUnavailable)
	}
	for _, spec := range p.Surge {
		out.Extra = append(out.Extra, p.Group+":"+spec.Name)
	}
	for _, c := range slices.Concat(batches...) {
		if check := c.Spec.Health.Ready; check.Kind != process.CheckNone && out.Ready == "" {
			out.Ready = process.HideSecrets(check.String())
		}
	}
	return out
}

// lineTimes estimates how long the replacements of a plan take: their starts with the time for which they have to stay ready, and the most that the
// stops are given.
func lineTimes(p plan.Plan) (starts, stops float64) {
	steady := p.Roll().Steady.Seconds()
	for _, spec := range p.Surge {
		starts = max(starts, float64(spec.StartSecs)+steady)
	}
	for _, batch := range p.Batches() {
		var start, stop float64
		for _, c := range batch {
			start = max(start, float64(c.Spec.StartSecs))
			if !c.Retry {
				stop = max(stop, float64(c.Spec.StopWaitSecs))
			}
		}
		starts, stops = starts+start+steady, stops+stop
	}
	return starts, stops
}
