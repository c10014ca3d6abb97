package doctest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentation executes the documents of the root and everything below docs with freshly built binaries.
func TestDocumentation(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(repo, "*.md"))
	if err != nil || !slices.Contains(files, filepath.Join(repo, "README.md")) {
		t.Errorf("no README.md among %v, %v", files, err)
	}
	err = filepath.WalkDir(filepath.Join(repo, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/graced", "./cmd/gracectl")
	build.Dir = repo
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for link, target := range map[string]string{"supervisord": "graced", "supervisorctl": "gracectl"} {
		if err := os.Symlink(target, filepath.Join(bin, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		name, err := filepath.Rel(repo, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// The path of a unix socket is short, the directory of a test is not: /tmp.
			for _, problem := range CheckDocument(file, string(text), "/tmp", bin, repo) {
				t.Error(strings.TrimPrefix(problem, repo+"/"))
			}
		})
	}
}

// TestFixtures runs the documents of testdata. A line "<!-- want: REGEXP -->" in one of them announces a problem; the others are without.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.md")
	if err != nil || len(files) < 2 {
		t.Fatalf("fixtures: %v, %v", files, err)
	}
	want := regexp.MustCompile(`(?m)^<!-- want: (.*) -->$`)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			problems := CheckDocument(file, string(text), "/tmp", "/nowhere", ".")
			announced := want.FindAllStringSubmatch(string(text), -1)
			for i, problem := range problems {
				if i >= len(announced) {
					t.Errorf("unexpected problem: %s", problem)
				} else if !regexp.MustCompile(`(?s)` + announced[i][1]).MatchString(problem) {
					t.Errorf("problem %d:\n%s\nwant a match of %s", i, problem, announced[i][1])
				}
			}
			for _, m := range announced[min(len(problems), len(announced)):] {
				t.Errorf("missing problem: %s", m[1])
			}
		})
	}
}

// TestClose checks that processes which a document leaves behind end with its shell: one in the background, and one that left the
// session and ignores SIGTERM.
func TestClose(t *testing.T) {
	sh, err := NewShell(t.TempDir(), "/nowhere", ".")
	if err != nil {
		t.Fatal(err)
	}
	stubborn := `setsid bash -c 'trap "" TERM; echo ready $$; while :; do sleep 1000; done' &`
	output, _, err := sh.Run("sleep 1000 & echo ready $!\n" + stubborn)
	if err == nil {
		output, err = sh.await([]string{"...", "ready ...", "ready ..."}, output)
	}
	if err != nil {
		t.Fatal(err)
	}
	if pids := sh.started(); len(pids) < 3 {
		t.Errorf("processes before: %v, want the shell and two more\n%s", pids, output)
	}
	sh.Close()
	if pids := sh.started(); len(pids) > 0 {
		t.Errorf("processes left: %v", pids)
	}
	if _, err := os.Stat(sh.home); err == nil {
		t.Errorf("directory %s is left", sh.home)
	}
}

// TestMatches checks the comparison of documentation and output.
func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		match     bool
	}{
		{"", "", true},
		{"", "\n\n", true},
		{"", "x", false},
		{"x", "", false},
		{"a\nb", "a\nb\n", true},
		{"a\nb", "a\nc\nb", false},
		{"a\n...\nb", "a\nc\nd\nb", true},
		{"a\n...\nb", "a\nb", true},
		{"...", "", true},
		{"...\nend", "x\nend\ny", false},
		{"…\nb", "a\nb", true},
		{"a ... c", "a b c", true},
		{"a ... c", "a b d", false},
		{"...x...y", "1x2y", true},
		{"...y...x", "1x2y", false},
		{"ab...ba", "aba", false},
		{"foo:foo_0    RUNNING   pid 4712, uptime 0:00:09", "foo:foo_0   RUNNING   pid 99, uptime 1 day, 10:11:12", true},
		{"foo:foo_0    RUNNING   pid 4712, uptime 0:00:09", "foo:foo_1   RUNNING   pid 99, uptime 0:00:09", false},
		{"app   RUNNING   no   4712   x", "app   RUNNING   no   99   x", true}, {"app   RUNNING   no   4712   x", "app   RUNNING   yes   99   x", false},
		{"foo STOPPED Nov 23 03:09 PM", "foo STOPPED Dec 01 11:59 AM", true},
		{"2026-11-22 10:00:01,104 INFO spawned: 'foo_0' with pid 4712", "2027-01-02 23:59:59,000 INFO spawned: 'foo_0' with pid 1", true},
		{"done in 1.5 s", "done in 12 ms", true},
		{"wrote /tmp/demo-1/x.log", "wrote /tmp/other/y.log", true},
		{"x", "2027-01-02 23:59:59,000 INFO spawned: 'foo_0' with pid 1\nx", true},
		{"x", "2027-01-02 23:59:59,000 no log line\nx", false},
		{"", "warning: running as root and so on", true},
		{"in '...x.conf'", "in '/tmp/somewhere/x.conf'", true},
		{"in '...x.conf'", "in '/tmp/somewhere/y.conf'", false},
		{"x  ", "x", true},
	} {
		if got := Matches(strings.Split(tt.want, "\n"), tt.got); got != tt.match {
			t.Errorf("Matches(%q, %q) = %v", tt.want, tt.got, got)
		}
	}
}

// TestSteps checks how a console block is split.
func TestSteps(t *testing.T) {
	steps, err := Steps(Block{File: "f", Line: 10, Text: "$ cat > x <<EOF\n> a\n>\n> b\n> EOF\n$ cat x\na\n\n> b\n$ true\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{10, "cat > x <<EOF\na\n\nb\nEOF", nil},
		{15, "cat x", []string{"a", "", "> b"}},
		{19, "true", nil},
	}
	if !slices.EqualFunc(steps, want, func(a, b Step) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("steps %+v, want %+v", steps, want)
	}
	for _, text := range []string{"", "output\n$ true\n"} {
		if steps, err := Steps(Block{Text: text}); err == nil {
			t.Errorf("Steps(%q) = %+v, want an error", text, steps)
		}
	}
}
