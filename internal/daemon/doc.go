// Package daemon is the running supervisor: it owns the one core.Supervisor of a program, carries out its effects through package host
// and package childlog, and answers control.Service.
//
// One goroutine, Daemon.Run, steps the core; nothing slow runs there. The package never decides anything about a process (core
// does), never parses a file (config does) and never speaks HTTP. Only mains import it.
package daemon
