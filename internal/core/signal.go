package core

import (
	"fmt"

	"github.com/graced/graced/internal/process"
)

// sending is something asked of the world whose outcome is not known yet.
type sending struct {
	kind        sentKind
	effect      Effect // as it was emitted: what Pending repeats
	proc        *proc
	incarnation process.Incarnation
	request     *request // with sentWish and sentInput
	event       *queued  // with sentEvent
	hook        *hook    // with sentHook
	text        string   // with sentInput: the process as the caller named it
}

// sentKind says on whose behalf something was sent.
type sentKind int

const (
	sentSpawn  sentKind = iota // a new life
	sentStop                   // the stop signal
	sentKill                   // SIGKILL after it
	sentWish                   // a signal by command
	sentInput                  // data for the standard input
	sentEvent                  // an event to a listener
	sentAnswer                 // what a listener wants a process to read
	sentDrain                  // the signal before the stop
	sentHook                   // a command
)

// signalWish is a signal by command.
type signalWish struct {
	request *request
	signal  process.Signal
	text    string
}

// token gives a token to what is asked next.
func (s *Supervisor) token() Token {
	s.lastToken++
	return s.lastToken
}

// ask emits an effect about a process and keeps it, under the last token, until its outcome is known.
func (s *Supervisor) ask(p *proc, e Effect, what sending) {
	what.effect, what.proc, what.incarnation = e, p, p.incarnation
	s.sent[s.lastToken] = what
	s.emit(e)
}

// send sends a signal, of which it fills in to whom.
func (s *Supervisor) send(p *proc, what sending, sig Signal) {
	if what.kind == sentWish {
		s.publish(SignalSent{Group: p.group.name(), Name: p.name, PID: p.pid, Signal: sig.Signal})
	}
	sig.ID, sig.Incarnation, sig.PID, sig.Token = p.id, p.incarnation, p.pid, s.token()
	s.ask(p, sig, what)
}

// sendSignal carries out a SendSignal. Of several processes those that can be signalled are touched.
func (s *Supervisor) sendSignal(id Req, do SendSignal) {
	list, r := s.openFor(id, do.Target, sortAscending)
	if r == nil {
		return
	}
	for _, p := range list {
		wish := signalWish{request: r, signal: do.Signal, text: do.Target.Text}
		if !r.single {
			wish.text = p.namespec().String()
		}
		switch {
		case do.Refused != nil && (r.single || p.state.IsSignallable()):
			s.done(r, p, do.Refused)
		case !p.state.IsSignallable() || p.state == process.Stopping && p.unforked():
			if r.single {
				s.done(r, p, &Fault{Kind: NotRunning, Text: wish.text})
			}
		case p.pid == 0:
			r.left++
			p.unsent = append(p.unsent, wish)
		default:
			r.left++
			s.send(p, sending{kind: sentWish, request: r}, Signal{Signal: do.Signal})
		}
	}
	s.shut(r)
}

// sendUnsent sends the signals that were asked for before the process existed.
func (s *Supervisor) sendUnsent(p *proc) {
	for _, w := range p.unsent {
		s.send(p, sending{kind: sentWish, request: w.request}, Signal{Signal: w.signal})
	}
	p.unsent = nil
}

// refuseUnsent answers them when it never will.
func (s *Supervisor) refuseUnsent(p *proc) {
	for _, w := range p.unsent {
		s.done(w.request, p, &Fault{Kind: NotRunning, Text: w.text})
		s.lessOne(w.request)
	}
	p.unsent = nil
}

// signalled takes the outcome of a Signal effect. That of an earlier life only answers who asked for it.
func (s *Supervisor) signalled(in Signalled) {
	what, ok := s.sent[in.Token]
	sent, isSignal := what.effect.(Signal)
	if !ok || !isSignal {
		s.unasked("Signalled", in.Token)
		return
	}
	delete(s.sent, in.Token)
	p := what.proc
	current := s.procs[p.id] == p && p.incarnation == what.incarnation && p.pid != 0
	switch {
	case what.kind == sentWish:
		s.wishSent(p, what, sent.Signal, current, in.Error)
	case !current:
	case what.kind == sentDrain:
		if in.Error != "" && p.draining == in.Token {
			s.drainRefused(p, in.Error)
		}
	case in.Error == "":
		s.release(p, nil, forSignalled)
	case p.state == process.Stopping:
		s.stopRefused(p, what.kind, in.Error)
	}
}

// wishSent answers a signal by command.
func (s *Supervisor) wishSent(p *proc, what sending, sig process.Signal, current bool, problem string) {
	var fault *Fault
	if problem != "" && current {
		fault = &Fault{Kind: Failed, Text: fmt.Sprintf("unknown problem sending sig %v (%d): %s", sig, p.pid, problem)}
		s.publish(SignalProblem{Group: p.group.name(), Name: p.name, PID: p.pid, Text: fault.Text})
		if s.opts.Quirks.UnknownOnSignalError && p.state != process.Unknown {
			s.unknown(p)
		}
	}
	s.done(what.request, p, fault)
	s.lessOne(what.request)
}

// writeInput carries out a WriteInput.
func (s *Supervisor) writeInput(id Req, do WriteInput) {
	list, single, f := s.find(do.Target)
	switch {
	case f != nil:
		s.answer(id, f)
		return
	case !single:
		s.answer(id, &Fault{Kind: BadName, Text: do.Target.Text})
		return
	}
	p := list[0]
	if p.pid == 0 || p.state != process.Starting && p.state != process.Running {
		s.answer(id, &Fault{Kind: NotRunning, Text: do.Target.Text})
		return
	}
	r := s.open(id, true)
	s.ask(p, WriteStdin{ID: p.id, Incarnation: p.incarnation, Data: do.Data, Token: s.token()}, sending{kind: sentInput, request: r, text: do.Target.Text})
}

// stdinWritten takes the outcome of a WriteStdin effect.
func (s *Supervisor) stdinWritten(in StdinWritten) {
	what, ok := s.sent[in.Token]
	if _, isWrite := what.effect.(WriteStdin); !ok || !isWrite {
		s.unasked("StdinWritten", in.Token)
		return
	}
	delete(s.sent, in.Token)
	fault := in.Fault
	switch what.kind {
	case sentEvent:
		s.eventWritten(what.proc, what, fault)
		return
	case sentAnswer:
		return
	}
	if fault != nil && fault.Text == "" {
		fault = &Fault{Kind: fault.Kind, Text: what.text}
	}
	s.done(what.request, what.proc, fault)
	s.lessOne(what.request)
}

// unasked reports the outcome of something that was never asked for.
func (s *Supervisor) unasked(input string, t Token) {
	if s.opts.Strict {
		panic(fmt.Sprintf("core: %s for unknown token %d", input, t))
	}
	s.publish(Ignored{Input: input})
}
