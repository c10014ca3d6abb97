package core

import (
	"time"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// Now is the moment of a step. Decisions use Mono alone; Wall is only reported.
type Now struct {
	Mono time.Duration // monotonic, from any fixed origin
	Wall time.Time
}

// Req identifies a command whose answer someone waits for. Zero: nobody waits.
type Req uint64

// Token identifies a signal or a write whose outcome someone waits for.
type Token uint64

// Input is news from the world, or a wish. The set is closed.
type Input interface{ input() }

// Spawned says that a Spawn effect led to a process.
type Spawned struct {
	ID          process.ID
	Incarnation process.Incarnation
	PID         int
}

// SpawnFailed says that a Spawn effect led to none. Text is shown to users.
type SpawnFailed struct {
	ID          process.ID
	Incarnation process.Incarnation
	Text        string
}

// Exited says how a process ended. At is when that was noticed (Now.Mono), where it is known to be earlier than the step: a process whose end
// came before startsecs had passed did not stay up, however late the news. Zero: now. Told again, it changes nothing.
type Exited struct {
	ID          process.ID
	Incarnation process.Incarnation
	Status      process.ExitStatus
	At          time.Duration
}

// Signalled is the outcome of a Signal effect. Error is "" when the signal was sent, or when the process was gone already.
type Signalled struct {
	ID          process.ID
	Incarnation process.Incarnation
	Token       Token
	Error       string
}

// StdinWritten is the outcome of a WriteStdin effect. Fault is nil when the data was taken; without a text it gets the name that was asked for.
type StdinWritten struct {
	Token Token
	Fault *Fault
}

// HookEnded is the outcome of a RunHook effect. Text is "" when the command ended with exit status 0, else it says what went wrong.
type HookEnded struct {
	Token Token
	Text  string
}

// Output is what a process wrote, for PROCESS_LOG events and, Captured, for PROCESS_COMMUNICATION events. Only types in Supervisor.Wanted need
// to be handed in. The machine keeps Data.
type Output struct {
	ID          process.ID
	Incarnation process.Incarnation
	Stderr      bool
	Captured    bool
	Data        []byte
}

// ListenerOutput is what a process of a listener group wrote to its standard output. The machine does not keep Data.
type ListenerOutput struct {
	ID          process.ID
	Incarnation process.Incarnation
	Data        []byte
}

// Checked says what a check of a process has found: each change, and the first result. A process without a check of its readiness is ready as soon as
// it is RUNNING.
type Checked struct {
	ID          process.ID
	Incarnation process.Incarnation
	Alive       bool // it is about liveness, not readiness
	OK          bool
	Text        string // why not
}

// Command is a wish from outside. It is answered by exactly one Reply unless Req is zero or it is cancelled.
type Command struct {
	Req Req
	Do  Verb
}

// Cancel says that nobody waits for the answer to Req any more. What the command began goes on.
type Cancel struct{ Req Req }

// Tick carries the time alone: deadlines that have passed fire.
type Tick struct{}

func (Spawned) input()        {}
func (SpawnFailed) input()    {}
func (Exited) input()         {}
func (Signalled) input()      {}
func (StdinWritten) input()   {}
func (HookEnded) input()      {}
func (Output) input()         {}
func (ListenerOutput) input() {}
func (Checked) input()        {}
func (Command) input()        {}
func (Cancel) input()         {}
func (Tick) input()           {}

// Verb is what a Command asks for. The set is closed.
type Verb interface{ verb() }

// Target names processes. Text is the name as the caller wrote it: the detail of a BadName fault.
type Target struct {
	Group   string
	Process string // "" = every process of Group
	All     bool   // every process of every group; Group and Process are empty
	Text    string
}

// Start starts processes (contract: rpc, startProcess and friends). Refused holds, for processes whose command cannot be run, the fault
// found before the command was given (NoFile, NotExecutable).
type Start struct {
	Target  Target
	Wait    bool
	Refused map[process.ID]*Fault
}

// Stop stops processes.
type Stop struct {
	Target Target
	Wait   bool
}

// SendSignal sends a signal to processes; their state does not change by it. Refused holds the fault of a signal that is none: it
// answers for every process that could have been signalled, after the name was found good.
type SendSignal struct {
	Target  Target
	Signal  process.Signal
	Refused *Fault
}

// WriteInput writes to the standard input of one process.
type WriteInput struct {
	Target Target
	Data   []byte
}

// AddGroups adds groups in the given order, all of them before the first process starts. One group that is there already makes the
// whole command fail with AlreadyAdded. Boot: these are the daemon's first, listeners hear that it runs. Found are the members that are there
// already: they are taken up as they are, and the others start. What is found and no member, or cannot be so, makes the whole command fail with
// BadName or Failed.
type AddGroups struct {
	Groups []process.GroupSpec
	Boot   bool
	Found  map[process.Namespec]Found
}

// RemoveGroup removes a group of stopped processes.
type RemoveGroup struct{ Name string }

// AddProcesses adds members to a group. A name that is there already makes the whole command fail with BadName.
type AddProcesses struct {
	Group string
	Specs []process.Spec
}

// RemoveProcess removes one stopped member. With Departed, a member that left by way of a Leave or Apply command counts as removed
// (an old client that repeats its half of grace_update succeeds).
type RemoveProcess struct {
	Group, Name string
	Departed    bool
}

// Apply carries out a plan: additions at once, surplus members stopped in parallel and removed as soon as each has ended. It is answered
// when the last is gone. A plan for another base than the group's present one is refused with Stale.
type Apply struct{ Plan plan.Plan }

// Leave carries out the additions of a plan and marks its surplus members as leaving, without stopping them: the half of grace_update
// that old clients leave to the server. Stopping a leaving member that has stopped already succeeds.
type Leave struct{ Plan plan.Plan }

// Update carries out the plans of an update: new members are started and surplus ones end at once, those to be replaced are so one after the
// other in each group. It is answered with Updated when all is over; a plan for another base than the present one is refused with Stale as a
// whole. Op, if not zero, names the update in StepBegan, StepEnded and CancelUpdate. Processes it has to do with are held until their step is
// over: see Supervisor.Blocked.
//
// New processes have to become ready and to stay so, as the rolls of their plans say, or Roll does. What follows when one does not is said there, too.
type Update struct {
	Op   uint64
	Plan plan.Update
	Roll *process.Roll
}

// Act stops processes, starts them or, with both, does one after the other: the stops in descending order of priority, and once the last has ended
// the starts in ascending order. Of targets that are more than one process those are touched that Start and Stop would touch; processes that are
// named get NotRunning and AlreadyStarted where there is nothing to do. It is answered with Updated when all is over, each process with one step
// for its stop and one for its start. Op is as with Update, and so is the holding of processes. A target that names nothing is BadName, as a whole.
type Act struct {
	Op          uint64
	Targets     []Target
	Stop, Start bool
	Now         bool                  // the stops begin with SIGKILL
	AtOnce      int                   // so many steps at a time; 0 = all
	Refused     map[process.ID]*Fault // as with Start
}

// PauseUpdate keeps an operation from beginning with more processes until Resume, which does not skip any. BadName when it is over.
type PauseUpdate struct {
	Op     uint64
	Resume bool
}

// Hurry skips what is left of the stops of the targets that are under way, whoever has asked for them: SIGKILL follows at once. It is answered at
// once; who stops is not waited for.
type Hurry struct{ Targets []Target }

// Refresh has processes read their own configuration again, in the way that their specs name. It is answered when that was done.
type Refresh struct{ Target Target }

// CancelUpdate keeps an operation from beginning with more processes. BadName when it is over.
type CancelUpdate struct{ Op uint64 }

// SendRemote gives a REMOTE_COMMUNICATION event to the listeners.
type SendRemote struct{ Kind, Data string }

// Identify names the daemon in the header of events from now on.
type Identify struct{ Name string }

// Quit stops everything, group after group, and ends with a Halt effect.
type Quit struct{ Restart bool }

func (Start) verb()         {}
func (Stop) verb()          {}
func (SendSignal) verb()    {}
func (WriteInput) verb()    {}
func (AddGroups) verb()     {}
func (RemoveGroup) verb()   {}
func (AddProcesses) verb()  {}
func (RemoveProcess) verb() {}
func (Apply) verb()         {}
func (Leave) verb()         {}
func (Update) verb()        {}
func (Act) verb()           {}
func (PauseUpdate) verb()   {}
func (Hurry) verb()         {}
func (Refresh) verb()       {}
func (CancelUpdate) verb()  {}
func (Identify) verb()      {}
func (Quit) verb()          {}
func (SendRemote) verb()    {}

// FaultKind classifies a refusal. The numbers are those of the control protocol (contract: rpc, "Dispatch and faults").
type FaultKind int

// The refusals. Stale, Cancelled and LeftOut have no number in the protocol: they belong to updates, which old clients do not know.
const (
	ShutdownState       FaultKind = 6
	BadName             FaultKind = 10
	BadSignal           FaultKind = 11
	NoFile              FaultKind = 20
	NotExecutable       FaultKind = 21
	Failed              FaultKind = 30
	AbnormalTermination FaultKind = 40
	SpawnError          FaultKind = 50
	AlreadyStarted      FaultKind = 60
	NotRunning          FaultKind = 70
	AlreadyAdded        FaultKind = 90
	StillRunning        FaultKind = 91
	Stale               FaultKind = -1
	Cancelled           FaultKind = -2
	LeftOut             FaultKind = -3 // of a step: its process is held by now
)

// Fault is a refused command, or the refused part of one.
type Fault struct {
	Kind FaultKind
	Text string // detail, often the name as given
	// Taken, of a step with Cancelled: somebody has stopped its process. By is the operation that has; 0 = a command without one.
	Taken bool
	By    uint64
}

// Outcome is the result for one process of a command. Fault nil: success.
type Outcome struct {
	Group, Name string
	Fault       *Fault
}

// Effect is something to be done in the world. The set is closed.
type Effect interface{ effect() }

// Spawn starts a process; the answer is Spawned or SpawnFailed.
type Spawn struct {
	ID          process.ID
	Incarnation process.Incarnation
	Group       string
	Spec        *process.Spec // read only
}

// Signal sends a signal to a process, to its process group or to all that it has started; the answer is Signalled.
type Signal struct {
	ID          process.ID
	Incarnation process.Incarnation
	PID         int
	Signal      process.Signal
	ToGroup     bool
	ToTree      bool // to the process group as well
	Token       Token
}

// WriteStdin writes data; the answer is StdinWritten.
type WriteStdin struct {
	ID          process.ID
	Incarnation process.Incarnation
	Data        []byte
	Token       Token
	Idle        bool // nobody waits for the answer: that the data was taken may be told together with the next news
}

// Watch has the checks of a process made until it ends or Unwatch says otherwise, in the place of those that were made of it. The answers are Checked.
// With Ready it has been found ready.
type Watch struct {
	ID          process.ID
	Incarnation process.Incarnation
	Group       string
	PID         int
	Ready       bool
	Spec        *process.Spec // read only
}

// Unwatch ends the checks of a process.
type Unwatch struct{ ID process.ID }

// RunHook runs a command on behalf of a process, as its user and with its environment, and once: it is known by its Token. The answer is HookEnded.
type RunHook struct {
	Token       Token
	ID          process.ID
	PID         int // of the process; 0 = it has none yet
	Group, Name string
	Option      string // that asks for it
	Command     string
	Most        time.Duration // that it may take
	Reason      Reason
	Exit        *process.ExitStatus // how the process has ended, with post_stop
	Spec        *process.Spec       // read only
}

// EndHook ends such a command with SIGKILL. It may come again, and when the command has ended by itself.
type EndHook struct{ Token Token }

// OpenLogs prepares the logs of a process that was added, before its first Spawn.
type OpenLogs struct {
	ID       process.ID
	Group    string
	Spec     *process.Spec
	Listener bool // of a listener group: its standard output is the protocol
}

// CloseLogs releases the logs of a process that was removed.
type CloseLogs struct{ ID process.ID }

// ChangeLogs changes the logs of a process that may be running to what its spec says now.
type ChangeLogs struct {
	ID       process.ID
	Group    string
	Spec     *process.Spec
	Listener bool
}

// Reply answers a command. With a target of one process, Fault or success; otherwise one Outcome for each process that was touched, in
// the order of completion. Apply answers with Applied.
type Reply struct {
	Req      Req
	Fault    *Fault
	Outcomes []Outcome
	Applied  *Applied
	Updated  []StepResult // with Update and Act: in the order of completion
}

// StepResult is what an operation did to one process. Fault nil: done.
type StepResult struct {
	Group, Name string
	From        string // its name before
	Action      plan.Action
	OldPID, PID int        // 0 = it did not run, or does not
	Started     bool       // it was started
	Undo        bool       // it got back what it had before the operation
	Extra       process.ID // of a process that is there only while others are replaced, and may be gone; zero: it is none
	Fault       *Fault
}

// Applied is the result of an Apply or Leave. Names are members, in natural order.
type Applied struct {
	Added   []string // new members, and leaving ones that stay after all
	Stopped []string // surplus that had to be stopped
	Removed []string
	Failed  []Outcome // what could not be done
}

// Publish reports a fact to whoever listens: the main log, later event listeners.
type Publish struct{ Event Event }

// Halt says that everything has stopped after Quit, or because an essential process has ended. Nothing follows it. Code is the exit code of the daemon.
type Halt struct {
	Restart bool
	Code    int
}

func (Spawn) effect()      {}
func (Signal) effect()     {}
func (WriteStdin) effect() {}
func (Watch) effect()      {}
func (Unwatch) effect()    {}
func (RunHook) effect()    {}
func (EndHook) effect()    {}
func (OpenLogs) effect()   {}
func (ChangeLogs) effect() {}
func (CloseLogs) effect()  {}
func (Reply) effect()      {}
func (Publish) effect()    {}
func (Halt) effect()       {}

// Event is a fact worth telling. The set is closed. State events follow the change of the state.
type Event interface{ event() }

// StateChanged is one transition (contract: events, "Payloads"): PID is the process's pid where it had one, Tries the failures so far with
// STARTING and BACKOFF, Expected the verdict with EXITED.
type StateChanged struct {
	ID          process.ID
	Incarnation process.Incarnation
	Group, Name string
	From, To    process.State
	PID         int
	Tries       int
	Expected    bool
}

// ReadyChanged says that a process has become ready, or is not any more, and why.
type ReadyChanged struct {
	Group, Name string
	PID         int
	Ready       bool
	Text        string
}

// NotAlive says that a process was found not to be alive, and what happens to it.
type NotAlive struct {
	Group, Name string
	PID         int
	Text        string
	Action      process.AliveAction
}

// ProcessForked says that a process exists ("spawned: 'n' with pid p").
type ProcessForked struct {
	Group, Name string
	PID         int
}

// SpawnProblem says why a start failed ("spawnerr: ...").
type SpawnProblem struct{ Group, Name, Text string }

// ProcessEnded says how a process ended. Stopped: after a stop request. Expected: the main log calls it expected. TooQuick: before startsecs.
type ProcessEnded struct {
	Group, Name string
	PID         int
	Status      process.ExitStatus
	Stopped     bool
	Expected    bool
	TooQuick    bool
}

// StaysUp says that a process counts as RUNNING now, with the seconds it had to last.
type StaysUp struct {
	Group, Name string
	StartSecs   int
}

// GaveUp says that a process is FATAL.
type GaveUp struct{ Group, Name string }

// WornOut says that a process is FATAL because it would have been started by itself more often than its restart_limit.
type WornOut struct {
	Group, Name string
	Limit       process.Rate
}

// BreakerOpened says that a group has had too many unexpected ends: its restarts wait.
type BreakerOpened struct {
	Group string
	Rate  process.Rate
}

// ProbeFailed says that the process which went first did not become RUNNING. The next one goes after a pause.
type ProbeFailed struct {
	Group, Name string
	Pause       time.Duration
}

// BreakerClosed says that a process is RUNNING, and the others follow; without a name, that no program of the group has a breaker any more.
type BreakerClosed struct{ Group, Name string }

// Waits says that the start of a process by itself is held back by the breaker of its group.
type Waits struct{ Group, Name string }

// WaitsFor says that the start of a process waits for what it depends on, and how that stands; again when it has come to wait in vain.
type WaitsFor struct{ Group, Name, Text string }

// Summoned says that a process is started because another one that somebody wants to start depends on it.
type Summoned struct {
	Group, Name string
	For         process.Namespec
}

// StopsAfter says that a process is stopped once another one that depends on it has stopped.
type StopsAfter struct {
	Group, Name string
	Other       process.Namespec
}

// EssentialEnded says that an essential process has ended for good: everything is stopped, and the daemon ends with Code.
type EssentialEnded struct {
	Group, Name string
	State       process.State // EXITED or FATAL
	Status      process.ExitStatus
	HasStatus   bool // else there has been no process, the last time
	Code        int
}

// KillSent says that a stop signal or SIGKILL was sent.
type KillSent struct {
	Group, Name string
	PID         int
	Signal      process.Signal
	ToGroup     bool
	ToTree      bool
	Escalated   bool // SIGKILL after a step that was not obeyed
}

// DrainBegan says that a process has got the time to finish what it does before it is stopped: by a signal, or, without one, by a command.
type DrainBegan struct {
	Group, Name string
	PID         int
	Signal      process.Signal
	Most        time.Duration
}

// HookBegan says that a command of the life of a process runs. PID 0: there is no process yet.
type HookBegan struct {
	Group, Name string
	Option      string
	PID         int
	Most        time.Duration
}

// HookProblem says that a command or signal that an option asks for did not do what it should. Nothing else follows from that.
type HookProblem struct{ Group, Name, Option, Text string }

// SignalSent says that a signal by command was sent.
type SignalSent struct {
	Group, Name string
	PID         int
	Signal      process.Signal
}

// SignalProblem says that a signal could not be sent.
type SignalProblem struct {
	Group, Name string
	PID         int
	Text        string
}

// WaitingToStop is reported while a command waits for a process to end, at most every 2 s.
type WaitingToStop struct{ Group, Name string }

// WaitingToDie is reported while everything is being stopped, at most every 3 s.
type WaitingToDie struct{ Names []string }

// GroupAdded and GroupRemoved report changes of the set of groups, MemberAdded and MemberRemoved those of one group.
type GroupAdded struct{ Name string }

// GroupRemoved reports that a group is gone.
type GroupRemoved struct{ Name string }

// MemberAdded reports a process added to an existing group.
type MemberAdded struct{ Group, Name string }

// MemberRemoved reports a process removed from a group that stays.
type MemberRemoved struct{ Group, Name string }

// MemberRenamed reports a process that goes on under another name.
type MemberRenamed struct{ Group, From, Name string }

// StepBegan and StepEnded report what an operation does: the first what it starts, stops or replaces, the second what is over, done or not.
type StepBegan struct {
	Op   uint64
	Step StepResult
}

// UpdatePaused says that an operation waits for somebody's decision, or goes on. Text names the process that has failed, if one has.
type UpdatePaused struct {
	Op     uint64
	Paused bool
	Text   string
}

// StepEnded is the opposite of StepBegan. A step that changes something at once, or that is not taken, has no beginning.
type StepEnded struct {
	Op   uint64
	Step StepResult
}

// Quitting reports that the daemon began to stop everything.
type Quitting struct{ Restart bool }

// Ignored reports an input that the state of the process does not foresee: the world broke its side of the contract, nothing was done.
type Ignored struct {
	Group, Name string
	State       process.State
	Input       string
}

// ListenerChanged is a change of what a listener is ready for.
type ListenerChanged struct {
	Name     string
	From, To event.ListenerState
}

// EventSent says that a listener got an event, EventNotSent that it could not be written to.
type EventSent struct {
	Name   string
	Serial uint64
}

// EventNotSent is the opposite of EventSent. The event goes to another listener.
type EventNotSent struct {
	Name   string
	Serial uint64
	Full   bool // it has not read what it was sent before; otherwise its standard input is closed
}

// EventJudged says what became of an event that a listener answered.
type EventJudged struct {
	Name    string
	Verdict Verdict
}

// Verdict is what a result handler says.
type Verdict int

// The verdicts. After EventFailed the listener gets no more events.
const (
	EventAccepted Verdict = iota
	EventRejected
	EventFailed
)

// BadResultLine is a line of a listener where RESULT and a length should be.
type BadResultLine struct{ Name, Line string }

// EventDiscarded says that a full buffer lost its oldest event.
type EventDiscarded struct {
	Pool   string
	Serial uint64
}

// EventRebuffered says that an event waits again, with the number of events that wait besides and how many may.
type EventRebuffered struct {
	Pool      string
	Serial    uint64
	Size, Max int
}

func (StateChanged) event()    {}
func (ListenerChanged) event() {}
func (EventSent) event()       {}
func (EventNotSent) event()    {}
func (EventJudged) event()     {}
func (BadResultLine) event()   {}
func (EventDiscarded) event()  {}
func (EventRebuffered) event() {}
func (ReadyChanged) event()    {}
func (NotAlive) event()        {}
func (ProcessForked) event()   {}
func (SpawnProblem) event()    {}
func (ProcessEnded) event()    {}
func (StaysUp) event()         {}
func (GaveUp) event()          {}
func (WornOut) event()         {}
func (BreakerOpened) event()   {}
func (ProbeFailed) event()     {}
func (BreakerClosed) event()   {}
func (Waits) event()           {}
func (WaitsFor) event()        {}
func (Summoned) event()        {}
func (StopsAfter) event()      {}
func (EssentialEnded) event()  {}
func (KillSent) event()        {}
func (DrainBegan) event()      {}
func (HookBegan) event()       {}
func (HookProblem) event()     {}
func (SignalSent) event()      {}
func (SignalProblem) event()   {}
func (WaitingToStop) event()   {}
func (WaitingToDie) event()    {}
func (GroupAdded) event()      {}
func (GroupRemoved) event()    {}
func (MemberAdded) event()     {}
func (MemberRemoved) event()   {}
func (MemberRenamed) event()   {}
func (UpdatePaused) event()    {}
func (StepBegan) event()       {}
func (StepEnded) event()       {}
func (Quitting) event()        {}
func (Ignored) event()         {}
