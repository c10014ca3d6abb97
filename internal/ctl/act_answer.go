package ctl

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
)

// patternParallel is how many processes that a pattern matches are acted on at once without --parallel.
const patternParallel = 16

// resultRecord is what became of one process.
type resultRecord struct {
	ID     string   `json:"id"`
	Group  string   `json:"group"`
	Proc   string   `json:"name"`
	OK     bool     `json:"ok"`
	Result string   `json:"result"` // started, already_started, stopped, not_running, signalled, cleared; failed
	Error  *failure `json:"error,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"` // it would be so
	For    string   `json:"for,omitempty"`     // it would be started since this one depends on it

	line string
}

// failure is a fault of the daemon.
type failure struct {
	Code string `json:"code"`      // its name, e.g. "SPAWN_ERROR"
	Num  int    `json:"faultCode"` // its number
	Text string `json:"text"`      // its detail
}

func failureOf(code control.Code, text string) *failure {
	return &failure{Code: code.String(), Num: int(code), Text: text}
}

func (r resultRecord) Schema() string { return "graced.result/v1" }
func (r resultRecord) Line() string   { return r.line }

// Name leaves out failures, so that the names can be acted on again.
func (r resultRecord) Name() string {
	if !r.OK {
		return ""
	}
	return r.ID
}

// resultsAnswer answers the verbs that act on processes.
type resultsAnswer struct {
	Verb    string         `json:"verb"`
	Results []resultRecord `json:"results"`
	Summary struct {
		Total  int `json:"total"`
		OK     int `json:"ok"`
		Failed int `json:"failed"`
	} `json:"summary"`

	Operation string `json:"operation,omitempty"` // that did it; "" = none did, or it had nothing to do
	Left      string `json:"left,omitempty"`      // interrupted, timeout: it goes on

	Dependents []control.Dependent `json:"dependents,omitempty"` // of stop: they depend on what is stopped, and go on running
}

func (a *resultsAnswer) Schema() string           { return "graced.results/v1" }
func (a *resultsAnswer) Records() []format.Record { return records(a.Results) }

func (a *resultsAnswer) Text(format.Style) string {
	if a.Left == leftInterrupted {
		return stillRunning(a.Operation)
	}
	return ""
}

func (a *resultsAnswer) exit(*call) int {
	if a.Summary.Failed > 0 && a.Left == "" {
		return exitFailed
	}
	return 0
}

func (a *resultsAnswer) add(r resultRecord) {
	a.Results = append(a.Results, r)
	a.Summary.Total++
	if r.OK {
		a.Summary.OK++
	} else {
		a.Summary.Failed++
	}
}

// act is a verb that does one thing to processes.
type act struct {
	lifecycle
	verb    string // of an operation; "" = it is none
	done    string // the result of a success, also its word for people
	already string // the result where there was nothing to do, and ...
	nothing string // ... its words for people
}

func (v act) record(group, name string, code control.Code, text string) resultRecord {
	r := resultRecord{ID: group + ":" + name, Group: group, Proc: name, OK: true}
	short := namespec(group, name) + ": "
	switch code {
	case control.Success:
		r.Result, r.line = v.done, short+v.done
	case v.ignored:
		r.Result, r.line = v.already, short+v.nothing
	default:
		r.OK, r.Result, r.Error = false, "failed", failureOf(code, text)
		row, err := v.row(namespec(group, name), code, text)
		if err != nil || !strings.HasPrefix(row, short) {
			row = short + "ERROR (" + text + ")"
		}
		r.line = row
	}
	return r
}

// would tells what the verb would do to a process as it is now. stops are those that would be stopped, or whose end would be waited for; vain says why it
// could not be started, by name.
func (v act) would(c *call, p control.ProcessInfo, stops []string, vain map[string]string, a *resultsAnswer) {
	short := namespec(p.Group, p.Name) + ": "
	r := resultRecord{ID: fullName(p), Group: p.Group, Proc: p.Name, OK: true, Result: v.done, DryRun: true, line: short + "would be " + v.done}
	// After a stop in the same command it can be started.
	idle := v.already == "not_running" && !p.State.IsRunning() || v.already == "already_started" && p.State.IsRunning() && c.verb == "start"
	switch {
	case idle && v.verb == control.ActStop && p.State == process.Stopping && slices.Contains(stops, fullName(p)):
		r.line = short + "is being stopped: would wait until it has " + v.done
	case idle:
		r.Result, r.line = v.already, short+v.nothing+": nothing to do"
	}
	if why := vain[fullName(p)]; why != "" && v.verb == control.ActStart {
		r = v.record(p.Group, p.Name, control.SpawnError, namespec(p.Group, p.Name)+" "+why)
		r.DryRun = true
	}
	a.add(r)
	c.Show(r)
}

// summoned tells of a process that would be started for the sake of another one.
func (v act) summoned(c *call, p control.Summoned, a *resultsAnswer) {
	r := resultRecord{ID: p.Process, OK: true, Result: v.done, DryRun: true, For: p.For}
	r.Group, r.Proc, _ = strings.Cut(p.Process, ":")
	r.line = shortName(p.Process) + ": would be " + v.done + ", since " + shortName(p.For) + " depends on it"
	a.add(r)
	c.Show(r)
}

// shortName is a full name as people write it.
func shortName(full string) string {
	group, name, _ := strings.Cut(full, ":")
	return namespec(group, name)
}

// previewAct asks what starts and stops have to do with other processes. A daemon that does not know that tells nothing.
func (s *Session) previewAct(ctx context.Context, server Proxy, verb string, units []unit) control.Preview {
	if len(units) == 0 {
		return control.Preview{}
	}
	p, err := server.Preview(ctx, control.PreviewRequest{Verb: verb, Names: namesOf(units)})
	if err != nil {
		return control.Preview{}
	}
	return p
}

// dependentsNote says who goes on running without what it depends on, "" for nobody. would: nothing has been stopped.
func dependentsNote(list []control.Dependent, would bool) string {
	if len(list) == 0 {
		return ""
	}
	const most = 5
	var names, on []string
	for _, d := range list {
		if names = append(names, shortName(d.Process)); !contains(on, shortName(d.On)) {
			on = append(on, shortName(d.On))
		}
	}
	short := func(names []string) string {
		if len(names) > most {
			return strings.Join(names[:most], " ") + " and " + strconv.Itoa(len(names)-most) + " more"
		}
		return strings.Join(names, " ")
	}
	verbs := []string{" depends on ", " goes on running; before its next start it waits for that"}
	if len(names) > 1 {
		verbs = []string{" depend on ", " go on running; before their next start they wait for that"}
	}
	if would {
		verbs[1] = " would go on running"
	}
	return "note: " + short(names) + verbs[0] + short(on) + " and" + verbs[1]
}

func actStart() act {
	return act{starting(), control.ActStart, "started", "already_started", "already started"}
}

func actStop() act {
	return act{stopping(), control.ActStop, "stopped", "not_running", "was not running"}
}

func actSignal(signal string) act {
	return act{lifecycle: signalling(signal), done: "signalled"}
}

func actRefresh() act {
	return act{done: "refreshed", lifecycle: lifecycle{
		apply: func(ctx context.Context, server Proxy, target control.Target) ([]control.Result, error) {
			return server.Refresh(ctx, target)
		},
		row: func(name string, code control.Code, text string) (string, error) {
			if code == control.Failed {
				text = name + ": ERROR (" + text + ")"
			}
			return signalRow(name, code, text, "refreshed")
		},
		ignored: control.Success,
	}}
}

func actClear() act {
	return act{done: "cleared", lifecycle: lifecycle{
		apply: func(ctx context.Context, server Proxy, target control.Target) ([]control.Result, error) {
			if target.All {
				return server.ClearAllLogs(ctx)
			}
			return nil, server.ClearLog(ctx, control.Log{Process: target.Name})
		},
		row: func(name string, code control.Code, text string) (string, error) {
			return signalRow(name, code, text, "cleared")
		},
		ignored: control.Success,
	}}
}

// one acts on a single process. An error is one of the whole command: the connection is broken, or the daemon does not work for anybody.
func (v act) one(ctx context.Context, server Proxy, p control.ProcessInfo) (resultRecord, error) {
	_, err := v.apply(ctx, server, control.Target{Name: fullName(p)})
	code := control.Success
	if err != nil {
		if code = fault(err); code == 0 || code == control.ShutdownState {
			return resultRecord{}, err
		}
		return v.record(p.Group, p.Name, code, detail(err)), nil
	}
	return v.record(p.Group, p.Name, code, ""), nil
}

// all acts on a whole group or on everything with one call. Answers come in the order of members.
func (v act) all(ctx context.Context, server Proxy, u unit) ([]resultRecord, error) {
	results, err := v.apply(ctx, server, *u.whole)
	if err != nil {
		return nil, err
	}
	place := make(map[string]int)
	for i, p := range u.members {
		place[fullName(p)] = i
	}
	slices.SortStableFunc(results, func(a, b control.Result) int {
		return cmp.Compare(place[a.Group+":"+a.Name], place[b.Group+":"+b.Name])
	})
	var out []resultRecord
	for _, r := range results {
		out = append(out, v.record(r.Group, r.Name, r.Code, r.Text))
	}
	return out, nil
}

// run acts on all units, one after the other: on a whole group or on everything in the daemon's own order, on what a pattern matches side by
// side. With a limit from --parallel every process is asked for by itself, that many at a time. Records are shown and kept in the order of the
// units, whatever the order in which they were done; after an error those of processes that it has kept from an answer are missing.
func (v act) run(ctx context.Context, c *call, server Proxy, units []unit, a *resultsAnswer) error {
	if c.parallel > 0 {
		units = []unit{{members: members(units)}}
	}
	emit := func(r resultRecord) {
		a.add(r)
		c.Show(r)
	}
	for _, u := range units {
		if u.whole != nil {
			rows, err := v.all(ctx, server, u)
			if err != nil {
				return err
			}
			for _, r := range rows {
				emit(r)
			}
			continue
		}
		limit := patternParallel
		if c.parallel > 0 {
			limit = c.parallel
		}
		if err := v.sideBySide(ctx, server, u.members, limit, emit); err != nil {
			return err
		}
	}
	return nil
}

// sideBySide acts on processes, limit of them at a time, and emits their records in their order.
func (v act) sideBySide(ctx context.Context, server Proxy, processes []control.ProcessInfo, limit int, emit func(resultRecord)) error {
	type outcome struct {
		resultRecord
		err error
	}
	outcomes := make([]chan outcome, len(processes))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	slots := make(chan struct{}, min(limit, math.MaxInt16))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for i, p := range processes {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				outcomes[i] <- outcome{err: ctx.Err()}
				continue
			}
			go func() {
				r, err := v.one(ctx, server, p)
				<-slots
				outcomes[i] <- outcome{r, err}
			}()
		}
	}()
	var failed error
	for _, ch := range outcomes { // every one reports: none is left behind
		switch o := <-ch; {
		case o.err == nil:
			emit(o.resultRecord)
		case failed == nil:
			failed = o.err
			cancel() // nothing more is begun
		}
	}
	return failed
}

// chosen asks for the processes that words mean. A verb that changes something acts on nothing unless each word means something.
func (s *Session) chosen(ctx context.Context, server Proxy, c *call, words []string) ([]unit, error) {
	if len(words) == 0 && c.states == nil {
		return nil, c.misused("which processes? Names, group:*, a pattern, /regular expression/, --state or all")
	}
	all, err := server.Processes(ctx)
	if err != nil {
		return nil, err
	}
	return s.pick(c, words, all)
}

// actOn is the verb for signal and clear.
func (s *Session) actOn(ctx context.Context, server Proxy, c *call, words []string, steps ...act) (format.Answer, error) {
	units, err := s.chosen(ctx, server, c, words)
	if err != nil {
		return nil, err
	}
	return s.actOnUnits(ctx, server, c, units, steps...)
}

func (s *Session) actOnUnits(ctx context.Context, server Proxy, c *call, units []unit, steps ...act) (*resultsAnswer, error) {
	a := &resultsAnswer{Verb: c.verb, Results: []resultRecord{}}
	if c.dryRun {
		var also control.Preview
		vain := map[string]string{}
		if c.verb == control.ActStart || c.verb == control.ActStop || c.verb == control.ActRestart {
			also = s.previewAct(ctx, server, c.verb, units)
			a.Dependents = also.Dependents
		}
		for _, p := range also.Vain {
			vain[p.Process] = p.Text
		}
		for _, step := range steps {
			if step.verb == control.ActStart {
				for _, p := range also.Summoned {
					step.summoned(c, p, a)
				}
			}
			for _, p := range members(units) {
				step.would(c, p, also.Stop, vain, a)
			}
		}
		if note := dependentsNote(a.Dependents, true); note != "" && c.Form == format.Text {
			s.complain(note)
		}
		return a, nil
	}
	for _, step := range steps {
		if err := step.run(ctx, c, server, units, a); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (s *Session) answerStart(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	return s.operate(ctx, server, c, actStart())
}

func (s *Session) answerStop(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	return s.operate(ctx, server, c, actStop())
}

// answerRestart stops everything first and starts it then, as Supervisor's client does.
func (s *Session) answerRestart(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if !c.rolling && c.roll != nil {
		return nil, c.misused("--max-unavailable, --canary, --steady and --on-failure go with --rolling")
	}
	if c.Form == format.Text && !c.dryRun {
		if standing, err := server.Standing(ctx); err == nil && len(standing.Newer) > 0 { // Supervisor tells nothing
			s.complain("note: " + strings.Join(standing.Newer, " ") + " changed since it was read: a restart does not read it; " + s.Program + " plan shows what update would do")
		}
	}
	if c.rolling {
		return s.rollingRestart(ctx, server, c)
	}
	return s.operate(ctx, server, c, actStop(), actStart())
}

func (s *Session) answerSignal(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if len(c.words) == 0 {
		return nil, c.misused("which signal? A name or a number, then processes")
	}
	if c.dryRun {
		units, err := s.chosen(ctx, server, c, c.words[1:])
		if err != nil {
			return nil, err
		}
		return s.wouldSignal(ctx, server, c, c.words[0], units)
	}
	return s.actOn(ctx, server, c, c.words[1:], actSignal(c.words[0]))
}

// answerRefresh has processes read their own configuration again.
func (s *Session) answerRefresh(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	a, err := s.actOn(ctx, server, c, c.words, actRefresh())
	if fault(err) == control.UnknownMethod {
		return nil, s.notOurs()
	}
	return a, err
}

func (s *Session) answerClear(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if c.parallel == 0 && len(c.words) > 0 && !contains(c.words, "all") {
		c.parallel = patternParallel // there is no call for a whole group
	}
	return s.actOn(ctx, server, c, c.words, actClear())
}
