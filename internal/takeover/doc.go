// Package takeover takes the processes of a running Supervisor over: Python's supervisord, which knows nothing of it. Inspect looks and changes nothing,
// Seize stops supervisord and takes its ends of the pipes and its listening sockets, and Commit ends it; until then Abort lets it go on as if
// nothing had been. Adopt matches what it has told with a configuration.
//
// It owns a supervisord that it has stopped. It never sends a signal to a process of it, reads no byte of their output, and knows no
// log file.
//
// What only supervisord's memory holds ends with it: events that wait for a listener, what was captured of a token that is not complete, input that a
// process has not taken, and a signal that it got within the last second. A stop without waiting for its end, asked for between Inspect and
// Seize, is not noticed: the two belong together.
package takeover
