package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/host"
)

// obeyed are the signals that end the daemon also when it gets them itself. The others count when the keeper gets them: whoever sends them to all
// processes of the name means one restart, and the kernel sends SIGHUP to a daemon that is stopped when its keeper dies.
var obeyed = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}

// signalNames are the names of the signals that end the daemon.
var signalNames = map[os.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT"}

// listen starts to collect signals. They are collected until the process ends, so that none is lost between two runs.
func (s *supervisor) listen() {
	if s.signals == nil {
		s.signals = make(chan os.Signal, 16)
		signal.Notify(s.signals, obeyed...)
		signal.Notify(unread, unix.SIGHUP, unix.SIGUSR2)
	}
}

// obey turns signals into requests until done.
func (s *supervisor) obey(d *daemon.Daemon, logf logFunc, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case sig := <-s.signals:
			obeyOne(d, sig, logf)
		case sig := <-s.link.Signals():
			obeyOne(d, sig, logf)
		}
	}
}

// leaveSignals gives what has come since this daemon obeys no more to the keeper again, which knows by now that another one follows.
func (s *supervisor) leaveSignals() {
	again := func(sig os.Signal) { _ = syscall.Kill(s.link.Keeper(), sig.(syscall.Signal)) } // it fails for a keeper that has just died: then all begins anew
	for {
		select {
		case sig := <-s.signals:
			again(sig)
		case sig := <-s.link.Signals():
			again(sig)
		default:
			return
		}
	}
}

func obeyOne(d *daemon.Daemon, sig os.Signal, logf logFunc) {
	ctx := context.Background()
	switch sig {
	case syscall.SIGHUP:
		info, _ := d.Daemon(ctx) // answers in every state
		if info.Mood == control.MoodShutdown {
			logf(daemon.LevelWarn, "ignored SIGHUP indicating restart request (shutdown in progress)")
			return
		}
		logf(daemon.LevelWarn, "received SIGHUP indicating restart request")
		if err := d.Restart(ctx); err != nil {
			var fault *control.Error
			if errors.As(err, &fault) && fault.Placed != "" {
				err = errors.New(fault.Placed)
			}
			logf(daemon.LevelError, "the restart is refused, nothing was stopped: %v", err)
		}
	case syscall.SIGUSR2:
		logf(daemon.LevelInfo, "received SIGUSR2 indicating log reopen request")
		d.ReopenLogs(ctx)
	default:
		logf(daemon.LevelWarn, "received %s indicating exit request", signalNames[sig])
		if err := d.Shutdown(ctx); err != nil {
			logf(daemon.LevelError, "cannot shut down: %v", err)
		}
	}
}

// defaultActions gives signals that Go's runtime takes and ignores the meaning that they have for any process (contract: daemon,
// "Signals"): whoever sends SIGUSR1 or SIGALRM to a supervisor ends it. SIGIO is left out, with which the kernel tells of leases: childlog
// asks for some.
func defaultActions() {
	for _, sig := range []syscall.Signal{unix.SIGUSR1, unix.SIGALRM, unix.SIGVTALRM, unix.SIGPROF, unix.SIGPWR, unix.SIGXCPU} {
		host.DefaultAction(sig)
	}
	const firstFree, last = 35, 64 // 32 to 34 belong to C libraries
	for sig := syscall.Signal(firstFree); sig <= last; sig++ {
		host.DefaultAction(sig)
	}
}

// unread takes signals that have no effect.
var unread = make(chan os.Signal, 1)

// surviveWrites keeps SIGPIPE and SIGXFSZ from ending the daemon, for a log on a broken pipe or a file that grew too large must not end
// supervision. Children start with the default actions then, unless the host, which comes later, ignores both for them too.
func surviveWrites() { signal.Notify(unread, unix.SIGPIPE, unix.SIGXFSZ) }
