package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

var (
	updateSeed  = flag.Uint64("update.seed", 0, "seed of the random configurations; 0: a random one")
	updatePairs = flag.Int("update.pairs", 50, "how many pairs of random configurations")
)

// world is a random configuration: names, and what may be said of each.
type world struct{ *rand.Rand }

func (w world) pick(words ...string) string { return words[w.IntN(len(words))] }

// program returns the lines of a program. Few values, so that most stay as they are from one configuration to the next. What fails leaves the rest of
// its line as it is: what goes back is told by TestBadRelease, and in random rolls by package sim.
func (w world) program(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[program:%s]\nstartsecs=0\nautorestart=false\nroll_on_failure=stop\n", name)
	line := func(text string) { b.WriteString(text + "\n") }
	switch w.IntN(8) {
	case 0:
		line("command=/bin/sleep 2000")
	case 1:
		line("command=/no/such/program") // it gives up
		line("startretries=0")
	default:
		line("command=/bin/sleep 1000")
	}
	switch n := w.IntN(4); {
	case n == 1 && w.IntN(2) == 0:
		line("numprocs=1")
	default:
		line(fmt.Sprintf("numprocs=%d\nprocess_name=%s_%%(process_num)d", n, w.pick("%(program_name)s", "%(program_name)s", "%(program_name)s", "other")))
	}
	for _, option := range []string{"stopwaitsecs=5", "exitcodes=0,3", "stopsignal=INT", "priority=5", "environment=A=\"1\"", "stdout_logfile=NONE", "autostart=false", "numprocs_start=1", "umask=077"} {
		if w.IntN(7) == 0 {
			line(option)
		}
	}
	return b.String()
}

// conf returns a whole configuration.
func (w world) conf() string {
	var b strings.Builder
	for _, name := range []string{"a", "b", "c", "d"} {
		if w.IntN(5) > 0 {
			b.WriteString(w.program(name))
		}
	}
	if w.IntN(2) == 0 {
		b.WriteString(w.program("x") + w.program("y") + "[group:g]\nprograms=" + w.pick("x", "x,y", "y,x") + "\n")
	}
	if w.IntN(3) > 0 {
		fmt.Fprintf(&b, "[eventlistener:l]\ncommand=/bin/sh -c 'echo READY; exec sleep 1000'\nstartsecs=0\nevents=%s\nbuffer_size=%s\n", w.pick("TICK_60", "TICK_3600"), w.pick("5", "10"))
	}
	if w.IntN(3) > 0 {
		fmt.Fprintf(&b, "[fcgi-program:f]\ncommand=/bin/sleep 1000\nstartsecs=0\nsocket=unix://%%(here)s/f.sock\nsocket_mode=%s\nprocess_name=f_%%(process_num)d\nnumprocs=%d\n",
			w.pick("0700", "0700", "0750"), w.IntN(4))
	}
	return b.String()
}

// full asks for all processes, by group and name.
func (r *rig) full() map[string]control.ProcessInfo {
	r.t.Helper()
	list, err := r.Processes(r.t.Context())
	r.must(err)
	out := map[string]control.ProcessInfo{}
	for _, p := range list {
		out[p.Group+":"+p.Name] = p
	}
	return out
}

// resting waits until nothing is on its way from one state to another.
func (r *rig) resting() {
	r.t.Helper()
	r.until("everything is at rest", func() bool {
		for _, p := range r.full() {
			switch p.State {
			case process.Starting, process.Backoff, process.Stopping:
				return false
			}
		}
		return true
	})
}

// planned asks gracectl for the plan.
func (r *rig) planned(args ...string) (p control.Plan) {
	r.t.Helper()
	out, code := r.ctl("gracectl", append([]string{"plan", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 {
		r.t.Fatalf("plan: exit %d, %v\n%s", code, err, out)
	}
	return p
}

// compare checks that what has become of before is what the plan said, but for those that were left behind one that failed.
func (p planOf) compare(t *testing.T, before, after map[string]control.ProcessInfo, skipped []string) (failures int) {
	t.Helper()
	known := map[string]bool{}
	kept, replaced, started, stopped := 0, 0, 0, 0
	note := func(list []string) []string {
		for _, name := range list {
			known[name] = true
		}
		return list
	}
	broken := func(name string) bool { return after[name].State == process.Fatal }
	for _, g := range p.Groups {
		for _, name := range note(slices.Concat(g.Live, g.Untouched, g.Down)) {
			if before[name].PID != after[name].PID || before[name].State != after[name].State {
				t.Errorf("%s, which the plan keeps, was %s %d and is %s %d", name, before[name].State, before[name].PID, after[name].State, after[name].PID)
			}
			if after[name].PID != 0 {
				kept++
			}
		}
		for _, change := range g.Rename {
			note([]string{change.To})
			if before[change.From].PID != after[change.To].PID {
				t.Errorf("%s had pid %d, as %s it has %d", change.From, before[change.From].PID, change.To, after[change.To].PID)
			}
			if after[change.To].PID != 0 {
				kept++
			}
		}
		for _, name := range note(g.Replace) {
			replaced++
			if slices.Contains(skipped, name) {
				if before[name].PID != after[name].PID {
					t.Errorf("%s, which was left as it was, had pid %d and has %d", name, before[name].PID, after[name].PID)
				}
				continue
			}
			if broken(name) {
				failures++
				continue
			}
			if b, a := before[name], after[name]; a.PID == 0 || a.PID == b.PID {
				t.Errorf("%s, which the plan replaces, was %s %d and is %s %d", name, b.State, b.PID, a.State, a.PID)
			}
		}
		for _, name := range note(g.Start) {
			started++
			if slices.Contains(skipped, name) {
				continue // it had given up, and is tried again by the next update
			}
			if broken(name) {
				failures++
				continue
			}
			if b, a := before[name], after[name]; b.PID != 0 || a.PID == 0 {
				t.Errorf("%s, which the plan starts, was %s %d and is %s %d", name, b.State, b.PID, a.State, a.PID)
			}
		}
		for _, name := range note(g.Add) {
			if after[name].State != process.Stopped {
				t.Errorf("%s, which the plan adds, is %s", name, after[name].State)
			}
		}
		for _, name := range g.Stop {
			stopped++
			if _, still := after[name]; still {
				t.Errorf("%s, which the plan stops, is still there", name)
			}
		}
	}
	for name := range after {
		if !known[name] {
			t.Errorf("%s is in no plan", name)
		}
	}
	if len(known) != len(after) {
		t.Errorf("the plan leaves %d processes, there are %d", len(known), len(after))
	}
	if want := (control.PlanTotals{Keep: kept, Replace: replaced, Start: started, Stop: stopped, Live: p.Totals.Live}); failures == 0 && p.Totals != want {
		t.Errorf("the totals are %+v, it was %+v", p.Totals, want)
	}
	return failures
}

type planOf struct{ control.Plan }

// TestRandomUpdates updates from one random configuration to the next with real processes: what happens is what the plan said, and then there is
// nothing left to do. Some processes are stopped or killed in between.
func TestRandomUpdates(t *testing.T) {
	t.Parallel()
	seed := *updateSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-update.seed=%d", seed)
	const daemons = 2
	var all sync.WaitGroup
	for n := range uint64(daemons) {
		all.Go(func() {
			t.Run(fmt.Sprint(n), func(t *testing.T) { randomUpdates(t, rand.New(rand.NewPCG(seed, n)), *updatePairs/daemons) })
		})
	}
	all.Wait()
}

func randomUpdates(t *testing.T, random *rand.Rand, pairs int) {
	w := world{random}
	conf := w.conf()
	r := newRig(t, conf)
	operations := 0
	for i := range pairs {
		r.resting()
		// Some were stopped by hand, or have died.
		for name, p := range r.full() {
			if p.PID != 0 && w.IntN(10) == 0 {
				_, err := r.Stop(t.Context(), control.Target{Name: name}, true)
				r.must(err)
			}
		}
		before := r.full()
		last := conf
		conf = w.conf()
		r.write(conf)
		p := r.planned()
		failedSoFar := t.Failed()
		out, code := r.ctl("gracectl", "update", "-o", "json")
		var op control.Operation
		if err := json.Unmarshal([]byte(out), &op); err != nil {
			t.Fatalf("update: exit %d, %v\n%s", code, err, out)
		}
		if (op.State == control.OperationNothing) != p.Empty() {
			t.Errorf("the plan is empty: %v, the update is %s", p.Empty(), op.State)
		}
		if op.State != control.OperationNothing {
			operations++
		}
		r.resting()
		after := r.full()
		var skipped []string
		for _, e := range op.Events {
			if e.Skipped {
				skipped = append(skipped, e.Process)
			}
		}
		failures := planOf{p}.compare(t, before, after, skipped)
		if failed := op.State == control.OperationFailed; failed != (failures > 0) || (code == 1) != failed || failed != slices.ContainsFunc(op.Events, func(e control.ProgressLine) bool { return e.Error != "" }) {
			t.Errorf("%d processes failed, the update is %s, exit %d", failures, op.State, code)
		}
		if len(skipped) > 0 { // the rest of a line whose first failed: that is left, and shown
			if again := r.planned(); again.Empty() {
				t.Error("processes were left as they were, and the plan is empty")
			}
		} else {
			log := r.read("s.log")
			for range 2 {
				if out, code := r.ctl("gracectl", "plan", "--exit-code"); code != 0 {
					t.Errorf("after the update: exit %d\n%s", code, out)
				}
				if out, code := r.ctl("gracectl", "update"); code != 0 || !strings.HasPrefix(out, "nothing to do") {
					t.Errorf("a second update: exit %d\n%s", code, out)
				}
			}
			for name, p := range r.full() {
				if p.PID != after[name].PID {
					t.Errorf("the second update has touched %s", name)
				}
			}
			if now := r.read("s.log"); now != log {
				t.Errorf("the second update is told in the main log: %s", now[len(log):])
			}
		}
		if list, err := r.Operations(t.Context()); err != nil || len(list) != operations {
			t.Errorf("%d operations are remembered, want %d: %v", len(list), operations, err)
		}
		if t.Failed() && !failedSoFar {
			plan, _ := json.MarshalIndent(p, "", " ")
			t.Fatalf("pair %d\n%s\n--- becomes\n%s\n--- plan %s\n--- update %s\n", i, last, conf, plan, out)
		}
	}
}

// slow ends when it was told to and the file that it is given exists.
const slow = "stop=\ntrap 'stop=1' TERM\nwhile [ -z \"$stop\" ] || [ ! -e \"$1\" ]; do sleep 0.05; done\n"

// slowConf is three processes that take as long to stop as the test wants. A process that is to be asked for TERM has to have its trap first.
func slowConf(value string) string {
	return "[program:s]\ncommand=/bin/sh %(here)s/slow.sh %(here)s/go\nprocess_name=s_%(process_num)d\nnumprocs=3\nstopwaitsecs=1000\nstartsecs=0\nenvironment=A=\"" +
		value + "\"\n"
}

// slowRig has those processes, with their traps set.
func slowRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.put("slow.sh", slow)
	r.launch(nil, slowConf("0"))
	t.Cleanup(func() { r.put("go", "") }) // before the daemon is ended
	r.trapped()
	return r
}

func (r *rig) trapped() {
	r.t.Helper()
	r.until("TERM is caught", func() bool {
		for _, p := range r.infos() {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID)) // none: not yet
			m := regexp.MustCompile(`SigCgt:\t([0-9a-f]+)`).FindSubmatch(text)
			if m == nil {
				return false
			}
			if mask, err := strconv.ParseUint(string(m[1]), 16, 64); err != nil || mask&(1<<(syscall.SIGTERM-1)) == 0 {
				return false
			}
		}
		return true
	})
}

// background runs a client; what it prints is in the output, and its exit code comes through the channel.
func (r *rig) background(stdin *os.File, name string, args ...string) (*exec.Cmd, *output, <-chan int) {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.bin, name), append([]string{"-c", r.path("s.conf")}, args...)...)
	out := &output{}
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, r.dir
	if stdin != nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdin, stdin
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	r.must(cmd.Start())
	ended := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // the exit code says it
		ended <- cmd.ProcessState.ExitCode()
	}()
	return cmd, out, ended
}

// ends checks how a client ends.
func (r *rig) ends(ended <-chan int, out *output, code int, texts ...string) {
	r.t.Helper()
	select {
	case got := <-ended:
		if got != code {
			r.t.Errorf("exit %d, want %d\n%s", got, code, out)
		}
	case <-time.After(time.Minute):
		r.t.Fatalf("it does not end; it printed\n%s", out)
	}
	for _, text := range texts {
		if !strings.Contains(out.String(), text) {
			r.t.Errorf("it does not print %q:\n%s", text, out)
		}
	}
}

func (r *rig) pids() (pids [3]int) {
	r.t.Helper()
	infos := r.infos()
	for i := range pids {
		pids[i] = infos[fmt.Sprintf("s_%d", i)].PID
	}
	return pids
}

// gracectl runs it and compares its exit code and parts of what it prints.
func (r *rig) gracectl(code int, args []string, texts ...string) string {
	r.t.Helper()
	out, got := r.ctl("gracectl", args...)
	if got != code {
		r.t.Errorf("gracectl %q: exit %d, want %d\n%s", args, got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			r.t.Errorf("gracectl %q does not print %q:\n%s", args, text, out)
		}
	}
	return out
}

// TestOperations follows an update from several clients: one stops watching after a time, others attach and wait, one waits for its turn and is
// cancelled, and one cancels the update in the middle of three replacements.
func TestOperations(t *testing.T) {
	t.Parallel()
	r := slowRig(t)
	r.gracectl(0, []string{"ops"}, "no operations yet")
	before := r.pids()
	r.write(slowConf("1"))
	r.gracectl(2, []string{"plan", "--exit-code"}, "3 processes replaced, one at a time")
	r.gracectl(12, []string{"update", "--timeout", "0.2"}, "still running as op-1: gracectl attach op-1")
	r.gracectl(12, []string{"wait", "op-1", "--timeout", "0.1"})
	_, attached, attachedEnds := r.background(nil, "gracectl", "attach", "op-1")
	_, waiting, waitingEnds := r.background(nil, "gracectl", "wait", "op-1")
	r.until("the second client watches", func() bool { return strings.Contains(attached.String(), "op-1  update by plan") })

	_, second, secondEnds := r.background(nil, "gracectl", "update", "s")
	r.until("a second update waits", func() bool { return strings.Contains(second.String(), "waits for op-1") })
	// A stop of a process that is being replaced waits as well, one that is not may go on.
	_, stop, stopEnds := r.background(nil, "supervisorctl", "signal", "CONT", "s:s_2")
	r.ends(stopEnds, stop, 0, "s:s_2: signalled")
	r.gracectl(0, []string{"cancel", "op-2"}, "op-2")
	r.ends(secondEnds, second, 1, "cancelled")
	if now := r.pids(); now != before {
		t.Errorf("the pids are %v, were %v", now, before)
	}

	r.gracectl(0, []string{"cancel", "op-1"}, "op-1")
	r.put("go", "")
	r.ends(attachedEnds, attached, 1, "s:s_0", "replaced, pid "+strconv.Itoa(before[0])+" -> ", "s:s_1", "cancelled before its turn", "op-1  cancelled in ")
	r.ends(waitingEnds, waiting, 1)
	if waiting.String() != "" {
		t.Errorf("wait prints %q", waiting)
	}
	now := r.pids()
	if now[0] == before[0] || now[1] != before[1] || now[2] != before[2] {
		t.Errorf("the pids are %v, were %v", now, before)
	}
	r.gracectl(1, []string{"cancel", "op-1"}, "op-1", "is over")
	r.gracectl(1, []string{"attach", "op-99"}, "op-99")
	r.gracectl(2, []string{"attach"})
	r.trapped()
	r.gracectl(0, []string{"update", "--timeout", "50"}, "done in ")
	if last := r.pids(); last[0] != now[0] || last[1] == now[1] || last[2] == now[2] {
		t.Errorf("the pids are %v, were %v", last, now)
	}
	if list, err := r.Operations(t.Context()); err != nil || len(list) != 3 || list[0].State != control.OperationCancelled || list[2].State != control.OperationDone ||
		list[0].Who == "" {
		t.Errorf("the operations: %+v, %v", list, err)
	}
	r.gracectl(0, []string{"attach", "op-3"}, "replaced", "done in ")
	r.gracectl(0, []string{"ops"}, "op-1", "op-2", "op-3", "cancelled", "done")
}

// TestActs starts, stops and restarts as operations with several clients: two restart one process at once and both are right; one watches, one stops
// watching, one cancels a restart that waits for a slow stop. Old clients are not held up.
func TestActs(t *testing.T) {
	t.Parallel()
	r := slowRig(t)
	before := r.pids()
	_, first, firstEnds := r.background(nil, "gracectl", "restart", "s:s_0")
	r.until("the first restart is listed", func() bool { return strings.Contains(r.gracectl(0, []string{"ops"}), "restart") })
	_, second, secondEnds := r.background(nil, "gracectl", "restart", "s:s_0", "-o", "json")
	waiting := func(n int) func() bool {
		return func() bool {
			list, err := r.Operations(t.Context())
			return err == nil && len(list) == n && list[n-1].Behind == "op-1"
		}
	}
	r.until("the second waits", waiting(2))
	_, third, thirdEnds := r.background(nil, "gracectl", "stop", "s:s_1", "s:s_0")
	r.until("the third waits", waiting(3))
	r.until("one of them says for whom", func() bool { return strings.Contains(third.String(), "note: waits for op-1 (restart by ") })
	r.gracectl(12, []string{"attach", "op-1", "--timeout", "0.2"}, "op-1  restart", "still running as op-1")
	if out, code := r.ctl("supervisorctl", "stop", "s:s_0"); code != 0 || out != "s:s_0: ERROR (not running)\n" {
		t.Errorf("an old client: exit %d, %s", code, out)
	}
	if now := r.pids(); now != before {
		t.Errorf("the pids are %v, were %v", now, before)
	}
	r.gracectl(0, []string{"cancel", "op-3"}, "op-3")
	r.ends(thirdEnds, third, 1, "op-3 cancelled")
	r.put("go", "")
	r.ends(firstEnds, first, 0, "s:s_0: stopped\ns:s_0: started\n")
	r.ends(secondEnds, second, 0, `"result": "stopped"`, `"result": "started"`, `"operation": "op-2"`)
	list, err := r.Operations(t.Context())
	if err != nil || len(list) != 3 || list[0].State != control.OperationDone || list[1].State != control.OperationDone || list[1].Who == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	one, err := r.Operation(t.Context(), "op-1", -1)
	r.must(err)
	two, err := r.Operation(t.Context(), "op-2", -1)
	r.must(err)
	if started := one.Events[len(one.Events)-1].PID; started == 0 || started == before[0] || two.Events[0].OldPID != started || two.Events[len(two.Events)-1].PID != r.pids()[0] {
		t.Errorf("%+v\n%+v\nthe pids are %v, were %v", one.Events, two.Events, r.pids(), before)
	}

	r.must(os.Remove(r.path("go")))
	r.trapped()
	now := r.pids()
	_, slow, slowEnds := r.background(nil, "gracectl", "restart", "s:*")
	_, attached, attachedEnds := r.background(nil, "gracectl", "attach", "op-4")
	r.until("the second client watches, or came too early", func() bool { return attached.String() != "" })
	r.until("all are being stopped", func() bool {
		op, err := r.Operation(t.Context(), "op-4", -1)
		return err == nil && len(op.Events) == 3
	})
	watching, left, leftEnds := r.background(nil, "gracectl", "attach", "op-4")
	r.until("another one watches", func() bool { return strings.Contains(left.String(), "op-4  restart") })
	r.must(watching.Process.Signal(os.Interrupt))
	r.ends(leftEnds, left, 0, "still running as op-4")
	r.gracectl(0, []string{"cancel", "op-4"})
	r.put("go", "")
	r.ends(slowEnds, slow, 1, "s:s_0: stopped\ns:s_1: stopped\ns:s_2: stopped\ns:s_0: ERROR (cancelled before its turn)")
	if strings.Contains(attached.String(), "op-4  restart") {
		r.ends(attachedEnds, attached, 1, "s:s_0", "stopped", "op-4  cancelled in ")
	}
	if last := r.pids(); last != [3]int{} {
		t.Errorf("the pids are %v, were %v", last, now)
	}
	r.gracectl(1, []string{"wait", "op-4"})
	r.gracectl(0, []string{"start", "all"}, "s:s_0: started\ns:s_1: started\ns:s_2: started\n")
	r.gracectl(0, []string{"start", "s:s_1"}, "s:s_1: already started")
	r.gracectl(0, []string{"stop", "s:s_1", "--dry-run"}, "s:s_1: would be stopped")
}

// TestUpdateAsks sits at a terminal: update shows the plan and asks; Ctrl-C ends the watching alone.
func TestUpdateAsks(t *testing.T) {
	t.Parallel()
	r := slowRig(t)
	before := r.pids()
	r.write(slowConf("1"))
	sit := func() (screen *output, tty *os.File, ended <-chan int, cmd *exec.Cmd) {
		tty, theirs, err := pty.Open()
		r.must(err)
		defer theirs.Close()
		r.must(pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 100}))
		cmd, _, ended = r.background(theirs, "gracectl", "update")
		screen = &output{}
		go func() { _, _ = io.Copy(screen, tty) }() // ends with the client
		t.Cleanup(func() { _ = tty.Close() })
		r.until("it asks", func() bool { return strings.Contains(screen.String(), "apply? ") })
		if !strings.Contains(screen.String(), "3 processes replaced, one at a time") {
			t.Errorf("it asks without a plan:\n%s", screen)
		}
		return screen, tty, ended, cmd
	}
	press := func(tty *os.File, keys string) {
		_, err := tty.WriteString(keys)
		r.must(err)
	}
	for _, no := range []string{"n\n", "\n", "\x04"} {
		screen, tty, ended, _ := sit()
		press(tty, no)
		r.ends(ended, screen, 0)
		r.until("it says so", func() bool { return strings.Contains(screen.String(), "nothing was done") })
	}
	if list, err := r.Operations(t.Context()); err != nil || len(list) != 0 || r.pids() != before {
		t.Errorf("no was answered, and %+v was done, %v", list, err)
	}
	screen, tty, ended, _ := sit()
	press(tty, "y\n")
	r.until("it shows what is under way", func() bool { return strings.Contains(screen.String(), "being replaced") })
	press(tty, "\x03")
	r.ends(ended, screen, 0)
	r.until("it says that the work goes on", func() bool { return strings.Contains(screen.String(), "still running as op-1: gracectl attach op-1") })
	r.put("go", "")
	r.gracectl(0, []string{"wait", "op-1", "--timeout", "60"})
	if now := r.pids(); now[0] == before[0] || now[1] == before[1] || now[2] == before[2] {
		t.Errorf("the pids are %v, were %v", now, before)
	}
	// Without a terminal nothing asks, with -y neither.
	for i, args := range [][]string{{"update"}, {"update", "-y"}, {"-o", "json", "update"}} {
		r.trapped()
		before = r.pids()
		r.write(slowConf(fmt.Sprint(10 + i)))
		r.gracectl(0, args)
		if r.pids()[2] == before[2] {
			t.Errorf("%q did nothing", args)
		}
	}
}

// TestBrokenFiles: a broken file is refused with its place by everything that reads it, and nothing is touched.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	good := "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
	r := newRig(t, good)
	r.gracectl(0, []string{"plan", "--exit-code"}, "nothing to do")
	pid := r.runs("a", process.Running).PID
	r.write(good + "[program:b]\ncommand=/bin/sleep 1000\nnumprocs=many\n[program:c]\ncommand=/bin/sleep 1000\nautorestart=sometimes\n")
	line := strings.Count(r.read("s.conf"), "\n") - 3
	place := fmt.Sprintf("%s:%d: [program:b] ", r.path("s.conf"), line)
	for _, args := range [][]string{{"plan"}, {"plan", "--exit-code"}, {"update"}, {"update", "-y", "a"}, {"update", "--dry-run"}, {"plan", "-f", r.path("s.conf")}, {"reread"}, {"grace_update", "a"},
		{"reload"}, {"reload", "--dry-run"}, {"scale", "a=2"}} {
		r.gracectl(1, args, "error[E308]: the configuration files are broken\n  nothing has been changed; the daemon keeps its configuration\n\n", `error[E111]: "many"`,
			fmt.Sprintf("--> %s:%d:10\n", r.path("s.conf"), line), "numprocs=many\n    |          ^^^^", `error[E110]: "sometimes"`, "1 file, 3 programs: 2 errors, ")
	}
	r.gracectl(1, []string{"plan", "-o", "json"}, place, "invalid literal for int() with base 10: 'many'", `"findings":[{"severity":"`, `"code":"E110"`)
	if out, code := r.ctl("supervisorctl", "update"); code != 1 || strings.Contains(out, place) || !strings.HasPrefix(out, "ERROR: CANT_REREAD: ") {
		t.Errorf("supervisorctl update: exit %d %q", code, out)
	}
	r.must(r.cmd.Process.Signal(syscall.SIGHUP))
	r.until("the restart is refused with the place", func() bool {
		return strings.Contains(r.read("s.log"), "ERRO the restart is refused, nothing was stopped: "+place)
	})
	r.gracectl(1, []string{"plan", "-f", "/no/such/file"}, "/no/such/file")
	if infos := r.infos(); len(infos) != 1 || infos["a"].PID != pid {
		t.Errorf("there are %+v", infos)
	}
	r.write(good)
	r.gracectl(0, []string{"plan", "--exit-code"}, "nothing to do")
	if err := r.end(); err != nil {
		t.Error(err)
	}
	r.gracectl(4, []string{"plan", "--exit-code"}, "no daemon answers")
}

// TestFaultsBeside: groups that cannot be started neither hide nor stop the others.
func TestFaultsBeside(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:old]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.runs("old", process.Running)
	r.write("[program:old]\ncommand=/bin/sleep 2000\nstartsecs=0\n[program:file]\ncommand=/no/such/program\nstartretries=0\n[program:dir]\ncommand=/bin/sleep 1000\n" +
		"directory=/no/such/directory\nstartretries=0\n[program:dies]\ncommand=/bin/false\nstartretries=0\n[program:new]\ncommand=/bin/sleep 1000\n")
	out := r.gracectl(1, []string{"update"}, "file:file", "not started: can't find command '/no/such/program'", "dir:dir", "dies:dies", "not started: Exited too quickly", "old:old", "replaced, pid",
		"new:new", "started, pid", "failed in ", "3 of 5 processes failed")
	if strings.Count(out, "✗") != 3 || strings.Count(out, "✓") != 2 {
		t.Errorf("update prints\n%s", out)
	}
	for name, state := range map[string]process.State{"old": process.Running, "new": process.Running, "file": process.Fatal, "dir": process.Fatal, "dies": process.Fatal} {
		r.runs(name, state)
	}
	var op control.Operation
	if out, code := r.ctl("gracectl", "attach", "op-1", "-o", "json"); json.Unmarshal([]byte(out), &op) != nil || code != 1 || op.State != control.OperationFailed || op.Done != 5 {
		t.Errorf("attach: exit %d\n%s", code, out)
	}
	// In a line of replacements the first failure saves the others, and goes back.
	three := func(command string) string {
		return "[program:three]\ncommand=" + command + "\nprocess_name=three_%(process_num)d\nnumprocs=3\nstartsecs=0\nstartretries=0\n"
	}
	r.write(three("/bin/sleep 1000"))
	r.gracectl(0, []string{"update"})
	before := r.infos()
	r.write(three("/no/such/program"))
	r.gracectl(10, []string{"update"}, "✗ three:three_0", "· three:three_1", "· three:three_2", "left as it was, since three_0 failed", "↩ three:three_0")
	for _, name := range []string{"three_1", "three_2"} {
		if now := r.infos()[name]; now.PID != before[name].PID {
			t.Errorf("%s had pid %d and is %s %d", name, before[name].PID, now.State, now.PID)
		}
	}
	r.gracectl(2, []string{"plan", "--exit-code"})
	r.write(three("/bin/sleep 1000"))
	r.gracectl(0, []string{"update"}, "nothing to do")
	if now := r.infos(); now["three_0"].State != process.Running || now["three_1"].PID != before["three_1"].PID {
		t.Errorf("the file is whole again: %+v", now)
	}
}

// TestStalePlans: what was shown is done exactly, or nothing.
func TestStalePlans(t *testing.T) {
	t.Parallel()
	conf := func(seconds int) string {
		return fmt.Sprintf("[program:a]\ncommand=/bin/sleep %d\nstartsecs=0\n[program:b]\ncommand=/bin/sleep %d\nstartsecs=0\n", seconds, seconds)
	}
	r := newRig(t, conf(1000))
	before := r.runs("a", process.Running).PID
	r.runs("b", process.Running)
	stale := func(id string) {
		t.Helper()
		r.gracectl(13, []string{"update", "--plan", id}, "stale", "nothing was done")
		if list, err := r.Operations(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("the operations: %+v, %v", list, err)
		}
	}
	stale("00000000")
	r.write(conf(2000))
	id := r.planned().ID
	if again := r.planned().ID; again != id {
		t.Errorf("the same plan is called %s and %s", id, again)
	}
	r.write(conf(3000))
	stale(id)
	id = r.planned().ID
	r.gracectl(13, []string{"update", "--dry-run", "--plan", "00000000"}, "stale")
	if _, code := r.ctl("supervisorctl", "stop", "b"); code != 0 {
		t.Fatal("stop failed")
	}
	stale(id)
	if now := r.infos()["a"]; now.PID != before {
		t.Errorf("a had pid %d and has %d", before, now.PID)
	}
	// Of some groups, and then exactly those.
	id = r.planned("a").ID
	r.gracectl(0, []string{"update", "--plan", id}, "a:a", "replaced, pid ")
	if infos := r.infos(); infos["a"].PID == before || infos["b"].State != process.Stopped {
		t.Errorf("after the plan of a: %+v", infos)
	}
	r.gracectl(0, []string{"update", "--plan", r.planned().ID}, "b:b")
	r.runs("b", process.Stopped)
	r.gracectl(0, []string{"plan", "--exit-code"})
	r.gracectl(1, []string{"update", "nobody"}, "nobody")
}

// TestPlanWatch shows another file, and the plan again whenever a file is saved.
func TestPlanWatch(t *testing.T) {
	t.Parallel()
	conf := func(n int) string {
		return fmt.Sprintf("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nprocess_name=a_%%(process_num)d\nnumprocs=%d\n", n)
	}
	r := newRig(t, conf(1))
	r.runs("a_0", process.Running)
	text := r.read("s.conf")
	r.put("other.conf", strings.Replace(text, "numprocs=1", "numprocs=4", 1))
	p := r.planned("-f", r.path("other.conf"))
	if len(p.Groups) != 1 || len(p.Groups[0].Start) != 3 || p.Files[0].Path != r.path("other.conf") {
		t.Errorf("the plan of another file is %+v", p)
	}
	stop, out, ended := r.background(nil, "gracectl", "plan", "--watch")
	other, otherOut, otherEnded := r.background(nil, "gracectl", "plan", "--watch", "-f", "other.conf") // in the directory of the client
	sees := func(out *output, text string) {
		t.Helper()
		r.until("it shows "+text, func() bool { return strings.Contains(out.String(), text) })
	}
	sees(out, "nothing to do")
	sees(otherOut, "numprocs   1 -> 4")
	r.put("s.conf", strings.Replace(text, "numprocs=1", "numprocs=2", 1))
	r.put("other.conf", strings.Replace(text, "numprocs=1", "numprocs=5", 1))
	sees(out, "numprocs   1 -> 2")
	sees(otherOut, "numprocs   1 -> 5")
	r.put("s.conf", strings.Replace(text, "numprocs=1", "numprocs=x", 1))
	sees(out, `"x" is not a value of numprocs`)
	r.put("s.conf", strings.Replace(text, "numprocs=1", "numprocs=3", 1))
	sees(out, "numprocs   1 -> 3")
	r.must(stop.Process.Signal(syscall.SIGINT))
	r.must(other.Process.Signal(syscall.SIGINT))
	r.ends(ended, out, 0, "apply exactly this:  gracectl update --plan ")
	r.ends(otherEnded, otherOut, 0)
	if text := out.String() + otherOut.String(); strings.Contains(text, "interrupted") || strings.Contains(otherOut.String(), "apply") {
		t.Errorf("it prints\n%s", text)
	}
	if n := len(r.infos()); n != 1 {
		t.Errorf("there are %d processes", n)
	}
}

// TestInterface asks the JSON interface what nobody should.
func TestInterface(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	pid := r.runs("a", process.Running).PID
	r.write("[program:a]\ncommand=/bin/sleep 2000\nstartsecs=0\n")
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.path("s.sock"))
	}}}
	for _, c := range []struct {
		method, path, body string
		header             map[string]string
		status             int
		detail             string
	}{
		{method: "POST", path: "update", body: "{}", header: map[string]string{"Origin": "http://evil.example"}, status: 403, detail: "another site"},
		{method: "POST", path: "update", body: "{}", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403, detail: "another site"},
		{method: "POST", path: "operations/op-1/cancel", body: "{}", header: map[string]string{"Origin": "http://evil.example"}, status: 403, detail: "another site"},
		{method: "POST", path: "update", body: "{}", header: map[string]string{"Content-Type": "text/plain"}, status: 415, detail: "application/json"},
		{method: "POST", path: "update", body: "{", status: 400, detail: "unexpected"},
		{method: "POST", path: "update", body: "", status: 400, detail: "EOF"},
		{method: "POST", path: "update", body: "[1]", status: 400, detail: "cannot unmarshal"},
		{method: "POST", path: "update", body: `{"groups":"a"}`, status: 400, detail: "cannot unmarshal"},
		{method: "POST", path: "update", body: `{"goups":["a"]}`, status: 400, detail: "goups"},
		{method: "POST", path: "update", body: `{} {}`, status: 400, detail: "behind"},
		{method: "POST", path: "update", body: `{"groups":["nobody"]}`, status: 404, detail: "nobody"},
		{method: "POST", path: "update", body: `{"plan":"00000000"}`, status: 409, detail: "00000000"},
		{method: "GET", path: "update", status: 405, detail: "use POST"},
		{method: "GET", path: "plan", status: 405, detail: "use POST"},
		{method: "GET", path: "act", status: 405, detail: "use POST"},
		{method: "POST", path: "act", body: `{"verb":"stop","names":["nobody"]}`, status: 404, detail: "nobody"},
		{method: "POST", path: "act", body: `{"verb":"kill","names":["a"]}`, status: 422, detail: "kill"},
		{method: "POST", path: "act", body: `{"verb":"stop"}`, status: 422, detail: "no names"},
		{method: "GET", path: "operations/op-7", status: 404, detail: "op-7"},
		{method: "GET", path: "operations/", status: 404},
		{method: "POST", path: "operations/op-7/cancel", body: "{}", status: 404, detail: "op-7"},
		{method: "GET", path: "operations/op-7/cancel", status: 405},
		{method: "GET", path: "", status: 404},
		{method: "GET", path: "nothing", status: 404, detail: "/api/v1/nothing"},
		{method: "DELETE", path: "operations", status: 405, detail: "use GET"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://x/api/v1/"+c.path, strings.NewReader(c.body))
		r.must(err)
		req.Header.Set("Content-Type", "application/json")
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		resp, err := web.Do(req)
		r.must(err)
		var p control.Problem
		err = json.NewDecoder(resp.Body).Decode(&p)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || err != nil || p.Schema != control.ErrorSchema || p.Status != c.status || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s %s %s: %s, %+v, %v; want %d, %q", c.method, c.path, c.body, resp.Status, p, err, c.status, c.detail)
		}
	}
	if list, err := r.Operations(t.Context()); err != nil || len(list) != 0 || r.infos()["a"].PID != pid {
		t.Errorf("something was done: %+v, %v", list, err)
	}
}

// TestOtherDaemon: a Supervisor has no plans, which gracectl says; its update goes Supervisor's way there.
func TestOtherDaemon(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(referenceBin); err != nil {
		t.Skip("hidden: what gracectl says to a Supervisor that has no plans, because Debian's supervisor is not installed")
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, bin: referenceBin, dir: t.TempDir()}
	ctl := "[supervisorctl]\nserverurl=unix://%(here)s/s.sock\n"
	s.conf(ctl + "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n[program:gone]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	s.foreground("-s")
	s.logs("entered RUNNING state", 2)
	r := &rig{t: t, dir: s.dir, bin: bin}
	for _, args := range [][]string{{"plan"}, {"plan", "--exit-code"}, {"ops"}, {"attach", "op-1"}, {"wait", "op-1"}, {"cancel", "op-1"}, {"update", "--plan", "00000000"}, {"update", "--dry-run"},
		{"add", "a", "--dry-run"}, {"reload", "--dry-run"}, {"hold", "a", "--dry-run"}} {
		r.gracectl(1, args, "is no graced: it has neither plans nor operations")
	}
	s.conf(ctl + "[program:a]\ncommand=/bin/sleep 2000\nstartsecs=0\n[program:new]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	for _, line := range []string{"a", "gone", "new"} {
		r.gracectl(0, []string{"update", "-y", line}, line+": ")
	}
	s.logs("entered RUNNING state", 4)
	r.gracectl(0, []string{"update"})
	if text := s.read("s.log"); strings.Count(text, "spawned: 'a'") != 2 || strings.Count(text, "spawned: 'new'") != 1 || strings.Count(text, "stopped: gone") != 1 {
		t.Errorf("the main log says\n%s", text)
	}
	s.signal(syscall.SIGTERM)
	s.ended()
}

// TestSparingUpdate: supervisorctl update with [graced] update=minimal has Supervisor's words and restarts only what has to; without it the groups
// are replaced, as by Supervisor itself.
func TestSparingUpdate(t *testing.T) {
	t.Parallel()
	conf := func(graced, seconds, n string, rest string) string {
		return graced + "[program:live]\ncommand=/bin/sleep 1000\nstartsecs=0\n" + rest + "[program:count]\ncommand=/bin/sleep 1000\nstartsecs=0\nprocess_name=c_%(process_num)d\nnumprocs=" + n +
			"\n[program:roll]\ncommand=/bin/sleep " + seconds + "\nstartsecs=0\nprocess_name=r_%(process_num)d\nnumprocs=2\n[program:same]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
	}
	gone, added := "[program:gone]\ncommand=/bin/sleep 1000\nstartsecs=0\n", "[program:added]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
	for _, graced := range []string{"", "[graced]\nupdate=minimal\n"} {
		r := newRig(t, conf(graced, "1000", "2", "")+gone)
		for _, name := range []string{"live", "c_1", "r_1", "same", "gone"} {
			r.runs(name, process.Running)
		}
		before := r.infos()
		r.write(conf(graced, "2000", "3", "stopwaitsecs=5\n") + added)
		out, code := r.ctl("supervisorctl", "update")
		stopped := func(names ...string) string {
			text := "gone: stopped\ngone: removed process group\n"
			for _, name := range []string{"count", "live", "roll"} {
				if slices.Contains(names, name) {
					text += name + ": stopped\n"
				}
				text += name + ": updated process group\n"
			}
			return text + "added: added process group\n"
		}
		want, kept := stopped("count", "live", "roll"), []string{"same"}
		if graced != "" {
			want, kept = stopped("roll"), []string{"same", "live", "c_0", "c_1"}
		}
		lines := func(text string) []string {
			list := strings.SplitAfter(text, "\n")
			slices.Sort(list) // the groups are in the order of priority and file, which is not what this is about
			return list
		}
		if code != 0 || !slices.Equal(lines(out), lines(want)) {
			t.Errorf("%q: exit %d, printed\n%swant\n%s", graced, code, out, want)
		}
		now := r.infos()
		for name, p := range before {
			if name != "gone" && (now[name].PID == p.PID) != slices.Contains(kept, name) {
				t.Errorf("%q: %s had pid %d and has %d", graced, name, p.PID, now[name].PID)
			}
		}
		if out, code := r.ctl("supervisorctl", "update"); out != "" || code != 0 {
			t.Errorf("%q: a second update: exit %d %q", graced, code, out)
		}
		if out, code := r.ctl("supervisorctl", "update", "same", "nobody"); out != "ERROR: no such group: nobody\n" || code != 1 {
			t.Errorf("%q: update of a group that is none: exit %d %q", graced, code, out)
		}
		r.write(conf(graced, "x", "many", ""))
		if out, code := r.ctl("supervisorctl", "update"); !strings.HasPrefix(out, "ERROR: CANT_REREAD: invalid literal for int() with base 10: 'many'") || code != 1 {
			t.Errorf("%q: a broken file: exit %d %q", graced, code, out)
		}
		r.must(r.end())
	}
}
