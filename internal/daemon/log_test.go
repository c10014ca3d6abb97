package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLineForm(t *testing.T) {
	var out bytes.Buffer
	h := NewLogger(&out, LevelTrace).Handler()
	at := time.Date(2026, 11, 22, 15, 44, 0, 342_999_999, time.Local)
	for _, level := range []slog.Level{LevelCritical, LevelError, LevelWarn, LevelInfo, LevelDebug, LevelTrace} {
		if err := h.Handle(context.Background(), slog.NewRecord(at, level, "text\nmore\n", 0)); err != nil {
			t.Fatal(err)
		}
	}
	want := ""
	for _, code := range []string{"CRIT", "ERRO", "WARN", "INFO", "DEBG", "TRAC"} {
		want += "2026-11-22 15:44:00,342 " + code + " text\nmore\n"
	}
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if h.Enabled(context.Background(), LevelBlather) || !h.Enabled(context.Background(), LevelTrace) {
		t.Error("the level does not select")
	}
}

// gate is a sink that can be held up.
type gate struct {
	open chan struct{}
	got  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.got.Write(p)
}

func TestLogWriterNeverBlocks(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	failing := writerFunc(func([]byte) (int, error) { return 0, errors.New("disk full") })
	w := NewLogWriter(failing, g)
	line := strings.Repeat("x", 1023) + "\n"
	for i := range 3 * pendingMax / len(line) {
		if _, err := fmt.Fprintf(w, "%05d %s", i, line); err != nil {
			t.Fatal(err)
		}
	}
	close(g.open)
	w.Close()
	lines := strings.Split(strings.TrimSpace(g.got.String()), "\n")
	next, arrived, told := 0, 0, false
	for _, l := range lines {
		// The goroutine may have taken a first batch before the last line was given, so the gap can be anywhere: it is told where it is.
		if head, _, ok := strings.Cut(l, " log lines were dropped"); ok {
			var n int
			if _, err := fmt.Sscan(head[strings.LastIndexByte(head, ' ')+1:], &n); err != nil || n <= 0 {
				t.Fatalf("loss told as %q", l)
			}
			next += n
			told = true
			continue
		}
		if !strings.HasPrefix(l, fmt.Sprintf("%05d ", next)) {
			t.Fatalf("line %d begins with %q", next, l[:10])
		}
		next++
		arrived++
	}
	if given := 3 * pendingMax / len(line); !told || next != given || arrived < pendingMax/(len(line)+6)-1 {
		t.Errorf("%d of %d lines arrived, %d are accounted for, loss told: %v", arrived, given, next, told)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
