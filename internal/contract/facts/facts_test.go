package facts

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write "+page)

// page is made from the table.
const page = "docs/compatibility.md"

// oddities is how many known oddities of the reference each letter has: A1 to A22, and so on. F8 has a second half.
var oddities = map[string]int{"A": 22, "B": 10, "C": 20, "D": 25, "E": 12, "F": 16, "G": 22}

// broad are the tests that compare whole stories with the reference, and may prove many facts without naming a case.
var broad = []string{"internal/sim TestOracle", "internal/sim TestPoolOracle", "internal/contract TestListener", "internal/web TestReference"}

// broadest is how many facts any other test may prove without naming a case: who cites one test for everything has not looked into it.
const broadest = 10

func known(id string) bool {
	var n int
	if id == "F8b" {
		return true
	}
	_, err := fmt.Sscanf(id[1:], "%d", &n)
	return err == nil && fmt.Sprint(n) == id[1:] && n >= 1 && n <= oddities[id[:1]]
}

// TestFacts checks that there is no fact without a proof: each names tests that there are, or says why there is nothing to test.
func TestFacts(t *testing.T) {
	table, problems, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	proofs := newProofs()
	texts, pending, judged, cited := map[string]string{}, map[string][]string{}, map[string]bool{}, map[string]int{}
	for _, f := range all(table) {
		if other, ok := texts[f.text]; ok {
			t.Errorf("%s: %s says the same as %s", f.pos, f.id, other)
		}
		texts[f.text] = f.id
		for _, q := range f.quirks {
			judged[q.id] = true
			if !known(q.id) {
				t.Errorf("%s: there is no quirk %s", f.pos, q.id)
			}
		}
		if f.pending != "" {
			pending[f.pending] = append(pending[f.pending], f.id)
		}
		if len(f.tests) == 0 && f.pending == "" && !f.notApplicable() {
			t.Errorf("%s: %s has neither a test nor a reason why there is nothing to test", f.pos, f.id)
		}
		seen := map[string]bool{}
		for _, ref := range f.tests {
			if seen[ref] {
				t.Errorf("%s: %s names %s twice", f.pos, f.id, ref)
			}
			seen[ref] = true
			if pkg, name, ok := strings.Cut(ref, " "); ok && !strings.Contains(pkg, ":") && !strings.Contains(name, "/") {
				cited[ref]++
			}
			if why := proofs.missing(ref); why != "" {
				t.Errorf("%s: %s is not proved by %s: %s", f.pos, f.id, ref, why)
			}
		}
	}
	for letter, n := range oddities {
		for i := range n {
			if id := fmt.Sprint(letter, i+1); !judged[id] {
				t.Errorf("no fact says what became of quirk %s", id)
			}
		}
	}
	for ref, n := range cited {
		if n > broadest && !slices.Contains(broad, ref) {
			t.Errorf("%d facts name %s and no case of it", n, ref)
		}
	}
	if !judged["F8b"] {
		t.Error("no fact says what became of quirk F8b")
	}
	for name, ids := range pending {
		t.Errorf("%d facts wait for %s: %s", len(ids), name, strings.Join(ids, " "))
	}
}

// scriptQuirk is where a script expects something else of one of our sides than of the reference.
var scriptQuirk = regexp.MustCompile(`(?m)^quirk (?:daemon|ctl) (\S+)`)

// snippetQuirk is the same in a configuration.
var snippetQuirk = regexp.MustCompile(`(?m)^#### graced ([A-G]\d+b?)$`)

// TestNothingIsLeftOut goes the other way: every script is the proof of some fact, and each oddity that it makes an exception for is judged
// in a fact that names the script.
func TestNothingIsLeftOut(t *testing.T) {
	table, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	named, judged := map[string]bool{}, map[string]bool{}
	for _, f := range all(table) {
		for _, ref := range f.tests {
			if rest, ok := strings.CutPrefix(ref, "contract:"); ok {
				script, _, _ := strings.Cut(rest, "#")
				named[script] = true
				for _, q := range f.quirks {
					judged[script+" "+q.id] = true
				}
			}
			if rest, ok := strings.CutPrefix(ref, "config:"); ok {
				topic, _, _ := strings.Cut(rest, "#")
				named["config "+topic] = true
				for _, q := range f.quirks {
					judged["config "+q.id] = true
				}
			}
			if rest, ok := strings.CutPrefix(ref, "internal/core TestScripts/"); ok {
				named["core "+rest] = true
			}
		}
	}
	scripts, err := filepath.Glob("../testdata/*.script")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		script := strings.TrimSuffix(filepath.Base(path), ".script")
		if !named[script] {
			t.Errorf("no fact names contract:%s", script)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range scriptQuirk.FindAllStringSubmatch(string(text), -1) {
			if quirkLine.MatchString(m[1]+" kept") && !judged[script+" "+m[1]] {
				t.Errorf("contract:%s makes an exception for %s, and no fact that names the script judges it", script, m[1])
			}
		}
	}
	configs, err := filepath.Glob(filepath.Join(repo, snippets, "*.txt"))
	if err != nil || len(configs) == 0 {
		t.Fatalf("no configurations: %v", err)
	}
	for _, path := range configs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		topic := strings.TrimSuffix(filepath.Base(path), ".txt")
		if !named["config "+topic] {
			t.Errorf("no fact names a configuration of %s.txt", topic)
		}
		for _, m := range snippetQuirk.FindAllStringSubmatch(string(text), -1) {
			if !judged["config "+m[1]] {
				t.Errorf("%s.txt makes an exception for %s, and no fact that names a configuration judges it", topic, m[1])
			}
		}
	}
	stories, err := filepath.Glob(filepath.Join(repo, "internal/core/testdata/*.txt"))
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		// Updates, operations, trees, restart policies, dependencies, commands around a process and processes that were there before are no facts about Supervisor, which knows none of them.
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		ours := slices.Contains([]string{"found", "stop_tree", "stop_steps", "drain", "drain_forever", "backoff", "restart_limit", "breaker", "essential", "essential_fatal", "essential_not", "essential_turn"}, name) ||
			strings.HasPrefix(name, "update_") || strings.HasPrefix(name, "act_") || strings.HasPrefix(name, "hooks") || strings.HasPrefix(name, "depend_")
		if !strings.HasPrefix(name, "matrix") && !ours && !named["core "+name] {
			t.Errorf("no fact names internal/core TestScripts/%s", name)
		}
	}
}

// mention is how the sources refer to an oddity.
var mention = regexp.MustCompile(`\bquirks? ([A-H]\d+b?)((?:,| and) [A-H]\d+b?)*`)

var oddity = regexp.MustCompile(`[A-H]\d+b?`)

// TestMentions checks that the sources speak of oddities that there are.
func TestMentions(t *testing.T) {
	n := 0
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(repo, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || filepath.Base(filepath.Dir(path)) == "facts" {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range mention.FindAllString(string(text), -1) {
				for _, id := range oddity.FindAllString(m, -1) {
					if n++; !known(id) {
						t.Errorf("%s: %s", path, m)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 50 {
		t.Errorf("only %d mentions: the expression is blind", n)
	}
}

// TestPage compares the page with what the table makes of it.
func TestPage(t *testing.T) {
	table, problems, err := load()
	if err != nil || len(problems) > 0 {
		t.Fatal("the table cannot be read", err)
	}
	file := filepath.Join(repo, page)
	want := render(table)
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		a, b := strings.Split(string(got), "\n"), strings.Split(want, "\n")
		i := 0
		for i < len(a) && i < len(b) && a[i] == b[i] {
			i++
		}
		t.Errorf("%s is not what the table makes of it, from line %d on: go test ./internal/contract/facts -rewrite", page, i+1)
	}
}

// TestParse checks that nothing slips through: each of these tables is wrong in one way.
func TestParse(t *testing.T) {
	good := "= T\n# a: A\nx.a.1 One.\n  test p TestX\n"
	if a, problems := parse("f", "x", good); len(problems) > 0 || len(all([]area{a})) != 1 {
		t.Errorf("%v, %v", a, problems)
	}
	for text, want := range map[string]string{
		"# a: A\nx.a.1 One.\n":            "no title",
		"= T\nx.a.1 One.\n":               "neither a fact nor a topic",
		"= T\n# a: A\nx.a.1\n":            "neither a fact nor a topic",
		"= T\n# a: A\nx.b.1 One.\n":       "not the next one",
		"= T\n# a: A\ny.a.1 One.\n":       "not the next one",
		good + "x.a.1 Two.\n":             "not the next one",
		good + "# a: Again\n":             "no topic, or a second one",
		good + "  tset p TestY\n":         "unknown word tset",
		good + "  test\n":                 "without a word",
		good + "  quirk A1 fixed\n":       "without a reason",
		good + "  quirk A1 ignored: x\n":  "unknown verdict",
		good + "  quirk Z1 fixed: why\n":  "no quirk",
		"= T\n# a: A\n  test p TestY\n":   "no fact before",
		"= T\n# a: A\nx.a.0 One.\n":       "neither a fact",
		good + "  differs:\n":             "without a word",
		good + "x.a.2 Two.\nx.a.2 Two.\n": "not the next one",
	} {
		if _, problems := parse("f", "x", text); !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("%q: %q, want %s", text, problems, want)
		}
	}
}

// TestMissing checks that a reference to nothing is seen.
func TestMissing(t *testing.T) {
	p := newProofs()
	for ref, want := range map[string]string{
		"internal/contract/facts TestMissing":           "",
		"internal/contract/facts TestMissing/no such":   "",
		"internal/contract/facts TestGone":              "has no TestGone",
		"internal/contract/facts takesT":                "has no takesT",
		"internal/contract/facts TestMissing/q":         "too short",
		"internal/nowhere TestX":                        "no test files",
		"TestMissing":                                   "not of the form",
		"contract:verbs":                                "",
		"contract:verbs#ctl status run off":             "",
		"contract:verbs#ctl fly":                        "no label and no line",
		"contract:gone":                                 "no such file",
		"config:general#minimal":                        "",
		"config:general#minima":                         "no \"minima\"",
		"config:general":                                "not of the form",
		"internal/core TestScripts/crash_loop":          "",
		"internal/core TestScripts/crash_lop":           "no case",
		"internal/client TestReference/multicall":       "",
		"internal/config TestINIRecorded/inline ;":      "",
		"internal/config TestINIRecorded/a gone case ;": "no case",
	} {
		if got := p.missing(ref); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}
