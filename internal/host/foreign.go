package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// ErrGone says that a process has ended, whoever has its pid now.
var ErrGone = errors.New("the process has ended")

// Identity names one process of this machine: a pid alone is given again.
type Identity struct {
	BootID    string // of the kernel's run: start times count from it
	PID       int
	StartTime uint64 // in clock ticks since boot
}

// Identify returns the identity of the process that has the pid now. The error is ErrGone when there is none.
func Identify(pid int) (Identity, error) {
	stat, err := ReadStat(pid)
	if err != nil {
		return Identity{}, err
	}
	return Identity{BootID: bootID(), PID: pid, StartTime: stat.StartTime}, nil
}

// BootID names this run of the kernel; "" where it is hidden.
func BootID() string { return bootID() }

// bootID names this run of the kernel; "" where it is hidden.
var bootID = sync.OnceValue(func() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot))
})

// Foreign is a process that somebody else has started: it is supervised through its pidfd. Where there are no pidfds (Pidfd -1) it is looked for in
// /proc.
//
// The pidfd becomes readable (EPOLLIN) when the process has ended, and is hung up (EPOLLHUP) when its parent has taken note of that. Between the
// two it stays readable: whoever waits for both does so edge-triggered.
type Foreign struct {
	Identity
	Pidfd int
}

// OpenForeign returns the process of that identity, also when it has ended and its parent has not taken note yet. The error is ErrGone when there is
// no such process any more. The caller closes it.
func OpenForeign(id Identity) (*Foreign, error) {
	fd, err := OpenPidfd(id.PID)
	if err == unix.ESRCH {
		return nil, ErrGone
	}
	if err != nil && !noPidfds(err) {
		return nil, fmt.Errorf("cannot open a descriptor of process %d: %v", id.PID, err)
	}
	f := &Foreign{Identity: id, Pidfd: fd}
	// Asked after the pidfd was opened: whoever has this start time now had the pid then, too.
	if err := f.same(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close closes the pidfd. The process is left alone.
func (f *Foreign) Close() { closeAll([]int{f.Pidfd}) }

// same returns ErrGone unless the pid is still that of the process.
func (f *Foreign) same() error {
	now, err := Identify(f.PID)
	if err == nil && now != f.Identity {
		err = ErrGone
	}
	return err
}

func (f *Foreign) isSame() bool { return f.same() == nil }

// Signal sends a signal to the process, or to the group that it leads. One that is gone is no error: how it ended is on its way.
func (f *Foreign) Signal(sig process.Signal, toGroup bool) error {
	if f.Pidfd < 0 || Disabled("pidfd_send_signal") {
		return f.signalPID(sig, toGroup)
	}
	flags := 0
	if toGroup {
		flags = unix.PIDFD_SIGNAL_PROCESS_GROUP
	}
	err := unix.PidfdSendSignal(f.Pidfd, unix.Signal(sig), nil, flags)
	if err == unix.EINVAL && toGroup || err == unix.ENOSYS {
		return f.signalPID(sig, toGroup) // Linux before 6.9, or 5.1
	}
	if err == unix.ESRCH {
		return nil
	}
	return err
}

// signalPID sends a signal by number: that of a group is its leader's pid.
func (f *Foreign) signalPID(sig process.Signal, toGroup bool) error {
	if !f.isSame() {
		return nil
	}
	return kill(f.PID, SignalRequest{Signal: sig, ToGroup: toGroup})
}

// Ending is what can be told about the end of a foreign process.
type Ending int

// The endings.
const (
	Alive    Ending = iota // it has not ended
	Unreaped               // it has ended, and how will be known when its parent has taken note
	Ended                  // it has ended, and how is known
	Untold                 // it has ended, and nobody will ever tell how
)

// Ended tells whether and how the process has ended. It is asked when the pidfd has become readable, and again at its hang-up while the answer is
// Unreaped; the status belongs to Ended alone.
func (f *Foreign) Ended() (process.ExitStatus, Ending) {
	events, err := f.poll()
	if err == nil && events&unix.POLLIN != 0 && events&unix.POLLHUP == 0 {
		if status, ok := f.zombie(); ok {
			return status, Ended
		}
		events, err = f.poll() // it may have been reaped meanwhile
	}
	switch {
	case err != nil:
		return process.ExitStatus{}, Untold
	case events&unix.POLLHUP != 0:
		return f.reaped()
	case events&unix.POLLIN != 0:
		return process.ExitStatus{}, Unreaped
	}
	return process.ExitStatus{}, Alive
}

// poll returns what the pidfd is ready for, or would be.
func (f *Foreign) poll() (events int16, err error) {
	if f.Pidfd < 0 {
		return f.look(), nil
	}
	fds := []unix.PollFd{{Fd: int32(f.Pidfd), Events: unix.POLLIN}}
	for {
		if _, err = unix.Poll(fds, 0); err != unix.EINTR {
			return fds[0].Revents, err
		}
	}
}

// look tells from /proc what a pidfd would be ready for.
func (f *Foreign) look() int16 {
	stat, err := ReadStat(f.PID)
	switch {
	case err != nil || stat.StartTime != f.StartTime:
		return unix.POLLIN | unix.POLLHUP
	case stat.State == 'Z':
		return unix.POLLIN
	}
	return 0
}

// zombie returns the status that waits for the parent. It reports false where it is hidden from this process.
func (f *Foreign) zombie() (process.ExitStatus, bool) {
	if hidden(f.PID) {
		return process.ExitStatus{}, false
	}
	stat, err := ReadStat(f.PID)
	if err != nil || stat.State != 'Z' || stat.StartTime != f.StartTime {
		return process.ExitStatus{}, false
	}
	return exitStatus(stat.Status), true
}

// hidden reports whether the status of a zombie reads 0 because the reader has no right to it. The right is the same as for its links, which
// point nowhere.
func hidden(pid int) bool {
	_, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return !errors.Is(err, unix.ENOENT)
}

// reaped returns the status that the kernel keeps for the holders of a pidfd, since Linux 6.15.
func (f *Foreign) reaped() (process.ExitStatus, Ending) {
	if f.Pidfd < 0 || Disabled("pidfd_info_exit") {
		return process.ExitStatus{}, Untold
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := unix.IoctlPidfdInfo(f.Pidfd, &info); err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return process.ExitStatus{}, Untold
	}
	return exitStatus(unix.WaitStatus(info.Exit_code)), Ended
}

// exitStatus reads a wait status.
func exitStatus(ws unix.WaitStatus) process.ExitStatus {
	if ws.Signaled() {
		return process.ExitStatus{Signal: process.Signal(ws.Signal()), CoreDumped: ws.CoreDump()}
	}
	return process.ExitStatus{Code: ws.ExitStatus()}
}

// Stat is what /proc tells about any process.
type Stat struct {
	PID, Parent, Group int
	Name               string
	State              byte   // R, S, D, T, t, Z, ...
	StartTime          uint64 // in clock ticks since boot
	Status             unix.WaitStatus
}

// ReadStat reads /proc/PID/stat. The error is ErrGone when there is no such process.
func ReadStat(pid int) (Stat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return Stat{}, ErrGone
	}
	if err != nil {
		return Stat{}, fmt.Errorf("cannot look at process %d: %v", pid, err)
	}
	return parseStat(pid, string(data))
}

// parseStat reads the fields by the numbers that proc(5) gives them. The second, the name, may hold anything.
func parseStat(pid int, line string) (Stat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("cannot read /proc/%d/stat: %q", pid, line)
	}
	fields := strings.Fields(line[end+1:])
	field := func(n int) (v uint64) {
		if n -= 3; n < len(fields) {
			v, _ = strconv.ParseUint(fields[n], 10, 64)
		}
		return v
	}
	if len(fields) < 20 || len(fields[0]) != 1 {
		return Stat{}, fmt.Errorf("cannot read /proc/%d/stat: %q", pid, line)
	}
	return Stat{PID: pid, Parent: int(field(4)), Group: int(field(5)), Name: line[open+1 : end], State: fields[0][0], StartTime: field(22),
		Status: unix.WaitStatus(field(52))}, nil
}
