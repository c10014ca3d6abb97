package contract

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// pidOf returns the pid of a process, or of the daemon for "daemon".
func (e *environment) pidOf(pos, name string) int {
	e.Helper()
	if name == "daemon" {
		if e.daemon == nil {
			e.Fatalf("%s: no daemon runs", pos)
		}
		return e.daemon.pid
	}
	a, err := call{url: "unix://" + e.path("s.sock"), method: "supervisor.getProcessInfo", args: []any{name}}.ours(context.Background())
	if err != nil || a.line != "" {
		e.Fatalf("%s: %s %v", pos, a.line, err)
	}
	pid := a.value.(interface{ Int(string) int }).Int("pid")
	if pid <= 0 {
		e.Fatalf("%s: %s does not run", pos, name)
	}
	return pid
}

// kill sends a signal to the daemon or to a process.
func (e *environment) kill(pos, signal, name string) {
	e.Helper()
	number := unix.SignalNum("SIG" + signal)
	if number == 0 {
		e.Fatalf("%s: no signal %s", pos, signal)
	}
	if err := syscall.Kill(e.pidOf(pos, name), number); err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
}

// files returns the files of a pattern in the session's directory, in order.
func (e *environment) files(pos, pattern string) []string {
	e.Helper()
	names, err := filepath.Glob(e.path(pattern))
	if err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
	slices.Sort(names)
	return names
}

// await polls files until one of the pattern holds a text, or until none does: there is no event to wait for that says so of every writer.
func (e *environment) await(pos, pattern, text string, there bool) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if e.holds(pos, pattern, text) == there {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			e.Fatalf("%s: %s holds %q is still %t", pos, pattern, text, !there)
		}
	}
}

func (e *environment) holds(pos, pattern, text string) bool {
	e.Helper()
	return slices.ContainsFunc(e.files(pos, pattern), func(name string) bool {
		data, err := os.ReadFile(name)
		return err == nil && strings.Contains(string(data), text)
	})
}

// cat records the content of files.
func (e *environment) cat(s statement) []string {
	e.Helper()
	var b strings.Builder
	names := e.files(s.pos, s.rest)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			e.Fatalf("%s: %v", s.pos, err)
		}
		if len(names) > 1 {
			fmt.Fprintf(&b, "== %s\n", name)
		}
		b.Write(data)
	}
	if len(names) == 0 {
		return []string{"(no file)"}
	}
	return e.clean(strings.ReplaceAll(legible(b.String()), "\x00", "␀"))
}

// legible writes bytes that are no UTF-8 as \xNN.
func legible(text string) string {
	var b strings.Builder
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, text[i])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// grep records the lines of a file that match a regular expression.
func (e *environment) grep(s statement) []string {
	e.Helper()
	name, pattern, _ := strings.Cut(s.rest, " ")
	re, err := regexp.Compile(pattern)
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	data, err := os.ReadFile(e.path(name))
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if re.MatchString(line) {
			out.WriteString(line)
		}
	}
	return e.clean(out.String())
}

// end waits for the end of the daemon and records its exit code.
func (e *environment) end(s statement) []string {
	e.Helper()
	if e.daemon == nil {
		e.Fatalf("%s: no daemon runs", s.pos)
	}
	d := e.daemon
	select {
	case <-d.ended:
	case <-time.After(limit):
		e.Fatalf("%s: the daemon does not end", s.pos)
	}
	d.close()
	e.daemon = nil
	return []string{"[exit " + strconv.Itoa(d.code) + "]"}
}

// serve runs a daemon to its end and records what it shows.
func (e *environment) serve(ctx context.Context, s statement) []string {
	e.Helper()
	d, err := order{path: e.pairing.daemon, args: s.args(e.T), dir: e.dir, env: e.env}.start()
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	_ = d.stdin.Close()
	if !d.wait(ctx) {
		e.Fatalf("%s: the daemon does not end; so far:\n%s%s", s.pos, d.stdout.text(), d.stderr.text())
	}
	return e.record(d.stdout.text(), d.stderr.text(), strconv.Itoa(d.code), false)
}
