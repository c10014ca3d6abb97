package xmlrpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on a document. They bound the memory and the stack that a stranger's document can cost.
const (
	// MaxRequest is the size in bytes of the largest request that is read (quirk D15).
	MaxRequest = 16 << 20

	maxDepth          = 128     // nested elements; a value costs at most four
	maxRequestValues  = 1 << 18 // values, names and wrappers in a request
	maxResponseValues = 1 << 24 // the same in a response: all processes of a large daemon
)

// Call is a decoded request.
type Call struct {
	Method string // as written, not trimmed (contract: rpc, "XML wire rules")
	Params []any
}

// ErrNoMethod is returned for a document that names no method.
var ErrNoMethod = errors.New("no method name")

// DecodeCall reads a request. It is as lenient about elements as Supervisor is (any root, untyped values, missing params) and as strict
// about XML as expat, with two exceptions on purpose: a document type is refused (quirk D15), and "true" and <i8> mean what they say
// (quirk D17). base64 must hold UTF-8 and becomes a string.
func DecodeCall(doc []byte) (Call, error) {
	if len(doc) > MaxRequest {
		return Call{}, fmt.Errorf("cannot decode request: %d bytes are too many", len(doc))
	}
	d := decoder{scanner: scanner{doc: string(doc), strict: true}, left: maxRequestValues}
	if err := d.run(); err != nil {
		return Call{}, fmt.Errorf("cannot decode request: %w", err)
	}
	if d.method == "" {
		return Call{}, fmt.Errorf("cannot decode request: %w", ErrNoMethod)
	}
	return Call{Method: d.method, Params: d.params}, nil
}

// DecodeResponse reads an answer; a fault in it is returned as a *Fault. It accepts what Supervisor sends though no XML parser would:
// raw control characters, and bytes that are no UTF-8 (as U+FFFD).
func DecodeResponse(doc []byte) (any, error) {
	d := decoder{scanner: scanner{doc: string(doc)}, left: maxResponseValues}
	if err := d.run(); err != nil {
		return nil, fmt.Errorf("cannot decode response: %w", err)
	}
	switch {
	case d.fault != nil:
		return nil, d.fault
	case len(d.params) != 1:
		return nil, fmt.Errorf("cannot decode response: %d values instead of one", len(d.params))
	}
	return d.params[0], nil
}

// decoder turns the elements of a document into values. It follows Supervisor's reader: each element has one value, computed when it ends
// from its text and the values of its children.
type decoder struct {
	scanner
	frames []frame
	stack  []slot // the values of finished children of the open elements
	left   int    // values that may still be made

	method string
	params []any
	fault  *Fault
}

// frame is an open element.
type frame struct {
	tag  string
	base int    // the height of the stack when it opened: its children's values lie above
	text string // the text before the first child, once there is one
}

// slot is the value of a finished element. Texts and members become interfaces only where a value of the document holds them: most texts
// are names, which cost nothing in this form.
type slot struct {
	kind  slotKind
	text  string // of a text; the name of a member
	value any    // of a member, and of everything else
}

type slotKind uint8

const (
	valueSlot slotKind = iota
	textSlot
	memberSlot
)

// pair is a member element where no struct is around it.
type pair struct {
	name  string
	value any
}

func (s slot) any() any {
	switch s.kind {
	case textSlot:
		return s.text
	case memberSlot:
		return pair{s.text, s.value}
	}
	return s.value
}

func values(slots []slot) []any {
	out := make([]any, len(slots))
	for i, s := range slots {
		out[i] = s.any()
	}
	return out
}

func (d *decoder) run() error {
	for {
		ev, err := d.next()
		if err != nil {
			return fmt.Errorf("%w at byte %d", err, d.pos)
		}
		switch ev {
		case evEOF:
			return nil
		case evStart:
			if len(d.frames) >= maxDepth {
				return fmt.Errorf("elements are nested deeper than %d", maxDepth)
			}
			if n := len(d.frames); n > 0 && len(d.stack) == d.frames[n-1].base {
				d.frames[n-1].text = d.leadingText()
			}
			d.dropText()
			d.frames = append(d.frames, frame{tag: d.tag, base: len(d.stack)})
		case evEnd:
			if err := d.end(); err != nil {
				return fmt.Errorf("%w in <%s> at byte %d", err, d.tag, d.pos)
			}
		}
	}
}

// leadingText returns the text before a first child; the white space of pretty printing is not worth a string.
func (d *decoder) leadingText() string {
	if d.blank() {
		return ""
	}
	return d.takeText()
}

// end closes the innermost element and puts its value on the stack.
func (d *decoder) end() error {
	if d.left--; d.left < 0 {
		return errors.New("too many values")
	}
	f := d.frames[len(d.frames)-1]
	d.frames = d.frames[:len(d.frames)-1]
	kids := d.stack[f.base:]
	text := f.text
	if len(kids) == 0 {
		text = d.takeText()
	}
	d.dropText()
	v, err := d.element(f.tag, text, kids)
	if err != nil {
		return err
	}
	d.stack = append(d.stack[:f.base], v)
	return nil
}

// element returns the value of an element.
func (d *decoder) element(tag, text string, kids []slot) (slot, error) {
	switch tag {
	case "value":
		if len(kids) > 0 {
			return kids[0], nil
		}
		return slot{kind: textSlot, text: text}, nil
	case "string", "name":
		return slot{kind: textSlot, text: text}, nil
	case "array", "param":
		if len(kids) == 0 {
			return slot{}, errors.New("nothing")
		}
		return kids[0], nil
	case "member":
		if len(kids) != 2 {
			return slot{}, fmt.Errorf("%d elements instead of two", len(kids))
		}
		name, ok := kids[0].any().(string)
		if !ok {
			return slot{}, errors.New("a name that is no string")
		}
		return slot{kind: memberSlot, text: name, value: kids[1].any()}, nil
	case "struct":
		s := make(Struct, len(kids))
		for i, kid := range kids {
			if kid.kind != memberSlot {
				return slot{}, errors.New("something else than a member")
			}
			s[i] = Member{kid.text, kid.value}
		}
		return slot{value: s}, nil
	case "data":
		return slot{value: values(kids)}, nil
	case "methodName":
		d.method = text
		return slot{}, nil
	case "params":
		d.params = values(kids)
		return slot{}, nil
	case "fault":
		return slot{}, d.setFault(kids)
	}
	v, err := d.scalar(tag, text)
	return slot{value: v}, err
}

// scalar returns the value of an element that has only text.
func (d *decoder) scalar(tag, text string) (any, error) {
	switch tag {
	case "int", "i4", "i8", "i1", "i2":
		return parseInt(text)
	case "boolean":
		return text == "1" || text == "true", nil
	case "double":
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("%q is no number", clip(text))
		}
		return f, nil
	case "dateTime.iso8601":
		t, err := time.Parse(dateTime, text)
		if err != nil {
			return nil, fmt.Errorf("%q is no date", clip(text))
		}
		return t, nil
	case "base64":
		return d.base64(text)
	case "nil":
		return nil, nil
	}
	// An unknown type is read as text, as Supervisor does; without text it is nothing.
	if text == "" {
		return nil, nil
	}
	return text, nil
}

func (d *decoder) setFault(kids []slot) error {
	if len(kids) == 1 {
		if s, ok := kids[0].value.(Struct); ok && kids[0].kind == valueSlot {
			d.fault = &Fault{Code: s.Int("faultCode"), String: s.String("faultString")}
			return nil
		}
	}
	return errors.New("something else than a struct")
}

// base64 decodes leniently, as Python does: characters outside the alphabet do not count.
func (d *decoder) base64(text string) (any, error) {
	clean := make([]byte, 0, len(text))
	for i := range len(text) {
		switch c := text[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
			clean = append(clean, c)
		}
	}
	n, err := base64.StdEncoding.Decode(clean, clean)
	if err != nil {
		return nil, errors.New("broken base64")
	}
	if !d.strict {
		return clean[:n], nil
	}
	if !utf8.Valid(clean[:n]) {
		return nil, errors.New("base64 of something else than UTF-8")
	}
	return string(clean[:n]), nil
}

// parseInt reads an integer as Python's int does, up to 64 bits.
func parseInt(text string) (any, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 0)
	if err != nil {
		return nil, fmt.Errorf("%q is no integer", clip(text))
	}
	return int(n), nil
}

// clip shortens text for an error message.
func clip(text string) string {
	if len(text) > 40 {
		return text[:40] + "..."
	}
	return text
}
