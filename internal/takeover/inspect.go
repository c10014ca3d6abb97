package takeover

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// inspection gathers a plan.
type inspection struct {
	plan *Plan
	pid  int
	fds  map[int]string    // what supervisord has open
	all  map[int]host.Stat // every process of the machine
	ends holders           // who has what supervisord has, too

	strangers bool // it has children that are none of its processes
}

// Inspect looks into the supervisord with that pid and at the processes that it has told of, just now. It changes nothing. Whatever speaks against a
// take-over is a Problem of the plan, which is as complete as it can be with them; the error says that there is no such process, or that
// /proc cannot be read.
func Inspect(pid int, info []Process) (*Plan, error) {
	id, err := host.Identify(pid)
	if err != nil {
		return nil, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	in := &inspection{plan: &Plan{Supervisord: id, known: map[int]string{}}, pid: pid}
	if in.all, err = everybody(); err != nil {
		return nil, fmt.Errorf("cannot list the processes: %v", err)
	}
	if pid == 1 {
		in.problem(Init, "it is pid 1, which nothing outlives")
	}
	if !in.program() || !in.surroundings() {
		return in.plan, nil
	}
	in.rights()
	in.children(info)
	in.ends = in.holders()
	in.pipes()
	in.sockets()
	return in.plan, nil
}

// problem adds one about supervisord itself that cannot be overridden.
func (in *inspection) problem(kind Kind, format string, args ...any) {
	in.plan.Problems = append(in.plan.Problems, Problem{Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// risk adds one that can.
func (in *inspection) risk(kind Kind, format string, args ...any) {
	in.plan.Problems = append(in.plan.Problems, Problem{Kind: kind, Text: fmt.Sprintf(format, args...), Forced: true})
}

// program looks whether it is Python's supervisord. It reports false when nothing else is worth looking at.
func (in *inspection) program() bool {
	line, err := os.ReadFile(procPath(in.pid, "cmdline"))
	if err != nil {
		in.problem(NoRight, "%s", denied("it", err))
		return false
	}
	exe, err := os.Readlink(procPath(in.pid, "exe"))
	if err == nil {
		in.fds, err = descriptors(in.pid)
	}
	if err != nil {
		in.problem(NoRight, "%s", denied("it", err))
		return false
	}
	args, ok := wordsOf(filepath.Base(exe), words(string(line)))
	if !ok {
		in.problem(NotSupervisor, "process %d is %s, not Python's supervisord", in.pid, exe)
		return false
	}
	environ, err := os.ReadFile(procPath(in.pid, "environ"))
	if err == nil {
		in.plan.Started = Started{Args: args, Environ: words(string(environ))}
		in.plan.Started.Dir, err = os.Readlink(procPath(in.pid, "cwd"))
	}
	if err != nil {
		in.problem(NoRight, "%s", denied("it", err))
	}
	return err == nil
}

// words reads a file of words that end with a zero byte.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
}

// wordsOf returns the words of a supervisord behind its own name. What is one is judged by the interpreter and by what that was told to run, be it a
// script or a module.
func wordsOf(exe string, line []string) (args []string, ok bool) {
	if len(line) < 2 || !strings.HasPrefix(exe, "python") && !strings.HasPrefix(exe, "pypy") {
		return nil, false
	}
	i := slices.IndexFunc(line[1:], func(arg string) bool {
		return strings.HasPrefix(filepath.Base(arg), "supervisord") || strings.HasPrefix(arg, "supervisor.supervisord")
	})
	if i < 0 {
		return nil, false
	}
	return line[i+2:], true
}

// surroundings looks at what it runs as and in. It reports false when its pids are not ours.
func (in *inspection) surroundings() bool {
	status, err := fields(in.pid, "status")
	if err != nil {
		in.problem(Changed, "its status cannot be read: %v", err)
		return false
	}
	if tracer := status["TracerPid"]; tracer != "" && tracer != "0" {
		in.problem(Halted, "process %s traces it, as a debugger does", tracer)
	} else if in.all[in.pid].State == 'T' {
		in.problem(Halted, "somebody has stopped it (SIGSTOP)")
	}
	uid := strings.Fields(status["Uid"])
	if len(uid) > 1 {
		in.plan.Started.UID, _ = strconv.Atoi(uid[1]) // the kernel writes a number
	}
	if len(uid) < 2 || uid[1] != strconv.Itoa(os.Geteuid()) {
		in.risk(OtherUser, "it runs as uid %d and this process as uid %d, as whom its programs would be started from now on", in.plan.Started.UID, os.Geteuid())
	}
	if n := status["Threads"]; n != "1" {
		in.risk(Threads, "it has %s threads: what a plugin does beside it is cut off", n)
	}
	if cgroup, err := os.ReadFile(procPath(in.pid, "cgroup")); err == nil {
		if name := unit(string(cgroup)); name != "" {
			in.risk(Unit, "it belongs to %s of systemd, which may end its processes or start it again when it is gone", name)
		}
	}
	return in.namespaces()
}

// unit returns the service that a process belongs to, by its control groups.
func unit(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 && (f[1] == "" || f[1] == "name=systemd") {
			if name := filepath.Base(f[2]); strings.HasSuffix(name, ".service") {
				return name
			}
		}
	}
	return ""
}

// namespaces compares with our own. It reports false when pids mean something else in it.
func (in *inspection) namespaces() bool {
	for _, name := range []string{"pid", "mnt", "net", "ipc", "user"} {
		its, err := os.Readlink(procPath(in.pid, "ns/"+name))
		own, oerr := os.Readlink("/proc/self/ns/" + name)
		if err != nil || oerr != nil || its == own {
			continue // a kernel without them has but one
		}
		in.problem(OtherSpace, "it is in another %s namespace, e.g. of a container", name)
		if name == "pid" {
			return false
		}
	}
	root, err := os.Stat(procPath(in.pid, "root"))
	own, oerr := os.Stat("/")
	if err == nil && oerr == nil && !os.SameFile(root, own) {
		in.problem(OtherSpace, "it has another root directory")
	}
	return true
}

// rights looks whether what is there may be taken, by trying it with one of its descriptors.
func (in *inspection) rights() {
	if _, err := os.ReadFile(procPath(in.pid, "syscall")); err != nil {
		in.problem(NoRight, "%s", denied("what it does", err))
		return
	}
	pidfd, err := host.OpenPidfd(in.pid)
	if err != nil {
		in.problem(OldKernel, "no descriptor of a process can be had, which needs Linux 5.3: %v", err)
		return
	}
	defer unix.Close(pidfd)
	for fd := range in.fds {
		taken, err := host.TakeFD(pidfd, fd)
		if errors.Is(err, unix.EBADF) {
			continue // closed meanwhile
		}
		if err != nil {
			in.plan.reopen = true
			in.risk(OldKernel, "its sockets cannot be taken, which needs Linux 5.6 and a sandbox that lets pidfd_getfd pass (%v): they have to be opened anew", err)
			return
		}
		unix.Close(taken)
		return
	}
}

// denied says why something of a process cannot be looked at.
func denied(what string, err error) string {
	text := fmt.Sprintf("this process, of uid %d, may not look into %s (%v)", os.Geteuid(), what, err)
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && string(scope) > "0\n" {
		text += ": kernel.yama.ptrace_scope is " + strings.TrimSpace(string(scope))
	}
	return text + "; root may"
}

// children finds the processes, and what of supervisord's children is none of them.
func (in *inspection) children(info []Process) {
	told := map[int]bool{}
	for _, p := range info {
		in.child(p)
		told[p.PID] = true
	}
	for _, child := range childrenOf(in.pid, in.all) {
		switch {
		case told[child.PID]:
		case child.State == 'Z':
			in.problem(Changed, "its child %d has just ended", child.PID)
		default:
			in.strangers = true
			in.problem(UnknownChild, "its child %d (%s) is none of its processes", child.PID, child.Name)
		}
	}
}

// child adds a process that runs.
func (in *inspection) child(p Process) {
	add := func(kind Kind, forced bool, text string) {
		in.plan.Problems = append(in.plan.Problems, Problem{kind, p.Name, text, forced})
	}
	if p.State == process.Starting || p.State == process.Stopping || p.State == process.Backoff {
		add(Transition, true, "it is "+p.State.String()+", and how that goes on only supervisord knows")
	}
	if p.PID == 0 {
		if p.State == process.Running {
			add(Changed, false, "it is RUNNING without a pid")
		}
		return
	}
	stat, ok := in.all[p.PID]
	switch {
	case !ok || stat.Parent != in.pid:
		add(Changed, false, fmt.Sprintf("pid %d is no child of supervisord any more", p.PID))
		return
	case stat.State == 'Z':
		add(Changed, false, "it has just ended")
		return
	}
	for _, member := range in.all {
		// Linux, kill_orphaned_pgrp: its group has nobody left who could let it go on.
		if member.State == 'T' && member.Group == stat.Group {
			add(Suspended, true, fmt.Sprintf("pid %d of it is stopped: the kernel sends its process group SIGHUP when supervisord ends", member.PID))
		}
	}
	c := Child{Process: p, StartTime: stat.StartTime, Stdin: -1, Stdout: -1, Stderr: -1}
	if held, err := host.OpenForeign(in.plan.identity(c)); err == nil {
		c.Pidfd = held.Pidfd >= 0
		held.Close()
	} else {
		add(OldKernel, false, fmt.Sprintf("pid %d cannot be held: %v", p.PID, err))
	}
	in.plan.Processes = append(in.plan.Processes, c)
}

// holders tells who has the other end of supervisord's pipes, and its sockets.
type holders struct {
	readers, writers map[string]map[int]bool // link → families
	blind            bool                    // somebody could not be looked at who may have some
}

// outside is the family of processes that have none.
const outside = -1

// inside returns the families that are one.
func inside(families map[int]bool) (its []int) {
	for _, i := range slices.Sorted(maps.Keys(families)) {
		if i != outside {
			its = append(its, i)
		}
	}
	return its
}

// holders looks at what everybody else has open of what supervisord has.
func (in *inspection) holders() holders {
	h := holders{readers: map[string]map[int]bool{}, writers: map[string]map[int]bool{}}
	for _, target := range in.fds {
		h.readers[target], h.writers[target] = map[int]bool{}, map[int]bool{}
	}
	children := make([]int, len(in.plan.Processes))
	for i, c := range in.plan.Processes {
		children[i] = c.PID
	}
	families := families(children, in.all)
	for pid := range in.all {
		if pid == in.pid {
			continue
		}
		family, ok := families[pid]
		if !ok {
			family = outside
		}
		err := h.look(pid, family)
		if errors.Is(err, fs.ErrPermission) {
			// What was there before supervisord descends from none of its processes.
			h.blind = h.blind || in.all[pid].StartTime >= in.plan.Supervisord.StartTime
			if i := slices.Index(children, pid); i >= 0 {
				in.plan.Problems = append(in.plan.Problems, Problem{Kind: NoRight, Process: in.plan.Processes[i].Name, Text: denied("it", err)})
			}
		}
	}
	return h
}

// look adds what one process has open.
func (h *holders) look(pid, family int) error {
	open, err := descriptors(pid)
	if err != nil {
		return err
	}
	for fd, target := range open {
		if h.readers[target] == nil || !strings.HasPrefix(target, "pipe:") && !strings.HasPrefix(target, "socket:") {
			continue
		}
		mode, err := access(pid, fd)
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return err
		}
		if mode != unix.O_WRONLY {
			h.readers[target][family] = true
		}
		if mode != unix.O_RDONLY {
			h.writers[target][family] = true
		}
	}
	return nil
}

// pipes finds out whose each of supervisord's pipes is.
func (in *inspection) pipes() {
	var inputs []pipe
	var outputs []output
	for _, fd := range slices.Sorted(maps.Keys(in.fds)) {
		target := in.fds[fd]
		n := inode(target, "pipe")
		if n == 0 {
			continue
		}
		in.plan.known[fd] = target
		switch mode, err := access(in.pid, fd); {
		case err != nil:
			in.problem(Changed, "its descriptor %d was closed while it was looked at", fd)
		case mode == unix.O_WRONLY:
			inputs = append(inputs, pipe{fd, n})
		case mode == unix.O_RDONLY:
			writers := in.ends.writers[target]
			outputs = append(outputs, output{pipe: pipe{fd, n}, writers: inside(writers), live: len(writers) > 0 || in.ends.blind})
		}
	}
	// A pipe that it has both ends of is for itself, as plugins have some.
	outputs = slices.DeleteFunc(outputs, func(o output) bool {
		return slices.ContainsFunc(inputs, func(end pipe) bool { return end.inode == o.inode })
	})
	in.outputs(in.stdins(inputs), outputs)
}

// stdins gives each process the pipe that it reads and supervisord writes.
func (in *inspection) stdins(inputs []pipe) []*pipe {
	stdins := make([]*pipe, len(in.plan.Processes))
	for _, end := range inputs {
		readers := inside(in.ends.readers[in.fds[end.fd]])
		for _, i := range readers {
			c := &in.plan.Processes[i]
			if len(readers) > 1 || stdins[i] != nil {
				in.plan.Problems = append(in.plan.Problems, Problem{Kind: Pipes, Process: c.Name, Text: "which of supervisord's pipes is its standard input cannot be told"})
			}
			stdins[i], c.Stdin = &end, end.fd
		}
	}
	return stdins
}

// outputs gives each process the pipes that it writes and supervisord reads.
func (in *inspection) outputs(stdins []*pipe, outputs []output) {
	processes := make([]spawned, len(in.plan.Processes))
	for i, c := range in.plan.Processes {
		processes[i] = spawned{start: c.StartTime, outputs: 2, stdin: stdins[i]}
		if c.RedirectStderr {
			processes[i].outputs = 1
		}
	}
	given := map[int]bool{}
	for i, a := range assign(processes, outputs) {
		c := &in.plan.Processes[i]
		if a.problem != "" {
			in.plan.Problems = append(in.plan.Problems, Problem{Kind: Pipes, Process: c.Name, Text: a.problem})
		}
		if a.stdout >= 0 {
			c.Stdout = outputs[a.stdout].fd
			given[a.stdout] = true
		}
		if a.stderr >= 0 {
			c.Stderr = outputs[a.stderr].fd
			given[a.stderr] = true
		}
	}
	for i, o := range outputs {
		switch {
		case given[i] || o.fd <= 2:
		case o.live && len(o.writers) == 0 && !in.strangers:
			in.problem(Pipes, "somebody writes to its descriptor %d, and that is none of its processes", o.fd)
		case !o.live:
			in.plan.idle = append(in.plan.idle, o.fd)
		}
	}
}

// sockets finds what it listens on, who shares that, and whether a client is connected.
func (in *inspection) sockets() {
	table := sockets(in.pid)
	still, err := descriptors(in.pid) // what was closed meanwhile is missing in the table
	if err != nil {
		in.problem(Changed, "its descriptors cannot be read any more: %v", err)
	}
	var listening []socket
	for _, fd := range slices.Sorted(maps.Keys(in.fds)) {
		if s := table[inode(in.fds[fd], "socket")]; s.listening {
			listening = append(listening, s)
			in.plan.Sockets = append(in.plan.Sockets, Socket{FD: fd, Network: s.network, Address: s.address, Users: in.users(in.fds[fd])})
		}
	}
	for fd, target := range in.fds {
		n := inode(target, "socket")
		if n == 0 || still[fd] != target {
			continue
		}
		if slices.ContainsFunc(listening, table[n].reaches) {
			in.risk(Request, "a client is connected (descriptor %d): what it has asked for is cut off", fd)
			continue
		}
		in.plan.known[fd] = target
	}
}

// users returns the processes that have a socket of supervisord open.
func (in *inspection) users(target string) (names []process.Namespec) {
	for _, i := range inside(in.ends.readers[target]) {
		names = append(names, in.plan.Processes[i].Name)
	}
	return names
}
