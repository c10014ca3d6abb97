package xmlrpc

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The framing is that of Python's xmlrpc.client, byte for byte: scripts cut answers with sed.
const (
	prolog        = "<?xml version='1.0'?>\n"
	responseBegin = prolog + "<methodResponse>\n<params>\n<param>\n"
	responseEnd   = "</param>\n</params>\n</methodResponse>\n"
	arrayBegin    = "<value><array><data>\n"
	arrayEnd      = "</data></array></value>\n"
	structBegin   = "<value><struct>\n"
	structEnd     = "</struct></value>\n"
)

// EncodeResponse returns the document that answers a call with v. The error names a value that has no form on the wire, such as nil.
func EncodeResponse(v any) ([]byte, error) {
	b, err := AppendValue([]byte(responseBegin), v)
	if err != nil {
		return nil, err
	}
	return append(b, responseEnd...), nil
}

// EncodeFault returns the document that answers a call with a fault.
func EncodeFault(code int, text string) []byte {
	b := append(make([]byte, 0, 256), prolog+"<methodResponse>\n<fault>\n"+structBegin...)
	b = appendMemberInt(b, "faultCode", code)
	b = appendMemberString(b, "faultString", text)
	return append(b, structEnd+"</fault>\n</methodResponse>\n"...)
}

// EncodeCall returns the document that calls method with args.
func EncodeCall(method string, args ...any) ([]byte, error) {
	b := append(make([]byte, 0, 256), prolog+"<methodCall>\n<methodName>"...)
	b = appendText(b, method, true)
	b = append(b, "</methodName>\n<params>\n"...)
	for _, arg := range args {
		var err error
		b = append(b, "<param>\n"...)
		if b, err = appendValue(b, arg, true); err != nil {
			return nil, err
		}
		b = append(b, "</param>\n"...)
	}
	return append(b, "</params>\n</methodCall>\n"...), nil
}

// AppendValue appends v in its wire form, from "<value>" to "</value>\n".
func AppendValue(b []byte, v any) ([]byte, error) { return appendValue(b, v, false) }

// appendValue encodes v. In a call, carriage returns are written as references so that they survive; answers carry them raw, as
// Supervisor's do, although a reader then sees line feeds.
func appendValue(b []byte, v any, call bool) ([]byte, error) {
	switch v := v.(type) {
	case Raw:
		return append(b, v...), nil
	case string:
		b = append(b, "<value><string>"...)
		return append(appendText(b, v, call), "</string></value>\n"...), nil
	case int:
		// compat: always <int>, though a number beyond 32 bits (the size of a large log) has no place in it by the letter; Supervisor
		// fails there, and clients read it.
		return appendInt(b, int64(v)), nil
	case int64:
		return appendInt(b, v), nil
	case bool:
		return appendBool(b, v), nil
	case float64:
		return append(appendDouble(append(b, "<value><double>"...), v), "</double></value>\n"...), nil
	case []byte:
		return appendBase64(b, v), nil
	case time.Time:
		b = append(b, "<value><dateTime.iso8601>"...)
		return append(v.AppendFormat(b, dateTime), "</dateTime.iso8601></value>\n"...), nil
	case processList:
		return appendProcesses(b, v), nil
	case []string:
		b = append(b, arrayBegin...)
		for _, e := range v {
			b, _ = appendValue(b, e, call)
		}
		return append(b, arrayEnd...), nil
	case []any:
		var err error
		b = append(b, arrayBegin...)
		for _, e := range v {
			if b, err = appendValue(b, e, call); err != nil {
				return nil, err
			}
		}
		return append(b, arrayEnd...), nil
	case Struct:
		var err error
		b = append(b, structBegin...)
		for _, m := range v {
			b = append(b, "<member>\n<name>"...)
			b = append(appendText(b, m.Name, call), "</name>\n"...)
			if b, err = appendValue(b, m.Value, call); err != nil {
				return nil, err
			}
			b = append(b, "</member>\n"...)
		}
		return append(b, structEnd...), nil
	}
	return nil, fmt.Errorf("cannot encode %T: no such type in XML-RPC", v)
}

func appendInt(b []byte, n int64) []byte {
	b = strconv.AppendInt(append(b, "<value><int>"...), n, 10)
	return append(b, "</int></value>\n"...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "<value><boolean>1</boolean></value>\n"...)
	}
	return append(b, "<value><boolean>0</boolean></value>\n"...)
}

// appendMemberInt and appendMemberString are the fast path of the large answers: name must need no escaping.
func appendMemberInt(b []byte, name string, n int) []byte {
	b = append(b, "<member>\n<name>"...)
	b = append(b, name...)
	b = append(b, "</name>\n<value><int>"...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "</int></value>\n</member>\n"...)
}

func appendMemberString(b []byte, name, text string) []byte {
	b = append(b, "<member>\n<name>"...)
	b = append(b, name...)
	b = append(b, "</name>\n<value><string>"...)
	b = appendEscaped(b, text)
	return append(b, "</string></value>\n</member>\n"...)
}

// appendDouble writes f as Python's repr does: the shortest digits that read back as f, with a point or an exponent.
func appendDouble(b []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case abs != 0 && (abs < 1e-4 || abs >= 1e16):
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}

// appendBase64 writes lines of 76 characters, as Python does.
func appendBase64(b, data []byte) []byte {
	b = append(b, "<value><base64>\n"...)
	for len(data) > 0 {
		line := data[:min(57, len(data))]
		data = data[len(line):]
		b = append(base64.StdEncoding.AppendEncode(b, line), '\n')
	}
	return append(b, "</base64></value>\n"...)
}

// replacement stands for what cannot be in a document.
const replacement = "�"

// plain marks the bytes that are written as they are: ASCII but for markup and the controls that XML 1.0 forbids.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = true
	}
	t['\t'], t['\n'], t['\r'] = true, true, true
	t['&'], t['<'], t['>'] = false, false, false
	return t
}()

// appendEscaped writes text so that every XML parser can read it: bytes that are no UTF-8 and characters that XML 1.0 forbids become U+FFFD
// (quirks D1 and D2; Supervisor answers 500 for the first and writes the second raw).
func appendEscaped(b []byte, text string) []byte {
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		var with string
		size := 1
		switch {
		case c == '&':
			with = "&amp;"
		case c == '<':
			with = "&lt;"
		case c == '>':
			with = "&gt;"
		case c < utf8.RuneSelf:
			with = replacement
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			size = n
			if legal(r) && (r != utf8.RuneError || n > 1) {
				i += n
				continue
			}
			with = replacement
		}
		b = append(append(b, text[start:i]...), with...)
		i += size
		start = i
	}
	return append(b, text[start:]...)
}

// appendText is appendEscaped, in a call with carriage returns as references, which no parser turns into line feeds.
func appendText(b []byte, text string, call bool) []byte {
	for call {
		i := strings.IndexByte(text, '\r')
		if i < 0 {
			break
		}
		b = append(appendEscaped(b, text[:i]), "&#13;"...)
		text = text[i+1:]
	}
	return appendEscaped(b, text)
}

// legal reports whether XML 1.0 allows the character.
func legal(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xd800:
		return true
	case r < 0xe000:
		return false
	}
	return r < 0xfffe || r >= 0x10000 && r <= utf8.MaxRune
}
