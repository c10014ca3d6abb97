package host

import (
	"time"

	"os"
	"os/signal"
	"unsafe"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// reaper learns of exits. It looks before it reaps: the pid of a child stays its own until everything that could signal it knows of its
// end.
type reaper struct {
	h      *Local
	signal chan os.Signal
	quit   chan struct{}
}

func newReaper(h *Local) *reaper {
	r := &reaper{h: h, signal: make(chan os.Signal, 1), quit: make(chan struct{})}
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
	p := r.owner(pid)
	if p == nil {
		// Perhaps a newborn whose pid is not registered yet: wait for the fork under way.
		r.h.forker.forking.Lock()
		p = r.owner(pid)
		r.h.forker.forking.Unlock()
	}
	if p == nil {
		if status, ok := waitFor(pid); ok {
			r.h.emit(OrphanReaped{PID: pid, Status: status})
		}
		return true
	}
	status, report, done := p.reap()
	if !done {
		return true
	}
	r.h.mu.Lock()
	delete(r.h.byPID, pid)
	r.h.mu.Unlock()
	if report {
		p.shard.post(command{ended: p, status: status, at: time.Now()})
	}
	return true
}

func (r *reaper) owner(pid int) *proc {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	return r.h.byPID[pid]
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
