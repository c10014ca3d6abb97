package contract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// order is what to start and with what.
type order struct {
	path string
	args []string
	dir  string
	env  []string
	tty  *os.File // the terminal it shall have; nil: none, and three pipes
}

// running is a program in progress.
type running struct {
	pid    int
	stdin  *os.File // nil on a terminal
	stdout *watched // also of a terminal, when the caller copies it
	stderr *watched
	ended  chan struct{} // closed when the exit code is known
	code   int           // valid after ended; a signal that ended it is negative
	copied sync.WaitGroup
	pipes  []*os.File
}

// start starts one of our programs by exec, one of Debian's as a fork of a process that has imported it.
func (o order) start() (*running, error) {
	r := &running{stdout: &watched{}, stderr: &watched{}, ended: make(chan struct{})}
	files := [3]*os.File{o.tty, o.tty, o.tty}
	if o.tty == nil {
		var err error
		if files, err = r.connect(); err != nil {
			return nil, err
		}
		defer func() {
			for _, f := range files {
				_ = f.Close() // the child has its own
			}
		}()
	}
	var err error
	if forkable(o) {
		err = r.fork(o, files)
	} else {
		err = r.exec(o, files)
	}
	if err != nil {
		r.close()
		return nil, fmt.Errorf("cannot start %s: %w", o.path, err)
	}
	return r, nil
}

// connect makes pipes for the three descriptors and returns the child's ends.
func (r *running) connect() ([3]*os.File, error) {
	var child [3]*os.File
	for i := range child {
		read, write, err := os.Pipe()
		if err != nil {
			return child, err
		}
		if i == 0 {
			child[0], r.stdin = read, write
			continue
		}
		child[i] = write
		r.pipes = append(r.pipes, read)
		to := []*watched{1: r.stdout, 2: r.stderr}[i]
		r.copied.Go(func() { _, _ = io.Copy(to, read) }) // ends with the last writer, or when close gives up
	}
	return child, nil
}

func (r *running) exec(o order, files [3]*os.File) error {
	cmd := exec.Command(o.path, o.args...)
	cmd.Dir, cmd.Env = o.dir, o.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	// Without a terminal of its own it has none: passwords come from standard input.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: o.tty != nil}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // the code is what a session is about
		r.code = cmd.ProcessState.ExitCode()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			r.code = -int(status.Signal())
		}
		close(r.ended)
	}()
	return nil
}

// close gives up what is left of the pipes: children of a daemon may hold them open for ever.
func (r *running) close() {
	if r.stdin != nil {
		_ = r.stdin.Close() // a session may have closed it
	}
	done := make(chan struct{})
	go func() { r.copied.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	for _, p := range r.pipes {
		_ = p.Close()
	}
	<-done
}

// wait returns after the end of the program and its output; false if the context ends before, and the program with it.
func (r *running) wait(ctx context.Context) bool {
	ok := true
	select {
	case <-r.ended:
	case <-ctx.Done():
		ok = false
		_ = syscall.Kill(r.pid, syscall.SIGKILL)
		<-r.ended
	}
	r.close()
	return ok
}

// signal must not be used after ended is closed.
func (r *running) signal(s syscall.Signal) error { return syscall.Kill(r.pid, s) }

// zygote is a Python process whose forks are Debian's programs; the time of their imports would be most of the time of a session.
type zygote struct {
	requests *os.File // a datagram for each fork
	cmd      *exec.Cmd
}

var theZygote = sync.OnceValues(startZygote)

func startZygote() (*zygote, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "zygote"), os.NewFile(uintptr(pair[1]), "zygote")
	defer theirs.Close()
	cmd := exec.Command(debianPython, "testdata/python/zygote.py")
	cmd.Env = []string{"PATH=" + searchPath, "LC_ALL=" + locale, "PYTHONDONTWRITEBYTECODE=1"}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a fork leads a session of its own
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &zygote{requests: ours, cmd: cmd}, nil
}

// stopZygote ends the process, if it was started. Its forks are ended by the sessions that asked for them.
func stopZygote() {
	if z, err := theZygote(); err == nil {
		_ = z.requests.Close()
		_ = z.cmd.Wait()
	}
}

// forkable reports whether the zygote can stand for an exec: what Python reads from its environment at its start must be the same.
func forkable(o order) bool {
	if filepath.Dir(o.path) != filepath.Dir(debianDaemon) {
		return false
	}
	for _, pair := range o.env {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name == "PYTHONPATH", name == "PYTHONDONTWRITEBYTECODE", name == "LC_ALL" && value == locale:
		case strings.HasPrefix(name, "PYTHON"), strings.HasPrefix(name, "LC_"), name == "LANG":
			return false
		}
	}
	return true
}

func (r *running) fork(o order, files [3]*os.File) error {
	z, err := theZygote()
	if err != nil {
		return err
	}
	env := map[string]string{}
	for _, pair := range o.env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	request, err := json.Marshal(map[string]any{
		"argv": append([]string{o.path}, o.args...), "cwd": o.dir, "env": env, "tty": o.tty != nil,
	})
	if err != nil {
		return err
	}
	report, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	rights := syscall.UnixRights(int(files[0].Fd()), int(files[1].Fd()), int(files[2].Fd()), int(theirs.Fd()))
	err = syscall.Sendmsg(int(z.requests.Fd()), request, rights, nil, 0)
	_ = theirs.Close()
	if err != nil {
		_ = report.Close()
		return err
	}
	lines := bufio.NewReader(report)
	if r.pid, err = number(lines); err != nil {
		_ = report.Close()
		return errors.New("the process that forks Debian's programs has ended")
	}
	go func() {
		defer report.Close()
		r.code, _ = number(lines) // an error means that the zygote is gone; the next start reports it
		close(r.ended)
	}()
	return nil
}

func number(lines *bufio.Reader) (int, error) {
	line, err := lines.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}
