package health

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"unicode"

	"github.com/graced/graced/internal/process"
)

// answerMost is how many bytes of an answer are read: its head, and what came with that.
const answerMost = 16 << 10

// try asks a process once; why is "" when it is good.
func try(ctx context.Context, t *Target, c process.Check) (why string) {
	switch c.Kind {
	case process.CheckTCP:
		conn, err := dial(ctx, c.Target)
		if err != nil {
			return cannotConnect(c, err)
		}
		_ = conn.Close()
		return ""
	case process.CheckHTTP:
		return get(ctx, c)
	case process.CheckExec:
		output, err := t.Run(ctx, c.Target)
		if err == nil {
			return ""
		}
		why = "exec: " + err.Error()
		if line := lastLine(output); line != "" {
			why += ": " + line
		}
		return why
	}
	return "nobody can ask " + c.String()
}

// dial connects. Nobody keeps the connection long enough for keep-alive.
func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, "tcp", address)
}

func cannotConnect(c process.Check, err error) string {
	if isTimeout(err) {
		return noAnswer(c)
	}
	return "cannot connect to " + c.String() + ": " + cause(err)
}

// get asks a URL, on a connection of its own: no pool, no proxy, no redirect that is followed.
func get(ctx context.Context, c process.Check) (why string) {
	fail := func(err error) string { return "GET " + process.HideSecrets(c.Target) + ": " + cause(err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Target, nil)
	if err != nil {
		return fail(err)
	}
	req.Close = true
	req.Header.Set("User-Agent", "graced")
	address := req.URL.Host
	if req.URL.Port() == "" {
		address += ":80"
	}
	conn, err := dial(ctx, address)
	if err != nil {
		return cannotConnect(c, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := req.Write(conn); err != nil {
		return fail(err)
	}
	answer := bufio.NewReaderSize(io.LimitReader(conn, answerMost), 1<<10)
	for {
		resp, err := http.ReadResponse(answer, req) //nolint:bodyclose // it is not read, and ends with the connection
		switch {
		case err != nil:
			return fail(err)
		case resp.StatusCode < 200: // the answer is still to come
			continue
		case resp.StatusCode < 400:
			return ""
		}
		return fmt.Sprintf("GET %s answered %d", process.HideSecrets(c.Target), resp.StatusCode)
	}
}

// isTimeout reports whether the time of a try was over: the connection may notice before its context does.
func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func noAnswer(c process.Check) string { return "no answer within " + process.Span(c.Timeout) }

// cause returns the system's word for an error where there is one.
func cause(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return lookup.Err
	}
	return printable(err.Error())
}

// lastLine returns the last line of an output that is not empty.
func lastLine(output []byte) string {
	output = bytes.TrimSpace(output)
	return printable(string(output[bytes.LastIndexByte(output, '\n')+1:]))
}

// printable returns a text that fits into a line of the log.
func printable(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return text
}
