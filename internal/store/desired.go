package store

import (
	"fmt"
	"time"

	"github.com/graced/graced/internal/process"
)

// Override says that a program has another number of processes than its file says.
type Override struct {
	Group string    `json:"group"`
	Count int       `json:"count"`          // processes; 0 is a number like any other
	Nums  string    `json:"nums,omitempty"` // process_num of each: "0,2,3"
	Who   string    `json:"who"`
	When  time.Time `json:"when"` // set by the store where it is zero
	Note  string    `json:"note"`
}

func (o Override) key() string { return o.Group }

// SetOverride sets the override of o.Group, in place of one that there is. A negative count is ErrInvalid.
func (s *Store) SetOverride(o Override) error {
	return s.change(true, func() ([]record, error) {
		if err := checkName(process.Namespec{Group: o.Group}); err != nil {
			return nil, err
		}
		if o.Count < 0 {
			return nil, fmt.Errorf("%w: %s cannot have %d processes", ErrInvalid, o.Group, o.Count)
		}
		o.When = s.when(o.When)
		return one(s.overrides.set(o))
	})
}

// ClearOverride makes the file count again. It is no error where there is no override.
func (s *Store) ClearOverride(group string) error {
	return s.change(true, func() ([]record, error) {
		if _, ok := s.overrides.rows[group]; !ok {
			return nil, nil
		}
		return []record{s.overrides.gone(group)}, nil
	})
}

// Override returns the override of a group.
func (s *Store) Override(group string) (Override, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.overrides.rows[group]
	return r.value, ok
}

// Overrides returns all of them, in natural order of the groups.
func (s *Store) Overrides() []Override {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.overrides.values()
}

// MarkKind is what a mark says about a process.
type MarkKind string

// The kinds.
const (
	Hold    MarkKind = "hold"    // neither autostart, autorestart nor an update touch it
	Disable MarkKind = "disable" // it stays stopped, also after a restart of the daemon
	Enable  MarkKind = "enable"  // neither: takes the other two back
)

// Mark is the last word of a user about a process or about all processes of a group, also those that the group gets later. What is said about a
// group replaces what was said about its processes; what is said about a process after that counts for that process.
type Mark struct {
	Group   string    `json:"group"`
	Process string    `json:"process"` // "" = every process of the group
	Kind    MarkKind  `json:"kind"`
	Who     string    `json:"who"`
	When    time.Time `json:"when"` // set by the store where it is zero
	Note    string    `json:"note"`
}

// Name returns what the mark is about.
func (m Mark) Name() process.Namespec { return process.Namespec{Group: m.Group, Process: m.Process} }

func (m Mark) key() string {
	switch m.Kind {
	case Hold, Disable, Enable:
		return nameKey(m.Name())
	}
	return "" // a kind of mark that a newer program knows
}

// SetMark takes a mark over. With Enable nothing is left to say about the name, except about a process of a group that has a mark: there the Enable
// itself is kept as the exception.
func (s *Store) SetMark(m Mark) error {
	return s.change(true, func() ([]record, error) {
		if err := checkName(m.Name()); err != nil {
			return nil, err
		}
		if m.key() == "" {
			return nil, fmt.Errorf("%w: mark %q", ErrInvalid, m.Kind)
		}
		m.When = s.when(m.When)
		_, groupMarked := s.marks.rows[nameKey(process.Namespec{Group: m.Group})]
		var out []record
		if m.Process == "" {
			for _, old := range s.marks.values() {
				if old.Group == m.Group && old.Process != "" {
					out = append(out, s.marks.gone(old.key()))
				}
			}
		}
		_, marked := s.marks.rows[m.key()]
		switch {
		case m.Kind != Enable || m.Process != "" && groupMarked:
			set, err := s.marks.set(m)
			return append(out, set), err
		case marked:
			return append(out, s.marks.gone(m.key())), nil
		}
		return out, nil
	})
}

// Mark returns what counts for a name: the mark of the process or, where it has none, of its group; for a whole group the group's own. ok is false
// where nothing is held or disabled.
func (s *Store) Mark(name process.Namespec) (m Mark, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.marks.rows[nameKey(name)]
	if !ok {
		r, ok = s.marks.rows[nameKey(process.Namespec{Group: name.Group})]
	}
	if !ok || r.value.Kind == Enable {
		return Mark{}, false
	}
	return r.value, true
}

// Marks returns all marks as they were set, exceptions (Enable) included, in natural order of their names.
func (s *Store) Marks() []Mark {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.marks.values()
}

// RenameProcess gives the mark of one process to another name of the same process. What there was about the new name is replaced.
func (s *Store) RenameProcess(group, from, to string) error {
	return s.change(true, func() ([]record, error) {
		for _, name := range []string{from, to} {
			if err := checkName(process.Namespec{Group: group, Process: name}); err != nil || name == "" {
				return nil, fmt.Errorf("%w: cannot rename %q to %q in %q", ErrInvalid, from, to, group)
			}
		}
		if from == to {
			return nil, nil
		}
		var out []record
		key := nameKey(process.Namespec{Group: group, Process: from})
		if r, ok := s.marks.rows[key]; ok {
			r.value.Process = to
			moved, err := s.marks.update(key, r.value)
			if err != nil {
				return nil, err
			}
			out = append(out, moved, s.marks.gone(key))
		}
		return out, nil
	})
}

// nameKey is "group:process" or "group:*", never shorter; "" for a name that checkName refuses.
func nameKey(n process.Namespec) string {
	if checkName(n) != nil {
		return ""
	}
	if n.Process == "" {
		return n.Group + ":*"
	}
	return n.Group + ":" + n.Process
}

func one(r record, err error) ([]record, error) { return []record{r}, err }
