package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
)

// Shutdown implements control.Admin. While the daemon shuts down already it only agrees.
func (d *Daemon) Shutdown(ctx context.Context) error {
	return d.quit(ctx, false)
}

// Restart implements control.Admin. Broken files refuse it before anything is stopped (quirk C17), and so does what they ask for when it
// cannot be had.
func (d *Daemon) Restart(ctx context.Context) error {
	if _, err := d.restartable(); err != nil {
		return err
	}
	return d.quit(ctx, true)
}

// restartable reads the files and returns them if a restart could go on with them.
func (d *Daemon) restartable() (*config.Config, error) {
	c, err := d.load()
	if err != nil || d.opts.CheckRestart == nil {
		return c, err
	}
	if err := d.opts.CheckRestart(c); err != nil {
		return nil, cantReread(err)
	}
	return c, nil
}

// Upgrade implements control.Change.
func (d *Daemon) Upgrade(ctx context.Context, binary string) error {
	if d.opts.HandOver == nil {
		return control.Fault(control.UnknownMethod, "")
	}
	if control.Mood(d.mood.Load()) != control.MoodRunning {
		return control.Fault(control.ShutdownState, "")
	}
	if binary != "" {
		if why := noProgram(binary); why != "" {
			return control.Fault(control.Failed, binary+": "+why)
		}
	}
	var unwritten error
	if !d.do(ctx, func(core.Now) { unwritten = d.unwritten() }) {
		return gone(ctx)
	}
	if unwritten != nil {
		return control.Fault(control.Failed, "another daemon could not go on, since what it has to know cannot be written down: "+unwritten.Error())
	}
	d.noteCalls() // nobody else knows who has made them
	if d.opts.Keeper != nil && d.opts.Keeper().Missing {
		return control.Fault(control.Failed, "the keeper has died, and no other can be started so far: the main log says why")
	}
	if !d.handing.CompareAndSwap(false, true) {
		return control.Fault(control.Failed, "another program is being tried already: ask again when it is known what has become of that")
	}
	d.logf(LevelWarn, "handing over to another daemon")
	d.opts.HandOver(binary)
	return nil
}

// noProgram says why a file cannot be a program, "" if it may be one.
func noProgram(path string) string {
	info, err := os.Stat(path)
	var place *fs.PathError
	switch {
	case !filepath.IsAbs(path):
		return "it is no absolute path"
	case errors.As(err, &place):
		return place.Err.Error()
	case err != nil:
		return err.Error()
	case info.IsDir():
		return "it is a directory"
	case !info.Mode().IsRegular():
		return "it is no regular file"
	case info.Mode()&0o111 == 0:
		return fmt.Sprintf("it is not executable: its mode is %04o", info.Mode().Perm())
	}
	return ""
}

// tellFailedUpgrade tells that this daemon goes on since another program could not.
func (d *Daemon) tellFailedUpgrade() {
	if d.opts.Failed == "" {
		return
	}
	own, _ := os.Executable() // it is shown, no more
	d.logf(LevelError, "not upgraded: %s; the program before, %s, goes on, and no process was restarted", d.opts.Failed, own)
}

func (d *Daemon) quit(ctx context.Context, restart bool) error {
	if !d.do(ctx, func(now core.Now) { d.step(now, core.Command{Do: core.Quit{Restart: restart}}) }) {
		return gone(ctx)
	}
	return nil
}

// SendRemote implements control.Admin.
func (d *Daemon) SendRemote(ctx context.Context, kind, data string) error {
	if !d.do(ctx, func(now core.Now) { d.step(now, core.Command{Do: core.SendRemote{Kind: kind, Data: data}}) }) {
		return gone(ctx)
	}
	return nil
}

// Log implements control.Admin.
func (d *Daemon) Log(_ context.Context, level int, message string) error {
	for _, l := range levels {
		if l.number == level {
			d.logf(l.level, "%s", message)
			return nil
		}
	}
	return control.Fault(control.IncorrectParameters, "")
}
