package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/graced/graced/internal/control"
)

// why tells what became of a process.
func (s *Session) why(ctx context.Context, arg string) error {
	o, err := parsePlan("why", arg, "-o --output")
	if err == nil && len(o.groups) != 1 {
		err = &usageFault{"why", "name one process"}
	}
	if err != nil {
		return s.misused(err)
	}
	name := o.groups[0]
	server, err := s.server()
	if err != nil {
		return err
	}
	w, err := server.Why(ctx, name)
	switch {
	case fault(err) == control.BadName:
		s.status = exitGeneric
		s.complain("ERROR: no such process: " + name)
		s.suggestFrom(ctx, server, name)
		return nil
	case err != nil:
		return s.notOurs(err)
	}
	if o.output == "json" {
		s.outputJSON(w)
		return nil
	}
	s.write(s.Out, whyText(w))
	return nil
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
