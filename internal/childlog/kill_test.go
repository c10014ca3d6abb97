package childlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var killTime = flag.Duration("kill", 2*time.Second, "how long TestSIGKILL kills the readers of each kind of output")

// readerEnv makes the test program a reader: its value is a readerConfig.
const readerEnv = "CHILDLOG_READER"

// The descriptors of a reader.
const (
	readerPipe  = 3
	readerStage = 4
	readerReady = 5 // gets a byte when the reader has taken up its work
)

// readerConfig tells a reader what to do.
type readerConfig struct {
	Path     string
	MaxBytes int64
	Filtered bool
	Told     string // where to store what was captured
}

// readOn is the main of a reader: a daemon that continues one stream until the output ends.
func readOn(config string) error {
	var c readerConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	stage, err := OpenStage(readerStage)
	if err != nil {
		return err
	}
	cfg := Config{Path: c.Path, MaxBytes: c.MaxBytes, Backups: 1000, StripANSI: c.Filtered}
	var s *Stream
	if c.Filtered {
		told, last, err := openTold(c.Told)
		if err != nil {
			return err
		}
		cfg.CaptureMaxBytes = 1 << 20
		cfg.Captured = func(data []byte) {
			if at := s.Position(); at > last {
				last = at
				fmt.Fprintf(told, "%d %s\n", at, data)
			}
		}
	}
	s = NewStream(cfg, func(text string) { fmt.Fprintln(os.Stderr, text) })
	s.UseStage(stage, 7)
	if err := s.Continue(); err != nil {
		return err
	}
	if err := Recover([]*Stage{stage}, func(uint64) *Stream { return s }); err != nil {
		return err
	}
	if _, err := unix.Write(readerReady, []byte{0}); err != nil {
		return err
	}
	for {
		n, err := s.Drain(readerPipe, bufferSize)
		switch {
		case err == io.EOF:
			s.Close()
			return nil
		case err != nil:
			return err
		case n == 0:
			fds := []unix.PollFd{{Fd: readerPipe, Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
				return err
			}
		}
	}
}

// openTold opens the store of what was captured and returns the last position in it. A record that a kill has cut off is none.
func openTold(path string) (told *os.File, last uint64, err error) {
	if told, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(told)
	if err != nil {
		return nil, 0, err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if err := told.Truncate(int64(len(text))); err != nil {
		return nil, 0, err
	}
	if len(text) > 0 {
		_, err = fmt.Sscan(string(text[bytes.LastIndexByte(text[:len(text)-1], '\n')+1:]), &last)
	}
	return told, last, err
}

// TestSIGKILL kills real readers of one pipe at random moments under load, one after the other, rotation included. Every line must be in the logs, in
// order and once, and so must everything that was captured.
func TestSIGKILL(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		t.Run(map[bool]string{false: "spliced", true: "filtered"}[filtered], func(t *testing.T) {
			r := newRand(t)
			dir := t.TempDir()
			k := &killing{t: t, readerConfig: readerConfig{Path: filepath.Join(dir, "log"), MaxBytes: max(1, int64(*killTime/(4*time.Second))) << 20, Filtered: filtered, Told: filepath.Join(dir, "told")}}
			stage, err := unix.MemfdCreate("stage", unix.MFD_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			k.stage = os.NewFile(uintptr(stage), "stage")
			defer k.stage.Close()
			var fds [2]int
			if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			if err := unix.SetNonblock(fds[0], true); err != nil {
				t.Fatal(err)
			}
			k.pipe = os.NewFile(uintptr(fds[0]), "pipe")
			defer k.pipe.Close()
			k.stop, k.written = make(chan struct{}), make(chan struct{})
			go k.write(os.NewFile(uintptr(fds[1]), "pipe"), rand.New(rand.NewPCG(r.Uint64(), 1)))
			enough := time.NewTimer(*killTime)
			for over := false; !over; {
				select {
				case <-enough.C:
					over = true
				default:
					k.reader(r, true)
				}
			}
			close(k.stop)
			k.reader(r, false)
			<-k.written
			k.check()
		})
	}
}

// killing is a run of TestSIGKILL.
type killing struct {
	readerConfig
	t           *testing.T
	pipe, stage *os.File
	stop        chan struct{} // write no more
	written     chan struct{} // the writer has come to its end

	kills, lines, captures int
}

// write is the process whose output is read.
func (k *killing) write(w *os.File, r *rand.Rand) {
	defer close(k.written)
	defer w.Close()
	var out strings.Builder
	for {
		select {
		case <-k.stop:
			return
		default:
		}
		out.Reset()
		for range 1 + r.IntN(40) {
			k.lines++
			if !k.Filtered {
				fmt.Fprintf(&out, "%d %s\n", k.lines, strings.Repeat("x", r.IntN(200)))
				continue
			}
			fmt.Fprintf(&out, "\x1b[1m%d\x1b[0m \x1b]0;title\a%s\n", k.lines, strings.Repeat("x", r.IntN(200)))
			if r.IntN(20) == 0 {
				k.captures++
				fmt.Fprintf(&out, "%s%d %s%s", captureBegin, k.captures, strings.Repeat("\x1b[mc", r.IntN(3000)), captureEnd)
			}
		}
		for rest := out.String(); rest != ""; { // cut anywhere
			n := min(len(rest), 1+r.IntN(8000))
			if _, err := w.WriteString(rest[:n]); err != nil {
				k.t.Error(err)
				return
			}
			rest = rest[n:]
		}
	}
}

// reader starts a reader and kills it at a random moment, or lets it come to the end.
func (k *killing) reader(r *rand.Rand, kill bool) {
	t := k.t
	t.Helper()
	ready, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	config, err := json.Marshal(k.readerConfig)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), readerEnv+"="+string(config))
	cmd.ExtraFiles = []*os.File{k.pipe, k.stage, tell}
	var said strings.Builder
	cmd.Stderr = &said
	err = cmd.Start()
	tell.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		_ = cmd.Wait()
		t.Fatalf("after %d kills a reader did not begin: %s", k.kills, said.String())
	}
	if kill {
		moment := time.NewTimer(time.Duration(r.IntN(15_000)) * time.Microsecond)
		<-moment.C
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		k.kills++
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if said.Len() > 0 || !kill && err != nil || kill && !(errors.As(err, &exit) && exit.ExitCode() == -1) {
		t.Fatalf("after %d kills a reader ended with %v: %s", k.kills, err, said.String())
	}
}

// check reads what came out.
func (k *killing) check() {
	t := k.t
	text := rotated(t, k.Path)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	t.Logf("%d kills, %d lines, %d MB, %d captures", k.kills, k.lines, len(text)>>20, k.captures)
	for i, line := range lines {
		number, rest, _ := strings.Cut(line, " ")
		if number != fmt.Sprint(i+1) || strings.Trim(rest, "x") != "" {
			t.Fatalf("line %d is %.100q, after %.100q", i+1, line, lines[max(0, i-1)])
		}
	}
	if len(lines) != k.lines {
		t.Fatalf("%d lines, want %d", len(lines), k.lines)
	}
	if !k.Filtered {
		return
	}
	told := strings.Split(strings.TrimSuffix(read(t, k.Told), "\n"), "\n")
	for i, line := range told {
		var position, number int
		var text string
		if _, err := fmt.Sscan(line+" c", &position, &number, &text); err != nil || number != i+1 || strings.Trim(text, "c") != "" {
			t.Fatalf("capture %d is %.100q, after %.100q (%v)", i+1, line, told[max(0, i-1)], err)
		}
	}
	if len(told) != k.captures {
		t.Fatalf("%d captures, want %d", len(told), k.captures)
	}
}
