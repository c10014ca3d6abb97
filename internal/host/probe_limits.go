package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

var limitProbes = []probe{
	{"nofile", "open files: about four for each process", "with fewer, later processes cannot be started", func() (string, bool) {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return outcome(err)
		}
		const least = 1024
		return fmt.Sprintf("soft %s, hard %s", limitText(l.Cur), limitText(l.Max)), l.Cur >= least
	}},
	{"nproc", "processes of one user", "with fewer, later processes cannot be started", func() (string, bool) {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NPROC, &l); err != nil {
			return outcome(err)
		}
		return fmt.Sprintf("soft %s, hard %s", limitText(l.Cur), limitText(l.Max)), l.Cur > 0
	}},
	{"pipe_pages", "pipes of 64 KiB between processes and their logs", "pipes beyond these hold 4 or 8 KiB: processes wait for the daemon more often", func() (string, bool) {
		pages := number("/proc/sys/fs/pipe-user-pages-soft")
		if pages < 0 {
			return "not known", false
		}
		const perPipe = 16
		text := fmt.Sprintf("pipe-user-pages-soft %d: %d pipes", pages, pages/perPipe)
		if pages == 0 || capability(unix.CAP_SYS_RESOURCE) || capability(unix.CAP_SYS_ADMIN) {
			text = fmt.Sprintf("pipe-user-pages-soft %d, which does not bind this process", pages)
		}
		return text, true
	}},
}

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprint(n)
}
