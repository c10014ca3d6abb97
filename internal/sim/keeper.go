package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// keeper has the children of a world whose daemon may die. It does what it is asked for once, however often it is asked, some time after it was
// asked first: what has not been done when the daemon dies is lost with it. All that is left to chance depends on what it is about alone, so that two
// worlds of one seed differ in nothing but the deaths of their daemons.
type keeper struct {
	world    *World
	seed     uint64
	asked    map[task]time.Duration // when it is to be done
	done     map[task]bool
	answered map[task]bool // its outcome is written in the ledger
	last     time.Duration // when what was asked last is done: everything in its order
	daemons  int
	logs     map[process.ID]core.OpenLogs // that the daemon has open
}

// anEndHook is in the task of an EndHook, which has no outcome of its own.
const anEndHook process.ID = 1 << 63

// task names what a keeper is asked to do: a spawn by process and life, the rest by token.
type task struct {
	id    process.ID
	inc   process.Incarnation
	token core.Token
}

func newKeeper(w *World, seed uint64) *keeper {
	return &keeper{
		world: w, seed: seed, asked: map[task]time.Duration{}, done: map[task]bool{}, answered: map[task]bool{}, logs: map[process.ID]core.OpenLogs{},
	}
}

// chance returns the dice of something in the life of a task.
func (k *keeper) chance(t task, what uint64) *dice {
	const odd = 0x9e3779b97f4a7c15
	return &dice{rand.New(rand.NewPCG(k.seed*odd+what, (uint64(t.id)<<40|uint64(t.inc)<<20|uint64(t.token))*odd))}
}

// What chance is asked for.
const (
	whenDone uint64 = iota
	whenKnown
	whenEndKnown
	whatListenerSays
)

// later returns a short time, mostly not zero, that no two things have in common.
func (d *dice) later() time.Duration {
	if d.one(3) {
		return 0
	}
	return time.Duration(d.Int64N(int64(60 * time.Millisecond)))
}

// newDaemon takes notice that another daemon is there: it opens its logs, and asks for everything that the machine waits for.
func (k *keeper) newDaemon(s *core.Supervisor) {
	k.daemons++
	clear(k.logs)
	for _, l := range s.Logs() {
		k.logs[l.ID] = l
	}
	for _, e := range s.Watched() {
		k.effect(e)
	}
	for _, e := range s.Pending() {
		k.effect(e)
	}
}

// effect takes an effect from the daemon.
func (k *keeper) effect(e core.Effect) {
	switch e := e.(type) {
	case core.Spawn:
		k.ask(task{id: e.ID, inc: e.Incarnation}, func() { k.world.spawn(e) })
	case core.Signal:
		k.ask(task{token: e.Token}, func() { k.world.signal(e) })
	case core.RunHook:
		k.ask(task{token: e.Token}, func() { k.world.runHook(e) })
	case core.EndHook:
		k.ask(task{id: anEndHook, token: e.Token}, func() { k.world.endHook(e) })
	case core.WriteStdin:
		k.ask(task{token: e.Token}, func() { k.write(e) })
	case core.OpenLogs:
		k.logs[e.ID] = e
	case core.ChangeLogs:
		k.logs[e.ID] = core.OpenLogs(e)
	case core.CloseLogs:
		delete(k.logs, e.ID)
	case core.Watch:
		k.world.check(e)
	case core.Halt:
		k.world.act(e)
	}
}

// ask sees to it that something is done.
func (k *keeper) ask(t task, do func()) {
	w := k.world
	if k.done[t] {
		if k.answered[t] {
			panic(fmt.Sprintf("sim: %+v is asked for again, and its outcome was written", t))
		}
		return // the outcome is on its way
	}
	at, again := k.asked[t]
	if !again {
		at = w.now + k.chance(t, whenDone).later()
		if t.id != anEndHook { // which nothing has to wait for
			at = max(at, k.last)
			k.last = at
		}
		k.asked[t] = at
	}
	daemon := k.daemons
	now := func() {
		if k.daemons == daemon {
			k.done[t] = true
			do()
		}
	}
	if at <= w.now {
		now()
		return
	}
	w.at(at, now)
}

// written takes notice that an input is in the ledger.
func (k *keeper) written(in core.Input) {
	if t, ok := taskOf(in); ok {
		k.answered[t] = true
	}
}

// taskOf returns what an input is the outcome of.
func taskOf(in core.Input) (t task, ok bool) {
	switch in := in.(type) {
	case core.Spawned:
		return task{id: in.ID, inc: in.Incarnation}, true
	case core.SpawnFailed:
		return task{id: in.ID, inc: in.Incarnation}, true
	case core.Signalled:
		return task{token: in.Token}, true
	case core.HookEnded:
		return task{token: in.Token}, true
	case core.StdinWritten:
		return task{token: in.Token}, true
	}
	return task{}, false
}

// write gives data to a child. A listener answers.
func (k *keeper) write(e core.WriteStdin) {
	w := k.world
	c := w.childOf(e.ID, e.Incarnation)
	r := k.chance(task{token: e.Token}, whatListenerSays)
	answer := core.StdinWritten{Token: e.Token}
	odds := 4 // that it fails
	if e.Idle {
		odds = 30
	}
	switch {
	case c == nil || r.one(odds):
		answer.Fault = &core.Fault{Kind: core.NoFile}
	case r.one(odds):
		answer.Fault = &core.Fault{Kind: core.Failed, Text: "full"}
	default:
		w.note("stdin", long(c.name), fmt.Sprintf("%q", e.Data))
		if k.logs[e.ID].Listener && e.Idle {
			k.answer(c, r)
		}
	}
	w.outcome(0, answer)
}

// answer lets a listener say something about its event, now and then what it should not.
func (k *keeper) answer(c *child, r *dice) {
	parts := pick(r,
		[]string{"RESULT 2\nOKREADY\n"}, []string{"RESULT 2\nOKREADY\n"}, []string{"RESULT 2\nOKREADY\n"},
		[]string{"RESULT 2\nO", "KREADY\n"}, []string{"RES", "ULT 2\nOK", "READY", "\n"}, []string{"RESULT 4\nFAILREADY\n"}, []string{"RESULT 8\nSTDIN:ab", "READY\n"},
	)
	if r.one(12) {
		parts = pick(r, []string{"RESULT 2\nOKREADY\nx"}, []string{"nonsense\n"}, nil)
	}
	k.says(c, r, parts...)
}

// says lets a listener say one thing after another, when its life is known.
func (k *keeper) says(c *child, r *dice, parts ...string) {
	w := k.world
	at := max(c.known, w.now)
	for _, p := range parts {
		at += time.Duration(1 + r.Int64N(int64(pick(r, 5, 5, 400))*int64(time.Millisecond)))
		w.at(at, func() {
			if !c.dead {
				w.Input(core.ListenerOutput{ID: c.id, Incarnation: c.incarnation, Data: []byte(p)})
			}
		})
	}
}

// born lets a listener say that it is ready.
func (k *keeper) born(c *child) {
	if k.logs[c.id].Listener {
		k.says(c, k.chance(task{id: c.id, inc: c.incarnation}, whatListenerSays), "READY\n")
	}
}

// checkLogs returns how the logs that are open differ from those that should be.
func (k *keeper) checkLogs() string {
	should := k.world.Core.Logs()
	for _, l := range should {
		o, ok := k.logs[l.ID]
		if !ok || o.Group != l.Group || o.Listener != l.Listener || o.Spec.Name != l.Spec.Name || o.Spec.Stdout != l.Spec.Stdout || o.Spec.Stderr != l.Spec.Stderr {
			return fmt.Sprintf("the logs of process %d are open as %+v, to be %+v", l.ID, o, l)
		}
	}
	if len(should) != len(k.logs) {
		return fmt.Sprintf("the logs of %d processes are open, to be %d", len(k.logs), len(should))
	}
	return ""
}
