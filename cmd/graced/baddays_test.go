package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// badDay starts our daemon for a test in which something around it breaks.
func badDay(t *testing.T, prefix, conf string, args ...string) (*side, *client.Client) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, bin: filepath.Join(bin, "supervisord"), dir: t.TempDir()}
	s.conf(conf)
	s.command(prefix, append([]string{"-n", "-s", "-c", "s.conf"}, args...)...)
	s.launch()
	s.until("the pid file", func() bool { return strings.HasSuffix(s.read("s.pid"), "\n") })
	c, err := client.New("unix://"+s.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// finish ends the daemon in order.
func (s *side) finish() {
	s.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 || s.err.String() != "" {
		s.Errorf("exit %d, errors %q", code, s.err.String())
	}
}

// TestFewDescriptors starts more processes than there are descriptors for. Those that cannot start say so and try again; the others go
// on, and what is stopped makes room.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	const program = "[program:%s]\ncommand=sleep 1000\nprocess_name=%%(program_name)s_%%(process_num)02d\nnumprocs=%d\npriority=%d\nstartsecs=0\n" +
		"startretries=1000\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
	s, c := badDay(t, "ulimit -n 100", fmt.Sprintf(program, "first", 20, 1)+fmt.Sprintf(program, "late", 15, 2), "-a", "50")
	states := func() (running, backoff int) {
		list, err := c.Processes(t.Context())
		if err != nil {
			return 0, 0 // no descriptor for the connection either
		}
		for _, p := range list {
			switch {
			case p.State == process.Running:
				running++
			case p.State == process.Backoff && p.SpawnErr == "too many open files to spawn '"+p.Name+"'":
				backoff++
			case p.State != process.Starting:
				t.Errorf("%s is %v: %s", p.Name, p.State, p.SpawnErr)
			}
		}
		return running, backoff
	}
	s.logs("spawnerr: too many open files to spawn 'late_", 1)
	s.until("the daemon answers", func() bool { running, _ := states(); return running > 0 })
	if _, err := c.Stop(t.Context(), control.Target{Name: "first", Group: true}, true); err != nil {
		t.Fatal(err)
	}
	s.until("everybody else runs", func() bool {
		list, err := c.Processes(t.Context())
		if err != nil {
			return false
		}
		for _, p := range list {
			if p.Group == "late" && p.State != process.Running {
				return false
			}
		}
		return true
	})
	s.finish()
}

// restart stops and starts the program p: supervision goes on.
func restart(t *testing.T, c *client.Client) {
	t.Helper()
	for _, do := range []func() error{
		func() error { _, err := c.Stop(t.Context(), control.Target{Name: "p"}, true); return err },
		func() error { _, err := c.Start(t.Context(), control.Target{Name: "p"}, true); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

const calm = "[program:p]\ncommand=sleep 1000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n"

// TestLogDirectoryRemoved takes the main log's directory away and brings it back.
func TestLogDirectoryRemoved(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, bin: filepath.Join(bin, "supervisord"), dir: t.TempDir()}
	logs := s.path("logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	s.conf(calm)
	s.command("", "-n", "-s", "-c", "s.conf", "-l", "logs/s.log")
	s.launch()
	s.until("the start", func() bool { return strings.Contains(s.read("logs/s.log"), "success: p") })
	c, err := client.New("unix://"+s.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(logs); err != nil {
		t.Fatal(err)
	}
	restart(t, c)
	s.signal(syscall.SIGUSR2) // now it notices
	s.until("the loss is told", func() bool { return strings.Contains(s.err.String(), "cannot write log") })
	restart(t, c)
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	restart(t, c)
	s.until("the log is back", func() bool { return strings.Contains(s.read("logs/s.log"), "success: p") })
	if log := s.read("logs/s.log"); !strings.Contains(log, "log lines were dropped because the log could not be written") {
		t.Errorf("the log says\n%s", log)
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestLogDiskFull fills the disk that the main log is on, and makes room again.
func TestLogDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: a main log on a full disk, because only root can mount a small disk")
	}
	if out, err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("hidden: a main log on a full disk, because this needs the privilege to mount a small disk: %s", out)
	}
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, bin: filepath.Join(bin, "supervisord"), dir: t.TempDir()}
	if err := os.Mkdir(s.path("small"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.conf(calm)
	s.command("mount -t tmpfs -o size=64k none small", "-n", "-s", "-c", "s.conf", "-l", "small/s.log")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	s.launch()
	small := fmt.Sprintf("/proc/%d/root%s", s.pid, s.path("small"))
	log := func() string {
		text, err := os.ReadFile(filepath.Join(small, "s.log"))
		if err != nil {
			return ""
		}
		return string(text)
	}
	s.until("the start", func() bool { return strings.Contains(log(), "success: p") })
	c, err := client.New("unix://"+s.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(small, "filler"), make([]byte, 64<<10), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	for range 40 { // more than the page that the log has already
		restart(t, c)
	}
	s.until("the loss is told", func() bool { return strings.Contains(s.err.String(), "cannot write log") })
	if err := os.Remove(filepath.Join(small, "filler")); err != nil {
		t.Fatal(err)
	}
	restart(t, c)
	s.until("the log works again", func() bool {
		return strings.Contains(log(), "log lines were dropped because the log could not be written")
	})
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestPidproxy stops a daemon that went to the background by itself: the stop is over when that daemon is gone.
func TestPidproxy(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, bin: filepath.Join(bin, "supervisord"), dir: t.TempDir()}
	s.write("p.sh", "setsid sh daemon.sh &\n")
	s.write("daemon.sh", "sleep 1000 &\ntrap 'rm p.pid; kill $!; wait; sleep 0.3; >down; exit 0' TERM\necho $$ >tmp; mv tmp p.pid\nwait\n")
	s.conf("[program:p]\ncommand=" + bin + "/pidproxy p.pid sh p.sh\nstartsecs=0\nexitcodes=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
	s.command("", "-n", "-s", "-c", "s.conf")
	s.launch()
	s.until("the daemon is up", func() bool { return s.read("p.pid") != "" })
	c, err := client.New("unix://"+s.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stop(t.Context(), control.Target{Name: "p"}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path("down")); err != nil {
		t.Errorf("the stop did not wait for the daemon: %v", err)
	}
	s.logs("stopped: p (exit status 0)", 1)
	s.finish()
}
