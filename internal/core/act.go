package core

import (
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// acting is the line of an Act: the steps that have not begun, stops before starts.
type acting struct {
	waiting []*step
	most    int  // that may be busy; 0 = all
	busy    int  // begun and not over
	stops   int  // not over: before they are, nothing starts
	now     bool // stops begin with SIGKILL
	again   bool // its starts follow its stops
	refused map[process.ID]*Fault
}

// Changes returns what an Act would do now: its steps, in their order. BadName for a target that names nothing.
func (s *Supervisor) Changes(do Act) ([]plan.Change, *Fault) {
	stops, starts, f := s.touched(do)
	changes := make([]plan.Change, 0, len(stops)+len(starts))
	for _, p := range stops {
		changes = append(changes, p.change(plan.StopProcess))
	}
	for _, p := range starts {
		changes = append(changes, p.change(plan.StartProcess))
	}
	return changes, f
}

func (p *proc) change(a plan.Action) plan.Change {
	return plan.Change{Action: a, Group: p.group.name(), Name: p.name}
}

// touched returns the processes that an Act stops and those that it starts, each once and in their order.
func (s *Supervisor) touched(do Act) (stops, starts []*proc, f *Fault) {
	named := map[*proc]bool{} // false: only by a target of several
	var list []*proc
	for _, t := range do.Targets {
		found, single, f := s.find(t)
		if f != nil {
			return nil, nil, f
		}
		for _, p := range found {
			if _, known := named[p]; !known {
				list = append(list, p)
			}
			named[p] = named[p] || single
		}
	}
	for _, p := range list {
		runs := p.state.IsRunning()
		if do.Stop && (named[p] || runs || p.restarting() || do.Now && p.state == process.Stopping) {
			stops = append(stops, p)
		}
		if do.Start && (named[p] || p.fate == stays && (do.Stop || !runs)) {
			starts = append(starts, p)
		}
	}
	sortDescending(stops)
	sortAscending(starts)
	return s.dependentsFirst(stops), s.dependenciesFirst(starts), nil
}

// act carries out an Act.
func (s *Supervisor) act(id Req, do Act) {
	stops, starts, f := s.touched(do)
	if f != nil {
		s.answer(id, f)
		return
	}
	a := &acting{most: do.AtOnce, stops: len(stops), now: do.Now, again: do.Stop && do.Start, refused: do.Refused}
	op := &operation{id: do.Op, request: s.open(id, false), acting: a}
	op.request.op, op.request.reply.Updated = op, []StepResult{}
	if op.id != 0 {
		s.ops[op.id] = op
	}
	started := make(map[*proc]*step, len(starts))
	for _, p := range starts {
		started[p] = op.newStep(p.group, p, p.change(plan.StartProcess))
	}
	for _, p := range stops {
		st := op.newStep(p.group, p, p.change(plan.StopProcess))
		if st.then = started[p]; st.then != nil {
			st.under = st.then.under
		}
		a.waiting = append(a.waiting, st)
	}
	for _, p := range starts {
		a.waiting = append(a.waiting, started[p])
	}
	stand(a.waiting)
	s.moved = append(s.moved, op)
	s.shut(op.request)
}

// advanceActs lets the operations go on that have moved. That is left for the end of a step of the machine: nothing is started then that the step
// is about to stop.
func (s *Supervisor) advanceActs() {
	for len(s.moved) > 0 {
		op := s.moved[0]
		s.moved = s.moved[1:]
		s.advanceAct(op)
	}
	s.moved = nil
}

// advanceAct begins what can begin.
func (s *Supervisor) advanceAct(op *operation) {
	a := op.acting
	for len(a.waiting) > 0 {
		st := a.waiting[0]
		starts := st.change.Action == plan.StartProcess
		ends := op.cancelled || s.quitting()
		if !ends && (op.paused || starts && a.stops > 0 || a.most > 0 && a.busy >= a.most || st.hinderedBy() != nil) {
			break
		}
		a.waiting = a.waiting[1:]
		st.waits = false
		a.busy++
		switch p := st.proc; {
		case op.cancelled:
			s.over(st, &Fault{Kind: Cancelled, Text: "cancelled before its turn"})
		case ends:
			s.over(st, &Fault{Kind: ShutdownState})
		case s.procs[p.id] != p: // someone has removed it
			s.over(st, &Fault{Kind: BadName, Text: p.namespec().String()})
		case starts:
			s.startAsked(st, a.refused[p.id])
		default:
			s.stopAsked(st)
		}
	}
}

// acted takes notice of a step that is over.
func (s *Supervisor) acted(st *step) {
	a := st.op.acting
	a.busy--
	if st.change.Action == plan.StopProcess {
		a.stops--
	}
	s.moved = append(s.moved, st.op)
}

// stopAsked begins the stop of a process. One that is on its way out is waited for.
func (s *Supervisor) stopAsked(st *step) {
	p := st.proc
	st.oldPID = p.pid
	p.hung = false
	switch {
	case p.state.IsRunning() || p.restarting():
		s.forgive(p)
		s.awaitEnd(st, false)
		p.killed = st.op.acting.now
		why := ReasonStop
		if st.then != nil {
			why = ReasonRestart
		}
		s.haltInTurn(p, why)
		s.reportStop(p)
	case p.abandoned:
		s.over(st, &Fault{Kind: Failed, Text: p.namespec().String() + " cannot be killed"})
	case p.state == process.Stopping:
		s.awaitEnd(st, false)
		s.reportStop(p)
	case p.fate != stays: // that is what was asked for
		s.over(st, nil)
	default:
		s.over(st, &Fault{Kind: NotRunning, Text: p.namespec().String()})
	}
}

// startAsked begins the start of a process.
func (s *Supervisor) startAsked(st *step, refused *Fault) {
	p := st.proc
	st.oldPID = p.pid
	if f := s.startFault(p, p.namespec().String(), refused); f != nil {
		s.over(st, f)
		return
	}
	if f := s.summon(p); f != nil {
		s.over(st, f)
		return
	}
	s.begun(st)
	s.forgive(p)
	why := ReasonStart
	if st.op.acting.again {
		why = ReasonRestart
	}
	s.launchFor(p, why)
	s.awaitStart(st)
}
