package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
)

// stage is the demo's world: a directory, a daemon in it, and a client of each.
type stage struct {
	dir, binary string
	keep        bool // leave the daemon running at the end
	daemon      *exec.Cmd
	exited      chan error
	client      *client.Client
	asker       asker
	base        map[string]control.ProcessInfo // the workers of the start
	third       int                            // pid of the worker that comes and goes
	logSummary  string
}

// newStage makes the directory and puts a copy of the running binary into it, so that workers can still be started when a temporary
// build of it is gone.
func newStage(ctx context.Context, keep bool) (*stage, error) {
	dir, err := os.MkdirTemp("", "graced-demo-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a directory for the demo: %w", err)
	}
	s := &stage{dir: dir, keep: keep, binary: filepath.Join(dir, "graced"), logSummary: "not counted"}
	if err := copyExecutable(s.binary); err != nil {
		_ = os.RemoveAll(dir) // the first error is the one to tell
		return nil, fmt.Errorf("cannot copy the binary: %w", err)
	}
	return s, ctx.Err()
}

func copyExecutable(to string) error {
	from, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (s *stage) socket(worker string) string { return filepath.Join(s.dir, worker+".sock") }

func (s *stage) writeConfig(numprocs, priority int, extra string) error {
	text := render(s.dir, s.binary, numprocs, priority, extra)
	return os.WriteFile(filepath.Join(s.dir, "supervisord.conf"), []byte(text), 0o644)
}

// startDaemon starts graced in the foreground, as its own process, and waits until it answers.
func (s *stage) startDaemon(ctx context.Context) error {
	if err := s.writeConfig(2, 999, ""); err != nil {
		return err
	}
	s.daemon = exec.Command(s.binary, "-n", "-s", "-c", filepath.Join(s.dir, "supervisord.conf"))
	s.daemon.Dir = s.dir
	s.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends the demo, which then ends the daemon in order
	output, err := os.Create(filepath.Join(s.dir, "graced.out"))
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }() // the daemon has its own descriptor
	s.daemon.Stdout, s.daemon.Stderr = output, output
	if err := s.daemon.Start(); err != nil {
		return fmt.Errorf("cannot start the daemon: %w", err)
	}
	s.exited = make(chan error, 1)
	go func() { s.exited <- s.daemon.Wait() }()

	if s.client, err = client.New("unix://"+filepath.Join(s.dir, "graced.sock"), "", ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if _, err = s.client.Daemon(ctx); err == nil {
			return nil
		}
		select {
		case exit := <-s.exited:
			s.exited <- exit
			return fmt.Errorf("the daemon ended at once: %w", exit)
		case <-ctx.Done():
			return fmt.Errorf("the daemon does not answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// countLines ends the workers' writing by stopping them, and looks for every line in their logs.
func (s *stage) countLines(ctx context.Context) (string, string, error) {
	s.asker.stop()
	asked := s.asker.verdict()
	if _, err := s.client.Stop(ctx, control.Target{All: true}, true); err != nil {
		return "", "", err
	}
	written, found := 0, 0
	var errs []error
	for _, worker := range []string{"web_0", "web_1", "web_2"} {
		w, f, err := countLog(filepath.Join(s.dir, worker+".log"), worker)
		written, found = written+w, found+f
		errs = append(errs, err)
	}
	s.logSummary = fmt.Sprintf("%d lines written, %d found", written, found)
	if s.keep {
		_, err := s.client.Start(ctx, control.Target{All: true}, true)
		errs = append(errs, err)
	}
	return s.logSummary, "-", errors.Join(append(errs, asked, expect("lines found", found, written))...)
}

var logLine = regexp.MustCompile(`^(\S+) pid (\d+) line (\d+)(?: of (\d+))?$`)

// countLog checks that each process of a worker wrote the lines 1 to n, each once and in order, n being the number in its last line.
func countLog(path, worker string) (written, found int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }() // only read
	last := map[string]int{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		m := logLine.FindStringSubmatch(sc.Text())
		if m == nil || m[1] != worker {
			return written, found, fmt.Errorf("%s: unexpected line %q", path, sc.Text())
		}
		n, _ := strconv.Atoi(m[3]) // digits, by the expression
		if n != last[m[2]]+1 {
			return written, found, fmt.Errorf("%s: pid %s\n  expected line %d\n  got      line %d", path, m[2], last[m[2]]+1, n)
		}
		last[m[2]] = n
		found++
		if m[4] != "" {
			total, _ := strconv.Atoi(m[4]) // digits, by the expression
			written += total
		}
	}
	return written, found, nil
}

// daemonLog returns the last lines of what the daemon said.
func (s *stage) daemonLog() string {
	var all []string
	for _, name := range []string{"graced.out", "graced.log"} {
		if b, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil {
			all = append(all, strings.Split(strings.TrimSpace(string(b)), "\n")...)
		}
	}
	return "    " + strings.Join(all[max(0, len(all)-15):], "\n    ")
}

// close ends the daemon, by TERM and after 15 s by KILL, and removes the directory; with keep it leaves both alone.
func (s *stage) close() {
	s.asker.stop()
	if s.keep && s.exited != nil {
		return
	}
	if s.exited != nil {
		_ = s.daemon.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		select {
		case <-s.exited:
		case <-time.After(15 * time.Second):
			_ = s.daemon.Process.Kill() // likewise
			<-s.exited
		}
	}
	_ = os.RemoveAll(s.dir) // what is left in the temporary directory harms nobody
}

// alive reports whether a process with this pid exists.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
