package childlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// eachWay runs a test with a stream that splices and with those that filter, with and without a Stage.
func eachWay(t *testing.T, test func(t *testing.T, cfg Config)) {
	filtered := Config{StripANSI: true, CaptureMaxBytes: 100}
	t.Run("spliced", func(t *testing.T) { test(t, Config{}) })
	t.Run("staged", func(t *testing.T) { test(t, filtered) })
	t.Run("filtered", func(t *testing.T) {
		unstaged = true
		defer func() { unstaged = false }()
		test(t, filtered)
	})
}

// TestFullDisk keeps supervision going: what cannot be written is dropped, and one line tells so.
func TestFullDisk(t *testing.T) {
	t.Run("device", func(t *testing.T) {
		// One of our own, so that a mistake here breaks nothing but itself.
		full := filepath.Join(t.TempDir(), "full")
		if os.Getuid() != 0 || unix.Mknod(full, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 7))) != nil || unix.Access(full, unix.W_OK) != nil {
			t.Skip("hidden: a log on a device that is full, because only root can make a device, where the file system has any")
		}
		c := opened(t, Config{Path: full, MaxBytes: 10, Backups: 1})
		c.say("one\n")
		c.say("two\n")
		if err := c.Clear(); err != nil {
			t.Error(err)
		}
		if st, err := os.Stat(full); err != nil || st.Mode()&fs.ModeDevice == 0 {
			t.Errorf("the device: %v %v", st, err)
		}
		want := []string{"cannot write log " + full + ": no space left on device; output is dropped until it works again"}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("reports %q, want %q", got, want)
		}
	})
	eachWay(t, func(t *testing.T, cfg Config) {
		if os.Getuid() != 0 {
			t.Skip("hidden: a log on a full disk, because only root can mount a small file system")
		}
		dir := t.TempDir()
		if err := unix.Mount("small", dir, "tmpfs", 0, "size=64k"); err != nil {
			t.Skipf("hidden: a log on a full disk, because this needs the privilege to mount a tmpfs: %v", err)
		}
		defer unix.Unmount(dir, unix.MNT_DETACH)
		path := filepath.Join(dir, "log")
		cfg.Path = path
		c := opened(t, cfg)
		chunk := strings.Repeat("x", 32<<10)
		filler := filepath.Join(dir, "filler")
		if err := os.WriteFile(filler, []byte(chunk), 0o644); err != nil {
			t.Fatal(err)
		}
		c.say(chunk)
		c.say("lost1")
		c.say("lost2")
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		c.say("kept")
		wantFile(t, path, chunk+"kept")
		want := []string{"cannot write log " + path + ": no space left on device; output is dropped until it works again",
			"writing log " + path + " works again; 10 bytes were lost"}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("reports %q, want %q", got, want)
		}
	})
}

func TestRemovedDirectory(t *testing.T) { eachWay(t, testRemovedDirectory) }

func testRemovedDirectory(t *testing.T, cfg Config) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log")
	cfg.Path, cfg.MaxBytes, cfg.Backups = path, 8, 2
	c := opened(t, cfg)
	c.say("1234")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	c.say("5678") // into the unlinked file; the rotation has nowhere to go
	c.say("lost")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.say("again")
	wantFile(t, path, "again")
	if got := c.take(); len(got) != 3 || !strings.HasPrefix(got[0], "cannot rotate log ") || !strings.HasSuffix(got[2], "works again; 4 bytes were lost") {
		t.Errorf("reports %q", got)
	}
}

// TestFailedRotation keeps the file when it cannot be renamed.
func TestFailedRotation(t *testing.T) { eachWay(t, testFailedRotation) }

func testFailedRotation(t *testing.T, cfg Config) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.MkdirAll(path+".1/x", 0o755); err != nil {
		t.Fatal(err)
	}
	cfg.Path, cfg.MaxBytes, cfg.Backups = path, 4, 1
	c := opened(t, cfg)
	c.say("1234")
	c.say("5")
	wantFile(t, path, "12345")
	if got := c.take(); len(got) != 1 || !strings.Contains(got[0], "cannot rotate log "+path) {
		t.Errorf("reports %q", got)
	}
	if err := os.RemoveAll(path + ".1"); err != nil {
		t.Fatal(err)
	}
	c.say("678") // another MaxBytes later it is tried again
	wantFile(t, path+".1", "12345678")
	wantFile(t, path, "")
}

// TestCopyTruncate has somebody else truncate the file, as logrotate's copytruncate does: no hole appears.
func TestCopyTruncate(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg Config) {
		cfg.Path, cfg.MaxBytes, cfg.Backups = filepath.Join(t.TempDir(), "log"), 10, 1
		c := opened(t, cfg)
		c.say("1234567890") // the file after a rotation is another one
		c.say("abc")
		if err := os.Truncate(cfg.Path, 0); err != nil {
			t.Fatal(err)
		}
		c.say("def")
		wantFile(t, cfg.Path, "def")
	})
}

// TestNotPermitted takes the permission to open the log away while it is closed: the output goes on, and so does the log later.
func TestNotPermitted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: a log that may not be opened for a while, because only root can become somebody else")
	}
	eachWay(t, func(t *testing.T, cfg Config) {
		cfg.Path = filepath.Join(t.TempDir(), "log")
		c := opened(t, cfg)
		c.say("1")
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			const nobody = 65534
			if err := unix.Setfsuid(nobody); err != nil {
				t.Error(err)
				return
			}
			if err := c.Reopen(); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("reopened: %v", err)
			}
			unix.Write(c.w, []byte("lost"))
			if n, err := c.Drain(c.r, 100); n != 4 || err != nil {
				t.Errorf("drained %d: %v", n, err)
			}
			other := NewStream(Config{Path: cfg.Path}, c.add)
			defer other.Dispose()
			if err := other.Open(); !errors.Is(err, unix.EACCES) {
				t.Errorf("opened: %v", err)
			}
		}()
		<-done
		c.say("2")
		wantFile(t, cfg.Path, "12")
		want := []string{"cannot write log " + cfg.Path + ": permission denied; output is dropped until it works again",
			"writing log " + cfg.Path + " works again; 4 bytes were lost"}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("reports %q, want %q", got, want)
		}
	})
}

// descriptorLimit lowers the limit of this process. take uses up what is left, free ends all that.
func descriptorLimit(t *testing.T) (take, free func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: 100, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var taken []int
	take = func() {
		for {
			fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return
			}
			taken = append(taken, fd)
		}
	}
	return take, func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
		taken = nil
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}
}

// TestDescriptorLimit reaches the limit of descriptors: a log takes the place of a quiet one; with none left the loss is reported, and the
// log goes on when there are descriptors again. A rotation needs no further one.
func TestDescriptorLimit(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg Config) {
		dir := t.TempDir()
		quiet := opened(t, Config{Path: filepath.Join(dir, "quiet")})
		quiet.say("q")
		cfg.Path, cfg.MaxBytes, cfg.Backups = filepath.Join(dir, "log"), 4, 1
		late := newChannel(t, cfg)
		take, free := descriptorLimit(t)
		defer free()
		take()
		if err := late.Open(); err != nil {
			t.Fatal(err)
		}
		late.say("1234")
		late.say("5")
		quiet.say("r") // takes the only descriptor back
		late.target.mu.Lock()
		late.target.closeDescriptor() // as another part of the daemon may need it
		late.target.mu.Unlock()
		quiet.target.mu.Lock()
		quiet.target.closeDescriptor()
		quiet.target.mu.Unlock()
		take()
		late.say("lost")
		free()
		late.say("6")
		wantFile(t, cfg.Path+".1", "1234")
		wantFile(t, cfg.Path, "56")
		wantFile(t, filepath.Join(dir, "quiet"), "qr")
		want := []string{"cannot write log " + cfg.Path + ": too many open files; output is dropped until it works again",
			"writing log " + cfg.Path + " works again; 4 bytes were lost"}
		if got := late.take(); !slices.Equal(got, want) {
			t.Errorf("reports %q, want %q", got, want)
		}
	})
}

// TestEndlessLine writes 10 MB without a newline through every filter: nothing is lost, and nothing is gathered in memory.
func TestEndlessLine(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	var logged, captured int
	c := syslogChannel(t, Config{Path: filepath.Join(dir, "log"), StripANSI: true, CaptureMaxBytes: 1000,
		Log: func(data []byte) { logged += len(data) }, Captured: func(data []byte) { captured += len(data) }}, socket)
	const size = 10 << 20
	write := func(head, fill string) {
		t.Helper()
		c.say(head)
		for range size / bufferSize {
			c.say(strings.Repeat(fill, bufferSize/len(fill)))
			f := c.filter
			held := cap(c.syslog.part) + cap(f.capture.pending) + cap(f.capture.buffer) + cap(f.outside.begun) + cap(f.inside.begun)
			if held > 4*bufferSize {
				t.Fatalf("%d bytes are held", held)
			}
		}
	}
	write("", "x")
	write("\x1b]0;", "title") // an unfinished sequence
	write("<!--XSUPERVISOR:", "<!--")
	outside := 2*size/bufferSize*bufferSize + bufferSize/5*5*(size/bufferSize) + 4 + len("<!--XSUPERVISOR:")
	write(captureBegin, "y")
	c.say(captureEnd)
	c.hangUp()
	if st, err := os.Stat(c.Path()); err != nil || st.Size() != int64(outside) {
		t.Errorf("the file has %d bytes, want %d: %v", st.Size(), outside, err)
	}
	if logged != outside+size || captured != bufferSize { // a piece as large as this exceeds the buffer
		t.Errorf("told of %d bytes, want %d; captured %d", logged, outside+size, captured)
	}
}

// TestNotAFile writes to what can neither be rotated nor sought: a pipe, a socket and a terminal, by the names that output of the daemon
// itself has (quirk F1).
func TestNotAFile(t *testing.T) {
	pipe := func(t *testing.T) (r, w int) {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return fds[0], fds[1]
	}
	socket := func(t *testing.T) (r, w int) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fds[0], fds[1]
	}
	terminal := func(t *testing.T) (r, w int) {
		master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skipf("hidden: a log that is a terminal, because there are no terminals here: %v", err)
		}
		n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
		if err == nil {
			err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
		}
		if err == nil {
			w, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		}
		if err != nil {
			unix.Close(master)
			t.Skipf("hidden: a log that is a terminal, because there are no terminals here: %v", err)
		}
		return master, w
	}
	for name, open := range map[string]func(*testing.T) (r, w int){"pipe": pipe, "socket": socket, "terminal": terminal} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, cfg Config) {
				r, w := open(t)
				defer unix.Close(r)
				defer unix.Close(w)
				cfg.Path, cfg.MaxBytes, cfg.Backups = fmt.Sprintf("/dev/fd/%d", w), 3, 2
				c := opened(t, cfg)
				c.say("one\n")
				c.say("two\n")
				if err := c.Clear(); err != nil {
					t.Errorf("clear: %v", err)
				}
				if err := c.Reopen(); err != nil {
					t.Errorf("reopen: %v", err)
				}
				c.say("three\n")
				var got string
				for buf := make([]byte, 100); strings.Count(got, "\n") < 3; {
					fds := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}
					if n, err := unix.Poll(fds, int(patience/time.Millisecond)); n != 1 {
						t.Fatalf("got %q, then nothing: %v", got, err)
					}
					n, err := unix.Read(r, buf)
					if err != nil {
						t.Fatal(err)
					}
					got += strings.ReplaceAll(string(buf[:n]), "\r\n", "\n") // a terminal adds them
				}
				if got != "one\ntwo\nthree\n" {
					t.Errorf("got %q", got)
				}
				if texts := c.take(); len(texts) != 0 {
					t.Errorf("reports %q", texts)
				}
			})
		})
	}
}

// TestNeverRotated checks that no size, zero or less, means no rotation (contract: logging, "Rotation").
func TestNeverRotated(t *testing.T) {
	for _, size := range []int64{0, -1, -1 << 20} {
		path := filepath.Join(t.TempDir(), "log")
		c := opened(t, Config{Path: path, MaxBytes: size, Backups: 3})
		text := strings.Repeat("x", 60000)
		for range 5 {
			c.say(text)
		}
		if got := read(t, path); len(got) != 5*len(text) {
			t.Errorf("maxbytes %d: %d bytes are left", size, len(got))
		}
		if _, err := os.Stat(path + ".1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("maxbytes %d: rotated, %v", size, err)
		}
	}
}
