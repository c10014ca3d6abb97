package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// The exchange of one request for one response over HTTP/1.1. It is our own because net/http brings TLS and HTTP/2 into the client, and
// the start of them takes longer than a call (docs/adr/006).

// response is the answer to one request. Its body must be closed; reading it to its end before keeps the connection for the next request.
type response struct {
	head
	body io.ReadCloser
}

// conn is one connection to the daemon.
type conn struct {
	net.Conn
	r    *bufio.Reader
	used bool // it has served before
}

// send sends a request and returns the head of the response. The context covers the body as well.
func (c *Client) send(ctx context.Context, verb, path string, payload []byte) (*response, error) {
	resp, err := c.exchange(ctx, verb, path, payload)
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("cannot reach %s: %w", c.serverURL, err)
}

// exchange asks once more, as Python's clients do, when a connection that has served before is found closed: the server may have closed it while
// the question was on its way.
func (c *Client) exchange(ctx context.Context, verb, path string, payload []byte) (*response, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.over(ctx, conn, verb, path, payload)
	if err == nil || !conn.used || ctx.Err() != nil {
		return resp, err
	}
	if conn, err = c.connect(ctx); err != nil {
		return nil, err
	}
	return c.over(ctx, conn, verb, path, payload)
}

// ErrHungUp says that the connection ended before the first byte of an answer: the request may have been carried out, or not.
var ErrHungUp = errors.New("the server hung up without an answer")

// over sends a request on a connection. The connection is closed after an error.
func (c *Client) over(ctx context.Context, conn *conn, verb, path string, payload []byte) (*response, error) {
	release := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a write or read that waits
	_, unsent := conn.Write(c.request(verb, path, payload))
	// A server may refuse a request that it has not read to the end, and hang up: what it says is worth more than our failure.
	h, err := readHead(conn.r)
	if err != nil {
		release()
		_ = conn.Close()
		switch {
		case unsent != nil:
			return nil, unsent
		case errors.Is(err, io.EOF):
			return nil, ErrHungUp
		}
		return nil, err
	}
	// One that refuses may not have read it either: Supervisor takes what is left of it for the next request.
	h.keepAlive = h.keepAlive && unsent == nil && (payload == nil || h.status == statusOK)
	return &response{h, &body{client: c, conn: conn, ctx: ctx, release: release, keepAlive: h.keepAlive, src: bodyOf(h, conn.r)}}, nil
}

// request returns the bytes of a request. Its length is always known: Supervisor reads no chunks.
func (c *Client) request(verb, path string, payload []byte) []byte {
	u := url.URL{Path: path}
	if isJSON(path) { // what comes behind a log's name may be part of it
		u.Path, u.RawQuery, _ = strings.Cut(path, "?")
	}
	b := make([]byte, 0, 512+len(payload))
	b = append(b, verb+" "+u.RequestURI()+" HTTP/1.1\r\nHost: "+c.host+"\r\nUser-Agent: graced\r\n"...)
	if c.username != "" {
		b = append(b, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(c.username+":"+c.password))+"\r\n"...)
	}
	if payload != nil {
		kind := "text/xml"
		if isJSON(path) {
			kind = "application/json"
		}
		b = append(b, "Content-Type: "+kind+"\r\nAccept: "+kind+"\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(payload)), 10), "\r\n"...)
	}
	return append(append(b, "\r\n"...), payload...)
}

// connect returns the kept connection, or a new one.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	if kept := c.kept.Swap(nil); kept != nil {
		if isOpen(kept.Conn) {
			kept.used = true
			return kept, nil
		}
		_ = kept.Close()
	}
	var d net.Dialer
	n, err := d.DialContext(ctx, c.network, c.address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: n, r: bufio.NewReader(n)}, nil
}

// keep takes a connection back whose response has been read.
func (c *Client) keep(conn *conn) {
	if conn.r.Buffered() > 0 || !c.kept.CompareAndSwap(nil, conn) {
		_ = conn.Close()
	}
}

// body reads the body of a response. Close ends a read that waits.
type body struct {
	client    *Client
	conn      *conn
	ctx       context.Context
	release   func() bool // takes the context's hand off the connection
	keepAlive bool
	src       io.Reader

	atEnd, closed atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.atEnd.Store(true)
	case err != nil && b.ctx.Err() != nil:
		err = b.ctx.Err()
	}
	return n, err
}

func (b *body) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if b.release() && b.keepAlive && b.atEnd.Load() {
		b.client.keep(b.conn)
		return nil
	}
	_ = b.conn.Close() // nothing that was sent can be lost any more
	return nil
}
