package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// linkEnv names the environment variable that tells a daemon which descriptor leads to its keeper.
const linkEnv = "GRACED_LINK"

// KeeperOptions say which daemon a keeper runs.
type KeeperOptions struct {
	Argv, Environ []string
	// First is added to the environment of the first daemon.
	First []string
	// Extra are descriptors that the first daemon gets from 3 on. They are the keeper's to close.
	Extra []*os.File
	// Patience is how long a daemon that takes over may take until it is ready.
	Patience time.Duration
	// Trouble takes what cannot be told to a daemon.
	Trouble func(text string)
}

// Keeper is the parent of all children. It forks, signals and reaps, and holds what must outlive a daemon: it knows nothing of configuration,
// clients or logs. It starts the daemon, and another one whenever that dies.
//
// Everything that it knows of a child it tells to each new daemon, and a child's end until the daemon has settled it.
type Keeper struct {
	o      KeeperOptions
	dir    string
	binary *os.File       // what daemons are started from
	quit   chan os.Signal // what ends it; the others have channels of their own, so that no flood of one kind drops another
	hup    chan os.Signal
	usr2   chan os.Signal

	cgroups   *cgroups
	daemonPID atomic.Int64 // 0 = none yet

	forker  *forker // nil before the first setup
	reaper  *reaper
	reaping sync.WaitGroup
	forks   sync.WaitGroup // jobs on their way
	trees   sync.WaitGroup // signals to trees on their way
	born    sync.Mutex     // held while there may be a child whose pid nobody knows

	legacy   *legacy // of the program before in this process; nil = this is a start
	declined bool    // the program that daemons are started from did not become the keeper's

	mu         sync.Mutex
	wire       *wire // to the daemon; nil = there is none
	children   map[life]*child
	byPID      map[int]*child
	held       map[string]holding
	generation int
	daemon     *generation
	candidate  *generation // no daemon: the program that daemons are started from, which is tried
	setUp      *Setup      // what was said last
	asked      []int       // signals that no daemon has been told of
	failed     string      // why the last program that was to take over did not
	aborted    bool        // Run ends, and leaves everything as it is
}

// child is one process.
type child struct {
	life
	pid       int
	start     uint64 // of /proc/PID/stat: with the pid it is a process's identity until the machine is started again
	pidfd     int
	fds       [3]int // standard input to write, output and error to read; -1 = none
	announced bool   // the daemon that asked knows the pid
	foreign   bool   // it is another's child, or nobody's
	token     uint64 // of the last signal
	place
	want    process.TreeSpec // what was asked for about its tree; known of one that this keeper has forked
	unwatch func()           // ends the look at a foreign one; nil: there is none, or none that can be ended
	over    bool             // it has ended itself
	ended   bool             // so has what is to end with it: it is told
	status  process.ExitStatus
	at      time.Duration
}

// holding is what is held under a key.
type holding struct {
	note string
	fds  []int
}

// generation is one daemon.
type generation struct {
	pid     int
	started time.Time
	ended   chan unix.WaitStatus
	late    bool // it was not ready in time
	gone    bool // it is reaped, or its descriptor is closed
	serving sync.WaitGroup
	served  chan struct{} // closed when everything that it has said is done
	ready   chan struct{} // closed when it has said so
	isReady sync.Once
	foreign *Foreign // not our child: it was there before this keeper
	left    *Leave
}

func newGeneration(pid int) *generation {
	return &generation{
		pid: pid, started: time.Now(), ended: make(chan unix.WaitStatus, 1), served: make(chan struct{}), ready: make(chan struct{}),
	}
}

// NewKeeper makes a keeper, which goes on where one was that has become this program, if so. Nothing is started before Run.
func NewKeeper(o KeeperOptions) (*Keeper, error) {
	binary, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("cannot open this program: %w", err)
	}
	k := emptyKeeper(o)
	k.binary = aside(binary)
	if k.dir, err = os.Getwd(); err != nil {
		k.dir = "/"
	}
	if begun.manifest >= 0 {
		if k.legacy, err = k.read(begun.manifest); err != nil {
			return nil, goBack(o, fmt.Errorf("cannot read the manifest: %w", err))
		}
	}
	return k, nil
}

func emptyKeeper(o KeeperOptions) *Keeper {
	k := &Keeper{
		o: o, quit: make(chan os.Signal, 16), hup: make(chan os.Signal, 1), usr2: make(chan os.Signal, 1),
		children: map[life]*child{}, byPID: map[int]*child{}, held: map[string]holding{},
	}
	k.cgroups = newCgroups(func() []int { return kinOf(os.Getpid(), int(k.daemonPID.Load())) })
	return k
}

// passedOn are the signals that a keeper passes on to its daemon.
var passedOn = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR2}

// deadly reports whether a signal that is passed on tells the daemon to end.
func deadly(s os.Signal) bool { return s != unix.SIGHUP && s != unix.SIGUSR2 }

func (k *Keeper) hearSignals() {
	signal.Notify(k.hup, unix.SIGHUP)
	signal.Notify(k.usr2, unix.SIGUSR2)
	k.hearDeadly()
}

func (k *Keeper) hearDeadly() {
	signal.Notify(k.quit, unix.SIGABRT, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
}

// startReaping begins to learn of the ends of children; stopReaping waits until all that was begun about one is done.
func (k *Keeper) startReaping() {
	k.reaper = newReaper(k.owner, k.orphan, &k.born)
	k.reaping.Go(k.reaper.run)
}

func (k *Keeper) stopReaping() {
	k.reaper.stop()
	k.reaping.Wait()
}

// Run runs daemons until one of them says that all is over, and returns the exit code and how it ended.
func (k *Keeper) Run() (code int, how LeaveHow) {
	defer k.cgroups.close()
	k.hearSignals()
	previous, failures, brief := (*os.File)(nil), 0, 0 // brief: daemons in a row that were ready and died at once
	d, err := k.takeUp()
	if err != nil {
		k.o.Trouble(err.Error())
		return 1, Over
	}
	k.startReaping()
	defer k.stopReaping() // whoever called this may have children of its own
	for ; ; d = nil {
		if d == nil {
			d, err = k.startDaemon()
		}
		if err != nil {
			k.o.Trouble(fmt.Sprintf("cannot start the daemon: %v", err))
			if previous != nil {
				k.fail(fmt.Sprintf("cannot start %s: %v", k.binary.Name(), err))
				k.goBack(&previous)
				continue
			}
			if k.generationNumber() == 1 {
				return 1, Over
			}
		} else {
			wasReady, status := k.watch(d, previous != nil)
			switch {
			case k.aborted:
				return 128 + int(unix.SIGABRT), Over
			case d.left != nil && d.left.How != Replaced:
				return d.left.Code, d.left.How
			case !wasReady && d.foreign != nil: // it has told us a part only: what lives is taken back by the next start
				return 1, Over
			case !wasReady && k.generationNumber() == 1:
				return exitCode(status), Over
			case d.left != nil:
				if previous != nil {
					_ = previous.Close() // only read
				}
				previous, failures, k.declined = k.binary, 0, false
				if k.binary, err = os.Open(cmp.Or(d.left.Binary, fileOf(int(k.binary.Fd())))); err != nil {
					k.binary, previous = previous, nil
					k.fail(err.Error())
				}
				k.binary = aside(k.binary)
				continue
			case wasReady:
				if failures = 0; previous != nil {
					_ = previous.Close() // only read
					previous = nil
				}
				if time.Since(d.started) > time.Second {
					brief = 0
				}
				// Whoever kills daemons, to see what happens, does not have to wait for one; a daemon that keeps dying does.
				const patience = 30
				if brief++; brief <= patience {
					continue
				}
			case previous != nil: // the new one does not come up
				within := ""
				if d.late {
					within = " within " + k.o.Patience.String()
				}
				k.fail(fmt.Sprintf("%s was not ready%s (%s)", k.binary.Name(), within, exitStatus(status)))
				k.goBack(&previous)
				continue
			}
		}
		failures++
		if k.rest(failures + brief/2) {
			return 1, Over
		}
	}
}

// goBack has daemons started from the program of before.
func (k *Keeper) goBack(previous **os.File) {
	_ = k.binary.Close() // only read
	k.binary, *previous = *previous, nil
}

func (k *Keeper) generationNumber() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.generation
}

// takeUp goes on with a daemon that is at work, if there is one: nil is none.
func (k *Keeper) takeUp() (*generation, error) {
	if k.legacy != nil {
		return k.goOn(k.legacy)
	}
	return k.keepDaemon()
}

// fileOf returns the path of an open program, also when another file is there by now.
func fileOf(fd int) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) // without /proc nothing is found, and the error says so
	return strings.TrimSuffix(path, " (deleted)")
}

// fail notes why a program did not take over, for the daemon that goes on instead.
func (k *Keeper) fail(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = why
}

// exitCode is how a shell would tell the end of a process.
func exitCode(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// rest waits before the next try to start a daemon. It reports true when it was told to stop meanwhile and has ended the children itself.
func (k *Keeper) rest(failures int) (over bool) {
	if failures < 2 {
		return false
	}
	timer := time.NewTimer(min(10*time.Second, 50*time.Millisecond<<min(failures, 10)))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return false
		case <-k.hup: // nobody is there to obey
		case <-k.usr2:
		case s := <-k.quit:
			if s != unix.SIGABRT {
				k.endChildren()
			}
			return true
		}
	}
}

// endChildren ends the children without a daemon, as a last resort.
func (k *Keeper) endChildren() {
	const grace, look = 10 * time.Second, 20 * time.Millisecond
	deadline := time.Now().Add(grace)
	for sig := unix.SIGTERM; ; sig = 0 {
		if time.Now().After(deadline) {
			sig = unix.SIGKILL
		}
		if k.signalAll(sig) == 0 || sig == unix.SIGKILL {
			return
		}
		time.Sleep(look)
	}
}

// signalAll sends a signal to every child and returns how many live.
func (k *Keeper) signalAll(sig syscall.Signal) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.children {
		if !c.ended {
			n++
			_ = c.send(SignalRequest{Signal: process.Signal(sig), ToTree: sig == unix.SIGKILL && c.killTree}) // nothing else can be done
		}
	}
	return n
}

// startDaemon starts a daemon and tells it what there is.
func (k *Keeper) startDaemon() (*generation, error) {
	k.forks.Wait() // no outcome of a fork for the daemon before may come later
	w, other, err := pair()
	if err != nil {
		return nil, err
	}
	defer unix.Close(other)
	files := []uintptr{0, 1, 2}
	for _, f := range k.o.Extra {
		files = append(files, f.Fd())
	}
	env := append(slices.Clone(k.o.Environ), linkEnv+"="+strconv.Itoa(len(files)))
	env = append(env, k.o.First...)
	files = append(files, uintptr(other))
	d, err := k.launch(&k.daemon, k.o.Argv, env, files)
	k.mu.Lock()
	k.generation++
	k.mu.Unlock()
	if err != nil {
		w.close()
		return nil, err
	}
	for _, f := range k.o.Extra {
		_ = f.Close() // the daemon has it
	}
	k.o.Extra, k.o.First = nil, nil
	k.daemonPID.Store(int64(d.pid))
	k.greet(w)
	d.serving.Go(func() { k.serve(w, d) })
	return d, nil
}

// launch starts the program that daemons are started from, and notes that it is there before its end can be noticed.
func (k *Keeper) launch(as **generation, argv, env []string, files []uintptr) (*generation, error) {
	k.born.Lock()
	defer k.born.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	pid, err := syscall.ForkExec(nameOf(k.binary, ""), argv, &syscall.ProcAttr{Dir: enterable(k.dir), Env: env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		return nil, err
	}
	*as = newGeneration(pid)
	return *as, nil
}

// greet tells a new daemon everything, and from then on the news.
func (k *Keeper) greet(w *wire) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w.send(k.welcome())
	k.failed = ""
	for _, c := range k.children {
		c.announced = true
		m, fds := c.kept()
		w.lend(m, fds...)
	}
	for key, h := range k.held {
		w.lend(&held{key: key, note: h.note}, h.fds...)
	}
	w.send(&complete{})
	k.wire = w
}

// welcome is the first word to a daemon. The mutex is held.
func (k *Keeper) welcome() *welcome {
	return &welcome{
		version: protocolVersion, pid: os.Getpid(), generation: k.generation, failed: k.failed, program: ownProgram(), becomes: k.stale(),
	}
}

// kept says what there is of a child, with the descriptors that go with that.
func (c *child) kept() (*kept, []int) {
	e, fds := join([6]int{-1, -1, -1, c.fds[0], c.fds[1], c.fds[2]})
	m := &kept{life: c.life, pid: c.pid, start: c.start, ends: e, ended: c.ended, status: c.status, at: c.at, place: c.place}
	if c.pidfd >= 0 {
		m.hasFD = true
		fds = append([]int{c.pidfd}, fds...)
	}
	return m, fds
}

// tell sends news to the daemon, if there is one. The mutex is held.
func (k *Keeper) tell(m message) {
	if k.wire != nil {
		k.wire.send(m)
	}
}

// dup copies a descriptor; -1 stays -1.
func dup(fd int) int {
	if fd < 0 {
		return -1
	}
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1
	}
	return copied
}

func dupAll(fds []int) []int {
	out := make([]int, len(fds))
	for i, fd := range fds {
		out[i] = dup(fd)
	}
	return out
}

// watch follows a daemon to its end. One that replaces another and is not ready in time is ended; when one of another program is ready the keeper becomes
// that, too, if it can.
func (k *Keeper) watch(d *generation, replaces bool) (ready bool, status unix.WaitStatus) {
	var late <-chan time.Time
	if replaces {
		timer := time.NewTimer(k.o.Patience)
		defer timer.Stop()
		late = timer.C
	}
	isReady := d.ready
	trial, cancel := context.WithCancel(context.Background())
	defer cancel()
	var tried <-chan error // whether it can
	for {
		select {
		case <-isReady:
			ready, isReady, late = true, nil, nil
			k.mu.Lock()
			k.tellAsked()
			k.mu.Unlock()
			if k.stale() && d.foreign == nil {
				trial, cancel = context.WithTimeout(trial, k.o.Patience)
				tried = k.try(trial)
			}
		case err := <-tried:
			tried = nil
			if err == nil {
				err = k.become(d)
			}
			if !errors.Is(err, errAlone) { // else the next daemon brings it about
				k.mu.Lock()
				k.tellProgram(err.Error())
				k.mu.Unlock()
			}
		case <-late:
			d.late = true
			k.end(d)
		case s := <-k.hup:
			k.passOn(s, d, ready)
		case s := <-k.usr2:
			k.passOn(s, d, ready)
		case s := <-k.quit:
			if s == unix.SIGABRT { // of a watchdog, say: what lives is taken back by the next start
				k.aborted = true
				k.end(d)
				continue
			}
			k.passOn(s, d, ready)
		case status = <-d.ended:
			<-d.served // its last words count, and the next one is told what became of them
			if cancel(); tried != nil {
				<-tried //nolint:errcheck // it is about a daemon that is no more
			}
			select {
			case <-d.ready:
				ready = true
			default:
			}
			return ready, status
		}
	}
}

// passOn tells a daemon of a signal, or notes it for later: one that may never be ready, or is about to end, would lose what it was told.
func (k *Keeper) passOn(s os.Signal, d *generation, ready bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if asked := int(s.(syscall.Signal)); !slices.Contains(k.asked, asked) { // a second one says nothing new, as to the kernel
		k.asked = append(k.asked, asked)
	}
	if d.left == nil && (ready || k.generation == 1) {
		k.tellAsked()
	}
}

// serve obeys one daemon.
func (k *Keeper) serve(w *wire, d *generation) {
	err := w.receive(func(m message, fds []int) { k.obey(w, d, m, fds) })
	if errors.Is(err, errPaused) {
		return
	}
	if err != nil {
		k.o.Trouble(err.Error())
	}
	k.mu.Lock()
	if k.wire == w {
		k.wire = nil
	}
	k.mu.Unlock()
	w.close()
	close(d.served)
	k.end(d) // one that cannot be spoken to is of no use; most have ended
}

// end kills a daemon.
func (k *Keeper) end(d *generation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case d.gone: // its pid, and the number of its descriptor, may be another's
	case d.foreign != nil:
		_ = d.foreign.Signal(process.SIGKILL, false) // it may have ended
	default:
		_ = unix.Kill(d.pid, unix.SIGKILL)
	}
}

// obey does what a daemon says.
func (k *Keeper) obey(w *wire, d *generation, m message, fds []int) {
	switch m := m.(type) {
	case *setup:
		w.send(k.setup(m.Setup))
	case *spawnChild:
		k.spawn(m, fds)
		return
	case *signalChild:
		k.signal(m)
	case *settleChild:
		k.settle(m.life)
	case *adoptChild:
		k.adopt(m, fds)
		return
	case *disown:
		k.disown()
	case *keep:
		k.keep(m, fds)
		return
	case *syncAll:
		w.send(&synced{})
	case *ready:
		d.isReady.Do(func() { close(d.ready) })
	case *leave:
		k.mu.Lock()
		d.left = &m.Leave
		k.mu.Unlock()
	}
	closeAll(fds)
}

// Mono returns CLOCK_MONOTONIC, which keeper and daemons share.
func Mono() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail
	return time.Duration(ts.Nano())
}
