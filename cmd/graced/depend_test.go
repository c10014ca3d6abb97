package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/process"
)

// dependConf are programs that depend on one another: a database that is ready once a file is there, a job before all else, and who works with both.
const dependConf = `[program:db]
` + sleeper + `ready=exec:/usr/bin/test -e %(here)s/db.ready
ready_period=50ms
priority=999
[program:migrate]
command=/bin/sh -c 'exit $(cat %(here)s/code)'
startsecs=0
autorestart=false
depends_on=db
[program:cache]
` + sleeper + `depends_on=db:started
[program:web]
process_name=%(program_name)s_%(process_num)d
numprocs=2
` + sleeper + `depends_on=cache,db,migrate:completed
priority=1
[program:deaf]
command=/bin/sh -c 'trap "" TERM; exec sleep 1000'
startsecs=0
stopwaitsecs=1000
autostart=false
depends_on=db
`

// TestDependencies starts and stops real programs that depend on one another, while the daemon is killed.
func TestDependencies(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("code", "4")
	r.launch(nil, dependConf)
	r.until("the cache runs", func() bool { return r.infos()["cache"].State == process.Running })
	waits := func(name, text string) {
		t.Helper()
		r.until(name+" "+text, func() bool {
			i := r.infos()[name]
			return i.Description == text && i.PID == 0
		})
	}
	waits("web_0", "waits for db: not ready")
	waits("migrate", "waits for db: not ready")
	r.killDaemon()
	waits("web_1", "waits for db: not ready")
	r.put("db.ready", "")
	waits("web_0", "waits for migrate: exit status 4")
	r.killDaemon()
	r.gracectl(1, []string{"start", "web:web_0"}, "web:web_0: ERROR (waits for migrate: exit status 4)\n")
	r.gracectl(0, []string{"why", "web:web_0"}, "waits for migrate: exit status 4\n")
	r.put("code", "0")
	r.gracectl(0, []string{"start", "migrate"}, "migrate: started\n")
	r.until("both work", func() bool {
		i := r.infos()
		return i["web_0"].State == process.Running && i["web_1"].State == process.Running && i["migrate"].State == process.Exited
	})

	// What dies takes nobody with it. Who starts by himself waits for it.
	before := r.infos()
	r.gracectl(0, []string{"stop", "db"}, "db: stopped\n")
	r.gracectl(0, []string{"signal", "KILL", "web:web_1"})
	waits("web_1", "waits for db: STOPPED")
	if now := r.infos(); now["web_0"].PID != before["web_0"].PID || now["cache"].PID != before["cache"].PID {
		t.Errorf("they were restarted: %+v, before %+v", now, before)
	}
	r.gracectl(1, []string{"start", "web:*"}, "web:web_1: ERROR (depends on db, which was stopped on request)\n")
	if out, _ := r.ctl("supervisorctl", "start", "web:web_1"); out != "web:web_1: ERROR (depends on db, which was stopped on request)\n" {
		t.Errorf("supervisorctl start: %s", out)
	}
	r.gracectl(0, []string{"start", "db"})
	r.until("it works again", func() bool { return r.infos()["web_1"].State == process.Running })

	// Stops go in the reverse order, whatever the priorities are.
	if out, code := r.ctl("supervisorctl", "stop", "all"); code != 0 {
		t.Errorf("stop all: exit %d %s", code, out)
	}
	r.inOrder("stopped: web_", "stopped: cache (", "stopped: db (")
	r.gracectl(1, []string{"start", "web:*"}, "web:web_0: ERROR (depends on cache, which was stopped on request)\n")
	r.gracectl(0, []string{"restart", "all"}, "web:web_0: started\n", "web:web_1: started\n")
	r.inOrder("spawned: 'db'", "spawned: 'migrate'", "spawned: 'web_")

	// So they do when the daemon dies in the middle.
	r.until("it ignores TERM", func() bool { return ignores(r.infos()["deaf"].PID, syscall.SIGTERM) })
	_, out, ended := r.background(nil, "gracectl", "stop", "all")
	r.until("db waits for its turn", func() bool { return strings.HasSuffix(r.infos()["db"].Description, ", stops after deaf") })
	r.gracectl(0, []string{"status", "db"}, "   stops after deaf\n")
	r.killDaemon()
	r.until("db still waits", func() bool { return strings.HasSuffix(r.infos()["db"].Description, ", stops after deaf") })
	r.gracectl(0, []string{"stop", "--now", "deaf"})
	r.ends(ended, out, 0, "db: stopped\n")
	r.inOrder("stopped: web_", "stopped: cache (", "stopped: deaf (", "stopped: db (")
}

// inOrder checks that the last lines of the main log with some texts come in their order.
func (r *rig) inOrder(texts ...string) {
	r.t.Helper()
	log, last := r.read("s.log"), -1
	for _, text := range texts {
		at := strings.LastIndex(log, text)
		if at < last || at < 0 {
			r.t.Errorf("%q is not in its place", text)
		}
		last = at
	}
}

// TestDependentUpdates adds, replaces and removes programs that depend on one another.
func TestDependentUpdates(t *testing.T) {
	t.Parallel()
	const (
		db  = "[program:db]\n" + sleeper + "ready=exec:/usr/bin/test -e %(here)s/db.ready\nready_period=50ms\nready_wait=300ms\n"
		web = "[program:web]\n" + sleeper + "depends_on=db\n"
	)
	r := newRig(t, "")
	r.put("db.ready", "")
	r.write(web + db)
	r.gracectl(0, []string{"update"})
	r.inOrder("spawned: 'db'", "ready: db", "spawned: 'web'")

	// Both are replaced, one after the other; and not the second one when the first fails.
	before := r.infos()
	release := func(n string) { r.write(strings.ReplaceAll(web+db, sleeper, sleeper+"environment=N=\""+n+"\"\n")) }
	release("1")
	r.gracectl(0, []string{"update"})
	r.inOrder("stopped: db (", "ready: db", "stopped: web (", "spawned: 'web'")
	good := r.infos()
	if good["db"].PID == before["db"].PID || good["web"].PID == before["web"].PID {
		t.Errorf("they were not replaced: %+v", good)
	}
	r.must(os.Remove(r.path("db.ready")))
	release("2")
	r.gracectl(1, []string{"update"}, "left as it was, since db, which it depends on, failed")
	if now := r.infos(); now["web"].PID != good["web"].PID {
		t.Errorf("web was replaced: %+v", now)
	}

	r.put("db.ready", "")
	r.write("")
	r.gracectl(0, []string{"update"})
	r.inOrder("stopped: web (", "stopped: db (")

	r.write(web + "[program:db]\n" + sleeper + "depends_on=web\n")
	out, code := r.ctl("gracectl", "update")
	if code == 0 || !strings.Contains(out, "db -> web -> db") || len(r.infos()) != 0 {
		t.Errorf("a circle: exit %d %s", code, out)
	}
}

// exitOf waits for the end of a daemon and returns its exit code.
func (r *rig) exitOf() int {
	r.t.Helper()
	err := <-r.exited
	r.exited <- err
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return r.cmd.ProcessState.ExitCode()
}

// TestEssential lets essential programs end in all ways: the exit code of the daemon is theirs, also when the daemon is killed meanwhile.
func TestEssential(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, conf string
		act        func(r *rig) // whose last client may get no answer
		code       int
		log        string
	}{
		{
			"exit", "command=/bin/sh %(here)s/exit.sh\nstartsecs=0\nautorestart=false\nessential=true\n",
			func(r *rig) { r.say("main", "3") }, 3, "essential: main has ended (exit status 3), shutting down with exit code 3\n",
		},
		{
			"exit 0 after a restart", "command=/bin/sh %(here)s/exit.sh\nstartsecs=0\nautorestart=unexpected\nessential=on_exit\n",
			func(r *rig) { r.say("main", "3"); r.again("main"); r.say("main", "0") }, 0, "essential: main has ended (exit status 0), shutting down with exit code 0\n",
		},
		{
			"signal", sleeper + "autorestart=false\nessential=true\n",
			func(r *rig) { r.gracectl(0, []string{"signal", "KILL", "main"}) }, 137, "essential: main has ended (terminated by SIGKILL), shutting down with exit code 137\n",
		},
		{
			"fatal", "command=/bin/sh -c 'exit 7'\nautostart=false\nstartretries=0\nessential=on_fatal\n",
			func(r *rig) { r.ctl("gracectl", "start", "main") }, 7, "essential: main is FATAL (exit status 7), shutting down with exit code 7\n",
		},
		{
			"fatal with 0", "command=/bin/true\nautostart=false\nstartretries=0\nessential=on_fatal\n",
			func(r *rig) { r.ctl("gracectl", "start", "main") }, 1, "essential: main is FATAL (exit status 0), shutting down with exit code 1\n",
		},
		{
			"no command", "command=/nonexistent/main\nautostart=false\nstartretries=0\nessential=on_fatal\n[program:user]\n" + sleeper + "depends_on=main\nautostart=false\n",
			func(r *rig) { r.ctl("gracectl", "start", "user") }, 1, "essential: main is FATAL, shutting down with exit code 1\n",
		},
		{
			"on request", sleeper + "autorestart=false\nessential=true\n",
			func(r *rig) {
				r.gracectl(0, []string{"stop", "main"})
				r.gracectl(0, []string{"restart", "main"})
				r.gracectl(0, []string{"shutdown"})
			}, 0, "",
		},
		{
			"killed daemon", "command=/bin/sh %(here)s/exit.sh\nstartsecs=0\nautorestart=false\nessential=true\n[program:db]\ncommand=/bin/sh %(here)s/deaf.sh %(here)s/db.asked\nstartsecs=0\n",
			func(r *rig) {
				r.say("main", "5")
				r.until("db is told", func() bool { _, err := os.Stat(r.path("db.asked")); return err == nil })
				r.killDaemon()
				r.put("db.may", "")
			}, 5, "essential: main has ended (exit status 5), shutting down with exit code 5\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, dir: t.TempDir()}
			r.put("exit.sh", optionScripts["exit.sh"])
			r.put("deaf.sh", "trap 'echo >\"$1\"' TERM\nwhile ! [ -e \"$(dirname \"$1\")/db.may\" ]; do sleep 0.05; done\n")
			r.launch(nil, "[program:main]\n"+c.conf)
			if !strings.Contains(c.conf, "autostart=false") {
				r.until("it runs", func() bool { return r.infos()["main"].State == process.Running })
			}
			c.act(r)
			if code := r.exitOf(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if log := r.read("s.log"); !strings.Contains(log, c.log) || strings.Contains(log, "essential:") != (c.log != "") {
				t.Errorf("the log lacks %q", c.log)
			}
			if left := mates(r.dir); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

// again waits for another life of a process.
func (r *rig) again(name string) {
	r.t.Helper()
	r.until(name+" lives again", func() bool {
		return strings.Count(r.read("s.log"), "spawned: '"+name+"'") == 2 && r.infos()[name].State == process.Running
	})
}

// TestEssentialFirst runs a daemon as the first process of a PID namespace, as in a container: its exit code is that of its essential program.
func TestEssentialFirst(t *testing.T) {
	t.Parallel()
	wrap := pidNamespace(t)
	r := &rig{t: t, dir: t.TempDir()}
	r.put("exit.sh", optionScripts["exit.sh"])
	r.launch(wrap, "[program:main]\ncommand=/bin/sh %(here)s/exit.sh\nstartsecs=0\nautorestart=false\nessential=true\ndepends_on=db\n[program:db]\n"+sleeper)
	r.until("it runs", func() bool { return r.infos()["main"].State == process.Running })
	if d, err := r.Daemon(t.Context()); err != nil || d.PID != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	r.say("main", "42")
	if code := r.exitOf(); code != 42 {
		t.Errorf("exit code %d", code)
	}
	r.inOrder("exited: main (exit status 42; not expected)", "essential: main has ended", "stopped: db (")
}
