package childlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// killed is the panic that ends a life.
type killed struct{}

// life is a daemon that can die between any two steps of its stages: what is in memory is gone then, and what the kernel has stays.
type life struct {
	t       *testing.T
	pipes   []*pipeline
	memfds  []int
	stages  []*Stage
	reports reports
	syslog  string // the socket

	steps  int // until it dies; negative: never
	passed int // steps, in all lives
}

// pipeline is what belongs to one stream and outlives the daemon.
type pipeline struct {
	cfg    Config
	stage  func(lives int) int // index of its stage
	r, w   int
	stream *Stream
	lives  int
	told   []string // in order, each with its position dropped
	last   uint64
}

func newLife(t *testing.T, stages int, pipes ...*pipeline) *life {
	l := &life{t: t, pipes: pipes, steps: -1}
	for _, p := range pipes {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		p.r, p.w = fds[0], fds[1]
		hear := func(kind string) func([]byte) {
			return func(data []byte) {
				if at := p.stream.Position(); at > p.last {
					p.last = at
					p.told = append(p.told, kind+string(data))
				}
			}
		}
		p.cfg.Log, p.cfg.Captured = hear("log "), hear("captured ")
		if p.stage == nil {
			p.cfg.Log = nil // spliced
		}
	}
	for range stages {
		fd, err := unix.MemfdCreate("stage", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		l.memfds = append(l.memfds, fd)
	}
	return l
}

// survive calls f and reports whether it came to its end.
func (l *life) survive(f func()) (alive bool) {
	defer func() {
		if !alive {
			if r := recover(); r != (killed{}) {
				panic(r)
			}
			l.bury()
		}
	}()
	f()
	return true
}

// begin starts a daemon, and another one until one has come so far.
func (l *life) begin() {
	for !l.survive(l.restart) {
		l.t.Helper()
	}
}

func (l *life) restart() {
	l.stages = nil
	for _, fd := range l.memfds {
		// The first opening is one whose daemon dies right after it.
		for range 2 {
			g, err := OpenStage(fd)
			if err != nil {
				l.t.Fatal(err)
			}
			l.stages = append(l.stages, g)
		}
		g := l.stages[len(l.stages)-1]
		l.stages[len(l.stages)-2].Close()
		l.stages = append(l.stages[:len(l.stages)-2], g)
		g.step = func() {
			l.passed++
			if l.steps == 0 {
				l.steps = -1
				panic(killed{})
			}
			l.steps--
		}
	}
	for i, p := range l.pipes {
		p.stream = NewStream(p.cfg, l.reports.add)
		if p.stage != nil {
			p.stream.UseStage(l.stages[p.stage(p.lives)], uint64(i))
		}
		p.lives++
		p.stream.syslog.path = l.syslog
		if err := p.stream.Continue(); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := Recover(l.stages, func(key uint64) *Stream { return l.pipes[key].stream }); err != nil {
		l.t.Fatal(err)
	}
}

// bury does what the kernel does with what a killed process had.
func (l *life) bury() {
	for _, g := range l.stages {
		_ = unix.Munmap(g.mem)
		_ = unix.Munmap(g.room)
	}
	for _, p := range l.pipes {
		p.stream.syslog.disconnect()
		if p.stream.target == nil {
			continue
		}
		if tg := shared.byPath[p.stream.target.path]; tg != nil {
			delete(shared.byPath, tg.path)
			tg.closeDescriptor()
		}
	}
}

// say writes text to the pipe and drains it, through as many lives as that takes.
func (l *life) say(p *pipeline, text string) {
	l.t.Helper()
	if _, err := unix.Write(p.w, []byte(text)); err != nil {
		l.t.Fatal(err)
	}
	for {
		n, err := 0, error(nil)
		if !l.survive(func() { n, err = p.stream.Drain(p.r, bufferSize) }) {
			l.begin()
			continue
		}
		if n == 0 || err != nil {
			if err != nil {
				l.t.Fatal(err)
			}
			return
		}
	}
}

// end lets the process end.
func (l *life) end(p *pipeline) {
	unix.Close(p.w)
	for {
		var err error
		if !l.survive(func() {
			if _, err = p.stream.Drain(p.r, bufferSize); err == io.EOF {
				p.stream.Close()
			}
		}) {
			l.begin()
		} else if err == io.EOF {
			break
		}
	}
	unix.Close(p.r)
}

// stop ends the daemon in order.
func (l *life) stop() {
	for _, p := range l.pipes {
		if st := p.stream.state(); !st.empty() {
			l.t.Error("something is held back at the end")
		}
		p.stream.Dispose()
	}
	for i, g := range l.stages {
		if len(g.saved) != 0 {
			l.t.Errorf("%d states are left", len(g.saved))
		}
		g.Close()
		unix.Close(l.memfds[i])
	}
}

// rotated returns what a log and its backups hold, the oldest first.
func rotated(t *testing.T, path string) string {
	t.Helper()
	var text []byte
	for i := 0; ; i++ {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && i > 0 {
			return string(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		text = append(data, text...)
	}
}

// randomChunks returns output with sequences, tags and cuts anywhere.
func randomChunks(r *rand.Rand, n int) (chunks []string) {
	parts := []string{"line %d\n", "\x1b[1m%d\x1b[0m", captureBegin + "captured %d" + captureEnd, captureBegin + "%d", captureEnd + "%d", "\x1b]0;title %d\a",
		"\x1b]8;;%d", strings.Repeat("long %d ", 12), "<!--XSUPERVISOR:%d"}
	var text strings.Builder
	for i := range 2 * n {
		fmt.Fprintf(&text, strings.ReplaceAll(parts[r.IntN(len(parts))], "%d", "%[1]d"), i)
	}
	rest := text.String()
	for len(rest) > 0 {
		cut := min(len(rest), 1+r.IntN(60))
		chunks = append(chunks, rest[:cut])
		rest = rest[cut:]
	}
	return chunks
}

// TestKilledAnywhere kills a daemon at each step of a stage, and its successor at some later step, and wants to see nothing of it in the logs, nor in
// what the functions of the configuration were told. The second stream changes its stage in each life, the third one is spliced; all have one log.
func TestKilledAnywhere(t *testing.T) {
	r := newRand(t)
	chunks := randomChunks(r, 40)
	play := func(first int) (texts []string, l *life) {
		dir := t.TempDir()
		path := filepath.Join(dir, "log")
		cfg := Config{Path: path, MaxBytes: 150, Backups: 20, StripANSI: true, CaptureMaxBytes: 40}
		a := &pipeline{cfg: cfg, stage: func(int) int { return 0 }}
		b := &pipeline{cfg: cfg, stage: func(lives int) int { return lives % 2 }}
		b.cfg.StripANSI = false
		c := &pipeline{cfg: Config{Path: path, MaxBytes: 150, Backups: 20}}
		l = newLife(t, 2, a, b, c)
		l.begin()
		l.steps = first
		for i, chunk := range chunks {
			if l.steps < 0 && i%5 == 4 && first >= 0 {
				l.steps = r.IntN(60)
			}
			l.say(l.pipes[i%3], chunk)
		}
		for _, p := range l.pipes {
			l.end(p)
		}
		l.stop()
		texts = append(texts, rotated(t, path))
		for _, p := range l.pipes {
			texts = append(texts, strings.Join(p.told, "|"))
		}
		if got := l.reports.take(); len(got) != 0 {
			t.Fatalf("reports %q", got)
		}
		return texts, l
	}
	want, l := play(-1)
	for len(want[0]) < 500 || !strings.Contains(want[1], "captured") || !strings.Contains(want[2], "captured") { // a poor one
		chunks = randomChunks(r, 40)
		want, l = play(-1)
	}
	const every = 16 // of the steps in one run
	for first := r.IntN(every); first < l.passed; first += every {
		got, _ := play(first)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("killed at step %d of %d: text %d is\n%q, want\n%q", first, l.passed, i, got[i], want[i])
			}
		}
	}
}

// TestKilledMoving kills a daemon at each step of Recover while it moves what a stream holds back to another stage, and lets the next one have a
// configuration that holds nothing back.
func TestKilledMoving(t *testing.T) {
	for steps := 0; ; steps++ {
		p := &pipeline{cfg: Config{Path: filepath.Join(t.TempDir(), "log"), StripANSI: true}, stage: func(lives int) int { return min(lives, 1) }}
		l := newLife(t, 2, p)
		l.begin()
		l.say(p, "one\x1b[1")
		l.bury()
		p.cfg.StripANSI = false
		l.steps = steps
		died := !l.survive(l.restart)
		if died {
			l.begin()
		}
		l.steps = -1
		l.say(p, "mtwo\n")
		wantFile(t, p.cfg.Path, "one\x1b[1mtwo\n")
		l.end(p)
		l.stop()
		if !died {
			if steps < 7 {
				t.Errorf("Recover had %d steps", steps)
			}
			return
		}
	}
}

// TestKilledInWrite kills between the write to a file and its being noted, with a part of it written. Somebody else rotates or writes the file
// meanwhile.
func TestKilledInWrite(t *testing.T) {
	const text = "some text\n"
	for written := range len(text) + 1 {
		path := filepath.Join(t.TempDir(), "log")
		p := &pipeline{cfg: Config{Path: path, StripANSI: true, CaptureMaxBytes: 10}, stage: func(int) int { return 0 }}
		l := newLife(t, 1, p)
		l.begin()
		l.say(p, "before\n")
		unix.Write(p.w, []byte("some\x1b[0m text\n"+captureBegin+captureEnd+"more\n"))
		g := l.stages[0]
		foreign := ""
		g.step = func() {
			if h := g.head; h.base.Load() != h.written.Load() || g.size == 0 {
				return
			}
			// Announced: the rest of this write does not come about.
			if written == len(text) {
				foreign = "foreign\n"
			}
			if err := os.WriteFile(path, []byte("before\n"+text[:written]+foreign), 0o600); err != nil {
				t.Error(err)
			}
			if written == 5 {
				_ = os.Rename(path, path+".1")
			}
			panic(killed{})
		}
		if l.survive(func() { _, _ = p.stream.Drain(p.r, bufferSize) }) {
			t.Fatal("there was no write")
		}
		l.begin()
		l.say(p, "after\n")
		l.end(p)
		l.stop()
		if got := rotated(t, path); got != "before\n"+text+foreign+"more\nafter\n" {
			t.Errorf("%d bytes were written before: %q", written, got)
		}
	}
}

// TestKilledAfterLoss kills a daemon in a chunk of which the log did not take the beginning, and took the end: neither comes again.
func TestKilledAfterLoss(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	_ = os.Mkdir(dir, 0o755)
	path := filepath.Join(dir, "log")
	p := &pipeline{cfg: Config{Path: path, CaptureMaxBytes: 10}, stage: func(int) int { return 0 }}
	l := newLife(t, 1, p)
	p.cfg.Captured = func([]byte) { _ = os.Mkdir(dir, 0o755) }
	l.begin()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	p.stream.target.closeDescriptor()
	unix.Write(p.w, []byte("lost\n"+captureBegin+captureEnd+"one\n"))
	g := l.stages[0]
	g.step = func() {
		if st, err := os.Stat(path); err == nil && st.Size() > 0 && g.head.base.Load() != g.head.written.Load() {
			panic(killed{})
		}
	}
	if l.survive(func() { _, _ = p.stream.Drain(p.r, bufferSize) }) {
		t.Fatal("it is alive")
	}
	l.begin()
	l.say(p, "two\n")
	wantFile(t, path, "one\ntwo\n")
	l.end(p)
	l.stop()
}

// TestKilledSyslog kills a daemon at each step of a chunk that goes to syslog: between two steps every line was either sent or not.
func TestKilledSyslog(t *testing.T) {
	dir := t.TempDir()
	d := listenSyslog(t, filepath.Join(dir, "s"))
	for steps := 0; ; steps++ {
		p := &pipeline{cfg: Config{Name: "web", Syslog: true, Path: filepath.Join(dir, fmt.Sprint(steps))}, stage: func(int) int { return 0 }}
		l := newLife(t, 1, p)
		l.syslog = d.path
		l.begin()
		l.steps = steps
		l.say(p, "one\ntwo\nthree\n")
		died := l.steps < 0
		l.steps = -1
		for _, line := range []string{"one", "two", "three"} {
			d.expect("web " + line)
		}
		wantFile(t, p.cfg.Path, "one\ntwo\nthree\n")
		l.end(p)
		l.stop()
		if !died {
			if steps < 8 {
				t.Errorf("a chunk had %d steps", steps)
			}
			return
		}
	}
}

// TestKilledRotating leaves a rotation after each of its renames: going on, no file that is to be kept is lost.
func TestKilledRotating(t *testing.T) {
	const backups = 4
	for done := 0; done <= backups; done++ {
		path := filepath.Join(t.TempDir(), "log")
		name := func(i int) string {
			if i == 0 {
				return path
			}
			return fmt.Sprintf("%s.%d", path, i)
		}
		for i := range backups + 1 {
			if err := os.WriteFile(name(i), fmt.Appendf(nil, "file %d\n", i), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i := backups - 1; i >= backups-done; i-- {
			if err := os.Rename(name(i), name(i+1)); err != nil {
				t.Fatal(err)
			}
		}
		c := newChannel(t, Config{Path: path, MaxBytes: 7, Backups: backups})
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
		c.say("new")
		got := rotated(t, path)
		want := "file 3\nfile 2\nfile 1\nfile 0\nnew" // the chunk may be in either file
		if got != want {
			t.Errorf("killed after %d renames: %q, want %q", done, got, want)
		}
		if _, err := os.Stat(name(backups + 1)); err == nil {
			t.Errorf("killed after %d renames: too many files", done)
		}
		// That was the end of it: the next one is as ever, whatever is missing.
		os.Remove(name(1))
		c.say(strings.Repeat("x", 10))
		if _, err := os.Stat(name(2)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("killed after %d renames: the next rotation closes a gap: %v", done, err)
		}
	}
}

// TestContinue opens the logs of an earlier daemon: nothing is truncated, and an AUTO log is found again, or made anew for its user alone.
func TestContinue(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, AutoName("p", "stdout", "id"))
	first := newChannel(t, Config{Path: path, Auto: true})
	if err := first.Open(); err != nil {
		t.Fatal(err)
	}
	first.say("one\n")
	second := newChannel(t, Config{Path: first.Path(), Auto: true})
	if err := second.Continue(); err != nil {
		t.Fatal(err)
	}
	second.say("two\n")
	wantFile(t, path, "one\ntwo\n")
	os.Remove(path)
	third := newChannel(t, Config{Path: path + "2", Auto: true})
	if err := third.Continue(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path + "2"); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
}

// TestContinueWithoutLog continues a process whose log cannot be opened any more: what is staged and what comes is dropped and reported, and the
// process goes on.
func TestContinueWithoutLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	_ = os.Mkdir(dir, 0o755)
	p := &pipeline{cfg: Config{Path: filepath.Join(dir, "log"), StripANSI: true}, stage: func(int) int { return 0 }}
	l := newLife(t, 1, p)
	l.begin()
	l.say(p, "one")
	l.steps = 1 // begun, and spliced
	unix.Write(p.w, []byte("staged"))
	if l.survive(func() { _, _ = p.stream.Drain(p.r, bufferSize) }) {
		t.Fatal("it is alive")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	g, err := OpenStage(l.memfds[0])
	if err != nil {
		t.Fatal(err)
	}
	l.stages = []*Stage{g}
	p.stream = NewStream(p.cfg, l.reports.add)
	p.stream.UseStage(g, 0)
	if err := p.stream.Continue(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("continued: %v", err)
	}
	if err := Recover(l.stages, func(uint64) *Stream { return p.stream }); err != nil {
		t.Fatal(err)
	}
	l.say(p, "lost")
	_ = os.Mkdir(dir, 0o755)
	l.say(p, "two")
	wantFile(t, p.cfg.Path, "two")
	want := []string{"cannot write log " + p.cfg.Path + ": no such file or directory; output is dropped until it works again",
		"writing log " + p.cfg.Path + " works again; 10 bytes were lost"}
	if got := l.reports.take(); !slices.Equal(got, want) {
		t.Errorf("reports %q, want %q", got, want)
	}
	l.end(p)
	l.stop()
}

// TestRecoverUnknown has output of a stream that nobody knows after the restart.
func TestRecoverUnknown(t *testing.T) {
	p := &pipeline{cfg: Config{Path: filepath.Join(t.TempDir(), "log"), CaptureMaxBytes: 100}, stage: func(int) int { return 0 }}
	l := newLife(t, 1, p)
	l.begin()
	l.say(p, captureBegin+strings.Repeat("x", 30))
	l.steps = 1
	unix.Write(p.w, []byte("staged"))
	if l.survive(func() { _, _ = p.stream.Drain(p.r, bufferSize) }) {
		t.Fatal("it is alive")
	}
	g, err := OpenStage(l.memfds[0])
	if err != nil {
		t.Fatal(err)
	}
	err = Recover([]*Stage{g}, func(uint64) *Stream { return nil })
	if err == nil || strings.Count(err.Error(), "bytes of output of stream 0 are lost") != 2 {
		t.Errorf("recovered: %v", err)
	}
	g.Close()
	if g, err = OpenStage(l.memfds[0]); err != nil || g.underWay() || len(g.saved) != 0 {
		t.Errorf("it is there again: %v", err)
	}
	g.Close()
}

// TestStageJournal saves random states of many streams, as they grow, shrink and go, and finds them again.
func TestStageJournal(t *testing.T) {
	r := newRand(t)
	g, fd := newStage(t)
	streams := map[uint64]*capture{}
	want := map[uint64]state{}
	most := 0
	for i := range 3000 {
		key := uint64(r.IntN(20))
		c := streams[key]
		if c == nil {
			c = &capture{}
			streams[key] = c
		}
		size := 1 + r.IntN(3000)
		switch r.IntN(10) {
		case 0:
			c.take()
			c.inside = false
		case 1:
			c.keep(bytes.Repeat([]byte{byte(i)}, size), 1) // pushes all else out
			c.inside = true
		default:
			c.keep(bytes.Repeat([]byte{byte(i)}, size), 60_000)
			c.inside = true
		}
		if i > 2500 { // the end of a storm: memory goes back
			c.take()
			c.inside = false
		}
		st := state{inside: c.inside, captured: c.buffer, from: c.from, at: c.from, max: 60_000}
		delete(want, key)
		if !st.empty() {
			st.captured = bytes.Clone(st.captured)
			want[key] = st
		}
		g.begin(key, stageSave)
		if err := g.commit(st); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(g.room))
		if i%100 == 99 {
			g.Close()
			var err error
			if g, err = OpenStage(fd); err != nil {
				t.Fatal(err)
			}
			for _, key := range slices.Sorted(maps.Keys(want)) {
				got := g.states[key]
				if !bytes.Equal(got.captured, want[key].captured) || got.from != want[key].from || got.at != got.from || got.inside != want[key].inside || got.max != 60_000 {
					t.Fatalf("after %d: stream %d has %d bytes from %d (%d), want %d from %d", i, key,
						len(got.captured), got.from, got.at, len(want[key].captured), want[key].from)
				}
			}
			if len(g.states) != len(want) {
				t.Fatalf("after %d: %d states, want %d", i, len(g.states), len(want))
			}
		}
	}
	if most < 500_000 || len(g.room) != stageLeast {
		t.Errorf("the journal had room for %d bytes, and has now for %d", most, len(g.room))
	}
	g.Close()
}

// TestStateRoundTrip keeps every field.
func TestStateRoundTrip(t *testing.T) {
	want := state{strip: true, max: 1 << 40, inside: true, pending: []byte("<!-"), outside: []byte("\x1b[1"), within: []byte("\x1b]0;x"),
		part: []byte("part"), held: []byte("held"), captured: []byte("captured"), from: 77, at: 77}
	journal := want.appendTo(nil, 5)
	states := map[uint64]state{}
	err := readJournal(states, journal)
	if got := states[5]; err != nil || len(states) != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for i := 1; i < len(journal); i++ {
		if err := readJournal(states, journal[:i]); err == nil {
			t.Errorf("%d bytes of an entry pass", i)
		}
	}
	// The stream that gets it goes on as the one that had it: "<!-" belongs to the captured title that ends now, "m" to a sequence of the text.
	var o told
	s := NewStream(o.listen(Config{StripANSI: true, CaptureMaxBytes: 1 << 40}), nil)
	s.restore(want)
	if got := s.state(); !reflect.DeepEqual(got, want) {
		t.Errorf("restored %+v", got)
	}
	r := route{s.cfg, nil}
	s.adopt(&r)
	s.chunk(&r, []byte("\aend"+captureEnd+"mtext"))
	if want := []string{"capturedend"}; !slices.Equal(o.captured, want) {
		t.Errorf("captured %q, want %q", o.captured, want)
	}
	if got := strings.Join(o.log, ""); got != "endtext" {
		t.Errorf("log %q", got)
	}
}

// TestStageFull lets the memfd grow no more: that is reported once, and the output goes on.
func TestStageFull(t *testing.T) {
	fd, err := unix.MemfdCreate("stage", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	g, err := OpenStage(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	var captured int
	c := opened(t, Config{CaptureMaxBytes: 1 << 20, Captured: func(data []byte) { captured = len(data) }})
	c.UseStage(g, 1)
	c.say(captureBegin)
	for range 4 {
		c.say(strings.Repeat("x", bufferSize))
	}
	c.say(captureEnd)
	if captured != 4*bufferSize {
		t.Errorf("captured %d bytes", captured)
	}
	want := []string{"cannot save held back output for a restart: operation not permitted"}
	if got := c.take(); !slices.Equal(got, want) {
		t.Errorf("reports %q, want %q", got, want)
	}
	c.say(captureBegin)
	states := map[uint64]state{}
	if err := readJournal(states, g.room[g.from:g.to]); err != nil || !states[1].inside {
		t.Errorf("nothing is saved any more: %v, %v", states, err)
	}
}

// TestStageUnwritable lets nothing be written to the memfd but by its mapping, as with RLIMIT_FSIZE: the output goes on.
func TestStageUnwritable(t *testing.T) {
	fd, err := unix.MemfdCreate("stage", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	g, err := OpenStage(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); err != nil {
		t.Skipf("hidden: a stage that cannot be written, because the kernel has no F_SEAL_FUTURE_WRITE: %v", err)
	}
	path := filepath.Join(t.TempDir(), "log")
	c := opened(t, Config{Path: path, StripANSI: true})
	c.UseStage(g, 1)
	c.say("o\x1b[1mne\n")
	c.say("two\n")
	wantFile(t, path, "one\ntwo\n")
	if got := c.take(); len(got) > 0 {
		t.Errorf("reports %q", got)
	}
}

// TestStageOfAnother refuses memfds that hold something else.
func TestStageOfAnother(t *testing.T) {
	for at, text := range map[int]string{stageHead: "another layout", stageHead + 24 + 8: "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		g, fd := newStage(t)
		copy(g.mem[at:], text)
		if _, err := OpenStage(fd); err == nil {
			t.Errorf("opened with %q at %d", text, at)
		}
	}
	if _, err := OpenStage(-1); !errors.Is(err, unix.EBADF) {
		t.Errorf("no descriptor: %v", err)
	}
}

// TestStagedNoPipe drains what cannot be spliced.
func TestStagedNoPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := opened(t, Config{Path: path, StripANSI: true})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	for i := range 3 {
		unix.Write(fds[1], []byte("o\x1b[1mne\n"))
		if n, err := c.Drain(fds[0], bufferSize); n != 8 || err != nil {
			t.Fatalf("%d: drained %d: %v", i, n, err)
		}
	}
	unix.Close(fds[1])
	if n, err := c.Drain(fds[0], bufferSize); n != 0 || err != io.EOF {
		t.Errorf("the end: %d, %v", n, err)
	}
	wantFile(t, path, "one\none\none\n")
}
