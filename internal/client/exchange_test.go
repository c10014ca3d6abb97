package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/graced/graced/internal/control"
)

// readAll reads one response and says what came of it: "status reason keep|close: body", with the error that ended it.
func readAll(r *bufio.Reader) (string, error) {
	h, err := readHead(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(bodyOf(h, r))
	after := "close"
	if h.keepAlive {
		after = "keep"
	}
	return fmt.Sprintf("%d %s %s: %s", h.status, h.reason, after, body), err
}

func TestResponses(t *testing.T) {
	long := strings.Repeat("x", 5000) // longer than a reader's buffer
	for response, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP":                                                           "200 OK keep: abc",
		"HTTP/1.1 200 OK\nCONTENT-LENGTH:3\n\nabc":                                                                      "200 OK keep: abc", // bare line ends
		"HTTP/1.1 200 OK\r\n\r\nabc":                                                                                    "200 OK close: abc",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n":                                                                     "200  keep: ",
		"HTTP/1.1 401 Not  so\r\nConnection: x, CLOSE\r\nContent-Length: 1\r\n\r\na":                                    "401 Not  so close: a",
		"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na":                                                                 "200 OK close: a",
		"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na":                                       "200 OK keep: a",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n":                                                    "200 OK close: 1\r\n",
		"HTTP/1.1 204 No\r\n\r\n":                                                                                       "204 No keep: ",
		"HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n":                                                                  "304 No keep: ",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na":                                    "200 OK keep: a",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n":               "200 OK keep: a0123456789",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n":                           "200 OK keep: ",
		"HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 1\r\n\r\na":                                              "200 OK keep: a",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(long), long): "200 OK keep: " + long,
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(response), "bytes": iotest.OneByteReader(strings.NewReader(response))} {
			if got, err := readAll(bufio.NewReader(r)); got != want || err != nil {
				t.Errorf("%s %.90q: %.90q, %v; want %.90q", name, response, got, err, want)
			}
		}
	}
}

func TestBrokenResponses(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for response, want := range map[string]string{
		"":                                              "EOF",
		"HTTP/1.1 200":                                  "unexpected EOF",
		"HTTP/1.1 200 OK\r\n":                           "unexpected EOF",
		"HTTP/2.0 200 OK\r\n\r\n":                       "malformed HTTP response",
		"HTTP/1.1 20 OK\r\n\r\n":                        "malformed HTTP response",
		"HTTP/1.1 +20 OK\r\n\r\n":                       "malformed HTTP response",
		"HTTP/1.1 099 OK\r\n\r\n":                       "malformed HTTP response",
		"HTTP/1.1 200OK\r\n\r\n":                        "malformed HTTP response",
		"nonsense\r\n\r\n":                              `malformed HTTP response "nonsense"`,
		"HTTP/1.1 200 OK\r\nabc\r\n\r\n":                `malformed header line "abc"`,
		"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n":           "malformed header line",
		"HTTP/1.1 200 OK\r\n: a\r\n\r\n":                "malformed header line",
		"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n":      "malformed header line",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n": `bad Content-Length "-1"`,
		"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n":     "bad Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na": `bad Content-Length "2"`,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n":                 `unknown Transfer-Encoding "gzip"`,
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n": errTooLong.Error(),
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 7):                   "too many interim responses",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab":                     "unexpected EOF",
		chunked:                                       "unexpected EOF",
		chunked + "1\r\n":                             "unexpected EOF",
		chunked + "2\r\na":                            "unexpected EOF",
		chunked + "1\r\na":                            "unexpected EOF",
		chunked + "1\r\na\r\n":                        "unexpected EOF",
		chunked + "1\r\na\r\n0\r\n":                   "unexpected EOF",
		chunked + "1\r\nab\r\n0\r\n\r\n":              "the response is too long",
		chunked + "x\r\n":                             `bad size of a chunk "x"`,
		chunked + "0\n\r\n":                           `half an end of the line "0\n"`,
		chunked + "1\r\na\n0\r\n\r\n":                 "half an end",
		chunked + "\r\n":                              "bad size of a chunk",
		chunked + "8000000000000000\r\n":              "bad size of a chunk",
		chunked + "0\r\nA: trailer\r\n\r\n":           "the response is too long",
		chunked + strings.Repeat("0", 300) + "\r\n\r": "the response is too long",
	} {
		if got, err := readAll(bufio.NewReader(strings.NewReader(response))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.90q: %.90q, %v; want %q", response, got, err, want)
		}
	}
}

// FuzzResponse holds the reader against net/http: what we accept it accepts as well, and reads the same in it.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc",
		"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours := bufio.NewReader(bytes.NewReader(data))
		h, err := readHead(ours)
		if err != nil {
			return
		}
		body, bodyErr := io.ReadAll(bodyOf(h, ours))
		theirs := bufio.NewReaderSize(bytes.NewReader(data), 2*maxHead)
		resp, err := http.ReadResponse(theirs, nil)
		for err == nil && resp.StatusCode < 200 {
			resp, err = http.ReadResponse(theirs, nil)
		}
		if err != nil {
			t.Fatalf("we accept what net/http refuses: %v\n%q", err, data)
		}
		text, textErr := io.ReadAll(resp.Body)
		switch {
		case resp.StatusCode != h.status, !strings.HasSuffix(strings.TrimSpace(resp.Status), h.reason), resp.Close && h.keepAlive:
			t.Fatalf("%+v, want %s, closing %t\n%q", h, resp.Status, resp.Close, data)
		case bodyErr == nil && (textErr != nil || !bytes.Equal(body, text)):
			t.Fatalf("body %q, want %q, %v\n%q", body, text, textErr, data)
		case bodyErr == nil && h.keepAlive && !reflect.DeepEqual(rest(ours), rest(theirs)):
			t.Fatalf("the next response begins elsewhere\n%q", data)
		}
	})
}

func rest(r *bufio.Reader) string {
	data, _ := io.ReadAll(r)
	return string(data)
}

// scripted serves one connection after the other, each with its own function.
func scripted(t *testing.T, scripts ...func(net.Conn, *bufio.Reader)) (url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			script(conn, bufio.NewReader(conn))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "unix://" + path
}

// expect reads a request and answers it.
func expect(t *testing.T, conn net.Conn, r *bufio.Reader, response string) *http.Request {
	req, err := http.ReadRequest(r)
	if err != nil {
		t.Errorf("request: %v", err)
		return nil
	}
	payload, err := io.ReadAll(req.Body)
	if err != nil || int64(len(payload)) != req.ContentLength {
		t.Errorf("%d bytes of a body of %d: %v", len(payload), req.ContentLength, err)
	}
	_, _ = io.WriteString(conn, response)
	return req
}

// get asks for a path and reads the answer.
func get(c *Client, path string) (string, error) {
	body, err := c.Stream(background, path)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(body)
	return string(data), errors.Join(err, body.Close())
}

const short = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"

func TestRequests(t *testing.T) {
	url := scripted(t, func(conn net.Conn, r *bufio.Reader) {
		req := expect(t, conn, r, short+"a")
		if user, password, ok := req.BasicAuth(); !ok || user != "ü" || password != ":p" {
			t.Errorf("credentials %q %q", user, password)
		}
		if req.Host != "localhost" || req.Header.Get("Content-Type") != "text/xml" || req.UserAgent() != "graced" || req.Method != "POST" || req.URL.Path != "/RPC2" {
			t.Errorf("%+v", req)
		}
		if req = expect(t, conn, r, short+"b"); req.URL.Path != "/logtail/é ?#%2F" || req.ContentLength != 0 {
			t.Errorf("%+v", req)
		}
	})
	c := connect(t, url, "ü", ":p")
	_, _ = c.Call(background, "x")
	if text, err := get(c, "/logtail/é ?#%2F"); text != "b" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestNewConnections checks which connections are not used again: all but those that the server keeps open and in order.
func TestNewConnections(t *testing.T) {
	for name, response := range map[string]string{
		"the server says so":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na",
		"the server closes":       short + "a",
		"an old server":           "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
		"it says more than asked": short + "a" + short + "x",
	} {
		closed := make(chan struct{})
		url := scripted(t, func(conn net.Conn, r *bufio.Reader) {
			expect(t, conn, r, response)
			_ = conn.Close()
			close(closed)
		}, func(conn net.Conn, r *bufio.Reader) { expect(t, conn, r, short+"b") })
		c := connect(t, url, "", "")
		if text, err := get(c, "/"); text != "a" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		<-closed
		if text, err := get(c, "/"); text != "b" || err != nil {
			t.Errorf("%s: then %q, %v", name, text, err)
		}
	}
}

// TestUnreadBody checks that a body that nobody read does not become the beginning of the next response.
func TestUnreadBody(t *testing.T) {
	url := scripted(t,
		func(conn net.Conn, r *bufio.Reader) { expect(t, conn, r, short+"a"); _, _ = r.ReadByte() },
		func(conn net.Conn, r *bufio.Reader) { expect(t, conn, r, short+"b") })
	c := connect(t, url, "", "")
	body, err := c.Stream(background, "/")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	if text, err := get(c, "/"); text != "b" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestEarlyAnswer checks that the answer of a server counts that does not want to read the whole request.
func TestEarlyAnswer(t *testing.T) {
	url := scripted(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
	}, func(conn net.Conn, r *bufio.Reader) { expect(t, conn, r, short+"b") })
	c := connect(t, url, "", "")
	err := c.WriteStdin(background, "p", bytes.Repeat([]byte("x"), 8<<20))
	var status *ProtocolError
	if !errors.As(err, &status) || status.Code != 413 || status.Reason != "Too Large" {
		t.Errorf("%v", err)
	}
	if text, err := get(c, "/"); text != "b" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNoAnswer(t *testing.T) {
	url := scripted(t, func(_ net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			t.Error(err)
		}
	}, func(conn net.Conn, r *bufio.Reader) {
		expect(t, conn, r, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nb")
	})
	c := connect(t, url, "", "")
	if _, err := get(c, "/"); err == nil || err.Error() != "cannot reach "+url+": the server hung up without an answer" {
		t.Errorf("%v", err)
	}
	if _, err := get(c, "/"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

// TestSideBySide checks that calls do not disturb a stream that is open, nor each other.
func TestSideBySide(t *testing.T) {
	svc := running()
	unix, _ := serve(t, svc, "", "")
	c := connect(t, unix, "", "")
	source := make(pieces)
	svc.Answer = control.Follower(source)
	log, err := c.FollowLog(background, control.Log{Main: true})
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for range 20 {
				if d, err := c.Daemon(background); err != nil || d != svc.Info {
					t.Errorf("%+v, %v", d, err)
				}
			}
		})
	}
	for _, piece := range []string{"a", "b"} {
		source <- []byte(piece)
		if got, err := log.Next(background); string(got) != piece || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	calls.Wait()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
