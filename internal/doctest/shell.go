package doctest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Limits of waiting: for one command, for output of something in the background, for a view of a state that is still to come (and
// between two looks).
const (
	commandLimit    = 3 * time.Minute
	backgroundLimit = 5 * time.Second
	viewLimit       = 15 * time.Second
	viewPause       = 100 * time.Millisecond
	closeLimit      = 3 * time.Second // for what the document left running, before SIGKILL
)

// view recognises commands that only look. A reader takes seconds from one command to the next and sees RUNNING where a machine still
// sees STARTING; so such a command is repeated until it shows what the documentation shows.
var view = regexp.MustCompile(`^(gracectl|supervisorctl)\b.*\b(status|pid|avail|tail|maintail)\b|^(tail|cat|ls|curl|pgrep|ps)\b`)

// loop is what the shell runs: commands come separated by NUL on descriptor 3, so that they can have any standard input and any number
// of lines. $? of the command before is kept. After each command the token and its status are printed.
const loop = `__s=0; while IFS= read -r -d "" __c <&3; do (exit $__s); eval "$__c" 3<&-; __s=$?; printf '\n%s %d\n' "$__token" "$__s"; done`

// Shell is one bash in a directory of its own in which the console blocks of one document run, one after the other. Everything started
// by it, daemons included, ends with Close. It is used by one goroutine.
type Shell struct {
	home, repo string // its own directory; the repository
	token      string // set in the environment of everything it starts, and printed after each command
	cmd        *exec.Cmd
	commands   *os.File
	output     chan []byte // closed at the end of all output
	pending    []byte      // output not yet attributed to a command
}

// NewShell starts a shell in a new directory below tmp. bin is put before the PATH.
func NewShell(tmp, bin, repo string) (*Shell, error) {
	home, err := os.MkdirTemp(tmp, "graced-doc-")
	if err != nil {
		return nil, err
	}
	sh := &Shell{home: home, repo: repo, token: "doctest-" + filepath.Base(home), output: make(chan []byte)}
	in, commands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, outw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	sh.commands = commands
	sh.cmd = exec.Command("bash", "--noprofile", "--norc", "-c", `__token=$GRACED_DOCTEST; `+loop)
	sh.cmd.Dir, sh.cmd.Stdout, sh.cmd.Stderr, sh.cmd.ExtraFiles = home, outw, outw, []*os.File{in}
	sh.cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+home, "PWD="+home, "GRACED_DOCTEST="+sh.token, "LC_ALL=C.UTF-8", "TERM=dumb")
	// The Go command of a documented `go build` keeps its caches although HOME is another.
	if text, err := exec.Command("go", "env", "GOCACHE", "GOPATH", "GOMODCACHE").Output(); err == nil {
		if v := strings.Split(strings.TrimSpace(string(text)), "\n"); len(v) == 3 {
			sh.cmd.Env = append(sh.cmd.Env, "GOCACHE="+v[0], "GOPATH="+v[1], "GOMODCACHE="+v[2])
		}
	}
	err = sh.cmd.Start()
	in.Close()
	outw.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start bash: %v", err)
	}
	go func() {
		defer close(sh.output)
		defer out.Close()
		for {
			buf := make([]byte, 4096)
			n, err := out.Read(buf)
			if n > 0 {
				sh.output <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return sh, nil
}

// errEnded is the end of the shell itself.
var errEnded = errors.New("the shell ended")

// Run runs one command and returns what was printed until it ended, and its exit status.
func (sh *Shell) Run(command string) (output string, status int, err error) {
	if _, err := io.WriteString(sh.commands, command+"\x00"); err != nil {
		return "", 0, errEnded
	}
	mark := []byte("\n" + sh.token + " ")
	deadline := time.After(commandLimit)
	for {
		if text, rest, ok := bytes.Cut(sh.pending, mark); ok {
			if number, after, ok := bytes.Cut(rest, []byte("\n")); ok {
				sh.pending = after
				status, err := strconv.Atoi(string(number))
				return string(text), status, err
			}
		}
		select {
		case chunk, ok := <-sh.output:
			if !ok {
				return string(sh.pending), 0, errEnded
			}
			sh.pending = append(sh.pending, chunk...)
		case <-deadline:
			return string(sh.pending), 0, fmt.Errorf("still running after %v; printed so far: %q", commandLimit, sh.pending)
		}
	}
}

// Check runs one step. A mismatch is a *Mismatch; an exit status other than 0 is an error unless the transcript goes on to show it.
func (sh *Shell) Check(step Step, statusShown bool) error {
	end := time.Now().Add(viewLimit)
	for {
		output, status, err := sh.Run(step.Command)
		if err != nil {
			return err
		}
		switch {
		case Matches(step.Want, output):
		case view.MatchString(step.Command):
			if time.Now().Before(end) {
				<-time.After(viewPause)
				continue
			}
			return mismatch(step.Want, output)
		case len(sh.started()) < 2:
			// The shell is alone. What ended just now may have printed after the command; all of it comes before the next mark.
			more, _, err := sh.Run("(exit $__s)")
			if err != nil {
				return err
			}
			if output += more; !Matches(step.Want, output) {
				return mismatch(step.Want, output)
			}
		default:
			if output, err = sh.await(step.Want, output); err != nil {
				return err
			}
		}
		if status != 0 && !statusShown {
			return fmt.Errorf("exit status %d, which the transcript does not show; let `echo $?` follow. Output:\n%s", status, output)
		}
		return nil
	}
}

// await adds what the background prints to a command's output until that matches.
func (sh *Shell) await(want []string, output string) (string, error) {
	deadline := time.After(backgroundLimit)
	for {
		output += string(sh.pending)
		sh.pending = nil
		if Matches(want, output) {
			return output, nil
		}
		select {
		case chunk, ok := <-sh.output:
			if !ok {
				return output, errEnded
			}
			sh.pending = chunk
		case <-deadline:
			return output, mismatch(want, output)
		}
	}
}

// enter changes the directory of the shell.
func (sh *Shell) enter(dir string) error {
	_, status, err := sh.Run("cd '" + dir + "'")
	if err == nil && status != 0 {
		err = fmt.Errorf("cannot enter %s", dir)
	}
	return err
}

// Close ends the shell and everything it started that is still there, and removes its directory.
func (sh *Shell) Close() {
	sh.commands.Close()
	killed := time.After(closeLimit)
	signal := syscall.SIGTERM
	for pids := sh.started(); len(pids) > 0; pids = sh.started() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, signal)
		}
		if signal == syscall.SIGTERM {
			// Their output ends when the last of them is gone.
			signal = syscall.SIGKILL
			sh.drain(killed)
		}
	}
	sh.drain(time.After(time.Second))
	_ = sh.cmd.Wait()
	os.RemoveAll(sh.home)
}

// drain reads until the end of all output or the limit.
func (sh *Shell) drain(limit <-chan time.Time) {
	for {
		select {
		case _, ok := <-sh.output:
			if !ok {
				return
			}
		case <-limit:
			return
		}
	}
}

// started lists the processes with this shell's token in their environment, zombies excepted.
func (sh *Shell) started() []int {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, text...), []byte("\x00GRACED_DOCTEST="+sh.token+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
