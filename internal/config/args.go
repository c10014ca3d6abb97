package config

import (
	"fmt"
	"strings"
)

// DaemonArgs is what the daemon's command line says (contract: daemon, "Command line").
type DaemonArgs struct {
	Help      bool   // print the help and exit 0; what follows on the command line was not looked at
	Version   bool   // print the version and exit 0; likewise
	Path      string // of the configuration file
	HasPath   bool   // without it, FindDefault
	Overrides Overrides
	Profile   bool // --profile_options was given: accepted for old start scripts, without effect
}

// argument is one option of the command line.
type argument struct {
	short byte   // 0 = none
	long  string // "" = none
	value bool   // it takes a value
	key   string // what it sets; "" = it acts at once
	check func(m Machine, value string) error
}

// checked makes a check of a parser.
func checked[T any](parse func(string) (T, error)) func(Machine, string) error {
	return func(_ Machine, s string) error {
		_, err := parse(s)
		return err
	}
}

func checkDirectory(m Machine, s string) error {
	_, err := m.existingDirectory(s)
	return err
}

func checkDirpath(m Machine, s string) error {
	_, err := m.existingDirpath(s)
	return err
}

// daemonArguments lists the options of the daemon.
var daemonArguments = []argument{
	{short: 'h', long: "help"}, {short: '?'}, {short: 'v', long: "version"},
	{short: 'c', long: "configuration", value: true, key: "configuration"},
	{short: 'n', long: "nodaemon", key: "nodaemon"},
	{short: 'u', long: "user", value: true, key: "user"},
	{short: 'm', long: "umask", value: true, key: "umask", check: checked(ParseOctal)},
	{short: 'd', long: "directory", value: true, key: "directory", check: checkDirectory},
	{short: 'l', long: "logfile", value: true, key: "logfile", check: checkDirpath},
	{short: 'y', long: "logfile_maxbytes", value: true, key: "logfile_maxbytes", check: checked(ParseByteSize)},
	{short: 'z', long: "logfile_backups", value: true, key: "logfile_backups", check: checked(ParseInt)},
	{short: 'e', long: "loglevel", value: true, key: "loglevel", check: checked(ParseLogLevel)},
	{short: 'j', long: "pidfile", value: true, key: "pidfile", check: checkDirpath},
	{short: 'i', long: "identifier", value: true, key: "identifier"},
	{short: 'q', long: "childlogdir", value: true, key: "childlogdir", check: checkDirectory},
	{short: 'a', long: "minfds", value: true, key: "minfds", check: checked(ParseInt)},
	{long: "minprocs", value: true, key: "minprocs", check: checked(ParseInt)},
	{short: 'k', long: "nocleanup", key: "nocleanup"},
	{short: 't', long: "strip_ansi", key: "strip_ansi"},
	{long: "profile_options", value: true, key: "profile_options"},
	{short: 's', long: "silent", key: "silent"},
}

// given is one option found on a command line, as it is shown in error texts: -x or the whole --name.
type given struct {
	argument
	shown, text string
}

// ParseDaemonArgs reads a command line without the program's name, by the rules of Python's getopt: options before arguments, values
// attached or following, long options by any unique beginning. Values are checked at once, except the user. The error text is what
// Supervisor prints between "Error: " and "For help, use ...".
func ParseDaemonArgs(m Machine, args []string) (DaemonArgs, error) {
	out := DaemonArgs{Overrides: Overrides{}}
	options, rest, err := getopt(args)
	if err != nil {
		return out, err
	}
	if len(rest) > 0 {
		shown := make([]string, len(rest))
		for i, s := range rest {
			shown[i] = repr(s)
		}
		return out, &valueError{"positional arguments are not supported: [" + strings.Join(shown, ", ") + "]", "name the file with -c"}
	}
	seen := map[string]bool{}
	for _, o := range options {
		switch o.shown {
		case "-h", "-?", "--help":
			out.Help = true
			return out, nil
		case "-v", "--version":
			out.Version = true
			return out, nil
		}
		if o.check != nil {
			if err := o.check(m, o.text); err != nil {
				return out, fmt.Errorf("invalid value for %s %s: %w", o.shown, repr(o.text), err)
			}
		}
		if seen[o.key] {
			return out, fmt.Errorf("conflicting command line option %s", repr(o.shown))
		}
		seen[o.key] = true
		switch {
		case o.key == "configuration":
			out.Path, out.HasPath = o.text, true
		case o.key == "profile_options":
			out.Profile = true
		case o.value:
			out.Overrides[o.key] = o.text
		default:
			out.Overrides[o.key] = "true"
		}
	}
	return out, nil
}

// getopt splits a command line into options and the arguments after them.
func getopt(args []string) (options []given, rest []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if name, ok := strings.CutPrefix(word, "--"); ok {
			var o given
			if o, args, err = longOption(name, args); err != nil {
				return nil, nil, err
			}
			options = append(options, o)
			continue
		}
		for letters := word[1:]; letters != ""; {
			var o given
			if o, letters, args, err = shortOption(letters, args); err != nil {
				return nil, nil, err
			}
			options = append(options, o)
		}
	}
	return options, args, nil
}

// shortOption takes one letter of a cluster such as -nc FILE, and its value from the cluster's rest or the next word.
func shortOption(letters string, args []string) (o given, restLetters string, restArgs []string, err error) {
	letter := truncate(letters, 1)
	letters = letters[len(letter):]
	o.shown = "-" + letter
	for _, a := range daemonArguments {
		if string(rune(a.short)) == letter && a.short != 0 {
			o.argument = a
		}
	}
	switch {
	case o.short == 0:
		return o, "", nil, fmt.Errorf("option -%s not recognized", letter)
	case !o.value:
		return o, letters, args, nil
	case letters != "":
		o.text = letters
		return o, "", args, nil
	case len(args) == 0:
		return o, "", nil, fmt.Errorf("option -%s requires argument", letter)
	}
	o.text = args[0]
	return o, "", args[1:], nil
}

// longOption takes name, name=value or the beginning of a name that no other has.
func longOption(word string, args []string) (o given, rest []string, err error) {
	name, text, attached := strings.Cut(word, "=")
	matches, exact := 0, false
	for _, a := range daemonArguments {
		if a.long == "" || !strings.HasPrefix(a.long, name) || exact {
			continue
		}
		matches++
		o.argument = a
		exact = a.long == name
	}
	switch {
	case matches == 0:
		return o, nil, fmt.Errorf("option --%s not recognized", name)
	case matches > 1 && !exact:
		return o, nil, fmt.Errorf("option --%s not a unique prefix", name)
	}
	o.shown = "--" + o.long
	switch {
	case !o.value && attached:
		return o, nil, fmt.Errorf("option --%s must not have an argument", o.long)
	case !o.value:
		return o, args, nil
	case attached:
		o.text = text
		return o, args, nil
	case len(args) == 0:
		return o, nil, fmt.Errorf("option --%s requires argument", o.long)
	}
	o.text = args[0]
	return o, args[1:], nil
}
