package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
)

var (
	stressSeed = flag.Uint64("stress.seed", 0, "seed of the stress test; 0: a random one")
	stressTime = flag.Duration("stress.time", 3*time.Second, "how long each part of the stress test lasts")
)

// stressConf is a configuration of three programs. With the same numbers it is the same.
func stressConf(command, a, b, c int, option string) string {
	return fmt.Sprintf(`[program:a]
command=/bin/sleep %[1]d
process_name=%%(program_name)s_%%(process_num)d
numprocs=%[2]d
startsecs=0
%[5]s
[program:b]
command=/bin/sh -c 'while :; do echo line; sleep 0.2; done'
process_name=%%(program_name)s_%%(process_num)d
numprocs=%[3]d
startsecs=0
stopasgroup=true
stdout_events_enabled=true
%[5]s
[program:c]
command=/bin/sleep %[1]d
process_name=%%(program_name)s_%%(process_num)d
numprocs=%[4]d
startsecs=0
[eventlistener:ears]
command=/bin/sh -c 'while echo READY && read -r head; do dd bs=1 count="${head##*len:}" of=/dev/null 2>/dev/null; printf "RESULT 2\nOK"; done'
startsecs=0
events=PROCESS_STATE,PROCESS_LOG
buffer_size=10000
`, command, a, b, c, option)
}

func randomStressConf(r *rand.Rand) string {
	options := []string{"", "", "stopwaitsecs=5", "exitcodes=0,3", "stdout_logfile=NONE", "priority=5", "stdout_logfile=%(here)s/%(program_name)s.log", "environment=A=\"1\""}
	return stressConf(1000+r.IntN(2), 1+r.IntN(4), 1+r.IntN(3), r.IntN(4), options[r.IntN(len(options))])
}

// script is one of those who work on the daemon at once.
type script struct {
	*soak
	*rand.Rand
	program string
	kept    []control.Operation // what update has answered
	said    []string            // what could not be understood
	again   bool                // the daemon may be restarting
}

// known are the lines that verbs of supervisorctl may answer under stress: names come and go, and what one script starts another one stops.
var known = regexp.MustCompile(`^([a-z]+:[a-z_0-9]+: (started|stopped|ERROR \((already started|not running|no such process|no such group|abnormal termination|spawn error)\).*)` +
	`|[a-z]+: (ERROR \(no such group\)|stopped|(added|removed|updated) process group)|[a-z]+:[a-z_0-9]+ (added|stoped|removed)` +
	`|No need to update|Not only numprocs has changed.*|Other settings has changed, please use update|ERROR: no such (process/)?group: [a-z]+` +
	`|[a-z]+(:[a-z_0-9]+)? +(RUNNING|STARTING|STOPPED|STOPPING|EXITED|BACKOFF|FATAL) .*` +
	// Its update is four calls, between which another script may come.
	`|error: (ALREADY_ADDED|STILL_RUNNING|BAD_NAME): [a-z]+ \(fault \d+\))$`)

// refusals are the exit codes of gracectl for names that have gone, for what somebody else undid, and for a refused grace_update.
var refusals = map[int]bool{0: true, 1: true, 11: true}

// troubles are gracectl's errors that these exit codes must not stand for.
var troubles = regexp.MustCompile(`error\[E(30\d|312|999)\]|panic|goroutine`)

// gone is what they say of a name that somebody has removed, before they began or while they waited.
var gone = regexp.MustCompile(`error\[E300\]: (op-\d+ failed: )?BAD_NAME`)

// act does one random thing.
func (s *script) act() {
	group := []string{"a", "b", "c"}[s.IntN(3)]
	target := group + ":*"
	if s.IntN(2) == 0 {
		target = fmt.Sprintf("%s:%s_%d", group, group, s.IntN(3))
	}
	args := [][]string{
		{"update"}, {"update"}, {"update", group}, {"start", target}, {"stop", target}, {"restart", target}, {"status"}, {"grace_update", group}, {"plan"},
	}[s.IntN(9)]
	ours := s.program == "gracectl"
	switch {
	case args[0] == "update" && ours:
		args = append(args, "-o", "json")
	case args[0] == "plan" && ours:
		args = append(args, "--exit-code", "-o", "json")
	case args[0] == "plan":
		args = []string{"status"}
	}
	out, code := s.ctl(s.program, args...)
	if s.again {
		return // anything may be refused
	}
	complain := func(what string) {
		s.said = append(s.said, fmt.Sprintf("%s %q: exit %d: %s", s.program, args, code, what))
	}
	switch {
	case args[0] == "plan":
		var p control.Plan
		if json.Unmarshal([]byte(out), &p) != nil || code != 0 && code != 2 || (code == 0) != p.Empty() {
			complain(out)
		}
	case args[0] == "update" && ours:
		var op control.Operation
		if err := json.Unmarshal([]byte(out), &op); err == nil {
			s.kept = append(s.kept, op)
			if (op.State == control.OperationDone || op.State == control.OperationNothing) != (code == 0) {
				complain(out)
			}
			return
		}
		complain(out)
	case ours:
		if !refusals[code] || troubles.MatchString(gone.ReplaceAllString(out, "")) {
			complain(out)
		}
	default:
		for line := range strings.Lines(out) {
			if !known.MatchString(strings.TrimSuffix(line, "\n")) {
				complain(line)
			}
		}
	}
}

// TestStress has three scripts work on one daemon at once, while its files change, and then send it SIGHUP as well. Operations wait for one another,
// what an update says did happen, and in the end the daemon holds nothing that it did not hold before.
func TestStress(t *testing.T) {
	t.Parallel()
	seed := cmp.Or(*stressSeed, rand.Uint64())
	t.Logf("-stress.seed=%d", seed)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &soak{rig: &rig{t: t, dir: t.TempDir(), bin: bin, exited: make(chan error, 1)}}
	first := stressConf(1000, 2, 2, 2, "")
	s.write(first)
	s.launchSelf("info")
	s.resting()
	// One round of everything, so that what is made once is there.
	for _, verb := range []string{"update", "status", "plan"} {
		if out, code := s.ctl("gracectl", verb); code != 0 {
			t.Fatalf("%s: exit %d\n%s", verb, code, out)
		}
	}
	s.settled()
	goroutines := s.innards().Goroutines

	work := func(part uint64, again bool) (kept []control.Operation) {
		ctx, cancel := context.WithTimeout(t.Context(), *stressTime)
		defer cancel()
		var all sync.WaitGroup
		scripts := []*script{}
		for n, program := range []string{"gracectl", "gracectl", "supervisorctl"} {
			sc := &script{soak: s, Rand: rand.New(rand.NewPCG(seed, 10*part+uint64(n))), program: program, again: again}
			scripts = append(scripts, sc)
			all.Go(func() {
				for ctx.Err() == nil {
					sc.act()
				}
			})
		}
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 10*part+9))
			tick := time.NewTicker(60 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				s.rewrite(randomStressConf(random))
				if again && i%10 == 5 {
					_ = syscall.Kill(s.cmd.Process.Pid, syscall.SIGHUP)
				}
				<-tick.C
			}
		})
		all.Wait()
		for _, sc := range scripts {
			kept = append(kept, sc.kept...)
			for _, said := range sc.said {
				t.Error(said)
			}
		}
		return kept
	}
	kept := work(1, false)
	s.checkOperations(kept)
	work(2, true)

	// The daemon may be in the middle of a restart, or of two.
	s.rewrite(first)
	s.until("a last update is done", func() bool { _, code := s.ctl("gracectl", "update"); return code == 0 })
	if _, err := s.Start(t.Context(), control.Target{All: true}, true); err != nil {
		t.Error(err)
	}
	s.resting()
	if out, code := s.ctl("gracectl", "plan", "--exit-code"); code != 0 {
		t.Errorf("in the end the plan is: exit %d\n%s", code, out)
	}
	if n := len(s.full()); n != 7 {
		t.Errorf("in the end there are %d processes", n)
	}
	s.settled()
	const few = 2 // a connection may be about to end
	s.until("the goroutines of the stress are gone", func() bool { return s.innards().Goroutines <= goroutines+few })
	if n := s.zombies(); n != 0 {
		t.Errorf("%d children have ended and were not reaped", n)
	}
}

// rewrite is write in one go.
func (s *soak) rewrite(conf string) {
	part := *s.rig
	part.dir = filepath.Join(s.dir, "part")
	s.must(os.MkdirAll(part.dir, 0o700))
	part.write(conf)
	text, err := os.ReadFile(filepath.Join(part.dir, "s.conf"))
	s.must(err)
	s.put("s.conf", string(text))
}

// checkOperations checks that no two operations were at one process at once, and that what they say is in the main log.
func (s *soak) checkOperations(ops []control.Operation) {
	s.t.Helper()
	type interval struct {
		op       string
		from, to time.Time
	}
	at := map[string][]interval{}
	done := 0
	log, err := s.ReadLog(s.t.Context(), control.Log{Main: true}, 0, 0)
	s.must(err)
	for _, op := range ops {
		if op.State == control.OperationDone {
			done++
			if op.Done != op.Steps {
				s.t.Errorf("%s is done with %d of %d steps: %+v", op.ID, op.Done, op.Steps, op)
			}
		}
		if op.Count != len(op.Events) {
			s.t.Errorf("%s has %d events and tells %d", op.ID, op.Count, len(op.Events))
		}
		began := map[string]time.Time{}
		for _, e := range op.Events {
			if e.Type == "begin" {
				if _, twice := began[e.Process]; twice {
					s.t.Errorf("%s begins twice with %s", op.ID, e.Process)
				}
				began[e.Process] = e.Time
				continue
			}
			from, ok := began[e.Process]
			if ok {
				at[e.Process] = append(at[e.Process], interval{op.ID, from, e.Time})
				delete(began, e.Process)
			}
			_, name, _ := strings.Cut(e.Process, ":")
			switch {
			case e.Error != "" && op.State == control.OperationDone:
				s.t.Errorf("%s is done, and failed with %+v", op.ID, e)
			case e.Error != "":
			case e.Action == "replace" && e.OldPID == e.PID:
				s.t.Errorf("%s: %+v", op.ID, e)
			case (e.Action == "start" || e.Action == "replace") && e.PID != 0 && !strings.Contains(string(log), fmt.Sprintf("spawned: '%s' with pid %d\n", name, e.PID)):
				s.t.Errorf("%s says %+v, the main log knows nothing of it", op.ID, e)
			}
		}
		if op.State.Over() && len(began) > 0 {
			s.t.Errorf("%s is %s, and is still busy with %v", op.ID, op.State, began)
		}
	}
	for name, list := range at {
		slices.SortFunc(list, func(a, b interval) int { return a.from.Compare(b.from) })
		for i := 1; i < len(list); i++ {
			if list[i].from.Before(list[i-1].to) {
				s.t.Errorf("%s and %s were busy with %s at once: %v", list[i-1].op, list[i].op, name, list[i-1:i+1])
			}
		}
	}
	s.t.Logf("%d updates, %d of them did something", len(ops), done)
	if done == 0 {
		s.t.Error("no update has done anything")
	}
}
