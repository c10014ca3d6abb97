package childlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests. It is reached only by a failure.
const patience = 20 * time.Second

// reports collects what a stream reports.
type reports struct {
	mu    sync.Mutex
	texts []string
}

func (r *reports) add(text string) {
	r.mu.Lock()
	r.texts = append(r.texts, text)
	r.mu.Unlock()
}

func (r *reports) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := r.texts
	r.texts = nil
	return texts
}

// channel is a stream with the pipe it drains.
type channel struct {
	*Stream
	reports
	t    *testing.T
	r, w int
}

func newChannel(t *testing.T, cfg Config) *channel {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	c := &channel{t: t, r: fds[0], w: fds[1]}
	c.Stream = NewStream(cfg, c.add)
	t.Cleanup(func() {
		unix.Close(c.r)
		if c.w >= 0 {
			unix.Close(c.w)
		}
		c.Close()
		c.Dispose()
	})
	return c
}

// opened returns a channel ready to drain.
func opened(t *testing.T, cfg Config) *channel {
	t.Helper()
	c := newChannel(t, cfg)
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	return c
}

// say writes text to the pipe and drains all of it.
func (c *channel) say(text string) {
	c.t.Helper()
	if _, err := unix.Write(c.w, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
	if n, err := c.Drain(c.r, 64<<10); n != len(text) || err != nil {
		c.t.Fatalf("drained %d of %d bytes: %v", n, len(text), err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got := read(t, path); got != want {
		t.Errorf("%s holds %q, want %q", filepath.Base(path), got, want)
	}
}

func TestDrain(t *testing.T) {
	t.Run("spliced", testDrain)
	t.Run("copied", func(t *testing.T) {
		Copies = true
		defer func() { Copies = false }()
		testDrain(t)
	})
}

func testDrain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := opened(t, Config{Path: path})
	if n, err := c.Drain(c.r, 100); n != 0 || err != nil {
		t.Errorf("empty pipe: %d, %v", n, err)
	}
	if _, _, handled := c.target.splice(c.r, 1, limits{}); handled == Copies {
		t.Errorf("spliced: %v", handled)
	}
	c.say("one\n")
	wantFile(t, path, "old\none\n")
	// Somebody else truncates the file: no hole appears.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	c.say("two\n")
	wantFile(t, path, "two\n")
	unix.Write(c.w, []byte("0123456789"))
	if n, err := c.Drain(c.r, 4); n != 4 || err != nil {
		t.Errorf("at most 4: %d, %v", n, err)
	}
	unix.Close(c.w)
	c.w = -1
	if n, err := c.Drain(c.r, 100); n != 6 || err != nil {
		t.Errorf("rest: %d, %v", n, err)
	}
	if n, err := c.Drain(c.r, 100); n != 0 || err != io.EOF {
		t.Errorf("no writer left: %d, %v", n, err)
	}
	wantFile(t, path, "two\n0123456789")
	if texts := c.take(); len(texts) != 0 {
		t.Errorf("reports %q", texts)
	}
}

func TestNotKept(t *testing.T) {
	c := opened(t, Config{})
	c.say("nothing\n")
	unix.Close(c.w)
	c.w = -1
	if n, err := c.Drain(c.r, 100); n != 0 || err != io.EOF {
		t.Errorf("no writer left: %d, %v", n, err)
	}
	if err := c.Clear(); err != nil {
		t.Error(err)
	}
	if _, err := c.Follow(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("follow: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	listenSyslog(t, socket)
	for path, want := range map[string]syscall.Errno{
		socket:                            syscall.ENXIO, // as Supervisor's open
		filepath.Join(dir, "none", "log"): syscall.ENOENT,
		dir:                               syscall.EISDIR,
	} {
		c := newChannel(t, Config{Path: path})
		var errno syscall.Errno
		if err := c.Open(); !errors.As(err, &errno) || errno != want {
			t.Errorf("open %s: %v, want %v", path, err, want)
		}
	}
}

// TestRelativePath checks that a relative path means the directory of the moment of each Open.
func TestRelativePath(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	t.Chdir(a)
	c := opened(t, Config{Path: "log"})
	c.say("a\n")
	c.Close()
	t.Chdir(b)
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	c.say("b\n")
	wantFile(t, filepath.Join(a, "log"), "a\n")
	wantFile(t, filepath.Join(b, "log"), "b\n")
}

func TestClear(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := newChannel(t, Config{Path: path, MaxBytes: 4, Backups: 1})
	// What was never written does not come into being by being cleared.
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the clear of a process that never ran makes a file: %v", err)
	}
	// compat: Supervisor reports success and does nothing for a process that does not run; we clear (quirk D9).
	if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "")
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	c.say("1234")
	c.say("56")
	before, _ := os.Stat(path)
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || os.SameFile(before, after) && after.Size() != 0 {
		t.Errorf("after Clear: %v %v", after, err)
	}
	c.say("7")
	wantFile(t, path, "7")
	wantFile(t, path+".1", "1234")
	os.Remove(path)
	if err := c.Clear(); err != nil {
		t.Errorf("clear of a missing file: %v", err)
	}
	c.say("8")
	wantFile(t, path, "8")
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := newChannel(t, Config{Path: path})
	if err := c.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reopen of a stopped process made a file: %v", err)
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	c.say("one\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	c.say("two\n")
	if err := c.Reopen(); err != nil {
		t.Fatal(err)
	}
	c.say("three\n")
	wantFile(t, path+".old", "one\ntwo\n")
	wantFile(t, path, "three\n")
}

func TestReconfigure(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	c := opened(t, Config{Path: a})
	c.say("1")
	if err := c.Reconfigure(Config{Path: a, MaxBytes: 3, Backups: 2}); err != nil {
		t.Fatal(err)
	}
	c.say("234")
	wantFile(t, a+".1", "1234")
	if err := c.Reconfigure(Config{Path: b}); err != nil {
		t.Fatal(err)
	}
	c.say("5")
	wantFile(t, a, "")
	wantFile(t, b, "5")
	if c.Path() != b {
		t.Errorf("path %q", c.Path())
	}
	if err := c.Reconfigure(Config{}); err != nil {
		t.Fatal(err)
	}
	c.say("6")
	if err := c.Reconfigure(Config{Path: b}); err != nil {
		t.Fatal(err)
	}
	c.say("7")
	wantFile(t, b, "57")
	// A path that cannot be opened loses output until it can.
	later := filepath.Join(dir, "later", "log")
	if err := c.Reconfigure(Config{Path: later}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that cannot be opened: %v", err)
	}
	c.say("8")
	if err := os.Mkdir(filepath.Join(dir, "later"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.say("9")
	wantFile(t, later, "9")
	want := []string{"cannot write log " + later + ": no such file or directory; output is dropped until it works again",
		"writing log " + later + " works again; 1 bytes were lost"}
	if got := c.take(); !slices.Equal(got, want) {
		t.Errorf("reports %q, want %q", got, want)
	}
}

// TestSharedPath checks that two channels with one path neither overwrite each other nor rotate against each other.
func TestSharedPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	cfg := Config{Path: path, MaxBytes: 6, Backups: 3}
	a, b := opened(t, cfg), opened(t, cfg)
	a.say("a1 ")
	b.say("b1 ")
	a.say("a2 ")
	b.Close()
	a.say("a3 ")
	a.say("a4 ")
	wantFile(t, path+".2", "a1 b1 ")
	wantFile(t, path+".1", "a2 a3 ")
	wantFile(t, path, "a4 ")
}
