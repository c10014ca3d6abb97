package config

import "slices"

// Setting is a place where an option is set.
type Setting struct {
	Place          // of the value
	Section string // e.g. "program:x"
	Value   string // as written, without line ends; a secret is masked
}

// Settings returns where the configuration at path sets an option, in the order of the files, and how many of the sections that have the option
// do without. Errors in the files do not matter; the error is an *Error if the main file cannot be read.
func Settings(m Machine, path string, o Option) (set []Setting, unset int, err error) {
	c := newChecker(m, path)
	if err := c.readMain(); err != nil {
		return nil, 0, err
	}
	if err := c.include(); err != nil {
		return nil, 0, err
	}
	c.index()
	for _, sec := range c.table.sections {
		kind, ok := kindOf(sec.name)
		if !ok || !slices.Contains(o.Sections, kind.title()) {
			continue
		}
		e, ok := c.table.get(sec, o.Name)
		if !ok {
			unset++
			continue
		}
		s := Setting{Place: c.value(e), Section: sec.name, Value: hiddenText}
		if !e.secret() {
			s.Value = clean(mask(e.value))
		}
		set = append(set, s)
	}
	return set, unset, nil
}
