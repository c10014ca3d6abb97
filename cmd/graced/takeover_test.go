package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/takeover"
)

var takeovers = flag.Bool("takeover", false, "the whole proof: take over a real supervisord with 54 processes, one of which writes as fast as it can, in twenty rounds")

const (
	debianDaemon = "/usr/bin/supervisord"
	debianClient = "/usr/bin/supervisorctl"
)

// takeoverChild is the test child of package takeover, built once.
var takeoverChild = sync.OnceValues(func() (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "takeover-child")
	out, err := exec.Command("go", "test", "-c", "-o", path, "../../internal/takeover").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go test -c: %v\n%s", err, out)
	}
	return path, nil
})

// newOld starts Debian's supervisord in the background, in a rig that has no daemon of ours yet. CHILD is the test child in the text.
func newOld(t *testing.T, conf string, options ...string) *rig {
	t.Helper()
	if _, err := os.Stat(debianDaemon); err != nil {
		t.Skip("hidden: the take-over of a real supervisord, because Debian's supervisor is not installed")
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	child, err := takeoverChild()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), bin: bin}
	own := r.path("child") // by which they are found
	r.must(os.Symlink(child, own))
	r.write(strings.ReplaceAll(conf, "CHILD", own))
	cmd := exec.Command(debianDaemon, append([]string{"-c", "s.conf"}, options...)...)
	every := "20ms"
	if *takeovers {
		every = "5ms"
	}
	cmd.Dir, cmd.Env = r.dir, []string{"PATH=" + os.Getenv("PATH"), "TAKEOVER_CHILD=" + every, "GOMAXPROCS=1", "PYTHONDONTWRITEBYTECODE=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	t.Cleanup(func() {
		killMates(r.dir)
		killOthers(r.dir, own)
		if cmd.Process != nil {
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the log:\n%s", r.read("s.log"))
		}
	})
	r.must(cmd.Start())
	if r.Client, err = client.New("unix://"+r.path("s.sock"), "", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Client.Close() })
	return r
}

// killOthers ends a supervisord in the directory, and the children.
func killOthers(dir, child string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, path := range paths {
		line, _ := os.ReadFile(path)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(path), "cwd"))
		if cwd != dir || !strings.Contains(string(line), child) && !strings.Contains(string(line), "supervisord") && !strings.Contains(string(line), "sleep") {
			continue
		}
		if pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))); pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// settledAs waits until as many run, and all that write have said to be prepared for signals.
func (r *rig) settledAs(running int) map[string]control.ProcessInfo {
	r.t.Helper()
	var out map[string]control.ProcessInfo
	r.until(fmt.Sprint(running, " run"), func() bool {
		list, err := r.Processes(r.t.Context())
		if err != nil {
			return false
		}
		out = map[string]control.ProcessInfo{}
		n := 0
		for _, p := range list {
			out[p.Name] = p
			if p.State == process.Running {
				n++
			}
		}
		return n == running
	})
	r.Client.Close()
	return out
}

// status is what Debian's supervisorctl prints, without times.
func (r *rig) status() string {
	r.t.Helper()
	cmd := exec.Command(debianClient, "-c", r.path("s.conf"), "status")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, _ := cmd.CombinedOutput() // it fails when something does not run
	return regexp.MustCompile(`uptime \d+:\d\d:\d\d`).ReplaceAllString(string(out), "uptime")
}

// numbered is a program section whose processes write numbered lines.
func numbered(kind, name string, n int, command string, settings ...string) string {
	return fmt.Sprintf("[%s:%s]\ncommand=%s\nnumprocs=%d\nprocess_name=%s_%%(process_num)d\nstartsecs=0\nautorestart=false\nstdout_logfile=%%(here)s/%s_%%(process_num)d.out\n"+
		"stdout_logfile_maxbytes=0\nstderr_logfile=%%(here)s/%s_%%(process_num)d.err\nstderr_logfile_maxbytes=0\n%s\n",
		kind, name, command, n, name, name, name, strings.Join(settings, "\n"))
}

// allKinds are processes of all kinds, and how many run: 50, or in a slice of the proof one of each.
func allKinds(port int) (conf string, running int) {
	const number = "_%(process_num)d"
	flood, most := "flood", 12
	if !*takeovers {
		flood, most = "pour", 1
	}
	numbered := func(kind, name string, n int, command string, settings ...string) string {
		n = min(n, most)
		running += n
		return numbered(kind, name, n, command, settings...)
	}
	moved := func(name, redirection string) string {
		return numbered("program", name, 3, "/bin/sh -c 'exec CHILD "+name+number+" "+redirection+"'")
	}
	conf = numbered("program", "chatty", 12, "CHILD chatty"+number) +
		numbered("program", "pieces", 4, "CHILD pieces"+number+" pieces") +
		numbered("program", "flood", 1, "CHILD flood"+number+" "+flood) +
		numbered("program", "stubborn", 3, "CHILD stubborn"+number+" stubborn") +
		numbered("program", "stdin", 2, "CHILD stdin"+number+" stdin") +
		numbered("fcgi-program", "fcgiunix", 2, "CHILD fcgiunix"+number+" fcgi", "socket=unix://%(here)s/fcgi") +
		numbered("fcgi-program", "fcgitcp", 2, "CHILD fcgitcp"+number+" fcgi", fmt.Sprintf("socket=tcp://localhost:%d", port)) +
		numbered("eventlistener", "listener", 2, "CHILD listener"+number+" listener", "events=PROCESS_STATE_EXITED") +
		moved("merged", "2>&1") + moved("toerr", "1>&2") + moved("swapped", "3>&1 1>&2 2>&3 3>&-") +
		numbered("program", "redirected", 4, "CHILD redirected"+number, "redirect_stderr=true") +
		numbered("program", "family", 2, "/bin/sh -c 'CHILD family"+number+" & wait $!'") +
		numbered("program", "daemon", 2, "/bin/sh -c 'CHILD daemon"+number+" & exec CHILD daemon"+number+" silent >/dev/null 2>&1'") +
		"[program:auto]\ncommand=/bin/sh -c 'while :; do echo line; sleep 0.1; done'\nstartsecs=0\nnumprocs=4\nprocess_name=auto_%(process_num)d\nstopasgroup=true\n" +
		"[program:once]\ncommand=/bin/sh -c 'exit 3'\nautorestart=false\nstartsecs=0\n" +
		"[program:off]\ncommand=/bin/sleep 1000\nautostart=false\n" +
		"[program:ended]\ncommand=/bin/sleep 1000\nstartsecs=0\n" +
		"[program:bad]\ncommand=/nonexistent\nstartretries=0\n"
	const more = 5 // auto and ended
	return conf, running + more
}

// sequences checks that each kind of lines that a child has written is in one file, without gap or double, up to its end, and returns how many there are.
func (r *rig) sequences(id string) (lines int) {
	r.t.Helper()
	ended := map[string]bool{}
	next := map[string]int{}
	for _, channel := range []string{".out", ".err"} {
		for line := range strings.Lines(r.read(id + channel)) {
			f := strings.Fields(line)
			if len(f) < 3 || f[0] != id || f[1] == "got" {
				continue // a dialogue
			}
			label := f[1]
			if f[2] == "END" {
				if ended[label] || f[3] != strconv.Itoa(next[label]) {
					r.t.Errorf("%s%s: %q behind line %d", id, channel, line, next[label])
				}
				ended[label] = true
				continue
			}
			if next[label]++; f[2] != strconv.Itoa(next[label]) || ended[label] {
				r.t.Errorf("%s%s: %q in the place of %d", id, channel, line, next[label])
				return lines
			}
			lines++
		}
	}
	want := 2
	if strings.HasPrefix(id, "stdin") || strings.HasPrefix(id, "listener") {
		want = 1
	}
	if len(ended) != want {
		r.t.Errorf("%s: ended %v, %v", id, ended, next)
	}
	return lines
}

// TestTakeover has graced take over processes of all kinds: they keep their pids, no line is lost or doubled, supervisorctl sees no difference, and
// the daemon and the keeper may be killed afterwards.
func TestTakeover(t *testing.T) {
	t.Parallel()
	rounds := 1
	if *takeovers {
		rounds = 20
	}
	for n := range rounds {
		t.Run(fmt.Sprint("round ", n+1), takeoverOfAll)
	}
}

func takeoverOfAll(t *testing.T) {
	port := freePort(t)
	conf, running := allKinds(port)
	r := newOld(t, conf)
	r.settledAs(running)
	r.until("the bad one has given up", func() bool { return r.infos()["bad"].State == process.Fatal })
	if _, err := r.Stop(t.Context(), control.Target{Name: "ended"}, true); err != nil {
		t.Fatal(err)
	}
	before := r.settledAs(running - 1)
	// On a busy machine pipes are made in an order that does not always tell whose they are: then it is another supervisord's turn.
	if out, code := r.ctl("gracectl", "takeover", "--dry-run"); code == 2 && strings.Contains(out, "cannot be told") && strings.Contains(out, "supervisorctl restart") {
		t.Log(out)
		killOthers(r.dir, r.path("child"))
		takeoverOfAll(t)
		return
	}
	was := r.status()
	supervisord := r.keeperPID()

	out := r.gracectl(0, []string{"takeover", "--dry-run"}, fmt.Sprint(running-1, " run"), "chatty:chatty_0", "unix "+r.path("fcgi"), "fcgiunix:fcgiunix_0", "nothing was changed")
	if got := r.status(); got != was || r.keeperPID() != supervisord {
		t.Errorf("--dry-run has changed something:\n%s\nwas\n%s\n%s", got, was, out)
	}
	doc := r.gracectl(0, []string{"takeover", "--dry-run", "-o", "json"}, `"possible": true`)
	if schema, _ := controltest.Validate(t, controltest.Schemas(t), doc); schema != "graced.takeover/v1" {
		t.Errorf("the schema is %q", schema)
	}
	r.gracectl(0, []string{"takeover"}, fmt.Sprintf("taken over: supervisord %d -> graced ", supervisord), fmt.Sprint(running-1, " processes go on"))
	if got := r.status(); got != was {
		t.Errorf("status\n%s\nwas\n%s", got, was)
	}
	if err := syscall.Kill(supervisord, 0); err == nil {
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", supervisord)); len(line) > 0 {
			t.Error("supervisord lives")
		}
	}
	r.killDaemon()
	r.killKeeper()
	now := r.infos()
	for name, p := range before {
		if n := now[name]; n.PID != p.PID || n.State != p.State || n.StdoutLog != p.StdoutLog || n.StderrLog != p.StderrLog || n.ExitStatus != p.ExitStatus || !n.Start.Equal(p.Start) {
			t.Errorf("%s was\n%+v and is\n%+v", name, p, n)
		}
	}
	for _, address := range [][2]string{{"unix", r.path("fcgi")}, {"tcp", fmt.Sprintf("127.0.0.1:%d", port)}} {
		c, err := net.Dial(address[0], address[1])
		if err != nil {
			t.Error(err)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // nobody may listen
		answer, _ := io.ReadAll(c)
		_ = c.Close()
		if pid, _ := strconv.Atoi(strings.TrimSpace(string(answer))); !slices.ContainsFunc(slices.Collect(maps.Values(before)), func(p control.ProcessInfo) bool { return p.PID == pid }) {
			t.Errorf("%s answers %q", address, answer)
		}
	}
	for _, name := range []string{"auto_0", "chatty_0", "pieces_0"} { // they go on into the files that they had
		size := func() int64 {
			info, err := os.Stat(before[name].StdoutLog)
			r.must(err)
			return info.Size()
		}
		had := size()
		r.until(name+" goes on", func() bool { return size() > had })
	}
	r.endNumbered(before)
	if log := r.read("listener_0.out") + r.read("listener_1.out"); !strings.Contains(log, "RESULT 2\nOK") {
		t.Errorf("the listeners got nothing: %q", log)
	}
	r.gracectl(0, []string{"start", "chatty:chatty_0"}) // in the environment of supervisord: else it is no child but a test
	r.gracectl(0, []string{"restart", "auto:auto_0"})
	if log := r.infos()["auto_0"].StdoutLog; log != before["auto_0"].StdoutLog {
		t.Errorf("the AUTO log was %s and is %s", before["auto_0"].StdoutLog, log)
	}
	r.must(syscall.Kill(r.keeperPID(), syscall.SIGTERM))
	r.until("the end", func() bool { return len(mates(r.dir)) == 0 })
	if left := r.files("s.*"); !slices.Equal(left, []string{r.path("s.conf"), r.path("s.log"), r.path("s.log.state")}) {
		t.Errorf("%q is left", left)
	}
}

// endNumbered has all that write numbered lines end, and checks what they have written and how they ended. Listeners are the last, which hear of it.
func (r *rig) endNumbered(all map[string]control.ProcessInfo) {
	r.t.Helper()
	doctor, err := r.Doctor(r.t.Context())
	r.must(err)
	told := slices.ContainsFunc(doctor.Features, func(f control.Feature) bool { return f.Name == "pidfd_info_exit" && f.Available })
	lines := 0
	end := func(of func(string) bool) {
		for name, p := range all {
			if _, err := os.Stat(r.path(name + ".out")); err != nil || p.PID == 0 || !of(name) {
				continue
			}
			family := strings.HasPrefix(name, "family") // which ends when its child does
			if family || strings.HasPrefix(name, "daemon") {
				r.must(syscall.Kill(r.childOf(p.PID), syscall.SIGUSR1))
				r.until(name+" has said all", func() bool { // its log ends with the process that was started
					return strings.Count(r.read(name+".out")+r.read(name+".err"), " END ") == 2
				})
			}
			if !family {
				r.must(syscall.Kill(p.PID, syscall.SIGUSR1))
			}
			r.until(name+" has ended", func() bool { return r.infos()[name].State == process.Exited })
			_, number, _ := strings.Cut(name, "_")
			want, _ := strconv.Atoi(number)
			if got := r.infos()[name].ExitStatus; told && got != want {
				r.t.Errorf("%s ended with %d", name, got)
			}
			lines += r.sequences(name)
		}
	}
	listener := func(name string) bool { return strings.HasPrefix(name, "listener") }
	end(func(name string) bool { return strings.HasPrefix(name, "flood") }) // before it has filled the disk
	end(func(name string) bool { return !listener(name) && !strings.HasPrefix(name, "flood") })
	end(listener)
	r.t.Logf("%d lines", lines)
}

// childOf returns the pid of the only child of a process.
func (r *rig) childOf(pid int) int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	r.must(err)
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	r.must(err)
	return child
}

// TestTakeoverRefused has everything stand in the way of a take-over: it says what and how to go on, and supervisord goes on as if nothing had been.
func TestTakeoverRefused(t *testing.T) {
	t.Parallel()
	const web = "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nstopwaitsecs=7\n"
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() }) // after the parallel tests
	for _, c := range []struct {
		name, conf, then string
		options, args    []string
		client           bool
		want             []string
	}{
		{name: "setting", conf: web, then: strings.Replace(web, "7", "8", 1), want: []string{`stopwaitsecs is "8" and was "7"`, "supervisorctl update", "--force"}},
		{name: "no process", conf: web + "[program:x]\ncommand=/bin/sleep 1000\nstartsecs=0\n", then: web, args: []string{"--force"}, want: []string{"x: the configuration does not have it", "supervisorctl remove"}},
		{name: "another process", conf: web, then: web + "[program:y]\ncommand=/bin/sleep 1000\n", want: []string{"y: only the files have it"}},
		{name: "socket", conf: web + "[inet_http_server]\nport=127.0.0.1:" + strconv.Itoa(freePort(t)) + "\n", then: web, want: []string{"it listens on tcp 127.0.0.1:", "put the server back"}},
		{name: "starting", conf: web + "[program:slow]\ncommand=/bin/sleep 1000\nstartsecs=1000\n", want: []string{"slow: it is STARTING", "wait until that is over"}},
		{name: "foreground", conf: web, options: []string{"-n"}, want: []string{"it runs in the foreground", "takeover -n"}},
		{name: "port", conf: web, then: web + "[inet_http_server]\nport=" + busy.Addr().String() + "\n", args: []string{"--force"}, want: []string{"nothing was taken over", "Another program is already listening on a port"}},
		{name: "client", conf: web, client: true, want: []string{"a client was connected", "nothing was taken over"}},
		{name: "listener", conf: web + "[eventlistener:l]\ncommand=/bin/sh -c 'echo READY; sleep 1000'\nevents=TICK_3600\nstartsecs=0\n",
			want: []string{"l: it is busy with an event", "stop it with `supervisorctl stop`"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting
			r := newOld(t, c.conf, c.options...)
			r.until("web runs", func() bool {
				list, err := r.Processes(t.Context())
				return err == nil && slices.ContainsFunc(list, func(p control.ProcessInfo) bool { return p.Name == "web" && p.State == process.Running })
			})
			r.Client.Close()
			was, pid := r.status(), r.keeperPID()
			if c.then != "" {
				r.write(c.then)
			}
			if c.client {
				tail, err := r.Stream(t.Context(), "/mainlogtail")
				r.must(err)
				defer func() { _ = tail.Close() }()
			}
			out := r.gracectl(2, append([]string{"takeover"}, c.args...), c.want...)
			if got := r.status(); got != was || r.keeperPID() != pid {
				t.Errorf("something has changed:\n%s\nwas\n%s\n%s", got, was, out)
			}
			if stat, err := host.ReadStat(pid); err != nil || stat.State == 'T' || stat.State == 't' {
				t.Errorf("supervisord is in state %c: %v", stat.State, err)
			}
			if n := len(mates(r.dir)); n != 0 {
				t.Errorf("%d of ours run", n)
			}
		})
	}
}

// takeoverHeld starts a take-over that stops where it reads its state, just before it ends supervisord. It returns what answers the read, and the
// take-over's process with its output.
func (r *rig) takeoverHeld() (answer *os.File, cmd *exec.Cmd, out *bytes.Buffer) {
	r.t.Helper()
	state := r.path("s.log.state")
	r.must(os.Mkdir(state, 0o700))
	r.must(syscall.Mkfifo(filepath.Join(state, "state.json"), 0o600))
	cmd, out = exec.Command(filepath.Join(r.bin, "gracectl"), "-c", r.path("s.conf"), "takeover"), &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // for whoever calls it to be killed with those that wait
	r.must(cmd.Start())
	r.t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // most have ended
	r.until("somebody reads the state", func() (ok bool) {
		var err error
		answer, err = os.OpenFile(filepath.Join(state, "state.json"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil
	})
	r.t.Cleanup(func() { _ = answer.Close() })
	return answer, cmd, out
}

// lasting is a supervisord with processes that write, and what it is before a take-over.
func lasting(t *testing.T) (r *rig, before map[string]control.ProcessInfo) {
	t.Helper()
	t.Parallel()
	r = newOld(t, numbered("program", "chatty", 2, "CHILD chatty_%(process_num)d"))
	before = r.settledAs(2)
	r.until("all write", func() bool {
		return strings.Contains(r.read("chatty_0.out"), " 9 ") && strings.Contains(r.read("chatty_1.out"), " 9 ")
	})
	return r, before
}

// TestTakeoverKilled kills the daemon that has stopped supervisord and taken what it has: supervisord goes on, nothing of ours does, and another take-over
// finds every line.
func TestTakeoverKilled(t *testing.T) {
	r, before := lasting(t)
	was, supervisord := r.status(), r.keeperPID()
	_, cmd, out := r.takeoverHeld()
	pid := r.numberOf(r.numberOf(supervisord, "TracerPid"), "Tgid") // of a thread, of a process
	if !slices.Contains(mates(r.dir), pid) {
		t.Fatalf("supervisord is held by pid %d, which is none of ours", pid)
	}
	r.must(syscall.Kill(pid, syscall.SIGKILL))
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 2 || !strings.Contains(out.String(), "nothing was taken over: supervisord goes on") {
		t.Errorf("exit %d:\n%s", got, out)
	}
	r.until("nothing of ours is left", func() bool { return len(mates(r.dir)) == 0 })
	if got := r.status(); got != was || r.keeperPID() != supervisord {
		t.Errorf("something has changed:\n%s\nwas\n%s", got, was)
	}
	r.must(os.RemoveAll(r.path("s.log.state")))
	r.gracectl(0, []string{"takeover"}, "taken over: ", "2 processes go on")
	r.endNumbered(before)
}

// numberOf returns a number of /proc/PID/status.
func (r *rig) numberOf(pid int, name string) int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	r.must(err)
	_, value, _ := strings.Cut(string(text), "\n"+name+":\t")
	value, _, _ = strings.Cut(value, "\n")
	n, err := strconv.Atoi(value)
	r.must(err)
	return n
}

// TestTakeoverAlone kills whoever has called a take-over and waits for it, in the middle of it: it goes on all the same.
func TestTakeoverAlone(t *testing.T) {
	r, before := lasting(t)
	supervisord := r.keeperPID()
	answer, cmd, _ := r.takeoverHeld()
	r.must(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	_ = cmd.Wait()
	r.must(answer.Close())
	r.until("graced has taken over", func() bool { return r.keeperPID() != supervisord })
	r.endNumbered(before)
}

// TestTakeoverFailed tells what a daemon that did not come up has left.
func TestTakeoverFailed(t *testing.T) {
	self, err := host.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	other := self
	other.StartTime++
	a := takeoverArgs{path: "/etc/s.conf"}
	if text := a.failed(self).Error(); !strings.Contains(text, "supervisord goes on") {
		t.Error(text)
	}
	if text := a.failed(other).Error(); !strings.Contains(text, "supervisord has ended") || !strings.Contains(text, "graced -c /etc/s.conf") {
		t.Error(text)
	}
}

// TestTakeoverForced takes over in spite of other settings in the files, which are then updated to.
func TestTakeoverForced(t *testing.T) {
	t.Parallel()
	conf := func(wait int, env string) string {
		return fmt.Sprintf("[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nstopwaitsecs=%d\n[program:other]\ncommand=/bin/sleep 100%s\nstartsecs=0\n", wait, env)
	}
	r := newOld(t, conf(7, "0"))
	before := r.settledAs(2)
	r.write(conf(8, "1") + "[program:new]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.gracectl(0, []string{"takeover", "--force"}, "taken over: ")
	r.until("the files are in force", func() bool {
		now := r.infos()
		return now["other"].PID != before["other"].PID && now["other"].State == process.Running && now["new"].State == process.Running
	})
	if now := r.infos(); now["web"].PID != before["web"].PID {
		t.Errorf("web had pid %d and has %d", before["web"].PID, now["web"].PID)
	}
	r.gracectl(0, []string{"plan"})
}

// TestTakeoverNobody tells what to do where no supervisord is that could be taken over, and checks the command line.
func TestTakeoverNobody(t *testing.T) {
	r := newRig(t, "")
	r.gracectl(2, []string{"takeover"}, "not Python's supervisord", "gracectl upgrade")
	r.must(r.end())
	r.gracectl(2, []string{"takeover"}, "no supervisord answers", "graced -c "+r.path("s.conf"))
	for _, args := range [][]string{{"--forced"}, {"-o"}, {"-o", "yaml", "--dry-run"}, {"-o", "json"}, {"file"}} {
		r.gracectl(2, append([]string{"takeover"}, args...), "usage: graced takeover")
	}
	cmd := exec.Command(filepath.Join(r.bin, "supervisord"), "takeover")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "positional arguments are not supported: ['takeover']") {
		t.Errorf("supervisord takeover: %v %s", err, out.String())
	}
}

// TestSocketFits finds the socket that the files name among those that are taken.
func TestSocketFits(t *testing.T) {
	for _, c := range []struct {
		socket           takeover.Socket
		network, address string
		want             int
	}{
		{takeover.Socket{Network: "unix", Address: "/run/a"}, "unix", "/run/a", 3},
		{takeover.Socket{Network: "unix", Address: "/run/a"}, "unix", "/run/b", 0},
		{takeover.Socket{Network: "tcp", Address: "127.0.0.1:9001"}, "tcp", "127.0.0.1:9001", 3},
		{takeover.Socket{Network: "tcp", Address: "127.0.0.1:9001"}, "tcp", "127.0.0.2:9001", 0},
		{takeover.Socket{Network: "tcp", Address: "127.0.0.1:9001"}, "tcp", "localhost:9001", 1},
		{takeover.Socket{Network: "tcp", Address: "127.0.0.1:9001"}, "tcp", "localhost:9002", 0},
		{takeover.Socket{Network: "tcp", Address: "0.0.0.0:9001"}, "tcp", ":9001", 2},
		{takeover.Socket{Network: "tcp", Address: "127.0.0.1:9001"}, "tcp", ":9001", 0},
		{takeover.Socket{Network: "unix", Address: "/run/a"}, "tcp", "localhost:9001", 0},
	} {
		if got := fits(c.socket, c.network, c.address); got != c.want {
			t.Errorf("%v for %s %s: %d, want %d", c.socket, c.network, c.address, got, c.want)
		}
	}
}

// TestTakeoverLine names the file absolutely in the words that supervisord was started with.
func TestTakeoverLine(t *testing.T) {
	a := takeoverArgs{path: "/etc/s.conf"}
	for _, c := range []struct {
		words []string
		path  string
		want  string
	}{
		{[]string{"-e", "debug"}, "", "-e debug -c /etc/s.conf"},
		{[]string{"-c", "s.conf", "-e", "debug"}, "s.conf", "-c /etc/s.conf -e debug"},
		{[]string{"-cs.conf"}, "s.conf", "-c/etc/s.conf"},
		{[]string{"--configuration=sub/s.conf"}, "sub/s.conf", "--configuration=/etc/s.conf"},
		{[]string{"-c", "other.conf"}, "other.conf", ""},
		{[]string{"-c", "/srv/s.conf"}, "/srv/s.conf", ""},
	} {
		got, ok := a.line(c.words, config.DaemonArgs{Path: c.path, HasPath: c.path != ""})
		if strings.Join(got, " ") != c.want || ok != (c.want != "") {
			t.Errorf("%q: %q %v, want %q", c.words, got, ok, c.want)
		}
	}
}
