package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

var updateN = flag.Int("update.n", 1000, "number of random pairs of configurations")

// TestUpdate carries out updates between random configurations, once left alone and once with commands of others in the middle. Outcomes are known
// at once or, with an odd seed, late. With every third seed some processes were there before the machine. With -seed=N -update.n=1 it plays one pair.
func TestUpdate(t *testing.T) {
	saw := map[string]int{}
	for i := range *updateN {
		seed := *simSeed + uint64(i)
		for _, others := range []bool{false, true} {
			u := newUpdateRun(GenerateUpdate(seed, others), seed%2 == 1, saw)
			if broken := u.play(others); broken != "" {
				t.Fatalf("seed %d (-seed=%[1]d -update.n=1), with others %v:\n%s", seed, others, broken)
			}
		}
	}
	t.Logf("%d pairs from seed %d: %v", *updateN, *simSeed, saw)
	for _, what := range []string{
		"add", "return", "remove", "tune", "rename", "replace", "replace group", "kept", "retry", "down", "first try done", "failed", "cancelled", "left out",
		"waits for update", "no such operation", "halted", "cannot fork", "cannot be stopped", "taken back", "stays", "comes back",
		"act", "already started", "not running", "act taken over", "act cannot fork", "act cancelled", "act finds nothing",
		"pre_start", "post_ready", "pre_stop", "post_stop",
	} {
		if *updateN >= 1000 && saw[what] == 0 {
			t.Errorf("no %q in any pair: the generator does not reach it", what)
		}
	}
}

// updateRun plays one UpdateScenario.
type updateRun struct {
	*World
	sc      UpdateScenario
	checker *Checker
	broken  string
	saw     map[string]int
	replies map[core.Req]core.Reply
	given   []core.Req       // commands, in their order
	done    map[core.Req]int // how often they were answered
	early   bool             // everything was stopped by a command
	roll    bool             // of a group, with nobody else around

	cancelled map[core.Req]bool
	hung      map[process.Namespec]bool // it was found not to be alive, and stopped for good
}

func newUpdateRun(sc UpdateScenario, late bool, saw map[string]int) *updateRun {
	var r *rand.Rand
	if late {
		r = rand.New(rand.NewPCG(sc.Seed, 2))
	}
	u := &updateRun{World: NewWorld(core.Options{Strict: true}, r), sc: sc, saw: saw, replies: map[core.Req]core.Reply{}, done: map[core.Req]int{}, cancelled: map[core.Req]bool{}, hung: map[process.Namespec]bool{}}
	u.lives, u.Want = sc.Lives, sc.Is
	u.checker = Watch(u.World, core.Quirks{}, func(text string) { u.fail("%s", text) })
	u.checker.Patience = 2 * time.Minute // children may be busy in the kernel for long
	check := u.Watch
	u.Watch = func(now time.Duration, in core.Input, out []core.Effect) {
		for _, e := range out {
			switch e := e.(type) {
			case core.Reply:
				u.replies[e.Req] = e
			case core.Publish:
				if n, ok := e.Event.(core.NotAlive); ok && n.Action == process.AliveStop {
					u.hung[process.Namespec{Group: n.Group, Process: n.Name}] = true
				}
			}
		}
		check(now, in, out)
	}
	return u
}

func (u *updateRun) fail(format string, args ...any) {
	if u.broken == "" {
		u.broken = fmt.Sprintf("at %v: ", u.Now()) + fmt.Sprintf(format, args...)
	}
}

// play returns the first broken promise, with what led to it.
func (u *updateRun) play(others bool) (broken string) {
	defer func() {
		if p := recover(); p != nil {
			u.fail("panic: %v", p)
		}
		if broken = u.broken; broken != "" {
			broken += fmt.Sprintf("\nwas\n%s\nis\n%s\n%s", groupsText(u.sc.Was), groupsText(u.sc.Is), traceEnd(u.Trace, 100))
		}
		for _, f := range u.Trace {
			if option, _, _ := strings.Cut(f.Text, " "); f.Kind == "hook" {
				u.saw[option]++
			}
			for _, what := range []string{"waits for update", "no such operation", "is paused", "its group was removed"} {
				if strings.Contains(f.Text, what) {
					u.saw[what]++
				}
			}
		}
	}()
	u.Add(u.sc.Was, u.sc.Found)
	for _, c := range u.sc.Before {
		c.Req = u.number()
		u.at(microseconds(c.At), func() { u.Command(c) })
	}
	u.Until(microseconds(u.sc.Start))
	switch {
	case others:
		u.noisy()
	case u.roll:
		u.alone()
	default:
		u.quiet()
	}
	u.quit()
	return u.broken
}

func (u *updateRun) number() uint64 {
	u.given = append(u.given, core.Req(len(u.given)+1))
	return uint64(len(u.given))
}

// update gives an update and lets time pass until it is over, but not for ever: children end within a minute.
func (u *updateRun) update(roll *process.Roll) (plan.Update, core.Reply) {
	req := u.number()
	p := u.planned(nil, roll == nil)
	u.Command(Command{Req: req, Op: "update", Roll: roll})
	for limit := u.Now() + 10*time.Minute; u.replies[core.Req(req)].Req == 0 && u.Now() < limit && !u.Halted && u.broken == ""; {
		u.Until(u.Now() + time.Second)
	}
	r := u.replies[core.Req(req)]
	if r.Req == 0 {
		u.fail("update %d does not end", req)
	}
	return p, r
}

// quiet carries out the update with nobody else around: what happens is what the plan says, and a second update finds exactly what failed.
func (u *updateRun) quiet() {
	before := u.processes()
	p, r := u.update(nil)
	u.asPlanned(p, r, before)
	u.second(r)
	// Until nothing fails any more, each time less is left, once nothing is taken back.
	var roll *process.Roll
	for i := range 30 {
		if i == 10 {
			roll = &process.Roll{OnFailure: process.RollStop}
		}
		if u.broken != "" {
			return
		}
		var r core.Reply
		if p, r = u.update(roll); p.Empty() {
			u.generation()
			return
		}
		if i == 29 && !slices.ContainsFunc(r.Updated, func(s core.StepResult) bool {
			return s.Fault != nil && !(s.Fault.Kind == core.Failed && strings.Contains(s.Fault.Text, "killing")) && s.Fault.Kind != core.Cancelled
		}) {
			u.saw["never stopped"]++ // none of its lives can be signalled when it is time
			return
		}
		u.Until(u.Now() + 20*time.Second) // children that cannot be stopped end some time
	}
	u.fail("updates come to no end: %+v", p)
}

// processes returns what can be seen of every process.
func (u *updateRun) processes() map[process.Namespec]process.Status {
	all := map[process.Namespec]process.Status{}
	for _, s := range u.Core.Statuses() {
		all[s.Namespec()] = s
	}
	return all
}

// asPlanned compares an update with its plan.
func (u *updateRun) asPlanned(p plan.Update, r core.Reply, before map[process.Namespec]process.Status) {
	if r.Fault != nil {
		u.fail("the update is refused: %+v", r.Fault)
	}
	after := u.processes()
	failed := map[string]bool{} // groups
	for _, step := range r.Updated {
		if step.Fault != nil {
			failed[step.Group] = true
			u.noteFault(step)
		}
	}
	results := slices.DeleteFunc(slices.Clone(r.Updated), func(s core.StepResult) bool { return s.Undo })
	if len(results) < len(r.Updated) {
		u.saw["taken back"]++
	}
	for _, g := range p.Plans {
		for _, extra := range g.Surge {
			results = slices.DeleteFunc(results, func(s core.StepResult) bool { return s.Group == g.Group && s.Name == extra.Name })
		}
		if g.Scope == plan.ReplaceGroup {
			u.saw["replace group"]++
		}
		for _, name := range g.Kept {
			u.saw["kept"]++
			u.same(before, after, process.Namespec{Group: g.Group, Process: name}, process.Namespec{Group: g.Group, Process: name})
		}
		for _, c := range g.Changes {
			u.saw[[...]string{"add", "return", "remove", "tune", "rename", "replace"}[c.Action]]++
			if c.Retry {
				u.saw["retry"]++
			}
			if c.Down {
				u.saw["down"]++
			}
			i := slices.IndexFunc(results, func(s core.StepResult) bool {
				return s.Group == c.Group && s.Name == c.Name && s.Action == c.Action && s.From == c.From
			})
			if i < 0 {
				u.fail("nothing is said about %+v", c)
				continue
			}
			step := results[i]
			results = slices.Delete(results, i, i+1)
			name := process.Namespec{Group: c.Group, Process: c.Name}
			was, is := before[name], after[name]
			switch c.Action {
			case plan.RemoveProcess:
				if step.Fault == nil && is.ID == was.ID {
					u.fail("%v is there", name)
				}
			case plan.ReturnProcess:
				if step.Started {
					u.saw["comes back"]++
				}
			case plan.RenameProcess, plan.TuneProcess:
				from := name
				if c.From != "" {
					from.Process = c.From
				}
				if !before[from].Leaving {
					u.same(before, after, from, name)
				}
			case plan.ReplaceProcess:
				switch {
				case step.Fault != nil:
				case is.ID != was.ID || step.OldPID != 0 && step.PID == step.OldPID:
					u.fail("%v is not replaced: %s", name, stepText(step))
				case c.Down && !c.Retry && !was.Leaving && step.Started:
					u.fail("%v did not run and was started", name)
				case c.Down || step.Started || step.OldPID == 0:
				case !u.hung[name]:
					u.fail("%v ran and was not started", name)
				case step.PID != 0 || is.State != process.Stopped: // its own alive_action has stopped it before its turn, and that counts
					u.fail("%v was stopped for good and is %v: %s", name, is.State, stepText(step))
				default:
					u.saw["hung"]++
				}
			case plan.AddProcess:
				if step.Fault == nil && step.Started != c.Spec.Autostart {
					u.fail("autostart is %v: %s", c.Spec.Autostart, stepText(step))
				}
			}
		}
	}
	if len(results) > 0 {
		u.fail("the plan does not say %+v", results)
	}
	// Groups without a fault are done, whatever became of the others.
	for _, g := range plan.Minimal(u.Core.Manifest(), u.Want, nil).Plans {
		if !failed[g.Group] && !g.Empty() {
			u.fail("nothing of %s failed, and left is %+v", g.Group, g)
		}
	}
	if len(failed) == 0 {
		u.saw["first try done"]++
		u.generation()
	}
}

func (u *updateRun) noteFault(step core.StepResult) {
	u.saw["failed"]++
	switch text := step.Fault.Text; {
	case step.Fault.Kind == core.SpawnError:
		u.saw["cannot fork"]++
	case step.Fault.Kind == core.Cancelled && step.Action == plan.AddProcess:
		u.saw["left out"]++
	case step.Fault.Kind == core.Cancelled:
		u.saw["cancelled"]++
	case strings.Contains(text, "killing"):
		u.saw["cannot be stopped"]++
	}
}

// same checks that a process that an update does not stop is the same one: its incarnation has changed only if its child ended by itself.
func (u *updateRun) same(before, after map[process.Namespec]process.Status, from, to process.Namespec) {
	was, is := before[from], after[to]
	if is.ID != was.ID {
		u.fail("%v was process %d, %v is %d", from, was.ID, to, is.ID)
	}
	if was.PID == 0 || was.State == process.Stopping {
		return
	}
	if c := u.children[was.PID]; is.PID != was.PID && !c.dead || is.PID == was.PID && is.Incarnation != was.Incarnation {
		u.fail("%v had pid %d, %v has pid %d", from, was.PID, to, is.PID)
	}
	u.saw["stays"]++
}

// second computes the same update again: it names what failed, and nothing else.
func (u *updateRun) second(r core.Reply) {
	now := u.processes()
	left := map[string]bool{} // names with their groups
	for _, step := range r.Updated {
		if step.Fault == nil && !step.Undo {
			continue
		}
		s, there := now[process.Namespec{Group: step.Group, Process: step.Name}]
		desired, _ := plan.Manifest{Groups: groupsOf(u.Want)}.Group(step.Group)
		d, wanted := desired.Process(step.Name)
		if there != wanted || there && (s.Leaving || len(process.Changes(*s.Spec, d)) > 0) {
			left[step.Group+":"+step.Name] = true
		}
	}
	for _, g := range plan.Minimal(u.Core.Manifest(), u.Want, nil).Plans {
		for _, c := range g.Changes {
			name := c.Group + ":" + c.Name
			if !left[name] && g.Scope == plan.ChangeGroup {
				u.fail("the second plan names %s, which did not fail: %+v", name, c)
			}
			delete(left, name)
		}
	}
	if len(left) > 0 {
		u.fail("the second plan does not name %v", left)
	}
	if len(u.broken) > 0 || slices.ContainsFunc(r.Updated, func(s core.StepResult) bool { return s.Fault != nil }) {
		return
	}
	u.Input(core.Tick{}) // the first may have closed a breaker, and what that has held back starts now
	from := len(u.Trace)
	p, r := u.update(nil)
	if !p.Empty() || len(r.Updated) > 0 || r.Fault != nil || len(u.Trace) != from+1 {
		u.fail("a second update does something: %+v %v", r, u.Trace[from:])
	}
}

// generation checks that everything is as desired.
func (u *updateRun) generation() {
	n := 0
	for _, g := range u.Want {
		for _, d := range g.Processes {
			n++
			s, ok := u.Core.Find(g.Name, d.Name)
			if !ok || len(process.Changes(*s.Spec, d)) > 0 || s.Leaving || s.Spec.Num != d.Num {
				u.fail("%s:%s is %+v, to be %+v", g.Name, d.Name, s.Spec, d)
			}
		}
		if a, ok := u.Core.Manifest().Group(g.Name); !ok || a.Priority != g.Priority || a.Listener != nil && !slices.Equal(a.Listener.Events, g.Listener.Events) {
			u.fail("group %s is %+v", g.Name, a.GroupSpec)
		}
	}
	if have := len(u.Core.Statuses()); have != n || len(u.Core.Groups()) != len(u.Want) {
		u.fail("%d processes in %v, wanted %d", have, u.Core.Groups(), n)
	}
}

// noisy carries out the update while others give commands. The invariants hold, and all are answered.
func (u *updateRun) noisy() {
	first := u.number()
	u.Command(Command{Req: first, Op: "update"})
	acts := []uint64{first}
	for _, c := range u.sc.Others {
		if c.Op == "cancel" {
			u.cancelled[core.Req(first)] = true
			c.Cancel = first
		} else {
			c.Req = u.number()
		}
		switch c.Op {
		case "act":
			acts = append(acts, c.Req)
		case "cancelupdate", "pauseupdate", "resumeupdate":
			c.Name = fmt.Sprint(first)
		case "cancelact", "pauseact", "resumeact":
			c.Op, c.Name = strings.Replace(c.Op, "act", "update", 1), fmt.Sprint(acts[len(acts)-1])
		}
		u.at(microseconds(c.At), func() { u.Command(c) })
	}
	u.Until(u.Now() + 5*time.Minute)
	for i := range 20 { // operations that somebody has paused; those that waited for them may be paused, too
		for _, op := range u.checker.Updating() {
			u.saw["paused"]++
			what := "resumeupdate"
			if i > 10 { // see alone
				what = "cancelupdate"
			}
			u.Command(Command{Req: u.number(), Op: what, Name: fmt.Sprint(op)})
			u.Until(u.Now() + 2*time.Minute)
		}
	}
	if u.early = u.Halted; u.early {
		u.saw["halted"]++
		return
	}
	if left := u.checker.Updating(); len(left) > 0 {
		u.fail("operations %v do not end", left)
	}
	u.noteActs()
	if len(u.waiting) > 0 {
		u.fail("commands wait for no update: %+v", u.waiting)
	}
}

// noteActs counts what Acts came to.
func (u *updateRun) noteActs() {
	for req := range u.steps {
		for _, step := range u.replies[req].Updated {
			what := "act"
			if f := step.Fault; f != nil {
				what = map[core.FaultKind]string{
					core.AlreadyStarted: "already started", core.NotRunning: "not running", core.AbnormalTermination: "act taken over", core.SpawnError: "act cannot fork",
					core.Cancelled: "act cancelled", core.BadName: "act finds nothing",
				}[f.Kind]
			}
			u.saw[what]++
		}
	}
}

// quit stops everything, and checks that all commands were answered.
func (u *updateRun) quit() {
	if u.broken != "" {
		return
	}
	u.Input(core.Command{Do: core.Quit{}})
	u.Until(u.Now() + 5*time.Minute)
	if !u.Halted {
		u.fail("no halt")
	}
	for _, f := range u.Trace {
		var req core.Req
		if n, _ := fmt.Sscanf(f.Subject, "#%d", &req); n == 1 && f.Kind == "reply" && !strings.HasPrefix(f.Text, "waits for") {
			u.done[req]++
		}
	}
	for _, req := range u.given {
		n := u.done[req]
		if n != 1 && (n != 0 || !u.cancelled[req] && !u.early) { // of what is given after the halt, or waits then, nobody hears
			u.fail("command %d has %d answers", req, n)
		}
	}
}

func groupsText(list []process.GroupSpec) string {
	var out strings.Builder
	for _, g := range list {
		fmt.Fprintf(&out, "%s %v priority=%d %+v\n", g.Name, g.Kind, g.Priority, g.Listener)
		for _, p := range g.Processes {
			fmt.Fprintf(&out, "  %s:%d %s, %q env=%v socket=%v log=%v autostart=%v autorestart=%v startsecs=%d retries=%d stopwaitsecs=%d priority=%d ready=%v/%v alive=%v roll=%v\n", p.Program, p.Num,
				p.Name, p.Command, p.Environment, p.Socket, p.Stdout.File, p.Autostart, p.Autorestart, p.StartSecs, p.StartRetries, p.StopWaitSecs, p.Priority, p.Health.Ready, p.Health.ReadyWait, p.Health.Alive, p.Roll)
		}
	}
	return out.String()
}
