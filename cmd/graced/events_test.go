package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestListenersThatHarm: listeners that never answer, never read, never say a word, say too much or end at once, beside a flood of events. Nothing
// of it keeps another listener from its events, or the daemon from its work.
func TestListenersThatHarm(t *testing.T) {
	t.Parallel()
	r := newRig(t, `[eventlistener:good]
command=/bin/sh -c 'while echo READY && read -r head; do dd bs=1 count="${head##*len:}" 2>/dev/null >>%(here)s/good.txt; echo >>%(here)s/good.txt; printf "RESULT 2\nOK"; done'
events=REMOTE_COMMUNICATION
[eventlistener:silent]
command=sleep 1000
events=EVENT
[eventlistener:answerless]
command=/bin/sh -c 'echo READY; exec cat >/dev/null'
events=EVENT
startsecs=0
[eventlistener:blind]
command=/bin/sh -c 'echo READY; exec sleep 1000'
events=EVENT
startsecs=0
[eventlistener:chatterbox]
command=/bin/sh -c 'exec yes'
events=EVENT
startsecs=0
[eventlistener:brief]
command=/bin/sh -c 'echo READY; read -r head; exit 0'
events=EVENT
startsecs=0
autorestart=true
[program:flood]
command=/bin/sh -c 'exec yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
stdout_events_enabled=true
stdout_logfile=NONE
startsecs=0
[program:worker]
command=sleep 1000
autostart=false
startsecs=0
`)
	ctx := t.Context()
	r.until("the good listener runs", func() bool { return r.infos()["good"].State == process.Running })
	memory := func() int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		kb := 0
		if m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text); m != nil {
			_, _ = fmt.Sscan(string(m[1]), &kb)
		}
		return kb << 10
	}
	for i := range 20 {
		if err := r.SendRemote(ctx, "kind", fmt.Sprintf("event %d", i)); err != nil {
			t.Fatal(err)
		}
		for _, act := range []func() error{
			func() error { _, err := r.Start(ctx, control.Target{Name: "worker"}, true); return err },
			func() error { _, err := r.Stop(ctx, control.Target{Name: "worker"}, true); return err },
		} {
			if err := act(); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
		r.until("the good listener has its event", func() bool {
			text, _ := os.ReadFile(filepath.Join(r.dir, "good.txt")) // it comes with the first event
			return strings.Contains(string(text), fmt.Sprintf("type:kind\nevent %d\n", i))
		})
	}
	// Ten events in each buffer, each with one piece of output at most, and what is on its way.
	if m := memory(); m > 200<<20 {
		t.Errorf("the daemon takes %d MB", m>>20)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "s.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"pool silent event buffer overflowed, discarding event", "pool answerless event buffer overflowed, discarding event",
		"pool blind event buffer overflowed, discarding event", "chatterbox: has entered the UNKNOWN state and will no longer receive events",
	} {
		if !strings.Contains(string(log), line) {
			t.Errorf("the log does not say %q", line)
		}
	}
	if r.infos()["chatterbox"].State != process.Running {
		t.Errorf("a listener that broke the protocol is %v, want RUNNING", r.infos()["chatterbox"].State)
	}
}
