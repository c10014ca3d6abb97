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
	{regexp.MustCompile(`\bpid[ =:]\d+`), "pid PID"},
	{regexp.MustCompile(`\b(RUNNING|STARTING|STOPPING)( +yes| +no)? +\d+\b`), "$1$2 PID"}, // the table of gracectl status
	{regexp.MustCompile(`\b(\d+ days?, )?\d+:\d\d:\d\d\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ns|µs|us|ms|s|seconds?|min)\b`), "DURATION"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?([kKMG]i?B)\b`), "SIZE"},
	{regexp.MustCompile(`\b\d+\.\d%`), "SHARE"},
	{regexp.MustCompile(`/tmp/[^\s'",;:)]*`), "PATH"},
	{regexp.MustCompile(`  +`), "  "},
}

// passed are lines of the output that a text need not show: those of the activity log, which a daemon in the background writes at any
// time, and the warning that only root sees.
var passed = regexp.MustCompile(`^DATE (CRIT|ERRO|WARN|INFO|DEBG|TRAC|BLAT) |^warning: running as root `)

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

// line is a line of text as it is and masked.
type line struct{ plain, masked string }

// lines splits a text. Blanks at the end of a line and blank lines at the end mean nothing.
func lines(text string) []line {
	var out []line
	for _, plain := range strings.Split(strings.TrimRight(text, " \t\r\n"), "\n") {
		plain = strings.TrimRight(plain, " \t\r")
		masked := plain
		for _, m := range masks {
			masked = m.match.ReplaceAllString(masked, m.word)
		}
		out = append(out, line{plain, masked})
	}
	if len(out) == 1 && out[0].plain == "" {
		return nil
	}
	return out
}

// Matches says whether output is what want shows. A line "..." stands for any lines, "..." within a line for any text of that line;
// lines of the activity log that want does not show are passed over.
func Matches(want []string, output string) bool {
	w, got := lines(strings.Join(want, "\n")), lines(output)
	// rest[j] says whether w[i:] matches got[j:].
	rest := make([]bool, len(got)+1)
	for i := len(w); i >= 0; i-- {
		next := rest
		rest = make([]bool, len(got)+1)
		for j := len(got); j >= 0; j-- {
			skip := j < len(got) && passed.MatchString(got[j].masked) && rest[j+1]
			switch {
			case skip:
				rest[j] = true
			case i == len(w):
				rest[j] = j == len(got)
			case isGap(w[i].plain):
				rest[j] = next[j] || j < len(got) && rest[j+1]
			default:
				rest[j] = j < len(got) && next[j+1] && w[i].matches(got[j])
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

// matches compares one line of a text with one of the output. A "..." may stand beside what a mask would take away, hence the second look.
func (l line) matches(got line) bool {
	return textMatches(l.masked, got.masked) || textMatches(l.plain, got.plain)
}

// textMatches compares; "..." (or "…") in want is any text.
func textMatches(want, got string) bool {
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
