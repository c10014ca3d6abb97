package core

import (
	"maps"
	"slices"

	"github.com/graced/graced/internal/process"
)

// Mark is what a user has said about a process, or about all of a group.
type Mark int

// The marks.
const (
	Free     Mark = iota
	Held          // left as it is: it neither starts by itself nor is it changed by an update
	Disabled      // does not start when it is added, as if autostart were false
)

// SetMark marks one process or, with a target of a whole group, all that it has and gets. A mark of a process beats that of its group, Free too.
type SetMark struct {
	Target Target
	Mark   Mark
}

func (SetMark) verb() {}

// setMark carries out a SetMark.
func (s *Supervisor) setMark(do SetMark) *Fault {
	list, _, f := s.find(do.Target)
	if f != nil {
		return f
	}
	name := process.Namespec{Group: do.Target.Group, Process: do.Target.Process}
	if do.Target.Process == "" {
		maps.DeleteFunc(s.marks, func(n process.Namespec, _ Mark) bool { return n.Group == do.Target.Group }) // also of those that have gone
	}
	if do.Mark == Free && (do.Target.Process == "" || s.marks[process.Namespec{Group: name.Group}] == Free) {
		delete(s.marks, name)
	} else {
		s.marks[name] = do.Mark
	}
	for _, p := range list {
		if s.mark(p) == Held || s.mark(p) == Disabled && !p.anew {
			s.unwait(p, AbnormalTermination)
		}
		if s.mark(p) == Held && p.restarting() {
			s.unplan(p)
		}
		if s.mark(p) == Held {
			s.leaveHeld(p)
		}
	}
	s.revision++
	s.shift()
	return nil
}

// leaveHeld takes a process that is held by now out of the line in which it waits for other settings. It goes back to what it had all the same.
func (s *Supervisor) leaveHeld(p *proc) {
	for st := p.step; st != nil; st = st.below() {
		if l := st.line; st.waits && l != nil && !st.undo && len(process.Changes(*p.spec, st.change.Spec)) > 0 {
			l.waiting = slices.DeleteFunc(l.waiting, func(w *step) bool { return w == st })
			s.skip([]*step{st}, &Fault{Kind: LeftOut, Text: "left as it was, since it is held"})
			return
		}
	}
}

// mark returns what counts for a process.
func (s *Supervisor) mark(p *proc) Mark {
	if m, ok := s.marks[p.namespec()]; ok {
		return m
	}
	return s.marks[process.Namespec{Group: p.group.name()}]
}

// Marks returns all marks, those of whole groups by a name without a process.
func (s *Supervisor) Marks() map[process.Namespec]Mark {
	out := make(map[process.Namespec]Mark, len(s.marks))
	for name, m := range s.marks {
		out[name] = m
	}
	return out
}

// MarkOf returns the mark that counts for a process.
func (s *Supervisor) MarkOf(id process.ID) Mark {
	if p := s.procs[id]; p != nil {
		return s.mark(p)
	}
	return Free
}
