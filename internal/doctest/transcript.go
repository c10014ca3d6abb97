package doctest

import (
	"errors"
	"fmt"
	"strings"
)

// Step is one command of a console block with the output a reader is told to expect.
type Step struct {
	Line    int // of the command
	Command string
	Want    []string
}

// Steps splits a console block: a command starts with "$ ", goes on in lines that start with "> ", and
// is followed by its output.
func Steps(b Block) ([]Step, error) {
	var steps []Step
	more := false // the line before was part of a command
	line := b.Line - 1
	for raw := range strings.Lines(b.Text) {
		line++
		raw = strings.TrimRight(raw, "\r\n")
		command, isCommand := strings.CutPrefix(raw, "$ ")
		rest, isMore := strings.CutPrefix(raw, "> ")
		switch {
		case isCommand:
			steps = append(steps, Step{Line: line, Command: command})
			more = true
		case more && (isMore || raw == ">"):
			if raw == ">" {
				rest = ""
			}
			steps[len(steps)-1].Command += "\n" + rest
		case len(steps) == 0:
			return nil, fmt.Errorf("%s:%d: output before the first command; a command starts with \"$ \"", b.File, line)
		default:
			last := &steps[len(steps)-1]
			last.Want = append(last.Want, raw)
			more = false
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("%s: console block without a command", b.Place())
	}
	return steps, nil
}

// RunConsole runs the commands of a console block in the shell and compares what they print.
func RunConsole(sh *Shell, b Block) error {
	steps, err := Steps(b)
	if err != nil {
		return err
	}
	if dir, ok := b.Attrs["dir"]; ok {
		// Only the repository can be meant; another directory is one that the transcript itself enters.
		if dir != "repo" {
			return fmt.Errorf("%s: unknown dir=%s; only dir=repo is known", b.Place(), dir)
		}
		if err := sh.enter(sh.repo); err != nil {
			return err
		}
		defer func() { _ = sh.enter(sh.home) }()
	}
	for i, step := range steps {
		shown := i+1 < len(steps) && strings.Contains(steps[i+1].Command, "$?")
		if err := sh.Check(step, shown); err != nil {
			var mismatch *Mismatch
			if errors.As(err, &mismatch) {
				return fmt.Errorf("%s:%d: $ %s\n%v", b.File, step.Line, step.Command, err)
			}
			return fmt.Errorf("%s:%d: $ %s: %v", b.File, step.Line, step.Command, err)
		}
	}
	return nil
}
