package childlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// syslogSocket is where the local syslog daemon listens.
const syslogSocket = "/dev/log"

// syslogLine bounds an unfinished line that waits for its newline, in bytes.
const syslogLine = 8 << 10

// syslogBlock tells a chunk that somebody's buffer has cut from one that ends where its writer paused: buffers hold whole blocks.
const syslogBlock = 4 << 10

// syslogPatience bounds how long one message waits for a syslog daemon with a full queue. It comes at most once in a burst of losses.
const syslogPatience = 100 * time.Millisecond

// Syslog takes the lines of the daemon's own log in place of a File (the option logfile=syslog). Not safe for concurrent use.
type Syslog struct{ w syslogWriter }

// NewSyslog returns a Syslog. It connects when it is written to.
func NewSyslog() *Syslog { return &Syslog{syslogWriter{path: syslogSocket}} }

// Write sends the lines that p completes. It never fails.
func (s *Syslog) Write(p []byte) (int, error) {
	s.w.write("", p)
	return len(p), nil
}

// Close sends an unfinished line and closes the connection.
func (s *Syslog) Close() error {
	s.w.flush("")
	return nil
}

// syslogWriter sends lines to the local syslog daemon as "<process name> <line>", facility user, severity info (contract: logging, "Child
// log destinations"). Without a syslog daemon the lines are dropped, as by syslog(3). A daemon that does not read would hold Supervisor
// for ever; here lines are dropped then, and reported.
type syslogWriter struct {
	path   string
	report func(text string) // may be nil
	fd     int               // 0 = not connected
	part   []byte            // an unfinished line
	lost   int               // bytes dropped in the present burst
	stage  *Stage            // of the stream; may be nil
}

// write sends the lines of a chunk.
//
// compat: each chunk is on its own: newlines at its end count once, and an unfinished line at its end is sent as it is, so that a prompt is
// seen when it is written. Only where the chunk was cut by a buffer the line waits for its rest, which Supervisor sends as two.
func (w *syslogWriter) write(name string, data []byte) {
	cut := len(data)%syslogBlock == 0
	if len(w.part) > 0 {
		data = append(w.part, data...)
		w.part = nil
	}
	if last := bytes.LastIndexByte(data, '\n'); cut && len(data)-last-1 <= syslogLine && last < len(data)-1 {
		w.part = append([]byte(nil), data[last+1:]...)
		if last < 0 {
			return
		}
		data = data[:last]
	} else {
		data = bytes.TrimRight(data, "\n")
	}
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		if w.stage.wasSent() {
			continue
		}
		w.send(name, line)
		w.stage.sent()
	}
}

// flush sends an unfinished line and closes the connection.
func (w *syslogWriter) flush(name string) {
	if len(w.part) > 0 {
		w.send(name, w.part)
		w.part = nil
	}
	w.disconnect()
}

func (w *syslogWriter) disconnect() {
	if w.fd > 0 {
		unix.Close(w.fd)
		w.fd = 0
	}
}

func (w *syslogWriter) send(name string, line []byte) {
	const userInfo = 1<<3 | 6
	if name != "" {
		name += " "
	}
	msg := fmt.Appendf(nil, "<%d>%s %s: %s%s", userInfo, time.Now().Format(time.Stamp), filepath.Base(os.Args[0]), name, line)
	for range 2 { // the daemon may have been restarted since: connect anew once
		if w.fd == 0 && !w.connect() {
			return
		}
		switch err := w.transmit(msg); {
		case err == nil:
			w.recovered()
			return
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.ENOBUFS):
			w.lose(len(line), err)
			return
		}
		w.disconnect()
	}
}

// transmit sends one message, with some patience unless messages are being lost already.
func (w *syslogWriter) transmit(msg []byte) error {
	var deadline time.Time
	for {
		err := unix.Send(w.fd, msg, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != unix.EAGAIN || w.lost > 0 {
			return err
		}
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(syslogPatience)
		}
		left := deadline.Sub(now).Milliseconds()
		if left <= 0 {
			return err
		}
		ready := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLOUT}}
		if _, perr := unix.Poll(ready, int(left)); perr != nil && perr != unix.EINTR {
			return err
		}
	}
}

func (w *syslogWriter) lose(n int, why error) {
	if w.lost == 0 && w.report != nil {
		w.report(fmt.Sprintf("cannot write to syslog: %v; lines are dropped until it works again", why))
	}
	w.lost += max(1, n) // an empty line is a loss too
}

func (w *syslogWriter) recovered() {
	if w.lost > 0 && w.report != nil {
		w.report(fmt.Sprintf("writing to syslog works again; %d bytes were lost", w.lost))
	}
	w.lost = 0
}

func (w *syslogWriter) connect() bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: w.path}); err != nil {
		unix.Close(fd)
		return false
	}
	w.fd = fd
	return true
}
