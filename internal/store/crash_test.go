package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// TestCrashEverywhere lets the daemon die at every call and every byte of the journal (of temporary files, at many) in a random history with
// compactions, and the machine die at many of them. What is opened after that is the state after one of the steps: none that was acknowledged is missing (with the machine dead: none
// that was to be durable), nothing is damaged, and it can be gone on with.
func TestCrashEverywhere(t *testing.T) {
	r := newRand(t)
	var seed uint64
	var whole *memDisk
	var states []*model
	total := 0
	for total < 1500 || total > 3000 { // neither a history that proves little nor one that takes long
		seed, whole = r.Uint64(), newMemDisk()
		whole.within = map[int]bool{}
		states, _, _ = history(t, whole, seed, nil)
		total = whole.taken
	}
	t.Logf("%d steps", total)
	for crash := range total {
		if whole.within[crash] && crash%29 != 0 {
			continue // no byte of a temporary file is different from the next
		}
		d := newMemDisk()
		d.steps = crash
		_, acked, durable := history(t, d, seed, states)
		check(t, fmt.Sprintf("killed after step %d of %d", crash, total), d.afterKill(), states, acked, acked+1)
		if crash%3 == 0 {
			check(t, fmt.Sprintf("power lost after step %d of %d", crash, total),
				d.afterPowerLoss(func(n int) int { return r.IntN(n + 1) }), states, durable, acked+1)
		}
	}
}

// history does the same random things whenever it is called with the same seed. Without states it returns the model after each step, the first
// being that of an empty store; with them, how many steps were acknowledged before the disk died, and the last of these that had everything durable.
func history(t *testing.T, d *memDisk, seed uint64, states []*model) (_ []*model, acked, durable int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	now := clock()
	s, _ := reopen(t, d, now)
	m := newModel()
	first := states == nil
	if first {
		states = append(states, m.clone())
	}
	for n := range 10 {
		if n%5 == 4 {
			err := s.Compact()
			if err == nil {
				durable = acked
			}
			if d.dead {
				return states, acked, durable
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		mustLast, err := m.step(s, r, now)
		if first {
			states = append(states, m.clone())
		}
		if d.dead {
			return states, acked, durable
		}
		if err != nil {
			t.Fatal(err)
		}
		if acked++; mustLast && !m.same(states[acked-1]) {
			durable = acked
		}
	}
	return states, acked, durable
}

// same reports whether a step did nothing, so that there was nothing to write.
func (m *model) same(other *model) bool { return fmt.Sprint(*m) == fmt.Sprint(*other) }

// check opens a disk and finds one of the states from..to on it.
func check(t *testing.T, what string, d *memDisk, states []*model, from, to int) {
	t.Helper()
	s, notices := reopen(t, d, clock())
	for _, n := range notices {
		if !strings.Contains(n.Text, "cut off") {
			t.Fatalf("%s: %v", what, n)
		}
	}
	var diff string
	found := false
	for i := max(from, 0); i <= min(to, len(states)-1) && !found; i++ {
		diff = states[i].differs(s)
		found = diff == ""
	}
	if !found {
		t.Fatalf("%s: none of the states %d to %d: %s\n%s\n%s", what, from, to, diff, d.text(snapshotName), d.text(journalName))
	}
	if err := s.SetOverride(Override{Group: "after", Count: 7}); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	again, notices := reopen(t, d.afterKill(), clock())
	if o, ok := again.Override("after"); !ok || o.Count != 7 || len(notices) > 0 {
		t.Fatalf("%s: opened again: %+v %v", what, o, notices)
	}
}

// fill writes a random history to a new directory and returns the models after each of the changes that are in its journal: the first is that of the
// snapshot, ends are the lengths of the journal that belong to them.
func fill[D disk](t *testing.T, r *rand.Rand, makeDisk func() D, size func(D) int) (d D, states []*model, ends []int) {
	t.Helper()
	for {
		d, states, ends = makeDisk(), nil, nil
		now := clock()
		s, _ := reopen(t, d, now)
		m := newModel()
		for n := range 22 {
			if n == 11 {
				must(t, s.Compact())
				states, ends = append(states, m.clone()), append(ends, 0)
			}
			if _, err := m.step(s, r, now); err != nil {
				t.Fatal(err)
			}
			if n >= 11 && size(d) > ends[len(ends)-1] {
				states, ends = append(states, m.clone()), append(ends, size(d))
			}
		}
		must(t, s.Close())
		if len(ends) >= 7 { // not too many steps that changed nothing
			return d, states, ends
		}
	}
}

// stateAt returns the last state whose lines are all within the first n bytes.
func stateAt(states []*model, ends []int, n int) (*model, int) {
	i := 0
	for i+1 < len(ends) && ends[i+1] <= n {
		i++
	}
	return states[i], ends[i]
}

// TestTruncatedFile cuts a real journal at offsets that are spread over it, and every one of its last change.
func TestTruncatedFile(t *testing.T) {
	d, states, ends := fill(t, newRand(t), func() osDisk { return osDisk{t.TempDir()} }, func(d osDisk) int {
		return int(stat(t, d.path(journalName)).Size())
	})
	dir, path := d.dir, d.path(journalName)
	snapshot, journal := readFile(t, filepath.Join(dir, snapshotName)), readFile(t, path)
	for cut := range len(journal) + 1 {
		if cut%(len(journal)/100) != 0 && cut < ends[len(ends)-2] {
			continue
		}
		write(t, filepath.Join(dir, snapshotName), snapshot)
		write(t, path, journal[:cut])
		s, notices := reopen(t, osDisk{dir}, clock())
		want, end := stateAt(states, ends, cut)
		if diff := want.differs(s); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		line := strings.Count(journal[:end], "\n") + 1
		if torn := cut > end; torn != (len(notices) == 1) {
			t.Fatalf("cut at %d: %v", cut, notices)
		} else if torn && notices[0].String() != fmt.Sprintf("%s:%d: the last change was cut off after %d bytes and is dropped", path, line, cut-end) {
			t.Fatalf("cut at %d: %v", cut, notices[0])
		}
		s.Close()
	}
}

// TestDamagedByte turns a bit of every byte of both files. Everything before the damage is kept, the file is set aside as it was, and whoever opens
// the directory next finds nothing wrong.
func TestDamagedByte(t *testing.T) {
	whole, states, ends := fill(t, newRand(t), newMemDisk, func(d *memDisk) int { return len(d.text(journalName)) })
	snapshot, journal := whole.text(snapshotName), whole.text(journalName)

	for i := range len(journal) {
		damaged := []byte(journal)
		damaged[i] ^= 1 << (i % 7)
		d := newMemDisk().with(map[string]string{snapshotName: snapshot, journalName: string(damaged)})
		s, notices := reopen(t, d, clock())
		want, end := stateAt(states, ends, i)
		if diff := want.differs(s); diff != "" {
			t.Fatalf("journal byte %d: %s", i, diff)
		}
		if i == len(journal)-1 {
			if len(notices) != 1 || !strings.Contains(notices[0].Text, "cut off") {
				t.Fatalf("a last line without an end: %v", notices)
			}
			continue
		}
		line := strings.Count(string(damaged[:i]), "\n") + 1
		if len(notices) != 2 || notices[0].File != "/state/"+journalName || notices[0].Line != line || !strings.Contains(notices[1].Text, "set aside as /state/journal.jsonl.bad-2026") {
			t.Fatalf("journal byte %d of line %d (state ends at %d): %v", i, line, end, notices)
		}
		healed(t, fmt.Sprintf("journal byte %d", i), d, want, journalName, string(damaged))
	}

	// The journal has no copy of what only the snapshot has: of that the records before the damage are left, and nothing that never was.
	for i := range len(snapshot) {
		damaged := []byte(snapshot)
		damaged[i] ^= 1 << (i % 7)
		d := newMemDisk().with(map[string]string{snapshotName: string(damaged)})
		s, notices := reopen(t, d, clock())
		line := strings.Count(string(damaged[:i]), "\n") + 1
		kept := max(0, min(line-2, strings.Count(snapshot, "\n")-2))
		// A snapshot with a sound beginning and nothing after it is what should have been kept.
		if len(notices) != 2 || notices[0].Line < line || notices[0].Line > line+1 || !strings.Contains(notices[1].Text, "set aside") {
			t.Fatalf("snapshot byte %d of line %d: %v", i, line, notices)
		}
		var records int
		for _, table := range s.tables {
			records += len(table.records())
		}
		lines := strings.SplitAfter(snapshot, "\n")
		orphans := 0 // groups whose generation is beyond the damage
		for _, l := range lines[1 : kept+1] {
			r, _ := parseRecord([]byte(strings.TrimRight(l, ",\n")))
			if r.Kind == "group" && !strings.Contains(strings.Join(lines[1:kept+1], ""), `"`+r.Key+`"],`) && !inGenerations(lines[1:kept+1], r.Key) {
				orphans++
			}
		}
		if records != kept-orphans {
			t.Fatalf("snapshot byte %d of line %d: %d records, want %d without %d orphans", i, line, records, kept, orphans)
		}
		healed(t, fmt.Sprintf("snapshot byte %d", i), d, nil, snapshotName, string(damaged))
	}
}

func inGenerations(lines []string, key string) bool {
	for _, l := range lines {
		if strings.Contains(l, `"kind":"generation"`) && strings.Contains(l, key) {
			return true
		}
	}
	return false
}

// healed checks that the damaged file was set aside, and that the files in its place are sound.
func healed(t *testing.T, what string, d *memDisk, want *model, name, damaged string) {
	t.Helper()
	var aside int
	for _, n := range d.names() {
		if strings.HasPrefix(n, name+badMark) && d.text(n) == damaged {
			aside++
		}
	}
	if aside == 0 {
		t.Fatalf("%s: not set aside: %v", what, d.names())
	}
	s, notices := reopen(t, d.afterPowerLoss(func(int) int { return 0 }), clock())
	if len(notices) > 0 {
		t.Fatalf("%s: opened again: %v", what, notices)
	}
	if want != nil {
		if diff := want.differs(s); diff != "" {
			t.Fatalf("%s: opened again: %s", what, diff)
		}
	}
}

// TestCrashWhileHealing lets the daemon die at every step of opening a directory with a damaged file: what was sound in it is found by the next, and
// the damaged file is there under one name or another.
func TestCrashWhileHealing(t *testing.T) {
	whole := newMemDisk()
	s, _ := reopen(t, whole, clock())
	mark := func(group string) { must(t, s.SetMark(Mark{Group: group, Kind: Hold})) }
	mark("a")
	mark("b")
	must(t, s.Compact())
	mark("c")
	mark("d")
	for _, name := range []string{snapshotName, journalName} {
		files := map[string]string{snapshotName: whole.text(snapshotName), journalName: whole.text(journalName)}
		text := files[name]
		at := strings.LastIndex(text, `"mark"`) // in the last record: of the snapshot b is lost, of the journal d
		files[name] = text[:at] + "x" + text[at+1:]
		for crash := 0; ; crash++ {
			d := newMemDisk().with(files)
			d.steps = crash
			reopen(t, d, clock())
			for _, after := range []*memDisk{d.afterKill(), d.afterPowerLoss(func(int) int { return 0 })} {
				what := fmt.Sprintf("%s, crash at %d", name, crash)
				again, _ := reopen(t, after, clock())
				if len(again.Marks()) != 3 {
					t.Fatalf("%s: %+v", what, again.Marks())
				}
				healed(t, what, after, nil, name, files[name])
			}
			if !d.dead {
				if crash < 500 {
					t.Fatalf("opening took only %d steps", crash)
				}
				break
			}
		}
	}
}

// TestFailingDisk makes every call fail, one after the other and for good: the setter says so, the memory has the change, and when the disk works
// again the next setter brings everything to it.
func TestFailingDisk(t *testing.T) {
	for _, cause := range []error{full, readOnly} {
		for _, partial := range []int{0, 1, 20, 150} {
			d := newMemDisk()
			s, _ := reopen(t, d, clock())
			must(t, s.SetOverride(Override{Group: "web", Count: 1}))
			d.fail, d.partial = cause, partial
			for i := range 3 {
				err := s.SetMark(Mark{Group: "web", Process: fmt.Sprint("web_", i), Kind: Hold})
				if !errors.Is(err, ErrNotKept) || !errors.Is(err, cause) {
					t.Fatalf("set on a bad disk: %v", err)
				}
				if _, ok := s.Mark(process.Namespec{Group: "web", Process: fmt.Sprint("web_", i)}); !ok || s.Lag() == nil {
					t.Fatalf("mark %d is in force: %v; lag %v", i, ok, s.Lag())
				}
			}
			// The daemon that dies now loses what it was told it would.
			lost, _ := reopen(t, d.afterKill(), clock())
			if o, ok := lost.Override("web"); !ok || o.Count != 1 || len(lost.Marks()) > 1 {
				t.Fatalf("after a death behind a bad disk: %+v %+v", o, lost.Marks())
			}
			d.fail = nil
			must(t, s.ClearOverride("nothing of this name"))
			again, notices := reopen(t, d.afterPowerLoss(func(int) int { return 0 }), clock())
			if s.Lag() != nil || len(again.Marks()) != 3 || len(notices) > 0 {
				t.Fatalf("after the disk works again: lag %v, %d marks, %v", s.Lag(), len(again.Marks()), notices)
			}
		}
	}
}

// TestFailingCall makes single calls fail during compaction: the change that caused it is kept whatever happens, and never told as lost.
func TestFailingCall(t *testing.T) {
	cause := errors.New("a bad day")
	for _, call := range []string{"create", "write " + tempName, "rename", "sync", "truncate", "fsync"} {
		d := newMemDisk()
		s, _ := reopen(t, d, clock())
		for i := range 5 {
			must(t, s.SetMark(Mark{Group: fmt.Sprint("g", i), Kind: Hold}))
		}
		d.broken[call] = cause
		if err := s.Compact(); !errors.Is(err, ErrNotKept) || !errors.Is(err, cause) {
			t.Fatalf("%s: %v", call, err)
		}
		for _, after := range []*memDisk{d.afterKill(), d.afterPowerLoss(func(int) int { return 0 })} {
			again, notices := reopen(t, after, clock())
			if len(again.Marks()) != 5 || len(notices) > 0 {
				t.Fatalf("%s: %d marks, %v", call, len(again.Marks()), notices)
			}
		}
		delete(d.broken, call)
		must(t, s.SetMark(Mark{Group: "last", Kind: Hold}))
		again, notices := reopen(t, d.afterPowerLoss(func(int) int { return 0 }), clock())
		if len(again.Marks()) != 6 || len(notices) > 0 || s.Lag() != nil {
			t.Fatalf("%s: afterwards %d marks, %v, lag %v", call, len(again.Marks()), notices, s.Lag())
		}
		if text := d.text(tempName); text != "" {
			t.Errorf("%s: a temporary file is left", call)
		}
	}
}

// TestCompaction lets a journal grow beyond its limit, on a disk that at first has no room for a snapshot.
func TestCompaction(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	d.broken["create"] = full
	note := strings.Repeat("x", 100_000)
	grown := 0
	for i := 0; d.broken["create"] != nil || len(d.text(journalName)) > grown/2; i++ {
		must(t, s.SetOverride(Override{Group: "web", Count: i, Note: note}))
		if grown = max(grown, len(d.text(journalName))); grown > 3*compactBytes {
			d.broken["create"] = nil
		}
		if i > 1000 {
			t.Fatalf("the journal grew to %d bytes", grown)
		}
	}
	if n := d.calls["create"]; n > 5 {
		t.Errorf("%d snapshots were tried", n)
	}
	again, notices := reopen(t, d.afterPowerLoss(func(int) int { return 0 }), clock())
	a, _ := again.Override("web")
	if b, _ := s.Override("web"); a != b || len(notices) > 0 {
		t.Fatalf("%d became %d: %v", b.Count, a.Count, notices)
	}
}

// TestUnreadable has files that cannot be read: they are not written over.
func TestUnreadable(t *testing.T) {
	for _, name := range []string{snapshotName, journalName} {
		for _, links := range []bool{true, false} {
			d := newMemDisk().with(map[string]string{name: "precious"})
			d.broken["read "+name] = errors.New("bad sector")
			if !links {
				d.broken["link"] = errors.New("no second names here")
			}
			s, notices := reopen(t, d, clock())
			if len(notices) != 2 || notices[0].String() != "/state/"+name+": cannot be read: read "+name+": bad sector" {
				t.Errorf("%s: %v", name, notices)
			}
			must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
			if bad := name + badMark + "20260102T030406Z"; d.text(bad) != "precious" {
				t.Errorf("%s is not set aside: %v", name, d.names())
			}
		}
	}
}

// TestSnapshotMissing keeps what a journal alone says.
func TestSnapshotMissing(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
	must(t, s.Compact())
	must(t, s.SetMark(Mark{Group: "api", Kind: Hold}))
	d.remove(snapshotName)
	again, notices := reopen(t, d, clock())
	if len(again.Marks()) != 1 || len(notices) != 1 || notices[0].String() != "/state/state.json: is missing; what journal.jsonl says is kept" {
		t.Errorf("%v %v", again.Marks(), notices)
	}
	if _, notices = reopen(t, d, clock()); len(notices) > 0 {
		t.Errorf("again: %v", notices)
	}
}

// TestOldSnapshot has a snapshot that somebody put back: the journal does not follow it.
func TestOldSnapshot(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	old := d.text(snapshotName)
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
	must(t, s.Compact())
	must(t, s.SetMark(Mark{Group: "api", Kind: Hold}))
	d.with(map[string]string{snapshotName: old})
	_, notices := reopen(t, d, clock())
	if len(notices) != 2 || !strings.HasPrefix(notices[0].String(), "/state/journal.jsonl:1: change 2 follows a snapshot of change 0: what was between them is missing;") {
		t.Errorf("%v", notices)
	}
}

// TestLinesMissing has a journal out of which somebody took a line.
func TestLinesMissing(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	for _, group := range []string{"a", "b", "c"} {
		must(t, s.SetMark(Mark{Group: group, Kind: Hold}))
	}
	lines := strings.SplitAfter(d.text(journalName), "\n")
	d.with(map[string]string{journalName: lines[0] + lines[2]})
	again, notices := reopen(t, d, clock())
	if len(notices) != 2 || notices[0].String() != "/state/journal.jsonl:2: change 3 follows change 1; the changes before it are kept" || len(again.Marks()) != 1 {
		t.Errorf("%v, %+v", notices, again.Marks())
	}
}

// TestBadNames damages a file again and again within a second: none takes the place of another.
func TestBadNames(t *testing.T) {
	d := newMemDisk()
	now := func() time.Time { return time.Unix(0, 0) }
	for i := range 3 {
		for _, name := range []string{snapshotName, journalName} {
			d.with(map[string]string{name: fmt.Sprintf("damage %d\n", i)})
		}
		reopen(t, d, now)
	}
	var got []string
	for _, name := range d.names() {
		if strings.Contains(name, badMark) {
			got = append(got, strings.TrimSpace(d.text(name)))
		}
	}
	if strings.Join(got, ",") != "damage 0,damage 1,damage 2,damage 0,damage 1,damage 2" {
		t.Errorf("set aside: %q in %q", got, d.names())
	}
}

// TestJournalBehind has a snapshot that is newer than all of the journal: the machine died between the two, and with it the changes of the journal
// that were not durable. What comes next does not stand behind what is left of them.
func TestJournalBehind(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
	left := d.text(journalName)
	must(t, s.SetOperation(Operation{ID: 1}))
	must(t, s.Compact())
	d.with(map[string]string{journalName: left})
	for range 2 {
		again, notices := reopen(t, d, clock())
		if len(notices) > 0 || len(again.Operations()) != 1 {
			t.Fatalf("%v, %+v", notices, again.Operations())
		}
		must(t, again.SetMark(Mark{Group: "api", Kind: Hold}))
	}
}

// FuzzLoad opens any two files. There is no panic and no error; what is found stays found, and the files that are left are sound. Lines that
// begin with an exclamation mark get the right checksum, so that what is behind it is reached as well.
func FuzzLoad(f *testing.F) {
	d := newMemDisk()
	s, _, _ := open(d, clock())
	r := rand.New(rand.NewPCG(1, 1))
	m, now := newModel(), clock()
	f.Add("", "")
	for n := range 40 {
		if _, err := m.step(s, r, now); err != nil {
			f.Fatal(err)
		}
		if n%8 == 7 {
			f.Add(d.text(snapshotName), d.text(journalName))
			f.Add(unsealed(d.text(snapshotName)), unsealed(d.text(journalName)))
		}
		if n == 20 {
			if err := s.Compact(); err != nil {
				f.Fatal(err)
			}
		}
	}
	f.Add(`!{"state":"graced","seq":4,"count":1,"records":[`+"\n"+`!{"kind":"mark","key":"web:*","v":9,"data":{"kind":7}}`+"\n]}\n",
		`!{"seq":5,"kind":"sparkle","key":"x","v":1,"data":null}`+"\n")
	f.Fuzz(func(t *testing.T, snapshot, journal string) {
		d := newMemDisk().with(map[string]string{snapshotName: sealed(snapshot), journalName: sealed(journal)})
		s, _, err := open(d, clock())
		if err != nil {
			t.Fatal(err)
		}
		before := dump(s)
		again, notices, err := open(d.afterPowerLoss(func(int) int { return 0 }), clock())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notices {
			if !strings.Contains(n.Text, "it is kept as it is") {
				t.Fatalf("opened again: %v", n)
			}
		}
		if after := dump(again); after != before {
			t.Fatalf("was\n%s\nis\n%s", before, after)
		}
		must(t, again.SetMark(Mark{Group: "web", Kind: Hold}))
		if err := again.SetOperation(Operation{ID: again.NextOperation(), Kind: "x"}, Line{}); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
		if _, err := again.AddGeneration(Generation{Groups: []process.GroupSpec{{Name: "web"}}}); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
		for _, a := range again.Generations() {
			x, err := again.Generation(a.Rev)
			for _, b := range again.Generations() {
				if y, err2 := again.Generation(b.Rev); err == nil && err2 == nil {
					Diff(x, y, nil)
				}
			}
		}
	})
}

func unsealed(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if object, ok := unseal([]byte(strings.TrimSuffix(l, ","))); ok {
			lines[i] = "!" + string(object)
			if strings.HasSuffix(l, ",") {
				lines[i] += ","
			}
		}
	}
	return strings.Join(lines, "\n")
}

func sealed(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if object, ok := strings.CutPrefix(l, "!{"); ok {
			object, comma := strings.CutSuffix(object, ",")
			lines[i] = string(seal([]byte("{" + object)))
			if comma {
				lines[i] += ","
			}
		}
	}
	return strings.Join(lines, "\n")
}

// dump is all that a store has, as text.
func dump(s *Store) string {
	var b strings.Builder
	for _, t := range s.tables {
		for _, r := range t.records() {
			fmt.Fprintf(&b, "%s %s %d %s\n", r.Kind, r.Key, r.Version, compacted(r.Data))
		}
	}
	for _, r := range sortedOpaque(s.opaque) {
		fmt.Fprintf(&b, "opaque %s %s %d %s\n", r.Kind, r.Key, r.Version, compacted(r.Data))
	}
	return b.String()
}

func compacted(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err.Error()
	}
	return b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}
