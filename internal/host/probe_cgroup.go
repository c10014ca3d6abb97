package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var cgroupProbes = []probe{
	{"cgroup2", "a process is stopped with all that it has started", "process groups and descendants: what leaves both is not reached", func() (string, bool) {
		dir, err := ownCgroup("/proc/self")
		return detailOr(dir, err)
	}},
	{"cgroup2_write", "a group of its own for each process", "process groups and descendants: what leaves both is not reached", func() (string, bool) {
		return inNewCgroup(func(string) (string, bool) { return "", true })
	}},
	{"cgroup2_kill", "a whole group killed at once", "one signal for each of its processes", func() (string, bool) {
		return inNewCgroup(func(dir string) (string, bool) {
			_, err := os.Stat(filepath.Join(dir, "cgroup.kill"))
			return outcome(err)
		})
	}},
	{"cgroup2_controllers", "limits of memory, processor and processes", "only the limits of each single process (rlimits)", func() (string, bool) {
		dir, err := ownCgroup("/proc/self")
		if err != nil {
			return outcome(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return outcome(err)
		}
		have := strings.Fields(string(text))
		for _, want := range []string{"cpu", "memory", "pids"} {
			if !strings.Contains(" "+strings.Join(have, " ")+" ", " "+want+" ") {
				return fmt.Sprintf("%s is not among them: %s", want, strings.Join(have, " ")), false
			}
		}
		return strings.Join(have, " "), true
	}},
}

func detailOr(detail string, err error) (string, bool) {
	if err != nil {
		return err.Error(), false
	}
	return detail, true
}

// ownCgroup returns the directory of the control group, version 2, that a process is in; proc is its directory below /proc.
func ownCgroup(proc string) (string, error) {
	groups, err := os.ReadFile(filepath.Join(proc, "cgroup"))
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return "", err
	}
	for group := range strings.Lines(string(groups)) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(group, "\n"), "0::")
		if !ok {
			continue
		}
		for mount := range strings.Lines(string(mounts)) {
			// 36 25 0:31 ROOT POINT options - TYPE ...
			before, after, _ := strings.Cut(mount, " - ")
			fields := strings.Fields(before)
			if !strings.HasPrefix(after, "cgroup2 ") || len(fields) < 5 {
				continue
			}
			below, inside := strings.CutPrefix(path, strings.TrimSuffix(fields[3], "/"))
			if inside {
				return filepath.Join(fields[4], below), nil
			}
		}
		return "", fmt.Errorf("control groups of version 2 are not mounted")
	}
	return "", fmt.Errorf("the kernel has no control groups of version 2")
}

// inNewCgroup looks at a group that is made for that, below the own one, and removed again.
func inNewCgroup(look func(dir string) (string, bool)) (detail string, ok bool) {
	own, err := ownCgroup("/proc/self")
	if err != nil {
		return outcome(err)
	}
	name, err := probeName()
	if err != nil {
		return outcome(err)
	}
	sweepProbes(own)
	dir, err := os.MkdirTemp(own, name)
	if err != nil {
		return outcome(err)
	}
	detail, ok = look(dir)
	if err := os.Remove(dir); err != nil {
		return outcome(err)
	}
	return detail, ok
}

// probePrefix begins the names of groups that are made to look at them. Behind it stand the pid namespace, the pid and the start of their maker.
const probePrefix = "graced-probe-"

// probeName is the beginning of the name of a group that this process makes for a look.
func probeName() (string, error) {
	space, err := pidSpace()
	if err != nil {
		return "", err
	}
	self, err := ReadStat(os.Getpid())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%s-%d-%d-", probePrefix, space, self.PID, self.StartTime), nil
}

// pidSpace is the number of the namespace that the pids of this process are of.
func pidSpace() (string, error) {
	link, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	_, number, _ := strings.Cut(strings.TrimSuffix(link, "]"), "[")
	return number, nil
}

// sweepProbes removes what those have left who were killed while they looked. Whether the maker is gone can be said of this namespace alone; the kernel
// keeps what a process is in, or another group.
func sweepProbes(dir string) {
	space, err := pidSpace()
	if err != nil {
		return
	}
	list, _ := filepath.Glob(filepath.Join(dir, probePrefix+space+"-*")) // the pattern is good
	for _, path := range list {
		words := strings.Split(strings.TrimPrefix(filepath.Base(path), probePrefix+space+"-"), "-")
		if len(words) != 3 {
			continue
		}
		pid, err1 := strconv.Atoi(words[0])
		start, err2 := strconv.ParseUint(words[1], 10, 64)
		if errors.Join(err1, err2) != nil {
			continue
		}
		maker, err := ReadStat(pid)
		if errors.Is(err, ErrGone) || err == nil && (maker.StartTime != start || maker.State == 'Z' || maker.State == 'X') {
			_ = os.Remove(path) // the next start tries again
		}
	}
}
