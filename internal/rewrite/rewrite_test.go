package rewrite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put makes a file with a mode, in a directory of its own.
func put(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// alone checks that a directory holds so many entries.
func alone(t *testing.T, path string, n int) {
	t.Helper()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != n {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFile(t *testing.T) {
	path := put(t, "old", 0o640)
	link := path + ".link"
	if err := os.Symlink("s.conf", link); err != nil {
		t.Fatal(err)
	}
	r, err := File(link, []byte("old"), []byte("next"), false)
	info, _ := os.Stat(path)
	target, _ := os.Readlink(link)
	if err != nil || r.Names != 1 || read(t, path) != "next" || info.Mode() != 0o640 || target != "s.conf" {
		t.Errorf("%+v, %v: %q, %v, %s", r, err, read(t, path), info.Mode(), target)
	}
	alone(t, path, 2)
}

// TestNames keeps all names of a file, and its inode with them.
func TestNames(t *testing.T) {
	for _, next := range []string{"a longer text", "x", ""} {
		path := put(t, "old", 0o644)
		other := path + ".2"
		if err := os.Link(path, other); err != nil {
			t.Fatal(err)
		}
		r, err := File(path, []byte("old"), []byte(next), false)
		a, _ := os.Stat(path)
		b, _ := os.Stat(other)
		if err != nil || r.Names != 2 || read(t, other) != next || !os.SameFile(a, b) {
			t.Errorf("%+v, %v: %q and %q", r, err, read(t, path), read(t, other))
		}
		alone(t, path, 2)
	}
}

// TestReadOnly leaves a file alone that nobody may write to, root or not, unless it is told otherwise.
func TestReadOnly(t *testing.T) {
	path := put(t, "old", 0o440)
	_, err := File(path, []byte("old"), []byte("next"), false)
	if !errors.Is(err, ErrReadOnly) || !strings.HasSuffix(err.Error(), "s.conf has the mode 0440: nobody may write to it") || read(t, path) != "old" {
		t.Errorf("%v, %q", err, read(t, path))
	}
	_, err = File(path, []byte("old"), []byte("next"), true)
	if info, _ := os.Stat(path); err != nil || read(t, path) != "next" || info.Mode() != 0o440 {
		t.Errorf("with force: %v, %q, %v", err, read(t, path), info.Mode())
	}
}

// TestRefused changes nothing when the file is not what it was, or is not there.
func TestRefused(t *testing.T) {
	path := put(t, "other", 0o644)
	if _, err := File(path, []byte("old"), []byte("next"), true); err == nil || !strings.HasSuffix(err.Error(), "has changed meanwhile") || read(t, path) != "other" {
		t.Errorf("%v, %q", err, read(t, path))
	}
	if _, err := File(path+".no", nil, nil, true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
