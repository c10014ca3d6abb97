package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// TestState keeps numbers, marks and generations over a restart, and leaves no trace where there is nothing to keep.
func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	conf := program("web", 2, "") + program("db", 1, "")
	told := []string{}
	open := func() *State {
		s, err := OpenState(dir, time.Now, func(text string) { told = append(told, text) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open()
	inWorldWith(t, conf, first, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if list, err := w.d.History(ctx); err != nil || len(list) != 1 || list[0].Result != "started" {
			t.Errorf("history %+v, %v", list, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("the directory is there before anything is kept")
		}
		marks, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:web_0", "db:*"}, Mark: control.MarkDisable, Note: "n", Who: "anna"})
		if err != nil || len(marks.Marks) != 2 || marks.Marks[1].Name != "db:*" || marks.Marks[0].Who != "anna" || marks.NotKept != "" {
			t.Errorf("marks %+v, %v", marks, err)
		}
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"nope"}, Mark: control.MarkHold}); err == nil {
			t.Error("a name that nothing has was marked")
		}
		_, err = w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:web_0"}, Mark: "keep"})
		wantFault(t, err, control.IncorrectParameters, `mark "keep" is none of hold, disable, enable`)
		s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: "3"}}, Who: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		w.settle(ctx, *s.Operation)
		w.write(conf + program("new", 1, ""))
		w.update(ctx, control.UpdateRequest{Who: "bert"})
		list, _ := w.d.History(ctx)
		var got []string
		for _, g := range list {
			got = append(got, fmt.Sprintf("r%d %s %s %s", g.Rev, g.Who, g.Result, g.Summary))
		}
		if want := "r1  started |r2 anna done web +1|r3 bert done new added"; strings.Join(got, "|") != want {
			t.Errorf("history %s\nwant %s", strings.Join(got, "|"), want)
		}
		// A mark goes with its process to another name.
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"new:new_0"}, Mark: control.MarkDisable}); err != nil {
			t.Fatal(err)
		}
		w.write(conf + "[program:new]\ncommand=/bin/new\nprocess_name=fresh\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
		if got := w.update(ctx, control.UpdateRequest{}); !strings.Contains(got, "=rename new:new_0>new:fresh") {
			t.Errorf("renamed: %s", got)
		}
		synctest.Wait()
		if s, err := w.d.Standing(ctx); err != nil || len(s.Marks) != 3 || s.Marks[1].Name != "new:fresh" {
			t.Errorf("marks after the renaming: %+v, %v", s.Marks, err)
		}
		w.write(conf + program("new", 1, ""))
		w.update(ctx, control.UpdateRequest{})
		if _, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"new:new_0"}, Mark: control.MarkEnable}); err != nil {
			t.Fatal(err)
		}
		diff, err := w.d.HistoryDiff(ctx, 1, 3)
		if err != nil || len(diff) != 3 || diff[0].Process != "web_2" || diff[1].Action != "added" {
			t.Errorf("diff %+v, %v", diff, err)
		}
		_, err = w.d.HistoryDiff(ctx, 1, 9)
		wantFault(t, err, control.BadName, "r9")
	})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open()
	inWorldWith(t, conf+program("new", 1, ""), second, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if got, want := w.states(ctx), "db:db_0 STOPPED\nnew:new_0 RUNNING\nweb:web_0 STOPPED\nweb:web_1 RUNNING\nweb:web_2 RUNNING\n"; got != want {
			t.Errorf("after a restart:\n%s", got)
		}
		s, err := w.d.Standing(ctx)
		if err != nil || s.Rev != 5 || len(s.Marks) != 2 || len(s.Overrides) != 1 || s.Overrides[0].Count != 3 || s.Overrides[0].InFile != 2 {
			t.Errorf("standing %+v, %v", s, err)
		}
		if _, err := OpenState(dir, time.Now, func(string) {}); err == nil {
			t.Error("two daemons have one directory")
		}
	})
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if len(told) > 0 {
		t.Errorf("told %q", told)
	}
}

// TestOperationsKept kills a daemon within an update: the next one goes on with the numbers, and tells how far the update came.
func TestOperationsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	left := filepath.Join(t.TempDir(), "left") // what is on the disk when the daemon is killed
	open := func(dir string) *State {
		s, err := OpenState(dir, time.Now, func(text string) { t.Error(text) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before, after := program("web", 3, ""), program("web", 3, "environment=A=1")
	first := open(dir)
	inWorldWith(t, before, first, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if got := w.update(ctx, control.UpdateRequest{}); got != "nothing " { // no number for that
			t.Error(got)
		}
		w.write(after)
		op, err := w.d.Update(ctx, control.UpdateRequest{Who: "anna"})
		if err != nil || op.ID != "op-1" {
			t.Fatal(op, err)
		}
		behind, err := w.d.Update(ctx, control.UpdateRequest{Who: "bert"})
		if err != nil || behind.ID != "op-2" || behind.Behind != "op-1" {
			t.Fatal(behind, err)
		}
		pass(1500 * time.Millisecond) // web_0 is replaced, web_1 has begun
		synctest.Wait()
		if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		w.settle(ctx, op)
		synctest.Wait()
		if list := first.read().Operations(); len(list) != 2 || list[0].Result != "done" || list[0].Done != 3 || list[1].Result != "nothing" || len(first.read().Lines(1)) > 0 {
			t.Errorf("kept %+v", list)
		}
	})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(left)
	inWorldWith(t, after, second, func(ctx context.Context, w *world) {
		list, err := w.d.Operations(ctx)
		if err != nil || len(list) != 2 || list[0].State != control.OperationInterrupted || list[0].Who != "anna" || list[0].Earlier || list[0].Ended != nil ||
			list[0].Text != "the daemon ended after 1 of 3 processes, within web:web_1" || list[1].Text != "the daemon ended before it began" {
			t.Errorf("%+v, %v", list, err)
		}
		if got := w.settle(ctx, list[0]); !strings.HasPrefix(got, "interrupted ") {
			t.Error(got)
		}
		if op, err := w.d.Operation(ctx, "op-1", 0); err != nil || op.Count != 3 || op.Events[1].Process != "web:web_0" || op.Events[1].PID == 0 {
			t.Errorf("its events %+v, %v", op, err)
		}
		history, err := w.d.History(ctx)
		if err != nil || len(history) != 2 || history[1].Op != "op-1" || history[1].Result != "interrupted" || history[1].Who != "anna" ||
			history[1].Summary != "web ~1; the daemon ended after 1 of 3 processes, within web:web_1" {
			t.Errorf("%+v, %v", history, err)
		}
		w.write(before)
		if op, err := w.d.Update(ctx, control.UpdateRequest{}); err != nil || op.ID != "op-3" {
			t.Errorf("%+v, %v", op, err)
		}
	})
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	third := open(left)
	inWorldWith(t, after, third, func(ctx context.Context, w *world) {
		list, err := w.d.Operations(ctx)
		if err != nil || len(list) != 3 || !list[0].Earlier || list[0].State != control.OperationInterrupted || list[0].Count != 3 || !list[1].Earlier {
			t.Errorf("%+v, %v", list, err)
		}
	})
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCompletedGeneration kills a daemon and its keeper within an update, which the next one makes whole: that is one to go back to, though nothing differs from
// what the next one began with.
func TestCompletedGeneration(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	left := filepath.Join(t.TempDir(), "left") // what is on the disk then
	open := func(dir string) *State {
		s, err := OpenState(dir, time.Now, func(text string) { t.Error(text) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var found []FoundProcess
	before, after := program("web", 3, ""), program("web", 3, "environment=A=1")
	first := open(dir)
	inWorldWith(t, before, first, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		c, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Groups[0].Processes[1:] { // somebody has stopped them
			found = append(found, FoundProcess{Group: "web", Spec: &s, As: core.Found{State: process.Stopped, Began: time.Now()}})
		}
		w.write(after)
		if _, err := w.d.Update(ctx, control.UpdateRequest{}); err != nil {
			t.Fatal(err)
		}
		pass(1500 * time.Millisecond)
		synctest.Wait()
		if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(left)
	inWorldWith(t, after, second, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		if op, err := w.d.Act(ctx, control.ActRequest{Verb: "restart", Names: []string{"web:*"}, Rolling: true}); err != nil || !strings.HasSuffix(w.settle(ctx, op), "done ") {
			t.Errorf("%+v, %v", op, err)
		}
		list, err := w.d.History(ctx)
		var got []string
		for _, g := range list {
			got = append(got, fmt.Sprintf("r%d %s %s %s %s", g.Rev, g.Who, g.Op, g.Result, g.Summary))
		}
		want := "r1   started |r2  op-1 interrupted web ~1; the daemon ended after 1 of 3 processes, within web:web_1|r3 start op-2 done completes r2"
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("history %s, %v\nwant    %s", strings.Join(got, "|"), err, want)
		}
	}, found...)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNotKept has no place for the state directory at first: whoever changes something is told, status tells everybody, the main log once; and
// when there is a place, everything gets there.
func TestNotKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var told []string
	state, err := OpenState(filepath.Join(file, "state"), time.Now, func(text string) { told = append(told, text) })
	if err != nil {
		t.Fatal(err)
	}
	inWorldWith(t, program("web", 2, ""), state, func(ctx context.Context, w *world) {
		pass(2 * time.Second)
		reason := "stat " + file + "/state: not a directory"
		standing := func(want string) {
			t.Helper()
			if s, err := w.d.Standing(ctx); err != nil || s.NotKept != want {
				t.Errorf("standing %+v, %v", s, err)
			}
		}
		mark := func(want string) {
			t.Helper()
			m, err := w.d.Mark(ctx, control.MarkRequest{Names: []string{"web:web_0"}, Mark: control.MarkHold})
			if err != nil || m.NotKept != want {
				t.Errorf("mark %+v, %v", m, err)
			}
		}
		standing("")
		mark(reason)
		mark(reason)
		s, err := w.d.Scale(ctx, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "web", To: "3"}}})
		if err != nil || s.Operation.NotKept != reason {
			t.Errorf("scale %+v, %v", s, err)
		}
		w.settle(ctx, *s.Operation)
		w.write(program("web", 2, "stopwaitsecs=20"))
		op, err := w.d.Update(ctx, control.UpdateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		w.settle(ctx, op)
		if op, err = w.d.Operation(ctx, op.ID, 0); err != nil || op.State != control.OperationDone || op.NotKept != reason {
			t.Errorf("update %+v, %v", op, err)
		}
		standing(reason)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		mark("")
		standing("")
	})
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !strings.HasSuffix(told[1], "is kept on disk again") {
		t.Errorf("told %q", told)
	}
	again, err := OpenState(filepath.Join(file, "state"), time.Now, func(text string) { t.Error(text) })
	if err != nil || len(again.read().Marks()) != 1 || len(again.read().Operations()) != 2 || len(again.read().Generations()) < 2 || again.read().Overrides()[0].Count != 3 {
		t.Errorf("%v, kept %+v", err, again.read().Operations())
	}
	_ = again.Close() // the test is over
}

// TestHistoryOfCalls has calls that are no operations change what runs, as supervisorctl update does: those in a row are one generation, which is there as
// soon as somebody asks for the history or an operation begins, and an undo goes back to it.
func TestHistoryOfCalls(t *testing.T) {
	conf := program("web", 2, "")
	inWorld(t, conf, func(ctx context.Context, w *world) {
		bert := control.WithCaller(ctx, func() string { return "bert" })
		update := func(text string) { // what supervisorctl does
			w.write(text)
			diff, err := w.d.Reread(bert)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range append(diff.Removed, diff.Changed...) {
				if _, err := w.d.Stop(bert, control.Target{Name: name + ":*"}, true); err != nil {
					t.Fatal(err)
				}
				if err := w.d.RemoveGroup(bert, name); err != nil {
					t.Fatal(err)
				}
			}
			if s, err := w.d.Standing(ctx); err != nil || s.Rev != 1 && len(diff.Changed) > 0 {
				t.Errorf("in the middle r%d is in force: %v", s.Rev, err)
			}
			for _, name := range append(diff.Added, diff.Changed...) {
				if err := w.d.AddGroup(bert, name); err != nil {
					t.Fatal(err)
				}
			}
		}
		history := func(want string) {
			t.Helper()
			list, err := w.d.History(ctx)
			var got []string
			for _, g := range list {
				got = append(got, strings.TrimSpace(fmt.Sprintf("r%d %s %s %s %s", g.Rev, g.Who, g.Op, g.Result, g.Summary)))
			}
			if text := strings.Join(got, "|"); err != nil || text != want {
				t.Errorf("history %s, %v\nwant    %s", text, err, want)
			}
		}
		list := "r1   started"
		history(list)
		update(program("web", 2, "priority=3\n") + program("db", 1, ""))
		if s, err := w.d.Standing(ctx); err != nil || s.Rev != 1 { // another call may follow at once
			t.Errorf("r%d is in force: %v", s.Rev, err)
		}
		list += "|r2 bert  done db added, web ~1"
		history(list)
		history(list)

		w.write(program("web", 3, "priority=3\n") + program("db", 1, ""))
		if _, err := w.d.GraceUpdate(bert, "web"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if s, err := w.d.Standing(ctx); err != nil || s.Rev != 3 {
			t.Errorf("r%d is in force: %v", s.Rev, err)
		}
		list += "|r3 bert  done web +1"
		history(list)

		if err := w.d.AddProgram(bert, "web", "more", map[string]string{"command": "/bin/more"}); err != nil {
			t.Fatal(err)
		}
		w.write(program("web", 3, "priority=3\n") + program("db", 2, ""))
		w.update(ctx, control.UpdateRequest{Who: "anna", Groups: []string{"db"}}) // r4 is what was there before it
		list += "|r4 bert  done web +1|r5 anna op-1 done db +1"
		history(list)
		w.update(ctx, control.UpdateRequest{Who: "anna", To: 4})
		list += "|r6 anna op-2 done db -1"
		history(list)

		// A call that is refused brings nothing.
		if err := w.d.RemoveProcess(bert, "web", "more"); err == nil {
			t.Error("what runs was removed")
		}
		history(list)
	})
}

// TestCallsAreKept: what calls have changed is on disk soon after the last of them, or with the end of the daemon, with what it began with. A daemon that nobody
// changes makes no directory.
func TestCallsAreKept(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(ctx context.Context, w *world, dir string)
		want string
	}{
		{"nothing", func(ctx context.Context, w *world, _ string) {
			if err := w.d.RemoveGroup(ctx, "web"); err == nil {
				w.t.Error("what runs was removed")
			}
			if _, err := w.d.History(ctx); err != nil {
				w.t.Error(err)
			}
			pass(time.Minute)
		}, ""},
		{"calls in a row", func(ctx context.Context, w *world, dir string) {
			for i := range 3 {
				if err := w.d.AddProgram(ctx, "web", fmt.Sprint("more", i), map[string]string{"command": "/bin/more"}); err != nil {
					w.t.Fatal(err)
				}
				pass(time.Second)
			}
			if _, err := os.Stat(dir); err == nil {
				w.t.Error("they are entered before the last of them")
			}
			pass(2 * settled)
			if err := os.CopyFS(dir+".killed", os.DirFS(dir)); err != nil {
				w.t.Error(err)
			}
		}, "r1  started |r2 bert done web +3"},
		{"an end at once", func(ctx context.Context, w *world, _ string) {
			if err := w.d.AddProgram(ctx, "web", "more", map[string]string{"command": "/bin/more"}); err != nil {
				w.t.Fatal(err)
			}
		}, "r1  started |r2 bert done web +1"},
		{"two changes", func(ctx context.Context, w *world, _ string) {
			for i := range 2 {
				if err := w.d.AddProgram(ctx, "web", fmt.Sprint("more", i), map[string]string{"command": "/bin/more"}); err != nil {
					w.t.Fatal(err)
				}
				pass(5 * time.Second)
			}
		}, "r1  started |r2 bert done web +1|r3 bert done web +1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			kept := func(dir, want string) {
				t.Helper()
				if _, err := os.Stat(dir); err != nil && want == "" {
					return
				}
				s, err := OpenState(dir, time.Now, func(text string) { t.Error(text) })
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }() // it has only been read
				var got []string
				for _, g := range s.read().Generations() {
					got = append(got, fmt.Sprintf("r%d %s %s %s", g.Rev, g.Who, g.Result, g.Summary))
				}
				if strings.Join(got, "|") != want {
					t.Errorf("kept %s\nwant %s", strings.Join(got, "|"), want)
				}
			}
			state, err := OpenState(dir, time.Now, func(text string) { t.Error(text) })
			if err != nil {
				t.Fatal(err)
			}
			inWorldWith(t, program("web", 1, ""), state, func(ctx context.Context, w *world) {
				pass(2 * time.Second)
				c.do(control.WithCaller(ctx, func() string { return "bert" }), w, dir)
			})
			if err := state.Close(); err != nil {
				t.Fatal(err)
			}
			kept(dir, c.want)
			if _, err := os.Stat(dir + ".killed"); err == nil {
				kept(dir+".killed", c.want)
			}
		})
	}
}
