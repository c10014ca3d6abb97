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
		w.writer = NewLogWriter(w.log)
		w.d, err = New(Options{
			Config: c, Load: w.load, Logger: NewLogger(w.writer, LevelDebug), Flush: w.writer.Flush, PID: func() int { return 4711 }, Wall: time.Now,
			Host: func(events func(host.Event)) (host.Host, error) { w.host.events = events; return w.host, nil },
			Left: &Left{core: machine, configs: map[int]*config.Config{1: c}, desired: savedDesired{Config: 1, Source: map[string]int{"a": 1}, Taken: []string{"a"}}, lives: map[process.ID]SavedLife{}},
		})
		if err != nil {
			t.Fatal(err)
		}
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
