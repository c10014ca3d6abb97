// Package ctl is the command line client: the verbs of supervisorctl and gracectl, their texts, exit codes and interactive shell.
//
// It owns what is printed and which exit status follows (contract: ctl). It never reads configuration files, never touches a daemon's
// files, and asks a daemon only through Proxy. Only package main of cmd/gracectl imports it.
package ctl

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// Face is the contract that the name of the program selects.
type Face int

// The faces.
const (
	Supervisorctl Face = iota // Supervisor's texts and exit codes to the byte
	Gracectl                  // the same verbs, errors that say what to do next, own exit codes where they help
)

// FaceOf returns the face for argv[0]: Supervisorctl for a base name of "supervisorctl", Gracectl for everything else.
func FaceOf(argv0 string) Face {
	base := argv0
	for i := len(base) - 1; i >= 0; i-- {
		if base[i] == '/' || base[i] == os.PathSeparator {
			base = base[i+1:]
			break
		}
	}
	if base == "supervisorctl" || base == "supervisorctl.exe" {
		return Supervisorctl
	}
	return Gracectl
}

// Settings is what the command line and the configuration file say.
type Settings struct {
	Program      string   // argv[0], as usage texts show it
	ServerURL    string   // http://host[:port] or unix:///path
	Username     string   // "" = no credentials
	Password     string   //
	Prompt       string   // without the "> " behind it; "" = supervisor
	HistoryFile  string   // "" = the history is not kept
	Plugins      []string // names of the [ctlplugin:x] sections that ask for the grace plugin
	Interactive  bool     // ask before shutdown and reload, ask for credentials
	Plain        bool     // Gracectl prints what Supervisorctl prints
	Minimal      bool     // Supervisorctl's update restarts no more than gracectl's
	EscapeOutput bool     // the terminal cannot show anything but ASCII (quirk E11)

	// Of gracectl alone.
	Form     format.Form   // how verbs answer where they are not told
	Parallel int           // how many processes at once; 0 = as the verb does by itself
	Timeout  time.Duration // of each verb; 0 = none
	Colour   bool          // standard output is a terminal that shows colours
	Terminal bool          // somebody is there to be asked, and is shown what is under way
}

// Proxy is a daemon as the client sees it. Faults are *control.Error, other HTTP statuses than 200 *client.ProtocolError, and
// refused or missing sockets unwrap to their errno. One proxy serves one command.
type Proxy interface {
	control.Service
	// Call calls any method, for those that control.Service has no word for.
	Call(ctx context.Context, method string, args ...any) (any, error)
	// Stream opens an endless log, e.g. /logtail/foo/stdout.
	Stream(ctx context.Context, path string) (io.ReadCloser, error)
	// Close ends the connection.
	Close() error
}

// LineReader reads lines from the user.
type LineReader interface {
	// ReadLine shows the prompt and returns a line without its end. io.EOF at the end of input; ErrInterrupted or the context's error after Ctrl-C.
	ReadLine(ctx context.Context, prompt string) (string, error)
}

// Session runs commands against one daemon. It is used by one goroutine and must not be copied.
type Session struct {
	Settings
	Face Face
	Dial func(serverURL, username, password string) (Proxy, error)
	In   LineReader
	Out  io.Writer
	Err  io.Writer
	// Sockets is where gracectl looks for another daemon when none answers, e.g. WellKnownSockets.
	Sockets []string
	// Check and Explain are gracectl's verbs about configuration files, TakeOver starts graced to take over; nil: there is no such verb.
	Check, Explain, TakeOver FileVerb
	// ReadPassword asks for a password without showing it.
	ReadPassword func(prompt string) (string, error)
	// Interruptible returns a context that Ctrl-C cancels, until stop is called.
	Interruptible func(context.Context) (ctx context.Context, stop func())

	writing sync.Mutex // held while a line goes out: fg prints from two streams

	status  int                   // the exit status so far: the last assignment counts
	inShell bool                  // the shell reads lines
	caught  bool                  // a command took the interrupt for itself
	cached  []control.ProcessInfo // for completion; nil = ask the daemon
	proxy   Proxy                 // of the command that runs
}

// Exit codes (contract: ctl, "Exit codes").
const (
	exitOK            = 0
	exitGeneric       = 1
	exitInvalidArgs   = 2
	exitUnimplemented = 3
	exitRefused       = 4
	exitNotInstalled  = 5
	exitNotRunning    = 7

	exitStatusNotRunning = 3 // status: some process is stopped
	exitStatusUnknown    = 4 // status: bad name, or no answer

	exitGraceRefused = 11 // gracectl grace_update: more than the number of processes differs
)

// Run carries out the action given by args, or starts the shell without one, and returns the exit code.
func (s *Session) Run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		s.Interactive = true
		s.shell(ctx)
		return exitOK // compat: the shell's exit code says nothing about its commands
	}
	if verb := s.fileVerb(args[0]); verb != nil && !asksHelp(args[1:]) {
		return verb(s.formed(args[1:]), s.Out, s.Err) // the words as they are: a line would lose blanks in names of files
	}
	carryOut := func() error { return s.execute(ctx, joinArgs(args)) }
	if s.Face == Gracectl {
		carryOut = func() error { return s.ownWords(ctx, args) }
	}
	_ = carryOut() // whether the shell would go on
	return s.status
}

func joinArgs(args []string) string {
	line := args[0]
	for _, a := range args[1:] {
		line += " " + a
	}
	return line
}

// server returns the connection of the command that runs, dialling at its first use.
func (s *Session) server() (Proxy, error) {
	if s.proxy == nil {
		p, err := s.Dial(s.ServerURL, s.Username, s.Password)
		if err != nil {
			return nil, err
		}
		s.proxy = p
	}
	return s.proxy, nil
}

func (s *Session) hangUp() {
	if s.proxy != nil {
		// The answers have all been read: nothing can be lost by a failure to close.
		_ = s.proxy.Close()
		s.proxy = nil
	}
}

// output prints a line.
func (s *Session) output(line string) { s.write(s.Out, line+"\n") }

// complain prints a line on stderr.
func (s *Session) complain(line string) { s.write(s.Err, line+"\n") }

func (s *Session) write(w io.Writer, text string) {
	if s.EscapeOutput {
		text = escapeNonASCII(text)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	// There is nobody to tell: a terminal or pipe that is gone takes no message about it either.
	_, _ = io.WriteString(w, text)
}

// own reports whether gracectl speaks in its own words.
func (s *Session) own() bool { return s.Face == Gracectl && !s.Plain }
