package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// slowHook waits until a file is there, and says when it began and when it ended.
const slowHook = `echo "begun $$ $GRACED_REASON" >>ran
while ! [ -e go ]; do sleep 0.05; done
echo ended >>ran
`

func hookConf(option string) string {
	return "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\ndirectory=%(here)s\n" + option + "=/bin/sh hook.sh\n" + option + "_timeout=100s\n" +
		"[program:b]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
}

// hooking has a process with a command that does not end before there is a file "go", and that runs.
func hooking(t *testing.T, option string) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.put("hook.sh", slowHook)
	r.launch(nil, hookConf(option))
	if option == "pre_stop" || option == "post_stop" {
		r.runs("a", process.Running)
		_, err := r.Stop(t.Context(), control.Target{Name: "a"}, false)
		r.must(err)
	}
	r.until("its command runs", func() bool { return len(r.ran()) == 1 })
	return r
}

// ran returns what the command of a rig has said.
func (r *rig) ran() []string {
	return strings.FieldsFunc(r.read("ran"), func(c rune) bool { return c == '\n' })
}

// TestHooksSurvive: a command of a process's life runs once, however often the daemon is killed meanwhile, or the keeper. Then things go on, and
// nobody else has waited.
func TestHooksSurvive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		option, reason string
		during, then   process.State
		pid            bool // there is a process meanwhile
	}{
		{"pre_start", "start", process.Starting, process.Running, false},
		{"post_ready", "start", process.Running, process.Running, true},
		{"pre_stop", "stop", process.Stopping, process.Stopped, true},
		{"post_stop", "stop", process.Stopping, process.Stopped, false},
	} {
		for who, kill := range map[string]func(*rig){"daemon": (*rig).killDaemon, "keeper": (*rig).killKeeper} {
			t.Run(c.option+"_"+who, func(t *testing.T) {
				t.Parallel()
				r := hooking(t, c.option)
				for range 2 {
					kill(r)
				}
				if a := r.infos()["a"]; a.State != c.during || a.PID != 0 != c.pid {
					t.Errorf("it is %v with pid %d", a.State, a.PID)
				}
				if _, err := r.Stop(t.Context(), control.Target{Name: "b"}, true); err != nil {
					t.Errorf("the stop of another: %v", err)
				}
				began := r.ran()[0]
				r.put("go", "")
				r.until("its command has ended", func() bool { return len(r.ran()) > 1 })
				r.runs("a", c.then)
				if got := r.ran(); !slices.Equal(got, []string{began, "ended"}) || !strings.HasSuffix(began, " "+c.reason) {
					t.Errorf("the command has run like this: %q", got)
				}
				if text := r.read("s.log"); strings.Contains(text, c.option+" of a:") {
					t.Errorf("it has failed:\n%s", text)
				}
			})
		}
	}
}

// hookPID returns the pid of a command that runs.
func (r *rig) hookPID() int {
	r.t.Helper()
	pid, err := strconv.Atoi(strings.Fields(r.ran()[0])[1])
	r.must(err)
	return pid
}

// TestHookOfAStart: status and why tell of a command that holds back a start; a stop ends both, at once.
func TestHookOfAStart(t *testing.T) {
	t.Parallel()
	r := hooking(t, "pre_start")
	r.gracectl(0, []string{"status"}, "STARTING", "waits for pre_start")
	r.gracectl(0, []string{"why", "a"}, "waits for pre_start", "hook", "pre_start, for at most 1m40s")
	pid := r.hookPID()
	r.gracectl(0, []string{"stop", "a"}, "a: stopped\n")
	r.until("its command has ended", func() bool { return !lives(pid) })
	if text := r.read("s.log"); strings.Contains(text, "spawned: 'a'") {
		t.Errorf("it was forked:\n%s", text)
	}
}

// TestHookThatFloods: what a command writes beyond what is logged does not use up its time.
func TestHookThatFloods(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.launch(nil, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nstartretries=0\npre_start=/bin/sh -c \"yes flood | head -c 30000000\"\npre_start_timeout=20s\n")
	r.until("it runs, or has failed", func() bool {
		return strings.Contains(r.read("s.log"), "a entered RUNNING") || strings.Contains(r.read("s.log"), "FATAL")
	})
	r.runs("a", process.Running)
	if text := r.read("s.log"); !strings.Contains(text, "are left out here") {
		t.Errorf("it has written:\n%s", text)
	}
}

// TestHookHurried: stop --now ends a pre_stop, and asked again a post_stop.
func TestHookHurried(t *testing.T) {
	t.Parallel()
	for option, says := range map[string]string{"pre_stop": "a: stopped\n", "post_stop": "a: was not running\n"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			r := hooking(t, option)
			pid := r.hookPID()
			r.gracectl(0, []string{"stop", "--dry-run", "a"}, "a: is being stopped: would wait until it has stopped\n")
			r.gracectl(0, []string{"stop", "--now", "a"}, says)
			r.until("its command has ended", func() bool { return !lives(pid) })
			r.runs("a", process.Stopped)
		})
	}
}

// TestShutdownWaitsForHooks: the daemon does not end before a post_stop has, or has had its time, and waits for no pre_start.
func TestShutdownWaitsForHooks(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("hook.sh", "sleep 0.5\necho \"$1 $GRACED_REASON $GRACED_EXIT_SIGNAL\" >>ran\n")
	const plain = "command=/bin/sleep 1000\nstartsecs=0\ndirectory=%(here)s\n"
	r.launch(nil, "[program:a]\n"+plain+"post_stop=/bin/sh hook.sh a\n[program:b]\n"+plain+"post_stop=/bin/sleep 1000\npost_stop_timeout=1s\n"+
		"[program:c]\n"+plain+"pre_start=/bin/sleep 1000\npre_start_timeout=1000s\n")
	r.runs("a", process.Running)
	r.runs("b", process.Running)
	r.runs("c", process.Starting)
	r.must(r.end())
	if got := r.ran(); !slices.Equal(got, []string{"a shutdown SIGTERM"}) {
		t.Errorf("the command has said %q", got)
	}
	if log := r.read("s.log"); !strings.Contains(log, "post_stop of b: did not end within 1s") || strings.Contains(log, "spawned: 'c'") {
		t.Errorf("the log:\n%s", log)
	}
}

// TestUpdateRunsHooks: processes that an update replaces have the commands of their old settings at their end and those of the new before their start, one
// process after the other; a new pre_start that fails turns the update round.
func TestUpdateRunsHooks(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("hook.sh", "echo \"$1 $GRACED_NAME $GRACED_REASON\" >>ran\nexit \"${2:-0}\"\n")
	conf := func(release, preStart string) string {
		var hooks strings.Builder
		for _, option := range []string{"pre_start", "post_ready", "pre_stop", "post_stop"} {
			fmt.Fprintf(&hooks, "%s=/bin/sh hook.sh %s-%[1]s\n", option, release)
		}
		text := strings.Replace(hooks.String(), "pre_start\n", "pre_start"+preStart+"\n", 1)
		return "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nstartretries=0\ndirectory=%(here)s\nnumprocs=2\nprocess_name=web%(process_num)d\n" +
			"environment=RELEASE=\"" + release + "\"\n" + text
	}
	r.launch(nil, conf("one", ""))
	told := func(n int) []string {
		t.Helper()
		r.until(fmt.Sprintf("%d commands have run", n), func() bool { return len(r.ran()) == n })
		return r.ran()
	}
	told(4)
	r.write(conf("two", ""))
	r.gracectl(0, []string{"update"}, "web:web0", "web:web1", "replaced")
	var want []string
	for _, name := range []string{"web0", "web1"} {
		for _, what := range []string{"one-pre_stop", "one-post_stop", "two-pre_start", "two-post_ready"} {
			want = append(want, what+" "+name+" update")
		}
	}
	got := told(12)[4:]
	for _, name := range []string{" web0 ", " web1 "} { // nobody waits for post_ready
		of := func(list []string) []string {
			return slices.DeleteFunc(slices.Clone(list), func(line string) bool { return !strings.Contains(line, name) })
		}
		if !slices.Equal(of(got), of(want)) {
			t.Errorf("the commands of%swere %q, want %q", name, of(got), of(want))
		}
	}
	if slices.Index(got, want[4]) < slices.Index(got, want[2]) {
		t.Errorf("web1 is stopped before web0 starts: %q", got)
	}
	r.write(conf("three", " 7"))
	r.gracectl(10, []string{"update"}, "not replaced: pre_start: exit status 7")
	for _, name := range []string{"web0", "web1"} {
		p := r.runs(name, process.Running)
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID)); err != nil || !strings.Contains(string(text), "RELEASE=two\x00") {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
	if text := r.read("ran"); strings.Contains(text, "three-post_ready") || strings.Contains(text, "three-pre_start web1") {
		t.Errorf("the commands were\n%s", text)
	}
}

// TestSecretsAreNowhere: what stands in the files of secret_files and environment_file reaches the process and its commands, and is shown nowhere, also
// where something goes wrong: no answer, log or file of the daemon has it.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	secrets := []string{"hunter2-of-a", "swordfish-of-a", "xyzzy-of-b"}
	files := map[string]string{"password": secrets[0] + "\n", "env": "TOKEN='" + secrets[1] + "'\n", "bad.env": "TOKEN=" + secrets[2] + "\n" + secrets[2] + "\n", "nul": secrets[2] + "\x00"}
	for name, text := range files {
		r.put(name, text)
	}
	r.put("hook.sh", "[ \"$PLAIN/$TOKEN\" = \"$(cat password)/"+"swordfish\"-of-a ] || exit 9\n")
	const plain = "command=/bin/sleep 1000\nstartsecs=0\nstartretries=0\ndirectory=%(here)s\n"
	conf := "[program:a]\n" + plain + "secret_files=PLAIN=%(here)s/password\nenvironment_file=%(here)s/env\npre_start=/bin/sh hook.sh\npost_stop=/bin/sh hook.sh\n" +
		"[program:bad]\n" + plain + "environment_file=%(here)s/bad.env\n[program:nul]\n" + plain + "secret_files=PLAIN=%(here)s/nul\n"
	root := os.Getuid() == 0
	if root { // who reads the file is graced, not the user that the process becomes
		conf += "[program:other]\ncommand=/bin/sleep 1000\nstartsecs=0\nuser=nobody\ndirectory=/\nsecret_files=PLAIN=%(here)s/password\n"
	}
	r.launch(nil, conf)
	pid := r.runs("a", process.Running).PID
	if root {
		r.runs("other", process.Running)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if r.must(err); !strings.Contains(string(environ), "PLAIN="+secrets[0]+"\x00") || !strings.Contains(string(environ), "TOKEN="+secrets[1]+"\x00") {
		t.Errorf("its environment is %q", environ)
	}
	r.runs("bad", process.Fatal)
	r.runs("nul", process.Fatal)
	var shown strings.Builder
	ask := func(args ...string) {
		for _, form := range []string{"text", "json", "yaml", "plain"} {
			words := args
			if form != "text" {
				words = append([]string{"-o", form}, args...)
			}
			out, _ := r.ctl("gracectl", words...)
			shown.WriteString(out)
		}
	}
	for _, name := range []string{"a", "bad", "nul"} {
		ask("why", name)
		ask("start", name)
	}
	ask("status")
	ask("avail")
	ask("doctor")
	ask("check")
	ask("explain", "a")
	r.write(conf + "[program:c]\n" + plain + "secret_files=PLAIN=%(here)s/password, MORE=%(here)s/nul\n")
	ask("plan")
	ask("plan", "--diff")
	ask("update")
	ask("restart", "a")
	ask("history")
	ask("history", "r1", "r2")
	ask("ops")
	ask("maintail")
	configs, err := r.Configs(t.Context())
	r.must(err)
	fmt.Fprintf(&shown, "%+v", configs)
	r.must(r.end())
	if log := r.read("s.log"); strings.Contains(log, "exit status 9") || !strings.Contains(log, "running post_stop of a") {
		t.Errorf("its commands have other values:\n%s", log)
	}
	for _, text := range []string{"bad.env:2: this is no KEY=VALUE", "secret_files: PLAIN has a NUL in it"} {
		if !strings.Contains(shown.String(), text) {
			t.Errorf("nobody says %q:\n%s", text, shown.String())
		}
	}
	r.must(filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && files[d.Name()] == "" {
			shown.WriteString(r.read(strings.TrimPrefix(path, r.dir+"/")))
		}
		return err
	}))
	for _, s := range secrets {
		if i := strings.Index(shown.String(), s); i >= 0 {
			t.Errorf("%s is shown:\n%s", s, shown.String()[max(0, i-500):min(shown.Len(), i+100)])
		}
	}
}

// TestPostReadyCounts: where a process is not ready before its post_ready has succeeded, what depends on it waits for that, also when the daemon is killed
// meanwhile; and a release whose post_ready fails goes back at once.
func TestPostReadyCounts(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("hook.sh", slowHook)
	conf := func(release, command string) string {
		return "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nstartretries=0\ndirectory=%(here)s\nnumprocs=2\nprocess_name=web%(process_num)d\nenvironment=RELEASE=\"" + release +
			"\"\npost_ready=/bin/sh " + command + "\npost_ready_timeout=100s\npost_ready_on_failure=fail\nready_wait=100s\n[program:app]\ncommand=/bin/sleep 1000\nstartsecs=0\ndepends_on=web:ready\n"
	}
	r.launch(nil, conf("one", "hook.sh"))
	r.until("the commands run", func() bool { return len(r.ran()) == 2 })
	r.gracectl(0, []string{"status"}, "web:web0", "post_ready runs", "waits for web")
	r.gracectl(0, []string{"why", "web:web0"}, "post_ready runs")
	r.gracectl(12, []string{"wait", "--ready", "web:*", "--timeout", "0.2"}, "web:web0: not ready (RUNNING, post_ready runs)\n")
	r.killDaemon()
	r.upgrade("")
	if app := r.infos()["app"]; app.PID != 0 {
		t.Errorf("app has started: %+v", app)
	}
	r.put("go", "")
	r.gracectl(0, []string{"wait", "--ready", "all"}, "app: ready\n", "web:web0: ready\nweb:web1: ready\n")
	if got := r.ran(); len(got) != 4 {
		t.Errorf("the commands have run like this: %q", got)
	}

	before := r.running()
	r.write(conf("two", "-c 'exit 3'"))
	r.gracectl(10, []string{"update"}, "web:web0", "web:web0 is not ready: post_ready: exit status 3", "rolled back")
	if now := r.running(); now["web0"] == before["web0"] || now["web1"] != before["web1"] {
		t.Errorf("there are %v, there were %v", now, before)
	}
	for _, name := range []string{"web0", "web1"} {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.running()[name])); err != nil || !strings.Contains(string(text), "RELEASE=one\x00") {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
	r.gracectl(0, []string{"wait", "--ready", "all"})
}

// TestPostReadyBothKilled: who comes after keeper and daemon were killed at once knows what a check had found, and that a post_ready which counts had failed or
// ran, the outcome of which nobody learns.
func TestPostReadyBothKilled(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("hook.sh", slowHook)
	conf, ran, want := "", "post_ready ran when keeper and daemon were killed", map[string]string{}
	for _, check := range []string{"", "ready=log:^up"} {
		for post, text := range map[string]string{"hook.sh": ran, "-c 'exit 3'": "post_ready: exit status 3", "-c true": ""} {
			name := fmt.Sprintf("p%d", len(want))
			want[name] = text
			conf += "[program:" + name + "]\ncommand=/bin/sh -c 'echo up; exec sleep 1000'\nstartsecs=0\ndirectory=%(here)s\npost_ready=/bin/sh " + post +
				"\npost_ready_timeout=100s\npost_ready_on_failure=fail\n" + check + "\n"
		}
	}
	r.launch(nil, conf)
	readiness := func(runs string) bool {
		standing, err := r.Standing(t.Context())
		for name, text := range want {
			if text == ran {
				text = runs
			}
			if got := standing.Readiness[name+":"+name]; got.Ready != (text == "") || got.Text != text {
				return false
			}
		}
		return err == nil
	}
	r.until("some are ready", func() bool { return readiness("post_ready runs") })
	before := r.running()
	killMates(r.dir)
	<-r.exited
	r.startAgain(nil)
	r.until("they are known to be so", func() bool { return readiness(ran) })
	r.gracectl(12, []string{"wait", "--ready", "all", "--timeout", "0.2"}, ran, "post_ready: exit status 3")
	if now := r.running(); !maps.Equal(now, before) {
		t.Errorf("there are %v, there were %v", now, before)
	}
	r.put("go", "")
}
