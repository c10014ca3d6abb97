package config

import (
	"fmt"
	"strings"

	"github.com/graced/graced/internal/process"
)

// ServerKind is the kind of an HTTP server.
type ServerKind int

// The kinds of HTTP servers.
const (
	ServerInet ServerKind = iota
	ServerUnix
)

// Server is an HTTP server: an [inet_http_server] or [unix_http_server] section.
type Server struct {
	Section string // as written; every section whose name begins with those words counts (quirk A17)
	Name    string // what follows the first colon of Section, or ""
	Kind    ServerKind
	Origin  process.Origin

	Host string // inet: in lower case; "" = every IPv4 address
	Port int

	File               string // unix: absolute
	Chmod              int
	ChownUID, ChownGID int // -1 = unchanged

	Username, Password string // Password may be {SHA} and 40 hex digits
}

// Open reports whether anybody may use the server: it has no user name (quirk A18).
func (s Server) Open() bool { return s.Username == "" }

// URL returns the server's address as children get it.
func (s Server) URL() string {
	if s.Kind == ServerUnix {
		return "unix://" + s.File
	}
	host := s.Host
	if host == "" {
		host = "localhost"
	}
	return fmt.Sprintf("http://%s:%d", host, s.Port)
}

// servers reads the HTTP server sections, inet first (contract: config, "[unix_http_server]").
func (l *loader) servers() ([]Server, error) {
	var servers []Server
	for _, kind := range []ServerKind{ServerInet, ServerUnix} {
		prefix := [...]string{"inet_http_server", "unix_http_server"}[kind]
		for _, sec := range l.table.sections {
			if !strings.HasPrefix(sec.name, prefix) {
				continue
			}
			r := l.reader(sec, l.envNames)
			s := Server{Section: sec.name, Kind: kind, Origin: process.Origin{File: sec.file, Line: sec.line}, ChownUID: -1, ChownGID: -1}
			_, s.Name, _ = strings.Cut(sec.name, ":")
			if kind == ServerInet {
				r.credentials(&s)
				r.inet(&s)
			} else {
				r.unix(&s)
			}
			if r.err != nil {
				return nil, r.err
			}
			servers = append(servers, s)
		}
	}
	return servers, nil
}

func (r *reader) inet(s *Server) {
	text, e, ok := r.text("port")
	if !ok {
		r.refuse(Missing, "port", fmt.Sprintf("section [%s] has no port value", r.sec.name), "add port=127.0.0.1:9001")
		return
	}
	var err error
	if s.Host, s.Port, err = parseAddress(text); err != nil {
		r.fail(e.fail(r.sec, err))
	}
}

func (r *reader) unix(s *Server) {
	r.scope = r.hereNames
	file, _, ok := r.text("file")
	if !ok {
		r.refuse(Missing, "file", fmt.Sprintf("section [%s] has no file value", r.sec.name), "add file=/run/supervisor.sock")
	}
	s.File = r.m.normalize(strip(file))
	r.scope = r.envNames
	r.credentials(s)
	if text, e, ok := r.text("chown"); ok {
		var err error
		if s.ChownUID, s.ChownGID, err = r.m.lookupOwner(text); err != nil {
			r.fail(e.fail(r.sec, &valueError{"Invalid sockchown value " + text, "write user or user:group, of this machine"}))
		}
	}
	s.Chmod = read(r, "chmod", 0o700, func(text string) (int, error) {
		mode, err := ParseOctal(text)
		if err != nil {
			return 0, &valueError{"Invalid chmod value " + text, "write an octal number such as 0700"}
		}
		return mode, nil
	})
}

// credentials reads username and password: both or none.
func (r *reader) credentials(s *Server) {
	_, hasUser := r.raw("username")
	_, hasPassword := r.raw("password")
	s.Username, s.Password = r.string("username", ""), r.string("password", "")
	if hasUser != hasPassword {
		r.refuse(HalfLogin, "", fmt.Sprintf("Section [%s] contains incomplete authentication: If a username or a password is specified, both the "+
			"username and password must be specified", r.sec.name), "add the missing one, or remove both")
	}
}
