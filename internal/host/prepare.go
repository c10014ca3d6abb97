package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// prepareQueue holds the processes to start, in order. It has no bound: Spawn never blocks.
type prepareQueue struct {
	mu     sync.Mutex
	cond   *sync.Cond
	waits  []*proc
	closed bool
}

func newPrepareQueue() *prepareQueue {
	q := &prepareQueue{}
	q.cond = sync.NewCond(&q.mu)
	return q
}

func (q *prepareQueue) push(p *proc) {
	q.mu.Lock()
	q.waits = append(q.waits, p)
	q.mu.Unlock()
	q.cond.Signal()
}

// pop returns the next processes, up to max, nil when the queue is closed.
func (q *prepareQueue) pop(max int) []*proc {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waits) == 0 && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return nil
	}
	n := min(max, len(q.waits))
	next := slices.Clone(q.waits[:n])
	clear(q.waits[:n])
	q.waits = q.waits[n:]
	return next
}

func (q *prepareQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.cond.Broadcast()
}

// prepareAll does for each process what Supervisor does before its fork.
func (h *Local) prepareAll() {
	for next := h.ready.pop(bunch); next != nil; next = h.ready.pop(bunch) {
		jobs := make([]*forkJob, 0, len(next))
		for _, p := range next {
			if p.last {
				h.parent.dropRest()
				continue
			}
			if p.listen != nil {
				h.listen(p.listen)
				continue
			}
			r := h.parent.take(p.life())
			if r == nil && p.known != 0 {
				h.untold(p)
				continue
			}
			job, text := h.prepare(p, r)
			switch {
			case text != "":
				// By way of the parent, so that outcomes are reported in the order of the requests.
				job = &forkJob{p: p, life: p.life(), failure: text}
			case r != nil:
				h.takeUp(p, r)
				continue
			}
			jobs = append(jobs, job)
		}
		if len(jobs) > 0 {
			h.parent.fork(jobs)
		}
	}
}

// prepare resolves the command, opens the outputs and makes the pipes; of a process that is there only the socket is wanted. The text is
// Supervisor's spawnerr.
func (h *Local) prepare(p *proc, there *record) (*forkJob, string) {
	p.pipes = [2]outPipe{{fd: -1}, {fd: -1}}
	spec := p.req.Spec
	if spec.Socket.URL != "" {
		socket, err := h.sockets.acquire(fcgiSocket(spec.Program, spec.Socket, there))
		switch {
		case err != nil && there != nil:
			h.emit(Trouble{Text: socketText(spec.Socket, err)})
		case err != nil:
			return nil, socketText(spec.Socket, err)
		}
		p.socket = socket
	}
	passed, text := h.named(spec, there)
	if there != nil {
		if text != "" {
			h.emit(Trouble{Text: text})
		}
		return nil, ""
	}
	if text != "" {
		return nil, text
	}
	environ, text := withFiles(p.req.Environ, spec)
	if text != "" {
		return nil, text
	}
	environ = withSockets(environ, spec)
	file, argv, cerr := resolve(spec.Command, environPath(environ))
	if cerr != nil {
		return nil, cerr.Text
	}
	job := &forkJob{
		p: p, life: p.life(), name: spec.Name, uid: spec.UID,
		file: file, argv: argv, env: environ, dir: spec.Directory, umask: spec.Umask, child: [3]int{-1, -1, -1},
	}
	if spec.UID != process.UnsetID {
		job.setUser(spec.UID, &h.users)
	}
	err := h.makePipes(p, job)
	for _, s := range passed {
		if err == nil {
			var fd int
			if fd, err = s.duplicate(); err == nil {
				job.passed = append(job.passed, fd)
			}
		}
	}
	if err == nil {
		err = h.parent.hand(job)
	}
	if err == nil {
		return job, ""
	}
	job.closeChild()
	p.closePipes()
	if errors.Is(err, errOldKeeper) {
		return nil, err.Error()
	}
	if errnoName(err) == "EMFILE" {
		return nil, fmt.Sprintf("too many open files to spawn '%s'", spec.Name)
	}
	return nil, fmt.Sprintf("unknown error making dispatchers for '%s': %s", spec.Name, errnoName(err))
}

// makePipes makes the pipes and opens the outputs.
func (h *Local) makePipes(p *proc, job *forkJob) error {
	if err := makeStdin(p, job); err != nil {
		return err
	}
	outputs := []Output{p.req.Stdout, p.req.Stderr}
	if p.req.Spec.RedirectStderr {
		outputs = outputs[:1]
	}
	for i, out := range outputs {
		r, w, err := outputPipe(h.parent.outlives())
		if err != nil {
			return err
		}
		p.pipes[i] = outPipe{fd: r, out: out}
		job.child[i+1] = w
		if out == nil {
			p.pipes[i].out = discard{}
		}
	}
	if job.cred != nil {
		// /dev/stdout and the like open the pipe by name, which needs its owner. If it cannot be given away the process runs all the same.
		for i, fd := range job.child {
			if fd >= 0 && (i > 0 || p.socket == nil && !p.req.NoInput) {
				_ = unix.Fchown(fd, int(job.cred.Uid), int(job.cred.Gid))
			}
		}
	}
	for i, out := range outputs {
		if out == nil {
			continue
		}
		if err := out.Open(); err != nil {
			return err
		}
		p.opened[i] = true
	}
	return nil
}

// makeStdin makes the standard input: a pipe, or the socket that the processes of the program share.
func makeStdin(p *proc, job *forkJob) (err error) {
	if p.socket != nil {
		job.child[0], err = p.socket.duplicate()
		return err
	}
	if p.req.NoInput {
		job.child[0], err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	}
	var in [2]int
	if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	job.child[0] = in[0]
	p.setStdin(in[1])
	_, err = unix.FcntlInt(uintptr(in[1]), unix.F_SETFL, unix.O_NONBLOCK)
	return err
}

// outputPipe makes a pipe whose read end does not block. The process's end is open for reading, too, where its output outlives the daemon: it waits
// until somebody reads on. Otherwise it is told when it writes (EPIPE): it would wait for ever (docs/adr/009).
func outputPipe(outlives bool) (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, err
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETFL, 0); err != nil { // the process's end blocks
		unix.Close(fds[0])
		unix.Close(fds[1])
		return -1, -1, err
	}
	if outlives {
		if both, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fds[1]), unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil { // without /proc it stays as it is
			unix.Close(fds[1])
			fds[1] = both
		}
	}
	return fds[0], fds[1], nil
}

// setUser prepares the switch to uid, or the text of why it cannot be made.
func (j *forkJob) setUser(uid int, users *userDB) {
	u, ok := users.lookup(uid)
	switch {
	case !ok:
		j.userError = fmt.Sprintf("Can't find uid %d", uid)
	case os.Getuid() == uid:
	case os.Getuid() != 0:
		j.userError = "Can't drop privilege as nonroot user"
	default:
		j.cred = &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}
	}
}

// environPath returns the directories of PATH in a complete environment.
func environPath(environ []string) []string {
	for i := len(environ) - 1; i >= 0; i-- {
		if path, ok := strings.CutPrefix(environ[i], "PATH="); ok {
			return strings.Split(path, ":")
		}
	}
	return []string{"/bin", "/usr/bin", "/usr/local/bin"}
}

// discard is the Output of a channel that nobody wants.
type discard struct{}

func (discard) Open() error { return nil }
func (discard) Close()      {}

// Drain reads and forgets.
func (discard) Drain(fd, max int) (int, error) { return readAway(fd, max) }
