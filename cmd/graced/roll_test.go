package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// workerEnv makes the test's own program a worker of a web server. Its value is where it listens, or whose listener it shares: that which is its
// standard input ("stdin"), or that which it was passed ("passed").
const workerEnv = "GRACED_TEST_WORKER"

// rollWorker answers with its release. It leaves as a good worker does: at TERM it accepts no more, and ends what it has begun. While the file that HOLDS
// names is there, it does not begin.
func rollWorker() int {
	_, err := os.Stat(os.Getenv("BREAKS"))
	switch broken := os.Getenv("BROKEN"); {
	case err == nil, broken == "exits", broken == "exits late" && strings.HasSuffix(os.Getenv("SUPERVISOR_PROCESS_NAME"), "_3"):
		fmt.Fprintln(os.Stderr, "panic: open key.pem: permission denied")
		return 3
	case broken == "hangs":
		fmt.Println("warming up")
		select {}
	}
	for os.Getenv("HOLDS") != "" {
		if _, err := os.Stat(os.Getenv("HOLDS")); err != nil {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	var l net.Listener
	switch at := os.Getenv(workerEnv); at {
	case "stdin":
		l, err = net.FileListener(os.Stdin)
	case "passed":
		l, err = net.FileListener(os.NewFile(3, "socket"))
	default:
		l, err = net.Listen("tcp", at)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return answerRequests(l, os.Getenv("RELEASE"))
}

// answerRequests is a good worker's work, to its end.
func answerRequests(l net.Listener, release string) int {
	var leaving atomic.Bool
	server := http.Server{IdleTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			<-time.After(50 * time.Millisecond)
		}
		if leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		_, _ = io.WriteString(w, release) // who asks may be gone
	})}
	var open sync.WaitGroup // connections
	server.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Done()
		}
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println("accepting")
	go func() {
		<-term
		leaving.Store(true)
		_ = l.Close() // the others accept in its place
	}()
	_ = server.Serve(l) // until then
	// Not Shutdown, nor SetKeepAlivesEnabled(false): these close connections on which a request may be on its way. Each is closed with its next answer.
	open.Wait()
	return 0
}

// workers are four of them, each with a port of its own by which it is found ready.
func workers(t *testing.T, options string) (conf string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[program:api]\ncommand=%s\nprocess_name=api_%%(process_num)d\nnumprocs=4\nnumprocs_start=%d\nstartsecs=0\nstartretries=0\nready=tcp://127.0.0.1:%%(process_num)d\nready_period=50ms\n"+
		"environment=%s=\"127.0.0.1:%%(process_num)d\",RELEASE=\"1\",BREAKS=\"%%(here)s/breaks\"\n%s\n[program:db]\ncommand=/bin/sleep 1000\nstartsecs=0\n",
		self, freePorts(t, 4), workerEnv, options)
}

// freePorts returns the first of so many ports that nobody has, below those that the kernel gives to connections: one of these might get it meanwhile.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first, all := 10_000+rand.IntN(20_000), []net.Listener{}
		for i := range n {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+i))
			if err != nil {
				break
			}
			all = append(all, l)
		}
		for _, l := range all {
			_ = l.Close() // it only shows that the port is free
		}
		if len(all) == n {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

// allReady waits until all processes with a check are ready.
func (r *rig) allReady(n int) {
	r.t.Helper()
	r.until("all are ready", func() bool {
		s, err := r.Standing(r.t.Context())
		if err != nil { // the daemon may have been killed
			return false
		}
		ready := 0
		for _, is := range s.Readiness {
			if is.Ready {
				ready++
			}
		}
		return ready == n
	})
}

// changed compares pids: which processes are others now.
func changed(before, after map[string]control.ProcessInfo) (names []string) {
	for name, p := range after {
		if before[name].PID != p.PID {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// operation asks for an operation.
func (r *rig) operation(id string) control.Operation {
	r.t.Helper()
	op, err := r.Operation(r.t.Context(), id, -1)
	r.must(err)
	return op
}

// together returns how many processes an operation had at most begun with and not ended at a time, and how many ended at all, by its events.
func together(op control.Operation) (most, ended int) {
	open := 0
	for _, e := range op.Events {
		switch {
		case e.Action != "replace":
		case e.Type == "begin":
			open++
			most = max(most, open)
		case e.Type == "end" && !e.Skipped:
			open--
			ended++
		}
	}
	return most, ended
}

// released has four workers with these options that are ready, and writes their next release into the file. It returns the file of the first release and
// who runs it.
func released(t *testing.T, options string) (r *rig, conf string, before map[string]control.ProcessInfo) {
	conf = workers(t, options)
	r = newRig(t, conf)
	r.allReady(4)
	before = r.full()
	r.write(strings.Replace(conf, `RELEASE="1"`, `RELEASE="2"`, 1))
	return r, conf, before
}

// TestRoll replaces four workers that are found ready by their ports: two at a time, the first by itself.
func TestRoll(t *testing.T) {
	t.Parallel()
	r, conf, before := released(t, "roll_max_unavailable=25%%\n")

	p := r.planned("api", "--max-unavailable", "50%", "--canary", "1", "--steady", "300ms")
	if s := p.Groups[0].Strategy; s == nil || s.MaxUnavailable != 2 || s.Canary != 1 || s.Steady != 0.3 || s.OnFailure != "rollback" || s.Batches != 3 || !strings.HasPrefix(s.Ready, "tcp://127.0.0.1:") {
		t.Errorf("the strategy is %+v", s)
	}
	if math := p.Groups[0].Estimate; math < 0.89 || math > 0.91 {
		t.Errorf("estimated %v s", math)
	}
	if p.ID == r.planned("api").ID {
		t.Error("another strategy has the same plan")
	}
	r.gracectl(0, []string{"plan", "--max-unavailable", "50%", "--canary", "1", "--steady", "300ms"}, "2 at a time, 1 first, ready by tcp://127.0.0.1:", ", steady 300ms; on failure all go back\n")
	out := r.gracectl(0, []string{"update", "--plan", p.ID}, "ready, steady 300ms", "op-1  done")
	if strings.Count(out, "replaced, pid") != 4 {
		t.Error(out)
	}
	after := r.full()
	if got := changed(before, after); len(got) != 4 || slices.Contains(got, "db:db") {
		t.Errorf("replaced: %v", got)
	}
	op := r.operation("op-1")
	if most, ended := together(op); most != 2 || ended != 4 {
		t.Errorf("%d at a time, %d in all: %+v", most, ended, op.Events)
	}
	news := 0
	for i, e := range op.Events {
		if e.Type == "news" && strings.Contains(e.Text, "steady") || e.Type == "news" && strings.Contains(e.Text, "stay so for 300ms") {
			news++
		}
		if i == 1 && e.Type != "news" {
			t.Errorf("the second event is %+v: the canary is not alone", e)
		}
	}
	if news != 4 {
		t.Errorf("%d of 4 have told that they are ready: %+v", news, op.Events)
	}
	r.gracectl(0, []string{"update"}, "nothing to do")

	// What nobody asks for is what the file says.
	r.write(strings.Replace(conf, `RELEASE="1"`, `RELEASE="3"`, 1))
	r.gracectl(0, []string{"update", "-o", "json"})
	if most, ended := together(r.operation("op-2")); most != 1 || ended != 4 {
		t.Errorf("by the file: %d at a time, %d in all", most, ended)
	}
	for _, bad := range [][]string{{"--max-unavailable", "x"}, {"--canary", "x"}, {"--steady", "x"}, {"--on-failure", "x"}} {
		r.gracectl(2, append([]string{"update"}, bad...), "E312")
	}
}

// TestBadRelease updates to releases that do not come up: what was replaced goes back, what was not keeps its pid, and everybody is told.
func TestBadRelease(t *testing.T) {
	t.Parallel()
	conf := workers(t, "ready_wait=1s\n")
	r := newRig(t, conf)
	r.allReady(4)
	for i, c := range []struct {
		broken, why string
		words       []string
	}{
		{"exits", "it ended with code 3", []string{"the last lines of its stderr:\n        panic: open key.pem: permission denied"}},
		{"hangs", " is not ready after 1s: ", []string{"the last lines of its stdout:\n        warming up"}},
	} {
		before := r.full()
		r.write(strings.Replace(conf, `RELEASE="1"`, `RELEASE="2",BROKEN="`+c.broken+`"`, 1))
		id := fmt.Sprintf("op-%d", i+1)
		out := r.gracectl(10, []string{"update"}, append([]string{"not replaced: ", c.why, "left as it was", "back, pid ", ", ready", id + "  rolled back in ", "1 went back, 3 were left as they were", "gracectl why api:api_"}, c.words...)...)
		if got := changed(before, r.full()); len(got) != 1 {
			t.Errorf("%s: %v are others now\n%s", c.broken, got, out)
		}
		r.allReady(4)
		op := r.operation(id)
		if op.State != control.OperationRolledBack || !strings.HasPrefix(op.Failed, "api:api_") || op.Done != op.Steps {
			t.Errorf("%s: %+v", c.broken, op)
		}
		r.gracectl(10, []string{"attach", id}, "rolled back")
		r.gracectl(10, []string{"wait", id})
		r.gracectl(0, []string{"ops"}, "rolled back")
		r.gracectl(0, []string{"status"}, "not in step, by an operation: api ")
		if p := r.planned(); p.Totals.Replace != 4 {
			t.Errorf("%s: left to do: %+v", c.broken, p.Totals)
		}
		out, code := r.ctl("gracectl", "attach", id, "-o", "jsonl")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var end struct {
			State string
			Exit  int
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || code != 10 || end.State != "rolled_back" || end.Exit != 10 {
			t.Errorf("%s: exit %d, %v\n%s", c.broken, code, err, out)
		}
	}
	// A number that brings other processes than those that run is refused.
	r.gracectl(1, []string{"scale", "api=5"}, "runs something else than the files say")
	r.write(conf)
	r.gracectl(0, []string{"update"}, "nothing to do")
	if out, _ := r.ctl("gracectl", "status"); strings.Contains(out, "not in step") {
		t.Error(out)
	}
	r.gracectl(0, []string{"scale", "api=3"}, "done")

	// A roll may also stop where it is.
	r.write(strings.Replace(conf, `RELEASE="1"`, `RELEASE="2",BROKEN="exits"`, 1))
	r.gracectl(1, []string{"update", "--on-failure", "stop"}, "failed in ", "1 of 3 processes failed, 2 were left as they were")
}

// TestRollingRestart restarts those that run one after the other; with one that fails the operation pauses, until somebody decides.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	conf := workers(t, "ready_wait=30s\nautorestart=false\n") // what has failed stays so until somebody starts it
	r := newRig(t, conf)
	r.allReady(4)
	names := slices.DeleteFunc(slices.Sorted(func(yield func(string) bool) {
		for name := range r.full() {
			if !yield(name) {
				return
			}
		}
	}), func(name string) bool { return name == "db:db" })
	before := r.full()
	r.gracectl(0, []string{"restart", "--rolling", "api:*", "--dry-run"}, "a rolling restart", "4 processes replaced", "on failure it pauses", "restarted as it is", "nothing has been changed")
	r.gracectl(0, []string{"restart", "--rolling", "api:*", "--max-unavailable", "2"}, "op-1  rolling restart of 4 processes", "op-1  done")
	if got := changed(before, r.full()); !slices.Equal(got, names) {
		t.Errorf("restarted: %v", got)
	}
	if most, ended := together(r.operation("op-1")); most != 2 || ended != 4 {
		t.Errorf("%d at a time, %d in all", most, ended)
	}
	if list, err := r.History(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("a restart is no other configuration: %+v, %v", list, err)
	}

	// Single members; one that does not run is left out.
	_, err := r.Stop(t.Context(), control.Target{Name: names[3]}, true)
	r.must(err)
	before = r.full()
	r.gracectl(0, []string{"restart", "--rolling", names[0], names[3]}, "rolling restart of 1 process", "done")
	if got := changed(before, r.full()); !slices.Equal(got, names[:1]) {
		t.Errorf("restarted: %v", got)
	}
	r.gracectl(0, []string{"restart", "--rolling", names[3]}, "nothing to do: none of them runs")
	r.gracectl(1, []string{"restart", "--rolling", "nobody"}, "E310")
	_, err = r.Start(t.Context(), control.Target{Name: names[3]}, true)
	r.must(err)
	r.allReady(4)

	// From now on none comes up.
	before = r.full()
	r.put("breaks", "")
	r.gracectl(10, []string{"restart", "--rolling", "api:*"}, "it ended with code 3", "panic: open key.pem", "op-3  PAUSED after 1 of 4: "+names[0]+" failed", "resume: gracectl resume op-3   stop here: gracectl cancel op-3")
	r.gracectl(0, []string{"ops"}, "PAUSED", names[0]+" failed", "resume: gracectl resume op-3")
	r.gracectl(10, []string{"attach", "op-3"}, "PAUSED after 1 of 4")
	r.gracectl(10, []string{"wait", "op-3"})
	if got := changed(before, r.full()); !slices.Equal(got, names[:1]) {
		t.Errorf("touched: %v", got)
	}
	r.killDaemon() // what is paused stays so
	r.until("it is known to be paused", func() bool {
		op, err := r.Operation(t.Context(), "op-3", -1)
		return err == nil && op.State == control.OperationPaused && op.Failed == names[0]
	})
	r.gracectl(10, []string{"attach", "op-3"}, "PAUSED after 1 of 4")
	r.gracectl(0, []string{"resume", "op-3"}, "op-3: goes on")
	r.gracectl(10, []string{"attach", "op-3"}, "PAUSED after 2 of 4")
	r.must(os.Remove(r.path("breaks")))
	r.gracectl(0, []string{"resume", "op-3"})
	r.gracectl(1, []string{"attach", "op-3"}, "op-3  failed", "2 of 4 processes failed")
	if got := changed(before, r.full()); !slices.Equal(got, names) {
		t.Errorf("touched: %v", got)
	}
	r.gracectl(1, []string{"resume", "op-3"}, "op-3", "is over")
	r.gracectl(1, []string{"pause", "op-99"}, "E314")
	r.gracectl(0, []string{"start", names[0], names[1]})
	r.allReady(4)

	// And one that is cancelled there.
	before = r.full()
	r.put("breaks", "")
	r.gracectl(10, []string{"restart", "--rolling", "api:*"}, "PAUSED after 1 of 4")
	r.gracectl(0, []string{"cancel", "op-5"})
	r.gracectl(1, []string{"attach", "op-5"}, "1 of 4 processes failed, 3 were left as they were")
	if got := changed(before, r.full()); !slices.Equal(got, names[:1]) {
		t.Errorf("touched: %v", got)
	}
}

// TestPause stops an update between two processes, and lets it go on.
func TestPause(t *testing.T) {
	t.Parallel()
	r, _, before := released(t, "roll_steady=500ms\n")
	_, out, ended := r.background(nil, "gracectl", "update")
	r.until("it has begun", func() bool { op, err := r.Operation(t.Context(), "op-1", -1); return err == nil && op.Count > 0 })
	r.gracectl(1, []string{"resume", "op-1"}, "op-1 is not paused")
	r.gracectl(0, []string{"pause", "op-1"}, "op-1: paused")
	r.gracectl(0, []string{"pause", "op-1"}, "op-1: paused")
	r.until("what has begun is over", func() bool { return r.operation("op-1").Done > 0 })
	r.killDaemon()
	r.until("it is known to be paused", func() bool {
		op, err := r.Operation(t.Context(), "op-1", -1)
		return err == nil && op.State == control.OperationPaused && op.Failed == ""
	})
	if got := changed(before, r.full()); len(got) != 1 {
		t.Errorf("while it is paused: %v", got)
	}
	_, second, secondEnded := r.background(nil, "gracectl", "attach", "op-1")
	r.until("somebody watches", func() bool { return strings.Contains(second.String(), "  paused   resume: gracectl resume op-1") })
	r.gracectl(0, []string{"resume", "op-1"}, "op-1: goes on")
	r.ends(secondEnded, second, 0, "  goes on", "op-1  done")
	<-ended
	if got := changed(before, r.full()); len(got) != 4 {
		t.Errorf("in the end: %v\n%s", got, out.String())
	}
}

// TestActsOnPaused has clients of both kinds wait for an update, which is paused then: who stops or restarts gets that done, who would change the group is
// told why not, and the update takes what it finds when it goes on.
func TestActsOnPaused(t *testing.T) {
	t.Parallel()
	r := slowRig(t)
	before := r.pids()
	r.write(slowConf("1"))
	_, first, firstEnds := r.background(nil, "gracectl", "update", "-y")
	r.until("the first is being replaced", func() bool { return r.infos()["s_0"].State == process.Stopping })
	_, second, secondEnds := r.background(nil, "gracectl", "update", "-y")
	r.until("another update waits", func() bool {
		return strings.Contains(second.String(), "  waits for op-1 (update by ") && strings.Contains(second.String(), ", running)")
	})
	_, stop, stopEnds := r.background(nil, "supervisorctl", "stop", "s:s_1")
	listed := func(id, state, text string) func() bool {
		return func() bool {
			list, err := r.Operations(t.Context())
			i := slices.IndexFunc(list, func(op control.Operation) bool { return op.ID == id })
			return err == nil && i >= 0 && list[i].Kind == "stop" && string(list[i].State) == state && list[i].Behind+list[i].Text == text
		}
	}
	r.until("a stop waits", listed("op-3", "waiting", "op-1"))
	client, _, clientEnds := r.background(nil, "supervisorctl", "stop", "s:s_2")
	r.until("another stop waits", listed("op-4", "waiting", "op-1"))
	r.gracectl(0, []string{"ops"}, "waits for op-1 (running)")
	r.must(client.Process.Kill())
	<-clientEnds
	r.until("it is withdrawn with its client", listed("op-4", "cancelled", "its client has gone"))

	const paused = "op-1 is paused: gracectl resume op-1 lets it go on, gracectl cancel op-1 ends it"
	r.gracectl(0, []string{"pause", "op-1"})
	r.ends(secondEnds, second, 1, "op-2  failed", paused)
	r.until("the stop is carried out", func() bool { return r.infos()["s_1"].State == process.Stopping })
	for _, args := range [][]string{{"update", "-y"}, {"update", "-y", "-o", "json"}, {"scale", "s=2"}, {"scale", "s=2", "--dry-run"}, {"restart", "--rolling", "s:*"}} {
		r.gracectl(1, args, paused)
	}
	r.gracectl(0, []string{"plan"}, "  refused now: "+paused)
	if now := r.pids(); now != before {
		t.Errorf("the pids are %v, were %v", now, before)
	}
	r.put("go", "")
	r.ends(stopEnds, stop, 0, "s:s_1: stopped")
	r.until("the first is replaced", func() bool { return r.operation("op-1").Done == 1 })
	r.killDaemon() // what is paused stays so, and holds nothing
	r.until("it is known to be paused", func() bool {
		op, err := r.Operation(t.Context(), "op-1", -1)
		return err == nil && op.State == control.OperationPaused
	})
	r.gracectl(0, []string{"restart", "s:s_2"}, "s:s_2: stopped", "s:s_2: started")
	restarted := r.pids()
	if value := r.variable(restarted[2], "A"); value != "0" {
		t.Errorf("what was restarted meanwhile has %q", value)
	}
	r.gracectl(0, []string{"resume", "op-1"})
	r.gracectl(0, []string{"wait", "op-1"})
	r.ends(firstEnds, first, 0, "  paused   resume: gracectl resume op-1", "op-1  done")
	now := r.pids()
	if now[0] != restarted[0] || now[1] != 0 || now[2] == restarted[2] || r.variable(now[0], "A")+r.variable(now[2], "A") != "11" {
		t.Errorf("the pids are %v, were %v", now, restarted)
	}
	r.gracectl(0, []string{"start", "s:s_1"}, "s:s_1: started")
	if value := r.variable(r.pids()[1], "A"); value != "1" {
		t.Errorf("what was stopped meanwhile has %q", value)
	}
	r.gracectl(0, []string{"update", "-y"}, "nothing to do")

	// An old client's update stops the group, removes it and adds it anew: nothing is left then of what is paused.
	r.must(os.Remove(r.path("go")))
	r.trapped()
	r.write(slowConf("2"))
	_, third, thirdEnds := r.background(nil, "gracectl", "update", "-y")
	r.until("the first is being replaced", func() bool { return r.infos()["s_0"].State == process.Stopping })
	id := r.lastOperation()
	r.gracectl(0, []string{"pause", id})
	r.put("go", "")
	r.until("the first is replaced", func() bool { return r.operation(id).Done == 1 })
	r.write(slowConf("3"))
	if out, code := r.ctl("supervisorctl", "update"); code != 0 || out != "s: stopped\ns: updated process group\n" {
		t.Errorf("an old client: exit %d, %s", code, out)
	}
	r.ends(thirdEnds, third, 1, "its group was removed", id+"  cancelled")
	r.trapped()
	for _, pid := range r.pids() {
		if value := r.variable(pid, "A"); value != "3" {
			t.Errorf("after all %d has %q", pid, value)
		}
	}
}

// variable is what a process has in its environment, "" for none.
func (r *rig) variable(pid int, name string) string {
	r.t.Helper()
	text := r.environ(pid)
	for entry := range strings.SplitSeq(text, "\x00") {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// environ is the environment of a process once it has executed its program.
func (r *rig) environ(pid int) (text string) {
	r.t.Helper()
	r.until("it has its environment", func() bool {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		text = string(data)
		return err == nil && strings.Contains(text, "SUPERVISOR_PROCESS_NAME=")
	})
	return text
}

// TestKilledRoll kills the daemon in the middle of a roll: it goes on, each process is replaced once.
func TestKilledRoll(t *testing.T) {
	t.Parallel()
	r, _, before := released(t, "roll_steady=300ms\n")
	_, err := r.Update(t.Context(), control.UpdateRequest{})
	r.must(err)
	for done := range 3 {
		r.until("one more is over", func() bool {
			op, err := r.Operation(t.Context(), "op-1", -1)
			return err == nil && op.Done > done
		})
		r.killDaemon()
	}
	r.gracectl(0, []string{"wait", "op-1"})
	op := r.operation("op-1")
	for _, e := range op.Events {
		if e.Type == "end" && e.Text != "ready, steady 300ms" {
			t.Errorf("what was proven is lost: %+v", e)
		}
	}
	most, ended := together(op)
	if got := changed(before, r.full()); len(got) != 4 || op.State != control.OperationDone || most != 1 || ended != 4 {
		t.Errorf("%v, %d at a time, %d in all: %+v", got, most, ended, op)
	}
}

// TestNothingBack rolls out a release of which the second process fails, and so does what was before it: the first, which works, stays as it is.
func TestNothingBack(t *testing.T) {
	t.Parallel()
	conf := func(release int) string {
		return fmt.Sprintf("[program:api]\ncommand=/bin/sh -c 'test -e %%(here)s/gone && exit 3; test ${V}%%(process_num)d = 21 && { >%%(here)s/gone; exit 3; }; echo accepting; exec sleep 1000'\n"+
			"process_name=api_%%(process_num)d\nnumprocs=3\nstartsecs=0\nstartretries=0\nready=log:^accepting$\nenvironment=V=\"%d\"\n", release)
	}
	r := newRig(t, conf(1))
	before := r.allRun(3)
	r.write(conf(2))
	out, code := r.ctl("gracectl", "update", "-y")
	if want := "keeps what it has, since api_1 does not work with what it had before"; code != 1 || !strings.Contains(out, want) {
		t.Errorf("exit %d, without %q: %s", code, want, out)
	}
	now := r.infos()
	if now["api_0"].State != process.Running || now["api_0"].PID == before["api_0"] || now["api_2"].PID != before["api_2"] || now["api_1"].PID != 0 {
		t.Errorf("before %v, now %+v", before, now)
	}
}
