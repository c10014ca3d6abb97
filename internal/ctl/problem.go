package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// socketWait is how long another daemon's socket gets to answer when it is only looked for.
const socketWait = 500 * time.Millisecond

// problem makes a problem of what stopped a verb, with the exit status of its kind.
func (s *Session) problem(err error, c *call) *format.Problem {
	var known *format.Problem
	var f *control.Error
	var status *client.ProtocolError
	var dial *net.OpError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded) && c.timeout > 0:
		return &format.Problem{Code: "E307", Title: "not done in time", Detail: c.verb + " was not done within " + c.timeout.String(),
			Hint: "what has begun goes on: " + s.Program + " status", Exit: exitGivenUp}
	case errors.Is(err, context.Canceled), errors.Is(err, ErrInterrupted):
		return &format.Problem{Code: "E315", Title: "interrupted", Detail: c.verb + " was interrupted; what has begun goes on", Exit: exitInterrupted}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return s.forbidden()
	case refused(err):
		return s.nobody("connection refused")
	case missing(err):
		return s.nobody("no such file")
	case errors.As(err, &dial) && dial.Op == "dial":
		return s.nobody(dial.Err.Error())
	case hungUp(err):
		return &format.Problem{Code: "E301", Title: "no daemon answers", Detail: "the daemon at " + s.ServerURL + " ended before it answered", Exit: exitNoDaemon,
			Hint: "what was asked for may have been done all the same: " + s.Program + " status, as soon as a daemon answers"}
	case errors.As(err, &status) && (status.Code == statusUnauthorized || status.Code == 403):
		return &format.Problem{Code: "E302", Title: "not let in", Detail: fmt.Sprintf("%s wants another name and password (%d %s)", s.ServerURL, status.Code, status.Reason),
			Hint: "try: " + s.Program + " -u NAME -p PASSWORD " + c.verb + "      or username and password of [supervisorctl]", Exit: exitNoDaemon}
	case errors.As(err, &status):
		return &format.Problem{Code: "E300", Title: "the daemon failed", Detail: fmt.Sprintf("%s answered %d %s", s.ServerURL, status.Code, status.Reason)}
	case errors.As(err, &f):
		return s.faulted(f)
	}
	return &format.Problem{Code: "E300", Title: "the daemon failed", Detail: err.Error()}
}

// outOfSight is what has ended the watching of an operation before its end. Where that is the end of the daemon, it says how to ask for the operation.
func (s *Session) outOfSight(err error, id string, c *call) *format.Problem {
	p := s.problem(err, c)
	ask := "what has become of " + id + ": " + s.Program + " attach " + id + ", as soon as a daemon answers"
	switch {
	case hungUp(err):
		p.Hint = ask
	case p.Code == "E301":
		p.Hint = ask + "\n" + p.Hint
	}
	return p
}

// faulted is the problem of a fault that no verb has taken for its own.
func (s *Session) faulted(f *control.Error) *format.Problem {
	p := &format.Problem{Code: "E300", Title: "the daemon refused", Detail: f.Error(), FaultCode: int(f.Code)}
	switch f.Code {
	case control.Failed:
		p.Detail = cmp.Or(f.Text, p.Detail)
	case control.CantReread:
		p.Code, p.Title = "E308", "the configuration files are broken"
		p.Hint = "nothing has been changed; the daemon keeps its configuration"
	case control.ShutdownState:
		p.Code, p.Title, p.Detail = "E309", "the daemon is shutting down", "the daemon at "+s.ServerURL+" is shutting down"
	case control.UnknownMethod:
		p.Code, p.Title, p.Detail = "E306", "the daemon cannot do this", "the daemon at "+s.ServerURL+" does not know the call"
		p.Hint = "its file needs an [rpcinterface:supervisor] with Supervisor's own factory"
	}
	return p
}

// brokenFiles adds to a refusal of the files everything that is wrong with them, if the daemon can tell.
func (s *Session) brokenFiles(ctx context.Context, server Proxy, c *call, err error) error {
	file, ferr := c.otherFile()
	found, ferr2 := server.Findings(ctx, file)
	if errors.Join(ferr, ferr2) != nil || found.Errors == 0 {
		return err
	}
	p := s.problem(err, c)
	p.Findings, p.FindingsText = found.List, found.Text
	return p
}

// detail is the text of a fault without its name.
func detail(err error) string {
	var f *control.Error
	if errors.As(err, &f) {
		return f.Text
	}
	return err.Error()
}

// nobody is the problem of an address at which nobody answers. It names the daemons that do answer at the usual places.
func (s *Session) nobody(why string) *format.Problem {
	p := &format.Problem{Code: "E301", Title: "no daemon answers", Detail: "no daemon answers at " + s.ServerURL + " (" + why + ")", Exit: exitNoDaemon}
	var hints []string
	for _, found := range s.otherSockets() {
		hints = append(hints, found.text, "try: "+s.Program+" -s "+found.url+" status      ("+s.Program+" also drives Supervisor)")
	}
	if hints == nil {
		hints = []string{"try: graced -c FILE to start a daemon, or " + s.Program + " -s URL to ask another one"}
	}
	p.Hint = strings.Join(hints, "\n")
	return p
}

// foundSocket is a socket of another daemon: where, and what is said about it.
type foundSocket struct{ url, text string }

// otherSockets asks at each of s.Sockets. A place that is two names of one socket is named once.
func (s *Session) otherSockets() []foundSocket {
	var out []foundSocket
	var known []os.FileInfo
	for _, path := range s.Sockets {
		info, err := os.Stat(path)
		url := "unix://" + path
		if err != nil || url == s.ServerURL || sameFile(info, known) {
			continue
		}
		known = append(known, info)
		server, err := s.Dial(url, s.Username, s.Password)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), socketWait)
		daemon, err := server.Daemon(ctx)
		cancel()
		_ = server.Close() // it was asked once and is not needed again
		switch {
		case err == nil && daemon.PID != 0:
			out = append(out, foundSocket{url, fmt.Sprintf("found running: %s, pid %d, socket %s", daemon.Identifier, daemon.PID, path)})
		case err == nil || httpStatus(err) != 0:
			out = append(out, foundSocket{url, "found running: a daemon that tells nothing about itself, socket " + path})
		}
	}
	return out
}

func sameFile(info os.FileInfo, known []os.FileInfo) bool {
	for _, k := range known {
		if os.SameFile(info, k) {
			return true
		}
	}
	return false
}

// forbidden is the problem of a socket that we may not use: whose it is, and who we are.
func (s *Session) forbidden() *format.Problem {
	p := &format.Problem{Code: "E305", Title: "permission denied", Detail: "permission denied: " + s.ServerURL, Exit: exitNoDaemon,
		Hint: "try: sudo " + s.Program + " ...   or chmod and chown of [unix_http_server], then a restart of the daemon"}
	path, ok := strings.CutPrefix(s.ServerURL, "unix://")
	if !ok {
		return p
	}
	owner, err := describeOwner(path)
	switch {
	case errors.Is(err, os.ErrPermission):
		p.Detail = "permission denied: the directory of " + path + " is closed to you; you are " + describeUser()
	case err == nil:
		p.Detail = "permission denied: the socket is " + owner + " and you are " + describeUser()
	}
	return p
}
