package host

import (
	"os"

	"golang.org/x/sys/unix"
)

var pidfdProbes = []probe{
	{
		"pidfd_open", "hold on to processes that this keeper has not started", "they are looked at in /proc, fifty times a second; a running supervisord cannot be taken over",
		func() (string, bool) { return withPidfd(func(int) error { return nil }) },
	},
	{
		"pidfd_send_signal", "signals to them that cannot hit another process of the same pid", "signals by pid, after a look whether it is still theirs",
		func() (string, bool) {
			return withPidfd(func(fd int) error { return unix.PidfdSendSignal(fd, 0, nil, 0) })
		},
	},
	{
		"pidfd_info_exit", "how a process ended that is nobody's child here", "/proc/PID/stat tells it until the parent has taken note; after that it is unknown",
		lookPidfdInfoExit,
	},
	{
		"pidfd_getfd", "sockets of processes that somebody else has started", "they are opened anew, also when a running supervisord is taken over",
		func() (string, bool) {
			return withPidfd(func(fd int) error {
				own, err := unix.PidfdGetfd(fd, fd, 0)
				if err == nil {
					unix.Close(own)
				}
				return err
			})
		},
	},
}

// withPidfd asks something about a pidfd of this process.
func withPidfd(ask func(fd int) error) (string, bool) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return outcome(err)
	}
	defer unix.Close(fd)
	return outcome(ask(fd))
}

// lookPidfdInfoExit asks how a thread ended: a process for it would be a child that the reaper takes for an orphan.
func lookPidfdInfoExit() (string, bool) {
	fd, err := -1, error(nil)
	onOwnThread(func() { fd, err = unix.PidfdOpen(unix.Gettid(), unix.PIDFD_THREAD) })
	if err != nil {
		return outcome(err)
	}
	defer unix.Close(fd)
	const most = 1000 // ms; the thread ends at once
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(polled, most)
		if err == unix.EINTR {
			continue
		}
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		if err = unix.IoctlPidfdInfo(fd, &info); err != nil {
			return outcome(err)
		}
		if info.Mask&unix.PIDFD_INFO_EXIT == 0 {
			return "the kernel does not tell it", false
		}
		return "", true
	}
}
