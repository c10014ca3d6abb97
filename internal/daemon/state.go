package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// State is what outlives the daemon: numbers of processes, marks, operations, and the generations of the configuration. Its directory is made when there is
// something to write into it: a daemon that nobody asks for more than Supervisor does leaves no trace.
type State struct {
	now  func() time.Time
	tell func(text string)
	kept atomic.Pointer[store.Store]
	disk atomic.Bool // it is on disk

	writing sync.Mutex  // held by who waits for the disk
	dir     string      // "" = nothing is kept; guarded by writing
	told    string      // the last trouble that was told; likewise
	lost    atomic.Bool // nothing can be kept: another daemon has the directory

	mu   sync.Mutex
	next []func(*store.Store) error // changes that come before any other; guarded by mu
}

// OpenState opens what an earlier daemon has left in a directory; "" keeps nothing. tell is told what an administrator should know. The error is
// that another daemon uses the directory.
func OpenState(dir string, now func() time.Time, tell func(text string)) (*State, error) {
	s := &State{dir: dir, now: now, tell: tell}
	at := ""
	if _, err := os.Stat(dir); dir != "" && err == nil {
		at = dir
		s.disk.Store(true)
	}
	kept, notices, err := store.Open(at, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s.kept.Store(kept)
	s.report(notices)
	s.told = s.lag() // a notice has said it
	return s, nil
}

func (s *State) report(notices []store.Notice) {
	for _, n := range notices {
		s.tell(n.String())
	}
}

// read returns the store to look into. It waits for nobody.
func (s *State) read() *store.Store { return s.kept.Load() }

// onDisk reports whether an earlier daemon has left something.
func (s *State) onDisk() bool { return s.disk.Load() }

// write changes the store. It waits for the disk: the loop must not call it. What could not be kept is told and in force all the same.
func (s *State) write(f func(*store.Store) error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.disk.Load() && s.dir != "" {
		s.move()
	}
	s.change(f)
}

// remember changes the store without making a directory for it.
func (s *State) remember(f func(*store.Store) error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.change(f)
}

// before notes a change that comes before those that are asked for after it. It waits for nobody; somebody has to call write.
func (s *State) before(f func(*store.Store) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, f)
}

func (s *State) change(last func(*store.Store) error) {
	s.mu.Lock()
	list := append(s.next, last)
	s.next = nil
	s.mu.Unlock()
	for _, f := range list {
		if err := f(s.read()); err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrNotKept) {
			s.tell(fmt.Sprintf("the state of the daemon in %s: %v", s.dir, err))
		}
	}
	if lag := s.lag(); lag != s.told { // told once, however much is lost
		s.told = lag
		if lag == "" {
			lag = "is kept on disk again"
		}
		s.tell(fmt.Sprintf("the state of the daemon in %s: %s", s.dir, lag))
	}
}

// lag says why the disk does not have what is in force; "" = it has, or is not to.
func (s *State) lag() string {
	if s.lost.Load() {
		return store.ErrInUse.Error()
	}
	if err := s.read().Lag(); err != nil {
		return err.Error()
	}
	return ""
}

// move takes what is in memory to the disk.
func (s *State) move() {
	kept, notices, err := store.Open(s.dir, s.now)
	s.report(notices)
	if err != nil {
		s.tell(fmt.Sprintf("%s: %v: nothing is kept", s.dir, err))
		s.dir, s.told = "", store.ErrInUse.Error()
		s.lost.Store(true)
		return
	}
	for _, g := range s.read().Generations() {
		if whole, err := s.read().Generation(g.Rev); err == nil {
			if _, err := kept.AddGeneration(whole); err != nil && !errors.Is(err, store.ErrNotKept) {
				s.tell(fmt.Sprintf("the state of the daemon in %s: %v", s.dir, err))
			}
		}
	}
	s.kept.Store(kept)
	s.disk.Store(true)
	s.told = s.lag() // a notice has said it
}

// Close ends the use of the directory.
func (s *State) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.read().Close()
}

// countsOf returns the numbers of processes that are kept.
func countsOf(s *store.Store) map[string][]int {
	out := map[string][]int{}
	for _, o := range s.Overrides() {
		nums := []int{}
		for word := range strings.SplitSeq(o.Nums, ",") {
			if n, err := strconv.Atoi(word); err == nil {
				nums = append(nums, n)
			}
		}
		out[o.Group] = nums
	}
	return out
}

var markKinds = map[store.MarkKind]core.Mark{store.Hold: core.Held, store.Disable: core.Disabled, store.Enable: core.Free}

// marksOf returns the marks that are kept.
func marksOf(s *store.Store) map[process.Namespec]core.Mark {
	out := map[process.Namespec]core.Mark{}
	for _, m := range s.Marks() {
		out[m.Name()] = markKinds[m.Kind]
	}
	return out
}

// startedResult is the result of a generation that no operation has brought: a daemon has started with it.
const startedResult = "started"

// generation describes a configuration that came into force.
func generation(c *config.Config, groups []process.GroupSpec, who, op, result, summary string) store.Generation {
	g := store.Generation{Who: who, Op: op, Result: result, Summary: summary, Groups: groups, Files: []store.File{{Path: c.Path, SHA256: c.Sums[c.Path]}}}
	for _, path := range c.IncludedFiles {
		g.Files = append(g.Files, store.File{Path: path, SHA256: c.Sums[path]})
	}
	return g
}

// noteBoot enters the configuration that the daemon started with. Where it need not be on disk that waits until somebody asks: a start has more
// important things to do.
func (d *Daemon) noteBoot() {
	d.booted.Do(func() {
		g := generation(d.bootConfig, d.bootGroups, "", "", startedResult, "")
		d.bootGroups = nil
		for _, op := range d.operations.cut {
			if about := op.about; about.Steps > 0 { // what it had not done yet, this start has
				g.Who, g.Op, g.Result, g.Summary = about.Who, about.ID, string(about.State), about.Text
			}
		}
		d.enter(g, false, d.state.remember)
	})
}

// goOnNoting goes on where a daemon before has entered generations: it may have ended before it entered the last change. Where nothing is kept of it, this one
// begins with what is there.
func (d *Daemon) goOnNoting() {
	if d.state.onDisk() {
		d.booted.Do(func() {})
		d.noteCall("")
		return
	}
	d.bootConfig, d.bootGroups = d.loop.desired.config, d.loop.core.Manifest().Specs()
}

// nextGeneration looks at what an operation has brought, and returns the function that enters it if it is something new.
func (d *Daemon) nextGeneration(op *operation, result control.OperationState) (enter func()) {
	var c *config.Config
	var groups []process.GroupSpec
	if !d.do(d.life, func(core.Now) {
		c, groups = d.loop.desired.config, d.loop.core.Manifest().Specs()
		d.unnoted.Store(nil)
	}) {
		return func() {}
	}
	about, _ := d.operations.show(op, 0)
	whole := result == control.OperationDone && about.Kind != control.KindRoll // which brings nothing
	return func() {
		d.noteBoot()
		d.enter(generation(c, groups, about.Who, about.ID, string(result), ""), whole, d.state.write)
	}
}

// unnoted is a change that no operation has made: a call of Supervisor's, or of its extensions. A client makes several of them in a row, so what they have
// brought together becomes one generation: when the last of them is a while ago, when somebody asks or an operation begins, or with the daemon's end.
type unnoted struct {
	who  string
	when time.Time
}

// settled is how long ago the last of several calls must be for none to follow.
const settled = 2 * time.Second

// noteCall remembers that a call has changed something.
func (d *Daemon) noteCall(who string) {
	d.unnoted.Store(&unnoted{who, d.opts.Wall()})
	if d.life.Err() == nil && d.calm.CompareAndSwap(false, true) {
		d.changing.Go(d.noteInCalm)
	}
}

// noteInCalm enters what calls have changed once no other one has come for a while.
func (d *Daemon) noteInCalm() {
	for {
		last := d.unnoted.Load()
		select {
		case <-time.After(settled):
		case <-d.life.Done(): // the end of the daemon sees to it
			return
		}
		if d.unnoted.Load() == last {
			d.calm.Store(false) // a call that comes from now on is waited for anew
			d.noteCalls()
			return
		}
	}
}

// noteLast enters what calls have changed when the loop is over.
func (d *Daemon) noteLast() {
	d.turning.Lock()
	enter := d.beforeOperation(nil)
	d.turning.Unlock()
	if enter != nil {
		enter()
	}
}

// beforeOperation returns what enters the changes that calls have made before an operation, nil if there are none. In the middle of another one nobody can
// tell what they have brought: they belong to what that brings. It runs in the loop.
func (d *Daemon) beforeOperation(op *operation) (enter func()) {
	u := d.unnoted.Load()
	if u == nil || d.operations.changing(op) || !d.unnoted.CompareAndSwap(u, nil) {
		return nil
	}
	c, groups := d.loop.desired.config, d.loop.core.Manifest().Specs()
	return func() {
		d.noteBoot()
		next := generation(c, groups, u.who, "", string(control.OperationDone), "")
		next.When = u.when
		d.enter(next, false, d.state.write)
	}
}

// noteCalls enters what calls have changed.
func (d *Daemon) noteCalls() {
	d.noting.Lock()
	defer d.noting.Unlock()
	d.noteBoot()
	if d.unnoted.Load() == nil {
		return
	}
	var enter func()
	if d.do(d.life, func(core.Now) { enter = d.beforeOperation(nil) }) && enter != nil {
		enter()
	}
}

// enter adds a generation, unless it is the last that was in force. One that is known to be whole is added also then if an operation that had not come to its
// end had brought it: it is one to go back to by now.
func (d *Daemon) enter(next store.Generation, whole bool, into func(func(*store.Store) error)) {
	kept := d.state.read()
	if list := kept.Generations(); len(list) > 0 {
		if last, err := kept.Generation(list[len(list)-1].Rev); err == nil {
			changes := store.Diff(last, next, nil)
			if len(changes) == 0 && (!whole || last.Result == startedResult || last.Result == string(control.OperationDone)) {
				return
			}
			next.Summary = strings.TrimSuffix(summaryOf(changes)+"; "+next.Summary, "; ")
			if len(changes) == 0 {
				next.Summary = fmt.Sprintf("completes r%d", last.Rev)
			}
		}
	}
	into(func(s *store.Store) error {
		_, err := s.AddGeneration(next)
		return err
	})
}

// summaryOf says in one line what differs: "web ~2 +1, cron removed".
func summaryOf(changes []store.Change) string {
	type counts struct{ changed, added, removed map[string]bool }
	var order []string
	groups := map[string]*counts{}
	whole := map[string]string{}
	for _, c := range changes {
		if groups[c.Group] == nil {
			groups[c.Group] = &counts{map[string]bool{}, map[string]bool{}, map[string]bool{}}
			order = append(order, c.Group)
		}
		g := groups[c.Group]
		switch {
		case c.Process == "" && c.Action == store.Added:
			whole[c.Group] = " added"
		case c.Process == "" && c.Action == store.Removed:
			whole[c.Group] = " removed"
		case c.Action == store.Added:
			g.added[c.Process] = true
		case c.Action == store.Removed:
			g.removed[c.Process] = true
		default:
			g.changed[c.Option+" "+c.Variable] = true
		}
	}
	words := make([]string, len(order))
	for i, name := range order {
		words[i] = name + whole[name]
		if whole[name] != "" {
			continue
		}
		for _, part := range []struct {
			sign string
			set  map[string]bool
		}{{"~", groups[name].changed}, {"+", groups[name].added}, {"-", groups[name].removed}} {
			if len(part.set) > 0 {
				words[i] += fmt.Sprintf(" %s%d", part.sign, len(part.set))
			}
		}
	}
	return strings.Join(words, ", ")
}

// StateDir is where a daemon keeps its state, by what its configuration says; "" = nowhere.
func StateDir(c *config.Config) string {
	switch dir := c.Graced.StateDir; {
	case dir == "none":
		return ""
	case dir != "":
		return dir
	}
	// Beside the main log, if that is a file: a place that outlives the machine's restart and that the daemon may write to.
	log := c.Supervisord.Logfile
	if log == "" || log == "syslog" || strings.HasPrefix(log, "/dev/") || strings.HasPrefix(log, "/proc/") {
		return ""
	}
	return log + ".state"
}
