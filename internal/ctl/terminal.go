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
	history     string    // file; "" = none
	pending     chan line // of the prompt that goes on; nil = none
}

// OpenLineEditor takes the terminal of stdin and stdout. complete may be nil; history is a file or "". Close gives the terminal back
// and writes the history. A terminal that cannot do it is reported by an error: the caller reads plain lines then.
func OpenLineEditor(history string, complete liner.WordCompleter) (LineReader, func() error, error) {
	if !liner.TerminalSupported() {
		return nil, nil, errors.New("cannot edit lines on a terminal of this kind")
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width == 0 {
		return nil, nil, errors.New("cannot edit lines on a terminal without a size") // the editor would lose a Ctrl-C there, and the shell with it
	}
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

// ReadLine gets Ctrl-C as a key, or as a signal that ends the context when it comes while the terminal changes its mode. The editor cannot be
// called back then: its line serves the next call, as with plainReader.
func (e *lineEditor) ReadLine(ctx context.Context, prompt string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := e.raw.ApplyMode(); err != nil {
		return "", err
	}
	if e.pending == nil {
		answer := make(chan line, 1)
		e.pending = answer
		go func() {
			text, err := e.state.Prompt(prompt)
			answer <- line{text, err}
		}()
	} else if _, err := io.WriteString(os.Stdout, prompt); err != nil {
		return "", err
	}
	var l line
	select {
	case l = <-e.pending:
		e.pending = nil
	case <-ctx.Done():
		l.err = ctx.Err()
	}
	if err := e.cooked.ApplyMode(); l.err == nil {
		l.err = err
	}
	if errors.Is(l.err, liner.ErrPromptAborted) {
		return "", ErrInterrupted
	}
	if l.err == nil && strings.TrimSpace(l.text) != "" {
		e.state.AppendHistory(l.text)
	}
	return l.text, l.err
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
	// The echo is off before the prompt shows, so that nothing typed early is seen.
	cooked, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", err
	}
	secret, err := term.NewTerminal(tty, "").ReadPassword(prompt)
	if restoreErr := term.Restore(int(tty.Fd()), cooked); err == nil {
		err = restoreErr
	}
	if errors.Is(err, io.EOF) { // the keys Ctrl-C and Ctrl-D
		err = ErrInterrupted
	}
	return secret, err
}
