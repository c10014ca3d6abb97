package daemon

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// view is an immutable picture of all processes at one revision of the core. Questions are answered from it without entering the loop.
type view struct {
	revision uint64
	procs    []member // sorted by group name, then process name, as strings
	groups   []string // in insertion order
}

type member struct {
	process.Status
	logs *processLogs
}

// current returns a view that holds every change whose effects were acted on before the call. A stale one is rebuilt once for all who ask.
func (d *Daemon) current(ctx context.Context) (*view, error) {
	if v := d.view.Load(); v != nil && v.revision == d.revision.Load() {
		return v, nil
	}
	var fresh *view
	ok := d.do(ctx, func(core.Now) {
		fresh = d.view.Load()
		if fresh == nil || fresh.revision != d.loop.core.Revision() {
			fresh = d.buildView()
			d.view.Store(fresh)
		}
	})
	if !ok {
		return nil, gone(ctx)
	}
	return fresh, nil
}

// buildView runs in the loop.
func (d *Daemon) buildView() *view {
	v := &view{revision: d.loop.core.Revision(), groups: d.loop.core.Groups()}
	for _, s := range d.loop.core.Statuses() {
		v.procs = append(v.procs, member{s, d.loop.logs[s.ID]})
	}
	slices.SortStableFunc(v.procs, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
	})
	return v
}

// find returns one process by the name a user gave. A whole group or an unknown name is BadName with that name as detail.
func (v *view) find(name string) (member, error) {
	n := process.ParseNamespec(name)
	if !n.WholeGroup() {
		i, ok := slices.BinarySearchFunc(v.procs, n, func(m member, n process.Namespec) int {
			return cmp.Or(cmp.Compare(m.Group, n.Group), cmp.Compare(m.Name, n.Process))
		})
		if ok {
			return v.procs[i], nil
		}
	}
	return member{}, control.Fault(control.BadName, name)
}

// byPriority returns the processes in the order of the groups' and their own priorities, the order of commands that go through all.
func (v *view) byPriority() []member {
	out := slices.Clone(v.procs)
	slices.SortStableFunc(out, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.GroupIndex, b.GroupIndex), cmp.Compare(a.Spec.Priority, b.Spec.Priority))
	})
	return out
}

// info renders the wire's picture of one process at a moment.
func (m member) info(now time.Time) control.ProcessInfo {
	info := control.ProcessInfo{
		Name: m.Name, Group: m.Group, State: m.State, Start: m.Started, Stop: m.Ended, Now: now, SpawnErr: m.SpawnErr, PID: m.PID,
	}
	if m.HasExit {
		info.ExitStatus = m.Exit.Wire()
	}
	if m.logs != nil {
		info.StdoutLog, info.StderrLog = m.logs.stdout.Path(), m.logs.stderr.Path()
	}
	info.Description = m.describe(now)
	return info
}

// describe is the last column of a status table (contract: rpc, "Struct fields").
func (m member) describe(now time.Time) string {
	text := m.condition(now)
	switch {
	case !m.Extra:
		return text
	case text == "":
		return control.ExtraNote
	}
	return text + ", " + control.ExtraNote
}

// condition is what is said of any process.
func (m member) condition(now time.Time) string {
	if m.Waits != "" && m.State != process.Running {
		return m.Waits
	}
	switch m.State {
	case process.Running:
		text := "pid " + strconv.Itoa(m.PID) + ", uptime " + uptime(max(0, now.Unix()-m.Started.Unix()))
		if m.Waits != "" { // for its turn to be stopped
			text += ", " + m.Waits
		}
		return text
	case process.Backoff, process.Fatal:
		if m.SpawnErr != "" {
			return m.SpawnErr
		}
		return `unknown error (try "tail ` + m.Name + `")`
	case process.Stopped, process.Exited:
		if m.Started.IsZero() {
			return "Not started"
		}
		ended := m.Ended
		if ended.IsZero() {
			ended = time.Unix(0, 0) // compat: stopped before any life ended is shown as the epoch
		}
		return ended.Local().Format("Jan 02 03:04 PM")
	}
	return ""
}

// uptime renders seconds as "H:MM:SS", with "N days, " in front from a day on.
func uptime(seconds int64) string {
	days, rest := seconds/86400, seconds%86400
	b := make([]byte, 0, 24)
	switch {
	case days == 1:
		b = append(b, "1 day, "...)
	case days > 1:
		b = append(strconv.AppendInt(b, days, 10), " days, "...)
	}
	b = strconv.AppendInt(b, rest/3600, 10)
	two := func(n int64) { b = append(b, ':', byte('0'+n/10), byte('0'+n%10)) }
	two(rest % 3600 / 60)
	two(rest % 60)
	return string(b)
}

// gone is the error of a question that could not be put to the loop any more.
func gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return control.Fault(control.Failed, err.Error())
	}
	return control.Fault(control.ShutdownState, "")
}
