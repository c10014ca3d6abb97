package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/control"
)

// logPath finds the file of a log. NoFile when the log is not kept.
func (d *Daemon) logPath(ctx context.Context, log control.Log) (string, error) {
	if log.Main {
		if d.opts.MainLog == nil {
			return "", control.Fault(control.NoFile, "")
		}
		return d.opts.MainLog.Path(), nil
	}
	s, err := d.stream(ctx, log)
	if err != nil {
		return "", err
	}
	if s.Path() == "" {
		return "", control.Fault(control.NoFile, "")
	}
	return s.Path(), nil
}

// stream finds the stream of one channel of a process.
func (d *Daemon) stream(ctx context.Context, log control.Log) (*childlog.Stream, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	m, err := v.find(log.Process)
	if err != nil {
		return nil, err
	}
	if log.Channel == control.Stderr {
		return m.logs.stderr.Stream, nil
	}
	return m.logs.stdout.Stream, nil
}

// ReadLog implements control.Logs.
func (d *Daemon) ReadLog(ctx context.Context, log control.Log, offset, length int64) ([]byte, error) {
	path, err := d.logPath(ctx, log)
	if err != nil {
		return nil, err
	}
	data, err := childlog.Read(path, offset, length)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, control.Fault(control.NoFile, path)
	case errors.Is(err, childlog.ErrBadArguments):
		return nil, control.Fault(control.BadArguments, "")
	default:
		return nil, control.Fault(control.Failed, "")
	}
}

// TailLog implements control.Logs. A log that is not there is empty, not an error.
func (d *Daemon) TailLog(ctx context.Context, log control.Log, offset, length int64) (control.Tail, error) {
	path, err := d.logPath(ctx, log)
	var fault *control.Error
	if errors.As(err, &fault) && fault.Code == control.NoFile {
		return control.Tail{}, nil
	}
	if err != nil {
		return control.Tail{}, err
	}
	data, end, overflow, err := childlog.Tail(path, offset, length)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return control.Tail{}, control.Fault(control.Failed, "")
	}
	return control.Tail{Data: data, Offset: end, Overflow: overflow}, nil
}

// FollowLog implements control.Logs.
func (d *Daemon) FollowLog(ctx context.Context, log control.Log) (control.Follower, error) {
	var f *childlog.Follower
	path, err := d.logPath(ctx, log)
	if err != nil {
		return nil, err
	}
	if log.Main {
		f, err = d.opts.MainLog.Follow(ctx)
	} else {
		var s *childlog.Stream
		if s, err = d.stream(ctx, log); err != nil {
			return nil, err
		}
		f, err = s.Follow(ctx)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, control.Fault(control.NoFile, path)
	case err != nil:
		return nil, control.Fault(control.Failed, err.Error())
	}
	return &follower{from: f, life: d.life, buf: make([]byte, 32<<10)}, nil
}

// follower ends a stream when the daemon stops.
type follower struct {
	from *childlog.Follower
	life context.Context
	buf  []byte
}

// Next implements control.Follower.
func (f *follower) Next(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.life, func() { cancel(io.EOF) })()
	n, err := f.from.Next(ctx, f.buf)
	if err != nil && errors.Is(context.Cause(ctx), io.EOF) {
		err = io.EOF
	}
	return f.buf[:n], err
}

// Close implements control.Follower.
func (f *follower) Close() error {
	f.from.Close()
	return nil
}

// ClearLog implements control.Logs.
func (d *Daemon) ClearLog(ctx context.Context, log control.Log) error {
	if log.Main {
		if d.opts.MainLog == nil {
			return control.Fault(control.NoFile, "")
		}
		if _, err := os.Stat(d.opts.MainLog.Path()); err != nil {
			return control.Fault(control.NoFile, "")
		}
		// compat: the line belongs to the old content, so the cleared log is empty.
		d.logf(LevelInfo, "reopening log file")
		d.opts.Flush()
		if err := d.opts.MainLog.Clear(); err != nil {
			return control.Fault(control.Failed, "")
		}
		return nil
	}
	v, err := d.current(ctx)
	if err != nil {
		return err
	}
	m, err := v.find(log.Process)
	if err != nil {
		return err
	}
	if m.logs.clear() != nil {
		return control.Fault(control.Failed, log.Process)
	}
	return nil
}

// clear empties both channels.
func (l *processLogs) clear() error {
	return errors.Join(l.stdout.Clear(), l.stderr.Clear())
}

// ClearAllLogs implements control.Logs.
func (d *Daemon) ClearAllLogs(ctx context.Context) ([]control.Result, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]control.Result, 0, len(v.procs))
	for _, m := range v.byPriority() {
		row := control.Result{Group: m.Group, Name: m.Name, Code: control.Success, Text: "OK"}
		if m.logs.clear() != nil {
			e := control.Fault(control.Failed, m.Namespec().String())
			row.Code, row.Text = e.Code, e.Error()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// ReopenLogs closes and opens every log again, for an outside rotation (SIGUSR2).
func (d *Daemon) ReopenLogs(ctx context.Context) {
	d.logf(LevelInfo, "supervisord logreopen")
	if d.opts.MainLog != nil {
		d.opts.Flush() // what was said before belongs to the old file
		if err := d.opts.MainLog.Reopen(); err != nil {
			d.logf(LevelError, "cannot reopen the main log: %v", err)
		}
	}
	v, err := d.current(ctx)
	if err != nil {
		return
	}
	for _, m := range v.procs {
		if err := errors.Join(m.logs.stdout.Reopen(), m.logs.stderr.Reopen()); err != nil {
			d.logf(LevelError, "cannot reopen the logs of %s: %v", m.Namespec(), err)
		}
	}
}
