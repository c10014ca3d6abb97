package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/graced/graced/internal/core"
	events "github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

const second = 1_000_000 // in the microseconds of a Scenario

// Generate makes the scenario of a seed. What it asks for, the reference knows as well.
func Generate(seed uint64) Scenario {
	r := &dice{rand.New(rand.NewPCG(seed, 0x5eed))}
	// The end is at no whole second, where deadlines are.
	sc := Scenario{Seed: seed, End: 25*second + 500, Commands: []Command{}}
	for i := range r.between(1, 4) {
		sc.Groups = append(sc.Groups, r.group(i))
	}
	at := int64(0)
	for range r.between(0, 34) {
		before := at
		at += int64(r.between(7_000, 1_300_000))
		if whole := at / second * second; r.one(12) && whole > before {
			at = whole // at the moment of some deadline
		}
		c := r.command(sc.Groups)
		c.At, c.Req = at, uint64(len(sc.Commands)+1)
		sc.Commands = append(sc.Commands, c)
	}
	if r.one(3) {
		at := int64(r.between(1000, 20*second))
		op := "shutdown"
		if r.one(4) {
			op = "restart"
		}
		sc.Commands = append(sc.Commands, Command{At: at, Req: uint64(len(sc.Commands) + 1), Op: op})
	}
	return sc
}

// GenerateMore makes a scenario that also asks for what graced alone can do: plans, changes of one member, cancelled commands.
func GenerateMore(seed uint64) Scenario {
	sc := Generate(seed)
	givePolicies(seed, sc.Groups)
	r := &dice{rand.New(rand.NewPCG(seed, 0x6ace))}
	for i := range sc.Groups {
		for k := range sc.Groups[i].Programs {
			var own process.Spec
			r.gentle(&own)
			sc.Groups[i].Programs[k].gently(func(s *process.Spec) { s.StopSteps, s.Drain, s.Reload = own.StopSteps, own.Drain, own.Reload })
		}
	}
	hooks := &dice{rand.New(rand.NewPCG(seed, 0x400c5))}
	for i := range sc.Groups {
		for k := range sc.Groups[i].Programs {
			own := hooks.lifeHooks(false)
			sc.Groups[i].Programs[k].gently(func(s *process.Spec) { s.Hooks = own })
		}
	}
	for range r.between(0, 14) {
		g := sc.Groups[r.IntN(len(sc.Groups))]
		p := g.Programs[r.IntN(len(g.Programs))]
		c := Command{
			At: int64(r.between(1000, 24*second)), Req: uint64(len(sc.Commands) + 1),
			Name: process.Namespec{Group: g.Name, Process: p.Name}.String(), Wait: r.one(2),
		}
		switch r.IntN(9) {
		case 8:
			c.Op = "hurry"
		case 0:
			c.Op = "write"
		case 1:
			c.Op = "removeProcess"
		case 2:
			c.Op = "addProcess"
		case 3:
			c.Cancel = uint64(r.between(1, len(sc.Commands)+1))
		default:
			c.Op, c.Name = pick(r, "apply", "apply", "apply", "leave"), g.Name
			for _, p := range g.Programs {
				if !r.one(3) {
					c.Desired = append(c.Desired, p.Name)
				}
			}
		}
		sc.Commands = append(sc.Commands, c)
	}
	for range r.between(0, 5) {
		g := sc.Groups[r.IntN(len(sc.Groups))]
		name := pick(r, g.Name+":*", g.Name+":"+g.Programs[0].Name)
		sc.Commands = append(sc.Commands, Command{At: int64(r.between(1000, 20*second)), Req: uint64(len(sc.Commands) + 1), Op: "refresh", Name: name})
	}
	return sc
}

// givePolicies gives some programs options about restarts, which the reference does not know.
func givePolicies(seed uint64, groups []Group) {
	r := &dice{rand.New(rand.NewPCG(seed, 0xbac0ff))}
	for _, g := range groups {
		for i := range g.Programs {
			p := &g.Programs[i]
			p.Backoff, p.RestartLimit, p.Breaker = r.policy()
			if p.Backoff.Set() {
				p.StartRetries = pick(r, p.StartRetries, -1)
			}
		}
	}
}

// policy makes options about restarts; most of them are not set.
func (r *dice) policy() (b process.BackoffSpec, limit, breaker process.Rate) {
	if r.one(4) {
		breaker = process.Rate{Count: r.between(1, 3), Within: time.Duration(r.between(1, 12)) * time.Second}
	}
	if r.one(3) || breaker.Count > 0 && r.one(2) {
		b = process.BackoffSpec{First: pick(r, 200*time.Millisecond, time.Second, 2*time.Second), Factor: pick(r, 1000, 1500, 3000), Jitter: pick(r, 0, 0, 500)}
		b.Most = b.First * time.Duration(pick(r, 1, 2, 4))
	}
	if r.one(4) {
		limit = process.Rate{Count: r.between(1, 4), Within: time.Duration(r.between(1, 12)) * time.Second}
	}
	return b, limit, breaker
}

// GenerateFound makes such a scenario in which some processes are there already.
func GenerateFound(seed uint64) Scenario {
	sc := GenerateMore(seed)
	var groups []process.GroupSpec
	for _, g := range sc.Groups {
		if !g.Later {
			groups = append(groups, g.spec())
		}
	}
	sc.Found = findSome(seed, groups)
	return sc
}

// findSome chooses processes that are there already, and how.
func findSome(seed uint64, groups []process.GroupSpec) map[process.Namespec]core.Found {
	r := &dice{rand.New(rand.NewPCG(seed, 0xf00d))}
	found := map[process.Namespec]core.Found{}
	for _, g := range groups {
		for _, p := range g.Processes {
			f := core.Found{
				State:   pick(r, process.Running, process.Running, process.Running, process.Starting, process.Stopping, process.Backoff, process.Stopped, process.Exited, process.Fatal),
				Started: time.Duration(r.between(0, 4000)) * time.Millisecond,
				Since:   time.Duration(r.between(0, 2500)) * time.Millisecond,
				Tries:   r.between(0, 3), Undecided: r.one(3), Listener: pick(r, 0, events.Ready, events.Busy, events.Acknowledged),
			}
			if f.State == process.Exited {
				f.HasExit, f.Exit.Code = true, pick(r, 0, 1, 2)
			}
			if !r.one(4) {
				found[process.Namespec{Group: g.Name, Process: p.Name}] = f
			}
		}
	}
	return found
}

// dice are a source of random choices.
type dice struct{ *rand.Rand }

func (r *dice) between(a, b int) int { return a + r.IntN(b-a+1) }
func (r *dice) one(in int) bool      { return r.IntN(in) == 0 }
func pick[T any](r *dice, from ...T) T {
	return from[r.IntN(len(from))]
}

func (r *dice) group(i int) Group {
	g := Group{Name: fmt.Sprintf("g%d", i), Priority: pick(r, 1, 5, 5, 999), Later: i > 0 && r.one(5)}
	for k := range pick(r, 1, 1, 1, 2, 3, 4) {
		g.Programs = append(g.Programs, r.program(k))
	}
	if len(g.Programs) == 1 && r.one(2) {
		g.Programs[0].Name = g.Name // the group of a single program: short names on the wire
	}
	return g
}

func (r *dice) program(k int) Program {
	p := Program{
		Name: fmt.Sprintf("p%d", k), Priority: pick(r, 1, 2, 2, 999),
		StartSecs: pick(r, 0, 1, 1, 2), StartRetries: pick(r, 0, 1, 3), StopWaitSecs: pick(r, 0, 1, 1, 3),
		Autostart: !r.one(3), Autorestart: r.IntN(3), ExitCodes: pick(r, []int{0}, []int{0, 2}),
		StopSignal:  int(pick(r, process.SIGTERM, process.SIGTERM, 2)),
		KillAsGroup: r.one(3),
	}
	p.StopAsGroup = p.KillAsGroup && r.one(2)
	mood := r.IntN(4)
	for range r.between(4, 24) {
		p.Lives = append(p.Lives, r.life(mood, p.StartSecs))
	}
	return p
}

// life makes one life; a program of mood 0 is likely to crash, of mood 3 to stay.
func (r *dice) life(mood, startSecs int) Life {
	if r.one(14) {
		return Life{Fork: pick(r, "EAGAIN", "ENOMEM"), Lasts: -1, Stop: -1, Kill: -1}
	}
	l := Life{
		Code: pick(r, 0, 0, 1, 2, -1),
		Stop: int64(r.between(2_000, 700_000)), Stops: pick(r, 0, -1, 1),
		Kill: int64(r.between(200, 900)),
	}
	switch x := r.IntN(6); {
	case x <= mood:
		l.Lasts = -1
	case x == 5 && r.one(3) && startSecs > 0:
		l.Lasts = int64(startSecs) * second // to the moment
	case x%2 == 0:
		l.Lasts = int64(r.between(5_000, 900_000))
	default:
		l.Lasts = int64(r.between(1_100_000, 6_000_000))
	}
	switch {
	case r.one(3):
		l.Stop = -1
	case r.one(60):
		l.Denied, l.Lasts = true, -1
	}
	if r.one(12) {
		l.Kill = int64(r.between(400_000, 2_500_000)) // busy in the kernel
	}
	return l
}

func (r *dice) command(groups []Group) Command {
	g := groups[r.IntN(len(groups))]
	p := g.Programs[r.IntN(len(g.Programs))]
	member := process.Namespec{Group: g.Name, Process: p.Name}.String()
	if r.one(10) {
		member = g.Name + ":" + p.Name // the long form works as well
	}
	c := Command{Name: member, Wait: r.one(2)}
	switch x := r.IntN(40); {
	case x < 9:
		c.Op = "startProcess"
	case x < 21:
		c.Op = "stopProcess"
	case x < 25:
		c.Op, c.Signal = "signalProcess", pick(r, 0, 1, 10, 15, 9, 2)
	case x < 28:
		c.Op, c.Name = "startProcessGroup", g.Name
	case x < 31:
		c.Op, c.Name = "stopProcessGroup", g.Name
	case x == 31:
		c.Op, c.Name = pick(r, "startProcess", "stopProcess"), g.Name+pick(r, ":*", ":")
	case x == 32:
		c.Op, c.Name = "startAllProcesses", ""
	case x == 33:
		c.Op, c.Name = "stopAllProcesses", ""
	case x == 34:
		c.Op, c.Name, c.Signal = "signalProcessGroup", g.Name, pick(r, 0, 10, 15)
	case x == 35:
		c.Op, c.Name, c.Signal = "signalAllProcesses", "", pick(r, 0, 10, 1)
	case x == 36:
		c.Op, c.Name = pick(r, "startProcess", "stopProcess", "signalProcess", "startProcessGroup"), pick(r, "nope", "nope:x", g.Name+":nope")
		c.Signal = 1
	case x == 37:
		c.Op, c.Name = "removeProcessGroup", g.Name
	default:
		c.Op, c.Name = "addProcessGroup", g.Name
		for _, o := range groups {
			if o.Later && r.one(2) {
				c.Name = o.Name
			}
		}
	}
	return c
}
