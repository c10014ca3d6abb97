package xmlrpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
	"github.com/graced/graced/internal/process"
)

// serve returns a handler with all namespaces over a fake that runs.
func serve(t *testing.T) (*Handler, *controltest.Fake) {
	t.Helper()
	svc := &controltest.Fake{Info: control.Daemon{Identifier: "supervisor", Version: "4.2.5", PID: 7, Mood: control.MoodRunning}}
	h, err := NewHandler(svc, []Plugin{{Name: "supervisor", Factory: FactoryMain}, {Name: "grace", Factory: FactoryGrace}, {Name: "twiddler", Factory: FactoryTwiddler}})
	if err != nil {
		t.Fatal(err)
	}
	return h, svc
}

// do makes one call through documents, as a client would.
func do(t *testing.T, h *Handler, method string, args ...any) (any, error) {
	t.Helper()
	doc, err := EncodeCall(method, args...)
	if err != nil {
		t.Fatal(err)
	}
	response, status := h.Serve(context.Background(), doc)
	if status != 200 {
		return nil, fmt.Errorf("status %d", status)
	}
	return DecodeResponse(response)
}

func faultText(err error) string {
	var f *Fault
	if errors.As(err, &f) {
		return fmt.Sprintf("%d %s", f.Code, f.String)
	}
	return fmt.Sprint(err)
}

var (
	okRow  = control.Result{Group: "g", Name: "p", Code: control.Success, Text: "OK"}
	badRow = control.Result{Group: "g", Name: "q", Code: control.SpawnError, Text: "SPAWN_ERROR: g:q"}
	rowsOf = []control.Result{okRow, badRow}
	wire   = []any{
		Struct{{"name", "p"}, {"group", "g"}, {"status", 80}, {"description", "OK"}},
		Struct{{"name", "q"}, {"group", "g"}, {"status", 50}, {"description", "SPAWN_ERROR: g:q"}},
	}
)

type args = []any

// TestMethods calls every method: what it asks of the service, and what it makes of the answer.
func TestMethods(t *testing.T) {
	h, svc := serve(t)
	grace := control.GraceResult{Group: "g", Fields: []string{"command"}, Added: []string{"g:a"}, Failed: []control.Result{badRow}}
	tests := []struct {
		method string
		args   args
		answer any
		asked  string
		want   any
	}{
		{"supervisor.getAPIVersion", nil, nil, "", "3.0"},
		{"supervisor.getVersion", nil, nil, "", "3.0"},
		{"supervisor.getSupervisorVersion", nil, nil, "", "4.2.5"},
		{"supervisor.getIdentification", nil, nil, "", "supervisor"},
		{"supervisor.getState", nil, nil, "", Struct{{"statecode", 1}, {"statename", "RUNNING"}}},
		{"supervisor.getPID", nil, nil, "", 7},
		{"supervisor.shutdown", nil, nil, "Shutdown()", true},
		{"supervisor.restart", nil, nil, "Restart()", true},
		{"supervisor.sendRemoteCommEvent", args{"kind", "é"}, nil, "SendRemote(kind, é)", true},
		{"supervisor.sendRemoteCommEvent", args{1, []any{true, "it's", 1.5, Struct{{"k", []any{"v"}}}}}, nil, `SendRemote(1, [True, "it's", 1.5, {'k': ['v']}])`, true},
		{"supervisor.reloadConfig", nil, control.Reread{Added: []string{"a"}, Removed: []string{"b", "c"}}, "Reread()",
			[]any{[]any{[]any{"a"}, []any{}, []any{"b", "c"}}}},
		{"supervisor.addProcessGroup", args{"g"}, nil, "AddGroup(g)", true},
		{"supervisor.removeProcessGroup", args{"g"}, nil, "RemoveGroup(g)", true},
		{"supervisor.startProcess", args{"g:p"}, []control.Result{okRow}, "Start({Name:g:p Group:false All:false}, true)", true},
		{"supervisor.startProcess", args{"g:p", false}, []control.Result{okRow}, "Start({Name:g:p Group:false All:false}, false)", true},
		{"supervisor.startProcess", args{"g:p", 0}, []control.Result{okRow}, "Start({Name:g:p Group:false All:false}, false)", true},
		{"supervisor.startProcess", args{"g:p", "x"}, []control.Result{okRow}, "Start({Name:g:p Group:false All:false}, true)", true},
		{"supervisor.startProcess", args{"g:*", true}, rowsOf, "Start({Name:g:* Group:false All:false}, true)", wire},
		{"supervisor.startProcess", args{"g:"}, nil, "Start({Name:g: Group:false All:false}, true)", []any{}},
		{"supervisor.startProcessGroup", args{"g"}, rowsOf, "Start({Name:g Group:true All:false}, true)", wire},
		{"supervisor.startProcessGroup", args{"g", false}, nil, "Start({Name:g Group:true All:false}, false)", []any{}},
		{"supervisor.startAllProcesses", nil, rowsOf, "Start({Name: Group:false All:true}, true)", wire},
		{"supervisor.startAllProcesses", args{false}, nil, "Start({Name: Group:false All:true}, false)", []any{}},
		{"supervisor.stopProcess", args{"p"}, []control.Result{okRow}, "Stop({Name:p Group:false All:false}, true)", true},
		{"supervisor.stopProcessGroup", args{"g", true}, rowsOf, "Stop({Name:g Group:true All:false}, true)", wire},
		{"supervisor.stopAllProcesses", args{true}, rowsOf, "Stop({Name: Group:false All:true}, true)", wire},
		{"supervisor.signalProcess", args{"p", "HUP"}, []control.Result{okRow}, "Signal({Name:p Group:false All:false}, HUP)", true},
		{"supervisor.signalProcess", args{"g:*", 1}, rowsOf, "Signal({Name:g:* Group:false All:false}, 1)", wire},
		{"supervisor.signalProcessGroup", args{"g", "1"}, rowsOf, "Signal({Name:g Group:true All:false}, 1)", wire},
		{"supervisor.signalAllProcesses", args{"HUP"}, rowsOf, "Signal({Name: Group:false All:true}, HUP)", wire},
		{"supervisor.sendProcessStdin", args{"p", "é\r\n"}, nil, "WriteStdin(p, é\r\n)", true},
		{"supervisor.readLog", args{-5, 0}, []byte("x"), "ReadLog({Main:true Process: Channel:}, -5, 0)", "x"},
		{"supervisor.readMainLog", args{"1", 2.9}, []byte("x"), "ReadLog({Main:true Process: Channel:}, 1, 2)", "x"},
		{"supervisor.readProcessLog", args{"p", 0, 5}, []byte("\xa9a\xff"), "ReadLog({Main:false Process:p Channel:stdout}, 0, 5)", "�a�"},
		{"supervisor.readProcessStdoutLog", args{"p", 1, 5}, []byte("\xa9a\xff"), "ReadLog({Main:false Process:p Channel:stdout}, 1, 5)", "a�"},
		{"supervisor.readProcessStderrLog", args{"p", 0, 0}, nil, "ReadLog({Main:false Process:p Channel:stderr}, 0, 0)", ""},
		{"supervisor.tailProcessLog", args{"p", 0, 5}, control.Tail{Data: []byte("\xa9abc"), Offset: 9, Overflow: true},
			"TailLog({Main:false Process:p Channel:stdout}, 0, 5)", []any{"abc", 9, true}},
		{"supervisor.tailProcessStdoutLog", args{"p", 3, 5}, control.Tail{Offset: 5000000000}, "TailLog({Main:false Process:p Channel:stdout}, 3, 5)",
			[]any{"", 5000000000, false}},
		{"supervisor.tailProcessStderrLog", args{"p", 0, 5}, control.Tail{}, "TailLog({Main:false Process:p Channel:stderr}, 0, 5)", []any{"", 0, false}},
		{"supervisor.clearLog", nil, nil, "ClearLog({Main:true Process: Channel:})", true},
		{"supervisor.clearProcessLog", args{"p"}, nil, "ClearLog({Main:false Process:p Channel:})", true},
		{"supervisor.clearProcessLogs", args{"p"}, nil, "ClearLog({Main:false Process:p Channel:})", true},
		{"supervisor.clearAllProcessLogs", nil, rowsOf, "ClearAllLogs()", wire},
		{"supervisor.getAllProcessInfo", nil, nil, "Processes()", []any{}},
		{"supervisor.getAllConfigInfo", nil, nil, "Configs()", []any{}},
		{"grace.getAPIVersion", nil, nil, "", "1.0"},
		{"grace.getGroupNames", nil, []string{"b", "a"}, "Groups()", []any{"b", "a"}},
		{"twiddler.log", args{"m"}, nil, "Log(20, m)", true},
		{"twiddler.log", args{"m", "erro"}, nil, "Log(40, m)", true},
		{"twiddler.log", args{"m", 3}, nil, "Log(3, m)", true},
		{"twiddler.addProgramToGroup", args{"g", "x", Struct{{"command", "/bin/cat"}}}, nil, "AddProgram(g, x, map[command:/bin/cat])", true},
		{"grace.removeProcessFromGroup", args{"g", "p"}, nil, "RemoveProcess(g, p)", true},
		{"grace.UpdateNumprocs", args{"foo"}, control.Numprocs{Type: "add", Processes: []string{"foo:foo_2", "foo:é\"\U0001F600"}}, "UpdateNumprocs(foo)",
			`{"processes_name": ["foo:foo_2", "foo:\u00e9\"\ud83d\ude00"], "type": "add"}`},
		{"grace.UpdateNumprocs", args{"foo"}, control.Numprocs{Type: "reduce"}, "UpdateNumprocs(foo)", `{"processes_name": [], "type": "reduce"}`},
		{"grace.UpdateNumprocs", args{"foo"}, control.Numprocs{Type: "error", Message: "No need\tto update"}, "UpdateNumprocs(foo)",
			`{"msg": "No need\tto update", "type": "error"}`},
		{"grace.update", args{"g"}, grace, "GraceUpdate(g)", Struct{{"group", "g"}, {"refused", false}, {"message", ""}, {"fields", []any{"command"}},
			{"added", []any{"g:a"}}, {"stopped", []any{}}, {"removed", []any{}}, {"failed", []any{wire[1]}}}},
	}
	called := map[string]bool{}
	for _, test := range tests {
		called[test.method] = true
		svc.Answer = test.answer
		got, err := do(t, h, test.method, test.args...)
		if asked := svc.Take(); err != nil || !reflect.DeepEqual(got, test.want) || asked != test.asked {
			t.Errorf("%s(%v): %#v, %v, want %#v\nasked %s, want %s", test.method, test.args, got, err, test.want, asked, test.asked)
		}
	}
	for name := range h.methods {
		inBoth := strings.Replace(name, "twiddler.", "grace.", 1)
		other := strings.Replace(name, "grace.", "twiddler.", 1)
		if !called[name] && !called[inBoth] && !called[other] && !strings.HasPrefix(name, "system.") && name != "supervisor.getProcessInfo" {
			t.Errorf("%s is not tested", name)
		}
	}
}

func TestGetProcessInfo(t *testing.T) {
	h, svc := serve(t)
	svc.Answer = control.ProcessInfo{Name: "p", Group: "g", State: process.Running, Start: time.Unix(100, 5), Now: time.Unix(1<<33, 0), ExitStatus: -1,
		StdoutLog: "/o", StderrLog: "", PID: 5, Description: "pid 5, uptime 0:00:01"}
	want := Struct{{"name", "p"}, {"group", "g"}, {"start", 100}, {"stop", 0}, {"now", 1<<31 - 1}, {"state", 20}, {"statename", "RUNNING"}, {"spawnerr", ""},
		{"exitstatus", -1}, {"logfile", "/o"}, {"stdout_logfile", "/o"}, {"stderr_logfile", ""}, {"pid", 5}, {"description", "pid 5, uptime 0:00:01"}}
	got, err := do(t, h, "supervisor.getProcessInfo", "g:p")
	if err != nil || !reflect.DeepEqual(got, want) || svc.Take() != "Process(g:p)" {
		t.Errorf("%#v, %v", got, err)
	}
	svc.Answer = []control.ProcessInfo{svc.Answer.(control.ProcessInfo)}
	if got, err = do(t, h, "supervisor.getAllProcessInfo"); err != nil || !reflect.DeepEqual(got, []any{want}) {
		t.Errorf("%#v, %v", got, err)
	}
}

func TestGetAllConfigInfo(t *testing.T) {
	h, svc := serve(t)
	log := process.LogSpec{MaxBytes: 50 << 20, Backups: 10, CaptureMaxBytes: 1, EventsEnabled: true, Syslog: true}
	first := process.Spec{Name: "p", Command: "/bin/cat", UID: process.UnsetID, Priority: 999, Autostart: true, StartSecs: 1, StartRetries: 3, StopSignal: 15,
		StopWaitSecs: 10, ExitCodes: []int{0, 2}, Stdout: log, ServerURL: process.ServerURLAuto}
	second := first
	second.Directory, second.UID, second.Autorestart, second.ServerURL = "/tmp", 0, process.RestartAlways, "http://x"
	third := first
	third.Autorestart = process.RestartNever
	svc.Answer = []control.ConfigInfo{{Group: "g", GroupPriority: 5, InUse: true, Spec: first, StdoutLog: "auto", StderrLog: "none"}, {Spec: second}, {Spec: third}}
	v, err := do(t, h, "supervisor.getAllConfigInfo")
	if err != nil {
		t.Fatal(err)
	}
	list := v.([]any)
	want := Struct{{"autostart", true}, {"autorestart", "unexpected"}, {"directory", "none"}, {"uid", "none"}, {"command", "/bin/cat"},
		{"exitcodes", []any{0, 2}}, {"group", "g"}, {"group_prio", 5}, {"inuse", true}, {"killasgroup", false}, {"name", "p"}, {"process_prio", 999},
		{"redirect_stderr", false}, {"startretries", 3}, {"startsecs", 1}, {"stdout_capture_maxbytes", 1}, {"stdout_events_enabled", true},
		{"stdout_logfile", "auto"}, {"stdout_logfile_backups", 10}, {"stdout_logfile_maxbytes", 50 << 20}, {"stdout_syslog", true}, {"stopsignal", 15},
		{"stopwaitsecs", 10}, {"stderr_capture_maxbytes", 0}, {"stderr_events_enabled", false}, {"stderr_logfile", "none"}, {"stderr_logfile_backups", 0},
		{"stderr_logfile_maxbytes", 0}, {"stderr_syslog", false}, {"serverurl", "none"}}
	if !reflect.DeepEqual(list[0], want) {
		t.Errorf("got  %v\nwant %v", list[0], want)
	}
	s := list[1].(Struct)
	uid, _ := s.Get("uid")
	if s.String("directory") != "/tmp" || uid != 0 || !s.Bool("autorestart") || s.String("serverurl") != "http://x" {
		t.Errorf("second: %v", s)
	}
	if v, _ := list[2].(Struct).Get("autorestart"); v != false {
		t.Errorf("autorestart=false is %v", v)
	}
}

// TestFaults checks what is refused before the service is asked (quirk D16), and how the service's refusals travel.
func TestFaults(t *testing.T) {
	h, svc := serve(t)
	for _, test := range []struct {
		method string
		args   args
		want   string
	}{
		{"x", nil, "1 UNKNOWN_METHOD"},
		{"", nil, "status 400"},
		{" supervisor.getState", nil, "1 UNKNOWN_METHOD"},
		{"supervisor.getState.x", nil, "1 UNKNOWN_METHOD"},
		{"supervisor._update", nil, "1 UNKNOWN_METHOD"},
		{"supervisor.nope", nil, "1 UNKNOWN_METHOD"},
		{"supervisor.getState", args{1}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.startProcess", nil, "2 INCORRECT_PARAMETERS"},
		{"supervisor.startProcess", args{"a", true, 1}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.startProcess", args{1}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.stopProcessGroup", args{[]any{}}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.signalProcess", args{"a", []any{}}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.signalProcess", args{1, "HUP"}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.signalProcessGroup", args{1, "HUP"}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.signalProcessGroup", args{"a", 1.5}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.signalAllProcesses", args{Struct{}}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.getProcessInfo", args{1}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.addProcessGroup", args{true}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.readLog", args{"a", 1}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.readLog", args{1, []any{}}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.readProcessLog", args{1, 0, 0}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.readProcessLog", args{"a", 1e300, 0}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.tailProcessLog", args{"a", 0, ""}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.tailProcessLog", args{Struct{}, 0, 0}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.clearProcessLogs", args{1}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.sendProcessStdin", args{"a", 1}, "2 INCORRECT_PARAMETERS: 1"},
		{"supervisor.sendProcessStdin", args{1, true}, "2 INCORRECT_PARAMETERS: True"},
		{"supervisor.sendProcessStdin", args{1, "x"}, "2 INCORRECT_PARAMETERS"},
		{"supervisor.sendRemoteCommEvent", args{"a"}, "2 INCORRECT_PARAMETERS"},
		{"grace.log", args{"m", "nope"}, "2 INCORRECT_PARAMETERS"},
		{"grace.log", args{"m", 21}, "2 INCORRECT_PARAMETERS"},
		{"grace.log", args{"m", true}, "2 INCORRECT_PARAMETERS"},
		{"grace.log", args{1}, "2 INCORRECT_PARAMETERS"},
		{"grace.addProgramToGroup", args{"g", "p", Struct{{"command", 1}}}, "2 INCORRECT_PARAMETERS"},
		{"grace.addProgramToGroup", args{"g", "p", "x"}, "2 INCORRECT_PARAMETERS"},
		{"grace.addProgramToGroup", args{1, "p", Struct{}}, "2 INCORRECT_PARAMETERS"},
		{"grace.addProgramToGroup", args{"g", 1, Struct{}}, "2 INCORRECT_PARAMETERS"},
		{"grace.removeProcessFromGroup", args{"g", 1}, "2 INCORRECT_PARAMETERS"},
		{"grace.removeProcessFromGroup", args{1, "p"}, "2 INCORRECT_PARAMETERS"},
		{"grace.UpdateNumprocs", args{1}, "2 INCORRECT_PARAMETERS"},
		{"grace.update", args{1}, "2 INCORRECT_PARAMETERS"},
		{"twiddler.update", args{"g"}, "1 UNKNOWN_METHOD"},
		{"twiddler.UpdateNumprocs", args{"g"}, "1 UNKNOWN_METHOD"},
		{"system.methodHelp", args{1}, "2 INCORRECT_PARAMETERS"},
		{"system.methodHelp", args{"nope"}, "4 SIGNATURE_UNSUPPORTED"},
		{"system.methodSignature", args{"nope"}, "4 SIGNATURE_UNSUPPORTED"},
		{"system.methodSignature", args{"grace.UpdateNumprocs"}, "4 SIGNATURE_UNSUPPORTED"},
		{"system.multicall", args{"x"}, "2 INCORRECT_PARAMETERS"},
		{"system.multicall", args{[]any{1}}, "2 INCORRECT_PARAMETERS"},
	} {
		_, err := do(t, h, test.method, test.args...)
		if got := faultText(err); got != test.want {
			t.Errorf("%s(%v): %s, want %s", test.method, test.args, got, test.want)
		}
		if asked := svc.Take(); asked != "" && test.want != "status 400" {
			t.Errorf("%s(%v) asked %s", test.method, test.args, asked)
		}
	}

	svc.Err = control.Fault(control.NoFile, "/a <b>")
	for name := range h.methods {
		if strings.HasPrefix(name, "system.") || strings.HasSuffix(name, ".log") || strings.HasSuffix(name, "getAPIVersion") {
			continue
		}
		var a args
		for _, p := range h.methods[name].Params {
			a = append(a, map[string]any{"string": "1", "int": 1, "boolean": true, "struct": Struct{}}[p.Type])
		}
		_, err := do(t, h, name, a...)
		if svc.Take() != "" && faultText(err) != "20 NO_FILE: /a <b>" {
			t.Errorf("%s: %s", name, faultText(err))
		}
	}
	svc.Err = nil
	svc.Answer = []control.Result{badRow}
	if _, err := do(t, h, "supervisor.startProcess", "g:q"); faultText(err) != "50 SPAWN_ERROR: g:q" {
		t.Errorf("a failed row of one process: %s", faultText(err))
	}
}

// TestShutdownState checks who still answers when the daemon is about to end (quirks D6, D19, G9).
func TestShutdownState(t *testing.T) {
	h, svc := serve(t)
	for mood, passes := range map[control.Mood]func(name string) bool{
		control.MoodRestarting: func(name string) bool { return !strings.HasPrefix(name, "supervisor.") },
		control.MoodShutdown:   func(name string) bool { return strings.HasPrefix(name, "system.") },
	} {
		svc.Info.Mood = mood
		for name, m := range h.methods {
			var a args
			for _, p := range m.Params {
				a = append(a, map[string]any{"string": "1", "int": 1, "boolean": true, "struct": Struct{}, "array": []any{}, "string|int": 20}[p.Type])
			}
			_, err := do(t, h, name, a...)
			refused := faultText(err) == "6 SHUTDOWN_STATE"
			if want := !passes(name) && name != "supervisor.sendRemoteCommEvent"; refused != want {
				t.Errorf("%s, %s: refused %t (%v)", mood, name, refused, err)
			}
			if asked := svc.Take(); refused && asked != "" {
				t.Errorf("%s, %s asked %s", mood, name, asked)
			}
		}
		// The number of arguments is looked at first, as Python does.
		if _, err := do(t, h, "supervisor.getState", 1); faultText(err) != "2 INCORRECT_PARAMETERS" {
			t.Errorf("wrong number of arguments: %v", err)
		}
	}
}

func TestWhitelist(t *testing.T) {
	svc := &controltest.Fake{Info: control.Daemon{Mood: control.MoodRunning}}
	h, err := NewHandler(svc, []Plugin{{Name: "grace", Factory: FactoryGrace, Options: map[string]string{"whitelist": " getAPIVersion, UpdateNumprocs ,"}}})
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]string{
		"getAPIVersion": "<nil>", "UpdateNumprocs": "<nil>", "update": "<nil>", "log": "230 UNKNOWN: log", // quirk D20
		"removeProcessFromGroup": "230 UNKNOWN: removeProcessFromGroup",
	} {
		a := map[string]args{"getAPIVersion": nil, "removeProcessFromGroup": {"a", "b"}}[method]
		if a == nil && method != "getAPIVersion" {
			a = args{"a"}
		}
		if _, err := do(t, h, "grace."+method, a...); faultText(err) != want {
			t.Errorf("%s: %s, want %s", method, faultText(err), want)
		}
	}
	for _, p := range []Plugin{{Name: "x", Factory: FactoryMain, Options: map[string]string{"a": ""}}, {Name: "x", Factory: FactoryGrace, Options: map[string]string{"a": ""}},
		{Name: "x", Factory: "foo:bar"}} {
		if _, err := NewHandler(svc, []Plugin{p}); err == nil || !strings.HasPrefix(err.Error(), "Could not make x rpc interface: unknown") {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestMulticall(t *testing.T) {
	h, svc := serve(t)
	svc.Err = control.Fault(control.BadName, "x")
	entry := func(name any, params ...any) Struct {
		return Struct{{"methodName", name}, {"params", append([]any{}, params...)}}
	}
	fault := func(code int, text string) Struct { return Struct{{"faultCode", code}, {"faultString", text}} }
	got, err := do(t, h, "system.multicall", []any{
		entry("supervisor.getPID"), entry("supervisor.getProcessInfo", "x"), Struct{{"methodName", "supervisor.getVersion"}},
		Struct{}, entry("system.multicall", []any{}), entry(1), Struct{{"methodName", "supervisor.getPID"}, {"params", "x"}},
		entry("supervisor.getPID", 1), entry("nope"),
	})
	want := []any{
		7, fault(10, "BAD_NAME: x"), "3.0", // bare values: quirk D5
		fault(2, "INCORRECT_PARAMETERS: No methodName"), fault(2, "INCORRECT_PARAMETERS: Recursive system.multicall forbidden"),
		fault(2, "INCORRECT_PARAMETERS"), fault(2, "INCORRECT_PARAMETERS"), fault(2, "INCORRECT_PARAMETERS"), fault(1, "UNKNOWN_METHOD"),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v\nwant %v", got, err, want)
	}
}

// TestMulticallIsBounded checks that one small request cannot make an answer that fills the memory.
func TestMulticallIsBounded(t *testing.T) {
	h, svc := serve(t)
	svc.Answer = []byte(strings.Repeat("x", 8<<20))
	calls := make([]any, 20)
	for i := range calls {
		calls[i] = Struct{{"methodName", "supervisor.readLog"}, {"params", []any{0, 0}}}
	}
	v, err := do(t, h, "system.multicall", calls)
	if err != nil {
		t.Fatal(err)
	}
	last, ok := v.([]any)[19].(Struct)
	if !ok || last.String("faultString") != "FAILED: the answer is too large" {
		t.Errorf("the last answer is %.80v", v.([]any)[19])
	}
	if text, ok := v.([]any)[0].(string); !ok || len(text) != 8<<20 {
		t.Error("the first answer is cut")
	}
}

// TestServeStatus checks the answers below the level of methods, and their lines in the main log.
func TestServeStatus(t *testing.T) {
	h, svc := serve(t)
	for doc, line := range map[string]string{
		"x'\\\n\x01":   `Log(40, XML-RPC request data 'x\'\\\n\x01' is invalid: unmarshallable)`,
		"<a/>":         "Log(40, XML-RPC request data '<a/>' is invalid: no method name)",
		"<methodName>": "Log(40, XML-RPC request data '<methodName>' is invalid: unmarshallable)",
	} {
		if response, status := h.Serve(context.Background(), []byte(doc)); response != nil || status != 400 {
			t.Errorf("%q: %d %q", doc, status, response)
		}
		if got := svc.Take(); got != line {
			t.Errorf("logged %s\nwant   %s", got, line)
		}
	}
	call, _ := EncodeCall("supervisor.shutdown")
	svc.Err = errors.New("broken")
	if response, status := h.Serve(context.Background(), call); response != nil || status != 500 || !strings.Contains(svc.Take(), "exception: broken") {
		t.Errorf("an error that is no fault: %d %q", status, response)
	}
	svc.Err = context.Canceled
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if response, status := h.Serve(ctx, call); response != nil || status != 500 || strings.Contains(svc.Take(), "Log") {
		t.Errorf("a call whose caller has gone: %d %q", status, response)
	}
	bad := newHandler(svc, Namespace{Name: "x", Methods: []Method{
		{Name: "panic", Call: func(context.Context, Args) (any, error) { panic("ouch") }},
		{Name: "null", Call: func(context.Context, Args) (any, error) { return nil, nil }},
	}})
	for _, name := range []string{"x.panic", "x.null"} {
		call, _ = EncodeCall(name)
		if response, status := bad.Serve(context.Background(), call); response != nil || status != 500 || !strings.HasPrefix(svc.Take(), "Log(50, Handling") {
			t.Errorf("%s: %d %q", name, status, response)
		}
	}
}

// BenchmarkGetAllProcessInfo measures a call with 1,000 processes without the connection.
func BenchmarkGetAllProcessInfo(b *testing.B) {
	svc := &controltest.Fake{Info: control.Daemon{Mood: control.MoodRunning}}
	infos := make([]control.ProcessInfo, 1000)
	for i := range infos {
		infos[i] = control.ProcessInfo{Group: "group", Name: fmt.Sprintf("process_%03d", i), State: process.Running, Start: time.Unix(1e9, 0), Now: time.Unix(2e9, 0),
			StdoutLog: "/var/log/supervisor/group-process_000-stdout---supervisor-abcdefgh.log", PID: 1000 + i, Description: "pid 1234, uptime 1 day, 0:00:01"}
	}
	svc.Answer = infos
	h := newHandler(svc, Supervisor(svc, "supervisor"))
	call, _ := EncodeCall("supervisor.getAllProcessInfo")
	b.ResetTimer()
	for range b.N {
		svc.Take()
		if response, status := h.Serve(context.Background(), call); status != 200 {
			b.Fatal(string(response))
		}
	}
}

// BenchmarkDecode measures the client's side of the same answer.
func BenchmarkDecode(b *testing.B) {
	infos := make(processList, 1000)
	for i := range infos {
		infos[i] = control.ProcessInfo{Group: "group", Name: fmt.Sprintf("process_%03d", i), State: process.Running, Start: time.Unix(1e9, 0), Now: time.Unix(2e9, 0),
			StdoutLog: "/var/log/supervisor/group-process_000-stdout---supervisor-abcdefgh.log", PID: 1000 + i, Description: "pid 1234, uptime 1 day, 0:00:01"}
	}
	doc, err := EncodeResponse(infos)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(doc)))
	for range b.N {
		if _, err := DecodeResponse(doc); err != nil {
			b.Fatal(err)
		}
	}
}
