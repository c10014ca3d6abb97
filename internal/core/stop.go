package core

import (
	"fmt"

	"github.com/graced/graced/internal/process"
)

// stop carries out a Stop. Of several processes those that count as running are touched.
func (s *Supervisor) stop(id Req, do Stop) {
	list, single, f := s.find(do.Target)
	if f != nil {
		s.answer(id, f)
		return
	}
	if s.opts.StopAscending { // compat: quirk C5
		sortAscending(list)
	} else {
		sortDescending(list)
	}
	r := s.open(id, single)
	for _, p := range list {
		text := do.Target.Text
		if !single {
			if !p.state.IsRunning() && !p.restarting() {
				continue
			}
			text = p.namespec().String()
		}
		s.stopOne(r, p, text, do.Wait)
	}
	s.shut(r)
}

// restarting reports whether the process is EXITED only until its next start is due.
func (p *proc) restarting() bool { return p.state == process.Exited && (p.due.armed() || p.held) }

// stopOne stops one process by request. A leaving process may have been stopped, or be stopping, by someone else's wish: then that is what
// was asked for.
func (s *Supervisor) stopOne(r *request, p *proc, text string, wait bool) {
	what := forSignalled
	switch {
	case p.state.IsRunning() || p.restarting():
		s.forgive(p)
		s.halt(p)
		if wait {
			what = forStopped
		}
	case p.fate != stays:
		what = forStopped
	default:
		p.again = false
		s.done(r, p, &Fault{Kind: NotRunning, Text: text})
		return
	}
	if p.state.IsStopped() {
		s.done(r, p, nil)
		return
	}
	s.await(r, p, waiter{what: what, text: text})
	s.reportStop(p)
}

// halt begins the stop of a process that counts as running, or ends the wait for its next start.
func (s *Supervisor) halt(p *proc) {
	switch p.state {
	case process.Backoff, process.Exited:
		s.stopped(p, nil)
	case process.Starting, process.Running:
		if p.pid != 0 {
			s.sendStop(p)
			return
		}
		// The process does not exist yet: the signal follows when it does.
		s.enter(p, process.Stopping, false)
		s.unready(p, AbnormalTermination)
	default:
		s.unforeseen(p, "stop")
	}
}

// sendStop sends the stop signal and gives the process stopwaitsecs to obey.
func (s *Supervisor) sendStop(p *proc) {
	event := KillSent{
		Group: p.group.name(), Name: p.name, PID: p.pid, Signal: p.spec.StopSignal, ToGroup: p.spec.StopAsGroup, ToTree: p.spec.Tree.Stop,
	}
	s.publish(event)
	if p.state != process.Stopping {
		s.enter(p, process.Stopping, false)
		s.unready(p, AbnormalTermination)
	}
	s.send(p, sending{kind: sentStop}, Signal{Signal: event.Signal, ToGroup: event.ToGroup, ToTree: event.ToTree})
	s.due.arm(&p.due, s.now.Mono+seconds(p.spec.StopWaitSecs))
}

// kill sends SIGKILL to a process that did not obey, again and again until it ends.
func (s *Supervisor) kill(p *proc) {
	event := KillSent{
		Group: p.group.name(), Name: p.name, PID: p.pid, Signal: process.SIGKILL, ToGroup: p.spec.KillAsGroup, ToTree: p.spec.Tree.Kill, Escalated: true,
	}
	s.publish(event)
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
