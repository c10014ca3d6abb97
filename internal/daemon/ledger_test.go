package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// successor makes the daemon that comes after one of which the machine was.
func (w *world) successor(c *config.Config, machine *core.Supervisor) {
	w.t.Helper()
	w.writer = NewLogWriter(w.log)
	var err error
	w.d, err = New(Options{
		Config: c, Load: w.load, Logger: NewLogger(w.writer, LevelDebug), Flush: w.writer.Flush, PID: func() int { return 4711 }, Wall: time.Now,
		Host: func(events func(host.Event)) (host.Host, error) { w.host.events = events; return w.host, nil },
		Left: &Left{core: machine, configs: map[int]*config.Config{1: c}, desired: savedDesired{Config: 1, Source: map[string]int{"a": 1}, Taken: []string{"a"}}, lives: map[process.ID]SavedLife{}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestInputOnce lets a daemon take over from one that died while it wrote to a process: nobody knows whether it has, and who has asked got no answer. It is not
// written again.
func TestInputOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, host: newFakeHost(), files: map[string]string{}, log: &lockedBuffer{}, ended: make(chan bool, 1)}
		w.write(program("a", 1, ""))
		c, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		before := core.Now{Wall: time.Now()}
		machine := core.New(coreOptions(c))
		machine.Step(before, core.Command{Do: core.AddGroups{Groups: c.Groups, Boot: true}})
		s := machine.Statuses()[0]
		machine.Step(before, core.Spawned{ID: s.ID, Incarnation: s.Incarnation, PID: 100})
		machine.Step(before, core.Command{Req: 1, Do: core.WriteInput{Target: core.Target{Group: "a", Process: s.Name}, Data: []byte("line\n")}})
		if len(machine.Unanswered()) != 1 || len(machine.Pending()) == 0 {
			t.Fatalf("nothing is under way: %+v", machine.Pending())
		}
		w.successor(c, machine)
		ctx, stop := context.WithCancel(t.Context())
		go func() { w.ended <- w.d.Run(ctx) }()
		pass(2 * time.Second)
		w.host.mu.Lock()
		if len(w.host.stdin) > 0 {
			t.Errorf("written again: %v", w.host.stdin)
		}
		w.host.mu.Unlock()
		stop()
		<-w.ended
		if left := machine.Unanswered(); len(left) > 0 {
			t.Errorf("without an answer: %v", left)
		}
		if err := w.d.Close(); err != nil {
			t.Error(err)
		}
		w.writer.Close()
	})
}

// TestOverdueStart lets a daemon take over from one that died while a process waited for its next start, whose moment has passed meanwhile: it
// is started once.
func TestOverdueStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, host: newFakeHost(), files: map[string]string{}, log: &lockedBuffer{}, ended: make(chan bool, 1)}
		w.write(program("a", 1, ""))
		c, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		before := core.Now{Wall: time.Now()}
		machine := core.New(coreOptions(c))
		machine.Step(before, core.Command{Do: core.AddGroups{Groups: c.Groups, Boot: true}})
		s := machine.Statuses()[0]
		machine.Step(before, core.SpawnFailed{ID: s.ID, Incarnation: s.Incarnation, Text: "no"})
		if s = machine.Statuses()[0]; s.State != process.Backoff {
			t.Fatalf("the process is %v", s.State)
		}
		w.successor(c, machine)
		w.d.origin = w.d.origin.Add(-time.Minute) // so long ago was that
		ctx, stop := context.WithCancel(t.Context())
		go func() { w.ended <- w.d.Run(ctx) }()
		pass(2 * time.Second)
		if w.host.spawns != 1 {
			t.Errorf("it was started %d times: %s", w.host.spawns, w.log)
		}
		stop()
		<-w.ended
		if err := w.d.Close(); err != nil {
			t.Error(err)
		}
		w.writer.Close()
	})
}
