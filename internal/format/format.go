// Package format writes the answers of gracectl's verbs: for people, and in the machine-readable forms of the option -o.
//
// A verb makes an Answer and returns it; it neither prints nor knows the form that was asked for. To give a verb all forms, write a type
// whose fields, tagged for JSON, are what is promised to programs, give it the methods of Answer, and publish its JSON Schema as
// docs/reference/schemas/NAME.vN.json. Within a version fields are only added; durations are seconds as numbers with names in _s, times are
// RFC 3339 in UTC, sizes are bytes. A verb that takes long shows each Record with Printer.Show as soon as it is known. What stops a verb is
// returned as a *Problem.
//
// The package never asks a daemon and decides no exit status beyond the one that a Problem carries. It imports the standard library alone;
// ctl imports it.
package format

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// Form is how an answer is written: a value of the option -o.
type Form string

// The forms. The sixth value of -o, plain, is none of them: it chooses the texts of supervisorctl, which are older than answers.
const (
	Text  Form = ""      // for people
	JSON  Form = "json"  // one document, indented
	JSONL Form = "jsonl" // one line for each record, as it comes
	YAML  Form = "yaml"  // the document of JSON as YAML
	Name  Form = "name"  // one selector for each record: "group:name", or "group:*"
)

// Forms lists the values of -o that are forms.
var Forms = []Form{JSON, JSONL, YAML, Name}

// Answer is what a verb has found out or done.
type Answer interface {
	// Schema names the shape of the JSON document and its version, e.g. "graced.status/v1".
	Schema() string
	// Records are the parts of which the answer is made, in a stable order; without any JSONL writes the whole answer on one line.
	Records() []Record
	// Text is what people see at the end, lines with their ends. What Record.Line has shown already is not repeated.
	Text(Style) string
}

// Record is one part of an answer: mostly, what is said about one process.
type Record interface {
	// Schema names the shape of the record on a line of its own, e.g. "graced.process/v1".
	Schema() string
	// Name is the selector that means the record's process or group, "" for a record that the form name leaves out.
	Name() string
	// Line is the record for people, without a line end; "" when Answer.Text shows it.
	Line() string
}

// Printer writes one answer. It is used by one goroutine.
type Printer struct {
	Form     Form
	Style    Style
	Out, Err io.Writer

	shown int // how many records have been written
}

// Show writes a record before the answer is complete, where the form has a place for that. Records are shown in the order of
// Answer.Records, from its beginning.
func (p *Printer) Show(r Record) {
	switch p.Form {
	case Text:
		p.line(r.Line())
	case JSONL:
		p.write(p.Out, document(r.Schema(), r, ""))
	case Name:
		p.line(r.Name())
	}
	p.shown++
}

// Finish writes what Show has not written yet.
func (p *Printer) Finish(a Answer) {
	switch p.Form {
	case JSON:
		p.write(p.Out, document(a.Schema(), a, "  "))
	case YAML:
		p.write(p.Out, yamlOf([]byte(document(a.Schema(), a, ""))))
	default:
		records := a.Records()
		if p.Form == JSONL && len(records) == 0 {
			p.write(p.Out, document(a.Schema(), a, ""))
			return
		}
		for _, r := range records[min(p.shown, len(records)):] {
			p.Show(r)
		}
		if p.Form == Text {
			p.write(p.Out, a.Text(p.Style))
		}
	}
}

// Document is a JSON document, indented and with a line end, in another form that is one document. ok is false for a form that is none.
func Document(form Form, doc []byte) (text string, ok bool) {
	switch form {
	case JSON:
		return string(doc), true
	case JSONL:
		var b bytes.Buffer
		_ = json.Compact(&b, doc) // it is valid
		return b.String() + "\n", true
	case YAML:
		return yamlOf(doc), true
	}
	return "", false
}

// Wanted looks for the form that a command line asks for which cannot be read as a whole, for the problem to be written in it.
func Wanted(args []string) (form string) {
	for i, word := range args {
		switch next := min(i+1, len(args)-1); {
		case word == "-o", word == "--output":
			form = args[next]
		case strings.HasPrefix(word, "--output="):
			form = word[len("--output="):]
		case strings.HasPrefix(word, "-o") && word != "-o":
			form = strings.TrimPrefix(word[2:], "=")
		}
	}
	return form
}

// line writes a line, unless it is empty.
func (p *Printer) line(text string) {
	if text != "" {
		p.write(p.Out, text+"\n")
	}
}

// Fail writes a problem to the error output: as a block for people, in the machine-readable forms as a document.
func (p *Printer) Fail(problem *Problem) {
	switch p.Form {
	case JSON, JSONL:
		p.write(p.Err, document(problemSchema, problem, ""))
	case YAML:
		p.write(p.Err, yamlOf([]byte(document(problemSchema, problem, ""))))
	default:
		p.write(p.Err, problem.block(p.Style))
	}
}

// Warn writes to the error output what is not as it should be about an answer that is an answer all the same.
func (p *Printer) Warn(text string) {
	doc := struct {
		Detail string `json:"detail"`
	}{text}
	switch p.Form {
	case JSON, JSONL:
		p.write(p.Err, document(warningSchema, doc, ""))
	case YAML:
		p.write(p.Err, yamlOf([]byte(document(warningSchema, doc, ""))))
	default:
		p.write(p.Err, p.Style.Paint(Yellow, "warning:")+" "+text+"\n")
	}
}

func (p *Printer) write(w io.Writer, text string) {
	// There is nobody to tell: a terminal or pipe that is gone takes no message about it either.
	_, _ = io.WriteString(w, text)
}

// document is v as JSON with its schema in front and a line end behind. indent is "" for a single line.
func document(schema string, v any, indent string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("format: an answer that JSON cannot hold: " + err.Error()) // its type is ours
	}
	body := bytes.TrimSpace(b.Bytes())
	head := `{"schema":"` + schema + `"`
	if !bytes.Equal(body, []byte("{}")) {
		head += ","
	}
	whole := append([]byte(head), body[1:]...)
	if indent != "" {
		b.Reset()
		// The text comes from the encoder: it is valid.
		_ = json.Indent(&b, whole, "", indent)
		whole = b.Bytes()
	}
	return string(whole) + "\n"
}
