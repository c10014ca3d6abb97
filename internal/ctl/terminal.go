package ctl

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/peterh/liner"
	"golang.org/x/term"
)

// plainReader reads lines from a pipe, a file or a terminal in its ordinary mode, and shows the prompt on out, as Python's input()
// does. A read that Ctrl-C interrupts goes on and serves the next call, so no line is lost.
type plainReader struct {
	in      *bufio.Reader
	out     io.Writer
	pending chan line // of the read that goes on; nil = none
}

type line struct {
	text string
	err  error
}

// NewPlainReader returns a LineReader without editing or history.
func NewPlainReader(in io.Reader, out io.Writer) LineReader {
	return &plainReader{in: bufio.NewReader(in), out: out}
}

func (r *plainReader) ReadLine(ctx context.Context, prompt string) (string, error) {
	if _, err := io.WriteString(r.out, prompt); err != nil {
		return "", err
	}
	if r.pending == nil {
		answer := make(chan line, 1)
		r.pending = answer
		go func() {
			text, err := r.in.ReadString('\n')
			if err != nil && text != "" {
				err = nil // the last line has no end
			}
			answer <- line{strings.TrimSuffix(text, "\n"), err}
		}()
	}
	select {
	case l := <-r.pending:
		r.pending = nil
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lineEditor reads lines from a terminal, with editing, completion and history. The terminal is in raw mode only while it reads, so that
// Ctrl-C reaches the commands that run in between.
type lineEditor struct {
	state       *liner.State
	cooked, raw liner.ModeApplier
	history     string // file; "" = none
}

// OpenLineEditor takes the terminal of stdin and stdout. complete may be nil; history is a file or "". Close gives the terminal back
// and writes the history. A terminal that cannot do it is reported by an error: the caller reads plain lines then.
func OpenLineEditor(history string, complete liner.WordCompleter) (LineReader, func() error, error) {
	cooked, err := liner.TerminalMode()
	if err != nil {
		return nil, nil, err
	}
	e := &lineEditor{state: liner.NewLiner(), cooked: cooked, history: history}
	if e.raw, err = liner.TerminalMode(); err != nil {
		_ = e.state.Close() // the terminal was fine a moment ago; its own error says more
		return nil, nil, err
	}
	e.state.SetCtrlCAborts(true)
	e.state.SetTabCompletionStyle(liner.TabPrints)
	if complete != nil {
		e.state.SetWordCompleter(complete)
	}
	if history != "" {
		if f, err := os.Open(history); err == nil {
			_, _ = e.state.ReadHistory(f) // compat: a history that cannot be read is an empty one
			_ = f.Close()
		}
	}
	return e, e.close, cooked.ApplyMode()
}

// ReadLine takes Ctrl-C as a key. One that came before, as a signal, has ended the context: the line is not asked for then.
func (e *lineEditor) ReadLine(ctx context.Context, prompt string) (text string, err error) {
	if err := e.raw.ApplyMode(); err != nil {
		return "", err
	}
	if err = ctx.Err(); err == nil {
		text, err = e.state.Prompt(prompt)
	}
	if modeErr := e.cooked.ApplyMode(); err == nil {
		err = modeErr
	}
	if errors.Is(err, liner.ErrPromptAborted) {
		return "", ErrInterrupted
	}
	if err == nil && strings.TrimSpace(text) != "" {
		e.state.AppendHistory(text)
	}
	return text, err
}

func (e *lineEditor) close() error {
	var problem error
	if e.history != "" {
		problem = e.saveHistory()
	}
	return errors.Join(problem, e.state.Close())
}

// saveHistory replaces the file by a new one, so that a full disk or a crash keeps the old history.
func (e *lineEditor) saveHistory() error {
	temp := e.history + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = e.state.WriteHistory(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, e.history)
	}
	if err != nil {
		_ = os.Remove(temp) // what is left of a failed attempt is of no use
	}
	return err
}

// AskPassword prompts on the controlling terminal and reads without echo. Without a terminal it prompts on stderr and reads a line of in.
func AskPassword(in LineReader, prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		if _, err := io.WriteString(os.Stderr, prompt); err != nil {
			return "", err
		}
		return in.ReadLine(context.Background(), "")
	}
	defer tty.Close()
	if _, err := io.WriteString(tty, prompt); err != nil {
		return "", err
	}
	secret, err := term.ReadPassword(int(tty.Fd()))
	if _, nlErr := io.WriteString(tty, "\n"); err == nil {
		err = nlErr
	}
	return string(secret), err
}
