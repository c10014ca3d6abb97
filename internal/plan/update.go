package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// Update is a plan for any number of groups: what makes the active ones those that are desired while as little as possible restarts. Its plans
// are in the order of the desired groups, then of the active ones that go; groups that nothing happens to are among them.
type Update struct{ Plans []Plan }

// Empty reports whether there is nothing to do.
func (u Update) Empty() bool {
	return !slices.ContainsFunc(u.Plans, func(p Plan) bool { return !p.Empty() })
}

// ID identifies the update by all that it stands on: the active groups it was computed against, with what runs of them, and the desired ones.
func (u Update) ID() string {
	h := sha256.New()
	for _, p := range u.Plans {
		fmt.Fprintf(h, "%q %d %s %s%s\n", p.Group, p.Scope, p.Base, Group{GroupSpec: p.Desired}.Hash(), rollText(p.Asked))
		if len(p.Surge) > 0 {
			fmt.Fprintln(h, Group{GroupSpec: process.GroupSpec{Processes: p.Surge}}.Hash())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// Scope says what happens to a group as a whole.
type Scope int

// The scopes.
const (
	ChangeGroup  Scope = iota // it stays; what the changes say happens to its members
	AddGroup                  // it is new
	RemoveGroup               // it goes, once its members have ended
	ReplaceGroup              // it goes with its members, then it comes again
)

// Difference is one option that changes its value.
type Difference struct {
	Option   string // its name in a configuration file
	Variable string // with environment: the variable
	Class    process.Class
	Old, New string // as text; with environment "" also for a variable that is not set
}

// Minimal plans the update of the groups called only (nil: all) under the strategy that restarts as little as possible: each option's class
// decides what its change costs (process.Class), a process is replaced by itself and never with its group, and one that only changes its
// name keeps running. What was stopped stays stopped.
func Minimal(active Manifest, desired []process.GroupSpec, only []string) Update {
	var u Update
	chosen := func(name string) bool { return only == nil || slices.Contains(only, name) }
	wanted := map[string]bool{}
	for _, d := range desired {
		if wanted[d.Name] {
			continue
		}
		wanted[d.Name] = true
		if !chosen(d.Name) {
			continue
		}
		if a, ok := active.Group(d.Name); ok {
			d, held := leaveHeld(a, d)
			p := minimal(a, d)
			p.Held = held
			u.Plans = append(u.Plans, p)
		} else {
			u.Plans = append(u.Plans, Plan{Group: d.Name, Scope: AddGroup, Desired: d, Changes: additions(d)})
		}
	}
	for _, a := range active.Groups {
		if !wanted[a.Name] && chosen(a.Name) {
			if d, held := leaveHeld(a, process.GroupSpec{Name: a.Name, Kind: a.Kind, Priority: a.Priority, Listener: a.Listener}); len(held) > 0 {
				p := minimal(a, d)
				p.Held = held
				u.Plans = append(u.Plans, p)
				continue
			}
			u.Plans = append(u.Plans, Plan{
				Group: a.Name, Scope: RemoveGroup, Base: a.Hash(), Desired: process.GroupSpec{Name: a.Name}, Changes: removals(a),
			})
		}
	}
	return u
}

// leaveHeld changes the desired group so that held members stay what they are, and with them what they share with their group. It returns the
// names of those that would change otherwise.
func leaveHeld(active Group, desired process.GroupSpec) (process.GroupSpec, []string) {
	if len(active.Held) == 0 {
		return desired, nil
	}
	desired.Kind, desired.Listener = active.Kind, keepHandler(active.Listener, desired.Listener)
	desired.Processes = slices.Clone(desired.Processes)
	var socket process.SocketSpec
	var held []string
	for _, now := range active.Processes {
		if !active.Held[now.Name] {
			continue
		}
		socket = now.Socket
		i := slices.IndexFunc(desired.Processes, func(s process.Spec) bool { return s.Name == now.Name })
		switch {
		case i < 0:
			desired.Processes = append(desired.Processes, now)
			held = append(held, now.Name)
		default:
			if len(process.Changes(now, desired.Processes[i])) > 0 {
				held = append(held, now.Name)
			}
			desired.Processes[i] = now
		}
	}
	if active.Kind == process.KindFCGI {
		for i := range desired.Processes {
			desired.Processes[i].Socket = socket
		}
	}
	return desired, held
}

// keepHandler is the desired listener with what cannot change while its processes stay.
func keepHandler(active, desired *process.ListenerSpec) *process.ListenerSpec {
	if active == nil || desired == nil {
		return active
	}
	l := *desired
	l.ResultHandler, l.CountBytes = active.ResultHandler, active.CountBytes
	return &l
}

func additions(d process.GroupSpec) []Change {
	changes := make([]Change, len(d.Processes))
	for i, s := range d.Processes {
		changes[i] = Change{Action: AddProcess, Group: d.Name, Name: s.Name, Spec: s}
	}
	return changes
}

func removals(a Group) []Change {
	changes := make([]Change, len(a.Processes))
	for i, s := range a.Processes {
		changes[i] = Change{Action: RemoveProcess, Group: a.Name, Name: s.Name, Spec: s, Down: a.Down[s.Name] != Up}
	}
	return changes
}

// minimal plans the update of one active group.
func minimal(active Group, desired process.GroupSpec) Plan {
	p := Plan{Group: active.Name, Base: active.Hash(), Desired: desired, Fields: groupDifferences(active.GroupSpec, desired)}
	if slices.ContainsFunc(p.Fields, func(d Difference) bool { return d.Class == process.GroupWide }) {
		p.Scope = ReplaceGroup
		p.Changes = append(removals(active), additions(desired)...)
		return p
	}
	renamed := renames(active, desired)
	from := map[string]string{}
	for old, name := range renamed {
		from[name] = old
	}
	for _, next := range desired.Processes {
		before, ok := active.Process(next.Name)
		if old := from[next.Name]; !ok && old != "" {
			before, ok = active.Process(old)
		}
		c := Change{Group: active.Name, Name: next.Name, Spec: next}
		if !ok {
			c.Action = AddProcess
			p.Changes = append(p.Changes, c)
			continue
		}
		c.Down = active.Down[before.Name] != Up
		c.Fields = SpecDifferences(before, next)
		switch {
		case from[next.Name] != "":
			c.Action, c.From = RenameProcess, before.Name
		case strongest(c.Fields) >= process.Respawn:
			c.Action = ReplaceProcess
			c.Retry = active.Down[before.Name] == GaveUp && next.Autostart
		case len(c.Fields) > 0:
			c.Action = TuneProcess
		case active.Leaving[next.Name]:
			c.Action = ReturnProcess
		default:
			p.Kept = append(p.Kept, next.Name)
			continue
		}
		p.Changes = append(p.Changes, c)
	}
	for _, now := range active.Processes {
		if _, ok := desired.Process(now.Name); !ok && renamed[now.Name] == "" {
			if active.Lazy[now.Name] {
				p.Kept = append(p.Kept, now.Name)
				continue
			}
			p.Changes = append(p.Changes, Change{
				Action: RemoveProcess, Group: active.Name, Name: now.Name, Spec: now, Down: active.Down[now.Name] != Up,
			})
		}
	}
	return p
}

// renames pairs members that go with members that come: the same process of the same program, of which nothing but the name, or what can
// change while it runs, is different. That is what a numprocs of 1 that becomes 2 does to a process, and a new process_name.
func renames(active Group, desired process.GroupSpec) map[string]string {
	type key struct {
		program string
		num     int
	}
	come := map[key]process.Spec{}
	for _, d := range desired.Processes {
		if _, ok := active.Process(d.Name); !ok {
			come[key{d.Program, d.Num}] = d
		}
	}
	out := map[string]string{}
	for _, a := range active.Processes {
		k := key{a.Program, a.Num}
		d, ok := come[k]
		if _, stays := desired.Process(a.Name); stays || !ok || active.Leaving[a.Name] {
			continue
		}
		d.Name = a.Name
		if strongest(SpecDifferences(a, d)) < process.Respawn {
			out[a.Name] = come[k].Name
			delete(come, k)
		}
	}
	return out
}

// groupDifferences are those of the options of a group itself, sockets of FastCGI programs included.
func groupDifferences(active, desired process.GroupSpec) []Difference {
	var out []Difference
	if !sameKind(active.Kind, desired.Kind) {
		out = append(out, Difference{Option: "kind", Class: process.GroupWide, Old: active.Kind.String(), New: desired.Kind.String()})
	}
	if active.Priority != desired.Priority {
		out = append(out, Difference{Option: "priority", Class: process.Live, Old: strconv.Itoa(active.Priority), New: strconv.Itoa(desired.Priority)})
	}
	return slices.Concat(out, listenerDifferences(active.Listener, desired.Listener), socketDifferences(active, desired))
}

// listenerDifferences are those of the options that an event listener's group has besides those of its processes, in the order of
// listenerOptions; nil stands for a group of another kind.
func listenerDifferences(active, desired *process.ListenerSpec) []Difference {
	texts := func(l *process.ListenerSpec) []string {
		if l == nil {
			l = &process.ListenerSpec{}
		}
		unit := "characters"
		if l.CountBytes {
			unit = "bytes"
		}
		return []string{strings.Join(l.Events, ","), strconv.Itoa(l.BufferSize), l.ResultHandler, unit}
	}
	classes := []process.Class{process.Live, process.Live, process.GroupWide, process.GroupWide}
	before, after := texts(active), texts(desired)
	var out []Difference
	for i, option := range listenerOptions {
		if before[i] != after[i] {
			out = append(out, Difference{Option: option, Class: classes[i], Old: before[i], New: after[i]})
		}
	}
	return out
}

// socketDifferences are those of the sockets that members of FastCGI programs share. A member that does not stay is compared with another of its
// program, which has the same socket.
func socketDifferences(active, desired process.GroupSpec) []Difference {
	var out []Difference
	for _, before := range active.Processes {
		after, ok := desired.Process(before.Name)
		if i := slices.IndexFunc(desired.Processes, func(s process.Spec) bool { return s.Program == before.Program }); !ok && i >= 0 {
			after, ok = desired.Processes[i], true
		}
		if !ok {
			continue
		}
		for _, d := range SpecDifferences(before, after) {
			if d.Class == process.GroupWide && !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// SpecDifferences lists the options in which two processes differ.
func SpecDifferences(active, next process.Spec) []Difference {
	var out []Difference
	for _, f := range process.Changes(active, next) {
		if f.Name == "environment" {
			out = append(out, variables(active.Environment, next.Environment, f.Class)...)
			continue
		}
		out = append(out, Difference{Option: f.Name, Class: f.Class, Old: f.Text(active), New: f.Text(next)})
	}
	return out
}

// variables compares two environments, which are sorted by key.
func variables(active, next []process.Env, class process.Class) []Difference {
	var out []Difference
	for len(active) > 0 || len(next) > 0 {
		d := Difference{Option: "environment", Class: class}
		switch {
		case len(next) == 0 || len(active) > 0 && active[0].Key < next[0].Key:
			d.Variable, d.Old, active = active[0].Key, active[0].Value, active[1:]
		case len(active) == 0 || next[0].Key < active[0].Key:
			d.Variable, d.New, next = next[0].Key, next[0].Value, next[1:]
		default:
			d.Variable, d.Old, d.New = active[0].Key, active[0].Value, next[0].Value
			same := active[0].Value == next[0].Value
			active, next = active[1:], next[1:]
			if same {
				continue
			}
		}
		out = append(out, d)
	}
	return out
}

// strongest returns the strongest class among differences; Live when there is none.
func strongest(list []Difference) process.Class {
	class := process.Live
	for _, d := range list {
		class = max(class, d.Class)
	}
	return class
}
