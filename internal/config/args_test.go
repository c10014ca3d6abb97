package config

import (
	"fmt"
	"strings"
	"testing"
)

// argsCase is one answer of testdata/args.py.
type argsCase struct {
	In   []string
	Set  map[string]any
	Err  string
	Exit bool
}

// checkArgs compares a command line, together with loading a file that sets nothing, since the user is looked up after that.
func checkArgs(t *testing.T, c argsCase) {
	t.Helper()
	m := fakeMachine(map[string]string{"/the-file": "[supervisord]\n"})
	a, err := ParseDaemonArgs(m, c.In)
	var conf *Config
	if err == nil && !a.Help && !a.Version {
		path := "/the-file"
		if a.HasPath {
			path = a.Path
		}
		conf, err = Load(m, path, a.Overrides)
	}
	switch {
	case c.Err != "" || err != nil:
		if err == nil || err.Error() != c.Err {
			t.Errorf("%q: %v; Supervisor says %q", c.In, err, c.Err)
		}
		return
	case c.Exit != (a.Help || a.Version):
		t.Errorf("%q: %+v; Supervisor exits: %v", c.In, a, c.Exit)
	}
	if c.Exit {
		return
	}
	s := conf.Supervisord
	got := map[string]any{
		"nodaemon": s.Nodaemon, "silent": s.Silent, "nocleanup": s.Nocleanup, "strip_ansi": s.StripANSI, "user": s.User, "umask": s.Umask,
		"directory": s.Directory, "logfile_maxbytes": s.LogfileMaxBytes, "logfile_backups": s.LogfileBackups, "loglevel": int(s.LogLevel),
		"identifier": s.Identifier, "minfds": s.MinFDs, "minprocs": s.MinProcs,
	}
	for key, want := range c.Set {
		if n, ok := want.(float64); ok {
			want = int64(n)
		}
		have := strings.Replace(fmt.Sprint(got[key]), "true", "1", 1)
		if have != fmt.Sprint(want) || !s.Set[key] {
			t.Errorf("%q: %s is %v (set: %v), Supervisor has %v", c.In, key, got[key], s.Set[key], want)
		}
	}
	for key := range s.Set {
		if _, ok := c.Set[key]; !ok && got[key] != nil {
			t.Errorf("%q: %s is set, not so in Supervisor", c.In, key)
		}
	}
}

func TestArgsRecorded(t *testing.T) {
	if n := recorded(t, "args.jsonl", func(c argsCase) { checkArgs(t, c) }); n < 70 {
		t.Errorf("%d cases", n)
	}
}

func TestArgsLive(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: comparison of command lines with Supervisor's, because /usr/bin/python3 has no supervisor module")
	}
	rnd := newRand(t)
	// The numbers are of no accounts: the reference asks the machine for them after -u.
	words := []string{"-n", "-s", "-ns", "-k", "-t", "-c", "the-file", "--no", "--noc", "--silent", "--umask", "--umask=7", "-m", "70008", "022", "-y", "1KB", "-z2",
		"--loglevel=warn", "-e", "x", "-i", "me", "--id", "foo", "--", "-nm", "-a5", "--min=1", "--minf", "70009", "-u", "root", "-q", "/tmp", "-v", "-h"}
	questions := make([][]string, 40)
	for i := range questions {
		questions[i] = []string{}
		for range rnd.Intn(5) {
			questions[i] = append(questions[i], words[rnd.Intn(len(words))])
		}
	}
	for _, c := range ask[[]string, argsCase](t, "comparison of command lines", "/usr/bin/python3", "args.py", questions) {
		checkArgs(t, c)
	}
}

func TestArgsPath(t *testing.T) {
	m := fakeMachine(nil)
	a, err := ParseDaemonArgs(m, []string{"--profile_options", "calls", "-c", "x.conf", "-n"})
	if err != nil || a.Path != "x.conf" || !a.HasPath || !a.Profile || len(a.Overrides) != 1 || a.Overrides["nodaemon"] != "true" {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := ParseDaemonArgs(m, nil); err != nil || a.HasPath {
		t.Errorf("%+v, %v", a, err)
	}
}
