package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/graced/graced/internal/host"
)

// useEnv makes the test's own program one of those that people run under a supervisor: its value is one of the names in uses.
const useEnv = "GRACED_TEST_USE"

// deskEnv is the socket of the test that these programs talk to.
const deskEnv = "GRACED_TEST_DESK"

// uses are the programs by name.
var uses = map[string]func() int{
	"queue worker":  queueWorker,
	"master":        webMaster,
	"master worker": webWorker,
	"pool":          poolMain,
	"pool child":    poolChild,
	"chat":          chatServer,
	"load":          loadGenerator,
}

// use is the section of such a program, without a log: what it tells it tells to the test.
func use(t *testing.T, name, program, desk, options string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[program:%s]\ncommand=%s\nprocess_name=%s_%%(process_num)d\nstartsecs=0\nenvironment=%s=\"%s\",%s=\"%s\"\n%s", name, self, name, useEnv, program, deskEnv, desk, options)
}

// phone is a connection of such a program to its test, by lines.
type phone struct {
	net.Conn
	in *bufio.Scanner
	mu sync.Mutex
}

func newPhone(conn net.Conn) *phone { return &phone{Conn: conn, in: bufio.NewScanner(conn)} }

// callDesk connects a program with its test, and says who it is.
func callDesk() (*phone, error) {
	conn, err := net.Dial("unix", os.Getenv(deskEnv))
	if err != nil {
		return nil, err
	}
	p := newPhone(conn)
	p.say("%s %d", os.Getenv("SUPERVISOR_PROCESS_NAME"), os.Getpid())
	return p, nil
}

// say sends a line. Who has hung up does not hear it.
func (p *phone) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p, format+"\n", args...)
}

// hear returns the words of the next line, none when the other side has hung up.
func (p *phone) hear() []string {
	if !p.in.Scan() {
		return nil
	}
	return strings.Fields(p.in.Text())
}

// openDesk is the test's side: each program that calls is given to take, in a goroutine of its own. At the end of the test it hangs up, and programs that are
// hung up on end.
func openDesk(t *testing.T, path string, take func(p *phone, name string, pid int)) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				p, name, pid := newPhone(conn), "", 0
				if !p.in.Scan() {
					return
				}
				if _, err := fmt.Sscan(p.in.Text(), &name, &pid); err != nil {
					t.Errorf("a call that begins with %q: %v", p.in.Text(), err)
					return
				}
				take(p, name, pid)
			})
		}
	})
}

// answersOthers shows that commands about another program are answered while something else is waited for.
func (r *rig) answersOthers() {
	r.t.Helper()
	for _, args := range [][]string{{"restart", "--timeout", "40", "other"}, {"stop", "--timeout", "40", "other"}, {"start", "--timeout", "40", "other"}, {"status"}} {
		r.gracectl(0, args, "other")
	}
}

// bystander is that program.
const bystander = "[program:other]\n" + sleeper

// childrenOf returns the children of a process that have not ended.
func childrenOf(pid int) (pids []int) {
	dirs, _ := os.ReadDir("/proc") // it is there
	for _, d := range dirs {
		child := 0
		if _, err := fmt.Sscan(d.Name(), &child); err != nil {
			continue
		}
		if stat, err := host.ReadStat(child); err == nil && stat.Parent == pid && stat.State != 'Z' {
			pids = append(pids, child)
		}
	}
	return pids
}
