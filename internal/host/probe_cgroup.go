package host

import (
	"fmt"
	"os"
	"path/filepath"
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
	dir, err := os.MkdirTemp(own, "graced-probe-")
	if err != nil {
		return outcome(err)
	}
	detail, ok = look(dir)
	if err := os.Remove(dir); err != nil {
		return outcome(err)
	}
	return detail, ok
}
