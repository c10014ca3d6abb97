package ctl

import (
	"context"
	"io"

	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/shlex"
)

// FileVerb is what a verb that needs no daemon does with the words behind it. It returns the exit status.
type FileVerb func(args []string, out, err io.Writer) int

// fileVerbs are gracectl's verbs about configuration files, and takeover, which asks for itself. They need no daemon.
var fileVerbs = []command{
	{
		name: "check", args: "[--fix] [-o FORM] [file]",
		brief: "find everything that is wrong with a configuration file; its forms are also short and sarif",
	},
	{
		name: "explain", args: "[-o FORM] <option>",
		brief: "what an option does, what a change of it costs, and where it is set",
	},
	{
		name: "takeover", args: "[--dry-run [-o json]] [--force] [-n]",
		brief: "have graced take over what a running supervisord (Python's) has; no process is restarted",
	},
}

// NeedsNoDaemon reports whether an action is one of the fileVerbs, or asks for help, so that neither a daemon nor settings for one are needed.
func NeedsNoDaemon(face Face, action []string) bool {
	if face != Gracectl || len(action) == 0 {
		return false
	}
	if asksHelp(action[1:]) {
		return true
	}
	for _, c := range fileVerbs {
		if c.name == action[0] {
			return true
		}
	}
	return false
}

// fileVerb returns what a verb about configuration files does, nil for any other and for Supervisor's face.
func (s *Session) fileVerb(verb string) FileVerb {
	switch {
	case !s.own():
	case verb == "check":
		return s.Check
	case verb == "explain":
		return s.Explain
	case verb == "takeover":
		return s.TakeOver
	}
	return nil
}

// formed adds the form of the session to the words of a verb about files. What they say themselves wins.
func (s *Session) formed(words []string) []string {
	if s.Form == format.Text {
		return words
	}
	return append([]string{"-o", string(s.Form)}, words...)
}

// formOf reports whether a form is one of a verb about files, beside those that all verbs have.
func formOf(form string, action []string) bool {
	return len(action) > 0 && action[0] == "check" && (form == "short" || form == "sarif")
}

// runFileVerb runs such a verb for a line of the shell.
func (s *Session) runFileVerb(verb FileVerb) func(context.Context, string) error {
	return func(_ context.Context, arg string) error {
		words, err := shlex.Split(arg)
		if err != nil {
			return err
		}
		s.status = verb(s.formed(words), s.Out, s.Err)
		return nil
	}
}
