package daemon

import (
	"bytes"
	"context"
	"regexp"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/health"
	"github.com/graced/graced/internal/process"
)

// watch has the checks of a life made, in the place of those that were made of its process.
func (d *Daemon) watch(e core.Watch) {
	d.lookForLine(e.ID, e.Group, e.Spec)
	if d.loop.health == nil { // who has no checks has no monitor
		d.loop.health = health.New(health.Options{
			Report: func(r health.Result) {
				in := core.Checked{ID: r.ID, Incarnation: r.Incarnation, Alive: r.Alive, OK: r.OK, Text: r.Text}
				d.inbox.putWish(wish{do: func(now core.Now) { d.step(now, in) }})
			},
			Trouble: func(text string) { d.logf(LevelWarn, "%s", text) },
			Settle:  func() bool { return d.do(d.life, func(core.Now) {}) }, // behind what was reported
			Socket:  d.opts.Notify,
		})
	}
	d.loop.health.Watch(health.Target{
		ID: e.ID, Incarnation: e.Incarnation, PID: e.PID, Ready: e.Ready, Health: e.Spec.Health,
		Run: func(ctx context.Context, command string) ([]byte, error) {
			return d.host.Run(ctx, e.Spec, d.environ(e.Group, e.Spec), command)
		},
	})
}

// unwatch ends the checks of a process.
func (d *Daemon) unwatch(e core.Unwatch) {
	if d.loop.health != nil {
		d.loop.health.Unwatch(e.ID)
	}
}

// readinessOf tells whether a process is ready; false if nobody asks.
func readinessOf(s process.Status) (control.Readiness, bool) {
	c := s.Spec.Health.Ready
	if !s.Spec.AsksReady() {
		return control.Readiness{}, false
	}
	r := control.Readiness{Ready: s.Ready, Text: s.Unready}
	if r.Ready {
		r.Text = ""
	} else if r.Text == "" && s.PID != 0 && c.Kind != process.CheckNone {
		r.Text = map[process.CheckKind]string{
			process.CheckLog: "no line of its output matches " + c.Target + " so far", process.CheckNotify: "it has not said READY=1 so far",
		}[c.Kind]
	}
	return r, true
}

// linePattern returns what a line of the output has to match for the process to be ready, "" if that is not how it is found out.
func linePattern(spec *process.Spec) string {
	if c := spec.Health.Ready; c.Kind == process.CheckLog {
		return c.Target
	}
	return ""
}

// lookForLine makes the logs of a process look for the line that its settings name by now.
func (d *Daemon) lookForLine(id process.ID, group string, spec *process.Spec) {
	if logs := d.loop.logs[id]; logs != nil && logs.pattern != linePattern(spec) {
		d.changeLogs(core.ChangeLogs{ID: id, Group: group, Spec: spec})
	}
}

// lineMost is how much of a line is looked at.
const lineMost = 64 << 10

// lineSeeker looks in one channel of a process for the line that says that it is ready. The goroutine that moves the output owns it.
type lineSeeker struct {
	pattern *regexp.Regexp
	life    process.Incarnation
	line    []byte // so far
	over    bool   // the rest of the line is passed over
}

// sees takes output of a life, and reports whether a line in it matches.
func (s *lineSeeker) sees(life process.Incarnation, data []byte) bool {
	if life != s.life {
		s.life, s.line, s.over = life, nil, false
	}
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		rest, whole := []byte(nil), end >= 0
		if whole {
			data, rest = data[:end], data[end+1:]
		}
		if !s.over {
			s.line = append(s.line, data[:min(len(data), lineMost-len(s.line))]...)
		}
		if !s.over && (whole || len(s.line) == lineMost) && s.pattern.Match(bytes.TrimSuffix(s.line, []byte("\r"))) {
			return true
		}
		s.over = !whole && len(s.line) == lineMost
		if whole {
			s.line = s.line[:0]
		}
		data = rest
	}
	return false
}

// seek returns what looks for a line in the output of one channel; nil: nobody does.
func (d *Daemon) seek(logs *processLogs, spec *process.Spec, stderr bool) func(data []byte) {
	logs.pattern = linePattern(spec)
	pattern, err := regexp.Compile(logs.pattern)
	if logs.pattern == "" || err != nil { // of a daemon before this one, perhaps, that knew more
		return nil
	}
	s := &lineSeeker{pattern: pattern}
	return func(data []byte) {
		life := logs.life()
		if process.Incarnation(logs.said.Load()) == life || !s.sees(life, data) {
			return
		}
		logs.said.Store(uint64(life))
		// Told again after a crash, it says nothing new: unlike an event it may be heard twice.
		in, _ := d.heard(logs, stderr, core.Checked{ID: logs.id, Incarnation: life, OK: true})
		d.inbox.putOutput(in, 0, d.now())
		d.seeTo(in, logs, stderr)
	}
}
