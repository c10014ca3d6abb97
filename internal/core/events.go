package core

import (
	"time"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// stateTypes maps the states to their events.
var stateTypes = map[process.State]event.Type{
	process.Stopped: event.ProcessStateStopped, process.Starting: event.ProcessStateStarting, process.Running: event.ProcessStateRunning,
	process.Backoff: event.ProcessStateBackoff, process.Stopping: event.ProcessStateStopping, process.Exited: event.ProcessStateExited,
	process.Fatal: event.ProcessStateFatal, process.Unknown: event.ProcessStateUnknown,
}

// notifyState tells listeners of a transition.
func (s *Supervisor) notifyState(c StateChanged) {
	if s.wanted == 0 {
		return
	}
	t := stateTypes[c.To]
	if !s.wanted.Has(t) {
		return
	}
	about, from := event.Process{Group: c.Group, Name: c.Name}, c.From.String()
	var payload string
	switch c.To {
	case process.Starting, process.Backoff:
		payload = event.TriesPayload(about, from, c.Tries)
	case process.Exited:
		payload = event.ExitedPayload(about, from, c.Expected, c.PID)
	case process.Running, process.Stopping, process.Stopped:
		payload = event.StatePayload(about, from, c.PID)
	default:
		payload = event.BarePayload(about, from)
	}
	s.notify(t, c.ID, payload)
}

// notifyGroup tells listeners of a group that came or went.
func (s *Supervisor) notifyGroup(t event.Type, name string) {
	if s.wanted.Has(t) {
		s.notify(t, 0, event.GroupPayload(name))
	}
}

// notifyDaemon tells listeners that the daemon runs or is about to stop.
func (s *Supervisor) notifyDaemon(t event.Type) {
	if s.wanted.Has(t) {
		s.notify(t, 0, "")
	}
}

// spoke tells listeners what a process wrote.
func (s *Supervisor) spoke(p *proc, in Output) {
	t := event.ProcessLogStdout
	switch {
	case in.Captured && in.Stderr:
		t = event.ProcessCommunicationStderr
	case in.Captured:
		t = event.ProcessCommunicationStdout
	case in.Stderr:
		t = event.ProcessLogStderr
	}
	if !s.wanted.Has(t) {
		return
	}
	about, channel := event.Process{Group: p.group.name(), Name: p.name}, "stdout"
	if in.Stderr {
		channel = "stderr"
	}
	pid := p.pid
	// Of a flood most events are thrown away unread: only what is told is composed.
	s.offer(queued{typ: t, about: p.id, render: func() string {
		if in.Captured {
			return event.CommunicationPayload(about, pid, in.Data)
		}
		return event.LogPayload(about, pid, channel, in.Data)
	}})
}

// clock is what the tick events need. Slices and bounds are seconds since the epoch.
type clock struct {
	running     bool
	slices      []int64 // the time slice of each tick type that was announced last
	from, until int64   // no tick is due while the wall clock is in here: from <= now < until
	due         deadline
}

// ticks is the set of all tick events.
var ticks = event.Subscription(event.Tick)

// clockLook is the longest time between two looks at the wall clock, in seconds: it may be set while nothing happens.
const clockLook = 60

// keepTime starts and stops the clock with the first and last pool that wants ticks.
func (s *Supervisor) keepTime() {
	c := &s.clock
	switch wanted := s.wanted.Overlaps(ticks); {
	case wanted && !c.running:
		// No tick at the start: the first is that of the next slice.
		*c = clock{running: true, slices: make([]int64, len(event.TickTypes)), due: deadline{fire: actTick}}
		for i := range c.slices {
			c.slices[i] = slice(s.now.Wall.Unix(), i)
		}
		s.tick()
	case !wanted && c.running:
		s.due.disarm(&c.due)
		c.running = false
	}
}

// slice returns the beginning of the slice of a tick type that a moment is in.
func slice(now int64, i int) int64 {
	period := int64(event.TickTypes[i].Period.Seconds())
	return now - (now%period+period)%period
}

// watchClock emits the ticks that are due, also when the wall clock was set.
func (s *Supervisor) watchClock() {
	if s.clock.outdated(s.now.Wall) {
		s.tick()
	}
}

// outdated reports whether a tick may be due, by the wall clock.
func (c *clock) outdated(wall time.Time) bool {
	now := wall.Unix()
	return c.running && (now < c.from || now >= c.until)
}

// tick announces the slices that have begun since the last look, by the wall clock; those in between are not made up for.
func (s *Supervisor) tick() {
	c := &s.clock
	now := s.now.Wall.Unix()
	c.from, c.until = now-clockLook, now+clockLook
	for i, t := range event.TickTypes {
		began := slice(now, i)
		if began != c.slices[i] {
			c.slices[i] = began
			if s.wanted.Has(t.Type) {
				s.notify(t.Type, 0, event.TickPayload(began))
			}
		}
		if s.wanted.Has(t.Type) {
			c.from = max(c.from, began)
			c.until = min(c.until, began+int64(t.Period.Seconds()))
		}
	}
	s.due.arm(&c.due, s.now.Mono+untilWall(s.now.Wall, c.until))
}
