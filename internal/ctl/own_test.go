package ctl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// TestPlanText renders every kind of change.
func TestPlanText(t *testing.T) {
	p := control.Plan{
		ID: "8c1f", Files: []control.PlanFile{{Path: "/etc/s/s.conf"}, {Path: "/etc/s/conf.d/web.conf"}},
		Groups: []control.PlanGroup{
			{Name: "web", Action: "change", Start: []string{"web:web_4"}, Untouched: []string{"web:web_0"}, Changes: []control.OptionChange{
				{Option: "stopwaitsecs", Old: "10", New: "20", Class: "live", File: "/etc/s/conf.d/web.conf", Line: 9, Processes: []string{"web:web_0", "web:web_1"}},
				{Option: "numprocs", Old: "4", New: "5", Class: "identity", File: "/etc/s/conf.d/web.conf", Line: 3}},
				Reasons: []control.PlanReason{{Process: "web:web_4", Reason: "new: numprocs 4 -> 5 (/etc/s/conf.d/web.conf:3)", File: "/etc/s/conf.d/web.conf", Line: 3},
					{Process: "web:web_0", Reason: "same"}, {Process: "web:web_1", Reason: "same"}, {Process: "web:web_2", Reason: "same"}, {Process: "web:web_3", Reason: "same"}}},
			{Name: "api", Action: "change", Replace: []string{"api:api_0", "api:api_1"}, Estimate: 4, Changes: []control.OptionChange{
				{Option: "environment", Variable: "TOKEN", Old: "•••", New: "•••", Hidden: true, Class: "respawn"},
				{Option: "command", Old: "x --token=•••", New: "x --token=•••", Hidden: true, Class: "respawn"},
				{Option: "command", Old: "x --token=•••", New: "y --token=•••", Hidden: true, Class: "respawn"}, {Option: "directory", New: "/tmp", Class: "respawn"}}},
			{Name: "ears", Action: "replace", Stop: []string{"ears:e"}, StopMost: 10, Start: []string{"ears:e"}},
			{Name: "cron", Action: "remove", Stop: []string{"cron:cron"}, StopMost: 10},
			{Name: "never", Action: "remove", Remove: []string{"never:never"}}, {Name: "some", Action: "change", Remove: []string{"some:a", "some:b"}},
			{Name: "mailer", Action: "add", Start: []string{"mailer:mailer"}}, {Name: "manual", Action: "add", Add: []string{"manual:manual"}},
			{Name: "one", Action: "change", Rename: []control.Renaming{{From: "one:one", To: "one:one_0"}}},
			{Name: "idle", Action: "change", Down: []string{"idle:idle"}}, {Name: "db", Action: "keep", Untouched: []string{"db:db"}},
		},
		Totals: control.PlanTotals{Keep: 5, Replace: 2, Start: 3, Stop: 1}, Notes: []control.PlanNote{{}},
		Overrides: []control.Override{{Program: "web", Count: 6, InFile: 4, File: "/etc/s/conf.d/web.conf", Line: 3}},
	}
	want := `plan 8c1f   s.conf + 1 included

  ~ web       1 setting live, 1 process started, 1 untouched
      stopwaitsecs   10 -> 20   live (web_0 web_1)   conf.d/web.conf:9
      numprocs       4 -> 5                          conf.d/web.conf:3
      web_4                          new: numprocs 4 -> 5 (conf.d/web.conf:3)
      web_0 web_1 web_2 and 1 more   same
  r api       2 processes replaced, one at a time, about 4 s besides the stops
      environment TOKEN   ••• -> ••• (hidden)                       respawn
      command             x --token=••• -> x --token=••• (hidden)   respawn
      command             x --token=••• -> y --token=•••            respawn
      directory           "" -> /tmp                                respawn
  r ears      the group is replaced as a whole, 1 process started, 1 process stopped (within 10 s)
  - cron      1 process stopped (within 10 s), removed
  - never     removed
  ~ some      2 removed without a stop
  + mailer    1 process started
  + manual    1 added and not started
  ~ one       one renamed one_0
  ~ idle      1 down, with new settings for the next start
  = db        untouched

  5 keep their pid · 2 replaced · 3 started · 1 stopped        nothing has been changed
  web is scaled to 6; conf.d/web.conf:3 says numprocs=4 (gracectl scale web=file ends that)
  1 warning in these files: gracectl check
  apply exactly this:  gracectl update --plan 8c1f
`
	if got := planText(p, "/etc/s", false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, c := range []struct {
		groups []control.PlanGroup
		want   string
	}{
		{nil, "changes from r3 to s.conf\n\n  the files say what r3 said\n"},
		{[]control.PlanGroup{{Name: "cron", Action: "remove"}}, "changes from r3 to s.conf\n\n  - cron      removed\n\n  what an update from there would do; what one would do now: gracectl plan\n"},
	} {
		if got := planText(control.Plan{Since: 3, Files: p.Files[:1], Groups: c.groups}, "/etc/s", false); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

// TestCPUShare is the average since the start of a process.
func TestCPUShare(t *testing.T) {
	ten := 10.0
	for _, c := range []struct {
		uptime *float64
		cpu    float64
		want   string
	}{{&ten, 1.2345, "12.3"}, {&ten, 20, "200"}, {new(float64), 0.5, "50"}, {nil, 1, "none"}} {
		r := processRecord{Uptime: c.uptime}
		r.use(procUsage{rss: 1, cpu: c.cpu})
		got := "none"
		if r.CPUShare != nil {
			got = strconv.FormatFloat(*r.CPUShare, 'f', -1, 64)
		}
		if got != c.want || *r.CPU != c.cpu || *r.RSS != 1 {
			t.Errorf("%v s of %v: %s %%, want %s", c.cpu, c.uptime, got, c.want)
		}
	}
}

// TestFailingText names what does not run, and how it is started.
func TestFailingText(t *testing.T) {
	p := control.Plan{ID: "1", Failing: []control.FailingProcess{
		{Process: "a:a", State: "FATAL", Text: "no such file"}, {Process: "b:b", State: "BACKOFF"}, {Process: "c:c", State: "FATAL"},
	}}
	if got, want := planText(p, "", false), `plan 1   

  nothing to do: what runs is what the files say
  a:a c:c are FATAL: no such file
    try again: gracectl start a:a c:c        why: gracectl why a:a
  b:b is BACKOFF
    it is tried again by itself        why: gracectl why b:b
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.Failing = nil
	for n := range 7 {
		p.Failing = append(p.Failing, control.FailingProcess{Process: fmt.Sprint("a:", n), State: "FATAL"})
	}
	p.Groups = []control.PlanGroup{{Name: "new", Action: "add", Start: []string{"new:new"}}}
	if got, want := planText(p, "", false), "  a:0 a:1 a:2 a:3 a:4 and 2 more are FATAL\n    try again: gracectl start --state FATAL        why: gracectl why a:0\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s", got)
	}
}

// TestDiffText renders a plan as a diff.
func TestDiffText(t *testing.T) {
	p := control.Plan{Files: []control.PlanFile{{Path: "/etc/s/s.conf"}}, Groups: []control.PlanGroup{
		{Name: "web", Action: "change", Start: []string{"web:web_2"}, Changes: []control.OptionChange{
			{Option: "numprocs", Old: "2", New: "3", File: "/etc/s/conf.d/web.conf"}, {Option: "environment", Variable: "A", New: "1", Processes: []string{"web:web_0"}}}},
		{Name: "db", Action: "keep"}, {Name: "old", Action: "remove", Stop: []string{"old:old"}},
	}}
	want := `--- web (running)
+++ web (conf.d/web.conf)
@@ effective settings @@
-numprocs=2
+numprocs=3
+environment A=1   ; web:web_0
+web:web_2
--- old (running)
+++ old (no file)
@@ effective settings @@
-old:old
`
	if got := diffText(p, "/etc/s"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestWriteCount changes one number in a file and nothing else.
func TestWriteCount(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
		want, err  string
	}{
		{"plain", "[program:a]\nnumprocs=3\n", 2, "[program:a]\nnumprocs=5\n", ""},
		{"comment and blanks", "[program:a]\n numprocs : 3\t; how many\ncommand=x\n", 2, "[program:a]\n numprocs : 5\t; how many\ncommand=x\n", ""},
		{"windows", "[program:a]\r\nNumProcs=3\r\n", 2, "[program:a]\r\nNumProcs=5\r\n", ""},
		{"last line without an end", "[program:a]\nnumprocs=3", 2, "[program:a]\nnumprocs=5", ""},
		{"not there", "[program:a]\ncommand=x\n", 1, "[program:a]\nnumprocs=5\ncommand=x\n", ""},
		{"section at the end", "[program:a]", 1, "[program:a]\nnumprocs=5\n", ""},
		{"moved", "[program:a]\ncommand=x\n", 2, "", ":2 is not the line of numprocs any more"},
		{"goes on below", "[program:a]\nnumprocs=\n  2\n", 2, "", ":2: the value of numprocs goes on in the next line: put it on one line first"},
		{"a comment below", "[program:a]\nnumprocs=3\n  ; not more\n", 2, "[program:a]\nnumprocs=5\n  ; not more\n", ""},
		{"shorter", "[program:a]\n", 9, "", "has no line 9 any more"},
	} {
		path := filepath.Join(t.TempDir(), "s.conf")
		if err := os.WriteFile(path, []byte(c.text), 0o640); err != nil {
			t.Fatal(err)
		}
		link := path + ".link"
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(c.text))
		_, err := writeCount(link, hex.EncodeToString(sum[:]), c.line, 5, false)
		got, _ := os.ReadFile(path)
		if c.err != "" {
			if err == nil || !strings.HasSuffix(err.Error(), c.err) || string(got) != c.text {
				t.Errorf("%s: %v, %q", c.name, err, got)
			}
			continue
		}
		info, _ := os.Stat(path)
		target, _ := os.Readlink(link)
		if err != nil || string(got) != c.want || info.Mode().Perm() != 0o640 || target != path {
			t.Errorf("%s: %v, %q, %v, want %q", c.name, err, got, info.Mode(), c.want)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", c.name, left)
		}
	}
}

// TestWriteCountElsewhere leaves a file alone that is not the one which the daemon has read.
func TestWriteCountElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.conf")
	if err := os.WriteFile(path, []byte("[program:a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := writeCount(path, "00", 1, 5, false)
	if got, _ := os.ReadFile(path); err == nil || !strings.HasSuffix(err.Error(), "the file that the daemon has read") || string(got) != "[program:a]\n" {
		t.Errorf("%v, %q", err, got)
	}
}

// TestScaleWrites keeps all names of a file, and leaves one alone that nobody may write to.
func TestScaleWrites(t *testing.T) {
	const text, want = "[program:web]\nnumprocs=2\n", "[program:web]\nnumprocs=3\n"
	sum := sha256.Sum256([]byte(text))
	for _, c := range []struct {
		line       string
		mode       os.FileMode
		link       bool
		want       string
		out, err   string // what they hold
		exit       int
		dontCalled string
	}{
		{"scale web=3 --write", 0o644, false, want, "   2 -numprocs=2\n   2 +numprocs=3\n", "", 1, ""}, // the operation of the fake fails by half
		{"scale web=3 --write", 0o644, true, want, "written in place: the file has 2 names (hard links), and all of them have it\n", "", 1, ""},
		{"scale web=3 --write", 0o440, false, text, "", "has the mode 0440: nobody may write to it\n  nothing was changed for the program it is about; --force writes it all the same\n", 1, "Scale web file"},
		{"scale web=3 --write --force", 0o440, false, want, "   2 +numprocs=3\n", "", 1, ""},
	} {
		path := filepath.Join(t.TempDir(), "s.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		read := path
		if c.link {
			read += ".2"
			if err := os.Link(path, read); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, Gracectl)
		withChanges(f)
		f.d.changes.scaled = &control.ScaledProgram{Program: "web", Before: 2, After: 3, InFile: 2, File: path, Line: 2, SHA256: hex.EncodeToString(sum[:])}
		code := f.Run(t.Context(), strings.Fields(c.line))
		got, _ := os.ReadFile(read)
		calls := strings.Join(f.d.calls, ", ")
		if string(got) != c.want || code != c.exit || !strings.Contains(f.out.String(), c.out) || !strings.Contains(f.err.String(), c.err) ||
			c.dontCalled != "" && strings.Contains(calls, c.dontCalled) {
			t.Errorf("%s of %v: exit %d, %q, calls %s\n%s%s", c.line, c.mode, code, got, calls, f.out, f.err)
		}
	}
}

// TestScaleMisused: what is said to write can be written.
func TestScaleMisused(t *testing.T) {
	for words, program := range map[string]string{"web": "web", "web=": "web", "web==3": "web", "web=+-3": "web", "web=3x": "web", "web=+": "web", "=3": "PROGRAM", "=": "PROGRAM", "db=1 web=": "web"} {
		f := newFixture(t, Gracectl)
		withChanges(f)
		code := f.Run(t.Context(), append([]string{"scale"}, strings.Fields(words)...))
		want := strings.ReplaceAll("error[E312]: scale: write PROGRAM=N, PROGRAM=+N, PROGRAM=-N or PROGRAM=file\n", "PROGRAM", program)
		if f.err.String() != want || code != exitUsage || slices.ContainsFunc(f.d.calls, func(call string) bool { return strings.HasPrefix(call, "Scale") }) {
			t.Errorf("%s: exit %d, %q, want %q; calls %q", words, code, f.err, want, f.d.calls)
		}
	}
}

// TestScaleText tells numbers once they are known to be true.
func TestScaleText(t *testing.T) {
	answer := func(state control.OperationState, plan, left string) string {
		return (&scaleAnswer{
			Scaling: control.Scaling{Programs: []control.ScaledProgram{{Program: "web", Before: 2, After: 3, InFile: 3}}},
			done:    &operationAnswer{Operation: control.Operation{ID: "op-2", State: state, Plan: plan}, left: left},
		}).Text(format.Style{})
	}
	const numbers = "web   2 -> 3 processes\n"
	for want, got := range map[string]string{
		"op-2  done\n" + numbers: answer(control.OperationDone, "8c1f", ""),
		numbers:                  answer(control.OperationNothing, "", ""),
		"still running as op-2: gracectl attach op-2\n":           answer(control.OperationWaiting, "", "timeout"),
		"op-2  cancelled\n  what is left: gracectl plan\n":        answer(control.OperationCancelled, "", ""),
		"still running as op-2: gracectl attach op-2\n" + numbers: answer(control.OperationRunning, "8c1f", "timeout"),
	} {
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// TestDoctorText shows what there is, and what happens without the rest.
func TestDoctorText(t *testing.T) {
	d := control.Doctor{DaemonPID: 7, KeeperPID: 6, Kernel: "6.1", Unknown: []string{"what"}, Features: []control.Feature{
		{Name: "splice", Available: true, Use: "logs", Instead: "copies"}, {Name: "ptrace", Detail: "none", Use: "takeover", Instead: "no takeover"},
	}, Grouped: 2, Lacking: []control.Lacking{{Name: "web:a", Text: "memory_max is not in force: no controller"}}}
	want := `daemon pid 7, keeper pid 6, Linux 6.1

FEATURE   THERE   DETAIL   FOR
splice    yes     -        logs
ptrace    no      none     takeover

without ptrace: no takeover

2 processes in control groups of their own
web:a: memory_max is not in force: no controller

GRACED_DISABLE has no meaning for what
`
	if got := (&doctorAnswer{d}).Text(format.Style{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPlaceText: where a process lives and what it lacks stands below what it is.
func TestPlaceText(t *testing.T) {
	w := control.Why{Name: "web:a", State: "RUNNING", Command: "x", Waits: "waits for b", Cgroup: "/c/web.a", Lacks: "pids_max is not in force"}
	if got, want := whyText(w), "web:a   RUNNING\n  runs: x\n  waits for b\n  control group: /c/web.a\n  lacks: pids_max is not in force\n  nothing has happened to it since the daemon started\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	d := daemonRecord{Lacking: []control.Lacking{{Name: "web:a", Text: "no limit"}}}
	if got := d.notes(); got != "web:a: no limit\n" {
		t.Errorf("%q", got)
	}
}
