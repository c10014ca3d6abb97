package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// desired is the daemon's idea of the files: what AddGroup takes groups from. It changes as a whole by Reread, and for one group by a
// grace update that was carried out; a refused one leaves it alone (quirk G7). Only the loop touches it.
type desired struct {
	config *config.Config
	groups []process.GroupSpec // names are unique
	// taken names the groups that were activated from this very reading: Configs shows their AUTO logs by path (quirk D8).
	taken   map[string]bool
	own     map[string]bool // groups that were set by themselves
	read    time.Time       // when the files were read
	changed bool            // since it was written down
}

func desire(c *config.Config) desired {
	return desired{config: c, groups: c.Groups, taken: map[string]bool{}, own: map[string]bool{}, read: time.Now(), changed: true}
}

func (w *desired) group(name string) (process.GroupSpec, bool) {
	i := slices.IndexFunc(w.groups, func(g process.GroupSpec) bool { return g.Name == name })
	if i < 0 {
		return process.GroupSpec{}, false
	}
	return w.groups[i], true
}

func (w *desired) set(g process.GroupSpec) {
	w.own[g.Name], w.changed = true, true
	i := slices.IndexFunc(w.groups, func(o process.GroupSpec) bool { return o.Name == g.Name })
	if i < 0 {
		w.groups = append(w.groups, g)
		return
	}
	w.groups = slices.Clone(w.groups)
	w.groups[i] = g
}

// load reads the files, with what Scale has set; a broken one is CantReread with Supervisor's text.
func (d *Daemon) load() (*config.Config, error) {
	c, err := d.opts.Load()
	if err != nil {
		return nil, cantReread(err)
	}
	if c, err = d.scaled(c); err != nil {
		return nil, cantReread(err)
	}
	return c, nil
}

// cantReread is the fault of files that cannot be used.
func cantReread(err error) error {
	fault := control.Fault(control.CantReread, err.Error())
	var bad *config.Error
	if errors.As(err, &bad) {
		fault.Placed = bad.Detail()
	}
	return fault
}

// Reread implements control.Reconcile.
func (d *Daemon) Reread(ctx context.Context) (control.Reread, error) {
	c, err := d.load()
	if err != nil {
		return control.Reread{}, err
	}
	LogWarnings(d.log, c)
	var out control.Reread
	ok := d.do(ctx, func(core.Now) {
		d.loop.desired = desire(c)
		d.ident.Store(&c.Supervisord.Identifier)
		d.step(core.Now{}, core.Command{Do: core.Identify{Name: c.Supervisord.Identifier}})
		out.Added, out.Changed, out.Removed = plan.Differences(d.loop.core.Manifest(), d.loop.desired.groups)
	})
	if !ok {
		return control.Reread{}, gone(ctx)
	}
	return out, nil
}

// LogWarnings writes what the files are warned of into the main log, criticals first, then warnings, then infos.
func LogWarnings(log *slog.Logger, c *config.Config) {
	for _, pass := range []struct {
		from config.Level
		to   slog.Level
	}{{config.LevelCrit, LevelCritical}, {config.LevelWarn, LevelWarn}, {config.LevelInfo, LevelInfo}} {
		for _, w := range c.Warnings {
			if w.Level == pass.from {
				log.Log(context.Background(), pass.to, w.Text)
			}
		}
	}
}

// AddGroup implements control.Reconcile.
func (d *Daemon) AddGroup(ctx context.Context, name string) error {
	return d.change(ctx, func() (core.Verb, error) {
		g, ok := d.loop.desired.group(name)
		if !ok {
			return nil, control.Fault(control.BadName, name)
		}
		if !slices.Contains(d.loop.core.Groups(), name) {
			d.loop.desired.taken[name] = true
			d.loop.source[name] = d.loop.desired.config
			d.loop.desired.changed = true
			d.probe([]process.GroupSpec{g})
		}
		return core.AddGroups{Groups: []process.GroupSpec{g}}, nil
	})
}

// Configs implements control.Info.
func (d *Daemon) Configs(ctx context.Context) ([]control.ConfigInfo, error) {
	var out []control.ConfigInfo
	ok := d.do(ctx, func(core.Now) {
		active := d.loop.core.Groups()
		for _, g := range d.loop.desired.groups {
			for _, spec := range g.Processes {
				info := control.ConfigInfo{
					Group: g.Name, GroupPriority: g.Priority, InUse: slices.Contains(active, g.Name), Spec: spec,
					StdoutLog: logText(spec.Stdout), StderrLog: logText(spec.Stderr),
				}
				if s, ok := d.loop.core.Find(g.Name, spec.Name); ok && d.loop.desired.taken[g.Name] {
					logs := d.loop.logs[s.ID]
					info.StdoutLog = autoPath(spec.Stdout, logs.stdout.Stream, info.StdoutLog)
					info.StderrLog = autoPath(spec.Stderr, logs.stderr.Stream, info.StderrLog)
				}
				out = append(out, info)
			}
		}
	})
	if !ok {
		return nil, gone(ctx)
	}
	slices.SortStableFunc(out, func(a, b control.ConfigInfo) int { return strings.Compare(a.Spec.Name, b.Spec.Name) })
	return out, nil
}

// logText is a log's target as getAllConfigInfo shows it.
func logText(s process.LogSpec) string {
	switch s.File.Kind {
	case process.LogAuto:
		return "auto"
	case process.LogNone:
		return "none"
	default:
		return s.File.Path
	}
}

func autoPath(s process.LogSpec, stream *childlog.Stream, otherwise string) string {
	if s.File.Kind == process.LogAuto && stream.Path() != "" {
		return stream.Path()
	}
	return otherwise
}

// RemoveGroup implements control.Reconcile.
func (d *Daemon) RemoveGroup(ctx context.Context, name string) error {
	_, err := d.ask(ctx, core.RemoveGroup{Name: name})
	d.noteCall(control.Caller(ctx))
	return err
}

// AddProgram implements control.Reconcile.
func (d *Daemon) AddProgram(ctx context.Context, group, program string, options map[string]string) error {
	return d.change(ctx, func() (core.Verb, error) {
		if !slices.Contains(d.loop.core.Groups(), group) {
			return nil, control.Fault(control.BadName, "group: "+group)
		}
		specs, err := d.loop.desired.config.AddProgram(group, program, options, d.loop.core.Manifest().Specs())
		if err != nil {
			return nil, control.Fault(control.IncorrectParameters, err.Error())
		}
		return core.AddProcesses{Group: group, Specs: specs}, nil
	})
}

// RemoveProcess implements control.Reconcile.
func (d *Daemon) RemoveProcess(ctx context.Context, group, name string) error {
	return d.change(ctx, func() (core.Verb, error) {
		if !slices.Contains(d.loop.core.Groups(), group) {
			return nil, control.Fault(control.BadName, "group: "+group)
		}
		return core.RemoveProcess{Group: group, Name: name, Departed: true}, nil
	})
}

// change decides in the loop, from state that only the loop may read, which command to step, and waits for its answer. Decision and
// step share one turn, so nothing comes between them.
func (d *Daemon) change(ctx context.Context, decide func() (core.Verb, error)) error {
	_, err := d.changed(ctx, decide)
	return err
}

// errNothing ends a change that has nothing to do.
var errNothing = errors.New("nothing to do")

func (d *Daemon) changed(ctx context.Context, decide func() (core.Verb, error)) (reply core.Reply, err error) {
	b := newBid(ctx, nil)
	defer func() { d.endBid(ctx, b, err) }()
	for again := true; again; {
		a, refused := newAnswer(b), error(nil)
		ok := d.do(ctx, func(now core.Now) {
			verb, err := decide()
			if err != nil {
				refused = err
				return
			}
			b.kind = bidKind(verb)
			d.command(now, a.wish(verb))
		})
		switch {
		case !ok:
			return core.Reply{}, gone(ctx)
		case refused != nil:
			return core.Reply{}, refused
		}
		reply, again, err = d.await(ctx, a)
	}
	d.noteCall(b.who())
	return reply, err
}
