package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// errNonroot is what a daemon that is not root says to another user in its file.
var errNonroot = &usageError{"Can't drop privilege as nonroot user"}

// becomeUser switches to the configured user, by number, with the groups that list it (contract: daemon, "User switch"). Being that user
// already is enough.
func (s *supervisor) becomeUser(c config.Supervisord) error {
	if c.UID == process.UnsetID {
		return nil
	}
	if os.Getuid() != c.UID {
		if err := s.changeUser(c.UID); err != nil {
			return err
		}
	}
	s.infos = append(s.infos, fmt.Sprintf("Set uid to user %d succeeded", c.UID))
	return nil
}

func (s *supervisor) changeUser(uid int) error {
	if os.Getuid() != 0 {
		return errNonroot
	}
	gid, groups, ok := host.Account(uid)
	if !ok {
		return &usageError{fmt.Sprintf("Can't find uid %d", uid)}
	}
	if syscall.Setgroups(groups) != nil {
		return &usageError{"Could not set groups of effective user"}
	}
	if syscall.Setgid(gid) != nil {
		return &usageError{"Could not set group id of effective user"}
	}
	if err := syscall.Setuid(uid); err != nil {
		return &usageError{fmt.Sprintf("Could not set user id to %d: %v", uid, err)}
	}
	s.setup.UID, s.setup.GID, s.setup.Groups = uid, gid, groups
	return nil
}

// limit is one of the limits that the options minfds and minprocs are about.
type limit struct {
	resource int
	name     string
	refusal  string // takes the configured number and the hard limit
}

var limits = []limit{
	{unix.RLIMIT_NOFILE, "RLIMIT_NOFILE", "The minimum number of file descriptors required to run this process is %d as per the \"minfds\" command-line argument " +
		"or config file setting. The current environment will only allow you to open %d file descriptors.  Either raise the number of usable file " +
		"descriptors in your environment (see README.rst) or lower the minfds setting in the config file to allow the process to start."},
	{unix.RLIMIT_NPROC, "RLIMIT_NPROC", "The minimum number of available processes required to run this program is %d as per the \"minprocs\" command-line argument " +
		"or config file setting. The current environment will only allow you to open %d processes.  Either raise the number of usable processes in your " +
		"environment (see README.rst) or lower the minprocs setting in the config file to allow the program to start."},
}

// raiseLimits sees to it that minfds files and minprocs processes are allowed: to the daemon, as under Supervisor, and to its children
// (contract: daemon, "rlimits"). The hard limit is raised too where the soft one needs it and root may.
//
// The refusal names the hard limit, where Supervisor repeats what was asked for.
func (s *supervisor) raiseLimits(c config.Supervisord) error {
	for i, least := range []int{c.MinFDs, c.MinProcs} {
		l, want := limits[i], uint64(max(0, least))
		soft, hard, err := l.read()
		if err != nil {
			return err
		}
		if soft >= want {
			continue
		}
		// Of package syscall, which then stops to give children the limit that it found at its start.
		err = syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: want, Max: max(hard, want)})
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
			return &usageError{fmt.Sprintf(l.refusal, least, hard)}
		}
		if err != nil {
			return fmt.Errorf("cannot raise %s: %v", l.name, err)
		}
		s.setup.Limits = append(s.setup.Limits, host.Limit{Resource: l.resource, Soft: want, Hard: max(hard, want)})
		s.infos = append(s.infos, fmt.Sprintf("Increased %s limit to %d", l.name, least))
	}
	return nil
}

// read returns the limits that this process was started with.
func (l limit) read() (soft, hard uint64, err error) {
	if l.resource == unix.RLIMIT_NOFILE {
		return host.OriginalNofile()
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(l.resource, &now); err != nil {
		return 0, 0, fmt.Errorf("cannot read %s: %v", l.name, err)
	}
	return now.Cur, now.Max, nil
}
