package config

import (
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// TestRestarts reads the options about restarts that only graced has.
func TestRestarts(t *testing.T) {
	const s = time.Second
	for text, want := range map[string]process.Spec{
		"backoff=0":                          {},
		"backoff=5s":                         {Backoff: process.BackoffSpec{First: 5 * s, Most: 5 * s, Factor: 1000}},
		"backoff=5 jitter=1":                 {Backoff: process.BackoffSpec{First: 5 * s, Most: 5 * s, Factor: 1000, Jitter: 1000}},
		"backoff=1s..30s":                    {Backoff: process.BackoffSpec{First: s, Most: 30 * s, Factor: 2000}},
		"backoff=100ms..1M  JITTER=.25 x1.5": {Backoff: process.BackoffSpec{First: s / 10, Most: 60 * s, Factor: 1500, Jitter: 250}},
		"backoff=1..24h x100":                {Backoff: process.BackoffSpec{First: s, Most: 24 * time.Hour, Factor: 100_000}},
	} {
		for _, head := range []string{"[program:a]\n", "[eventlistener:a]\nevents=TICK_5\n", "[fcgi-program:a]\nsocket=unix:///s\n"} {
			c := load(t, map[string]string{"/etc/s.conf": "[supervisord]\n" + head + "command=x\n" + text + "\n"}, nil)
			if got := c.Groups[0].Processes[0]; got.Backoff != want.Backoff || len(warned(c, UnknownKey)) > 0 {
				t.Errorf("%s%s: %+v, want %+v", head, text, got.Backoff, want.Backoff)
			}
			if b, err := ParseBackoff(want.Backoff.String()); want.Backoff.Set() && (err != nil || b != want.Backoff) {
				t.Errorf("%q reads as %+v, %v", want.Backoff, b, err)
			}
		}
	}
	for text, want := range map[string]process.Rate{
		"5/60s": {Count: 5, Within: 60 * s}, "1 / 1": {Count: 1, Within: s}, "1000/24H": {Count: 1000, Within: 24 * time.Hour}, "3/1m30s": {Count: 3, Within: 90 * s}, "0": {},
	} {
		c := load(t, map[string]string{"/etc/s.conf": "[supervisord]\n[program:a]\ncommand=x\nrestart_limit=" + text + "\nbreaker=" + text + "\n"}, nil)
		if p := c.Groups[0].Processes[0]; p.RestartLimit != want || p.Breaker != want || len(warned(c, UnknownKey)) > 0 {
			t.Errorf("%s: %+v and %+v, want %+v", text, p.RestartLimit, p.Breaker, want)
		}
		if r, err := ParseRate(want.String()); want.Count > 0 && (err != nil || r != want) {
			t.Errorf("%q reads as %+v", want, r)
		}
	}
	refused := map[string][]string{
		"backoff":       {"", "x2", "1s x2", "0s", "99ms", "25h", "-1s", "5s..1s", "1s..", "..1s", "1s..48h", "1s..2s x0.5", "1s..2s x101", "1s..2s xNaN", "1s..2s y2", "1s jitter=2", "1s jitter=-1", "1s 2s", "much"},
		"restart_limit": {"", "5", "5/", "/5s", "0/5s", "-1/5s", "5/0s", "5/500ms", "5/25h", "1001/1s", "5/5s/5s", "many"},
		"breaker":       {"", "3", "0/1s"},
	}
	for key, values := range refused {
		for _, value := range values {
			e := loadError(t, map[string]string{"/etc/s.conf": "[supervisord]\n[program:a]\ncommand=x\n" + key + "=" + value + "\n"})
			if e.Key != key || e.Value != value || e.Line != 4 || e.Code != BadValue || e.Hint == "" {
				t.Errorf("%s=%s: %+v", key, value, e)
			}
		}
	}
}
