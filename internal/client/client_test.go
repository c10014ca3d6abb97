package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/web"
	"github.com/graced/graced/internal/xmlrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// background is the context of calls that nothing interrupts.
var background = context.Background()

// serve answers for svc on a unix and an inet socket and returns their URLs.
func serve(t *testing.T, svc control.Service, username, password string, plugins ...xmlrpc.Plugin) (unix, inet string) {
	t.Helper()
	if plugins == nil {
		plugins = []xmlrpc.Plugin{{Name: "supervisor", Factory: xmlrpc.FactoryMain}, {Name: "grace", Factory: xmlrpc.FactoryGrace}}
	}
	rpc, err := xmlrpc.NewHandler(svc, plugins)
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := web.Listen([]web.Config{
		{Unix: true, File: filepath.Join(t.TempDir(), "s"), Mode: 0o700, UID: -1, GID: -1, Username: username, Password: password},
		{Host: "127.0.0.1", Username: username, Password: password},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := web.Serve(listeners, svc, rpc)
	t.Cleanup(server.Close)
	return "unix://" + listeners.Addresses()[0], "http://" + listeners.Addresses()[1]
}

func connect(t *testing.T, url, username, password string) *Client {
	t.Helper()
	c, err := New(url, username, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func running() *controltest.Fake {
	return &controltest.Fake{Info: control.Daemon{Identifier: "supervisor", Version: "4.2.5", PID: 7, Mood: control.MoodRunning}}
}

// TestService sends every question of control.Service through a server to a fake, and compares what arrives there and what comes back.
func TestService(t *testing.T) {
	svc := running()
	unix, inet := serve(t, svc, "", "")
	at := time.Unix(1e9, 0)
	info := control.ProcessInfo{Name: "p", Group: "g", State: process.Exited, Start: at, Stop: at, Now: at, SpawnErr: "é <&>", ExitStatus: -1, StdoutLog: "/o",
		StderrLog: "/e", PID: 0, Description: "Sep 09 01:46 AM"}
	log := process.LogSpec{File: process.LogTarget{Kind: process.LogPath, Path: "/o"}, MaxBytes: 50 << 20, Backups: 10, CaptureMaxBytes: 5, EventsEnabled: true, Syslog: true}
	untold := strings.Fields("umask backoff restart_limit breaker stop_steps drain_signal drain_command drain_timeout reload_signal reload_command reload_timeout pre_start pre_start_timeout pre_start_on_failure post_ready post_ready_timeout post_ready_on_failure pre_stop pre_stop_timeout post_stop post_stop_timeout stopasgroup stop_tree kill_tree " +
		"cgroup memory_max cpu_max pids_max ready ready_period ready_timeout ready_successes ready_failures ready_wait alive alive_period alive_timeout alive_failures alive_action depends_on essential " +
		"roll_max_unavailable roll_surge roll_canary roll_steady roll_on_failure socket socket_backlog socket_mode socket_owner sockets environment environment_file secret_files")
	config := control.ConfigInfo{Group: "g", GroupPriority: 5, InUse: true, Untold: untold, StdoutLog: "/o", StderrLog: "none", Spec: process.Spec{
		Name: "p", Command: "/bin/cat", Directory: "/tmp", Umask: process.UnsetMask, UID: 0, Priority: 999, Autostart: true, Autorestart: process.RestartAlways,
		StartSecs: 1, StartRetries: 3, StopSignal: 15, StopWaitSecs: 10, KillAsGroup: true, ExitCodes: []int{0, 2}, RedirectStderr: true, Stdout: log,
		Stderr: process.LogSpec{File: process.LogTarget{Kind: process.LogNone}}, ServerURL: process.ServerURLAuto}}
	other := control.ConfigInfo{Group: "h", Untold: untold, StdoutLog: "auto", StderrLog: "auto", Spec: process.Spec{Name: "q", Umask: process.UnsetMask, UID: process.UnsetID,
		Autorestart: process.RestartNever, ServerURL: "http://x"}}
	rows := []control.Result{{Group: "g", Name: "p", Code: control.Success, Text: "OK"}, {Group: "g", Name: "q", Code: control.SpawnError, Text: "SPAWN_ERROR: g:q"}}
	one := rows[:1]
	single, group, all := control.Target{Name: "g:p"}, control.Target{Name: "g", Group: true}, control.Target{All: true}
	main, stderr := control.Log{Main: true}, control.Log{Process: "g:p", Channel: control.Stderr}
	done := func(err error) (any, error) { return nil, err }

	op := control.Operation{ID: "op-1", State: control.OperationRunning, Began: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC), Events: []control.ProgressLine{}}
	tests := []struct {
		name   string
		call   func(c *Client) (any, error)
		answer any // of the service, and then of the client
		asked  string
	}{
		{"Daemon", func(c *Client) (any, error) { return c.Daemon(background) }, svc.Info, ""},
		{"Process", func(c *Client) (any, error) { return c.Process(background, "g:p") }, info, "Process(g:p)"},
		{"Processes", func(c *Client) (any, error) { return c.Processes(background) }, []control.ProcessInfo{info, {Name: "x"}}, "Processes()"},
		{"Configs", func(c *Client) (any, error) { return c.Configs(background) }, []control.ConfigInfo{config, other}, "Configs()"},
		{"Groups", func(c *Client) (any, error) { return c.Groups(background) }, []string{"b", "a"}, "Groups()"},
		{"Start", func(c *Client) (any, error) { return c.Start(background, single, true) }, one, "Start({Name:g:p Group:false All:false}, true)"},
		{"Start", func(c *Client) (any, error) { return c.Start(background, control.Target{Name: "g:*"}, true) }, rows, "Start({Name:g:* Group:false All:false}, true)"},
		{"Start", func(c *Client) (any, error) { return c.Start(background, group, false) }, rows, "Start({Name:g Group:true All:false}, false)"},
		{"Start", func(c *Client) (any, error) { return c.Start(background, all, false) }, rows, "Start({Name: Group:false All:true}, false)"},
		{"Stop", func(c *Client) (any, error) { return c.Stop(background, single, false) }, one, "Stop({Name:g:p Group:false All:false}, false)"},
		{"Stop", func(c *Client) (any, error) { return c.Stop(background, group, true) }, rows, "Stop({Name:g Group:true All:false}, true)"},
		{"Stop", func(c *Client) (any, error) { return c.Stop(background, all, true) }, rows, "Stop({Name: Group:false All:true}, true)"},
		{"Signal", func(c *Client) (any, error) { return c.Signal(background, single, "HUP") }, one, "Signal({Name:g:p Group:false All:false}, HUP)"},
		{"Signal", func(c *Client) (any, error) { return c.Signal(background, group, "1") }, rows, "Signal({Name:g Group:true All:false}, 1)"},
		{"Signal", func(c *Client) (any, error) { return c.Signal(background, all, "1") }, rows, "Signal({Name: Group:false All:true}, 1)"},
		{"WriteStdin", func(c *Client) (any, error) { return done(c.WriteStdin(background, "g:p", []byte("é\r\n"))) }, nil, "WriteStdin(g:p, é\r\n)"},
		{"Reread", func(c *Client) (any, error) { return c.Reread(background) },
			control.Reread{Added: []string{"a", "b"}, Changed: []string{}, Removed: []string{"c"}}, "Reread()"},
		{"AddGroup", func(c *Client) (any, error) { return done(c.AddGroup(background, "g")) }, nil, "AddGroup(g)"},
		{"RemoveGroup", func(c *Client) (any, error) { return done(c.RemoveGroup(background, "g")) }, nil, "RemoveGroup(g)"},
		{"AddProgram", func(c *Client) (any, error) {
			return done(c.AddProgram(background, "g", "x", map[string]string{"a": "1", "b": "2"}))
		}, nil,
			"AddProgram(g, x, map[a:1 b:2])"},
		{"RemoveProcess", func(c *Client) (any, error) { return done(c.RemoveProcess(background, "g", "p")) }, nil, "RemoveProcess(g, p)"},
		{"UpdateNumprocs", func(c *Client) (any, error) { return c.UpdateNumprocs(background, "g") },
			control.Numprocs{Type: "reduce", Processes: []string{"g:\"é\U0001F600"}}, "UpdateNumprocs(g)"},
		{"UpdateNumprocs", func(c *Client) (any, error) { return c.UpdateNumprocs(background, "g") }, control.Numprocs{Type: "error", Message: "No need to update"},
			"UpdateNumprocs(g)"},
		{"GraceUpdate", func(c *Client) (any, error) { return c.GraceUpdate(background, "g") }, control.GraceResult{Group: "g", Refused: true, Message: "m",
			Fields: []string{"f"}, Added: []string{"g:a"}, Stopped: []string{"g:s"}, Removed: []string{"g:r"}, Failed: rows[1:]}, "GraceUpdate(g)"},
		{"ReadLog", func(c *Client) (any, error) { return c.ReadLog(background, main, -5, 0) }, []byte("abc"), "ReadLog({Main:true Process: Channel:}, -5, 0)"},
		{"ReadLog", func(c *Client) (any, error) { return c.ReadLog(background, stderr, 1, 2) }, []byte("\tabc é"),
			"ReadLog({Main:false Process:g:p Channel:stderr}, 1, 2)"},
		{"TailLog", func(c *Client) (any, error) { return c.TailLog(background, stderr, 1, 2) }, control.Tail{Data: []byte("x"), Offset: 1 << 33, Overflow: true},
			"TailLog({Main:false Process:g:p Channel:stderr}, 1, 2)"},
		{"TailLog", func(c *Client) (any, error) { return c.TailLog(background, control.Log{Process: "p"}, 0, 2) }, control.Tail{Data: []byte{}, Offset: 0},
			"TailLog({Main:false Process:p Channel:stdout}, 0, 2)"},
		{"ClearLog", func(c *Client) (any, error) { return done(c.ClearLog(background, main)) }, nil, "ClearLog({Main:true Process: Channel:})"},
		{"ClearLog", func(c *Client) (any, error) { return done(c.ClearLog(background, control.Log{Process: "p"})) }, nil, "ClearLog({Main:false Process:p Channel:})"},
		{"ClearAllLogs", func(c *Client) (any, error) { return c.ClearAllLogs(background) }, rows, "ClearAllLogs()"},
		{"Shutdown", func(c *Client) (any, error) { return done(c.Shutdown(background)) }, nil, "Shutdown()"},
		{"Restart", func(c *Client) (any, error) { return done(c.Restart(background)) }, nil, "Restart()"},
		{"SendRemote", func(c *Client) (any, error) { return done(c.SendRemote(background, "kind", "data")) }, nil, "SendRemote(kind, data)"},
		{"Plan", func(c *Client) (any, error) {
			return c.Plan(background, control.PlanRequest{Groups: []string{"g"}})
		},
			control.Plan{ID: "1", Files: []control.PlanFile{{Path: "/f"}}, Groups: []control.PlanGroup{}, Notes: []control.PlanNote{}}, "Plan({Groups:[g] File: Since:0 To:0 Restart:[] Roll:<nil>})"},
		{"Findings", func(c *Client) (any, error) { return c.Findings(background, "") }, control.Findings{Errors: 1, List: []byte("[]"), Text: "t"}, "Findings()"},
		{"Preview", func(c *Client) (any, error) {
			return c.Preview(background, control.PreviewRequest{Verb: "add", Name: "g"})
		}, control.Preview{Group: "g", Start: []string{"g:p"}}, "Preview({Verb:add Name:g Names:[]})"},
		{"Update", func(c *Client) (any, error) { return c.Update(background, control.UpdateRequest{Plan: "1"}) }, op, ""},
		{"Scale", func(c *Client) (any, error) {
			return c.Scale(background, control.ScaleRequest{Targets: []control.ScaleTarget{{Program: "p", To: "+1"}}, Lazy: true})
		}, control.Scaling{Schema: control.ScalingSchema, Programs: []control.ScaledProgram{}}, ""},
		{"Act", func(c *Client) (any, error) {
			return c.Act(background, control.ActRequest{Verb: "stop", Names: []string{"g:*"}, AtOnce: 2})
		}, op, ""},
		{"Refresh", func(c *Client) (any, error) { return c.Refresh(background, single) }, []control.Result{}, "Refresh({Name:g:p Group:false All:false})"},
		{"Refresh", func(c *Client) (any, error) { return c.Refresh(background, group) }, rows, "Refresh({Name:g Group:true All:false})"},
		{"Refresh", func(c *Client) (any, error) { return c.Refresh(background, all) }, rows, "Refresh({Name: Group:false All:true})"},
		{"Operations", func(c *Client) (any, error) { return c.Operations(background) }, []control.Operation{op}, "Operations()"},
		{"Operation", func(c *Client) (any, error) { return c.Operation(background, "op-1", 3) }, op, "Operation(op-1, 3)"},
		{"Mark", func(c *Client) (any, error) {
			return c.Mark(background, control.MarkRequest{Names: []string{"g:p"}, Mark: control.MarkHold, Note: "n"})
		}, control.Marking{Schema: control.MarksSchema, Verb: "hold", Marks: []control.Marked{{Name: "g:p", Mark: "hold"}}, NotKept: "full"}, ""},
		{"History", func(c *Client) (any, error) { return c.History(background) }, []control.Generation{{Rev: 1, Result: "done"}}, "History()"},
		{"HistoryDiff", func(c *Client) (any, error) { return c.HistoryDiff(background, 1, 2) }, []control.GenerationChange{{Group: "g", Action: "added"}}, "HistoryDiff(1, 2)"},
		{"Standing", func(c *Client) (any, error) { return c.Standing(background) }, control.Standing{Rev: 3, Newer: []string{"/f"}}, "Standing()"},
		{"Doctor", func(c *Client) (any, error) { return c.Doctor(background) }, control.Doctor{DaemonPID: 7, KeeperPID: 6, Features: []control.Feature{{Name: "splice"}}}, "Doctor()"},
		{"Why", func(c *Client) (any, error) { return c.Why(background, "g:a&b") }, control.Why{Name: "g:a&b", Timeline: []control.Moment{}}, "Why(g:a&b)"},
		{"Upgrade", func(c *Client) (any, error) { return done(c.Upgrade(background, "")) }, nil, "Upgrade()"},
		{"PauseOperation", func(c *Client) (any, error) { return done(c.PauseOperation(background, "op-1")) }, nil, "PauseOperation(op-1)"},
		{"ResumeOperation", func(c *Client) (any, error) { return done(c.ResumeOperation(background, "op-1")) }, nil, "ResumeOperation(op-1)"},
		{"CancelOperation", func(c *Client) (any, error) { return done(c.CancelOperation(background, "op-1")) }, nil, "CancelOperation(op-1)"},
		{"Log", func(c *Client) (any, error) { return done(c.Log(background, 30, "m")) }, nil, "Log(30, m)"},
	}
	covered := map[string]bool{"FollowLog": true}
	for _, url := range []string{unix, inet} {
		c := connect(t, url, "", "")
		for _, test := range tests {
			covered[test.name] = true
			svc.Answer, svc.Err = test.answer, nil
			got, err := test.call(c)
			if asked := svc.Take(); err != nil || test.asked != "" && asked != test.asked || !reflect.DeepEqual(got, test.answer) {
				t.Errorf("%s: %+v, %v, want %+v\nasked %s, want %s", test.name, got, err, test.answer, asked, test.asked)
			}
			if test.name == "Daemon" {
				continue
			}
			svc.Answer, svc.Err = nil, control.Fault(control.NoFile, "x: y")
			_, err = test.call(c)
			var fault *control.Error
			if asked := svc.Take(); test.name != "Log" && (!errors.As(err, &fault) || *fault != (control.Error{Code: control.NoFile, Text: "x: y"})) {
				t.Errorf("%s: the fault came as %#v (%s)", test.name, err, asked)
			}
		}
	}
	service := reflect.TypeFor[control.Service]()
	for i := range service.NumMethod() {
		if name := service.Method(i).Name; !covered[name] {
			t.Errorf("%s is not tested", name)
		}
	}
}

func TestDaemonThatShutsDown(t *testing.T) {
	svc := running()
	svc.Info.Mood = control.MoodRestarting
	unix, _ := serve(t, svc, "", "")
	if d, err := connect(t, unix, "", "").Daemon(background); err != nil || d != (control.Daemon{Mood: control.MoodShutdown}) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestDaemonThatIsNone(t *testing.T) {
	unix, _ := serve(t, running(), "", "", xmlrpc.Plugin{Name: "grace", Factory: xmlrpc.FactoryGrace})
	var fault *control.Error
	if d, err := connect(t, unix, "", "").Daemon(background); !errors.As(err, &fault) || fault.Code != control.UnknownMethod {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestOtherNamespaces checks that the methods of extensions are found in either namespace, and the groups without any.
func TestOtherNamespaces(t *testing.T) {
	svc := running()
	unix, _ := serve(t, svc, "", "", xmlrpc.Plugin{Name: "supervisor", Factory: xmlrpc.FactoryMain}, xmlrpc.Plugin{Name: "twiddler", Factory: xmlrpc.FactoryTwiddler})
	c := connect(t, unix, "", "")
	if err := c.Log(background, 20, "m"); err != nil || svc.Take() != "Log(20, m)" {
		t.Errorf("Log over twiddler: %v", err)
	}
	unix, _ = serve(t, svc, "", "", xmlrpc.Plugin{Name: "supervisor", Factory: xmlrpc.FactoryMain})
	c = connect(t, unix, "", "")
	svc.Answer = []control.ProcessInfo{{Group: "a"}, {Group: "a"}, {Group: "b"}}
	if groups, err := c.Groups(background); err != nil || strings.Join(groups, " ") != "a b" {
		t.Errorf("Groups over processes: %v, %v", groups, err)
	}
	var fault *control.Error
	if _, err := c.GraceUpdate(background, "g"); !errors.As(err, &fault) || fault.Code != control.UnknownMethod {
		t.Errorf("GraceUpdate: %v", err)
	}
}

func TestErrors(t *testing.T) {
	svc := running()
	unix, inet := serve(t, svc, "user", "password")
	for _, url := range []string{unix, inet} {
		var status *ProtocolError
		_, err := connect(t, url, "user", "wrong").Call(background, "supervisor.getState")
		if !errors.As(err, &status) || *status != (ProtocolError{"127.0.0.1/RPC2", 401, "Unauthorized"}) ||
			err.Error() != "<ProtocolError for 127.0.0.1/RPC2: 401 Unauthorized>" {
			t.Errorf("wrong password: %v", err)
		}
		if _, err := connect(t, url, "", "").Stream(background, "/mainlogtail"); !errors.As(err, &status) ||
			*status != (ProtocolError{url + "/mainlogtail", 401, "Unauthorized"}) {
			t.Errorf("no password: %v", err)
		}
		if _, err := connect(t, url, "user", "password").Call(background, "supervisor.getState"); err != nil {
			t.Errorf("right password: %v", err)
		}
	}

	gone := filepath.Join(t.TempDir(), "s")
	if _, err := connect(t, "unix://"+gone, "", "").Call(background, "x"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("unix", gone)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	if _, err := connect(t, "unix://"+gone, "", "").Call(background, "x"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("stale socket: %v", err)
	}
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	if _, err := connect(t, "http://"+free.Addr().String(), "", "").Call(background, "x"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed port: %v", err)
	}
	for _, url := range []string{"https://x", "foo", "", "UNIX:///x"} {
		if _, err := New(url, "", ""); err == nil || err.Error() != "Unknown protocol for serverurl "+url {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := New("http://[x", "", ""); err == nil {
		t.Error("a broken URL is accepted")
	}
	c := connect(t, "unix:///x", "", "")
	if _, err := c.Call(background, "m", nil); err == nil || !strings.Contains(err.Error(), "cannot encode") {
		t.Errorf("nil: %v", err)
	}
	var fault *control.Error
	if err := c.WriteStdin(background, "p", []byte{0xff}); !errors.As(err, &fault) || fault.Code != control.IncorrectParameters {
		t.Errorf("bytes to stdin: %v", err)
	}
	if _, err := c.TailLog(background, control.Log{Main: true}, 0, 0); !errors.As(err, &fault) || fault.Code != control.BadArguments {
		t.Errorf("tail of the main log: %v", err)
	}
}

func TestServerURLs(t *testing.T) {
	for url, want := range map[string][3]string{
		"unix:///run/s":           {"unix", "/run/s", "localhost"},
		"http://localhost:9001":   {"tcp", "localhost:9001", "localhost:9001"},
		"http://localhost/a/path": {"tcp", "localhost:80", "localhost"},
		"http://[::1]:9001":       {"tcp", "[::1]:9001", "[::1]:9001"},
	} {
		network, address, host, err := parse(url)
		if got := [3]string{network, address, host}; got != want || err != nil {
			t.Errorf("%s: %v, %v", url, got, err)
		}
	}
}

func TestFaultText(t *testing.T) {
	for text, want := range map[string]control.Error{
		"BAD_NAME: a: b": {Code: 10, Text: "a: b"},
		"BAD_NAME":       {Code: 10},
		"BAD_NAME: ":     {Code: 10},
		"bad name":       {Code: 10, Text: "bad name", Raw: "bad name"},
		"BAD_NAMES: x":   {Code: 10, Text: "BAD_NAMES: x", Raw: "BAD_NAMES: x"},
	} {
		if got := faultError(&xmlrpc.Fault{Code: 10, String: text}); *got != want || want.Raw != "" && got.Error() != text {
			t.Errorf("%q: %#v", text, got)
		}
	}
	if got := faultError(&xmlrpc.Fault{Code: 230, String: "UNKNOWN: log"}); got.Code != 230 || got.Text != "log" {
		t.Errorf("%#v", got)
	}
}

// answering serves fixed bytes for every request and returns the URL. It counts the connections.
func answering(t *testing.T, response string) (url string, connections *atomic.Int32) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			r := bufio.NewReader(conn)
			for {
				req, err := http.ReadRequest(r)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(conn, response)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "unix://" + path, connections
}

// TestBrokenServers checks answers that no server should give.
func TestBrokenServers(t *testing.T) {
	document := func(value string) string {
		body := "<methodResponse><params><param><value>" + value + "</value></param></params></methodResponse>"
		return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	calls := map[string]func(*Client) error{
		"Daemon":         func(c *Client) error { _, err := c.Daemon(background); return err },
		"Process":        func(c *Client) error { _, err := c.Process(background, "p"); return err },
		"Processes":      func(c *Client) error { _, err := c.Processes(background); return err },
		"Configs":        func(c *Client) error { _, err := c.Configs(background); return err },
		"Groups":         func(c *Client) error { _, err := c.Groups(background); return err },
		"Start":          func(c *Client) error { _, err := c.Start(background, control.Target{All: true}, true); return err },
		"Reread":         func(c *Client) error { _, err := c.Reread(background); return err },
		"UpdateNumprocs": func(c *Client) error { _, err := c.UpdateNumprocs(background, "g"); return err },
		"GraceUpdate":    func(c *Client) error { _, err := c.GraceUpdate(background, "g"); return err },
		"ReadLog":        func(c *Client) error { _, err := c.ReadLog(background, control.Log{Main: true}, 0, 0); return err },
		"TailLog":        func(c *Client) error { _, err := c.TailLog(background, control.Log{}, 0, 0); return err },
		"ClearAllLogs":   func(c *Client) error { _, err := c.ClearAllLogs(background); return err },
	}
	for _, response := range []string{
		document("<int>1</int>"), document("<array><data><value><array><data/></array></value></data></array>"), document("<struct/>"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "nonsense\r\n\r\n",
	} {
		url, _ := answering(t, response)
		c := connect(t, url, "", "")
		for name, call := range calls {
			err := call(c)
			harmless := name == "Process" && strings.Contains(response, "<struct/>") // every member is optional
			if (err == nil) != harmless || errors.As(err, new(*control.Error)) {
				t.Errorf("%s with %.60q: %v", name, response, err)
			}
		}
		_ = c.Close()
	}
	url, _ := answering(t, document("plain text"))
	if n, err := connect(t, url, "", "").UpdateNumprocs(background, "g"); err != nil || !reflect.DeepEqual(n, control.Numprocs{Type: "error", Message: "plain text"}) {
		t.Errorf("an answer that is no JSON: %+v, %v", n, err)
	}
}

// TestOneConnection checks that calls share a connection.
func TestOneConnection(t *testing.T) {
	body, err := xmlrpc.EncodeResponse(true)
	if err != nil {
		t.Fatal(err)
	}
	url, connections := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+string(body))
	c := connect(t, url, "", "")
	for range 5 {
		if err := c.Shutdown(background); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestCancel checks that a call ends with its context.
func TestCancel(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(background)
	go func() {
		if conn, err := l.Accept(); err == nil { // and never answers
			_, _ = conn.Read(make([]byte, 1))
			cancel()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	c := connect(t, "unix://"+l.Addr().String(), "", "")
	if _, err := c.Call(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// pieces is a follower of given pieces, which then waits.
type pieces chan []byte

func (p pieces) Next(ctx context.Context) ([]byte, error) {
	select {
	case data, ok := <-p:
		if !ok {
			return nil, io.EOF
		}
		return data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (pieces) Close() error { return nil }

func TestFollowLog(t *testing.T) {
	svc := running()
	unix, _ := serve(t, svc, "", "")
	c := connect(t, unix, "", "")
	for log, asked := range map[control.Log]string{
		{Main: true}:                        "FollowLog({Main:true Process: Channel:})",
		{Process: "g:é %2F?#"}:              "FollowLog({Main:false Process:g:é %2F?# Channel:stdout})",
		{Process: "g:p", Channel: "stderr"}: "FollowLog({Main:false Process:g:p Channel:stderr})",
	} {
		source := make(pieces)
		svc.Answer, svc.Err = control.Follower(source), nil
		f, err := c.FollowLog(background, log)
		if err != nil || svc.Take() != asked {
			t.Fatalf("%+v: %v", log, err)
		}
		for _, piece := range []string{"a\xff\x00", "b\n"} {
			source <- []byte(piece)
			if got, err := f.Next(background); err != nil || string(got) != piece {
				t.Errorf("%q, %v", got, err)
			}
		}
		if log.Main {
			close(source)
			if got, err := f.Next(background); err != io.EOF || len(got) > 0 {
				t.Errorf("at the end: %q, %v", got, err)
			}
		} else {
			ctx, cancel := context.WithCancel(background)
			cancel()
			if _, err := f.Next(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		}
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	svc.Err = control.Fault(control.BadName, "x")
	var fault *control.Error
	if _, err := c.FollowLog(background, control.Log{Process: "x"}); !errors.As(err, &fault) || *fault != (control.Error{Code: control.NoFile, Text: "x"}) {
		t.Errorf("an unknown process: %v", err)
	}
}

// TestUnauthorizedJSON: wrong credentials are the same error on every path of the daemon, whatever the answer's body says.
func TestUnauthorizedJSON(t *testing.T) {
	unix, _ := serve(t, running(), "anna", "secret")
	_, err := connect(t, unix, "anna", "wrong").Plan(background, control.PlanRequest{})
	var p *ProtocolError
	if !errors.As(err, &p) || p.Code != 401 {
		t.Errorf("%v", err)
	}
}
