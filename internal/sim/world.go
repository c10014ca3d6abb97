package sim

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// epoch is the wall time of virtual zero.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// World carries out the effects of a machine in virtual time.
type World struct {
	Core  *core.Supervisor
	Trace []Fact
	// Verbose puts everything that the machine publishes into the trace.
	Verbose bool
	// Delay is how long the outcomes of spawns and signals take.
	Delay time.Duration
	// Want is what an update makes the active groups to be.
	Want []process.GroupSpec
	// Watch, when set, sees every step.
	Watch func(now time.Duration, in core.Input, out []core.Effect)

	now      time.Duration
	events   queue
	seq      uint64
	groups   map[string]Group
	lives    map[process.Namespec][]Life
	spawns   map[process.Namespec]int
	children map[int]*child
	lastPID  int
	rows     map[core.Req]bool          // answered with a row for each process
	late     *rand.Rand                 // nil: every outcome is known at once
	causes   map[int64][]cause          // what set things going at each moment
	waiting  []Command                  // for an operation to end
	steps    map[core.Req][]plan.Change // that each Act said it would take
	clockSet time.Duration              // how much later the wall clock shows than it did at first
	hooks    map[core.Token]bool        // commands of options that run
	hooksCut map[core.Token]bool        // those that are to end
	keeper   *keeper                    // has the children; nil: the daemon has them, and does not die
	ledger   *Ledger                    // with a keeper
	Halted   bool
}

// cause is something that sets things going by itself.
type cause string

// The causes.
const (
	aDeadline cause = "a deadline"
	aCommand  cause = "a command"
	anEnd     cause = "the end of a child"
)

func (w *World) because(c cause) {
	at := w.now.Microseconds()
	w.causes[at] = append(w.causes[at], c)
}

// child is a living or dead process.
type child struct {
	pid         int
	id          process.ID
	incarnation process.Incarnation
	name        process.Namespec
	life        Life
	number      int // which spawn of its program
	stopSignal  process.Signal
	patient     bool // stopwaitsecs is not zero: every SIGKILL is traced
	dead        bool
	killed      bool
	born        time.Duration
	watches     int                      // how often somebody has begun to watch it
	told        map[string]bool          // what checks have found, and the machine knows
	when        map[string]time.Duration // when each of that is found
	known       time.Duration            // when the machine knows of it
}

// NewWorld makes a world around a new machine. With late, the outcomes of effects arrive after random delays.
func NewWorld(opts core.Options, late *rand.Rand) *World {
	return &World{
		Core: core.New(opts), groups: map[string]Group{}, lives: map[process.Namespec][]Life{}, spawns: map[process.Namespec]int{},
		children: map[int]*child{}, lastPID: 100, rows: map[core.Req]bool{}, late: late,
		causes: map[int64][]cause{}, steps: map[core.Req][]plan.Change{}, hooks: map[core.Token]bool{}, hooksCut: map[core.Token]bool{},
	}
}

// Run plays a scenario until its end or until the machine halts.
func (w *World) Run(sc Scenario) {
	var boot []process.GroupSpec
	for _, g := range sc.Groups {
		w.Define(g)
		if !g.Later {
			boot = append(boot, g.spec())
		}
	}
	for _, c := range sc.Commands {
		w.at(microseconds(c.At), func() {
			w.because(aCommand)
			w.Command(c)
		})
	}
	w.Add(boot, sc.Found)
	w.Until(microseconds(sc.End))
}

// Add adds groups, some of whose members are there already; their pids are the world's to give. One that lives has the next life of its program, which
// goes on as if it had begun when it was started. A stop signal was sent when it became STOPPING.
func (w *World) Add(groups []process.GroupSpec, found map[process.Namespec]core.Found) {
	do := core.AddGroups{Groups: groups}
	children := map[process.Namespec]*child{}
	if len(found) > 0 {
		do.Found = maps.Clone(found)
	}
	for _, g := range groups {
		for _, spec := range g.Processes {
			name := process.Namespec{Group: g.Name, Process: spec.Name}
			if f, ok := found[name]; ok && (f.State.IsSignallable() || f.State == process.Unknown) {
				c := w.child(name, spec, w.foundLife(name))
				c.known = w.now
				children[name] = c
				f.PID = c.pid
				do.Found[name] = f
			}
		}
	}
	w.Input(core.Command{Do: do})
	for _, g := range groups {
		for _, spec := range g.Processes {
			name := process.Namespec{Group: g.Name, Process: spec.Name}
			if c := children[name]; c != nil {
				status, _ := w.Core.Find(name.Group, name.Process)
				c.id, c.incarnation = status.ID, status.Incarnation
				w.liveOn(c, found[name])
			}
		}
	}
}

// foundLife takes the next life of a program in which there is a process.
func (w *World) foundLife(name process.Namespec) Life {
	lives := w.lives[name]
	for range lives {
		if l := lives[w.spawns[name]%len(lives)]; l.Fork == "" {
			return l
		}
		w.spawns[name]++
	}
	return Life{Lasts: -1, Stop: 10_000, Kill: 1000}
}

// liveOn lets a child that was found end when it would have.
func (w *World) liveOn(c *child, f core.Found) {
	left := func(of int64, gone time.Duration) int64 { return max(of-gone.Microseconds(), 0) }
	if c.life.Lasts >= 0 {
		w.dies(c, left(c.life.Lasts, f.Started), exitStatus(c.life.Code, 11))
	}
	if f.State == process.Stopping && c.life.Stop >= 0 && !c.life.Denied {
		w.dies(c, left(c.life.Stop, f.Since), exitStatus(c.life.Stops, c.stopSignal))
	}
}

// Define tells the world how the lives of a group's programs go.
func (w *World) Define(g Group) {
	w.groups[g.Name] = g
	for _, p := range g.Programs {
		w.lives[process.Namespec{Group: g.Name, Process: p.Name}] = p.Lives
	}
}

// Now returns the virtual time.
func (w *World) Now() time.Duration { return w.now }

// Until lets time pass up to and including a moment.
func (w *World) Until(end time.Duration) {
	for !w.Halted {
		deadline, armed := w.Core.NextDeadline()
		next := len(w.events) > 0
		switch {
		case armed && deadline <= end && (!next || deadline <= w.events[0].at):
			w.now = max(w.now, deadline)
			w.because(aDeadline)
			w.Input(core.Tick{})
		case next && w.events[0].at <= end:
			e := heap.Pop(&w.events).(event)
			w.now = e.at
			e.do()
		default:
			w.now = max(w.now, end)
			return
		}
	}
}

// Input steps the machine and carries out what it wants.
func (w *World) Input(in core.Input) {
	if w.Halted {
		return
	}
	now := core.Now{Mono: w.now, Wall: w.wall()}
	var out []core.Effect
	if w.ledger == nil {
		out = w.Core.Step(now, in)
	} else {
		if _, ok := in.(core.ListenerOutput); ok {
			now = core.Now{Mono: -1} // at no moment of its own
		}
		out = w.ledger.step(now, in)
		w.keeper.written(in)
	}
	if w.Watch != nil {
		w.Watch(w.now, in, out)
	}
	if w.ledger == nil {
		for _, e := range out {
			w.act(e)
		}
	} else {
		w.ledger.act(in, out)
	}
	w.giveWaiting()
}

// wall returns what the wall clock shows.
func (w *World) wall() time.Time { return epoch.Add(w.now + w.clockSet) }

// giveWaiting gives the commands that no update is in the way of any more, or one that is paused, in their order; they may find another one there. A halt answers them.
func (w *World) giveWaiting() {
	if w.Halted {
		for _, c := range w.waiting {
			w.note("reply", fmt.Sprintf("#%d", c.Req), faultText(&core.Fault{Kind: core.ShutdownState}))
		}
		w.waiting = nil
	}
	w.waiting = slices.DeleteFunc(w.waiting, func(c Command) bool {
		b, blocked := w.blocked(c)
		blocked = blocked && !b.Paused
		if !blocked {
			w.at(w.now, func() { w.Command(c) }) // after what is due
		}
		return !blocked
	})
}

// blocked reports whether an update is in the way of a command.
func (w *World) blocked(c Command) (b core.Block, yes bool) {
	if c.Cancel != 0 {
		return b, false
	}
	do, _, ok := w.verb(c)
	if !ok {
		return b, false
	}
	return w.Core.Blocked(do)
}

// Command translates and gives a wish, once no update is in its way. What would have to wait for one that is paused is refused.
func (w *World) Command(c Command) {
	if b, yes := w.blocked(c); yes && b.Paused {
		w.note("reply", fmt.Sprintf("#%d", c.Req), fmt.Sprintf("refused: update %d is paused", b.Op))
		return
	} else if yes {
		w.note("reply", fmt.Sprintf("#%d", c.Req), fmt.Sprintf("waits for update %d", b.Op))
		w.waiting = append(w.waiting, c)
		return
	}
	if c.Cancel != 0 {
		w.Input(core.Cancel{Req: core.Req(c.Cancel)})
		return
	}
	do, rows, ok := w.verb(c)
	if !ok {
		w.note("reply", fmt.Sprintf("#%d", c.Req), faultText(&core.Fault{Kind: core.BadName, Text: c.Name}))
		return
	}
	w.rows[core.Req(c.Req)] = rows
	if act, ok := do.(core.Act); ok {
		w.steps[core.Req(c.Req)], _ = w.Core.Changes(act)
	}
	w.Input(core.Command{Req: core.Req(c.Req), Do: do})
}

// verb translates a command, and tells whether its answer has rows.
func (w *World) verb(c Command) (do core.Verb, rows, ok bool) {
	name := process.ParseNamespec(c.Name)
	one := core.Target{Group: name.Group, Process: name.Process, Text: c.Name}
	group := core.Target{Group: c.Name, Text: c.Name}
	all := core.Target{All: true}
	sig := process.Signal(c.Signal)
	switch c.Op {
	case "startProcess":
		return core.Start{Target: one, Wait: c.Wait}, name.WholeGroup(), true
	case "stopProcess":
		return core.Stop{Target: one, Wait: c.Wait}, name.WholeGroup(), true
	case "signalProcess":
		return core.SendSignal{Target: one, Signal: sig}, name.WholeGroup(), true
	case "startProcessGroup":
		return core.Start{Target: group, Wait: c.Wait}, true, true
	case "stopProcessGroup":
		return core.Stop{Target: group, Wait: c.Wait}, true, true
	case "signalProcessGroup":
		return core.SendSignal{Target: group, Signal: sig}, true, true
	case "startAllProcesses":
		return core.Start{Target: all, Wait: c.Wait}, true, true
	case "stopAllProcesses":
		return core.Stop{Target: all, Wait: c.Wait}, true, true
	case "signalAllProcesses":
		return core.SendSignal{Target: all, Signal: sig}, true, true
	case "addProcessGroup":
		g, ok := w.groups[c.Name]
		return core.AddGroups{Groups: []process.GroupSpec{g.spec()}}, false, ok
	case "removeProcessGroup":
		return core.RemoveGroup{Name: c.Name}, false, true
	case "shutdown", "restart":
		return core.Quit{Restart: c.Op == "restart"}, false, true
	case "write":
		return core.WriteInput{Target: one, Data: []byte("x")}, false, true
	case "removeProcess":
		return core.RemoveProcess{Group: name.Group, Name: name.Process, Departed: c.Wait}, false, true
	case "addProcess":
		p, ok := w.program(name)
		return core.AddProcesses{Group: name.Group, Specs: []process.Spec{p.spec()}}, false, ok
	case "apply", "leave":
		p, ok := w.Plan(c.Name, c.Desired)
		if c.Op == "leave" {
			return core.Leave{Plan: p}, false, ok
		}
		return core.Apply{Plan: p}, false, ok
	case "update":
		p := w.planned(c.Desired, c.Roll == nil)
		if w.keeper != nil {
			makeLazy(p)
		}
		return core.Update{Op: c.Req, Plan: p, Roll: c.Roll}, false, true
	case "act":
		return actOf(c), false, true
	case "refresh":
		return core.Refresh{Target: one}, name.WholeGroup(), true
	case "hurry":
		return core.Hurry{Targets: []core.Target{one}}, false, true
	case "mark":
		target := one
		if name.WholeGroup() {
			target = group
			target.Group = name.Group
		}
		return core.SetMark{Target: target, Mark: core.Mark(c.Signal)}, false, true
	case "remote":
		return core.SendRemote{Kind: "k", Data: c.Name}, false, true
	case "identify":
		return core.Identify{Name: c.Name}, false, true
	case "cancelupdate":
		op, err := strconv.ParseUint(c.Name, 10, 64)
		return core.CancelUpdate{Op: op}, false, err == nil
	case "pauseupdate", "resumeupdate":
		op, err := strconv.ParseUint(c.Name, 10, 64)
		return core.PauseUpdate{Op: op, Resume: c.Op == "resumeupdate"}, false, err == nil
	}
	panic("sim: no such command: " + c.Op)
}

// actOf translates a start, stop or restart that is an operation.
func actOf(c Command) core.Act {
	do := core.Act{Op: c.Req, Stop: c.Name != "start", Start: c.Name != "stop", AtOnce: c.AtOnce, Now: c.Now}
	for _, name := range c.Desired {
		t := core.Target{All: true}
		if name != "all" {
			n := process.ParseNamespec(name)
			t = core.Target{Group: n.Group, Process: n.Process, Text: name}
		}
		do.Targets = append(do.Targets, t)
	}
	return do
}

// makeLazy lets every other surplus process go only when it ends by itself.
func makeLazy(u plan.Update) {
	lazy := true
	for _, p := range u.Plans {
		for i := range p.Changes {
			if c := &p.Changes[i]; c.Action == plan.RemoveProcess && p.Scope == plan.ChangeGroup {
				c.Lazy, lazy = lazy, !lazy
			}
		}
	}
}

// Plan makes the plan by which the named members shall be those of an active group.
func (w *World) Plan(group string, names []string) (plan.Plan, bool) {
	active, ok := w.Core.Manifest().Group(group)
	if !ok {
		return plan.Plan{}, false
	}
	desired := active.GroupSpec
	desired.Processes = nil
	for _, name := range names {
		if p, ok := w.program(process.Namespec{Group: group, Process: name}); ok {
			desired.Processes = append(desired.Processes, p.spec())
		} else if p, ok := active.Process(name); ok {
			desired.Processes = append(desired.Processes, p)
		}
	}
	return plan.Grace(active, desired), true
}

func (w *World) program(name process.Namespec) (Program, bool) {
	for _, p := range w.groups[name.Group].Programs {
		if p.Name == name.Process {
			return p, true
		}
	}
	return Program{}, false
}

// act carries out one effect.
func (w *World) act(e core.Effect) {
	switch e := e.(type) {
	case core.Spawn:
		w.spawn(e)
	case core.Signal:
		w.signal(e)
	case core.RunHook:
		w.runHook(e)
	case core.EndHook:
		w.endHook(e)
	case core.WriteStdin:
		w.outcome(0, core.StdinWritten{Token: e.Token})
	case core.Watch:
		w.check(e)
	case core.Halt:
		w.Halted = true
		text := strconv.FormatBool(e.Restart)
		if e.Code != 0 {
			text += fmt.Sprint(", exit code ", e.Code)
		}
		w.note("halt", "", text)
	default:
		w.tell(e)
	}
}

// tell puts an effect into the trace that is seen, but has no outcome.
func (w *World) tell(e core.Effect) {
	switch e := e.(type) {
	case core.Reply:
		w.note("reply", fmt.Sprintf("#%d", e.Req), w.answerText(e))
	case core.Publish:
		w.publish(e.Event)
	case core.ChangeLogs:
		if w.Verbose {
			w.note("log", "", fmt.Sprintf("ChangeLogs of %s:%s to %v", e.Group, e.Spec.Name, e.Spec.Stdout.File))
		}
	case core.OpenLogs, core.CloseLogs:
		if w.Verbose {
			w.note("log", "", fmt.Sprintf("%T", e)[len("core."):])
		}
	}
}

func (w *World) answerText(r core.Reply) string {
	if a := r.Applied; a != nil {
		return fmt.Sprintf("added %v stopped %v removed %v failed %d", a.Added, a.Stopped, a.Removed, len(a.Failed))
	}
	if r.Updated != nil {
		words := []string{"updated"}
		if r.Fault != nil {
			words[0] = faultText(r.Fault) + " updated"
		}
		for _, step := range r.Updated {
			words = append(words, stepText(step))
		}
		return strings.Join(words, " | ")
	}
	return replyText(r, w.rows[r.Req])
}

// planned plans the update of groups, nil being all, to what is wanted, with or without processes that are there meanwhile.
func (w *World) planned(groups []string, surges bool) plan.Update {
	active := w.Core.Manifest()
	u := plan.Minimal(active, w.Want, groups)
	if !surges {
		return u
	}
	u, _ = u.Surging(active, func(group, program string, n int, taken func(string) bool) (list []process.Spec, err error) {
		want, _ := plan.Manifest{Groups: groupsOf(w.Want)}.Group(group)
		i := slices.IndexFunc(want.Processes, func(s process.Spec) bool { return s.Program == program })
		for num := 100; len(list) < n; num++ {
			s := want.Processes[i]
			if s.Name, s.Num = fmt.Sprintf("%s+%d", program, num), num; !taken(s.Name) {
				list = append(list, s)
			}
		}
		return list, nil
	})
	return u
}

func groupsOf(specs []process.GroupSpec) []plan.Group {
	var out []plan.Group
	for _, s := range specs {
		out = append(out, plan.Group{GroupSpec: s})
	}
	return out
}

func (w *World) spawn(e core.Spawn) {
	name := process.Namespec{Group: e.Group, Process: e.Spec.Name}
	lives := w.lives[name]
	if len(lives) == 0 { // one that is there while others are replaced
		lives = []Life{{Lasts: -1, Stop: 10_000, Kill: 1000}}
	}
	life := lives[w.spawns[name]%len(lives)]
	if life.Fork != "" {
		w.spawns[name]++
		w.outcome(0, core.SpawnFailed{ID: e.ID, Incarnation: e.Incarnation, Text: "cannot fork: " + life.Fork})
		return
	}
	c := w.child(name, *e.Spec, life)
	c.id, c.incarnation = e.ID, e.Incarnation
	c.known = w.outcome(0, core.Spawned{ID: e.ID, Incarnation: e.Incarnation, PID: c.pid})
	if w.keeper != nil {
		w.note("spawn", long(name), fmt.Sprintf("life=%d %+v", c.number, *e.Spec))
		w.keeper.born(c)
	}
	if life.Lasts >= 0 {
		w.dies(c, life.Lasts, exitStatus(life.Code, 11))
	}
}

// child makes a child that begins with a life.
func (w *World) child(name process.Namespec, spec process.Spec, life Life) *child {
	w.lastPID++
	w.spawns[name]++
	c := &child{pid: w.lastPID, name: name, life: life, number: w.spawns[name], stopSignal: spec.StopSignal, patient: spec.StopWaitSecs > 0, born: w.now, told: map[string]bool{}, when: map[string]time.Duration{}}
	w.children[c.pid] = c
	return c
}

// dies lets a child end after some microseconds, unless it has ended before.
func (w *World) dies(c *child, after int64, status process.ExitStatus) {
	w.at(w.now+microseconds(after), func() {
		if c.dead {
			return
		}
		c.dead = true
		w.because(anEnd)
		exit := core.Exited{ID: c.id, Incarnation: c.incarnation, Status: status}
		at := max(c.known, w.now)
		if w.keeper != nil {
			exit.At = w.now
			at = max(at, w.now+w.keeper.chance(task{id: c.id, inc: c.incarnation}, whenEndKnown).later())
		}
		if at > w.now {
			w.at(at, func() { w.Input(exit) })
			return
		}
		w.Input(exit)
	})
}

// check has a child checked from now on. What the machine has been told already is not told again.
func (w *World) check(e core.Watch) {
	c := w.childOf(e.ID, e.Incarnation)
	if c == nil {
		return
	}
	c.watches++
	watch, life := c.watches, c.life
	tell := func(what string, after int64, in core.Checked) {
		if c.told[what] {
			return
		}
		in.ID, in.Incarnation = c.id, c.incarnation
		at, planned := c.when[what]
		if !planned { // no two at one moment, and at none that anything else has
			at = max(c.born+microseconds(after), c.known, w.now) + time.Duration(10*c.id) + time.Duration(len(c.when))
			c.when[what] = at
		}
		w.at(at, func() {
			if !c.dead && c.watches == watch {
				c.told[what] = true
				w.Input(in)
			}
		})
	}
	if e.Spec.Health.Alive.Kind != process.CheckNone && life.Dead > 0 {
		tell("dead", life.Dead, core.Checked{Alive: true, Text: "silence"})
	}
	if e.Spec.Health.Ready.Kind == process.CheckNone {
		return
	}
	if life.Ready != 0 {
		tell("not yet", 1000, core.Checked{Text: "not yet"})
	}
	if life.Ready < 0 {
		return
	}
	tell("ready", life.Ready, core.Checked{OK: true})
	if life.Sick > 0 {
		tell("sick", life.Ready+life.Sick, core.Checked{Text: "sick"})
	}
	if life.Sick > 0 && life.Well > 0 {
		tell("well", life.Ready+life.Sick+life.Well, core.Checked{OK: true})
	}
}

// childOf returns the living child of an incarnation, nil when there is none.
func (w *World) childOf(id process.ID, inc process.Incarnation) *child {
	for _, c := range w.children {
		if c.id == id && c.incarnation == inc && !c.dead {
			return c
		}
	}
	return nil
}

func (w *World) signal(e core.Signal) {
	c := w.children[e.PID]
	if c == nil {
		panic(fmt.Sprintf("sim: %v to pid %d, which never was", e.Signal, e.PID))
	}
	if e.Signal != process.SIGKILL || c.patient || !c.killed {
		w.note("signal", long(c.name), signalText(e, strconv.Itoa(c.number)))
	}
	in := core.Signalled{ID: e.ID, Incarnation: e.Incarnation, Token: e.Token}
	switch {
	case c.dead:
	case c.life.Denied:
		in.Error = "EPERM"
	case e.Signal == process.SIGKILL:
		c.killed = true
		w.dies(c, c.life.Kill, process.ExitStatus{Signal: process.SIGKILL})
	case (e.Signal == c.stopSignal || e.Signal == process.SIGTERM) && c.life.Stop >= 0:
		w.dies(c, c.life.Stop, exitStatus(c.life.Stops, e.Signal))
	}
	w.outcome(c.known, in)
}

func (w *World) publish(e core.Event) {
	switch e := e.(type) {
	case core.StateChanged:
		life := "0"
		if c := w.children[e.PID]; c != nil {
			life = strconv.Itoa(c.number)
		}
		w.note("state", e.Group+":"+e.Name, stateText(e, life))
	case core.GroupAdded:
		w.note("group", e.Name, "added")
	case core.GroupRemoved:
		w.note("group", e.Name, "removed")
	case core.UpdatePaused:
		if w.Verbose {
			w.note("log", "", fmt.Sprintf("UpdatePaused %+v", e))
		}
	case core.MemberRenamed:
		for _, c := range w.children {
			if c.name == (process.Namespec{Group: e.Group, Process: e.From}) {
				c.name.Process = e.Name
			}
		}
		if w.Verbose {
			w.note("log", "", fmt.Sprintf("MemberRenamed %+v", e))
		}
	case core.StepBegan:
		if w.Verbose {
			w.note("log", "", "StepBegan "+stepText(e.Step))
		}
	case core.StepEnded:
		if w.Verbose {
			w.note("log", "", "StepEnded "+stepText(e.Step))
		}
	default:
		if w.Verbose {
			name := strings.TrimPrefix(fmt.Sprintf("%T", e), "core.")
			w.note("log", "", strings.Replace(fmt.Sprintf("%s %+v", name, e), " ToTree:false", "", 1))
		}
	}
}

func (w *World) note(kind, subject, text string) {
	w.Trace = append(w.Trace, Fact{At: w.now.Microseconds(), Kind: kind, Subject: subject, Text: text})
}

// outcome lets the machine know something, not before a moment, and returns when.
func (w *World) outcome(earliest time.Duration, in core.Input) time.Duration {
	at := w.now + w.Delay
	if t, ok := taskOf(in); ok && w.keeper != nil {
		at += w.keeper.chance(t, whenKnown).later()
	} else if w.late != nil && w.late.IntN(3) > 0 {
		at += microseconds(w.late.Int64N(60_000))
	}
	at = max(at, earliest)
	w.at(at, func() { w.Input(in) })
	return at
}

func (w *World) at(t time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{t, w.seq, do})
}

// long is the name of a process with its group, as traces use it.
func long(n process.Namespec) string { return n.Group + ":" + n.Process }

// event is something that will happen in the world.
type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

// queue is a heap of events, in order of time, then of planning.
type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}
