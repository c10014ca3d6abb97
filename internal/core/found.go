package core

import (
	"fmt"
	"time"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// Found is what a member of a group is already when the group is added: another supervisor has left it so. Durations count back from the step.
type Found struct {
	State   process.State
	PID     int           // of STARTING, RUNNING, STOPPING and UNKNOWN; 0 = none
	Started time.Duration // since its last start
	Since   time.Duration // since it is STOPPING or in BACKOFF; 0 = just now, which leaves it the whole of stopwaitsecs, or of the pause
	Tries   int           // failed starts in a row; a process in BACKOFF has one at least

	Began, Ended time.Time // wall time of its last start and end; zero = never
	Exit         process.ExitStatus
	HasExit      bool
	SpawnErr     string

	// Undecided says that nobody has looked yet whether a STOPPED process is to be started with its group, or an EXITED one to be started
	// again. Otherwise they stay as they are.
	Undecided bool
	// Again says that a STOPPING process starts once it has stopped.
	Again bool
	// Greeting is how far post_ready of a RUNNING process has come.
	Greeting Greeting
	// Listener is what a process of a listener group is ready for. A BUSY one holds an event of which nothing is known: its answer is accepted,
	// and thrown away. Zero: it is not READY, and what it says next tells whether it was ACKNOWLEDGED or BUSY.
	Listener event.ListenerState
}

// Greeting is what is known of post_ready in a life. The zero value: it keeps nobody waiting.
type Greeting struct {
	Due   bool   // it has not run, and is to
	Unmet string // why the process is not ready where it counts
}

// FoundOf returns what a machine that has lost a process knows of its readiness: whether its check has found it ready, and what became of post_ready. The
// outcome of one that runs is nobody's to learn.
func (s *Supervisor) FoundOf(id process.ID) (fit bool, g Greeting) {
	p := s.procs[id]
	if p == nil || p.state != process.Starting && p.state != process.Running {
		return false, g
	}
	fit = p.fit && p.spec.Health.Ready.Kind != process.CheckNone
	if g.Due = p.fresh; p.state == process.Running && p.spec.Hooks.Gates() {
		g.Unmet = p.unmet
		if s.hookOf(p.hook).Option == postReady {
			g.Unmet = "post_ready ran when keeper and daemon were killed"
		}
	}
	return fit, g
}

// fault says why nothing can be as it was found.
func (f Found) fault(name process.Namespec) *Fault {
	alive := f.State.IsSignallable()
	if f.PID < 0 || alive && f.PID == 0 || !alive && f.PID != 0 && f.State != process.Unknown {
		return &Fault{Kind: Failed, Text: fmt.Sprintf("%v cannot be %v with pid %d", name, f.State, f.PID)}
	}
	return nil
}

// takeUp makes a new member what it was found as. Nothing is told: it is no news. All it has lived counts as its first incarnation.
func (s *Supervisor) takeUp(p *proc, f Found) {
	p.state, p.pid, p.incarnation, p.tries = f.State, f.PID, 1, f.Tries
	p.began, p.ended, p.exit, p.hasExit, p.spawnErr = f.Began, f.Ended, f.Exit, f.HasExit, f.SpawnErr
	p.started, p.startSecs = s.now.Mono-max(f.Started, 0), p.spec.StartSecs
	if p.state == process.Stopped && !f.Undecided && !f.Began.IsZero() {
		p.reason = ReasonStop // somebody has asked for it
	}
	if p.unstopped() {
		p.group.unstopped++
	}
	since := s.now.Mono - max(f.Since, 0)
	switch f.State {
	case process.Running:
		p.fresh, p.unmet = f.Greeting.Due, f.Greeting.Unmet
	case process.Starting:
		p.fresh, p.unmet = true, notGreeted
		s.goOn(p, p.started+seconds(p.startSecs))
	case process.Stopping:
		p.reason = ReasonStop // as far as anybody knows
		if p.again = f.Again; p.again {
			p.reason = ReasonRestart
		}
		if first := p.spec.Steps()[0]; first.Wait != process.Forever || first.Signal == process.SIGKILL {
			s.goOn(p, since+first.Wait)
		}
	case process.Backoff:
		p.tries = max(p.tries, 1)
		p.short = p.tries - 1
		s.goOn(p, since+p.retryPause())
	}
	if p.pid != 0 && (f.State == process.Starting || f.State == process.Running) {
		s.watch(p)
	}
	if p.group.pool != nil && p.pid != 0 {
		p.listener = event.SavedListener{State: f.Listener, Result: -1}.Restore()
	}
}

// goOn sets the end of what a process was found waiting for, which may have passed.
func (s *Supervisor) goOn(p *proc, end time.Duration) { s.due.arm(&p.due, max(end, s.now.Mono)) }
