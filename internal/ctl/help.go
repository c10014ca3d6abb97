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
	if i := slices.IndexFunc(fileVerbs, func(c command) bool { return c.name == verb }); i >= 0 && s.own() {
		c = fileVerbs[i]
	} else if i := slices.IndexFunc(commands, func(c command) bool { return c.name == verb }); i >= 0 {
		c = commands[i]
	} else if verb != grace.name {
		return ""
	}
	if s.own() {
		return "usage: " + strings.TrimSuffix(s.Program+" "+c.name+" "+c.args, " ") + "\n  " + c.brief
	}
	return c.help
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

// ownListing is gracectl's: a line for each verb.
func (s *Session) ownListing() string {
	width := 0
	all := append(append(slices.Clone(commands), grace), fileVerbs...)
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

// usage is the answer to -h.
func usage(face Face, program string) string {
	if face == Gracectl {
		s := Session{}
		return "usage: " + program + ` [options] [verb [arguments]]

Drives a running graced or supervisord. Without a verb a shell starts.

Options:
  -c, --configuration FILE   configuration file (searched in the usual places if not given)
  -s, --serverurl URL        the daemon: http://host:port or unix:///path/of/socket
                             (default: from the file, else http://localhost:9001)
  -u, --username NAME        credentials; they win over those in the file
  -p, --password PASSWORD
  -i, --interactive          ask for credentials, and before shutdown and reload
  -r, --history-file FILE    keep the shell's history here
  -o, --output plain         print exactly what supervisorctl prints
  -h, --help                 this text

Verbs (more with: ` + program + ` help VERB):
` + s.ownListing()
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
