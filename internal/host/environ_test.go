package host

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// files returns a directory, and what puts a file there.
func files(t *testing.T) (dir string, put func(name, text string) (path string)) {
	dir = t.TempDir()
	return dir, func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// TestEnvironFiles reads files, and what stands before them and behind.
func TestEnvironFiles(t *testing.T) {
	dir, put := files(t)
	first := put("first", "\xef\xbb\xbf# comment\n\nA=1\r\nexport B=a b # c\nQ1='a $b \\n'  # comment\nQ2=\"a\\\"b\\n\\$\\z\"\nE=\nOWN=file\nSUPERVISOR_ENABLED=no\nPATH=/file")
	second := put("second", "A=2\n")
	spec := &process.Spec{EnvironmentFiles: []string{first, "-" + dir + "/none", second}, Environment: []process.Env{{Key: "OWN", Value: "spec"}}}
	got, text := withFiles([]string{"PATH=/daemon", "HOME=/", "SUPERVISOR_ENABLED=1", "OWN=spec"}, spec)
	want := []string{"HOME=/", "SUPERVISOR_ENABLED=1", "OWN=spec", "A=2", "B=a b # c", "E=", "PATH=/file", "Q1=a $b \\n", "Q2=a\"b\n$\\z"}
	if text != "" || !slices.Equal(got, want) {
		t.Errorf("%q, %q", got, text)
	}
	if path := specPath(spec); !reflect.DeepEqual(path, []string{"/file"}) {
		t.Errorf("a command is searched in %q", path)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		dir + "/none": "no such file or directory", dir: "no regular file", fifo: "no regular file", put("large", strings.Repeat("#", environMost+1)): "larger than 1 MiB",
		put("words", "A=1\nsecret\n"): ":2: this is no KEY=VALUE", put("key", "A B=secret"): ":1: this is no KEY=VALUE", put("digit", "1A=secret"): ":1: this is no KEY=VALUE",
		put("open", "A=\"secret"): ":1: the value of A has a quote that never closes", put("more", "A='x' secret"): ":1: the value of A goes on behind its quotes",
		put("nul", "A=secret\x00"): ":1: the value of A has a NUL in it",
	} {
		_, text := withFiles(nil, &process.Spec{EnvironmentFiles: []string{name}})
		if !strings.HasPrefix(text, "environment_file "+name) || !strings.HasSuffix(text, why) || strings.Contains(text, "secret") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestSecrets reads the contents of files into variables, which win over all others, and never tells them.
func TestSecrets(t *testing.T) {
	dir, put := files(t)
	for text, want := range map[string]string{
		"hunter2": "hunter2", "hunter2\n": "hunter2", "hunter2\r\n": "hunter2", "a\nb\n\n": "a\nb\n", "": "", " '$x' ": " '$x' ",
		strings.Repeat("x", variableMost-len("KEY=")-1): strings.Repeat("x", variableMost-len("KEY=")-1),
	} {
		spec := &process.Spec{
			Secrets: []process.Secret{{Key: "KEY", Path: put("key", text)}}, EnvironmentFiles: []string{put("env", "KEY=file\nA=1\n")},
			Environment: []process.Env{{Key: "KEY", Value: "spec"}},
		}
		got, why := withFiles([]string{"HOME=/", "KEY=spec"}, spec)
		if want := []string{"HOME=/", "A=1", "KEY=" + want}; why != "" || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %q", text, got, why)
		}
	}
	for path, why := range map[string]string{
		dir + "/none": "KEY cannot be read from " + dir + "/none: no such file or directory", dir: "no regular file", put("nul", "secret\x00"): "KEY has a NUL in it",
		put("long", strings.Repeat("secret", variableMost/6+1)): "KEY is too long for a variable", put("large", strings.Repeat("secret", environMost)): "larger than 1 MiB",
	} {
		_, text := withFiles(nil, &process.Spec{Secrets: []process.Secret{{Key: "KEY", Path: path}}})
		if !strings.HasPrefix(text, "secret_files: KEY ") || !strings.Contains(text, why) || strings.Contains(text, "secretsecret") {
			t.Errorf("%s: %s", path, text)
		}
	}
}
