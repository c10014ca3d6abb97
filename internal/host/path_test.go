package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestOwnPath checks that a command is looked for along the PATH of its own environment, and of the daemon's without one.
func TestOwnPath(t *testing.T) {
	own, daemons := t.TempDir(), t.TempDir()
	for _, dir := range []string{own, daemons} {
		if err := os.WriteFile(filepath.Join(dir, "some-tool"), []byte("#!/bin/sh\necho "+dir+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", daemons+":"+os.Getenv("PATH"))
	r := newRig(t, Options{})
	sp := spec("")
	sp.Command = "some-tool"
	for _, c := range []struct {
		env  []process.Env
		want string
	}{
		{nil, daemons}, {[]process.Env{{Key: "PATH", Value: "/nowhere:" + own}}, own},
	} {
		sp.Environment = c.env
		x := r.spawn(sp)
		x.exited()
		if x.out.String() != c.want+"\n" {
			t.Errorf("environment %v: found in %q, want %s", c.env, x.out, c.want)
		}
	}
}
