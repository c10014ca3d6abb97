package takeover

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/host"
	"golang.org/x/sys/unix"
)

// procPath returns the path of a process's file in /proc.
func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// names returns what is in a directory, in any order.
func names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// descriptors returns what a process has open: descriptor → what its link says, e.g. "pipe:[4711]".
func descriptors(pid int) (map[int]string, error) {
	names, err := names(procPath(pid, "fd"))
	if err != nil {
		return nil, err
	}
	open := map[int]string{}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		target, err := os.Readlink(procPath(pid, "fd/"+name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		open[fd] = target
	}
	return open, nil
}

// inode reads a link like "pipe:[4711]"; it returns 0 if it is one of another kind.
func inode(target, kind string) uint64 {
	s, ok := strings.CutPrefix(target, kind+":[")
	if !ok {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64)
	return n
}

// access returns with which right a process has a descriptor open: unix.O_RDONLY, O_WRONLY or O_RDWR.
func access(pid, fd int) (int, error) {
	info, err := fields(pid, "fdinfo/"+strconv.Itoa(fd))
	if err != nil {
		return 0, err
	}
	flags, err := strconv.ParseInt(info["flags"], 8, 0)
	if err != nil {
		return 0, fmt.Errorf("cannot read the flags of descriptor %d of process %d: %v", fd, pid, err)
	}
	return int(flags) & unix.O_ACCMODE, nil
}

// fields reads a file of lines "Name: value".
func fields(pid int, name string) (map[string]string, error) {
	data, err := os.ReadFile(procPath(pid, name))
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			m[key] = strings.TrimSpace(value)
		}
	}
	return m, nil
}

// everybody returns all processes of the machine.
func everybody() (map[int]host.Stat, error) {
	names, err := names("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]host.Stat{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := host.ReadStat(pid)
		if errors.Is(err, host.ErrGone) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[pid] = stat
	}
	return all, nil
}

// childrenOf returns the children of a process in the order of their pids.
func childrenOf(pid int, all map[int]host.Stat) []host.Stat {
	var children []host.Stat
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if all[p].Parent == pid {
			children = append(children, all[p])
		}
	}
	return children
}

// families tells for each process of whose family it is: the index of the child that it descends from, or in whose process group it is, since a child
// leads a group of its own that outlives what was in between. Other processes have no family.
func families(children []int, all map[int]host.Stat) map[int]int {
	family := map[int]int{}
	for i, pid := range children {
		family[pid] = i
	}
	var of func(pid, depth int) (int, bool)
	of = func(pid, depth int) (int, bool) {
		if i, ok := family[pid]; ok {
			return i, true
		}
		stat, ok := all[pid]
		if !ok || depth > len(all) {
			return 0, false
		}
		if i := slices.Index(children, stat.Group); i >= 0 {
			return i, true
		}
		return of(stat.Parent, depth+1)
	}
	for pid := range all {
		if i, ok := of(pid, 0); ok {
			family[pid] = i
		}
	}
	return family
}
