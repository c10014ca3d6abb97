package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var rightProbes = []probe{
	{"ptrace", "the limit of open files that graced was started with: whether minfds is above it", "programs have that limit, also where minfds asks for more and the hard one allows it",
		func() (string, bool) {
			return ptraceRight(number("/proc/sys/kernel/yama/ptrace_scope"), capability(unix.CAP_SYS_PTRACE))
		}},
	{"proc_other", "processes of other users: they are taken back after keeper and daemon were killed at once", "the next start says that it cannot, and starts them beside these", func() (string, bool) {
		if !capability(unix.CAP_SYS_PTRACE) {
			return "without CAP_SYS_PTRACE", false
		}
		return "CAP_SYS_PTRACE", true
	}},
}

// ptraceRight says whom this process may trace. scope is that of the module yama, -1 without it.
func ptraceRight(scope int, capable bool) (string, bool) {
	text := map[int]string{-1: "of the same user", 0: "of the same user", 1: "its own children", 2: "none without CAP_SYS_PTRACE", 3: "none"}[scope]
	if capable && scope < 3 {
		text = "all"
	}
	if scope >= 0 {
		text += fmt.Sprintf(" (ptrace_scope %d)", scope)
	}
	return text, scope < 2 || scope == 2 && capable
}

// number reads a file that holds one number, -1 where there is none.
func number(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return -1
	}
	return n
}

// capability reports whether this process has one.
func capability(c int) bool {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if mask, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && set&(1<<c) != 0
		}
	}
	return false
}
