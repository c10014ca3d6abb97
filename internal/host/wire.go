package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The bounds of a frame. A larger one is a broken stream.
const (
	frameMost  = 8 << 20 // bytes; an environment and a command line together are at most 2 MiB
	rightsMost = 200     // descriptors that travel in one piece; the kernel takes 253
	headerSize = 6       // length of the rest (4), kind (1), descriptors (1)
)

// errBadFrame says that the other side speaks another language.
var errBadFrame = errors.New("what the other side sends makes no sense")

// message is one thing that keeper and daemon say to each other. Descriptors travel beside it.
type message interface {
	kind() byte
	code(c *coder)
}

// coder writes the fields of a message, or reads them: each message lists them once for both. A field that is missing at the end is zero and
// one that is new there is passed over, so that both sides may be of different age.
type coder struct {
	buf     []byte
	reading bool
	bad     bool
}

// integer codes an integer.
func integer[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](c *coder, v *T) {
	if !c.reading {
		c.buf = binary.AppendVarint(c.buf, int64(*v))
		return
	}
	if len(c.buf) == 0 {
		*v = 0
		return
	}
	n, size := binary.Varint(c.buf)
	if size <= 0 {
		c.fail()
		return
	}
	*v, c.buf = T(n), c.buf[size:]
}

func (c *coder) fail() { c.bad, c.buf = true, nil }

func (c *coder) bool(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	integer(c, &n)
	*v = n != 0
}

func (c *coder) string(v *string) {
	n := len(*v)
	integer(c, &n)
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	if n < 0 || n > len(c.buf) {
		c.fail()
		return
	}
	*v, c.buf = string(c.buf[:n]), c.buf[n:]
}

// list codes any number of things.
func list[T any](c *coder, v *[]T, one func(*T)) {
	n := len(*v)
	integer(c, &n)
	if c.reading {
		if n < 0 || n > len(c.buf) { // each takes a byte at least
			c.fail()
			return
		}
		*v = nil
		if n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		one(&(*v)[i])
	}
}

func (c *coder) strings(v *[]string) { list(c, v, c.string) }
func (c *coder) integers(v *[]int)   { list(c, v, func(n *int) { integer(c, n) }) }

// frame makes the bytes of a message that nfds descriptors go with.
func frame(buf []byte, m message, nfds int) []byte {
	start := len(buf)
	c := coder{buf: append(buf, 0, 0, 0, 0, m.kind(), byte(nfds))}
	m.code(&c)
	binary.LittleEndian.PutUint32(c.buf[start:], uint32(len(c.buf)-start-headerSize))
	return c.buf
}

// unframe takes the first message off data, nil if it is not whole yet.
func unframe(data []byte) (m message, nfds int, rest []byte, err error) {
	if len(data) < headerSize {
		return nil, 0, data, nil
	}
	size := binary.LittleEndian.Uint32(data)
	if size > frameMost {
		return nil, 0, nil, errBadFrame
	}
	end := headerSize + int(size)
	if len(data) < end {
		return nil, 0, data, nil
	}
	kind, nfds := data[4], int(data[5])
	if m = newMessage(kind); m == nil {
		return unknown(kind), nfds, data[end:], nil
	}
	c := coder{buf: data[headerSize:end], reading: true}
	if m.code(&c); c.bad {
		return nil, 0, nil, errBadFrame
	}
	return m, nfds, data[end:], nil
}

// wire is one end of the socket between a keeper and its daemon. Sending never blocks.
type wire struct {
	conn *net.UnixConn
	raw  syscall.RawConn

	in inbox // what has come and was not taken yet

	mu       sync.Mutex
	queue    []piece // what the socket had no room for
	writing  bool    // somebody is at the queue
	paused   bool    // nothing is read or written
	closed   bool
	draining sync.WaitGroup
}

// piece is what goes into the socket in one call.
type piece struct {
	data []byte
	fds  []int
	give []int // those of fds that are closed once they are sent
}

// pair makes a wire and the descriptor of its other end, for a process to be started.
func pair() (w *wire, other int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	if w, err = newWire(fds[0]); err != nil {
		unix.Close(fds[1])
		return nil, -1, err
	}
	return w, fds[1], nil
}

// newWire takes over one end of a socket pair.
func newWire(fd int) (*wire, error) {
	f := os.NewFile(uintptr(fd), "keeper")
	conn, err := net.FileConn(f)
	_ = f.Close() // conn has a copy
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close() // it is of no use
		return nil, fmt.Errorf("descriptor %d is no unix socket", fd)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		_ = u.Close() // likewise
		return nil, err
	}
	return &wire{conn: u, raw: raw}, nil
}

// send sends a message, and takes over the descriptors that go with it.
func (w *wire) send(m message, fds ...int) {
	w.put(piece{frame(nil, m, len(fds)), fds, fds})
}

// lend sends a message with descriptors that stay the caller's. He does not close them before the other side has taken note of them.
func (w *wire) lend(m message, fds ...int) {
	w.put(piece{data: frame(nil, m, len(fds)), fds: fds})
}

// put sends a piece now if there is room, or as soon as there is.
func (w *wire) put(p piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		closeAll(p.give)
		return
	}
	if len(p.fds) > 0 {
		p.data = append(frame(nil, &rights{len(p.fds)}, 0), p.data...)
	}
	if !w.writing && !w.paused {
		done := false
		_ = w.raw.Control(func(fd uintptr) { done = w.push(int(fd), &p) }) // fails when it is closed
		if done {
			return
		}
		w.writing = true
		w.draining.Go(w.drain)
	}
	w.queue = append(w.queue, p)
}

// push writes what fits and reports whether that was all. What cannot be sent at all is dropped: the reader finds out.
func (w *wire) push(fd int, p *piece) (done bool) {
	for len(p.data) > 0 {
		var rights []byte
		if len(p.fds) > 0 {
			rights = unix.UnixRights(p.fds...)
		}
		n, err := unix.SendmsgN(fd, p.data, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN, err == unix.ETOOMANYREFS: // of the descriptors that one user may have on their way
			return false
		case err != nil:
			closeAll(p.give)
			return true
		}
		closeAll(p.give)
		p.fds, p.give, p.data = nil, nil, p.data[n:]
	}
	return true
}

// drain writes the queue.
func (w *wire) drain() {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 || w.closed || w.paused {
			w.writing = false
			w.mu.Unlock()
			return
		}
		p := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		err := w.raw.Write(func(fd uintptr) bool { return w.push(int(fd), &p) })
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // a pause
			w.mu.Lock()
			w.queue = slices.Insert(w.queue, 0, p)
			w.mu.Unlock()
		case err != nil:
			closeAll(p.give)
		}
	}
}

// pause brings the wire to rest: receive returns errPaused, with all that it has read done or kept, and what is sent waits.
func (w *wire) pause() {
	w.mu.Lock()
	w.paused = true
	_ = w.conn.SetDeadline(time.Unix(1, 0)) // fails when it is closed
	w.mu.Unlock()
	w.draining.Wait()
}

// proceed ends a pause. receive has to be called again.
func (w *wire) proceed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.SetDeadline(time.Time{}) // likewise
	w.paused = false
	if len(w.queue) > 0 && !w.closed {
		w.writing = true
		w.draining.Go(w.drain)
	}
}

// errPaused ends receive at a pause.
var errPaused = errors.New("the wire is at rest")

// receive hands each message to take, with the descriptors that came with it, which are then take's. It returns when the other end is closed (nil),
// the wire is paused or the stream is broken.
func (w *wire) receive(take func(m message, fds []int)) error {
	buf, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(253*4))
	for {
		err := w.in.each(take)
		if err == nil {
			var n, oobn int
			n, oobn, _, _, err = w.conn.ReadMsgUnix(buf, oob)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return errPaused
			}
			if err == nil && n > 0 {
				w.in.fds = append(w.in.fds, rightsIn(oob[:oobn])...)
				w.in.data = append(w.in.data, buf[:n]...)
				continue
			}
		}
		closeAll(w.in.fds)
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, unix.ECONNRESET) {
			return nil
		}
		return err
	}
}

// inbox is what has come in: bytes and descriptors.
type inbox struct {
	data []byte
	fds  []int
}

// each hands each message that is whole to take, as receive does.
func (b *inbox) each(take func(m message, fds []int)) error {
	for {
		m, nfds, rest, err := unframe(b.data)
		if err != nil {
			return err
		}
		if m == nil {
			break
		}
		b.data = rest
		if r, ok := m.(*rights); ok {
			for len(b.fds) < r.n {
				b.fds = append(b.fds, -1) // there was no room for it in the table of descriptors
			}
			continue
		}
		if nfds > len(b.fds) {
			return errBadFrame
		}
		some := b.fds[:nfds:nfds]
		b.fds = b.fds[nfds:]
		take(m, some)
	}
	if len(b.data) == 0 {
		b.data = nil
	}
	return nil
}

// rightsIn returns the descriptors in a control message.
func rightsIn(oob []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		if some, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, some...)
		}
	}
	return fds
}

// close closes this end.
func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	queue := w.queue
	w.queue = nil
	w.mu.Unlock()
	for _, p := range queue {
		closeAll(p.give)
	}
	_ = w.conn.Close() // nothing is buffered in it
}

// closeAll closes descriptors; negative ones are none.
func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
