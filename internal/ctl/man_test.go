package ctl

import (
	"strings"
	"testing"

	"github.com/graced/graced/internal/man"
)

// TestManPage keeps gracectl(1) in step with the tables of verbs and options.
func TestManPage(t *testing.T) {
	p := man.New("gracectl", "1", "drive a running graced or supervisord")
	p.Section("Synopsis")
	p.Paragraph("gracectl [options] [verb [arguments]]")
	p.Section("Description")
	p.Paragraph(aboutGracectl)
	p.Paragraph("Called as supervisorctl it prints what Supervisor's client of that name prints, with its options and exit codes.")
	p.Section("Options")
	for _, o := range generalOptions {
		p.Item(strings.TrimSpace(o.spelling()), o.brief)
	}
	p.Section("Verbs")
	for _, c := range allCommands() {
		p.Item(strings.TrimSuffix(c.name+" "+c.args, " "), c.brief)
	}
	p.Section("Options of verbs")
	p.Paragraph("They stand before or behind the words of a verb; the first three also before the verb.")
	for _, o := range verbOptions {
		text := o.brief
		if o.verbs != nil {
			text += " (" + strings.Join(o.verbs, ", ") + ")"
		}
		p.Item(strings.TrimSpace(o.spelling()), text)
	}
	p.Section("Selectors")
	for _, s := range [][2]string{
		{"group:process", "one process; the name alone where the group is called the same"}, {"group:*", "every process of a group"}, {"all", "every process"},
		{"web*, *:w_?", "a pattern; without a colon it is compared with names of groups and of processes"},
		{"/regexp/", "a regular expression that is found in group:process"},
	} {
		p.Item(s[0], s[1])
	}
	p.Section("Exit status")
	for _, s := range [][2]string{
		{"0", "done, or nothing to do"}, {"1", "failed"}, {"2", "a wrong command line"}, {"3", "with --exit-code: a process is not running"},
		{"4", "nobody answers, or we may not ask"}, {"10", "an operation was rolled back, or is paused since a process failed"}, {"11", "refused"}, {"12", "--timeout has passed; what has begun goes on"},
		{"13", "the plan is stale"}, {"130", "interrupted; what has begun goes on"},
	} {
		p.Item(s[0], s[1])
	}
	p.Section("See also")
	p.Paragraph("graced(8)")
	p.Check(t, "../..", "gracectl.1")
}
