package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/graced/graced/internal/man"
)

// TestManPage keeps graced(8) in step with the help text.
func TestManPage(t *testing.T) {
	p := man.New("graced", "8", "run a set of programs as daemons")
	p.Section("Synopsis")
	p.Paragraph("graced [options]")
	p.Section("Description")
	p.Paragraph("graced reads the configuration files of Supervisor, runs the programs that they name, and answers gracectl, supervisorctl and XML-RPC clients. " +
		"Called as supervisord it is Supervisor's daemon of that name.")
	option := regexp.MustCompile(`^(-\S+(?: [A-Z]+)?) +(\S.*)$`)
	command := regexp.MustCompile(`^(graced \S.*?)(?: {2,}(\S.*))?$`)
	var tag, text string
	section := "options"
	p.Section(section)
	flush := func() {
		if tag != "" {
			p.Item(tag, text)
		}
		tag, text = "", ""
	}
	count := 0
	for _, line := range strings.Split(helpText("graced"), "\n")[3:] {
		switch m := option.FindStringSubmatch(line); {
		case m != nil:
			flush()
			tag, text = m[1], m[2]
			count++
		case command.MatchString(line):
			flush()
			if section == "options" {
				section = "commands"
				p.Section(section)
			}
			m := command.FindStringSubmatch(line)
			tag, text = m[1], m[2]
		case strings.TrimSpace(line) != "":
			text = strings.TrimSpace(text + " " + strings.TrimSpace(line))
		}
	}
	flush()
	if count < 20 {
		t.Errorf("the help text has %d options", count)
	}
	p.Section("Signals")
	for _, s := range [][2]string{
		{"TERM, INT, QUIT", "stop everything and end"}, {"HUP", "stop everything, read the files again, start; refused while they are broken"}, {"USR2", "open all logs again"},
	} {
		p.Item(s[0], s[1])
	}
	p.Section("Exit status")
	p.Item("0", "an ordinary end; of the command that sends a daemon to the background: it is up")
	p.Item("2", "a bad command line, file, socket, limit or privilege")
	p.Section("See also")
	p.Paragraph("gracectl(1)")
	p.Check(t, "../..", "graced.8")
}
