package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
)

// surgeConf is a web server of four workers at one socket, of which none may be missing while they are replaced.
func surgeConf(self string, release int, broken string) string {
	return fmt.Sprintf("[socket:front]\nlisten=unix://%%(here)s/web.sock\nbacklog=1024\n[program:web]\nsockets=front\ncommand=%s\nprocess_name=web_%%(process_num)d\nnumprocs=4\nstartsecs=0\nstartretries=0\n"+
		"ready=log:^accepting$\nready_wait=1m\nroll_surge=1\nroll_max_unavailable=0\nroll_steady=100ms\nenvironment=%s=\"passed\",RELEASE=\"%d\",BROKEN=\"%s\",HOLDS=\"%%(here)s/holds\"\n", self, workerEnv, release, broken)
}

// leastReady returns how many processes were ready at least between the events of a roll of four, and which processes came for it and went.
func leastReady(op control.Operation) (least int, came, went []string) {
	least = 4
	out, standsIn := map[string]bool{}, false
	for _, e := range op.Events {
		extra := e.Process == "web:web_4"
		good := e.Type == "end" && e.Error == ""
		switch {
		case !extra && e.Action == "replace" && e.Type == "begin", !extra && e.Action == "start" && e.Type == "begin":
			out[e.Process] = true
		case !extra && good:
			delete(out, e.Process)
		case extra && e.Action == "start" && e.Type == "end":
			came = append(came, e.Process)
		case extra && e.Action == "stop" && e.Type == "end":
			went = append(went, e.Process)
		}
		if extra && e.Action == "start" && good {
			standsIn = true
		} else if extra && e.Action == "stop" {
			standsIn = false
		}
		ready := 4 - len(out)
		if standsIn {
			ready++
		}
		least = min(least, ready)
	}
	return least, came, went
}

// rollAndLook runs a client, and returns how many processes of the web server were ready at least whenever somebody looked, and whether a fifth was among them.
func (r *rig) rollAndLook(code int, args []string, words ...string) (least int, fifth bool) {
	r.t.Helper()
	_, out, ended := r.background(nil, "gracectl", args...)
	least = 9
	for over := false; !over; {
		select {
		case got := <-ended:
			if over = true; got != code {
				r.t.Errorf("%v: exit %d\n%s", args, got, out.String())
			}
		default:
		}
		s, err := r.Standing(r.t.Context())
		if err != nil {
			continue
		}
		ready := 0
		for name, is := range s.Readiness {
			if is.Ready {
				ready++
				fifth = fifth || name == "web:web_4"
			}
		}
		least = min(least, ready)
	}
	for _, word := range words {
		if !strings.Contains(out.String(), word) {
			r.t.Errorf("%v: no %q in\n%s", args, word, out.String())
		}
	}
	return least, fifth
}

// held begins a roll whose extra process is there and not ready before what it returns was called: as long as that, nothing goes on.
func (r *rig) held(begin func() error) (id string, let func()) {
	r.t.Helper()
	file := filepath.Join(r.dir, "holds")
	r.must(os.WriteFile(file, nil, 0o600))
	r.must(begin())
	id = r.lastOperation()
	r.until("the extra process is there", func() bool { return r.full()["web:web_4"].PID != 0 })
	return id, func() { r.t.Helper(); r.must(os.Remove(file)) }
}

// TestSurge rolls a web server that is never to have fewer than four workers: one more comes first, stands in for each that is replaced, and goes. It does so also
// when the release is broken, when the daemon is killed, and when somebody ends the roll.
func TestSurge(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir()}
	r.launch(nil, surgeConf(self, 1, ""))
	r.allReady(4)
	names := slices.Sorted(maps.Keys(r.full()))
	load := newLoad(t, "unix", filepath.Join(r.dir, "web.sock"))
	check := func(what, id string, state control.OperationState, others int, before map[string]control.ProcessInfo) {
		t.Helper()
		op, now := r.operation(id), r.full()
		if least, came, went := leastReady(op); least < 4 || !slices.Equal(slices.Sorted(slices.Values(came)), slices.Sorted(slices.Values(went))) {
			t.Errorf("%s: %d were ready at least; %v came, %v went: %+v", what, least, came, went, op.Events)
		}
		if got := slices.Sorted(maps.Keys(now)); !slices.Equal(got, names) || op.State != state || len(changed(before, now)) != others {
			t.Errorf("%s: %s, left are %v, others are %v: %+v", what, op.State, got, changed(before, now), op.Events)
		}
		load.until(load.count().Asked + 200)
		if c := load.count(); c.Failed > 0 {
			t.Errorf("%s: %d of %d requests failed: %s", what, c.Failed, c.Asked, c.First)
		}
		r.allReady(4)
	}
	releases := func(want string) {
		t.Helper()
		load.forget()
		load.until(load.count().Asked + 200)
		if c := load.count(); !slices.Equal(c.Releases, []string{want}) {
			t.Errorf("releases %v answer, not %s", c.Releases, want)
		}
	}

	before := r.full()
	r.write(surgeConf(self, 2, ""))
	if s := r.planned("web").Groups[0].Strategy; s == nil || s.MaxUnavailable != 0 || s.Surge != 1 || !slices.Equal(s.Extra, []string{"web:web_4"}) || s.Batches != 4 {
		t.Errorf("the strategy is %+v", s)
	}
	r.gracectl(0, []string{"plan"}, "one at a time, surge 1: web_4 meanwhile, ready by log:^accepting$, steady 100ms")
	if least, fifth := r.rollAndLook(0, []string{"update"}, "web:web_4", "op-1  done"); least < 4 || !fifth {
		t.Errorf("%d were ready, with a fifth: %v", least, fifth)
	}
	check("a good release", "op-1", control.OperationDone, 4, before)
	releases("2")
	r.gracectl(0, []string{"update"}, "nothing to do")

	// The extra process is the first that fails: nothing else is touched.
	before = r.full()
	r.write(surgeConf(self, 3, "exits"))
	if least, fifth := r.rollAndLook(10, []string{"update"}, "it ended with code 3", "4 were left as they were"); least < 4 || fifth {
		t.Errorf("%d were ready, with a fifth: %v", least, fifth)
	}
	check("one that does not come up", r.lastOperation(), control.OperationRolledBack, 0, before)
	releases("2")

	// The last one fails: those before it go back, and none is missing meanwhile but the one that has failed.
	r.write(surgeConf(self, 3, "exits late"))
	r.rollAndLook(10, []string{"update"}, "it ended with code 3", "back, pid ")
	check("one that comes up in part", r.lastOperation(), control.OperationRolledBack, 4, before)
	releases("2")

	// What runs is not what the file says: neither would the extra process be.
	r.gracectl(1, []string{"restart", "--rolling", "web:*"}, "web runs something else than the files say")
	r.write(surgeConf(self, 2, ""))
	r.gracectl(0, []string{"update"}, "nothing to do")

	// A restart, and the daemon is killed when the extra process is there.
	before = r.full()
	restart := func() error {
		_, err := r.Act(t.Context(), control.ActRequest{Verb: control.ActRestart, Names: []string{"web:*"}, Rolling: true})
		return err
	}
	id, let := r.held(restart)
	r.gracectl(0, []string{"status"}, "extra while others are replaced")
	r.killDaemon()
	let()
	r.gracectl(0, []string{"wait", id})
	check("a restart, the daemon killed", id, control.OperationDone, 4, before)

	// The same with the keeper.
	before = r.full()
	id, let = r.held(restart)
	r.killKeeper()
	let()
	r.gracectl(0, []string{"wait", id})
	check("a restart, the keeper killed", id, control.OperationDone, 4, before)

	// Somebody ends it.
	before = r.full()
	r.write(surgeConf(self, 4, ""))
	id, let = r.held(func() error { _, err := r.Update(t.Context(), control.UpdateRequest{}); return err })
	r.gracectl(0, []string{"cancel", id})
	r.gracectl(1, []string{"wait", id})
	let()
	if got := slices.Sorted(maps.Keys(r.full())); !slices.Equal(got, names) {
		t.Errorf("cancelled: left are %v", got)
	}
	if got := changed(before, r.full()); len(got) > 0 {
		t.Errorf("cancelled: others are %v", got)
	}

	// Daemon and keeper are killed at once: the next start takes all back, and does what the file says.
	r.write(surgeConf(self, 2, ""))
	r.gracectl(0, []string{"update"}, "nothing to do")
	_, let = r.held(restart)
	let()
	r.orphaned()
	r.until("no extra process is there", func() bool { return slices.Equal(slices.Sorted(maps.Keys(r.full())), names) })
	r.allReady(4)
}

// orphaned kills daemon and keeper, leaves the processes alone, and starts the next on the same files.
func (r *rig) orphaned() {
	r.t.Helper()
	killMates(r.dir)
	<-r.exited
	r.startAgain(nil)
	r.until("the next daemon answers", func() bool { _, err := r.Daemon(r.t.Context()); return err == nil })
}
