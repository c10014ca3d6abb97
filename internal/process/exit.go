package process

import (
	"slices"
	"strconv"
)

// Signal is a signal number of Linux. Its name follows Python's signal module, as Supervisor prints it.
type Signal int

// The signals that graced itself sends by default.
const (
	SIGKILL Signal = 9
	SIGSTOP Signal = 19
	SIGTERM Signal = 15
)

// signalNames holds the names of the numbered signals of Linux; the first of aliases, as Supervisor reports them.
var signalNames = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
	10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT", 17: "SIGCHLD",
	18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ",
	26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGPOLL", 30: "SIGPWR", 31: "SIGSYS", 34: "SIGRTMIN", 64: "SIGRTMAX",
}

// Known reports whether the signal has a name.
func (s Signal) Known() bool { return s > 0 && int(s) < len(signalNames) && signalNames[s] != "" }

// String returns the name, or "signal N" for a number without one.
func (s Signal) String() string {
	if s.Known() {
		return signalNames[s]
	}
	return "signal " + strconv.Itoa(int(s))
}

// ExitStatus is how a process ended.
type ExitStatus struct {
	Code       int    // exit code 0..255; meaningless when Signal is set
	Signal     Signal // the signal that ended it, or 0
	CoreDumped bool
	Unknown    bool // nobody can tell how it ended; the rest is meaningless
	// The kernel has killed it, or something that it had started, for want of memory. Only a process in a control group of its own can be told so.
	OutOfMemory bool
}

// Clean reports whether the process ended by itself with one of the codes.
func (e ExitStatus) Clean(codes []int) bool {
	return !e.Unknown && e.Signal == 0 && slices.Contains(codes, e.Code)
}

// Wire returns the exitstatus that Supervisor reports: the code, or -1 for a process ended by a signal, and where it is not known.
func (e ExitStatus) Wire() int {
	if e.Signal != 0 || e.Unknown {
		return -1
	}
	return e.Code
}

// String describes the end as Supervisor's log does, e.g. "exit status 1" or "terminated by SIGSEGV (core dumped)".
func (e ExitStatus) String() string {
	if e.Unknown {
		return "exit status unknown"
	}
	if e.Signal == 0 {
		return "exit status " + strconv.Itoa(e.Code)
	}
	s := "terminated by " + e.Signal.String()
	if e.CoreDumped {
		s += " (core dumped)"
	}
	return s
}
