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
		if share, ok := process.ParseShare(o.arg); !ok || share.N == 0 {
			return c.misused("invalid value for --max-unavailable " + quote(o.arg) + ": it takes a number of processes, 1 or more, or a share such as 25%")
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

// answerUndo goes back to the generation before that of an operation.
func (s *Session) answerUndo(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) > 1 {
		return nil, c.misused("takes one operation, or none: " + s.Program + " history lists those that brought something")
	}
	list, err := server.History(ctx)
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	at := len(list) - 1
	if len(c.words) == 1 {
		for ; at >= 0 && list[at].Op != c.words[0]; at-- {
		}
	}
	hint := s.Program + " history lists what has been brought, by which operation"
	switch {
	case at < 0:
		return nil, &format.Problem{Code: "E318", Title: "nothing to undo", Detail: "operation " + quote(c.words[0]) + " has brought no other configuration, or it is not kept", Hint: hint}
	case at == 0:
		return nil, &format.Problem{Code: "E318", Title: "nothing to undo", Detail: "no generation is kept from before " + generationRecord{list[at]}.Name(), Hint: hint}
	}
	return s.goBack(ctx, server, c, list[at-1].Rev)
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
	return s.watch(ctx, server, op, c)
}
