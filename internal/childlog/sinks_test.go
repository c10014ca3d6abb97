package childlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFIFO writes to a target that is no file: it never rotates, and a slow reader holds the process back (quirk F1).
func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	c := opened(t, Config{Path: path, MaxBytes: 4, Backups: 1}) // nobody reads yet: must not wait
	c.say("12345678")
	c.say("9")
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 200<<10)
	if n, err := r.Read(buf); string(buf[:n]) != "123456789" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	big := strings.Repeat("0123456789abcdef", 4096)
	var drained int
	for drained < 2*len(big) {
		if _, err := unix.Write(c.w, []byte(big)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Drain(c.r, 64<<10)
		drained += n
		if errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	if n, err := c.Drain(c.r, 64<<10); n != 0 || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("a full target: %d, %v", n, err)
	}
	var got strings.Builder
	for got.Len() < drained {
		n, err := r.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Drain(c.r, 1); err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
	}
	for i, ch := range []byte(got.String()) {
		if want := "0123456789abcdef"[i%16]; ch != want {
			t.Fatalf("byte %d is %c, want %c", i, ch, want)
		}
	}
	if matches, _ := filepath.Glob(path + "*"); len(matches) != 1 {
		t.Errorf("files %q", matches)
	}
	if texts := c.take(); len(texts) != 0 {
		t.Errorf("reports %q", texts)
	}
}

// TestFewDescriptors checks that idle logs are closed and opened again when needed.
func TestFewDescriptors(t *testing.T) {
	set := newTargetSet(3)
	dir := t.TempDir()
	var targets []*target
	for i := range 10 {
		tg := set.get(filepath.Join(dir, fmt.Sprint(i)), openMode)
		if err := tg.begin(); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, tg)
	}
	for round := range 3 {
		for i := range targets {
			tg := targets[(i*7+round)%len(targets)]
			tg.mu.Lock()
			if _, err := tg.write([]byte("x"), limits{}, nil); err != nil {
				t.Fatal(err)
			}
			tg.mu.Unlock()
			open := 0
			for _, other := range targets {
				if other.fd >= 0 {
					open++
				}
			}
			if open > 3 || set.open != open {
				t.Fatalf("%d files open, counted %d", open, set.open)
			}
		}
	}
	for i, tg := range targets {
		tg.end()
		set.put(tg)
		wantFile(t, filepath.Join(dir, fmt.Sprint(i)), "xxx")
	}
	if set.open != 0 || len(set.byPath) != 0 {
		t.Errorf("%d open, %d known", set.open, len(set.byPath))
	}
}

func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var seen []byte
	c := opened(t, Config{Path: path, Log: func(data []byte) { seen = append(seen, data...) }})
	c.say("one\n")
	c.say("two\n")
	wantFile(t, path, "one\ntwo\n")
	if string(seen) != "one\ntwo\n" {
		t.Errorf("seen %q", seen)
	}
}

func TestActivityLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := OpenFile(path, 10, 2, func(text string) { t.Errorf("report %q", text) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(text string) {
		t.Helper()
		if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("wrote %d of %q: %v", n, text, err)
		}
	}
	write("line 1\n")
	write("line 2\n")
	write("line 3\n")
	wantFile(t, path+".1", "line 1\nline 2\n")
	wantFile(t, path, "line 3\n")
	if err := f.Clear(); err != nil {
		t.Fatal(err)
	}
	write("a")
	os.Rename(path, path+".old")
	write("b")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write("c")
	wantFile(t, path+".old", "ab")
	wantFile(t, path, "c")
	if f.Path() != path {
		t.Errorf("path %q", f.Path())
	}
	if _, err := OpenFile(filepath.Join(path, "x"), 0, 0, nil); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("open: %v", err)
	}
}

// TestActivityLogDevice writes to a pipe through /dev/fd/N: it never rotates and loses nothing while its reader is slow.
func TestActivityLogDevice(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := OpenFile(fmt.Sprintf("/dev/fd/%d", w.Fd()), 10, 2, nil)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	const lines = 20000
	done := make(chan string)
	go func() {
		data, _ := io.ReadAll(r)
		done <- string(data)
	}()
	var want strings.Builder
	for i := range lines {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if _, err := f.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	if got := <-done; got != want.String() {
		t.Errorf("%d bytes came, want %d", len(got), want.Len())
	}
}

// TestSlowTargetFiltered cuts one chunk into pieces while the target takes nothing: they wait in their order, and so do the ends held back.
func TestSlowTargetFiltered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	c := opened(t, Config{Path: path, StripANSI: true, CaptureMaxBytes: 100})
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for err := error(nil); !errors.Is(err, unix.EAGAIN); {
		if _, err = unix.Write(c.w, make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		if _, err = c.Drain(c.r, bufferSize); err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1<<20)
	take := func() string {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	take()
	// What was held goes, as far as the reader has made room.
	if _, err := c.Drain(c.r, bufferSize); err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	take()
	fill := strings.Repeat("x", bufferSize)
	unix.Write(c.w, []byte(fill))
	if n, err := c.Drain(c.r, bufferSize); n != len(fill) || err != nil {
		t.Fatalf("drained %d: %v", n, err)
	}
	unix.Write(c.w, []byte("a"+captureBegin+"secret"+captureEnd+"\x1b[1mb<!--"))
	if n, err := c.Drain(c.r, bufferSize); n == 0 || !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("drained %d: %v", n, err)
	}
	unix.Close(c.w)
	c.w = -1
	got := take()
	if n, err := c.Drain(c.r, bufferSize); n != 0 || err != io.EOF {
		t.Errorf("the end: %d, %v", n, err)
	}
	if got += take(); got != fill+"ab<!--" {
		t.Errorf("got %d bytes, the end %q", len(got), got[max(0, len(got)-20):])
	}
	if texts := c.take(); len(texts) != 0 {
		t.Errorf("reports %q", texts)
	}
}
