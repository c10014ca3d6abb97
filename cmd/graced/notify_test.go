package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// hearer is a service manager that listens.
type hearer struct {
	*testing.T
	conn  *net.UnixConn
	beats int // signs of life that nobody waited for
}

func listenAt(t *testing.T, name string) *hearer {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // only read
	return &hearer{T: t, conn: conn}
}

// hears waits for a message that begins with a text, and returns its lines. Signs of life are counted and passed over unless they are waited for.
func (l *hearer) hears(text string) []string {
	l.Helper()
	if err := l.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		l.Fatal(err)
	}
	for buf := make([]byte, 4096); ; {
		n, err := l.conn.Read(buf)
		if err != nil {
			l.Fatalf("waited in vain for %s: %v", text, err)
		}
		lines := strings.Split(string(buf[:n]), "\n")
		if lines[0] == text || strings.HasPrefix(lines[0], text) && strings.HasSuffix(text, "=") {
			return lines
		}
		if lines[0] != "WATCHDOG=1" {
			l.Fatalf("heard %q, want %s", lines, text)
		}
		l.beats++
	}
}

// TestServiceManager has a service manager listen from the start to the end: it hears who stands for the whole, signs of life of each daemon, of a restart
// and of the end, and the programs hear nothing of it.
func TestServiceManager(t *testing.T) {
	for _, kind := range []string{"file", "abstract"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, dir: t.TempDir()}
			at := map[string]string{"file": filepath.Join(r.dir, "notify"), "abstract": fmt.Sprintf("@graced-test-%d-%s", os.Getpid(), kind)}[kind]
			l := listenAt(t, at)
			// The shell becomes the keeper: its pid is the one that the watchdog waits for.
			r.launch([]string{"/bin/sh", "-c", `NOTIFY_SOCKET=$0 WATCHDOG_USEC=200000 WATCHDOG_PID=$$ exec "$@"`, at},
				"[program:a]\ncommand=/bin/sh -c 'env; exec sleep 1000'\nstartsecs=0\nstdout_logfile=%(here)s/a.log\nenvironment=ASKED=\"%(ENV_NOTIFY_SOCKET)s\"\n")
			mainPID := func() string { return "MAINPID=" + strconv.Itoa(r.keeperPID()) }
			if got, want := l.hears("READY=1"), []string{"READY=1", mainPID(), "STATUS=supervising " + r.path("s.conf")}; !slices.Equal(got, want) {
				t.Errorf("heard %q, want %q", got, want)
			}
			l.hears("WATCHDOG=1")
			l.hears("WATCHDOG=1")
			pid := r.runs("a", process.Running).PID
			r.until("the program has printed its environment", func() bool { return strings.Contains(r.read("a.log"), "ASKED="+at) })
			for line := range strings.Lines(r.read("a.log")) {
				if strings.HasPrefix(line, "NOTIFY_SOCKET=") || strings.HasPrefix(line, "WATCHDOG_") {
					t.Errorf("a program has %s", line)
				}
			}

			r.killDaemon()
			if got := l.hears("READY=1"); got[1] != mainPID() { // it may be said again
				t.Errorf("heard %q, want %s", got, mainPID())
			}
			l.hears("WATCHDOG=1")
			r.killKeeper()
			if got := l.hears("MAINPID="); got[0] != mainPID() {
				t.Errorf("heard %q, want %s", got, mainPID())
			}
			l.hears("WATCHDOG=1")
			r.killDaemon() // the next one is the new keeper's
			l.hears("READY=1")
			l.hears("WATCHDOG=1")
			if now := r.infos()["a"].PID; now != pid {
				t.Errorf("the program had pid %d and has %d", pid, now)
			}

			r.must(syscall.Kill(r.keeperPID(), syscall.SIGHUP))
			got := l.hears("RELOADING=1")
			if usec, _, _ := strings.Cut(strings.TrimPrefix(got[1], "MONOTONIC_USEC="), "\n"); len(usec) < 6 || strings.Trim(usec, "0123456789") != "" {
				t.Errorf("heard %q", got)
			}
			l.hears("READY=1")
			l.hears("WATCHDOG=1")
			r.must(syscall.Kill(r.keeperPID(), syscall.SIGTERM))
			l.hears("STOPPING=1")
		})
	}
}

// TestServiceManagerOfAnother has a watchdog that waits for another process, and a manager that is gone: the one gets no signs of life, and the other
// keeps nothing from working.
func TestServiceManagerOfAnother(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	l := listenAt(t, r.path("notify"))
	r.launch([]string{"env", "NOTIFY_SOCKET=" + r.path("notify"), "WATCHDOG_USEC=1000", "WATCHDOG_PID=1"}, "")
	l.hears("READY=1")
	r.must(syscall.Kill(r.keeperPID(), syscall.SIGHUP))
	l.hears("RELOADING=1")
	l.hears("READY=1")
	if l.beats > 0 {
		t.Errorf("%d signs of life for a watchdog of another process", l.beats)
	}
	r.must(l.conn.Close())
	r.must(syscall.Kill(r.keeperPID(), syscall.SIGHUP))
	r.until("it is told that nobody listens", func() bool {
		return strings.Contains(r.read("s.log"), "WARN cannot tell the service manager READY=1: ")
	})
	if strings.Count(r.read("s.log"), "supervisord started") != 3 {
		t.Errorf("the log says:\n%s", r.read("s.log"))
	}
}

// TestAborted sends ABRT, as a watchdog does to what hangs, while the daemon hangs: both end at once, and the next start takes back what lives.
func TestAborted(t *testing.T) {
	t.Parallel()
	const conf = "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n"
	r := newRig(t, conf)
	pid := r.runs("a", process.Running).PID
	r.must(syscall.Kill(r.daemonPID(), syscall.SIGSTOP))
	r.must(syscall.Kill(r.keeperPID(), syscall.SIGABRT))
	err := <-r.exited
	r.exited <- err
	if code := r.cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGABRT) || len(mates(r.dir)) > 0 || !lives(pid) {
		t.Errorf("exit %d (%v), %d keepers and daemons are left, the process lives: %v", code, err, len(mates(r.dir)), lives(pid))
	}
	r.launch(nil, conf)
	if now := r.infos()["a"].PID; now != pid {
		t.Errorf("it had pid %d and has %d", pid, now)
	}
}
