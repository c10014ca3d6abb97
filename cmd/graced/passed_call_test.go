package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// slowly is a program that takes its time to stop: until there is a file.
const slowly = "[program:c]\ncommand=/bin/sh -c 'trap \"while ! [ -e go ]; do sleep 0.02; done; exit 0\" TERM; echo up >>up; while :; do sleep 0.02; done'\ndirectory=%(here)s\nstartsecs=0\nstopwaitsecs=100\n" +
	"[program:d]\ncommand=/bin/sleep 1000\nstartsecs=0\n"

// TestCallsGoOn has a daemon replaced while clients wait for what takes long. An upgrade passes them on to the next daemon with their connections; of a daemon
// that was killed those are answered that ask again, as ours does.
func TestCallsGoOn(t *testing.T) {
	t.Parallel()
	const debian = "/usr/bin/supervisorctl"
	_, missing := os.Stat(debian)
	for _, c := range []struct {
		client, end string
		args        []string
		out         string
		then        process.State
	}{
		{"supervisorctl", "upgrade", []string{"restart", "c"}, "c: stopped\nc: started\n", process.Running},
		{"supervisorctl", "upgrade", []string{"stop", "all"}, "c: stopped\n", process.Stopped},
		{debian, "upgrade", []string{"restart", "c"}, "c: stopped\nc: started\n", process.Running},
		{debian, "upgrade", []string{"stop", "c:*"}, "c: stopped\n", process.Stopped},
		{"supervisorctl", "two upgrades", []string{"restart", "c"}, "c: stopped\nc: started\n", process.Running},
		{"supervisorctl", "upgrade and kill", []string{"restart", "c"}, "c: stopped\nc: started\n", process.Running},
		{"supervisorctl", "kill", []string{"restart", "c"}, "c: stopped\nc: started\n", process.Running},
		{"supervisorctl", "kill", []string{"stop", "all"}, "c: stopped\n", process.Stopped},
	} {
		t.Run(strings.ReplaceAll(fmt.Sprint(c.client, " ", c.end, " ", c.args), "/", "-"), func(t *testing.T) {
			if c.client == debian && missing != nil {
				t.Skip("hidden: Debian's supervisorctl waits for a daemon that is replaced, because it is not installed")
			}
			t.Parallel()
			r := newRig(t, slowly)
			r.until("c can be stopped", func() bool { return r.read("up") != "" })
			client := c.client
			if client != debian {
				client = r.bin + "/" + client
			}
			cmd := exec.Command(client, append([]string{"-c", r.path("s.conf")}, c.args...)...)
			out := &output{}
			cmd.Stdout, cmd.Stderr = out, out
			r.must(cmd.Start())
			r.runs("c", process.Stopping)
			upgrade := func() { r.upgrade("") }
			for _, end := range map[string][]func(){
				"upgrade": {upgrade}, "two upgrades": {upgrade, upgrade}, "kill": {r.killDaemon}, "upgrade and kill": {upgrade, r.killDaemon},
			}[c.end] {
				end()
			}
			r.put("go", "")
			if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), c.out) {
				t.Errorf("%v, it prints %q, want %q", err, out.String(), c.out)
			}
			r.runs("c", c.then)
			if c.then == process.Running && strings.Count(r.read("up"), "up") != 2 {
				r.until("it has been started once more", func() bool { return strings.Count(r.read("up"), "up") == 2 })
			}
			// Who asks later asks anew.
			if out, code := r.ctl("supervisorctl", "stop", "d"); c.then == process.Running && (code != 0 || out != "d: stopped\n") {
				t.Errorf("exit %d, %s", code, out)
			}
			if out, code := r.ctl("supervisorctl", "stop", "d"); code != 0 || out != "d: ERROR (not running)\n" {
				t.Errorf("exit %d, %s", code, out)
			}
		})
	}
}
