package contract

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// procFile reads a file of /proc/PID, "" when the process has ended.
func procFile(pid int, name string) string {
	data, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	return string(data)
}

// procStat returns the fields of a process's stat file from the state on, which is the third one; nil when it has ended.
func procStat(pid int) []string {
	_, rest, _ := strings.Cut(procFile(pid, "stat"), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// Fields of procStat.
const (
	statState   = 0
	statSession = 3
	statFlags   = 6
)

// forkNoExec is PF_FORKNOEXEC of the kernel: the process was forked and has not executed anything.
const forkNoExec = 0x40

// executed reports whether a process is its own program. Supervisor knows the pid of a child before the child has executed its program: for
// a while it still has the daemon's arguments, environment and descriptors. The kernel takes the flag away once the old memory is gone, and
// fills in arguments and environment, in this order, right after.
func executed(pid int) bool {
	fields := procStat(pid)
	if fields == nil {
		return false
	}
	flags, err := strconv.ParseUint(fields[statFlags], 10, 64)
	return err == nil && flags&forkNoExec == 0 && procFile(pid, "cmdline") != "" && procFile(pid, "environ") != ""
}

// poll asks until the answer is yes: for what no event tells of.
func (e *environment) poll(pos, what string, yes func() bool) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			e.Fatalf("%s: %s", pos, what)
		}
	}
}

// proc records facts about a running process that /proc knows.
func (e *environment) proc(s statement) []string {
	e.Helper()
	words := strings.Fields(s.rest)
	pid := e.pidOf(s.pos, words[0])
	e.poll(s.pos, words[0]+" executes nothing", func() bool {
		if procStat(pid) == nil {
			e.Fatalf("%s: %s has ended", s.pos, words[0])
		}
		return executed(pid)
	})
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	e.settle(ctx, pid) // while it is loaded it has its libraries open
	status := map[string]string{}
	for line := range strings.Lines(procFile(pid, "status")) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.Join(strings.Fields(value), " ")
	}
	var out []string
	for _, fact := range words[1:] {
		value := ""
		switch fact {
		case "argv":
			value = fmt.Sprintf("%q", strings.Split(strings.TrimSuffix(procFile(pid, "cmdline"), "\x00"), "\x00"))
		case "cwd", "exe", "root":
			link, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, fact))
			if err != nil {
				e.Fatalf("%s: %v", s.pos, err)
			}
			value = link
		case "env":
			vars := strings.Split(strings.TrimSuffix(procFile(pid, "environ"), "\x00"), "\x00")
			slices.Sort(vars)
			for _, v := range vars {
				if !strings.HasPrefix(v, "PYTHON") { // ours, for Debian's programs
					out = append(out, "env "+v)
				}
			}
			continue
		case "leader": // of a process group of its own, in the daemon's session
			group, _ := unix.Getpgid(pid)
			session, _ := unix.Getsid(pid)
			value = fmt.Sprintf("group %t, session of the daemon %t", group == pid, session == e.daemon.pid)
		case "fds":
			value = descriptors(pid)
		case "limits":
			value = e.limits(s.pos, pid)
		case "SigIgn", "SigBlk":
			value = signals(status[fact])
		default:
			var ok bool
			if value, ok = status[fact]; !ok {
				e.Fatalf("%s: nothing known as %s", s.pos, fact)
			}
		}
		out = append(out, strings.TrimSpace(fact+" "+value))
	}
	return e.clean(strings.Join(out, "\n") + "\n")
}

// descriptors lists the open descriptors of a process and what they are: a kind, or the first one that is the same.
func descriptors(pid int) string {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	var fds []int
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	var out []string
	first := map[string]int{}
	for _, fd := range fds {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if err != nil {
			continue // closed since
		}
		kind, _, numbered := strings.Cut(link, ":[")
		if same, ok := first[link]; ok && numbered {
			kind = strconv.Itoa(same)
		} else {
			first[link] = fd
		}
		out = append(out, fmt.Sprintf("%d=%s", fd, kind))
	}
	return strings.Join(out, " ")
}

// limits shows which limits of a process are others than those that its daemon was started with.
func (e *environment) limits(pos string, pid int) string {
	e.Helper()
	given, err := exec.Command("/bin/cat", "/proc/self/limits").Output() // our own are not: Go raises that of files for itself
	if err != nil {
		e.Fatalf("%s: %v", pos, err)
	}
	inherited := strings.Split(string(given), "\n")
	var changed []string
	for line := range strings.Lines(procFile(pid, "limits")) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(inherited, line) {
			changed = append(changed, strings.Join(strings.Fields(line), " "))
		}
	}
	if changed == nil {
		return "inherited"
	}
	return strings.Join(changed, ", ")
}

// signals names the signals of a mask. Those above 31 are left out: the C library and make have their own ways with them.
func signals(mask string) string {
	set, _ := strconv.ParseUint(mask, 16, 64)
	var names []string
	for n := 1; n < 32; n++ {
		if set&(1<<(n-1)) != 0 {
			names = append(names, strings.TrimPrefix(unix.SignalName(syscall.Signal(n)), "SIG"))
		}
	}
	return strings.Join(names, " ")
}

// member is a process of a session.
type member struct {
	pid  int
	args string
}

// members returns the processes of a session that have not ended, with their arguments.
func members(session int) []member {
	var out []member
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		fields := procStat(pid)
		if fields == nil || fields[statSession] != strconv.Itoa(session) || fields[statState] == "Z" || fields[statState] == "X" {
			continue
		}
		out = append(out, member{pid, strings.TrimSpace(strings.ReplaceAll(procFile(pid, "cmdline"), "\x00", " "))})
	}
	return out
}

// matching returns the arguments of the processes that the last daemon and its children have started and that match, sorted.
func (e *environment) matching(s statement) []string {
	e.Helper()
	re, err := regexp.Compile(s.rest)
	if err != nil {
		e.Fatalf("%s: %v", s.pos, err)
	}
	if len(e.sessions) == 0 {
		e.Fatalf("%s: no daemon was started", s.pos)
	}
	var out []string
	daemon := e.sessions[len(e.sessions)-1]
	for _, m := range members(daemon) {
		if m.pid != daemon && re.MatchString(m.args) {
			out = append(out, m.args)
		}
	}
	slices.Sort(out)
	return out
}

// ps records processes.
func (e *environment) ps(s statement) []string {
	e.Helper()
	out := e.matching(s)
	if len(out) == 0 {
		return []string{"(no process)"}
	}
	return e.clean(strings.Join(out, "\n") + "\n")
}

// TestExecuted looks at a fork before it executes a program, which a session can only by chance.
func TestExecuted(t *testing.T) {
	t.Parallel()
	r, err := order{path: "/bin/sh", args: []string{"-c", "exec 3<&0; (read x <&3; exec /bin/cat <&3) & echo $!; wait"}, dir: t.TempDir(),
		env: []string{"PATH=" + searchPath}}.start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	defer r.wait(ctx) // cat ends with its input
	defer r.stdin.Close()
	if !r.stdout.await(ctx, "\n") {
		t.Fatal("no pid")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(r.stdout.text()))
	if err != nil {
		t.Fatal(err)
	}
	if executed(pid) {
		t.Error("a fork of the shell has executed something")
	}
	if _, err := r.stdin.WriteString("go on\n"); err != nil {
		t.Fatal(err)
	}
	e := &environment{T: t}
	e.poll("cat", "is not executed", func() bool { return executed(pid) })
	if args := procFile(pid, "cmdline"); args != "/bin/cat\x00" {
		t.Errorf("executed %q", args)
	}
}
