package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// bunch is how many processes pass from the preparer to the forker and on to the finisher together, if so many wait: to wake the next one for
// each of them would cost more than what it does. One bunch may wait for the forker while the next is made: enough to keep it busy.
const bunch = 8

// forkJob is a prepared process on its way to the fork.
type forkJob struct {
	p         *proc // whose it is; nil in a keeper
	life      life
	name      string // for texts
	uid       int    // the configured user, for texts
	failure   string // not to be forked: why
	file      string
	argv      []string
	env       []string
	dir       string
	umask     int
	cred      *syscall.Credential
	userError string // the user cannot be become: why
	child     [3]int // the child's stdin, stdout, stderr; -1 = none (stderr shares stdout)
	passed    []int  // what it gets from 3 on
	expects   int    // how many of these are under way
	cgroup    string // the directory of the control group that it begins in; "" = that of its parent
	cgroupFD  int    // while it is forked right into that: a descriptor of it; 0 = none
	lacks     error  // why it did not come into its control group
}

// life names one incarnation of one process.
type life struct {
	id          process.ID
	incarnation process.Incarnation
}

// closeChild closes the child's ends.
func (j *forkJob) closeChild() {
	for i, fd := range j.child {
		if fd >= 0 {
			unix.Close(fd)
			j.child[i] = -1
		}
	}
	closeAll(j.passed)
	j.passed = nil
}

// forkResult is what became of a job.
type forkResult struct {
	job     *forkJob
	pid     int
	failure string // no process: why
}

// forker starts processes on a thread of its own. The thread has its own table of descriptors, with a handful in it: a fork copies the
// table of the thread that forks, which would cost more than everything else once the daemon holds the pipes of thousands of processes
// (measured: 0.1 ms against 0.5 ms with 4500 open). The child's pipe ends reach it over a socket. The thread also has its own umask and
// directory.
//
// The Go runtime is safe with that: the numbers of its epoll set and event descriptor mean the same in both tables, a locked thread runs
// nobody else's goroutines, and new threads never are clones of a locked one. Nothing on this thread may use another descriptor, hence its
// results go to the finisher.
//
// Where unshare(2) is forbidden (containers' default filters) everything happens in the common table.
type forker struct {
	born    func(j *forkJob, pid int) // registers a pid
	jobs    chan []*forkJob
	results chan []forkResult
	shared  bool // no own table
	sock    [2]int
	done    sync.WaitGroup

	// forking is held from a fork to the registration of its pid, so that the reaper does not take a newborn's exit for an orphan's.
	forking *sync.Mutex
}

// noUnshare makes tests take the way of containers.
var noUnshare = false

func startForker(forking *sync.Mutex, born func(j *forkJob, pid int)) (*forker, error) {
	f := &forker{forking: forking, born: born, jobs: make(chan []*forkJob, 1), results: make(chan []forkResult, 1)}
	sock, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make socket: %w", err)
	}
	f.sock = sock
	ready := make(chan struct{})
	f.done.Go(func() { f.onThread(ready) })
	<-ready
	return f, nil
}

// onThread runs the forker on a thread that is not the first one of the process: /proc/self means that one, and it must keep the common
// table.
func (f *forker) onThread(ready chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		f.done.Go(func() { f.onThread(ready) }) // cannot get this thread while it is locked
		<-ready
		runtime.UnlockOSThread()
		return
	}
	// Never unlocked from here: the thread ends with the goroutine.
	f.separate()
	close(ready)
	f.run()
}

// wait waits for the forker's end, after its jobs were closed.
func (f *forker) wait() {
	f.done.Wait()
	unix.Close(f.sock[0])
	unix.Close(f.sock[1])
}

// separate gives the thread its own table of descriptors, directory and umask.
func (f *forker) separate() {
	if noUnshare || Disabled("unshare") || unix.Unshare(unix.CLONE_FILES|unix.CLONE_FS) != nil {
		f.shared = true
		for _, fd := range openDescriptors() {
			unix.CloseOnExec(fd) // what the daemon was started with is not the children's
		}
		return
	}
	for _, fd := range openDescriptors() {
		target, _ := os.Readlink(fmt.Sprintf("/proc/thread-self/fd/%d", fd))
		if fd != f.sock[1] && !strings.HasPrefix(target, "anon_inode:[event") { // the runtime's
			unix.Close(fd)
		}
	}
}

// openDescriptors lists the descriptors above 2 in this thread's table. Without /proc it lists none, which costs speed alone.
func openDescriptors() (fds []int) {
	names, _ := os.ReadDir("/proc/thread-self/fd")
	for _, e := range names {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// send hands the child's pipe ends to the thread.
func (f *forker) send(j *forkJob) error {
	if f.shared {
		return nil
	}
	fds := []int{j.child[0], j.child[1]}
	if j.child[2] >= 0 {
		fds = append(fds, j.child[2])
	}
	j.expects = len(j.passed)
	fds = append(fds, j.passed...)
	if err := unix.Sendmsg(f.sock[0], []byte{0}, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL); err != nil {
		return err
	}
	n := len(fds) - j.expects
	j.closeChild()
	for i := range n {
		j.child[i] = pending
	}
	return nil
}

// pending marks a descriptor that is under way.
const pending = -2

// receive takes the pipe ends that send sent.
func (f *forker) receive(j *forkJob) error {
	if f.shared {
		return nil
	}
	var data [1]byte
	oob := make([]byte, unix.CmsgSpace((3+j.expects)*4))
	for {
		_, n, _, _, err := unix.Recvmsg(f.sock[1], data[:], oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			return unix.EMFILE
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return err
		}
		for i, fd := range j.child {
			if fd == pending {
				if len(fds) == 0 {
					return unix.EMFILE
				}
				j.child[i], fds = fds[0], fds[1:]
			}
		}
		if j.passed = fds; len(fds) < j.expects {
			return unix.EMFILE
		}
		return nil
	}
}

func (f *forker) run() {
	defer close(f.results)
	for jobs := range f.jobs {
		results := make([]forkResult, len(jobs))
		for i, j := range jobs {
			r := forkResult{job: j, failure: j.failure}
			if r.failure == "" {
				r.pid, r.failure = f.start(j)
			}
			j.env = nil // of no more use, and a few KiB each
			results[i] = r
		}
		f.results <- results
	}
}

// start forks. Its failure is Supervisor's spawnerr.
func (f *forker) start(j *forkJob) (pid int, failure string) {
	err := f.receive(j)
	defer j.closeChild()
	if err != nil {
		return 0, fmt.Sprintf("unknown error making dispatchers for '%s': %s", j.name, errnoName(err))
	}

	f.forking.Lock()
	defer f.forking.Unlock()
	if pid, err = f.forkInto(j); err != nil {
		return 0, forkFailure(j.name, err)
	}
	f.born(j, pid)
	return pid, ""
}

// forkInto forks into the job's control group if it has one. Where clone3(2) does not do that the child is moved: what it has started by then is not.
func (f *forker) forkInto(j *forkJob) (pid int, err error) {
	if j.cgroup == "" {
		return f.fork(j)
	}
	if fd, err := unix.Open(j.cgroup, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		j.cgroupFD = fd
		pid, err := f.fork(j)
		unix.Close(fd)
		j.cgroupFD = 0
		if err == nil {
			return pid, nil
		}
	}
	if pid, err = f.fork(j); err == nil {
		j.lacks = enterCgroup(j.cgroup, pid)
	}
	return pid, err
}

// forkFailure is the spawnerr of a fork that failed.
func forkFailure(name string, err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return fmt.Sprintf("too many open files to spawn '%s'", name)
	case errors.Is(err, unix.EAGAIN):
		return fmt.Sprintf("Too many processes in process table to spawn '%s'", name)
	}
	return fmt.Sprintf("unknown error during fork for '%s': %s", name, errnoName(err))
}

// fork starts the job's file, or a stand-in that says why it could not.
func (f *forker) fork(j *forkJob) (int, error) {
	if j.userError != "" {
		return f.standIn(j, j.setuidText(j.userError))
	}
	if j.umask != process.UnsetMask {
		defer unix.Umask(unix.Umask(j.umask))
	}
	file, argv := j.file, j.argv
	if len(j.passed) > 0 {
		file, argv = "/proc/self/exe", passingArgv(file, argv)
	}
	pid, err := f.exec(j, file, argv, j.cred, j.dir)
	if err == nil {
		return pid, nil
	}
	text := f.diagnose(j, err)
	if text == "" {
		return 0, err
	}
	return f.standIn(j, text)
}

// exec forks and executes.
func (f *forker) exec(j *forkJob, file string, argv []string, cred *syscall.Credential, dir string) (int, error) {
	stderr := j.child[2]
	if stderr < 0 {
		stderr = j.child[1]
	}
	files := []uintptr{uintptr(j.child[0]), uintptr(j.child[1]), uintptr(stderr)}
	for _, fd := range j.passed {
		files = append(files, uintptr(fd))
	}
	return syscall.ForkExec(file, argv, &syscall.ProcAttr{
		Dir:   dir,
		Env:   j.env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setpgid: true, Credential: cred, UseCgroupFD: j.cgroupFD != 0, CgroupFD: j.cgroupFD},
	})
}

// impossible is a file that cannot be executed for a reason of its own: no file can have so long a name.
var impossible = "/" + strings.Repeat("x", 256)

// probe forks once more, with a file that cannot be executed, and reports the error of the steps before, nil if they succeed.
func (f *forker) probe(j *forkJob, cred *syscall.Credential, dir string) error {
	_, err := f.exec(j, impossible, []string{"probe"}, cred, dir)
	if errors.Is(err, unix.ENAMETOOLONG) {
		return nil
	}
	return err
}

// diagnose finds the step that failed with err and returns what Supervisor's child says about it; "" = the fork itself failed. Go's
// ForkExec tells only the errno, so the steps are tried again one by one.
func (f *forker) diagnose(j *forkJob, err error) string {
	if f.probe(j, nil, "") != nil {
		return ""
	}
	if j.cred != nil {
		if uerr := f.probe(j, j.cred, ""); uerr != nil {
			return j.setuidText(f.userStep(j, uerr))
		}
	}
	if j.dir != "" {
		derr := f.probe(j, j.cred, j.dir)
		if derr == nil && errors.Is(err, unix.ENAMETOOLONG) {
			derr = err // the directory's name is as impossible as the probe's file
		}
		if derr != nil {
			return fmt.Sprintf("couldn't chdir to %s: %s\n", j.dir, errnoName(derr))
		}
	}
	return fmt.Sprintf("couldn't exec %s: %s\n", j.argv[0], errnoName(err))
}

func (j *forkJob) setuidText(why string) string {
	return fmt.Sprintf("couldn't setuid to %d: %s\n", j.uid, why)
}

// userStep says which part of becoming the user fails.
func (f *forker) userStep(j *forkJob, err error) string {
	self := uint32(os.Getuid())
	groups := &syscall.Credential{Uid: self, Gid: uint32(os.Getgid()), Groups: j.cred.Groups}
	if f.probe(j, groups, "") != nil {
		return "Could not set groups of effective user"
	}
	gid := &syscall.Credential{Uid: self, Gid: j.cred.Gid, NoSetGroups: true}
	if f.probe(j, gid, "") != nil {
		return "Could not set group id of effective user"
	}
	return errnoName(err)
}
