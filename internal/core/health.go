package core

import (
	"slices"

	"github.com/graced/graced/internal/process"
)

// ready reports whether the process is at work: it is RUNNING and, where somebody looks, was found ready. Where post_ready counts it has succeeded.
func (p *proc) ready() bool { return p.readyBy(p.spec) }

func (p *proc) readyBy(spec *process.Spec) bool {
	return p.works(spec) && (p.unmet == "" || !spec.Hooks.Gates())
}

// works reports whether nothing but post_ready may be missing.
func (p *proc) works(spec *process.Spec) bool {
	return p.state == process.Running && (p.fit || spec.Health.Ready.Kind == process.CheckNone)
}

// lacks says why a process is not ready, as far as anybody knows.
func (p *proc) lacks() string {
	switch {
	case !p.works(p.spec):
		return p.unfit
	case p.spec.Hooks.Gates():
		return p.unmet
	}
	return ""
}

// checks reports whether there is anything to watch.
func checks(spec *process.Spec) bool {
	return spec.Health.Ready.Kind != process.CheckNone || spec.Health.Alive.Kind != process.CheckNone
}

// watch has the checks of a process made as its settings say now.
func (s *Supervisor) watch(p *proc) {
	if !checks(p.spec) {
		s.unwatch(p)
		return
	}
	p.watched = true
	s.emit(p.watch())
}

func (p *proc) watch() Watch {
	return Watch{ID: p.id, Incarnation: p.incarnation, Group: p.group.name(), PID: p.pid, Ready: p.fit, Spec: p.spec}
}

// unwatch ends the checks of a process: it is on its way out.
func (s *Supervisor) unwatch(p *proc) {
	if p.watched {
		p.watched = false
		s.emit(Unwatch{ID: p.id})
	}
}

// Watched returns the processes whose checks are to be made, for a caller that has restored the machine.
func (s *Supervisor) Watched() (list []Watch) {
	for _, g := range s.groups {
		for _, p := range g.members {
			if p.watched {
				list = append(list, p.watch())
			}
		}
	}
	return list
}

// rewatch follows a change of the settings of a process that is there. What was ready without anybody's looking is so until somebody has looked.
func (s *Supervisor) rewatch(p *proc, before *process.Spec) {
	same := before.Health == p.spec.Health
	if p.pid == 0 || p.state != process.Starting && p.state != process.Running || same && before.Hooks.Gates() == p.spec.Hooks.Gates() {
		return
	}
	was := p.readyBy(before)
	if !same {
		if before.Health.Ready.Kind == process.CheckNone {
			p.fit = p.state == process.Running
		}
		s.watch(p)
	}
	if p.state == process.Running {
		s.readiness(p, was)
	}
}

// checked takes what a check has found.
func (s *Supervisor) checked(p *proc, in Checked) {
	switch {
	case !p.watched: // it was on the way when the process was told to stop
	case in.Alive:
		if !in.OK {
			s.notAlive(p, in.Text)
		}
	case p.fit != in.OK || p.unfit != in.Text:
		was := p.ready()
		p.fit, p.unfit = in.OK, in.Text
		s.revision++
		if p.state == process.Running {
			s.readiness(p, was)
		}
	}
}

// readiness tells that a RUNNING process has become ready, or is so no more, if that has changed.
func (s *Supervisor) readiness(p *proc, was bool) {
	is := p.ready()
	if is != was {
		s.shift()
		if p.spec.AsksReady() {
			s.publish(ReadyChanged{Group: p.group.name(), Name: p.name, PID: p.pid, Ready: is, Text: p.lacks()})
		}
	}
	if p.works(p.spec) {
		s.greet(p)
	}
	switch {
	case is && !was:
		s.release(p, nil, forReady)
	case was && !is:
		s.release(p, &Fault{Kind: Failed, Text: p.namespec().String() + " is not ready any more: " + p.lacks()}, forUnready)
	}
}

// greeted takes the end of post_ready. Whoever waits for a process that cannot become ready any more is told so at once.
func (s *Supervisor) greeted(p *proc, problem string) {
	was := p.ready()
	if p.unmet = ""; problem != "" && p.spec.Hooks.OnPostReady == process.PostFails {
		p.unmet = postReady + ": " + problem
	}
	if p.state != process.Running {
		return
	}
	s.readiness(p, was)
	if p.unmet != "" {
		s.release(p, &Fault{Kind: Failed, Text: p.namespec().String() + " is not ready: " + p.unmet}, forReady)
	}
}

// notAlive acts on a process that is there and does not work.
func (s *Supervisor) notAlive(p *proc, text string) {
	action := p.spec.Health.AliveAction
	if s.quitting() || s.mark(p) == Held || p.lastly {
		action = process.AliveNone
	}
	s.publish(NotAlive{Group: p.group.name(), Name: p.name, PID: p.pid, Text: text, Action: action})
	if action == process.AliveNone {
		return
	}
	p.sick = action == process.AliveRestart && p.fate == stays
	p.again, p.hung = p.sick, action == process.AliveStop
	s.halt(p, ReasonRestart)
}

// recover takes a process that was ended because it was not alive to its next life: like one that has ended by itself, as often and as soon as such a
// one may begin again.
func (s *Supervisor) recover(p *proc, end Event) {
	p.again, p.tries = false, 0
	s.down(p, process.Exited, end)
	s.endedBadly(p)
	if p.state == process.Exited { // nobody who waited for this has started it
		s.restart(p)
	}
}

// unready lets go whoever waits for a process to be at work, or to stay so, which has come to an end with a fault of that kind.
func (s *Supervisor) unready(p *proc, kind FaultKind) {
	s.releaseAs(p, kind, forRunning|forReady|forUnready)
}

// forget drops the interest of a step in a process.
func (p *proc) forget(st *step) {
	p.waiters = slices.DeleteFunc(p.waiters, func(w waiter) bool { return w.step == st })
}
