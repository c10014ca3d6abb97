package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/graced/graced/internal/control"
)

// brokenRelease is a release of the workers that ends at once.
const brokenRelease = "broken"

// apiConfig is the second program of the demo: workers that share a socket, each of which is ready when it has written its first line.
func (s *stage) apiConfig(release string) string {
	return fmt.Sprintf("\n[fcgi-program:api]\ncommand=%s demo-worker -\nsocket=unix://%s\nprocess_name=%%(program_name)s_%%(process_num)s\nnumprocs=4\n"+
		"environment=RELEASE=%q\nstartsecs=0\nautorestart=false\nready=log:line 1\nready_wait=5s\nstdout_logfile=NONE\nredirect_stderr=true\n", s.binary, s.socket("api"), release)
}

// upgrade has daemon and keeper become another program: a copy of this one.
func (s *stage) upgrade(ctx context.Context) (string, string, error) {
	next := filepath.Join(s.dir, "graced.next")
	if err := copyExecutable(next); err != nil {
		return "", "", err
	}
	before, err := s.client.Doctor(ctx)
	if err != nil {
		return "", "", err
	}
	if err := s.client.Upgrade(ctx, next); err != nil {
		return "", "", err
	}
	now, err := s.successor(ctx, before.DaemonPID)
	if err != nil {
		return "", "", err
	}
	kept, keptErr := s.still(ctx)
	return fmt.Sprintf("daemon %d -> %d, keeper %d the same", before.DaemonPID, now.DaemonPID, now.KeeperPID), kept, errors.Join(keptErr,
		expect("the daemon's program", now.Binary, next), expect("the keeper's program", now.KeeperBinary, next), expect("the keeper's pid", now.KeeperPID, before.KeeperPID))
}

// killDaemon kills the daemon, and waits for the next.
func (s *stage) killDaemon(ctx context.Context) (string, string, error) {
	before, err := s.client.Doctor(ctx)
	if err != nil {
		return "", "", err
	}
	if err := syscall.Kill(before.DaemonPID, syscall.SIGKILL); err != nil {
		return "", "", err
	}
	now, err := s.successor(ctx, before.DaemonPID)
	if err != nil {
		return "", "", err
	}
	kept, keptErr := s.still(ctx)
	return fmt.Sprintf("daemon %d -> %d", before.DaemonPID, now.DaemonPID), kept, errors.Join(keptErr, expect("the keeper's pid", now.KeeperPID, before.KeeperPID))
}

// successor waits until another daemon answers, and its keeper has done what it was to do.
func (s *stage) successor(ctx context.Context, old int) (now control.Doctor, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if now, err = s.client.Doctor(ctx); err == nil && now.DaemonPID != old && !now.KeeperChanging {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, fmt.Errorf("no other daemon answers: %w", errors.Join(err, ctx.Err()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// release brings a new release to workers that share a socket, while somebody asks them all the time.
func (s *stage) release(ctx context.Context) (string, string, error) {
	if err := s.writeConfig(2, 5, s.apiConfig("1")); err != nil {
		return "", "", err
	}
	if _, err := s.update(ctx, ""); err != nil {
		return "", "", err
	}
	before, err := s.apiPIDs(ctx)
	if err != nil {
		return "", "", err
	}
	op, requests, err := s.roll(ctx, "2")
	if err != nil {
		return "", "", err
	}
	now, err := s.apiPIDs(ctx)
	if err != nil {
		return "", "", err
	}
	_, keptErr := s.still(ctx)
	return "4 replaced one after the other, each ready first", requests, errors.Join(keptErr, expect("the operation", op.State, control.OperationDone),
		expect("workers of before", slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) }), false))
}

// badRelease brings one that does not work: the first worker shows that, and gets back what it had.
func (s *stage) badRelease(ctx context.Context) (string, string, error) {
	before, err := s.apiPIDs(ctx)
	if err != nil {
		return "", "", err
	}
	op, requests, err := s.roll(ctx, brokenRelease)
	if err != nil {
		return "", "", err
	}
	now, err := s.apiPIDs(ctx)
	if err != nil {
		return "", "", err
	}
	same := 0
	for _, pid := range now {
		if slices.Contains(before, pid) {
			same++
		}
	}
	_, keptErr := s.still(ctx)
	return "rolled back by itself, 3 of 4 never touched", requests, errors.Join(keptErr, expect("the operation", op.State, control.OperationRolledBack), expect("workers of before", same, 3))
}

// roll changes the release and waits for the end of the update. It tells how many requests failed meanwhile.
func (s *stage) roll(ctx context.Context, release string) (op control.Operation, requests string, err error) {
	if err := s.writeConfig(2, 5, s.apiConfig(release)); err != nil {
		return op, "", err
	}
	var a asker
	a.start(s.socket("api"))
	defer a.stop()
	if op, err = s.client.Update(ctx, control.UpdateRequest{}); err != nil {
		return op, "", err
	}
	for seen := op.Count; !op.State.Over(); seen = op.Count {
		if op, err = s.client.Operation(ctx, op.ID, seen); err != nil {
			return op, "", err
		}
	}
	a.stop()
	return op, a.short(), a.verdict()
}

// apiPIDs returns the workers of api, all of which run.
func (s *stage) apiPIDs(ctx context.Context) (pids []int, err error) {
	list, err := s.client.Processes(ctx)
	for _, p := range list {
		if p.Group == "api" && p.PID != 0 {
			pids = append(pids, p.PID)
		}
	}
	return pids, errors.Join(err, expect("workers of api", len(pids), 4))
}
