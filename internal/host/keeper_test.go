package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// keeperEnv makes this binary a keeper whose daemons are scripted; it names the script.
const keeperEnv = "HOST_TEST_KEEPER"

// scriptedDaemons are what a daemon of a scripted keeper does. It returns without a Leave to be followed by another.
var scriptedDaemons = map[string]func(l *Link){
	"asks and dies":     asksAndDies,
	"loses its keepers": losesItsKeepers,
	"leaves alone":      leavesAlone,
	"not seen":          notSeen,
	"becomes":           becomes,
	"told to end":       toldToEnd,
	"sets up again":     setsUpAgain,
	"begins anew":       beginsAnew,
}

// beKeeper is the keeper, or one of its daemons.
func beKeeper(script string) {
	l, err := Dial()
	if err != nil {
		panic(err)
	}
	if l != nil {
		scriptedDaemons[script](l)
		os.Exit(0)
	}
	environ := slices.DeleteFunc(os.Environ(), PrivateEnviron)
	o := KeeperOptions{Argv: os.Args, Environ: environ, Patience: time.Minute, Trouble: func(text string) { fmt.Println("trouble:", text) }}
	switch filepath.Base(ownProgram()) {
	case "forgets":
		panic(goBack(o, errors.New("cannot read the manifest: no memory")))
	case "hurries":
		o.Patience = 5 * time.Second
	}
	k, err := NewKeeper(o)
	if err != nil {
		panic(err)
	}
	code, _ := k.Run()
	os.Exit(code)
}

// runKeeper runs a script, and returns what keepers and daemons have printed. The programs are the keeper's, and those that take over.
func runKeeper(t *testing.T, script string, programs ...string) string {
	t.Helper()
	if len(programs) == 0 {
		programs = []string{"/proc/self/exe"}
	}
	cmd := exec.Command(programs[0])
	cmd.Env = append(os.Environ(), keeperEnv+"="+script, nextEnv+"="+strings.Join(programs[1:], ","))
	out, err := cmd.CombinedOutput()
	t.Logf("the first keeper: %v", err) // it may have been killed
	return string(out)
}

// asksAndDies asks for many processes, and dies at once. The next daemon counts those that it is told of.
func asksAndDies(l *Link) {
	const many = 200
	if l.Generation == 1 {
		if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
			panic(err)
		}
		null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		l.Ready()
		for i := range many {
			m := &spawnChild{
				life: life{process.ID(i + 1), 1}, name: "x", file: "/bin/true", argv: []string{"true"}, umask: process.UnsetMask,
				ends: childStdin | childStdout | childStderr,
			}
			l.say(m, dup(null), dup(null), dup(null))
		}
		return
	}
	l.mu.Lock()
	fmt.Println(len(l.records), "of", many)
	l.mu.Unlock()
	l.Leave(Leave{How: Over})
}

// TestKeeperAfterDeath checks that a daemon hears of everything that the one before it has asked for, also of what the keeper comes to after its death.
func TestKeeperAfterDeath(t *testing.T) {
	if out := runKeeper(t, "asks and dies"); out != "200 of 200\n" {
		t.Errorf("the second daemon: %s", out)
	}
}

// losesItsKeepers asks for processes while one keeper after the other is killed. Then it looks which of them there are.
func losesItsKeepers(l *Link) {
	const many, atOnce = 60, 4
	if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
		panic(err)
	}
	l.Ready()
	renewed, outcomes := make(chan int, 1), make(chan Event, many)
	l.Renewed(func(pid int) { renewed <- pid })
	h, err := NewLocal(Options{Link: l, Events: func(e Event) {
		switch e.(type) {
		case Spawned, SpawnFailed:
			outcomes <- e
		}
	}})
	if err != nil {
		panic(err)
	}
	mark := fmt.Sprintf("1000.%d", os.Getpid()) // seconds
	spawn := func(n int) {
		spec := &process.Spec{Name: "x", Command: "/bin/sleep " + mark, UID: process.UnsetID, Umask: process.UnsetMask}
		h.Spawn(SpawnRequest{ID: process.ID(n + 1), Incarnation: 1, Spec: spec, Environ: os.Environ()})
	}
	kills := make(chan struct{}, many)
	var killer sync.WaitGroup
	killer.Go(func() {
		for range kills {
			_ = unix.Kill(l.Keeper(), unix.SIGKILL)
			<-renewed
		}
	})
	for i := range atOnce {
		spawn(i)
	}
	pids := map[int]bool{}
	for i := range many {
		switch e := (<-outcomes).(type) {
		case Spawned:
			pids[e.PID] = true
		case SpawnFailed:
			fmt.Println("failed:", e.Text)
		}
		if i%2 == 0 {
			kills <- struct{}{}
		}
		if i+atOnce < many {
			spawn(i + atOnce)
		}
	}
	close(kills)
	killer.Wait()
	there, unknown := 0, 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, path := range lines {
		if line, err := os.ReadFile(path); err != nil || string(line) != "/bin/sleep\x00"+mark+"\x00" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if there++; !pids[pid] {
			unknown++
		}
		_ = unix.Kill(pid, unix.SIGKILL) // it has done its duty
	}
	fmt.Println(there, "processes,", unknown, "unknown,", len(pids), "told of")
	l.Leave(Leave{How: Over})
}

// TestKeepersDie checks that each process that is asked for is started once, though keepers die before, while and after they do so.
func TestKeepersDie(t *testing.T) {
	if out := runKeeper(t, "loses its keepers"); out != "60 processes, 0 unknown, 60 told of\n" {
		t.Errorf("the daemon: %s", out)
	}
}

// leavesAlone is to be replaced, and loses the keeper that it has said so to.
func leavesAlone(l *Link) {
	if l.Generation > 1 {
		fmt.Println("another goes on")
		l.Leave(Leave{How: Over})
		return
	}
	if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
		panic(err)
	}
	l.Ready()
	keeper := l.Keeper()
	if err := unix.Kill(keeper, unix.SIGSTOP); err != nil { // it takes no notice of what it is told
		panic(err)
	}
	said := make(chan struct{})
	go func() {
		l.Leave(Leave{How: Replaced})
		close(said)
	}()
	for {
		l.mu.Lock()
		left := l.left
		l.mu.Unlock()
		if left != nil {
			break
		}
		runtime.Gosched()
	}
	if err := unix.Kill(keeper, unix.SIGKILL); err != nil {
		panic(err)
	}
	<-said
}

// TestKeeperDiesAtHandover checks that a daemon that is replaced does not end before somebody knows that another has to follow.
func TestKeeperDiesAtHandover(t *testing.T) {
	if out := runKeeper(t, "leaves alone"); out != "another goes on\n" {
		t.Errorf("the daemons: %s", out)
	}
}

// setsUpAgain leaves a process that is tied to the thread that has forked it, and sees how it ends.
func setsUpAgain(l *Link) {
	if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
		panic(err)
	}
	if l.Generation == 1 {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		m := &spawnChild{
			life: life{1, 1}, name: "x", file: "/proc/self/exe", argv: []string{"x"}, env: []string{"HOST_TEST_CHILD=tie hang"}, umask: process.UnsetMask,
			ends: childStdin | childStdout,
		}
		l.say(m, dup(int(r.Fd())), dup(int(w.Fd())))
		if _, err := r.Read(make([]byte, 1)); err != nil {
			panic(err)
		}
		l.Ready()
		return
	}
	l.mu.Lock()
	told := l.records[life{1, 1}]
	l.mu.Unlock()
	_ = unix.Kill(told.pid, unix.SIGTERM) // it may have ended
	for ended := false; !ended; runtime.Gosched() {
		l.mu.Lock()
		ended = told.ended
		l.mu.Unlock()
	}
	fmt.Println(told.status)
	l.Leave(Leave{How: Over})
}

// beginsAnew takes a process over and dies before it can have noted that. The next daemon looks for itself, and gives the number to another process.
func beginsAnew(l *Link) {
	if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
		panic(err)
	}
	l.Ready()
	if l.Generation == 1 {
		cmd := exec.Command("/bin/sleep", "1000")
		in, err := cmd.StdinPipe()
		if err != nil {
			panic(err)
		}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fd, err := OpenPidfd(cmd.Process.Pid)
		if err != nil {
			panic(err)
		}
		(&keptChildren{l: l}).adopt(life{1, 1}, &There{
			Identity: Identity{PID: cmd.Process.Pid, StartTime: startTime(cmd.Process.Pid)}, Pidfd: fd, Fds: [3]int{dup(int(in.(*os.File).Fd())), -1, -1},
		})
		l.Sync()
		return
	}
	l.mu.Lock()
	left := l.records[life{1, 1}]
	l.mu.Unlock()
	count := func(pid int) int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			panic(err)
		}
		return len(list)
	}
	own, keepers := count(os.Getpid()), count(l.Keeper())
	l.Disown()
	fmt.Printf("%d, the keeper %d\n", own-count(os.Getpid()), keepers-count(l.Keeper()))
	events := make(chan Event, 9)
	h, err := NewLocal(Options{Link: l, Events: func(e Event) { events <- e }})
	if err != nil {
		panic(err)
	}
	h.Spawn(SpawnRequest{ID: 1, Incarnation: 1, Spec: &process.Spec{Name: "x", Command: "/bin/true", UID: process.UnsetID, Umask: process.UnsetMask}, Environ: os.Environ()})
	if err := unix.Kill(left.pid, unix.SIGKILL); err != nil { // its end is nobody's news
		panic(err)
	}
	for over := false; !over; {
		switch e := (<-events).(type) {
		case Exited:
			fmt.Println(e.Status)
			over = true
		case SpawnFailed:
			fmt.Printf("%+v\n", e)
			over = true
		}
	}
	l.Leave(Leave{How: Over})
}

// TestBeginsAnew checks that what a daemon has taken over, and died before it has noted it, is in nobody's way.
func TestBeginsAnew(t *testing.T) {
	if out := runKeeper(t, "begins anew"); out != "2, the keeper 3\nexit status 0\n" { // the keeper has one more to look at its end
		t.Errorf("it was %s", out)
	}
}

// TestTiedToParent checks that a process that asked to end with its parent does not end with a daemon.
func TestTiedToParent(t *testing.T) {
	if out := runKeeper(t, "sets up again"); out != "terminated by SIGTERM\n" {
		t.Errorf("it was %s", out)
	}
}

// notSeen asks for a process, and its keeper dies. What the process seems to have written by then, and ended, is kept, and it is started once more.
func notSeen(l *Link) {
	if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
		panic(err)
	}
	l.Ready()
	ended := make(chan Event, 9)
	h, err := NewLocal(Options{Link: l, Events: func(e Event) {
		if _, is := e.(Exited); is {
			ended <- e
		}
	}})
	if err != nil {
		panic(err)
	}
	keeper, out := l.Keeper(), newSink()
	if err := unix.Kill(keeper, unix.SIGSTOP); err != nil {
		panic(err)
	}
	spec := &process.Spec{Name: "x", Command: "/bin/echo two", UID: process.UnsetID, Umask: process.UnsetMask}
	h.Spawn(SpawnRequest{ID: 1, Incarnation: 1, Spec: spec, Environ: os.Environ(), Stdout: out})
	var p *proc
	for p == nil || p.sentTo.Load() == nil {
		h.mu.Lock()
		p = h.procs[1]
		h.mu.Unlock()
		runtime.Gosched()
	}
	w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", p.pipes[0].fd), os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	if _, err := w.WriteString("one\n"); err != nil {
		panic(err)
	}
	_ = w.Close() // it is a pipe
	if err := unix.Kill(keeper, unix.SIGKILL); err != nil {
		panic(err)
	}
	<-ended
	fmt.Print(out)
	l.Leave(Leave{How: Over})
}

// TestNotSeen checks that nothing is lost of what a process has written that has come and gone between two keepers.
func TestNotSeen(t *testing.T) {
	if out := runKeeper(t, "not seen"); out != "one\ntwo\n" {
		t.Errorf("its output: %q", out)
	}
}
