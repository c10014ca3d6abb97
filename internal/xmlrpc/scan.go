package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
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
	doc    []byte
	pos    int
	strict bool // refuse what XML 1.0 forbids: characters, and bytes that are no UTF-8

	tag   string // of the last event
	text  []byte // the text since the last event, decoded
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
		if s.pos == 0 && bytes.HasPrefix(s.doc, []byte("\xef\xbb\xbf")) {
			s.pos = 3
		}
		if i := bytes.IndexByte(s.doc[s.pos:], '<'); i != 0 {
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
		case bytes.HasPrefix(rest, []byte("<?")):
			if err := s.skip("?>"); err != nil {
				return 0, err
			}
		case bytes.HasPrefix(rest, []byte("<!--")):
			s.pos += len("<!--")
			if err := s.skip("-->"); err != nil {
				return 0, err
			}
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			if err := s.cdata(); err != nil {
				return 0, err
			}
		case bytes.HasPrefix(rest, []byte("<!")):
			return 0, errDoctype
		case bytes.HasPrefix(rest, []byte("</")):
			return evEnd, s.endTag()
		default:
			return evStart, s.startTag()
		}
	}
}

// skip moves behind the next occurrence of mark.
func (s *scanner) skip(mark string) error {
	i := bytes.Index(s.doc[s.pos:], []byte(mark))
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
		spaces := s.spaces()
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
	if bytes.IndexByte(s.doc[start:s.pos], '<') >= 0 {
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

// name reads the name of an element or attribute; the frequent ones cost no allocation.
func (s *scanner) name() string {
	start := s.pos
	for s.pos < len(s.doc) && nameByte(s.doc[s.pos], s.pos == start) {
		s.pos++
	}
	switch raw := s.doc[start:s.pos]; string(raw) {
	case "value":
		return "value"
	case "string":
		return "string"
	case "int":
		return "int"
	case "member":
		return "member"
	case "name":
		return "name"
	case "struct":
		return "struct"
	default:
		return string(raw)
	}
}

func nameByte(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':', c >= utf8.RuneSelf:
		return true
	case '0' <= c && c <= '9', c == '-', c == '.':
		return !first
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// characters takes a run of character data.
func (s *scanner) characters(run []byte) error {
	if len(s.open) == 0 {
		for _, c := range run {
			if !isSpace(c) {
				if s.done {
					return errOutside
				}
				return errNoRoot
			}
		}
		return nil
	}
	for {
		i := bytes.IndexByte(run, '&')
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
func (s *scanner) appendText(raw []byte) error {
	if s.strict {
		for i := 0; i < len(raw); {
			if c := raw[i]; c < utf8.RuneSelf {
				if c < 0x20 && !isSpace(c) {
					return errCharacter
				}
				i++
				continue
			}
			r, n := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && n == 1 || !legal(r) {
				return errCharacter
			}
			i += n
		}
	}
	for {
		i := bytes.IndexByte(raw, '\r')
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

// reference decodes the entity or character reference at the start of run and returns its length.
func (s *scanner) reference(run []byte) (int, error) {
	const longest = len("&#x0010FFFF;") + 8
	end := bytes.IndexByte(run[:min(len(run), longest)], ';')
	if end < 0 {
		return 0, errors.New("an unfinished reference")
	}
	name := string(run[1:end])
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
	text := string(bytes.ToValidUTF8(s.text, []byte(replacement)))
	s.text = s.text[:0]
	return text
}
