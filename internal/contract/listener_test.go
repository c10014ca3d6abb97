package contract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// hour is the configuration of TestListener. What runs by itself is told from outside what to do next, so that events come in one order.
const hour = `[unix_http_server]
file=%(here)s/s.sock
[supervisord]
logfile=%(here)s/d.log
pidfile=%(here)s/d.pid
childlogdir=%(here)s
identifier=station
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[eventlistener:all]
command=/usr/bin/python3 -B RECORD %(here)s/all.jsonl
events=PROCESS_STATE,PROCESS_LOG,PROCESS_COMMUNICATION,REMOTE_COMMUNICATION,SUPERVISOR_STATE_CHANGE,PROCESS_GROUP
buffer_size=1000
[eventlistener:ticks]
command=/usr/bin/python3 -B RECORD %(here)s/ticks.jsonl
events=TICK
[program:echo]
command=/bin/sh -c 'while read -r line; do eval "$line"; done'
autostart=false
stdout_events_enabled=true
stderr_events_enabled=true
stdout_logfile=%(here)s/echo.log
stderr_logfile=NONE
[program:comm]
command=/bin/sh -c 'while read -r line; do eval "$line"; done'
autostart=false
stdout_events_enabled=true
stderr_events_enabled=true
stdout_capture_maxbytes=1MB
stderr_capture_maxbytes=20
stdout_logfile=%(here)s/comm.log
stderr_logfile=NONE
[program:flaky]
command=/bin/sh -c 'exit 3'
autostart=false
startretries=2
; Long enough that the original cannot take the instant exit for a success (quirk C1).
startsecs=5
[program:fine]
command=/bin/sh -c 'read line; exit $line'
autostart=false
autorestart=unexpected
exitcodes=0,2
startsecs=0
[program:deaf]
command=/bin/sh -c 'trap "" TERM; while :; do sleep 0.1; done'
autostart=false
stopwaitsecs=1
startsecs=0
[program:pair]
command=/bin/cat
process_name=%(program_name)s_%(process_num)d
numprocs=2
autostart=false
startsecs=0
stdout_events_enabled=true
`

// station is one daemon with the configuration of the hour.
type station struct {
	*client.Client
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	done chan error
	ours bool
}

func newStation(t *testing.T, daemon string, ours bool) *station {
	t.Helper()
	s := &station{t: t, dir: t.TempDir(), done: make(chan error, 1), ours: ours}
	s.write(hour)
	s.cmd = exec.Command(daemon, "-n", "-c", filepath.Join(s.dir, "s.conf"))
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, io.Discard
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it has ended unless the test failed
		select {
		case <-s.done:
		case <-time.After(30 * time.Second):
			_ = s.cmd.Process.Kill() // the test says why
			<-s.done
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(s.dir, "d.log")) // it may be missing
			t.Logf("log of %s:\n%s", daemon, log)
		}
	})
	var err error
	if s.Client, err = client.New("unix://"+filepath.Join(s.dir, "s.sock"), "", ""); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *station) write(conf string) {
	s.t.Helper()
	record, err := filepath.Abs("testdata/listener/record.py")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "s.conf"), []byte(strings.ReplaceAll(conf, "RECORD", record)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// until waits for something that has to become true.
func (s *station) until(what string, ok func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited 60 s in vain: %s; recorded: %q", what, s.recorded("all"))
		case <-tick.C:
		}
	}
}

// state waits for a process to be in a state.
func (s *station) state(name string, want process.State) {
	s.t.Helper()
	s.until(name+" "+want.String(), func() bool {
		info, err := s.Process(s.t.Context(), name)
		return err == nil && info.State == want
	})
}

// tell makes a process run a line of shell, and waits until the listener has heard of it.
func (s *station) tell(name, line, heard string) {
	s.t.Helper()
	if err := s.WriteStdin(s.t.Context(), name, []byte(line+"\n")); err != nil {
		s.t.Fatal(err)
	}
	s.heard(heard)
}

// heard waits until the listener has recorded something.
func (s *station) heard(what string) {
	s.t.Helper()
	s.until("listener hears "+what, func() bool { return strings.Contains(strings.Join(s.recorded("all"), "\n"), what) })
}

// recorded returns what a listener has written down, with what differs from run to run masked.
func (s *station) recorded(pool string) (lines []string) {
	f, err := os.Open(filepath.Join(s.dir, pool+".jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	mask := regexp.MustCompile(`\bpid:[1-9]\d*`)
	serial, poolserial := -1, -1
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var record [2]any
		if json.Unmarshal(scan.Bytes(), &record) != nil {
			break // it is being written
		}
		h := record[0].(map[string]any)
		n, _ := strconv.Atoi(h["serial"].(string))
		p, _ := strconv.Atoi(h["poolserial"].(string))
		if n <= serial || p != poolserial+1 {
			s.t.Errorf("%s: serials %d, %d after %d, %d", pool, n, p, serial, poolserial)
		}
		serial, poolserial = n, p
		payload := record[1].(string)
		// The length has to be that of the payload before its pids are masked.
		if length, _ := strconv.Atoi(h["len"].(string)); length != len([]rune(payload)) {
			s.t.Errorf("%s: len:%d for %q", pool, length, payload)
		}
		lines = append(lines, fmt.Sprintf("ver:%s server:%s pool:%s %s %q", h["ver"], h["server"], h["pool"], h["eventname"], mask.ReplaceAllString(payload, "pid:N")))
	}
	return lines
}

// live goes through the hour.
func (s *station) live() (all, ticks []string) {
	t, ctx := s.t, s.t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one := func(name string) control.Target { return control.Target{Name: name} }
	start := func(name string) { _, _ = s.Start(ctx, one(name), true) } // what it leads to is in the events
	s.until("the daemon answers", func() bool { _, err := s.Daemon(ctx); return err == nil })
	s.state("all", process.Running)
	s.state("ticks", process.Running)

	start("echo")
	s.tell("echo", "echo hello", "hello")
	s.tell("echo", "echo oops >&2", "oops")
	s.tell("echo", `printf 'h\303\251 \342\202\254'`, "€")
	s.tell("echo", `printf '\377\000\047x'`, "Undecodable")
	start("comm")
	s.tell("comm", `printf 'before<!--XSUPERVISOR:BEGIN-->inside<!--XSUPERVISOR:END-->behind and much more text'`, "much more text")
	s.tell("comm", `printf '<!--XSUPERVISOR:BEGIN-->0123456789abcdefghijklmnopqrstuvwxyz<!--XSUPERVISOR:END-->and, as said, so much more text' >&2`, "so much more")
	must(s.SendRemote(ctx, "kind", "some data"))
	must(s.SendRemote(ctx, "é", "two\nlines"))
	s.heard("lines")
	_, err := s.Stop(ctx, one("echo"), true)
	must(err)
	_, err = s.Stop(ctx, one("comm"), true)
	must(err)
	start("flaky")
	s.state("flaky", process.Fatal)
	for _, code := range []string{"0", "2"} {
		start("fine")
		must(s.WriteStdin(ctx, "fine", []byte(code+"\n")))
		s.state("fine", process.Exited)
	}
	start("fine")
	must(s.WriteStdin(ctx, "fine", []byte("1\n"))) // not expected: it comes back
	s.heard("expected:0")
	s.state("fine", process.Running)
	_, err = s.Stop(ctx, one("fine"), true)
	must(err)
	start("deaf")
	_, err = s.Stop(ctx, one("deaf"), true)
	must(err)
	start("deaf")
	_, err = s.Signal(ctx, one("deaf"), "KILL")
	must(err)
	s.heard(`EXITED "processname:deaf`)
	s.state("deaf", process.Running)
	_, err = s.Stop(ctx, one("deaf"), true)
	must(err)
	for _, name := range []string{"pair:pair_0", "pair:pair_1"} {
		start(name)
		must(s.WriteStdin(ctx, name, []byte(name)))
		s.heard(`channel:stdout\n` + name)
	}
	for _, name := range []string{"pair:pair_0", "pair:pair_1"} {
		_, err = s.Stop(ctx, one(name), true)
		must(err)
	}
	must(s.RemoveGroup(ctx, "pair"))
	s.write(strings.Replace(hour, "[program:pair]", "[program:other]", 1))
	_, err = s.Reread(ctx)
	must(err)
	must(s.AddGroup(ctx, "other"))
	s.heard(`groupname:other`)
	s.until("two ticks", func() bool { return len(s.recorded("ticks")) >= 2 })
	must(s.Shutdown(ctx))
	select {
	case err := <-s.done:
		s.done <- err
		must(err)
	case <-time.After(60 * time.Second):
		t.Fatal("the daemon does not end")
	}
	all, ticks = s.recorded("all"), s.recorded("ticks")
	// What a listener still hears while it is being stopped itself depends on who is faster.
	end := slices.IndexFunc(all, func(line string) bool { return strings.Contains(line, "SUPERVISOR_STATE_CHANGE_STOPPING") })
	if end < 0 {
		t.Fatal("the listener does not hear of the shutdown")
	}
	return all[:end+1], ticks
}

// TestListener lets a listener that is written with Supervisor's own module hear the same hour, cut short, from both daemons.
func TestListener(t *testing.T) {
	t.Parallel()
	if !installed(debianDaemon) {
		t.Skip("hidden: a listener made with childutils in both daemons, because Supervisor is not installed")
	}
	ours, err := build(t.TempDir(), "supervisord", "graced")
	if err != nil {
		t.Fatal(err)
	}
	var all [2][]string
	t.Run("daemons", func(t *testing.T) {
		for i, daemon := range []string{debianDaemon, ours} {
			t.Run([]string{"Debian's", "ours"}[i], func(t *testing.T) {
				t.Parallel()
				var ticks []string
				all[i], ticks = newStation(t, daemon, i == 1).live()
				last := 0
				for _, line := range ticks {
					m := regexp.MustCompile(`^ver:3.0 server:station pool:ticks TICK_(5|60|3600) "when:(\d+)"$`).FindStringSubmatch(line)
					if m == nil {
						t.Fatalf("tick %s", line)
					}
					period, _ := strconv.Atoi(m[1])
					when, _ := strconv.Atoi(m[2])
					if when%period != 0 || m[1] == "5" && last != 0 && when != last+5 {
						t.Errorf("tick %s after %d", line, last)
					}
					if m[1] == "5" {
						last = when
					}
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	if len(all[0]) < 60 {
		t.Errorf("only %d events", len(all[0]))
	}
	if want, got := strings.Join(all[0], "\n"), strings.Join(all[1], "\n"); got != want {
		t.Errorf("the listener hears something else from graced:\n%s", difference(all[0], all[1]))
	}
	t.Logf("%d events", len(all[0]))
}
