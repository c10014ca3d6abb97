package core_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graced/graced/internal/sim"
)

var rewrite = flag.Bool("rewrite", false, "write what happens into the files of testdata")

// TestScripts plays the stories of testdata. Their language is described at sim.Script.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "matrix") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			want := readFile(t, file)
			got, err := new(sim.Script).Run(want)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, want, got)
		})
	}
}

// readFile reads a file of testdata; one that is to be written may be missing.
func readFile(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	return string(b)
}

// golden compares a text with the content of a file, or makes it so.
func golden(t *testing.T, file, want, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			from := max(0, i-4)
			t.Errorf("%s differs in line %d (-rewrite accepts)\nwant:\n%s\ngot:\n%s", file, i+1,
				strings.Join(a[from:min(len(a), i+5)], "\n"), strings.Join(b[from:min(len(b), i+5)], "\n"))
			return
		}
	}
}
