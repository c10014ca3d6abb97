package config

import (
	"fmt"
	"strconv"
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

// parseInt is Python's int(s, base) for base 8 and 10. A number beyond 64 bits is refused, where Python goes on.
func parseInt(s string, base int) (int64, error) {
	text, err := intText(s, base)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		return 0, &valueError{fmt.Sprintf("number out of range: %s", truncate(repr(s), 200)), "give a smaller number"}
	}
	return n, nil
}

// intText returns what Python's int(s, base) reads, of any size, in plain digits: blanks around, a sign, single underscores between digits, the digits of
// any script, and for octal the prefix 0o.
func intText(s string, base int) (string, error) {
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
	var digits strings.Builder
	for i, r := range text {
		if r == '_' {
			if !underscore || i == len(text)-1 {
				return "", bad
			}
			underscore = false
			continue
		}
		d := digit(r)
		if d < 0 || d >= base {
			return "", bad
		}
		underscore = true
		digits.WriteByte(byte('0' + d))
	}
	if digits.Len() == 0 {
		return "", bad
	}
	switch plain := strings.TrimLeft(digits.String(), "0"); {
	case plain == "":
		return "0", nil
	case negative:
		return "-" + plain, nil
	default:
		return plain, nil
	}
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
