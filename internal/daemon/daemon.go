package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/health"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// Options are what a Daemon stands on.
type Options struct {
	Config *config.Config
	// Load reads the configuration files again. The error's text is shown to clients.
	Load func() (*config.Config, error)
	// LoadFile reads another main file, to be compared with what runs.
	LoadFile func(path string) (*config.Config, error)
	// Check looks for everything that is wrong with the files, or with another main file than the daemon's. nil: nobody can tell.
	Check func(file string) (control.Findings, error)
	// CheckRestart returns what would keep a restart with these files from succeeding, in words for clients. nil: nothing is checked.
	CheckRestart func(*config.Config) error
	// Host makes the host; events must be given to the function as they happen.
	Host func(events func(host.Event)) (host.Host, error)
	// Logger takes the main log's lines, at the levels of this package. MainLog is the file behind it; nil: there is none to read (syslog).
	Logger  *slog.Logger
	MainLog *childlog.File
	// Flush waits until every line given to Logger is written.
	Flush func()
	// ServerURL is the value of SUPERVISOR_SERVER_URL for programs that name none; "" leaves the variable out.
	ServerURL string
	// Version is what clients are told (contract: rpc, getSupervisorVersion).
	Version string
	// EventSerial is the number of the first event: that of a daemon before a soft restart goes on.
	EventSerial uint64
	// State is what earlier daemons have left, and where the next will find it; nil: everything is forgotten.
	State *State
	// Ledger is where everything is written down for a daemon that comes after this one; nil: nothing is. Left is what one before has left there;
	// nil: this one is the first.
	Ledger *store.Ledger
	Left   *Left
	// Found are the processes that are there already when a first daemon begins.
	Found []FoundProcess
	// Stages make output that is looked at outlive the daemon: one for each goroutine of the host that moves output; nil: it does not.
	Stages []*childlog.Stage
	// Notify is the socket on which processes tell of themselves (sd_notify); nil: there is none.
	Notify *health.Socket
	// Keeper tells about the keeper; nil: there is none.
	Keeper func() host.KeeperState
	// HandOver has another daemon go on where this one is; see control.Change. nil: nobody can.
	HandOver func(binary string)
	// Quitting is told that an end or a restart has begun. It may take a moment. nil: nobody wants to know.
	Quitting func(control.Mood)
	// Generation counts the daemons of one keeper; Failed says why another program did not take over, if this one goes on for that reason.
	Generation int
	Failed     string
	// PID returns the process id of the whole, the keeper's.
	PID func() int
	// Environ is the daemon's own environment, which children inherit.
	Environ []string
	// Wall is the time of day, which is reported and decides nothing; nil: the machine's.
	Wall func() time.Time
}

// Daemon is one run of the supervisor, from boot to Halt. It implements control.Service.
type Daemon struct {
	opts    Options
	log     *slog.Logger
	origin  time.Time
	inbox   *inbox
	host    host.Host
	files   *queue
	life    context.Context // ends when Run returns
	handing atomic.Bool     // HandOver has been called
	closing chan struct{}   // closed by Close
	die     context.CancelFunc

	turning  sync.Mutex // held by who touches the loop: Run while it does not wait, or who brings an answer
	loop     loop
	effects  []core.Effect // of the turn in progress; likewise
	revision atomic.Uint64 // of the core, at the end of the last turn
	wanted   atomic.Uint32 // the core's set of wanted events, likewise
	view     atomic.Pointer[view]
	mood     atomic.Int64
	ident    atomic.Pointer[string]

	operations operations
	plans      plans
	recovering bool // what is heard comes from the daemon before, and the loop does not run yet
	counts     counts
	state      *State
	bootConfig *config.Config
	bootGroups []process.GroupSpec // that were there at the beginning, until that generation has been entered
	booted     sync.Once           // it has been
	noting     sync.Mutex          // held while a generation is being entered
	unnoted    atomic.Pointer[unnoted]
	calm       atomic.Bool    // somebody waits until no call follows the last one
	changing   sync.WaitGroup // operations that are seen through
}

var _ control.Service = (*Daemon)(nil)

// New prepares a daemon; Run boots it. Close must be called after Run.
func New(opts Options) (*Daemon, error) {
	if opts.Wall == nil {
		opts.Wall = time.Now
	}
	d := &Daemon{
		closing: make(chan struct{}), opts: opts, log: opts.Logger, origin: time.Now(), inbox: newInbox(), files: newQueue(),
	}
	if opts.Ledger != nil {
		// Moments have to mean the same to the daemon that comes next: they are those of CLOCK_MONOTONIC.
		d.origin = d.origin.Add(-host.Mono())
	}
	d.life, d.die = context.WithCancel(context.Background())
	h, err := opts.Host(func(e host.Event) { d.inbox.putEvent(e, d.now()) })
	if err != nil {
		d.files.close()
		return nil, fmt.Errorf("cannot start the process host: %w", err)
	}
	d.host = h
	c := opts.Config
	d.state = opts.State
	if d.state == nil {
		d.state, _ = OpenState("", opts.Wall, func(string) {}) // there is nobody to share memory with
	}
	d.operations.recall(d.state.read())
	d.counts.nums = countsOf(d.state.read())
	d.loop = loop{
		replies: map[core.Req]chan<- core.Reply{},
		asked:   map[core.Req]string{},
		logs:    map[process.ID]*processLogs{},
		times:   map[process.ID]*timeline{},
		trials:  map[process.ID]*trial{},
		source:  map[string]*config.Config{},
		lives:   map[process.ID]SavedLife{},
		places:  map[process.ID]host.Placed{},
		heard:   map[uint64]uint64{},
		waiting: map[uint64]savedWaiting{},
		begun:   map[uint64]savedBegun{},
		ledger:  ledger{to: opts.Ledger, numbers: map[*config.Config]int{}, anew: true},
	}
	d.mood.Store(int64(control.MoodRunning))
	if opts.Left != nil {
		if err := d.takeUp(opts.Left); err != nil {
			d.files.close()
			return nil, errors.Join(err, h.Close())
		}
		d.tellFailedUpgrade()
		d.goOnNoting()
		d.goOnWithOperations()
		d.resumeRolls()
		d.loop.astray = perhapsAstray
		pending := d.loop.core.Pending() // before the first step: what that asks for is new
		d.inbox.putWish(wish{do: func(now core.Now) { d.goOn(now, pending) }})
		d.goOnWaiting()
		return d, nil
	}
	d.boot(c)
	return d, nil
}

// boot makes the loop begin with what a configuration says.
func (d *Daemon) boot(c *config.Config) {
	if scaled, err := d.scaled(c); err != nil {
		d.logf(LevelCritical, "%v", err)
		d.counts.nums = nil
	} else {
		c = scaled
	}
	o := coreOptions(c)
	o.EventSerial, o.Marks = d.opts.EventSerial, marksOf(d.state.read())
	d.loop.core, d.loop.desired = core.New(o), desire(c)
	d.ident.Store(&c.Supervisord.Identifier)
	for _, g := range c.Groups {
		d.loop.desired.taken[g.Name] = true
		d.loop.source[g.Name] = c
	}
	d.bootConfig, d.bootGroups = c, slices.Clone(c.Groups)
	if d.state.onDisk() || len(d.operations.cut) > 0 {
		d.changing.Go(func() {
			d.noteCut()
			d.noteBoot()
		})
	}
	d.bootWith(c)
}

// EventSerial returns the number of the next event, once Run has returned.
func (d *Daemon) EventSerial() uint64 { return d.loop.core.EventSerial() }

// Close releases what Run used. Children that still run are left alone.
func (d *Daemon) Close() error {
	d.die() // Run has, if it was called
	close(d.closing)
	d.changing.Wait()
	d.noteLast()
	if d.loop.health != nil {
		d.loop.health.Close()
	}
	d.files.close()
	return d.host.Close()
}

// now reads the clocks: the only place where this package does so for a decision of the core.
func (d *Daemon) now() core.Now { return core.Now{Mono: time.Since(d.origin), Wall: d.opts.Wall()} }

func (d *Daemon) logf(level slog.Level, format string, args ...any) {
	if d.log.Enabled(context.Background(), level) {
		d.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

// environ composes the environment of a process; later entries win (contract: config, "Environment given to a child").
func (d *Daemon) environ(group string, spec *process.Spec) []string {
	url := spec.ServerURL
	if url == process.ServerURLAuto {
		url = d.opts.ServerURL
	}
	own := []process.Env{{Key: "SUPERVISOR_ENABLED", Value: "1"}}
	if url != "" {
		own = append(own, process.Env{Key: "SUPERVISOR_SERVER_URL", Value: url})
	}
	own = append(own, process.Env{Key: "SUPERVISOR_PROCESS_NAME", Value: spec.Name}, process.Env{Key: "SUPERVISOR_GROUP_NAME", Value: group})
	own = append(own, spec.Environment...)
	own = append(own, d.opts.Notify.Environ(spec.Health)...)

	set := make(map[string]bool, len(own))
	for _, e := range own {
		set[e.Key] = true
	}
	out := make([]string, 0, len(d.opts.Environ)+len(own))
	for _, line := range d.opts.Environ {
		key, _, _ := strings.Cut(line, "=")
		if !set[key] {
			out = append(out, line)
		}
	}
	last := map[string]int{}
	for _, e := range own {
		if i, ok := last[e.Key]; ok {
			out[i] = e.Key + "=" + e.Value
			continue
		}
		last[e.Key] = len(out)
		out = append(out, e.Key+"="+e.Value)
	}
	return out
}
