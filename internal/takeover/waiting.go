package takeover

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/graced/graced/internal/host"
	"golang.org/x/sys/unix"
)

// waits reports whether somebody of a process's group waits for the pipe that is its standard input and has read all of it, while nothing that it has
// written before is unread. Nobody writes into that pipe as long as supervisord is stopped, so that this stays true.
func (p TakenProcess) waits(stdin string, all map[int]host.Stat) bool {
	if !drained(p.Stdin) {
		return false
	}
	for pid, stat := range all {
		if stat.Group != p.Process.PID {
			continue
		}
		if target, err := os.Readlink(procPath(pid, "fd/0")); err == nil && target == stdin && reads(pid) {
			return drained(p.Stdout) // after all that came before
		}
	}
	return false
}

// drained reports whether there is a pipe, and it is empty.
func drained(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return err == nil && n == 0
}

// reads reports whether a thread of a process is in a read of its standard input.
func reads(pid int) bool {
	threads, err := filepath.Glob(procPath(pid, "task/*/syscall"))
	if err != nil {
		return false
	}
	for _, path := range threads {
		if call, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(call), fmt.Sprintf("%d 0x0 ", unix.SYS_READ)) {
			return true
		}
	}
	return false
}
