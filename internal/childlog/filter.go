package childlog

import "sync"

// filter is what stands between the pipe and the sinks of a stream: bytes of unfinished escape sequences and tags, and the capture buffer. It
// belongs to the goroutine that drains. A stream that filters nothing has none.
type filter struct {
	strip   bool  // escape sequences are removed
	max     int64 // bytes of the capture buffer; 0 = tags mean nothing
	capture capture
	outside ansiStripper
	inside  ansiStripper // of what is captured: a text of its own
}

// route is where the output goes at a moment.
type route struct {
	Config
	target *target // nil: no file
}

func (r *route) limits() limits { return limits{r.MaxBytes, r.Backups} }

// filtered reports whether output is changed on its way.
func (c *Config) filtered() bool { return c.StripANSI || c.CaptureMaxBytes > 0 }

// watched reports whether output must go through the daemon's memory.
func (c *Config) watched() bool {
	return c.filtered() || c.Syslog || c.Raw != nil || c.Log != nil
}

// adopt makes the filters those of the configuration. What a filter that goes has held back comes out as it was written, and so does a
// capture under way: its END will appear in the log too.
func (s *Stream) adopt(r *route) {
	if s.filter == nil {
		if !r.filtered() {
			return
		}
		s.filter = &filter{}
	}
	f := s.filter
	if f.max > 0 && r.CaptureMaxBytes <= 0 {
		before := f.capture
		f.capture = capture{}
		s.piece(r, before.pending, before.inside, before.inside)
		s.text(r, before.buffer)
		s.text(r, f.capture.buffer)
		f.capture = capture{}
	}
	if f.strip && !r.StripANSI {
		s.piece(r, nil, false, true)
		s.piece(r, nil, true, true)
	}
	f.strip, f.max = r.StripANSI, max(0, r.CaptureMaxBytes)
	if !r.filtered() {
		s.filter = nil
	}
}

// finish lets out what is held back at the end of the output (quirk F3). A capture without END is dropped, as Supervisor does.
func (s *Stream) finish(r *route) {
	f := s.filter
	if f == nil {
		return
	}
	before := f.capture
	f.capture.pending = nil
	s.piece(r, before.pending, before.inside, true)
	s.piece(r, nil, !before.inside, true)
	f.capture = capture{}
}

// chunk sends what one read got through the filters to the sinks.
func (s *Stream) chunk(r *route, data []byte) {
	s.stage.tell()
	if r.Raw != nil {
		r.Raw(data)
	}
	if s.filter == nil || s.filter.max == 0 {
		s.piece(r, data, false, false)
		return
	}
	c := &s.filter.capture
	c.split(data, func(data []byte, inside bool) {
		s.piece(r, data, inside, false)
	}, func() {
		s.piece(r, nil, true, true) // the captured text ends here, and with it an unfinished sequence
		captured := c.take()
		s.stage.tell()
		if r.Captured != nil {
			r.Captured(captured)
		}
	})
}

// piece strips a piece of output and hands it to the sinks. inside says that it is captured, last that no more of its kind follows.
func (s *Stream) piece(r *route, data []byte, inside, last bool) {
	if f := s.filter; f != nil && f.strip {
		stripper := &f.outside
		if inside {
			stripper = &f.inside
		}
		if !stripper.idle(data) {
			scratch := stripped.Get().(*[]byte)
			defer stripped.Put(scratch)
			data = stripper.appendTo((*scratch)[:0], data)
			if last {
				data = stripper.flush(data)
			}
			*scratch = data
		}
	}
	if len(data) == 0 {
		return
	}
	if inside {
		s.filter.capture.keep(data, s.filter.max)
	} else {
		s.text(r, data)
	}
	s.stage.tell()
	if r.Log != nil {
		r.Log(data)
	}
}

// stripped holds room for chunks without their sequences.
var stripped = sync.Pool{New: func() any {
	room := make([]byte, 0, bufferSize+ansiMax)
	return &room
}}

// text writes what belongs into the log: to syslog and to the file. A slow target keeps it for later.
func (s *Stream) text(r *route, data []byte) {
	if len(data) == 0 {
		return
	}
	if r.Syslog {
		s.syslog.write(r.Name, data)
	}
	switch {
	case r.target == nil:
	case len(s.held) > 0:
		s.held = append(s.held, data...)
	default:
		s.put(r.target, data, r.limits())
	}
}
