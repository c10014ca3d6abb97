package ctl

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
)

// Exit codes of plan and of what follows from it.
const (
	exitChanges = 2  // plan --exit-code: something would be done
	exitStale   = 13 // the plan is not the present one any more
)

// planAnswer answers plan, and update --dry-run.
type planAnswer struct {
	control.Plan
	Passed []passedOver `json:"passed_over,omitempty"` // by undo

	diff  bool // show the settings as a diff
	other bool // of files that are not the daemon's: no update does it
}

// planGroup is what happens to one group.
type planGroup struct{ control.PlanGroup }

func (g planGroup) Schema() string { return "graced.plan_group/v1" }
func (g planGroup) Line() string   { return "" }

// Name leaves out what is untouched, so that the names can be updated.
func (g planGroup) Name() string {
	if g.Action == "keep" {
		return ""
	}
	return g.PlanGroup.Name + ":*"
}

func newPlanAnswer(p control.Plan, c *call) *planAnswer {
	p.Schema = "" // the document has it
	return &planAnswer{Plan: p, Passed: c.passed, diff: c.diff, other: c.file != ""}
}

func (a *planAnswer) Schema() string { return control.PlanSchema }

func (a *planAnswer) Records() []format.Record {
	out := make([]planGroup, len(a.Groups))
	for i, g := range a.Groups {
		out[i] = planGroup{g}
	}
	return records(out)
}

func (a *planAnswer) Text(format.Style) string {
	if a.diff {
		return diffText(a.Plan, workingDir())
	}
	return planText(a.Plan, workingDir(), a.other)
}

// diffText shows the settings that change, group by group, as a diff.
func diffText(p control.Plan, dir string) string {
	var b strings.Builder
	for _, g := range p.Groups {
		if g.Action == "keep" {
			continue
		}
		file := "no file"
		if len(p.Files) > 0 && g.Action != "remove" {
			file = shorten(p.Files[0].Path, dir)
		}
		for _, c := range g.Changes {
			if c.File != "" {
				file = shorten(c.File, dir)
				break
			}
		}
		before := "running"
		if p.Since != 0 {
			before = "r" + strconv.Itoa(p.Since)
		}
		fmt.Fprintf(&b, "--- %s (%s)\n+++ %s (%s)\n@@ effective settings @@\n", g.Name, before, g.Name, file)
		for _, name := range slices.Concat(g.Stop, g.Remove) {
			b.WriteString("-" + name + "\n")
		}
		for _, c := range g.Changes {
			option := c.Option
			if c.Variable != "" {
				option += " " + c.Variable
			}
			whose := ""
			if len(c.Processes) > 0 {
				whose = "   ; " + strings.Join(c.Processes, " ")
			}
			if c.Old != "" {
				fmt.Fprintf(&b, "-%s=%s%s\n", option, c.Old, whose)
			}
			if c.New != "" {
				fmt.Fprintf(&b, "+%s=%s%s\n", option, c.New, whose)
			}
		}
		for _, name := range append(slices.Clone(g.Start), g.Add...) {
			b.WriteString("+" + name + "\n")
		}
	}
	return b.String()
}

func (a *planAnswer) exit(c *call) int {
	if c.exitCode && !a.Empty() {
		return exitChanges
	}
	return 0
}

// targets are the groups that words mean, nil for all.
func (c *call) targets() []string {
	names := c.groupNames()
	if contains(names, "all") {
		return nil
	}
	return names
}

// otherFile is the absolute name of the file that -f names, "" without it.
func (c *call) otherFile() (string, error) {
	if c.file == "" {
		return "", nil
	}
	return filepath.Abs(c.file)
}

// answerPlan shows what an update would do.
func (s *Session) answerPlan(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	file, err := c.otherFile()
	if err != nil {
		return nil, err
	}
	req := control.PlanRequest{Groups: c.targets(), File: file, Since: c.since, Roll: c.roll}
	p, err := server.Plan(ctx, req)
	if rev := "r" + strconv.Itoa(c.since); c.since != 0 && fault(err) == control.BadName && detail(err) == rev {
		return nil, s.noGeneration(rev)
	}
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	if c.watch {
		return nil, s.watchPlan(ctx, server, c, req, p)
	}
	return newPlanAnswer(p, c), nil
}

// replan is how often a watched plan is made again.
const replan = time.Second

// watchPlan shows the plan, and again whenever it becomes another one, until Ctrl-C.
func (s *Session) watchPlan(ctx context.Context, server Proxy, c *call, req control.PlanRequest, p control.Plan) error {
	c.Finish(newPlanAnswer(p, c))
	shown, last := p.ID, ""
	for {
		timer := time.NewTimer(replan)
		select {
		case <-ctx.Done():
			timer.Stop()
			s.caught = true
			return errExplained
		case <-timer.C:
		}
		p, err := server.Plan(ctx, req)
		switch {
		case ctx.Err() != nil:
			s.caught = true
			return errExplained
		case fault(err) == control.CantReread:
			if last != err.Error() {
				last = err.Error()
				c.Fail(s.problem(s.brokenFiles(ctx, server, c, err), c))
			}
		case err != nil:
			return s.changeProblem(ctx, server, err)
		case p.ID != shown || last != "":
			shown, last = p.ID, ""
			c.Finish(newPlanAnswer(p, c))
		}
	}
}

// changeProblem makes a problem of what the daemon says to a plan, an update or a change of numbers.
func (s *Session) changeProblem(ctx context.Context, server Proxy, err error) error {
	switch fault(err) {
	case control.StalePlan:
		return &format.Problem{
			Code: "E303", Title: "the plan is stale", Detail: "the plan is stale: " + detail(err), Hint: "nothing was done; run " + s.Program + " plan again",
			FaultCode: int(control.StalePlan), Exit: exitStale,
		}
	case control.BadName:
		all, _ := server.Processes(ctx) // a daemon that cannot list them gets no suggestion
		return noGroup(detail(err), groupNames(all))
	case control.UnknownMethod:
		return s.notOurs()
	case control.IncorrectParameters:
		return &format.Problem{Code: "E312", Title: "wrong usage", Detail: detail(err), Exit: exitUsage}
	}
	return err
}

// notOurs is the problem of a daemon that has neither plans nor operations.
func (s *Session) notOurs() error {
	return &format.Problem{
		Code: "E306", Title: "the daemon cannot do this", Detail: "the daemon at " + s.ServerURL + " is no graced: it has neither plans nor operations",
		FaultCode: int(control.UnknownMethod),
	}
}

func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}

// signs mark what happens to a group.
var signs = map[string]string{"keep": "=", "change": "~", "add": "+", "remove": "-", "replace": "r"}

// planText renders a plan for people; paths below dir are shortened. other says that it is about files that are not the daemon's.
func planText(p control.Plan, dir string, other bool) string {
	var b strings.Builder
	files := ""
	if len(p.Files) > 0 {
		files = shorten(p.Files[0].Path, dir)
		if n := len(p.Files) - 1; n > 0 {
			files += fmt.Sprintf(" + %d included", n)
		}
	}
	switch {
	case p.Since != 0:
		fmt.Fprintf(&b, "changes from r%d to %s\n\n", p.Since, files)
	case p.Of == control.PlanOfRestart:
		b.WriteString("a rolling restart, with the settings in force\n\n")
	case p.Of == control.PlanOfRollback:
		fmt.Fprintf(&b, "plan %s   back to r%d; the files are not touched\n\n", p.ID, p.To)
	default:
		fmt.Fprintf(&b, "plan %s   %s\n\n", p.ID, files)
	}
	width := 8
	for _, g := range p.Groups {
		width = max(width, utf8.RuneCountInString(g.Name))
	}
	for _, g := range p.Groups {
		sign := signs[g.Action]
		if g.Action == "change" && len(g.Replace) > 0 {
			sign = "r"
		}
		fmt.Fprintf(&b, "  %s %s  %s\n", sign, pad(g.Name, width), groupSummary(g))
		b.WriteString(strategyLine(g))
		optionTable(&b, g, dir)
		reasonLines(&b, g, dir)
	}
	if len(p.Groups) > 0 {
		b.WriteByte('\n')
	}
	switch {
	case p.Since != 0 && p.Empty():
		fmt.Fprintf(&b, "  the files say what r%d said\n", p.Since)
		return b.String()
	case p.Since != 0:
		b.WriteString("  what an update from there would do; what one would do now: gracectl plan\n")
		return b.String()
	}
	switch {
	case p.Of == control.PlanOfRestart && p.Empty():
		b.WriteString("  nothing to do: none of them runs\n")
		return b.String()
	case p.Of == control.PlanOfRollback && p.Empty():
		fmt.Fprintf(&b, "  nothing to do: what runs is what r%d was\n", p.To)
		return b.String()
	}
	if p.Empty() {
		b.WriteString("  nothing to do: what runs is what the files say\n")
		overrideLines(&b, p, dir)
		failingLines(&b, p.Failing)
		return b.String()
	}
	t := p.Totals
	fmt.Fprintf(&b, "  %d keep their pid · %d replaced · %d started · %d stopped        nothing has been changed\n", t.Keep, t.Replace, t.Start, t.Stop)
	overrideLines(&b, p, dir)
	failingLines(&b, p.Failing)
	if n := len(slices.DeleteFunc(slices.Clone(p.Notes), func(n control.PlanNote) bool { return n.Code == control.NoteRefused })); n > 0 {
		fmt.Fprintf(&b, "  %s in these files: gracectl check\n", count(n, "warning"))
	}
	switch {
	case p.Of == control.PlanOfRollback:
		fmt.Fprintf(&b, "  do it:  gracectl rollback r%d\n", p.To)
	case !other && p.Of == "":
		fmt.Fprintf(&b, "  apply exactly this:  gracectl update --plan %s\n", p.ID)
	}
	return b.String()
}

// overrideLines tells what else there is to know: of programs that have another number of processes than the files say, and of what an update
// does not take over.
func overrideLines(b *strings.Builder, p control.Plan, dir string) {
	for _, n := range p.Notes {
		switch n.Code {
		case "W180":
			fmt.Fprintf(b, "  warning[%s]: %s   %s:%d\n", n.Code, n.Message, shorten(n.File, dir), n.Line)
		case "W181":
			fmt.Fprintf(b, "  warning[%s]: %s\n", n.Code, n.Message)
		case control.NoteRefused:
			fmt.Fprintf(b, "  refused now: %s\n", n.Message)
		}
	}
	for _, o := range p.Overrides {
		if o.Count != o.InFile {
			fmt.Fprintf(b, "  %s is scaled to %d; %s:%d says numprocs=%d (gracectl scale %s=file ends that)\n", o.Program, o.Count, shorten(o.File, dir), o.Line, o.InFile, o.Program)
		}
	}
}

// failingLines tells which processes are down although the files want them up, and what starts them: an update does not.
func failingLines(b *strings.Builder, list []control.FailingProcess) {
	const most = 5
	for _, state := range []string{process.Fatal.String(), process.Backoff.String()} {
		var names []string
		reason := ""
		for _, f := range list {
			if f.State == state {
				names = append(names, f.Process)
				reason = cmp.Or(reason, f.Text)
			}
		}
		if len(names) == 0 {
			continue
		}
		next := "start " + strings.Join(names, " ")
		shown, verb := strings.Join(names, " "), "is"
		if len(names) > 1 {
			verb = "are"
		}
		if len(names) > most {
			next, shown = "start --state "+state, strings.Join(names[:most], " ")+fmt.Sprintf(" and %d more", len(names)-most)
		}
		if reason != "" {
			reason = ": " + reason
		}
		fmt.Fprintf(b, "  %s %s %s%s\n", shown, verb, state, reason)
		if state == process.Backoff.String() {
			fmt.Fprintf(b, "    it is tried again by itself        why: gracectl why %s\n", names[0])
			continue
		}
		fmt.Fprintf(b, "    try again: gracectl %s        why: gracectl why %s\n", next, names[0])
	}
}

// groupSummary says in one line what happens to a group.
func groupSummary(g control.PlanGroup) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	classes := map[string]int{}
	for _, c := range g.Changes {
		classes[c.Class]++
	}
	if n := classes["live"]; n > 0 && g.Action != "replace" {
		parts = append(parts, count(n, "setting")+" live")
	}
	if n := classes["next start"]; n > 0 && g.Action != "replace" {
		parts = append(parts, count(n, "setting")+" for the next start")
	}
	switch n := len(g.Replace); {
	case n > 1 && g.Action == "replace":
		parts = append(parts, count(n, "process")+" replaced, all at once")
	case n > 1 && strategyLine(g) != "":
		parts = append(parts, count(n, "process")+" replaced")
	case n > 1:
		parts = append(parts, count(n, "process")+" replaced, one at a time")
	case n == 1:
		parts = append(parts, "1 process replaced")
	}
	if n := len(g.Start); n > 0 {
		parts = append(parts, count(n, "process")+" started")
	}
	add(len(g.Add), "added and not started")
	if n := len(g.Stop); n > 0 {
		what := count(n, "process") + " stopped"
		if g.StopMost > 0 {
			what += " (within " + seconds(g.StopMost) + ")"
		}
		parts = append(parts, what)
	}
	if g.Action != "remove" {
		add(len(g.Remove), "removed without a stop")
	}
	for _, r := range g.Rename {
		parts = append(parts, member(r.From)+" renamed "+member(r.To))
	}
	add(len(g.Down), "down, with new settings for the next start")
	switch g.Action {
	case "replace":
		parts = append([]string{"the group is replaced as a whole"}, parts...)
	case "remove":
		parts = append(parts, "removed")
	case "add":
		if len(parts) == 0 {
			parts = append(parts, "added")
		}
	}
	if n := len(g.Held); n > 0 {
		parts = append(parts, fmt.Sprintf("%d held back", n))
	}
	if len(parts) == 0 {
		return "untouched"
	}
	if n := len(g.Untouched); n > 0 {
		parts = append(parts, fmt.Sprintf("%d untouched", n))
	}
	if len(g.Replace) > 0 && g.Estimate > 0 {
		besides := " besides the stops"
		if g.Strategy != nil && g.Strategy.Ready != "" {
			besides = " besides the stops and getting ready"
		}
		parts = append(parts, "about "+seconds(g.Estimate)+besides)
	}
	return strings.Join(parts, ", ")
}

// optionTable lists the options of a group that change.
func optionTable(b *strings.Builder, g control.PlanGroup, dir string) {
	type row struct{ option, values, what, place string }
	var rows []row
	for _, c := range g.Changes {
		r := row{option: c.Option, values: valueText(c.Old) + " -> " + valueText(c.New), what: c.Class}
		if c.Variable != "" {
			r.option += " " + c.Variable
		}
		switch {
		case c.Hidden && (c.Variable != "" || c.Old == c.New):
			r.values += " (hidden)"
		case c.Option == "numprocs":
			r.what = "" // the summary names the processes
		}
		if n := len(c.Processes); n > 0 {
			names := make([]string, 0, 3)
			for _, name := range c.Processes[:min(n, 3)] {
				names = append(names, member(name))
			}
			if n > 3 {
				names = append(names, "…")
			}
			r.what += " (" + strings.Join(names, " ") + ")"
		}
		if c.File != "" {
			r.place = shorten(c.File, dir) + ":" + strconv.Itoa(c.Line)
		}
		rows = append(rows, r)
	}
	var w [3]int
	for _, r := range rows {
		w[0] = max(w[0], utf8.RuneCountInString(r.option))
		w[1] = max(w[1], min(utf8.RuneCountInString(r.values), 60))
		w[2] = max(w[2], utf8.RuneCountInString(r.what))
	}
	for _, r := range rows {
		line := "      " + pad(r.option, w[0]) + "   " + pad(r.values, w[1]) + "   " + pad(r.what, w[2]) + "   " + r.place
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// reasonLines tell why something happens to processes: those with the same reason share a line.
func reasonLines(b *strings.Builder, g control.PlanGroup, dir string) {
	var order []string
	names := map[string][]string{}
	for _, r := range g.Reasons {
		text := strings.Replace(r.Reason, "("+r.File+":", "("+shorten(r.File, dir)+":", 1)
		if names[text] == nil {
			order = append(order, text)
		}
		names[text] = append(names[text], member(r.Process))
	}
	width := 0
	for _, text := range order {
		width = max(width, utf8.RuneCountInString(some(names[text])))
	}
	for _, text := range order {
		b.WriteString("      " + pad(some(names[text]), width) + "   " + text + "\n")
	}
}

// some is the first of many names.
func some(names []string) string {
	if n := len(names); n > 3 {
		return strings.Join(names[:3], " ") + fmt.Sprintf(" and %d more", n-3)
	}
	return strings.Join(names, " ")
}

func valueText(v string) string {
	if v == "" {
		return `""`
	}
	return v
}

// member is the name of a process without its group.
func member(name string) string {
	if _, m, ok := strings.Cut(name, ":"); ok {
		return m
	}
	return name
}

// shorten names a file below dir as people there would.
func shorten(path, dir string) string {
	if rest, ok := strings.CutPrefix(path, dir+string(os.PathSeparator)); ok && dir != "" {
		return rest
	}
	return path
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		return strconv.Itoa(n) + " " + what + "es"
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func seconds(s float64) string {
	return strconv.FormatFloat(math.Round(s*1000)/1000, 'f', -1, 64) + " s"
}
