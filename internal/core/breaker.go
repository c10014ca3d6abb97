package core

import (
	"time"

	"github.com/graced/graced/internal/process"
)

// breaker holds back the restarts of a group whose processes keep ending unexpectedly. While it is open one process at a time is started by itself,
// the probe; once that is RUNNING all others follow. What somebody asks for is never held.
type breaker struct {
	ends   []time.Duration // the latest unexpected ends, while it is closed
	open   bool
	opened time.Duration
	closed time.Duration // the last time
	probe  *proc         // on its way to RUNNING; nil = none is
	failed int           // probes in a row that did not come there, and openings soon after the last one
	due    deadline      // when held processes go on
}

// probeBackoff are the pauses between probes of a program without backoff.
var probeBackoff = process.BackoffSpec{First: time.Second, Most: time.Minute, Factor: 2000}

// rate returns the strictest breaker of the members: the least number; of equals, the longest time.
func (g *group) rate() (strictest process.Rate) {
	for _, p := range g.members {
		r := p.spec.Breaker
		if r.Count > 0 && (strictest.Count == 0 || r.Count < strictest.Count || r.Count == strictest.Count && r.Within > strictest.Within) {
			strictest = r
		}
	}
	return strictest
}

// next starts a process by itself whose time has come, or holds it back.
func (s *Supervisor) next(p *proc) {
	switch b := &p.group.breaker; {
	case s.holdBack(p, true):
	case !b.open:
		s.respawn(p)
	case b.probe == nil && !b.due.armed():
		b.probe = p
		s.respawn(p)
	case !p.held:
		p.held = true
		s.revision++
		s.publish(Waits{Group: p.group.name(), Name: p.name})
	}
}

// letOn starts what a breaker holds: all of it when it is closed, else the first.
func (s *Supervisor) letOn(g *group) {
	if s.quitting() {
		return
	}
	var held []*proc
	for _, p := range g.members {
		if p.held {
			held = append(held, p)
		}
	}
	sortAscending(held)
	for _, p := range held {
		s.next(p)
	}
}

// unplan lets an EXITED process stay so.
func (s *Supervisor) unplan(p *proc) {
	s.due.disarm(&p.due)
	p.held = false
	s.pend(&p.gated, false)
}

// endedBadly takes notice of an end that was not expected, or of a start that failed.
func (s *Supervisor) endedBadly(p *proc) {
	g, b := p.group, &p.group.breaker
	if b.open || s.quitting() {
		return
	}
	rate := g.rate()
	b.ends = rate.Add(b.ends, s.now.Mono)
	if !rate.Reached(b.ends, s.now.Mono) {
		return
	}
	if s.now.Mono-b.closed >= rate.Within {
		b.failed = 0
	}
	b.open, b.opened, b.ends = true, s.now.Mono, nil
	if b.failed > 0 {
		s.due.arm(&b.due, s.now.Mono+p.probePause())
	}
	s.publish(BreakerOpened{Group: g.name(), Rate: rate})
}

// probePause returns how long the next probe is waited for.
func (p *proc) probePause() time.Duration {
	b := p.spec.Backoff
	if !b.Set() {
		b = probeBackoff
	}
	return p.pause(b, p.group.breaker.failed)
}

// probed tells an open breaker of a process that has changed its state.
func (s *Supervisor) probed(p *proc) {
	b := &p.group.breaker
	switch {
	case p.state == process.Running && (p == b.probe || p.started > b.opened):
		s.closeBreaker(p.group, p.name)
	case p != b.probe || p.state == process.Starting:
	case p.state == process.Backoff:
		b.probe = nil
		b.failed++
		pause := p.probePause()
		s.due.arm(&b.due, s.now.Mono+pause)
		s.publish(ProbeFailed{Group: p.group.name(), Name: p.name, Pause: pause})
	default: // somebody stops it: another one goes first
		b.probe = nil
		s.due.arm(&b.due, s.now.Mono)
	}
}

// closeBreaker lets all that is held go on, at the next step. Name is the process that is RUNNING.
func (s *Supervisor) closeBreaker(g *group, name string) {
	b := &g.breaker
	b.open, b.closed, b.probe = false, s.now.Mono, nil
	b.failed++ // which counts if it is opened again soon
	s.due.arm(&b.due, s.now.Mono)
	s.publish(BreakerClosed{Group: g.name(), Name: name})
}

// checkBreaker closes the breaker of a group in which no program has one any more.
func (s *Supervisor) checkBreaker(g *group) {
	if g.breaker.open && g.rate().Count == 0 {
		s.closeBreaker(g, "")
	}
}

// heldFor says what a process waits for that is held back by a breaker, or whose state lasts until a command has ended; "" for any other.
func (s *Supervisor) heldFor(p *proc) string {
	switch b := &p.group.breaker; {
	case p.state == process.Starting && p.unforked(), p.state == process.Stopping:
		return s.waitsForHook(p)
	case !p.held:
		return ""
	case b.probe != nil:
		return "waits for " + b.probe.name + ": breaker of group " + p.group.name() + " is open"
	default:
		return "waits for the next try: breaker of group " + p.group.name() + " is open"
	}
}
