package ctl

import (
	"context"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
)

// graceUpdate brings the number of a group's processes to what the files say and touches nothing else. Our daemon does it in one
// call; one with the Python plugin names the processes and leaves the stopping and removing to the client.
func (s *Session) graceUpdate(ctx context.Context, arg string) error {
	words, err := shlex.Split(arg)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		s.output(s.topic(grace.name)) // the usage, where the plugin falls over itself (quirk G10)
		s.status = exitGeneric
		return nil
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	result, err := server.GraceUpdate(ctx, words[0])
	switch fault(err) {
	case control.UnknownMethod:
		return s.graceUpdateByParts(ctx, server, words[0])
	case control.CantReread:
		return s.cantReread(err)
	}
	if err != nil {
		return err
	}
	for _, name := range result.Added {
		s.output(name + " added")
	}
	for _, name := range result.Stopped {
		s.output(name + " stoped") // compat: (sic), scripts look for it (quirk G10)
	}
	for _, name := range result.Removed {
		s.output(name + " removed")
	}
	if result.Message != "" {
		s.output(result.Message)
	}
	for _, r := range result.Failed {
		s.output("error: cannot finish grace_update of " + r.Group + ":" + r.Name + ": " + r.Text)
		s.status = exitGeneric
	}
	if result.Refused {
		s.graceRefused()
	}
	return nil
}

// graceRefused sets gracectl's exit status of a refusal. compat: supervisorctl exits 0 (quirk G11).
func (s *Session) graceRefused() {
	if s.Face == Gracectl {
		s.status = exitGraceRefused
	}
}

// graceUpdateByParts drives a daemon with the Python plugin: it names what is new or surplus, and each surplus process is stopped, then
// each removed (contract: rpc, "twiddler.* / grace.*").
func (s *Session) graceUpdateByParts(ctx context.Context, server Proxy, name string) error {
	change, err := server.UpdateNumprocs(ctx, name)
	switch fault(err) {
	case control.CantReread:
		return s.cantReread(err)
	}
	if err != nil {
		return err
	}
	switch change.Type {
	case "add":
		for _, p := range change.Processes {
			s.output(p + " added")
		}
		return nil
	case "reduce":
	default:
		s.output(change.Message)
		if change.Message != plan.NothingToDo {
			s.graceRefused()
		}
		return nil
	}
	for _, p := range change.Processes {
		_, err := server.Stop(ctx, control.Target{Name: p}, true)
		// A process that does not run needs no stop: an interrupted call can be repeated (quirk G5).
		if fault(err) == control.NotRunning {
			continue
		}
		if err != nil {
			return err
		}
		s.output(p + " stoped")
	}
	for _, p := range change.Processes {
		// The plugin splits at the first colon as well, so names with further colons stay whole (quirk G17).
		spec := process.ParseNamespec(p)
		if err := server.RemoveProcess(ctx, spec.Group, spec.Process); err != nil {
			return err
		}
		s.output(p + " removed")
	}
	return nil
}
