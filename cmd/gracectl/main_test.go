package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graced/graced/internal/ctl"
)

// TestLoad checks what the file says, what wins over it, and what is there without one.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "s.conf")
	text := "[supervisorctl]\nserverurl=http://h:1\nusername=u\npassword=p\nprompt=mine\nhistory_file=%(here)s/hist\n" +
		"[ctlplugin:grace]\nsupervisor.ctl_factory=supervisor_grace.controllerplugin:make_grace_controllerplugin\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // no supervisord.conf here
	parse := func(args ...string) ctl.CommandLine {
		cl, exit := ctl.ParseCommandLine(ctl.Supervisorctl, "x", args)
		if exit != nil {
			t.Fatal(exit.Stderr)
		}
		return cl
	}
	s, exit := load("x", parse("-c", conf))
	if exit != nil {
		t.Fatal(exit.Stderr)
	}
	if s.ServerURL != "http://h:1" || s.Username != "u" || s.Password != "p" || s.Prompt != "mine" || s.HistoryFile != filepath.Join(dir, "hist") ||
		strings.Join(s.Plugins, ",") != "grace" || s.Interactive {
		t.Errorf("from the file: %+v", s)
	}
	s, exit = load("x", parse("-c", "s.conf", "-s", "unix:///s", "-u", "", "-p", "pw", "-r", "h", "-i"))
	if exit != nil {
		t.Fatal(exit.Stderr)
	}
	if s.ServerURL != "unix:///s" || s.Username != "" || s.Password != "pw" || s.HistoryFile != "h" || !s.Interactive {
		t.Errorf("options win: %+v", s)
	}
	_, exit = load("x", parse("-c", "gone.conf"))
	if exit == nil || exit.Code != 2 || exit.Stderr != "Error: could not find config file gone.conf\nFor help, use x -h\n" {
		t.Errorf("missing file: %+v", exit)
	}
	// The default places: ./supervisord.conf comes before those of the system.
	if err := os.WriteFile(filepath.Join(dir, "supervisord.conf"), []byte("[supervisorctl]\nserverurl=http://found:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, exit = load("x", parse()); exit != nil || s.ServerURL != "http://found:1" || s.Prompt != "supervisor" {
		t.Errorf("found: %+v, %+v", s, exit)
	}
	// ... and those beside the program come before it.
	if err := os.MkdirAll(filepath.Join(dir, "opt/etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "opt/etc/supervisord.conf"), []byte("[supervisorctl]\nserverurl=http://beside:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, exit = load(filepath.Join(dir, "opt/bin/supervisorctl"), parse()); exit != nil || s.ServerURL != "http://beside:1" {
		t.Errorf("beside: %+v, %+v", s, exit)
	}
}

func TestShowsUnicode(t *testing.T) {
	for environ, want := range map[string]bool{
		"": true, "LANG=C": true, "LANG=C.UTF-8": true, "LANG=de_DE.utf8": true, "LANG=de_DE.ISO-8859-1": false, "LC_ALL=C LANG=de_DE.ISO-8859-1": true,
		"LC_ALL= LC_CTYPE=en_US.US-ASCII LANG=C.UTF-8": false,
	} {
		if got := showsUnicode(strings.Fields(environ)); got != want {
			t.Errorf("%q: %v", environ, got)
		}
	}
}

// TestOtherSystems builds the client for the systems that have no daemon.
func TestOtherSystems(t *testing.T) {
	for _, system := range []string{"darwin", "windows"} {
		cmd := exec.Command("go", "build", "-o", os.DevNull, ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", system, err, out)
		}
	}
}
