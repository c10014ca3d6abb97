package ctl

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
)

// unit is what one selector means: processes that are acted on together.
type unit struct {
	members []control.ProcessInfo
	// whole is set when all members of a group, or all processes, are meant: the daemon is asked once then, and keeps its own order.
	whole *control.Target
}

// pick finds the processes that words mean among all of them, each once, in the order of the words and, for one word, in that of all. Without
// words but with a wish for states these are all. A word is
//
//	all             every process
//	group:process   one process; the name alone where the group is called the same
//	group:*         every process of a group
//	web*, *:w_?     a pattern of the shell; without ":" it is compared with the names of groups and of processes
//	/regexp/        a regular expression that is found in "group:process"
//
// A word that means nothing is E310, and nothing is picked then.
func (s *Session) pick(c *call, words []string, all []control.ProcessInfo) ([]unit, error) {
	if len(words) == 0 && c.states != nil {
		words = []string{"all"}
	}
	seen := make(map[string]bool)
	var units []unit
	for _, word := range words {
		match, whole, err := c.matcher(word, all)
		if err != nil {
			return nil, err
		}
		u := unit{whole: whole}
		found := false
		for _, p := range all {
			if !match(p) {
				continue
			}
			found = true
			switch id := fullName(p); {
			case c.states != nil && !slices.Contains(c.states, p.State), seen[id]:
				u.whole = nil // less than the whole
			default:
				seen[id] = true
				u.members = append(u.members, p)
			}
		}
		if !found && word != "all" {
			return nil, s.nothingCalled(c, word, all)
		}
		if len(u.members) > 0 {
			units = append(units, u)
		}
	}
	return units, nil
}

// matcher returns what a word means.
func (c *call) matcher(word string, all []control.ProcessInfo) (match func(control.ProcessInfo) bool, whole *control.Target, err error) {
	if word == "all" {
		return func(control.ProcessInfo) bool { return true }, &control.Target{All: true}, nil
	}
	spec := process.ParseNamespec(word)
	exact := func(p control.ProcessInfo) bool {
		return p.Group == spec.Group && (spec.WholeGroup() || p.Name == spec.Process)
	}
	if slices.ContainsFunc(all, exact) {
		if spec.WholeGroup() {
			whole = &control.Target{Name: spec.Group, Group: true}
		}
		return exact, whole, nil
	}
	if len(word) > 2 && word[0] == '/' && word[len(word)-1] == '/' {
		re, err := regexp.Compile(word[1 : len(word)-1])
		if err != nil {
			return nil, nil, c.misused("no regular expression: " + err.Error())
		}
		return func(p control.ProcessInfo) bool { return re.MatchString(fullName(p)) }, nil, nil
	}
	if !strings.ContainsAny(word, "*?[") {
		return exact, nil, nil
	}
	group, name, colon := strings.Cut(word, ":")
	if colon && name == "" {
		name = "*"
	}
	for _, pattern := range []string{group, name} {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, nil, c.misused("no pattern: " + quote(word))
		}
	}
	return func(p control.ProcessInfo) bool {
		if !colon {
			return glob(group, p.Group) || glob(group, p.Name)
		}
		return glob(group, p.Group) && glob(name, p.Name)
	}, nil, nil
}

// glob matches; the pattern is known to be one.
func glob(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}

// fullName is "group:name", also where both are the same.
func fullName(p control.ProcessInfo) string { return p.Group + ":" + p.Name }

// members are the processes of all units.
func members(units []unit) []control.ProcessInfo {
	var out []control.ProcessInfo
	for _, u := range units {
		out = append(out, u.members...)
	}
	return out
}

// nothingCalled is the problem of a name that nothing has, with those that resemble it.
func (s *Session) nothingCalled(c *call, word string, all []control.ProcessInfo) *format.Problem {
	p := &format.Problem{Code: "E310", Title: "no such process", Detail: "no process " + strconv.Quote(word)}
	again := s.Program + " " + c.verb + " "
	if c.verb == "signal" && len(c.words) > 0 {
		again += c.words[0] + " "
	}
	group := process.ParseNamespec(word).Group
	if n := countGroup(group, all); n > 0 {
		p.Hint = "group " + group + " has " + strconv.Itoa(n) + "; all of them: " + again + "'" + group + ":*'"
		return p
	}
	close := resembling(word, all)
	switch {
	case len(all) == 0:
		p.Hint = "the daemon has no processes at all"
	case len(close) > 0:
		p.Hint = "did you mean " + strings.Join(close[:min(3, len(close))], ", ") + "?"
		if group, _, _ := strings.Cut(close[0], ":"); !strings.HasSuffix(close[0], ":*") && countGroup(group, all) > 1 {
			p.Hint += "   all of group " + group + ": " + again + "'" + group + ":*'"
		}
	case strings.ContainsAny(word, "*?[/"):
		p.Hint = "all names: " + s.Program + " status -o name"
	}
	return p
}

func countGroup(group string, all []control.ProcessInfo) int {
	n := 0
	for _, p := range all {
		if p.Group == group {
			n++
		}
	}
	return n
}
