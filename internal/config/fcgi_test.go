package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

const fcgiHead = head + "[fcgi-program:f]\ncommand=x\n"

// TestSocketOwner: without socket_owner the socket belongs to the account of the program, where that is not our own.
func TestSocketOwner(t *testing.T) {
	for _, c := range []struct {
		we       int
		options  string
		uid, gid int
	}{
		{0, "", process.UnsetID, process.UnsetID},
		{0, "user=alice\n", 1001, 1002},
		{0, "user=root\n", process.UnsetID, process.UnsetID},
		{1001, "user=alice\n", process.UnsetID, process.UnsetID},
		{1001, "user=root\n", 0, 0},
		{0, "user=alice\nsocket_owner=root\n", 0, process.UnsetID},
		{1001, "user=alice\nsocket_owner=alice:wheel\n", 1001, 10},
	} {
		m := fakeMachine(map[string]string{"/etc/s.conf": fcgiHead + "socket=unix:///s\n" + c.options})
		m.UID = c.we
		conf, err := Load(m, "/etc/s.conf", nil)
		if err != nil {
			t.Fatal(err)
		}
		if s := conf.Groups[0].Processes[0].Socket; s.UID != c.uid || s.GID != c.gid {
			t.Errorf("as %d with %q: %d %d", c.we, c.options, s.UID, s.GID)
		}
	}
}

// TestGroupKeepsSocket keeps quirk A13 fixed: members of a group have their program's socket, in every group; programs beside them have none.
func TestGroupKeepsSocket(t *testing.T) {
	c := load(t, map[string]string{"/etc/s.conf": fcgiHead + "socket=tcp://h:1\nsocket_backlog=5\n[group:g]\nprograms=p,f\n[group:h]\nprograms=f\n" +
		"[program:p]\ncommand=x\n"}, nil)
	want := process.SocketSpec{URL: "tcp://h:1", Backlog: 5, UID: process.UnsetID, GID: process.UnsetID}
	for _, g := range c.Groups {
		if g.Kind != process.KindHeterogeneous {
			t.Errorf("group %s is of kind %d", g.Name, g.Kind)
		}
		for _, p := range g.Processes {
			if got := p.Socket; p.Name == "f" && got != want || p.Name == "p" && got != (process.SocketSpec{}) {
				t.Errorf("%s:%s has the socket %+v", g.Name, p.Name, got)
			}
		}
	}
	if len(c.Groups) != 2 || len(warned(c, GroupSocket)) != 0 {
		t.Errorf("groups %+v, warnings %v", c.Groups, c.Warnings)
	}
}

// TestGroupBadSocket: what Supervisor never reads cannot be an error.
func TestGroupBadSocket(t *testing.T) {
	for options, want := range map[string]string{
		"":                                "2: [fcgi-program:f] gets no socket as a member of a group: [fcgi-program:f] section requires a \"socket\" line",
		"socket=foo\n":                    "4: [fcgi-program:f] gets no socket as a member of a group: Bad socket format foo",
		"user=%(program_name)s\nsocket=x": "4: [fcgi-program:f] gets no socket as a member of a group: %(program_name)s is not a known name",
	} {
		m := fakeMachine(map[string]string{"/etc/s.conf": fcgiHead + options + "\n[group:g]\nprograms=f\n"})
		find := m.User
		m.User = func(name string) (User, error) {
			if name == "f" {
				return User{Name: "f", UID: 7, GID: 7}, nil
			}
			return find(name)
		}
		c, err := Load(m, "/etc/s.conf", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := warned(c, GroupSocket); !slices.Equal(got, []string{want}) {
			t.Errorf("%q: warnings %q, want %q", options, got, want)
		}
		if got := c.Groups[0].Processes[0].Socket; got != (process.SocketSpec{}) {
			t.Errorf("%q: socket %+v", options, got)
		}
	}
}

// TestSocketErrorDetail: humans get the place and a way out.
func TestSocketErrorDetail(t *testing.T) {
	for options, want := range map[string]string{
		"socket=foo":                     "/etc/s.conf:4: [fcgi-program:f] Bad socket format foo (socket=foo; write tcp://host:port or unix:///path)",
		"":                               "/etc/s.conf:2: [fcgi-program:f] section requires a \"socket\" line (add socket=unix:///run/f.sock)",
		"socket_backlog=0\nsocket=foo":   "/etc/s.conf:4: [fcgi-program:f] Invalid socket_backlog value 0 (socket_backlog=0; write a number from 1 to 65535)",
		"socket=tcp://a:1\nsockt_mode=0": "",
	} {
		m := fakeMachine(map[string]string{"/etc/s.conf": fcgiHead + options + "\n"})
		c, err := Load(m, "/etc/s.conf", nil)
		if want == "" {
			if err != nil {
				t.Fatal(err)
			}
			if got := warned(c, UnknownKey); !slices.Equal(got, []string{"5: unknown option sockt_mode in [fcgi-program:f] is ignored; did you mean socket_mode?"}) {
				t.Errorf("warnings %q", got)
			}
			continue
		}
		var e *Error
		if ok := errors.As(err, &e); !ok || e.Detail() != want {
			t.Errorf("%q: %v\nwant %s", options, err, want)
			if ok {
				t.Log(e.Detail())
			}
		}
	}
}

// parseAddressOfSocket is parseSocket outside of a file.
func parseAddressOfSocket(text string) (string, error) {
	m := fakeMachine(nil)
	m.Dir = "/"
	l := &loader{m: m, table: newTable()}
	var s process.SocketSpec
	err := l.reader(newSection("fcgi-program:f", "", 0), newScope(nil)).parseSocket(text, &s)
	return s.URL, err
}

// TestSocketLive compares addresses made of likely pieces with the reference's, where quirk A9 leaves a sentence.
func TestSocketLive(t *testing.T) {
	if !haveSupervisor() {
		t.Skip("hidden: whether addresses of sockets read as under Supervisor, because /usr/bin/python3 has no supervisor module")
	}
	type question struct {
		In string `json:"in"`
	}
	type answer struct{ URL, Err string }
	r := newRand(t)
	pieces := strings.Split("unix:// tcp:// unix: / // /. /.. /../ . a B.c é İ : :: 1 0 80 65535 65536 00080 _ - + ١ 𝟟 [ ] \t @ % ~", " ")
	pieces = append(pieces, " ", "\n", "\u2003", "")
	questions := make([]question, 3000)
	for i := range questions {
		text := []string{"unix:///", "unix://", "tcp://h:", "tcp://", ""}[r.Intn(5)]
		for range r.Intn(5) {
			text += pieces[r.Intn(len(pieces))]
		}
		questions[i].In = text
	}
	good := 0
	for i, want := range ask[question, answer](t, "the reading of addresses of sockets", "/usr/bin/python3", "fcgi.py", questions) {
		url, err := parseAddressOfSocket(questions[i].In)
		got := answer{URL: url}
		if err != nil {
			got = answer{Err: err.Error()}
		} else {
			good++
		}
		if got != want {
			t.Errorf("%q: %+v, Supervisor says %+v", questions[i].In, got, want)
		}
	}
	if good < 300 || good > 2700 {
		t.Errorf("%d of %d addresses are good: the pieces are badly chosen", good, len(questions))
	}
}

// FuzzSocket: an accepted address is read as itself.
func FuzzSocket(f *testing.F) {
	for _, s := range []string{"unix:///a/../b", "tcp://H:080", "tcp://[::1]:1", "unix://", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		url, err := parseAddressOfSocket(text)
		if err != nil {
			return
		}
		if again, err := parseAddressOfSocket(url); err != nil || again != url {
			t.Errorf("%q becomes %q, which becomes %q, %v", text, url, again, err)
		}
	})
}

// TestPortBeyond: numbers that fit nowhere are told as Supervisor tells them.
func TestPortBeyond(t *testing.T) {
	for in, want := range map[string]string{
		"0065535000806553565535": "65535000806553565535 is above upper bound (65535)",
		"-9_9999999999999999999": "-99999999999999999999 is below lower bound (1)",
		"+99999999999999999999١": "999999999999999999991 is above upper bound (65535)",
	} {
		if _, err := parsePort(in); err == nil || err.Error() != want {
			t.Errorf("%s: %v, not %s", in, err, want)
		}
	}
}
