package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// The shape of the event tests.
const (
	eventWriters = 50                // of the first two
	burstPause   = 5000              // microseconds between two lines of a writer: nearly each is an event of its own, and none is told yet
	livePause    = 300               // the same, while they are told: more lines than either daemon tells one by one
	liveFactor   = 10                // so many times the lines of the burst
	lateWriters  = 100               // of the second one, an event each
	lateBuffer   = 20                // so that most of them overflow
	noListener   = 5 * time.Second   // after which a listener that was not started never will be
	settling     = 5 * time.Second   // the most time that events take that nobody waits for
	eventLimit   = 120 * time.Second // for all events of one daemon
)

// events is what was measured of a daemon's events.
type events struct {
	trouble  string // why it was not measured; empty = it was
	lines    int    // written for the first listener
	burst    seen   // by it
	took     time.Duration
	live     seen // by a listener that answers from the beginning
	late     seen // by the listener that answers late
	overflow int  // events that the daemon said it had discarded then
}

// rate is in events a second.
func (e events) rate() float64 {
	if e.took <= 0 {
		return 0
	}
	return float64(e.burst.events) / e.took.Seconds()
}

// liveRate is in events a second, from the first to the last.
func (e events) liveRate() float64 {
	if e.live.last <= e.live.first {
		return 0
	}
	return float64(e.live.events-1) / time.Duration(e.live.last-e.live.first).Seconds()
}

// whole tells whether each line came, and no number was left out.
func (e events) whole(s seen, factor int) bool {
	return e.trouble == "" && e.lines > 0 && s.lines == uint64(e.lines*factor) && s.gaps == 0
}

// counted tells whether each event of the late listener came or was reported as discarded, as some must have been.
func (e events) counted() bool {
	return e.trouble == "" && e.overflow > 0 && int(e.late.events)+e.overflow == lateWriters
}

// eventSessions measures PROCESS_LOG events, the daemons in turns.
func (b *bench) eventSessions(ctx context.Context) error {
	for _, c := range b.contenders {
		if err := b.measureBurst(ctx, c); err != nil {
			return err
		}
		if c.events.trouble == "" {
			if err := b.measureLive(ctx, c); err != nil {
				return err
			}
			if err := b.measureOverflow(ctx, c); err != nil {
				return err
			}
		}
		say("%s: events: %+v, %.0f/s waiting, %.0f/s live", c.name, c.events, c.events.rate(), c.events.liveRate())
	}
	return nil
}

// newListenerSession starts a daemon with a listener of PROCESS_LOG and writers.
func (b *bench) newListenerSession(c *contender, mode string, lines, buffer, writers int, writer string) (*session, error) {
	return b.newSession(c, fmt.Sprintf("[eventlistener:listener]\ncommand=%s\nevents=PROCESS_LOG\nbuffer_size=%d\nstartsecs=0\n\n"+
		"[program:w]\ncommand=%s\nnumprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\nstartsecs=0\nautorestart=false\n"+
		"stdout_logfile=LOGS/w%%(process_num)d.log\nstdout_events_enabled=true\n",
		b.child.command("listen", mode, strconv.Itoa(lines), "LOGS/seen", "FIFO"), buffer, writer, writers))
}

// startListener starts a daemon with a listener of PROCESS_LOG and writers, and waits for both reports of each writer. It returns the
// listener's pid; 0: there is no listener.
func (b *bench) startListener(ctx context.Context, c *contender, mode string, lines, buffer, writers int, writer string) (s *session, listener int, err error) {
	s, err = b.newListenerSession(c, mode, lines, buffer, writers, writer)
	if err != nil {
		return nil, 0, err
	}
	reports := map[int]int{} // by pid
	for range 2*writers + 1 {
		limit := time.Minute
		if done := len(reports) == writers && !once(reports); done {
			limit = noListener
		}
		report, err := s.stamps.next(ctx, time.Now().Add(limit))
		switch {
		case err == nil:
			reports[report.pid]++
		case limit == noListener && ctx.Err() == nil:
			return s, 0, nil
		default:
			err = s.trouble(err.Error())
			s.close()
			return nil, 0, err
		}
	}
	for pid, n := range reports {
		if n == 1 {
			listener = pid
		}
	}
	return s, listener, nil
}

// once tells whether somebody has reported only once.
func once(reports map[int]int) bool {
	for _, n := range reports {
		if n == 1 {
			return true
		}
	}
	return false
}

// measureBurst lets events wait for a listener that keeps the first one, and measures how fast it gets them once it answers.
func (b *bench) measureBurst(ctx context.Context, c *contender) error {
	lines := eventWriters * b.eventLines
	s, listener, err := b.startListener(ctx, c, "burst", lines, lines, eventWriters, b.slowWriter(b.eventLines, burstPause))
	if err != nil {
		return err
	}
	defer s.close()
	if listener == 0 {
		c.events.trouble = "no event listener was started"
		return nil
	}
	c.events.lines = lines
	if err := wait(ctx, 500*time.Millisecond); err != nil { // until the last lines have been read
		return err
	}
	t0 := monotonic()
	if err := syscall.Kill(listener, syscall.SIGUSR1); err != nil {
		return fmt.Errorf("cannot release the listener: %v", err)
	}
	end, err := s.stamps.next(ctx, time.Now().Add(eventLimit))
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.events.trouble = "events were lost: " + err.Error()
		return nil
	}
	c.events.took = end.at - t0
	if _, err := s.stop(ctx); err != nil {
		return err
	}
	c.events.burst, err = readSeen(filepath.Join(s.dir, "logs", "seen"))
	return err
}

// slowWriter is the command of a writer of lines with a pause in microseconds before each.
func (b *bench) slowWriter(lines, pause int) string {
	return b.child.command("slow", "%(process_num)d", strconv.Itoa(lines), "FIFO", strconv.Itoa(pause))
}

// measureLive measures how fast events are told while they are made: from the pipe of a writer through its log to a listener that answers at once.
func (b *bench) measureLive(ctx context.Context, c *contender) error {
	lines := eventWriters * b.eventLines * liveFactor
	s, err := b.newListenerSession(c, "live", lines, lines, eventWriters, b.slowWriter(b.eventLines*liveFactor, livePause))
	if err != nil {
		return err
	}
	defer s.close()
	for range 2*eventWriters + 2 { // the beginning and the end of each writer and of the listener
		if _, err := s.stamps.next(ctx, time.Now().Add(eventLimit)); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.events.trouble = "events were lost while they were made: " + err.Error()
			return nil
		}
	}
	if _, err := s.stop(ctx); err != nil {
		return err
	}
	c.events.live, err = readSeen(filepath.Join(s.dir, "logs", "seen"))
	return err
}

// measureOverflow lets more events come than the buffer of a listener takes that keeps the first one, and looks what becomes of them.
func (b *bench) measureOverflow(ctx context.Context, c *contender) error {
	s, listener, err := b.startListener(ctx, c, "late", 0, lateBuffer, lateWriters, b.child.command("lines", "%(process_num)d", "1", "FIFO"))
	if err != nil {
		return err
	}
	defer s.close()
	if listener == 0 {
		return fmt.Errorf("%s started a listener once, and then none", c.name)
	}
	discarded := func() int {
		text, err := os.ReadFile(filepath.Join(s.dir, "supervisord.log"))
		if err != nil {
			return 0
		}
		return bytes.Count(text, []byte(" event buffer overflowed, discarding event "))
	}
	await := func(done func() bool) error {
		for end := time.Now().Add(settling); !done() && time.Now().Before(end); {
			if err := wait(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	}
	// The writers are gone; one event is with the listener, and a full buffer is behind it.
	if err := await(func() bool { return discarded() >= lateWriters-lateBuffer-1 }); err != nil {
		return err
	}
	if err := syscall.Kill(listener, syscall.SIGUSR1); err != nil {
		return fmt.Errorf("cannot release the listener: %v", err)
	}
	return await(func() bool {
		c.events.overflow = discarded()
		c.events.late, err = readSeen(filepath.Join(s.dir, "logs", "seen"))
		return err == nil && c.events.counted()
	})
}
