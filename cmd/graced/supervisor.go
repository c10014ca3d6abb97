package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/web"
	"github.com/graced/graced/internal/xmlrpc"
)

// supervisor wires the packages together for one process: the runs between soft restarts.
type supervisor struct {
	machine   config.Machine
	path      string
	overrides config.Overrides
	serial    uint64   // of the next event: it goes on after a soft restart
	infos     []string // what the start wants to tell the main log
	detached  bool     // standard error leads nowhere
}

func (s *supervisor) load() (*config.Config, error) {
	return config.Load(s.machine, s.path, s.overrides)
}

// start goes through the sequence of a first start (contract: daemon, "Start sequence"), then supervises until the end.
func (s *supervisor) start() error {
	c, err := s.load()
	if err != nil {
		return err
	}
	if !c.Supervisord.Nodaemon && !isBackground() {
		return daemonize()
	}
	if err := s.becomeUser(c.Supervisord); err != nil {
		return err
	}
	if err := s.checkLimits(c.Supervisord); err != nil {
		return err
	}
	for first := true; ; first = false {
		restart, err := s.runOnce(c, first)
		if err != nil || !restart {
			return err
		}
		if c, err = s.load(); err != nil {
			return err
		}
	}
}

// runOnce is one life between two soft restarts: it opens everything, supervises, and closes everything.
func (s *supervisor) runOnce(c *config.Config, first bool) (restart bool, err error) {
	logs, err := openMainLog(c.Supervisord)
	if err != nil {
		return false, err
	}
	defer logs.close()
	logf := func(level slog.Level, format string, args ...any) {
		logs.logger.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
	if first && os.Getuid() == 0 && c.Supervisord.UID == process.UnsetID {
		logf(daemon.LevelCritical, "Supervisor is running as root.  Privileges were not dropped because no user is specified in the config file.  "+
			"If you intend to run as root, you can set user=root in the config file to avoid this message.")
	}
	daemon.LogWarnings(logs.logger, c)
	for _, info := range s.infos {
		logf(daemon.LevelInfo, "%s", info)
	}
	s.infos = nil

	listeners, err := web.Listen(serverConfigs(c.Servers))
	if err != nil {
		return false, &usageError{err.Error()}
	}
	defer listeners.Close()
	for _, notice := range listeners.Notices {
		fmt.Fprintln(os.Stderr, notice)
	}
	// Only after the sockets are ours: another daemon that holds them keeps its logs (quirk F2).
	if !c.Supervisord.Nocleanup {
		cleanAutoLogs(c.Supervisord, logf)
	}
	// Before the host starts: children inherit directory and umask from it.
	reportBackground := func(logFunc) {}
	if first && isBackground() {
		reportBackground = settle(c.Supervisord)
		if err := detach(); err != nil {
			return false, err
		}
		s.detached = true
	}
	d, err := daemon.New(daemon.Options{
		Config: c, Load: s.load, Logger: logs.logger, MainLog: logs.file, Flush: logs.writer.Flush,
		ServerURL: c.ServerURL(), Version: version, PID: os.Getpid(), Environ: s.machine.Environ, EventSerial: s.serial,
		Host: func(events func(host.Event)) (host.Host, error) {
			return host.NewLocal(host.Options{Events: events, Sigpipe: sigpipe(c.Graced), ChildNofile: uint64(max(0, c.Supervisord.MinFDs))})
		},
	})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	plugins := rpcPlugins(c.RPCInterfaces)
	handler, err := xmlrpc.NewHandler(d, plugins)
	if err != nil {
		return false, &usageError{err.Error()}
	}
	for range listeners.Addresses() {
		for _, p := range c.RPCInterfaces {
			logf(daemon.LevelInfo, "RPC interface '%s' initialized", p.Name)
		}
	}
	for _, section := range listeners.Unprotected() {
		logf(daemon.LevelCritical, "Server '%s' running without any HTTP authentication checking", section)
	}
	reportBackground(logf)
	server := web.Serve(listeners, d, handler)
	defer server.Close()

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)

	removePidfile := writePidfile(c.Supervisord.Pidfile, logf)
	defer removePidfile()
	if err := announce(upWord); err != nil {
		return false, err
	}

	done := make(chan struct{})
	defer close(done)
	go s.obey(d, signals, logf, done)
	restart = d.Run(context.Background())
	s.serial = d.EventSerial()
	return restart, nil
}

// logFunc writes a line into the main log.
type logFunc func(level slog.Level, format string, args ...any)

// obey turns signals into requests.
func (s *supervisor) obey(d *daemon.Daemon, signals <-chan os.Signal, logf logFunc, done <-chan struct{}) {
	ctx := context.Background()
	for {
		select {
		case <-done:
			return
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				info, _ := d.Daemon(ctx) // answers in every state
				if info.Mood == control.MoodShutdown {
					logf(daemon.LevelWarn, "ignored SIGHUP indicating restart request (shutdown in progress)")
					continue
				}
				logf(daemon.LevelWarn, "received SIGHUP indicating restart request")
				if err := d.Restart(ctx); err != nil {
					logf(daemon.LevelError, "the restart is refused, nothing was stopped: %v", err)
				}
			case syscall.SIGUSR2:
				logf(daemon.LevelInfo, "received SIGUSR2 indicating log reopen request")
				d.ReopenLogs(ctx)
			default:
				name := map[os.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT"}[sig]
				logf(daemon.LevelWarn, "received %s indicating exit request", name)
				if err := d.Shutdown(ctx); err != nil {
					logf(daemon.LevelError, "cannot shut down: %v", err)
				}
			}
		}
	}
}

// cleanAutoLogs removes the AUTO logs that an earlier run left behind.
func cleanAutoLogs(c config.Supervisord, logf logFunc) {
	failed, err := childlog.CleanAuto(c.ChildLogDir, c.Identifier)
	if err != nil {
		logf(daemon.LevelWarn, "Could not clear childlog dir")
	}
	for _, path := range failed {
		logf(daemon.LevelWarn, "Failed to clean up '%s'", path)
	}
}

// writePidfile writes the pid file and returns what removes it again; a file that cannot be written is only told.
func writePidfile(path string, logf logFunc) (remove func()) {
	path, _ = filepath.Abs(path) // fails only without a working directory; the path is then as good as before
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o666); err != nil {
		logf(daemon.LevelCritical, "could not write pidfile %s", path)
		return func() {}
	}
	logf(daemon.LevelInfo, "supervisord started with pid %d", os.Getpid())
	return func() { _ = os.Remove(path) } // someone else may have removed it
}
