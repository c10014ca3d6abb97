package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/process"
)

// passer is a service manager that holds sockets and passes them on.
type passer struct {
	*testing.T
	listeners map[string]net.Listener
	files     []*os.File
}

// open has it listen at an address, and returns where that is.
func (p *passer) open(network, address string) string {
	p.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		p.Fatal(err)
	}
	if socket, isUnix := l.(*net.UnixListener); isUnix {
		socket.SetUnlinkOnClose(false)
	}
	address = l.Addr().String()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { p.close(address); file.Close() })
	p.listeners[address] = l
	p.files = append(p.files, file)
	return address
}

func (p *passer) close(address string) { p.listeners[address].Close() }

// refused waits until nobody listens at an address any more.
func (p *passer) refused(r *rig, network, address string) {
	p.Helper()
	r.until("nobody listens at "+address, func() bool {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// passingWrap is a shell that becomes the daemon, in the foreground or not, and says that the sockets are for it.
func passingWrap(background bool, n int, names string) []string {
	away := ""
	if background {
		away = "shift 2; " // the flags behind which stands the file
	}
	return []string{"/bin/sh", "-c", fmt.Sprintf(`graced=$0; %sLISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s LISTEN_PIDFDID=7 exec "$graced" "$@"`, away, n, names)}
}

// TestPassed: sockets that a service manager passes are the servers' whatever happens to daemon and keeper. Their files are not touched, what nobody wants is
// closed, and programs see nothing of it.
func TestPassed(t *testing.T) {
	for name, background := range map[string]bool{"foreground": false, "background": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, dir: t.TempDir()}
			p := &passer{T: t, listeners: map[string]net.Listener{}}
			p.open("unix", r.path("s.sock"))
			p.open("unix", r.path("nobodys.sock"))
			inet := p.open("tcp4", "127.0.0.1:0")
			null, err := os.Open(os.DevNull)
			r.must(err)
			r.extra = append(p.files, null)
			r.must(os.Chmod(r.path("s.sock"), 0o614))
			before, err := os.Lstat(r.path("s.sock"))
			r.must(err)
			const program = "[program:a]\ncommand=/bin/sh -c 'env; ls -l /proc/self/fd; echo end; exec sleep 1000'\nstartsecs=0\nstdout_logfile=%(here)s/a.log\n"
			server := "[inet_http_server]\nport=" + inet + "\n"
			r.launch(passingWrap(background, 4, "first::third"), server+program)
			for _, file := range r.extra {
				file.Close()
			}

			r.until("the program has printed what it has", func() bool { return strings.Contains(r.read("a.log"), "\nend\n") })
			for line := range strings.Lines(r.read("a.log")) {
				if strings.HasPrefix(line, "LISTEN_") || strings.HasPrefix(line, "GRACED_") || strings.Contains(line, "socket:") {
					t.Errorf("a program has %s", line)
				}
			}
			for _, want := range []string{
				"WARN closing the socket unknown that was passed to graced (" + r.path("nobodys.sock") + "): no [unix_http_server] or [inet_http_server] is there\n",
				"WARN closing the socket unknown that was passed to graced (no stream socket that listens): ",
			} {
				if !strings.Contains(r.read("s.log"), want) {
					t.Errorf("the log lacks %q:\n%s", want, r.read("s.log"))
				}
			}
			p.close(r.path("nobodys.sock"))
			p.refused(r, "unix", r.path("nobodys.sock"))

			pid := r.runs("a", process.Running).PID
			answers := func(when string) {
				t.Helper()
				c, err := client.New("http://"+inet, "", "")
				r.must(err)
				if _, err := c.Daemon(t.Context()); err != nil {
					t.Errorf("%s: at %s: %v", when, inet, err)
				}
				now, err := os.Lstat(r.path("s.sock"))
				if err != nil || !os.SameFile(now, before) || now.Mode() != before.Mode() {
					t.Errorf("%s: the socket's file was %v and is %v (%v)", when, before, now, err)
				}
			}
			answers("start")
			r.killDaemon()
			answers("kill of the daemon")
			r.killKeeper()
			answers("kill of the keeper")
			r.killDaemon()
			answers("kill of the daemon of a new keeper")
			r.upgrade("")
			answers("upgrade")
			copyFile(t, filepath.Join(r.bin, "graced"), r.path("next"))
			r.upgrade(r.path("next"))
			answers("upgrade of the keeper")
			if now := r.infos()["a"].PID; now != pid {
				t.Errorf("the program had pid %d and has %d", pid, now)
			}
			if n := strings.Count(r.read("s.log"), "closing the socket"); n != 2 {
				t.Errorf("%d sockets were closed, want 2", n)
			}

			reload := func(n int, conf string) {
				t.Helper()
				r.write(conf)
				r.must(r.Restart(t.Context()))
				r.until("it has begun anew", func() bool { return strings.Count(r.read("s.log"), "supervisord started") == n })
			}
			reload(2, server+program)
			answers("restart")
			r.killDaemon()
			answers("kill of the daemon after a restart")
			reload(3, program)
			p.close(inet)
			p.refused(r, "tcp", inet)
			if want := "closing the socket third that was passed to graced (" + inet + ")"; strings.Count(r.read("s.log"), want) != 1 {
				t.Errorf("the log lacks %q", want)
			}
			r.killDaemon()
			_ = r.end() // the keeper that was started first was killed
			if now, err := os.Lstat(r.path("s.sock")); err != nil || !os.SameFile(now, before) {
				t.Errorf("at the end the socket's file is %v (%v)", now, err)
			}
		})
	}
}

// TestPassedInTheWay: a restart whose files want an address that a passed socket is in the way of is refused, and all goes on.
func TestPassedInTheWay(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	p := &passer{T: t, listeners: map[string]net.Listener{}}
	_, port, err := net.SplitHostPort(p.open("tcp4", "0.0.0.0:0"))
	r.must(err)
	r.extra = p.files
	r.launch(passingWrap(false, 1, ""), "[inet_http_server]\nport=*:"+port+"\n")
	r.write("[inet_http_server]\nport=127.0.0.1:" + port + "\n")
	if err := r.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "already listening") {
		t.Errorf("the restart says %v", err)
	}
	if _, err := r.Daemon(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPassedToAnother: what is said of sockets to another process is not for this one, nor for programs.
func TestPassedToAnother(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	r.launch([]string{"env", "LISTEN_PID=1", "LISTEN_FDS=3", "LISTEN_FDNAMES=a:b:c"},
		"[program:a]\ncommand=/bin/sh -c 'env; echo end; exec sleep 1000'\nstartsecs=0\nstdout_logfile=%(here)s/a.log\n")
	r.until("the program has printed its environment", func() bool { return strings.Contains(r.read("a.log"), "\nend\n") })
	if strings.Contains(r.read("a.log"), "LISTEN_") || strings.Contains(r.read("s.log"), "closing the socket") {
		t.Errorf("the program has %s\nthe log says %s", r.read("a.log"), r.read("s.log"))
	}
}

// TestPassedToPidOne passes a socket to process 1 of a pid namespace, as a container's manager does.
func TestPassedToPidOne(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: sockets passed to process 1, because only root can have a pid namespace")
	}
	if out, err := exec.Command("unshare", "-pf", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("hidden: sockets passed to process 1, because this needs the privilege to make a pid namespace: %s", out)
	}
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir()}
	p := &passer{T: t, listeners: map[string]net.Listener{}}
	p.open("unix", r.path("s.sock"))
	r.write("")
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `mount -t proc none /proc && LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -n -s -c "$1"`,
		filepath.Join(bin, "graced"), r.path("s.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	cmd.ExtraFiles = p.files
	r.must(cmd.Start())
	c, err := client.New("unix://"+r.path("s.sock"), "", "")
	r.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if info, err := c.Daemon(ctx); err != nil || info.PID != 1 { // the connection waits until the daemon is up
		t.Errorf("process 1 answers with pid %d, %v", info.PID, err)
	}
	r.must(cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Lstat(r.path("s.sock")); err != nil {
		t.Error(err)
	}
}
