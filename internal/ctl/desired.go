package ctl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// marksAnswer answers hold, disable and enable.
type marksAnswer struct {
	Verb    string       `json:"verb"`
	Marks   []markRecord `json:"marks"`
	NotKept string       `json:"not_kept,omitempty"` // why the next daemon may not know of them
}

// markRecord is one process or group that was marked.
type markRecord struct{ control.Marked }

func (r markRecord) Schema() string { return "graced.mark/v1" }
func (r markRecord) Name() string   { return r.Marked.Name }

func (r markRecord) Line() string {
	return r.Marked.Name + ": " + map[string]string{
		control.MarkHold: "held: it neither starts by itself nor is changed by an update", control.MarkDisable: "disabled: it does not start by itself any more",
		control.MarkEnable: "enabled",
	}[r.Mark]
}

func (a *marksAnswer) Schema() string           { return control.MarksSchema }
func (a *marksAnswer) Records() []format.Record { return records(a.Marks) }
func (a *marksAnswer) Text(format.Style) string { return "" }
func (a *marksAnswer) lost() string             { return a.NotKept }

// answerMark says of processes how they are to be treated.
func (s *Session) answerMark(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) == 0 {
		return nil, c.misused("which processes? Names, or group:*")
	}
	if _, err := control.CheckNote(c.note); err != nil {
		return nil, c.misused("--" + detail(err))
	}
	a := &marksAnswer{Verb: c.verb, Marks: []markRecord{}}
	names, err := s.markNames(ctx, server, c)
	if c.dryRun && err == nil {
		if _, err := server.Standing(ctx); fault(err) == control.UnknownMethod {
			return nil, s.notOurs()
		}
		return wouldMark(c, names), nil
	}
	if err != nil {
		return a, err
	}
	done, err := server.Mark(ctx, control.MarkRequest{Names: names, Mark: c.verb, Note: c.note})
	a.NotKept = done.NotKept
	for _, m := range done.Marks {
		a.Marks = append(a.Marks, markRecord{m})
		c.Show(markRecord{m})
	}
	if err != nil {
		return a, s.changeProblem(ctx, server, err)
	}
	return a, nil
}

// markNames are the names that words mean: processes, and "group:*" for whole groups. A mark can be taken back also of what is not there any more.
func (s *Session) markNames(ctx context.Context, server Proxy, c *call) ([]string, error) {
	var gone map[string]bool
	if standing, err := server.Standing(ctx); err == nil && c.verb == control.MarkEnable {
		gone = map[string]bool{}
		for _, m := range standing.Marks {
			gone[m.Name] = true
		}
	}
	var names, words []string
	for _, w := range c.words {
		if gone[w] {
			names = append(names, w)
		} else {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return names, nil
	}
	units, err := s.chosen(ctx, server, c, words)
	if err != nil {
		return nil, err
	}
	for _, u := range units {
		if u.whole != nil {
			for _, g := range groupNames(u.members) {
				names = append(names, g+":*")
			}
			continue
		}
		for _, p := range u.members {
			names = append(names, fullName(p))
		}
	}
	return names, nil
}

// historyAnswer answers history.
type historyAnswer struct {
	Generations []generationRecord `json:"generations"`
}

// generationRecord is one configuration that was in force.
type generationRecord struct{ control.Generation }

func (r generationRecord) Schema() string { return "graced.generation/v1" }
func (r generationRecord) Name() string   { return "r" + strconv.Itoa(r.Rev) }
func (r generationRecord) Line() string   { return "" }

func (a *historyAnswer) Schema() string           { return control.HistorySchema }
func (a *historyAnswer) Records() []format.Record { return records(a.Generations) }

func (a *historyAnswer) Text(style format.Style) string {
	var rows [][]format.Cell
	for i := len(a.Generations) - 1; i >= 0; i-- {
		g := a.Generations[i]
		rows = append(rows, cells(g.Name(), g.When.Local().Format(time.DateTime), g.Who, g.Op, strings.ReplaceAll(g.Result, "_", " "), g.Summary))
	}
	return format.Table(style, []string{"REV", "WHEN", "WHO", "OP", "RESULT", "WHAT"}, rows)
}

// diffAnswer answers history with one or two generations.
type diffAnswer struct {
	From    int                `json:"from"` // 0 = nothing at all
	To      int                `json:"to"`
	Changes []generationChange `json:"changes"`
}

// generationChange is one difference between two generations.
type generationChange struct{ control.GenerationChange }

func (r generationChange) Schema() string { return "graced.generation_change/v1" }

func (r generationChange) Name() string {
	if r.Process == "" {
		return r.Group + ":*"
	}
	return r.Group + ":" + r.Process
}

func (r generationChange) Line() string {
	name := r.Group
	if r.Process != "" {
		name += ":" + r.Process
	}
	switch r.Action {
	case "added":
		return "+ " + name
	case "removed":
		return "- " + name
	}
	option := r.Option
	if r.Variable != "" {
		option += " " + r.Variable
	}
	return fmt.Sprintf("~ %s   %s   %s -> %s   %s", name, option, valueText(r.Old), valueText(r.New), r.Class)
}

func (a *diffAnswer) Schema() string           { return control.HistoryDiffSchema }
func (a *diffAnswer) Records() []format.Record { return records(a.Changes) }

func (a *diffAnswer) Text(format.Style) string {
	if len(a.Changes) == 0 {
		return fmt.Sprintf("r%d and r%d do not differ\n", a.From, a.To)
	}
	return ""
}

// noGeneration is the problem of a generation that is not kept.
func (s *Session) noGeneration(rev string) error {
	return &format.Problem{Code: "E318", Title: "no such generation", Detail: "generation " + rev + " is not kept", Hint: s.Program + " history lists them"}
}

// parseRev reads the number of a generation, such as r3 or 3; 0 where it is none.
func parseRev(word string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(word, "r"))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// answerHistory lists the generations; with one, what it has brought; with two, how they differ.
func (s *Session) answerHistory(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	var revs []int
	for _, w := range c.words {
		n := parseRev(w)
		if n == 0 || len(c.words) > 2 {
			return nil, c.misused("takes one or two generations, such as r3 or r3 r7, and got " + quote(w))
		}
		revs = append(revs, n)
	}
	if len(revs) == 0 {
		list, err := server.History(ctx)
		if err != nil {
			return nil, s.changeProblem(ctx, server, err)
		}
		a := &historyAnswer{Generations: []generationRecord{}}
		for _, g := range list {
			a.Generations = append(a.Generations, generationRecord{g})
		}
		return a, nil
	}
	if len(revs) == 1 {
		revs = []int{revs[0] - 1, revs[0]}
	}
	changes, err := server.HistoryDiff(ctx, revs[0], revs[1])
	if fault(err) == control.BadName {
		return nil, s.noGeneration(detail(err))
	}
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	a := &diffAnswer{From: revs[0], To: revs[1], Changes: []generationChange{}}
	for _, ch := range changes {
		a.Changes = append(a.Changes, generationChange{ch})
	}
	return a, nil
}
