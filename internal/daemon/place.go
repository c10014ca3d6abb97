package daemon

import (
	"context"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
)

// notePlace remembers where a process lives, and says in the main log what it lacks.
func (d *Daemon) notePlace(e host.Placed) {
	before := d.loop.places[e.ID]
	d.loop.places[e.ID] = e
	if s, ok := d.loop.core.Status(e.ID); ok && e.Lacks != "" && e.Lacks != before.Lacks {
		d.logf(LevelWarn, "%s: %s", s.Namespec(), e.Lacks)
	}
}

// placeOf returns where the present life of a process lives; the zero value says that it shares the daemon's control group. It runs in the loop.
func (d *Daemon) placeOf(m member) host.Placed {
	p := d.loop.places[m.ID]
	if p.Incarnation != m.Incarnation || m.PID == 0 {
		return host.Placed{}
	}
	return p
}

// places counts the processes in control groups of their own and names those that lack something.
func (d *Daemon) places(ctx context.Context, v *view) (grouped int, lacking []control.Lacking) {
	d.do(ctx, func(core.Now) { // a daemon that ends has none any more
		for _, m := range v.procs {
			p := d.placeOf(m)
			if p.Cgroup != "" {
				grouped++
			}
			if p.Lacks != "" {
				lacking = append(lacking, control.Lacking{Name: m.Namespec().String(), Text: p.Lacks})
			}
		}
	})
	return grouped, lacking
}
