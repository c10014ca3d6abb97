package childlog

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stage makes what streams write outlive the daemon where bytes are looked at on their way: nothing that was read from a pipe is lost, and nothing
// is written twice, when the daemon is killed between any two instructions.
//
// It lives in a memfd that somebody else (the keeper) holds too. A chunk is spliced from the pipe into it: the kernel takes the bytes out of the
// pipe, puts them into the memfd and moves its file position in one step. Then the chunk is a transaction, which ends with one store into
// mapped memory: until then the chunk is there and everything before it is as it was, and afterwards it is done. In between, each write to a
// log is announced: the file, its size and how much of the transaction's output went before. So whoever comes after a crash sees how
// much of it the file has got, goes through the chunk again and writes the rest (Recover). What streams hold back from one chunk to the
// next (an unfinished escape sequence, a capture) is kept in a journal behind the chunks.
//
// A Stage serves one chunk at a time, of any number of streams: one for each goroutine that drains is best; that a goroutine waits in a
// function of Config holds up all streams of its stage. A stream that is silent costs nothing; one that holds something back costs a few times
// what it holds back. A stage has 200 KiB, and more only while much is held back.
type Stage struct {
	mu   sync.Mutex // held during a transaction
	fd   int
	mem  []byte // chunks, header and path
	head *stageHeader
	path string // the path in mem

	room     []byte           // for the journal; it is mapped anew when it grows
	from, to int              // the journal in room
	saved    map[uint64]int64 // streams of which the journal has a state: the end of their capture buffer in it
	states   map[uint64]state // what OpenStage found, until Recover has handed it out
	failing  bool             // the last transaction could not be saved

	// Of the transaction under way:
	position int // of the chunk; where the memfd's file position stood before
	size     int // of the chunk
	skip     int // bytes of output that were written before a crash
	skipSent int // messages that were sent to syslog before it
	told     uint64

	step func() // tests: called between any two steps; nil = not wanted
}

// The memfd: room for chunks, the header, the path that belongs to it, the journal.
const (
	stageHead    = 2 * bufferSize // two chunks, so that the file position is rarely set back
	stagePath    = stageHead + 4096
	stageJournal = stagePath + 4096
	stageLeast   = 64 << 10 // room for the journal, in bytes
)

// stageMagic begins the header; its last byte is the version of the layout.
const stageMagic = 0x6772616365640001

// stageHeader is the part of the memfd that says what the rest means. Its stores are in the order of their statements for whoever reads it after a
// crash.
type stageHeader struct {
	magic atomic.Uint64

	// Transactions have numbers. One is under way when begun = committed+1.
	begun, committed atomic.Uint64
	// journal says where the journal is, as of the last two transactions: that of n is in n%2.
	journal [2]struct{ from, to atomic.Uint64 }

	// Of the transaction under way:
	key      atomic.Uint64 // its stream
	kind     atomic.Uint64
	position atomic.Uint64 // of the chunk
	sent     atomic.Uint64 // messages to syslog
	written  atomic.Uint64 // bytes of output that the log has got, or that were dropped

	// The write under way, announced before it begins: length bytes behind the first size bytes of a file. It is over as soon as written is not
	// base any more.
	base, length, size, dev, ino, pathLength atomic.Uint64
}

// What a transaction is about.
const (
	stageChunk  = iota // a chunk
	stageFinish        // the end of the output
	stageSave          // the journal alone
)

// noWrite is the base of no write.
const noWrite = ^uint64(0)

// OpenStage returns the stage in a memfd, which is made one if it is empty. fd must be the caller's memfd or a duplicate of that descriptor, as
// one sent through a socket is: what /proc/self/fd would open has a file position of its own. It stays open until the Stage is closed.
//
// A stage that an earlier daemon has used must be opened before anything is written to a log, and go through Recover before it is used.
func OpenStage(fd int) (*Stage, error) {
	g := &Stage{fd: fd}
	err := g.open()
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("cannot open stage: %w", err)
	}
	return g, nil
}

func (g *Stage) open() error {
	var st unix.Stat_t
	if err := unix.Fstat(g.fd, &st); err != nil {
		return err
	}
	room := max(int(st.Size)-stageJournal, stageLeast)
	// The pages are made now: there is no error to be had from a store into a page that does not exist.
	if err := unix.Fallocate(g.fd, 0, 0, int64(stageJournal+room)); err != nil {
		return err
	}
	var err error
	if g.mem, err = g.mapped(0, stageJournal); err != nil {
		return err
	}
	if g.room, err = g.mapped(stageJournal, room); err != nil {
		return err
	}
	g.head = (*stageHeader)(unsafe.Pointer(&g.mem[stageHead]))
	switch g.head.magic.Load() {
	case stageMagic:
		return g.load()
	case 0:
		g.head.magic.Store(stageMagic)
		return g.load()
	}
	return errors.New("its layout is another one")
}

func (g *Stage) mapped(at, size int) ([]byte, error) {
	return unix.Mmap(g.fd, int64(at), size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// load takes over what an earlier daemon has left.
func (g *Stage) load() error {
	h := g.head
	journal := &h.journal[h.committed.Load()%2]
	from, to := journal.from.Load(), journal.to.Load()
	if from > to || to > uint64(len(g.room)) {
		return errDamaged
	}
	g.from, g.to = int(from), int(to)
	g.states = map[uint64]state{}
	if err := readJournal(g.states, g.room[from:to]); err != nil {
		return err
	}
	g.saved = map[uint64]int64{}
	for key, st := range g.states {
		g.saved[key] = st.end()
	}
	if !g.underWay() {
		return g.rewind()
	}
	position, err := unix.Seek(g.fd, 0, unix.SEEK_CUR)
	if err != nil {
		return err
	}
	g.position = int(h.position.Load())
	g.size = int(position) - g.position
	if g.position > stageHead-bufferSize || g.size < 0 || g.size > bufferSize {
		return errDamaged
	}
	g.settle()
	g.skip, g.skipSent = int(h.written.Load()), int(h.sent.Load())
	return nil
}

// Close lets go of the memfd; what is in it stays.
func (g *Stage) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, mem := range [...][]byte{g.mem, g.room} {
		if mem != nil {
			_ = unix.Munmap(mem)
		}
	}
	g.mem, g.room, g.head = nil, nil, nil
}

// underWay reports whether a transaction has begun and not ended.
func (g *Stage) underWay() bool { return g.head.begun.Load() == g.head.committed.Load()+1 }

// settle finds out how much a write got done that a crash has ended, and makes it part of what is written. Nobody has written to the file since:
// streams that share it wait for each other.
func (g *Stage) settle() {
	h := g.head
	written := h.written.Load()
	if h.base.Load() != written {
		return
	}
	path := string(g.mem[stagePath : stagePath+h.pathLength.Load()])
	for _, path := range [...]string{path, path + ".1"} { // somebody else may have rotated it meanwhile
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Dev != h.dev.Load() || st.Ino != h.ino.Load() {
			continue
		}
		grown := max(0, st.Size-int64(h.size.Load()))
		h.written.Store(written + min(h.length.Load(), uint64(grown)))
		break
	}
	h.base.Store(noWrite)
}

// begin begins a transaction of the stream called key. Every method of a transaction does nothing without a Stage.
func (g *Stage) begin(key, kind uint64) {
	if g == nil {
		return
	}
	g.mu.Lock()
	if g.underWay() {
		panic("childlog: a stage is used before Recover has been through it")
	}
	h := g.head
	h.key.Store(key)
	h.kind.Store(kind)
	h.position.Store(uint64(g.position))
	h.sent.Store(0)
	h.base.Store(noWrite)
	h.written.Store(0)
	g.size, g.skip, g.skipSent, g.told = 0, 0, 0, 0
	h.begun.Store(h.committed.Load() + 1)
	g.pass()
}

// read takes a chunk of up to max bytes out of a pipe; it stays in memory until the transaction ends. Where that cannot be done in one step, from
// other descriptors than pipes and while the daemon may write no file (RLIMIT_FSIZE), it is read without the promises of a Stage. It returns
// as readPipe does.
func (g *Stage) read(fd, max int) ([]byte, error) {
	for {
		n, err := unix.Splice(fd, nil, g.fd, nil, max, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return nil, nil
		case err != nil:
			room := g.mem[g.position : g.position+max]
			n, err := readPipe(fd, room)
			return room[:n], err
		case n == 0:
			g.head.kind.Store(stageFinish)
			g.pass()
			return nil, io.EOF
		default:
			g.size = int(n)
			g.pass()
			return g.staged()
		}
	}
}

// staged returns what read has returned already.
func (g *Stage) staged() ([]byte, error) {
	if g.head.kind.Load() == stageFinish {
		return nil, io.EOF
	}
	return g.mem[g.position : g.position+g.size], nil
}

// done returns how many of the next n bytes of output were written before a crash.
func (g *Stage) done(n int) int {
	if g == nil {
		return 0
	}
	n = min(n, g.skip)
	g.skip -= n
	return n
}

// announce says that the next n bytes of output are about to be written to t, which has size bytes. The caller holds t.mu until it says that
// they were written.
func (g *Stage) announce(t *target, size int64, n int) {
	if g == nil {
		return
	}
	h := g.head
	if g.path != t.path {
		g.path = t.path
		h.pathLength.Store(uint64(copy(g.mem[stagePath:stageJournal], t.path)))
	}
	h.dev.Store(t.dev)
	h.ino.Store(t.ino)
	h.size.Store(uint64(size))
	h.length.Store(uint64(n))
	g.pass()
	h.base.Store(h.written.Load())
	g.pass()
}

// wrote says that the next n bytes of output were written, or dropped.
func (g *Stage) wrote(n int) {
	if g == nil {
		return
	}
	g.pass()
	g.head.written.Add(uint64(n))
	g.pass()
}

// wasSent reports whether the next message to syslog was sent before a crash.
func (g *Stage) wasSent() bool {
	if g == nil || g.skipSent == 0 {
		return false
	}
	g.skipSent--
	return true
}

// sent says that a message was sent to syslog.
func (g *Stage) sent() {
	if g != nil {
		g.head.sent.Add(1)
		g.pass()
	}
}

// tell says that somebody is about to be told of the output.
func (g *Stage) tell() {
	if g != nil {
		g.told++
		g.pass()
	}
}

// commit ends the transaction: its stream holds st back from now on. The error is the first of a burst and says that st could not be saved; what
// this and all other streams held back is lost if the daemon dies now.
func (g *Stage) commit(st state) error {
	if g == nil {
		return nil
	}
	defer g.mu.Unlock()
	h := g.head
	err := g.save(h.key.Load(), st)
	if err != nil {
		g.from, g.to = 0, 0
		clear(g.saved)
	}
	begun := h.begun.Load()
	journal := &h.journal[begun%2]
	journal.from.Store(uint64(g.from))
	journal.to.Store(uint64(g.to))
	g.pass()
	h.committed.Store(begun)
	g.pass()
	g.position += g.size
	if g.position > stageHead-bufferSize {
		err = errors.Join(err, g.rewind())
	}
	g.shrink()
	known := g.failing
	g.failing = err != nil
	if err == nil || known {
		return nil
	}
	return fmt.Errorf("cannot save held back output for a restart: %w", err)
}

// rewind makes the next chunk the first one in the memfd.
func (g *Stage) rewind() error {
	g.position, g.size = 0, 0
	_, err := unix.Seek(g.fd, 0, unix.SEEK_SET)
	g.pass()
	return err
}

// save puts into the journal what has changed in what a stream holds back. The journal as it was stays readable: it is in force until the
// transaction ends.
func (g *Stage) save(key uint64, st state) error {
	end, known := g.saved[key]
	switch {
	case !st.empty():
		g.saved[key] = st.end()
		if known {
			st.since(end)
		}
	case !known:
		return nil
	default:
		delete(g.saved, key)
		if len(g.saved) == 0 {
			g.from, g.to = 0, 0
			return nil
		}
	}
	entry := st.appendTo(g.room[g.to:g.to], key) // in its place, if there is room
	if len(entry) > len(g.room)-g.to {
		return g.compact(entry)
	}
	g.to += len(entry)
	g.pass()
	return nil
}

// compact writes the journal anew, with entry at its end, to where it does not overwrite the old one: in front of it, or behind it, with as much
// room again to grow.
func (g *Stage) compact(entry []byte) error {
	states := map[uint64]state{}
	for _, journal := range [...][]byte{g.room[g.from:g.to], entry} {
		if err := readJournal(states, journal); err != nil {
			return err
		}
	}
	journal := make([]byte, 0, g.to-g.from+len(entry))
	for key, st := range states {
		journal = st.appendTo(journal, key)
	}
	at := 0
	if 2*len(journal) > g.from {
		at = g.to
		if err := g.grow(at + 2*len(journal) + stageLeast); err != nil {
			return err
		}
	}
	g.from, g.to = at, at+copy(g.room[at:], journal)
	g.pass()
	return nil
}

func (g *Stage) grow(room int) error {
	if room <= len(g.room) {
		return nil
	}
	if err := unix.Fallocate(g.fd, 0, 0, int64(stageJournal+room)); err != nil {
		return err
	}
	return g.remap(room)
}

// shrink gives memory back that the journal no longer needs; one that stays as large as it is keeps its room.
func (g *Stage) shrink() {
	room := max(stageLeast, 2*(g.to-g.from))
	if g.from == 0 && len(g.room) > 3*room && g.remap(room) == nil {
		_ = unix.Ftruncate(g.fd, int64(stageJournal+room))
	}
}

func (g *Stage) remap(room int) error {
	mem, err := unix.Mremap(g.room, room, unix.MREMAP_MAYMOVE)
	if err == nil {
		g.room = mem
	}
	return err
}

// pass is where tests kill.
func (g *Stage) pass() {
	if g.step != nil {
		g.step()
	}
}
