package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// slowDrain waits until a file is there, and says when it began and when it ended.
const slowDrain = `echo "begun $$ $GRACED_REASON" >>drains
while ! [ -e "go" ]; do sleep 0.05; done
echo "ended" >>drains
echo "whose words come late"
`

const drainConf = `[program:a]
command=/bin/sleep 1000
startsecs=0
directory=%(here)s
drain_command=/bin/sh drain.sh
drain_timeout=100s
[program:b]
command=/bin/sleep 1000
startsecs=0
`

// draining has a process that is being stopped, and drained for that until there is a file "go".
func draining(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.put("drain.sh", slowDrain)
	r.launch(nil, drainConf)
	r.runs("a", process.Running)
	_, err := r.Stop(t.Context(), control.Target{Name: "a"}, false)
	r.must(err)
	return r
}

// TestDrainSurvives: a drain_command runs once, however often the daemon is killed meanwhile, and the keeper too; the stop goes on when it ends, and
// nobody else waits for it. What it says arrives.
func TestDrainSurvives(t *testing.T) {
	t.Parallel()
	for _, kill := range []struct {
		name string
		do   func(*rig)
	}{{"daemon", (*rig).killDaemon}, {"keeper", (*rig).killKeeper}} {
		t.Run(kill.name, func(t *testing.T) {
			t.Parallel()
			r := draining(t)
			began := func() []string { return strings.Split(r.read("drains"), "\n") }
			r.until("it is drained", func() bool { return len(began()) == 2 })
			for range 2 {
				kill.do(r)
			}
			if a := r.infos()["a"]; a.State != process.Stopping || a.PID == 0 {
				t.Errorf("it is %v with pid %d", a.State, a.PID)
			}
			if _, err := r.Stop(t.Context(), control.Target{Name: "b"}, true); err != nil {
				t.Errorf("the stop of another: %v", err)
			}
			r.put("go", "")
			r.until("it is stopped", func() bool { return r.infos()["a"].State == process.Stopped })
			if got, want := r.read("drains"), began()[0]+"\nended\n"; got != want {
				t.Errorf("the command has run like this:\n%s", got)
			}
			r.until("its words are in the main log", func() bool { return strings.Contains(r.read("s.log"), "drain_command of a: whose words come late") })
			if text := r.read("s.log"); strings.Contains(text, "drain_command of a: exit") {
				t.Errorf("it has failed:\n%s", text)
			}
		})
	}
}

// TestDrainHurried: stop --now does not wait for a drain_command of somebody else's stop, and ends it; why tells of it.
func TestDrainHurried(t *testing.T) {
	t.Parallel()
	r := draining(t)
	var words []string
	r.until("it is drained", func() bool { words = strings.Fields(r.read("drains")); return len(words) == 3 })
	pid, err := strconv.Atoi(words[1])
	r.must(err)
	r.gracectl(0, []string{"stop", "--now", "a"}, "a: stopped\n")
	r.until("its command has ended", func() bool { _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); return os.IsNotExist(err) })
	r.gracectl(0, []string{"why", "a"}, "draining", "drain_command, for at most 1m40s", "SIGKILL")
}
