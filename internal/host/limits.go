package host

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// OriginalNofile returns the limits of open files that this process was started with and that its children get. Go raises its own soft
// limit and keeps the original to itself, so a child is asked: it is stopped before it runs and looked at. Where tracing is forbidden the
// present limits are returned.
func OriginalNofile() (soft, hard uint64, err error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return 0, 0, fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	if own.Max == 0 || own.Cur != own.Max-1 {
		return own.Cur, own.Max, nil // Go has not raised it
	}
	if Disabled("ptrace") {
		return own.Cur, own.Max, nil
	}
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{standInName}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return own.Cur, own.Max, nil
	}
	var ws unix.WaitStatus
	_, _ = unix.Wait4(pid, &ws, 0, nil)
	var child unix.Rlimit
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &child)
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, werr := unix.Wait4(pid, &ws, 0, nil); werr != unix.EINTR && (werr != nil || ws.Exited() || ws.Signaled()) {
			break
		}
	}
	if err != nil {
		return own.Cur, own.Max, nil
	}
	return child.Cur, child.Max, nil
}
