package config

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// percentCase is one answer of testdata/percent.py.
type percentCase struct {
	In           string
	Out, Missing *string
	Err          string
	Dict         bool
}

// percentValues are the values of testdata/percent.py.
func percentValues(name string) (value, bool) {
	v, ok := map[string]value{
		"s": textValue("héllo wörld"), "e": textValue(""), "q": textValue("it's"), "dq": textValue(`it's "x"\`), "c": textValue("é"),
		"nl": textValue("a\nb\t\x01\u2028"), "a(b)c": textValue("nested"), "": textValue("empty"),
		"n": numValue(7), "z": numValue(0), "neg": numValue(-42), "big": numValue(123456789), "process_num": numValue(3),
	}[name]
	return v, ok
}

func checkPercent(t *testing.T, c percentCase) {
	t.Helper()
	got, err := percentFormat(c.In, percentValues)
	var missing *unknownName
	switch {
	case c.Dict: // quirk A2: the whole mapping as a value
		if err == nil || !strings.Contains(err.Error(), "%%") && c.Err == "" && c.Missing == nil {
			t.Errorf("%q: %q, %v; want an error that names %%%%", c.In, got, err)
		}
	case c.Missing != nil:
		if !errors.As(err, &missing) || missing.name != *c.Missing {
			t.Errorf("%q: %q, %v; want unknown name %q", c.In, got, err, *c.Missing)
		}
	case c.Out != nil:
		if err != nil || got != *c.Out {
			t.Errorf("%q: %q, %v; Python says %q", c.In, got, err, *c.Out)
		}
	case err == nil || err.Error() != c.Err:
		t.Errorf("%q: %q, %v; Python fails: %s", c.In, got, err, c.Err)
	}
}

func TestPercentRecorded(t *testing.T) {
	recorded(t, "percent.jsonl.gz", func(c percentCase) { checkPercent(t, c) })
}

func TestPercentLive(t *testing.T) {
	rnd := newRand(t)
	pieces := strings.Split("% %( s n neg z big q c nope ) ( - + # 0 1 5 12 . * h l L r a d i u o x X e E f F g G b é %% %(n) %(s) %(neg)", " ")
	pieces = append(pieces, " ")
	type question struct {
		In string `json:"in"`
	}
	questions := make([]question, 2000)
	for i := range questions {
		for range 1 + rnd.Intn(7) {
			questions[i].In += pieces[rnd.Intn(len(pieces))]
		}
	}
	for _, c := range ask[question, percentCase](t, "comparison of % formats with Python", "python3", "percent.py", questions) {
		checkPercent(t, c)
	}
}

// FuzzPercent checks that no format panics or grows without bound, and that a text with its percent signs doubled formats to itself.
func FuzzPercent(f *testing.F) {
	for _, s := range []string{"%(s)s", "%(n)05d", "%(neg)#.3x", "100%", "%(n)*d", "%(a(b)c)-10s|", "%s%s", "\xff%(s).2r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := percentFormat(s, percentValues)
		if err == nil && utf8.ValidString(s) && !utf8.ValidString(out) {
			t.Errorf("%q formats to invalid UTF-8 %q", s, out)
		}
		if out, err := percentFormat(strings.ReplaceAll(s, "%", "%%"), percentValues); err != nil || out != s {
			t.Errorf("%q doubled formats to %q, %v", s, out, err)
		}
	})
}
