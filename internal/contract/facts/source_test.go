package facts

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// areas are the files of the table, in the order of the page.
var areas = []string{"config", "ctl", "daemon", "events", "logging", "process", "rpc", "web", "grace"}

// verdicts say what became of an oddity of the reference. All but the first need a reason.
var verdicts = map[string]string{
	"kept":   "kept",
	"fixed":  "fixed",
	"option": "kept or not by option",
	"warns":  "kept, with a warning",
	"absent": "does not apply",
}

// area is one file of the table.
type area struct {
	name, title string
	topics      []topic
}

type topic struct {
	name, title string
	facts       []fact
}

// fact is one statement about the reference.
type fact struct {
	pos     string // file:line
	id      string
	text    string
	tests   []string
	quirks  []quirk
	differs string
	absent  string
	pending string
}

// quirk is what became of an oddity.
type quirk struct{ id, verdict, reason string }

// different reports whether graced does something else than the reference.
func (f fact) different() bool {
	for _, q := range f.quirks {
		if q.verdict == "fixed" || q.verdict == "option" || q.verdict == "warns" {
			return true
		}
	}
	return f.differs != ""
}

// notApplicable reports whether there is nothing in graced that the fact could be true of.
func (f fact) notApplicable() bool {
	for _, q := range f.quirks {
		if q.verdict == "absent" {
			return true
		}
	}
	return f.absent != ""
}

var (
	topicLine = regexp.MustCompile(`^# ([a-z]+): (\S.*)$`)
	factLine  = regexp.MustCompile(`^([a-z]+)\.([a-z]+)\.([1-9]\d*) (\S.*)$`)
	quirkLine = regexp.MustCompile(`^([A-G]\d+b?) ([a-z]+)(?:: (\S.*))?$`)
)

// parse reads a file of the table and returns it with what is wrong with its form.
func parse(file, name, text string) (a area, problems []string) {
	a.name = name
	topics := map[string]bool{}
	last := 0
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		pos := fmt.Sprintf("%s:%d", file, i+1)
		bad := func(format string, args ...any) {
			problems = append(problems, pos+": "+fmt.Sprintf(format, args...))
		}
		switch {
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "//"):
		case strings.HasPrefix(line, "= "):
			a.title = line[2:]
		case strings.HasPrefix(line, "#"):
			m := topicLine.FindStringSubmatch(line)
			if m == nil || topics[m[1]] {
				bad("no topic, or a second one of the name: %s", line)
				continue
			}
			topics[m[1]] = true
			a.topics = append(a.topics, topic{name: m[1], title: m[2]})
			last = 0
		case strings.HasPrefix(line, "  "):
			if len(a.topics) == 0 || len(a.topics[len(a.topics)-1].facts) == 0 {
				bad("no fact before this line")
				continue
			}
			facts := a.topics[len(a.topics)-1].facts
			if err := facts[len(facts)-1].add(line[2:]); err != nil {
				bad("%v", err)
			}
		default:
			m := factLine.FindStringSubmatch(line)
			if m == nil || len(a.topics) == 0 {
				bad("neither a fact nor a topic: %s", line)
				continue
			}
			t := &a.topics[len(a.topics)-1]
			number, err := strconv.Atoi(m[3])
			if err != nil || m[1] != name || m[2] != t.name || number <= last {
				bad("the id %s.%s.%s is not the next one of %s.%s", m[1], m[2], m[3], name, t.name)
			}
			last = number
			t.facts = append(t.facts, fact{pos: pos, id: fmt.Sprintf("%s.%s.%s", m[1], m[2], m[3]), text: m[4]})
		}
	}
	if a.title == "" {
		problems = append(problems, file+": no title")
	}
	return a, problems
}

// add reads a line below a fact.
func (f *fact) add(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return fmt.Errorf("%s without a word behind it", word)
	}
	switch word {
	case "test":
		f.tests = append(f.tests, rest)
	case "quirk":
		m := quirkLine.FindStringSubmatch(rest)
		if m == nil || verdicts[m[2]] == "" {
			return fmt.Errorf("no quirk, or an unknown verdict: %s", rest)
		}
		if m[3] == "" && m[2] != "kept" {
			return fmt.Errorf("quirk %s is %s without a reason", m[1], m[2])
		}
		f.quirks = append(f.quirks, quirk{m[1], m[2], m[3]})
	case "differs:":
		f.differs = rest
	case "absent:":
		f.absent = rest
	case "pending:":
		f.pending = rest
	default:
		return fmt.Errorf("unknown word %s", word)
	}
	return nil
}

// load reads the whole table.
func load() (table []area, problems []string, err error) {
	for _, name := range areas {
		file := name + ".txt"
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		a, bad := parse(file, name, string(text))
		table, problems = append(table, a), append(problems, bad...)
	}
	return table, problems, nil
}

// all lists the facts of the table.
func all(table []area) (facts []fact) {
	for _, a := range table {
		for _, t := range a.topics {
			facts = append(facts, t.facts...)
		}
	}
	return facts
}
