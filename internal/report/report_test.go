package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/machine"
)

var goldens = flag.Bool("rewrite", false, "write the golden files of testdata anew")

// tree is a directory with a configuration that has something of everything.
func tree(t *testing.T) Command {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"supervisord.conf": "[supervisord]\nnodeamon=true\n\n[include]\nfiles=conf.d/*.conf\n\n[unix_http_server]\nfile=%(here)s/s.sock\nusername=u\npassword=hunter2\n",
		"conf.d/foo.conf": "[program:foo]\ncommand=/bin/sh -c 'a ; b'\nnumprocs=3\nprocess_name=%(program_name)s\nautorestart=sometimes\ndirectory=%(nope)s\n\n" +
			"[program:bar]\ncommand=/bin/sh\nstopwaitsecs=20\n",
		"conf.d/zz.conf":  "[program:bar]\nstopwaitsecs=60\n",
		"none.conf":       "[supervisord]\n",
		"conf.d/é b.conf": "key before any section\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := machine.New()
	if err != nil {
		t.Fatal(err)
	}
	m.Dir, m.Environ = dir, []string{"PATH=/bin"}
	return Command{Program: "gracectl", Machine: m, Dir: "/nowhere/bin"}
}

// run runs a verb and returns what it prints and its exit code.
func run(c Command, verb string, args ...string) (string, string, int) {
	var out, err bytes.Buffer
	c.Out, c.Err = &out, &err
	code := map[string]func([]string) int{"check": c.Check, "explain": c.Explain}[verb](args)
	return out.String(), err.String(), code
}

// golden compares with a file of testdata, in which TREE is the directory.
func golden(t *testing.T, c Command, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, c.Machine.Dir, "TREE")
	path := "testdata/" + name
	if *goldens {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v):\n%s\nwant\n%s", name, err, got, want)
	}
	if strings.Contains(got, "hunter2") {
		t.Errorf("%s repeats a password", name)
	}
}

func TestCheckFormats(t *testing.T) {
	c := tree(t)
	for name, args := range map[string][]string{"blocks.txt": nil, "short.txt": {"-o", "short"}, "check.json": {"--output=json", "supervisord.conf"}, "check.sarif": {"-o", "sarif"}} {
		out, err, code := run(c, "check", args...)
		if err != "" || code != 2 {
			t.Errorf("%v: exit %d, %s", args, code, err)
		}
		golden(t, c, name, out)
	}
}

func TestCheckCommandLine(t *testing.T) {
	c := tree(t)
	for _, test := range []struct {
		args     string
		out, err string // what they contain
		code     int
	}{
		{"none.conf", "1 file, no programs: no errors, no warnings.\n", "", 0},
		{"-c none.conf", "1 file", "", 0},
		{"none.conf --strict -o short", "", "", 0},
		{"gone.conf", "error[E100]: could not find config file gone.conf\n  --> gone.conf\n   = check the name", "", 2},
		{"-o short --strict", "supervisord.conf:2:1: error[E101]: unknown option", "", 2},
		{"-o yaml --strict", "\nfindings:\n  - severity: ", "", 2},
		{"none.conf -o jsonl", `{"schema":"graced.check/v1","file":"none.conf","files":1,"programs":0,"errors":0,"warnings":0,"findings":[]}` + "\n", "", 0},
		{"-o name", "", "Error: no output format name: there are short, json, jsonl, yaml and sarif\n", 2},
		{"-o json a b", "", `{"schema":"graced.error/v1","code":"E312","title":"wrong usage","detail":"check: check takes one file: a b"}` + "\n", 2},
		{"--nope -o json", "", `{"schema":"graced.error/v1","code":"E312","title":"wrong usage","detail":"check: flag provided but not defined: -nope"}` + "\n", 2},
		{"-o json -o short a b", "", "Error: check takes one file: a b\n", 2},
		{"none.conf --dry-run", "", "Error: --dry-run and --force go with --fix\n", 2},
		{"none.conf --fix", "nothing can be fixed without a human\n1 file, no programs: no errors, no warnings.\n", "", 0},
		{"a b", "", "Error: check takes one file: a b\n", 2},
		{"--nope", "", "Error: flag provided but not defined: -nope\n", 2},
		{"-h", "usage: gracectl check [-c FILE] [-o short|json|jsonl|yaml|sarif] [--strict] [--env FILE|NAME=VALUE]... [--fix [--dry-run] [--force]] [FILE]\n", "", 0},
	} {
		out, err, code := run(c, "check", strings.Fields(test.args)...)
		if !strings.Contains(out, test.out) || test.out == "" && out != "" || err != test.err || code != test.code {
			t.Errorf("check %s: exit %d\n%s%s", test.args, code, out, err)
		}
	}
	c.Machine.Dir = t.TempDir()
	if _, err, code := run(c, "check"); code == 0 || !strings.Contains(err, "Error: ") {
		// A machine with a file in the default places has something to check.
		if _, statErr := os.Stat("/etc/supervisor/supervisord.conf"); statErr != nil {
			t.Errorf("without a file: exit %d, %s", code, err)
		}
	}
}

func TestExplain(t *testing.T) {
	c := tree(t)
	for name, args := range map[string][]string{
		"explain.txt": {"program.stopwaitsecs"}, "explain-priority.txt": {"priority"}, "explain-password.txt": {"unix_http_server.password"},
		"explain.json": {"-o", "json", "stopwaitsecs"}, "explain-command.txt": {"command", "-c", "none.conf"},
		"explain-numprocs.txt": {"numprocs"},
	} {
		out, err, code := run(c, "explain", args...)
		if err != "" || code != 0 {
			t.Errorf("%v: exit %d, %s", args, code, err)
		}
		golden(t, c, name, out)
	}
	for args, want := range map[string]string{
		"stopwaitsec":             "error[E101]: no option \"stopwaitsec\"\n  did you mean stopwaitsecs?\n",
		"zzzzzzzz":                "error[E101]: no option \"zzzzzzzz\"\n",
		"":                        "Error: explain takes one option, such as stopwaitsecs or program.stopwaitsecs\n",
		"-o short command":        "Error: no output format short: there are json, jsonl and yaml\n",
		"-o json stopwaitsec":     `{"schema":"graced.error/v1","code":"E101","title":"no such option","detail":"no option \"stopwaitsec\"","hint":"did you mean stopwaitsecs?"}` + "\n",
		"-o yaml zzzzzzzz":        "schema: graced.error/v1\ncode: E101\ntitle: \"no such option\"\ndetail: \"no option \\\"zzzzzzzz\\\"\"\n",
		"-o jsonl":                `{"schema":"graced.error/v1","code":"E312","title":"wrong usage","detail":"explain: explain takes one option, such as stopwaitsecs or program.stopwaitsecs"}` + "\n",
		"-c gone.conf command":    "Error: could not find config file gone.conf\n",
		"program.files":           "error[E101]: no option \"program.files\"\n",
		"supervisord.logfile -zz": "Error: flag provided but not defined: -zz\n",
	} {
		if out, err, code := run(c, "explain", strings.Fields(args)...); out != "" || err != want || code != 2 {
			t.Errorf("explain %s: exit %d\n%s%s", args, code, out, err)
		}
	}
	c.Machine.Exists = func(string) bool { return false }
	if out, err, code := run(c, "explain", "command"); !strings.Contains(out, "set in: no configuration file was found\n") || err != "" || code != 0 {
		t.Errorf("without a file: exit %d\n%s%s", code, out, err)
	}
}

// TestSchemas validates what is printed against the schemas of the reference.
func TestSchemas(t *testing.T) {
	c := tree(t)
	for schema, verb := range map[string]string{"check.v1.json": "check", "explain.v1.json": "explain"} {
		data, err := os.ReadFile("../../docs/reference/schemas/" + schema)
		if err != nil {
			t.Fatal(err)
		}
		var rules map[string]any
		if err := json.Unmarshal(data, &rules); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"supervisord.conf", "-o", "json"}, {"none.conf", "-o", "json"}} {
			if verb == "explain" {
				args = []string{"priority", "-o", "json", "-c", args[0]}
			}
			out, _, _ := run(c, verb, args...)
			var value any
			if err := json.Unmarshal([]byte(out), &value); err != nil {
				t.Fatal(err)
			}
			if err := validate(rules, value, "$"); err != nil {
				t.Errorf("%s %v: %v", verb, args, err)
			}
		}
		// The validator would see a difference.
		for _, bad := range []string{`{}`, `{"schema":"x"}`, `[]`} {
			var value any
			if err := json.Unmarshal([]byte(bad), &value); err != nil {
				t.Fatal(err)
			}
			if validate(rules, value, "$") == nil {
				t.Errorf("%s accepts %s", schema, bad)
			}
		}
	}
}

// validate checks a value against the words of JSON Schema that ours use. Properties without a rule are errors.
func validate(rules map[string]any, v any, at string) error {
	if want, ok := rules["const"]; ok && want != v {
		return fmt.Errorf("%s is %v, want %v", at, v, want)
	}
	if choices, ok := rules["enum"].([]any); ok && !slices.Contains(choices, v) {
		return fmt.Errorf("%s is %v, none of %v", at, v, choices)
	}
	if kind, ok := rules["type"].(string); ok {
		found := "null"
		switch x := v.(type) {
		case string:
			found = "string"
		case bool:
			found = "boolean"
		case []any:
			found = "array"
		case map[string]any:
			found = "object"
		case float64:
			if found = "number"; x == math.Trunc(x) {
				found = "integer"
			}
		}
		if found != kind {
			return fmt.Errorf("%s is %s, want %s", at, found, kind)
		}
	}
	if least, ok := rules["minimum"].(float64); ok && v.(float64) < least {
		return fmt.Errorf("%s is %v, less than %v", at, v, least)
	}
	if items, ok := rules["items"].(map[string]any); ok {
		for i, x := range v.([]any) {
			if err := validate(items, x, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if required, ok := rules["required"].([]any); ok {
		for _, key := range required {
			if _, there := object[key.(string)]; !there {
				return fmt.Errorf("%s has no %s", at, key)
			}
		}
	}
	properties, _ := rules["properties"].(map[string]any)
	for key, x := range object {
		rule, ok := properties[key].(map[string]any)
		if !ok {
			return fmt.Errorf("%s has %s, of which the schema says nothing", at, key)
		}
		if err := validate(rule, x, at+"."+key); err != nil {
			return err
		}
	}
	return nil
}

// TestSARIF checks the shape that SARIF 2.1.0 asks for.
func TestSARIF(t *testing.T) {
	out, _, _ := run(tree(t), "check", "-o", "sarif")
	var log struct {
		Version string
		Schema  string `json:"$schema"`
		Runs    []struct {
			ColumnKind string
			Tool       struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID               string
						ShortDescription struct{ Text string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           *struct{ StartLine, StartColumn, EndColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || !strings.Contains(log.Schema, "sarif-2.1.0") || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name != "graced" || log.Runs[0].ColumnKind != "unicodeCodePoints" {
		t.Fatalf("%+v", log)
	}
	rules := log.Runs[0].Tool.Driver.Rules
	uris := map[string]bool{}
	for _, r := range log.Runs[0].Results {
		if r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID || rules[r.RuleIndex].ShortDescription.Text == "" {
			t.Errorf("rule %s at %d of %+v", r.RuleID, r.RuleIndex, rules)
		}
		if r.Level != "error" && r.Level != "warning" || r.Message.Text == "" || len(r.Locations) != 1 {
			t.Errorf("result %+v", r)
		}
		at := r.Locations[0].PhysicalLocation
		uris[at.ArtifactLocation.URI] = true
		if at.Region != nil && (at.Region.StartLine < 1 || at.Region.StartColumn < 1 || at.Region.EndColumn < at.Region.StartColumn) {
			t.Errorf("region %+v", at.Region)
		}
	}
	for _, want := range []string{"supervisord.conf", "conf.d/foo.conf", "conf.d/%C3%A9%20b.conf"} {
		if !uris[want] {
			t.Errorf("no result in %s: %v", want, uris)
		}
	}
}

// broken is a writer that is full.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestCannotPrint(t *testing.T) {
	c := tree(t)
	var errs bytes.Buffer
	c.Out, c.Err = broken{}, &errs
	if code := c.Check([]string{"none.conf"}); code != 2 || errs.String() != "Error: cannot print the findings: full\n" {
		t.Errorf("exit %d, %s", code, errs.String())
	}
	errs.Reset()
	if code := c.Explain([]string{"command"}); code != 2 || errs.String() != "Error: cannot print the explanation: full\n" {
		t.Errorf("exit %d, %s", code, errs.String())
	}
}

// TestDocumented checks that the reference lists every kind of finding.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/reference/check.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Kinds {
		if !strings.Contains(string(data), "| "+k.Number+" | ") {
			t.Errorf("docs/reference/check.md does not list %s, %s", k.Number, k.Text)
		}
	}
}

// TestOptionTable writes the page of all options, or compares it.
func TestOptionTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Every option, one by one\n\nThis page is made of the table that `gracectl explain` prints from: `go test ./internal/report -rewrite` writes it. " +
		"The class says what a change costs at least; *since* is the version of Supervisor that brought the option.\n")
	for _, kind := range config.SectionKinds {
		fmt.Fprintf(&b, "\n## `%s`\n\n| option | takes | default | what it does | class | since |\n|---|---|---|---|---|---|\n", header(kind))
		for _, o := range config.Options {
			if !o.In(kind) {
				continue
			}
			class, _, _ := strings.Cut(o.Effect(), ":")
			since := o.Since
			if since == "" {
				since = "graced"
			}
			def := o.Default
			if def != "" && def != "required" && !strings.Contains(def, " ") {
				def = "`" + def + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", o.Name, strings.ReplaceAll(o.Type, "KEY=\"value\",KEY2=\"value2\"", "`KEY=\"value\",KEY2=\"value2\"`"), def, o.Summary, class, since)
		}
	}
	const path = "../../docs/reference/option-table.md"
	if *goldens {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != b.String() {
		t.Errorf("%s is not what -rewrite writes (%v)", path, err)
	}
}
