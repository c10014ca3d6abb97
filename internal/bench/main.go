// Command bench measures graced and Debian's Supervisor side by side, in one run and in turns, and writes the table of
// docs/benchmarks.md.
//
// It treats both as black boxes: it starts their binaries on configurations of its own in a temporary directory, watches /proc, the
// log files and what the children themselves report, and ends every process it started by its pid. It imports nothing of this module,
// and nothing imports it. `make bench` runs it; a normal test runs it with -quick, which keeps the harness alive and proves no speed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options says what to run and how much of it.
type options struct {
	bin         string // directory of our binaries
	supervisord string // the original's daemon; "" = not measured
	supervisorc string // the original's client
	tools       string // directory where programs to compare with are installed
	work        string // directory for everything that is written; "" = workDir chooses

	rounds     int           // repetitions of start and stop
	many       int           // children of the large sessions
	few        int           // children of the small ones
	idle       time.Duration // how long wake-ups are counted
	query      time.Duration // how long requests are counted, each daemon
	statusRuns int
	kills      int
	killBudget time.Duration // the most time one daemon's kills may take
	logChunks  int
	logLines   int // lines of one writer in one chunk
	files      int // included files, each with a program
	rereads    int
	flood      time.Duration // how long answers are waited for while logs are flooded
	eventLines int           // of each writer of events
	pm2        bool          // pm2 is installed and measured as well
	only       []string      // names of parts; nil = all
}

// full are the sizes that the targets are meant for, quick those that take seconds and only show that everything works.
var (
	full = options{
		rounds: 3, many: 1000, few: 100, idle: 20 * time.Second, query: 5 * time.Second, statusRuns: 30,
		kills: 200, killBudget: 2 * time.Minute, logChunks: 4, logLines: 1_000_000_000 / lineLength / writers / 4,
		files: 1000, rereads: 10, flood: 10 * time.Second, eventLines: 200, pm2: true,
	}
	quick = options{
		rounds: 1, many: 50, few: 20, idle: 500 * time.Millisecond, query: 200 * time.Millisecond, statusRuns: 3,
		kills: 3, killBudget: 30 * time.Second, logChunks: 1, logLines: 20_000,
		files: 50, rereads: 3, flood: 200 * time.Millisecond, eventLines: 5,
	}
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(childMain(os.Args[2:]))
	}
	bin := flag.String("bin", "bin", "`directory` of graced and gracectl")
	supervisord := flag.String("supervisord", "/usr/bin/supervisord", "the original's daemon; its client is the supervisorctl beside it")
	document := flag.String("o", "docs/benchmarks.md", "the `document` whose table is rewritten; empty: print only")
	isQuick := flag.Bool("quick", false, "small sizes: shows that everything works, not how fast")
	strict := flag.Bool("strict", false, "exit with status 1 when a target is missed")
	work := flag.String("dir", "", "`directory` for everything that is written; empty: /dev/shm if there is room, else the one for temporary files")
	only := flag.String("only", "", "measure only these `parts`, and print what was measured instead of the table: "+strings.Join(partNames(), ","))
	flag.Parse()

	opt := full
	if *isQuick {
		opt = quick
	}
	opt.bin, opt.work, opt.tools = *bin, *work, ".tools"
	if *only != "" {
		opt.only = strings.Split(*only, ",")
	}
	if _, err := os.Stat(*supervisord); err == nil {
		opt.supervisord, opt.supervisorc = *supervisord, filepath.Join(filepath.Dir(*supervisord), "supervisorctl")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	rep, err := run(ctx, opt)
	if err == nil && opt.only != nil {
		return
	}
	if err == nil {
		rep.write(os.Stdout)
		if *document != "" {
			err = rep.update(*document)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(2)
	}
	if missed := rep.missed(); *strict && missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d targets missed\n", missed)
		os.Exit(1)
	}
}

// run makes every measurement in a temporary directory that it removes.
func run(ctx context.Context, opt options) (*report, error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("cannot measure: /proc of Linux is needed")
	}
	if opt.work == "" {
		opt.work = workDir(4 * int64(opt.logLines) * lineLength * writers)
	}
	dir, err := os.MkdirTemp(opt.work, "graced-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	kid, err := buildChild(dir)
	if err != nil {
		return nil, err
	}
	b := &bench{options: opt, dir: dir, child: kid, load: loadAverage()}
	if b.load > 0.5 {
		say("the machine is busy (load average %.1f): the figures will be worse than it can do", b.load)
	}
	bin, err := filepath.Abs(opt.bin)
	if err != nil {
		return nil, err
	}
	b.contenders = []*contender{{
		name: "graced", daemon: filepath.Join(bin, "graced"), client: filepath.Join(bin, "gracectl"),
	}}
	if opt.supervisord != "" {
		b.contenders = append(b.contenders, &contender{name: "supervisor", daemon: opt.supervisord, client: opt.supervisorc})
	}
	for _, c := range b.contenders {
		if c.version, err = version(c.daemon); err != nil {
			return nil, err
		}
	}
	for _, name := range opt.only {
		if !slices.Contains(partNames(), name) {
			return nil, fmt.Errorf("no part %q: %s", name, strings.Join(partNames(), ", "))
		}
	}
	for _, p := range parts {
		if opt.only == nil || slices.Contains(opt.only, p.name) {
			if err := p.measure(b, ctx); err != nil {
				return nil, err
			}
		}
	}
	return b.report(), nil
}

// parts are the measurements, in their order.
var parts = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"many", (*bench).manySessions},
	{"peer", (*bench).peerMemory},
	{"few", (*bench).fewSessions},
	{"logs", (*bench).logSessions},
	{"flood", (*bench).floodSessions},
	{"reread", (*bench).rereadSessions},
	{"events", (*bench).eventSessions},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// workDir chooses where everything is written: a file system in memory, if there is one with so many bytes to spare, so that the
// figures are those of the daemons. A disk adds its own: ext4, for one, takes milliseconds to find a free inode among those that the
// session before has just released.
func workDir(need int64) string {
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err == nil && fs.Type == unix.TMPFS_MAGIC && int64(fs.Bavail)*fs.Bsize >= need {
		return "/dev/shm"
	}
	return os.TempDir()
}

// bench is one run. It is used by one goroutine.
type bench struct {
	options
	dir        string
	child      child
	load       float64      // before the run
	contenders []*contender // ours first, then the original, if it is there
	bare       []time.Duration
	sessions   int // numbers the directories of sessions
	peer       peer
}

// contender is one of the two supervisors with what was measured of it.
type contender struct {
	name, daemon, client, version string

	start, stop []time.Duration // by round
	rss, anon   int64           // bytes
	wakeups     float64         // a second
	queries     float64         // a second
	status      []time.Duration
	restarts    []time.Duration
	logBytes    int64
	logTime     time.Duration
	logCPU      time.Duration
	logTrouble  []string
	answers     []time.Duration // while logs are flooded
	rereads     []time.Duration
	events      events
}

// say reports progress.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
