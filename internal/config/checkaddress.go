package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// The most bytes that the path of a socket may have: the kernel's structure holds 108, the last of which is zero. A server's socket is made as
// FILE.PID, and pids have one digit at least and seven at most.
const (
	socketPathMost = 107
	serverPathMost = socketPathMost - len(".1")
	serverPathSafe = socketPathMost - len(".4194304")
)

// lookAddresses looks for sockets that cannot be opened where they are to be: one that listens there already, a path that is too long, or a directory
// that is not there.
func (c *checker) lookAddresses() {
	first := map[string]*section{}                              // by address
	every, some := map[string]*section{}, map[string]*section{} // by port: who has it at every address, and who at any
	for _, sec := range c.table.sections {
		key, url := c.addressOf(sec)
		e, ok := c.table.get(sec, key)
		if !ok || url == "" {
			continue
		}
		c.lookPath(sec, e, url)
		same := sameHost(url)
		title := "[%s] listens where [%s] does: %s"
		other := first[same]
		if port, isTCP := strings.CutPrefix(same, "tcp://0.0.0.0:"); isTCP {
			if other == nil {
				other, title = some[port], "[%s] has the port of [%s] at every address: %s"
			}
			keepFirst(every, port, sec)
			keepFirst(some, port, sec)
		} else if host, port, isTCP := cutPort(same); isTCP && !strings.Contains(host, "[") {
			if other == nil {
				other, title = every[port], "[%s] has a port that [%s] has at every address: %s"
			}
			keepFirst(some, port, sec)
		}
		keepFirst(first, same, sec)
		if other == nil || strings.HasPrefix(sec.name, "socket:") && first[same] == other && strings.HasPrefix(other.name, "socket:") {
			continue // it has an error already
		}
		f := Finding{Severity: SeverityWarning, Code: WarnAddress, Section: sec.name, Key: e.key, Place: c.value(e), Title: fmt.Sprintf(title, sec.name, other.name, url)}
		f.Label = "only one of them can; give it an address of its own"
		if isServer(sec) && isServer(other) {
			f.Severity, f.Code, f.atStart = SeverityError, AddressTwice, true
			f.Notes = []string{"the daemon does not start with both"}
		}
		at := c.header(other.file, other.line, false)
		at.Label = "it is taken here"
		f.Related = []Place{at}
		c.add(f)
	}
}

// keepFirst sets what is not set.
func keepFirst(m map[string]*section, key string, sec *section) {
	if m[key] == nil {
		m[key] = sec
	}
}

// cutPort splits tcp://host:port.
func cutPort(url string) (host, port string, ok bool) {
	i := strings.LastIndexByte(url, ':')
	if !strings.HasPrefix(url, "tcp://") || i < len("tcp://") {
		return "", "", false
	}
	return url[len("tcp://"):i], url[i+1:], true
}

// isServer reports whether a section is that of an HTTP server, without which the daemon does not start.
func isServer(sec *section) bool {
	return strings.HasPrefix(sec.name, "inet_http_server") || strings.HasPrefix(sec.name, "unix_http_server")
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

// lookPath looks whether the path of a socket fits into what the kernel takes, and whether its directory is there. That of a [socket:x] which is too
// long is an error where it is read.
func (c *checker) lookPath(sec *section, e *entry, url string) {
	path, ok := strings.CutPrefix(url, "unix://")
	if !ok {
		return
	}
	fails := "every start of this program fails"
	if strings.HasPrefix(sec.name, "socket:") {
		fails = "every start of a program that names it fails"
	} else if isServer(sec) {
		fails = "the daemon does not start"
	}
	made := "it is made under this name with .PID behind it, which the kernel has to take: " + strconv.Itoa(socketPathMost) + " bytes"
	switch {
	case isServer(sec) && len(path) > serverPathMost:
		f := Finding{Severity: SeverityError, Code: LongPath, Section: sec.name, Key: e.key, Place: c.value(e), atStart: true,
			Title: fmt.Sprintf("the path has %d bytes, and a socket of a server at most %d: the daemon does not start", len(path), serverPathMost), Notes: []string{made}}
		f.Label = fmt.Sprintf("write a shorter one, of %d bytes at most: file=/run/supervisor.sock", serverPathSafe)
		c.add(f)
	case isServer(sec) && len(path) > serverPathSafe:
		c.warnAt(WarnLongPath, sec, e, c.value(e), fmt.Sprintf("the path has %d bytes: the daemon does not start when its pid has more than %s", len(path), digits(socketPathMost-len(path)-1)),
			fmt.Sprintf("write a shorter one, of %d bytes at most", serverPathSafe), made)
	case e.key == "socket" && len(path) > socketPathMost:
		c.warnAt(WarnLongPath, sec, e, c.value(e), fmt.Sprintf("the path has %d bytes, and a socket at most %d", len(path), socketPathMost), "write a shorter one; "+fails,
			"Supervisor does not even start with it")
	default:
		dir := dirname(path)
		switch info, err := c.stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
			c.warnAt(WarnDirectory, sec, e, c.value(e), "there is no directory "+shown(dir)+" for the socket", fails+" until it is there")
		case err == nil && !info.Dir:
			c.warnAt(WarnDirectory, sec, e, c.value(e), shown(dir)+" is not a directory, and cannot hold the socket", fails)
		}
	}
}

func digits(n int) string {
	if n == 1 {
		return "1 digit"
	}
	return strconv.Itoa(n) + " digits"
}

// lookClient looks whether clients that read these files come to a server of theirs. Another machine's may be meant, and files without any.
func (c *checker) lookClient() {
	sec := c.table.index["supervisorctl"]
	if c.client == nil || len(c.config.Servers) == 0 || sec.file != c.named {
		return
	}
	e, ok := c.table.get(sec, "serverurl")
	bad := func(err *Error) bool {
		return err.Section == sec.name && err.Key == "serverurl" || strings.HasPrefix(err.Section, "inet_http_server") || strings.HasPrefix(err.Section, "unix_http_server")
	}
	if !ok || slices.ContainsFunc(c.errors, bad) || slices.ContainsFunc(c.ctlErrors, bad) {
		return
	}
	url := strings.TrimSuffix(c.client.ServerURL, "/")
	if address, ok := strings.CutPrefix(url, "http://"); ok {
		host, port, ok := cutPort("tcp://" + address)
		if !ok || host != "localhost" && !strings.HasPrefix(host, "127.") {
			return
		}
		url = "http://:" + port
	} else if !strings.HasPrefix(url, "unix://") {
		return
	}
	var there []string
	for _, s := range c.config.Servers {
		if s.Kind == ServerInet && url == "http://:"+strconv.Itoa(s.Port) || s.URL() == url {
			return
		}
		there = append(there, s.URL())
	}
	c.warnAt(WarnElsewhere, sec, e, c.value(e), "no server of these files listens at "+shown(c.client.ServerURL)+": clients find no daemon there", "write serverurl="+there[0])
}
