package host

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// TestNoPermission checks the text about a file that somebody may execute, but not the daemon's user.
func TestNoPermission(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o610); err != nil { // the group alone
		t.Fatal(err)
	}
	done := make(chan *CommandError)
	go func() {
		// The owner has no right to it, except root. access(2) looks at the real user, which can change for one thread; it ends with the
		// goroutine, since that stays locked to it.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, 65534, ^uintptr(0), ^uintptr(0)); errno != 0 {
				t.Errorf("cannot change the group of a thread: %v", errno)
			}
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, ^uintptr(0), ^uintptr(0)); errno != 0 {
				t.Errorf("cannot change the user of a thread: %v", errno)
			}
		}
		done <- checkFile(file)
	}()
	if err := <-done; err == nil || err.Reason != NotExecutable || err.Text != "no permission to run command '"+file+"'" {
		t.Errorf("%+v", err)
	}
}

// TestForkFailures compares the texts about a fork that fails.
func TestForkFailures(t *testing.T) {
	spec := &process.Spec{Name: "p"}
	for err, want := range map[error]string{
		unix.EAGAIN:                              "Too many processes in process table to spawn 'p'",
		unix.EMFILE:                              "too many open files to spawn 'p'",
		unix.ENOMEM:                              "unknown error during fork for 'p': ENOMEM",
		errors.Join(errors.New("x"), unix.EPERM): "unknown error during fork for 'p': EPERM",
	} {
		if got := forkFailure(spec.Name, err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
