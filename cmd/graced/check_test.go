package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckWord checks a file by the word check: under our names, and under Supervisor's not.
func TestCheckWord(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"supervisord.conf": "[supervisord]\nnodaemon=true\n", "bad.conf": "[supervisord]\nloglevel=loud\nminfds=x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		line string
		out  string // what it contains
		code int
	}{
		{"graced check", "1 file, no programs: no errors, no warnings.\n", 0},
		{"graced check -o short bad.conf", "bad.conf:2:10: error[E110]: \"loud\" is not a value of loglevel; write critical, error, warn, info, debug, trace or blather\nbad.conf:3:8: error[E111]: ", 2},
		{"gracectl check bad.conf", "1 file, no programs: 2 errors, no warnings.", 2},
		{"gracectl -c bad.conf check -o short", "bad.conf:2:10: ", 2},
		{"gracectl explain loglevel -c bad.conf", "  set in: bad.conf:2 (loud)\n", 0},
		{"gracectl -o plain explain loglevel", "", 2}, // there is no [supervisorctl]
		{"supervisord check", "Error: positional arguments are not supported: ['check']\n", 2},
		{"supervisorctl -c bad.conf check", "Error: .ini file does not include supervisorctl section\n", 2},
	} {
		words := strings.Fields(test.line)
		cmd := exec.Command(filepath.Join(bin, words[0]), words[1:]...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // the exit code is compared
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.out) {
			t.Errorf("%s: exit %d\n%s", test.line, code, out)
		}
	}
}
