// Package client asks a daemon elsewhere: it is control.Service over XML-RPC, for graced and for Supervisor alike.
//
// It owns the transport (addresses, credentials, HTTP statuses, one kept connection) and the translation of answers into the types of
// package control. It never retries a call, never prompts and prints nothing. Packages that talk to a daemon from outside import it: ctl
// and the tests.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/xmlrpc"
)

// Client talks to one daemon. It is safe for concurrent use; calls made one after the other share one connection.
type Client struct {
	serverURL          string
	network, address   string // for the dialler
	host               string // of the Host header
	username, password string

	kept atomic.Pointer[conn] // the connection of the last call; nil = there is none, or it is in use
}

var _ control.Service = (*Client)(nil)

// New returns a client of the daemon at serverURL: http://host[:port], where the port defaults to 80 and a path is ignored, or
// unix:///path (contract: ctl, "Server URL"). An empty username means no credentials. It does not connect yet.
func New(serverURL, username, password string) (*Client, error) {
	network, address, host, err := parse(serverURL)
	if err != nil {
		return nil, err
	}
	return &Client{serverURL: serverURL, network: network, address: address, host: host, username: username, password: password}, nil
}

func parse(serverURL string) (network, address, host string, err error) {
	switch {
	case strings.HasPrefix(serverURL, "unix://"):
		return "unix", strings.TrimPrefix(serverURL, "unix://"), "localhost", nil
	case strings.HasPrefix(serverURL, "http://"):
		u, err := url.Parse(serverURL)
		if err != nil {
			return "", "", "", fmt.Errorf("cannot read server URL %q: %v", serverURL, err)
		}
		port := u.Port()
		if port == "" {
			port = "80"
		}
		return "tcp", net.JoinHostPort(u.Hostname(), port), u.Host, nil
	}
	return "", "", "", fmt.Errorf("Unknown protocol for serverurl %s", serverURL) // compat: the words of supervisorctl
}

// ProtocolError is an HTTP status other than 200.
type ProtocolError struct {
	URL    string // of a call "127.0.0.1/RPC2" whatever the server, as Supervisor's client says; of a stream the server URL and the path
	Code   int
	Reason string // the server's words for the code, e.g. "Unauthorized"
}

// Error returns the text that Python shows for such an error.
func (e *ProtocolError) Error() string {
	return "<ProtocolError for " + e.URL + ": " + strconv.Itoa(e.Code) + " " + e.Reason + ">"
}

// Statuses that mean something here. Package net/http names them all, but it must stay out of the client (see exchange.go).
const (
	statusOK             = 200
	statusBadRequest     = 400
	statusUnauthorized   = 401
	statusNotFound       = 404
	statusNotImplemented = 501
)

// maxResponse bounds the memory that a broken server can cost, in bytes. The largest honest answer is getAllConfigInfo: 3 KB a process.
const maxResponse = 256 << 20

// Call calls a method and returns its value, of a type listed in package xmlrpc. A fault is returned as a *control.Error, an HTTP status as a
// *ProtocolError; a failed connection unwraps to its errno (ECONNREFUSED, ENOENT).
func (c *Client) Call(ctx context.Context, method string, args ...any) (any, error) {
	doc, err := xmlrpc.EncodeCall(method, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot call %s: %w", method, err)
	}
	resp, err := c.send(ctx, "POST", "/RPC2", doc)
	if err != nil {
		return nil, err
	}
	defer resp.body.Close()
	if resp.status != statusOK {
		return nil, &ProtocolError{URL: "127.0.0.1/RPC2", Code: resp.status, Reason: resp.reason}
	}
	body := bytes.NewBuffer(make([]byte, 0, max(512, min(resp.length+512, 16<<20))))
	if _, err = body.ReadFrom(io.LimitReader(resp.body, maxResponse)); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", c.serverURL, err)
	}
	v, err := xmlrpc.DecodeResponse(body.Bytes())
	var fault *xmlrpc.Fault
	if errors.As(err, &fault) {
		return nil, faultError(fault)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", c.serverURL, err)
	}
	return v, nil
}

// Stream opens a log that never ends: path is /logtail/<namespec>[/stdout|/stderr] or /mainlogtail, not escaped. The stream ends with the
// context or when it is closed. An HTTP status other than 200 is a *ProtocolError.
func (c *Client) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, "GET", path, nil)
	if err != nil {
		return nil, err
	}
	if resp.status != statusOK {
		_ = resp.body.Close()
		return nil, &ProtocolError{URL: c.serverURL + path, Code: resp.status, Reason: resp.reason}
	}
	return resp.body, nil
}

// Close ends the connection. The client can be used again and connects anew then.
func (c *Client) Close() error {
	if kept := c.kept.Swap(nil); kept != nil {
		return kept.Close()
	}
	return nil
}

// faultError splits a fault string into the code's name and the detail. A string of another form is kept as it is.
func faultError(f *xmlrpc.Fault) *control.Error {
	code := control.Code(f.Code)
	detail, found := strings.CutPrefix(f.String, code.String())
	if text, ok := strings.CutPrefix(detail, ": "); found && (ok || detail == "") {
		return control.Fault(code, text)
	}
	return &control.Error{Code: code, Text: f.String, Raw: f.String}
}
