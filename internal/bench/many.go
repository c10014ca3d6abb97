package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

// manySessions measures with many children: their start, what they cost while idle, requests about all of them, their stop. The bare
// loop and the daemons take turns, each round in the other order.
func (b *bench) manySessions(ctx context.Context) error {
	for round := range b.rounds {
		turns := []func() error{func() error { return b.bareLoop(ctx) }}
		for _, c := range b.contenders {
			turns = append(turns, func() error { return b.manySession(ctx, c, round == 0) })
		}
		for i := range turns {
			if round%2 == 1 {
				i = len(turns) - 1 - i
			}
			if err := turns[i](); err != nil {
				return err
			}
		}
	}
	return nil
}

// bareLoop measures what the machine needs for the same children without a supervisor: from the first ForkExec of a plain loop to the
// report of the last child.
func (b *bench) bareLoop(ctx context.Context) error {
	fifo, err := newStamps(fmt.Sprintf("%s/bare%d", b.dir, len(b.bare)))
	if err != nil {
		return err
	}
	defer fifo.close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	argv := b.child.args("stamp", fifo.path)
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	var pids []int
	defer func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for _, pid := range pids {
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
	}()
	t0 := monotonic()
	for range b.many {
		pid, err := syscall.ForkExec(argv[0], argv, attr)
		if err != nil {
			return fmt.Errorf("cannot start child %d: %v", len(pids), err)
		}
		pids = append(pids, pid)
	}
	reports, err := fifo.collect(ctx, b.many, time.Minute)
	if err != nil {
		return err
	}
	b.bare = append(b.bare, last(reports)-t0)
	say("bare loop: %d children in %v", b.many, last(reports)-t0)
	return nil
}

// manySession is one turn of one daemon. The measurements that do not change from round to round are made in the first only.
func (b *bench) manySession(ctx context.Context, c *contender, first bool) error {
	s, err := b.newSession(c, fmt.Sprintf("[program:p]\ncommand=%s\nnumprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\n",
		b.child.command("stamp", "FIFO"), b.many))
	if err != nil {
		return err
	}
	defer s.close()
	start, err := s.started(ctx, b.many)
	if err != nil {
		return err
	}
	c.start = append(c.start, start)
	say("%s: %d children in %v", c.name, b.many, start)
	if err := s.running(ctx, b.many); err != nil {
		return err
	}
	if first {
		if err := b.measureIdle(ctx, c, s.cmd.Process.Pid); err != nil {
			return err
		}
		if c.queries, err = measureQueries(ctx, s.socket, b.many, b.query); err != nil {
			return err
		}
		say("%s: %.1f MB resident, %.1f MB of it anonymous; %.2f wake-ups/s; %.1f requests/s", c.name, float64(c.rss)/1e6, float64(c.anon)/1e6,
			c.wakeups, c.queries)
	}
	stop, err := s.stop(ctx)
	if err != nil {
		return err
	}
	c.stop = append(c.stop, stop)
	say("%s: stopped %d children and itself in %v", c.name, b.many, stop)
	return nil
}

// started measures from the exec of the daemon to the report of its last child.
func (s *session) started(ctx context.Context, n int) (time.Duration, error) {
	reports, err := s.stamps.collect(ctx, n, 2*time.Minute)
	if err != nil {
		return 0, s.trouble(err.Error())
	}
	return last(reports) - s.began, nil
}

// measureIdle reads the daemon's memory and counts how often its threads wake up while nothing happens.
func (b *bench) measureIdle(ctx context.Context, c *contender, pid int) (err error) {
	// What follows the last RUNNING (log lines, a garbage collection) is not idleness.
	if err := wait(ctx, min(b.idle, 3*time.Second)); err != nil {
		return err
	}
	if c.rss, c.anon, err = memory(pid); err != nil {
		return err
	}
	before, err := switches(pid)
	if err != nil {
		return err
	}
	if err := wait(ctx, b.idle); err != nil {
		return err
	}
	after, err := switches(pid)
	if err != nil {
		return err
	}
	c.wakeups = float64(after-before) / b.idle.Seconds()
	return nil
}
