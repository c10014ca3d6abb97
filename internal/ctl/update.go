package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
)

// ownCommands are the verbs that only gracectl has.
var ownCommands = []command{
	{
		name: "plan", args: "[group ...] [-f FILE] [--exit-code] [--watch] [-o json]",
		brief: "show what update would do, with the place of each change; nothing is changed",
	},
	{
		name: "scale", args: "<program=N|+N|-N|file ...> [--victim highest|oldest|newest] [--lazy] [--write] [--dry-run] [-y] [--timeout SECONDS] [-o json|jsonl]",
		brief: "change how many processes a program has; the others are not touched",
	},
	{
		name: "why", args: "<name> [-o json]",
		brief: "tell what became of a process: its latest events, who wanted what, its last lines",
	},
	{
		name: "ops", args: "[-o json]",
		brief: "list the operations: what was changed, by whom, with what result",
	},
	{
		name: "attach", args: "<operation> [--timeout SECONDS] [-o jsonl]",
		brief: "watch an operation to its end",
	},
	{
		name: "wait", args: "<operation> [--timeout SECONDS]",
		brief: "wait for the end of an operation, without a word",
	},
	{
		name: "cancel", args: "<operation>",
		brief: "keep an operation from beginning with more processes",
	},
}

// minimalUpdate makes what runs what the files say, while as little as possible restarts.
func (s *Session) minimalUpdate(ctx context.Context, arg string) error {
	o, err := parsePlan("update", arg, "-y --yes --plan --dry-run --timeout -o --output")
	if err != nil {
		return s.misused(err)
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	if o.dryRun || s.asks(o) {
		p, err := server.Plan(ctx, control.PlanRequest{Groups: o.groups})
		if fault(err) == control.UnknownMethod {
			return s.updateGroups(ctx, strings.Join(o.groups, " "))
		}
		if err := s.changeFault(ctx, server, err); err != nil || s.status != exitOK {
			return err
		}
		if o.plan != "" && o.plan != p.ID {
			return s.changeFault(ctx, server, control.Fault(control.StalePlan, "the present one is "+p.ID))
		}
		if o.dryRun {
			s.showPlan(p, o)
			return nil
		}
		if p.Totals.Replace+p.Totals.Stop > 0 {
			s.showPlan(p, o)
			answer, err := s.In.ReadLine(ctx, "apply? [y/N] ")
			if err != nil || !strings.EqualFold(strings.TrimSpace(answer), "y") && !strings.EqualFold(strings.TrimSpace(answer), "yes") {
				s.output("nothing was done")
				return nil
			}
			o.plan, o.groups = p.ID, nil // what was seen, and nothing else
		}
	}
	op, err := server.Update(ctx, control.UpdateRequest{Plan: o.plan, Groups: o.groups})
	if fault(err) == control.UnknownMethod { // Supervisor: its way, group by group
		return s.updateGroups(ctx, strings.Join(o.groups, " "))
	}
	if err := s.changeFault(ctx, server, err); err != nil || s.status != exitOK {
		return err
	}
	if op.State == control.OperationNothing {
		if o.output != "" {
			s.outputJSON(op)
		} else {
			s.output("nothing to do: what runs is what the files say")
		}
		return nil
	}
	return s.watch(ctx, server, op, o)
}

// asks reports whether the user is asked before something is stopped: on a terminal, unless told not to.
func (s *Session) asks(o planOptions) bool {
	return s.Terminal && !o.yes && o.plan == "" && o.output == ""
}

// watch shows an operation to its end. Ctrl-C ends the watching only.
func (s *Session) watch(ctx context.Context, server Proxy, op control.Operation, o planOptions) error {
	watching, stop := s.Interruptible(ctx)
	defer stop()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		watching, cancel = context.WithTimeout(watching, o.timeout)
		defer cancel()
	}
	v := &progressView{s: s, format: o.output, id: op.ID}
	v.begin(op)
	for seen := 0; ; {
		v.show(op)
		seen = op.Count
		if op.State.Over() {
			break
		}
		next, err := server.Operation(watching, op.ID, seen)
		switch {
		case watching.Err() != nil:
			v.clear()
			s.caught = true
			if errors.Is(watching.Err(), context.DeadlineExceeded) {
				s.status = exitTimeout
			}
			s.complain("still running as " + op.ID + ": gracectl attach " + op.ID)
			return nil
		case err != nil:
			v.clear()
			return err
		}
		op = next
	}
	v.end(op)
	switch op.State {
	case control.OperationDone, control.OperationNothing:
	case control.OperationStale:
		s.status = exitStale
	default:
		s.status = exitGeneric
	}
	return nil
}

// progressView prints how an operation goes: a line for each process that is done, and on a terminal what is under way below them.
type progressView struct {
	s       *Session
	format  string // "", json (only the end) or jsonl
	id      string
	quiet   bool
	open    []control.ProgressLine // begun and not over
	drawn   int                    // lines of the moving part
	waiting string
	width   int
}

// jsonlLine is an event with the operation it belongs to.
type jsonlLine struct {
	ID string `json:"id"`
	Op string `json:"op"`
	control.ProgressLine
}

func (v *progressView) begin(op control.Operation) {
	if v.format == "" && !v.quiet {
		v.s.output(op.ID + "  " + op.Kind + planWord(op) + "        Ctrl-C stops watching, not the work")
	}
}

func planWord(op control.Operation) string {
	if op.Plan == "" {
		return ""
	}
	return " by plan " + op.Plan
}

// show prints the news of an operation.
func (v *progressView) show(op control.Operation) {
	v.clear()
	if op.State == control.OperationWaiting && op.Behind != v.waiting && v.format == "" && !v.quiet {
		v.waiting = op.Behind
		v.s.output("  waits for " + op.Behind)
	}
	first := op.Count - len(op.Events)
	for i, e := range op.Events {
		if v.format == "jsonl" {
			v.s.outputJSON(jsonlLine{fmt.Sprintf("%s:%d", op.ID, first+i+1), op.ID, e})
			continue
		}
		if e.Type == "begin" {
			v.open = append(v.open, e)
			continue
		}
		began := e.Time
		for j, b := range v.open {
			if b.Process == e.Process {
				began = b.Time
				v.open = append(v.open[:j:j], v.open[j+1:]...)
				break
			}
		}
		if v.format == "" && !v.quiet {
			v.s.output(v.line(e, e.Time.Sub(began)))
		}
	}
	if v.s.Terminal && v.format == "" && !v.quiet && !op.State.Over() {
		v.draw(op)
	}
}

// line tells of one process that is done.
func (v *progressView) line(e control.ProgressLine, took time.Duration) string {
	sign, text := "✓", ""
	switch {
	case e.Skipped:
		sign, text = "·", e.Error
	case e.Error != "":
		sign, text = "✗", failureWord[e.Action]+": "+e.Error
	default:
		text = successText(e)
	}
	v.width = max(v.width, 24, utf8.RuneCountInString(e.Process))
	line := "  " + sign + " " + pad(e.Process, v.width) + "  " + text
	if took > 0 && !e.Skipped {
		line = pad(line, 78) + fmt.Sprintf("  %.1f s", took.Seconds())
	}
	return line
}

var failureWord = map[string]string{
	"start": "not started", "add": "not added", "stop": "not stopped", "replace": "not replaced", "rename": "not renamed", "live": "not changed",
}

func successText(e control.ProgressLine) string {
	switch e.Action {
	case "start":
		return fmt.Sprintf("started, pid %d", e.PID)
	case "add":
		return "added, not started"
	case "stop":
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
		return fmt.Sprintf("replaced, pid %d -> %d", e.OldPID, e.PID)
	case "rename":
		return fmt.Sprintf("renamed from %s, still pid %d", e.From, e.PID)
	}
	if e.PID == 0 {
		return "new settings for the next start"
	}
	return fmt.Sprintf("new settings applied live, still pid %d", e.PID)
}

// draw shows a bar and what is under way, to be drawn over later.
func (v *progressView) draw(op control.Operation) {
	const wide = 20
	var b strings.Builder
	if op.Steps > 0 {
		full := wide * op.Done / op.Steps
		fmt.Fprintf(&b, "  [%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat("-", wide-full), op.Done, op.Steps)
		v.drawn = 1
	}
	for i, e := range v.open {
		if i == 5 {
			fmt.Fprintf(&b, "\n    … and %d more", len(v.open)-5)
			v.drawn++
			break
		}
		fmt.Fprintf(&b, "\n    %s  %s …", e.Process, map[string]string{"start": "starting", "stop": "stopping", "replace": "being replaced"}[e.Action])
		v.drawn++
	}
	v.s.write(v.s.Out, b.String())
}

// clear takes the moving part away.
func (v *progressView) clear() {
	if v.drawn == 0 {
		return
	}
	v.s.write(v.s.Out, "\r\x1b[K"+strings.Repeat("\x1b[A\x1b[K", v.drawn-1))
	v.drawn = 0
}

// end tells how it all ended.
func (v *progressView) end(op control.Operation) {
	switch {
	case v.format == "json":
		v.s.outputJSON(op)
		return
	case v.format == "jsonl":
		v.s.outputJSON(struct {
			Type string `json:"type"`
			control.Operation
		}{"op.end", op})
		return
	}
	took := 0.0
	if op.Ended != nil {
		took = op.Ended.Sub(op.Began).Seconds()
	}
	line := fmt.Sprintf("%s  %s in %.1f s", op.ID, op.State, took)
	if op.Text != "" {
		line += ": " + op.Text
	}
	v.s.output(line)
	if op.State == control.OperationFailed || op.State == control.OperationCancelled {
		v.s.complain("  what is left: gracectl plan")
	}
}

// listOperations prints the operations, the latest first.
func (s *Session) listOperations(ctx context.Context, arg string) error {
	o, err := parsePlan("ops", arg, "-o --output")
	if err == nil && len(o.groups) > 0 {
		err = &usageFault{"ops", "takes no names"}
	}
	if err != nil {
		return s.misused(err)
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	list, err := server.Operations(ctx)
	if err != nil {
		return s.notOurs(err)
	}
	if o.output == "json" {
		s.outputJSON(struct {
			Schema     string              `json:"schema"`
			Operations []control.Operation `json:"operations"`
		}{"graced.operations/v1", list})
		return nil
	}
	if len(list) == 0 {
		s.output("no operations yet")
		return nil
	}
	rows := [][]string{{"ID", "BEGAN", "WHO", "KIND", "STATE", "DONE", ""}}
	for i := len(list) - 1; i >= 0; i-- {
		op := list[i]
		rows = append(rows, []string{
			op.ID, op.Began.Local().Format("2006-01-02 15:04:05"), op.Who, op.Kind, string(op.State), fmt.Sprintf("%d of %d", op.Done, op.Steps), op.Text,
		})
	}
	s.write(s.Out, tabular(rows))
	return nil
}

// tabular aligns rows in columns two blanks apart.
func tabular(rows [][]string) string {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			line.WriteString(pad(cell, widths[i]) + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// notOurs explains that a daemon has no operations.
func (s *Session) notOurs(err error) error {
	if fault(err) != control.UnknownMethod {
		return err
	}
	s.status = exitGeneric
	s.complain("ERROR: the daemon at " + s.ServerURL + " is no graced: it has no plans and operations")
	return nil
}

// attach watches an operation; quiet is what "wait" does.
func (s *Session) attach(verb string) func(ctx context.Context, arg string) error {
	return func(ctx context.Context, arg string) error {
		o, err := parsePlan(verb, arg, "--timeout -o --output")
		if err == nil && len(o.groups) != 1 {
			err = &usageFault{verb, "name one operation: gracectl ops lists them"}
		}
		if err != nil {
			return s.misused(err)
		}
		server, err := s.server()
		if err != nil {
			return err
		}
		op, err := server.Operation(ctx, o.groups[0], -1)
		if fault(err) == control.BadName {
			return s.noOperation(o.groups[0])
		}
		if err != nil {
			return s.notOurs(err)
		}
		if verb == "wait" {
			return s.await(ctx, server, op, o)
		}
		return s.watch(ctx, server, op, o)
	}
}

func (s *Session) noOperation(id string) error {
	s.status = exitGeneric
	s.complain("ERROR: no operation " + id + " is under way or remembered: gracectl ops lists them")
	return nil
}

// await is watch without the progress.
func (s *Session) await(ctx context.Context, server Proxy, op control.Operation, o planOptions) error {
	out := s.Out
	s.Out = io.Discard
	err := s.watch(ctx, server, op, planOptions{timeout: o.timeout})
	s.Out = out
	return err
}

// cancelOperation keeps an operation from going on.
func (s *Session) cancelOperation(ctx context.Context, arg string) error {
	o, err := parsePlan("cancel", arg, "")
	if err == nil && len(o.groups) != 1 {
		err = &usageFault{"cancel", "name one operation: gracectl ops lists them"}
	}
	if err != nil {
		return s.misused(err)
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	switch err := server.CancelOperation(ctx, o.groups[0]); {
	case fault(err) == control.BadName:
		s.status = exitGeneric
		s.complain("ERROR: " + o.groups[0] + " is over, or there was none: gracectl ops lists them")
		return nil
	case err != nil:
		return s.notOurs(err)
	}
	s.output(o.groups[0] + ": begins with nothing more; what has begun goes on to its end")
	return nil
}
