package takeover

import "golang.org/x/sys/unix"

// older are the calls by which a program waits that newer architectures do not have.
var older = []int{unix.SYS_POLL, unix.SYS_SELECT}
