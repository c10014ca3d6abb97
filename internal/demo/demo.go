// Package demo plays graced's main idea on real processes in a temporary directory: grow a group, shrink it, refuse what is more than a
// change of the count, and prove at each step that nobody else was touched.
//
// It drives the daemon from outside, through package client, and starts it and its workers from the very binary that runs. Only
// cmd/graced imports it.
package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

//go:embed supervisord.conf
var configTemplate string

// Options are the demo's command line.
type Options struct {
	Keep        bool // leave everything running at the end
	JSON        bool // print the rows as JSON
	PrintConfig bool // print the configuration and do nothing else
}

// ParseArgs reads the arguments after "demo".
func ParseArgs(args []string) (Options, error) {
	var o Options
	for _, a := range args {
		switch a {
		case "--keep", "-keep":
			o.Keep = true
		case "--json", "-json":
			o.JSON = true
		case "--print-config", "-print-config":
			o.PrintConfig = true
		default:
			return o, fmt.Errorf("unknown argument %q of demo; known: --keep, --json, --print-config", a)
		}
	}
	return o, nil
}

// Row is one step of the demo: an action and what was found to be true after it.
type Row struct {
	Number  int     `json:"row"`
	What    string  `json:"what"`
	Did     string  `json:"did"`
	Kept    string  `json:"kept"`
	Seconds float64 `json:"seconds"`
	Failure string  `json:"failure,omitempty"` // expected and got, when the step did not do what it should
}

// errFailed says that a row did not come true; it has been printed.
var errFailed = errors.New("a row of the demo failed")

// Run plays the demo and writes its table to out. The error is nil only if every row came true.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if o.PrintConfig {
		_, err := io.WriteString(out, render("DIR", "GRACED", 2, 999, ""))
		return err
	}
	s, err := newStage(ctx, o.Keep)
	if err != nil {
		return err
	}
	defer s.close()
	start := time.Now()
	if !o.JSON {
		fmt.Fprintf(out, "graced demo   everything below is real: 2 workers, 1 client that never stops asking, 1 supervisor\n")
		fmt.Fprintf(out, "  files   %s (%s)\n", s.dir, map[bool]string{false: "removed at the end; --keep keeps it running", true: "kept"}[o.Keep])
		fmt.Fprintf(out, "  config  embedded: graced demo --print-config\n\n")
		fmt.Fprintf(out, "   #  %-42s %-50s %-12s %s\n", "what", "did", "kept", "time")
	}
	rows := s.play(ctx, func(r Row) {
		if o.JSON {
			return
		}
		fmt.Fprintf(out, "  %2d  %-42s %-50s %-12s %.1f s\n", r.Number, r.What, r.Did, r.Kept, r.Seconds)
		if r.Failure != "" {
			fmt.Fprintf(out, "      FAILED: %s\n", strings.ReplaceAll(r.Failure, "\n", "\n      "))
		}
	})
	passed := 0
	for _, r := range rows {
		if r.Failure == "" {
			passed++
		}
	}
	if o.JSON {
		return s.printJSON(out, rows, passed == len(rows))
	}
	verdict := "PASS"
	if passed != len(rows) {
		verdict = "FAIL"
	}
	fmt.Fprintf(out, "\n  client   %s\n", s.asker.summary())
	fmt.Fprintf(out, "  logs     %s\n", s.logSummary)
	fmt.Fprintf(out, "  %s     %d of %d in %.1f s\n", verdict, passed, len(rows), time.Since(start).Seconds())
	if passed != len(rows) {
		fmt.Fprintf(out, "\n  the supervisor's log:\n%s\n", s.daemonLog())
		return errFailed
	}
	if o.Keep {
		fmt.Fprintf(out, "\n  still running. Talk to it:\n    gracectl -c %[1]s/supervisord.conf status\n    edit numprocs in %[1]s/supervisord.conf, then: gracectl -c %[1]s/supervisord.conf grace_update web\n"+
			"  end it:\n    gracectl -c %[1]s/supervisord.conf shutdown && rm -r %[1]s\n  (without an installed gracectl: go run ./cmd/gracectl -c ...)\n", s.dir)
	} else {
		fmt.Fprintf(out, "\n  look around:  graced demo --keep\n")
	}
	return nil
}

func (s *stage) printJSON(out io.Writer, rows []Row, passed bool) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	err := enc.Encode(map[string]any{"schema": "graced.demo/v1", "rows": rows, "client": s.asker.summary(), "logs": s.logSummary, "passed": passed})
	if err == nil && !passed {
		err = errFailed
	}
	return err
}

// render fills the configuration. extra is text at its end.
func render(dir, binary string, numprocs, priority int, extra string) string {
	return strings.NewReplacer("{dir}", dir, "{graced}", binary, "{numprocs}", fmt.Sprint(numprocs), "{priority}", fmt.Sprint(priority)).Replace(configTemplate) + extra
}

// step is one row to play. It returns what it did and what stayed as it was.
type step struct {
	what string
	run  func(ctx context.Context) (did, kept string, err error)
}

// play runs the steps until one fails.
func (s *stage) play(ctx context.Context, show func(Row)) []Row {
	steps := []step{
		{"start", s.boot},
		{"numprocs 2 -> 3, grace_update web", s.grow},
		{"numprocs 3 -> 2, grace_update web", s.shrink},
		{"grace_update web again", s.again},
		{"priority changed, grace_update web", s.refuse},
		{"the same change, update", s.live},
		{"update again", s.nothing},
		{"scale web=4", s.scaleUp},
		{"scale web=file", s.scaleBack},
		{"a plan, then the file changes, update --plan", s.stale},
		{"the file is broken, grace_update web", s.broken},
		{"another binary, upgrade", s.upgrade},
		{"kill -9 of the daemon", s.killDaemon},
		{"api: a new release for 4 workers", s.release},
		{"api: a release that does not work", s.badRelease},
		{"every line the workers wrote", s.countLines},
	}
	var rows []Row
	for i, st := range steps {
		began := time.Now()
		did, kept, err := st.run(ctx)
		r := Row{Number: i + 1, What: st.what, Did: did, Kept: kept, Seconds: time.Since(began).Seconds()}
		if err != nil {
			r.Failure = err.Error()
		}
		rows = append(rows, r)
		show(r)
		if err != nil {
			break
		}
	}
	return rows
}

// expect compares, and says what was expected and found.
func expect[T any](what string, got, want T) error {
	g, w := fmt.Sprint(got), fmt.Sprint(want)
	if g != w {
		return fmt.Errorf("%s\n  expected %s\n  got      %s", what, w, g)
	}
	return nil
}

func (s *stage) boot(ctx context.Context) (string, string, error) {
	if err := s.startDaemon(ctx); err != nil {
		return "", "", err
	}
	infos, err := s.waitRunning(ctx, "web_0", "web_1")
	if err != nil {
		return "", "", err
	}
	s.base = infos
	s.asker.start(s.socket("web_0"), s.socket("web_1"))
	return "web:web_0 web:web_1 running", "-", s.lively(ctx, infos)
}

func (s *stage) grow(ctx context.Context) (string, string, error) {
	result, err := s.graceUpdate(ctx, 3, 999, "")
	if err != nil {
		return "", "", err
	}
	infos, err := s.waitRunning(ctx, "web_0", "web_1", "web_2")
	if err != nil {
		return "", "", err
	}
	s.third = infos["web_2"].PID
	kept, keptErr := s.untouched(infos)
	return "web:web_2 added", kept, errors.Join(keptErr, s.lively(ctx, infos),
		expect("processes added by grace_update", result.Added, []string{"web:web_2"}), expect("processes removed by it", result.Removed, []string{}))
}

func (s *stage) shrink(ctx context.Context) (string, string, error) {
	result, err := s.graceUpdate(ctx, 2, 999, "")
	if err != nil {
		return "", "", err
	}
	infos, err := s.infos(ctx)
	if err != nil {
		return "", "", err
	}
	kept, keptErr := s.untouched(infos)
	_, there := infos["web_2"]
	return "web:web_2 stoped, web:web_2 removed", kept, errors.Join(keptErr, s.lively(ctx, infos),
		expect("processes stopped by grace_update", result.Stopped, []string{"web:web_2"}),
		expect("processes removed by it", result.Removed, []string{"web:web_2"}),
		expect("web_2 is still listed", there, false), expect("the pid of web_2 is still alive", alive(s.third), false))
}

func (s *stage) again(ctx context.Context) (string, string, error) {
	result, err := s.graceUpdate(ctx, 2, 999, "")
	if err != nil {
		return "", "", err
	}
	infos, err := s.infos(ctx)
	if err != nil {
		return "", "", err
	}
	kept, keptErr := s.untouched(infos)
	return result.Message, kept, errors.Join(keptErr, expect("answer", result.Message, "No need to update"))
}

func (s *stage) refuse(ctx context.Context) (string, string, error) {
	result, err := s.graceUpdate(ctx, 3, 5, "")
	if err != nil {
		return "", "", err
	}
	infos, err := s.infos(ctx)
	if err != nil {
		return "", "", err
	}
	configs, err := s.client.Configs(ctx)
	if err != nil {
		return "", "", err
	}
	var priorities []int
	for _, c := range configs {
		priorities = append(priorities, c.Spec.Priority)
	}
	kept, keptErr := s.untouched(infos)
	return "refused: priority is difference", kept, errors.Join(keptErr, s.lively(ctx, infos),
		expect("answer", result.Message, "Not only numprocs has changed: priority is difference"), expect("refused", result.Refused, true),
		expect("fields that differ", result.Fields, []string{"priority"}),
		expect("priorities in the daemon's idea of the file", priorities, []int{999, 999}))
}

// update brings everything to what the file says, and waits for the end.
func (s *stage) update(ctx context.Context, plan string) (control.Operation, error) {
	op, err := s.client.Update(ctx, control.UpdateRequest{Plan: plan})
	if err != nil {
		return op, err
	}
	return s.finish(ctx, op)
}

// finish waits for the end of an operation, which must have done all it was to do.
func (s *stage) finish(ctx context.Context, op control.Operation) (control.Operation, error) {
	for seen := op.Count; !op.State.Over(); seen = op.Count {
		var err error
		if op, err = s.client.Operation(ctx, op.ID, seen); err != nil {
			return op, err
		}
	}
	if op.State != control.OperationDone && op.State != control.OperationNothing {
		return op, fmt.Errorf("%s of the daemon\n  expected that it is done\n  got      %s %s", op.Kind, op.State, op.Text)
	}
	return op, nil
}

func (s *stage) live(ctx context.Context) (string, string, error) {
	if err := s.writeConfig(2, 5, ""); err != nil {
		return "", "", err
	}
	plan, err := s.client.Plan(ctx, control.PlanRequest{})
	if err != nil {
		return "", "", err
	}
	op, err := s.update(ctx, plan.ID)
	if err != nil {
		return "", "", err
	}
	kept, keptErr := s.still(ctx)
	change := plan.Groups[0].Changes[0]
	return change.Option + " " + change.Old + " -> " + change.New + " applied live", kept, errors.Join(keptErr,
		expect("what the plan says of the change", fmt.Sprint(change.Option, change.Old, change.New, change.Class), fmt.Sprint("priority", "999", "5", "live")),
		expect("what the plan says of processes", plan.Totals, control.PlanTotals{Keep: 2, Live: 1}), expect("the operation", op.State, control.OperationDone))
}

func (s *stage) nothing(ctx context.Context) (string, string, error) {
	op, err := s.update(ctx, "")
	if err != nil {
		return "", "", err
	}
	kept, keptErr := s.still(ctx)
	return "nothing to do", kept, errors.Join(keptErr, expect("the operation", op.State, control.OperationNothing))
}

// scale changes the number of workers and checks which there are then.
func (s *stage) scale(ctx context.Context, to string, names ...string) (string, error) {
	scaling, err := s.client.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: to}}})
	if err != nil {
		return "", err
	}
	if _, err := s.finish(ctx, *scaling.Operation); err != nil {
		return "", err
	}
	infos, err := s.waitRunning(ctx, names...)
	if err != nil {
		return "", err
	}
	kept, err := s.untouched(infos)
	return kept, errors.Join(err, s.lively(ctx, infos))
}

func (s *stage) scaleUp(ctx context.Context) (string, string, error) {
	kept, err := s.scale(ctx, "4", "web_0", "web_1", "web_2", "web_3")
	if err != nil {
		return "", "", err
	}
	plan, err := s.client.Plan(ctx, control.PlanRequest{})
	if err != nil {
		return "", "", err
	}
	return "web:web_2 web:web_3 started, the file says 2", kept, errors.Join(expect("nothing left to do", plan.Empty(), true),
		expect("overrides", len(plan.Overrides), 1), expect("numprocs in the file", plan.Overrides[0].InFile, 2))
}

func (s *stage) scaleBack(ctx context.Context) (string, string, error) {
	kept, err := s.scale(ctx, control.ScaleToFile, "web_0", "web_1")
	return "web:web_3 web:web_2 stopped and removed", kept, err
}

func (s *stage) stale(ctx context.Context) (string, string, error) {
	if err := s.writeConfig(3, 5, ""); err != nil {
		return "", "", err
	}
	plan, err := s.client.Plan(ctx, control.PlanRequest{})
	if err != nil {
		return "", "", err
	}
	if err := s.writeConfig(1, 5, ""); err != nil {
		return "", "", err
	}
	_, err = s.client.Update(ctx, control.UpdateRequest{Plan: plan.ID})
	var fault *control.Error
	if !errors.As(err, &fault) || fault.Code != control.StalePlan {
		return "", "", fmt.Errorf("an update by a plan that is stale\n  expected that it is refused\n  got      %v", err)
	}
	kept, keptErr := s.still(ctx)
	return "refused: the plan is stale", kept, keptErr
}

func (s *stage) broken(ctx context.Context) (string, string, error) {
	_, err := s.graceUpdate(ctx, 3, 999, "startsecs=soon\n")
	var fault *control.Error
	if !errors.As(err, &fault) {
		return "", "", fmt.Errorf("a broken file\n  expected fault %d (CANT_REREAD)\n  got      %v", control.CantReread, err)
	}
	kept, keptErr := s.still(ctx)
	return "refused: fault " + fmt.Sprint(int(fault.Code)) + " names file and value", kept, errors.Join(keptErr,
		expect("fault", fault.Code, control.CantReread), expect("the text names the value", strings.Contains(fault.Text, "'soon'"), true))
}

// graceUpdate writes the configuration and asks for the update, through the public protocol.
func (s *stage) graceUpdate(ctx context.Context, numprocs, priority int, extra string) (control.GraceResult, error) {
	if err := s.writeConfig(numprocs, priority, extra); err != nil {
		return control.GraceResult{}, err
	}
	return s.client.GraceUpdate(ctx, "web")
}

// infos asks for the processes of web, by name.
func (s *stage) infos(ctx context.Context) (map[string]control.ProcessInfo, error) {
	list, err := s.client.Processes(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the processes: %w", err)
	}
	out := map[string]control.ProcessInfo{}
	for _, p := range list {
		if p.Group == "web" {
			out[p.Name] = p
		}
	}
	return out, nil
}

// still checks that the first two workers are who they were, and that all that are there work.
func (s *stage) still(ctx context.Context) (kept string, err error) {
	infos, err := s.infos(ctx)
	if err != nil {
		return "", err
	}
	kept, err = s.untouched(infos)
	return kept, errors.Join(err, s.lively(ctx, infos))
}

// untouched checks that the first two workers still are the processes they were at the start.
func (s *stage) untouched(now map[string]control.ProcessInfo) (string, error) {
	kept := 0
	var errs []error
	for _, name := range []string{"web_0", "web_1"} {
		was, is := s.base[name], now[name]
		err := errors.Join(expect("pid of "+name, is.PID, was.PID), expect("start of "+name, is.Start.Unix(), was.Start.Unix()),
			expect("state of "+name, is.State, process.Running))
		if err == nil {
			kept++
		}
		errs = append(errs, err)
	}
	return fmt.Sprintf("%d of 2 pids", kept), errors.Join(errs...)
}

// waitRunning waits until exactly these processes exist and are RUNNING.
func (s *stage) waitRunning(ctx context.Context, names ...string) (map[string]control.ProcessInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		infos, err := s.infos(ctx)
		if err != nil {
			return nil, err
		}
		running := []string{}
		for _, p := range infos {
			if p.State == process.Running {
				running = append(running, p.Name)
			}
		}
		slices.Sort(running)
		if len(infos) == len(names) && slices.Equal(running, names) {
			return infos, nil
		}
		select {
		case <-ctx.Done():
			return nil, expect("running processes", running, names)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lively checks that each worker answers on its socket with its pid, and that its log holds its greeting.
func (s *stage) lively(ctx context.Context, infos map[string]control.ProcessInfo) error {
	var errs []error
	for name, p := range infos {
		pid, err := askWorker(ctx, s.socket(name))
		if err != nil {
			errs = append(errs, fmt.Errorf("worker %s does not answer: %w", name, err))
			continue
		}
		errs = append(errs, expect("pid that worker "+name+" tells", pid, p.PID))
		log, err := os.ReadFile(filepath.Join(s.dir, name+".log"))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		greeting := fmt.Sprintf("%s pid %d line 1\n", name, p.PID)
		errs = append(errs, expect(fmt.Sprintf("log of %s has %q", name, greeting), strings.Contains(string(log), greeting), true))
	}
	return errors.Join(errs...)
}
