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
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/store"
)

// heldLedger and heldPidfile are the keys under which the keeper holds them.
const (
	heldLedger  = "ledger"
	heldPidfile = "pidfile"
)

// memory is a ledger that the keeper alone holds: it is gone with it.
type memory struct{ link *host.Link }

func (m memory) Open() (*os.File, error) {
	_, fds, ok := m.link.Take(heldLedger)
	if !ok || len(fds) != 1 {
		return nil, nil
	}
	return os.NewFile(uintptr(fds[0]), "ledger"), nil
}

func (m memory) Create() (*os.File, error) {
	fd, err := unix.MemfdCreate("graced ledger", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "ledger"), nil
}

func (m memory) Publish(f *os.File) error {
	m.link.Keep(heldLedger, "", int(f.Fd()))
	m.link.Sync()
	return nil
}

func (m memory) Remove() error {
	m.link.Drop(heldLedger)
	return nil
}

// onDisk is a ledger in a file, which also outlives the keeper. Its first line of defence is the lock on the pid file: one daemon at a time has
// it.
type onDisk struct{ path string }

func (d onDisk) Open() (*os.File, error) {
	f, err := os.Open(d.path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	return f, err
}

func (d onDisk) Create() (*os.File, error) {
	return os.OpenFile(d.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (d onDisk) Publish(f *os.File) error { return os.Rename(f.Name(), d.path) }

func (d onDisk) Remove() error {
	err := os.Remove(d.path)
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

// openLedger finds what a daemon before has left, and where this one writes.
func (s *supervisor) openLedger() (*store.Ledger, *daemon.Left, error) {
	l, frames, err := store.OpenLedger(memory{s.link})
	if err != nil || len(frames) == 0 {
		return l, nil, err
	}
	left, err := daemon.ReadLeft(frames, func(a *config.Answers, path string) (*config.Config, error) {
		return config.Load(a.On(s.machine), path, s.overrides)
	})
	return l, left, err
}

// openStages makes the stages of the output, or goes on with those that a daemon before has left.
func (s *supervisor) openStages() (stages []*childlog.Stage, err error) {
	for i := range host.Shards() {
		key := fmt.Sprintf("stage %d", i)
		_, fds, ok := s.link.Take(key)
		if !ok || len(fds) != 1 {
			fd, err := unix.MemfdCreate("graced "+key, unix.MFD_CLOEXEC)
			if err != nil {
				return nil, fmt.Errorf("cannot make a stage for output: %w", err)
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
