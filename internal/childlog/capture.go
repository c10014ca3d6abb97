package childlog

import "bytes"

// The tags between which a process writes what is not for its log (contract: events, "Process output events").
const (
	captureBegin = "<!--XSUPERVISOR:BEGIN-->"
	captureEnd   = "<!--XSUPERVISOR:END-->"
)

// capture finds the tags in an output that comes in pieces cut anywhere, and keeps what is between them. The zero value is ready for use.
type capture struct {
	inside  bool
	pending []byte // held back: it may be the beginning of a tag
	buffer  []byte // what was captured since the last BEGIN
	from    int64  // how much was captured before the buffer's first byte, ever; bytes
}

// take empties the buffer and returns what was in it.
func (c *capture) take() []byte {
	captured := c.buffer
	c.from += int64(len(captured))
	c.buffer = nil
	return captured
}

// split takes one chunk apart. piece gets the text without the tags, with inside telling on which side of them; what may be the beginning
// of a tag is held back until the next chunk. end is called at each END. A BEGIN inside is text.
//
// The pieces are those of Supervisor, with one exception: it holds back everything, not only the beginning of a tag, until it has more bytes
// than the tag is long. That is kept inside only, where the overflow of the buffer depends on the size of the pieces; outside it would delay
// short lines, or lose them (quirk F3).
func (c *capture) split(chunk []byte, piece func(data []byte, inside bool), end func()) {
	data := chunk
	if len(c.pending) > 0 {
		data = append(c.pending, chunk...)
		c.pending = nil
	}
	for len(data) > 0 {
		tag := captureBegin
		if c.inside {
			tag = captureEnd
		}
		before, after, found := bytes.Cut(data, []byte(tag))
		if !found {
			break
		}
		if len(before) > 0 {
			piece(before, c.inside)
		}
		c.inside = !c.inside
		if !c.inside {
			end()
		}
		data = after
	}
	tag, keep := captureBegin, 0
	if c.inside {
		tag = captureEnd
	}
	if c.inside && len(data) <= len(tag) {
		keep = len(data)
	} else {
		keep = tagPrefix(data, tag)
	}
	if rest := data[:len(data)-keep]; len(rest) > 0 {
		piece(rest, c.inside)
	}
	if keep > 0 {
		c.pending = append([]byte(nil), data[len(data)-keep:]...) // data is the caller's
	}
}

// tagPrefix returns the length of the longest end of data that is a beginning of tag, but not all of it.
func tagPrefix(data []byte, tag string) int {
	for n := min(len(tag)-1, len(data)); n > 0; n-- {
		if string(data[len(data)-n:]) == tag[:n] {
			return n
		}
	}
	return 0
}

// keep adds to the buffer. One that would grow over max bytes first loses as many from its front as come in, so that a single large piece
// may exceed max.
//
// compat: Supervisor's rule, also where dropping fewer bytes would do.
func (c *capture) keep(data []byte, max int64) {
	if int64(len(c.buffer)+len(data)) > max {
		lost := min(len(data), len(c.buffer))
		c.buffer = c.buffer[lost:]
		c.from += int64(lost)
	}
	c.buffer = append(c.buffer, data...)
}
