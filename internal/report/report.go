// Package report prints what config finds and knows: the findings of a check, for humans, editors and machines, and explanations of options.
//
// It decides nothing about a configuration and asks no daemon. Only the mains import it.
package report

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/format"
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

	verb string
	form string // that -o names; "" = for people
}

// flags returns the options that both verbs have.
func (c *Command) flags(verb string) *flag.FlagSet {
	c.verb = verb
	set := flag.NewFlagSet(verb, flag.ContinueOnError)
	set.SetOutput(io.Discard) // parse tells what is wrong
	set.StringVar(&c.Path, "c", c.Path, "")
	set.StringVar(&c.Path, "configuration", c.Path, "")
	set.StringVar(&c.form, "o", "", "")
	set.StringVar(&c.form, "output", "", "")
	return set
}

// parse reads a command line on which options and words may come in any order. It returns the words, or the exit code of a command line
// that has been dealt with. usage is what -h shows behind the verb.
func (c *Command) parse(set *flag.FlagSet, usage string, args []string) (words []string, exit int, ok bool) {
	all := args
	for {
		err := set.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprintf(c.Out, "usage: %s %s %s\n", c.Program, set.Name(), usage)
			return nil, exitOK, false
		case err != nil:
			c.form = format.Wanted(all)
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
	Fail(c.Err, c.form, c.verb, text)
	return exitBad
}

// Fail prints why a verb has not been done: as a document if that is the form that was asked for.
func Fail(w io.Writer, form, verb, text string) {
	if !refuse(w, form, &format.Problem{Code: "E312", Title: "wrong usage", Detail: verb + ": " + text}) {
		fmt.Fprintf(w, "Error: %s\n", text)
	}
}

// refuse prints a problem if the form is that of documents.
func refuse(w io.Writer, form string, p *format.Problem) bool {
	switch f := format.Form(form); f {
	case format.JSON, format.JSONL, format.YAML:
		(&format.Printer{Form: f, Err: w}).Fail(p)
		return true
	}
	return false
}

// printing is how the result of a verb is printed.
type printing = func(io.Writer, *config.Report, config.Machine) error

// inForm prints the document of JSON in another form.
func inForm(form format.Form) printing {
	return func(w io.Writer, r *config.Report, m config.Machine) error {
		return rewritten(w, form, func(w io.Writer) error { return JSON(w, r, m) })
	}
}

// rewritten prints a document of JSON in another form.
func rewritten(w io.Writer, form format.Form, print func(io.Writer) error) error {
	var doc bytes.Buffer
	if err := print(&doc); err != nil {
		return err
	}
	text, _ := format.Document(form, doc.Bytes())
	_, err := io.WriteString(w, text)
	return err
}

// find returns the file to look at.
func (c *Command) find() (string, error) {
	if c.Path != "" {
		return c.Path, nil
	}
	return config.FindDefault(c.Machine, c.Dir)
}

// checkUsage is what stands behind the verb check.
const checkUsage = "[-c FILE] [-o short|json|jsonl|yaml|sarif] [--strict] [--env FILE|NAME=VALUE]... [--fix [--dry-run] [--force]] [FILE]"

// Check runs the verb check, with the words of checkUsage behind it. It returns the exit code.
func (c Command) Check(args []string) int {
	set := c.flags("check")
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
	print, ok := map[string]printing{"": Blocks, "short": Short, "json": JSON, "jsonl": inForm(format.JSONL), "yaml": inForm(format.YAML), "sarif": SARIF}[c.form]
	if !ok {
		return c.fail("no output format " + c.form + ": there are short, json, jsonl, yaml and sarif")
	}
	path, err := c.find()
	if err != nil {
		return c.fail(err.Error())
	}
	r := config.Check(c.Machine, path)
	if fix.wanted {
		fix.out = c.Out
		if c.form != "" {
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

// explainUsage is what stands behind the verb explain.
const explainUsage = "[-c FILE] [-o json|jsonl|yaml] OPTION"

// Explain runs the verb explain, with the words of explainUsage behind it. It returns the exit code.
func (c Command) Explain(args []string) int {
	set := c.flags("explain")
	words, exit, ok := c.parse(set, explainUsage, args)
	_, documents := format.Document(format.Form(c.form), []byte("{}"))
	switch {
	case !ok:
		return exit
	case len(words) != 1:
		return c.fail("explain takes one option, such as stopwaitsecs or program.stopwaitsecs")
	case c.form != "" && !documents:
		return c.fail("no output format " + c.form + ": there are json, jsonl and yaml")
	}
	options := config.OptionsNamed(words[0])
	if len(options) == 0 {
		p := &format.Problem{Code: "E101", Title: "no such option", Detail: fmt.Sprintf("no option %q", words[0])}
		if near := config.NearestOption(words[0]); near != "" {
			p.Hint = "did you mean " + near + "?"
		}
		(&format.Printer{Form: format.Form(c.form), Err: c.Err}).Fail(p)
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
	if documents {
		err = rewritten(c.Out, format.Form(c.form), func(w io.Writer) error { return explainJSON(w, all, path) })
	} else {
		err = explainText(c.Out, all)
	}
	if err != nil {
		return c.fail("cannot print the explanation: " + err.Error())
	}
	return exitOK
}
