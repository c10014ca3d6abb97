package host

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Facts is what a host knows about its place, for people and for those who help them.
type Facts struct {
	Kernel   string // its release
	Features []Feature
	Unknown  []string // words of GRACED_DISABLE that are no feature's name
}

// Feature is something that a kernel, a container's filter or an administrator may not offer.
type Feature struct {
	Name      string
	Available bool
	Disabled  bool   // somebody has taken it away with GRACED_DISABLE
	Detail    string // a value, or why it is not available
	Use       string // what it is for
	Instead   string // what happens without it
}

// probe finds out about one feature. It asks for the thing itself, never for a version: filters and backports make these lie.
type probe struct {
	name, use, instead string
	look               func() (detail string, ok bool)
}

// probes are those of what can be taken away. Limits cannot.
var probes = slices.Concat(pidfdProbes, fileProbes, cgroupProbes, rightProbes)

// DisableVariable is the environment variable that takes features away, to see what happens without them: names with commas between them, of which
// "pidfd" means all that begin so. It is read once.
const DisableVariable = "GRACED_DISABLE"

var disabled = sync.OnceValue(func() []string { return wordsOf(os.Getenv(DisableVariable)) })

func wordsOf(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// Disabled reports whether a feature is not to be used, whatever the kernel says.
func Disabled(name string) bool { return takenAway(disabled(), name) }

func takenAway(words []string, name string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return w == "all" || strings.HasPrefix(name, w) })
}

// Facts implements Host. It takes about a millisecond, and leaves nothing behind.
func (h *Local) Facts() Facts { return factsWithout(disabled()) }

func factsWithout(off []string) Facts {
	f := Facts{Kernel: release(), Unknown: []string{}}
	for i, p := range slices.Concat(probes, limitProbes) {
		one := Feature{Name: p.name, Use: p.use, Instead: p.instead}
		if one.Disabled = i < len(probes) && takenAway(off, p.name); one.Disabled {
			one.Detail = "taken away by " + DisableVariable
		} else {
			one.Detail, one.Available = p.look()
		}
		f.Features = append(f.Features, one)
	}
	for _, w := range off {
		if w != "all" && !slices.ContainsFunc(probes, func(p probe) bool { return strings.HasPrefix(p.name, w) }) {
			f.Unknown = append(f.Unknown, w)
		}
	}
	return f
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// outcome is the answer of a probe that is one system call.
func outcome(err error) (string, bool) {
	if err != nil {
		return err.Error(), false
	}
	return "", true
}

// onOwnThread runs f on a thread that ends with it, and is not the first of the process, which never does.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread goes
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			onOwnThread(f) // cannot get this thread while it is locked
		} else {
			f()
		}
		close(done)
	}()
	<-done
}
