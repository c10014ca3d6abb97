package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// scope is a set of names for %(name)s, on top of those of its parent (contract: config, "Expansion").
type scope struct {
	parent *scope
	names  map[string]value
}

func newScope(parent *scope) *scope { return &scope{parent: parent, names: map[string]value{}} }

func (s *scope) lookup(name string) (value, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.names[name]; ok {
			return v, true
		}
	}
	return value{}, false
}

// available returns every name, sorted.
func (s *scope) available() []string {
	all := map[string]bool{}
	for ; s != nil; s = s.parent {
		for name := range s.names {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// expand replaces the %(name)s of a value. what names the option in error texts; here is the meaning of %(here)s bound to the value,
// or "".
func (s *scope) expand(format, here, what string) (string, error) {
	out, err := percentFormat(format, func(name string) (value, bool) {
		if name == "here" && here != "" {
			return textValue(here), true
		}
		return s.lookup(name)
	})
	if err == nil {
		return out, nil
	}
	shown := format
	if here != "" {
		shown = replaceHere(format, here)
	}
	var missing *unknownName
	if errors.As(err, &missing) {
		names := s.available()
		hint := "write %% for a literal percent sign"
		if near := nearest(missing.name, names); near != "" {
			hint = "did you mean %(" + near + ")s?"
		} else if strings.HasPrefix(missing.name, "ENV_") {
			hint = "the variable " + missing.name[len("ENV_"):] + " is not set in the environment of the daemon"
		}
		return "", &expandError{
			text: fmt.Sprintf("Format string %s for %s contains names (%s) which cannot be expanded. Available names: %s",
				repr(shown), repr(what), missing, strings.Join(names, ", ")),
			cause: fmt.Sprintf("%%(%s)s is not a known name", missing.name), hint: hint, name: missing.name, known: names,
		}
	}
	return "", &expandError{
		text:  fmt.Sprintf("Format string %s for %s is badly formatted: %s", repr(shown), repr(what), err),
		cause: "a percent sign does not start a %(name)s: " + err.Error(), hint: percentHint,
	}
}

// expandError is a failed expansion. Its text lists every name, the daemon's whole environment among them, so humans get the cause.
type expandError struct {
	text, cause, hint string
	name              string   // the unknown name; "" = the format is bad
	known             []string // the names that are known in its place, sorted
}

func (e *expandError) Error() string { return e.text }

// replaceHere replaces %(here)s, but not %%(here)s.
func replaceHere(s, here string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '%')
		switch {
		case i < 0:
			return b.String() + s
		case strings.HasPrefix(s[i:], "%%"):
			b.WriteString(s[:i+2])
			s = s[i+2:]
		case strings.HasPrefix(s[i:], "%(here)s"):
			b.WriteString(s[:i] + here)
			s = s[i+len("%(here)s"):]
		default:
			b.WriteString(s[:i+1])
			s = s[i+1:]
		}
	}
}

// nearest returns the candidate that a mistyped word was most likely meant to be, or "".
func nearest(word string, candidates []string) string {
	best, distance := "", 1+min(2, len(word)/3)
	for _, c := range candidates {
		if d := editDistance(word, c, distance); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts the letters to add, drop or change, up to limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
