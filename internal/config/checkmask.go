package config

import (
	"strings"

	"github.com/graced/graced/internal/process"
)

// hiddenText stands for a value that is not repeated.
const hiddenText = "(hidden)"

// secretWords are in the names of options, variables and switches that hold secrets.
var secretWords = []string{"password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "api-key", "apikey", "access_key", "access-key", "accesskey", "private_key"}

func soundsSecret(s string) bool {
	s = asciiLower(s)
	for _, w := range secretWords {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// secret reports whether the value of an option is not to be shown at all: it is a password, or an environment that seems to hold one.
func (e *entry) secret() bool {
	if e.key == "environment" {
		lower := asciiLower(e.value)
		return soundsSecret(lower) || strings.Contains(lower, "pass") || strings.Contains(lower, "key") || strings.Contains(lower, "auth") || strings.Contains(lower, "://")
	}
	return soundsSecret(e.key)
}

// mask replaces what looks like a secret in a line or a command, character for character: all that W155 finds, and what stands behind a name with a
// word of secrets in it, --password-file=x and "passwords: x" too.
func mask(s string) string {
	lower := asciiLower(s)
	out := []byte(s)
	for _, at := range process.ShownSecrets(s) {
		maskSpan(out, at.Start, at.End)
	}
	for _, w := range secretWords {
		for from := 0; ; {
			i := strings.Index(lower[from:], w)
			if i < 0 {
				break
			}
			start := from + i
			from = start + len(w)
			end := from
			for end < len(s) && (isWordByte(s[end]) || s[end] == '-') { // --password-file
				end++
			}
			first := start
			for first > 0 && (isWordByte(s[first-1]) || s[first-1] == '-') {
				first--
			}
			stop := " \t,;'\""
			if first > 0 && (s[first-1] == '?' || s[first-1] == '&') {
				stop += "&#" // of a query
			}
			flag := start > 0 && strings.HasPrefix(s[strings.LastIndexAny(s[:start], " \t\"'=")+1:], "-")
			rest := strings.TrimLeft(s[end:], " \t")
			switch {
			case process.OfList(s[first:end]):
				continue
			case strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, ":"):
				rest = strings.TrimLeft(rest[1:], " \t")
			case !flag || len(rest) == len(s[end:]):
				continue
			}
			maskWord(out, len(s)-len(rest), stop)
		}
	}
	return strings.ReplaceAll(string(out), "\xff", "")
}

// maskWord masks from a place to one of the characters of stop, or to the end of the quotation that starts there.
func maskWord(out []byte, i int, stop string) {
	if i < len(out) && (out[i] == '"' || out[i] == '\'') {
		stop = string(out[i])
		i++
	}
	end := i
	for end < len(out) && strings.IndexByte(stop, out[end]) < 0 {
		end++
	}
	maskSpan(out, i, end)
}

// maskSpan masks what stands between two places.
func maskSpan(out []byte, from, to int) {
	for i := from; i < to; i++ {
		switch {
		case out[i]&0xc0 == 0x80:
			out[i] = 0xff // the rest of a character: taken out by mask
		case out[i] != 0xff:
			out[i] = '*'
		}
	}
}

// clean replaces what a terminal would obey instead of showing, character for character.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || 0x7f <= r && r < 0xa0:
			return '?'
		}
		return r
	}, s)
}

// shown quotes a value for a text, cut if it is long.
func shown(v string) string {
	v = mask(strings.ReplaceAll(v, "\n", " "))
	if t := truncate(v, 80); t != v {
		v = t + "..."
	}
	return `"` + v + `"`
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// asciiLower is strings.ToLower for ASCII, which keeps the places of all bytes.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
