package health

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// Socket is where processes tell of themselves by the protocol of sd_notify. It has an abstract name: no file is left of it, and processes of every
// user may send to it. What they say counts for the process that is watched if it or one of its descendants has said it, which the kernel tells.
type Socket struct {
	conn *net.UnixConn
	name string
}

// prefix is what the names of these sockets begin with.
const prefix = "@graced/"

// Listen makes a socket with a name of its own, or, if it can be had, with the name that processes know already.
func Listen(known string) (*Socket, error) {
	if known != "" {
		if conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: known, Net: "unixgram"}); err == nil {
			return newSocket(conn)
		}
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: prefix + strings.ToLower(rand.Text()), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot make the socket of readiness: %w", err)
	}
	return newSocket(conn)
}

// Resume goes on with a socket that Hold has told of. The descriptor becomes the socket's.
func Resume(fd int) (*Socket, error) {
	file := os.NewFile(uintptr(fd), "notify")
	defer file.Close() // the connection has its own
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("cannot go on with the socket of readiness: %w", err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot go on with the socket of readiness: it is none")
	}
	return newSocket(u)
}

func newSocket(conn *net.UnixConn) (*Socket, error) {
	s := &Socket{conn: conn, name: conn.LocalAddr().String()}
	err := s.Hold(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot make the socket of readiness: %w", err)
	}
	return s, nil
}

// Hold calls f with the descriptor.
func (s *Socket) Hold(f func(fd int) error) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}

// Close lets go of the socket.
func (s *Socket) Close() {
	if s != nil {
		_ = s.conn.Close()
	}
}

// NameFor returns the name of the socket of ours that a process was started with, "" for none.
func NameFor(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // it may have ended
	for line := range strings.SplitSeq(string(data), "\x00") {
		if name, ok := strings.CutPrefix(line, "NOTIFY_SOCKET="); ok && strings.HasPrefix(name, prefix) {
			return name
		}
	}
	return ""
}

// Environ returns what a process that is watched so has to find in its environment.
func (s *Socket) Environ(h process.Health) (env []process.Env) {
	if s == nil || h.Ready.Kind != process.CheckNotify && h.Alive.Kind != process.CheckNotify {
		return nil
	}
	env = append(env, process.Env{Key: "NOTIFY_SOCKET", Value: s.name})
	if h.Alive.Kind == process.CheckNotify {
		env = append(env, process.Env{Key: "WATCHDOG_USEC", Value: strconv.FormatInt(h.Alive.Timeout.Microseconds(), 10)})
	}
	return env
}

// read tells who has sent what, until ctx ends. What tell does not want to be over with yet stays in the socket, for whoever reads it next.
func (s *Socket) read(ctx context.Context, tell func(pid int, words []string) (over bool)) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		_ = s.conn.SetReadDeadline(time.Time{}) // for the next monitor
	}()
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	data, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*253))
	receive := func(flags int) (n, c int, err error) {
		rerr := raw.Read(func(fd uintptr) bool {
			n, c, _, _, err = unix.Recvmsg(int(fd), data, control, flags|unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
			return err != unix.EAGAIN && err != unix.EINTR
		})
		return n, c, cmp.Or(rerr, err)
	}
	for {
		n, c, err := receive(unix.MSG_PEEK)
		switch {
		case ctx.Err() != nil && err != nil:
			return nil
		case err != nil:
			return err
		}
		if pid := senderOf(control[:c]); pid > 0 && !tell(pid, strings.Split(string(data[:n]), "\n")) {
			return nil
		}
		if _, c, err = receive(0); err == nil {
			_ = senderOf(control[:c])
		}
	}
}

// senderOf returns the pid that the kernel vouches for, 0 without one. Descriptors that came along are closed: that is all that BARRIER=1 waits for.
func senderOf(control []byte) (pid int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			pid = int(cred.Pid)
		}
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}
	return pid
}

// kin returns a process, its ancestors, and the leader of its process group: whose group that is has started it, also when others in between are gone.
func kin(pid int) (out []int) {
	const most = 64
	group := 0
	for p := pid; p > 1 && len(out) < most && !slices.Contains(out, p); {
		out = append(out, p)
		stat, err := host.ReadStat(p)
		if err != nil {
			break
		}
		if p == pid {
			group = stat.Group
		}
		p = stat.Parent
	}
	if group > 1 {
		out = append(out, group)
	}
	return out
}

// sign is what was sent.
type sign struct {
	at    time.Time
	from  []int // the nearest first
	words []string
}

// The bounds of what is kept for processes that are not watched yet: they may say that they are ready before it is known that they have begun.
const (
	earlyMost = 256
	earlyTime = 10 * time.Second
)

// signed takes what a process has said. It returns false when that could not be written down any more: the next monitor has to hear it.
func (m *Monitor) signed(pid int, words []string) (over bool) {
	s := sign{at: time.Now(), from: []int{pid}, words: words}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.reports
	if !m.heard(s) {
		m.mu.Unlock()
		s.from = kin(pid)
		m.mu.Lock()
		if !m.heard(s) {
			m.early = append(m.early[max(0, len(m.early)-earlyMost+1):], s)
			return true
		}
	}
	if m.reports == before || m.o.Settle == nil {
		return m.life.Err() == nil
	}
	m.mu.Unlock()
	defer m.mu.Lock()
	return m.o.Settle()
}

// heard takes what one of the watched has said, or reports false. The mutex is held.
func (m *Monitor) heard(s sign) bool {
	for _, pid := range s.from {
		if w := m.speakers[pid]; w != nil {
			m.hear(w, s)
			return true
		}
	}
	return false
}

// hearEarly hears what was said before the watch began.
func (m *Monitor) hearEarly(w *watch) {
	now := time.Now()
	m.early = slices.DeleteFunc(m.early, func(s sign) bool {
		if now.Sub(s.at) > earlyTime {
			return true
		}
		meant := slices.Contains(s.from, w.PID)
		if meant {
			m.hear(w, s)
		}
		return meant
	})
}

// hear takes what a process that is watched has said.
func (m *Monitor) hear(w *watch, s sign) {
	for _, word := range s.words {
		switch word {
		case "READY=1":
			if t := w.ready; t != nil && t.check.Kind == process.CheckNotify {
				m.judge(t, "")
			}
			m.alive(w, s.at)
		case "WATCHDOG=1":
			m.alive(w, s.at)
		case "WATCHDOG=trigger":
			if t := w.alive; t != nil && t.check.Kind == process.CheckNotify {
				m.judge(t, "it has sent WATCHDOG=trigger")
			}
		}
	}
}

// alive takes a sign of life.
func (m *Monitor) alive(w *watch, at time.Time) {
	if t := w.alive; t != nil && t.check.Kind == process.CheckNotify {
		m.judge(t, "")
		m.plan(t, at.Add(t.check.Timeout))
	}
}
