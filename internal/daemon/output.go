package daemon

import (
	"context"
	"encoding/binary"
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
	stdout, stderr channel
	spawned        bool                            // at least once, or about to be
	auto           struct{ stdout, stderr string } // the files that are ours; "" = it is none. The streams follow a little later
	pace           host.Pace
	pattern        string        // of the line that says that it is ready; "" = nobody looks for one
	said           atomic.Uint64 // the last incarnation that has said so
}

// channel is one of them.
type channel struct {
	*childlog.Stream
	heard   uint64        // up to this position an earlier daemon has heard it
	receipt chan struct{} // told when what was heard has been written down
}

// stageKey names a channel in the stages.
func stageKey(id process.ID, stderr bool) uint64 {
	if stderr {
		return uint64(id)<<1 | 1
	}
	return uint64(id) << 1
}

// stageLogs makes what is looked at of the output of a life outlive the daemon.
func (d *Daemon) stageLogs(logs *processLogs) {
	if len(d.opts.Stages) == 0 {
		return
	}
	stage := d.opts.Stages[host.ShardOf(logs.id, logs.pace, len(d.opts.Stages))]
	logs.stdout.UseStage(stage, stageKey(logs.id, false))
	logs.stderr.UseStage(stage, stageKey(logs.id, true))
}

// newLogs names the logs of a process and prepares their streams. It touches no file.
func (d *Daemon) newLogs(open core.OpenLogs) *processLogs {
	logs := &processLogs{id: open.ID}
	stdout, stderr := d.logConfigs(logs, open.Spec, open.Listener)
	report := func(text string) { d.logf(LevelCritical, "%s", text) }
	logs.stdout = channel{Stream: childlog.NewStream(stdout, report), receipt: make(chan struct{}, 1)}
	logs.stderr = channel{Stream: childlog.NewStream(stderr, report), receipt: make(chan struct{}, 1)}
	logs.auto.stdout, logs.auto.stderr = ownFile(stdout), ownFile(stderr)
	return logs
}

// ownFile returns the path of a log that AUTO has named, "" for others.
func ownFile(c childlog.Config) string {
	if c.Auto {
		return c.Path
	}
	return ""
}

// logConfigs configures both channels of a process.
func (d *Daemon) logConfigs(logs *processLogs, of *process.Spec, listener bool) (stdout, stderr childlog.Config) {
	configure := func(spec process.LogSpec, channel control.Channel, absent bool) childlog.Config {
		path, auto := "", false
		switch {
		case absent:
		case spec.File.Kind == process.LogAuto:
			dir := d.loop.desired.config.Supervisord.ChildLogDir
			path = filepath.Join(dir, childlog.AutoName(of.Name, string(channel), *d.ident.Load()))
			auto = true
		case spec.File.Kind == process.LogPath:
			path = spec.File.Path
		}
		c := childlog.Config{
			Name: of.Name, Channel: string(channel), Path: path, MaxBytes: spec.MaxBytes, Backups: spec.Backups, Syslog: spec.Syslog,
			StripANSI: d.loop.desired.config.Supervisord.StripANSI, Auto: auto,
		}
		d.listen(&c, logs, spec, listener && channel == control.Stdout)
		if seek, told := d.seek(logs, of, channel == control.Stderr), c.Log; seek != nil {
			c.Log = func(data []byte) {
				if told != nil {
					told(data)
				}
				seek(data)
			}
		}
		return c
	}
	return configure(of.Stdout, control.Stdout, false), configure(of.Stderr, control.Stderr, of.RedirectStderr)
}

// changeLogs makes the logs of a process, which may be running, those of its new settings. A file of ours goes on under the name that it has.
func (d *Daemon) changeLogs(e core.ChangeLogs) {
	logs := d.loop.logs[e.ID]
	stdout, stderr := d.logConfigs(logs, e.Spec, e.Listener)
	for _, ch := range []struct {
		stream *childlog.Stream
		config childlog.Config
		own    *string
	}{{logs.stdout.Stream, stdout, &logs.auto.stdout}, {logs.stderr.Stream, stderr, &logs.auto.stderr}} {
		c := ch.config
		if c.Auto && *ch.own != "" {
			c.Path, c.Auto = *ch.own, false
		} else {
			*ch.own = ownFile(c)
		}
		// Not here: a shard may hold the stream while it waits for the loop.
		d.files.put(func() {
			if err := ch.stream.Reconfigure(c); err != nil {
				d.logf(LevelCritical, "%v", err)
			}
		})
	}
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
			in, news := d.heard(logs, stderr, core.ListenerOutput{ID: logs.id, Incarnation: logs.life(), Data: clone(data)})
			if news {
				d.inbox.putAnswer(in)
				d.seeTo(in, logs, stderr)
			}
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
				d.hear(logs, stderr, core.Output{ID: logs.id, Incarnation: logs.life(), Stderr: stderr, Data: clone(data)}, len(data))
			}
		}
	}
	if spec.CaptureMaxBytes <= 0 {
		return
	}
	c.CaptureMaxBytes = spec.CaptureMaxBytes
	c.Captured = func(data []byte) {
		if d.wants(commType) {
			d.hear(logs, stderr, core.Output{ID: logs.id, Incarnation: logs.life(), Stderr: stderr, Captured: true, Data: clone(data)}, len(data))
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
func (d *Daemon) hear(logs *processLogs, stderr bool, output core.Input, size int) {
	if in, news := d.heard(logs, stderr, output); news {
		d.inbox.putOutput(in, size, d.now())
		d.seeTo(in, logs, stderr)
	}
}

// heard describes a piece of output. It reports false when a daemon before has heard it.
func (d *Daemon) heard(logs *processLogs, stderr bool, output core.Input) (in heard, news bool) {
	in.Input = output
	ch := logs.channel(stderr)
	if in.position = ch.Position(); in.position == 0 {
		return in, true
	}
	in.key = stageKey(logs.id, stderr)
	if d.loop.ledger.to != nil && !d.recovering {
		in.receipt = ch.receipt
	}
	return in, in.position > ch.heard
}

// seeTo sees to the turn that takes what was heard, and waits until that has been written down.
func (d *Daemon) seeTo(in heard, logs *processLogs, stderr bool) {
	if d.recovering {
		return
	}
	d.turnNow()
	if in.receipt == nil {
		return
	}
	select {
	case <-logs.channel(stderr).receipt:
	case <-d.life.Done():
		<-d.closing // what it comes from must not be forgotten: another daemon may go on from there
	}
}

func (l *processLogs) channel(stderr bool) *channel {
	if stderr {
		return &l.stderr
	}
	return &l.stdout
}

// noteHeard notes up to where a channel is known.
func (d *Daemon) noteHeard(in heard) {
	if in.position == 0 {
		return
	}
	d.loop.heard[in.key] = in.position
	l := &d.loop.ledger
	if l.to != nil {
		l.heard = binary.AppendUvarint(binary.AppendUvarint(l.heard, in.key), in.position)
	}
	if in.receipt != nil {
		l.receipts = append(l.receipts, in.receipt)
	}
}

func clone(data []byte) []byte { return append([]byte(nil), data...) }

// createAutoLogs makes the files that AUTO promises to exist before the first start, where no start has made them.
func (d *Daemon) createAutoLogs(logs *processLogs) {
	for _, stream := range []*childlog.Stream{logs.stdout.Stream, logs.stderr.Stream} {
		if err := stream.Create(); err != nil {
			d.logf(LevelWarn, "%v", err)
		}
	}
}
