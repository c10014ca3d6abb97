package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// table holds the records of one kind, each as it is written and as it is meant.
type table[T any] struct {
	kind    string
	version int            // of the records that this program writes, and the highest that it understands
	keyOf   func(T) string // "" for a value that cannot be
	rows    map[string]row[T]
}

type row[T any] struct {
	record
	value T
}

// tabler is a table of any type.
type tabler interface {
	kindName() string
	put(record) error
	remove(key string)
	records() []record // in the order of their keys
}

func newTable[T any](kind string, version int, keyOf func(T) string) *table[T] {
	return &table[T]{kind, version, keyOf, map[string]row[T]{}}
}

func (t *table[T]) kindName() string  { return t.kind }
func (t *table[T]) remove(key string) { delete(t.rows, key) }

func (t *table[T]) put(r record) error {
	if r.Version < 1 || r.Version > t.version {
		return fmt.Errorf("version %d is not known to this program, which knows %d", r.Version, t.version)
	}
	var v T
	if err := json.Unmarshal(r.Data, &v); err != nil {
		return fmt.Errorf("cannot read the record: %v", err)
	}
	if t.keyOf(v) != r.Key {
		return fmt.Errorf("the record is about something else: %q", t.keyOf(v))
	}
	t.rows[r.Key] = row[T]{r, v}
	return nil
}

func (t *table[T]) keys() []string {
	keys := make([]string, 0, len(t.rows))
	for key := range t.rows {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, process.CompareNatural)
	return keys
}

func (t *table[T]) records() []record {
	keys := t.keys()
	out := make([]record, len(keys))
	for i, key := range keys {
		out[i] = t.rows[key].record
	}
	return out
}

// values returns what the records mean, in the order of their keys.
func (t *table[T]) values() []T {
	keys := t.keys()
	out := make([]T, len(keys))
	for i, key := range keys {
		out[i] = t.rows[key].value
	}
	return out
}

// set returns the record that makes v true in place of whatever there was.
func (t *table[T]) set(v T) (record, error) {
	data, err := encode(v)
	if err != nil {
		return record{}, fmt.Errorf("%w: %s: %v", ErrInvalid, t.kind, err)
	}
	r := record{Kind: t.kind, Key: t.keyOf(v), Version: t.version, Data: data}
	if r.Key == "" {
		return record{}, fmt.Errorf("%w: %s: it has no name", ErrInvalid, t.kind)
	}
	if err := newTable(t.kind, t.version, t.keyOf).put(r); err != nil {
		return record{}, fmt.Errorf("%w: %s: %v", ErrInvalid, t.kind, err)
	}
	return r, nil
}

// update is set for a record that goes on: it keeps the fields of the one called key that this program does not know.
func (t *table[T]) update(key string, v T) (record, error) {
	r, err := t.set(v)
	if err == nil {
		r.Data = merge(t.rows[key].Data, r.Data)
	}
	return r, err
}

// gone returns the record that removes one.
func (t *table[T]) gone(key string) record { return record{Kind: t.kind, Key: key, Gone: true} }

// nextNumber returns the first number that no record of a kind has had; their keys are the prefix and a number. Records that this program
// cannot read count.
func nextNumber[T any](s *Store, t *table[T], prefix string) int {
	next := 1
	see := func(key string) {
		digits, _ := strings.CutPrefix(key, prefix)
		if n, err := strconv.Atoi(digits); err == nil {
			next = max(next, n+1)
		}
	}
	for key := range t.rows {
		see(key)
	}
	for at := range s.opaque {
		if at[0] == t.kind {
			see(at[1])
		}
	}
	return next
}

func sortedOpaque(opaque map[[2]string]record) []record {
	out := make([]record, 0, len(opaque))
	for _, r := range opaque {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b record) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return process.CompareNatural(a.Key, b.Key)
	})
	return out
}
