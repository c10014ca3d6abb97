//go:build unix

package ctl

import (
	"os"
	"syscall"
)

// keepOwner gives a file the owner of another.
func keepOwner(path string, of os.FileInfo) error {
	st, ok := of.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Getuid() && int(st.Gid) == os.Getgid() {
		return nil
	}
	return os.Chown(path, int(st.Uid), int(st.Gid))
}
