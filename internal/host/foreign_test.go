package host

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

// stepchild starts a process whose parent is a shell that waits for it. The script runs as the leader of a process group, as Supervisor's
// children do.
func stepchild(t *testing.T, script string) (f *Foreign, parent *exec.Cmd) {
	t.Helper()
	parent = exec.Command("/bin/sh", "-c", `setsid /bin/sh -c "$0" </dev/null >/dev/null & echo $!; wait`, script)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		parent.Process.Kill()
		parent.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	id, err := Identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = OpenForeign(id); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.PidfdSendSignal(f.Pidfd, unix.SIGKILL, nil, 0)
		f.Close()
	})
	return f, parent
}

// awaitEvents waits in an epoll of its own until the pidfd tells of all these events.
func awaitEvents(t *testing.T, f *Foreign, events uint32) {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, f.Pidfd, &unix.EpollEvent{Events: events | unix.EPOLLET}); err != nil {
		t.Fatal(err)
	}
	for {
		var got [1]unix.EpollEvent
		n, err := unix.EpollWait(ep, got[:], 10_000)
		switch {
		case err == unix.EINTR:
		case err != nil || n == 0:
			t.Fatalf("process %d: no event %#x within 10 s: %v", f.PID, events, err)
		case got[0].Events&events == events:
			return
		}
	}
}

// stop stops a process and returns when it has come to a halt.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WSTOPPED, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// TestForeignEnd checks that the end of a process of another parent is told, before and after that parent has taken note.
func TestForeignEnd(t *testing.T) {
	for _, c := range []struct {
		script string
		sig    process.Signal
		want   process.ExitStatus
	}{
		{"kill -STOP $$; exit 0", 0, process.ExitStatus{}},
		{"kill -STOP $$; exit 42", 0, process.ExitStatus{Code: 42}},
		{"sleep 1000", process.SIGKILL, process.ExitStatus{Signal: 9}},
		{"trap '' TERM; kill -TERM $$; kill -USR1 $$", 0, process.ExitStatus{Signal: 10}},
	} {
		t.Run(c.script, func(t *testing.T) {
			f, parent := stepchild(t, "kill -STOP $$; "+c.script)
			if _, e := f.Ended(); e != Alive {
				t.Fatalf("a process that runs: %v", e)
			}
			stop(t, parent)
			resume(t, f, c.sig)
			awaitEvents(t, f, unix.EPOLLIN)
			for _, f := range []*Foreign{f, {f.Identity, -1}} { // with a pidfd and without
				if status, e := f.Ended(); e != Ended || status != c.want {
					t.Errorf("not reaped yet: %v, %v; want %v", status, e, c.want)
				}
			}
			if err := parent.Process.Signal(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			awaitEvents(t, f, unix.EPOLLIN|unix.EPOLLHUP)
			status, e := f.Ended()
			if e == Untold {
				t.Skip("hidden: the status of a process that was reaped by another, because this kernel is older than 6.15 and does not tell it")
			}
			if e != Ended || status != c.want {
				t.Errorf("reaped: %v, %v; want %v", status, e, c.want)
			}
			if _, err := OpenForeign(f.Identity); !errors.Is(err, ErrGone) {
				t.Errorf("opened again: %v", err)
			}
			if err := f.Signal(process.SIGTERM, false); err != nil {
				t.Errorf("a signal to it: %v", err)
			}
			if err := f.Signal(process.SIGTERM, true); err != nil {
				t.Errorf("a signal to its group: %v", err)
			}
			if err := f.signalPID(process.SIGTERM, true); err != nil {
				t.Errorf("a signal to its group by number: %v", err)
			}
			bare := Foreign{f.Identity, -1}
			if _, e := bare.Ended(); e != Untold {
				t.Errorf("looked for in /proc: %v", e)
			}
		})
	}
}

// resume lets a process go on that stops itself, once or twice, and sends it a signal.
func resume(t *testing.T, f *Foreign, sig process.Signal) {
	t.Helper()
	for {
		stat, err := ReadStat(f.PID)
		if err != nil {
			t.Fatal(err)
		}
		if stat.State == 'Z' {
			return
		}
		if stat.State != 'T' {
			continue
		}
		if sig != 0 {
			if err := f.Signal(sig, true); err != nil {
				t.Fatal(err)
			}
			return
		}
		if err := f.Signal(process.Signal(unix.SIGCONT), false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignGroup checks that a signal reaches the members of a group, with the kernel's flag and by the number.
func TestForeignGroup(t *testing.T) {
	for name, send := range map[string]func(*Foreign, process.Signal) error{
		"flag":   func(f *Foreign, sig process.Signal) error { return f.Signal(sig, true) },
		"number": func(f *Foreign, sig process.Signal) error { return f.signalPID(sig, true) },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := stepchild(t, "sleep 1000 & kill -STOP $$; wait")
			for stat, err := ReadStat(f.PID); stat.State != 'T'; stat, err = ReadStat(f.PID) {
				if err != nil {
					t.Fatal(err)
				}
			}
			member := memberOf(t, f.PID)
			if err := send(f, process.SIGKILL); err != nil {
				t.Fatal(err)
			}
			awaitEvents(t, member, unix.EPOLLIN)
			awaitEvents(t, f, unix.EPOLLIN)
		})
	}
}

// memberOf returns a process of the group that is not its leader.
func memberOf(t *testing.T, group int) *Foreign {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == group {
			continue
		}
		if stat, err := ReadStat(pid); err != nil || stat.Group != group {
			continue
		}
		id, err := Identify(pid)
		if err != nil {
			t.Fatal(err)
		}
		f, err := OpenForeign(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		return f
	}
	t.Fatalf("group %d has no member", group)
	return nil
}

// TestForeignIdentity checks that another process with the same pid is not taken for the one that was meant.
func TestForeignIdentity(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenForeign(self)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	later, other := self, self
	later.StartTime++
	other.BootID = "another run"
	for _, id := range []Identity{later, other} {
		if _, err := OpenForeign(id); !errors.Is(err, ErrGone) {
			t.Errorf("%v is taken for %v: %v", self, id, err)
		}
	}
	if _, err := Identify(1 << 30); !errors.Is(err, ErrGone) {
		t.Errorf("a pid that does not exist: %v", err)
	}
}

// TestForeignHidden checks that a status that the reader has no right to see is not taken for success.
func TestForeignHidden(t *testing.T) {
	if pid := os.Getenv("HOST_TEST_FOREIGN"); pid != "" {
		tellForeign(pid)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("hidden: the status of another user's process, because only root can start one")
	}
	f, parent := stepchild(t, "kill -STOP $$; exit 3")
	stop(t, parent)
	resume(t, f, 0)
	awaitEvents(t, f, unix.EPOLLIN)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestForeignHidden$")
	cmd.Env = append(os.Environ(), "HOST_TEST_FOREIGN="+strconv.Itoa(f.PID))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("ending %d\n", Unreaped); err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("another user sees %q, %v; want %q", out, err, want)
	}
}

// tellForeign prints what this process sees of the end of another.
func tellForeign(pid string) {
	n, _ := strconv.Atoi(pid)
	id, err := Identify(n)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := OpenForeign(id)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	_, e := f.Ended()
	fmt.Printf("ending %d\n", e)
}

// TestParseStat checks the fields of a line whose name tries to be a line itself.
func TestParseStat(t *testing.T) {
	line := "7 (a) R 1 (b) S 5 6 7 8 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 10 11 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 10752\n"
	got, err := parseStat(7, line)
	want := Stat{PID: 7, Parent: 5, Group: 6, Name: "a) R 1 (b", State: 'S', StartTime: 777, Status: 10752}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "7 (a", "7 (a) S 1 2", ")7 ("} {
		if got, err := parseStat(7, bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

// TestEndAfterEnd checks that a keeper that is told late to end a daemon ends nobody else, where the number of its descriptor is another process's by now.
func TestEndAfterEnd(t *testing.T) {
	const number = 900 // that no other test comes to
	daemon, _ := stepchild(t, "exec sleep 1000")
	other, _ := stepchild(t, "exec sleep 1000")
	fd, err := unix.FcntlInt(uintptr(daemon.Pidfd), unix.F_DUPFD_CLOEXEC, number)
	if err != nil {
		t.Fatal(err)
	}
	k, d := emptyKeeper(KeeperOptions{}), newGeneration(daemon.PID)
	if err := k.follow(d, &Foreign{Identity: daemon.Identity, Pidfd: fd}); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Signal(process.SIGTERM, false); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	if again, err := unix.FcntlInt(uintptr(other.Pidfd), unix.F_DUPFD_CLOEXEC, number); err != nil || again != fd {
		t.Fatalf("the number is %d, not %d: %v", again, fd, err)
	}
	defer unix.Close(fd)
	k.end(d)
	if err := other.Signal(process.SIGTERM, false); err != nil {
		t.Fatal(err)
	}
	awaitEvents(t, other, unix.EPOLLIN)
	if status, how := other.Ended(); status.Signal == process.SIGKILL {
		t.Errorf("another process was killed: %v, %v", status, how)
	}
}
