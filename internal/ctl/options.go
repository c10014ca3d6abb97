package ctl

import (
	"io"
	"strings"
	"time"

	"github.com/graced/graced/internal/format"
)

// CommandLine is what the options say. A nil string was not given: the configuration file decides then.
type CommandLine struct {
	Config, ServerURL, Username, Password, HistoryFile *string
	Interactive, Plain                                 bool
	Form                                               format.Form   // of gracectl, and so are ...
	Timeout                                            time.Duration // 0 = none
	Parallel                                           int           // 0 = as the verb does by itself
	Action                                             []string      // the words of the command; none: start the shell
}

// Exit ends the program before any command runs: with a usage error or the text of -h.
type Exit struct {
	Code   int
	Stdout string
	Stderr string
	text   string // what went wrong, without the words around it
}

// Print writes what the program has to say at its end. gracectl writes a problem in the form that the words behind its name ask for.
func (e *Exit) Print(face Face, args []string, out, errOut io.Writer) {
	// There is nobody to tell when the terminal or pipe is gone.
	_, _ = io.WriteString(out, e.Stdout)
	switch form := format.Form(format.Wanted(args)); {
	case face == Gracectl && e.text != "" && (form == format.JSON || form == format.JSONL || form == format.YAML):
		(&format.Printer{Form: form, Err: errOut}).Fail(&format.Problem{Code: "E312", Title: "wrong usage", Detail: e.text})
	default:
		_, _ = io.WriteString(errOut, e.Stderr)
	}
}

// UsageError is the end of a program called in a wrong way.
func UsageError(program, text string) *Exit {
	return &Exit{Code: exitInvalidArgs, text: text, Stderr: "Error: " + text + "\nFor help, use " + program + " -h\n"}
}

// ParseCommandLine reads the words behind the program name (contract: ctl, "Options"). program is argv[0].
func ParseCommandLine(face Face, program string, args []string) (CommandLine, *Exit) {
	short := "h?c:is:u:p:r:"
	long := []string{"help", "configuration=", "interactive", "serverurl=", "username=", "password=", "history_file=", "history-file="}
	if face == Gracectl {
		short += "o:"
		long = append(long, "output=", "timeout=", "parallel=")
	}
	var cl CommandLine
	opts, action, err := getopt(args, short, long)
	if err != nil {
		return cl, UsageError(program, err.Error())
	}
	cl.Action = action
	for _, o := range opts {
		arg := o.arg
		conflict := func(target **string) bool {
			if *target != nil {
				return true
			}
			*target = &arg
			return false
		}
		clash := false
		switch o.name {
		case "-h", "-?", "--help":
			return cl, &Exit{Stdout: usage(face, program)}
		case "-c", "--configuration":
			clash = conflict(&cl.Config)
		case "-i", "--interactive":
			clash = cl.Interactive
			cl.Interactive = true
		case "-s", "--serverurl":
			if !isURL(arg) {
				return cl, UsageError(program, "invalid value for "+o.name+" "+quote(arg)+": value "+quote(arg)+" is not a URL")
			}
			clash = conflict(&cl.ServerURL)
		case "-u", "--username":
			clash = conflict(&cl.Username)
		case "-p", "--password":
			clash = conflict(&cl.Password)
		case "-r", "--history_file", "--history-file": // both spellings work (quirk E1)
			clash = conflict(&cl.HistoryFile)
		case "-o", "--output":
			form, plain, ok := parseForm(arg)
			if !ok && !formOf(arg, action) {
				return cl, UsageError(program, "invalid value for "+o.name+" "+quote(arg)+": the forms are "+formNames())
			}
			cl.Plain = plain
			if cl.Form = form; plain {
				cl.Form = format.Text
			}
		case "--timeout":
			d, ok := parseTimeout(arg)
			if !ok {
				return cl, UsageError(program, "invalid value for --timeout "+quote(arg)+": it takes seconds, or a duration such as 1m30s")
			}
			cl.Timeout = d
		case "--parallel":
			n, ok := parseParallel(arg)
			if !ok {
				return cl, UsageError(program, "invalid value for --parallel "+quote(arg)+": it takes a number from 1 on")
			}
			cl.Parallel = n
		}
		if clash {
			return cl, UsageError(program, "conflicting command line option "+quote(o.name))
		}
	}
	return cl, nil
}

// isURL reports whether Supervisor takes s for a URL: a scheme, and a host or a path behind it.
func isURL(s string) bool {
	scheme, rest := splitScheme(s)
	if scheme == "" {
		return false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	if host, ok := strings.CutPrefix(rest, "//"); ok {
		return host != ""
	}
	return rest != ""
}

// splitScheme cuts a URL behind its scheme, which it returns in lower case; "" when there is none.
func splitScheme(s string) (scheme, rest string) {
	head, tail, found := strings.Cut(s, ":")
	if !found || head == "" || !isLetter(head[0]) {
		return "", s
	}
	for i := 0; i < len(head); i++ {
		if c := head[i]; !isLetter(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return "", s
		}
	}
	return strings.ToLower(head), tail
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
