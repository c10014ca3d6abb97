package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// lifecycle is a verb that does one thing to many processes: start, stop, signal.
type lifecycle struct {
	apply   func(ctx context.Context, server Proxy, target control.Target) ([]control.Result, error)
	row     func(name string, code control.Code, text string) (string, error)
	ignored control.Code // the fault that leaves the exit status alone
	noGroup int          // the exit status for a group that does not exist
}

func starting() lifecycle {
	return lifecycle{
		apply: func(ctx context.Context, server Proxy, target control.Target) ([]control.Result, error) {
			return server.Start(ctx, target, true)
		},
		row:     startRow,
		ignored: control.AlreadyStarted,
		noGroup: exitInvalidArgs, // compat: 2 here, 1 for stop and signal (quirk E4)
	}
}

func stopping() lifecycle {
	return lifecycle{
		apply: func(ctx context.Context, server Proxy, target control.Target) ([]control.Result, error) {
			return server.Stop(ctx, target, true)
		},
		row: func(name string, code control.Code, text string) (string, error) {
			return signalRow(name, code, text, "stopped")
		},
		ignored: control.NotRunning,
		noGroup: exitGeneric,
	}
}

func signalling(signal string) lifecycle {
	return lifecycle{
		apply: func(ctx context.Context, server Proxy, target control.Target) ([]control.Result, error) {
			return server.Signal(ctx, target, signal)
		},
		row: func(name string, code control.Code, text string) (string, error) {
			return signalRow(name, code, text, "signalled")
		},
		ignored: control.Success, // compat: a process that does not run is an error here, unlike with stop (quirk E4)
		noGroup: exitGeneric,
	}
}

// run applies the verb to each name in turn, or to everything when "all" is among them.
func (v lifecycle) run(ctx context.Context, s *Session, server Proxy, names []string) error {
	if contains(names, "all") {
		results, err := v.apply(ctx, server, control.Target{All: true})
		if err != nil {
			return err
		}
		return v.report(s, results)
	}
	for _, name := range names {
		spec := process.ParseNamespec(name)
		if spec.WholeGroup() {
			results, err := v.apply(ctx, server, control.Target{Name: spec.Group, Group: true})
			switch {
			case fault(err) == control.BadName:
				s.output(spec.Group + ": ERROR (no such group)")
				s.status = v.noGroup
			case err != nil:
				return err
			default:
				if err := v.report(s, results); err != nil {
					return err
				}
			}
			continue
		}
		result := control.Result{Group: spec.Group, Name: spec.Process, Code: control.Success, Text: "OK"}
		if _, err := v.apply(ctx, server, control.Target{Name: name}); err != nil {
			if result.Code = fault(err); result.Code == 0 {
				return err
			}
			result.Text = err.Error()
		}
		if err := v.report(s, []control.Result{result}); err != nil {
			return err
		}
	}
	return nil
}

func (v lifecycle) report(s *Session, results []control.Result) error {
	for _, r := range results {
		row, err := v.row(namespec(r.Group, r.Name), r.Code, r.Text)
		if err != nil {
			return err
		}
		s.output(row)
		s.setStatus(r.Code, v.ignored)
	}
	return nil
}

func startRow(name string, code control.Code, text string) (string, error) {
	switch code {
	case control.Success:
		return name + ": started", nil
	case control.BadName:
		return name + ": ERROR (no such process)", nil
	case control.NoFile:
		return name + ": ERROR (no such file)", nil
	case control.NotExecutable:
		return name + ": ERROR (file is not executable)", nil
	case control.AlreadyStarted:
		return name + ": ERROR (already started)", nil
	case control.SpawnError:
		return name + ": ERROR (" + spawnError(text) + ")", nil
	case control.AbnormalTermination:
		return name + ": ERROR (abnormal termination)", nil
	}
	return "", unknownResult(name, code)
}

// spawnError says why a process was not started: because of what it depends on, or nobody has said so.
func spawnError(text string) string {
	text = strings.TrimPrefix(text, control.SpawnError.String()+": ")
	_, why, _ := strings.Cut(text, " ") // behind its name
	if strings.HasPrefix(why, "waits for ") || strings.HasPrefix(why, "depends on ") {
		return why
	}
	return "spawn error"
}

func signalRow(name string, code control.Code, text, success string) (string, error) {
	switch code {
	case control.Success:
		return name + ": " + success, nil
	case control.BadName:
		return name + ": ERROR (no such process)", nil
	case control.BadSignal:
		return name + ": ERROR (bad signal name)", nil
	case control.NotRunning:
		return name + ": ERROR (not running)", nil
	case control.Failed:
		return text, nil // compat: the bare fault, without the name in front
	}
	return "", unknownResult(name, code)
}

func unknownResult(name string, code control.Code) error {
	return fmt.Errorf("unknown result code %d for %s (%v)", int(code), name, code)
}

func (s *Session) start(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	names := fields(arg)
	if len(names) == 0 {
		s.output("Error: start requires a process name")
		s.status = exitInvalidArgs // compat: 2 here, 1 for stop and restart
		s.output(s.topic("start"))
		return nil
	}
	return starting().run(ctx, s, server, names)
}

func (s *Session) stop(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	names := fields(arg)
	if len(names) == 0 {
		return s.needsProcess("stop")
	}
	return stopping().run(ctx, s, server, names)
}

func (s *Session) restart(ctx context.Context, arg string) error {
	if _, err := s.preflight(ctx); err != nil {
		return err
	}
	if len(fields(arg)) == 0 {
		return s.needsProcess("restart")
	}
	if err := s.stop(ctx, arg); err != nil {
		return err
	}
	return s.start(ctx, arg)
}

func (s *Session) signal(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	words := fields(arg)
	if len(words) < 2 {
		s.output("Error: signal requires a signal name and a process name")
		s.output(s.topic("signal"))
		s.status = exitGeneric
		return nil
	}
	return signalling(words[0]).run(ctx, s, server, words[1:])
}

func (s *Session) needsProcess(verb string) error {
	s.output("Error: " + verb + " requires a process name")
	s.status = exitGeneric
	s.output(s.topic(verb))
	return nil
}
