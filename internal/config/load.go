package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"

	"github.com/graced/graced/internal/process"
)

// Config is a configuration that was read without error.
type Config struct {
	Path          string // the main file, absolute
	Supervisord   Supervisord
	Graced        Graced
	Servers       []Server            // inet servers first, then unix, each in the order of the files
	Groups        []process.GroupSpec // sorted by priority and name; names are unique
	Answers       *Answers            // what the machine said meanwhile
	RPCInterfaces []Plugin            // in the order of the files
	Warnings      []Warning           // in the order they came up
	IncludedFiles []string            // absolute; those that could be read
	Sums          map[string]string   // SHA-256 of each file that was read, in hex, by absolute path

	loader *loader // what AddProgram needs
}

// Overrides are options of [supervisord] given on the command line, by key; they beat the file. ParseDaemonArgs makes them.
type Overrides map[string]string

// loader carries what is known while a configuration is read.
type loader struct {
	m         Machine
	named     string // the main file as it was named: error texts show it so
	here      string // the directory of the main file
	table     *table
	envNames  *scope // ENV_X of the daemon's environment and, once read, of [supervisord] environment
	hereNames *scope // envNames and here

	environment map[string]string // of [supervisord]
	included    []string
	sums        map[string]string
	warnings    []Warning
	warned      map[Warning]bool
	sockets     map[string]process.NamedSocket
	scaled      map[string][]int // process_num of each process, by program, instead of numprocs
	spare       int              // not 0: a program's processes are so many that come after those that it has

	// collect takes every error, and reading goes on behind it with the default of the option. nil: the first one ends the reading.
	collect func(*Error)
}

// Load reads the configuration of the daemon: the file path, which may be relative to m.Dir, and what it includes (contract: config,
// "Validation order"). The error is an *Error. Nothing is read but files; cli beats [supervisord], nil is none.
func Load(m Machine, path string, cli Overrides) (*Config, error) {
	m, answers := record(m)
	l, failure := newLoader(m, path)
	if failure != nil {
		return nil, failure
	}
	if failure := l.include(); failure != nil {
		return nil, failure
	}
	sec, ok := l.table.index["supervisord"]
	if !ok {
		return nil, noDaemonSection(path)
	}
	c := &Config{Path: m.abspath(path), Answers: answers, loader: l}
	var err error
	// What follows is ordered: the first error found is the one reported.
	if c.Supervisord, err = l.supervisord(sec, cli); err != nil {
		return nil, err
	}
	if c.RPCInterfaces, err = l.plugins("rpcinterface:", rpcFactoryKey, rpcFactories); err != nil {
		return nil, err
	}
	if c.Graced, err = l.graced(); err != nil {
		return nil, err
	}
	if err = l.namedSockets(); err != nil {
		return nil, err
	}
	if c.Groups, err = l.groups(c.Graced.Quirks.BootConfigOrder); err != nil {
		return nil, err
	}
	if err = l.dependencies(c.Groups); err != nil {
		return nil, err
	}
	if c.Servers, err = l.servers(); err != nil {
		return nil, err
	}
	if err := l.user(&c.Supervisord); err != nil {
		return nil, err
	}
	if c.Graced.StrictConfig {
		if err := l.refuseUnknown(); err != nil {
			return nil, err
		}
	}
	l.noteUnknown()
	c.Warnings, c.IncludedFiles, c.Sums = l.warnings, l.included, l.sums
	return c, nil
}

func noDaemonSection(path string) *Error {
	return &Error{File: path, Text: ".ini file does not include supervisord section", Hint: "add a line [supervisord]", Code: NoDaemon}
}

// newLoader reads the main file.
func newLoader(m Machine, path string) (*loader, *Error) {
	l := emptyLoader(m, path)
	if err := l.readMain(); err != nil {
		return nil, err
	}
	return l, nil
}

// emptyLoader returns a loader that has not read anything yet.
func emptyLoader(m Machine, path string) *loader {
	l := &loader{
		m: m, named: path, here: m.abspath(dirname(path)), table: newTable(), envNames: newScope(nil), warned: map[Warning]bool{}, sums: map[string]string{},
	}
	for _, kv := range m.Environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			l.envNames.names["ENV_"+k] = textValue(v)
		}
	}
	l.hereNames = newScope(l.envNames)
	l.hereNames.names["here"] = textValue(l.here)
	return l
}

func (l *loader) readMain() *Error {
	path := l.named
	data, err := l.m.ReadFile(join(l.m.Dir, path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{File: path, Text: "could not find config file " + path, Hint: "check the name given with -c", Code: NoFile}
	case err != nil:
		return &Error{File: path, Text: "could not read config file " + path, Hint: "cannot read it: " + err.Error(), Code: NoFile}
	}
	l.sums[l.m.abspath(path)] = sum(data)
	return l.table.read(path, data)
}

// include reads the files that [include] names, in order, into the table (contract: config, "[include]").
func (l *loader) include() *Error {
	sec, ok := l.table.index["include"]
	if !ok {
		return nil
	}
	l.table.bindHere(l.here)
	names := newScope(l.hereNames)
	names.names["host_node_name"] = textValue(l.m.Hostname)
	e, ok := l.table.get(sec, "files")
	if !ok {
		return &Error{
			File: sec.file, Line: sec.line, Section: sec.name, Text: ".ini file has [include] section, but no files setting",
			Hint: "add files = conf.d/*.conf, or remove the section", Key: "files", Code: Missing,
		}
	}
	files, err := names.expand(e.value, e.here, "include.files")
	if err != nil {
		return e.fail(sec, err)
	}
	origin := process.Origin{File: e.file, Line: e.line}
	for _, pattern := range strings.FieldsFunc(files, isSpace) {
		pattern = join(dirname(l.m.abspath(l.named)), pattern)
		matches := l.m.glob(pattern)
		if len(matches) == 0 {
			l.warn(NoIncludeMatch, LevelWarn, origin, `No file matches via include "`+pattern+`"`)
		}
		for _, name := range matches {
			l.warn(Included, LevelInfo, origin, `Included extra file "`+name+`" during parsing`)
			data, err := l.m.ReadFile(name)
			if err != nil {
				// The reference passes over the file without a word (quirk A8).
				l.warn(UnreadInclude, LevelWarn, origin, `cannot read the included file "`+name+`": `+err.Error())
				l.table.bindHere(l.m.abspath(dirname(name)))
				continue
			}
			l.included = append(l.included, name)
			l.sums[name] = sum(data)
			if err := l.table.read(name, data); err != nil {
				return err
			}
			l.table.bindHere(l.m.abspath(dirname(name)))
		}
	}
	return nil
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// warn notes a remark once per place.
func (l *loader) warn(code Code, level Level, origin process.Origin, text string) {
	w := Warning{origin, level, code, text}
	if !l.warned[w] {
		l.warned[w] = true
		l.warnings = append(l.warnings, w)
	}
}

// fail makes an Error about an entry.
func (e *entry) fail(sec *section, err error) *Error {
	out := &Error{File: e.file, Line: e.line, Col: e.col, Section: sec.name, Key: e.key, Value: e.value, Text: err.Error(), Code: cmp.Or(valueCodes[e.key], BadValue)}
	var bad *valueError
	var expand *expandError
	switch {
	case errors.As(err, &bad):
		out.Hint = bad.hint
	case errors.As(err, &expand):
		out.Cause, out.Hint, out.Code, out.expand = expand.cause, expand.hint, BadExpansion, expand
		if expand.hint == percentHint && (e.key == "stdout_logfile" || e.key == "stderr_logfile") {
			out.Hint = "write %%%% for a literal percent sign: the names of log files are expanded twice"
		}
	}
	return out
}

// reader reads the options of one section. The first error sticks: later reads return their defaults.
type reader struct {
	*loader
	sec   *section
	scope *scope
	err   *Error
	first bool // keeps the first error for itself, whatever the loader does

	failed bool // an error was handed to the collector
}

// fail takes an error: it sticks, or is handed to the collector.
func (r *reader) fail(err *Error) {
	if r.collect != nil && !r.first {
		r.failed = true
		r.collect(err)
		return
	}
	r.err = err
}

func (l *loader) reader(sec *section, names *scope) *reader {
	return &reader{loader: l, sec: sec, scope: names}
}

// raw returns an option without expanding it.
func (r *reader) raw(key string) (*entry, bool) {
	if r.err != nil {
		return nil, false
	}
	return r.table.get(r.sec, key)
}

// text returns an option with its names expanded.
func (r *reader) text(key string) (string, *entry, bool) {
	e, ok := r.raw(key)
	if !ok {
		return "", nil, false
	}
	s, err := r.scope.expand(e.value, e.here, r.sec.name+"."+key)
	if err != nil {
		r.fail(e.fail(r.sec, err))
		return "", nil, false
	}
	return s, e, true
}

// read returns an option, parsed, or def if it is not there or an error has occurred.
func read[T any](r *reader, key string, def T, parse func(string) (T, error)) T {
	s, e, ok := r.text(key)
	if !ok {
		return def
	}
	v, err := parse(s)
	if err != nil {
		r.fail(e.fail(r.sec, err))
		return def
	}
	return v
}

func (r *reader) string(key, def string) string {
	return read(r, key, def, func(s string) (string, error) { return s, nil })
}

func (r *reader) int(key string, def int) int { return read(r, key, def, ParseInt) }

func (r *reader) bool(key string, def bool) bool { return read(r, key, def, ParseBool) }

func (r *reader) bytes(key string, def int64) int64 { return read(r, key, def, ParseByteSize) }

// refuse makes an Error about the section as a whole, or about one of its options.
func (r *reader) refuse(code Code, key, text, hint string) {
	if r.err != nil {
		return
	}
	err := &Error{File: r.sec.file, Line: r.sec.line, Section: r.sec.name, Key: key, Text: text, Hint: hint}
	if e, ok := r.table.get(r.sec, key); ok {
		err = e.fail(r.sec, &valueError{text, hint})
	}
	err.Code = code
	r.fail(err)
}

// result returns the sticky error as an error; a nil *Error is no error.
func (r *reader) result() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// origin returns where an option stands, or its section.
func (r *reader) origin(key string) process.Origin {
	if e, ok := r.table.get(r.sec, key); ok {
		return process.Origin{File: e.file, Line: e.line}
	}
	return process.Origin{File: r.sec.file, Line: r.sec.line}
}

// SearchPaths returns where a configuration file is looked for without -c, in order (contract: config, "Locating"). argv0Dir is the
// directory of the running program; relative paths are relative to the working directory.
func SearchPaths(argv0Dir string) []string {
	parent := dirname(argv0Dir)
	return []string{
		join(parent, "etc/supervisord.conf"), join(parent, "supervisord.conf"), "supervisord.conf", "etc/supervisord.conf",
		"/etc/supervisord.conf", "/etc/supervisor/supervisord.conf",
	}
}

// FindDefault returns the first of SearchPaths that exists. The error is an *Error with the text of the daemon; the client carries on
// with its built-in defaults instead.
func FindDefault(m Machine, argv0Dir string) (string, error) {
	paths := SearchPaths(argv0Dir)
	for _, p := range paths {
		if m.Exists(join(m.Dir, p)) {
			return p, nil
		}
	}
	return "", &Error{
		Text: "No config file found at default paths (" + strings.Join(paths, ", ") +
			"); use the -c option to specify a config file at a different path",
	}
}

// ServerURL returns the address that children are told in SUPERVISOR_SERVER_URL unless their program sets another: the first unix
// socket, else the last inet server, else "".
//
// compat: the last one, as the reference's loop over the inet servers goes on to their end.
func (c *Config) ServerURL() string {
	inet := ""
	for _, s := range c.Servers {
		if s.Kind == ServerUnix {
			return s.URL()
		}
		inet = s.URL()
	}
	return inet
}
