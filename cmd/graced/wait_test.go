package main

import (
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestWaitReady waits for processes that become ready, that are started by somebody else and that give up, while daemons come and go.
func TestWaitReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:slow]\ncommand=/bin/sh -c 'read go; echo up; exec sleep 1000'\nready=log:^up\nstartsecs=0\nnumprocs=2\nprocess_name=%(process_num)d\n"+
		"[program:plain]\ncommand=/bin/sleep 1000\nstartsecs=0\n[program:sad]\ncommand=/bin/sh -c 'exit 3'\nstartretries=0\nautostart=false\n"+
		"[program:again]\ncommand=/bin/sh -c 'read go; exit 1'\nstartsecs=0\nbackoff=1000s\n")
	for _, name := range []string{"0", "1", "plain", "again"} {
		r.runs(name, process.Running)
	}
	goOn := func(name string) { r.must(r.WriteStdin(t.Context(), name, []byte("go\n"))) }
	r.gracectl(0, []string{"wait", "--ready", "plain"}, "plain: ready\n")
	goOn("slow:0")
	r.gracectl(0, []string{"wait", "--ready", "slow:0", "plain"}, "slow:0: ready\nplain: ready\n")
	r.gracectl(12, []string{"wait", "--ready", "slow:*", "--timeout", "0.3"}, "slow:0: ready\nslow:1: not ready (RUNNING, no line of its output matches ^up so far)\n", "E307")

	_, out, ended := r.background(nil, "gracectl", "wait", "--ready", "slow:*")
	r.killDaemon()
	r.upgrade("")
	r.killKeeper()
	r.killDaemon()
	goOn("slow:1")
	r.ends(ended, out, 0, "slow:0: ready\nslow:1: ready\n")

	r.gracectl(1, []string{"wait", "--ready", "sad", "plain"}, "sad: ERROR (STOPPED, nothing starts it: Not started)\nplain: ready\n")
	r.gracectl(1, []string{"start", "sad"})
	r.gracectl(1, []string{"wait", "--ready", "sad"}, "sad: ERROR (FATAL, nothing starts it: Exited too quickly (process log may have details))\n")
	goOn("again")
	r.runs("again", process.Exited)
	r.gracectl(12, []string{"wait", "--ready", "again", "--timeout", "0.3"}, "again: not ready (EXITED)\n")
	if s, err := r.Standing(t.Context()); err != nil || len(s.Idle) != 1 || s.Idle[0] != "sad:sad" {
		t.Errorf("idle are %v (%v)", s.Idle, err)
	}

	// Somebody restarts them: what is stopped for that is waited for.
	before := r.running()
	_, err := r.Act(t.Context(), control.ActRequest{Verb: control.ActRestart, Names: []string{"slow:*"}})
	r.must(err)
	_, out, ended = r.background(nil, "gracectl", "wait", "--ready", "slow:*", "--timeout", "60")
	r.until("both are new", func() bool {
		now := r.running()
		return now["0"] != 0 && now["0"] != before["0"] && now["1"] != 0 && now["1"] != before["1"]
	})
	goOn("slow:0")
	goOn("slow:1")
	r.ends(ended, out, 0, "slow:0: ready\nslow:1: ready\n")
}
