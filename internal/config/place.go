package config

import "github.com/graced/graced/internal/process"

// Place returns where an option of a program stands, whatever the kind of its section, or else where the section begins; the zero value when
// there is no such section.
func (c *Config) Place(program, option string) process.Origin {
	return c.place(option, "program:"+program, "eventlistener:"+program, "fcgi-program:"+program)
}

// GroupPlace returns the same for an option of a group itself.
func (c *Config) GroupPlace(group, option string) process.Origin {
	return c.place(option, "group:"+group, "program:"+group, "eventlistener:"+group, "fcgi-program:"+group)
}

// Raw returns an option of a program as it is written, without expansion; "" where it is not set.
func (c *Config) Raw(program, option string) string {
	if c.loader == nil {
		return ""
	}
	for _, kind := range []string{"program:", "eventlistener:", "fcgi-program:"} {
		if sec, ok := c.loader.table.index[kind+program]; ok {
			if e, ok := c.loader.table.get(sec, option); ok {
				return e.value
			}
		}
	}
	return ""
}

func (c *Config) place(option string, sections ...string) process.Origin {
	if c.loader == nil { // of no files
		return process.Origin{}
	}
	for _, name := range sections {
		sec, ok := c.loader.table.index[name]
		if !ok {
			continue
		}
		if e, ok := c.loader.table.get(sec, option); ok {
			return process.Origin{File: e.file, Line: e.line}
		}
		return process.Origin{File: sec.file, Line: sec.line}
	}
	return process.Origin{}
}
