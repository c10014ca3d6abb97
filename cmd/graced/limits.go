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

// becomeUser switches to the configured user, by number, with the groups that list it (contract: daemon, "User switch"). Being that user
// already is enough.
func (s *supervisor) becomeUser(c config.Supervisord) error {
	if c.UID == process.UnsetID || os.Getuid() == c.UID {
		return nil
	}
	if os.Getuid() != 0 {
		return &usageError{"Can't drop privilege as nonroot user"}
	}
	gid, groups, ok := host.Account(c.UID)
	if !ok {
		return &usageError{fmt.Sprintf("Can't find uid %d", c.UID)}
	}
	if syscall.Setgroups(groups) != nil {
		return &usageError{"Could not set groups of effective user"}
	}
	if syscall.Setgid(gid) != nil {
		return &usageError{"Could not set group id of effective user"}
	}
	if err := syscall.Setuid(c.UID); err != nil {
		return &usageError{fmt.Sprintf("Could not set user id to %d: %v", c.UID, err)}
	}
	s.infos = append(s.infos, fmt.Sprintf("Set uid to user %d succeeded", c.UID))
	return nil
}

// checkLimits sees to it that minfds files and minprocs processes are allowed, raising limits where it may (contract: daemon, "rlimits").
// The limit of files of the children is the host's to set.
func (s *supervisor) checkLimits(c config.Supervisord) error {
	for _, l := range []struct {
		resource   int
		name       string
		min        int
		need, open string
	}{
		{unix.RLIMIT_NOFILE, "RLIMIT_NOFILE", c.MinFDs, "file descriptors required to run this process is %d as per the \"minfds\"", "file descriptors"},
		{unix.RLIMIT_NPROC, "RLIMIT_NPROC", c.MinProcs, "available processes required to run this program is %d as per the \"minprocs\"", "processes"},
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.resource, &now); err != nil {
			return fmt.Errorf("cannot read %s: %v", l.name, err)
		}
		want := uint64(max(0, l.min))
		if l.resource == unix.RLIMIT_NOFILE {
			if soft, _, err := host.OriginalNofile(); err == nil && soft < want {
				s.infos = append(s.infos, fmt.Sprintf("Increased %s limit to %d", l.name, l.min))
			}
		}
		if now.Cur >= want {
			continue
		}
		err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: want, Max: max(now.Max, want)})
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
			return &usageError{fmt.Sprintf("The minimum number of "+l.need+" command-line argument or config file setting. The current environment "+
				"will only allow you to open %d %s.  Either raise the limit in your environment or lower the setting in the config file.", l.min, now.Max, l.open)}
		}
		if err != nil {
			return fmt.Errorf("cannot raise %s: %v", l.name, err)
		}
		s.infos = append(s.infos, fmt.Sprintf("Increased %s limit to %d", l.name, l.min))
	}
	return nil
}
