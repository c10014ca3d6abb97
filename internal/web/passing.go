package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/graced/graced/internal/control"
)

// Keep holds the connection of a call, with a note that GoOn understands, for the daemon to come. The descriptor stays the caller's. Several may be kept at once.
type Keep func(note string, fd int)

// passedCall is the note of a call.
type passedCall struct {
	Who  string
	Body []byte
}

// passedMost is the most bytes of a call that is passed on; others are many commands in one.
const passedMost = 64 << 10

// passOn has a call answered by the next daemon, if that can be.
func (s *Server) passOn(c net.Conn, who string, body []byte) bool {
	s.mu.Lock()
	keep := s.keep
	s.mu.Unlock()
	sys, ok := c.(syscall.Conn)
	if keep == nil || !ok || len(body) > passedMost {
		return false
	}
	note, err := json.Marshal(passedCall{who, body})
	raw, err2 := sys.SyscallConn()
	if err != nil || err2 != nil {
		return false
	}
	return raw.Control(func(fd uintptr) { keep(string(note), int(fd)) }) == nil
}

// GoOn answers a call that a server before has passed on, in the background. The descriptor becomes the server's. done is called when the answer has been
// written, or nobody is there for it; not if another daemon has to go on.
func (s *Server) GoOn(note string, fd int, done func()) error {
	file := os.NewFile(uintptr(fd), "call")
	defer file.Close()
	var call passedCall
	if err := json.Unmarshal([]byte(note), &call); err != nil {
		return err
	}
	c, err := net.FileConn(file)
	if err != nil {
		return err
	}
	gone, hungUp := context.WithCancel(context.Background())
	s.resumed.Go(func() { // an end of the connection is that of its client
		defer hungUp()
		_, _ = c.Read(make([]byte, 1)) // it says nothing more
	})
	s.resumed.Go(func() {
		defer c.Close()
		ctx, cancel := linger(s.running, gone)
		defer cancel()
		ctx, left := control.WithPassing(ctx)
		response, status := s.rpc.Serve(control.WithCaller(ctx, func() string { return call.Who }), call.Body)
		if left() { // it is kept under its key
			return
		}
		answer := http.Response{
			StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(response)), Body: io.NopCloser(bytes.NewReader(response)),
			Header: http.Header{"Server": {"Medusa/1.12"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}, "Content-Type": {"text/xml"}},
		}
		_ = c.SetWriteDeadline(time.Now().Add(draining))
		_ = answer.Write(c) // the client may have gone
		done()
	})
	return nil
}
