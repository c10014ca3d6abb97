package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRPC answers documents with a function.
type fakeRPC func(ctx context.Context, body []byte) ([]byte, int)

func (f fakeRPC) Serve(ctx context.Context, body []byte) ([]byte, int) { return f(ctx, body) }

// echo answers the body, "bad" with 400 and nothing with 400.
func echo(_ context.Context, body []byte) ([]byte, int) {
	if len(body) == 0 || string(body) == "bad" {
		return nil, http.StatusBadRequest
	}
	return body, http.StatusOK
}

// fakeService hands out followers that a test feeds. The rest of a Service is the general fake's.
type fakeService struct {
	controltest.Fake
	pieces chan []byte // of the one follower; closed = end
	closed chan struct{}
	lines  chan string
}

func newService() *fakeService {
	return &fakeService{pieces: make(chan []byte), closed: make(chan struct{}, 1), lines: make(chan string, 8)}
}

func (f *fakeService) FollowLog(_ context.Context, log control.Log) (control.Follower, error) {
	switch {
	case log == control.Log{Main: true}, log == control.Log{Process: "g:p", Channel: "stdout"}, log == control.Log{Process: "é p", Channel: "stderr"}:
		return &fakeFollower{f}, nil
	case log.Channel != "stdout" && log.Channel != "stderr", strings.HasSuffix(log.Process, ":"), strings.HasSuffix(log.Process, ":*"), log.Process == "broken":
		return nil, errors.New("broken")
	}
	return nil, control.Fault(control.BadName, log.Process) // everything that a server may ask about and that is not there
}

func (f *fakeService) Log(_ context.Context, level int, message string) error {
	f.lines <- fmt.Sprint(level, " ", message)
	return nil
}

type fakeFollower struct{ *fakeService }

func (f *fakeFollower) Next(ctx context.Context) ([]byte, error) {
	select {
	case data, ok := <-f.pieces:
		if !ok {
			return nil, io.EOF
		}
		return data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fakeFollower) Close() error {
	f.closed <- struct{}{}
	return nil
}

func (f *fakeFollower) Modified() time.Time { return time.Unix(1e9, 0) }

// start serves on a unix socket and returns its path.
func start(t *testing.T, c Config, svc Service, rpc fakeRPC) (*Server, string) {
	t.Helper()
	c.Unix, c.File, c.Mode, c.UID, c.GID = true, filepath.Join(t.TempDir(), "s"), 0o700, -1, -1
	listeners, err := Listen([]Config{c})
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(listeners, svc, rpc)
	t.Cleanup(s.Close)
	return s, c.File
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a test that hangs fails
	return conn
}

// exchange sends bytes and reads one response.
func exchange(t *testing.T, conn net.Conn, r *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func errorPage(code int, text string) string {
	return fmt.Sprintf("<head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n<p>Error code %d.\r\n<p>Message: %s.\r\n</body>\r\n", code, text)
}

func TestRouting(t *testing.T) {
	_, path := start(t, Config{}, newService(), echo)
	post := func(path, rest string) string { return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + rest }
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	for _, test := range []struct {
		request string
		status  int
		text    string // the body, or of an error page the words
	}{
		{post("/RPC2", "Content-Length: 3\r\n\r\nabc"), 200, "abc"},
		{post("/RPC2xyz?q", "Content-Length: 3\r\n\r\nabc"), 200, "abc"},
		{post("/RPC2/deeper", "Content-Length: 3\r\n\r\nabc"), 200, "abc"},
		{post("/%52PC2", "Content-Length: 3\r\n\r\nabc"), 200, "abc"},
		{post("/RPC2", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 200, "abc"}, // D11
		{post("/RPC2", "Content-Length: 3\r\n\r\nbad"), 400, "Bad Request"},
		{post("/RPC2", "Content-Length: 0\r\n\r\n"), 400, "Bad Request"}, // D11
		{post("/RPC2", "\r\n"), 411, "Length Required"},
		{get("/RPC2"), 400, "Bad Request"},
		{"HEAD /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
		{"PUT /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 400, "Bad Request"},
		{get("/nope"), 404, "Not Found"},
		{"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 404, ""},
		{post("/nope", "Content-Length: 0\r\n\r\n"), 400, "Bad Request"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "Bad Request"},
		{get("/logtail/nope"), 404, "Not Found"},
		{get("/logtail/g:*"), 404, "Not Found"},
		{get("/logtail/g:"), 404, "Not Found"},
		{get("/logtail/g:p/stdin"), 404, "Not Found"},
		{get("/logtail/g:p/stdout/x"), 404, "Not Found"},
		{get("/logtail/"), 404, "Not Found"},
		{get("/logtail"), 404, "Not Found"},
		{get("/logtail/broken"), 500, "Internal Server Error"},
		{post("/logtail/g:p", "Content-Length: 0\r\n\r\n"), 400, "Bad Request"},
		{post("/mainlogtail", "Content-Length: 0\r\n\r\n"), 400, "Bad Request"},
		{"HEAD /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
	} {
		conn := dial(t, path)
		resp, body := exchange(t, conn, bufio.NewReader(conn), test.request)
		want, contentType := test.text, "text/xml"
		if test.status != 200 {
			contentType = "text/html"
			if want != "" {
				want = errorPage(test.status, test.text)
			}
		}
		if resp.StatusCode != test.status || body != want || resp.Header.Get("Content-Type") != contentType || resp.Header.Get("Server") != "Medusa/1.12" {
			t.Errorf("%.60q: %d %v %q", test.request, resp.StatusCode, resp.Header, body)
		}
		if resp.Header.Get("X-Accel-Buffering") != "" || resp.Header.Get("Date") == "" || resp.ContentLength < 0 {
			t.Errorf("%.60q: %v", test.request, resp.Header)
		}
		_ = conn.Close()
	}
}

// TestConnections checks versions of HTTP, kept connections and pipelining.
func TestConnections(t *testing.T) {
	_, path := start(t, Config{}, newService(), echo)
	call := func(version, header, body string) string {
		return fmt.Sprintf("POST /RPC2 HTTP/%s\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s", version, header, len(body), body)
	}
	for _, test := range []struct {
		version, header string
		stays           bool
	}{{"1.1", "", true}, {"1.1", "Connection: close\r\n", false}, {"1.0", "", false}, {"1.0", "Connection: Keep-Alive\r\n", true}} {
		conn := dial(t, path)
		r := bufio.NewReader(conn)
		if resp, body := exchange(t, conn, r, call(test.version, test.header, "abc")); resp.StatusCode != 200 || body != "abc" || resp.Close == test.stays {
			t.Errorf("%v: %d %q %v", test, resp.StatusCode, body, resp.Header)
		}
		if !test.stays {
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("%v: the connection stays open: %v", test, err)
			}
		} else if resp, body := exchange(t, conn, r, call(test.version, test.header, "again")); resp.StatusCode != 200 || body != "again" {
			t.Errorf("%v: the second answer is %d %q", test, resp.StatusCode, body)
		}
	}

	expecting := dial(t, path)
	answers := bufio.NewReader(expecting)
	if resp, _ := exchange(t, expecting, answers, call("1.1", "Expect: 100-continue\r\n", "abc")); resp.StatusCode != 100 {
		t.Errorf("Expect: 100-continue is answered %d", resp.StatusCode)
	}
	if resp, err := http.ReadResponse(answers, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("after 100 comes %v, %v", resp, err)
	}

	conn := dial(t, path)
	r := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, call("1.1", "", "first")+call("1.1", "", "other")+call("1.1", "", "third")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "other", "third"} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != want {
			t.Errorf("pipelined: %q instead of %q", body, want)
		}
	}
}

// TestHostileRequests checks that nothing sent to a server brings it down or makes it keep much.
func TestHostileRequests(t *testing.T) {
	_, path := start(t, Config{}, newService(), echo)
	for name, request := range map[string]string{
		"no version":        "GET /\r\n\r\n",
		"no request":        "hello\r\n\r\n",
		"no host":           "GET / HTTP/1.1\r\n\r\n",
		"binary":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"bad version":       "GET / HTTP/9.9\r\n\r\n",
		"bad header":        "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
		"two lengths":       "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"negative length":   "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc",
		"bad length":        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\nabc",
		"length and chunks": "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\nabc",
		"bad chunk":         "POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"huge length":       "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
		"huge header":       "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20),
		"huge line":         "GET /" + strings.Repeat("x", 1<<20),
		"many headers":      "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 1<<17),
		"endless chunks": "POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n", maxBody+1, strings.Repeat("x", maxBody+1)),
	} {
		conn := dial(t, path)
		written := make(chan struct{})
		go func() {
			_, _ = io.WriteString(conn, request) // the server may stop reading
			close(written)
		}()
		answer, err := io.ReadAll(conn)
		if os.IsTimeout(err) { // it may be reset, since it was closed with data unread
			t.Errorf("%s: the connection is kept", name)
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.")) || !bytes.Contains(answer[:min(40, len(answer))], []byte(" 4")) &&
			!bytes.Contains(answer[:min(40, len(answer))], []byte(" 50")) {
			t.Errorf("%s: %.80q", name, answer)
		}
		if wants := map[string]string{"huge length": " 413 ", "endless chunks": " 413 "}[name]; !strings.Contains(string(answer[:min(40, len(answer))]), wants) {
			t.Errorf("%s: %.80q", name, answer)
		}
		_ = conn.Close()
		<-written
	}
	conn := dial(t, path)
	if resp, body := exchange(t, conn, bufio.NewReader(conn), "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"); resp.StatusCode != 200 || body != "abc" {
		t.Errorf("afterwards: %d %q", resp.StatusCode, body)
	}
}

func TestAuth(t *testing.T) {
	sum := sha1.Sum([]byte("pa:ss"))
	for _, password := range []string{"pa:ss", "{SHA}" + hex.EncodeToString(sum[:])} {
		_, path := start(t, Config{Username: "user", Password: password}, newService(), echo)
		basic := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
		for header, admitted := range map[string]bool{
			"": false,
			"Authorization: Basic " + basic("user:pa:ss"):     true,
			"authorization: bAsIc " + basic("user:pa:ss"):     true,
			"Authorization: Basic " + basic("user:pa:s"):      false,
			"Authorization: Basic " + basic("user:"+password): password == "pa:ss",
			"Authorization: Basic " + basic("User:pa:ss"):     false,
			"Authorization: Basic " + basic("user"):           false,
			"Authorization: Basic " + basic("user:"):          false,
			"Authorization: Basic ":                           false,
			"Authorization: Basic !!!":                        false, // D13: 500 in Supervisor
			"Authorization: Digest username=\"user\"":         false,
			"Authorization: Basic " + basic("user:pa:ss\xff"): false,
		} {
			for _, request := range []string{"POST /RPC2 HTTP/1.1\r\n", "GET /nope HTTP/1.1\r\n", "GET /logtail/nope HTTP/1.1\r\n", "PUT / HTTP/1.1\r\n"} {
				if header != "" {
					request += header + "\r\n"
				}
				conn := dial(t, path)
				r := bufio.NewReader(conn)
				resp, body := exchange(t, conn, r, request+"Host: x\r\nContent-Length: 3\r\n\r\nabc")
				if admitted != (resp.StatusCode != 401) {
					t.Errorf("%q admitted: %t (%d)", header, !admitted, resp.StatusCode)
				}
				if !admitted {
					if body != errorPage(401, "Unauthorized") || resp.Header.Get("WWW-Authenticate") != `Basic realm="default"` || !resp.Close ||
						resp.Header.Get("Content-Type") != "text/html" {
						t.Errorf("%q: %v %q", header, resp.Header, body)
					}
					if _, err := r.ReadByte(); err == nil {
						t.Error("a refused connection goes on")
					}
				}
				_ = conn.Close()
			}
		}
	}
}

// TestStrangersAreNotKept checks that a refused caller cannot hold a connection with a request that does not end.
func TestStrangersAreNotKept(t *testing.T) {
	_, path := start(t, Config{Username: "user", Password: "password"}, newService(), echo)
	for _, rest := range []string{"Transfer-Encoding: chunked\r\n\r\n1\r\nx", "Content-Length: 5\r\n\r\nabc", "Content-Length: 10000000\r\n\r\nabc"} {
		conn := dial(t, path)
		if _, err := io.WriteString(conn, "POST /RPC2 HTTP/1.1\r\nHost: x\r\n"+rest); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(conn); os.IsTimeout(err) || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
			t.Errorf("%q: %.40q, %v", rest, answer, err)
		}
	}
}

// TestSeveralServers checks that each server has its own credentials, and that inet servers work.
func TestSeveralServers(t *testing.T) {
	dir := t.TempDir()
	listeners, err := Listen([]Config{
		{Section: "inet_http_server", Host: "127.0.0.1", Username: "u", Password: "p"},
		{Section: "unix_http_server", Unix: true, File: filepath.Join(dir, "s"), Mode: 0o700, UID: -1, GID: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(listeners, newService(), fakeRPC(echo))
	defer s.Close()
	where := listeners.Addresses()
	for i, want := range []int{401, 404} {
		network := []string{"tcp", "unix"}[i]
		conn, err := net.Dial(network, where[i])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if resp, _ := exchange(t, conn, bufio.NewReader(conn), "GET /nope HTTP/1.0\r\n\r\n"); resp.StatusCode != want {
			t.Errorf("%s: %d", network, resp.StatusCode)
		}
	}
}

// TestLogtail checks that a stream hands on each piece at once in every version of HTTP, and ends with its log (quirk D14).
func TestLogtail(t *testing.T) {
	for _, test := range []struct{ request, accel string }{
		{"GET /logtail/g:p HTTP/1.1\r\nHost: x\r\n\r\n", "no"},
		{"GET /logtail/g:p/stdout HTTP/1.0\r\n\r\n", "no"},
		{"GET /logtail/%C3%A9%20p/stderr HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "no"},
		{"GET //logtail/g%3Ap HTTP/1.1\r\nHost: x\r\n\r\n", ""}, // not the prefix: no stream
		{"GET /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		{"GET /mainlogtail HTTP/1.0\r\n\r\n", ""},
	} {
		svc := newService()
		s, path := start(t, Config{}, svc, echo)
		conn := dial(t, path)
		if _, err := io.WriteString(conn, test.request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(test.request, "//") {
			if resp.StatusCode != 404 {
				t.Errorf("%q: %d", test.request, resp.StatusCode)
			}
			continue
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/plain;charset=utf-8" || resp.Header.Get("X-Accel-Buffering") != test.accel ||
			resp.Header.Get("Last-Modified") != "Sun, 09 Sep 2001 01:46:40 GMT" || resp.ContentLength != -1 {
			t.Errorf("%q: %d %v", test.request, resp.StatusCode, resp.Header)
		}
		for _, piece := range []string{"a\x00\xff\n", "b"} {
			svc.pieces <- []byte(piece)
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
				t.Errorf("%q: %q, %v", test.request, got, err)
			}
		}
		close(svc.pieces)
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q: at the end %q, %v", test.request, rest, err)
		}
		<-svc.closed
		s.Close()
	}
}

// TestStreamEnds checks that a stream ends when its reader goes, and when the server closes.
func TestStreamEnds(t *testing.T) {
	svc := newService()
	s, path := start(t, Config{}, svc, echo)
	for _, end := range []func(net.Conn){func(c net.Conn) { _ = c.Close() }, func(net.Conn) { s.Close() }} {
		conn := dial(t, path)
		if _, err := io.WriteString(conn, "GET /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		end(conn)
		<-svc.closed
	}
}

// TestCalls checks how long the context of a call lives.
func TestCalls(t *testing.T) {
	const request = "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
	began, ended := make(chan struct{}), make(chan struct{})
	wait := func(ctx context.Context, _ []byte) ([]byte, int) {
		began <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, http.StatusInternalServerError
	}
	t.Run("the caller goes", func(t *testing.T) {
		_, path := start(t, Config{}, newService(), wait)
		conn := dial(t, path)
		_, _ = io.WriteString(conn, request)
		<-began
		_ = conn.Close()
		<-ended
	})
	t.Run("the server closes", func(t *testing.T) {
		s, path := start(t, Config{}, newService(), wait)
		conn := dial(t, path)
		_, _ = io.WriteString(conn, request)
		<-began
		go func() { <-ended }()
		s.Close()
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 500 {
			t.Errorf("the answer is lost: %v", err)
		}
	})
	t.Run("a caller that has closed its own direction", func(t *testing.T) {
		gone := make(chan struct{})
		_, path := start(t, Config{}, newService(), func(ctx context.Context, body []byte) ([]byte, int) {
			<-gone
			if ctx.Err() != nil {
				return nil, http.StatusInternalServerError
			}
			return body, http.StatusOK
		})
		conn := dial(t, path)
		_, _ = io.WriteString(conn, request)
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		close(gone)
		if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), "abc") {
			t.Errorf("%q, %v", answer, err)
		}
	})
	t.Run("connections without a request do not hold up the end", func(t *testing.T) {
		s, path := start(t, Config{}, newService(), echo)
		silent, idle := dial(t, path), dial(t, path)
		exchange(t, idle, bufio.NewReader(idle), request)
		began := time.Now()
		s.Close()
		if took := time.Since(began); took > draining/2 {
			t.Errorf("Close took %v", took)
		}
		for _, conn := range []net.Conn{silent, idle} {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("a connection stays open")
			}
		}
	})
	t.Run("a panic", func(t *testing.T) {
		svc := newService()
		_, path := start(t, Config{}, svc, func(context.Context, []byte) ([]byte, int) { panic("ouch") })
		conn := dial(t, path)
		_, _ = io.WriteString(conn, request)
		if line := <-svc.lines; !strings.HasPrefix(line, "40 ") || !strings.Contains(line, "ouch") {
			t.Errorf("logged %q", line)
		}
	})
}
