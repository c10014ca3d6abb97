package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/process"
)

var sessionMasks = []struct {
	match *regexp.Regexp
	word  string
}{{regexp.MustCompile(`pid \d+`), "pid PID"}, {regexp.MustCompile(`uptime \d+:\d\d:\d\d`), "uptime TIME"}}

// TestSession runs testdata/session.txtar. Its commands: supervisord starts the daemon in the background and waits until everything runs;
// "supervisorctl TYPE WANT" types a file at the prompt, once nothing is STARTING, and compares what is printed; edit replaces text in a
// file; shutdown ends the daemon and waits for it.
func TestSession(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	run := func(ts *testscript.TestScript, stdin, name string, args ...string) []byte {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			ts.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return out
	}
	settled := func(ts *testscript.TestScript) {
		c, err := client.New("unix://"+ts.MkAbs("s.sock"), "", "")
		ts.Check(err)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 1500 {
			list, err := c.Processes(t.Context())
			ts.Check(err)
			moving := false
			for _, p := range list {
				moving = moving || p.State == process.Starting
			}
			if !moving {
				return
			}
			<-tick.C
		}
		ts.Fatalf("something is STARTING for 30 s")
	}
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/session.txtar"},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"supervisord": func(ts *testscript.TestScript, _ bool, args []string) {
				run(ts, "", "supervisord", args...)
				pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile("s.pid")))
				ts.Check(err)
				// The script ends it in order; if it failed before, this does. The pid cannot be another's: the file is gone with its daemon.
				ts.Defer(func() {
					if _, err := os.Stat(ts.MkAbs("s.pid")); err == nil {
						_ = syscall.Kill(pid, syscall.SIGTERM)
					}
				})
			},
			"supervisorctl": func(ts *testscript.TestScript, _ bool, args []string) {
				settled(ts)
				out := run(ts, ts.ReadFile(args[0]), "supervisorctl", "-c", "supervisord.conf")
				for _, m := range sessionMasks {
					out = m.match.ReplaceAll(out, []byte(m.word))
				}
				if want := ts.ReadFile(args[1]); !bytes.Equal(out, []byte(want)) {
					ts.Fatalf("%s: printed\n%swant\n%s", args[0], out, want)
				}
			},
			"edit": func(ts *testscript.TestScript, _ bool, args []string) {
				text := strings.Replace(ts.ReadFile(args[0]), args[1], args[2], 1)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
			"shutdown": func(ts *testscript.TestScript, _ bool, _ []string) {
				run(ts, "", "supervisorctl", "-c", "supervisord.conf", "shutdown")
			},
		},
	})
}
