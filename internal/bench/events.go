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
	eventWriters = 50                // of the first one; each has at most one event on its way
	eventBuffer  = 2 * eventWriters  // so that none can be lost
	lateWriters  = 100               // of the second one, an event each
	lateBuffer   = 20                // so that most of them overflow
	noListener   = 5 * time.Second   // after which a listener that was not started never will be
	settling     = 5 * time.Second   // the most time that events take that nobody waits for
	eventLimit   = 120 * time.Second // for all events of one daemon
)

// events is what was measured of a daemon's events.
type events struct {
	trouble  string // why nothing was measured; empty = it was
	sent     int
	seen     seen // by the listener that answers at once
	took     time.Duration
	late     seen // by the listener that answers late
	overflow int  // events that the daemon said it had discarded then
}

func (e events) rate() float64 {
	if e.took <= 0 {
		return 0
	}
	return float64(e.seen.events) / e.took.Seconds()
}

// whole tells whether each event came once, in order.
func (e events) whole() bool {
	return e.trouble == "" && e.sent > 0 && e.seen == seen{events: uint64(e.sent)}
}

// counted tells whether each event of the late listener came or was reported as discarded, as some must have been.
func (e events) counted() bool {
	return e.trouble == "" && e.overflow > 0 && int(e.late.events)+e.overflow == lateWriters
}

// eventSessions measures PROCESS_LOG events, the daemons in turns.
func (b *bench) eventSessions(ctx context.Context) error {
	for _, c := range b.contenders {
		if err := b.measureEvents(ctx, c); err != nil {
			return err
		}
		if c.events.trouble == "" {
			if err := b.measureOverflow(ctx, c); err != nil {
				return err
			}
		}
		say("%s: events: %+v, %.0f/s", c.name, c.events, c.events.rate())
	}
	return nil
}

// startListener starts a daemon with a listener of PROCESS_LOG and writers. It returns the listener's pid and those of the writers, which
// have reported their start; reports is how many reports each writer makes that are to be waited for. A pid of 0: there is no listener.
func (b *bench) startListener(ctx context.Context, c *contender, mode string, buffer, writers, reports int, writer string) (s *session, listener int, pids []int, err error) {
	s, err = b.newSession(c, fmt.Sprintf("[eventlistener:listener]\ncommand=%s\nevents=PROCESS_LOG\nbuffer_size=%d\nstartsecs=0\n\n"+
		"[program:w]\ncommand=%s\nnumprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\nstartsecs=0\nautorestart=false\n"+
		"stdout_logfile=LOGS/w%%(process_num)d.log\nstdout_events_enabled=true\n", b.child.command("listen", mode, "LOGS/seen", "FIFO"), buffer, writer, writers))
	if err != nil {
		return nil, 0, nil, err
	}
	seen := map[int]int{} // reports by pid
	for range writers*reports + 1 {
		limit := time.Minute
		if len(seen) >= writers {
			limit = noListener
		}
		report, err := s.stamps.next(ctx, time.Now().Add(limit))
		if err != nil {
			if ctx.Err() != nil || len(seen) != writers {
				err = s.trouble(err.Error())
				s.close()
				return nil, 0, nil, err
			}
			break // all of the writers, and nobody else
		}
		seen[report.pid]++
	}
	for _, pid := range children(s.cmd.Process.Pid) {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.Contains(line, []byte("\x00listen\x00")) {
			listener = pid
		}
	}
	for pid := range seen {
		if pid != listener {
			pids = append(pids, pid)
		}
	}
	return s, listener, pids, nil
}

// measureEvents lets writers write a line each whenever the listener has told of their last one, and counts what the listener sees.
func (b *bench) measureEvents(ctx context.Context, c *contender) error {
	s, listener, pids, err := b.startListener(ctx, c, "answer", eventBuffer, eventWriters, 1,
		b.child.command("turns", "%(process_num)d", strconv.Itoa(b.eventLines), "FIFO"))
	if err != nil {
		return err
	}
	defer s.close()
	if listener == 0 {
		c.events.trouble = "no event listener was started"
		return nil
	}
	t0 := monotonic()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
			return fmt.Errorf("cannot give writer %d its turn: %v", pid, err)
		}
	}
	c.events.sent = eventWriters * b.eventLines
	reports, err := s.stamps.collect(ctx, eventWriters, eventLimit)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.events.trouble = "events were lost: " + err.Error()
		return nil
	}
	c.events.took = last(reports) - t0
	if _, err := s.stop(ctx); err != nil {
		return err
	}
	c.events.seen, err = readSeen(filepath.Join(s.dir, "logs", "seen"))
	return err
}

// measureOverflow lets more events come than the buffer of a listener takes that keeps the first one, and looks what becomes of them.
func (b *bench) measureOverflow(ctx context.Context, c *contender) error {
	s, listener, _, err := b.startListener(ctx, c, "hold", lateBuffer, lateWriters, 2, b.child.command("lines", "%(process_num)d", "1", "FIFO"))
	if err != nil {
		return err
	}
	defer s.close()
	if listener == 0 {
		c.events.trouble = "no event listener was started"
		return nil
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
