package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// value is what a name in a %(name)s expansion stands for: a text or a whole number.
type value struct {
	text  string
	num   int64
	isNum bool
}

func textValue(s string) value { return value{text: s} }

func numValue(n int64) value { return value{num: n, isNum: true} }

// unknownName is a name that an expansion does not have.
type unknownName struct{ name string }

func (e *unknownName) Error() string { return repr(e.name) }

// maxWidth bounds the width and precision of a conversion; the reference would try to build a text of any length.
const maxWidth = 1 << 16

// conversion is one %... of a format.
type conversion struct {
	left, plus, blank, alt, zero bool
	width, prec                  int // -1 = none
	verb                         rune
	at                           int // where the verb stands, in characters
}

// formatter walks through a format.
type formatter struct {
	rest   string
	pos    int // characters consumed
	lookup func(name string) (value, bool)

	arg     value
	keyed   bool // some conversion has named its value
	pending bool // arg was looked up and not used yet
}

// percentFormat is Python's format % mapping, for mappings of names to texts and whole numbers. A name that lookup does not know is
// an *unknownName; other errors carry Python's text. A conversion without a name, which Python fills with the text of the whole
// mapping, is refused (quirk A2).
func percentFormat(format string, lookup func(string) (value, bool)) (string, error) {
	if !strings.Contains(format, "%") {
		return format, nil
	}
	f := &formatter{rest: format, lookup: lookup}
	var b strings.Builder
	for f.rest != "" {
		literal := f.rest
		if i := strings.IndexByte(f.rest, '%'); i >= 0 {
			literal = f.rest[:i]
		}
		b.WriteString(literal)
		f.rest = f.rest[len(literal):]
		f.pos += utf8.RuneCountInString(literal)
		if f.rest == "" {
			break
		}
		f.read() // the percent sign
		s, err := f.convert()
		if err != nil {
			return "", err
		}
		b.WriteString(s)
		if b.Len() > 1<<24 {
			return "", &valueError{"the expanded text is too long", "shorten it"}
		}
	}
	return b.String(), nil
}

// read consumes one character; false at the end.
func (f *formatter) read() (rune, bool) {
	if f.rest == "" {
		return 0, false
	}
	r, size := utf8.DecodeRuneInString(f.rest)
	f.rest = f.rest[size:]
	f.pos++
	return r, true
}

const percentHint = "write %% for a literal percent sign"

func formatError(format string, args ...any) error {
	return &valueError{fmt.Sprintf(format, args...), percentHint}
}

var errIncomplete = &valueError{"incomplete format", percentHint}

// convert reads one conversion after its percent sign and returns its text.
func (f *formatter) convert() (string, error) {
	r, ok := f.read()
	if !ok {
		return "", errIncomplete
	}
	if r == '%' {
		return "%", nil
	}
	if r == '(' {
		if err := f.readName(); err != nil {
			return "", err
		}
		if r, ok = f.read(); !ok {
			return "", errIncomplete
		}
	}
	c := conversion{width: -1, prec: -1}
	for flags := true; flags; {
		switch r {
		case '-':
			c.left = true
		case '+':
			c.plus = true
		case ' ':
			c.blank = true
		case '#':
			c.alt = true
		case '0':
			c.zero = true
		default:
			flags = false
			continue
		}
		if r, ok = f.read(); !ok {
			return "", errIncomplete
		}
	}
	var err error
	if c.width, r, ok, err = f.readSize(r, "width"); err != nil {
		return "", err
	}
	if ok && r == '.' {
		if r, ok = f.read(); ok {
			if c.prec, r, ok, err = f.readSize(r, "precision"); err != nil {
				return "", err
			}
		}
		c.prec = max(c.prec, 0)
	}
	if ok && (r == 'h' || r == 'l' || r == 'L') {
		r, ok = f.read()
	}
	if !ok {
		return "", errIncomplete
	}
	c.verb, c.at = r, f.pos-1
	return f.format(c)
}

// readName reads the name of a conversion up to its closing parenthesis and looks it up.
func (f *formatter) readName() error {
	depth := 1
	for i, r := range f.rest {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth > 0 {
			continue
		}
		name := f.rest[:i]
		f.rest = f.rest[i+1:]
		f.pos += utf8.RuneCountInString(name) + 1
		v, ok := f.lookup(name)
		if !ok {
			return &unknownName{name}
		}
		f.arg, f.keyed, f.pending = v, true, true
		return nil
	}
	return formatError("incomplete format key")
}

// readSize reads a width or a precision that starts at r, if any. It returns -1 without one, and the character after it.
func (f *formatter) readSize(r rune, what string) (int, rune, bool, error) {
	switch {
	case r == '*':
		v, err := f.take()
		if err != nil {
			return 0, 0, false, err
		}
		if v == nil || !v.isNum {
			return 0, 0, false, formatError("* wants int")
		}
		// The size itself has no effect: its conversion has no value left and fails.
		next, ok := f.read()
		return 0, next, ok, nil
	case '0' <= r && r <= '9':
		size, ok := 0, true
		for ok && '0' <= r && r <= '9' {
			size = size*10 + int(r-'0')
			if size > maxWidth {
				return 0, 0, false, formatError("%s too big", what)
			}
			r, ok = f.read()
		}
		return size, r, ok, nil
	}
	return -1, r, true, nil
}

// take returns the value of the current conversion. It can be taken once. nil stands for the mapping itself: the conversion has no
// name, and no conversion before it had one.
func (f *formatter) take() (*value, error) {
	switch {
	case f.pending:
		f.pending = false
		return &f.arg, nil
	case f.keyed:
		return nil, formatError("not enough arguments for format string")
	}
	f.keyed = true
	return nil, nil
}

// format renders the current value.
func (f *formatter) format(c conversion) (string, error) {
	v, err := f.take()
	if err != nil {
		return "", err
	}
	kind := "str"
	switch {
	case v == nil:
		kind = "dict"
		v = &value{}
	case v.isNum:
		kind = "int"
	}
	switch c.verb {
	case 's', 'r', 'a':
		if kind == "dict" {
			return "", formatError("%%%c has no (name); a literal percent sign is written %%%%", c.verb)
		}
		return c.pad(c.text(v), false), nil
	case 'd', 'i', 'u', 'o', 'x', 'X':
		if kind != "int" {
			want := "a real number"
			if c.verb == 'o' || c.verb == 'x' || c.verb == 'X' {
				want = "an integer"
			}
			return "", formatError("%%%c format: %s is required, not %s", c.verb, want, kind)
		}
		return c.pad(c.integer(v.num), true), nil
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if kind != "int" {
			return "", formatError("must be real number, not %s", kind)
		}
		return c.pad(c.float(v.num), true), nil
	case 'c':
		return c.char(v, kind)
	}
	shown := '?'
	if 31 <= c.verb && c.verb < 126 {
		shown = c.verb
	}
	return "", formatError("unsupported format character '%c' (0x%x) at index %d", shown, c.verb, c.at)
}

// text renders %s, %r and %a, cut to the precision.
func (c conversion) text(v *value) string {
	s := v.text
	switch {
	case v.isNum:
		s = strconv.FormatInt(v.num, 10)
	case c.verb == 'r':
		s = repr(s)
	case c.verb == 'a':
		s = ascii(s)
	}
	if c.prec >= 0 {
		s = truncate(s, c.prec)
	}
	return s
}

// integer renders a whole number with its sign and, with #, its prefix.
func (c conversion) integer(n int64) string {
	base, prefix := 10, ""
	switch c.verb {
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0x"
	}
	digits, sign := strconv.FormatInt(n, base), ""
	if n < 0 {
		digits, sign = digits[1:], "-"
	}
	if missing := c.prec - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if !c.alt {
		prefix = ""
	}
	s := sign + prefix + digits
	if c.verb == 'X' {
		s = strings.ToUpper(s)
	}
	return s
}

func (c conversion) float(n int64) string {
	prec := c.prec
	if prec < 0 {
		prec = 6
	}
	alt := ""
	if c.alt {
		alt = "#"
	}
	return fmt.Sprintf("%"+alt+"."+strconv.Itoa(prec)+string(c.verb), float64(n))
}

func (c conversion) char(v *value, kind string) (string, error) {
	switch {
	case kind == "str" && utf8.RuneCountInString(v.text) == 1:
		return c.pad(v.text, false), nil
	case kind != "int":
		return "", formatError("%%c requires int or char")
	case v.num < 0 || v.num > utf8.MaxRune:
		return "", formatError("%%c arg not in range(0x110000)")
	}
	return c.pad(string(rune(v.num)), false), nil
}

// pad brings a rendered value to its width: sign first, then the prefix of %#x and %#o, then zeros or blanks.
func (c conversion) pad(s string, number bool) string {
	sign, prefix := "", ""
	if number {
		switch {
		case s[0] == '-' || s[0] == '+':
			sign, s = s[:1], s[1:]
		case c.plus:
			sign = "+"
		case c.blank:
			sign = " "
		}
		if c.alt && (c.verb == 'o' || c.verb == 'x' || c.verb == 'X') {
			prefix, s = s[:2], s[2:]
		}
	}
	missing := max(0, c.width-utf8.RuneCountInString(s)-len(sign)-len(prefix))
	switch {
	case c.left:
		return sign + prefix + s + strings.Repeat(" ", missing)
	case number && c.zero:
		return sign + prefix + strings.Repeat("0", missing) + s
	default:
		return strings.Repeat(" ", missing) + sign + prefix + s
	}
}
