package core

import (
	"fmt"

	"github.com/graced/graced/internal/process"
)

// Reason says why a process is stopped, or why else a command runs.
type Reason string

// The reasons.
const (
	ReasonStop      Reason = "stop"       // somebody has asked for it
	ReasonRestart   Reason = "restart"    // likewise, and it starts again; or it starts again by itself
	ReasonUpdate    Reason = "update"     // it is replaced, or it or its group is not in the files any more
	ReasonScaleDown Reason = "scale-down" // its group goes on without it
	ReasonShutdown  Reason = "shutdown"   // everything is stopped
	ReasonReload    Reason = "reload"     // it is not: it reads its own configuration again
	ReasonStart     Reason = "start"      // it is not: it starts, since somebody or its group wants it
	ReasonExit      Reason = "exit"       // it is not: it has ended by itself
)

// hook is what a sending of a RunHook has besides: when it is late.
type hook struct {
	due  deadline
	late bool // it has been told to end
}

// runHook has a command run on behalf of a process, and returns the token of its end, which r waits for if it is not nil. It fills in of whom.
func (s *Supervisor) runHook(p *proc, e RunHook, r *request) Token {
	e.Token, e.ID, e.Group, e.Name, e.Spec = s.token(), p.id, p.group.name(), p.name, p.spec
	h := &hook{due: deadline{fire: actHook, token: e.Token}}
	s.ask(p, e, sending{kind: sentHook, hook: h, request: r})
	if e.Most != process.Forever {
		s.due.arm(&h.due, s.now.Mono+e.Most)
	}
	return e.Token
}

// tellBy has the command run by which a process is told something.
func (s *Supervisor) tellBy(p *proc, option string, tell process.TellSpec, why Reason, r *request) Token {
	return s.runHook(p, RunHook{PID: p.pid, Option: option, Command: tell.Command, Most: tell.Timeout, Reason: why}, r)
}

// endHook has a command ended that is not waited for any more.
func (s *Supervisor) endHook(t Token) {
	h := s.sent[t].hook
	s.due.disarm(&h.due)
	h.late = true
	s.emit(EndHook{t})
}

// hookLate ends a command that has not ended in its time.
func (s *Supervisor) hookLate(t Token) {
	what := s.sent[t]
	s.endHook(t)
	s.hookOver(t, what, fmt.Sprintf("did not end within %v", what.effect.(RunHook).Most))
}

// hookEnded takes the news that a command has ended.
func (s *Supervisor) hookEnded(in HookEnded) {
	what, ok := s.sent[in.Token]
	if !ok || what.hook == nil {
		s.unasked("HookEnded", in.Token)
		return
	}
	s.due.disarm(&what.hook.due)
	delete(s.sent, in.Token)
	if !what.hook.late { // else it has been told
		s.hookOver(in.Token, what, in.Text)
	}
}

// hookOver goes on with whatever waits for a command. A problem is only told, unless a start fails with it.
func (s *Supervisor) hookOver(t Token, what sending, problem string) {
	var f *Fault
	e, p := what.effect.(RunHook), what.proc
	if problem != "" && !e.failsStart() {
		s.publish(HookProblem{Group: e.Group, Name: e.Name, Option: e.Option, Text: problem})
		f = &Fault{Kind: Failed, Text: e.Option + " of " + process.Namespec{Group: e.Group, Process: e.Name}.String() + ": " + problem}
	}
	if r := what.request; r != nil {
		s.done(r, what.proc, f)
		s.lessOne(r)
	}
	switch {
	case s.procs[p.id] != p:
	case p.draining == t:
		s.stopHookOver(p, e)
	case p.hook == t:
		s.hookDone(p, what, problem)
	}
}

// refresh carries out a Refresh. Of several processes those are touched that run and can be told.
func (s *Supervisor) refresh(id Req, do Refresh) {
	list, r := s.openFor(id, do.Target, sortAscending)
	if r == nil {
		return
	}
	for _, p := range list {
		tell := p.spec.Reload
		runs := p.pid != 0 && (p.state == process.Starting || p.state == process.Running)
		switch {
		case r.single && !runs:
			s.done(r, p, &Fault{Kind: NotRunning, Text: do.Target.Text})
		case r.single && !tell.Wanted():
			s.done(r, p, &Fault{Kind: Failed, Text: do.Target.Text + " has neither reload_signal nor reload_command"})
		case !runs || !tell.Wanted():
		case tell.Signal != 0:
			r.left++
			s.send(p, sending{kind: sentWish, request: r}, Signal{Signal: tell.Signal})
		default:
			r.left++
			s.tellBy(p, "reload_command", tell, ReasonReload, r)
		}
	}
	s.shut(r)
}

// hooksRun reports whether a command runs that is still given its time.
func (s *Supervisor) hooksRun() bool {
	for _, what := range s.sent {
		if what.hook != nil && !what.hook.late {
			return true
		}
	}
	return false
}

// drain begins a stop: a process that has a way to be told gets the time to finish what it does before the first step.
func (s *Supervisor) drain(p *proc) {
	d := p.spec.Drain
	if p.killed || !d.Wanted() {
		s.sendStop(p)
		return
	}
	s.publish(DrainBegan{Group: p.group.name(), Name: p.name, PID: p.pid, Signal: d.Signal, Most: d.Timeout})
	s.leaveRunning(p)
	if d.Command != "" {
		p.draining = s.tellBy(p, "drain_command", d, p.reason, nil)
		return
	}
	s.send(p, sending{kind: sentDrain}, Signal{Signal: d.Signal})
	p.draining = s.lastToken
	if s.due.disarm(&p.due); d.Timeout != process.Forever {
		s.due.arm(&p.due, s.now.Mono+d.Timeout)
	}
}

// drained goes on with the stop.
func (s *Supervisor) drained(p *proc) {
	p.draining = 0
	s.sendStop(p)
}

// drainRefused takes the news that a drain signal could not be sent.
func (s *Supervisor) drainRefused(p *proc, text string) {
	s.publish(HookProblem{Group: p.group.name(), Name: p.name, Option: "drain_signal", Text: "cannot be sent: " + text})
	s.drained(p)
}

// undrain ends the time that a process has before the first step of its stop.
func (s *Supervisor) undrain(p *proc) {
	if p.draining != 0 && s.sent[p.draining].hook != nil {
		s.endHook(p.draining)
	}
	p.draining = 0
}

// surplus says why a surplus member goes.
func (p *proc) surplus() Reason {
	if p.group.ending {
		return ReasonUpdate
	}
	return ReasonScaleDown
}
