package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// object is a piece of an answer of testdata/snippets.py, or ours in the same form.
type object = map[string]any

// theAccounts are those of every Debian, so that recorded answers hold on other machines.
var theAccounts = map[string][2]int{"root": {0, 0}, "daemon": {1, 1}, "www-data": {33, 33}, "nobody": {65534, 65534}}

var theGroups = map[string]int{"root": 0, "daemon": 1, "adm": 4, "www-data": 33, "nogroup": 65534}

// debianMachine is the machine of testdata/snippets.py: the files of this one, a working directory and environment of our choice, and
// Debian's accounts.
func debianMachine(dir string, environ map[string]string) Machine {
	var env []string
	for _, k := range slices.Sorted(maps.Keys(environ)) {
		env = append(env, k+"="+environ[k])
	}
	m := osMachine(dir, env...)
	m.UID = 0
	m.User = func(name string) (User, error) {
		for known, ids := range theAccounts {
			if name == known || name == fmt.Sprint(ids[0]) {
				return User{known, ids[0], ids[1]}, nil
			}
		}
		return User{}, errors.New("no such user")
	}
	m.Group = func(name string) (int, error) {
		for known, id := range theGroups {
			if name == known || name == fmt.Sprint(id) {
				return id, nil
			}
		}
		return 0, errors.New("no such group")
	}
	m.Home = func(user string) (string, error) {
		home, ok := map[string]string{"": "/root", "root": "/root", "daemon": "/usr/sbin", "www-data": "/var/www", "nobody": "/nonexistent"}[user]
		if !ok {
			return "", errors.New("no such user")
		}
		return home, nil
	}
	return m
}

// inMemory makes a machine's files those of dir and what every Debian has that a snippet names.
func inMemory(m *Machine, dir string, files map[string][]byte) {
	texts := map[string]string{dir + "/": "", "/root/": "", "/var/tmp/": "", "/dev/fd/": "", "/dev/stdout": "", "/dev/stderr": "", "/dev/null": "", "/etc/passwd": ""}
	for name, text := range files {
		full := path.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			full += "/"
		}
		texts[full] = string(text)
	}
	fake := fakeMachine(texts)
	m.ReadFile = func(p string) ([]byte, error) { return fake.ReadFile(path.Clean(p)) }
	m.ReadDir, m.Exists, m.DirExists = fake.ReadDir, fake.Exists, fake.DirExists
}

// theirCodes are the warnings that the reference gives as well.
var theirCodes = []Code{NoIncludeMatch, Included, SyslogLogfile, AutoNoRollover, IgnoredStderr}

// ourAnswer loads the supervisord.conf of a question and returns everything that was read in the form of testdata/snippets.py. What we log and the
// reference does not is in "remarks".
func ourAnswer(q question) object {
	dir, m := q.Dir, debianMachine(q.Dir, q.Env)
	if len(q.Files) > 0 {
		inMemory(&m, dir, q.Files)
	}
	if q.Ctl {
		return ctlAnswer(m, dir)
	}
	parsed, err := ParseDaemonArgs(m, append([]string{"-c", "supervisord.conf"}, q.Args...))
	if err != nil {
		return object{"error": err.Error()}
	}
	c, err := Load(m, parsed.Path, parsed.Overrides)
	if err != nil {
		return plainJSON(object{"error": err.Error()}, dir)
	}
	out := object{"supervisord": supervisordObject(c), "plugins": pluginObjects(c.RPCInterfaces)}
	var groups, servers []object
	for _, g := range c.Groups {
		groups = append(groups, groupObject(g))
	}
	for _, s := range c.Servers {
		servers = append(servers, serverObject(s))
	}
	out["groups"], out["servers"] = groups, servers
	// The reference logs by level, not by the order in which things came up.
	var messages, remarks []string
	for level := LevelCrit; level <= LevelInfo; level++ {
		for _, w := range c.Warnings {
			switch {
			case w.Level != level:
			case slices.Contains(theirCodes, w.Code):
				messages = append(messages, level.String()+" "+w.Text)
			default:
				remarks = append(remarks, string(w.Code))
			}
		}
	}
	out["messages"], out["remarks"] = messages, remarks
	if q.Reread != "" {
		m.ReadFile = func(string) ([]byte, error) { return []byte(q.Reread), nil }
		next, err := Load(m, parsed.Path, parsed.Overrides)
		if err != nil {
			return plainJSON(object{"error": err.Error()}, dir)
		}
		var active plan.Manifest
		for _, g := range c.Groups {
			active.Groups = append(active.Groups, plan.Group{GroupSpec: g})
		}
		added, changed, removed := plan.Differences(active, next.Groups)
		out["reread"] = object{"added": added, "changed": changed, "removed": removed}
	}
	return plainJSON(out, dir)
}

// ctlAnswer is what the client reads.
func ctlAnswer(m Machine, dir string) object {
	c, err := LoadCtl(m, "supervisord.conf")
	if err != nil {
		return plainJSON(object{"error": err.Error()}, dir)
	}
	return plainJSON(object{
		"supervisorctl": object{
			"serverurl": c.ServerURL, "username": c.Username, "password": c.Password, "prompt": c.Prompt, "history_file": c.HistoryFile,
		},
		"plugins": pluginObjects(c.Plugins),
	}, dir)
}

func pluginObjects(plugins []Plugin) []object {
	var out []object
	for _, p := range plugins {
		out = append(out, object{"name": p.Name, "factory": p.Factory, "options": p.Options})
	}
	return out
}

// plainJSON takes a value through JSON, so that it compares with Python's, and writes HERE for dir and ABOVE for the directory above it.
func plainJSON(v object, dir string) object {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out object
	if err := json.Unmarshal([]byte(strings.NewReplacer(dir, "HERE", path.Dir(dir), "ABOVE").Replace(string(data))), &out); err != nil {
		panic(err)
	}
	return out
}

func environMap(env []process.Env) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		out[e.Key] = e.Value
	}
	return out
}

// orNil returns nil, as Python's None, for the value that stands for "not set".
func orNil[T comparable](v, unset T) any {
	if v == unset {
		return nil
	}
	return v
}

func supervisordObject(c *Config) object {
	s := c.Supervisord
	user := any(s.User)
	if !s.Set["user"] {
		user = nil
	}
	return object{
		"minfds": s.MinFDs, "minprocs": s.MinProcs, "directory": orNil(s.Directory, ""), "user": user, "uid": orNil(s.UID, process.UnsetID),
		"gid": orNil(s.GID, process.UnsetID), "umask": s.Umask, "logfile": s.Logfile, "logfile_maxbytes": s.LogfileMaxBytes,
		"logfile_backups": s.LogfileBackups, "loglevel": s.LogLevel, "pidfile": s.Pidfile, "identifier": s.Identifier,
		"nodaemon": s.Nodaemon, "silent": s.Silent, "childlogdir": s.ChildLogDir, "nocleanup": s.Nocleanup, "strip_ansi": s.StripANSI,
		"environment": environMap(s.Environment), "serverurl": orNil(c.ServerURL(), ""),
	}
}

func serverObject(s Server) object {
	o := object{"section": s.Section, "name": s.Name, "inet": s.Kind == ServerInet, "username": s.Username, "password": s.Password}
	if s.Kind == ServerInet {
		o["host"], o["port"] = s.Host, s.Port
	} else {
		o["file"], o["chmod"], o["chown"] = s.File, s.Chmod, []int{s.ChownUID, s.ChownGID}
	}
	return o
}

func groupObject(g process.GroupSpec) object {
	var processes []object
	for _, p := range g.Processes {
		processes = append(processes, processObject(p))
	}
	o := object{"name": g.Name, "priority": g.Priority, "kind": "program", "processes": processes}
	switch {
	case g.Kind == process.KindEventListener:
		o["kind"], o["events"] = "eventlistener", g.Listener.Events
		o["buffer_size"], o["result_handler"] = g.Listener.BufferSize, g.Listener.ResultHandler
	case g.Kind == process.KindFCGI:
		o["kind"] = "fcgi"
		if len(g.Processes) > 0 { // all have the same
			maps.Copy(o, socketObject(g.Processes[0].Socket))
		}
		for _, p := range processes {
			maps.DeleteFunc(p, func(key string, _ any) bool { return strings.HasPrefix(key, "socket") })
		}
	}
	return o
}

func socketObject(s process.SocketSpec) object {
	o := object{"socket": s.URL, "socket_backlog": orNil(s.Backlog, 0), "socket_mode": nil, "socket_owner": nil}
	if strings.HasPrefix(s.URL, "unix:") {
		o["socket_mode"] = s.Mode
	}
	if s.UID != process.UnsetID {
		o["socket_owner"] = []int{s.UID, s.GID}
	}
	return o
}

func processObject(s process.Spec) object {
	o := object{
		"name": s.Name, "uid": orNil(s.UID, process.UnsetID), "command": s.Command, "directory": orNil(s.Directory, ""),
		"umask": orNil(s.Umask, process.UnsetMask), "priority": s.Priority, "autostart": s.Autostart, "autorestart": s.Autorestart.String(),
		"startsecs": s.StartSecs, "startretries": s.StartRetries, "stopsignal": int(s.StopSignal), "stopwaitsecs": s.StopWaitSecs,
		"stopasgroup": s.StopAsGroup, "killasgroup": s.KillAsGroup, "exitcodes": s.ExitCodes, "redirect_stderr": s.RedirectStderr,
		"environment": environMap(s.Environment), "serverurl": orNil(s.ServerURL, process.ServerURLAuto),
	}
	if s.Autorestart == process.RestartNever {
		o["autorestart"] = false
	}
	if s.Socket.URL != "" {
		maps.Copy(o, socketObject(s.Socket))
	}
	for channel, l := range map[string]process.LogSpec{"stdout": s.Stdout, "stderr": s.Stderr} {
		o[channel+"_logfile"] = map[process.LogKind]any{process.LogAuto: "AUTO", process.LogNone: nil, process.LogPath: l.File.Path}[l.File.Kind]
		o[channel+"_logfile_maxbytes"], o[channel+"_logfile_backups"] = l.MaxBytes, l.Backups
		o[channel+"_capture_maxbytes"], o[channel+"_events_enabled"], o[channel+"_syslog"] = l.CaptureMaxBytes, l.EventsEnabled, l.Syslog
	}
	return o
}

// What is not said in a rendered answer.
var (
	supervisordDefaults = object{
		"minfds": 1024.0, "minprocs": 200.0, "directory": nil, "user": nil, "uid": nil, "gid": nil, "umask": 18.0, "logfile": "HERE/supervisord.log",
		"logfile_maxbytes": 52428800.0, "logfile_backups": 10.0, "loglevel": 20.0, "pidfile": "HERE/supervisord.pid", "identifier": "supervisor",
		"nodaemon": false, "silent": false, "childlogdir": "/tmp", "nocleanup": false, "strip_ansi": false, "environment": object{}, "serverurl": nil,
	}
	processDefaults = object{
		"uid": nil, "directory": nil, "umask": nil, "priority": 999.0, "autostart": true, "autorestart": "unexpected", "startsecs": 1.0,
		"startretries": 3.0, "stopsignal": 15.0, "stopwaitsecs": 10.0, "stopasgroup": false, "killasgroup": false, "exitcodes": []any{0.0},
		"redirect_stderr": false, "environment": object{}, "serverurl": nil, "stdout_logfile": "AUTO", "stdout_logfile_maxbytes": 52428800.0,
		"stdout_logfile_backups": 10.0, "stdout_capture_maxbytes": 0.0, "stdout_events_enabled": false, "stdout_syslog": false,
		"stderr_logfile": "AUTO", "stderr_logfile_maxbytes": 52428800.0, "stderr_logfile_backups": 10.0, "stderr_capture_maxbytes": 0.0,
		"stderr_events_enabled": false, "stderr_syslog": false,
	}
	supervisorctlDefaults = object{"serverurl": DefaultServerURL, "username": "", "password": "", "prompt": "supervisor", "history_file": ""}
	groupDefaults         = object{"kind": "program", "priority": 999.0, "socket_backlog": nil, "socket_owner": nil}
)

// render writes an answer as text, one line per thing, without what has its default. Either side's answer goes through it.
func render(answer object) string {
	var b strings.Builder
	if text, ok := answer["error"]; ok {
		return "Error: " + strings.ReplaceAll(text.(string), "\n", "\n  ") + "\n"
	}
	line := func(head string, o, defaults object, but ...string) {
		b.WriteString(head)
		for _, key := range slices.Sorted(maps.Keys(o)) {
			if v, known := defaults[key]; slices.Contains(but, key) || known && reflect.DeepEqual(v, o[key]) {
				continue
			}
			fmt.Fprintf(&b, " %s=%s", key, compact(o[key]))
		}
		for _, key := range slices.Sorted(maps.Keys(defaults)) {
			if _, there := o[key]; !there && defaults[key] != nil {
				fmt.Fprintf(&b, " %s is missing", key)
			}
		}
		b.WriteString("\n")
	}
	if o, ok := answer["supervisorctl"].(object); ok {
		line("supervisorctl", o, supervisorctlDefaults)
	} else {
		line("supervisord", answer["supervisord"].(object), supervisordDefaults)
	}
	for _, g := range objects(answer["groups"]) {
		line("group "+compact(g["name"]), g, groupDefaults, "name", "processes")
		for _, p := range objects(g["processes"]) {
			if p["exitcodes"] == nil {
				p["exitcodes"] = []any{}
			}
			line("  process "+compact(p["name"]), p, processDefaults, "name")
		}
	}
	if o, ok := answer["reread"].(object); ok {
		line("reread", o, object{"added": []any{}, "changed": []any{}, "removed": []any{}})
	}
	for _, s := range objects(answer["servers"]) {
		maps.DeleteFunc(s, func(_ string, v any) bool { return v == nil || v == "" })
		line("server "+compact(s["section"]), s, object{}, "section")
	}
	for _, p := range objects(answer["plugins"]) {
		line("plugin "+compact(p["name"]), p, object{}, "name")
	}
	// The reference repeats a message for every process of a section.
	seen := map[any]bool{}
	messages, _ := answer["messages"].([]any)
	for _, text := range messages {
		if !seen[text] {
			fmt.Fprintln(&b, text)
			seen[text] = true
		}
	}
	remarks, _ := answer["remarks"].([]any)
	slices.SortFunc(remarks, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	for _, code := range slices.Compact(remarks) {
		fmt.Fprintf(&b, "WARN %s\n", code)
	}
	return b.String()
}

func objects(v any) []object {
	list, _ := v.([]any)
	out := make([]object, len(list))
	for i := range list {
		out[i] = list[i].(object)
	}
	return out
}

// compact writes a JSON value in its shortest form; whole numbers without exponent.
func compact(v any) string {
	if n, ok := v.(float64); ok && n == float64(int64(n)) {
		return fmt.Sprint(int64(n))
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// TestAccounts: the accounts that the snippets are judged with are those of this Debian.
func TestAccounts(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: whether the accounts of the snippets are Debian's, because Supervisor is not installed")
	}
	for name, ids := range theAccounts {
		out := output(t, "getent", "passwd", name)
		if !strings.HasPrefix(out, fmt.Sprintf("%s:x:%d:%d:", name, ids[0], ids[1])) {
			t.Errorf("%s is %s", name, out)
		}
	}
	for name, id := range theGroups {
		if out := output(t, "getent", "group", name); !strings.HasPrefix(out, fmt.Sprintf("%s:x:%d:", name, id)) {
			t.Errorf("group %s is %s", name, out)
		}
	}
}
