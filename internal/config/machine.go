package config

import (
	"errors"
	"strconv"
	"strings"
)

// Machine is what loading asks of the world. Every function must be set; none is called concurrently by this package.
type Machine struct {
	ReadFile  func(path string) ([]byte, error)    // as os.ReadFile; a missing file answers fs.ErrNotExist
	ReadDir   func(path string) ([]string, error)  // the names in a directory, without . and .., in any order
	Exists    func(path string) bool               // something has that name, a dangling link included
	DirExists func(path string) bool               // a directory, links followed
	Stat      func(path string) (FileInfo, error)  // links followed; only Check asks, for Load it may be nil
	User      func(name string) (User, error)      // by name, or by number if name is a decimal number
	Group     func(name string) (gid int, e error) // by name, or by number if name is a decimal number
	Home      func(user string) (string, error)    // the home directory of a user; "" = the user we run as

	CPUs     int      // processors that we may run on; 0 counts as 1
	UID      int      // the account we run as
	Hostname string   // the node name, without domain additions
	Environ  []string // KEY=value
	Dir      string   // the working directory, absolute
	TempDir  string   // where temporary files go: the default of childlogdir
}

// FileInfo is what Check wants to know of a file.
type FileInfo struct {
	Dir      bool
	Mode     int // permission bits, e.g. 0o644
	UID, GID int
}

// User is an account of the machine.
type User struct {
	Name string
	UID  int
	GID  int // the primary group
}

// getenv returns the last value of a variable in m.Environ.
func (m Machine) getenv(key string) (string, bool) {
	for i := len(m.Environ) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(m.Environ[i], "="); ok && k == key {
			return v, true
		}
	}
	return "", false
}

// lookupUser finds an account by name or number (contract: config, "Value types", user).
func (m Machine) lookupUser(name string) (User, error) {
	id, err := parseInt(name, 10)
	if err != nil {
		u, err := m.User(name)
		if err != nil {
			return User{}, &valueError{"Invalid user name " + name, "name a user of this machine, or give its number"}
		}
		return u, nil
	}
	u, err := m.User(strconv.FormatInt(id, 10))
	if err != nil {
		return User{}, &valueError{"Invalid user id " + name, "give the number or the name of a user of this machine"}
	}
	return u, nil
}

// lookupOwner resolves user[:group] to ids; without a group gid is -1, which means "unchanged".
func (m Machine) lookupOwner(s string) (uid, gid int, err error) {
	user, group, hasGroup := strings.Cut(s, ":")
	u, err := m.lookupUser(user)
	if err != nil {
		return 0, 0, err
	}
	if !hasGroup {
		return u.UID, -1, nil
	}
	if id, err := parseInt(group, 10); err == nil {
		group = strconv.FormatInt(id, 10)
	}
	gid, err = m.Group(group)
	if err != nil {
		return 0, 0, errors.New("Invalid group " + group)
	}
	return u.UID, gid, nil
}
