package process

import (
	"strings"
	"time"
)

// StopStep is a signal that asks a process to end, and how long the process has for that before the next step.
type StopStep struct {
	Signal Signal
	Wait   time.Duration // Forever = as long as it takes
}

// Forever is the Wait of a step that nothing follows, and the Timeout of a drain that goes on until the process ends, or the command.
const Forever time.Duration = -1

// century is longer than anybody waits, and short enough to be added to a moment.
const century = 100 * 365 * 24 * time.Hour

// Seconds is a number of seconds as a span of time: nothing below 0, and a hundred years at most, so that none is too many to be counted.
func Seconds(n int) time.Duration {
	return time.Duration(min(max(n, 0), int(century/time.Second))) * time.Second
}

// Steps returns the steps of a stop, at least one. SIGKILL without an end to its time stands at most at the end.
func (s *Spec) Steps() []StopStep {
	if len(s.StopSteps) > 0 {
		return s.StopSteps
	}
	return []StopStep{{s.StopSignal, Seconds(s.StopWaitSecs)}, {SIGKILL, Forever}}
}

// Patience is how long a stop may take until SIGKILL, draining and the commands before and after it included. ends is false if that may never come: the time is then that of the rest.
func (s *Spec) Patience() (sum time.Duration, ends bool) {
	if s.Drain.Wanted() {
		sum = max(s.Drain.Timeout, 0)
	}
	for _, h := range []HookSpec{s.Hooks.PreStop, s.Hooks.PostStop} {
		if h.Wanted() {
			sum += h.Timeout
		}
	}
	for _, step := range s.Steps() {
		sum += max(step.Wait, 0)
		ends = step.Signal == SIGKILL && step.Wait == Forever
	}
	return sum, ends && !s.Drain.Endless()
}

// StopStepsText writes steps as a configuration file spells them.
func StopStepsText(steps []StopStep) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = strings.TrimPrefix(s.Signal.String(), "SIG")
		switch {
		case s.Wait != Forever:
			words[i] += " " + s.Wait.String()
		case s.Signal != SIGKILL:
			words[i] += " forever"
		}
	}
	return strings.Join(words, ", ")
}

// TellSpec is how a process is told that something is wanted of it. At most one of Signal and Command is set; the zero value is Supervisor's way: it
// is not told.
type TellSpec struct {
	Signal  Signal
	Command string        // split with shlex
	Timeout time.Duration // the most that it may take; of a drain Forever = as long as it takes
}

// Endless reports whether the process is told, and has all the time that it takes.
func (t TellSpec) Endless() bool { return t.Wanted() && t.Timeout == Forever }

// MostText says how long something may take at most.
func MostText(most time.Duration) string {
	if most == Forever {
		return "as long as it takes"
	}
	return "for at most " + most.String()
}

// Wanted reports whether the process is told.
func (t TellSpec) Wanted() bool { return t.Signal != 0 || t.Command != "" }
