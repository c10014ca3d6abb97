package core

import (
	"fmt"

	"github.com/graced/graced/internal/process"
)

// stop carries out a Stop. Of several processes those that count as running are touched.
func (s *Supervisor) stop(id Req, do Stop) {
	order := sortDescending
	if s.opts.StopAscending { // compat: quirk C5
		order = sortAscending
	}
	list, r := s.openFor(id, do.Target, order)
	if r == nil {
		return
	}
	for _, p := range s.dependentsFirst(list) {
		text := do.Target.Text
		if !r.single {
			if !p.state.IsRunning() && !p.restarting() {
				continue
			}
			text = p.namespec().String()
		}
		s.stopOne(r, p, text, do.Wait)
	}
	s.shut(r)
}

// restarting reports whether the process is EXITED only until its next start is due, or rests only until what it depends on is there.
func (p *proc) restarting() bool {
	return p.state == process.Exited && (p.due.armed() || p.held) || p.gated && p.state.IsStopped()
}

// stopOne stops one process by request. A leaving process may have been stopped, or be stopping, by someone else's wish: then that is what
// was asked for.
func (s *Supervisor) stopOne(r *request, p *proc, text string, wait bool) {
	what := forSignalled
	switch {
	case p.state.IsRunning() || p.restarting():
		s.forgive(p)
		if r.single {
			s.halt(p, ReasonStop)
		} else {
			s.haltInTurn(p, ReasonStop)
		}
		if wait {
			what = forStopped
		}
	case p.fate != stays:
		what = forStopped
	default:
		p.again, p.hung = false, false
		s.shift()
		s.done(r, p, &Fault{Kind: NotRunning, Text: text})
		return
	}
	if p.state.IsStopped() {
		s.done(r, p, nil)
		return
	}
	if what == forSignalled && (p.draining != 0 || p.lastly || p.unforked()) { // the signal may be long in coming
		s.done(r, p, nil)
		return
	}
	s.await(r, p, waiter{what: what, text: text})
	s.reportStop(p)
}

// halt begins the stop of a process that counts as running, or ends the wait for its next start.
func (s *Supervisor) halt(p *proc, why Reason) {
	p.reason = why
	switch p.state {
	case process.Backoff, process.Exited:
		s.unwait(p, AbnormalTermination)
		s.stopped(p, nil)
	case process.Stopped, process.Fatal: // it waits for what it depends on
		p.killed = false
		s.unwait(p, AbnormalTermination)
		s.release(p, nil, forSignalled|forStopped)
	case process.Starting, process.Running:
		switch {
		case p.pid != 0:
			s.beginStop(p)
			return
		case p.unforked():
			s.unspawn(p)
			return
		}
		// The process does not exist yet: the signal follows when it does.
		s.enter(p, process.Stopping, false)
		s.unready(p, AbnormalTermination)
	default:
		s.unforeseen(p, "stop")
	}
}

// sendStop begins the first step of a stop.
func (s *Supervisor) sendStop(p *proc) {
	if p.killed {
		s.kill(p, false)
		return
	}
	p.stopStep = 0
	s.takeStep(p)
}

// takeStep sends the signal of the present step of a stop and gives the process its time to obey. In the last step that is for ever, unless it
// is SIGKILL.
func (s *Supervisor) takeStep(p *proc) {
	steps := p.spec.Steps()
	step, last := steps[p.stopStep], p.stopStep == len(steps)-1
	if step.Signal == process.SIGKILL && step.Wait == process.Forever {
		s.kill(p, p.stopStep > 0)
		return
	}
	event := KillSent{
		Group: p.group.name(), Name: p.name, PID: p.pid, Signal: step.Signal, ToGroup: p.spec.StopAsGroup, ToTree: p.spec.Tree.Stop,
	}
	s.publish(event)
	s.leaveRunning(p)
	s.send(p, sending{kind: sentStop}, Signal{Signal: event.Signal, ToGroup: event.ToGroup, ToTree: event.ToTree})
	if s.due.disarm(&p.due); !last && step.Wait != process.Forever {
		s.due.arm(&p.due, s.now.Mono+step.Wait)
	}
}

// escalate takes the next step of a stop that was not obeyed, or the first after the time to drain. The last one is taken again.
func (s *Supervisor) escalate(p *proc) {
	switch {
	case p.draining != 0:
		s.drained(p)
		return
	case p.killed:
		s.kill(p, true)
		return
	}
	p.stopStep = min(p.stopStep+1, len(p.spec.Steps())-1)
	s.takeStep(p)
}

// hurryAll carries out a Hurry.
func (s *Supervisor) hurryAll(do Hurry) *Fault {
	for _, t := range do.Targets {
		list, _, f := s.find(t)
		if f != nil {
			return f
		}
		for _, p := range list {
			s.hurry(p)
		}
	}
	return nil
}

// hurry skips what is left of a stop that is under way.
func (s *Supervisor) hurry(p *proc) {
	switch {
	case p.lastly:
		p.killed = true
		s.haltNow(p)
	case p.state == process.Stopping && p.unforked():
		s.untidy(p)
	case p.state != process.Stopping || p.killed:
	case p.pid != 0:
		s.undrain(p)
		s.kill(p, false)
	default:
		p.killed = true // as soon as it exists
	}
}

// leaveRunning makes a process STOPPING, if it is not.
func (s *Supervisor) leaveRunning(p *proc) {
	if p.state != process.Stopping {
		s.enter(p, process.Stopping, false)
		s.unready(p, AbnormalTermination)
	}
}

// kill sends SIGKILL, again and again until the process ends. late: it did not obey.
func (s *Supervisor) kill(p *proc, late bool) {
	event := KillSent{
		Group: p.group.name(), Name: p.name, PID: p.pid, Signal: process.SIGKILL, ToGroup: p.spec.KillAsGroup, ToTree: p.spec.Tree.Kill, Escalated: late,
	}
	p.killed = true
	s.publish(event)
	s.leaveRunning(p)
	s.send(p, sending{kind: sentKill}, Signal{Signal: event.Signal, ToGroup: event.ToGroup, ToTree: event.ToTree})
	s.due.arm(&p.due, s.now.Mono+max(seconds(p.spec.StopWaitSecs), killAgain))
}

// stopRefused takes the news that a stop signal or SIGKILL could not be sent.
func (s *Supervisor) stopRefused(p *proc, kind sentKind, text string) {
	fault := &Fault{Kind: Failed, Text: fmt.Sprintf("unknown problem killing %s (%d): %s", p.name, p.pid, text)}
	s.publish(SignalProblem{Group: p.group.name(), Name: p.name, PID: p.pid, Text: fault.Text})
	if s.opts.Quirks.UnknownOnSignalError { // compat: quirk C14
		if kind == sentStop {
			s.enter(p, process.Unknown, false)
			s.release(p, fault, forSignalled|forStopped)
			return
		}
		s.unknown(p)
		return
	}
	s.release(p, fault, forSignalled|forStopped)
	if kind == sentKill {
		// It may never end: who waits for it has to know, and a quit goes on without it.
		s.release(p, fault, forGone)
		if p.unstopped() {
			p.abandoned = true
			p.group.unstopped--
			s.shift()
		}
	}
}

// unknown gives a process up that cannot be signalled, as the reference does (quirk C14).
func (s *Supervisor) unknown(p *proc) {
	s.enter(p, process.Unknown, false)
	s.unready(p, AbnormalTermination)
	s.release(p, nil, forSignalled|forStopped)
}

// reportStop tells that a process is waited for, now and as long as someone waits.
func (s *Supervisor) reportStop(p *proc) {
	if p.state != process.Stopping || p.report.armed() || !p.awaited() {
		return
	}
	s.publish(WaitingToStop{Group: p.group.name(), Name: p.name})
	s.due.arm(&p.report, s.now.Mono+stopReport)
}
