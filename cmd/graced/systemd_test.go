package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd read the unit that is shipped, with this test's programs in it. The documentation shows the same.
func TestUnit(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../packaging/systemd/graced.service")
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := os.ReadFile("../../docs/how-to/run-under-systemd.md"); err != nil || !strings.Contains(string(doc), "\n"+string(text)+"```\n") {
		t.Errorf("the documentation shows another unit (%v)", err)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("hidden: the unit as systemd reads it, because systemd-analyze is not installed")
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "graced.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/", bin+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
