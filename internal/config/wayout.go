package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	shortSize = `(?i)^([0-9]+) *([kmg])(?:ib)?$`
	noFormat  = `%\(([A-Za-z_][A-Za-z0-9_]*)\)([0-9]*)(?:$|[^0-9A-Za-z#+. -])`
)

// wayOut returns a better way out of a value that was refused than its hint, where what is wrong with it is easily seen; "" if it is not. note is
// what is to be said besides.
func wayOut(key, value, hint string) (better, note string) {
	last := len(value) - 1
	switch {
	case value == "":
		return "remove the line, or " + hint, ""
	case last > 1 && (value[0] == '"' || value[0] == '\'') && value[last] == value[0]:
		return "remove the quotes, which are part of the value: " + key + "=" + value[1:last], ""
	case key == "user" && strings.Contains(value, ":"):
		return "write the user alone; the group is the one that the user has", ""
	case key == "stopsignal" && strings.Contains(value, ","):
		return "write one signal; stop_steps=TERM 10s, KILL takes several", ""
	case key == "startsecs" || key == "stopwaitsecs":
		if d, err := duration(value); err == nil && d%time.Second == 0 {
			return "write the seconds alone: " + key + "=" + strconv.Itoa(int(d/time.Second)), ""
		}
	case strings.HasSuffix(key, "_maxbytes"):
		if m := regexp.MustCompile(shortSize).FindStringSubmatch(value); m != nil {
			return "write " + key + "=" + m[1] + strings.ToUpper(m[2]) + "B", ""
		}
	}
	if before, _, found := strings.Cut(value, ";"); found && before != "" && !strings.ContainsAny(before, " \t,") {
		return "", "if a comment begins at the ; write a blank before it"
	}
	return "", ""
}

// improve gives a finding about a refused value its way out.
func (f *Finding) improve(en *entry) {
	if en.secret() {
		return
	}
	if better, note := wayOut(en.key, en.value, f.Label); better != "" {
		f.Label = mask(better)
	} else if note != "" {
		f.Notes = append(f.Notes, note)
	}
}

// unclosed returns the header that a line was meant to be, if only its bracket is missing; "" if it was not.
func unclosed(line string) string {
	text := strip(line)
	if !strings.HasPrefix(text, "[") || strings.ContainsAny(text, "]=") {
		return ""
	}
	if _, known := kindOf(strings.TrimPrefix(text, "[")); !known {
		return ""
	}
	return text + "]"
}

// without returns what is missing behind a %(name); "" if nothing is.
func without(value string) string {
	m := regexp.MustCompile(noFormat).FindStringSubmatch(value + "\n")
	if m == nil {
		return ""
	}
	kind := "s"
	if m[2] != "" {
		kind = "d"
	}
	return "write %(" + m[1] + ")" + m[2] + kind + ": the " + kind + " is missing; %% is a literal percent sign"
}

// belongs returns the kinds of sections that have an option, for humans; "" if none has.
func belongs(key string) string {
	var in []string
	for _, o := range Options {
		if o.Name != key {
			continue
		}
		for _, s := range o.Sections {
			switch s {
			case "program", "group", "socket":
				s += ":x"
			case "eventlistener", "fcgi-program":
				if slices.Contains(o.Sections, "program") {
					continue
				}
				s += ":x"
			}
			if s = "[" + s + "]"; !slices.Contains(in, s) {
				in = append(in, s)
			}
		}
	}
	return strings.Join(in, " and ")
}
