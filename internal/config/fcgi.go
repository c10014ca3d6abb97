package config

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/graced/graced/internal/process"
)

// fcgiGroup returns the group of an [fcgi-program:x] that is a member of none (contract: config, "[fcgi-program:x]").
func (l *loader) fcgiGroup(sec *section) (process.GroupSpec, error) {
	r := l.reader(sec, l.hereNames)
	g := l.groupHead(r, process.KindFCGI)
	g.Priority = r.int("priority", 999)
	socket := r.socket(g.Name)
	if r.err != nil {
		return g, r.err
	}
	var err error
	g.Processes, err = l.processes(sec, g.Name)
	for i := range g.Processes {
		g.Processes[i].Socket = socket
	}
	g.Processes = l.uniqueMembers(g)
	return g, err
}

// giveSocket gives the processes that an [fcgi-program:x] adds to a [group:x] its socket, which Supervisor forgets (quirk A13). It does
// not even read these options, so what is wrong with them is no more than a warning.
func (l *loader) giveSocket(sec *section, specs []process.Spec) {
	_, title, _ := strings.Cut(sec.name, ":")
	name, _ := parseName(title) // it was good enough for the processes
	r := l.reader(sec, l.hereNames)
	r.first = true
	socket := r.socket(name)
	if r.err != nil {
		l.warn(GroupSocket, LevelWarn, process.Origin{File: r.err.File, Line: r.err.Line},
			fmt.Sprintf("[%s] gets no socket as a member of a group: %s", sec.name, cmp.Or(r.err.Cause, r.err.Text)))
		return
	}
	for i := range specs {
		specs[i].Socket = socket
	}
}

// socket reads the options of the socket in the order of the reference.
func (r *reader) socket(program string) process.SocketSpec {
	s := process.SocketSpec{UID: process.UnsetID, GID: process.UnsetID}
	// The owner that the socket has unless it names one. The reference looks at user here for the first time, with fewer names.
	user := read(r, "user", User{UID: r.m.UID}, r.m.lookupUser)
	if user.UID != r.m.UID {
		s.UID, s.GID = user.UID, user.GID
	}
	r.socketFile("socket_", &s)

	names := newScope(r.scope)
	names.names["program_name"] = textValue(program)
	wide := &reader{loader: r.loader, sec: r.sec, scope: names, err: r.err, first: r.first}
	text, e, ok := wide.text("socket")
	if r.err = wide.err; r.err != nil {
		return s
	}
	if !ok || text == "" {
		r.refuse(Missing, "socket", fmt.Sprintf(`[%s] section requires a "socket" line`, r.sec.name), "add socket=unix:///run/"+program+".sock")
		return s
	}
	if err := r.parseSocket(text, &s); err != nil {
		bad := e.fail(r.sec, err)
		bad.Cause = bad.Text
		bad.Text += fmt.Sprintf(" in [%s] socket", r.sec.name)
		r.fail(bad)
	}
	return s
}

// socketFile reads what there is to a socket besides its address. The names of the options begin with prefix.
func (r *reader) socketFile(prefix string, s *process.SocketSpec) {
	s.Backlog = read(r, prefix+"backlog", 0, func(text string) (int, error) {
		n, err := ParseInt(text)
		if err == nil && (n < 1 || n > 65535) {
			err = &valueError{fmt.Sprintf("Invalid %sbacklog value %d", prefix, n), "write a number from 1 to 65535"}
		}
		return n, err
	})
	if text, e, ok := r.text(prefix + "owner"); ok {
		var err error
		if s.UID, s.GID, err = r.m.lookupOwner(text); err != nil {
			r.fail(e.fail(r.sec, &valueError{"Invalid " + prefix + "owner value " + text, "write user or user:group, of this machine"}))
		}
	}
	s.Mode = read(r, prefix+"mode", 0o700, func(text string) (int, error) {
		mode, err := ParseOctal(text)
		if err != nil {
			err = &valueError{"Invalid " + prefix + "mode value " + text, "write an octal number such as 0700"}
		}
		return mode, err
	})
}

// parseSocket reads an address: unix:///path or tcp://host:port. Where the reference shows a bad one as the inside of a Python exception,
// we show a sentence (quirk A9).
func (r *reader) parseSocket(text string, s *process.SocketSpec) error {
	const hint = "write tcp://host:port or unix:///path"
	if isUnix, err := r.unixSocket("socket_", text, hint, s); isUnix || err != nil {
		return err
	}
	bad := &valueError{"Bad socket format " + text, hint}
	address, ok := strings.CutPrefix(text, "tcp://")
	host, digits, found := strings.Cut(address, ":")
	digits = strings.TrimSuffix(digits, "\n") // it ends a variable of the environment, perhaps; the reference does not mind
	if !ok || !found || host == "" || strings.ContainsFunc(host, isSpace) || digits == "" || strings.ContainsFunc(digits, isNoDigit) {
		return bad
	}
	port, err := parsePort(digits)
	if err != nil {
		return &valueError{err.Error(), "write a port from 1 to 65535"}
	}
	s.URL = fmt.Sprintf("tcp://%s:%d", lower(host), port)
	return nil
}

// unixSocket reads an address that is a path, and says whether it is one: only then there are an owner and a mode.
func (r *reader) unixSocket(prefix, text, hint string, s *process.SocketSpec) (bool, error) {
	if path, ok := strings.CutPrefix(text, "unix://"); ok {
		if !strings.HasPrefix(path, "/") {
			return true, &valueError{"Unix socket path " + path + " is not an absolute path", hint}
		}
		path = r.m.normalize(path)
		if prefix == "" && len(path) > socketPathMost { // that of a program is Supervisor's to refuse, at a start
			return true, &valueError{fmt.Sprintf("the path has %d bytes, and a socket at most %d", len(path), socketPathMost), "write a shorter one"}
		}
		s.URL = "unix://" + path
		return true, nil
	}
	_, owner := r.raw(prefix + "owner")
	_, mode := r.raw(prefix + "mode")
	if owner || mode {
		return false, &valueError{prefix + "owner and " + prefix + "mode params should only be used with a Unix domain socket", "remove them"}
	}
	s.Mode, s.UID, s.GID = 0, process.UnsetID, process.UnsetID
	return false, nil
}

func isNoDigit(c rune) bool { return digit(c) < 0 }
