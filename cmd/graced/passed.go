package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/web"
)

// How a service manager passes sockets that it has opened (sd_listen_fds(3)): descriptors from 3 on, and these variables.
const (
	listenPIDEnv   = "LISTEN_PID"
	listenFDsEnv   = "LISTEN_FDS"
	listenNamesEnv = "LISTEN_FDNAMES"
	firstPassedFD  = 3
)

// passedEnv says which sockets a keeper in the background gets from the one that was started, behind backgroundFD: their names, as in LISTEN_FDNAMES.
const passedEnv = "GRACED_PASSED"

// passedKey is what the keeper holds such sockets under, with a name behind it.
const passedKey = "passed "

// findPassed returns the sockets that this process was given.
func findPassed() (out []web.Passed) {
	first, count, names := firstPassedFD, 0, []string(nil)
	if text, ok := os.LookupEnv(passedEnv); ok {
		names = strings.Split(text, ":")
		first, count = backgroundFD+1, len(names)
	} else if os.Getenv(listenPIDEnv) == strconv.Itoa(os.Getpid()) {
		names = strings.Split(os.Getenv(listenNamesEnv), ":")
		count, _ = strconv.Atoi(os.Getenv(listenFDsEnv)) // what is no number is nothing
	}
	for i := range max(count, 0) {
		fd := first + i
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			break // there are fewer than that
		}
		name := "unknown" // as systemd calls it
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		out = append(out, web.Passed{Name: name, FD: fd})
	}
	return out
}

// isPassing reports whether a line of an environment is about passed sockets: whoever it spoke to, it is no process that is started here.
func isPassing(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	return slices.Contains([]string{listenPIDEnv, listenFDsEnv, listenNamesEnv, "LISTEN_PIDFDID", passedEnv}, name)
}

// holdPassed has the keeper hold the sockets for its daemons. They are the keeper's from then on.
func holdPassed(k *host.Keeper, passed []web.Passed) {
	for i, p := range passed {
		k.Hold(passedKey+strconv.Itoa(i), p.Name, p.FD)
	}
}

// passOn says what a keeper in the background gets besides, in the place of one whose daemon has not taken the sockets.
func passOn(passed []web.Passed) (env []string, files []*os.File) {
	if len(passed) == 0 {
		return nil, nil
	}
	names := make([]string, len(passed))
	for i, p := range passed {
		names[i] = p.Name
		files = append(files, os.NewFile(uintptr(p.FD), p.Name))
	}
	return []string{passedEnv + "=" + strings.Join(names, ":")}, files
}

// heldSocket is a passed socket that a daemon has, and what the keeper holds it under.
type heldSocket struct {
	web.Passed
	key  string
	used bool // by a server
}

// takePassed takes the sockets from the keeper, once.
func (s *supervisor) takePassed() {
	for _, key := range s.link.Held(passedKey) {
		if name, fds, ok := s.link.Take(key); ok && len(fds) == 1 {
			s.passed = append(s.passed, &heldSocket{Passed: web.Passed{Name: name, FD: fds[0]}, key: key})
		}
	}
}

// openPassed returns a descriptor of the passed socket that listens where a server is to.
func (s *supervisor) openPassed(c web.Config) (fd int, ok bool) {
	for _, p := range s.passed {
		if p.used || !p.Serves(c) {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(p.FD), unix.F_DUPFD_CLOEXEC, 0)
		p.used = err == nil
		return fd, err == nil
	}
	return -1, false
}

// closePassed closes the passed sockets that no server uses: whoever connects there would wait for ever.
func (s *supervisor) closePassed(logf logFunc) {
	s.passed = slices.DeleteFunc(s.passed, func(p *heldSocket) bool {
		if p.used {
			p.used = false // until the servers are opened again
			return false
		}
		logf(daemon.LevelWarn, "closing the socket %s that was passed to graced (%s): no [unix_http_server] or [inet_http_server] is there", p.Name, p)
		s.link.Drop(p.key)
		_ = unix.Close(p.FD) // nothing was written to it
		return true
	})
}
