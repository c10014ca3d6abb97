package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// speakerEnv makes the test's own program one that sends the lines of a file, or "-", its standard input, to the socket of sd_notify.
const speakerEnv = "GRACED_TEST_SPEAKER"

func speak() int {
	address := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	from := os.Stdin
	if path := os.Getenv(speakerEnv); path != "-" {
		var err error
		if from, err = os.OpenFile(path, os.O_RDWR, 0); err != nil { // a FIFO, which has no end then
			return 2
		}
	}
	for in := bufio.NewScanner(from); in.Scan(); {
		conn, err := net.DialUnix("unixgram", nil, address)
		if err != nil {
			return 3
		}
		if _, err := conn.Write([]byte(in.Text())); err != nil {
			return 4
		}
		_ = conn.Close()
	}
	return 0
}

// speaker is a program that tells of itself.
func speaker(t *testing.T, name, options string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "[program:" + name + "]\ncommand=" + self + "\nenvironment=" + speakerEnv + "=\"-\"\nstartsecs=0\n" + options
}

// readiness returns what the daemon tells of a process.
func (r *rig) readiness(name string) (control.Readiness, bool) {
	s, err := r.Standing(r.t.Context())
	if err != nil {
		return control.Readiness{}, false // a daemon that is killed answers nobody
	}
	got, ok := s.Readiness[name+":"+name]
	return got, ok
}

func (r *rig) isReady(name string, want bool) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s is ready: %v", name, want), func() bool {
		got, ok := r.readiness(name)
		return ok && got.Ready == want
	})
}

func (r *rig) say(name, line string) {
	r.t.Helper()
	r.until(name+" listens", func() bool { return r.WriteStdin(r.t.Context(), name, []byte(line+"\n")) == nil })
}

// talkers are programs that repeat on their outputs what they read, each with another way of its output to a log.
var talkers = map[string]string{
	"talk": "", "none": "stdout_logfile=NONE\nstderr_logfile=NONE\n", "merged": "redirect_stderr=true\n", "captured": "stdout_capture_maxbytes=1MB\n",
}

// TestReady goes through all ways in which it is found out whether a process is ready.
func TestReady(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer web.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())

	conf := "[program:web]\n" + sleeper + "ready=" + web.URL + "/up\nready_period=100ms\nready_failures=2\n[program:port]\n" + sleeper + "ready=tcp:" + port +
		"\n[program:plain]\n" + sleeper + speaker(t, "say", "ready=notify\n")
	for name, options := range talkers {
		conf += "[program:" + name + "]\ncommand=/bin/sh %(here)s/talk.sh\nstartsecs=0\nready=log:^listening on [0-9]+$\n" + options
	}
	r := &rig{t: t, dir: t.TempDir()}
	r.put("talk.sh", optionScripts["talk.sh"])
	r.launch(nil, conf)

	r.isReady("port", true)
	r.until("web is told not to be ready", func() bool {
		got, _ := r.readiness("web")
		return !got.Ready && got.Text == "GET "+web.URL+"/up answered 503"
	})
	out, code := r.ctl("gracectl", "status", "web", "plain")
	if code != 0 || !strings.Contains(out, "READY") || !strings.Contains(out, "GET "+web.URL+"/up answered 503") {
		t.Errorf("status: exit %d\n%s", code, out)
	}
	if out, _ := r.ctl("gracectl", "status", "plain"); strings.Contains(out, "READY") {
		t.Errorf("status of what nobody asks\n%s", out)
	}
	if out, _ := r.ctl("supervisorctl", "status", "web"); !strings.HasPrefix(out, "web                              RUNNING   pid ") {
		t.Errorf("supervisorctl status\n%s", out)
	}
	if out, _ := r.ctl("gracectl", "status", "-o", "jsonl", "web", "plain", "port"); !strings.Contains(out, `"ready":false,"unready":"GET `) || !strings.Contains(out, `"ready":null`) ||
		!strings.Contains(out, `"ready":true`) {
		t.Errorf("status in lines of JSON\n%s", out)
	}
	status.Store(http.StatusNoContent)
	r.isReady("web", true)
	status.Store(http.StatusInternalServerError)
	r.isReady("web", false)
	r.until("it is told", func() bool {
		return strings.Contains(r.read("s.log"), "not ready: web (GET "+web.URL+"/up answered 500)\n")
	})
	if out, _ := r.ctl("gracectl", "why", "web"); !strings.Contains(out, "\n  ready: no, GET "+web.URL+"/up answered 500\n") || !strings.Contains(out, "  ready    pid ") ||
		!strings.Contains(out, "  unready  GET "+web.URL+"/up answered 500, pid ") {
		t.Errorf("why\n%s", out)
	}
	status.Store(http.StatusOK)

	for name := range talkers {
		if got, ok := r.readiness(name); !ok || got.Ready || got.Text != "no line of its output matches ^listening on [0-9]+$ so far" {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
		r.say(name, "listening on port 80")
		r.say(name, "listening on 80")
		r.isReady(name, true)
		// What an earlier life has said does not count.
		_, err := r.Stop(t.Context(), control.Target{Name: name}, true)
		r.must(err)
		r.isReady(name, false)
		_, err = r.Start(t.Context(), control.Target{Name: name}, true)
		r.must(err)
		r.isReady(name, false)
		r.say(name, "listening on 81")
		r.isReady(name, true)
	}
	if got, _ := r.readiness("say"); got.Ready || got.Text != "it has not said READY=1 so far" {
		t.Errorf("say: %+v", got)
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.infos()["plain"].PID)); err != nil || strings.Contains(string(env), "NOTIFY_SOCKET=@graced/") {
		t.Errorf("who is not asked knows the socket: %v", err)
	}
	r.say("say", "READY=1")
	r.isReady("say", true)
}

// TestReadyOutlivesTheDaemon: what was found ready stays so, what is said while no daemon is there is heard, and what is asked goes on.
func TestReadyOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("talk.sh", optionScripts["talk.sh"])
	r.put("ok", "")
	r.launch(nil, speaker(t, "said", "ready=notify\n")+speaker(t, "says", "ready=notify\n")+speaker(t, "later", "ready=notify\n")+
		"[program:talk]\ncommand=/bin/sh %(here)s/talk.sh\nstartsecs=0\nready=log:^up\n[program:asked]\n"+sleeper+
		"ready=exec:/usr/bin/test -e %(here)s/ok\nready_period=100ms\n")
	r.say("said", "READY=1")
	r.say("talk", "up")
	for _, name := range []string{"said", "talk", "asked"} {
		r.isReady(name, true)
	}
	r.until("says runs", func() bool { return r.infos()["says"].State == process.Running })
	same := func(when string) {
		t.Helper()
		for _, name := range []string{"said", "talk", "asked"} {
			if got, ok := r.readiness(name); !ok || !got.Ready {
				t.Errorf("%s: %s is %+v", when, name, got)
			}
			if n := strings.Count(r.read("s.log"), "INFO ready: "+name+"\n"); n != 1 {
				t.Errorf("%s: that %s is ready is told %d times", when, name, n)
			}
		}
	}
	r.killDaemon()
	same("after a daemon")
	// What is said while it is stopped waits for the next one.
	old := r.daemonPID()
	r.say("says", "x=1") // the way into its standard input goes through the daemon
	r.must(syscall.Kill(old, syscall.SIGSTOP))
	in, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", r.pidOf("says")), os.O_WRONLY, 0)
	r.must(err)
	_, err = in.WriteString("READY=1\n")
	r.must(err)
	_ = in.Close()
	r.must(syscall.Kill(old, syscall.SIGKILL))
	r.isReady("says", true)
	same("after another")
	r.killKeeper()
	same("after a keeper")
	r.say("later", "READY=1")
	r.isReady("later", true)
	r.must(os.Remove(r.path("ok")))
	r.isReady("asked", false)
}

// pidOf finds a process without asking the daemon.
func (r *rig) pidOf(name string) int {
	r.t.Helper()
	dirs, err := os.ReadDir("/proc")
	r.must(err)
	for _, d := range dirs {
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ")
		if err != nil || !strings.Contains(string(env), "SUPERVISOR_PROCESS_NAME="+name+"\x00") || !strings.Contains(string(env), "unix://"+r.dir+"/") {
			continue
		}
		pid := 0
		if _, err := fmt.Sscan(d.Name(), &pid); err == nil {
			return pid
		}
	}
	r.t.Fatalf("no process of %s", name)
	return 0
}

// TestAlive: a process that does not give the signs of life that it has promised is restarted.
func TestAlive(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.launch(nil, speaker(t, "dog", "ready=notify\nalive=notify\nalive_timeout=500ms\n"))
	r.until("it runs", func() bool { return r.infos()["dog"].State == process.Running })
	first := r.infos()["dog"].PID
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", first)); err != nil || !strings.Contains(string(env), "WATCHDOG_USEC=500000\x00") {
		t.Errorf("its environment: %q, %v", env, err)
	}
	r.say("dog", "READY=1") // from now on
	r.until("it is told", func() bool {
		return strings.Contains(r.read("s.log"), "not alive: dog (no WATCHDOG=1 within 500ms); restarting it\n")
	})
	r.until("there is another", func() bool {
		now := r.infos()["dog"]
		return now.State == process.Running && now.PID != first
	})
	second := r.infos()["dog"].PID
	r.say("dog", "WATCHDOG=trigger")
	r.until("it is told", func() bool {
		return strings.Contains(r.read("s.log"), "not alive: dog (it has sent WATCHDOG=trigger); restarting it\n")
	})
	r.until("there is a third", func() bool {
		now := r.infos()["dog"]
		return now.State == process.Running && now.PID != second
	})
	if out, _ := r.ctl("gracectl", "why", "dog"); !strings.Contains(out, "  unalive  no WATCHDOG=1 within 500ms, pid ") {
		t.Errorf("why\n%s", out)
	}
}

// TestReadyWithoutAnyDaemon: keeper and daemon are killed at once. The next start hears its processes on the socket that they know, and what was ready
// is, without saying it again.
func TestReadyWithoutAnyDaemon(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	conf := "[program:talk]\ncommand=/bin/sh -c 'echo up; exec sleep 1000'\nstartsecs=0\nready=log:^up\n"
	for _, name := range []string{"said", "says"} { // their standard inputs end
		r.must(syscall.Mkfifo(r.path(name), 0o600))
		conf += strings.Replace(speaker(t, name, "ready=notify\n"), `"-"`, `"%(here)s/`+name+`"`, 1)
	}
	say := func(name string) {
		t.Helper()
		f, err := os.OpenFile(r.path(name), os.O_RDWR, 0)
		r.must(err)
		_, err = f.WriteString("READY=1\n")
		r.must(err)
		t.Cleanup(func() { _ = f.Close() }) // what nobody has read yet is in it as long as it is open
	}
	r.launch(nil, conf)
	say("said")
	r.isReady("said", true)
	r.isReady("talk", true)
	before := r.infos()
	killMates(r.dir)
	err := <-r.exited
	r.exited <- err
	r.launch(nil, conf)
	r.isReady("said", true)
	r.isReady("talk", true)
	r.isReady("says", false)
	say("says")
	r.isReady("says", true)
	for name, now := range r.infos() {
		if now.PID != before[name].PID {
			t.Errorf("%s had pid %d and has %d", name, before[name].PID, now.PID)
		}
	}
}

// TestAliveLimit: restarts of a process that is not alive count like those of one that ends by itself.
func TestAliveLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:sick]\ncommand=/bin/sleep 1000\nstartsecs=0\nalive=exec:/bin/false\nalive_period=100ms\nalive_failures=1\nbackoff=100ms\nrestart_limit=2/60s\n")
	info := r.runs("sick", process.Fatal)
	if !strings.Contains(info.SpawnErr, "2 restarts in ") {
		t.Errorf("spawnerr %q", info.SpawnErr)
	}
	if got := strings.Count(r.read("s.log"), "spawned: 'sick'"); got != 3 {
		t.Errorf("it was started %d times, not 3", got)
	}
}
