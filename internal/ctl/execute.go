package ctl

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/format"
)

// statusUnauthorized is the HTTP status that asks for credentials.
const statusUnauthorized = 401

// errLeave is returned by the verbs that end the shell.
var errLeave = errors.New("leave the shell")

// execute carries out one line. It returns errLeave when the shell is to end.
func (s *Session) execute(ctx context.Context, line string) error {
	defer s.hangUp()
	for {
		verb, arg, line := parseLine(line)
		if line == "" {
			return nil
		}
		s.cached = nil
		run := s.lookup(verb)
		if run == nil && s.own() {
			s.noVerb(verb, line)
			return nil
		}
		if run == nil {
			s.output("*** Unknown syntax: " + line)
			s.status = exitGeneric
			return nil
		}
		err := run(ctx, arg)
		switch {
		case err == nil, errors.Is(err, errExplained):
			return nil
		case errors.Is(err, errLeave):
			return err
		case httpStatus(err) == statusUnauthorized:
			s.output("Server requires authentication")
			if !s.Interactive {
				s.status = exitGeneric // one line, one attempt (quirk E3)
				return nil
			}
			if err = s.login(ctx); err == nil {
				continue
			}
			if errors.Is(err, ErrInterrupted) {
				s.output("")
				s.status = exitGeneric
				return errLeave
			}
		}
		if ctx.Err() == nil {
			s.fail(err)
		}
		return nil
	}
}

// noVerb says that a line begins with no verb, in the form that it asks for.
func (s *Session) noVerb(verb, line string) {
	words := fields(line)
	name := words[0]
	if strings.HasPrefix(name, "-") {
		name = line // the verb that may stand behind is not what is missing
	}
	p := &format.Problem{Code: "E312", Title: "wrong usage", Detail: "no verb " + strconv.Quote(name), Hint: "all verbs: " + s.Program + " help"}
	if close := s.verbsLike(verb); len(close) > 0 {
		p.Hint = "did you mean " + strings.Join(close, ", ") + "?   " + p.Hint
	}
	out := s.printer()
	if form, plain, ok := parseForm(format.Wanted(words)); ok && !plain {
		out.Form = form
	}
	out.Fail(p)
	s.status = exitUsage
}

// parseLine cuts a line into the verb and its argument. Verbs are letters, digits and "_"; "?" is short for help. An empty verb is unknown.
func parseLine(line string) (verb, arg, clean string) {
	line = trim(line)
	if line == "" {
		return "", "", ""
	}
	switch line[0] {
	case '?':
		line = "help " + line[1:]
	case '!':
		return "", "", line
	}
	n := strings.IndexFunc(line, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if n < 0 {
		n = len(line)
	}
	return line[:n], trim(line[n:]), line
}

// lookup returns what a verb does, nil for an unknown one. Verbs are written as they are: case counts.
func (s *Session) lookup(verb string) func(ctx context.Context, arg string) error {
	switch verb {
	case "status":
		return s.showStatus
	case "start":
		return s.start
	case "stop":
		return s.stop
	case "restart":
		return s.restart
	case "signal":
		return s.signal
	case "pid":
		return s.showPIDs
	case "tail":
		return s.tail
	case "maintail":
		return s.mainTail
	case "fg":
		return s.foreground
	case "clear":
		return s.clear
	case "avail":
		return s.showAvailable
	case "reread":
		return s.reread
	case "add":
		return s.add
	case "remove":
		return s.remove
	case "update":
		return s.update
	case grace.name:
		return s.graceUpdate
	case "reload":
		return s.reload
	case "shutdown":
		return s.shutdown
	case "version":
		return s.version
	case "open":
		return s.open
	case "completion":
		if s.own() {
			return s.printCompletion
		}
	case "help":
		return s.help
	case "quit", "exit", "EOF":
		return s.leave
	}
	if file := s.fileVerb(verb); file != nil {
		return s.runFileVerb(file)
	}
	return nil
}

// login asks for credentials and keeps them for the session.
func (s *Session) login(ctx context.Context) error {
	username, err := s.In.ReadLine(ctx, "Username:")
	if err != nil {
		return err
	}
	password, err := s.ReadPassword("Password:")
	if err != nil {
		return err
	}
	s.output("")
	s.Username, s.Password = username, password
	s.hangUp()
	return nil
}

// leave ends the shell: quit, exit and the end of input.
func (s *Session) leave(context.Context, string) error {
	s.output("")
	return errLeave
}

// confirm asks before something that hits every process, when somebody is there to answer.
func (s *Session) confirm(ctx context.Context, question string) (bool, error) {
	if !s.Interactive {
		return true, nil
	}
	answer, err := s.In.ReadLine(ctx, question)
	return strings.HasPrefix(strings.ToLower(answer), "y"), err
}
