package daemon

import (
	"context"
	"os"

	"github.com/graced/graced/internal/control"
)

// Doctor implements control.Examine. It asks the host from the caller's goroutine: what it finds out is about the process, not about the loop.
func (d *Daemon) Doctor(ctx context.Context) (control.Doctor, error) {
	v, err := d.current(ctx)
	if err != nil {
		return control.Doctor{}, err
	}
	facts := d.host.Facts()
	out := control.Doctor{
		Schema: control.DoctorSchema, DaemonPID: os.Getpid(), KeeperPID: d.opts.PID(), Generation: d.opts.Generation, Failed: d.opts.Failed, Kernel: facts.Kernel, Features: []control.Feature{}, Unknown: facts.Unknown,
	}
	for _, f := range facts.Features {
		out.Features = append(out.Features, control.Feature(f))
	}
	out.Grouped, out.Lacking = d.places(ctx, v)
	out.Binary, _ = os.Executable() // it is shown, no more
	if d.opts.Keeper != nil {
		keeper := d.opts.Keeper()
		out.KeeperBinary, out.KeeperFailed, out.KeeperChanging = keeper.Program, keeper.Failed, keeper.Changing
	}
	return out, nil
}
