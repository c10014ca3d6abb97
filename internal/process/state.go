package process

import "strconv"

// State is the condition of a process, with the codes that Supervisor publishes (contract: process, "States"). Codes are never
// added: finer facts belong into Status.
type State int

// The eight states and their wire codes.
const (
	Stopped  State = 0
	Starting State = 10
	Running  State = 20
	Backoff  State = 30
	Stopping State = 40
	Exited   State = 100
	Fatal    State = 200
	Unknown  State = 1000
)

// States lists every state in ascending order of its code.
var States = []State{Stopped, Starting, Running, Backoff, Stopping, Exited, Fatal, Unknown}

// String returns the name on the wire, e.g. "RUNNING".
func (s State) String() string {
	switch s {
	case Stopped:
		return "STOPPED"
	case Starting:
		return "STARTING"
	case Running:
		return "RUNNING"
	case Backoff:
		return "BACKOFF"
	case Stopping:
		return "STOPPING"
	case Exited:
		return "EXITED"
	case Fatal:
		return "FATAL"
	case Unknown:
		return "UNKNOWN"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// IsStopped reports whether nothing runs and nothing will start by itself soon: STOPPED, EXITED, FATAL, UNKNOWN. Only such a
// process can be removed.
func (s State) IsStopped() bool {
	return s == Stopped || s == Exited || s == Fatal || s == Unknown
}

// IsRunning reports whether Supervisor counts the state as running: STARTING, RUNNING, BACKOFF. Such a process can be stopped and
// cannot be started. STOPPING is in neither class.
func (s State) IsRunning() bool {
	return s == Starting || s == Running || s == Backoff
}

// IsSignallable reports whether a signal may be sent: STARTING, RUNNING, STOPPING.
func (s State) IsSignallable() bool {
	return s == Starting || s == Running || s == Stopping
}
