package host

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

const (
	// runOutput is how much of the end of a command's output is kept.
	runOutput = 4 << 10
	// runGrace is how long the output is waited for once the command has ended: what it has left behind may hold it open.
	runGrace = 100 * time.Millisecond
)

// Run runs a command as the process of a spec would be run: its user, directory and environment, in a process group of its own, without input. It returns
// the end of what the command writes; the error says how it ended unless that was with 0. When ctx ends the whole group is killed, and so is the command
// when this process dies; what it has started ends when another daemon follows. Where this process reaps all its children, without a keeper, it cannot be used.
func (h *Local) Run(ctx context.Context, spec *process.Spec, environ []string, command string) (output []byte, err error) {
	file, argv, cerr := resolve(command, environPath(environ))
	if cerr != nil {
		return nil, cerr
	}
	var user forkJob
	if spec.UID != process.UnsetID {
		if user.setUser(spec.UID, &h.users); user.userError != "" {
			return nil, errors.New(user.userError)
		}
	}
	out := &ending{}
	c := exec.CommandContext(ctx, file)
	c.Args, c.Env, c.Dir, c.Stdout, c.Stderr, c.WaitDelay = argv, environ, spec.Directory, out, out, runGrace
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: user.cred, Pdeathsig: syscall.SIGKILL}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGKILL) }
	runtime.LockOSThread() // the death signal comes when the thread ends
	defer runtime.UnlockOSThread()
	if err := c.Start(); err != nil {
		return nil, err
	}
	place := h.runs.begin(c.Process.Pid)
	err = c.Wait()
	h.runs.end(place)
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has ended with 0
	case errors.As(err, &exit):
		err = errors.New(exitStatus(unix.WaitStatus(exit.Sys().(syscall.WaitStatus))).String()) //nolint:forcetypeassert // on this system it is one
	}
	return out.data, err
}

// ending keeps the end of what is written to it.
type ending struct{ data []byte }

// Write implements io.Writer.
func (e *ending) Write(data []byte) (int, error) {
	e.data = append(e.data, data[max(0, len(data)-runOutput):]...)
	if over := len(e.data) - runOutput; over > 0 {
		e.data = append(e.data[:0], e.data[over:]...)
	}
	return len(data), nil
}
