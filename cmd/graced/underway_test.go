package main

import (
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestUnderway kills the daemon while an operation is under way of which nothing could be kept on disk: the next one knows it, and gives its number to no
// other, which would wait for itself.
func TestUnderway(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("deaf.sh", "[ -e \"$1/may\" ] && exec sleep 1000\ntrap 'echo >\"$1/asked\"' TERM\necho >\"$1/listens\"\nwhile ! [ -e \"$1/may\" ]; do sleep 0.02; done\n")
	r.launch(nil, "[graced]\nstatedir=%(here)s/s.conf/state\n[program:p]\ncommand=/bin/sh %(here)s/deaf.sh %(here)s\nstartsecs=0\nstopwaitsecs=1000\n")
	exists := func(name string) func() bool { return func() bool { return r.read(name) != "" } }
	r.until("p listens", exists("listens"))
	type ended struct {
		out  string
		code int
	}
	restart := func() chan ended {
		done := make(chan ended, 1)
		go func() {
			out, code := r.ctl("gracectl", "restart", "p")
			done <- ended{out, code}
		}()
		return done
	}
	first := restart()
	r.until("p is told to stop", exists("asked"))
	r.killDaemon()
	r.gracectl(0, []string{"ops"}, "op-1", "restart", "running")
	second := restart()
	r.until("another operation waits for it", func() bool {
		out, _ := r.ctl("gracectl", "ops")
		return strings.Contains(out, "op-2") && strings.Contains(out, "waiting")
	})
	r.put("may", "")
	for _, done := range []chan ended{first, second} {
		if got := <-done; got.code != 0 {
			t.Errorf("exit code %d: %s", got.code, got.out)
		}
	}
	if p := r.infos()["p"]; p.State != process.Running {
		t.Errorf("p is %v", p.State)
	}
}
