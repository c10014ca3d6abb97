package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// binaries are built once for all tests of the package.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "graced-bin-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for tests with other users
		return dir, err
	}
	for _, name := range []string{"graced", "gracectl"} {
		out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), "../../cmd/"+name).CombinedOutput()
		if err != nil {
			return dir, fmt.Errorf("go build %s: %v\n%s", name, err, out)
		}
	}
	return dir, errors.Join(os.Symlink("graced", filepath.Join(dir, "supervisord")), os.Symlink("graced", filepath.Join(dir, "echo_supervisord_conf")),
		os.Symlink("graced", filepath.Join(dir, "pidproxy")), os.Symlink("gracectl", filepath.Join(dir, "supervisorctl")))
})

func TestMain(m *testing.M) {
	host.Init()
	if socket := os.Getenv(soakEnv); socket != "" {
		os.Exit(soakDaemon(socket))
	}
	if os.Getenv(speakerEnv) != "" {
		os.Exit(speak())
	}
	if os.Getenv(workerEnv) != "" {
		os.Exit(rollWorker())
	}
	if os.Getenv(servantEnv) != "" {
		os.Exit(serve())
	}
	if use := uses[os.Getenv(useEnv)]; use != nil {
		os.Exit(use())
	}
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir) // what is left in the temporary directory harms nobody
	}
	os.Exit(code)
}

// rig is a real daemon in a directory of its own.
type rig struct {
	t      *testing.T
	dir    string
	bin    string
	cmd    *exec.Cmd
	extra  []*os.File // what the daemon gets, from descriptor 3 on
	behind bool       // in the background, under Supervisor's name
	exited chan error
	*client.Client
}

// newRig writes the configuration and starts graced in the foreground.
func newRig(t *testing.T, conf string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.launch(nil, conf)
	return r
}

// launch does the same in a directory that may hold files already. wrap is the command that runs the daemon; nil = none.
func (r *rig) launch(wrap []string, conf string) {
	t := r.t
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	r.bin, r.exited = bin, make(chan error, 1)
	r.write(conf)
	argv := append(wrap, filepath.Join(bin, "graced"), "-n", "-s", "-c", filepath.Join(r.dir, "s.conf"))
	if r.behind {
		argv = append(wrap, filepath.Join(bin, "supervisord"), "-c", filepath.Join(r.dir, "s.conf"))
	}
	r.cmd = exec.Command(argv[0], argv[1:]...)
	var out bytes.Buffer
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.ExtraFiles = &out, &out, r.extra
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.exited <- r.cmd.Wait() }()
	t.Cleanup(func() {
		r.end()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(r.dir, "s.log")) // it may not exist
			lines := strings.Split(string(log), "\n")
			t.Logf("output: %s\nend of the log:\n%s", out.String(), strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	if r.Client, err = client.New("unix://"+filepath.Join(r.dir, "s.sock"), "", ""); err != nil {
		t.Fatal(err)
	}
	r.until("the daemon answers", func() bool { _, err := r.Daemon(t.Context()); return err == nil })
}

// startAgain starts graced once more as at first, after its end. What it prints goes to out; nil: nowhere.
func (r *rig) startAgain(out io.Writer) {
	r.t.Helper()
	cmd, exited := exec.Command(r.cmd.Path, r.cmd.Args[1:]...), make(chan error, 1)
	cmd.Stdout, cmd.Stderr = out, out
	r.must(cmd.Start())
	go func() { exited <- cmd.Wait() }()
	r.cmd, r.exited = cmd, exited
}

// end shuts the daemon down, once.
func (r *rig) end() error {
	if pid := r.keeperPID(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // likewise
	defer killMates(r.dir)                    // if the keeper was killed there was another
	deadline := time.After(30 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); ; {
		select {
		case <-tick:
			if len(mates(r.dir)) > 0 {
				continue
			}
			err := <-r.exited
			r.exited <- err
			return err
		case <-deadline:
			return errors.New("the daemon did not end within 30 s of TERM")
		}
	}
}

func (r *rig) write(conf string) {
	r.t.Helper()
	text := "[unix_http_server]\nfile=%(here)s/s.sock\n[supervisord]\nlogfile=%(here)s/s.log\npidfile=%(here)s/s.pid\nchildlogdir=%(here)s\n" +
		"[supervisorctl]\nserverurl=unix://%(here)s/s.sock\n" +
		"[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n" + conf
	if err := os.WriteFile(filepath.Join(r.dir, "s.conf"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a condition that the daemon offers no event for.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("waited 60 s in vain: %s", what)
		case err := <-r.exited:
			r.exited <- err
			if !r.nobody() {
				<-tick.C // another keeper has taken its place
				continue
			}
			r.t.Fatalf("the daemon ended while this was waited for: %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// ctl runs gracectl and returns its output and exit code.
func (r *rig) ctl(name string, args ...string) (string, int) {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.bin, name), append([]string{"-c", filepath.Join(r.dir, "s.conf")}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// infos asks for all processes, by name.
func (r *rig) infos() map[string]control.ProcessInfo {
	r.t.Helper()
	var list []control.ProcessInfo
	r.until("the daemon answers", func() (ok bool) { // one that restarts does not
		var err error
		list, err = r.Processes(r.t.Context())
		return err == nil
	})
	out := map[string]control.ProcessInfo{}
	for _, p := range list {
		out[p.Name] = p
	}
	return out
}

// hundred is a program whose members behave by their number: 107 fails at once, 106 ignores TERM.
func hundred(n int) string {
	return fmt.Sprintf(`[program:foo]
command=/bin/sh -c 'case %%(process_num)s in 107) exit 3;; 106) trap "" TERM;; esac; exec sleep 1000'
process_name=%%(program_name)s_%%(process_num)s
numprocs=%d
stopwaitsecs=2
startretries=0
stdout_logfile=NONE
stderr_logfile=NONE
`, n)
}

// TestHundred grows and shrinks a group of real processes: 100 to 110 to 90 to 100. At the shrinking one surplus process is stopped
// already, one has given up, one ignores TERM. No process that stays is ever touched.
func TestHundred(t *testing.T) {
	r := newRig(t, hundred(100))
	running := func(n int) func() bool {
		return func() bool {
			count := 0
			for _, p := range r.infos() {
				if p.State == process.Running {
					count++
				}
			}
			return count == n
		}
	}
	r.until("100 processes run", running(100))
	base := r.infos()
	kept := func(when string, n int) {
		t.Helper()
		now := r.infos()
		for i := range n {
			name := fmt.Sprintf("foo_%d", i)
			if now[name].PID != base[name].PID || base[name].PID == 0 || now[name].State != process.Running {
				t.Errorf("%s: %s is %+v, was pid %d", when, name, now[name], base[name].PID)
			}
		}
	}

	r.write(hundred(110))
	out, code := r.ctl("gracectl", "grace_update", "foo")
	want := ""
	for i := 100; i < 110; i++ {
		want += fmt.Sprintf("foo:foo_%d added\n", i)
	}
	if out != want || code != 0 {
		t.Errorf("100 to 110: exit %d, printed\n%swant\n%s", code, out, want)
	}
	r.until("109 processes run and foo_107 has given up", func() bool { return running(109)() && r.infos()["foo_107"].State == process.Fatal })
	kept("after 110", 100)
	if out, code := r.ctl("gracectl", "grace_update", "foo"); out != "No need to update\n" || code != 0 {
		t.Errorf("again: exit %d %q", code, out)
	}
	if out, _ := r.ctl("supervisorctl", "reread"); out != "No config updates to processes\n" {
		t.Errorf("reread after growing past ten members: %q", out)
	}

	if out, code := r.ctl("supervisorctl", "stop", "foo:foo_108"); code != 0 {
		t.Errorf("stop: exit %d %s", code, out)
	}
	r.write(hundred(90))
	out, code = r.ctl("supervisorctl", "grace_update", "foo")
	want = ""
	for _, verb := range []string{"stoped", "removed"} {
		for i := 90; i < 110; i++ {
			if verb == "removed" || i != 107 && i != 108 { // these two had stopped before
				want += fmt.Sprintf("foo:foo_%d %s\n", i, verb)
			}
		}
	}
	if out != want || code != 0 {
		t.Errorf("110 to 90: exit %d, printed\n%swant\n%s", code, out, want)
	}
	if n := len(r.infos()); n != 90 {
		t.Errorf("%d processes after the answer, want 90", n)
	}
	kept("after 90", 90)

	// A refusal, a broken file: nothing happens.
	r.write(strings.Replace(hundred(95), "stopwaitsecs=2", "stopwaitsecs=3", 1))
	if out, code := r.ctl("gracectl", "grace_update", "foo"); !strings.HasPrefix(out, "Not only numprocs has changed\n") || code != 11 {
		t.Errorf("refusal: exit %d %q", code, out)
	}
	r.write(hundred(95) + "startsecs=soon\n")
	if out, code := r.ctl("gracectl", "grace_update", "foo"); !strings.Contains(out, "error[E111]: \"soon\" is not a value of startsecs") || code != 1 {
		t.Errorf("broken file: exit %d %q", code, out)
	}
	kept("after refusals", 90)

	r.write(hundred(100))
	if out, code := r.ctl("gracectl", "grace_update", "foo"); strings.Count(out, " added\n") != 10 || code != 0 {
		t.Errorf("90 to 100: exit %d %q", code, out)
	}
	r.until("100 processes run again", running(100))
	kept("after 100", 90)
	if err := r.end(); err != nil {
		t.Errorf("the daemon's end: %v", err)
	}
}

// TestClientKilled kills the client while surplus is being stopped, then asks with two clients at once.
func TestClientKilled(t *testing.T) {
	r := newRig(t, hundred(108))
	r.until("107 processes run", func() bool {
		infos := r.infos()
		count := 0
		for _, p := range infos {
			if p.State == process.Running {
				count++
			}
		}
		return count == 107
	})
	base := r.infos()
	r.write(hundred(100))
	client := exec.Command(filepath.Join(r.bin, "gracectl"), "-c", filepath.Join(r.dir, "s.conf"), "grace_update", "foo")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("foo_106, which ignores TERM, is being stopped", func() bool { return r.infos()["foo_106"].State == process.Stopping })
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := client.Wait(); err == nil {
		t.Error("the client ended before it was killed")
	}

	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			out, code := r.ctl("gracectl", "grace_update", "foo")
			if code != 0 || out != "No need to update\n" && !strings.HasSuffix(out, "foo:foo_106 removed\n") {
				t.Errorf("a client that asks again: exit %d %q", code, out)
			}
		})
	}
	wg.Wait()
	now := r.infos()
	if len(now) != 100 {
		t.Errorf("%d processes, want 100", len(now))
	}
	for name, p := range now {
		if p.PID != base[name].PID {
			t.Errorf("%s has pid %d, had %d", name, p.PID, base[name].PID)
		}
	}
}

// TestDemo runs the demo as a user does, and checks that its rows can fail.
func TestDemo(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(bin, "graced"), "demo", "--json").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(`"passed": true`)) {
		t.Errorf("graced demo: %v\n%s", err, out)
	}
	if out, err := exec.Command(filepath.Join(bin, "graced"), "demo", "--nope").CombinedOutput(); err == nil || !bytes.Contains(out, []byte(`unknown argument "--nope"`)) {
		t.Errorf("an unknown argument: %v\n%s", err, out)
	}
}
