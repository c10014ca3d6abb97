package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// cgroupsOff is the Setup.Cgroup with which no process gets a control group.
const cgroupsOff = "off"

// The names below the control group that a keeper has to itself. Those of processes have a point in them.
const (
	cgroupPrefix = "graced-" // and the keeper's pid
	cgroupSelf   = "self"    // for keeper and daemon, where they cannot stay beside groups with limits
)

// cgroups makes the control groups (version 2) of a keeper's children: HOME/graced-PID/GROUP.NAME. A HOME that is nobody's but the kernel's is not
// touched before the first group is asked for, and nothing is left in it at the end but groups that somebody still lives in.
type cgroups struct {
	choice string                        // as Setup.Cgroup
	own    func() (string, error)        // the keeper's own group
	put    func(path, text string) error // writes a file of a group
	kin    func() []int                  // the pids that may be moved: of the keeper, its daemon and what they have started

	mu         sync.Mutex
	home, base string // "" = not known yet
	moved      []string
}

func newCgroups(kin func() []int) *cgroups {
	return &cgroups{own: func() (string, error) { return ownCgroup("/proc/self") }, put: putFile, kin: kin}
}

// choose says below which directory groups are made from now on, as Setup.Cgroup.
func (g *cgroups) choose(choice string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if choice != g.choice {
		g.choice, g.home, g.base = choice, "", ""
	}
}

// places tells where groups are made, for the program that the keeper becomes; resume is told.
func (g *cgroups) places() (home, base string, moved []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.home, g.base, slices.Clone(g.moved)
}

func (g *cgroups) resume(choice string, e *estate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.choice, g.home, g.base, g.moved = choice, e.home, e.base, e.moved
}

// make makes a group for a process. The error says what could not be had: with a directory, which limits; without one, any group.
func (g *cgroups) make(group, name string, want process.TreeSpec) (dir string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.settle(); err != nil {
		return "", err
	}
	if dir, err = g.mkdir(group + "." + name); err != nil {
		return "", err
	}
	return dir, g.limit(dir, want)
}

// settle finds the place of the groups.
func (g *cgroups) settle() error {
	switch {
	case g.choice == cgroupsOff:
		return errors.New("control groups are off")
	case Disabled("cgroup2_write"):
		return errors.New("control groups are taken away by " + DisableVariable)
	case g.base != "":
		return nil
	}
	own, err := g.own()
	if err != nil {
		return err
	}
	g.home = own
	if g.choice != "" {
		g.home = g.choice
	}
	g.base = filepath.Join(g.home, cgroupPrefix+strconv.Itoa(os.Getpid()))
	// A keeper that takes the place of another begins where that had to move with its daemon.
	if up := filepath.Dir(own); filepath.Base(own) == cgroupSelf && strings.HasPrefix(filepath.Base(up), cgroupPrefix) {
		g.base = up
		g.home = filepath.Dir(up)
	}
	return nil
}

// mkdir makes a directory of that name, or with a number behind it: an earlier life of the process may have left something that lives there.
func (g *cgroups) mkdir(name string) (string, error) {
	const longest, most = 200, 1000
	name = strings.Map(func(r rune) rune {
		if r == '/' || r < ' ' {
			return '_'
		}
		return r
	}, name)
	name = name[:min(len(name), longest)]
	for n := 1; ; n++ {
		dir := filepath.Join(g.base, name)
		if n > 1 {
			dir += "." + strconv.Itoa(n)
		}
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(g.base, 0o755); err == nil {
				err = os.Mkdir(dir, 0o755)
			}
		}
		if errors.Is(err, fs.ErrExist) && removeCgroup(dir) == nil {
			err = os.Mkdir(dir, 0o755)
		}
		if !errors.Is(err, fs.ErrExist) || n == most {
			return dir, err
		}
	}
}

// limit writes the limits.
func (g *cgroups) limit(dir string, want process.TreeSpec) error {
	const period = 100_000 // of the processor's quota, in microseconds
	var failed []error
	set := func(asked bool, option, controller, file, text string) {
		if !asked {
			return
		}
		err := g.enable(controller)
		if err == nil {
			err = g.put(filepath.Join(dir, file), text)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s is not in force: %w", option, err))
		}
	}
	set(want.MemoryMax > 0, "memory_max", "memory", "memory.max", strconv.FormatInt(want.MemoryMax, 10))
	set(want.CPUMax > 0, "cpu_max", "cpu", "cpu.max", fmt.Sprintf("%d %d", want.CPUMax*(period/1000), period))
	set(want.PidsMax > 0, "pids_max", "pids", "pids.max", strconv.Itoa(want.PidsMax))
	return joinErrors(failed)
}

// joinErrors makes one line of errors.
func joinErrors(list []error) error {
	if len(list) == 0 {
		return nil
	}
	texts := make([]string, len(list))
	for i, err := range list {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// enable makes a controller work in the groups of processes. A group whose controllers are shared out has to have no process of its own: where
// the home holds us, and us alone, we move.
func (g *cgroups) enable(controller string) error {
	if Disabled("cgroup2_controllers") {
		return errors.New("controllers are taken away by " + DisableVariable)
	}
	if have, err := os.ReadFile(filepath.Join(g.home, "cgroup.controllers")); err != nil {
		return err
	} else if !slices.Contains(strings.Fields(string(have)), controller) {
		return fmt.Errorf("%s has no controller %s", g.home, controller)
	}
	share := func(dir string) error { return g.put(filepath.Join(dir, "cgroup.subtree_control"), "+"+controller) }
	err := share(g.home)
	if errors.Is(err, unix.EBUSY) && g.move() == nil {
		if err = share(g.home); err == nil && !slices.Contains(g.moved, controller) {
			g.moved = append(g.moved, controller)
		}
	}
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%s holds other processes besides", g.home)
	}
	if err != nil {
		return err
	}
	return share(g.base)
}

// move moves keeper, daemon and children that have no group of their own out of the home.
func (g *cgroups) move() error {
	dir := filepath.Join(g.base, cgroupSelf)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	kin := g.kin()
	for _, pid := range cgroupPIDs(g.home) {
		if slices.Contains(kin, pid) {
			if err := g.put(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// remove removes a group, and what it was made in if that is empty now. It fails while somebody lives there.
func (g *cgroups) remove(dir string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := removeCgroup(dir); err != nil {
		return err
	}
	if base := filepath.Dir(dir); strings.HasPrefix(filepath.Base(base), cgroupPrefix) {
		_ = unix.Rmdir(base) // there may be others in it
	}
	return nil
}

// close removes what can be removed, at the end of the keeper.
func (g *cgroups) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.base == "" {
		return
	}
	for _, controller := range g.moved { // nobody but us has shared them out
		_ = g.put(filepath.Join(g.home, "cgroup.subtree_control"), "-"+controller) // then we stay where we are
	}
	if len(g.moved) > 0 {
		_ = g.put(filepath.Join(g.home, "cgroup.procs"), strconv.Itoa(os.Getpid())) // likewise
	}
	_ = removeCgroup(g.base) // likewise
}

// removeCgroup removes a group with those below it. There is no other way than one by one; a group with processes stays, and those above it.
func removeCgroup(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || err == unix.ENOENT {
		return nil
	}
	inner := false
	entries, _ := os.ReadDir(dir) // then Rmdir says why
	for _, e := range entries {
		if e.IsDir() {
			inner = removeCgroup(filepath.Join(dir, e.Name())) == nil || inner
		}
	}
	if inner {
		err = unix.Rmdir(dir)
	}
	return err
}

// putFile writes a file that is there. Nothing but system calls: the forker's thread does it, too.
func putFile(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(text))
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("cannot write %q to %s: %w", text, path, err)
	}
	return nil
}

// enterCgroup moves a process into a group.
func enterCgroup(dir string, pid int) error {
	return putFile(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
}

// cgroupPIDs lists the processes of a group, without those of the groups below it. One that this process cannot see has no pid here.
func cgroupPIDs(dir string) (pids []int) {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")) // it is gone, and all that was in it
	for line := range strings.Lines(string(text)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// allCgroupPIDs lists the processes of a group and those below it.
func allCgroupPIDs(dir string) (pids []int) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error { // likewise
		if err == nil && e.IsDir() {
			pids = append(pids, cgroupPIDs(path)...)
		}
		return nil
	})
	return pids
}

// cgroupValue reads a number from a file of lines "key value", 0 where there is none.
func cgroupValue(dir, file, key string) int {
	text, _ := os.ReadFile(filepath.Join(dir, file)) // as above
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value)) // the kernel writes numbers
			return n
		}
	}
	return 0
}

// populated reports whether a process lives in a group or below it.
func populated(dir string) bool { return cgroupValue(dir, "cgroup.events", "populated") != 0 }

// outOfMemory reports whether the kernel has killed something in a group for want of memory.
func outOfMemory(dir string) bool { return cgroupValue(dir, "memory.events", "oom_kill") > 0 }

// signalCgroup sends a signal to all in a group: each gets it once, and nobody escapes by forking.
func signalCgroup(dir string, sig process.Signal) error {
	if sig == process.SIGKILL {
		if !Disabled("cgroup2_kill") && putFile(filepath.Join(dir, "cgroup.kill"), "1") == nil {
			return nil // since Linux 5.14
		}
	} else if freeze(dir) {
		defer func() { _ = putFile(filepath.Join(dir, "cgroup.freeze"), "0") }() // it is gone, then
	}
	return signalEach(func() []int { return allCgroupPIDs(dir) }, sig)
}

// freeze stops everything in a group, or at least asks for that: something may wait for a device.
func freeze(dir string) (asked bool) {
	const patience, look = 100 * time.Millisecond, time.Millisecond
	if putFile(filepath.Join(dir, "cgroup.freeze"), "1") != nil {
		return false
	}
	for end := time.Now().Add(patience); cgroupValue(dir, "cgroup.events", "frozen") == 0 && time.Now().Before(end); {
		time.Sleep(look)
	}
	return true
}

// signalEach sends a signal to processes until all have it that list names, also those that came meanwhile. It returns the first refusal.
func signalEach(list func() []int, sig process.Signal) (err error) {
	const rounds = 100 // of a tree that grows faster than it can be killed the rest is for the next signal
	done := map[int]bool{}
	for range rounds {
		fresh := false
		for _, pid := range list() {
			if done[pid] {
				continue
			}
			done[pid], fresh = true, true
			if refused := unix.Kill(pid, unix.Signal(sig)); refused != nil && refused != unix.ESRCH && err == nil {
				err = refused
			}
		}
		if !fresh {
			break
		}
	}
	return err
}

// kinOf returns the processes that were started by those with the pids, and by these, as long as nobody between has ended; and the members of the
// process groups that the first ones lead. The pids are among them if there are such processes.
func kinOf(pids ...int) (kin []int) {
	entries, _ := os.ReadDir("/proc") // without it there is no way
	var all []Stat
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if stat, err := ReadStat(pid); err == nil {
				all = append(all, stat)
			}
		}
	}
	in := map[int]bool{}
	for _, s := range all {
		in[s.PID] = slices.Contains(pids, s.PID) || slices.Contains(pids, s.Group)
	}
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			if !in[s.PID] && in[s.Parent] {
				in[s.PID], grown = true, true
			}
		}
	}
	for _, s := range all {
		if in[s.PID] {
			kin = append(kin, s.PID)
		}
	}
	return kin
}
