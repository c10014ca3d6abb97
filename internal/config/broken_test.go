package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of testdata/broken anew")

// TestBroken loads every file of testdata/broken, each with one mistake. Its .want holds Supervisor's text and what humans are told,
// which names file, line and value, and a way out.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.conf")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path := "/etc/graced/" + filepath.Base(file)
		m := fakeMachine(map[string]string{path: string(data)})
		_, err = Load(m, path, nil)
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("%s: loaded, %v", file, err)
			continue
		}
		got := fmt.Sprintf("error: %s\ndetail: %s\n", strings.ReplaceAll(bad.Error(), "\n", "\n    "), bad.Detail())
		golden := strings.TrimSuffix(file, ".conf") + ".want"
		if *rewrite {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s:\n%s  want\n%s  %v", file, got, want, err)
		}
		if !strings.HasPrefix(bad.Detail(), path+":") || strings.ContainsAny(bad.Detail(), "\n\t") {
			t.Errorf("%s: the detail does not start with the file, or is no single line", file)
		}
		if bad.Line > 0 && !strings.HasPrefix(bad.Detail(), fmt.Sprintf("%s:%d: ", path, bad.Line)) {
			t.Errorf("%s: the detail does not name the line", file)
		}
		if bad.Hint == "" {
			t.Errorf("%s: no way out is named", file)
		}
		if bad.Key != "" && bad.Col > 0 {
			line := []rune(strings.Split(string(data), "\n")[bad.Line-1])
			first, _, _ := strings.Cut(bad.Value, "\n")
			if !strings.HasPrefix(string(line[bad.Col-1:]), first) {
				t.Errorf("%s: column %d of %q is not where %q starts", file, bad.Col, string(line), first)
			}
		}
	}
}
