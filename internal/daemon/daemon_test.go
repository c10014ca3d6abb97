package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// wantFault checks an error for its fault number and detail.
func wantFault(t *testing.T, err error, code control.Code, text string) {
	t.Helper()
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code || e.Text != text {
		t.Errorf("got %#v, want fault %d %q", err, code, text)
	}
}

func TestLifecycle(t *testing.T) {
	inWorld(t, program("web", 2, "")+program("idle", 1, "autostart=false"), func(ctx context.Context, w *world) {
		pass(500 * time.Millisecond)
		if got, want := w.states(ctx), "idle:idle_0 STOPPED\nweb:web_0 STARTING\nweb:web_1 STARTING\n"; got != want {
			t.Fatalf("after boot:\n%s", got)
		}
		pass(time.Second)
		if got, want := w.states(ctx), "idle:idle_0 STOPPED\nweb:web_0 RUNNING\nweb:web_1 RUNNING\n"; got != want {
			t.Fatalf("after startsecs:\n%s", got)
		}
		pass(time.Hour)
		p, err := w.d.Process(ctx, "web:web_1")
		if err != nil || p.PID != 102 || p.Description != "pid 102, uptime 1:00:01" || p.Start.IsZero() {
			t.Errorf("web_1: %+v %v", p, err)
		}
		if idle, _ := w.d.Process(ctx, "idle:idle_0"); idle.Description != "Not started" {
			t.Errorf("idle: %+v", idle)
		}
		_, err = w.d.Process(ctx, "web:*")
		wantFault(t, err, control.BadName, "web:*")

		// A reader sees what its own command did, whether it waited or not.
		rows, err := w.d.Stop(ctx, control.Target{Name: "web:*"}, true)
		if err != nil || len(rows) != 2 || rows[0].Code != control.Success || rows[0].Text != "OK" {
			t.Errorf("stop: %+v %v", rows, err)
		}
		if got := w.states(ctx); strings.Count(got, "STOPPED") != 3 {
			t.Errorf("after stop:\n%s", got)
		}
		_, err = w.d.Stop(ctx, control.Target{Name: "web:web_0"}, true)
		wantFault(t, err, control.NotRunning, "web:web_0")
		if _, err := w.d.Start(ctx, control.Target{Name: "web:web_0"}, false); err != nil {
			t.Error(err)
		}
		if got := w.states(ctx); !strings.Contains(got, "web:web_0 STARTING") {
			t.Errorf("after start:\n%s", got)
		}
		_, err = w.d.Start(ctx, control.Target{Name: "web:web_0"}, true)
		wantFault(t, err, control.AlreadyStarted, "web:web_0")

		w.host.set(w.host.missing, "/bin/idle")
		_, err = w.d.Start(ctx, control.Target{Name: "idle:idle_0"}, true)
		wantFault(t, err, control.NoFile, "can't find command '/bin/idle'")
		rows, err = w.d.Start(ctx, control.Target{All: true}, true)
		if err != nil || len(rows) != 2 || !slices.ContainsFunc(rows, func(r control.Result) bool {
			return r.Name == "idle_0" && r.Code == control.NoFile && r.Text == "NO_FILE: can't find command '/bin/idle'"
		}) {
			t.Errorf("start all: %+v %v", rows, err)
		}

		_, err = w.d.Signal(ctx, control.Target{Name: "web:web_0"}, "HUHU")
		wantFault(t, err, control.BadSignal, "HUHU")
		if _, err = w.d.Signal(ctx, control.Target{Name: "web:web_0"}, "hup"); err != nil {
			t.Error(err)
		}
		if err := w.d.WriteStdin(ctx, "web:web_0", []byte("hello")); err != nil {
			t.Error(err)
		}
		wantFault(t, w.d.WriteStdin(ctx, "web:web_0", []byte("close")), control.NoFile, "web:web_0")
		wantFault(t, w.d.WriteStdin(ctx, "idle:idle_0", []byte("x")), control.NotRunning, "idle:idle_0")
		wantFault(t, w.d.WriteStdin(ctx, "nope", []byte("x")), control.BadName, "nope")
	})
}

// TestGraceUpdate plays growing, shrinking, refusals and a broken file; no process that stays is ever touched.
func TestGraceUpdate(t *testing.T) {
	inWorld(t, program("foo", 2, "")+program("bar", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		base := w.pids(ctx)
		kept := func(when string) {
			t.Helper()
			now := w.pids(ctx)
			for _, name := range []string{"foo:foo_0", "foo:foo_1", "bar:bar_0"} {
				if now[name] != base[name] {
					t.Errorf("%s: %s has pid %d, had %d", when, name, now[name], base[name])
				}
			}
		}
		update := func(conf string) string {
			t.Helper()
			w.write(conf)
			r, err := w.d.GraceUpdate(ctx, "foo")
			if err != nil {
				return err.Error()
			}
			return strings.TrimSpace(fmt.Sprint(r.Message, " +", r.Added, " stopped", r.Stopped, " -", r.Removed, r.Fields, len(r.Failed)))
		}
		bar := program("bar", 1, "")
		for _, c := range []struct{ name, conf, want string }{
			{"equal", program("foo", 2, "") + bar, "No need to update +[] stopped[] -[] [] 0"},
			{"grow past ten", program("foo", 12, "") + bar, "+[foo:foo_2 foo:foo_3 foo:foo_4 foo:foo_5 foo:foo_6 foo:foo_7 foo:foo_8 foo:foo_9 foo:foo_10 foo:foo_11] stopped[] -[] [] 0"},
			{"shrink", program("foo", 3, "") + bar, "+[] stopped[foo:foo_3 foo:foo_4 foo:foo_5 foo:foo_6 foo:foo_7 foo:foo_8 foo:foo_9 foo:foo_10 foo:foo_11] " +
				"-[foo:foo_3 foo:foo_4 foo:foo_5 foo:foo_6 foo:foo_7 foo:foo_8 foo:foo_9 foo:foo_10 foo:foo_11] [] 0"},
			{"priority", program("foo", 2, "priority=5") + bar, "Not only numprocs has changed: priority is difference +[] stopped[] -[] [priority] 0"},
			{"count and command", program("foo", 2, "startsecs=3\nenvironment=A=1") + bar, "Not only numprocs has changed +[] stopped[] -[] [startsecs environment] 0"},
			{"broken", "[program:foo]\ncommand=/bin/foo\nstartsecs=soon\n", "CANT_REREAD: invalid literal for int() with base 10: 'soon' in section 'program:foo' (file: '/etc/s.conf')"},
			{"group gone from the files", bar, "BAD_NAME: group: foo"},
			{"back to two", program("foo", 2, "") + bar, "+[] stopped[foo:foo_2] -[foo:foo_2] [] 0"},
		} {
			if got := update(c.conf); got != c.want {
				t.Errorf("%s:\n got  %s\n want %s", c.name, got, c.want)
			}
			kept(c.name)
		}
		_, err := w.d.GraceUpdate(ctx, "nope")
		wantFault(t, err, control.BadName, "group: nope")

		// A refusal or a broken file must not change the daemon's idea of the files: nothing new can be added afterwards (quirk G7).
		update(program("foo", 2, "priority=5") + bar + program("new", 1, ""))
		wantFault(t, w.d.AddGroup(ctx, "new"), control.BadName, "new")
		// Nor does success for one group take over what else changed.
		update(program("foo", 3, "") + bar + program("new", 1, ""))
		wantFault(t, w.d.AddGroup(ctx, "new"), control.BadName, "new")
		if r, err := w.d.Reread(ctx); err != nil || fmt.Sprint(r) != "{[new] [] []}" {
			t.Errorf("reread: %v %v", r, err)
		}
		if err := w.d.AddGroup(ctx, "new"); err != nil {
			t.Error(err)
		}
		kept("after reread and add")
	})
}

// TestGraceSurplusInAnyState shrinks a group whose surplus is stopped, ignores TERM, or has given up.
func TestGraceSurplusInAnyState(t *testing.T) {
	conf := func(n int) string {
		return program("foo", n, "startretries=0\nstartsecs=1\nstopwaitsecs=7\nautorestart=false")
	}
	inWorld(t, conf(6), func(ctx context.Context, w *world) {
		w.host.set(w.host.deaf, "foo_4")
		pass(3 * time.Second)
		base := w.pids(ctx)
		if _, err := w.d.Stop(ctx, control.Target{Name: "foo:foo_2"}, true); err != nil {
			t.Fatal(err)
		}
		v, err := w.d.current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		dying, err := v.find("foo:foo_3")
		if err != nil {
			t.Fatal(err)
		}
		w.host.die(dying.ID, 3)
		synctest.Wait()
		if got := w.states(ctx); !strings.Contains(got, "foo_2 STOPPED") || !strings.Contains(got, "foo_3 EXITED") {
			t.Fatalf("before:\n%s", got)
		}
		w.write(conf(2))
		began := time.Now()
		r, err := w.d.GraceUpdate(ctx, "foo")
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("took %v, want the 7 s of the deaf process, the others in parallel", took)
		}
		if got, want := fmt.Sprint(r.Stopped, r.Removed, r.Failed), "[foo:foo_4 foo:foo_5] [foo:foo_2 foo:foo_3 foo:foo_4 foo:foo_5] []"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := w.states(ctx), "foo:foo_0 RUNNING\nfoo:foo_1 RUNNING\n"; got != want {
			t.Errorf("after:\n%s", got)
		}
		if now := w.pids(ctx); now["foo:foo_0"] != base["foo:foo_0"] || now["foo:foo_1"] != base["foo:foo_1"] {
			t.Errorf("pids %v, were %v", now, base)
		}
	})
}

// TestGraceClientGone kills the asking client midway: the work is finished all the same, and a second client hears the whole result.
func TestGraceClientGone(t *testing.T) {
	inWorld(t, program("foo", 4, "stopwaitsecs=5"), func(ctx context.Context, w *world) {
		w.host.set(w.host.deaf, "foo_3")
		pass(2 * time.Second)
		base := w.pids(ctx)
		w.write(program("foo", 2, "stopwaitsecs=5"))
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := w.d.GraceUpdate(short, "foo"); err == nil {
			t.Error("an update whose client is gone answers")
		}
		r, err := w.d.GraceUpdate(ctx, "foo")
		if err != nil || !slices.Contains(r.Removed, "foo:foo_3") {
			t.Errorf("second client: %+v %v", r, err)
		}
		if got, want := w.pids(ctx), map[string]int{"foo:foo_0": base["foo:foo_0"], "foo:foo_1": base["foo:foo_1"]}; !maps.Equal(got, want) {
			t.Errorf("after: %v, want %v", got, want)
		}
	})
}

// TestGraceTwoClients asks twice at once; both succeed and agree about the end.
func TestGraceTwoClients(t *testing.T) {
	inWorld(t, program("foo", 10, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(program("foo", 6, ""))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := w.d.GraceUpdate(ctx, "foo"); err != nil {
					t.Error(err)
				}
				if n := len(w.pids(ctx)); n != 6 {
					t.Errorf("%d processes when the answer came", n)
				}
			})
		}
		wg.Wait()
	})
}

// TestUpdateNumprocs drives the old wire protocol as the Python plugin does, in the good case and in those that used to get stuck.
func TestUpdateNumprocs(t *testing.T) {
	inWorld(t, program("foo", 2, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		base := w.pids(ctx)
		plugin := func(n int) string {
			t.Helper()
			w.write(program("foo", n, ""))
			a, err := w.d.UpdateNumprocs(ctx, "foo")
			if err != nil {
				return err.Error()
			}
			if a.Type != "reduce" {
				return fmt.Sprint(a)
			}
			for _, name := range a.Processes {
				if _, err := w.d.Stop(ctx, control.Target{Name: name}, true); err != nil {
					return err.Error()
				}
			}
			for _, name := range a.Processes {
				if err := w.d.RemoveProcess(ctx, "foo", strings.TrimPrefix(name, "foo:")); err != nil {
					return err.Error()
				}
			}
			return fmt.Sprint(a)
		}
		for _, c := range []struct {
			n    int
			want string
		}{
			{2, "{error [] No need to update}"}, {3, "{add [foo:foo_2] }"}, {2, "{reduce [foo:foo_2] }"}, {2, "{error [] No need to update}"},
		} {
			if got := plugin(c.n); got != c.want {
				t.Errorf("numprocs %d: got %s, want %s", c.n, got, c.want)
			}
			pass(2 * time.Second)
		}
		// One surplus process is stopped already: the plugin's stop of it succeeds all the same (quirk G5).
		plugin(4)
		pass(2 * time.Second)
		if _, err := w.d.Stop(ctx, control.Target{Name: "foo:foo_3"}, true); err != nil {
			t.Fatal(err)
		}
		if got, want := plugin(2), "{reduce [foo:foo_2 foo:foo_3] }"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if now := w.pids(ctx); !maps.Equal(now, base) {
			t.Errorf("after: %v, want %v", now, base)
		}
		w.write("[program:foo]\nnumprocs=x")
		_, err := w.d.UpdateNumprocs(ctx, "foo")
		var e *control.Error
		if !errors.As(err, &e) || e.Code != control.CantReread {
			t.Errorf("broken file: %v", err)
		}
	})
}

func TestGroups(t *testing.T) {
	inWorld(t, program("a", 1, "")+program("b", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		wantFault(t, w.d.AddGroup(ctx, "a"), control.AlreadyAdded, "a")
		wantFault(t, w.d.RemoveGroup(ctx, "a"), control.StillRunning, "a")
		wantFault(t, w.d.RemoveGroup(ctx, "x"), control.BadName, "x")
		if _, err := w.d.Stop(ctx, control.Target{Name: "a", Group: true}, true); err != nil {
			t.Fatal(err)
		}
		if err := w.d.RemoveGroup(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if got := w.states(ctx); got != "b:b_0 RUNNING\n" {
			t.Errorf("after remove:\n%s", got)
		}
		// twiddler
		if err := w.d.AddProgram(ctx, "b", "extra", map[string]string{"command": "/bin/x", "stdout_logfile": "NONE", "stderr_logfile": "NONE"}); err != nil {
			t.Fatal(err)
		}
		wantFault(t, w.d.AddProgram(ctx, "b", "extra", map[string]string{"command": "/bin/x"}), control.BadName, "extra")
		wantFault(t, w.d.AddProgram(ctx, "zz", "extra", map[string]string{"command": "/bin/x"}), control.BadName, "group: zz")
		for depends, want := range map[string]string{
			"extra:started, x": "depends_on names unknown program or group x in section 'program:late' (file: '/etc/s.conf')",
			"b:b_7":            "depends_on names b:b_7, which is no process of b, nor is b_7 a condition in section 'program:late' (file: '/etc/s.conf')",
			"a":                "depends_on names unknown program or group a in section 'program:late' (file: '/etc/s.conf')", // it has been removed
			"late":             "programs depend on one another in a circle: b:late -> b:late in section 'program:late' (file: '/etc/s.conf')",
			"extra,":           "an empty name in the list of depends_on in section 'program:late' (file: '/etc/s.conf')",
		} {
			wantFault(t, w.d.AddProgram(ctx, "b", "late", map[string]string{"command": "/bin/x", "depends_on": depends}), control.IncorrectParameters, want)
		}
		if err := w.d.AddProgram(ctx, "b", "late", map[string]string{"command": "/bin/x", "depends_on": "extra, b:b_0:ready", "stdout_logfile": "NONE", "stderr_logfile": "NONE"}); err != nil {
			t.Errorf("a program that depends on what is there: %v", err)
		}
		err := w.d.AddProgram(ctx, "b", "extra2", map[string]string{"command": "/bin/x", "numprocs": "many"})
		var e *control.Error
		if !errors.As(err, &e) || e.Code != control.IncorrectParameters || !strings.Contains(e.Text, "'many'") {
			t.Errorf("bad option: %v", err)
		}
		pass(2 * time.Second)
		wantFault(t, w.d.RemoveProcess(ctx, "b", "extra"), control.StillRunning, "extra")
		wantFault(t, w.d.RemoveProcess(ctx, "b", "nope"), control.BadName, "nope")
		if r, err := w.d.Reread(ctx); err != nil || fmt.Sprint(r) != "{[a] [b] []}" {
			t.Errorf("reread: %v %v", r, err)
		}
	})
}

// TestShutdown checks that a waiting caller gets its answer, that commands are refused, and that restart validates first.
func TestShutdown(t *testing.T) {
	inWorld(t, program("a", 2, "stopwaitsecs=3"), func(ctx context.Context, w *world) {
		w.host.set(w.host.deaf, "a_1")
		pass(2 * time.Second)
		w.write("loglevel=loud\n")
		wantFault(t, w.d.Restart(ctx), control.CantReread, "bad logging level name 'loud'")
		if got := w.states(ctx); strings.Count(got, "RUNNING") != 2 {
			t.Errorf("a refused restart stopped something:\n%s", got)
		}
		w.write(program("a", 2, "stopwaitsecs=3"))
		answered := make(chan error, 1)
		go func() {
			_, err := w.d.Stop(ctx, control.Target{Name: "a:a_1"}, true)
			answered <- err
		}()
		synctest.Wait()
		if err := w.d.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		if info, _ := w.d.Daemon(ctx); info.Mood != control.MoodShutdown {
			t.Errorf("mood %v", info.Mood)
		}
		if err := <-answered; err != nil {
			t.Errorf("the stop that was under way: %v", err)
		}
		if restart := <-w.ended; restart {
			t.Error("a shutdown wants a restart")
		}
		w.ended <- false
		w.writer.Flush()
		for _, line := range []string{"WARN killing 'a_1' (102) with SIGKILL", "INFO waiting for a_0, a_1 to die", "WARN stopped: a_0 (terminated by SIGTERM)"} {
			if !strings.Contains(w.log.String(), line) {
				t.Errorf("the log lacks %q:\n%s", line, w.log)
			}
		}
		if _, err := w.d.Start(ctx, control.Target{All: true}, true); err == nil {
			t.Error("a daemon that has ended starts processes")
		}
	})
}

// TestQuitEmpty: a daemon without processes stops in the very turn that takes the wish; who asked still hears that it was done.
func TestQuitEmpty(t *testing.T) {
	for range 100 {
		inWorld(t, "", func(ctx context.Context, w *world) {
			if err := w.d.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestMainLogLines(t *testing.T) {
	inWorld(t, program("a", 1, "startretries=1\nautorestart=true"), func(ctx context.Context, w *world) {
		pass(1500 * time.Millisecond)
		v, err := w.d.current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.host.die(v.procs[0].ID, 0)
		pass(100 * time.Millisecond)
		w.host.die(v.procs[0].ID, 1)
		pass(1100 * time.Millisecond)
		w.host.die(v.procs[0].ID, 0)
		pass(5 * time.Second)
		w.writer.Flush()
		var got []string
		for line := range strings.Lines(w.log.String()) {
			if !strings.Contains(line, " DEBG ") {
				got = append(got, strings.TrimSpace(line[len("2000-01-01 00:00:00,000 "):]))
			}
		}
		want := []string{
			"INFO spawned: 'a_0' with pid 101",
			"INFO success: a_0 entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)",
			"INFO exited: a_0 (exit status 0; expected)",
			"INFO spawned: 'a_0' with pid 102",
			"WARN exited: a_0 (exit status 1; not expected)",
			"INFO spawned: 'a_0' with pid 103",
			"WARN exited: a_0 (exit status 0; not expected)",
			"INFO gave up: a_0 entered FATAL state, too many start retries too quickly",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	})
}

func TestEnviron(t *testing.T) {
	inWorld(t, "environment=G=1,SUPERVISOR_ENABLED=0\n"+program("a", 1, "environment=HOME=/h,P=2")+program("b", 1, "serverurl=")+program("c", 1, "serverurl=http://x:1"),
		func(ctx context.Context, w *world) {
			pass(time.Second)
			for name, want := range map[string]string{
				"a_0": "PATH=/bin SUPERVISOR_ENABLED=0 SUPERVISOR_SERVER_URL=unix:///run/s.sock SUPERVISOR_PROCESS_NAME=a_0 SUPERVISOR_GROUP_NAME=a G=1 HOME=/h P=2",
				"b_0": "PATH=/bin HOME=/root SUPERVISOR_ENABLED=0 SUPERVISOR_PROCESS_NAME=b_0 SUPERVISOR_GROUP_NAME=b G=1",
				"c_0": "PATH=/bin HOME=/root SUPERVISOR_ENABLED=0 SUPERVISOR_SERVER_URL=http://x:1 SUPERVISOR_PROCESS_NAME=c_0 SUPERVISOR_GROUP_NAME=c G=1",
			} {
				w.host.mu.Lock()
				got := strings.Join(w.host.environ[name], " ")
				w.host.mu.Unlock()
				if got != want {
					t.Errorf("%s:\n got  %s\n want %s", name, got, want)
				}
			}
		})
}

func TestUptime(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0:00:00", 59: "0:00:59", 3661: "1:01:01", 86399: "23:59:59", 86400: "1 day, 0:00:00", 3*86400 + 36001: "3 days, 10:00:01"} {
		if got := uptime(seconds); got != want {
			t.Errorf("uptime(%d) = %q, want %q", seconds, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 48, 0, 0, time.Local)
	for _, c := range []struct {
		m    member
		want string
	}{
		{member{Status: process.Status{State: process.Running, PID: 7, Started: now.Add(time.Hour)}}, "pid 7, uptime 0:00:00"},
		{member{Status: process.Status{State: process.Exited, Started: now, Ended: now}}, "Nov 22 03:48 PM"},
		{member{Status: process.Status{State: process.Fatal, Name: "x"}}, `unknown error (try "tail x")`},
		{member{Status: process.Status{State: process.Backoff, SpawnErr: "Exited too quickly"}}, "Exited too quickly"},
		{member{Status: process.Status{State: process.Backoff, SpawnErr: "Exited too quickly", Waits: "waits for a"}}, "waits for a"},
		{member{Status: process.Status{State: process.Stopping}}, ""},
	} {
		if got := c.m.describe(now); got != c.want {
			t.Errorf("%v: %q, want %q", c.m.State, got, c.want)
		}
	}
}

// TestLateNews holds up the loop across a deadline: an end that was noticed before startsecs had passed is a failed start, however late it is
// looked at (quirk C1).
func TestLateNews(t *testing.T) {
	inWorld(t, program("a", 1, ""), func(ctx context.Context, w *world) {
		pass(900 * time.Millisecond)
		v, err := w.d.current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		go w.d.do(ctx, func(core.Now) { pass(2 * time.Second) })
		synctest.Wait()
		w.host.die(v.procs[0].ID, 0)
		pass(2500 * time.Millisecond)
		w.writer.Flush()
		if log := w.log.String(); strings.Contains(log, "success: a_0 entered RUNNING") || !strings.Contains(log, "exited: a_0 (exit status 0; not expected)") {
			t.Errorf("the log:\n%s", log)
		}
	})
}

// TestGraceByProgram names the program of a group instead of the group (quirk G16); with two groups it has to be one of them.
func TestGraceByProgram(t *testing.T) {
	groups := func(n int) string {
		return program("foo", n, "") + program("bar", 1, "") + "[group:one]\nprograms=foo,bar\n[group:two]\nprograms=bar\n"
	}
	inWorld(t, groups(1), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		w.write(groups(2))
		r, err := w.d.GraceUpdate(ctx, "foo")
		if err != nil || r.Group != "one" || !slices.Equal(r.Added, []string{"one:foo_1"}) {
			t.Errorf("%+v %v", r, err)
		}
		_, err = w.d.GraceUpdate(ctx, "bar")
		wantFault(t, err, control.BadName, "group: bar (a program of the groups one, two: name one of these)")
	})
}

// TestCloseWithoutRun closes a daemon whose start has failed after it took up what one before has left: nobody waits for a loop that never runs.
func TestCloseWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Options{
			Config: &config.Config{}, Logger: NewLogger(io.Discard, LevelDebug), Wall: time.Now,
			Host: func(func(host.Event)) (host.Host, error) { return newFakeHost(), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		d.changing.Go(func() {
			if d.do(context.Background(), func(core.Now) {}) {
				t.Error("a loop runs")
			}
		})
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}
