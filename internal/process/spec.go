package process

import (
	"fmt"
	"strconv"
	"strings"
)

// ID is the stable handle of a process inside one daemon. It is given when the process is added, never reused, and survives
// restarts of the process.
type ID uint64

// Incarnation counts the spawns of one process, starting at 1. Every input and effect about a spawned process carries it, so that
// news of an earlier life is recognised as stale.
type Incarnation uint64

// Autorestart says whether an exited process is started again.
type Autorestart int

// The values of the option autorestart.
const (
	RestartUnexpected Autorestart = iota // only after an exit code that is not in ExitCodes, or a signal (the default)
	RestartNever
	RestartAlways
)

// String returns the value as a configuration file spells it.
func (a Autorestart) String() string {
	switch a {
	case RestartNever:
		return "false"
	case RestartAlways:
		return "true"
	default:
		return "unexpected"
	}
}

// LogKind says where a child's output goes.
type LogKind int

// The kinds of a log target.
const (
	LogAuto LogKind = iota // a file of ours in childlogdir, named when the process is added (the default)
	LogNone                // not kept
	LogPath                // the file Path
)

// LogTarget is the value of stdout_logfile or stderr_logfile.
type LogTarget struct {
	Kind LogKind
	Path string // with LogPath: as configured, ~ expanded; relative paths resolve against the daemon's directory at each spawn
}

// String returns AUTO, NONE or the path.
func (t LogTarget) String() string {
	switch t.Kind {
	case LogAuto:
		return "AUTO"
	case LogNone:
		return "NONE"
	default:
		return t.Path
	}
}

// LogSpec configures one output channel of a process (contract: config, "[program:x]"; logging, "Child log destinations").
type LogSpec struct {
	File            LogTarget
	MaxBytes        int64 // bytes; a file of this size is rotated; zero or less: never
	Backups         int   // rotated files kept
	CaptureMaxBytes int64 // bytes; zero: capture mode is off
	EventsEnabled   bool
	Syslog          bool
}

// SocketSpec is the listening socket that the processes of an [fcgi-program:x] have as their standard input, one for all of them
// (contract: config, "[fcgi-program:x]"; process, "FastCGI sockets").
type SocketSpec struct {
	URL      string // "tcp://host:port" or "unix:///path", host in lower case, path normalized; "" = no socket
	Backlog  int    // connections that may wait; 0 = as many as the system takes
	Mode     int    // unix: permission bits of the file
	UID, GID int    // unix: owner of the file; UnsetID = the daemon's own
}

// NamedSocket is a listening socket of a [socket:x] section, which all processes that name it share. Supervisor has nothing like it.
type NamedSocket struct {
	Name string
	SocketSpec
}

// String returns all that makes the socket what it is.
func (s NamedSocket) String() string {
	text := s.Name + " " + s.URL
	if s.Backlog > 0 {
		text += " backlog=" + strconv.Itoa(s.Backlog)
	}
	if strings.HasPrefix(s.URL, "unix:") {
		text += fmt.Sprintf(" mode=%#o", s.Mode)
	}
	if s.UID != UnsetID {
		text += " owner=" + strconv.Itoa(s.UID)
	}
	if s.GID != UnsetID {
		text += ":" + strconv.Itoa(s.GID)
	}
	return text
}

// CgroupUse says when a process has a control group of its own.
type CgroupUse int

// The values of the option cgroup.
const (
	CgroupAuto CgroupUse = iota // where another option asks for one (the default)
	CgroupOn
	CgroupOff
)

// String returns the value as a configuration file spells it.
func (c CgroupUse) String() string { return [...]string{"auto", "on", "off"}[c] }

// TreeSpec is about a process together with all that it starts, its tree, which a control group holds together. Supervisor has nothing like it: the
// zero value is what it does.
type TreeSpec struct {
	Cgroup    CgroupUse
	Stop      bool  // the stop signal goes to the whole tree
	Kill      bool  // so does SIGKILL, and nothing is left of the tree at the end of the process
	MemoryMax int64 // bytes; 0 = no limit of ours, as with the others
	CPUMax    int   // thousandths of a processor
	PidsMax   int   // processes and threads
}

// Limited reports whether the tree may use only so much of something.
func (t TreeSpec) Limited() bool { return t.MemoryMax > 0 || t.CPUMax > 0 || t.PidsMax > 0 }

// Grouped reports whether the process is to have a control group of its own.
func (t TreeSpec) Grouped() bool {
	return t.Cgroup == CgroupOn || t.Cgroup == CgroupAuto && (t.Stop || t.Kill || t.Limited())
}

// UnsetID is the value of Spec.UID without a user option, UnsetMask that of Spec.Umask without a umask option.
const (
	UnsetID   = -1
	UnsetMask = -1
)

// Env is one variable of a process's environment.
type Env struct{ Key, Value string }

// Spec is everything that defines one process after expansion. Two specs are compared field by field through Fields; a field
// without a row there fails a test.
type Spec struct {
	Name         string // process name inside its group
	Program      string // name of the [program:x] section that defined it; not compared
	Num          int    // process_num: which of that section's processes it is; not compared
	Command      string // as configured; split with shlex at spawn
	Directory    string // "" = the daemon's own
	Umask        int    // UnsetMask = the daemon's own
	UID          int    // UnsetID = the daemon's own
	Priority     int
	Autostart    bool
	Autorestart  Autorestart
	StartSecs    int // seconds a process must stay up to count as RUNNING
	StartRetries int // failed starts in a row after which it is given up; negative with Backoff: never
	Backoff      BackoffSpec
	Breaker      Rate // so many unexpected ends in the group hold back its restarts; the strictest of a group counts
	RestartLimit Rate // more starts by itself: given up; zero: any number
	StopSignal   Signal
	StopWaitSecs int        // seconds from StopSignal to SIGKILL
	StopSteps    []StopStep // instead of StopSignal, StopWaitSecs and SIGKILL; nil = these
	Drain        TellSpec   // before the first step of its stop: to finish what it does
	Reload       TellSpec   // to read its own configuration again
	Hooks        Hooks      // commands at the moments of its life
	StopAsGroup  bool
	KillAsGroup  bool
	ExitCodes    []int // expected exit codes, order as configured
	Tree         TreeSpec
	Health       Health
	DependsOn    []Dependency // before it starts
	Essential    Essential
	Roll         Roll // of the group: of what its processes say, the most careful

	RedirectStderr bool
	Stdout, Stderr LogSpec
	Socket         SocketSpec    // the zero value = standard input is a pipe
	Sockets        []NamedSocket // descriptors 3, 4 and so on; nil = none

	Environment []Env // merged: [supervisord] under [program:x]; sorted by key, keys unique
	// Files whose lines KEY=VALUE are read at each start, absolute; a "-" before a name: it may be missing. What Environment sets wins.
	EnvironmentFiles []string
	Secrets          []Secret // variables whose values are the contents of files; they win over all others; nil = none
	ServerURL        string   // SUPERVISOR_SERVER_URL; ServerURLAuto = a server of the daemon; "" = variable not set

	// Where the process was defined, for messages; not compared.
	Origin Origin
}

// ServerURLAuto is the value of Spec.ServerURL that stands for a server of the daemon, which config chooses.
const ServerURLAuto = "AUTO"

// Origin is a place in a configuration file.
type Origin struct {
	File string
	Line int // 1-based; 0 = unknown
}

// Kind is the kind of a group.
type Kind int

// The kinds of a group.
const (
	KindProgram       Kind = iota // one [program:x]
	KindHeterogeneous             // a [group:x]
	KindEventListener             // an [eventlistener:x]
	KindFCGI                      // an [fcgi-program:x]
)

// String returns what the kind is called in a configuration file.
func (k Kind) String() string {
	return [...]string{"program", "group", "eventlistener", "fcgi-program"}[k]
}

// GroupSpec defines a process group.
type GroupSpec struct {
	Name      string
	Kind      Kind
	Priority  int
	Processes []Spec        // in the order in which they start
	Listener  *ListenerSpec // with KindEventListener; read only
	Origin    Origin
}

// ListenerSpec says which events the processes of a group get (contract: config, "[eventlistener:x]").
type ListenerSpec struct {
	Events        []string // names of event types, upper case, sorted, each once
	BufferSize    int      // events that wait for a ready listener; at least 1
	ResultHandler string   // judges what listeners answer: one of the ResultHandler constants
	CountBytes    bool     // the header's len counts bytes instead of characters (quirk F6)
}

// The result handlers, by the names that Python files give them.
const (
	ResultHandlerDefault       = "supervisor.dispatchers:default_handler"
	ResultHandlerTwiddlerStdin = "supervisor_twiddler.resulthandler:stdin_write_handler"
	ResultHandlerGraceStdin    = "supervisor_grace.resulthandler:stdin_write_handler"
)

// ResultHandlers lists them.
var ResultHandlers = []string{ResultHandlerDefault, ResultHandlerTwiddlerStdin, ResultHandlerGraceStdin}

// Process returns the member called name.
func (g GroupSpec) Process(name string) (Spec, bool) {
	for _, p := range g.Processes {
		if p.Name == name {
			return p, true
		}
	}
	return Spec{}, false
}
