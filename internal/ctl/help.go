package ctl

import (
	"context"
	"slices"
	"strings"
)

// help prints the listing, or one topic.
func (s *Session) help(_ context.Context, arg string) error {
	switch {
	case arg == "help":
		s.output("help\t\tPrint a list of available actions")
		s.output("help <action>\tPrint help for <action>")
	case arg == "" && s.own():
		s.write(s.Out, s.ownListing())
	case arg == "":
		s.listing()
	default:
		if topic := s.topic(arg); topic != "" {
			s.output(topic)
		} else {
			s.output("*** No help on " + arg) // once, not for every plugin (quirk E8)
		}
	}
	return nil
}

// topic returns the help of a verb, "" if there is none.
func (s *Session) topic(verb string) string {
	c := grace
	own := slices.Concat(ownCommands, fileVerbs)
	if i := slices.IndexFunc(own, func(c command) bool { return c.name == verb }); i >= 0 && s.own() {
		c = own[i]
	} else if i := slices.IndexFunc(commands, func(c command) bool { return c.name == verb }); i >= 0 {
		c = commands[i]
	} else if verb != grace.name {
		return ""
	}
	if s.own() {
		text := "usage: " + strings.TrimSuffix(s.Program+" "+c.name+" "+c.args, " ") + "\n  " + c.brief
		if options := optionsOf(c.name); len(options) > 0 {
			text += "\n" + strings.TrimSuffix(optionLines(options), "\n")
		}
		return text
	}
	return c.help
}

// asksHelp reports whether --help is among the words of a verb.
func asksHelp(words []string) bool {
	if i := slices.Index(words, "--"); i >= 0 {
		words = words[:i]
	}
	return slices.Contains(words, "--help")
}

// helped prints the help of a verb if its words ask for it.
func (s *Session) helped(verb string, words []string) bool {
	if !s.own() || !asksHelp(words) || verb != "help" && s.topic(verb) == "" {
		return false
	}
	_ = s.help(context.Background(), verb) // it asks nobody
	return true
}

// listing prints the verbs in columns, a block for each plugin (contract: ctl, "help").
func (s *Session) listing() {
	names := make([]string, len(commands))
	for i := range commands {
		names[i] = commands[i].name
	}
	slices.Sort(names)
	s.block("default", names)
	plugins := s.Plugins
	if len(plugins) == 0 && s.Face == Gracectl {
		plugins = []string{"grace"}
	}
	for _, p := range plugins {
		s.block(p, []string{grace.name})
	}
}

func (s *Session) block(name string, verbs []string) {
	header := name + " commands (type help <topic>):"
	s.output("")
	s.output(header)
	s.output(strings.Repeat("=", len([]rune(header))))
	for _, line := range columns(verbs, 79) {
		s.output(line)
	}
	s.output("")
}

// allCommands are gracectl's verbs.
func allCommands() []command { return append(slices.Concat(commands, ownCommands, fileVerbs), grace) }

// ownListing is gracectl's: a line for each verb.
func (s *Session) ownListing() string {
	width := 0
	all := allCommands()
	for _, c := range all {
		width = max(width, len(c.name)+1+len(c.args))
	}
	var b strings.Builder
	for _, c := range all {
		b.WriteString("  " + pad(strings.TrimSuffix(c.name+" "+c.args, " "), width+2) + c.brief + "\n")
	}
	return b.String()
}

// verbs names everything that can be typed, for completion.
func (s *Session) verbs() []string {
	out := []string{"help"}
	for i := range commands {
		out = append(out, commands[i].name)
	}
	if s.own() {
		for i := range ownCommands {
			out = append(out, ownCommands[i].name)
		}
	}
	for _, c := range fileVerbs {
		if s.fileVerb(c.name) != nil {
			out = append(out, c.name)
		}
	}
	if s.Face == Gracectl || len(s.Plugins) > 0 {
		out = append(out, grace.name)
	}
	slices.Sort(out)
	return out
}

const aboutGracectl = "Drives a running graced or supervisord. Without a verb a shell starts."

func optionLines(options []optionInfo) string {
	var b strings.Builder
	for _, o := range options {
		b.WriteString("  " + pad(o.spelling(), 28) + " " + o.brief + "\n")
	}
	return b.String()
}

// usage is the answer to -h.
func usage(face Face, program string) string {
	if face == Gracectl {
		s := Session{}
		return "usage: " + program + " [options] [verb [arguments]]\n\n" + aboutGracectl + "\n\nOptions:\n" + optionLines(generalOptions) +
			"\nOptions of verbs, before or behind their words; the first three also before the verb:\n" + optionLines(verbOptions) +
			"\nVerbs (more with: " + program + " help VERB):\n" + s.ownListing()
	}
	return `supervisorctl -- drive a running supervisord from the command line

Usage: ` + program + ` [options] [action [arguments]]

Options:
-c/--configuration FILENAME -- configuration file (searched for if not given)
-h/--help -- show this text and leave
-i/--interactive -- prompt for credentials and confirmations
-s/--serverurl URL -- where supervisord listens
     (default "http://localhost:9001")
-u/--username USERNAME -- user name for the server
-p/--password PASSWORD -- password for the server
-r/--history-file FILENAME -- keep the history of the shell in this file

action [arguments] -- a command such as "tail" or "stop"; "help" lists them all.
Without an action a shell is started that reads actions line by line.

`
}
