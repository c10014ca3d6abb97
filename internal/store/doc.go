// Package store keeps what a daemon has to know again after its end or the machine's: overrides of process counts, marks (hold, disable),
// the history of operations and the generations of the configuration, each with who, when and why.
//
// It owns one directory, which nobody else can read, and two files in it:
//
//	state.json      a snapshot, replaced as a whole: a JSON document with one record to a line
//	journal.jsonl   what has changed since, one change to a line, only appended to
//
// Both can be read with cat and jq. Every line has a checksum of itself: do not edit them. What a daemon finds damaged when it opens them is
// reported with file and line, everything before the damage is kept, and the damaged file stays beside the new one under another name
// (state.json.bad-20060102T150405Z). A last change that was cut off is dropped. No damage keeps a daemon from starting.
//
// Records are absolute: a line says what a thing is now, or that it is gone, so that a line may be read twice. Each kind of record has a version.
// Fields that this program does not know, records of a version that it does not know and whole kinds are kept and written back as they are,
// so that an older program can take the directory over for a while. A version rises only when a known field changes its meaning; a new
// field does not raise it.
//
// Generations hold the settings of every process, and with them the values of environment variables: passwords, as a rule. They are on disk as
// they are, in files with mode 0600 in a directory that the store makes with mode 0700. Diff masks what its caller wants masked.
//
// The store never decides what a mark means for a process, never starts a goroutine and never logs: what is worth telling is returned as Notices.
// Package daemon imports it; it imports packages plan and process.
package store
