package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "10s": 10 * time.Second, "2M": 2 * time.Minute, " 7 ": 7 * time.Second, "1h30m": 90 * time.Minute, "0": 0, "1.5": 1500 * time.Millisecond,
	} {
		if got, err := duration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "-1s", "1 day", "ten", "1e3", "99999999h"} {
		if got, err := duration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestHealth reads how processes are watched.
func TestHealth(t *testing.T) {
	ready, alive := process.DefaultReady, process.DefaultAlive
	asked := func(c process.Check, kind process.CheckKind, target string) process.Check {
		c.Kind, c.Target = kind, target
		return c
	}
	readiness := func(kind process.CheckKind, target string) process.Health {
		return process.Health{Ready: asked(ready, kind, target), ReadyWait: time.Minute}
	}
	quick := process.Check{Kind: process.CheckNotify, Period: 500 * time.Millisecond, Timeout: 2 * time.Second, Successes: 2, Failures: 1}
	for text, want := range map[string]process.Health{
		"": {},
		"ready_period=2\nready=\nalive= \nready_wait=1":      {},
		"ready=tcp://db:5432":                                readiness(process.CheckTCP, "db:5432"),
		"ready=tcp:80%(process_num)02d":                      readiness(process.CheckTCP, "127.0.0.1:8007"),
		"ready=TCP://[::1]:80":                               readiness(process.CheckTCP, "[::1]:80"),
		"ready=http://127.0.0.1:80%(process_num)d/r?a=1%%20": readiness(process.CheckHTTP, "http://127.0.0.1:807/r?a=1%20"),
		"ready=exec: test -e '/tmp/a b'":                     readiness(process.CheckExec, "test -e '/tmp/a b'"),
		"ready=log:^ready: .*$":                              readiness(process.CheckLog, "^ready: .*$"),
		"ready=notify\nready_period=500ms\nready_timeout=2\nready_successes=2\nready_failures=1\nready_wait=2m": {Ready: quick, ReadyWait: 2 * time.Minute},
		"alive=notify\nalive_action=STOP": {Alive: asked(alive, process.CheckNotify, ""), AliveAction: process.AliveStop},
		"alive=tcp:1\nalive_action=none":  {Alive: asked(alive, process.CheckTCP, "127.0.0.1:1"), AliveAction: process.AliveNone},
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\nnumprocs_start=7\n" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].Health; got != want || len(c.Warnings) > 0 {
			t.Errorf("%s: %+v, want %+v; warnings %v", text, got, want, c.Warnings)
		}
	}
	for text, want := range map[string]process.Roll{
		"": {},
		"roll_max_unavailable=25%%\nroll_canary=2\nroll_steady=5s\nroll_on_failure=pause": {
			MaxUnavailable: process.Share{N: 25, Percent: true}, Canary: 2, Steady: 5 * time.Second, OnFailure: process.RollPause},
		"process_name=a_%(process_num)d\nroll_surge=2":                            {Surge: process.Share{N: 2}},
		"process_name=a_%(process_num)d\nroll_surge=25%%\nroll_max_unavailable=0": {Surge: process.Share{N: 25, Percent: true}, MaxUnavailable: process.None},
		"roll_surge=0":   {},
		"roll_surge=0%%": {},
		"roll_max_unavailable=3\nroll_on_failure=stop": {MaxUnavailable: process.Share{N: 3}, OnFailure: process.RollStop},
	} {
		c := load(t, map[string]string{"/etc/s.conf": head + "[fcgi-program:a]\nsocket=tcp://h:1\ncommand=x\n" + text + "\n"}, nil)
		if got := c.Groups[0].Processes[0].Roll; got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	// Each text is refused with its place and a way out.
	for _, text := range []string{
		"ready=yes|not a check", "ready=tcp://host|not an address", "ready=tcp:0|not an address", "ready=tcp://a b:1|not an address", "ready=tcp:::1:80|not an address",
		"ready=https://h/|does not speak TLS", "ready=http:///x|not a URL", "ready=http://u:p@h/|not a URL", "ready=http://h:x/|not a URL", "ready=http://h:70000/|not a URL",
		"ready=exec:|not a command", "ready=exec: a 'b|not a command", "ready=log:(|not a pattern", "ready=log:|not a pattern", "ready=notify:x|not a check",
		"alive=log:x|does not say that a process is alive", "ready_period=0|not a duration", "alive_timeout=soon|not a duration", "ready_failures=0|not a number of times",
		"alive_action=kill|write restart, stop or none", "roll_max_unavailable=0|roll_max_unavailable", "roll_max_unavailable=101%%|roll_max_unavailable", "roll_canary=-1|roll_canary",
		"roll_steady=-1|not a duration",
		"roll_surge=x|write a number of processes", "roll_surge=-1|write a number", "roll_surge=101%%|write a number", "roll_surge=1|write process_name=%(program_name)s_%(process_num)d",
		"roll_max_unavailable=0|or add roll_surge=1", "roll_max_unavailable=0%%|or add roll_surge=1", "roll_on_failure=x|write rollback, pause or stop",
	} {
		text, want, _ := strings.Cut(text, "|")
		key, _, _ := strings.Cut(text, "=")
		e := loadError(t, map[string]string{"/etc/s.conf": head + "[program:a]\ncommand=x\n" + text + "\n"})
		if e.Key != key || e.Line != 4 || e.Hint == "" || !strings.Contains(e.Detail(), want) {
			t.Errorf("%s: %s (%+v)", text, e.Detail(), e)
		}
	}
}

// TestSurge: the extra processes of a program are those that come after its own, with its settings, and their names have to be free.
func TestSurge(t *testing.T) {
	const web = "[program:web]\ncommand=serve %(process_num)d of %(numprocs)d\nprocess_name=w_%(process_num)d\nnumprocs=2\nnumprocs_start=3\nroll_surge=2\n"
	c := load(t, map[string]string{"/etc/s.conf": head + web + "[fcgi-program:f]\nsocket=tcp://h:1\ncommand=x\nprocess_name=f%(process_num)d\nroll_surge=1\n"}, nil)
	names := func(specs []process.Spec) (out []string) {
		for _, s := range specs {
			out = append(out, fmt.Sprintf("%s %d %q %s", s.Name, s.Num, s.Command, s.Socket.URL))
		}
		return out
	}
	for _, row := range []struct {
		program string
		n       int
		taken   string
		want    string
	}{
		{"web", 2, "", `w_5 5 "serve 5 of 2" ,w_6 6 "serve 6 of 2" `},
		{"web", 2, "w_5 w_7", `w_6 6 "serve 6 of 2" ,w_8 8 "serve 8 of 2" `},
		{"f", 1, "", `f1 1 "x" tcp://h:1`},
		{"none", 1, "", ``},
		{"web", 0, "", ``},
	} {
		specs, err := c.Spares("g", row.program, row.n, func(name string) bool { return slices.Contains(strings.Fields(row.taken), name) })
		if got := strings.Join(names(specs), ","); err != nil || got != row.want {
			t.Errorf("%+v: %s, %v", row, got, err)
		}
	}
	scaled, err := c.Scaled(map[string][]int{"web": {3, 9}})
	if err != nil {
		t.Fatal(err)
	}
	if specs, err := scaled.Spares("g", "web", 1, func(string) bool { return false }); err != nil || strings.Join(names(specs), ",") != `w_10 10 "serve 10 of 2" ` {
		t.Errorf("scaled: %v, %v", names(specs), err)
	}

	e := loadError(t, map[string]string{"/etc/s.conf": head + "[group:g]\nprograms=web,other\n" + web + "[program:other]\ncommand=x\nprocess_name=w_6\n"})
	if e.Line != 9 || !strings.HasSuffix(e.Error(), " in section 'program:web' (file: '/etc/s.conf')") || e.Key != "roll_surge" || e.Code != NameTemplate || !strings.Contains(e.Detail(), "would be called w_6, as a process of the program other in the group g is") || e.Hint == "" {
		t.Errorf("%s: %s (%+v)", e.Code, e.Detail(), e)
	}
	load(t, map[string]string{"/etc/s.conf": head + web + "[program:other]\ncommand=x\nprocess_name=w_6\n"}, nil) // of another group
	listener := load(t, map[string]string{"/etc/s.conf": "[DEFAULT]\nroll_surge=1\n" + head + "[eventlistener:e]\ncommand=x\nevents=EVENT\n"}, nil)
	if r := listener.Groups[0].Processes[0].Roll; r != (process.Roll{}) {
		t.Errorf("of a listener: %+v", r)
	}
}

// TestListenersAreNotChecked: an event listener says READY itself.
func TestListenersAreNotChecked(t *testing.T) {
	listener := "[eventlistener:e]\ncommand=x\nevents=EVENT\n"
	for _, key := range []string{"ready", "alive"} {
		e := loadError(t, map[string]string{"/etc/s.conf": head + listener + key + "=tcp:80\n"})
		if want := "/etc/s.conf:5: [eventlistener:e] section sets " + key + ", but an event listener says READY by its protocol (" + key + "=tcp:80; remove " + key + ")"; e.Detail() != want ||
			e.Code != ListenerCheck {
			t.Errorf("%s: %s", e.Code, e.Detail())
		}
	}
	c := load(t, map[string]string{"/etc/s.conf": "[DEFAULT]\nready=tcp:80\n" + head + listener}, nil)
	if h := c.Groups[0].Processes[0].Health; h != (process.Health{}) {
		t.Errorf("%+v", h)
	}
}
