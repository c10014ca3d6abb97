package sim

import (
	"time"

	"github.com/graced/graced/internal/process"
)

// gentle gives a program, now and then, a stop that the reference does not know.
func (r *dice) gentle(p *process.Spec) {
	if r.one(3) {
		p.StopSteps = r.steps()
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
		[]process.StopStep{kill},
		[]process.StopStep{first, kill},
		[]process.StopStep{first, {Signal: process.SIGTERM, Wait: time.Second}, kill},
	)
}

// longestStop is more than all that gentle makes takes, one after the other: settings may change in the middle.
const longestStop = 10 * time.Second
