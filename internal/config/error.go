package config

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/graced/graced/internal/process"
)

// Error is why a configuration was refused. Error() is Supervisor's own text, which clients see on the wire (fault 92) and in
// "Error: ..." at start; Detail is for humans.
type Error struct {
	File    string // the file at fault, as it was named; "" = none, e.g. the file was not found by default
	Line    int    // 1-based; 0 = the whole file, or the section has no line (addProgramToGroup)
	Col     int    // 1-based column of the value, in characters; 0 = unknown
	Section string // e.g. "program:x"; "" outside of sections
	Key     string // "" = the section as a whole
	Value   string // the value as written, or "" without one
	Text    string // Supervisor's text
	Cause   string // Text without the place that Supervisor appends to it; "" = Text
	Hint    string // a way out; "" = none known
	Code    Code   // the kind, for tools

	expand *expandError // why %(name)s could not be replaced; nil = it is about something else
}

// Error returns Supervisor's text.
func (e *Error) Error() string { return e.Text }

// Detail returns "file:line: [section] cause (key=value; way out)", on one line. Passwords are not repeated, and neither are secrets in a command or a URL.
func (e *Error) Detail() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	cause := strings.ReplaceAll(strings.TrimRight(cmp.Or(e.Cause, e.Text), "\n "), "\n", " ")
	cause = strings.ReplaceAll(cause, "\t", " ")
	if e.Section != "" && !strings.Contains(cause, "["+e.Section+"]") {
		fmt.Fprintf(&b, "[%s] ", e.Section)
	}
	b.WriteString(mask(cause))
	var extra []string
	switch {
	case e.Key == "" || e.Value == "" && e.Col == 0: // no option, or one that is missing
	case soundsSecret(e.Key):
		extra = append(extra, e.Key+"=(hidden)")
	default:
		extra = append(extra, e.Key+"="+mask(strings.ReplaceAll(e.Value, "\n", " ")))
	}
	if e.Hint != "" {
		extra = append(extra, e.Hint)
	}
	if len(extra) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(extra, "; "))
	}
	return b.String()
}

// Level says how loud a warning is.
type Level int

// The levels. A note is meant for a checker and not logged by a daemon.
const (
	LevelCrit Level = iota
	LevelWarn
	LevelInfo
	LevelNote
)

// String returns the level as Supervisor's log spells it; a note, which it has not, is "NOTE".
func (l Level) String() string { return [...]string{"CRIT", "WARN", "INFO", "NOTE"}[l] }

// Code names a kind of error or warning for tools: E or W and a number. docs/reference/check.md lists them.
type Code string

// The kinds of errors.
const (
	NoFile        Code = "E100" // a file cannot be read
	NoDaemon      Code = "E103" // there is no [supervisord]
	NotALine      Code = "E104" // a line is neither key=value nor [section]
	NotUTF8       Code = "E105" // a file is not UTF-8
	BadChoice     Code = "E110" // not one of the words that an option takes
	BadValue      Code = "E111" // no number, size, boolean, signal, address
	NameTemplate  Code = "E112" // several processes would have one name
	Missing       Code = "E113" // a required option is missing
	UnknownMember Code = "E114" // a group names a program that is not there, or a program a socket
	BadExpansion  Code = "E115" // %(name)s cannot be replaced
	NoAccount     Code = "E116" // no such user or group
	BadUmask      Code = "E117" // no octal number
	BadQuoting    Code = "E118" // quotes or pairs of environment
	BadName       Code = "E119" // a name has a character that names cannot have
	KeyFirst      Code = "E122" // a key comes before any section
	BadDirectory  Code = "E131" // no such directory
	BadLogPath    Code = "E132" // the directory of a file does not exist
	LongPath      Code = "E137" // a path that is too long for the socket of a server
	BadMode       Code = "E152" // no octal number
	HalfLogin     Code = "E153" // user name without password, or the other way round
	AddressTwice  Code = "E145" // two sockets, or two servers, with one address
	KillAsGroup   Code = "E162" // stopasgroup without killasgroup
	ToldTwice     Code = "E169" // a signal and a command for the same
	UnknownEvent  Code = "E170" // no such event
	NotBuiltIn    Code = "E172" // Python's plugins and handlers cannot be loaded
	ListenerPipe  Code = "E173" // an event listener cannot merge its outputs
	ListenerCheck Code = "E174" // an event listener says READY by its protocol

	DependencyCycle   Code = "E180" // programs depend on one another in a circle
	UnknownDependency Code = "E181" // a program depends on something that is not there
)

// valueCodes are the kinds of errors that a bad value of an option is; BadValue for any other.
var valueCodes = map[string]Code{
	"autorestart": BadChoice, "alive_action": BadChoice, "roll_on_failure": BadChoice, "pre_start_on_failure": BadChoice, "post_ready_on_failure": BadChoice, "loglevel": BadChoice, "stop_order": BadChoice, "sigpipe": BadChoice, "quirks": BadChoice, "payload_length": BadChoice,
	"user": NoAccount, "chown": NoAccount, "socket_owner": NoAccount, "umask": BadUmask, "chmod": BadMode, "socket_mode": BadMode, "environment": BadQuoting,
	"directory": BadDirectory, "childlogdir": BadDirectory, "logfile": BadLogPath, "pidfile": BadLogPath, "stdout_logfile": BadLogPath,
	"stderr_logfile": BadLogPath, "process_name": BadName, "owner": NoAccount, "mode": BadMode, "sockets": UnknownMember,
}

// The kinds of warnings.
const (
	UnknownSection   Code = "W102" // no such section, it is ignored
	UnknownKey       Code = "W101" // no such option, it is ignored
	NoIncludeMatch   Code = "W133" // an include pattern matches nothing
	UnreadInclude    Code = "W134" // an included file cannot be read (quirk A8)
	Included         Code = "W135" // a file was included
	CutQuote         Code = "W121" // an inline comment cut a quotation open (quirk A1)
	LegacyEnviron    Code = "W125" // environment only readable by the old grammar (quirk A5)
	SkippedToken     Code = "W126" // text after an environment value is ignored (quirk A6)
	EnvironDiffers   Code = "W127" // environment reads differently under Supervisor 4.2.5 (quirk A5)
	OddSignal        Code = "W163" // a signal that stops nothing (quirk A21)
	SyslogLogfile    Code = "W164" // deprecated logfile=syslog
	AutoNoRollover   Code = "W165" // AUTO log file that is never rotated
	IgnoredStderr    Code = "W166" // stderr_logfile besides redirect_stderr
	DuplicateProcess Code = "W112" // two processes of one name in a group (quirk A11)
	DuplicateGroup   Code = "W142" // two groups of one name (quirk A12)
	MemberOrder      Code = "W143" // members start by priority, not in the order of the group (quirk C7)
	GroupSocket      Code = "W144" // a FastCGI program in a group has no usable socket (quirk A13)
)

// Warning is a remark about a configuration that was loaded.
type Warning struct {
	Origin process.Origin
	Level  Level
	Code   Code
	Text   string // Supervisor's text where it has one
}

// String returns "file:line: text".
func (w Warning) String() string {
	if w.Origin.File == "" {
		return w.Text
	}
	if w.Origin.Line == 0 {
		return w.Origin.File + ": " + w.Text
	}
	return fmt.Sprintf("%s:%d: %s", w.Origin.File, w.Origin.Line, w.Text)
}

// valueError is a refused value: the reference's text and, for humans, a way out.
type valueError struct{ text, hint string }

func (e *valueError) Error() string { return e.text }
