package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// referenceCase is one answer of testdata/reference.py: what the real Supervisor makes of a file.
type referenceCase struct {
	File            string
	Error           string
	Groups          []referenceGroup
	Servers         []referenceServer
	Supervisord     map[string]any
	Plugins         []referencePlugin
	Warnings, Infos []string
}

type referenceGroup struct {
	Name      string
	Priority  int
	Processes []map[string]any
	Socket    *referenceSocket
	member    map[string]*referenceSocket // of single processes, by verdict
}

type referenceSocket struct {
	URL           string
	Backlog, Mode int
	Owner         []int
}

type referenceServer struct {
	Section, Username, Password, Host, File string
	Inet                                    bool
	Port, Chmod                             int
	Chown                                   []int
}

type referencePlugin struct {
	Name   string
	Extras map[string]string
}

func (p *referencePlugin) UnmarshalJSON(b []byte) error { return unmarshalTuple(b, &p.Name, &p.Extras) }

// verdicts lists the files on which we differ from Supervisor on purpose, by quirk. edit turns its answer into ours.
var verdicts = map[string]struct {
	quirk string
	edit  func(c *referenceCase)
}{
	"percent_keyless.conf": {"A2", failsWith("Format string '/bin/date +%s' for 'program:a.command' is badly formatted: %s has no (name); a literal percent sign is " +
		"written %% in section 'program:a' (file: 'percent_keyless.conf')")},
	"environment_double.conf": {"A4", func(c *referenceCase) {
		*c = referenceCase{File: c.File, Supervisord: map[string]any{"environment": map[string]any{"A": "50%"}}}
	}},
	"environment_quotes.conf":   {"A5", func(c *referenceCase) { c.Groups[0].Processes[0]["environment"] = map[string]any{"A": `x"y`} }},
	"include_percent_here.conf": {"A7", loadsCommand("/bin/a %(here)s")},
	"group_comma.conf":          {"A9", failsWith("[group:g] names unknown program or fcgi-program ")},
	"group_second_unknown.conf": {"A9", failsWith("[group:g] names unknown program or fcgi-program nope")},
	"fcgi_bad_format.conf":      {"A9", failsWith("Bad socket format foo in [fcgi-program:f] socket")},
	"fcgi_before_server.conf":   {"A9", failsWith("Bad socket format foo in [fcgi-program:f] socket")},
	"fcgi_upper.conf":           {"A9", failsWith("Bad socket format UNIX:///a in [fcgi-program:f] socket")},
	"fcgi_tcp_empty_host.conf":  {"A9", failsWith("Bad socket format tcp://:1 in [fcgi-program:f] socket")},
	"fcgi_tcp_no_port.conf":     {"A9", failsWith("Bad socket format tcp://localhost in [fcgi-program:f] socket")},
	"fcgi_tcp_six.conf":         {"A9", failsWith("Bad socket format tcp://[::1]:1 in [fcgi-program:f] socket")},
	"fcgi_tcp_space.conf":       {"A9", failsWith("Bad socket format tcp://a b:1 in [fcgi-program:f] socket")},
	"fcgi_tcp_word_port.conf":   {"A9", failsWith("Bad socket format tcp://a:b in [fcgi-program:f] socket")},
	"fcgi_bad_unix.conf":        {"A9", failsWith("Unix socket path foo is not an absolute path in [fcgi-program:f] socket")},
	"default.conf":              {"A10", func(c *referenceCase) { c.Plugins[0].Extras = nil }},
	"duplicate_process.conf":    {"A11", func(c *referenceCase) { c.Groups[0].Processes = c.Groups[0].Processes[1:] }},
	"duplicate_group.conf":      {"A12", func(c *referenceCase) { c.Groups = c.Groups[:1] }},
	"fcgi_group.conf": {"A13", func(c *referenceCase) {
		c.Groups[0].member = map[string]*referenceSocket{"f": {URL: "tcp://localhost:9000"}}
	}},
	"expanded_name.conf": {"A14", failsWith("Invalid name: 'a/b' because of character: '/' in section 'program:a' (file: 'expanded_name.conf')")},
	"rtmin.conf":         {"A21", loadsCommand("/bin/a")},
	"member_order.conf":  {"C7", func(c *referenceCase) { slices.Reverse(c.Groups[0].Processes) }},
	"factory_unknown.conf": {"contract: config, Plugins", failsWith("nope.nope:nope cannot be resolved within [rpcinterface:other]: the built-in factories are " +
		FactoryMain + ", " + FactoryTwiddler + ", " + FactoryGrace)},
}

func failsWith(text string) func(*referenceCase) {
	return func(c *referenceCase) { *c = referenceCase{File: c.File, Error: text} }
}

// loadsCommand is for files that Supervisor refuses and we load: their only process has that command.
func loadsCommand(command string) func(*referenceCase) {
	return func(c *referenceCase) {
		*c = referenceCase{File: c.File, Groups: []referenceGroup{{Name: "a", Priority: 999, Processes: []map[string]any{{"command": command}}}}}
	}
}

// checkReference loads a file of testdata/reference and compares everything with Supervisor's answer.
func checkReference(t *testing.T, c referenceCase) {
	t.Helper()
	dir, err := filepath.Abs("testdata/reference")
	if err != nil {
		t.Fatal(err)
	}
	here := func(s string) string { return strings.ReplaceAll(s, dir, "HERE") }
	m := osMachine(dir, "HOME=/root", "GREETING=hello", "SLASHED=a/b", "TMPDIR=/tmp")
	original := fmt.Sprint(c)
	if v, ok := verdicts[c.File]; ok {
		if v.edit(&c); fmt.Sprint(c) == original {
			t.Errorf("%s: quirk %s makes no difference", c.File, v.quirk)
		}
	}
	conf, err := Load(m, c.File, nil)
	if err != nil || c.Error != "" {
		if err == nil || here(err.Error()) != c.Error {
			t.Errorf("%s: %v\n  Supervisor says %q", c.File, err, c.Error)
		}
		return
	}
	check := func(what string, got, want any) {
		t.Helper()
		if g, w := here(fmt.Sprint(got)), fmt.Sprint(want); g != w {
			t.Errorf("%s: %s is %s, Supervisor has %s", c.File, what, g, w)
		}
	}
	if _, edited := verdicts[c.File]; !edited || len(c.Groups) > 0 {
		checkGroups(t, c, conf, check)
	}
	check("number of servers", len(conf.Servers), len(c.Servers))
	for i := range min(len(conf.Servers), len(c.Servers)) {
		s, want := conf.Servers[i], c.Servers[i]
		if want.Chown == nil {
			want.Chown = []int{-1, -1}
		}
		check(want.Section, []any{s.Section, s.Kind == ServerInet, s.Username, s.Password, s.Host, s.Port, s.File, s.Chmod, s.ChownUID, s.ChownGID},
			[]any{want.Section, want.Inet, want.Username, want.Password, want.Host, want.Port, want.File, want.Chmod, want.Chown[0], want.Chown[1]})
	}
	for key, want := range c.Supervisord {
		check("supervisord."+key, normal(supervisordValue(conf.Supervisord, key, dir)), normal(want))
	}
	for i, want := range c.Plugins {
		check("plugin "+want.Name, []any{conf.RPCInterfaces[i].Name, conf.RPCInterfaces[i].Options}, []any{want.Name, want.Extras})
	}
	checkMessages(t, c, conf, here)
}

func checkGroups(t *testing.T, c referenceCase, conf *Config, check func(what string, got, want any)) {
	t.Helper()
	names := func(n int, name func(i int) string) (out []string) {
		for i := range n {
			out = append(out, name(i))
		}
		return out
	}
	got := names(len(conf.Groups), func(i int) string { return conf.Groups[i].Name })
	want := names(len(c.Groups), func(i int) string { return c.Groups[i].Name })
	if check("groups", got, want); !slices.Equal(got, want) {
		return
	}
	for i, g := range conf.Groups {
		check(g.Name+" priority", g.Priority, c.Groups[i].Priority)
		check(g.Name+" is a FastCGI program", g.Kind == process.KindFCGI, c.Groups[i].Socket != nil)
		if check(g.Name+" processes", len(g.Processes), len(c.Groups[i].Processes)); len(g.Processes) != len(c.Groups[i].Processes) {
			continue
		}
		for j, p := range g.Processes {
			socket := c.Groups[i].Socket
			if own := c.Groups[i].member[p.Name]; own != nil {
				socket = own
			}
			check(g.Name+":"+p.Name+" socket", p.Socket, socket.spec())
			for key, want := range c.Groups[i].Processes[j] {
				if want == "" && strings.HasSuffix(key, "_logfile") {
					want = nil // no log either way
				}
				check(g.Name+":"+p.Name+" "+key, normal(specValue(p, key)), normal(want))
			}
		}
	}
}

// spec returns the socket as our processes have it.
func (s *referenceSocket) spec() process.SocketSpec {
	if s == nil {
		return process.SocketSpec{}
	}
	if s.Owner == nil {
		s.Owner = []int{process.UnsetID, process.UnsetID}
	}
	return process.SocketSpec{URL: s.URL, Backlog: s.Backlog, Mode: s.Mode, UID: s.Owner[0], GID: s.Owner[1]}
}

// checkMessages compares what Supervisor logs; ours may say more.
func checkMessages(t *testing.T, c referenceCase, conf *Config, here func(string) string) {
	t.Helper()
	levels := map[string]Level{}
	for _, w := range conf.Warnings {
		levels[here(w.Text)] = w.Level
	}
	for _, text := range c.Warnings {
		if level, ok := levels[text]; !ok || level != LevelWarn {
			t.Errorf("%s: no warning %q among %v", c.File, text, conf.Warnings)
		}
	}
	for _, text := range c.Infos {
		if level, ok := levels[text]; !ok || level != LevelInfo {
			t.Errorf("%s: no info %q among %v", c.File, text, conf.Warnings)
		}
	}
}

// normal brings values of JSON and of ours into one form: maps and numbers print alike.
func normal(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
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

// specValue returns an option of a process as testdata/reference.py shows it.
func specValue(s process.Spec, key string) any {
	channel := s.Stdout
	if strings.HasPrefix(key, "stderr_") {
		channel = s.Stderr
	}
	if _, rest, ok := strings.Cut(key, "_"); ok && strings.HasPrefix(key, "std") {
		switch rest {
		case "logfile":
			return map[process.LogKind]any{process.LogAuto: "AUTO", process.LogNone: nil, process.LogPath: channel.File.Path}[channel.File.Kind]
		case "logfile_maxbytes":
			return channel.MaxBytes
		case "logfile_backups":
			return channel.Backups
		case "capture_maxbytes":
			return channel.CaptureMaxBytes
		case "events_enabled":
			return channel.EventsEnabled
		case "syslog":
			return channel.Syslog
		}
	}
	switch key {
	case "name":
		return s.Name
	case "uid":
		return orNil(s.UID, process.UnsetID)
	case "command":
		return s.Command
	case "directory":
		return orNil(s.Directory, "")
	case "umask":
		return orNil(s.Umask, process.UnsetMask)
	case "priority":
		return s.Priority
	case "autostart":
		return s.Autostart
	case "autorestart":
		if s.Autorestart == process.RestartNever {
			return false
		}
		return s.Autorestart.String()
	case "startsecs":
		return s.StartSecs
	case "startretries":
		return s.StartRetries
	case "stopsignal":
		return int(s.StopSignal)
	case "stopwaitsecs":
		return s.StopWaitSecs
	case "stopasgroup":
		return s.StopAsGroup
	case "killasgroup":
		return s.KillAsGroup
	case "exitcodes":
		return s.ExitCodes
	case "redirect_stderr":
		return s.RedirectStderr
	case "environment":
		return environMap(s.Environment)
	case "serverurl":
		return orNil(s.ServerURL, process.ServerURLAuto)
	}
	return "no such option: " + key
}

// supervisordValue returns an option of [supervisord] as testdata/reference.py shows it: before paths are made absolute.
func supervisordValue(s Supervisord, key, dir string) any {
	relative := func(p string) string { return strings.TrimPrefix(p, dir+"/") }
	switch key {
	case "minfds":
		return s.MinFDs
	case "minprocs":
		return s.MinProcs
	case "directory":
		return orNil(s.Directory, "")
	case "user":
		return orNil(s.User, "")
	case "umask":
		return s.Umask
	case "logfile":
		return relative(s.Logfile)
	case "logfile_maxbytes":
		return s.LogfileMaxBytes
	case "logfile_backups":
		return s.LogfileBackups
	case "loglevel":
		return s.LogLevel
	case "pidfile":
		return relative(s.Pidfile)
	case "identifier":
		return s.Identifier
	case "nodaemon":
		return s.Nodaemon
	case "silent":
		return s.Silent
	case "childlogdir":
		return s.ChildLogDir
	case "nocleanup":
		return s.Nocleanup
	case "strip_ansi":
		return s.StripANSI
	case "environment":
		return environMap(s.Environment)
	}
	return "no such option: " + key
}

func TestReferenceRecorded(t *testing.T) {
	seen := map[string]bool{}
	recorded(t, "reference.jsonl", func(c referenceCase) {
		seen[c.File] = true
		checkReference(t, c)
	})
	files, err := filepath.Glob("testdata/reference/*.conf")
	if err != nil || len(files) != len(seen) {
		t.Errorf("%d files, %d answers, %v: run reference.py again", len(files), len(seen), err)
	}
	for file := range verdicts {
		if !seen[file] {
			t.Errorf("a verdict about %s, which is not there", file)
		}
	}
}

// TestReferenceLive asks the Supervisor of this machine: the recorded answers must still be its own.
func TestReferenceLive(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: whether the recorded answers are still Supervisor's, because /usr/bin/python3 has no supervisor module")
	}
	out, err := exec.Command("/usr/bin/python3", "testdata/reference.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	live := map[string]referenceCase{}
	for line := range strings.Lines(string(out)) {
		var c referenceCase
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		live[c.File] = c
	}
	old := map[string]referenceCase{}
	recorded(t, "reference.jsonl", func(c referenceCase) { old[c.File] = c })
	for _, file := range slices.Sorted(maps.Keys(old)) {
		if !reflect.DeepEqual(old[file], live[file]) {
			t.Errorf("%s: recorded %+v\n  now %+v", file, old[file], live[file])
		}
	}
}
