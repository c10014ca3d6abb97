package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestOptionsAgreeWithFields compares the classes of the option table with those of the options that are compared.
func TestOptionsAgreeWithFields(t *testing.T) {
	for _, f := range process.Fields {
		found := 0
		for _, o := range OptionsNamed(f.Name) {
			if !o.In("program") && !o.In("fcgi-program") && !o.In("eventlistener") {
				continue
			}
			found++
			if o.Class != f.Class {
				t.Errorf("%s of %v has the class %v, the field %s has %v", o.Name, o.Sections, o.Class, f.Member, f.Class)
			}
		}
		if found == 0 {
			t.Errorf("no row for %s", f.Name)
		}
	}
}

// TestOptionsAreComplete looks through the source: every option that is read by name has a row.
func TestOptionsAreComplete(t *testing.T) {
	var names []string
	for _, o := range Options {
		names = append(names, o.Name)
	}
	pkgs, err := parser.ParseDir(token.NewFileSet(), ".", func(i fs.FileInfo) bool { return !strings.HasSuffix(i.Name(), "_test.go") }, 0) //nolint:staticcheck // one directory, no build tags
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(pkgs["config"], func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		key := 0
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); !ok || !slices.Contains([]string{"r", "p", "wide"}, x.Name) ||
				!slices.Contains([]string{"raw", "text", "string", "int", "bool", "bytes"}, f.Sel.Name) {
				return true
			}
		case *ast.Ident:
			if f.Name != "read" {
				return true
			}
			key = 1
		default:
			return true
		}
		if lit, ok := call.Args[key].(*ast.BasicLit); ok {
			seen++
			if name, _ := strconv.Unquote(lit.Value); !slices.Contains(names, name) {
				t.Errorf("%s is read and has no row", name)
			}
		}
		return true
	})
	if seen < 60 {
		t.Errorf("only %d reads found", seen)
	}
}

// TestOptionsAreRead gives every option of the table a value that cannot be expanded: whoever reads it complains and names it.
func TestOptionsAreRead(t *testing.T) {
	// What a section needs besides the option that is looked at.
	needs := map[string]string{
		"program": "command=x", "eventlistener": "command=x\nevents=EVENT", "fcgi-program": "command=x\nsocket=tcp://h:1", "unix_http_server": "file=/s",
		"inet_http_server": "port=1", "rpcinterface": rpcFactoryKey + "=" + FactoryMain, "ctlplugin": ctlFactoryKey + "=" + FactoryCtlGrace, "include": "files=x",
	}
	rows := 0
	for _, o := range Options {
		for _, kind := range o.Sections {
			rows++
			name := kind
			if k := knownSections[slices.Index(SectionKinds, kind)]; strings.HasSuffix(k.name, ":") {
				name += ":x"
			}
			text := "[supervisord]\n"
			if kind == "ctlplugin" {
				text += "[supervisorctl]\n"
			}
			text += "[" + name + "]\n" + needs[kind] + "\n" + o.Name + "=%(nope)s\n"
			m := fakeMachine(map[string]string{"/etc/s.conf": text})
			_, err := Load(m, "/etc/s.conf", nil)
			if kind == "supervisorctl" || kind == "ctlplugin" {
				_, err = LoadCtl(m, "/etc/s.conf")
			}
			bad, ok := err.(*Error) //nolint:errorlint // both return one
			if !ok || bad.Key != o.Name || bad.Section != name && kind != "supervisord" {
				t.Errorf("%s of [%s] is not read: %v", o.Name, name, err)
			}
			if o.Summary == "" || !strings.HasSuffix(o.Summary, ".") || o.Type == "" {
				t.Errorf("the row of %s in [%s] says too little", o.Name, name)
			}
		}
	}
	if rows < 130 {
		t.Errorf("only %d rows", rows)
	}
}

func TestOptionsNamed(t *testing.T) {
	for word, want := range map[string]int{
		"stopwaitsecs": 1, "program.stopwaitsecs": 1, " Program.StopWaitSecs ": 1, "priority": 3, "group.priority": 1, "nope": 0, "group.command": 0,
		"username": 2, "supervisor.rpcinterface_factory": 1, "rpcinterface.supervisor.rpcinterface_factory": 1,
	} {
		if got := OptionsNamed(word); len(got) != want {
			t.Errorf("%s has %d rows, want %d", word, len(got), want)
		}
	}
	for word, want := range map[string]string{"stopwaitsec": "stopwaitsecs", "program.stopwaitsec": "program.stopwaitsecs", "zzzzzz": "", "group.comand": ""} {
		if got := NearestOption(word); got != want {
			t.Errorf("nearest to %s is %q, want %q", word, got, want)
		}
	}
}

// TestOptionsTellWhatTheyTake loads values that an option takes, and looks for them in what its row says that it takes.
func TestOptionsTellWhatTheyTake(t *testing.T) {
	program := "[program:x]\ncommand=/bin/x\nprocess_name=x%(process_num)d\n"
	for _, c := range []struct{ section, option, values string }{
		{program, "numprocs", "auto cores cores-1 cores+2 50%"},
		{program, "autorestart", "true false unexpected yes no on off 1 0"},
		{program, "autostart", "true false yes no on off 1 0"},
		{program, "stdout_logfile", "AUTO NONE off syslog"},
		{program, "stopsignal", "RTMIN+3 RTMAX-3"},
		{program, "stdout_logfile_maxbytes", "3KB 3MB 3GB"},
		{program, "serverurl", "AUTO"},
		{"", "loglevel", "critical error warn info debug trace blather"},
		{"", "logfile", "syslog"},
		{"[graced]\n", "stop_order", "ascending descending"},
		{"[graced]\n", "sigpipe", "ignore default"},
		{"[graced]\n", "update", "supervisor minimal"},
		{"[graced]\n", "statedir", "none"},
		{"[graced]\n", "quirks", "keep_backoff silent_start boot_config_order no_restart_floor boot_overflow unknown_on_signal_error"},
		{"[eventlistener:x]\ncommand=/bin/x\nevents=EVENT\n", "payload_length", "characters bytes"},
		{"[eventlistener:x]\ncommand=/bin/x\n", "events", "EVENT PROCESS_STATE TICK_60"},
		{"[eventlistener:x]\ncommand=/bin/x\nevents=EVENT\n", "result_handler", strings.Join(process.ResultHandlers, " ")},
		{"[rpcinterface:x]\n", rpcFactoryKey, strings.Join(rpcFactories, " ")},
		{"[unix_http_server]\nfile=/tmp/s\nusername=u\n", "password", "{SHA}0123456789012345678901234567890123456789"},
	} {
		section := strings.Trim(strings.SplitN(c.section+"[supervisord]", "]", 2)[0], "[")
		kind, _, _ := strings.Cut(section, ":")
		for _, value := range strings.Fields(c.values) {
			if _, err := Load(fakeMachine(map[string]string{"/etc/s.conf": head + c.section + c.option + "=" + value + "\n"}), "/etc/s.conf", nil); err != nil {
				t.Errorf("%s=%s: %v", c.option, value, err)
			}
			rows := OptionsNamed(kind + "." + c.option)
			word := strings.NewReplacer("+3", "+n", "-3", "-n", "3KB", "KB", "3MB", "MB", "3GB", "GB").Replace(value)
			word, _, _ = strings.Cut(word, "0123")
			if len(rows) != 1 || !strings.Contains(rows[0].Type, word) {
				t.Errorf("%s does not tell that it takes %s: %+v", c.option, value, rows)
			}
		}
	}
}
