package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// chatServer has clients whose connections last, as servers of websockets have: after an HTTP Upgrade each line gets an answer. At USR1 or TERM it accepts no
// more and sends its clients away, and it ends when the last of them has gone.
func chatServer() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM)
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return 1
	}
	desk, err := callDesk()
	if err != nil {
		return 1
	}
	var (
		mu      sync.Mutex
		leaving bool
		clients = map[*phone]bool{}
		open    sync.WaitGroup // connections
	)
	go func() {
		for desk.hear() != nil {
		}
		os.Exit(1) // the test is over
	}()
	go func() {
		for sig := range signals {
			desk.say("told %s", unix.SignalName(sig.(syscall.Signal)))
			mu.Lock()
			if !leaving {
				leaving = true
				_ = l.Close() // the others accept in its place
				for c := range clients {
					c.say("away")
				}
			}
			mu.Unlock()
		}
	}()
	fmt.Println("accepting")
	for {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		open.Go(func() {
			defer conn.Close()
			c := newPhone(conn)
			for c.in.Scan() && c.in.Text() != "" { // the request and its header
			}
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n")
			mu.Lock()
			clients[c] = true
			if leaving {
				c.say("away")
			}
			mu.Unlock()
			for w := c.hear(); w != nil; w = c.hear() { // a client's name and the number of its message
				desk.say("got %s %s", w[0], w[1])
				c.say("ack %s %d", w[1], os.Getpid())
			}
			mu.Lock()
			delete(clients, c)
			mu.Unlock()
		})
	}
	open.Wait()
	return 0
}

// chatClient sends one message after the other, and goes to another process when it is sent away.
type chatClient struct {
	name, address string
	stays         chan struct{} // nil, or it goes only when this is closed

	mu      sync.Mutex
	server  int // the pid of who has answered last
	acks    int
	moves   int
	longest time.Duration // without a connection
}

// now returns who serves it, and how many of its messages have been answered.
func (c *chatClient) now() (server, acks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server, c.acks
}

// chat goes on until ctx ends.
func (c *chatClient) chat(ctx context.Context) error {
	next := 1
	for ctx.Err() == nil {
		began := time.Now()
		conn, err := net.Dial("unix", c.address)
		if err != nil {
			return err
		}
		err = c.connected(ctx, conn, began, &next)
		conn.Close()
		if err != nil {
			return fmt.Errorf("message %d: %v", next, err)
		}
	}
	return nil
}

// connected chats over one connection, until it is sent away or ctx ends.
func (c *chatClient) connected(ctx context.Context, conn net.Conn, began time.Time, next *int) error {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return err
	}
	fmt.Fprint(conn, "GET /chat HTTP/1.1\r\nHost: chat\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	c.mu.Lock()
	c.longest = max(c.longest, time.Since(began))
	c.moves++
	c.mu.Unlock()
	away := false
	for ctx.Err() == nil && (!away || c.staying()) {
		fmt.Fprintf(conn, "%s %d\n", c.name, *next)
		for acked := false; !acked; {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if line == "away\n" {
				away = true
				continue
			}
			n, pid := 0, 0
			if _, err := fmt.Sscanf(line, "ack %d %d\n", &n, &pid); err != nil || n != *next {
				return fmt.Errorf("it is answered by %q: %v", line, err)
			}
			acked = true
			c.mu.Lock()
			c.server, c.acks = pid, n
			c.mu.Unlock()
		}
		*next++
		select {
		case <-time.After(5 * time.Millisecond): // people do not type faster
		case <-ctx.Done():
		}
	}
	return nil
}

func (c *chatClient) staying() bool {
	if c.stays == nil {
		return false
	}
	select {
	case <-c.stays:
		return false
	default:
		return true
	}
}

// chatRoom is what servers have got.
type chatRoom struct {
	mu   sync.Mutex
	got  map[string]int   // how often each message has come, by client and number
	told map[int][]string // signals by pid
}

// TestLastingConnections rolls three processes whose clients stay connected: each is told to send its clients away, to the others at the same socket, and ends
// when the last has gone, however long that takes. No client has to wait for it, no message is lost.
func TestLastingConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, options string }{
		{"signal", "drain_signal=USR1\ndrain_timeout=24h\n"},
		{"command", "drain_command=/bin/sh -c 'kill -USR1 $GRACED_PID'\nstop_steps=TERM forever\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{t: t, dir: t.TempDir()}
			room := &chatRoom{got: map[string]int{}, told: map[int][]string{}}
			openDesk(t, r.path("desk"), room.listen)
			r.launch(nil, "[socket:front]\nlisten=unix://%(here)s/front\n"+use(t, "chat", "chat", r.path("desk"), "sockets=front\nnumprocs=3\nready=log:^accepting$\n"+c.options)+bystander)
			r.allReady(3)
			before := r.running()

			ctx, end := context.WithCancel(t.Context())
			var all sync.WaitGroup
			t.Cleanup(func() { end(); all.Wait() })
			clients := make([]*chatClient, 9)
			for i := range clients {
				cl := &chatClient{name: fmt.Sprintf("client%d", i), address: r.path("front")}
				if clients[i] = cl; i == 0 {
					cl.stays = make(chan struct{})
				}
				all.Go(func() {
					if err := cl.chat(ctx); err != nil && t.Context().Err() == nil {
						t.Errorf("%s: %v", cl.name, err)
					}
				})
			}
			r.until("all are connected", func() bool {
				for _, cl := range clients {
					if pid, _ := cl.now(); pid == 0 {
						return false
					}
				}
				return true
			})

			_, out, ended := r.background(nil, "gracectl", "restart", "--rolling", "chat:*")
			last, _ := clients[0].now()
			r.until("one waits for its last client", func() bool {
				room.mu.Lock()
				defer room.mu.Unlock()
				return len(room.told[last]) > 0
			})
			seen := make([]int, len(clients))
			for i, cl := range clients {
				_, seen[i] = cl.now()
			}
			r.until("all others talk to others", func() bool {
				for i, cl := range clients {
					if pid, acks := cl.now(); (pid == last) != (i == 0) || acks < seen[i]+20 {
						return false
					}
				}
				return true
			})
			r.answersOthers()
			r.killDaemon()
			if !lives(last) {
				t.Error("the process with a client has ended")
			}
			r.answersOthers()
			close(clients[0].stays)
			r.ends(ended, out, 0, "done in")
			for name, pid := range r.running() {
				if name != "other" && before[name] == pid {
					t.Errorf("%s was not replaced", name)
				}
			}
			end()
			all.Wait()
			r.gracectl(0, []string{"stop", "chat:*"}, "chat:chat_0: stopped") // all that they have got is told by then
			room.check(t, clients)
			for name, pid := range before {
				if told := room.told[pid]; name != "other" && (len(told) == 0 || told[0] != "SIGUSR1") {
					t.Errorf("%s was told %v, first of all SIGUSR1 is right", name, told)
				}
			}
		})
	}
}

// listen hears of one server.
func (room *chatRoom) listen(p *phone, _ string, pid int) {
	for w := p.hear(); w != nil; w = p.hear() {
		room.mu.Lock()
		if w[0] == "told" {
			room.told[pid] = append(room.told[pid], w[1])
		} else {
			room.got[strings.Join(w[1:], " ")]++
		}
		room.mu.Unlock()
	}
}

// check compares what clients have sent and servers have got.
func (room *chatRoom) check(t *testing.T, clients []*chatClient) {
	t.Helper()
	room.mu.Lock()
	defer room.mu.Unlock()
	sum, moves, longest := 0, 0, time.Duration(0)
	for _, cl := range clients {
		_, acks := cl.now()
		for n := 1; n <= acks; n++ {
			if got := room.got[fmt.Sprintf("%s %d", cl.name, n)]; got != 1 {
				t.Errorf("message %d of %s has come %d times", n, cl.name, got)
			}
		}
		sum, moves, longest = sum+acks, moves+cl.moves, max(longest, cl.longest)
	}
	t.Logf("%d messages, %d connections, at most %v without one", sum, moves, longest)
	if longest > 10*time.Second { // a process takes 24 hours to leave, if it has to
		t.Errorf("somebody was without a connection for %v", longest)
	}
}
