package host

import (
	"errors"

	"golang.org/x/sys/unix"
)

// OpenPidfd returns a descriptor of the process that has the pid.
func OpenPidfd(pid int) (int, error) {
	if Disabled("pidfd_open") {
		return -1, unix.ENOSYS
	}
	return unix.PidfdOpen(pid, 0)
}

// noPidfds reports whether an error of OpenPidfd says that there are none here at all: the kernel is too old, or a filter forbids them.
func noPidfds(err error) bool { return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) }

// TakeFD returns a copy of a descriptor of another process.
func TakeFD(pidfd, fd int) (int, error) {
	if Disabled("pidfd_getfd") {
		return -1, unix.ENOSYS
	}
	return unix.PidfdGetfd(pidfd, fd, 0)
}
