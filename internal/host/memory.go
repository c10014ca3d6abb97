package host

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory returns a descriptor of a file that is nowhere but in memory or, where there is no such thing, of one without a name in the directory for
// temporary files.
func Memory(name string) (fd int, err error) {
	if !Disabled("memfd_create") {
		if fd, err = unix.MemfdCreate("graced "+name, unix.MFD_CLOEXEC); err == nil {
			return fd, nil
		}
	}
	f, err := os.CreateTemp("", "graced-")
	if err != nil {
		return -1, fmt.Errorf("cannot make memory for the %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // its copy stays
	if err := os.Remove(f.Name()); err != nil {
		return -1, err
	}
	if fd = dup(int(f.Fd())); fd < 0 {
		return -1, unix.EMFILE
	}
	return fd, nil
}
