package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// referenceBin is Debian's supervisord.
const referenceBin = "/usr/bin/supervisord"

// side is one of the two daemons that are compared.
type side struct {
	*testing.T
	bin string
	dir string
	cmd *exec.Cmd
	out *output // of cmd: a command before it may still print
	err *output
	end chan error
	pid int // of the daemon, which is not cmd's in the background
}

// output is what a daemon printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// bothSides runs a story with our daemon and with Supervisor's, each in a directory of its own, and compares what the story returns.
func bothSides(t *testing.T, story func(s *side) string) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	play := func(bin string) (text string) {
		dir := t.TempDir()
		// Everybody may enter and write, for stories about users.
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
		s := &side{T: t, bin: bin, dir: dir}
		return story(s)
	}
	own := play(filepath.Join(bin, "supervisord"))
	if _, err := os.Stat(referenceBin); err != nil {
		t.Skip("hidden: the comparison of this story with Supervisor's, because Debian's supervisor is not installed")
	}
	if reference := play(referenceBin); own != reference {
		t.Errorf("ours:\n%s\nSupervisor's:\n%s", own, reference)
	}
}

// conf writes a file with a socket, a log and a pid file, and the text below that; a line "-key" in it removes a line that begins so.
func (s *side) conf(text string) {
	s.Helper()
	all := "[unix_http_server]\nfile=%(here)s/s.sock\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n" +
		"[supervisord]\nlogfile=%(here)s/s.log\npidfile=%(here)s/s.pid\nchildlogdir=%(here)s\n" + text
	s.write("s.conf", all)
}

func (s *side) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// own reports whether the daemon is ours.
func (s *side) own() bool { return s.bin != referenceBin }

// killMates kills what has taken the place of our keeper when that was killed: it works in the story's directory.
func (s *side) killMates() {
	s.Helper()
	killAll(func(pid int, _ []string) bool {
		dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		return err == nil && dir == s.dir
	})
}

func (s *side) path(name string) string { return filepath.Join(s.dir, name) }

func (s *side) read(name string) string {
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		return ""
	}
	return string(text)
}

// command prepares the daemon; prefix is a shell's text before "exec".
func (s *side) command(prefix string, args ...string) {
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", prefix + "\nexec \"$0\" \"$@\"", s.bin}, args...)...)
	s.cmd.Dir = s.dir
	s.out, s.err = &output{}, &output{}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.err
	s.cmd.WaitDelay = time.Minute
	s.end = make(chan error, 1)
}

func (s *side) launch() {
	s.Helper()
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	cmd, end := s.cmd, s.end
	go func() { end <- cmd.Wait() }()
	s.Cleanup(func() { _ = cmd.Process.Kill() }) // it has mostly ended
	s.pid = cmd.Process.Pid
}

// foreground starts the daemon with -n and waits until it is up.
func (s *side) foreground(args ...string) {
	s.Helper()
	s.command("", append([]string{"-n", "-c", "s.conf"}, args...)...)
	s.launch()
	s.until("the start", func() bool {
		return s.read("s.pid") != "" && strings.Contains(s.read("s.log")+s.out.String(), "supervisord started")
	})
}

// fail runs the daemon, which is not to come up, and returns exit code, output and errors.
func (s *side) fail(prefix string, args ...string) string {
	s.Helper()
	s.command(prefix, args...)
	s.launch()
	return fmt.Sprintf("exit %d\n%s%s", s.ended(), s.mask(s.out.String()), s.mask(s.err.String()))
}

// ended waits for the end of the command and returns its exit code, or minus the signal that ended it.
func (s *side) ended() int {
	s.Helper()
	select {
	case <-s.end:
	case <-time.After(time.Minute):
		s.Fatalf("it does not end; log:\n%s\nerrors: %s", s.read("s.log"), s.err.String())
	}
	if ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return -int(ws.Signal())
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *side) signal(sig syscall.Signal) {
	s.Helper()
	if err := syscall.Kill(s.pid, sig); err != nil {
		s.Fatal(err)
	}
}

// until waits for a condition that only files show.
func (s *side) until(what string, ok func() bool) {
	s.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		select {
		case err := <-s.end:
			s.end <- err
			if !ok() {
				s.Fatalf("it ended while this was waited for: %s: %v; log:\n%s\nerrors: %s", what, err, s.read("s.log"), s.err.String())
			}
			return
		default:
		}
		if time.Now().After(end) {
			s.Fatalf("waited in vain: %s; log:\n%s", what, s.read("s.log"))
		}
	}
}

// logs waits until the log holds a text n times.
func (s *side) logs(text string, n int) {
	s.Helper()
	s.until(fmt.Sprintf("%d × %q in the log", n, text), func() bool { return strings.Count(s.read("s.log"), text) >= n })
}

var sideMasks = []struct {
	match *regexp.Regexp
	word  string
}{
	{regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} `), ""},
	{regexp.MustCompile(`pid \d+`), "pid PID"},
	{regexp.MustCompile(`\(\d+\) with SIGKILL`), "(PID) with SIGKILL"},
	// Whether a program that ends at once is seen running depends on the moment, and so does how often the others are repeated.
	{regexp.MustCompile(`(?m)^INFO success: p entered .*\n`), ""},
	{regexp.MustCompile(`(?m)^INFO waiting for .* to die\n`), ""},
	{regexp.MustCompile(`(?m)^DEBG received SIGCHLD .*\n`), ""},
	{regexp.MustCompile(`(?m)^(DEBG fd|TRAC|BLAT) .*\n`), ""},
}

// mask replaces what differs in every run, the directory and the binary's path.
func (s *side) mask(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, s.dir, "DIR"), s.bin, "SUPERVISORD")
	for _, m := range sideMasks {
		text = m.match.ReplaceAllString(text, m.word)
	}
	return text
}

// log returns the main log, masked.
func (s *side) log() string { return s.mask(s.read("s.log")) }

// files lists the directory without the configuration.
func (s *side) files() string {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasSuffix(e.Name(), ".conf") && !strings.Contains(e.Name(), ".ledger") { // ours alone
			name := regexp.MustCompile(`-[a-z0-9_]{8}\.log$`).ReplaceAllString(e.Name(), "-RANDOM.log")
			out = append(out, fmt.Sprint(name, " ", info.Mode().Type()|info.Mode().Perm(), "\n"))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// pidIn returns the pid in a file, 0 if there is none.
func (s *side) pidOf(name string) int {
	pid, err := strconv.Atoi(strings.TrimSpace(s.read(name)))
	if err != nil {
		return 0
	}
	return pid
}

// gone waits for the end of a daemon in the background.
func (s *side) gone() {
	s.Helper()
	s.end = make(chan error)
	s.until("the end of the daemon", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
		return errors.Is(err, fs.ErrNotExist) || bytes.Contains(stat, []byte(") Z "))
	})
}
