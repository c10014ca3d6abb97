package childlog

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// told collects what a stream tells.
type told struct {
	raw, log, captured []string
	order              []string // all of it, with its kind in front
}

// listen sets the functions of cfg.
func (o *told) listen(cfg Config) Config {
	keep := func(list *[]string, kind string) func([]byte) {
		return func(data []byte) {
			*list = append(*list, string(data))
			o.order = append(o.order, kind+string(data))
		}
	}
	cfg.Raw, cfg.Log, cfg.Captured = keep(&o.raw, "raw "), keep(&o.log, "log "), keep(&o.captured, "captured ")
	return cfg
}

// hangUp closes the writing end and drains to the end of the output.
func (c *channel) hangUp() {
	c.t.Helper()
	unix.Close(c.w)
	c.w = -1
	if n, err := c.Drain(c.r, 100); n != 0 || err == nil {
		c.t.Fatalf("no writer left: %d, %v", n, err)
	}
}

func TestStripANSIAndCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var o told
	c := opened(t, o.listen(Config{Path: path, StripANSI: true, CaptureMaxBytes: 100}))
	chunk := "\x1b[1mone" + captureBegin + "\x1b[2Jtwo" + captureEnd + "three\x1b[0m"
	c.say(chunk)
	wantFile(t, path, "onethree")
	want := []string{"raw " + chunk, "log one", "log two", "captured two", "log three"}
	if !slices.Equal(o.order, want) {
		t.Errorf("told %q, want %q", o.order, want)
	}
}

// TestCaptureAnyCut writes the same output cut at every two places.
func TestCaptureAnyCut(t *testing.T) {
	text := "a" + captureBegin + "b<!--XSUPERVISOR:BEGIN-->" + captureEnd + captureBegin + captureEnd + "<!--XSUPERVISOR:c"
	dir := t.TempDir()
	for i := range text {
		for j := i; j < len(text); j += 11 {
			path := filepath.Join(dir, "log")
			var o told
			c := opened(t, o.listen(Config{Path: path, CaptureMaxBytes: 100}))
			for _, piece := range []string{text[:i], text[i:j], text[j:]} {
				if piece != "" {
					c.say(piece)
				}
			}
			c.hangUp()
			if got, want := read(t, path), "a<!--XSUPERVISOR:c"; got != want {
				t.Fatalf("cut at %d and %d: file %q, want %q", i, j, got, want)
			}
			if want := []string{"b<!--XSUPERVISOR:BEGIN-->", ""}; !slices.Equal(o.captured, want) {
				t.Fatalf("cut at %d and %d: captured %q, want %q", i, j, o.captured, want)
			}
			if got, want := strings.Join(o.log, ""), "ab<!--XSUPERVISOR:BEGIN--><!--XSUPERVISOR:c"; got != want {
				t.Fatalf("cut at %d and %d: log %q, want %q", i, j, got, want)
			}
			if got := strings.Join(o.raw, ""); got != text {
				t.Fatalf("cut at %d and %d: raw %q", i, j, got)
			}
			if err := c.Clear(); err != nil {
				t.Fatal(err)
			}
			unix.Close(c.r)
			c.r = -1
			c.Close()
		}
	}
}

// TestHeldBack checks that what might have become a tag or a sequence is never lost, and that a short line is not held.
func TestHeldBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var o told
	c := opened(t, o.listen(Config{Path: path, CaptureMaxBytes: 100, StripANSI: true}))
	c.say("ok\n")
	wantFile(t, path, "ok\n")
	c.say("<!--XSUPER")
	c.say("\x1b[3")
	wantFile(t, path, "ok\n<!--XSUPER")
	c.Close() // without having seen the end, as with a grandchild that goes on writing
	wantFile(t, path, "ok\n<!--XSUPER\x1b[3")
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	c.say(captureBegin + "half")
	c.hangUp()
	c.Close()
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	if c.filter.capture.inside || c.filter.capture.buffer != nil {
		t.Error("the next incarnation goes on capturing")
	}
	wantFile(t, path, "ok\n<!--XSUPER\x1b[3")
	if want := []string{"ok\n", "<!--XSUPER", "\x1b[3", "half"}; !slices.Equal(o.log, want) || len(o.captured) > 0 {
		t.Errorf("log %q, want %q; captured %q", o.log, want, o.captured)
	}
}

func TestReconfigureFilters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var o told
	plain := Config{Path: path}
	both := o.listen(Config{Path: path, StripANSI: true, CaptureMaxBytes: 100})
	c := opened(t, plain)
	set := func(cfg Config) {
		t.Helper()
		if err := c.Reconfigure(cfg); err != nil {
			t.Fatal(err)
		}
	}
	c.say("\x1b[1m1")
	set(both)
	c.say("\x1b[1m2\x1b[")
	set(plain)
	c.say("3m")
	wantFile(t, path, "\x1b[1m12\x1b[3m")
	set(both)
	c.say("4<!--")
	set(plain)
	c.say("5")
	set(both)
	c.say(captureBegin + "6\x1b[")
	set(plain)
	c.say("7" + captureEnd)
	wantFile(t, path, "\x1b[1m12\x1b[3m4<!--56\x1b[7"+captureEnd)
	if c.filter != nil {
		t.Error("the filters stay")
	}
	set(both)
	c.say(captureBegin + "8")
	if err := c.Reopen(); err != nil {
		t.Fatal(err)
	}
	c.say("9" + captureEnd)
	c.say(captureBegin + strings.Repeat("forget", 10))
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	c.say("10" + captureEnd)
	wantFile(t, path, "")
	if want := []string{"89", "10"}; !slices.Equal(o.captured, want) {
		t.Errorf("captured %q, want %q", o.captured, want)
	}
}

// TestCaptureOverflow checks the rule of the buffer; that it is Supervisor's is checked by TestCaptureRecorded.
func TestCaptureOverflow(t *testing.T) {
	var c capture
	var got []string
	for _, data := range []string{"abcd", "ef", "ghi", "0123456789abc", "x"} {
		c.keep([]byte(data), 8)
		got = append(got, string(c.buffer))
	}
	if want := []string{"abcd", "abcdef", "defghi", "0123456789abc", "123456789abcx"}; !reflect.DeepEqual(got, want) {
		t.Errorf("buffer %q, want %q", got, want)
	}
}
