package host

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// TestRun: a command runs as the process would, and how it ends is told.
func TestRun(t *testing.T) {
	h, dir := new(Local), t.TempDir()
	environ := []string{"PATH=/usr/bin:/bin", "WORD=hello"}
	plain := &process.Spec{UID: process.UnsetID, Umask: process.UnsetMask, Directory: dir}
	for command, want := range map[string]string{
		`sh -c 'echo "$WORD"; pwd >&2'`:        "hello\n" + dir + "\n|",
		`sh -c 'echo no; exit 3'`:              "no\n|exit status 3",
		`sh -c 'kill -9 $$'`:                   "|terminated by SIGKILL",
		`sh -c 'sleep 1000 & echo $! >left'`:   "|", // it does not wait for what is left behind
		"nowhere":                              "|can't find command 'nowhere'",
		`cat`:                                  "|",
		`sh -c 'ps -o pgid= -p $$ >/dev/null'`: "|",
		`sh -c 'test $$ = $(cut -d" " -f5 </proc/self/stat)'`: "|",
	} {
		out, err := h.Run(t.Context(), plain, environ, command)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got := string(out) + "|" + text; got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "left"))
	if err != nil {
		t.Fatal(err)
	}
	left, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(left, unix.SIGKILL)
	out, err := h.Run(t.Context(), plain, environ, "sh -c 'yes | head -c 100000; echo end'")
	if err != nil || len(out) != runOutput || !strings.HasSuffix(string(out), "\ny\nend\n") {
		t.Errorf("%d bytes, %v, end %q", len(out), err, out[max(0, len(out)-10):])
	}
	if os.Getuid() == 0 {
		other := *plain
		other.UID, other.Directory = 65534, "/"
		if out, err := h.Run(t.Context(), &other, environ, "id -u"); err != nil || string(out) != "65534\n" {
			t.Errorf("as another user: %q, %v", out, err)
		}
	}
}

// TestRunEnds: at the end of its time the command is killed, with what it has started.
func TestRunEnds(t *testing.T) {
	h, dir := new(Local), t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := &process.Spec{UID: process.UnsetID, Umask: process.UnsetMask, Directory: dir}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, spec, os.Environ(), "sh -c '(echo up; exec sleep 1000) >fifo & exec sleep 1000'")
		ended <- err
	}()
	f, err := os.OpenFile(fifo, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 8)); err != nil { // its child is there
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err == nil || err.Error() != "terminated by SIGKILL" {
		t.Errorf("ended with %v", err)
	}
	if n, err := f.Read(make([]byte, 8)); n != 0 || err != io.EOF { // waits as long as its child has the other end
		t.Errorf("read %d, %v", n, err)
	}
}
