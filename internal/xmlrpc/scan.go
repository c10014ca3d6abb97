package xmlrpc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// event is what the scanner found.
type event int

const (
	evEOF   event = iota // the end of the document, after exactly one root element
	evStart              // a start tag
	evEnd                // an end tag, or the second half of an empty-element tag
)

// scanner reads the subset of XML that XML-RPC needs: elements, text, the five named entities, character references, CDATA, comments,
// processing instructions. Attributes are checked and skipped. There is no document type, hence no entity to define or expand.
type scanner struct {
	doc    string
	pos    int
	strict bool // refuse what XML 1.0 forbids: characters, and bytes that are no UTF-8

	tag   string // of the last event
	piece string // the text since the last event, as long as it is one piece of the document
	text  []byte // the text since the last event, decoded, otherwise
	open  []string
	empty bool // an empty-element tag owes its end
	done  bool // the root element has ended
}

var (
	errTruncated = errors.New("unexpected end")
	errNoRoot    = errors.New("no element")
	errMarkup    = errors.New("bad markup")
	errOutside   = errors.New("text outside of the root element")
	errDoctype   = errors.New("a document type is not accepted")
	errCharacter = errors.New("a character that XML forbids")
)

// next finds the next tag and collects the text before it.
func (s *scanner) next() (event, error) {
	if s.empty {
		s.empty = false
		return evEnd, s.pop(s.tag)
	}
	for {
		if s.pos == 0 && strings.HasPrefix(s.doc, "\xef\xbb\xbf") {
			s.pos = 3
		}
		if i := strings.IndexByte(s.doc[s.pos:], '<'); i != 0 {
			run := s.doc[s.pos:]
			if i > 0 {
				run = run[:i]
			}
			if err := s.characters(run); err != nil {
				return 0, err
			}
			s.pos += len(run)
		}
		rest := s.doc[s.pos:]
		switch {
		case len(rest) == 0:
			if !s.done {
				if len(s.open) == 0 {
					return 0, errNoRoot
				}
				return 0, errTruncated
			}
			return evEOF, nil
		case len(rest) == 1 || rest[1] != '/' && rest[1] != '!' && rest[1] != '?':
			return evStart, s.startTag()
		case rest[1] == '/':
			return evEnd, s.endTag()
		case rest[1] == '?':
			if err := s.skip("?>"); err != nil {
				return 0, err
			}
		case strings.HasPrefix(rest, "<!--"):
			s.pos += len("<!--")
			if err := s.skip("-->"); err != nil {
				return 0, err
			}
		case strings.HasPrefix(rest, "<![CDATA["):
			if err := s.cdata(); err != nil {
				return 0, err
			}
		default:
			return 0, errDoctype
		}
	}
}

// skip moves behind the next occurrence of mark.
func (s *scanner) skip(mark string) error {
	i := strings.Index(s.doc[s.pos:], mark)
	if i < 0 {
		return errTruncated
	}
	s.pos += i + len(mark)
	return nil
}

func (s *scanner) cdata() error {
	start := s.pos + len("<![CDATA[")
	if len(s.open) == 0 {
		return errOutside
	}
	if err := s.skip("]]>"); err != nil {
		return err
	}
	return s.appendText(s.doc[start : s.pos-len("]]>")])
}

func (s *scanner) startTag() error {
	if s.done {
		return errOutside
	}
	s.pos++
	name := s.name()
	if name == "" {
		return errMarkup
	}
	for {
		spaces := 0
		if s.peek() != '>' {
			spaces = s.spaces()
		}
		switch c := s.peek(); {
		case c == '>':
			s.pos++
		case c == '/':
			s.pos++
			if s.peek() != '>' {
				return s.short(errMarkup)
			}
			s.pos++
			s.empty = true
		case spaces > 0 && c != 0:
			if err := s.attribute(); err != nil {
				return err
			}
			continue
		default:
			return s.short(errMarkup)
		}
		s.tag = name
		s.open = append(s.open, name)
		return nil
	}
}

func (s *scanner) attribute() error {
	if s.name() == "" {
		return errMarkup
	}
	s.spaces()
	if s.peek() != '=' {
		return s.short(errMarkup)
	}
	s.pos++
	s.spaces()
	quote := s.peek()
	if quote != '"' && quote != '\'' {
		return s.short(errMarkup)
	}
	s.pos++
	start := s.pos
	if err := s.skip(string(quote)); err != nil {
		return err
	}
	if strings.IndexByte(s.doc[start:s.pos], '<') >= 0 {
		return errMarkup
	}
	return nil
}

func (s *scanner) endTag() error {
	s.pos += 2
	name := s.name()
	s.spaces()
	if s.peek() != '>' {
		return s.short(errMarkup)
	}
	s.pos++
	return s.pop(name)
}

// pop closes the innermost element, which must be called name.
func (s *scanner) pop(name string) error {
	n := len(s.open) - 1
	if n < 0 || s.open[n] != name {
		return fmt.Errorf("unexpected </%s>", clip(name))
	}
	s.tag = name
	s.open = s.open[:n]
	s.done = n == 0
	return nil
}

// short returns errTruncated at the end of the document, err before.
func (s *scanner) short(err error) error {
	if s.pos >= len(s.doc) {
		return errTruncated
	}
	return err
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.doc) {
		return s.doc[s.pos]
	}
	return 0
}

func (s *scanner) spaces() int {
	start := s.pos
	for s.pos < len(s.doc) && isSpace(s.doc[s.pos]) {
		s.pos++
	}
	return s.pos - start
}

// name reads the name of an element or attribute.
func (s *scanner) name() string {
	start, end := s.pos, s.pos
	if end < len(s.doc) && nameBytes[s.doc[end]] == first {
		for end++; end < len(s.doc) && nameBytes[s.doc[end]] > 0; end++ {
		}
	}
	s.pos = end
	return s.doc[start:end]
}

// nameBytes says where in a name a byte may be.
var nameBytes = func() (t [256]uint8) {
	for i := range t {
		switch c := byte(i); {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':', c >= utf8.RuneSelf:
			t[i] = first
		case '0' <= c && c <= '9', c == '-', c == '.':
			t[i] = later
		}
	}
	return t
}()

const (
	later uint8 = 1 + iota // behind the first one
	first                  // anywhere
)

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// characters takes a run of character data.
func (s *scanner) characters(run string) error {
	if len(s.open) == 0 {
		for i := range len(run) {
			if !isSpace(run[i]) {
				if s.done {
					return errOutside
				}
				return errNoRoot
			}
		}
		return nil
	}
	for {
		i := strings.IndexByte(run, '&')
		if i < 0 {
			return s.appendText(run)
		}
		if err := s.appendText(run[:i]); err != nil {
			return err
		}
		run = run[i:]
		n, err := s.reference(run)
		if err != nil {
			return err
		}
		run = run[n:]
	}
}

// appendText adds text as it stands, with line ends normalised as XML demands.
func (s *scanner) appendText(raw string) error {
	if s.strict {
		for i := 0; i < len(raw); {
			if c := raw[i]; c < utf8.RuneSelf {
				if c < 0x20 && !isSpace(c) {
					return errCharacter
				}
				i++
				continue
			}
			r, n := utf8.DecodeRuneInString(raw[i:])
			if r == utf8.RuneError && n == 1 || !legal(r) {
				return errCharacter
			}
			i += n
		}
	}
	if len(s.text) == 0 && s.piece == "" && strings.IndexByte(raw, '\r') < 0 {
		s.piece = raw
		return nil
	}
	s.gather()
	for {
		i := strings.IndexByte(raw, '\r')
		if i < 0 {
			s.text = append(s.text, raw...)
			return nil
		}
		s.text = append(append(s.text, raw[:i]...), '\n')
		raw = raw[i+1:]
		if len(raw) > 0 && raw[0] == '\n' {
			raw = raw[1:]
		}
	}
}

// gather makes room for text that is no piece of the document.
func (s *scanner) gather() {
	s.text = append(s.text, s.piece...)
	s.piece = ""
}

// reference decodes the entity or character reference at the start of run and returns its length.
func (s *scanner) reference(run string) (int, error) {
	const longest = len("&#x0010FFFF;") + 8
	end := strings.IndexByte(run[:min(len(run), longest)], ';')
	if end < 0 {
		return 0, errors.New("an unfinished reference")
	}
	s.gather()
	name := run[1:end]
	switch name {
	case "amp":
		s.text = append(s.text, '&')
	case "lt":
		s.text = append(s.text, '<')
	case "gt":
		s.text = append(s.text, '>')
	case "quot":
		s.text = append(s.text, '"')
	case "apos":
		s.text = append(s.text, '\'')
	default:
		r, err := characterReference(name)
		if err != nil {
			return 0, err
		}
		if !legal(r) {
			if s.strict {
				return 0, errCharacter
			}
			r = utf8.RuneError
		}
		s.text = utf8.AppendRune(s.text, r)
	}
	return end + 1, nil
}

func characterReference(name string) (rune, error) {
	base, digits := 10, ""
	switch {
	case len(name) > 2 && name[:2] == "#x":
		base, digits = 16, name[2:]
	case len(name) > 1 && name[0] == '#':
		digits = name[1:]
	default:
		return 0, fmt.Errorf("unknown entity &%s;", name)
	}
	n, err := strconv.ParseUint(digits, base, 31)
	if err != nil {
		return 0, fmt.Errorf("bad reference &%s;", name)
	}
	return rune(n), nil
}

// takeText returns the collected text and starts anew. Bytes that are no UTF-8 become U+FFFD; in strict mode there are none.
func (s *scanner) takeText() string {
	text := s.piece
	switch {
	case len(s.text) > 0:
		text = string(s.text)
	case s.strict:
		text = strings.Clone(text) // what a daemon keeps of a request must not hold all of it
	}
	s.dropText()
	if utf8.ValidString(text) { // several times as fast as ToValidUTF8
		return text
	}
	return strings.ToValidUTF8(text, replacement)
}

func (s *scanner) dropText() { s.piece, s.text = "", s.text[:0] }

// blank reports whether the collected text is nothing but white space.
func (s *scanner) blank() bool {
	for _, text := range [2]string{s.piece, string(s.text)} {
		for i := range len(text) {
			if !isSpace(text[i]) {
				return false
			}
		}
	}
	return true
}
