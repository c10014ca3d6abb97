package childlog

import "bytes"

// ansiMax bounds an escape sequence, in bytes. Titles and hyperlinks of terminals are far shorter; what is longer is text.
const ansiMax = 4 << 10

const (
	bel = 0x07
	esc = 0x1b
)

// ansiState is where the parser stands in a sequence.
type ansiState uint8

const (
	ansiText         ansiState = iota
	ansiEscape                 // after ESC
	ansiIntermediate           // after ESC and bytes 0x20-0x2f: a final byte ends it
	ansiControl                // after ESC [
	ansiControlLate            // the same after the first byte 0x20-0x2f: no more parameters
	ansiString                 // after ESC and P, X, ^ or _ : ends with ST (ESC \)
	ansiCommand                // after ESC ]: ends with BEL or ST
	ansiStringEscape           // after ESC within one of the two
)

// ansiStripper removes the escape sequences of terminals (ECMA-48: control sequences with any final byte, command and device strings, all
// two-byte and three-byte escapes) from a text that comes in pieces cut anywhere.
//
// Only a whole sequence is removed. Whatever turns out to be none stays as it was written: one that a control character or a byte outside
// ASCII interrupts, one longer than ansiMax, one that the end of the text cuts off. So no text is ever lost, where Supervisor swallows it
// up to the next letter that it knows (quirk F4). The zero value is ready for use.
type ansiStripper struct {
	state ansiState
	begun []byte // the unfinished sequence, from its ESC on; at most ansiMax bytes
}

// unfinished returns a stripper that stands behind begun, the beginning of a sequence; it keeps begun.
func unfinished(begun []byte) ansiStripper {
	s := ansiStripper{begun: begun}
	if len(begun) > 0 {
		s.state = ansiEscape
		for _, c := range begun[1:] {
			s.state, _ = s.state.next(c)
		}
	}
	return s
}

// idle reports whether data would pass unchanged.
func (s *ansiStripper) idle(data []byte) bool {
	return s.state == ansiText && bytes.IndexByte(data, esc) < 0
}

// appendTo appends data without its sequences to dst. What may be the beginning of a sequence is held back until the next call.
func (s *ansiStripper) appendTo(dst, data []byte) []byte {
	for len(data) > 0 {
		if s.state == ansiText {
			i := bytes.IndexByte(data, esc)
			if i < 0 {
				return append(dst, data...)
			}
			dst = append(dst, data[:i]...)
			s.begun = append(s.begun, esc)
			s.state = ansiEscape
			data = data[i+1:]
			continue
		}
		c := data[0]
		next, ok := s.state.next(c)
		switch {
		case !ok && s.state == ansiStringEscape: // the string was none, but its last byte may begin another sequence
			dst = append(dst, s.begun[:len(s.begun)-1]...)
			s.state, s.begun = ansiEscape, append(s.begun[:0], esc)
			continue
		case !ok || next != ansiText && len(s.begun) >= ansiMax:
			dst = s.flush(dst) // it was text; c is looked at again
			continue
		case next == ansiText:
			s.begun = s.begun[:0]
		default:
			s.begun = append(s.begun, c)
		}
		s.state = next
		data = data[1:]
	}
	if s.state == ansiText {
		s.begun = nil // most output has no sequences: keep no memory for them
	}
	return dst
}

// flush appends what is held back, as at the end of the text.
func (s *ansiStripper) flush(dst []byte) []byte {
	dst = append(dst, s.begun...)
	s.state, s.begun = ansiText, s.begun[:0]
	return dst
}

// next returns the state after c; ansiText says that c completes the sequence. ok is false when c cannot belong to it.
func (s ansiState) next(c byte) (state ansiState, ok bool) {
	switch s {
	case ansiEscape:
		switch {
		case c == '[':
			return ansiControl, true
		case c == ']':
			return ansiCommand, true
		case c == 'P' || c == 'X' || c == '^' || c == '_':
			return ansiString, true
		case c >= 0x20 && c <= 0x2f:
			return ansiIntermediate, true
		}
		return ansiText, c >= 0x30 && c <= 0x7e
	case ansiIntermediate:
		if c >= 0x20 && c <= 0x2f {
			return ansiIntermediate, true
		}
		return ansiText, c >= 0x30 && c <= 0x7e
	case ansiControl, ansiControlLate:
		switch {
		case c >= 0x30 && c <= 0x3f:
			return ansiControl, s == ansiControl
		case c >= 0x20 && c <= 0x2f:
			return ansiControlLate, true
		}
		return ansiText, c >= 0x40 && c <= 0x7e
	case ansiString, ansiCommand:
		switch {
		case c == bel && s == ansiCommand:
			return ansiText, true
		case c == esc:
			return ansiStringEscape, true
		}
		// A line end is the sign that the string was never meant to be one, or that its end was lost: the lines after it are text.
		return s, c >= 0x20 && c != 0x7f
	default: // ansiStringEscape
		return ansiText, c == '\\'
	}
}
