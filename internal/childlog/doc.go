// Package childlog keeps what processes write: size-rotated log files, followers of them, and the reading of parts of them. The
// daemon's own activity log is kept by the same code (File).
//
// It owns the log files and their rotation. It never starts or looks at a process and knows no process states; what happens to a
// process when its log fails is not its business either: losses are reported and supervision goes on (contract: logging).
// Package daemon imports it; it imports package process.
package childlog
