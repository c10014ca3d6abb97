package host

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

var fileProbes = []probe{
	{
		"splice", "output goes from the pipe to the log file in one step: a killed daemon loses no byte", "output is read and written: a killed daemon may lose a piece, or write it twice",
		lookSplice,
	},
	{
		"memfd_create", "state that outlives the daemon's process", "a daemon that was killed begins with the files",
		func() (string, bool) {
			fd, err := unix.MemfdCreate("graced-probe", unix.MFD_CLOEXEC)
			if err == nil {
				unix.Close(fd)
			}
			return outcome(err)
		},
	},
	{
		"close_range", "all descriptors closed with one call", "one call for each",
		func() (string, bool) {
			return outcome(unix.CloseRange(math.MaxInt32-1, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)) // there are none
		},
	},
	{
		"unshare", "forks from a thread that has no other descriptors: fast however many files are open", "forks from the common table: slower with many open files",
		func() (detail string, ok bool) {
			onOwnThread(func() { detail, ok = outcome(unix.Unshare(unix.CLONE_FILES | unix.CLONE_FS)) })
			return detail, ok
		},
	},
}

// lookSplice moves a byte from a pipe into a file of the directory for temporary files, which has no name or loses it at once.
func lookSplice() (string, bool) {
	file, err := os.CreateTemp("", "graced-probe-")
	if err != nil {
		return outcome(err)
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return outcome(err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return outcome(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
		return outcome(err)
	}
	_, err = unix.Splice(pipe[0], nil, int(file.Fd()), nil, 1, unix.SPLICE_F_NONBLOCK)
	return outcome(err)
}
