package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// victimAge is how long a process has to have lived before it is killed: a supervisor may hold back the successor of one that died
// at once.
const victimAge = 1200 * time.Millisecond

// fewSessions measures the client and the restart of killed children, with both daemons up at the same time.
func (b *bench) fewSessions(ctx context.Context) error {
	var sessions []*session
	var alive [][]stamp
	for _, c := range b.contenders {
		s, err := b.newSession(c, fmt.Sprintf("[program:p]\ncommand=%s\nnumprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\n"+
			"startsecs=0\nautorestart=true\n", b.child.command("stamp", "FIFO"), b.few))
		if err != nil {
			return err
		}
		defer s.close()
		reports, err := s.stamps.collect(ctx, b.few, time.Minute)
		if err != nil {
			return s.trouble(err.Error())
		}
		if err := s.running(ctx, b.few); err != nil {
			return err
		}
		sessions, alive = append(sessions, s), append(alive, reports)
	}
	for range b.statusRuns {
		for i, c := range b.contenders {
			took, err := b.measureStatus(ctx, c, sessions[i])
			if err != nil {
				return err
			}
			c.status = append(c.status, took)
		}
	}
	for i, c := range b.contenders {
		say("%s: status in %v", c.name, quantile(c.status, 0.5))
		if err := b.measureRestarts(ctx, c, sessions[i], alive[i]); err != nil {
			return err
		}
		say("%s: %d restarts, median %v, p99 %v", c.name, len(c.restarts), quantile(c.restarts, 0.5), quantile(c.restarts, 0.99))
	}
	return nil
}

// measureStatus runs the client's status once, as a user would, and returns the wall time of the whole process.
func (b *bench) measureStatus(ctx context.Context, c *contender, s *session) (time.Duration, error) {
	out, err := os.Create(filepath.Join(b.dir, "status"))
	if err != nil {
		return 0, err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, c.client, "-c", s.conf, "status")
	cmd.Stdout, cmd.Stderr = out, out
	t0 := time.Now()
	err = cmd.Run()
	took := time.Since(t0)
	text, rerr := os.ReadFile(out.Name())
	if err != nil || rerr != nil || bytes.Count(text, []byte(" RUNNING ")) != b.few {
		return 0, fmt.Errorf("status of %s does not show %d running processes: %v\n%s", c.name, b.few, err, text)
	}
	return took, nil
}

// measureRestarts kills children, the oldest first and never one that has just been started, and measures from before the kill to the
// successor's own report that it runs.
func (b *bench) measureRestarts(ctx context.Context, c *contender, s *session, alive []stamp) error {
	end := time.Now().Add(b.killBudget)
	for range b.kills {
		if time.Now().After(end) {
			break
		}
		victim := alive[0]
		alive = alive[1:]
		// A pause in any case, of changing length, so that the kills do not fall in step with a poll of the daemon.
		pause := time.Duration(5+len(c.restarts)%11) * time.Millisecond
		if err := wait(ctx, max(pause, victim.at+victimAge-monotonic())); err != nil {
			return err
		}
		t0 := monotonic()
		if err := syscall.Kill(victim.pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("cannot kill child %d: %v", victim.pid, err)
		}
		successor, err := s.stamps.next(ctx, time.Now().Add(30*time.Second))
		if err != nil {
			return s.trouble(err.Error())
		}
		c.restarts = append(c.restarts, successor.at-t0)
		alive = append(alive, successor)
	}
	return nil
}
