package ctl

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
)

// TestOtherDaemons checks that E301 names each daemon that answers elsewhere once, and how to reach it.
func TestOtherDaemons(t *testing.T) {
	dir := t.TempDir()
	socket, link, shy, dead := filepath.Join(dir, "s"), filepath.Join(dir, "l"), filepath.Join(dir, "shy"), filepath.Join(dir, "dead")
	for _, path := range []string{socket, shy, dead} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, Gracectl)
	f.Sockets = []string{"/nowhere.sock", socket, link, dead, shy}
	f.Dial = func(url, _, _ string) (Proxy, error) {
		delete(f.d.errs, "Daemon")
		switch url {
		case f.ServerURL:
			f.d.errs["Processes"] = connectionError(syscall.ENOENT)
		case "unix://" + dead:
			f.d.errs["Daemon"] = connectionError(syscall.ECONNREFUSED)
		case "unix://" + shy:
			f.d.errs["Daemon"] = &client.ProtocolError{Code: 401}
		}
		return f.d, nil
	}
	exit := f.Run(context.Background(), []string{"status"})
	want := "error[E301]: no daemon answers at unix:///s.sock (no such file)\n" +
		"  found running: supervisor, pid 4711, socket " + socket + "\n  try: ctl -s unix://" + socket + " status      (ctl also drives Supervisor)\n" +
		"  found running: a daemon that tells nothing about itself, socket " + shy + "\n  try: ctl -s unix://" + shy + " status      (ctl also drives Supervisor)\n"
	if f.err.String() != want || exit != 4 {
		t.Errorf("exit %d, stderr\n%s\nwant\n%s", exit, f.err, want)
	}
}

// TestForbidden checks that E305 tells whose the socket is and who we are.
func TestForbidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, Gracectl)
	f.ServerURL = "unix://" + path
	f.d.errs["Processes"] = connectionError(syscall.EACCES)
	exit := f.Run(context.Background(), []string{"start", "solo"})
	me, mine := userName(os.Geteuid()), groupName(os.Getegid())
	want := "error[E305]: permission denied: the socket is " + me + ":" + mine + " 0640 and you are " + describeUser() + "\n" +
		"  try: sudo ctl ...   or chmod and chown of [unix_http_server], then a restart of the daemon\n"
	if f.err.String() != want || exit != 4 || !strings.HasPrefix(describeUser(), me) {
		t.Errorf("exit %d, stderr\n%s\nwant\n%s", exit, f.err, want)
	}
	if userName(987654) != "987654" || groupName(987654) != "987654" {
		t.Error("a user without a name")
	}
}

// TestUsage checks that only a child of the daemon that began when it says is believed.
func TestUsage(t *testing.T) {
	if _, ok := bootTime(); !ok {
		t.Skip("hidden: which figures of /proc are believed, because there is no /proc/stat")
	}
	pid, parent := os.Getpid(), os.Getppid()
	began := processStart(t, pid)
	use, ok := usageOf(pid, parent, began)
	if !ok || use.rss < 1<<20 || use.cpu < 0 {
		t.Errorf("%+v, %v", use, ok)
	}
	if _, ok := usageOf(pid, 1, began); ok {
		t.Error("the child of another")
	}
	young := exec.Command("sleep", "1000")
	if err := young.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = young.Process.Kill(); _ = young.Wait() }() // it is killed
	if _, ok := usageOf(pid, young.Process.Pid, began); !ok {
		t.Error("a process that is older than its daemon, as when that has taken it over, is not believed")
	}
	if _, ok := usageOf(pid, parent, began.Add(-3e9)); ok {
		t.Error("a process that began at another time")
	}
	for url, want := range map[string]bool{"unix:///s": true, "http://localhost:1": true, "http://127.0.0.1": true, "http://h:1": false} {
		if isLocal(url) != want {
			t.Errorf("%s: %v", url, !want)
		}
	}
	f := newFixture(t, Gracectl)
	f.d.processes = []control.ProcessInfo{{Group: "me", Name: "me", State: 20, PID: pid, Start: began}}
	f.d.daemonPID = parent
	if f.Run(context.Background(), []string{"status"}); !strings.Contains(f.out.String(), " MB\n1 running\n") {
		t.Errorf("no memory:\n%s", f.out)
	}
}

// processStart asks /proc when a process began.
func processStart(t *testing.T, pid int) time.Time {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := strconv.Atoi(strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])[19])
	if err != nil {
		t.Fatal(err)
	}
	boot, _ := bootTime()
	return boot.Add(time.Duration(ticks) * 10 * time.Millisecond)
}

func TestTexts(t *testing.T) {
	for n, want := range map[int64]string{0: "0.0 KB", 1536: "1.5 KB", 1 << 20: "1.0 MB", 1000 << 20: "1.0 GB", 5 << 40: "5.0 TB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[int64]string{0: "0:00:00", 3661: "1:01:01", 86400: "1 day, 0:00:00", 200000: "2 days, 7:33:20"} {
		if got := uptime(1e9 * time.Duration(d)); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
