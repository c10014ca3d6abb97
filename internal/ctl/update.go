package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// ownCommands are the verbs that only gracectl has.
var ownCommands = []command{
	{
		name: "plan", args: "[group ...]",
		brief: "show what update would do, with the place of each change; nothing is changed",
	},
	{
		name: "scale", args: "<program=N|+N|-N|file ...>",
		brief: "change how many processes a program has; the others are not touched",
	},
	{
		name: "refresh", args: "<name ...|all>",
		brief: "have processes read their own configuration again: by reload_signal or reload_command",
	},
	{
		name: "why", args: "<name>",
		brief: "tell what became of a process: its latest events, who wanted what, its last lines",
	},
	{
		name: "doctor", args: "",
		brief: "tell what kernel and rights offer the daemon, and what it does without",
	},
	{
		name: "upgrade", args: "[program]",
		brief: "replace daemon and keeper by those of their file as it is now, or of another program; no process is restarted",
	},
	{
		name: "hold", args: "<name ...>",
		brief: "leave processes as they are: no start by themselves, no change by an update",
	},
	{
		name: "disable", args: "<name ...>",
		brief: "processes do not start by themselves any more, also after a restart of the daemon",
	},
	{
		name: "enable", args: "<name ...>",
		brief: "take hold and disable back",
	},
	{
		name: "history", args: "[rN [rM]]",
		brief: "list the configurations that were in force, or how two of them differ",
	},
	{
		name: "ops", args: "",
		brief: "list what was changed since the daemon began, by whom, with what result",
	},
	{
		name: "attach", args: "<operation>",
		brief: "watch an operation to its end",
	},
	{
		name: "wait", args: "<operation>|--ready <name ...>",
		brief: "wait for the end of an operation, without a word, or until processes are ready",
	},
	{
		name: "cancel", args: "<operation>",
		brief: "keep an operation from beginning with more processes",
	},
	{
		name: "pause", args: "<operation>",
		brief: "keep an operation from going on, until resume",
	},
	{
		name: "resume", args: "<operation>",
		brief: "let an operation go on that is paused",
	},
	{
		name: "undo", args: "[operation]",
		brief: "go back to the last good configuration before an operation, or before the one in force",
	},
	{
		name: "rollback", args: "<rN>",
		brief: "make what runs what a generation of history was; the files are not touched",
	},
	{
		name: "completion", args: "<bash|zsh|fish>",
		brief: "print the script that makes a shell complete verbs, options and names",
	},
}

// answerUpdate makes what runs what the files say, while as little as possible restarts. Of a daemon that is no graced it asks what Supervisor's
// client does.
func (s *Session) answerUpdate(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	req := control.UpdateRequest{Plan: c.plan, Groups: c.targets(), Roll: c.roll}
	if c.plan != "" && c.roll != nil {
		return nil, c.misused("a plan says itself how processes are replaced: give " + s.Program + " plan the options, and update its identifier")
	}
	asks := s.Terminal && !c.yes && c.plan == "" && c.Form == format.Text
	if c.dryRun || asks {
		p, err := server.Plan(ctx, control.PlanRequest{Groups: req.Groups, Roll: c.roll})
		switch {
		case fault(err) == control.UnknownMethod && !c.dryRun && c.roll == nil:
			return s.answerUpdateGroups(ctx, server, c)
		case err != nil:
			return nil, s.changeProblem(ctx, server, err)
		case c.plan != "" && c.plan != p.ID:
			return nil, s.changeProblem(ctx, server, control.Fault(control.StalePlan, "the present one is "+p.ID))
		case c.dryRun:
			return newPlanAnswer(p, c), nil
		}
		if p.Totals.Replace+p.Totals.Stop > 0 {
			s.write(s.Out, planText(p, workingDir(), false))
			if !s.agrees(ctx, "apply? [y/N] ") {
				return &doneAnswer{Verb: c.verb, Done: "declined", text: "nothing was done"}, nil
			}
			req = control.UpdateRequest{Plan: p.ID} // what was seen, and nothing else
		}
	}
	op, err := server.Update(ctx, req)
	switch {
	case fault(err) == control.UnknownMethod && req.Plan == "" && c.roll == nil:
		return s.answerUpdateGroups(ctx, server, c)
	case err != nil:
		return nil, s.changeProblem(ctx, server, err)
	}
	return s.watch(ctx, server, op, c)
}

// agrees asks a question that is answered with y or yes.
func (s *Session) agrees(ctx context.Context, question string) bool {
	answer, err := s.In.ReadLine(ctx, question)
	answer = strings.ToLower(strings.TrimSpace(answer))
	return err == nil && (answer == "y" || answer == "yes")
}

// operationAnswer is an operation that was watched, or that is listed.
type operationAnswer struct {
	control.Operation
	Passed []passedOver `json:"passed_over,omitempty"` // by undo

	left   string // why the watching ended before the operation; "" = it has not
	unseen int    // with leftUnseen: the exit status
}

// progressRecord is one thing that happened in an operation.
type progressRecord struct {
	Op string `json:"op"`
	control.ProgressLine

	line string
}

func (r progressRecord) Schema() string { return "graced.progress/v1" }
func (r progressRecord) Line() string   { return r.line }

// Name leaves out failures and what has only begun.
func (r progressRecord) Name() string {
	if r.Type != "end" || r.Error != "" {
		return ""
	}
	return r.Process
}

func (a *operationAnswer) Schema() string { return control.OperationSchema }

// Name is what attach, wait and cancel take.
func (a *operationAnswer) Name() string { return a.ID }
func (a *operationAnswer) Line() string { return "" }

func (a *operationAnswer) Records() []format.Record {
	v := progress{kind: a.Kind}
	var out []format.Record
	for _, e := range a.Events {
		out = append(out, v.record(a.ID, e))
	}
	return append(out, a.ending())
}

// operationEnd is how the watching of an operation ended.
type operationEnd struct {
	Op      string                 `json:"op"`
	State   control.OperationState `json:"state"`
	Text    string                 `json:"text,omitempty"`
	Seconds float64                `json:"seconds,omitempty"`
	Exit    int                    `json:"exit"` // the exit status of the program
}

func (r operationEnd) Schema() string { return "graced.operation_end/v1" }
func (r operationEnd) Name() string   { return "" }
func (r operationEnd) Line() string   { return "" }

func (a *operationAnswer) ending() operationEnd {
	end := operationEnd{Op: a.ID, State: a.State, Text: a.Operation.Text, Exit: a.exit(nil)}
	if a.Ended != nil {
		end.Seconds = a.Ended.Sub(a.Began).Seconds()
	}
	return end
}

func (a *operationAnswer) Text(format.Style) string {
	switch {
	case a.left == leftUnseen:
		return ""
	case a.left != "":
		return stillRunning(a.ID)
	case a.State == control.OperationNothing && acts(a.Kind):
		return strings.TrimPrefix(a.ID+"  nothing to do\n", "  ")
	case a.State == control.OperationNothing && a.Kind == control.KindRoll:
		return "nothing to do: none of them runs\n"
	case a.State == control.OperationNothing && a.Kind == control.KindRollback:
		return fmt.Sprintf("nothing to do: what runs is what r%d was\n", a.To)
	case a.State == control.OperationPaused:
		return pausedText(a.Operation)
	case a.State == control.OperationNothing:
		return "nothing to do: what runs is what the files say\n"
	}
	text := fmt.Sprintf("%s  %s", a.ID, a.State.Words())
	if a.Ended != nil {
		text += fmt.Sprintf(" in %.1f s", a.Ended.Sub(a.Began).Seconds())
	}
	if a.Operation.Text != "" {
		text += ": " + a.Operation.Text
	}
	switch left := a.State == control.OperationFailed || a.State == control.OperationCancelled || a.State == control.OperationInterrupted; {
	case a.Kind == control.KindRollback && a.State == control.OperationDone:
		text += fmt.Sprintf("\n  what runs is r%d, the files may say otherwise: gracectl plan", a.To)
	case a.State == control.OperationRolledBack:
		text += "\n  what the files say: gracectl plan"
		if a.Failed != "" {
			text += "        why: gracectl why " + a.Failed
		}
	case left && a.Kind == control.KindRollback:
		text += fmt.Sprintf("\n  what is left: gracectl rollback r%d --dry-run", a.To)
	case left && !acts(a.Kind) && a.Kind != control.KindRoll:
		text += "\n  what is left: gracectl plan"
	}
	return text + "\n"
}

// pausedText tells of an operation that waits for somebody's decision.
func pausedText(op control.Operation) string {
	text := fmt.Sprintf("%s  PAUSED after %d of %d", op.ID, op.Done, op.Steps)
	if op.Failed != "" {
		text += ": " + op.Failed + " failed"
	}
	return text + fmt.Sprintf("\n  resume: gracectl resume %s   stop here: gracectl cancel %[1]s\n", op.ID)
}

func stillRunning(op string) string {
	return "still running as " + op + ": gracectl attach " + op + "\n"
}

// acts reports whether an operation is a start, stop or restart.
func acts(kind string) bool {
	return kind == control.ActStart || kind == control.ActStop || kind == control.ActRestart
}

func (a *operationAnswer) exit(*call) int {
	switch {
	case a.left == leftTimeout:
		return exitGivenUp
	case a.left == leftUnseen:
		return a.unseen
	case a.left != "":
		return 0 // the operation goes on
	}
	switch a.State {
	case control.OperationDone, control.OperationNothing:
		return 0
	case control.OperationRolledBack, control.OperationPaused:
		return exitGate
	case control.OperationStale:
		return exitStale
	}
	return exitFailed
}

// begun reports whether it has come to its turn: only then it is known what it does.
func (a *operationAnswer) begun() bool { return a.Plan != "" || a.State == control.OperationNothing }

func (a *operationAnswer) lost() string { return a.NotKept }

// watch shows an operation to its end. Ctrl-C, or the end of the time given, ends the watching only.
func (s *Session) watch(ctx context.Context, server Proxy, op control.Operation, c *call) (*operationAnswer, error) {
	op.Schema = ""
	a := &operationAnswer{Operation: op}
	a.Events = []control.ProgressLine{}
	if op.State == control.OperationNothing && len(op.Events) == 0 {
		return a, nil
	}
	v := progress{s: s, kind: op.Kind, moving: s.Terminal && c.Form == format.Text && c.verb != "wait"}
	quiet := c.verb == "wait"
	if c.Form == format.Text && !quiet {
		s.output(op.ID + "  " + kindWords(op) + "        Ctrl-C stops watching, not the work")
	}
	waiting, paused := [2]string{}, false
	last, left, err := s.untilOver(ctx, server, op, func(op control.Operation) {
		v.clear()
		if now := op.State == control.OperationPaused; now != paused {
			if paused = now; now && op.Failed == "" && c.Form == format.Text && !quiet {
				s.output("  paused   resume: gracectl resume " + op.ID + "   stop here: gracectl cancel " + op.ID)
			} else if !now && !op.State.Over() && c.Form == format.Text && !quiet {
				s.output("  goes on")
			}
		}
		if behind := [2]string{op.Behind, string(op.BehindState)}; behind != waiting {
			if waiting = behind; op.Behind != "" && c.Form == format.Text && !quiet {
				s.output("  waits for " + s.described(ctx, server, op))
			}
		}
		for _, e := range op.Events {
			a.Events = append(a.Events, e)
			if r := v.record(op.ID, e); !quiet {
				c.Show(r)
			}
		}
		if !op.State.Over() {
			v.draw(op)
		}
	})
	v.clear()
	last.Events = a.Events
	a.Operation, a.left = last, left
	if err == nil {
		return a, nil
	}
	p := s.outOfSight(err, op.ID, c)
	a.left, a.unseen = leftUnseen, cmp.Or(p.Exit, exitFailed)
	return a, p
}

// Why the watching of an operation ended before it.
const (
	leftInterrupted = "interrupted"
	leftTimeout     = "timeout"
	leftUnseen      = "unseen" // the daemon tells no more of it
)

// untilOver hands an operation to show, as it is and whenever there is news of it, each time with the news alone, until it is over, or has paused because
// a process has failed. Ctrl-C, or the end of the time given, ends that earlier: left says so.
func (s *Session) untilOver(ctx context.Context, server Proxy, op control.Operation, show func(control.Operation)) (last control.Operation, left string, err error) {
	for seen := 0; ; {
		op.Schema = ""
		seen += len(op.Events)
		show(op)
		if op.State.Over() || op.State == control.OperationPaused && op.Failed != "" {
			return op, "", nil
		}
		next, err := operationNow(ctx, server, op.ID, seen)
		if gone := ctx.Err(); gone != nil { // whatever the broken connection said
			if errors.Is(gone, context.DeadlineExceeded) {
				return op, leftTimeout, nil
			}
			s.caught = true
			return op, leftInterrupted, nil
		}
		if err != nil {
			return op, "", err
		}
		op = next
	}
}

// operationNow asks for an operation with its events from one on, and asks again where the daemon ends under the question: another one may follow it.
func operationNow(ctx context.Context, server Proxy, id string, after int) (control.Operation, error) {
	for misses := 0; ; misses++ {
		op, err := server.Operation(ctx, id, after)
		if !hungUp(err) || misses == missesMost {
			return op, err
		}
		select {
		case <-time.After(relook):
		case <-ctx.Done():
			return op, ctx.Err()
		}
	}
}

// kindWords is what an operation is, in words.
func kindWords(op control.Operation) string {
	text := op.Kind
	switch op.Kind {
	case control.KindRoll:
		if op.Steps == 0 { // it waits
			return "rolling restart"
		}
		return "rolling restart of " + count(op.Steps, "process")
	case control.KindRollback:
		text = fmt.Sprintf("rollback to r%d", op.To)
	}
	if op.Plan == "" {
		return text
	}
	return text + " by plan " + op.Plan
}

// progress makes lines of what happens in an operation, and on a terminal shows below them what is under way.
type progress struct {
	s      *Session
	kind   string // of the operation
	moving bool
	open   []control.ProgressLine // begun and not over
	drawn  int                    // lines of the moving part
	width  int
}

// record is an event as a record; one that only begins something has no line.
func (v *progress) record(op string, e control.ProgressLine) progressRecord {
	r := progressRecord{Op: op, ProgressLine: e}
	if e.Type == "begin" {
		v.open = append(v.open, e)
		return r
	}
	if e.Type == "news" {
		for i, b := range v.open {
			if b.Process == e.Process {
				v.open[i].Text, v.open[i].PID = e.Text, e.PID
			}
		}
		return r
	}
	began := e.Time
	for i, b := range v.open {
		if b.Process == e.Process {
			began = b.Time
			v.open = append(v.open[:i:i], v.open[i+1:]...)
			break
		}
	}
	r.line = v.lineOf(e, e.Time.Sub(began))
	return r
}

// lineOf tells of one process that is done.
func (v *progress) lineOf(e control.ProgressLine, took time.Duration) string {
	sign, text := "✓", ""
	switch {
	case e.Undo && e.Error == "":
		sign, text = "↩", backText(e)
	case e.Undo:
		sign, text = "✗", "does not go back: "+e.Error
	case e.Skipped:
		sign, text = "·", e.Error
	case e.Error != "":
		sign, text = "✗", failureWord[e.Action]+": "+e.Error
	default:
		text = v.successText(e)
	}
	v.width = max(v.width, 24, utf8.RuneCountInString(e.Process))
	line := "  " + sign + " " + pad(e.Process, v.width) + "  " + text
	if took > 0 && !e.Skipped {
		line = pad(line, 78) + fmt.Sprintf("  %.1f s", took.Seconds())
	}
	if len(e.Output) > 0 {
		line += fmt.Sprintf("\n      the last lines of its %s:", e.Channel)
		for _, words := range e.Output {
			line += "\n        " + words
		}
	}
	return line
}

// backText tells of a process that got back what it had.
func backText(e control.ProgressLine) string {
	switch {
	case e.PID == 0:
		return "back, it does not run"
	case e.Text != "":
		return fmt.Sprintf("back, pid %d, %s", e.PID, e.Text)
	}
	return fmt.Sprintf("back, pid %d", e.PID)
}

var failureWord = map[string]string{
	"start": "not started", "add": "not added", "stop": "not stopped", "replace": "not replaced", "rename": "not renamed", "live": "not changed",
}

func (v *progress) successText(e control.ProgressLine) string {
	switch e.Action {
	case "start":
		return fmt.Sprintf("started, pid %d", e.PID) + behindComma(e.Text)
	case "add":
		return "added, not started"
	case "stop":
		if acts(v.kind) {
			return "stopped"
		}
		if e.OldPID == 0 {
			return "removed"
		}
		return "stopped and removed"
	case "leave":
		return fmt.Sprintf("goes when it ends, still pid %d", e.PID)
	case "replace":
		if e.PID == 0 {
			return "stopped, with new settings"
		}
		return fmt.Sprintf("replaced, pid %d -> %d", e.OldPID, e.PID) + behindComma(e.Text)
	case "rename":
		return fmt.Sprintf("renamed from %s, still pid %d", e.From, e.PID)
	}
	if e.PID == 0 {
		return "new settings for the next start"
	}
	return fmt.Sprintf("new settings taken over, still pid %d", e.PID)
}

func behindComma(text string) string {
	if text == "" {
		return ""
	}
	return ", " + text
}

// draw shows a bar and what is under way, to be drawn over later.
func (v *progress) draw(op control.Operation) {
	if !v.moving {
		return
	}
	const wide, most = 20, 5
	var b strings.Builder
	full := wide * op.Done / max(op.Steps, 1)
	fmt.Fprintf(&b, "  [%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat("-", wide-full), op.Done, op.Steps)
	v.drawn = 1
	for i, e := range v.open {
		v.drawn++
		if i == most {
			fmt.Fprintf(&b, "\n    … and %d more", len(v.open)-most)
			break
		}
		what := map[string]string{"start": "starting", "stop": "stopping", "replace": "being replaced"}[e.Action]
		switch {
		case e.Text != "":
			what = fmt.Sprintf("pid %d %s", e.PID, e.Text)
		case e.Undo:
			what = "going back"
		}
		fmt.Fprintf(&b, "\n    %s  %s …", e.Process, what)
	}
	v.s.write(v.s.Out, b.String())
}

// clear takes the moving part away.
func (v *progress) clear() {
	if v.drawn > 0 {
		v.s.write(v.s.Out, "\r\x1b[K"+strings.Repeat("\x1b[A\x1b[K", v.drawn-1))
	}
	v.drawn = 0
}

// operationsAnswer answers ops.
type operationsAnswer struct {
	Operations []*operationAnswer `json:"operations"`
}

func (a *operationsAnswer) Schema() string           { return control.OperationsSchema }
func (a *operationsAnswer) Records() []format.Record { return records(a.Operations) }

func (a *operationsAnswer) Text(style format.Style) string {
	if len(a.Operations) == 0 {
		return "no operations yet\n"
	}
	var rows [][]format.Cell
	paused := ""
	for i := len(a.Operations) - 1; i >= 0; i-- {
		op := a.Operations[i]
		rows = append(rows, cells(op.ID, op.Began.Local().Format(time.DateTime), op.Who, op.Kind, stateWord(op.State), fmt.Sprintf("%d of %d", op.Done, op.Steps), op.Operation.Text))
		if op.Behind != "" {
			row := rows[len(rows)-1]
			row[len(row)-1].Text = "waits for " + behindText(op.Operation)
		}
		if op.State == control.OperationPaused {
			if row := rows[len(rows)-1]; op.Failed != "" {
				row[len(row)-1].Text = op.Failed + " failed"
			}
			paused += strings.SplitAfterN(pausedText(op.Operation), "\n", 2)[1]
		}
	}
	return format.Table(style, []string{"ID", "BEGAN", "WHO", "KIND", "STATE", "DONE", ""}, rows) + paused
}

// stateWord is the state of an operation in a table: what waits for people is not to be overlooked.
func stateWord(state control.OperationState) string {
	if state == control.OperationPaused {
		return "PAUSED"
	}
	return state.Words()
}

// cells is a row of a table without colours.
func cells(texts ...string) []format.Cell {
	row := make([]format.Cell, len(texts))
	for i, text := range texts {
		row[i].Text = text
	}
	return row
}

// answerOperations lists the operations, for people the latest first: those of this daemon, what the end of the last one interrupted, or all.
func (s *Session) answerOperations(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	list, err := server.Operations(ctx)
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	a := &operationsAnswer{Operations: []*operationAnswer{}}
	for _, op := range list {
		if op.Earlier && !c.all {
			continue
		}
		op.Schema = ""
		a.Operations = append(a.Operations, &operationAnswer{Operation: op})
	}
	return a, nil
}

// operationNamed is the word of a verb that takes one operation.
func (c *call) operationNamed() (string, error) {
	if len(c.words) != 1 {
		return "", c.misused("takes one operation: gracectl ops lists them")
	}
	return c.words[0], nil
}

func noOperation(id string) error {
	return &format.Problem{Code: "E314", Title: "no such operation", Detail: "no operation " + quote(id) + " is under way or remembered", Hint: "gracectl ops lists them"}
}

// answerAttach watches an operation.
func (s *Session) answerAttach(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	a, err := s.attach(ctx, server, c)
	if a == nil {
		return nil, err
	}
	return a, err
}

// answerWait watches an operation in silence, or waits until processes are ready.
func (s *Session) answerWait(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if c.ready {
		return s.waitReady(ctx, server, c)
	}
	a, err := s.attach(ctx, server, c)
	if a == nil {
		return nil, err
	}
	return silentAnswer{a}, err
}

// attach watches the operation that the word names. There is no answer when that is none.
func (s *Session) attach(ctx context.Context, server Proxy, c *call) (*operationAnswer, error) {
	id, err := c.operationNamed()
	if err != nil {
		return nil, err
	}
	op, err := operationNow(ctx, server, id, -1)
	switch {
	case fault(err) == control.BadName:
		return nil, noOperation(id)
	case err != nil:
		return nil, s.changeProblem(ctx, server, err)
	}
	return s.watch(ctx, server, op, c)
}

// silentAnswer is the end of an operation without a word for people.
type silentAnswer struct{ *operationAnswer }

func (a silentAnswer) Text(style format.Style) string {
	if a.left != "" {
		return a.operationAnswer.Text(style)
	}
	return ""
}

// Records is none: for people nothing is told, and the document has them.
func (a silentAnswer) Records() []format.Record { return nil }

// answerCancel keeps an operation from going on.
func (s *Session) answerCancel(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	id, err := c.operationNamed()
	if err != nil {
		return nil, err
	}
	switch err := server.CancelOperation(ctx, id); {
	case fault(err) == control.BadName:
		p := &format.Problem{Code: "E314", Title: "no such operation", Detail: "operation " + quote(id) + " is over, or there was none", Hint: "gracectl ops lists them"}
		return nil, p
	case err != nil:
		return nil, s.changeProblem(ctx, server, err)
	}
	return &doneAnswer{Verb: c.verb, Done: "cancelled", text: id + ": begins with nothing more; what has begun goes on to its end"}, nil
}
