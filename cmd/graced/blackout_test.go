package main

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/process"
)

var (
	blackoutLimits = flag.Bool("blackout", false, "measure how long nobody is answered while the daemon is replaced, 20 times, and fail beyond 30 ms with 100 processes, 250 ms with 1,000")
	blackoutDoc    = flag.String("blackout.doc", "", "the `document` whose table of blackouts is rewritten")
)

// TestBlackout measures how long a client that never stops asking, with a new connection each time, waits at the worst while the daemon is replaced:
// by upgrade, and by kill -9. Upgrades leave no question unanswered; a kill leaves at most the one that was being answered.
func TestBlackout(t *testing.T) {
	sizes, rounds := map[int]time.Duration{100: 30 * time.Millisecond, 1000: 250 * time.Millisecond}, 20
	if !*blackoutLimits {
		sizes, rounds = map[int]time.Duration{20: time.Minute}, 3
	}
	table := "| processes | the daemon is replaced by | nobody is answered for, median | at most | target of the median |\n|---|---|---|---|---|\n"
	for _, n := range slices.Sorted(maps.Keys(sizes)) {
		limit := sizes[n]
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := newRig(t, fmt.Sprintf("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=%d\nprocess_name=a_%%(process_num)d\nstdout_logfile=NONE\nstderr_logfile=NONE\n", n))
			r.until("all run", func() bool {
				count := 0
				for _, p := range r.infos() {
					if p.State == process.Running {
						count++
					}
				}
				return count == n
			})
			for _, way := range []struct {
				name string
				do   func(old int) error
				lost int
			}{
				{"upgrade", func(int) error { return r.Upgrade(t.Context(), "") }, 0},
				{"kill -9", func(old int) error { return syscall.Kill(old, syscall.SIGKILL) }, 1},
			} {
				var waits []time.Duration
				for range rounds {
					waits = append(waits, r.blackout(way.do, way.lost))
				}
				slices.Sort(waits)
				median := waits[len(waits)/2]
				longest := waits[len(waits)-1]
				t.Logf("%d processes, %s: nobody was answered for %v, median of %d (at most %v)", n, way.name, median, rounds, longest)
				table += fmt.Sprintf("| %d | %s | %.1f ms | %.1f ms | ≤ %v |\n", n, way.name, ms(median), ms(longest), limit)
				if median > limit {
					t.Errorf("%s with %d processes: %v, at most %v is right", way.name, n, median, limit)
				}
			}
		})
	}
	if *blackoutDoc != "" && !t.Failed() {
		if err := writeTable(*blackoutDoc, "blackout", 0, table); err != nil {
			t.Error(err)
		}
	}
}

// ms returns a time in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// blackout replaces the daemon and returns the longest time that a question took until another one answers.
func (r *rig) blackout(replace func(old int) error, lost int) (longest time.Duration) {
	t := r.t
	t.Helper()
	before, err := r.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	go func() {
		<-began
		if err := replace(before.DaemonPID); err != nil {
			t.Error(err)
		}
	}()
	deadline := time.Now().Add(time.Minute)
	for first := true; ; first = false {
		c, err := client.New("unix://"+r.dir+"/s.sock", "", "")
		if err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		now, err := c.Doctor(t.Context())
		took := time.Since(asked)
		c.Close()
		if first {
			close(began)
			continue
		}
		if err != nil {
			if lost--; lost < 0 || time.Now().After(deadline) {
				t.Fatalf("a question was not answered: %v", err)
			}
		}
		longest = max(longest, took)
		if err == nil && now.DaemonPID != before.DaemonPID {
			return longest
		}
	}
}
