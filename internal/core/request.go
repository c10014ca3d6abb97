package core

import (
	"maps"
	"slices"

	"github.com/graced/graced/internal/process"
)

// request is a command on its way to its answer: it waits for a number of processes.
type request struct {
	reply  Reply
	single bool       // about one process: the answer is its fault or none
	left   int        // outcomes that are missing, plus one while the command is being carried out
	op     *operation // that the request is about; nil = none
}

// waiter is the interest of a request in what becomes of one process.
type waiter struct {
	request *request
	what    waitFor
	text    string // the name in a fault
	stopped bool   // with forGone: the process had to be stopped
	step    *step  // of an update: it goes on with the news, instead of a request; nil = a request waits
}

// waitFor is a set of things to wait for.
type waitFor int

const (
	forForked    waitFor = 1 << iota // the outcome of a spawn
	forRunning                       // RUNNING, or what came instead
	forReady                         // RUNNING and ready, or what came instead
	forUnready                       // the end of that
	forSignalled                     // the outcome of the stop signal
	forStopped                       // the end of the process
	forGone                          // the removal of the process
)

// open begins a command. The caller ends it with shut, after all its outcomes have been announced with await or done.
func (s *Supervisor) open(id Req, single bool) *request {
	r := &request{reply: Reply{Req: id}, single: single, left: 1}
	if id != 0 {
		s.requests[id] = r
	}
	return r
}

// openFor begins a command about a target, whose processes it returns in their order. When there is no such target that is answered, and the request
// is nil.
func (s *Supervisor) openFor(id Req, t Target, order func([]*proc)) ([]*proc, *request) {
	list, single, f := s.find(t)
	if f != nil {
		s.answer(id, f)
		return nil, nil
	}
	order(list)
	return list, s.open(id, single)
}

// shut ends the beginning of a command: from now on it is answered once nothing is missing.
func (s *Supervisor) shut(r *request) { s.lessOne(r) }

// await makes a request wait for a process.
func (s *Supervisor) await(r *request, p *proc, w waiter) {
	r.left++
	w.request = r
	p.waiters = append(p.waiters, w)
}

// done notes the outcome for one process.
func (s *Supervisor) done(r *request, p *proc, f *Fault) {
	if r.single {
		r.reply.Fault = f
		return
	}
	r.reply.Outcomes = append(r.reply.Outcomes, Outcome{Group: p.group.name(), Name: p.name, Fault: f})
}

// lessOne notes that one thing less is missing and answers when nothing is.
func (s *Supervisor) lessOne(r *request) {
	r.left--
	if r.left > 0 {
		return
	}
	if r.op != nil {
		delete(s.ops, r.op.id)
	}
	if r.reply.Req == 0 {
		return
	}
	delete(s.requests, r.reply.Req)
	if a := r.reply.Applied; a != nil {
		slices.SortFunc(a.Added, process.CompareNatural)
		slices.SortFunc(a.Stopped, process.CompareNatural)
		slices.SortFunc(a.Removed, process.CompareNatural)
	}
	s.emit(r.reply)
	r.reply.Req = 0
}

// answer answers a command that waits for nothing.
func (s *Supervisor) answer(id Req, f *Fault) {
	if id != 0 {
		s.emit(Reply{Req: id, Fault: f})
	}
}

// cancel forgets who waits; the request itself runs on without an answer.
func (s *Supervisor) cancel(id Req) {
	if r := s.requests[id]; r != nil {
		delete(s.requests, id)
		r.reply.Req = 0
	}
}

// abandonRequests answers everything that still waits, in the order of the request numbers.
func (s *Supervisor) abandonRequests() {
	for _, id := range slices.Sorted(maps.Keys(s.requests)) {
		r := s.requests[id]
		r.reply.Fault = &Fault{Kind: ShutdownState}
		r.left = 1
		s.lessOne(r)
	}
}

// release gives the waiters of the named kinds their outcome, in the order in which they came.
func (s *Supervisor) release(p *proc, f *Fault, what waitFor) {
	s.releaseWith(p, what, func(waiter) *Fault { return f })
}

// releaseAs does the same with a fault that carries the name which each waiter used.
func (s *Supervisor) releaseAs(p *proc, kind FaultKind, what waitFor) {
	s.releaseWith(p, what, func(w waiter) *Fault { return &Fault{Kind: kind, Text: w.text} })
}

func (s *Supervisor) releaseWith(p *proc, what waitFor, fault func(waiter) *Fault) {
	kept := p.waiters[:0]
	type news struct {
		step  *step
		fault *Fault
	}
	var steps []news // they may wait for the next thing: after the list is whole again
	for _, w := range p.waiters {
		if w.what&what == 0 {
			kept = append(kept, w)
			continue
		}
		if w.step != nil {
			steps = append(steps, news{w.step, fault(w)})
			continue
		}
		if w.what == forGone {
			noteGone(w, p, fault(w))
		} else {
			s.done(w.request, p, fault(w))
		}
		s.lessOne(w.request)
	}
	clear(p.waiters[len(kept):])
	p.waiters = kept
	for _, n := range steps {
		s.stepped(n.step, n.fault)
	}
}

// noteGone notes what became of a surplus member.
func noteGone(w waiter, p *proc, f *Fault) {
	a := w.request.reply.Applied
	if f != nil {
		a.Failed = append(a.Failed, Outcome{Group: p.group.name(), Name: p.name, Fault: f})
		return
	}
	if w.stopped {
		a.Stopped = append(a.Stopped, p.name)
	}
	a.Removed = append(a.Removed, p.name)
}

// awaited reports whether a command waits for the process to end.
func (p *proc) awaited() bool {
	return slices.ContainsFunc(p.waiters, func(w waiter) bool {
		return w.what&(forStopped|forGone) != 0 && (w.step != nil || w.request.reply.Req != 0)
	})
}
