package control

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Desired is what users have said of processes besides the files, and what the files have said over time.
type Desired interface {
	// Mark says of processes that they are to be left as they are (hold), do not start by themselves (disable), or neither (enable). It
	// survives a restart. BadName, IncorrectParameters; names before the first bad one have been marked.
	Mark(ctx context.Context, req MarkRequest) (Marking, error)
	// History lists the generations of the configuration, the latest last.
	History(ctx context.Context) ([]Generation, error)
	// HistoryDiff lists what makes generation to of generation from. BadName when one is not kept.
	HistoryDiff(ctx context.Context, from, to int) ([]GenerationChange, error)
	// Standing tells where what runs is not what the files say.
	Standing(ctx context.Context) (Standing, error)
}

// The marks.
const (
	MarkHold    = "hold"
	MarkDisable = "disable"
	MarkEnable  = "enable"
)

// MarkRequest marks processes ("g:p", "p") and whole groups ("g:*").
type MarkRequest struct {
	Names []string `json:"names"`
	Mark  string   `json:"mark"`
	Note  string   `json:"note,omitempty"` // as CheckNote takes it
	Who   string   `json:"-"`
}

// NoteMost is how many characters a note may have.
const NoteMost = 500

// CheckNote returns a note as it is kept, on one line, or the fault of one that is none.
func CheckNote(note string) (string, error) {
	if n := utf8.RuneCountInString(note); n > NoteMost {
		return "", Fault(IncorrectParameters, fmt.Sprintf("note: it has %d characters, and %d is the most", n, NoteMost))
	}
	note = strings.Join(strings.Fields(note), " ") // line ends, too
	for _, r := range note {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return "", Fault(IncorrectParameters, fmt.Sprintf("note: %q is no character of a text", r))
		}
	}
	return note, nil
}

// The schemas of the answers below.
const (
	MarksSchema       = "graced.marks/v1"
	HistorySchema     = "graced.history/v1"
	HistoryDiffSchema = "graced.history_diff/v1"
	StandingSchema    = "graced.standing/v1"
)

// Marking is what Mark has done.
type Marking struct {
	Schema  string   `json:"schema,omitempty"`
	Verb    string   `json:"verb"` // hold, disable, enable
	Marks   []Marked `json:"marks"`
	NotKept string   `json:"not_kept,omitempty"` // why the next daemon may not know of them
}

// Marked is a mark of one process or of a group.
type Marked struct {
	Name string    `json:"name"` // "g:p" or "g:*"
	Mark string    `json:"mark"`
	Who  string    `json:"who"`
	When time.Time `json:"when"`
	Note string    `json:"note,omitempty"`
}

// Generation is a configuration that was in force.
type Generation struct {
	Rev     int       `json:"rev"`
	When    time.Time `json:"when"`
	Who     string    `json:"who,omitempty"`
	Op      string    `json:"op,omitempty"`
	Result  string    `json:"result"` // started, or how the operation ended
	Summary string    `json:"summary,omitempty"`
}

// GenerationChange is one difference between two generations.
type GenerationChange struct {
	Group    string `json:"group"`
	Process  string `json:"process,omitempty"` // "" = the group itself
	Action   string `json:"action"`            // changed, added, removed
	Option   string `json:"option,omitempty"`
	Variable string `json:"variable,omitempty"`
	Class    string `json:"class,omitempty"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
}

// Readiness is what a check of a process has found.
type Readiness struct {
	Ready bool   `json:"ready"`          // it is RUNNING and was found ready
	Text  string `json:"text,omitempty"` // why it is not
}

// Standing is where what runs is not what the files say.
type Standing struct {
	Schema    string     `json:"schema,omitempty"`
	Rev       int        `json:"rev"`       // of the generation in force
	Overrides []Override `json:"overrides"` // numbers of processes that differ from the files'
	Marks     []Marked   `json:"marks"`
	Newer     []string   `json:"newer"`              // files that have changed since they were read
	Drift     []string   `json:"drift,omitempty"`    // groups that run something else than the files said when they were read
	NotKept   string     `json:"not_kept,omitempty"` // why what users have set is not on disk
	Lacking   []Lacking  `json:"lacking,omitempty"`  // processes that lack what their options ask for
	// Readiness tells of each process with a check of that, by "group:name".
	Readiness map[string]Readiness `json:"readiness,omitempty"`
	// Restarts tells of each process, by "group:name", how often the daemon has started it by itself since somebody or an update has; without a name: never.
	Restarts map[string]int `json:"restarts"`
	// Idle are the processes, as "group:name", that do not run and that nothing is about to start.
	Idle []string `json:"idle,omitempty"`
}
