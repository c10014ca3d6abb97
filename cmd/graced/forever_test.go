package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// TestDrainForever: with drain_timeout=forever a stop waits for the end of the process, or of the command, however long that takes, whoever dies meanwhile;
// stop --now ends the wait. A command whose process has ended is ended with it, so that nothing keeps the daemon from its end.
func TestDrainForever(t *testing.T) {
	t.Parallel()
	const command = "command=/bin/sh -c 'trap \"\" TERM; trap \"echo told\" USR1; echo up; while :; do sleep 0.05; done'\nstartsecs=0\nstdout_logfile=%(here)s/NAME.log\ndrain_timeout=forever\n"
	program := func(name, options string) string {
		return "[program:" + name + "]\n" + strings.ReplaceAll(command, "NAME", name) + options
	}
	r := newRig(t, program("signal", "drain_signal=USR1\nstopwaitsecs=1\n")+program("command", "drain_command=/bin/sh -c 'echo $$ > %(here)s/command.pid; exec /bin/sleep 1000'\nstopwaitsecs=1\n")+
		program("first", "drain_command=/bin/sh -c 'echo $$ > %(here)s/first.pid; exec /bin/sleep 1000'\n"))
	for _, name := range []string{"signal", "command", "first"} {
		r.runs(name, process.Running)
		r.until(name+" is up", func() bool { return strings.Contains(r.read(name+".log"), "up\n") })
	}
	pid := r.infos()["first"].PID
	for _, name := range []string{"signal", "command", "first"} {
		_, err := r.Stop(t.Context(), control.Target{Name: name}, false)
		r.must(err)
	}
	r.until("all are told", func() bool {
		return strings.Contains(r.read("signal.log"), "told") && r.read("command.pid") != "" && r.read("first.pid") != ""
	})
	r.killDaemon()
	for _, name := range []string{"signal", "command", "first"} {
		if p := r.infos()[name]; p.State != process.Stopping || p.PID == 0 {
			t.Errorf("%s is %v with pid %d", name, p.State, p.PID)
		}
	}
	if log := r.read("s.log"); !strings.Contains(log, "SIGUSR1, as long as it takes") || !strings.Contains(log, "drain_command, as long as it takes") {
		t.Errorf("the log does not say how long it takes:\n%s", log)
	}
	gone := func(name string) func() bool {
		return func() bool {
			_, err := os.Stat("/proc/" + strings.TrimSpace(r.read(name+".pid")))
			return os.IsNotExist(err)
		}
	}
	r.must(syscall.Kill(pid, syscall.SIGKILL))
	r.runs("first", process.Stopped)
	r.until("the command of the process that has ended is ended", gone("first"))
	r.gracectl(0, []string{"stop", "--now", "signal", "command"}, "signal: stopped\ncommand: stopped\n")
	r.until("the command is ended", gone("command"))
	for _, name := range []string{"signal", "command"} {
		if log := r.read("s.log"); !strings.Contains(log, "stopped: "+name+" (terminated by SIGKILL)") {
			t.Errorf("%s was not killed:\n%s", name, log)
		}
	}
}
