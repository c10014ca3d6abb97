package daemon

import (
	"fmt"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// Foreign is what another supervisor tells of its processes.
type Foreign struct {
	Processes []control.ProcessInfo
	Configs   []control.ConfigInfo // as far as getAllConfigInfo tells
}

// Deviation is one of the files from what another supervisor has in force.
type Deviation struct {
	Process process.Namespec
	Text    string
	// Unknown says that the files do not have the process: it could not be kept.
	Unknown bool
}

// String returns the text and which process it is about.
func (d Deviation) String() string { return d.Process.String() + ": " + d.Text }

// fileSpec returns what the files say of a process.
func fileSpec(c *config.Config, name process.Namespec) (group process.GroupSpec, spec process.Spec, ok bool) {
	for _, g := range c.Groups {
		if g.Name == name.Group {
			spec, ok = g.Process(name.Process)
			return g, spec, ok
		}
	}
	return group, spec, false
}

// config returns what the supervisor tells of the settings of a process.
func (f *Foreign) config(name process.Namespec) (control.ConfigInfo, bool) {
	for _, info := range f.Configs {
		if info.Group == name.Group && info.Spec.Name == name.Process {
			return info, true
		}
	}
	return control.ConfigInfo{}, false
}

// Deviations compares the files with what is in force, in the order of the processes and then of the files.
func (f *Foreign) Deviations(c *config.Config) (out []Deviation) {
	there := map[process.Namespec]bool{}
	for _, p := range f.Processes {
		name := process.Namespec{Group: p.Group, Process: p.Name}
		there[name] = true
		group, spec, ok := fileSpec(c, name)
		if !ok {
			out = append(out, Deviation{name, "the files do not have it", true})
			continue
		}
		told, ok := f.config(name)
		if !ok {
			out = append(out, Deviation{Process: name, Text: "its settings are those of files that were read before"})
			continue
		}
		if told.GroupPriority != group.Priority {
			out = append(out, Deviation{Process: name, Text: fmt.Sprintf("the priority of its group is %d, and %d in the files", told.GroupPriority, group.Priority)})
		}
		for _, field := range process.Diff(inForce(spec, told.Spec), spec) {
			out = append(out, Deviation{Process: name, Text: fmt.Sprintf("%s is %s, and %s in the files", field.Name, shown(field, told.Spec), shown(field, spec))})
		}
	}
	for _, g := range c.Groups {
		for _, spec := range g.Processes {
			if name := (process.Namespec{Group: g.Name, Process: spec.Name}); !there[name] {
				out = append(out, Deviation{Process: name, Text: "only the files have it"})
			}
		}
	}
	return out
}

// shown is a setting as it is shown.
func shown(field process.Field, spec process.Spec) string {
	if text := field.Text(spec); text != "" {
		return text
	}
	return "unset"
}

// inForce is the settings of a process in the files, with those that another supervisor tells in their place.
func inForce(spec, told process.Spec) process.Spec {
	out := told
	out.Program, out.Num, out.Origin = spec.Program, spec.Num, spec.Origin
	out.Umask, out.Autorestart, out.StopAsGroup, out.Socket, out.Environment = spec.Umask, spec.Autorestart, spec.StopAsGroup, spec.Socket, spec.Environment
	for _, log := range []struct {
		of   *process.LogSpec
		file process.LogSpec
	}{{&out.Stdout, spec.Stdout}, {&out.Stderr, spec.Stderr}} {
		if log.file.File.Kind == process.LogAuto { // the name that it chose is told
			log.of.File = log.file.File
		}
	}
	return out
}

// Found makes of what is told the processes that a daemon begins with. there returns a process and the daemon's ends of its pipes, and, of one of an event
// listener, whether it is READY; nil for one that does not run. The files must have every process.
func (f *Foreign) Found(c *config.Config, there func(process.Namespec) (*host.There, bool)) (found []FoundProcess) {
	for _, p := range f.Processes {
		name := process.Namespec{Group: p.Group, Process: p.Name}
		group, spec, ok := fileSpec(c, name)
		if !ok {
			continue
		}
		if told, ok := f.config(name); ok {
			spec = inForce(spec, told.Spec)
		}
		one := FoundProcess{Group: p.Group, Spec: &spec, As: foundAs(p)}
		var ready bool
		if one.There, ready = there(name); one.There != nil && group.Listener != nil && ready {
			one.As.Listener = event.Ready
		}
		if spec.Stdout.File.Kind == process.LogAuto {
			one.Stdout = p.StdoutLog
		}
		if spec.Stderr.File.Kind == process.LogAuto && !spec.RedirectStderr {
			one.Stderr = p.StderrLog
		}
		found = append(found, one)
	}
	return found
}

// foundAs is the state of a process as getAllProcessInfo tells it.
func foundAs(p control.ProcessInfo) core.Found {
	f := core.Found{State: p.State, PID: p.PID, Began: p.Start, Ended: p.Stop, SpawnErr: p.SpawnErr}
	if !p.Start.IsZero() {
		f.Started = p.Now.Sub(p.Start)
	}
	if p.State == process.Backoff {
		f.Tries = 1
	}
	if !p.Stop.IsZero() {
		f.HasExit = true
		f.Exit = process.ExitStatus{Code: p.ExitStatus}
		if p.ExitStatus < 0 {
			f.Exit = process.ExitStatus{Unknown: true}
		}
	}
	return f
}
