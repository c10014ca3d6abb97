package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// report renders a fact of the core into the main log, in Supervisor's words (contract: process, "Transitions" and "Timers"; logging,
// "Well-known lines").
func (d *Daemon) report(e core.Event) {
	if chatter(e) && !d.log.Enabled(context.Background(), LevelDebug) {
		return
	}
	d.note(e)
	d.attended(e)
	switch e := e.(type) {
	case core.ProcessForked:
		d.logf(LevelInfo, "spawned: '%s' with pid %d", e.Name, e.PID)
	case core.SpawnProblem:
		d.logf(LevelInfo, "spawnerr: %s", e.Text)
	case core.ProcessEnded:
		d.reportEnd(e)
	case core.StaysUp:
		d.logf(LevelInfo, "success: %s entered RUNNING state, process has stayed up for > than %d seconds (startsecs)", e.Name, e.StartSecs)
	case core.ReadyChanged:
		if e.Ready {
			d.logf(LevelInfo, "ready: %s", e.Name)
		} else {
			d.logf(LevelWarn, "not ready: %s (%s)", e.Name, e.Text)
		}
	case core.NotAlive:
		then := map[process.AliveAction]string{process.AliveRestart: "; restarting it", process.AliveStop: "; stopping it"}
		d.logf(LevelWarn, "not alive: %s (%s)%s", e.Name, e.Text, then[e.Action])
	case core.GaveUp:
		d.logf(LevelInfo, "gave up: %s entered FATAL state, too many start retries too quickly", e.Name)
	case core.WornOut:
		d.logf(LevelInfo, "gave up: %s entered FATAL state, %s (restart_limit)", e.Name, e.Limit.Of("restart"))
	case core.BreakerOpened:
		d.logf(LevelWarn, "breaker of group %s is open: %s, restarts wait until one process is RUNNING", e.Group, e.Rate.Of("unexpected end"))
	case core.ProbeFailed:
		d.logf(LevelInfo, "breaker of group %s stays open: %s failed, the next try follows in %s", e.Group, e.Name, e.Pause.Round(time.Millisecond))
	case core.BreakerClosed:
		who := e.Name + " is RUNNING"
		if e.Name == "" {
			who = "no program has one any more"
		}
		d.logf(LevelInfo, "breaker of group %s is closed: %s", e.Group, who)
	case core.WaitsFor:
		d.logf(LevelInfo, "%s %s", process.Namespec{Group: e.Group, Process: e.Name}, e.Text)
	case core.Summoned:
		d.logf(LevelInfo, "starting %s, since %s depends on it", process.Namespec{Group: e.Group, Process: e.Name}, e.For)
	case core.StopsAfter:
		d.logf(LevelDebug, "%s stops after %s, which depends on it", process.Namespec{Group: e.Group, Process: e.Name}, e.Other)
	case core.EssentialEnded:
		d.logf(LevelCritical, "%s", essentialText(e))
	case core.KillSent:
		if e.Escalated {
			d.logf(LevelWarn, "killing '%s' (%d) with SIGKILL", e.Name, e.PID)
		}
		whom := ""
		switch {
		case e.ToTree:
			whom = "and all that it has started "
		case e.ToGroup:
			whom = "process group "
		}
		d.logf(LevelDebug, "killing %s (pid %d) %swith signal %s", e.Name, e.PID, whom, e.Signal)
	case core.DrainBegan:
		d.logf(LevelInfo, "draining %s (pid %d): %s", e.Name, e.PID, drainText(e))
	case core.HookBegan:
		d.logf(LevelInfo, "running %s of %s, %s", e.Option, process.Namespec{Group: e.Group, Process: e.Name}, process.MostText(e.Most))
	case core.HookProblem:
		d.logf(LevelWarn, "%s of %s: %s", e.Option, process.Namespec{Group: e.Group, Process: e.Name}, e.Text)
	case core.SignalSent:
		d.logf(LevelDebug, "sending %s (pid %d) sig %s", e.Name, e.PID, e.Signal)
	case core.SignalProblem:
		d.logf(LevelCritical, "%s", e.Text)
	case core.WaitingToStop:
		d.logf(LevelInfo, "waiting for %s to stop", e.Name)
	case core.WaitingToDie:
		d.logf(LevelInfo, "waiting for %s to die", strings.Join(e.Names, ", "))
	case core.Quitting:
		mood := control.MoodShutdown
		if e.Restart {
			mood = control.MoodRestarting
		}
		d.mood.Store(int64(mood))
		if d.opts.Quitting != nil {
			d.files.put(func() { d.opts.Quitting(mood) })
		}
	case core.Ignored:
		d.logf(LevelError, "ignored unforeseen news of %s:%s in state %s: %s", e.Group, e.Name, e.State, e.Input)
	case core.ListenerChanged:
		d.logf(LevelDebug, "%s: %s -> %s", e.Name, e.From, e.To)
		if e.To == event.Violated {
			d.logf(LevelWarn, "%s: has entered the UNKNOWN state and will no longer receive events, this usually indicates the process "+
				"violated the eventlistener protocol", e.Name)
		}
	case core.EventSent:
		d.logf(LevelDebug, "event %d sent to listener %s", e.Serial, e.Name)
	case core.EventNotSent:
		if e.Full {
			d.logf(LevelWarn, "listener %s does not read its standard input: event %d was not sent to it, and it will no longer receive events", e.Name, e.Serial)
			break
		}
		d.logf(LevelDebug, "epipe occurred while sending event %d to listener %s, listener state unchanged", e.Serial, e.Name)
	case core.EventJudged:
		d.reportVerdict(e)
	case core.BadResultLine:
		d.logf(LevelWarn, "%s: bad result line: '%s'", e.Name, e.Line)
	case core.EventDiscarded:
		d.logf(LevelError, "pool %s event buffer overflowed, discarding event %d", e.Pool, e.Serial)
	case core.EventRebuffered:
		d.logf(LevelDebug, "rebuffering event %d for pool %s (buf size=%d, max=%d)", e.Serial, e.Pool, e.Size, e.Max)
	case core.StepBegan:
		d.progress(e.Op, "begin", e.Step)
	case core.StepEnded:
		d.progress(e.Op, "end", e.Step)
	case core.UpdatePaused:
		d.paused(e)
	case core.MemberRenamed:
		if len(d.state.read().Marks()) > 0 {
			d.state.before(func(s *store.Store) error { return s.RenameProcess(e.Group, e.From, e.Name) })
			d.changing.Go(func() { d.state.write(func(*store.Store) error { return nil }) })
		}
	case core.StateChanged, core.GroupAdded, core.GroupRemoved, core.MemberAdded, core.MemberRemoved:
		// The main log of Supervisor does not tell them.
	}
}

// essentialText says which essential process has ended, how, and what follows.
func essentialText(e core.EssentialEnded) string {
	how := "has ended"
	if e.State == process.Fatal {
		how = "is FATAL"
	}
	if e.HasStatus {
		how += " (" + e.Status.String() + ")"
	}
	return fmt.Sprintf("essential: %s %s, shutting down with exit code %d", process.Namespec{Group: e.Group, Process: e.Name}, how, e.Code)
}

// chatter reports whether a fact is told for debugging only. Of these there are several for each event of a listener.
func chatter(e core.Event) bool {
	switch e := e.(type) {
	case core.ListenerChanged:
		return e.To != event.Violated
	case core.EventJudged:
		return e.Verdict == core.EventAccepted
	case core.EventSent, core.EventRebuffered:
		return true
	}
	return false
}

func (d *Daemon) reportVerdict(e core.EventJudged) {
	switch e.Verdict {
	case core.EventAccepted:
		d.logf(LevelDebug, "%s: event was processed", e.Name)
	case core.EventRejected:
		d.logf(LevelWarn, "%s: event was rejected", e.Name)
	default:
		d.logf(LevelWarn, "%s: event caused an error", e.Name)
	}
}

func (d *Daemon) reportEnd(e core.ProcessEnded) {
	level, verb, expectation := LevelInfo, "exited", "; expected"
	switch {
	case e.Stopped:
		verb, expectation = "stopped", ""
		if !e.Expected {
			level = LevelWarn
		}
	case !e.Expected:
		level, expectation = LevelWarn, "; not expected"
	}
	d.logf(level, "%s: %s (%s%s)", verb, e.Name, e.Status, expectation)
}
