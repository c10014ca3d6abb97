package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// The levels of the main log, in slog's terms; Supervisor has two below debug and one above error (contract: logging, "Activity log").
const (
	LevelBlather  = slog.Level(-12)
	LevelTrace    = slog.Level(-8)
	LevelDebug    = slog.LevelDebug
	LevelInfo     = slog.LevelInfo
	LevelWarn     = slog.LevelWarn
	LevelError    = slog.LevelError
	LevelCritical = slog.Level(12)
)

// levels maps Supervisor's numbers and the codes of its lines to ours.
var levels = []struct {
	number int
	level  slog.Level
	code   string
}{
	{50, LevelCritical, "CRIT"}, {40, LevelError, "ERRO"}, {30, LevelWarn, "WARN"}, {20, LevelInfo, "INFO"},
	{10, LevelDebug, "DEBG"}, {5, LevelTrace, "TRAC"}, {3, LevelBlather, "BLAT"},
}

// LevelOf returns the level with Supervisor's number (50, 40, 30, 20, 10, 5, 3); info for any other.
func LevelOf(number int) slog.Level {
	for _, l := range levels {
		if l.number == number {
			return l.level
		}
	}
	return LevelInfo
}

// pendingMax bounds the lines that wait for a slow disk; what comes above is counted and dropped, supervision goes on.
const pendingMax = 4 << 20

// LogWriter hands lines to its sinks from a goroutine of its own, so that a slow disk never holds up the caller. Lines keep their order.
type LogWriter struct {
	sinks []sink // run's alone

	mu      sync.Mutex
	pending bytes.Buffer
	dropped int
	closed  bool
	busy    bool
	work    *sync.Cond
	idle    *sync.Cond
	done    chan struct{}
}

// sink is one place that lines go to.
type sink struct {
	io.Writer
	lost int  // lines that could not be written, since the last that was
	torn bool // the last thing written is the beginning of a line
}

// write writes whole lines, after saying how many were lost if some were. What cannot be written is dropped and counted.
func (s *sink) write(lines []byte) {
	told := 0
	text := lines
	if s.lost > 0 {
		notice := fmt.Sprintf("%s WARN %d log lines were dropped because the log could not be written\n", stamp(time.Now()), s.lost)
		if s.torn {
			notice = "\n" + notice
		}
		told = len(notice)
		text = append([]byte(notice), lines...)
	}
	n, err := s.Write(text) // a sink reports its own trouble besides
	if n > 0 {
		s.torn = text[n-1] != '\n'
	}
	if n >= told {
		s.lost = 0
	}
	if err != nil {
		s.lost += bytes.Count(text[max(n, told):], []byte("\n"))
	}
}

// NewLogWriter starts a writer to all sinks. An error of one sink does not keep a line from the others.
func NewLogWriter(sinks ...io.Writer) *LogWriter {
	w := &LogWriter{done: make(chan struct{})}
	for _, s := range sinks {
		w.sinks = append(w.sinks, sink{Writer: s})
	}
	w.work, w.idle = sync.NewCond(&w.mu), sync.NewCond(&w.mu)
	go w.run()
	return w
}

// Write queues whole lines. It never blocks and never fails.
func (w *LogWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.pending.Len()+len(line) > pendingMax {
		w.dropped++
		return len(line), nil
	}
	w.pending.Write(line)
	w.work.Signal()
	return len(line), nil
}

// Flush waits until everything written before has reached the sinks.
func (w *LogWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && (w.pending.Len() > 0 || w.busy) {
		w.idle.Wait()
	}
}

// Close flushes and stops the goroutine. The sinks stay open: they are the caller's.
func (w *LogWriter) Close() {
	w.Flush()
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.work.Signal()
	w.mu.Unlock()
	if !already {
		<-w.done
	}
}

func (w *LogWriter) run() {
	defer close(w.done)
	var batch bytes.Buffer
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for w.pending.Len() == 0 && !w.closed {
			w.idle.Broadcast()
			w.work.Wait()
		}
		if w.pending.Len() == 0 {
			w.idle.Broadcast()
			return
		}
		batch, w.pending = w.pending, batch
		dropped := w.dropped
		w.dropped, w.busy = 0, true
		w.mu.Unlock()
		if dropped > 0 {
			fmt.Fprintf(&batch, "%s WARN %d log lines were dropped because the log could not be written fast enough\n", stamp(time.Now()), dropped)
		}
		for i := range w.sinks {
			w.sinks[i].write(batch.Bytes())
		}
		batch.Reset()
		w.mu.Lock()
		w.busy = false
	}
}

// lineHandler renders records as Supervisor's main log does: "2026-11-22 15:44:00,342 INFO message".
type lineHandler struct {
	out io.Writer
	min slog.Level
}

// NewLogger returns a logger that writes Supervisor's line form to out, one Write for each record of level min or above.
func NewLogger(out io.Writer, min slog.Level) *slog.Logger {
	return slog.New(&lineHandler{out: out, min: min})
}

// Enabled implements slog.Handler.
func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.min }

// Handle implements slog.Handler. Attributes are not part of the line form.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	code := "INFO"
	for _, l := range levels {
		if r.Level >= l.level {
			code = l.code
			break
		}
	}
	_, err := io.WriteString(h.out, stamp(r.Time)+" "+code+" "+strings.TrimSuffix(r.Message, "\n")+"\n")
	return err
}

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// stamp renders the local time with milliseconds, comma separated.
func stamp(t time.Time) string {
	return t.Format("2006-01-02 15:04:05") + fmt.Sprintf(",%03d", t.Nanosecond()/1e6)
}
