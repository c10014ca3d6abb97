package control

// RollRequest says how processes are to be replaced, where that is not what their options say. What is not set is left to them.
type RollRequest struct {
	MaxUnavailable string   `json:"max_unavailable,omitempty"` // so many, or "25%" of them, may be out of work at a time
	Canary         *int     `json:"canary,omitempty"`          // so many are replaced first, and have to be good before the others follow
	Steady         *float64 `json:"steady_s,omitempty"`        // a new process has to stay ready for so long
	OnFailure      string   `json:"on_failure,omitempty"`      // rollback, pause, stop
}

// PlanStrategy is how the processes of a group are replaced.
type PlanStrategy struct {
	MaxUnavailable int      `json:"max_unavailable"` // processes that may be out of work at a time
	Surge          int      `json:"surge,omitempty"` // extra processes that are there meanwhile
	Extra          []string `json:"extra,omitempty"` // their names
	Canary         int      `json:"canary"`
	Steady         float64  `json:"steady_s"`
	OnFailure      string   `json:"on_failure"`
	Batches        int      `json:"batches"`         // how many steps that makes
	Ready          string   `json:"ready,omitempty"` // the check by which they have to become ready, where they have one
}

// ExtraNote marks, at the end of what is said of a process, one that is there only while others are replaced.
const ExtraNote = "extra while others are replaced"

// The kinds of operations that are neither an act nor an update of the files.
const (
	KindRoll     = "roll"     // a rolling restart
	KindRollback = "rollback" // to an earlier generation
)

// What a Plan is of, besides an update to the files.
const (
	PlanOfRestart  = "restart"
	PlanOfRollback = "rollback"
)
