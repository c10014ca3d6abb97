package contract

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "record the answers of Debian's supervisord and supervisorctl anew")

const (
	debianDaemon = "/usr/bin/supervisord"
	debianCtl    = "/usr/bin/supervisorctl"
	debianPython = "/usr/bin/python3"
)

// What every program of a session finds in its environment.
const (
	searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	locale     = "C.UTF-8"
)

// TestMain lets many sessions run side by side: they wait most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	code := m.Run()
	stopZygote()
	os.Exit(code)
}

// build compiles one of our programs under the name that chooses Supervisor's contract.
func build(dir, name, pkg string) (string, error) {
	path := filepath.Join(dir, name)
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/"+pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s: %v\n%s", pkg, err, out)
	}
	return path, nil
}

func installed(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestSessions runs every script in every pairing. The reference is what Debian's pair answers: recorded, and compared with the real one
// where it is installed. -short runs only our pair.
func TestSessions(t *testing.T) {
	bin := t.TempDir()
	ourCtl, err := build(bin, "supervisorctl", "gracectl")
	if err != nil {
		t.Fatal(err)
	}
	ourDaemon, err := build(bin, "supervisord", "graced")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("testdata/*.script")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	pairings := []pairing{
		{"Debian's supervisord, Debian's supervisorctl", debianDaemon, debianCtl, false, false},
		{"Debian's supervisord, our supervisorctl", debianDaemon, ourCtl, false, true},
		{"graced, Debian's supervisorctl", ourDaemon, debianCtl, true, false},
		{"graced, our supervisorctl", ourDaemon, ourCtl, true, true},
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			t.Parallel()
			script := parseScript(t, path)
			recording := strings.TrimSuffix(path, ".script") + ".want"
			if *rewrite {
				got := render(run(t, pairings[0], script))
				if err := os.WriteFile(recording, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(recording)
			if errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s does not exist: run go test ./internal/contract -rewrite", recording)
			}
			if err != nil {
				t.Fatal(err)
			}
			want := split(string(data))
			for _, p := range pairings {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					if !p.ourDaemon || !p.ourCtl {
						p.needsDebian(t)
					}
					compare(t, p, run(t, p, script), want)
				})
			}
		})
	}
}

// needsDebian skips a session that cannot or shall not run.
func (p pairing) needsDebian(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: our pair alone")
	}
	if !installed(debianDaemon) || !installed(debianCtl) {
		t.Skip("Debian's supervisor is not installed: only the recorded answers are compared")
	}
}

// TestGracectl runs what has no counterpart in Supervisor: gracectl under its own name. The recording is a golden of ours.
func TestGracectl(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	ourCtl, err := build(bin, "gracectl", "gracectl")
	if err != nil {
		t.Fatal(err)
	}
	ourDaemon, err := build(bin, "graced", "graced")
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/own/gracectl"
	got := render(run(t, pairing{"graced, gracectl", ourDaemon, ourCtl, true, true}, parseScript(t, path+".script")))
	if *rewrite {
		if err := os.WriteFile(path+".want", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path + ".want")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("gracectl answers differently than recorded:\n%s", difference(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
	}
}

// compare checks each step against the reference, or against the quirk that holds for one of our sides.
func compare(t *testing.T, p pairing, got []step, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("the recording has %d steps, the script %d: run go test ./internal/contract -rewrite", len(want), len(got))
	}
	for i, s := range got {
		expected, source := want[i], "Supervisor"
		any := false
		for _, q := range s.quirks {
			if q.side == "daemon" && p.ourDaemon || q.side == "ctl" && p.ourCtl {
				expected, source, any = q.want, "quirk "+q.id, q.any
			}
		}
		if !any && !slices.Equal(s.lines, expected) {
			t.Errorf("%s: %s %s\n%s, as %s has it:\n%s", s.pos, s.verb, s.rest, p.name, source, difference(expected, s.lines))
		}
	}
}

// difference shows two lists of lines, the lines that both begin or end with only once.
func difference(want, got []string) string {
	var b strings.Builder
	start := 0
	for start < len(want) && start < len(got) && want[start] == got[start] {
		start++
	}
	end := 0
	for end < len(want)-start && end < len(got)-start && want[len(want)-1-end] == got[len(got)-1-end] {
		end++
	}
	for _, l := range want[max(0, start-2):start] {
		b.WriteString("    " + l + "\n")
	}
	for _, l := range want[start : len(want)-end] {
		b.WriteString("  - " + l + "\n")
	}
	for _, l := range got[start : len(got)-end] {
		b.WriteString("  + " + l + "\n")
	}
	return b.String()
}
