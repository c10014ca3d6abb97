package takeover

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// Told is what supervisord tells of its processes (getAllProcessInfo), and of the files that it has read last (getAllConfigInfo).
type Told struct {
	Processes []control.ProcessInfo
	Configs   []control.ConfigInfo
}

// settings returns what supervisord has read of each process.
func (t Told) settings() map[process.Namespec]control.ConfigInfo {
	m := map[process.Namespec]control.ConfigInfo{}
	for _, c := range t.Configs {
		m[process.Namespec{Group: c.Group, Process: c.Spec.Name}] = c
	}
	return m
}

// Info returns what Inspect has to know.
func (t Told) Info() []Process {
	var list []Process
	settings := t.settings()
	for _, i := range t.Processes {
		list = append(list, Process{
			Name: nameOf(i), PID: i.PID, State: i.State, RedirectStderr: settings[nameOf(i)].Spec.RedirectStderr,
			StdoutLogfile: i.StdoutLog, StderrLogfile: i.StderrLog,
		})
	}
	return list
}

func nameOf(i control.ProcessInfo) process.Namespec {
	return process.Namespec{Group: i.Group, Process: i.Name}
}

// Adoption is what becomes of supervisord's processes under a configuration.
type Adoption struct {
	Found    map[process.Namespec]core.Found // members of the configuration's groups that are there already
	New      []process.Namespec              // members that supervisord does not have: they start as those of any group that is added
	Problems []Problem                       // to be added to those of the plan
}

// Adopt matches what supervisord has told with the groups of a configuration. Taken is nil before Seize: then it is not known what listeners are ready
// for. Now is the wall time at which the groups are added.
//
// Settings that supervisord does not tell are not compared: umask, stopasgroup, environment and sockets, and with some versions more. What it tells are
// those of its files as it read them last, which running processes have only if it was updated since.
func Adopt(told Told, taken *Taken, groups []process.GroupSpec, now time.Time) Adoption {
	a := Adoption{Found: map[process.Namespec]core.Found{}}
	members := map[process.Namespec]process.GroupSpec{}
	for _, g := range groups {
		for _, p := range g.Processes {
			members[process.Namespec{Group: g.Name, Process: p.Name}] = g
		}
	}
	known, settings, ready := map[process.Namespec]bool{}, told.settings(), taken.ready()
	for _, i := range told.Processes {
		name := nameOf(i)
		known[name] = true
		g, ok := members[name]
		if !ok {
			a.problem(NoProgram, name, i.PID == 0, "the configuration does not have it")
			continue
		}
		if was, ok := settings[name]; ok {
			a.compare(was, name, g)
		} else {
			a.problem(Settings, name, true, "supervisord's files, as it has read them last, do not have it: what it was started with is not known")
		}
		a.adopt(i, ready[name], now)
	}
	for _, g := range groups {
		for _, p := range g.Processes {
			if name := (process.Namespec{Group: g.Name, Process: p.Name}); !known[name] {
				a.New = append(a.New, name)
			}
		}
	}
	return a
}

func (a *Adoption) problem(kind Kind, name process.Namespec, forced bool, format string, args ...any) {
	a.Problems = append(a.Problems, Problem{Kind: kind, Process: name, Text: fmt.Sprintf(format, args...), Forced: forced})
}

// compare looks for settings of a process that are others in the configuration.
func (a *Adoption) compare(was control.ConfigInfo, name process.Namespec, g process.GroupSpec) {
	is, _ := g.Process(name.Process)
	if list := differences(was, is, g.Priority); len(list) > 0 {
		a.problem(Settings, name, true, "the configuration has other settings, which it goes on with: %s", strings.Join(list, ", "))
	}
}

// differences describes the options that are told and in which a process differs.
func differences(was control.ConfigInfo, is process.Spec, priority int) (list []string) {
	for _, f := range process.Changes(was.Spec, is) {
		if !slices.Contains(was.Untold, f.Name) && !sameAutoLog(f.Name, was, is) {
			list = append(list, fmt.Sprintf("%s is %q and was %q", f.Name, f.Text(is), f.Text(was.Spec)))
		}
	}
	if was.GroupPriority != priority {
		list = append(list, fmt.Sprintf("priority of the group is %d and was %d", priority, was.GroupPriority))
	}
	return list
}

// sameAutoLog reports whether an option is AUTO as before: supervisord tells the file that it has made of it, NAME-CHANNEL---IDENTIFIER-RANDOM.log.
func sameAutoLog(option string, was control.ConfigInfo, is process.Spec) bool {
	auto := func(to process.LogTarget, path, channel string) bool {
		return to.Kind == process.LogAuto && strings.HasPrefix(filepath.Base(path), is.Name+"-"+channel+"---")
	}
	switch option {
	case "stdout_logfile":
		return auto(is.Stdout.File, was.StdoutLog, "stdout")
	case "stderr_logfile":
		return auto(is.Stderr.File, was.StderrLog, "stderr")
	}
	return false
}

// adopt says how a process is found. Nothing starts it while it is taken, and supervisord decides in its next turn about what has just ended, or was
// never started.
func (a *Adoption) adopt(i control.ProcessInfo, listener event.ListenerState, now time.Time) {
	alive := i.State.IsSignallable()
	if alive != (i.PID != 0) && i.State != process.Unknown {
		a.problem(Changed, nameOf(i), false, "it is %v with pid %d", i.State, i.PID)
		return
	}
	f := core.Found{
		State: i.State, PID: i.PID, Began: i.Start, Ended: i.Stop, SpawnErr: i.SpawnErr,
		Undecided: i.State == process.Exited || i.State == process.Stopped && i.Start.IsZero(), Listener: listener,
	}
	if !i.Start.IsZero() {
		f.Started = now.Sub(i.Start)
	}
	if i.State == process.Backoff { // it did not start, or has ended too quickly
		f.Since = min(f.Started, now.Sub(i.Stop))
	}
	if i.State == process.Exited || i.ExitStatus != 0 {
		f.HasExit, f.Exit = true, process.ExitStatus{Code: i.ExitStatus}
		if i.ExitStatus < 0 { // some signal has ended it
			f.Exit = process.ExitStatus{Unknown: true}
		}
	}
	a.Found[nameOf(i)] = f
}

// ready tells which processes are READY, should they be listeners. Of others nothing is known.
func (t *Taken) ready() map[process.Namespec]event.ListenerState {
	m := map[process.Namespec]event.ListenerState{}
	if t != nil {
		for _, p := range t.Processes {
			if p.Waiting {
				m[p.Name] = event.Ready
			}
		}
	}
	return m
}
