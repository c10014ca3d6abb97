package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/health"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/store"
)

// heldLedger and heldPidfile are the keys under which the keeper holds them.
const (
	heldLedger  = "ledger"
	heldPidfile = "pidfile"
)

// medium is where the ledger is: the keeper holds it, and where it is a file it outlives the keeper, too.
type medium struct {
	link *host.Link
	path string // "" = memory
	tell func(text string)
}

// Open returns what a daemon before has left with the keeper.
func (m *medium) Open() (*os.File, error) {
	note, fds, ok := m.link.Take(heldLedger)
	if !ok || len(fds) != 1 {
		return nil, nil
	}
	m.path = note
	return os.NewFile(uintptr(fds[0]), "ledger"), nil
}

// Create makes a file or, where none can be made, memory.
func (m *medium) Create() (*os.File, error) {
	if m.path != "" {
		f, err := os.OpenFile(m.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
		if err == nil {
			return f, nil
		}
		m.path = ""
		m.tell(fmt.Sprintf("the ledger is in memory: %v; if keeper and daemon are killed at once, what runs is not taken back", err))
	}
	fd, err := host.Memory("ledger")
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "ledger"), nil
}

// Publish puts a file in the place of the one before. The keeper has it when Publish returns.
func (m *medium) Publish(f *os.File) error {
	if m.path != "" {
		if err := os.Rename(f.Name(), m.path); err != nil {
			return err
		}
	}
	m.link.Keep(heldLedger, m.path, int(f.Fd()))
	m.link.Sync()
	return nil
}

// Remove leaves nothing to go on with.
func (m *medium) Remove() error {
	m.link.Drop(heldLedger)
	if m.path == "" {
		return nil
	}
	err := os.Remove(m.path)
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// ledgerPath is where the ledger is: beside the pid file, in the directory of what must not outlive a boot.
func ledgerPath(c *config.Config) string {
	path, err := filepath.Abs(c.Supervisord.Pidfile)
	if err != nil || strings.HasPrefix(path, "/dev/") {
		return ""
	}
	return path + ".ledger"
}

// openLedger finds what a daemon before has left with the keeper, and where this one writes.
func (s *supervisor) openLedger() (*daemon.Left, error) {
	s.medium = &medium{link: s.link}
	ledger, frames, err := store.OpenLedger(s.medium)
	s.ledger = ledger
	if err != nil {
		return nil, err
	}
	return s.readLeft(frames)
}

// readLeft makes sense of a ledger; nil: there is none.
func (s *supervisor) readLeft(frames []store.Frame) (*daemon.Left, error) {
	if len(frames) == 0 {
		return nil, nil
	}
	return daemon.ReadLeft(frames, func(a *config.Answers, path string) (*config.Config, error) {
		return config.Load(a.On(s.machine), path, s.overrides)
	})
}

// findLeft looks for the processes of a daemon that was killed together with its keeper: at a first start, or when the first daemon has died before it had
// written down anything. Nobody else may have the pid file.
func (s *supervisor) findLeft(c *config.Config, logf logFunc) []daemon.FoundProcess {
	path := ledgerPath(c)
	if path == "" || s.pidfileTaken(c) != nil {
		return nil
	}
	s.medium.path = path
	data, err := os.ReadFile(path)
	if err != nil {
		return nil // there was no daemon, or it has ended as it should
	}
	left, err := s.readLeft(store.Frames(data))
	switch {
	case err != nil:
		logf(daemon.LevelWarn, "%s: %v", path, err)
	case left != nil && left.SameBoot():
		return left.Find(func(text string) { logf(daemon.LevelWarn, "%s", text) })
	}
	return nil
}

// openNotify makes the socket on which processes tell of themselves, or goes on with that of a daemon before.
func (s *supervisor) openNotify() (*health.Socket, error) {
	if _, fds, ok := s.link.Take(notifyKey); ok && len(fds) == 1 {
		return health.Resume(fds[0])
	}
	return s.listenNotify("")
}

// notifyKey is what the keeper holds the socket under.
const notifyKey = "notify"

func (s *supervisor) listenNotify(known string) (*health.Socket, error) {
	socket, err := health.Listen(known)
	if err != nil {
		return nil, err
	}
	return socket, socket.Hold(func(fd int) error { s.link.Keep(notifyKey, "", fd); return nil })
}

// notifyAgain has the processes that were found heard on the socket that they know: theirs went with the keeper.
func (s *supervisor) notifyAgain(found []daemon.FoundProcess) error {
	for _, f := range found {
		known := ""
		if f.There != nil {
			known = health.NameFor(f.There.PID)
		}
		if known == "" {
			continue
		}
		socket, err := s.listenNotify(known)
		if err != nil {
			return err
		}
		s.notify.Close()
		s.notify = socket
		return nil
	}
	return nil
}

// openStages makes the stages of the output, or goes on with those that a daemon before has left.
func (s *supervisor) openStages() (stages []*childlog.Stage, err error) {
	for i := range host.Shards() {
		key := fmt.Sprintf("stage %d", i)
		_, fds, ok := s.link.Take(key)
		if !ok || len(fds) != 1 {
			fd, err := host.Memory(key)
			if err != nil {
				return nil, err
			}
			fds = []int{fd}
			s.link.Keep(key, "", fd)
		}
		stage, err := childlog.OpenStage(fds[0])
		if err != nil {
			return nil, err
		}
		stages = append(stages, stage)
	}
	return stages, nil
}
