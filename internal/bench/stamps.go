package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// stampSize is the length of a report.
const stampSize = 16

// stamp is one report of a child.
type stamp struct {
	at  time.Duration // CLOCK_MONOTONIC
	pid int
}

// stamps is the reading end of the FIFO that children report to.
type stamps struct {
	path string
	file *os.File
}

// newStamps makes the FIFO. It is opened for writing as well, so that no child ever waits for a reader and the reader sees no end.
func newStamps(path string) (*stamps, error) {
	if err := unix.Mkfifo(path, 0o666); err != nil {
		return nil, fmt.Errorf("cannot make fifo %s: %v", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &stamps{path, f}, nil
}

// next waits for one report, at most until the deadline.
func (s *stamps) next(ctx context.Context, deadline time.Time) (stamp, error) {
	var rec [stampSize]byte
	if err := s.file.SetReadDeadline(deadline); err != nil {
		return stamp{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// A report is written at once and is shorter than PIPE_BUF, so it also arrives whole.
	if _, err := io.ReadFull(s.file, rec[:]); err != nil {
		if ctx.Err() != nil {
			return stamp{}, ctx.Err()
		}
		return stamp{}, fmt.Errorf("no report of a child: %v", err)
	}
	return stamp{time.Duration(binary.LittleEndian.Uint64(rec[:8])), int(binary.LittleEndian.Uint64(rec[8:]))}, nil
}

// collect waits for n reports and returns them in the order they came.
func (s *stamps) collect(ctx context.Context, n int, limit time.Duration) ([]stamp, error) {
	deadline := time.Now().Add(limit)
	out := make([]stamp, 0, n)
	for len(out) < n {
		st, err := s.next(ctx, deadline)
		if err != nil {
			return out, fmt.Errorf("%d of %d children reported within %v: %v", len(out), n, limit, err)
		}
		out = append(out, st)
	}
	return out, nil
}

// close closes the FIFO. Children that report later get SIGPIPE or EPIPE; none is left by then.
func (s *stamps) close() { s.file.Close() }

// last returns the latest time among reports.
func last(reports []stamp) time.Duration {
	var t time.Duration
	for _, r := range reports {
		t = max(t, r.at)
	}
	return t
}
