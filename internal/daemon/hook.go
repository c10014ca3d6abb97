package daemon

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// A command that an option asks for is a child like any other to the host: a life of its own, known by the token, so that it runs once whoever
// dies meanwhile.

// hookBit tells the lives of such commands from those of processes.
const hookBit process.ID = 1 << 63

// runHook starts a command on behalf of a process, with nothing to read. What it writes goes to the main log.
func (d *Daemon) runHook(e core.RunHook) {
	spec := &process.Spec{
		Name: e.Name, Command: e.Command, Directory: e.Spec.Directory, Umask: e.Spec.Umask, UID: e.Spec.UID, ServerURL: e.Spec.ServerURL, RedirectStderr: true,
		EnvironmentFiles: e.Spec.EnvironmentFiles, Secrets: e.Spec.Secrets,
		Environment: append(slices.Clone(e.Spec.Environment), hookEnviron(e)...),
	}
	what := e.Option + " of " + process.Namespec{Group: e.Group, Process: e.Name}.String()
	d.host.Spawn(host.SpawnRequest{
		ID: hookBit | process.ID(e.Token), Incarnation: 1, Group: e.Group, Spec: spec, Environ: d.environ(e.Group, spec), NoInput: true,
		Stdout: &hookOutput{tell: func(line string) { d.logf(LevelInfo, "%s: %s", what, line) }},
	})
}

// hookEnviron is what a command finds in its environment besides that of its process.
func hookEnviron(e core.RunHook) []process.Env {
	env := []process.Env{{Key: "GRACED_NAME", Value: e.Name}, {Key: "GRACED_GROUP", Value: e.Group}, {Key: "GRACED_REASON", Value: string(e.Reason)}}
	if e.PID != 0 {
		env = append(env, process.Env{Key: "GRACED_PID", Value: strconv.Itoa(e.PID)})
	}
	switch exit := e.Exit; {
	case exit == nil || exit.Unknown:
	case exit.Signal != 0:
		env = append(env, process.Env{Key: "GRACED_EXIT_SIGNAL", Value: exit.Signal.String()})
	default:
		env = append(env, process.Env{Key: "GRACED_EXIT_CODE", Value: strconv.Itoa(exit.Code)})
	}
	return env
}

// endHook kills a command, and what has stayed in its process group.
func (d *Daemon) endHook(e core.EndHook) {
	d.host.Signal(host.SignalRequest{ID: hookBit | process.ID(e.Token), Incarnation: 1, Signal: process.SIGKILL, ToGroup: true})
}

// hookNews translates news of a command; ok is false for any other.
func hookNews(e host.Event) (in core.Input, ok bool) {
	ended := func(id process.ID, text string) core.Input {
		return core.HookEnded{Token: core.Token(id &^ hookBit), Text: text}
	}
	switch e := e.(type) {
	case host.Spawned:
		return nil, e.ID&hookBit != 0
	case host.Placed:
		return nil, e.ID&hookBit != 0
	case host.Signalled:
		return nil, e.ID&hookBit != 0
	case host.SpawnFailed:
		if e.ID&hookBit != 0 {
			return ended(e.ID, e.Text), true
		}
	case host.Exited:
		if e.ID&hookBit == 0 {
			break
		}
		if e.Status.Clean([]int{0}) {
			return ended(e.ID, ""), true
		}
		return ended(e.ID, e.Status.String()), true
	}
	return nil, false
}

// What is told of a command that writes much: its first lines as they come, and its last ones at its end.
const (
	hookFirstLines, hookFirstBytes = 100, 16 << 10
	hookLastLines, hookLastBytes   = 20, 8 << 10
)

// hookLine is where a line that has no end yet is broken.
const hookLine = 4096

// hookBuffers has room for what a pipe holds: whoever takes less of it at a time is taken for one that has emptied it, and is not asked again at once.
var hookBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// hookOutput tells what a command writes, line by line, within bounds. What is not told costs next to nothing, so that nobody waits for it.
type hookOutput struct {
	tell func(line string)
	rest []byte // of a line that has not ended

	lines, bytes int      // told
	last         [][]byte // those after them: the latest
	lastBytes    int
	left         int // lines between these
	leftBytes    int
}

// Open implements host.Output.
func (o *hookOutput) Open() error { return nil }

// Drain implements host.Output.
func (o *hookOutput) Drain(fd, most int) (int, error) {
	buf := hookBuffers.Get().(*[64 << 10]byte)
	defer hookBuffers.Put(buf)
	n, err := syscall.Read(fd, buf[:min(most, len(buf))])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	o.take(buf[:n])
	return n, nil
}

// take says the lines that end in data, and keeps what follows them.
func (o *hookOutput) take(data []byte) {
	for len(data) > 0 {
		end, next := bytes.IndexByte(data, '\n'), 0
		switch room := hookLine - len(o.rest); {
		case end > room || end < 0 && len(data) > room:
			end, next = room, room
		case end < 0:
			o.rest = append(o.rest, data...)
			return
		default:
			next = end + 1
		}
		line := data[:end]
		if len(o.rest) > 0 {
			o.rest = append(o.rest, line...)
			line = o.rest
		}
		o.say(line)
		o.rest, data = o.rest[:0], data[next:]
	}
}

// Close implements host.Output.
func (o *hookOutput) Close() {
	if len(o.rest) > 0 {
		o.say(o.rest)
	}
	o.rest = nil
	if o.left > 0 {
		o.tell(fmt.Sprintf("(%d lines, %d bytes, are left out here)", o.left, o.leftBytes))
	}
	for _, line := range o.last {
		o.tell(validLine(line))
	}
	o.last, o.lastBytes, o.left, o.leftBytes = nil, 0, 0, 0
}

// say tells a line, or keeps it as one of the last.
func (o *hookOutput) say(text []byte) {
	text = bytes.TrimRight(text, "\r")
	if o.lines < hookFirstLines && o.bytes+len(text) <= hookFirstBytes {
		o.lines++
		o.bytes += len(text)
		o.tell(validLine(text))
		return
	}
	if o.lines <= hookFirstLines {
		o.lines = hookFirstLines + 1
		o.tell("(it writes more than is logged: its last lines follow at its end)")
	}
	o.lastBytes += len(text)
	var room []byte // of one that is left out
	for n := len(o.last); n > 0 && (n >= hookLastLines || o.lastBytes > hookLastBytes); n = len(o.last) {
		room = o.last[0]
		o.left++
		o.leftBytes += len(room)
		o.lastBytes -= len(room)
		o.last = o.last[:copy(o.last, o.last[1:])]
	}
	o.last = append(o.last, append(room[:0], text...))
}

// validLine is a line as it is told.
func validLine(line []byte) string { return strings.ToValidUTF8(string(line), "?") }

// hookText says which command runs, and for how long at most.
func hookText(e core.HookBegan) string { return e.Option + ", " + process.MostText(e.Most) }

// drainText says how a process is told to finish what it does.
func drainText(e core.DrainBegan) string {
	by := "drain_command"
	if e.Signal != 0 {
		by = e.Signal.String()
	}
	return by + ", " + process.MostText(e.Most)
}
