package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// valueCase is one answer of testdata/values.py.
type valueCase struct {
	Type, In      string
	OK            json.RawMessage
	Err           *string
	Legacy, Posix struct {
		OK  map[string]string
		Err *string
	}
}

// converters bring our parsers into the form of the recorded answers.
var converters = map[string]func(string) (any, error){
	"int":       func(s string) (any, error) { return ParseInt(s) },
	"bool":      func(s string) (any, error) { return ParseBool(s) },
	"bytes":     func(s string) (any, error) { return ParseByteSize(s) },
	"octal":     func(s string) (any, error) { return ParseOctal(s) },
	"exitcodes": func(s string) (any, error) { v, err := ParseExitCodes(s); return append([]int{}, v...), err },
	"autorestart": func(s string) (any, error) {
		v, err := ParseAutorestart(s)
		return v.String(), err
	},
	"loglevel": func(s string) (any, error) { v, err := ParseLogLevel(s); return int(v), err },
	"list":     func(s string) (any, error) { return append([]string{}, parseList(s)...), nil },
	"name":     func(s string) (any, error) { return parseName(s) },
	"port":     func(s string) (any, error) { h, p, err := parseAddress(s); return []any{h, p}, err },
	"signal":   func(s string) (any, error) { v, err := ParseSignal(s); return int(v), err },
}

func checkValue(t *testing.T, c valueCase) {
	t.Helper()
	if c.Type == "environment" {
		checkEnvironment(t, c)
		return
	}
	got, err := converters[c.Type](c.In)
	switch {
	case c.Err != nil && (err == nil || err.Error() != *c.Err):
		t.Errorf("%s %q: %v, %v; Supervisor fails: %s", c.Type, c.In, got, err, *c.Err)
	case c.Err == nil && err != nil:
		t.Errorf("%s %q: %v; Supervisor says %s", c.Type, c.In, err, c.OK)
	case c.Err == nil:
		var want any
		if err := json.Unmarshal(c.OK, &want); err != nil {
			t.Fatal(err)
		}
		have, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var again any
		if err := json.Unmarshal(have, &again); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(want) != fmt.Sprint(again) {
			t.Errorf("%s %q: %s, Supervisor says %s", c.Type, c.In, have, c.OK)
		}
	}
}

// checkEnvironment compares both readings, and what is made of them (quirk A5): the new one counts, the old one is the fallback.
func checkEnvironment(t *testing.T, c valueCase) {
	t.Helper()
	for posix, want := range map[bool]struct {
		OK  map[string]string
		Err *string
	}{true: c.Posix, false: c.Legacy} {
		got, _, err := readEnviron(c.In, posix)
		switch {
		case want.Err != nil && (err == nil || err.Error() != *want.Err):
			t.Errorf("environment %q posix=%v: %v, %v; want error %s", c.In, posix, got, err, *want.Err)
		case want.Err == nil && (err != nil || !maps.Equal(got, want.OK)):
			t.Errorf("environment %q posix=%v: %q, %v; want %q", c.In, posix, got, err, want.OK)
		}
	}
	got, remarks, err := parseEnviron(c.In)
	has := map[Code]bool{}
	for _, r := range remarks {
		has[r.code] = true
	}
	switch {
	case c.Posix.Err == nil:
		differs := c.Legacy.Err == nil && !maps.Equal(c.Legacy.OK, c.Posix.OK)
		if err != nil || !maps.Equal(got, c.Posix.OK) || has[LegacyEnviron] || has[EnvironDiffers] != differs {
			t.Errorf("environment %q: %q, %v, remarks %v; want the new reading %q", c.In, got, err, remarks, c.Posix.OK)
		}
	case c.Legacy.Err == nil:
		if err != nil || !maps.Equal(got, c.Legacy.OK) || !has[LegacyEnviron] {
			t.Errorf("environment %q: %q, %v, remarks %v; want the old reading %q and a warning", c.In, got, err, remarks, c.Legacy.OK)
		}
	case err == nil || err.Error() != *c.Posix.Err:
		t.Errorf("environment %q: %q, %v; want error %s", c.In, got, err, *c.Posix.Err)
	}
}

func TestValuesRecorded(t *testing.T) {
	seen := map[string]int{}
	recorded(t, "values.jsonl.gz", func(c valueCase) {
		seen[c.Type]++
		checkValue(t, c)
	})
	if len(seen) != len(converters)+1 || seen["environment"] < 3000 {
		t.Errorf("recorded types %v", seen)
	}
}

func TestValuesLive(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: comparison of values with Supervisor's converters, because /usr/bin/python3 has no supervisor module")
	}
	rnd := newRand(t)
	type question struct {
		Type string `json:"type"`
		In   string `json:"in"`
	}
	alphabets := map[string]string{
		"int": "0123456789+-_ x١", "bool": "01trueonfalsyTRUE", "bytes": "0129kKmMgGbB -_", "octal": "01789oO_- x", "exitcodes": "0125,, -x",
		"port": "0129:*hH. ", "name": "ab :/é", "loglevel": "infodebug", "list": "a, ", "environment": "AB==,,'\"\\ #;\néx1-$",
	}
	var questions []question
	for kind, alphabet := range alphabets {
		letters := []rune(alphabet)
		for range 150 {
			q := question{Type: kind}
			for range rnd.Intn(9) {
				q.In += string(letters[rnd.Intn(len(letters))])
			}
			questions = append(questions, q)
		}
	}
	for _, c := range ask[question, valueCase](t, "comparison of values", "/usr/bin/python3", "values.py", questions) {
		checkValue(t, c)
	}
}

// TestEnvironmentOf44 is the contract's table of the environment grammar, column 4.4 (contract: config, "environment grammar").
func TestEnvironmentOf44(t *testing.T) {
	for text, want := range map[string]string{
		`A="a,b",B=c`: "A=a,b B=c", `A='x"y'`: `A=x"y`, `A=1,B=2,`: "A=1 B=2", `A = 1 , B=2`: "A=1 B=2", `A=1;B=2`: "A=1 B=2", `A=a b`: "A=a",
		`A=a*`: "A=a", `A=$HOME`: "A=$", `A=~/x`: "A=~", `A=`: "error", `A=,B=1`: "error", `A=a@b`: "error", `A={x}`: "error", `A=b=c`: "error",
		`A=#x`: "error", `A=""`: "A=", `A="x\"y"`: `A=x"y`, `A="a\\b"`: `A=a\b`, `A=x\,y`: "A=x,y", `A="a"b`: "A=ab", `A=a"b c"d`: "A=ab cd",
		`"A"=1`: "A=1", `A="open`: "error", "A=\"x\ny\"": "A=x\ny",
		`A=it's`: "A=it's", // 4.4 fails; the old reading steps in (quirk A5)
	} {
		env, _, err := parseEnviron(text)
		var words []string
		for _, e := range environList(env) {
			words = append(words, e.Key+"="+e.Value)
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %q (%v), want %q", text, got, err, want)
		}
	}
}

// TestSkippedToken: quirk A6.
func TestSkippedToken(t *testing.T) {
	for text, want := range map[string]string{"A=a b": "'b'", "A=$HOME": "'HOME'", "A=1,B=2": "", "A=1;B=2": "", "A=1,B=2 C": "'C'"} {
		_, remarks, err := parseEnviron(text)
		var got string
		for _, r := range remarks {
			if r.code == SkippedToken {
				got, _, _ = strings.Cut(r.text, " after")
			}
		}
		if err != nil || got != want {
			t.Errorf("%q: skipped %s, %v; want %s", text, got, err, want)
		}
	}
}

// TestRealTimeSignals: quirk A21, the part that the reference refuses.
func TestRealTimeSignals(t *testing.T) {
	for word, want := range map[string]process.Signal{"RTMIN+0": 34, "SIGRTMIN+3": 37, "rtmin+30": 64, "RTMAX-1": 63, "SIGRTMAX-30": 34} {
		if got, err := ParseSignal(word); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", word, got, err, want)
		}
	}
	for _, word := range []string{"RTMIN+31", "RTMIN+", "RTMIN-1", "RTMAX+1", "RTMAX--1", "RTMIN+-1", "TERM+1"} {
		if got, err := ParseSignal(word); err == nil {
			t.Errorf("%s is accepted as %d", word, got)
		}
	}
}

// TestNumbersOutOfRange: numbers that Python would take and we cannot hold are errors, never other numbers.
func TestNumbersOutOfRange(t *testing.T) {
	for _, s := range []string{"9223372036854775808", "99999999999999999999", "-99999999999999999999"} {
		if n, err := ParseInt(s); err == nil {
			t.Errorf("ParseInt(%s) = %d", s, n)
		}
	}
	for _, s := range []string{"9007199254740992KB", "-8589934592GB", "99999999999999GB"} {
		if n, err := ParseByteSize(s); err == nil {
			t.Errorf("ParseByteSize(%s) = %d", s, n)
		}
	}
	if n, err := ParseByteSize("8589934591GB"); err != nil || n != 8589934591<<30 {
		t.Errorf("ParseByteSize(8589934591GB) = %d, %v", n, err)
	}
}

// FuzzEnvironment checks that no text panics the grammar, and that values in single quotes come back as they are.
func FuzzEnvironment(f *testing.F) {
	for _, s := range []string{`A="a,b",B=c`, `A=it's`, `A="x\"y"`, "A=1 # c\n,B=2", "é=\xff", `A=\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		env, _, err := parseEnviron(s)
		if (env == nil) != (err != nil) {
			t.Errorf("%q: %v, %v", s, env, err)
		}
		if !strings.Contains(s, "'") {
			env, remarks, err := parseEnviron("A='" + s + "',B=2")
			if err != nil || env["A"] != s || env["B"] != "2" {
				t.Errorf("%q in quotes: %q, %v, %v", s, env, remarks, err)
			}
		}
	})
}
