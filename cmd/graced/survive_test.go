package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// mates returns the keepers and daemons, of whatever generation, that have a word with the prefix in their command line: a path of the test's own.
func mates(prefix string) []int { return find(withWord(prefix)) }

// nobody reports whether there is neither keeper nor daemon. One look may find none: when one starts another and ends while the list is read.
func (r *rig) nobody() bool {
	for range 10 {
		if len(mates(r.dir)) > 0 {
			return false
		}
		<-time.After(10 * time.Millisecond)
	}
	return true
}

// killMates kills keeper and daemon at the same moment, as far as that is possible.
func killMates(prefix string) { killAll(withWord(prefix)) }

func withWord(prefix string) func(int, []string) bool {
	return func(_ int, words []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, prefix) })
	}
}

// find returns the keepers and daemons that a test has started, by their command lines.
func find(mine func(pid int, words []string) bool) (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		words := strings.Split(string(line), "\x00")
		if name := filepath.Base(words[0]); name != "graced" && name != "supervisord" {
			continue
		}
		if pid, _ := strconv.Atoi(filepath.Base(dir)); mine(pid, words) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killAll kills them all. They are dead afterwards, and hold nothing: one that is dying has no command line any more, and its locks still.
func killAll(mine func(pid int, words []string) bool) {
	killed := map[int]uint64{} // when each was started
	for {
		list := find(mine)
		if len(list) == 0 {
			break
		}
		for _, pid := range list {
			if stat, err := host.ReadStat(pid); err == nil {
				killed[pid] = stat.StartTime
			}
		}
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} { // none of them shall start another
			for _, pid := range list {
				_ = syscall.Kill(pid, sig) // it may have ended
			}
		}
	}
	for pid, start := range killed {
		for alive(pid, start) {
			<-time.After(time.Millisecond)
		}
	}
}

// alive reports whether a process that was started at that moment lives, or is dying.
func alive(pid int, start uint64) bool {
	stat, err := host.ReadStat(pid)
	return err == nil && stat.StartTime == start && stat.State != 'Z' && stat.State != 'X'
}

// daemonPID returns the pid of the daemon, whose keeper is in the pid file.
func (r *rig) daemonPID() int {
	r.t.Helper()
	keeper := r.keeperPID()
	for _, pid := range mates(r.dir) {
		if pid != keeper {
			return pid
		}
	}
	return 0
}

func (r *rig) keeperPID() int {
	text, err := os.ReadFile(filepath.Join(r.dir, "s.pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// killDaemon kills the daemon and waits for the next one.
func (r *rig) killDaemon() {
	r.t.Helper()
	old := 0
	r.until("there is a daemon", func() bool { old = r.daemonPID(); return old != 0 })
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	r.until("another daemon answers", func() bool {
		if now := r.daemonPID(); now == 0 || now == old {
			return false
		}
		_, err := r.Daemon(r.t.Context())
		return err == nil
	})
}

// killKeeper kills the keeper and waits for the next one.
func (r *rig) killKeeper() {
	r.t.Helper()
	old := r.keeperPID()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	r.until("another keeper is there", func() bool { now := r.keeperPID(); return now != 0 && now != old })
	info, err := r.Daemon(r.t.Context())
	if err != nil || info.PID != r.keeperPID() {
		r.t.Errorf("the daemon says pid %d, the file %d: %v", info.PID, r.keeperPID(), err)
	}
}

// lines is a program that writes numbered lines as fast as a shell does.
const lines = `[program:lines]
command=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo line $i; done'
stopasgroup=true
stdout_logfile=%(here)s/lines.log
stdout_logfile_maxbytes=0
startsecs=0
`

// countLines checks that a log has the numbered lines from 1 on, each once, the last perhaps torn, and returns how many.
func countLines(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		n++
		if want := fmt.Sprintf("line %d", n); string(line) != want && !strings.HasPrefix(want, string(line)) {
			t.Fatalf("line %d is %q", n, line)
		}
	}
	return n
}

// TestKilledDaemon kills the daemon again and again, and the keeper: no process is restarted, none is lost sight of, no line of output is lost
// or doubled, and what ends meanwhile is known.
func TestKilledDaemon(t *testing.T) {
	r := newRig(t, lines+"[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=5\nprocess_name=a_%(process_num)d\n"+
		"[program:once]\ncommand=/bin/sh -c 'read go; exit 7'\nautorestart=false\nstartsecs=0\n"+
		"[program:stopped]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	pids := func() map[string]int {
		out := map[string]int{}
		list, _ := r.Processes(t.Context()) // a daemon that is killed answers nobody
		for _, p := range list {
			if p.State == process.Running {
				out[p.Name] = p.PID
			}
		}
		return out
	}
	r.until("all run", func() bool { return len(pids()) == 8 })
	if _, err := r.Stop(t.Context(), control.Target{Name: "stopped"}, true); err != nil {
		t.Fatal(err)
	}
	before := pids()
	same := func(when string) {
		t.Helper()
		now := pids()
		for name, pid := range before {
			if now[name] != pid {
				t.Errorf("%s: %s had pid %d and has %d", when, name, pid, now[name])
			}
		}
		if s := r.infos()["stopped"].State; s != process.Stopped {
			t.Errorf("%s: what was stopped is %v", when, s)
		}
	}
	for range 3 {
		r.killDaemon()
	}
	same("after three daemons")
	r.killKeeper()
	same("after a keeper")
	r.killDaemon()
	same("after the daemon that had lost its keeper")

	if err := r.WriteStdin(t.Context(), "once", []byte("go\n")); err != nil {
		t.Fatal(err)
	}
	r.until("once has ended", func() bool { return r.infos()["once"].State == process.Exited })
	if got := r.infos()["once"].ExitStatus; got != 7 {
		t.Errorf("once ended with %d", got)
	}
	delete(before, "once")

	old := r.daemonPID()
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(before["a_0"], syscall.SIGTERM); err != nil { // nobody looks
		t.Fatal(err)
	}
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("a_0 lives again", func() bool { pid := pids()["a_0"]; return pid != 0 && pid != before["a_0"] })
	delete(before, "a_0")
	same("after a death that nobody saw")
	if n := countLines(t, filepath.Join(r.dir, "lines.log")); n < 1000 {
		t.Errorf("%d lines", n)
	}
	if _, err := r.Stop(t.Context(), control.Target{Name: "lines"}, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lines", countLines(t, filepath.Join(r.dir, "lines.log")))
}

// TestFrozenDaemon kills the keeper of a daemon that is stopped, to which the kernel sends SIGHUP then: nothing is restarted.
func TestFrozenDaemon(t *testing.T) {
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.until("it runs", func() bool { return r.infos()["a"].State == process.Running })
	pid, daemon := r.infos()["a"].PID, r.daemonPID()
	if err := syscall.Kill(daemon, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.until("it is stopped", func() bool { // the kernel wakes nobody who is only about to be
		stat, err := host.ReadStat(daemon)
		return err == nil && stat.State == 'T'
	})
	r.killKeeper() // SIGCONT follows the SIGHUP
	if now := r.infos()["a"]; now.PID != pid || now.State != process.Running {
		t.Errorf("it is %v with pid %d, and had %d", now.State, now.PID, pid)
	}
	if _, err := r.Stop(t.Context(), control.Target{All: true}, true); err != nil { // behind whatever a signal has begun
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "s.log"))
	if err != nil || strings.Contains(string(log), "SIGHUP") {
		t.Errorf("the log says: %s (%v)", log, err)
	}
}

// TestUpgrade replaces the daemon by itself, by a copy of its program, and by programs that are none: no process is restarted, no line is lost, no
// client is turned away.
func TestUpgrade(t *testing.T) {
	r := newRig(t, lines+"[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=20\nprocess_name=a_%(process_num)d\n")
	r.until("all run", func() bool {
		n := 0
		for _, p := range r.infos() {
			if p.State == process.Running {
				n++
			}
		}
		return n == 21
	})
	before, keeper := r.infos(), r.keeperPID()
	stop, asked := make(chan struct{}), make(chan error, 1)
	go func() { // a client that never stops asking, with a new connection each time
		for n := 0; ; n++ {
			select {
			case <-stop:
				t.Logf("%d questions", n)
				asked <- nil
				return
			default:
			}
			if _, err := r.Processes(t.Context()); err != nil {
				asked <- err
				return
			}
		}
	}()
	next := filepath.Join(r.dir, "next")
	copyFile(t, filepath.Join(r.bin, "graced"), next)
	for _, tt := range []struct{ program, want string }{
		{"", "upgraded: daemon "}, {next, "(" + next + ")"}, {"/bin/false", "/bin/false was not ready (exit status 1)"},
		{"/bin/true", "/bin/true was not ready (exit status 0)"}, {r.dir, "not upgraded: " + r.dir + ": it is a directory\n  nothing has been changed"}, {"", "(" + next + ")"},
		{"/nope", "error[E319]: not upgraded: /nope: no such file or directory\n"}, {r.path("s.conf"), "it is not executable: its mode is 0"},
	} {
		args := []string{"upgrade"}
		if tt.program != "" {
			args = append(args, tt.program)
		}
		if out, code := r.ctl("gracectl", args...); !strings.Contains(out, tt.want) || (code == 0) != strings.HasPrefix(out, "upgraded") {
			t.Errorf("upgrade %s: exit %d, %s; want %q", tt.program, code, out, tt.want)
		}
	}
	for _, program := range []string{"/bin/false was not ready (exit status 1)", "/bin/true was not ready (exit status 0)"} {
		if want := "ERRO not upgraded: " + program + "; the program before, " + next + ", goes on, and no process was restarted\n"; strings.Count(r.read("s.log"), want) != 1 {
			t.Errorf("the log does not say %q once", want)
		}
	}
	close(stop)
	if err := <-asked; err != nil {
		t.Errorf("a question was not answered: %v", err)
	}
	for name, p := range r.infos() {
		if p.PID != before[name].PID {
			t.Errorf("%s had pid %d and has %d", name, before[name].PID, p.PID)
		}
	}
	if now := r.keeperPID(); now != keeper {
		t.Errorf("the keeper was %d and is %d", keeper, now)
	}
	if _, err := r.Stop(t.Context(), control.Target{Name: "lines"}, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lines", countLines(t, filepath.Join(r.dir, "lines.log")))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestBothKilled kills keeper and daemon at once. The next start takes back what lives, by its start time and its pipes, starts anew what has died
// meanwhile, and does what the files say by then.
func TestBothKilled(t *testing.T) {
	conf := func(n int, rest string) string {
		return lines + fmt.Sprintf("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=%d\nprocess_name=a_%%(process_num)d\n", n) +
			"[program:dies]\ncommand=/bin/sleep 1001\nstartsecs=0\nautorestart=false\n" + rest
	}
	r := newRig(t, conf(3, "[program:gone]\ncommand=/bin/sleep 1000\nstartsecs=0\n[program:auto]\ncommand=/bin/sh -c 'echo one; exec sleep 1000'\nstartsecs=0\n"))
	running := func() map[string]int {
		out := map[string]int{}
		list, _ := r.Processes(t.Context()) // nobody may be there
		for _, p := range list {
			if p.State == process.Running {
				out[p.Name] = p.PID
			}
		}
		return out
	}
	r.until("all run", func() bool { return len(running()) == 7 })
	before := running()
	auto := r.files("auto-stdout---*")
	killMates(r.dir)
	err := <-r.exited
	r.exited <- err
	if err := syscall.Kill(before["dies"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.launch(nil, conf(4, "[program:auto]\ncommand=/bin/sh -c 'echo one; exec sleep 1000'\nstartsecs=0\n"))
	r.until("what the files say runs", func() bool { now := running(); return len(now) == 7 && now["a_3"] != 0 && now["dies"] != 0 })
	now := running()
	for _, name := range []string{"lines", "a_0", "a_1", "a_2", "auto"} {
		if now[name] != before[name] {
			t.Errorf("%s had pid %d and has %d", name, before[name], now[name])
		}
	}
	r.until("gone has gone", func() bool { return syscall.Kill(before["gone"], 0) != nil })
	if now := r.files("auto-stdout---*"); !slices.Equal(now, auto) {
		t.Errorf("the AUTO log was %q and is %q", auto, now)
	}
	r.killDaemon() // what was taken back is known to those that come
	if err := syscall.Kill(before["a_1"], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("a_1 lives again", func() bool { pid := running()["a_1"]; return pid != 0 && pid != before["a_1"] })
	if _, err := r.Stop(t.Context(), control.Target{Name: "lines"}, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lines", countLines(t, filepath.Join(r.dir, "lines.log")))
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if left := r.files("*.ledger*"); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

// TestBothKilledAtStart kills keeper and daemon when the one has started a process and the other has not heard of it: the next start takes it back.
func TestBothKilledAtStart(t *testing.T) {
	mark := fmt.Sprintf("1000.%d", os.Getpid())
	conf := "[program:late]\ncommand=/bin/sleep " + mark + "\nstartsecs=0\nautostart=false\n"
	r := newRig(t, conf)
	there := func() (pids []string) {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
		for _, path := range lines {
			if line, err := os.ReadFile(path); err == nil && string(line) == "/bin/sleep\x00"+mark+"\x00" {
				pids = append(pids, filepath.Base(filepath.Dir(path)))
			}
		}
		return pids
	}
	keeper, daemon := r.keeperPID(), r.daemonPID()
	stop := func(pid int, sig syscall.Signal) {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	stop(keeper, syscall.SIGSTOP)
	var asked sync.WaitGroup
	asked.Go(func() { _, _ = r.Start(t.Context(), control.Target{Name: "late"}, false) }) // nobody will answer
	r.until("it was asked for", func() bool { return r.infos()["late"].State == process.Starting })
	if _, err := r.Daemon(t.Context()); err != nil { // what the keeper is told is on its way by then
		t.Fatal(err)
	}
	stop(daemon, syscall.SIGSTOP)
	stop(keeper, syscall.SIGCONT)
	r.until("it is there", func() bool { return len(there()) == 1 })
	pids := there()
	killMates(r.dir)
	asked.Wait()
	err := <-r.exited
	r.exited <- err
	r.launch(nil, conf)
	r.until("it runs", func() bool { return r.infos()["late"].State == process.Running })
	if now := there(); !slices.Equal(now, pids) || fmt.Sprint(r.infos()["late"].PID) != pids[0] {
		t.Errorf("there were %v, and there are %v, known as %d", pids, now, r.infos()["late"].PID)
	}
}

// TestBothKilledWhileStopping kills keeper and daemon while processes take their time to end: whose stop was half of something starts again once it has ended,
// and what somebody has stopped stays so.
func TestBothKilledWhileStopping(t *testing.T) {
	t.Parallel()
	conf := func(setting string) (text string) {
		for _, name := range []string{"restarted", "replaced", "stopped", "released"} {
			of := ""
			if name == "replaced" {
				of = "environment=A=" + setting + "\n"
			}
			text += "[program:" + name + "]\ncommand=/bin/sh -c 'trap \"\" TERM; : > %(here)s/up.$$; until [ -e %(here)s/ends.$$ ]; do sleep .05; done'\nstopwaitsecs=1000\nstartsecs=0\n" + of
		}
		return text
	}
	r := newRig(t, conf("1"))
	before := r.allRun(4)
	r.until("all of them ignore TERM", func() bool { return len(r.files("up.*")) == 4 })
	let := func(name string) { r.put(fmt.Sprintf("ends.%d", before[name]), "") }
	t.Cleanup(func() {
		for name := range before {
			let(name)
		}
	})
	var asked sync.WaitGroup
	asked.Go(func() {
		_, _ = r.Act(t.Context(), control.ActRequest{Verb: control.ActRestart, Names: []string{"restarted"}})
	}) // nobody will answer, as with the next
	asked.Go(func() { _, _ = r.Stop(t.Context(), control.Target{Name: "stopped"}, true) })
	asked.Go(func() {
		_, _ = r.Act(t.Context(), control.ActRequest{Verb: control.ActRestart, Names: []string{"released"}, Rolling: true})
	})
	r.write(conf("2"))
	_, err := r.Update(t.Context(), control.UpdateRequest{Groups: []string{"replaced"}})
	r.must(err)
	all := func(state process.State) bool {
		for _, p := range r.infos() {
			if p.State != state {
				return false
			}
		}
		return true
	}
	r.until("all are to end", func() bool { return all(process.Stopping) })
	killMates(r.dir)
	asked.Wait()
	<-r.exited
	r.startAgain(nil)
	r.until("all were taken back", func() bool { _, err := r.Daemon(t.Context()); return err == nil && all(process.Stopping) })
	for name := range before {
		let(name)
	}
	r.until("all have ended", func() bool {
		n := 0
		for name, p := range r.infos() {
			if p.PID != before[name] && (p.State == process.Running || p.State == process.Stopped) {
				n++
			}
		}
		return n == 4
	})
	for name, p := range r.infos() {
		if want := map[bool]process.State{false: process.Running, true: process.Stopped}[name == "stopped"]; p.State != want {
			t.Errorf("%s is %v, not %v", name, p.State, want)
		}
	}
	for name, p := range r.infos() { // for the end
		before[name] = p.PID
	}
}

// TestBothKilledWhileRestarting: what was being restarted starts again also if it has ended before anybody is there again, or its turn to start had not come,
// and the files do not start it.
func TestBothKilledWhileRestarting(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:slow]\ncommand=/bin/sh -c 'trap \"\" TERM; : > %(here)s/up; until [ -e %(here)s/ends.$$ ]; do sleep .05; done'\nstopwaitsecs=1000\nstartsecs=0\nautostart=false\n"+
		"[program:idle]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n[program:stopped]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n")
	for _, name := range []string{"slow", "idle", "stopped"} {
		_, err := r.Start(t.Context(), control.Target{Name: name}, true)
		r.must(err)
	}
	r.until("it ignores TERM", func() bool { return len(r.files("up")) == 1 })
	slow := r.infos()["slow"].PID
	_, err := r.Stop(t.Context(), control.Target{Name: "stopped"}, true)
	r.must(err)
	var asked sync.WaitGroup
	asked.Go(func() {
		_, _ = r.Act(t.Context(), control.ActRequest{Verb: control.ActRestart, Names: []string{"slow", "idle"}})
	}) // nobody will answer
	r.until("one has stopped, and one is to", func() bool {
		now := r.infos()
		return now["slow"].State == process.Stopping && now["idle"].State == process.Stopped
	})
	killMates(r.dir)
	asked.Wait()
	<-r.exited
	r.put(fmt.Sprintf("ends.%d", slow), "")
	r.until("it has ended", func() bool { _, err := host.ReadStat(slow); return err != nil })
	r.startAgain(nil)
	r.until("what was being restarted runs", func() bool {
		now := r.infos()
		return now["slow"].State == process.Running && now["idle"].State == process.Running
	})
	if now := r.infos()["stopped"]; now.State != process.Stopped {
		t.Errorf("what was stopped is %v", now.State)
	}
	r.put(fmt.Sprintf("ends.%d", r.infos()["slow"].PID), "")
}

// TestUnwritten lets a process end while nothing can be written down: that is not forgotten by a daemon that is replaced, which waits for room, nor by
// one that is killed.
func TestUnwritten(t *testing.T) {
	r := newRig(t, "[program:once]\ncommand=/bin/sh -c 'read go; exit 7'\nautorestart=false\nstartsecs=0\n")
	r.until("it runs", func() bool { return r.infos()["once"].State == process.Running })
	daemon := r.daemonPID()
	var old unix.Rlimit
	if err := unix.Prlimit(daemon, unix.RLIMIT_FSIZE, &unix.Rlimit{Max: unix.RLIM_INFINITY}, &old); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteStdin(t.Context(), "once", []byte("go\n")); err != nil {
		t.Fatal(err)
	}
	r.until("it has ended", func() bool { return r.infos()["once"].State == process.Exited })
	if out, code := r.ctl("gracectl", "upgrade"); code == 0 || !strings.Contains(out, "cannot be written down") || r.daemonPID() != daemon {
		t.Errorf("upgrade: exit %d, %s", code, out)
	}
	r.killDaemon()
	r.until("the next one knows", func() bool { return r.infos()["once"].State == process.Exited })
	if info := r.infos()["once"]; info.ExitStatus != 7 {
		t.Errorf("it ended with %d: %s", info.ExitStatus, info.Description)
	}
}

// upgrade has another daemon take over, from a program or from what is there now, and waits until the keeper has decided what it runs.
func (r *rig) upgrade(program string) control.Doctor {
	r.t.Helper()
	args := []string{"upgrade"}
	if program != "" {
		args = append(args, program)
	}
	if out, code := r.ctl("gracectl", args...); code != 0 {
		r.t.Fatalf("upgrade %s: exit %d, %s", program, code, out)
	}
	now, err := r.Doctor(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return now
}

// running returns the pids of what runs, by name.
func (r *rig) running() map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for name, p := range r.infos() {
		if p.State == process.Running {
			out[name] = p.PID
		}
	}
	return out
}

// parentOf returns the parent of a process.
func parentOf(pid int) int {
	stat, err := host.ReadStat(pid)
	if err != nil {
		return 0
	}
	return stat.Parent
}

// openIn counts the descriptors of a process.
func openIn(pid int) int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // it may have ended
	return len(list)
}

// TestUpgradeKeeper has the keeper become other programs: it stays the process that it is, and the parent of all.
func TestUpgradeKeeper(t *testing.T) {
	r := newRig(t, lines+"[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=5\nprocess_name=a_%(process_num)d\n"+
		"[program:once]\ncommand=/bin/sh -c 'read go; exit 7'\nautorestart=false\nstartsecs=0\nnumprocs=3\nprocess_name=once_%(process_num)d\n")
	r.until("all run", func() bool { return len(r.running()) == 9 })
	before, keeper := r.running(), r.keeperPID()
	same := func(when string) {
		t.Helper()
		now := r.running()
		for name, pid := range before {
			if now[name] != pid {
				t.Errorf("%s: %s had pid %d and has %d", when, name, pid, now[name])
			}
		}
	}
	runs := func(program string, d control.Doctor) {
		t.Helper()
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", keeper)) // it is compared
		if exe != program || d.KeeperBinary != program || d.Binary != program || d.KeeperPID != keeper || r.keeperPID() != keeper || d.KeeperFailed != "" {
			t.Errorf("keeper %d runs %s, not %s; the pid file says %d, the daemon %+v", keeper, exe, program, r.keeperPID(), d)
		}
		same("with " + filepath.Base(program))
	}
	ends := func(name string) {
		t.Helper()
		group := strings.TrimRight(name, "_012")
		if err := r.WriteStdin(t.Context(), group+":"+name, []byte("go\n")); err != nil {
			t.Fatal(err)
		}
		r.until(name+" has ended", func() bool { return r.infos()[name].State == process.Exited })
		if got := r.infos()[name].ExitStatus; got != 7 {
			t.Errorf("%s ended with %d", name, got)
		}
		delete(before, name)
	}
	var programs []string
	for _, name := range []string{"one", "two", "three"} {
		programs = append(programs, filepath.Join(r.dir, name))
		copyFile(t, filepath.Join(r.bin, "graced"), filepath.Join(r.dir, name))
	}
	first := r.upgrade(programs[0])
	runs(programs[0], first)
	for name, pid := range before {
		if parent := parentOf(pid); parent != keeper {
			t.Errorf("%s is a child of %d, not of %d", name, parent, keeper)
		}
	}
	ends("once_0")
	if err := syscall.Kill(before["a_0"], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("a_0 lives again", func() bool { pid := r.running()["a_0"]; return pid != 0 && pid != before["a_0"] })
	before["a_0"] = r.running()["a_0"]
	held, had := openIn(keeper), openIn(first.DaemonPID)
	runs(programs[1], r.upgrade(programs[1]))
	second := r.upgrade(programs[2])
	runs(programs[2], second)
	r.until("keeper and daemon hold what they held before", func() bool { return openIn(keeper) <= held && openIn(second.DaemonPID) <= had })
	if last := r.upgrade(""); last.Generation != first.Generation+3 {
		t.Errorf("the daemon was started %d times, not 3", last.Generation-first.Generation)
	}

	r.killDaemon()
	same("after the death of the daemon")
	r.killKeeper()
	keeper = r.keeperPID()
	same("after the death of the keeper")
	runs(programs[0], r.upgrade(programs[0]))
	ends("once_1")

	// The package is replaced: the same name, another file.
	next := programs[0] + ".new"
	copyFile(t, filepath.Join(r.bin, "graced"), next)
	if err := os.Rename(next, programs[0]); err != nil {
		t.Fatal(err)
	}
	runs(programs[0], r.upgrade(""))
	ends("once_2")
	r.killDaemon()
	same("at the end")
	if _, err := r.Stop(t.Context(), control.Target{Name: "lines"}, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lines", countLines(t, filepath.Join(r.dir, "lines.log")))
	if err := r.end(); err != nil && !strings.Contains(err.Error(), "killed") { // of the first keeper
		t.Error(err)
	}
}

// TestUpgradeToNoKeeper upgrades to programs that make good daemons and no keeper: it goes on as it is, and says so.
func TestUpgradeToNoKeeper(t *testing.T) {
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.until("it runs", func() bool { return r.infos()["a"].State == process.Running })
	pid, keeper := r.infos()["a"].PID, r.keeperPID()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", keeper))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, script, want string }{
		{"wraps", `exec %s "$@"`, "cannot take its place (exit status 2)"},
		{"crashes", `test $# -eq 1 && kill -9 $$; exec %s "$@"`, "cannot take its place (terminated by SIGKILL)"},
		{"agrees", `test $# -eq 1 && exit 0; exec %s "$@"`, "cannot take its place (exit status 0)"},
	} {
		program := filepath.Join(r.dir, tt.name)
		if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\n"+tt.script+"\n", filepath.Join(r.bin, "graced")), 0o755); err != nil {
			t.Fatal(err)
		}
		want := "the keeper goes on with " + own + ": " + program + " " + tt.want
		if out, code := r.ctl("gracectl", "upgrade", program); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %s; want %q", tt.name, code, out, want)
		}
		log, err := os.ReadFile(filepath.Join(r.dir, "s.log"))
		if want := "the keeper goes on with the program before: " + program; err != nil || !strings.Contains(string(log), want) {
			t.Errorf("the log does not say %q: %v", want, err)
		}
	}
	if now := r.infos()["a"]; now.PID != pid || r.keeperPID() != keeper {
		t.Errorf("a has pid %d, the keeper %d", now.PID, r.keeperPID())
	}
}

// TestUpgradeBusy upgrades keeper and daemon while clients start and stop processes all the time.
func TestUpgradeBusy(t *testing.T) {
	const many = 4
	r := newRig(t, fmt.Sprintf("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=5\nprocess_name=a_%%(process_num)d\n"+
		"[program:b]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\nnumprocs=%d\nprocess_name=b_%%(process_num)d\n", many))
	r.until("all run", func() bool { return len(r.running()) == 5 })
	before, keeper := r.running(), r.keeperPID()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range many {
		c, err := client.New("unix://"+filepath.Join(r.dir, "s.sock"), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		target := control.Target{Name: fmt.Sprintf("b:b_%d", i)}
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					t.Logf("%s: %d times", target.Name, n)
					return
				default:
				}
				_, _ = c.Start(t.Context(), target, true) // one that is cut off may find that it is done
				_, _ = c.Stop(t.Context(), target, true)
			}
		})
	}
	for _, name := range []string{"one", "two"} {
		copyFile(t, filepath.Join(r.bin, "graced"), filepath.Join(r.dir, name))
	}
	for i := range 6 {
		program := filepath.Join(r.dir, []string{"one", "two"}[i%2])
		if d := r.upgrade(program); d.KeeperBinary != program || d.KeeperPID != keeper {
			t.Errorf("the keeper is %d and runs %s: %s", d.KeeperPID, d.KeeperBinary, d.KeeperFailed)
		}
	}
	close(stop)
	clients.Wait()
	if _, err := r.Start(t.Context(), control.Target{Name: "b:*"}, true); err != nil {
		t.Error(err)
	}
	now := r.running()
	if len(now) != 5+many {
		t.Errorf("%d run", len(now))
	}
	for name, pid := range now {
		if old := before[name]; old != 0 && old != pid {
			t.Errorf("%s had pid %d and has %d", name, old, pid)
		}
		if parent := parentOf(pid); parent != keeper {
			t.Errorf("%s is a child of %d, not of %d", name, parent, keeper)
		}
	}
}

// TestUpgradeWithoutKeeper refuses an upgrade while the keeper has died and there are no descriptors for another one: nobody could start a daemon.
func TestUpgradeWithoutKeeper(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.runs("a", process.Running)
	keeper, daemon := r.keeperPID(), r.daemonPID()
	var before unix.Rlimit
	r.must(unix.Prlimit(daemon, unix.RLIMIT_NOFILE, nil, &before))
	few := unix.Rlimit{Max: before.Max} // none is left but the one that is kept for a connection
	for slices.Contains(descriptors(daemon), int(few.Cur)) {
		few.Cur++
	}
	r.must(unix.Prlimit(daemon, unix.RLIMIT_NOFILE, &few, nil))
	r.must(syscall.Kill(keeper, syscall.SIGKILL))
	r.until("no other can be started", func() bool {
		return strings.Contains(r.read("s.log"), "the keeper has died, and no other can be started")
	})
	r.gracectl(1, []string{"upgrade"}, "E319", "the keeper has died")
	r.must(unix.Prlimit(daemon, unix.RLIMIT_NOFILE, &before, nil))
	r.until("another keeper is there", func() bool { now := r.keeperPID(); return now != 0 && now != keeper })
	r.gracectl(0, []string{"upgrade"})
}

// TestUpgradeAndTerm ends everything while daemon and keeper are replaced.
func TestUpgradeAndTerm(t *testing.T) {
	for _, tt := range []struct {
		name string
		now  func(control.Doctor) bool
	}{
		{"at once", nil},
		{"with the next daemon", func(d control.Doctor) bool { return d.Generation == 2 }},
		{"with the next keeper", func(d control.Doctor) bool { return d.Generation == 2 && !d.KeeperChanging }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
			r.until("it runs", func() bool { return r.infos()["a"].State == process.Running })
			pid, keeper := r.infos()["a"].PID, r.keeperPID()
			next := filepath.Join(r.dir, "next")
			copyFile(t, filepath.Join(r.bin, "graced"), next)
			if err := r.Upgrade(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			for d := (control.Doctor{}); tt.now != nil && !tt.now(d); {
				d, _ = r.Doctor(t.Context()) // nobody answers in between
			}
			if err := syscall.Kill(keeper, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			err := <-r.exited
			r.exited <- err
			t.Logf("the keeper: %v", err)
			for len(mates(r.dir)) > 0 { // if it was killed another one has taken its place
				select {
				case <-t.Context().Done():
					t.Fatal("it goes on")
				case <-time.After(10 * time.Millisecond):
				}
			}
			if stat, err := host.ReadStat(pid); err == nil && stat.State != 'Z' { // init may not have come to it
				t.Errorf("the process lives: %+v", stat)
			}
			if left := r.files("*.ledger*"); len(left) > 0 || r.keeperPID() != 0 {
				t.Errorf("%q is left, and the pid file says %d", left, r.keeperPID())
			}
		})
	}
}

// TestUpgradeToNothing upgrades to what no kernel executes, and to what never becomes ready: the daemon of before goes on, and a signal that came
// meanwhile is obeyed.
func TestUpgradeToNothing(t *testing.T) {
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.until("it runs", func() bool { return r.infos()["a"].State == process.Running })
	pid, keeper := r.infos()["a"].PID, r.keeperPID()
	for name, text := range map[string]string{"junk": "junk\n", "false": "#!/bin/false\n", "leaves": "#!/bin/sh\nsleep 300 &\nexit 3\n"} {
		program := filepath.Join(r.dir, name)
		if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, code := r.ctl("gracectl", "upgrade", program); code == 0 || !strings.Contains(out, name) {
			t.Errorf("upgrade to %s: exit %d, %s", name, code, out)
		}
		if want := "ERRO not upgraded: " + map[string]string{"junk": "cannot start " + program + ": exec format error", "false": program + " was not ready (exit status 1)", "leaves": program + " was not ready (exit status 3)"}[name]; !strings.Contains(r.read("s.log"), want) {
			t.Errorf("the log does not say %q", want)
		}
		if now := r.infos()["a"]; now.PID != pid || r.keeperPID() != keeper {
			t.Errorf("after %s: a has pid %d, the keeper %d", name, now.PID, r.keeperPID())
		}
	}
	slow := filepath.Join(r.dir, "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\n>"+r.dir+"/tried\nexec sleep 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.Upgrade(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	for _, err := os.Stat(r.dir + "/tried"); err != nil; _, err = os.Stat(r.dir + "/tried") {
		<-time.After(time.Millisecond)
	}
	if err := syscall.Kill(keeper, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-r.exited; err != nil {
		t.Errorf("the end: %v", err)
	}
	r.exited <- nil
	if syscall.Kill(pid, 0) == nil {
		t.Error("the process lives")
	}
}

// TestUpgradeAlone kills the keeper while there is no daemon but the one that is being tried, and has not been told everything: that begins anew, and takes
// back what runs. Of so many processes the keeper cannot tell in advance.
func TestUpgradeAlone(t *testing.T) {
	t.Parallel()
	const many = 400
	r := newRig(t, fmt.Sprintf("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=%d\nprocess_name=a_%%(process_num)d\n", many))
	before, keeper := r.allRun(many), r.keeperPID()
	slow := r.path("slow")
	script := fmt.Sprintf("#!/bin/sh\n>%s\nwhile kill -0 %d 2>/dev/null; do sleep 0.01; done\nexec %s \"$@\"\n", r.path("tried"), keeper, filepath.Join(r.bin, "graced"))
	r.must(os.WriteFile(slow, []byte(script), 0o755))
	r.must(r.Upgrade(t.Context(), slow))
	r.until("the program is tried", func() bool { _, err := os.Stat(r.path("tried")); return err == nil })
	r.must(syscall.Kill(keeper, syscall.SIGKILL))
	r.until("another keeper is there", func() bool { now := r.keeperPID(); return now != 0 && now != keeper })
	r.until("the daemon answers", func() bool { _, err := r.Daemon(t.Context()); return err == nil })
	if now := r.allRun(many); !maps.Equal(now, before) {
		t.Errorf("other processes run: %v, not %v", now, before)
	}
	if all := mates(r.dir); len(all) != 2 || !slices.Contains(all, r.keeperPID()) {
		t.Errorf("the pid file says %d, there are %v", r.keeperPID(), all)
	}
}

// TestBackgroundSurvives kills the keeper, then the daemon, and upgrades, where the start was one into the background: nobody waits for that any more.
func TestBackgroundSurvives(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), bin: bin}
	r.write("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.must(exec.Command(filepath.Join(bin, "graced"), "-c", r.path("s.conf")).Run())
	t.Cleanup(func() { killMates(r.dir) })
	r.Client, err = client.New("unix://"+r.path("s.sock"), "", "")
	r.must(err)
	before := r.allRun(1)
	t.Cleanup(func() {
		if t.Failed() { // else it has ended, and its pid is anybody's
			_ = syscall.Kill(before["a"], syscall.SIGKILL)
		}
	})
	r.killKeeper()
	r.killDaemon()
	r.upgrade("")
	if now := r.allRun(1); !maps.Equal(now, before) {
		t.Errorf("other processes run: %v, not %v", now, before)
	}
	r.must(r.Shutdown(t.Context()))
	r.until("all has ended", func() bool { return len(mates(r.dir)) == 0 })
}

// TestKilledAtFirst kills the first daemon of a keeper in the moments in which it comes up, and both in between: either the start has failed, or another
// daemon goes on, also where the first has not written down anything yet. What ran all the time runs on.
func TestKilledAtFirst(t *testing.T) {
	t.Parallel()
	const rounds, processes = 25, 5
	conf := fmt.Sprintf("[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nnumprocs=%d\nprocess_name=a_%%(process_num)d\n", processes)
	r := newRig(t, conf)
	before := r.allRun(processes)
	failed := 0
	for round := range rounds {
		killMates(r.dir)
		<-r.exited
		var out bytes.Buffer
		r.startAgain(&out)
		cmd, exited := r.cmd, r.exited
		for r.keeperPID() != cmd.Process.Pid {
			select {
			case err := <-exited:
				t.Fatalf("round %d: the start has failed: %v\n%s", round, err, out.String())
			default:
				runtime.Gosched()
			}
		}
		for end := time.Now().Add(time.Duration(round) * 100 * time.Microsecond); time.Now().Before(end); {
			runtime.Gosched()
		}
		r.must(syscall.Kill(r.youngest(cmd.Process.Pid), syscall.SIGKILL))
		for up := false; !up; runtime.Gosched() {
			select {
			case err := <-exited:
				exited <- err
				if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGKILL) {
					t.Fatalf("the start has failed with %d: %v", code, err)
				}
				failed++
				up = true
			default:
				_, err := r.Daemon(t.Context())
				up = err == nil
			}
		}
	}
	killMates(r.dir)
	<-r.exited
	r.launch(nil, conf)
	if now := r.allRun(processes); !maps.Equal(now, before) {
		t.Errorf("other processes run: %v, not %v", now, before)
	}
	t.Logf("%d of %d starts have failed", failed, rounds)
}

// youngest returns the child that a process has made last, by whichever of its threads.
func (r *rig) youngest(pid int) (youngest int) {
	r.t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	r.must(err)
	for _, list := range lists {
		text, err := os.ReadFile(list)
		r.must(err)
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			r.must(err)
			youngest = max(youngest, child)
		}
	}
	return youngest
}

// allRun waits until as many processes run, and returns their pids.
func (r *rig) allRun(many int) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	r.until("all run", func() bool {
		clear(out)
		for name, p := range r.infos() {
			if p.State == process.Running {
				out[name] = p.PID
			}
		}
		return len(out) == many
	})
	return out
}

// TestStateFree: when the socket of a daemon that ends has gone, its state directory is free as well: whoever waits for the one starts at once.
func TestStateFree(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.launch(nil, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.gracectl(0, []string{"disable", "a"}) // something to keep
	for range 10 {
		r.until("the daemon answers", func() bool { _, err := r.Daemon(t.Context()); return err == nil })
		lock, err := os.Open(r.path("s.log.state/lock"))
		r.must(err)
		r.must(r.Shutdown(t.Context()))
		for {
			if _, err := os.Lstat(r.path("s.sock")); err != nil {
				break
			}
			runtime.Gosched()
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Errorf("the state directory is in use when the socket has gone: %v", err)
		}
		r.must(lock.Close())
		<-r.exited
		r.startAgain(nil)
	}
}

// TestUpgradesLeaveNothing: a keeper holds after many upgrades what it held after the first.
func TestUpgradesLeaveNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.upgrade("")
	first := kindsOf(r.keeperPID())
	for range 5 {
		r.upgrade("")
	}
	r.until("the keeper holds what it held", func() bool { return maps.Equal(kindsOf(r.keeperPID()), first) })
}
