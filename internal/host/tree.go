package host

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// place is where a child lives, and what becomes of all that it starts: its tree.
type place struct {
	cgroup   string // the directory of its control group; "" = none of its own
	lacks    string // what could not be had and what is done instead; "" = nothing
	killTree bool   // nothing is left of the tree at its end
	stopping bool   // the tree has got a signal to end: what is left of it is waited for
}

func (p *place) code(c *coder) {
	c.string(&p.cgroup)
	c.string(&p.lacks)
	c.bool(&p.killTree)
	c.bool(&p.stopping)
}

// The bounds of the wait for what is left of a tree. It is looked at: to be told of it would take a thread or a descriptor for each.
const (
	treeLookFirst = time.Millisecond
	treeLookMost  = 100 * time.Millisecond
	treePatience  = 10 * time.Second // with what was killed without anybody's asking; after that only the kernel holds it
	treeSweep     = 10 * time.Second // between two looks at a group that somebody lives in after the end of its process
)

// settleIn finds a place for a child that is about to be forked.
func (k *Keeper) settleIn(group, name string, want process.TreeSpec) (p place) {
	p.killTree = want.Kill
	if !want.Grouped() {
		return p
	}
	dir, err := k.cgroups.make(group, name, want)
	p.cgroup = dir
	p.lack(err, want)
	return p
}

// lack says what could not be had.
func (p *place) lack(err error, want process.TreeSpec) {
	if err == nil {
		return
	}
	p.lacks = err.Error()
	if p.cgroup != "" {
		return
	}
	p.lacks = "it has no control group of its own: " + p.lacks
	if want.Stop || want.Kill {
		p.lacks += "; its tree is its process group and its descendants"
	}
	if want.Limited() {
		p.lacks += "; no limit is in force"
	}
}

// enterFailed takes the news that the child could not be put into its group.
func (k *Keeper) enterFailed(c *child, err error) {
	_ = k.cgroups.remove(c.cgroup) // nobody is in it
	c.cgroup = ""
	c.lack(err, c.want)
}

// send sends a signal to the child, or to what the request says besides.
func (c *child) send(req SignalRequest) error {
	switch {
	case req.ToTree && c.cgroup != "":
		return signalCgroup(c.cgroup, req.Signal)
	case req.ToTree && c.over:
		return kill(c.pid, SignalRequest{Signal: req.Signal, ToGroup: true})
	case c.over, req.ToTree && c.foreign && !c.asForeign().isSame():
		return nil
	case c.foreign && !req.ToTree:
		return c.signalForeign(req)
	}
	return kill(c.pid, req)
}

// left reports whether something is left of the tree of a child that is over. Without a control group that is its process group, whose number is
// nobody else's as long as it has a member.
func (c *child) left() bool {
	if c.cgroup != "" {
		return populated(c.cgroup)
	}
	return unix.Kill(-c.pid, 0) != unix.ESRCH
}

// killRest kills what a child leaves behind, unless that was told to end and has its time. The child has ended; that it is not reaped yet keeps the
// number of its process group.
func (c *child) killRest() {
	if c.killTree && !c.stopping {
		_ = c.send(SignalRequest{Signal: process.SIGKILL, ToTree: true}) // await sees what is left
	}
}

// childOver takes the end of a child. It is told when nothing is left of its tree, if it is to be so. The mutex is held.
func (k *Keeper) childOver(c *child, status process.ExitStatus) {
	c.over, c.status, c.at = true, status, Mono()
	k.await(c, treeLookFirst)
}

// await tells the end of a child now, or looks again later. The mutex is held.
func (k *Keeper) await(c *child, pause time.Duration) {
	if c.killTree && c.left() && (c.stopping || Mono()-c.at < treePatience) {
		time.AfterFunc(pause, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.await(c, min(2*pause, treeLookMost))
		})
		return
	}
	c.ended = true
	if c.cgroup != "" {
		c.status.OutOfMemory = outOfMemory(c.cgroup)
		k.sweep(c.cgroup)
	}
	if c.announced {
		k.tellEnd(c)
	}
}

// sweep removes a group, as soon as nobody lives in it.
func (k *Keeper) sweep(dir string) {
	if k.cgroups.remove(dir) != nil {
		time.AfterFunc(treeSweep, func() { k.sweep(dir) })
	}
}

// placeOf finds out about a process that runs and that nobody has told of.
func placeOf(pid int, want process.TreeSpec) (p place) {
	p.killTree = want.Kill
	if !want.Grouped() {
		return p
	}
	dir, err := ownCgroup("/proc/" + strconv.Itoa(pid))
	if err == nil && filepath.Base(dir) != cgroupSelf && strings.HasPrefix(filepath.Base(filepath.Dir(dir)), cgroupPrefix) {
		p.cgroup = dir
	} else {
		p.lack(fmt.Errorf("it was not started in one"), want)
	}
	return p
}
