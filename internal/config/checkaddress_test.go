package config

import (
	"io/fs"
	"strings"
	"testing"
)

// TestCheckAddresses finds sockets that cannot be opened: their paths are too long, or another one has them.
func TestCheckAddresses(t *testing.T) {
	path := func(n int) string { return "/" + strings.Repeat("x", n-1) }
	for _, c := range []struct{ text, want string }{
		{"[socket:a]\nlisten=unix://" + path(107), ""},
		{"[socket:a]\nlisten=unix://" + path(108), "E111 3:8 the path has 108 bytes, and a socket at most 107|write a shorter one"},
		{"[socket:a]\nlisten=unix:///run/" + path(104) + "/../z", ""}, // what is written is not what is opened
		{"[unix_http_server]\nfile=" + path(99), ""},
		{"[unix_http_server]\nfile=" + path(100), "W137 3:6 the path has 100 bytes: the daemon does not start when its pid has more than 6 digits|write a shorter one, of 99 bytes at most"},
		{"[unix_http_server]\nfile=" + path(105), "W137 3:6 the path has 105 bytes: the daemon does not start when its pid has more than 1 digit|write a shorter one, of 99 bytes at most"},
		{"[unix_http_server]\nfile=" + path(106), "E137 3:6 the path has 106 bytes, and a socket of a server at most 105: the daemon does not start|write a shorter one, of 99 bytes at most: file=/run/supervisor.sock"},
		{"[fcgi-program:f]\ncommand=/bin/x\nsocket=unix://" + path(107), ""},
		{"[fcgi-program:f]\ncommand=/bin/x\nsocket=unix://" + path(108), "W137 4:8 the path has 108 bytes, and a socket at most 107|write a shorter one; every start of this program fails"},
		{"[unix_http_server]\nfile=/no/where/s", "W131 3:6 there is no directory \"/no/where\" for the socket|the daemon does not start until it is there"},
		{"[unix_http_server]\nfile=/bin/x/s", "W131 3:6 \"/bin/x\" is not a directory, and cannot hold the socket|the daemon does not start"},
		{"[fcgi-program:f]\ncommand=/bin/x\nsocket=unix:///no/s", "W131 4:8 there is no directory \"/no\" for the socket|every start of this program fails until it is there"},
		{"[socket:a]\nlisten=unix:///no/s", "W131 3:8 there is no directory \"/no\" for the socket|every start of a program that names it fails until it is there"},

		{"[unix_http_server]\nfile=/run/../s\n[socket:a]\nlisten=unix:///s", "W145 5:8 [socket:a] listens where [unix_http_server] does: unix:///s|only one of them can; give it an address of its own"},
		{"[socket:a]\nlisten=unix:///s\n[socket:b]\nlisten=unix:///s", "E145 5:8 [socket:b] listens where [socket:a] does: unix:///s|all programs that name one socket share it: name a instead"},
		{"[socket:a]\nlisten=unix:///s\n[socket:b]\nlisten=unix:///S", ""},
		{"[unix_http_server:a]\nfile=/s\n[unix_http_server:b]\nfile=/s", "E145 5:6 [unix_http_server:b] listens where [unix_http_server:a] does: unix:///s|only one of them can; give it an address of its own"},
		{"[inet_http_server]\nport=localhost:80\n[socket:a]\nlisten=tcp://127.0.0.1:80", "W145 5:8 [socket:a] listens where [inet_http_server] does: tcp://127.0.0.1:80|only one of them can; give it an address of its own"},
		{"[inet_http_server]\nport=localhost:80\n[socket:a]\nlisten=tcp://127.0.0.1:81", ""},
		{"[inet_http_server:a]\nport=127.0.0.1:80\nusername=u\npassword={SHA}x\n[inet_http_server:b]\nport=80\nusername=u\npassword={SHA}x",
			"E145 7:6 [inet_http_server:b] has the port of [inet_http_server:a] at every address: tcp://:80|only one of them can; give it an address of its own"},
		{"[socket:a]\nlisten=tcp://0.0.0.0:80\n[socket:b]\nlisten=tcp://127.0.0.2:80",
			"W145 5:8 [socket:b] has a port that [socket:a] has at every address: tcp://127.0.0.2:80|only one of them can; give it an address of its own"},
		{"[socket:a]\nlisten=tcp://127.0.0.1:80\n[socket:b]\nlisten=tcp://127.0.0.2:80\n[socket:c]\nlisten=tcp://0.0.0.0:81", ""},
		{"[socket:a]\nlisten=tcp://0.0.0.0:80\n[socket:b]\nlisten=tcp://[::1]:80", ""},
		{"[fcgi-program:f]\ncommand=/bin/x\nsocket=unix:///s\nnumprocs=2\nprocess_name=%(process_num)d\n[fcgi-program:g]\ncommand=/bin/x\nsocket=unix:///s",
			"W145 9:8 [fcgi-program:g] listens where [fcgi-program:f] does: unix:///s|only one of them can; give it an address of its own"},
	} {
		r := Check(fakeMachine(map[string]string{"/bin/x": "#!", "/run/": "", "/etc/s.conf": "[supervisord]\n" + c.text + "\n"}), "/etc/s.conf")
		var got []string
		for _, f := range r.Findings {
			if f.Code != WarnUnusedSocket {
				got = append(got, describeShort(f)+"|"+f.Label)
			}
		}
		if got := strings.Join(got, "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
}

// TestCheckEndless finds programs that are started again for ever without anybody seeing it.
func TestCheckEndless(t *testing.T) {
	const never = " no start fails by ending too soon: a program that fails at once is started again for ever, and never FATAL"
	for text, want := range map[string]string{
		"startsecs=1": "", "autorestart=true": "", "startsecs=0\nautorestart=false": "", "startsecs=0\nrestart_limit=5/60s": "", "startsecs=0\nready=tcp:80": "", "startsecs=0\npost_ready=/bin/x\npost_ready_on_failure=fail": "",
		"startsecs=0\nautorestart=true\nready=notify": "",
		"startsecs=0":                   "W161 4:11 with startsecs=0" + never,
		"startsecs=0\nready=":           "W161 4:11 with startsecs=0" + never,
		"startsecs=-1\nalive=tcp:80":    "W161 4:11 with startsecs=-1" + never,
		"startsecs=0\nautorestart=true": "W161 4:11 with startsecs=0 no start fails by ending too soon: a program that ends at once is started again for ever, and never FATAL",
	} {
		got := strings.Join(findings(fakeMachine(map[string]string{"/bin/x": "#!", "/etc/s.conf": "[supervisord]\n[program:a]\ncommand=/bin/x\n" + text + "\n"})), "\n")
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}

// TestCheckClient finds clients that look for the daemon where it is not.
func TestCheckClient(t *testing.T) {
	const inet, unix = "[inet_http_server]\nport=127.0.0.1:9001\n", "[unix_http_server]\nfile=/run/a\n"
	for _, c := range []struct{ servers, url, want string }{
		{unix, "unix:///run/a", ""}, {unix, "unix:///run/../run/a", ""}, {inet, "http://localhost:9001", ""}, {inet, "http://127.0.0.1:9001/", ""}, {inet + unix, "unix:///run/a", ""},
		{"", "unix:///run/b", ""}, {inet, "http://other:9002", ""}, {inet, "http://other", ""}, {"[unix_http_server]\n", "unix:///run/b", "E113 2:2 [unix_http_server] has no file|add file=/run/supervisor.sock"},
		{unix, "unix:///run/b", "W158 5:11 no server of these files listens at \"unix:///run/b\": clients find no daemon there|write serverurl=unix:///run/a"},
		{unix, "http://localhost:9001", "W158 5:11 no server of these files listens at \"http://localhost:9001\": clients find no daemon there|write serverurl=unix:///run/a"},
		{inet, "http://127.0.0.1:9002", "W158 5:11 no server of these files listens at \"http://127.0.0.1:9002\": clients find no daemon there|write serverurl=http://127.0.0.1:9001"},
		{inet, "unix:///run/a", "W158 5:11 no server of these files listens at \"unix:///run/a\": clients find no daemon there|write serverurl=http://127.0.0.1:9001"},
	} {
		if got := strings.Join(findingsAs(fakeMachine(map[string]string{"/run/": "", "/etc/s.conf": "[supervisord]\n" + c.servers + "[supervisorctl]\nserverurl=" + c.url + "\n"}), withLabel), "\n"); got != c.want {
			t.Errorf("%s%s:\n%s\nwant\n%s", c.servers, c.url, got, c.want)
		}
	}
}

// TestCheckUnseen: what the user who asks may not see is not said to be missing.
func TestCheckUnseen(t *testing.T) {
	m := fakeMachine(map[string]string{"/etc/s.conf": "[supervisord]\n[unix_http_server]\nfile=/hid/x/s\n[program:a]\ncommand=/hid/x/run\ndirectory=/hid/x\nenvironment_file=/hid/x/e\n"})
	m.Stat = func(string) (FileInfo, error) { return FileInfo{}, fs.ErrPermission }
	if got := findings(m); got != nil {
		t.Errorf("found %q", got)
	}
}

// TestCheckCounts finds numbers and times with which nothing happens.
func TestCheckCounts(t *testing.T) {
	for text, want := range map[string]string{
		"numprocs=0": "", "numprocs=1": "", "stopwaitsecs=0": "", "drain_signal=USR1\ndrain_timeout=0": "", "drain_command=/bin/x": "", "numprocs=10000\nprocess_name=%(process_num)d": "",
		"numprocs=-1":                                           "W149 4:10 numprocs=-1 is no process, as 0 is",
		"stopwaitsecs=-1":                                       "W149 4:14 stopwaitsecs=-1 leaves no time to stop: SIGKILL follows at once, as with 0",
		"stopwaitsecs=-1\nstop_steps=TERM":                      "",
		"drain_command=/bin/x\ndrain_timeout=0":                 "W149 5:15 drain_timeout=0 has drain_command killed as soon as it is started",
		"reload_command=/bin/x\nreload_timeout=0s":              "W149 5:16 reload_timeout=0 has reload_command killed as soon as it is started",
		"pre_start_timeout=0":                                   "E111 4:19 \"0\" is not a value of pre_start_timeout",
		"post_stop_timeout=0ms":                                 "E111 4:19 \"0ms\" is not a value of post_stop_timeout",
		"numprocs=10001\nprocess_name=%(process_num)d":          "W154 4:10 numprocs=10001 is more than this machine is likely to carry",
		"numprocs=100001\nprocess_name=%(process_num)d":         "E111 4:10 \"100001\" is not a value of numprocs",
		"numprocs=999999999999\nprocess_name=%(process_num)d\n": "E111 4:10 \"999999999999\" is not a value of numprocs",
	} {
		got := strings.Join(findings(fakeMachine(map[string]string{"/bin/x": "#!", "/etc/s.conf": "[supervisord]\n[program:a]\ncommand=/bin/x\n" + text + "\n"})), "\n")
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}
