package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// Checker watches a world and reports every broken promise of the machine. The promises:
//
//   - a process has at most one living incarnation, and every spawn exactly one outcome;
//   - no signal goes to a pid that the machine does not own;
//   - a process moves from the state it is in, along an edge of the state table, and every exit makes exactly one ending;
//   - every command is answered exactly once, unless it was cancelled, and soon;
//   - carrying out a plan touches nobody that the plan does not name;
//   - a process that ends by itself is not started twice within a second, or, with backoff, not before its first pause unless it was RUNNING for as long;
//   - a process is not started by itself more often than its restart_limit says;
//   - while the breaker of a group is open at most one process at a time is on its way to RUNNING by itself;
//   - nothing waits for a breaker that is closed, nor longer for an open one than the pauses of its group last;
//   - a process that is on its way out is not started;
//   - nothing is started while everything is being stopped;
//   - nothing is stopped, and nothing that was stopped or given up is started, unless a command says so or the plan of an update;
//   - an update takes no more members of a group from their work at a time than it may, counts those that do not work anyway, and touches nobody before it
//     says that it begins with it;
//   - every step of its plan ends exactly once and is in its answer; then the process has the settings from before or those of the plan;
//   - an Act does what it says it would, starts nothing before all its stops are over, is busy with no more at once than it may be, and has stopped
//     and started what it says it has;
//   - one operation at a time is busy with a process, but for a stop, which takes it from one that waits for it to be RUNNING;
//   - a process that gets other settings or another name while it runs stays the same one, with its pid and incarnation;
//   - the machine never asks to be called again and again in one instant;
//   - a process that is there already when its group is added stays as it is, and nothing is told of it, unless that is still to be decided;
//   - the commands of a life keep to their order: see watchedLife;
//   - a stop ends: with the process, or with SIGKILL, unless its last step is to last for ever;
//   - it halts only when nothing is left that could be stopped.
type Checker struct {
	Patience time.Duration  // how long a command may wait, other than an update
	Hooks    int            // commands of a life that ran
	Batches  int            // how often an update was busy with as many members of a group at once as it may, and with more than one
	Extras   int            // how many processes there were meanwhile
	Covered  int            // how often one of them took the place of one that was out of work
	Seized   map[string]int // what Acts did with processes of paused updates; busy: that these had begun with

	world    *World
	quirks   core.Quirks
	fail     func(string)
	procs    map[process.ID]*watched
	asked    map[core.Req]time.Duration
	cancel   map[core.Req]bool
	updates  map[uint64]*updating
	acts     map[uint64]*watchedAct
	breakers map[string]*watchedBreaker // by group
	ended    []endedStep                // steps of updates that ended in the present step
	quitting bool                       // since an earlier step
	steps    int                        // at the present instant
	instant  time.Duration
}

// watched is what the checker knows of one process.
type watched struct {
	name     process.Namespec
	state    process.State
	inc      process.Incarnation
	spawning bool // a Spawn has no outcome yet
	pid      int  // 0 = no process
	spawned  time.Duration
	ended    time.Duration
	backoff  process.BackoffSpec // in force at its last end
	starts   []time.Duration     // by itself, since one that somebody wanted, or since another limit is in force
	limit    process.Rate
	refused  bool          // a signal could not be sent
	stopping time.Duration // since when
	killed   bool          // it has got SIGKILL in this state
	revived  bool          // its last transition was from EXITED to STARTING
	before   process.State // the one that its last transition was from
	spec     *process.Spec
	extra    bool          // it is there only while others are replaced
	gated    bool          // it waits for other processes
	began    bool          // its last start had waited for other processes
	waits    time.Duration // since when it is held back, plus one; 0 = it is not
	leaving  bool          // since an earlier step
	ready    bool          // likewise
	wanted   bool          // it starts again once it has stopped
	dead     bool          // it was found not to be alive, and is stopped
	step     *watchedStep  // of an update that is busy with it
	act      *watchedAct   // that is busy with it
	doing    plan.Action   // with act: what it does
	life     watchedLife   // its commands
}

// edges is the state table: where a process may go from each state (contract: process, Transitions), with the edges of our own: from a
// pending restart to STOPPED, from EXITED to FATAL with restart_limit, from STOPPING to EXITED of one that was not
// alive, and out of UNKNOWN.
var edges = map[process.State][]process.State{
	process.Stopped:  {process.Starting},
	process.Starting: {process.Running, process.Backoff, process.Stopping, process.Unknown},
	process.Running:  {process.Exited, process.Stopping, process.Unknown},
	process.Backoff:  {process.Starting, process.Fatal, process.Stopped},
	process.Stopping: {process.Stopped, process.Unknown, process.Exited},
	process.Exited:   {process.Starting, process.Stopped, process.Fatal},
	process.Fatal:    {process.Starting},
	process.Unknown:  {process.Stopped},
}

// patience, a Checker's at first, is how long a command may wait when nothing hinders it: startsecs, stopwaitsecs and a child that is slow to die, with room.
const patience = 15*time.Second + 4*longestHook

// Watch makes a checker of a world; fail is called for each broken promise.
func Watch(w *World, quirks core.Quirks, fail func(string)) *Checker {
	c := &Checker{
		Patience: patience, world: w, quirks: quirks, fail: fail, procs: map[process.ID]*watched{},
		asked: map[core.Req]time.Duration{}, cancel: map[core.Req]bool{}, updates: map[uint64]*updating{},
		acts: map[uint64]*watchedAct{}, breakers: map[string]*watchedBreaker{}, Seized: map[string]int{},
	}
	w.Watch = c.step
	return c
}

func (c *Checker) broken(format string, args ...any) {
	c.fail(fmt.Sprintf("at %v: ", c.world.Now()) + fmt.Sprintf(format, args...))
}

// Unanswered returns the commands that still wait.
func (c *Checker) Unanswered() (list []core.Req) {
	for id := range c.asked {
		if !c.cancel[id] {
			list = append(list, id)
		}
	}
	return list
}

func (c *Checker) step(now time.Duration, in core.Input, out []core.Effect) {
	if now != c.instant {
		c.instant, c.steps = now, 0
	}
	if c.steps++; c.steps > 2000 {
		c.broken("%d steps in one instant", c.steps)
	}
	exited := c.before(in)
	allowed := c.allowed(in)
	c.beginUpdate(in, out)
	c.beginAct(in, out)
	endings := 0
	for i, e := range out {
		switch e := e.(type) {
		case core.OpenLogs:
			if c.procs[e.ID] != nil {
				c.broken("process %d added twice", e.ID)
			}
			c.procs[e.ID] = &watched{name: process.Namespec{Group: e.Group, Process: e.Spec.Name}, spec: e.Spec}
			c.added(c.procs[e.ID])
			c.found(now, in, c.procs[e.ID], e.Spec)
		case core.ChangeLogs:
			if slices.ContainsFunc(out[i+1:], func(o core.Effect) bool { l, again := o.(core.ChangeLogs); return again && l.ID == e.ID }) {
				break // a line has turned round at once
			}
			if s, ok := c.world.Core.Status(e.ID); !ok || s.Name != e.Spec.Name || s.Spec.Stdout != e.Spec.Stdout || s.Spec.Stderr != e.Spec.Stderr {
				c.broken("logs of process %d changed to %+v", e.ID, e.Spec)
			}
		case core.CloseLogs:
			if p := c.procs[e.ID]; p == nil || !p.state.IsStopped() || p.spawning || p.pid != 0 && p.state != process.Unknown {
				c.broken("process %d removed: %+v", e.ID, p)
			} else if p.life.running != 0 && !removes(in) {
				c.broken("%v removed while %s runs", p.name, p.life.option)
			}
			delete(c.procs, e.ID)
		case core.Spawn:
			c.spawn(now, in, e, allowed)
		case core.Signal:
			p := c.procs[e.ID]
			c.untouched(in, p)
			if p != nil && e.Signal == process.SIGKILL {
				p.killed = true
			}
			if p == nil || p.pid == 0 || p.pid != e.PID || p.inc != e.Incarnation {
				c.broken("%v to pid %d: %+v", e.Signal, e.PID, p)
			} else if allowed != nil && !allowed[p.name.Process] && allowed[p.name.Group+":"] && p.act == nil {
				c.broken("a plan signals %v, which it does not name", p.name)
			}
		case core.RunHook:
			c.hookRuns(now, e)
		case core.EndHook:
			c.hookEnds(e.Token, true)
		case core.Reply:
			if _, ok := c.asked[e.Req]; !ok || c.cancel[e.Req] {
				c.broken("reply to %d, which does not wait", e.Req)
			}
			delete(c.asked, e.Req)
			c.updated(e)
			c.actAnswered(e)
		case core.Publish:
			switch e := e.Event.(type) {
			case core.StateChanged:
				c.change(in, e)
				if exited != nil && e.ID == exited.ID && e.Incarnation == exited.Incarnation && isEnding(e) {
					endings++
				}
			case core.NotAlive:
				if p := c.named(process.Namespec{Group: e.Group, Process: e.Name}); e.Action != process.AliveNone {
					p.dead, p.wanted = true, e.Action == process.AliveRestart && !p.leaving
				}
			case core.ReadyChanged:
				if p := c.named(process.Namespec{Group: e.Group, Process: e.Name}); p != nil {
					p.ready = e.Ready
				}
			case core.WaitsFor:
				if p := c.named(process.Namespec{Group: e.Group, Process: e.Name}); p != nil {
					p.gated = true
				}
			case core.Summoned:
				if p := c.named(process.Namespec{Group: e.Group, Process: e.Name}); p != nil {
					p.gated = true
				}
			case core.UpdatePaused:
				if u := c.updates[e.Op]; u != nil {
					u.paused = e.Paused
					c.pardon(u)
				}
			case core.MemberRenamed:
				c.renamed(e)
			case core.StepBegan:
				if c.acts[e.Op] != nil {
					c.actBegan(e)
				} else {
					c.stepBegan(e)
				}
			case core.StepEnded:
				if c.acts[e.Op] != nil {
					c.actEnded(e)
				} else {
					c.stepEnded(in, e)
				}
			case core.BreakerOpened:
				c.opened(e)
			case core.BreakerClosed:
				c.closed(now, e)
			case core.GroupRemoved:
				delete(c.breakers, e.Name)
			case core.Ignored:
				c.broken("%+v", e)
			}
		case core.Halt:
			for _, p := range c.procs {
				if !p.state.IsStopped() && !p.refused {
					c.broken("halt with %v in %v", p.name, p.state)
				}
			}
			if left := c.Unanswered(); len(left) > 0 {
				c.broken("halt with commands %v unanswered", left)
			}
		}
	}
	if exited != nil && endings != 1 && !(endings == 0 && c.tidies(exited.ID)) {
		c.broken("%d endings of process %d on one exit", endings, exited.ID)
	}
	_, c.quitting = c.world.Core.Quitting()
	c.afterUpdates()
	c.afterActs()
	c.after(now)
}

// foundIn returns what an input says that a process is already.
func foundIn(in core.Input, p *watched) (f core.Found, ok bool) {
	command, _ := in.(core.Command)
	if do, add := command.Do.(core.AddGroups); add && p != nil {
		f, ok = do.Found[p.name]
	}
	return f, ok
}

// found makes a process that was just added what it is already.
func (c *Checker) found(now time.Duration, in core.Input, p *watched, spec *process.Spec) {
	if f, ok := foundIn(in, p); ok {
		p.state, p.pid, p.inc, p.spawned, p.ended, p.backoff = f.State, f.PID, 1, now-f.Started, now, spec.Backoff
		if f.State == process.Backoff {
			p.ended -= f.Since
		}
	}
}

// untouched checks that nothing happens to a process while it is found.
func (c *Checker) untouched(in core.Input, p *watched) {
	if f, ok := foundIn(in, p); ok && !(f.Undecided && f.State.IsStopped()) {
		c.broken("%v was found %v and is touched", p.name, f.State)
	}
}

// before notes what an input says. It returns the input if it is the end of a living incarnation.
func (c *Checker) before(in core.Input) *core.Exited {
	switch in := in.(type) {
	case core.Command:
		if in.Req != 0 {
			c.asked[in.Req] = c.world.Now()
		}
	case core.Cancel:
		if _, ok := c.asked[in.Req]; ok {
			c.cancel[in.Req] = true
			delete(c.asked, in.Req)
		}
	case core.Spawned:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation {
			p.spawning, p.pid = false, in.PID
		}
	case core.SpawnFailed:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation {
			p.spawning = false
		}
	case core.Exited:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation {
			p.life.pid, p.life.owes = p.pid, p.spec != nil && p.spec.Hooks.PostStop.Wanted()
			p.pid = 0
			return &in
		}
	case core.HookEnded:
		c.hookEnds(in.Token, in.Text != "")
	case core.Signalled:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation && in.Error != "" {
			p.refused = true
		}
	}
	return nil
}

// allowed returns the members that a plan names, marked as of its group, nil for any other input.
func (c *Checker) allowed(in core.Input) map[string]bool {
	command, ok := in.(core.Command)
	if !ok {
		return nil
	}
	var p plan.Plan
	switch do := command.Do.(type) {
	case core.Apply:
		p = do.Plan
	case core.Leave:
		p = do.Plan
	default:
		return nil
	}
	names := map[string]bool{p.Group + ":": true}
	for _, change := range p.Changes {
		names[change.Name] = true
		if w := c.named(process.Namespec{Group: p.Group, Process: change.Name}); w != nil {
			w.wanted = change.Action == plan.ReturnProcess
		}
	}
	return names
}

func (c *Checker) spawn(now time.Duration, in core.Input, e core.Spawn, allowed map[string]bool) {
	p := c.procs[e.ID]
	if p == nil {
		c.broken("spawn of process %d, which is not there", e.ID)
		return
	}
	c.untouched(in, p)
	if p.spawning || p.pid != 0 || p.state != process.Starting || e.Incarnation != p.inc {
		c.broken("spawn %d of %v: %+v", e.Incarnation, p.name, p)
	}
	c.forks(p, e)
	if status, ok := c.world.Core.Status(e.ID); ok && status.Leaving && (!status.Extra || p.leaving) { // its line may end in the step in which somebody starts it
		c.broken("spawn of %v, which is leaving", p.name)
	}
	if allowed != nil && allowed[p.name.Group+":"] && !allowed[p.name.Process] && p.inc > 0 && p.act == nil && !p.began {
		c.broken("a plan restarts %v, which it does not name", p.name)
	}
	if c.quitting {
		c.broken("spawn of %v while quitting", p.name)
	}
	p.spawning, p.spawned, p.refused = true, now, false
}

// starts checks that a process may start now.
func (c *Checker) starts(now time.Duration, in core.Input, p *watched, e core.StateChanged) {
	if e.Incarnation != p.inc+1 {
		c.broken("start %d of %v: %+v", e.Incarnation, p.name, p)
	}
	p.life.begins()
	spec := p.spec
	if s, ok := c.world.Core.Status(e.ID); ok {
		spec = s.Spec
	}
	do, command := in.(core.Command)
	if _, stop := do.Do.(core.Stop); stop {
		command = false // what starts with a stop does so because of what it has waited for
	}
	status, _ := c.world.Core.Status(e.ID)
	wanted := p.gated && status.Restarts == 0 && p.before != process.Backoff // by somebody, before it had to wait
	byItself := !wanted && (p.before == process.Exited || p.before == process.Backoff) && !command && p.act == nil && (p.step == nil || !p.step.undo)
	p.began = p.gated
	c.limited(now, p, spec.RestartLimit, byItself)
	c.probed(p, byItself)
	if b := p.backoff; b.Set() {
		if byItself && now-p.ended < b.First && (p.before == process.Backoff || p.ended-p.spawned < b.First) {
			c.broken("%v starts %v after its last end, and %v after its last start", p.name, now-p.ended, now-p.spawned)
		}
	} else if !c.quirks.NoRestartFloor && !command && !wanted && p.inc > 0 && now-p.spawned < time.Second && p.revived {
		c.broken("%v starts %v after its last start", p.name, now-p.spawned)
	}
	p.inc = e.Incarnation
}

// limited counts the starts of a process by itself.
func (c *Checker) limited(now time.Duration, p *watched, limit process.Rate, byItself bool) {
	if p.limit != limit || !byItself {
		p.starts, p.limit = nil, limit
	}
	if !byItself {
		return
	}
	n := 1
	for _, at := range p.starts {
		if now-at < limit.Within {
			n++
		}
	}
	if limit.Count > 0 && n > limit.Count {
		c.broken("%v starts by itself %d times in %v", p.name, n, limit.Within)
	}
	p.starts = append(p.starts, now)
}

// isEnding reports whether a transition is one that the end of a process causes.
func isEnding(e core.StateChanged) bool {
	switch e.To {
	case process.Backoff, process.Exited:
		return true
	case process.Stopped:
		return e.From == process.Stopping || e.From == process.Unknown
	}
	return false
}

func (c *Checker) change(in core.Input, e core.StateChanged) {
	p := c.procs[e.ID]
	if p == nil {
		c.broken("%v -> %v of process %d, which is not there", e.From, e.To, e.ID)
		return
	}
	c.untouched(in, p)
	if p.state != e.From {
		c.broken("%v goes from %v to %v but is %v", p.name, e.From, e.To, p.state)
	}
	legal := false
	for _, to := range edges[e.From] {
		legal = legal || to == e.To
	}
	if !legal {
		c.broken("%v goes from %v to %v", p.name, e.From, e.To)
	}
	c.wished(in, p, e)
	p.ready = p.ready && e.To == process.Running
	if e.To == process.Exited || e.To == process.Backoff {
		p.ended, p.backoff = c.world.Now(), p.spec.Backoff
	}
	if e.From == process.Starting {
		c.probeEnded(c.world.Now(), p, e.To == process.Backoff)
	}
	if e.From == process.Stopping && e.To == process.Exited {
		p.wanted = false // it is as if it had ended by itself
	}
	p.before = e.From
	p.revived = e.From == process.Exited && e.To == process.Starting && p.act == nil && (p.step == nil || !p.step.undo)
	p.state, p.stopping, p.killed = e.To, c.world.Now(), false
	if e.To == process.Starting {
		c.starts(c.world.Now(), in, p, e)
	}
}

// tidies reports whether a process that has ended is STOPPING until commands have ended.
func (c *Checker) tidies(id process.ID) bool {
	s, ok := c.world.Core.Status(id)
	return ok && s.State == process.Stopping && s.PID == 0 && forCommand(s.Waits) // which may be one of settings that it has no more
}

// stops checks that a stop comes to its end.
func (c *Checker) stops(now time.Duration, p *watched) {
	const room = time.Second // for outcomes that come late
	if p.state == process.Stopping && !p.killed && now-p.stopping > longestStop+2*longestHook+room {
		c.broken("%v is stopping since %v", p.name, p.stopping)
	}
}

// after compares the machine's view with what was seen, and looks for commands that wait too long.
func (c *Checker) after(now time.Duration) {
	if at, ok := c.world.Core.NextDeadline(); ok && at < now {
		c.broken("deadline %v is past", at)
	}
	for id, since := range c.asked {
		if now-since > c.Patience && c.updates[uint64(id)] == nil && c.acts[uint64(id)] == nil {
			c.broken("command %d waits since %v", id, since)
			delete(c.asked, id)
		}
	}
	statuses := c.world.Core.Statuses()
	if len(statuses) != len(c.procs) && !c.world.Halted {
		c.broken("%d processes, %d seen", len(statuses), len(c.procs))
	}
	for _, s := range statuses {
		p := c.procs[s.ID]
		if p == nil || p.name != s.Namespec() || p.state != s.State || p.pid != s.PID || p.inc != s.Incarnation {
			c.broken("status %v %v pid %d, seen %+v", s.Namespec(), s.State, s.PID, p)
			continue
		}
		p.spec, p.leaving, p.ready = s.Spec, s.Leaving, s.Ready
		c.waits(now, p, s)
		c.hooksAfter(now, p)
		c.stops(now, p)
	}
}
