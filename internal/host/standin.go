package host

import (
	"os"
	"syscall"
)

// standInName is argv[0] of a stand-in.
const standInName = "graced: process that could not be started"

// Init must be the first call of main, and of TestMain in packages whose tests start processes: it turns this program into a stand-in when
// it was started as one, or into a program that gets sockets, and answers a keeper that asks whether it could become this program. Otherwise it only takes note of how this program began.
//
// A stand-in takes the place of a child that failed after the fork. Supervisor's forked child tells the failure on its standard error and
// exits with 127 (contract: process, "Spawn"); Go cannot run code of its own between fork and exec.
func Init() {
	readBegun()
	if len(os.Args) > 3 && os.Args[0] == passingName {
		os.Exit(pass(os.Args[1], os.Args[2], os.Args[3:]))
	}
	if len(os.Args) != 2 {
		return
	}
	switch os.Args[0] {
	default:
		return
	case trialName:
		os.Exit(standTrial(os.Args[1]))
	case standInName:
	}
	os.Exit(notSpawned(os.Args[1]))
}

// notSpawned tells a failure as Supervisor's forked child does, and returns its exit status.
func notSpawned(text string) int {
	_, _ = syscall.Write(2, []byte("supervisor: "+text+"supervisor: child process was not spawned\n"))
	return 127
}

// standIn starts this program as a stand-in for the job.
func (f *forker) standIn(j *forkJob, text string) (int, error) {
	environ := j.env
	j.env = []string{"GOMAXPROCS=1"}
	defer func() { j.env = environ }()
	return f.exec(j, "/proc/self/exe", []string{standInName, text}, nil, "")
}
