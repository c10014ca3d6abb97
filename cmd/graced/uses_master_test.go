package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/graced/graced/internal/process"
)

// webMaster has two workers at the socket that it is handed, as gunicorn's master has: HUP brings others in their place, with the release that a file names by
// then, and TERM ends all of them when they have answered.
func webMaster() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	workers, err := webWorkers()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("accepting")
	for sig := range signals {
		old := workers
		if sig == syscall.SIGHUP {
			if workers, err = webWorkers(); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		for _, w := range old {
			_ = w.Process.Signal(syscall.SIGTERM) // it may have ended
		}
		for _, w := range old {
			if err := w.Wait(); err != nil {
				fmt.Println("a worker:", err)
			}
		}
		if sig == syscall.SIGTERM {
			return 0
		}
		fmt.Println("reloaded")
	}
	return 0
}

// webWorkers starts two workers and waits until they accept.
func webWorkers() (all []*exec.Cmd, err error) {
	release, err := os.ReadFile(os.Getenv(deskEnv))
	if err != nil {
		return nil, err
	}
	for range 2 {
		w := exec.Command("/proc/self/exe")
		w.Env = append(os.Environ(), useEnv+"=master worker", "RELEASE="+string(release))
		w.ExtraFiles = []*os.File{os.NewFile(3, "socket")}
		if _, err := w.StdinPipe(); err != nil { // which ends with the master
			return nil, err
		}
		out, err := w.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := w.Start(); err != nil {
			return nil, err
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			return nil, fmt.Errorf("a worker says %q: %v", line, err)
		}
		all = append(all, w)
	}
	return all, nil
}

// webWorker is one of them.
func webWorker() int {
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return 1
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // it says nothing
		os.Exit(1)                            // the master has been killed
	}()
	return answerRequests(l, os.Getenv("RELEASE"))
}

// TestMaster: a server whose master has workers of its own. It is the master that graced sees, asks to reload and stops; no request fails, whoever goes.
func TestMaster(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.put("release", "1")
	conf := "[socket:front]\nlisten=unix://%(here)s/front\nbacklog=1024\n" +
		use(t, "web", "master", r.path("release"), "sockets=front\nnumprocs=1\nready=log:^accepting$\nready_wait=40s\nreload_signal=HUP\nstop_steps=TERM 60s, KILL\nstdout_logfile=%(here)s/web.log\n") + bystander
	r.launch(nil, conf)
	r.allReady(1)
	master := r.infos()["web_0"].PID
	listens := func() string {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", master))
		r.must(err)
		return to
	}
	socket := listens()
	l := newLoad(t, "unix", filepath.Join(r.dir, "front"))
	served := func(when, release string) (workers []int) {
		t.Helper()
		l.more(100)
		l.forget()
		l.more(50)
		c := l.count()
		if c.Failed > 0 {
			t.Fatalf("%s: %d of %d requests failed: %s", when, c.Failed, c.Asked, c.First)
		}
		if !slices.Equal(c.Releases, []string{release}) {
			t.Errorf("%s: releases %v answer", when, c.Releases)
		}
		if p := r.infos()["web_0"]; p.PID != master || p.State != process.Running {
			t.Errorf("%s: the master had pid %d and has %d, %s", when, master, p.PID, p.State)
		}
		if now := listens(); now != socket {
			t.Errorf("%s: it listened at %s and listens at %s", when, socket, now)
		}
		if workers = childrenOf(master); len(workers) != 2 {
			t.Errorf("%s: workers %v", when, workers)
		}
		return workers
	}
	workers := served("at first", "1")

	// The file of another program, the files of graced, graced itself: none of it is the master's.
	r.put("release", "2")
	r.write(strings.Replace(conf, "sleep 1000", "sleep 1001", 1))
	r.gracectl(0, []string{"reread"}, "other: changed")
	r.gracectl(0, []string{"update"}, "other:other")
	r.gracectl(0, []string{"upgrade"}, "upgraded")
	r.killDaemon()
	if now := served("after an update", "1"); !slices.Equal(now, workers) {
		t.Errorf("workers %v are %v after an update", workers, now)
	}

	for i, release := range []string{"2", "3"} {
		r.put("release", release)
		r.gracectl(0, []string{"refresh", "web:web_0"}, "refreshed")
		r.until("it has reloaded", func() bool { return strings.Count(r.read("web.log"), "reloaded\n") == i+1 })
		now := served("after a refresh", release)
		for _, pid := range workers {
			if slices.Contains(now, pid) {
				t.Errorf("worker %d was not replaced", pid)
			}
		}
		workers = now
	}

	// Nobody is there for a while: who asks waits.
	r.put("release", "4")
	r.gracectl(0, []string{"restart", "web:*"})
	before := workers
	master = r.infos()["web_0"].PID
	served("after a restart", "4")
	for _, pid := range before {
		if lives(pid) {
			t.Errorf("worker %d outlives its master", pid)
		}
	}
	r.write(strings.Replace(conf, useEnv+"=", "A=\"1\","+useEnv+"=", 1))
	r.gracectl(0, []string{"update", "web"}, "replaced")
	master = r.infos()["web_0"].PID
	served("after an update of the master", "4")
	if n := strings.Count(r.read("s.log"), "stopped: web_0 (exit status 0)"); n != 2 {
		t.Errorf("the master has left well %d times, not twice", n)
	}
	if text := r.read("web.log"); strings.Contains(text, "a worker:") {
		t.Errorf("workers have not left well:\n%s", text)
	}
}
