package event

import "strings"

// Type is the name of a kind of event. Abstract types are never sent; to subscribe to one means all that derive from it.
type Type uint8

// The types, each after what it derives from.
const (
	Any Type = iota // EVENT, from which everything derives
	ProcessState
	ProcessStateStopped
	ProcessStateExited
	ProcessStateStarting
	ProcessStateStopping
	ProcessStateBackoff
	ProcessStateFatal
	ProcessStateRunning
	ProcessStateUnknown
	ProcessCommunication
	ProcessCommunicationStdout
	ProcessCommunicationStderr
	ProcessLog
	ProcessLogStdout
	ProcessLogStderr
	RemoteCommunication
	SupervisorStateChange
	SupervisorStateChangeRunning
	SupervisorStateChangeStopping
	Tick
	Tick5
	Tick60
	Tick3600
	ProcessGroup
	ProcessGroupAdded
	ProcessGroupRemoved
	types // how many there are
)

// names holds the names on the wire and in configuration files, and what each type derives from.
var names = [types]struct {
	name   string
	parent Type
}{
	Any:                           {"EVENT", Any},
	ProcessState:                  {"PROCESS_STATE", Any},
	ProcessStateStopped:           {"PROCESS_STATE_STOPPED", ProcessState},
	ProcessStateExited:            {"PROCESS_STATE_EXITED", ProcessState},
	ProcessStateStarting:          {"PROCESS_STATE_STARTING", ProcessState},
	ProcessStateStopping:          {"PROCESS_STATE_STOPPING", ProcessState},
	ProcessStateBackoff:           {"PROCESS_STATE_BACKOFF", ProcessState},
	ProcessStateFatal:             {"PROCESS_STATE_FATAL", ProcessState},
	ProcessStateRunning:           {"PROCESS_STATE_RUNNING", ProcessState},
	ProcessStateUnknown:           {"PROCESS_STATE_UNKNOWN", ProcessState},
	ProcessCommunication:          {"PROCESS_COMMUNICATION", Any},
	ProcessCommunicationStdout:    {"PROCESS_COMMUNICATION_STDOUT", ProcessCommunication},
	ProcessCommunicationStderr:    {"PROCESS_COMMUNICATION_STDERR", ProcessCommunication},
	ProcessLog:                    {"PROCESS_LOG", Any},
	ProcessLogStdout:              {"PROCESS_LOG_STDOUT", ProcessLog},
	ProcessLogStderr:              {"PROCESS_LOG_STDERR", ProcessLog},
	RemoteCommunication:           {"REMOTE_COMMUNICATION", Any},
	SupervisorStateChange:         {"SUPERVISOR_STATE_CHANGE", Any},
	SupervisorStateChangeRunning:  {"SUPERVISOR_STATE_CHANGE_RUNNING", SupervisorStateChange},
	SupervisorStateChangeStopping: {"SUPERVISOR_STATE_CHANGE_STOPPING", SupervisorStateChange},
	Tick:                          {"TICK", Any},
	Tick5:                         {"TICK_5", Tick},
	Tick60:                        {"TICK_60", Tick},
	Tick3600:                      {"TICK_3600", Tick},
	ProcessGroup:                  {"PROCESS_GROUP", Any},
	ProcessGroupAdded:             {"PROCESS_GROUP_ADDED", ProcessGroup},
	ProcessGroupRemoved:           {"PROCESS_GROUP_REMOVED", ProcessGroup},
}

// String returns the name on the wire.
func (t Type) String() string { return names[t].name }

// Parse returns the type with a name; upper and lower case are the same.
func Parse(name string) (Type, bool) {
	name = strings.ToUpper(name)
	for t := range types {
		if names[t].name == name {
			return t, true
		}
	}
	return 0, false
}

// Names returns every name that can be subscribed to, each after what it derives from.
func Names() []string {
	list := make([]string, types)
	for t := range types {
		list[t] = names[t].name
	}
	return list
}

// is reports whether t is a or derives from it.
func (t Type) is(a Type) bool {
	for ; t != a; t = names[t].parent {
		if t == Any {
			return false
		}
	}
	return true
}

// Set is a set of types.
type Set uint32

// Subscription returns the set of all types that a subscription to the given ones covers. A type is in it once, however many of them cover it
// (quirk F8b).
func Subscription(to ...Type) Set {
	var s Set
	for t := range types {
		for _, a := range to {
			if t.is(a) {
				s |= 1 << t
			}
		}
	}
	return s
}

// Has reports whether the set holds t.
func (s Set) Has(t Type) bool { return s&(1<<t) != 0 }

// Overlaps reports whether the sets have a type in common.
func (s Set) Overlaps(o Set) bool { return s&o != 0 }
