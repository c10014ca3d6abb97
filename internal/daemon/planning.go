package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// keptPlans is how many plans can be asked for by their identifier.
const keptPlans = 64

// plans remembers which groups the plans were about that were shown. The plans themselves are made anew: they are what they were, or stale.
type plans struct {
	mu    sync.Mutex
	shown []shownPlan // the latest last
}

type shownPlan struct {
	id       string
	groups   []string // nil = all
	override plan.Override
	to       int // the generation that it goes back to; 0 = what the files say
}

func (p *plans) remember(next shownPlan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = slices.DeleteFunc(p.shown, func(s shownPlan) bool { return s.id == next.id })
	p.shown = append(p.shown, next)
	if len(p.shown) > keptPlans {
		p.shown = p.shown[len(p.shown)-keptPlans:]
	}
}

func (p *plans) find(id string) (shownPlan, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.shown {
		if s.id == id {
			return s, true
		}
	}
	return shownPlan{}, false
}

// planUpdate plans the update of groups, nil being all, to what the files say. It runs in the loop.
func (d *Daemon) planUpdate(c *config.Config, groups []string) (plan.Update, error) {
	return planFrom(d.loop.core.Manifest(), c, groups)
}

// planFrom plans what makes groups of a manifest those of the files.
func planFrom(manifest plan.Manifest, c *config.Config, groups []string) (plan.Update, error) {
	for _, name := range groups {
		_, active := manifest.Group(name)
		if !active && !slices.ContainsFunc(c.Groups, func(g process.GroupSpec) bool { return g.Name == name }) {
			return plan.Update{}, control.Fault(control.BadName, name)
		}
	}
	u := plan.Minimal(manifest, c.Groups, groups)
	if circle := u.Circle(manifest); circle != nil {
		return plan.Update{}, control.Fault(control.Failed, "programs would depend on one another in a circle: "+process.CycleText(circle)+"; update all of them together")
	}
	u, err := u.Surging(manifest, c.Spares)
	if err != nil {
		return plan.Update{}, cantReread(err)
	}
	return u, nil
}

// adoptFiles makes what was read the daemon's idea of the files, for groups or, with nil, as a whole. It runs in the loop.
func (d *Daemon) adoptFiles(c *config.Config, groups []string) {
	taken := d.loop.desired.taken
	fresh := desire(c)
	if groups == nil {
		d.loop.desired = fresh
		d.ident.Store(&c.Supervisord.Identifier)
		d.step(core.Now{}, core.Command{Do: core.Identify{Name: c.Supervisord.Identifier}})
		for _, g := range c.Groups {
			fresh.taken[g.Name] = true
			d.loop.source[g.Name] = c
		}
		return
	}
	for _, name := range groups {
		if g, ok := fresh.group(name); ok {
			d.loop.desired.set(g)
			taken[name] = true
			d.loop.source[name] = c
			continue
		}
		d.loop.desired.groups = slices.DeleteFunc(slices.Clone(d.loop.desired.groups), func(g process.GroupSpec) bool { return g.Name == name })
		d.loop.desired.changed = true
	}
}

// Plan implements control.Change.
func (d *Daemon) Plan(ctx context.Context, req control.PlanRequest) (control.Plan, error) {
	if req.Restart != nil || req.To != 0 {
		return d.planOther(ctx, req)
	}
	o, err := overrideOf(req.Roll)
	if err != nil {
		return control.Plan{}, err
	}
	load := d.opts.Load
	if req.File != "" {
		load = func() (*config.Config, error) { return d.opts.LoadFile(req.File) }
	}
	file, err := load()
	if err != nil {
		return control.Plan{}, cantReread(err)
	}
	c, err := d.scaled(file)
	if err != nil {
		return control.Plan{}, cantReread(err)
	}
	var manifest plan.Manifest
	var statuses []process.Status
	if req.Since != 0 {
		if manifest, err = d.manifestOf(req.Since); err != nil {
			return control.Plan{}, err
		}
	} else if !d.do(ctx, func(core.Now) { manifest, statuses = d.loop.core.Manifest(), d.loop.core.Statuses() }) {
		return control.Plan{}, gone(ctx)
	}
	u, err := planFrom(manifest, c, req.Groups)
	if err != nil {
		return control.Plan{}, err
	}
	if u, err = overridden(u, o, standIn); err != nil {
		return control.Plan{}, err
	}
	out := showPlan(u, manifest, c)
	out.Since = req.Since
	if req.Since != 0 {
		out.Overrides, out.Failing = []control.Override{}, []control.FailingProcess{}
		return out, nil
	}
	if req.File == "" { // an update reads the daemon's own files
		d.plans.remember(shownPlan{id: u.ID(), groups: req.Groups, override: o})
	}
	if req.File == "" {
		out.Notes = append(out.Notes, d.daemonNotes(file)...)
		if !d.do(ctx, func(core.Now) { out.Notes = append(out.Notes, d.refusalNotes(u)...) }) {
			return control.Plan{}, gone(ctx)
		}
	}
	out.Overrides = d.overrides(file)
	out.Failing = failing(out.Groups, statuses)
	return out, nil
}

// manifestOf returns a generation as if it ran.
func (d *Daemon) manifestOf(rev int) (plan.Manifest, error) {
	d.noteBoot()
	g, err := d.state.read().Generation(rev)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return plan.Manifest{}, control.Fault(control.BadName, "r"+strconv.Itoa(rev))
	case err != nil: // another version wrote it, or it is damaged
		return plan.Manifest{}, control.Fault(control.Failed, err.Error())
	}
	var m plan.Manifest
	for _, spec := range g.Groups {
		m.Groups = append(m.Groups, plan.Group{GroupSpec: spec})
	}
	return m, nil
}

// Findings implements control.Change.
func (d *Daemon) Findings(_ context.Context, file string) (control.Findings, error) {
	if d.opts.Check == nil {
		return control.Findings{}, control.Fault(control.UnknownMethod, "check")
	}
	found, err := d.opts.Check(file)
	if err != nil {
		return control.Findings{}, cantReread(err)
	}
	return found, nil
}

// failing lists the processes that are down against everybody's will and that a plan does not touch.
func failing(groups []control.PlanGroup, statuses []process.Status) []control.FailingProcess {
	left := map[string]bool{}
	for _, g := range groups {
		for _, name := range slices.Concat(g.Untouched, g.Live, g.Down) {
			left[name] = true
		}
	}
	out := []control.FailingProcess{}
	for _, s := range statuses {
		if name := s.Group + ":" + s.Name; left[name] && (s.State == process.Fatal || s.State == process.Backoff) {
			out = append(out, control.FailingProcess{Process: name, State: s.State.String(), Text: s.SpawnErr})
		}
	}
	return out
}

// showPlan puts a plan into the shape that users see.
func showPlan(u plan.Update, active plan.Manifest, c *config.Config) control.Plan {
	out := control.Plan{
		Schema: control.PlanSchema, ID: u.ID(), Groups: []control.PlanGroup{}, Notes: []control.PlanNote{}, Files: []control.PlanFile{{Path: c.Path, SHA256: c.Sums[c.Path]}},
	}
	for _, path := range c.IncludedFiles {
		out.Files = append(out.Files, control.PlanFile{Path: path, SHA256: c.Sums[path]})
	}
	for _, w := range c.Warnings {
		if w.Level != config.LevelInfo {
			out.Notes = append(out.Notes, control.PlanNote{Code: string(w.Code), File: w.Origin.File, Line: w.Origin.Line, Message: w.Text})
		}
	}
	for _, p := range u.Plans {
		now, _ := active.Group(p.Group)
		out.Notes = append(out.Notes, countNotes(p, c)...)
		g := showGroup(p, now, c)
		out.Groups = append(out.Groups, g)
		t := &out.Totals
		t.Replace += len(g.Replace)
		t.Start += len(g.Start)
		t.Stop += len(g.Stop)
		t.Keep += len(g.Live)
		for _, change := range p.Changes {
			if change.Action == plan.RenameProcess && !change.Down {
				t.Keep++
			}
		}
		for _, name := range p.Kept {
			if now.Down[name] == plan.Up {
				t.Keep++
			}
		}
		for _, o := range g.Changes {
			if o.Class == process.Live.String() {
				t.Live++
			}
		}
	}
	return out
}

var groupActions = map[plan.Scope]string{plan.ChangeGroup: "change", plan.AddGroup: "add", plan.RemoveGroup: "remove", plan.ReplaceGroup: "replace"}

func showGroup(p plan.Plan, active plan.Group, c *config.Config) control.PlanGroup {
	none := func() []string { return []string{} }
	g := control.PlanGroup{
		Name: p.Group, Action: groupActions[p.Scope], Changes: []control.OptionChange{}, Start: none(), Stop: none(), Replace: none(), Rename: []control.Renaming{},
		Live: none(), Down: none(), Add: none(), Untouched: plan.QualifiedNames(p.Group, p.Kept), Held: plan.QualifiedNames(p.Group, p.Held),
	}
	if p.Empty() {
		g.Action = "keep"
	}
	for _, f := range p.Fields {
		g.Changes = append(g.Changes, showDifference(f, c.GroupPlace(p.Group, f.Option)))
	}
	if p.Scope == plan.ChangeGroup || p.Scope == plan.ReplaceGroup {
		g.Changes = append(g.Changes, countChanges(active.GroupSpec, p.Desired, c)...)
	}
	var rows rows
	line, most := lineTimes(p)
	g.Strategy = showStrategy(p)
	for _, change := range p.Changes {
		name := p.Group + ":" + change.Name
		patience, _ := change.Spec.Patience()
		wait, stop := float64(change.Spec.StartSecs), patience.Seconds()
		for _, f := range change.Fields {
			if slices.ContainsFunc(p.Fields, func(g plan.Difference) bool { return g == f }) {
				continue // a program that is its own group says it for both
			}
			rows.add(f, name, c.Place(change.Spec.Program, f.Option))
		}
		both := false
		if p.Scope == plan.ReplaceGroup {
			_, before := active.Process(change.Name)
			_, after := p.Desired.Process(change.Name)
			both = before && after
		}
		switch change.Action {
		case plan.AddProcess, plan.ReturnProcess:
			switch {
			case both && change.Spec.Autostart:
				g.Replace = append(g.Replace, name)
			case change.Spec.Autostart:
				g.Start = append(g.Start, name)
			default:
				g.Add = append(g.Add, name)
			}
			g.Estimate = max(g.Estimate, wait)
		case plan.RemoveProcess:
			switch {
			case both:
			case change.Down:
				g.Remove = append(g.Remove, name)
			default:
				g.Stop = append(g.Stop, name)
			}
			if !change.Down {
				g.StopMost = max(g.StopMost, stop)
			}
		case plan.ReplaceProcess:
			if change.Down && !change.Retry {
				g.Down = append(g.Down, name)
				break
			}
			if change.Retry {
				g.Start = append(g.Start, name)
			} else {
				g.Replace = append(g.Replace, name)
			}
		case plan.RenameProcess:
			g.Rename = append(g.Rename, control.Renaming{From: p.Group + ":" + change.From, To: name})
		case plan.TuneProcess:
			if change.Down {
				g.Down = append(g.Down, name)
			} else {
				g.Live = append(g.Live, name)
			}
		}
	}
	g.Estimate, g.StopMost = max(g.Estimate, line), max(g.StopMost, most)
	stay := 0
	for _, s := range active.Processes {
		if _, ok := p.Desired.Process(s.Name); ok {
			stay++
		}
	}
	g.Changes = append(g.Changes, rows.list(stay+len(g.Rename))...)
	g.Reasons = reasons(p, active, c)
	return g
}

// countChanges tells of each program how many processes it has, where that number changes.
func countChanges(active, desired process.GroupSpec, c *config.Config) []control.OptionChange {
	var programs []string
	for _, s := range slices.Concat(active.Processes, desired.Processes) {
		if !slices.Contains(programs, s.Program) {
			programs = append(programs, s.Program)
		}
	}
	before, after := programCounts(active), programCounts(desired)
	var out []control.OptionChange
	for _, name := range programs {
		if before[name] == after[name] || before[name] == 0 || after[name] == 0 {
			continue
		}
		out = append(out, showDifference(plan.Difference{
			Option: "numprocs", Class: process.Identity, Old: strconv.Itoa(before[name]), New: strconv.Itoa(after[name]),
		}, c.Place(name, "numprocs")))
	}
	return out
}

// programCounts tells how many processes each program has in a group.
func programCounts(g process.GroupSpec) map[string]int {
	out := map[string]int{}
	for _, s := range g.Processes {
		out[s.Program]++
	}
	return out
}

// daemonNotes tells of sections that only a restart of the daemon takes over.
func (d *Daemon) daemonNotes(c *config.Config) []control.PlanNote {
	out := []control.PlanNote{}
	was := d.opts.Config
	graced := was.Graced
	graced.StrictConfig = c.Graced.StrictConfig // a word to those who read the files
	servers := func(list []config.Server) []config.Server {
		list = slices.Clone(list)
		for i := range list {
			list[i].Origin = process.Origin{} // where it stands is not what it is
		}
		return list
	}
	plugins := func(list []config.Plugin) []config.Plugin {
		list = slices.Clone(list)
		for i := range list {
			list[i].Origin = process.Origin{}
		}
		return list
	}
	for _, part := range []struct {
		name string
		same bool
	}{
		{"[supervisord]", reflect.DeepEqual(was.Supervisord, c.Supervisord)}, {"[unix_http_server] or [inet_http_server]", reflect.DeepEqual(servers(was.Servers), servers(c.Servers))},
		{"[rpcinterface:x]", reflect.DeepEqual(plugins(was.RPCInterfaces), plugins(c.RPCInterfaces))}, {"[graced]", reflect.DeepEqual(graced, c.Graced)},
	} {
		if !part.same {
			out = append(out, control.PlanNote{Code: "W181", File: c.Path, Message: part.name + " has changed: only a restart of the daemon takes it over (gracectl reload)"})
		}
	}
	return out
}

// countNotes warns of options that hold the number of processes: a change of the number changes every process then.
func countNotes(p plan.Plan, c *config.Config) []control.PlanNote {
	var out []control.PlanNote
	seen := map[string]bool{}
	for _, change := range p.Changes {
		if change.Action != plan.ReplaceProcess && change.Action != plan.TuneProcess {
			continue
		}
		for _, f := range change.Fields {
			key := change.Spec.Program + " " + f.Option
			if seen[key] || !strings.Contains(c.Raw(change.Spec.Program, f.Option), "%(numprocs)") {
				continue
			}
			seen[key] = true
			at := c.Place(change.Spec.Program, f.Option)
			out = append(out, control.PlanNote{
				Code: "W180", File: at.File, Line: at.Line, Message: f.Option + " of " + change.Spec.Program + " holds %(numprocs)d: another number of processes changes it for each of them",
			})
		}
	}
	return out
}

// rows gathers differences: what is the same for several processes is told once.
type rows struct {
	changes []control.OptionChange
	index   map[string]int
}

func (r *rows) add(d plan.Difference, name string, at process.Origin) {
	key := fmt.Sprintf("%q %q %q %q", d.Option, d.Variable, d.Old, d.New)
	i, ok := r.index[key]
	if !ok {
		if r.index == nil {
			r.index = map[string]int{}
		}
		i = len(r.changes)
		r.index[key] = i
		r.changes = append(r.changes, showDifference(d, at))
	}
	r.changes[i].Processes = append(r.changes[i].Processes, name)
}

// list returns the rows. all is how many processes could have each: one that they all have needs no names.
func (r *rows) list(all int) []control.OptionChange {
	for i := range r.changes {
		if len(r.changes[i].Processes) == all {
			r.changes[i].Processes = nil
		}
	}
	return r.changes
}

func showDifference(d plan.Difference, at process.Origin) control.OptionChange {
	before, after, hidden := d.Mask()
	return control.OptionChange{
		Option: d.Option, Variable: d.Variable, Old: before, New: after, Hidden: hidden, Class: d.Class.String(), File: at.File, Line: at.Line,
	}
}
