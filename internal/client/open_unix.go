//go:build unix

package client

import (
	"net"
	"syscall"
)

// isOpen reports whether an idle connection is of use: the other end has not closed it, and has sent nothing that was not asked for.
func isOpen(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Read(func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), make([]byte, 1)) // the descriptor never blocks
		open = err == syscall.EAGAIN
		return true
	})
	return open && err == nil
}
