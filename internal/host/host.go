// Package host starts and signals processes, learns how they end, and carries their output: the one place that forks.
//
// It owns the children, their pipes and their exit notices. It never decides anything about a process: what to start, when to
// signal and what an exit means belongs to package core. Package daemon imports it; it imports package process.
package host

import (
	"context"
	"time"

	"github.com/graced/graced/internal/process"
)

// Host is the machine as the daemon sees it. No method blocks on a child or on the disk for long: every outcome arrives as an Event, in
// order for each incarnation: Spawned before Exited, and Exited only after the last byte of output has been handed to its Output.
type Host interface {
	// Spawn starts a process. The outcome is a Spawned or a SpawnFailed event. Spawns happen in the order of the calls.
	Spawn(SpawnRequest)
	// Resume goes on with a process that this daemon has not started; see Local.Resume.
	Resume(req SpawnRequest, pid int, there *There)
	// Resumed says that all were resumed that are to be.
	Resumed()
	// Settle says that the end of a life has been noted for good: no daemon after this one has to hear of it.
	Settle(process.ID, process.Incarnation)
	// Signal sends a signal. The outcome is a Signalled event.
	Signal(SignalRequest)
	// WriteStdin queues data for the standard input of a process. The outcome is a StdinWritten event.
	WriteStdin(StdinRequest)
	// Probe opens the socket that the processes of a FastCGI program will share and closes it again, to find out early whether it can be
	// opened. The outcome is a SocketOpening event, followed by SocketClosed or SocketFailed. A socket that is open is left alone.
	Probe(program string, socket process.SocketSpec)
	// Listen says which named sockets are to be open, whether a process has them or not, and which others (their URLs) stay if they are. What is
	// neither is closed. The outcome are SocketOpening, SocketFailed and SocketClosed events. It has its place among the spawns.
	Listen(open []process.NamedSocket, keep []string)
	// Check resolves the command of spec as a spawn would, without starting anything. The error is a *CommandError.
	Check(spec *process.Spec) error
	// Run runs a command as the process of a spec would be run; see Local.Run.
	Run(ctx context.Context, spec *process.Spec, environ []string, command string) (output []byte, err error)
	// Facts looks at what the kernel and the place offer. It asks each time, and takes about a millisecond.
	Facts() Facts
	// Close stops the host's own goroutines and closes its descriptors. Children are left alone.
	Close() error
}

// Output receives what one output channel of a process writes. Its methods are called by one goroutine at a time.
type Output interface {
	// Open prepares for a new incarnation, e.g. opens the log file. An error fails the spawn.
	Open() error
	// Drain moves what can be read from the non-blocking descriptor fd, at most about max bytes. It returns how many bytes it moved;
	// io.EOF when no writer is left; (0, nil) when nothing is there now; syscall.EAGAIN when the sink itself takes nothing now (a slow
	// reader of a FIFO), whereupon it is asked again a little later and the process waits. A sink that fails (full disk) is no error here:
	// the bytes are consumed and the loss is reported by the sink itself.
	Drain(fd, max int) (n int, err error)
	// Close ends the incarnation: everything was drained.
	Close()
}

// Token identifies a request of the daemon; the host only hands it back.
type Token uint64

// SpawnRequest asks for one process.
type SpawnRequest struct {
	ID          process.ID
	Incarnation process.Incarnation
	Group       string
	Spec        *process.Spec // read only
	Environ     []string      // the complete environment, "KEY=value"
	Stdout      Output
	Stderr      Output // nil with RedirectStderr
	Pace        Pace
	NoInput     bool // its standard input is empty
}

// Pace says how soon the output of a process is to be moved.
type Pace int

// The paces.
const (
	Gathered Pace = iota // when it is worth it: output that comes bit by bit gathers in the pipe for some milliseconds
	Told                 // at once: somebody is told of each piece
	Dialogue             // at once, and before that of all others: the process speaks with the daemon
)

// SignalRequest asks for a signal to a process, to its process group, or to its tree: all that it has started.
type SignalRequest struct {
	ID          process.ID
	Incarnation process.Incarnation
	Signal      process.Signal
	ToGroup     bool
	ToTree      bool // to the process group as well
	Token       Token
}

// StdinRequest asks for data to be written to a process's standard input.
type StdinRequest struct {
	ID          process.ID
	Incarnation process.Incarnation
	Data        []byte
	Token       Token
	Idle        bool // nobody waits for the outcome if it is good
}

// Event is what the host tells the daemon. The set is closed.
type Event interface{ hostEvent() }

// Spawned reports a started process.
type Spawned struct {
	ID          process.ID
	Incarnation process.Incarnation
	PID         int
	Traits      Traits
}

// Traits are what a process can be found again by when nobody holds anything of it any more.
type Traits struct {
	Start uint64    // of /proc/PID/stat; 0 = unknown
	Pipes [3]uint64 // the inodes of standard input, output and error; 0 = none
	// The directory of its control group; "" = it has none of its own.
	Cgroup string
}

// Placed tells of a process that was to have a control group of its own, before its Spawned, if there is one, or when it is taken up.
type Placed struct {
	ID          process.ID
	Incarnation process.Incarnation
	Cgroup      string // the directory; "" = there is none
	Lacks       string // what could not be had and what is done instead; "" = nothing
}

// SpawnFailed reports that no process came to be. Text is Supervisor's spawnerr (contract: process, "Spawn").
type SpawnFailed struct {
	ID          process.ID
	Incarnation process.Incarnation
	Text        string
	Closed      string // the URL of the shared socket that was closed with it; "" = none
}

// Exited reports the end of a process. Its output has been drained; At is when the end was noticed, before that.
type Exited struct {
	ID          process.ID
	Incarnation process.Incarnation
	PID         int
	Status      process.ExitStatus
	At          time.Time
	Closed      string // the URL of the shared socket that was closed with it; "" = none
}

// Signalled reports the outcome of a SignalRequest. Err is nil when the signal was sent or the process was gone already.
type Signalled struct {
	ID          process.ID
	Incarnation process.Incarnation
	Token       Token
	Err         error
}

// StdinWritten reports the outcome of a StdinRequest: nil when the data was written or queued.
type StdinWritten struct {
	ID    process.ID
	Token Token
	Err   error // ErrStdinClosed, ErrStdinFull
	Idle  bool  // as in the request
}

// OrphanReaped reports the end of a child that was not started by the host (as pid 1, or as a subreaper).
type OrphanReaped struct {
	PID    int
	Status process.ExitStatus
}

// Trouble reports something that went wrong inside the host and stops nothing.
type Trouble struct{ Text string }

// SocketOpening reports the attempt to open the listening socket that the processes of a FastCGI program share. It comes before the news
// of the first of them.
type SocketOpening struct{ URL string }

// SocketFailed reports that a Probe or Listen could not open the socket. Text is Supervisor's, if it knows the kind.
type SocketFailed struct{ URL, Text string }

// SocketClosed reports that a Probe or Listen closed the socket.
type SocketClosed struct{ URL string }

func (Spawned) hostEvent()       {}
func (Placed) hostEvent()        {}
func (SpawnFailed) hostEvent()   {}
func (Exited) hostEvent()        {}
func (Signalled) hostEvent()     {}
func (StdinWritten) hostEvent()  {}
func (OrphanReaped) hostEvent()  {}
func (Trouble) hostEvent()       {}
func (SocketOpening) hostEvent() {}
func (SocketFailed) hostEvent()  {}
func (SocketClosed) hostEvent()  {}

// CommandError says why a command cannot be run.
type CommandError struct {
	Reason CommandReason
	Text   string // Supervisor's text, e.g. "can't find command '/bin/nope'"
}

// Error returns the text.
func (e *CommandError) Error() string { return e.Text }

// CommandReason classifies a CommandError as the control protocol does.
type CommandReason int

// The reasons.
const (
	NotFound      CommandReason = iota // fault NO_FILE
	NotExecutable                      // fault NOT_EXECUTABLE: a directory, no execute bit, no permission, or not parseable
)
