package core

import (
	"time"

	"github.com/graced/graced/internal/process"
)

// revives reports whether an EXITED process is started again by itself.
func (s *Supervisor) revives(p *proc) bool {
	if p.fate != stays || s.quitting() || s.mark(p) == Held || p.lastly || p.step != nil && p.step.undo { // a step that gives back what was there starts it
		return false
	}
	switch p.spec.Autorestart {
	case process.RestartAlways:
		return true
	case process.RestartUnexpected:
		return !p.exit.Clean(p.spec.ExitCodes)
	default:
		return false
	}
}

// restart starts an EXITED process again: at once if it has lived long enough, else after a pause. Meanwhile it stays EXITED.
func (s *Supervisor) restart(p *proc) { s.reviveAt(p, s.restartDue(p)) }

// reviveAt starts a process by itself at a moment, or gives it up if that were once too often.
func (s *Supervisor) reviveAt(p *proc, due time.Duration) {
	switch limit := p.spec.RestartLimit; {
	case limit.Reached(p.starts, due):
		s.wornOut(p, limit)
	case due > s.now.Mono:
		s.due.arm(&p.due, due)
	default:
		s.next(p)
	}
}

// wornOut gives up a process that has been started by itself as often as it may be.
func (s *Supervisor) wornOut(p *proc, limit process.Rate) {
	text := limit.Of("restart") + " (restart_limit)"
	if p.spawnErr != "" {
		text += ": " + p.spawnErr
	}
	p.spawnErr = text
	s.giveUp(p)
	s.publish(WornOut{Group: p.group.name(), Name: p.name, Limit: limit})
}

// restartDue counts a life that was too short, and returns when the next one begins. With backoff a life is long enough that was RUNNING for as long
// as the pause before it, or the first. Without, it has to last for a second; else the next does not begin before a second has passed since its start,
// and ever later while it keeps ending at once (quirk C8).
func (s *Supervisor) restartDue(p *proc) time.Duration {
	lived := s.now.Mono - p.started
	if b := p.spec.Backoff; b.Set() {
		if lived-seconds(p.startSecs) >= b.Pause(p.short) {
			p.short = 0
			return s.now.Mono
		}
		p.short++
		return s.now.Mono + p.pause(b, p.short)
	}
	// compat: quirk C8
	if s.opts.Quirks.NoRestartFloor || lived >= restartFloor {
		p.short = 0
		return s.now.Mono
	}
	p.short++
	pause := restartFloor
	for n := stormAfter; n < p.short && pause < restartMost; n++ {
		pause *= 2
	}
	return p.started + pause
}

// retryPause counts a failed start, and returns how long the process stays in BACKOFF: without backoff as many seconds as it has failed in a row.
func (p *proc) retryPause() time.Duration {
	if !p.spec.Backoff.Set() {
		return seconds(p.tries)
	}
	p.short++
	return p.pause(p.spec.Backoff, p.short)
}

// pause returns the n-th pause in a row. Its jitter is made of the life that is over: another one for each process, but
// the same whenever the machine is stepped through its inputs again.
func (p *proc) pause(b process.BackoffSpec, n int) time.Duration {
	pause := b.Pause(n)
	share := uint64(pause/1000) * uint64(b.Jitter)
	return pause + time.Duration(mixed(uint64(p.id), uint64(p.incarnation), uint64(p.started))%(share+1))
}

// mixed makes a number of others of which no bit tells anything about them (splitmix64).
func mixed(parts ...uint64) (h uint64) {
	for _, n := range parts {
		h += n + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// tireless reports whether a process that fails to start is never given up.
// compat: startretries=-1 alone gives up at the first failure, as under Supervisor.
func (p *proc) tireless() bool { return p.spec.StartRetries < 0 && p.spec.Backoff.Set() }
