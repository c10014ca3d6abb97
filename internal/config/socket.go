package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// socketsMost bounds how many sockets a process can name: they travel to it with the descriptors of others.
const socketsMost = 16

// passingPids is how many threads a process with sockets may have for a moment, before it is its program.
const passingPids = 10

// namedSockets reads the [socket:x] sections, which Supervisor does not know, before the programs that name them.
func (l *loader) namedSockets() error {
	l.sockets = map[string]process.NamedSocket{}
	first := map[string]string{} // the section that has an address
	for _, sec := range l.table.sections {
		title, ok := strings.CutPrefix(sec.name, "socket:")
		if !ok {
			continue
		}
		r := l.reader(sec, l.hereNames)
		name, err := parseName(title)
		if err == nil && (name == "" || strings.Contains(name, ",")) {
			err = &valueError{"Invalid name: " + repr(name), ""}
		}
		if err != nil {
			r.refuse(BadName, "", err.Error(), "rename the socket")
		}
		s := process.NamedSocket{Name: name, SocketSpec: r.listening()}
		if other := first[s.URL]; other != "" {
			r.refuse(AddressTwice, "listen", fmt.Sprintf("[%s] listens where [%s] does: %s", sec.name, other, s.URL),
				"all programs that name one socket share it: name "+strings.TrimPrefix(other, "socket:")+" instead")
		}
		if r.err != nil {
			return r.err
		}
		if s.URL != "" {
			first[s.URL] = sec.name
		}
		l.sockets[name] = s
	}
	return nil
}

// listening reads the options of a [socket:x].
func (r *reader) listening() process.SocketSpec {
	s := process.SocketSpec{UID: process.UnsetID, GID: process.UnsetID}
	r.socketFile("", &s)
	text, e, ok := r.text("listen")
	switch {
	case r.err != nil:
	case !ok || strip(text) == "":
		if !r.failed {
			r.refuse(Missing, "listen", fmt.Sprintf("[%s] does not say where it listens", r.sec.name), "add listen=tcp://127.0.0.1:8080 or listen=unix:///run/x.sock")
		}
	default:
		if err := r.parseListen(strip(text), &s); err != nil {
			r.fail(e.fail(r.sec, err))
		}
	}
	return s
}

// parseListen reads an address: unix:///path or tcp://host:port, with brackets around an IPv6 address.
func (r *reader) parseListen(text string, s *process.SocketSpec) error {
	const hint = "write tcp://127.0.0.1:8080, tcp://[::1]:8080 or unix:///path; 0.0.0.0 is every IPv4 address"
	if isUnix, err := r.unixSocket("", text, hint, s); isUnix || err != nil {
		return err
	}
	rest, isTCP := strings.CutPrefix(text, "tcp:")
	address, ok := tcpAddress(rest)
	if !isTCP || !ok || !strings.HasPrefix(rest, "//") || strings.HasPrefix(address, "*") {
		return &valueError{"not an address to listen at: " + repr(text), hint}
	}
	i := strings.LastIndexByte(address, ':')
	port, _ := parsePort(address[i+1:]) // it is one
	s.URL = fmt.Sprintf("tcp://%s:%d", address[:i], port)
	return nil
}

// socketsNamed reads the names of sockets.
func (p *programReader) socketsNamed(text string) ([]process.NamedSocket, error) {
	names, err := namesOf("sockets", "name", text)
	if err != nil {
		return nil, err
	}
	var out []process.NamedSocket
	for _, name := range names {
		s, ok := p.sockets[name]
		if !ok {
			hint := "define [socket:" + name + "], or remove the name"
			if near := nearest(name, slices.Sorted(maps.Keys(p.sockets))); near != "" {
				hint = "did you mean " + near + "?"
			}
			return nil, &valueError{"unknown socket " + name, hint}
		}
		if slices.Contains(out, s) {
			return nil, &valueError{"two times the socket " + name, "remove one of the two"}
		}
		out = append(out, s)
	}
	if len(out) > socketsMost {
		return nil, &valueError{fmt.Sprintf("%d sockets are too many", len(out)), fmt.Sprintf("at most %d", socketsMost)}
	}
	return out, nil
}

// lookSockets looks for sockets that no program names. A list with an error may name any.
func (c *checker) lookSockets() {
	named := map[string]bool{}
	for _, g := range c.config.Groups {
		for _, p := range g.Processes {
			for _, s := range p.Sockets {
				named[s.Name] = true
			}
		}
	}
	for _, e := range c.errors {
		if e.Key == "sockets" {
			return
		}
	}
	for _, sec := range c.table.sections {
		if title, ok := strings.CutPrefix(sec.name, "socket:"); ok && !named[strip(title)] {
			c.warnAt(WarnUnusedSocket, sec, nil, c.header(sec.file, sec.line, false), "no program names ["+sec.name+"]: it is not opened", "add sockets="+strip(title)+" to a program, or remove it")
		}
	}
}
