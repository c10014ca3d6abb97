package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// keepEnv names the environment variable that makes a process the keeper of the daemon that has started it: it names the descriptor that leads
// there, and the daemon's generation.
const keepEnv = "GRACED_KEEP"

// IsKeeper reports whether this program was started, or executed by a keeper, to be the keeper of a daemon that is at work.
func IsKeeper() bool { return os.Getenv(keepEnv) != "" || begun.manifest >= 0 }

// PrivateEnviron reports whether a line of an environment is between keepers and daemons alone.
func PrivateEnviron(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	return name == keepEnv || name == linkEnv || name == execEnv
}

// Renewed is called with the pid of each keeper that had to be started in the place of one that died.
func (l *Link) Renewed(f func(pid int)) {
	l.mu.Lock()
	l.renewed = f
	pid, again := l.keeper, l.again
	l.mu.Unlock()
	if again {
		f(pid)
	}
}

// lost starts another keeper after the death of ours. Children live on as nobody's: the new keeper gets what stands for them, since the next
// daemon needs one.
func (l *Link) lost() {
	const patience = time.Second
	told := l.awaitDeath()
	for pause := time.Millisecond; ; pause = min(2*pause, patience) {
		err := l.renew()
		if err == nil {
			if told != 0 {
				l.signalled(told)
			}
			return
		}
		l.mu.Lock()
		l.state.Missing = true
		l.mu.Unlock()
		l.warn(fmt.Sprintf("the keeper has died, and no other can be started: %v", err))
		time.Sleep(pause)
	}
}

// reapPatience is how long it may take until a process that is being reaped tells how it has ended.
const reapPatience = 50 * time.Millisecond

// awaitDeath waits until the keeper is dead: it is while nothing is left of it that could fork. Its end of the socket closes a little earlier. It returns
// the signal that has killed the keeper where that is one to pass on: it came while nobody was there to take it. 0 is none.
func (l *Link) awaitDeath() syscall.Signal {
	const patience = 5000 // milliseconds
	l.mu.Lock()
	keeper := l.keeperIs
	l.mu.Unlock()
	if keeper == nil {
		return 0
	}
	for keeper.Pidfd >= 0 {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(keeper.Pidfd), Events: unix.POLLIN}}, patience); err != unix.EINTR {
			break
		}
	}
	if keeper.Pidfd < 0 {
		keeper.lookForEnd()
	}
	status, how := keeper.Ended()
	for end := time.Now().Add(reapPatience); how == Unreaped && time.Now().Before(end); time.Sleep(time.Millisecond) {
		status, how = keeper.Ended() // between the two there is a moment in which neither tells
	}
	if sig := syscall.Signal(status.Signal); how == Ended && slices.Contains(passedOn, os.Signal(sig)) {
		return sig
	}
	return 0
}

// enterable returns a directory if this process may go there, and "", which means to stay where it is, if not: somebody else may have started it there.
func enterable(dir string) string {
	if unix.Access(dir, unix.X_OK) != nil {
		return ""
	}
	return dir
}

// watchable opens a process that is there.
func watchable(pid int) (*Foreign, error) {
	id, err := Identify(pid)
	if err != nil {
		return nil, err
	}
	return OpenForeign(id)
}

func (l *Link) warn(text string) {
	l.mu.Lock()
	h := l.local
	l.mu.Unlock()
	if h != nil {
		h.emit(Trouble{Text: text})
	}
}

func (l *Link) renew() error {
	w, other, err := pair()
	if err != nil {
		return err
	}
	env := append(append([]string(nil), l.environ...), keepEnv+"=3,"+strconv.Itoa(l.Generation)+","+strconv.Itoa(os.Getpid()))
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Dir: enterable(l.dir), Env: env, Files: []uintptr{0, 1, 2, uintptr(other)}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	unix.Close(other) // that its death can be seen
	if err != nil {
		w.close()
		return err
	}
	go func() { _, _ = syscall.Wait4(pid, nil, 0, nil) }() // should it end it is seen at the socket
	l.mu.Lock()
	l.w.close()
	l.again = true
	l.w = w
	if !l.renewing {
		l.renewing, l.whole = true, make(chan struct{})
	}
	l.mu.Unlock()
	if !l.meet(w) {
		return errors.New("it died at once")
	}
	l.handOver(w)
	return nil
}

// handOver tells a new keeper everything, and then what has been said meanwhile.
func (l *Link) handOver(w *wire) {
	l.mu.Lock()
	setUp, local, renewed, pid := l.setUp, l.local, l.renewed, l.keeper
	for _, held := range []map[string]holding{l.keeps, l.held} {
		for key, h := range held {
			w.send(&keep{key, h.note}, dupAll(h.fds)...)
		}
	}
	for lf, r := range l.records {
		r.handOver(w, lf)
	}
	l.mu.Unlock()
	if setUp != nil {
		w.send(&setup{*setUp})
	}
	if local != nil {
		local.emit(Trouble{Text: fmt.Sprintf("the keeper was killed; its place is taken by pid %d, and no process was restarted", pid)})
		local.handOver(w)
	}
	if !l.catchUp(w) {
		return
	}
	if renewed != nil {
		renewed(pid)
	}
}

// catchUp tells a new keeper what has been said while it was told everything. It reports false if it is not the present one any more.
func (l *Link) catchUp(w *wire) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w != w {
		return false
	}
	for _, m := range l.signalling {
		w.send(m)
	}
	for _, p := range l.later {
		w.put(p)
	}
	w.send(&ready{}) // only a keeper that knows all of this may start another daemon
	if l.left != nil {
		w.send(l.left)
	}
	if l.syncing {
		w.send(&syncAll{})
	}
	l.renewing, l.later = false, nil
	close(l.whole)
	return true
}

// handOver gives a keeper what stands for a process that a daemon before has left and nobody has taken yet.
func (r *record) handOver(w *wire, lf life) {
	if !r.ended {
		m, fds := adoption(lf, r.pid, r.start, r.pidfd, r.fds, r.place)
		w.send(m, fds...)
	}
}

// adoption is the message that has a keeper adopt a process, and its descriptors.
func adoption(lf life, pid int, start uint64, pidfd int, ends [3]int, in place) (*adoptChild, []int) {
	e, fds := join([6]int{-1, -1, -1, dup(ends[0]), dup(ends[1]), dup(ends[2])})
	m := &adoptChild{life: lf, pid: pid, start: start, ends: e, place: in, bare: true}
	if pidfd = dup(pidfd); pidfd >= 0 {
		m.bare, fds = false, append([]int{pidfd}, fds...)
	}
	return m, fds
}

// handOver gives a new keeper what stands for each process, and starts again what the one before may not have come to.
func (h *Local) handOver(w *wire) {
	h.mu.Lock()
	var there, asked []*proc
	for _, p := range h.procs {
		switch at, _ := p.where(); {
		case at == forked:
			there = append(there, p)
		case at == preparing && p.sentTo.Load() != nil && p.sentTo.Load() != w:
			asked = append(asked, p)
		}
	}
	h.mu.Unlock()
	for _, p := range there {
		p.handOver(w)
	}
	if len(asked) == 0 {
		return
	}
	found := holders()
	for _, p := range asked {
		h.seek(p, w, found)
	}
}

// seek looks for a process that the keeper before was asked for and has not told of. It holds the pipes that were made for it.
func (h *Local) seek(p *proc, w *wire, holders map[uint64]Stat) {
	var found []Stat
	for _, pipe := range p.pipes {
		if s, ok := holders[inode(pipe.fd)]; ok {
			found = append(found, s)
		}
	}
	if found == nil {
		p.sentTo.Store(nil)
		p.shard.post(command{unseen: p})
		return
	}
	pid := eldest(found).PID
	p.pidfd, p.startTime, p.place = openPidfd(pid), startTime(pid), placeOf(pid, p.req.Spec.Tree)
	p.born(pid)
	p.handOver(w)
	h.finish(p, pid, "")
}

// handOver gives a keeper what stands for the process.
func (p *proc) handOver(w *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != forked {
		return
	}
	m, fds := adoption(p.life(), p.pid, p.startTime, p.pidfd, [3]int{p.stdin.fd, p.pipes[0].fd, p.pipes[1].fd}, p.place)
	w.send(m, fds...)
}

// where tells how far the process has come.
func (p *proc) where() (phase, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase, p.pid
}

// closePipe closes the read end of an output pipe.
func (p *proc) closePipe(fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.pipes {
		if p.pipes[i].fd == fd {
			p.pipes[i].fd = -1
		}
	}
	unix.Close(fd)
}

// keepDaemon takes a daemon that is at work into care, if this process was started for that; otherwise it returns nil.
func (k *Keeper) keepDaemon() (*generation, error) {
	text, ok := os.LookupEnv(keepEnv)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(keepEnv); err != nil {
		return nil, err
	}
	var fd, number, pid int
	if _, err := fmt.Fscanf(bytes.NewReader([]byte(text)), "%d,%d,%d", &fd, &number, &pid); err != nil {
		return nil, fmt.Errorf("%s=%q: %w", keepEnv, text, err)
	}
	unix.CloseOnExec(fd)
	w, err := newWire(fd)
	if err != nil {
		return nil, err
	}
	d := newGeneration(pid) // ready when it has told everything
	own, err := watchable(pid)
	if err != nil {
		return nil, err
	}
	if os.Getppid() != pid { // it has ended, and its pid may be anybody's
		own.Close()
		return nil, ErrGone
	}
	k.mu.Lock()
	k.generation = number
	k.daemonPID.Store(int64(pid))
	k.mu.Unlock()
	if err := k.follow(d, own); err != nil {
		return nil, err
	}
	k.greet(w)
	d.serving.Go(func() { k.serve(w, d) })
	return d, nil
}

// follow waits for the end of a daemon that this keeper has not started.
func (k *Keeper) follow(d *generation, own *Foreign) error {
	d.foreign = own
	_, err := awaitEnd(own, func(process.ExitStatus) {
		k.mu.Lock()
		d.gone = true
		own.Close()
		k.mu.Unlock()
		d.ended <- 0
	})
	return err
}
