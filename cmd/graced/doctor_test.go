package main

import (
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestDoctor asks a daemon from which features were taken away: it says what it does instead, and does it.
func TestDoctor(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.launch([]string{"env", "GRACED_DISABLE=pidfd,splice,unshare,nonsense"}, "[program:a]\ncommand=/bin/sh -c 'echo hello; ulimit -n; exec sleep 1000'\nstartsecs=0\nstdout_logfile=%(here)s/a.log\n")
	r.runs("a", process.Running)
	out := r.gracectl(0, []string{"doctor"}, "Linux ", "without pidfd_open: they are looked at in /proc", "without splice: output is read and written", "without unshare: forks from the common table",
		"GRACED_DISABLE has no meaning for nonsense\n")
	if !strings.Contains(out, "memfd_create") || strings.Contains(out, "without memfd_create") {
		t.Errorf("what was not taken away:\n%s", out)
	}
	r.until("output arrives all the same", func() bool { return len(r.files("a.log")) == 1 && strings.HasPrefix(r.read("a.log"), "hello\n") })
	r.gracectl(0, []string{"doctor", "-o", "json"}, `"schema": "graced.doctor/v1"`, `"daemon_pid": `, `"disabled": true`)
}
