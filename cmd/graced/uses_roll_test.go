package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

var (
	rollRequests = flag.Int("roll.requests", 3000, "how many requests a web server gets at least from the beginning of each roll to a good release on, and a fourth of it with others")
	rollRounds   = flag.Int("roll.rounds", 1, "how often it goes through all kinds of rolls")
	rollSeed     = flag.Uint64("roll.seed", 0, "seed of the moments at which the daemon is killed; 0: a random one")
	rollDoc      = flag.String("roll.doc", "", "the `document` whose table of rolls is rewritten")
)

// underLoad is one kind of roll of a web server that is asked all the time.
type underLoad struct {
	name   string
	broken string // what is wrong with the release; "" = nothing
	args   []string
	kill   bool // the daemon, in the middle
}

var rollsUnderLoad = []underLoad{
	{"a good release", "", []string{"update"}, false},
	{"a broken release", "exits late", []string{"update"}, false},
	{"a release that hangs", "hangs", []string{"update", "--canary", "2"}, false},
	{"a restart", "", []string{"restart", "--rolling", "web:*", "--max-unavailable", "2"}, false},
	{"a good release, the daemon killed", "", []string{"update"}, true},
	{"a broken release, the daemon killed", "exits late", []string{"update"}, true},
}

// state and code are how it has to end.
func (c underLoad) state() control.OperationState {
	if c.broken != "" {
		return control.OperationRolledBack
	}
	return control.OperationDone
}

func (c underLoad) code() int {
	if c.broken != "" {
		return 10
	}
	return 0
}

// requests is how many it gets at least, from its beginning on.
func (c underLoad) requests() int {
	if c.broken == "" && c.args[0] == "update" {
		return *rollRequests
	}
	return *rollRequests / 4
}

// webUnderLoad is a web server of four workers at one socket.
type webUnderLoad struct {
	*rig
	*load
	*rand.Rand
	head    string // of its section
	release int    // that has to answer
}

func (w *webUnderLoad) conf(release int, broken string) string {
	return fmt.Sprintf("%sprocess_name=web_%%(process_num)d\nnumprocs=4\nstartsecs=0\nstartretries=0\nready=log:^accepting$\nready_wait=2s\n"+
		"roll_max_unavailable=50%%%%\nroll_canary=1\nroll_steady=100ms\nenvironment=%s=\"%s\",RELEASE=\"%d\",BROKEN=\"%s\"\n", w.head, workerEnv, w.shared(), release, broken)
}

// shared is how its workers find the socket.
func (w *webUnderLoad) shared() string {
	if strings.Contains(w.head, "[socket:") {
		return "passed"
	}
	return "stdin"
}

// TestNoRequestLost rolls a web server of four workers behind one socket while it is asked all the time: good releases, broken ones that go back, a restart, and
// the daemon is killed in the middle. No request fails.
func TestNoRequestLost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seed := *rollSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	for _, server := range []struct {
		name, head string
		rolls      []underLoad
	}{
		{"fcgi", "[fcgi-program:web]\nsocket=unix://%(here)s/web.sock\nsocket_backlog=1024\ncommand=" + self + "\n", rollsUnderLoad[:3]},
		{"socket", "[socket:front]\nlisten=unix://%(here)s/web.sock\nbacklog=1024\n[program:web]\nsockets=front\ncommand=" + self + "\n", rollsUnderLoad},
	} {
		t.Run(server.name, func(t *testing.T) {
			w := &webUnderLoad{Rand: rand.New(rand.NewPCG(seed, 0)), head: server.head, rig: &rig{t: t, dir: t.TempDir()}, release: 1}
			w.launch(nil, w.conf(1, ""))
			w.allReady(4)
			w.load = newLoad(t, "unix", filepath.Join(w.dir, "web.sock"))
			w.more(100)
			var table strings.Builder
			fmt.Fprint(&table, "| round | requests, failed |")
			for _, c := range server.rolls {
				fmt.Fprintf(&table, " %s: %s, exit %d |", c.name, c.state(), c.code())
			}
			fmt.Fprint(&table, "\n|", strings.Repeat("---|", len(server.rolls)+2), "\n")
			for round := range *rollRounds {
				before, row := w.count(), ""
				for _, c := range server.rolls {
					row += fmt.Sprintf(" %s |", w.roll(c, c.requests()))
				}
				now := w.count()
				row = fmt.Sprintf("| %d | %d, %d |%s", round+1, now.Asked-before.Asked, now.Failed-before.Failed, row)
				t.Log(row)
				fmt.Fprintln(&table, row)
			}
			c := w.count()
			sum := fmt.Sprintf("%d of %d requests failed.", c.Failed, c.Asked)
			t.Log(sum)
			if *rollDoc != "" && !t.Failed() {
				w.must(writeTable(*rollDoc, "roll", seed, sum+"\n\n"+table.String()))
			}
		})
	}
}

// roll goes through one roll with so many requests, and returns how many came during it.
func (w *webUnderLoad) roll(c underLoad, requests int) string {
	t := w.rig.t
	t.Helper()
	next := w.release
	if c.args[0] == "update" {
		next++
	}
	w.write(w.conf(next, c.broken))
	if c.broken == "" {
		w.release = next
	}
	before, asked := w.full(), w.count().Asked
	out, event := "", ""
	if c.kill {
		out, event = w.killedRoll(c)
	} else {
		out = w.gracectl(c.code(), c.args)
	}
	during := w.count().Asked - asked
	op := w.operation(w.lastOperation())
	w.load.until(asked + requests)
	w.forget()
	w.more(50)
	count := w.count()
	if count.Failed > 0 {
		t.Fatalf("%s: %d of %d requests failed: %s\n%s", c.name, count.Failed, count.Asked, count.First, out)
	}
	if want := fmt.Sprint(w.release); !slices.Equal(count.Releases, []string{want}) {
		t.Errorf("%s: in the end releases %v answer, not %s", c.name, count.Releases, want)
	}
	for name, p := range w.full() {
		if p.State != process.Running {
			t.Errorf("%s: %s is %s", c.name, name, p.State)
		}
	}
	if op.State != c.state() {
		t.Errorf("%s: the operation is %s, not %s\n%s", c.name, op.State, c.state(), out)
	}
	others := len(changed(before, w.full()))
	if c.broken == "" && others != 4 {
		t.Errorf("%s: %d of 4 processes are others\n%s", c.name, others, out)
	}
	w.allReady(4)
	return fmt.Sprintf("%d%s", during, event)
}

// killedRoll kills the daemon in the middle of a roll, after one of its first events.
func (w *webUnderLoad) killedRoll(c underLoad) (out, event string) {
	t := w.rig.t
	t.Helper()
	last := w.lastOperation()
	_, text, ended := w.background(nil, "gracectl", c.args...)
	w.rig.until("it has begun", func() bool { return w.lastOperation() != last })
	id, after := w.lastOperation(), 1+w.IntN(6)
	w.rig.until(fmt.Sprintf("event %d", after), func() bool { return w.operation(id).Count >= after })
	killed := time.Now()
	w.killDaemon()
	w.ends(ended, text, c.code())
	w.gracectl(c.code(), []string{"wait", id})
	if op := w.operation(id); op.Ended == nil || op.Ended.Before(killed) {
		t.Errorf("%s: the daemon was killed when it was over: %+v", c.name, op)
	}
	return text.String(), fmt.Sprintf(" (event %d)", after)
}
