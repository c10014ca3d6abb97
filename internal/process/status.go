package process

import "time"

// Status is what is known of one process at one moment: an immutable copy, safe to share.
type Status struct {
	ID          ID
	Incarnation Incarnation
	Group, Name string
	GroupIndex  int // position of the group in insertion order
	State       State
	PID         int       // 0 = none
	Started     time.Time // wall time of the last spawn; zero = never started
	Ended       time.Time // wall time of the last exit; zero = never
	Exit        ExitStatus
	HasExit     bool   // Exit is known; cleared by a spawn
	SpawnErr    string // why the last start failed or the process gave up; "" = nothing to say
	Restarts    int    // starts by itself, after an end or a failed start, since the last start that somebody wanted
	Waits       string // what its start by itself is held back for, or the command that is waited for; "" = neither
	Idle        bool   // it does not run, and nothing is about to start it
	Extra       bool   // it is there only while others are replaced
	Leaving     bool   // the process is about to be removed and takes no start
	Ready       bool   // RUNNING and, where somebody looks, found ready
	Unready     string // what a check has found instead; "" = nothing to say
	Spec        *Spec  // the spec in force; read only
}

// Namespec returns the process's full name.
func (s Status) Namespec() Namespec { return Namespec{Group: s.Group, Process: s.Name} }
