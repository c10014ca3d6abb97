package pidproxy

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes this binary a pidproxy when a test has started it as one.
func TestMain(m *testing.M) {
	if os.Getenv("BE_PIDPROXY") != "" {
		_ = os.Unsetenv("BE_PIDPROXY") // the name is valid
		os.Exit(Main(append([]string{"pidproxy"}, os.Args[1:]...)))
	}
	os.Exit(m.Run())
}

// run is a pidproxy at work.
type run struct {
	t   *testing.T
	cmd *exec.Cmd
	out *os.File
	dir string
}

// script writes an executable script into a directory of its own; $PIDFILE is the pid file in its text.
func script(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text = "#!/bin/sh\nexec 2>/dev/null\n" + strings.ReplaceAll(text, "$PIDFILE", filepath.Join(dir, "pid"))
	if err := os.WriteFile(filepath.Join(dir, "daemon"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, dir string, args ...string) *run {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	r := &run{t: t, dir: dir, out: out, cmd: exec.Command("/proc/self/exe", args...)}
	r.cmd.Dir = dir
	r.cmd.Env = append(os.Environ(), "BE_PIDPROXY=1")
	r.cmd.Stdout, r.cmd.Stderr = out, out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() }) // it has mostly ended
	return r
}

// printed returns what it has printed so far.
func (r *run) printed() string {
	r.t.Helper()
	text, err := os.ReadFile(r.out.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// until waits for a condition that only the file system shows.
func (r *run) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain: %s; printed %q", what, r.printed())
		}
	}
}

func (r *run) exists(name string) func() bool {
	return func() bool {
		_, err := os.Stat(filepath.Join(r.dir, name))
		return err == nil
	}
}

func (r *run) signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) want(code int, output string) {
	r.t.Helper()
	_ = r.cmd.Wait() // the code says it
	if got := r.cmd.ProcessState.ExitCode(); got != code || r.printed() != output {
		r.t.Errorf("exit code %d, want %d; printed %q, want %q", got, code, r.printed(), output)
	}
}

// forking is a daemon that goes to the background. It ends with 7 half a second after a TERM, notes other signals as files, and removes
// its pid file first, as most daemons do.
const forking = `
setsid sh -c '
trap "touch hup" HUP; trap "touch usr1" USR1
trap "rm pid; touch ending; read x <wait; exit 7" TERM
mkfifo wait 2>/dev/null
echo $$ >pid.tmp; mv pid.tmp pid
while :; do read x <wait || :; done' &
exit 0
`

func TestForkingDaemon(t *testing.T) {
	r := start(t, script(t, forking), "pid", "./daemon")
	r.until("the daemon writes its pid file", r.exists("pid"))
	for _, c := range []struct {
		sig  syscall.Signal
		file string
	}{{syscall.SIGHUP, "hup"}, {syscall.SIGUSR1, "usr1"}} {
		r.signal(c.sig)
		r.until("signal "+c.sig.String()+" arrives", r.exists(c.file))
	}
	r.signal(syscall.SIGTERM)
	r.until("the daemon begins to end", r.exists("ending"))
	// Now it waits for a line; the proxy must wait too.
	if err := r.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the proxy ended before the daemon: %v", err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "wait"), []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	r.want(7, "")
}

// TestDaemonDies checks that the proxy notices the end of a daemon that nobody asked to end.
func TestDaemonDies(t *testing.T) {
	r := start(t, script(t, "setsid sh -c 'echo $$ >pid.tmp; mv pid.tmp pid; mkfifo wait; touch ready; read x <wait; kill -KILL $$' &\nexit 0\n"), "pid", "./daemon")
	r.until("the daemon is ready", r.exists("ready"))
	if err := os.WriteFile(filepath.Join(r.dir, "wait"), []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	r.want(128+9, "")
}

// TestForeground has a command that stays, and the daemon as its child, as mysqld_safe does.
func TestForeground(t *testing.T) {
	r := start(t, script(t, "sh -c 'echo $$ >pid.tmp; mv pid.tmp pid; exec sleep 1000' &\nwait $!\nexit 5\n"), "pid", "./daemon")
	r.until("the daemon writes its pid file", r.exists("pid"))
	r.signal(syscall.SIGINT) // ignored by what sh starts in the background
	r.signal(syscall.SIGTERM)
	r.want(5, "")
}

// TestUnreadable has a pid file that names nothing: the proxy says so and stays.
func TestUnreadable(t *testing.T) {
	for _, content := range []string{"", "nothing", "0", "-1"} {
		dir := script(t, "mkfifo wait; touch ready; read x <wait; exit 3\n")
		if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, dir, "pid", "./daemon")
		r.until("the command is ready", r.exists("ready"))
		r.signal(syscall.SIGTERM)
		const text = "Can't read child pidfile pid!\n"
		r.until("it says so", func() bool { return r.printed() == text })
		if err := os.WriteFile(filepath.Join(dir, "wait"), []byte("\n"), 0); err != nil {
			t.Fatal(err)
		}
		r.want(3, text)
	}
}

func TestCommands(t *testing.T) {
	dir := script(t, "echo $0; exit $1\n")
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	text := strings.ReplaceAll(usage, "%s", "pidproxy")
	for _, c := range []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"its code", []string{"pid", "./daemon", "4"}, 4, filepath.Join(dir, "daemon") + "\n"},
		{"of the PATH", []string{"pid", "daemon", "0"}, 0, filepath.Join(dir, "daemon") + "\n"},
		{"of the directory", []string{"pid", "sh", "0"}, 9, ""},
		{"missing", []string{"pid", "nonesuch"}, 127, "pidproxy: cannot run nonesuch: exec: \"nonesuch\": executable file not found in $PATH\n"},
		{"not executable", []string{"pid", "./pid"}, 126, "pidproxy: cannot run ./pid: permission denied\n"},
		{"no command", []string{"pid"}, 1, text},
		{"nothing", nil, 1, text},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "pid"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if c.name == "of the directory" {
				// compat: a file of the working directory comes first, as Supervisor knows no PATH.
				if err := os.WriteFile(filepath.Join(dir, "sh"), []byte("#!/bin/dash\nexit 9\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			start(t, dir, c.args...).want(c.code, c.out)
		})
	}
}

// TestReplaced has a daemon that gives its place to another.
func TestReplaced(t *testing.T) {
	// The first names its successor in the pid file and ends, as nginx does for an upgrade.
	r := start(t, script(t, `
setsid sh -c '
echo $$ >pid.tmp; mv pid.tmp pid; mkfifo wait; touch ready; read x <wait
sh -c "echo \$\$ >pid.tmp; mv pid.tmp pid; exec sleep 1000" &
while [ "$(cat pid)" = $$ ]; do :; done
exit 0' &
exit 0
`), "pid", "./daemon")
	r.until("the first daemon is ready", r.exists("ready"))
	first := r.pid()
	if err := os.WriteFile(filepath.Join(r.dir, "wait"), []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	r.until("the second daemon belongs to the proxy", func() bool { pid := r.pid(); return pid != first && parentOf(pid) == r.cmd.Process.Pid })
	r.signal(syscall.SIGTERM)
	r.want(128+15, "")
}

func (r *run) pid() int {
	text, err := os.ReadFile(filepath.Join(r.dir, "pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// TestAsSupervisors compares what both programs say: how they are called, and that a pid file cannot be read.
func TestAsSupervisors(t *testing.T) {
	const reference = "/usr/bin/pidproxy"
	if _, err := os.Stat(reference); err != nil {
		t.Skip("hidden: the comparison of pidproxy's words with the original's, because Debian's supervisor is not installed")
	}
	usageOf := func(cmd *exec.Cmd) (line string, code int) {
		out, _ := cmd.Output() // the code says it
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return strings.ReplaceAll(lines[len(lines)-1], reference, "pidproxy"), cmd.ProcessState.ExitCode()
	}
	for _, args := range [][]string{nil, {"pidfile"}} {
		own := exec.Command("/proc/self/exe", args...)
		own.Env = append(os.Environ(), "BE_PIDPROXY=1")
		line, code := usageOf(own)
		if theirs, theirCode := usageOf(exec.Command(reference, args...)); line != theirs || code != theirCode {
			t.Errorf("%q: %q, exit %d; Supervisor's: %q, exit %d", args, line, code, theirs, theirCode)
		}
	}

	var said []string
	for _, own := range []bool{true, false} {
		dir := script(t, ">ready\nexec sleep 1000\n")
		cmd := exec.Command(reference, "pid", "./daemon")
		if own {
			cmd = exec.Command("/proc/self/exe", "pid", "./daemon")
			cmd.Env = append(os.Environ(), "BE_PIDPROXY=1")
		}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := &run{t: t, dir: dir}
		r.until("the command runs", r.exists("ready"))
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		said = append(said, line)
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("it has ended: %v", err)
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // a group of its own: the proxy and its command
		_ = cmd.Wait()
	}
	if said[0] != said[1] {
		t.Errorf("ours says %q, Supervisor's %q", said[0], said[1])
	}
}
