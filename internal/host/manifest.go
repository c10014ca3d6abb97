package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// manifestVersion is what this program writes, and the latest that it reads. It changes when a program before must not go on with what there is: what
// it only does not know it passes over.
const manifestVersion = 1

// A manifest is what a keeper leaves to the program that it becomes: frames, in which descriptors are named by their numbers. What has a message
// stands in it as one: welcome, setup, kept, held, gotSignal, leave, complete. These are the others.
type (
	// numbers are the descriptors that go with the next message.
	numbers struct{ fds []int }
	// estate begins it. Descriptors: the socket to the daemon, the program that daemons are started from.
	estate struct {
		version    int
		daemon     int    // its pid
		dir        string // where daemons begin
		home, base string // of the control groups
		moved      []string
	}
	// care follows a kept: what the keeper knows of the process besides.
	care struct {
		life
		foreign, over bool
		token         uint64
	}
	// unread is what came from the daemon and is no whole message yet, in parts.
	unread struct {
		data string
		fds  []int
	}
	// unsent is what the socket had no room for.
	unsent struct {
		data      string
		fds, give []int
	}
)

func (*numbers) kind() byte { return 64 }
func (*estate) kind() byte  { return 65 }
func (*care) kind() byte    { return 66 }
func (*unread) kind() byte  { return 67 }
func (*unsent) kind() byte  { return 68 }

func (m *numbers) code(c *coder) { c.integers(&m.fds) }

func (m *estate) code(c *coder) {
	integer(c, &m.version)
	integer(c, &m.daemon)
	c.string(&m.dir)
	c.string(&m.home)
	c.string(&m.base)
	c.strings(&m.moved)
}

func (m *care) code(c *coder) {
	m.life.code(c)
	c.bool(&m.foreign)
	c.bool(&m.over)
	integer(c, &m.token)
}

func (m *unread) code(c *coder) { c.string(&m.data); c.integers(&m.fds) }
func (m *unsent) code(c *coder) { c.string(&m.data); c.integers(&m.fds); c.integers(&m.give) }

// manifest is one that is being made.
type manifest struct {
	data []byte
	fds  []int // all that are in it
}

func (m *manifest) add(msg message, fds ...int) {
	if len(fds) > 0 {
		m.data = frame(m.data, &numbers{fds}, 0)
		m.fds = append(m.fds, fds...)
	}
	m.data = frame(m.data, msg, len(fds))
}

// manifest says all that the keeper knows, and with a wire, which is at rest, what is in that. The mutex is held.
func (k *Keeper) manifest(w *wire) *manifest {
	m := &manifest{}
	e := &estate{version: manifestVersion, dir: k.dir}
	e.home, e.base, e.moved = k.cgroups.places()
	link := -1
	if w != nil {
		_ = w.raw.Control(func(fd uintptr) { link = int(fd) }) // fails when it is closed: the reader refuses then
	}
	d := k.daemon
	if d != nil {
		e.daemon = d.pid
	}
	m.add(e, link, int(k.binary.Fd()))
	m.add(k.welcome())
	if k.setUp != nil {
		m.add(&setup{*k.setUp})
	}
	for _, c := range k.children {
		msg, fds := c.kept()
		m.add(msg, fds...)
		m.add(&care{c.life, c.foreign, c.over, c.token})
	}
	for key, h := range k.held {
		m.add(&held{key, h.note}, h.fds...)
	}
	for _, s := range k.asked {
		m.add(&gotSignal{s})
	}
	if d != nil && d.left != nil {
		m.add(&leave{*d.left})
	}
	if w != nil {
		w.leave(m)
	}
	m.add(&complete{})
	return m
}

// leave adds what is in a wire that is at rest.
func (w *wire) leave(m *manifest) {
	const most = 1 << 20 // bytes in one frame
	w.mu.Lock()
	defer w.mu.Unlock()
	m.add(&unread{fds: w.in.fds})
	m.fds = append(m.fds, w.in.fds...)
	for part := range slices.Chunk(w.in.data, most) {
		m.add(&unread{data: string(part)})
	}
	for _, p := range w.queue {
		m.add(&unsent{string(p.data), p.fds, p.give})
		m.fds = append(m.fds, p.fds...)
	}
}

// memory puts the manifest where another program finds it.
func (m *manifest) memory() (*os.File, error) {
	fd, err := unix.MemfdCreate("graced keeper", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "manifest")
	if _, err := f.Write(m.data); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// legacy is what a manifest says besides what is in the keeper already.
type legacy struct {
	estate
	link, binary int
	left         *Leave
	in           inbox
	queue        []piece
	fds          []int // all that are in it
	whole        bool
}

// read reads a manifest into a keeper that has nothing yet. It touches none of the descriptors.
func (k *Keeper) read(fd int) (*legacy, error) {
	file := os.NewFile(uintptr(dup(fd)), "manifest") // nil, which says so, if there is none
	data, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<40))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	l := &legacy{link: -1, binary: -1}
	box := inbox{data: data}
	err = box.each(func(m message, fds []int) {
		if n, ok := m.(*numbers); ok {
			box.fds = append(box.fds, n.fds...)
			l.fds = append(l.fds, n.fds...)
			return
		}
		k.inherit(l, m, fds)
	})
	switch {
	case err != nil:
		return nil, err
	case l.version > manifestVersion:
		return nil, fmt.Errorf("it is of version %d, and this program knows those up to %d", l.version, manifestVersion)
	case !l.whole || len(box.data) > 0:
		return nil, errBadFrame
	}
	return l, nil
}

// inherit takes one message of a manifest.
func (k *Keeper) inherit(l *legacy, m message, fds []int) {
	switch m := m.(type) {
	case *estate:
		if l.estate = *m; len(fds) > 1 {
			l.link, l.binary = fds[0], fds[1]
		}
	case *welcome:
		k.generation, k.failed = m.generation, m.failed
	case *setup:
		k.setUp = &m.Setup
	case *kept:
		c := &child{life: m.life, pid: m.pid, start: m.start, announced: true, place: m.place, ended: m.ended, status: m.status, at: m.at}
		c.pidfd, c.fds = m.split(fds)
		k.children[c.life] = c
	case *care:
		if c := k.children[m.life]; c != nil {
			c.foreign, c.over, c.token = m.foreign, m.over, m.token
			if !c.foreign && !c.over {
				k.byPID[c.pid] = c
			}
		}
	case *held:
		k.held[m.key] = holding{m.note, fds}
	case *gotSignal:
		k.asked = append(k.asked, m.signal)
	case *leave:
		l.left = &m.Leave
	case *unread:
		l.in.data = append(l.in.data, m.data...)
		l.in.fds = append(l.in.fds, m.fds...)
		l.fds = append(l.fds, m.fds...)
	case *unsent:
		l.queue = append(l.queue, piece{[]byte(m.data), m.fds, m.give})
		l.fds = append(l.fds, m.fds...)
	case *complete:
		l.whole = true
	}
}
