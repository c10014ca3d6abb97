package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/process"
)

// Operations and generations are called by their number behind these, in the files and by people.
const (
	operationPrefix  = "op-"
	generationPrefix = "r"
)

// Operation is one thing that was done, or is being done, on somebody's behalf.
type Operation struct {
	ID     int       `json:"id"`   // from 1
	Kind   string    `json:"kind"` // what was asked for, e.g. "update"
	Who    string    `json:"who"`
	Plan   string    `json:"plan"`             // its identifier
	Began  time.Time `json:"began"`            // set by the store where it is zero
	Ended  time.Time `json:"ended,omitzero"`   // zero: under way, or cut off by the end of an earlier daemon
	Result string    `json:"result"`           // one word, e.g. "done"; "" until somebody knows how it ended
	Text   string    `json:"text"`             // more about that
	Steps  int       `json:"steps"`            // processes that it touches
	Done   int       `json:"done"`             // of these are over
	Failed string    `json:"failed,omitempty"` // the process because of which it was taken back
	To     int       `json:"to,omitempty"`     // the generation that it goes back to
}

func (o Operation) key() string {
	if o.ID < 1 {
		return ""
	}
	return operationPrefix + strconv.Itoa(o.ID)
}

// Line is one thing that happened in an operation.
type Line struct {
	Time    time.Time `json:"t"`
	Type    string    `json:"type"`
	Process string    `json:"process"`
	From    string    `json:"from,omitempty"`
	Action  string    `json:"action"`
	OldPID  int       `json:"old_pid,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Error   string    `json:"error,omitempty"`
	Skipped bool      `json:"skipped,omitempty"`
	Undo    bool      `json:"undo,omitempty"`
	Text    string    `json:"text,omitempty"`
	Output  string    `json:"output,omitempty"`  // the last lines that it wrote
	Channel string    `json:"channel,omitempty"` // of the output
	// FaultCode is the number of the error in the control protocol; 0 = it has none.
	FaultCode int `json:"fault_code,omitempty"`
}

// storedLine is a line with its place: the number of its operation, and its own in that, from 1.
type storedLine struct {
	Op int `json:"op"`
	N  int `json:"n"`
	Line
}

func (l storedLine) key() string {
	if l.Op < 1 || l.N < 1 {
		return ""
	}
	return Operation{ID: l.Op}.key() + "/" + strconv.Itoa(l.N)
}

// SetOperation says what an operation is now, and adds lines to those that it has. With an end it needs its lines no more, and they go: they tell what
// an operation had done that never came to its end. The oldest operations go when there are too many: those of which the result is known first.
// Operations outlive the daemon, but the last words about them perhaps not the machine's sudden end.
func (s *Store) SetOperation(o Operation, more ...Line) error {
	return s.change(false, func() ([]record, error) {
		o.Began = s.when(o.Began)
		r, err := s.operations.update(o.key(), o)
		if err != nil {
			return nil, err
		}
		var out []record
		if _, known := s.operations.rows[o.key()]; !known {
			out = s.surplusOperations(1)
		}
		out = append(out, r)
		if !o.Ended.IsZero() {
			return append(out, s.goneLines(o.ID)...), nil
		}
		n := len(s.linesOf(o.ID))
		for i, l := range more {
			l.Time = s.when(l.Time)
			r, err := s.lines.set(storedLine{o.ID, n + i + 1, l})
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	})
}

// linesOf returns the lines of an operation, without a gap.
func (s *Store) linesOf(id int) []Line {
	var out []Line
	for {
		r, ok := s.lines.rows[storedLine{Op: id, N: len(out) + 1}.key()]
		if !ok {
			return out
		}
		out = append(out, r.value.Line)
	}
}

// goneLines returns the removal of the lines of an operation.
func (s *Store) goneLines(id int) []record {
	var out []record
	for i := range s.linesOf(id) {
		out = append(out, s.lines.gone(storedLine{Op: id, N: i + 1}.key()))
	}
	return out
}

// surplusOperations returns the removal of what is too much, with more about to be added.
func (s *Store) surplusOperations(more int) []record {
	n := len(s.operations.rows) + more - s.limits.Operations
	if n <= 0 {
		return nil
	}
	list := s.operations.values()
	slices.SortStableFunc(list, func(a, b Operation) int {
		switch {
		case (a.Result == "") == (b.Result == ""):
			return 0
		case b.Result == "":
			return -1
		}
		return 1
	})
	var out []record
	for _, o := range list[:min(n, len(list))] {
		out = append(append(out, s.operations.gone(o.key())), s.goneLines(o.ID)...)
	}
	return out
}

// Operations returns those that are kept, oldest first.
func (s *Store) Operations() []Operation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.operations.values()
}

// Lines returns what happened in an operation that has no end.
func (s *Store) Lines(id int) []Line {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.linesOf(id)
}

// NextOperation returns the first number that no operation has had.
func (s *Store) NextOperation() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return nextNumber(s, s.operations, operationPrefix)
}

// File is a configuration file as it was read.
type File struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // of its content, in hexadecimal
}

// Generation is a configuration that came into force, or was to.
type Generation struct {
	Rev     int       `json:"rev"`  // given by the store, from 1: r1, r2, ...
	When    time.Time `json:"when"` // set by the store where it is zero
	Who     string    `json:"who"`
	Op      string    `json:"op"`      // the operation that brought it, e.g. "op-31"
	Result  string    `json:"result"`  // one word, e.g. "applied"
	Summary string    `json:"summary"` // what changed, for a line in a list
	Files   []File    `json:"files"`   // in the order in which they were read

	// Groups are the effective settings: every group with every process. They hold secrets.
	Groups []process.GroupSpec `json:"-"`
}

// storedGeneration is what a generation's record says. Groups that generations share are stored once, each in a record of its own, and named here.
type storedGeneration struct {
	Generation
	GroupKeys []string `json:"groups"`
}

func (g storedGeneration) key() string {
	if g.Rev < 1 {
		return ""
	}
	return generationPrefix + strconv.Itoa(g.Rev)
}

// storedGroup stands for the settings of a group: it is the hash that their record has as its key. The settings themselves are the record's data.
type storedGroup string

func (g storedGroup) key() string { return string(g) }

// UnmarshalJSON takes the hash of the settings.
func (g *storedGroup) UnmarshalJSON(data []byte) error {
	sum := sha256.Sum256(data)
	*g = storedGroup(hex.EncodeToString(sum[:16]))
	return nil
}

// AddGeneration enters a generation and returns its number, which is valid also with ErrNotKept. The oldest ones go when there are too many.
func (s *Store) AddGeneration(g Generation) (rev int, err error) {
	var groups []json.RawMessage // made before other setters have to wait
	for _, group := range g.Groups {
		data, err := encode(mapStrings(reflect.ValueOf(group), escape).Interface())
		if err != nil {
			return 0, fmt.Errorf("%w: group %s: %v", ErrInvalid, group.Name, err)
		}
		groups = append(groups, data)
	}
	err = s.change(true, func() ([]record, error) {
		stored := storedGeneration{Generation: g, GroupKeys: []string{}}
		stored.When = s.when(g.When)
		stored.Rev = nextNumber(s, s.history, generationPrefix)
		var out []record
		for _, data := range groups {
			var hash storedGroup
			if err := hash.UnmarshalJSON(data); err != nil {
				return nil, err
			}
			if _, ok := s.groups.rows[hash.key()]; !ok && !slices.Contains(stored.GroupKeys, hash.key()) {
				out = append(out, record{Kind: s.groups.kind, Key: hash.key(), Version: s.groups.version, Data: data})
			}
			stored.GroupKeys = append(stored.GroupKeys, hash.key())
		}
		r, err := s.history.set(stored)
		if err != nil {
			return nil, err
		}
		rev = stored.Rev
		return append(append(out, r), s.surplusGenerations(&stored)...), nil
	})
	return rev, err
}

// surplusGenerations returns the removal of what is too much, and of the groups that then nothing refers to. next is about to be added; nil: none.
func (s *Store) surplusGenerations(next *storedGeneration) []record {
	list := s.history.values()
	if next != nil {
		list = append(list, *next)
	}
	n := len(list) - s.limits.Generations
	if n <= 0 {
		return nil
	}
	var out []record
	for _, g := range list[:n] {
		out = append(out, s.history.gone(g.key()))
	}
	if s.unread(s.history.kind) {
		return out
	}
	used := usedGroups(list[n:])
	for _, g := range list[:n] {
		for _, key := range g.GroupKeys {
			if _, ok := s.groups.rows[key]; ok && !used[key] {
				used[key] = true // goes once
				out = append(out, s.groups.gone(key))
			}
		}
	}
	return out
}

// usedGroups returns the keys of the groups that generations refer to.
func usedGroups(list []storedGeneration) map[string]bool {
	used := map[string]bool{}
	for _, g := range list {
		for _, key := range g.GroupKeys {
			used[key] = true
		}
	}
	return used
}

// unread reports whether there are records of a kind that only another version of this program can read. While there are such generations, any
// group may be theirs.
func (s *Store) unread(kind string) bool {
	for at := range s.opaque {
		if at[0] == kind {
			return true
		}
	}
	return false
}

// dropOrphans forgets groups that no generation refers to and lines without an operation: theirs was lost with the end of a damaged file.
func (s *Store) dropOrphans() {
	for _, l := range s.lines.values() {
		if _, ok := s.operations.rows[Operation{ID: l.Op}.key()]; !ok && !s.unread(s.operations.kind) {
			s.lines.remove(l.key())
		}
	}
	if s.unread(s.history.kind) {
		return
	}
	used := usedGroups(s.history.values())
	for _, key := range s.groups.keys() {
		if !used[key] {
			s.groups.remove(key)
		}
	}
}

// SetResult says how the change that brought a generation ended. An empty summary leaves the one that it has. ErrUnknown where there is no such
// generation, or no longer.
func (s *Store) SetResult(rev int, result, summary string) error {
	return s.change(true, func() ([]record, error) {
		key := storedGeneration{Generation: Generation{Rev: rev}}.key()
		r, ok := s.history.rows[key]
		if !ok {
			return nil, fmt.Errorf("generation r%d: %w", rev, ErrUnknown)
		}
		g := r.value
		g.Result = result
		if summary != "" {
			g.Summary = summary
		}
		return one(s.history.update(key, g))
	})
}

// Generations returns those that are kept, oldest first and without their Groups: see Generation.
func (s *Store) Generations() []Generation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []Generation{}
	for _, g := range s.history.values() {
		g.Files = slices.Clone(g.Files)
		out = append(out, g.Generation)
	}
	return out
}

// Generation returns one generation with its Groups. ErrUnknown where it is not kept; any other error says which of its settings this program
// cannot read.
func (s *Store) Generation(rev int) (Generation, error) {
	s.mu.RLock()
	r, ok := s.history.rows[storedGeneration{Generation: Generation{Rev: rev}}.key()]
	data := make([]json.RawMessage, len(r.value.GroupKeys)) // of records, which never change
	for i, key := range r.value.GroupKeys {
		data[i] = s.groups.rows[key].Data
	}
	s.mu.RUnlock()
	if !ok {
		return Generation{}, fmt.Errorf("generation r%d: %w", rev, ErrUnknown)
	}
	g := r.value.Generation
	g.Files = slices.Clone(g.Files)
	for i, text := range data {
		if text == nil {
			return Generation{}, fmt.Errorf("cannot read generation r%d: group %d of %d is lost", rev, i+1, len(data))
		}
		var group process.GroupSpec
		if err := json.Unmarshal(text, &group); err != nil {
			return Generation{}, fmt.Errorf("cannot read generation r%d: group %d of %d: %v", rev, i+1, len(data), err)
		}
		if group.Kind < process.KindProgram || group.Kind > process.KindFCGI {
			return Generation{}, fmt.Errorf("cannot read generation r%d: group %s is of kind %d", rev, group.Name, int(group.Kind))
		}
		g.Groups = append(g.Groups, mapStrings(reflect.ValueOf(group), unescape).Interface().(process.GroupSpec))
	}
	return g, nil
}

// SetLimits changes how much history is kept, and forgets what is too much at once.
func (s *Store) SetLimits(l Limits) error {
	return s.change(true, func() ([]record, error) {
		s.limits = l.withDefaults()
		return append(s.surplusOperations(0), s.surplusGenerations(nil)...), nil
	})
}

func (l Limits) withDefaults() Limits {
	if l.Generations <= 0 {
		l.Generations = 100
	}
	if l.Operations <= 0 {
		l.Operations = 200
	}
	return l
}

// JSON has no bytes that are not UTF-8, while an environment variable may have any: such a text is stored quoted as in Go, behind a NUL, which
// no text of a process can begin with.
const quoted = "\x00"

func escape(s string) string {
	if utf8.ValidString(s) && (s == "" || s[:1] != quoted) {
		return s
	}
	return quoted + strconv.QuoteToASCII(s)
}

func unescape(s string) string {
	if s == "" || s[:1] != quoted {
		return s
	}
	plain, err := strconv.Unquote(s[1:])
	if err != nil {
		return s
	}
	return plain
}

// mapStrings returns a deep copy of v with every string in it replaced.
func mapStrings(v reflect.Value, f func(string) string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch {
	case v.Kind() == reflect.String:
		out.SetString(f(v.String()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(mapStrings(v.Field(i), f))
		}
	case v.Kind() == reflect.Slice && !v.IsNil():
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(mapStrings(v.Index(i), f))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(mapStrings(v.Elem(), f))
	default:
		out.Set(v)
	}
	return out
}
