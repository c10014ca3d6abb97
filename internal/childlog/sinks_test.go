package childlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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
			if _, err := tg.write([]byte("x"), limits{}); err != nil {
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

func TestTap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var seen []byte
	c := opened(t, Config{Path: path, Tap: func(data []byte) { seen = append(seen, data...) }})
	c.say("one\n")
	c.say("two\n")
	wantFile(t, path, "one\ntwo\n")
	if string(seen) != "one\ntwo\n" {
		t.Errorf("seen %q", seen)
	}
}

func TestSyslog(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	listen := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	path := filepath.Join(dir, "log")
	c := newChannel(t, Config{Name: "web", Path: path, Syslog: true})
	c.syslog.path = socket
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	c.say("nobody hears this\n")
	fd := listen()
	expect := func(text string) {
		t.Helper()
		buf := make([]byte, 1000)
		n, err := unix.Read(fd, buf)
		if err != nil {
			t.Fatal(err)
		}
		got := string(buf[:n])
		if want := filepath.Base(os.Args[0]) + ": " + text; !strings.HasPrefix(got, "<14>") || !strings.HasSuffix(got, " "+want) {
			t.Errorf("syslog got %q, want the end %q", got, want)
		}
	}
	c.say("one\ntwo\nthr")
	expect("web one")
	expect("web two")
	c.say("ee\n")
	expect("web three")
	unix.Close(fd)
	os.Remove(socket)
	fd = listen() // syslog was restarted
	c.say("four\nrest")
	expect("web four")
	c.Close()
	expect("web rest")

	own := NewSyslog() // the daemon's own log
	own.w.path = socket
	if n, err := own.Write([]byte("2026-11-22 15:44:00,342 INFO text\n")); n != 34 || err != nil {
		t.Errorf("wrote %d: %v", n, err)
	}
	expect("2026-11-22 15:44:00,342 INFO text")
	if err := own.Close(); err != nil {
		t.Error(err)
	}
	unix.Close(fd)
	wantFile(t, path, "nobody hears this\none\ntwo\nthree\nfour\nrest")
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

func TestAuto(t *testing.T) {
	dir := t.TempDir()
	umask := syscall.Umask(0)
	path, err := CreateAuto(dir, "web_00", "stdout", "supervisor")
	syscall.Umask(umask)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 || st.Size() != 0 {
		t.Errorf("%v %v", st, err)
	}
	name := filepath.Base(path)
	random, ok := strings.CutPrefix(name, "web_00-stdout---supervisor-")
	if random, ok2 := strings.CutSuffix(random, ".log"); !ok || !ok2 || len(random) != 8 || strings.Trim(random, autoLetters) != "" {
		t.Errorf("name %q", name)
	}
	if _, err := CreateAuto(filepath.Join(dir, "none"), "p", "stdout", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	for _, name := range []string{
		"p-stdout---supervisor-abcdefgh.log.1", "p-stderr---supervisor-abcdefgh.log.10", "p-stderr---supervisor-abcdefgh.log.anything",
		"p-stdout---other-abcdefgh.log", "p-stdout---supervisorx-abcdefgh.log", "---supervisor-abcdefgh.log", "p-stdout---supervisor-a b.log", "plain.log",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d-stdout---supervisor-abcdefgh.log"), 0o755); err != nil {
		t.Fatal(err)
	}
	failed, err := CleanAuto(dir, "supervisor")
	if want := []string{filepath.Join(dir, "d-stdout---supervisor-abcdefgh.log")}; err != nil || !slices.Equal(failed, want) {
		t.Errorf("failed %q, %v, want %q", failed, err, want)
	}
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := []string{"---supervisor-abcdefgh.log", "d-stdout---supervisor-abcdefgh.log", "p-stdout---other-abcdefgh.log", "p-stdout---supervisor-a b.log",
		"p-stdout---supervisorx-abcdefgh.log", "plain.log"}
	if !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
	// Another daemon under the same identifier is writing this one.
	used := filepath.Join(dir, "q-stdout---supervisor-abcdefgh.log")
	f, err := os.OpenFile(used, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []bool{true, false} {
		CleanAuto(dir, "supervisor")
		if _, err := os.Stat(used); (err == nil) != open {
			t.Errorf("a log that is open (%v): %v", open, err)
		}
		f.Close()
	}
	// compat: Supervisor takes the identifier for a pattern; we take it literally (quirk F2).
	os.WriteFile(filepath.Join(dir, "p-stdout---axb-abcdefgh.log"), nil, 0o644)
	CleanAuto(dir, "a.b")
	if _, err := os.Stat(filepath.Join(dir, "p-stdout---axb-abcdefgh.log")); err != nil {
		t.Errorf("another identifier's log: %v", err)
	}
	if _, err := CleanAuto(filepath.Join(dir, "none"), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}
