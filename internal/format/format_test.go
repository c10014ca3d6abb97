package format

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

var seed = flag.Uint64("seed", 0, "of the random documents; 0 = a new one")

type list struct {
	Names []string `json:"names"`
}

type name struct {
	N string `json:"name"`
}

func (n name) Schema() string          { return "graced.name/v1" }
func (n name) Name() string            { return n.N }
func (n name) Line() string            { return n.N + "!" }
func (l list) Schema() string          { return "graced.list/v1" }
func (l list) Text(style Style) string { return style.Paint(Red, "end") + "\n" }
func (l list) Records() []Record {
	var out []Record
	for _, n := range l.Names {
		out = append(out, name{n})
	}
	return out
}

// TestPrinter checks every form, with a record shown early.
func TestPrinter(t *testing.T) {
	for form, want := range map[Form]string{
		Text:  "a<!\nb!\nend\n",
		JSON:  "{\n  \"schema\": \"graced.list/v1\",\n  \"names\": [\n    \"a<\",\n    \"b\"\n  ]\n}\n",
		JSONL: "{\"schema\":\"graced.name/v1\",\"name\":\"a<\"}\n{\"schema\":\"graced.name/v1\",\"name\":\"b\"}\n",
		YAML:  "schema: graced.list/v1\nnames:\n  - \"a<\"\n  - b\n",
		Name:  "a<\nb\n",
	} {
		var out bytes.Buffer
		p := &Printer{Form: form, Out: &out}
		p.Show(name{"a<"})
		if early := out.Len() > 0; early == (form == JSON || form == YAML) {
			t.Errorf("%q: shown early: %v", form, early)
		}
		p.Finish(list{[]string{"a<", "b"}})
		if out.String() != want {
			t.Errorf("%q: %q, want %q", form, out.String(), want)
		}
	}
	var out bytes.Buffer
	(&Printer{Form: JSONL, Out: &out}).Finish(list{})
	if want := "{\"schema\":\"graced.list/v1\",\"names\":null}\n"; out.String() != want {
		t.Errorf("an answer without records: %q", out.String())
	}
}

func TestProblem(t *testing.T) {
	p := &Problem{Code: "E301", Title: "t", Detail: "d", Hint: "one\ntwo"}
	for form, want := range map[Form]string{
		Text: "error[E301]: d\n  one\n  two\n", Name: "error[E301]: d\n  one\n  two\n",
		JSON: `{"schema":"graced.error/v1","code":"E301","title":"t","detail":"d","hint":"one\ntwo"}` + "\n",
		YAML: "schema: graced.error/v1\ncode: E301\ntitle: t\ndetail: d\nhint: \"one\\ntwo\"\n",
	} {
		var out bytes.Buffer
		if (&Printer{Form: form, Err: &out}).Fail(p); out.String() != want {
			t.Errorf("%q: %q, want %q", form, out.String(), want)
		}
	}
}

// TestTable checks empty columns, empty cells and letters of more than one byte.
func TestTable(t *testing.T) {
	got := Table(Style{}, []string{"NAME", "NONE", "N", "NOTE"}, [][]Cell{{{Text: "ü"}, {}, {Text: "100"}, {}}, {{Text: "longer"}, {}, {}, {Text: "why"}}})
	if want := "NAME     N     NOTE\nü        100\nlonger   -     why\n"; got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

// TestYAML compares random documents, read back by a YAML library, with their JSON.
func TestYAML(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	pieces := []string{"a", "yes", "No", "null", "~", "1", "-", ":", " ", "#", "\n", "\t", "\"", "'", "\\", "é", "\u0085", "\u2028", "\ufeff", "\x7f", "\x01", "{", "[", "&", "*", "!", "|",
		"%", "@", "`", "0x1", ".5", "e3", "😀", "\uffff"}
	var value func(depth int) any
	text := func() string {
		s := ""
		for range r.IntN(4) {
			s += pieces[r.IntN(len(pieces))]
		}
		return s
	}
	value = func(depth int) any {
		switch n := r.IntN(8); {
		case n < 2 && depth < 4:
			m := map[string]any{}
			for range r.IntN(4) {
				m[text()] = value(depth + 1)
			}
			return m
		case n < 4 && depth < 4:
			l := []any{}
			for range r.IntN(4) {
				l = append(l, value(depth+1))
			}
			return l
		case n == 4:
			return r.IntN(2) == 0
		case n == 5:
			return []any{float64(r.IntN(1000)) / 8, 1e21, -3.0, 0.000001}[r.IntN(4)]
		case n == 6:
			return nil
		}
		return text()
	}
	for range 3000 {
		doc := map[string]any{"x": value(0)}
		var buf bytes.Buffer
		if err := json.NewEncoder(&buf).Encode(doc); err != nil {
			t.Fatal(err)
		}
		rendered := yamlOf(buf.Bytes())
		var back any
		if err := yaml.Unmarshal([]byte(rendered), &back); err != nil {
			t.Fatalf("%v\n%s\n%s", err, buf.String(), rendered)
		}
		again, err := json.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if json.Unmarshal(buf.Bytes(), &want) != nil || json.Unmarshal(again, &got) != nil || !reflect.DeepEqual(want, got) {
			t.Fatalf("%s\nbecame\n%s\nand is read as\n%s", buf.String(), rendered, again)
		}
	}
}

// TestYAMLWords checks that what readers of YAML 1.1 take for something else is quoted.
func TestYAMLWords(t *testing.T) {
	for _, word := range []string{"y", "N", "yes", "No", "on", "OFF", "True", "false", "null", "", "1", "a b", "a:b"} {
		if got := yamlText(word); got != `"`+word+`"` {
			t.Errorf("%q is written as %s", word, got)
		}
	}
	for _, word := range []string{"foo_0", "RUNNING", "graced.status/v1"} {
		if got := yamlText(word); got != word {
			t.Errorf("%q is written as %s", word, got)
		}
	}
}
