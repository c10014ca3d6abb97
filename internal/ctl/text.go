package ctl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fields splits as Python's str.split() does: at Unicode white space and the four ASCII separators.
func fields(s string) []string { return strings.FieldsFunc(s, isSpace) }

func trim(s string) string { return strings.TrimFunc(s, isSpace) }

func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// quote renders a string as Python's repr does, for messages that show an argument (contract: ctl, "Options").
func quote(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\udc%02x`, s[i]) // how Python carries a byte that is not UTF-8
		case r == rune(q) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || r > 0x7f && r <= 0xff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	b.WriteByte(q)
	return b.String()
}

// parseInt reads a number as Python's int() does: a sign, digits, single underscores between digits.
func parseInt(s string) (int64, bool) {
	s = trim(s)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || digits[0] == '_' || digits[len(digits)-1] == '_' || strings.Contains(digits, "__") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+"), 10, 64)
	return n, err == nil
}

// escapeNonASCII writes what an ASCII terminal cannot show as backslash escapes (quirk E11).
func escapeNonASCII(s string) string {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < utf8.RuneSelf:
			b.WriteByte(s[i])
		case r == utf8.RuneError && n == 1, r <= 0xff:
			c := uint32(r)
			if n == 1 {
				c = uint32(s[i])
			}
			fmt.Fprintf(&b, `\x%02x`, c)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

// pad fills s with spaces up to width characters, as Python's %-Ns does.
func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

// columns lays words out as supervisorctl's help listing does: down the columns, as few rows as fit into width, two spaces between.
func columns(words []string, width int) []string {
	switch len(words) {
	case 0:
		return []string{"<empty>"}
	case 1:
		return words
	}
	layout := func(rows int) (widths []int, total int) {
		total = -2
		for from := 0; from < len(words); from += rows {
			w := 0
			for _, x := range words[from:min(from+rows, len(words))] {
				w = max(w, utf8.RuneCountInString(x))
			}
			widths = append(widths, w)
			total += w + 2
		}
		return widths, total
	}
	rows, widths := len(words), []int{0}
	for n := 1; n < len(words); n++ {
		if w, total := layout(n); total <= width {
			rows, widths = n, w
			break
		}
	}
	var lines []string
	for r := range rows {
		var cells []string
		for c, w := range widths {
			if i := r + rows*c; i < len(words) {
				cells = append(cells, pad(words[i], w))
			}
		}
		lines = append(lines, strings.Join(cells, "  "))
	}
	return lines
}
