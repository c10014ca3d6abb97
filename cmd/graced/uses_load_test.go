package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a process of its own that never stops asking a web server. It counts each request that is not answered with 200 as failed: unlike net/http's client it
// asks nothing twice, and unlike wrk it knows which requests these were and which release has answered.
type load struct {
	t   *testing.T
	in  io.Writer
	out *json.Decoder
}

// loadPause leaves some of a machine of two processors to the web server that is being rolled.
var loadPause = flag.Duration("load.pause", time.Millisecond, "how long each connection of the load rests between two requests")

// loadCount is what it has counted.
type loadCount struct {
	Asked, Failed int
	First         string   // what went wrong first
	Releases      []string // that have answered since it was told to forget them
}

// newLoad starts it; it ends with the test.
func newLoad(t *testing.T, network, address string) *load {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), useEnv+"=load", deskEnv+"="+network+" "+address, "PAUSE="+loadPause.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by that
		if err := cmd.Wait(); err != nil {
			t.Errorf("the load: %v", err)
		}
	})
	return &load{t, in, json.NewDecoder(out)}
}

// count asks it.
func (l *load) count() loadCount { return l.ask("count") }

// forget has it count releases anew.
func (l *load) forget() { l.ask("forget") }

func (l *load) ask(what string) (c loadCount) {
	l.t.Helper()
	if _, err := fmt.Fprintln(l.in, what); err != nil {
		l.t.Fatal(err)
	}
	if err := l.out.Decode(&c); err != nil {
		l.t.Fatal(err)
	}
	slices.Sort(c.Releases)
	return c
}

// more waits for so many requests from now on.
func (l *load) more(n int) { l.until(l.count().Asked + n) }

// until waits for so many requests in all.
func (l *load) until(n int) {
	l.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(5 * time.Minute); ; {
		c := l.count()
		if c.Asked >= n {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			l.t.Fatalf("%d requests, wanted %d", c.Asked, n)
		}
	}
}

// asker is the account of the process.
type asker struct {
	network, address string
	pause            time.Duration // between two requests of a connection

	mu       sync.Mutex
	count    loadCount
	releases map[string]bool
}

// loadGenerator asks over four connections at a time: two that are kept as long as the server keeps them, and two that are new each time.
func loadGenerator() int {
	a := &asker{releases: map[string]bool{}}
	a.network, a.address, _ = strings.Cut(os.Getenv(deskEnv), " ")
	a.pause, _ = time.ParseDuration(os.Getenv("PAUSE")) // the test's own
	for i := range 4 {
		go a.ask(i%2 == 0)
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		a.mu.Lock()
		c := a.count
		for release := range a.releases {
			c.Releases = append(c.Releases, release)
		}
		if in.Text() == "forget" {
			clear(a.releases)
		}
		a.mu.Unlock()
		if err := out.Encode(c); err != nil {
			return 1
		}
	}
	return 0
}

// ask asks for ever.
func (a *asker) ask(keep bool) {
	var conn net.Conn
	var answers *bufio.Reader
	for n := 0; ; n++ {
		path := "/"
		if n%100 == 99 {
			path = "/slow"
		}
		release, kept, err := "", false, error(nil)
		if conn == nil {
			if conn, err = net.Dial(a.network, a.address); err == nil {
				answers = bufio.NewReader(conn)
			}
		}
		if err == nil {
			release, kept, err = request(conn, answers, path, keep)
		}
		if conn != nil && !kept {
			conn.Close()
			conn = nil
		}
		a.mu.Lock()
		a.count.Asked++
		if err == nil {
			a.releases[release] = true
		} else if a.count.Failed++; a.count.First == "" {
			a.count.First = fmt.Sprintf("%s: %v", path, err)
		}
		a.mu.Unlock()
		if a.pause > 0 {
			<-time.After(a.pause)
		}
	}
}

// request makes one, and reports whether the connection is kept.
func request(conn net.Conn, answers *bufio.Reader, path string, keep bool) (body string, kept bool, err error) {
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", false, err
	}
	wish := "close"
	if keep {
		wish = "keep-alive"
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: web\r\nConnection: %s\r\n\r\n", path, wish); err != nil {
		return "", false, err
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(text), keep && !resp.Close && err == nil, err
}
