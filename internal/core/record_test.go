package core_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

// recordSpec is a spec in which something is set of every kind.
var recordSpec = process.Spec{
	Name: "p", Program: "p", Command: "/bin/cat \xff", Umask: -1, UID: -1, Autostart: true, ExitCodes: []int{0, 2},
	Stdout: process.LogSpec{File: process.LogTarget{Kind: process.LogPath, Path: "/x"}, MaxBytes: 50 << 20}, Environment: []process.Env{{Key: "A", Value: "b"}},
	Origin: process.Origin{File: "f", Line: 3},
}

// recordGroup is a listener group with that process.
var recordGroup = process.GroupSpec{
	Name: "g", Kind: process.KindEventListener, Processes: []process.Spec{recordSpec}, Listener: &process.ListenerSpec{Events: []string{"TICK_5"}, BufferSize: 3},
}

// recorded are inputs of every kind, with every verb.
func recorded() []core.Input {
	fault := &core.Fault{Kind: core.Stale, Text: "text"}
	p := plan.Plan{
		Group: "g", Base: "b", Scope: plan.ReplaceGroup, Desired: recordGroup, Fields: []plan.Difference{{Option: "o", Class: process.Respawn}},
		Changes: []plan.Change{{Action: plan.ReplaceProcess, Group: "g", Name: "p", Spec: recordSpec, Retry: true}}, Kept: []string{"k"},
		Refusal: &plan.Refusal{Text: "no"},
	}
	list := []core.Input{
		core.Tick{},
		core.Spawned{ID: 1, Incarnation: 2, PID: 3},
		core.Spawned{ID: math.MaxUint64, Incarnation: math.MaxUint64, PID: -1},
		core.SpawnFailed{ID: 1, Incarnation: 2, Text: "cannot"},
		core.Exited{ID: 1, Incarnation: 2, Status: process.ExitStatus{Code: 7}, At: time.Hour},
		core.Exited{ID: 1, Incarnation: 2, Status: process.ExitStatus{Signal: 11, CoreDumped: true}},
		core.Exited{ID: 1, Incarnation: 2, Status: process.ExitStatus{Signal: 9, OutOfMemory: true}},
		core.Signalled{ID: 1, Incarnation: 2, Token: 3, Error: "EPERM"},
		core.StdinWritten{Token: 4},
		core.StdinWritten{Token: 4, Fault: fault},
		core.StdinWritten{Token: 4, Fault: &core.Fault{}},
		core.HookEnded{Token: 4, Text: "exit status 3"},
		core.HookEnded{Token: 4},
		core.Output{ID: 1, Incarnation: 2, Data: []byte("out \xff\x00")},
		core.Output{ID: 1, Incarnation: 2, Stderr: true, Data: []byte("err")},
		core.Output{ID: 1, Incarnation: 2, Captured: true, Data: []byte("captured")},
		core.ListenerOutput{ID: 1, Incarnation: 2, Data: []byte("READY\n")},
		core.Cancel{Req: 9},
		core.Checked{ID: 7, Incarnation: 3, Alive: true, Text: "silence"}, core.Checked{ID: 7, Incarnation: 3, OK: true},
		core.Command{Req: 4, Do: core.PauseUpdate{Op: 3, Resume: true}},
	}
	for _, do := range []core.Verb{
		core.Start{Target: core.Target{Group: "g", Process: "p", Text: "g:p"}, Wait: true, Refused: map[process.ID]*core.Fault{3: fault}},
		core.Start{},
		core.Stop{Target: core.Target{All: true}},
		core.SendSignal{Signal: 9, Refused: fault},
		core.WriteInput{Data: []byte{1, 0}},
		core.AddGroups{Groups: []process.GroupSpec{recordGroup}, Boot: true},
		core.AddGroups{Groups: []process.GroupSpec{recordGroup}, Found: map[process.Namespec]core.Found{{Group: "g", Process: "p"}: {
			State: process.Running, PID: 7, Started: time.Hour, Since: time.Minute, Tries: 2, Began: time.Unix(1_900_000_000, 1), Ended: time.Unix(1_800_000_000, 0),
			Exit: process.ExitStatus{Code: 7}, HasExit: true, SpawnErr: "text", Undecided: true, Listener: event.Busy,
		}}},
		core.RemoveGroup{Name: "g"},
		core.AddProcesses{Group: "g", Specs: []process.Spec{recordSpec}},
		core.RemoveProcess{Group: "g", Name: "p", Departed: true},
		core.Apply{Plan: p},
		core.Leave{Plan: p},
		core.Update{Op: 5, Plan: plan.Update{Plans: []plan.Plan{p}}},
		core.CancelUpdate{Op: 5},
		core.SendRemote{Kind: "k", Data: "d"},
		core.Quit{Restart: true},
		core.Quit{},
		core.SetMark{Target: core.Target{Group: "g"}, Mark: core.Held},
		core.Identify{Name: "id"},
		core.Refresh{Target: core.Target{Group: "g"}},
		core.Hurry{Targets: []core.Target{{All: true}, {Group: "g"}}},
		core.Act{Op: 5, Targets: []core.Target{{All: true}}, Stop: true, Start: true, AtOnce: 2, Now: true, Refused: map[process.ID]*core.Fault{3: fault}},
	} {
		list = append(list, core.Command{Req: core.Req(len(list)), Do: do})
	}
	return list
}

// moments are those that records are tried with.
var moments = []core.Now{{}, {Mono: time.Hour, Wall: time.Unix(1_900_000_000, 999_999_999)}, {Mono: -1, Wall: time.Unix(-5, 1)}}

func appendInput(t testing.TB, buf []byte, now core.Now, in core.Input) []byte {
	t.Helper()
	buf, err := core.AppendInput(buf, now, in)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

// TestRecords checks that inputs come back as they were.
func TestRecords(t *testing.T) {
	var buf []byte
	for _, in := range recorded() {
		for _, now := range moments {
			buf = appendInput(t, buf, now, in)
		}
	}
	d := core.NewInputDecoder(buf)
	for _, want := range recorded() {
		for _, at := range moments {
			now, in, err := d.Next()
			if err != nil {
				t.Fatalf("%#v: %v", want, err)
			}
			if now.Mono != at.Mono || !now.Wall.Equal(at.Wall) || now.Wall.IsZero() != at.Wall.IsZero() {
				t.Errorf("%T: at %v, want %v", want, now, at)
			}
			if !reflect.DeepEqual(in, want) {
				t.Errorf("read\n%#v, written\n%#v", in, want)
			}
		}
	}
	if _, _, err := d.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestRecordsShareNothing checks that what was read stays when the records are overwritten.
func TestRecordsShareNothing(t *testing.T) {
	for _, want := range recorded() {
		buf := appendInput(t, nil, core.Now{}, want)
		_, in, err := core.NewInputDecoder(buf).Next()
		clear(buf)
		if err != nil || !reflect.DeepEqual(in, want) {
			t.Errorf("%#v became %#v: %v", want, in, err)
		}
	}
}

// TestTornRecords checks that a record that is not whole is an error, after all those before it.
func TestTornRecords(t *testing.T) {
	first := appendInput(t, nil, core.Now{}, core.Tick{})
	for _, in := range recorded() {
		whole := appendInput(t, slices.Clone(first), moments[1], in)
		for n := len(first) + 1; n < len(whole); n++ {
			d := core.NewInputDecoder(whole[:n])
			if _, _, err := d.Next(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if now, got, err := d.Next(); !errors.Is(err, io.ErrUnexpectedEOF) || got != nil || now != (core.Now{}) {
					t.Fatalf("%T torn after %d of %d bytes: %v %v", in, n, len(whole), got, err)
				}
			}
			if !bytes.Equal(d.Rest(), whole[len(first):n]) {
				t.Fatalf("%T torn after %d bytes: rest %q", in, n, d.Rest())
			}
		}
	}
}

// TestBadRecords checks what no machine has written.
func TestBadRecords(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		{"\x02\x00", "version 2"},
		{"\x01\x63\x00\x00\x00", "kind 99"},
		{"\x01\x00\x00\x00\x80\x94\xeb\xdc\x03", "not below"},
		{"\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "64 bits"},
		{"\x01\x09\x00\x00\x00\x00\x7f\x00", "not below"},
		{"\x01\x09\x00\x00\x00\x00\x00\x01x", "core.Start"},
	} {
		if _, _, err := core.NewInputDecoder([]byte(c.record)).Next(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.record, err, c.want)
		}
	}
}

// TestRecordsAreAll checks that every input and verb of the package is among those that the tests here write.
func TestRecordsAreAll(t *testing.T) {
	seen := map[string]bool{}
	for _, in := range recorded() {
		seen[reflect.TypeOf(in).Name()] = true
		if c, ok := in.(core.Command); ok {
			seen[reflect.TypeOf(c.Do).Name()] = true
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "input" && f.Name.Name != "verb" || f.Type.Params.NumFields()+f.Type.Results.NumFields() > 0 {
				continue
			}
			if id, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
				found++
				if !seen[id.Name] {
					t.Errorf("no test writes a %s", id.Name)
				}
			}
		}
	}
	if found < 25 {
		t.Errorf("only %d inputs and verbs found", found)
	}
}

// FuzzInputDecoder checks that no bytes make the decoder panic or read on for ever, and that what it reads can be written and read again.
func FuzzInputDecoder(f *testing.F) {
	for i, in := range recorded() {
		f.Add(appendInput(f, nil, moments[i%len(moments)], in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := core.NewInputDecoder(data)
		for left := len(data); ; left = len(d.Rest()) {
			now, in, err := d.Next()
			if err != nil {
				return
			}
			if len(d.Rest()) >= left {
				t.Fatal("nothing was read")
			}
			buf, err := core.AppendInput(nil, now, in)
			if err != nil {
				t.Fatalf("%#v cannot be written: %v", in, err)
			}
			again, same, err := core.NewInputDecoder(buf).Next()
			if err != nil || again.Mono != now.Mono || !again.Wall.Equal(now.Wall) || !reflect.DeepEqual(in, same) {
				t.Fatalf("%v %#v became %v %#v: %v", now, in, again, same, err)
			}
		}
	})
}

// BenchmarkRecord measures the inputs of which there are many, and a small command.
func BenchmarkRecord(b *testing.B) {
	now := core.Now{Mono: 1_234_567 * time.Millisecond, Wall: time.Unix(1_900_000_000, 123_456_789)}
	for _, in := range []core.Input{
		core.Tick{}, core.Exited{ID: 7, Incarnation: 3, At: now.Mono}, core.StdinWritten{Token: 99}, core.Output{ID: 7, Incarnation: 3, Data: make([]byte, 100)},
		core.ListenerOutput{ID: 7, Incarnation: 3, Data: []byte("RESULT 2\nOKREADY\n")}, core.Command{Req: 1, Do: core.Stop{Target: core.Target{Group: "g"}}},
	} {
		name := reflect.TypeOf(in).Name()
		b.Run("write "+name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1024)
			for range b.N {
				buf = appendInput(b, buf[:0], now, in)
			}
			b.ReportMetric(float64(len(buf)), "bytes")
		})
		b.Run("read "+name, func(b *testing.B) {
			b.ReportAllocs()
			buf := appendInput(b, nil, now, in)
			for range b.N {
				if _, _, err := core.NewInputDecoder(buf).Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
