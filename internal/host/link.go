package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// Link is a daemon's end of the socket to its keeper.
type Link struct {
	// Generation is 1 for the first daemon of a keeper; a later one finds what those before it have left.
	Generation int
	// Failed says why another program did not take over, if this daemon goes on for that reason.
	Failed string

	environ []string // of this process at its start, and its directory
	dir     string
	done    chan *setupDone
	synced  chan struct{}
	signals chan syscall.Signal

	mu         sync.Mutex
	w          *wire
	keeper     int // its pid
	version    int // what it speaks
	state      KeeperState
	keeperIs   *Foreign      // nil = it cannot be watched
	renewing   bool          // w is that of a keeper that has not been told everything yet
	later      []piece       // what was said meanwhile
	whole      chan struct{} // closed at the end of that
	leaving    bool          // no keeper is needed any more
	left       *leave        // what was said about that
	again      bool          // this keeper is not the first
	renewed    func(pid int)
	setUp      *Setup                 // what it was told last
	keeps      map[string]holding     // what it was told to keep
	signalling map[Token]*signalChild // without an outcome yet
	syncing    bool
	settingUp  bool
	records    map[life]*record
	held       map[string]holding // that a daemon before has left, until somebody takes it
	local      *Local             // who gets news of children; nil = nobody yet
}

// record is what a keeper says of a process.
type record struct {
	pid    int
	start  uint64
	pidfd  int
	fds    [3]int // standard input to write, output and error to read; -1 = none
	ended  bool
	status process.ExitStatus
	at     time.Time
	place
}

func (r *record) close() {
	closeAll(r.fds[:])
	closeAll([]int{r.pidfd})
}

// ErrNoKeeper says that the keeper that has started this daemon died before it had told what it held.
var ErrNoKeeper = errors.New("the keeper has died")

// Dial takes up the link to the keeper that has started this daemon. It returns nil when none has. The error is ErrNoKeeper when that has died.
func Dial() (*Link, error) {
	text, ok := os.LookupEnv(linkEnv)
	if !ok {
		return nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err == nil {
		err = os.Unsetenv(linkEnv)
	}
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	w, err := newWire(fd)
	if err != nil {
		return nil, err
	}
	return newLink(w)
}

// newLink listens to what the keeper has to say at first.
func newLink(w *wire) (*Link, error) {
	l := &Link{
		w: w, done: make(chan *setupDone, 1), synced: make(chan struct{}, 1), signals: make(chan syscall.Signal, 16),
		records: map[life]*record{}, held: map[string]holding{}, keeps: map[string]holding{}, signalling: map[Token]*signalChild{},
		environ: os.Environ(),
	}
	var err error
	if l.dir, err = os.Getwd(); err != nil {
		l.dir = "/"
	}
	if !l.meet(w) {
		return nil, ErrNoKeeper
	}
	return l, nil
}

// meet listens to a keeper until it has told everything that it knows, and goes on with that. It reports false if the keeper dies before.
func (l *Link) meet(w *wire) bool {
	greeted, gone := make(chan struct{}), make(chan struct{})
	go func() {
		err := w.receive(func(m message, fds []int) { l.hear(m, fds, greeted) })
		if err != nil {
			l.warn(fmt.Sprintf("cannot understand the keeper: %v", err))
		}
		l.mu.Lock()
		leaving := l.leaving
		l.mu.Unlock()
		select {
		case <-greeted:
			if !leaving {
				l.lost()
			}
		default:
			close(gone)
		}
	}()
	select {
	case <-greeted:
		return true
	case <-gone:
		return false
	}
}

// awaitWhole waits until the keeper has been told everything. The mutex is held, and let go meanwhile.
func (l *Link) awaitWhole() {
	for l.renewing {
		whole := l.whole
		l.mu.Unlock()
		<-whole
		l.mu.Lock()
	}
}

// say sends a message to the present keeper.
func (l *Link) say(m message, fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.send(m, fds...)
}

// send sends a message, and takes over the descriptors that go with it. The mutex is held.
func (l *Link) send(m message, fds ...int) { l.put(piece{frame(nil, m, len(fds)), fds, fds}) }

// put sends a piece as soon as the keeper knows what it may be about. The mutex is held.
func (l *Link) put(p piece) {
	if l.renewing {
		l.later = append(l.later, p)
		return
	}
	l.w.put(p)
}

// Keeper returns the pid of the keeper: the one by which the whole is known.
func (l *Link) Keeper() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keeper
}

// KeeperState tells which program a keeper runs.
type KeeperState struct {
	Program  string // its path; "" = it does not say
	Changing bool   // it may go on with that of its daemon, which is another one
	Failed   string // why it did not
	Missing  bool   // it has died, and no other could be started so far: nobody could start another daemon
}

// KeeperState tells which program the keeper runs.
func (l *Link) KeeperState() KeeperState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Signals returns the signals that the keeper got.
func (l *Link) Signals() <-chan syscall.Signal { return l.signals }

// Setup tells the keeper how children begin. It must come before the first Spawn.
func (l *Link) Setup(s Setup) error {
	l.mu.Lock()
	l.setUp, l.settingUp = &s, true
	l.send(&setup{s})
	l.mu.Unlock()
	done := <-l.done
	if done.errno != "" {
		return &SetupError{Errno: done.errno, Text: done.text}
	}
	if done.text != "" {
		return errors.New(done.text)
	}
	return nil
}

// SetupError says that the keeper could not become what it is to be.
type SetupError struct{ Errno, Text string }

func (e *SetupError) Error() string { return e.Text }

// Ready says that this daemon is at work. If it ends from now on without a Leave, another takes its place.
func (l *Link) Ready() { l.say(&ready{}) }

// Leave says what comes after this daemon, which ends now. Where another is to follow it does not return before a keeper knows that, whichever dies
// meanwhile.
func (l *Link) Leave(how Leave) {
	l.mu.Lock()
	l.awaitWhole()
	l.leaving = how.How != Replaced
	l.left = &leave{how}
	l.w.send(l.left)
	l.mu.Unlock()
	if how.How == Replaced {
		l.Sync()
	}
}

// Keep has descriptors held under a key, with a note, for the daemons to come; what was held there is let go.
func (l *Link) Keep(key, note string, fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	closeAll(l.keeps[key].fds)
	l.keeps[key] = holding{note, dupAll(fds)}
	l.send(&keep{key, note}, dupAll(fds)...)
}

// Inherit is Keep, for what another supervisor has left: Take hands it out once. The descriptors become the link's.
func (l *Link) Inherit(key, note string, fds ...int) {
	l.Keep(key, note, fds...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[key] = holding{note, fds}
}

// Drop lets go what is held under a key.
func (l *Link) Drop(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(key)
}

func (l *Link) drop(key string) {
	closeAll(l.keeps[key].fds)
	delete(l.keeps, key)
	l.send(&keep{key: key})
}

// Sync waits until the keeper has done everything that it was told.
func (l *Link) Sync() {
	l.mu.Lock()
	l.syncing = true
	if !l.renewing { // else it is asked at the end of that
		l.w.send(&syncAll{})
	}
	l.mu.Unlock()
	<-l.synced
}

// Holds reports whether a daemon before has left something under a key that nobody has taken yet.
func (l *Link) Holds(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.held[key]
	return ok
}

// Held returns the keys with a beginning under which a daemon before has left something that nobody has taken yet, in order.
func (l *Link) Held(prefix string) (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.held {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Take hands out what a daemon before has left under a key. The descriptors are the caller's; the keeper goes on to hold its own.
func (l *Link) Take(key string) (note string, fds []int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.held[key]
	delete(l.held, key)
	if ok {
		closeAll(l.keeps[key].fds)
		l.keeps[key] = holding{h.note, dupAll(h.fds)}
	}
	return h.note, h.fds, ok
}

// Disown has the keeper forget the processes that a daemon before has taken over and not noted: this one begins anew, and looks for them itself.
func (l *Link) Disown() {
	l.say(&disown{})
	l.Sync() // what was said of them is here by then
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		r.close()
	}
	clear(l.records)
}

// adopt makes a process known to the keeper, as if it had been there before.
func (c *keptChildren) adopt(lf life, t *There) {
	m, fds := adoption(lf, t.PID, t.StartTime, t.Pidfd, t.Fds, t.place)
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.records[lf] = &record{pid: t.PID, start: t.StartTime, pidfd: t.Pidfd, fds: t.Fds, place: t.place}
	c.l.send(m, fds...)
}

// dropRest lets go what a daemon before has left and nobody has taken: processes that are known to have ended, and descriptors.
func (l *Link) dropRest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, h := range l.held {
		closeAll(h.fds)
		l.drop(key)
	}
	clear(l.held)
	for lf, r := range l.records {
		r.close()
		if r.ended {
			l.send(&settleChild{lf})
		}
	}
	clear(l.records)
}

// hear takes what the keeper says.
func (l *Link) hear(m message, fds []int, greeted chan struct{}) {
	switch m := m.(type) {
	case *welcome:
		is, _ := watchable(m.pid) // if not, only how it ends is not known
		l.mu.Lock()
		if l.keeperIs != nil {
			l.keeperIs.Close()
		}
		l.keeperIs = is
		l.keeper, l.version, l.Generation, l.Failed = m.pid, m.version, m.generation, m.failed
		l.state = KeeperState{Program: m.program, Changing: m.becomes}
		l.mu.Unlock()
	case *became:
		l.mu.Lock()
		l.state = KeeperState{Program: m.program, Failed: m.failed}
		if l.state.Failed == "" {
			l.version = protocolVersion // it runs our program
		}
		l.mu.Unlock()
	case *kept:
		l.remember(m, fds)
		return
	case *held:
		l.mu.Lock()
		l.held[m.key] = holding{m.note, fds}
		l.mu.Unlock()
		return
	case *complete:
		close(greeted)
	case *setupDone:
		l.mu.Lock()
		waits := l.settingUp // else it is a keeper that was told again what the one before knew
		l.settingUp = false
		l.mu.Unlock()
		if waits {
			l.done <- m
		}
	case *synced:
		l.mu.Lock()
		waits := l.syncing
		l.syncing = false
		l.mu.Unlock()
		if waits {
			l.synced <- struct{}{}
		}
	case *gotSignal:
		l.signalled(syscall.Signal(m.signal))
	default:
		l.pass(m, fds)
		return
	}
	closeAll(fds)
}

// signalled takes a signal that the keeper got. Where too many wait, one of each kind is kept, as the kernel does it.
func (l *Link) signalled(sig syscall.Signal) {
	for waiting := []syscall.Signal{sig}; ; {
		select {
		case l.signals <- waiting[0]:
			if waiting = waiting[1:]; len(waiting) == 0 {
				return
			}
			continue
		default:
		}
		for len(l.signals) > 0 {
			select {
			case s := <-l.signals:
				if !slices.Contains(waiting, s) {
					waiting = append(waiting, s)
				}
			default: // read meanwhile
			}
		}
	}
}

// remember notes what is said of a process of an earlier daemon.
func (l *Link) remember(m *kept, fds []int) {
	r := &record{pid: m.pid, start: m.start, ended: m.ended, status: m.status, at: momentOf(m.at), place: m.place}
	r.pidfd, r.fds = m.split(fds)
	l.mu.Lock()
	l.records[m.life] = r
	l.mu.Unlock()
}

// momentOf turns a moment of CLOCK_MONOTONIC into one of ours.
func momentOf(at time.Duration) time.Time { return time.Now().Add(at - Mono()) }

// pass hands news of children to the Local.
func (l *Link) pass(m message, fds []int) {
	l.mu.Lock()
	h := l.local
	if e, ok := m.(*exitedChild); ok {
		if r := l.records[e.life]; r != nil { // nobody has taken it yet
			r.ended, r.status, r.at = true, e.status, momentOf(e.at)
			h = nil
		}
	}
	l.mu.Unlock()
	if h == nil {
		closeAll(fds)
		return
	}
	switch m := m.(type) {
	case *forkedChild:
		if p := h.find(m.id, m.incarnation); p != nil {
			if len(fds) > 0 {
				p.pidfd, fds = fds[0], fds[1:]
			}
			p.startTime, p.place = m.start, m.place
			p.sentTo.Store(nil)
			p.born(m.pid)
			h.finish(p, m.pid, "")
		}
	case *failedChild:
		if p := h.find(m.id, m.incarnation); p != nil {
			h.finish(p, 0, m.text)
		}
	case *exitedChild:
		if p := h.find(m.id, m.incarnation); p != nil {
			p.gone()
			p.shard.post(command{ended: p, status: m.status, at: momentOf(m.at)})
		}
	case *signalledChild:
		l.mu.Lock()
		delete(l.signalling, Token(m.token))
		l.mu.Unlock()
		var err error
		if m.errno != 0 {
			err = unix.Errno(m.errno)
		}
		h.signalled(SignalRequest{ID: m.id, Incarnation: m.incarnation, Token: Token(m.token)}, err)
	case *orphanEnded:
		h.emit(OrphanReaped{PID: m.pid, Status: m.status})
	case *trouble:
		h.emit(Trouble{Text: m.text})
	}
	closeAll(fds)
}

// keptChildren is the parent that has a keeper fork.
type keptChildren struct {
	h *Local
	l *Link
}

func newKeptChildren(h *Local, l *Link) *keptChildren {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.local = h
	return &keptChildren{h, l}
}

func (c *keptChildren) outlives() bool { return true }

func (c *keptChildren) hand(j *forkJob) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if len(j.passed) > 0 && c.l.version < passingVersion {
		return errOldKeeper
	}
	return nil
}

// fork sends the jobs in one piece.
func (c *keptChildren) fork(jobs []*forkJob) {
	var p piece
	for _, j := range jobs {
		m := &spawnChild{life: j.life, failure: j.failure}
		var fds []int
		if j.failure == "" {
			m.name, m.uid, m.file, m.argv, m.env, m.dir, m.umask, m.userError = j.name, j.uid, j.file, j.argv, j.env, j.dir, j.umask, j.userError
			if j.cred != nil {
				m.cred, m.asUID, m.asGID = true, int(j.cred.Uid), int(j.cred.Gid)
				for _, g := range j.cred.Groups {
					m.groups = append(m.groups, int(g))
				}
			}
			m.group, m.tree = j.p.req.Group, j.p.req.Spec.Tree
			m.ends, fds = join([6]int{j.child[0], j.child[1], j.child[2], j.p.stdin.fd, j.p.pipes[0].fd, j.p.pipes[1].fd})
			m.passed, fds = len(j.passed), append(fds, j.passed...)
		}
		for _, fd := range slices.Concat(j.child[:], j.passed) {
			if j.failure == "" && fd >= 0 {
				p.give = append(p.give, fd)
			}
		}
		p.data = frame(p.data, m, len(fds))
		p.fds = append(p.fds, fds...)
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.awaitWhole()
	for _, j := range jobs {
		j.p.sentTo.Store(c.l.w)
	}
	c.l.w.put(p)
}

func (c *keptChildren) kill(p *proc, req SignalRequest) {
	m := &signalChild{p.life(), int(req.Signal), req.ToGroup, uint64(req.Token), req.ToTree}
	if req.ToTree {
		p.stops()
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.signalling[req.Token] = m
	if !c.l.renewing { // else the next one is told at the end of that
		c.l.w.send(m)
	}
}

func (c *keptChildren) settle(l life) { c.l.say(&settleChild{l}) }

// take returns what the keeper has said of a life, once.
func (c *keptChildren) take(lf life) *record {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	r := c.l.records[lf]
	return r
}

// taken says that a process has been taken up: from now on its end is news. It returns how it ended if it has already.
func (c *keptChildren) taken(lf life) (r record) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	r = *c.l.records[lf]
	delete(c.l.records, lf)
	return r
}

func (c *keptChildren) end() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.local == c.h {
		c.l.local = nil
	}
}

func (c *keptChildren) dropRest() { c.l.dropRest() }

// inherit returns a descriptor that a daemon before has left, -1 if there is none.
func (c *keptChildren) inherit(key string) int {
	_, fds, ok := c.l.Take(key)
	if !ok || len(fds) == 0 {
		return -1
	}
	closeAll(fds[1:])
	return fds[0]
}

func (c *keptChildren) keep(key string, fd int) { c.l.Keep(key, "", fd) }
func (c *keptChildren) drop(key string)         { c.l.Drop(key) }

func (c *keptChildren) leave(key string, fd int) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.held[key] = holding{fds: []int{fd}}
}

// Resume goes on with a process that a daemon before has started. It is like Spawn, but for one thing: what is known already, that the process is
// there (pid not 0), is not told again. If the keeper knows nothing of it, and there is nil, its end is told: nobody can say how. there becomes the
// host's.
func (h *Local) Resume(req SpawnRequest, pid int, there *There) {
	if there != nil {
		there.killTree = req.Spec.Tree.Kill
		h.parent.adopt(life{req.ID, req.Incarnation}, there)
	}
	h.enqueue(req, pid)
}

// Resumed says that all were resumed that are to be: what else a daemon before has left is let go.
func (h *Local) Resumed() { h.ready.push(&proc{last: true}) }

// Settle says that the end of a life has been noted where it cannot be forgotten: it needs not be told to another daemon.
func (h *Local) Settle(id process.ID, inc process.Incarnation) { h.parent.settle(life{id, inc}) }

// takeUp goes on with a process that is there.
func (h *Local) takeUp(p *proc, r *record) {
	spec := p.req.Spec
	p.pidfd, p.startTime, p.place = r.pidfd, r.start, r.place
	p.setStdin(r.fds[0])
	outputs := [2]Output{p.req.Stdout, p.req.Stderr}
	for i, fd := range []int{r.fds[1], r.fds[2]} {
		p.pipes[i] = outPipe{fd: fd, out: discard{}}
		if fd < 0 || outputs[i] == nil {
			continue
		}
		if err := outputs[i].Open(); err != nil {
			h.emit(Trouble{Text: fmt.Sprintf("cannot go on with the log of %s: %v", spec.Name, err)})
			continue
		}
		p.opened[i], p.pipes[i].out = true, outputs[i]
	}
	p.born(r.pid)
	h.placed(p)
	if p.known == 0 {
		h.emit(Spawned{ID: p.req.ID, Incarnation: p.req.Incarnation, PID: r.pid, Traits: p.traits()})
	}
	p.shard.post(command{started: p})
	early, _ := p.announce()
	for _, req := range early {
		h.signal(p, req)
	}
	if now := h.parent.taken(p.life()); now.ended {
		p.gone()
		p.shard.post(command{ended: p, status: now.status, at: now.at})
	}
}

// untold reports the end of a process that nobody knows of any more.
func (h *Local) untold(p *proc) {
	h.forget(p)
	h.emit(Exited{
		ID: p.req.ID, Incarnation: p.req.Incarnation, PID: p.known, Status: process.ExitStatus{Unknown: true}, At: time.Now(),
	})
}
