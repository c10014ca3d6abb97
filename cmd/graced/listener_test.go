package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// listener is a listener in shell that writes down the headers and payloads of its events. It says something on standard error once, in each
// life, and marks of a capture that must not be taken for one.
const listener = `#!/bin/sh
echo noise >&2
while echo READY && read -r head; do
	payload=$(dd bs=1 count="${head##*len:}" 2>/dev/null)
	line=$(echo "$head $payload" | tr '\n' '|')
	echo "$line" >>"$1"
	printf 'RESULT 2\nOK'
done
`

// TestListenerLives follows a listener over a restart of the daemon: the serials go on, those of the pool begin anew; its standard error makes
// events and its standard output none; its protocol stands in its log and, at level debug, in the main log.
func TestListenerLives(t *testing.T) {
	conf := fmt.Sprintf("[supervisord]\nloglevel=debug\n[eventlistener:ears]\ncommand=/bin/sh %%(here)s/ears.sh %%(here)s/heard\nevents=PROCESS_LOG,PROCESS_STATE_RUNNING,"+
		"PROCESS_COMMUNICATION\nstdout_logfile=%%(here)s/ears.log\nstdout_events_enabled=true\nstdout_capture_maxbytes=1KB\nstderr_events_enabled=true\n"+
		"startsecs=0\n[program:mouth]\ncommand=/bin/sh -c %s\nstartsecs=0\nautostart=false\nautorestart=false\n", `"printf 'hello\377'; exec sleep 1000"`)
	r := newRig(t, conf)
	if err := os.WriteFile(filepath.Join(r.dir, "ears.sh"), []byte(listener), 0o600); err != nil {
		t.Fatal(err)
	}
	heard := func() []string {
		data, _ := os.ReadFile(filepath.Join(r.dir, "heard")) // it comes with the first event
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	if out, code := r.ctl("supervisorctl", "restart", "ears"); code != 0 { // the first life may have found no script
		t.Fatalf("restart: exit %d, %s", code, out)
	}
	hears := func(what string) {
		t.Helper()
		r.until("the listener hears "+what, func() bool {
			return slices.ContainsFunc(heard(), func(line string) bool { return strings.Contains(line, what) })
		})
	}
	hears("channel:stderr|noise")
	before := len(heard())
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until("the next run hears of itself", func() bool { return len(heard()) >= before+2 })
	r.runs("mouth", process.Stopped)
	if out, code := r.ctl("supervisorctl", "start", "mouth"); code != 0 {
		t.Fatalf("start: exit %d, %s", code, out)
	}
	hears("groupname:mouth from_state:STARTING")

	header := regexp.MustCompile(`^ver:3\.0 server:supervisor serial:(\d+) pool:ears poolserial:(\d+) eventname:(\S+) len:\d+ `)
	last, poolBegins := -1, 0
	for _, line := range heard() {
		m := header.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("heard %q", line)
		}
		serial, err := strconv.Atoi(m[1])
		if err != nil || serial <= last {
			t.Errorf("serial %d after %d: %s", serial, last, line)
		}
		last = serial
		if m[2] == "0" {
			poolBegins++
		}
		if m[3] != "PROCESS_LOG_STDERR" && m[3] != "PROCESS_STATE_RUNNING" {
			t.Errorf("heard of %s", line)
		}
	}
	if poolBegins != 2 {
		t.Errorf("the pool began to count %d times in two runs:\n%s", poolBegins, strings.Join(heard(), "\n"))
	}
	if log, err := os.ReadFile(filepath.Join(r.dir, "ears.log")); err != nil || !bytes.Contains(log, []byte("READY\nRESULT 2\nOK")) {
		t.Errorf("the log of the listener: %q, %v", log, err)
	}
	log, err := r.ReadLog(t.Context(), control.Log{Main: true}, 0, 0)
	for _, want := range []string{"DEBG received SIGCHLD indicating a child quit\n", "DEBG 'ears' stdout output:\nb'READY\\n'", "DEBG 'ears' stderr output:\nnoise\n", "DEBG 'mouth' stdout output:\nUndecodable: b'hello\\xff'"} {
		if err != nil || !bytes.Contains(log, []byte(want)) {
			t.Errorf("the main log lacks %q: %v", want, err)
		}
	}
	if t.Failed() {
		t.Logf("main log:\n%s", log)
	}
}
