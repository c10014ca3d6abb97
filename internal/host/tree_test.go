package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// keeperRig is a keeper inside the test, and the daemon's end of its wire.
type keeperRig struct {
	*Keeper
	t     *testing.T
	dir   string
	other *wire
	last  process.ID

	mu   sync.Mutex
	said []message
}

func newKeeperRig(t *testing.T, cgroup string) *keeperRig {
	t.Helper()
	k, err := NewKeeper(KeeperOptions{Trouble: func(text string) { t.Error(text) }})
	if err != nil {
		t.Fatal(err)
	}
	r := &keeperRig{Keeper: k, t: t, dir: t.TempDir()}
	w, other, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	if r.other, err = newWire(other); err != nil {
		t.Fatal(err)
	}
	var loops sync.WaitGroup
	k.startReaping()
	loops.Go(func() {
		_ = r.other.receive(func(m message, fds []int) { // it ends when the test does
			closeAll(fds)
			r.mu.Lock()
			r.said = append(r.said, m)
			r.mu.Unlock()
		})
	})
	k.mu.Lock()
	k.wire = w
	k.mu.Unlock()
	if done := k.setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID, Cgroup: cgroup}); done.text != "" {
		t.Fatal(done.text)
	}
	t.Cleanup(func() {
		k.mu.Lock()
		for _, c := range k.children {
			if !c.over { // the test has failed
				_ = unix.Kill(c.pid, unix.SIGKILL)
			}
			if c.cgroup != "" {
				_ = signalCgroup(c.cgroup, process.SIGKILL)
			}
			defer k.forget(c)
		}
		k.wire = nil
		k.mu.Unlock()
		k.forks.Wait()
		close(k.forker.jobs)
		k.forker.wait()
		k.stopReaping()
		w.close()
		r.other.close()
		loops.Wait()
		r.until("no group is left", func() bool { k.cgroups.close(); return k.cgroups.base == "" || !isDir(k.cgroups.base) })
		_ = k.binary.Close() // only read
	})
	return r
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// until waits for something that nobody tells of.
func (r *keeperRig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("it does not come about that %s", what)
		}
	}
}

// heard returns the first message of a kind about a life.
func heard[T message](r *keeperRig, mine func(T) bool) (m T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, said := range r.said {
		if m, ok := said.(T); ok && mine(m) {
			return m, true
		}
	}
	return m, false
}

// spawn has a shell carry out a script in the test's directory.
func (r *keeperRig) spawn(script string, tree process.TreeSpec) (life, *forkedChild) {
	r.t.Helper()
	r.last++
	l := life{r.last, 1}
	r.Keeper.spawn(&spawnChild{
		life: l, name: "p", group: "g", file: "/bin/sh", argv: []string{"sh", "-c", script}, dir: r.dir, umask: process.UnsetMask, tree: tree,
		env: []string{"PATH=/bin:/usr/bin"}, ends: childStdin | childStdout,
	}, []int{r.null(), r.null()})
	var m *forkedChild
	r.until("it is forked", func() (ok bool) {
		m, ok = heard(r, func(m *forkedChild) bool { return m.life == l })
		return ok
	})
	return l, m
}

func (r *keeperRig) null() int {
	r.t.Helper()
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return fd
}

// pid waits for a process to tell its pid in a file.
func (r *keeperRig) pid(file string) (pid int) {
	r.t.Helper()
	r.until(file+" tells a pid", func() bool {
		text, _ := os.ReadFile(filepath.Join(r.dir, file)) // not yet
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return strings.HasSuffix(string(text), "\n") && pid > 0
	})
	return pid
}

// alive reports whether a process has not ended; a zombie has.
func alive(pid int) bool {
	stat, err := ReadStat(pid)
	return err == nil && stat.State != 'Z' && stat.State != 'X'
}

func (r *keeperRig) exited(l life) *exitedChild {
	m, _ := heard(r, func(m *exitedChild) bool { return m.life == l })
	return m
}

func (r *keeperRig) stopTree(l life, sig process.Signal) {
	r.signal(&signalChild{life: l, signal: int(sig), token: uint64(sig), toTree: true})
}

// The escapees of the tests have a session of their own and no parent: only their control group knows whose they are.
const (
	escapee = `setsid sh -c 'echo $$ >escapee.part; mv escapee.part escapee; exec sleep 1000' & `
	// Told to end it takes the time that the test gives it.
	slowEscapee = `setsid sh -c 'trap "cat gate; kill -KILL 0" TERM; echo $$ >escapee.part; mv escapee.part escapee; while :; do sleep 1000 & wait; done' & `
)

var whole = process.TreeSpec{Stop: true, Kill: true}

// needCgroups skips a test where no control group can be made.
func needCgroups(t *testing.T) {
	t.Helper()
	if detail, ok := inNewCgroup(func(string) (string, bool) { return "", true }); !ok {
		t.Skipf("hidden: what happens to real control groups, because none can be made: %s", detail)
	}
}

// TestTreeStops: a stop reaches who has left, waits for it, and leaves no group behind.
func TestTreeStops(t *testing.T) {
	needCgroups(t)
	r := newKeeperRig(t, "")
	if err := unix.Mkfifo(filepath.Join(r.dir, "gate"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, forked := r.spawn("("+slowEscapee+"); exec sleep 1000", whole)
	away := r.pid("escapee")
	dir := forked.cgroup
	if filepath.Base(dir) != "g.p" || forked.lacks != "" {
		t.Fatalf("%+v", forked)
	}
	for _, pid := range []int{forked.pid, away} {
		if in, err := ownCgroup("/proc/" + strconv.Itoa(pid)); err != nil || in != dir {
			t.Errorf("process %d lives in %s, %v, not in %s", pid, in, err, dir)
		}
	}
	r.stopTree(l, process.SIGTERM)
	r.until("the process itself has ended", func() bool { return !alive(forked.pid) })
	gate := -1
	r.until("the escapee has got the signal", func() (ok bool) {
		fd, err := unix.Open(filepath.Join(r.dir, "gate"), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		gate = fd
		return err == nil
	})
	r.until("its end is noticed", func() bool {
		r.Keeper.mu.Lock()
		defer r.Keeper.mu.Unlock()
		return r.children[l].over
	})
	if e := r.exited(l); e != nil {
		t.Errorf("the end is told while something is left: %+v", e)
	}
	unix.Close(gate)
	r.until("the end is told", func() bool { return r.exited(l) != nil })
	if e := r.exited(l); e.status.Signal != process.SIGTERM || e.pid != forked.pid {
		t.Errorf("%+v", e)
	}
	if alive(away) || isDir(dir) {
		t.Errorf("process %d lives: %v; the group is there: %v", away, alive(away), isDir(dir))
	}
}

// TestTreeKilled: what does not obey is killed wherever it is, and once for each token.
func TestTreeKilled(t *testing.T) {
	needCgroups(t)
	r := newKeeperRig(t, "")
	l, forked := r.spawn(`trap "" TERM; (`+escapee+`); sleep 1000 & wait; sleep 1000`, whole)
	away := r.pid("escapee")
	r.stopTree(l, process.SIGKILL)
	r.until("the end is told", func() bool { return r.exited(l) != nil })
	if alive(away) || isDir(forked.cgroup) {
		t.Errorf("process %d lives: %v; the group is there: %v", away, alive(away), isDir(forked.cgroup))
	}
	if _, ok := heard(r, func(m *signalledChild) bool { return m.token == uint64(process.SIGKILL) && m.errno == 0 }); !ok {
		r.until("the signal is acknowledged", func() bool {
			_, ok := heard(r, func(m *signalledChild) bool { return m.token == uint64(process.SIGKILL) && m.errno == 0 })
			return ok
		})
	}
}

// TestTreeEnds: at the end of a process nothing is left of its tree with kill_tree, and everything without.
func TestTreeEnds(t *testing.T) {
	needCgroups(t)
	for _, kill := range []bool{true, false} {
		t.Run(fmt.Sprint("kill_tree=", kill), func(t *testing.T) {
			r := newKeeperRig(t, "")
			l, forked := r.spawn("("+escapee+"); while ! [ -e escapee ]; do :; done; exit 3", process.TreeSpec{Cgroup: process.CgroupOn, Kill: kill})
			away := r.pid("escapee")
			r.until("the end is told", func() bool { return r.exited(l) != nil })
			if e := r.exited(l); e.status != (process.ExitStatus{Code: 3}) {
				t.Errorf("%+v", e)
			}
			if alive(away) == kill || isDir(forked.cgroup) == kill {
				t.Errorf("process %d lives: %v; the group is there: %v", away, alive(away), isDir(forked.cgroup))
			}
		})
	}
}

// TestTreeTakenOver: a keeper that takes a process over from one that has died knows its group, also when the process is over by then.
func TestTreeTakenOver(t *testing.T) {
	needCgroups(t)
	first := newKeeperRig(t, "")
	for _, over := range []bool{false, true} {
		l, forked := first.spawn("("+escapee+"); exec sleep 1000", whole)
		away := first.pid("escapee")
		if err := os.Remove(filepath.Join(first.dir, "escapee")); err != nil {
			t.Fatal(err)
		}
		fd := openPidfd(forked.pid)
		first.Keeper.mu.Lock() // it has died
		first.forget(first.children[l])
		delete(first.byPID, forked.pid)
		first.Keeper.mu.Unlock()
		if over {
			if err := unix.Kill(forked.pid, unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			first.until("the process itself has ended", func() bool { return !alive(forked.pid) })
		}
		next := newKeeperRig(t, "")
		next.adopt(&adoptChild{life: l, pid: forked.pid, start: forked.start, place: forked.place}, []int{fd})
		if !over {
			next.stopTree(l, process.SIGTERM)
		}
		next.until("the end is told", func() bool { return next.exited(l) != nil })
		if alive(away) || isDir(forked.cgroup) {
			t.Errorf("process %d lives: %v; the group is there: %v", away, alive(away), isDir(forked.cgroup))
		}
	}
}

// TestTreeWithoutCgroups: the tree is what descends from the process, and its process group. What has left both stays.
func TestTreeWithoutCgroups(t *testing.T) {
	r := newKeeperRig(t, cgroupsOff)
	l, forked := r.spawn(escapee+"exec sleep 1000", whole)
	away := r.pid("escapee")
	if want := "it has no control group of its own: control groups are off; its tree is its process group and its descendants"; forked.cgroup != "" || forked.lacks != want {
		t.Errorf("%+v", forked)
	}
	r.stopTree(l, process.SIGTERM)
	r.until("the end is told", func() bool { return r.exited(l) != nil })
	r.until("its descendant has ended", func() bool { return !alive(away) })

	if err := os.Remove(filepath.Join(r.dir, "escapee")); err != nil {
		t.Fatal(err)
	}
	l, forked = r.spawn(`sh -c 'echo $$ >escapee.part; mv escapee.part escapee; exec sleep 1000' & while ! [ -e escapee ]; do :; done; exit 3`, whole)
	member := r.pid("escapee")
	r.until("the end is told", func() bool { return r.exited(l) != nil })
	r.until("the member of its process group has ended", func() bool { return !alive(member) })
	if forked.pid == member {
		t.Error("it is no other process")
	}
}

// TestForkWithoutGroup: a group that cannot be entered costs nothing but the group.
func TestForkWithoutGroup(t *testing.T) {
	r := newKeeperRig(t, "")
	r.cgroups.own = func() (string, error) { return r.dir, nil } // where the kernel takes nobody in
	l, forked := r.spawn("exit 4", process.TreeSpec{Cgroup: process.CgroupOn})
	if forked.cgroup != "" || !strings.HasPrefix(forked.lacks, "it has no control group of its own: cannot write") {
		t.Errorf("%+v", forked)
	}
	r.until("the end is told", func() bool { return r.exited(l) != nil })
	if e := r.exited(l); e.status.Code != 4 {
		t.Errorf("%+v", e)
	}
}

// TestKin: a process, its descendants and the members of its group are kin. Nobody else is.
func TestKin(t *testing.T) {
	kin := kinOf(os.Getpid())
	for _, c := range []struct {
		pid  int
		want bool
	}{{os.Getpid(), true}, {1, false}} {
		got := false
		for _, pid := range kin {
			got = got || pid == c.pid
		}
		if got != c.want {
			t.Errorf("process %d: %v", c.pid, got)
		}
	}
}

// TestFoundInItsGroup: a process that has lost keeper and daemon at once is found with its control group.
func TestFoundInItsGroup(t *testing.T) {
	needCgroups(t)
	r := newKeeperRig(t, "")
	_, forked := r.spawn("exec sleep 1000", whole)
	there, err := Find(forked.pid, Traits{Start: forked.start, Cgroup: forked.cgroup})
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if got := there.Traits().Cgroup; got != forked.cgroup || got == "" {
		t.Errorf("%q, want %q", got, forked.cgroup)
	}
}
