package main

import (
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestRollback goes back and forth between generations: the files are not touched, what differs is told, and only what has to is replaced.
func TestRollback(t *testing.T) {
	t.Parallel()
	conf := func(value, more string) string {
		return "[program:web]\ncommand=/bin/sleep 1000\nprocess_name=web_%(process_num)d\nnumprocs=2\nstartsecs=0\nenvironment=A=\"" + value + "\"\n[program:db]\ncommand=/bin/sleep 1000\nstartsecs=0\n" + more
	}
	r := newRig(t, conf("1", ""))
	r.gracectl(1, []string{"undo"}, "E318", "no generation is kept from before r1") // no generation is older than the first
	r.write(conf("2", "[program:new]\ncommand=/bin/sleep 1000\nstartsecs=0\n"))
	r.gracectl(0, []string{"update"}, "op-1  done")
	file := r.read("s.conf")
	before := r.full()

	r.gracectl(0, []string{"undo", "--dry-run"}, "back to r1; the files are not touched", "2 processes replaced, one at a time", "environment A   2 -> 1", "- new", "do it:  gracectl rollback r1")
	r.gracectl(0, []string{"undo"}, "op-2  rollback to r1", "op-2  done", "what runs is r1, the files may say otherwise")
	after := r.full()
	if got := strings.Join(changed(before, after), " "); got != "web:web_0 web:web_1" || len(after) != 3 {
		t.Errorf("%v are others, %d processes", got, len(after))
	}
	if r.read("s.conf") != file {
		t.Error("the file is another one")
	}
	r.gracectl(0, []string{"status"}, "not in step, by an operation: new web ")
	r.gracectl(0, []string{"history"}, "r3 ", "op-2", "web ~1, new removed")
	if p := r.planned(); p.Totals.Replace != 2 || p.Totals.Start != 1 {
		t.Errorf("an update would do %+v", p.Totals)
	}
	r.killDaemon()
	r.gracectl(0, []string{"status"}, "not in step, by an operation: web ")
	r.gracectl(1, []string{"scale", "web=3"}, "runs something else than the files say")
	r.gracectl(0, []string{"rollback", "r1"}, "nothing to do: what runs is what r1 was")

	// What was undone is redone by undoing that, or by an update.
	r.gracectl(0, []string{"undo"}, "rollback to r2", "done")
	r.gracectl(0, []string{"update"}, "nothing to do")
	if out, _ := r.ctl("gracectl", "status"); strings.Contains(out, "not in step") {
		t.Error(out)
	}
	r.gracectl(1, []string{"rollback", "r9"}, "E318", "r9 is not kept")
	r.gracectl(1, []string{"undo", "op-77"}, "E318")
	r.gracectl(2, []string{"rollback", "web"}, "E312")

	// A number that somebody has set goes back as well.
	r.gracectl(0, []string{"scale", "web=4"}, "done")
	r.gracectl(0, []string{"undo"}, "done")
	if n := len(r.full()); n != 4 {
		t.Errorf("%d processes", n)
	}
	r.gracectl(0, []string{"update"}, "nothing to do")

	// Of what goes back each that fails goes forward again.
	r.write(conf("3", ""))
	r.gracectl(0, []string{"update"}, "done")
	r.gracectl(0, []string{"undo", "op-1", "--dry-run"}, "back to r1")
	r.gracectl(0, []string{"rollback", "r1", "-o", "json"}, `"kind": "rollback"`, `"to": 1`)
}

// TestUndoPassesOver goes back to the last configuration that was wholly in force, over a release that was left half-way, and nowhere after one that has
// taken itself back.
func TestUndoPassesOver(t *testing.T) {
	t.Parallel()
	conf := func(command, more string) string {
		return "[program:web]\ncommand=" + command + "\nstartsecs=0\nstartretries=0\nready=exec:true\nready_period=50ms\n" + more
	}
	const good, bad = "/bin/sleep 1000", "/bin/nothing-here"
	db := func(value string) string { return "[program:db]\ncommand=/bin/sleep 100" + value + "\nstartsecs=0\n" }
	r := newRig(t, conf(good, ""))
	r.write(conf(bad, db("0")))
	r.gracectl(1, []string{"update", "--on-failure", "stop"}, "op-1  failed")
	r.write(conf(good, db("1")))
	r.gracectl(0, []string{"update"}, "op-2  done")
	r.gracectl(0, []string{"history"}, "r3 ", "r2 ", "failed")

	r.write(conf(bad, db("1")))
	r.gracectl(10, []string{"update"}, "op-3  rolled back")
	before := r.full()
	r.gracectl(0, []string{"undo"}, "nothing to undo: op-3 was rolled back and has brought nothing: what is in force is r3, as before it", "undo op-2")
	if now := changed(before, r.full()); len(now) > 0 {
		t.Errorf("%v are others", now)
	}
	r.gracectl(0, []string{"undo", "op-2"}, "back to r1, the last good one before r3; passed over: r2 (op-1 failed)", "rollback to r1", "done")
	if len(r.full()) != 1 {
		t.Errorf("%v", r.full())
	}
}

// TestUndoOfCalls has supervisorctl change what runs beside gracectl: undo goes back to what that has brought, and takes it back when it came last, also after
// the daemon was killed.
func TestUndoOfCalls(t *testing.T) {
	t.Parallel()
	conf := func(web, db string) string {
		return "[program:web]\ncommand=/bin/sleep 100" + web + "\nstartsecs=0\n[program:db]\ncommand=/bin/sleep 100" + db + "\nstartsecs=0\n"
	}
	r := newRig(t, conf("1", "1"))
	supervisorctl := func() {
		t.Helper()
		if out, code := r.ctl("supervisorctl", "update"); code != 0 || !strings.Contains(out, "web: updated process group") {
			t.Fatalf("exit %d, %s", code, out)
		}
	}
	r.write(conf("2", "1"))
	supervisorctl()
	r.runs("web", process.Running)
	web := r.full()["web:web"].PID
	r.write(conf("2", "2"))
	r.gracectl(0, []string{"update"}, "op-1  done")
	r.gracectl(0, []string{"history"}, "r3 ", "op-1", "db ~1", "r2 ", "web ~1", "r1 ", "started")
	r.gracectl(0, []string{"undo"}, "op-2  rollback to r2", "op-2  done")
	if now := r.full()["web:web"].PID; now != web {
		t.Errorf("web was started anew, as %d", now)
	}

	r.write(conf("3", "1"))
	supervisorctl()
	r.killDaemon()
	r.gracectl(0, []string{"undo"}, "op-3  rollback to r4", "op-3  done")
	r.gracectl(0, []string{"history"}, "r6 ", "op-3", "r5 ", "web ~1", "r4 ", "op-2")
}
