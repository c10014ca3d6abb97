package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
)

// limit bounds every wait of a session; it only decides how soon a failure shows.
const limit = 60 * time.Second

// pairing is a daemon and a client.
type pairing struct {
	name              string
	daemon, ctl       string // paths
	ourDaemon, ourCtl bool
}

// environment is one session in progress.
type environment struct {
	*testing.T
	pairing
	dir     string
	port    string
	ctlPath string
	env     []string
	daemon  *running // nil: none was started, or it has ended and a session knows

	sessions []int // of all daemons that were started
}

// makeDir makes a directory whose name always has the same length: it is part of what has a length.
func makeDir() (string, error) {
	for {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("gc%08x", rand.Uint32()))
		if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
			return dir, err
		}
	}
}

// newEnvironment makes the directory of a session. Whatever it starts ends with the test.
func newEnvironment(t *testing.T, p pairing) *environment {
	t.Helper()
	// A short path: a unix socket's name holds 107 bytes.
	dir, err := makeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what a child still writes may come back; the system cleans up later
	e := &environment{T: t, pairing: p, dir: dir, port: freePort(t), ctlPath: p.ctl}
	e.env = []string{
		"PATH=" + searchPath, "HOME=" + dir, "LC_ALL=" + locale, "TZ=UTC", "PYTHONPATH=" + pythonPath(t), "PYTHONDONTWRITEBYTECODE=1",
	}
	t.Cleanup(func() {
		if e.daemon != nil && !p.ourDaemon {
			killSession(e.daemon.pid) // it takes a second for each group to end by itself
		}
		e.stop()
		e.killOrphans()
	})
	if !p.ourDaemon {
		e.pulse()
	}
	return e
}

// run carries out a script and returns its steps.
func run(t *testing.T, p pairing, script []statement) []step {
	t.Helper()
	e := newEnvironment(t, p)
	var steps []step
	for i := 0; i < len(script); i++ {
		s := script[i]
		s.rest = e.expand(s.rest)
		if s.isStep() {
			steps = append(steps, step{script[i], e.step(s)})
			continue
		}
		e.act(s)
	}
	return steps
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func pythonPath(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("testdata/python")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (e *environment) expand(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "$D", e.dir), "$P", e.port)
}

func (e *environment) path(name string) string { return filepath.Join(e.dir, name) }

// act carries out a statement that leaves no record.
func (e *environment) act(s statement) {
	e.Helper()
	words := strings.Fields(s.rest)
	switch s.verb {
	case "needs":
		if s.rest != "root" {
			e.Fatalf("%s: nobody knows who has %s", s.pos, s.rest)
		}
		if os.Getuid() != 0 {
			e.Skip("hidden: this session in all pairings, because only root can start processes as another user")
		}
	case "file":
		e.write(words[0], e.expand(strings.Join(s.block, "\n")+"\n"))
	case "edit":
		before, err := os.ReadFile(e.path("s.conf"))
		if err != nil {
			e.Fatalf("%s: %v", s.pos, err)
		}
		from, to, found := strings.Cut(s.rest, " => ")
		from, to = strings.ReplaceAll(from, `\n`, "\n"), strings.ReplaceAll(to, `\n`, "\n")
		if !found || !strings.Contains(string(before), from) {
			e.Fatalf("%s: s.conf has no %q", s.pos, from)
		}
		e.write("s.conf", strings.Replace(string(before), from, to, 1))
	case "touch":
		e.write(words[0], "")
	case "env":
		e.env = append(e.env, s.rest)
	case "daemon":
		if words[0] == "start" {
			e.start(s.pos)
		} else {
			e.stop()
		}
	case "call":
		a, err := e.parseCall(s.pos, s.rest).ours(context.Background())
		if err != nil || a.line != "" {
			e.Fatalf("%s: %s%v", s.pos, a.line, err)
		}
	case "wait":
		e.wait(s.pos, words[0], words[1])
	case "await", "lacks":
		name, text, _ := strings.Cut(s.rest, " ")
		e.await(s.pos, name, text, s.verb == "await")
	case "runs":
		e.poll(s.pos, "nothing matches "+s.rest, func() bool { return len(e.matching(s)) > 0 })
	case "died":
		e.poll(s.pos, "something matches "+s.rest, func() bool { return len(e.matching(s)) == 0 })
	case "kill":
		e.kill(s.pos, words[0], words[1])
	case "append":
		name, text, _ := strings.Cut(s.rest, " ")
		e.append(s.pos, name, text)
	case "mkdir":
		if err := os.MkdirAll(e.path(words[0]), 0o755); err != nil {
			e.Fatalf("%s: %v", s.pos, err)
		}
	case "chmod":
		mode, err := strconv.ParseUint(words[0], 8, 32)
		if err != nil {
			e.Fatalf("%s: %v", s.pos, err)
		}
		if err := os.Chmod(e.path(words[1]), os.FileMode(mode)); err != nil {
			e.Fatalf("%s: %v", s.pos, err)
		}
	case "rm":
		if err := os.RemoveAll(e.path(words[0])); err != nil {
			e.Fatalf("%s: %v", s.pos, err)
		}
	default:
		e.Fatalf("%s: unknown statement %q", s.pos, s.verb)
	}
}

// note carries out a statement of a conversation.
func (e *environment) note(pos, text string) {
	e.Helper()
	verb, rest, _ := strings.Cut(text, " ")
	e.act(statement{pos: pos, verb: verb, rest: rest})
}

// append adds bytes to a file; text is quoted as in Go.
func (e *environment) append(pos, name, text string) {
	e.Helper()
	data, err := strconv.Unquote(text)
	if err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
	f, err := os.OpenFile(e.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
	defer f.Close()
	if _, err := f.WriteString(e.expand(data)); err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
}

func (e *environment) write(name, text string) {
	e.Helper()
	if err := os.WriteFile(e.path(name), []byte(text), 0o600); err != nil {
		e.Fatal(err)
	}
}

// start starts the daemon in the foreground and waits until it answers.
func (e *environment) start(pos string) {
	e.Helper()
	e.stop()
	var err error
	if e.daemon, err = (order{path: e.pairing.daemon, args: []string{"-n", "-c", e.path("s.conf")}, dir: e.dir, env: e.env}).start(); err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
	e.sessions = append(e.sessions, e.daemon.pid)
	e.wait(pos, "daemon", "up")
}

// stop ends the daemon, if one runs.
func (e *environment) stop() {
	if e.daemon == nil {
		return
	}
	d := e.daemon
	e.daemon = nil
	select {
	case <-d.ended:
	default:
		_ = d.signal(syscall.SIGTERM) // it may end by itself at this moment
	}
	select {
	case <-d.ended:
	case <-time.After(limit):
		killSession(d.pid)
		<-d.ended
		e.Errorf("the daemon did not end by SIGTERM:\n%s%s", d.stdout.text(), d.stderr.text())
	}
	d.close()
}

// pulse keeps Debian's daemon awake: its loop looks at what has happened when a descriptor is ready, and else once a second, which would
// be most of the time of a session.
func (e *environment) pulse() {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if c, err := net.Dial("unix", e.path("s.sock")); err == nil { // else there is nobody to wake
				_ = c.Close()
			}
		}
	})
	e.Cleanup(func() {
		close(quit)
		done.Wait()
	})
}

// killSession kills the daemon and everything it has started: all of it is in the session that start opened for it. All are stopped first: keeper and
// daemon would start one another again.
func killSession(session int) {
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, m := range members(session) {
			_ = syscall.Kill(m.pid, sig) // it may have ended by itself
		}
	}
}

// killOrphans kills what daemons that have ended have left. Their sessions' numbers may be others' now, hence the look at the environment.
func (e *environment) killOrphans() {
	for _, session := range e.sessions {
		for _, m := range members(session) {
			if strings.Contains("\x00"+procFile(m.pid, "environ"), "\x00HOME="+e.dir+"\x00") {
				_ = syscall.Kill(m.pid, syscall.SIGKILL) // it may have ended by itself
			}
		}
	}
}

// wait polls the daemon: there is no event to wait for that both daemons have.
func (e *environment) wait(pos, name, state string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := e.look(ctx, name)
		if got == state {
			return
		}
		var gone <-chan struct{}
		if name == "daemon" && state == "up" {
			gone = e.daemon.ended
		}
		select {
		case <-tick.C:
		case <-gone:
			e.daemon.close()
			e.Fatalf("%s: the daemon has ended:\n%s%s", pos, e.daemon.stdout.text(), e.daemon.stderr.text())
		case <-ctx.Done():
			e.Fatalf("%s: %s is %s, want %s", pos, name, got, state)
		}
	}
}

// look returns the state of a process, or "up" or "gone".
func (e *environment) look(ctx context.Context, name string) string {
	c, err := client.New("unix://"+e.path("s.sock"), "", "")
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if name == "daemon" {
		if _, err := c.Call(ctx, "supervisor.getState"); err != nil {
			var fault *control.Error
			if errors.As(err, &fault) {
				return "leaving"
			}
			return "gone"
		}
		return "up"
	}
	p, err := c.Process(ctx, name)
	var fault *control.Error
	switch {
	case err == nil:
		return p.State.String()
	case errors.As(err, &fault) && fault.Code == control.BadName:
		return "gone"
	default:
		return err.Error()
	}
}

// step carries out a statement that leaves a record and returns it.
func (e *environment) step(s statement) []string {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	switch s.verb {
	case "rpc", "rpc*":
		return e.rpc(ctx, s)
	case "http":
		return e.http(ctx, s)
	case "cat":
		return e.cat(s)
	case "grep":
		return e.grep(s)
	case "proc":
		return e.proc(s)
	case "ps":
		return e.ps(s)
	case "end":
		return e.end(s)
	case "serve":
		return e.serve(ctx, s)
	}
	return e.command(ctx, s)
}

// command runs a client and records what it shows.
func (e *environment) command(ctx context.Context, s statement) []string {
	e.Helper()
	args := s.args(e.T)
	if s.verb != "raw" {
		args = append([]string{"-c", e.path("s.conf")}, args...)
	}
	client, err := order{path: e.ctl, args: args, dir: e.dir, env: e.env}.start()
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	if s.verb == "talk" {
		e.talk(ctx, s, client)
	} else {
		if s.verb == "shell" {
			_, _ = io.WriteString(client.stdin, e.expand(strings.Join(s.block, "\n")+"\n")) // it may leave before it has read all
		}
		_ = client.stdin.Close()
	}
	if !client.wait(ctx) {
		e.Fatalf("%s: the client does not end; so far:\n%s%s", s.pos, client.stdout.text(), client.stderr.text())
	}
	return e.record(client.stdout.text(), client.stderr.text(), strconv.Itoa(client.code), s.verb == "sorted")
}

// talk leads a conversation with a client.
func (e *environment) talk(ctx context.Context, s statement, client *running) {
	e.Helper()
	for _, line := range s.block {
		text := e.expand(strings.TrimPrefix(line[1:], " "))
		var err error
		switch line[0] {
		case '<':
			if !client.stdout.await(ctx, text) {
				client.wait(ctx)
				e.Fatalf("%s: %q never came; so far:\n%s%s", s.pos, text, client.stdout.text(), client.stderr.text())
			}
		case '>':
			_, err = io.WriteString(client.stdin, text+"\n")
		case '=':
			e.note(s.pos, text)
		case '^':
			e.settle(ctx, client.pid)
			if text == "D" {
				err = client.stdin.Close()
			} else {
				err = client.signal(syscall.SIGINT)
			}
		}
		if err != nil {
			e.Errorf("%s: %q: %v", s.pos, line, err)
		}
	}
}

// settle waits until a process has nothing to do: a signal that hits Supervisor's client while it prints shows its inner workings, and so
// do the descriptors and the mask of a program that works.
func (e *environment) settle(ctx context.Context, pid int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	before := ""
	for calm := 0; calm < 5; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		f := procStat(pid)
		if f == nil {
			return // it has ended
		}
		now := f[0] + " " + f[11] + " " + f[12] // state, and the time in user and kernel mode
		if now == before && f[0] == "S" {
			calm++
		} else {
			calm = 0
		}
		before = now
	}
}

// watched is a buffer that others can wait on.
type watched struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	seen int // bytes up to the end of the last text that was awaited
	news chan struct{}
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
	return w.buf.Write(b)
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// await returns once text has come behind the last one awaited; false if it does not before the context ends.
func (w *watched) await(ctx context.Context, text string) bool {
	for {
		w.mu.Lock()
		if i := strings.Index(w.buf.String()[w.seen:], text); i >= 0 {
			w.seen += i + len(text)
			w.mu.Unlock()
			return true
		}
		if w.news == nil {
			w.news = make(chan struct{})
		}
		news := w.news
		w.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return false
		}
	}
}
