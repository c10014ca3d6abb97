package config

import (
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// The options of each kind of section.
var (
	supervisordKeys = strings.Fields("logfile logfile_maxbytes logfile_backups loglevel pidfile umask directory nodaemon silent minfds minprocs " +
		"nocleanup strip_ansi childlogdir user identifier environment")
	supervisorctlKeys = strings.Fields("serverurl username password prompt history_file")
	unixKeys          = strings.Fields("file chmod chown username password")
	inetKeys          = strings.Fields("port username password")
	includeKeys       = strings.Fields("files")
	groupKeys         = strings.Fields("programs priority")
	listenerKeys      = append(strings.Fields("events buffer_size result_handler payload_length"), programKeys...)
	gracedKeys        = strings.Fields("stop_order sigpipe update statedir quirks")
	programKeys       = strings.Fields("command process_name numprocs numprocs_start priority autostart autorestart startsecs startretries " +
		"exitcodes stopsignal stopwaitsecs stopasgroup killasgroup user umask directory redirect_stderr environment serverurl " +
		"stdout_logfile stdout_logfile_maxbytes stdout_logfile_backups stdout_capture_maxbytes stdout_events_enabled stdout_syslog " +
		"stderr_logfile stderr_logfile_maxbytes stderr_logfile_backups stderr_capture_maxbytes stderr_events_enabled stderr_syslog")
)

// fcgiKeys are those of a program and of its socket.
var fcgiKeys = append(strings.Fields("socket socket_backlog socket_owner socket_mode"), programKeys...)

// sectionKind is a kind of section, known by its name or by how its name starts. Keys nil: every option is welcome there.
type sectionKind struct {
	name   string
	prefix bool
	keys   []string
}

func (k sectionKind) covers(name string) bool {
	return name == k.name || k.prefix && strings.HasPrefix(name, k.name)
}

var knownSections = []sectionKind{
	{"supervisord", false, supervisordKeys}, {"supervisorctl", false, supervisorctlKeys}, {"include", false, includeKeys},
	{"graced", false, gracedKeys}, {"unix_http_server", true, unixKeys}, {"inet_http_server", true, inetKeys},
	{"program:", true, programKeys}, {"group:", true, groupKeys}, {"eventlistener:", true, listenerKeys}, {"fcgi-program:", true, fcgiKeys},
	{"rpcinterface:", true, nil}, {"ctlplugin:", true, nil},
}

// noteUnknown notes sections and options that nothing reads. Supervisor passes over them in silence, so they are never more than notes.
func (l *loader) noteUnknown() {
	var names []string
	for _, k := range knownSections {
		names = append(names, strings.TrimSuffix(k.name, ":"))
	}
	for _, sec := range l.table.sections {
		i := slices.IndexFunc(knownSections, func(k sectionKind) bool { return k.covers(sec.name) })
		if i < 0 {
			kind, _, _ := strings.Cut(sec.name, ":")
			l.warn(UnknownSection, LevelNote, process.Origin{File: sec.file, Line: sec.line},
				"unknown section ["+sec.name+"] is ignored"+suggestion(lower(strip(kind)), names))
			continue
		}
		keys := knownSections[i].keys
		if keys == nil {
			continue
		}
		for _, key := range sec.order {
			if e := sec.own[key]; !e.inherited && !slices.Contains(keys, key) {
				l.warn(UnknownKey, LevelNote, process.Origin{File: e.file, Line: e.line},
					"unknown option "+key+" in ["+sec.name+"] is ignored"+suggestion(key, keys))
			}
		}
	}
}

func suggestion(word string, candidates []string) string {
	if near := nearest(word, candidates); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
