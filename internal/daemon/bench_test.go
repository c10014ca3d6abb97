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

// listen accepts every event, and writes to the FIFO that the last one names.
func listen(in io.Reader, out io.Writer) {
	r := bufio.NewReader(in)
	fmt.Fprint(out, "READY\n")
	for {
		head, err := r.ReadString('\n')
		if err != nil {
			return
		}
		_, length, _ := strings.Cut(strings.TrimSpace(head), " len:")
		n, _ := strconv.Atoi(length)
		payload := make([]byte, n)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		if path, ok := strings.CutPrefix(string(payload), "type:last\n"); ok {
			if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil { // otherwise the benchmark waits in vain
				_ = f.Close()
			}
		}
		fmt.Fprint(out, "RESULT 2\nOKREADY\n")
	}
}

// BenchmarkEvents hands events one after another to a real listener process that answers at once.
func BenchmarkEvents(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "s.conf")
	conf := fmt.Sprintf("[supervisord]\nchildlogdir=%s\n[eventlistener:l]\ncommand=%s\nenvironment=%s=1\nevents=REMOTE_COMMUNICATION\nbuffer_size=%d\nstartsecs=0\nstdout_logfile=NONE\n",
		dir, os.Args[0], listenerEnv, b.N+2)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	m, err := machine.New()
	if err != nil {
		b.Fatal(err)
	}
	c, err := config.Load(m, path, nil)
	if err != nil {
		b.Fatal(err)
	}
	w := NewLogWriter(io.Discard)
	defer w.Close()
	d, err := New(Options{
		Config: c, Load: func() (*config.Config, error) { return c, nil }, Logger: NewLogger(w, LevelInfo), Flush: w.Flush, Environ: os.Environ(),
		Host: func(events func(host.Event)) (host.Host, error) { return host.NewLocal(host.Options{Events: events}) },
	})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan bool)
	go func() { ended <- d.Run(context.Background()) }()
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
	if err := d.Shutdown(ctx); err != nil {
		b.Fatal(err)
	}
	<-ended
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}
