package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// TestReportLines holds the words in which the main log tells of processes (contract: process, "Transitions" and "Stop, kill, signal").
func TestReportLines(t *testing.T) {
	inWorld(t, "", func(_ context.Context, w *world) {
		w.writer.Flush()
		before := len(w.log.String())
		lines := []struct {
			event core.Event
			want  string
		}{
			{core.SpawnProblem{Name: "p", Text: "can't find command '/x'"}, "INFO spawnerr: can't find command '/x'"},
			{core.KillSent{Name: "p", PID: 7, Signal: process.SIGTERM}, "DEBG killing p (pid 7) with signal SIGTERM"},
			{core.KillSent{Name: "p", PID: 7, Signal: process.SIGTERM, ToGroup: true}, "DEBG killing p (pid 7) process group with signal SIGTERM"},
			{core.KillSent{Name: "p", PID: 7, Signal: process.SIGTERM, ToGroup: true, ToTree: true}, "DEBG killing p (pid 7) and all that it has started with signal SIGTERM"},
			{core.DrainBegan{Name: "p", PID: 7, Signal: 10, Most: time.Second}, "INFO draining p (pid 7): SIGUSR1, for at most 1s"},
			{core.DrainBegan{Name: "p", PID: 7, Most: process.Forever}, "INFO draining p (pid 7): drain_command, as long as it takes"},
			{core.DrainBegan{Name: "p", PID: 7, Most: time.Minute}, "INFO draining p (pid 7): drain_command, for at most 1m0s"},
			{core.HookBegan{Group: "g", Name: "p", Option: "pre_start", Most: time.Minute}, "INFO running pre_start of g:p, for at most 1m0s"},
			{core.HookProblem{Group: "g", Name: "p", Option: "drain_command", Text: "exit status 3"}, "WARN drain_command of g:p: exit status 3"},
			{core.KillSent{Name: "p", PID: 7, Signal: process.SIGKILL, Escalated: true}, "WARN killing 'p' (7) with SIGKILL\nDEBG killing p (pid 7) with signal SIGKILL"},
			{core.SignalSent{Name: "p", PID: 7, Signal: process.SIGTERM}, "DEBG sending p (pid 7) sig SIGTERM"},
			{core.SignalProblem{Name: "p", PID: 7, Text: "unknown problem killing p (7): EPERM"}, "CRIT unknown problem killing p (7): EPERM"},
			{core.WaitingToStop{Name: "p"}, "INFO waiting for p to stop"},
			{core.WaitingToDie{Names: []string{"a", "b"}}, "INFO waiting for a, b to die"},
			{core.ProcessEnded{Name: "p", Status: process.ExitStatus{Code: 2}, Stopped: true, Expected: true}, "INFO stopped: p (exit status 2)"},
			{core.ProcessEnded{Name: "p", Status: process.ExitStatus{Signal: 15}, Stopped: true}, "WARN stopped: p (terminated by SIGTERM)"},
			{core.ProcessEnded{Name: "p", Status: process.ExitStatus{Signal: 11, CoreDumped: true}},
				"WARN exited: p (terminated by SIGSEGV (core dumped); not expected)"},
		}
		var want []string
		for _, l := range lines {
			w.d.report(l.event)
			want = append(want, strings.Split(l.want, "\n")...)
		}
		w.writer.Flush()
		var got []string
		for line := range strings.Lines(w.log.String()[before:]) {
			got = append(got, strings.TrimSpace(line[len("2000-01-01 00:00:00,000 "):]))
		}
		if g, e := strings.Join(got, "\n"), strings.Join(want, "\n"); g != e {
			t.Errorf("got\n%s\nwant\n%s", g, e)
		}
	})
}
