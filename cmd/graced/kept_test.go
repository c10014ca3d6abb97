package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/process"
)

// killed ends daemon, keeper and processes with SIGKILL, as a machine that is out of memory may, and starts the next on the same files.
func (r *rig) killed() {
	r.t.Helper()
	list := r.infos()
	killMates(r.dir)
	for _, p := range list {
		if p.PID != 0 {
			_ = syscall.Kill(-p.PID, syscall.SIGKILL) // a group of this test's; it may have ended
		}
	}
	<-r.exited
	r.startAgain(nil)
	r.until("the next daemon answers", func() bool { _, err := r.Daemon(r.t.Context()); return err == nil })
}

// TestOperationsOutliveTheDaemon kills the daemon within an update. The numbers of operations go on, and how far the update had come is known.
func TestOperationsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	conf := func(env string) string {
		return `[program:web]
command=/bin/sh -c 'test %(process_num)d = 1 && trap "" TERM; echo $$ > %(here)s/up-%(process_num)d; while :; do sleep 1000 & wait; done'
process_name=web_%(process_num)d
numprocs=3
startsecs=0
stopwaitsecs=1000
stopasgroup=true
environment=A=` + env + "\n"
	}
	r := newRig(t, conf("1"))
	if _, err := os.Stat(r.path("s.log.state")); err == nil {
		t.Error("a daemon that nobody has asked for anything has a state directory")
	}
	r.until("TERM is ignored", func() bool { return len(r.files("up-?")) == 3 })
	r.write(conf("2"))
	r.gracectl(12, []string{"update", "--timeout", "1", "-y"})
	r.until("the first is replaced and the second does not end", func() bool { return r.infos()["web_1"].State == process.Stopping })
	r.until("that is written down", func() bool { return strings.Count(r.read("s.log.state/journal.jsonl"), `"type":"begin"`) == 2 })
	r.killed()
	r.gracectl(0, []string{"ops"}, "op-1", "interrupted", "1 of 3", "within web:web_1")
	r.gracectl(1, []string{"attach", "op-1"}, "web:web_0", "replaced, pid", "op-1  interrupted: the daemon ended after 1 of 3 processes, within web:web_1")
	r.gracectl(0, []string{"history"}, "r2 ", "op-1", "interrupted", "web ~1; the daemon ended after 1 of 3 processes")
	r.gracectl(0, []string{"scale", "web=2", "--lazy"}, "op-2")
	r.killed()
	if out := r.gracectl(0, []string{"ops"}); !strings.Contains(out, "no operations yet") {
		t.Errorf("operations of this daemon: %s", out)
	}
	r.gracectl(0, []string{"ops", "--all"}, "op-1", "op-2", "interrupted", "done")
	for _, p := range r.infos() { // nobody waits for those that ignore TERM
		if p.PID != 0 {
			r.must(syscall.Kill(-p.PID, syscall.SIGKILL))
		}
	}
}

// TestStateThatIsNotKept has a file where the state directory is to be: changes are made all the same, and everybody is told.
func TestStateThatIsNotKept(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("file", "")
	conf := "[graced]\nstatedir=%(here)s/file/state\n[program:web]\ncommand=/bin/sleep 1000\nnumprocs=2\nprocess_name=web_%(process_num)d\nstartsecs=0\n"
	r.launch(nil, conf)
	r.runs("web_1", process.Running)
	if out := r.gracectl(0, []string{"status"}); strings.Contains(out, "kept") {
		t.Errorf("status before any change: %s", out)
	}
	const lost = "warning: applied, but not kept: stat "
	r.gracectl(0, []string{"hold", "web:web_0"}, "web:web_0: held", lost)
	r.gracectl(0, []string{"scale", "web=3"}, "2 -> 3 processes", lost)
	r.gracectl(0, []string{"status"}, "changes cannot be kept on disk: stat "+r.path("file/state")+": not a directory")
	r.write(strings.Replace(conf, "startsecs=0", "startsecs=0\nstopwaitsecs=5", 1))
	r.gracectl(0, []string{"update"}, "op-2  done", lost)
	if out := r.gracectl(0, []string{"update"}, "nothing to do"); strings.Contains(out, lost) {
		t.Errorf("nothing was applied: %s", out)
	}
	r.must(os.Remove(r.path("file")))
	if out := r.gracectl(0, []string{"hold", "web:web_0"}); strings.Contains(out, "kept") {
		t.Errorf("with a place for it: %s", out)
	}
	if text := r.read("file/state/state.json"); !strings.Contains(text, `"op-2"`) || !strings.Contains(text, `"kind":"override"`) {
		t.Errorf("kept:\n%s", text)
	}
}

// TestCallsOutliveTheDaemon: what an old client's update has brought is in the history when the daemon is killed after a while, or another one takes its place at
// once.
func TestCallsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	conf := func(release int) string {
		return fmt.Sprintf("[program:p]\ncommand=/bin/sleep 1000\nstartsecs=0\nenvironment=R=%d\n", release)
	}
	r := newRig(t, conf(1))
	update := func(release int) {
		r.write(conf(release))
		if out, code := r.ctl("supervisorctl", "update"); code != 0 {
			t.Fatalf("exit %d, %s", code, out)
		}
	}
	update(2)
	r.until("that is written down", func() bool { return strings.Count(r.read("s.log.state/journal.jsonl"), `"kind":"generation"`) == 2 })
	r.killDaemon()
	update(3)
	r.upgrade("")
	update(4)
	r.gracectl(0, []string{"shutdown"})
	<-r.exited
	r.launch(nil, conf(5))
	out := r.gracectl(0, []string{"history"}, "r5 ", "r4 ", "r3 ", "r2 ", "r1 ")
	if n := strings.Count(out, "p ~1"); n != 4 {
		t.Errorf("%d of 4 changes:\n%s", n, out)
	}
}
