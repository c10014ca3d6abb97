package childlog

import (
	"encoding/binary"
	"errors"
)

// state is what a stream holds back between two calls of Drain: read from the pipe, but not yet in any sink. Its slices belong to the stream.
type state struct {
	strip bool  // as in filter
	max   int64 // as in filter

	inside   bool   // between the capture tags
	pending  []byte // of capture
	outside  []byte // an unfinished escape sequence of the text
	within   []byte // the same of what is captured
	part     []byte // an unfinished line for syslog
	held     []byte // not yet taken by a slow target
	captured []byte // the end of the capture buffer

	// Positions in all that was ever captured, in bytes: where the buffer begins, and where captured begins in it. What lies between them stands
	// in earlier entries of a journal.
	from, at int64
}

// state returns what the stream holds back, with the whole of the capture buffer. The caller holds s.io.
func (s *Stream) state() state {
	st := state{part: s.syslog.part, held: s.held}
	if f := s.filter; f != nil {
		c := &f.capture
		st.strip, st.max = f.strip, f.max
		st.inside, st.pending, st.captured, st.from, st.at = c.inside, c.pending, c.buffer, c.from, c.from
		st.outside, st.within = f.outside.begun, f.inside.begun
	}
	return st
}

// restore makes the stream one that holds st back. The caller holds s.io.
func (s *Stream) restore(st state) {
	s.syslog.part, s.held = st.part, st.held
	s.filter = nil
	if st.strip || st.max > 0 {
		s.filter = &filter{
			strip: st.strip, max: st.max,
			capture: capture{inside: st.inside, pending: st.pending, buffer: st.captured, from: st.from},
			outside: unfinished(st.outside), inside: unfinished(st.within),
		}
	}
}

// empty reports whether nothing is held back.
func (st *state) empty() bool {
	return !st.inside && len(st.pending)+len(st.outside)+len(st.within)+len(st.part)+len(st.held)+len(st.captured) == 0
}

// end returns the position behind the capture buffer.
func (st *state) end() int64 { return st.at + int64(len(st.captured)) }

// since leaves out of st what a journal has up to position end.
func (st *state) since(end int64) {
	if st.at <= end && end <= st.end() {
		st.captured = st.captured[end-st.at:]
		st.at = end
	}
}

// after completes st with what the entries before it have of the capture buffer; it takes over the memory of before.
func (st *state) after(before *state) {
	if st.from < st.at && before.at <= st.from && before.end() >= st.at {
		st.captured = append(before.captured[st.from-before.at:st.at-before.at], st.captured...)
		st.at = st.from
	}
}

const (
	flagStrip  = 1
	flagInside = 2
)

// appendTo appends st, as an entry of the stream called key, to a journal.
func (st *state) appendTo(journal []byte, key uint64) []byte {
	flags := uint64(0)
	if st.strip {
		flags |= flagStrip
	}
	if st.inside {
		flags |= flagInside
	}
	for _, n := range [...]uint64{key, flags, uint64(st.max), uint64(st.from), uint64(st.at)} {
		journal = binary.AppendUvarint(journal, n)
	}
	for _, text := range [...][]byte{st.pending, st.outside, st.within, st.part, st.held, st.captured} {
		journal = binary.AppendUvarint(journal, uint64(len(text)))
		journal = append(journal, text...)
	}
	return journal
}

var errDamaged = errors.New("it is damaged")

// readJournal makes states, which are by key, those that a journal leaves its streams in. It keeps none of the journal's bytes.
func readJournal(states map[uint64]state, journal []byte) error {
	whole := true
	number := func() uint64 {
		n, size := binary.Uvarint(journal)
		if size <= 0 {
			whole = false
			return 0
		}
		journal = journal[size:]
		return n
	}
	for len(journal) > 0 {
		key, flags := number(), number()
		st := state{strip: flags&flagStrip != 0, inside: flags&flagInside != 0}
		st.max, st.from, st.at = int64(number()), int64(number()), int64(number())
		for _, text := range [...]*[]byte{&st.pending, &st.outside, &st.within, &st.part, &st.held, &st.captured} {
			n := number()
			if !whole || n > uint64(len(journal)) {
				return errDamaged
			}
			*text = append([]byte(nil), journal[:n]...)
			journal = journal[n:]
		}
		if before, ok := states[key]; ok {
			st.after(&before)
		}
		if st.empty() {
			delete(states, key)
		} else {
			states[key] = st
		}
	}
	return nil
}
