package takeover

import (
	"strings"

	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// Process is what supervisord tells about one of its processes (getAllProcessInfo, getAllConfigInfo).
type Process struct {
	Name                         process.Namespec
	PID                          int // 0 = none
	State                        process.State
	RedirectStderr               bool
	StdoutLogfile, StderrLogfile string // as it tells them; only handed on
}

// Plan says what of a supervisord can be taken over, and how. Descriptors are those of supervisord.
type Plan struct {
	Supervisord host.Identity
	Started     Started
	Processes   []Child  // those that have a pid, in the order of the information
	Sockets     []Socket // that it listens on, in the order of their descriptors
	Problems    []Problem
	Force       bool // for the caller to set: problems that can be overridden are

	known  map[int]string // its pipes, and its sockets except those of clients, as they were: what /proc/PID/fd points to
	idle   []int          // outputs that nobody writes to and that are given to no process
	reopen bool           // pipes can only be opened once more, sockets not be taken at all
}

// Started is how supervisord was started, for another to be started likewise.
type Started struct {
	Args    []string // its own words: those behind the name of the program
	Environ []string
	Dir     string // where it is now
	UID     int    // as whom it runs now
}

// Child is a process of supervisord that runs.
type Child struct {
	Process
	StartTime             uint64 // in clock ticks since boot
	Pidfd                 bool   // it can be held by a descriptor
	Stdin, Stdout, Stderr int    // -1 = nobody is at the other end, or there is none
}

// identity returns the child's identity: it has been seen in the same run of the kernel.
func (p *Plan) identity(c Child) host.Identity {
	return host.Identity{BootID: p.Supervisord.BootID, PID: c.PID, StartTime: c.StartTime}
}

// Socket is one that supervisord listens on.
type Socket struct {
	FD      int
	Network string             // tcp, tcp6 or unix
	Address string             // host:port, or a path
	Users   []process.Namespec // the processes that share it, as those of a FastCGI program do; none = it is for clients of supervisord
}

// Problem is a reason not to take over.
type Problem struct {
	Kind    Kind
	Process process.Namespec // zero when it is none of a single process
	Text    string
	Forced  bool // it can be overridden, at the price that the text tells
}

// String returns the text and whom it is about.
func (p Problem) String() string {
	if p.Process == (process.Namespec{}) {
		return p.Text
	}
	return p.Process.String() + ": " + p.Text
}

// Kind classifies a problem.
type Kind string

// The kinds.
const (
	NoRight       Kind = "no-right"        // supervisord, or a process of it, cannot be looked into
	OldKernel     Kind = "old-kernel"      // the kernel cannot do it, or does not let anybody
	NotSupervisor Kind = "not-supervisor"  // it is another program
	OtherUser     Kind = "other-user"      // what is started from now on would run as somebody else
	OtherSpace    Kind = "other-namespace" // pids, paths or addresses mean something else there
	Init          Kind = "init"            // it is pid 1
	Unit          Kind = "unit"            // systemd watches it
	Halted        Kind = "halted"          // somebody else has stopped it, or traces it
	Threads       Kind = "threads"         // a plugin is at work beside it
	UnknownChild  Kind = "unknown-child"   // it has a child that is none of its processes
	Changed       Kind = "changed"         // the information does not fit any more
	Transition    Kind = "transition"      // a process is being started or stopped
	Suspended     Kind = "suspended"       // a process is stopped by a signal
	Pipes         Kind = "pipes"           // whose a pipe is cannot be told
	Request       Kind = "request"         // a client is connected
	Busy          Kind = "busy"            // no good moment to stop it has come
	NoProgram     Kind = "no-program"      // the configuration does not have a process
	Settings      Kind = "settings"        // the configuration has other settings for a process
)

// Refused is the error of a plan with problems that are not overridden, or that turned out when it was carried out.
type Refused struct{ Problems []Problem }

// Error returns the problems, one a line.
func (r *Refused) Error() string {
	lines := []string{"supervisord cannot be taken over:"}
	for _, p := range r.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// Refusal returns a *Refused if the plan is not to be carried out. Whether a client is connected is seen anew when it is.
func (p *Plan) Refusal() error {
	var left []Problem
	for _, problem := range p.Problems {
		if problem.Kind != Request && (!p.Force || !problem.Forced) {
			left = append(left, problem)
		}
	}
	if len(left) > 0 {
		return &Refused{left}
	}
	return nil
}
