package ctl

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// foreground connects the terminal with a process: its output is shown, typed lines go to its standard input.
func (s *Session) foreground(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	names := fields(arg)
	switch {
	case len(names) == 0:
		return s.wrongArguments("ERROR: no process name supplied", "fg")
	case len(names) > 1:
		return s.wrongArguments("ERROR: too many process names supplied", "")
	}
	name := names[0]
	p, err := server.Process(ctx, name)
	switch {
	case fault(err) == control.BadName && s.own():
		all, _ := server.Processes(ctx) // a daemon that cannot list them gets no suggestion
		p := s.nothingCalled(&call{verb: "fg"}, name, all)
		s.printer().Fail(p)
		s.status = exitFailed
		return nil
	case fault(err) == control.BadName:
		s.output("ERROR: bad process name supplied")
		s.status = exitGeneric
		return nil
	case fault(err) != 0:
		s.output("ERROR: " + err.Error())
		return nil
	case err != nil:
		return err
	case p.State != process.Running:
		return s.wrongArguments("ERROR: process not running", "")
	}
	s.output(exitHint)
	return s.converse(ctx, server, name)
}

// converse carries lines to the process until the user leaves or it has died. It looks for its death after each line only, as
// Supervisor's client does; the output ends at once then.
func (s *Session) converse(ctx context.Context, server Proxy, name string) error {
	outer, release := s.Interruptible(ctx)
	defer release()
	steady := context.WithoutCancel(ctx)
	inner, hush := context.WithCancel(outer)
	var streams sync.WaitGroup
	for _, channel := range []string{"stdout", "stderr"} {
		// Each stream has a connection of its own and prints from a goroutine of its own; lines of both mix as they come.
		streams.Go(func() { s.copyStream(inner, server, "/logtail/"+name+"/"+channel) })
	}
	quiet := func() {
		hush()
		streams.Wait()
	}
	defer quiet()
	for {
		line, err := s.In.ReadLine(inner, "")
		if err != nil {
			quiet()
			s.caught = outer.Err() != nil || errors.Is(err, ErrInterrupted)
			s.output("Exiting foreground")
			if s.caught || errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		// A line that was typed is sent, even if Ctrl-C came right behind it: the next look for a line notices that.
		err = server.WriteStdin(steady, name, []byte(line+"\n"))
		switch code := fault(err); {
		case err == nil:
			p, err := server.Process(steady, name)
			if err != nil {
				return err
			}
			if p.State == process.Running {
				continue
			}
			quiet()
			s.output("Process got killed")
		case code == control.NotRunning:
			quiet()
			s.output("Process got killed")
		case code != 0:
			quiet()
			s.output("ERROR: " + err.Error())
		default:
			return err
		}
		s.output("Exiting foreground")
		return nil
	}
}
