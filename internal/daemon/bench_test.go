package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/machine"
	"github.com/graced/graced/internal/process"
)

// listenerEnv makes the test's own program an event listener that answers at once.
const listenerEnv = "GRACED_BENCH_LISTENER"

func TestMain(m *testing.M) {
	host.Init()
	if os.Getenv(listenerEnv) != "" {
		listen(os.Stdin, os.Stdout)
		os.Exit(0)
	}
	if dir := os.Getenv(recordEnv); dir != "" {
		size, err := strconv.Atoi(os.Getenv(sizeEnv))
		if err == nil {
			err = record(os.Stdin, os.Stdout, dir, size)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// readEvent reads what a listener is told next.
func readEvent(r *bufio.Reader) (head string, payload []byte, err error) {
	if head, err = r.ReadString('\n'); err != nil {
		return "", nil, err
	}
	n, err := strconv.Atoi(valueOf(head, " len:"))
	if err != nil {
		return "", nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head, payload, err
}

// valueOf returns the value of a key in a line of key:value pairs.
func valueOf(line, key string) string {
	_, rest, _ := strings.Cut(line, key)
	value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return value
}

// touch tells whoever reads a FIFO.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// listen accepts every event, and touches the FIFO that the last one names.
func listen(in io.Reader, out io.Writer) {
	r := bufio.NewReader(in)
	fmt.Fprint(out, "READY\n")
	for {
		_, payload, err := readEvent(r)
		if err != nil {
			return
		}
		if path, ok := strings.CutPrefix(string(payload), "type:last\n"); ok {
			_ = touch(path) // otherwise the benchmark waits in vain
		}
		fmt.Fprint(out, "RESULT 2\nOKREADY\n")
	}
}

// runReal runs a daemon with real processes on a configuration of that text. end shuts it down; ended is closed when it has stopped.
func runReal(tb testing.TB, conf string, log io.Writer) (d *Daemon, ended <-chan struct{}, end func()) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "s.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	m, err := machine.New()
	if err != nil {
		tb.Fatal(err)
	}
	c, err := config.Load(m, path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	w := NewLogWriter(log)
	d, err = New(Options{
		Config: c, Load: func() (*config.Config, error) { return c, nil }, Logger: NewLogger(w, LevelInfo), Flush: w.Flush, Environ: os.Environ(),
		Host: func(events func(host.Event)) (host.Host, error) { return host.NewLocal(host.Options{Events: events}) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		d.Run(context.Background())
	}()
	return d, stopped, func() {
		tb.Helper()
		if err := d.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		<-stopped
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
		w.Close()
	}
}

// BenchmarkEvents hands events one after another to a real listener process that answers at once.
func BenchmarkEvents(b *testing.B) {
	dir := b.TempDir()
	conf := fmt.Sprintf("[supervisord]\nchildlogdir=%s\n[eventlistener:l]\ncommand=%s\nenvironment=%s=1\nevents=REMOTE_COMMUNICATION\nbuffer_size=%d\nstartsecs=0\nstdout_logfile=NONE\n",
		dir, os.Args[0], listenerEnv, b.N+2)
	d, _, end := runReal(b, conf, io.Discard)
	ctx := context.Background()
	for {
		if info, err := d.Process(ctx, "l"); err == nil && info.State == process.Running {
			break
		}
	}
	last := filepath.Join(dir, "last")
	if err := unix.Mkfifo(last, 0o600); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if err := d.SendRemote(ctx, "kind", "data"); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.SendRemote(ctx, "last", last); err != nil {
		b.Fatal(err)
	}
	if _, err := os.ReadFile(last); err != nil { // until the listener opens and closes it
		b.Fatal(err)
	}
	b.StopTimer()
	end()
}
