package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	chaosTime = flag.Duration("chaos", 0, "how long the chaos test lasts")
	chaosDoc  = flag.String("chaos.doc", "", "the `document` whose chaos table is rewritten")
	chaosSeed = flag.Uint64("chaos.seed", 0, "seed of the chaos test; 0: a random one")
)

// TestChaos kills, freezes and starves daemon, keeper, children, listeners and clients in the middle of whatever they do, and checks each time, once
// all is at rest, that nothing shows (make chaos does so for an hour).
//
// Time is cut into scenes: commands of clients and, while these are under way, mishaps. Both come from the seed. The children keep an account of
// their own of what they do (testdata/chaoschild), which everything is compared with.
func TestChaos(t *testing.T) {
	if *chaosTime == 0 {
		t.Skip("hidden: daemon, keeper and processes killed at random, because without -chaos it is not said for how long: make test does so for three minutes when all else is over, make chaos for an hour")
	}
	t.Parallel()
	seed := cmp.Or(*chaosSeed, rand.Uint64())
	t.Logf("seed %d", seed)
	sum := tally{}
	for part, name := range []string{"plain", "strip_ansi"} { // the second daemon looks at every byte of output, and runs in the background
		t.Run(name, func(t *testing.T) {
			c := newChaos(t, rand.New(rand.NewPCG(seed, uint64(part))), part == 1)
			for end := time.Now().Add(*chaosTime / 2); time.Now().Before(end) && !t.Failed(); {
				c.scene()
			}
			c.finish()
			sum.add(c.tally)
		})
	}
	t.Logf("seed %d: %v", seed, sum)
	if *chaosDoc != "" && !t.Failed() {
		if err := writeChaos(*chaosDoc, seed, sum); err != nil {
			t.Error(err)
		}
	}
}

// tally counts what happened, by what it was.
type tally map[string]int

func (t tally) add(more tally) {
	for what, n := range more {
		t[what] += n
	}
}

// writeChaos rewrites the table of the chaos.
func writeChaos(path string, seed uint64, sum tally) error {
	var b strings.Builder
	fmt.Fprintf(&b, "In %v:\n\n| what | how often |\n|---|---|\n", *chaosTime)
	for _, what := range slices.Sorted(maps.Keys(sum)) {
		fmt.Fprintf(&b, "| %s | %d |\n", what, sum[what])
	}
	return writeTable(path, "chaos", seed, b.String())
}

// chaosProgram is a program of the configuration.
type chaosProgram struct {
	section, name, kind string
	numprocs            int
	options             string
}

// keptLines says where a program's output goes: every few seconds a file is full, and no backup is ever pushed out.
const keptLines = "stdout_logfile=%(here)s/logs/%(program_name)s_%(process_num)d.log\nstdout_logfile_maxbytes=8KB\nstdout_logfile_backups=2000\n"

// hooks are commands around a process.
var hooks = func() string {
	var b strings.Builder
	for _, which := range []string{"pre_start", "post_ready", "pre_stop", "post_stop"} {
		fmt.Fprintf(&b, "%s={child} hook %%(program_name)s_%%(process_num)d {dir} %s\n", which, which)
	}
	return b.String()
}()

const noLines = "stdout_logfile=NONE\n"

var chaosPrograms = []chaosProgram{
	{"program", "lines", "lines", 3, keptLines},
	{"program", "told", "lines", 2, keptLines + "stdout_events_enabled=true\n"},
	{"program", "comm", "comm", 2, keptLines + "stdout_capture_maxbytes=1KB\n"},
	{"program", "crash", "crash", 2, keptLines + "autorestart=true\n"},
	{"program", "deaf", "deaf", 1, keptLines + "stopwaitsecs=1\n"},
	{"program", "forks", "forks", 2, keptLines + "stopasgroup=true\n"},
	{"program", "once", "reads", 3, noLines + "autorestart=false\n"},
	{"program", "reads", "reads", 2, noLines},
	{"program", "flip", "lines", 3, keptLines},
	{"program", "gate", "gate", 3, keptLines + "ready=log: 3(\\x1b.*)?$\nready_wait=3s\nroll_canary=1\nroll_surge=1\n"},
	{"program", "hooked", "hooked", 2, keptLines + hooks},
	{"program", "base", "base", 1, keptLines + "ready=log: 3(\\x1b.*)?$\n"},
	{"program", "app", "app", 2, keptLines + "depends_on=base:ready\n"},
	{"fcgi-program", "fcgi", "fcgi", 2, noLines + "socket=unix://%(here)s/fcgi.sock\n"},
	{"eventlistener", "ears", "ears", 2, noLines + "events=PROCESS_STATE,PROCESS_LOG,PROCESS_COMMUNICATION,REMOTE_COMMUNICATION\nbuffer_size=1000\n"},
}

// files is what the configuration says at the moment, apart from what never changes.
type files struct {
	flips      int // processes of flip more or less than usual
	generation int // of flip, which only a restart can change
	patience   int // of those whose lines are told, which changes while they run
	release    int // of gate, which is rolled out
	stack      int // of base, and of app, which depends on it
	broken     int // the number of a release of gate that does not become ready; 0 = none
}

// gate names the release of gate.
func (f files) gate() string {
	if f.broken != 0 {
		return fmt.Sprintf("broken%d", f.broken)
	}
	return fmt.Sprintf("g%d", f.release)
}

func (c *chaos) conf() string {
	var b strings.Builder
	if c.strip {
		b.WriteString("[supervisord]\nstrip_ansi=true\n")
	}
	for _, p := range chaosPrograms {
		generation := "g0"
		switch p.name {
		case "flip":
			p.numprocs += c.files.flips
			generation = fmt.Sprintf("g%d", c.files.generation)
		case "gate":
			generation = c.files.gate()
		case "base", "app":
			generation = fmt.Sprintf("g%d", c.files.stack)
		case "lines", "told":
			p.options += fmt.Sprintf("stopwaitsecs=%d\n", 10+c.files.patience)
		}
		fmt.Fprintf(&b, "[%s:%s]\ncommand=%s %s %%(program_name)s_%%(process_num)d %s %s\nprocess_name=%%(program_name)s_%%(process_num)d\n"+
			"numprocs=%d\nstartsecs=0\nstderr_logfile=NONE\n%s", p.section, p.name, c.child, p.kind, c.dir, generation, p.numprocs, strings.NewReplacer("{child}", c.child, "{dir}", c.dir).Replace(p.options))
	}
	return b.String()
}

// chaos is a daemon, and what its world is known to be.
type chaos struct {
	*rig
	*rand.Rand
	strip  bool
	child  string // the program of the children
	files  files
	tally  tally
	broken int // releases of gate that were broken so far

	generation int               // of the daemon, at rest
	number     int               // of the scene
	began      time.Time         // the scene
	before     map[string]string // the life of each process at its begin, by the process's name
	licences   map[string]string // what may have ended a process in it, by the process's name
	lossy      bool              // no log could be written for a while
	// forgetful: daemon and keeper died at once. What was asked for and not done is forgotten, and so is what was under way: what was looked at and not
	// in the log yet, and the rest of a process that died before anybody was there again.
	forgetful  bool
	hookKilled bool       // maybe before it could note that it had begun
	upgrading  bool       // there may be no daemon for a moment: who kills the keeper then has killed both
	output     lockedText // of graced
	logs       map[string]*chaosLog
	inputs     map[string]*chaosInput
	hooks      map[string]*hookStory // by the process's name
	rest       map[string]int        // descriptors of daemon and keeper when all is at rest
	mu         sync.Mutex            // of story, and of what commands count
	story      []string              // of the scene
}

// chaosChild is built once.
var chaosChild = sync.OnceValues(func() (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "chaoschild")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/chaoschild").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %v\n%s", err, out)
	}
	return path, nil
})

func newChaos(t *testing.T, r *rand.Rand, strip bool) *chaos {
	child, err := chaosChild()
	if err != nil {
		t.Fatal(err)
	}
	c := &chaos{
		rig: &rig{t: t, dir: t.TempDir(), behind: strip}, Rand: r, strip: strip, child: child, tally: tally{},
		logs: map[string]*chaosLog{}, inputs: map[string]*chaosInput{}, hooks: map[string]*hookStory{}, rest: map[string]int{},
	}
	for _, dir := range []string{"logs", "locks", "counts", "aside"} {
		if err := os.Mkdir(filepath.Join(c.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		copyFile(t, filepath.Join(bin, "graced"), filepath.Join(c.dir, name))
	}
	t.Cleanup(func() { killChildren(c.dir) })
	c.launch(nil, c.conf())
	c.restore()
	c.check() // what is there at rest, before a keeper takes over what another has started
	return c
}

// scene lets some commands and some mishaps happen at once, and looks what has become of it.
func (c *chaos) scene() {
	c.number++
	c.began = time.Now()
	c.story, c.licences, c.lossy, c.forgetful, c.hookKilled, c.upgrading = nil, map[string]string{}, false, false, false, false
	defer func() {
		if c.t.Failed() {
			c.t.Logf("scene %d:\n\t%s\nthe log since then:\n%s", c.number, strings.Join(c.story, "\n\t"), c.logSince(c.began)+c.output.String())
		}
	}()
	commands, mishaps := c.commands(c.IntN(4)), c.mishaps(1+c.IntN(2))
	var all sync.WaitGroup
	for _, cmd := range commands {
		all.Go(func() {
			<-time.After(cmd.delay)
			c.tell("%s", cmd.text)
			cmd.result = cmd.do()
			c.tell("%s: %s", cmd.text, cmd.result)
		})
	}
	for _, m := range mishaps { // one after the other: whoever is killed with his only witness is lost
		<-time.After(m.delay)
		c.tell("%s", m.text)
		c.count(m.text)
		m.do()
		c.whole()
	}
	all.Wait()
	c.count("scenes")
	c.settle()
	for _, cmd := range commands {
		c.count(cmd.kind)
		cmd.check()
	}
	c.restore()
	c.check()
}

// count adds to the tally while commands are under way.
func (c *chaos) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally[what]++
}

// tell adds to the story of the scene.
func (c *chaos) tell(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.story = append(c.story, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// may notes that processes may end in this scene. The pattern is a process's name, or that of a program.
func (c *chaos) may(pattern, why string) {
	for name := range c.before {
		if name == pattern || program(name) == pattern {
			c.licences[name] = why
		}
	}
}

// program returns the program of a process, which is its group, too.
func program(name string) string {
	p, _, _ := strings.Cut(name, "_")
	return p
}

// logSince returns what the main log says since a moment, without what never ceases.
func (c *chaos) logSince(t time.Time) string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "s.log")) // it is of no use to say why not
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if line >= t.Format("2006-01-02 15:04:05") && !strings.Contains(line, "crash_") && !strings.Contains(line, "overflowed") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// lockedText collects what several processes write.
type lockedText struct {
	mu sync.Mutex
	strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}
