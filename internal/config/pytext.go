package config

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/graced/graced/internal/pytext"
)

// isSpace is Python's str.isspace for one character: Go's set and the four information separators.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// strip is Python's str.strip().
func strip(s string) string { return strings.TrimFunc(s, isSpace) }

// lower is Python's str.lower(), except for the final sigma of Greek words.
func lower(s string) string { return strings.ToLower(strings.ReplaceAll(s, "İ", "i\u0307")) }

// repr is Python's repr of a string: the quotes that error texts show.
func repr(s string) string { return pytext.Repr(s) }

// ascii is Python's ascii of a string: repr with every character outside of ASCII escaped.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range repr(s) {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			b.WriteString(pytext.Escape(r))
		}
	}
	return b.String()
}

// truncate keeps the first n characters of s.
func truncate(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// outOfRange is how the error of a number begins that does not fit into 64 bits.
const outOfRange = "number out of range: "

// parseInt is Python's int(s, base) for base 8 and 10: blanks around, a sign, single underscores between digits, the digits of any
// script, and for octal the prefix 0o. A number beyond 64 bits is refused, where Python goes on.
func parseInt(s string, base int) (int64, error) {
	bad := &valueError{
		text: fmt.Sprintf("invalid literal for int() with base %d: %s", base, truncate(repr(s), 200)),
		hint: "give a whole number",
	}
	text := strip(s)
	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	underscore := false // one is allowed here
	if base == 8 && len(text) > 1 && text[0] == '0' && (text[1] == 'o' || text[1] == 'O') {
		text, underscore = text[2:], true
	}
	var n int64
	digits := 0
	for i, r := range text {
		if r == '_' {
			if !underscore || i == len(text)-1 {
				return 0, bad
			}
			underscore = false
			continue
		}
		d := digit(r)
		if d < 0 || d >= base {
			return 0, bad
		}
		underscore = true
		digits++
		if n > (1<<63-1-int64(d))/int64(base) {
			return 0, &valueError{outOfRange + truncate(repr(s), 200), "give a smaller number"}
		}
		n = n*int64(base) + int64(d)
	}
	if digits == 0 {
		return 0, bad
	}
	if negative {
		n = -n
	}
	return n, nil
}

// digit returns the value of a decimal digit of any script, or -1.
func digit(r rune) int {
	if '0' <= r && r <= '9' {
		return int(r - '0')
	}
	if r < 0x80 || !unicode.Is(unicode.Nd, r) {
		return -1
	}
	// Digits come in runs of ten, each starting with a zero.
	for _, t := range unicode.Nd.R16 {
		if uint16(r) >= t.Lo && uint16(r) <= t.Hi && r < 0x10000 {
			return int(uint16(r)-t.Lo) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if uint32(r) >= t.Lo && uint32(r) <= t.Hi {
			return int(uint32(r)-t.Lo) % 10
		}
	}
	return -1
}
