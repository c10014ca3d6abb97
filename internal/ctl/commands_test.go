package ctl

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// row builds a result row.
func row(group, name string, code control.Code) control.Result {
	return control.Result{Group: group, Name: name, Code: code, Text: code.String()}
}

// TestSupervisorctl checks the text and exit code of every verb in the situations that a live daemon does not easily get into too
// (contract: ctl, "Commands"; "Exit codes"; "Preflight").
func TestSupervisorctl(t *testing.T) {
	const (
		table = "sad                              FATAL     Exited too quickly (process log may have details)\n" +
			"solo                             RUNNING   pid 100, uptime 0:00:01\n" +
			"web:web_0                        RUNNING   pid 101, uptime 0:00:01\n" +
			"web:web_1                        STOPPED   Not started\n"
		web0 = "web:web_0                        RUNNING   pid 101, uptime 0:00:01\n"
		web1 = "web:web_1                        STOPPED   Not started\n"
	)
	tests := []struct {
		name  string
		line  string
		setup func(*fixture)
		out   string
		err   string
		exit  int
	}{
		{name: "status", line: "status", out: table, exit: 3},
		{name: "status all beats names", line: "status nope all", out: table, exit: 3},
		{name: "status of running", line: "status web:web_0", out: web0},
		{name: "status of a group", line: "status web:*", out: web0 + web1, exit: 3},
		{name: "status of bad names", line: "status nope nope:* web:web_0", exit: 4,
			out: "nope: ERROR (no such process)\nnope: ERROR (no such group)\n" + web0},
		{name: "status: stopped beats bad name", line: "status web:web_1 nope", exit: 3, out: "nope: ERROR (no such process)\n" + web1},
		{name: "status of nothing", line: "status", setup: func(f *fixture) { f.d.processes = nil }},
		{name: "status widens", line: "status", out: strings.Repeat("x", 31) + "   STARTING  \n",
			setup: func(f *fixture) {
				f.d.processes = []control.ProcessInfo{{Group: strings.Repeat("x", 31), Name: strings.Repeat("x", 31), State: process.Starting}}
			}},
		{name: "status counts characters", line: "status", out: "ü                                STOPPING  \n",
			setup: func(f *fixture) {
				f.d.processes = []control.ProcessInfo{{Group: "ü", Name: "ü", State: process.Stopping}}
			}},

		{name: "start", line: "start web:web_1 solo:solo", out: "web:web_1: started\nsolo: started\n"},
		{name: "start already", line: "start solo", out: "solo: ERROR (already started)\n",
			setup: func(f *fixture) { f.d.errs["Start solo"] = bad(control.AlreadyStarted, "solo") }},
		{name: "start errors, the last one counts", line: "start a b c d e", exit: 7,
			out: "a: ERROR (no such file)\nb: ERROR (file is not executable)\nc: ERROR (no such process)\nd: ERROR (spawn error)\n" +
				"e: ERROR (abnormal termination)\n",
			setup: func(f *fixture) {
				f.d.errs["Start a"], f.d.errs["Start b"] = bad(control.NoFile, "x"), bad(control.NotExecutable, "x")
				f.d.errs["Start d"], f.d.errs["Start e"] = bad(control.SpawnError, "d"), bad(control.AbnormalTermination, "e")
			}},
		{name: "start, a success does not clear the status", line: "start nope solo", out: "nope: ERROR (no such process)\nsolo: started\n", exit: 1},
		{name: "start of a missing group", line: "start nope:*", out: "nope: ERROR (no such group)\n", exit: 2,
			setup: func(f *fixture) { f.d.errs["Start (group) nope"] = bad(control.BadName, "nope") }},
		{name: "start of a group", line: "start web:", out: "web:web_0: ERROR (already started)\nweb:web_1: started\n",
			setup: func(f *fixture) {
				f.d.results["Start"] = []control.Result{row("web", "web_0", control.AlreadyStarted), row("web", "web_1", control.Success)}
			}},
		{name: "start all with nothing to do", line: "start solo all"},
		{name: "start without a name", line: "start", exit: 2,
			out: "Error: start requires a process name\n" + topicOf("start") + "\n"},
		{name: "start in shutdown", line: "start solo web:web_0", exit: 1, out: "error: unknown result code 6 for solo (SHUTDOWN_STATE)\n",
			setup: func(f *fixture) { f.d.errs["Start"] = bad(control.ShutdownState, "") }},
		{name: "start all in shutdown", line: "start all", exit: 1, out: "error: SHUTDOWN_STATE (fault 6)\n",
			setup: func(f *fixture) { f.d.errs["Start"] = bad(control.ShutdownState, "") }},

		{name: "stop", line: "stop solo", out: "solo: stopped\n"},
		{name: "stop of a stopped process", line: "stop web:web_1", out: "web:web_1: ERROR (not running)\n",
			setup: func(f *fixture) { f.d.errs["Stop web:web_1"] = bad(control.NotRunning, "web:web_1") }},
		{name: "stop of a missing group", line: "stop nope:*", out: "nope: ERROR (no such group)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Stop (group) nope"] = bad(control.BadName, "nope") }},
		{name: "stop that failed", line: "stop solo", out: "FAILED: no permission\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Stop solo"] = bad(control.Failed, "no permission") }},
		{name: "stop without a name", line: "stop", out: "Error: stop requires a process name\n" + topicOf("stop") + "\n", exit: 1},
		{name: "restart", line: "restart solo", out: "solo: stopped\nsolo: started\n"},
		{name: "restart of a stopped process", line: "restart web:web_1", out: "web:web_1: ERROR (not running)\nweb:web_1: started\n",
			setup: func(f *fixture) { f.d.errs["Stop web:web_1"] = bad(control.NotRunning, "web:web_1") }},
		{name: "restart of a missing group", line: "restart nope:*", exit: 2, out: "nope: ERROR (no such group)\nnope: ERROR (no such group)\n",
			setup: func(f *fixture) {
				f.d.errs["Stop (group) nope"], f.d.errs["Start (group) nope"] = bad(control.BadName, "nope"), bad(control.BadName, "nope")
			}},
		{name: "restart without a name", line: "restart", exit: 1, out: "Error: restart requires a process name\n" + topicOf("restart") + "\n"},
		{name: "signal", line: "signal HUP solo", out: "solo: signalled\n"},
		{name: "signal to a stopped process", line: "signal HUP web:web_1", out: "web:web_1: ERROR (not running)\n", exit: 7,
			setup: func(f *fixture) { f.d.errs["Signal HUP web:web_1"] = bad(control.NotRunning, "web:web_1") }},
		{name: "bad signal", line: "signal FOO solo", out: "solo: ERROR (bad signal name)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Signal FOO solo"] = bad(control.BadSignal, "FOO") }},
		{name: "signal to a missing group", line: "signal HUP nope:*", out: "nope: ERROR (no such group)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Signal HUP (group) nope"] = bad(control.BadName, "nope") }},
		{name: "signal to all", line: "signal 1 all", out: "web:web_1: ERROR (not running)\nsolo: signalled\n", exit: 7,
			setup: func(f *fixture) {
				f.d.results["Signal 1"] = []control.Result{row("web", "web_1", control.NotRunning), row("solo", "solo", control.Success)}
			}},
		{name: "signal without a name", line: "signal HUP", exit: 1,
			out: "Error: signal requires a signal name and a process name\n" + topicOf("signal") + "\n"},

		{name: "pid", line: "pid", out: "4711\n"},
		{name: "pid of names", line: "pid solo web:web_1 nope", out: "100\n0\nNo such process nope\n", exit: 1},
		{name: "pid of a stopped process", line: "pid nope web:web_1", out: "No such process nope\n0\n", exit: 7},
		{name: "pid all", line: "pid x all", out: "0\n100\n101\n0\n"},
		{name: "pid of a group", line: "pid web:*", out: "No such process web:*\n", exit: 1},

		{name: "tail", line: "tail solo", out: "0123456789\n\n"},
		{name: "tail of stderr", line: "tail solo StdErr", out: "problems\n\n"},
		{name: "tail with three words", line: "tail solo x stderr", out: "problems\n\n"},
		{name: "tail bytes", line: "tail -3 solo stdout", out: "89\n\n"},
		{name: "tail -0 is everything", line: "tail -0 solo", out: "0123456789\n\n"},
		{name: "tail --5 is from byte 5", line: "tail --5 solo", out: "56789\n\n"},
		{name: "tail of more than an int holds", line: "tail -2147483649 solo", out: "error: cannot read the log: 2147483649 is too large a number\n", exit: 1},
		{name: "tail without name", line: "tail", out: "Error: too few arguments\n" + topicOf("tail") + "\n", exit: 1},
		{name: "tail with too many", line: "tail a b c d", out: "Error: too many arguments\n" + topicOf("tail") + "\n", exit: 1},
		{name: "tail bad channel", line: "tail solo foo'bar", out: "Error: bad channel \"foo'bar\"\n", exit: 1},
		{name: "tail bad number", line: "tail -x solo", out: "Error: bad argument -x\n", exit: 1},
		{name: "tail -f without a name", line: "tail -f", out: "Error: tail requires process name\n", exit: 1},
		{name: "tail of nothing", line: "tail nope", out: "nope: ERROR (no such process name)\n", exit: 1},
		{name: "tail without a file", line: "tail solo", out: "solo: ERROR (no log file)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["ReadLog"] = bad(control.NoFile, "/x") }},
		{name: "tail failed", line: "tail solo", out: "solo: ERROR (unknown error reading log)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["ReadLog"] = bad(control.Failed, "/x") }},
		{name: "tail -f of nothing", line: "tail -f nope", out: "==> Press Ctrl-C to exit <==\n",
			err: "unix:///s.sock/logtail/nope/stdout Cannot read, status code 404\n"},
		{name: "maintail", line: "maintail", out: "INFO started\n\n"},
		{name: "maintail bytes", line: "maintail -5", out: "rted\n\n"},
		{name: "maintail word", line: "maintail x", out: "Error: bad argument x\n", exit: 1},
		{name: "maintail bad number", line: "maintail -x", out: "Error: bad argument -x\n", exit: 1},
		{name: "maintail too many", line: "maintail -1 -2", out: "Error: too many arguments\n" + topicOf("maintail") + "\n", exit: 1},
		{name: "maintail without a file", line: "maintail", out: "supervisord: ERROR (no log file)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["ReadLog"] = bad(control.NoFile, "") }},
		{name: "clear", line: "clear solo nope", out: "solo: cleared\nnope: ERROR (no such process)\n", exit: 1},
		{name: "clear failed", line: "clear solo", out: "solo: ERROR (failed)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["ClearLog solo"] = bad(control.Failed, "solo") }},
		{name: "clear of a group (quirk E6)", line: "clear web:*", out: "web:web_0: cleared\nweb:web_1: cleared\n"},
		{name: "clear of a missing group", line: "clear nope:*", out: "nope: ERROR (no such group)\n", exit: 1},
		{name: "clear all", line: "clear all", out: "solo: cleared\nweb:web_0: ERROR (failed)\n", exit: 1,
			setup: func(f *fixture) {
				f.d.results["ClearAllLogs"] = []control.Result{row("solo", "solo", control.Success), row("web", "web_0", control.Failed)}
			}},
		{name: "clear without a name", line: "clear", out: "Error: clear requires a process name\n" + topicOf("clear") + "\n", exit: 1},

		{name: "avail", line: "avail",
			out: "solo                             in use    auto      999:1\nweb:web_0                        avail     manual    5:999\n",
			setup: func(f *fixture) {
				f.d.configs = []control.ConfigInfo{
					{Group: "solo", GroupPriority: 999, InUse: true, Spec: process.Spec{Name: "solo", Autostart: true, Priority: 1}},
					{Group: "web", GroupPriority: 5, Spec: process.Spec{Name: "web_0", Priority: 999}},
				}
			}},
		{name: "avail with arguments", line: "avail x", out: "Error: avail accepts no arguments\n" + topicOf("avail") + "\n", exit: 1},
		{name: "avail in shutdown", line: "avail", out: "ERROR: supervisor shutting down\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Configs"] = bad(control.ShutdownState, "") }},
		{name: "reread", line: "reread", out: "a: changed\nb: available\nc: disappeared\n",
			setup: func(f *fixture) {
				f.d.diff = control.Reread{Added: []string{"b"}, Changed: []string{"a"}, Removed: []string{"c"}}
			}},
		{name: "reread without news", line: "reread", out: "No config updates to processes\n"},
		{name: "reread of a broken file", line: "reread", out: "ERROR: CANT_REREAD: no good\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Reread"] = bad(control.CantReread, "no good") }},
		{name: "reread in shutdown", line: "reread", out: "ERROR: supervisor shutting down\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Reread"] = bad(control.ShutdownState, "") }},
		{name: "reread with arguments", line: "reread x", out: "Error: reread accepts no arguments\n" + topicOf("reread") + "\n", exit: 1},
		{name: "add", line: "add a b c", exit: 1,
			out: "a: added process group\nERROR: process group already active\nERROR: no such process/group: c\n",
			setup: func(f *fixture) {
				f.d.errs["AddGroup b"], f.d.errs["AddGroup c"] = bad(control.AlreadyAdded, "b"), bad(control.BadName, "c")
			}},
		{name: "add of an active group", line: "add b", out: "ERROR: process group already active\n",
			setup: func(f *fixture) { f.d.errs["AddGroup b"] = bad(control.AlreadyAdded, "b") }},
		{name: "add in shutdown", line: "add b", out: "ERROR: shutting down\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["AddGroup b"] = bad(control.ShutdownState, "") }},
		{name: "add of nothing", line: "add"},
		{name: "remove", line: "remove a b c", exit: 1,
			out: "a: removed process group\nERROR: process/group still running: b\nERROR: no such process/group: c\n",
			setup: func(f *fixture) {
				f.d.errs["RemoveGroup b"], f.d.errs["RemoveGroup c"] = bad(control.StillRunning, "b"), bad(control.BadName, "c")
			}},
		{name: "remove in shutdown", line: "remove b", out: "error: SHUTDOWN_STATE (fault 6)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["RemoveGroup b"] = bad(control.ShutdownState, "") }},
		{name: "update", line: "update", setup: withDiff,
			out: "old: stopped\nold: removed process group\nweb: stopped\nweb: updated process group\nnew: added process group\n"},
		{name: "update all", line: "update nope all", setup: withDiff,
			out: "old: stopped\nold: removed process group\nweb: stopped\nweb: updated process group\nnew: added process group\n"},
		{name: "update of groups", line: "update new nope nope", setup: withDiff, exit: 1,
			out: "ERROR: no such group: nope\nnew: added process group\n"},
		{name: "update with a process that does not stop", line: "update", exit: 1,
			out: "old: stopped\nold: has problems; not removing\nweb: stopped\nweb: updated process group\nnew: added process group\n",
			setup: func(f *fixture) {
				withDiff(f)
				f.d.results["Stop"] = []control.Result{row("old", "old", control.Failed)}
			}},
		{name: "update without news", line: "update"},
		{name: "update of a broken file (quirk B8)", line: "update", out: "ERROR: CANT_REREAD: no good\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Reread"] = bad(control.CantReread, "no good") }},
		{name: "update in shutdown", line: "update", out: "ERROR: already shutting down\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Reread"] = bad(control.ShutdownState, "") }},

		{name: "reload", line: "reload", out: "Restarted supervisord\n"},
		{name: "reload in shutdown", line: "reload", out: "ERROR: already shutting down\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Restart"] = bad(control.ShutdownState, "") }},
		{name: "reload of a broken file (quirk C17)", line: "reload", out: "ERROR: CANT_REREAD: no good\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Restart"] = bad(control.CantReread, "no good") }},
		{name: "reload with arguments", line: "reload x", out: "Error: reload accepts no arguments\n" + topicOf("reload") + "\n", exit: 1},
		{name: "shutdown", line: "shutdown", out: "Shut down\n"},
		{name: "shutdown in shutdown", line: "shutdown", out: "ERROR: already shutting down\n",
			setup: func(f *fixture) { f.d.errs["Shutdown"] = bad(control.ShutdownState, "") }},
		{name: "shutdown without a daemon", line: "shutdown", out: "ERROR: unix:///s.sock refused connection (already shut down?)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Shutdown"] = connectionError(syscall.ECONNREFUSED) }},
		{name: "shutdown without a socket", line: "shutdown", out: "ERROR: unix:///s.sock no such file (already shut down?)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Shutdown"] = connectionError(syscall.ENOENT) }},
		{name: "shutdown with arguments", line: "shutdown x", out: "Error: shutdown accepts no arguments\n" + topicOf("shutdown") + "\n", exit: 1},
		{name: "version", line: "version", out: "4.2.5\n"},
		{name: "version with arguments", line: "version x", out: "Error: version accepts no arguments\n" + topicOf("version") + "\n", exit: 1},
		{name: "open", line: "open http://other:9001", out: table},
		{name: "open of a bad URL", line: "open foo", out: "ERROR: url must be http:// or unix://\n", exit: 1},
		{name: "open of a dead daemon", line: "open unix:///gone", out: "unix:///gone no such file\n",
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = connectionError(syscall.ENOENT) }},

		{name: "fg without a name", line: "fg", out: "ERROR: no process name supplied\n" + topicOf("fg") + "\n", exit: 1},
		{name: "fg of two", line: "fg a b", out: "ERROR: too many process names supplied\n", exit: 1},
		{name: "fg of nothing", line: "fg nope", out: "ERROR: bad process name supplied\n", exit: 1},
		{name: "fg of a stopped process", line: "fg web:web_1", out: "ERROR: process not running\n", exit: 1},
		{name: "fg with another fault", line: "fg solo", out: "ERROR: SHUTDOWN_STATE\n",
			setup: func(f *fixture) { f.d.errs["Process solo"] = bad(control.ShutdownState, "") }},

		{name: "preflight: refused", line: "start solo", out: "unix:///s.sock refused connection\n", exit: 4,
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = connectionError(syscall.ECONNREFUSED) }},
		{name: "preflight: no socket", line: "version", out: "unix:///s.sock no such file\n", exit: 7,
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = connectionError(syscall.ENOENT) }},
		{name: "preflight: no socket, status", line: "status", out: "unix:///s.sock no such file\n", exit: 4,
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = connectionError(syscall.ENOENT) }},
		{name: "preflight: another errno", line: "status", out: "error: connect: host is down\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = connectionError(syscall.EHOSTDOWN) }},
		{name: "preflight: other API", line: "start solo", exit: 5, setup: func(f *fixture) { f.d.answers["supervisor.getVersion"] = "2.0" },
			out: "Sorry, this version of supervisorctl expects to talk to a server with API version 3.0, but the remote version is 2.0.\n"},
		{name: "preflight: no namespace", line: "stop solo", exit: 3,
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = bad(control.UnknownMethod, "") },
			out: "Sorry, supervisord responded but did not recognize the supervisor namespace commands that supervisorctl uses to control it.  " +
				"Please check that the [rpcinterface:supervisor] section is enabled in the configuration file (see sample.conf).\n"},
		{name: "preflight: shutdown", line: "status", out: "error: SHUTDOWN_STATE (fault 6)\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["supervisor.getVersion"] = bad(control.ShutdownState, "") }},
		{name: "no preflight", line: "reread", out: "error: connect: connection refused\n", exit: 1,
			setup: func(f *fixture) { f.d.errs["Reread"] = connectionError(syscall.ECONNREFUSED) }},
		{name: "wrong password (quirk E3)", line: "status", out: "Server requires authentication\n", exit: 1,
			setup: func(f *fixture) {
				f.d.errs["supervisor.getVersion"] = &client.ProtocolError{URL: "127.0.0.1/RPC2", Code: 401, Reason: "Unauthorized"}
			}},
		{name: "server error", line: "status", out: "error: the server answered 500 Internal Server Error\n", exit: 1,
			setup: func(f *fixture) {
				f.d.errs["Processes"] = &client.ProtocolError{URL: "127.0.0.1/RPC2", Code: 500, Reason: "Internal Server Error"}
			}},

		{name: "unknown verb", line: "Status x", out: "*** Unknown syntax: Status x\n", exit: 1},
		{name: "no verb", line: "-x", out: "*** Unknown syntax: -x\n", exit: 1},
		{name: "shell escape", line: "!ls", out: "*** Unknown syntax: !ls\n", exit: 1},
		{name: "empty", line: "  "},
		{name: "verb glued to its argument", line: "pid/x", out: "No such process /x\n", exit: 1},
		{name: "quit", line: "quit now", out: "\n"},
		{name: "EOF", line: "EOF", out: "\n"},
		{name: "help of the unknown", line: "help a b", out: "*** No help on a b\n"},
		{name: "help of help", line: "? help ", out: "help\t\tPrint a list of available actions\nhelp <action>\tPrint help for <action>\n"},
		{name: "help of a verb", line: "?add", out: "add <name> [...]\tActivates any updates in config for process/group\n"},
		{name: "E11", line: "status ü", out: "\\xfc: ERROR (no such process)\n", exit: 4, setup: func(f *fixture) { f.EscapeOutput = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, Supervisorctl)
			if tt.setup != nil {
				tt.setup(f)
			}
			exit := f.Run(context.Background(), strings.Split(tt.line, " "))
			if f.out.String() != tt.out {
				t.Errorf("stdout:\n%swant:\n%s", f.out, tt.out)
			}
			if f.err.String() != tt.err {
				t.Errorf("stderr:\n%swant:\n%s", f.err, tt.err)
			}
			if exit != tt.exit {
				t.Errorf("exit %d, want %d", exit, tt.exit)
			}
			if f.d.closed != len(f.dialled) {
				t.Errorf("%d connections opened, %d closed", len(f.dialled), f.d.closed)
			}
		})
	}
}

func withDiff(f *fixture) {
	f.d.diff = control.Reread{Added: []string{"new"}, Changed: []string{"web"}, Removed: []string{"old"}}
}

func topicOf(verb string) string { return (&Session{}).topic(verb) }

// TestUpdateCalls checks that update drives the four calls in the order that Supervisor's client does.
func TestUpdateCalls(t *testing.T) {
	f := newFixture(t, Supervisorctl)
	withDiff(f)
	f.Run(context.Background(), []string{"update"})
	want := "Reread, Stop (group) old, RemoveGroup old, Stop (group) web, RemoveGroup web, AddGroup web, AddGroup new"
	if got := strings.Join(f.d.calls, ", "); got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
}

// TestHelpListing compares the listing with Supervisor's.
func TestHelpListing(t *testing.T) {
	const listing = `
default commands (type help <topic>):
=====================================
add    exit      open  reload  restart   start   tail   
avail  fg        pid   remove  shutdown  status  update 
clear  maintail  quit  reread  signal    stop    version

`
	named := func(name string) string {
		ruler := strings.Repeat("=", len(name)+len(" commands (type help <topic>):"))
		return "\n" + name + " commands (type help <topic>):\n" + ruler + "\ngrace_update\n\n"
	}
	for _, tt := range []struct {
		face    Face
		plain   bool
		plugins []string
		want    string
	}{
		{Supervisorctl, false, nil, listing},
		{Supervisorctl, false, []string{"grace"}, listing + named("grace")},
		{Supervisorctl, false, []string{"other"}, listing + named("other")},
		{Gracectl, true, nil, listing + named("grace")},
		{Gracectl, true, []string{"mine"}, listing + named("mine")},
	} {
		f := newFixture(t, tt.face)
		f.Plain, f.Plugins = tt.plain, tt.plugins
		if f.Run(context.Background(), []string{"help"}); f.out.String() != tt.want {
			t.Errorf("face %v, plugins %v:\n%s", tt.face, tt.plugins, f.out)
		}
	}
}
