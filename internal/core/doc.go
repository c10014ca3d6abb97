// Package core is the state machine of supervision: processes, groups, operations and waiters.
//
// Supervisor.Step takes the time and one input and returns the effects to be carried out, in order. Nothing else decides anything about a
// process. The package is pure: it holds no clock, goroutine, lock, file or log, and it never fails; what is asked of the world comes
// back as an input, also when it was refused. A machine is made of its inputs alone: one that is written down (Snapshot, Restore) and stepped through
// the inputs since (AppendInput, InputDecoder) goes on as if nothing had been. It imports plan and process; package daemon owns the one Supervisor of a program.
package core
