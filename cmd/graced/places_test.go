package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// placeConf has a process of each kind that a place may make difficult.
const placeConf = lines + `[program:a]
command=/bin/sleep 1000
startsecs=0
[program:limited]
command=/bin/sleep 1000
startsecs=0
stop_tree=true
pids_max=1000
stdout_logfile=NONE
[program:once]
command=/bin/sh -c 'read go; exit 7'
startsecs=0
autorestart=false
`

// survives kills the daemon, the keeper and both, and has another daemon take over: processes go on, and how one ended is known. again starts graced after
// both were killed.
func (r *rig) survives(again func()) {
	t := r.t
	t.Helper()
	for name := range r.infos() {
		r.runs(name, process.Running)
	}
	before := r.infos()
	same := func(when string) {
		t.Helper()
		for name, p := range r.infos() {
			if name != "once" && p.PID != before[name].PID {
				t.Errorf("%s: %s had pid %d and has %d", when, name, before[name].PID, p.PID)
			}
		}
	}
	r.killDaemon()
	same("after the daemon was killed")
	r.must(r.WriteStdin(t.Context(), "once", []byte("go\n")))
	if p := r.runs("once", process.Exited); p.ExitStatus != 7 {
		t.Errorf("once ended with %d", p.ExitStatus)
	}
	r.killKeeper()
	same("after the keeper was killed")
	r.gracectl(0, []string{"upgrade"}, "upgraded: daemon ")
	same("after an upgrade")
	killMates(r.dir)
	err := <-r.exited
	r.exited <- err
	again()
	same("after both were killed")
	if _, err := r.Stop(t.Context(), control.Target{All: true}, true); err != nil {
		t.Fatal(err)
	}
	for name, p := range r.infos() {
		if p.State != process.Stopped && name != "once" || lives(before[name].PID) {
			t.Errorf("%s is %s after the stop", name, p.State)
		}
	}
	t.Logf("%d lines", countLines(t, r.path("lines.log")))
}

// TestOrdinaryUser has a user without any rights run it in a directory of his own: all is as ever, but for control groups, and nothing is written anywhere
// else.
func TestOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: graced as another user, because only root can become one")
	}
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.must(errors.Join(os.Chmod(filepath.Dir(r.dir), 0o755), os.Chmod(r.dir, 0o755)))
	began := time.Now().Add(-time.Second)      // what a test that was killed left there is older
	uid := uint32(1_000_000_000 + os.Getpid()) // nobody has it, nor does this test elsewhere on the machine: whatever is this user's was made here
	become := []string{"setpriv", "--reuid", strconv.Itoa(int(uid)), "--regid", strconv.Itoa(int(uid)), "--clear-groups", "--"}
	start := func() {
		r.launch(append([]string{"/bin/sh", "-c", `chown -R "$0" "$1" && shift && exec "$@"`, strconv.Itoa(int(uid)), r.dir}, become...), placeConf)
	}
	start()
	r.runs("limited", process.Running)
	doc := r.doctor()
	if !slices.ContainsFunc(doc.Features, func(f control.Feature) bool { return f.Name == "cgroup2_write" && !f.Available && f.Detail != "" }) {
		t.Errorf("doctor does not say that no group can be made: %v", doc.Features)
	}
	lacks := "it has no control group of its own: "
	if !slices.ContainsFunc(doc.Lacking, func(l control.Lacking) bool { return l.Name == "limited" && strings.HasPrefix(l.Text, lacks) }) {
		t.Errorf("doctor does not say what limited lacks: %v", doc.Lacking)
	}
	r.gracectl(0, []string{"status"}, lacks)
	out, err := exec.Command(become[0], append(become[1:], filepath.Join(r.bin, "gracectl"), "-c", r.path("s.conf"), "pid", "a")...).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(r.infos()["a"].PID) {
		t.Errorf("the user asks for a pid: %v, %s", err, out)
	}
	for _, p := range r.infos() {
		if info, err := os.Stat("/proc/" + strconv.Itoa(p.PID)); err != nil || info.Sys().(*syscall.Stat_t).Uid != uid {
			t.Errorf("%s is another user's: %v", p.Name, err)
		}
	}
	r.survives(start)
	r.must(r.end())
	for _, top := range []string{os.TempDir(), "/tmp", "/var/tmp", "/var/log", "/var/lib", "/run", "/dev/shm", "/etc"} {
		_ = filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error { // others come and go
			if err == nil && path == r.dir {
				return fs.SkipDir
			}
			if e == nil {
				return nil
			}
			if info, err := e.Info(); err == nil && info.Sys().(*syscall.Stat_t).Uid == uid && !info.ModTime().Before(began) {
				t.Errorf("written outside of its directory: %s", path)
			}
			return nil
		})
	}
}

// readOnly is a shell's text that makes everything read-only but the directory $keep. It needs a mount namespace of its own.
const readOnly = `mount --make-rprivate / && mount --bind "$keep" "$keep" &&
while read -r _ _ _ _ at _; do case $at in "$keep"|/proc*) ;; *) mount -o remount,bind,ro "$at" || exit;; esac; done </proc/self/mountinfo
`

// canMount skips a test where no mount namespace can be had.
func canMount(t *testing.T, what string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("hidden: %s, because only root can have mounts of its own", what)
	}
	if out, err := exec.Command("unshare", "-m", "mount", "-o", "remount,bind,ro", "/").CombinedOutput(); err != nil {
		t.Skipf("hidden: %s, because this needs the privilege to mount: %s", what, out)
	}
}

// pidNamespace is the command with which a daemon is the first process of a namespace, as in a container. It skips a test where there is none to be had.
func pidNamespace(t *testing.T) []string {
	t.Helper()
	wrap := []string{"unshare", "--pid", "--fork", "--mount-proc"}
	if out, err := exec.Command(wrap[0], append(wrap[1:], "/bin/true")...).CombinedOutput(); err != nil {
		t.Skipf("hidden: a daemon as process 1, because there can be no PID namespace: %v %s", err, out)
	}
	return wrap
}

// TestReadOnlyRoot has one directory to write in.
func TestReadOnlyRoot(t *testing.T) {
	canMount(t, "graced on a read-only root")
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	start := func() {
		r.launch([]string{"unshare", "-m", "/bin/sh", "-c", "keep=$0\n" + readOnly + `exec "$@"`, r.dir}, placeConf)
	}
	start()
	r.runs("limited", process.Running)
	r.gracectl(0, []string{"doctor"}, "read-only file system; its tree is its process group and its descendants")
	r.survives(start)
	r.must(r.end())
}

// TestNothingToWriteIn has a socket and nothing else: what runs goes on when the daemon or the keeper is killed, and what cannot be had is said.
func TestNothingToWriteIn(t *testing.T) {
	canMount(t, "graced without any directory to write in")
	t.Parallel()
	sockets := t.TempDir()
	r := &rig{t: t, dir: t.TempDir()}
	r.must(os.Symlink(filepath.Join(sockets, "s.sock"), r.path("s.sock")))
	r.must(os.Symlink(filepath.Join(sockets, "s.log"), r.path("s.log"))) // as a pipe to a collector of logs would be
	start := func() {
		r.launch([]string{"unshare", "-m", "/bin/sh", "-c", "keep=$0\n" + readOnly + `exec "$@"`, sockets}, "[unix_http_server]\nfile="+sockets+"/s.sock\n[graced]\nstatedir=%(here)s/state\n"+
			"[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n"+
			"[program:once]\ncommand=/bin/sh -c 'read go; exit 7'\nstartsecs=0\nautorestart=false\nstdout_logfile=NONE\nstderr_logfile=NONE\n"+
			"[program:auto]\ncommand=/bin/sleep 1000\nstartretries=0\n")
	}
	start()
	pid := r.runs("a", process.Running).PID
	if p := r.runs("auto", process.Fatal); p.SpawnErr != "unknown error making dispatchers for 'auto': EROFS" {
		t.Errorf("a log that cannot be made: %q", p.SpawnErr)
	}
	for _, text := range []string{"CRIT could not write pidfile " + r.path("s.pid"), "WARN the ledger is in memory: open " + r.path("s.pid.ledger.new") + ": read-only file system; if"} {
		if strings.Count(r.read("s.log"), text) != 1 {
			t.Errorf("the log does not say %q:\n%s", text, r.read("s.log"))
		}
	}
	r.gracectl(0, []string{"hold", "a"}, "read-only file system")
	r.gracectl(0, []string{"status"}, "read-only file system")

	same := func(when string) {
		t.Helper()
		if now := r.infos()["a"].PID; now != pid {
			t.Errorf("%s: the process had pid %d and has %d", when, pid, now)
		}
	}
	kill := func(one func(control.Doctor) int) control.Doctor {
		t.Helper()
		before := r.doctor()
		r.must(syscall.Kill(one(before), syscall.SIGKILL))
		after := before
		r.until("there is another one", func() bool {
			out, code := r.ctl("gracectl", "doctor", "-o", "json")
			return code == 0 && json.Unmarshal([]byte(out), &after) == nil && one(after) != one(before)
		})
		return after
	}
	kill(func(d control.Doctor) int { return d.DaemonPID })
	same("after the daemon was killed")
	r.must(r.WriteStdin(t.Context(), "once", []byte("go\n")))
	if p := r.runs("once", process.Exited); p.ExitStatus != 7 {
		t.Errorf("once ended with %d", p.ExitStatus)
	}
	last := kill(func(d control.Doctor) int { return d.KeeperPID })
	same("after the keeper was killed")
	r.must(syscall.Kill(last.KeeperPID, syscall.SIGTERM))
	if _ = r.end(); lives(pid) { // the first keeper was killed
		t.Error("a process lives on after the end")
	}
}

// TestReadOnlyBothSides has a directory for temporary files alone: as under Supervisor there is no pid file then, and logs go to a pipe.
func TestReadOnlyBothSides(t *testing.T) {
	canMount(t, "graced without any directory to write in")
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.write("s.conf", fmt.Sprintf("[inet_http_server]\nport=127.0.0.1:%d\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"+
			"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%%(here)s/s.pid\nchildlogdir=%%(here)s\n"+
			"[program:p]\ncommand=/bin/sh -c 'echo hello; exec sleep 1000'\nstartsecs=0\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nredirect_stderr=true\n", freePort(t)))
		s.command("mkdir tmp && export TMPDIR=$PWD/tmp && keep=$TMPDIR\n"+readOnly, // Python does not start without one
			"-n", "-c", "s.conf")
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
		s.launch()
		s.until("the program has written", func() bool {
			return strings.Contains(s.out.String(), "hello\n") && strings.Contains(s.out.String(), "spawned: 'p'")
		})
		s.signal(syscall.SIGTERM)
		code := s.ended()
		lines := strings.SplitAfter(s.mask(s.out.String()), "\n")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "WARN the ledger is in memory: ") }) // ours alone
		slices.Sort(lines)                                                                                                      // ours go in batches
		return fmt.Sprint("exit ", code, "\n", lines, s.mask(s.err.String()), s.files())
	})
}

// TestPidOneKilled kills the daemon where the keeper is process 1: what runs goes on, and orphans of before are reaped by those that come after.
func TestPidOneKilled(t *testing.T) {
	canMount(t, "the daemon of a process 1")
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, bin: filepath.Join(bin, "graced"), dir: t.TempDir()}
	s.conf("[program:p]\ncommand=/bin/sh p.sh\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
	s.write("p.sh", "sh -c 'sh orphan.sh &'\nexec sleep 1000\n")
	s.write("orphan.sh", "while [ $(ps -o ppid= -p $$) != 1 ]; do :; done\n>orphaned\nwhile [ ! -e go ]; do sleep 0.1; done\nexit 7\n")
	s.command("mount -t proc none /proc", "-n", "-s", "-c", "s.conf")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	s.launch()
	s.until("there is an orphan", func() bool { _, err := os.Stat(s.path("orphaned")); return err == nil })
	c, err := client.New("unix://"+s.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	child := func() (pid int) {
		s.until("the daemon answers", func() bool {
			p, err := c.Process(t.Context(), "p")
			pid = p.PID
			return err == nil && p.State == process.Running
		})
		return pid
	}
	daemons := func() []int {
		return find(func(pid int, _ []string) bool {
			dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
			return err == nil && dir == s.dir && pid != s.pid
		})
	}
	before := child()
	for range 3 {
		old := daemons()
		if len(old) != 1 {
			t.Fatalf("daemons %d of keeper %d", old, s.pid)
		}
		if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.until("there is another daemon", func() bool { now := daemons(); return len(now) == 1 && now[0] != old[0] })
		if now := child(); now != before {
			t.Errorf("the process had pid %d and has %d", before, now)
		}
	}
	if info, err := c.Daemon(t.Context()); err != nil || info.PID != 1 || s.pidOf("s.pid") != 1 {
		t.Errorf("it is pid %d, the file says %d: %v", info.PID, s.pidOf("s.pid"), err)
	}
	s.write("go", "")
	s.logs("reaped unknown pid", 1)
	if !strings.Contains(s.log(), "reaped unknown pid PID (exit status 7)") {
		t.Errorf("the log says:\n%s", s.log())
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 || !strings.Contains(s.log(), "stopped: p (terminated by SIGTERM)") {
		t.Errorf("exit %d; the log says:\n%s", code, s.log())
	}
	if left := s.files(); strings.Contains(left, "s.pid") || strings.Contains(left, "s.sock") {
		t.Errorf("left behind:\n%s", left)
	}
}

// TestWithoutPtraceRight has root without CAP_SYS_PTRACE, as containers do: after keeper and daemon were killed at once its own processes are taken back,
// and of those of other users it is said that they are not.
func TestWithoutPtraceRight(t *testing.T) {
	canMount(t, "root with fewer capabilities")
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	start := func() {
		r.launch([]string{"setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"},
			"[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n[program:other]\ncommand=/bin/sleep 1000\nstartsecs=0\nuser=nobody\n")
	}
	start()
	r.gracectl(0, []string{"doctor"}, "without proc_other: the next start says that it cannot, and starts them beside these")
	own, other := r.runs("a", process.Running).PID, r.runs("other", process.Running).PID
	r.killDaemon()
	r.killKeeper()
	if now := r.infos()["other"].PID; now != other {
		t.Errorf("other had pid %d and has %d", other, now)
	}
	killMates(r.dir)
	err := <-r.exited
	r.exited <- err
	t.Cleanup(func() { _ = syscall.Kill(other, syscall.SIGKILL) }) // a process of this test's that nobody else ends
	start()
	if now := r.infos()["a"].PID; now != own {
		t.Errorf("a had pid %d and has %d", own, now)
	}
	if now := r.runs("other", process.Running).PID; now == other || !lives(other) || !strings.Contains(r.read("s.log"), "WARN cannot take other back: ") {
		t.Errorf("other had pid %d and has %d; the log says:\n%s", other, now, r.read("s.log"))
	}
}
