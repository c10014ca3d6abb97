package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestHurriedShutdown: a shutdown that waits for a process without an end is hurried on by stop --now. A name that nobody has hurries nothing.
func TestHurriedShutdown(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:deaf]\ncommand=/bin/sh -c 'trap \"\" TERM; echo up; exec sleep 1000'\nstartsecs=0\nstop_steps=TERM forever\nstdout_logfile=%(here)s/deaf.log\n"+
		"[program:other]\ncommand=/bin/sh -c 'trap \"\" TERM; echo up; exec sleep 1000'\nstartsecs=0\nstop_steps=TERM forever\nstdout_logfile=%(here)s/other.log\n")
	r.runs("deaf", process.Running)
	r.until("both are deaf", func() bool { return strings.Contains(r.read("deaf.log")+r.read("other.log"), "up\nup\n") })
	r.must(syscall.Kill(r.keeperPID(), syscall.SIGTERM))
	r.until("it shuts down", func() bool { return strings.Contains(r.read("s.log"), "received SIGTERM") })
	r.gracectl(1, []string{"stop", "--now", "other", "nobody"}, "error[E310]: no process 'nobody'\n")
	ended := func(name string) bool {
		return strings.Contains(r.read("s.log"), "stopped: "+name+" (terminated by SIGKILL)")
	}
	r.gracectl(0, []string{"stop", "--now", "other"}, "the daemon is shutting down: SIGKILL to what stops by now of other\n") // the last group stops first
	r.until("it has ended", func() bool { return ended("other") })
	if ended("deaf") {
		t.Error("deaf was killed as well")
	}
	var err error
	for over := false; !over; { // deaf has its turn some time, and is hurried on
		_, _ = r.ctl("gracectl", "stop", "--now", "all") // the daemon may have ended
		select {
		case err = <-r.exited:
			r.exited <- err
			over = true
		default:
		}
	}
	if !ended("deaf") {
		t.Error("deaf was not killed")
	}
	if err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
}

// TestNameOfKeeper: keeper and daemon have the name that they were called by, also when they were executed by a descriptor.
func TestNameOfKeeper(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	names := func(when string) {
		t.Helper()
		r.until(when+": both are called graced", func() bool {
			all := mates(r.dir)
			for _, pid := range all {
				if commOf(pid) != "graced" {
					return false
				}
			}
			return len(all) == 2
		})
	}
	names("start")
	r.killKeeper() // the next one is executed as /proc/self/exe
	names("kill of the keeper")
	copyFile(t, r.bin+"/graced", r.path("next"))
	r.upgrade(r.path("next"))
	names("upgrade")
	r.must(syscall.Unlink(r.path("next"))) // now there is no file to execute, only a descriptor
	r.killDaemon()
	names("kill of the daemon")
}

// commOf is the name of a process, as the kernel has it.
func commOf(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // one that has ended has none
	return strings.TrimSpace(string(name))
}
