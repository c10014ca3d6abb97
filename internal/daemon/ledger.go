package daemon

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"maps"
	"slices"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/store"
)

// The kinds of frames in the ledger. What is written once keeps its letter.
const (
	frameCore    byte = 'C' // savedCore
	frameInputs  byte = 'I' // the inputs of one turn (core.AppendInput)
	frameConfig  byte = 'F' // savedConfig
	frameDesired byte = 'D' // savedDesired
	frameLogs    byte = 'N' // savedLogs
	frameLife    byte = 'L' // SavedLife
	frameBoot    byte = 'B' // the run of the kernel: no process outlives it
	frameWaiting byte = 'W' // savedWaiting
	frameBegun   byte = 'O' // savedBegun
	frameHeard   byte = 'H' // pairs of varints: the key of a channel, the position up to which it was heard
)

// The payloads, written by encoding/gob.
type (
	savedCore struct {
		Machine core.Snapshot
		LastReq core.Req
		Asked   map[core.Req]string // what has no answer yet
	}
	// savedConfig is what the files said in one reading. Number names it.
	savedConfig struct {
		Number  int
		Path    string
		Answers *config.Answers
	}
	// savedDesired is the daemon's idea of the files, by the numbers of readings.
	savedDesired struct {
		Config int
		Source map[string]int // by group
		Own    []string       // groups of which desired says what their source does
		Gone   []string       // groups that its config has and it does not
		Taken  []string
	}
	// savedLogs are the AUTO logs of a process.
	savedLogs struct {
		ID             process.ID
		Stdout, Stderr string
	}
)

// SavedLife is a process that was started, and what it takes to find it again: its start time and the inodes of its pipes.
type SavedLife struct {
	ID          process.ID
	Incarnation process.Incarnation
	PID         int
	Traits      host.Traits
}

// Left is what a daemon before has left, read from its ledger.
type Left struct {
	core    *core.Supervisor
	lastReq core.Req
	asked   map[core.Req]string
	configs map[int]*config.Config
	desired savedDesired
	logs    map[process.ID]savedLogs
	lives   map[process.ID]SavedLife
	heard   map[uint64]uint64
	waiting map[uint64]savedWaiting // operations that have not begun, by their numbers
	begun   map[uint64]savedBegun   // and of those that have
	boot    string
}

// SameBoot reports whether the machine has not been started again since.
func (l *Left) SameBoot() bool { return l.boot != "" && l.boot == host.BootID() }

// Lives returns the processes that were there, as far as the daemon had heard.
func (l *Left) Lives() []SavedLife {
	var out []SavedLife
	for _, s := range l.core.Statuses() {
		if life, ok := l.lives[s.ID]; ok && s.PID == life.PID && s.Incarnation == life.Incarnation {
			out = append(out, life)
		}
	}
	return out
}

// Config is what the files said when the daemon read them last.
func (l *Left) Config() *config.Config { return l.configs[l.desired.Config] }

// ReadLeft makes sense of a ledger. load makes the Config that a reading made. It returns nil when the ledger is empty.
func ReadLeft(frames []store.Frame, load func(*config.Answers, string) (*config.Config, error)) (left *Left, err error) {
	defer func() {
		if r := recover(); r != nil { // another version may have written it
			left, err = nil, fmt.Errorf("cannot go on from what a daemon before has left: %v", r)
		}
	}()
	left = &Left{configs: map[int]*config.Config{}, logs: map[process.ID]savedLogs{}, lives: map[process.ID]SavedLife{}, heard: map[uint64]uint64{}, waiting: map[uint64]savedWaiting{}, begun: map[uint64]savedBegun{}}
	for _, f := range frames {
		if err := left.take(f, load); err != nil {
			return nil, fmt.Errorf("cannot go on from what a daemon before has left: %w", err)
		}
	}
	if left.core == nil || left.Config() == nil {
		return nil, nil
	}
	return left, nil
}

func (l *Left) take(f store.Frame, load func(*config.Answers, string) (*config.Config, error)) error {
	decode := func(v any) error { return gob.NewDecoder(bytes.NewReader(f.Payload)).Decode(v) }
	switch f.Kind {
	case frameConfig:
		var saved savedConfig
		if err := decode(&saved); err != nil {
			return err
		}
		c, err := load(saved.Answers, saved.Path)
		l.configs[saved.Number] = c
		return err
	case frameDesired:
		l.desired = savedDesired{}
		return decode(&l.desired)
	case frameLogs:
		var saved savedLogs
		err := decode(&saved)
		l.logs[saved.ID] = saved
		return err
	case frameLife:
		var saved SavedLife
		err := decode(&saved)
		l.lives[saved.ID] = saved
		return err
	case frameCore:
		var saved savedCore
		if err := decode(&saved); err != nil {
			return err
		}
		c := l.Config()
		if c == nil {
			return fmt.Errorf("the configuration is missing")
		}
		l.core, l.lastReq, l.asked = core.Restore(coreOptions(c), saved.Machine), saved.LastReq, saved.Asked
		if l.asked == nil {
			l.asked = map[core.Req]string{}
		}
	case frameWaiting:
		var saved savedWaiting
		err := decode(&saved)
		if l.waiting[saved.Number] = saved; saved.Request == nil {
			delete(l.waiting, saved.Number)
		}
		return err
	case frameBegun:
		var saved savedBegun
		err := decode(&saved)
		l.begun[saved.Number] = saved
		return err
	case frameBoot:
		l.boot = string(f.Payload)
	case frameHeard:
		for data := f.Payload; len(data) > 0; {
			key, n := binary.Uvarint(data)
			position, m := binary.Uvarint(data[max(n, 0):])
			if n <= 0 || m <= 0 {
				return fmt.Errorf("a position cannot be read")
			}
			l.heard[key] = position
			data = data[n+m:]
		}
	case frameInputs:
		return l.replay(f.Payload)
	}
	return nil
}

// replay steps the machine through what it was told. Everything that followed from it was done, or is asked for again.
func (l *Left) replay(inputs []byte) error {
	if l.core == nil {
		return fmt.Errorf("the state is missing")
	}
	d := core.NewInputDecoder(inputs)
	for len(d.Rest()) > 0 {
		now, in, err := d.Next()
		if err != nil {
			return err
		}
		if c, ok := in.(core.Command); ok && c.Req != 0 {
			l.lastReq = max(l.lastReq, c.Req)
			if what := askedFor(c.Do); what != "" {
				l.asked[c.Req] = what
			}
		}
		if c, ok := in.(core.Cancel); ok {
			delete(l.asked, c.Req)
		}
		for _, e := range l.core.Step(now, in) {
			if r, ok := e.(core.Reply); ok {
				delete(l.asked, r.Req)
			}
		}
	}
	return nil
}

// coreOptions are the choices of the machine that a configuration makes.
func coreOptions(c *config.Config) core.Options {
	return core.Options{
		Quirks: core.Quirks(c.Graced.Quirks), StopAscending: c.Graced.StopAscending, Identifier: c.Supervisord.Identifier,
	}
}

// ledger is what the loop writes down before it acts.
type ledger struct {
	to       *store.Ledger     // nil: nothing is written down
	inputs   []byte            // of this turn
	heard    []byte            // frameHeard of this turn
	receipts []chan<- struct{} // for those that wait for the end of this turn
	frames   []byte            // other news of this turn
	settles  []life            // ends that are known for good once this turn is written
	anew     bool              // it has to begin anew: something could not be written
	numbers  map[*config.Config]int
	last     int
	written  savedDesired // what it says of desired
	broken   error        // why it cannot be written; told already
}

type life struct {
	id          process.ID
	incarnation process.Incarnation
}

// input notes what the machine was told, after it was.
func (d *Daemon) inscribe(in core.Input) {
	l := &d.loop.ledger
	if l.to == nil {
		return
	}
	var err error
	if l.inputs, err = core.AppendInput(l.inputs, d.loop.core.Now(), in); err != nil {
		l.anew = true
	}
}

// frame notes something else.
func (d *Daemon) frame(kind byte, v any) {
	l := &d.loop.ledger
	if l.to == nil {
		return
	}
	payload, err := encoded(v)
	if err != nil {
		l.anew = true
		return
	}
	l.frames = store.AppendFrame(l.frames, kind, payload)
}

func encoded(v any) ([]byte, error) {
	var buf bytes.Buffer
	err := gob.NewEncoder(&buf).Encode(v)
	return buf.Bytes(), err
}

// commit writes down what this turn has brought. Nothing that follows from it may be done before.
func (d *Daemon) commit() {
	l := &d.loop.ledger
	if l.to == nil {
		l.settles = l.settles[:0]
		return
	}
	d.noteDesired()
	if len(l.heard) > 0 {
		l.frames = store.AppendFrame(l.frames, frameHeard, l.heard)
	}
	if len(l.inputs) > 0 {
		l.frames = store.AppendFrame(l.frames, frameInputs, l.inputs)
	}
	var err error
	switch {
	case l.anew || l.to.Long():
		err = d.beginLedger()
	case len(l.frames) > 0:
		if err = l.to.Append(l.frames); err != nil {
			err = d.beginLedger() // there may be room again
		}
	}
	if err != nil && l.broken == nil {
		d.logf(LevelCritical, "cannot write down what happens: if this daemon is killed now its processes are lost to the next one: %v", err)
	}
	l.anew, l.broken = err != nil, err
	l.inputs, l.frames, l.heard = emptied(l.inputs), emptied(l.frames), l.heard[:0]
	for _, r := range l.receipts {
		r <- struct{}{}
	}
	l.receipts = l.receipts[:0]
	if err != nil {
		return // how they ended has to be told once more to a daemon that does not read it in the ledger
	}
	for _, s := range l.settles {
		d.host.Settle(s.id, s.incarnation)
	}
	l.settles = l.settles[:0]
}

// emptied returns b empty, and does not keep the room that a large turn took.
func emptied(b []byte) []byte {
	if cap(b) > 1<<20 {
		return nil
	}
	return b[:0]
}

// unwritten tries once more to write down what could not be, and says why that fails; nil: another daemon could go on where this one is.
func (d *Daemon) unwritten() error {
	if d.loop.ledger.broken != nil {
		d.commit()
	}
	return d.loop.ledger.broken
}

// beginLedger writes everything down anew.
func (d *Daemon) beginLedger() error {
	l := &d.loop.ledger
	frames, err := d.everything()
	if err != nil {
		return err
	}
	return l.to.Begin(frames)
}

// everything is what a daemon that comes after has to know.
func (d *Daemon) everything() (frames []byte, err error) {
	l := &d.loop.ledger
	add := func(kind byte, v any) {
		payload, e := encoded(v)
		if e != nil && err == nil {
			err = e
		}
		frames = store.AppendFrame(frames, kind, payload)
	}
	l.written = d.savedDesired()
	l.forget()
	for c, n := range l.numbers {
		add(frameConfig, savedConfig{n, c.Path, c.Answers})
	}
	frames = store.AppendFrame(frames, frameBoot, []byte(host.BootID()))
	add(frameDesired, l.written)
	add(frameCore, savedCore{d.loop.core.Snapshot(), d.loop.lastReq, d.loop.asked})
	for _, logs := range d.loop.logs {
		if logs.auto.stdout != "" || logs.auto.stderr != "" {
			add(frameLogs, savedLogs{logs.id, logs.auto.stdout, logs.auto.stderr})
		}
	}
	for _, saved := range d.loop.lives {
		add(frameLife, saved)
	}
	for _, saved := range d.loop.waiting {
		add(frameWaiting, saved)
	}
	underway := d.loop.core.Underway()
	for number, saved := range d.loop.begun {
		if _, yes := underway[number]; yes {
			add(frameBegun, saved)
		} else {
			delete(d.loop.begun, number)
		}
	}
	var heard []byte
	for key, position := range d.loop.heard {
		heard = binary.AppendUvarint(binary.AppendUvarint(heard, key), position)
	}
	frames = store.AppendFrame(frames, frameHeard, heard)
	return frames, err
}

// number names a configuration in the ledger.
func (d *Daemon) number(c *config.Config) int {
	l := &d.loop.ledger
	n, ok := l.numbers[c]
	if !ok {
		l.last++
		n = l.last
		l.numbers[c] = n
		d.frame(frameConfig, savedConfig{n, c.Path, c.Answers})
	}
	return n
}

// savedDesired describes the daemon's idea of the files.
func (d *Daemon) savedDesired() savedDesired {
	w := &d.loop.desired
	out := savedDesired{Config: d.number(w.config), Source: map[string]int{}, Taken: slices.Sorted(maps.Keys(w.taken))}
	for name, c := range d.loop.source {
		out.Source[name] = d.number(c)
	}
	out.Own = slices.Sorted(maps.Keys(w.own))
	for _, g := range w.config.Groups {
		if _, ok := w.group(g.Name); !ok {
			out.Gone = append(out.Gone, g.Name)
		}
	}
	return out
}

// noteDesired writes the daemon's idea of the files down if it has changed.
func (d *Daemon) noteDesired() {
	if !d.loop.desired.changed {
		return
	}
	d.loop.desired.changed = false
	d.loop.ledger.written = d.savedDesired()
	d.loop.ledger.forget()
	d.frame(frameDesired, d.loop.ledger.written)
}

// forget drops the configurations that nothing comes from any more.
func (l *ledger) forget() {
	used := map[int]bool{l.written.Config: true}
	for _, n := range l.written.Source {
		used[n] = true
	}
	maps.DeleteFunc(l.numbers, func(_ *config.Config, n int) bool { return !used[n] })
}

// takeUp makes the loop what it was when a daemon before died: the processes go on.
func (d *Daemon) takeUp(left *Left) error {
	scaled := map[int]*config.Config{}
	for n, c := range left.configs {
		var err error
		if scaled[n], err = d.scaled(c); err != nil {
			return err
		}
		d.loop.ledger.numbers[scaled[n]] = n
		d.loop.ledger.last = max(d.loop.ledger.last, n)
	}
	saved := left.desired
	d.loop.desired = desire(scaled[saved.Config])
	w := &d.loop.desired
	for name, n := range saved.Source {
		d.loop.source[name] = scaled[n]
	}
	for _, name := range saved.Own {
		if c := d.loop.source[name]; c != nil {
			if i := slices.IndexFunc(c.Groups, func(g process.GroupSpec) bool { return g.Name == name }); i >= 0 {
				w.set(c.Groups[i])
			}
		}
	}
	for _, name := range saved.Gone {
		w.groups = slices.DeleteFunc(slices.Clone(w.groups), func(g process.GroupSpec) bool { return g.Name == name })
	}
	for _, name := range saved.Taken {
		w.taken[name] = true
	}
	d.loop.core, d.loop.lastReq, d.loop.lives, d.loop.heard = left.core, left.lastReq, left.lives, left.heard
	d.loop.waiting, d.loop.begun = left.waiting, left.begun
	d.orphaned(left.asked)
	d.ident.Store(&w.config.Supervisord.Identifier)
	for _, open := range d.loop.core.Logs() {
		logs := d.newLogs(open)
		if own, ok := left.logs[open.ID]; ok {
			d.keepLogs(logs, own, open)
		}
		logs.spawned = true
		logs.stdout.heard, logs.stderr.heard = left.heard[stageKey(open.ID, false)], left.heard[stageKey(open.ID, true)]
		d.loop.logs[open.ID] = logs
	}
	d.recoverOutput()
	return nil
}

// recoverOutput goes on with the output of the processes that live: what was on its way to the logs arrives there.
func (d *Daemon) recoverOutput() {
	for _, s := range d.loop.core.Statuses() {
		if s.PID == 0 && s.State != process.Starting && s.State != process.Stopping {
			continue
		}
		d.continueLogs(s, d.loop.logs[s.ID])
	}
	d.recovering = true
	err := childlog.Recover(d.opts.Stages, func(key uint64) *childlog.Stream {
		logs := d.loop.logs[process.ID(key>>1)]
		switch {
		case logs == nil:
			return nil
		case key&1 == 1:
			return logs.stderr.Stream
		}
		return logs.stdout.Stream
	})
	d.recovering = false
	if err != nil {
		d.logf(LevelWarn, "%v", err)
	}
}

// continueLogs goes on with the logs of a process that a daemon before has started.
func (d *Daemon) continueLogs(s process.Status, logs *processLogs) {
	logs.incarnation.Store(uint64(s.Incarnation))
	d.stageLogs(logs)
	for _, ch := range []*channel{&logs.stdout, &logs.stderr} {
		if ch == &logs.stderr && s.Spec.RedirectStderr {
			continue
		}
		if err := ch.Continue(); err != nil {
			d.logf(LevelCritical, "cannot go on with the log of %s: %v", s.Namespec(), err)
		}
	}
}

// keepLogs makes a process's AUTO logs the files that they were.
func (d *Daemon) keepLogs(logs *processLogs, own savedLogs, open core.OpenLogs) {
	stdout, stderr := d.logConfigs(logs, open.Spec, open.Listener)
	report := func(text string) { d.logf(LevelCritical, "%s", text) }
	for _, ch := range []struct {
		stream **childlog.Stream
		config childlog.Config
		path   string
		own    *string
	}{{&logs.stdout.Stream, stdout, own.Stdout, &logs.auto.stdout}, {&logs.stderr.Stream, stderr, own.Stderr, &logs.auto.stderr}} {
		if ch.path != "" {
			ch.config.Path = ch.path
			*ch.stream, *ch.own = childlog.NewStream(ch.config, report), ch.path
		}
	}
}

// goOn asks the world for what a daemon before may not have come to ask for, and takes its processes up. It runs in the loop.
func (d *Daemon) goOn(now core.Now, pending []core.Effect) {
	statuses := d.loop.core.Statuses()
	alive := 0
	for _, s := range statuses {
		if s.PID == 0 {
			continue
		}
		alive++
		d.resume(s)
	}
	if restart, quitting := d.loop.core.Quitting(); quitting {
		d.report(core.Quitting{Restart: restart})
	}
	d.logf(LevelInfo, "a daemon before this one has ended; going on with %d of %d processes, none is restarted", alive, len(statuses))
	var watched []core.Effect
	for _, w := range d.loop.core.Watched() {
		watched = append(watched, w)
	}
	var again []core.Effect
	for _, e := range pending {
		if w, ok := e.(core.WriteStdin); ok && !w.Idle {
			// A client's input: the daemon before may have written it, and who has asked has no answer. It is not written a second time.
			d.step(now, core.StdinWritten{Token: w.Token, Fault: &core.Fault{Kind: core.Failed}})
		} else {
			again = append(again, e)
		}
	}
	d.effects = slices.Concat(again, watched, []core.Effect{resumed{}}, d.effects)
}

// resumed is an effect of our own: nothing more is taken up.
type resumed struct{ core.Effect }

// resume takes up one process.
func (d *Daemon) resume(s process.Status) {
	logs := d.loop.logs[s.ID]
	req := d.spawnRequest(core.Spawn{ID: s.ID, Incarnation: s.Incarnation, Group: s.Group, Spec: s.Spec}, logs)
	d.host.Resume(req, s.PID, nil)
}
