package daemon

import (
	"context"
	"os"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
)

// TestUpgradesAtOnce: a program that is asked for while another one is being tried is refused, and so is any while nobody could start it.
func TestUpgradesAtOnce(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inWorld(t, "[program:a]\ncommand=/bin/a\n", func(ctx context.Context, w *world) {
		var asked []string
		keeper := host.KeeperState{Missing: true}
		w.d.opts.HandOver = func(binary string) { asked = append(asked, binary) }
		w.d.opts.Keeper = func() host.KeeperState { return keeper }
		wantFault(t, w.d.Upgrade(ctx, ""), control.Failed, "the keeper has died, and no other can be started so far: the main log says why")
		keeper.Missing = false
		if err := w.d.Upgrade(ctx, program); err != nil {
			t.Error(err)
		}
		wantFault(t, w.d.Upgrade(ctx, ""), control.Failed, "another program is being tried already: ask again when it is known what has become of that")
		if len(asked) != 1 || asked[0] != program {
			t.Errorf("tried were %q", asked)
		}
	})
}
