package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// sectionKind is a kind of section, known by its name or by how its name starts.
type sectionKind struct {
	name   string // with the colon that ends it, where it has one
	prefix bool
	open   bool // every option is welcome there
	keys   []string
}

func (k sectionKind) covers(name string) bool {
	return name == k.name || k.prefix && strings.HasPrefix(name, k.name)
}

// title returns the kind as in SectionKinds.
func (k sectionKind) title() string { return strings.TrimSuffix(k.name, ":") }

var knownSections = buildKnownSections()

func buildKnownSections() []sectionKind {
	var out []sectionKind
	for _, kind := range SectionKinds {
		k := sectionKind{name: kind, keys: optionNames(kind)}
		switch kind {
		case "program", "eventlistener", "fcgi-program", "group", "socket":
			k.name, k.prefix = kind+":", true
		case "rpcinterface", "ctlplugin":
			k.name, k.prefix, k.open = kind+":", true, true
		case "unix_http_server", "inet_http_server": // every section that starts so is a server (quirk A17)
			k.prefix = true
		}
		out = append(out, k)
	}
	return out
}

// kindOf returns the kind of a section; false if nothing reads it.
func kindOf(name string) (sectionKind, bool) {
	i := slices.IndexFunc(knownSections, func(k sectionKind) bool { return k.covers(name) })
	if i < 0 {
		return sectionKind{}, false
	}
	return knownSections[i], true
}

// unknown is a section, or an option of one, that nothing reads. near is what was meant, perhaps.
type unknown struct {
	sec  *section
	e    *entry // nil: the section itself
	near string
}

// findUnknown returns the sections and options that nothing reads, in the order of the files.
func (l *loader) findUnknown() []unknown {
	var out []unknown
	for _, sec := range l.table.sections {
		kind, ok := kindOf(sec.name)
		if !ok {
			word, _, _ := strings.Cut(sec.name, ":")
			out = append(out, unknown{sec: sec, near: nearest(lower(strip(word)), SectionKinds)})
			continue
		}
		if kind.open {
			continue
		}
		for _, key := range sec.order {
			if e := sec.own[key]; !e.inherited && !slices.Contains(kind.keys, key) {
				out = append(out, unknown{sec, e, nearest(key, kind.keys)})
			}
		}
	}
	return out
}

// noteUnknown notes sections and options that nothing reads. Supervisor passes over them in silence, so they are never more than notes.
func (l *loader) noteUnknown() {
	for _, u := range l.findUnknown() {
		suggestion := ""
		if u.near != "" {
			suggestion = "; did you mean " + u.near + "?"
		}
		if u.e == nil {
			l.warn(UnknownSection, LevelNote, process.Origin{File: u.sec.file, Line: u.sec.line}, "unknown section ["+u.sec.name+"] is ignored"+suggestion)
			continue
		}
		l.warn(UnknownKey, LevelNote, process.Origin{File: u.e.file, Line: u.e.line}, "unknown option "+u.e.key+" in ["+u.sec.name+"] is ignored"+suggestion)
	}
}

// refuseUnknown returns an error about the first section or option that nothing reads, nil without one. Whether it says an error or a warning, its
// number is the same.
func (l *loader) refuseUnknown() error {
	list := l.findUnknown()
	if len(list) == 0 {
		return nil
	}
	u := list[0]
	err := &Error{File: u.sec.file, Line: u.sec.line, Section: u.sec.name, Text: "unknown section [" + u.sec.name + "]", Code: "E" + UnknownSection[1:]}
	if u.e != nil {
		err = u.e.fail(u.sec, errors.New("unknown option "+u.e.key+" in ["+u.sec.name+"]"))
		err.Code = "E" + UnknownKey[1:]
	}
	err.Hint = "strict_config=true of [graced] refuses what nothing reads"
	if u.near != "" {
		err.Hint = "did you mean " + u.near + "? " + err.Hint
	}
	return err
}
