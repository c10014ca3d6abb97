package host

import (
	"time"

	"github.com/graced/graced/internal/process"
)

// protocolVersion is what this program speaks. A keeper serves daemons of any version: what it does not know it passes over.
const protocolVersion = 2

// passingVersion is the first in which a child can get more descriptors than three.
const passingVersion = 2

// What a daemon says to its keeper.
type (
	// setup is how children are to begin, and what the keeper itself is to become. It is answered by setupDone.
	setup struct {
		Setup
	}
	// spawnChild asks for a process. Descriptors: those of ends that are there, in their order, then those that the child gets from 3 on. It is answered by forked or failed, and if the
	// life is known already by what is known.
	spawnChild struct {
		life
		name      string
		uid       int
		file      string
		argv, env []string
		dir       string
		umask     int
		cred      bool // to become asUID and so on
		asUID     int
		asGID     int
		groups    []int
		userError string
		failure   string // it failed already: this is told in its turn
		ends      ends
		group     string
		tree      process.TreeSpec
		passed    int // so many from 3 on
	}
	// signalChild asks for a signal. A token that was served before is answered without another.
	signalChild struct {
		life
		signal  int
		toGroup bool
		token   uint64
		toTree  bool
	}
	// settleChild says that the end of a life needs to be told no more.
	settleChild struct{ life }
	// adoptChild hands over a process that is nobody's child here. Descriptors: its pidfd unless it is bare, then those of ends.
	adoptChild struct {
		life
		pid   int
		start uint64
		ends  ends
		place
		bare bool
	}
	// keep asks to hold descriptors under a key, in the place of what was there; without any it is let go.
	keep struct {
		key, note string
	}
	// sync is answered by synced when everything before it has been done.
	syncAll struct{}
	// disown says that the daemon knows nothing of what was there before it, and begins anew.
	disown struct{}
	// ready says that this daemon is at work.
	ready struct{}
	// leave says that the daemon is about to end, and what follows.
	leave struct {
		Leave
	}
)

// rights says how many descriptors come with the piece that it begins: some of them may get lost on the way.
type rights struct{ n int }

func (*rights) kind() byte      { return 63 }
func (m *rights) code(c *coder) { integer(c, &m.n) }

// What a keeper says to its daemon.
type (
	// welcome is the first word.
	welcome struct {
		version, pid, generation int
		failed                   string // why another program did not take over, if that is why this daemon is here
		program                  string // the keeper's
		becomes                  bool   // it may become another one when this daemon is ready: became tells
	}
	// kept is a process that the keeper holds. Descriptors: its pidfd if it has one, then those of ends.
	kept struct {
		life
		pid    int
		start  uint64
		hasFD  bool
		ends   ends
		ended  bool
		status process.ExitStatus
		at     time.Duration // when the end was noticed, as Mono
		place
	}
	// held is what is held under a key.
	held struct {
		key, note string
	}
	// complete ends the welcome.
	complete  struct{}
	setupDone struct{ errno, text string }
	synced    struct{}
	// forked reports a process. Descriptor: its pidfd, unless it is gone already.
	forkedChild struct {
		life
		pid   int
		start uint64
		place
	}
	failedChild struct {
		life
		text string
	}
	signalledChild struct {
		life
		token uint64
		errno int
	}
	exitedChild struct {
		life
		pid    int
		status process.ExitStatus
		at     time.Duration
	}
	orphanEnded struct {
		pid    int
		status process.ExitStatus
	}
	// gotSignal passes on a signal that the keeper got.
	gotSignal struct{ signal int }
	trouble   struct{ text string }
	// became tells which program the keeper runs by now, and why it goes on with that if another one was to take its place.
	became struct{ program, failed string }
)

// unknown is a message of another version.
type unknown byte

func (u unknown) kind() byte { return byte(u) }
func (unknown) code(*coder)  {}

// newMessage makes an empty message of a kind, nil if it is none of ours.
func newMessage(kind byte) message {
	if int(kind) < len(messages) && messages[kind] != nil {
		return messages[kind]()
	}
	return nil
}

// messages makes an empty message of each kind. The numbers stay: keepers and daemons of different age meet.
var messages = [...]func() message{
	1: func() message { return &setup{} }, 2: func() message { return &spawnChild{} }, 3: func() message { return &signalChild{} },
	4: func() message { return &settleChild{} }, 5: func() message { return &adoptChild{} }, 6: func() message { return &keep{} },
	7: func() message { return &ready{} }, 8: func() message { return &leave{} },
	9: func() message { return &syncAll{} }, 10: func() message { return &disown{} },

	32: func() message { return &welcome{} }, 33: func() message { return &kept{} }, 34: func() message { return &held{} },
	35: func() message { return &complete{} }, 36: func() message { return &setupDone{} }, 37: func() message { return &forkedChild{} },
	38: func() message { return &failedChild{} }, 39: func() message { return &signalledChild{} }, 40: func() message { return &exitedChild{} },
	41: func() message { return &orphanEnded{} }, 42: func() message { return &gotSignal{} }, 43: func() message { return &trouble{} },
	44: func() message { return &synced{} }, 45: func() message { return &became{} },
	63: func() message { return &rights{} },

	64: func() message { return &numbers{} }, 65: func() message { return &estate{} }, 66: func() message { return &care{} },
	67: func() message { return &unread{} }, 68: func() message { return &unsent{} },
}

func (*setup) kind() byte          { return 1 }
func (*spawnChild) kind() byte     { return 2 }
func (*signalChild) kind() byte    { return 3 }
func (*settleChild) kind() byte    { return 4 }
func (*adoptChild) kind() byte     { return 5 }
func (*keep) kind() byte           { return 6 }
func (*ready) kind() byte          { return 7 }
func (*leave) kind() byte          { return 8 }
func (*syncAll) kind() byte        { return 9 }
func (*disown) kind() byte         { return 10 }
func (*welcome) kind() byte        { return 32 }
func (*kept) kind() byte           { return 33 }
func (*held) kind() byte           { return 34 }
func (*complete) kind() byte       { return 35 }
func (*setupDone) kind() byte      { return 36 }
func (*forkedChild) kind() byte    { return 37 }
func (*failedChild) kind() byte    { return 38 }
func (*signalledChild) kind() byte { return 39 }
func (*exitedChild) kind() byte    { return 40 }
func (*orphanEnded) kind() byte    { return 41 }
func (*gotSignal) kind() byte      { return 42 }
func (*trouble) kind() byte        { return 43 }
func (*synced) kind() byte         { return 44 }
func (*became) kind() byte         { return 45 }

func (l *life) code(c *coder) { integer(c, &l.id); integer(c, &l.incarnation) }

func (m *setup) code(c *coder) {
	s := &m.Setup
	c.string(&s.Dir)
	integer(c, &s.Umask)
	c.bool(&s.IgnoreSigpipe)
	c.bool(&s.Detach)
	integer(c, &s.UID)
	integer(c, &s.GID)
	c.integers(&s.Groups)
	list(c, &s.Limits, func(v *Limit) { integer(c, &v.Resource); integer(c, &v.Soft); integer(c, &v.Hard) })
	c.string(&s.Cgroup)
}

func (m *spawnChild) code(c *coder) {
	m.life.code(c)
	c.string(&m.name)
	integer(c, &m.uid)
	c.string(&m.file)
	c.strings(&m.argv)
	c.strings(&m.env)
	c.string(&m.dir)
	integer(c, &m.umask)
	c.bool(&m.cred)
	integer(c, &m.asUID)
	integer(c, &m.asGID)
	c.integers(&m.groups)
	c.string(&m.userError)
	c.string(&m.failure)
	integer(c, &m.ends)
	c.string(&m.group)
	integer(c, &m.tree.Cgroup)
	c.bool(&m.tree.Stop)
	c.bool(&m.tree.Kill)
	integer(c, &m.tree.MemoryMax)
	integer(c, &m.tree.CPUMax)
	integer(c, &m.tree.PidsMax)
	integer(c, &m.passed)
}

func (m *signalChild) code(c *coder) {
	m.life.code(c)
	integer(c, &m.signal)
	c.bool(&m.toGroup)
	integer(c, &m.token)
	c.bool(&m.toTree)
}

func (m *adoptChild) code(c *coder) {
	m.life.code(c)
	integer(c, &m.pid)
	integer(c, &m.start)
	integer(c, &m.ends)
	m.place.code(c)
	c.bool(&m.bare)
}

func (m *keep) code(c *coder) { c.string(&m.key); c.string(&m.note) }

func (*ready) code(*coder)   {}
func (*syncAll) code(*coder) {}
func (*disown) code(*coder)  {}
func (*synced) code(*coder)  {}

func (m *leave) code(c *coder) {
	integer(c, &m.Leave.How)
	integer(c, &m.Leave.Code)
	c.string(&m.Leave.Binary)
}

func (m *welcome) code(c *coder) {
	integer(c, &m.version)
	integer(c, &m.pid)
	integer(c, &m.generation)
	c.string(&m.failed)
	c.string(&m.program)
	c.bool(&m.becomes)
}

func (m *kept) code(c *coder) {
	m.life.code(c)
	integer(c, &m.pid)
	integer(c, &m.start)
	c.bool(&m.hasFD)
	integer(c, &m.ends)
	c.bool(&m.ended)
	codeStatus(c, &m.status)
	integer(c, &m.at)
	m.place.code(c)
	c.bool(&m.status.OutOfMemory)
}

// codeStatus must stay as long as it is: what was added later, a message has at its end.
func codeStatus(c *coder, s *process.ExitStatus) {
	integer(c, &s.Code)
	integer(c, &s.Signal)
	c.bool(&s.CoreDumped)
	c.bool(&s.Unknown)
}

// split hands out the descriptors of a process that the keeper holds; -1 are none.
func (m *kept) split(fds []int) (pidfd int, ends [3]int) {
	pidfd = -1
	if m.hasFD && len(fds) > 0 {
		pidfd, fds = fds[0], fds[1:]
	}
	at := m.ends.split(fds)
	return pidfd, [3]int{at[3], at[4], at[5]}
}

func (m *held) code(c *coder)      { c.string(&m.key); c.string(&m.note) }
func (*complete) code(*coder)      {}
func (m *setupDone) code(c *coder) { c.string(&m.errno); c.string(&m.text) }

func (m *forkedChild) code(c *coder) {
	m.life.code(c)
	integer(c, &m.pid)
	integer(c, &m.start)
	m.place.code(c)
}

func (m *failedChild) code(c *coder) { m.life.code(c); c.string(&m.text) }

func (m *signalledChild) code(c *coder) { m.life.code(c); integer(c, &m.token); integer(c, &m.errno) }

func (m *exitedChild) code(c *coder) {
	m.life.code(c)
	integer(c, &m.pid)
	codeStatus(c, &m.status)
	integer(c, &m.at)
	c.bool(&m.status.OutOfMemory)
}

func (m *orphanEnded) code(c *coder) { integer(c, &m.pid); codeStatus(c, &m.status) }
func (m *gotSignal) code(c *coder)   { integer(c, &m.signal) }
func (m *trouble) code(c *coder)     { c.string(&m.text) }
func (m *became) code(c *coder)      { c.string(&m.program); c.string(&m.failed) }

// ends says which descriptors go with a child: bits, in this order.
type ends uint8

const (
	childStdin ends = 1 << iota
	childStdout
	childStderr
	stdinWrite
	stdoutRead
	stderrRead
)

// split hands out descriptors to the places that e names; -1 for the others. They are as many as e has bits: the caller has looked.
func (e ends) split(fds []int) (out [6]int) {
	for i := range out {
		out[i] = -1
		if e&(1<<i) != 0 && len(fds) > 0 {
			out[i], fds = fds[0], fds[1:]
		}
	}
	return out
}

// join is the opposite of split.
func join(fds [6]int) (e ends, out []int) {
	for i, fd := range fds {
		if fd >= 0 {
			e |= 1 << i
			out = append(out, fd)
		}
	}
	return e, out
}

// Setup is how the children of a keeper begin.
type Setup struct {
	Dir           string // their directory where they name none; "" = the keeper's own
	Umask         int    // process.UnsetMask = the keeper's own
	IgnoreSigpipe bool
	Detach        bool // the keeper leaves its terminal
	UID, GID      int  // the user that the keeper becomes; process.UnsetID = none
	Groups        []int
	Limits        []Limit
	Cgroup        string // the directory below which children get control groups; "" = the keeper's own, cgroupsOff = none gets one
}

// Limit is a limit of resources (setrlimit).
type Limit struct {
	Resource   int
	Soft, Hard uint64
}

// Leave says how a daemon ends.
type Leave struct {
	How    LeaveHow
	Code   int    // with Over: the exit code of the whole
	Binary string // with Replaced: the program that takes over; "" = the one that is there now under the same name
}

// LeaveHow is what follows the end of a daemon.
type LeaveHow int

// What can follow.
const (
	Over       LeaveHow = iota // nothing: the keeper ends, too
	Replaced                   // another daemon goes on where this one was
	Background                 // with its first daemon only: everything begins again in the background
)
