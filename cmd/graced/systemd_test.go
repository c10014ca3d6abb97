package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd read the units that are shipped, with this test's programs in them. The documentation shows the same.
func TestUnit(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/how-to/run-under-systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	verify := []string{"verify", "--man=no"}
	dir := t.TempDir()
	for _, name := range []string{"graced.service", "graced.socket"} {
		text, err := os.ReadFile("../../packaging/systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(doc), "\n"+string(text)+"```\n") {
			t.Errorf("the documentation shows another %s", name)
		}
		unit := filepath.Join(dir, name)
		if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/", bin+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
		verify = append(verify, unit)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("hidden: the units as systemd reads them, because systemd-analyze is not installed")
	}
	out, err := exec.Command("systemd-analyze", verify...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
