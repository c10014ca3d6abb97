package sim

import (
	"fmt"
	"strings"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// Fact is one line of a trace: something that can be seen from outside.
type Fact struct {
	At      int64  // microseconds
	Kind    string // state, signal, reply, group, halt
	Subject string // "g:p", "#req", the group's name, or ""
	Text    string
}

func (f Fact) String() string {
	return fmt.Sprintf("%10.6f %-6s %-8s %s", float64(f.At)/second, f.Kind, f.Subject, f.Text)
}

// stateText renders a transition with the values that its event carries (contract: events, Payloads). life names the spawn that the pid
// belongs to, so that traces do not depend on pids.
func stateText(e core.StateChanged, life string) string {
	text := e.From.String() + ">" + e.To.String()
	switch e.To {
	case process.Starting, process.Backoff:
		return fmt.Sprintf("%s tries=%d", text, e.Tries)
	case process.Running, process.Stopping, process.Stopped:
		return text + " life=" + life
	case process.Exited:
		expected := 0
		if e.Expected {
			expected = 1
		}
		return fmt.Sprintf("%s expected=%d life=%s", text, expected, life)
	}
	return text
}

// signalText renders a signal that is sent.
func signalText(e core.Signal, life string) string {
	target := "pid"
	switch {
	case e.ToTree:
		target = "tree"
	case e.ToGroup:
		target = "group"
	}
	return fmt.Sprintf("%d %s life=%s", int(e.Signal), target, life)
}

// replyText renders an answer: OK, the fault, or a row for each process in their order.
func replyText(r core.Reply, rows bool) string {
	if r.Fault != nil {
		return faultText(r.Fault)
	}
	if !rows {
		return "OK"
	}
	words := []string{"rows"}
	for _, o := range r.Outcomes {
		words = append(words, fmt.Sprintf("%s:%s=%s", o.Group, o.Name, faultText(o.Fault)))
	}
	return strings.Join(words, " | ")
}

// stepText renders what an update does to a process: the process before and after, and whether it was started.
func stepText(r core.StepResult) string {
	text := [...]string{"add", "return", "remove", "tune", "rename", "replace", "start", "stop"}[r.Action] + " " + r.Group + ":" + r.Name
	if r.From != "" {
		text += ", was " + r.From
	}
	text += fmt.Sprintf(", pid %d -> %d", r.OldPID, r.PID)
	if r.Started {
		text += ", started"
	}
	if r.Undo {
		text += ", back"
	}
	if r.Fault != nil {
		text += ": " + faultText(r.Fault)
	}
	return text
}

func faultText(f *core.Fault) string {
	switch {
	case f == nil:
		return "OK"
	case f.Text == "" || f.Kind == core.Failed && strings.HasPrefix(f.Text, "unknown problem"):
		return fmt.Sprint(int(f.Kind)) // the detail of a failed signal is a traceback in the reference
	}
	return fmt.Sprintf("%d %s", int(f.Kind), f.Text)
}
