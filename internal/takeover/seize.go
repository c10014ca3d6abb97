package takeover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// Without a deadline Seize gives up after patience. A supervisord whose processes flood it with output is seldom found waiting.
const patience = 10 * time.Second

// ErrChanged says that supervisord is not any more as it was inspected: it has to be inspected again.
var ErrChanged = errors.New("supervisord has changed since it was inspected")

// Reasons to let supervisord go on and to try again, the more telling ones last.
var (
	errRunning = errors.New("it did not stop when it was told to")
	errBusy    = errors.New("it was at work whenever it was stopped")
	errSignal  = errors.New("a signal waited for it whenever it was stopped")
	errClient  = errors.New("a client was connected whenever it was stopped")

	passing = []error{errRunning, errBusy, errSignal, errClient}
)

// Taken is what was taken from a supervisord, which is stopped until Commit or Abort. Should this process die before, it goes on as if nothing had been.
// Afterwards the descriptors belong to the caller.
type Taken struct {
	Processes []TakenProcess // in the order of the plan
	Sockets   []TakenSocket

	supervisord *host.Foreign
	tracer      *tracer // of supervisord; nil = it is not stopped
}

// TakenProcess is a process with our own descriptors of it, -1 where the plan has none. They do not block.
type TakenProcess struct {
	Name                  process.Namespec
	Process               *host.Foreign
	Stdin, Stdout, Stderr int
	Waiting               bool // it waits for its standard input, and nothing is on the way: a listener that does is READY
}

// TakenSocket is a socket that supervisord listens on with our own descriptor of it, -1 where it could not be taken and has to be opened anew.
type TakenSocket struct {
	Socket Socket
	FD     int
}

// Seize stops supervisord at a moment when its memory holds nothing of its processes' output, and takes what the plan lists. The error is a
// *Refused, ErrChanged, that of the context, or tells what was in the way for so long; supervisord then goes on as if nothing had been. A caller that is the
// parent of supervisord must not wait for it meanwhile: it would be told of the stop, as of an end.
func Seize(ctx context.Context, plan *Plan) (taken *Taken, err error) {
	if err := plan.Refusal(); err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience, errPatience)
		defer cancel()
	}
	t := &Taken{}
	defer func() {
		if taken == nil {
			t.Abort()
		}
	}()
	if err := t.hold(plan); err != nil {
		return nil, err
	}
	if err := t.freeze(ctx, plan); err != nil {
		return nil, err
	}
	if err := t.take(plan); err != nil {
		return nil, err
	}
	return t, nil
}

// errPatience is the cause when Seize gives up by itself.
var errPatience = errors.New("out of patience")

// hold opens the processes.
func (t *Taken) hold(plan *Plan) (err error) {
	if t.supervisord, err = host.OpenForeign(plan.Supervisord); err != nil {
		return changed(err)
	}
	for _, c := range plan.Processes {
		p := TakenProcess{Name: c.Name, Stdin: -1, Stdout: -1, Stderr: -1}
		if p.Process, err = host.OpenForeign(plan.identity(c)); err != nil {
			return changed(err)
		}
		t.Processes = append(t.Processes, p)
	}
	return nil
}

// changed returns ErrChanged for a process that has ended.
func changed(err error) error {
	if errors.Is(err, host.ErrGone) {
		return ErrChanged
	}
	return err
}

// freeze stops supervisord until it is stopped at a good moment.
func (t *Taken) freeze(ctx context.Context, plan *Plan) error {
	t.tracer = newTracer(plan.Supervisord.PID)
	reason := 0
	for try := 0; ; try++ {
		err := t.tracer.stop(ctx)
		if _, ending := t.supervisord.Ended(); ending != host.Alive {
			return ErrChanged
		}
		if err == nil {
			err = t.look(plan)
		}
		n := slices.Index(passing, err)
		if n < 0 {
			return err
		}
		reason = max(reason, n)
		if err := t.tracer.resume(); err != nil {
			return err
		}
		// Time for it to do something, and not always the same; now and then so much that it also gets its turn on a busy machine.
		wait := time.Duration(1+try%5) * 200 * time.Microsecond
		if try%16 == 15 {
			wait = 50 * time.Millisecond
		}
		if pause(ctx, wait) {
			continue
		}
		if errors.Is(context.Cause(ctx), errPatience) {
			return refusal(reason)
		}
		return fmt.Errorf("cannot take supervisord over: %w (%v)", ctx.Err(), passing[reason])
	}
}

// refusal says why no good moment came: reason is one of passing.
func refusal(reason int) *Refused {
	p := Problem{Kind: Busy, Text: passing[reason].Error()}
	if errors.Is(passing[reason], errClient) {
		p.Kind, p.Forced = Request, true
	}
	return &Refused{[]Problem{p}}
}

// pause waits; it reports false when the context has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// look judges the moment. While it waits for its descriptors, supervisord has read, written and flushed all that it has begun with.
func (t *Taken) look(plan *Plan) error {
	pid := plan.Supervisord.PID
	if call, err := os.ReadFile(procPath(pid, "syscall")); err != nil {
		return fmt.Errorf("cannot see what supervisord does: %v", err)
	} else if !waits(string(call)) {
		return errBusy
	}
	if err := t.unchanged(plan); err != nil {
		return err
	}
	status, err := fields(pid, "status")
	if err != nil {
		return fmt.Errorf("cannot see what signals wait for supervisord: %v", err)
	}
	if pending(status["SigPnd"]) || pending(status["ShdPnd"]) {
		return errSignal
	}
	return t.quiet(plan)
}

// waits reads /proc/PID/syscall: whether the program waits for descriptors. A wait that was stopped once goes on as restart_syscall.
func waits(call string) bool {
	number, _, _ := strings.Cut(strings.TrimSpace(call), " ")
	n, err := strconv.Atoi(number)
	return err == nil && (slices.Contains(older, n) || slices.Contains([]int{unix.SYS_PPOLL, unix.SYS_PSELECT6, unix.SYS_RESTART_SYSCALL}, n))
}

// pending reads a mask of signals: whether one waits that supervisord would act upon. An end of a child is none: it is seen in the child.
func pending(mask string) bool {
	m, _ := strconv.ParseUint(mask, 16, 64)
	return m&^(1<<(unix.SIGCHLD-1)|1<<(unix.SIGCONT-1)) != 0
}

// unchanged compares the children and descriptors with those that were inspected.
func (t *Taken) unchanged(plan *Plan) error {
	all, err := everybody()
	if err != nil {
		return err
	}
	children := childrenOf(plan.Supervisord.PID, all)
	if len(children) != len(plan.Processes) {
		return ErrChanged
	}
	for _, c := range plan.Processes {
		now := all[c.PID]
		if now.Parent != plan.Supervisord.PID || now.StartTime != c.StartTime || now.State == 'Z' {
			return ErrChanged
		}
		if now.State == 'T' && !plan.Force {
			return ErrChanged
		}
	}
	return unchangedEnds(plan)
}

// unchangedEnds compares supervisord's pipes and sockets. A socket more is that of a client.
func unchangedEnds(plan *Plan) error {
	open, err := descriptors(plan.Supervisord.PID)
	if err != nil {
		return err
	}
	for fd, target := range plan.known {
		if open[fd] != target {
			return ErrChanged
		}
	}
	client := false
	for fd, target := range open {
		switch {
		case plan.known[fd] == target:
		case inode(target, "pipe") != 0:
			return ErrChanged
		case inode(target, "socket") != 0:
			client = true
		}
	}
	if client && !plan.Force {
		return errClient
	}
	return nil
}

// quiet looks into the pipes that nobody writes to and that are not taken: supervisord reads first what is still in there.
func (t *Taken) quiet(plan *Plan) error {
	for _, end := range plan.idle {
		fd, err := t.end(plan, end, unix.O_RDONLY)
		if err != nil {
			return err
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("cannot look into a pipe: %v", err)
		}
		if n > 0 {
			return errBusy
		}
	}
	return nil
}

// take takes everything.
func (t *Taken) take(plan *Plan) (err error) {
	all, err := everybody()
	if err != nil {
		return err
	}
	for i, c := range plan.Processes {
		p := &t.Processes[i]
		for _, end := range []struct {
			to       *int
			fd, mode int
		}{{&p.Stdin, c.Stdin, unix.O_WRONLY}, {&p.Stdout, c.Stdout, unix.O_RDONLY}, {&p.Stderr, c.Stderr, unix.O_RDONLY}} {
			if end.fd < 0 {
				continue
			}
			if *end.to, err = t.end(plan, end.fd, end.mode); err != nil {
				return err
			}
		}
		p.Waiting = p.waits(plan.known[c.Stdin], all)
	}
	for _, s := range plan.Sockets {
		fd := -1
		if !plan.reopen {
			if fd, err = host.TakeFD(t.supervisord.Pidfd, s.FD); err != nil {
				return fmt.Errorf("cannot take the socket %s from supervisord: %v", s.Address, err)
			}
		}
		t.Sockets = append(t.Sockets, TakenSocket{s, fd})
	}
	return nil
}

// end returns our own descriptor of supervisord's end of a pipe. One that supervisord uses itself does not block either.
func (t *Taken) end(plan *Plan, fd, mode int) (own int, err error) {
	if plan.reopen {
		own, err = unix.Open(procPath(plan.Supervisord.PID, "fd/"+strconv.Itoa(fd)), mode|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	} else {
		own, err = host.TakeFD(t.supervisord.Pidfd, fd)
	}
	if err != nil {
		return -1, fmt.Errorf("cannot take descriptor %d from supervisord: %v", fd, err)
	}
	return own, nil
}

// Commit ends supervisord: from then on its processes are ours, also when somebody else has ended it since it was stopped. An error says that it goes on, or
// that it is not known to have ended; Abort is then what is left.
func (t *Taken) Commit() error {
	if err := t.supervisord.Signal(process.SIGKILL, false); err != nil {
		return fmt.Errorf("cannot end supervisord: %v", err)
	}
	t.release() // all that it does is to end, of which its parent is not told as long as it is held
	fds := []unix.PollFd{{Fd: int32(t.supervisord.Pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(patience/time.Millisecond))
		switch {
		case err == unix.EINTR:
		case n == 0 || err != nil:
			return fmt.Errorf("supervisord was killed and has not ended: %v", err)
		default:
			t.supervisord.Close()
			return nil
		}
	}
}

// Abort gives everything back: supervisord goes on, and knows of nothing.
func (t *Taken) Abort() {
	for _, p := range t.Processes {
		for _, fd := range []int{p.Stdin, p.Stdout, p.Stderr} {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		if p.Process != nil {
			p.Process.Close()
		}
	}
	for _, s := range t.Sockets {
		if s.FD >= 0 {
			unix.Close(s.FD)
		}
	}
	if t.tracer != nil {
		_ = t.tracer.resume() // whatever is left ends with the tracer
	}
	t.release()
	if t.supervisord != nil {
		t.supervisord.Close()
	}
	*t = Taken{}
}

// release holds supervisord no more.
func (t *Taken) release() {
	if t.tracer != nil {
		t.tracer.close()
		t.tracer = nil
	}
}
