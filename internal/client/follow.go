package client

import (
	"context"
	"io"
)

// follower reads a stream of /logtail.
type follower struct {
	body io.ReadCloser
	buf  []byte
}

// Next blocks for more bytes.
func (f *follower) Next(ctx context.Context) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = f.body.Close() }) // ends the read that waits
	defer stop()
	n, err := f.body.Read(f.buf)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return f.buf[:n], err
}

// Close ends the stream.
func (f *follower) Close() error { return f.body.Close() }
