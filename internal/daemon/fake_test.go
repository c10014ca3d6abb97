package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// fakeHost is a host without processes: a child runs until it is signalled. Its outcomes arrive later, from other goroutines, as the real
// ones do.
type fakeHost struct {
	events func(host.Event)

	mu      sync.Mutex
	nextPID int
	alive   map[process.ID]host.Spawned
	names   map[process.ID]string
	deaf    map[string]bool // names of processes that ignore TERM
	missing map[string]bool // commands that cannot be found
	stdin   map[string]string
	environ map[string][]string
	lacks   string // what a process lacks that is to have a control group
	spawns  int
	sockets fakeSockets
}

func newFakeHost() *fakeHost {
	return &fakeHost{
		nextPID: 100, alive: map[process.ID]host.Spawned{}, deaf: map[string]bool{}, missing: map[string]bool{}, stdin: map[string]string{},
		environ: map[string][]string{}, names: map[process.ID]string{},
	}
}

// set changes how the host behaves from now on.
func (h *fakeHost) set(names map[string]bool, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	names[name] = true
}

func (h *fakeHost) Spawn(r host.SpawnRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spawns++
	h.environ[r.Spec.Name] = r.Environ
	later := time.Millisecond + time.Duration(h.spawns)*time.Microsecond // outcomes come in the order of the spawns
	before := h.sockets.enter(r)
	if _, failed := before.(host.SpawnFailed); failed {
		time.AfterFunc(later, func() { h.events(before) })
		return
	}
	h.nextPID++
	e := host.Spawned{ID: r.ID, Incarnation: r.Incarnation, PID: h.nextPID}
	h.alive[r.ID] = e
	time.AfterFunc(later, func() {
		if before != nil {
			h.events(before)
		}
		if r.Spec.Tree.Grouped() {
			h.events(host.Placed{ID: e.ID, Incarnation: e.Incarnation, Cgroup: "/c/" + r.Group + "." + r.Spec.Name, Lacks: h.lacks})
		}
		h.events(e)
	})
	h.names[r.ID] = r.Spec.Name
}

// Resume finds nothing of a process that is not alive.
func (h *fakeHost) Resume(r host.SpawnRequest, pid int, _ *host.There) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.alive[r.ID]; ok && e.PID == pid {
		return
	}
	h.events(host.Exited{ID: r.ID, Incarnation: r.Incarnation, PID: pid, Status: process.ExitStatus{Unknown: true}, At: time.Now()})
}

func (h *fakeHost) Resumed() {}

func (h *fakeHost) Settle(process.ID, process.Incarnation) {}

func (h *fakeHost) Signal(r host.SignalRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.alive[r.ID]
	time.AfterFunc(time.Microsecond, func() { h.events(host.Signalled{ID: r.ID, Incarnation: r.Incarnation, Token: r.Token}) })
	if !ok || e.Incarnation != r.Incarnation || r.Signal != process.SIGKILL && (r.Signal != process.SIGTERM || h.deaf[h.names[r.ID]]) {
		return
	}
	delete(h.alive, r.ID)
	time.AfterFunc(200*time.Millisecond, func() {
		h.mu.Lock()
		closed := h.sockets.leave(e.ID)
		h.mu.Unlock()
		h.events(host.Exited{ID: e.ID, Incarnation: e.Incarnation, PID: e.PID, Status: process.ExitStatus{Signal: r.Signal}, At: time.Now(), Closed: closed})
	})
}

// die lets a process end by itself.
func (h *fakeHost) die(id process.ID, code int) { h.end(id, process.ExitStatus{Code: code}) }

func (h *fakeHost) end(id process.ID, status process.ExitStatus) {
	h.mu.Lock()
	e := h.alive[id]
	delete(h.alive, id)
	closed := h.sockets.leave(id)
	h.mu.Unlock()
	h.events(host.Exited{ID: e.ID, Incarnation: e.Incarnation, PID: e.PID, Status: status, At: time.Now(), Closed: closed})
}

func (h *fakeHost) WriteStdin(r host.StdinRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	switch string(r.Data) {
	case "close":
		err = host.ErrStdinClosed
	case "full":
		err = host.ErrStdinFull
	default:
		h.stdin[fmt.Sprint(r.ID)] += string(r.Data)
	}
	time.AfterFunc(time.Microsecond, func() { h.events(host.StdinWritten{ID: r.ID, Token: r.Token, Err: err, Idle: r.Idle}) })
}

func (h *fakeHost) Check(s *process.Spec) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.missing[s.Command] {
		return &host.CommandError{Reason: host.NotFound, Text: "can't find command '" + s.Command + "'"}
	}
	return nil
}

// Run runs nothing: a command that is missing fails.
func (h *fakeHost) Run(_ context.Context, _ *process.Spec, _ []string, command string) ([]byte, error) {
	return []byte("output of " + command), h.Check(&process.Spec{Command: command})
}

func (h *fakeHost) Facts() host.Facts {
	return host.Facts{Kernel: "6.1", Unknown: []string{"x"}, Features: []host.Feature{{Name: "splice", Disabled: true, Detail: "d", Use: "u", Instead: "i"}}}
}

func (h *fakeHost) Close() error { return nil }

// world is a daemon in virtual time with a configuration in memory.
type world struct {
	t      *testing.T
	d      *Daemon
	host   *fakeHost
	mu     sync.Mutex
	files  map[string]string
	log    *lockedBuffer
	ended  chan bool
	writer *LogWriter
	step   atomic.Int64 // how far the time of day is off, in nanoseconds
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// inWorld runs f in a bubble of virtual time with a booted daemon, and shuts it down afterwards.
func inWorld(t *testing.T, conf string, f func(ctx context.Context, w *world)) {
	t.Helper()
	inWorldWith(t, conf, nil, f)
}

// inWorldWith is inWorld with what an earlier daemon has left, and with processes that are there already.
func inWorldWith(t *testing.T, conf string, state *State, f func(ctx context.Context, w *world), found ...FoundProcess) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, host: newFakeHost(), files: map[string]string{}, log: &lockedBuffer{}, ended: make(chan bool, 1)}
		w.write(conf)
		c, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		w.writer = NewLogWriter(w.log)
		w.d, err = New(Options{
			Config: c, Load: w.load, State: state, Found: found, Logger: NewLogger(w.writer, LevelDebug), Flush: w.writer.Flush, Version: "4.2.5", PID: func() int { return 4711 },
			ServerURL: "unix:///run/s.sock", Environ: []string{"PATH=/bin", "HOME=/root"},
			Wall: func() time.Time { return time.Now().Add(time.Duration(w.step.Load())) },
			Host: func(events func(host.Event)) (host.Host, error) { w.host.events = events; return w.host, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		go func() { w.ended <- w.d.Run(context.Background()) }()
		f(t.Context(), w)
		if info, _ := w.d.Daemon(t.Context()); info.Mood == control.MoodRunning {
			if err := w.d.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		<-w.ended
		if err := w.d.Close(); err != nil {
			t.Error(err)
		}
		w.writer.Close()
	})
}

// pass lets virtual time go by: inWorld runs in a bubble of testing/synctest, whose clock jumps to the next timer.
func pass(d time.Duration) { <-time.After(d) }

func (w *world) write(conf string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files["/etc/s.conf"] = "[supervisord]\nidentifier=test\n" + conf
}

func (w *world) load() (*config.Config, error) {
	return config.Load(config.Machine{
		ReadFile: func(path string) ([]byte, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if text, ok := w.files[filepath.Clean(path)]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		ReadDir:   func(string) ([]string, error) { return nil, nil },
		Exists:    func(string) bool { return false },
		DirExists: func(string) bool { return true },
		User:      func(string) (config.User, error) { return config.User{}, fs.ErrNotExist },
		Group:     func(string) (int, error) { return 0, fs.ErrNotExist },
		Home:      func(string) (string, error) { return "/root", nil },
		Hostname:  "testhost", Dir: "/", TempDir: "/tmp",
	}, "/etc/s.conf", nil)
}

// program is a [program:x] section without logs.
func program(name string, numprocs int, more string) string {
	return fmt.Sprintf("[program:%s]\ncommand=/bin/%s\nprocess_name=%%(program_name)s_%%(process_num)s\nnumprocs=%d\nstdout_logfile=NONE\nstderr_logfile=NONE\n%s\n",
		name, name, numprocs, more)
}

// pids returns the pid of each process by full name.
func (w *world) pids(ctx context.Context) map[string]int {
	w.t.Helper()
	list, err := w.d.Processes(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int{}
	for _, p := range list {
		out[p.Group+":"+p.Name] = p.PID
	}
	return out
}

// states renders "name STATE" of all processes.
func (w *world) states(ctx context.Context) string {
	w.t.Helper()
	list, err := w.d.Processes(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	s := ""
	for _, p := range list {
		s += p.Group + ":" + p.Name + " " + p.State.String() + "\n"
	}
	return s
}
