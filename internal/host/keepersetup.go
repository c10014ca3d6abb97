package host

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// setup makes the keeper such that children begin as they are to.
func (k *Keeper) setup(s Setup) *setupDone {
	if err := s.apply(); err != nil {
		return err
	}
	k.mu.Lock()
	k.setUp = &s
	k.mu.Unlock()
	k.cgroups.choose(s.Cgroup)
	// The forker's thread takes umask and directory from the process. It stays while it has them: to a process that asks for a signal at the end of its
	// parent that is the thread.
	stays := k.forker != nil
	if s.Umask != process.UnsetMask && unix.Umask(s.Umask) != s.Umask {
		stays = false
	}
	text := ""
	if s.Dir != "" {
		before, _ := os.Stat(".") // what is gone is no other's
		if err := os.Chdir(s.Dir); err != nil {
			text = err.Error()
		}
		now, _ := os.Stat(".") // likewise
		stays = stays && before != nil && now != nil && os.SameFile(before, now)
	}
	if stays {
		return &setupDone{text: text}
	}
	if k.forker != nil {
		k.forks.Wait()
		close(k.forker.jobs)
		k.forker.wait()
	}
	if err := k.startForking(); err != nil {
		return &setupDone{errno: errnoName(err), text: err.Error()}
	}
	return &setupDone{text: text}
}

func (k *Keeper) startForking() error {
	f, err := startForker(&k.born, k.bornChild)
	if err != nil {
		return err
	}
	k.forker = f
	go k.report(f)
	return nil
}

// apply makes this process what Setup says, apart from directory and umask.
func (s Setup) apply() *setupDone {
	failed := func(what string, err error) *setupDone {
		return &setupDone{errno: errnoName(err), text: fmt.Sprintf("%s: %v", what, err)}
	}
	for _, l := range s.Limits {
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard}); err != nil {
			return failed("setrlimit", err)
		}
	}
	if s.UID != process.UnsetID && os.Getuid() != s.UID {
		if err := syscall.Setgroups(s.Groups); err != nil {
			return failed("setgroups", err)
		}
		if err := syscall.Setgid(s.GID); err != nil {
			return failed("setgid", err)
		}
		if err := syscall.Setuid(s.UID); err != nil {
			return failed("setuid", err)
		}
	}
	s.sigpipe()
	if s.Detach {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return failed("open", err)
		}
		defer func() { _ = null.Close() }() // its copies stay
		for fd := range 3 {
			if err := syscall.Dup3(int(null.Fd()), fd, 0); err != nil {
				return failed("dup", err)
			}
		}
	}
	return nil
}

// sigpipe sets what becomes of two signals, here and in children.
func (s *Setup) sigpipe() {
	if s.IgnoreSigpipe {
		// compat: CPython ignores both, and its children inherit that (quirk C9).
		signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ)
		return
	}
	signal.Reset(syscall.SIGPIPE, syscall.SIGXFSZ)
	signal.Notify(unheard, syscall.SIGPIPE, syscall.SIGXFSZ)
}

// unheard takes signals that have no effect.
var unheard = make(chan os.Signal, 1)
