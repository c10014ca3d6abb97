package machine

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestFiles(t *testing.T) {
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"a", ".b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	names, err := m.ReadDir(dir)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{".b", "a", "dangling"}) {
		t.Errorf("ReadDir = %q, %v", names, err)
	}
	if _, err := m.ReadDir(filepath.Join(dir, "gone")); !os.IsNotExist(err) {
		t.Errorf("ReadDir of a missing directory: %v", err)
	}
	if !m.Exists(filepath.Join(dir, "dangling")) || m.Exists(filepath.Join(dir, "gone")) {
		t.Error("Exists must be true for a dangling link and false for nothing")
	}
	if !m.DirExists(dir) || m.DirExists(filepath.Join(dir, "a")) || m.DirExists(filepath.Join(dir, "dangling")) {
		t.Error("DirExists must be true for directories alone")
	}
	if info, err := m.Stat(filepath.Join(dir, "a")); err != nil || info.Dir || info.Mode != 0o600 || info.UID != os.Getuid() {
		t.Errorf("Stat of a file: %+v, %v", info, err)
	}
	if info, err := m.Stat(dir); err != nil || !info.Dir {
		t.Errorf("Stat of a directory: %+v, %v", info, err)
	}
	if _, err := m.Stat(filepath.Join(dir, "dangling")); !os.IsNotExist(err) {
		t.Errorf("Stat of a dangling link: %v", err)
	}
	if data, err := m.ReadFile(filepath.Join(dir, "a")); err != nil || string(data) != "text" {
		t.Errorf("ReadFile = %q, %v", data, err)
	}
	if wd, _ := os.Getwd(); m.Dir != wd || m.Hostname == "" || m.TempDir == "" {
		t.Errorf("facts: dir %q, host %q, temp %q", m.Dir, m.Hostname, m.TempDir)
	}
}

func TestAccounts(t *testing.T) {
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	us, err := m.User(strconv.Itoa(os.Getuid()))
	if err != nil {
		t.Fatalf("our own account: %v", err)
	}
	if us.UID != os.Getuid() {
		t.Errorf("uid %d, want %d", us.UID, os.Getuid())
	}
	byName, err := m.User(us.Name)
	if err != nil || byName != us {
		t.Errorf("by name %+v (%v), by number %+v", byName, err, us)
	}
	if gid, err := m.Group(strconv.Itoa(us.GID)); err != nil || gid != us.GID {
		t.Errorf("group %d: %d, %v", us.GID, gid, err)
	}
	own, err := m.Home("")
	if err != nil {
		t.Fatal(err)
	}
	if named, err := m.Home(us.Name); err != nil || named != own {
		t.Errorf("home %q by name (%v), %q by default", named, err, own)
	}
	for what, err := range map[string]error{
		"user":  second(m.User("no such user")),
		"uid":   second(m.User("4294967294")),
		"group": second(m.Group("no such group")),
		"home":  second(m.Home("no such user")),
	} {
		if err == nil {
			t.Errorf("an unknown %s must be an error", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }
