package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/graced/graced/internal/process"
)

// entry is one option as it stands in a file.
type entry struct {
	key       string // lower case
	value     string // without comments; continuation lines joined with \n
	raw       string // value with the text that inline comments took away; "" = nothing was
	file      string
	line      int    // of the key
	keyCol    int    // of the key, 1-based, in characters
	col       int    // of the value, likewise
	more      []spot // where the continuation lines of the value start
	block     int    // which appearance of a section it stands in, counted over all files
	older     *entry // the value that this one replaces; nil = none
	here      string // what %(here)s means in this value; "" = the directory of the main file (contract: config, "[include]")
	inherited bool   // came from [DEFAULT] when its %(here)s was bound

	parts, rawParts []string // while reading: the lines of the value
}

// spot is a place in the file of an entry.
type spot struct{ line, col int } // 1-based; col in characters

// section is one section, merged from all its appearances.
type section struct {
	name  string
	file  string // where it appeared first
	line  int
	again []process.Origin // where it appeared later
	own   map[string]*entry
	order []string // keys of own in order of first appearance
}

func newSection(name, file string, line int) *section {
	return &section{name: name, file: file, line: line, own: map[string]*entry{}}
}

func (s *section) put(e *entry) {
	old, known := s.own[e.key]
	if !known {
		s.order = append(s.order, e.key)
	}
	e.older = old
	s.own[e.key] = e
}

// table is what Python's RawConfigParser holds, as Supervisor sets it up: not strict, inline comments by ; and #, no interpolation
// (contract: config, "INI dialect"). Reading several files into one table merges them; the last word wins.
type table struct {
	sections []*section // in order of first appearance, without DEFAULT
	index    map[string]*section
	defaults *section
	unbound  []*entry // what was read since bindHere was called last
	blocks   int      // appearances of sections so far

	// collect takes every error, and reading goes on behind it. nil: the first one ends the reading.
	collect func(*Error)
}

func newTable() *table {
	return &table{index: map[string]*section{}, defaults: newSection("DEFAULT", "", 0)}
}

// get returns the entry of a key in a section, own or from [DEFAULT].
func (t *table) get(s *section, key string) (*entry, bool) {
	if e, ok := s.own[key]; ok {
		return e, true
	}
	e, ok := t.defaults.own[key]
	return e, ok
}

// keys returns the keys of a section: its own and those from [DEFAULT].
func (t *table) keys(s *section) []string {
	return append(slices.Clone(s.order), t.defaults.order...)
}

// bindHere fixes the meaning of %(here)s in every value that has it and is not bound yet. Supervisor replaces the text, in whatever a
// section sees, [DEFAULT] included; binding instead leaves %%(here)s alone (quirk A7).
func (t *table) bindHere(here string) {
	const name = "%(here)s"
	unbound := t.unbound
	t.unbound = nil
	if !slices.ContainsFunc(t.defaults.order, func(key string) bool { return strings.Contains(t.defaults.own[key].value, name) }) {
		// Without such a default, old entries are bound already: a thousand files need not be gone through a thousand times.
		for _, e := range unbound {
			if e.here == "" && strings.Contains(e.value, name) {
				e.here = here
			}
		}
		return
	}
	for _, s := range t.sections {
		for _, key := range t.defaults.order {
			e := t.defaults.own[key]
			if _, ok := s.own[key]; !ok && strings.Contains(e.value, name) {
				inherited := *e
				inherited.inherited = true
				s.put(&inherited)
			}
		}
		for _, e := range s.own {
			if e.here == "" && strings.Contains(e.value, name) {
				e.here = here
			}
		}
	}
}

// read parses one file into the table. data is the file's content; file is its name as error texts show it.
func (t *table) read(file string, data []byte) *Error {
	text, badLine, decodeErr := decode(data)
	if decodeErr != nil && t.collect != nil {
		t.collect(notUTF8(file, badLine, decodeErr))
		text, decodeErr = readable(data), nil
	}
	r := iniReader{table: t, file: file}
	for line := range strings.Lines(text) {
		if decodeErr != nil && !strings.HasSuffix(line, "\n") {
			break // the undecodable byte comes before the end of this line
		}
		r.lineno++
		if err := r.readLine(line); err != nil {
			return err
		}
	}
	if decodeErr != nil {
		return notUTF8(file, badLine, decodeErr)
	}
	r.finish()
	return r.err
}

func notUTF8(file string, line int, err error) *Error {
	return &Error{File: file, Line: line, Text: err.Error(), Hint: "save the file as UTF-8", Code: NotUTF8}
}

type iniReader struct {
	*table
	file    string
	lineno  int
	cur     *section
	option  *entry // which a continuation line would continue
	indent  int    // of the last header or key
	entries []*entry
	early   bool   // a line before any section was found
	err     *Error // the collected bad lines
}

func (r *iniReader) readLine(line string) *Error {
	if r.collect != nil && r.lineno == 1 && strings.HasPrefix(line, bom) {
		_ = r.tooEarly(line) // it was collected
		line = line[len(bom):]
	}
	cut := commentStart(line)
	value := strip(line[:cut])
	if value == "" {
		// An empty line belongs to the value before it; a comment does not.
		if cut == len(line) && r.option != nil {
			r.option.add("", "", spot{r.lineno, 1})
		}
		return nil
	}
	indent := utf8.RuneCountInString(line) - utf8.RuneCountInString(strings.TrimLeftFunc(line, isSpace))
	if r.option != nil && indent > r.indent {
		r.option.add(value, strip(line), spot{r.lineno, indent + 1})
		return nil
	}
	r.indent = indent
	if end := strings.LastIndexByte(value, ']'); value[0] == '[' && end > 1 {
		r.openSection(value[1:end])
		return nil
	}
	if r.cur == nil {
		return r.tooEarly(line)
	}
	delim := strings.IndexAny(value, "=:")
	if delim < 0 {
		r.badLine(line)
		return nil
	}
	if delim == 0 {
		r.badLine(line)
	}
	e := &entry{key: lower(strings.TrimRightFunc(value[:delim], isSpace)), file: r.file, line: r.lineno, keyCol: indent + 1, block: r.blocks}
	rest := value[delim+1:]
	blank := utf8.RuneCountInString(rest) - utf8.RuneCountInString(strings.TrimLeftFunc(rest, isSpace))
	e.col = indent + utf8.RuneCountInString(value[:delim]) + 1 + blank + 1
	full := strip(line)
	e.add(strip(rest), strip(full[delim+1:]), spot{})
	r.cur.put(e)
	r.entries = append(r.entries, e)
	// A key without a name takes no continuation lines.
	r.option = e
	if e.key == "" {
		r.option = nil
	}
	return nil
}

func (r *iniReader) openSection(name string) {
	r.option = nil // so a section cannot start with a continuation line
	r.blocks++
	switch s, known := r.index[name]; {
	case known:
		r.cur = s
		s.again = append(s.again, process.Origin{File: r.file, Line: r.lineno})
	case name == "DEFAULT":
		r.cur = r.defaults
	default:
		r.cur = newSection(name, r.file, r.lineno)
		r.index[name] = r.cur
		r.sections = append(r.sections, r.cur)
	}
}

// tooEarly refuses a line that comes before any section, or with a collector the first one of a file.
func (r *iniReader) tooEarly(line string) *Error {
	err := &Error{
		File: r.file, Line: r.lineno,
		Text:  fmt.Sprintf("File contains no section headers.\nfile: %s, line: %d\n%s", repr(r.file), r.lineno, repr(line)),
		Cause: "this line comes before any [section]: " + repr(strip(line)), Hint: headerHint(line), Code: KeyFirst,
	}
	if r.collect == nil {
		return err
	}
	if !r.early {
		r.early = true
		r.collect(err)
	}
	return nil
}

// badLine notes a line that is neither key nor header; the rest of the file is still read, so that the error lists all of them.
func (r *iniReader) badLine(line string) {
	err := &Error{
		File: r.file, Line: r.lineno, Text: "Source contains parsing errors: " + repr(r.file),
		Value: strip(line), Cause: "this line is neither key=value nor [section]: " + repr(strip(line)),
		Hint: "write key=value, or indent the line to continue the value above it", Code: NotALine,
	}
	if r.cur != nil {
		err.Section = r.cur.name
	}
	if r.collect != nil {
		r.collect(err)
		return
	}
	if r.err == nil {
		r.err = err
	}
	r.err.Text += fmt.Sprintf("\n\t[line %2d]: %s", r.lineno, repr(line))
}

// finish joins the lines of every value read.
func (r *iniReader) finish() {
	for _, e := range r.entries {
		e.value = strings.TrimRightFunc(strings.Join(e.parts, "\n"), isSpace)
		if raw := strings.TrimRightFunc(strings.Join(e.rawParts, "\n"), isSpace); raw != e.value {
			e.raw = raw
		}
		e.parts, e.rawParts = nil, nil
	}
	r.unbound = append(r.unbound, r.entries...)
}

// add adds a line to the value; at is where it starts, zero for the line of the key.
func (e *entry) add(part, raw string, at spot) {
	if at.line > 0 {
		e.more = append(e.more, at)
	}
	e.parts = append(e.parts, part)
	e.rawParts = append(e.rawParts, raw)
}

// commentStart returns where the comment of a line starts, or its length without one.
//
// compat: the n-th ; and the n-th # of a line are looked at together, and the search ends with the first n at which one of them
// follows a blank. So in "a;b ;c #d" the comment is #d (Python's configparser).
func commentStart(line string) int {
	if first := strip(line); strings.HasPrefix(first, "#") || strings.HasPrefix(first, ";") {
		return 0
	}
	semicolon, hash := -1, -1
	for {
		semicolon, hash = nextIndex(line, ';', semicolon), nextIndex(line, '#', hash)
		start := len(line)
		for _, i := range []int{semicolon, hash} {
			if i < len(line) && (i == 0 || spaceBefore(line, i)) {
				start = min(start, i)
			}
		}
		if start < len(line) || semicolon == len(line) && hash == len(line) {
			return start
		}
	}
}

// nextIndex returns the place of the next c after place i, or the length of line.
func nextIndex(line string, c byte, i int) int {
	if i >= len(line) {
		return i
	}
	if n := strings.IndexByte(line[i+1:], c); n >= 0 {
		return i + 1 + n
	}
	return len(line)
}

func spaceBefore(line string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(line[:i])
	return isSpace(r)
}

// bom is the byte order mark, which is no character of a section's header.
const bom = "\ufeff"

func headerHint(line string) string {
	if strings.HasPrefix(line, bom) {
		return "the file starts with a byte order mark: save it without one"
	}
	return "start the file with a section such as [supervisord]"
}
