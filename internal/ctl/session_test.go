package ctl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

const soloRow = "solo                             RUNNING   pid 100, uptime 0:00:01\n"

// oneProcess leaves only solo, so that the shell's first status is one row.
func oneProcess(f *fixture) { f.d.processes = f.d.processes[1:2] }

func TestShell(t *testing.T) {
	tests := []struct {
		name  string
		items []string
		setup func(*fixture)
		out   string // behind the first status row
	}{
		{name: "end of input", out: "supervisor> \n"},
		{name: "commands", items: []string{"pid solo", "", "  ", "version", "quit", "version"}, out: "supervisor> 100\nsupervisor> supervisor> supervisor> 4.2.5\nsupervisor> \n"},
		{name: "an empty line repeats nothing", items: []string{"version", ""}, out: "supervisor> 4.2.5\nsupervisor> supervisor> \n"},
		{name: "exit", items: []string{"exit"}, out: "supervisor> \n"},
		{name: "the word EOF", items: []string{"EOF", "version"}, out: "supervisor> \n"},
		{name: "Ctrl-C", items: []string{"^C", "version"}, out: "supervisor> \n"},
		{name: "own prompt", items: []string{"nope"}, setup: func(f *fixture) { f.Prompt = "web1" }, out: "web1> *** Unknown syntax: nope\nweb1> \n"},
		{name: "confirmed", items: []string{"shutdown", "Yes", "reload", "yo"},
			out: "supervisor> Really shut the remote supervisord process down y/N? Shut down\n" +
				"supervisor> Really restart the remote supervisord process y/N? Restarted supervisord\nsupervisor> \n"},
		{name: "not confirmed", items: []string{"shutdown", "", "reload", "no"},
			out: "supervisor> Really shut the remote supervisord process down y/N? " +
				"supervisor> Really restart the remote supervisord process y/N? supervisor> \n"},
		{name: "open moves", items: []string{"open http://other:1", "version"}, out: "supervisor> " + soloRow + "supervisor> 4.2.5\nsupervisor> \n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, Supervisorctl)
			oneProcess(f)
			if tt.setup != nil {
				tt.setup(f)
			}
			f.In = &lines{out: f.out, items: tt.items}
			if exit := f.Run(context.Background(), nil); exit != 0 {
				t.Errorf("exit %d", exit)
			}
			if got := f.out.String(); got != soloRow+tt.out || f.err.Len() > 0 {
				t.Errorf("stdout:\n%q\nwant:\n%q\nstderr: %s", got, soloRow+tt.out, f.err)
			}
			if tt.name == "open moves" && f.dialled[len(f.dialled)-1] != "http://other:1" {
				t.Errorf("dialled %q", f.dialled)
			}
		})
	}
}

// TestLogin checks that an unauthorised command asks for credentials, is repeated with them, and that they stay.
func TestLogin(t *testing.T) {
	f := newFixture(t, Supervisorctl)
	oneProcess(f)
	unauthorised := &client.ProtocolError{URL: "127.0.0.1/RPC2", Code: 401, Reason: "Unauthorized"}
	f.Dial = func(url, user, password string) (Proxy, error) {
		f.dialled = append(f.dialled, user+":"+password)
		delete(f.d.errs, "supervisor.getVersion")
		if user != "me" {
			f.d.errs["supervisor.getVersion"] = unauthorised
		}
		return f.d, nil
	}
	f.Username, f.Password = "old", "wrong"
	f.In = &lines{out: f.out, items: []string{"you", "me", "version"}}
	if exit := f.Run(context.Background(), nil); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	want := strings.Repeat("Server requires authentication\nUsername:Password:\n", 2) + soloRow + "supervisor> 4.2.5\nsupervisor> \n"
	if f.out.String() != want {
		t.Errorf("stdout:\n%q\nwant:\n%q", f.out, want)
	}
	if got := strings.Join(f.dialled, " "); got != "old:wrong you:secret me:secret me:secret" {
		t.Errorf("dialled %s", got)
	}

	// Without a name to be had the command fails once.
	f = newFixture(t, Supervisorctl)
	f.Interactive = true
	f.d.errs["supervisor.getVersion"] = unauthorised
	if exit := f.Run(context.Background(), []string{"version"}); exit != 1 || f.out.String() != "Server requires authentication\nUsername:error: EOF\n" {
		t.Errorf("exit %d, stdout %q", exit, f.out)
	}
}

// TestLoginInterrupted checks that Ctrl-C at a question of the login leaves the shell, and fails a single command.
func TestLoginInterrupted(t *testing.T) {
	for _, args := range [][]string{nil, {"version"}} {
		f := newFixture(t, Supervisorctl)
		f.Interactive = true
		f.d.errs["supervisor.getVersion"] = &client.ProtocolError{URL: "127.0.0.1/RPC2", Code: 401, Reason: "Unauthorized"}
		f.In = &lines{out: f.out, items: []string{"me", "version"}}
		f.ReadPassword = func(string) (string, error) { return "", ErrInterrupted }
		exit := f.Run(context.Background(), args)
		if want := len(args); exit != want || f.out.String() != "Server requires authentication\nUsername:\n" {
			t.Errorf("%q: exit %d, want %d; stdout %q", args, exit, want, f.out)
		}
	}
}

// interruptible makes Ctrl-C a call: it cancels every context handed out so far.
func interruptible(f *fixture) (interrupt func()) {
	var cancels []func()
	f.Interruptible = func(ctx context.Context) (context.Context, func()) {
		c, cancel := context.WithCancel(ctx)
		cancels = append(cancels, cancel)
		return c, cancel
	}
	return func() {
		for _, c := range cancels {
			c()
		}
	}
}

func TestFollow(t *testing.T) {
	for _, tt := range []struct{ line, path string }{
		{"tail -f solo", "/logtail/solo/stdout"},
		{"tail -f solo stderr", "/logtail/solo/stderr"},
		{"maintail -f", "/mainlogtail"},
	} {
		f := newFixture(t, Supervisorctl)
		interrupt := interruptible(f)
		f.d.streams[tt.path] = "so far\nand on\xff"
		go func() {
			<-f.d.opened
			interrupt()
		}()
		if exit := f.Run(context.Background(), strings.Fields(tt.line)); exit != 0 {
			t.Errorf("%s: exit %d", tt.line, exit)
		}
		if want := exitHint + "\nso far\nand on\xff\n"; f.out.String() != want || f.err.Len() > 0 {
			t.Errorf("%s: stdout %q, want %q; stderr %q", tt.line, f.out, want, f.err)
		}
	}
}

// TestFollowInShell checks that Ctrl-C ends the tail and not the shell, while it ends the shell during other commands.
func TestFollowInShell(t *testing.T) {
	f := newFixture(t, Supervisorctl)
	oneProcess(f)
	interrupt := interruptible(f)
	f.d.streams["/mainlogtail"] = "x\n"
	f.In = &lines{out: f.out, items: []string{"maintail -f", "version", "signal HUP solo", "version"}}
	go func() {
		<-f.d.opened
		interrupt()
	}()
	f.d.errs["Signal HUP solo"] = context.Canceled
	inner := f.Interruptible
	n := 0
	f.Interruptible = func(ctx context.Context) (context.Context, func()) {
		c, stop := inner(ctx)
		// The shell, status, prompt, maintail, its own, prompt, version, prompt, signal.
		if n++; n == 9 {
			stop()
		}
		return c, stop
	}
	f.Run(context.Background(), nil)
	want := soloRow + "supervisor> " + exitHint + "\nx\n\nsupervisor> 4.2.5\nsupervisor> \n"
	if f.out.String() != want {
		t.Errorf("stdout:\n%q\nwant:\n%q", f.out, want)
	}
}

func TestForeground(t *testing.T) {
	tests := []struct {
		name  string
		items []string
		setup func(*fixture)
		out   string
		typed string
		exit  int
	}{
		{name: "end of input", items: []string{"hello", "you"}, out: "Exiting foreground\n", typed: "hello\nyou\n"},
		{name: "Ctrl-C", items: []string{"a", "^C", "b"}, out: "Exiting foreground\n", typed: "a\n"},
		{name: "dead before the line", items: []string{"a"}, out: "Process got killed\nExiting foreground\n",
			setup: func(f *fixture) { f.d.errs["WriteStdin solo"] = bad(control.NotRunning, "solo") }},
		{name: "dead after the line", items: []string{"a", "b"}, out: "Process got killed\nExiting foreground\n", typed: "a\n",
			setup: func(f *fixture) { f.d.onStdin = func() { f.d.processes[0].State = process.Exited } }},
		{name: "no stdin", items: []string{"a", "b"}, out: "ERROR: NO_FILE: solo\nExiting foreground\n",
			setup: func(f *fixture) { f.d.errs["WriteStdin solo"] = bad(control.NoFile, "solo") }},
		{name: "daemon gone", items: []string{"a", "b"}, out: "error: connect: connection refused\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["WriteStdin solo"] = connectionError(syscall.ECONNREFUSED) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, Supervisorctl)
			oneProcess(f)
			f.d.streams["/logtail/solo/stdout"], f.d.streams["/logtail/solo/stderr"] = "out\n", "out\n"
			if tt.setup != nil {
				tt.setup(f)
			}
			first := true
			f.In = &lines{out: io.Discard, items: tt.items, wait: func() {
				if first { // both streams have shown what there is
					<-f.d.opened
					<-f.d.opened
				}
				first = false
			}}
			exit := f.Run(context.Background(), []string{"fg", "solo"})
			if want := exitHint + "\nout\nout\n" + tt.out; f.out.String() != want || exit != tt.exit {
				t.Errorf("exit %d, stdout %q, want %d, %q", exit, f.out, tt.exit, want)
			}
			if f.d.typed != tt.typed {
				t.Errorf("the process got %q, want %q", f.d.typed, tt.typed)
			}
		})
	}
}

// TestForegroundInterruptedWhileSending checks that Ctrl-C ends fg, and not the shell, when it comes while a line is on its way.
func TestForegroundInterruptedWhileSending(t *testing.T) {
	f := newFixture(t, Supervisorctl)
	oneProcess(f)
	f.d.opened = nil
	f.d.streams["/logtail/solo/stdout"], f.d.streams["/logtail/solo/stderr"] = "", ""
	f.d.onStdin = interruptible(f)
	f.In = &lines{out: f.out, items: []string{"fg solo", "a", "version"}}
	f.Run(context.Background(), nil)
	want := soloRow + "supervisor> " + exitHint + "\nExiting foreground\nsupervisor> 4.2.5\nsupervisor> \n"
	if f.out.String() != want || f.d.typed != "a\n" {
		t.Errorf("the process got %q, stdout:\n%q\nwant:\n%q", f.d.typed, f.out, want)
	}
}

// TestGraceUpdate checks both protocols under both names, with the frozen texts (contract: ctl, "grace_update"; quirks G5, G10, G11).
func TestGraceUpdate(t *testing.T) {
	old := func(n control.Numprocs) func(*fixture) {
		return func(f *fixture) {
			f.d.errs["GraceUpdate"] = bad(control.UnknownMethod, "")
			f.d.numprocs = n
		}
	}
	const (
		priority = "Not only numprocs has changed: priority is difference"
		help     = "grace_update xxx\tgrace_update programe xxx\n"
	)
	tests := []struct {
		name    string
		line    string
		setup   func(*fixture)
		out     string
		exit    int
		graceIs int    // gracectl's exit code where it differs
		calls   string // of the old protocol
	}{
		{name: "grown", line: "grace_update web", out: "web:web_2 added\nweb:web_3 added\n",
			setup: func(f *fixture) { f.d.grace = control.GraceResult{Added: []string{"web:web_2", "web:web_3"}} }},
		{name: "shrunk", line: "grace_update web", out: "web:web_1 stoped\nweb:web_1 removed\nweb:web_2 removed\n",
			setup: func(f *fixture) {
				f.d.grace = control.GraceResult{Stopped: []string{"web:web_1"}, Removed: []string{"web:web_1", "web:web_2"}}
			}},
		{name: "equal", line: "grace_update web", out: "No need to update\n",
			setup: func(f *fixture) { f.d.grace.Message = plan.NothingToDo }},
		{name: "refused", line: "grace_update web", out: priority + "\n", graceIs: 11,
			setup: func(f *fixture) {
				f.d.grace = control.GraceResult{Refused: true, Message: priority, Fields: []string{"priority", "command"}}
			}},
		{name: "a surplus process stays", line: "grace_update web", exit: 1,
			out: "web:web_1 stoped\nweb:web_1 removed\nerror: cannot finish grace_update of web:web_2: STILL_RUNNING: web_2\n",
			setup: func(f *fixture) {
				f.d.grace = control.GraceResult{Stopped: []string{"web:web_1"}, Removed: []string{"web:web_1"},
					Failed: []control.Result{{Group: "web", Name: "web_2", Code: control.StillRunning, Text: "STILL_RUNNING: web_2"}}}
			}},
		{name: "broken file", line: "grace_update web", out: "ERROR: CANT_REREAD: no good\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["GraceUpdate"] = bad(control.CantReread, "no good") }},
		{name: "unknown group", line: "grace_update nope", out: "error: BAD_NAME: group: nope (fault 10)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["GraceUpdate"] = bad(control.BadName, "group: nope") }},
		{name: "no argument", line: "grace_update", out: help, exit: 1},
		{name: "two arguments", line: "grace_update a b", out: help, exit: 1},
		{name: "quoted argument", line: "grace_update 'web'", out: "No need to update\n",
			setup: func(f *fixture) { f.d.grace.Message = plan.NothingToDo }},
		{name: "open quote", line: "grace_update 'web", out: "error: No closing quotation\n", exit: 1},

		{name: "old: grown", line: "grace_update web", out: "web:web_2 added\n", setup: old(control.Numprocs{Type: "add", Processes: []string{"web:web_2"}}),
			calls: "GraceUpdate web, UpdateNumprocs web"},
		{name: "old: shrunk", line: "grace_update web", out: "web:web_0 stoped\nweb:web_1 stoped\nweb:web_0 removed\nweb:web_1 removed\n",
			setup: old(control.Numprocs{Type: "reduce", Processes: []string{"web:web_0", "web:web_1"}}),
			calls: "GraceUpdate web, UpdateNumprocs web, Stop web:web_0, Stop web:web_1, RemoveProcess web web_0, RemoveProcess web web_1"},
		{name: "old: surplus already stopped (quirk G5)", line: "grace_update web", out: "web:web_0 stoped\nweb:web_0 removed\nweb:web_1 removed\n",
			setup: func(f *fixture) {
				old(control.Numprocs{Type: "reduce", Processes: []string{"web:web_0", "web:web_1"}})(f)
				f.d.errs["Stop web:web_1"] = bad(control.NotRunning, "web:web_1")
			},
			calls: "GraceUpdate web, UpdateNumprocs web, Stop web:web_0, Stop web:web_1, RemoveProcess web web_0, RemoveProcess web web_1"},
		{name: "old: surplus cannot be removed", line: "grace_update web", exit: 1, out: "web:web_0 stoped\nerror: STILL_RUNNING: web_0 (fault 91)\n",
			setup: func(f *fixture) {
				old(control.Numprocs{Type: "reduce", Processes: []string{"web:web_0"}})(f)
				f.d.errs["RemoveProcess web web_0"] = bad(control.StillRunning, "web_0")
			}},
		{name: "old: equal", line: "grace_update web", out: "No need to update\n", setup: old(control.Numprocs{Type: "error", Message: plan.NothingToDo})},
		{name: "old: refused", line: "grace_update web", out: priority + "\n", setup: old(control.Numprocs{Type: "error", Message: priority}),
			graceIs: 11},
		{name: "no plugin at all", line: "grace_update web", out: "error: UNKNOWN_METHOD (fault 1)\n", exit: 1,
			setup: func(f *fixture) {
				old(control.Numprocs{})(f)
				f.d.errs["UpdateNumprocs"] = bad(control.UnknownMethod, "")
			}},
	}
	for _, tt := range tests {
		for _, face := range []Face{Supervisorctl, Gracectl} {
			f := newFixture(t, face)
			f.Plain = face == Gracectl
			if tt.setup != nil {
				tt.setup(f)
			}
			exit := f.Run(context.Background(), strings.Fields(tt.line))
			wantExit := tt.exit
			if face == Gracectl {
				wantExit = max(tt.exit, tt.graceIs)
			}
			if f.out.String() != tt.out || f.err.Len() > 0 || exit != wantExit {
				t.Errorf("%s (face %v): exit %d, stdout %q, stderr %q\nwant %d, %q", tt.name, face, exit, f.out, f.err, wantExit, tt.out)
			}
			if got := strings.Join(f.d.calls, ", "); tt.calls != "" && got != tt.calls {
				t.Errorf("%s: calls %s, want %s", tt.name, got, tt.calls)
			}
		}
	}
}

// TestPlainReader checks prompts, a last line without an end, and that an interrupted read loses no line.
func TestPlainReader(t *testing.T) {
	var out bytes.Buffer
	r := NewPlainReader(strings.NewReader("one\n\ntwo"), &out)
	for _, want := range []string{"one", "", "two"} {
		if got, err := r.ReadLine(context.Background(), "> "); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if _, err := r.ReadLine(context.Background(), "> "); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if out.String() != "> > > > " {
		t.Errorf("prompts %q", out.String())
	}

	in, feed := io.Pipe()
	r = NewPlainReader(in, io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.ReadLine(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	go func() { _, _ = io.WriteString(feed, "kept\n") }()
	if got, err := r.ReadLine(context.Background(), ""); got != "kept" || err != nil {
		t.Errorf("after the interrupt: %q, %v", got, err)
	}
}
