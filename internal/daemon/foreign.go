package daemon

import (
	"slices"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// FindForeign makes of what another supervisor tells of a process, and of what it is found as, something that a daemon begins with. was is what it tells of
// the settings, nil for nothing; there is nil for a process that does not run. It reports false if the files do not have the process.
func FindForeign(c *config.Config, p control.ProcessInfo, was *control.ConfigInfo, as core.Found, there *host.There) (f FoundProcess, ok bool) {
	i := slices.IndexFunc(c.Groups, func(g process.GroupSpec) bool { return g.Name == p.Group })
	if i < 0 {
		return f, false
	}
	spec, ok := c.Groups[i].Process(p.Name)
	if !ok {
		return f, false
	}
	if was != nil {
		spec = inForce(spec, was)
	}
	f = FoundProcess{Group: p.Group, Spec: &spec, As: as, There: there}
	if spec.Stdout.File.Kind == process.LogAuto {
		f.Stdout = p.StdoutLog
	}
	if spec.Stderr.File.Kind == process.LogAuto && !spec.RedirectStderr {
		f.Stderr = p.StderrLog
	}
	return f, true
}

// inForce is the settings of a process in the files, with those that another supervisor tells in their place.
func inForce(file process.Spec, was *control.ConfigInfo) process.Spec {
	out := was.Spec
	out.Program, out.Num, out.Origin, out.Socket = file.Program, file.Num, file.Origin, file.Socket
	untold := func(option string) bool { return slices.Contains(was.Untold, option) }
	if untold("umask") {
		out.Umask = file.Umask
	}
	if untold("autorestart") {
		out.Autorestart = file.Autorestart
	}
	if untold("stopasgroup") {
		out.StopAsGroup = file.StopAsGroup
	}
	if untold("environment") {
		out.Environment = file.Environment
	}
	for _, log := range []struct {
		of   *process.LogSpec
		file process.LogSpec
	}{{&out.Stdout, file.Stdout}, {&out.Stderr, file.Stderr}} {
		if log.file.File.Kind == process.LogAuto { // the name that it chose is told
			log.of.File = log.file.File
		}
	}
	return out
}
