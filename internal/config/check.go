package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity says whether a finding keeps a configuration from being loaded.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // Load refuses the configuration, or no daemon can start with it
	SeverityWarning Severity = "warning" // it loads, and means something else than it seems to
)

// Place is a piece of one line of a file.
type Place struct {
	File   string // as it was named
	Line   int    // 1-based; 0 = the whole file
	Col    int    // 1-based, in characters; 0 = the whole line
	EndCol int    // behind the last character; Col = nothing stands there
	Label  string // what is to be said about it; "" = nothing
}

// Finding is one remark about a configuration. Passwords and secrets are in none of its texts.
type Finding struct {
	Severity Severity
	Code     Code
	Place
	Section string // e.g. "program:x"; "" outside of sections
	Key     string // "" = the section as a whole
	Title   string // one line
	Notes   []string
	Related []Place
	Fix     *Edit // nil = it takes a human

	atStart bool // an error that Load does not see: the daemon cannot start with what it loaded
}

// Report is everything that Check found.
type Report struct {
	Path     string // the main file, as it was named
	Files    int    // how many were read
	Programs int    // sections that define processes
	Findings []Finding

	lines  map[string][]string
	hidden map[spot2]int
}

// spot2 is a line of a file.
type spot2 struct {
	file string
	line int
}

// Count returns how many findings are errors and how many warnings.
func (r *Report) Count() (errors, warnings int) {
	for _, f := range r.Findings {
		if f.Severity == SeverityError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// Strict makes errors of unknown sections and options.
func (r *Report) Strict() {
	for i, f := range r.Findings {
		if f.Code == UnknownKey || f.Code == UnknownSection {
			r.Findings[i].Severity, r.Findings[i].Code = SeverityError, "E"+f.Code[1:]
		}
	}
}

// Line returns a line of a file that was read, 1-based and without its end; what is secret in it is masked, and so is what a terminal would
// obey. "" if there is none.
func (r *Report) Line(file string, line int) string {
	lines := r.lines[file]
	if line < 1 || line > len(lines) {
		return ""
	}
	text := lines[line-1]
	if col, ok := r.hidden[spot2{file, line}]; ok {
		runes := []rune(text)
		return clean(string(runes[:min(max(col-1, 0), len(runes))])) + hiddenText
	}
	return clean(mask(text))
}

// Check reads the configuration of the daemon as Load does, goes on behind every error, and looks at what Load does not care for. It
// finds an error exactly where Load returns one, and where a server's socket can never be opened. Findings are sorted by file, line and column.
func Check(m Machine, path string) Report {
	c := newChecker(m, path)
	c.load()
	c.findings()
	return *c.report
}

// newChecker returns a checker that has not read anything yet.
func newChecker(m Machine, path string) *checker {
	c := &checker{texts: map[string]string{}, report: &Report{Path: path, lines: map[string][]string{}, hidden: map[spot2]int{}}, stats: map[string]fileFact{}, meant: map[string]bool{}}
	readFile := m.ReadFile
	m.ReadFile = func(name string) ([]byte, error) {
		data, err := readFile(name)
		if err == nil {
			c.texts[name] = readable(data)
		}
		return data, err
	}
	c.loader = emptyLoader(m, path)
	once := map[string]bool{}
	c.collect = func(e *Error) {
		// One error for an option of a section: what follows from it is no news.
		id := e.Section + "\x00" + e.Key
		if e.Key == "" {
			id += "\x00" + e.File + "\x00" + e.Text + fmt.Sprint(e.Line)
		}
		if !once[id] {
			once[id] = true
			c.errors = append(c.errors, e)
		}
	}
	c.table.collect = c.collect
	return c
}

// checker is a loader that keeps everything it comes across.
type checker struct {
	*loader
	report *Report
	texts  map[string]string // of the files, by the names they were opened with
	errors []*Error
	meant  map[string]bool // names that an edit has made of others
	stats  map[string]fileFact

	config    Config
	client    *CtlConfig // nil = there is no [supervisorctl]
	ctlErrors []*Error   // of what only clients read
	places    map[spot2]located
	headers   map[spot2]*section
}

// located is an entry and where it stands.
type located struct {
	sec *section
	e   *entry
}

// load goes the way of Load, past every error.
func (c *checker) load() {
	if err := c.readMain(); err != nil {
		c.collect(err)
		return
	}
	c.report.Files = 1
	if err := c.include(); err != nil {
		c.collect(err)
	}
	c.report.Files += len(c.included)
	// With a collector none of them returns an error.
	sec, ok := c.table.index["supervisord"]
	if ok {
		c.config.Supervisord, _ = c.supervisord(sec, nil)
	} else {
		c.collect(noDaemonSection(c.named))
	}
	c.config.RPCInterfaces, _ = c.plugins("rpcinterface:", rpcFactoryKey, rpcFactories)
	c.config.Graced, _ = c.graced()
	_ = c.namedSockets()
	c.config.Groups, _ = c.groups(c.config.Graced.Quirks.BootConfigOrder)
	_ = c.dependencies(c.config.Groups)
	c.config.Servers, _ = c.servers()
	if ok {
		if err := c.user(&c.config.Supervisord); err != nil {
			c.collect(err.(*Error)) //nolint:errorlint // it is one
		}
	}
	kept := c.errors
	c.errors = nil
	if sec, ok := c.table.index["supervisorctl"]; ok {
		c.client, _ = c.ctl(sec)
	}
	c.errors, c.ctlErrors = kept, c.errors
}

// index makes what leads from lines to texts, entries and sections.
func (c *checker) index() {
	for name, text := range c.texts {
		if name == join(c.m.Dir, c.named) {
			name = c.named
		}
		c.report.lines[name] = strings.Split(text, "\n")
	}
	c.locate()
}

// findings makes the report.
func (c *checker) findings() {
	c.index()
	for _, e := range c.errors {
		c.add(c.fromError(e))
	}
	for _, e := range c.ctlErrors {
		if e.File != c.named {
			continue // clients read the main file alone
		}
		f := c.fromError(e)
		f.Severity, f.Code = SeverityWarning, "W"+f.Code[1:]
		f.Notes = append(f.Notes, "the daemon does not read this; gracectl and supervisorctl refuse the file")
		c.add(f)
	}
	for _, w := range c.warnings {
		if w.Level != LevelInfo {
			c.add(c.fromWarning(w))
		}
	}
	for _, u := range c.findUnknown() {
		if u.e == nil || u.e.key != "" { // a line without a key is an error already
			c.add(c.fromUnknown(u))
		}
	}
	c.lookFurther()
	if c.config.Graced.StrictConfig {
		c.report.Strict()
	}
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Title, b.Title))
	})
	// What is wrong with an option of [DEFAULT] is wrong in every section.
	c.report.Findings = slices.CompactFunc(c.report.Findings, func(a, b Finding) bool {
		return a.Code == b.Code && a.Title == b.Title && a.Place == b.Place
	})
}

func (c *checker) add(f Finding) {
	f.Title, f.Label = clean(f.Title), clean(f.Label)
	for i, n := range f.Notes {
		f.Notes[i] = clean(n)
	}
	c.report.Findings = append(c.report.Findings, f)
}

// locate makes the index from lines to entries and sections, and hides lines that hold secrets.
func (c *checker) locate() {
	c.places, c.headers = map[spot2]located{}, map[spot2]*section{}
	for _, sec := range append(slices.Clone(c.table.sections), c.table.defaults) {
		c.headers[spot2{sec.file, sec.line}] = sec
		for _, key := range sec.order {
			for e := sec.own[key]; e != nil; e = e.older {
				if e.inherited {
					continue
				}
				c.places[spot2{e.file, e.line}] = located{sec, e}
				if !e.secret() {
					continue
				}
				c.report.hidden[spot2{e.file, e.line}] = e.col
				for _, at := range e.more {
					c.report.hidden[spot2{e.file, at.line}] = at.col
				}
			}
		}
		if isProcessKind(sec.name) {
			c.report.Programs++
		}
	}
}

func isProcessKind(name string) bool {
	return strings.HasPrefix(name, "program:") || strings.HasPrefix(name, "eventlistener:") || strings.HasPrefix(name, "fcgi-program:")
}

// span returns the place of a piece of a value: its line is where the piece starts, and it ends at that line's end at the latest.
func (c *checker) span(e *entry, offset, length int) Place {
	head := e.value[:offset]
	at := spot{e.line, e.col}
	if n := strings.Count(head, "\n"); n > 0 {
		at = e.more[n-1]
		head = head[strings.LastIndexByte(head, '\n')+1:]
	}
	piece, _, _ := strings.Cut(e.value[offset:offset+length], "\n")
	p := Place{File: e.file, Line: at.line, Col: at.col + utf8.RuneCountInString(head)}
	p.EndCol = p.Col + utf8.RuneCountInString(piece)
	if _, hidden := c.report.hidden[spot2{e.file, at.line}]; hidden {
		p.Col = at.col
		p.EndCol = at.col + len(hiddenText)
	}
	return p
}

// value returns the place of a whole value.
func (c *checker) value(e *entry) Place { return c.span(e, 0, len(e.value)) }

// word returns the place of the first appearance of a word in a value, or of the whole value.
func (c *checker) word(e *entry, word string) Place {
	if i := strings.Index(e.value, word); i >= 0 && word != "" {
		return c.span(e, i, len(word))
	}
	return c.value(e)
}

// key returns the place of the name of an option.
func (c *checker) key(e *entry) Place {
	return Place{File: e.file, Line: e.line, Col: e.keyCol, EndCol: e.keyCol + utf8.RuneCountInString(e.key)}
}

// whole returns the place of an option from its name to the end of its first line.
func (c *checker) whole(e *entry) Place {
	p := c.value(e)
	p.Line, p.Col = e.line, e.keyCol
	first, _, _ := strings.Cut(e.value, "\n")
	p.EndCol = max(p.EndCol, e.col)
	if !e.secret() {
		p.EndCol = e.col + utf8.RuneCountInString(first)
	}
	return p
}

// header returns the place of the name in the header of a section, or of its part before the colon.
func (c *checker) header(file string, line int, part bool) Place {
	p := Place{File: file, Line: line}
	lines := c.report.lines[file]
	if line < 1 || line > len(lines) {
		return p
	}
	text := lines[line-1]
	start, end := strings.IndexByte(text, '['), strings.LastIndexByte(text[:commentStart(text)], ']')
	if start < 0 || end < start {
		return p
	}
	name := text[start+1 : end]
	if part {
		name, _, _ = strings.Cut(name, ":")
	}
	p.Col = utf8.RuneCountInString(text[:start]) + 2
	p.EndCol = p.Col + utf8.RuneCountInString(name)
	return p
}

// entryOf returns the entry that an error or a warning is about; nil without one.
func (c *checker) entryOf(section, key, file string, line int) *entry {
	at, ok := c.places[spot2{file, line}]
	if !ok || key != "" && at.e.key != key || section != "" && at.sec != c.table.defaults && at.sec.name != section {
		return nil
	}
	return at.e
}

// fromUnknown reports a section or an option that nothing reads.
func (c *checker) fromUnknown(u unknown) Finding {
	f := Finding{Severity: SeverityWarning, Code: UnknownSection, Section: u.sec.name, Title: "unknown section [" + u.sec.name + "]"}
	f.Place = c.header(u.sec.file, u.sec.line, true)
	f.Label = "nothing in this section is used"
	if u.near != "" {
		f.Label = `did you mean "` + u.near + `"? ` + f.Label
	}
	f.Fix = c.fixUnknown(u)
	if u.e == nil {
		return f
	}
	if soundsSecret(u.near) { // pasword=...
		c.report.hidden[spot2{u.e.file, u.e.line}] = u.e.col
	}
	f.Code, f.Key, f.Place = UnknownKey, u.e.key, c.key(u.e)
	f.Title = `unknown option "` + u.e.key + `" in [` + u.sec.name + "]"
	if header := unclosed(u.e.key + ":" + u.e.value); header != "" {
		f.Label = "the bracket does not close: write " + header
		return f
	}
	if u.near == "" {
		f.Label = "Supervisor ignores this silently"
		if in := belongs(u.e.key); in != "" {
			f.Label = "it is an option of " + in + "; Supervisor ignores it here silently"
		}
		return f
	}
	f.Label = `did you mean "` + u.near + `"?`
	note := "Supervisor ignores this silently"
	if _, set := c.table.get(u.sec, u.near); !set {
		kind, _ := kindOf(u.sec.name)
		for _, o := range Options {
			if o.In(kind.title()) && o.Name == u.near && o.Default != "required" && o.Default != "" {
				_, title, _ := strings.Cut(u.sec.name, ":")
				note += "; " + cmp.Or(title, kind.title()) + " runs with " + u.near + "=" + o.Default
			}
		}
	}
	f.Notes = []string{note}
	return f
}

// fromWarning reports what Load warns of.
func (c *checker) fromWarning(w Warning) Finding {
	f := Finding{Severity: SeverityWarning, Code: w.Code, Title: w.Text, Place: Place{File: w.Origin.File, Line: w.Origin.Line}}
	at, ok := c.places[spot2{w.Origin.File, w.Origin.Line}]
	if !ok {
		if sec := c.headers[spot2{w.Origin.File, w.Origin.Line}]; sec != nil {
			f.Section, f.Place = sec.name, c.header(sec.file, sec.line, false)
		}
		return f
	}
	f.Section, f.Key, f.Place = at.sec.name, at.e.key, c.value(at.e)
	switch w.Code {
	case CutQuote:
		c.describeCut(&f, at.e)
	case NoIncludeMatch, UnreadInclude:
		if _, name, ok := strings.Cut(w.Text, `"`); ok {
			name, _, _ = strings.Cut(name, `"`)
			f.Place = c.word(at.e, c.patternFor(at.e.value, name))
			if w.Code == NoIncludeMatch {
				f.Title = "no file matches " + shown(name)
			}
		}
	case LegacyEnviron:
		f.Title = "the environment can only be read by the rules of Supervisor before 4.4"
		f.Label = "quote its values"
	case SkippedToken:
		f.Title = "text after a value of the environment is ignored"
		f.Label = "quote the value, and separate values by commas"
	}
	return f
}

// patternFor returns the word of a list of patterns that an absolute pattern was made of, or that a file was found by.
func (c *checker) patternFor(value, name string) string {
	for _, word := range strings.FieldsFunc(value, isSpace) {
		full := join(dirname(c.m.abspath(c.named)), word)
		if i := strings.LastIndex(word, ")s"); i >= 0 && strings.HasSuffix(name, word[i+2:]) || full == name || match(full, name) {
			return word
		}
	}
	return ""
}

// describeCut says what an inline comment has cut off.
func (c *checker) describeCut(f *Finding, e *entry) {
	values, raws := strings.Split(e.value, "\n"), strings.Split(e.raw, "\n")
	offset := 0
	for i, v := range values {
		if i < len(raws) && raws[i] != v && strings.HasPrefix(raws[i], v) {
			rest := strings.TrimLeftFunc(raws[i][len(v):], isSpace)
			f.Place = c.span(e, offset, len(v))
			f.Title = "the " + e.key + ` ends at " ` + rest[:min(1, len(rest))] + `", the rest is read as a comment`
			f.Col = f.EndCol + utf8.RuneCountInString(raws[i]) - utf8.RuneCountInString(v) - utf8.RuneCountInString(rest)
			f.EndCol = f.Col + utf8.RuneCountInString(rest)
			if e.secret() {
				f.Place = c.value(e)
				return
			}
			f.Label = "dropped; what is left: " + shown(v)
			f.Notes = []string{"a quote that was opened before never closes; write the " + rest[:min(1, len(rest))] + " without a blank before it, or put the command into a script"}
			return
		}
		offset += len(v) + 1
	}
}
