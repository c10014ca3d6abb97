package core

import (
	"bytes"
	"slices"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// bootMost bounds the events that wait for a pool's first ready listener without counting against its buffer_size.
const bootMost = 10_000

// pool hands events to the processes of a listener group (contract: events, "Pools").
type pool struct {
	group  *group
	spec   *process.ListenerSpec
	wants  event.Set
	buffer []*queued // oldest first
	exempt int       // how many of them do not count
	serial uint64    // of the next event
	served bool      // a listener has got an event
}

// queued is one event on its way to the listeners of one pool.
type queued struct {
	typ                event.Type
	serial, poolSerial uint64
	payload            string
	render             func() string // makes the payload when it is needed for the first time; nil: it is there
	about              process.ID    // the process it is about, 0 = none
	exempt             bool          // it came while the pool was starting: it does not count against buffer_size (quirk F9)
}

// compose makes the payload if it is not there yet.
func (q *queued) compose() {
	if q.render != nil {
		q.payload, q.render = q.render(), nil
	}
}

// newPool makes the pool of a listener group and subscribes it.
func (s *Supervisor) newPool(g *group, spec *process.ListenerSpec) {
	g.pool = &pool{group: g, spec: spec, wants: subscriptionOf(spec)}
	s.pools = append(s.pools, g.pool)
	s.subscriptions()
}

func subscriptionOf(spec *process.ListenerSpec) event.Set {
	var to []event.Type
	for _, name := range spec.Events {
		if t, ok := event.Parse(name); ok {
			to = append(to, t)
		}
	}
	return event.Subscription(to...)
}

// dropPool ends the subscription of a pool. What it holds is lost with it.
func (s *Supervisor) dropPool(p *pool) {
	s.pools = slices.DeleteFunc(s.pools, func(o *pool) bool { return o == p })
	s.subscriptions()
}

// subscriptions works out what any pool wants.
func (s *Supervisor) subscriptions() {
	s.wanted = 0
	for _, p := range s.pools {
		s.wanted |= p.wants
	}
	s.keepTime()
}

// Wanted returns the types of events that some pool has subscribed to. Output of other types need not be handed in.
func (s *Supervisor) Wanted() event.Set { return s.wanted }

// EventSerial returns the number that the next event gets; a machine that follows this one goes on from there.
func (s *Supervisor) EventSerial() uint64 { return s.serial }

// notify gives an event to the pools that want it. It gets a serial only if there is one.
func (s *Supervisor) notify(t event.Type, about process.ID, payload string) {
	s.offer(queued{typ: t, about: about, payload: payload})
}

// offer gives copies of an event to the pools.
func (s *Supervisor) offer(what queued) {
	t := what.typ
	serial := s.serial
	s.serial = event.Next(s.serial)
	for _, p := range s.pools {
		if p.wants.Has(t) {
			q := what
			q.serial, q.poolSerial = serial, p.serial
			p.serial = event.Next(p.serial)
			q.exempt = !p.served && !s.opts.Quirks.BootOverflow && p.exempt < bootMost && !output.Has(t)
			s.buffer(p, &q, false)
			s.dispatch(p)
		}
	}
}

// output are the types whose payload can be large: they always count.
var output = event.Subscription(event.ProcessLog, event.ProcessCommunication, event.RemoteCommunication)

// buffer puts an event behind the others, or in front of them when a listener gave it back. In a full buffer the oldest makes room.
func (s *Supervisor) buffer(p *pool, q *queued, head bool) {
	if !q.exempt && len(p.buffer)-p.exempt >= p.spec.BufferSize {
		s.discardOldest(p)
	}
	if q.exempt {
		p.exempt++
	}
	if head {
		p.buffer = slices.Insert(p.buffer, 0, q)
		return
	}
	p.buffer = append(p.buffer, q)
}

// discardOldest throws away the oldest event that counts.
func (s *Supervisor) discardOldest(p *pool) {
	i := slices.IndexFunc(p.buffer, func(o *queued) bool { return !o.exempt })
	s.publish(EventDiscarded{Pool: p.group.name(), Serial: p.buffer[i].serial})
	p.buffer = slices.Delete(p.buffer, i, i+1)
}

// rebuffer puts an event back that was given to a listener or could not be given to one.
func (s *Supervisor) rebuffer(p *pool, q *queued) {
	s.publish(EventRebuffered{Pool: p.group.name(), Serial: q.serial, Size: len(p.buffer), Max: p.spec.BufferSize})
	s.buffer(p, q, true)
}

// dispatch gives the oldest events to the listeners that are ready, the first of the group first.
func (s *Supervisor) dispatch(p *pool) {
	sent := false
	for len(p.buffer) > 0 {
		i := slices.IndexFunc(p.group.members, (*proc).listens)
		if i < 0 {
			break
		}
		q := p.buffer[0]
		p.buffer[0] = nil
		p.buffer = p.buffer[1:]
		if q.exempt {
			q.exempt = false // if it comes back it counts
			p.exempt--
		}
		p.served, sent = true, true
		s.deliver(p, p.group.members[i], q)
	}
	if len(p.buffer) == 0 {
		p.buffer = nil
	} else if q := p.buffer[0]; sent {
		s.publish(EventRebuffered{Pool: p.group.name(), Serial: q.serial, Size: len(p.buffer) - 1, Max: p.spec.BufferSize})
	}
}

// listens reports whether a listener can be given an event.
func (p *proc) listens() bool {
	return p.state == process.Running && p.listener != nil && p.listener.State() == event.Ready && !p.deaf
}

// deliver writes an event to a listener.
func (s *Supervisor) deliver(p *pool, to *proc, q *queued) {
	h := event.Header{
		Server: s.opts.Identifier, Serial: q.serial, Pool: p.group.name(), PoolSerial: q.poolSerial, Type: q.typ, Bytes: p.spec.CountBytes,
	}
	q.compose()
	to.listener.Sent()
	to.holds = q
	write := WriteStdin{ID: to.id, Incarnation: to.incarnation, Data: h.Envelope(q.payload), Token: s.token(), Idle: true}
	s.ask(to, write, sending{kind: sentEvent, event: q})
	s.publish(EventSent{Name: to.name, Serial: q.serial})
}

// eventWritten takes the outcome of deliver. A listener that cannot be written to gets no more; its event goes to another.
func (s *Supervisor) eventWritten(p *proc, what sending, f *Fault) {
	if f == nil || s.procs[p.id] != p || p.incarnation != what.incarnation || p.holds != what.event {
		return
	}
	p.deaf = true
	p.listener.Unsent()
	s.publish(EventNotSent{Name: p.name, Serial: p.holds.serial, Full: f.Kind != NoFile})
	s.giveBack(p)
	s.dispatch(p.group.pool)
}

// giveBack takes the event from a listener that did not accept it.
func (s *Supervisor) giveBack(p *proc) {
	if q := p.holds; q != nil {
		p.holds = nil
		s.rebuffer(p.group.pool, q)
	}
}

// lost takes the event from a listener whose life is over.
func (s *Supervisor) lost(p *proc) {
	if p.holds != nil {
		s.giveBack(p)
		s.dispatch(p.group.pool)
	}
}

// listened takes output of a listener (contract: events, "Listener protocol").
func (s *Supervisor) listened(p *proc, data []byte) {
	if p.listener == nil {
		return
	}
	p.listener.Write(data)
	for {
		from := p.listener.State()
		sign, text := p.listener.Next()
		switch sign {
		case event.Nothing:
			s.dispatch(p.group.pool)
			return
		case event.BadLine:
			s.publish(BadResultLine{Name: p.name, Line: event.Text(text)})
			s.listenerChanged(p, from)
			s.giveBack(p)
		case event.Result:
			s.judge(p, text)
		default: // BecameReady, Broke
			s.listenerChanged(p, from)
		}
	}
}

func (s *Supervisor) listenerChanged(p *proc, from event.ListenerState) {
	s.publish(ListenerChanged{Name: p.name, From: from, To: p.listener.State()})
}

// judge hands what a listener answered to the group's result handler. What it had been given before it was found nobody knows: any answer will do.
func (s *Supervisor) judge(p *proc, answer []byte) {
	verdict := EventAccepted
	if p.holds != nil {
		verdict = s.verdict(p.group.pool.spec.ResultHandler, p.holds, answer)
	}
	s.publish(EventJudged{Name: p.name, Verdict: verdict})
	p.listener.Judge(verdict != EventFailed)
	s.listenerChanged(p, event.Busy)
	if verdict == EventAccepted {
		p.holds = nil
		return
	}
	s.giveBack(p)
}

// verdict is the result handlers: the default one accepts OK. The one of supervisor_twiddler and supervisor_grace also accepts STDIN: with what to
// write to the process that the event was about, and cannot do with events about none (contract: events, "stdin write handler").
func (s *Supervisor) verdict(handler string, q *queued, answer []byte) Verdict {
	data, write := bytes.CutPrefix(answer, []byte("STDIN:"))
	switch {
	case handler == process.ResultHandlerDefault || !write:
		if string(answer) == "OK" {
			return EventAccepted
		}
		return EventRejected
	case q.about == 0:
		return EventFailed
	}
	// A process that cannot take it any more is passed over in silence.
	if p := s.procs[q.about]; p != nil && p.pid != 0 && (p.state == process.Running || p.state == process.Starting) {
		s.ask(p, WriteStdin{ID: p.id, Incarnation: p.incarnation, Data: data, Token: s.token(), Idle: true}, sending{kind: sentAnswer})
	}
	return EventAccepted
}
