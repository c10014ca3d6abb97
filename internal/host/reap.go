package host

import (
	"os"
	"os/signal"
	"sync"
	"unsafe"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// reaper learns of exits. It looks before it reaps: the pid of a child stays its own until everything that could signal it knows of its
// end.
type reaper struct {
	owner   func(pid int) (reap func()) // what takes the end of a child; nil = it is nobody's
	orphan  func(OrphanReaped)
	forking sync.Locker // held while there may be a child that owner does not know yet
	signal  chan os.Signal
	quit    chan struct{}
}

func newReaper(owner func(pid int) func(), orphan func(OrphanReaped), forking sync.Locker) *reaper {
	r := &reaper{owner: owner, orphan: orphan, forking: forking, signal: make(chan os.Signal, 1), quit: make(chan struct{})}
	signal.Notify(r.signal, unix.SIGCHLD)
	return r
}

func (r *reaper) stop() {
	signal.Stop(r.signal)
	close(r.quit)
}

func (r *reaper) run() {
	for {
		for r.one() {
		}
		select {
		case <-r.signal:
		case <-r.quit:
			return
		}
	}
}

// one handles one child that has ended; it reports false when there is none.
func (r *reaper) one() bool {
	pid := ended()
	if pid == 0 {
		return false
	}
	reap := r.owner(pid)
	if reap == nil {
		// Perhaps a newborn whose pid is not registered yet: wait for the fork under way.
		r.forking.Lock()
		reap = r.owner(pid)
		r.forking.Unlock()
	}
	if reap != nil {
		reap()
	} else if status, ok := waitFor(pid); ok {
		r.orphan(OrphanReaped{PID: pid, Status: status})
	}
	return true
}

// ended returns the pid of a child that has ended and is not reaped, 0 if there is none.
func ended() int {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0 // ECHILD: no children at all
		}
		return siginfoPID(&info)
	}
}

// siginfoPID returns si_pid, which follows three ints, aligned as the union of pointers and ints that it is part of.
func siginfoPID(info *unix.Siginfo) int {
	const word = unsafe.Sizeof(uintptr(0))
	const offset = (3*4 + word - 1) &^ (word - 1)
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

// waitFor reaps pid if it has ended.
func waitFor(pid int) (process.ExitStatus, bool) {
	var ws unix.WaitStatus
	for {
		got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || got != pid {
			return process.ExitStatus{}, false
		}
		break
	}
	return exitStatus(ws), true
}
