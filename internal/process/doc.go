// Package process is graced's vocabulary: what a process is defined by (Spec, GroupSpec), which states it can be in (State), how
// it is named on the wire (Namespec) and how it ended (ExitStatus).
//
// It owns no behaviour beyond comparison, naming and formatting, imports the standard library alone, and every other package may
// import it. It is pure: no clock, environment, goroutine, lock, file or log.
package process
