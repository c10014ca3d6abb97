package config

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/config/configtest"
)

// minSnippets is how many snippets there are at least; one that gets lost must not go unnoticed.
const minSnippets = 1480

// snippet is a configuration of testdata/snippets/TOPIC.txt with the answers to it:
//
//	#### a title, unique in the file
//	the text of supervisord.conf
//	#### file conf.d/a.ini
//	a file that it includes
//	#### tree laravel
//	(nothing: the files are a configuration of package configtest)
//	#### args -u root
//	#### env NAME=value
//	#### reread
//	what supervisord.conf has become when it is read again
//	#### ctl
//	(nothing: supervisorctl reads the file)
//	#### supervisor
//	what the real Supervisor makes of it, as render writes it
//	#### graced A9
//	what we make of it, if that differs on purpose: quirk A9, or one of otherDifferences
//
// A title that ends with "(escaped)" says that the text is written with \r, \xff and the like, each \n written out, too. The last two
// parts are written by go test -run Snippets -rewrite; which snippets have a part "graced" is decided by hand.
type snippet struct {
	topic, title string
	files        map[string]string // by path
	parts        []part
	args         []string
	env          map[string]string
	tree         string // "" = none
	reread       string
	ctl          bool
	supervisor   string
	graced       string
	quirk        string // "" = both answer alike
}

type part struct{ head, text string }

// otherDifferences are deliberate differences that are too small to be in the list of quirks.
var otherDifferences = map[string]string{
	"plugins":   "Python plugins cannot be loaded, and those that are built in are not installed everywhere",
	"empty":     "an empty log file or directory is none; the reference cannot even start a program with directory=",
	"mask":      "a negative umask is shown as the mask that it is",
	"traceback": "supervisorctl ends with a traceback on a broken file; our client says what is wrong with it",
}

var quirkID = regexp.MustCompile(`^[A-G][0-9]+$`)

const mark = "#### "

// partWords are the first words of heads that are no titles, and whether something follows them.
var partWords = map[string]bool{
	"file": true, "tree": true, "args": true, "env": true, "reread": false, "ctl": false, "supervisor": false, "graced": true,
}

// theEnviron is what both sides find in their environment.
var theEnviron = map[string]string{"HOME": "/root", "GREETING": "hello", "SLASHED": "a/b", "TMPDIR": "/tmp"}

// readSnippets reads all files of testdata/snippets.
func readSnippets(t *testing.T) []*snippet {
	t.Helper()
	files, err := filepath.Glob("testdata/snippets/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no snippets, %v", err)
	}
	var all []*snippet
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		topic := strings.TrimSuffix(filepath.Base(file), ".txt")
		all = append(all, parseSnippets(t, topic, string(data))...)
	}
	return all
}

func parseSnippets(t *testing.T, topic, text string) []*snippet {
	t.Helper()
	var all []*snippet
	titles := map[string]bool{}
	for _, chunk := range strings.Split("\n"+text, "\n"+mark)[1:] {
		head, body, _ := strings.Cut(chunk, "\n")
		if body != "" && !strings.HasSuffix(body, "\n") {
			body += "\n"
		}
		word, rest, _ := strings.Cut(head, " ")
		if wantsRest, known := partWords[word]; known && wantsRest != (rest != "") {
			t.Fatalf("%s: no title may begin with %q: %s", topic, word, head)
		} else if !known {
			if titles[head] {
				t.Fatalf("%s: two snippets are called %s", topic, head)
			}
			titles[head] = true
			all = append(all, &snippet{topic: topic, title: head, files: map[string]string{}, env: map[string]string{}})
			word, rest = "file", "supervisord.conf"
		}
		s := all[len(all)-1]
		s.parts = append(s.parts, part{head, body})
		switch word {
		case "file":
			if strings.HasSuffix(s.title, "(escaped)") {
				raw := strings.ReplaceAll(strings.ReplaceAll(body, "\n", ""), `"`, `\"`)
				var err error
				if body, err = strconv.Unquote(`"` + raw + `"`); err != nil {
					t.Fatalf("%s: %s: %v", topic, s.title, err)
				}
			}
			s.files[rest] = body
		case "tree":
			s.tree = rest
			delete(s.files, "supervisord.conf")
			for k, v := range configtest.Environ {
				s.env[k] = v
			}
		case "args":
			s.args = append(s.args, strings.Fields(rest)...)
		case "env":
			name, value, _ := strings.Cut(rest, "=")
			s.env[name] = value
		case "reread":
			s.reread = body
		case "ctl":
			s.ctl = true
		case "supervisor":
			s.supervisor = body
		case "graced":
			s.quirk, s.graced = rest, body
			if otherDifferences[rest] == "" && !quirkID.MatchString(rest) {
				t.Fatalf("%s: %s: no quirk is called %s", topic, s.title, rest)
			}
		}
	}
	return all
}

// question is one of testdata/snippets.py.
type question struct {
	Dir    string            `json:"dir"`
	Files  map[string][]byte `json:"files"` // by path below Dir; one that ends with a slash is a directory
	Args   []string          `json:"args"`
	Env    map[string]string `json:"env"`
	Reread string            `json:"reread"`
	Ctl    bool              `json:"ctl"`
}

// questions are the questions about snippets. Their files are kept in memory, but those of a tree, which get a directory.
func questions(t *testing.T, all []*snippet) []question {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(root, "shared")
	if err := os.Mkdir(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	var list []question
	for _, s := range all {
		q := question{Dir: shared, Files: map[string][]byte{}, Args: append([]string{}, s.args...), Env: maps.Clone(theEnviron), Reread: s.reread, Ctl: s.ctl}
		maps.Copy(q.Env, s.env)
		for name, text := range s.files {
			q.Files[name] = []byte(text)
		}
		if s.tree != "" {
			q.Dir = filepath.Join(root, s.tree)
			if err := configtest.Place(s.tree, q.Dir); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, q)
	}
	return list
}

// askSupervisor returns what the Supervisor of this machine makes of the configurations.
func askSupervisor(t *testing.T, list []question) []object {
	t.Helper()
	return ask[question, object](t, "what Supervisor makes of configurations", "/usr/bin/python3", "snippets.py", list)
}

// TestSnippets: we make of every snippet what Supervisor made of it when it was recorded, or what the quirk says.
func TestSnippets(t *testing.T) {
	all := readSnippets(t)
	quirks := 0
	for i, q := range questions(t, all) {
		s := all[i]
		got := render(ourAnswer(q))
		want, source := s.supervisor, "Supervisor"
		if s.quirk != "" {
			quirks++
			if *rewrite {
				s.setPart("graced", got)
			}
			want, source = s.graced, "quirk "+s.quirk
			if want == s.supervisor {
				t.Errorf("%s: %s: quirk %s makes no difference", s.topic, s.title, s.quirk)
			}
		}
		if got != want {
			t.Errorf("%s: %s: ours (+) and as %s has it (-):\n%s", s.topic, s.title, source, changes(want, got))
		}
	}
	t.Logf("%d snippets, %d of them differ on purpose", len(all), quirks)
	if len(all) < minSnippets {
		t.Errorf("%d snippets, want at least %d", len(all), minSnippets)
	}
	if *rewrite {
		writeSnippets(t, all)
	}
}

// TestSnippetsLive asks the Supervisor of this machine: the recorded answers must still be its own.
func TestSnippetsLive(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: whether the recorded answers are still Supervisor's, because /usr/bin/python3 has no supervisor module")
	}
	all := readSnippets(t)
	for i, a := range askSupervisor(t, questions(t, all)) {
		s, got := all[i], render(a)
		if *rewrite {
			s.setPart("supervisor", got)
		} else if got != s.supervisor {
			t.Errorf("%s: %s: recorded (-) and now (+):\n%s", s.topic, s.title, changes(s.supervisor, got))
		}
	}
	if *rewrite {
		writeSnippets(t, all)
	}
}

// changes shows the lines of before and after, those that both have with a blank, but long runs of them left out.
func changes(before, after string) string {
	a, b := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	var out strings.Builder
	same := 0
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(a) > 0 && len(b) > 0 && a[0] == b[0]:
			if same++; same <= 3 {
				out.WriteString("      " + a[0])
			}
			a, b = a[1:], b[1:]
			continue
		case len(a) > 0 && !slices.Contains(b, a[0]):
			out.WriteString("    - " + a[0])
			a = a[1:]
		case len(b) > 0:
			out.WriteString("    + " + b[0])
			b = b[1:]
		default:
			out.WriteString("    - " + a[0])
			a = a[1:]
		}
		same = 0
	}
	return out.String()
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ")
}

// setPart sets the text of a part, which it adds if there is none.
func (s *snippet) setPart(word, text string) {
	for i, p := range s.parts {
		if first, _, _ := strings.Cut(p.head, " "); first == word {
			s.parts[i].text = text
			return
		}
	}
	i := len(s.parts)
	if i > 0 && strings.HasPrefix(s.parts[i-1].head, "graced ") {
		i--
	}
	s.parts = slices.Insert(s.parts, i, part{word, text})
}

func writeSnippets(t *testing.T, all []*snippet) {
	t.Helper()
	texts := map[string]*strings.Builder{}
	for _, s := range all {
		b := texts[s.topic]
		if b == nil {
			b = &strings.Builder{}
			texts[s.topic] = b
		}
		for _, p := range s.parts {
			b.WriteString(mark + p.head + "\n" + p.text)
		}
	}
	for topic, b := range texts {
		if err := os.WriteFile("testdata/snippets/"+topic+".txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// output runs a program and returns what it prints.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return string(out)
}
