package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// DependChecker looks at every step of a machine and knows what dependencies promise:
//
//   - no process starts while one of its conditions does not hold at that instant;
//   - none waits whose conditions hold;
//   - of processes that are stopped together none is told to stop while another one lives that depends on it;
//   - none waits for its turn to be stopped while nothing is left before it;
//   - when an essential process has ended for good everything is stopped, and the exit code is its own.
type DependChecker struct {
	Saw map[string]int

	world    *World
	fail     func(string)
	procs    map[process.ID]*depended
	quitting bool
	code     int
}

// depended is what the checker knows of one process.
type depended struct {
	name     process.Namespec
	spec     *process.Spec
	old      *process.Spec // before the present step
	inc      process.Incarnation
	state    process.State
	exit     process.ExitStatus
	fit      bool
	greeting core.Token // the post_ready that runs
	unmet    bool       // it runs, or has failed and that counts
	leaving  bool
	extra    bool // it is there only while others are replaced: nothing depends on it
	waits    string
	was      string // what it waited for before the present step
	free     bool   // it waits for nothing after it
	refused  bool
	together bool // it was told to stop together with others
}

// WatchDependents makes a checker of a world; fail is called for each broken promise.
func WatchDependents(w *World, fail func(string)) *DependChecker {
	c := &DependChecker{Saw: map[string]int{}, world: w, fail: fail, procs: map[process.ID]*depended{}}
	w.Watch = c.step
	return c
}

func (c *DependChecker) broken(format string, args ...any) {
	c.fail(fmt.Sprintf("at %v: ", c.world.Now()) + fmt.Sprintf(format, args...))
}

func (c *DependChecker) step(_ time.Duration, in core.Input, out []core.Effect) {
	c.before(in)
	c.look(false) // who is there and what it is called; states come with the effects
	for _, e := range out {
		switch e := e.(type) {
		case core.Watch:
			if p := c.procs[e.ID]; p != nil {
				p.fit = e.Ready
			}
		case core.RunHook:
			if p := c.procs[e.ID]; p != nil && e.Option == "post_ready" {
				p.greeting, p.unmet = e.Token, true
			}
		case core.EndHook:
			c.greeted(e.Token, true)
		case core.Publish:
			c.told(e.Event)
		case core.Halt:
			if c.code != e.Code {
				c.broken("it ends with code %d, and %d is that of the essential process", e.Code, c.code)
			}
		}
	}
	c.look(true)
	_, c.quitting = c.world.Core.Quitting()
	if !c.world.Halted {
		c.after()
	}
}

// before notes what an input says.
func (c *DependChecker) before(in core.Input) {
	switch in := in.(type) {
	case core.Exited:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation {
			p.exit = in.Status
		}
	case core.Checked:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation && !in.Alive {
			p.fit = in.OK
		}
	case core.HookEnded:
		c.greeted(in.Token, in.Text != "")
	case core.Signalled:
		if p := c.procs[in.ID]; p != nil && p.inc == in.Incarnation && in.Error != "" {
			p.refused = true
		}
	case core.Command:
		switch do := in.Do.(type) {
		case core.Quit:
			c.together(func(*depended) bool { return true })
		case core.Stop:
			if do.Target.Process == "" {
				c.together(func(p *depended) bool { return do.Target.All || p.name.Group == do.Target.Group })
			} else {
				c.apart(do.Target)
			}
		case core.Hurry:
			for _, t := range do.Targets {
				c.apart(t)
			}
		case core.Act, core.Update, core.Apply: // which may stop one by itself
			for _, p := range c.procs {
				p.together = false
			}
			if act, ok := in.Do.(core.Act); ok && act.Stop && !act.Start && act.Targets[0].All && act.AtOnce == 0 {
				c.together(func(*depended) bool { return true })
			}
		}
	}
}

// together notes that processes are told to stop.
func (c *DependChecker) together(is func(*depended) bool) {
	for _, p := range c.procs {
		p.together = p.together || is(p) && (p.state == process.Running || p.state == process.Starting)
	}
}

func (c *DependChecker) apart(t core.Target) {
	for _, p := range c.procs {
		if p.name.Group == t.Group && (t.Process == "" || t.Process == p.name.Process) {
			p.together = false
		}
	}
}

// look takes what the machine shows.
func (c *DependChecker) look(whole bool) {
	there := map[process.ID]bool{}
	for _, s := range c.world.Core.Statuses() {
		there[s.ID] = true
		p := c.procs[s.ID]
		if p == nil {
			p = &depended{}
			c.procs[s.ID] = p
		}
		if !whole {
			p.old, p.was = cmp.Or(p.spec, s.Spec), p.waits
		}
		p.name, p.spec, p.leaving, p.extra = s.Namespec(), s.Spec, s.Leaving, s.Extra
		if p.free = s.Waits == ""; p.free { // of the end of a wait nothing is told, where nothing is started
			p.waits = ""
		}
		if whole {
			if p.state != s.State {
				c.broken("%v is %v, seen %v", p.name, s.State, p.state)
			}
			p.waits = ""
			if !strings.Contains(s.Waits, "breaker of group") {
				p.waits = s.Waits
			}
		}
	}
	for id := range c.procs {
		if !there[id] {
			delete(c.procs, id)
		}
	}
}

// greeted notes how a post_ready has ended, if it is one.
func (c *DependChecker) greeted(t core.Token, failed bool) {
	for _, p := range c.procs {
		if p.greeting == t && t != 0 {
			p.greeting, p.unmet = 0, failed && p.spec.Hooks.OnPostReady == process.PostFails
		}
	}
}

func (c *DependChecker) told(e core.Event) {
	switch e := e.(type) {
	case core.StateChanged:
		p := c.procs[e.ID]
		if p == nil {
			return
		}
		if e.To == process.Starting {
			c.starts(p, e.Incarnation)
			p.inc, p.fit, p.greeting, p.unmet = e.Incarnation, false, 0, false
		}
		p.state, p.waits = e.To, ""
		if e.To.IsStopped() || e.To == process.Starting {
			p.together, p.refused = false, false
		}
	case core.WaitsFor:
		c.Saw["waits"]++
		if p := c.named(e.Group, e.Name); p != nil {
			p.waits = e.Text
		}
	case core.StopsAfter:
		c.Saw["stops after"]++
		if p := c.named(e.Group, e.Name); p != nil {
			p.waits = "stops after"
		}
	case core.Summoned:
		c.Saw["summoned"]++
	case core.EssentialEnded:
		c.Saw["essential"]++
		c.code = e.Code
		if p := c.named(e.Group, e.Name); p == nil || p.state != e.State || p.spec.Essential == process.EssentialNot || c.quitting ||
			e.State != process.Fatal && (e.State != process.Exited || p.spec.Essential != process.EssentialExit || e.Code != p.exit.Shell()) {
			c.broken("%+v: %+v", e, p)
		}
	case core.KillSent:
		c.stopped(e.Group, e.Name)
	case core.DrainBegan:
		c.stopped(e.Group, e.Name)
	case core.StepEnded:
		if e.Step.Fault != nil && strings.Contains(e.Step.Fault.Text, "which it depends on, failed") {
			c.Saw["left out"]++
		}
		if e.Step.Fault != nil && strings.Contains(e.Step.Fault.Text, "its next life waits") {
			c.Saw["spared"]++
		}
	}
}

func (c *DependChecker) named(group, name string) *depended {
	for _, p := range c.procs {
		if p.name == (process.Namespec{Group: group, Process: name}) {
			return p
		}
	}
	return nil
}

// stopped checks that nothing lives which depends on a process that is told to stop.
func (c *DependChecker) stopped(group, name string) {
	p := c.named(group, name)
	if p == nil || !p.together || p.state != process.Running && p.state != process.Starting { // later steps of a stop do not wait
		return
	}
	c.Saw["stopped"]++
	if q := c.above(p, func(q *depended) bool { return !q.refused && (q.together || q.state == process.Stopping) }); q != nil {
		c.broken("%v is told to stop, and %v, which is %v, depends on it", p.name, q.name, q.state)
	}
}

// above returns a living process that depends on another one, of those that a filter lets through.
func (c *DependChecker) above(p *depended, is func(*depended) bool) *depended {
	for _, q := range c.procs {
		if q != p && q.state.IsSignallable() && is(q) && slices.ContainsFunc(q.spec.DependsOn, func(d process.Dependency) bool { return c.means(d, p) }) {
			return q
		}
	}
	return nil
}

func (c *DependChecker) means(d process.Dependency, p *depended) bool {
	return !p.extra && d.Means(p.name, p.spec.Program, slices.Contains(c.world.Core.Groups(), d.Name.Group))
}

// holds reports whether a condition holds, as far as that can be seen, and why not.
func (c *DependChecker) holds(d process.Dependency) string {
	good, members := 0, 0
	for _, p := range c.procs {
		if p.leaving || !c.means(d, p) {
			continue
		}
		members++
		is := p.state == process.Running && !strings.HasPrefix(p.waits, "stops after")
		if is && d.On == process.OnReady {
			is = (p.fit || p.spec.Health.Ready.Kind == process.CheckNone) && !(p.unmet && p.spec.Hooks.Gates())
		}
		if d.On == process.OnCompleted {
			is = p.state == process.Exited && p.exit.Clean(p.spec.ExitCodes)
		}
		rests := p.state == process.Stopped || p.state == process.Exited && d.On != process.OnCompleted || p.state == process.Stopping ||
			strings.HasPrefix(p.waits, "stops after") || strings.HasPrefix(p.was, "stops after") // until its turn has come, in the same step
		switch {
		case is:
			good++
		case !rests || strings.HasPrefix(p.waits, "waits for") && !forCommand(p.waits) && !p.free || !d.Name.WholeGroup():
			return fmt.Sprintf("%v is %v (%s, %v)", p.name, p.state, p.waits, p.exit)
		}
	}
	if good == 0 {
		return fmt.Sprintf("none of %d is", members)
	}
	return ""
}

// starts checks that a process may start: that is decided where it becomes STARTING, a command before its fork does not look again.
func (c *DependChecker) starts(p *depended, inc process.Incarnation) {
	why := c.unmet(p.spec, inc)
	if why != "" && c.unmet(p.old, inc) != "" { // it may have been given other settings after that, in the same step
		c.broken("%v starts, and %s", p.name, why)
	}
}

// unmet says what of that on which a process depends is not there for a start; "" = all is.
func (c *DependChecker) unmet(spec *process.Spec, inc process.Incarnation) string {
	for _, d := range spec.DependsOn {
		c.Saw["starts"]++
		if d.On == process.OnCompleted && inc > 1 { // by itself it does not wait for that again
			continue
		}
		if why := c.holds(d); why != "" {
			return fmt.Sprintf("%v does not hold: %s", d, why)
		}
	}
	return ""
}

// after checks that who waits has something to wait for.
func (c *DependChecker) after() {
	for _, p := range c.procs {
		switch {
		case strings.HasPrefix(p.waits, "stops after"):
			if c.above(p, func(q *depended) bool {
				return c.quitting || q.state == process.Stopping || strings.HasPrefix(q.waits, "stops after")
			}) == nil {
				c.broken("%v %s, and nothing is left", p.name, p.waits)
			}
		case p.waits != "" && !forCommand(p.waits):
			subject, _, _ := strings.Cut(strings.TrimPrefix(p.waits, "waits for "), ": ")
			i := slices.IndexFunc(p.spec.DependsOn, func(d process.Dependency) bool { return d.Subject() == subject })
			if i < 0 || p.state == process.Running || c.quitting {
				c.broken("%v is %v and %s", p.name, p.state, p.waits)
			} else if why := c.holds(p.spec.DependsOn[i]); why == "" && !c.coming(p.spec.DependsOn[i]) {
				c.broken("%v %s, and that holds", p.name, p.waits)
			}
		}
	}
}

// coming reports whether something of a dependency may be about to start again, which counts already and cannot be seen: after its end, or by an
// operation that is under way.
func (c *DependChecker) coming(d process.Dependency) bool {
	for _, p := range c.procs {
		if c.means(d, p) && (p.state == process.Exited && d.On != process.OnCompleted || p.state == process.Stopping) {
			return true
		}
	}
	return len(c.world.Core.Underway()) > 0
}
