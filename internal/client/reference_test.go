package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/xmlrpc"
)

// The tests of this file hold the whole path (client, web, xmlrpc) against Supervisor 4.2.5: its answers are recorded in testdata, and
// where the program is installed it is asked as well. -rewrite records anew.

var rewrite = flag.Bool("rewrite", false, "record Supervisor's answers in testdata")

const recordings = "testdata/supervisor-4.2.5.json"

// answer is what a server answered to a request.
type answer struct {
	Status int
	Type   string
	Auth   string `json:",omitempty"` // WWW-Authenticate
	Body   string
}

// reference is a running Supervisor.
type reference struct{ url, dir string }

const referenceConfig = `[unix_http_server]
file=DIR/s
username=user
password=password
[supervisord]
logfile=DIR/main.log
pidfile=DIR/pid
childlogdir=DIR
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:cat]
command=/bin/cat
autostart=false
startsecs=0
stdout_logfile=DIR/cat.out
stderr_logfile=NONE
priority=5
exitcodes=0,2
[program:gone]
command=/nonexistent
autostart=false
directory=/tmp
user=USER
stdout_logfile=NONE
redirect_stderr=true
autorestart=true
serverurl=http://x
[program:never]
command=/bin/cat
process_name=%(program_name)s_%(process_num)02d
numprocs=2
autostart=false
autorestart=false
stdout_logfile=DIR/%(program_name)s_%(process_num)02d.out
stderr_logfile=NONE
`

// startReference starts a supervisord with programs that are stopped, one of which cannot start. It returns nil where 4.2.5 is not installed.
func startReference(t *testing.T) *reference {
	t.Helper()
	const program = "/usr/bin/supervisord"
	if version, err := exec.Command(program, "-v").Output(); err != nil || strings.TrimSpace(string(version)) != "4.2.5" {
		return nil
	}
	dir, err := os.MkdirTemp("", "graced-reference-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "conf")
	config := strings.NewReplacer("DIR", dir, "USER", strconv.Itoa(os.Geteuid())).Replace(referenceConfig)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-n", "-c", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started, drained := make(chan bool, 2), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "supervisord started with pid") {
				started <- true
			}
		}
		started <- false
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-drained
		_ = cmd.Wait()
	})
	if !<-started {
		t.Fatal("supervisord does not start")
	}
	return &reference{"unix://" + filepath.Join(dir, "s"), dir}
}

// raw sends a request as it stands and returns the answer.
func raw(t *testing.T, url, request string) answer {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(url, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Server") != "Medusa/1.12" || resp.Header.Get("Date") == "" {
		t.Errorf("%.80q: %v", request, resp.Header)
	}
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Www-Authenticate"), string(body)}
}

const authorization = "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"

func post(document string) string {
	return "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n" + authorization + "Content-Type: text/xml\r\nContent-Length: " + strconv.Itoa(len(document)) + "\r\n\r\n" + document
}

// plainly is a request without a document.
func plainly(line string) string {
	return line + " HTTP/1.1\r\n" + authorization + "Host: x\r\n\r\n"
}

// feed makes the fake service say what the reference's service must have said for its document; nil where no service is asked.
type feed func(t *testing.T, f *controltest.Fake, document string) any

// question is a request whose answer both servers must give byte for byte.
type question struct {
	name, request string
	feed          feed
}

func query(name, method string, feed feed, args ...any) question {
	doc, err := xmlrpc.EncodeCall(method, args...)
	if err != nil {
		panic(err)
	}
	return question{name, post(string(doc)), feed}
}

// decode reads a document; a fault becomes the fake's error.
func decode(t *testing.T, f *controltest.Fake, document string) any {
	t.Helper()
	v, err := xmlrpc.DecodeResponse([]byte(document))
	var fault *xmlrpc.Fault
	if errors.As(err, &fault) {
		f.Err = faultError(fault)
		return nil
	}
	if err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	return v
}

func feedFault(t *testing.T, f *controltest.Fake, document string) any { return decode(t, f, document) }

func feedRows(t *testing.T, f *controltest.Fake, document string) any {
	results, err := readResults("", decode(t, f, document))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func feedNoLog(_ *testing.T, f *controltest.Fake, _ string) any {
	f.Err = control.Fault(control.NoFile, "")
	return nil
}

// feedList reads an array of structs, as many as the reference has processes.
func feedList[T any](read func(xmlrpc.Struct) T) feed {
	return func(t *testing.T, f *controltest.Fake, document string) any {
		rows, err := structs("", decode(t, f, document))
		if err != nil || len(rows) != 4 {
			t.Fatal(rows, err)
		}
		var out []T
		for _, row := range rows {
			out = append(out, read(row))
		}
		return out
	}
}

// documents are questions about the codec and about HTTP.
func documents() []question {
	param := func(value string) string {
		return post("<methodCall><methodName>system.methodSignature</methodName><params><param><value>" + value + "</value></param></params></methodCall>")
	}
	return []question{
		{"no xml", post("hello"), nil}, {"cut", post("<methodCall><methodName>supervisor.getState</methodName>"), nil},
		{"no method", post("<methodCall></methodCall>"), nil}, {"empty method", post("<methodCall><methodName></methodName></methodCall>"), nil},
		{"bad int", param("<int>x</int>"), nil}, {"bad base64", param("<base64>/w==</base64>"), nil}, {"empty array", param("<array/>"), nil},
		{"control character", post("<methodCall><methodName>x.y\x01</methodName></methodCall>"), nil},
		{"no params", post("<methodCall><methodName>supervisor.getState</methodName></methodCall>"), nil},
		{"other root", post("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<x>\n <methodName>supervisor.getState</methodName>\n <params/>\n</x>\n"), nil},
		{"untyped", param("supervisor.getState"), nil}, {"unknown type", param("<foo>supervisor.getState</foo>"), nil},
		{"base64", param("<base64>c3VwZXJ2aXNvci5nZXRTdGF0ZQ==</base64>"), nil},
		{"cdata", param("<string><![CDATA[supervisor]]>.get&#83;tate</string>"), nil},
		{"prefix", strings.Replace(post("<a><methodName>supervisor.getState</methodName></a>"), "/RPC2", "/RPC2xyz?q", 1), nil},

		{"get of RPC2", plainly("GET /RPC2"), nil}, {"put to RPC2", plainly("PUT /RPC2"), nil}, {"no length", plainly("POST /RPC2"), nil},
		{"not found", plainly("GET /nope"), nil}, {"post to nothing", plainly("POST /nope"), nil},
		{"no credentials", "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", nil},
		{"wrong credentials", "POST /RPC2 HTTP/1.1\r\nAuthorization: Basic dXNlcjp4\r\nHost: x\r\nContent-Length: 0\r\n\r\n", nil},
		{"other credentials", "GET / HTTP/1.1\r\nAuthorization: Digest x\r\nHost: x\r\n\r\n", nil},
		{"shouted credentials", "GET /nope HTTP/1.1\r\nAUTHORIZATION: BASIC dXNlcjpwYXNzd29yZA==\r\nHost: x\r\n\r\n", nil},
		{"logtail of nothing", plainly("GET /logtail/nope"), feedNoLog}, {"logtail of a group", plainly("GET /logtail/never:*"), feedNoLog},
		{"logtail without a file", plainly("GET /logtail/gone"), feedNoLog}, {"logtail of a channel", plainly("GET /logtail/cat/stdin"), feedNoLog},
		{"logtail of no name", plainly("GET /logtail/"), feedNoLog},
		{"post to logtail", plainly("POST /logtail/cat"), nil}, {"post to mainlogtail", plainly("POST /mainlogtail"), nil},
	}
}

// methods are questions about methods. Their order is the story of the reference.
func methods() []question {
	call := func(name string, params ...any) xmlrpc.Struct {
		return xmlrpc.Struct{{Name: "methodName", Value: name}, {Name: "params", Value: append([]any{}, params...)}}
	}
	list := []question{
		query("unknown method", "nope", nil), query("unknown name", "supervisor.nope", nil), query("three parts", "supervisor.getState.x", nil),
		query("private", "supervisor._update", nil), query("blank", " supervisor.getState", nil), query("too many", "supervisor.getState", nil, 1),
		query("too few", "supervisor.startProcess", nil), query("api version", "supervisor.getAPIVersion", nil), query("version", "supervisor.getVersion", nil),
		query("supervisor version", "supervisor.getSupervisorVersion", nil), query("identification", "supervisor.getIdentification", nil),
		query("state", "supervisor.getState", nil), query("event", "supervisor.sendRemoteCommEvent", nil, "a", "b"),
		query("stdin of a number", "supervisor.sendProcessStdin", nil, "cat", 5), query("stdin of a truth", "supervisor.sendProcessStdin", nil, "cat", true),
		query("methods", "system.listMethods", nil), query("no help", "system.methodHelp", nil, "nope"), query("no signature", "system.methodSignature", nil, "nope"),
		query("multicall", "system.multicall", nil, []any{
			call("supervisor.getState"), xmlrpc.Struct{{Name: "methodName", Value: "supervisor.getVersion"}}, xmlrpc.Struct{}, call("nope"),
			call("system.multicall", []any{}), call("system.methodSignature", "supervisor.startProcess"), call("supervisor.getVersion", 1),
		}),
		query("multicall of nothing", "system.multicall", nil, []any{}), query("multicall of a struct", "system.multicall", nil, xmlrpc.Struct{}),

		query("process", "supervisor.getProcessInfo", func(t *testing.T, f *controltest.Fake, doc string) any {
			return readProcess(decode(t, f, doc).(xmlrpc.Struct))
		}, "cat"),
		query("processes", "supervisor.getAllProcessInfo", feedList(readProcess)), query("configs", "supervisor.getAllConfigInfo", feedList(readConfig)),
		query("reread", "supervisor.reloadConfig", nil),
		query("no process", "supervisor.getProcessInfo", feedFault, "nope"), query("group for process", "supervisor.getProcessInfo", feedFault, "never:*"),
		query("start nothing", "supervisor.startProcess", feedFault, "nope"), query("start no group", "supervisor.startProcess", feedFault, "nope:*"),
		query("start gone", "supervisor.startProcess", feedFault, "gone"), query("stop stopped", "supervisor.stopProcess", feedFault, "cat"),
		query("stop no group", "supervisor.stopProcessGroup", feedFault, "nope"), query("bad signal", "supervisor.signalProcess", feedFault, "cat", "NOPE"),
		query("signal number", "supervisor.signalProcess", feedFault, "cat", 9), query("signal a group", "supervisor.signalProcess", feedRows, "never:*", 9),
		query("start group", "supervisor.startProcess", feedRows, "gone:*", false), query("start all", "supervisor.startAllProcesses", feedRows, false),
		query("start started", "supervisor.startProcess", feedFault, "cat"), query("stop all", "supervisor.stopAllProcesses", feedRows),
		query("add active", "supervisor.addProcessGroup", feedFault, "cat"), query("add nothing", "supervisor.addProcessGroup", feedFault, "nope"),
		query("remove nothing", "supervisor.removeProcessGroup", feedFault, "nope"), query("clear nothing", "supervisor.clearProcessLogs", feedFault, "nope"),
		query("clear all", "supervisor.clearAllProcessLogs", feedRows), query("stdin stopped", "supervisor.sendProcessStdin", feedFault, "cat", "x"),
		query("read nothing", "supervisor.readProcessStdoutLog", feedFault, "nope", 0, 0),
		query("read no log", "supervisor.readProcessStderrLog", feedFault, "cat", 0, 0),
		query("read badly", "supervisor.readProcessStdoutLog", feedFault, "cat", -1, 5),
		query("read main log", "supervisor.readLog", func(t *testing.T, f *controltest.Fake, doc string) any { return []byte(decode(t, f, doc).(string)) }, -20, 0),
		query("tail no log", "supervisor.tailProcessStderrLog", nil, "cat", 0, 5),
	}
	for _, name := range strings.Fields("addProcessGroup clearAllProcessLogs clearLog clearProcessLog clearProcessLogs getAPIVersion getAllConfigInfo getAllProcessInfo " +
		"getIdentification getPID getProcessInfo getState getSupervisorVersion getVersion readLog readMainLog readProcessLog readProcessStderrLog readProcessStdoutLog " +
		"reloadConfig removeProcessGroup restart sendProcessStdin sendRemoteCommEvent shutdown signalAllProcesses signalProcess signalProcessGroup startAllProcesses " +
		"startProcess startProcessGroup stopAllProcesses stopProcess stopProcessGroup tailProcessLog tailProcessStderrLog tailProcessStdoutLog") {
		list = append(list, query("signature of "+name, "system.methodSignature", nil, "supervisor."+name))
	}
	for _, name := range strings.Fields("listMethods methodHelp methodSignature multicall") {
		list = append(list, query("signature of "+name, "system.methodSignature", nil, "system."+name))
	}
	return list
}

// TestReference asks our servers what Supervisor was asked, with a service that says the same, and compares the bytes.
func TestReference(t *testing.T) {
	t.Parallel()
	questions := append(documents(), methods()...)
	if !*rewrite {
		data, err := os.ReadFile(recordings)
		if err != nil {
			t.Fatal(err)
		}
		answers := map[string]answer{}
		if err := json.Unmarshal(data, &answers); err != nil {
			t.Fatal(err)
		}
		compare(t, "recorded", questions, answers)
	}
	ref := startReference(t)
	if ref == nil {
		t.Log("Supervisor 4.2.5 is not installed: its recorded answers have to do")
		return
	}
	live := map[string]answer{}
	for _, q := range questions {
		a := raw(t, ref.url, q.request)
		a.Body = strings.ReplaceAll(a.Body, ref.dir, "/tmp/reference")
		live[q.name] = a
	}
	compare(t, "live", questions, live)
	if *rewrite {
		data, err := json.MarshalIndent(live, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordings, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func compare(t *testing.T, kind string, questions []question, answers map[string]answer) {
	t.Helper()
	svc := running()
	unix, _ := serve(t, svc, "user", "password", xmlrpc.Plugin{Name: "supervisor", Factory: xmlrpc.FactoryMain})
	for _, q := range questions {
		want, ok := answers[q.name]
		if !ok {
			t.Errorf("%s: no answer is %s", q.name, kind)
			continue
		}
		svc.Answer, svc.Err = nil, nil
		if q.feed != nil {
			svc.Answer = q.feed(t, svc, want.Body)
		}
		got := raw(t, unix, q.request)
		if q.name == "configs" {
			// Supervisor tells autorestart from 4.4 on (quirk D7).
			got.Body = strings.ReplaceAll(got.Body, "<member>\n<name>autorestart</name>\n<value><string>unexpected</string></value>\n</member>\n", "")
		}
		if got != want {
			t.Errorf("%s:\n    ours %+v\n%8s %+v", q.name, got, kind, want)
		}
	}
}

// TestClientOfReference drives a real Supervisor with the client.
func TestClientOfReference(t *testing.T) {
	t.Parallel()
	ref := startReference(t)
	if ref == nil {
		t.Skip("hidden: our client with a real Supervisor, because Supervisor 4.2.5 is not installed")
	}
	c := connect(t, ref.url, "user", "password")
	d, err := c.Daemon(background)
	if err != nil || d.Identifier != "supervisor" || d.Version != "4.2.5" || d.PID == 0 || d.Mood != control.MoodRunning {
		t.Errorf("Daemon: %+v, %v", d, err)
	}
	if r, err := c.Start(background, control.Target{Name: "cat"}, true); err != nil || len(r) != 1 ||
		r[0] != (control.Result{Group: "cat", Name: "cat", Code: control.Success, Text: "OK"}) {
		t.Fatalf("Start: %+v, %v", r, err)
	}
	stdout := control.Log{Process: "cat", Channel: control.Stdout}
	f, err := c.FollowLog(background, stdout)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := c.WriteStdin(background, "cat", []byte("hé\n")); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for !bytes.HasSuffix(got.Bytes(), []byte("\n")) {
		data, err := f.Next(background)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(data)
	}
	if got.String() != "hé\n" {
		t.Errorf("the log is %q", got.String())
	}
	if tail, err := c.TailLog(background, stdout, 0, 100); err != nil || string(tail.Data) != "hé\n" || tail.Offset != 4 || tail.Overflow {
		t.Errorf("TailLog: %+v, %v", tail, err)
	}
	if data, err := c.ReadLog(background, stdout, 0, 1); err != nil || string(data) != "h" {
		t.Errorf("ReadLog: %q, %v", data, err)
	}
	if data, err := c.ReadLog(background, control.Log{Main: true}, 0, 0); err != nil || !bytes.Contains(data, []byte("supervisord started")) {
		t.Errorf("ReadLog: %q, %v", data, err)
	}
	p, err := c.Process(background, "cat")
	if err != nil || p.State != process.Running || p.PID == 0 || p.Start.IsZero() || !p.Stop.IsZero() || p.StdoutLog != filepath.Join(ref.dir, "cat.out") {
		t.Errorf("Process: %+v, %v", p, err)
	}
	if all, err := c.Processes(background); err != nil || len(all) != 4 || all[0].PID != p.PID || all[3].Name != "never_01" || !all[3].Start.IsZero() {
		t.Errorf("Processes: %+v, %v", all, err)
	}
	if groups, err := c.Groups(background); err != nil || strings.Join(groups, " ") != "cat gone never" {
		t.Errorf("Groups: %v, %v", groups, err)
	}
	if configs, err := c.Configs(background); err != nil || len(configs) != 4 || configs[0].Spec.Command != "/bin/cat" || configs[0].Spec.Stdout.MaxBytes != 50<<20 {
		t.Errorf("Configs: %+v, %v", configs, err)
	}
	if r, err := c.Signal(background, control.Target{Name: "cat", Group: true}, "CONT"); err != nil || len(r) != 1 || r[0].Code != control.Success {
		t.Errorf("Signal: %+v, %v", r, err)
	}
	if r, err := c.ClearAllLogs(background); err != nil || len(r) != 4 {
		t.Errorf("ClearAllLogs: %+v, %v", r, err)
	}
	var fault *control.Error
	if err := c.RemoveGroup(background, "cat"); !errors.As(err, &fault) || *fault != (control.Error{Code: control.StillRunning, Text: "cat"}) {
		t.Errorf("RemoveGroup: %v", err)
	}
	if r, err := c.Stop(background, control.Target{All: true}, true); err != nil || len(r) != 1 || r[0].Name != "cat" {
		t.Errorf("Stop: %+v, %v", r, err)
	}
	if err := c.RemoveGroup(background, "cat"); err != nil {
		t.Errorf("RemoveGroup: %v", err)
	}
	if r, err := c.Reread(background); err != nil || strings.Join(r.Added, " ") != "cat" || len(r.Changed)+len(r.Removed) != 0 {
		t.Errorf("Reread: %+v, %v", r, err)
	}
	if err := c.AddGroup(background, "cat"); err != nil {
		t.Errorf("AddGroup: %v", err)
	}
	if _, err := c.GraceUpdate(background, "cat"); !errors.As(err, &fault) || fault.Code != control.UnknownMethod {
		t.Errorf("GraceUpdate: %v", err)
	}
	if err := c.ClearLog(background, control.Log{Main: true}); err != nil {
		t.Errorf("ClearLog: %v", err)
	}
	if _, err := c.FollowLog(background, control.Log{Process: "gone"}); !errors.As(err, &fault) || fault.Code != control.NoFile {
		t.Errorf("FollowLog: %v", err)
	}
	if err := c.Shutdown(background); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
