package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits on what a broken server can cost.
const (
	maxHead    = 64 << 10 // bytes of a response's head
	maxInterim = 5        // responses 1xx before the one that counts
	maxChunk   = 256      // bytes of a chunk's size line
)

// head is the beginning of a response, as far as this client needs it.
type head struct {
	status    int    // three digits
	reason    string // the server's words for the status, e.g. "Unauthorized"; may be empty
	length    int64  // of the body in bytes; -1 = its chunks say, or it lasts until the server closes
	chunked   bool
	keepAlive bool // the connection can carry another request after the body
}

var errTooLong = errors.New("a head or a line of the response is too long")

// readHead reads a response up to its body. The error is io.EOF only if the connection ended before the first byte. It is stricter than
// net/http: no continued lines, at most one Content-Length, no transfer encoding but chunked.
func readHead(r *bufio.Reader) (head, error) {
	for range maxInterim + 1 {
		h, err := readOneHead(r)
		if err != nil || h.status >= 200 {
			return h, err
		}
	}
	return head{}, errors.New("too many interim responses")
}

func readOneHead(r *bufio.Reader) (head, error) {
	left := maxHead
	line, err := readLine(r, &left)
	if err != nil {
		return head{}, err
	}
	h, minor, err := parseStatusLine(line)
	if err != nil {
		return head{}, err
	}
	persistent, closing := false, false
	for {
		if line, err = readLine(r, &left); err != nil {
			return head{}, unexpected(err)
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !isText(value) {
			return head{}, fmt.Errorf("malformed header line %s", excerpt(line))
		}
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || h.length >= 0 {
				return head{}, fmt.Errorf("bad Content-Length %s", excerpt(value))
			}
			h.length = int64(n)
		case "transfer-encoding":
			if h.chunked || !strings.EqualFold(value, "chunked") {
				return head{}, fmt.Errorf("unknown Transfer-Encoding %s", excerpt(value))
			}
			h.chunked = true
		case "connection":
			persistent = persistent || hasOption(value, "keep-alive")
			closing = closing || hasOption(value, "close")
		}
	}
	h.chunked = h.chunked && minor > 0 // HTTP/1.0 has no chunks
	switch {
	case h.status == 204 || h.status == 304:
		h.chunked, h.length = false, 0
	case h.chunked:
		h.length = -1
	}
	h.keepAlive = !closing && (minor > 0 || persistent) && (h.chunked || h.length >= 0)
	return h, nil
}

// readLine reads a line, without its end, from the left bytes that there may still be. As in net/http, the end may lack its carriage return.
func readLine(r *bufio.Reader, left *int) (string, error) {
	var long []byte // of a line that is longer than the reader's buffer
	for {
		part, err := r.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return "", errTooLong
		}
		switch {
		case err == nil && long == nil:
			return string(trimEnd(part)), nil
		case err == nil:
			return string(trimEnd(append(long, part...))), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case len(part)+len(long) > 0:
			return "", unexpected(err)
		default:
			return "", err
		}
	}
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// unexpected turns the end of the input into an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseStatusLine reads a line like "HTTP/1.1 200 OK". The length of the body is not known yet.
func parseStatusLine(line string) (h head, minor int, err error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if ok && len(rest) >= len("1 200") && isDigit(rest[0]) && rest[1] == ' ' {
		code, reason, spaced := strings.Cut(rest[2:], " ")
		status, err := strconv.ParseUint(code, 10, 16)
		if err == nil && len(code) == 3 && status >= 100 && (spaced || reason == "") {
			return head{status: int(status), reason: strings.TrimSpace(reason), length: -1}, int(rest[0] - '0'), nil
		}
	}
	return head{}, 0, fmt.Errorf("malformed HTTP response %s", excerpt(line))
}

// hasOption reports whether a list of options separated by commas has the option, whatever its case.
func hasOption(list, option string) bool {
	for o := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(o, " \t"), option) {
			return true
		}
	}
	return false
}

// isToken reports whether s can be the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c), 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// isText reports whether s can be the value of a header: no control character but tabs.
func isText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// excerpt quotes the beginning of what a server sent.
func excerpt(s string) string {
	const longest = 60
	if len(s) > longest {
		return strconv.Quote(s[:longest]) + "..."
	}
	return strconv.Quote(s)
}

// bodyOf returns a reader of the body that follows h. It ends with io.EOF after the last byte, and with io.ErrUnexpectedEOF if the
// connection ends before.
func bodyOf(h head, r *bufio.Reader) io.Reader {
	switch {
	case h.chunked:
		return &chunkedBody{r: r}
	case h.length >= 0:
		return &sizedBody{r: r, left: h.length}
	}
	return r
}

// sizedBody is a body whose length is known.
type sizedBody struct {
	r    io.Reader
	left int64
}

func (b *sizedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); err != nil && b.left > 0 {
		return n, unexpected(err)
	}
	return n, nil
}

// chunkedBody is a body in chunks. What has come of a chunk is returned at once: followed logs are such bodies.
type chunkedBody struct {
	r     *bufio.Reader
	left  int64 // of the current chunk
	begun bool  // a chunk has been read, whose end mark is still to come
	err   error // that ended the body
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	if b.err == nil && b.left == 0 {
		b.err = b.nextChunk()
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil {
		b.err = unexpected(err)
	}
	return n, b.err
}

// nextChunk reads the size of the next chunk. It returns io.EOF after the last one, behind which nothing is allowed, not even trailers.
func (b *chunkedBody) nextChunk() error {
	if b.begun {
		if err := b.endMark(); err != nil {
			return err
		}
	}
	line, err := b.line(maxChunk)
	if err != nil {
		return err
	}
	digits, _, _ := strings.Cut(line, ";") // extensions mean nothing to us
	size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 63)
	if err != nil {
		return fmt.Errorf("bad size of a chunk %s", excerpt(line))
	}
	if size > 0 {
		b.left, b.begun = int64(size), true
		return nil
	}
	if err := b.endMark(); err != nil {
		return err
	}
	return io.EOF
}

// endMark reads the empty line behind a chunk.
func (b *chunkedBody) endMark() error {
	line, err := b.line(len("\r\n"))
	if err == nil && line != "" {
		err = fmt.Errorf("%s behind a chunk", excerpt(line))
	}
	return err
}

// line reads a line of at most longest bytes. Between chunks, unlike in heads, its end must be complete.
func (b *chunkedBody) line(longest int) (string, error) {
	raw, err := b.r.ReadSlice('\n')
	if len(raw) > longest || errors.Is(err, bufio.ErrBufferFull) {
		return "", errTooLong
	}
	line, ok := strings.CutSuffix(string(raw), "\r\n")
	if err == nil && !ok {
		err = fmt.Errorf("half an end of the line %s", excerpt(line))
	}
	return line, unexpected(err)
}
