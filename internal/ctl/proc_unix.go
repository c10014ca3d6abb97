//go:build unix

package ctl

import (
	"errors"
	"syscall"
)

// readProc reads a small file of /proc in as few calls as can be: package os prepares each file for waiting, which a hundred of them make slow.
func readProc(path string) (string, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	var buf [1024]byte
	n, err := syscall.Read(fd, buf[:])
	return string(buf[:max(n, 0)]), errors.Join(err, syscall.Close(fd))
}
