package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/graced/graced/internal/config"
)

// explanation is an option and what the present files make of it.
type explanation struct {
	config.Option
	known bool // the files could be read
	set   []config.Setting
	unset int // sections that do without
}

// explainText prints options for humans.
func explainText(w io.Writer, all []explanation) error {
	var b strings.Builder
	for i, e := range all {
		if i > 0 {
			b.WriteByte('\n')
		}
		head := e.Name + "   " + e.Type
		switch e.Default {
		case "":
		case "required":
			head += ", required"
		default:
			head += ", default " + e.Default
		}
		var sections []string
		for _, kind := range e.Sections {
			sections = append(sections, header(kind))
		}
		gap := strings.Repeat(" ", max(0, 60-utf8.RuneCountInString(head))+3)
		if utf8.RuneCountInString(head) > 90 {
			gap = "\n  " // what it takes is long
		}
		fmt.Fprintf(&b, "%s%s%s\n  %s\n", head, gap, strings.Join(sections, " "), e.Summary)
		since := "only graced has it"
		if e.Since != "" {
			since = "since Supervisor " + e.Since
		}
		fmt.Fprintf(&b, "  takes effect: %s        %s\n", e.Effect(), since)
		b.WriteString("  set in: " + places(e) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// header is how a kind of section is written.
func header(kind string) string {
	if slices.Contains([]string{"program", "eventlistener", "fcgi-program", "group", "rpcinterface", "ctlplugin"}, kind) {
		return "[" + kind + ":x]"
	}
	return "[" + kind + "]"
}

// places says where the present files set an option.
func places(e explanation) string {
	if !e.known {
		return "no configuration file was found"
	}
	var words []string
	for _, s := range e.set {
		value := "(" + s.Value + ")"
		if strings.HasPrefix(s.Value, "(") { // a secret
			value = s.Value
		}
		words = append(words, fmt.Sprintf("%s:%d %s", s.File, s.Line, value))
	}
	words = slices.Compact(words) // [DEFAULT] sets it in many sections
	switch {
	case e.unset > 0 && len(words) > 0:
		words = append(words, fmt.Sprintf("default for %s", count(e.unset, "other")))
	case e.unset > 0:
		words = append(words, fmt.Sprintf("nowhere; default for %d", e.unset))
	case len(words) == 0:
		words = append(words, "nowhere; no section has it")
	}
	return strings.Join(words, ", ")
}

// explainJSON prints options as one object of the schema graced.explain/v1 (docs/reference/schemas/explain.v1.json).
func explainJSON(w io.Writer, all []explanation, path string) error {
	type setting struct {
		Section string `json:"section"`
		File    string `json:"file"`
		Line    int    `json:"line"`
		Col     int    `json:"col"`
		Value   string `json:"value"`
	}
	type option struct {
		Option   string    `json:"option"`
		Sections []string  `json:"sections"`
		Type     string    `json:"type"`
		Default  string    `json:"default"`
		Required bool      `json:"required"`
		Class    string    `json:"class"`
		Effect   string    `json:"effect"`
		Since    string    `json:"since"`
		Summary  string    `json:"summary"`
		Set      []setting `json:"set"`
		Unset    int       `json:"unset"`
	}
	out := struct {
		Schema  string   `json:"schema"`
		File    string   `json:"file"`
		Options []option `json:"options"`
	}{"graced.explain/v1", "", nil}
	for _, e := range all {
		if e.known {
			out.File = path
		}
		o := option{e.Name, e.Sections, e.Type, e.Default, e.Default == "required", e.Class.String(), e.Effect(), e.Since, e.Summary, []setting{}, e.unset}
		if o.Required {
			o.Default = ""
		}
		for _, s := range e.set {
			o.Set = append(o.Set, setting{s.Section, s.File, s.Line, s.Col, s.Value})
		}
		out.Options = append(out.Options, o)
	}
	return encode(w, out)
}
