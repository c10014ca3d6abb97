package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// files lists what is in the rig's directory and matches a pattern.
func (r *rig) files(pattern string) []string {
	r.t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.dir, pattern))
	if err != nil {
		r.t.Fatal(err)
	}
	return paths
}

// runs waits until a process is in a state.
func (r *rig) runs(name string, state process.State) control.ProcessInfo {
	r.t.Helper()
	var p control.ProcessInfo
	r.until(name+" is "+state.String(), func() bool {
		p = r.infos()[name]
		return p.State == state
	})
	return p
}

// TestAutoLogs follows AUTO logs: those of what was removed stay until the next start, a second daemon that cannot have the socket touches
// none (quirk F2), and a restart clears them away.
func TestAutoLogs(t *testing.T) {
	conf := func(n string) string {
		return "[program:foo]\ncommand=/bin/sh -c 'echo hello; exec sleep 1000'\nprocess_name=foo_%(process_num)s\nstartsecs=0\nnumprocs=" + n +
			"\n[program:gone]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
	}
	r := newRig(t, conf("2"))
	for _, name := range []string{"foo_0", "foo_1", "gone"} {
		r.runs(name, process.Running)
	}
	if n := len(r.files("*---supervisor-????????.log")); n != 6 {
		t.Errorf("%d AUTO logs of three processes", n)
	}
	r.write(conf("1"))
	if out, code := r.ctl("supervisorctl", "grace_update", "foo"); code != 0 || !strings.Contains(out, "foo:foo_1 removed") {
		t.Errorf("grace_update: exit %d, %s", code, out)
	}
	if out, code := r.ctl("supervisorctl", "stop", "gone"); code != 0 {
		t.Errorf("stop: exit %d, %s", code, out)
	}
	if out, code := r.ctl("supervisorctl", "remove", "gone"); code != 0 {
		t.Errorf("remove: exit %d, %s", code, out)
	}
	before := r.files("*---supervisor-????????.log")
	if len(before) != 6 || len(r.files("foo_1-stdout---*")) != 1 || len(r.files("gone-stdout---*")) != 1 {
		t.Errorf("after the removal there are %q", before)
	}

	second := exec.Command(filepath.Join(r.bin, "supervisord"), "-n", "-c", filepath.Join(r.dir, "s.conf"))
	out, err := second.CombinedOutput()
	if second.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte("Another program is already listening")) {
		t.Errorf("a second daemon: %v\n%s", err, out)
	}
	if after := r.files("*---supervisor-????????.log"); !slices.Equal(before, after) {
		t.Errorf("the second daemon left %q", after)
	}

	pid := r.runs("foo_0", process.Running).PID
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until("the daemon is back", func() bool {
		list, err := r.Processes(t.Context())
		i := slices.IndexFunc(list, func(p control.ProcessInfo) bool { return p.Name == "foo_0" })
		return err == nil && i >= 0 && list[i].State == process.Running && list[i].PID != pid
	})
	if left := r.files("*---supervisor-????????.log"); len(left) != 4 || len(r.files("foo_1-*")) != 0 || slices.Contains(left, before[0]) {
		t.Errorf("after the restart there are %q", left)
	}
}

// TestAutoLogsOfAll: the AUTO logs of every process are there, also of one that is not started and of one that cannot be; all are private.
func TestAutoLogsOfAll(t *testing.T) {
	r := newRig(t, "[program:idle]\ncommand=/bin/sleep 1000\nautostart=false\n[program:none]\ncommand=/no/such/program\nstartretries=0\n"+
		"[program:runs]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.runs("runs", process.Running)
	r.runs("none", process.Fatal)
	r.until("there are six AUTO logs", func() bool { return len(r.files("*-std*---supervisor-????????.log")) == 6 })
	for _, name := range r.files("*-std*---supervisor-????????.log") {
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, st.Mode())
		}
	}
}

// TestNocleanup checks that AUTO logs outlive a restart with nocleanup.
func TestNocleanup(t *testing.T) {
	r := newRig(t, "[supervisord]\nnocleanup=true\n[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	pid := r.runs("a", process.Running).PID
	before := r.files("a-std*---supervisor-????????.log")
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until("the daemon is back", func() bool {
		list, err := r.Processes(t.Context())
		return err == nil && len(list) == 1 && list[0].State == process.Running && list[0].PID != pid
	})
	after := r.files("a-std*---supervisor-????????.log")
	if len(before) != 2 || len(after) != 4 || !slices.Contains(after, before[0]) || !slices.Contains(after, before[1]) {
		t.Errorf("%q became %q", before, after)
	}
}

// TestRereadOfDaemonOptions checks which options of [supervisord] a reread changes in the running daemon: the identifier at once, the open
// files and servers not before the restart (quirk B3).
func TestRereadOfDaemonOptions(t *testing.T) {
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.runs("a", process.Running)
	conf := filepath.Join(r.dir, "s.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("s.log", "new.log", "s.pid", "new.pid", "file=%(here)s/s.sock", "file=%(here)s/new.sock", "childlogdir=",
		"identifier=other\nloglevel=critical\nminfds=2000\numask=077\nchildlogdir=").Replace(string(text)) + "[program:b]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
	if err := os.WriteFile(conf, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if news, err := r.Reread(t.Context()); err != nil || !slices.Equal(news.Added, []string{"b"}) || len(news.Changed)+len(news.Removed) > 0 {
		t.Errorf("reread: %+v, %v", news, err)
	}
	if d, err := r.Daemon(t.Context()); err != nil || d.Identifier != "other" {
		t.Errorf("identifier: %+v, %v", d, err)
	}
	if err := r.AddGroup(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	r.runs("b", process.Running)
	if n := len(r.files("b-std*---other-????????.log")); n != 2 {
		t.Errorf("%d AUTO logs with the new identifier", n)
	}
	log, err := r.ReadLog(t.Context(), control.Log{Main: true}, 0, 0)
	if err != nil || !bytes.Contains(log, []byte("spawned: 'b' with pid")) {
		t.Errorf("the main log holds %q, %v", log, err)
	}
	if pid, err := os.ReadFile(filepath.Join(r.dir, "s.pid")); err != nil || len(pid) == 0 {
		t.Errorf("the pid file: %q, %v", pid, err)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"s.pid", "s.sock", "new.pid", "new.log", "new.sock"} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("at the end there is %s: %v", name, err)
		}
	}
	all, err := os.ReadFile(filepath.Join(r.dir, "s.log"))
	if err != nil || !bytes.Contains(all, []byte("stopped: b (terminated by SIGTERM)")) {
		t.Errorf("the old log ends with %q, %v", all[max(0, len(all)-200):], err)
	}
	if !bytes.Contains(all, []byte("CRIT Server 'unix_http_server' running without any HTTP authentication checking")) {
		t.Error("the log says nothing of the open server")
	}
}

// TestUserEnvironment checks that a process with another user finds the environment of the daemon (contract: config, "Environment given to a
// child").
func TestUserEnvironment(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: the environment of a process with another user, because only root can start processes as another user")
	}
	if _, err := binaries(); err != nil { // before HOME changes, below which the compiler has its cache
		t.Fatal(err)
	}
	t.Setenv("HOME", "/home/of-the-daemon")
	t.Setenv("USER", "daemons-user")
	t.Setenv("LOGNAME", "daemons-logname")
	t.Setenv("SHELL", "/bin/daemons-shell")
	r := newRig(t, "[program:a]\ncommand=/bin/sh -c 'id -un; echo $HOME $USER $LOGNAME $SHELL'\nuser=nobody\nstartsecs=0\nautorestart=false\n")
	r.runs("a", process.Exited)
	out, err := r.ReadLog(t.Context(), control.Log{Process: "a", Channel: control.Stdout}, 0, 0)
	if want := "nobody\n/home/of-the-daemon daemons-user daemons-logname /bin/daemons-shell\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

// TestSearchAsRoot checks that root is warned when the configuration file is looked for, since anybody may have put one where it works.
func TestSearchAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: the warning of root that the file was looked for, because only root is warned")
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "supervisord.conf"), []byte("[supervisord]\nloglevel=loud\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-n"}, {"-n", "-c", "supervisord.conf"}} {
		cmd := exec.Command(filepath.Join(bin, "supervisord"), args...)
		cmd.Dir = dir
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%q: %v", args, err)
		}
		warned := strings.HasPrefix(errs.String(), "warning: running as root and looking for the configuration file in default places, among them the working directory;")
		if !strings.Contains(errs.String(), "Error: bad logging level name 'loud'\n") || warned != (len(args) == 1) {
			t.Errorf("%q: %s", args, &errs)
		}
	}
}
