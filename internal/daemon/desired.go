package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// Mark implements control.Desired.
func (d *Daemon) Mark(ctx context.Context, req control.MarkRequest) (control.Marking, error) {
	kind := store.MarkKind(req.Mark)
	mark, ok := markKinds[kind]
	if !ok {
		return control.Marking{}, control.Fault(control.IncorrectParameters, "mark "+strconv.Quote(req.Mark)+" is none of hold, disable, enable")
	}
	note, err := control.CheckNote(req.Note)
	if err != nil {
		return control.Marking{}, err
	}
	out := control.Marking{Schema: control.MarksSchema, Verb: req.Mark, Marks: []control.Marked{}}
	for _, name := range req.Names {
		target := coreTarget(control.Target{Name: name})
		if _, err := d.ask(ctx, core.SetMark{Target: target, Mark: mark}); err != nil {
			// What is said of a process outlives it, and can be taken back then.
			if _, marked := d.state.read().Mark(process.Namespec{Group: target.Group, Process: target.Process}); !marked || mark != core.Free {
				return out, err
			}
		}
		m := store.Mark{Group: target.Group, Process: target.Process, Kind: kind, Who: req.Who, When: d.opts.Wall(), Note: note}
		d.state.write(func(s *store.Store) error { return s.SetMark(m) })
		d.asked(ctx, req.Mark, target)
		out.Marks = append(out.Marks, showMark(m))
	}
	out.NotKept = d.state.lag()
	return out, nil
}

func showMark(m store.Mark) control.Marked {
	name := m.Process
	if name == "" {
		name = "*"
	}
	return control.Marked{Name: m.Group + ":" + name, Mark: string(m.Kind), Who: m.Who, When: m.When, Note: m.Note}
}

// History implements control.Desired.
func (d *Daemon) History(context.Context) ([]control.Generation, error) {
	d.noteCalls()
	out := []control.Generation{}
	for _, g := range d.state.read().Generations() {
		out = append(out, control.Generation{Rev: g.Rev, When: g.When, Who: g.Who, Op: g.Op, Result: g.Result, Summary: g.Summary})
	}
	return out, nil
}

// HistoryDiff implements control.Desired.
func (d *Daemon) HistoryDiff(_ context.Context, from, to int) ([]control.GenerationChange, error) {
	kept := d.state.read()
	var both [2]store.Generation
	for i, rev := range []int{1: from, 0: to} { // first what was asked for, then the one before it
		i = 1 - i
		if rev == 0 && i == 0 {
			continue // before the first there was nothing
		}
		g, err := kept.Generation(rev)
		if err != nil {
			return nil, control.Fault(control.BadName, fmt.Sprintf("r%d", rev))
		}
		both[i] = g
	}
	out := []control.GenerationChange{}
	for _, c := range store.Diff(both[0], both[1], nil) {
		change := control.GenerationChange{Group: c.Group, Process: c.Process, Action: [...]string{"changed", "added", "removed"}[c.Action]}
		if c.Action == store.Changed {
			before, after, _ := plan.Difference{Option: c.Option, Variable: c.Variable, Old: c.Old, New: c.New}.Mask()
			change.Option, change.Variable, change.Class, change.Old, change.New = c.Option, c.Variable, c.Class.String(), before, after
		}
		out = append(out, change)
	}
	return out, nil
}

// Standing implements control.Desired.
func (d *Daemon) Standing(ctx context.Context) (control.Standing, error) {
	out := control.Standing{Schema: control.StandingSchema, NotKept: d.state.lag(), Overrides: []control.Override{}, Marks: []control.Marked{}, Newer: []string{}, Restarts: map[string]int{}}
	d.noteBoot()
	if u := d.unnoted.Load(); u != nil && d.opts.Wall().Sub(u.when) >= settled {
		d.noteCalls()
	}
	kept := d.state.read()
	if list := kept.Generations(); len(list) > 0 {
		out.Rev = list[len(list)-1].Rev
	}
	for _, m := range kept.Marks() {
		out.Marks = append(out.Marks, showMark(m))
	}
	v, err := d.current(ctx)
	if err != nil {
		return out, err
	}
	_, out.Lacking = d.places(ctx, v)
	var c *config.Config
	var read time.Time
	if !d.do(ctx, func(core.Now) {
		out.Drift = d.drift()
		c, read = d.loop.desired.config, d.loop.desired.read
		for _, s := range d.loop.core.Statuses() {
			if r, ok := readinessOf(s); ok {
				if out.Readiness == nil {
					out.Readiness = map[string]control.Readiness{}
				}
				out.Readiness[s.Group+":"+s.Name] = r
			}
			if s.Idle {
				out.Idle = append(out.Idle, s.Group+":"+s.Name)
			}
			if s.Restarts > 0 {
				out.Restarts[s.Group+":"+s.Name] = s.Restarts
			}
		}
	}) {
		return out, gone(ctx)
	}
	for _, o := range kept.Overrides() {
		at := c.Place(o.Group, "numprocs")
		if o.Count == c.CountInFile(o.Group) {
			continue
		}
		out.Overrides = append(out.Overrides, control.Override{Program: o.Group, Count: o.Count, InFile: c.CountInFile(o.Group), File: at.File, Line: at.Line})
	}
	if out.Newer = d.newer(c, read); len(out.Newer) == 0 {
		return out, nil
	}
	// What has changed in them may be nothing that runs, or have been taken over for one group after the other.
	if file, err := d.opts.Load(); err == nil {
		if file, err = d.scaled(file); err == nil {
			same := false
			if d.do(ctx, func(core.Now) { same = plan.Minimal(d.loop.core.Manifest(), file.Groups, nil).Empty() }) && same && len(d.daemonNotes(file)) == 0 {
				out.Newer = []string{}
			}
		}
	}
	return out, nil
}

// newer names files that say something else than when they were read. Only those are read again that look younger.
func (d *Daemon) newer(c *config.Config, read time.Time) []string {
	changed := []string{}
	directories := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(c.Sums)) {
		if path != c.Path {
			directories[filepath.Dir(path)] = true
		}
		info, err := os.Stat(path)
		if err == nil && info.ModTime().Before(read.Add(-time.Second)) { // stamps are coarse
			continue
		}
		text, err := os.ReadFile(path)
		if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != c.Sums[path] {
			changed = append(changed, path)
		}
	}
	for dir := range directories {
		if info, err := os.Stat(dir); err != nil || info.ModTime().Before(read.Add(-time.Second)) {
			continue
		}
		// Files have come or gone where others are included from.
		if now, err := d.opts.Load(); err == nil {
			for path := range now.Sums {
				if _, ok := c.Sums[path]; !ok {
					changed = append(changed, path)
				}
			}
		}
		break
	}
	slices.Sort(changed)
	return slices.Compact(changed)
}
