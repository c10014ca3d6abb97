package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// TestFiles checks what is on a real disk: modes, whatever the umask and an administrator did, and text that people and jq can read.
func TestFiles(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "lib", "graced")
	s, notices, err := Open(dir, clock())
	if err != nil || len(notices) > 0 {
		t.Fatal(err, notices)
	}
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold, Who: "anna", Note: "a < b && c"}))
	must(t, s.Compact())
	must(t, s.SetOverride(Override{Group: "web", Count: 5, Who: "anna"}))
	modes := func() {
		t.Helper()
		if mode := stat(t, dir).Mode().Perm(); mode != 0o700 {
			t.Errorf("directory: %04o", mode)
		}
		for _, name := range []string{snapshotName, journalName, lockName} {
			if mode := stat(t, filepath.Join(dir, name)).Mode().Perm(); mode != 0o600 {
				t.Errorf("%s: %04o", name, mode)
			}
		}
	}
	modes()
	snapshot, journal := readFile(t, filepath.Join(dir, snapshotName)), readFile(t, filepath.Join(dir, journalName))
	wantSnapshot := `{"sum":"...","state":"graced","seq":1,"count":1,"records":[
{"sum":"...","kind":"mark","key":"web:*","v":1,"data":{"group":"web","process":"","kind":"hold","who":"anna","when":"2026-01-02T03:04:06Z","note":"a < b && c"}}
]}
`
	wantJournal := `{"sum":"...","seq":2,"kind":"override","key":"web","v":1,"data":{"group":"web","count":5,"who":"anna","when":"2026-01-02T03:04:07Z","note":""}}
`
	if got := withoutSums(snapshot); got != wantSnapshot || !json.Valid([]byte(snapshot)) {
		t.Errorf("snapshot:\n%s\nwant\n%s", got, wantSnapshot)
	}
	if got := withoutSums(journal); got != wantJournal || !json.Valid([]byte(journal)) {
		t.Errorf("journal:\n%s\nwant\n%s", got, wantJournal)
	}
	must(t, s.Close())
	must(t, s.Close())

	syscall.Umask(0o777)
	must(t, os.Chmod(filepath.Join(dir, journalName), 0o666))
	s, notices, err = Open(dir, clock())
	if err != nil || len(notices) > 0 || len(s.Marks()) != 1 || len(s.Overrides()) != 1 {
		t.Fatal(err, notices, s.Marks(), s.Overrides())
	}
	must(t, s.Compact())
	modes()
	must(t, s.Close())

	must(t, os.Chmod(dir, 0o770))
	s, notices, err = Open(dir, clock())
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0].Text, "others may write into the directory (mode 0770)") {
		t.Error(err, notices)
	}
	must(t, s.Close())
	if mode := stat(t, dir).Mode().Perm(); mode != 0o770 {
		t.Errorf("the mode of a directory that was there is now %04o", mode)
	}
}

// withoutSums leaves the checksums out of a file.
func withoutSums(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		if rest, ok := strings.CutPrefix(l, sumHead); ok {
			lines[i] = sumHead + "..." + rest[8:]
		}
	}
	return strings.Join(lines, "")
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info
}

// TestTwoDaemons opens a directory twice, also from two processes.
func TestTwoDaemons(t *testing.T) {
	dir := t.TempDir()
	if shared := os.Getenv("STORE_TEST_DIR"); shared != "" {
		_, _, err := Open(shared, nil)
		fmt.Println(err)
		os.Exit(0)
	}
	s, _, err := Open(dir, nil)
	must(t, err)
	want := fmt.Sprintf("cannot open %s: another daemon uses this state directory (pid %d)", dir, os.Getpid())
	if second, _, err := Open(dir, nil); second != nil || !errors.Is(err, ErrInUse) || err.Error() != want {
		t.Errorf("second: %v, want %s", err, want)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestTwoDaemons$")
	cmd.Env = append(os.Environ(), "STORE_TEST_DIR="+dir)
	if out, err := cmd.Output(); err != nil || string(out) != want+"\n" {
		t.Errorf("second process: %s %v", out, err)
	}
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
	must(t, s.Close())
	s, notices, err := Open(dir, nil)
	if err != nil || len(notices) > 0 || len(s.Marks()) != 1 {
		t.Errorf("after the first has gone: %v %v", err, notices)
	}
	must(t, s.Close())
}

// TestLockInChild closes a store while a child has its descriptors, as one that is being forked does: the directory is free all the same.
func TestLockInChild(t *testing.T) {
	dir := t.TempDir()
	s, _, err := Open(dir, nil)
	must(t, err)
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	inherited := -1
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to == filepath.Join(dir, lockName) {
			n, err := strconv.Atoi(fd.Name())
			must(t, err)
			inherited, err = syscall.Dup(n)
			must(t, err)
		}
	}
	if inherited < 0 {
		t.Fatal("the lock file is not open")
	}
	defer syscall.Close(inherited)
	must(t, s.Close())
	s, _, err = Open(dir, nil)
	must(t, err)
	must(t, s.Close())
}

// TestLockLater has a directory that could not be locked at first, and then was by somebody else: nothing is written to it.
func TestLockLater(t *testing.T) {
	d := newMemDisk()
	d.broken["lock"] = errors.New("no locks")
	s, notices := reopen(t, d, clock())
	if len(notices) != 1 || notices[0].String() != "cannot lock the directory: lock: no locks" {
		t.Errorf("%v", notices)
	}
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
	d.inUse = true
	before := d.text(journalName)
	for _, set := range []func() error{func() error { return s.SetMark(Mark{Group: "api", Kind: Hold}) }, s.Compact, s.Close} {
		if err := set(); !errors.Is(err, ErrNotKept) || !errors.Is(err, ErrInUse) {
			t.Errorf("in use by another: %v", err)
		}
	}
	if d.text(journalName) != before {
		t.Error("written to a directory that another daemon uses")
	}
}

// TestNoDirectory has a path that cannot be a directory.
func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "")
	s, notices, err := Open(filepath.Join(path, "state"), clock())
	if err != nil || len(notices) == 0 || !strings.Contains(notices[0].Text, "not a directory") {
		t.Fatal(err, notices)
	}
	if err := s.SetMark(Mark{Group: "web", Kind: Hold}); !errors.Is(err, ErrNotKept) || !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
	if _, ok := s.Mark(process.Namespec{Group: "web"}); !ok {
		t.Error("the mark is not in force")
	}
	if err := s.Close(); !errors.Is(err, ErrNotKept) {
		t.Error(err)
	}
}

// TestMemory has no directory at all.
func TestMemory(t *testing.T) {
	s, notices, err := Open("", nil)
	if err != nil || len(notices) > 0 {
		t.Fatal(err, notices)
	}
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold}))
	must(t, s.Compact())
	must(t, s.Close())
	if err := s.SetMark(Mark{Group: "api", Kind: Hold}); !errors.Is(err, ErrClosed) || len(s.Marks()) != 1 {
		t.Error(err, s.Marks())
	}
	if err := s.Compact(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if m := s.Marks()[0]; time.Since(m.When) > time.Hour || m.When.Location() != time.UTC {
		t.Errorf("the time of a mark is %v", m.When)
	}
}

// TestInvalid checks that what is refused changes nothing.
func TestInvalid(t *testing.T) {
	s, _, _ := Open("", clock())
	never := time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for what, err := range map[string]error{
		"no group":         s.SetOverride(Override{Count: 1}),
		"colon":            s.SetOverride(Override{Group: "a:b", Count: 1}),
		"negative":         s.SetOverride(Override{Group: "a", Count: -1}),
		"a year":           s.SetOverride(Override{Group: "a", When: never}),
		"kind":             s.SetMark(Mark{Group: "a", Kind: "freeze"}),
		"bytes":            s.SetMark(Mark{Group: "\xff", Kind: Hold}),
		"star":             s.SetMark(Mark{Group: "a", Process: "*", Kind: Hold}),
		"no number":        s.SetOperation(Operation{}),
		"a line's year":    s.SetOperation(Operation{ID: 1}, Line{Time: never}),
		"rename":           s.RenameProcess("a", "b", ""),
		"rename elsewhere": s.RenameProcess("a", "b", "c:d"),
		"operation":        s.SetOperation(Operation{ID: 1, Began: never}),
		"generation":       second(s.AddGeneration(Generation{When: never})),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{"result": s.SetResult(0, "", ""), "get": second(s.Generation(1))} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := dump(s); got != "" || s.seq != 0 {
		t.Errorf("there is now %s", got)
	}
}

func second[T any](_ T, err error) error { return err }

// TestMarkText checks texts that JSON cannot say: what is in memory is what will be read again.
func TestMarkText(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	must(t, s.SetMark(Mark{Group: "web", Kind: Hold, Who: "caf\xe9", Note: "a\nb", When: time.Date(2026, 1, 1, 0, 0, 0, 5, time.FixedZone("X", 3600))}))
	again, _ := reopen(t, d.afterKill(), clock())
	if got, want := again.Marks(), s.Marks(); !reflect.DeepEqual(got, want) || got[0].Who != "caf\ufffd" {
		t.Errorf("%+v became %+v", want, got)
	}
}

// TestRename moves what is said about a process to its new name.
func TestRename(t *testing.T) {
	s, _, _ := Open("", clock())
	must(t, s.SetMark(Mark{Group: "web", Process: "web", Kind: Hold, Note: "moved"}))
	must(t, s.SetMark(Mark{Group: "web", Process: "web_0", Kind: Disable}))
	must(t, s.RenameProcess("web", "web", "web_0"))
	must(t, s.RenameProcess("web", "web_0", "web_0"))
	must(t, s.RenameProcess("web", "nobody", "web_0"))
	if marks := s.Marks(); len(marks) != 1 || marks[0].Process != "web_0" || marks[0].Note != "moved" {
		t.Errorf("%+v", marks)
	}
}

// TestOlderProgram takes over the directory of a newer one and hands it back: nothing of what it does not understand is lost.
func TestOlderProgram(t *testing.T) {
	lines := []string{
		`{"kind":"mark","key":"a:*","v":1,"data":{"group":"a","process":"","kind":"hold","who":"x","when":"2026-01-01T00:00:00Z","note":"","until":"2027-01-01T00:00:00Z"}}`,
		`{"kind":"mark","key":"b:*","v":2,"data":{"name":"b:*"}}`,
		`{"kind":"mark","key":"c:*","v":1,"data":{"group":"c","process":"","kind":"freeze"}}`,
		`{"kind":"mark","key":"d:*","v":2,"data":{"name":"d:*"}}`,
		`{"kind":"operation","key":"op-7","v":1,"data":{"id":7,"kind":"update","who":"x","began":"2026-01-01T00:00:00Z","result":"","text":"","mood":{"b":1.50,"a":[ ]}}}`,
		`{"kind":"operation","key":"op-9","v":2,"data":{}}`,
		`{"kind":"group","key":"h1","v":2,"data":{"name":"web"}}`,
		`{"kind":"group","key":"KEY","v":1,"data":{"Name":"web"}}`,
		`{"kind":"generation","key":"r4","v":2,"data":{"groups":["h1","KEY"]}}`,
		`{"kind":"sparkle","key":"s","v":3,"data":[1]}`,
	}
	var key storedGroup
	must(t, key.UnmarshalJSON([]byte(`{"Name":"web"}`)))
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "KEY", key.key())
	}
	text := fmt.Sprintf("!{\"state\":\"graced\",\"seq\":9,\"count\":%d,\"records\":[\n!%s\n]}\n", len(lines), strings.Join(lines, ",\n!"))
	d := newMemDisk().with(map[string]string{snapshotName: sealed(text), journalName: ""})
	s, notices := reopen(t, d, clock())
	var told []string
	for _, n := range notices {
		told = append(told, n.String())
	}
	const kept = "; it is kept as it is"
	if want := []string{
		"/state/state.json: mark b:*: version 2 is not known to this program, which knows 1" + kept,
		`/state/state.json: mark c:*: the record is about something else: ""` + kept,
		"/state/state.json: mark d:*: version 2 is not known to this program, which knows 1" + kept,
		"/state/state.json: operation op-9: version 2 is not known to this program, which knows 1" + kept,
		"/state/state.json: group h1: version 2 is not known to this program, which knows 1" + kept,
		"/state/state.json: generation r4: version 2 is not known to this program, which knows 1" + kept,
	}; !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	if len(s.Marks()) != 1 || len(s.Operations()) != 1 || len(s.Generations()) != 0 {
		t.Errorf("%v %v %v", s.Marks(), s.Operations(), s.Generations())
	}

	must(t, s.SetMark(Mark{Group: "d", Kind: Hold, When: time.Unix(0, 0)})) // a new word about d replaces what is not understood
	o := s.Operations()[0]
	o.Result = "applied"
	must(t, s.SetOperation(o))
	if id := s.NextOperation(); id != 10 {
		t.Errorf("operation %d", id)
	}
	must(t, s.SetLimits(Limits{Generations: 1}))
	for want := range 2 {
		rev, err := s.AddGeneration(Generation{When: time.Unix(0, 0), Groups: []process.GroupSpec{{Name: fmt.Sprint("g", want)}}})
		if rev != want+5 || err != nil {
			t.Errorf("generation %d, %v", rev, err)
		}
	}
	must(t, s.Compact())
	snapshot := unsealed(d.text(snapshotName))
	for i, l := range lines {
		want := strings.ReplaceAll(l, "[ ]", "[]")
		switch i {
		case 3:
			want = `"key":"d:*","v":1,`
		case 4:
			want = `"result":"applied","text":"","steps":0,"done":0,"mood":{"b":1.50,"a":[]}}}`
		}
		if strings.Count(snapshot, want) != 1 {
			t.Errorf("%s\nis not in\n%s", want, snapshot)
		}
	}
	if n := strings.Count(snapshot, `"kind":"group"`); n != 4 {
		t.Errorf("%d groups: those of a generation that cannot be read could be any", n)
	}
}

// TestStoredFormat reads files of the first version: whoever renames a member of process.GroupSpec has to go on reading them.
func TestStoredFormat(t *testing.T) {
	const when = "2026-01-02T03:04:05Z"
	at, err := time.Parse(time.RFC3339, when)
	must(t, err)
	want := Generation{
		Rev: 3, When: at, Who: "anna", Op: "op-2", Result: "applied", Summary: "web +1", Files: []File{{"/etc/supervisord.conf", "ab"}},
		Groups: []process.GroupSpec{
			{Name: "web", Kind: process.KindFCGI, Priority: 5, Origin: process.Origin{File: "/etc/a.conf", Line: 3}, Processes: []process.Spec{{
				Name: "web_0", Program: "web", Num: 1, Command: "/bin/web -x", Directory: "/srv", Umask: 18, UID: 33, Priority: 6, Autostart: true,
				Autorestart: process.RestartAlways, StartSecs: 2, StartRetries: 4, StopSignal: 15, StopWaitSecs: 11, StopAsGroup: true, KillAsGroup: true,
				ExitCodes: []int{0, 2}, RedirectStderr: true,
				Stdout: process.LogSpec{File: process.LogTarget{Kind: process.LogPath, Path: "/var/log/web"}, MaxBytes: 1, Backups: 2, CaptureMaxBytes: 3, EventsEnabled: true, Syslog: true},
				Stderr: process.LogSpec{File: process.LogTarget{Kind: process.LogNone}},
				Socket: process.SocketSpec{URL: "unix:///run/x", Backlog: 4, Mode: 0o700, UID: 1, GID: 2}, Environment: []process.Env{{Key: "LC", Value: "caf\xe9"}},
				ServerURL: "AUTO", Origin: process.Origin{File: "/etc/a.conf", Line: 4},
			}}},
			{Name: "l", Kind: process.KindEventListener, Listener: &process.ListenerSpec{
				Events: []string{"TICK_5"}, BufferSize: 10, ResultHandler: process.ResultHandlerDefault, CountBytes: true,
			}},
		},
	}
	d := newMemDisk().with(map[string]string{
		snapshotName: readFile(t, "testdata/v1/state.json"), journalName: readFile(t, "testdata/v1/journal.jsonl"),
	})
	s, notices := reopen(t, d, clock())
	if len(notices) > 0 {
		t.Fatal(notices)
	}
	got, err := s.Generation(3)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want\n%+v", got, err, want)
	}
	if got, want := s.Overrides(), []Override{{"web", 3, "", "anna", at, "busy"}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if got, want := s.Marks(), []Mark{{"web", "web_0", Disable, "anna", at, "why"}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if len(s.opaque) != 1 { // what users stopped: a kind of record that is not made any more
		t.Errorf("%+v", s.opaque)
	}
	if got, want := s.Operations(), []Operation{{ID: 2, Kind: "update", Who: "anna", Began: at, Ended: at, Result: "applied", Text: "web"}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestSettings stores groups in which every member has some value, and gets them back as they were.
func TestSettings(t *testing.T) {
	r := newRand(t)
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	var want []process.GroupSpec
	for range 50 {
		g := reflect.New(reflect.TypeFor[process.GroupSpec]()).Elem()
		randomize(r, g)
		want = append(want, g.Interface().(process.GroupSpec))
	}
	rev, err := s.AddGeneration(Generation{Groups: want})
	must(t, err)
	again, _ := reopen(t, d.afterKill(), clock())
	got, err := again.Generation(rev)
	must(t, err)
	for i := range want {
		if !reflect.DeepEqual(got.Groups[i], want[i]) {
			t.Fatalf("group %d: %+v, want\n%+v", i, got.Groups[i], want[i])
		}
	}
}

func randomize(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			randomize(r, v.Field(i))
		}
	case reflect.Slice:
		if r.IntN(4) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			randomize(r, v.Index(i))
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			randomize(r, v.Elem())
		}
	case reflect.String:
		v.SetString([]string{"", "x y", "caf\xe9", "\x00", "\x00\"q\"", "\u2028<>&\"\\", "%(here)s\n"}[r.IntN(7)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		switch v.Type() {
		case reflect.TypeFor[process.Kind]():
			v.SetInt(r.Int64N(4))
		default:
			v.SetInt(r.Int64() - r.Int64())
		}
	default:
		panic("a member of a new kind: " + v.Type().String())
	}
}

// TestSharedGroups checks that a group which generations share is on disk once, and goes with the last of them.
func TestSharedGroups(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	must(t, s.SetLimits(Limits{Generations: 3}))
	same := process.GroupSpec{Name: "same"}
	for i := range 6 {
		_, err := s.AddGeneration(Generation{Groups: []process.GroupSpec{same, same, {Name: fmt.Sprint("other", i/2)}}})
		must(t, err)
	}
	if keys := s.groups.keys(); len(keys) != 3 { // same, and those of generations 4 to 6
		t.Errorf("%d groups", len(keys))
	}
	must(t, s.SetLimits(Limits{Generations: 1}))
	if keys, list := s.groups.keys(), s.Generations(); len(keys) != 2 || len(list) != 1 || list[0].Rev != 6 {
		t.Errorf("%d groups of %+v", len(keys), list)
	}
	if g, err := s.Generation(6); err != nil || len(g.Groups) != 3 {
		t.Errorf("%+v %v", g, err)
	}
	again, notices := reopen(t, d.afterKill(), clock())
	if dump(again) != dump(s) || len(notices) > 0 {
		t.Errorf("opened again: %v\n%s\nwas\n%s", notices, dump(again), dump(s))
	}
}

// TestDefaults adds more than is kept when nobody says how much.
func TestDefaults(t *testing.T) {
	s, _, _ := Open("", clock())
	for n := range 250 {
		must(t, second(s.AddGeneration(Generation{})))
		must(t, s.SetOperation(Operation{ID: n + 1}))
	}
	if g, o := s.Generations(), s.Operations(); len(g) != 100 || g[0].Rev != 151 || len(o) != 200 || o[0].ID != 51 {
		t.Errorf("%d generations from r%d, %d operations from %d", len(g), g[0].Rev, len(o), o[0].ID)
	}
}

// TestCopies changes what getters returned.
func TestCopies(t *testing.T) {
	s, _, _ := Open("", clock())
	must(t, second(s.AddGeneration(Generation{Files: []File{{"a", "b"}}, Groups: []process.GroupSpec{{Name: "web", Processes: []process.Spec{{Name: "web"}}}}})))
	g, err := s.Generation(1)
	must(t, err)
	g.Files[0].Path, g.Groups[0].Processes[0].Name = "x", "x"
	s.Generations()[0].Files[0].Path = "x"
	if g, _ := s.Generation(1); g.Files[0].Path != "a" || g.Groups[0].Processes[0].Name != "web" {
		t.Errorf("the store has %+v", g)
	}
}

// TestGettersDoNotWait has a disk that takes its time.
func TestGettersDoNotWait(t *testing.T) {
	d := newMemDisk()
	s, _ := reopen(t, d, clock())
	syncing, release := make(chan bool), make(chan bool)
	d.onSync = func(string) { syncing <- true; <-release }
	done := make(chan error)
	go func() { done <- s.SetMark(Mark{Group: "web", Kind: Hold}) }()
	<-syncing
	if _, ok := s.Mark(process.Namespec{Group: "web"}); !ok || s.Lag() != nil || len(s.Generations()) != 0 || len(s.Operations()) != 0 {
		t.Error("the mark is not in force while it is written")
	}
	release <- true
	must(t, <-done)
}

// TestTogether uses a store from several goroutines.
func TestTogether(t *testing.T) {
	d := newMemDisk()
	var mu sync.Mutex
	tick := clock()
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return tick()
	}
	s, _ := reopen(t, d, now)
	must(t, s.SetLimits(Limits{}))
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			group := fmt.Sprint("g", n)
			for i := range 20 {
				err := errors.Join(s.SetOverride(Override{Group: group, Count: i}), s.SetMark(Mark{Group: group, Kind: Hold}),
					second(s.AddGeneration(Generation{Groups: []process.GroupSpec{{Name: group}}})), s.SetOperation(Operation{ID: 20*n + i + 1}, Line{}))
				if o, ok := s.Override(group); err != nil || !ok || o.Count != i {
					t.Errorf("%+v %v", o, err)
				}
				s.Marks()
				s.Generations()
				if err := s.Lag(); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					if err := s.Compact(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	again, notices := reopen(t, d.afterKill(), now)
	if len(notices) > 0 || dump(again) != dump(s) || len(s.Generations()) != 80 || len(s.Operations()) != 80 {
		t.Errorf("%v, %d generations", notices, len(s.Generations()))
	}
}

// TestNotices checks how they read.
func TestNotices(t *testing.T) {
	for want, n := range map[string]Notice{"t": {Text: "t", Line: 3}, "f: t": {File: "f", Text: "t"}, "f:3: t": {"f", 3, "t"}} {
		if n.String() != want {
			t.Errorf("%q, want %q", n, want)
		}
	}
}

// TestDirectoryLater has no way to its directory at first. What is found there later is not written over.
func TestDirectoryLater(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "file")
	write(t, file, "")
	s, notices, err := Open(filepath.Join(file, "state"), clock())
	if err != nil || len(notices) != 1 || s.Lag() == nil || !strings.HasPrefix(notices[0].Text, "there is no state directory") {
		t.Fatalf("%v %v %v", err, notices, s.Lag())
	}
	if err := s.SetMark(Mark{Group: "ours", Kind: Hold}); !errors.Is(err, ErrNotKept) {
		t.Error(err)
	}
	must(t, os.Remove(file))
	other, _, err := Open(filepath.Join(file, "state"), clock())
	must(t, err)
	must(t, other.SetMark(Mark{Group: "theirs", Kind: Hold}))
	if err := s.SetMark(Mark{Group: "ours", Kind: Hold}); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	must(t, other.Close())
	must(t, s.SetMark(Mark{Group: "ours", Kind: Hold}))
	must(t, s.Close())
	names, err := filepath.Glob(filepath.Join(file, "state", "*"+badMark+"*"))
	if err != nil || len(names) != 2 || !strings.Contains(readFile(t, names[0]), "theirs") {
		t.Errorf("%q %v", names, err)
	}
	again, notices, err := Open(filepath.Join(file, "state"), clock())
	if err != nil || len(notices) != 0 || len(again.Marks()) != 1 {
		t.Errorf("%v %v %v", err, notices, again.Marks())
	}
	must(t, again.Close())
}
