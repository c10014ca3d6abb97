package daemon

import (
	"regexp"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestLineSeeker: lines are put together from pieces, end with each life, and of long ones the beginning counts.
func TestLineSeeker(t *testing.T) {
	long := strings.Repeat("x", lineMost)
	for _, c := range []struct {
		pattern string
		pieces  []string // a piece that begins with "|" is of the next life
		at      int      // which piece makes it match; -1 = none
	}{
		{"^up$", []string{"u", "p", "\n"}, 2}, {"^up$", []string{"not up\nup\r\nmore"}, 0}, {"^up$", []string{"up", "|\nu", "p\n"}, 2}, {"^up$", []string{"up", "per\nsup\n", "up"}, -1},
		{"^$", []string{"a\n", "\n"}, 1}, {"x$", []string{long[1:], "x", "y\n"}, 1}, {"y", []string{long + "y\n" + "z", "y\n"}, 1}, {"y", []string{long, "y\n", "|y", "\n"}, 3},
		{"^b$", []string{long + "a\nb", "\n"}, 1},
	} {
		s := &lineSeeker{pattern: regexp.MustCompile(c.pattern)}
		life, at := process.Incarnation(1), -1
		for i, piece := range c.pieces {
			if rest, next := strings.CutPrefix(piece, "|"); next {
				life, piece = life+1, rest
			}
			if s.sees(life, []byte(piece)) {
				at = i
				break
			}
		}
		if at != c.at {
			t.Errorf("%s in %.40q: piece %d, want %d", c.pattern, c.pieces, at, c.at)
		}
	}
}
