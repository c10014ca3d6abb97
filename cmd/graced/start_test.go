package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestStartErrors has everything go wrong that keeps a daemon from starting: exit code and words are Supervisor's.
func TestStartErrors(t *testing.T) {
	const asNobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups -- \"$0\" \"$@\""
	for _, c := range []struct {
		name, conf, prefix string
		args               []string
		root               bool // the story needs root
	}{
		{name: "unknown option", args: []string{"-Z"}},
		{name: "no argument", args: []string{"-n", "-c"}},
		{name: "ambiguous beginning", args: []string{"--no"}},
		{name: "an argument too many", args: []string{"--nodaemon=1"}},
		{name: "given twice", args: []string{"-n", "-n"}},
		{name: "positional", args: []string{"-n", "foo"}},
		{name: "value", args: []string{"-y", "1M"}},
		{name: "version", args: []string{"--vers"}},
		{name: "no file", args: []string{"-n", "-c", "none.conf"}},
		{name: "a directory as the file", args: []string{"-n", "-c", "."}},
		{name: "user", args: []string{"-n", "-c", "s.conf", "-u", "nosuchuser"}},
		{name: "uid", args: []string{"-n", "-c", "s.conf", "-u", "424242"}},
		{name: "another user", prefix: asNobody, args: []string{"-n", "-c", "s.conf", "-u", "root"}, root: true},
		{name: "socket without directory", conf: "[unix_http_server]\nfile=%(here)s/no/s.sock\n", args: []string{"-n", "-c", "s.conf"}},
		{name: "socket with a long path", conf: "[unix_http_server]\nfile=%(here)s/" + strings.Repeat("x", 120) + "\n", args: []string{"-n", "-c", "s.conf"}},
		{name: "address of nobody", conf: "[inet_http_server]\nport=192.0.2.1:9999\n", args: []string{"-n", "-c", "s.conf"}},
		{name: "chown", conf: "[unix_http_server]\nfile=%(here)s/s.sock\nchown=root:root\n", prefix: asNobody, args: []string{"-n", "-c", "s.conf"}, root: true},
		{name: "error in the background", conf: "[unix_http_server]\nfile=%(here)s/no/s.sock\n", args: []string{"-c", "s.conf"}},
		{name: "interface", conf: "[rpcinterface:other]\nx=1\n", args: []string{"-n", "-c", "s.conf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Getuid() != 0 {
				t.Skip("hidden: this refused start, because only root can become another user")
			}
			t.Parallel() // most of the time is waiting
			bothSides(t, func(s *side) string {
				s.conf(c.conf)
				return s.fail(c.prefix, c.args...)
			})
		})
	}
}

// TestBusy starts a second daemon on a socket and on a port that the first one holds: it refuses, and the first keeps its files.
func TestBusy(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		port := freePort(t)
		s.conf(fmt.Sprintf("[inet_http_server]\nport=127.0.0.1:%d\n", port))
		s.foreground()
		first := s.cmd
		end, pid := s.end, s.pid
		text := s.fail("", "-n", "-c", "s.conf") // the port
		s.write("t.conf", strings.Replace(s.read("s.conf"), "[inet_http_server]\nport", "[other]\nport", 1))
		text += s.fail("", "-n", "-c", "t.conf") // the socket
		text += s.files()
		if s.pidOf("s.pid") != pid {
			t.Errorf("the pid file says %s, the first daemon is %d", s.read("s.pid"), pid)
		}
		s.cmd, s.end, s.pid = first, end, pid
		s.signal(syscall.SIGTERM)
		return text + fmt.Sprint(s.ended()) + s.files()
	})
}

func freePort(t *testing.T) int { return freePorts(t, 1) }

// TestStale has a dead daemon's socket in the place of ours.
func TestStale(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf("")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path("s.sock")})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()
		s.foreground()
		s.signal(syscall.SIGTERM)
		return fmt.Sprint(s.ended()) + s.mask(s.err.String()) + s.log() + s.files()
	})
}

// TestStartLines compares the log and what is printed, from the start to the end.
func TestStartLines(t *testing.T) {
	for _, c := range []struct {
		name, conf string
		args       []string
		root       bool
	}{
		{name: "plain"},
		{name: "silent", args: []string{"-s"}},
		{name: "debug", args: []string{"-e", "debug"}},
		{name: "own name", args: []string{"-i", "me"}},
		{name: "several servers", conf: "[inet_http_server]\nport=127.0.0.1:PORT\nusername=u\npassword=p\n[unix_http_server:b]\nfile=%(here)s/t.sock\nchmod=0770\n" +
			"[rpcinterface:other]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"},
		{name: "user", conf: "[supervisord]\nuser=nobody\n", root: true},
		{name: "same user", args: []string{"-u", fmt.Sprint(os.Getuid())}},
		{name: "includes", conf: "[include]\nfiles=*.inc none/*.inc\n"},
		{name: "no directory, no umask in the foreground", conf: "[supervisord]\ndirectory=/usr\numask=077\n[program:p]\ncommand=/bin/sh p.sh\nstdout_logfile=%(here)s/p.log\n" +
			"startsecs=0\nautorestart=false\n"},
		{name: "pid file that cannot be written", args: []string{"-j", "."}},
		{name: "children", conf: "[program:p]\ncommand=/bin/sh p.sh\nstartsecs=0\nautorestart=false\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Getuid() != 0 {
				t.Skip("hidden: this start, because only root can become another user")
			}
			t.Parallel() // most of the time is waiting
			bothSides(t, func(s *side) string {
				s.conf(strings.ReplaceAll(c.conf, "PORT", fmt.Sprint(freePort(t))))
				s.write("a.inc", "[group:g]\nprograms=\n")
				s.write("p.sh", "pwd; umask\n")
				s.command("umask 022", append([]string{"-n", "-c", "s.conf"}, c.args...)...)
				s.launch()
				last := "supervisord started"
				if c.name[0] == 'p' && len(c.args) > 0 {
					last = "could not write pidfile"
				}
				s.logs(last, 1)
				if strings.Contains(c.conf, "program:p") {
					s.logs("exited: p", 1)
				}
				files := s.files()
				s.signal(syscall.SIGTERM)
				code := s.ended()
				return fmt.Sprintf("exit %d\nlog:\n%sstdout:\n%sstderr:\n%swhile it runs:\n%safter:\n%sprogram: %s", code, s.log(), s.mask(s.out.String()), s.mask(s.err.String()),
					files, s.files(), s.mask(s.read("p.log")))
			})
		})
	}
}

// TestBackground compares a daemon in the background: what it is attached to, and what its children inherit.
func TestBackground(t *testing.T) {
	t.Parallel()
	bothSides(t, func(s *side) string {
		s.conf("[supervisord]\ndirectory=/usr\numask=027\n[program:p]\ncommand=/bin/sh %(here)s/p.sh\nstdout_logfile=%(here)s/p.log\nstartsecs=0\nautorestart=false\n")
		s.write("p.sh", "pwd; umask; grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | grep -v '[3-9]'\n")
		s.command("umask 022", "-c", "s.conf")
		s.launch()
		text := fmt.Sprintln("exit", s.ended(), s.out.String(), s.err.String())
		s.end = make(chan error)
		s.until("the pid file", func() bool { return strings.HasSuffix(s.read("s.pid"), "\n") })
		s.pid = s.pidOf("s.pid")
		s.logs("exited: p", 1)
		for _, link := range []string{"cwd", "fd/0", "fd/1", "fd/2"} {
			to, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", s.pid, link))
			if err != nil {
				t.Fatal(err)
			}
			text += link + " " + to + "\n"
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
		text += fmt.Sprintln("group and session are its own:", fields[2] == fmt.Sprint(s.pid), fields[3] == fmt.Sprint(s.pid), "terminal:", fields[4])
		text += s.files()
		s.signal(syscall.SIGTERM)
		s.gone()
		return text + s.log() + s.files() + s.mask(s.read("p.log"))
	})
}

// TestLimits starts daemons under low limits: minfds and minprocs raise them, for children too, or say that they cannot.
func TestLimits(t *testing.T) {
	for _, c := range []struct{ name, prefix, args string }{
		{"soft limits too low", "ulimit -Sn 256; prlimit --pid $$ --nproc=150:", ""},
		{"high enough", "ulimit -Sn 2000", ""},
		{"asked for more", "ulimit -Sn 256", "-a 1500"},
		{"asked for less", "ulimit -Sn 256", "-a 100"},
		{"asked for nothing", "ulimit -Sn 256", "-a -1"},
		{"just enough", "ulimit -Sn 1024", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting
			bothSides(t, func(s *side) string {
				s.conf("[program:p]\ncommand=/bin/sh p.sh\nstdout_logfile=%(here)s/p.log\nstartsecs=0\nautorestart=false\n")
				s.write("p.sh", "grep -E 'Max (open files|processes)' /proc/self/limits\n")
				s.command(c.prefix, append([]string{"-n", "-c", "s.conf"}, strings.Fields(c.args)...)...)
				s.launch()
				s.logs("exited: p", 1)
				s.signal(syscall.SIGTERM)
				return fmt.Sprint(s.ended()) + s.log() + s.read("p.log")
			})
		})
	}
	// Beyond what even root may have. Supervisor's text repeats what was asked for in place of what is allowed.
	t.Run("refused", func(t *testing.T) {
		bothSides(t, func(s *side) string {
			s.conf("")
			text := s.fail("ulimit -n 2048", "-n", "-c", "s.conf", "-a", "99999999999")
			text = strings.Replace(text, "allow you to open 99999999999", "allow you to open 2048", 1)
			if os.Getuid() == 0 {
				return text // root's processes are not counted: whether the limit can be raised depends on a capability
			}
			text += s.fail("prlimit --pid $$ --nproc=300", "-n", "-c", "s.conf", "--minprocs", "999999999")
			return strings.Replace(text, "allow you to open 999999999 p", "allow you to open 300 p", 1)
		})
	})
}

// TestStdoutAsLog has the log on standard output, where it arrives twice, as under Supervisor, or once.
func TestStdoutAsLog(t *testing.T) {
	for _, args := range [][]string{{"-n", "-y", "0"}, {"-n", "-s", "-y", "0"}} {
		bothSides(t, func(s *side) string {
			s.conf("")
			// A pipe, as in a container. cmd.Stdout is one already.
			s.command("", append(args, "-c", "s.conf", "-l", "/dev/stdout")...)
			s.launch()
			s.until("the pid file", func() bool { return strings.HasSuffix(s.read("s.pid"), "\n") })
			s.signal(syscall.SIGTERM)
			code := s.ended()
			lines := strings.SplitAfter(s.mask(s.out.String()), "\n")
			slices.Sort(lines) // ours go in batches
			return fmt.Sprint(code, lines, s.mask(s.err.String()), s.files())
		})
	}
	// With the default size Supervisor dies at its first line (quirk F1).
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	s := &side{T: t, dir: t.TempDir(), bin: filepath.Join(bin, "supervisord")}
	s.conf("")
	s.command("", "-n", "-s", "-c", "s.conf", "-l", "/dev/stdout", "-y", "100")
	s.launch()
	s.until("the pid file", func() bool { return strings.HasSuffix(s.read("s.pid"), "\n") })
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 || strings.Count(s.out.String(), "received SIGTERM") != 1 || s.err.String() != "" {
		t.Errorf("exit %d, printed\n%s%s", code, s.out.String(), s.err.String())
	}
}
