package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
)

// TestPreview compares what is told beforehand with what the verb does then.
func TestPreview(t *testing.T) {
	before := program("web", 3, "") + program("idle", 2, "autostart=false")
	inWorld(t, before, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		ask := func(verb, name string) string {
			p, err := w.d.Preview(ctx, control.PreviewRequest{Verb: verb, Name: name})
			if err != nil {
				return err.Error()
			}
			text := fmt.Sprint(p.Group, " start", p.Start, " add", p.Add, " stop", p.Stop, " remove", p.Remove)
			if !p.Refused {
				return text + "-" + p.Message
			}
			return text + "! " + p.Message + fmt.Sprint(p.Fields)
		}
		w.write(program("web", 2, "") + program("new", 2, "") + program("idle", 2, "autostart=false\nstopwaitsecs=3"))
		was, pids := w.states(ctx), fmt.Sprint(w.pids(ctx))
		for _, c := range []struct{ verb, name, want string }{
			{"grace_update", "web", "web start[] add[] stop[web:web_2] remove[web:web_2]-"},
			{"grace_update", "idle", "idle start[] add[] stop[] remove[]! Other settings has changed, please use update[stopwaitsecs]"},
			{"grace_update", "nope", "BAD_NAME: group: nope"},
			{"add", "new", "BAD_NAME: new"}, // nobody has read it
			{"add", "web", "ALREADY_ADDED: web"},
			{"remove", "web", "STILL_RUNNING: web"},
			{"remove", "idle", "idle start[] add[] stop[] remove[idle:idle_0 idle:idle_1]-"},
			{"remove", "nope", "BAD_NAME: nope"},
			{"signal", "HUP", " start[] add[] stop[] remove[]-"},
			{"signal", "NOPE", "BAD_SIGNAL: NOPE"},
			{"reload", "", " start[new:new_0 new:new_1 web:web_0 web:web_1] add[idle:idle_0 idle:idle_1] stop[web:web_0 web:web_1 web:web_2] remove[]-"},
			{"dance", "", `INCORRECT_PARAMETERS: verb "dance" is none of add, remove, grace_update, signal, reload, start, stop, restart`},
		} {
			if got := ask(c.verb, c.name); got != c.want {
				t.Errorf("%s %s: %s\nwant %s", c.verb, c.name, got, c.want)
			}
		}
		if now := w.states(ctx); now != was || fmt.Sprint(w.pids(ctx)) != pids {
			t.Errorf("previews changed\n%sto\n%s", was, now)
		}
		if diff, err := w.d.Reread(ctx); err != nil || len(diff.Added) != 1 {
			t.Fatalf("%+v, %v", diff, err)
		}
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:web_0"}, Mark: control.MarkDisable}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ verb, name, want string }{
			{"add", "new", "new start[new:new_0 new:new_1] add[] stop[] remove[]-"},
			{"reload", "", " start[new:new_0 new:new_1 web:web_1] add[idle:idle_0 idle:idle_1 web:web_0] stop[web:web_0 web:web_1 web:web_2] remove[]-"},
		} {
			if got := ask(c.verb, c.name); got != c.want {
				t.Errorf("%s %s after reread: %s\nwant %s", c.verb, c.name, got, c.want)
			}
		}
		w.d.opts.CheckRestart = func(*config.Config) error { return fmt.Errorf("the port is taken") }
		if got := ask("reload", ""); got != "CANT_REREAD: the port is taken" {
			t.Errorf("a reload that cannot be: %s", got)
		}
		w.write("[program:web]\n")
		for _, verb := range []string{"reload", "grace_update"} {
			if _, err := w.d.Preview(ctx, control.PreviewRequest{Verb: verb, Name: "web"}); faultOf(err) != control.CantReread {
				t.Errorf("%s of broken files: %v", verb, err)
			}
		}
	})
}

// TestPreviewQuitting asks a daemon that is stopping everything.
func TestPreviewQuitting(t *testing.T) {
	inWorld(t, program("web", 1, ""), func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if err := w.d.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := w.d.Preview(ctx, control.PreviewRequest{Verb: "remove", Name: "web"}); faultOf(err) != control.ShutdownState {
			t.Errorf("%v", err)
		}
	})
}

// faultOf returns the number of a fault, 0 of anything else.
func faultOf(err error) control.Code {
	var fault *control.Error
	if errors.As(err, &fault) {
		return fault.Code
	}
	return 0
}

// TestPreviewAct tells which others starts and stops have to do with, as it comes then.
func TestPreviewAct(t *testing.T) {
	conf := program("db", 2, "startsecs=0\nautostart=false") + program("cache", 1, "startsecs=0\nautostart=false\ndepends_on=db") +
		program("app", 1, "startsecs=0\nautostart=false\ndepends_on=cache") + program("free", 1, "startsecs=0\nautostart=false\ndepends_on=db:completed")
	inWorld(t, conf, func(ctx context.Context, w *world) {
		ask := func(verb string, names ...string) string {
			p, err := w.d.Preview(ctx, control.PreviewRequest{Verb: verb, Names: names})
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("start%v stop%v %v%v%v", p.Start, p.Stop, p.Summoned, p.Vain, p.Dependents)
		}
		check := func(want, verb string, names ...string) {
			t.Helper()
			was := w.states(ctx)
			if got := ask(verb, names...); got != want {
				t.Errorf("%s %v: %s, want %s", verb, names, got, want)
			}
			if now := w.states(ctx); now != was {
				t.Errorf("%s %v has changed\n%sto\n%s", verb, names, was, now)
			}
		}
		const all = "start[app:app_0 db:db_0 db:db_1 cache:cache_0] stop[] [{db:db_0 app:app_0} {db:db_1 app:app_0} {cache:cache_0 app:app_0}][][]"
		check(all, "start", "app:app_0")
		check(all, "restart", "app:app_0")
		check("start[db:db_0 app:app_0 cache:cache_0] stop[] [{cache:cache_0 app:app_0}][][]", "start", "app:app_0", "db:db_0")
		check("BAD_NAME: nope", "start", "nope")
		check("INCORRECT_PARAMETERS: no names", "stop")
		if got := w.act(ctx, "start", "app:app_0"); !strings.HasSuffix(got, "done ") {
			t.Fatal(got)
		}
		pass(time.Second)
		if now := w.states(ctx); strings.Count(now, "RUNNING") != 4 {
			t.Fatalf("running:\n%s", now)
		}
		check("start[] stop[] [][][]", "start", "app:app_0")
		check("start[] stop[db:db_0] [][][]", "stop", "db:db_0") // the other one is there
		check("start[] stop[db:db_0 db:db_1] [][][{cache:cache_0 db:db_0}]", "stop", "db:*")
		check("start[] stop[cache:cache_0 db:db_0 db:db_1] [][][{app:app_0 cache:cache_0}]", "stop", "db:*", "cache:cache_0")
		w.act(ctx, "stop", "db:*")
		check("start[] stop[] [][][{cache:cache_0 db:db_0}]", "stop", "db:*") // told after it as well
		check("start[] stop[cache:cache_0] [][{cache:cache_0 depends on db, which was stopped on request}][]", "restart", "cache:cache_0")
		check("start[db:db_0 db:db_1 cache:cache_0] stop[cache:cache_0] [][][]", "restart", "cache:cache_0", "db:*")
	})
}
