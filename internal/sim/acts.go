package sim

import (
	"reflect"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// watchedAct is what a Checker knows of an Act under way.
type watchedAct struct {
	op    uint64
	most  int
	now   bool
	left  map[stepKey]bool // steps that have not ended
	stops int              // of these
	busy  map[stepKey]bool // begun
	ended []core.StepResult
}

// beginAct takes notice of an Act that is carried out, with all that it said it would do.
func (c *Checker) beginAct(in core.Input, out []core.Effect) {
	command, ok := in.(core.Command)
	do, act := command.Do.(core.Act)
	if !ok || !act {
		return
	}
	for _, e := range out {
		if r, ok := e.(core.Reply); ok && r.Req == command.Req && r.Updated == nil {
			return // refused
		}
	}
	a := &watchedAct{op: do.Op, most: do.AtOnce, now: do.Now, left: map[stepKey]bool{}, busy: map[stepKey]bool{}}
	c.acts[do.Op] = a
	for _, t := range do.Targets {
		for _, p := range c.procs {
			if st := p.step; (t.All || p.name.Group == t.Group && (t.Process == "" || t.Process == p.name.Process)) && st != nil && !st.began &&
				st.change.Action == plan.ReplaceProcess && (!st.update.paused || st.undo) {
				c.broken("an Act takes %v, which waits in the line of update %d", p.name, st.update.op)
			}
		}
	}
	for _, change := range c.world.steps[command.Req] {
		a.left[stepKey{change.Group, change.Name, change.Action, false}] = true
		if change.Action == plan.StopProcess {
			a.stops++
		}
	}
	for _, t := range do.Targets {
		start, stop := stepKey{t.Group, t.Process, plan.StartProcess, false}, stepKey{t.Group, t.Process, plan.StopProcess, false}
		if t.Process != "" && (do.Start && !a.left[start] || do.Stop && !a.left[stop]) {
			c.broken("%v is named, and nothing is done: %+v", t, do)
		}
	}
}

func keyOf(r core.StepResult) stepKey { return stepKey{r.Group, r.Name, r.Action, r.Undo} }

func (c *Checker) actBegan(e core.StepBegan) {
	a, key := c.acts[e.Op], keyOf(e.Step)
	p := c.named(process.Namespec{Group: e.Step.Group, Process: e.Step.Name})
	if p == nil || !a.left[key] || a.busy[key] {
		c.broken("step %s of %d begins: %+v", stepText(e.Step), e.Op, p)
		return
	}
	if e.Step.OldPID != p.pid || e.Step.Started {
		c.broken("%s begins with pid %d", stepText(e.Step), p.pid)
	}
	if e.Step.Action == plan.StartProcess && a.stops > 0 {
		c.broken("%s begins, and %d stops are not over", stepText(e.Step), a.stops)
	}
	if a.busy[key] = true; a.most > 0 && len(a.busy) > a.most {
		c.broken("%d is busy with %v, and may be with %d", e.Op, a.busy, a.most)
	}
	takes := e.Step.Action == plan.StopProcess && (p.gated || p.state == process.Starting || p.state == process.Running || // of which somebody waits what becomes
		(a.now || p.act != nil && p.act.now) && p.state == process.Stopping && p.doing == plan.StopProcess) // who does not wait for others holds up nobody
	leaves := p.extra && p.step != nil && p.step.change.Action == plan.RemoveProcess                  // since what it was there for is over
	busy := p.step != nil && !leaves && (p.step.began || p.step.change.Action != plan.ReplaceProcess) // else it waits in its line
	if busy && p.step.update.paused {
		c.Seized["taken while paused"]++
	} else if p.step != nil && p.step.update.paused {
		c.Seized[map[plan.Action]string{plan.StopProcess: "stopped while paused", plan.StartProcess: "started while paused"}[e.Step.Action]]++
	}
	if (busy || p.act != nil && p.act != a) && !takes {
		c.broken("%s of %d begins, and another operation is busy with it: %+v %+v", stepText(e.Step), e.Op, p.step, p.act)
	}
	p.act, p.doing = a, e.Step.Action
}

func (c *Checker) actEnded(e core.StepEnded) {
	a, key := c.acts[e.Op], keyOf(e.Step)
	if !a.left[key] {
		c.broken("a step that %d does not have, or has not any more: %s", e.Op, stepText(e.Step))
		return
	}
	if e.Step.Fault == nil || e.Step.Started {
		if !a.busy[key] && e.Step.Action == plan.StartProcess {
			c.broken("%s ends and has not begun", stepText(e.Step))
		}
	}
	delete(a.left, key)
	delete(a.busy, key)
	a.ended = append(a.ended, e.Step)
	if e.Step.Action == plan.StopProcess {
		a.stops--
	}
	p := c.named(process.Namespec{Group: e.Step.Group, Process: e.Step.Name})
	if p == nil {
		return
	}
	if p.act == a && p.doing == e.Step.Action {
		p.act = nil
	}
	switch {
	case e.Step.Fault != nil:
	case e.Step.Action == plan.StopProcess && !p.state.IsStopped(), e.Step.Action == plan.StartProcess && p.state != process.Running:
		c.broken("%s ends in %v", stepText(e.Step), p.state)
	}
}

// actAnswered checks the answer to an Act: it names every step, in the order in which they ended.
func (c *Checker) actAnswered(r core.Reply) {
	a := c.acts[uint64(r.Req)]
	if a == nil || r.Updated == nil {
		return
	}
	if !reflect.DeepEqual(a.ended, r.Updated) && len(a.ended)+len(r.Updated) > 0 {
		c.broken("the answer to %d is not what happened:\n%+v\n%+v", r.Req, r.Updated, a.ended)
	}
	if len(a.left) > 0 {
		c.broken("%d is answered, but not over: %v", r.Req, a.left)
	}
}

// afterActs forgets Acts that are over.
func (c *Checker) afterActs() {
	for op, a := range c.acts {
		if len(a.left) == 0 {
			delete(c.acts, op)
		} else if c.world.Halted {
			c.broken("halt in the middle of %d: %v", op, a.left)
		}
	}
}
