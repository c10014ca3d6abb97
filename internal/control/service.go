// Package control defines what can be asked of a daemon: the Service interface with its requests, answers and error codes.
//
// It owns the shapes that cross process borders and no behaviour. Codecs (xmlrpc, web) translate to it, package daemon answers it,
// package client asks it of a daemon elsewhere. It imports packages process and plan.
package control

import (
	"context"
	"time"

	"github.com/graced/graced/internal/process"
)

// Service is everything that can be asked of a daemon. Every error is an *Error. A method that waits ends early with the context's
// error; the work it began goes on.
type Service interface {
	Info
	Lifecycle
	Reconcile
	Logs
	Admin
	Change
	Explain
	Desired
	Examine
}

// Info answers questions.
type Info interface {
	// Daemon describes the daemon itself. It answers in every state.
	Daemon(ctx context.Context) (Daemon, error)
	// Process describes one process. BadName for a whole group or an unknown name.
	Process(ctx context.Context, name string) (ProcessInfo, error)
	// Processes describes all processes, sorted by group name, then process name, as strings.
	Processes(ctx context.Context) ([]ProcessInfo, error)
	// Configs describes the last-read configuration, sorted by process name.
	Configs(ctx context.Context) ([]ConfigInfo, error)
	// Groups names the active groups in insertion order.
	Groups(ctx context.Context) ([]string, error)
}

// Lifecycle starts, stops and signals processes.
type Lifecycle interface {
	// Start starts the processes of target. With a single process there is one Result or an error; otherwise a Result for each process that
	// was touched, in the order of completion. wait: answer when each is RUNNING or has failed; else when each is forked.
	Start(ctx context.Context, target Target, wait bool) ([]Result, error)
	// Stop is the same for stopping; wait: answer when each has ended.
	Stop(ctx context.Context, target Target, wait bool) ([]Result, error)
	// Signal sends a signal, given by name or number, to the processes of target.
	Signal(ctx context.Context, target Target, signal string) ([]Result, error)
	// Refresh has the processes of target read their own configuration again, by reload_signal or reload_command, and waits until that is done. Of
	// several those are touched that run and have one of the two.
	Refresh(ctx context.Context, target Target) ([]Result, error)
	// WriteStdin writes data to the standard input of one process.
	WriteStdin(ctx context.Context, name string, data []byte) error
}

// Reconcile changes which processes there are.
type Reconcile interface {
	// Reread reads the configuration files and makes them the base of AddGroup and Configs. CantReread if they are broken: nothing has changed then.
	Reread(ctx context.Context) (Reread, error)
	// AddGroup adds a group of the last-read configuration. BadName, AlreadyAdded.
	AddGroup(ctx context.Context, name string) error
	// RemoveGroup removes a group whose processes have all stopped. BadName, StillRunning.
	RemoveGroup(ctx context.Context, name string) error
	// AddProgram adds the processes of a new program to a group (twiddler.addProgramToGroup). options hold the keys of a [program:x] section.
	AddProgram(ctx context.Context, group, program string, options map[string]string) error
	// RemoveProcess removes a stopped process from its group. BadName, StillRunning.
	RemoveProcess(ctx context.Context, group, process string) error
	// UpdateNumprocs is the first half of grace_update as old clients drive it: it rereads the files, adds missing processes of the group and
	// names, without stopping them, those that are surplus (contract: rpc, "twiddler.* / grace.*"). The caller stops and removes these.
	UpdateNumprocs(ctx context.Context, group string) (Numprocs, error)
	// GraceUpdate is grace_update as one transaction: start what is new, stop and remove what is surplus, touch nothing else, or refuse and change
	// nothing. name is a group, or a program inside one. It answers when the surplus is gone. Calling it again after an interrupted call finishes the work.
	GraceUpdate(ctx context.Context, name string) (GraceResult, error)
}

// Logs reads and clears log files.
type Logs interface {
	// ReadLog returns bytes of a log (contract: rpc, "Log reading"). NoFile, BadArguments, Failed, BadName.
	ReadLog(ctx context.Context, log Log, offset, length int64) ([]byte, error)
	// TailLog returns up to length bytes from the end with the offset behind them, and whether bytes were skipped.
	TailLog(ctx context.Context, log Log, offset, length int64) (Tail, error)
	// FollowLog streams a log from its last 1024 bytes on, across rotations, until the context ends.
	FollowLog(ctx context.Context, log Log) (Follower, error)
	// ClearLog empties the main log, or both logs of one process.
	ClearLog(ctx context.Context, log Log) error
	// ClearAllLogs empties the logs of all processes.
	ClearAllLogs(ctx context.Context) ([]Result, error)
}

// Admin acts on the daemon.
type Admin interface {
	// Shutdown begins the shutdown and answers at once.
	Shutdown(ctx context.Context) error
	// Restart begins the soft restart (stop everything, read the files again, start) and answers at once. CantReread when the files are broken:
	// nothing has been stopped then (quirk C17).
	Restart(ctx context.Context) error
	// SendRemote gives a REMOTE_COMMUNICATION event to the event listeners, in every mood.
	SendRemote(ctx context.Context, kind, data string) error
	// Log writes a line into the main log. level is one of 50, 40, 30, 20, 10, 5, 3.
	Log(ctx context.Context, level int, message string) error
}

// Follower hands out a growing log piece by piece.
type Follower interface {
	// Next blocks for more bytes, and returns them and io.EOF or the context's error at the end. The slice is valid until the next call.
	Next(ctx context.Context) ([]byte, error)
	// Close releases the follower.
	Close() error
}

// Mood is the state of the daemon, with Supervisor's codes.
type Mood int

// The moods.
const (
	MoodFatal      Mood = 2
	MoodRunning    Mood = 1
	MoodRestarting Mood = 0
	MoodShutdown   Mood = -1
)

// String returns the state's name on the wire.
func (m Mood) String() string {
	switch m {
	case MoodFatal:
		return "FATAL"
	case MoodRunning:
		return "RUNNING"
	case MoodRestarting:
		return "RESTARTING"
	default:
		return "SHUTDOWN"
	}
}

// Daemon describes the daemon.
type Daemon struct {
	Identifier string
	Version    string // the version of Supervisor whose contract is kept, e.g. "4.2.5"
	PID        int
	Mood       Mood
}

// Target names the processes of a command.
type Target struct {
	Name string // as the caller wrote it: a namespec ("g:p", "p", "g:*"); or a bare group name with Group
	// Group: Name is the name of a group. All: every process; Name is empty.
	Group, All bool
}

// Result is the outcome for one process of a command.
type Result struct {
	Group, Name string
	Code        Code   // Success, or the fault
	Text        string // "OK", or the fault's string
}

// ProcessInfo describes one process (contract: rpc, "Struct fields").
type ProcessInfo struct {
	Name, Group string
	State       process.State
	Start, Stop time.Time // zero = never
	Now         time.Time
	SpawnErr    string
	ExitStatus  int    // 0 = none, -1 = ended by a signal
	StdoutLog   string // path, "" = none
	StderrLog   string
	PID         int
	Description string
}

// ConfigInfo describes the configuration of one process, for getAllConfigInfo.
type ConfigInfo struct {
	Group         string
	GroupPriority int
	InUse         bool // the group is active
	Spec          process.Spec
	StdoutLog     string // the log's path; "auto" or "none" where there is none
	StderrLog     string
	Untold        []string // options of Spec that the server does not tell
}

// Reread names the groups that differ between files and daemon.
type Reread struct{ Added, Changed, Removed []string }

// Numprocs answers UpdateNumprocs.
type Numprocs struct {
	Type      string   // "add", "reduce" or "error"
	Processes []string // with add and reduce: "g:p"
	Message   string   // with error: the text for the user
}

// GraceResult answers GraceUpdate. All names are "g:p" in natural order.
type GraceResult struct {
	Group   string
	Refused bool
	Message string   // the text that the old plugin prints when nothing is done: a refusal, or "No need to update"
	Fields  []string // with Refused: the options that differ, each once
	Added   []string
	Stopped []string // surplus that was running and was stopped
	Removed []string
	Failed  []Result // what could not be done; everything else is done
}

// Channel is an output channel of a process.
type Channel string

// The channels.
const (
	Stdout Channel = "stdout"
	Stderr Channel = "stderr"
)

// Log names a log: the main log, or a channel of a process.
type Log struct {
	Main    bool
	Process string // namespec
	Channel Channel
}

// Tail answers TailLog.
type Tail struct {
	Data     []byte
	Offset   int64 // behind the last byte: the size of the file
	Overflow bool  // bytes before Data were skipped
}
