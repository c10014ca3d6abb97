package process

import "time"

// HookSpec is a command that runs at one moment of a process's life. The zero value is Supervisor's way: none does.
type HookSpec struct {
	Command string        // split with shlex
	Timeout time.Duration // the most that it may take
}

// Wanted reports whether a command runs.
func (h HookSpec) Wanted() bool { return h.Command != "" }

// Hooks are the commands that run at the moments of a process's life, one after the other.
type Hooks struct {
	PreStart   HookSpec    // before each fork
	PostReady  HookSpec    // once in each life, when the process is RUNNING and ready
	PreStop    HookSpec    // before anything else of a stop
	PostStop   HookSpec    // after each end
	OnPreStart HookFailure // what follows when PreStart fails

	OnPostReady PostFailure // what follows when PostReady fails
}

// Gates reports whether a process is not ready before its PostReady has succeeded.
func (h Hooks) Gates() bool { return h.PostReady.Wanted() && h.OnPostReady == PostFails }

// HookFailure says what follows when a command that comes before something fails.
type HookFailure int

// The values of the option pre_start_on_failure.
const (
	HookFails   HookFailure = iota // what it comes before fails as well (the default)
	HookIgnored                    // it is told, and nothing else follows
)

// PostFailure says what follows when a command that comes after something fails.
type PostFailure int

// The values of the option post_ready_on_failure.
const (
	PostIgnored PostFailure = iota // it is told, and nothing else follows (the default)
	PostFails                      // what it comes after has failed as well
)

// String returns the value as a configuration file spells it.
func (f PostFailure) String() string { return [...]string{"ignore", "fail"}[f] }

// String returns the value as a configuration file spells it.
func (f HookFailure) String() string { return [...]string{"fail", "ignore"}[f] }
