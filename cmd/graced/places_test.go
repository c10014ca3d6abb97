package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
	const uid = 54321 // nobody has it: whatever is this user's was made here
	become := []string{"setpriv", "--reuid", strconv.Itoa(uid), "--regid", strconv.Itoa(uid), "--clear-groups", "--"}
	start := func() {
		r.launch(append([]string{"/bin/sh", "-c", `chown -R "$0" "$1" && shift && exec "$@"`, strconv.Itoa(uid), r.dir}, become...), placeConf)
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
			if err != nil {
				return nil
			}
			if path == r.dir {
				return fs.SkipDir
			}
			if info, err := e.Info(); err == nil && info.Sys().(*syscall.Stat_t).Uid == uid {
				t.Errorf("written outside of its directory: %s", path)
			}
			return nil
		})
	}
}
