package takeover

import (
	"net"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/graced/graced/internal/host"
	"golang.org/x/sys/unix"
)

// TestParseSocket checks lines of the kernel's tables.
func TestParseSocket(t *testing.T) {
	// Supervisor binds to a name of its own and links it to the real one.
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		network, line string
		inode         uint64
		want          socket
	}{
		{"tcp", "   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 35283 1 0000000000000000 100 0 0 10 0", 35283,
			socket{"tcp", "127.0.0.1:9001", true}},
		{"tcp", "   1: 0100007F:2329 0100007F:E1C2 01 00000000:00000000 00:00000000 00000000     0        0 35284 1 0000000000000000 20 4 30 10 -1", 35284,
			socket{"tcp", "127.0.0.1:9001", false}},
		{"tcp", "   2: 0100007F:2329 0100007F:E1C2 06 00000000:00000000 03:00001762 00000000     0        0 0 3 0000000000000000", 0, socket{}},
		{"tcp6", "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0", 7,
			socket{"tcp6", "[::1]:8080", true}},
		{"tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", 0, socket{}},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 21310 " + path + ".4711", 21310, socket{"unix", path, true}},
		{"unix", "0000000000000000: 00000003 00000000 00000000 0001 03 21311 " + path + ".4711", 21311, socket{"unix", path, false}},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 21312 /no such/sock.4711", 21312, socket{"unix", "/no such/sock.4711", true}},
		{"unix", "0000000000000000: 00000002 00000000 00000000 0002 01 21313", 21313, socket{"unix", "", false}},
		{"unix", "Num       RefCount Protocol Flags    Type St Inode Path", 0, socket{}},
	} {
		n, s, ok := parseSocket(c.network, c.line)
		if ok != (c.inode != 0) || ok && (n != c.inode || s != c.want) {
			t.Errorf("%s: %d, %+v, %v; want %d, %+v", c.line, n, s, ok, c.inode, c.want)
		}
	}
	listening := socket{"tcp", "0.0.0.0:9001", true}
	for s, want := range map[socket]bool{
		{"tcp", "127.0.0.1:9001", false}: true, {"tcp", "127.0.0.1:9002", false}: false, {"tcp6", "[::1]:9001", false}: false, listening: false,
	} {
		if s.reaches(listening) != want {
			t.Errorf("%+v was accepted by %+v: %v", s, listening, !want)
		}
	}
	if (socket{"unix", "", false}).reaches(socket{"unix", "", true}) {
		t.Error("a socket without a name was accepted by another")
	}
}

// TestIsSupervisord checks by what a supervisord is known.
func TestIsSupervisord(t *testing.T) {
	for _, c := range []struct {
		exe  string
		args []string
		want bool
	}{
		{"python3.11", []string{"/usr/bin/python3", "/usr/bin/supervisord", "-n"}, true},
		{"python3.11", []string{"python", "-m", "supervisor.supervisord"}, true},
		{"pypy3", []string{"pypy3", "/srv/venv/bin/supervisord"}, true},
		{"python3.11", []string{"python3", "/usr/bin/supervisorctl"}, false},
		{"python3.11", []string{"supervisord"}, false},
		{"graced", []string{"supervisord", "-c", "supervisord.conf"}, false},
		{"python3.11", []string{""}, false},
	} {
		if _, got := wordsOf(c.exe, c.args); got != c.want {
			t.Errorf("%s %q: %v", c.exe, c.args, got)
		}
	}
}

// TestUnit checks in which control groups a service of systemd is seen.
func TestUnit(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/supervisor.service\n":                                      "supervisor.service",
		"12:cpu:/x.service\n1:name=systemd:/system.slice/supervisor.service\n0::/\n": "supervisor.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                              "",
		"12:cpu:/x.service\n0::/\n":                                                  "",
		"":                                                                           "",
	} {
		if got := unit(cgroups); got != want {
			t.Errorf("%q: %q, want %q", cgroups, got, want)
		}
	}
}

// TestWaits checks what a supervisord is stopped in that has nothing in its hands.
func TestWaits(t *testing.T) {
	for call, want := range map[string]bool{
		strconv.Itoa(unix.SYS_PPOLL) + " 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffe 0x7f00\n": true,
		strconv.Itoa(unix.SYS_RESTART_SYSCALL) + " 0x1\n":                         true,
		strconv.Itoa(unix.SYS_WRITE) + " 0x1 0x2\n":                               false,
		"-1 0x7ffe 0x7f00\n": false,
		"running\n":          false,
		"":                   false,
	} {
		if got := waits(call); got != want {
			t.Errorf("%q: %v", call, got)
		}
	}
	for mask, want := range map[string]bool{
		"0000000000000000": false, "0000000000010000": false, "0000000000020000": false, "0000000000004000": true, "0000000000014001": true,
	} {
		if got := pending(mask); got != want {
			t.Errorf("signals %s: %v", mask, got)
		}
	}
}

// TestFamilies checks whose process is whose.
func TestFamilies(t *testing.T) {
	all := map[int]host.Stat{}
	for _, s := range []host.Stat{
		{PID: 1}, {PID: 10, Parent: 1, Group: 10},
		{PID: 20, Parent: 10, Group: 20}, {PID: 21, Parent: 20, Group: 20}, {PID: 22, Parent: 21, Group: 22}, // a descendant with a group of its own
		{PID: 23, Parent: 1, Group: 20},  // its parent has ended
		{PID: 24, Parent: 23, Group: 24}, // a child of that one
		{PID: 30, Parent: 10, Group: 30}, {PID: 40, Parent: 1, Group: 40},
	} {
		all[s.PID] = s
	}
	got := families([]int{20, 30}, all)
	if want := map[int]int{20: 0, 21: 0, 22: 0, 23: 0, 24: 0, 30: 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
