package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
)

// Exit codes of gracectl's own verbs.
const (
	exitChanges = 2  // plan --exit-code: something would be done
	exitTimeout = 12 // the operation goes on
	exitStale   = 13 // the plan is not the present one any more
)

// planOptions are the words of "plan" and "update".
type planOptions struct {
	groups   []string
	file     string
	plan     string
	output   string
	exitCode bool
	yes      bool
	dryRun   bool
	watch    bool
	timeout  time.Duration // 0 = none
}

// parsePlan reads the words of a verb; those that it does not take are an error.
func parsePlan(verb, arg string, takes string) (planOptions, error) {
	var o planOptions
	words := fields(arg)
	for i := 0; i < len(words); i++ {
		word, value, glued := strings.Cut(words[i], "=")
		if !strings.HasPrefix(word, "-") {
			if words[i] != "all" {
				o.groups = append(o.groups, strings.TrimSuffix(words[i], ":*"))
			}
			continue
		}
		if !contains(strings.Fields(takes), word) {
			return o, &usageFault{verb, "unknown option " + word}
		}
		next := func() (string, error) {
			if glued {
				return value, nil
			}
			if i++; i >= len(words) {
				return "", &usageFault{verb, "option " + word + " needs a value"}
			}
			return words[i], nil
		}
		var err error
		switch word {
		case "-f", "--file":
			o.file, err = next()
		case "-o", "--output":
			o.output, err = next()
		case "--plan":
			o.plan, err = next()
		case "--timeout":
			var text string
			if text, err = next(); err == nil {
				if o.timeout, err = parseTimeout(text); err != nil {
					err = &usageFault{verb, err.Error()}
				}
			}
		case "--exit-code":
			o.exitCode = true
		case "-y", "--yes":
			o.yes = true
		case "--dry-run":
			o.dryRun = true
		case "--watch":
			o.watch = true
		}
		if err != nil {
			return o, err
		}
	}
	if o.output != "" && o.output != "json" && !(o.output == "jsonl" && verb == "update") {
		return o, &usageFault{verb, "unknown output format " + o.output}
	}
	return o, nil
}

// parseTimeout reads "30", in seconds, or "2m30s".
func parseTimeout(text string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n > 0 {
		return time.Duration(n * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time: write seconds, or a number with a unit, like 90s or 2m", text)
	}
	return d, nil
}

// usageFault is a wrong use of a verb.
type usageFault struct{ verb, text string }

func (e *usageFault) Error() string { return e.text }

// misused explains a wrong use.
func (s *Session) misused(err error) error {
	var wrong *usageFault
	if !errors.As(err, &wrong) {
		return err
	}
	s.status = exitInvalidArgs
	s.complain("Error: " + wrong.verb + ": " + wrong.text)
	s.complain("  usage: gracectl " + wrong.verb + " " + usageOf(wrong.verb))
	return nil
}

func usageOf(verb string) string {
	for _, c := range append(ownCommands, commands...) {
		if c.name == verb {
			return c.args
		}
	}
	return ""
}

// plan shows what an update would do.
func (s *Session) plan(ctx context.Context, arg string) error {
	o, err := parsePlan("plan", arg, "-f --file -o --output --exit-code --watch")
	if err != nil {
		return s.misused(err)
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	p, err := s.askPlan(ctx, server, o)
	if err != nil || s.status != exitOK {
		return err
	}
	s.showPlan(p, o)
	if o.exitCode && !p.Empty() {
		s.status = exitChanges
	}
	if o.watch {
		return s.watchPlan(ctx, server, o, p)
	}
	return nil
}

// replan is how often a watched plan is made again.
const replan = time.Second

// watchPlan shows the plan again whenever it becomes another one, until Ctrl-C.
func (s *Session) watchPlan(ctx context.Context, server Proxy, o planOptions, shown control.Plan) error {
	ctx, stop := s.Interruptible(ctx)
	defer stop()
	last := ""
	for {
		timer := time.NewTimer(replan)
		select {
		case <-ctx.Done():
			timer.Stop()
			s.caught = true
			return nil
		case <-timer.C:
		}
		p, err := server.Plan(ctx, control.PlanRequest{Groups: o.groups, File: o.file})
		switch {
		case ctx.Err() != nil:
			s.caught = true
			return nil
		case fault(err) == control.CantReread:
			if last != err.Error() {
				last = err.Error()
				s.complain("ERROR: " + last)
			}
		case err != nil:
			return err
		case p.ID != shown.ID || last != "":
			last, shown = "", p
			s.showPlan(p, o)
		}
	}
}

// askPlan asks for a plan. Failures that it can explain leave s.status behind.
func (s *Session) askPlan(ctx context.Context, server Proxy, o planOptions) (control.Plan, error) {
	file := o.file
	if file != "" {
		abs, err := filepath.Abs(file)
		if err != nil {
			return control.Plan{}, err
		}
		file = abs
	}
	p, err := server.Plan(ctx, control.PlanRequest{Groups: o.groups, File: file})
	return p, s.changeFault(ctx, server, err)
}

// changeFault explains what the daemon says to a plan or an update.
func (s *Session) changeFault(ctx context.Context, server Proxy, err error) error {
	switch fault(err) {
	case control.CantReread:
		return s.cantReread(err)
	case control.StalePlan:
		s.status = exitStale
		s.complain("error[E303]: the plan is stale: " + detailOf(err))
		s.complain("  nothing was done; run gracectl plan again")
		return nil
	case control.BadName:
		s.status = exitGeneric
		s.complain("ERROR: no such group: " + detailOf(err))
		s.suggestFrom(ctx, server, detailOf(err))
		return nil
	case control.ShutdownState:
		s.status = exitGeneric
		s.complain("ERROR: the daemon is shutting down")
		return nil
	}
	return err
}

// detailOf returns the detail of a fault.
func detailOf(err error) string {
	var e *control.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

// showPlan prints a plan.
func (s *Session) showPlan(p control.Plan, o planOptions) {
	if o.output == "json" {
		s.outputJSON(p)
		return
	}
	s.write(s.Out, planText(p, workingDir()))
}

// outputJSON prints a value on one line; what a daemon sent can always be encoded.
func (s *Session) outputJSON(v any) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		s.complain("ERROR: " + err.Error())
		s.status = exitGeneric
		return
	}
	s.write(s.Out, b.String())
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

// planText renders a plan for people; paths below dir are shortened.
func planText(p control.Plan, dir string) string {
	var b strings.Builder
	files := ""
	if len(p.Files) > 0 {
		files = shorten(p.Files[0].Path, dir)
		if n := len(p.Files) - 1; n > 0 {
			files += fmt.Sprintf(" + %d included", n)
		}
	}
	fmt.Fprintf(&b, "plan %s   %s\n\n", p.ID, files)
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
		optionTable(&b, g, dir)
	}
	if len(p.Groups) > 0 {
		b.WriteByte('\n')
	}
	if p.Empty() {
		b.WriteString("  nothing to do: what runs is what the files say\n")
		overrideLines(&b, p, dir)
		return b.String()
	}
	t := p.Totals
	fmt.Fprintf(&b, "  %d keep their pid · %d replaced · %d started · %d stopped        nothing has been changed\n", t.Keep, t.Replace, t.Start, t.Stop)
	overrideLines(&b, p, dir)
	if n := len(p.Notes); n > 0 {
		fmt.Fprintf(&b, "  %s in these files\n", count(n, "warning"))
	}
	fmt.Fprintf(&b, "  apply exactly this:  gracectl update --plan %s\n", p.ID)
	return b.String()
}

// overrideLines tells of programs that have another number of processes than the files say.
func overrideLines(b *strings.Builder, p control.Plan, dir string) {
	for _, o := range p.Overrides {
		if o.Count != o.InFile {
			fmt.Fprintf(b, "  %s is scaled to %d; %s:%d says numprocs=%d (gracectl scale %s=file ends that)\n", o.Program, o.Count, shorten(o.File, dir), o.Line, o.InFile, o.Program)
		}
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
	live := 0
	for _, c := range g.Changes {
		if c.Class == "live" || c.Class == "next start" {
			live++
		}
	}
	if live > 0 {
		parts = append(parts, count(live, "setting")+" live")
	}
	switch n := len(g.Replace); {
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
	if len(parts) == 0 {
		return "untouched"
	}
	if n := len(g.Untouched); n > 0 {
		parts = append(parts, fmt.Sprintf("%d untouched", n))
	}
	if len(g.Replace) > 0 && g.Estimate > 0 {
		parts = append(parts, "about "+seconds(g.Estimate)+" besides the stops")
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
		case c.Hidden && c.Variable != "":
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
	return strconv.FormatFloat(s, 'f', -1, 64) + " s"
}
