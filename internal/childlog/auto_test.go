package childlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// createAuto makes the AUTO log of a process that does not run.
func createAuto(dir, process, channel, identifier string) (string, error) {
	path := filepath.Join(dir, AutoName(process, channel, identifier))
	s := NewStream(Config{Name: process, Channel: channel, Path: path, Auto: true}, nil)
	defer s.Dispose()
	return path, s.Create()
}

// TestAutoModeLater: a log that becomes AUTO is as private, also when it is configured again before its file is made.
func TestAutoModeLater(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	path := filepath.Join(t.TempDir(), "p.log")
	s := NewStream(Config{Name: "p"}, nil)
	defer s.Dispose()
	for _, cfg := range []Config{{Name: "p", Path: path, Auto: true}, {Name: "p", Path: path, MaxBytes: 100}} {
		if err := s.Reconfigure(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

// TestAutoMode: the file is readable by the daemon's user alone, whether a start makes it or not; one that is made anew later is like any other log.
func TestAutoMode(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	for what, begin := range map[string]func(*Stream) error{"Create": (*Stream).Create, "Open": (*Stream).Open} {
		path := filepath.Join(t.TempDir(), "p.log")
		s := NewStream(Config{Name: "p", Path: path, Auto: true}, nil)
		mode := func() fs.FileMode {
			st, err := os.Stat(path)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return st.Mode().Perm()
		}
		if err := begin(s); err != nil || mode() != 0o600 {
			t.Errorf("%s: %v, mode %v", what, err, mode())
		}
		if what == "Create" && s.target.fd >= 0 {
			t.Error("Create leaves a descriptor open")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := s.Create(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, then Create: the file was made twice: %v", what, err)
		}
		s.Close()
		if err := s.Open(); err != nil || mode() != 0o666 {
			t.Errorf("%s, then Open: %v, mode %v", what, err, mode())
		}
		s.Close()
		s.Dispose()
	}
}

func TestAuto(t *testing.T) {
	dir := t.TempDir()
	path, err := createAuto(dir, "web_00", "stdout", "supervisor")
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 || st.Size() != 0 {
		t.Errorf("%v %v", st, err)
	}
	name := filepath.Base(path)
	random, ok := strings.CutPrefix(name, "web_00-stdout---supervisor-")
	if random, ok2 := strings.CutSuffix(random, ".log"); !ok || !ok2 || len(random) != 8 || strings.Trim(random, autoLetters) != "" {
		t.Errorf("name %q", name)
	}
	if _, err := createAuto(filepath.Join(dir, "none"), "p", "stdout", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	for _, name := range []string{
		"p-stdout---supervisor-abcdefgh.log.1", "p-stderr---supervisor-abcdefgh.log.10", "p-stderr---supervisor-abcdefgh.log.anything",
		"p-stdout---other-abcdefgh.log", "p-stdout---supervisorx-abcdefgh.log", "---supervisor-abcdefgh.log", "p-stdout---supervisor-a b.log", "plain.log",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d-stdout---supervisor-abcdefgh.log"), 0o755); err != nil {
		t.Fatal(err)
	}
	failed, err := CleanAuto(dir, "supervisor")
	if want := []string{filepath.Join(dir, "d-stdout---supervisor-abcdefgh.log")}; err != nil || !slices.Equal(failed, want) {
		t.Errorf("failed %q, %v, want %q", failed, err, want)
	}
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := []string{"---supervisor-abcdefgh.log", "d-stdout---supervisor-abcdefgh.log", "p-stdout---other-abcdefgh.log", "p-stdout---supervisor-a b.log",
		"p-stdout---supervisorx-abcdefgh.log", "plain.log"}
	if !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
	// compat: Supervisor takes the identifier for a pattern; we take it literally (quirk F2).
	os.WriteFile(filepath.Join(dir, "p-stdout---axb-abcdefgh.log"), nil, 0o644)
	CleanAuto(dir, "a.b")
	if _, err := os.Stat(filepath.Join(dir, "p-stdout---axb-abcdefgh.log")); err != nil {
		t.Errorf("another identifier's log: %v", err)
	}
	if _, err := CleanAuto(filepath.Join(dir, "none"), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

// names lists a directory.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// TestCleanAutoSpares removes nothing from another instance: what is written to stays, with its backups (quirk F2).
func TestCleanAutoSpares(t *testing.T) {
	dir := t.TempDir()
	alive, err := createAuto(dir, "alive", "stdout", "x")
	if err != nil {
		t.Fatal(err)
	}
	read, err := createAuto(dir, "read", "stdout", "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := createAuto(dir, "left", "stdout", "x"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{alive + ".1", alive + ".12", read + ".1"} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := opened(t, Config{Path: alive}) // as another daemon has it
	reader, err := os.Open(read)        // one who only looks keeps no log
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := unix.FcntlInt(reader.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		t.Skipf("hidden: that a log which somebody writes is not cleaned up, because this file system does not tell who writes: %v", err)
	}
	if failed, err := CleanAuto(dir, "x"); err != nil || len(failed) > 0 {
		t.Errorf("failed %q, %v", failed, err)
	}
	base := filepath.Base(alive)
	if got, want := names(t, dir), []string{base, base + ".1", base + ".12"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	c.say("goes on\n")
	wantFile(t, alive, "goes on\n")
	c.Close()
	if failed, err := CleanAuto(dir, "x"); err != nil || len(failed) > 0 {
		t.Errorf("failed %q, %v", failed, err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}
