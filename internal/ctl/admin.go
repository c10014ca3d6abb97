package ctl

import (
	"context"
	"fmt"

	"github.com/graced/graced/internal/control"
)

// shutdown ends the daemon.
func (s *Session) shutdown(ctx context.Context, arg string) error {
	if arg != "" {
		return s.noArguments("shutdown")
	}
	if yes, err := s.confirm(ctx, "Really shut the remote supervisord process down y/N? "); err != nil || !yes {
		return err
	}
	server, err := s.server()
	if err == nil {
		err = server.Shutdown(ctx)
	}
	switch {
	case err == nil:
		s.output("Shut down")
	case fault(err) == control.ShutdownState:
		s.output("ERROR: already shutting down") // compat: exit 0, where reload has 1 (quirk E10)
	case refused(err):
		s.status = exitGeneric
		s.output("ERROR: " + s.ServerURL + " refused connection (already shut down?)")
	case missing(err):
		s.status = exitGeneric
		s.output("ERROR: " + s.ServerURL + " no such file (already shut down?)")
	default:
		return err
	}
	return nil
}

// reload restarts the daemon.
func (s *Session) reload(ctx context.Context, arg string) error {
	if arg != "" {
		return s.noArguments("reload")
	}
	if yes, err := s.confirm(ctx, "Really restart the remote supervisord process y/N? "); err != nil || !yes {
		return err
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	err = server.Restart(ctx)
	switch {
	case err == nil:
		s.output("Restarted supervisord")
	case fault(err) == control.ShutdownState:
		s.status = exitGeneric
		s.output("ERROR: already shutting down")
	case fault(err) == control.CantReread: // graced checks the files before it stops anything (quirk C17)
		return s.cantReread(err)
	default:
		return err
	}
	return nil
}

// version prints the daemon's version.
func (s *Session) version(ctx context.Context, arg string) error {
	if arg != "" {
		return s.noArguments("version")
	}
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	version, err := server.Call(ctx, "supervisor.getSupervisorVersion")
	if err != nil {
		return err
	}
	return s.outputValue(version)
}

// outputValue prints a plain answer.
func (s *Session) outputValue(v any) error {
	s.output(fmt.Sprint(v))
	return nil
}

// open turns to another daemon.
func (s *Session) open(ctx context.Context, arg string) error {
	if scheme, _ := splitScheme(arg); scheme != "unix" && scheme != "http" {
		s.output("ERROR: url must be http:// or unix://")
		s.status = exitGeneric
		return nil
	}
	s.hangUp()
	s.ServerURL = arg
	if s.own() {
		return s.perform(ctx, "status", nil)
	}
	before := s.status
	err := s.showStatus(ctx, "")
	s.status = before // compat: what the new daemon says does not become our exit status
	return err
}
