package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

const head = "[supervisord]\n"

// load loads /etc/s.conf of a fake machine and fails the test if that fails.
func load(t *testing.T, files map[string]string, cli Overrides) *Config {
	t.Helper()
	c, err := Load(fakeMachine(files), "/etc/s.conf", cli)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// one loads a file and returns its only process.
func one(t *testing.T, text string) process.Spec {
	t.Helper()
	c := load(t, map[string]string{"/etc/s.conf": head + text}, nil)
	if len(c.Groups) != 1 || len(c.Groups[0].Processes) != 1 {
		t.Fatalf("groups %+v", c.Groups)
	}
	return c.Groups[0].Processes[0]
}

// loadError returns the error of a file.
func loadError(t *testing.T, files map[string]string) *Error {
	t.Helper()
	_, err := Load(fakeMachine(files), "/etc/s.conf", nil)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an *Error", err)
	}
	return e
}

// warned returns the warnings of a kind as "line: text".
func warned(c *Config, code Code) []string {
	var out []string
	for _, w := range c.Warnings {
		if w.Code == code {
			out = append(out, fmt.Sprintf("%d: %s", w.Origin.Line, w.Text))
		}
	}
	return out
}

func TestOpeningErrors(t *testing.T) {
	m := fakeMachine(map[string]string{"/etc/locked.conf": "!", "/etc/s.conf": ""})
	for path, want := range map[string]string{
		"/etc/none.conf": "could not find config file /etc/none.conf", "/etc/locked.conf": "could not read config file /etc/locked.conf",
		"/etc": "could not read config file /etc", "etc/none": "could not find config file etc/none",
	} {
		if _, err := Load(m, path, nil); err == nil || err.Error() != want {
			t.Errorf("Load(%s): %v, want %s", path, err, want)
		}
		if _, err := LoadCtl(m, path); err == nil || err.Error() != want {
			t.Errorf("LoadCtl(%s): %v, want %s", path, err, want)
		}
	}
}

func TestOverridesBeatTheFile(t *testing.T) {
	files := map[string]string{"/etc/s.conf": head + "loglevel=debug\nlogfile=/tmp/file.log\nuser=nosuch\nminfds=7\n", "/home/alice/": ""}
	c := load(t, files, Overrides{"loglevel": "trace", "logfile": "~alice/x", "user": "alice", "nodaemon": "true", "logfile_maxbytes": "1KB"})
	s := c.Supervisord
	if s.LogLevel != LogTrace || s.User != "alice" || s.UID != 1001 || s.GID != 1002 || !s.Nodaemon || s.LogfileMaxBytes != 1024 || s.MinFDs != 7 {
		t.Errorf("%+v", s)
	}
	if want := []string{"logfile", "logfile_maxbytes", "loglevel", "minfds", "nodaemon", "user"}; !slices.Equal(slices.Sorted(maps.Keys(s.Set)), want) {
		t.Errorf("set keys %v, want %v", s.Set, want)
	}
	// The file is checked even where the command line beats it.
	files["/etc/s.conf"] = head + "loglevel=loud"
	if _, err := Load(fakeMachine(files), "/etc/s.conf", Overrides{"loglevel": "info"}); err == nil || err.Error() != "bad logging level name 'loud'" {
		t.Errorf("error %v", err)
	}
	_, err := Load(fakeMachine(map[string]string{"/etc/s.conf": head}), "/etc/s.conf", Overrides{"umask": "9"})
	if err == nil || err.Error() != "9 can not be converted to an octal type" {
		t.Errorf("error %v", err)
	}
	// An empty name on the command line is none.
	c = load(t, map[string]string{"/etc/s.conf": head + "logfile=/tmp/l\npidfile=/tmp/p"}, Overrides{"logfile": "", "pidfile": ""})
	if c.Supervisord.Logfile != "/tmp/l" || c.Supervisord.Pidfile != "/tmp/p" {
		t.Errorf("%+v", c.Supervisord)
	}
	if c := load(t, map[string]string{"/etc/s.conf": head}, nil); c.Supervisord.UID != process.UnsetID || len(c.Supervisord.Set) > 0 {
		t.Errorf("%+v", c.Supervisord)
	}
}

func TestSyslogLogfileStays(t *testing.T) {
	if c := load(t, map[string]string{"/etc/s.conf": head + "logfile=syslog"}, nil); c.Supervisord.Logfile != "syslog" {
		t.Errorf("logfile %s", c.Supervisord.Logfile)
	}
}

// TestHereIsNotEverywhere: without [include], http servers and plugins do not know the name.
func TestHereIsNotEverywhere(t *testing.T) {
	text := head + "[inet_http_server]\nport=9001\nusername=%(here)s\npassword=x\n"
	e := loadError(t, map[string]string{"/etc/s.conf": text})
	if want := "Format string '%(here)s' for 'inet_http_server.username' contains names ('here') which cannot be expanded. " +
		"Available names: ENV_GREETING, ENV_HOME"; e.Text != want {
		t.Errorf("error %s, want %s", e.Text, want)
	}
	e = loadError(t, map[string]string{"/etc/s.conf": head + "[unix_http_server]\nfile=%(here)s/s\nusername=%(here)s\npassword=x\n"})
	if e.Key != "username" {
		t.Errorf("%+v", e)
	}
	c := load(t, map[string]string{"/etc/s.conf": text + "[include]\nfiles=none\n"}, nil)
	if c.Servers[0].Username != "/etc" {
		t.Errorf("user name %s", c.Servers[0].Username)
	}
	// The text of an error shows what was replaced, as the reference's.
	e = loadError(t, map[string]string{"/etc/s.conf": head + "[include]\nfiles=none\n[program:a]\ncommand=%(here)s %%(here)s %(nope)s\n"})
	if !strings.HasPrefix(e.Text, "Format string '/etc %%(here)s %(nope)s' for") {
		t.Errorf("error %s", e.Text)
	}
}

func TestIncludeNames(t *testing.T) {
	c := load(t, map[string]string{
		"/etc/s.conf": "[include]\nfiles=%(host_node_name)s.ini %(ENV_GREETING)s.ini %(here)s/h.ini", "/etc/node.ini": head + "identifier=n",
		"/etc/hello.ini": "[supervisord]\nidentifier=h\n", "/etc/h.ini": "[program:a]\ncommand=x",
	}, nil)
	if len(c.IncludedFiles) != 3 || c.Supervisord.Identifier != "h" || len(c.Groups) != 1 {
		t.Errorf("%q, identifier %s", c.IncludedFiles, c.Supervisord.Identifier)
	}
	if g := c.Groups[0]; g.Origin != (process.Origin{File: "/etc/h.ini", Line: 1}) || g.Processes[0].Origin != g.Origin {
		t.Errorf("origin %+v", g.Origin)
	}
}

// TestErrorOfIncludedKey: the file in the text is that of the section, the place is that of the key.
func TestErrorOfIncludedKey(t *testing.T) {
	e := loadError(t, map[string]string{
		"/etc/s.conf": head + "[include]\nfiles=x.ini\n[program:a]\ncommand=x\n", "/etc/x.ini": "; c\n[program:a]\n  startsecs : ten\n",
	})
	if e.File != "/etc/x.ini" || e.Line != 3 || e.Col != 15 || e.Section != "program:a" || e.Key != "startsecs" || e.Value != "ten" ||
		e.Text != "invalid literal for int() with base 10: 'ten' in section 'program:a' (file: '/etc/s.conf')" {
		t.Errorf("%+v", e)
	}
}

func TestGraced(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": head + "[graced]\nstop_order=Ascending\nsigpipe=default\nquirks=keep_backoff, SILENT_START,no_restart_floor," +
		"unknown_on_signal_error\nhalf=1"}, nil)
	want := Graced{StopAscending: true, DefaultSIGPIPE: true, Quirks: Quirks{KeepBackoff: true, SilentStart: true, NoRestartFloor: true, UnknownOnSignalError: true}}
	if c.Graced != want {
		t.Errorf("%+v, want %+v", c.Graced, want)
	}
	if got := warned(c, UnknownKey); len(got) != 1 {
		t.Errorf("warnings %q", got)
	}
	if c := load(t, map[string]string{"/etc/s.conf": head + "[graced]\nquirks=\n"}, nil); c.Graced != (Graced{}) {
		t.Errorf("%+v", c.Graced)
	}
}

// TestTree reads the options about all that a process starts.
func TestTree(t *testing.T) {
	type spec = process.TreeSpec
	for text, want := range map[string]spec{
		"":                                {},
		"stop_tree=true":                  {Stop: true, Kill: true},
		"stop_tree=true\nkill_tree=false": {Stop: true},
		"kill_tree=on\ncgroup=Off":        {Kill: true, Cgroup: process.CgroupOff},
		"cgroup=on":                       {Cgroup: process.CgroupOn},
		"memory_max=64MB\ncpu_max=1.5\npids_max=7": {MemoryMax: 64 << 20, CPUMax: 1500, PidsMax: 7},
		"cpu_max=0.01":                        {CPUMax: 10},
		"memory_max=0\ncpu_max=0\npids_max=0": {},
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\n" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].Tree; got != want || len(warned(c, UnknownKey)) > 0 {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{
		"stop_tree=maybe", "cgroup=yes", "memory_max=-1", "memory_max=much", "cpu_max=-1", "cpu_max=0.001", "cpu_max=0.0105", "cpu_max=1e9", "cpu_max=NaN", "cpu_max=Inf",
		"cpu_max=50%%", "pids_max=-1", "pids_max=1.5",
	} {
		key, value, _ := strings.Cut(text, "=")
		e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\n" + text + "\n"})
		if e.Key != key || e.Value != strings.ReplaceAll(value, "%%", "%") && e.Value != value || e.Line != 4 {
			t.Errorf("%s: %+v", text, e)
		}
	}
	for text, want := range map[string]string{"auto": "", "OFF": CgroupsOff, "/sys/fs/cgroup/x/": "/sys/fs/cgroup/x"} {
		if c := load(t, map[string]string{"/etc/s.conf": head + "[graced]\ncgroup=" + text + "\n"}, nil); c.Graced.Cgroup != want {
			t.Errorf("%s: %q", text, c.Graced.Cgroup)
		}
	}
	if e := loadError(t, map[string]string{"/etc/s.conf": head + "[graced]\ncgroup=x\n"}); e.Key != "cgroup" {
		t.Errorf("%+v", e)
	}
}

// TestStopSteps reads the steps of a stop.
func TestStopSteps(t *testing.T) {
	type steps = []process.StopStep
	step := func(sig process.Signal, wait time.Duration) process.StopStep {
		return process.StopStep{Signal: sig, Wait: wait}
	}
	const forever = process.Forever
	kill := step(process.SIGKILL, forever)
	for text, want := range map[string]steps{
		"":                         nil,
		"KILL":                     {kill},
		"TERM 60s, INT 1m30s,KILL": {step(process.SIGTERM, time.Minute), step(2, 90*time.Second), kill},
		"sigusr1 5, 15 0":          {step(10, 5*time.Second), step(process.SIGTERM, forever)},
		"TERM":                     {step(process.SIGTERM, forever)},
		"TERM 0s, INT  Forever":    {step(process.SIGTERM, 0), step(2, forever)},
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nstop_steps=" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].StopSteps; !slices.Equal(got, want) || len(warned(c, UnknownKey)) > 0 {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{
		"NOPE", "0 5s", "TERM 5s,", "TERM, KILL", "TERM forever, KILL", "KILL 5s", "KILL, TERM", "TERM -5s, KILL", "TERM 5, INT 5x", "TERM 9999999h, KILL", "TERM 5 s, KILL",
	} {
		e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nstop_steps=" + text + "\n"})
		if e.Key != "stop_steps" || e.Line != 4 || e.Hint == "" {
			t.Errorf("%s: %+v", text, e)
		}
	}
}

// TestDrain reads how a process is told to finish what it does.
func TestDrain(t *testing.T) {
	type spec = process.TellSpec
	for text, want := range map[string]spec{
		"":                                   {Timeout: 30 * time.Second},
		"drain_signal=usr1\ndrain_timeout=5": {Signal: 10, Timeout: 5 * time.Second},
		"drain_command=/bin/drain %(process_num)d 'a b'\ndrain_timeout=1m": {Command: "/bin/drain 0 'a b'", Timeout: time.Minute},
		"drain_signal=USR1\ndrain_timeout=Forever":                         {Signal: 10, Timeout: process.Forever},
		"drain_command=/bin/x\ndrain_timeout= forever":                     {Command: "/bin/x", Timeout: process.Forever},
		"drain_signal=TERM\ndrain_command=":                                {Signal: process.SIGTERM, Timeout: 30 * time.Second},
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\n" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].Drain; got != want || len(warned(c, UnknownKey)) > 0 {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for text, code := range map[string]Code{
		"drain_signal=NOPE": BadValue, "drain_signal=KILL": BadValue, "drain_signal=sigstop": BadValue, "reload_signal=9": BadValue, "drain_timeout=-1s": BadValue, "drain_timeout=soon": BadValue, "drain_command=a 'b": BadQuoting, "drain_command=x\ndrain_signal=USR1": ToldTwice,
		"reload_signal=HUP\nreload_command=x": ToldTwice, "reload_timeout=x": BadValue, "reload_timeout=forever": BadValue, "drain_timeout=ever": BadValue, "pre_stop_timeout=forever": BadValue,
	} {
		key, _, _ := strings.Cut(text, "=")
		if code == ToldTwice {
			key = key[:strings.Index(key, "_")] + "_command"
		}
		if e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\n" + text + "\n"}); e.Key != key || e.Code != code || e.Line < 4 {
			t.Errorf("%s: %+v", text, e)
		}
	}
	c := load(t, map[string]string{"/etc/s.conf": head + "[eventlistener:a]\ncommand=x\nevents=EVENT\ndrain_signal=USR1\n"}, nil)
	if got := c.Groups[0].Processes[0].Drain; got.Wanted() || len(warned(c, UnknownKey)) != 1 {
		t.Errorf("a listener has %+v", got)
	}
}

// TestEnvironmentFile reads the names of files; what is in them is nothing to the configuration. Check looks whether they are there.
func TestEnvironmentFile(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "/a.env": {"/a.env"}, "/b/../a.env, -/x/%(process_num)d.env": {"/a.env", "-/x/0.env"}, "%(here)s/c.env": {"/etc/c.env"},
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nenvironment_file=" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].EnvironmentFiles; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{",", "/a,", "-"} {
		if e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nenvironment_file=" + text + "\n"}); e.Key != "environment_file" || e.Line != 4 {
			t.Errorf("%s: %+v", text, e)
		}
	}
	var found []string
	files := map[string]string{"/etc/there.env": "", "/etc/s.conf": head + "[program:a]\ncommand=/bin/cat\nenvironment_file=/etc/there.env,/etc/gone.env,-/etc/maybe.env\n"}
	for _, f := range Check(fakeMachine(files), "/etc/s.conf").Findings {
		if f.Code == WarnEnvironFile {
			found = append(found, f.Title)
		}
	}
	if want := []string{"there is no file /etc/gone.env: a start fails"}; !slices.Equal(found, want) {
		t.Errorf("found %q", found)
	}
}

func TestUnknownSectionsAndKeys(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": "[DEFAULT]\nanything=1\n" + head + "nodeamon=true\n[progam:x]\ncommand=x\n[program:a]\ncommand=x\nstart_secs=1\n" +
		"[inet_http_server]\nport=1\nfile=x\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=" + FactoryMain + "\nx=1\n[supervisorctl]\nserverurl=x\n[zzz]\n"}, nil)
	var got []string
	for _, w := range c.Warnings {
		if w.Level != LevelNote {
			t.Errorf("level of %v is %v", w, w.Level)
		}
		got = append(got, string(w.Code)+" "+w.String())
	}
	want := []string{
		"W101 /etc/s.conf:4: unknown option nodeamon in [supervisord] is ignored; did you mean nodaemon?",
		"W102 /etc/s.conf:5: unknown section [progam:x] is ignored; did you mean program?",
		"W101 /etc/s.conf:9: unknown option start_secs in [program:a] is ignored; did you mean startsecs?",
		"W101 /etc/s.conf:12: unknown option file in [inet_http_server] is ignored",
		"W102 /etc/s.conf:18: unknown section [zzz] is ignored",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestListenerGroup(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": head + "[eventlistener:e]\ncommand=x\nevents=tick_60, EVENT ,TICK_60\nbuffer_size=3\nnumprocs=2\nprocess_name=%(process_num)d\n" +
		"result_handler = supervisor_grace.resulthandler:stdin_write_handler\npayload_length=bytes\n[program:a]\ncommand=x\npriority=-2"}, nil)
	if len(c.Groups) != 2 || c.Groups[0].Name != "a" {
		t.Fatalf("groups %+v", c.Groups)
	}
	g := c.Groups[1]
	want := process.ListenerSpec{Events: []string{"EVENT", "TICK_60"}, BufferSize: 3, ResultHandler: process.ResultHandlerGraceStdin, CountBytes: true}
	if g.Kind != process.KindEventListener || g.Priority != -1 || len(g.Processes) != 2 || g.Processes[0].Priority != 999 || !reflect.DeepEqual(*g.Listener, want) {
		t.Errorf("group %+v, listener %+v", g, g.Listener)
	}
}

// TestWarningsAreNotRepeated: one place, one warning, however many processes it is read for.
func TestWarningsAreNotRepeated(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nnumprocs=3\nprocess_name=%(process_num)s\nstdout_logfile_maxbytes=0\nenvironment=A=b c\n" +
		"[group:g]\nprograms=a\n[group:h]\nprograms=a"}, nil)
	if len(warned(c, AutoNoRollover)) != 1 || len(warned(c, SkippedToken)) != 1 {
		t.Errorf("warnings %v", c.Warnings)
	}
}

func TestServerURL(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "[inet_http_server]\nport=9001": "http://localhost:9001", "[inet_http_server]\nport=Host:1\n[inet_http_server:2]\nport=2": "http://localhost:2",
		"[inet_http_server]\nport=1\n[unix_http_server:b]\nfile=b\n[unix_http_server:a]\nfile=/a": "unix:///b",
	} {
		if got := load(t, map[string]string{"/etc/s.conf": head + text}, nil).ServerURL(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestHalfAuthentication(t *testing.T) {
	for _, key := range []string{"username", "password"} {
		e := loadError(t, map[string]string{"/etc/s.conf": head + "[inet_http_server]\n" + key + "=x\n"})
		if !strings.HasPrefix(e.Text, "Section [inet_http_server] contains incomplete authentication: ") || e.Line != 2 {
			t.Errorf("%+v", e)
		}
	}
}

func TestAddProgram(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": "[DEFAULT]\nstartsecs=9\n" + head + "environment=G=1,S=global\n"}, nil)
	specs, err := c.AddProgram("g", "x", map[string]string{
		"Command": "/bin/%(program_name)s %(group_name)s %(ENV_G)s ; no comment", "numprocs": "2", "process_name": "%(program_name)s_%(process_num)02d", "environment": "S=own",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []process.Env{{Key: "G", Value: "1"}, {Key: "S", Value: "own"}}
	if len(specs) != 2 || specs[1].Name != "x_01" || specs[1].Program != "x" || specs[1].Command != "/bin/x g 1 ; no comment" || specs[1].StartSecs != 1 ||
		!reflect.DeepEqual(specs[0].Environment, want) {
		t.Errorf("%+v", specs)
	}
	for program, test := range map[string]struct {
		options map[string]string
		want    string
	}{
		"x":   {nil, "program section program:x does not specify a command in section 'program:x' (file: '/etc/s.conf')"},
		"y":   {map[string]string{"command": "a", "autostart": "maybe"}, "not a valid boolean value: 'maybe' in section 'program:y' (file: '/etc/s.conf')"},
		"a b": {map[string]string{"command": "a"}, "Invalid name: 'a b' because of character: ' ' in section 'program:a b' (file: '/etc/s.conf')"},
	} {
		if _, err := c.AddProgram("g", program, test.options, nil); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", program, err, test.want)
		}
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings %v", c.Warnings)
	}
}

func TestLoadCtl(t *testing.T) {
	m := fakeMachine(map[string]string{
		"/etc/s.conf": "[supervisorctl]\nserverurl=unix://run/../s.sock\nusername=%(ENV_GREETING)s\npassword=p%%\nprompt=mine\nhistory_file=~/.h\n" +
			"[include]\nfiles=x.ini\n[ctlplugin:grace]\nsupervisor.ctl_factory = " + FactoryCtlGrace + "\nopt=1\n",
		"/etc/x.ini": "[supervisorctl]\nprompt=other\n", "/etc/none.conf": head, "/etc/bare.conf": "[supervisorctl]\n",
		"/etc/here.conf":   "[supervisorctl]\nserverurl=unix://%(here)s/s.sock\nhistory_file=%(here)s/h\n",
		"/etc/prompt.conf": "[supervisorctl]\nprompt=%(here)s\n", "/etc/plugin.conf": "[supervisorctl]\n[ctlplugin:x]\nsupervisor.ctl_factory=a:b\n",
	})
	c, err := LoadCtl(m, "/etc/s.conf")
	if err != nil {
		t.Fatal(err)
	}
	if c.ServerURL != "unix:///s.sock" || c.Username != "hello" || c.Password != "p%" || c.Prompt != "mine" || c.HistoryFile != "/root/.h" || len(c.Plugins) != 1 ||
		c.Plugins[0].Name != "grace" || c.Plugins[0].Options["opt"] != "1" || !c.Set["prompt"] {
		t.Errorf("%+v", c)
	}
	if c, err := LoadCtl(m, "/etc/bare.conf"); err != nil || c.ServerURL != "http://localhost:9001" || c.Prompt != "supervisor" || c.HistoryFile != "" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := LoadCtl(m, "/etc/here.conf"); err != nil || c.ServerURL != "unix:///etc/s.sock" || c.HistoryFile != "/etc/h" {
		t.Errorf("%+v, %v", c, err)
	}
	for path, want := range map[string]string{
		"/etc/none.conf":   ".ini file does not include supervisorctl section",
		"/etc/prompt.conf": "Format string '%(here)s' for 'supervisorctl.prompt' contains names ('here') which cannot be expanded. Available names: ENV_GREETING, ENV_HOME",
		"/etc/plugin.conf": "a:b cannot be resolved within [ctlplugin:x]: the built-in factories are " + FactoryCtlGrace,
	} {
		if _, err := LoadCtl(m, path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// TestFirstErrorWins: contract: config, "Validation order".
func TestFirstErrorWins(t *testing.T) {
	parts := []string{
		"[supervisord]\nminfds=x\n", "umask=9\n", "environment=A\n", "[rpcinterface:p]\n", "[group:g]\nprograms=none\n", "[program:a]\nstartsecs=x\n",
		"[inet_http_server]\n", "[unix_http_server]\n",
	}
	want := []string{
		"invalid literal", "9 can not", "Unexpected end", "section [rpcinterface:p] does not", "[group:g] names", "invalid literal for int() with base 10: 'x' in",
		"section [inet_http_server]", "section [unix_http_server]",
	}
	for i := range parts {
		text := ""
		if i > 0 {
			text = head
		}
		// Later parts first, as far as sections allow: order in the file does not matter.
		switch {
		case i < 3:
			text += strings.Join(parts[i:], "")
		default:
			rest := slices.Clone(parts[i:])
			slices.Reverse(rest)
			text += strings.Join(rest, "")
		}
		if e := loadError(t, map[string]string{"/etc/s.conf": text}); !strings.HasPrefix(e.Text, want[i]) {
			t.Errorf("%q: %s, want %s", text, e.Text, want[i])
		}
	}
	// The account to run as comes last of all.
	if e := loadError(t, map[string]string{"/etc/s.conf": head + "user=nosuch\n[inet_http_server]\n"}); e.Key != "port" {
		t.Errorf("%+v", e)
	}
}

// FuzzLoad checks that no file panics, and that an error has a text and a place in a file that was read.
func FuzzLoad(f *testing.F) {
	f.Add("[program:a]\ncommand=x %(process_num)03d\nnumprocs=2\nprocess_name=%(process_num)s")
	f.Add("[group:g]\nprograms=a,a\n[program:a]\ncommand=x\nenvironment=A=\"b\"\nstdout_logfile=~/x")
	f.Add("[include]\nfiles=*.conf\n[unix_http_server]\nfile=%(here)s\nchown=0:0\n[graced]\nquirks=,")
	f.Add("[group:g]\nprograms=f\n[fcgi-program:f]\ncommand=x\nsocket=foo\n[fcgi-program:h]\ncommand=x\nsocket=unix:///%(program_name)s\nsocket_owner=root:10")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "numprocs") && len(text) > 1 {
			for _, digits := range strings.FieldsFunc(text, func(r rune) bool { return digit(r) < 0 && r != '_' }) {
				if len(digits) > 4 {
					return // a million processes take their time
				}
			}
		}
		c, err := Load(fakeMachine(map[string]string{"/etc/s.conf": head + text}), "/etc/s.conf", nil)
		var e *Error
		switch {
		case errors.As(err, &e) && (e.Text == "" || e.File == "" || e.Detail() == ""):
			t.Errorf("%q: %+v", text, e)
		case err != nil && e == nil:
			t.Errorf("%q: %T", text, err)
		case err == nil:
			seen := map[string]bool{}
			for _, g := range c.Groups {
				if seen[g.Name] {
					t.Errorf("%q: two groups %s", text, g.Name)
				}
				seen[g.Name] = true
			}
		}
	})
}

// TestStrictConfig refuses what nothing reads where that is wished, in the files as they are now.
func TestStrictConfig(t *testing.T) {
	strict := head + "[graced]\nstrict_config=true\n"
	for _, c := range []struct{ text, want string }{
		{strict + "[program:a]\ncommand=/bin/a\n", ""},
		{head + "[progam:a]\nnumproc=2\n", ""},
		{strict + "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\nanything=1\n", ""},
		{strict + "[program:a]\ncommand=/bin/a\nnumproc=2\n",
			"E101 /etc/s.conf:6: unknown option numproc in [program:a] (numproc=2; did you mean numprocs? strict_config=true of [graced] refuses what nothing reads)"},
		{strict + "[progam:a]\n", "E102 /etc/s.conf:4: unknown section [progam:a] (did you mean program? strict_config=true of [graced] refuses what nothing reads)"},
		{strict + "[zzzzzzzzzz]\n", "E102 /etc/s.conf:4: unknown section [zzzzzzzzzz] (strict_config=true of [graced] refuses what nothing reads)"},
		{head + "[graced]\nstrict_config=true\nstop_ordr=ascending\n",
			"E101 /etc/s.conf:4: unknown option stop_ordr in [graced] (stop_ordr=ascending; did you mean stop_order? strict_config=true of [graced] refuses what nothing reads)"},
	} {
		m := fakeMachine(map[string]string{"/etc/s.conf": c.text})
		_, err := Load(m, "/etc/s.conf", nil)
		got := ""
		var bad *Error
		if errors.As(err, &bad) {
			got = string(bad.Code) + " " + bad.Detail()
		}
		if got != c.want {
			t.Errorf("%q: %s\nwant %s", c.text, got, c.want)
		}
		r := Check(m, "/etc/s.conf")
		if errs, _ := r.Count(); errs > 0 != (c.want != "") {
			t.Errorf("%q: a check finds %+v", c.text, r.Findings)
		}
	}
}
