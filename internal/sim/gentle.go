package sim

import (
	"math/rand/v2"
	"time"

	"github.com/graced/graced/internal/process"
)

// gentle gives a program, now and then, a stop that the reference does not know.
func (r *dice) gentle(p *process.Spec) {
	if r.one(3) {
		p.StopSteps = r.steps()
	}
	if r.one(3) {
		p.Drain = r.drain()
	}
	if r.one(2) {
		if p.Reload = r.drain(); p.Reload.Signal != 0 {
			p.Reload.Signal = 1
		}
	}
}

// drain makes what comes before the first step of a stop.
func (r *dice) drain() process.TellSpec {
	d := process.TellSpec{Timeout: time.Duration(r.between(0, 2000)) * time.Millisecond}
	if d.Signal = pick(r, process.Signal(12), process.SIGTERM, 0, 0); d.Signal == 0 {
		d.Command = pick(r, "0s", "300ms", "1s/3", "1500ms", "never", "none")
	}
	return d
}

// gentle gives programs of a scenario such stops, which its update may change, and has others hurry them.
func (sc *UpdateScenario) gentle(names []string) {
	r := &dice{rand.New(rand.NewPCG(sc.Seed, 0x6e47))}
	own := map[string]process.Spec{}
	for _, groups := range [][]process.GroupSpec{sc.Was, sc.Is} {
		for _, g := range groups {
			for i := range g.Processes {
				p := &g.Processes[i]
				key := g.Name + ":" + p.Program
				spec, known := own[key]
				if !known || p.Num == 0 && r.one(6) {
					spec = process.Spec{}
					r.gentle(&spec)
					own[key] = spec
				}
				p.StopSteps, p.Drain, p.Reload = spec.StopSteps, spec.Drain, spec.Reload
			}
		}
	}
	for i := range sc.Others {
		sc.Others[i].Now = sc.Others[i].Op == "act" && r.one(4)
	}
	for range len(sc.Others) / 3 {
		sc.Others = append(sc.Others, Command{At: sc.Start + r.Int64N(12*second), Op: pick(r, "hurry", "refresh"), Name: pick(r, names...)})
	}
}

// gently adds to what is set in the program's spec.
func (p *Program) gently(set func(*process.Spec)) {
	before := p.Gentle
	p.Gentle = func(s *process.Spec) {
		if before != nil {
			before(s)
		}
		set(s)
	}
}

// steps makes the steps of a stop, which are over after some seconds.
func (r *dice) steps() []process.StopStep {
	first := process.StopStep{Signal: pick(r, process.Signal(10), 2, process.SIGTERM), Wait: time.Duration(r.between(0, 1500)) * time.Millisecond}
	kill := process.StopStep{Signal: process.SIGKILL, Wait: process.Forever}
	return pick(r,
		nil,
		[]process.StopStep{first, kill},
		[]process.StopStep{first, {Signal: process.SIGTERM, Wait: time.Second}, kill},
	)
}

// longestStop is more than all that gentle makes takes, one after the other: settings may change in the middle.
const longestStop = 12 * time.Second
