// Package machine answers what package config asks of the world: files, accounts, environment, host name.
//
// It owns no state and decides nothing. It imports config for the shape of the questions; only the mains import it.
package machine

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"

	"github.com/graced/graced/internal/config"
)

// New returns the machine we run on. The host name, environment and working directory are those of this moment; everything else is
// looked up when asked.
func New() (config.Machine, error) {
	dir, err := os.Getwd()
	if err != nil {
		return config.Machine{}, fmt.Errorf("cannot find the working directory: %v", err)
	}
	hostname, err := os.Hostname()
	if err != nil {
		return config.Machine{}, fmt.Errorf("cannot find the host name: %v", err)
	}
	return config.Machine{
		ReadFile: os.ReadFile,
		ReadDir:  readDir,
		Exists: func(path string) bool {
			_, err := os.Lstat(path)
			return err == nil
		},
		DirExists: func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.IsDir()
		},
		Stat:     stat,
		User:     lookUpUser,
		Group:    lookUpGroup,
		Home:     home,
		CPUs:     runtime.NumCPU(),
		UID:      os.Getuid(),
		Hostname: hostname,
		Environ:  os.Environ(),
		Dir:      dir,
		TempDir:  os.TempDir(),
	}, nil
}

func stat(path string) (config.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return config.FileInfo{}, err
	}
	out := config.FileInfo{Dir: info.IsDir(), Mode: int(info.Mode().Perm())}
	out.UID, out.GID = owner(info)
	return out, nil
}

func readDir(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

// lookUpUser finds an account by name, or by number if name is one.
func lookUpUser(name string) (config.User, error) {
	find := user.Lookup
	if isNumber(name) {
		find = user.LookupId
	}
	u, err := find(name)
	if err != nil {
		return config.User{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return config.User{}, fmt.Errorf("cannot use account %s: its user id is %q", name, u.Uid)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return config.User{}, fmt.Errorf("cannot use account %s: its group id is %q", name, u.Gid)
	}
	return config.User{Name: u.Username, UID: uid, GID: gid}, nil
}

func lookUpGroup(name string) (int, error) {
	find := user.LookupGroup
	if isNumber(name) {
		find = user.LookupGroupId
	}
	g, err := find(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// home returns the home directory that the accounts file names; "" is the account we run under.
func home(name string) (string, error) {
	if name == "" {
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		return u.HomeDir, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.HomeDir, nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}
