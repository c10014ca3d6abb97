package ctl

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// daemon is a fake Proxy: a small supervisord in memory. errs overrides single calls: the key is "method argument" or "method".
type daemon struct {
	generation      int
	failedUpgrade   string
	control.Service // what a test does not expect panics

	processes []control.ProcessInfo
	configs   []control.ConfigInfo
	diff      control.Reread
	grace     control.GraceResult
	numprocs  control.Numprocs
	logs      map[string]string  // "name channel", or "main"
	streams   map[string]string  // path -> text; the stream stays open behind it
	answers   map[string]any     // of Call
	changes   *changes           // nil: this is no graced
	acting    *control.Operation // that Act begins; nil: it does not know that
	errs      map[string]error
	results   map[string][]control.Result

	daemonPID int             // 0 = 4711
	previewed control.Preview // of starts and stops

	mu      sync.Mutex
	calls   []string
	typed   string        // what WriteStdin got
	opened  chan struct{} // receives for every stream that has shown its text
	onStdin func()
	looked  func()                                       // in Operations, when set
	waiting func(ctx context.Context, call string) error // in Start and Stop of one process and in Operation, when set
	closed  int
}

func (d *daemon) did(call string, args ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	full := strings.TrimSpace(call + " " + strings.Join(args, " "))
	d.calls = append(d.calls, full)
	if err, ok := d.errs[full]; ok {
		return err
	}
	return d.errs[call]
}

func (d *daemon) Call(_ context.Context, method string, _ ...any) (any, error) {
	if err := d.did(method); err != nil {
		return nil, err
	}
	if v, ok := d.answers[method]; ok {
		return v, nil
	}
	return map[string]any{
		"supervisor.getVersion": "3.0", "supervisor.getPID": int32(4711), "supervisor.getSupervisorVersion": "4.2.5",
	}[method], nil
}

func (d *daemon) Daemon(context.Context) (control.Daemon, error) {
	return control.Daemon{Identifier: "supervisor", Version: "4.2.5", PID: cmp.Or(d.daemonPID, 4711), Mood: control.MoodRunning}, d.did("Daemon")
}

func (d *daemon) Close() error { d.closed++; return nil }

// changes is what a graced says to plans and operations. An operation tells its events in two parts.
type changes struct {
	plan     control.Plan
	preview  control.Preview
	standing control.Standing
	scaled   *control.ScaledProgram // in place of one of /s.conf
	findings control.Findings
	op       control.Operation
	why      control.Why
	notKept  string

	history []control.Generation // nil: two, the second by op-1
	ops     []control.Operation  // nil: op, and one that was cut off
}

func (d *daemon) changed(call string, args ...string) error {
	if d.changes == nil {
		return control.Fault(control.UnknownMethod, call)
	}
	return d.did(call, args...)
}

func (d *daemon) Plan(_ context.Context, req control.PlanRequest) (control.Plan, error) {
	if err := d.changed("Plan", req.Groups...); err != nil {
		return control.Plan{}, err
	}
	return d.changes.plan, nil
}

func (d *daemon) Findings(_ context.Context, file string) (control.Findings, error) {
	if err := d.changed("Findings", file); err != nil {
		return control.Findings{}, err
	}
	return d.changes.findings, nil
}

func (d *daemon) Preview(_ context.Context, req control.PreviewRequest) (control.Preview, error) {
	if err := d.changed("Preview", req.Verb, req.Name); err != nil {
		return control.Preview{}, err
	}
	if req.Names != nil {
		return d.previewed, nil
	}
	return d.changes.preview, nil
}

func (d *daemon) Update(_ context.Context, req control.UpdateRequest) (control.Operation, error) {
	words := append(req.Groups, req.Plan)
	if req.To != 0 {
		words = append(words, fmt.Sprintf("to r%d", req.To))
	}
	if err := d.changed("Update", words...); err != nil {
		return control.Operation{}, err
	}
	return d.part(0), nil
}

func (d *daemon) Act(_ context.Context, req control.ActRequest) (control.Operation, error) {
	words := append([]string{req.Verb}, req.Names...)
	if req.AtOnce > 0 {
		words = append(words, fmt.Sprint(req.AtOnce))
	}
	if req.Now {
		words = append(words, "now")
	}
	if d.acting == nil {
		return control.Operation{}, control.Fault(control.UnknownMethod, "Act")
	}
	if err := d.did("Act", words...); err != nil {
		return control.Operation{}, err
	}
	d.changes = &changes{op: *d.acting}
	return d.part(0), nil
}

// part is the operation with the events from one on, up to the first half if that is less.
func (d *daemon) part(after int) control.Operation {
	op := d.changes.op
	op.NotKept = d.changes.notKept
	half := len(op.Events) / 2
	if after >= half {
		op.Events, op.Count = op.Events[after:], len(op.Events)
		return op
	}
	op.NotKept = ""
	op.Events, op.Count, op.State, op.Ended = op.Events[after:half], half, control.OperationRunning, nil
	return op
}

func (d *daemon) Scale(_ context.Context, req control.ScaleRequest) (control.Scaling, error) {
	if err := d.changed("Scale", req.Targets[0].Program, req.Targets[0].To); err != nil {
		return control.Scaling{}, err
	}
	out := control.Scaling{Programs: []control.ScaledProgram{{
		Program: "web", Before: 2, After: 3, InFile: 2, File: "/s.conf", Line: 3, Nums: []int{0, 1, 2}, Override: true, Start: []string{"web:web_2"}, Stop: []string{}, Leave: []string{},
	}}}
	if d.changes.scaled != nil {
		out.Programs[0] = *d.changes.scaled
	}
	if !req.DryRun {
		op := d.part(0)
		out.Operation = &op
	}
	return out, nil
}

func (d *daemon) Operations(context.Context) ([]control.Operation, error) {
	if d.looked != nil {
		d.looked()
	}
	if err := d.changed("Operations"); err != nil {
		return nil, err
	}
	if d.changes.ops != nil {
		return d.changes.ops, nil
	}
	op := d.changes.op
	op.Events = []control.ProgressLine{}
	cut := op
	cut.ID, cut.State, cut.Ended, cut.Earlier = "op-0", control.OperationInterrupted, nil, true
	return []control.Operation{cut, op}, nil
}

func (d *daemon) Operation(ctx context.Context, id string, after int) (control.Operation, error) {
	if err := d.changed("Operation", id); err != nil {
		return control.Operation{}, err
	}
	if d.waiting != nil {
		if err := d.waiting(ctx, "Operation "+id); err != nil {
			return control.Operation{}, err
		}
	}
	return d.part(max(after, 0)), nil
}

func (d *daemon) Upgrade(_ context.Context, binary string) error {
	d.generation++
	return d.changed("Upgrade", binary)
}

func (d *daemon) CancelOperation(_ context.Context, id string) error {
	return d.changed("CancelOperation", id)
}

func (d *daemon) PauseOperation(_ context.Context, id string) error {
	return d.changed("PauseOperation", id)
}

func (d *daemon) ResumeOperation(_ context.Context, id string) error {
	return d.changed("ResumeOperation", id)
}

func (d *daemon) Doctor(context.Context) (control.Doctor, error) {
	if err := d.changed("Doctor"); err != nil {
		return control.Doctor{}, err
	}
	return control.Doctor{DaemonPID: 7 + d.generation, Generation: d.generation, Binary: "/bin/graced", Failed: d.failedUpgrade, KeeperPID: 6, Kernel: "6.1", Unknown: []string{"what"}, Features: []control.Feature{
		{Name: "splice", Available: true, Use: "logs", Instead: "copies"}, {Name: "pidfd_open", Disabled: true, Detail: "taken away", Use: "takeover", Instead: "no takeover"},
	}, Grouped: 1, Lacking: []control.Lacking{{Name: "web:a", Text: "no limit"}}}, nil
}

func (d *daemon) Mark(_ context.Context, req control.MarkRequest) (control.Marking, error) {
	if err := d.changed("Mark", req.Mark, req.Names[0]); err != nil {
		return control.Marking{}, err
	}
	out := control.Marking{Verb: req.Mark, NotKept: d.changes.notKept}
	for _, name := range req.Names {
		out.Marks = append(out.Marks, control.Marked{Name: name, Mark: req.Mark, Who: "anna", When: d.changes.op.Began, Note: req.Note})
	}
	return out, nil
}

func (d *daemon) History(context.Context) ([]control.Generation, error) {
	if err := d.changed("History"); err != nil {
		return nil, err
	}
	if d.changes.history != nil {
		return d.changes.history, nil
	}
	return []control.Generation{{Rev: 1, When: d.changes.op.Began, Result: "started"}, {Rev: 2, When: d.changes.op.Began, Who: "anna", Op: "op-1", Result: "done", Summary: "web ~1"}}, nil
}

func (d *daemon) HistoryDiff(_ context.Context, from, to int) ([]control.GenerationChange, error) {
	if err := d.changed("HistoryDiff"); err != nil {
		return nil, err
	}
	return []control.GenerationChange{{Group: "web", Process: "web_0", Action: "changed", Option: "environment", Variable: "A", Class: "respawn", Old: "1", New: "2"}, {Group: "db", Action: "added"}}, nil
}

func (d *daemon) Standing(context.Context) (control.Standing, error) {
	if err := d.changed("Standing"); err != nil {
		return control.Standing{}, err
	}
	standing := d.changes.standing
	standing.Lacking = []control.Lacking{{Name: "web:a", Text: "no limit"}}
	return standing, nil
}

func (d *daemon) Why(_ context.Context, name string) (control.Why, error) {
	if err := d.changed("Why", name); err != nil {
		return control.Why{}, err
	}
	return d.changes.why, nil
}

func (d *daemon) Processes(context.Context) ([]control.ProcessInfo, error) {
	return slices.Clone(d.processes), d.did("Processes")
}

func (d *daemon) find(name string) *control.ProcessInfo {
	spec := process.ParseNamespec(name)
	for i := range d.processes {
		if p := &d.processes[i]; p.Group == spec.Group && p.Name == spec.Process {
			return p
		}
	}
	return nil
}

func (d *daemon) Process(_ context.Context, name string) (control.ProcessInfo, error) {
	if err := d.did("Process", name); err != nil {
		return control.ProcessInfo{}, err
	}
	if p := d.find(name); p != nil {
		return *p, nil
	}
	return control.ProcessInfo{}, control.Fault(control.BadName, name)
}

func (d *daemon) Configs(context.Context) ([]control.ConfigInfo, error) {
	return d.configs, d.did("Configs")
}

// act is Start, Stop and Signal: rows for groups and all come from results, a single process must exist.
func (d *daemon) act(ctx context.Context, verb string, t control.Target) ([]control.Result, error) {
	name := t.Name
	switch {
	case t.All:
		name = "(all)"
	case t.Group:
		name = "(group) " + name
	}
	if err := d.did(verb, name); err != nil {
		return nil, err
	}
	if !t.All && !t.Group && d.waiting != nil {
		if err := d.waiting(ctx, verb+" "+name); err != nil {
			return nil, err
		}
	}
	if !t.All && !t.Group {
		if p := d.find(name); p == nil {
			return nil, control.Fault(control.BadName, name)
		}
		return []control.Result{{Code: control.Success}}, nil
	}
	return d.results[verb], nil
}

func (d *daemon) Start(ctx context.Context, t control.Target, wait bool) ([]control.Result, error) {
	if !wait {
		panic("start without waiting")
	}
	return d.act(ctx, "Start", t)
}

func (d *daemon) Stop(ctx context.Context, t control.Target, wait bool) ([]control.Result, error) {
	if !wait {
		panic("stop without waiting")
	}
	return d.act(ctx, "Stop", t)
}

func (d *daemon) Signal(ctx context.Context, t control.Target, signal string) ([]control.Result, error) {
	return d.act(ctx, "Signal "+signal, t)
}

func (d *daemon) Refresh(ctx context.Context, t control.Target) ([]control.Result, error) {
	return d.act(ctx, "Refresh", t)
}

func (d *daemon) WriteStdin(ctx context.Context, name string, data []byte) error {
	if err := d.did("WriteStdin", name); err != nil {
		return err
	}
	d.typed += string(data)
	if d.onStdin != nil {
		d.onStdin()
	}
	return ctx.Err()
}

func (d *daemon) Reread(context.Context) (control.Reread, error) { return d.diff, d.did("Reread") }
func (d *daemon) AddGroup(_ context.Context, name string) error  { return d.did("AddGroup", name) }
func (d *daemon) RemoveGroup(_ context.Context, name string) error {
	return d.did("RemoveGroup", name)
}

func (d *daemon) RemoveProcess(_ context.Context, group, name string) error {
	return d.did("RemoveProcess", group, name)
}

func (d *daemon) UpdateNumprocs(_ context.Context, group string) (control.Numprocs, error) {
	return d.numprocs, d.did("UpdateNumprocs", group)
}

func (d *daemon) GraceUpdate(_ context.Context, name string) (control.GraceResult, error) {
	return d.grace, d.did("GraceUpdate", name)
}

func (d *daemon) ReadLog(_ context.Context, log control.Log, offset, length int64) ([]byte, error) {
	key := "main"
	if !log.Main {
		key = log.Process + " " + string(log.Channel)
	}
	if err := d.did("ReadLog", key); err != nil {
		return nil, err
	}
	text, ok := d.logs[key]
	if !ok {
		return nil, control.Fault(control.BadName, log.Process)
	}
	if length != 0 {
		panic("a length was given")
	}
	if offset < 0 {
		offset = max(0, int64(len(text))+offset)
	}
	return []byte(text[min(offset, int64(len(text))):]), nil
}

func (d *daemon) ClearLog(_ context.Context, log control.Log) error {
	if err := d.did("ClearLog", log.Process); err != nil {
		return err
	}
	if d.find(log.Process) == nil {
		return control.Fault(control.BadName, log.Process)
	}
	return nil
}

func (d *daemon) ClearAllLogs(context.Context) ([]control.Result, error) {
	return d.results["ClearAllLogs"], d.did("ClearAllLogs")
}

func (d *daemon) Shutdown(context.Context) error { return d.did("Shutdown") }
func (d *daemon) Restart(context.Context) error  { return d.did("Restart") }

// Stream answers the text of the path and stays open until it is closed; an unknown path is a 404.
func (d *daemon) Stream(_ context.Context, path string) (io.ReadCloser, error) {
	if err := d.did("Stream", path); err != nil {
		return nil, err
	}
	text, ok := d.streams[path]
	if !ok {
		return nil, &client.ProtocolError{URL: path, Code: 404, Reason: "Not Found"}
	}
	return &stream{text: strings.NewReader(text), done: make(chan struct{}), shown: d.opened}, nil
}

type stream struct {
	text  *strings.Reader
	once  sync.Once
	done  chan struct{}
	shown chan struct{}
	told  bool
}

func (s *stream) Read(b []byte) (int, error) {
	if s.text.Len() > 0 {
		return s.text.Read(b)
	}
	if !s.told && s.shown != nil {
		s.told = true
		s.shown <- struct{}{}
	}
	<-s.done
	return 0, io.ErrClosedPipe
}

func (s *stream) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

// lines is a LineReader over prepared lines; the prompts are printed as a pipe's reader does. An item "^C" is an interrupt.
type lines struct {
	out   io.Writer
	items []string
	wait  func() // before each line, when set
}

func (l *lines) ReadLine(ctx context.Context, prompt string) (string, error) {
	if _, err := io.WriteString(l.out, prompt); err != nil {
		return "", err
	}
	if l.wait != nil {
		l.wait()
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(l.items) == 0 {
		return "", io.EOF
	}
	item := l.items[0]
	l.items = l.items[1:]
	if item == "^C" {
		return "", ErrInterrupted
	}
	return item, nil
}

// fixture is a session with the fake behind it.
type fixture struct {
	*Session
	d        *daemon
	out, err *bytes.Buffer
	dialled  []string
}

// newFixture has a daemon with the groups web (web_0 running, web_1 stopped), solo (running) and sad (fatal).
func newFixture(t *testing.T, face Face) *fixture {
	t.Helper()
	d := &daemon{
		processes: []control.ProcessInfo{
			{Group: "sad", Name: "sad", State: process.Fatal, Description: "Exited too quickly (process log may have details)"},
			{Group: "solo", Name: "solo", State: process.Running, PID: 100, Description: "pid 100, uptime 0:00:01"},
			{Group: "web", Name: "web_0", State: process.Running, PID: 101, Description: "pid 101, uptime 0:00:01"},
			{Group: "web", Name: "web_1", State: process.Stopped, Description: "Not started"},
		},
		errs:    map[string]error{},
		answers: map[string]any{},
		results: map[string][]control.Result{},
		logs:    map[string]string{"solo stdout": "0123456789\n", "solo stderr": "problems\n", "main": "INFO started\n"},
		streams: map[string]string{},
		opened:  make(chan struct{}, 8),
	}
	f := &fixture{d: d, out: new(bytes.Buffer), err: new(bytes.Buffer)}
	f.Session = &Session{
		Settings: Settings{Program: "ctl", ServerURL: "unix:///s.sock"},
		Face:     face,
		Dial: func(url, user, password string) (Proxy, error) {
			f.dialled = append(f.dialled, strings.TrimSpace(url+" "+user+" "+password))
			return d, nil
		},
		Out:          f.out,
		Err:          f.err,
		ReadPassword: func(prompt string) (string, error) { f.out.WriteString(prompt); return "secret", nil },
		Interruptible: func(ctx context.Context) (context.Context, func()) {
			c, stop := context.WithCancel(ctx)
			return c, stop
		},
	}
	f.In = &lines{out: f.out}
	return f
}

// connectionError is what a client returns when connecting failed.
func connectionError(errno syscall.Errno) error {
	return &os.SyscallError{Syscall: "connect", Err: errno}
}

func bad(code control.Code, text string) error { return control.Fault(code, text) }
