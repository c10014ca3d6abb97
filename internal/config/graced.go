package config

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// Graced holds the options of our own section [graced], which Supervisor ignores.
type Graced struct {
	StopAscending  bool   // stop_order=ascending: stops go from low to high priority, as Supervisor's do (quirk C5)
	DefaultSIGPIPE bool   // sigpipe=default: children do not inherit an ignored SIGPIPE (quirk C9)
	StateDir       string // statedir: where overrides, marks and generations are kept, absolute; "" = the default; none
	MinimalUpdate  bool   // update=minimal: supervisorctl update restarts only what has to
	Cgroup         string // cgroup=: the directory below which processes get control groups; "" = the daemon's own group, "off" = none get any
	StrictConfig   bool   // strict_config: sections and options that nothing reads are errors
	Quirks         Quirks // the reference's behaviours to keep
}

// Quirks are behaviours of the reference that are not kept unless asked for.
type Quirks struct {
	KeepBackoff          bool // keep_backoff: the retry counter survives a stop and a manual start (quirk C2)
	SilentStart          bool // silent_start: startProcess(wait=false) of a stopping process does nothing and succeeds (quirk C3)
	BootConfigOrder      bool // boot_config_order: group members start in configuration order, not by priority (quirk C7)
	NoRestartFloor       bool // no_restart_floor: processes that exit at once are restarted without a pause (quirk C8)
	BootOverflow         bool // boot_overflow: events that come before a listener is ready for the first time count against buffer_size (quirk F9)
	UnknownOnSignalError bool // unknown_on_signal_error: a signal that cannot be sent makes a process UNKNOWN (quirk C14)
}

// flags returns the members by their names in a configuration file.
func (q *Quirks) flags() map[string]*bool {
	return map[string]*bool{
		"keep_backoff": &q.KeepBackoff, "silent_start": &q.SilentStart, "boot_config_order": &q.BootConfigOrder,
		"boot_overflow": &q.BootOverflow, "no_restart_floor": &q.NoRestartFloor, "unknown_on_signal_error": &q.UnknownOnSignalError,
	}
}

// graced reads [graced]. Unlike in Supervisor's sections nothing needs to be tolerated here for old files' sake.
func (l *loader) graced() (Graced, error) {
	var g Graced
	sec, ok := l.table.index["graced"]
	if !ok {
		return g, nil
	}
	r := l.reader(sec, l.hereNames)
	g.StopAscending = read(r, "stop_order", false, choice("stop_order", "descending", "ascending"))
	g.DefaultSIGPIPE = read(r, "sigpipe", false, choice("sigpipe", "ignore", "default"))
	g.MinimalUpdate = read(r, "update", false, choice("update", "supervisor", "minimal"))
	g.StateDir = read(r, "statedir", "", func(s string) (string, error) {
		if lower(s) == "none" || s == "" {
			return lower(s), nil
		}
		return l.m.normalize(s), nil
	})
	g.Cgroup = read(r, "cgroup", "", parseCgroupDir)
	g.StrictConfig = r.bool("strict_config", false)
	g.Quirks = read(r, "quirks", Quirks{}, parseQuirks)
	return g, r.result()
}

// parseCgroupDir reads where control groups are made.
func parseCgroupDir(s string) (string, error) {
	switch word := lower(s); {
	case word == "auto":
		return "", nil
	case word == CgroupsOff:
		return CgroupsOff, nil
	case !path.IsAbs(s):
		return "", &valueError{"invalid 'cgroup' value " + repr(s), "write auto, off or a directory of control groups, such as /sys/fs/cgroup/graced"}
	}
	return path.Clean(s), nil
}

// CgroupsOff is the value of Graced.Cgroup with which no process gets a control group.
const CgroupsOff = "off"

// choice parses one of two words; the result is whether it is the second.
func choice(key, first, second string) func(string) (bool, error) {
	return func(s string) (bool, error) {
		switch lower(s) {
		case first:
			return false, nil
		case second:
			return true, nil
		}
		return false, &valueError{"invalid '" + key + "' value " + repr(s), "write " + first + " or " + second}
	}
}

func parseQuirks(s string) (Quirks, error) {
	var q Quirks
	flags := q.flags()
	for _, name := range parseList(s) {
		flag, ok := flags[lower(name)]
		if !ok {
			known := slices.Sorted(maps.Keys(flags))
			hint := "known: " + strings.Join(known, ", ")
			if near := nearest(lower(name), known); near != "" {
				hint = "did you mean " + near + "?"
			}
			return Quirks{}, &valueError{"unknown quirk " + repr(name), hint}
		}
		*flag = true
	}
	return q, nil
}
