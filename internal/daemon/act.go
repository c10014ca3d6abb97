package daemon

import (
	"context"
	"strconv"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
)

// Act implements control.Change.
func (d *Daemon) Act(ctx context.Context, req control.ActRequest) (control.Operation, error) {
	if req.Rolling {
		return d.rollingRestart(ctx, req)
	}
	if req.Roll != nil {
		return control.Operation{}, control.Fault(control.IncorrectParameters, "roll: only with rolling")
	}
	op := d.operations.add(req.Verb, req.Who, d.opts.Wall())
	return d.launch(ctx, op, asked{Act: &req})
}

// beginActs begins a start, stop or restart.
func (d *Daemon) beginActs(op *operation, do core.Act) (done <-chan core.Reply, wait <-chan struct{}, err error) {
	if do.Start {
		v, err := d.current(d.life)
		if err != nil {
			return nil, nil, err
		}
		do.Refused = d.refused(v, do.Targets)
	}
	return d.beginAct(op, do)
}

// actOf translates a request.
func actOf(req control.ActRequest) (core.Act, error) {
	do := core.Act{AtOnce: req.AtOnce, Stop: req.Verb != control.ActStart, Now: req.Now, Start: req.Verb != control.ActStop}
	switch req.Verb {
	case control.ActStart, control.ActStop, control.ActRestart:
	default:
		return do, control.Fault(control.IncorrectParameters, "verb "+strconv.Quote(req.Verb)+" is none of start, stop, restart")
	}
	switch {
	case len(req.Names) == 0:
		return do, control.Fault(control.IncorrectParameters, "no names")
	case req.Now && !do.Stop:
		return do, control.Fault(control.IncorrectParameters, "now is for stop and restart")
	case req.AtOnce < 0:
		return do, control.Fault(control.IncorrectParameters, "at_once is negative")
	}
	for _, name := range req.Names {
		do.Targets = append(do.Targets, coreTarget(control.Target{Name: name, All: name == "all"}))
	}
	return do, nil
}

// beginAct begins a start, stop or restart in one turn of the loop; see begin.
func (d *Daemon) beginAct(op *operation, do core.Act) (done <-chan core.Reply, wait <-chan struct{}, err error) {
	ok := d.do(d.life, func(now core.Now) {
		_, quitting := d.loop.core.Quitting()
		if quitting && !do.Now {
			err = control.Fault(control.ShutdownState, "")
			return
		}
		changes, fault := d.loop.core.Changes(do)
		if fault != nil {
			err = faultError(fault)
			return
		}
		if do.Now {
			d.step(now, core.Command{Do: core.Hurry{Targets: do.Targets}})
			changes, _ = d.loop.core.Changes(do) // it knows the names
		}
		if quitting {
			return
		}
		if by, blocked := d.loop.core.Blocked(do); blocked {
			wait = d.waitBehind(op, by.Op)
			return
		}
		if len(changes) == 0 {
			return
		}
		if err = d.beginSteps(op, "", len(changes)); err != nil {
			return
		}
		reply := make(chan core.Reply, 1)
		d.command(now, wish{command: do, reply: reply})
		done = reply
	})
	if !ok {
		return nil, nil, control.Fault(control.ShutdownState, "")
	}
	return done, wait, err
}
