package host

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// adopt takes a process into care that this keeper did not fork.
func (k *Keeper) adopt(m *adoptChild, fds []int) {
	pidfd, ends := -1, fds
	if !m.bare {
		if len(fds) == 0 {
			return
		}
		pidfd, ends = fds[0], fds[1:]
	}
	at := m.ends.split(ends)
	c := &child{
		life: m.life, pid: m.pid, start: m.start, pidfd: pidfd, fds: [3]int{at[3], at[4], at[5]}, announced: true, foreign: true,
		place: m.place,
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.children[m.life] != nil {
		closeAll(fds)
		return
	}
	k.children[m.life] = c
	if err := k.watchForeign(c); err != nil {
		k.tell(&trouble{fmt.Sprintf("cannot watch process %d: %v", m.pid, err)})
	}
}

// asForeign is the process as package-wide code knows it.
func (c *child) asForeign() *Foreign {
	return &Foreign{Identity: Identity{BootID: bootID(), PID: c.pid, StartTime: c.start}, Pidfd: c.pidfd}
}

func (c *child) signalForeign(req SignalRequest) error {
	if err := c.asForeign().Signal(req.Signal, req.ToGroup); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}

// watchForeign waits for the end of a process, and tells it. The mutex is held.
func (k *Keeper) watchForeign(c *child) error {
	unwatch, err := awaitEnd(c.asForeign(), func(s process.ExitStatus) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.children[c.life] != c { // it is forgotten
			return
		}
		c.killRest()
		k.childOver(c, s)
	})
	c.unwatch = unwatch
	return err
}

// awaitEnd waits for the end of a process in Go's poller, and calls ended from a goroutine. stop ends that, where it is not nil: the end is not known then.
func awaitEnd(f *Foreign, ended func(process.ExitStatus)) (stop func(), err error) {
	if f.Pidfd < 0 {
		go func() { ended(f.lookForEnd()) }()
		return nil, nil
	}
	own := dup(f.Pidfd)
	if own < 0 {
		return nil, unix.EMFILE
	}
	if err := unix.SetNonblock(own, true); err != nil {
		unix.Close(own)
		return nil, err
	}
	file := os.NewFile(uintptr(own), "pidfd")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close() // only a copy
		return nil, err
	}
	go func() {
		defer func() { _ = file.Close() }() // likewise
		status := process.ExitStatus{Unknown: true}
		_ = raw.Read(func(fd uintptr) bool { // if it cannot be waited for nobody can tell how it ends
			s, how := (&Foreign{Identity: f.Identity, Pidfd: int(fd)}).Ended() // f's own may be closed
			if how == Ended {
				status = s
			}
			return how == Ended || how == Untold
		})
		ended(status)
	}()
	return func() { _ = file.Close() }, nil // likewise
}

// lookForEnd waits for the end of a process that has no pidfd.
func (f *Foreign) lookForEnd() process.ExitStatus {
	const pause = 20 * time.Millisecond
	for ; ; time.Sleep(pause) {
		switch status, how := f.Ended(); how {
		case Ended:
			return status
		case Untold:
			return process.ExitStatus{Unknown: true}
		}
	}
}

// startTime returns the start time of a process, 0 if there is none.
func startTime(pid int) uint64 {
	stat, err := ReadStat(pid)
	if err != nil {
		return 0
	}
	return stat.StartTime
}
