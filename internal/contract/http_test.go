package contract

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quiet is how long a connection on which nothing is expected is listened to. It is the one negative observation of the suite: too short,
// and a difference may be missed; nothing that is expected depends on it.
const quiet = 700 * time.Millisecond

// http leads an exchange on one connection and records it.
func (e *environment) http(ctx context.Context, s statement) []string {
	e.Helper()
	words := strings.Fields(s.rest)
	mode := ""
	if len(words) > 1 {
		mode = words[1]
	}
	address := e.path("s.sock")
	if words[0] == "tcp" {
		address = "127.0.0.1:" + e.port
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, words[0], address)
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)

	requests, story := e.requests(s.block)
	if _, err := io.WriteString(conn, strings.Join(requests, "")); err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	r := &responses{bufio.NewReader(conn), &strings.Builder{}}
	switch mode {
	case "stream":
		err = r.stream(e, s, story)
	case "quiet":
		_ = conn.SetReadDeadline(time.Now().Add(quiet))
		for err == nil {
			err = r.next(true)
			if err == nil {
				_ = conn.SetReadDeadline(time.Now().Add(quiet))
			}
		}
		err = r.outcome(err, "(open)")
	default:
		for i := 0; i < len(requests) && err == nil; i++ {
			err = r.next(!strings.HasPrefix(requests[i], "HEAD "))
		}
		if err == nil {
			// Whether the connection is still good shows the answer to one more request, if it comes at all.
			_ = conn.SetReadDeadline(time.Now().Add(5 * quiet))
			_, _ = io.WriteString(conn, "OPTIONS /probe HTTP/1.0\r\n\r\n") // it may be closed already
			err = (&responses{r.in, &strings.Builder{}}).next(true)
			if err == nil {
				r.out.WriteString("(open)\n")
			}
		}
		err = r.outcome(err, "(silent)")
	}
	if err != nil {
		e.Fatalf("%s: %v; so far:\n%s", s.pos, err, r.out)
	}
	return e.clean(r.out.String())
}

// requests reads a block: requests parted by lines "----", then, after an empty line of a request without a body, what a stream does.
// Lines of a head end with CRLF, those of a body with LF except the last. $LENGTH is the length of the body.
func (e *environment) requests(block []string) (requests, story []string) {
	var head []string
	var body []string
	inBody := false
	flush := func() {
		b := strings.Join(body, "\n")
		h := strings.ReplaceAll(strings.Join(head, "\r\n")+"\r\n\r\n", "$LENGTH", strconv.Itoa(len(b)))
		requests = append(requests, h+b)
		head, body, inBody = nil, nil, false
	}
	for _, line := range block {
		line = e.expand(line)
		switch {
		case line == "----":
			flush()
		case strings.HasPrefix(line, "< "), strings.HasPrefix(line, "= "):
			story = append(story, line)
		case !inBody && line == "":
			inBody = true
		case inBody:
			body = append(body, strings.ReplaceAll(line, `\r\n`, "\r\n"))
		default:
			head = append(head, line)
		}
	}
	flush()
	return requests, story
}

// responses reads answers and writes them down.
type responses struct {
	in  *bufio.Reader
	out *strings.Builder
}

// head reads and records a status line and headers; it returns the length of the body: -1 when it ends with the connection, -2 for chunks.
func (r *responses) head() (length int, err error) {
	length = -1
	var lines []string
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			if len(lines) == 0 && line == "" {
				return 0, err
			}
			return 0, fmt.Errorf("a head that ends after %q%q: %w", lines, line, err)
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			text = strings.TrimSuffix(line, "\n") + "(no CR)"
		}
		if text == "" {
			break
		}
		lines = append(lines, text)
		name, value, _ := strings.Cut(text, ": ")
		switch strings.ToLower(name) {
		case "content-length":
			if length, err = strconv.Atoi(value); err != nil {
				return 0, err
			}
		case "transfer-encoding":
			length = -2
		case "connection":
			lines[len(lines)-1] = strings.ToLower(text) // neither does the case
		case "date", "last-modified":
			if _, err := time.Parse(time.RFC1123, value); err == nil {
				lines[len(lines)-1] = name + ": DATE"
			}
		}
	}
	slices.Sort(lines[1:]) // the order of headers means nothing
	r.out.WriteString(strings.Join(lines, "\n") + "\n\n")
	if len(strings.Fields(lines[0])) > 1 && strings.Fields(lines[0])[1] == "100" {
		length = 0
	}
	return length, nil
}

// next reads and records one response.
func (r *responses) next(withBody bool) error {
	length, err := r.head()
	if err != nil {
		return err
	}
	if !withBody {
		return nil
	}
	var body []byte
	switch length {
	case -1:
		body, err = io.ReadAll(r.in)
	case -2:
		for err == nil {
			var chunk []byte
			if chunk, err = r.chunk(); err == nil && chunk == nil {
				break
			}
			body = append(body, chunk...)
		}
	default:
		var n int
		body = make([]byte, length)
		n, err = io.ReadFull(r.in, body)
		body = body[:n]
	}
	r.out.WriteString(visible(body))
	if len(body) > 0 && body[len(body)-1] != '\n' {
		r.out.WriteString("(no newline)\n")
	}
	return err
}

// chunk reads one chunk; nil is the last.
func (r *responses) chunk() ([]byte, error) {
	line, err := r.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size+2)
	if _, err := io.ReadFull(r.in, data); err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, nil
	}
	return data[:size], nil
}

// stream follows a body for as long as the story goes on.
func (r *responses) stream(e *environment, s statement, story []string) error {
	e.Helper()
	length, err := r.head()
	if err != nil {
		return err
	}
	body, seen := "", 0
	for _, line := range story {
		if line[0] == '=' {
			e.note(s.pos, line[2:])
			continue
		}
		for !strings.Contains(body[seen:], line[2:]) {
			var data []byte
			if length == -2 {
				data, err = r.chunk()
			} else {
				data = make([]byte, 1)
				_, err = r.in.Read(data)
			}
			if err != nil {
				return fmt.Errorf("waiting for %q after %q: %w", line[2:], body, err)
			}
			if data == nil {
				return fmt.Errorf("the end instead of %q after %q", line[2:], body)
			}
			body += string(data)
		}
		seen += strings.Index(body[seen:], line[2:]) + len(line[2:])
	}
	r.out.WriteString(visible([]byte(body)))
	return nil
}

// outcome records how the reading ended: the connection was closed, or it timed out, which leaves what is said by still.
func (r *responses) outcome(err error, still string) error {
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.out.WriteString(still + "\n")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.out.WriteString("(closed)\n")
	default:
		var op *net.OpError
		if !errors.As(err, &op) {
			return err
		}
		r.out.WriteString("(closed)\n") // reset
	}
	return nil
}

// visible shows a carriage return at the end of a line.
func visible(body []byte) string { return strings.ReplaceAll(string(body), "\r\n", "␍\n") }
