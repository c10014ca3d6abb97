package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// The most bytes that the path of a socket may have: the kernel's structure holds 108, the last of which is zero.
const (
	socketPathMost = 107
	serverPathMost = socketPathMost - len(".4194304") // a server's socket is made as FILE.PID
)

// lookAddresses looks for sockets that cannot be opened where they are to be: one that listens there already, or a path that is too long.
func (c *checker) lookAddresses() {
	first := map[string]*section{}
	for _, sec := range c.table.sections {
		key, url := c.addressOf(sec)
		e, ok := c.table.get(sec, key)
		if !ok || url == "" {
			continue
		}
		c.lookPath(sec, e, url)
		other := first[sameHost(url)]
		if other == nil {
			first[sameHost(url)] = sec
			continue
		}
		if strings.HasPrefix(sec.name, "socket:") && strings.HasPrefix(other.name, "socket:") {
			continue // it has an error already
		}
		f := Finding{Severity: SeverityWarning, Code: WarnAddress, Section: sec.name, Key: e.key, Place: c.value(e), Title: fmt.Sprintf("[%s] listens where [%s] does: %s", sec.name, other.name, url)}
		f.Label = "only one of them can; give it an address of its own"
		at := c.header(other.file, other.line, false)
		at.Label = "it is taken here"
		f.Related = []Place{at}
		c.add(f)
	}
}

// addressOf returns the option of a section that says where it listens, and the address: unix:///path or tcp://host:port; "" = it does not, or it has
// an error.
func (c *checker) addressOf(sec *section) (key, url string) {
	title, named := strings.CutPrefix(sec.name, "socket:")
	switch {
	case named:
		return "listen", c.sockets[strip(title)].URL
	case strings.HasPrefix(sec.name, "fcgi-program:"):
		for _, g := range c.config.Groups {
			for _, p := range g.Processes {
				if (process.Origin{File: sec.file, Line: sec.line}) == p.Origin {
					return "socket", p.Socket.URL
				}
			}
		}
	}
	for _, s := range c.config.Servers {
		switch {
		case s.Section != sec.name:
		case s.Kind == ServerUnix && s.File != "":
			return "file", "unix://" + s.File
		case s.Kind == ServerInet && s.Port > 0:
			return "port", "tcp://" + s.Host + ":" + strconv.Itoa(s.Port)
		}
	}
	return "", ""
}

// sameHost writes an address as others of the same meaning are written.
func sameHost(url string) string {
	for _, alias := range []struct{ from, to string }{{"tcp://localhost:", "tcp://127.0.0.1:"}, {"tcp://:", "tcp://0.0.0.0:"}} {
		if port, ok := strings.CutPrefix(url, alias.from); ok {
			return alias.to + port
		}
	}
	return url
}

// lookPath looks whether the path of a socket fits into what the kernel takes. That of a [socket:x] is an error where it is read.
func (c *checker) lookPath(sec *section, e *entry, url string) {
	path, ok := strings.CutPrefix(url, "unix://")
	switch {
	case !ok:
	case e.key == "file" && len(path) > serverPathMost:
		c.warnAt(WarnLongPath, sec, e, c.value(e), fmt.Sprintf("the path has %d bytes, and a socket of a server at most %d", len(path), serverPathMost),
			"write a shorter one", "it is made under this name with .PID behind it, which the kernel has to take: "+strconv.Itoa(socketPathMost)+" bytes")
	case e.key == "socket" && len(path) > socketPathMost:
		c.warnAt(WarnLongPath, sec, e, c.value(e), fmt.Sprintf("the path has %d bytes, and a socket at most %d", len(path), socketPathMost), "write a shorter one; every start fails")
	}
}
