package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// poolEnv is what a pool does when it is told to stop at once: "cold": it ends its children and itself; "leaves": itself alone; "deaf": nothing.
const poolEnv = "GRACED_TEST_POOL"

// poolMain has two children that work, as Celery's workers have. At TERM it lets them finish (a warm stop), at QUIT it does not (a cold one).
func poolMain() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1)
	p, err := callDesk()
	if err != nil {
		return 1
	}
	name, over := os.Getenv("SUPERVISOR_PROCESS_NAME"), make(chan error, 2)
	var children []*exec.Cmd
	for i := range 2 {
		c := exec.Command("/proc/self/exe")
		c.Env = append(os.Environ(), useEnv+"=pool child", fmt.Sprintf("SUPERVISOR_PROCESS_NAME=%s/%d", name, i))
		if i == 1 && os.Getenv(poolEnv+"_APART") != "" {
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		}
		if err := c.Start(); err != nil {
			return 1
		}
		children = append(children, c)
		go func() { over <- c.Wait() }()
	}
	go func() {
		for p.hear() != nil {
		}
		os.Exit(1) // the test is over
	}()
	for left := 2; ; {
		select {
		case <-over:
			if left--; left == 0 {
				return 0
			}
		case sig := <-signals:
			p.say("%s", unix.SignalName(sig.(syscall.Signal)))
			if sig != syscall.SIGQUIT {
				continue // the children finish what they do
			}
			switch os.Getenv(poolEnv) {
			case "cold":
				for _, c := range children {
					_ = c.Process.Signal(syscall.SIGUSR1) // it may have ended
				}
			case "leaves":
				return 1
			}
		}
	}
}

// poolChild does one task, which takes until the test says so, and tells of every signal. USR1 is its pool's.
func poolChild() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals)
	p, err := callDesk()
	if err != nil {
		return 1
	}
	finished := make(chan bool)
	go func() { finished <- p.hear() != nil }()
	for {
		select {
		case sig := <-signals:
			if sig == syscall.SIGURG { // of Go's own
				continue
			}
			p.say("%s", unix.SignalName(sig.(syscall.Signal)))
			if sig == syscall.SIGUSR1 {
				return 1
			}
		case done := <-finished:
			if !done {
				return 1
			}
			p.say("finished")
			return 0
		}
	}
}

// pools is what the processes of pools tell of themselves, by name.
type pools struct {
	mu   sync.Mutex
	call map[string]*phone
	pid  map[string]int
	told map[string][]string
}

func openPools(t *testing.T, path string) *pools {
	d := &pools{call: map[string]*phone{}, pid: map[string]int{}, told: map[string][]string{}}
	openDesk(t, path, func(p *phone, name string, pid int) {
		d.mu.Lock()
		d.call[name], d.pid[name] = p, pid
		d.mu.Unlock()
		for w := p.hear(); w != nil; w = p.hear() {
			d.mu.Lock()
			d.told[name] = append(d.told[name], w[0])
			d.mu.Unlock()
		}
	})
	return d
}

// of returns what a process has told, and its pid.
func (d *pools) of(name string) (told []string, pid int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.told[name]), d.pid[name]
}

// TestPools: programs with children of their own. The signals of a stop go to the main process alone, which knows what its children have to be told; after a
// second signal, or in the end, nobody of them is left.
func TestPools(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir()}
	d := openPools(t, r.path("desk"))
	cases := []struct {
		name, does, options string
		finish              bool     // its children finish, when the main process has got its signal
		args                []string // of the client; none: stop
		told, childTold     []string
		ends                string
	}{
		{name: "warm", options: "stop_steps=TERM forever\n", finish: true, told: []string{"SIGTERM"}, childTold: []string{"finished"}, ends: "exit status 0"},
		{name: "drained", options: "drain_signal=TERM\ndrain_timeout=24h\nstop_steps=QUIT 60s, KILL\n", finish: true, told: []string{"SIGTERM"}, childTold: []string{"finished"}, ends: "exit status 0"},
		{name: "cold", does: "cold", options: "stop_steps=TERM 200ms, QUIT 60s, KILL\n", told: []string{"SIGTERM", "SIGQUIT"}, childTold: []string{"SIGUSR1"}, ends: "exit status 0"},
		{name: "deaf", does: "deaf", options: "stop_steps=TERM 200ms, QUIT 200ms, KILL\nkillasgroup=true\n", told: []string{"SIGTERM", "SIGQUIT"}, ends: "terminated by SIGKILL"},
		{name: "deaftree", does: "deaf", options: "stop_steps=TERM 200ms, QUIT 200ms, KILL\nkill_tree=true\nAPART", told: []string{"SIGTERM", "SIGQUIT"}, ends: "terminated by SIGKILL"},
		{name: "leaves", does: "leaves", options: "stop_steps=TERM 200ms, QUIT 60s, KILL\nkill_tree=true\nAPART", told: []string{"SIGTERM", "SIGQUIT"}, ends: "exit status 1"},
		{name: "now", does: "deaf", options: "stop_steps=TERM forever\nkill_tree=true\nAPART", args: []string{"stop", "--now"}, ends: "terminated by SIGKILL"},
	}
	conf := bystander
	for _, c := range cases {
		options, apart := strings.CutSuffix(c.options, "APART")
		section := use(t, c.name, "pool", r.path("desk"), options)
		section = strings.Replace(section, "\nenvironment=", "\nenvironment="+poolEnv+"=\""+c.does+"\",", 1)
		if apart {
			section = strings.Replace(section, "\nenvironment=", "\nenvironment="+poolEnv+"_APART=\"1\",", 1)
		}
		conf += section
	}
	r.launch(nil, conf)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := r.within(t)
			name := c.name + "_0"
			family := []string{name, name + "/0", name + "/1"}
			r.until("all of it work", func() bool {
				return !slices.ContainsFunc(family, func(name string) bool { _, pid := d.of(name); return pid == 0 })
			})
			args := c.args
			if args == nil {
				args = []string{"stop"}
			}
			_, out, ended := r.background(nil, "gracectl", append(args, c.name+":"+name)...)
			if c.finish {
				r.until("it is told to stop", func() bool { told, _ := d.of(name); return len(told) > 0 })
				if p := r.infos()[name]; p.State != process.Stopping {
					t.Errorf("it is %s", p.State)
				}
				r.answersOthers()
				for _, child := range family[1:] {
					if told, _ := d.of(child); len(told) > 0 {
						t.Errorf("%s was told %v", child, told)
					}
					d.mu.Lock()
					d.call[child].say("end")
					d.mu.Unlock()
				}
			}
			r.ends(ended, out, 0, ": stopped")
			for i, member := range family {
				_, pid := d.of(member)
				r.until(member+" has ended", func() bool { return !lives(pid) })
				want := c.childTold
				if i == 0 {
					want = c.told
				}
				told, _ := d.of(member)
				if c.finish || c.does == "cold" || i == 0 { // its last words may be on their way
					r.until(member+" has told", func() bool { told, _ = d.of(member); return len(told) >= len(want) })
				}
				if !slices.Equal(told, want) {
					t.Errorf("%s was told %v, want %v", member, told, want)
				}
			}
			if text := "stopped: " + name + " (" + c.ends + ")"; !strings.Contains(r.read("s.log"), text) {
				t.Errorf("the log does not say %q", text)
			}
		})
	}
}
