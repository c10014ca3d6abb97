package ctl

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
)

// withChanges makes the daemon a graced that has something to do, of which half fails.
func withChanges(f *fixture) {
	at := func(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, n, 5, time.UTC) }
	end, code := at(9), 2
	f.d.changes = &changes{
		plan: control.Plan{
			Schema: control.PlanSchema, ID: "8c1f", Files: []control.PlanFile{{Path: "/s.conf", SHA256: "00"}}, Notes: []control.PlanNote{{Code: "W1", Message: "m"}},
			Overrides: []control.Override{{Program: "web", Count: 3, InFile: 2, File: "/s.conf", Line: 3}},
			Failing:   []control.FailingProcess{{Process: "solo:solo", State: "FATAL", Text: "no"}},
			Groups:    []control.PlanGroup{group("web", "change"), group("solo", "keep")},
		},
		op: control.Operation{Schema: control.OperationSchema, ID: "op-1", Kind: "update", Who: "anna", Plan: "8c1f", State: control.OperationFailed, Text: "half",
			Began: at(1), Ended: &end, Steps: 2, Done: 2, Events: []control.ProgressLine{
				{Time: at(2), Type: "begin", Process: "web:web_0", Action: "replace", OldPID: 7, PID: 7},
				{Time: at(3), Type: "end", Process: "web:web_0", From: "web:web", Action: "replace", OldPID: 7, PID: 8},
				{Time: at(4), Type: "begin", Process: "web:web_1", Action: "stop", OldPID: 9, PID: 9},
				{Time: at(5), Type: "end", Process: "web:web_1", Action: "stop", OldPID: 9, PID: 9, Error: "cannot be killed", Skipped: true, FaultCode: control.Failed},
			}},
		why: control.Why{Schema: control.WhySchema, Name: "web:web_0", State: "FATAL", Since: at(1), Starts: 1, PID: 1, Command: "x", Stdout: []string{"a"}, Stderr: []string{},
			LooksLike: []string{"b"}, Waits: "w", Cgroup: "/c", Lacks: "l", Timeline: []control.Moment{{Time: at(1), Type: "exit", Text: "t", PID: 1, By: "b", Seconds: 1, Exit: &code, Signal: "SIGHUP", Expected: true, OutOfMemory: true}}},
	}
}

// withRoll makes it one in which a process of a roll fails, and goes back.
func withRoll(f *fixture) {
	withChanges(f)
	at := f.d.changes.op.Began
	end := at.Add(9 * time.Second)
	f.d.acting = &control.Operation{Schema: control.OperationSchema, ID: "op-1", Kind: control.KindRoll, Who: "anna", Plan: "8c1f", State: control.OperationRolledBack,
		Text: "web:web_0 failed; 1 went back", Failed: "web:web_0", Began: at, Ended: &end, Steps: 2, Done: 1, Events: []control.ProgressLine{
			{Time: at, Type: "begin", Process: "web:web_0", Action: "replace", OldPID: 7, PID: 7},
			{Time: at, Type: "news", Process: "web:web_0", Action: "replace", PID: 8, Text: "waits for tcp://:80"},
			{Time: at.Add(3 * time.Second), Type: "end", Process: "web:web_0", Action: "replace", OldPID: 7, PID: 8, Error: "it ended", Output: []string{"panic: no key"}, Channel: control.Stderr},
			{Time: end, Type: "end", Process: "web:web_0", Action: "replace", OldPID: 8, PID: 9, Undo: true, Text: "ready"},
		}}
}

// withPreview makes the daemon a graced that tells what verbs would do.
func withPreview(f *fixture) {
	withChanges(f)
	f.d.changes.preview = control.Preview{Group: "web", Start: []string{"web:web_2"}, Add: []string{"web:web_3"}, Stop: []string{"web:web_1"}, Remove: []string{"web:web_1"}}
}

// notKept makes it one whose disk is full.
func notKept(f *fixture) {
	withChanges(f)
	f.d.changes.notKept = "disk full"
}

// group is what a plan says of a group, with every list there is.
func group(name, action string) control.PlanGroup {
	list := []string{name + ":a"}
	return control.PlanGroup{
		Name: name, Action: action, Start: list, Stop: list, Remove: list, Replace: list, Live: list, Down: list, Add: list, Untouched: list, Held: list,
		Reasons:  []control.PlanReason{{Process: name + ":a", Reason: "command changed (/f:1): needs a restart", File: "/f", Line: 1}},
		Rename:   []control.Renaming{{From: name + ":b", To: name + ":c"}},
		Strategy: &control.PlanStrategy{MaxUnavailable: 2, Canary: 1, Steady: 10, OnFailure: "pause", Batches: 3, Ready: "tcp://:80"},
		Changes:  []control.OptionChange{{Option: "environment", Variable: "V", Old: "1", New: "2", Hidden: true, Class: "live", File: "/f", Line: 1, Processes: list}},
	}
}

// TestForms runs every verb in every form: documents keep their schemas, YAML says what JSON says, and the names can be acted on.
func TestForms(t *testing.T) {
	known := controltest.Schemas(t)
	grace := func(f *fixture) {
		f.d.grace = control.GraceResult{Added: []string{"web:web_2"}, Stopped: []string{"web:web_1"}, Removed: []string{"web:web_1"},
			Failed: []control.Result{{Group: "web", Name: "web_3", Code: control.StillRunning, Text: "no"}}}
	}
	tests := []struct {
		line    string
		setup   func(*fixture)
		schema  string // of the document
		records int    // lines of jsonl
		record  string // their schema
		last    string // that of the last of them, where it differs
		names   string
		failed  string // the code of the error
		warned  bool   // of what could not be kept
	}{
		{line: "status", setup: timed, schema: "status", records: 4, record: "process", names: "sad:sad solo:solo web:web_0 web:web_1"},
		{line: "status web:* nope", schema: "status", records: 2, record: "process", names: "web:web_0 web:web_1", failed: "E310"},
		{line: "status --state UNKNOWN", schema: "status", records: 1, record: "status"},
		{line: "start web:*", schema: "results", records: 2, record: "result", names: "web:web_0", setup: func(f *fixture) {
			f.d.results["Start"] = []control.Result{row("web", "web_0", control.AlreadyStarted), row("web", "web_1", control.SpawnError)}
		}},
		{line: "stop solo", schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "restart s*", schema: "results", records: 4, record: "result", names: "sad:sad solo:solo sad:sad solo:solo"},
		{line: "restart web:*", setup: withAct(control.ActRestart, control.OperationFailed, "end stop web:web_0", "end start web:web_1", "end start web:web_0 50 it did not start"),
			schema: "results", records: 3, record: "result", names: "web:web_0 web:web_1"},
		{line: "start solo", setup: withAct(control.ActStart, control.OperationNothing, "end start solo:solo 60 already started"), schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "stop solo", setup: withAct(control.ActStop, control.OperationCancelled), schema: "results", records: 1, record: "results", failed: "E300"},
		{line: "stop solo --now", schema: "daemon", records: 1, record: "daemon", setup: func(f *fixture) {
			withAct(control.ActStop, control.OperationNothing)(f)
			f.d.errs["Processes"] = bad(control.ShutdownState, "")
		}},
		{line: "signal HUP solo", schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "refresh solo", schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "clear solo", schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "pid", schema: "pids", records: 1, record: "pids"},
		{line: "pid web:*", schema: "pids", records: 2, record: "pid", names: "web:web_0 web:web_1"},
		{line: "tail web:*", schema: "tail", records: 2, record: "log", names: "web:web_0 web:web_1",
			setup: func(f *fixture) { f.d.logs["web:web_0 stdout"], f.d.logs["web:web_1 stdout"] = "ä\n", "\xff\n" }},
		{line: "maintail", schema: "tail", records: 1, record: "log"},
		{line: "avail", setup: withConfigs, schema: "avail", records: 2, record: "available", names: "solo:solo web:web_0"},
		{line: "reread", setup: withDiff, schema: "reread", records: 3, record: "group_news", names: "new:* old:* web:*"},
		{line: "reread", schema: "reread", records: 1, record: "reread"},
		{line: "add new", schema: "groups", records: 1, record: "group_result", names: "new:*"},
		{line: "remove web", schema: "groups", records: 1, record: "group_result", setup: func(f *fixture) { f.d.errs["RemoveGroup"] = bad(control.StillRunning, "web") }},
		{line: "update", setup: withDiff, schema: "groups", records: 5, record: "group_result", names: "old:* web:* new:*"},
		{line: "update", schema: "groups", records: 1, record: "groups"},
		{line: "plan", setup: withChanges, schema: "plan", records: 2, record: "plan_group", names: "web:*"},
		{line: "plan --since r3", setup: withChanges, schema: "plan", records: 2, record: "plan_group", names: "web:*"},
		{line: "plan --since r9", failed: "E318", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Plan"] = bad(control.BadName, "r9")
		}},
		{line: "plan --since now", failed: "E312"},
		{line: "plan", schema: "", failed: "E306"},
		{line: "update --dry-run", setup: withChanges, schema: "plan", records: 2, record: "plan_group", names: "web:*"},
		{line: "update -y", setup: withChanges, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "update --plan old", schema: "", failed: "E303", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Update"] = bad(control.StalePlan, "it has changed")
		}},
		{line: "attach op-1", setup: withChanges, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "wait op-1", setup: withChanges, schema: "operation", records: 1, record: "operation"},
		{line: "wait --ready solo web:web_0", setup: withChanges, schema: "results", records: 2, record: "result", names: "solo:solo web:web_0"},
		{line: "wait --ready solo sad", schema: "results", records: 2, record: "result", names: "solo:solo"},
		{line: "wait --ready nope", failed: "E310"},
		{line: "wait --ready", failed: "E312"},
		{line: "attach op-9", schema: "", failed: "E314", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Operation"] = bad(control.BadName, "op-9")
		}},
		{line: "cancel op-1", setup: withChanges, schema: "daemon", records: 1, record: "daemon"},
		{line: "pause op-1", setup: withChanges, schema: "daemon", records: 1, record: "daemon"},
		{line: "resume op-1", setup: withChanges, schema: "daemon", records: 1, record: "daemon"},
		{line: "resume op-9", failed: "E314", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["ResumeOperation"] = bad(control.BadName, "op-9")
		}},
		{line: "pause", setup: withChanges, failed: "E312"},
		{line: "restart web:* --rolling --canary 1 --steady 0", setup: withRoll, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "restart --rolling --state UNKNOWN", setup: withRoll, schema: "operation", records: 1, record: "operation_end"},
		{line: "restart web:* --rolling --dry-run", setup: withChanges, schema: "plan", records: 2, record: "plan_group", names: "web:*"},
		{line: "restart web:* --rolling --on-failure rollback", setup: withRoll, failed: "E312"},
		{line: "restart web:* --rolling --parallel 2", setup: withRoll, failed: "E312"},
		{line: "restart web:* --canary 1", setup: withRoll, failed: "E312"},
		{line: "restart web:* --rolling", failed: "E306"},
		{line: "update --max-unavailable 25% --steady 1m30s --on-failure pause -y", setup: withChanges, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "update --max-unavailable 0 -y", setup: withChanges, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "update --max-unavailable many", setup: withChanges, failed: "E312"},
		{line: "update --canary -1", setup: withChanges, failed: "E312"},
		{line: "update --steady soon", setup: withChanges, failed: "E312"},
		{line: "plan --on-failure panic", setup: withChanges, failed: "E312"},
		{line: "update --plan 8c1f --canary 1", setup: withChanges, failed: "E312"},
		{line: "update --canary 1", failed: "E306"},
		{line: "rollback r1", setup: withChanges, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "rollback r1 --dry-run", setup: withChanges, schema: "plan", records: 2, record: "plan_group", names: "web:*"},
		{line: "rollback now", setup: withChanges, failed: "E312"},
		{line: "rollback r9", failed: "E318", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Update"] = bad(control.BadName, "r9")
		}},
		{line: "undo", setup: withChanges, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "undo op-1 --dry-run", setup: withChanges, schema: "plan", records: 2, record: "plan_group", names: "web:*"},
		{line: "undo op-5", setup: withChanges, failed: "E318"},
		{line: "undo", failed: "E306"},
		{line: "ops", setup: withChanges, schema: "operations", records: 1, record: "operation", names: "op-1"},
		{line: "ops --all", setup: withChanges, schema: "operations", records: 2, record: "operation", names: "op-0 op-1"},
		{line: "scale web=3", setup: withChanges, schema: "scaling", records: 5, record: "progress", last: "operation_end", names: "web:web_0"},
		{line: "scale web=3 --dry-run", setup: withChanges, schema: "scaling", records: 1, record: "scaling"},
		{line: "scale web", setup: withChanges, schema: "", failed: "E312"},
		{line: "hold web:web_0 web:* --note x", setup: withChanges, schema: "marks", records: 2, record: "mark", names: "web:web_0 web:web_1"},
		{line: "hold web:* --note a\x1bb", setup: withChanges, failed: "E312"},
		{line: "hold web:* --dry-run --note " + strings.Repeat("x", 501), setup: withChanges, failed: "E312"},
		{line: "hold web:*", setup: withChanges, schema: "marks", records: 1, record: "mark", names: "web:*"},
		{line: "hold solo nope", setup: withChanges, schema: "marks", records: 1, record: "marks", failed: "E310"},
		{line: "disable solo", setup: withChanges, schema: "marks", records: 1, record: "mark", names: "solo:solo"},
		{line: "enable solo", setup: withChanges, schema: "marks", records: 1, record: "mark", names: "solo:solo"},
		{line: "enable solo --dry-run", setup: withChanges, schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "stop solo --dry-run", schema: "results", records: 1, record: "result", names: "solo:solo"},
		{line: "signal HUP web:web_0 web:web_1 --dry-run", schema: "results", records: 2, record: "result", names: "web:web_0"},
		{line: "add new --dry-run", setup: withPreview, schema: "groups", records: 1, record: "group_result", names: "new:*"},
		{line: "add new --dry-run", failed: "E306", schema: "groups", records: 1, record: "groups"},
		{line: "remove web --dry-run", setup: withPreview, schema: "groups", records: 1, record: "group_result", names: "web:*"},
		{line: "grace_update web --dry-run", setup: withPreview, schema: "grace_update", records: 4, record: "grace_step", names: "web:web_2 web:web_3 web:web_1"},
		{line: "reload --dry-run", setup: withPreview, schema: "daemon", records: 1, record: "daemon"},
		{line: "shutdown --dry-run", schema: "daemon", records: 1, record: "daemon"},
		{line: "disable solo", setup: notKept, schema: "marks", records: 1, record: "mark", names: "solo:solo", warned: true},
		{line: "update -y", setup: notKept, schema: "operation", records: 5, record: "progress", last: "operation_end", names: "web:web_0", warned: true},
		{line: "scale web=3", setup: notKept, schema: "scaling", records: 5, record: "progress", last: "operation_end", names: "web:web_0", warned: true},
		{line: "status", setup: notKept, schema: "status", records: 4, record: "process", names: "sad:sad solo:solo web:web_0 web:web_1"},
		{line: "history", setup: withChanges, schema: "history", records: 2, record: "generation", names: "r1 r2"},
		{line: "history r2", setup: withChanges, schema: "history_diff", records: 2, record: "generation_change", names: "web:web_0 db:*"},
		{line: "history r9", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["HistoryDiff"] = bad(control.BadName, "r9")
		}, failed: "E318"},
		{line: "why web:web_0", setup: withChanges, schema: "why", records: 1, record: "moment"},
		{line: "doctor", setup: withChanges, schema: "doctor", records: 2, record: "feature"},
		{line: "doctor", failed: "E306"},
		{line: "upgrade", setup: withChanges, schema: "upgrade", records: 1, record: "upgrade"},
		{line: "upgrade ./next", setup: withChanges, schema: "upgrade", records: 1, record: "upgrade"},
		{line: "upgrade a b", setup: withChanges, failed: "E312"},
		{line: "upgrade", failed: "E306"},
		{line: "upgrade", failed: "E319", setup: func(f *fixture) {
			withChanges(f)
			f.d.failedUpgrade = "/bin/next was not ready"
		}},
		{line: "upgrade /nope", failed: "E319", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Upgrade"] = bad(control.Failed, "/nope: no such file or directory")
		}},
		{line: "doctor x", setup: withChanges, failed: "E312"},
		{line: "grace_update web", setup: grace, schema: "grace_update", records: 3, record: "grace_step", names: "web:web_2 web:web_1"},
		{line: "grace_update web", schema: "grace_update", records: 1, record: "grace_update", failed: "E313",
			setup: func(f *fixture) {
				f.d.grace = control.GraceResult{Refused: true, Message: "no", Fields: []string{"priority"}}
			}},
		{line: "reload", schema: "daemon", records: 1, record: "daemon"},
		{line: "shutdown", schema: "daemon", records: 1, record: "daemon"},
		{line: "version", schema: "version", records: 1, record: "version"},
		{line: "version", failed: "E301", setup: func(f *fixture) { f.d.errs["Daemon"] = connectionError(syscall.ENOENT) }},
		{line: "reread", failed: "E308", setup: func(f *fixture) { f.d.errs["Reread"] = bad(control.CantReread, "no") }},
		{line: "plan", failed: "E308", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Plan"] = bad(control.CantReread, "no")
			f.d.changes.findings = control.Findings{Errors: 1, List: []byte(`[{"severity":"error","code":"E110","file":"/s.conf","line":3,"col":1,"end_col":4,"label":"","section":"","option":"",` +
				`"title":"bad","notes":[],"related":[]}]`)}
		}},
		{line: "stop x --nope", failed: "E312"},
	}
	seen, verbs := map[string]bool{}, map[string]bool{}
	for _, tt := range tests {
		run := func(form string) (out, problems string) {
			f := newFixture(t, Gracectl)
			if tt.setup != nil {
				tt.setup(f)
			}
			words := strings.Fields(tt.line)
			f.Run(context.Background(), append(words[:1:1], append([]string{"-o", form}, words[1:]...)...))
			return f.out.String(), f.err.String()
		}
		verbs[strings.Fields(tt.line)[0]] = true
		out, problems := run("json")
		var doc any
		if tt.schema != "" {
			var name string
			if name, doc = controltest.Validate(t, known, out); name != "graced."+tt.schema+"/v1" {
				t.Errorf("%s: the document is a %s", tt.line, name)
			}
			seen[name] = true
		} else if out != "" {
			t.Errorf("%s: a document, and should have none: %s", tt.line, out)
		}
		if tt.warned {
			name, _ := controltest.Validate(t, known, problems)
			if seen[name] = true; name != "graced.warning/v1" || !strings.Contains(problems, `"applied, but not kept: disk full"`) || !strings.Contains(out, `"not_kept": "disk full"`) {
				t.Errorf("%s: warned %s, %s", tt.line, problems, out)
			}
		} else if tt.failed != "" {
			name, problem := controltest.Validate(t, known, problems)
			seen[name] = true
			if code := problem.(map[string]any)["code"]; code != tt.failed || name != "graced.error/v1" {
				t.Errorf("%s: %s %v, want %s", tt.line, name, code, tt.failed)
			}
		} else if problems != "" {
			t.Errorf("%s: %s", tt.line, problems)
		}

		out, _ = run("jsonl")
		count := 0
		for line := range strings.Lines(out) {
			name, _ := controltest.Validate(t, known, line)
			seen[name] = true
			want := tt.record
			if count++; count == tt.records && tt.last != "" {
				want = tt.last
			}
			if name != "graced."+want+"/v1" {
				t.Errorf("%s: a line is a %s, want %s", tt.line, name, want)
			}
		}
		if count != tt.records {
			t.Errorf("%s: %d lines, want %d:\n%s", tt.line, count, tt.records, out)
		}

		out, problems = run("yaml")
		if tt.schema != "" && !reflect.DeepEqual(plainValues(t, out), jsonValues(t, doc)) {
			t.Errorf("%s: YAML says something else than JSON:\n%s", tt.line, out)
		}
		if tt.failed != "" && !strings.HasPrefix(problems, "schema: graced.error/v1\ncode: "+tt.failed+"\n") {
			t.Errorf("%s: stderr %s", tt.line, problems)
		}

		out, _ = run("name")
		if got := strings.Join(strings.Fields(out), " "); got != tt.names {
			t.Errorf("%s: names %q, want %q", tt.line, got, tt.names)
		}
	}
	for name := range known {
		if name == "graced.check/v1" || name == "graced.explain/v1" || name == "graced.takeover/v1" || name == control.StandingSchema || name == control.PreviewSchema || name == control.FindingsSchema ||
			name == control.RefreshedSchema {
			continue // packages report and web, and graced takeover, make and test them
		}
		if !seen[name] {
			t.Errorf("no test sees a %s", name)
		}
	}
	for verb := range answered {
		if !verbs[verb] {
			t.Errorf("no test of %s", verb)
		}
	}
}

// plainValues reads YAML into what JSON would read.
func plainValues(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("no YAML: %v\n%s", err, text)
	}
	return jsonValues(t, v)
}

// jsonValues brings numbers of all kinds to one.
func jsonValues(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestVerbsAnswer checks that each verb of the table answers in every form, or is known to be one for people alone.
func TestVerbsAnswer(t *testing.T) {
	people := []string{"fg", "open", "quit", "exit", "completion"}
	for _, c := range append(slices.Clone(commands), grace) {
		if (answered[c.name] == nil) != slices.Contains(people, c.name) {
			t.Errorf("%s: answers %v", c.name, answered[c.name] != nil)
		}
	}
	if got := formNames(); got != "json, jsonl, yaml, name, plain" {
		t.Errorf("forms %s", got)
	}
}
