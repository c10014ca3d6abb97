package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// ask makes one try with a time limit.
func ask(t *testing.T, c process.Check, timeout time.Duration, run func(context.Context, string) ([]byte, error)) string {
	t.Helper()
	m := &Monitor{try: try, watches: map[process.ID]*watch{}, o: Options{Report: func(Result) {}}}
	m.life, m.end = context.WithCancel(t.Context())
	defer m.end()
	got := ""
	c.Timeout, c.Successes, c.Failures = timeout, 1, 1
	m.o.Report = func(r Result) { got = r.Text }
	w := &watch{Target: Target{Run: run}, life: m.life}
	m.prompt.trying = 1
	m.work(&task{w: w, check: c, place: -1})
	return got
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := process.Check{Kind: process.CheckTCP, Target: l.Addr().String()}
	if why := ask(t, c, time.Minute, nil); why != "" {
		t.Error(why)
	}
	_ = l.Close()
	if got, want := ask(t, c, time.Minute, nil), "cannot connect to tcp://"+c.Target+": connection refused"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestHTTP(t *testing.T) {
	stop := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/500", http.StatusFound) })
	mux.HandleFunc("/500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stop:
		}
	})
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if !r.Close || r.Header.Get("Accept-Encoding") != "" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, "fine")
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	defer close(stop)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	url := func(path string) process.Check { return process.Check{Kind: process.CheckHTTP, Target: s.URL + path} }
	for path, want := range map[string]string{
		"/ok": "", "/moved": "", "/hints": "", "/endless": "", "/500": "GET " + s.URL + "/500 answered 500", "/none": "GET " + s.URL + "/none answered 404",
	} {
		if got := ask(t, url(path), time.Minute, nil); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := ask(t, url("/hang"), 50*time.Millisecond, nil); got != "no answer within 50ms" {
		t.Errorf("a server that hangs: %q", got)
	}
	if got := ask(t, process.Check{Kind: process.CheckHTTP, Target: "http://127.0.0.1:1/x"}, time.Minute, nil); got != "cannot connect to http://127.0.0.1:1/x: connection refused" {
		t.Error(got)
	}
}

// TestNoHTTP: what does not speak HTTP, or has no end of its head.
func TestNoHTTP(t *testing.T) {
	for answer, want := range map[string]string{
		"SSH-2.0-x\r\n": `malformed HTTP response`, "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", answerMost): "", "": "unexpected EOF",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 16))
			_, _ = io.WriteString(conn, answer)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}()
		why := ask(t, process.Check{Kind: process.CheckHTTP, Target: "http://" + l.Addr().String() + "/"}, time.Minute, nil)
		_ = l.Close()
		if !strings.HasPrefix(why, "GET http://") || !strings.Contains(why, want) {
			t.Errorf("%.20q: %q, want %q", answer, why, want)
		}
	}
}

func TestExec(t *testing.T) {
	c := process.Check{Kind: process.CheckExec, Target: "look here"}
	for _, row := range []struct {
		output string
		err    error
		want   string
	}{
		{"fine\n", nil, ""}, {"first\nlast\tone\n\n", errors.New("exit status 3"), "exec: exit status 3: last?one"}, {"", errors.New("exit status 1"), "exec: exit status 1"},
		{strings.Repeat("x", 300), errors.New("exit status 1"), "exec: exit status 1: " + strings.Repeat("x", 200) + "..."},
	} {
		got := ask(t, c, time.Minute, func(_ context.Context, command string) ([]byte, error) {
			if command != "look here" {
				return nil, fmt.Errorf("asked for %q", command)
			}
			return []byte(row.output), row.err
		})
		if got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
	got := ask(t, c, 20*time.Millisecond, func(ctx context.Context, _ string) ([]byte, error) {
		<-ctx.Done()
		return nil, errors.New("terminated by SIGKILL")
	})
	if got != "no answer within 20ms" {
		t.Error(got)
	}
}
