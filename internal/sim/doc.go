// Package sim runs the state machine of package core in a world of its own: a virtual clock, and children whose lives are written down
// beforehand. It owns random scenarios, the script language of the core's tests, the invariants that every run must keep, and the
// comparison with Supervisor's own classes. It exists for tests alone: nothing but tests may import it, and it never starts a process
// other than the Python interpreter that runs the reference.
package sim
