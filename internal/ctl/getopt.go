package ctl

import (
	"errors"
	"strings"
)

// option is one option as getopt saw it: "-s" or "--serverurl", and its argument.
type option struct{ name, arg string }

// getopt splits args by the rules of Python's getopt module: options end at the first word that is none, at "-" and behind "--"; long
// names may be cut to a unique prefix. A letter of short followed by ":" and a long name ending in "=" take an argument.
func getopt(args []string, short string, long []string) (opts []option, rest []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if name, ok := strings.CutPrefix(word, "--"); ok {
			var o option
			if o, args, err = getLong(name, long, args); err != nil {
				return nil, nil, err
			}
			opts = append(opts, o)
			continue
		}
		for letters := []rune(word[1:]); len(letters) > 0; {
			letter := letters[0]
			letters = letters[1:]
			o := option{name: "-" + string(letter)}
			takes, known := shortOption(letter, short)
			if !known {
				return nil, nil, errors.New("option " + o.name + " not recognized")
			}
			if takes {
				if o.arg = string(letters); o.arg == "" {
					if len(args) == 0 {
						return nil, nil, errors.New("option " + o.name + " requires argument")
					}
					o.arg, args = args[0], args[1:]
				}
				letters = nil
			}
			opts = append(opts, o)
		}
	}
	return opts, args, nil
}

func shortOption(letter rune, short string) (takes, known bool) {
	if letter == ':' {
		return false, false
	}
	i := strings.IndexRune(short, letter)
	if i < 0 {
		return false, false
	}
	return strings.HasPrefix(short[i+len(string(letter)):], ":"), true
}

func getLong(name string, long, args []string) (option, []string, error) {
	name, arg, hasArg := strings.Cut(name, "=")
	var matches []string
	for _, l := range long {
		if l == name || l == name+"=" {
			matches = []string{l} // an exact name wins over longer ones
			break
		}
		// Two spellings of one name are one match.
		if strings.HasPrefix(l, name) && (len(matches) == 0 || !sameSpelling(l, matches[len(matches)-1])) {
			matches = append(matches, l)
		}
	}
	switch len(matches) {
	case 0:
		return option{}, nil, errors.New("option --" + name + " not recognized")
	case 1:
	default:
		return option{}, nil, errors.New("option --" + name + " not a unique prefix")
	}
	full, takes := strings.CutSuffix(matches[0], "=")
	switch {
	case takes && !hasArg:
		if len(args) == 0 {
			return option{}, nil, errors.New("option --" + full + " requires argument")
		}
		arg, args = args[0], args[1:]
	case !takes && hasArg:
		return option{}, nil, errors.New("option --" + full + " must not have an argument")
	}
	return option{"--" + full, arg}, args, nil
}

func sameSpelling(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}
