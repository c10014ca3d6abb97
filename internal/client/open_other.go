//go:build !unix

package client

import "net"

// isOpen reports whether an idle connection is of use. Where nothing can look at it without waiting, it is taken for one; a request on a
// closed connection fails.
func isOpen(net.Conn) bool { return true }
