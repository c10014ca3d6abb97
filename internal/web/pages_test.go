package web

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// shop is a service with processes. What a command answers is said by the test.
type shop struct {
	*fakeService
	mood        control.Mood
	infos       []control.ProcessInfo
	start, stop func(control.Target) ([]control.Result, error)
	endless     chan struct{} // if there is one, Stop tells it that it has begun, and ends with its context
	log         []byte
	logErr      error
}

func newShop(infos ...control.ProcessInfo) *shop {
	done := func(t control.Target) ([]control.Result, error) {
		return []control.Result{{Name: t.Name, Code: control.Success}}, nil
	}
	return &shop{fakeService: newService(), mood: control.MoodRunning, infos: infos, start: done, stop: done}
}

func (s *shop) Daemon(context.Context) (control.Daemon, error) {
	return control.Daemon{Version: "4.2.5", Mood: s.mood}, nil
}

func (s *shop) Process(_ context.Context, name string) (control.ProcessInfo, error) {
	for _, info := range s.infos {
		if n := process.ParseNamespec(name); n.Group == info.Group && n.Process == info.Name {
			return info, nil
		}
	}
	return control.ProcessInfo{}, control.Fault(control.BadName, name)
}

func (s *shop) Processes(context.Context) ([]control.ProcessInfo, error) { return s.infos, nil }

func (s *shop) Start(ctx context.Context, t control.Target, wait bool) ([]control.Result, error) {
	_, _ = s.Fake.Start(ctx, lasting(ctx, t), wait)
	return s.start(t)
}

func (s *shop) Stop(ctx context.Context, t control.Target, wait bool) ([]control.Result, error) {
	_, _ = s.Fake.Stop(ctx, lasting(ctx, t), wait)
	if s.endless != nil {
		s.endless <- struct{}{}
		<-ctx.Done()
		return nil, control.Fault(control.Failed, ctx.Err().Error())
	}
	return s.stop(t)
}

// lasting marks the target of a command whose context is that of a request: it would end when the client goes.
func lasting(ctx context.Context, t control.Target) control.Target {
	if ctx.Value(http.ServerContextKey) != nil {
		t.Name += " until the client goes"
	}
	return t
}

func (s *shop) ReadLog(ctx context.Context, log control.Log, offset, length int64) ([]byte, error) {
	_, _ = s.Fake.ReadLog(ctx, log, offset, length)
	return s.log, s.logErr
}

func info(group, name string, state process.State) control.ProcessInfo {
	return control.ProcessInfo{Group: group, Name: name, State: state, Description: "about " + name}
}

// ask sends one request to a server and returns the answer.
func ask(t *testing.T, path, request string) (*http.Response, string) {
	t.Helper()
	conn := dial(t, path)
	defer func() { _ = conn.Close() }()
	return exchange(t, conn, bufio.NewReader(conn), request)
}

func get(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: h:9001\r\n" + strings.Join(append(headers, "\r\n"), "\r\n")
}

func post(target, body string, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h:9001\r\nContent-Length: %d\r\n%s\r\n%s", target, len(body), strings.Join(append(headers, ""), "\r\n"), body)
}

// told returns the message that an answer sends the client on with; "" if it does not.
func told(t *testing.T, resp *http.Response) string {
	t.Helper()
	where := resp.Header.Get("Location")
	if where == "" && resp.StatusCode != http.StatusSeeOther {
		return ""
	}
	quoted, ok := strings.CutPrefix(where, "./?message=")
	text, err := url.PathUnescape(quoted)
	if !ok || err != nil || resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	return text
}

// wellFormed checks that a page is one that an XML parser can read, and returns its texts and attributes.
func wellFormed(t *testing.T, page string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	var out strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
		switch token := token.(type) {
		case xml.CharData:
			out.WriteString(string(token))
		case xml.StartElement:
			for _, a := range token.Attr {
				out.WriteString("[" + a.Name.Local + "=" + a.Value + "]")
			}
		}
	}
}

func TestStatusPage(t *testing.T) {
	svc := newShop(info("a", "a", process.Running), info("b:x", "b<i>\"\x01\xff", process.Fatal), info("g", "é p", process.Backoff),
		info("g", "q", process.Starting), info("g", "r", process.Exited), info("g", "s", process.Stopping), info("g", "u", process.Unknown))
	_, path := start(t, Config{}, svc, echo)
	resp, page := ask(t, path, get("/?message=%3Cscript%3Ealert(1)%3C/script%3E%00&message=2"))
	for name, want := range map[string]string{
		"Content-Type": "text/html;charset=utf-8", "Pragma": "no-cache", "Cache-Control": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY", "Server": "Medusa/1.12",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if resp.StatusCode != 200 || resp.ContentLength != int64(len(page)) {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	for _, want := range []string{
		"<title>Supervisor Status</title>", `<div class="status_msg">&lt;script&gt;alert(1)&lt;/script&gt;` + "\uFFFD</div>",
		`<span class="statusrunning">running</span>`, `<span class="statuserror">fatal</span>`, `<span class="statuserror">backoff</span>`,
		`<span class="statusnominal">starting</span>`, `<span class="statusnominal">unknown</span>`, `<span>about a</span>`,
		`<a href="tail.html?processname=a" target="_blank">a</a>`, `<a href="tail.html?processname=g%3Aq" target="_blank">g:q</a>`,
		`<a href="index.html?processname=a&amp;action=restart" name="Restart">Restart</a>`, `<a href="index.html?processname=a&amp;action=stop" name="Stop">Stop</a>`,
		`<a href="index.html?processname=g%3Ar&amp;action=start" name="Start">Start</a>`, `<a href="index.html?processname=g%3Aq&amp;action=clearlog" name="Clear Log">Clear Log</a>`,
		`<a href="logtail/g%3A%C3%A9%20p" name="Tail -f Stdout" target="_blank">`, `<a href="logtail/g%3Aq/stderr" name="Tail -f Stderr" target="_blank">`,
		`<a href="tail.html?processname=b%3Ax%3Ab%3Ci%3E%22%01%FF" target="_blank">b:x:b&lt;i&gt;&#34;` + "\uFFFD\uFFFD</a>", "<span>4.2.5</span>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %s in\n%s", want, page)
		}
	}
	for what, n := range map[string]int{"action=start\"": 2, "action=stop\"": 1, "action=restart\"": 1, "action=clearlog\"": 7, `class="hidden"`: 2*7 - 2 - 2, `<tr class="shade">`: 3} {
		if got := strings.Count(page, what); got != n {
			t.Errorf("%d times %s, not %d", got, what, n)
		}
	}
	wellFormed(t, page)
}

func TestEmptyStatusPage(t *testing.T) {
	_, path := start(t, Config{}, newShop(), echo)
	_, page := ask(t, path, get("/index.html"))
	if text := wellFormed(t, page); !strings.Contains(text, "No programs to manage") || strings.Contains(page, "<table") || strings.Contains(page, "status_msg") {
		t.Error(page)
	}
}

func TestTailPage(t *testing.T) {
	cut := []byte(strings.Repeat("\xc3\xa9", 512)) // 1024 bytes
	for _, test := range []struct {
		query      string
		log        []byte
		err        error
		text, name string
		offset     int64 // asked for; 0 = nothing is
	}{
		{"", nil, nil, "No process name found", "None", 0},
		{"?processname=", nil, nil, "No process name found", "None", 0},
		{"?limit=2000", nil, nil, "No process name found", "None", 0},
		{"?processname=p", []byte("<b>&amp;\n\x1b[1m\xff\x00é"), nil, "<b>&amp;\n\uFFFD[1m\uFFFD\uFFFDé", "p", 1024},
		{"?processname=p", append([]byte{0xa9}, cut[:1023]...), nil, strings.Repeat("é", 511) + "\uFFFD", "p", 1024},
		{"?processname=p", []byte("\xa9 short"), nil, "\uFFFD short", "p", 1024},
		{"?processname=p&limit=5", nil, nil, "", "p", 1024},
		{"?processname=p&limit=-2000", nil, nil, "", "p", 1024},
		{"?processname=p&limit=2000x", nil, nil, "", "p", 1024},
		{"?processname=p&limit=%C2%B2", nil, nil, "", "p", 1024},
		{"?processname=p&limit=002000", nil, nil, "", "p", 2000},
		{"?processname=p&limit=99999999999999999999", nil, nil, "", "p", 9223372036854775807},
		{"?processname=%3Cb%3E:*&action=stopall", nil, control.Fault(control.BadName, "<b>:*"), "ERROR: unexpected rpc fault [10] BAD_NAME: <b>:*", "<b>:*", 1024},
		{"?processname=p", nil, control.Fault(control.NoFile, "/x"), "No file for p", "p", 1024},
		{"?processname=p", nil, control.Fault(control.Failed, ""), "ERROR: unexpected rpc fault [30] FAILED", "p", 1024},
	} {
		svc := newShop()
		svc.log, svc.logErr = test.log, test.err
		_, path := start(t, Config{}, svc, echo)
		resp, page := ask(t, path, get("/tail.html"+test.query))
		text := wellFormed(t, page)
		if resp.StatusCode != 200 || !strings.Contains(text, "Supervisor tail of process "+test.name+"\n") {
			t.Errorf("%s: %d %s", test.query, resp.StatusCode, page)
		}
		_, pre, _ := strings.Cut(text, "\n\n\n")
		if pre, _, _ = strings.Cut(pre, "\n\n"); strings.TrimSpace(pre) != test.text {
			t.Errorf("%s: %q", test.query, pre)
		}
		want, link := "", ""
		if test.offset != 0 {
			want = fmt.Sprintf("ReadLog({Main:false Process:%s Channel:stdout}, -%d, 0)", test.name, test.offset)
			link = fmt.Sprintf("[href=tail.html?processname=%s&limit=%d]", quote(test.name), test.offset)
		}
		if got := svc.Take(); got != want {
			t.Errorf("%s: %s", test.query, got)
		}
		if link == "" && strings.Contains(text, "tail.html") || !strings.Contains(text, link) {
			t.Errorf("%s: %s", test.query, text)
		}
	}
}

// fails returns a command that fails with a code for those of the names that it is asked for.
func fails(code control.Code, detail string) func(control.Target) ([]control.Result, error) {
	return func(t control.Target) ([]control.Result, error) {
		return []control.Result{{Group: t.Name, Name: t.Name, Code: code, Text: code.String() + detail}}, nil
	}
}

func TestActions(t *testing.T) {
	const stopAll, startAll = "Stop({Name: Group:false All:true}, true)", "Start({Name: Group:false All:true}, true)"
	both := "Stop({Name:g:p Group:false All:false}, true)\nStart({Name:g:p Group:false All:false}, true)"
	refuse := func(err error) func(control.Target) ([]control.Result, error) {
		return func(control.Target) ([]control.Result, error) { return nil, err }
	}
	for _, test := range []struct {
		query       string
		start, stop func(control.Target) ([]control.Result, error)
		told        string // "" = 500
		calls       string
	}{
		{"action=refresh", nil, nil, "Page refreshed at TIME", ""},
		{"action=refresh&processname=nope", nil, nil, "Page refreshed at TIME", ""},
		{"action=stopall", nil, nil, "All stopped at TIME", stopAll},
		{"action=stopall", nil, refuse(errors.New("ouch")), "", stopAll},
		{"action=restartall", nil, nil, "All restarted at TIME", stopAll + "\n" + startAll},
		{"action=restartall", nil, refuse(errors.New("ouch")), "", stopAll},
		{"action=restartall", func(control.Target) ([]control.Result, error) {
			out := []control.Result{{Group: "ok", Name: "ok", Code: control.Success, Text: "OK"}, {Group: "g", Name: "p", Code: control.NoFile, Text: "NO_FILE: x"}}
			for range 6 {
				out = append(out, control.Result{Group: "d", Name: "d", Code: control.SpawnError, Text: "SPAWN_ERROR: d"})
			}
			return out, nil
		}, nil, "All restarted at TIME; not started: g:p (no such file), d (spawn error), d (spawn error), d (spawn error), d (spawn error) and 2 more", stopAll + "\n" + startAll},
		{"action=stopall", nil, func(control.Target) ([]control.Result, error) {
			return []control.Result{{Group: "a", Name: "a", Code: control.Failed, Text: "FAILED: x"}}, nil
		}, "All stopped at TIME; not stopped: a (unexpected rpc fault [30] FAILED: x)", stopAll},
		{"action=start&processname=g:p", nil, nil, "Process g:p started", "Start({Name:g:p Group:false All:false}, true)"},
		{"action=start&processname=a:a", nil, nil, "Process a:a started", "Start({Name:a:a Group:false All:false}, true)"},
		{"action=start&processname=a", fails(control.NoFile, ": x"), nil, "ERROR: Process a: no such file", "Start({Name:a Group:false All:false}, true)"},
		{"action=start&processname=a", fails(control.NotExecutable, ""), nil, "ERROR: Process a: file not executable", "Start({Name:a Group:false All:false}, true)"},
		{"action=start&processname=a", fails(control.AlreadyStarted, ""), nil, "ERROR: Process a: already started", "Start({Name:a Group:false All:false}, true)"},
		{"action=start&processname=a", fails(control.SpawnError, ""), nil, "ERROR: Process a: spawn error", "Start({Name:a Group:false All:false}, true)"},
		{"action=start&processname=a", refuse(control.Fault(control.AbnormalTermination, "a")), nil, "ERROR: Process a: abnormal termination", "Start({Name:a Group:false All:false}, true)"},
		{"action=start&processname=a", refuse(control.Fault(control.Failed, "é")), nil, "ERROR: Process a: unexpected rpc fault [30] FAILED: é", "Start({Name:a Group:false All:false}, true)"},
		{"action=stop&processname=a", nil, nil, "Process a stopped", "Stop({Name:a Group:false All:false}, true)"},
		{"action=stop&processname=a", nil, fails(control.NotRunning, ": a"), "unexpected rpc fault [70] NOT_RUNNING: a", "Stop({Name:a Group:false All:false}, true)"},
		{"action=restart&processname=g:p", nil, nil, "Process g:p restarted", both},
		{"action=restart&processname=g:p", nil, fails(control.NotRunning, ": g:p"), "Process g:p restarted", both},
		{"action=restart&processname=g:p", fails(control.SpawnError, ": g:p"), nil, "ERROR: Process g:p: spawn error", both},
		{"action=restart&processname=a", nil, fails(control.Failed, ": a"), "ERROR: Process a: unexpected rpc fault [30] FAILED: a", "Stop({Name:a Group:false All:false}, true)"},
		{"action=clearlog&processname=a", nil, nil, "Log for a cleared", "ClearLog({Main:false Process:a Channel:})"},
		{"action=stop&processname=nope%3Cb%3E", nil, nil, "No such process named nope<b>", ""},
		{"action=bogus&processname=nope", nil, nil, "No such process named nope", ""},
		{"action=stop&processname=g:*", nil, nil, "No such process named g:*", ""},
		{"action=stop&processname=%FF+%zz", nil, nil, "No such process named \uFFFD %zz", ""},
		{"action=bogus&processname=a", nil, nil, "", ""},
		{"action=bogus", nil, nil, "", ""},
		{"action=start", nil, nil, "", ""},
		{"action=start&processname=", nil, nil, "", ""},
		{"action=start&action=stop&processname=a&processname=g:p", nil, nil, "Process a started", "Start({Name:a Group:false All:false}, true)"},
		{"action=refresh;processname=a", nil, nil, "", ""},
		{"ACTION=stopall&action=refresh", nil, nil, "Page refreshed at TIME", ""},
	} {
		svc := newShop(info("a", "a", process.Running), info("g", "p", process.Running))
		if test.start != nil {
			svc.start = test.start
		}
		if test.stop != nil {
			svc.stop = test.stop
		}
		_, path := start(t, Config{}, svc, echo)
		for _, request := range []string{get("/?" + test.query), get("//index.html?" + test.query)} {
			began := time.Now().Truncate(time.Second)
			resp, body := ask(t, path, request)
			got, calls := told(t, resp), svc.Take()
			if before, rest, ok := strings.Cut(got, " at "); ok {
				at, err := time.ParseInLocation(time.ANSIC, rest[:min(24, len(rest))], time.Local)
				if err != nil || at.Before(began) || time.Since(at) > time.Minute {
					t.Errorf("%s: %s", test.query, got)
				}
				got = before + " at TIME" + rest[min(24, len(rest)):]
			}
			if got != test.told || calls != test.calls {
				t.Errorf("%s:\n%s\n%s", test.query, got, calls)
			}
			want := errorPage(303, "See Other")
			if test.told == "" {
				want = errorPage(500, "Internal Server Error")
			}
			if body != want {
				t.Errorf("%s: %d %s", test.query, resp.StatusCode, body)
			}
		}
	}
}

// TestActionFails checks the failure of a log that cannot be cleared.
func TestActionFails(t *testing.T) {
	svc := newShop(info("a", "a", process.Running))
	svc.Err = control.Fault(control.Failed, "a")
	_, path := start(t, Config{}, svc, echo)
	if resp, _ := ask(t, path, get("/?action=clearlog&processname=a")); told(t, resp) != "unexpected rpc fault [30] FAILED: a" {
		t.Errorf("%v", resp.Header)
	}
}

// TestPostedForms checks which of query and body counts.
func TestPostedForms(t *testing.T) {
	svc := newShop(info("a", "a", process.Running), info("b", "b", process.Running))
	_, path := start(t, Config{}, svc, echo)
	for _, test := range []struct{ request, told string }{
		{post("/?action=stop&processname=a", "action=start"), "Process a started"},
		{post("/", "action=stop&action=start&processname=a&processname=b"), "Process b started"},
		{post("/?action=stop&processname=a", "action="), "Process a stopped"},
		{post("/index.html", "action=stop&processname=%62", "Content-Type: text/plain"), "Process b stopped"},
		{post("/", "action=stop&processname=\xff"), "No such process named \uFFFD"},
		{post("/?action=stop&processname=a", ""), "Process a stopped"}, // Supervisor waits for ever
		{"POST /?action=stop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nprocessname=b\r\n0\r\n\r\n", "Process b stopped"},
	} {
		if resp, _ := ask(t, path, test.request); told(t, resp) != test.told {
			t.Errorf("%q: %d %v", test.request, resp.StatusCode, resp.Header)
		}
	}
	svc.Take()
	for request, status := range map[string]int{
		post("/", "{\"a\": 1}"): 200, post("/ok.html", "x"): 200, post("/tail.html", "x"): 200,
		"POST / HTTP/1.1\r\nHost: x\r\n\r\n":                                        411,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n":            413,
		"PUT /?action=stopall HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx":    400,
		"HEAD /?action=stopall HTTP/1.1\r\nHost: x\r\n\r\n":                         404, // compat
		"HEAD /ok.html HTTP/1.1\r\nHost: x\r\n\r\n":                                 404, // compat
		"OPTIONS /?action=stopall HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n": 400,
		"POST /images/icon.png HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n":    400,
	} {
		if resp, _ := ask(t, path, request); resp.StatusCode != status {
			t.Errorf("%q: %d", request, resp.StatusCode)
		}
	}
	if calls := svc.Take(); calls != "" {
		t.Errorf("something was done: %s", calls)
	}
}

// TestShuttingDown checks the pages while the daemon is about to end.
func TestShuttingDown(t *testing.T) {
	for _, mood := range []control.Mood{control.MoodShutdown, control.MoodRestarting} {
		svc := newShop(info("a", "a", process.Running))
		svc.mood = mood
		_, path := start(t, Config{}, svc, echo)
		for target, want := range map[string]string{
			"/": "Error code 500.", "/?action=refresh": "Error code 500.", "/?action=stop&processname=a": "Error code 500.", "/?action=stopall": "Error code 500.",
			"/ok.html": "OK", "/tail.html?processname=a": "<pre>ERROR: unexpected rpc fault [6] SHUTDOWN_STATE</pre>", "/stylesheets/supervisor.css": "body {",
		} {
			if _, body := ask(t, path, get(target)); !strings.Contains(body, want) {
				t.Errorf("%s: %s", target, body)
			}
		}
		if calls := svc.Take(); calls != "" {
			t.Errorf("the service was asked: %s", calls)
		}
	}
}

// TestLongActions checks that a wait holds up its own connection alone, goes on without its client, and ends with the server.
func TestLongActions(t *testing.T) {
	svc := newShop(info("a", "a", process.Running))
	began, release := make(chan struct{}), make(chan struct{})
	svc.stop = func(control.Target) ([]control.Result, error) {
		began <- struct{}{}
		<-release
		return nil, nil
	}
	started := make(chan struct{}, 1)
	svc.start = func(control.Target) ([]control.Result, error) {
		started <- struct{}{}
		return nil, nil
	}
	_, path := start(t, Config{}, svc, echo)
	waiting, gone := dial(t, path), dial(t, path)
	_, _ = io.WriteString(waiting, get("/?action=stop&processname=a"))
	<-began
	_, _ = io.WriteString(gone, get("/?action=restart&processname=a"))
	<-began
	_ = gone.Close()
	if _, body := ask(t, path, get("/ok.html")); body != "OK" {
		t.Error(body)
	}
	close(release)
	if resp, err := http.ReadResponse(bufio.NewReader(waiting), nil); err != nil || told(t, resp) != "Process a stopped" {
		t.Errorf("%v, %v", resp, err)
	}
	<-started

	svc = newShop(info("a", "a", process.Running))
	svc.endless = make(chan struct{})
	s, path := start(t, Config{}, svc, echo)
	conn := dial(t, path)
	_, _ = io.WriteString(conn, get("/?action=restart&processname=a"))
	<-svc.endless
	s.Close()
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 500 {
		t.Errorf("at the server's end: %v, %v", resp, err)
	}
	if calls := svc.Take(); strings.Contains(calls, "Start") {
		t.Errorf("at the server's end: %s", calls)
	}
}

// TestPagesAskForCredentials checks that nothing of the page is there for strangers.
func TestPagesAskForCredentials(t *testing.T) {
	svc := newShop(info("a", "a", process.Running))
	_, path := start(t, Config{Username: "u", Password: "p"}, svc, echo)
	for _, target := range []string{"/", "/?action=stopall", "/ok.html", "/tail.html", "/images/icon.png", "/images"} {
		if resp, _ := ask(t, path, get(target)); resp.StatusCode != 401 {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
		if resp, _ := ask(t, path, get(target, "Authorization: Basic dTpw")); resp.StatusCode >= 400 {
			t.Errorf("%s with credentials: %d", target, resp.StatusCode)
		}
	}
}

// TestManyProcesses checks that a page of a thousand rows costs about as much as its bytes.
func TestManyProcesses(t *testing.T) {
	var infos []control.ProcessInfo
	for i := range 1000 {
		infos = append(infos, info("group", strings.Repeat("wide_", 40)+fmt.Sprintf("%04d", i), process.Running))
	}
	_, path := start(t, Config{}, newShop(infos...), echo)
	began := time.Now()
	resp, page := ask(t, path, get("/"))
	t.Logf("%d bytes in %v", len(page), time.Since(began))
	if resp.StatusCode != 200 || strings.Count(page, "<tr class") != 1000 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=b&a=c", "%", "%zz+%41", "=&a&b=", "processname=\xff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		for name, value := range readForm(query, body) {
			if value == "" || strings.ToValidUTF8(name+value, "") != name+value {
				t.Errorf("%q: %q", name, value)
			}
			if back := unquote(quote(value)); back != value {
				t.Errorf("%q comes back as %q", value, back)
			}
		}
	})
}
