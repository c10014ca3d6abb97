package process

import (
	"strconv"
	"strings"
	"time"
)

// CheckKind says how a Check asks.
type CheckKind int

// The kinds of a check. Target is with each of them what the first word says.
const (
	CheckNone   CheckKind = iota // nobody asks
	CheckTCP                     // address: a connection can be made
	CheckHTTP                    // URL: a GET is answered with a status from 200 to 399
	CheckExec                    // command: it ends with 0
	CheckLog                     // pattern: a line of the output matches it; for readiness only
	CheckNotify                  // none: the process itself says so by the protocol of sd_notify
)

// Check says how it is found out whether a process is ready, or alive. The zero value: it is not.
type Check struct {
	Kind      CheckKind
	Target    string
	Period    time.Duration // from one try to the next
	Timeout   time.Duration // of one try; with notify and liveness: the longest time between two signs
	Successes int           // tries in a row that make it good
	Failures  int           // tries in a row that make it bad
}

// What holds for a check where nothing else is said; read only.
var (
	DefaultReady = Check{Period: time.Second, Timeout: 5 * time.Second, Successes: 1, Failures: 3}
	DefaultAlive = Check{Period: 10 * time.Second, Timeout: 5 * time.Second, Successes: 1, Failures: 3}
)

// DefaultReadyWait is the value of Health.ReadyWait where nothing else is said.
const DefaultReadyWait = time.Minute

// String returns the check as a configuration file spells it.
func (c Check) String() string {
	switch c.Kind {
	case CheckTCP:
		return "tcp://" + c.Target
	case CheckHTTP:
		return c.Target
	case CheckExec:
		return "exec:" + c.Target
	case CheckLog:
		return "log:" + c.Target
	case CheckNotify:
		return "notify"
	default:
		return ""
	}
}

// Span returns a duration as a configuration file spells it, in the largest unit in which it is a whole number: "500ms", "10s", "90s", "2h".
func Span(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if d >= unit.size && d%unit.size == 0 {
			return strconv.FormatInt(int64(d/unit.size), 10) + unit.name
		}
	}
	return d.String()
}

// AliveAction says what happens to a process that is found not to be alive.
type AliveAction int

// The values of the option alive_action.
const (
	AliveRestart AliveAction = iota // it is stopped and started again (the default)
	AliveStop                       // it is stopped
	AliveNone                       // it is told, nothing else
)

// String returns the value as a configuration file spells it.
func (a AliveAction) String() string { return [...]string{"restart", "stop", "none"}[a] }

// Health is how a process is watched. Supervisor has nothing like it: the zero value is what it does.
type Health struct {
	Ready       Check
	ReadyWait   time.Duration // from RUNNING to ready at most, where somebody waits for that
	Alive       Check
	AliveAction AliveAction
}

// AsksReady reports whether a process has to be found ready, by a check or by its PostReady.
func (s Spec) AsksReady() bool { return s.Health.Ready.Kind != CheckNone || s.Hooks.Gates() }

// Share is a number of processes, or a share of all.
type Share struct {
	N       int
	Percent bool
}

// ParseShare reads "3" or "25%".
func ParseShare(text string) (Share, bool) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.Atoi(digits)
	return Share{n, percent}, err == nil && n >= 0 && (!percent || n <= 100)
}

// String returns the share as a configuration file spells it.
func (s Share) String() string {
	if s.Percent && s != None {
		return strconv.Itoa(s.N) + "%"
	}
	return strconv.Itoa(s.N)
}

// Of returns how many of a number of processes that is, rounded down.
func (s Share) Of(all int) int {
	if s.Percent {
		return all * s.N / 100
	}
	return s.N
}

// Roll says how processes of a group are replaced: the zero value, one after the other.
type Roll struct {
	MaxUnavailable Share         // that may be out of work at a time because of it: see Most
	Surge          Share         // so many more are there meanwhile, with the new settings, and take the place of those out of work
	Canary         int           // so many are replaced first, and have to be good before the others follow
	Steady         time.Duration // a new process has to stay ready for so long before the next is touched
	OnFailure      OnFailure
}

// None is the share that is none of any number: without Percent it is one that nobody has set.
var None = Share{Percent: true}

// Most returns how many of a number of processes may be out of work at a time. Less than one counts as one, unless others take their place.
func (r Roll) Most(all int) int {
	n := r.MaxUnavailable.Of(all)
	if n < 1 && (r.Surge.N == 0 || !r.MaxUnavailable.Percent) {
		return 1
	}
	return n
}

// Extra returns how many more processes are there while a number of them is replaced: no more than these. A share that is less than one counts as one.
func (r Roll) Extra(all int) int {
	if r.Surge.N == 0 {
		return 0
	}
	return min(max(1, r.Surge.Of(all)), all)
}

// OnFailure says what follows when a new process does not become ready, or does not stay so.
type OnFailure int

// The values of the option roll_on_failure.
const (
	RollBack  OnFailure = iota // those that were replaced get back what they had (the default)
	RollPause                  // nothing more is touched until somebody decides
	RollStop                   // nothing more is touched
)

// String returns the value as a configuration file spells it.
func (f OnFailure) String() string { return [...]string{"rollback", "pause", "stop"}[f] }
