package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	m := fakeMachine(map[string]string{
		"/etc/s.conf": "[supervisord]\nloglevel=nonsense\n[include]\nfiles=*.ini\n[program:a]\nstopwaitsecs= 20 ; long\nenvironment=A=\"1\",\n  TOKEN=x\n" +
			"[unix_http_server]\npassword=p\n[DEFAULT]\npriority=4\n",
		"/etc/a.ini": "[program:b]\nstopwaitsecs=%(ENV_X)s\n[fcgi-program:c]\n[eventlistener:d]\n", "/etc/b.ini": "no section\n",
	})
	for word, want := range map[string]string{
		"stopwaitsecs":               "/etc/s.conf:6:15 program:a=20, /etc/a.ini:2:14 program:b=%(ENV_X)s, 2 unset",
		"unix_http_server.password":  "/etc/s.conf:10:10 unix_http_server=(hidden), 0 unset",
		"program.environment":        "/etc/s.conf:7:13 program:a=(hidden), 3 unset",
		"supervisord.loglevel":       "/etc/s.conf:2:10 supervisord=nonsense, 0 unset",
		"program.priority":           "/etc/s.conf:12:10 program:a=4, /etc/s.conf:12:10 program:b=4, /etc/s.conf:12:10 fcgi-program:c=4, 0 unset",
		"inet_http_server.port":      "0 unset",
		"supervisorctl.history_file": "0 unset",
	} {
		set, unset, err := Settings(m, "/etc/s.conf", OptionsNamed(word)[0])
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range set {
			got = append(got, fmt.Sprintf("%s:%d:%d %s=%s", s.File, s.Line, s.Col, s.Section, s.Value))
		}
		if text := strings.Join(append(got, fmt.Sprintf("%d unset", unset)), ", "); text != want {
			t.Errorf("%s: %s\nwant %s", word, text, want)
		}
	}
	if _, _, err := Settings(m, "/etc/gone", Options[0]); err == nil || err.Error() != "could not find config file /etc/gone" {
		t.Errorf("error %v", err)
	}
}
