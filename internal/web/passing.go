package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/graced/graced/internal/control"
)

// PassedCall is the prefix of the keys under which calls are kept that another daemon answers.
const PassedCall = "call:"

// Keep holds the connection of a call under a key, with a note that GoOn understands, for the daemon to come. The descriptor stays the caller's.
type Keep func(key, note string, fd int)

// passedCall is the note of a call.
type passedCall struct {
	Who  string
	Body []byte
}

// passedMost is the most bytes of a call that is passed on; others are many commands in one.
const passedMost = 64 << 10

var passedCalls atomic.Uint64

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
	key := PassedCall + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(passedCalls.Add(1), 10)
	return raw.Control(func(fd uintptr) { keep(key, string(note), int(fd)) }) == nil
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
		kind := "text/xml"
		if status != http.StatusOK {
			kind, response = "text/plain", nil
		}
		_ = c.SetWriteDeadline(time.Now().Add(draining))
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nServer: Medusa/1.12\r\nDate: %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status),
			time.Now().UTC().Format(http.TimeFormat), kind, len(response), response) // the client may have gone
		done()
	})
	return nil
}
