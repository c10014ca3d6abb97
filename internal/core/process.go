package core

import (
	"strconv"
	"time"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// fate says whether a member stays in its group.
type fate int

const (
	stays  fate = iota
	leaves      // takes no start; someone else stops and removes it
	goes        // takes no start; removed as soon as it has stopped
)

// proc is one process. In STARTING and STOPPING a pid of zero means that the outcome of the spawn is not known yet.
type proc struct {
	id          process.ID
	incarnation process.Incarnation
	group       *group
	name        string
	spec        *process.Spec

	state     process.State
	pid       int
	fate      fate
	spawning  Token           // under which the spawn is kept; zero: its outcome is known
	tries     int             // failed starts in a row
	restarts  int             // starts by itself since one that somebody wanted
	short     int             // lives in a row that were too short to restart at once; with backoff also failed starts
	starts    []time.Duration // the latest of those by itself, as far as restart_limit counts them
	held      bool            // its start by itself waits for the breaker of its group
	gated     bool            // its start waits for what it depends on
	anew      bool            // with gated: it would start by itself
	forlorn   bool            // with gated: it waits in vain as long as nobody does anything
	lastly    bool            // it is stopped once what depends on it has stopped
	extra     bool            // it is there only while a line lasts
	fallen    bool            // it is essential and has ended
	lazy      bool            // goes, but is not stopped
	again     bool            // starts again once STOPPED: it was on its way out and stays after all
	abandoned bool            // SIGKILL was refused: nobody waits for it any more
	reason    Reason          // of its last stop, or of its start since
	draining  Token           // of the signal or command that it has time for before the first step of its stop; zero: none
	hook      Token           // of another command of its life; zero: none runs
	fresh     bool            // the moment of post_ready has not come in this life
	stopStep  int             // of the stop that is under way
	killed    bool            // nothing but SIGKILL is left of its stop

	started      time.Duration // Mono of the last spawn
	startSecs    int           // of this life: a change of the option is for the next
	began, ended time.Time     // wall time of the last spawn and exit
	exit         process.ExitStatus
	hasExit      bool
	last         process.ExitStatus // of this life, also where it was too short to count
	hasLast      bool
	spawnErr     string
	fit          bool   // its check has found it ready; of this life, as are the next
	unfit        string // what the check has found else
	unmet        string // why it is not ready as far as post_ready is concerned; "" = it is
	watched      bool   // its checks are made
	sick         bool   // it is being ended because it was not alive, and is to start again
	hung         bool   // it was stopped for good because it was not alive; until somebody wants it stopped or it starts

	listener *event.Listener // what it says, with a process of a listener group; of this life
	holds    *queued         // the event that it works on
	deaf     bool            // it cannot be written to

	due     deadline // what the state waits for
	report  deadline // the next report that it is waited for
	waiters []waiter
	step    *step        // of an update that is busy with it; nil = none
	unsent  []signalWish // signals asked for before the spawn had an outcome
}

func (p *proc) namespec() process.Namespec {
	return process.Namespec{Group: p.group.name(), Process: p.name}
}

// unstopped reports whether a quit has to wait for the process.
func (p *proc) unstopped() bool { return !p.state.IsStopped() && !p.abandoned }

// enter is the one place where a state changes. It publishes the transition; expected is the verdict on an exit.
func (s *Supervisor) enter(p *proc, to process.State, expected bool) {
	before := p.unstopped()
	change := StateChanged{
		ID: p.id, Incarnation: p.incarnation, Group: p.group.name(), Name: p.name,
		From: p.state, To: to, PID: p.pid, Expected: expected,
	}
	if to == process.Starting || to == process.Backoff {
		change.Tries = p.tries
	}
	p.state = to
	s.revision++
	s.unplan(p)
	s.shift()
	if to != process.Stopping {
		p.draining = 0
	}
	s.pend(&p.fallen, false)
	if to == process.Stopping || to == process.Stopped {
		s.pend(&p.lastly, false)
	}
	if to != process.Starting && to != process.Running {
		s.unwatch(p)
	}
	if to.IsStopped() {
		p.abandoned, p.killed = false, false
		s.due.disarm(&p.report)
		s.settled = append(s.settled, p)
	}
	if now := p.unstopped(); now != before {
		if now {
			p.group.unstopped++
		} else {
			p.group.unstopped--
		}
	}
	s.publish(change)
	s.notifyState(change)
	if p.listener != nil && to == process.Running {
		s.dispatch(p.group.pool)
	}
	if p.group.breaker.open {
		s.probed(p)
	}
}

// spawnFor starts a process that has none. Whether what it depends on is there has been looked at (launch).
func (s *Supervisor) spawnFor(p *proc, why Reason) {
	switch p.state {
	case process.Stopped, process.Exited, process.Fatal, process.Backoff:
	default:
		s.unforeseen(p, "spawn")
		return
	}
	p.incarnation++
	p.reason = why
	p.again, p.restarts, p.starts = false, 0, nil
	p.spawnErr = ""
	p.fit, p.unfit, p.sick, p.hung, p.fresh, p.unmet = false, "", false, false, true, notGreeted
	p.hasExit, p.exit = false, process.ExitStatus{}
	p.hasLast, p.last = false, process.ExitStatus{}
	if p.group.pool != nil {
		p.listener, p.deaf = event.NewListener(), false
	}
	s.enter(p, process.Starting, false)
	s.prepare(p)
}

// fork asks for a process that is STARTING. Its life begins now.
func (s *Supervisor) fork(p *proc) {
	p.started, p.began, p.startSecs = s.now.Mono, s.now.Wall, p.spec.StartSecs
	p.spawning = s.token()
	s.ask(p, Spawn{ID: p.id, Incarnation: p.incarnation, Group: p.group.name(), Spec: p.spec}, sending{kind: sentSpawn})
	if p.startSecs > 0 {
		s.due.arm(&p.due, p.started+seconds(p.startSecs))
	}
}

// respawn starts a process by itself, after an end or a failed start.
func (s *Supervisor) respawn(p *proc) {
	n, starts := p.restarts+1, p.spec.RestartLimit.Add(p.starts, s.now.Mono)
	s.spawnFor(p, ReasonRestart)
	p.restarts, p.starts = n, starts
}

// spawned takes the news that the process exists.
func (s *Supervisor) spawned(p *proc, pid int) {
	if p.pid != 0 || p.spawning == 0 {
		s.unforeseen(p, "Spawned")
		return
	}
	switch p.state {
	case process.Starting:
		s.forked(p, pid)
		if s.now.Mono >= p.started+seconds(p.startSecs) {
			s.stayedUp(p)
		}
	case process.Stopping: // the stop came before the process
		s.forked(p, pid)
		s.sendStop(p)
	default:
		s.unforeseen(p, "Spawned")
	}
}

// spawnKnown notes that the outcome of the spawn is known.
func (s *Supervisor) spawnKnown(p *proc) {
	delete(s.sent, p.spawning)
	p.spawning = 0
}

func (s *Supervisor) forked(p *proc, pid int) {
	s.spawnKnown(p)
	p.pid = pid
	s.revision++
	s.publish(ProcessForked{Group: p.group.name(), Name: p.name, PID: pid})
	s.release(p, nil, forForked)
	if p.state == process.Starting {
		s.watch(p)
	}
	s.sendUnsent(p)
}

// stayedUp makes a process RUNNING that has lasted startsecs.
func (s *Supervisor) stayedUp(p *proc) {
	p.tries = 0
	s.enter(p, process.Running, false)
	s.publish(StaysUp{Group: p.group.name(), Name: p.name, StartSecs: p.startSecs})
	s.release(p, nil, forRunning)
	s.readiness(p, false)
}

// spawnFailed takes the news that there is no process.
func (s *Supervisor) spawnFailed(p *proc, text string) {
	if p.pid != 0 || p.spawning == 0 {
		s.unforeseen(p, "SpawnFailed")
		return
	}
	s.startFailed(p, text)
}

// startFailed goes on after a start from which no process has come.
func (s *Supervisor) startFailed(p *proc, text string) {
	switch p.state {
	case process.Starting:
		s.spawnKnown(p)
		p.spawnErr = text
		s.publish(SpawnProblem{Group: p.group.name(), Name: p.name, Text: text})
		s.refuseUnsent(p)
		s.backOff(p)
		s.afterBackOff(p)
	case process.Stopping:
		s.spawnKnown(p)
		p.spawnErr = text
		s.publish(SpawnProblem{Group: p.group.name(), Name: p.name, Text: text})
		s.refuseUnsent(p)
		s.stopped(p, nil)
	default:
		s.unforeseen(p, "SpawnFailed")
	}
}

// backOff counts a failed start: another follows after a pause, or the process is given up.
func (s *Supervisor) backOff(p *proc) {
	p.tries++
	s.enter(p, process.Backoff, false)
	p.pid = 0
	s.lost(p)
}

// afterBackOff answers who waited for the start and decides how BACKOFF goes on, once the failure has been reported.
func (s *Supervisor) afterBackOff(p *proc) {
	s.releaseAs(p, SpawnError, forForked)
	s.unready(p, SpawnError)
	s.endedBadly(p)
	switch {
	case p.tries > p.spec.StartRetries && !p.tireless():
		s.giveUp(p)
		s.publish(GaveUp{Group: p.group.name(), Name: p.name})
	case p.fate != stays:
		s.stopped(p, nil)
	default:
		s.reviveAt(p, s.now.Mono+p.retryPause())
	}
}

func (s *Supervisor) giveUp(p *proc) {
	p.tries, p.short = 0, 0
	s.enter(p, process.Fatal, false)
	s.fell(p)
}

// endedBefore keeps a process from becoming RUNNING when its end, on the way to the machine, is older than its deadline (quirk C1).
func (s *Supervisor) endedBefore(in Exited) {
	p := s.live(in.ID, in.Incarnation)
	if p != nil && p.state == process.Starting && p.due.armed() && s.momentOf(p, in) < p.due.at {
		s.due.disarm(&p.due)
	}
}

// momentOf returns when the exit of p was noticed: never before its start, never after now.
func (s *Supervisor) momentOf(p *proc, in Exited) time.Duration {
	if in.At == 0 {
		return s.now.Mono
	}
	return min(max(in.At, p.started), s.now.Mono)
}

// exited takes the news that the process ended.
func (s *Supervisor) exited(p *proc, in Exited) {
	status := in.Status
	if p.pid == 0 && p.spawning == 0 && p.incarnation > 0 {
		return // it is told again: whoever tells it could not know that it had been heard
	}
	if p.pid == 0 {
		s.unforeseen(p, "Exited")
		return
	}
	p.ended = s.now.Wall
	p.last, p.hasLast = status, true
	end := ProcessEnded{
		Group: p.group.name(), Name: p.name, PID: p.pid, Status: status,
		Expected: status.Clean(p.spec.ExitCodes),
	}
	lived := s.momentOf(p, in) - p.started
	switch p.state {
	case process.Starting:
		if lived < seconds(p.startSecs) {
			end.TooQuick, end.Expected = true, false
			p.spawnErr = endText(status, "Exited too quickly (process log may have details)")
			s.backOff(p)
			s.publish(end)
			s.endLife(p, end, ReasonExit)
			s.afterBackOff(p)
			return
		}
		p.fresh = false // it is ready too late
		s.stayedUp(p)
		s.finish(p, end)
	case process.Running:
		s.finish(p, end)
	case process.Stopping, process.Unknown:
		// UNKNOWN: the reference dies here. The process was to be stopped or not; it is gone, and nobody asked for another.
		p.exit, p.hasExit = status, true
		back := p.sick && p.again && !s.quitting()
		end.Stopped, end.Expected = !back, end.Expected && !back
		switch {
		case s.tidies(p, end):
		case back:
			s.recover(p, end)
		default:
			s.stopped(p, end)
		}
	default:
		s.unforeseen(p, "Exited")
	}
}

// endText is the spawnErr of an end: the text of the contract, or the cause where that is known.
func endText(s process.ExitStatus, text string) string {
	if s.OutOfMemory {
		return "Out of memory: killed by the kernel"
	}
	return text
}

// finish takes a RUNNING process that ended by itself to EXITED, and on to its next life.
func (s *Supervisor) finish(p *proc, end ProcessEnded) {
	p.tries = 0
	p.exit, p.hasExit = end.Status, true
	if !end.Expected {
		p.spawnErr = endText(end.Status, "Bad exit code "+strconv.Itoa(end.Status.Wire()))
	}
	s.enter(p, process.Exited, end.Expected)
	p.pid = 0
	s.publish(end)
	s.lost(p)
	s.endLife(p, end, ReasonExit)
	s.unready(p, AbnormalTermination)
	if !end.Expected {
		s.endedBadly(p)
	}
	if s.revives(p) {
		s.restart(p)
	} else {
		s.fell(p)
	}
}

// stopped takes a process to STOPPED, reports its end if there was one, and answers who waited. It may be wanted again.
func (s *Supervisor) stopped(p *proc, end Event) {
	s.down(p, process.Stopped, end)
	if p.again && !s.quitting() {
		s.launchFor(p, p.comesBack())
	}
}

// down takes a process that has ended, and was to, out of its life.
func (s *Supervisor) down(p *proc, to process.State, end Event) {
	s.enter(p, to, false)
	p.pid = 0
	if end != nil {
		s.publish(end)
	}
	s.lost(p)
	s.releaseAs(p, SpawnError, forForked)
	s.release(p, nil, forSignalled|forStopped)
}

// comesBack says why a process starts again that was stopped.
func (p *proc) comesBack() Reason {
	if p.reason == ReasonRestart || p.reason == ReasonUpdate {
		return p.reason
	}
	return ReasonStart
}
