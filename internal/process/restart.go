package process

import (
	"slices"
	"strconv"
	"time"
)

// BackoffSpec is how long a process waits before it is started again by itself. Supervisor has nothing like it: the zero value is what it does.
type BackoffSpec struct {
	First  time.Duration // the first pause; 0 = the option is not set
	Most   time.Duration // no pause is longer, but for its jitter
	Factor int           // thousandths: each pause is so much longer than the one before
	Jitter int           // thousandths of a pause by which it may be longer
}

// Set reports whether the option is set.
func (b BackoffSpec) Set() bool { return b.First > 0 }

// Pause returns the n-th pause in a row, counted from 1, without jitter.
func (b BackoffSpec) Pause(n int) time.Duration {
	pause := b.First
	for ; n > 1 && pause < b.Most && b.Factor > 1000; n-- {
		pause = min(pause/1000*time.Duration(b.Factor), b.Most)
	}
	return pause
}

// String returns the value as a configuration file spells it, with every part that matters; "" when it is not set.
func (b BackoffSpec) String() string {
	if !b.Set() {
		return ""
	}
	text := Span(b.First)
	if b.Most > b.First {
		text += ".." + Span(b.Most) + " x" + thousandths(b.Factor)
	}
	if b.Jitter > 0 {
		text += " jitter=" + thousandths(b.Jitter)
	}
	return text
}

// Rate is a number of events within a time, both at least 1; zero = the option is not set.
type Rate struct {
	Count  int
	Within time.Duration
}

// Reached reports whether so many of the moments, which are in order, are less than Within before now.
func (r Rate) Reached(moments []time.Duration, now time.Duration) bool {
	n := len(moments) - r.Count
	return r.Count > 0 && n >= 0 && moments[n] > now-r.Within
}

// Add appends a moment to others, of which it keeps as many as count. What it returns shares no memory with them.
func (r Rate) Add(moments []time.Duration, now time.Duration) []time.Duration {
	if r.Count <= 0 {
		return nil
	}
	return append(slices.Clone(moments[max(0, len(moments)-r.Count+1):]), now)
}

// String returns the value as a configuration file spells it; "" when it is not set.
func (r Rate) String() string {
	if r.Count <= 0 {
		return ""
	}
	return strconv.Itoa(r.Count) + "/" + Span(r.Within)
}

// Of says it in words, with the name of one event: "5 restarts in 1m".
func (r Rate) Of(what string) string {
	if r.Count != 1 {
		what += "s"
	}
	return strconv.Itoa(r.Count) + " " + what + " in " + Span(r.Within)
}

func thousandths(n int) string { return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) }
