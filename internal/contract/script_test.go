// Package contract runs the same sessions against Debian's Supervisor and against graced, in every pairing of daemon and client, and
// compares what a user sees: standard output, standard error and exit codes, with pids, times and paths masked.
//
// It has test files alone, so it may import everything. A session is a script in testdata; what Debian's pair answers is recorded beside
// it (name.want), so that the comparison works where Supervisor is not installed, and checked against the real one where it is.
//
// The language of the scripts, a statement to a line:
//
//	# comment
//	file NAME            the indented lines that follow become a file in the session's directory
//	edit OLD => NEW      replaces text in s.conf; it must occur
//	daemon start|stop    start waits until the daemon answers, stop ends it with SIGTERM and waits for its end
//	wait NAME STATE      until the process is in a state; "wait NAME gone" until it does not exist, "wait daemon gone" until nobody answers
//	touch NAME           creates a file
//	call METHOD ARGS     calls a method of the daemon; "true" and "false" are booleans
//	env NAME=VALUE       for the clients from here on
//	ctl ARGS             runs the client with -c s.conf and records stdout, stderr and exit code; ARGS are split as a shell does
//	sorted ARGS          the same with sorted output: results come in the order of completion (quirk E12)
//	raw ARGS             the same without -c s.conf
//	shell ARGS           the same with the indented lines that follow on standard input
//	talk ARGS            a client that does not end by itself; the indented lines that follow are "< TEXT" (wait until it has printed
//	                     TEXT), "> LINE" (type LINE), "= STATEMENT" (one that leaves no record), "^C" and "^D" (end its input);
//	                     the last two when it has nothing to do
//	quirk SIDE ID        the indented lines that follow are what our side (daemon or ctl) prints instead for the statement before, and its
//	                     exit code as "[exit N]"; "quirk SIDE ID any" with no lines does not compare. Of several that hold the last counts
//
// In all of it $D stands for the directory, $P for a free TCP port.
package contract

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graced/graced/internal/shlex"
)

// statement is one line of a script and the indented lines behind it.
type statement struct {
	pos    string // file:line
	verb   string
	rest   string
	block  []string
	quirks []quirk // of a step
}

// quirk is a known difference.
type quirk struct {
	side string // "daemon" or "ctl"
	id   string
	any  bool
	want []string
}

func parseScript(t *testing.T, path string) []statement {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []statement
	for i, line := range strings.Split(string(data), "\n") {
		pos := fmt.Sprintf("%s:%d", filepath.Base(path), i+1)
		switch {
		case strings.HasPrefix(line, "    "):
			if len(out) == 0 {
				t.Fatalf("%s: an indented line without a statement", pos)
			}
			last := &out[len(out)-1]
			if n := len(last.quirks); n > 0 {
				last.quirks[n-1].want = append(last.quirks[n-1].want, line[4:])
			} else {
				last.block = append(last.block, line[4:])
			}
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "#"):
		default:
			verb, rest, _ := strings.Cut(line, " ")
			if verb != "quirk" {
				out = append(out, statement{pos: pos, verb: verb, rest: rest})
				continue
			}
			words := strings.Fields(rest)
			if len(out) == 0 || len(words) < 2 || words[0] != "daemon" && words[0] != "ctl" {
				t.Fatalf("%s: quirk daemon|ctl ID behind a step", pos)
			}
			last := &out[len(out)-1]
			last.quirks = append(last.quirks, quirk{side: words[0], id: words[1], any: len(words) > 2 && words[2] == "any"})
		}
	}
	return out
}

// isStep reports whether the statement leaves a record.
func (s statement) isStep() bool {
	switch s.verb {
	case "ctl", "sorted", "raw", "shell", "talk":
		return true
	}
	return false
}

// args splits the words of a step.
func (s statement) args(t *testing.T) []string {
	t.Helper()
	words, err := shlex.Split(s.rest)
	if err != nil {
		t.Fatalf("%s: %v", s.pos, err)
	}
	return words
}

// step is what a user saw of one statement: masked lines, stderr's with "! " in front, and "[exit N]".
type step struct {
	statement
	lines []string
}

// render writes steps as a transcript.
func render(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "$ %s %s\n", s.verb, s.rest)
		for _, l := range s.lines {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}

// split cuts a transcript into the lines of its steps, in order.
func split(transcript string) [][]string {
	var out [][]string
	for _, line := range strings.Split(strings.TrimSuffix(transcript, "\n"), "\n") {
		if strings.HasPrefix(line, "$ ") {
			out = append(out, nil)
			continue
		}
		if len(out) > 0 {
			out[len(out)-1] = append(out[len(out)-1], line)
		}
	}
	return out
}
