package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// fakeSockets are the shared sockets of a fakeHost, which guards them.
type fakeSockets struct {
	probes  []string
	listens []string
	busy    string // the URL that somebody else has
	users   map[process.ID]string
}

// enter counts a process that is spawned; it returns the news that comes before it, or instead of it.
func (k *fakeSockets) enter(r host.SpawnRequest) host.Event {
	url := r.Spec.Socket.URL
	switch url {
	case "":
		return nil
	case k.busy:
		return host.SpawnFailed{ID: r.ID, Incarnation: r.Incarnation, Text: "cannot have " + url}
	}
	first := !k.open(url)
	if k.users == nil {
		k.users = map[process.ID]string{}
	}
	k.users[r.ID] = url
	if first {
		return host.SocketOpening{URL: url}
	}
	return nil
}

// leave returns the URL of the socket that is closed with the process.
func (k *fakeSockets) leave(id process.ID) string {
	url := k.users[id]
	delete(k.users, id)
	if url != "" && k.open(url) {
		return ""
	}
	return url
}

func (k *fakeSockets) open(url string) bool {
	for _, used := range k.users {
		if used == url {
			return true
		}
	}
	return false
}

// Listen notes what is to be open, and what else may stay.
func (h *fakeHost) Listen(open []process.NamedSocket, keep []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets.listens = append(h.sockets.listens, fmt.Sprint(open, keep))
}

// Probe reports from another goroutine than the loop's, as the real one does.
func (h *fakeHost) Probe(program string, s process.SocketSpec) {
	h.mu.Lock()
	h.sockets.probes = append(h.sockets.probes, program+" "+s.URL)
	busy := h.sockets.busy == s.URL
	h.mu.Unlock()
	h.events(host.SocketOpening{URL: s.URL})
	if busy {
		h.events(host.SocketFailed{URL: s.URL, Text: "cannot have " + s.URL})
		return
	}
	h.events(host.SocketClosed{URL: s.URL})
}

// probed returns the probes since the last call.
func (w *world) probed() []string {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	out := w.host.sockets.probes
	w.host.sockets.probes = nil
	return out
}

func fcgiProgram(name, socket string, numprocs int, more string) string {
	return "[fcgi-" + strings.TrimPrefix(program(name, numprocs, "socket="+socket+"\n"+more), "[")
}

// socketLines returns the lines of the main log that concern sockets and lives, without time and pid.
func (w *world) socketLines() []string {
	w.writer.Flush()
	var out []string
	for line := range strings.Lines(w.log.String()) {
		_, line, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ",")
		_, line, _ = strings.Cut(line, " ")
		line, _, _ = strings.Cut(line, " with pid")
		for _, word := range []string{"ocket", "cannot have", "spawned", "exited", "stopped", "gave up"} {
			if strings.Contains(line, word) {
				out = append(out, line)
				break
			}
		}
	}
	return out
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("log\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestSocketLines: the lines about sockets have their place among the others, up to the last one of all.
func TestSocketLines(t *testing.T) {
	var w *world
	inWorld(t, fcgiProgram("f", "unix:///s", 2, "autorestart=false"), func(ctx context.Context, in *world) {
		w = in
		pass(2 * time.Second)
		w.exit(ctx, "f:f_0", 3)
		w.exit(ctx, "f:f_1", 0)
		pass(time.Second)
		if _, err := w.d.Start(ctx, control.Target{Name: "f:f_1"}, true); err != nil {
			t.Error(err)
		}
	})
	wantLines(t, w.socketLines(), "INFO Creating socket unix:///s", "INFO Closing socket unix:///s",
		"INFO Creating socket unix:///s", "INFO spawned: 'f_0'", "INFO spawned: 'f_1'",
		"WARN exited: f_0 (exit status 3; not expected)", "INFO exited: f_1 (exit status 0; expected)", "INFO Closing socket unix:///s",
		"INFO Creating socket unix:///s", "INFO spawned: 'f_1'",
		"WARN stopped: f_1 (terminated by SIGTERM)", "INFO Closing socket unix:///s")
}

// exit lets a process end by itself.
func (w *world) exit(ctx context.Context, name string, code int) {
	w.t.Helper()
	v, err := w.d.current(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := v.find(name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.host.die(m.ID, code)
}

// TestSocketProbes: each group tries its sockets once when it is added, also those of members of a [group:x].
func TestSocketProbes(t *testing.T) {
	conf := fcgiProgram("f", "unix:///f", 3, "") + fcgiProgram("g", "tcp://h:1", 1, "autostart=false") + program("p", 1, "") +
		"[group:both]\nprograms=f,g,p\n[group:again]\nprograms=g\n"
	inWorld(t, conf, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if got, want := w.probed(), []string{"g tcp://h:1", "f unix:///f", "g tcp://h:1"}; !slices.Equal(got, want) {
			t.Errorf("probes at boot %q, want %q", got, want)
		}
		wantFault(t, w.d.AddGroup(ctx, "both"), control.AlreadyAdded, "both")
		w.write(conf + fcgiProgram("new", "unix:///new", 2, ""))
		if _, err := w.d.Reread(ctx); err != nil {
			t.Error(err)
		}
		if got := w.probed(); got != nil {
			t.Errorf("probes of what is not added: %q", got)
		}
		if err := w.d.AddGroup(ctx, "new"); err != nil {
			t.Error(err)
		}
		pass(time.Second)
		if got, want := w.probed(), []string{"new unix:///new"}; !slices.Equal(got, want) {
			t.Errorf("probes of a new group %q, want %q", got, want)
		}
	})
}

// TestNamedSockets: the host is told of the sockets of all processes, started or not; one that is in the files stays while its group is not there.
func TestNamedSockets(t *testing.T) {
	sockets := "[socket:a]\nlisten=tcp://127.0.0.1:1\n[socket:b]\nlisten=unix:///b\n"
	uses := func(name, socket string) string { return program(name, 2, "autostart=false\nsockets="+socket) }
	inWorld(t, sockets+uses("p", "a"), func(ctx context.Context, w *world) {
		pass(time.Second)
		told := func(want ...string) {
			t.Helper()
			pass(time.Second)
			w.host.mu.Lock()
			defer w.host.mu.Unlock()
			if !slices.Equal(w.host.sockets.listens, want) {
				t.Errorf("told %q, want %q", w.host.sockets.listens, want)
			}
			w.host.sockets.listens = nil
		}
		const a, b = "a tcp://127.0.0.1:1", "b unix:///b mode=0700"
		told("[" + a + "] [tcp://127.0.0.1:1]")
		if _, err := w.d.Start(ctx, control.Target{Name: "p:*"}, true); err != nil {
			t.Error(err)
		}
		told()
		w.write(sockets + uses("p", "b, a"))
		if _, err := w.d.Reread(ctx); err != nil {
			t.Error(err)
		}
		told()
		if _, err := w.d.Stop(ctx, control.Target{Name: "p:*"}, true); err != nil {
			t.Error(err)
		}
		if err := w.d.RemoveGroup(ctx, "p"); err != nil {
			t.Error(err)
		}
		pass(time.Second)
		if err := w.d.AddGroup(ctx, "p"); err != nil {
			t.Error(err)
		}
		keep := "[unix:///b tcp://127.0.0.1:1]"
		told("["+a+"] "+keep, "[] "+keep, "["+b+" "+a+"] "+keep)
	})
}

// TestSocketTaken keeps quirk C16 fixed: a socket that cannot be opened ends the processes that need it, not the daemon.
func TestSocketTaken(t *testing.T) {
	var w *world
	inWorld(t, program("other", 1, ""), func(ctx context.Context, in *world) {
		w = in
		pass(time.Second)
		w.host.mu.Lock()
		w.host.sockets.busy = "tcp://h:1"
		w.host.mu.Unlock()
		w.write(program("other", 1, "") + fcgiProgram("f", "tcp://h:1", 1, "startretries=1"))
		if _, err := w.d.Reread(ctx); err != nil {
			t.Error(err)
		}
		if err := w.d.AddGroup(ctx, "f"); err != nil {
			t.Error(err)
		}
		pass(5 * time.Second)
		if got, want := w.states(ctx), "f:f_0 FATAL\nother:other_0 RUNNING\n"; got != want {
			t.Errorf("states\n%s", got)
		}
		p, err := w.d.Process(ctx, "f:f_0")
		if err != nil || p.SpawnErr != "cannot have tcp://h:1" {
			t.Errorf("%+v %v", p, err)
		}
		w.host.mu.Lock()
		w.host.sockets.busy = ""
		w.host.mu.Unlock()
		if _, err := w.d.Start(ctx, control.Target{Name: "f:f_0"}, true); err != nil {
			t.Error(err)
		}
	})
	wantLines(t, w.socketLines(), "INFO spawned: 'other_0'", "INFO Creating socket tcp://h:1", "ERRO cannot have tcp://h:1",
		"INFO spawnerr: cannot have tcp://h:1", "INFO spawnerr: cannot have tcp://h:1",
		"INFO gave up: f_0 entered FATAL state, too many start retries too quickly",
		"INFO Creating socket tcp://h:1", "INFO spawned: 'f_0'", "WARN stopped: f_0 (terminated by SIGTERM)", "INFO Closing socket tcp://h:1",
		"WARN stopped: other_0 (terminated by SIGTERM)")
}
