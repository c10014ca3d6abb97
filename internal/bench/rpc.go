package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// asker is a connection to a daemon's unix socket, over which one call after the other is made. The answers are read, not parsed: what is
// measured is the server's work.
type asker struct {
	conn net.Conn
	r    *bufio.Reader
	stop func() bool
}

// newAsker connects. A daemon that has just been started is given some time to open its socket.
func newAsker(ctx context.Context, socket string) (*asker, error) {
	limit := time.Now().Add(30 * time.Second)
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			return &asker{conn, bufio.NewReaderSize(conn, 1<<16), context.AfterFunc(ctx, func() { conn.Close() })}, nil
		}
		if ctx.Err() != nil || time.Now().After(limit) {
			return nil, fmt.Errorf("cannot connect: %v", err)
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (a *asker) close() {
	a.stop()
	a.conn.Close()
}

// request is the bytes of a call without arguments.
func request(method string) []byte {
	body := "<?xml version='1.0'?><methodCall><methodName>" + method + "</methodName><params></params></methodCall>"
	return []byte("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// call sends one request and copies the answer's body to w.
func (a *asker) call(request []byte, w io.Writer) error {
	if err := a.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := a.conn.Write(request); err != nil {
		return fmt.Errorf("cannot send request: %v", err)
	}
	length := int64(-1)
	for i := 0; ; i++ {
		line, err := a.r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("cannot read answer: %v", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if i == 0 {
			if !strings.HasPrefix(line, "HTTP/1.1 200 ") {
				return fmt.Errorf("answer is %q", line)
			}
			continue
		}
		if line == "" {
			break
		}
		if key, value, _ := strings.Cut(line, ":"); strings.EqualFold(key, "Content-Length") {
			if length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("answer without Content-Length")
	}
	_, err := io.CopyN(w, a.r, length)
	return err
}

// measureQueries asks for all processes over one kept connection as often as it can within d, and at least three times. Only the first
// answer, not counted, is looked at.
func measureQueries(ctx context.Context, socket string, n int, d time.Duration) (float64, error) {
	a, err := newAsker(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer a.close()
	ask := request("supervisor.getAllProcessInfo")
	var first strings.Builder
	if err := a.call(ask, &first); err != nil {
		return 0, err
	}
	if got := strings.Count(first.String(), "<name>statename</name>"); got != n {
		return 0, fmt.Errorf("getAllProcessInfo tells of %d processes, want %d", got, n)
	}
	count, t0 := 0, time.Now()
	for time.Since(t0) < d || count < 3 {
		if err := a.call(ask, io.Discard); err != nil {
			return 0, err
		}
		count++
	}
	return float64(count) / time.Since(t0).Seconds(), nil
}

// measureAnswers asks for the state of the daemon for the time d, and at least ten times, with pauses of 2 ms, and returns how long each
// answer took. That is longer than the work: a daemon that is busy with something else answers late.
func measureAnswers(ctx context.Context, socket string, d time.Duration) ([]time.Duration, error) {
	a, err := newAsker(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer a.close()
	ask := request("supervisor.getState")
	var out []time.Duration
	for end := monotonic() + d; monotonic() < end || len(out) < 10; {
		t0 := monotonic()
		if err := a.call(ask, io.Discard); err != nil {
			return nil, err
		}
		out = append(out, monotonic()-t0)
		if err := wait(ctx, 2*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return out, nil
}
