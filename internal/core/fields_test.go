package core

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/event"
)

// savedFields says of every field of what a machine is made of how Restore comes by it: kept in the Snapshot, or derived from what is. Who adds a
// field adds it to the Snapshot as well, or says here how it is found again.
var savedFields = map[reflect.Type]struct{ kept, derived string }{
	reflect.TypeFor[Supervisor](): {
		kept: "now groups lastID due revision requests sent lastToken serial clock marks ops lines quit halted",
		derived: `
			opts: given to Restore, but for the identifier, which is kept
			out: empty between two steps
			settled: empty between two steps
			shifted: false between two steps
			stirred: false between two steps
			pending: counted
			dependers: nil between two steps
			moved: empty between two steps
			named: by the names of groups
			procs: all members
			pools: those of groups, in their order
			wanted: what pools want`,
	},
	reflect.TypeFor[group](): {
		kept: "spec rank members pool departed breaker ending endOp successor",
		derived: `
			byName: by the names of members
			unstopped: counted`,
	},
	reflect.TypeFor[proc](): {
		kept: `id incarnation group name spec state pid spawning fate tries restarts short starts held gated anew forlorn lastly extra fallen last hasLast lazy again abandoned started startSecs began ended exit hasExit spawnErr fit unfit unmet watched sick hung
			listener holds deaf due report waiters step unsent reason draining hook fresh stopStep killed`,
	},
	reflect.TypeFor[pool](): {
		kept: "spec buffer serial served",
		derived: `
			group: the one that has it
			wants: by its spec
			exempt: counted`,
	},
	reflect.TypeFor[breaker](): {kept: "ends open opened closed probe failed due"},
	reflect.TypeFor[queued](): {
		kept:    "typ serial poolSerial payload about exempt",
		derived: `render: called by Snapshot`,
	},
	reflect.TypeFor[request]():    {kept: "reply single left op"},
	reflect.TypeFor[waiter]():     {kept: "request what text stopped step"},
	reflect.TypeFor[signalWish](): {kept: "request signal text"},
	reflect.TypeFor[operation]():  {kept: "id request cancelled paused acting"},
	reflect.TypeFor[acting]():     {kept: "waiting most busy stops now again refused"},
	reflect.TypeFor[step](): {
		kept:    "op change group proc line then under ended starts running oldPID old undo trial due",
		derived: `waits: those that stand in a line, or in that of an Act`,
	},
	reflect.TypeFor[line]():      {kept: "op group roll waiting busy done after cause undoing due surges spares extras failed"},
	reflect.TypeFor[sending]():   {kept: "kind effect proc incarnation request event hook text"},
	reflect.TypeFor[hook]():      {kept: "due late"},
	reflect.TypeFor[quit]():      {kept: "restart queue sent code report"},
	reflect.TypeFor[clock]():     {kept: "running slices from until due"},
	reflect.TypeFor[deadlines](): {kept: "seq", derived: "heap: by the places of deadlines"},
	reflect.TypeFor[deadline](): {
		kept: "at seq index",
		derived: `
			fire: by what has it
			proc: the one that has it
			group: the one that has it
			step: the one that has it
			line: the one that has it
			token: that of the command that has it`,
	},
	reflect.TypeFor[event.Listener](): {kept: "state buf result"}, // by event.SavedListener
}

// TestFieldsAreSaved checks that list against the structures, as far as they can be reached from a machine.
func TestFieldsAreSaved(t *testing.T) {
	seen := map[reflect.Type]bool{}
	checkSaved(t, reflect.TypeFor[Supervisor](), seen)
	for typ := range savedFields {
		if !seen[typ] {
			t.Errorf("no machine has a %v", typ)
		}
	}
	// A saved twin has as many fields as are kept, where it is one.
	for typ, saved := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[proc](): reflect.TypeFor[SavedProcess](), reflect.TypeFor[queued](): reflect.TypeFor[SavedEvent](),
		reflect.TypeFor[request](): reflect.TypeFor[SavedRequest](), reflect.TypeFor[waiter](): reflect.TypeFor[SavedWaiter](),
		reflect.TypeFor[signalWish](): reflect.TypeFor[SavedWish](), reflect.TypeFor[operation](): reflect.TypeFor[SavedOperation](), reflect.TypeFor[acting](): reflect.TypeFor[SavedActing](),
		reflect.TypeFor[step](): reflect.TypeFor[SavedStep](), reflect.TypeFor[line](): reflect.TypeFor[SavedLine](),
		reflect.TypeFor[quit](): reflect.TypeFor[SavedQuit](), reflect.TypeFor[clock](): reflect.TypeFor[SavedClock](),
		reflect.TypeFor[breaker]():  reflect.TypeFor[SavedBreaker](),
		reflect.TypeFor[deadline](): reflect.TypeFor[SavedDeadline](), reflect.TypeFor[pool](): reflect.TypeFor[SavedPool](),
		reflect.TypeFor[event.Listener](): reflect.TypeFor[event.SavedListener](),
	} {
		if kept := len(strings.Fields(savedFields[typ].kept)); kept != saved.NumField() {
			t.Errorf("%v keeps %d fields, and %v has %d", typ, kept, saved, saved.NumField())
		}
	}
}

// checkSaved looks at a type and at all that it leads to. What other packages show openly is plain data, which is copied.
func checkSaved(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		checkSaved(t, typ.Elem(), seen)
		return
	case reflect.Map:
		checkSaved(t, typ.Key(), seen)
		checkSaved(t, typ.Elem(), seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if typ.PkgPath() == "time" || seen[typ] {
		return
	}
	seen[typ] = true
	listed, ok := savedFields[typ]
	if !ok {
		for i := range typ.NumField() {
			if f := typ.Field(i); !f.IsExported() {
				t.Errorf("%v.%s is not open, and the list of what is saved does not have %v", typ, f.Name, typ)
			}
		}
	}
	names := map[string]bool{}
	for _, name := range strings.Fields(listed.kept) {
		names[name] = true
	}
	for line := range strings.Lines(listed.derived) {
		if name, how, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && how != "" {
			names[name] = true
		}
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if ok && !names[f.Name] {
			t.Errorf("%v.%s is neither kept nor derived: add it to the Snapshot and to the list in this file", typ, f.Name)
		}
		delete(names, f.Name)
		checkSaved(t, f.Type, seen)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t.Errorf("%v has no %s", typ, name)
	}
}
