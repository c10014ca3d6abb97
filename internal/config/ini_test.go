package config

import (
	"encoding/hex"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// iniCase is one answer of testdata/ini.py.
type iniCase struct {
	Name, In, Hex string
	Sections      []iniSection
	Defaults      []iniPair
	Err           string
}

func (c iniCase) data(t *testing.T) []byte {
	t.Helper()
	if c.Hex == "" {
		return []byte(c.In)
	}
	b, err := hex.DecodeString(c.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// iniPair is a key and its value.
type iniPair [2]string

type iniSection struct {
	Name  string
	Pairs []iniPair
}

func (s *iniSection) UnmarshalJSON(b []byte) error {
	return unmarshalTuple(b, &s.Name, &s.Pairs)
}

func pairs(s *section) []iniPair {
	var out []iniPair
	for _, key := range s.order {
		out = append(out, iniPair{key, s.own[key].value})
	}
	return out
}

// readINI parses one file and returns what a recorded answer holds.
func readINI(data []byte) iniCase {
	tab := newTable()
	if err := tab.read("FILE", data); err != nil {
		return iniCase{Err: err.Error()}
	}
	c := iniCase{Defaults: pairs(tab.defaults)}
	for _, s := range tab.sections {
		c.Sections = append(c.Sections, iniSection{s.name, pairs(s)})
	}
	return c
}

func checkINI(t *testing.T, c iniCase) {
	t.Helper()
	data := c.data(t)
	got := readINI(data)
	same := got.Err == c.Err && len(got.Sections) == len(c.Sections) && slices.Equal(got.Defaults, c.Defaults)
	for i := range got.Sections {
		same = same && got.Sections[i].Name == c.Sections[i].Name && slices.Equal(got.Sections[i].Pairs, c.Sections[i].Pairs)
	}
	if !same {
		t.Errorf("%s %q:\n  we     %q %q %q\n  Python %q %q %q", c.Name, data, got.Sections, got.Defaults, got.Err, c.Sections, c.Defaults, c.Err)
	}
}

func TestINIRecorded(t *testing.T) {
	named := 0
	recorded(t, "ini.jsonl", func(c iniCase) {
		if c.Name != "" {
			named++
		}
		checkINI(t, c)
	})
	if named != 47 {
		t.Errorf("%d named cases, want 47", named)
	}
}

// randomINI builds a file out of the pieces that the dialect is sensitive to.
func randomINI(rnd *rand.Rand) []byte {
	pieces := []string{"[s]", "[t]", "[DEFAULT]", "[", "]", "a", "b", "Key", "=", "=", ":", " = ", ";", "#", " ;", " #", "\t", " ", "  ", "\n", "\n",
		"\n", "\n ", "\n  ", "\r\n", "\r", "'", "\"", "\\", "é", "\u00a0", "\u2028", "\x0b", "\x1c", "\x00", "%(x)s"}
	invalid := []string{"\xe9", "\xff", "\xc3", "\xed\xa0\x80", "\xf0\x9f", "\xe2\x82", "\xc0\xaf", "\xf4\x90\x80\x80"}
	var b strings.Builder
	if rnd.Intn(4) > 0 {
		b.WriteString("[s]\n")
	}
	for range rnd.Intn(24) {
		b.WriteString(pieces[rnd.Intn(len(pieces))])
	}
	switch rnd.Intn(12) {
	case 0:
		b.WriteString(invalid[rnd.Intn(len(invalid))])
		b.WriteString("\na=1\n")
	case 1: // around the border of a chunk of the decoder
		b.WriteString("\na=" + strings.Repeat("x", chunkSize-8-b.Len()+rnd.Intn(8)))
		b.WriteString([]string{"é€😀", "é\xff", "😀\xe2\x82", "\xe2"}[rnd.Intn(4)])
		b.WriteString("\nb=2")
	}
	return []byte(b.String())
}

func TestINILive(t *testing.T) {
	rnd := newRand(t)
	type question struct {
		Hex string `json:"hex"`
	}
	questions := make([]question, 3000)
	for i := range questions {
		questions[i].Hex = hex.EncodeToString(randomINI(rnd))
	}
	for _, c := range ask[question, iniCase](t, "comparison of INI files with Python's parser", "python3", "ini.py", questions) {
		checkINI(t, c)
	}
}

// TestINIPlaces pins where keys and values are said to be.
func TestINIPlaces(t *testing.T) {
	tab := newTable()
	if err := tab.read("f", []byte("; c\n[s]\n  é = ü x ; c\nb:\n  c\n  [t]\nd=")); err != nil {
		t.Fatal(err)
	}
	type place struct{ line, col int }
	got := map[string]place{}
	for _, s := range tab.sections {
		got["["+s.name+"]"] = place{s.line, 0}
		for _, e := range s.own {
			got[e.key] = place{e.line, e.col}
		}
	}
	want := map[string]place{"[s]": {2, 0}, "é": {3, 7}, "b": {4, 3}, "[t]": {6, 0}, "d": {7, 3}}
	// [t] continues the value of b, as it is indented deeper.
	delete(want, "[t]")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("places %v, want %v", got, want)
	}
	if v := tab.index["s"].own["b"].value; v != "\nc\n[t]" {
		t.Errorf("b = %q", v)
	}
}

// TestINIErrorPlace pins the line of errors that concern the file.
func TestINIErrorPlace(t *testing.T) {
	for text, line := range map[string]int{
		"\n\njunk": 3, "[s]\n\njunk\nmore": 3, "[s]\na=1\nb=\xff": 3, "; c\n\ufeff[s]": 2, "[s]\n" + strings.Repeat("a=xxxx\n", 3000) + "\xe9": 3002,
	} {
		err := newTable().read("f", []byte(text))
		if err == nil || err.Line != line {
			t.Errorf("%.20q: %+v, want an error in line %d", text, err, line)
		}
	}
}

// FuzzINI checks that no file panics the reader, that the places it gives exist, and that what it has read reads the same when it is
// written plainly.
func FuzzINI(f *testing.F) {
	for _, s := range []string{"[s]\na=b ;c\n", "[a]b]\nx:1\n  y\n\n z", "[DEFAULT]\na=1\n[s]\n", "\ufeff[s]", "[s]\na=x;y ;z #c\n", "[s]\n\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tab := newTable()
		if err := tab.read("f", data); err != nil {
			if err.Line < 1 || err.Text == "" {
				t.Errorf("%q: error without place or text: %+v", data, err)
			}
			return
		}
		if !utf8.Valid(data) {
			t.Errorf("%q: read, though it is not UTF-8", data)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		var plain strings.Builder
		simple := true
		for _, s := range tab.sections {
			plain.WriteString("[" + s.name + "]\n")
			for _, key := range s.order {
				e := s.own[key]
				if e.line < 1 || e.line > lines || e.col < 1 {
					t.Errorf("%q: %s is said to be at %d:%d", data, key, e.line, e.col)
				}
				plain.WriteString(key + "=" + e.value + "\n")
				simple = simple && key != "" && !strings.ContainsAny(key+e.value, ";#\n[=:")
			}
			simple = simple && !strings.ContainsAny(s.name, ";#")
		}
		if !simple {
			return
		}
		if again, got := readINI([]byte(plain.String())), readINI(data); !reflect.DeepEqual(again.Sections, got.Sections) {
			t.Errorf("%q reads %q, written plainly and read again %q", data, got.Sections, again.Sections)
		}
	})
}
