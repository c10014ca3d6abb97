package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestRelativePath: quirk A16. What is read is absolute; texts show the name as typed.
func TestRelativePath(t *testing.T) {
	m := fakeMachine(map[string]string{"/w/sub/s.conf": head + "logfile=log\n[program:a]\ncommand=%(here)s/a\nstartsecs=x"})
	m.Dir = "/w"
	_, err := Load(m, "sub/s.conf", nil)
	if err == nil || !strings.HasSuffix(err.Error(), "(file: 'sub/s.conf')") {
		t.Errorf("error %v", err)
	}
	m.ReadFile = func(string) ([]byte, error) {
		return []byte(head + "logfile=log\n[program:a]\ncommand=%(here)s/a"), nil
	}
	c, err := Load(m, "sub/s.conf", nil)
	if err != nil || c.Path != "/w/sub/s.conf" || c.Supervisord.Logfile != "/w/log" || c.Supervisord.Pidfile != "/w/supervisord.pid" ||
		c.Groups[0].Processes[0].Command != "/w/sub/a" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestInlineCommentInQuotes: quirk A1.
func TestInlineCommentInQuotes(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=sh -c 'a ; b'\n[program:b]\ncommand=sh -c 'a;b' ; comment\n[program:c]\n" +
		"command=it's ; so\n[program:d]\ncommand=x\nenvironment=A=\"1#2\" ; \"\n  # \"\nautostart=true ; don't"}, nil)
	if got := c.Groups[0].Processes[0].Command; got != "sh -c 'a" {
		t.Errorf("command %q", got)
	}
	want := []string{"3: [program:a] command is cut at a comment inside quotes: \"sh -c 'a\"; remove the blank before ; or #, or put the command into a script"}
	if got := warned(c, CutQuote); !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

// TestConversionWithoutName: quirk A2. The environment must not leak into a command.
func TestConversionWithoutName(t *testing.T) {
	for _, command := range []string{"date +%s", "x %r", "x %a %(here)s"} {
		e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=" + command})
		if !strings.Contains(e.Text, "%%") || strings.Contains(e.Text, "hello") {
			t.Errorf("%s: %s", command, e.Text)
		}
	}
}

// TestLogfileExpandedTwice: quirk A3.
func TestLogfileExpandedTwice(t *testing.T) {
	s := one(t, "[program:a]\ncommand=x\nstdout_logfile=/tmp/100%%%%.log\nstderr_logfile=/tmp/%%(program_name)s.log")
	if s.Stdout.File.Path != "/tmp/100%.log" || s.Stderr.File.Path != "/tmp/a.log" {
		t.Errorf("%+v %+v", s.Stdout, s.Stderr)
	}
}

// TestHereInInclude: quirk A7 and what %(here)s means in included files.
func TestHereInInclude(t *testing.T) {
	c := load(t, map[string]string{
		"/etc/s.conf":     "[include]\nfiles=d/*.ini\n[DEFAULT]\nstderr_logfile=%(here)s/w\n" + head + "[program:main]\ncommand=%(here)s/m %%(here)s\n",
		"/etc/d/1.ini":    "[program:one]\ncommand=%(here)s/1\n[rpcinterface:grace]\nsupervisor.rpcinterface_factory=" + FactoryGrace + "\npath=%(here)s/x\n",
		"/etc/d/2.ini":    "[program:main]\nstdout_logfile=%(here)s/2.log\n[include]\nfiles=/etc/more/*.ini\n[DEFAULT]\nstartsecs=9\n",
		"/etc/more/x.ini": "[program:more]\ncommand=x\n",
	}, nil)
	got := map[string]string{}
	for _, g := range c.Groups {
		p := g.Processes[0]
		got[g.Name] = fmt.Sprintf("%s, err %s, out %s after %d", p.Command, p.Stderr.File, p.Stdout.File, p.StartSecs)
	}
	want := map[string]string{"main": "/etc/m %(here)s, err /etc/w, out /etc/d/2.log after 9", "one": "/etc/d/1, err /etc/d/w, out AUTO after 9"}
	if !maps.Equal(got, want) {
		t.Errorf("processes %q, want %q", got, want)
	}
	// A10: the inherited stderr_logfile is no option of the plugin.
	if want := map[string]string{"path": "/etc/d/x"}; !maps.Equal(c.RPCInterfaces[0].Options, want) {
		t.Errorf("plugin options %q, want %q", c.RPCInterfaces[0].Options, want)
	}
	if got := warned(c, UnknownKey); len(got) > 0 { // [supervisord] has inherited it too
		t.Errorf("warnings %q", got)
	}
	if want := []string{"/etc/d/1.ini", "/etc/d/2.ini"}; !slices.Equal(c.IncludedFiles, want) {
		t.Errorf("included %q, want %q", c.IncludedFiles, want)
	}
	if got := warned(c, Included); len(got) != 2 || got[0] != `2: Included extra file "/etc/d/1.ini" during parsing` {
		t.Errorf("infos %q", got)
	}
}

// TestUnreadableInclude: quirk A8.
func TestUnreadableInclude(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": head + "[include]\nfiles = /etc/d/*\n  none/*.x", "/etc/d/a": "!", "/etc/d/sub/": ""}, nil)
	if got := warned(c, UnreadInclude); len(got) != 2 || got[0] != `3: cannot read the included file "/etc/d/a": permission denied` {
		t.Errorf("warnings %q", got)
	}
	if got := warned(c, NoIncludeMatch); len(got) != 1 || got[0] != `3: No file matches via include "/etc/none/*.x"` {
		t.Errorf("warnings %q", got)
	}
	if len(c.IncludedFiles) > 0 {
		t.Errorf("included %q", c.IncludedFiles)
	}
}

// TestDuplicateNames: quirks A11 and A12.
func TestDuplicateNames(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": head + "[group:g]\nprograms=a,b,c\n[program:a]\ncommand=1\nprocess_name=x\n[program:b]\ncommand=2\n" +
		"[program:c]\ncommand=3\nprocess_name=x\n[program:g]\ncommand=4\npriority=1\n"}, nil)
	var got []string
	for _, g := range c.Groups {
		for _, p := range g.Processes {
			got = append(got, g.Name+":"+p.Name+"="+p.Command)
		}
	}
	if want := []string{"g:g=4"}; !slices.Equal(got, want) {
		t.Errorf("processes %q, want %q", got, want)
	}
	if got, want := warned(c, DuplicateGroup), "2: a second group is called g, besides that at /etc/s.conf:12, and is ignored"; len(got) != 1 || got[0] != want {
		t.Errorf("warnings %q, want %q", got, want)
	}
	want := "4: two processes of the group g are called x: only the last one, of the program c, is kept"
	if got := warned(c, DuplicateProcess); len(got) != 1 || got[0] != want {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

// TestExpandedName: quirk A14.
func TestExpandedName(t *testing.T) {
	for name, want := range map[string]string{
		"%(program_name)-4s": "", "a%(process_num) 2d": "'a 0' because of character: ' '", "%(here)s": "'/etc' because of character: '/'",
	} {
		_, err := Load(fakeMachine(map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nprocess_name=" + name}), "/etc/s.conf", nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "Invalid name: ") || !strings.Contains(err.Error(), want[strings.Index(want, "because"):])):
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestEnvironmentNamesAreForgotten: quirk A20. Nothing of an earlier load is left in a later one.
func TestEnvironmentNamesAreForgotten(t *testing.T) {
	m := fakeMachine(map[string]string{"/etc/s.conf": head + "environment=OLD=1\n[program:a]\ncommand=%(ENV_OLD)s", "/etc/t.conf": head + "[program:a]\ncommand=%(ENV_OLD)s"})
	if _, err := Load(m, "/etc/s.conf", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(m, "/etc/t.conf", nil); err == nil {
		t.Error("ENV_OLD is still known")
	}
}

// TestOddStopSignal: quirk A21.
func TestOddStopSignal(t *testing.T) {
	for word, warns := range map[string]bool{"0": true, "SIG_DFL": true, "_ign": true, "TERM": false, "15": false, "RTMIN+1": false} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nstopsignal=" + word}, nil)
		if got := len(warned(c, OddSignal)) > 0; got != warns {
			t.Errorf("stopsignal=%s: warned %v, want %v", word, got, warns)
		}
	}
}

// TestMemberOrder: quirk C7.
func TestMemberOrder(t *testing.T) {
	text := head + "[group:g]\nprograms=a,b,c\n[program:a]\ncommand=1\npriority=5\n[program:b]\ncommand=2\npriority=1\n[program:c]\ncommand=3\npriority=5\n"
	order := func(c *Config) (names string) {
		for _, p := range c.Groups[0].Processes {
			names += p.Name
		}
		return names
	}
	c := load(t, map[string]string{"/etc/s.conf": text}, nil)
	if got := order(c); got != "bac" || len(warned(c, MemberOrder)) != 1 {
		t.Errorf("order %s, warnings %v", got, c.Warnings)
	}
	c = load(t, map[string]string{"/etc/s.conf": text + "[graced]\nquirks=boot_config_order"}, nil)
	if got := order(c); got != "abc" || len(warned(c, MemberOrder)) != 0 {
		t.Errorf("with the quirk kept: order %s, warnings %v", got, c.Warnings)
	}
}

// TestOpenServer: quirk A18.
func TestOpenServer(t *testing.T) {
	for text, open := range map[string]bool{"": true, "username=\npassword=": true, "username=\npassword=x": true, "username=u\npassword=": false} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[inet_http_server]\nport=1\n" + text}, nil)
		if c.Servers[0].Open() != open {
			t.Errorf("%q: open %v, want %v", text, !open, open)
		}
	}
	c := load(t, map[string]string{"/etc/s.conf": head + "[unix_http_server:x:y]\nfile=~/s\nchown= 1001:wheel\nchmod=0660"}, nil)
	want := Server{
		Section: "unix_http_server:x:y", Name: "x:y", Kind: ServerUnix, Origin: process.Origin{File: "/etc/s.conf", Line: 2}, File: "/root/s", Chmod: 0o660,
		ChownUID: 1001, ChownGID: 10,
	}
	if c.Servers[0] != want {
		t.Errorf("%+v, want %+v", c.Servers[0], want)
	}
}
