package config

import (
	"strings"
	"unicode/utf8"
)

// Edit is a change of one line that does away with a finding. There is one only where it cannot be wrong: the file could not be loaded, or said
// something that nothing reads, and one letter is missing.
type Edit struct {
	File string // as it was named
	Line int    // 1-based
	Col  int    // 1-based, in characters: where Old stands; 0 = Text is a line of its own below this one
	Old  string // what is replaced; "" = nothing
	Text string
}

// numberedName makes the names of several processes differ.
const numberedName = "%(program_name)s_%(process_num)02d"

// fixName returns the edit that gives processes names of their own. e is the process_name that lacks the number, or the numprocs of a program without
// a process_name.
func (c *checker) fixName(e *entry) *Edit {
	if e.inherited || strings.Contains(e.value, "\n") || c.table.defaults.own[e.key] == e {
		return nil
	}
	at := Edit{File: e.file, Line: e.line, Text: "process_name=" + numberedName}
	if e.key == "process_name" {
		at.Col, at.Text = e.col+utf8.RuneCountInString(e.value), "_%(process_num)02d"
	}
	return &at
}

// fixUnknown returns the edit that corrects the name of an option or a section which is one letter away from another that is not there yet. The
// first of several that are meant to be the same is corrected.
func (c *checker) fixUnknown(u unknown) *Edit {
	if u.near == "" {
		return nil
	}
	var edit Edit
	var meant string
	if u.e != nil {
		meant = u.sec.name + "\x00" + u.near
		if _, set := c.table.get(u.sec, u.near); set || u.e.older != nil {
			return nil
		}
		edit = Edit{File: u.e.file, Line: u.e.line, Col: u.e.keyCol, Old: u.e.key, Text: u.near}
	} else {
		word, rest, named := strings.Cut(u.sec.name, ":")
		meant = u.near
		if named {
			meant += ":" + rest
		}
		_, reads := kindOf(meant)
		if _, there := c.table.index[meant]; there || !reads || len(u.sec.again) > 0 {
			return nil
		}
		at := c.header(u.sec.file, u.sec.line, true)
		edit = Edit{File: at.File, Line: at.Line, Col: at.Col, Old: word, Text: u.near}
	}
	if edit.Col == 0 || !oneOff(edit.Old, edit.Text) || c.meant[meant] {
		return nil
	}
	c.meant[meant] = true
	return &edit
}

// oneOff reports whether two words differ by one letter more, less or other, or by two that have changed places.
func oneOff(a, b string) bool {
	if editDistance(a, b, 2) < 2 {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
