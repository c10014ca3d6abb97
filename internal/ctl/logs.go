package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// tailBytes is what tail and maintail show without a number.
const tailBytes = 1600

const exitHint = "==> Press Ctrl-C to exit <=="

// tail prints the end of a process's log, or follows it.
func (s *Session) tail(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	words := fields(arg)
	switch {
	case len(words) < 1:
		return s.wrongArguments("Error: too few arguments", "tail")
	case len(words) > 3:
		return s.wrongArguments("Error: too many arguments", "tail")
	}
	modifier := ""
	if strings.HasPrefix(words[0], "-") {
		modifier, words = words[0], words[1:]
	}
	if len(words) == 0 {
		return s.wrongArguments("Error: tail requires process name", "")
	}
	name, channel := words[0], "stdout"
	if len(words) > 1 {
		// compat: with three words and no modifier the second is overlooked.
		channel = strings.ToLower(words[len(words)-1])
		if channel != "stdout" && channel != "stderr" {
			return s.wrongArguments("Error: bad channel "+quote(channel), "")
		}
	}
	if modifier == "-f" {
		return s.follow(ctx, server, "/logtail/"+name+"/"+channel)
	}
	length := int64(tailBytes)
	if modifier != "" {
		var ok bool
		if length, ok = parseInt(modifier[1:]); !ok {
			return s.wrongArguments("Error: bad argument "+modifier, "")
		}
	}
	return s.readLog(ctx, server, control.Log{Process: name, Channel: control.Channel(channel)}, name, length)
}

// mainTail prints the end of the daemon's own log, or follows it.
func (s *Session) mainTail(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	words := fields(arg)
	length := int64(tailBytes)
	switch {
	case len(words) > 1:
		return s.wrongArguments("Error: too many arguments", "maintail")
	case len(words) == 1 && words[0] == "-f":
		return s.follow(ctx, server, "/mainlogtail")
	case len(words) == 1:
		number, ok := strings.CutPrefix(words[0], "-")
		if ok {
			length, ok = parseInt(number)
		}
		if !ok {
			return s.wrongArguments("Error: bad argument "+words[0], "")
		}
	}
	return s.readLog(ctx, server, control.Log{Main: true}, "supervisord", length)
}

// readLog prints the last length bytes of a log and a newline. compat: 0 means the whole file, and a negative length reads from that
// offset on, because the number goes to the server as it is.
func (s *Session) readLog(ctx context.Context, server Proxy, log control.Log, name string, length int64) error {
	if -length < math.MinInt32 || -length > math.MaxInt32 { // all that the protocol carries
		return fmt.Errorf("cannot read the log: %d is too large a number", length)
	}
	data, err := server.ReadLog(ctx, log, -length, 0)
	if err == nil {
		s.output(string(data))
		return nil
	}
	s.status = exitGeneric
	switch code := fault(err); {
	case code == control.NoFile:
		s.output(name + ": ERROR (no log file)")
	case code == control.Failed:
		s.output(name + ": ERROR (unknown error reading log)")
	case code == control.BadName && !log.Main:
		s.output(name + ": ERROR (no such process name)")
	default:
		return err
	}
	return nil
}

func (s *Session) wrongArguments(text, help string) error {
	s.output(text)
	s.status = exitGeneric
	if help != "" {
		s.output(s.topic(help))
	}
	return nil
}

// follow copies a growing log to the terminal until Ctrl-C. compat: its exit status is 0 whatever happens (quirk E4).
func (s *Session) follow(ctx context.Context, server Proxy, path string) error {
	s.output(exitHint)
	ctx, release := s.Interruptible(ctx)
	defer release()
	s.copyStream(ctx, server, path)
	if ctx.Err() != nil {
		s.caught = true
		s.output("")
	}
	return nil
}

// copyStream copies a stream to the terminal until it or the context ends. Failures go to stderr.
func (s *Session) copyStream(ctx context.Context, server Proxy, path string) {
	stream, err := server.Stream(ctx, path)
	if err != nil {
		if ctx.Err() == nil {
			s.complain(s.ServerURL + path + " " + streamProblem(err))
		}
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() }) // ends the read that waits
	defer stop()
	defer func() { _ = stream.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := stream.Read(buf)
		if n > 0 && ctx.Err() == nil {
			s.write(s.Out, string(buf[:n]))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.complain(s.ServerURL + path + " " + streamProblem(err))
			}
			return
		}
	}
}

func streamProblem(err error) string {
	var p *client.ProtocolError
	if errors.As(err, &p) {
		return fmt.Sprintf("Cannot read, status code %d", p.Code)
	}
	return "Cannot connect, error: " + err.Error()
}

// clear empties the logs of processes.
func (s *Session) clear(ctx context.Context, arg string) error {
	server, err := s.preflight(ctx)
	if err != nil {
		return err
	}
	names := fields(arg)
	if len(names) == 0 {
		return s.needsProcess("clear")
	}
	if contains(names, "all") {
		results, err := server.ClearAllLogs(ctx)
		if err != nil {
			return err
		}
		for _, r := range results {
			if err := s.clearRow(r); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range names {
		spec := process.ParseNamespec(name)
		if !spec.WholeGroup() {
			if err := s.clearOne(ctx, server, name); err != nil {
				return err
			}
			continue
		}
		// Supervisor's client fails on a whole group; ours clears each of its processes (quirk E6).
		all, err := server.Processes(ctx)
		if err != nil {
			return err
		}
		found := false
		for _, p := range all {
			if p.Group == spec.Group {
				found = true
				if err := s.clearOne(ctx, server, p.Group+":"+p.Name); err != nil {
					return err
				}
			}
		}
		if !found {
			s.output(spec.Group + ": ERROR (no such group)")
			s.status = exitGeneric
		}
	}
	return nil
}

func (s *Session) clearOne(ctx context.Context, server Proxy, name string) error {
	spec := process.ParseNamespec(name)
	result := control.Result{Group: spec.Group, Name: spec.Process, Code: control.Success}
	if err := server.ClearLog(ctx, control.Log{Process: name}); err != nil {
		if result.Code = fault(err); result.Code == 0 {
			return err
		}
	}
	return s.clearRow(result)
}

func (s *Session) clearRow(r control.Result) error {
	name := namespec(r.Group, r.Name)
	switch r.Code {
	case control.Success:
		s.output(name + ": cleared")
	case control.BadName:
		s.output(name + ": ERROR (no such process)")
	case control.Failed:
		s.output(name + ": ERROR (failed)")
	default:
		return unknownResult(name, r.Code)
	}
	s.setStatus(r.Code, control.Success)
	return nil
}
