package sim

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// updating is what a Checker knows of an update under way.
type updating struct {
	op     uint64
	left   map[stepKey]plan.Change // steps that have not ended
	ended  []core.StepResult
	lines  map[string]*watchedLine // of groups
	paused bool
}

// watchedLine is the replacements of one group.
type watchedLine struct {
	most    int                      // that may be out of work because of it
	surge   map[string]process.Spec  // those that may be there meanwhile, and take the place of others
	olds    map[string]*process.Spec // in force before
	members map[string]bool          // of those, the ones that were not on their way out
	busy    map[string]bool          // begun
	began   bool                     // with one that worked, in the present step of the machine
}

// stepKey names a step of an update: a group that is replaced has two for each name, and one that is taken back has two for each process.
type stepKey struct {
	group, name string
	action      plan.Action
	undo        bool
}

// watchedStep is what an update is to do to one process.
type watchedStep struct {
	update  *updating
	change  plan.Change
	began   bool
	halted  bool          // somebody was stopping it then
	ran     bool          // it ran then, or was about to
	old     *process.Spec // in force before
	undo    bool
	extra   bool // it brings one that is there meanwhile
	leaving bool // it was on its way out
}

// endedStep is a step that ended in the present step of the machine.
type endedStep struct {
	id     process.ID // 0 = of a process that never was
	step   *watchedStep
	result core.StepResult
}

// Updating returns the numbers of the operations that are under way.
func (c *Checker) Updating() (ops []uint64) {
	for op := range c.updates {
		ops = append(ops, op)
	}
	for op := range c.acts {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	return ops
}

// beginUpdate takes notice of an update that is carried out, with all that its plan says.
func (c *Checker) beginUpdate(in core.Input, out []core.Effect) {
	command, ok := in.(core.Command)
	do, update := command.Do.(core.Update)
	if !ok || !update {
		return
	}
	for _, e := range out {
		if r, ok := e.(core.Reply); ok && r.Req == command.Req && r.Updated == nil {
			return // refused
		}
	}
	u := &updating{op: do.Op, left: map[stepKey]plan.Change{}, lines: map[string]*watchedLine{}}
	c.updates[do.Op] = u
	for _, p := range do.Plan.Plans {
		roll := p.Roll()
		if do.Roll != nil {
			roll = *do.Roll
		}
		l := &watchedLine{most: roll.Most(len(p.Names(plan.ReplaceProcess))), surge: map[string]process.Spec{}, olds: map[string]*process.Spec{}, members: map[string]bool{}, busy: map[string]bool{}}
		u.lines[p.Group] = l
		for _, spec := range p.Surge {
			l.surge[spec.Name] = spec
		}
		if len(p.Surge) == 0 {
			l.most = max(1, l.most)
		}
		for _, change := range p.Changes {
			u.left[stepKey{p.Group, change.Name, change.Action, false}] = change
			if change.Action == plan.AddProcess {
				continue
			}
			name := process.Namespec{Group: p.Group, Process: change.Name}
			if change.From != "" {
				name.Process = change.From
			}
			w := c.named(name)
			if w == nil {
				c.broken("an update %vs %v, which is not there", change.Action, name)
				continue
			}
			if w.step != nil {
				c.broken("update %d takes %v, which update %d is busy with", do.Op, name, w.step.update.op)
			}
			if w.act != nil {
				c.broken("update %d takes %v, which %d is busy with", do.Op, name, w.act.op)
			}
			w.step = &watchedStep{update: u, change: change, old: w.spec, leaving: w.leaving}
			if change.Action == plan.ReplaceProcess {
				l.olds[change.Name], l.members[change.Name] = w.spec, !w.leaving
			}
		}
	}
}

func (c *Checker) named(name process.Namespec) *watched {
	for _, p := range c.procs {
		if p.name == name {
			return p
		}
	}
	return nil
}

// added gives a process that was just added its step, if an update did that.
func (c *Checker) added(p *watched) {
	for _, u := range c.updates {
		if change, ok := u.left[stepKey{p.name.Group, p.name.Process, plan.AddProcess, false}]; ok {
			p.step = &watchedStep{update: u, change: change}
		}
	}
}

// standIns returns how many of a group that are there meanwhile are ready.
func (c *Checker) standIns(group string) (n int) {
	for _, p := range c.procs {
		if p.extra && p.name.Group == group && (p.ready || p.state == process.Running && p.spec != nil && !p.spec.AsksReady()) {
			n++
		}
	}
	return n
}

func (c *Checker) renamed(e core.MemberRenamed) {
	p := c.named(process.Namespec{Group: e.Group, Process: e.From})
	switch {
	case p == nil || c.named(process.Namespec{Group: e.Group, Process: e.Name}) != nil:
		c.broken("%+v", e)
	case p.step == nil || p.step.change.Action != plan.RenameProcess || p.step.change.Name != e.Name:
		c.broken("%+v: no update says so", e)
	default:
		p.name.Process = e.Name
	}
}

func (c *Checker) stepBegan(e core.StepBegan) {
	p := c.named(process.Namespec{Group: e.Step.Group, Process: e.Step.Name})
	if e.Step.Undo && p != nil && p.step == nil {
		c.turnsBack(c.updates[e.Op], p)
	}
	if u := c.updates[e.Op]; u != nil && p != nil && p.step == nil && e.Step.Action == plan.AddProcess && u.lines[e.Step.Group] != nil {
		if spec, ok := u.lines[e.Step.Group].surge[e.Step.Name]; ok {
			change := plan.Change{Action: plan.AddProcess, Group: e.Step.Group, Name: e.Step.Name, Spec: spec}
			u.left[stepKey{change.Group, change.Name, change.Action, false}] = change
			p.step, p.extra = &watchedStep{update: u, change: change, extra: true}, true
			c.Extras++
		}
	}
	if u := c.updates[e.Op]; u != nil && p != nil && p.extra && p.step == nil && e.Step.Action == plan.RemoveProcess {
		change := plan.Change{Action: plan.RemoveProcess, Group: e.Step.Group, Name: e.Step.Name}
		if p.spec != nil { // else it came in the same step
			change.Spec = *p.spec
		}
		u.left[stepKey{change.Group, change.Name, change.Action, false}] = change
		p.step = &watchedStep{update: u, change: change, old: p.spec}
	}
	if p == nil || p.step == nil || p.step.update.op != e.Op || p.step.change.Action != e.Step.Action || p.step.began {
		c.broken("step %s of update %d begins: %+v", stepText(e.Step), e.Op, p)
		return
	}
	if e.Step.OldPID != p.pid || e.Step.Started {
		c.broken("%s begins with pid %d", stepText(e.Step), p.pid)
	}
	if p.act != nil && e.Step.Action != plan.RemoveProcess {
		c.broken("%s begins, and %d is busy with it", stepText(e.Step), p.act.op)
	}
	p.step.began, p.step.halted = true, p.state == process.Stopping && !p.wanted && !p.step.leaving
	p.step.ran = p.state.IsRunning()
	if e.Step.Action == plan.ReplaceProcess && (!p.step.leaving || p.state.IsRunning()) {
		l := p.step.update.lines[e.Step.Group]
		l.busy[e.Step.Name] = true
		l.began = l.began || p.ready && !e.Step.Undo
		if len(l.busy) == l.most && l.most > 1 {
			c.Batches++
		}
		most := l.most + c.standIns(e.Step.Group)
		if e.Step.Undo || !p.ready {
			most = max(1, most)
		}
		if len(l.busy) > most {
			c.broken("%s begins, and no more than %d may be out of work: %v", stepText(e.Step), most, l.busy)
		}
	}
}

// turnsBack gives a process the step by which it gets back what it had.
func (c *Checker) turnsBack(u *updating, p *watched) {
	if u == nil || u.lines[p.name.Group] == nil || u.lines[p.name.Group].olds[p.name.Process] == nil {
		c.broken("%v gets back what nobody has taken: %+v", p.name, u)
		return
	}
	change := plan.Change{
		Action: plan.ReplaceProcess, Group: p.name.Group, Name: p.name.Process, Spec: *u.lines[p.name.Group].olds[p.name.Process], Retry: true,
	}
	u.left[stepKey{change.Group, change.Name, change.Action, true}] = change
	p.step = &watchedStep{update: u, change: change, old: p.spec, undo: true}
}

// pardon lets an update go on that somebody has had go on: those that do not work by then are known, and not in the way any more.
func (c *Checker) pardon(u *updating) {
	for _, p := range c.procs {
		if l := u.lines[p.name.Group]; l != nil && !u.paused && !p.ready && p.step == nil {
			delete(l.members, p.name.Process)
		}
	}
}

// outOfWork checks that no more members of a group are out of work than may be, whenever one was taken from its work.
func (c *Checker) outOfWork(u *updating, group string) {
	l := u.lines[group]
	extra, most := 0, l.most
	for _, s := range c.world.Core.Statuses() {
		if s.Group == group && s.Extra {
			extra++
			most += b2i(s.Ready)
		}
	}
	if extra > len(l.surge) {
		c.broken("%d processes are there while others of %s are replaced, and no more than %d may be", extra, group, len(l.surge))
	}
	began := l.began
	if l.began = false; !began || c.quitting { // all are on their way out
		return
	}
	g, _ := c.world.Core.Manifest().Group(group)
	var missing []string
	for _, s := range c.world.Core.Statuses() {
		if s.Group == group && l.members[s.Name] && !s.Ready && g.Down[s.Name] == plan.Up {
			missing = append(missing, s.Name)
		}
	}
	if len(missing) > most {
		c.broken("of %s, %v are out of work, and no more than %d may be", group, missing, most)
	}
	if len(missing) > 0 && most > l.most {
		c.Covered++
	}
}

func (c *Checker) stepEnded(in core.Input, e core.StepEnded) {
	u := c.updates[e.Op]
	key := keyOf(e.Step)
	if u == nil {
		c.broken("a step of update %d, which is over: %s", e.Op, stepText(e.Step))
		return
	}
	if p := c.named(process.Namespec{Group: e.Step.Group, Process: e.Step.Name}); e.Step.Undo && p != nil && p.step == nil && p.act == nil {
		c.turnsBack(u, p) // it rests, and only gets its settings back
	} else if e.Step.Undo && (p == nil || p.step == nil || p.step.update != u) {
		u.ended = append(u.ended, e.Step) // it has not been possible
		return
	}
	change, ok := u.left[key]
	if !ok || e.Step.From != change.From {
		c.broken("a step that update %d does not have, or has not any more: %s", e.Op, stepText(e.Step))
		return
	}
	delete(u.left, key)
	u.ended = append(u.ended, e.Step)
	end := endedStep{step: &watchedStep{update: u, change: change}, result: e.Step}
	for id, p := range c.procs {
		if p.step == nil || p.step.update != u || p.step.change.Action != change.Action || p.step.change.Name != change.Name || p.name.Group != key.group {
			continue
		}
		end.id, end.step = id, p.step
		if exit, ok := in.(core.Exited); e.Step.PID != p.pid && (!ok || exit.ID != id) {
			c.broken("%s ends with pid %d", stepText(e.Step), p.pid)
		}
		// What could not be stopped goes on as it was, if it ends after all.
		if change.Action != plan.RemoveProcess && e.Step.Fault != nil && p.step.began && p.state == process.Stopping && p.act == nil {
			p.wanted = true
		}
		p.step = nil
		p.leaving = p.leaving || p.extra && e.Step.Fault != nil // it is not started again
	}
	if l := u.lines[key.group]; change.Action == plan.ReplaceProcess {
		delete(l.busy, key.name)
	}
	c.ended = append(c.ended, end)
}

// updated checks the answer to an update: it names every step, in the order in which they ended.
func (c *Checker) updated(r core.Reply) {
	u := c.updates[uint64(r.Req)]
	if u == nil || r.Updated == nil {
		return
	}
	if !reflect.DeepEqual(u.ended, r.Updated) && len(u.ended)+len(r.Updated) > 0 {
		c.broken("the answer to update %d is not what happened:\n%+v\n%+v", r.Req, r.Updated, u.ended)
	}
	if left := c.left(u); len(left) > 0 {
		c.broken("update %d is answered, but not over: %v", r.Req, left)
	}
}

// left returns the steps that are not over and could be: a halt does not wait for those of processes that cannot be killed.
func (c *Checker) left(u *updating) (keys []stepKey) {
	_, quitting := c.world.Core.Quitting()
	for key := range u.left {
		if p := c.named(process.Namespec{Group: key.group, Process: key.name}); !quitting || p == nil || !p.refused {
			keys = append(keys, key)
		}
	}
	return keys
}

// afterUpdates checks that what is over is in one generation, and forgets updates that are.
func (c *Checker) afterUpdates() {
	for i, e := range c.ended {
		if !slices.ContainsFunc(c.ended[i+1:], func(o endedStep) bool { return o.id == e.id && o.result.Undo }) { // else the line has turned round at once
			c.oneGeneration(e)
		}
	}
	c.ended = nil
	underway := c.world.Core.Underway()
	for op, u := range c.updates {
		for group := range u.lines {
			c.outOfWork(u, group)
		}
		if _, goesOn := underway[op]; goesOn && !c.world.Halted {
			continue
		}
		for _, s := range c.world.Core.Statuses() {
			if s.Extra && !s.Leaving && u.lines[s.Group] != nil && !c.quitting && !c.replaces(s.Group, underway) {
				c.broken("update %d is over, and %v is left", op, s.Namespec())
			}
		}
		if delete(c.updates, op); len(c.left(u)) > 0 {
			c.broken("update %d is over, and its steps are not: %v", op, c.left(u))
		}
	}
}

// replaces reports whether an update that goes on has a line in a group: one that has waited for another begins in the step in which that is over.
func (c *Checker) replaces(group string, underway map[uint64]core.Req) bool {
	for op, u := range c.updates {
		if _, goesOn := underway[op]; goesOn && u.lines[group] != nil {
			return true
		}
	}
	return false
}

func (c *Checker) oneGeneration(e endedStep) {
	status, there := c.world.Core.Status(e.id)
	next := e.step.change.Spec
	isNext := there && reflect.DeepEqual(*status.Spec, next)
	isOld := there && e.step.old != nil && reflect.DeepEqual(*status.Spec, *e.step.old)
	ok := false
	switch e.step.change.Action {
	case plan.RemoveProcess:
		ok = there == (e.result.Fault != nil) && (!there || isOld)
	case plan.AddProcess:
		ok = isNext || !there && e.result.Fault != nil // it never was, or was removed while it waited for others
	case plan.RenameProcess: // one that comes back has to end first, and is started, and both may fail
		ok = isNext && (e.result.Fault == nil || e.result.Started || e.step.leaving || e.result.Fault.Kind == core.Failed || e.result.Fault.Kind == core.ShutdownState)
	default: // while it waited for others it may have been removed as well
		turned := c.procs[e.id] != nil && c.procs[e.id].step != nil && c.procs[e.id].step.undo // it goes back already
		ok = isNext || turned && isOld || e.result.Fault != nil && (isOld || !there && (e.result.Started || e.result.Fault.Kind == core.Cancelled))
	}
	if !ok {
		c.broken("%s ended, and its settings are\n%+v, to be\n%+v", stepText(e.result), status.Spec, next)
	}
}

// wished checks that somebody asked for a transition which does not happen by itself: a process is stopped, or started from where it rests.
func (c *Checker) wished(in core.Input, p *watched, e core.StateChanged) {
	command, ok := in.(core.Command)
	_, update := command.Do.(core.Update)
	_, quitting := c.world.Core.Quitting()
	if ok && !update || quitting {
		return
	}
	if p.act != nil && (p.doing == plan.StartProcess) == (e.To == process.Starting) {
		return
	}
	if p.gated { // it was asked for before
		return
	}
	st := p.step
	because := ""
	switch {
	case e.To == process.Stopping, e.To == process.Stopped && e.From != process.Stopping && e.From != process.Unknown:
		if p.dead {
			p.dead = false
			return
		}
		if p.leaving || st != nil && st.began && (st.change.Action == plan.ReplaceProcess || st.change.Action == plan.RemoveProcess) {
			return
		}
		because = "is stopped"
	case e.To == process.Starting && e.From == process.Fatal:
		if st != nil && st.change.Retry {
			return
		}
		because = "was given up and is started"
	case e.To == process.Starting && e.From == process.Stopped:
		if p.wanted {
			p.wanted = false
			return
		}
		if st != nil && st.starts() {
			return
		}
		because = "was stopped and is started"
	default:
		return
	}
	c.broken("%v %s, and nobody asked for it: %s", p.name, because, fmt.Sprintf("%+v", st))
}

// starts reports whether the plan starts a process that has stopped.
func (st *watchedStep) starts() bool {
	switch st.change.Action {
	case plan.AddProcess:
		return st.change.Spec.Autostart || st.extra
	case plan.ReplaceProcess:
		return st.began && (!st.halted || st.undo) && (!st.change.Down || st.ran || st.leaving && st.change.Spec.Autostart)
	case plan.RemoveProcess:
		return false
	}
	return st.leaving && st.change.Spec.Autostart || !st.change.Down
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
