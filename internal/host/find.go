package host

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// There is a process that nobody's daemon cares for, and this daemon's ends of its pipes: of one that has lost its keeper and daemon at once, or
// of another supervisor. Whoever makes one closes it, unless it is given to Resume.
type There struct {
	Identity
	Pidfd int
	// Standard input to write, output and error to read; -1 = none.
	Fds [3]int
	place
}

// Traits returns what the process can be found again by.
func (t *There) Traits() Traits {
	return Traits{Start: t.StartTime, Pipes: [3]uint64{inode(t.Fds[0]), inode(t.Fds[1]), inode(t.Fds[2])}, Cgroup: t.cgroup}
}

// Close closes what it holds.
func (t *There) Close() {
	closeAll(t.Fds[:])
	closeAll([]int{t.Pidfd})
}

// Find looks for a process that was started with these traits, and opens its pipes anew. The error is ErrGone when there is none any more.
func Find(pid int, is Traits) (*There, error) {
	id, err := Identify(pid)
	if err != nil {
		return nil, err
	}
	if is.Start == 0 || id.StartTime != is.Start {
		return nil, ErrGone
	}
	f, err := OpenForeign(id)
	if err != nil {
		return nil, err
	}
	if Disabled("proc_other") && ownerOf(pid) != os.Geteuid() {
		f.Close()
		return nil, unix.EACCES
	}
	t := &There{Identity: id, Pidfd: f.Pidfd, Fds: [3]int{-1, -1, -1}}
	if dir, err := ownCgroup("/proc/" + strconv.Itoa(pid)); err == nil && dir == is.Cgroup {
		t.cgroup = dir
	}
	for i, n := range is.Pipes {
		if n == 0 {
			continue
		}
		flags := unix.O_RDONLY
		if i == 0 {
			flags = unix.O_WRONLY
		}
		// What it does not hold any more it has closed: nothing can come or go there.
		if fd, err := openPipe(pid, n, flags); err == nil {
			t.Fds[i] = fd
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Close()
			return nil, err
		}
	}
	if _, how := f.Ended(); how != Alive {
		t.Close()
		return nil, ErrGone
	}
	return t, nil
}

// ownerOf returns the user of a process, -1 if there is none.
func ownerOf(pid int) int {
	var st unix.Stat_t
	if unix.Stat("/proc/"+strconv.Itoa(pid), &st) != nil {
		return -1
	}
	return int(st.Uid)
}

// openPipe opens a pipe that a process holds, whatever the number is there.
func openPipe(pid int, inode uint64, flags int) (int, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return -1, err
	}
	name := "pipe:[" + strconv.FormatUint(inode, 10) + "]"
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		to, err := os.Readlink(path)
		if errors.Is(err, os.ErrPermission) {
			return -1, err // without its pipes it would die of its next line
		}
		if err != nil || to != name {
			continue
		}
		return unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	return -1, os.ErrNotExist
}

// holders finds the processes, other than this one, that hold pipes, by the inodes of these. It looks at everything in one pass. What a process has started
// may hold its pipes as well: it is the first one that is found.
func holders() map[uint64]Stat {
	all := map[uint64][]Stat{}
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd") // the pattern is good
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if pid == os.Getpid() {
			continue
		}
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // it has ended, or is another user's
		}
		pipes := map[uint64]bool{}
		for _, fd := range fds {
			to, err := os.Readlink(filepath.Join(dir, fd.Name()))
			text, isPipe := strings.CutPrefix(to, "pipe:[")
			if err != nil || !isPipe {
				continue
			}
			if n, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); err == nil {
				pipes[n] = true
			}
		}
		if len(pipes) == 0 {
			continue
		}
		if stat, err := ReadStat(pid); err == nil {
			for n := range pipes {
				all[n] = append(all[n], stat)
			}
		}
	}
	found := map[uint64]Stat{}
	for n, list := range all {
		found[n] = eldest(list)
	}
	return found
}

// eldest returns the process that the others descend from. An orphan has none of them as its parent, but seldom leads a group, which who was started for
// itself does; what is left is told by their age.
func eldest(list []Stat) Stat {
	pids := map[int]bool{}
	for _, s := range list {
		pids[s.PID] = true
	}
	later := func(s Stat) int {
		n := 0
		if pids[s.Parent] {
			n += 2
		}
		if s.Group != s.PID {
			n++
		}
		return n
	}
	return slices.MinFunc(list, func(a, b Stat) int {
		return cmp.Or(cmp.Compare(later(a), later(b)), cmp.Compare(a.StartTime, b.StartTime), cmp.Compare(a.PID, b.PID))
	})
}

// FindStarted looks for a process that was started as a member of a group, not before a moment, and whose pid nobody has learnt: keeper and daemon were
// killed before. Its environment tells who it is, and whose: url is the daemon's address there, "" = it has none. It has become the child of an ancestor
// of this process. redirected: its standard error is its standard output. The error is ErrGone when there is none.
func FindStarted(group, name, url string, since time.Time, redirected bool) (*There, error) {
	const slack = time.Second // of a clock that was set a little, and of the tick that a start is rounded to
	is := func(pid int) bool {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		words := strings.Split(string(environ), "\x00")
		ours := !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, serverVariable) && w != serverVariable+url }) &&
			(url == "" || slices.Contains(words, serverVariable+url))
		return err == nil && ours && slices.Contains(words, "SUPERVISOR_PROCESS_NAME="+name) && slices.Contains(words, "SUPERVISOR_GROUP_NAME="+group)
	}
	for _, stat := range orphans(since.Add(-slack)) {
		pid := stat.PID
		if !is(pid) || is(stat.Parent) {
			continue
		}
		traits := Traits{Start: stat.StartTime}
		for i := range 3 {
			if i < 2 || !redirected {
				traits.Pipes[i] = pipeOf(pid, i)
			}
		}
		var err error
		if traits.Cgroup, err = ownCgroup("/proc/" + strconv.Itoa(pid)); err == nil && !strings.Contains(traits.Cgroup, "/"+cgroupPrefix) {
			traits.Cgroup = ""
		}
		return Find(pid, traits)
	}
	return nil, ErrGone
}

// serverVariable is what tells a process the address of its daemon.
const serverVariable = "SUPERVISOR_SERVER_URL="

// AwaitForks waits, for a moment at most, until nothing is left that keepers have forked since a moment and that is no other program yet: it would not
// be known by FindStarted.
func AwaitForks(since time.Time) {
	const patience, look = 2 * time.Second, 5 * time.Millisecond
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return
	}
	unborn := func(s Stat) bool {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/exe", s.PID))
		return err == nil && os.SameFile(own, info)
	}
	for end := time.Now().Add(patience); slices.ContainsFunc(orphans(since), unborn) && time.Now().Before(end); {
		time.Sleep(look)
	}
}

// orphans returns the children of ancestors of this process that were started after a moment, but for ancestors.
func orphans(since time.Time) (list []Stat) {
	ancestors := ancestors()
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		stat, err := ReadStat(pid)
		if err == nil && ancestors[stat.Parent] && !ancestors[pid] && pid != os.Getpid() && !startedAt(stat.StartTime).Before(since) {
			list = append(list, stat)
		}
	}
	return list
}

// ancestors returns the processes that this one descends from.
func ancestors() map[int]bool {
	out := map[int]bool{1: true}
	for pid := os.Getppid(); pid > 0 && !out[pid]; {
		out[pid] = true
		stat, err := ReadStat(pid)
		if err != nil {
			break
		}
		pid = stat.Parent
	}
	return out
}

// startedAt returns the time of day of a moment in clock ticks since boot, which Linux counts a hundred of in a second for user space.
func startedAt(ticks uint64) time.Time {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // it cannot fail
	return time.Now().Add(time.Duration(ticks)*10*time.Millisecond - time.Duration(now.Nano()))
}

// pipeOf returns the inode of the pipe that a process has as a descriptor, 0 if that is none.
func pipeOf(pid, fd int) uint64 {
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	text, ok := strings.CutPrefix(to, "pipe:[")
	if err != nil || !ok {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64) // 0 if it is none
	return n
}
