package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/health"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/report"
	"github.com/graced/graced/internal/store"
	"github.com/graced/graced/internal/web"
	"github.com/graced/graced/internal/xmlrpc"
)

// supervisor wires the packages together for one process: the runs between soft restarts.
type supervisor struct {
	link      *host.Link
	after     host.LeaveHow // what comes when this process ends
	code      int           // with which the whole ends: an essential process has left it
	setup     host.Setup    // of the keeper
	handOver  func()        // ends this daemon, for another one to go on
	successor string        // the program of that; "" = ours
	ledger    *store.Ledger
	medium    *medium // of it
	stages    []*childlog.Stage
	notify    *health.Socket // where processes tell of themselves; nil: it cannot be made
	left      *daemon.Left   // what a daemon before has left; nil = this run begins with the files
	machine   config.Machine
	path      string
	overrides config.Overrides
	serial    uint64         // of the next event: it goes on after a soft restart
	state     *daemon.State  // what outlives it; nil until the first run
	stateDir  string         // where that is
	logf      logFunc        // of the present run
	strict    bool           // refuse what Supervisor lets pass in silence
	infos     []string       // what the start wants to tell the main log
	trouble   []string       // likewise, as criticals
	signals   chan os.Signal // nil until the first run listens
	detached  bool           // standard error leads nowhere
	mode      string         // takeoverYes or takeoverForce: the first run takes over what a supervisord has
	passed    []*heldSocket  // listening sockets of a service manager
	manager   *manager       // of services, that has started the whole; nil = there is none
}

func (s *supervisor) load() (*config.Config, error) {
	return config.Load(s.machine, s.path, s.overrides)
}

// loadOther reads another main file. What is no file, or is too large for one, is not read.
func (s *supervisor) loadOther(path string) (*config.Config, error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	return config.Load(s.machine, path, s.overrides)
}

// readable refuses what somebody names as a configuration file and is none.
func readable(path string) error {
	const most = 16 << 20
	switch info, err := os.Stat(path); {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() > most:
		return fmt.Errorf("%s is no configuration file", path)
	}
	return nil
}

// check looks for everything that is wrong with the files, or with another main file.
func (s *supervisor) check(path string) (control.Findings, error) {
	if path == "" {
		path = s.path
	} else if err := readable(path); err != nil {
		return control.Findings{}, err
	}
	r := config.Check(s.machine, path)
	var text, doc bytes.Buffer
	var out control.Findings
	if err := errors.Join(report.Blocks(&text, &r, s.machine), report.JSON(&doc, &r, s.machine)); err != nil {
		return out, err
	}
	err := json.Unmarshal(doc.Bytes(), &out)
	out.Schema, out.Text = control.FindingsSchema, text.String()
	return out, err
}

// start goes through the sequence of a first start (contract: daemon, "Start sequence"), then supervises until the end.
func (s *supervisor) start() error {
	s.setup = host.Setup{Umask: process.UnsetMask, UID: process.UnsetID}
	left, err := s.openLedger()
	if err != nil {
		return err
	}
	s.left = left
	if s.stages, err = s.openStages(); err != nil {
		return err
	}
	if s.notify, err = s.openNotify(); err != nil {
		s.trouble = append(s.trouble, err.Error())
	}
	if left != nil {
		s.path = left.Config().Path
		return s.run(left.Config())
	}
	c, err := s.load()
	if err != nil {
		return err
	}
	// Absolute before anything changes the directory, so that a restart finds the file again (quirk A16); not earlier, since errors name the
	// file as it was typed.
	if path, err := filepath.Abs(s.path); err == nil {
		s.path = path
	}
	if !c.Supervisord.Nodaemon && !isBackground() && s.link.Generation == 1 {
		s.after = host.Background
		return nil
	}
	return s.run(c)
}

// run supervises until the end, one run after another.
func (s *supervisor) run(c *config.Config) error {
	for first := true; ; first = false {
		restart, err := s.runOnce(c, first)
		if err != nil || !restart {
			return err
		}
		s.left = nil
		// They were good when the restart was asked for, but stopping may have taken a while. Ending now would leave nothing running.
		if next, err := s.load(); err != nil {
			s.trouble = append(s.trouble, fmt.Sprintf("the files cannot be used any more, going on with what they said before: %v", err))
		} else {
			c = next
		}
	}
}

// runOnce is one life between two soft restarts: it opens everything, supervises, and closes everything.
func (s *supervisor) runOnce(c *config.Config, first bool) (restart bool, err error) {
	surviveWrites()
	var prey *prey
	if first && s.left == nil && s.mode != "" {
		if prey, err = s.seize(c); err != nil {
			return false, err
		}
		defer prey.release()
	}
	if err := s.becomeUser(c.Supervisord); err != nil {
		return false, err
	}
	if first {
		if err := s.raiseLimits(c.Supervisord); err != nil {
			return false, err
		}
	}
	if taken := s.pidfileTaken(c); taken != nil && first && s.strict {
		return false, &usageError{taken.Error()}
	}
	logs, err := openMainLog(c.Supervisord)
	if err != nil {
		return false, err
	}
	defer logs.close()
	logf := func(level slog.Level, format string, args ...any) {
		logs.logger.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
	if s.left == nil {
		daemon.LogWarnings(logs.logger, s.withRemarks(c))
	}
	s.medium.tell = func(text string) { logf(daemon.LevelWarn, "%s", text) }

	var pid *pidfile
	// Last of all: who waits for that finds the sockets free.
	defer func() {
		if pid != nil {
			s.link.Drop(heldPidfile)
			s.link.Sync()
		}
		pid.remove()
	}()

	listeners, err := s.openServers(c)
	if err != nil {
		return false, err
	}
	defer s.closeServers(listeners)
	s.closePassed(logf)
	for _, notice := range listeners.Notices {
		fmt.Fprintln(os.Stderr, notice)
	}
	// Only after the sockets are ours: another daemon that holds them keeps its logs (quirk F2).
	var found []daemon.FoundProcess
	switch {
	case prey != nil:
		found, s.medium.path = prey.found, ledgerPath(c)
	case first && s.left == nil:
		if s.link.Generation > 1 {
			s.link.Disown()
		}
		found = s.findLeft(c, logf)
		if err := s.notifyAgain(found); err != nil {
			logf(daemon.LevelWarn, "%v", err)
		}
	}
	if !c.Supervisord.Nocleanup && s.left == nil && len(found) == 0 {
		cleanAutoLogs(c.Supervisord, logf)
	}
	// Before the host starts: children inherit directory and umask from it.
	reportBackground := func(logFunc) {}
	if first && (isBackground() || s.link.Generation > 1 && !c.Supervisord.Nodaemon) {
		reportBackground = settle(c.Supervisord)
		if err := detach(); err != nil {
			return false, err
		}
		s.detached = true
		s.setup.Dir, s.setup.Umask, s.setup.Detach = settledDir(c.Supervisord), c.Supervisord.Umask, true
	}
	s.setup.IgnoreSigpipe = sigpipe(c.Graced) != "default"
	s.setup.Cgroup = c.Graced.Cgroup
	if err := s.link.Setup(s.setup); err != nil {
		return false, err
	}
	s.logf = logf
	if err := s.openState(c); err != nil {
		return false, err
	}
	defer func() {
		if !restart { // before the sockets are free: who waits for these finds the state directory free, too
			s.closeState()
		}
	}()
	var d *daemon.Daemon
	d, err = daemon.New(daemon.Options{
		Config: c, Load: s.load, LoadFile: s.loadOther, Check: s.check,
		CheckRestart: func(c *config.Config) error { return s.checkRestart(c, d, listeners) },
		Logger:       logs.logger, MainLog: logs.file, Flush: logs.writer.Flush,
		ServerURL: c.ServerURL(), Version: version, PID: s.link.Keeper, Keeper: s.link.KeeperState, Environ: programEnviron(s.machine.Environ),
		EventSerial: s.serial, State: s.state, Ledger: s.ledger, Left: s.left, Stages: s.stages, Notify: s.notify, Found: found,
		Generation: s.link.Generation, Failed: s.link.Failed,
		HandOver: func(binary string) {
			s.after, s.successor = host.Replaced, binary
			go s.handOver()
		},
		Quitting: func(mood control.Mood) { s.manager.quitting(logf, mood) },
		Host: func(events func(host.Event)) (host.Host, error) {
			return host.NewLocal(host.Options{Events: events, Link: s.link})
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
	if prey != nil {
		if err := prey.commit(logf); err != nil {
			return false, err
		}
	}
	if s.left == nil {
		logServers(c, logf)
		reportBackground(logf)
	}
	server := web.Serve(listeners, d, handler)
	defer server.Stop()
	s.goOnWithCalls(server, logf)

	run, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan struct{})
	obeyNoMore := sync.OnceFunc(func() { close(done) })
	defer obeyNoMore()
	s.handOver = sync.OnceFunc(func() {
		obeyNoMore()
		server.HandOver(s.keepCalls())
		stop()
	})
	s.listen()
	if pid, err = s.ownPidfile(c.Supervisord.Pidfile, first && prey == nil, logf); err != nil {
		return false, err
	}
	s.link.Renewed(func(keeper int) {
		if err := pid.rename(keeper); err != nil {
			logf(daemon.LevelCritical, "cannot write the pid file anew: %v", err)
		}
		s.manager.say(logf, mainPID(keeper))
	})
	if err := announce(upWord); err != nil && prey == nil { // what was taken over has nobody else, also when nobody waits for it any more
		return false, err
	}
	s.link.Ready()
	s.manager.ready(logf, s.link.Keeper(), s.path)

	go s.manager.beat(d, done)
	go s.obey(d, logf, done)
	restart = d.Run(run)
	s.code = d.ExitCode()
	if s.after != host.Replaced {
		if err := s.ledger.Remove(); err != nil { // all has been stopped
			logf(daemon.LevelWarn, "cannot remove the ledger: %v", err)
		}
	}
	if s.after == host.Replaced {
		// Everything is written down, and the next daemon goes on from there as if this one had been killed.
		logs.writer.Flush()
		s.link.Leave(host.Leave{How: host.Replaced, Binary: s.successor})
		s.leaveSignals()
		os.Exit(0)
	}
	s.serial = d.EventSerial()
	return restart, nil
}

// openState opens what outlives the daemon, again where the files name another place for it.
func (s *supervisor) openState(c *config.Config) error {
	dir := daemon.StateDir(c)
	if s.state != nil && dir == s.stateDir {
		return nil
	}
	s.closeState()
	state, err := daemon.OpenState(dir, time.Now, func(text string) { s.logf(daemon.LevelWarn, "%s", text) })
	if err != nil {
		return &usageError{err.Error()}
	}
	s.state, s.stateDir = state, dir
	return nil
}

// closeState lets another daemon have what outlives this one.
func (s *supervisor) closeState() {
	if s.state == nil {
		return
	}
	if err := s.state.Close(); err != nil {
		s.logf(daemon.LevelWarn, "cannot close the state directory: %v", err)
	}
	s.state = nil
}

// logFunc writes a line into the main log.
type logFunc func(level slog.Level, format string, args ...any)

// withRemarks adds to the remarks of the files what the start has to say, at the end of each level as Supervisor does.
func (s *supervisor) withRemarks(c *config.Config) *config.Config {
	out := *c
	out.Warnings = slices.Clone(c.Warnings)
	if os.Getuid() == 0 && c.Supervisord.UID == process.UnsetID {
		out.Warnings = append(out.Warnings, config.Warning{Level: config.LevelCrit, Text: "Supervisor is running as root.  Privileges were not dropped because " +
			"no user is specified in the config file.  If you intend to run as root, you can set user=root in the config file to avoid this message."})
	}
	for _, text := range s.trouble {
		out.Warnings = append(out.Warnings, config.Warning{Level: config.LevelCrit, Text: text})
	}
	for _, text := range s.infos {
		out.Warnings = append(out.Warnings, config.Warning{Level: config.LevelInfo, Text: text})
	}
	s.infos, s.trouble = nil, nil
	return &out
}

// logServers tells of each server which interfaces it has, and whether anybody may use it.
func logServers(c *config.Config, logf logFunc) {
	for _, server := range c.Servers {
		for _, p := range c.RPCInterfaces {
			logf(daemon.LevelInfo, "RPC interface '%s' initialized", p.Name)
		}
		if server.Open() {
			logf(daemon.LevelCritical, "Server '%s' running without any HTTP authentication checking", server.Section)
		}
	}
}

// ownPidfile writes the pid file. Where we are strict, a first start does not go on beside another daemon.
func (s *supervisor) ownPidfile(path string, first bool, logf logFunc) (*pidfile, error) {
	if _, fds, ok := s.link.Take(heldPidfile); ok && len(fds) == 1 {
		return resumePidfile(path, s.link.Keeper(), fds[0]), nil
	}
	if taken := pidfileHolder(path); taken != nil && first && s.strict {
		return nil, &usageError{taken.Error()}
	}
	p := writePidfile(path, s.link.Keeper(), logf)
	if p != nil {
		s.link.Keep(heldPidfile, "", int(p.file.Fd()))
	}
	return p, nil
}

// openServers opens the sockets, or goes on with those that were passed or that a daemon before has left, and has the keeper hold them.
func (s *supervisor) openServers(c *config.Config) (*web.Listeners, error) {
	s.takePassed()
	listeners, err := web.Resume(serverConfigs(c.Servers), func(c web.Config) (web.Open, bool) {
		if fd, ok := s.openPassed(c); ok {
			return web.Open{FD: fd, Passed: true}, true
		}
		_, fds, ok := s.link.Take(c.Key())
		if !ok || len(fds) != 1 {
			return web.Open{}, false
		}
		return web.Open{FD: fds[0]}, true
	})
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	if err := listeners.Each(func(key string, fd int) { s.link.Keep(key, "", fd) }); err != nil {
		listeners.Close()
		return nil, err
	}
	return listeners, nil
}

// heldCall is the prefix of the keys under which the keeper holds the connections of calls that another daemon answers.
const heldCall = "call:"

// keepCalls returns what has the keeper hold the calls that this daemon leaves to the next one. A daemon's generation is nobody else's.
func (s *supervisor) keepCalls() web.Keep {
	var number atomic.Uint64
	return func(note string, fd int) {
		s.link.Keep(fmt.Sprintf("%s%d-%d", heldCall, s.link.Generation, number.Add(1)), note, fd)
	}
}

// goOnWithCalls answers the calls that the daemon before has left. One is held until it is answered: this daemon may be replaced as well.
func (s *supervisor) goOnWithCalls(server *web.Server, logf logFunc) {
	for _, key := range s.link.Held(heldCall) {
		note, fds, ok := s.link.Take(key)
		if !ok || len(fds) != 1 {
			continue
		}
		if err := server.GoOn(note, fds[0], func() { s.link.Drop(key) }); err != nil {
			logf(daemon.LevelError, "cannot go on with a call: %v", err)
			s.link.Drop(key)
		}
	}
}

// closeServers closes the sockets for good: when it returns their addresses are free, but for those that were passed.
func (s *supervisor) closeServers(l *web.Listeners) {
	_ = l.Each(func(key string, _ int) { s.link.Drop(key) }) // fails for those that are closed
	l.Close()
	s.link.Sync()
}

// checkRestart looks for whatever would end the daemon between the stop and the new start of a soft restart: the restart is then refused
// while everything still runs (quirk C17).
func (s *supervisor) checkRestart(c *config.Config, d *daemon.Daemon, held *web.Listeners) error {
	if uid := c.Supervisord.UID; uid != process.UnsetID && uid != os.Getuid() && os.Getuid() != 0 {
		return errNonroot
	}
	if c.Supervisord.Logfile != "syslog" {
		file, err := childlog.OpenFile(c.Supervisord.Logfile, 0, 0, nil)
		if err != nil {
			return fmt.Errorf("cannot open the main log %s: %v", c.Supervisord.Logfile, err)
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	if _, err := xmlrpc.NewHandler(d, rpcPlugins(c.RPCInterfaces)); err != nil {
		return err
	}
	return held.Check(serverConfigs(c.Servers))
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
