package contract

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "record the answers of Debian's supervisord and supervisorctl anew")

const (
	debianDaemon = "/usr/bin/supervisord"
	debianCtl    = "/usr/bin/supervisorctl"
	debianPython = "/usr/bin/python3"
	pythonCalls  = "/usr/bin/calls" // no file: the process that forks Debian's programs knows testdata/python/calls.py by this name
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
	// A program that is started with SIGINT ignored, as a job in the background of a shell is, hands that on to its children, and Python's
	// programs then never see a Ctrl-C. A signal that is handled here starts out as the default in a child.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	go func() {
		<-interrupted
		os.Exit(1)
	}()
	// So with any other: what a child ignores is recorded. And so is its umask.
	for n := syscall.Signal(1); n < 32; n++ {
		if signal.Ignored(n) {
			signal.Notify(make(chan os.Signal, 1), n)
		}
	}
	syscall.Umask(0o022)
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
		t.Skip("hidden: this session in the pairings with the original, because -short is given: our pair alone is played")
	}
	if !installed(debianDaemon) || !installed(debianCtl) {
		t.Skip("hidden: this session in the pairings with the original, because Debian's supervisor is not installed: only its recorded answers are compared")
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
	compareOwn(t, "testdata/own/gracectl", pairing{"graced, gracectl", ourDaemon, ourCtl, true, true})
}

// TestGracectlDrivesSupervisor runs gracectl under its own name with the original daemon.
func TestGracectlDrivesSupervisor(t *testing.T) {
	t.Parallel()
	p := pairing{"Debian's supervisord, gracectl", debianDaemon, "", false, true}
	p.needsDebian(t)
	var err error
	if p.ctl, err = build(t.TempDir(), "gracectl", "gracectl"); err != nil {
		t.Fatal(err)
	}
	compareOwn(t, "testdata/own/python", p)
}

// compareOwn runs a script and compares with its recording.
func compareOwn(t *testing.T, path string, p pairing) {
	t.Helper()
	got := render(run(t, p, parseScript(t, path+".script")))
	for _, m := range documentMasks {
		got = m.from.ReplaceAllString(got, m.to)
	}
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
		expected, got, source := want[i], s.lines, "Supervisor"
		any := false
		for _, q := range s.quirks {
			if q.side == "daemon" && p.ourDaemon || q.side == "ctl" && p.ourCtl {
				var stale string
				source, any = "quirk "+q.id, q.any
				if expected, got, stale = q.apply(expected, got); stale != "" {
					t.Errorf("%s: %s %s\n%s: quirk %s: %s", s.pos, s.verb, s.rest, p.name, q.id, stale)
				}
			}
		}
		if !any && !slices.Equal(got, expected) {
			t.Errorf("%s: %s %s\n%s, as %s has it:\n%s", s.pos, s.verb, s.rest, p.name, source, difference(expected, got))
		}
	}
}

// difference shows where two lists of lines differ.
func difference(want, got []string) string {
	// common[i][j] is the length of the longest common subsequence of want[i:] and got[j:].
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	before := "" // the line before, when it is the same and not shown
	for i, j := 0, 0; i < len(want) || j < len(got); {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			before = "    " + want[i] + "\n"
			i, j = i+1, j+1
			continue
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			b.WriteString(before + "  - " + want[i] + "\n")
			i++
		default:
			b.WriteString(before + "  + " + got[j] + "\n")
			j++
		}
		before = ""
	}
	return b.String()
}
