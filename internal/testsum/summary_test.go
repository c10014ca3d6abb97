package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSummary runs recorded streams of `go test -json` through read and report. The streams are in testdata/NAME.json, the wanted output
// in NAME.want.
func TestSummary(t *testing.T) {
	absent, err := parseAbsences("no supervisor|without supervisor\tDebian's supervisor\n\nneeds root\troot's rights\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		strict bool
		ok     bool
	}{
		{"pass", true, true},
		{"skips", false, true},
		{"skips_strict", true, false},
		{"fail", false, false},
		{"build", false, false},
		{"cut", false, false},
		{"timeout", false, false},
		{"empty", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, err := os.Open(filepath.Join("testdata", strings.TrimSuffix(tt.name, "_strict")+".json"))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			var out strings.Builder
			sum, err := read(in, &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok := sum.report(&out, absent, tt.strict); ok != tt.ok {
				t.Errorf("report says passed = %v, want %v", ok, tt.ok)
			}
			want, err := os.ReadFile(filepath.Join("testdata", tt.name+".want"))
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("output:\n%s\nwant:\n%s", out.String(), want)
			}
		})
	}
}

// TestParseAbsencesErrors checks that a broken list is refused rather than hiding skips.
func TestParseAbsencesErrors(t *testing.T) {
	for _, text := range []string{"no tab here", "(\tunbalanced"} {
		if got, err := parseAbsences(text); err == nil {
			t.Errorf("parseAbsences(%q) = %v, want an error", text, got)
		}
	}
}
