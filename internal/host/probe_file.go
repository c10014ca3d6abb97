package host

import "golang.org/x/sys/unix"

var fileProbes = []probe{
	{
		"splice", "output goes from the pipe to the log file in one step: a killed daemon loses no byte", "output is read and written: a killed daemon may lose a piece, or write it twice",
		lookSplice,
	},
	{
		"memfd_create", "memory that outlives the daemon's process", "files without a name in the directory for temporary files",
		func() (string, bool) {
			fd, err := unix.MemfdCreate("graced-probe", unix.MFD_CLOEXEC)
			closeAll([]int{fd})
			return outcome(err)
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

// lookSplice moves a byte from a pipe into a file that nobody else sees.
func lookSplice() (string, bool) {
	file, err := Memory("probe")
	if err != nil {
		return outcome(err)
	}
	defer unix.Close(file)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return outcome(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
		return outcome(err)
	}
	_, err = unix.Splice(pipe[0], nil, file, nil, 1, unix.SPLICE_F_NONBLOCK)
	return outcome(err)
}
