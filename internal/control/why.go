package control

import (
	"context"
	"strings"
	"time"
	"unicode"
)

// Explain tells what became of a process and why.
type Explain interface {
	// Why tells the latest events of one process, the last lines it wrote, and what may be meant by how it ended. BadName.
	Why(ctx context.Context, name string) (Why, error)
}

// WhySchema is the schema of a Why.
const WhySchema = "graced.why/v1"

// Why is the recent life of a process.
type Why struct {
	Schema    string     `json:"schema,omitempty"`
	Name      string     `json:"name"` // "group:process"
	State     string     `json:"state"`
	Since     time.Time  `json:"since"`
	Starts    int        `json:"starts"`          // in Timeline
	Waits     string     `json:"waits,omitempty"` // what holds back its start by itself, or the command that is waited for
	PID       int        `json:"pid,omitempty"`
	Command   string     `json:"command"`
	Timeline  []Moment   `json:"timeline"` // the latest last; old ones are forgotten
	Stdout    []string   `json:"stdout"`   // the last lines
	Stderr    []string   `json:"stderr"`
	LooksLike []string   `json:"looks_like"`          // what may be behind it, with a way out
	Readiness *Readiness `json:"readiness,omitempty"` // of a process with a check of that
	Cgroup    string     `json:"cgroup,omitempty"`    // the control group of its own
	Lacks     string     `json:"lacks,omitempty"`     // as in Lacking
}

// Moment is one thing that happened to a process.
type Moment struct {
	Time time.Time `json:"t"`
	// asked (a client wants something), start, running, ready, unready and unalive (a check has found so), exit, failed (no process came of a start),
	// draining, stopping, kill, fatal, signal, held (its start waits, or its stop), hook (a command of its life runs), problem (such a command has failed),
	// essential (its end is that of everything)
	Type    string  `json:"type"`
	Text    string  `json:"text,omitempty"` // in words, where there is more to say
	PID     int     `json:"pid,omitempty"`
	By      string  `json:"by,omitempty"`      // with asked
	Seconds float64 `json:"seconds,omitempty"` // with exit: how long it lived
	Exit    *int    `json:"exit,omitempty"`    // with exit: the code; absent after a signal
	Signal  string  `json:"signal,omitempty"`
	// with exit: whether it was in exitcodes, or asked for
	Expected bool `json:"expected,omitempty"`
	// with exit: the kernel killed it, or something that it had started, for want of memory
	OutOfMemory bool `json:"out_of_memory,omitempty"`
}

// Printable returns a text without what a terminal would take for an order.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// callerKey is the key of a caller in a context.
type callerKey struct{}

// WithCaller returns a context in which Caller answers what who returns, which is asked only then.
func WithCaller(ctx context.Context, who func() string) context.Context {
	return context.WithValue(ctx, callerKey{}, who)
}

// Caller names whoever asks, "" when nothing is known.
func Caller(ctx context.Context) string {
	if who, ok := ctx.Value(callerKey{}).(func() string); ok {
		return who()
	}
	return ""
}
