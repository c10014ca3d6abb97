package web

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// reserve is a descriptor that is kept for one connection: a daemon that has no other left can be asked why, and told to stop something.
type reserve struct {
	mu   sync.Mutex
	file *os.File // nil: given up, and not got back yet
}

// take gets it, if it is not there.
func (r *reserve) take() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		r.file, _ = os.Open(os.DevNull) // it is tried again
	}
}

// give gives it up, and reports whether it was there.
func (r *reserve) give() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return false
	}
	_ = r.file.Close() // nothing was written
	r.file = nil
	return true
}

// reserved is a listener that accepts once more, with the reserve, where there are no descriptors.
type reserved struct {
	net.Listener
	reserve *reserve
}

func (l reserved) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if !errors.Is(err, syscall.EMFILE) {
		return c, err
	}
	l.reserve.take() // a connection before may have had it
	if !l.reserve.give() {
		return nil, err
	}
	return l.Listener.Accept()
}
