// Package pidproxy is the program pidproxy: it runs a command that goes to the background and writes a pid file, stands in for it under a
// supervisor, and passes signals on to the process that the file names (contract: daemon, "Helper programs").
//
// Supervisor's own ends at once when it is told to, whatever becomes of the daemon, always with 0 (quirk F14). This one waits for the
// daemon and ends as it ended. The supervisor bounds that wait: after stopwaitsecs it kills.
//
// It knows nothing of the supervisor. Only main imports it.
package pidproxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const usage = `pidproxy: run a command that puts itself into the background, and pass signals on to the process that its pid file names.

TERM, HUP, INT, QUIT, USR1 and USR2 are passed on. pidproxy ends when the daemon has ended, and with its exit code.

Usage: %s <pidfile name> <command> [<cmdarg1> ...]
`

// Exit codes, where the daemon has none to pass on: those of a shell.
const (
	exitUsage         = 1
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128 // plus the signal's number
)

const (
	// settling is how long a daemon may take to write its pid file after the command has ended. Supervisor's looks every 5 s.
	settling = 5 * time.Second
	// parting is how long the command may take to end after the daemon that it watches has been ended.
	parting = 5 * time.Second
	// looking is the pause between two looks for the pid file while the daemon settles.
	looking = 20 * time.Millisecond
)

// Main runs the program with its whole command line and returns the exit code.
func Main(argv []string) int {
	if len(argv) < 3 {
		fmt.Printf(usage, argv[0])
		return exitUsage
	}
	file, err := find(argv[2])
	if err != nil {
		fmt.Fprintf(os.Stderr, "pidproxy: cannot run %s: %v\n", argv[2], err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return exitNotFound
		}
		return exitNotExecutable
	}
	// Orphaned descendants become ours: only a parent learns the exit code of a daemon. Without that right there is none to pass on.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	// compat: CPython ignores both, and its children inherit that (quirk C9).
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGCHLD)
	pid, err := syscall.ForkExec(file, argv[2:], &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		fmt.Fprintf(os.Stderr, "pidproxy: cannot run %s: %v\n", argv[2], err)
		return exitNotExecutable
	}
	p := &proxy{pidfile: argv[1], command: pid, gone: make(chan struct{}, 1)}
	return p.wait(signals)
}

// find returns the file of a command. A name without a slash is a file of the working directory, as for Supervisor, or else of the PATH.
func find(command string) (string, error) {
	if info, err := os.Stat(command); err == nil && info.Mode().IsRegular() || strings.Contains(command, "/") {
		return filepath.Abs(command)
	}
	return exec.LookPath(command)
}

// proxy stands in for a daemon. One goroutine owns it.
type proxy struct {
	pidfile string
	command int // its pid, 0 once it has been reaped
	daemon  int // what is waited for after the command has ended: a child of ours; 0 = none yet
	code    int // to exit with

	target int           // the process that was told to end; 0 = none was
	known  bool          // code is that of the daemon
	gone   chan struct{} // target has ended
}

// wait passes signals on until there is nothing left to wait for.
func (p *proxy) wait(signals <-chan os.Signal) int {
	var patience <-chan time.Time // nil: none is needed
	var look <-chan time.Time
	for {
		select {
		case sig := <-signals:
			if sig != unix.SIGCHLD {
				p.pass(sig.(syscall.Signal))
				continue
			}
			running := p.command != 0
			left := p.reap()
			if p.command != 0 {
				continue
			}
			if running && p.code == 0 && !p.known && left && patience == nil {
				patience = time.After(settling)
			}
			if p.settled(left) {
				return p.code
			}
			look = p.lookAgain()
		case <-look:
			if p.settled(true) {
				return p.code
			}
			look = p.lookAgain()
		case <-p.gone:
			if p.command != 0 && patience == nil {
				patience = time.After(parting)
			}
		case <-patience:
			patience = nil
			if p.command != 0 || p.daemon == 0 {
				return p.code
			}
		}
	}
}

// settled reports whether all is over, after the command has ended; left says that children are left.
func (p *proxy) settled(left bool) bool {
	if p.daemon != 0 {
		return false
	}
	if !left || p.code != 0 {
		return true
	}
	// A daemon may have given its place to another, as nginx does for an upgrade.
	// One that was told to end may have removed its file before it does.
	for _, pid := range []int{p.read(), p.target} {
		if pid != 0 && parentOf(pid) == os.Getpid() {
			p.daemon = pid
			return false
		}
	}
	return p.known || p.target != 0
}

// lookAgain returns what wakes for the next look at the pid file, nil when there is no need for one.
func (p *proxy) lookAgain() <-chan time.Time {
	if p.daemon != 0 {
		return nil
	}
	return time.After(looking)
}

// reap takes in all children that have ended, and reports whether some are left.
func (p *proxy) reap() (left bool) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false
		case pid == 0:
			return true
		}
		code := ws.ExitStatus()
		if ws.Signaled() {
			code = exitSignal + int(ws.Signal())
		}
		switch {
		case pid == p.command:
			p.command = 0
			if !p.known {
				p.code = code
			}
		case pid == p.daemon, pid == p.target, p.command == 0 && pid == p.read():
			p.daemon = 0
			p.code, p.known = code, true
		}
	}
}

// pass passes a signal on to the process that the pid file names.
func (p *proxy) pass(sig syscall.Signal) {
	pid := p.read()
	if pid == 0 {
		fmt.Printf("Can't read child pidfile %s!\n", p.pidfile)
		return
	}
	end := sig == unix.SIGTERM || sig == unix.SIGINT || sig == unix.SIGQUIT
	if end && p.target == 0 {
		p.target = pid
		p.watch(pid)
	}
	if err := unix.Kill(pid, sig); err != nil && err != unix.ESRCH {
		fmt.Fprintf(os.Stderr, "pidproxy: cannot signal pid %d: %v\n", pid, err)
	}
}

// watch reports the end of a process on p.gone, whosever child it is.
func (p *proxy) watch(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		p.gone <- struct{}{}
		return
	}
	if err != nil {
		return // an old kernel: the end of the command is what is left to wait for
	}
	go func() {
		defer unix.Close(fd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				break
			}
		}
		p.gone <- struct{}{}
	}()
}

// read returns the pid that the file names, 0 if it names none. A number below 1 would be a signal to whole groups.
func (p *proxy) read() int {
	text, err := os.ReadFile(p.pidfile)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}

// parentOf returns the parent of a process, 0 if there is no such process.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything, parentheses too.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
