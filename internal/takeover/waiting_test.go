package takeover

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/host"
	"golang.org/x/sys/unix"
)

// TestWaiting checks which processes count as waiting for their standard input.
func TestWaiting(t *testing.T) {
	for _, c := range []struct {
		name, script string
		prepare      func(in, out *os.File, pid int) error
		want         bool
	}{
		{"reads", "read line", nil, true},
		{"a descendant reads", "sh -c 'read line; :'; :", nil, true},
		{"has written before", "echo said; read line", nil, false},
		{"has written, and that was read", "echo said; read line", func(_, out *os.File, _ int) error {
			_, err := out.Read(make([]byte, 10))
			return err
		}, true},
		{"has not read yet", "read line", func(in, _ *os.File, pid int) error {
			if err := syscall.Kill(-pid, syscall.SIGSTOP); err != nil {
				return err
			}
			if _, err := unix.Wait4(pid, nil, unix.WUNTRACED, nil); err != nil {
				return err
			}
			_, err := in.WriteString("event\n")
			return err
		}, false},
		{"reads something else", "sleep 1000 | cat", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, in, out := reader(t, c.script)
			awaitReader(t, p.Process.PID)
			if c.prepare != nil {
				if err := c.prepare(in, out, p.Process.PID); err != nil {
					t.Fatal(err)
				}
			}
			stdin, err := os.Readlink(procPath(os.Getpid(), "fd/"+strconv.Itoa(p.Stdin)))
			if err != nil {
				t.Fatal(err)
			}
			all, err := everybody()
			if err != nil {
				t.Fatal(err)
			}
			if got := p.waits(stdin, all); got != c.want {
				t.Errorf("waits: %v", got)
			}
			none := p
			none.Stdin = -1
			if none.waits(stdin, all) {
				t.Error("it waits for an input that it does not have")
			}
		})
	}
}

// reader starts a shell in a group of its own, with our ends of its pipes. It ends with the test.
func reader(t *testing.T, script string) (p TakenProcess, in, out *os.File) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout = stdin, stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	stdout.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		in.Close()
		out.Close()
	})
	// Fd makes a file block, and a pipe that blocks is what a test can wait for.
	return TakenProcess{
		Process: &host.Foreign{Identity: host.Identity{PID: cmd.Process.Pid}}, Stdin: int(in.Fd()), Stdout: int(out.Fd()), Stderr: -1,
	}, in, out
}

// awaitReader waits until somebody of a group is in a read of its standard input.
func awaitReader(t *testing.T, group int) {
	t.Helper()
	for end := time.Now().Add(limit); ; {
		all, err := everybody()
		if err != nil {
			t.Fatal(err)
		}
		for pid, stat := range all {
			if stat.Group == group && stat.Name != "sleep" && reads(pid) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("nobody reads for %v", limit)
		}
		pause(t.Context(), time.Millisecond)
	}
}
