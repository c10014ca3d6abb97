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
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/xmlrpc"
)

// Client talks to one daemon. It is safe for concurrent use; calls made one after the other share one connection.
type Client struct {
	serverURL          string
	host               string // of the Host header and of request URLs
	username, password string
	transport          *http.Transport
}

var _ control.Service = (*Client)(nil)

// New returns a client of the daemon at serverURL: http://host[:port], where the port defaults to 80 and a path is ignored, or
// unix:///path (contract: ctl, "Server URL"). An empty username means no credentials. It does not connect yet.
func New(serverURL, username, password string) (*Client, error) {
	network, address, host, err := parse(serverURL)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{}
	return &Client{
		serverURL: serverURL, host: host, username: username, password: password,
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
			DisableCompression: true,
		},
	}, nil
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

// maxResponse bounds the memory that a broken server can cost, in bytes. The largest honest answer is getAllConfigInfo: 3 KB a process.
const maxResponse = 256 << 20

// Call calls a method and returns its value, of a type listed in package xmlrpc. A fault is returned as a *control.Error, an HTTP status as a
// *ProtocolError; a failed connection unwraps to its errno (ECONNREFUSED, ENOENT).
func (c *Client) Call(ctx context.Context, method string, args ...any) (any, error) {
	doc, err := xmlrpc.EncodeCall(method, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot call %s: %w", method, err)
	}
	resp, err := c.send(ctx, http.MethodPost, "/RPC2", doc)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &ProtocolError{URL: "127.0.0.1/RPC2", Code: resp.StatusCode, Reason: reason(resp)}
	}
	body := bytes.NewBuffer(make([]byte, 0, max(512, min(resp.ContentLength+512, 16<<20))))
	if _, err = body.ReadFrom(io.LimitReader(resp.Body, maxResponse)); err != nil {
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
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, &ProtocolError{URL: c.serverURL + path, Code: resp.StatusCode, Reason: reason(resp)}
	}
	return resp.Body, nil
}

// Close ends the connection. The client can be used again and connects anew then.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

func (c *Client) send(ctx context.Context, verb, path string, body []byte) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: c.host, Path: path}
	req, err := http.NewRequestWithContext(ctx, verb, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot send to %s: %w", c.serverURL, err)
	}
	req.Header.Set("User-Agent", "graced")
	if body != nil {
		req.Header.Set("Content-Type", "text/xml")
		req.Header.Set("Accept", "text/xml")
	}
	if c.username != "" {
		req.SetBasicAuth(c.username, c.password)
	}
	// The transport itself, not http.Client: no redirect is ever followed with credentials.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("cannot reach %s: %w", c.serverURL, err)
	}
	return resp, nil
}

func reason(resp *http.Response) string {
	return strings.TrimSpace(strings.TrimPrefix(resp.Status, strconv.Itoa(resp.StatusCode)))
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
