package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// nextEnv names the programs that take over from one another in a scripted daemon, in their order.
const nextEnv = "HOST_TEST_NEXT"

// trialOf makes a copy of this binary, by its name, a program that a keeper cannot become.
func trialOf(name string) {
	switch name {
	case "crashes":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL) // it cannot fail
	case "is silent":
		select {}
	case "is gone":
		if err := os.Chmod(ownProgram(), 0); err != nil {
			panic(err)
		}
	}
}

// becomes has its keeper become one program after the other. At the end the children are there, and how they end is known.
func becomes(l *Link) {
	next := strings.Split(os.Getenv(nextEnv), ",")
	if l.Generation == 1 {
		if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
			panic(err)
		}
		for i := range 3 {
			null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				panic(err)
			}
			l.say(&spawnChild{
				life: life{process.ID(i + 1), 1}, name: "x", file: "/bin/sleep", argv: []string{"sleep", "1000"}, umask: process.UnsetMask,
				ends: childStdin | childStdout | childStderr,
			}, dup(null), dup(null), null)
		}
		l.Sync()
	}
	l.Ready()
	for l.KeeperState().Changing { // in between these are passed on to nobody, and end nobody
		_ = unix.Kill(l.Keeper(), unix.SIGHUP)
		_ = unix.Kill(l.Keeper(), unix.SIGUSR2)
		select {
		case <-l.Signals():
		case <-time.After(time.Millisecond):
		}
	}
	for _, sig := range passedOn {
		send(l, sig.(unix.Signal))
	}
	if l.Generation > 1 {
		s := l.KeeperState()
		fmt.Println(filepath.Base(s.Program), strings.ReplaceAll(s.Failed, filepath.Dir(s.Program)+"/", ""))
	}
	if l.Generation <= len(next) {
		l.Leave(Leave{How: Replaced, Binary: next[l.Generation-1]})
		return
	}
	var told []*record
	l.mu.Lock()
	for _, r := range l.records {
		told = append(told, r)
	}
	l.mu.Unlock()
	for _, r := range told {
		if stat, err := ReadStat(r.pid); err != nil || stat.Parent != l.Keeper() {
			fmt.Println("a process is nobody's child", stat.Parent, err)
		}
		_ = unix.Kill(r.pid, unix.SIGTERM) // it is there, or the end is not known in this way
	}
	for _, r := range told {
		for ended := false; !ended; runtime.Gosched() {
			l.mu.Lock()
			ended = r.ended
			l.mu.Unlock()
		}
		fmt.Println("ended by", r.status.Signal)
	}
	l.Leave(Leave{How: Over})
}

// send sends a signal to the keeper and waits until the daemon is told of that.
func send(l *Link, sig unix.Signal) {
	if err := unix.Kill(l.Keeper(), sig); err != nil {
		panic(err)
	}
	late := time.After(20 * time.Second)
	for {
		select {
		case got := <-l.Signals():
			if got == sig {
				return
			}
		case <-late:
			fmt.Println("lost", sig)
			return
		}
	}
}

// toldToEnd has its keeper become one program after the other, and sends it TERM all the time: each arrives, also if it kills the keeper.
func toldToEnd(l *Link) {
	next := strings.Split(os.Getenv(nextEnv), ",")
	if l.Generation == 1 {
		if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
			panic(err)
		}
	}
	l.Ready()
	for l.KeeperState().Changing {
		send(l, unix.SIGTERM)
	}
	if l.Generation <= len(next) {
		l.Leave(Leave{How: Replaced, Binary: next[l.Generation-1]})
		return
	}
	fmt.Println(l.Generation, "daemons")
	l.Leave(Leave{How: Over})
}

// TestTermWhileBecoming checks that a keeper's TERM counts at any moment.
func TestTermWhileBecoming(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	copyProgram(t, one)
	copyProgram(t, two)
	if out := runKeeper(t, "told to end", one, two, one, two, one, two, one); out != "7 daemons\n" {
		t.Errorf("the daemons: %s", out)
	}
}

// TestBecome has keepers become other programs again and again, and such as cannot.
func TestBecome(t *testing.T) {
	ends := "ended by SIGTERM\nended by SIGTERM\nended by SIGTERM\n"
	for _, tt := range []struct {
		name  string
		names []string
		want  string
	}{
		{"again and again", slices.Repeat([]string{"one", "two"}, 6), "two \n" + strings.Repeat("one \ntwo \n", 5)},
		{"crashes", []string{"one", "crashes", "two"}, "one crashes cannot take its place (terminated by SIGKILL)\ntwo \n"},
		{"is gone", []string{"one", "is gone"}, "one cannot execute is gone: permission denied\n"},
		{"is silent", []string{"hurries", "is silent"}, "hurries is silent did not say in time whether it can take its place\n"},
		{"goes back", []string{"one", "forgets", "two"}, "one forgets: cannot read the manifest: no memory\ntwo \n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var next []string
			for _, name := range tt.names {
				path := filepath.Join(dir, name)
				if !slices.Contains(next, path) {
					copyProgram(t, path)
				}
				next = append(next, path)
			}
			if out := runKeeper(t, "becomes", next...); out != tt.want+ends {
				t.Errorf("got\n%s\nwant\n%s", out, tt.want+ends)
			}
		})
	}
}

// copyProgram makes a file of its own with this program.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }() // only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, from); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWireAtRest carries a wire over that has more to say than the socket takes, and half a message with a descriptor that came in.
func TestWireAtRest(t *testing.T) {
	w, fd, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newWire(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	const many = 5000
	for i := range many / 2 {
		w.send(&trouble{strings.Repeat("x", i)}, dup(0))
	}
	in := frame(nil, &rights{1}, 0)
	in = frame(in, &keep{key: "whole"}, 1)
	in = frame(in, &rights{1}, 0)
	in = frame(in, &keep{key: "half"}, 1)
	if _, _, err := other.conn.WriteMsgUnix(in[:len(in)-2], unix.UnixRights(0, 0), nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	took := make(chan struct{})
	rested := make(chan error)
	go func() {
		rested <- w.receive(func(m message, fds []int) {
			got = append(got, fmt.Sprint(m.(*keep).key, " ", len(fds)))
			closeAll(fds)
			close(took)
		})
	}()
	<-took
	w.pause()
	if err := <-rested; err != errPaused {
		t.Fatal(err)
	}
	for i := many / 2; i < many; i++ {
		w.send(&trouble{strings.Repeat("x", i)}, dup(0))
	}

	k := emptyKeeper(KeeperOptions{})
	k.binary = os.Stdin
	m := k.manifest(w)
	file, err := m.memory()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // only read
	next := emptyKeeper(KeeperOptions{})
	l, err := next.read(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if len(l.queue) < many/2 {
		t.Fatalf("%d pieces wait, the socket has taken the rest", len(l.queue))
	}
	heir, err := newWire(dup(l.link))
	if err != nil {
		t.Fatal(err)
	}
	defer heir.close()
	w.queue = nil // what is in it is the heir's
	w.close()
	heir.in, heir.queue = l.in, l.queue
	heir.proceed()

	n, all := 0, make(chan struct{})
	go func() {
		_ = other.receive(func(m message, fds []int) { // until it is closed
			if text := m.(*trouble).text; len(text) != n || len(fds) != 1 {
				t.Errorf("message %d has %d bytes and %d descriptors", n, len(text), len(fds))
			}
			closeAll(fds)
			if n++; n == many {
				close(all)
			}
		})
	}()
	<-all
	if _, _, err := other.conn.WriteMsgUnix(in[len(in)-2:], nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := other.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	err = heir.receive(func(m message, fds []int) {
		got = append(got, fmt.Sprint(m.(*keep).key, " ", len(fds)))
		closeAll(fds)
	})
	if err != nil || !slices.Equal(got, []string{"whole 1", "half 1"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestManifest reads manifests that are not as they were made.
func TestManifest(t *testing.T) {
	k := emptyKeeper(KeeperOptions{})
	k.binary = os.Stdin
	k.children[life{1, 2}] = &child{life: life{1, 2}, pid: 3, pidfd: 4, fds: [3]int{-1, 5, 6}, token: 7}
	k.children[life{2, 1}] = &child{life: life{2, 1}, pid: 8, pidfd: -1, fds: [3]int{-1, -1, -1}, foreign: true}
	k.held["key"] = holding{"note", []int{9, 10}}
	k.asked = []int{int(unix.SIGHUP)}
	good := k.manifest(nil).data
	later := append(frame(nil, &estate{version: manifestVersion + 1}, 0), frame(nil, &complete{}, 0)...)
	odd := append(frame(nil, unknown(200), 0), good...)
	for _, tt := range []struct {
		name string
		data []byte
		bad  bool
	}{
		{"whole", good, false}, {"with what is not known", odd, false}, {"cut off", good[:len(good)-1], true}, {"without an end", good[:len(good)-headerSize], true},
		{"empty", nil, true}, {"of a later version", later, true}, {"noise", slices.Repeat([]byte{255}, 100), true},
	} {
		file, err := (&manifest{data: tt.data}).memory()
		if err != nil {
			t.Fatal(err)
		}
		next := emptyKeeper(KeeperOptions{})
		l, err := next.read(int(file.Fd()))
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if (err != nil) != tt.bad {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.bad {
			continue
		}
		c, own := next.children[life{1, 2}], next.byPID[3]
		if c == nil || own != c || c.pidfd != 4 || c.fds != [3]int{-1, 5, 6} || c.token != 7 || len(next.byPID) != 1 || len(l.fds) != 2+3+2 {
			t.Errorf("%s: %+v, %+v", tt.name, c, l)
		}
		if f := next.children[life{2, 1}]; f == nil || !f.foreign || !slices.Equal(next.held["key"].fds, []int{9, 10}) || !slices.Equal(next.asked, k.asked) {
			t.Errorf("%s: %+v, %v, %v", tt.name, f, next.held, next.asked)
		}
	}
}

// TestFloodOfSignals checks that one signal that comes many times drops no other.
func TestFloodOfSignals(t *testing.T) {
	l := &Link{signals: make(chan syscall.Signal, 16)}
	for range 100 {
		l.signalled(unix.SIGHUP)
	}
	l.signalled(unix.SIGTERM)
	for range 100 {
		l.signalled(unix.SIGUSR2)
	}
	got := map[syscall.Signal]bool{}
	for len(l.signals) > 0 {
		got[<-l.signals] = true
	}
	for _, s := range []syscall.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGUSR2} {
		if !got[s] {
			t.Errorf("%v is lost", s)
		}
	}
}

// TestNoDaemonToBecomeWith checks that a keeper becomes no other program when its daemon has ended just before: the end is known to this program alone.
func TestNoDaemonToBecomeWith(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "no program"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, other, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	defer w.close()
	k, d := emptyKeeper(KeeperOptions{Argv: []string{file.Name()}}), newGeneration(1)
	k.binary, k.wire = file, w
	if err := k.exec(w, d); err == nil || errors.Is(err, errAlone) {
		t.Fatalf("with a daemon: %v", err)
	}
	d.gone = true
	if err := k.exec(w, d); !errors.Is(err, errAlone) {
		t.Errorf("without one: %v", err)
	}
}
