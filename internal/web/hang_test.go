package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestHangingClients has hundreds of clients stop in the middle of a request, in its head or its body, some going on byte by byte, while
// others are served at once. A closing server gets rid of all of them.
func TestHangingClients(t *testing.T) {
	listeners, err := Listen([]Config{{Section: "inet_http_server", Host: "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(listeners, newService(), fakeRPC(echo))
	address := listeners.Addresses()[0]
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	beginnings := []string{"", "P", "POST /RPC2 HTTP/1.1\r\n", "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n<methodCall>",
		"POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n<method", "GET /logtail/g:p HTTP/1.1\r\n"}
	var hanging []net.Conn
	for i := range 300 {
		conn := dial()
		if _, err := io.WriteString(conn, beginnings[i%len(beginnings)]); err != nil {
			t.Fatal(err)
		}
		hanging = append(hanging, conn)
	}
	for i := range 50 {
		for j := range 6 {
			if conn := hanging[6*i+j]; j == 3 {
				_, _ = io.WriteString(conn, "<") // a slow body; the server may refuse it by now
			}
		}
		conn := dial()
		if err := conn.SetDeadline(time.Now().Add(headerTimeout)); err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf("call %d", i)
		resp, text := exchange(t, conn, bufio.NewReader(conn), fmt.Sprintf("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if resp.StatusCode != 200 || text != body {
			t.Fatalf("call %d: %d %q", i, resp.StatusCode, text)
		}
	}
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > draining+10*time.Second {
		t.Errorf("closing took %v", took)
	}
	for i, conn := range hanging {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("client %d is still connected: %v", i, err)
		}
	}
}
