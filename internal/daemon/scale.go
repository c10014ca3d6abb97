package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

// counts are the programs whose number of processes somebody has set, with the process_num of each.
type counts struct {
	mu   sync.Mutex
	nums map[string][]int
}

func (c *counts) get() map[string][]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.nums)
}

// set notes the processes of a program; nil = what the files say.
func (c *counts) set(program string, nums []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if nums == nil {
		delete(c.nums, program)
		return
	}
	if c.nums == nil {
		c.nums = map[string][]int{}
	}
	c.nums[program] = nums
}

// scaled applies to a configuration what Scale has set.
func (d *Daemon) scaled(c *config.Config) (*config.Config, error) {
	nums := d.counts.get()
	out, err := c.Scaled(nums)
	if err != nil {
		programs := slices.Sorted(maps.Keys(nums))
		return nil, fmt.Errorf("%w; numbers of processes are overridden for %s: gracectl scale NAME=file ends that", err, strings.Join(programs, ", "))
	}
	return out, nil
}

// Scale implements control.Change.
func (d *Daemon) Scale(ctx context.Context, req control.ScaleRequest) (control.Scaling, error) {
	victim, ok := victims[req.Victim]
	if !ok {
		return control.Scaling{}, control.Fault(control.IncorrectParameters, "victim "+strconv.Quote(req.Victim)+" is none of highest, oldest, newest")
	}
	for i, t := range req.Targets {
		if slices.ContainsFunc(req.Targets[:i], func(o control.ScaleTarget) bool { return o.Program == t.Program }) {
			return control.Scaling{}, control.Fault(control.IncorrectParameters, t.Program+" is named twice")
		}
	}
	if req.DryRun {
		file, err := d.opts.Load()
		if err != nil {
			return control.Scaling{}, cantReread(err)
		}
		out := control.Scaling{Schema: control.ScalingSchema}
		if !d.do(ctx, func(core.Now) {
			var u plan.Update
			if u, out.Programs, _, err = d.planScale(file, req, victim); err == nil {
				err = d.refusal(core.Update{Plan: u})
			}
		}) {
			return control.Scaling{}, gone(ctx)
		}
		return out, err
	}
	op := d.operations.add("scale", req.Who, d.opts.Wall())
	about, err := d.launch(ctx, op, asked{Scale: &req})
	if err != nil {
		return control.Scaling{}, err
	}
	out := control.Scaling{Schema: control.ScalingSchema, Programs: about.Scaled, Operation: &about}
	about.Scaled = nil
	return out, nil
}

// beginScale plans new numbers by what the files and the processes are now, and begins with them.
func (d *Daemon) beginScale(op *operation, req control.ScaleRequest, victim victim) (<-chan core.Reply, <-chan struct{}, error) {
	file, err := d.opts.Load()
	if err != nil {
		return nil, nil, cantReread(err)
	}
	var programs []control.ScaledProgram
	var sources map[string]*config.Config // of the groups that change, with the new numbers
	done, wait, err := d.begin(op, func(core.Now) (u plan.Update, err error) {
		u, programs, sources, err = d.planScale(file, req, victim)
		d.operations.change(op, func(about *control.Operation) { about.Scaled = programs })
		return u, err
	}, func() error {
		for _, p := range programs {
			if p.Override {
				d.counts.set(p.Program, p.Nums)
			} else {
				d.counts.set(p.Program, nil)
			}
		}
		for name, c := range sources {
			d.loop.source[name] = c
			for _, g := range c.Groups {
				if g.Name == name {
					d.loop.desired.set(g)
				}
			}
		}
		return nil
	})
	if err == nil && wait == nil {
		d.state.write(func(s *store.Store) error { return keepCounts(s, programs, req.Who) })
		d.operations.change(op, func(about *control.Operation) { about.NotKept = d.state.lag() })
	}
	return done, wait, err
}

// keepCounts notes numbers of processes in the store.
func keepCounts(s *store.Store, programs []control.ScaledProgram, who string) (err error) {
	for _, p := range programs {
		if p.Override {
			err = errors.Join(err, s.SetOverride(store.Override{Group: p.Program, Count: len(p.Nums), Nums: intsText(p.Nums), Who: who}))
		} else {
			err = errors.Join(err, s.ClearOverride(p.Program))
		}
	}
	return err
}

// victim chooses which of a program's processes leave, by how each is placed before the others that do.
type victim func(a, b process.Status) int

var victims = map[string]victim{
	"": highest, "highest": highest,
	"oldest": func(a, b process.Status) int { return a.Started.Compare(b.Started) },
	"newest": func(a, b process.Status) int { return b.Started.Compare(a.Started) },
}

func highest(a, b process.Status) int { return b.Spec.Num - a.Spec.Num }

// planScale plans new numbers of processes. It runs in the loop.
func (d *Daemon) planScale(file *config.Config, req control.ScaleRequest, victim victim) (
	plan.Update, []control.ScaledProgram, map[string]*config.Config, error,
) {
	scaled := []control.ScaledProgram{}
	nums := d.counts.get()
	if nums == nil {
		nums = map[string][]int{}
	}
	for _, t := range req.Targets {
		members, err := d.members(t.Program)
		if err != nil {
			return plan.Update{}, nil, nil, err
		}
		var present, held []int
		for _, m := range members {
			if !m.Leaving && !m.Extra && !slices.Contains(present, m.Spec.Num) {
				present = append(present, m.Spec.Num)
				if d.loop.core.MarkOf(m.ID) == core.Held {
					held = append(held, m.Spec.Num)
				}
			}
		}
		slices.Sort(present)
		inFile := file.Nums(t.Program)
		want, err := wantedNums(t, present, held, inFile, members, victim)
		if err != nil {
			return plan.Update{}, nil, nil, err
		}
		at := file.Place(t.Program, "numprocs")
		p := control.ScaledProgram{
			Program: t.Program, Before: len(present), After: len(want), InFile: len(inFile), File: at.File, Line: at.Line, SHA256: file.Sums[at.File], Nums: want, Override: t.To != control.ScaleToFile && !slices.Equal(want, inFile),
			Start: []string{}, Stop: []string{}, Leave: []string{},
		}
		scaled = append(scaled, p)
		nums[t.Program] = want
	}
	var programs []string
	for _, t := range req.Targets {
		programs = append(programs, t.Program)
	}
	var u plan.Update
	sources := map[string]*config.Config{}
	var astray error
	placed := map[string]bool{} // programs with a place for their processes
	for _, active := range d.loop.core.Manifest().Groups {
		// New members get what the others of their group run with.
		base := d.loop.source[active.Name]
		if base == nil {
			base = d.loop.desired.config
		}
		c, err := base.Scaled(nums)
		if err != nil {
			return plan.Update{}, nil, nil, control.Fault(control.IncorrectParameters, err.Error())
		}
		i := slices.IndexFunc(c.Groups, func(g process.GroupSpec) bool { return g.Name == active.Name })
		if i < 0 || !slices.ContainsFunc(slices.Concat(active.Processes, c.Groups[i].Processes), func(s process.Spec) bool { return slices.Contains(programs, s.Program) }) {
			continue
		}
		for _, s := range c.Groups[i].Processes {
			placed[s.Program] = true
		}
		astray = cmp.Or(astray, strayed(active, c.Groups[i], programs))
		sources[active.Name] = c
		one := plan.Scale(active, c.Groups[i], programs, req.Lazy)
		if one.Empty() {
			continue
		}
		u.Plans = append(u.Plans, one)
		for _, ch := range one.Changes {
			p := &scaled[slices.Index(programs, ch.Spec.Program)]
			name := active.Name + ":" + ch.Name
			switch {
			case ch.Action != plan.RemoveProcess:
				p.Start = append(p.Start, name)
			case ch.Lazy:
				p.Leave = append(p.Leave, name)
			default:
				p.Stop = append(p.Stop, name)
			}
		}
	}
	for i, t := range req.Targets {
		if t.To != control.ScaleToFile && scaled[i].After > 0 && !placed[t.Program] {
			return plan.Update{}, nil, nil, control.Fault(control.Failed, fmt.Sprintf("the group of %s is not active: gracectl update adds it", t.Program))
		}
	}
	if _, blocked := d.loop.core.Blocked(core.Update{Plan: u}); astray != nil && !blocked { // else what is under way may set it right
		return plan.Update{}, nil, nil, astray
	}
	return u, scaled, sources, nil
}

// members returns the processes of a program. A group's name will do when all its members are of one program.
func (d *Daemon) members(program string) ([]process.Status, error) {
	var out []process.Status
	for _, s := range d.loop.core.Statuses() {
		if s.Spec.Program == program {
			out = append(out, s)
		}
	}
	_, overridden := d.counts.get()[program] // which can be ended also when the program is gone
	if out == nil && !overridden && d.loop.desired.config.Place(program, "command").File == "" {
		return nil, control.Fault(control.BadName, program)
	}
	return out, nil
}

// wantedNums says which processes a program is to have. Those that are held stay.
func wantedNums(t control.ScaleTarget, present, held, inFile []int, members []process.Status, victim victim) ([]int, error) {
	if t.To == control.ScaleToFile {
		want := slices.Concat(inFile, held)
		slices.Sort(want)
		return slices.Compact(want), nil
	}
	text, relative := t.To, 0
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		relative = len(present)
	}
	n, err := strconv.Atoi(text)
	n += relative
	const most = 10_000 // more is a typing error, and can still be written into the file
	if err != nil || n < 0 || n > most {
		return nil, control.Fault(control.IncorrectParameters, fmt.Sprintf("%s=%s: write a number of processes up to %d, +N, -N or file", t.Program, t.To, most))
	}
	want := slices.Clone(present)
	first := 0
	if len(inFile) > 0 {
		first = inFile[0]
	}
	for num := first; len(want) < n; num++ {
		if !slices.Contains(present, num) {
			want = append(want, num)
		}
	}
	if len(want) > n {
		leaving := slices.Clone(members)
		slices.SortStableFunc(leaving, highest)
		slices.SortStableFunc(leaving, victim)
		for _, m := range leaving {
			if i := slices.Index(want, m.Spec.Num); i >= 0 && len(want) > n && !slices.Contains(held, m.Spec.Num) {
				want = slices.Delete(want, i, i+1)
			}
		}
		if len(want) > n {
			text := fmt.Sprintf("%d processes of it are held: gracectl enable them first", len(held))
			if len(held) == 1 {
				text = "1 process of it is held: gracectl enable it first"
			}
			return nil, control.Fault(control.IncorrectParameters, t.Program+"="+t.To+": "+text)
		}
	}
	slices.Sort(want)
	if want == nil {
		want = []int{}
	}
	return want, nil
}

// overrides describes what Scale has set where the files say otherwise. It runs in the loop.
func (d *Daemon) overrides(file *config.Config) []control.Override {
	out := []control.Override{}
	nums := d.counts.get()
	for _, program := range slices.Sorted(maps.Keys(nums)) {
		at := file.Place(program, "numprocs")
		out = append(out, control.Override{Program: program, Count: len(nums[program]), InFile: len(file.Nums(program)), File: at.File, Line: at.Line})
	}
	return out
}
