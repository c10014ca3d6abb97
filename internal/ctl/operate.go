package ctl

import (
	"context"
	"slices"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// operate is the verb for start, stop and restart: an operation of the daemon, which goes on when nobody watches it. A daemon that knows no such
// thing is asked as Supervisor's client does.
func (s *Session) operate(ctx context.Context, server Proxy, c *call, steps ...act) (format.Answer, error) {
	units, err := s.chosen(ctx, server, c, c.words)
	if fault(err) == control.ShutdownState && c.now && !c.dryRun && c.verb == control.ActStop {
		return s.hurry(ctx, server, c)
	}
	if err != nil {
		return nil, err
	}
	if c.dryRun || len(units) == 0 {
		return s.actOnUnits(ctx, server, c, units, steps...)
	}
	op, err := server.Act(ctx, control.ActRequest{Verb: c.verb, Names: namesOf(units), AtOnce: c.parallel, Now: c.now})
	switch {
	case fault(err) == control.UnknownMethod && c.now:
		return nil, &format.Problem{Code: "E306", Title: "the daemon cannot do this", Detail: "the daemon at " + s.ServerURL + " is no graced: it knows no --now",
			Hint: s.Program + " signal KILL " + strings.Join(c.words, " ") + " comes near it"}
	case fault(err) == control.UnknownMethod:
		return s.actOnUnits(ctx, server, c, units, steps...)
	case err != nil:
		return nil, err
	}
	a := &resultsAnswer{Verb: c.verb, Results: []resultRecord{}}
	out := newInOrder(units, steps, func(r resultRecord) { a.add(r); c.Show(r) })
	waiting := [2]string{}
	last, left, err := s.untilOver(ctx, server, op, func(op control.Operation) {
		if behind := [2]string{op.Behind, string(op.BehindState)}; behind != waiting {
			if waiting = behind; op.Behind != "" && c.Form == format.Text {
				s.complain("note: waits for " + s.described(ctx, server, op))
			}
		}
		for _, e := range op.Events {
			if e.Type == "end" {
				out.put(e.Action, resultOf(e, steps))
			}
		}
	})
	out.flush()
	if last.State != control.OperationNothing {
		a.Operation = last.ID
	}
	a.Left = left
	if err == nil && left == "" && c.verb == control.ActStop && last.State != control.OperationNothing {
		a.Dependents = s.previewAct(ctx, server, c.verb, units).Dependents
		if note := dependentsNote(a.Dependents, false); note != "" && c.Form == format.Text {
			s.complain(note)
		}
	}
	switch {
	case err != nil:
		return a, s.outOfSight(err, op.ID, c)
	case left == leftTimeout:
		return a, &format.Problem{Code: "E307", Title: "not done in time", Detail: c.verb + " was not done within " + c.timeout.String(),
			Hint: "it goes on as " + op.ID + ": " + s.Program + " attach " + op.ID, Exit: exitGivenUp}
	case last.State == control.OperationCancelled && a.Summary.Failed == 0, last.State == control.OperationFailed && a.Summary.Failed == 0:
		return a, &format.Problem{Code: "E300", Title: "the operation ended early", Detail: strings.TrimSuffix(op.ID+" "+string(last.State)+": "+last.Text, ": ")}
	}
	return a, nil
}

// hurry asks a daemon that shuts down, and tells nobody of its processes, to wait no longer for them.
func (s *Session) hurry(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if c.states != nil {
		return nil, c.misused("the daemon is shutting down and tells no states: name processes, group:* or all")
	}
	_, err := server.Act(ctx, control.ActRequest{Verb: c.verb, Names: c.words, Now: true})
	if fault(err) == control.BadName {
		return nil, &format.Problem{Code: "E310", Title: "no such process", Detail: "no process " + quote(detail(err)),
			Hint: "the daemon is shutting down and knows full names, group:* and all alone"}
	}
	if err != nil {
		return nil, err
	}
	return &doneAnswer{Verb: c.verb, Done: "hurried", text: "the daemon is shutting down: SIGKILL to what stops by now of " + strings.Join(c.words, " ")}, nil
}

// namesOf are the names of what is meant, as an ActRequest takes them.
func namesOf(units []unit) []string {
	var names []string
	for _, u := range units {
		switch {
		case u.whole == nil:
			for _, p := range u.members {
				names = append(names, fullName(p))
			}
		case u.whole.All:
			names = append(names, "all")
		default:
			names = append(names, u.whole.Name+":*")
		}
	}
	return names
}

// described names the operation that another one waits for, what it is, whose, and how it stands.
func (s *Session) described(ctx context.Context, server Proxy, op control.Operation) string {
	first, err := server.Operation(ctx, op.Behind, -1)
	if err != nil { // it may be over and forgotten
		return behindText(op)
	}
	text := op.Behind + " (" + strings.TrimSuffix(first.Kind+" by "+first.Who, " by ")
	if op.BehindState != "" {
		text += ", " + stateWord(op.BehindState)
	}
	return text + ")"
}

// behindText names the operation that another one waits for, and how it stands.
func behindText(op control.Operation) string {
	if op.BehindState == "" { // of a daemon that does not say so
		return op.Behind
	}
	return op.Behind + " (" + stateWord(op.BehindState) + ")"
}

// resultOf is what an event of an operation says of a process.
func resultOf(e control.ProgressLine, steps []act) resultRecord {
	group, name, _ := strings.Cut(e.Process, ":")
	code := control.Success
	switch {
	case e.FaultCode != 0:
		code = e.FaultCode
	case e.Error != "":
		code = control.Failed
	}
	i := slices.IndexFunc(steps, func(v act) bool { return v.verb == e.Action })
	return steps[max(i, 0)].record(group, name, code, e.Error)
}

// inOrder brings records into the order of what was asked for, and shows each as soon as those before it are there.
type inOrder struct {
	places []string                 // the keys of the records that are expected, in their order
	got    map[string]*resultRecord // with a key for each that is expected; nil = it is not there yet
	others []resultRecord           // that are not expected
	show   func(resultRecord)
}

// newInOrder expects one record for each step and process, but for those of a group or of everything for whom there is nothing to do: they have none.
func newInOrder(units []unit, steps []act, show func(resultRecord)) *inOrder {
	o := &inOrder{got: map[string]*resultRecord{}, show: show}
	for _, v := range steps {
		for _, u := range units {
			for _, p := range u.members {
				if u.whole == nil || v.verb == control.ActStop == p.State.IsRunning() || len(steps) > 1 && v.verb == control.ActStart {
					key := v.verb + " " + fullName(p)
					o.places, o.got[key] = append(o.places, key), nil
				}
			}
		}
	}
	return o
}

func (o *inOrder) put(verb string, r resultRecord) {
	key := verb + " " + r.ID
	if _, expected := o.got[key]; !expected {
		o.others = append(o.others, r)
		return
	}
	o.got[key] = &r
	for len(o.places) > 0 && o.got[o.places[0]] != nil {
		o.show(*o.got[o.places[0]])
		o.places = o.places[1:]
	}
}

// flush shows the rest.
func (o *inOrder) flush() {
	for _, key := range o.places {
		if r := o.got[key]; r != nil {
			o.show(*r)
		}
	}
	for _, r := range o.others {
		o.show(r)
	}
	o.places, o.others = nil, nil
}
