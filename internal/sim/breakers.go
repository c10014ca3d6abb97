package sim

import (
	"strings"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// watchedBreaker is what the checker knows of the breaker of a group.
type watchedBreaker struct {
	open    bool
	changed time.Duration
	probe   *watched      // the last one since it was opened
	until   time.Duration // when the next one goes at the latest, if none is on its way
}

func (c *Checker) breaker(group string) *watchedBreaker {
	if c.breakers[group] == nil {
		c.breakers[group] = &watchedBreaker{}
	}
	return c.breakers[group]
}

func (c *Checker) opened(e core.BreakerOpened) {
	b := c.breaker(e.Group)
	if b.open {
		c.broken("the breaker of %s opens and is open", e.Group)
	}
	*b = watchedBreaker{open: true, changed: c.world.Now(), until: c.world.Now() + c.longestPause(e.Group)}
}

func (c *Checker) closed(now time.Duration, e core.BreakerClosed) {
	if b := c.breakers[e.Group]; b == nil || !b.open {
		c.broken("the breaker of %s closes and is not open", e.Group)
	} else {
		*b = watchedBreaker{changed: now}
	}
}

// probed notes a start while the breaker is open.
func (c *Checker) probed(p *watched, byItself bool) {
	b := c.breakers[p.name.Group]
	if b == nil || !b.open {
		return
	}
	if !byItself {
		if b.probe == p {
			b.probe = nil
		}
		return
	}
	if b.probe != nil && b.probe != p && b.probe.state == process.Starting {
		c.broken("%v goes first, and so does %v", p.name, b.probe.name)
	}
	b.probe = p
}

// waits checks that a process is held back for a reason, and not for ever.
func (c *Checker) waits(now time.Duration, p *watched, s process.Status) {
	p.gated = s.Waits != "" && !forCommand(s.Waits) && !strings.Contains(s.Waits, "breaker of group")
	if s.Waits == "" || forCommand(s.Waits) || p.gated || c.quitting {
		p.waits = 0
		return
	}
	if p.waits == 0 {
		p.waits = now + 1
	}
	b := c.breakers[s.Group]
	if b == nil || !b.open {
		if b == nil || now > b.changed {
			c.broken("%v waits for a breaker that is closed: %s", p.name, s.Waits)
		}
		return
	}
	if busy := b.probe != nil && b.probe.state == process.Starting; !busy && now > max(b.until, p.waits) {
		c.broken("%v waits since %v, and nobody goes first: %s", p.name, p.waits, s.Waits)
	}
}

// probeEnded notes that a process is not on its way to RUNNING any more. If it failed the next one goes after a pause, else at once.
func (c *Checker) probeEnded(now time.Duration, p *watched, failed bool) {
	b := c.breakers[p.name.Group]
	if b == nil || b.probe != p {
		return
	}
	b.until = now
	if failed {
		b.until += c.longestPause(p.name.Group)
	}
}

// longestPause returns how long a probe of a group may be waited for.
func (c *Checker) longestPause(group string) (longest time.Duration) {
	for _, p := range c.procs {
		if p.name.Group != group || p.spec == nil {
			continue
		}
		pause := time.Minute
		if b := p.spec.Backoff; b.Set() {
			pause = b.Most * 3 / 2 // with its jitter
		}
		longest = max(longest, pause)
	}
	return longest
}
