package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/xmlrpc"
)

// TestLogAnswers asks both daemons about logs: where they are, before and after a reread (quirk D8), and what is said of those that are missing,
// of none, and of the main log when it is cleared and when it is gone.
func TestLogAnswers(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf("[program:auto]\ncommand=/bin/sleep 1000\nstartsecs=0\n[program:none]\ncommand=/bin/sleep 1000\nstdout_logfile=NONE\nstderr_logfile=NONE\nautostart=false\n" +
			"[program:once]\ncommand=/bin/cat\nredirect_stderr=true\nstartsecs=0\nstdout_logfile=%(here)s/once.log\n" +
			"[program:never]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=%(here)s/never.log\n")
		s.foreground("-s")
		c, err := client.New("unix://"+s.path("s.sock"), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		s.until("the programs run", func() bool {
			list, err := c.Processes(t.Context())
			running := 0
			for _, p := range list {
				if p.State == process.Running {
					running++
				}
			}
			return err == nil && running == 2
		})
		var told strings.Builder
		random := regexp.MustCompile(`---supervisor-[a-z0-9_]{8}`)
		ask := func(method string, args ...any) any {
			v, err := c.Call(t.Context(), method, args...)
			text := fmt.Sprint(v)
			if err != nil {
				text = err.Error()
			}
			fmt.Fprintf(&told, "%s%v: %s\n", method, args, random.ReplaceAllString(s.mask(text), "---supervisor-RANDOM"))
			return v
		}
		configs := func() {
			t.Helper()
			v, err := c.Call(t.Context(), "supervisor.getAllConfigInfo")
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range v.([]any) {
				info := one.(xmlrpc.Struct)
				fmt.Fprintln(&told, info.String("name"), random.ReplaceAllString(s.mask(info.String("stdout_logfile")+" "+info.String("stderr_logfile")), "---supervisor-RANDOM"))
			}
		}
		configs()
		ask("supervisor.reloadConfig")
		configs()
		for _, name := range []string{"auto", "once", "none"} {
			v, err := c.Call(t.Context(), "supervisor.getProcessInfo", name)
			if err != nil {
				t.Fatal(err)
			}
			info := v.(xmlrpc.Struct)
			for _, key := range []string{"logfile", "stdout_logfile", "stderr_logfile"} {
				fmt.Fprintf(&told, "%s %s %q\n", name, key, random.ReplaceAllString(s.mask(info.String(key)), "---supervisor-RANDOM"))
			}
		}
		for _, name := range []string{"none", "never", "once"} {
			for _, method := range []string{"readProcessStdoutLog", "readProcessStderrLog", "tailProcessStdoutLog"} {
				ask("supervisor."+method, name, 0, 0)
			}
		}
		if err := os.Remove(s.path("once.log")); err != nil {
			t.Fatal(err)
		}
		ask("supervisor.readProcessStdoutLog", "once", 0, 0)
		ask("supervisor.tailProcessStdoutLog", "once", 0, 10)
		ask("supervisor.clearLog")
		ask("supervisor.readLog", 0, 0)
		if err := os.Remove(s.path("s.log")); err != nil {
			t.Fatal(err)
		}
		ask("supervisor.readLog", 0, 0)
		ask("supervisor.clearLog")
		s.signal(syscall.SIGTERM)
		s.ended()
		return told.String()
	})
}
