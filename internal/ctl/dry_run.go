package ctl

import (
	"context"
	"slices"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// preview asks what a verb would do. A daemon that is no graced cannot tell.
func (s *Session) preview(ctx context.Context, server Proxy, verb, name string) (control.Preview, error) {
	p, err := server.Preview(ctx, control.PreviewRequest{Verb: verb, Name: name})
	if fault(err) == control.UnknownMethod {
		return p, s.notOurs()
	}
	return p, err
}

// wouldGroup returns what makes the record of a group that would be added or removed.
func (s *Session) wouldGroup(ctx context.Context, server Proxy, c *call, result string) func(name string) (groupRecord, error) {
	return func(name string) (groupRecord, error) {
		p, err := s.preview(ctx, server, c.verb, name)
		return groupRecord{Group: name, OK: true, Result: result, DryRun: true, Start: p.Start}, err
	}
}

// wouldGrace fills in what grace_update would do.
func (s *Session) wouldGrace(ctx context.Context, server Proxy, a *graceAnswer) (format.Answer, error) {
	p, err := s.preview(ctx, server, "grace_update", a.Name)
	if fault(err) == control.BadName {
		return nil, s.noGraceGroup(ctx, server, a.Name)
	}
	if err != nil {
		return nil, err
	}
	a.DryRun, a.Refused, a.Message, a.Fields = true, p.Refused, p.Message, listed(p.Fields)
	a.Added, a.Stopped, a.Removed = listed(slices.Concat(p.Start, p.Add)), listed(p.Stop), listed(p.Remove)
	return a, a.refusal(s)
}

// noGraceGroup is the problem of a group that grace_update does not find.
func (s *Session) noGraceGroup(ctx context.Context, server Proxy, name string) error {
	all, _ := server.Processes(ctx) // a daemon that cannot list them gets no suggestion
	return noGroup(name, groupNames(all))
}

// wouldShutdown tells what a shutdown would stop. It needs no graced.
func wouldShutdown(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	all, err := server.Processes(ctx)
	if fault(err) == control.ShutdownState {
		return &doneAnswer{Verb: c.verb, Done: "already_shutting_down", DryRun: true, text: "already shutting down"}, nil
	}
	if err != nil {
		return nil, err
	}
	a := &doneAnswer{Verb: c.verb, Done: "shutting_down", DryRun: true}
	for _, p := range all {
		if !p.State.IsStopped() {
			a.Stop = append(a.Stop, fullName(p))
		}
	}
	a.text = "would shut down and " + wouldStop(a.Stop)
	return a, nil
}

// wouldReload tells what a restart would stop and start, once the daemon has looked at what keeps one from succeeding.
func (s *Session) wouldReload(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	p, err := s.preview(ctx, server, c.verb, "")
	if err != nil {
		return nil, err
	}
	a := &doneAnswer{Verb: c.verb, Done: "restarting", DryRun: true, Stop: p.Stop, Start: p.Start}
	a.text = "the files are in order; would " + wouldStop(p.Stop) + ", and start " + named(p.Start)
	return a, nil
}

func wouldStop(names []string) string { return "stop " + named(names) }

// named counts processes and names them.
func named(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return count(len(names), "process") + ": " + strings.Join(names, " ")
}

// wouldSignal tells of each process whether it could be signalled: one that does not run is passed over in a group, and refused by itself.
func (s *Session) wouldSignal(ctx context.Context, server Proxy, c *call, signal string, units []unit) (format.Answer, error) {
	_, err := server.Preview(ctx, control.PreviewRequest{Verb: c.verb, Name: signal})
	code := fault(err)
	if err != nil && code != control.BadSignal && code != control.UnknownMethod { // Supervisor knows its signals, and tells when it is asked
		return nil, err
	}
	a := &resultsAnswer{Verb: c.verb, Results: []resultRecord{}}
	v := actSignal(signal)
	for _, u := range units {
		for _, p := range u.members {
			var r resultRecord
			switch whole := u.whole != nil && c.parallel == 0; {
			case code == control.BadSignal && (!whole || p.State.IsSignallable()):
				r = v.record(p.Group, p.Name, code, signal)
			case p.State.IsSignallable():
				r = v.record(p.Group, p.Name, control.Success, "")
				r.line = namespec(p.Group, p.Name) + ": would be " + v.done
			case whole:
				continue
			default:
				r = v.record(p.Group, p.Name, control.NotRunning, fullName(p))
			}
			r.DryRun = true
			a.add(r)
			c.Show(r)
		}
	}
	return a, nil
}

// markResults are the words for what a mark makes of a process.
var markResults = map[string]string{control.MarkHold: "held", control.MarkDisable: "disabled", control.MarkEnable: "enabled"}

// wouldMark lists what would be marked: processes, and whole groups as "group:*".
func wouldMark(c *call, names []string) format.Answer {
	a := &resultsAnswer{Verb: c.verb, Results: []resultRecord{}}
	for _, name := range names {
		r := resultRecord{ID: name, OK: true, Result: markResults[c.verb], DryRun: true, line: name + ": would be " + markResults[c.verb]}
		r.Group, r.Proc, _ = strings.Cut(name, ":")
		a.add(r)
		c.Show(r)
	}
	return a
}
