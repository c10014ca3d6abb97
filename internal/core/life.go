package core

import "github.com/graced/graced/internal/process"

// The commands of a process's life run one after the other: pre_start, post_ready, pre_stop and post_stop. The first holds back the fork, the
// third the first step of a stop, the last the next start and, of a stop, its end. What comes after post_ready does not wait for it: it is ended.

// The options that ask for them.
const (
	preStart  = "pre_start"
	postReady = "post_ready"
	preStop   = "pre_stop"
	postStop  = "post_stop"
)

// notGreeted is what a process lacks whose post_ready counts and has not begun.
const notGreeted = "post_ready has not run yet"

// beginHook runs a command of the life of a process.
func (s *Supervisor) beginHook(p *proc, h process.HookSpec, e RunHook) Token {
	s.publish(HookBegan{Group: p.group.name(), Name: p.name, Option: e.Option, PID: e.PID, Most: h.Timeout})
	e.Command, e.Most = h.Command, h.Timeout
	s.revision++
	return s.runHook(p, e, nil)
}

// cutHook ends the command that runs, if one does. Nothing waits for it any more.
func (s *Supervisor) cutHook(p *proc) {
	if p.hook != 0 {
		s.endHook(p.hook)
		p.hook = 0
		s.revision++
	}
}

// prepare does what comes before the fork of a process that is STARTING: the command of its last end has its time, then pre_start.
func (s *Supervisor) prepare(p *proc) {
	switch h := p.spec.Hooks.PreStart; {
	case p.hook != 0:
	case h.Wanted() && p.fate == stays && !s.quitting():
		p.hook = s.beginHook(p, h, RunHook{Option: preStart, Reason: p.reason})
	default:
		s.prepared(p)
	}
}

// prepared goes on after that. What is not wanted any more, or while everything is being stopped, is not forked.
func (s *Supervisor) prepared(p *proc) {
	switch {
	case s.quitting():
		p.reason = ReasonShutdown
		s.unspawn(p)
	case p.fate != stays:
		p.reason = p.surplus()
		s.unspawn(p)
	default:
		s.fork(p)
	}
}

// unforked reports whether a process that is STARTING or STOPPING has neither been forked nor is about to be: only a command is waited for.
func (p *proc) unforked() bool { return p.pid == 0 && p.spawning == 0 }

// unspawn gives up a start before its fork.
func (s *Supervisor) unspawn(p *proc) {
	if p.killed || p.hook != 0 && s.hookOf(p.hook).Option == preStart {
		s.cutHook(p)
	}
	s.leaveRunning(p)
	s.refuseUnsent(p)
	if p.hook == 0 {
		s.stopped(p, nil)
	}
}

// waitsForHook says which command a process waits for, "" for none.
func (s *Supervisor) waitsForHook(p *proc) string {
	e := s.hookOf(max(p.hook, p.draining)) // one at most is set
	if e.Option == "" {
		return ""
	}
	return "waits for " + e.Option
}

// hookOf returns what is known of a command that runs.
func (s *Supervisor) hookOf(t Token) RunHook {
	e, _ := s.sent[t].effect.(RunHook)
	return e
}

// greet runs post_ready, once in a life.
func (s *Supervisor) greet(p *proc) {
	if !p.fresh {
		return
	}
	p.fresh, p.unmet = false, ""
	if h := p.spec.Hooks.PostReady; h.Wanted() {
		p.unmet = "post_ready runs"
		p.hook = s.beginHook(p, h, RunHook{Option: postReady, PID: p.pid, Reason: p.reason})
	}
}

// beginStop begins the stop of a process that exists: with pre_stop, unless only SIGKILL is wanted.
func (s *Supervisor) beginStop(p *proc) {
	s.cutHook(p)
	h := p.spec.Hooks.PreStop
	if p.killed || !h.Wanted() {
		s.drain(p)
		return
	}
	s.leaveRunning(p)
	p.draining = s.beginHook(p, h, RunHook{Option: preStop, PID: p.pid, Reason: p.reason})
}

// endLife runs post_stop after an end that nobody has asked for. Nothing but the next start waits for it.
func (s *Supervisor) endLife(p *proc, end ProcessEnded, why Reason) {
	s.cutHook(p)
	if h := p.spec.Hooks.PostStop; h.Wanted() {
		p.hook = s.beginHook(p, h, RunHook{Option: postStop, PID: end.PID, Reason: why, Exit: &end.Status})
	}
}

// tidies reports whether a process that has ended is still STOPPING because of commands: what was to come before its end, and post_stop.
func (s *Supervisor) tidies(p *proc, end ProcessEnded) bool {
	if s.hookOf(p.draining).Most == process.Forever {
		s.undrain(p) // with the process its command has nothing to wait for any more, and nothing else would end it
	}
	before := s.hookOf(p.draining)
	busy := before.Option == preStop || before.Option != "" && p.spec.Hooks.PostStop.Wanted()
	switch {
	case p.state != process.Stopping:
		s.endLife(p, end, p.reason)
		return false
	case !busy && !p.spec.Hooks.PostStop.Wanted():
		return false
	}
	s.publish(end)
	s.due.disarm(&p.due)
	p.pid = 0
	s.revision++
	s.lost(p)
	s.release(p, nil, forSignalled)
	if !busy {
		p.draining = 0
		s.endLife(p, end, p.reason)
	}
	return true
}

// stopHookOver goes on with a stop after pre_stop or drain_command.
func (s *Supervisor) stopHookOver(p *proc, e RunHook) {
	p.draining = 0
	s.revision++
	switch {
	case p.pid != 0 && e.Option == preStop:
		s.drain(p)
	case p.pid != 0:
		s.sendStop(p)
	default: // it has ended meanwhile
		if s.endLife(p, ProcessEnded{PID: e.PID, Status: p.exit}, p.reason); p.hook == 0 {
			s.rest(p, e.PID)
		}
	}
}

// hookDone goes on after another command of a process's life.
func (s *Supervisor) hookDone(p *proc, what sending, problem string) {
	p.hook = 0
	s.revision++
	e, _ := what.effect.(RunHook)
	switch {
	case e.Option == preStart && problem != "" && e.failsStart():
		s.startFailed(p, preStart+": "+problem)
	case e.Option == preStart:
		s.prepared(p)
	case e.Option == postReady:
		s.greeted(p, problem)
	case p.state == process.Starting && p.unforked():
		s.prepare(p)
	case p.state == process.Stopping && p.unforked():
		s.rest(p, what.pidOf(p))
	case p.state.IsStopped():
		s.settled = append(s.settled, p) // it may have been kept from being removed
	}
}

// pidOf returns the pid that a process had in this life, as its command knows it; 0 = it had none.
func (what sending) pidOf(p *proc) int {
	e, _ := what.effect.(RunHook)
	if what.incarnation != p.incarnation { // the end of that life has been told
		return 0
	}
	return e.PID
}

// rest ends a stop after its commands. The process had that pid.
func (s *Supervisor) rest(p *proc, pid int) {
	p.pid = pid
	if p.sick && p.again && !s.quitting() {
		s.recover(p, nil)
		return
	}
	s.stopped(p, nil)
}

// untidy ends what runs when only commands are left of a stop: post_stop follows what was to come before the end.
func (s *Supervisor) untidy(p *proc) {
	if p.draining != 0 {
		e := s.hookOf(p.draining)
		s.undrain(p)
		s.stopHookOver(p, e)
		return
	}
	pid := s.sent[p.hook].pidOf(p)
	s.cutHook(p)
	s.rest(p, pid)
}

// failsStart reports whether a start fails with its command.
func (e RunHook) failsStart() bool {
	return e.Option == preStart && e.Spec.Hooks.OnPreStart == process.HookFails
}
