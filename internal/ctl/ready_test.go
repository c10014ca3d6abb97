package ctl

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestWaitReady has processes become ready, or not, while somebody waits for that. Each step of a story is a look at the processes.
func TestWaitReady(t *testing.T) {
	operation := func(d *daemon, state control.OperationState) { d.changes.op.State = state }
	unready := func(d *daemon, text string) {
		d.changes.standing.Readiness = map[string]control.Readiness{"web:web_1": {Ready: text == "", Text: text}}
	}
	tests := []struct {
		name, line string
		foreign    bool // the daemon is no graced
		story      []func(*daemon)
		out, err   string
		exit       int
		looks      int
		takes      time.Duration
	}{
		{name: "at once", line: "wait --ready solo web:web_0", out: "solo: ready\nweb:web_0: ready\n", looks: 1},
		{name: "all of a group, when the last one is", line: "wait --ready web:*", out: "web:web_0: ready\nweb:web_1: ready\n", looks: 3, takes: 200 * time.Millisecond, story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Starting; unready(d, "") },
			func(d *daemon) { d.find("web:web_1").State = process.Running; unready(d, "connection refused") },
			func(d *daemon) { unready(d, "") },
		}},
		{name: "all at the same time", line: "wait --ready web:*", out: "web:web_0: ready\nweb:web_1: ready\n", looks: 3, takes: 200 * time.Millisecond, story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Starting },
			func(d *daemon) {
				d.find("web:web_1").State, d.find("web:web_0").State = process.Running, process.Backoff
			},
			func(d *daemon) { d.find("web:web_0").State = process.Running },
		}},
		{name: "a group that grows", line: "wait --ready web:*", out: "web:web_0: ready\nweb:web_1: ready\nweb:web_2: ready\n", looks: 2, takes: 100 * time.Millisecond, story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Starting },
			func(d *daemon) {
				d.find("web:web_1").State = process.Running
				d.processes = append(d.processes, control.ProcessInfo{Group: "web", Name: "web_2", State: process.Running})
			},
		}},
		{name: "one that gave up", line: "wait --ready solo sad", exit: 1, looks: 1,
			out: "solo: ready\nsad: ERROR (FATAL, nothing starts it: Exited too quickly (process log may have details))\n"},
		{name: "one that nobody starts", line: "wait --ready web:*", exit: 1, looks: 1, out: "web:web_0: ready\nweb:web_1: ERROR (STOPPED, nothing starts it: Not started)\n"},
		{name: "one that an operation may start", line: "wait --ready web:web_1", exit: 1, looks: 2, takes: 100 * time.Millisecond, out: "web:web_1: ERROR (STOPPED, nothing starts it: Not started)\n",
			story: []func(*daemon){func(d *daemon) { operation(d, control.OperationRunning) }, func(d *daemon) { operation(d, control.OperationPaused) }}},
		{name: "one that starts again by itself", line: "wait --ready web:web_1", looks: 2, takes: 100 * time.Millisecond, out: "web:web_1: ready\n", story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State, d.changes.standing.Idle = process.Exited, nil },
			func(d *daemon) { d.find("web:web_1").State = process.Running },
		}},
		{name: "not in time", line: "wait --ready web:* --timeout 250ms", exit: 12, looks: 3, takes: 250 * time.Millisecond,
			story: []func(*daemon){func(d *daemon) { d.find("web:web_1").State = process.Running; unready(d, "connection refused") }},
			out:   "web:web_0: ready\nweb:web_1: not ready (RUNNING, connection refused)\n", err: "error[E307]: not ready within 250ms\n  ctl status tells more\n"},
		{name: "Supervisor's daemon", line: "wait --ready web:web_1", foreign: true, looks: 3, takes: 200 * time.Millisecond, out: "web:web_1: ready\n", story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Exited }, func(d *daemon) { d.find("web:web_1").State = process.Starting },
			func(d *daemon) { d.find("web:web_1").State = process.Running },
		}},
		{name: "Supervisor's daemon, and it is stopped", line: "wait --ready web:web_1", foreign: true, looks: 1, exit: 1, out: "web:web_1: ERROR (STOPPED, nothing starts it: Not started)\n"},
		{name: "nobody is called so", line: "wait --ready nope", exit: 1, looks: 1, err: "error[E310]: no process \"nope\"\n"},
		{name: "one that is removed meanwhile", line: "wait --ready web:web_1", exit: 1, looks: 2, takes: 100 * time.Millisecond, err: "error[E310]: no process \"web:web_1\"\n", story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Starting }, func(d *daemon) { d.processes = d.processes[:3] },
		}},
		{name: "a daemon follows another", line: "wait --ready web:web_1", looks: 4, takes: 300 * time.Millisecond, out: "web:web_1: ready\n", story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Starting }, func(d *daemon) { d.errs["Processes"] = connectionError(syscall.ECONNRESET) },
			func(*daemon) {}, func(d *daemon) { delete(d.errs, "Processes"); d.find("web:web_1").State = process.Running },
		}},
		{name: "no daemon follows", line: "wait --ready web:web_1", exit: 4, looks: missesMost + 2, takes: (missesMost + 1) * relook, err: "error[E301]: the daemon at unix:///s.sock ended before it answered\n", story: []func(*daemon){
			func(d *daemon) { d.find("web:web_1").State = process.Starting }, func(d *daemon) { d.errs["Processes"] = connectionError(syscall.ECONNRESET) },
		}},
		{name: "a daemon that dies under the first look", line: "wait --ready web:web_0", looks: 2, takes: 100 * time.Millisecond, out: "web:web_0: ready\n", story: []func(*daemon){
			func(d *daemon) { d.errs["Processes"] = fmt.Errorf("cannot reach it: %w", client.ErrHungUp) }, func(d *daemon) { delete(d.errs, "Processes") },
		}},
		{name: "no daemon", line: "wait --ready web:web_1", exit: 4, looks: 1, err: "error[E301]: ",
			story: []func(*daemon){func(d *daemon) { d.errs["Processes"] = connectionError(syscall.ECONNREFUSED) }}},
		{name: "no names", line: "wait --ready", exit: 2, err: "error[E312]: wait: --ready: which processes? Names, group:*, a pattern, /regular expression/ or all\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, Gracectl)
				if !tt.foreign {
					f.d.changes = &changes{op: control.Operation{State: control.OperationDone}, standing: control.Standing{Idle: []string{"sad:sad", "web:web_1"}}}
				}
				looks, began := 0, time.Now()
				f.d.looked = func() {
					if looks < len(tt.story) {
						tt.story[looks](f.d)
					}
					looks++
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				exit := f.Run(ctx, strings.Fields(tt.line))
				took := time.Since(began)
				if err := f.err.String(); exit != tt.exit || f.out.String() != tt.out || err != tt.err && !(tt.err != "" && strings.HasPrefix(err, tt.err)) {
					t.Errorf("exit %d, want %d\n%swant\n%serrors\n%swant\n%s", exit, tt.exit, f.out, tt.out, err, tt.err)
				}
				if looks != tt.looks || took != tt.takes {
					t.Errorf("%d looks in %v, want %d in %v", looks, took, tt.looks, tt.takes)
				}
			})
		})
	}
}

// TestWaitReadyInterrupted has Ctrl-C end the waiting.
func TestWaitReadyInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Gracectl)
		f.d.find("web:web_1").State = process.Starting
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		if exit := f.Run(ctx, strings.Fields("wait --ready web:web_1")); exit != exitInterrupted || f.out.Len() > 0 {
			t.Errorf("exit %d, printed %q", exit, f.out)
		}
	})
}
