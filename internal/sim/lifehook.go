package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// longestHook is more than a command of a life takes that is made by chance.
const longestHook = 2 * time.Second

// lifeHooks makes commands of a life, most of them none; gently: they begin and succeed.
func (r *dice) lifeHooks(gently bool) (h process.Hooks) {
	if r.one(2) {
		return h
	}
	one := func() (h process.HookSpec) {
		h.Timeout = time.Duration(r.between(0, 1900)) * time.Millisecond
		if gently {
			h.Timeout = longestHook
		}
		if r.one(2) {
			h.Command = pick(r, "0s", "300ms", "1s/3", "1500ms", "never", "none")
			if gently {
				h.Command = pick(r, "0s", "300ms", "900ms")
			}
		}
		return h
	}
	h.PreStart, h.PostReady, h.PreStop, h.PostStop = one(), one(), one(), one()
	h.OnPreStart = pick(r, process.HookFails, process.HookIgnored, process.HookIgnored)
	h.OnPostReady = pick(r, process.PostIgnored, process.PostFails)
	return h
}

// live gives programs of an update such commands, which it may change. Without failures those before it succeed.
func (sc *UpdateScenario) live(gently bool) {
	r := &dice{rand.New(rand.NewPCG(sc.Seed, 0x400c5))}
	own := map[string]process.Hooks{}
	for i, groups := range [][]process.GroupSpec{sc.Was, sc.Is} {
		for _, g := range groups {
			for k := range g.Processes {
				p := &g.Processes[k]
				key := g.Name + ":" + p.Program
				if _, known := own[key]; !known || p.Num == 0 && r.one(4) {
					own[key] = r.lifeHooks(gently && i == 0)
				}
				p.Hooks = own[key]
			}
		}
	}
}

// watchedLife is what a Checker knows of the commands of one process. The promises:
//
//   - the commands of a life run one after the other, each at most once, in their order: pre_start, post_ready, pre_stop, post_stop;
//   - none is given more time than it may take;
//   - nothing is forked before its pre_start has ended, well or ignored, nor before the post_stop of the life before has;
//   - post_ready belongs to a process that is ready, pre_stop to one that is STOPPING, post_stop to one that has ended, and each is told its pid;
//   - each end of a process whose settings have a post_stop has one, and what is removed waits for it, unless somebody removes what has ended.
type watchedLife struct {
	running core.Token // one at a time
	option  string
	until   time.Duration
	done    int          // how many options of this life have had their turn
	failed  bool         // pre_start has, and the start with it
	owes    bool         // post_stop has to come
	spec    process.Spec // of the life
	pid     int          // that the process has or had
}

// lifeOrder is the order of the commands of a life.
var lifeOrder = []string{"pre_start", "post_ready", "pre_stop", "post_stop"}

// begins notes that another life begins.
func (l *watchedLife) begins() { l.done, l.failed = 0, false }

// hookRuns checks a command that is to run.
func (c *Checker) hookRuns(now time.Duration, e core.RunHook) {
	p := c.procs[e.ID]
	place := 0
	for i, option := range lifeOrder {
		if option == e.Option {
			place = i + 1
		}
	}
	if place == 0 || p == nil { // it tells a process something
		return
	}
	l := &p.life
	switch {
	case l.running != 0:
		c.broken("%s of %v while %s runs", e.Option, p.name, l.option)
	case place <= l.done:
		c.broken("%s of %v comes after %s", e.Option, p.name, lifeOrder[l.done-1])
	}
	alive := e.Option == "post_ready" && p.state == process.Running || e.Option == "pre_stop" && p.state == process.Stopping
	switch e.Option {
	case "pre_start":
		if p.state != process.Starting || p.pid != 0 || p.spawning || e.PID != 0 || l.owes {
			c.broken("pre_start of %v: %+v", p.name, p)
		}
	case "post_stop":
		gained := p.state == process.Stopping // while what comes before it runs it may get settings that have one
		if p.pid != 0 || e.PID != l.pid || e.Exit == nil || !l.owes && !gained {
			c.broken("post_stop of %v, pid %d: %+v", p.name, e.PID, p)
		}
		l.owes = false
	default:
		if !alive || p.pid == 0 || e.PID != p.pid || p.ready && e.Option == "pre_stop" && p.killed {
			c.broken("%s of %v, pid %d: %+v", e.Option, p.name, e.PID, p)
		}
	}
	l.running, l.option, l.until, l.done = e.Token, e.Option, now+e.Most, place
	l.spec = *e.Spec
	c.Hooks++
}

// hookEnds notes that a command is over, or is not waited for any more.
func (c *Checker) hookEnds(t core.Token, failed bool) {
	for _, p := range c.procs {
		if l := &p.life; l.running == t {
			l.failed = failed && l.option == "pre_start" && l.spec.Hooks.OnPreStart == process.HookFails
			l.running = 0
		}
	}
}

// forks checks that a process may be forked.
func (c *Checker) forks(p *watched, e core.Spawn) {
	l := &p.life
	switch {
	case l.running != 0:
		c.broken("spawn of %v while %s runs", p.name, l.option)
	case l.owes:
		c.broken("spawn of %v before its post_stop", p.name)
	case l.failed:
		c.broken("spawn of %v after its pre_start has failed", p.name)
	case e.Spec.Hooks.PreStart.Wanted() && l.done == 0:
		c.broken("spawn of %v without its pre_start", p.name)
	}
}

// removes reports whether an input is a command that removes processes at once, as soon as they have ended.
func removes(in core.Input) bool {
	command, _ := in.(core.Command)
	switch command.Do.(type) {
	case core.RemoveProcess, core.RemoveGroup:
		return true
	}
	return false
}

// hooksAfter looks, after a step, at commands that have had their time, and at ends that have no post_stop.
func (c *Checker) hooksAfter(now time.Duration, p *watched) {
	l := &p.life
	if p.state == process.Stopping && !p.spec.Hooks.PostStop.Wanted() { // its settings have none any more, and that is looked at when its turn has come
		l.owes = false
	}
	if l.running != 0 && now > l.until {
		c.broken("%s of %v runs since it has had its time", l.option, p.name)
	}
	if busy := l.running != 0 || p.state == process.Stopping; l.owes && !busy {
		c.broken("%v has ended, and where is its post_stop?", p.name)
	}
}

// forCommand reports whether what a process waits for is a command of its life.
func forCommand(waits string) bool {
	return slices.Contains([]string{"waits for pre_start", "waits for pre_stop", "waits for post_stop", "waits for drain_command"}, waits)
}
