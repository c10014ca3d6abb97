package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnePidfile starts a second daemon that differs from the first in its socket alone. The first is never hurt: not its pid file, not
// the logs of its programs (quirks F2, F13). Called graced the second refuses, called supervisord it starts as Supervisor does and says
// what is wrong.
func TestOnePidfile(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	first := &side{T: t, bin: filepath.Join(bin, "supervisord"), dir: t.TempDir()}
	first.conf("[program:p]\ncommand=sleep 1000\nstartsecs=0\n")
	first.foreground("-s")
	first.logs("success: p", 1)
	holds := fmt.Sprintf("the daemon with pid %d, which is running, holds the pid file %s", first.pid, first.path("s.pid"))
	logs, err := filepath.Glob(first.path("p-*---supervisor-*"))
	if err != nil || len(logs) != 2 {
		t.Fatalf("the first daemon's logs: %q, %v", logs, err)
	}
	first.write("t.conf", strings.ReplaceAll(strings.ReplaceAll(first.read("s.conf"), "s.sock", "t.sock"), "s.log", "t.log"))

	refused := &side{T: t, bin: filepath.Join(bin, "graced"), dir: first.dir}
	if got, want := refused.fail("", "-n", "-c", "t.conf"), "exit 2\nError: "+refused.mask(holds)+"\nFor help, use SUPERVISORD -h\n"; got != want {
		t.Errorf("graced: %s\nwant %s", got, want)
	}
	if got, want := refused.fail("", "-c", "t.conf"), "exit 2\nError: "+refused.mask(holds)+"\nFor help, use SUPERVISORD -h\n"; got != want {
		t.Errorf("graced in the background: %s\nwant %s", got, want)
	}

	// On the first daemon's own socket both refuse, and its logs stay as well.
	busy := &side{T: t, bin: first.bin, dir: first.dir}
	if got := busy.fail("", "-n", "-c", "s.conf"); !strings.Contains(got, "Another program is already listening") {
		t.Errorf("on one socket: %s", got)
	}

	second := &side{T: t, bin: first.bin, dir: first.dir}
	second.command("", "-n", "-s", "-c", "t.conf")
	second.launch()
	second.until("the second daemon's start", func() bool { return strings.Contains(second.read("t.log"), "supervisord started") })
	if log := second.read("t.log"); !strings.Contains(log, "CRIT could not write pidfile "+first.path("s.pid")+": "+holds+"\n") {
		t.Errorf("supervisord says\n%s", log)
	}
	second.signal(syscall.SIGTERM)
	if code := second.ended(); code != 0 {
		t.Errorf("supervisord: exit %d", code)
	}
	if first.pidOf("s.pid") != first.pid {
		t.Errorf("the pid file says %q, the first daemon is %d", first.read("s.pid"), first.pid)
	}
	for _, name := range logs {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("the first daemon's log: %v", err)
		}
	}
	first.signal(syscall.SIGTERM)
	if code := first.ended(); code != 0 || first.read("s.pid") != "" {
		t.Errorf("the first: exit %d, pid file %q", code, first.read("s.pid"))
	}
}

// TestPidfileAtTheEnd checks what is removed at the end: our file, and nothing that somebody else has put there. Supervisor removes
// whatever it finds.
func TestPidfileAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	create := func() *pidfile {
		t.Helper()
		p, err := createPidfile(path, os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != fmt.Sprintf("%d\n", os.Getpid()) {
			t.Fatalf("%q, %v", text, err)
		}
		return p
	}
	left := func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			return "gone"
		}
		return string(text)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	create().remove()
	if got := left(); got != "gone" {
		t.Errorf("our file: %q", got)
	}
	write("a longer text than any pid\n")
	create().remove()
	if got := left(); got != "gone" {
		t.Errorf("a file that was there: %q", got)
	}
	p := create()
	write("1\n")
	p.remove()
	if got := left(); got != "1\n" {
		t.Errorf("another pid: %q", got)
	}
	p = create()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(fmt.Sprintln(os.Getpid()))
	p.remove()
	if got := left(); got == "gone" {
		t.Error("another file is gone")
	}

	// While one holds it, another finds out, and whoever looks leaves no trace.
	if taken := pidfileHolder(path); taken != nil {
		t.Errorf("nobody holds it: %v", taken)
	}
	p = create()
	if taken := pidfileHolder(path); taken == nil || taken.pid != os.Getpid() {
		t.Errorf("held: %v", taken)
	}
	var log bytes.Buffer
	if writePidfile(path, os.Getpid(), func(_ slog.Level, format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }) != nil {
		t.Error("two hold one file")
	}
	p.remove()
	if got := left(); got != "gone" {
		t.Errorf("at last: %q", got)
	}

	// A device is written to and stays: as root, Supervisor removes even /dev/null.
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("hidden: that a pid file which is a device stays, because only root can make a device: %v", err)
	}
	var both []*pidfile
	for range 2 {
		p, err := createPidfile(path, os.Getpid())
		if err != nil {
			t.Skipf("hidden: that a pid file which is a device stays, because this file system has no device: %v", err)
		}
		both = append(both, p)
	}
	for _, p := range both {
		p.remove()
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Errorf("the device: %v, %v", info, err)
	}
}
