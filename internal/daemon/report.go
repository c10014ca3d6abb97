package daemon

import (
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
)

// report renders a fact of the core into the main log, in Supervisor's words (contract: process, "Transitions" and "Timers"; logging,
// "Well-known lines").
func (d *Daemon) report(e core.Event) {
	switch e := e.(type) {
	case core.ProcessForked:
		d.logf(LevelInfo, "spawned: '%s' with pid %d", e.Name, e.PID)
	case core.SpawnProblem:
		d.logf(LevelInfo, "spawnerr: %s", e.Text)
	case core.ProcessEnded:
		d.reportEnd(e)
	case core.StaysUp:
		d.logf(LevelInfo, "success: %s entered RUNNING state, process has stayed up for > than %d seconds (startsecs)", e.Name, e.StartSecs)
	case core.GaveUp:
		d.logf(LevelInfo, "gave up: %s entered FATAL state, too many start retries too quickly", e.Name)
	case core.KillSent:
		if e.Escalated {
			d.logf(LevelWarn, "killing '%s' (%d) with SIGKILL", e.Name, e.PID)
		}
		whom := ""
		if e.ToGroup {
			whom = "process group "
		}
		d.logf(LevelDebug, "killing %s (pid %d) %swith signal %s", e.Name, e.PID, whom, e.Signal)
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
	case core.Ignored:
		d.logf(LevelError, "ignored unforeseen news of %s:%s in state %s: %s", e.Group, e.Name, e.State, e.Input)
	case core.StateChanged, core.GroupAdded, core.GroupRemoved, core.MemberAdded, core.MemberRemoved:
		// Facts for event listeners; the main log of Supervisor does not tell them.
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
