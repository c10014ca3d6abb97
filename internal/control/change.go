package control

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Change shows what an update would do, and does it. What changes something is an operation: it goes on whoever watches, and of two that have to do with
// one process the later waits for the earlier.
type Change interface {
	// Plan compares the files with what runs and changes nothing. CantReread if they are broken, BadName for a group that neither has and for a
	// generation ("r7") that is not kept. Of a rolling restart or of a way back to a generation it tells the same.
	Plan(ctx context.Context, req PlanRequest) (Plan, error)
	// Findings checks the daemon's files, or with an absolute name another main file, for what is wrong with them.
	Findings(ctx context.Context, file string) (Findings, error)
	// Preview tells what another verb would do and changes nothing. The faults are those of the verb.
	Preview(ctx context.Context, req PreviewRequest) (Preview, error)
	// Update reads the files and carries out what Plan would say now. It answers as soon as the operation is known; Operation tells how it goes.
	// CantReread, BadName; StalePlan when another plan was asked for than the present one. With To it goes back to a generation: the files are neither
	// read nor touched. BadName ("r7") when that is not kept.
	Update(ctx context.Context, req UpdateRequest) (Operation, error)
	// Scale gives programs other numbers of processes, whatever the files say, until Scale to ScaleToFile. Nothing else changes. The numbers
	// survive a restart. Where it has to wait, it counts anew when its turn comes. BadName, IncorrectParameters; Failed for a program whose group
	// is not active.
	Scale(ctx context.Context, req ScaleRequest) (Scaling, error)
	// Act starts, stops or restarts processes as an operation, with the answer of Update: all stops in descending order of priority, then the starts in
	// ascending order. Start and Stop are the same without one. BadName for a name that names nothing, IncorrectParameters. A rolling restart replaces
	// the processes that run, so many at a time, as an update would that brings them no other settings.
	Act(ctx context.Context, req ActRequest) (Operation, error)
	// Upgrade has another daemon go on where this one is, from a program or, with "", from the one that is there now under our name. It answers when
	// that is about to begin: no process notices. The keeper follows when the other daemon is ready. Failed for a file that is none.
	Upgrade(ctx context.Context, binary string) error
	// Operations lists the operations of this daemon and of those before it, the latest last; old ones are forgotten.
	Operations(ctx context.Context) ([]Operation, error)
	// Operation describes one, with what happened after the first so many events. It waits until there is something
	// to tell, unless after is negative: then it tells everything. BadName.
	Operation(ctx context.Context, id string, after int) (Operation, error)
	// CancelOperation keeps an operation from beginning anything new. BadName when it is over or unknown.
	CancelOperation(ctx context.Context, id string) error
	// PauseOperation keeps an operation from going on until ResumeOperation. BadName when it is over or unknown, Failed when it has not begun; to
	// resume one that is not paused is Failed as well.
	PauseOperation(ctx context.Context, id string) error
	ResumeOperation(ctx context.Context, id string) error
}

// StalePlan is the fault of a plan that is not the present one any more. Supervisor has no such number.
const StalePlan Code = 231

// PlanRequest says what to plan.
type PlanRequest struct {
	Groups []string `json:"groups,omitempty"` // nil = all
	File   string   `json:"file,omitempty"`   // another main file, absolute; "" = the daemon's own
	Since  int      `json:"since,omitempty"`  // compare this generation with the files in place of what runs; 0 = what runs
	// To plans the way back to this generation, in place of that to the files.
	To int `json:"to,omitempty"`
	// Restart plans a rolling restart of these, named as in an ActRequest.
	Restart []string     `json:"restart,omitempty"`
	Roll    *RollRequest `json:"roll,omitempty"`
}

// FindingsSchema is the schema of Findings.
const FindingsSchema = "graced.findings/v1"

// Findings is everything that a check has found in configuration files. Passwords and secrets are not in it.
type Findings struct {
	Schema string          `json:"schema,omitempty"`
	Errors int             `json:"errors"`   // how many keep the files from being loaded
	List   json.RawMessage `json:"findings"` // as in the schema graced.check/v1
	Text   string          `json:"text"`     // the same for people, each with the lines that it is about
}

// UpdateRequest says what to update. With Plan, the identifier of a plan that the daemon has shown, exactly that is done or nothing.
type UpdateRequest struct {
	Plan   string       `json:"plan,omitempty"`
	Groups []string     `json:"groups,omitempty"` // nil = all
	To     int          `json:"to,omitempty"`     // the generation to go back to; 0 = what the files say
	Roll   *RollRequest `json:"roll,omitempty"`   // not with Plan, which has its own
	Who    string       `json:"-"`                // asked for it, in words
}

// The schemas of the answers below.
const (
	PlanSchema       = "graced.plan/v1"
	OperationSchema  = "graced.operation/v1"
	OperationsSchema = "graced.operations/v1"
)

// Plan is what an update would do now.
type Plan struct {
	Schema string      `json:"schema,omitempty"`
	ID     string      `json:"id"`
	Files  []PlanFile  `json:"files"`
	Groups []PlanGroup `json:"groups"` // every group that was looked at
	Totals PlanTotals  `json:"totals"`
	Notes  []PlanNote  `json:"warnings"`

	Overrides []Override `json:"overrides"`
	Since     int        `json:"since,omitempty"` // as in the request
	// Of is what it is a plan of: restart, rollback; "" = an update to the files. To is with rollback the generation.
	Of string `json:"of,omitempty"`
	To int    `json:"to,omitempty"`
	// Failing are the processes of these groups that do not run although nobody stopped them, and that the update leaves as they are.
	Failing []FailingProcess `json:"failing"`
}

// FailingProcess is one that could not be started, or did not stay up.
type FailingProcess struct {
	Process string `json:"process"` // "group:process"
	State   string `json:"state"`   // FATAL, or BACKOFF: it is tried again
	Text    string `json:"text"`    // why, as far as it is known
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool {
	for _, g := range p.Groups {
		if g.Action != "keep" {
			return false
		}
	}
	return true
}

// PlanFile is a file that was read.
type PlanFile struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// PlanGroup is what happens to one group. All names are "group:process" in the order of the group; Down are those that only take new
// settings, since they do not run.
type PlanGroup struct {
	Name      string         `json:"name"`
	Action    string         `json:"action"` // keep, change, add, remove, replace
	Changes   []OptionChange `json:"changes"`
	Start     []string       `json:"start"`
	Stop      []string       `json:"stop"`
	Remove    []string       `json:"remove,omitempty"` // without a stop: they do not run
	Replace   []string       `json:"replace"`
	Rename    []Renaming     `json:"rename"`
	Live      []string       `json:"live"`
	Down      []string       `json:"down"`
	Add       []string       `json:"add"` // without a start: autostart=false
	Untouched []string       `json:"untouched"`
	Held      []string       `json:"held"` // of the untouched: those that would change if they were not held
	// Reasons say why something happens to a process, or why nothing does to one that is held.
	Reasons []PlanReason `json:"reasons"`
	// Strategy is how the processes are replaced one after the other; nil = none is.
	Strategy *PlanStrategy `json:"strategy,omitempty"`
	// Estimate is about how long it takes, in seconds: startsecs along the longest line of starts, and how long each has to stay ready. How long a process
	// takes to stop, or to become ready, is not known; StopMost is the most that the stops are given.
	Estimate float64 `json:"estimate_s"`
	StopMost float64 `json:"stop_most_s"`
}

// PlanReason is why something happens to a process, on one line, with the place in the files that is behind it.
type PlanReason struct {
	Process string `json:"process"`
	Reason  string `json:"reason"` // "command changed (/etc/x.conf:12): needs a restart"
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Renaming is a process that goes on under another name.
type Renaming struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// OptionChange is one option with another value. Values of variables that look like secrets are hidden.
type OptionChange struct {
	Option    string   `json:"option"`
	Variable  string   `json:"variable,omitempty"` // with environment
	Old       string   `json:"old"`
	New       string   `json:"new"`
	Hidden    bool     `json:"hidden,omitempty"`
	Class     string   `json:"class"` // of process.Class
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line,omitempty"`
	Processes []string `json:"processes,omitempty"` // where not all that stay have it
}

// PlanTotals counts processes.
type PlanTotals struct {
	Keep    int `json:"keep"` // keep their pid
	Replace int `json:"replace"`
	Start   int `json:"start"`
	Stop    int `json:"stop"`
	Live    int `json:"live"` // settings that take effect at once
}

// NoteRefused is the code of a note that the plan would be refused now, and why.
const NoteRefused = "W190"

// PlanNote is a remark about the files, or about the plan.
type PlanNote struct {
	Code    string `json:"code"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

// OperationState says how an operation goes.
type OperationState string

// The states of an operation. Waiting: for another one to end.
const (
	OperationWaiting   OperationState = "waiting"
	OperationRunning   OperationState = "running"
	OperationDone      OperationState = "done"      // all of it
	OperationNothing   OperationState = "nothing"   // there was nothing to do
	OperationFailed    OperationState = "failed"    // some of it: see the events
	OperationCancelled OperationState = "cancelled" // some of it, or nothing
	OperationStale     OperationState = "stale"     // nothing: the plan was not the present one any more

	OperationPaused     OperationState = "paused"      // some of it: it waits for somebody to resume or cancel it
	OperationRolledBack OperationState = "rolled_back" // nothing in the end: one failed, and those that were replaced got back what they had

	OperationInterrupted OperationState = "interrupted" // some of it: the daemon ended
)

// Over reports whether nothing follows.
func (s OperationState) Over() bool {
	return s != OperationWaiting && s != OperationRunning && s != OperationPaused
}

// Words is the state for people.
func (s OperationState) Words() string { return strings.ReplaceAll(string(s), "_", " ") }

// ScaleRequest says how many processes programs shall have.
type ScaleRequest struct {
	Targets []ScaleTarget `json:"targets"`
	Victim  string        `json:"victim,omitempty"` // which go first: highest (the default), oldest, newest
	Lazy    bool          `json:"lazy,omitempty"`   // surplus goes when it ends by itself
	DryRun  bool          `json:"dry_run,omitempty"`
	Who     string        `json:"-"`
}

// ScaleTarget is one program. To is a number, one more or less ("+2", "-1"), or ScaleToFile.
type ScaleTarget struct {
	Program string `json:"program"`
	To      string `json:"to"`
}

// ScaleToFile is the number that the files say.
const ScaleToFile = "file"

// ScalingSchema is the schema of a Scaling.
const ScalingSchema = "graced.scaling/v1"

// Scaling is what Scale does, and the operation that does it; nil with DryRun.
type Scaling struct {
	Schema    string          `json:"schema,omitempty"`
	Programs  []ScaledProgram `json:"programs"`
	Operation *Operation      `json:"operation,omitempty"`
}

// ScaledProgram is what happens to one program. Names are "group:process".
type ScaledProgram struct {
	Program  string   `json:"program"`
	Before   int      `json:"before"`
	After    int      `json:"after"`
	InFile   int      `json:"in_file"`
	File     string   `json:"file,omitempty"` // where that stands, or its section
	Line     int      `json:"line,omitempty"`
	SHA256   string   `json:"sha256,omitempty"` // of that file, as the daemon reads it
	Nums     []int    `json:"nums"`             // process_num of each
	Override bool     `json:"override"`
	Start    []string `json:"start"`
	Stop     []string `json:"stop"`
	Leave    []string `json:"leave"` // once they end
}

// Override is a program whose number of processes was set by Scale.
type Override struct {
	Program string `json:"program"`
	Count   int    `json:"count"`
	InFile  int    `json:"in_file"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// ActRequest says what to do to which processes.
type ActRequest struct {
	Verb string `json:"verb"` // start, stop, restart
	// Names are of processes ("web:web_0"; "db" for "db:db"), of whole groups ("web:*"), or "all". A process that is named by itself has steps also
	// where there is nothing to do.
	Names  []string `json:"names"`
	AtOnce int      `json:"at_once,omitempty"` // so many processes at a time; 0 = all
	Now    bool     `json:"now,omitempty"`     // with stop and restart: SIGKILL at once, also to what is being stopped already
	// Rolling, with restart: those that run are replaced in a line, and the next has to wait until the one before it is ready. Where nothing else is
	// said the operation pauses when one fails: there is nothing to go back to.
	Rolling bool         `json:"rolling,omitempty"`
	Roll    *RollRequest `json:"roll,omitempty"`
	Who     string       `json:"-"`
}

// The verbs of an ActRequest.
const (
	ActStart   = "start"
	ActStop    = "stop"
	ActRestart = "restart"
)

// RefreshedSchema is the schema of a Refreshed.
const RefreshedSchema = "graced.refreshed/v1"

// RefreshRequest says who is to read its own configuration again: a process ("web:web_0"; "db" for "db:db"), a whole group ("web:*"), or "all".
type RefreshRequest struct {
	Name string `json:"name"`
}

// Refreshed is what became of that.
type Refreshed struct {
	Schema  string             `json:"schema"`
	Results []RefreshedProcess `json:"results"`
}

// RefreshedProcess is what became of one process.
type RefreshedProcess struct {
	Group     string `json:"group"`
	Name      string `json:"name"`
	FaultCode Code   `json:"faultCode,omitempty"` // 0 = it has been told
	Error     string `json:"error,omitempty"`
}

// ErrorSchema is the schema of a Problem.
const ErrorSchema = "graced.error/v1"

// Problem is an error as the JSON interface shows it.
type Problem struct {
	Schema    string `json:"schema,omitempty"`
	Title     string `json:"title"`
	Status    int    `json:"status"` // of HTTP
	Detail    string `json:"detail"`
	FaultCode int    `json:"faultCode"` // of the control protocol
}

// Operation is one change on its way, or over.
type Operation struct {
	Schema string         `json:"schema,omitempty"`
	ID     string         `json:"id"`             // "op-7"; "" = there is none, since there was nothing to do
	Kind   string         `json:"kind"`           // update, scale, start, stop, restart, roll, rollback; add, remove of one that has had to wait
	Who    string         `json:"who,omitempty"`  // "" = there is no operation
	Plan   string         `json:"plan,omitempty"` // its identifier; "" while it waits, and where there is no operation
	State  OperationState `json:"state"`
	Behind string         `json:"behind,omitempty"` // with waiting: the operation that it waits for
	// BehindState is the state of that one: running, or paused.
	BehindState OperationState `json:"behind_state,omitempty"`
	Text        string         `json:"text,omitempty"`   // with failed, rolled_back, stale, interrupted: why, or how far it came
	Failed      string         `json:"failed,omitempty"` // with paused and rolled_back: the process because of which; "" with paused = somebody wanted it
	To          int            `json:"to,omitempty"`     // with rollback: the generation
	Began       time.Time      `json:"began,omitzero"`   // zero = there is no operation
	Ended       *time.Time     `json:"ended,omitempty"`  // not known of what was interrupted
	Steps       int            `json:"steps"`            // one for each process that it touches; with restart two
	Done        int            `json:"done"`
	Events      []ProgressLine `json:"events"` // from the asked one on
	Count       int            `json:"count"`  // of all events so far
	// Scaled is, of a scaling, what happens to each program; while it waits, what would happen now.
	Scaled []ScaledProgram `json:"scaled,omitempty"`
	// NotKept is why the next daemon may not know what it changed: the disk did not take it.
	NotKept string `json:"not_kept,omitempty"`
	// Earlier: it was over before this daemon began. Of these the events are known only if they were interrupted.
	Earlier bool `json:"earlier,omitempty"`
}

// ProgressLine is one thing that happened in an operation.
type ProgressLine struct {
	Time    time.Time `json:"t"`
	Type    string    `json:"type"` // begin, end; news: what a process that has begun waits for
	Process string    `json:"process"`
	From    string    `json:"from,omitempty"` // its name before
	Action  string    `json:"action"`         // start, add, stop (and remove, but in an operation that is a start, stop or restart), leave (once it ends), replace, rename, live
	OldPID  int       `json:"old_pid,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Error   string    `json:"error,omitempty"`
	Skipped bool      `json:"skipped,omitempty"` // with Error: nothing was done to it
	Undo    bool      `json:"undo,omitempty"`    // it gets back what it had before the operation
	Text    string    `json:"text,omitempty"`    // more about it: "ready, steady 10s"
	// Output are, of a process that has failed, the last lines that it wrote since its start, and Channel is where it wrote them.
	Output  []string `json:"output,omitempty"`
	Channel Channel  `json:"channel,omitempty"`
	// FaultCode is the number of the error in the control protocol; 0 = it has none.
	FaultCode Code `json:"faultCode,omitempty"`
}
