package takeover

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tracer stops a process as a debugger does. Unlike one that got SIGSTOP it goes on by itself when this process dies, however that comes; nobody else can
// let it go on meanwhile, and its parent is not told.
//
// The kernel takes orders for a process from one thread alone, and ends the tracing with that.
type tracer struct {
	pid   int
	held  []int // threads of the process
	calls chan func()
	over  chan struct{}
}

func newTracer(pid int) *tracer {
	t := &tracer{pid: pid, calls: make(chan func()), over: make(chan struct{})}
	go t.run()
	return t
}

// run obeys on a thread of its own, which ends with it.
func (t *tracer) run() {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the runtime never ends this one: another
		go t.run()
		<-t.over
		runtime.UnlockOSThread()
		return
	}
	for {
		select {
		case call := <-t.calls:
			call()
		case <-t.over:
			return
		}
	}
}

// do has the thread do something.
func (t *tracer) do(f func() error) error {
	done := make(chan error)
	t.calls <- func() { done <- f() }
	return <-done
}

// close ends the thread, and with it whatever is still held.
func (t *tracer) close() { close(t.over) }

// stop stops all threads of the process. The error is errRunning when the context ends before.
func (t *tracer) stop(ctx context.Context) error {
	return t.do(func() error {
		known := map[string]bool{}
		for more := true; more; { // one that was not stopped yet may have made another
			threads, err := names(procPath(t.pid, "task"))
			if err != nil {
				return ErrChanged // it has ended
			}
			more = false
			for _, name := range threads {
				if known[name] {
					continue
				}
				known[name], more = true, true
				tid, err := strconv.Atoi(name)
				if err == nil {
					err = t.hold(ctx, tid)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// hold stops a thread.
func (t *tracer) hold(ctx context.Context, tid int) error {
	err := unix.PtraceSeize(tid)
	if err == nil {
		t.held = append(t.held, tid)
		err = unix.PtraceInterrupt(tid)
	}
	if err == unix.ESRCH {
		return nil // it has ended; that of the whole process is seen
	}
	if err != nil {
		text := fmt.Sprintf("it cannot be stopped as a debugger does (ptrace: %v): that is forbidden here, or another debugger is at it", err)
		return &Refused{[]Problem{{Kind: NoRight, Text: text}}}
	}
	for {
		var status unix.WaitStatus
		switch n, err := unix.Wait4(tid, &status, unix.WALL|unix.WNOHANG, nil); {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("cannot wait for supervisord to stop: %v", err)
		case n == 0:
			if !pause(ctx, 100*time.Microsecond) {
				return errRunning
			}
		case !status.Stopped(): // it has ended
			return nil
		case status>>16 != unix.PTRACE_EVENT_STOP: // for a signal, which it is given; it stops behind that
			if err := unix.PtraceCont(tid, int(status.StopSignal())); err != nil && err != unix.ESRCH {
				return fmt.Errorf("cannot give supervisord a signal that it got: %v", err)
			}
		case status.StopSignal() != unix.SIGTRAP: // somebody else has stopped it
			return ErrChanged
		default:
			return nil
		}
	}
}

// resume lets the process go on.
func (t *tracer) resume() error {
	return t.do(func() error {
		for _, tid := range t.held {
			if err := unix.PtraceDetach(tid); err != nil && err != unix.ESRCH { // that has ended
				return fmt.Errorf("cannot let supervisord go on: %v", err)
			}
		}
		t.held = nil
		return nil
	})
}
