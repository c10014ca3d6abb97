//go:build !unix

package ctl

import (
	"fmt"
	"os"
	"os/user"
)

// describeOwner tells what may be done with a file.
func describeOwner(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("of mode %04o", info.Mode().Perm()), nil
}

// describeUser tells who asks.
func describeUser() string {
	u, err := user.Current()
	if err != nil {
		return "somebody"
	}
	return u.Username
}
