package doctest

import (
	"fmt"
	"regexp"
	"strings"
)

// masks replace what differs from run to run by a fixed word, in the documentation and in the real output alike.
var masks = []struct {
	match *regexp.Regexp
	word  string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?(UTC|Z|[+-]\d\d:?\d\d))?`), "DATE"},
	{regexp.MustCompile(`\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d \d\d:\d\d [AP]M`), "DATE"},
	{regexp.MustCompile(`\bpid[ =]\d+`), "pid PID"},
	{regexp.MustCompile(`\b(\d+ days?, )?\d+:\d\d:\d\d\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ns|µs|us|ms|s|seconds?|min)\b`), "DURATION"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?([kKMG]i?B)\b`), "SIZE"},
	{regexp.MustCompile(`/tmp/[^\s'",;:)]*`), "PATH"},
	{regexp.MustCompile(`  +`), "  "},
}

// logLine is a line of the activity log. A daemon in the background writes them at any time.
var logLine = regexp.MustCompile(`^DATE (CRIT|ERRO|WARN|INFO|DEBG|TRAC|BLAT) `)

// Mismatch is output that is not what the documentation shows.
type Mismatch struct{ Want, Got []string }

func mismatch(want []string, output string) *Mismatch {
	return &Mismatch{want, strings.Split(strings.TrimRight(output, "\n"), "\n")}
}

// Error shows both texts.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("the documentation shows\n%s\nand the command printed\n%s", indented(m.Want), indented(m.Got))
}

func indented(lines []string) string {
	if len(lines) == 0 {
		return "    (nothing)"
	}
	return "    " + strings.Join(lines, "\n    ")
}

// canonical masks a text and splits it into lines. Blank lines at its end mean nothing.
func canonical(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		for _, m := range masks {
			line = m.match.ReplaceAllString(line, m.word)
		}
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// Matches says whether output is what want shows. A line "..." stands for any lines, "..." within a line for any text of that line;
// lines of the activity log that want does not show are passed over.
func Matches(want []string, output string) bool {
	w, got := canonical(strings.Join(want, "\n")), canonical(output)
	// rest[j] says whether w[i:] matches got[j:].
	rest := make([]bool, len(got)+1)
	for i := len(w); i >= 0; i-- {
		next := rest
		rest = make([]bool, len(got)+1)
		for j := len(got); j >= 0; j-- {
			skip := j < len(got) && logLine.MatchString(got[j]) && rest[j+1]
			switch {
			case skip:
				rest[j] = true
			case i == len(w):
				rest[j] = j == len(got)
			case isGap(w[i]):
				rest[j] = next[j] || j < len(got) && rest[j+1]
			default:
				rest[j] = j < len(got) && next[j+1] && lineMatches(w[i], got[j])
			}
		}
	}
	return rest[0]
}

// isGap reports whether a line stands for any number of lines.
func isGap(line string) bool {
	line = strings.TrimSpace(line)
	return line == "..." || line == "…"
}

// lineMatches compares one line; "..." (or "…") in want is any text.
func lineMatches(want, got string) bool {
	parts := strings.Split(strings.ReplaceAll(want, "…", "..."), "...")
	if len(parts) == 1 {
		return want == got
	}
	got, ok := strings.CutPrefix(got, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(got, part)
		if !found {
			return false
		}
		got = after
	}
	return strings.HasSuffix(got, parts[len(parts)-1])
}
