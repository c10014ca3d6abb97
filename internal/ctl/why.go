package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// whyAnswer answers why.
type whyAnswer struct{ control.Why }

// momentRecord is one thing that happened to a process.
type momentRecord struct{ control.Moment }

func (r momentRecord) Schema() string { return "graced.moment/v1" }
func (r momentRecord) Name() string   { return "" }
func (r momentRecord) Line() string   { return "" }

func (a *whyAnswer) Schema() string { return control.WhySchema }

func (a *whyAnswer) Records() []format.Record {
	out := make([]momentRecord, len(a.Timeline))
	for i, m := range a.Timeline {
		out[i] = momentRecord{m}
	}
	return records(out)
}

func (a *whyAnswer) Text(format.Style) string { return whyText(a.Why) }

// answerWhy tells what became of a process.
func (s *Session) answerWhy(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) != 1 {
		return nil, c.misused("takes one process")
	}
	w, err := server.Why(ctx, c.words[0])
	if err != nil {
		if fault(err) != control.BadName {
			return nil, s.changeProblem(ctx, server, err)
		}
		all, err := server.Processes(ctx)
		if err != nil {
			return nil, err
		}
		return nil, s.nothingCalled(c, c.words[0], all)
	}
	w.Schema = ""
	return &whyAnswer{w}, nil
}

// whyText renders the recent life of a process.
func whyText(w control.Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s", w.Name, w.State)
	if !w.Since.IsZero() {
		fmt.Fprintf(&b, " since %s", w.Since.Local().Format("2006-01-02 15:04:05"))
	}
	if w.PID != 0 {
		fmt.Fprintf(&b, ", pid %d", w.PID)
	}
	if len(w.Timeline) > 1 {
		first, last := w.Timeline[0].Time, w.Timeline[len(w.Timeline)-1].Time
		fmt.Fprintf(&b, ", %s in %.0f s", count(w.Starts, "start"), last.Sub(first).Seconds())
	}
	fmt.Fprintf(&b, "\n  runs: %s\n", w.Command)
	switch r := w.Readiness; {
	case r == nil:
	case r.Ready:
		b.WriteString("  ready: yes\n")
	default:
		b.WriteString("  ready: " + strings.TrimSuffix("no, "+r.Text, ", ") + "\n")
	}
	if w.Cgroup != "" {
		fmt.Fprintf(&b, "  control group: %s\n", w.Cgroup)
	}
	if w.Lacks != "" {
		fmt.Fprintf(&b, "  lacks: %s\n", w.Lacks)
	}
	for _, m := range w.Timeline {
		fmt.Fprintf(&b, "  %s  %s\n", m.Time.Local().Format("15:04:05"), strings.TrimRight(pad(m.Type, 9)+momentText(m), " "))
	}
	if len(w.Timeline) == 0 {
		b.WriteString("  nothing has happened to it since the daemon started\n")
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"stdout", w.Stdout}, {"stderr", w.Stderr}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %s, the last lines:\n", part.name)
		for _, line := range part.lines {
			b.WriteString("    " + line + "\n")
		}
	}
	for _, guess := range w.LooksLike {
		b.WriteString("  looks like: " + guess + "\n")
	}
	return b.String()
}

// momentText says in words what happened.
func momentText(m control.Moment) string {
	var parts []string
	switch {
	case m.Signal != "":
		parts = append(parts, fmt.Sprintf("by %s after %.1f s", m.Signal, m.Seconds))
	case m.Exit != nil:
		parts = append(parts, fmt.Sprintf("code %d after %.1f s", *m.Exit, m.Seconds))
	}
	if m.Text != "" {
		parts = append(parts, m.Text)
	}
	if m.PID != 0 {
		parts = append(parts, fmt.Sprintf("pid %d", m.PID))
	}
	if m.By != "" {
		parts = append(parts, "by "+m.By)
	}
	return strings.Join(parts, ", ")
}
