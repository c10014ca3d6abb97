package core

import "github.com/graced/graced/internal/process"

// Options are the choices of a Supervisor. The zero value gives graced's own verdicts.
type Options struct {
	Quirks Quirks
	// StopAscending sends the signals of stop-all and stop-group in ascending priority, as the reference does against its manual (quirk C5).
	StopAscending bool
	// Identifier names the daemon in the header of events.
	Identifier string
	// EventSerial is the number of the first event; see Supervisor.EventSerial.
	EventSerial uint64
	// Marks are what users have said of processes and, by a name without a process, of groups; see Supervisor.Marks.
	Marks map[process.Namespec]Mark
	// Strict makes an input that the present state does not foresee a panic. Without it the input is ignored and published as Ignored.
	Strict bool
}

// Quirks switches on, one by one, the reference's own behaviour where graced deliberately differs.
type Quirks struct {
	KeepBackoff          bool // C2: the count of failures survives an explicit stop and start
	SilentStart          bool // C3: a start that does not wait, of a process that is STOPPING, succeeds and does nothing
	BootConfigOrder      bool // C7: the members of a group start in configuration order, whatever their priority
	NoRestartFloor       bool // C8: an exited process restarts at once, however short it lived
	BootOverflow         bool // F9: events that come before a pool's first listener is ready count against its buffer_size
	UnknownOnSignalError bool // C14: a process that a signal cannot be sent to becomes UNKNOWN
}

// ReferenceQuirks returns the options under which the machine decides as the reference does.
func ReferenceQuirks() Options {
	return Options{
		Quirks: Quirks{
			KeepBackoff:          true,
			SilentStart:          true,
			BootConfigOrder:      true,
			NoRestartFloor:       true,
			UnknownOnSignalError: true,
			BootOverflow:         true,
		},
		StopAscending: true,
	}
}
