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

// TestEventsOnce has the daemon killed, and replaced, while a listener has an event: it is told once, and the listener gets the next ones, too.
func TestEventsOnce(t *testing.T) {
	t.Parallel()
	const listener = "printf 'READY\\n'\nwhile read -r head; do\n" +
		"\tdd bs=1 count=\"${head##*len:}\" 2>/dev/null >/dev/null\n\techo \"$head\" >>told\n\twhile ! [ -e go ]; do sleep 0.02; done\n\tprintf 'RESULT 2\\nOKREADY\\n'\ndone\n"
	kill := func(r *rig) {
		_, err := r.Standing(t.Context()) // a turn: what was written is known to have been
		r.must(err)
		r.killDaemon()
	}
	for name, replace := range map[string]func(*rig){"kill": kill, "upgrade": func(r *rig) { r.upgrade("") }, "keeper": (*rig).killKeeper} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, dir: t.TempDir()}
			r.put("listen.sh", listener)
			r.launch(nil, "[program:job]\ncommand=/bin/sh -c 'exit 3'\nautostart=false\nautorestart=false\nstartsecs=0\n"+
				"[eventlistener:ears]\ncommand=/bin/sh listen.sh\ndirectory=%(here)s\nevents=PROCESS_STATE_EXITED\nstartsecs=0\n")
			told := func(n int) {
				t.Helper()
				r.until(fmt.Sprintf("%d events are told", n), func() bool { return strings.Count(r.read("told"), "\n") >= n })
			}
			job := func() {
				t.Helper()
				_, err := r.Start(t.Context(), control.Target{Name: "job"}, false)
				r.must(err)
				r.runs("job", process.Exited)
			}
			job()
			told(1)
			for range 3 {
				replace(r)
			}
			r.put("go", "")
			for n := 2; n < 6; n++ {
				job()
				told(n)
				replace(r)
			}
			serials := map[string]bool{}
			for line := range strings.Lines(r.read("told")) {
				_, serial, _ := strings.Cut(line, " serial:")
				serial, _, _ = strings.Cut(serial, " ")
				if serials[serial] {
					t.Errorf("an event was told twice:\n%s", r.read("told"))
				}
				serials[serial] = true
			}
			if log := r.read("s.log"); strings.Contains(log, "UNKNOWN") {
				t.Error("the listener gets no events any more")
			}
		})
	}
}

// TestEventsOnceInAFlood has the daemon replaced again and again while a listener gets one event after the other: none is told twice.
func TestEventsOnceInAFlood(t *testing.T) {
	t.Parallel()
	const listener = "printf 'READY\\n'\nwhile read -r head; do\n" +
		"\tdd bs=1 count=\"${head##*len:}\" 2>/dev/null >/dev/null\n\techo \"$head\" >>told\n\tprintf 'RESULT 2\\nOKREADY\\n'\ndone\n"
	r := &rig{t: t, dir: t.TempDir()}
	r.put("listen.sh", listener)
	r.launch(nil, "[program:says]\ncommand=/bin/sh -c 'while echo word; do sleep 0.004; done'\nstdout_events_enabled=true\nstdout_logfile=NONE\nstartsecs=0\n"+
		"[eventlistener:ears]\ncommand=/bin/sh listen.sh\ndirectory=%(here)s\nevents=PROCESS_LOG\nbuffer_size=1000\nstartsecs=0\n")
	for range 8 {
		before := len(r.read("told"))
		r.until("events are told", func() bool { return len(r.read("told")) > before+2000 || strings.Contains(r.read("s.log"), "UNKNOWN") })
		r.upgrade("")
	}
	serials := map[string]bool{}
	for line := range strings.Lines(r.read("told")) {
		_, serial, _ := strings.Cut(line, " serial:")
		serial, _, _ = strings.Cut(serial, " ")
		if serials[serial] {
			t.Errorf("event %s was told twice", serial)
		}
		serials[serial] = true
	}
	if log := r.read("s.log"); strings.Contains(log, "UNKNOWN") {
		t.Error("the listener gets no events any more")
	}
}
