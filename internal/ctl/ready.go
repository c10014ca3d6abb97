package ctl

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
)

// relook is how often processes that are waited for are looked at; missesMost is how many looks in a row may fail, while one daemon follows another.
const (
	relook     = 100 * time.Millisecond
	missesMost = 20
)

// waitReady waits until all processes that the words mean are ready at the same time. It ends early when one of them does not run and nothing is about to
// start it. What the words mean is found out anew each time: a group may have grown. A daemon that dies under the first look is waited for too; one
// that is not there is not.
func (s *Session) waitReady(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) == 0 {
		return nil, c.misused("--ready: which processes? Names, group:*, a pattern, /regular expression/ or all")
	}
	var last readiness
	tick := time.NewTicker(relook)
	defer tick.Stop()
	for misses := 0; ; {
		now, err := s.lookReady(ctx, server, c)
		var known *format.Problem
		switch {
		case ctx.Err() != nil:
			return s.waitedInVain(ctx, c, last)
		case err != nil && (last.records == nil && !hungUp(err) || misses == missesMost || errors.As(err, &known)):
			return nil, err
		case err != nil:
			misses++
		case now.ready == len(now.records) || now.hopeless:
			return now.answer(c), nil
		default:
			misses, last = 0, now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s.waitedInVain(ctx, c, last)
		}
	}
}

// readiness is what one look at processes has found.
type readiness struct {
	records  []resultRecord
	ready    int
	hopeless bool // one of them does not run, and nothing will start it
}

func (r readiness) answer(c *call) *resultsAnswer {
	a := &resultsAnswer{Verb: c.verb, Results: []resultRecord{}}
	for _, one := range r.records {
		a.add(one)
		c.Show(one)
	}
	return a
}

// waitedInVain is the answer when the time is over, or Ctrl-C has come.
func (s *Session) waitedInVain(ctx context.Context, c *call, last readiness) (format.Answer, error) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, ctx.Err()
	}
	p := &format.Problem{Code: "E307", Title: "not done in time", Detail: "not ready within " + c.timeout.String(), Hint: s.Program + " status tells more", Exit: exitGivenUp}
	if last.records == nil {
		return nil, p
	}
	a := last.answer(c)
	a.Left = leftTimeout
	return a, p
}

// lookReady looks at the processes once.
func (s *Session) lookReady(ctx context.Context, server Proxy, c *call) (readiness, error) {
	var r readiness
	busy, err := underWay(ctx, server) // first: one that ends now has started what it was to start by the time of the next question
	if err != nil {
		return r, err
	}
	standing, err := server.Standing(ctx)
	ours := fault(err) != control.UnknownMethod
	if err != nil && ours {
		return r, err
	}
	all, err := server.Processes(ctx)
	if err != nil {
		return r, err
	}
	units, err := s.pick(c, c.words, all)
	if err != nil {
		return r, err
	}
	for _, p := range members(units) {
		idle := p.State.IsStopped() && slices.Contains(standing.Idle, fullName(p)) // it may have been started between the two questions
		if !ours {                                                                 // what has EXITED may be started again at any moment
			idle = p.State == process.Fatal || p.State == process.Stopped
		}
		found, asked := standing.Readiness[fullName(p)]
		one := resultRecord{ID: fullName(p), Group: p.Group, Proc: p.Name}
		short := namespec(p.Group, p.Name) + ": "
		switch {
		case p.State == process.Running && (found.Ready || !asked):
			r.ready++
			one.OK, one.Result, one.line = true, "ready", short+"ready"
		case idle && !busy:
			r.hopeless = true
			one.Result, one.Error = "failed", failureOf(idleFault(p), noteOf(p))
			one.line = short + "ERROR (" + p.State.String() + ", nothing starts it: " + noteOf(p) + ")"
		default:
			one.Result, one.line = "not_ready", short+"not ready ("+p.State.String()+behindComma(found.Text)+")"
		}
		r.records = append(r.records, one)
	}
	return r, nil
}

// idleFault is what a start would have ended with that leads to where a process is.
func idleFault(p control.ProcessInfo) control.Code {
	if p.State == process.Fatal {
		return control.SpawnError
	}
	return control.NotRunning
}

// underWay reports whether an operation is under way, or waits for its turn: it may start what does not run. One that is paused waits for people.
func underWay(ctx context.Context, server Proxy) (bool, error) {
	list, err := server.Operations(ctx)
	if err != nil && fault(err) != control.UnknownMethod {
		return false, err
	}
	return slices.ContainsFunc(list, func(op control.Operation) bool { return !op.State.Over() && op.State != control.OperationPaused }), nil
}
