package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/host"
)

// What a service manager that wants to hear of its services puts into their environment (sd_notify(3), sd_watchdog_enabled(3)).
const (
	notifyEnv      = "NOTIFY_SOCKET"
	watchdogEnv    = "WATCHDOG_USEC"
	watchdogPIDEnv = "WATCHDOG_PID"
)

// manager is the service manager that has started the whole; nil: there is none, or it asks for nothing.
type manager struct {
	to    *net.UnixAddr
	pulse time.Duration // how often it wants a sign of life; 0 = never
}

func findManager() *manager {
	path := os.Getenv(notifyEnv)
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") { // "@": a name without a file
		return nil
	}
	m := &manager{to: &net.UnixAddr{Net: "unixgram", Name: path}}
	if usec, err := strconv.ParseUint(os.Getenv(watchdogEnv), 10, 40); err == nil {
		m.pulse = time.Duration(usec) * time.Microsecond / 2
	}
	return m
}

// tell sends assignments in one message. It waits a second at most for a manager that does not listen.
func (m *manager) tell(lines ...string) error {
	if m == nil {
		return nil
	}
	conn, err := net.DialUnix(m.to.Net, nil, m.to) // each time: the manager may have begun anew
	if err != nil {
		return err
	}
	err = conn.SetWriteDeadline(time.Now().Add(time.Second))
	if err == nil {
		_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	}
	return errors.Join(err, conn.Close())
}

// say is tell, for what somebody looks for in the log when it did not arrive.
func (m *manager) say(logf logFunc, lines ...string) {
	if err := m.tell(lines...); err != nil {
		logf(daemon.LevelWarn, "cannot tell the service manager %s: %v", lines[0], err)
	}
}

// ready says that all sockets are open, and who stands for the whole.
func (m *manager) ready(logf logFunc, keeper int, file string) {
	m.say(logf, "READY=1", mainPID(keeper), "STATUS=supervising "+file)
}

func mainPID(keeper int) string { return fmt.Sprintf("MAINPID=%d", keeper) }

// quitting says what has begun.
func (m *manager) quitting(logf logFunc, mood control.Mood) {
	if mood == control.MoodRestarting {
		m.say(logf, "RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", host.Mono().Microseconds()), "STATUS=restarting")
		return
	}
	m.say(logf, "STOPPING=1", "STATUS=stopping the processes")
}

// beat gives signs of life while the loop turns, until done.
func (m *manager) beat(d *daemon.Daemon, done <-chan struct{}) {
	if m == nil || m.pulse == 0 {
		return
	}
	tick := time.NewTicker(m.pulse)
	defer tick.Stop()
	for {
		if d.Turn(context.Background()) {
			_ = m.tell("WATCHDOG=1") // what did not arrive is what the manager acts on
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// daemonEnviron is the environment that a keeper gives to its daemons. They speak for it to a watchdog that waits for this process; one that waits for
// another is none of theirs.
func daemonEnviron(environ []string) []string {
	who := os.Getenv(watchdogPIDEnv)
	others := who != "" && who != strconv.Itoa(os.Getpid())
	return slices.DeleteFunc(childEnviron(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == watchdogPIDEnv || others && name == watchdogEnv
	})
}

// programEnviron is the environment that programs inherit: what is between a service manager and this daemon is not theirs.
func programEnviron(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == notifyEnv || name == watchdogEnv || name == watchdogPIDEnv
	})
}
