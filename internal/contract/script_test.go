// Package contract runs the same sessions against Debian's Supervisor and against graced, in every pairing of daemon and client, and
// compares what a user sees: standard output, standard error and exit codes, answers to calls, bytes on a connection, files, with pids,
// times and paths masked.
//
// It has test files alone, so it may import everything. A session is a script in testdata; what Debian's pair answers is recorded beside
// it (name.want), so that the comparison works where Supervisor is not installed, and checked against the real one where it is.
//
// testdata/README.md describes the language of the scripts.
package contract

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/shlex"
)

// statement is one line of a script and the indented lines behind it.
type statement struct {
	pos    string // file:line, and the label
	verb   string
	rest   string
	block  []string
	quirks []quirk // of a step
}

// quirk is a known difference.
type quirk struct {
	side     string // "daemon" or "ctl"
	id       string
	any      bool           // what our side gives is not compared
	extra    *regexp.Regexp // lines that our side has and Supervisor has not
	old, new string         // a line of Supervisor's that is another at our side, if old is not ""
	want     []string       // if nothing of this is set: what our side gives instead
}

// apply changes what is expected and what was got to what has to be equal then. It tells if the quirk no longer has anything to do.
func (q quirk) apply(expected, got []string) (newExpected, newGot []string, stale string) {
	switch {
	case q.any:
	case q.extra != nil:
		n := len(got)
		got = slices.DeleteFunc(slices.Clone(got), q.extra.MatchString)
		if len(got) == n {
			return expected, got, "no line matches " + q.extra.String()
		}
	case q.old != "":
		i := slices.Index(expected, q.old)
		if i < 0 {
			return expected, got, "Supervisor has no line " + q.old
		}
		expected = slices.Clone(expected)
		expected[i] = q.new
	default:
		expected = q.want
	}
	return expected, got, ""
}

func parseScript(t *testing.T, path string) []statement {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []statement
	label := ""
	labels := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		pos := fmt.Sprintf("%s:%d%s", filepath.Base(path), i+1, label)
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
		case strings.HasPrefix(line, "label "):
			label = "#" + strings.TrimPrefix(line, "label ")
			if labels[label] {
				t.Fatalf("%s: label %s twice", pos, label)
			}
			labels[label] = true
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
			q := quirk{side: words[0], id: words[1]}
			_, form, _ := strings.Cut(rest, words[1])
			form = strings.TrimSpace(form)
			switch kind, text, _ := strings.Cut(form, " "); kind {
			case "":
			case "any":
				q.any = true
			case "extra":
				q.extra = regexp.MustCompile(text)
			case "replace":
				q.old, q.new, _ = strings.Cut(text, " => ")
			default:
				t.Fatalf("%s: no such form of a quirk", pos)
			}
			last.quirks = append(last.quirks, q)
		}
	}
	return out
}

// isStep reports whether the statement leaves a record.
func (s statement) isStep() bool {
	switch s.verb {
	case "ctl", "sorted", "raw", "shell", "talk", "rpc", "rpc*", "http", "cat", "grep", "proc", "ps", "end", "serve":
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
			if strings.HasPrefix(l, "$ ") {
				l = `\` + l // not to be taken for a step
			}
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
			if strings.HasPrefix(line, `\$ `) {
				line = line[1:]
			}
			out[len(out)-1] = append(out[len(out)-1], line)
		}
	}
	return out
}
