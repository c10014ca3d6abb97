package ctl

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
)

// WellKnownSockets is where daemons are found that were installed by a package or started with the defaults.
var WellKnownSockets = []string{"/run/graced.sock", "/run/supervisor.sock", "/var/run/supervisor.sock", "/tmp/supervisor.sock"}

// explainConnection says in gracectl's own words that nobody answers at the server's URL, or that we may not ask, and sets the exit status.
// It reports whether it has.
func (s *Session) explainConnection(err error) bool {
	if !s.own() || !refused(err) && !missing(err) && !hungUp(err) && !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) {
		return false
	}
	p := s.problem(err, &call{})
	s.printer().Fail(p)
	s.status = p.Exit
	return true
}

// resembling lists the names that are nearly name, the closest first.
func resembling(name string, all []control.ProcessInfo) []string {
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
	slices.SortStableFunc(close, func(a, b string) int { return distance(name, a) - distance(name, b) })
	return close
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
