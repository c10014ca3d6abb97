package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestSignals sends what a daemon obeys, and what it must not notice.
func TestSignals(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(end.String(), func(t *testing.T) {
			t.Parallel()
			bothSides(t, func(s *side) string {
				s.conf("")
				s.foreground()
				s.signal(syscall.SIGPIPE)
				s.signal(syscall.SIGXFSZ)
				s.signal(syscall.SIGCHLD)
				if err := os.Rename(s.path("s.log"), s.path("old.log")); err != nil {
					t.Fatal(err)
				}
				s.signal(syscall.SIGUSR2)
				s.until("a new log", func() bool { _, err := os.Stat(s.path("s.log")); return err == nil })
				s.signal(syscall.SIGHUP)
				s.logs("supervisord started", 1)
				pid := s.pidOf("s.pid")
				s.signal(end)
				return fmt.Sprintln("exit", s.ended(), "same pid:", pid == s.pid) + s.mask(s.read("old.log")) + "new:\n" + s.log() + s.files()
			})
		})
	}
}

// TestDefaultActions sends what ends any process: it ends, and the files stay, as after any sudden death. Ours lives on all the same.
func TestDefaultActions(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGALRM, syscall.SIGVTALRM, 40, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			bothSides(t, func(s *side) string {
				s.conf("")
				s.foreground("-s")
				s.signal(sig)
				if s.own() {
					s.until("another keeper", func() bool { pid := s.pidOf("s.pid"); return pid != 0 && pid != s.pid })
					s.killMates()
				}
				return fmt.Sprintln(s.ended()) + s.files()
			})
		})
	}
}

// stubborn ignores TERM for its stopwaitsecs.
const stubborn = "[program:p]\ncommand=/bin/sh p.sh\nstartsecs=0\nstopwaitsecs=3\nstdout_logfile=NONE\nstderr_logfile=NONE\n"

// TestWhileShuttingDown repeats TERM and sends HUP while a program takes its time.
func TestWhileShuttingDown(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf(stubborn)
		s.write("p.sh", "trap '' TERM\n>ready\nwhile :; do sleep 1; done\n")
		s.foreground("-s")
		s.until("the program is up", func() bool { _, err := os.Stat(s.path("ready")); return err == nil })
		s.logs("spawned", 1) // the program may be faster
		s.signal(syscall.SIGTERM)
		s.logs("received SIGTERM", 1)
		s.signal(syscall.SIGTERM)
		s.logs("received SIGTERM", 2)
		s.signal(syscall.SIGHUP)
		s.logs("ignored SIGHUP", 1)
		return fmt.Sprintln("exit", s.ended()) + s.log() + s.files()
	})
}

// TestTermAfterHup turns a restart under way into an end.
func TestTermAfterHup(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf(stubborn)
		s.write("p.sh", "trap '' TERM\n>ready\nwhile :; do sleep 1; done\n")
		s.foreground("-s")
		s.until("the program is up", func() bool { _, err := os.Stat(s.path("ready")); return err == nil })
		s.logs("spawned", 1) // the program may be faster
		s.signal(syscall.SIGHUP)
		s.logs("received SIGHUP", 1)
		s.signal(syscall.SIGTERM)
		return fmt.Sprintln("exit", s.ended()) + s.log() + s.files()
	})
}

// TestSoftRestart changes everything that a restart takes over: the same process goes on with other files.
func TestSoftRestart(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf("[program:p]\ncommand=/bin/sh p.sh\nstartsecs=0\n")
		s.write("p.sh", ">ready\nexec sleep 1000\n")
		ready := func() bool { _, err := os.Stat(s.path("ready")); return err == nil }
		s.foreground("-s")
		s.until("the program is up", ready) // a signal before its exec is lost under Supervisor
		s.logs("spawned", 1)
		if err := os.Remove(s.path("ready")); err != nil {
			t.Fatal(err)
		}
		s.write("p-stdout---supervisor-deadbeef.log", "of an earlier run")
		before := s.files()
		text := s.read("s.conf")
		for _, r := range [][2]string{{"s.log", "t.log"}, {"s.pid", "t.pid"}, {"s.sock", "t.sock"}, {"childlogdir", "loglevel=warn\nminfds=100000\nchildlogdir"}} {
			text = strings.Replace(text, r[0], r[1], 1)
		}
		s.write("s.conf", text)
		s.signal(syscall.SIGHUP)
		s.until("the new pid file", func() bool { return strings.HasSuffix(s.read("t.pid"), "\n") })
		s.until("the program is up", ready)
		during := s.files()
		same := s.pidOf("t.pid") == s.pid
		s.signal(syscall.SIGTERM)
		return fmt.Sprintln("exit", s.ended(), "same pid:", same) + s.log() + "new:\n" + s.mask(s.read("t.log")) + "before:\n" + before + "during:\n" + during + "after:\n" + s.files()
	})
}

// TestRestartRefused asks for restarts that cannot succeed: nothing is stopped (quirk C17). Supervisor stops everything, then ends.
func TestRestartRefused(t *testing.T) {
	r := newRig(t, "[program:p]\ncommand=sleep 1000\n")
	r.until("the program is up", func() bool { return r.infos()["p"].PID > 0 })
	good, err := os.ReadFile(filepath.Join(r.dir, "s.conf"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := net.Listen("unix", filepath.Join(r.dir, "foreign"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Close() }()
	if err := os.WriteFile(filepath.Join(r.dir, "precious"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	pid := r.infos()["p"].PID
	for i, c := range []struct{ old, new, why string }{
		{"command=sleep 1000", "command=sleep 1000\nstartsecs=soon", "invalid literal for int() with base 10: 'soon'"},
		{"s.sock", "no/s.sock", "errno.ENOENT (2)"},
		{"s.sock", "foreign", "Another program is already listening"},
		{"s.sock", "precious", "exists and is not a socket"},
		{"logfile=%(here)s/s.log", "logfile=%(here)s", "cannot open the main log"},
		{"[program:p]", "[rpcinterface:x]\nsupervisor.rpcinterface_factory=nothing:here\n[program:p]", "nothing:here cannot be resolved"},
	} {
		text := strings.Replace(string(good), c.old, c.new, 1)
		if err := os.WriteFile(filepath.Join(r.dir, "s.conf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.until("refusal "+c.why, func() bool {
			log, _ := os.ReadFile(filepath.Join(r.dir, "s.log"))
			return strings.Count(string(log), "the restart is refused, nothing was stopped: ") == i+1
		})
		log, _ := os.ReadFile(filepath.Join(r.dir, "s.log"))
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, c.why) {
			t.Errorf("%s: the log says %q", c.new, last)
		}
		if now := r.infos()["p"].PID; now != pid {
			t.Errorf("%s: pid %d, was %d", c.new, now, pid)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "s.conf"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.until("the restart with a good file", func() bool {
		list, err := r.Processes(t.Context())
		return err == nil && len(list) == 1 && list[0].PID > 0 && list[0].PID != pid
	})
}

// TestFilesBreakDuringRestart breaks the file after the restart was granted, while a program takes its time to stop: the daemon goes on with
// what it knows, where Supervisor would end.
func TestFilesBreakDuringRestart(t *testing.T) {
	r := newRig(t, strings.Replace(stubborn, "p.sh", "%(here)s/p.sh", 1)+"directory=%(here)s\n")
	ready := filepath.Join(r.dir, "ready")
	if err := os.WriteFile(filepath.Join(r.dir, "p.sh"), []byte("trap '>stopping' TERM\n>ready\nwhile :; do sleep 1; done\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exists := func(path string) func() bool { return func() bool { _, err := os.Stat(path); return err == nil } }
	r.until("the program is up", exists(ready))
	pid := r.infos()["p"].PID
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.until("the program is being stopped", exists(filepath.Join(r.dir, "stopping")))
	r.write("[program:p]\ncommand=sleep 1\nstartsecs=soon\n")
	r.until("the program is up again", func() bool {
		list, err := r.Processes(t.Context())
		return err == nil && len(list) == 1 && list[0].PID > 0 && list[0].PID != pid
	})
	log, err := os.ReadFile(filepath.Join(r.dir, "s.log"))
	if err != nil || !strings.Contains(string(log), "CRIT the files cannot be used any more, going on with what they said before: invalid literal for int() with base 10: 'soon'") {
		t.Errorf("%v, the log says\n%s", err, log)
	}
}

// TestSigpipeAfterRestart changes what children find SIGPIPE (bit 12) and SIGXFSZ (bit 24) set to. The daemon survives them either way.
func TestSigpipeAfterRestart(t *testing.T) {
	conf := func(value string) string {
		return "[graced]\nsigpipe=" + value + "\n[program:p]\ncommand=sed -n \"s/^SigIgn:\\t//p\" /proc/self/status\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/p.log\n"
	}
	r := newRig(t, conf("ignore"))
	// What else is ignored comes from whoever started the test, and is the same in all lives.
	const both = 1<<(syscall.SIGPIPE-1) | 1<<(syscall.SIGXFSZ-1)
	log := func() string {
		text, err := os.ReadFile(filepath.Join(r.dir, "p.log"))
		if err != nil {
			return ""
		}
		seen := ""
		var rest []uint64
		for _, word := range strings.Fields(string(text)) {
			set, err := strconv.ParseUint(word, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			if rest = append(rest, set&^both); rest[0] != set&^both {
				t.Fatalf("other signals are ignored than before: %s", text)
			}
			seen += map[uint64]string{both: "ignore ", 0: "default "}[set&both]
		}
		return seen
	}
	want := ""
	for _, value := range []string{"ignore", "default", "ignore"} {
		if want != "" {
			r.write(conf(value))
			if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		want += value + " "
		r.until("sigpipe="+value, func() bool { return len(log()) >= len(want) })
		if log() != want {
			t.Fatalf("sigpipe=%s: %q, want %q", value, log(), want)
		}
		for _, sig := range []syscall.Signal{syscall.SIGPIPE, syscall.SIGXFSZ} {
			if err := r.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.until("the daemon answers", func() bool { _, err := r.Daemon(t.Context()); return err == nil })
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// TestPidOne runs the daemon as process 1 of a pid namespace: it takes in strangers, passes nothing on to them, and ends in order.
func TestPidOne(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: the daemon as process 1, because only root can have a pid namespace")
	}
	if out, err := exec.Command("unshare", "-pf", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("hidden: the daemon as process 1, because this needs the privilege to make a pid namespace: %s", out)
	}
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf("[program:p]\ncommand=/bin/sh p.sh\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
		s.write("p.sh", "sh -c 'sh orphan.sh 7 &'\nsh -c 'sh deaf.sh &'\nexec sleep 1000\n")
		s.write("orphan.sh", "while [ $(ps -o ppid= -p $$) != 1 ]; do :; done\nexit 7\n")
		s.write("deaf.sh", "trap '>signalled' TERM HUP INT USR2\n>listening\nwhile :; do sleep 1; done\n")
		// mount(8) is found by the shell, which then becomes the daemon and stays process 1.
		s.command("mount -t proc none /proc", "-n", "-s", "-c", "s.conf")
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
		s.launch()
		s.logs("reaped unknown pid", 1)
		s.until("the stranger listens", func() bool { _, err := os.Stat(s.path("listening")); return err == nil })
		pid := s.read("s.pid")
		s.signal(syscall.SIGUSR2)
		s.logs("supervisord logreopen", 1)
		s.signal(syscall.SIGHUP)
		s.logs("supervisord started", 2)
		s.logs("reaped unknown pid", 2)
		s.signal(syscall.SIGTERM)
		code := s.ended()
		log := ""
		for _, line := range strings.SplitAfter(s.log(), "\n") {
			// The order between these depends on the moment.
			if !strings.Contains(line, "spawned: 'p'") && !strings.Contains(line, "success: p") && !strings.Contains(line, "stopped: p") && !strings.Contains(line, "reaped") {
				log += line
			}
		}
		return fmt.Sprintln("exit", code, "pid", pid, strings.Contains(s.log(), "reaped unknown pid PID (exit status 7)")) + log + s.files()
	})
}
