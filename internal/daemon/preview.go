package daemon

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// Preview implements control.Change: it goes the way of the verb up to the point where something would change.
func (d *Daemon) Preview(ctx context.Context, req control.PreviewRequest) (control.Preview, error) {
	none := func() []string { return []string{} }
	out := control.Preview{Schema: control.PreviewSchema, Start: none(), Add: none(), Stop: none(), Remove: none()}
	var c *config.Config
	var err error
	var look func() // in the loop
	switch req.Verb {
	case "add":
		look = func() { err = d.previewAdd(req.Name, &out) }
	case "remove":
		look = func() { err = d.previewRemove(req.Name, &out) }
	case "signal":
		if _, err := config.ParseSignal(req.Name); err != nil {
			return out, control.Fault(control.BadSignal, req.Name)
		}
		return out, nil
	case "grace_update":
		c, err = d.load()
		look = func() { err = d.previewGrace(c, req.Name, &out) }
	case "reload":
		c, err = d.restartable()
		look = func() { d.previewRestart(c, &out) }
	case control.ActStart, control.ActStop, control.ActRestart:
		var do core.Act
		do, err = actOf(control.ActRequest{Verb: req.Verb, Names: req.Names})
		look = func() { err = d.previewAct(do, &out) }
	default:
		err = control.Fault(control.IncorrectParameters, "verb "+strconv.Quote(req.Verb)+" is none of add, remove, grace_update, signal, reload, start, stop, restart")
	}
	if err != nil {
		return out, err
	}
	ok := d.do(ctx, func(core.Now) {
		if _, quitting := d.loop.core.Quitting(); quitting {
			err = control.Fault(control.ShutdownState, "")
			return
		}
		look()
	})
	if !ok {
		return out, gone(ctx)
	}
	return out, err
}

// previewAdd sorts the members of a group that would be added by whether they would start.
func (d *Daemon) previewAdd(name string, out *control.Preview) error {
	g, ok := d.loop.desired.group(name)
	switch {
	case !ok:
		return control.Fault(control.BadName, name)
	case slices.Contains(d.loop.core.Groups(), name):
		return control.Fault(control.AlreadyAdded, name)
	}
	out.Group = name
	for _, s := range g.Processes {
		d.previewMember(name, s, out)
	}
	return nil
}

// previewMember puts a process that would be new where it belongs: a mark may keep it from starting.
func (d *Daemon) previewMember(group string, s process.Spec, out *control.Preview) {
	marks := d.loop.core.Marks()
	mark, ok := marks[process.Namespec{Group: group, Process: s.Name}]
	if !ok {
		mark = marks[process.Namespec{Group: group}]
	}
	if s.Autostart && mark == core.Free {
		out.Start = append(out.Start, group+":"+s.Name)
		return
	}
	out.Add = append(out.Add, group+":"+s.Name)
}

func (d *Daemon) previewRemove(name string, out *control.Preview) error {
	if !slices.Contains(d.loop.core.Groups(), name) {
		return control.Fault(control.BadName, name)
	}
	out.Group = name
	for _, p := range d.loop.core.Statuses() {
		if p.Group != name {
			continue
		}
		if !p.State.IsStopped() {
			return control.Fault(control.StillRunning, name)
		}
		out.Remove = append(out.Remove, name+":"+p.Name)
	}
	return nil
}

func (d *Daemon) previewGrace(c *config.Config, name string, out *control.Preview) error {
	p, err := d.planGrace(c, name)
	if err != nil {
		return err
	}
	out.Group = p.Group
	if err := d.refusal(core.Apply{Plan: p}); err != nil && p.Refusal == nil && !p.Empty() {
		return err
	}
	switch {
	case p.Refusal != nil:
		out.Refused, out.Message, out.Fields = true, p.Refusal.Text, p.Refusal.Fields
		return nil
	case p.Empty():
		out.Message = plan.NothingToDo
		return nil
	}
	for _, change := range p.Changes {
		if change.Action != plan.RemoveProcess {
			d.previewMember(p.Group, change.Spec, out)
		}
	}
	out.Remove = plan.QualifiedNames(p.Group, p.Names(plan.RemoveProcess))
	for _, s := range d.loop.core.Statuses() {
		if name := s.Group + ":" + s.Name; !s.State.IsStopped() && slices.Contains(out.Remove, name) {
			out.Stop = append(out.Stop, name)
		}
	}
	return nil
}

// previewRestart lists what runs now, and what the files start again.
func (d *Daemon) previewRestart(c *config.Config, out *control.Preview) {
	for _, p := range d.loop.core.Statuses() {
		if !p.State.IsStopped() {
			out.Stop = append(out.Stop, p.Group+":"+p.Name)
		}
	}
	for _, g := range c.Groups {
		for _, s := range g.Processes {
			d.previewMember(g.Name, s, out)
		}
	}
}

// previewAct lists what would be stopped and started, also for the sake of what is named, and who would go on without it.
func (d *Daemon) previewAct(do core.Act, out *control.Preview) error {
	changes, f := d.loop.core.Changes(do)
	if f != nil {
		return faultError(f)
	}
	called, vain, _ := d.loop.core.Summons(do) // the names are good
	for _, c := range changes {
		name := c.Group + ":" + c.Name
		s, _ := d.loop.core.Find(c.Group, c.Name)
		switch text := vain[process.Namespec{Group: c.Group, Process: c.Name}]; {
		case c.Action == plan.StopProcess && !s.State.IsStopped():
			out.Stop = append(out.Stop, name)
		case c.Action == plan.StopProcess, !do.Stop && s.State.IsRunning():
		case text != "":
			_, text, _ = strings.Cut(text, " ") // behind its name, as when it is started
			out.Vain = append(out.Vain, control.Vain{Process: name, Text: text})
		default:
			out.Start = append(out.Start, name)
		}
	}
	for _, c := range called {
		out.Start = append(out.Start, qualified(c.Process))
		out.Summoned = append(out.Summoned, control.Summoned{Process: qualified(c.Process), For: qualified(c.For)})
	}
	if !do.Start {
		list, _ := d.loop.core.Dependents(do.Targets)
		for _, c := range list {
			out.Dependents = append(out.Dependents, control.Dependent{Process: qualified(c.Process), On: qualified(c.For)})
		}
	}
	return nil
}

func qualified(n process.Namespec) string { return n.Group + ":" + n.Process }
