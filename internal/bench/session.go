package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// session is one daemon on a configuration of its own, from its start to its end.
type session struct {
	dir    string
	conf   string
	socket string
	stamps *stamps
	cmd    *exec.Cmd
	began  time.Duration // monotonic time just before the daemon was started
	done   chan struct{} // closed when the daemon has been waited for
	gone   time.Duration // monotonic time at that moment
}

// version asks a daemon for its version.
func version(daemon string) (string, error) {
	out, err := exec.Command(daemon, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("cannot run %s --version: %v", daemon, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// newSession starts the daemon of c with the given program section, in which FIFO and LOGS stand for the places of this session.
func (b *bench) newSession(c *contender, program string) (*session, error) {
	b.sessions++
	s := &session{dir: filepath.Join(b.dir, fmt.Sprintf("s%d", b.sessions)), done: make(chan struct{})}
	s.conf, s.socket = filepath.Join(s.dir, "supervisord.conf"), filepath.Join(s.dir, "s.sock")
	logs, fifo := filepath.Join(s.dir, "logs"), filepath.Join(s.dir, "fifo")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user=root\n"
	}
	// minfds: a child costs up to six descriptors.
	conf := fmt.Sprintf(`[supervisord]
nodaemon=true
silent=true
logfile=%[1]s/supervisord.log
logfile_maxbytes=0
pidfile=%[1]s/supervisord.pid
childlogdir=%[2]s
minfds=8000
%[3]s
[unix_http_server]
file=%[4]s

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%[4]s

%[5]s`, s.dir, logs, user, s.socket, strings.NewReplacer("FIFO", fifo, "LOGS", logs).Replace(program))
	if err := os.WriteFile(s.conf, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	var err error
	if s.stamps, err = newStamps(fifo); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(c.daemon, "-n", "-c", s.conf)
	s.cmd.Dir = s.dir
	stderr, err := os.Create(filepath.Join(s.dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	s.cmd.Stderr = stderr
	s.began = monotonic()
	if err := s.cmd.Start(); err != nil {
		s.stamps.close()
		return nil, fmt.Errorf("cannot start %s: %v", c.daemon, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended shows in what was measured; that it ended is what counts
		s.gone = monotonic()
		close(s.done)
	}()
	return s, nil
}

// stop ends the daemon with SIGTERM and returns how long it took to be gone, its children included.
func (s *session) stop(ctx context.Context) (time.Duration, error) {
	t0 := monotonic()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("cannot stop the daemon: %v", err)
	}
	select {
	case <-s.done:
		return s.gone - t0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(2 * time.Minute):
		return 0, errors.New("the daemon is still there 2 minutes after SIGTERM")
	}
}

// close makes sure that nothing of the session is left: the daemon ends, by SIGKILL if it must, and so do children it left behind.
func (s *session) close() {
	type proc struct {
		pid   int
		start string
	}
	var kids []proc
	for _, pid := range children(s.cmd.Process.Pid) {
		if start, err := startTime(pid); err == nil {
			kids = append(kids, proc{pid, start})
		}
	}
	select {
	case <-s.done:
	default:
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(20 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	for _, k := range kids {
		if start, err := startTime(k.pid); err == nil && start == k.start {
			_ = syscall.Kill(k.pid, syscall.SIGKILL)
		}
	}
	s.stamps.close()
	os.RemoveAll(s.dir)
}

// running waits until the activity log tells of n processes that entered RUNNING. Unlike a request it costs the daemon nothing.
func (s *session) running(ctx context.Context, n int) error {
	limit := time.After(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(filepath.Join(s.dir, "supervisord.log"))
		if err == nil && bytes.Count(text, []byte(" entered RUNNING state")) >= n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return s.trouble("the daemon ended before its processes were RUNNING")
		case <-limit:
			return s.trouble("the processes are not RUNNING after 2 minutes")
		}
	}
}

// trouble is an error with the end of what the daemon wrote.
func (s *session) trouble(text string) error {
	stderr, _ := os.ReadFile(filepath.Join(s.dir, "stderr"))
	log, _ := os.ReadFile(filepath.Join(s.dir, "supervisord.log"))
	tail := func(b []byte) []byte { return b[max(0, len(b)-2000):] }
	return fmt.Errorf("%s\nstderr: %s\nlog: %s", text, tail(stderr), tail(log))
}

// wait lets d pass.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
