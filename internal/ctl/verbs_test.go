package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

const (
	nobodyHere = "error[E301]: no daemon answers at unix:///s.sock (no such file)\n  try: graced -c FILE to start a daemon, or ctl -s URL to ask another one\n"
	endedHere  = "error[E301]: the daemon at unix:///s.sock ended before it answered\n  what was asked for may have been done all the same: ctl status, as soon as a daemon answers\n"
	shownTable = "NAME        STATE     PID   UPTIME           NOTE\n" +
		"sad         FATAL     -     -                Exited too quickly (process log may have details)\n" +
		"solo        RUNNING   100   0:00:09\n" +
		"web:web_0   RUNNING   101   1 day, 0:00:09\n" +
		"web:web_1   STOPPED   -     -                Not started\n"
)

// timed gives the running processes of the fake their times.
func timed(f *fixture) {
	f.ServerURL = "http://elsewhere:9001" // no look into the /proc of this machine
	now := time.Unix(1_800_000_000, 0)
	for i := range f.d.processes {
		p := &f.d.processes[i]
		p.Now = now
		switch p.Name {
		case "solo":
			p.Start = now.Add(-9 * time.Second)
		case "web_0":
			p.Start = now.Add(-24*time.Hour - 9*time.Second)
		case "sad":
			p.Start, p.Stop, p.ExitStatus = now.Add(-20*time.Second), now.Add(-19*time.Second), 3
		}
	}
}

// TestGracectl checks texts, problems and exit codes of gracectl's verbs.
func TestGracectl(t *testing.T) {
	failing := func(key string, err error) func(*fixture) { return func(f *fixture) { f.d.errs[key] = err } }
	unreachable := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no route to host")}
	refusedGrace := control.GraceResult{Refused: true, Message: "Other settings has changed, please use update", Fields: []string{"priority", "command"}}
	tests := []struct {
		name, line string
		setup      func(*fixture)
		out, err   string
		exit       int
		calls      string // "" = not compared
	}{
		{name: "status", line: "status", setup: timed, out: shownTable + "2 running, 1 stopped, 1 fatal\n"},
		{name: "status of a graced", line: "status solo sad", setup: func(f *fixture) {
			withChanges(f)
			f.d.changes.standing.Restarts = map[string]int{"sad:sad": 3, "web:web_0": 9}
		}, out: "NAME   STATE     PID   RESTARTS   NOTE\nsolo   RUNNING   100   0\nsad    FATAL     -     3          Exited too quickly (process log may have details)\n1 running, 1 fatal\nweb:a: no limit\n"},
		{name: "nothing to show", line: "status", setup: func(f *fixture) { f.d.processes = nil }, out: "no processes\n"},
		{name: "columns without facts are left out", line: "status solo", out: "NAME   STATE     PID\nsolo   RUNNING   100\n1 running\n"},
		{name: "status of a state", line: "status --state stopped", out: "NAME        STATE     NOTE\nweb:web_1   STOPPED   Not started\n1 stopped\n"},
		{name: "a state nobody is in", line: "status --state UNKNOWN", out: "no processes\n"},
		{name: "what exists is shown beside what does not", line: "status nope solo", exit: 1, err: "error[E310]: no process \"nope\"\n",
			out: "NAME   STATE     PID\nsolo   RUNNING   100\n1 running\n"},
		{name: "each once", line: "status solo solo s*", out: "NAME   STATE     PID   NOTE\nsolo   RUNNING   100\n" +
			"sad    FATAL     -     Exited too quickly (process log may have details)\n1 running, 1 fatal\n"},
		{name: "exit 3 of --exit-code", line: "status --exit-code web:web_1", out: "NAME        STATE     NOTE\nweb:web_1   STOPPED   Not started\n1 stopped\n", exit: 3},
		{name: "exit 0 of --exit-code", line: "status solo --exit-code", out: "NAME   STATE     PID\nsolo   RUNNING   100\n1 running\n"},

		{name: "exit 1", line: "start solo", setup: failing("Start solo:solo", bad(control.SpawnError, "solo")), out: "solo: ERROR (spawn error)\n", exit: 1},
		{name: "a fault without words of ours", line: "stop solo", setup: failing("Stop solo:solo", bad(control.Failed, "no permission")),
			out: "solo: ERROR (no permission)\n", exit: 1},
		{name: "exit 2", line: "start", err: "error[E312]: start: which processes? Names, group:*, a pattern, /regular expression/, --state or all\n", exit: 2},
		{name: "exit 2 of an option", line: "status --nope", err: "error[E312]: status: option --nope not recognized\n", exit: 2},
		{name: "an option of another verb", line: "status --parallel 2", err: "error[E312]: status: option --parallel not recognized\n", exit: 2},
		{name: "an option before another one with a value", line: "stop solo --dry-run -o", err: "error[E312]: stop: option -o requires argument\n", exit: 2},
		{name: "an option without its value", line: "start solo -o", err: "error[E312]: start: option -o requires argument\n", exit: 2},
		{name: "no state", line: "stop --state DEAD", exit: 2,
			err: "error[E312]: stop: no state 'DEAD': the states are STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN\n"},
		{name: "no verb", line: "stat x", err: "error[E312]: no verb \"stat\"\n  did you mean start, status?   all verbs: ctl help\n", exit: 2},
		{name: "words too many", line: "version x", err: "error[E312]: version: takes no arguments, and got 'x'\n", exit: 2},
		{name: "exit 4, no socket", line: "status", setup: failing("Processes", connectionError(syscall.ENOENT)), err: nobodyHere, exit: 4},
		{name: "exit 4, other verb", line: "reread", setup: failing("Reread", connectionError(syscall.ENOENT)), err: nobodyHere, exit: 4},
		{name: "exit 4, refused", line: "shutdown", setup: failing("Shutdown", connectionError(syscall.ECONNREFUSED)), exit: 4,
			err: strings.Replace(nobodyHere, "no such file", "connection refused", 1)},
		{name: "exit 4, unreachable", line: "version", setup: failing("Daemon", unreachable), exit: 4,
			err: strings.Replace(nobodyHere, "no such file", "no route to host", 1)},
		{name: "exit 4, it ends before the answer", line: "start solo", setup: failing("Start", fmt.Errorf("cannot reach it: %w", client.ErrHungUp)), exit: 4, err: endedHere},
		{name: "exit 4, it ends in the middle of the answer", line: "version", setup: failing("Daemon", fmt.Errorf("cannot read it: %w", io.ErrUnexpectedEOF)), exit: 4, err: endedHere},
		{name: "exit 4, it ends before the answer of fg", line: "fg solo", setup: failing("Process", connectionError(syscall.ECONNRESET)), exit: 4, err: endedHere},
		{name: "exit 4, fg", line: "fg solo", setup: failing("supervisor.getVersion", connectionError(syscall.ENOENT)), err: nobodyHere, exit: 4},
		{name: "exit 4, not let in", line: "status", setup: failing("Processes", &client.ProtocolError{Code: 401, Reason: "Unauthorized"}), exit: 4,
			err: "error[E302]: unix:///s.sock wants another name and password (401 Unauthorized)\n" +
				"  try: ctl -u NAME -p PASSWORD status      or username and password of [supervisorctl]\n"},
		{name: "a broken daemon", line: "status", setup: failing("Processes", &client.ProtocolError{Code: 500, Reason: "Internal Server Error"}), exit: 1,
			err: "error[E300]: unix:///s.sock answered 500 Internal Server Error\n"},
		{name: "no namespace", line: "status", setup: failing("Processes", bad(control.UnknownMethod, "")), exit: 1,
			err: "error[E306]: the daemon at unix:///s.sock does not know the call\n  its file needs an [rpcinterface:supervisor] with Supervisor's own factory\n"},
		{name: "at its end", line: "start all", setup: failing("Start", bad(control.ShutdownState, "")), err: "error[E309]: the daemon at unix:///s.sock is shutting down\n", exit: 1},

		{name: "one of a group", line: "start web_0", exit: 1, err: "error[E310]: no process \"web_0\"\n" +
			"  did you mean web:web_0, web:web_1?   all of group web: ctl start 'web:*'\n"},
		{name: "a typing error", line: "stop sollo", err: "error[E310]: no process \"sollo\"\n  did you mean solo?\n", exit: 1},
		{name: "a group without its star", line: "signal HUP web", err: "error[E310]: no process \"web\"\n  group web has 2; all of them: ctl signal HUP 'web:*'\n", exit: 1},
		{name: "a group that is nearly one", line: "start wep:*", err: "error[E310]: no process \"wep:*\"\n  did you mean web:*?\n", exit: 1},
		{name: "a pattern of nothing", line: "stop x*y", err: "error[E310]: no process \"x*y\"\n  all names: ctl status -o name\n", exit: 1},
		{name: "no pattern", line: "stop [", err: "error[E312]: stop: no pattern: '['\n", exit: 2},
		{name: "no regular expression", line: "stop /(/", err: "error[E312]: stop: no regular expression: error parsing regexp: missing closing ): `(`\n", exit: 2},
		{name: "nothing is touched when one name is wrong", line: "stop solo nope", err: "error[E310]: no process \"nope\"\n", exit: 1, calls: "Processes"},
		{name: "fg of a typing error", line: "fg solu", err: "error[E310]: no process \"solu\"\n  did you mean solo?\n", exit: 1},
		{name: "no processes at all", line: "stop x", setup: func(f *fixture) { f.d.processes = nil }, exit: 1,
			err: "error[E310]: no process \"x\"\n  the daemon has no processes at all\n"},

		{name: "add --dry-run", line: "add new --dry-run", setup: withPreview, out: "new: would be added, and start web:web_2\n", calls: "Preview add new"},
		{name: "add --dry-run of what is there", line: "add web --dry-run", out: "web: already active\n", setup: func(f *fixture) {
			withPreview(f)
			f.d.errs["Preview"] = bad(control.AlreadyAdded, "web")
		}},
		{name: "add --dry-run of nothing", line: "add wep --dry-run", err: "error[E311]: no group \"wep\"\n", exit: 1, setup: func(f *fixture) {
			withPreview(f)
			f.d.errs["Preview"] = bad(control.BadName, "wep")
		}},
		{name: "remove --dry-run", line: "remove web --dry-run", out: "web: ERROR (still running)\n", exit: 1, setup: func(f *fixture) {
			withPreview(f)
			f.d.errs["Preview"] = bad(control.StillRunning, "web")
		}, calls: "Preview remove web"},
		{name: "remove --dry-run at its end", line: "remove web --dry-run", err: "error[E309]: the daemon at unix:///s.sock is shutting down\n", exit: 1, setup: func(f *fixture) {
			withPreview(f)
			f.d.errs["Preview"] = bad(control.ShutdownState, "")
		}},
		{name: "grace_update --dry-run", line: "grace_update web --dry-run", setup: withPreview, calls: "Preview grace_update web",
			out: "web:web_2 would be added\nweb:web_3 would be added\nweb:web_1 would be stopped\nweb:web_1 would be removed\n"},
		{name: "grace_update --dry-run refused", line: "grace_update web --dry-run", exit: 11, out: "no\n", setup: func(f *fixture) {
			withPreview(f)
			f.d.changes.preview = control.Preview{Refused: true, Message: "no", Fields: []string{"priority"}}
		}, err: "error[E313]: nothing was changed: more than the number of processes differs\n  these options differ: priority\n" +
			"  ctl update web applies every change and restarts only what has to; ctl plan web shows it\n"},
		{name: "grace_update --dry-run of nothing", line: "grace_update wep --dry-run", err: "error[E311]: no group \"wep\"\n  did you mean web?\n", exit: 1, setup: func(f *fixture) {
			withPreview(f)
			f.d.errs["Preview"] = bad(control.BadName, "wep")
		}},
		{name: "reload --dry-run", line: "reload --dry-run", setup: withPreview, calls: "Preview reload",
			out: "the files are in order; would stop 1 process: web:web_1, and start 1 process: web:web_2\n"},
		{name: "reload --dry-run of another daemon", line: "reload --dry-run", exit: 1,
			err: "error[E306]: the daemon at unix:///s.sock is no graced: it has neither plans nor operations\n"},
		{name: "shutdown --dry-run", line: "shutdown --dry-run", out: "would shut down and stop 2 processes: solo:solo web:web_0\n", calls: "Processes"},
		{name: "shutdown --dry-run at its end", line: "shutdown --dry-run", out: "already shutting down\n", setup: failing("Processes", bad(control.ShutdownState, ""))},
		{name: "signal --dry-run", line: "signal HUP web:* solo --dry-run", calls: "Processes",
			out: "web:web_0: would be signalled\nsolo: would be signalled\n"},
		{name: "signal --dry-run of what does not run", line: "signal HUP web:web_1 --dry-run", out: "web:web_1: ERROR (not running)\n", exit: 1},
		{name: "signal --dry-run of no signal", line: "signal NOPE solo --dry-run", out: "solo: ERROR (bad signal name)\n", exit: 1, setup: func(f *fixture) {
			withPreview(f)
			f.d.errs["Preview"] = bad(control.BadSignal, "NOPE")
		}},
		{name: "hold --dry-run", line: "hold web:* solo --dry-run", setup: withChanges, out: "web:*: would be held\nsolo:solo: would be held\n", calls: "Standing, Processes, Standing"},
		{name: "hold --dry-run of another daemon", line: "hold solo --dry-run", exit: 1,
			err: "error[E306]: the daemon at unix:///s.sock is no graced: it has neither plans nor operations\n"},

		{name: "start", line: "start web:web_1 solo", out: "web:web_1: started\nsolo: started\n"},
		{name: "start of what runs", line: "start solo", setup: failing("Start solo:solo", bad(control.AlreadyStarted, "")), out: "solo: already started\n"},
		{name: "stop of what does not", line: "stop solo", setup: failing("Stop solo:solo", bad(control.NotRunning, "")), out: "solo: was not running\n"},
		{name: "signal of what does not", line: "signal HUP solo", setup: failing("Signal HUP solo:solo", bad(control.NotRunning, "")), out: "solo: ERROR (not running)\n", exit: 1},
		{name: "restart", line: "restart solo web:web_0", out: "solo: stopped\nweb:web_0: stopped\nsolo: started\nweb:web_0: started\n"},
		{name: "a group with one call, in a stable order", line: "stop web:*", out: "web:web_0: stopped\nweb:web_1: was not running\n", calls: "Processes, Stop (group) web",
			setup: func(f *fixture) {
				f.d.results["Stop"] = []control.Result{row("web", "web_1", control.NotRunning), row("web", "web_0", control.Success)}
			}},
		{name: "all with one call", line: "start all", calls: "Processes, Start (all)"},
		{name: "all, one by one", line: "start all --parallel 1", out: "sad: started\nsolo: started\nweb:web_0: started\nweb:web_1: started\n",
			calls: "Processes, Start sad:sad, Start solo:solo, Start web:web_0, Start web:web_1"},
		{name: "a group without one of its processes", line: "start web:web_0 web:*", out: "web:web_0: started\nweb:web_1: started\n",
			calls: "Processes, Start web:web_0, Start web:web_1"},
		{name: "clear", line: "clear solo web:*", out: "solo: cleared\nweb:web_0: cleared\nweb:web_1: cleared\n"},
		{name: "words that look like options", line: "start -- solo", out: "solo: started\n"},

		{name: "pid", line: "pid", out: "4711\n"},
		{name: "pids", line: "pid solo web:web_0", out: "100\n101\n"},
		{name: "pid of none", line: "pid web:*", out: "101\n0\n", exit: 1},
		{name: "pid all", line: "pid all", out: "0\n100\n101\n0\n"},
		{name: "tail", line: "tail -3 solo", out: "89\n", setup: func(f *fixture) { f.d.logs["solo:solo stdout"] = "0123456789\n" }},
		{name: "tails", line: "tail web:* stderr", out: "==> web:web_0 stderr <==\nx\n==> web:web_1 stderr <==\n",
			setup: func(f *fixture) { f.d.logs["web:web_0 stderr"], f.d.logs["web:web_1 stderr"] = "x\n", "" }},
		{name: "no log", line: "tail solo", setup: failing("ReadLog", bad(control.NoFile, "")), err: "error[E314]: solo:solo has no stdout log\n", exit: 1},
		{name: "no number", line: "tail -x solo", err: "error[E312]: tail: option -x not recognized\n", exit: 2},
		{name: "too large a number", line: "tail -2147483649 solo", err: "error[E312]: tail: no number of bytes: '-2147483649'\n", exit: 2},
		{name: "tail of nothing", line: "tail", err: "error[E312]: tail: which process?\n", exit: 2},
		{name: "following two", line: "tail -f web:*", err: "error[E312]: tail: -f follows one process, and these are 2\n", exit: 2},
		{name: "following without a log", line: "tail -f solo", err: "error[E314]: there is no log to follow\n", exit: 1},
		{name: "following into a document", line: "tail -f solo -o name", err: "error[E312]: tail: a log that is followed has no end: -f goes with -o jsonl, or with none\n", exit: 2},
		{name: "maintail", line: "maintail -6", out: "arted\n"},
		{name: "maintail without a file", line: "maintail", setup: failing("ReadLog", bad(control.NoFile, "")), err: "error[E314]: the daemon has no log file\n", exit: 1},
		{name: "avail", line: "avail", setup: withConfigs, out: "NAME        IN USE   START    PRIORITY\nsolo        yes      auto     999:5\nweb:web_0   no       manual   10:999\n"},
		{name: "avail of nothing", line: "avail", out: "no processes\n"},

		{name: "reread", line: "reread", setup: withDiff, out: "new: available\nold: disappeared\nweb: changed\n"},
		{name: "reread of nothing", line: "reread", out: "No config updates to processes\n"},
		{name: "reread of a broken file", line: "reread", setup: failing("Reread", bad(control.CantReread, "no good")), exit: 1,
			err: "error[E308]: CANT_REREAD: no good\n  nothing has been changed; the daemon keeps its configuration\n"},
		{name: "reread of a file in which a check finds all", line: "reread", exit: 1, calls: "Reread, Findings", setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Reread"] = bad(control.CantReread, "no good")
			f.d.changes.findings = control.Findings{Errors: 2, Text: "error[E110]: a\n\n2 errors\n"}
		}, err: "error[E308]: the configuration files are broken\n  nothing has been changed; the daemon keeps its configuration\n\nerror[E110]: a\n\n2 errors\n"},
		{name: "reread that is refused for something else", line: "reread", exit: 1, setup: func(f *fixture) {
			withChanges(f)
			f.d.errs["Reread"] = bad(control.CantReread, "no good")
			f.d.changes.findings = control.Findings{Text: "no errors\n"}
		}, err: "error[E308]: CANT_REREAD: no good\n  nothing has been changed; the daemon keeps its configuration\n"},
		{name: "add", line: "add new web", setup: failing("AddGroup web", bad(control.AlreadyAdded, "")), out: "new: added process group\nweb: already active\n"},
		{name: "add of nothing", line: "add", err: "error[E312]: add: which groups?\n", exit: 2},
		{name: "add of a typing error", line: "add solu", err: "error[E311]: no group \"solu\"\n  did you mean solo?\n", exit: 1,
			setup: func(f *fixture) { withConfigs(f); f.d.errs["AddGroup"] = bad(control.BadName, "") }},
		{name: "remove", line: "remove web:* solo", setup: failing("RemoveGroup web", bad(control.StillRunning, "web")), exit: 1,
			out: "web: ERROR (still running)\nsolo: removed process group\n"},
		{name: "update", line: "update", setup: withDiff, out: "old: stopped\nold: removed process group\nweb: stopped\nweb: updated process group\nnew: added process group\n",
			calls: "Reread, Stop (group) old, RemoveGroup old, Stop (group) web, RemoveGroup web, AddGroup web, AddGroup new"},
		{name: "update of one", line: "update new", setup: withDiff, out: "new: added process group\n"},
		{name: "update of a typing error", line: "update old nev", setup: withDiff, err: "error[E311]: no group \"nev\"\n  did you mean new?\n", exit: 1, calls: "Reread, Processes"},
		{name: "update that cannot remove", line: "update old", exit: 1, out: "old: stopped\nold: has problems; not removing\n",
			setup: func(f *fixture) {
				withDiff(f)
				f.d.results["Stop"] = []control.Result{row("old", "old", control.Failed)}
			}},
		{name: "update without news", line: "update", out: "No config updates to processes\n"},
		{name: "exit 11", line: "grace_update web", exit: 11, out: "Other settings has changed, please use update\n",
			err: "error[E313]: nothing was changed: more than the number of processes differs\n  these options differ: priority, command\n" +
				"  ctl update web applies every change and restarts only what has to; ctl plan web shows it\n", setup: func(f *fixture) { f.d.grace = refusedGrace }},
		{name: "grace_update", line: "grace_update web", out: "web:web_2 added\nweb:web_1 stoped\nweb:web_1 removed\nweb:web_3: ERROR (no)\n", exit: 1,
			setup: func(f *fixture) {
				f.d.grace = control.GraceResult{Added: []string{"web:web_2"}, Stopped: []string{"web:web_1"}, Removed: []string{"web:web_1"},
					Failed: []control.Result{{Group: "web", Name: "web_3", Code: control.StillRunning, Text: "no"}}}
			}},
		{name: "grace_update of a typing error", line: "grace_update weeb", setup: failing("GraceUpdate", bad(control.BadName, "group: weeb")), exit: 1,
			err: "error[E311]: no group \"weeb\"\n  did you mean web?\n"},
		{name: "grace_update of two", line: "grace_update a b", err: "error[E312]: grace_update: takes one group\n", exit: 2},
		{name: "grace_update with a plugin of Python's", line: "grace_update web", out: "web:web_0 stoped\nweb:web_0 removed\nweb:web_1 removed\n",
			setup: func(f *fixture) {
				f.d.errs["GraceUpdate"], f.d.errs["Stop web:web_1"] = bad(control.UnknownMethod, ""), bad(control.NotRunning, "")
				f.d.numprocs = control.Numprocs{Type: "reduce", Processes: []string{"web:web_0", "web:web_1"}}
			}},
		{name: "grace_update without any plugin", line: "grace_update web", exit: 1,
			err: "error[E306]: the daemon at unix:///s.sock has no grace_update\n  with Supervisor its file needs an [rpcinterface:grace]\n",
			setup: func(f *fixture) {
				f.d.errs["GraceUpdate"], f.d.errs["UpdateNumprocs"] = bad(control.UnknownMethod, ""), bad(control.UnknownMethod, "")
			}},
		{name: "shutdown", line: "shutdown", out: "Shut down\n"},
		{name: "shutdown twice", line: "shutdown", setup: failing("Shutdown", bad(control.ShutdownState, "")), out: "already shutting down\n"},
		{name: "reload", line: "reload", out: "Restarted supervisord\n"},
		{name: "a question that nobody hears", line: "reload", setup: func(f *fixture) { f.Interactive = true }, exit: 2,
			err: "error[E312]: reload: -i wants a question answered, and there is no terminal to ask on\n"},
		{name: "a question", line: "shutdown", out: "Really shut the remote supervisord process down y/N? ", setup: func(f *fixture) {
			f.Interactive, f.Terminal, f.In = true, true, &lines{out: f.out, items: []string{"n"}}
		}},
		{name: "version", line: "version", out: "4.2.5\n"},
		{name: "plain as an option of the verb", line: "pid nope -o plain", out: "No such process nope\n", exit: 1},
		{name: "help", line: "help add", out: "usage: ctl add <group ...>\n  activate groups that reread has found\n" +
			"  -o, --output FORM            json, jsonl, yaml or name; plain: exactly what supervisorctl prints\n" +
			"      --timeout DURATION       wait no longer than this (30, 1m30s); what has begun goes on, exit 12\n" +
			"      --dry-run                show what would be done\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, Gracectl)
			if tt.setup != nil {
				tt.setup(f)
			}
			exit := f.Run(context.Background(), strings.Fields(tt.line))
			if f.out.String() != tt.out || f.err.String() != tt.err || exit != tt.exit {
				t.Errorf("exit %d, stdout\n%s\nstderr\n%s\nwant %d,\n%s\n%s", exit, f.out, f.err, tt.exit, tt.out, tt.err)
			}
			if got := strings.Join(f.d.calls, ", "); tt.calls != "" && got != tt.calls {
				t.Errorf("calls %s, want %s", got, tt.calls)
			}
			if f.d.closed != len(f.dialled) {
				t.Errorf("%d connections opened, %d closed", len(f.dialled), f.d.closed)
			}
		})
	}
}

func withConfigs(f *fixture) {
	f.d.configs = []control.ConfigInfo{
		{Group: "solo", GroupPriority: 999, InUse: true, Spec: process.Spec{Name: "solo", Autostart: true, Priority: 5}},
		{Group: "web", GroupPriority: 10, Spec: process.Spec{Name: "web_0", Priority: 999}},
	}
}

// TestGivenUp checks --timeout (exit 12) and Ctrl-C (exit 130) while the daemon is at work: what is known by then is shown.
func TestGivenUp(t *testing.T) {
	for _, tt := range []struct {
		line, err string
		exit      int
	}{
		{"stop web:web_0 solo --timeout 10ms", "error[E307]: stop was not done within 10ms\n  what has begun goes on: ctl status\n", 12},
		{"stop web:web_0 solo", "error[E315]: stop was interrupted; what has begun goes on\n", 130},
	} {
		f := newFixture(t, Gracectl)
		interrupt := interruptible(f)
		f.d.waiting = func(ctx context.Context, call string) error {
			if call != "Stop solo:solo" {
				return nil
			}
			if tt.exit == 130 {
				interrupt()
			}
			<-ctx.Done()
			return errors.New("connection closed")
		}
		exit := f.Run(context.Background(), strings.Fields(tt.line))
		if f.out.String() != "web:web_0: stopped\n" || f.err.String() != tt.err || exit != tt.exit {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", tt.line, exit, f.out, f.err)
		}
	}
}

// TestParallel checks that a pattern acts side by side with a limit, and that the answers stay in order although the last is done first.
func TestParallel(t *testing.T) {
	for _, tt := range []struct {
		line  string
		limit int
	}{{"start web*", 16}, {"start web* --parallel 3", 3}, {"start web:* --parallel=2", 2}} {
		f := newFixture(t, Gracectl)
		const count = 20
		f.d.processes = nil
		var want strings.Builder
		for i := range count {
			name := "web_" + string(rune('a'+i))
			f.d.processes = append(f.d.processes, control.ProcessInfo{Group: "web", Name: name})
			want.WriteString("web:" + name + ": started\n")
		}
		begun, end := make(chan string), map[string]chan struct{}{}
		for _, p := range f.d.processes {
			end["Start "+fullName(p)] = make(chan struct{})
		}
		f.d.waiting = func(_ context.Context, call string) error {
			begun <- call
			<-end[call]
			return nil
		}
		done := make(chan int)
		go func() { done <- f.Run(context.Background(), strings.Fields(tt.line)) }()
		var open []string
		for range tt.limit {
			open = append(open, <-begun)
		}
		for n := tt.limit; ; n++ {
			last := open[len(open)-1]
			open = open[:len(open)-1]
			select {
			case call := <-begun:
				t.Errorf("%s: %s began beside %d others", tt.line, call, tt.limit)
			default:
			}
			close(end[last])
			if n >= count {
				if len(open) == 0 {
					break
				}
				continue
			}
			open = append(open, <-begun)
		}
		if exit := <-done; exit != 0 || f.out.String() != want.String() {
			t.Errorf("%s: exit %d\n%s", tt.line, exit, f.out)
		}
	}
}

// TestPick checks what selectors mean.
func TestPick(t *testing.T) {
	all := []control.ProcessInfo{
		{Group: "api", Name: "api", State: process.Fatal}, {Group: "web", Name: "w_0", State: process.Running}, {Group: "web", Name: "w_1", State: process.Backoff},
		{Group: "web2", Name: "w_10", State: process.Running}, {Group: "odd[1]", Name: "odd[1]"},
	}
	for line, want := range map[string]string{
		"all": "all", "api": "api:api", "web:w_0": "web:w_0", "web:*": "web:*", "web:": "web:*", "web*": "web:w_0 web:w_1 web2:w_10", "*:w_?": "web:w_0 web:w_1",
		"web?:": "web2:w_10", "w_1*": "web:w_1 web2:w_10", "/_1$/": "web:w_1", "/^web:/": "web:w_0 web:w_1", "odd[1]": "odd[1]:odd[1]", "[a-b]*": "api:api",
		"web:w_1 web*": "web:w_1 web:w_0 web2:w_10", "web:w_1 web:*": "web:w_1 web:w_0", "--state running": "web:w_0 web2:w_10",
		"--state BACKOFF,FATAL": "api:api web:w_1", "web:* --state RUNNING": "web:w_0", "web2:* --state=RUNNING": "web2:*", "api --state RUNNING": "",
	} {
		f := newFixture(t, Gracectl)
		c, err := f.parseCall("start", strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		units, err := f.pick(c, c.words, all)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		var got []string
		for _, u := range units {
			switch {
			case u.whole == nil:
				for _, p := range u.members {
					got = append(got, fullName(p))
				}
			case u.whole.All:
				got = append(got, "all")
			default:
				got = append(got, u.whole.Name+":*")
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q means %q, want %q", line, got, want)
		}
	}
}

// TestGracectlShell checks that options work inside the shell, words can be quoted, an interrupted verb leaves the shell alive, and nobody is asked
// through a pipe.
func TestGracectlShell(t *testing.T) {
	f := newFixture(t, Gracectl)
	oneProcess(f)
	f.In = &lines{out: f.out, items: []string{"pid -o name 's*'", "-o json version", "version -o json", "open http://other:1", "shutdown", "quit"}}
	if exit := f.Run(context.Background(), nil); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	const table = "NAME   STATE     PID\nsolo   RUNNING   100\n1 running\n"
	want := table + "supervisor> solo:solo\nsupervisor> supervisor> {\n  \"schema\": \"graced.version/v1\",\n  \"version\": \"4.2.5\"\n}\nsupervisor> " + table +
		"supervisor> Shut down\nsupervisor> \n"
	if f.out.String() != want || !strings.Contains(f.err.String(), `"detail":"no verb \"-o json version\""`) {
		t.Errorf("stdout\n%s\nwant\n%s\nstderr %s", f.out, want, f.err)
	}

	f = newFixture(t, Gracectl)
	oneProcess(f)
	interrupt := interruptible(f)
	f.d.waiting = func(ctx context.Context, _ string) error { interrupt(); return ctx.Err() }
	f.In = &lines{out: f.out, items: []string{"stop solo", "version"}}
	f.Run(context.Background(), nil)
	if want := table + "supervisor> supervisor> 4.2.5\nsupervisor> \n"; f.out.String() != want {
		t.Errorf("after an interrupt:\n%s", f.out)
	}
}

// TestFollowLog checks following in both forms that have it, and that Ctrl-C is its ordinary end.
func TestFollowLog(t *testing.T) {
	for line, want := range map[string]string{
		"tail -f solo stderr": "one\ntw",
		"tail -f solo stderr -o jsonl": `{"schema":"graced.log/v1","id":"solo:solo","channel":"stderr","data":"one\n"}` + "\n" +
			`{"schema":"graced.log/v1","id":"solo:solo","channel":"stderr","data":"tw"}` + "\n",
	} {
		f := newFixture(t, Gracectl)
		interrupt := interruptible(f)
		f.d.streams["/logtail/solo:solo/stderr"] = "one\ntw"
		go func() {
			<-f.d.opened
			interrupt()
		}()
		if exit := f.Run(context.Background(), strings.Fields(line)); exit != 0 || f.out.String() != want || f.err.Len() > 0 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", line, exit, f.out, f.err)
		}
	}
}

// TestColour checks that a terminal's colours change nothing else.
func TestColour(t *testing.T) {
	f := newFixture(t, Gracectl)
	f.Colour = true
	f.Run(context.Background(), strings.Fields("status web:* nope"))
	want := "\x1b[2mNAME\x1b[0m        \x1b[2mSTATE\x1b[0m     \x1b[2mPID\x1b[0m   \x1b[2mNOTE\x1b[0m\nweb:web_0   \x1b[32mRUNNING\x1b[0m   101\n" +
		"web:web_1   STOPPED   -     Not started\n1 running, 1 stopped\n"
	if f.out.String() != want || f.err.String() != "\x1b[31merror[E310]:\x1b[0m no process \"nope\"\n" {
		t.Errorf("stdout %q\nwant   %q\nstderr %q", f.out, want, f.err)
	}
}

// TestVerbHelp: every verb tells with --help what "help VERB" tells, and asks no daemon.
func TestVerbHelp(t *testing.T) {
	for _, c := range append(allCommands(), command{name: "help"}) {
		want := newFixture(t, Gracectl)
		want.Run(t.Context(), []string{"help", c.name})
		for _, words := range [][]string{{c.name, "--help"}, {c.name, "x", "--help", "y"}, {c.name + " --help"}} {
			f := newFixture(t, Gracectl)
			f.Check = func([]string, io.Writer, io.Writer) int { return 9 }
			f.Explain, f.TakeOver = f.Check, f.Check
			if code := f.Run(t.Context(), words); code != 0 || f.out.String() != want.out.String() || f.err.Len() > 0 || len(f.d.calls) > 0 {
				t.Errorf("%q: exit %d, calls %q\n%s%s\nwant\n%s", words, code, f.d.calls, f.out, f.err, want.out)
			}
		}
		if !NeedsNoDaemon(Gracectl, []string{c.name, "--help"}) || NeedsNoDaemon(Supervisorctl, []string{c.name, "--help"}) {
			t.Errorf("%s --help: whether a daemon is needed", c.name)
		}
	}
	f := newFixture(t, Gracectl)
	if f.Run(t.Context(), []string{"stop", "--", "--help"}); !strings.Contains(f.err.String(), "no process \"--help\"") {
		t.Errorf("behind --: %s%s", f.out, f.err)
	}
	f = newFixture(t, Supervisorctl)
	if f.Run(t.Context(), []string{"pid", "--help"}); strings.Contains(f.out.String(), "usage:") {
		t.Errorf("supervisorctl: %s", f.out)
	}
}
