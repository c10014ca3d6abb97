package childlog

import (
	"io/fs"
	"sync"
)

// maxOpen bounds the descriptors that idle logs keep open: a thousand quiet processes need no two thousand files. The least
// recently used one is closed and opened again when its process speaks.
const maxOpen = 512

// targetSet holds the targets in use by path and the order in which the open ones were used.
type targetSet struct {
	mu     sync.Mutex
	byPath map[string]*target
	max    int
	open   int
	ring   target // sentinel: ring.next is the most recently used
}

// shared is the set of this daemon: a file has one owner, however many streams name it.
var shared = newTargetSet(maxOpen)

func newTargetSet(max int) *targetSet {
	s := &targetSet{byPath: map[string]*target{}, max: max}
	s.ring.prev, s.ring.next = &s.ring, &s.ring
	return s
}

// get returns the target of an absolute path; each get needs a put.
func (s *targetSet) get(path string, mode fs.FileMode) *target {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byPath[path]
	if t == nil {
		t = &target{set: s, path: path, mode: mode, fd: -1}
		s.byPath[path] = t
	}
	t.users++
	return t
}

func (s *targetSet) put(t *target) {
	s.mu.Lock()
	t.users--
	gone := t.users == 0
	if gone {
		delete(s.byPath, t.path)
	}
	s.mu.Unlock()
	if gone {
		t.mu.Lock()
		t.closeDescriptor()
		t.mu.Unlock()
	}
}

// opened, touch and closed keep the order; the caller holds t.mu.
func (s *targetSet) opened(t *target) {
	s.mu.Lock()
	s.link(t)
	s.open++
	full := s.open > s.max
	s.mu.Unlock()
	if full {
		s.closeIdle(t)
	}
}

// closeIdle closes the descriptor that was not used for the longest time, but not that of t; false = there is none to close.
func (s *targetSet) closeIdle(t *target) bool {
	s.mu.Lock()
	var victim *target
	// Never wait for another target's lock while holding one: a busy target is not idle anyway.
	for v := s.ring.prev; v != &s.ring; v = v.prev {
		if v != t && v.mu.TryLock() {
			victim = v
			break
		}
	}
	s.mu.Unlock()
	if victim == nil {
		return false
	}
	victim.closeDescriptor()
	victim.mu.Unlock()
	return true
}

func (s *targetSet) touch(t *target) {
	s.mu.Lock()
	if s.ring.next != t {
		s.unlink(t)
		s.link(t)
	}
	s.mu.Unlock()
}

func (s *targetSet) closed(t *target) {
	s.mu.Lock()
	s.unlink(t)
	s.open--
	s.mu.Unlock()
}

func (s *targetSet) link(t *target) {
	t.prev, t.next = &s.ring, s.ring.next
	t.prev.next, t.next.prev = t, t
}

func (s *targetSet) unlink(t *target) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}
