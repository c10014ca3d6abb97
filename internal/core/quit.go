package core

import (
	"cmp"
	"maps"
	"slices"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// quit is the progress of stopping everything: one group after another, the last of the list first.
type quit struct {
	restart bool
	queue   []*group // ascending priority; the last is being stopped
	sent    bool     // its members have got their signals
	code    int      // of the exit of the daemon
	report  deadline
}

func (s *Supervisor) quitting() bool { return s.quit != nil }

// Quitting reports whether everything is being stopped, and whether a restart follows.
func (s *Supervisor) Quitting() (restart, yes bool) {
	if s.quit == nil {
		return false, false
	}
	return s.quit.restart, true
}

// closedTo returns the fault of a command that a machine about to stop does not take (contract: rpc, "Dispatch and faults"). A Quit nobody
// waits for is a signal to the daemon: it turns a restart into a shutdown.
func (s *Supervisor) closedTo(c Command) *Fault {
	if s.quit == nil {
		return nil
	}
	switch do := c.Do.(type) {
	case Identify, Hurry:
		return nil
	case SendRemote:
		return nil // compat: quirk D19
	case Quit:
		if c.Req == 0 && !do.Restart {
			return nil
		}
	case AddProcesses, RemoveProcess:
		// compat: these are refused in a shutdown, not in a restart (contract: rpc, "twiddler.* / grace.*").
		if s.quit.restart {
			return nil
		}
	}
	return &Fault{Kind: ShutdownState}
}

// begin begins to stop everything; a second time it can only turn a restart into a shutdown.
func (s *Supervisor) begin(restart bool) {
	if s.quit != nil {
		s.quit.restart = restart
		return
	}
	s.quit = &quit{restart: restart, queue: slices.Clone(s.groups)}
	s.quit.report.fire = actQuit
	slices.SortStableFunc(s.quit.queue, func(a, b *group) int { return cmp.Compare(a.spec.Priority, b.spec.Priority) })
	s.stirred = true // nothing waits any more to be started
	s.publish(Quitting{Restart: restart})
	s.notifyDaemon(event.SupervisorStateChangeStopping)
}

// proceed stops the group whose turn it is, once, and goes on with the next when all its members have stopped. It reports whether anything
// happened.
func (s *Supervisor) proceed() bool {
	q := s.quit
	if q == nil || s.halted {
		return false
	}
	happened := false
	for len(q.queue) > 0 {
		g := q.queue[len(q.queue)-1]
		if !q.sent {
			q.sent = true
			happened = true
			s.stopGroup(g)
		}
		if g.unstopped > 0 {
			break
		}
		q.queue = q.queue[:len(q.queue)-1]
		q.sent = false
	}
	if len(q.queue) > 0 {
		if !q.report.armed() {
			s.reportQuit()
		}
		return happened
	}
	if s.endOperations(); len(s.settled)+len(s.moved) > 0 || s.shifted || s.stirred {
		return true // surplus members are removed, and operations come to their end, before the end
	}
	if s.hooksRun() {
		return happened // each of them ends in its time
	}
	s.abandonRequests()
	s.halted = true
	s.emit(Halt{Restart: q.restart, Code: q.code})
	return false
}

// endOperations lets operations come to their end of which something has not begun: they may have been paused, and nothing has stopped since.
func (s *Supervisor) endOperations() {
	for _, l := range s.lines {
		s.shifted = s.shifted || len(l.waiting) > 0
	}
	for _, id := range slices.Sorted(maps.Keys(s.ops)) {
		if op := s.ops[id]; op.acting != nil && len(op.acting.waiting) > 0 {
			s.moved = append(s.moved, op)
		}
	}
}

// stopGroup stops the members of a group, all at once, in descending priority; of equals the later first. BACKOFF ends as FATAL.
func (s *Supervisor) stopGroup(g *group) {
	list := slices.Clone(g.members)
	slices.SortStableFunc(list, func(a, b *proc) int { return cmp.Compare(a.spec.Priority, b.spec.Priority) })
	slices.Reverse(list)
	seen := map[*proc]bool{}
	for _, p := range list {
		switch p.state {
		case process.Running, process.Starting:
			s.haltAll(p, seen)
		case process.Backoff:
			s.giveUp(p)
		}
	}
}

// reportQuit names what has not stopped yet, now and every three seconds.
func (s *Supervisor) reportQuit() {
	var names []string
	for _, g := range s.groups {
		for _, p := range g.members {
			if p.unstopped() {
				names = append(names, p.name)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	s.publish(WaitingToDie{Names: names})
	s.due.arm(&s.quit.report, s.now.Mono+quitReport)
}
