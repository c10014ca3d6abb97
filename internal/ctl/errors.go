package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
)

// errExplained ends a command whose failure has been printed already.
var errExplained = errors.New("already reported")

// fault returns the fault number of err, 0 if it is none.
func fault(err error) control.Code {
	var e *control.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// httpStatus returns the HTTP status that err reports, 0 if it is about something else.
func httpStatus(err error) int {
	var e *client.ProtocolError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func missing(err error) bool { return errors.Is(err, syscall.ENOENT) }

// hungUp reports whether err says that the connection ended before the answer was there: the daemon may have been replaced, or killed, meanwhile.
func hungUp(err error) bool {
	return errors.Is(err, client.ErrHungUp) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// fail prints the generic error line. The prefix and the exit status are the contract, the text behind it is ours (quirk E7).
func (s *Session) fail(err error) {
	s.status = exitGeneric
	if s.explainConnection(err) {
		return
	}
	text := err.Error()
	var f *control.Error
	var p *client.ProtocolError
	switch {
	case errors.As(err, &f):
		text += " (fault " + strconv.Itoa(int(f.Code)) + ")"
	case errors.As(err, &p):
		text = fmt.Sprintf("the server answered %d %s", p.Code, p.Reason)
	}
	s.output("error: " + text)
}

// setStatus sets the exit status that belongs to a fault. A fault that is ignored, or success, leaves it as it is (contract: ctl,
// "Exit codes").
func (s *Session) setStatus(code, ignored control.Code) {
	switch code {
	case ignored, control.Success:
	case control.SpawnError, control.AbnormalTermination, control.NotRunning:
		s.status = exitNotRunning
	default:
		s.status = exitGeneric
	}
}

const apiVersion = "3.0"

// preflight asks the server for its API version, as most commands do first (contract: ctl, "Preflight"). It returns errExplained after a
// failure that it has printed.
func (s *Session) preflight(ctx context.Context) (Proxy, error) {
	server, err := s.server()
	if err != nil {
		return nil, err
	}
	answer, err := server.Call(ctx, "supervisor.getVersion")
	switch {
	case err == nil:
	case fault(err) == control.UnknownMethod:
		s.output("Sorry, supervisord responded but did not recognize the supervisor namespace commands that supervisorctl uses to control it.  " +
			"Please check that the [rpcinterface:supervisor] section is enabled in the configuration file (see sample.conf).")
		s.status = exitUnimplemented
		return nil, errExplained
	case refused(err):
		s.status = exitRefused
		if !s.explainConnection(err) {
			s.output(s.ServerURL + " refused connection")
		}
		return nil, errExplained
	case missing(err):
		s.status = exitNotRunning
		if !s.explainConnection(err) {
			s.output(s.ServerURL + " no such file")
		}
		return nil, errExplained
	default:
		return nil, err
	}
	if version, _ := answer.(string); version != apiVersion {
		s.output("Sorry, this version of supervisorctl expects to talk to a server with API version " + apiVersion +
			", but the remote version is " + fmt.Sprint(answer) + ".")
		s.status = exitNotInstalled
		return nil, errExplained
	}
	return server, nil
}
