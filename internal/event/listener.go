package event

import (
	"bytes"
	"strconv"
	"strings"
)

// ListenerState is what a listener process is ready for.
type ListenerState int

// The states and their codes in Supervisor.
const (
	Ready        ListenerState = 10 // it takes an event
	Busy         ListenerState = 20 // it has one
	Acknowledged ListenerState = 30 // it has answered, or was just started, and has to say READY
	Violated     ListenerState = 40 // it broke the protocol and gets no event until it is started again
)

// unsure is the state of a restored listener that is BUSY or ACKNOWLEDGED: what it says next tells.
const unsure ListenerState = 0

// String returns the name that Supervisor prints.
func (s ListenerState) String() string {
	switch s {
	case Ready:
		return "READY"
	case Busy:
		return "BUSY"
	case Acknowledged:
		return "ACKNOWLEDGED"
	default:
		return "UNKNOWN"
	}
}

// Bounds on what a listener can make the daemon keep. The reference has none.
const (
	lineMost   = 64 << 10 // bytes of a result line
	resultMost = 16 << 20 // bytes of a result
)

// Listener reads the standard output of one life of a listener process (contract: events, "Listener protocol"). The zero value is not
// usable; a new life needs NewListener.
type Listener struct {
	state  ListenerState
	buf    []byte // not looked at yet
	result int    // bytes of the result that is due; -1 = its line has not come
}

// NewListener returns the reader for a process that was just started.
func NewListener() *Listener { return &Listener{state: Acknowledged, result: -1} }

// SavedListener is a Listener written down. One without a state is BUSY or ACKNOWLEDGED; which of them, what it says next tells.
type SavedListener struct {
	State  ListenerState
	Unread []byte
	Result int
}

// Save returns all that Restore needs to make the listener again. It shares no memory with it.
func (l *Listener) Save() SavedListener {
	return SavedListener{State: l.state, Unread: bytes.Clone(l.buf), Result: l.result}
}

// Restore makes the listener that was saved.
func (s SavedListener) Restore() *Listener {
	return &Listener{state: s.State, buf: bytes.Clone(s.Unread), result: s.Result}
}

// State returns the present state.
func (l *Listener) State() ListenerState { return l.state }

// Write takes output. It is looked at by Next.
func (l *Listener) Write(data []byte) {
	if l.state != Violated {
		l.buf = append(l.buf, data...)
	}
}

// Sent notes that a READY listener has got an event.
func (l *Listener) Sent() { l.state = Busy }

// Unsent takes that back: the event never reached it.
func (l *Listener) Unsent() {
	if l.state == Busy {
		l.state = Ready
	}
}

// Judge notes what became of a result: taken, in which case the listener has to say READY again, or not understood.
func (l *Listener) Judge(understood bool) {
	l.state = Acknowledged
	if !understood {
		l.violate()
	}
}

func (l *Listener) violate() {
	l.state, l.buf, l.result = Violated, nil, -1
}

// Sign is what a listener's output means.
type Sign int

// The signs.
const (
	Nothing     Sign = iota // more is needed
	BecameReady             // it said READY
	Result                  // it answered its event: Text is the result, Judge has to follow
	BadLine                 // Text is the line where a result line should be; the state is Violated
	Broke                   // it spoke out of turn; the state is Violated
)

// ready is what a listener says that can take an event.
const ready = "READY\n"

// saysReady reports whether that comes next.
func (l *Listener) saysReady() bool { return bytes.HasPrefix(l.buf, []byte(ready)) }

// Next looks at the next piece of output. It is to be called until it returns Nothing.
func (l *Listener) Next() (sign Sign, text []byte) {
	if len(l.buf) == 0 && l.result != 0 {
		return Nothing, nil
	}
	if l.state == unsure {
		if len(l.buf) < len(ready) {
			return Nothing, nil
		}
		l.state = Busy
		if l.saysReady() {
			l.state = Acknowledged
		}
	}
	switch l.state {
	case Acknowledged:
		switch {
		case len(l.buf) < len(ready):
			return Nothing, nil
		case l.saysReady():
			l.state = Ready
			l.consume(len(ready))
			return BecameReady, nil
		}
		l.violate()
		return Broke, nil
	case Ready:
		l.violate()
		return Broke, nil
	case Busy:
		return l.answer()
	default:
		l.buf = nil
		return Nothing, nil
	}
}

// answer reads the result line, then the result.
func (l *Listener) answer() (Sign, []byte) {
	if l.result < 0 {
		end := bytes.IndexByte(l.buf, '\n')
		if end < 0 && len(l.buf) <= lineMost {
			return Nothing, nil
		}
		line := l.buf
		if end >= 0 {
			line = l.buf[:end]
		}
		n, ok := resultLength(line)
		if end < 0 || !ok {
			line = bytes.Clone(line)
			l.violate()
			return BadLine, line
		}
		l.result = n
		l.consume(end + 1)
	}
	if len(l.buf) < l.result {
		return Nothing, nil
	}
	result := bytes.Clone(l.buf[:l.result])
	l.consume(l.result)
	l.result = -1
	return Result, result
}

// consume drops what was looked at; an empty buffer gives its memory back.
func (l *Listener) consume(n int) {
	l.buf = l.buf[n:]
	if len(l.buf) == 0 {
		l.buf = nil
	}
}

// resultLength reads a result line. compat: its first seven bytes, which should be "RESULT ", are not looked at (quirk F8), and the number is
// read as Python reads one.
func resultLength(line []byte) (int, bool) {
	const word = len("RESULT ")
	if len(line) < word {
		return 0, false
	}
	text := strings.TrimFunc(string(line[word:]), func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' })
	digits := strings.TrimPrefix(text, "+")
	if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") {
		return 0, false
	}
	digits = strings.ReplaceAll(digits, "_", "")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n <= resultMost
}
