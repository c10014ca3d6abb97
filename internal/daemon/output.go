package daemon

import (
	"context"
	"path/filepath"
	"sync/atomic"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/pytext"
)

// processLogs are the two output channels of one process, made when it is added and kept until it is removed.
type processLogs struct {
	id             process.ID
	incarnation    atomic.Uint64 // of the life that writes
	stdout, stderr *childlog.Stream
	spawned        bool // at least once, or about to be
	pace           host.Pace
}

// newLogs names the logs of a process and prepares their streams. It touches no file.
func (d *Daemon) newLogs(open core.OpenLogs) *processLogs {
	logs := &processLogs{id: open.ID}
	stream := func(spec process.LogSpec, channel control.Channel, absent bool) *childlog.Stream {
		path, auto := "", false
		switch {
		case absent:
		case spec.File.Kind == process.LogAuto:
			dir := d.loop.desired.config.Supervisord.ChildLogDir
			path = filepath.Join(dir, childlog.AutoName(open.Spec.Name, string(channel), *d.ident.Load()))
			auto = true
		case spec.File.Kind == process.LogPath:
			path = spec.File.Path
		}
		c := childlog.Config{
			Name: open.Spec.Name, Channel: string(channel), Path: path, MaxBytes: spec.MaxBytes, Backups: spec.Backups, Syslog: spec.Syslog,
			StripANSI: d.loop.desired.config.Supervisord.StripANSI, Auto: auto,
		}
		d.listen(&c, logs, spec, open.Listener && channel == control.Stdout)
		return childlog.NewStream(c, func(text string) { d.logf(LevelCritical, "%s", text) })
	}
	logs.stdout = stream(open.Spec.Stdout, control.Stdout, false)
	logs.stderr = stream(open.Spec.Stderr, control.Stderr, open.Spec.RedirectStderr)
	return logs
}

// listen sets who hears of the output of one channel. What a listener says on its standard output is its protocol: neither capture tags nor events
// are made of it (contract: events, "Listener protocol").
func (d *Daemon) listen(c *childlog.Config, logs *processLogs, spec process.LogSpec, protocol bool) {
	name, channel, stderr := c.Name, c.Channel, c.Channel == string(control.Stderr)
	debug := d.log.Enabled(context.Background(), LevelDebug)
	if protocol {
		logs.pace = host.Dialogue
		c.Raw = func(data []byte) {
			if debug {
				d.logf(LevelDebug, "%s %s output:\n%s", pytext.Repr(name), channel, pytext.BytesRepr(data))
			}
			d.inbox.putAnswer(core.ListenerOutput{ID: logs.id, Incarnation: logs.life(), Data: clone(data)})
			d.turnNow()
		}
		return
	}
	logType, commType := event.ProcessLogStdout, event.ProcessCommunicationStdout
	if stderr {
		logType, commType = event.ProcessLogStderr, event.ProcessCommunicationStderr
	}
	if spec.EventsEnabled && logs.pace == host.Gathered {
		logs.pace = host.Told
	}
	if spec.EventsEnabled || debug {
		c.Log = func(data []byte) {
			if debug {
				d.logf(LevelDebug, "%s %s output:\n%s", pytext.Repr(name), channel, event.Text(data))
			}
			if spec.EventsEnabled && d.wants(logType) {
				d.hear(core.Output{ID: logs.id, Incarnation: logs.life(), Stderr: stderr, Data: clone(data)}, len(data))
			}
		}
	}
	if spec.CaptureMaxBytes <= 0 {
		return
	}
	c.CaptureMaxBytes = spec.CaptureMaxBytes
	c.Captured = func(data []byte) {
		if d.wants(commType) {
			d.hear(core.Output{ID: logs.id, Incarnation: logs.life(), Stderr: stderr, Captured: true, Data: clone(data)}, len(data))
		}
		if debug {
			d.logf(LevelDebug, "%s %s emitted a comm event", pytext.Repr(name), channel)
		}
	}
}

// life returns the incarnation that writes: a new one begins only after the last byte of the one before was handed on.
func (l *processLogs) life() process.Incarnation { return process.Incarnation(l.incarnation.Load()) }

// wants reports whether somebody has subscribed to a type of event, as of the last turn of the loop.
func (d *Daemon) wants(t event.Type) bool { return event.Set(d.wanted.Load()).Has(t) }

// hear gives output to the core.
func (d *Daemon) hear(in core.Input, size int) {
	d.inbox.putOutput(in, size, d.now())
	d.turnNow()
}

func clone(data []byte) []byte { return append([]byte(nil), data...) }

// createAutoLogs makes the files that AUTO promises to exist before the first start, where no start has made them.
func (d *Daemon) createAutoLogs(logs *processLogs) {
	for _, stream := range []*childlog.Stream{logs.stdout, logs.stderr} {
		if err := stream.Create(); err != nil {
			d.logf(LevelWarn, "%v", err)
		}
	}
}
