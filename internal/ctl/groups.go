package ctl

import (
	"context"
	"slices"

	"github.com/graced/graced/internal/control"
)

// reread prints how the files differ from what is active.
func (s *Session) reread(ctx context.Context, arg string) error {
	if arg != "" {
		return s.noArguments("reread")
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	diff, err := server.Reread(ctx)
	switch fault(err) {
	case control.ShutdownState:
		s.status = exitGeneric
		s.output("ERROR: supervisor shutting down")
		return nil
	case control.CantReread:
		return s.cantReread(err)
	}
	if err != nil {
		return err
	}
	news := make(map[string]string)
	for _, part := range []struct {
		names []string
		text  string
	}{{diff.Added, "available"}, {diff.Changed, "changed"}, {diff.Removed, "disappeared"}} {
		for _, name := range part.names {
			news[name] = part.text
		}
	}
	if len(news) == 0 {
		s.output("No config updates to processes")
		return nil
	}
	names := make([]string, 0, len(news))
	for name := range news {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s.output(name + ": " + news[name])
	}
	return nil
}

func (s *Session) cantReread(err error) error {
	s.status = exitGeneric
	s.output("ERROR: " + err.Error())
	return nil
}

// add activates groups of the last-read configuration.
func (s *Session) add(ctx context.Context, arg string) error {
	names := fields(arg)
	if len(names) == 0 {
		return nil // compat: nothing to do is no error, and no question to the server
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := server.AddGroup(ctx, name)
		switch fault(err) {
		case control.ShutdownState:
			s.output("ERROR: shutting down")
			s.status = exitGeneric
		case control.AlreadyAdded:
			s.output("ERROR: process group already active") // compat: exit 0 (quirk E4)
		case control.BadName:
			s.output("ERROR: no such process/group: " + name)
			s.status = exitGeneric
		default:
			if err != nil {
				return err
			}
			s.output(name + ": added process group")
		}
	}
	return nil
}

// remove takes stopped groups out of the active configuration.
func (s *Session) remove(ctx context.Context, arg string) error {
	names := fields(arg)
	if len(names) == 0 {
		return nil // compat: as for add
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := server.RemoveGroup(ctx, name)
		switch fault(err) {
		case control.StillRunning:
			s.status = exitGeneric
			s.output("ERROR: process/group still running: " + name)
		case control.BadName:
			s.status = exitGeneric
			s.output("ERROR: no such process/group: " + name)
		default:
			if err != nil {
				return err
			}
			s.output(name + ": removed process group")
		}
	}
	return nil
}

// update makes what runs what the files say, in Supervisor's words: group by group, or, where the file says so, restarting no more than gracectl.
func (s *Session) update(ctx context.Context, arg string) error {
	if s.Minimal && s.Face == Supervisorctl {
		return s.sparingUpdate(ctx, arg)
	}
	return s.updateGroups(ctx, arg)
}

// sparingUpdate is gracectl's update in Supervisor's words.
func (s *Session) sparingUpdate(ctx context.Context, arg string) error {
	server, err := s.server()
	if err != nil {
		return err
	}
	names := fields(arg)
	if contains(names, "all") {
		names = nil
	}
	p, err := server.Plan(ctx, control.PlanRequest{})
	switch fault(err) {
	case control.UnknownMethod:
		return s.updateGroups(ctx, arg)
	case control.ShutdownState:
		s.status = exitGeneric
		s.output("ERROR: already shutting down")
		return nil
	case control.CantReread:
		if _, again := server.Reread(ctx); fault(again) == control.CantReread {
			err = again // in Supervisor's words
		}
		return s.cantReread(err)
	}
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, g := range p.Groups {
		known[g.Name] = true
	}
	chosen := names[:0:0]
	for _, name := range names {
		if known[name] {
			chosen = append(chosen, name)
			continue
		}
		known[name] = true // each is named once
		s.output("ERROR: no such group: " + name)
		s.status = exitGeneric
	}
	if len(names) > 0 && len(chosen) == 0 {
		return nil
	}
	op, err := server.Update(ctx, control.UpdateRequest{Groups: chosen})
	stuck := func() bool { return op.State == control.OperationPaused && op.Failed != "" }
	events := slices.Clone(op.Events)
	for seen := 0; err == nil && !op.State.Over() && !stuck(); seen = op.Count {
		op, err = server.Operation(ctx, op.ID, seen)
		events = append(events, op.Events...)
	}
	if err != nil {
		return err
	}
	whole := true
	switch op.State {
	case control.OperationFailed, control.OperationRolledBack, control.OperationCancelled, control.OperationInterrupted:
		s.output("ERROR: " + op.Text)
		s.status, whole = exitGeneric, false
	case control.OperationPaused:
		s.output("ERROR: " + op.Failed + " failed; " + op.ID + " is paused")
		s.status, whole = exitGeneric, false
	}
	for _, action := range []string{"remove", "change", "add"} {
		for _, g := range p.Groups {
			if g.Action != action && (action != "change" || g.Action != "replace") || len(names) > 0 && !contains(chosen, g.Name) || !whole && !stayed(g, events) {
				continue
			}
			if action == "remove" || len(g.Replace)+len(g.Stop)+len(g.Remove) > 0 {
				s.output(g.Name + ": stopped")
			}
			s.output(g.Name + map[string]string{"remove": ": removed", "change": ": updated", "add": ": added"}[action] + " process group")
		}
	}
	return nil
}

// stayed reports whether anything of what an operation has done to a group is still so at its end. A new group is there also when its processes fail.
func stayed(g control.PlanGroup, events []control.ProgressLine) bool {
	names := slices.Concat(g.Start, g.Stop, g.Remove, g.Replace, g.Live, g.Down, g.Add) // an extra process is none of them
	for _, r := range g.Rename {
		names = append(names, r.To)
	}
	stays := map[string]bool{}
	for _, e := range events {
		if e.Type == "end" && !e.Skipped && contains(names, e.Process) {
			stays[e.Process] = !e.Undo && (e.Error == "" || g.Action == "add")
		}
	}
	for _, yes := range stays {
		if yes {
			return true
		}
	}
	return false
}

// updateGroups makes the active groups those of the files: it stops and removes what has gone, replaces what has changed and adds what is
// new, each group as a whole, through the same four calls that Supervisor's client makes, so that it drives either daemon.
func (s *Session) updateGroups(ctx context.Context, arg string) error {
	server, err := s.server()
	if err != nil {
		return err
	}
	diff, err := server.Reread(ctx)
	switch fault(err) {
	case control.ShutdownState:
		s.status = exitGeneric
		s.output("ERROR: already shutting down")
		return nil
	case control.CantReread:
		return s.cantReread(err) // a clean line, as for reread (quirk B8)
	}
	if err != nil {
		return err
	}
	names := fields(arg)
	if contains(names, "all") {
		names = nil
	}
	if len(names) > 0 {
		if err := s.checkGroups(ctx, server, names, diff.Added); err != nil {
			return err
		}
	}
	chosen := func(group string) bool { return len(names) == 0 || contains(names, group) }
	for _, g := range diff.Removed {
		if !chosen(g) {
			continue
		}
		results, err := server.Stop(ctx, control.Target{Name: g, Group: true}, true)
		if err != nil {
			return err
		}
		s.output(g + ": stopped")
		if slices.ContainsFunc(results, func(r control.Result) bool { return r.Code == control.Failed }) {
			s.output(g + ": has problems; not removing")
			s.status = exitGeneric
			continue
		}
		if err := server.RemoveGroup(ctx, g); err != nil {
			return err
		}
		s.output(g + ": removed process group")
	}
	for _, g := range diff.Changed {
		if !chosen(g) {
			continue
		}
		if _, err := server.Stop(ctx, control.Target{Name: g, Group: true}, true); err != nil {
			return err
		}
		s.output(g + ": stopped")
		if err := server.RemoveGroup(ctx, g); err != nil {
			return err
		}
		if err := server.AddGroup(ctx, g); err != nil {
			return err
		}
		s.output(g + ": updated process group")
	}
	for _, g := range diff.Added {
		if !chosen(g) {
			continue
		}
		if err := server.AddGroup(ctx, g); err != nil {
			return err
		}
		s.output(g + ": added process group")
	}
	return nil
}

// checkGroups names those that neither exist nor are about to. The others are updated all the same (quirk B9).
func (s *Session) checkGroups(ctx context.Context, server Proxy, names, added []string) error {
	all, err := server.Processes(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, p := range all {
		known[p.Group] = true
	}
	for _, g := range added {
		known[g] = true
	}
	for _, name := range names {
		if !known[name] {
			known[name] = true // each is named once
			s.output("ERROR: no such group: " + name)
			s.status = exitGeneric
		}
	}
	return nil
}
