package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

const completionConf = `[supervisord]
[supervisorctl]
serverurl=unix:///nowhere/at/all.sock
[program:web]
command=/bin/true
process_name=%(program_name)s_%(process_num)d
numprocs=2
[program:only]
command=/bin/true
`

// TestCompletion types into real shells on a terminal, presses Tab, and reads back the words that gracectl is called with.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real-gracectl")
	if out, err := exec.Command("go", "build", "-o", real, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("s.conf", completionConf, 0o600)
	// In place of gracectl stands what tells its words; only completion reaches the real one.
	write("gracectl", "#!/bin/sh\ncase $1 in __complete) exec "+real+" \"$@\";; esac\necho \"called: [$*]\"\n", 0o755)
	scripts := map[string]string{}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, err := exec.Command(real, "completion", shell).Output()
		if err != nil {
			t.Fatal(err)
		}
		scripts[shell] = write("complete."+shell, string(out), 0o600)
	}
	for shell, start := range map[string]struct {
		args  []string
		setup string
	}{
		"bash": {[]string{"--norc", "--noprofile", "-i"}, "source " + scripts["bash"]},
		"zsh":  {[]string{"-f", "-i"}, "autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste 2>/dev/null; source " + scripts["zsh"]},
		"fish": {[]string{"--no-config", "-i"}, "source " + scripts["fish"]},
	} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("hidden: completion in %s, because %s is not installed", shell, shell)
			}
			cmd := exec.Command(path, start.args...)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb", "LC_ALL=C.UTF-8", "PS1=$ "}
			terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 200})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = terminal.Close()
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // killed
			}()
			output := make(chan string, 64)
			go func() {
				defer close(output)
				buf := make([]byte, 4096)
				for {
					n, err := terminal.Read(buf)
					if n > 0 {
						output <- string(buf[:n])
					}
					if err != nil {
						return
					}
				}
			}()
			seen := ""
			until := func(text string) {
				t.Helper()
				limit := time.After(30 * time.Second)
				for !strings.Contains(seen, text) {
					select {
					case more, ok := <-output:
						if !ok {
							t.Fatalf("the shell has ended before %q:\n%s", text, seen)
						}
						seen += more
					case <-limit:
						t.Fatalf("no %q in\n%q", text, seen)
					}
				}
				seen = seen[strings.Index(seen, text)+len(text):]
			}
			send := func(text string) {
				t.Helper()
				if _, err := terminal.WriteString(text); err != nil {
					t.Fatal(err)
				}
			}
			send(start.setup + "; echo rea''dy\r")
			until("ready\r\n")
			for _, tt := range []struct{ typed, shown, called string }{
				{"gracectl -c s.conf gra\t", "grace_update", "-c s.conf grace_update"},
				{"gracectl -c s.conf stop on\t", "only", "-c s.conf stop only"},
				{"gracectl -c s.conf stop web:web_1 only:on\t", "only:only", "-c s.conf stop web:web_1 only:only"},
				{"gracectl -c s.conf update on\t", "only", "-c s.conf update only"},
				{"gracectl -c s.conf status --exi\t", "--exit-code", "-c s.conf status --exit-code"},
				{"gracectl -o ya\t", "yaml", "-o yaml"},
				{"gracectl -c s.co\t", "s.conf", "-c s.conf"},
				{"gracectl stop --state=FA\t", "FATAL", "stop --state=FATAL"},
			} {
				send(tt.typed)
				until(tt.shown)
				send("\r")
				until("called: [" + tt.called + "]")
			}
			send("exit\r")
		})
	}
}
