// Package sim runs the state machine of package core in a world of its own: a virtual clock, and children whose lives are written down
// beforehand. It owns random scenarios, the script language of the core's tests, the invariants that every run must keep, and the
// comparison with Supervisor's own classes. It exists for tests alone: nothing but tests may import it, and it never starts a process
// other than the Python interpreter that runs the reference.
//
// To compare more scenarios with the reference, or to look at one:
//
//	go test ./internal/sim -run TestOracle -count=1 -oracle.n=20000 -timeout 30m
//	go test ./internal/sim -run TestOracle -v -oracle.seed=15 -oracle.n=1 -oracle.show
//	go test ./internal/sim -run TestOracle -oracle.record     # after a change of Generate
//	go test ./internal/sim -run TestRandom -seed=1000 -sim.n=20000
//	go test ./internal/sim -run TestUpdate -seed=1000 -update.n=20000
//	go test ./internal/sim -run TestCrash -seed=1000 -crash.n=20000 -timeout 3h
package sim
