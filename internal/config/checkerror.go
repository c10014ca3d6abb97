package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// fromError makes a finding of an error of Load: the same fact in words for humans, with the place of the piece at fault.
func (c *checker) fromError(e *Error) Finding {
	f := Finding{Severity: SeverityError, Code: e.Code, Section: e.Section, Key: e.Key, Place: Place{File: e.File, Line: e.Line, Label: e.Hint}}
	f.Title = strings.ReplaceAll(strings.TrimRight(cmp.Or(e.Cause, e.Text), "\n "), "\n", " ")
	en := c.entryOf(e.Section, e.Key, e.File, e.Line)
	if e.Key == "" || e.Col == 0 && e.Code != NoAccount {
		en = nil
	}
	if en == nil {
		c.aboutLine(&f, e)
		return f
	}
	f.Place = c.value(en)
	f.Label = e.Hint
	switch e.Code {
	case BadChoice, BadValue, BadUmask, BadMode:
		if e.Hint == "" {
			f.Label = "wanted: " + c.typeOf(e)
		}
		if e.Key == "socket" || e.Key == "listen" {
			break // more than its form can be wrong with it
		}
		if value, ok := parseable(en.value); ok && !en.secret() {
			f.Title = shown(value) + " is not a value of " + e.Key
		}
		if e.Key == "events" || e.Key == "quirks" {
			f.Title = e.Text
		}
		f.improve(en)
	case NoAccount:
		f.Title = shown(en.value) + " is no user of this machine"
		if e.Key != "user" {
			f.Title = shown(en.value) + " names no user, or no group, of this machine"
		}
		f.improve(en)
	case BadQuoting:
		switch {
		case e.Key != "environment":
			f.Title = "a quote of " + e.Key + " never closes"
		case strings.Contains(e.Text, "No closing quotation"):
			f.Title = "a quote in the environment never closes"
		default:
			f.Title = "the environment is not a list of KEY=value"
		}
	case BadExpansion:
		c.describeExpansion(&f, e, en)
	case NameTemplate:
		c.describeTemplate(&f, en)
		f.Fix = c.fixName(en)
	case BadLogPath:
		if value, ok := parseable(en.value); ok {
			f.Title = "the directory of " + shown(value) + " does not exist"
		}
		f.improve(en)
	case BadName:
		describeName(&f)
	case NotBuiltIn:
		f.Title = shown(en.value) + " is not built in"
		if _, names, ok := strings.Cut(e.Text, " are "); ok {
			f.Notes = []string{"built in: " + names}
		}
	case ListenerPipe:
		f.Title = "redirect_stderr does not go with an event listener, whose standard output speaks to the daemon"
	case DependencyCycle:
		c.describeCycle(&f)
	case UnknownDependency:
		if words := strings.Fields(strings.ReplaceAll(f.Title, ",", " ")); strings.Contains(f.Title, "unknown program") {
			f.Place = c.word(en, words[len(words)-1])
		} else {
			f.Place = c.word(en, words[2])
		}
		f.Label = e.Hint
	case UnknownMember, UnknownEvent:
		word := e.Text[strings.LastIndexByte(e.Text, ' ')+1:]
		for _, item := range parseList(en.value) {
			if item != "" && (e.Code == UnknownMember && strings.Contains(e.Text, item) && strings.HasSuffix(e.Text, " "+item) ||
				e.Code == UnknownEvent && strings.Contains(e.Text, " "+strings.ToUpper(item)+" ")) {
				word = item
			}
		}
		f.Place = c.word(en, word)
		f.Label = e.Hint
	}
	if e.Code == UnknownMember || e.Code == UnknownDependency {
		for _, item := range parseList(en.value) {
			if words := strings.FieldsFunc(item, func(r rune) bool { return r == ';' || isSpace(r) }); len(words) > 1 && strings.HasSuffix(e.Text, " "+item) {
				f.Place, f.Label = c.word(en, item), "write commas between the names: "+strings.Join(words, ",")
			}
		}
	}
	return f
}

// aboutLine places a finding that is about a section, a line or a file.
func (c *checker) aboutLine(f *Finding, e *Error) {
	switch e.Code {
	case NotALine, KeyFirst:
		text := c.report.Line(e.File, e.Line)
		trimmed := strip(text)
		f.Col = utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeftFunc(text, isSpace)) + 1
		f.EndCol = f.Col + utf8.RuneCountInString(trimmed)
		f.Title = "this line is neither key=value nor [section]"
		if e.Code == KeyFirst {
			f.Title = "this line comes before any [section]"
		}
	case NoFile:
	case NoDaemon:
		f.Title = "there is no section [supervisord]"
	case NotUTF8:
		f.Title = "the file is not UTF-8: " + f.Title
		if before, _, found := strings.Cut(c.report.Line(e.File, e.Line), "\ufffd"); found {
			f.Col = utf8.RuneCountInString(before) + 1
			f.EndCol = f.Col + 1
		} else {
			f.Line = 0
		}
	default:
		f.Place = c.header(e.File, e.Line, false)
		switch e.Code {
		case Missing:
			f.Title = "[" + e.Section + "] has no " + e.Key
		case HalfLogin:
			have, lack := "username", "password"
			if sec := c.table.index[e.Section]; sec != nil {
				if _, ok := c.table.get(sec, have); !ok {
					have, lack = lack, have
				}
			}
			f.Title = "[" + e.Section + "] has a " + have + " and no " + lack
		case BadName:
			describeName(f)
		}
	}
	f.Label = e.Hint
	if header := unclosed(c.report.Line(e.File, e.Line)); header != "" && (e.Code == NotALine || e.Code == KeyFirst) {
		f.Label = "the bracket does not close: write " + header
	}
}

// describeName says which character a name cannot have.
func describeName(f *Finding) {
	if name, char, ok := strings.Cut(strings.TrimPrefix(f.Title, "Invalid name: "), " because of character: "); ok {
		f.Title = name + " cannot be a name, it has a " + char
	}
}

// typeOf returns what a value of an option looks like.
func (c *checker) typeOf(e *Error) string {
	kind, _ := kindOf(e.Section)
	for _, o := range Options {
		if o.Name == e.Key && o.In(kind.title()) {
			return o.Type
		}
	}
	return typeText
}

// parseable returns a value as texts show it; false if what was refused is not what stands there, because names were replaced in it.
func parseable(value string) (string, bool) {
	if strings.Contains(value, "%") {
		return "", false
	}
	return value, true
}

// describeExpansion says which names are known where one cannot be replaced. Variables are told by their number alone: there are many, and
// some names say more than they should.
func (c *checker) describeExpansion(f *Finding, e *Error, en *entry) {
	if e.expand.name == "" || en.secret() {
		f.Title = "a percent sign in " + e.Key + " does not start a %(name)s"
		f.Label = e.Hint
		if en.secret() {
			f.Label = percentHint
		} else if _, cause, ok := strings.Cut(e.expand.cause, ": "); ok {
			f.Notes = []string{"it is read as a format: " + cause}
			if missing := without(en.value); missing != "" {
				f.Label = missing
			}
		}
		return
	}
	name := "%(" + e.expand.name + ")"
	f.Place = c.word(en, name)
	if i := strings.Index(en.value, name+"s"); i >= 0 {
		f.Place = c.span(en, i, len(name)+1)
	}
	f.Title = name + "s cannot be expanded"
	known := slices.DeleteFunc(slices.Clone(e.expand.known), func(n string) bool { return strings.HasPrefix(n, "ENV_") })
	f.Label = "known here: " + strings.Join(append(known, "ENV_*"), " ")
	f.Notes = []string{"environment variables: %(ENV_NAME)s; " + e.Hint}
}

// describeTemplate says how processes come to have one name.
func (c *checker) describeTemplate(f *Finding, en *entry) {
	sec := c.table.index[f.Section]
	count, ok := c.table.get(sec, "numprocs")
	if !ok {
		return
	}
	_, title, _ := strings.Cut(f.Section, ":")
	number := shown(count.value)
	if n, err := ParseInt(count.value); err == nil {
		number = fmt.Sprint(n)
	}
	f.Title = "process names collide: numprocs=" + strings.Trim(number, `"`) + ", but process_name lacks %(process_num)s"
	f.Notes = []string{"try: process_name=%(program_name)s_%(process_num)02d"}
	f.Place = c.whole(en)
	if f.Key == "process_name" {
		f.Label = "all would have one name"
		if en.value == "%(program_name)s" {
			f.Label = "all would be called " + shown(strip(title))
		}
		related := c.whole(count)
		related.Label = number + " processes"
		f.Related = []Place{related}
		return
	}
	f.Label = "all would be called " + shown(strip(title))
}
