package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pm2Package is the release that is measured, as npm names it.
const pm2Package = "pm2@7.0.4"

// pm2Limit is how long pm2 may take to start the children. What it has started by then is what its memory is measured with.
const pm2Limit = 4 * time.Minute

// peer is another supervisor of which only the memory is measured.
type peer struct {
	trouble   string // why it was not measured; empty = it was
	rss, anon int64  // bytes, of its daemon
	children  int    // that it had then
	wanted    int
}

func (p peer) String() string {
	if p.rss == 0 {
		return pm2Package + ": " + p.trouble
	}
	text := pm2Package + ": " + megabytes(p.rss, p.anon)
	if p.children < p.wanted {
		text += fmt.Sprintf(" with %d children", p.children)
	}
	return text
}

// peerMemory measures the memory of pm2's daemon with the same idle children. It is installed below the tools directory, from the
// registry that npm is set up for, and keeps its state in the directory of this run.
func (b *bench) peerMemory(ctx context.Context) error {
	if !b.pm2 {
		b.peer.trouble = "not measured"
		return nil
	}
	program, err := installPM2(ctx, b.tools)
	if err != nil {
		b.peer.trouble = "not measured (" + err.Error() + ")"
		say("pm2: %s", b.peer.trouble)
		return ctx.Err()
	}
	home := filepath.Join(b.dir, "pm2")
	fifo, err := b.writePM2Config(home)
	if err != nil {
		return err
	}
	defer fifo.close()
	start := exec.CommandContext(ctx, program, "start", filepath.Join(home, "apps.json"), "--silent")
	start.Env = append(os.Environ(), "PM2_HOME="+home)
	if err := start.Start(); err != nil {
		return fmt.Errorf("cannot start pm2: %v", err)
	}
	defer endPM2(home)
	b.peer.wanted = b.many
	_, collectErr := fifo.collect(ctx, b.many, pm2Limit)
	if collectErr != nil {
		_ = start.Process.Kill()
	}
	_ = start.Wait() // what it has started shows in the reports
	if ctx.Err() != nil {
		return ctx.Err()
	}
	pid, err := pm2PID(home)
	if err != nil {
		b.peer.trouble = "not measured (it did not start)"
		return nil
	}
	if err := wait(ctx, 3*time.Second); err != nil {
		return err
	}
	b.peer.children = len(children(pid))
	if b.peer.rss, b.peer.anon, err = memory(pid); err != nil {
		return err
	}
	say("%s", b.peer)
	return nil
}

// installPM2 installs pm2 if it is not there and returns the path of its program. The error is short enough for the table.
func installPM2(ctx context.Context, tools string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(tools, strings.ReplaceAll(pm2Package, "@", "-")))
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "node_modules", ".bin", "pm2")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", pm2Package)
	out, err := install.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("npm is not installed")
	}
	if err != nil {
		say("npm install: %v\n%s", err, out)
		return "", errors.New("npm could not install it")
	}
	return program, nil
}

// writePM2Config writes the list of programs: the static child, without an interpreter, as often as the daemons have it.
func (b *bench) writePM2Config(home string) (*stamps, error) {
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, err
	}
	fifo, err := newStamps(filepath.Join(home, "fifo"))
	if err != nil {
		return nil, err
	}
	argv := b.child.args("stamp", fifo.path)
	text, err := json.Marshal(map[string]any{"apps": []any{map[string]any{
		"name": "p", "script": argv[0], "args": argv[1:], "interpreter": "none", "exec_mode": "fork", "instances": b.many,
	}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(home, "apps.json"), text, 0o644)
	}
	if err != nil {
		fifo.close()
		return nil, err
	}
	return fifo, nil
}

// pm2PID returns the pid of the daemon whose state is in home.
func pm2PID(home string) (int, error) {
	text, err := os.ReadFile(filepath.Join(home, "pm2.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// endPM2 ends the daemon and its children. It asks for no orderly end, which would take as long as the start.
func endPM2(home string) {
	pid, err := pm2PID(home)
	if err != nil {
		return
	}
	kids := children(pid)
	_ = syscall.Kill(pid, syscall.SIGSTOP) // so that it starts no successors
	for _, kid := range kids {
		_ = syscall.Kill(kid, syscall.SIGKILL)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}
