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
	next, arrived, told, justTold := 0, 0, false, false
	for _, l := range lines {
		if strings.Contains(l, "lines were dropped") {
			told, justTold = true, true
			continue
		}
		var number int
		if _, err := fmt.Sscanf(l, "%05d ", &number); err != nil || number < next || number > next && !justTold {
			t.Fatalf("line %d begins with %q, loss told just before: %v", next, l[:10], justTold)
		}
		next, justTold = number+1, false
		arrived++
	}
	if !told || arrived < pendingMax/(len(line)+6)-1 {
		t.Errorf("%d lines arrived, loss told: %v", arrived, told)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestLogWriterCountsLosses fills a sink, which takes a part of a line and then nothing, and empties it again.
func TestLogWriterCountsLosses(t *testing.T) {
	var got bytes.Buffer
	room := 1 << 20
	w := NewLogWriter(writerFunc(func(p []byte) (int, error) {
		n := min(len(p), room)
		got.Write(p[:n])
		room -= n
		if n < len(p) {
			return n, errors.New("disk full")
		}
		return n, nil
	}))
	say := func(text string) {
		t.Helper()
		if _, err := fmt.Fprintln(w, text); err != nil {
			t.Fatal(err)
		}
		w.Flush()
	}
	say("one")
	room = 2
	say("two")
	say("three\nfour")
	room = 1 << 20
	say("five")
	w.Close()
	lines := strings.Split(got.String(), "\n")
	if len(lines) != 5 || lines[0] != "one" || lines[1] != "tw" || !strings.HasSuffix(lines[2], " WARN 3 log lines were dropped because the log could not be written") ||
		lines[3] != "five" || lines[4] != "" {
		t.Errorf("%q", lines)
	}
}
