package ctl

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// namespec is the short form of a process's name.
func namespec(group, name string) string {
	return process.Namespec{Group: group, Process: name}.String()
}

// showStatus prints "status": a row for each process asked for (contract: ctl, "Commands").
func (s *Session) showStatus(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if errors.Is(err, errExplained) {
		s.status = exitStatusUnknown // whatever the failure was
	}
	if err != nil {
		return err
	}
	all, err := server.Processes(ctx)
	if err != nil {
		return err
	}
	rows := all
	if names := fields(arg); len(names) > 0 && !contains(names, "all") {
		rows = nil
		for _, name := range names {
			spec := process.ParseNamespec(name)
			found := false
			for _, p := range all {
				if p.Group == spec.Group && (spec.WholeGroup() || p.Name == spec.Process) {
					found = true
					rows = append(rows, p)
				}
			}
			if found {
				continue
			}
			if spec.WholeGroup() {
				s.output(spec.Group + ": ERROR (no such group)")
			} else {
				s.output(name + ": ERROR (no such process)")
			}
			s.status = exitStatusUnknown
		}
	}
	s.write(s.Out, statusTable(rows))
	for _, p := range rows {
		// compat: a stopped process outweighs a bad name (quirk E5). gracectl has answered the question: no error.
		if p.State.IsStopped() && s.Face == Supervisorctl {
			s.status = exitStatusNotRunning
		}
	}
	return nil
}

func statusTable(rows []control.ProcessInfo) string {
	names := make([]string, len(rows))
	width := 30
	for i, p := range rows {
		names[i] = namespec(p.Group, p.Name)
		width = max(width, utf8.RuneCountInString(names[i]))
	}
	var b strings.Builder
	for i, p := range rows {
		b.WriteString(pad(names[i], width+3))
		b.WriteString(pad(p.State.String(), 10))
		b.WriteString(p.Description)
		b.WriteByte('\n')
	}
	return b.String()
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// showPIDs prints "pid": the daemon's, or that of each process asked for.
func (s *Session) showPIDs(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	names := fields(arg)
	if len(names) == 0 {
		pid, err := server.Call(ctx, "supervisor.getPID")
		if err != nil {
			return err
		}
		return s.outputValue(pid)
	}
	if contains(names, "all") {
		all, err := server.Processes(ctx)
		if err != nil {
			return err
		}
		for _, p := range all {
			s.output(strconv.Itoa(p.PID))
		}
		return nil
	}
	for _, name := range names {
		p, err := server.Process(ctx, name)
		switch {
		case fault(err) == control.BadName:
			s.status = exitGeneric
			s.output("No such process " + name)
		case err != nil:
			return err
		default:
			s.output(strconv.Itoa(p.PID))
			if p.PID == 0 {
				s.status = exitNotRunning
			}
		}
	}
	return nil
}

// showAvailable prints "avail": every configured process, in the server's order.
func (s *Session) showAvailable(ctx context.Context, arg string) error {
	if arg != "" {
		return s.noArguments("avail")
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	configs, err := server.Configs(ctx)
	if fault(err) == control.ShutdownState {
		s.status = exitGeneric
		s.output("ERROR: supervisor shutting down")
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range configs {
		use, start := "avail", "manual"
		if c.InUse {
			use = "in use"
		}
		if c.Spec.Autostart {
			start = "auto"
		}
		s.output(pad(namespec(c.Group, c.Spec.Name), 32) + " " + pad(use, 9) + " " + pad(start, 9) + " " +
			strconv.Itoa(c.GroupPriority) + ":" + strconv.Itoa(c.Spec.Priority))
	}
	return nil
}

// noArguments complains about arguments to a verb that takes none, and shows its help.
func (s *Session) noArguments(verb string) error {
	s.output("Error: " + verb + " accepts no arguments")
	s.status = exitGeneric
	s.output(s.topic(verb))
	return nil
}
