package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/web"
)

// backgroundFD is the descriptor on which a daemon that was sent to the background tells its parent that it is up. Its number travels in
// the environment variable backgroundEnv.
const (
	backgroundFD  = 3
	backgroundEnv = "GRACED_BACKGROUND"
)

// upWord is what the parent is told when all is well; anything else is why not.
const upWord = "up"

// isBackground reports whether this process was started by daemonize, or is the first daemon of a keeper that was, and has not announced itself yet.
func isBackground() bool { return os.Getenv(backgroundEnv) != "" }

// daemonize starts this binary once more as the leader of a session of its own, and waits until it holds its sockets and log (a Go
// program cannot fork itself). The error is the child's; it has printed it.
func daemonize(mode string, passed []web.Passed) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	env, sockets := passOn(passed)
	cmd.Env = slices.Concat(slices.DeleteFunc(os.Environ(), isPassing), []string{backgroundEnv + "=1"}, env)
	if mode != "" {
		cmd.Env = append(cmd.Env, takeoverEnv+"="+mode)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = append([]*os.File{w}, sockets...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = w.Close() // the child has its own
	if err != nil {
		return fmt.Errorf("cannot start the daemon: %v", err)
	}
	word, err := io.ReadAll(r)
	switch {
	case err == nil && string(word) == upWord:
		return nil
	case len(word) > 0:
		return &usageError{string(word)}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode()) // the child has printed why
	}
	return fmt.Errorf("the daemon ended before it was up: %v", err)
}

// settle applies the directory and umask that only a daemon in the background has (quirk A15). It returns what writes that into the log,
// where the order is Supervisor's: after the sockets are open.
func settle(c config.Supervisord) (report func(logFunc)) {
	var failure error
	if c.Directory != "" {
		failure = os.Chdir(c.Directory)
	}
	syscall.Umask(c.Umask)
	return func(logf logFunc) {
		logf(daemon.LevelInfo, "daemonizing the supervisord process")
		switch {
		case failure != nil:
			logf(daemon.LevelCritical, "can't chdir into '%s': %v", c.Directory, failure)
		case c.Directory != "":
			logf(daemon.LevelInfo, "set current directory: '%s'", c.Directory)
		}
	}
}

// settledDir is the directory of children that name none.
func settledDir(c config.Supervisord) string {
	dir, err := os.Getwd()
	if c.Directory == "" || err != nil {
		return ""
	}
	return dir
}

// detach cuts the ties to the terminal. It must come before the host starts, whose forking thread keeps the descriptors it finds. From here
// on only announce reaches the user.
func detach() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }() // its copies stay
	for fd := range 3 {
		if err := syscall.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("cannot redirect descriptor %d: %v", fd, err)
		}
	}
	return nil
}

// announce tells the parent how the start ended, and lets it go. It does so once, and only in a daemon that was sent to the background.
func announce(word string) error {
	if !isBackground() {
		return nil
	}
	if err := os.Unsetenv(backgroundEnv); err != nil {
		return err
	}
	parent := os.NewFile(backgroundFD, "parent")
	_, err := io.WriteString(parent, word)
	return errors.Join(err, parent.Close())
}

// childEnviron is the environment that children inherit: ours without the private variables.
func childEnviron(environ []string) []string {
	var out []string
	for _, e := range environ {
		if !strings.HasPrefix(e, backgroundEnv+"=") && !isPassing(e) && !host.PrivateEnviron(e) {
			out = append(out, e)
		}
	}
	return out
}
