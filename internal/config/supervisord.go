package config

import (
	"cmp"
	"maps"
	"slices"

	"github.com/graced/graced/internal/process"
)

// Supervisord holds the options of [supervisord] (contract: config, "[supervisord]"), the command line's word counted in.
type Supervisord struct {
	Logfile         string // absolute, or "syslog"
	LogfileMaxBytes int64  // bytes; zero or less: never rotated
	LogfileBackups  int
	LogLevel        LogLevel
	Pidfile         string // absolute
	Umask           int    // applied only when daemonizing (quirk A15)
	Directory       string // "" = none; applied only when daemonizing (quirk A15)
	Nodaemon        bool
	Silent          bool
	MinFDs          int
	MinProcs        int
	Nocleanup       bool
	StripANSI       bool
	ChildLogDir     string
	Identifier      string
	Environment     []process.Env // sorted by name; already merged into every program's

	User     string // as written; "" with UID = process.UnsetID if there is none
	UID, GID int    // of User; process.UnsetID without one

	Set map[string]bool // the keys that the file, [DEFAULT] included, or the command line sets
}

// supervisord reads [supervisord] in the order of the reference, then applies the command line.
func (l *loader) supervisord(sec *section, cli Overrides) (Supervisord, error) {
	r := l.reader(sec, l.hereNames)
	s := Supervisord{UID: process.UnsetID, GID: process.UnsetID, Set: map[string]bool{}}
	s.MinFDs = r.int("minfds", 1024)
	s.MinProcs = r.int("minprocs", 200)
	s.Directory = read(r, "directory", "", l.m.existingDirectory)
	s.User = r.string("user", "")
	s.Umask = read(r, "umask", 0o22, ParseOctal)
	s.Logfile = read(r, "logfile", "supervisord.log", l.m.existingDirpath)
	s.LogfileMaxBytes = r.bytes("logfile_maxbytes", 50<<20)
	s.LogfileBackups = r.int("logfile_backups", 10)
	s.LogLevel = read(r, "loglevel", LogInfo, ParseLogLevel)
	s.Pidfile = read(r, "pidfile", "supervisord.pid", l.m.existingDirpath)
	s.Identifier = r.string("identifier", "supervisor")
	s.Nodaemon = r.bool("nodaemon", false)
	s.Silent = r.bool("silent", false)
	if _, set := r.raw("childlogdir"); set {
		s.ChildLogDir = read(r, "childlogdir", "", l.m.existingDirectory)
	} else if dir, err := l.m.existingDirectory(l.m.TempDir); err != nil {
		r.refuse(BadDirectory, "childlogdir", err.Error(), "set childlogdir to an existing directory")
	} else {
		s.ChildLogDir = dir
	}
	s.Nocleanup = r.bool("nocleanup", false)
	s.StripANSI = r.bool("strip_ansi", false)

	// Expanded once, as Supervisor 4.4 does (quirk A4).
	r.scope = newScope(l.hereNames)
	r.scope.names["host_node_name"] = textValue(l.m.Hostname)
	if text, e, ok := r.text("environment"); ok {
		l.environment = r.environment(text, e)
	}
	s.Environment = environList(l.environment)
	for k, v := range l.environment {
		l.envNames.names["ENV_"+k] = textValue(v)
	}
	for _, key := range l.table.keys(sec) {
		s.Set[key] = true
	}
	if r.err == nil {
		r.err = l.override(&s, cli)
	}
	if s.Logfile != "syslog" {
		s.Logfile = l.m.normalize(s.Logfile)
	}
	s.Pidfile = l.m.normalize(s.Pidfile)
	return s, r.result()
}

// override lets the command line's options replace those of the file.
func (l *loader) override(s *Supervisord, cli Overrides) *Error {
	for _, key := range slices.Sorted(maps.Keys(cli)) {
		text := cli[key]
		var err error
		switch key {
		case "nodaemon":
			s.Nodaemon = true
		case "silent":
			s.Silent = true
		case "nocleanup":
			s.Nocleanup = true
		case "strip_ansi":
			s.StripANSI = true
		case "user":
			s.User = text
		case "umask":
			s.Umask, err = ParseOctal(text)
		case "directory":
			s.Directory, err = l.m.existingDirectory(text)
		case "logfile":
			text, err = l.m.existingDirpath(text)
			s.Logfile = cmp.Or(text, s.Logfile)
		case "logfile_maxbytes":
			s.LogfileMaxBytes, err = ParseByteSize(text)
		case "logfile_backups":
			s.LogfileBackups, err = ParseInt(text)
		case "loglevel":
			s.LogLevel, err = ParseLogLevel(text)
		case "pidfile":
			text, err = l.m.existingDirpath(text)
			s.Pidfile = cmp.Or(text, s.Pidfile)
		case "identifier":
			s.Identifier = text
		case "childlogdir":
			s.ChildLogDir, err = l.m.existingDirectory(text)
		case "minfds":
			s.MinFDs, err = ParseInt(text)
		case "minprocs":
			s.MinProcs, err = ParseInt(text)
		}
		if err != nil {
			return &Error{Key: key, Value: text, Text: err.Error(), Hint: "it was given on the command line"}
		}
		s.Set[key] = true
	}
	return nil
}

// user looks up the account to run as. The reference does it after everything else.
func (l *loader) user(s *Supervisord) error {
	if !s.Set["user"] {
		return nil
	}
	u, err := l.m.lookupUser(s.User)
	if err != nil {
		sec := l.table.index["supervisord"]
		bad := &Error{File: sec.file, Line: sec.line, Section: sec.name, Key: "user", Text: err.Error()}
		if e, ok := l.table.get(sec, "user"); ok {
			bad = e.fail(sec, err)
		}
		bad.Value, bad.Hint, bad.Code = s.User, "name a user of this machine", NoAccount
		return bad
	}
	s.UID, s.GID = u.UID, u.GID
	return nil
}

// environment parses the value of an environment option and notes what is doubtful about it.
func (r *reader) environment(text string, e *entry) map[string]string {
	env, remarks, err := parseEnviron(text)
	if err != nil {
		r.fail(e.fail(r.sec, err))
		return nil
	}
	origin := process.Origin{File: e.file, Line: e.line}
	for _, remark := range remarks {
		r.warn(remark.code, remark.level, origin, "["+r.sec.name+"] "+remark.text)
	}
	r.checkCut(e)
	return env
}
