package store

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 = from the clock")

func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// clock returns a clock that is a second later whenever it is asked.
func clock() func() time.Time {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

// universe are the processes that random tests speak of.
var universe = []process.Namespec{{Group: "api", Process: "api"}, {Group: "web", Process: "web_0"}, {Group: "web", Process: "web_1"}, {Group: "web", Process: "web_10"}}

// model says what a store should, in the simplest way there is.
type model struct {
	overrides   map[string]Override
	marks       map[process.Namespec]Mark // what counts for each process of the universe and, with process "", for later ones of a group
	operations  []Operation
	lines       map[int][]Line
	generations []Generation
	limits      Limits
}

func newModel() *model {
	return &model{
		overrides: map[string]Override{}, marks: map[process.Namespec]Mark{}, lines: map[int][]Line{}, limits: Limits{5, 6},
	}
}

// clone returns a copy that later steps do not change.
func (m *model) clone() *model {
	c := *m
	c.overrides, c.marks, c.lines = maps.Clone(m.overrides), maps.Clone(m.marks), maps.Clone(m.lines)
	c.operations, c.generations = slices.Clone(m.operations), slices.Clone(m.generations)
	return &c
}

// differs returns in what a store is not as the model; "" if in nothing.
func (m *model) differs(s *Store) string {
	if got, want := s.Overrides(), sortedValues(m.overrides); !slices.Equal(got, want) {
		return fmt.Sprintf("overrides %+v, want %+v", got, want)
	}
	for _, name := range append([]process.Namespec{{Group: "api"}, {Group: "web"}, {Group: "web", Process: "new"}}, universe...) {
		want, ok := m.marks[name]
		if name.Process == "new" {
			want, ok = m.marks[process.Namespec{Group: name.Group}]
		}
		if got, marked := s.Mark(name); marked != ok || got.Kind != want.Kind || got.Who != want.Who || !got.When.Equal(want.When) || got.Note != want.Note {
			return fmt.Sprintf("mark of %s: %+v, want %+v", name, got, want)
		}
	}
	if got := s.Operations(); !slices.Equal(got, m.operations) {
		return fmt.Sprintf("operations %+v, want %+v", got, m.operations)
	}
	for _, o := range m.operations {
		if got, want := s.Lines(o.ID), m.lines[o.ID]; !slices.Equal(got, want) {
			return fmt.Sprintf("lines of %d %+v, want %+v", o.ID, got, want)
		}
	}
	if got := len(s.lines.rows); got != len(slices.Concat(slices.Collect(maps.Values(m.lines))...)) {
		return fmt.Sprintf("%d lines, want %+v", got, m.lines)
	}
	heads := s.Generations()
	if len(heads) != len(m.generations) {
		return fmt.Sprintf("%d generations, want %d", len(heads), len(m.generations))
	}
	for i, want := range m.generations {
		got, err := s.Generation(want.Rev)
		if err != nil || !reflect.DeepEqual(got, want) {
			return fmt.Sprintf("generation %+v, %v, want %+v", got, err, want)
		}
		want.Groups = nil
		if !reflect.DeepEqual(heads[i], want) {
			return fmt.Sprintf("generation's head %+v, want %+v", heads[i], want)
		}
	}
	return ""
}

func sortedValues[V any](m map[string]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// step does something to both. durable says whether the change must outlive the machine. now is the store's clock.
func (m *model) step(s *Store, r *rand.Rand, now func() time.Time) (durable bool, err error) {
	who := []string{"anna", "", "token:ops \u2028<&>"}[r.IntN(3)]
	note := []string{"", "until the disk is there", "\"\n\x00é"}[r.IntN(3)]
	name := universe[r.IntN(len(universe))]
	at := now().UTC()
	switch r.IntN(12) {
	case 0:
		o := Override{name.Group, r.IntN(4), []string{"", "0,2"}[r.IntN(2)], who, at, note}
		m.overrides[name.Group] = o
		return true, s.SetOverride(o)
	case 1:
		delete(m.overrides, name.Group)
		return true, s.ClearOverride(name.Group)
	case 2, 3:
		mark := Mark{name.Group, name.Process, []MarkKind{Hold, Disable, Enable}[r.IntN(3)], who, at, note}
		names := []process.Namespec{name}
		if r.IntN(3) == 0 {
			mark.Process = ""
			names = []process.Namespec{mark.Name()}
			for _, n := range universe {
				if n.Group == mark.Group {
					names = append(names, n)
				}
			}
		}
		for _, n := range names {
			if m.marks[n] = mark; mark.Kind == Enable {
				delete(m.marks, n)
			}
		}
		return true, s.SetMark(mark)
	case 4, 5, 6:
		id := s.NextOperation()
		if len(m.operations) == m.limits.Operations {
			i := max(0, slices.IndexFunc(m.operations, func(o Operation) bool { return o.Result != "" }))
			delete(m.lines, m.operations[i].ID)
			m.operations = slices.Delete(slices.Clone(m.operations), i, i+1)
		}
		o := Operation{ID: id, Kind: "update", Who: who, Began: at, Text: note}
		m.operations = append(m.operations, o)
		return false, s.SetOperation(o)
	case 7, 8:
		if len(m.operations) == 0 {
			return false, nil
		}
		m.operations = slices.Clone(m.operations)
		o := &m.operations[r.IntN(len(m.operations))]
		var more []Line
		switch r.IntN(3) {
		case 0:
			o.Result, o.Text = "interrupted", note
		case 1:
			o.Ended, o.Result, o.Text = at, "done", note
		default:
			for range r.IntN(3) {
				more = append(more, Line{Time: at, Type: "end", Process: "web:web_0", PID: r.IntN(3)})
			}
			o.Done += len(more)
		}
		m.lines[o.ID] = slices.Concat(m.lines[o.ID], more)
		if !o.Ended.IsZero() {
			delete(m.lines, o.ID)
		}
		return false, s.SetOperation(*o, more...)
	case 9, 10:
		g := Generation{When: at, Who: who, Op: "op-1", Result: "applying", Summary: note}
		for range r.IntN(3) {
			g.Files = append(g.Files, File{"/etc/x.conf", "00"})
		}
		for _, n := range universe[:r.IntN(3)] {
			g.Groups = append(g.Groups, process.GroupSpec{Name: n.Group, Priority: r.IntN(2), Processes: []process.Spec{{Name: n.Process, Command: who}}})
		}
		rev, err := s.AddGeneration(g)
		g.Rev = rev
		m.generations = append(m.generations, g)
		m.generations = m.generations[max(0, len(m.generations)-m.limits.Generations):]
		return true, err
	default:
		if len(m.generations) == 0 {
			return true, nil
		}
		g := &m.generations[r.IntN(len(m.generations))]
		g.Result = "rolled back"
		if note != "" {
			g.Summary = note
		}
		return true, s.SetResult(g.Rev, g.Result, note)
	}
}

// reopen opens a store as a test has it: with its limits.
func reopen(t *testing.T, d disk, now func() time.Time) (*Store, []Notice) {
	t.Helper()
	s, notices, err := open(d, now)
	if err != nil {
		t.Fatal(err)
	}
	s.limits = newModel().limits
	return s, notices
}

// TestModel does random things to a store and a model of it. Now and then the store is closed or its daemon killed, and opened again; now and then
// it compacts; and for some steps its disk may fail, which the memory must not notice.
func TestModel(t *testing.T) {
	r := newRand(t)
	now := clock()
	for run := range 60 {
		d, m := newMemDisk(), newModel()
		s, _ := reopen(t, d, now)
		for range 150 {
			switch r.IntN(30) {
			case 0:
				if err := s.Close(); err != nil && d.fail == nil {
					t.Fatal(err)
				} else if err != nil && !errors.Is(err, ErrNotKept) {
					t.Fatalf("closed with %v", err)
				} else if err != nil {
					d.fail = nil // what could not be kept is gone: from here on the model knows nothing
					m = nil
				}
			case 1:
				if s.Lag() != nil {
					continue
				}
				d = d.afterKill()
			case 2:
				if err := s.Compact(); (err == nil) != (d.fail == nil) {
					t.Fatalf("compact: %v while the disk says %v", err, d.fail)
				}
				continue
			case 3:
				d.fail, d.partial = []error{full, readOnly}[r.IntN(2)], r.IntN(300)
				continue
			case 4, 5, 6:
				d.fail = nil
				continue
			default:
				_, err := m.step(s, r, now)
				if err != nil && (d.fail == nil || !errors.Is(err, ErrNotKept) || !errors.Is(err, d.fail)) {
					t.Fatalf("step: %v while the disk says %v", err, d.fail)
				}
				if diff := m.differs(s); diff != "" {
					t.Fatalf("run %d: %s", run, diff)
				}
				continue
			}
			if m == nil {
				break
			}
			d.fail = nil
			var notices []Notice
			if s, notices = reopen(t, d, now); len(notices) > 0 {
				t.Fatalf("opened with %v", notices)
			}
			if diff := m.differs(s); diff != "" {
				t.Fatalf("run %d, opened again: %s", run, diff)
			}
		}
	}
}
