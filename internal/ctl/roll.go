package ctl

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
)

// setRoll takes an option that says how processes are to be replaced.
func (c *call) setRoll(o option) error {
	if c.roll == nil {
		c.roll = &control.RollRequest{}
	}
	switch o.name {
	case "--max-unavailable":
		if _, ok := process.ParseShare(o.arg); !ok {
			return c.misused("invalid value for --max-unavailable " + quote(o.arg) + ": it takes a number of processes, or a share such as 25%")
		}
		c.roll.MaxUnavailable = strings.TrimSpace(o.arg)
	case "--canary":
		n, err := strconv.Atoi(o.arg)
		if err != nil || n < 0 {
			return c.misused("invalid value for --canary " + quote(o.arg) + ": it takes a number of processes")
		}
		c.roll.Canary = &n
	case "--steady":
		d, ok := parseTimeout(o.arg)
		if zero := strings.Trim(o.arg, "0s") == "" && o.arg != "" && o.arg != "s"; !ok && !zero {
			return c.misused("invalid value for --steady " + quote(o.arg) + ": it takes seconds, or a duration such as 1m30s")
		}
		s := d.Seconds()
		c.roll.Steady = &s
	case "--on-failure":
		switch o.arg {
		case process.RollBack.String(), process.RollPause.String(), process.RollStop.String():
			c.roll.OnFailure = o.arg
		default:
			return c.misused("invalid value for --on-failure " + quote(o.arg) + ": it takes rollback, pause or stop")
		}
	}
	return nil
}

// paceText says how many of n processes are replaced at a time.
func paceText(s *control.PlanStrategy, n int) string {
	switch {
	case s == nil || s.MaxUnavailable+s.Surge <= 1:
		return "one at a time"
	case s.MaxUnavailable+s.Surge >= n && s.Canary == 0:
		return "all at once"
	default:
		return strconv.Itoa(min(s.MaxUnavailable+s.Surge, n)) + " at a time"
	}
}

// strategyLine tells how the processes of a group are replaced, where that is not plainly one after the other.
func strategyLine(g control.PlanGroup) string {
	s := g.Strategy
	if s == nil || s.MaxUnavailable <= 1 && s.Surge == 0 && s.Canary == 0 && s.Steady == 0 && s.OnFailure == process.RollBack.String() && s.Ready == "" {
		return ""
	}
	n := len(g.Replace)
	parts := []string{paceText(s, n)}
	if n <= 1 {
		parts = nil
	}
	if s.Surge > 0 {
		parts = append(parts, surgeText(g))
	}
	if s.Canary > 0 && s.Canary < n {
		parts = append(parts, strconv.Itoa(s.Canary)+" first")
	}
	if s.Ready != "" {
		parts = append(parts, "ready by "+s.Ready)
	}
	if s.Steady > 0 {
		parts = append(parts, "steady "+process.Span(time.Duration(s.Steady*float64(time.Second))))
	}
	text := strings.Join(parts, ", ")
	if text != "" {
		text += "; "
	}
	return "      " + text + "on failure " + map[string]string{"rollback": "all go back", "pause": "it pauses", "stop": "the rest is left"}[s.OnFailure] + "\n"
}

// surgeText tells which processes are there meanwhile.
func surgeText(g control.PlanGroup) string {
	names := slices.Clone(g.Strategy.Extra)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, g.Name+":")
	}
	if len(names) > 3 {
		names = append(names[:2], "... "+names[len(names)-1])
	}
	return fmt.Sprintf("surge %d: %s meanwhile", g.Strategy.Surge, strings.Join(names, " "))
}

// rollingRestart replaces processes one after the other.
func (s *Session) rollingRestart(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if c.parallel > 0 {
		return nil, c.misused("--parallel does not go with --rolling: --max-unavailable says how many at a time")
	}
	if c.now {
		return nil, c.misused("--now does not go with --rolling, which stops each process gently and waits for the next to be ready: without --rolling, --now kills all that are named at once")
	}
	if c.roll != nil && c.roll.OnFailure == process.RollBack.String() {
		return nil, c.misused("--on-failure rollback: a restart brings nothing new, so there is nothing to go back to; pause or stop")
	}
	units, err := s.chosen(ctx, server, c, c.words)
	if err != nil {
		return nil, err
	}
	names := namesOf(units)
	if len(names) == 0 { // a pattern or a state that nobody has
		return &operationAnswer{Operation: control.Operation{Kind: control.KindRoll, State: control.OperationNothing, Events: []control.ProgressLine{}}}, nil
	}
	if c.dryRun {
		p, err := server.Plan(ctx, control.PlanRequest{Restart: names, Roll: c.roll})
		if err != nil {
			return nil, s.changeProblem(ctx, server, err)
		}
		return newPlanAnswer(p, c), nil
	}
	op, err := server.Act(ctx, control.ActRequest{Verb: control.ActRestart, Names: names, Rolling: true, Roll: c.roll})
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	return s.watch(ctx, server, op, c)
}

// answerPause keeps an operation from going on, or lets it.
func (s *Session) answerPause(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	id, err := c.operationNamed()
	if err != nil {
		return nil, err
	}
	a := &doneAnswer{Verb: c.verb, Done: "paused", text: id + ": paused; what has begun goes on to its end   resume: gracectl resume " + id}
	do := server.PauseOperation
	if c.verb == "resume" {
		a.Done, a.text, do = "resumed", id+": goes on   watch: gracectl attach "+id, server.ResumeOperation
	}
	switch err := do(ctx, id); {
	case fault(err) == control.BadName:
		return nil, &format.Problem{Code: "E314", Title: "no such operation", Detail: "operation " + quote(id) + " is over, or there was none", Hint: s.Program + " ops lists them"}
	case err != nil:
		return nil, s.changeProblem(ctx, server, err)
	}
	return a, nil
}

// answerRollback makes what runs what a generation was.
func (s *Session) answerRollback(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) != 1 || parseRev(c.words[0]) == 0 {
		return nil, c.misused("takes one generation, such as r3: " + s.Program + " history lists them")
	}
	return s.goBack(ctx, server, c, parseRev(c.words[0]))
}

// answerUndo goes back to the last good generation before that of an operation. Where the last operation has taken itself back there is nothing to undo.
func (s *Session) answerUndo(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) > 1 {
		return nil, c.misused("takes one operation, or none: " + s.Program + " history lists those that brought something")
	}
	if len(c.words) == 1 && strings.HasPrefix(c.words[0], "r") && parseRev(c.words[0]) > 0 {
		return nil, c.misused("takes an operation, and " + c.words[0] + " is a generation: " + s.Program + " rollback " + c.words[0] + " goes back to it")
	}
	list, err := server.History(ctx)
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	at := len(list) - 1
	if len(c.words) == 1 {
		for ; at >= 0 && list[at].Op != c.words[0]; at-- {
		}
	} else if at >= 0 {
		ops, err := server.Operations(ctx)
		if err != nil {
			return nil, s.changeProblem(ctx, server, err)
		}
		if op := vain(ops, list[at]); op != nil {
			return &nothingToUndo{&operationAnswer{Operation: control.Operation{
				Kind: control.KindRollback, State: control.OperationNothing, To: list[at].Rev, Events: []control.ProgressLine{},
				Text: op.ID + " " + wasWords(string(op.State)) + " and has brought nothing: what is in force is " + generationRecord{list[at]}.Name() + ", as before it",
			}}, furtherBack(s.Program, list[at])}, nil
		}
	}
	hint := s.Program + " history lists what has been brought, by which operation"
	if at < 0 {
		return nil, &format.Problem{Code: "E318", Title: "nothing to undo", Detail: "operation " + quote(c.words[0]) + " has brought no other configuration, or it is not kept", Hint: hint}
	}
	to := at - 1
	for ; to >= 0 && !good(list[to]); to-- {
		c.passed = append(c.passed, passedOver{generationRecord{list[to]}.Name(), list[to].Op, list[to].Result})
	}
	name := generationRecord{list[at]}.Name()
	switch {
	case to < 0 && len(c.passed) > 0:
		return nil, &format.Problem{Code: "E318", Title: "nothing to undo", Detail: "no good generation is kept from before " + name + ": " + passedText(c.passed),
			Hint: "to go to one of them all the same: " + s.Program + " rollback " + c.passed[0].Rev}
	case to < 0:
		return nil, &format.Problem{Code: "E318", Title: "nothing to undo", Detail: "no generation is kept from before " + name, Hint: hint}
	}
	if len(c.passed) > 0 && c.Form == format.Text {
		s.output("back to " + generationRecord{list[to]}.Name() + ", the last good one before " + name + "; passed over: " + passedText(c.passed))
	}
	return s.goBack(ctx, server, c, list[to].Rev)
}

// good reports whether a generation is one that people go back to: all of it was in force. What an operation has brought that failed, was taken back or was
// ended in the middle is part of what was wanted, beside part of what was there before.
func good(g control.Generation) bool {
	return g.Result == string(control.OperationDone) || g.Result == "started"
}

// vain is the last operation that was to bring another configuration after a generation, if in the end it has brought nothing; nil else.
func vain(ops []control.Operation, since control.Generation) *control.Operation {
	for _, op := range slices.Backward(ops) {
		switch {
		case acts(op.Kind), op.Kind == control.KindRoll, op.State == control.OperationNothing, op.State == control.OperationStale, op.Steps == 0:
			continue // it was to bring none, or has done nothing
		case op.Ended == nil || op.ID == since.Op || op.State == control.OperationDone || !op.Ended.After(since.When):
			return nil
		}
		return &op
	}
	return nil
}

// passedOver is a generation that undo has not gone back to.
type passedOver struct {
	Rev    string `json:"rev"`
	Op     string `json:"op,omitempty"`
	Result string `json:"result"`
}

// passedText says why generations were passed over.
func passedText(list []passedOver) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.Rev + " (" + strings.TrimPrefix(p.Op+" ", " ") + wasWords(p.Result) + ")"
	}
	return strings.Join(words, ", ")
}

// wasWords tells how an operation has ended.
func wasWords(result string) string {
	switch state := control.OperationState(result); state {
	case control.OperationRolledBack, control.OperationCancelled, control.OperationInterrupted:
		return "was " + state.Words()
	default:
		return state.Words()
	}
}

// nothingToUndo answers undo where the last operation has brought nothing.
type nothingToUndo struct {
	*operationAnswer

	hint string
}

func (a *nothingToUndo) Text(format.Style) string {
	return "nothing to undo: " + a.Operation.Text + "\n" + a.hint
}

// furtherBack says how the generation is undone that is in force.
func furtherBack(program string, g control.Generation) string {
	if g.Op == "" {
		return ""
	}
	return "  to take that back as well: " + program + " undo " + g.Op + "\n"
}

// goBack makes what runs what a generation was. On a terminal it shows what that is and asks.
func (s *Session) goBack(ctx context.Context, server Proxy, c *call, rev int) (format.Answer, error) {
	problem := func(err error) error {
		if name := "r" + strconv.Itoa(rev); fault(err) == control.BadName && detail(err) == name {
			return s.noGeneration(name)
		}
		return s.changeProblem(ctx, server, err)
	}
	req := control.UpdateRequest{To: rev, Roll: c.roll}
	if asks := s.Terminal && !c.yes && c.Form == format.Text; c.dryRun || asks {
		p, err := server.Plan(ctx, control.PlanRequest{To: rev, Roll: c.roll})
		switch {
		case err != nil:
			return nil, problem(err)
		case c.dryRun:
			return newPlanAnswer(p, c), nil
		}
		if !p.Empty() {
			s.write(s.Out, planText(p, workingDir(), false))
			if !s.agrees(ctx, fmt.Sprintf("back to r%d? [y/N] ", rev)) {
				return &doneAnswer{Verb: c.verb, Done: "declined", text: "nothing was done"}, nil
			}
			req = control.UpdateRequest{Plan: p.ID, To: rev} // what was seen, and nothing else
		}
	}
	op, err := server.Update(ctx, req)
	if err != nil {
		return nil, problem(err)
	}
	a, err := s.watch(ctx, server, op, c)
	a.Passed = c.passed
	return a, err
}
