package config

import (
	"slices"
	"strings"
	"testing"
)

// TestNamedSockets reads sockets and who names them: each in the order of its list, and of each process its own where the name says so.
func TestNamedSockets(t *testing.T) {
	const sockets = "[socket:web]\nlisten=TCP://127.0.0.1:08080\nbacklog=5\n[socket:web_1]\nlisten=unix:///run/../run/x\nmode=0660\nowner=root\n[socket:six]\nlisten=tcp://[::1]:80\n"
	read := func(program string) string {
		c := load(t, map[string]string{"/etc/s.conf": head + strings.Replace(sockets, "TCP", "tcp", 1) + "[program:a]\ncommand=x\n" + program}, nil)
		var out strings.Builder
		for _, p := range c.Groups[0].Processes {
			for _, s := range p.Sockets {
				out.WriteString(s.String() + "; ")
			}
		}
		return out.String()
	}
	for program, want := range map[string]string{
		"":                  "",
		"sockets=":          "",
		"sockets=six , web": "six tcp://[::1]:80; web tcp://127.0.0.1:8080 backlog=5; ",
		"sockets=%(program_name)s\n[socket:a]\nlisten=tcp://localhost:1": "a tcp://localhost:1; ",
		"numprocs=1\nnumprocs_start=1\nsockets=web_%(process_num)d":      "web_1 unix:///run/x mode=0660 owner=0; ",
	} {
		if got := read(program + "\n"); got != want {
			t.Errorf("%q: %s, want %s", program, got, want)
		}
	}
	for section, want := range map[string]string{
		"[socket:x]\nlisten=tcp://127.0.0.1":                         "listen",
		"[socket:x]\nlisten=tcp:80":                                  "listen",
		"[socket:x]\nlisten=tcp://h:0":                               "listen",
		"[socket:x]\nlisten=unix://x":                                "listen",
		"[socket:x]\nlisten=udp://h:1":                               "listen",
		"[socket:x]\nlisten=tcp://h:1\nmode=0666":                    "listen",
		"[socket:x]\nlisten=":                                        "listen",
		"[socket:x]":                                                 "listen",
		"[socket:x]\nlisten=tcp://h:1\n[socket:y]\nlisten=tcp://H:1": "listen",
		"[socket:x]\nlisten=unix:///x\nowner=nosuch":                 "owner",
		"[socket:a,b]\nlisten=tcp://h:1":                             "",
		"[program:x]\ncommand=x\nsockets=none":                       "sockets",
		"[socket:x]\nlisten=tcp://h:1\n[fcgi-program:p]\ncommand=x\nsocket=tcp://h:2\nsockets=x,x": "sockets",
	} {
		if e := loadError(t, map[string]string{"/etc/s.conf": head + section + "\n"}); e.Key != want {
			t.Errorf("%q: %q, want one about %q", section, e, want)
		}
	}
}

// TestSocketWarnings: a socket that nobody names, and a limit that is in the way.
func TestSocketWarnings(t *testing.T) {
	const files = "[socket:a]\nlisten=tcp://h:1\n[socket:b]\nlisten=tcp://h:2\n[program:p]\ncommand=/bin/cat\npids_max=9\nsockets="
	for names, want := range map[string][]string{
		"a":    {"W147 [socket:b]", "W146 pids_max=9"},
		"b, a": {"W146 pids_max=9"},
		"":     {"W147 [socket:a]", "W147 [socket:b]"},
		"none": {"E114 none"},
	} {
		m := fakeMachine(map[string]string{"/etc/s.conf": head + files + names + "\n"})
		var got []string
		for _, f := range findings(m) {
			for _, w := range []string{"W146 pids_max=9", "W147 [socket:a]", "W147 [socket:b]", "E114 none"} {
				code, word, _ := strings.Cut(w, " ")
				if strings.HasPrefix(f, code) && strings.Contains(f, word) {
					got = append(got, w)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("sockets=%s: %q, want %q; all: %q", names, got, want, findings(m))
		}
	}
}
