package ctl

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// WellKnownSockets is where daemons are found that were installed by a package or started with the defaults.
var WellKnownSockets = []string{"/run/graced.sock", "/run/supervisor.sock", "/var/run/supervisor.sock", "/tmp/supervisor.sock"}

// explainConnection says in gracectl's own words that nobody answers at the server's URL, or that we may not ask, and what to do about
// it. It reports whether it has; the exit status is the caller's.
func (s *Session) explainConnection(err error) bool {
	if !s.own() {
		return false
	}
	switch {
	case refused(err):
		s.complain("error[E301]: no daemon answers at " + s.ServerURL + " (connection refused)")
	case missing(err):
		s.complain("error[E301]: no daemon answers at " + s.ServerURL + " (no such file)")
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		s.complain("error[E305]: permission denied: the socket of " + s.ServerURL + " belongs to another user or group")
		s.complain("  try: sudo " + s.Program + " …   or the option chmod/chown of [unix_http_server], then a restart of the daemon")
		return true
	default:
		return false
	}
	found := s.otherSocket()
	if found == "" {
		s.complain("  try: graced -c FILE to start a daemon, or " + s.Program + " -s URL to ask another one")
		return true
	}
	s.complain("  found: a daemon answers at unix://" + found)
	s.complain("  try: " + s.Program + " -s unix://" + found + " status      (" + s.Program + " also drives Supervisor)")
	return true
}

// otherSocket returns the first of s.Sockets at which a daemon answers, "" if there is none.
func (s *Session) otherSocket() string {
	for _, path := range s.Sockets {
		if _, err := os.Stat(path); err != nil || "unix://"+path == s.ServerURL {
			continue
		}
		server, err := s.Dial("unix://"+path, s.Username, s.Password)
		if err != nil {
			continue
		}
		_, err = server.Call(context.Background(), "supervisor.getVersion")
		_ = server.Close() // it was asked once and is not needed again
		if err == nil || httpStatus(err) != 0 {
			return path
		}
	}
	return ""
}

// suggestFrom is suggest with the names that the server knows.
func (s *Session) suggestFrom(ctx context.Context, server Proxy, name string) {
	if !s.own() {
		return
	}
	// The failure has been reported; a daemon that cannot list its processes just gets no suggestion.
	if all, err := server.Processes(ctx); err == nil {
		s.suggest(name, all)
	}
}

// suggest tells gracectl's user on stderr which names resemble one that does not exist.
func (s *Session) suggest(name string, all []control.ProcessInfo) {
	if !s.own() {
		return
	}
	spec := process.ParseNamespec(name)
	members := 0
	for _, p := range all {
		if p.Group == spec.Group {
			members++
		}
	}
	if members > 0 {
		s.complain("  hint: group " + spec.Group + " exists; all of its processes: '" + spec.Group + ":*'")
		return
	}
	limit := max(1, utf8.RuneCountInString(name)/3)
	var close []string
	for _, candidate := range processNames(all, false) {
		// A process of a group is meant by its full name, by its own name alone, or by that of the group.
		group, short, found := strings.Cut(candidate, ":")
		alike := short
		if short == "*" {
			alike = group
		}
		if distance(name, candidate) <= limit || found && distance(name, alike) <= limit {
			close = append(close, candidate)
		}
	}
	if len(close) == 0 {
		return
	}
	slices.SortStableFunc(close, func(a, b string) int { return distance(name, a) - distance(name, b) })
	s.complain("  hint: did you mean " + strings.Join(close[:min(3, len(close))], ", ") + "?")
}

// distance counts the single-character edits between two names.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, d := range y {
			cost := 1
			if c == d {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(y)]
}
