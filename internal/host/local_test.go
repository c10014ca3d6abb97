package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/process"
	"golang.org/x/sys/unix"
)

func TestChildFacts(t *testing.T) {
	bothTables(t, func(t *testing.T) {
		leak, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // without close-on-exec
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(leak)
		r := newRig(t, Options{})
		dir := t.TempDir()
		sp := spec("facts")
		sp.Directory = dir
		sp.Umask = 0o027
		sp.Environment = append(sp.Environment, process.Env{Key: "A", Value: "b c"})
		before := syscall.Umask(0)
		syscall.Umask(before)
		f := r.spawn(sp).facts()
		if f.Umask != 0o027 {
			t.Errorf("umask %o", f.Umask)
		}
		if now := syscall.Umask(before); now != before {
			t.Errorf("own umask %o became %o", before, now)
		}
		if f.Directory != dir {
			t.Errorf("directory %q, want %q", f.Directory, dir)
		}
		if f.PGID != f.PID || f.PPID != os.Getpid() {
			t.Errorf("pid %d pgid %d ppid %d, daemon %d", f.PID, f.PGID, f.PPID, os.Getpid())
		}
		if want := []string{selfExe, "arg"}; !slices.Equal(f.Args, want) {
			t.Errorf("args %q, want %q", f.Args, want)
		}
		if want := []string{"PATH=" + os.Getenv("PATH"), "HOST_TEST_CHILD=facts", "GORACE=atexit_sleep_ms=0", "A=b c"}; !slices.Equal(f.Env, want) {
			t.Errorf("env %q, want %q", f.Env, want)
		}
		if len(f.Files) != 3 {
			t.Errorf("open descriptors %q", f.Files)
		}
		if f.Blocked != "0000000000000000" {
			t.Errorf("blocked signals %s", f.Blocked)
		}

		f = r.spawn(spec("facts")).facts()
		cwd, _ := os.Getwd()
		if f.Umask != before || f.Directory != cwd {
			t.Errorf("umask %o directory %q, want the daemon's %o %q", f.Umask, f.Directory, before, cwd)
		}
	})
}

// TestSigpipeIgnored keeps quirk C9: children ignore SIGPIPE (bit 12) and SIGXFSZ (bit 24).
func TestSigpipeIgnored(t *testing.T) {
	r := newRig(t, Options{})
	sp := spec("")
	sp.Command = "/bin/cat /proc/self/status" // a Go program would restore the defaults
	x := r.spawn(sp).spawned()
	x.exited()
	ignored := func(status string) (set uint64) {
		t.Helper()
		if _, after, ok := strings.Cut(status, "SigIgn:\t"); !ok {
			t.Fatal("no SigIgn in a status")
		} else if _, err := fmt.Sscanf(after, "%x", &set); err != nil {
			t.Fatal(err)
		}
		return set & (1<<31 - 1) // GNU make starts what it runs with 32 and 33 ignored, which belong to the C library
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	// Beside these two only what we ignore ourselves, as whoever started the test had it: nohup, for one, ignores SIGHUP.
	if ignored(x.out.String()) != ignored(string(own))|1<<12|1<<24 {
		t.Errorf("status of the child:\n%s", x.out)
	}
}

func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: processes of another user, because only root can start processes as another user")
	}
	nobody, ok := (&userDB{}).lookup(65534)
	if !ok {
		t.Skip("hidden: processes of another user, because there is no user 65534")
	}
	bothTables(t, func(t *testing.T) {
		r := newRig(t, Options{})
		// The test binary lies where nobody may not look: sh does.
		sp := spec("")
		sp.Command = `/bin/sh -c 'id -u; id -g; id -G; echo reopened > /dev/stdout; echo complaint > /dev/stderr'`
		sp.UID = 65534
		x := r.spawn(sp).spawned()
		x.exited()
		groups := strings.Trim(fmt.Sprint(nobody.groups), "[]")
		if want := fmt.Sprintf("65534\n%d\n%s\nreopened\n", nobody.gid, groups); x.out.String() != want || x.err.String() != "complaint\n" {
			t.Errorf("said %q, %q; want %q", x.out, x.err, want)
		}
		sp = spec("facts")
		sp.UID = 0 // the present user: no switch
		if f := r.spawn(sp).facts(); f.UID != 0 {
			t.Errorf("uid %d", f.UID)
		}
	})
}

func TestSupplementaryGroups(t *testing.T) {
	db := &userDB{byUID: map[int]userEntry{7: {name: "lp", uid: 7, gid: 7}}, members: map[string][]uint32{"lp": {20, 7}}}
	changed(&db.passwd, "/etc/passwd")
	changed(&db.group, "/etc/group")
	u, ok := db.lookup(7)
	if want := []uint32{7, 20, 7}; !ok || !slices.Equal(u.groups, want) {
		t.Errorf("groups %v %v, want %v", u.groups, ok, want)
	}
}

// TestStartFailures compares every text that Supervisor's child prints before it exits with 127.
func TestStartFailures(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noInterpreter := write("nointerp", "#!/no/such/interpreter\n", 0o755)
	noFormat := write("noformat", "just text\n", 0o755)
	relative := "./relative-to-the-daemon"
	closedDir := filepath.Join(dir, "closed")
	if err := os.Mkdir(closedDir, 0o700); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		root bool // only as root
		edit func(*process.Spec)
		want string
	}{
		{"no interpreter", false, func(s *process.Spec) { s.Command = noInterpreter }, "couldn't exec " + noInterpreter + ": ENOENT"},
		{"no format", false, func(s *process.Spec) { s.Command = noFormat + " x" }, "couldn't exec " + noFormat + ": ENOEXEC"},
		{"no directory", false, func(s *process.Spec) { s.Directory = "/no/such" }, "couldn't chdir to /no/such: ENOENT"},
		{"file as directory", false, func(s *process.Spec) { s.Directory = noFormat }, "couldn't chdir to " + noFormat + ": ENOTDIR"},
		{"long directory", false, func(s *process.Spec) { s.Directory = impossible }, "couldn't chdir to " + impossible + ": ENAMETOOLONG"},
		{"both wrong", false, func(s *process.Spec) { s.Directory, s.Command = "/no/such", noFormat }, "couldn't chdir to /no/such: ENOENT"},
		// compat: checked in the daemon's directory, executed in the process's own (quirk C12).
		{"relative command", false, func(s *process.Spec) { s.Directory, s.Command = "/", relative }, "couldn't exec " + relative + ": ENOENT"},
		{"unknown uid", true, func(s *process.Spec) { s.UID = 4242 }, "couldn't setuid to 4242: Can't find uid 4242"},
		{"closed directory", true, func(s *process.Spec) { s.UID, s.Directory = 65534, closedDir }, "couldn't chdir to " + closedDir + ": EACCES"},
		{"closed file", true, func(s *process.Spec) { s.UID, s.Command = 65534, write("own", "", 0o700) },
			"couldn't exec " + dir + "/own: EACCES"},
	}
	bothTables(t, func(t *testing.T) {
		t.Chdir(dir)
		write(relative, "#!/bin/sh\n", 0o755)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, Options{})
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				if c.root && os.Getuid() != 0 {
					t.Skip("hidden: this failed start of another user, because only root can start processes as another user")
				}
				for _, redirect := range []bool{false, true} {
					sp := spec("say never")
					c.edit(sp)
					sp.RedirectStderr = redirect
					x := r.spawn(sp).spawned()
					e := x.exited()
					if e.PID != x.pid || e.Status.Code != 127 || e.Status.Signal != 0 {
						t.Errorf("exit %+v, pid %d", e, x.pid)
					}
					got := x.err.String()
					if redirect {
						got = x.out.String()
					}
					if want := "supervisor: " + c.want + "\nsupervisor: child process was not spawned\n"; got != want {
						t.Errorf("said %q, want %q", got, want)
					}
				}
			})
		}
	})
}

// TestSpawnFailures compares the texts of failures before the fork.
func TestSpawnFailures(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Options{})
	for _, c := range []struct{ command, want string }{
		{"/no/such", "can't find command '/no/such'"},
		{"no-such-program x", "can't find command 'no-such-program'"},
		{dir, "command at '" + dir + "' is a directory"},
		{plain, "command at '" + plain + "' is not executable"},
		{"", "command is empty"},
		{`a 'b`, `can't parse command "a 'b": No closing quotation`},
	} {
		sp := spec("")
		sp.Command = c.command
		if got := r.spawn(sp).failed(); got != c.want {
			t.Errorf("command %q: %q, want %q", c.command, got, c.want)
		}
		var cerr *CommandError
		if err := r.Check(sp); !errors.As(err, &cerr) || cerr.Text != c.want {
			t.Errorf("Check %q: %v, want %q", c.command, err, c.want)
		}
	}
	if err := r.Check(spec("")); err != nil {
		t.Errorf("Check of a good command: %v", err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, "unknown error making dispatchers for 'p': ENOENT"},
		{&os.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, "unknown error making dispatchers for 'p': EACCES"},
		{&os.PathError{Op: "open", Path: "/x", Err: syscall.EMFILE}, "too many open files to spawn 'p'"},
	} {
		before := openFDs(t)
		r.nextID++
		x := &run{r: r, out: newSink(), err: newSink()}
		x.err.openError = c.err
		x.req = SpawnRequest{ID: r.nextID, Spec: spec("hang"), Stdout: x.out, Stderr: x.err}
		r.Spawn(x.req)
		if got := x.failed(); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
		if x.out.opened != 1 || x.out.closed != 1 || x.err.closed != 0 {
			t.Errorf("stdout opened %d closed %d, stderr closed %d", x.out.opened, x.out.closed, x.err.closed)
		}
		if after := openFDs(t); !slices.Equal(before, after) { // quirk C10
			t.Errorf("descriptors before %q, after %q", before, after)
		}
	}
}

func TestTooManyOpenFiles(t *testing.T) {
	bothTables(t, func(t *testing.T) {
		r := newRig(t, Options{})
		var fds []int
		defer func() {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}()
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 100, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		for {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				break
			}
			fds = append(fds, fd)
		}
		for i := range 9 { // whichever descriptor is the one too many
			if got := r.spawn(spec("exit 0")); i < 4 {
				if text := got.failed(); text != "too many open files to spawn 'p'" {
					t.Errorf("with %d free: %q", i, text)
				}
			} else {
				r.next("outcome", func(e Event) bool {
					f, failed := e.(SpawnFailed)
					if failed && f.Text != "too many open files to spawn 'p'" {
						t.Errorf("with %d free: %q", i, f.Text)
					}
					_, ended := e.(Exited)
					return failed || ended
				})
			}
			unix.Close(fds[len(fds)-1])
			fds = fds[:len(fds)-1]
		}
	})
}

func TestPathSearch(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(path string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, path), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a/plain", 0o644)
	write("b/plain", 0o644)
	write("b/tool", 0o644)
	write("c/tool", 0o755)
	path := []string{dir + "/a", dir + "/b/", dir + "/c"}
	file, argv, err := resolve("tool 'x y'", path)
	if err != nil || file != dir+"/c/tool" || !slices.Equal(argv, []string{"tool", "x y"}) {
		t.Errorf("tool: %q %q %v", file, argv, err) // quirk C13: the search goes on behind b/tool
	}
	if _, _, err = resolve("plain", path); err == nil || err.Text != "command at '"+dir+"/a/plain' is not executable" || err.Reason != NotExecutable {
		t.Errorf("plain: %v", err) // the first one found is named
	}
	if _, _, err = resolve("none", path); err == nil || err.Text != "can't find command 'none'" || err.Reason != NotFound {
		t.Errorf("none: %v", err)
	}
}

func TestExits(t *testing.T) {
	r := newRig(t, Options{})
	for _, c := range []struct {
		script string
		want   process.ExitStatus
	}{
		{"exit 0", process.ExitStatus{}},
		{"exit 3", process.ExitStatus{Code: 3}},
		{"exit 255", process.ExitStatus{Code: 255}},
		{"die 9", process.ExitStatus{Signal: 9}},
		{"die 15", process.ExitStatus{Signal: 15}},
	} {
		x := r.spawn(spec(c.script)).spawned()
		if e := x.exited(); e.Status != c.want || e.PID != x.pid || e.Incarnation != 1 {
			t.Errorf("%s: %+v, want %+v of %d", c.script, e, c.want, x.pid)
		}
		if x.out.opened != 1 || x.out.closed != 1 || x.err.closed != 1 {
			t.Errorf("%s: outputs opened %d, closed %d and %d times", c.script, x.out.opened, x.out.closed, x.err.closed)
		}
		if err := x.signal(process.SIGTERM, false); err != nil {
			t.Errorf("signal to a gone process: %v", err)
		}
		if err := x.write("x"); err != ErrStdinClosed {
			t.Errorf("write to a gone process: %v", err)
		}
	}
}

func TestSignals(t *testing.T) {
	r := newRig(t, Options{})
	x := r.spawn(spec("trap 10 trap 12 exit 5")).spawned()
	x.out.await(t, "trapping\n")
	if err := x.signal(10, false); err != nil {
		t.Fatal(err)
	}
	x.out.await(t, "got user defined signal 1\ntrapping\n")
	if err := x.signal(12, true); err != nil {
		t.Fatal(err)
	}
	if e := x.exited(); e.Status.Code != 5 {
		t.Errorf("exit %+v, output %q", e, x.out)
	}

	// A signal that is sent before the fork is delivered after it.
	x = r.spawn(spec("hang"))
	if err := x.signal(process.SIGKILL, false); err != nil {
		t.Fatal(err)
	}
	if e := x.spawned().exited(); e.Status.Signal != process.SIGKILL {
		t.Errorf("exit %+v", e)
	}

	// One for another incarnation is not.
	x = r.spawn(spec("hang")).spawned()
	x.req.Incarnation = 2
	if err := x.signal(process.SIGKILL, false); err != nil {
		t.Fatal(err)
	}
	x.req.Incarnation = 1
	if err := x.signal(process.SIGTERM, false); err != nil {
		t.Fatal(err)
	}
	if e := x.exited(); e.Status.Signal != process.SIGTERM {
		t.Errorf("exit %+v", e)
	}
	if err := x.signal(99, false); err != nil {
		t.Errorf("signal to a gone process: %v", err)
	}
	x = r.spawn(spec("hang")).spawned()
	if err := x.signal(99, false); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("signal 99: %v, want EINVAL", err)
	}
	x.signal(process.SIGKILL, true)
	x.exited()
}

// TestGroupSignal checks that a signal to the group reaches what the process started, and one to the process does not.
func TestGroupSignal(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	r := newRig(t, Options{})
	sp := spec("")
	sp.Command = "/bin/sh -c 'sleep 1000 & echo left $!; wait'"
	left := func(x *run) int {
		x.out.await(t, "\n")
		var pid int
		fmt.Sscanf(x.out.String(), "left %d", &pid)
		return pid
	}
	orphan := func(pid int) process.ExitStatus {
		return r.next("OrphanReaped", func(e Event) bool { o, ok := e.(OrphanReaped); return ok && o.PID == pid }).(OrphanReaped).Status
	}
	x := r.spawn(sp).spawned()
	pid := left(x)
	x.signal(process.SIGKILL, true)
	x.exited()
	if st := orphan(pid); st.Signal != process.SIGKILL {
		t.Errorf("orphan %+v", st)
	}
	x = r.spawn(sp).spawned()
	pid = left(x)
	x.signal(process.SIGKILL, false)
	x.exited()
	if err := unix.Kill(pid, 0); err != nil {
		t.Errorf("the orphan is gone: %v", err)
	}
	unix.Kill(pid, unix.SIGTERM)
	if st := orphan(pid); st.Signal != process.SIGTERM {
		t.Errorf("orphan %+v", st)
	}
}

// TestSurvivorsDoNotBlock checks that a process left behind can go on writing to the pipe of its dead parent, and that the parent's exit
// does not wait for it.
func TestSurvivorsDoNotBlock(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	before := openFDs(t)
	r := newRig(t, Options{})
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	x := r.spawn(spec("orphan await " + gate + " pour 1000000 exit 4")).spawned()
	x.exited()
	var pid int
	if _, err := fmt.Sscanf(x.out.String(), "left %d", &pid); err != nil {
		t.Fatalf("%v in %q", err, x.out)
	}
	if f, err := os.OpenFile(gate, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	} else {
		f.Close()
	}
	e := r.next("OrphanReaped", func(e Event) bool { o, ok := e.(OrphanReaped); return ok && o.PID == pid })
	if st := e.(OrphanReaped).Status; st.Code != 4 || st.Signal != 0 {
		t.Errorf("orphan %+v", st)
	}
	r.Close()
	if after := openFDs(t); !slices.Equal(before, after) {
		t.Errorf("descriptors before %q, after %q", before, after)
	}
}
