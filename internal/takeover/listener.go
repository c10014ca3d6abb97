package takeover

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// AwaitsInput reports whether the process is seen to wait for input: it, or one of its family, is in a read of its standard input, which is empty,
// and has said nothing that supervisord has not read. An event listener that does so is READY. One that waits in another way, for one of
// several descriptors, is not told from one at work.
func (t *Taken) AwaitsInput(p TakenProcess) bool {
	if p.Stdin < 0 || p.Stdout < 0 {
		return false
	}
	for _, fd := range []int{p.Stdin, p.Stdout} {
		if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || n > 0 {
			return false
		}
	}
	var st unix.Stat_t
	all, err := everybody()
	if err != nil || unix.Fstat(p.Stdin, &st) != nil {
		return false
	}
	for pid := range families([]int{p.Process.PID}, all) {
		if reads(pid, fmt.Sprintf("pipe:[%d]", st.Ino)) {
			return true
		}
	}
	return false
}

// reads reports whether a thread of a process is in a read of what a link of its descriptors says.
func reads(pid int, target string) bool {
	paths, _ := filepath.Glob(procPath(pid, "task/[0-9]*/syscall")) // the pattern is good
	return slices.ContainsFunc(paths, func(path string) bool {
		call, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		fd, ok := readOf(string(call))
		if !ok {
			return false
		}
		link, err := os.Readlink(procPath(pid, "fd/"+strconv.Itoa(fd)))
		return err == nil && link == target
	})
}

// readOf reads /proc/PID/syscall: the descriptor that the program waits to read from, e.g. of "0 0x3 0x7ffc 0x2000".
func readOf(call string) (fd int, ok bool) {
	f := strings.Fields(call)
	if len(f) < 2 || f[0] != strconv.Itoa(unix.SYS_READ) && f[0] != strconv.Itoa(unix.SYS_READV) {
		return 0, false
	}
	n, err := strconv.ParseUint(f[1], 0, 64)
	return int(int32(n)), err == nil
}
