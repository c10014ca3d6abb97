package ctl

import (
	"context"
	"errors"
	"io"
)

// ErrInterrupted is what a LineReader returns after Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

// shell reads and carries out lines until the user leaves (contract: ctl, "Interactive shell"). It begins with the status.
func (s *Session) shell(ctx context.Context) {
	s.inShell = true
	prompt := s.Prompt
	if prompt == "" {
		prompt = "supervisor"
	}
	// As long as the shell runs Ctrl-C never has its default effect, not even between two of its uses.
	_, release := s.Interruptible(ctx)
	defer release()
	for line := "status"; ; {
		if s.interrupted(ctx, line) {
			return
		}
		var err error
		if line, err = s.readCommand(ctx, prompt+"> "); err != nil {
			// Ctrl-C, the end of the input and a terminal that is gone leave the shell in the same way: with an empty line.
			s.output("")
			if !errors.Is(err, io.EOF) && !errors.Is(err, ErrInterrupted) {
				s.complain("cannot read commands: " + err.Error())
			}
			return
		}
	}
}

func (s *Session) readCommand(ctx context.Context, prompt string) (string, error) {
	reading, release := s.Interruptible(ctx)
	defer release()
	line, err := s.In.ReadLine(reading, prompt)
	if err != nil && reading.Err() != nil {
		err = ErrInterrupted
	}
	return line, err
}

// interrupted carries out one line and reports whether the shell is to end: the user left, or Ctrl-C hit a command that does not
// take it for itself.
func (s *Session) interrupted(ctx context.Context, line string) bool {
	running, release := s.Interruptible(ctx)
	defer release()
	s.caught = false
	carryOut := s.execute
	if s.Face == Gracectl {
		carryOut = s.ownLine
	}
	if err := carryOut(running, line); errors.Is(err, errLeave) {
		return true
	}
	if running.Err() != nil && !s.caught {
		s.output("")
		return true
	}
	return false
}
