package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/options.golden anew")

// optionCase proves on real processes what the change of one option costs, and that it takes effect.
type optionCase struct {
	option string // its name in a configuration file
	about  string // tells the cases of one option apart
	head   string // of its file: the sections and what stands in them beside the option; NAME is the group's, HERE the daemon's directory, the last section the option's
	before string // lines of the option; a case that begins without it has none
	after  string
	class  process.Class
	place  string             // what the place of the change begins with; "" = the option's name
	start  string             // members that an update starts, renames, stops
	stop   string             //
	rename string             // "from>to"
	only   string             // the members that it concerns; "" = all
	also   string             // options that cannot but change with it
	early  func(k *optionRun) // before the daemon starts
	setUp  func(k *optionRun) // before the change
	skip   func() string      // why it cannot be tested here
	check  func(k *optionRun) // the effect, after the update
}

// optionRun is one case on its way.
type optionRun struct {
	*rig
	optionCase
	group  string
	before map[string]control.ProcessInfo // the members, by name, before the update
	after  map[string]control.ProcessInfo
	show   strings.Builder // what the client printed
}

const (
	sleeper = "command=/bin/sleep 1000\nstartsecs=0\n"
	pair    = "process_name=%(program_name)s_%(process_num)d\nnumprocs=2\n"
	talker  = "command=/bin/sh HERE/talk.sh\nstartsecs=0\n"
	flood   = "command=/bin/sh HERE/flood.sh\nstartsecs=0\n"
	escapes = "command=/bin/sh HERE/escapes.sh HERE/NAME.escapee\nstartsecs=0\nautorestart=false\n"
	drained = "command=/bin/sh HERE/drained.sh HERE/NAME.drained\nstartsecs=0\nautorestart=false\nstopwaitsecs=1000\n"
	ear     = "command=/bin/sh HERE/ears.sh HERE/NAME.heard\nstartsecs=0\n"
)

// optionScripts are the programs of the cases.
var optionScripts = map[string]string{
	"ears.sh":  listener,
	"talk.sh":  "while read -r line; do printf '%b\\n' \"$line\"; printf '%b\\n' \"$line\" >&2; done\n",
	"flood.sh": "n=0\nwhile :; do n=$((n+1)); echo \"line $n\"; echo \"line $n\" >&2; [ $((n % 50)) = 0 ] && sleep 0.02; done\n",
	// A process with a child of its own, which is told of in a file. It ignores TERM when it is told so.
	"family.sh": "[ \"$2\" = deaf ] && trap '' TERM\nsleep 1000 &\necho $! >\"$1.part\"; mv \"$1.part\" \"$1\"\nwait\nwait\nsleep 1000\n",
	// A process with a grandchild that has a session of its own and nobody's parent left: only a control group knows whose it is.
	"escapes.sh": "(setsid sh \"$(dirname \"$0\")/away.sh\" \"$1\" &)\nread -r code; exit \"$code\"\n",
	"away.sh":    "trap 'echo $$ >\"$1.asked\"; kill -KILL 0' TERM\necho $$ >>\"$1\"\nwhile :; do sleep 1000 & wait; done\n",
	"tally.sh":   "echo >>\"$1\"\n",
	"exit.sh":    "read -r code; exit \"$code\"\n",
	"drained.sh": "trap 'echo USR1 >>\"$1\"; exit 0' USR1\ntrap 'echo HUP >>\"$1\"' HUP\ntrap '' USR2 TERM\necho ready >>\"$1\"\nwhile :; do read -r line; done\n",
	"drain.sh":   "kill -0 \"$GRACED_PID\" && lives=lives\necho \"$1 $GRACED_GROUP $GRACED_NAME $GRACED_PID $GRACED_REASON $lives\" >\"$FILE\"\necho it is told\nexit 3\n",
	"may.sh":     "[ -e \"$1\" ] && exit 1\nexec sleep 1000\n",
}

var optionCases = append(append(healthCases, hookCases...), []optionCase{
	{
		option: "process_name", head: "[program:NAME]\n" + sleeper + "numprocs=2\n", before: "process_name=a_%(process_num)d", after: "process_name=b_%(process_num)d",
		class: process.Identity, rename: "a_0>b_0 a_1>b_1",
		check: func(k *optionRun) {
			k.stop("b_0")
			k.log("stopped: b_0 (terminated by SIGTERM)")
		},
	},
	{
		option: "command", head: "[program:NAME]\nstartsecs=0\n" + pair, before: "command=/bin/sleep 1000", after: "command=/bin/sleep 2000", class: process.Respawn,
		check: func(k *optionRun) { k.proc("NAME_1", "cmdline", "/bin/sleep\x002000\x00") },
	},
	{
		option: "directory", head: "[program:NAME]\n" + sleeper + pair, after: "directory=/usr", class: process.Respawn,
		check: func(k *optionRun) {
			if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", k.after["NAME_0"].PID)); err != nil || dir != "/usr" {
				k.t.Errorf("it works in %s, %v", dir, err)
			}
		},
	},
	{
		option: "umask", head: "[program:NAME]\n" + sleeper + pair, before: "umask=022", after: "umask=027", class: process.Respawn,
		check: func(k *optionRun) { k.proc("NAME_0", "status", "\nUmask:\t0027\n") },
	},
	{
		option: "user", head: "[program:NAME]\n" + sleeper + pair, after: "user=nobody", class: process.Respawn,
		skip: func() string {
			if os.Getuid() != 0 {
				return "only root can start processes as another user"
			}
			return ""
		},
		check: func(k *optionRun) { k.proc("NAME_0", "status", "\nUid:\t65534\t65534\t65534\t65534\n") },
	},
	{
		option: "priority", about: "of a member",
		head: "[group:NAME]\nprograms=NAMEa,NAMEb\n[program:NAMEb]\npriority=3\n" + sleeper + "[program:NAMEa]\n" + sleeper, before: "priority=1", after: "priority=5",
		class: process.Live, only: "NAMEa",
		check: func(k *optionRun) {
			k.stop("*")
			k.start("*")
			k.order("spawned: 'NAMEb' with", "spawned: 'NAMEa' with")
		},
	},
	{
		option: "priority", about: "of a group", head: "[program:NAMEx]\n" + sleeper + "[group:NAME]\nprograms=NAMEx\n", before: "priority=1", after: "priority=5", class: process.Live,
		check: func(k *optionRun) { k.config("NAMEx", func(c control.ConfigInfo) bool { return c.GroupPriority == 5 }) },
	},
	{
		option: "autostart", head: "[program:NAME]\n" + sleeper, before: "autostart=true", after: "autostart=false", class: process.NextStart,
		check: func(k *optionRun) {
			k.stop("*")
			k.must(k.RemoveGroup(k.t.Context(), k.group))
			k.must(k.AddGroup(k.t.Context(), k.group))
			k.until("it is there and not started", func() bool { return k.infos()[k.group].State == process.Stopped && k.infos()[k.group].PID == 0 })
		},
	},
	{
		option: "autorestart", head: "[program:NAME]\n" + sleeper, before: "autorestart=true", after: "autorestart=false", class: process.Live,
		check: func(k *optionRun) {
			k.kill("NAME")
			k.is("NAME", process.Exited)
		},
	},
	{
		option: "startsecs", head: "[program:NAME]\ncommand=/bin/sleep 1000\n", before: "startsecs=0", after: "startsecs=1000", class: process.NextStart,
		check: func(k *optionRun) {
			if k.after["NAME"].State != process.Running {
				k.t.Errorf("it is %s", k.after["NAME"].State)
			}
			k.stop("*")
			_, err := k.Start(k.t.Context(), control.Target{Name: k.group, Group: true}, false)
			k.must(err)
			k.is("NAME", process.Starting)
		},
	},
	{
		option: "startretries", head: "[program:NAME]\ncommand=/bin/sh HERE/may.sh HERE/NAME.no\nstartsecs=0\nautorestart=true\n", before: "startretries=1000",
		after: "startretries=0", class: process.Live,
		check: func(k *optionRun) {
			// Only a start that fails before startsecs counts, so the next life is given some.
			k.rewriteOption("startsecs=0", "startsecs=60")
			k.update()
			k.must(os.WriteFile(k.path(k.group+".no"), nil, 0o600))
			k.kill("NAME")
			k.is("NAME", process.Fatal)
		},
	},
	{
		option: "backoff", head: "[program:NAME]\n" + sleeper + "autorestart=true\n", before: "backoff=100ms", after: "backoff=5m..24h x100 jitter=0.1",
		class: process.Live,
		check: func(k *optionRun) {
			k.kill("NAME") // RUNNING for less than the pause
			k.until("it waits for longer than before", func() bool {
				i := k.members()["NAME"]
				return i.State == process.Exited && i.Now.Sub(i.Stop) >= 2*time.Second
			})
			if n := strings.Count(k.read("s.log"), "spawned: '"+k.group+"' with"); n != 1 {
				k.t.Errorf("it was started %d times", n)
			}
			k.start("NAME")
		},
	},
	{
		option: "restart_limit", head: "[program:NAME]\ncommand=/bin/sh HERE/may.sh HERE/NAME.no\nstartsecs=0\nautorestart=true\n", before: "restart_limit=1000/60s", after: "restart_limit=1/1h",
		class: process.Live,
		check: func(k *optionRun) {
			k.must(os.WriteFile(k.path(k.group+".no"), nil, 0o600))
			k.kill("NAME")
			k.is("NAME", process.Fatal)
			k.log("gave up: NAME entered FATAL state, 1 restart in 1h (restart_limit)")
			if text := k.members()["NAME"].Description; text != "1 restart in 1h (restart_limit): Bad exit code 1" {
				k.t.Errorf("status says %q", text)
			}
		},
	},
	{
		option: "breaker", head: "[program:NAME]\n" + pair + "command=/bin/sh HERE/may.sh HERE/NAME.no\nstartsecs=1\nautorestart=true\nstartretries=100\n", before: "breaker=1000/60s", after: "breaker=1/60s",
		class: process.Live,
		check: func(k *optionRun) {
			k.must(os.WriteFile(k.path(k.group+".no"), nil, 0o600))
			k.kill("NAME_0") // which goes first, and fails
			k.is("NAME_0", process.Backoff)
			k.kill("NAME_1")
			k.until("the other one waits", func() bool {
				return strings.HasSuffix(k.members()["NAME_1"].Description, ": breaker of group "+k.group+" is open")
			})
			k.must(os.Remove(k.path(k.group + ".no")))
			k.is("NAME_0", process.Running)
			k.is("NAME_1", process.Running)
			k.log("breaker of group NAME is closed: NAME_")
		},
	},
	{
		option: "depends_on", head: "[program:NAMEx]\nautostart=false\n" + sleeper + "[program:NAME]\n" + sleeper, after: "depends_on=NAMEx", class: process.Live,
		check: func(k *optionRun) {
			k.stop("*")
			k.start("NAME")
			k.log("starting NAMEx, since NAME depends on it\n")
			k.until("it is spawned behind it", func() bool {
				log := k.read("s.log")
				first := strings.LastIndex(log, k.named("success: NAMEx entered RUNNING state"))
				return first >= 0 && strings.LastIndex(log, k.named("spawned: 'NAME' with")) > first
			})
		},
	},
	{
		option: "essential", head: "[program:NAME]\nautorestart=false\n" + sleeper, before: "essential=true", after: "essential=false", class: process.Live,
		check: func(k *optionRun) {
			k.kill("NAME")
			k.is("NAME", process.Exited) // and the daemon lives on
		},
	},
	{
		option: "stopsignal", head: "[program:NAME]\n" + sleeper, before: "stopsignal=TERM", after: "stopsignal=USR1", class: process.Live,
		check: func(k *optionRun) {
			k.stop("*")
			k.log("stopped: NAME (terminated by SIGUSR1)")
		},
	},
	{
		option: "stopwaitsecs", head: "[program:NAME]\ncommand=/bin/sh -c 'trap \"\" TERM; exec sleep 1000'\nstartsecs=0\n", before: "stopwaitsecs=1000", after: "stopwaitsecs=1",
		class: process.Live,
		check: func(k *optionRun) {
			k.until("it ignores TERM", func() bool { return k.ignores("NAME", syscall.SIGTERM) })
			k.stop("*")
			k.log("stopped: NAME (terminated by SIGKILL)")
		},
	},
	{
		option: "stop_steps", head: "[program:NAME]\ncommand=/bin/sh -c 'trap \"\" TERM; exec sleep 1000'\nstartsecs=0\nstopwaitsecs=1000\n", before: "stop_steps=TERM forever",
		after: "stop_steps=TERM 1s, INT 1000s, KILL", class: process.Live,
		check: func(k *optionRun) {
			k.until("it ignores TERM", func() bool { return k.ignores("NAME", syscall.SIGTERM) })
			k.stop("*")
			k.log("stopped: NAME (terminated by SIGINT)")
			k.start("*")
			k.until("it ignores TERM again", func() bool { return k.ignores("NAME", syscall.SIGTERM) })
			k.rewriteOption("TERM 1s, INT 1000s, KILL", "TERM forever")
			k.update()
			_, err := k.Stop(k.t.Context(), k.target("NAME"), false)
			k.must(err)
			k.is("NAME", process.Stopping)
			if out, code := k.ctl("gracectl", "stop", "--now", k.group); code != 0 {
				k.t.Errorf("stop --now: exit %d\n%s", code, out)
			}
			k.log("stopped: NAME (terminated by SIGKILL)")
		},
	},
	{
		option: "drain_signal", head: "[program:NAME]\n" + drained, before: "drain_signal=USR2", after: "drain_signal=USR1", class: process.Live,
		check: func(k *optionRun) {
			k.holds(k.group+".drained", "ready\n")
			k.stop("*")
			k.file(k.group+".drained", "ready\nUSR1\n")
			k.log("stopped: NAME (exit status 0)")
		},
	},
	{
		option: "drain_command", head: "[program:NAME]\ndirectory=HERE\nenvironment=FILE=NAME.told\n" + sleeper, before: "drain_command=/bin/sh drain.sh before",
		after: "drain_command=/bin/sh drain.sh after", class: process.Live,
		check: func(k *optionRun) {
			pid := k.after["NAME"].PID
			k.stop("*")
			k.file(k.group+".told", k.named(fmt.Sprintf("after NAME NAME %d stop lives\n", pid)))
			k.log("drain_command of NAME: it is told")
			k.log("drain_command of NAME: exit status 3")
			k.log("stopped: NAME (terminated by SIGTERM)")
		},
	},
	{
		option: "drain_timeout", head: "[program:NAME]\n" + sleeper + "drain_command=/bin/sleep 1000\n", before: "drain_timeout=1000s", after: "drain_timeout=1s", class: process.Live,
		check: func(k *optionRun) {
			k.stop("*")
			k.log("drain_command of NAME: did not end within 1s")
			k.log("stopped: NAME (terminated by SIGTERM)")
		},
	},
	{
		option: "reload_signal", head: "[program:NAME]\n" + drained, before: "reload_signal=USR2", after: "reload_signal=HUP", class: process.Live,
		check: func(k *optionRun) {
			k.holds(k.group+".drained", "ready\n")
			k.gracectl(0, []string{"refresh", k.group}, k.group+": refreshed\n")
			k.file(k.group+".drained", "ready\nHUP\n")
			k.stopsAtOnce()
		},
	},
	{
		option: "reload_command", head: "[program:NAME]\ndirectory=HERE\nenvironment=FILE=NAME.told\n" + sleeper, before: "reload_command=/bin/sh drain.sh before",
		after: "reload_command=/bin/sh drain.sh after", class: process.Live,
		check: func(k *optionRun) {
			k.gracectl(1, []string{"refresh", k.group}, k.group+": ERROR (reload_command of "+k.group+": exit status 3)\n")
			k.file(k.group+".told", k.named(fmt.Sprintf("after NAME NAME %d reload lives\n", k.after["NAME"].PID)))
			k.log("reload_command of NAME: it is told")
		},
	},
	{
		option: "reload_timeout", head: "[program:NAME]\n" + sleeper + "reload_command=/bin/sleep 1000\n", before: "reload_timeout=1000s", after: "reload_timeout=1s", class: process.Live,
		check: func(k *optionRun) {
			k.gracectl(1, []string{"refresh", k.group}, "did not end within 1s")
			k.log("reload_command of NAME: did not end within 1s")
		},
	},
	{
		option: "stopasgroup", head: "[program:NAME]\ncommand=/bin/sh HERE/family.sh HERE/NAME.child\nstartsecs=0\nkillasgroup=true\n", before: "stopasgroup=false",
		after: "stopasgroup=true", class: process.Live, check: func(k *optionRun) { k.stopsFamily() },
	},
	{
		option: "killasgroup", head: "[program:NAME]\ncommand=/bin/sh HERE/family.sh HERE/NAME.child deaf\nstartsecs=0\nstopwaitsecs=1\n", before: "killasgroup=false",
		after: "killasgroup=true", class: process.Live, check: func(k *optionRun) { k.stopsFamily() },
	},
	{
		option: "stop_tree", head: "[program:NAME]\n" + escapes + "kill_tree=true\n", before: "stop_tree=false", after: "stop_tree=true", class: process.Respawn, skip: noCgroups,
		check: func(k *optionRun) {
			away := k.escapee()
			k.stop("*")
			if lives(away) {
				k.t.Errorf("process %d lives on", away)
			}
			k.file(k.group+".escapee.asked", strconv.Itoa(away)+"\n")
		},
	},
	{
		option: "kill_tree", head: "[program:NAME]\n" + escapes + "cgroup=on\n", before: "kill_tree=false", after: "kill_tree=true", class: process.Respawn, skip: noCgroups,
		check: func(k *optionRun) {
			away := k.escapee()
			k.say("NAME", "0")
			k.is("NAME", process.Exited)
			k.until("what it has left has ended", func() bool { return !lives(away) })
		},
	},
	{
		option: "cgroup", head: "[program:NAME]\n" + sleeper, before: "cgroup=auto", after: "cgroup=on", class: process.Respawn, skip: noCgroups,
		check: func(k *optionRun) {
			k.proc("NAME", "cgroup", "/"+k.group+"."+k.group+"\n")
			why, err := k.Why(k.t.Context(), k.group+":"+k.group)
			k.must(err)
			if _, err := os.Stat(filepath.Join(why.Cgroup, "cgroup.procs")); err != nil {
				k.t.Errorf("its group is %q: %v", why.Cgroup, err)
			}
			k.stop("*")
			if _, err := os.Stat(why.Cgroup); !os.IsNotExist(err) {
				k.t.Errorf("its group %s is left: %v", why.Cgroup, err)
			}
		},
	},
	limitCase("memory_max", "64MB", "128MB", "memory.max", "134217728\n"), limitCase("cpu_max", "0.5", "1.5", "cpu.max", "150000 100000\n"),
	limitCase("pids_max", "50", "70", "pids.max", "70\n"),
	{
		option: "exitcodes", head: "[program:NAME]\ncommand=/bin/sh HERE/exit.sh\nstartsecs=0\nautorestart=unexpected\n", before: "exitcodes=0", after: "exitcodes=0,7",
		class: process.Live,
		check: func(k *optionRun) {
			k.say("NAME", "7")
			k.is("NAME", process.Exited)
			k.log("exited: NAME (exit status 7; expected)")
		},
	},
	{
		option: "redirect_stderr", head: "[program:NAME]\n" + talker + "stdout_logfile=HERE/NAME.log\nstderr_logfile=NONE\n", before: "redirect_stderr=false",
		after: "redirect_stderr=true", class: process.Respawn,
		check: func(k *optionRun) {
			k.say("NAME", "hello")
			k.file(k.group+".log", "hello\nhello\n")
		},
	},
	logfileCase("stdout"), logfileCase("stderr"),
	maxbytesCase("stdout"), maxbytesCase("stderr"),
	backupsCase("stdout"), backupsCase("stderr"),
	captureCase("stdout"), captureCase("stderr"),
	eventsCase("stdout"), eventsCase("stderr"),
	syslogCase("stdout"), syslogCase("stderr"),
	{
		option: "socket", head: "[fcgi-program:NAME]\n" + sleeper + pair, before: "socket=unix://HERE/NAME.1", after: "socket=unix://HERE/NAME.2", class: process.GroupWide,
		check: func(k *optionRun) {
			c, err := net.Dial("unix", k.path(k.group+".2"))
			k.must(err)
			_ = c.Close()
		},
	},
	{
		option: "socket_backlog", head: "[fcgi-program:NAME]\n" + sleeper + pair + "socket=unix://HERE/NAME.sock\n", before: "socket_backlog=100", after: "socket_backlog=2",
		class: process.GroupWide,
		check: func(k *optionRun) {
			// A unix socket takes one connection more than its backlog says; nobody accepts any here.
			for i := range 4 {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
				k.must(err)
				defer unix.Close(fd)
				err = unix.Connect(fd, &unix.SockaddrUnix{Name: k.path(k.group + ".sock")})
				if full := i == 3; full != (err == unix.EAGAIN) || !full && err != nil {
					k.t.Errorf("connection %d: %v", i, err)
				}
			}
		},
	},
	{
		option: "socket_mode", head: "[fcgi-program:NAME]\n" + sleeper + pair + "socket=unix://HERE/NAME.sock\n", before: "socket_mode=0700", after: "socket_mode=0750",
		class: process.GroupWide,
		check: func(k *optionRun) {
			st, err := os.Stat(k.path(k.group + ".sock"))
			k.must(err)
			if st.Mode().Perm() != 0o750 {
				k.t.Errorf("its mode is %v", st.Mode())
			}
		},
	},
	{
		option: "socket_owner", head: "[fcgi-program:NAME]\n" + sleeper + pair + "socket=unix://HERE/NAME.sock\n", before: "socket_owner=root:root", after: "socket_owner=nobody:root",
		class: process.GroupWide,
		skip: func() string {
			if os.Getuid() != 0 {
				return "only root can give a file away"
			}
			return ""
		},
		check: func(k *optionRun) {
			st, err := os.Stat(k.path(k.group + ".sock"))
			k.must(err)
			if uid := st.Sys().(*syscall.Stat_t).Uid; uid != 65534 {
				k.t.Errorf("it belongs to %d", uid)
			}
		},
	},
	{
		option: "sockets", head: "[socket:NAMEs]\nlisten=unix://HERE/NAME.sock\n[program:NAME]\n" + sleeper + pair, after: "sockets=NAMEs", class: process.Respawn,
		check: func(k *optionRun) {
			for member, p := range k.after {
				environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
				if !strings.HasSuffix(string(environ), fmt.Sprintf("LISTEN_FDS=1\x00LISTEN_FDNAMES=%ss\x00LISTEN_PID=%d\x00", k.group, p.PID)) {
					k.t.Errorf("environ of %s is %q, %v", member, environ, err)
				}
			}
			conn, err := net.Dial("unix", k.path(k.group+".sock"))
			k.must(err)
			k.must(conn.Close())
		},
	},
	{
		option: "environment", head: "[program:NAME]\n" + sleeper + pair, before: "environment=KEPT=\"1\",GONE=\"2\"", after: "environment=KEPT=\"1\",COME=\"a b\"", class: process.Respawn,
		also: "environment",
		check: func(k *optionRun) {
			k.proc("NAME_0", "environ", "COME=a b\x00")
			k.proc("NAME_0", "environ", "KEPT=1\x00")
		},
	},
	{
		option: "environment_file", head: "[program:NAME]\n" + sleeper + pair + "environment=MINE=\"1\"\n", before: "environment_file=-HERE/none.env", after: "environment_file=-HERE/none.env, HERE/NAME.env",
		class: process.Respawn,
		setUp: func(k *optionRun) { k.put(k.group+".env", "MINE=2\nTHEIRS=\"top secret\"\n") },
		check: func(k *optionRun) {
			k.proc("NAME_0", "environ", "MINE=1\x00")
			k.proc("NAME_0", "environ", "THEIRS=top secret\x00")
			k.put(k.group+".env", "THEIRS=another\n")
			k.stop("NAME_0")
			k.start("NAME_0")
			k.after = k.members()
			k.proc("NAME_0", "environ", "THEIRS=another\x00")
			k.must(os.Remove(k.path(k.group + ".env")))
			k.stop("NAME_0")
			if out, code := k.ctl("gracectl", "start", k.group+":"+k.named("NAME_0")); code == 0 {
				k.t.Errorf("it starts without its file:\n%s", out)
			}
			k.log("spawnerr: environment_file " + k.path(k.group+".env") + " cannot be read: no such file or directory")
			if strings.Contains(k.read("s.log")+k.show.String(), "top secret") {
				k.t.Error("a value is told")
			}
		},
	},
	{
		option: "serverurl", head: "[program:NAME]\n" + sleeper, after: "serverurl=http://127.0.0.1:9", class: process.Respawn,
		check: func(k *optionRun) { k.proc("NAME", "environ", "SUPERVISOR_SERVER_URL=http://127.0.0.1:9\x00") },
	},
	{
		option: "kind", place: "[eventlistener:NAME]", head: "\n", before: "[program:NAME]\nevents=TICK_3600\n" + sleeper, after: "[eventlistener:NAME]\nevents=TICK_3600\n" + sleeper,
		class: process.GroupWide, also: "events buffer_size result_handler priority",
	},
	{
		option: "events", head: "[eventlistener:NAME]\n" + ear, before: "events=TICK_3600", after: "events=TICK_3600,REMOTE_COMMUNICATION", class: process.Live,
		check: func(k *optionRun) {
			k.must(k.SendRemote(k.t.Context(), "of-"+k.group, "x"))
			k.holds(k.group+".heard", "type:of-"+k.group)
		},
	},
	{
		option: "buffer_size", head: "[eventlistener:NAME]\ncommand=/bin/sh -c 'echo READY; exec sleep 1000'\nstartsecs=0\nevents=REMOTE_COMMUNICATION\n", before: "buffer_size=1000",
		after: "buffer_size=1", class: process.Live,
		check: func(k *optionRun) {
			for range 4 { // one is with the listener for ever, the next one waits
				k.must(k.SendRemote(k.t.Context(), "any", "x"))
			}
			k.log("pool NAME event buffer overflowed, discarding event")
		},
	},
	{
		option: "result_handler", head: "[eventlistener:NAME]\n" + ear + "events=TICK_3600\n", before: "result_handler=supervisor.dispatchers:default_handler",
		after: "result_handler=supervisor_twiddler.resulthandler:stdin_write_handler", class: process.GroupWide,
	},
	{
		option: "payload_length", head: "[eventlistener:NAME]\n" + ear + "events=REMOTE_COMMUNICATION\n", before: "payload_length=characters", after: "payload_length=bytes",
		class: process.GroupWide,
		check: func(k *optionRun) {
			k.until("the new listener runs", func() bool { return k.infos()[k.group].State == process.Running })
			k.must(k.SendRemote(k.t.Context(), "lengthy", "ä")) // 12 characters and 13 bytes with its head
			k.until("the listener hears of it", func() bool {
				m := regexp.MustCompile(`len:(\d+) type:lengthy`).FindStringSubmatch(k.read(k.group + ".heard"))
				if m != nil && m[1] != strconv.Itoa(len("type:lengthy\nä")) {
					k.t.Errorf("the length is %s", m[1])
				}
				return m != nil
			})
		},
	},
	{
		option: "numprocs", about: "up", head: "[program:NAME]\n" + sleeper + "process_name=p_%(process_num)d\n", before: "numprocs=2", after: "numprocs=4", class: process.Identity,
		start: "p_2 p_3",
	},
	{
		option: "numprocs", about: "down", head: "[program:NAME]\n" + sleeper + "process_name=p_%(process_num)d\n", before: "numprocs=4", after: "numprocs=2", class: process.Identity,
		stop: "p_2 p_3",
	},
	{
		option: "numprocs", about: "one becomes two", head: "[program:NAME]\n" + sleeper, before: "numprocs=1", after: "numprocs=2\nprocess_name=%(program_name)s_%(process_num)d",
		class: process.Identity, also: "process_name", rename: "NAME>NAME_0", start: "NAME_1",
	},
	{
		option: "numprocs_start", head: "[program:NAME]\n" + sleeper + "process_name=p_%(process_num)d\nnumprocs=3\n", before: "numprocs_start=0", after: "numprocs_start=1",
		class: process.Identity, start: "p_3", stop: "p_0",
	},
}...)

// logfileCase has a process write while its log moves: not a line is lost between the old and the new file.
func logfileCase(channel string) optionCase {
	return optionCase{
		option: channel + "_logfile", head: "[program:NAME]\n" + flood + "stdout_logfile_maxbytes=0\nstderr_logfile_maxbytes=0\n",
		before: channel + "_logfile=HERE/NAME.old", after: channel + "_logfile=HERE/NAME.new", class: process.Live,
		check: func(k *optionRun) {
			k.until("lines come to the new file", func() bool { return strings.Count(k.read(k.group+".new"), "\n") > 200 })
			k.stop("*")
			before, after := k.read(k.group+".old"), k.read(k.group+".new")
			if !strings.HasPrefix(before, "line 1\n") {
				k.t.Errorf("the old file begins with %.20q", before)
			}
			n := 0
			for line := range strings.Lines(before + after) {
				if n++; line != fmt.Sprintf("line %d\n", n) {
					k.t.Fatalf("line %d of both files is %q; the old one has %d", n, line, strings.Count(before, "\n"))
				}
			}
		},
	}
}

func maxbytesCase(channel string) optionCase {
	return optionCase{
		option: channel + "_logfile_maxbytes", head: "[program:NAME]\n" + flood + channel + "_logfile=HERE/NAME.log\n" + channel + "_logfile_backups=1\n",
		before: channel + "_logfile_maxbytes=0", after: channel + "_logfile_maxbytes=2000", class: process.Live,
		check: func(k *optionRun) {
			k.until("it rotates", func() bool { return k.read(k.group+".log.1") != "" })
			k.stop("*")
			if n := len(k.read(k.group + ".log")); n > 4000 {
				k.t.Errorf("the file has %d bytes", n)
			}
		},
	}
}

func backupsCase(channel string) optionCase {
	return optionCase{
		option: channel + "_logfile_backups", head: "[program:NAME]\n" + flood + channel + "_logfile=HERE/NAME.log\n" + channel + "_logfile_maxbytes=1000\n",
		before: channel + "_logfile_backups=1", after: channel + "_logfile_backups=3", class: process.Live,
		check: func(k *optionRun) {
			k.until("there is a third backup", func() bool { return k.read(k.group+".log.3") != "" })
			if k.read(k.group+".log.4") != "" {
				k.t.Error("there is a fourth")
			}
		},
	}
}

func captureCase(channel string) optionCase {
	return optionCase{
		option: channel + "_capture_maxbytes", head: "[program:NAME]\n" + talker + channel + "_logfile=HERE/NAME.log\n", before: channel + "_capture_maxbytes=0",
		after: channel + "_capture_maxbytes=1KB", class: process.Live,
		check: func(k *optionRun) {
			k.say("NAME", "a<!--XSUPERVISOR:BEGIN-->caught by "+k.group+"<!--XSUPERVISOR:END-->b")
			k.holds("heard", "groupname:"+k.group+" pid:"+strconv.Itoa(k.after["NAME"].PID)+"|caught by "+k.group)
			k.file(k.group+".log", "ab\n")
		},
	}
}

func eventsCase(channel string) optionCase {
	return optionCase{
		option: channel + "_events_enabled", head: "[program:NAME]\n" + talker, before: channel + "_events_enabled=false", after: channel + "_events_enabled=true", class: process.Live,
		check: func(k *optionRun) {
			k.say("NAME", "told of "+k.group)
			k.holds("heard", "channel:"+channel+"|told of "+k.group)
		},
	}
}

// limitCase is that of a limit: it is in the group's file, or, where the machine does not lend the controller, said to be lacking.
func limitCase(option, before, after, file, want string) optionCase {
	return optionCase{
		option: option, head: "[program:NAME]\n" + sleeper, before: option + "=" + before, after: option + "=" + after, class: process.Respawn, skip: noCgroups,
		check: func(k *optionRun) {
			why, err := k.Why(k.t.Context(), k.group+":"+k.group)
			k.must(err)
			if strings.HasPrefix(why.Lacks, option+" is not in force: ") {
				return
			}
			if text, err := os.ReadFile(filepath.Join(why.Cgroup, file)); err != nil || string(text) != want {
				k.t.Errorf("%s is %q, %v", file, text, err)
			}
		},
	}
}

// noCgroups says why no process can have a control group of its own.
func noCgroups() string { return noOwnCgroups() }

var noOwnCgroups = sync.OnceValue(func() string {
	for _, f := range (&host.Local{}).Facts().Features {
		if f.Name == "cgroup2_write" && !f.Available {
			return "no control group can be made: " + f.Detail
		}
	}
	return ""
})

func syslogCase(channel string) optionCase {
	return optionCase{
		option: channel + "_syslog", head: "[program:NAME]\n" + talker, before: channel + "_syslog=false", after: channel + "_syslog=true", class: process.Live,
		skip: ownDev,
		check: func(k *optionRun) {
			k.say("NAME", "syslog of "+k.group)
			k.holds("syslog", "graced: "+k.group+" syslog of "+k.group+"\n")
		},
	}
}

// ownDev says why there cannot be a /dev of the test's own, with a /dev/log.
func ownDev() string { return noOwnDev() }

var noOwnDev = sync.OnceValue(func() string {
	if out, err := exec.Command("unshare", "--mount", "/bin/sh", "-c", "mount --bind /tmp /mnt").CombinedOutput(); err != nil {
		return fmt.Sprintf("a mount namespace of its own is needed: %v %s", err, out)
	}
	return ""
})

// mountDev puts a directory in the place of /dev, for the daemon alone.
const mountDev = `for f in null zero urandom; do : >"$1/$f" && mount --bind "/dev/$f" "$1/$f" || exit 1; done
mount --rbind "$1" /dev && shift && exec "$@"`

// syslogInto writes what comes to the socket dev/log into the file syslog.
func (r *rig) syslogInto() {
	dev := filepath.Join(r.dir, "dev")
	r.must(os.Mkdir(dev, 0o755))
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dev, "log"), Net: "unixgram"})
	r.must(err)
	f, err := os.OpenFile(filepath.Join(r.dir, "syslog"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	r.must(err)
	r.t.Cleanup(func() { _ = l.Close() })
	go func() {
		defer f.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			_, _ = f.Write(append(buf[:n:n], '\n')) // the test misses it
		}
	}()
}

// must ends the test at an error.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// read returns a file, "" for none.
func (r *rig) read(name string) string {
	text, _ := os.ReadFile(r.path(name)) // it may be about to come
	return string(text)
}

// put writes a file in one go, so that no daemon reads half of it.
func (r *rig) put(name, text string) {
	r.t.Helper()
	r.must(os.WriteFile(r.path(name+".part"), []byte(text), 0o600))
	r.must(os.Rename(r.path(name+".part"), r.path(name)))
}

// within gives a test within the test the same daemon, over a connection of its own.
func (r *rig) within(t *testing.T) *rig {
	t.Helper()
	c, err := client.New("unix://"+r.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	sub := *r
	sub.t, sub.Client = t, c
	return &sub
}

func (k *optionRun) named(text string) string {
	return strings.NewReplacer("NAME", k.group, "HERE", k.dir).Replace(text)
}

func (k *optionRun) text(option string) string {
	return k.named(k.head + option + "\n")
}

func (k *optionRun) conf() string { return "conf.d/" + k.group + ".conf" }

// members returns the processes of the case's group.
func (k *optionRun) members() map[string]control.ProcessInfo {
	k.t.Helper()
	list, err := k.Processes(k.t.Context())
	k.must(err)
	out := map[string]control.ProcessInfo{}
	for _, p := range list {
		if p.Group == k.group {
			out[p.Name] = p
			out[strings.ReplaceAll(p.Name, k.group, "NAME")] = p
		}
	}
	return out
}

func (k *optionRun) target(member string) control.Target {
	if member == "*" {
		return control.Target{Name: k.group, Group: true}
	}
	return control.Target{Name: k.group + ":" + k.named(member)}
}

func (k *optionRun) stop(member string) {
	k.t.Helper()
	_, err := k.Stop(k.t.Context(), k.target(member), true)
	k.must(err)
}

func (k *optionRun) start(member string) {
	k.t.Helper()
	_, err := k.Start(k.t.Context(), k.target(member), true)
	k.must(err)
}

func (k *optionRun) say(member, line string) {
	k.t.Helper()
	k.must(k.WriteStdin(k.t.Context(), k.group+":"+k.named(member), []byte(line+"\n")))
}

// kill ends a process as somebody from outside would.
func (k *optionRun) kill(member string) {
	k.t.Helper()
	k.must(syscall.Kill(k.members()[member].PID, syscall.SIGKILL))
}

func (k *optionRun) is(member string, state process.State) {
	k.t.Helper()
	k.until(k.named(member)+" is "+state.String(), func() bool { return k.members()[member].State == state })
}

// proc looks for a text in a file that the kernel keeps of a process.
func (k *optionRun) proc(member, file, want string) {
	k.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", k.after[member].PID, file))
	if err != nil || !strings.Contains(string(text), want) {
		k.t.Errorf("%s of %s is %q, %v; it lacks %q", file, k.named(member), text, err, want)
	}
}

func (k *optionRun) ignores(member string, sig syscall.Signal) bool {
	return ignores(k.members()[member].PID, sig)
}

func ignores(pid int, sig syscall.Signal) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // none: not yet
	m := regexp.MustCompile(`SigIgn:\t([0-9a-f]+)`).FindSubmatch(text)
	if m == nil {
		return false
	}
	mask, err := strconv.ParseUint(string(m[1]), 16, 64)
	return err == nil && mask&(1<<(sig-1)) != 0
}

// log waits for a text in the main log.
func (k *optionRun) log(text string) {
	k.t.Helper()
	k.holds("s.log", k.named(text))
}

func (k *optionRun) holds(file, text string) {
	k.t.Helper()
	k.until(fmt.Sprintf("%s holds %q", file, text), func() bool { return strings.Contains(k.read(file), text) })
}

// file waits until a file is what it should be.
func (k *optionRun) file(name, want string) {
	k.t.Helper()
	k.until(fmt.Sprintf("%s is %q", name, want), func() bool { return k.read(name) == want })
}

// order checks that the second lines with these texts are in this order in the main log.
func (k *optionRun) order(first, second string) {
	k.t.Helper()
	first, second = k.named(first), k.named(second)
	k.until("the main log tells of both twice", func() bool {
		log := k.read("s.log")
		return strings.Count(log, first) == 2 && strings.Count(log, second) == 2
	})
	if log := k.read("s.log"); strings.LastIndex(log, first) > strings.LastIndex(log, second) {
		k.t.Errorf("%q comes after %q", first, second)
	}
}

func (k *optionRun) config(member string, ok func(control.ConfigInfo) bool) {
	k.t.Helper()
	list, err := k.Configs(k.t.Context())
	k.must(err)
	i := slices.IndexFunc(list, func(c control.ConfigInfo) bool { return c.Group == k.group && c.Spec.Name == k.named(member) })
	if i < 0 || !ok(list[i]) {
		k.t.Errorf("the configuration of %s: %+v", member, list)
	}
}

// stopsAtOnce stops what obeys no signal.
func (k *optionRun) stopsAtOnce() {
	k.t.Helper()
	k.gracectl(0, []string{"stop", "--now", k.group}, k.group+": stopped\n")
}

// stopsFamily checks that a stop ends the child of the process too.
func (k *optionRun) stopsFamily() {
	k.t.Helper()
	child := 0
	k.until("there is a child", func() bool {
		child, _ = strconv.Atoi(strings.TrimSpace(k.read(k.group + ".child")))
		return child > 0
	})
	k.t.Cleanup(func() { // what this test has started; nobody else has this pid's command
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); err == nil && string(text) == "sleep\x001000\x00" && k.t.Failed() {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	})
	k.stop("*")
	k.until("the child has ended", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || bytes.Contains(stat, []byte(") Z "))
	})
}

// escapee returns the pid of what the present life of a process of escapes.sh has started. What an earlier one has left is ended.
func (k *optionRun) escapee() (pid int) {
	k.t.Helper()
	k.t.Cleanup(k.endEscapees)
	k.until("there is an escapee of this life", func() bool {
		pids := strings.Fields(k.read(k.group + ".escapee"))
		if len(pids) == 2 {
			pid, _ = strconv.Atoi(pids[1])
		}
		return pid > 0
	})
	return pid
}

// endEscapees kills what escapes.sh has started, and that alone.
func (k *optionRun) endEscapees() {
	for _, word := range strings.Fields(k.read(k.group + ".escapee")) {
		pid, _ := strconv.Atoi(word)
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(text), k.path("away.sh")) {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // it leads a group of its own
		}
	}
}

// lives reports whether a process has not ended; one that nobody has taken note of has.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// rewriteOption replaces a line in the case's file.
func (k *optionRun) rewriteOption(before, after string) {
	k.t.Helper()
	k.put(k.conf(), strings.Replace(k.read(k.conf()), before, after, 1))
}

func (k *optionRun) update() {
	k.t.Helper()
	if out, code := k.ctl("gracectl", "update", k.group); code != 0 {
		k.t.Fatalf("update: exit %d\n%s", code, out)
	}
}

// run changes the option, looks at the plan, updates, and checks what became of it.
func (k *optionRun) run() {
	t := k.t
	t.Helper()
	k.until("all of it runs", func() bool {
		members := k.members()
		for _, p := range members {
			if p.State != process.Running {
				return false
			}
		}
		return len(members) > 0
	})
	if strings.Contains(k.head, "flood.sh") {
		k.until("it writes", func() bool {
			return !strings.Contains(k.head+k.optionCase.before, "HERE/NAME") || len(k.files(k.group+".*")) > 0
		})
	}
	k.before = k.members()
	if p := k.plan(); p.Action != "keep" {
		t.Fatalf("before the change the plan is %+v", p)
	}
	if k.setUp != nil {
		k.setUp(k)
	}
	k.put(k.conf(), k.text(k.optionCase.after))
	p := k.plan()
	k.checkPlan(p)
	out, code := k.ctl("gracectl", "plan", "--exit-code", k.group)
	if code != 2 {
		t.Errorf("plan --exit-code: %d", code)
	}
	k.show.WriteString("$ gracectl plan\n" + out)
	log := len(k.read("s.log"))
	out, code = k.ctl("gracectl", "update", k.group)
	k.show.WriteString("$ gracectl update\n" + out)
	if code != 0 {
		t.Fatalf("update: exit %d\n%s", code, out)
	}
	k.after = k.members()
	k.checkPIDs(p)
	if k.class == process.Live || k.class == process.NextStart {
		for line := range strings.Lines(k.read("s.log")[log:]) {
			if strings.Contains(line, "'"+k.group) {
				t.Errorf("the update is told in the main log: %s", line)
			}
		}
	}
	if p := k.plan(); p.Action != "keep" {
		t.Errorf("after the update the plan is %+v", p)
	}
	if out, code := k.ctl("gracectl", "update", k.group); code != 0 || out != "nothing to do: what runs is what the files say\n" {
		t.Errorf("a second update: exit %d\n%s", code, out)
	}
	if k.check != nil {
		k.check(k)
		if p := k.plan(); p.Action != "keep" {
			t.Errorf("after the effect was looked at the plan is %+v", p)
		}
	}
}

func (k *optionRun) plan() control.PlanGroup {
	k.t.Helper()
	p, err := k.Plan(k.t.Context(), control.PlanRequest{Groups: []string{k.group}})
	k.must(err)
	if len(p.Groups) != 1 {
		k.t.Fatalf("the plan is about %+v", p.Groups)
	}
	return p.Groups[0]
}

func (k *optionRun) names(list string) []string {
	out := []string{}
	for _, name := range strings.Fields(list) {
		out = append(out, k.group+":"+k.named(name))
	}
	return out
}

func (k *optionRun) all() []string {
	out := []string{}
	for name, p := range k.before {
		if name == p.Name {
			out = append(out, k.group+":"+name)
		}
	}
	slices.Sort(out)
	return out
}

// checkPlan compares the plan with what the class of the option says.
func (k *optionRun) checkPlan(p control.PlanGroup) {
	t := k.t
	t.Helper()
	found := 0
	for _, c := range p.Changes {
		if c.Option != k.option && !slices.Contains(strings.Fields(k.also), c.Option) {
			t.Errorf("the plan changes %s as well: %+v", c.Option, c)
		}
		if c.Option != k.option {
			continue
		}
		found++
		if c.Class != k.class.String() {
			t.Errorf("the class of %s is %s, want %s", c.Option, c.Class, k.class)
		}
		place := k.named(cmp.Or(k.place, k.option+"="))
		line := 1 + strings.Count(k.text(k.optionCase.after)[:max(0, strings.LastIndex(k.text(k.optionCase.after), place))], "\n")
		if c.File != k.path(k.conf()) || c.Line != line {
			t.Errorf("it is at %s:%d, want %s:%d", c.File, c.Line, k.path(k.conf()), line)
		}
	}
	if shown := k.option != "numprocs_start"; (found > 0) != shown { // it is seen by the names alone
		t.Errorf("the plan tells of %s %d times: %+v", k.option, found, p.Changes)
	}
	want := control.PlanGroup{Action: "change"}
	switch k.class {
	case process.Live, process.NextStart:
		want.Live = k.all()
		if k.only != "" {
			want.Live = k.names(k.only)
			want.Untouched = slices.DeleteFunc(k.all(), func(n string) bool { return slices.Contains(want.Live, n) })
		}
		if k.option == "priority" && k.about == "of a group" || slices.Contains([]string{"events", "buffer_size"}, k.option) {
			want.Live, want.Untouched = nil, k.all() // the members are as they were
		}
	case process.Respawn:
		want.Replace = k.all()
	case process.GroupWide:
		want.Action, want.Replace = "replace", k.all()
	case process.Identity:
		want.Start, want.Stop = k.names(k.optionCase.start), k.names(k.optionCase.stop)
		for _, r := range strings.Fields(k.rename) {
			from, to, _ := strings.Cut(r, ">")
			want.Rename = append(want.Rename, control.Renaming{From: k.group + ":" + k.named(from), To: k.group + ":" + k.named(to)})
		}
		for _, name := range k.all() {
			gone := slices.Contains(want.Stop, name) || slices.ContainsFunc(want.Rename, func(r control.Renaming) bool { return r.From == name })
			if !gone {
				want.Untouched = append(want.Untouched, name)
			}
		}
	}
	got := p
	slices.Sort(got.Live)
	if got.Action != want.Action || !equal(got.Live, want.Live) || !equal(got.Replace, want.Replace) || !equal(got.Start, want.Start) || !equal(got.Stop, want.Stop) ||
		!slices.Equal(got.Rename, want.Rename) || !equal(got.Untouched, want.Untouched) || len(got.Down)+len(got.Add) > 0 {
		t.Errorf("the plan is %+v\nwant %+v", got, want)
	}
}

func equal(a, b []string) bool { return len(a) == len(b) && slices.Equal(a, b) }

// checkPIDs checks that exactly the processes have kept theirs that the plan says.
func (k *optionRun) checkPIDs(p control.PlanGroup) {
	t := k.t
	t.Helper()
	name := func(qualified string) string { return strings.TrimPrefix(qualified, k.group+":") }
	for _, n := range slices.Concat(p.Live, p.Untouched) {
		if a, b := k.before[name(n)], k.after[name(n)]; a.PID != b.PID || b.State != process.Running {
			t.Errorf("%s had pid %d and is %s with pid %d", n, a.PID, b.State, b.PID)
		}
	}
	for _, r := range p.Rename {
		if a, b := k.before[name(r.From)], k.after[name(r.To)]; a.PID != b.PID || b.State != process.Running {
			t.Errorf("%s had pid %d, %s is %s with pid %d", r.From, a.PID, r.To, b.State, b.PID)
		}
		if _, still := k.after[name(r.From)]; still {
			t.Errorf("%s is still there", r.From)
		}
	}
	for _, n := range p.Replace {
		if a, b := k.before[name(n)], k.after[name(n)]; a.PID == b.PID || b.PID == 0 || b.State != process.Running {
			t.Errorf("%s had pid %d and is %s with pid %d", n, a.PID, b.State, b.PID)
		}
	}
	for _, n := range p.Start {
		if b := k.after[name(n)]; b.PID == 0 || b.State != process.Running {
			t.Errorf("%s is %s", n, b.State)
		}
	}
	for _, n := range p.Stop {
		if b, still := k.after[name(n)]; still {
			t.Errorf("%s is still there: %s", n, b.State)
		}
	}
}

// TestOptions changes every option alone, on real processes of one daemon: the plan names its class and place, the update costs what the class
// says, and the new value takes effect. What the client prints is in testdata/options.golden.
func TestOptions(t *testing.T) {
	t.Parallel()
	runs := make([]*optionRun, len(optionCases))
	for i, c := range optionCases {
		name := c.option
		if c.about != "" {
			name += "_" + c.about
		}
		runs[i] = &optionRun{optionCase: c, group: "o_" + strings.ReplaceAll(name, " ", "_")}
	}
	r := &rig{t: t, dir: t.TempDir()}
	// Everybody may enter, for the processes of another user.
	r.must(os.Chmod(filepath.Dir(r.dir), 0o755))
	r.must(os.Chmod(r.dir, 0o755))
	r.must(os.Mkdir(r.path("conf.d"), 0o755))
	scripts := maps.Clone(optionScripts)
	maps.Copy(scripts, hookScripts)
	for name, text := range scripts {
		r.put(name, text)
		r.must(os.Chmod(r.path(name), 0o644))
	}
	for _, k := range runs {
		if k.skip == nil || k.skip() == "" {
			k.rig = r
			r.put(k.conf(), k.text(k.optionCase.before))
			if k.early != nil {
				k.early(k)
			}
		}
	}
	var wrap []string
	if ownDev() == "" {
		r.syslogInto()
		wrap = []string{"unshare", "--mount", "/bin/sh", "-c", mountDev, "sh", r.path("dev")}
	}
	r.launch(wrap, "[include]\nfiles=%(here)s/conf.d/*.conf\n[eventlistener:ears]\ncommand=/bin/sh %(here)s/ears.sh %(here)s/heard\n"+
		"startsecs=0\nevents=PROCESS_LOG,PROCESS_COMMUNICATION\n")
	r.until("the listener runs", func() bool { return r.infos()["ears"].State == process.Running })

	var all sync.WaitGroup
	for _, k := range runs {
		all.Go(func() {
			t.Run(k.group, func(t *testing.T) {
				if k.skip != nil {
					if reason := k.skip(); reason != "" {
						t.Skipf("hidden: what %s does to a real process, because %s", k.option, reason)
					}
				}
				k.rig = r.within(t)
				k.run()
			})
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	var text strings.Builder
	for _, k := range runs {
		if k.show.Len() == 0 {
			t.Skipf("hidden: the comparison of what plan and update print with its recording, because the case %s was skipped", k.group)
		}
		fmt.Fprintf(&text, "# %s\n%s\n", strings.TrimSpace(k.option+" "+k.about), k.masked())
	}
	golden := "testdata/options.golden"
	if *rewrite {
		r.must(os.WriteFile(golden, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	r.must(err)
	got, expected := strings.SplitAfter(text.String(), "\n"), strings.SplitAfter(string(want), "\n")
	for i := range min(len(got), len(expected)) {
		if got[i] != expected[i] {
			t.Fatalf("line %d: the client prints\n%swant (-rewrite writes it anew)\n%s", i+1, got[i], expected[i])
		}
	}
	if len(got) != len(expected) {
		t.Errorf("the client prints %d lines, want %d", len(got), len(expected))
	}
}

var optionMasks = []struct {
	match *regexp.Regexp
	word  string
}{
	{regexp.MustCompile(`plan [0-9a-f]{8}`), "plan ID"},
	{regexp.MustCompile(`--plan [0-9a-f]{8}`), "--plan ID"},
	{regexp.MustCompile(`pid \d+`), "pid N"},
	{regexp.MustCompile(`-> \d+ {2,}(\d\.\d s)`), "-> N  $1"},
	{regexp.MustCompile(`op-\d+`), "op-N"},
	{regexp.MustCompile(` +\d+\.\d s\n`), "  T s\n"},
	{regexp.MustCompile(` in \d+\.\d s\n`), " in T s\n"},
	{regexp.MustCompile(`(?m)^  (1 warning|\d+ warnings) in these files.*\n`), ""}, // of other cases' files as well
	{regexp.MustCompile(`(?m)^(plan ID   .*) \+ \d+ included$`), "$1 + N included"},
}

// masked is what the client printed, without what differs in every run.
func (k *optionRun) masked() string {
	text := strings.ReplaceAll(k.show.String(), k.dir, "DIR")
	for _, m := range optionMasks {
		text = m.match.ReplaceAllString(text, m.word)
	}
	lines := strings.SplitAfter(text, "\n")
	for i := range lines { // of processes that end at the same time any may be the first
		if done := func(line string) bool { return strings.HasPrefix(line, "  ✓ ") }; done(lines[i]) && !done(lines[i-1]) {
			n := slices.IndexFunc(lines[i:], func(line string) bool { return !done(line) })
			slices.Sort(lines[i : i+n])
		}
	}
	return strings.Join(lines, "")
}

// TestEveryOption fails when an option has no case above.
func TestEveryOption(t *testing.T) {
	want := map[string]process.Class{"events": process.Live, "buffer_size": process.Live, "result_handler": process.GroupWide, "payload_length": process.GroupWide,
		"kind": process.GroupWide, "numprocs": process.Identity, "numprocs_start": process.Identity}
	if n := reflect.TypeFor[process.ListenerSpec]().NumField(); n != 4 {
		t.Errorf("a listener group has %d options of its own: give each a case", n)
	}
	if n := reflect.TypeFor[process.GroupSpec]().NumField(); n != 6 {
		t.Errorf("a group has %d members: give each option a case", n)
	}
	for _, f := range process.Fields {
		want[f.Name] = f.Class
	}
	have := map[string]bool{}
	for _, c := range optionCases {
		have[c.option] = true
		if class, ok := want[c.option]; !ok || class != c.class {
			t.Errorf("the case of %s says %s, the table %s", c.option, c.class, class)
		}
	}
	for name := range want {
		if !have[name] {
			t.Errorf("%s has no case", name)
		}
	}
}

// TestAutoLogMoves: a log that becomes AUTO, and one that AUTO has named and is configured again at once, keep one private file of ours; back to a
// path and to NONE, while the process goes on writing.
func TestAutoLogMoves(t *testing.T) {
	t.Parallel()
	conf := func(options string) string {
		return "[program:a]\ncommand=/bin/sh %(here)s/talk.sh\nstartsecs=0\n" + options
	}
	r := &rig{t: t, dir: t.TempDir()}
	r.put("talk.sh", optionScripts["talk.sh"])
	r.launch(nil, conf("stdout_logfile=NONE\n"))
	pid := r.runs("a", process.Running).PID
	said := 0
	say := func() string {
		t.Helper()
		said++
		text := fmt.Sprintf("word %d", said)
		r.must(r.WriteStdin(t.Context(), "a", []byte(text+"\n")))
		return text
	}
	update := func(options string) {
		t.Helper()
		r.write(conf(options))
		if out, code := r.ctl("gracectl", "update"); code != 0 {
			t.Fatalf("update: exit %d\n%s", code, out)
		}
	}
	say()
	update("")
	update("stdout_logfile_maxbytes=1MB\n")
	text := say()
	own := func() []string { return r.files("a-stdout---supervisor-*.log") }
	r.until("the AUTO log is written", func() bool {
		files := own()
		return len(files) == 1 && strings.HasSuffix(r.read(filepath.Base(files[0])), text+"\n")
	})
	if st, err := os.Stat(own()[0]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the AUTO log: %v, %v", st, err)
	}
	if info := r.infos()["a"]; info.StdoutLog != own()[0] {
		t.Errorf("status tells of %q, the log is %q", info.StdoutLog, own())
	}
	update("stdout_logfile=%(here)s/a.log\n")
	text = say()
	r.until("the file is written", func() bool { return r.read("a.log") == text+"\n" })
	update("stdout_logfile=NONE\n")
	say()
	update("stdout_logfile=%(here)s/a.log\n")
	last := say()
	r.until("the file is written again", func() bool { return r.read("a.log") == text+"\n"+last+"\n" })
	if now := r.infos()["a"]; now.PID != pid {
		t.Errorf("it had pid %d and has %d", pid, now.PID)
	}
}
