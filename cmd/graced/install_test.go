package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestInstalled puts our programs in the place of Supervisor's in an installation of Debian's package: the commands of its unit and of its
// init script do what they did.
func TestInstalled(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: Debian's unit and init commands with our programs, because only root can have a root directory of its own")
	}
	if _, err := os.Stat("/etc/init.d/supervisor"); err != nil {
		t.Skip("hidden: Debian's unit and init commands with our programs, because Debian's supervisor is not installed")
	}
	if out, err := exec.Command("unshare", "-mpf", "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("hidden: Debian's unit and init commands with our programs, because this needs the privilege to mount: %s", out)
	}
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	install := func(args ...string) string {
		root := filepath.Join(t.TempDir(), "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", append([]string{"testdata/install.sh", root}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text := string(out)
		for _, m := range sideMasks {
			text = m.match.ReplaceAllString(text, m.word)
		}
		return regexp.MustCompile(`uptime \d+:\d\d:\d\d`).ReplaceAllString(text, "uptime TIME")
	}
	own, reference := install(bin), install()
	own = regexp.MustCompile(`(?m)^.*\.ledger(\.new)?\n`).ReplaceAllString(own, "") // ours alone
	// On a slow machine its pid file comes later than the script waits for.
	reference = strings.ReplaceAll(reference, "Starting supervisor:  ERROR.", "Starting supervisor: supervisord.")
	if own != reference {
		t.Errorf("ours:\n%s\nSupervisor's:\n%s", own, reference)
	}
	if strings.Count(own, "exit 0") < 12 {
		t.Errorf("hardly anything works:\n%s", own)
	}
}
