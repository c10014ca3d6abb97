package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestSample starts both daemons with the sample, its paths in a directory of the test's own, and has the original read it with every
// option in force.
func TestSample(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	echo := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	text := echo(filepath.Join(bin, "echo_supervisord_conf"), "whatever", "-x")
	if text != sample || echo(filepath.Join(bin, "graced"), "sample") != sample {
		t.Error("not the sample is printed")
	}
	bothSides(t, func(s *side) string {
		s.write("s.conf", strings.ReplaceAll(text, "/tmp/", s.dir+"/"))
		s.command("", "-c", "s.conf")
		s.launch()
		code := s.ended()
		s.end = make(chan error)
		s.until("the pid file", func() bool { return strings.HasSuffix(s.read("supervisord.pid"), "\n") })
		s.pid = s.pidOf("supervisord.pid")
		status, err := exec.Command(filepath.Join(bin, "supervisorctl"), "-c", s.path("s.conf"), "version").CombinedOutput()
		if err != nil {
			t.Errorf("supervisorctl: %v", err)
		}
		files := s.files()
		s.signal(syscall.SIGTERM)
		s.gone()
		return fmt.Sprint(code, s.err.String(), string(status), s.mask(s.read("supervisord.log")), files, s.files())
	})

	// What is in force is what the original's sample has in force.
	const original = "/usr/bin/echo_supervisord_conf"
	if _, err := os.Stat(original); err != nil {
		t.Skip("hidden: whether our sample file is in force as Supervisor's, because Debian's supervisor is not installed")
	}
	inForce := func(text string) string {
		out := ""
		for _, line := range strings.Split(text, "\n") {
			line, _, _ = strings.Cut(line, " ;")
			line = strings.ReplaceAll(strings.TrimSpace(line), " ", "")
			if line != "" && line[0] != ';' {
				out += line + "\n"
			}
		}
		return out
	}
	if got, want := inForce(text), inForce(echo(original)); got != want {
		t.Errorf("in force:\n%sin the original's:\n%s", got, want)
	}
	dir := t.TempDir()
	full := strings.ReplaceAll(everyOption(text), "/tmp", dir)
	if err := os.WriteFile(filepath.Join(dir, "full.conf"), []byte(full), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("/usr/bin/python3", "-W", "ignore", "-c", "import sys\nfrom supervisor.options import ServerOptions\no = ServerOptions()\n"+
		"o.realize(['-c', sys.argv[1]], doc='')\nprint(len(o.process_group_configs), len(o.server_configs))", filepath.Join(dir, "full.conf")).CombinedOutput()
	// The group, the listener and the FastCGI program; the program belongs to the group.
	if err != nil || string(out) != "3 2\n" {
		t.Errorf("the original on the sample with every option: %v\n%s", err, out)
	}
}

// everyOption takes the semicolons away from options and sections.
func everyOption(text string) string {
	text = regexp.MustCompile(`(?m)^;(\[[a-z]|[a-z_]+=)`).ReplaceAllString(text, "$1")
	return strings.ReplaceAll(text, "programs=name,other", "programs=name")
}
