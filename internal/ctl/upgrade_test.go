package ctl

import (
	"slices"
	"strings"
	"testing"
)

// TestUpgradeToNothing: an empty word, as of a variable of a shell that is not set, names no program.
func TestUpgradeToNothing(t *testing.T) {
	f := newFixture(t, Gracectl)
	withChanges(f)
	exit := f.Run(t.Context(), []string{"upgrade", ""})
	if exit != exitUsage || !strings.Contains(f.err.String(), "error[E312]: upgrade: the program has no name: an empty word") {
		t.Errorf("exit %d\n%s%s", exit, f.out, f.err)
	}
	if slices.ContainsFunc(f.d.calls, func(c string) bool { return strings.HasPrefix(c, "Upgrade") }) {
		t.Errorf("it asked the daemon: %q", f.d.calls)
	}
}
