package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Worker is a child of the demo: it answers each connection on a unix socket with its pid and writes numbered lines to its standard output,
// until TERM. Its last line says how many there were. The socket "-" is its standard input, which it shares with others. A broken RELEASE ends at once.
func Worker(socket string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	name, pid := os.Getenv("SUPERVISOR_PROCESS_NAME"), os.Getpid()
	if os.Getenv("RELEASE") == brokenRelease {
		return errors.New("this release does not work")
	}
	l, err := listen(socket)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	line, tick := 0, time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	say := func(suffix string) {
		line++
		fmt.Printf("%s pid %d line %d%s\n", name, pid, line, suffix)
	}
	say("")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%d\n", pid)
			_ = c.Close() // the answer is out, or the asker is gone
		}
	}()
	for {
		select {
		case <-tick.C:
			say("")
		case <-ctx.Done():
			<-answered // whoever was let in has his answer
			say(" of " + strconv.Itoa(line+1))
			return nil
		}
	}
}

// listen opens the socket of a worker.
func listen(socket string) (net.Listener, error) {
	if socket == "-" {
		return net.FileListener(os.Stdin)
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("cannot remove an old socket: %w", err)
	}
	return net.Listen("unix", socket)
}

// askWorker connects to a worker's socket and returns the pid that it answers with.
func askWorker(ctx context.Context, socket string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // nothing was written
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return 0, err
		}
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(answer))
}

// asker is the client that never stops asking the workers that must not be touched.
type asker struct {
	cancel  context.CancelFunc
	done    chan struct{}
	mu      sync.Mutex
	asked   int
	failed  int
	slowest time.Duration
	lastErr error
}

func (a *asker) start(sockets ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel, a.done = cancel, make(chan struct{})
	go func() {
		defer close(a.done)
		for i := 0; ctx.Err() == nil; i++ {
			began := time.Now()
			_, err := askWorker(ctx, sockets[i%len(sockets)])
			if ctx.Err() != nil {
				return
			}
			a.mu.Lock()
			a.asked++
			a.slowest = max(a.slowest, time.Since(began))
			if err != nil {
				a.failed++
				a.lastErr = err
			}
			a.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}()
}

func (a *asker) stop() {
	if a.cancel != nil {
		a.cancel()
		<-a.done
		a.cancel = nil
	}
}

func (a *asker) summary() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%d requests, %d failed, slowest %.0f ms", a.asked, a.failed, float64(a.slowest)/1e6)
}

// short tells how many requests failed.
func (a *asker) short() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%d of %d failed", a.failed, a.asked)
}

// verdict is an error if a request failed or none was made.
func (a *asker) verdict() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.asked == 0:
		return fmt.Errorf("the client asked nothing")
	case a.failed > 0:
		return fmt.Errorf("the client's requests\n  expected 0 failed of %d\n  got      %d failed, last: %w", a.asked, a.failed, a.lastErr)
	}
	return nil
}
