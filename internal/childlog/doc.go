// Package childlog keeps what processes write: size-rotated log files, followers of them, and the reading of parts of them. The
// daemon's own activity log is kept by the same code (File).
//
// It owns the log files and their rotation. It never starts or looks at a process and knows no process states; what happens to a
// process when its log fails is not its business either: losses are reported and supervision goes on (contract: logging).
// Package daemon imports it; it imports package process.
//
// # When the daemon is killed
//
// A pipe whose reading end somebody else holds too goes on when the daemon is killed at any instant, and with Stream.Continue and Recover in the
// next daemon this holds for each byte of output, over rotations as well:
//
//   - A file, when nobody looks at the bytes: exactly once. splice takes them out of the pipe and puts them into the file in one step.
//   - A file, when they are filtered, told of or sent to syslog as well: exactly once with a Stage. Without one, what was read and not yet written is
//     lost, and so is what was held back (captures, unfinished sequences).
//   - A pipe, a terminal, a socket, a device: at least once with a Stage. Nobody can ask them what they have got, so that the one write during
//     which the daemon was killed is made again; what a slow reader has not taken yet is kept. Without a Stage: at most once.
//   - syslog: each line at least once with a Stage; the one that was being sent may come again. Without a Stage: at most once.
//   - The functions of Config: at least once with a Stage, and exactly once for those who store what they are told before they return, and
//     Stream.Position with it. What they only pass on is told at most once when it is lost on its way.
//   - No log at all: nothing is kept, but for what the last two say.
//
// What a full disk, an error or a log that cannot be opened makes the daemon drop is dropped, also after a restart. Bytes are in the kernel's hands, not
// on the disk: nothing is promised for the machine's own crash. Somebody else who truncates a log between the kill and the restart may make
// the write double that the kill has cut off.
package childlog
