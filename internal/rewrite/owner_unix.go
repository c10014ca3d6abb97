//go:build unix

package rewrite

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

// names counts the names of a file.
func names(of os.FileInfo) int {
	if st, ok := of.Sys().(*syscall.Stat_t); ok {
		return int(st.Nlink)
	}
	return 1
}
