// Package report prints what config finds and knows: the findings of a check, for humans, editors and machines, and explanations of options.
//
// It decides nothing about a configuration and asks no daemon. Only the mains import it.
package report

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/graced/graced/internal/config"
)

// Exit codes.
const (
	exitOK  = 0
	exitBad = 2 // a bad command line, or a configuration with errors
)

// Command is a verb about configuration files, on its way to be run.
type Command struct {
	Program string         // what was called, as usage texts show it
	Machine config.Machine // where the files are
	Path    string         // the file that -c named; "" = the default places are searched
	Dir     string         // the directory of the program, for that search
	Out     io.Writer
	Err     io.Writer
}

// flags returns the options that both verbs have.
func (c *Command) flags(verb string) (set *flag.FlagSet, format *string) {
	set = flag.NewFlagSet(verb, flag.ContinueOnError)
	set.SetOutput(io.Discard) // parse tells what is wrong
	set.StringVar(&c.Path, "c", c.Path, "")
	set.StringVar(&c.Path, "configuration", c.Path, "")
	format = set.String("o", "", "")
	set.StringVar(format, "output", "", "")
	return set, format
}

// parse reads a command line on which options and words may come in any order. It returns the words, or the exit code of a command line
// that has been dealt with. usage is what -h shows behind the verb.
func (c *Command) parse(set *flag.FlagSet, usage string, args []string) (words []string, exit int, ok bool) {
	for {
		err := set.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprintf(c.Out, "usage: %s %s %s\n", c.Program, set.Name(), usage)
			return nil, exitOK, false
		case err != nil:
			return nil, c.fail(err.Error()), false
		case set.NArg() == 0:
			return words, 0, true
		}
		words = append(words, set.Arg(0))
		args = set.Args()[1:]
	}
}

// fail prints an error of the command line and returns its exit code.
func (c *Command) fail(text string) int {
	fmt.Fprintf(c.Err, "Error: %s\n", text)
	return exitBad
}

// find returns the file to look at.
func (c *Command) find() (string, error) {
	if c.Path != "" {
		return c.Path, nil
	}
	return config.FindDefault(c.Machine, c.Dir)
}

// checkUsage is what stands behind the verb check.
const checkUsage = "[-c FILE] [-o short|json|sarif] [--strict] [--env FILE|NAME=VALUE]... [--fix [--dry-run] [--force]] [FILE]"

// Check runs the verb check, with the words of checkUsage behind it. It returns the exit code.
func (c Command) Check(args []string) int {
	set, format := c.flags("check")
	strict := set.Bool("strict", false, "")
	var fix fixing
	set.BoolVar(&fix.wanted, "fix", false, "")
	set.BoolVar(&fix.dry, "dry-run", false, "")
	set.BoolVar(&fix.force, "force", false, "")
	set.Func("env", "", c.addEnvironment)
	words, exit, ok := c.parse(set, checkUsage, args)
	switch {
	case !ok:
		return exit
	case !fix.wanted && (fix.dry || fix.force):
		return c.fail("--dry-run and --force go with --fix")
	case len(words) > 1:
		return c.fail("check takes one file: " + strings.Join(words, " "))
	case len(words) == 1:
		c.Path = words[0]
	}
	print, ok := map[string]func(io.Writer, *config.Report, config.Machine) error{"": Blocks, "short": Short, "json": JSON, "sarif": SARIF}[*format]
	if !ok {
		return c.fail("no output format " + *format + ": there are short, json and sarif")
	}
	path, err := c.find()
	if err != nil {
		return c.fail(err.Error())
	}
	r := config.Check(c.Machine, path)
	if fix.wanted {
		fix.out = c.Out
		if *format != "" {
			fix.out = c.Err // the document stays one
		}
		if err := fix.all(c.Machine, path, r); err != nil {
			return c.fail(err.Error())
		}
		if !fix.dry {
			r = config.Check(c.Machine, path)
		}
	}
	if *strict {
		r.Strict()
	}
	if err := print(c.Out, &r, c.Machine); err != nil {
		return c.fail("cannot print the findings: " + err.Error())
	}
	if errs, _ := r.Count(); errs > 0 {
		return exitBad
	}
	return exitOK
}

// Explain runs the verb explain: [-c FILE] [-o json] OPTION. It returns the exit code.
func (c Command) Explain(args []string) int {
	set, format := c.flags("explain")
	words, exit, ok := c.parse(set, "[-c FILE] [-o json] OPTION", args)
	switch {
	case !ok:
		return exit
	case len(words) != 1:
		return c.fail("explain takes one option, such as stopwaitsecs or program.stopwaitsecs")
	case *format != "" && *format != "json":
		return c.fail("no output format " + *format + ": there is json")
	}
	options := config.OptionsNamed(words[0])
	if len(options) == 0 {
		fmt.Fprintf(c.Err, "error[E101]: no option %q\n", words[0])
		if near := config.NearestOption(words[0]); near != "" {
			fmt.Fprintf(c.Err, "  did you mean %s?\n", near)
		}
		return exitBad
	}
	named := c.Path != ""
	path, err := c.find()
	if err != nil && named {
		return c.fail(err.Error())
	}
	var all []explanation
	for _, o := range options {
		e := explanation{Option: o}
		if err == nil {
			if e.set, e.unset, err = config.Settings(c.Machine, path, o); err != nil && named {
				return c.fail(err.Error())
			}
			e.known = err == nil
		}
		all = append(all, e)
	}
	if *format == "json" {
		err = explainJSON(c.Out, all, path)
	} else {
		err = explainText(c.Out, all)
	}
	if err != nil {
		return c.fail("cannot print the explanation: " + err.Error())
	}
	return exitOK
}
