package host

import (
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// What a keeper does about its children: forks, signals, reaps, tells.

// spawn forks a child, unless that was done before.
func (k *Keeper) spawn(m *spawnChild, fds []int) {
	own := len(fds) - min(max(m.passed, 0), len(fds))
	at := m.ends.split(fds[:own])
	c := &child{life: m.life, pidfd: -1, fds: [3]int{at[3], at[4], at[5]}}
	j := &forkJob{
		life: m.life, name: m.name, uid: m.uid, file: m.file, argv: m.argv, env: m.env, dir: m.dir, umask: m.umask,
		userError: m.userError, child: [3]int{at[0], at[1], at[2]}, passed: fds[own:],
	}
	if m.cred {
		j.cred = &syscall.Credential{Uid: uint32(m.asUID), Gid: uint32(m.asGID)}
		for _, g := range m.groups {
			j.cred.Groups = append(j.cred.Groups, uint32(g))
		}
	}
	j.failure = m.failure
	if j.failure == "" && slices.Contains(fds, -1) {
		j.failure = fmt.Sprintf("too many open files to spawn '%s'", m.name)
		closeAll(fds)
		c.fds = [3]int{-1, -1, -1}
	}
	k.mu.Lock()
	known := k.children[m.life] != nil
	k.mu.Unlock()
	if j.failure == "" && !known {
		c.want, c.place = m.tree, k.settleIn(m.group, m.name, m.tree)
		j.cgroup = c.cgroup
	}
	k.mu.Lock()
	if k.forker == nil || known {
		k.tell(&failedChild{m.life, "the keeper was not set up, or has this process"})
		k.mu.Unlock()
		closeAll(fds)
		return
	}
	k.children[m.life] = c
	k.mu.Unlock()
	if j.failure == "" {
		if err := k.forker.send(j); err != nil {
			j.failure = fmt.Sprintf("unknown error making dispatchers for '%s': %s", j.name, errnoName(err))
			j.closeChild()
		}
	}
	k.forks.Add(1)
	k.forker.jobs <- []*forkJob{j}
}

// bornChild registers a pid.
func (k *Keeper) bornChild(j *forkJob, pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.children[j.life]
	c.pid = pid
	k.byPID[pid] = c
}

// report tells the daemon what the forker did.
func (k *Keeper) report(f *forker) {
	for results := range f.results {
		for _, r := range results {
			k.outcome(r)
			k.forks.Done()
		}
	}
}

func (k *Keeper) outcome(r forkResult) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.children[r.job.life]
	if r.failure != "" {
		if c.cgroup != "" {
			k.sweep(c.cgroup)
		}
		k.forget(c)
		k.tell(&failedChild{r.job.life, r.failure})
		return
	}
	if r.job.lacks != nil {
		k.enterFailed(c, r.job.lacks)
	}
	c.start = startTime(c.pid)
	c.pidfd = openPidfd(c.pid)
	c.announced = true
	m := &forkedChild{c.life, c.pid, c.start, c.place}
	switch {
	case k.wire == nil:
	case c.pidfd >= 0:
		k.wire.lend(m, c.pidfd) // it is not settled before the daemon has heard of it
	default:
		k.wire.send(m)
	}
	if c.ended {
		k.tellEnd(c)
	}
}

// openPidfd returns a pidfd of a child that is not reaped, -1 if there is none to be had.
func openPidfd(pid int) int {
	fd, err := OpenPidfd(pid)
	if err != nil {
		return -1
	}
	return fd
}

// forget drops a child.
func (k *Keeper) forget(c *child) {
	closeAll(c.fds[:])
	closeAll([]int{c.pidfd})
	delete(k.children, c.life)
	if c.unwatch != nil {
		c.unwatch()
	}
}

// disown forgets those that this keeper has not forked, or that have ended: its daemon has died before it had noted any of them, and the next one looks for
// them on its own. It may know them under other numbers, or have numbers of theirs for others.
func (k *Keeper) disown() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.children {
		if c.foreign || c.ended {
			k.forget(c)
		}
	}
}

// signal sends a signal, once for each token.
func (k *Keeper) signal(m *signalChild) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.children[m.life]
	var err error
	if c != nil && !c.ended && (m.token == 0 || m.token > c.token) {
		c.token = max(c.token, m.token)
		req := SignalRequest{Signal: process.Signal(m.signal), ToGroup: m.toGroup, ToTree: m.toTree}
		if req.ToTree {
			c.stopping = true
			tree := *c
			k.trees.Go(func() { k.signalTree(tree, m, req) })
			return
		}
		err = c.send(req)
	}
	k.tellSignalled(m, err)
}

// signalTree sends a signal to a tree as it is now, which may take a while.
func (k *Keeper) signalTree(c child, m *signalChild, req SignalRequest) {
	err := c.send(req)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tellSignalled(m, err)
}

func (k *Keeper) tellSignalled(m *signalChild, err error) {
	errno, _ := err.(unix.Errno) //nolint:errorlint // it is what the system call returned
	k.tell(&signalledChild{m.life, m.token, int(errno)})
}

// settle drops a child whose end is known where it has to be.
func (k *Keeper) settle(l life) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.children[l]; c != nil && c.ended {
		k.forget(c)
	}
}

// keep holds descriptors for the next daemons.
func (k *Keeper) keep(m *keep, fds []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	closeAll(k.held[m.key].fds)
	if len(fds) == 0 {
		delete(k.held, m.key)
		return
	}
	k.held[m.key] = holding{m.note, fds}
}

// Hold has a descriptor held under a key, with a note, as if a daemon had said so. It becomes the keeper's. Hold comes before Run.
func (k *Keeper) Hold(key, note string, fd int) { k.keep(&keep{key, note}, []int{fd}) }

// owner returns what takes the end of a child.
func (k *Keeper) owner(pid int) func() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range []*generation{k.daemon, k.candidate} {
		if g != nil && g.pid == pid && !g.gone {
			return func() { k.programEnded(g) }
		}
	}
	if k.byPID[pid] == nil {
		return nil
	}
	return func() { k.childEnded(pid) }
}

func (k *Keeper) programEnded(g *generation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-g.ready:
	default: // what is none of ours may have left others in its group, which hold the socket; its pid is its own until it is reaped
		_ = unix.Kill(-g.pid, unix.SIGKILL) // best is none
	}
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(g.pid, &ws, 0, nil)
		if err != unix.EINTR {
			break
		}
	}
	g.gone = true
	g.ended <- ws
}

func (k *Keeper) childEnded(pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.byPID[pid]
	c.killRest()
	status, ok := waitFor(pid)
	if !ok {
		return
	}
	delete(k.byPID, pid)
	k.childOver(c, status)
}

func (k *Keeper) tellEnd(c *child) {
	k.tell(&exitedChild{c.life, c.pid, c.status, c.at})
}

func (k *Keeper) orphan(o OrphanReaped) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell(&orphanEnded{o.PID, o.Status})
}
