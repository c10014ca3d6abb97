package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestCheckEnds: a check under way ends with its daemon, and with what it has started where another daemon follows.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	const conf = "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nready=exec:/bin/sh -c 'sleep 1000 & echo $$ $! >>%(here)s/pids; wait'\nready_timeout=1000s\n"
	r := newRig(t, conf)
	r.runs("a", process.Running)
	next := func(n int) (child, grandchild int) {
		t.Helper()
		r.until(fmt.Sprintf("check %d is under way", n), func() bool { return strings.Count(r.read("pids"), "\n") == n })
		if _, err := fmt.Sscan(strings.Split(r.read("pids"), "\n")[n-1], &child, &grandchild); err != nil || !lives(child) || !lives(grandchild) {
			t.Fatalf("check %d: %v, pids %d and %d", n, err, child, grandchild)
		}
		return child, grandchild
	}
	for i, end := range []func(){r.killDaemon, func() { r.upgrade("") }, func() { r.killKeeper(); r.killDaemon() }} {
		child, grandchild := next(i + 1)
		end()
		r.until("it has ended with its daemon, and so has its child", func() bool { return !lives(child) && !lives(grandchild) })
	}
	child, grandchild := next(4)
	killMates(r.dir)
	err := <-r.exited
	r.exited <- err
	r.until("it has ended with daemon and keeper", func() bool { return !lives(child) })
	r.must(syscall.Kill(grandchild, syscall.SIGKILL)) // nobody is left who knows of it
	r.launch(nil, conf)
	child, grandchild = next(5)
	if _, err := r.Stop(t.Context(), control.Target{All: true}, true); err != nil {
		t.Fatal(err)
	}
	r.until("it has ended with what it asks", func() bool { return !lives(child) && !lives(grandchild) })
}
