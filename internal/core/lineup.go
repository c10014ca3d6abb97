package core

import "github.com/graced/graced/internal/process"

// Replacements of one update follow what depends on what: a line does not begin before the lines are over that it depends on.

// lineUp has each line wait for the others that its processes are going to depend on. Groups may depend on one another in a circle, where their
// processes do not: the line that comes first waits for the others then, and not they for it.
func (s *Supervisor) lineUp(lines []*line) {
	state := map[*line]int{} // 1: being visited; 2: over
	var visit func(l *line)
	visit = func(l *line) {
		state[l] = 1
		for _, k := range s.leadsTo(l) {
			if state[k] == 0 {
				visit(k)
			}
			if state[k] == 2 {
				l.after = append(l.after, k)
			}
		}
		state[l] = 2
	}
	for _, l := range lines {
		if state[l] == 0 {
			visit(l)
		}
	}
}

// leadsTo returns the lines that the processes of a line are going to depend on, also by way of others that no line has to do with.
func (s *Supervisor) leadsTo(l *line) (lines []*line) {
	seen, known := map[*proc]bool{}, map[*line]bool{l: true}
	var visit func(list []process.Dependency)
	visit = func(list []process.Dependency) {
		for _, d := range list {
			s.each(d, func(p *proc) {
				if seen[p] {
					return
				}
				seen[p] = true
				if p.step == nil || p.step.line == nil {
					visit(p.spec.DependsOn)
					return
				}
				if k := p.step.line; !known[k] {
					known[k] = true
					lines = append(lines, k)
				}
			})
		}
	}
	for _, st := range l.waiting {
		visit(st.change.Spec.DependsOn)
	}
	return lines
}

// behind reports whether a line has to wait for others, and because of which process it cannot begin any more, since it has failed in one of these.
func (l *line) behind() (failed string, waits bool) {
	if l.undoing {
		return "", false
	}
	for _, k := range l.after {
		if k.cause != "" && k.roll.OnFailure != process.RollPause {
			return k.cause, true
		}
		waits = waits || len(k.waiting)+len(k.busy) > 0
	}
	return "", waits
}

// leaveOut leaves all as it is that waits in a line, since a process has failed that it depends on.
func (s *Supervisor) leaveOut(l *line, failed string) {
	l.cause = failed
	how := "failed"
	for _, k := range l.after {
		if g := s.named[k.group]; g != nil && k.cause == failed && g.byName[failed] != nil && g.byName[failed].taken() {
			how = "was stopped"
		}
	}
	s.skip(l.empty(), &Fault{Kind: Cancelled, Text: "left as it was, since " + failed + ", which it depends on, " + how})
}

// taken reports whether somebody has stopped a process.
func (p *proc) taken() bool {
	return p.reason == ReasonStop && (p.state == process.Stopping || p.state == process.Stopped)
}

// early reports whether a process that works is not to be replaced yet: something that it is going to depend on is being added by the same operation.
func (s *Supervisor) early(st *step) (early bool) {
	if st.undo || !st.proc.ready() {
		return false
	}
	for _, d := range st.change.Spec.DependsOn {
		if g := s.named[d.Name.Group]; g != nil && g.endOp == st.op && g.successor != nil {
			return true
		}
		s.each(d, func(p *proc) {
			early = early || p.step != nil && p.step.op == st.op && p.step.line == nil && p.step.brings() && p.standing(d.On) != holds
		})
	}
	return early
}

// vain says why a process that works is not taken from its work: its next life would wait for something that does not come.
func (s *Supervisor) vain(st *step) *Fault {
	if st.undo || !st.proc.ready() {
		return nil
	}
	if is, text := s.unmet(st.change.Spec.DependsOn, false); is == stuck {
		return &Fault{Kind: Failed, Text: "left as it was, since its next life " + text}
	}
	return nil
}

// inSteps brings steps into the order that their processes are in.
func inSteps(steps []*step, order func([]*proc) []*proc) []*step {
	of, list := make(map[*proc]*step, len(steps)), make([]*proc, len(steps))
	for i, st := range steps {
		of[st.proc], list[i] = st, st.proc
	}
	out := make([]*step, len(steps))
	for i, p := range order(list) {
		out[i] = of[p]
	}
	return out
}

// waitsOn gives a process that waits for what it depends on its new settings, with which it goes on waiting.
func (s *Supervisor) waitsOn(st *step) {
	s.renew(st)
	s.over(st, nil)
}
