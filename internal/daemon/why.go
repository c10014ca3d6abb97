package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// keptMoments is how many events of one process are remembered.
const keptMoments = 40

// wasToStop is said of an end that somebody has asked for.
const wasToStop = "it was to stop"

// timeline is what happened to one process. Only the loop touches it.
type timeline struct {
	moments []control.Moment // the latest last
	began   time.Time        // the present life
}

func (t *timeline) add(m control.Moment) {
	if len(t.moments) >= keptMoments {
		t.moments = append(t.moments[:0], t.moments[len(t.moments)-keptMoments+1:]...)
	}
	t.moments = append(t.moments, m)
}

// timelineOf returns the timeline of a process, made on demand.
func (d *Daemon) timelineOf(id process.ID) *timeline {
	t := d.loop.times[id]
	if t == nil {
		t = &timeline{}
		d.loop.times[id] = t
	}
	return t
}

// note adds to the timeline of a process what the core tells of it.
func (d *Daemon) note(e core.Event) {
	now := d.opts.Wall()
	named := func(group, name string, m control.Moment) {
		if s, ok := d.lately(group, name); ok {
			m.Time = now
			d.timelineOf(s.ID).add(m)
		}
	}
	switch e := e.(type) {
	case core.StateChanged:
		t := d.timelineOf(e.ID)
		switch e.To {
		case process.Starting:
			t.began = now
			text := ""
			switch e.From {
			case process.Backoff:
				text = fmt.Sprintf("try %d", e.Tries+1)
			case process.Exited:
				text = "by itself: autorestart"
			}
			t.add(control.Moment{Time: now, Type: "start", Text: text})
		case process.Running:
			t.add(control.Moment{Time: now, Type: "running", PID: e.PID})
		}
	case core.ReadyChanged:
		kind := "ready"
		if !e.Ready {
			kind = "unready"
		}
		named(e.Group, e.Name, control.Moment{Type: kind, PID: e.PID, Text: e.Text})
	case core.NotAlive:
		named(e.Group, e.Name, control.Moment{Type: "unalive", PID: e.PID, Text: e.Text})
	case core.SpawnProblem:
		named(e.Group, e.Name, control.Moment{Type: "failed", Text: e.Text})
	case core.ProcessEnded:
		s, ok := d.lately(e.Group, e.Name)
		if !ok {
			return
		}
		t := d.timelineOf(s.ID)
		m := control.Moment{Time: now, Type: "exit", PID: e.PID, Seconds: now.Sub(orElse(t.began, s.Started)).Seconds(), Expected: e.Expected || e.Stopped}
		switch {
		case e.Status.Signal != 0:
			m.Signal = e.Status.Signal.String()
		default:
			code := e.Status.Code
			m.Exit = &code
		}
		m.OutOfMemory = e.Status.OutOfMemory
		switch {
		case e.Stopped:
			m.Text = wasToStop
		case e.TooQuick:
			m.Text = fmt.Sprintf("too soon: startsecs=%d", s.Spec.StartSecs)
		case !e.Expected:
			m.Text = "unexpected: exitcodes=" + intsText(s.Spec.ExitCodes)
		}
		if m.OutOfMemory {
			m.Text = strings.TrimPrefix(m.Text+"; out of memory", "; ")
		}
		t.add(m)
	case core.GaveUp:
		s, ok := d.loop.core.Find(e.Group, e.Name)
		if ok {
			d.timelineOf(s.ID).add(control.Moment{Time: now, Type: "fatal", Text: fmt.Sprintf("gave up: startretries=%d", s.Spec.StartRetries)})
		}
	case core.WornOut:
		named(e.Group, e.Name, control.Moment{Type: "fatal", Text: "gave up: restart_limit=" + e.Limit.String()})
	case core.Waits:
		if s, ok := d.loop.core.Find(e.Group, e.Name); ok && s.Waits != "" {
			d.timelineOf(s.ID).add(control.Moment{Time: now, Type: "held", Text: s.Waits})
		}
	case core.WaitsFor:
		named(e.Group, e.Name, control.Moment{Type: "held", Text: e.Text})
	case core.Summoned:
		named(e.Group, e.Name, control.Moment{Type: "asked", Text: "start", By: e.For.String() + ", which depends on it"})
	case core.StopsAfter:
		named(e.Group, e.Name, control.Moment{Type: "held", Text: "stops after " + e.Other.String() + ", which depends on it"})
	case core.EssentialEnded:
		named(e.Group, e.Name, control.Moment{Type: "essential", Text: essentialText(e)})
	case core.KillSent:
		kind, text := "stopping", e.Signal.String()
		if e.Escalated {
			kind, text = "kill", "SIGKILL: it did not stop in time"
		}
		switch {
		case e.ToTree:
			text += ", to all that it has started"
		case e.ToGroup:
			text += ", to its process group"
		}
		named(e.Group, e.Name, control.Moment{Type: kind, PID: e.PID, Text: text})
	case core.DrainBegan:
		named(e.Group, e.Name, control.Moment{Type: "draining", PID: e.PID, Text: drainText(e)})
	case core.HookBegan:
		named(e.Group, e.Name, control.Moment{Type: "hook", PID: e.PID, Text: hookText(e)})
	case core.ProcessForked:
		if s, ok := d.loop.core.Find(e.Group, e.Name); ok && s.Spec.Hooks.PreStart.Wanted() {
			d.timelineOf(s.ID).began = now // what came before is no part of its life
		}
	case core.HookProblem:
		named(e.Group, e.Name, control.Moment{Type: "problem", Text: e.Option + ": " + e.Text})
	case core.SignalSent:
		named(e.Group, e.Name, control.Moment{Type: "signal", PID: e.PID, Text: e.Signal.String()})
	}
}

// lately finds a process, also one that was there for others and has been removed by what is being told of.
func (d *Daemon) lately(group, name string) (process.Status, bool) {
	s, ok := d.loop.core.Find(group, name)
	if ok {
		return s, true
	}
	for id, t := range d.loop.trials {
		if t.extra != nil && t.extra.Group == group && t.extra.Name == name {
			s = *t.extra
			s.ID = id
			return s, true
		}
	}
	return s, false
}

func intsText(codes []int) string {
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = fmt.Sprint(c)
	}
	return strings.Join(words, ",")
}

// asked notes who wants something of processes.
func (d *Daemon) asked(ctx context.Context, what string, target core.Target) {
	by := control.Caller(ctx)
	d.inbox.putWish(wish{do: func(core.Now) {
		now := d.opts.Wall()
		for _, s := range d.loop.core.Statuses() {
			if target.All || s.Group == target.Group && (target.Process == "" || s.Name == target.Process) {
				d.timelineOf(s.ID).add(control.Moment{Time: now, Type: "asked", Text: what, By: by})
			}
		}
	}})
}

// Why implements control.Explain.
func (d *Daemon) Why(ctx context.Context, name string) (control.Why, error) {
	v, err := d.current(ctx)
	if err != nil {
		return control.Why{}, err
	}
	m, err := v.find(name)
	if err != nil {
		return control.Why{}, err
	}
	out := control.Why{
		Schema: control.WhySchema, Name: m.Group + ":" + m.Name, State: m.State.String(), Waits: m.Waits, PID: m.PID, Command: process.HideSecrets(m.Spec.Command),
		Timeline: []control.Moment{}, LooksLike: []string{},
	}
	if r, ok := readinessOf(m.Status); ok {
		out.Readiness = &r
	}
	ok := d.do(ctx, func(core.Now) {
		if t := d.loop.times[m.ID]; t != nil {
			out.Timeline = slices.Clone(t.moments)
		}
		place := d.placeOf(m)
		out.Cgroup, out.Lacks = place.Cgroup, place.Lacks
	})
	if !ok {
		return control.Why{}, gone(ctx)
	}
	for _, t := range out.Timeline {
		if t.Type == "start" {
			out.Starts++
		}
		if t.Type != "asked" && t.Type != "signal" {
			out.Since = t.Time
		}
	}
	out.Stdout, out.Stderr = d.lastLines(ctx, m, control.Stdout), d.lastLines(ctx, m, control.Stderr)
	out.LooksLike = d.guess(m, out)
	return out, nil
}

// lastLines returns the end of a log.
func (d *Daemon) lastLines(ctx context.Context, m member, channel control.Channel) []string {
	const lines, bytes = 5, 4096
	tail, err := d.TailLog(ctx, control.Log{Process: m.Group + ":" + m.Name, Channel: channel}, 0, bytes)
	if err != nil || len(tail.Data) == 0 {
		return []string{}
	}
	all := strings.Split(strings.TrimRight(strings.ToValidUTF8(string(tail.Data), "?"), "\n"), "\n")
	return all[max(0, len(all)-lines):]
}

// guess says what may be behind the end of a process.
func (d *Daemon) guess(m member, w control.Why) []string {
	guesses := []string{}
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(guesses, text) {
			guesses = append(guesses, text)
		}
	}
	var last *control.Moment
	for i := range w.Timeline {
		if t := &w.Timeline[i]; t.Type == "exit" || t.Type == "failed" {
			last = t
		}
	}
	if last == nil || m.State == process.Running && last.Expected {
		return guesses
	}
	if err := d.host.Check(m.Spec); err != nil {
		add("the command cannot be run: %v", err)
	}
	if dir := m.Spec.Directory; dir != "" {
		if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			add("its directory %s is not there", dir)
		}
	}
	switch {
	case last.OutOfMemory && m.Spec.Tree.MemoryMax > 0:
		add("it uses more memory than memory_max=%d, and the kernel killed it or something that it had started", m.Spec.Tree.MemoryMax)
	case last.OutOfMemory:
		add("the memory was full, and the kernel killed it or something that it had started")
	case last.Signal == "SIGKILL" && !last.Expected:
		add("somebody else killed it: on a full machine the kernel does (see: dmesg)")
	case last.Signal == "SIGSEGV" || last.Signal == "SIGABRT" || last.Signal == "SIGBUS" || last.Signal == "SIGILL":
		add("it crashed: a core file may be in its directory (ulimit -c)")
	case last.Exit == nil:
	case *last.Exit == 127:
		add("exit 127 is what a shell says when it does not find a command: PATH of the program is that of the daemon")
	case *last.Exit == 126:
		add("exit 126 is what a shell says when a command cannot be executed")
	case *last.Exit == 0 && !last.Expected && strings.HasPrefix(last.Text, "too soon"):
		add("it may go into the background by itself: a supervised program has to stay in the foreground (or use pidproxy); a short job needs startsecs=0")
	}
	output := strings.ToLower(strings.Join(append(slices.Clone(w.Stderr), w.Stdout...), "\n"))
	for _, sign := range []struct{ text, guess string }{
		{"address already in use", "something else listens on its address, perhaps an earlier copy of it"},
		{"permission denied", "a file or socket is not for its user"},
		{"no such file or directory", "a file is missing"},
		{"too many open files", "it runs out of descriptors: minfds raises the limit"},
		{"no space left on device", "the disk is full"},
		{"cannot allocate memory", "there is no memory left"},
	} {
		if strings.Contains(output, sign.text) {
			add("%q in its output: %s", sign.text, sign.guess)
		}
	}
	return guesses
}

// orElse returns t, or other where t is not known: a daemon before this one has seen it.
func orElse(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}
