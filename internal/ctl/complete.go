package ctl

import (
	"context"
	"strings"

	"github.com/graced/graced/internal/control"
)

// Names is what completion offers.
type Names struct {
	Verbs     []string
	Processes []control.ProcessInfo
}

// Complete returns the candidates for the word that ends at byte pos of line, each with a space behind it, and what stands before and
// behind that word (contract: ctl, "Interactive shell"). Words end at blanks only, so "foo:*" and names with "-" stay whole.
func Complete(line string, pos int, names Names) (head string, candidates []string, tail string) {
	pos = max(0, min(pos, len(line)))
	start := strings.LastIndexByte(line[:pos], ' ') + 1
	head, text, tail := line[:start], line[start:pos], line[pos:]
	offer := func(words []string) {
		for _, w := range words {
			if strings.HasPrefix(w, text) {
				candidates = append(candidates, w+" ")
			}
		}
	}
	before := fields(head)
	if len(before) == 0 {
		offer(names.Verbs)
		return head, candidates, tail
	}
	switch before[0] {
	case "help":
		offer(names.Verbs)
	case "add", "remove", "update", "plan", grace.name:
		offer(groupNames(names.Processes))
	case "clear", "fg", "why", "hold", "disable", "enable", "pid", "refresh", "restart", "signal", "start", "status", "stop", "tail":
		offer(processNames(names.Processes, strings.Contains(text, ":")))
	}
	return head, candidates, tail
}

func groupNames(all []control.ProcessInfo) []string {
	var out []string
	seen := make(map[string]bool)
	for _, p := range all {
		if !seen[p.Group] {
			seen[p.Group] = true
			out = append(out, p.Group)
		}
	}
	return out
}

// processNames offers the short name of a process that is alone in its group, unless the user has typed a colon; else the full name and,
// once, the whole group.
func processNames(all []control.ProcessInfo, full bool) []string {
	var out []string
	seen := make(map[string]bool)
	for _, p := range all {
		if !full && p.Name == p.Group {
			out = append(out, p.Name)
			continue
		}
		out = append(out, p.Group+":"+p.Name)
		if !seen[p.Group] {
			seen[p.Group] = true
			out = append(out, p.Group+":*")
		}
	}
	return out
}

// CompleteLine completes with the names that the daemon knows, asked once between two commands. A daemon that does not answer has none.
func (s *Session) CompleteLine(line string, pos int) (head string, candidates []string, tail string) {
	if s.own() {
		return s.completeOwn(line, pos)
	}
	names := Names{Verbs: s.verbs()}
	if before, _, found := strings.Cut(strings.TrimLeft(line, " "), " "); found && before != "help" {
		if s.cached == nil {
			s.cached = s.askNames()
		}
		names.Processes = s.cached
	}
	return Complete(line, pos, names)
}

// completeOwn completes a line of gracectl's shell, options included.
func (s *Session) completeOwn(line string, pos int) (head string, candidates []string, tail string) {
	pos = max(0, min(pos, len(line)))
	start := strings.LastIndexByte(line[:pos], ' ') + 1
	words := append(fields(line[:start]), line[start:pos])
	found := s.candidates(words, func() []control.ProcessInfo {
		if s.cached == nil {
			s.cached = s.askNames()
		}
		return s.cached
	})
	for _, w := range found {
		if w == FileCandidates {
			return line[:start], nil, line[pos:]
		}
		if !strings.HasSuffix(w, "=") {
			w += " "
		}
		candidates = append(candidates, w)
	}
	return line[:start], candidates, line[pos:]
}

func (s *Session) askNames() []control.ProcessInfo {
	defer s.hangUp()
	server, err := s.server()
	if err != nil {
		return nil
	}
	all, err := server.Processes(context.Background())
	if err != nil {
		return nil
	}
	return all
}
