package takeover

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

const debianDaemon = "/usr/bin/supervisord"

// limit bounds every wait of a test; it only decides how soon a failure shows.
const limit = 60 * time.Second

// supervisord is a running one of Debian's.
type supervisord struct {
	*testing.T
	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
	*client.Client
}

// start starts a supervisord with these programs, in whose text BIN is the child of this test and DIR a directory of its own, and waits until all of them
// are RUNNING. It and its processes end with the test.
func start(t *testing.T, programs string, attr syscall.SysProcAttr) *supervisord {
	t.Helper()
	if testing.Short() {
		t.Skip("hidden: the take-over of a real supervisord, because -short is given")
	}
	if _, err := os.Stat(debianDaemon); err != nil {
		t.Skip("hidden: the take-over of a real supervisord, because Debian's supervisor is not installed")
	}
	dir, err := os.MkdirTemp("", "take")
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisord{T: t, dir: dir, ended: make(chan struct{})}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // for user=nobody
		t.Fatal(err)
	}
	s.copySelf()
	if err := os.WriteFile(filepath.Join(dir, "plugin.py"), []byte(plugin), 0o644); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "supervisord.conf")
	if err := os.WriteFile(conf, []byte(strings.NewReplacer("BIN", filepath.Join(dir, "child"), "DIR", dir).Replace(head+programs)), 0o644); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(debianDaemon, "-n", "-c", conf)
	every := "20ms"
	if *all {
		every = "5ms"
	}
	s.cmd.Dir, s.cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "TAKEOVER_CHILD=" + every, "PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1", "GOMAXPROCS=1"}
	attr.Setsid = true
	s.cmd.SysProcAttr = &attr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	held, err := host.OpenForeign(s.identity())
	if err != nil {
		t.Fatal(err)
	}
	go func() { // who waits for a child that is stopped takes the news of that from Seize
		defer close(s.ended)
		defer s.cmd.Wait()
		defer held.Close()
		for fds := []unix.PollFd{{Fd: int32(held.Pidfd), Events: unix.POLLIN}}; ; {
			if _, err := unix.Poll(fds, -1); err != unix.EINTR {
				return
			}
		}
	}()
	t.Cleanup(s.kill)
	if s.Client, err = client.New("unix://"+dir+"/sock", "", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Client.Close() })
	s.await("RUNNING", func() bool {
		infos, err := s.Processes(t.Context())
		return err == nil && !slices.ContainsFunc(infos, func(i control.ProcessInfo) bool { return !s.ready(i) })
	})
	return s
}

// identity is that of a supervisord that was not waited for.
func (s *supervisord) identity() host.Identity {
	s.Helper()
	id, err := host.Identify(s.cmd.Process.Pid)
	if err != nil {
		s.Fatal(err)
	}
	return id
}

// ready reports whether a process is what it is going to be. A family's is not: it is a shell that waits.
func (s *supervisord) ready(i control.ProcessInfo) bool {
	if i.Group == "slow" {
		return true
	}
	_, err := os.Stat(ready(s.dir, i.PID))
	return i.State == process.Running && (err == nil || i.Group == "family")
}

const head = `[supervisord]
logfile=DIR/supervisord.log
pidfile=DIR/pid
[unix_http_server]
file=DIR/sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
`

// plugin is an extension of supervisord with a thread of its own.
const plugin = `import threading, time
def make(supervisord, **config):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    return object()
`

// program returns a section that runs this test's binary, n times, with what follows the words as settings.
func program(kind, name string, n int, command string, settings ...string) string {
	return fmt.Sprintf("[%s:%s]\ncommand=%s\nnumprocs=%d\nprocess_name=%s_%%(process_num)d\nstartsecs=0\nautorestart=false\nstdout_logfile=DIR/%s_%%(process_num)d.out\n"+
		"stdout_logfile_maxbytes=0\nstderr_logfile=DIR/%s_%%(process_num)d.err\nstderr_logfile_maxbytes=0\n%s\n",
		kind, name, command, n, name, name, name, strings.Join(settings, "\n"))
}

// copySelf puts the test's binary where everybody can run it.
func (s *supervisord) copySelf() {
	s.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		s.Fatal(err)
	}
	defer self.Close()
	to, err := os.OpenFile(filepath.Join(s.dir, "child"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		s.Fatal(err)
	}
	if _, err = io.Copy(to, self); err == nil {
		err = to.Close()
	}
	if err != nil {
		s.Fatal(err)
	}
}

// kill ends supervisord and whatever belongs to it or has.
func (s *supervisord) kill() {
	self := filepath.Join(s.dir, "child")
	s.cmd.Process.Kill()
	<-s.ended
	all, err := everybody()
	if err != nil {
		s.Error(err)
	}
	for pid := range all {
		if line, _ := os.ReadFile(procPath(pid, "cmdline")); strings.Contains(string(line), self) {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// await asks until the answer is yes.
func (s *supervisord) await(what string, ask func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	for !ask() {
		if !pause(ctx, 10*time.Millisecond) {
			s.Fatalf("waited for %s for %v", what, limit)
		}
	}
}

// told asks for all that is to be known of the processes, and hangs up.
func (s *supervisord) told() (told Told) {
	s.Helper()
	var err error
	if told.Processes, err = s.Processes(s.Context()); err != nil {
		s.Fatal(err)
	}
	if told.Configs, err = s.Configs(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.Client.Close()
	return told
}

// info asks for what Inspect has to know, and hangs up.
func (s *supervisord) info() []Process {
	s.Helper()
	return s.told().Info()
}

// inspect returns the plan for what supervisord tells, once it has noticed that we have hung up.
func (s *supervisord) inspect() (plan *Plan) {
	s.Helper()
	info := s.info()
	s.await("the client to be forgotten", func() bool {
		var err error
		if plan, err = Inspect(s.cmd.Process.Pid, info); err != nil {
			s.Fatal(err)
		}
		return len(found(plan, Request)) == 0
	})
	return plan
}

// seize takes over what change has made of the plan.
func (s *supervisord) seize(change func(*Plan)) (*Plan, *Taken) {
	s.Helper()
	plan := s.inspect()
	change(plan)
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	taken, err := Seize(ctx, plan)
	if err != nil {
		s.Fatal(err)
	}
	return plan, taken
}

// runs reports whether supervisord is alive and not stopped.
func (s *supervisord) runs() bool {
	stat, err := host.ReadStat(s.cmd.Process.Pid)
	return err == nil && !strings.ContainsRune("TtZ", rune(stat.State))
}

// log returns the path of a log of a process.
func (s *supervisord) log(name, channel string) string {
	return filepath.Join(s.dir, name+"."+channel[:3])
}

// checker reads a stream of numbered lines and finds what is missing, doubled or mangled.
type checker struct {
	name string
	mu   sync.Mutex // guards what follows
	seen []*label
	rest []byte
	bad  []string
	told int // lines
}

// label is one kind of lines in a stream.
type label struct {
	name  string
	start []byte // of each line
	next  int
	ended bool
}

func newChecker(id, stream string) *checker {
	c := &checker{name: id + " " + stream}
	for _, name := range []string{"err", "out"} {
		c.seen = append(c.seen, &label{name: name, start: []byte(id + " " + name + " "), next: 1})
	}
	return c
}

func (c *checker) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(data)
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			c.rest = append(c.rest, data...)
			return n, nil
		}
		line := data[:i]
		if len(c.rest) > 0 {
			line = append(c.rest, line...)
			c.rest = nil
		}
		data = data[i+1:]
		c.told++
		if !c.fits(line) && len(c.bad) < 3 {
			c.bad = append(c.bad, fmt.Sprintf("line %d is %q", c.told, line))
		}
	}
}

// fits reports whether the line is the next of one kind.
func (c *checker) fits(line []byte) bool {
	for _, l := range c.seen {
		rest, ok := bytes.CutPrefix(line, l.start)
		if !ok || l.ended {
			continue
		}
		if end, ok := bytes.CutPrefix(rest, []byte("END ")); ok {
			l.ended = true
			return string(end) == strconv.Itoa(l.next-1)
		}
		number, pad, _ := bytes.Cut(rest, []byte(" "))
		l.next++
		return string(number) == strconv.Itoa(l.next-1) && (len(pad) == 0 || string(pad) == padding)
	}
	return false
}

// lines returns how many there were.
func (c *checker) lines() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

// verdict reports what was wrong with a stream that has ended and in which these labels were to be.
func (c *checker) verdict(t *testing.T, labels ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, bad := range c.bad {
		t.Errorf("%s: %s", c.name, bad)
	}
	if len(c.rest) > 0 {
		t.Errorf("%s: ends with %q", c.name, c.rest)
	}
	var ended []string
	for _, l := range c.seen {
		if l.ended {
			ended = append(ended, l.name)
		}
	}
	if !slices.Equal(ended, labels) {
		t.Errorf("%s: ended %q, want %q; %d lines", c.name, ended, labels, c.told)
	}
}

// feed gives the checker a file.
func (c *checker) feed(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(c, f); err != nil {
		t.Fatal(err)
	}
}
