package host

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFindStarted finds an orphan by what its environment says, and not one that has another name, is older, or has a parent that is of its kind.
func TestFindStarted(t *testing.T) {
	var mine, its []*os.File
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			r, w = w, r
		}
		mine, its = append(mine, r), append(its, w)
	}
	began := time.Now()
	// The shell that is asked ends at once; the one in the middle is the process, and has a child of its own.
	cmd := exec.Command("/bin/sh", "-c", `sh -c 'echo hello; read word; sleep 1000; :' <&3 >&4 2>&5 3<&- 4>&- 5>&- & echo $!`)
	name := "p" + strconv.Itoa(os.Getpid())
	cmd.Env = append(os.Environ(), "SUPERVISOR_PROCESS_NAME="+name, "SUPERVISOR_GROUP_NAME=g", "SUPERVISOR_SERVER_URL=unix:///mine")
	cmd.ExtraFiles = its
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, k := range kinOf(pid) {
			_ = unix.Kill(k, unix.SIGKILL) // it may have ended
		}
		_ = unix.Kill(pid, unix.SIGKILL)
	})
	for _, f := range append(its, mine...) {
		defer f.Close()
	}
	word := make([]byte, 6)
	if _, err := io.ReadFull(mine[1], word); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		group, name, url string
		since            time.Time
	}{
		{"g", "other", "unix:///mine", began}, {"other", name, "unix:///mine", began}, {"g", name, "unix:///mine", time.Now().Add(time.Hour)},
		{"g", name, "unix:///other", began}, {"g", name, "", began},
	} {
		if there, err := FindStarted(c.group, c.name, c.url, c.since, false); !errors.Is(err, ErrGone) {
			t.Errorf("%+v is found: %+v, %v", c, there, err)
		}
	}
	if _, err := mine[0].WriteString("go on\n"); err != nil {
		t.Fatal(err)
	}
	there, err := FindStarted("g", name, "unix:///mine", began, false)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if there.PID != pid {
		t.Errorf("found %d, not %d", there.PID, pid)
	}
	for i, f := range mine {
		if inode(there.Fds[i]) != inode(int(f.Fd())) {
			t.Errorf("descriptor %d is no end of its pipe", i)
		}
	}
	redirected, err := FindStarted("g", name, "unix:///mine", began, true)
	if err != nil {
		t.Fatal(err)
	}
	defer redirected.Close()
	if redirected.Fds[2] != -1 {
		t.Errorf("standard error has a pipe of its own: %v", redirected.Fds)
	}
}

// TestHolders finds the process that was started with a pipe, and none of those that it has started and that hold it too.
func TestHolders(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", "for n in 1 2 3; do (echo up; exec sleep 1000) & done; wait")
	cmd.Stdout, cmd.SysProcAttr = w, &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		_ = cmd.Wait() // it was killed
	}()
	if _, err := io.ReadFull(r, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	if got := holders()[inode(int(r.Fd()))]; got.PID != cmd.Process.Pid {
		t.Errorf("found %+v, not %d", got, cmd.Process.Pid)
	}
}

// TestEldest tells who of several that hold one pipe was started with it.
func TestEldest(t *testing.T) {
	for _, c := range []struct {
		name string
		list []Stat
		want int
	}{
		{"alone", []Stat{{PID: 7, Parent: 1, Group: 7}}, 7},
		{"a child whose number is smaller", []Stat{{PID: 3, Parent: 7, Group: 7, StartTime: 5}, {PID: 7, Parent: 1, Group: 7, StartTime: 5}}, 7},
		{"an orphan in its group", []Stat{{PID: 3, Parent: 1, Group: 7, StartTime: 5}, {PID: 7, Parent: 1, Group: 7, StartTime: 5}}, 7},
		{"an orphan in a group of its own", []Stat{{PID: 3, Parent: 1, Group: 3, StartTime: 6}, {PID: 7, Parent: 1, Group: 7, StartTime: 5}}, 7},
	} {
		for range 2 {
			if got := eldest(c.list).PID; got != c.want {
				t.Errorf("%s: %d, not %d", c.name, got, c.want)
			}
			slices.Reverse(c.list)
		}
	}
}

// TestAwaitForks waits for an orphan that still is this program, as what a keeper has forked is for a moment, and finds it when it is another one.
func TestAwaitForks(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	began := time.Now()
	name := "f" + strconv.Itoa(os.Getpid())
	cmd := exec.Command("/bin/sh", "-c", `"$0" <&3 3<&- >/dev/null 2>&1 & echo $!`, exe)
	cmd.Env = append(os.Environ(), "HOST_TEST_CHILD=become "+name)
	cmd.ExtraFiles = []*os.File{r}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGKILL) })
	for own, err := os.Readlink("/proc/self/exe"); ; runtime.Gosched() { // the shell has forked, but may not have become this program
		if to, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err != nil || to == own {
			break
		}
	}
	waited := make(chan struct{})
	go func() {
		AwaitForks(began.Add(-time.Second))
		close(waited)
	}()
	select {
	case <-waited:
		t.Error("nobody waits for what is no other program yet")
	case <-time.After(100 * time.Millisecond):
	}
	if _, err := w.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	<-waited
	there, err := FindStarted("g", name, "", began, true)
	if err != nil || there.PID != pid {
		t.Fatalf("%+v, %v; want pid %d", there, err, pid)
	}
	there.Close()
}
