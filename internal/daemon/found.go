package daemon

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// FoundProcess is a process that is there when the daemon begins: keeper and daemon before it were killed at once, or another supervisor had it.
type FoundProcess struct {
	Group string
	// Spec is what it was started with. Where the files say something else by now an update follows.
	Spec *process.Spec
	As   core.Found
	// Ready says that a check had found it ready: it may not say so again.
	Ready bool
	// Gone says that it has ended since, and was to start again. Nothing else is known then but Group and the Spec's name.
	Gone bool
	// There is the process and the daemon's ends of its pipes, which become the daemon's; nil: it does not run.
	There *host.There
	// Stdout and Stderr are the files of its AUTO logs; "" = new ones.
	Stdout, Stderr string
}

// Find looks for the processes of a daemon that was killed together with its keeper. What has ended since begins anew, as with any start.
func (l *Left) Find(report func(string)) (found []FoundProcess) {
	asked := map[process.ID]bool{} // starts of which the outcome is not known
	for _, e := range l.core.Pending() {
		if spawn, ok := e.(core.Spawn); ok {
			asked[spawn.ID] = true
			s, _ := l.core.Status(spawn.ID)
			host.AwaitForks(s.Started)
		}
	}
	for _, s := range l.core.Statuses() {
		var there *host.There
		var err error
		switch life, ok := l.lives[s.ID]; {
		case asked[s.ID]:
			url := s.Spec.ServerURL
			if url == process.ServerURLAuto {
				url = l.Config().ServerURL()
			}
			there, err = host.FindStarted(s.Group, s.Name, url, s.Started, s.Spec.RedirectStderr)
		case ok && s.PID == life.PID && s.Incarnation == life.Incarnation:
			there, err = host.Find(life.PID, life.Traits)
		default:
			err = host.ErrGone
		}
		if err != nil {
			if err != host.ErrGone { //nolint:errorlint // it is what Find returns
				report("cannot take " + s.Namespec().String() + " back: " + err.Error())
			}
			if l.core.Returns(s.ID) {
				found = append(found, FoundProcess{Group: s.Group, Spec: s.Spec, Gone: true})
			}
			continue
		}
		f := FoundProcess{Group: s.Group, Spec: s.Spec, There: there, Stdout: l.logs[s.ID].Stdout, Stderr: l.logs[s.ID].Stderr}
		f.As = core.Found{State: s.State, PID: there.PID, Began: s.Started, Started: time.Since(s.Started), Again: l.core.Returns(s.ID)}
		f.Ready, f.As.Greeting = l.core.FoundOf(s.ID)
		switch {
		case asked[s.ID]:
			f.As.State = process.Starting // also where it was to be stopped: nobody has told it so
		case s.State != process.Starting && s.State != process.Running && s.State != process.Stopping:
			f.As.State = process.Running
		}
		found = append(found, f)
	}
	return found
}

// withFound returns the groups of a configuration as they are with what was found: with the settings that each process has, and with those that the
// files do not have any more.
func withFound(groups []process.GroupSpec, found []FoundProcess) []process.GroupSpec {
	out := slices.Clone(groups)
	for _, f := range found {
		if f.Gone {
			continue
		}
		i := slices.IndexFunc(out, func(g process.GroupSpec) bool { return g.Name == f.Group })
		if i < 0 {
			out = append(out, process.GroupSpec{Name: f.Group, Priority: f.Spec.Priority})
			i = len(out) - 1
		}
		g := &out[i]
		g.Processes = slices.Clone(g.Processes)
		if j := slices.IndexFunc(g.Processes, func(p process.Spec) bool { return p.Name == f.Spec.Name }); j >= 0 {
			g.Processes[j] = *f.Spec
		} else {
			g.Processes = append(g.Processes, *f.Spec)
		}
	}
	return out
}

// bootWith makes the loop begin with a configuration and with what was found.
func (d *Daemon) bootWith(c *config.Config) {
	found := d.opts.Found
	boot := core.AddGroups{Groups: withFound(d.loop.desired.groups, found), Boot: true, Found: map[process.Namespec]core.Found{}}
	gone := map[process.Namespec]bool{}
	for _, f := range found {
		if f.Gone {
			gone[process.Namespec{Group: f.Group, Process: f.Spec.Name}] = true
			continue
		}
		boot.Found[process.Namespec{Group: f.Group, Process: f.Spec.Name}] = f.As
	}
	var sockets []string
	for _, f := range found {
		if f.There != nil && f.Spec.Socket.URL != "" {
			sockets = append(sockets, f.Spec.Socket.URL)
		}
	}
	d.inbox.putWish(wish{do: func(now core.Now) {
		d.probe(boot.Groups, sockets...)
		d.step(now, core.Command{Do: boot})
		for _, s := range d.loop.core.Statuses() { // those that do not begin with their groups, either
			if gone[s.Namespec()] && s.State == process.Stopped {
				d.step(now, core.Command{Do: core.Start{Target: core.Target{Group: s.Group, Process: s.Name}}})
			}
		}
		names, alive := map[string]bool{}, 0
		for _, f := range found {
			if f.Gone {
				continue
			}
			names[f.Group] = true
			if f.There != nil {
				alive++
			}
			d.adopt(now, f)
		}
		d.effects = append(d.effects, resumed{}) // before a soft restart there may have been sockets that nobody names any more
		if len(names) == 0 {
			return
		}
		d.logf(LevelInfo, "%d processes were there already and go on", alive)
		if groups := slices.Sorted(maps.Keys(names)); !plan.Minimal(d.loop.core.Manifest(), c.Groups, groups).Empty() {
			d.changing.Go(func() { d.catchUp(groups) })
		}
	}})
}

// catchUp updates groups of which the files say something else than what was found.
func (d *Daemon) catchUp(groups []string) {
	if _, err := d.Update(context.Background(), control.UpdateRequest{Who: "start", Groups: groups}); err != nil {
		d.logf(LevelError, "cannot update what was found: %v", err)
	}
}

// adopt hands a process that was found to the host. It runs in the loop, after the core has taken it up.
func (d *Daemon) adopt(now core.Now, f FoundProcess) {
	s, ok := d.loop.core.Find(f.Group, f.Spec.Name)
	if !ok {
		return
	}
	logs := d.loop.logs[s.ID]
	if f.Stdout != "" || f.Stderr != "" {
		d.keepLogs(logs, savedLogs{s.ID, f.Stdout, f.Stderr}, core.OpenLogs{ID: s.ID, Group: f.Group, Spec: s.Spec})
		d.noteLogs(logs)
	}
	logs.spawned = true
	if f.There == nil {
		return
	}
	saved := SavedLife{s.ID, s.Incarnation, s.PID, f.There.Traits()}
	d.loop.lives[s.ID] = saved
	d.frame(frameLife, saved)
	d.continueLogs(s, logs)
	req := d.spawnRequest(core.Spawn{ID: s.ID, Incarnation: s.Incarnation, Group: s.Group, Spec: s.Spec}, logs)
	d.host.Resume(req, s.PID, f.There)
	if f.Ready {
		d.step(now, core.Checked{ID: s.ID, Incarnation: s.Incarnation, OK: true})
	}
}
