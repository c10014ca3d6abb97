package contract

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// terminal is a client on a pseudo terminal.
type terminal struct {
	*testing.T
	client *running
	tty    *os.File
	screen *watched
	copied chan struct{} // closed when the terminal has no more to show
}

func openTerminal(e *environment, args ...string) *terminal {
	e.Helper()
	return openTerminalOf(e, pty.Winsize{Rows: 24, Cols: 80}, args...)
}

func openTerminalOf(e *environment, size pty.Winsize, args ...string) *terminal {
	e.Helper()
	tty, theirs, err := pty.Open()
	if err != nil {
		e.Fatal(err)
	}
	defer theirs.Close()
	if err := pty.Setsize(tty, &size); err != nil {
		e.Fatal(err)
	}
	client, err := order{
		path: e.ctl, args: append([]string{"-c", e.path("s.conf")}, args...), dir: e.dir, env: append(e.env, "TERM=xterm"), tty: theirs,
	}.start()
	if err != nil {
		e.Fatal(err)
	}
	t := &terminal{T: e.T, client: client, tty: tty, screen: &watched{}, copied: make(chan struct{})}
	go func() {
		_, _ = io.Copy(t.screen, tty) // ends with EIO when the client has ended
		close(t.copied)
	}()
	e.Cleanup(func() {
		select {
		case <-client.ended:
		default:
			_ = client.signal(syscall.SIGKILL)
		}
		_ = tty.Close()
	})
	return t
}

// see waits until text is on the screen, behind what was seen before.
func (t *terminal) see(text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if !t.screen.await(ctx, text) {
		t.Fatalf("%q is not on the screen:\n%s", text, t.screen.text())
	}
}

// press types keys.
func (t *terminal) press(keys string) {
	t.Helper()
	if _, err := io.WriteString(t.tty, keys); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end of the client and checks its exit code.
func (t *terminal) ends(code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if !t.client.wait(ctx) || t.client.code != code {
		t.Errorf("exit %d, want %d; screen:\n%s", t.client.code, code, t.screen.text())
	}
	<-t.copied
}

// leave asks for the version, which shows that the shell works, and ends it.
func (t *terminal) leave() {
	t.Helper()
	t.press("version" + enter)
	t.see("4.")
	t.see(prompt)
	t.press(ctrlD)
	t.ends(0)
}

const (
	tab    = "\t"
	enter  = "\r"
	up     = "\x1b[A"
	ctrlC  = "\x03"
	ctrlD  = "\x04"
	prompt = "supervisor> "
)

// TestTerminal works with the shell as a person does: completion, history, Ctrl-C, a hidden password (contract: ctl, "Interactive shell").
func TestTerminal(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	ourCtl, err := build(bin, "supervisorctl", "gracectl")
	if err != nil {
		t.Fatal(err)
	}
	ourDaemon, err := build(bin, "supervisord", "graced")
	if err != nil {
		t.Fatal(err)
	}
	e := newEnvironment(t, pairing{"graced, our supervisorctl", ourDaemon, ourCtl, true, true})
	e.write("s.conf", e.expand(`[unix_http_server]
file=$D/s.sock
[inet_http_server]
port=127.0.0.1:$P
username=me
password=secret
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
logfile=$D/d.log
pidfile=$D/d.pid
childlogdir=$D
[supervisorctl]
serverurl=unix://$D/s.sock
history_file=$D/history
[program:cat]
command=/bin/sh -c "echo hello; exec cat"
startsecs=0
[program:my-app]
command=/bin/sleep 1000
process_name=app_%(process_num)d
numprocs=2
startsecs=0
`))
	e.start("terminal")
	for _, name := range []string{"cat", "my-app:app_0", "my-app:app_1"} {
		e.wait("terminal", name, "RUNNING")
	}

	c := openTerminal(e)
	c.see("cat      ")
	c.see("my-app:app_1")
	c.see(prompt)
	c.press("st" + tab + tab)
	for _, word := range []string{"start", "status", "stop"} {
		c.see(word)
	}
	c.press("atus my-" + tab) // the common beginning of the candidates
	c.see("status my-app:")
	c.press("*" + enter)
	c.see("my-app:app_0                     RUNNING   pid ")
	c.see("my-app:app_1                     RUNNING   pid ")
	c.see(prompt)
	c.press("tail -f ca" + tab + enter)
	c.see("Ctrl-C to exit <==")
	c.see("hello")
	c.press(ctrlC)
	c.see(prompt)
	c.press("fg cat" + enter)
	c.see("hello")
	c.press("ping" + enter)
	c.see("ping") // echo of the keys
	c.see("ping") // the answer
	c.press(ctrlC)
	c.see("Exiting foreground")
	c.see(prompt)
	c.press("fg cat" + enter)
	c.see("hello")
	c.press("pong" + enter + ctrlC) // while the line is on its way
	c.see("Exiting foreground")
	c.see(prompt)
	c.leave()
	if !strings.HasSuffix(c.screen.text(), "\r\n") {
		t.Errorf("the shell must leave an empty line:\n%q", c.screen.text())
	}

	// A terminal that does not know its size: lines are read as they come.
	c = openTerminalOf(e, pty.Winsize{})
	c.see(prompt)
	c.press("fg cat" + enter)
	c.see("hello")
	c.press(ctrlC)
	c.see("Exiting foreground")
	c.see(prompt)
	c.leave()

	// The next session knows the last command of the first; Ctrl-C leaves.
	history, err := os.ReadFile(e.path("history"))
	if err != nil || !strings.Contains(string(history), "\nversion\n") || !strings.Contains(string(history), "tail -f cat") {
		t.Errorf("history %q, %v", history, err)
	}
	c = openTerminal(e)
	c.see(prompt)
	c.press(up + enter)
	c.see("version")
	c.see("4.")
	c.see(prompt)
	c.press(ctrlC)
	c.ends(0)

	// -r names another file (quirk E1).
	c = openTerminal(e, "-r", e.path("other"))
	c.see(prompt)
	c.press("pid" + enter)
	c.see(prompt)
	c.press("exit" + enter)
	c.ends(0)
	if other, err := os.ReadFile(e.path("other")); err != nil || string(other) != "pid\nexit\n" {
		t.Errorf("history of -r: %q, %v", other, err)
	}

	// A password is asked for and not shown.
	c = openTerminal(e, "-s", "http://127.0.0.1:"+e.port)
	c.see("Server requires authentication")
	c.see("Username:")
	c.press("me" + enter)
	c.see("Password:")
	c.press("secret" + enter)
	c.see("my-app:app_1")
	c.see(prompt)
	c.press("shutdown" + enter)
	c.see("Really shut the remote supervisord process down y/N? ")
	c.press("no" + enter)
	c.see(prompt)
	c.press("quit" + enter)
	c.ends(0)
	if strings.Contains(c.screen.text(), "secret") {
		t.Errorf("the password is on the screen:\n%s", c.screen.text())
	}
	e.wait("terminal", "daemon", "up")
	c = openTerminal(e, "-s", "http://127.0.0.1:"+e.port)
	c.see("Username:")
	c.press("me" + enter)
	c.see("Password:")
	c.press(ctrlC)
	c.ends(0)

	// fg without a shell: the terminal stays in its ordinary mode.
	c = openTerminal(e, "fg", "cat")
	c.see("hello")
	c.press("ding" + enter)
	c.see("ding") // echo of the keys
	c.see("ding") // the answer
	c.press(ctrlC)
	c.see("Exiting foreground")
	c.ends(0)

	// Ctrl-C ends a tail that is no part of a shell.
	c = openTerminal(e, "tail", "-f", "cat")
	c.see("hello")
	c.press(ctrlC)
	c.ends(0)
	if _, err := os.Stat(filepath.Join(e.dir, "history.new")); !os.IsNotExist(err) {
		t.Errorf("a temporary history is left: %v", err)
	}
}
