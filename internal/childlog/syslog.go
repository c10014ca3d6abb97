package childlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// syslogSocket is where the local syslog daemon listens.
const syslogSocket = "/dev/log"

// syslogLine bounds an unfinished line that waits for its newline.
const syslogLine = 8 << 10

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
// log destinations"). Without a syslog daemon the lines are dropped, as by syslog(3).
type syslogWriter struct {
	path string
	fd   int // 0 = not connected
	part []byte
}

// write sends the lines that data completes.
func (w *syslogWriter) write(name string, data []byte) {
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		if len(w.part) > 0 {
			w.part = append(w.part, data[:i]...)
			w.send(name, w.part)
			w.part = w.part[:0]
		} else {
			w.send(name, data[:i])
		}
		data = data[i+1:]
	}
	w.part = append(w.part, data...)
	if len(w.part) > syslogLine {
		w.send(name, w.part)
		w.part = w.part[:0]
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
		if err := unix.Send(w.fd, msg, unix.MSG_NOSIGNAL); err == nil || err == unix.EAGAIN || err == unix.EMSGSIZE {
			return
		}
		w.disconnect()
	}
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
