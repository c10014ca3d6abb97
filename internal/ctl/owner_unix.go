//go:build unix

package ctl

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// describeOwner tells whose a file is: "root:ops 0770".
func describeOwner(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Sprintf("of mode %04o", info.Mode().Perm()), nil
	}
	return fmt.Sprintf("%s:%s %04o", userName(int(stat.Uid)), groupName(int(stat.Gid)), info.Mode().Perm()), nil
}

// describeUser tells who asks: "anna (groups anna, dev)".
func describeUser() string {
	text := userName(os.Geteuid())
	ids, err := os.Getgroups()
	if err != nil || len(ids) == 0 {
		return text
	}
	var names []string
	for _, id := range ids {
		names = append(names, groupName(id))
	}
	return text + " (groups " + strings.Join(names, ", ") + ")"
}

// userName is the name of a user, the number where there is none.
func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return strconv.Itoa(id)
}

func groupName(id int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(id)); err == nil {
		return g.Name
	}
	return strconv.Itoa(id)
}
