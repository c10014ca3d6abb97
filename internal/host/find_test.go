package host

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
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
	cmd.Env = append(os.Environ(), "SUPERVISOR_PROCESS_NAME="+name, "SUPERVISOR_GROUP_NAME=g")
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
		group, name string
		since       time.Time
	}{{"g", "other", began}, {"other", name, began}, {"g", name, time.Now().Add(time.Hour)}} {
		if there, err := FindStarted(c.group, c.name, c.since, false); !errors.Is(err, ErrGone) {
			t.Errorf("%+v is found: %+v, %v", c, there, err)
		}
	}
	if _, err := mine[0].WriteString("go on\n"); err != nil {
		t.Fatal(err)
	}
	there, err := FindStarted("g", name, began, false)
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
	redirected, err := FindStarted("g", name, began, true)
	if err != nil {
		t.Fatal(err)
	}
	defer redirected.Close()
	if redirected.Fds[2] != -1 {
		t.Errorf("standard error has a pipe of its own: %v", redirected.Fds)
	}
}
