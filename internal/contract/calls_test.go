package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/xmlrpc"
)

// call is one XML-RPC call as a script writes it.
type call struct {
	url    string
	method string
	args   []any
}

// parseCall reads "[URL] METHOD ARGS". An argument is a JSON value; a word that is none is a string.
func (e *environment) parseCall(pos, text string) call {
	e.Helper()
	c := call{url: "unix://" + e.path("s.sock")}
	c.method, text, _ = strings.Cut(text, " ")
	if strings.Contains(c.method, "://") {
		c.url = c.method
		c.method, text, _ = strings.Cut(text, " ")
	}
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return c
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		v, err := decodeOrdered(dec)
		rest := text[dec.InputOffset():]
		if err != nil || rest != "" && rest[0] != ' ' {
			var word string
			word, rest, _ = strings.Cut(text, " ")
			v = word
		}
		c.args = append(c.args, v)
		text = rest
	}
}

// decodeOrdered reads a JSON value; an object keeps the order of its members.
func decodeOrdered(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case json.Number:
		if n, err := strconv.Atoi(tok.String()); err == nil {
			return n, nil
		}
		return tok.Float64()
	case json.Delim:
		if tok == '[' {
			list := []any{}
			for dec.More() {
				v, err := decodeOrdered(dec)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := dec.Token()
			return list, err
		}
		object := xmlrpc.Struct{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeOrdered(dec)
			if err != nil {
				return nil, err
			}
			object = append(object, xmlrpc.Member{Name: name.(string), Value: v})
		}
		_, err := dec.Token()
		return object, err
	default:
		return tok, nil
	}
}

// appendJSON writes a value for Python's side.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case xmlrpc.Struct:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, m.Name), ':')
			b = appendJSON(b, m.Value)
		}
		return append(b, '}')
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only scalars are left
	}
	return append(b, text...)
}

// answer is what a call came to, as a script shows it: the value, or a line for what is none.
type answer struct {
	value any
	line  string // "" if there is a value
}

// rpc calls a method with the client of the pairing and records the answer.
func (e *environment) rpc(ctx context.Context, s statement) []string {
	e.Helper()
	c := e.parseCall(s.pos, s.rest)
	var a answer
	var err error
	if e.ourCtl {
		a, err = c.ours(ctx)
	} else {
		a, err = e.pythons(ctx, c)
	}
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	if a.line != "" {
		return e.clean(a.line)
	}
	a.value = maskMembers(c.method, a.value)
	if list, ok := a.value.([]any); ok && s.verb == "rpc*" {
		slices.SortFunc(list, func(a, b any) int { return bytes.Compare(appendJSON(nil, a), appendJSON(nil, b)) })
	}
	return e.clean(strings.Join(renderValue(a.value), "\n") + "\n")
}

// ours calls with our client.
func (c call) ours(ctx context.Context) (answer, error) {
	url, username, password := c.url, "", ""
	if scheme, rest, ok := strings.Cut(url, "://"); ok && scheme == "http" {
		if user, host, ok := strings.Cut(rest, "@"); ok {
			username, password, _ = strings.Cut(user, ":")
			url = scheme + "://" + host
		}
	}
	cl, err := client.New(url, username, password)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = cl.Close() }()
	args := slices.Clone(c.args)
	for i, arg := range args {
		if arg == nil {
			args[i] = xmlrpc.Raw("<value><nil/></value>\n") // no method of ours has a use for it
		}
	}
	v, err := cl.Call(ctx, c.method, args...)
	var fault *control.Error
	var status *client.ProtocolError
	switch {
	case err == nil:
		return answer{value: v}, nil
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case errors.As(err, &fault):
		return answer{line: fmt.Sprintf("fault %d %s\n", fault.Code, fault.Error())}, nil
	case errors.As(err, &status):
		return answer{line: fmt.Sprintf("status %d %s\n", status.Code, status.Reason)}, nil
	case strings.Contains(err.Error(), "cannot decode"):
		return answer{line: "garbled\n"}, nil
	default:
		return answer{line: "unreachable\n"}, nil
	}
}

// pythons calls with xmlrpc.client.
func (e *environment) pythons(ctx context.Context, c call) (answer, error) {
	args := appendJSON(nil, append([]any{}, c.args...))
	r, err := order{path: pythonCalls, args: []string{c.url, c.method, string(args)}, dir: e.dir, env: e.env}.start()
	if err != nil {
		return answer{}, err
	}
	if !r.wait(ctx) || r.code != 0 {
		return answer{}, fmt.Errorf("Python's client has ended with %d: %s", r.code, r.stderr.text())
	}
	dec := json.NewDecoder(strings.NewReader(r.stdout.text()))
	dec.UseNumber()
	v, err := decodeOrdered(dec)
	if err != nil && err != io.EOF {
		return answer{}, err
	}
	object, ok := v.(xmlrpc.Struct)
	if !ok || len(object) != 1 {
		return answer{}, fmt.Errorf("Python's client printed %s", r.stdout.text())
	}
	switch m := object[0]; m.Name {
	case "value":
		return answer{value: m.Value}, nil
	case "fault", "status":
		pair := m.Value.([]any)
		return answer{line: fmt.Sprintf("%s %v %v\n", m.Name, pair[0], pair[1])}, nil
	default:
		return answer{line: m.Name + "\n"}, nil
	}
}

// maskMembers replaces pids and times by N where they are one: 0 stays what it is.
func maskMembers(name string, v any) any {
	switch v := v.(type) {
	case int:
		switch name {
		case "supervisor.getPID", "pid", "start", "stop", "now":
			if v > 0 {
				return mask("N")
			}
		}
	case []any:
		for i := range v {
			v[i] = maskMembers("", v[i])
		}
	case xmlrpc.Struct:
		for i := range v {
			v[i].Value = maskMembers(v[i].Name, v[i].Value)
		}
	}
	return v
}

// mask is a value that is shown as it is.
type mask string

// renderValue shows a value in lines: scalars as JSON, members and elements on lines of their own.
func renderValue(v any) []string {
	switch v := v.(type) {
	case mask:
		return []string{string(v)}
	case []any:
		if len(v) == 0 {
			return []string{"[]"}
		}
		var out []string
		for _, e := range v {
			out = append(out, under("- ", renderValue(e))...)
		}
		return out
	case xmlrpc.Struct:
		if len(v) == 0 {
			return []string{"{}"}
		}
		var out []string
		for _, m := range v {
			lines := renderValue(m.Value)
			if compound(m.Value) {
				out = append(out, m.Name+":")
				out = append(out, under("  ", lines)...)
				continue
			}
			out = append(out, m.Name+": "+lines[0])
		}
		return out
	case []byte:
		return []string{"base64 " + strconv.Quote(string(v))}
	case float64:
		return []string{strconv.FormatFloat(v, 'e', -1, 64)} // not to be taken for an int
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return []string{fmt.Sprintf("%#v", v)}
	}
	return []string{strings.TrimSuffix(b.String(), "\n")}
}

func compound(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) > 0
	case xmlrpc.Struct:
		return len(v) > 0
	}
	return false
}

// under puts first before the first line and as many spaces before the others.
func under(first string, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		if i > 0 {
			first = strings.Repeat(" ", len(first))
		}
		out[i] = first + l
	}
	return out
}
