package core

import "github.com/graced/graced/internal/process"

// fell takes notice of the end of a process that does not start again by itself. That of an essential one is the end of everything, unless somebody
// wanted it to end or to be left alone.
func (s *Supervisor) fell(p *proc) {
	e := p.spec.Essential
	switch {
	case p.extra: // the others do its work
	case e == process.EssentialNot || e == process.EssentialFatal && p.state != process.Fatal:
	case s.quitting() || p.fate != stays || p.lastly || s.mark(p) == Held:
	default:
		s.pend(&p.fallen, true)
	}
}

// lookAtFallen stops everything when an essential process has fallen that nobody is about to start again.
func (s *Supervisor) lookAtFallen() {
	if s.quitting() {
		return
	}
	for _, p := range s.pended(func(p *proc) bool { return p.fallen && p.step == nil && !p.gated }) {
		code := p.finalCode()
		s.publish(EssentialEnded{Group: p.group.name(), Name: p.name, State: p.state, Status: p.last, HasStatus: p.hasLast, Code: code})
		s.begin(false)
		s.quit.code = code
		return
	}
}

// finalCode is the exit code of the daemon that follows from the end of a process. To be given up is a failure, whatever the last exit code was.
func (p *proc) finalCode() int {
	code := 1
	if p.hasLast {
		code = p.last.Shell()
	}
	if p.state == process.Fatal && code == 0 {
		code = 1
	}
	return code
}
