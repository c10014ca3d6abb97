package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// servantEnv makes this program a servant of named sockets.
const servantEnv = "GRACED_TEST_SERVANT"

// serve answers each line that comes to the first named socket with what this process is told about itself. TERM ends it, after what it has begun.
func serve() int {
	file := os.NewFile(3, "socket")
	l, err := net.FileListener(file)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	file.Close()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		l.Close()
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return 0
		}
		line, _ := bufio.NewReader(conn).ReadString('\n') // of one that hangs up nothing is wanted
		own := os.Getenv("LISTEN_PID") == fmt.Sprint(os.Getpid())
		fmt.Fprintf(conn, "%s %s %v %s %d %s", os.Getenv(servantEnv), os.Getenv("LISTEN_FDNAMES"), own, os.Getenv("LISTEN_FDS"), os.Getpid(), line)
		conn.Close()
	}
}

// knocked is a question to a servant that has no answer yet.
type knocked struct {
	t    *testing.T
	conn net.Conn
}

func knock(t *testing.T, network, address string) knocked {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	return knocked{t, conn}
}

// answer waits for it: the servant's name, and its pid as it sees it.
func (a knocked) answer(socket string) (name string, pid int) {
	a.t.Helper()
	line, err := bufio.NewReader(a.conn).ReadString('\n')
	if err != nil {
		a.t.Fatalf("not answered: %v", err)
	}
	if n, err := fmt.Sscanf(line, "%s "+socket+" true 1 %d hello", &name, &pid); n != 2 || err != nil {
		a.t.Errorf("answer %q: %v", line, err)
	}
	a.conn.Close()
	return name, pid
}

// servants is a configuration of two programs that share a socket; more goes to the end of the first, which has two processes.
func servants(t *testing.T, listen, more string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "[socket:front]\nlisten=" + listen + "\n" +
		"[program:other]\ncommand=" + self + "\nsockets=front\nautostart=false\nstartsecs=0\nenvironment=" + servantEnv + "=other\n" +
		"[program:web]\ncommand=" + self + "\nsockets=front\nnumprocs=2\nprocess_name=%(process_num)d\nstartsecs=0\nenvironment=" + servantEnv + "=web" + more + "\n"
}

// TestSocketKept: what connects while nobody serves waits, whatever happens meanwhile to processes, group, daemon and keeper.
func TestSocketKept(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, dir: t.TempDir()}
			address := r.path("front")
			if network == "tcp" {
				address = fmt.Sprintf("127.0.0.1:%d", freePort(t))
			}
			listen := network + "://" + address
			r.launch(nil, servants(t, listen, ""))
			r.runs("0", process.Running)
			r.runs("1", process.Running)
			pids := map[int]bool{}
			r.until("both answer", func() bool {
				_, pid := knock(t, network, address).answer("front")
				pids[pid] = true
				return len(pids) == 2
			})
			for _, name := range []string{"0", "1"} {
				if pid := r.pidOf(name); !pids[pid] {
					t.Errorf("pid %d of %s has not answered, but %v", pid, name, pids)
				}
			}
			run := func(args ...string) {
				t.Helper()
				if out, code := r.ctl("supervisorctl", args...); code != 0 {
					t.Fatalf("%v: exit %d, %s", args, code, out)
				}
			}
			run("stop", "web:*")
			for _, c := range []struct {
				what string
				do   func()
			}{
				{"start", func() {}},
				{"kill of the daemon", r.killDaemon},
				{"kill of the keeper", r.killKeeper},
				{"upgrade", func() { r.upgrade("") }},
				{"restart of the daemon", func() {
					before := r.daemonPID()
					r.must(r.Restart(t.Context()))
					r.until("it is at work again", func() bool {
						_, there := r.infos()["0"]
						return there && r.daemonPID() == before
					})
				}},
				{"update of the whole group", func() {
					r.write(servants(t, listen, ",MORE=1"))
					run("update")
				}},
			} {
				waiting := knock(t, network, address)
				c.do()
				if c.what != "restart of the daemon" && c.what != "update of the whole group" {
					run("start", "web:0")
				}
				if name, _ := waiting.answer("front"); name != "web" {
					t.Errorf("%s: %s answers", c.what, name)
				}
				run("stop", "web:*")
			}
			waiting := knock(t, network, address)
			run("start", "other")
			if name, _ := waiting.answer("front"); name != "other" {
				t.Errorf("%s answers for the other program", name)
			}
			run("stop", "other")
			r.write("")
			run("update")
			r.until("nobody listens", func() bool {
				conn, err := net.Dial(network, address)
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
		})
	}
}

// TestSocketBlackout: daemon and keeper are killed at once, and the processes that are left hand the socket to the next daemon.
func TestSocketBlackout(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	r := newRig(t, servants(t, "tcp://"+address, ""))
	before := r.runs("0", process.Running).PID
	r.runs("1", process.Running)
	knock(t, "tcp", address).answer("front")
	killMates(r.dir)
	err := <-r.exited
	r.exited <- err
	r.launch(nil, servants(t, "tcp://"+address, ""))
	if now := r.runs("0", process.Running).PID; now != before {
		t.Fatalf("it had pid %d and has %d", before, now)
	}
	if out, code := r.ctl("supervisorctl", "stop", "web:*"); code != 0 {
		t.Fatalf("stop: exit %d, %s", code, out)
	}
	waiting := knock(t, "tcp", address)
	if out, code := r.ctl("supervisorctl", "start", "web:*"); code != 0 {
		t.Fatalf("start: exit %d, %s", code, out)
	}
	waiting.answer("front")
}

// TestSocketRoll: while all processes are replaced every question gets an answer.
func TestSocketRoll(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	r := newRig(t, servants(t, "tcp://"+address, ""))
	r.runs("0", process.Running)
	r.runs("1", process.Running)
	ctx, stop := context.WithCancel(t.Context())
	questions := 0
	var asking sync.WaitGroup
	asking.Go(func() {
		for ; ctx.Err() == nil; questions++ {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintln(conn, "hello")
			if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "web") {
				t.Errorf("question %d: %q, %v", questions, line, err)
			}
			conn.Close()
		}
	})
	for i := range 5 {
		before := r.running()
		r.write(servants(t, "tcp://"+address, fmt.Sprintf("%d", i)))
		if out, code := r.ctl("gracectl", "update", "-y"); code != 0 {
			t.Errorf("update: exit %d, %s", code, out)
		}
		for name, pid := range r.running() {
			if before[name] == pid {
				t.Errorf("%s was not replaced", name)
			}
		}
	}
	stop()
	asking.Wait()
	t.Logf("%d questions", questions)
}

// TestSocketBusy: an address that somebody has is in the way of its programs alone, until it is free.
func TestSocketBusy(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	r := newRig(t, servants(t, "tcp://"+address, "\nstartretries=1")+"[program:plain]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
	r.runs("plain", process.Running)
	if got, want := r.runs("1", process.Fatal).SpawnErr, "cannot open socket front: address already in use"; got != want {
		t.Errorf("spawnerr %q, want %q", got, want)
	}
	l.Close()
	if out, code := r.ctl("gracectl", "start", "web:*"); code != 0 {
		t.Errorf("start: exit %d, %s", code, out)
	}
	knock(t, "tcp", address).answer("front")
}
