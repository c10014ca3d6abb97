package main

import (
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestContainer runs what an image of several programs runs, as the first process of a PID namespace: a database, a migration of its data that comes to an
// end, the application for which the container is there, a server before it, and a worker that finishes the job it has. They come up in their order. When the
// application has ended everything ends in the opposite one, with its exit code, and no process is left.
func TestContainer(t *testing.T) {
	t.Parallel()
	wrap := pidNamespace(t)
	r := &rig{t: t, dir: t.TempDir()}
	r.put("exit.sh", optionScripts["exit.sh"])
	r.put("db.sh", "sleep 0.2\necho accepting\nexec sleep 1000\n")
	r.put("migrate.sh", "sleep 0.1\necho migrated >\"$1\"\n(sleep 0.1 &)\n") // whose child nobody waits for
	r.put("worker.sh", "trap 'echo half; sleep 0.3; echo \"the job is done\"; exit 0' TERM\necho a job\nwhile :; do sleep 0.05; done\n")
	r.launch(wrap, `[program:db]
command=/bin/sh %(here)s/db.sh
ready=log:^accepting$
[program:migrate]
command=/bin/sh %(here)s/migrate.sh %(here)s/migrated
startsecs=0
autorestart=false
depends_on=db
[program:app]
command=/bin/sh %(here)s/exit.sh
startsecs=0
autorestart=false
essential=true
depends_on=db, migrate:completed
[program:web]
command=/bin/sleep 1000
startsecs=0
depends_on=app:started
[program:worker]
command=/bin/sh %(here)s/worker.sh
startsecs=0
depends_on=db
stdout_logfile=%(here)s/worker.log
`)
	r.until("all are up", func() bool {
		list := r.infos()
		return list["web"].State == process.Running && list["worker"].State == process.Running && list["migrate"].State == process.Exited &&
			strings.Contains(r.read("worker.log"), "a job")
	})
	if d, err := r.Daemon(t.Context()); err != nil || d.PID != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	r.say("app", "9")
	if code := r.exitOf(); code != 9 {
		t.Errorf("exit code %d", code)
	}
	r.inOrder("spawned: 'db'", "ready: db", "spawned: 'migrate'", "exited: migrate (exit status 0; expected)", "spawned: 'app'", "spawned: 'web'",
		"exited: app (exit status 9; not expected)", "essential: app has ended", "stopped: web (", "stopped: db (")
	r.inOrder("ready: db", "spawned: 'worker'", "essential: app has ended", "stopped: worker (exit status 0)", "stopped: db (")
	if got := r.read("worker.log"); got != "a job\nhalf\nthe job is done\n" {
		t.Errorf("the worker has written %q", got)
	}
	if left := mates(r.dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
